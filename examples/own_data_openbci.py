"""One person, a consumer board, a camera and prompts: `python examples/own_data_openbci.py FOLDER` trains and scores.

FOLDER holds s1_exg_N.csv (8 channels), s1_angle_N.csv (five fingers, a fifth of the rows new) and s1_prompt_N.csv of
github.com/SjDuque/EEG-EMG-Hands. Each recording is left out once; no choice was made after a score was seen.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from embridge.config import WindowConfig, profile
from embridge.data.recordings import Recording, Segment, Signals, Source
from embridge.data.splits import split_by_recording
from embridge.paper import scoring
from embridge.statistics import bootstrap_over_groups
from embridge.study import Study

RATE, REACTION = 250, 1.0  # Hz; s from a prompt until the hand is taken to be there. Windows of 1 s:
WINDOWS = WindowConfig(RATE, n_channels=8, n_joints=5, window=250, stride_train=25, stride_eval=125, bandpass=(20, 110))


def rows(recording: Recording, kind: str) -> pd.DataFrame:
    """One of a recording's three files by its clock in s, the last row where a time is there twice."""
    found = pd.read_csv(recording.path.with_name(recording.path.name.replace("_exg_", f"_{kind}_")))
    return found.set_index(found.pop("timestamp") / 1000).groupby(level=0).last()


def clock(recording: Recording) -> np.ndarray:
    """(T,) s, each 4 ms in which both the board and the camera were on; their clocks are taken for one."""
    ends = [rows(recording, kind).index[[0, -1]] for kind in ("exg", "angle")]
    return np.arange(max(first for first, _ in ends), min(last for _, last in ends), 1 / RATE)


def resampled(found: pd.DataFrame, at: np.ndarray) -> np.ndarray:
    """(T, n) straight lines between new rows: one that repeats the last was held, and what is NaN stays NaN."""
    new = found[(found.diff() != 0).any(axis=1)]
    return np.stack([np.interp(at, new.index, new[name]) for name in new], axis=1).astype(np.float32)


def prompts(recording: Recording) -> tuple[Segment, ...]:
    """A stretch a prompt, "01011" for index, ring and pinky; the last one has no end and is left out."""
    asked, at = rows(recording, "prompt"), clock(recording)
    starts, stops = np.searchsorted(at, asked.index[:-1] + REACTION), np.searchsorted(at, asked.index[1:])
    return tuple(map(Segment, starts, stops, ("".join(map("{:.0f}".format, row)) for row in asked.to_numpy())))


def load(recording: Recording) -> Signals:
    emg, pose = (resampled(rows(recording, kind), clock(recording)) for kind in ("exg", "angle"))
    return Signals(emg, pose, prompts(recording))


def main(folder: Path, out: str = "openbci", size: str = "quick") -> None:
    s1 = dict(user="s1", session="s1", gesture="", hand="", sample_rate=RATE, loader=load, labeller=prompts)
    recordings = [Recording(p.stem, p, counter=lambda r: len(clock(r)), **s1) for p in sorted(folder.glob("*_exg_*"))]
    if not recordings:
        sys.exit(f"{folder}: expected the files s1_exg_N.csv, s1_angle_N.csv and s1_prompt_N.csv, found none")
    source, size = Source("openbci-mediapipe", folder, recordings, reader_version="1"), profile(size)
    patterns = sorted(set.intersection(*({s.gesture for s in r.segments()} for r in recordings)))
    # few windows are few steps an epoch, so twice the epochs; no electrodes are known to form a ring
    mae, align = (replace(s, rotate=(), epochs=2 * s.epochs, t_0=2 * s.t_0) for s in (size.mae, size.align))
    size, folds = replace(size, mae=mae, align=align, evaluation=replace(size.evaluation, k=5)), []
    for one in recordings:
        split = partial(split_by_recording, "s1", classes={"in": patterns, "unseen": ()}, left_out=[one.key])
        study = Study(source, size=size, out=out, windows=WINDOWS, split=split)
        probes = [scoring.probe_outcome(study, x, "in") for x in ("Log-power + LDA", "Pose-MAE", "CPEP")]
        folds.append(probes + scoring.zero_shot_outcomes(study, "CPEP", "in", brief=True))
    print(f"balanced accuracy of {len(patterns)} patterns (chance {1 / len(patterns):.2f}): {' '.join(patterns)}")
    for same in zip(*folds, strict=True):  # one person: the interval is over recordings and tells of nobody else
        y, found, groups = (np.concatenate([getattr(o, name) for o in same]) for name in ("y", "predicted", "groups"))
        value, low, high = bootstrap_over_groups(y, found, groups, n_classes=len(patterns))
        each = ", ".join(f"{o.rows[0]['value']:.2f}" for o in same)
        print(f"{same[0].system} {same[0].protocol} {same[0].gallery}: {value:.2f} [{low:.2f}, {high:.2f}] ({each})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
