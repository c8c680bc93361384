"""EMG as it comes: filtered forwards only with the state carried, and its last windows, in steady memory (ours)."""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.signal import sosfilt, sosfilt_zi

from embridge.config import WindowConfig, positive
from embridge.data.cutting import HUGE
from embridge.data.recordings import plain
from embridge.data.signals import is_flat, ring, sections
from embridge.errors import InputError

AT_ONCE = 32  # windows of one chunk that are given together: a network labels them in a third of the time


class CausalFilter:
    """Band-pass and notch, forwards only, of samples as they come: ``filter(emg)`` of (n, C) is (n, C) float32.

    However a recording is divided into calls, the result is the same. It starts as if the first sample had been there
    for ever, so that an offset rings nowhere. What is not finite, or beyond what the store takes, is the channel's last
    good value instead, 0 before there is one. Run twice it would have the power response of
    :func:`~embridge.data.signals.filter_emg`'s way and back, but on D_tune fewer labels were then those of stored
    windows (simulated, quick, EMBridge, both class sets, 531 windows: 0.943 against 0.957).
    """

    def __init__(self, config: WindowConfig):
        self.sos = sections(config)
        self.state = self.last = None

    def __call__(self, emg: np.ndarray) -> np.ndarray:
        first = np.zeros(emg.shape[1]) if self.last is None else self.last
        x = np.concatenate([first[None], emg], dtype=np.float64)
        good = np.abs(x) < HUGE
        if not good.all():
            good = np.where(good, np.arange(len(x))[:, None], 0)
            x = np.take_along_axis(x, np.maximum.accumulate(good, axis=0), axis=0)
        if len(x := x[1:]):
            self.last = x[-1]
            if self.sos is not None:
                if self.state is None:
                    self.state = sosfilt_zi(self.sos)[:, :, None] * x[0]
                x, self.state = sosfilt(self.sos, x, axis=0, zi=self.state)
        return x.astype(np.float32)


def live_windows(
    chunks: Iterable[np.ndarray | None], config: WindowConfig, every: float = 0.05
) -> Iterator[list[tuple[int, np.ndarray | None]]]:
    """The last window every ``every`` s of signal: how many samples have come, and (C, T) float32, causally filtered.

    Those that are due within a chunk come together, AT_ONCE at most, before the next chunk is asked for.

    ``chunks`` are (n, C) each, n of any size, raw, in the recordings' unit; None for a gap, where samples are missing.
    In the place of a window is None

    - at the start, until a whole window has come;
    - behind a gap, as at the start: what has come since the last window is dropped, the filter starts afresh, and the
      next window is due ``every`` s behind the gap;
    - from a sample that is not finite (in any channel) until the window is clear of it and of the filter's ring;
    - where all is constant. A channel that is constant throughout the window alone is zeros, as in the store.

    Raises InputError for a chunk of another shape or that holds no numbers, and ``every`` that is not above 0.
    """
    hop = max(1, round(positive("stream: ", "every", every) * config.sample_rate))
    n_channels, received, spread = config.n_channels, 0, config.window + ring(config)
    pending, filled, window = np.empty((hop, n_channels)), 0, np.zeros((n_channels, config.window), np.float32)

    def afresh():
        # samples since the start, samples since a bad one, and for each channel those for which it has not moved
        return CausalFilter(config), 0, spread, np.zeros(n_channels, int)

    causal, age, clear, still = afresh()
    for chunk in chunks:
        if chunk is None:
            (causal, age, clear, still), filled = afresh(), 0
            continue
        chunk = plain(chunk)
        if chunk.ndim != 2 or chunk.shape[1] != n_channels or chunk.dtype.kind not in "iuf":
            found = f"found {chunk.dtype} of shape {chunk.shape} behind {received} samples; pass None for a gap"
            raise InputError(f"stream: expected chunks of numbers, samples x {n_channels} channels, {found}")
        due = []
        while len(chunk):
            if len(due) == AT_ONCE:
                yield due
                due = []
            part, chunk = np.split(chunk, [hop - filled])
            pending[filled : filled + len(part)] = part
            filled, received = filled + len(part), received + len(part)
            if filled < hop:
                continue
            before, filled, age = pending[:1] if causal.last is None else causal.last[None], 0, age + hop
            good = (np.abs(pending) < HUGE).all(axis=1)
            clear = clear + hop if good.all() else int(good[::-1].argmin())
            moved = np.diff(pending, axis=0, prepend=before)[::-1] != 0
            still = np.where(moved.any(axis=0), moved.argmax(axis=0), still + hop)
            window = np.concatenate([window, causal(pending).T], axis=1)[:, -config.window :]
            if age < config.window or clear < spread:
                due.append((received, None))
                continue
            live = window.copy()
            live[still >= config.window - 1] = 0
            due.append((received, None if is_flat(live) else live))
        if due:
            yield due
