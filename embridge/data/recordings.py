"""Recordings: every source yields the same :class:`Recording`."""

import operator
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from embridge.config import positive
from embridge.errors import InputError

SPLITS = ("train", "val", "test", "")  # what the column ``split`` may say
LINK = "a symbolic link to a folder is not followed; give --data the folder itself"
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz")
LEAVE_OUT = ", or leave out what cannot be read with --skip-broken"  # ends what is said of a broken recording


def _text(what: str, value) -> str:
    """A label as text; InputError for None and NaN, which a table has where it says nothing."""
    if value is None or value != value:
        raise InputError(f"{what}: expected text, found {value}; fill it in, or give an empty one")
    return str(value)


def plain(array) -> np.ndarray:
    """An array, NaN where numpy's mask hides a value."""
    masked = isinstance(array, np.ma.MaskedArray)
    return array.astype(np.float64).filled(np.nan) if masked else np.asarray(array)


@dataclass(frozen=True)
class Segment:
    """A stretch of one recording with one label. ``start`` and ``stop`` are samples, half-open."""

    start: int
    stop: int
    gesture: str  # emg2pose: the stage; NinaPro: "E1-05" (exercise and rank)
    repetition: int = -1  # NinaPro's repetition, -1 where there is none

    def __post_init__(self):
        """Labels are text, and numbers whole ones, also where a .mat file or a notebook gives numpy's."""
        object.__setattr__(self, "gesture", _text("gesture", self.gesture))
        try:
            for name in ("start", "stop", "repetition"):
                object.__setattr__(self, name, operator.index(getattr(self, name)))
        except TypeError:
            found = f"found {self.start!r} to {self.stop!r}"
            raise InputError(f"segment: expected whole numbers of samples, {found}") from None


@dataclass(frozen=True)
class Signals:
    """The samples of one recording."""

    emg: np.ndarray  # (T, C) float32, in the source's own unit
    pose: np.ndarray  # (T, J) float32, rad for emg2pose, raw glove units for NinaPro
    segments: tuple[Segment, ...]  # windows never cross one's border
    breaks: tuple[int, ...] = ()  # samples at which the clock jumps; filters run on each side of one alone
    # (T,) bool, frames without a pose, where the source tells them; None: those whose angles are all 0. They count
    # where WindowConfig.exclude_ik_failures is on; a pose that is NaN is left out in any case
    failed: np.ndarray | None = None

    def __post_init__(self):
        """What cannot be arrays and tuples raises TypeError or ValueError, of which :meth:`Recording.load` tells."""
        made = {"emg": plain(self.emg), "pose": plain(self.pose), "segments": tuple(self.segments)}
        if odd := [segment for segment in made["segments"] if not isinstance(segment, Segment)]:
            raise TypeError(f"expected segments to be of class Segment, found {odd[0]!r}")
        made["breaks"] = tuple(sorted(map(operator.index, self.breaks)))
        made["failed"] = None if self.failed is None else np.asarray(self.failed, bool)
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def checked(self, path: Path, n_channels: int, n_joints: int) -> "Signals":
        """As they are, but split at the breaks; windows of every source pass here.

        Raises InputError, which names ``path``, for another shape or length, what are no real numbers, and segments
        that lie beyond the end or over each other.
        """
        for name, array, width in (("EMG", self.emg, n_channels), ("pose", self.pose, n_joints)):
            check_width(path, name, array.shape, width)
            if array.dtype.kind not in "fiu":
                raise InputError(f"{path}: expected real numbers in {name}, found {array.dtype}; convert it")
        n, end = len(self.emg), 0
        if n != len(self.pose):
            differ = f"{n} EMG samples, but {len(self.pose)} of pose"
            raise InputError(f"{path}: {differ}; resample one to the other's clock")
        if not n:
            raise InputError(f"{path}: expected samples from its loader, found none; leave it out")
        if odd := [at for at in self.breaks if not 0 <= at <= n]:
            raise InputError(f"{path}: expected its breaks between sample 0 and {n}, its end, found {odd[0]}")
        if self.failed is not None and np.shape(self.failed) != (n,):
            raise InputError(f"{path}: expected failed of shape ({n},), found {np.shape(self.failed)}")
        for s in sorted(self.segments, key=lambda s: s.start):
            span = f"from {s.start} to {s.stop}"
            if not 0 <= s.start <= s.stop <= n:
                raise InputError(f"{path}: expected its segments between sample 0 and {n}, its end, found one {span}")
            if s.start < end and s.start < s.stop:
                found = f"found a segment {span} where another ends at {end}"
                raise InputError(f"{path}: expected one label a sample, {found}; let segments not overlap")
            end = max(end, s.stop)
        split = []
        for s in self.segments:
            edges = (s.start, *(b for b in self.breaks if s.start < b < s.stop), s.stop)
            split += [replace(s, start=a, stop=b) for a, b in pairwise(edges)]
        return replace(self, segments=split)


def check_width(path: Path, name: str, shape: tuple[int, ...], width: int) -> None:
    """InputError, which names ``path``, for a shape that is not (T, width)."""
    if len(shape) != 2 or shape[1] != width:
        turned = "; it looks like (channels, time): transpose it" if shape[:1] == (width,) else ""
        raise InputError(f"{path}: expected {name} of shape (T, {width}), found {shape}{turned}")


