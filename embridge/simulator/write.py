"""Writing simulated recordings: whole files only, in parallel, resumable."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from tqdm import tqdm

from embridge.config import SimulationConfig, as_json
from embridge.data.emg2pose import SAMPLE_RATE
from embridge.errors import InputError
from embridge.files import differences, read_json
from embridge.parallel import available_cores, in_order
from embridge.provenance import provenance
from embridge.simulator import VERSION
from embridge.simulator.physiology import PHYSIOLOGY
from embridge.simulator.plan import COLUMNS, PlannedFile, plan
from embridge.simulator.session import simulate

DTYPE = np.dtype([("time", "<f8"), ("joint_angles", "<f4", (20,)), ("emg", "<f4", (16,))])
_EPOCH = 1_700_000_000.0  # s: emg2pose's clock counts seconds since 1970
PART = ".part"  # an unfinished file; never taken for a whole one


def write_dataset(folder: Path, config: SimulationConfig, **how) -> tuple[PlannedFile, ...]:
    """Write what is missing of a simulated dataset in emg2pose's format into ``folder``; returns its files.

    ``metadata.csv`` comes last. ``how``: ``progress`` and ``workers``, which are, as errors, those of
    :func:`write_missing`.
    """
    files, write = plan(config), partial(write_recording, folder, config.seed)
    # a pool takes a second to start, in which one process writes eight files
    n = write_missing(folder, config, files, write, lambda file: file_bytes(file.n_samples), per_worker=8, **how)
    metadata = folder / "metadata.csv"
    if n or not metadata.exists():
        write_table(metadata, COLUMNS, (file.row() for file in files))
    return files


def write_table(path: Path, columns: tuple[str, ...], rows: Iterable[dict], delimiter: str = ",") -> None:
    """Write rows as a table of text, whole or not at all."""
    with whole(path) as part:
        pd.DataFrame(rows, columns=columns).to_csv(part, sep=delimiter, index=False, lineterminator="\n")


def write_json(path: Path, content: dict, **how) -> None:
    """Write JSON, whole or not at all."""
    with whole(path) as part:
        part.write_text(json.dumps(content, indent=1, **how) + "\n", encoding="utf-8")


def write_missing(
    folder: Path, config, files, write: Callable, size: Callable, *, per_worker: int, progress=True, workers=None
) -> int:
    """Write those of the planned ``files`` that are not below ``folder`` yet; returns how many these were.

    ``write(file)`` writes one, of ``size(file)`` bytes. ``workers`` processes (default: the CPUs this process may use,
    but no more than one for ``per_worker`` files) write one file at a time each. InputError for a folder that holds a
    dataset of another configuration, and for a full disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, config)
    for leftover in folder.rglob(f"*{PART}"):
        leftover.unlink()
    missing = [file for file in files if not (folder / file.path).exists()]
    needed, free = sum(map(size, missing)), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{folder}: the simulated recordings need {needed:,} bytes and {free:,} are free; make room")
    written = in_order(write, missing, min(workers or available_cores(), max(1, len(missing) // per_worker)))
    # a quiet bar: a line every few seconds keeps executed notebooks short
    for _ in tqdm(written, "simulating", len(missing), mininterval=5, disable=not progress or not missing, unit="file"):
        pass
    return len(missing)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name under which to write a file, which gets its own when it is whole; InputError for a full disk."""
    part = path.with_name(path.name + PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path}: could not write ({error}); free some space there") from error


def file_bytes(n_samples: int) -> int:
    """The size of a file of so many samples: they and 8 KiB of HDF5's own."""
    return n_samples * DTYPE.itemsize + 8192


def write_recording(folder: Path, seed: int, file: PlannedFile) -> None:
    """Simulate one recording and write ``<folder>/<filename>.hdf5``, whole or not at all."""
    made = simulate(file, seed)
    samples = np.empty(len(made.emg), DTYPE)
    start = _EPOCH + 3600.0 * file.session_number
    samples["time"] = start + np.arange(len(samples)) / SAMPLE_RATE
    samples["joint_angles"] = made.angles
    samples["emg"] = made.emg
    attributes = {"dataset": "simulated", "simulated": True, "simulator_version": VERSION, "filename": file.filename}
    attributes |= {"session": file.session, "user": file.user, "side": file.side}
    # as in some of the real files, where metadata.csv does not have the suffix
    attributes["stage"] = f"{file.stage}_both" if file.moving_hand == "both" else file.stage
    attributes |= {"start": start, "end": start + len(samples) / SAMPLE_RATE}
    attributes |= {"num_channels": made.emg.shape[1], "sample_rate": SAMPLE_RATE}
    with whole(folder / file.path) as part, h5py.File(part, "w") as handle:
        group = handle.create_group("emg2pose")
        group.attrs.update(attributes)
        group.create_dataset("timeseries", data=samples)


def _claim(folder: Path, config) -> None:
    """Compare the folder's ``simulation.json`` with ours, or write it first of all, with what began it."""
    config, physiology = as_json(config), as_json(PHYSIOLOGY)
    ours = {"simulated": True, "simulator_version": VERSION, "config": config, "physiology": physiology}
    manifest = folder / "simulation.json"
    if manifest.exists():
        theirs = read_json(manifest, again="remove the folder and run again")
        if different := list(differences(ours, {part: theirs.get(part) for part in ours})):
            told = f"{'; '.join(different[:5])}; use another folder or remove it"
            raise InputError(f"{folder} holds another simulation: {told}")
    elif any(folder.glob("*.hdf5")):
        raise InputError(f"{folder} holds HDF5 files but no simulation.json: not a simulated dataset; use another one")
    else:
        write_json(manifest, ours | provenance(threads=1), sort_keys=True)
