"""One recording -> its windows: where they lie, and what is stored of them (METHOD 1; RELIABILITY 10-16).

This is what the workers that fill a store run; it knows no store and needs no torch.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from embridge.config import WindowConfig, n_bins
from embridge.data import signals as processing
from embridge.data.recordings import Recording, Segment, Signals
from embridge.data.signals import F16_MAX, POWER_PARTS, filter_emg
from embridge.errors import InputError
from embridge.files import sha256

IK_ZERO = 1e-6  # rad: a frame whose angles are all below this is a failure of inverse kinematics
# an EMG value beyond it is a damaged one, as a NaN is: the filter's sums leave float32's range, and float16 holds none
HUGE = np.float32(1e30)
COARSE = 4  # steps of float16 at a joint's mean: one whose SD is less loses a fourteenth of it or more to rounding


def arrays_of(kind: str, config: WindowConfig) -> dict[str, tuple[int, int]]:
    """The arrays of one window in a store of a kind, their shapes by file name; the EMG first, then the pose."""
    channels, joints = config.n_channels, config.n_joints
    if kind == "waveform":
        return {"emg.f16": (channels, config.window), "pose.f16": (joints, config.window)}
    bins = n_bins(config)
    return {"log-power.f16": (channels, bins), "frames.f16": (joints, bins), "power.f16": (channels, POWER_PARTS)}


def window_bytes(kind: str, config: WindowConfig) -> int:
    """The bytes of one window in a store of a kind."""
    return sum(2 * width * steps for width, steps in arrays_of(kind, config).values())


def checksum(emg: np.ndarray, *rest: np.ndarray) -> int:
    """64 bits that tell one window's float16 contents from another's: the CRC-32 of the EMG, then of the rest."""
    low = 0
    for array in rest:
        low = zlib.crc32(array, low)
    return zlib.crc32(emg) << 32 | low


@dataclass(frozen=True)
class SourceFile:
    """One recording's file as it was summed; ``fresh`` if that was just now, so that it need not be summed again."""

    size: int  # bytes
    mtime_ns: int
    sha256: str
    n_samples: int
    fresh: bool = False


@dataclass
class Part:
    """The windows of one recording, or the reason why it has none."""

    arrays: list[np.ndarray]  # what a store of this kind holds, each (n, ...) float16: see arrays_of
    log: dict  # JSON values: what the journal and the manifest keep


def place(
    segments: tuple[Segment, ...], failed: np.ndarray, broken: np.ndarray, config: WindowConfig
) -> tuple[np.ndarray, dict]:
    """Place windows: (n, 3) rows of segment index, start, offset in the valid stretch; and counts of what was lost.

    ``failed`` (T,) marks frames without a pose, ``broken`` (T,) samples with a NaN. A window is inside one segment and
    touches neither. After such samples windows "restart" there, or keep to the segment's "grid". The counts ("grid",
    "ik_failure", "nan") are of windows on the fixed grid: all of them, those with a failure, those with a NaN.
    """
    bad, rows = failed | broken, [np.zeros((0, 3), np.int64)]
    spoilt = _touched(bad, config)
    for index, segment in enumerate(segments):
        stretches = np.array([[segment.start, segment.stop]])
        if config.after_ik_failure != "grid":  # those without a bad sample
            good = ~bad[segment.start : segment.stop]
            edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0))
            stretches = segment.start + edges.reshape(-1, 2)
        for start, stop in stretches:
            at = _grid(start, stop, config)
            at = at[~spoilt(at)]
            rows.append(np.stack([np.full_like(at, index), at, at - start], axis=1))
    marks = {"grid": np.ones_like(bad), "ik_failure": failed, "nan": broken}
    counts = {name: counted(mask, segments, config) for name, mask in marks.items()}
    counts["short_segments"] = sum(segment.stop - segment.start < config.window for segment in segments)
    return np.concatenate(rows), counts


