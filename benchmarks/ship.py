"""``python -m benchmarks.ship [OPTIONS of --demo]``: put what a finished run has trained into the package."""

import io
import json
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from benchmarks.demo import in_turn
from embridge import inference
from embridge.config import as_json, results_name
from embridge.data.splits import SETS
from embridge.data.store import OF_WINDOW, seal
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, find
from embridge.files import read_npz, sha256, write_atomically
from embridge.pretrained import FOLDER, SYSTEMS, finished
from embridge.run import cli
from embridge.study import Study
from embridge.train import study_of
from embridge.trained import build

EACH, BATCH, PROBE = 100, 256, 2  # windows: of a class set of D_eval, to align, of a class to train a probe


def chosen(study: Study) -> dict[str, np.ndarray]:
    """Windows by part: of D_eval as gestures take turns, of D_tr one batch, of the probe's a few a class."""
    splits, rng = study.splits, np.random.default_rng(study.seed)
    gesture = splits.table["gesture"]
    probe = [gesture.iloc[splits.probe_train[c]].groupby(gesture).head(PROBE).index.to_numpy() for c in SETS]
    return {
        "evaluation": np.concatenate([in_turn(study, classes)[:EACH] for classes in SETS]),
        "pretrain": rng.choice(splits.pretrain, min(BATCH, len(splits.pretrain)), replace=False),
        "probe_train": np.concatenate(probe),
    }


def write_windows(study: Study, ids: np.ndarray, folder: Path) -> None:
    """The windows ``ids`` (n,), ascending, as a store of their own."""
    store, columns = study.store, read_npz(study.store.path / "windows.npz")
    folder.mkdir(parents=True)
    used, row = np.unique(columns["recording"][ids], return_inverse=True)
    np.savez(folder / "windows.npz", **{name: columns[name][ids] for name in OF_WINDOW} | {"recording": row})
    for name, array in zip(store.arrays, (store.emg_f16, store.pose_f16, store.power_f16), strict=True):
        (folder / name).write_bytes(np.ascontiguousarray(array[ids]).tobytes())
    of_all = {name: value for name, value in store.manifest.items() if name not in ("lost", "recordings")}
    recordings = [store.manifest["recordings"][i] for i in used]
    of_all |= {"n_windows": len(ids), "table_sha256": sha256(folder / "windows.npz"), "recordings": recordings}
    write_atomically(folder / "manifest.json", seal(of_all))


def split_fields(study: Study, parts: dict[str, np.ndarray], ids: np.ndarray) -> dict:
    """What :class:`~embridge.data.splits.Splits` needs beside the table, its windows renumbered to rows of ``ids``."""
    splits = study.splits

    def rows(part, name):
        return np.searchsorted(ids, np.intersect1d(part, parts[name])).tolist()

    found = {f.name: getattr(splits, f.name) for f in fields(splits) if f.name not in ("table", "tune", "paper")}
    for name in ("probe_train", "evaluation"):
        found[name] = {classes: rows(getattr(splits, name)[classes], name) for classes in SETS}
    return found | {"pretrain": rows(splits.pretrain, "pretrain"), "has_tuning": False}


def write_run(study: Study, name: str, runs: Path) -> None:
    """A run's folder without what a new model has from the runs that it starts from."""
    run = study.run(name)
    torch.manual_seed(study.seed + 1)  # so that what is only drawn at random, and alike, is kept
    start, state = build(study, find(name))[0].state_dict(), run.model.state_dict()
    folder = runs / run.folder.name
    folder.mkdir(parents=True)
    state = {k: v.cpu().contiguous() for k, v in state.items() if not torch.equal(v.cpu(), start[k].cpu())}
    write_atomically(folder / "weights.safetensors", save(state))
    for file in (*(run.folder / kept for kept in ("config.json", "done.json", "log.csv")),
                 *run.folder.glob("communities-*.npz")):  # fmt: skip
        shutil.copyfile(file, folder / file.name)


