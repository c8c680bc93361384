"""Windows on their way to a training step: scaled as encoders see them, in an order that a seed decides, read ahead.

Order and noise are functions of (seed, epoch, sample) and never of what ran before: a killed run goes on exactly.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from embridge.config import TrainConfig
from embridge.data.windows import WindowStore
from embridge.errors import InputError

DEAD = 1e-5  # an SD below this part of the largest value is rounding, not signal
RESERVE = 24 * 2**30  # bytes of a GPU that stay free for weights and activations (paper size, B = 256: under 12 GiB)


class Windows:
    """Some windows of one array of the store, for a task to take batches of: float16, without Python for each window.

    A batch is gathered row by row, one row a window and channel, so that a rotation of channels costs nothing.
    ``placement`` says where the windows lie and why.
    """

    def __init__(self, array: np.ndarray, ids: np.ndarray, device: str = "cpu"):
        """array: (N, C, T) float16, memory-mapped; ids: (n,) those that samples 0..n-1 mean."""
        self.ids, self.device, self.resident = np.asarray(ids, dtype=np.int64), torch.device(device), None
        self.n_channels, self.window = array.shape[1:]
        self.rows = array.reshape(-1, self.window)  # (N * C, T), still the file's pages
        self.threads = ThreadPoolExecutor(torch.get_num_threads(), "gather")
        n_rows = len(self.ids) * self.n_channels
        size = 2 * n_rows * self.window
        if self.device.type == "cpu":
            self.placement = f"read ahead from the store ({size / 1e9:.1f} GB)"
            return
        free = torch.cuda.mem_get_info(self.device)[0]
        fits = size <= free - RESERVE
        why = f"{size / 1e9:.1f} GB, {free / 1e9:.1f} GB free, {RESERVE / 1e9:.0f} GB kept for the model"
        self.placement = f"on the GPU as float16 ({why})" if fits else f"read ahead from pinned memory ({why})"
        if fits:
            self.resident = torch.empty(n_rows, self.window, dtype=torch.float16, device=device)
            for start in range(0, len(self.ids), 1024):  # through pinned memory, a part at a time
                part = self._read(self._rows_of(self.ids[start : start + 1024], None, None))
                self.resident[start * self.n_channels :][: len(part)] = part
            torch.cuda.synchronize(self.device)  # batches are gathered in another stream

    def take(self, samples: Tensor, shifts: Tensor | None = None, ring: int | None = None) -> Tensor:
        """(B, C, T) float16 on the device: windows ``samples`` (B,), channels rolled by ``shifts`` (B,) if given."""
        if self.resident is None:
            found = self._read(self._rows_of(self.ids[samples.numpy()], shifts, ring))
        else:
            rows = torch.from_numpy(self._rows_of(samples.numpy(), shifts, ring))
            found = self.resident.index_select(0, to_device(rows, self.device))
        return found.view(len(samples), self.n_channels, self.window)

    def _rows_of(self, windows: np.ndarray, shifts: Tensor | None, ring: int | None) -> np.ndarray:
        channels = np.arange(self.n_channels)
        if shifts is not None:
            channels = channel_order(shifts, self.n_channels, ring).numpy()
        return (windows[:, None] * self.n_channels + channels).ravel()

    def _read(self, rows: np.ndarray) -> Tensor:
        out = torch.empty(len(rows), self.window, dtype=torch.float16, pin_memory=self.device.type != "cpu")
        found, share = out.numpy(), max(1, math.ceil(len(rows) / torch.get_num_threads()))

        def copy(start: int) -> None:
            part = slice(start, start + share)
            # "clip" writes into out directly and lets other threads run; no row number comes from outside
            np.take(self.rows, rows[part], axis=0, out=found[part], mode="clip")

        # threads of their own: a second team of OpenMP's, beside the step's, would stall both
        list(self.threads.map(copy, range(0, len(rows), share)))
        return out.to(self.device, non_blocking=True)


def normalise_emg(x: Tensor, how: str, stats: dict | None = None) -> Tensor:
    """Normalise a batch (B, C, T) of stored windows to float32; a channel without signal becomes zeros, never NaN.

    ``how`` is "channel" (each window and channel over time, the usual meaning of E 3.2's "instance-normalized"),
    "window" (one mean and SD a window, which keeps the electrodes' relative strength), "recording" (as stored, by the
    recording's scale) or "train" (a channel by ``stats``, {"mean": (C,), "std": (C,)} of the pre-training windows).
    """
    if how == "recording":
        return x.float()
    x = x.to(torch.float32, copy=True)  # every pass below is in place: the batch is larger than the processor's caches
    if how == "train":
        mean, std = (stats[name].to(x)[:, None] for name in ("mean", "std"))
        x.sub_(mean)
    elif how in ("channel", "window"):
        axes = (-1,) if how == "channel" else (-2, -1)
        mean = x.mean(axes, keepdim=True)
        x.sub_(mean)
        # a norm is one vectorised pass, torch.std three times as slow
        std = torch.linalg.vector_norm(x, dim=axes, keepdim=True) / math.sqrt(x.numel() / mean.numel())
    else:
        raise ValueError(f"expected channel, window, recording or train, found {how}")
    dead = std <= DEAD * mean.abs()
    return x.mul_(torch.where(dead, 0.0, 1 / std))  # a dead channel's scale of 0 needs no mask


def channel_order(shifts: Tensor, n_channels: int, ring: int | None = None) -> Tensor:
    """The order of channels after a roll of channels 0..ring-1 by ``shifts`` (B,) places: (B, C) long (E A.6).

    As ``torch.roll`` does it for each window; ``ring=None`` means all C. Channels behind the ring stay where they are.
    """
    n = n_channels if ring is None else ring
    source = torch.arange(n_channels).repeat(len(shifts), 1)
    source[:, :n] = (source[:, :n] - shifts[:, None]) % n
    return source


def to_device(x: Tensor, device: torch.device | str) -> Tensor:
    """Copy a small tensor to the device without waiting for it."""
    return x if torch.device(device).type == "cpu" else x.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Statistics:
    """Means and standard deviations of the pre-training windows: the only statistics that any split is scaled by."""

    pose_mean: tuple[float, ...]  # (J,)
    pose_std: tuple[float, ...]
    emg_mean: tuple[float, ...]  # (C,), used where waveforms are scaled by "train"
    emg_std: tuple[float, ...]


def measure_statistics(store: WindowStore, ids: np.ndarray, *, chunk: int = 256) -> Statistics:
    """Mean and SD a joint and a channel over the windows ``ids``, in float64, a chunk at a time."""
    found = {}
    for name, read in (("pose", store.read_pose), ("emg", store.read_emg)):
        n, total, squares = 0, 0.0, 0.0
        for start in range(0, len(ids), chunk):
            x = read(ids[start : start + chunk]).double()  # (B, C, T)
            n, total, squares = n + x[:, 0].numel(), total + x.sum((0, 2)), squares + x.square().sum((0, 2))
        mean = total / n
        # a joint or channel that never moves gets SD 1: it stays at zero instead of becoming NaN
        std = (squares / n - mean.square()).clamp_min(0).sqrt()
        std = torch.where(std > 1e-8, std, torch.ones_like(std))
        found |= {f"{name}_mean": tuple(mean.tolist()), f"{name}_std": tuple(std.tolist())}
    return Statistics(**found)


class Reader:
    """Windows as the encoders see them: the front end's arrays, normalised, on the device.

    ``emg`` and ``pose`` are the stores to read from, the same one where both front ends are alike; ``scales`` are those
    of the pre-training windows by "pose" and, where EMG is scaled by "train", "emg"; ``emg_norm`` is "log-power", which
    is stored as the encoders see it, or for waveforms TrainConfig.emg_norm.
    """

    def __init__(self, emg: WindowStore, pose: WindowStore, scales: dict[str, Statistics], emg_norm: str, device="cpu"):
        self.emg_store, self.pose_store, self.emg_norm, self.device, self.emg_stats = emg, pose, emg_norm, device, None
        if by := scales.get("pose"):  # (J, 1) each
            self.pose_mean, self.pose_std = torch.tensor([by.pose_mean, by.pose_std], device=device)[..., None]
        if by := scales.get("emg"):
            mean, std = torch.tensor([by.emg_mean, by.emg_std], device=device)
            self.emg_stats = {"mean": mean, "std": std}

    def emg(self, ids) -> torch.Tensor:
        """(B, C, T) normalised EMG of the windows ``ids``, or their log-power (B, C, bins)."""
        return self.scale_emg(self.emg_store.read_emg(ids).to(self.device))

    def pose(self, ids) -> torch.Tensor:
        """(B, J, T) pose or (B, J, bins) frames, z-scored a joint with the pre-training statistics."""
        return self.scale_pose(self.unscaled_pose(ids))

    def unscaled_pose(self, ids) -> torch.Tensor:
        """The same in the recordings' unit: rad, or a glove's raw numbers."""
        return self.pose_store.read_pose(ids).to(self.device)

    def scale_emg(self, x: torch.Tensor) -> torch.Tensor:
        """Stored EMG (B, C, steps), float16 or float32 on the device, as encoders see it; float32."""
        return x.float() if self.emg_norm == "log-power" else normalise_emg(x, self.emg_norm, self.emg_stats)

    def scale_pose(self, x: torch.Tensor) -> torch.Tensor:
        """Stored pose (B, J, steps), z-scored, float32."""
        return x.to(torch.float32, copy=True).sub_(self.pose_mean).mul_(1 / self.pose_std)

    def windows(self, modality: str, ids: np.ndarray) -> Windows:
        """The stored "emg" or "pose" of ``ids``, for a task to take batches of."""
        return Windows(self.emg_store.emg_f16 if modality == "emg" else self.pose_store.pose_f16, ids, self.device)


class EMGAlone:
    """A store's EMG and nothing else: at test no pair may be used (METHOD 4)."""

    def __init__(self, store: WindowStore):
        self.kind, self.read_emg = store.kind, store.read_emg

    def __getattr__(self, name: str):
        raise InputError(f"leak: a probe or a query asked for {name} of its windows; it may read their EMG alone")


def seed_of(*key) -> int:
    """A seed made of a key; SHA-256 rather than hash(), which changes from process to process."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 1


def noise(seed: int, epoch: int, stream: str, n: int, width: int) -> Tensor:
    """An epoch's uniform numbers in [0, 1) for n samples, (n, width) float32: a function of its arguments alone."""
    generator = torch.Generator().manual_seed(seed_of("noise", seed, epoch, stream))
    return torch.rand(n, width, generator=generator)


def order(seed: int, epoch: int, n: int) -> Tensor:
    """The order in which an epoch visits its n samples: a permutation (n,) long."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed_of("order", seed, epoch)))


# an epoch's table is made once for all its batches, which do not change it: of rotations and of masks
epoch_noise = lru_cache(maxsize=2)(noise)


def draw_rotations(config: TrainConfig, n: int, samples: Tensor, epoch: int) -> Tensor | None:
    """By how many places the channels of ``samples`` (B,) of n turn in their ring, (B,) long; None: not at all."""
    if not config.rotate:
        return None
    u = epoch_noise(config.seed, epoch, "rotation", n, 1)[samples, 0]
    return torch.tensor(config.rotate)[(u * len(config.rotate)).long()]


class Ahead:
    """Iterate over ``load(part)`` for each part, with the next one being loaded in a thread while this one is used.

    On a GPU the thread's copies have a stream of their own. ``waited``: seconds for which the user of a batch waited.
    """

    def __init__(self, load: Callable[[Tensor], dict], parts: Iterable[Tensor], device: str):
        self.load, self.parts, self.waited = load, parts, 0.0
        self.stream = torch.cuda.Stream(device) if torch.device(device).type == "cuda" else None

    def __iter__(self) -> Iterator[dict]:
        with ThreadPoolExecutor(1, "ahead") as pool:
            loads = (pool.submit(self._load, part) for part in self.parts)
            for load, _ in pairwise(chain(loads, [None])):  # the next one is submitted before this one is used
                began = time.perf_counter()
                batch, ready = load.result()
                self.waited += time.perf_counter() - began
                if ready is not None:
                    current = torch.cuda.current_stream()
                    current.wait_event(ready)
                    for tensor in batch.values():
                        tensor.record_stream(current)  # or its memory could be given away while it is in use
                yield batch

    def _load(self, part: Tensor):
        if self.stream is None:
            return self.load(part), None
        with torch.cuda.stream(self.stream):
            return self.load(part), self.stream.record_event()
