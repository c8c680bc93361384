"""Shared by every row: the row itself, processes, repetitions in turn, ratios and peak memory.

Loads neither torch nor the package: a process decides itself which build of it runs there.
"""

import multiprocessing
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

MB = 1e6
_made: Callable | None = None  # in the process of a worker


@dataclass
class Row:
    """One line of the table. ``value`` is a ratio where ``unit`` is "x"; None: not run, and ``note`` says why."""

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


def interleave(variants: dict[str, Callable], rounds: int) -> dict[str, list]:
    """Call every variant once a round, each round starting one further on; what they return, without a warm-up round.

    What disturbs the machine for a while then disturbs all alike, and none always runs behind the same other one.
    """
    names, found = list(variants), {name: [] for name in variants}
    for r in range(-1, rounds):
        k = r % len(names)
        for name in names[k:] + names[:k]:
            found[name].append(variants[name]())
    return {name: answers[1:] for name, answers in found.items()}


def spread(values) -> dict:
    """Median and extremes, as a row takes them."""
    values = np.asarray(list(values), dtype=float)
    return {"value": float(np.median(values)), "low": values.min(), "high": values.max(), "repetitions": len(values)}


def ratio(times: dict[str, list[float]], ours: str, baseline: str) -> dict:
    """The factor by which ours is faster: median and extremes of the ratios within each round."""
    return spread(np.divide(times[baseline], times[ours]))


def anonymous() -> float:
    """This process's anonymous memory in bytes: what it has asked for, without mapped files."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # macOS: the most so far, mapped files too
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@contextmanager
def usage(every: float = 0.005) -> Iterator[SimpleNamespace]:
    """Measure the body: ``seconds``, and anonymous memory (bytes) ``before`` it and, sampled, at its ``peak``."""
    used, end = SimpleNamespace(before=anonymous(), peak=0.0), threading.Event()

    def watch() -> None:
        while not end.wait(every):
            used.peak = max(used.peak, anonymous())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    began = time.perf_counter()
    yield used
    used.seconds = time.perf_counter() - began
    end.set()
    thread.join()
    used.peak = max(used.peak, anonymous())


@contextmanager
def worker(make: Callable, *args, build: Path | None = None, threads: int | None = None) -> Iterator[Callable]:
    """A process that makes something callable once, by ``make(*args)``, and then runs its calls; what calls it.

    It starts at once and is idle between calls; the first call waits until it is made. build: the folder of the package
    that it imports (default: this one's). threads: OpenMP's. What is raised there is raised here.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        made = pool.submit(_make, build, threads, make, args)

        def call(*args):
            made.result()
            return pool.submit(_call, args).result()

        yield call


def _make(build: Path | None, threads: int | None, make: Callable, args: tuple) -> None:
    global _made
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # progress; what fails is raised
    if build:
        sys.path.insert(0, str(build))
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    _made = make(*args)


def _call(args: tuple):
    return _made(*args)
