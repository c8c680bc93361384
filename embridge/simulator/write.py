"""Writing a simulated dataset in emg2pose's format: whole files only, in parallel, resumable."""

import csv
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from embridge.config import SimulationConfig, as_json
from embridge.errors import InputError
from embridge.parallel import available_cores, in_order
from embridge.provenance import provenance
from embridge.simulator import VERSION
from embridge.simulator.physiology import PHYSIOLOGY
from embridge.simulator.plan import PlannedFile, plan
from embridge.simulator.session import SAMPLE_RATE, simulate

DTYPE = np.dtype([("time", "<f8"), ("joint_angles", "<f4", (20,)), ("emg", "<f4", (16,))])
_EPOCH = 1_700_000_000.0  # s: emg2pose's clock counts seconds since 1970
PART = ".part"  # an unfinished file; never taken for a whole one


def write_dataset(
    folder: Path, config: SimulationConfig, *, progress: bool = True, workers: int | None = None
) -> tuple[PlannedFile, ...]:
    """Write what is missing of a simulated dataset into ``folder``; returns its files.

    ``workers`` processes (default: the CPUs this process may use) write one file at a time each. ``metadata.csv``
    comes last. InputError for a folder that holds a dataset of another configuration, and for a full disk.
    """
    folder, files = Path(folder), plan(config)
    folder.mkdir(parents=True, exist_ok=True)
    claim(folder, config)
    for leftover in folder.glob(f"*{PART}"):
        leftover.unlink()
    there = {path.name for path in folder.iterdir()}
    missing = [file for file in files if f"{file.filename}.hdf5" not in there]
    check_space(folder, sum(file_bytes(f.n_samples) for f in missing))
    workers = min(workers or available_cores(), max(1, len(missing) // 8))  # a pool takes a second to start
    jobs = ((folder, file, config.seed) for file in missing)
    written = in_order(_write_job, jobs, workers)
    # a quiet bar: a line every few seconds keeps executed notebooks short
    for _ in tqdm(written, "simulating", len(missing), mininterval=5, disable=not progress or not missing, unit="file"):
        pass
    if missing or "metadata.csv" not in there:
        _write_metadata(folder / "metadata.csv", files)
    return files


def file_bytes(n_samples: int) -> int:
    """The size of a file of so many samples: they and 8 KiB of HDF5's own."""
    return n_samples * DTYPE.itemsize + 8192


def _write_job(job: tuple[Path, PlannedFile, int]) -> None:
    write_recording(*job)


def write_recording(folder: Path, file: PlannedFile, seed: int) -> None:
    """Simulate one recording and write ``<folder>/<filename>.hdf5``, whole or not at all."""
    made = simulate(
        seed=seed,
        user=file.user,
        session=file.session_number,
        stage=file.stage,
        side=file.side,
        seconds=file.seconds,
    )
    samples = np.empty(len(made.emg), DTYPE)
    start = _EPOCH + 3600.0 * file.session_number
    samples["time"] = start + np.arange(len(samples)) / SAMPLE_RATE
    samples["joint_angles"] = made.angles
    samples["emg"] = made.emg
    attributes = {
        "dataset": "simulated",
        "simulated": True,
        "simulator_version": VERSION,
        "filename": file.filename,
        "session": file.session,
        "user": file.user,
        "side": file.side,
        # as in some of the real files, where metadata.csv does not have the suffix
        "stage": f"{file.stage}_both" if file.moving_hand == "both" else file.stage,
        "start": start,
        "end": start + len(samples) / SAMPLE_RATE,
        "num_channels": made.emg.shape[1],
        "sample_rate": SAMPLE_RATE,
    }
    path = folder / f"{file.filename}.hdf5"
    part = path.with_name(path.name + PART)
    try:
        with h5py.File(part, "w") as handle:
            group = handle.create_group("emg2pose")
            group.attrs.update(attributes)
            group.create_dataset("timeseries", data=samples)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(
            f"{path}: could not write {samples.nbytes:,} bytes ({error}); free some space there"
        ) from error


def claim(folder: Path, config) -> None:
    """Compare the folder's ``simulation.json`` with ours, or write it first of all, with what began it."""
    ours = {
        "simulated": True,
        "simulator_version": VERSION,
        "config": as_json(config),
        "physiology": as_json(PHYSIOLOGY),
    }
    manifest = folder / "simulation.json"
    if manifest.exists():
        try:
            theirs = json.loads(manifest.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{manifest}: not readable as JSON; remove the folder and run again") from error
        differ = [k for part in ours for k in _differences(part, ours[part], theirs.get(part))]
        if differ:
            raise InputError(
                f"{folder} holds another simulation, different in {', '.join(differ)}; use another folder or remove it"
            )
        return
    if any(folder.glob("*.hdf5")):
        raise InputError(
            f"{folder} holds HDF5 files but no simulation.json: not a simulated dataset; use another folder"
        )
    _replace_text(manifest, json.dumps(ours | provenance(threads=1), indent=1, sort_keys=True) + "\n")


def _differences(name: str, ours, theirs) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [k for k in {**ours, **theirs} if ours.get(k) != theirs.get(k)]
    return [] if ours == theirs else [name]


def check_space(folder: Path, needed: int) -> None:
    """Raise InputError where fewer than ``needed`` bytes are free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{folder}: the simulated recordings need {needed:,} bytes and {free:,} are free; make room")


def _write_metadata(path: Path, files: tuple[PlannedFile, ...]) -> None:
    part = path.with_name(path.name + PART)
    with open(part, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(files[0].row()), lineterminator="\n")
        writer.writeheader()
        writer.writerows(file.row() for file in files)
    os.replace(part, path)


def _replace_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + PART)
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