def raw_windows(study: Study, ids: np.ndarray) -> dict[str, np.ndarray]:
    """EMG (n, C, T) in robust SDs of its recording, unfiltered, ``scale`` (n,), and pose (n, J, T), both float16."""
    recordings, scales = {r.key: r for r in study.source.recordings}, {}
    for log in study.store.manifest["recordings"]:
        scales[log["key"]] = log["scale"] or 1.0
    table, span = study.store.table.loc[ids], study.windows.window
    found = {"emg": [], "pose": [], "scale": [scales[key] for key in table["recording"]]}
    for row in table.itertuples():
        signals = recordings[row.recording].load()
        for name, signal in (("emg", signals.emg / scales[row.recording]), ("pose", signals.pose)):
            found[name].append(signal[row.start : row.start + span].T.astype(np.float16))
    return {name: np.stack(values) for name, values in found.items()} | {"scale": np.float32(found["scale"])}


def embeddings(study: Study, rows: np.ndarray, raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of each system, what it makes today of windows ``rows`` (n,) of the store and of the same ones raw."""
    emg = raw["emg"].astype(np.float32) * raw["scale"][:, None, None]
    found = {"Pose-MAE": study.pose_embeddings(rows)}
    found["Pose-MAE, raw"] = inference.load(study.run("Pose-MAE")).encode_pose(raw["pose"].astype(np.float32))
    for name in SYSTEMS:
        if find(name).kind != "pose-mae":
            found[name] = study.emg_queries(name, rows) if find(name).aligned else study.features(name, rows)
            found[f"{name}, raw"] = inference.load(study.run(name)).encode_emg(emg)
    return {name: value.numpy() for name, value in found.items()}


def make(study: Study, place: Path) -> Path:
    """Write the folder of a study's finished run below ``place``, in the stead of an earlier one, and return it.

    Raises InputError where the run is not of a simulation, on features, or not finished.
    """
    name = results_name(study.dataset, study.profile.name, study.tokens)
    if not finished(study) or study.store.kind != "features":
        raise InputError(f"{study.out} holds no finished run {name} of the simulation on features; run it first")
    study.communities(EXPERIMENTS["EMBridge"].objective), study.statistics
    parts = chosen(study)
    ids = np.unique(np.concatenate([*parts.values()]))
    first = np.concatenate([in_turn(study, c)[: len(study.splits.classes[c])] for c in SETS])  # one of each class
    folder = place / f"{name}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    write_windows(study, ids, folder / "windows")
    for system in SYSTEMS:
        write_run(study, system, folder / "runs")
    for kind in ("windows", "statistics-features"):
        shutil.copyfile(study.out / "runs" / f"{kind}-{study.data_key}.json",
                        folder / "runs" / f"{kind}-{study.data_key}.json")  # fmt: skip
    raw = raw_windows(study, first)
    arrays = {"raw": raw | {"id": np.searchsorted(ids, first)}, "embeddings": embeddings(study, first, raw)}
    for file, values in arrays.items():
        np.savez_compressed(buffer := io.BytesIO(), **values)
        write_atomically(folder / f"{file}.npz", buffer.getvalue())
    about = {"dataset": study.dataset, "profile": study.profile.name, "seed": study.seed, **study.made_from}
    about |= {"configuration": as_json(study.profile), "data_key": study.data_key}
    about |= {"trained_on": len(study.splits.pretrain), "splits": split_fields(study, parts, ids)}
    about |= {"systems": {system: study.run(system).key for system in SYSTEMS}}
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    about["sha256"] = {file.relative_to(folder).as_posix(): sha256(file) for file in files}
    write_atomically(folder / "manifest.json", json.dumps(about, indent=1))
    shutil.rmtree(place / name, ignore_errors=True)
    return folder.rename(place / name)


@cli.command("nothing was written")
def main(argv: list[str]) -> None:
    """Ship the finished run that ``argv`` names, and print the sizes; returns the exit code."""
    options = cli.parse(argv, action="demo")
    folder = make(study_of(options), FOLDER)
    sizes = {file.relative_to(folder): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
    for file, size in sizes.items():
        print(f"{size:10,} {file}")
    print(f"{sum(sizes.values()):10,} bytes in {folder}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
