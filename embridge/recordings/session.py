"""One HDF5 file of emg2pose: its layout, its samples and its clock (METHOD 1)."""

import warnings
from pathlib import Path

import h5py
import numpy as np

from embridge.errors import EMBridgeWarning, InputError
from embridge.recordings import Recording, Segment, Signals

SAMPLE_RATE = 2000.0  # Hz
N_CHANNELS, N_ANGLES = 16, 20
MAX_BYTES = 2**31  # of one file's samples, told by its header: an hour in the wider of the two layouts is 1.7 GB
BLOCK = 1024  # samples turned from records into channels at a time: 150 kB of them stay in the processor's cache
CLOCK_MIN = 4000  # samples: what cannot hold a 2 s window gives none, whatever its clock says


class opened:
    """Context of the ``emg2pose`` group of one file; closes it whatever happens, and tells library errors plainly."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> h5py.Group:
        try:
            self.file = h5py.File(self.path, "r")
        except (OSError, RuntimeError) as error:
            raise InputError(f"{self.path}: not a readable HDF5 file ({error}); fetch it again") from error
        for name in ("emg2pose", "emg2pose/timeseries"):
            link = self.file.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                self.file.close()
                found = "a link, which may lead to another file" if link else "none"
                raise InputError(f"{self.path}: expected the dataset emg2pose/timeseries and found {found}")
        return self.file["emg2pose"]

    def __exit__(self, kind, error, trace):
        self.file.close()
        if isinstance(error, OSError | RuntimeError):
            raise InputError(f"{self.path}: damaged inside ({error}); fetch it again") from error


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
            raise InputError(
                f"{path}: expected {name} of shape {shape} in each sample, found {fields[name][0].shape}"
                " (samples come first, channels second)"
            )
        if fields[name][0].base.kind not in "fiu":
            raise InputError(f"{path}: expected real numbers in {name}, found {fields[name][0].base}; fetch it again")
    if series.ndim != 1:
        raise InputError(f"{path}: expected timeseries of shape (T,), found {series.shape}")


def count(recording: Recording) -> int:
    with opened(recording.path) as group:
        _check_layout(recording.path, group["timeseries"])
        return len(group["timeseries"])


def load(recording: Recording) -> Signals:
    """Read one session: (T, 16) EMG and (T, 20) angles in rad, split into segments where the clock has gaps."""
    with opened(recording.path) as group:
        _check_layout(recording.path, group["timeseries"])
        rate = group.attrs.get("sample_rate", SAMPLE_RATE)
        series = group["timeseries"][:]
    breaks = _breaks(recording.path, series["time"], rate)
    edges = (0, *breaks, len(series))
    return Signals(
        emg=_by_channel(series["emg"]),
        pose=_by_channel(series["joint_angles"]),
        segments=tuple(Segment(a, b, recording.gesture) for a, b in zip(edges, edges[1:], strict=False)),
        breaks=breaks,
    )


def _by_channel(values: np.ndarray) -> np.ndarray:
    """A field (T, n) of the records as float32 whose channels lie each in one piece, which filters and cuts go along.

    Block by block, for each sample is 152 bytes of its record: channel by channel takes three times as long.
    """
    out = np.empty(values.shape[::-1], np.float32)
    for start in range(0, len(values), BLOCK):
        out[:, start : start + BLOCK] = values[start : start + BLOCK].T
    return out.T


def _breaks(path: Path, time: np.ndarray, rate) -> tuple[int, ...]:
    """Samples before which the clock jumps; refuses a clock that runs back or at another rate."""
    with np.errstate(invalid="ignore"):  # what is not finite is told below
        step = np.diff(time.astype(np.float64)) * SAMPLE_RATE
    problem = ""
    if np.ndim(rate) or rate != SAMPLE_RATE:
        problem = f"expected a sample_rate of {SAMPLE_RATE:g} Hz, found {rate}"
    elif not np.isfinite(step).all():
        problem = "its clock holds NaN"
    elif (step < 0).any():
        problem = f"its clock runs backward at sample {int(np.argmax(step < 0)) + 1}"
    elif len(step) and not 0.99 < np.median(step) < 1.01:
        problem = f"its clock ticks every {np.median(step) / SAMPLE_RATE:g} s, expected {1 / SAMPLE_RATE:g}"
    if problem and len(time) < CLOCK_MIN:
        warnings.warn(f"{path}: {problem}; too short to matter", EMBridgeWarning, stacklevel=4)
        return ()
    if problem:
        raise InputError(f"{path}: {problem}; resample or leave the file out")
    return tuple(int(i) + 1 for i in np.flatnonzero(step > 1.5))
