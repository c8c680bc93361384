"""Recordings of your own: a reader for one .npz a recording, as `Study` takes it."""

from pathlib import Path

import numpy as np

from embridge.config import WindowConfig
from embridge.data.recordings import Recording, Segment, Signals, Source
from embridge.data.splits import split_by_column

# 8 electrodes and 20 joint angles at 2 kHz, mains of 50 Hz; windows of 2 s
WINDOWS = WindowConfig(n_channels=8, n_joints=20, notch=50.0)
CLASSES = {"in": ("fist", "pinch"), "unseen": ("point", "wave")}


def load(recording: Recording) -> Signals:
    with np.load(recording.path, allow_pickle=False) as file:
        emg, pose = file["emg"].astype(np.float32), file["pose"].astype(np.float32)  # (T, C) any unit, (T, J) rad
    return Signals(emg, pose, segments=(Segment(0, len(emg), recording.gesture),))


def count(recording: Recording) -> int:
    with np.load(recording.path, allow_pickle=False) as file:
        return len(file["emg"])


def open_npz(folder: Path) -> Source:
    """The files train_anna_fist_1.npz (split, user, gesture, session) in a folder; raise the version on a change."""
    recordings = []
    for path in sorted(folder.glob("*.npz")):
        split, user, gesture, session = path.stem.split("_")
        about = dict(key=path.stem, path=path, user=user, session=f"{user}-{session}", gesture=gesture, split=split)
        recordings.append(Recording(**about, hand="right", sample_rate=2000.0, loader=load, counter=count))
    return Source("my-recordings", folder, tuple(recordings), reader_version="1")


def split(table):
    return split_by_column("my-recordings", table, CLASSES)