def _grid(start: int, stop: int, config: WindowConfig) -> np.ndarray:
    """The starts of windows, a stride apart, within a stretch."""
    return np.arange(start, stop - config.window + 1, config.stride_train)


def counted(mask: np.ndarray, segments: tuple[Segment, ...], config: WindowConfig) -> int:
    """How many windows of the fixed grid hold a sample that a mask (T,) marks."""
    if not mask.any():
        return 0
    touched = _touched(mask, config)
    return sum(int(touched(_grid(segment.start, segment.stop, config)).sum()) for segment in segments)


def _touched(mask: np.ndarray, config: WindowConfig) -> Callable[[np.ndarray], np.ndarray]:
    """A function of starts (n,): which of these windows hold a sample that a mask (T,) marks, (n,) bool."""
    total = np.concatenate([[0], np.cumsum(mask)])
    return lambda starts: total[starts + config.window] > total[starts]


def cut(job: tuple[Recording, WindowConfig, SourceFile, str]) -> Part:
    """Load, filter and cut one recording for a store of a kind; an InputError comes back in ``log["error"]``."""
    recording, config, file, kind = job
    log = {name: [] for name in ("windows", "digests", "checksums", "segments", "dead_channels")}
    log |= {"scale": 1.0, "counts": {}, "lost": {}}
    try:
        if not file.fresh and (found := sha256(recording.path)) != file.sha256:
            changed = f"(SHA-256 {found[:12]}..., was {file.sha256[:12]}...); fetch it again"
            raise InputError(f"{recording.path}: its bytes have changed although size and date have not {changed}")
        if file.n_samples >= config.window:  # length first, whatever its clock says
            signals = recording.load()
            if signals.emg.ndim and (n := len(signals.emg)) > file.n_samples:
                differ = f"its counter says {file.n_samples} samples, its loader gives {n}"
                raise InputError(f"{recording.path}: {differ}; count the same ones")
            return cut_signals(recording, signals, config, kind)
        log["counts"] = {"short": 1}
    except FileNotFoundError as error:  # gone since it was summed
        log["error"] = f"{recording.path}: cannot be read ({error.strerror}); fetch it again"
    except InputError as error:
        log["error"] = str(error)
    return Part([np.zeros((0, *shape), np.float16) for shape in arrays_of(kind, config).values()], log)


