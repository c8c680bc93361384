"""Small recordings in the real formats, made on the spot."""

import csv
import errno
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from embridge import config as cfg
from embridge.data.emg2pose import COLUMNS, IN_CLASSES, UNSEEN_CLASSES

# An optional grammar of jsonschema's, which papermill and nbformat bring in: seconds to load in each process.
sys.modules["rfc3987_syntax"] = None

# A shell without job control starts what runs in the background with Ctrl-C ignored, and tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Workers of pytest-xdist share the cores, and teams of threads that do so stall each other.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

# pytest makes every warning here an error; in processes that tests start (kernels, workers, commands) our modules' are.
# Not EMBridgeWarning, which is for the user: the variable takes Python's own categories and whole names of modules.
PACKAGE = Path(cfg.__file__).parent
MODULES = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in PACKAGE.rglob("*.py")]
os.environ["PYTHONWARNINGS"] = ",".join(
    f"error::{category}:{module.removesuffix('.__init__')}"
    for category in ("UserWarning", "RuntimeWarning", "DeprecationWarning", "FutureWarning")
    for module in MODULES
)


def pytest_configure(config):
    config.addinivalue_line("markers", "real(variable): reads real files in the folder that this variable names")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("real"):
        if not os.environ.get(mark.args[0]):
            pytest.skip(f"{mark.args[0]} is not set")


def pytest_terminal_summary(terminalreporter):
    """Which tests read real files, and why the others did not: nobody reads a count of skipped tests."""
    lines = []
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            if "real" in report.keywords:
                why = f": {report.longrepr[2]}" if outcome == "skipped" else ""
                lines.append(f"{outcome} {report.nodeid}{why}")
    if lines:
        terminalreporter.section("tests of real files")
        terminalreporter.write("\n".join(lines) + "\n")


SMOKE = cfg.profile("smoke")
TINY = replace(
    SMOKE,
    simulation=replace(SMOKE.simulation, train_seconds=4.0, eval_seconds=6.0),
    model=replace(SMOKE.model, d=16, n_heads=2, n_queries=4),
)
OTHER_STAGE = "FingerWigglingSpreading"
SERIES = np.dtype([("time", "f8"), ("joint_angles", "f4", (20,)), ("emg", "f4", (16,))])


def series(n_samples: int, seed: int = 0, dtype: np.dtype = SERIES) -> np.ndarray:
    """Random samples in emg2pose's compound type, 2 kHz, no failures."""
    rng = np.random.default_rng(seed)
    data = np.zeros(n_samples, dtype)
    data["time"] = 1.6e9 + np.arange(n_samples) / 2000
    for name in ("joint_angles", "emg"):
        data[name] = rng.standard_normal(data[name].shape)
    return data


def write_session(path, data: np.ndarray, **attributes) -> None:
    """One HDF5 session with emg2pose's layout and attributes."""
    attributes = {
        "session": "session", "side": "left", "stage": f"{OTHER_STAGE}_both", "start": 0.0, "end": 1.0,
        "num_channels": 16, "user": "1234", "sample_rate": 2000.0,
    } | attributes  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("emg2pose")
        group.create_dataset("timeseries", data=data)
        group.attrs.update(attributes)


def write_metadata(path, rows: list[dict]) -> None:
    """A metadata file with emg2pose's columns."""
    columns = [*COLUMNS, "held_out_user", "held_out_stage"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def metadata_row(filename: str, **fields) -> dict:
    row = {
        "filename": filename, "user": "1234", "session": "session", "stage": OTHER_STAGE, "side": "left",
        "moving_hand": "both", "split": "train", "generalization": "none",
    }  # fmt: skip
    return row | fields


def write_dataset(folder, *, users=(("train", 3), ("val", 2), ("test", 2)), n_samples=900) -> list[dict]:
    """A dataset with every class where evaluation needs it, both hands of each recording. Returns the rows."""
    rows = []
    for split, n in users:
        for u in range(n):
            for stage in (*IN_CLASSES, OTHER_STAGE, *(UNSEEN_CLASSES if split != "train" else ())):
                generalization = "none" if split == "train" else "user_stage" if stage in UNSEEN_CLASSES else "user"
                for side in ("left", "right"):
                    name = f"{split}{u}-{stage}_{side}"
                    user = {"train": 100, "val": 200, "test": 300}[split] + u
                    row = metadata_row(
                        name, user=f"{user:04d}", session=f"{split}{u}-s", stage=stage, side=side, split=split,
                        generalization=generalization, moving_hand="both" if stage in IN_CLASSES else "left",
                    )  # fmt: skip
                    write_session(folder / f"{name}.hdf5", series(n_samples, seed=len(rows)), user=row["user"])
                    rows.append(row)
    write_metadata(folder / "metadata.csv", rows)
    return rows


def write_db1(
    folder, subject: int, /, *, seed: int = 0, name: str | None = None, samples: int = 300, movements=12, **changes
):
    """A DB1-shaped file: ``movements`` x 10 repetitions of 3 s, 1 s of rest between. ``changes`` replace fields."""
    rng = np.random.default_rng(seed + subject)
    times = np.array([(g, r) for g in range(1, movements + 1) for r in range(1, 11)])
    labels, repetitions = (np.concatenate([np.r_[np.full(samples, x), np.zeros(100)] for x in of]) for of in times.T)
    fields = {
        "emg": np.abs(rng.standard_normal((len(labels), 10))) * 0.1,
        "glove": 120 + 20 * rng.standard_normal((len(labels), 22)),
        "restimulus": labels.astype(np.uint8)[:, None],
        "rerepetition": repetitions.astype(np.uint8)[:, None],
        "subject": np.array([[subject]], np.uint8),
        "exercise": np.array([[1]], np.uint8),
    } | changes
    path = folder / f"s{subject}" / (name or f"S{subject}_A1_E1.mat")
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {k: v for k, v in fields.items() if v is not None})
    return path


