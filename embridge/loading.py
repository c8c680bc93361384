"""Windows on their way to a training step: whole on the GPU where they fit, else read ahead of the step."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from embridge.signals import channel_order

RESERVE = 24 * 2**30  # bytes of a GPU that stay free for weights and activations (paper size, B = 256: under 12 GiB)


class Windows:
    """Some windows of one array of the store, for a task to take batches of: float16, without Python for each window.

    A batch is gathered row by row, one row a window and channel, so that a rotation of channels costs nothing.

    Attributes
    ----------
    placement : where the windows lie and why, in words
    """

    def __init__(self, array: np.ndarray, ids: np.ndarray, device: str = "cpu"):
        """array: (N, C, T) float16, memory-mapped; ids: (n,) those that samples 0..n-1 mean."""
        self.ids, self.device = np.asarray(ids, dtype=np.int64), torch.device(device)
        self.n_channels, self.window = array.shape[1:]
        self.rows = array.reshape(-1, self.window)  # (N * C, T), still the file's pages
        self.threads = ThreadPoolExecutor(torch.get_num_threads(), "gather")
        size = 2 * len(self.ids) * self.n_channels * self.window
        self.resident = None
        if self.device.type == "cpu":
            self.placement = f"read ahead from the store ({size / 1e9:.1f} GB)"
            return
        free = torch.cuda.mem_get_info(self.device)[0]
        fits = size <= free - RESERVE
        why = f"{size / 1e9:.1f} GB, {free / 1e9:.1f} GB free, {RESERVE / 1e9:.0f} GB kept for the model"
        self.placement = f"on the GPU as float16 ({why})" if fits else f"read ahead from pinned memory ({why})"
        if fits:
            self.resident = torch.empty(
                len(self.ids) * self.n_channels, self.window, dtype=torch.float16, device=device
            )
            for start in range(0, len(self.ids), 1024):  # through pinned memory, a part at a time
                part = self._read(self._rows_of(self.ids[start : start + 1024], None, None))
                self.resident[start * self.n_channels :][: len(part)] = part
            torch.cuda.synchronize(self.device)  # batches are gathered in another stream

    def take(self, samples: Tensor, shifts: Tensor | None = None, ring: int | None = None) -> Tensor:
        """(B, C, T) float16 on the device: windows ``samples`` (B,), channels rolled by ``shifts`` (B,) if given."""
        if self.resident is None:
            rows = self._read(self._rows_of(self.ids[samples.numpy()], shifts, ring))
        else:
            rows = self._rows_of(samples.numpy(), shifts, ring)
            rows = self.resident.index_select(0, to_device(torch.from_numpy(rows), self.device))
        return rows.view(len(samples), self.n_channels, self.window)

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


def to_device(x: Tensor, device: torch.device | str) -> Tensor:
    """Copy a small tensor to the device without waiting for it."""
    return x if torch.device(device).type == "cpu" else x.pin_memory().to(device, non_blocking=True)


class Ahead:
    """Iterate over ``load(part)`` for each part, with the next one being loaded in a thread while this one is used.

    On a GPU the thread's copies have a stream of their own. ``waited``: seconds for which the user of a batch waited.
    """

    def __init__(self, load: Callable[[Tensor], dict], parts: Iterable[Tensor], device: str):
        self.load, self.parts, self.waited = load, parts, 0.0
        self.stream = torch.cuda.Stream(device) if torch.device(device).type == "cuda" else None

    def __iter__(self) -> Iterator[dict]:
        parts = iter(self.parts)
        with ThreadPoolExecutor(1, "ahead") as pool:
            pending = next((pool.submit(self._load, part) for part in parts), None)
            while pending is not None:
                began = time.perf_counter()
                batch, ready = pending.result()
                self.waited += time.perf_counter() - began
                pending = next((pool.submit(self._load, part) for part in parts), None)
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
