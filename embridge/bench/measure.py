"""What every row shares: interleaved repetitions, ratios, peak memory, fitted exponents, and the machine."""

import os
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from embridge.parallel import available_cores, processor
from embridge.provenance import commit

MB = 1e6


@dataclass
class Row:
    """One line of the table. ``value`` is a ratio where ``unit`` is "x"; None: not run, and ``note`` says why."""

    part: str
    what: str
    ours: str
    baseline: str = ""
    value: float | None = None
    unit: str = "x"
    low: float | None = None  # the extremes over repetitions
    high: float | None = None
    repetitions: int = 1
    target: str = ""
    note: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)  # raw times by variant; in the JSON only


def interleave(variants: dict[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Call every variant once a round, each round starting one further on; what they return, without the warm-up.

    A variant returns its own seconds. What disturbs the machine for a while then disturbs all alike, and none
    always runs behind the same other one.
    """
    names, found = list(variants), {name: [] for name in variants}
    for r in range(-warm_up, rounds):
        k = r % len(names)
        for name in names[k:] + names[:k]:
            seconds = variants[name]()
            if r >= 0:
                found[name].append(seconds)
    return found


def spread(values) -> dict:
    """Median and extremes, as a row takes them."""
    values = np.asarray(list(values), dtype=float)
    return {"value": float(np.median(values)), "low": values.min(), "high": values.max(), "repetitions": len(values)}


def ratio(times: dict[str, list[float]], ours: str, baseline: str) -> dict:
    """How many times faster ours is: median and extremes of the ratios within each round."""
    ratios = np.array(times[baseline]) / np.array(times[ours])
    return spread(ratios) | {"seconds": {name: times[name] for name in (baseline, ours)}}


def timed(function: Callable, *args) -> float:
    """Seconds that a call takes; what it returns is dropped."""
    began = time.perf_counter()
    function(*args)
    return time.perf_counter() - began


def anonymous() -> float:
    """This process's anonymous memory in bytes: what it has asked for, without mapped files."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # macOS: the most so far, mapped files too
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class PeakMemory:
    """Samples :func:`anonymous` in a thread while its body runs: ``before`` and ``peak``, bytes."""

    def __init__(self, every: float = 0.005):
        self.every, self._stop = every, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.before = self.peak = anonymous()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, anonymous())

    def _watch(self):
        while not self._stop.wait(self.every):
            self.peak = max(self.peak, anonymous())


def exponent(n, y) -> float:
    """b of y = a n^b, by least squares on logarithms."""
    return float(np.polyfit(np.log(n), np.log(y), 1)[0])


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; elsewhere it is emulated."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def machine(device: str) -> dict[str, str]:
    """What the ratios were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor(),
        "cores used": str(available_cores()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "load at start": f"{os.getloadavg()[0]:.1f}",  # above 0: others were at work
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "dtype": "fp32 unless said",
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(),
    }
