"""Recordings: every source yields the same :class:`Recording`."""

import operator
import os
import traceback
from collections.abc import Callable
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


def _plain(array) -> np.ndarray:
    """An array of a list or another array, NaN where numpy's mask hides a value."""
    hidden = isinstance(array, np.ma.MaskedArray)
    return array.astype(np.float64).filled(np.nan) if hidden else np.asarray(array)


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
        for name, value in (whole | {"gesture": _text("gesture", self.gesture)}).items():
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
    failed : (T,) bool, frames without a pose, where the source tells them; None: those whose angles are all 0. They
        count where ``WindowConfig.exclude_ik_failures`` is on; a pose that is NaN is left out in any case
    """

    emg: np.ndarray
    pose: np.ndarray
    segments: tuple[Segment, ...]
    breaks: tuple[int, ...] = ()
    failed: np.ndarray | None = None

    def __post_init__(self):
        """Make arrays and tuples of lists; what cannot be raises TypeError or ValueError, which names the loader."""
        made = {"emg": _plain(self.emg), "pose": _plain(self.pose), "segments": tuple(self.segments)}
        if odd := [segment for segment in made["segments"] if not isinstance(segment, Segment)]:
            raise TypeError(f"expected segments to be of class Segment, found {odd[0]!r}")
        made["breaks"] = tuple(sorted(map(operator.index, self.breaks)))
        made["failed"] = None if self.failed is None else np.asarray(self.failed, bool)
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def checked(self, path: Path, n_channels: int, n_joints: int) -> "Signals":
        """As they are, but split at the breaks: no window may cross one.

        Raises InputError, which names ``path``, for another shape or length, what are no real numbers, and segments
        that lie beyond the end or over each other: windows of every source pass here.
        """
        for name, array, width in (("EMG", self.emg, n_channels), ("pose", self.pose, n_joints)):
            if array.ndim != 2 or array.shape[1] != width:
                turned = "; it looks like (channels, time): transpose it" if array.shape[:1] == (width,) else ""
                raise InputError(f"{path}: expected {name} of shape (T, {width}), found {array.shape}{turned}")
            if array.dtype.kind not in "fiu":
                raise InputError(f"{path}: expected real numbers in {name}, found {array.dtype}; convert it")
        n, end = len(self.emg), 0
        if n != len(self.pose):
            raise InputError(
                f"{path}: {n} EMG samples, but {len(self.pose)} of pose; resample one to the other's clock"
            )
        if not n:
            raise InputError(f"{path}: expected samples from its loader, found none; leave it out")
        if odd := [at for at in self.breaks if not 0 <= at <= n]:
            raise InputError(f"{path}: expected its breaks between sample 0 and {n}, its end, found {odd[0]}")
        if self.failed is not None and np.shape(self.failed) != (n,):
            raise InputError(f"{path}: expected failed of shape ({n},), found {np.shape(self.failed)}")
        for s in sorted(self.segments, key=lambda s: s.start):
            if not 0 <= s.start <= s.stop <= n:
                raise InputError(
                    f"{path}: expected its segments between sample 0 and {n}, its end, found one from {s.start} to "
                    f"{s.stop}"
                )
            if s.start < end and s.start < s.stop:
                raise InputError(
                    f"{path}: expected one label a sample, found a segment from {s.start} to {s.stop} where another "
                    f"ends at {end}; let segments not overlap"
                )
            end = max(end, s.stop)
        edges = ((s, (s.start, *(b for b in self.breaks if s.start < b < s.stop), s.stop)) for s in self.segments)
        return replace(self, segments=tuple(replace(s, start=a, stop=b) for s, at in edges for a, b in pairwise(at)))


@dataclass(frozen=True)
class Recording:
    """One recording: who made it and how to load it. Nothing is open until :meth:`load` is called.

    ``split`` is the source's own column ("train", "val", "test", or "" where the source has none), and
    ``generalization`` emg2pose's ("none", "stage", "user", "user_stage", or ""). ``made_from`` is of a recording whose
    ``loader`` makes the samples: a hash of what makes them, which stands for that of a file; nothing looks at ``path``.
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
        ended = f"{self.path}: its {name} ended in"
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
            raise InputError(
                f"{ended} {type(error).__name__}: {' '.join(str(error).split())}{at}; {expected}"
            ) from error
        if not isinstance(found, kind):
            raise InputError(f"{self.path}: its {name} returned {type(found).__name__}; {expected}")
        return found


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
    failures_known: bool = False  # failed poses, and labels shorter than a window, are no news: a page counts them

    def __post_init__(self):
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "recordings", tuple(self.recordings))
        if not self.name or "/" in self.name:  # folders of results are named after it
            raise InputError(f"source: expected a name that a folder may have, found {self.name!r}; rename it")
        keys = [r.key for r in self.recordings]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{self.name}: two recordings have the key {twice!r}; give each file one of its own")


def unreadable(left: list[tuple[str, str]], skip_broken: bool) -> Callable[[OSError], None]:
    """What os.walk calls for a folder that may not be read: raises InputError, or with ``skip_broken`` notes it."""

    def refused(error: OSError) -> None:
        if isinstance(
            error, (FileNotFoundError, NotADirectoryError)
        ):  # the top folder, of which its reader says more; or gone meanwhile
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