def cut_signals(recording: Recording, signals: Signals, config: WindowConfig, kind: str) -> Part:
    """Filter and cut one loaded recording. Both kinds have the same windows, whose digests are those of the waveforms.

    Raises InputError for another number of channels, joints or samples, and for another rate than the configuration's.
    """
    signals = signals.checked(recording.path, config.n_channels, config.n_joints)
    if recording.sample_rate != config.sample_rate:
        rates = f"expected {config.sample_rate:.10g} Hz, found {recording.sample_rate:.10g}"
        raise InputError(f"{recording.path}: {rates}; choose the window settings of this dataset")
    failed, pose = signals.failed, signals.pose
    if failed is None:  # by two comparisons, for int8 has no absolute of -128
        failed = ((pose > -IK_ZERO) & (pose < IK_ZERO)).all(axis=1)
    raw = np.where(np.abs(signals.emg) < HUGE, signals.emg, np.nan)
    marks = {"nan_emg": processing.unusable(raw, config), "nan_pose": ~np.isfinite(pose).all(axis=1)}
    # by two comparisons again, for the smallest int32 has no absolute value either
    marks["huge_pose"] = ((pose > F16_MAX) | (pose < -F16_MAX)).any(axis=1) & ~marks["nan_pose"]
    broken = np.any(list(marks.values()), axis=0)
    if not config.exclude_ik_failures:
        marks["failure_kept"], failed = failed, np.zeros_like(failed)
    rows, counts = place(signals.segments, failed, broken, config)
    emg = filter_emg(raw, config, signals.breaks).T  # (C, T), contiguous
    dead = ~(np.fmax.reduce(raw, axis=0) > np.fmin.reduce(raw, axis=0))  # constant, or NaN throughout
    emg[dead] = 0
    if config.bandpass is not None:  # an envelope at rest may well be flat
        # the filter leaves rounding of what was constant as it was recorded
        windows = [(emg[:, at : at + config.window], raw[at : at + config.window]) for at in rows[:, 1]]
        flat = np.array([processing.is_flat(x) or not np.ptp(was, axis=0).any() for x, was in windows], bool)
        rows, counts["no_signal"] = rows[~flat], int(flat.sum())
    lost = {name: counted(mask, signals.segments, config) for name, mask in marks.items()}
    lost["still_joints"] = np.flatnonzero(np.ptp(pose, axis=0) == 0).tolist()
    if len(good := pose[np.flatnonzero(~broken)[:: 1 + len(pose) // 100_000]].astype(np.float64)):
        coarse = good.std(axis=0) < COARSE * np.spacing(np.abs(good.mean(axis=0)).astype(np.float16))
        lost["coarse_joints"] = np.setdiff1d(np.flatnonzero(coarse), lost["still_joints"]).tolist()
    pose = np.ascontiguousarray(pose.T)
    features = _features(emg, pose, rows[:, 1], config) if kind == "features" else None
    scale = max(robust_scale(emg[~dead]), float(np.finfo(np.float32).tiny))
    with np.errstate(over="ignore"):  # what goes beyond float32 here is clipped to float16's range below
        emg /= scale
    waveforms = [_windows(x, rows[:, 1], config.window) for x in (emg, pose)]
    stored = features or waveforms
    log = {
        "windows": rows.tolist(),
        "digests": [checksum(*window) for window in zip(*waveforms, strict=True)],
        "checksums": [checksum(*window) for window in zip(*stored, strict=True)],
        "segments": [(s.gesture, s.repetition) for s in signals.segments],
        "scale": scale,
        "dead_channels": np.flatnonzero(dead).tolist(),
        "counts": {**counts, "ik_failure_samples": int(failed.sum())},
        "lost": lost,  # beside the counts, which are in the hash of a store's contents
    }
    return Part(stored, log)


def _features(emg: np.ndarray, pose: np.ndarray, starts: np.ndarray, config: WindowConfig) -> list[np.ndarray]:
    """Log-power (n, C, bins), frames (n, J, bins) and log-power of 8 parts (n, C, 8) of signals (C or J, T)."""
    found = [np.empty((len(starts), *shape), np.float16) for shape in arrays_of("features", config).values()]
    bins = n_bins(config)
    for i, at in enumerate(starts):
        window = emg[:, at : at + config.window]
        found[0][i] = processing.emg_features(window, bins)
        found[1][i] = processing.pose_frames(pose[:, at : at + config.window], bins)
        found[2][i] = processing.log_power(window, POWER_PARTS)
    return found


def robust_scale(emg: np.ndarray) -> float:
    """Robust SD of a recording (..., T), in its unit: the 90th percentile of |x - median|, over a Gaussian's 1.645.

    Half of the samples or more may be an envelope's floor. At least a tenth of the same SD from the 99th percentile
    (over 2.576), so that the scale of a recording that rests for nine tenths of its time never jumps. (On DB1's subject
    1 the first is 2.7 times that tenth.) What rests for 99 % has its plain SD, and a constant has 1.
    """
    some = np.sort(emg.ravel()[:: max(1, emg.size // 200_000)])  # a sort is vectorised, a quantile's selection is not
    if not some.size:
        return 1.0
    near, far = np.quantile(np.sort(np.abs(some - np.median(some))), (0.9, 0.99)) / (1.645, 2.576)
    return float(max(near, far / 10)) or float(some.std(dtype=np.float64)) or 1.0


def _windows(x: np.ndarray, starts: np.ndarray, window: int) -> np.ndarray:
    """Cut x (C, T) into (n, C, window) float16."""
    x = np.clip(x, -F16_MAX, F16_MAX).astype(np.float16)
    return np.array([x[:, start : start + window] for start in starts], np.float16).reshape(-1, len(x), window)