def write_ninapro(folder, database: str, subject: int, exercise: int, /, *, name: str | None = None, **changes):
    """A DB2- or DB7-shaped file: each movement 3 x 60 samples, 40 of rest between, labels that run on.

    Glove column i (from 1) lies around i. ``changes`` replace fields; None leaves one out.
    """
    rng = np.random.default_rng(100 * subject + exercise)
    first, n_movements = {1: (1, 17), 2: (18, 23)}[exercise]
    labels = np.concatenate([np.r_[np.full(60, first + g), np.zeros(40)] for g in range(n_movements) for _ in range(3)])
    repetitions = np.concatenate([np.r_[np.full(60, r), np.zeros(40)] for _ in range(n_movements) for r in (1, 2, 3)])
    n_sensors = 22 if database == "DB2" else 18
    fields = {
        "emg": 1e-5 * rng.standard_normal((len(labels), 12)).astype(np.float32),
        "glove": np.arange(1, n_sensors + 1) + 0.1 * rng.random((len(labels), n_sensors)),
        "acc": np.zeros((len(labels), 36), np.float32),
        "restimulus": labels.astype(np.uint8)[:, None],
        "rerepetition": repetitions.astype(np.uint8)[:, None],
        "subject": np.array([[subject]], np.uint8),
        "exercise": np.array([[exercise]], np.uint8),
    } | changes
    path = folder / (name or f"{database}/S{subject}_E{exercise}_A1.mat")
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {k: v for k, v in fields.items() if v is not None}, appendmat=False)
    return path


def load_noise(recording):
    """EMG of 8 channels on an offset, and 3 joints that wander: 4.5 s at the recording's rate."""
    from embridge.data.recordings import Segment, Signals

    rng, n = np.random.default_rng(len(recording.key)), round(4.5 * recording.sample_rate)
    emg = (1e-3 * (rng.standard_normal((n, 8)) + 5)).astype(np.float32)
    pose = rng.standard_normal((n, 3)).cumsum(0).astype(np.float32)
    return Signals(emg, pose, (Segment(0, n, recording.gesture),))


def noise_study(folder, size: cfg.Profile, *, windows: cfg.WindowConfig | None = None, **more):
    """A study of a Source of one's own, two recordings of two windows: one trains, one evaluates."""
    from embridge.data.recordings import Recording, Source
    from embridge.data.splits import split_by_column
    from embridge.study import Study  # loads torch

    windows, recordings = windows or cfg.WindowConfig(n_channels=8, n_joints=3), []
    for split in ("train", "test"):
        path = folder / split
        path.write_text(split)
        about = {"key": split, "path": path, "user": split, "session": split, "gesture": "fist", "split": split}
        about |= {"hand": "", "sample_rate": windows.sample_rate, "loader": load_noise}
        recordings.append(Recording(**about, counter=lambda recording: round(4.5 * recording.sample_rate)))
    classes = {"in": ("fist",), "unseen": ()}
    source = Source("noise", folder, tuple(recordings), reader_version="1")
    split = lambda table: split_by_column("noise", table, classes)  # noqa: E731
    return Study(source, out=folder / "out", size=size, device="cpu", windows=windows, split=split, **more)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A complete little emg2pose folder, not to be changed; its path has a space and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("données é") / "emg2pose mini"
    write_dataset(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory):
    """A function that gives a simulated study of size TINY in a folder of its own; simulated and cut once for all."""
    from embridge.study import Study  # loads torch, which most tests of files do not need

    made = Study("simulated", out=tmp_path_factory.mktemp("made"), size=TINY, device="cpu")
    made.store  # noqa: B018

    def study(**options) -> Study:
        out = tmp_path_factory.mktemp("out")
        shutil.copytree(made.out / "data", out / "data", copy_function=os.link)
        return Study("simulated", out=out, size=TINY, device="cpu", **options)

    return study


def refuse_folders(monkeypatch, name: str) -> None:
    """Let no folder of this name be listed: to root, as whom tests may run, no permission forbids it."""
    real = os.scandir

    def scandir(path="."):
        if Path(path).name == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
