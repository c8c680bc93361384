"""NinaPro: one ``.mat`` file a subject and exercise (METHOD 1): DB1, and DB2 with DB7.

A gesture is named by exercise and *rank* within it ("E1-05"), never by its raw label: the databases number the same
movements differently, some on across exercises. A database is one entry of ``ninapro.toml``.

From others' code that reads the real files: an archive unpacks to ``DB2_s1/S1_E1_A1.mat``, ``Subject_1/S1_E1_A1.mat``
or to bare files; the fields ``subject`` and ``exercise`` of some are wrong (so names decide); DB2's refined labels of
subject 12 end 272 samples before its EMG.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError

from embridge.data import recordings as reading
from embridge.data.recordings import Recording, Segment, Signals, Source
from embridge.errors import InputError, warn
from embridge.files import read_toml

FIELDS = ("emg", "glove", "restimulus", "rerepetition")
NUMBERS = {"double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
READER_VERSION = "ninapro-1"
SLACK = 0.01  # share of the samples by which fields may differ in length; the shortest decides
MAX_HOURS = 1.0  # a real exercise lasts about 20 minutes; a header that says more is damaged. In doubles it is 2 GB
UNREADABLE = (OSError, ValueError, TypeError, EOFError, RuntimeError, KeyError, MemoryError, zlib.error, MatReadError)


@dataclass(frozen=True)
class Database:
    """One NinaPro database: its files, shapes and labels."""

    name: str
    file: str  # regular expression with the groups `subject` and `exercise`; any case, any nesting
    example: str  # a file's name, for messages
    sample_rate: float  # Hz
    n_channels: int
    n_sensors: int  # of the glove, in the file
    exercises: Mapping[int, tuple[int, tuple[int, ...]]]  # exercise -> its number of movements, possible first labels
    prefix: str = ""  # of users and keys, so that two databases share none
    split: str = ""
    n_subjects: int | None = None  # in the whole database, where a gap is reported
    left_out: tuple[int, ...] = ()  # subjects
    left_out_why: str = ""
    dropped: tuple[int, ...] = ()  # glove columns, counted from 1
    names_decide: bool = False  # the field `subject` is not compared: in some real files it is wrong


_TOLD = read_toml(__file__)
DB1, DB2, DB7 = (
    Database(**told | {"exercises": {int(number): about for number, about in told["exercises"].items()}})
    for told in (_TOLD[name] for name in ("DB1", "DB2", "DB7"))
)


def gesture_name(exercise: int, rank: int) -> str:
    """The name of a movement: ``gesture_name(1, 5)`` is "E1-05". Ranks count from 1 within the exercise."""
    return f"E{exercise}-{rank:02d}"


def open_db1(folder: Path | str, *, exercises: Sequence[int] = (1,), skip_broken: bool = False) -> Source:
    """List DB1's exercise 1, or others, which METHOD 1 leaves out; a recording a subject, at any depth in ``folder``.

    Raises InputError for another exercise than 1 to 3, where there is no such file, or where a subject has some
    exercises but not these (``skip_broken`` leaves out what is missing and counts it).
    """
    asked = np.ravel(exercises).tolist()
    exact = [exercise for exercise in DB1.exercises if exercise in asked]  # not 1.0, which names would show
    if not exact or not set(asked) <= set(exact):
        raise InputError(f"{DB1.name}: expected exercises among 1, 2 and 3, found {exercises}; ask for those")
    recordings, skipped = _list(DB1, Path(folder), skip_broken, exact)
    return Source(DB1.name, folder, recordings, READER_VERSION, False, skipped, True)


def open_ninapro(folder: Path | str, *, simulated: bool = False, skip_broken: bool = False) -> Source:
    """List exercises 1 and 2 of ``folder/DB2`` (split "train") and ``folder/DB7`` (split "test"), at any depth there.

    Users are "DB2-S1", "DB7-S1" and so on. DB7's amputees are left out and counted in ``skipped``; subjects that are
    missing from the real databases are counted there, too, and named in a warning. Poses have the 18 sensors that both
    gloves share, raw units; EMG is in volts. Raises InputError where a database has no folder or no file, and where a
    subject lacks an exercise (``skip_broken`` leaves that exercise out and counts it).
    """
    folder, recordings, skipped = Path(folder), [], []
    inside = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    for database in (DB2, DB7):
        below = [p for p in inside if p.name.upper() == database.name]
        if len(below) != 1:
            found = ", ".join(p.name for p in below or inside) or "no folder"
            found += f"; see docs/data.md{reading.why_missing(*reading.files_below(folder))}"
            raise InputError(f"ninapro: expected one folder {database.name} in {folder}, found {found}")
        listed, out = _list(database, below[0], skip_broken, database.exercises)
        recordings += listed
        skipped += out if simulated else out + _gaps(database, listed)
    name = "simulated-ninapro" if simulated else "ninapro"
    return Source(name, folder, recordings, READER_VERSION, simulated, skipped, True)


def _list(database: Database, folder: Path, skip_broken: bool, exercises: Iterable[int]) -> tuple[list, list]:
    """The recordings of one database, by subject and exercise, and (file, reason) of what is left out."""
    if not folder.is_dir():
        clue = reading.why_missing([folder], []) if folder.exists() else ""
        remedy = f"pass --data with the folder of its .mat files{clue}"
        raise InputError(f"{database.name}: there is no folder {folder}; {remedy}")
    files: dict[tuple[int, int], Path] = {}
    below, left = reading.files_below(folder, skip_broken)
    for path in below:
        if match := re.fullmatch(database.file, path.name, re.IGNORECASE):
            reading.only_one(database.name, files, (int(match["subject"]), int(match["exercise"])), path)
    recordings, skipped = [], []
    for subject in sorted({s for s, _ in files}):
        if subject in database.left_out:
            skipped.append((f"{database.prefix}S{subject}", database.left_out_why))
            continue
        for exercise in exercises:
            if (subject, exercise) in files:
                recordings.append(_recording(database, files[subject, exercise], subject, exercise))
                continue
            why = f"subject {subject} has no file for exercise {exercise} below {folder}; add it"
            reading.leave_out(skipped, f"{database.prefix}S{subject}", why, skip_broken, f"{database.name}: ")
    if not recordings:
        example = f"{folder} holds no file like {database.example}; expected one a subject and exercise"
        raise InputError(f"{database.name}: {example}{reading.why_missing(below, left)}")
    return recordings, skipped + _packed(database, below, {s for s, _ in files}) + left


def _packed(database: Database, below: list[Path], found: set[int]) -> list[tuple[str, str]]:
    """Archives of subjects without a file, named in a warning; those of the others were unpacked already."""
    packed = []
    for path in reading.archives(below):
        subject = re.search(r"(?<![a-z])s(?:ubject)?_?(\d+)", path.stem, re.IGNORECASE)  # S1, DB2_s1, Subject_1
        if subject and int(subject[1]) not in {*found, *database.left_out}:
            packed.append(path.name)
    if packed:
        warn(f"{database.name}: archives are not read; unpack those of subjects without a file: {', '.join(packed)}", 4)
    return [(name, "an archive is not read; unpack it") for name in packed]


def _gaps(database: Database, recordings: list[Recording]) -> list[tuple[str, str]]:
    """The database's subjects without a file: named in a warning, since a subset is a use and not a mistake."""
    there = {r.user for r in recordings}
    missing = [u for k in range(1, database.n_subjects + 1) if (u := f"{database.prefix}S{k}") not in there]
    if missing:
        warn(f"{database.name}: {len(missing)} of {database.n_subjects} subjects are missing: {', '.join(missing)}", 3)
    return [(user, "has no files") for user in missing]


