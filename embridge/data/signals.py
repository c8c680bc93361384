"""Filters for whole recordings, and what a features store keeps of a window (METHOD 1).

scipy.signal takes seconds to load, and is imported where it is needed: what trains filters nothing.
"""

from functools import cache
from itertools import pairwise

import numpy as np

from embridge.config import WindowConfig

F16_MAX = 65504.0
POWER_PARTS = 8  # equal parts of a window whose log-power the line without a network reads
POWER_FLOOR = 0.01  # added to a bin's mean square, in variances of the window, before the logarithm (METHOD 1, ours)


@cache
def sections(config: WindowConfig) -> np.ndarray | None:
    """Band-pass and notch as one cascade of second-order sections (n, 6), or None where there is no filter (E 3.2)."""
    from scipy.signal import butter, iirnotch, tf2sos

    parts = []
    if config.bandpass is not None:
        parts.append(butter(config.bandpass_order, config.bandpass, "bandpass", output="sos", fs=config.sample_rate))
    if config.notch is not None:
        parts.append(tf2sos(*iirnotch(config.notch, config.notch_q, fs=config.sample_rate)))
    return np.concatenate(parts) if parts else None


def ring(config: WindowConfig) -> int:
    """Samples by which a disturbance spreads: two periods of the lower edge, where the slowest pole is down to 1 %."""
    return 0 if config.bandpass is None else round(2 * config.sample_rate / config.bandpass[0])


def filter_emg(emg: np.ndarray, config: WindowConfig, breaks: tuple[int, ...] = ()) -> np.ndarray:
    """Band-pass and notch a whole recording with zero phase.

    ``emg`` is (T, C) in any unit and so is the result, float32. What is not finite is filled with a straight line
    first, so that it spoils its surroundings (:func:`unusable`) and not the channel. The filter starts afresh at
    each of ``breaks``, where the clock jumps.
    """
    from scipy.signal import sosfiltfilt

    x = np.array(emg.T, dtype=np.float64, order="C")  # (C, T): the filter runs along contiguous memory
    for channel in x:
        bad = ~np.isfinite(channel)
        if bad.all():
            channel[:] = 0
        elif bad.any():
            channel[bad] = np.interp(np.flatnonzero(bad), np.flatnonzero(~bad), channel[~bad])
    if (sos := sections(config)) is not None:
        for a, b in pairwise((0, *breaks, x.shape[1])):
            if b > a:
                x[:, a:b] = sosfiltfilt(sos, x[:, a:b], axis=1, padlen=min(b - a - 1, ring(config)))
    return x.astype(np.float32).T


def unusable(emg: np.ndarray, config: WindowConfig) -> np.ndarray:
    """Samples (T,) bool whose EMG (T, C) holds a NaN or an infinity, with the filter's ring on both sides."""
    from scipy.ndimage import maximum_filter1d

    bad = ~np.isfinite(emg).all(axis=1)
    if bad.any():
        bad = maximum_filter1d(bad, 2 * ring(config) + 1, mode="constant")
    return bad


def bin_edges(n_samples: int, n: int) -> np.ndarray:
    """The first samples of n bins of a window, and the end of the last one: floor(i T / n), (n + 1,) (METHOD 1)."""
    return np.arange(n + 1) * n_samples // n


def bin_means(x: np.ndarray, n: int) -> np.ndarray:
    """Means over each of n bins of windows x (..., T): (..., n) float64."""
    edges = bin_edges(x.shape[-1], n)
    return np.add.reduceat(x, edges[:-1], axis=-1, dtype=np.float64) / np.diff(edges)


def is_flat(x: np.ndarray) -> bool:
    """True where a window (C, T) holds one value throughout: its SD is 0, and there is nothing to scale it by."""
    return bool(x.max() == x.min())


def log_power(x: np.ndarray, n: int) -> np.ndarray | None:
    """ln(mean square + 0.01) of n bins of one filtered window (C, T), (C, n) float64 (METHOD 1, steps 1 to 3; ours).

    The window is scaled by one mean and one SD over channels and samples first, so that gain does not matter and the
    electrodes' relative strength does. None where the window :func:`is_flat`.
    """
    if is_flat(x):
        return None
    x = np.asarray(x, np.float64)
    x = x - x.mean()
    x /= x.std(mean=0.0)  # to the bit what std gives where it looks for the mean itself, in fewer passes
    return np.log(bin_means(np.square(x, out=x), n) + POWER_FLOOR)


def emg_features(x: np.ndarray, n: int) -> np.ndarray | None:
    """The input of a "log-power" encoder from a filtered window (C, T): z (C, n) float16 (METHOD 1, steps 1-5; ours).

    :func:`log_power` less its mean, over its SD, both over all channels and bins; zeros where all bins are equal, None
    where the window :func:`is_flat`.
    """
    f = log_power(x, n)
    return None if f is None else ((f - f.mean()) / (f.std() or 1.0)).astype(np.float16)


def pose_frames(pose: np.ndarray, n: int) -> np.ndarray:
    """The input of a "frames" encoder from one window's angles (J, T), before scaling: bin means (J, n) float16."""
    return np.clip(bin_means(pose, n), -F16_MAX, F16_MAX).astype(np.float16)
