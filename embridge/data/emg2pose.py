"""emg2pose: one HDF5 file a hand and stage, described by ``metadata.csv`` (METHOD 1).

The CSV is trusted over the attributes in the files: their ``stage`` may carry a ``_both`` suffix. Never more than
one file is open in a process, and none between calls.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from embridge.data import recordings as reading
from embridge.data.hand import FINGERS, N_ANGLES
from embridge.data.recordings import SPLITS, Recording, Segment, Signals, Source
from embridge.errors import InputError, warn
from embridge.files import read_toml, sha256

METADATA_NAMES = ("metadata.csv", "emg2pose_metadata.csv")
COLUMNS = ("filename", "user", "session", "stage", "side", "moving_hand", "split", "generalization")
READER_VERSION = "emg2pose-1"
MOST_METADATA = 2**26  # bytes, ten times what the dataset's 25,253 rows take; pandas needs many times a CSV's size
SAMPLE_RATE = 2000.0  # Hz
N_CHANNELS = 16
MAX_BYTES = 2**31  # of one file's samples, told by its header: an hour in the wider of the two layouts is 1.7 GB
BLOCK = 1024  # samples turned from records into channels at a time: 150 kB of them stay in the processor's cache
CLOCK_MIN = 4000  # samples: what cannot hold a 2 s window gives none, whatever its clock says

_STAGES = read_toml(__file__)
IN_CLASSES, UNSEEN_CLASSES = tuple(_STAGES["in_classes"]), tuple(_STAGES["unseen_classes"])
HELD_OUT_STAGES = (*UNSEEN_CLASSES, *_STAGES["also_held_out"])
STAGES = tuple(sorted((*IN_CLASSES, *HELD_OUT_STAGES, *_STAGES["others"])))
_OF_THUMB, _OF_FINGER = ("CMC_FE", "CMC_AA", "MCP_FE", "IP_FE"), ("MCP_AA", "MCP_FE", "PIP_FE", "DIP_FE")
JOINTS = tuple(f"{name}_{joint}" for name in FINGERS for joint in (_OF_THUMB if name == "thumb" else _OF_FINGER))


def open_emg2pose(
    folder: Path | str, *, simulated: bool = False, skip_broken: bool = False, verify: bool = False
) -> Source:
    """List emg2pose's recordings below ``folder`` without reading their samples.

    Any subset of the files will do: rows without a file are absent; files without a row are left out and named in
    ``Source.skipped``, as links to folders are. Without a CSV the attributes in the HDF5 files are all there is: the
    recordings have no split, and a warning says so. ``verify`` compares every file with ``sha256.txt`` (lines of
    ``sha256sum``) in ``folder``. ``skip_broken`` leaves out files that do not open; without it they raise InputError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"emg2pose: there is no folder {folder}; pass --data with the one that holds the HDF5 files")
    below, left = reading.files_below(folder, skip_broken)
    files: dict[str, Path] = {}
    for path in below:
        if path.suffix == ".hdf5" and not path.name.startswith("."):  # macOS leaves "._name.hdf5" in archives
            reading.only_one("emg2pose", files, path.stem, path)
    if not files:
        raise InputError(
            f"emg2pose: {folder} holds no .hdf5 file and no EMG-BIDS; pass --data with the folder of <filename>.hdf5 "
            f"as in {METADATA_NAMES[0]}, or of dataset_description.json and *_emg.bdf{reading.why_missing(below, left)}"
        )
    if verify:
        _verify(folder, files)
    if tables := [path for path in below if path.name in METADATA_NAMES]:
        recordings, skipped = _from_csv(*read_metadata(tables), files)
    else:
        recordings, skipped = _from_attributes(folder, files, skip_broken)
    name = "simulated" if simulated else "emg2pose"
    return Source(name, folder, recordings, READER_VERSION, simulated, (*skipped, *left), True)


