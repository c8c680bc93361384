"""NinaPro: one ``.mat`` file a subject and exercise (METHOD 1; DB1 here).

A gesture is named by exercise and *rank* within it ("E1-05"), never by its raw label: the databases number the same
movements differently, some on across exercises. A database is one :class:`Database` entry and one public function.
"""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError

from embridge.errors import InputError
from embridge.recordings import Recording, Segment, Signals, Source

FIELDS = ("emg", "glove", "restimulus", "rerepetition")
READER_VERSION = "ninapro-1"
UNREADABLE = (OSError, ValueError, TypeError, EOFError, NotImplementedError, KeyError, zlib.error, MatReadError)


@dataclass(frozen=True)
class Database:
    """What tells one NinaPro database from another."""

    name: str
    file: str  # regular expression with the groups `subject` and `exercise`; any case, any nesting
    sample_rate: float  # Hz
    n_channels: int
    n_sensors: int
    exercises: dict[int, tuple[int, int]]  # exercise -> its (first raw label, number of movements)


DB1 = Database(
    name="ninapro-db1",
    file=r"S(?P<subject>\d+)_A1_E(?P<exercise>\d)\.mat",
    sample_rate=100.0,
    n_channels=10,
    n_sensors=22,
    exercises={1: (1, 12)},
)


def gesture_name(exercise: int, rank: int) -> str:
    """The name of a movement: ``gesture_name(1, 5)`` is "E1-05". Ranks count from 1 within the exercise."""
    return f"E{exercise}-{rank:02d}"


def open_db1(folder: Path | str, *, skip_broken: bool = False) -> Source:
    """List DB1's exercise 1, one recording a subject, found at any depth below ``folder``.

    Raises InputError where there is no such file, or where a subject has other exercises but not this one
    (``skip_broken`` leaves that subject out and counts it).
    """
    return _open(DB1, Path(folder), skip_broken)


def _open(database: Database, folder: Path, skip_broken: bool) -> Source:
    if not folder.is_dir():
        raise InputError(f"{database.name}: there is no folder {folder}; pass --data with the folder of its .mat files")
    files: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.rglob("*")):
        match = re.fullmatch(database.file, path.name, re.IGNORECASE)
        if match:
            where = (int(match["subject"]), int(match["exercise"]))
            if where in files:
                raise InputError(
                    f"{database.name}: {path.name} is there twice, as {files[where]} and {path}; remove one"
                )
            files[where] = path
    recordings, skipped = [], []
    for subject in sorted({s for s, _ in files}):
        for exercise in database.exercises:
            if (subject, exercise) in files:
                recordings.append(_recording(database, files[subject, exercise], subject))
                continue
            reason = f"subject {subject} has no file for exercise {exercise} below {folder}; add it"
            if not skip_broken:
                raise InputError(f"{database.name}: {reason}")
            skipped.append((f"S{subject}", reason))
    if not recordings:
        raise InputError(f"{database.name}: {folder} holds no file like S1_A1_E1.mat; expected one a subject")
    return Source(
        name=database.name,
        folder=folder,
        recordings=tuple(recordings),
        reader_version=READER_VERSION,
        skipped=tuple(skipped),
    )


def _recording(database: Database, path: Path, subject: int) -> Recording:
    return Recording(
        key=path.stem.upper(),
        path=path,
        user=f"S{subject}",
        session=path.stem.upper(),
        gesture="",
        hand="",
        sample_rate=database.sample_rate,
        loader=_load_db1,
        counter=_count,
    )


def _count(recording: Recording) -> int:
    try:
        return next(shape[0] for name, shape, _ in scipy.io.whosmat(recording.path) if name == "emg")
    except (*UNREADABLE, StopIteration) as error:
        raise InputError(f"{recording.path}: not a readable .mat file with a field emg ({error!r})") from error


def _load_db1(recording: Recording) -> Signals:
    """Read one subject: (T, 10) envelope in V, (T, 22) glove units, one segment a (movement, repetition)."""
    return _load(DB1, recording)


def _load(database: Database, recording: Recording) -> Signals:
    path = recording.path
    match = re.fullmatch(database.file, path.name, re.IGNORECASE)
    subject, exercise = int(match["subject"]), int(match["exercise"])
    try:
        content = scipy.io.loadmat(path, variable_names=[*FIELDS, "subject"])
    except UNREADABLE as error:
        raise InputError(f"{path}: not a readable .mat file ({error!r}); fetch it again") from error
    missing = [name for name in FIELDS if name not in content]
    if missing:
        raise InputError(f"{path}: expected the fields {', '.join(FIELDS)}; missing {', '.join(missing)}")
    if "subject" in content and int(np.ravel(content["subject"])[0]) != subject:
        found = int(np.ravel(content["subject"])[0])
        raise InputError(f"{path}: its name says subject {subject}, its field says {found}; restore its name")
    emg, glove = content["emg"], content["glove"]
    for name, array, width in (("emg", emg, database.n_channels), ("glove", glove, database.n_sensors)):
        if array.ndim != 2 or array.shape[1] != width:
            raise InputError(f"{path}: expected {name} of shape (T, {width}), found {array.shape}")
    labels, repetitions = (np.ravel(content[name]).astype(np.int64) for name in FIELDS[2:])
    for name, array in (("glove", glove), ("restimulus", labels), ("rerepetition", repetitions)):
        if len(array) != len(emg):
            raise InputError(f"{path}: {name} has {len(array)} samples where emg has {len(emg)}")
    _check_glove(path, glove)
    return Signals(
        emg=np.ascontiguousarray(emg, dtype=np.float32),
        pose=np.ascontiguousarray(glove, dtype=np.float32),
        segments=_segments(path, exercise, *database.exercises[exercise], labels, repetitions),
    )


def _check_glove(path: Path, glove: np.ndarray) -> None:
    """On DB1's subject 1 no sensor is NaN and each moves by at least 10 units: a still sensor is a broken one."""
    broken = ~np.isfinite(glove).all(axis=0)
    if len(glove):
        broken |= np.ptp(glove, axis=0) == 0
    if broken.any():
        columns = ", ".join(str(i + 1) for i in np.flatnonzero(broken))
        raise InputError(f"{path}: glove columns {columns} (from 1) are constant or NaN; leave this subject out")


def _segments(
    path: Path, exercise: int, first: int, n_movements: int, labels: np.ndarray, repetitions: np.ndarray
) -> tuple[Segment, ...]:
    """Runs of one label and one repetition; rest (0) and unnumbered repetitions are in none."""
    rank = labels - first + 1
    wrong = labels[(labels != 0) & ((rank < 1) | (rank > n_movements))]
    if len(wrong):
        last = first + n_movements - 1
        raise InputError(f"{path}: expected restimulus 0 or {first}..{last}, found {wrong[0]}")
    change = np.flatnonzero(np.diff(labels) | np.diff(repetitions)) + 1
    edges = [0, *change.tolist(), len(labels)]
    return tuple(
        Segment(a, b, gesture_name(exercise, int(rank[a])), int(repetitions[a]))
        for a, b in zip(edges, edges[1:], strict=False)
        if b > a and labels[a] != 0 and repetitions[a] > 0
    )