@dataclass(frozen=True)
class Recording:
    """One recording: who made it and how to load it. Nothing is open until :meth:`load` is called."""

    key: str  # unique within the source; emg2pose: the file name without extension
    path: Path
    user: str
    session: str
    gesture: str  # "" where the recording holds several (NinaPro): see Signals.segments
    hand: str  # "left", "right" or ""
    sample_rate: float
    moving_hand: str = ""  # emg2pose: which hand was prompted: left, right or both
    split: str = ""  # the source's own column: one of SPLITS
    generalization: str = ""  # emg2pose's column: "none", "stage", "user", "user_stage", or ""
    # where ``loader`` makes the samples, a hash of what makes them; nothing looks at ``path`` then
    made_from: str = field(default="", repr=False, compare=False)
    loader: Callable[["Recording"], Signals] = field(default=None, repr=False, compare=False)
    counter: Callable[["Recording"], int] = field(default=None, repr=False, compare=False)
    labeller: Callable[["Recording"], tuple[Segment, ...]] = field(default=None, repr=False, compare=False)

    def __post_init__(self):
        for name in ("key", "user", "session", "gesture", "hand", "moving_hand", "split", "generalization"):
            object.__setattr__(self, name, _text(f"{self.path}: {name}", getattr(self, name)))
        if self.split not in SPLITS:
            raise InputError(f"{self.path}: expected its split to be train, val, test or empty, found {self.split!r}")
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "sample_rate", positive(f"{self.path}: ", "a sample_rate in Hz", self.sample_rate))

    def load(self) -> Signals:
        """Read the samples: (T, C) EMG, (T, J) pose and the labelled segments. Opens and closes one file."""
        return self._ask("loader", Signals)

    def n_samples(self) -> int:
        """The number of samples, from the file's header alone."""
        return int(self._ask("counter", (int, np.integer)))

    def segments(self) -> tuple[Segment, ...]:
        """The labelled stretches, without reading EMG or pose; breaks of the clock within one are not known then."""
        if self.labeller is None:
            return (Segment(0, self.n_samples(), self.gesture),)
        return self._ask("labeller", tuple)

    def _ask(self, name: str, kind):
        """What a function of the source gives, of that kind; else, and whatever it raises, InputError with the file."""
        expected = f"expected it to return {'a number of samples' if name == 'counter' else kind.__name__}"
        try:
            found = getattr(self, name)(self)
        except InputError as error:
            if str(self.path) in str(error):
                raise
            raise InputError(f"{self.path}: {error}") from error
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)[1:]
            # in a library, and here, only its reader can look
            own = [f for f in frames if "site-packages" not in f.filename and f.filename not in (__file__, "<string>")]
            at = f" (line {own[-1].lineno} of {own[-1].filename})" if own else ""
            ended = f"its {name} ended in {type(error).__name__}: {' '.join(str(error).split())}{at}"
            raise InputError(f"{self.path}: {ended}; {expected}") from error
        if not isinstance(found, kind):
            raise InputError(f"{self.path}: its {name} returned {type(found).__name__}; {expected}")
        return found


@dataclass(frozen=True)
class Source:
    """A dataset on disk: its recordings, and what was left out and why."""

    name: str  # "emg2pose", "simulated", "ninapro-db1", "ninapro" or "simulated-ninapro"
    folder: Path
    recordings: tuple[Recording, ...]
    reader_version: str  # enters a window store's key: a reader that reads differently makes another store
    simulated: bool = False
    skipped: tuple[tuple[str, str], ...] = ()  # (file, reason)
    failures_known: bool = False  # failed poses, and labels shorter than a window, are no news: a page counts them

    def __post_init__(self):
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "recordings", tuple(self.recordings))
        object.__setattr__(self, "skipped", tuple(self.skipped))
        if not self.name or "/" in self.name:  # folders of results are named after it
            raise InputError(f"source: expected a name that a folder may have, found {self.name!r}; rename it")
        keys = [r.key for r in self.recordings]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{self.name}: two recordings have the key {twice!r}; give each file one of its own")


@contextmanager
def readable(path: Path, what: str, *errors: type[Exception]) -> Iterator[None]:
    """Tell in one sentence what a library raises for a file that is no ``what``."""
    try:
        yield
    except InputError:
        raise
    except errors as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not a readable {what} ({reason}); fetch it again") from error


def leave_out(left: list[tuple[str, str]], name: str, why, skip_broken: bool, where: str = "") -> None:
    """Note in ``left`` what is broken and why; without ``skip_broken`` raise that as an InputError."""
    if not skip_broken:
        raise InputError(f"{where}{why}{LEAVE_OUT}")
    left.append((name, str(why)))


def walk(folder: Path, left: list[tuple[str, str]], skip_broken: bool, *, follow: bool = False) -> Iterator[tuple]:
    """As os.walk, but for a folder that may not be read: InputError, or with ``skip_broken`` a note in ``left``."""

    def refused(error: OSError) -> None:
        # of a top folder that is not there its reader says more, and another one is gone meanwhile
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            why = f"the folder cannot be read ({error.strerror})"
            leave_out(left, os.path.basename(error.filename), why, skip_broken, f"{error.filename}: ")

    return os.walk(folder, onerror=refused, followlinks=follow)


def files_below(folder: Path, skip_broken: bool = False) -> tuple[list[Path], list[tuple[str, str]]]:
    """Every file below a folder, sorted, and entries of ``Source.skipped`` for folders that were not looked into.

    A link to a file is meant by who makes it, for data often lie on another disk; one to a folder may lead anywhere, or
    round, and is not followed. Raises InputError for a folder that may not be read, unless ``skip_broken``.
    """
    files, left = [], []
    for top, folders, names in walk(folder, left, skip_broken):
        files += [Path(top, name) for name in names]
        links = [path for name in folders if (path := Path(top, name)).is_symlink()]
        left += [(str(link.relative_to(folder)), LINK) for link in links]
    return sorted(files), sorted(left)


def only_one(dataset: str, files: dict, key, path: Path) -> None:
    """Note a file under its key; InputError where there is another one."""
    if key in files:
        raise InputError(f"{dataset}: {path.name} is there twice, as {files[key]} and {path}; remove one")
    files[key] = path


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