def read_metadata(tables: list[Path]) -> tuple[Path, pd.DataFrame]:
    """The least deep of these tables that has COLUMNS, and its rows, one a file, all columns text.

    Raises InputError for a table that is not whole, a split of another spelling, and where none has the columns.
    """
    lacking = []
    for csv in sorted(tables, key=lambda path: (len(path.parts), METADATA_NAMES.index(path.name))):
        with reading.readable(csv, "CSV file in UTF-8", OSError, ValueError):  # a link to nothing; pandas' own errors
            if (size := csv.stat().st_size) > MOST_METADATA:
                told = f"expected a table of at most {MOST_METADATA} bytes, found {size}; fetch it again"
                raise InputError(f"{csv}: {told}")
            # dtype=str: some user ids look numeric; "none" is a value of `generalization`, not a missing one
            rows = pd.read_csv(csv, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        if missing := [c for c in COLUMNS if c not in rows.columns]:
            lacking.append(f"{csv}: expected the columns {', '.join(COLUMNS)}; missing {', '.join(missing)}")
            continue
        odd = rows.split[~rows.split.isin(SPLITS)]
        if len(odd):
            found = f"expected train, val or test in the column split, found {odd.iloc[0]!r} in {len(odd)} rows"
            raise InputError(f"{csv}: {found}; write it as the published table does")
        twice = rows.filename[rows.filename.duplicated()]
        if len(twice):
            raise InputError(f"{csv}: the file {twice.iloc[0]} has more than one row; remove all but one")
        return csv, rows
    raise InputError(lacking[0])


def _from_csv(csv: Path, rows: pd.DataFrame, files: dict[str, Path]):
    rows = rows[rows.filename.isin(files.keys())].sort_values("filename")
    if unknown := sorted(set(files) - set(rows.filename)):
        warn(f"{len(unknown)} HDF5 files have no row in {csv} and are left out, first {unknown[0]}", 3)
    if rows.empty:
        raise InputError(f"{csv}: none of its rows names one of the {len(files)} HDF5 files below {csv.parent}")
    named = rows[list(COLUMNS)].rename(columns={"stage": "gesture", "side": "hand"}).to_dict("records")
    recordings = [_recording(files[row.pop("filename")], **row) for row in named]
    return recordings, [(f"{stem}.hdf5", f"no row in {csv.name}") for stem in unknown]


def _from_attributes(folder: Path, files: dict[str, Path], skip_broken: bool):
    warn(f"{folder} holds neither {' nor '.join(METADATA_NAMES)}: recordings have no split", 3)
    recordings, skipped = [], []
    for stem, path in files.items():
        try:
            with _opened(path) as group:
                found = [group.attrs.get(name, "") for name in ("user", "session", "stage", "side")]
        except InputError as error:
            reading.leave_out(skipped, path.name, error, skip_broken)
            continue
        user, session, stage, hand = (x.decode(errors="replace") if isinstance(x, bytes) else str(x) for x in found)
        if stem.endswith(("left", "right")) and not stem.endswith(hand):
            warn(f"{path}: its attribute says side {hand}, its name does not", 3)
        gesture = stage.removesuffix("_both")
        recordings.append(_recording(path, user=user, session=session, gesture=gesture, hand=hand))
    return recordings, skipped


def _recording(path: Path, **columns: str) -> Recording:
    return Recording(key=path.stem, path=path, sample_rate=SAMPLE_RATE, loader=_load, counter=_count, **columns)


def _verify(folder: Path, files: dict[str, Path]) -> None:
    manifest = folder / "sha256.txt"
    if not manifest.is_file():
        raise InputError(f"{folder} has no sha256.txt to check against; make one with: sha256sum *.hdf5 > sha256.txt")
    lines = (line.split(maxsplit=1) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip())
    sums = {Path(name.strip().lstrip("*")).stem: value for value, name in lines}
    for stem, path in files.items():
        if stem not in sums:
            raise InputError(f"{manifest}: has no line for {path.name}; make it again from files that you trust")
        if sha256(path) != sums[stem]:
            raise InputError(f"{path}: its SHA-256 differs from sha256.txt, so its bytes have changed; fetch it again")


@contextmanager
def _opened(path: Path) -> Iterator[h5py.Group]:
    """The ``emg2pose`` group of one file; closes it whatever happens, and tells library errors plainly."""
    with (
        reading.readable(path, "HDF5 file", OSError, RuntimeError),
        h5py.File(path, "r", locking=False) as file,  # nothing writes it, and some file systems have no locks
    ):
        for name in ("emg2pose", "emg2pose/timeseries"):
            link = file.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                found = "a link, which may lead to another file" if link else "none"
                raise InputError(f"{path}: expected the dataset emg2pose/timeseries and found {found}")
        yield file["emg2pose"]


def _check_layout(path: Path, series: h5py.Dataset) -> None:
    if not isinstance(series, h5py.Dataset) or series.external or series.is_virtual:
        raise InputError(f"{path}: expected timeseries to be a dataset with its samples in this file; fetch it again")
    if (size := max(series.size or 0, *(series.chunks or (0,))) * series.dtype.itemsize) > MAX_BYTES:
        raise InputError(f"{path}: its header claims {size} bytes, expected at most {MAX_BYTES}; fetch it again")
    fields = series.dtype.fields or {}
    for name, shape in (("time", ()), ("joint_angles", (N_ANGLES,)), ("emg", (N_CHANNELS,))):
        if name not in fields:
            raise InputError(f"{path}: timeseries has no field {name}; found {', '.join(fields) or 'no fields'}")
        if fields[name][0].shape != shape:
            found = f"found {fields[name][0].shape} (samples come first, channels second)"
            raise InputError(f"{path}: expected {name} of shape {shape} in each sample, {found}")
        if fields[name][0].base.kind not in "fiu":
            raise InputError(f"{path}: expected real numbers in {name}, found {fields[name][0].base}; fetch it again")
    if series.ndim != 1:
        raise InputError(f"{path}: expected timeseries of shape (T,), found {series.shape}")


def _count(recording: Recording) -> int:
    with _opened(recording.path) as group:
        _check_layout(recording.path, group["timeseries"])
        return len(group["timeseries"])


def _load(recording: Recording) -> Signals:
    """Read one session: (T, 16) EMG and (T, 20) angles in rad, one segment, with breaks where the clock has gaps."""
    with _opened(recording.path) as group:
        _check_layout(recording.path, group["timeseries"])
        rate = group.attrs.get("sample_rate", SAMPLE_RATE)
        series = group["timeseries"][:]
    breaks = _breaks(recording.path, series["time"], rate)
    segment = Segment(0, len(series), recording.gesture)
    return Signals(_by_channel(series["emg"]), _by_channel(series["joint_angles"]), (segment,), breaks)


def _by_channel(values: np.ndarray) -> np.ndarray:
    """A field (T, n) of the records as float32 whose channels lie each in one piece, along which filters run."""
    out = np.empty(values.shape[::-1], np.float32)
    # block by block, for each sample is 152 bytes of its record: channel by channel takes three times as long
    for start in range(0, len(values), BLOCK):
        out[:, start : start + BLOCK] = values[start : start + BLOCK].T
    return out.T


def _breaks(path: Path, time: np.ndarray, rate) -> tuple[int, ...]:
    """Samples before which the clock jumps; refuses a clock that runs back or at another rate."""
    with np.errstate(invalid="ignore"):  # what is not finite is told below
        step = np.diff(time.astype(np.float64)) * SAMPLE_RATE
    problem = ""
    if np.size(rate) != 1 or rate != SAMPLE_RATE:  # MATLAB's numbers are arrays
        problem = f"expected a sample_rate of {SAMPLE_RATE:g} Hz, found {rate}"
    elif not np.isfinite(step).all():
        problem = "its clock holds NaN"
    elif (step < 0).any():
        problem = f"its clock runs backward at sample {int(np.argmax(step < 0)) + 1}"
    elif len(step) and not 0.99 < np.median(step) < 1.01:
        problem = f"its clock ticks every {np.median(step) / SAMPLE_RATE:g} s, expected {1 / SAMPLE_RATE:g}"
    if problem and len(time) < CLOCK_MIN:
        warn(f"{path}: {problem}; too short to matter", 4)
        return ()
    if problem:
        raise InputError(f"{path}: {problem}; resample or leave the file out")
    return tuple(int(i) + 1 for i in np.flatnonzero(step > 1.5))
