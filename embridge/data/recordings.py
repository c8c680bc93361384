"""Recordings: every source yields the same :class:`Recording`."""

import operator
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embridge.errors import InputError

SPLITS = ("train", "val", "test", "")  # what the column ``split`` may say
LINK = "a symbolic link to a folder is not followed; give --data the folder itself"
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz")
LEAVE_OUT = ", or leave out what cannot be read with --skip-broken"  # ends what is said of a broken recording


@dataclass(frozen=True)
class Segment:
    """A stretch of one recording with one label. ``start`` and ``stop`` are samples, half-open."""

    start: int
    stop: int
    gesture: str  # emg2pose: the stage; NinaPro: "E1-05" (exercise and rank)
    repetition: int = -1  # NinaPro's repetition, -1 where there is none

    def __post_init__(self):
        """Labels are text, and numbers whole ones, also where a .mat file or a notebook gives numpy's."""
        try:
            whole = {name: operator.index(getattr(self, name)) for name in ("start", "stop", "repetition")}
        except TypeError:
            raise InputError(
                f"segment: expected whole numbers of samples, found {self.start!r} to {self.stop!r}"
            ) from None
        for name, value in (whole | {"gesture": str(self.gesture)}).items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Signals:
    """The samples of one recording.

    Attributes
    ----------
    emg : (T, C) float32 array, in the source's own unit
    pose : (T, J) float32 array, rad for emg2pose, raw glove units for NinaPro
    segments : labelled stretches; windows never cross one's border
    breaks : samples at which the clock jumps; filters run on each side of one alone
    failed : (T,) bool, frames without a pose, where the source tells them; None: those whose angles are all 0
    """

    emg: np.ndarray
    pose: np.ndarray
    segments: tuple[Segment, ...]
    breaks: tuple[int, ...] = ()
    failed: np.ndarray | None = None


@dataclass(frozen=True)
class Recording:
    """One recording: who made it and how to load it. Nothing is open until :meth:`load` is called.

    ``split`` is the source's own column ("train", "val", "test", or "" where the source has none), and
    ``generalization`` emg2pose's ("none", "stage", "user", "user_stage", or "").
    """

    key: str  # unique within the source; emg2pose: the file name without extension
    path: Path
    user: str
    session: str
    gesture: str  # "" where the recording holds several (NinaPro): see Signals.segments
    hand: str  # "left", "right" or ""
    sample_rate: float
    moving_hand: str = ""  # emg2pose: which hand was prompted: left, right or both
    split: str = ""
    generalization: str = ""
    simulated: bool = False
    loader: Callable[["Recording"], Signals] = field(default=None, repr=False, compare=False)
    counter: Callable[["Recording"], int] = field(default=None, repr=False, compare=False)
    labeller: Callable[["Recording"], tuple[Segment, ...]] = field(default=None, repr=False, compare=False)

    def __post_init__(self):
        for name in ("key", "user", "session", "gesture", "hand", "moving_hand", "split", "generalization"):
            object.__setattr__(self, name, str(getattr(self, name)))
        if self.split not in SPLITS:
            raise InputError(f"{self.path}: expected its split to be train, val, test or empty, found {self.split!r}")

    def load(self) -> Signals:
        """Read the samples: (T, C) EMG, (T, J) pose and the labelled segments. Opens and closes one file."""
        return self.loader(self)

    def n_samples(self) -> int:
        """The number of samples, from the file's header alone."""
        return self.counter(self)

    def segments(self) -> tuple[Segment, ...]:
        """The labelled stretches, without reading EMG or pose; breaks of the clock within one are not known then."""
        return self.labeller(self) if self.labeller else (Segment(0, self.n_samples(), self.gesture),)


@dataclass(frozen=True)
class Source:
    """A dataset on disk: its recordings, and what was left out and why.

    ``reader_version`` enters a window store's key: a reader that reads differently makes another store.
    """

    name: str  # "emg2pose", "simulated", "ninapro-db1", "ninapro" or "simulated-ninapro"
    folder: Path
    recordings: tuple[Recording, ...]
    reader_version: str
    simulated: bool = False
    skipped: tuple[tuple[str, str], ...] = ()  # (file, reason)
    failures_known: bool = False  # a pose of zeros is a failure of inverse kinematics, and it is no news that some fail

    def __post_init__(self):
        object.__setattr__(self, "recordings", tuple(self.recordings))
        keys = [r.key for r in self.recordings]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{self.name}: two recordings have the key {twice!r}; give each file one of its own")


def unreadable(left: list[tuple[str, str]], skip_broken: bool) -> Callable[[OSError], None]:
    """What os.walk calls for a folder that may not be read: raises InputError, or with ``skip_broken`` notes it."""

    def refused(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):  # the top folder, of which its reader says more; or gone meanwhile
            return
        if not skip_broken:
            raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror}){LEAVE_OUT}") from error
        left.append((os.path.basename(error.filename), f"the folder cannot be read ({error.strerror})"))

    return refused


def files_below(folder: Path, skip_broken: bool = False) -> tuple[list[Path], list[tuple[str, str]]]:
    """Every file below a folder, sorted, and entries of ``Source.skipped`` for folders that were not looked into.

    A link to a file is meant by who makes it, for data often lie on another disk; one to a folder may lead anywhere, or
    round, and is not followed. Raises InputError for a folder that may not be read, unless ``skip_broken``.
    """
    files, left = [], []
    for top, folders, names in os.walk(folder, onerror=unreadable(left, skip_broken)):
        links = [path for name in folders if (path := Path(top, name)).is_symlink()]
        left += [(str(link.relative_to(folder)), LINK) for link in links]
        files += [Path(top, name) for name in names]
    return sorted(files), sorted(left)


def archives(files: list[Path]) -> list[Path]:
    """Those of the files that are archives, which no reader looks into."""
    return [path for path in files if path.suffix.lower() in ARCHIVES and not path.name.startswith(".")]


def why_missing(files: list[Path], left: list[tuple[str, str]]) -> str:
    """The end of a message about missing data where :func:`files_below` met archives, or left folders out; or empty."""
    end = f"; {left[0][0]} was not looked into: {left[0][1]}" if left else ""
    if packed := archives(files):
        more = f" and {len(packed) - 5} more" if len(packed) > 5 else ""
        end += f"; unpack the archives that are there: {', '.join(p.name for p in packed[:5])}{more}"
    return end
