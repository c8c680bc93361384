"""What a step consists of: its matrix products alone, back to back; its operators; its traffic."""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from embridge.bench.measure import timed

aten = torch.ops.aten
PRODUCTS = (aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default)


class Ledger(TorchDispatchMode):
    """Notes the matrix products of its body with their layouts, and the bytes that all operators read and write.

    ``bytes`` is what an eager run moves if no operator finds its inputs in a cache: an upper bound.
    """

    def __init__(self):
        super().__init__()
        self.products, self.bytes = Counter(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [x for x in tree_leaves((args, kwargs, made)) if isinstance(x, Tensor)]
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        if func in PRODUCTS:
            self.products[func, tuple((tuple(x.shape), x.stride(), x.dtype) for x in args)] += 1
        return made


def _like(shape, stride, dtype) -> Tensor:
    """Random numbers in the same layout."""
    length = 1 + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    return torch.randn(length).to(dtype).as_strided(shape, stride)


def product_seconds(products: Counter, repetitions: int = 5) -> float:
    """What the noted products take alone on this processor, same shapes, layouts and threads: medians, summed."""
    total = 0.0
    for (func, inputs), n in products.items():
        tensors = [_like(*x) for x in inputs]
        total += n * np.median([timed(func, *tensors) for _ in range(repetitions + 1)][1:])
    return float(total)


def count(step: Callable[[], object]) -> tuple[float, Ledger]:
    """FLOPs of a step (torch's counter: matrix products, and attention on a GPU) and its ledger."""
    with FlopCounterMode(display=False) as flops, Ledger() as ledger:
        step()
    return float(flops.get_total_flops()), ledger


def operators(step: Callable[[], object], most: int = 6) -> list[tuple[str, float]]:
    """The operators with the largest share of a step's own time on the processor, by torch.profiler."""
    with _quiet(), profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    times = {e.key: e.self_cpu_time_total for e in profiled.key_averages() if e.key.startswith("aten::")}
    total = sum(times.values())
    return [(name, t / total) for name, t in sorted(times.items(), key=lambda item: -item[1])[:most]]


@contextmanager
def _quiet():
    """Keep away what the profiler's library says on the error stream whatever its log level is."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