def _recording(database: Database, path: Path, subject: int, exercise: int) -> Recording:
    user = f"{database.prefix}S{subject}"
    key = f"{user}-E{exercise}" if database.prefix else path.stem.upper()
    read = {"loader": partial(_load, database, exercise), "counter": partial(_count, database)}
    read["labeller"] = partial(_labels, database, exercise)
    # the session is the user: exercises follow each other, electrodes and glove stay on
    return Recording(key, path, user, user, "", "", database.sample_rate, split=database.split, **read)


def _shapes(database: Database, path: Path) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shape of each array of numbers, from the headers alone, and how many samples all fields have.

    InputError for a missing field or a wrong shape. A cell's header says nothing of how much it holds.
    """
    if h5py.is_hdf5(path):
        remedy = "save it again with -v7, or fetch the site's own file, which is v5"
        raise InputError(f"{path}: a MATLAB v7.3 file; {remedy}")
    with reading.readable(path, ".mat file", *UNREADABLE):
        found = scipy.io.whosmat(path)
    names = [name for name, _, _ in found]
    shapes = {name: shape for name, shape, kind in found if kind in NUMBERS and names.count(name) == 1}
    if missing := [name for name in FIELDS if name not in shapes]:
        expected = f"expected arrays {', '.join(FIELDS)}, of numbers; missing {', '.join(missing)}"
        raise InputError(f"{path}: {expected}; fetch it again")
    for name, width in (("emg", database.n_channels), ("glove", database.n_sensors)):
        reading.check_width(path, name, shapes[name], width)
    if wide := [name for name in FIELDS[2:] if sum(n > 1 for n in shapes[name]) > 1]:
        raise InputError(f"{path}: expected {wide[0]} of shape (T, 1), found {shapes[wide[0]]}; leave it out")
    lengths = {name: int(np.prod(shapes[name])) if name.startswith("re") else shapes[name][0] for name in FIELDS}
    for name, n in lengths.items():
        if n > MAX_HOURS * 3600 * database.sample_rate:
            raise InputError(f"{path}: {name} has {n} samples, expected at most {MAX_HOURS:g} h; fetch it again")
        if abs(n - lengths["emg"]) > SLACK * lengths["emg"]:
            raise InputError(f"{path}: {name} has {n} samples where emg has {lengths['emg']}")
    return shapes, min(lengths.values())


def _count(database: Database, recording: Recording) -> int:
    shapes, n = _shapes(database, recording.path)
    most = max(shapes["emg"][0], shapes["glove"][0], *(max(shapes[name]) for name in FIELDS[2:]))
    if n < most:
        warn(f"{recording.path}: its fields differ in length; of {most} samples the first {n} are read", 3)
    return shapes["emg"][0]


def _load(database: Database, exercise: int, recording: Recording) -> Signals:
    """Read one file: (T, C) EMG in V, (T, J) glove units, one segment a (movement, repetition)."""
    path = recording.path
    shapes, n = _shapes(database, path)  # beyond n a sample has no label, or no pose
    says_subject = not database.names_decide and shapes.get("subject") == (1, 1)
    content = _read(path, [*FIELDS, "subject"] if says_subject else FIELDS)
    subject = recording.user[1:]
    if says_subject and (found := f"{content['subject'][0, 0]:g}") != subject:
        raise InputError(f"{path}: its name says subject {subject}, its field says {found}; restore its name")
    glove = content["glove"][:n].astype(np.float32)  # whole numbers come as whatever small integers hold them
    kept = [i for i in range(database.n_sensors) if i + 1 not in database.dropped]
    # on DB1's subject 1 no sensor is NaN and each moves by at least 10 units: a still sensor is a broken one
    broken = ~np.isfinite(glove).all(axis=0) | ((np.ptp(glove, axis=0) == 0) if n else False)
    if columns := ", ".join(str(i + 1) for i in kept if broken[i]):
        raise InputError(f"{path}: glove columns {columns} (from 1) are constant or NaN; leave this subject out")
    emg, pose = np.ascontiguousarray(content["emg"][:n], dtype=np.float32), np.ascontiguousarray(glove[:, kept])
    return Signals(emg, pose, _segments(database, exercise, path, content, n))


def _labels(database: Database, exercise: int, recording: Recording) -> tuple[Segment, ...]:
    """The segments alone, for which the two fields of labels are enough."""
    _, n = _shapes(database, recording.path)
    return _segments(database, exercise, recording.path, _read(recording.path, FIELDS[2:]), n)


def _read(path: Path, names: Sequence[str]) -> dict:
    with reading.readable(path, ".mat file", *UNREADABLE):
        content = scipy.io.loadmat(path, variable_names=list(names))
    if imaginary := [name for name in names if name in content and np.iscomplexobj(content[name])]:
        raise InputError(f"{path}: expected real numbers in {imaginary[0]}, found complex ones; fetch it again")
    return content


def _segments(database: Database, exercise: int, path: Path, content: dict, n: int) -> tuple[Segment, ...]:
    """Runs of one label and one repetition in n samples; rest (0) and unnumbered repetitions are in none.

    The labels must fit exactly one of the numbers that the exercise's first movement may have: InputError, also where
    they are those of another exercise, and all. A warning where movements are missing.
    """
    n_movements, firsts = database.exercises[exercise]
    for name in FIELDS[2:]:
        if wrong := [x for x in np.unique(content[name]) if not 0 <= x < 256 or x % 1]:
            raise InputError(f"{path}: expected whole numbers 0 to 255 in {name}, found {wrong[0]:g}; leave it out")
    # uint8 in the real files, also where the header says double: differences and sums would wrap around
    labels, repetitions = (np.ravel(content[name])[:n].astype(np.int64) for name in FIELDS[2:])
    used = np.unique(labels[labels != 0])
    fits = [first for first in firsts if ((used >= first) & (used < first + n_movements)).all()]
    if len(fits) != 1 and len(used):
        numberings = " or ".join(f"{first}..{first + n_movements - 1}" for first in firsts)
        wrong = ", ".join(map(str, used)) if len(used) < 6 else f"{used[0]}..{used[-1]}"
        problem = "which fits both" if fits else "which is neither" if len(firsts) > 1 else "which is not"
        raise InputError(f"{path}: expected restimulus 0 and {numberings}, found {wrong}, {problem}; leave it out")
    first = fits[0] if len(used) else 1
    if 0 < len(used) < n_movements:
        told = f"{path}: expected {n_movements} movements in exercise {exercise}, found {len(used)}"
        for other, (n, _) in database.exercises.items():
            if len(used) == used[-1] == n:
                raise InputError(f"{told}, as many as exercise {other} has; restore its name, or leave it out")
        warn(f"{told}, of labels {', '.join(map(str, used))}", 3)
    rank = labels - first + 1
    edges = [0, *(np.flatnonzero(np.diff(labels) | np.diff(repetitions)) + 1).tolist(), len(labels)]
    return tuple(
        Segment(a, b, gesture_name(exercise, int(rank[a])), int(repetitions[a]))
        for a, b in pairwise(edges)
        if b > a and labels[a] != 0 and repetitions[a] > 0
    )
