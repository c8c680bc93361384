"""How time and memory grow with the number of windows, over two decades; each point a fresh process."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from embridge.bench.data import subset
from embridge.bench.measure import MB, PeakMemory, Row, exponent
from embridge.bench.steps import Loop, make
from embridge.bench.workers import Worker
from embridge.config import ModelConfig, WindowConfig
from embridge.evaluation import neighbours
from embridge.recordings import Source
from embridge.tasks import encode
from embridge.training import set_threads
from embridge.windows import WindowStore, build_store

PART = "scaling"
OPERATIONS = ("conversion", "training", "embedding", "retrieval")
QUERIES = 1000


@dataclass(frozen=True)
class Point:
    """One operation on n windows; ``stores`` is where conversion leaves what the others read."""

    what: str
    n: int
    source: Source
    stores: Path
    model: ModelConfig


def prepare(point: Point):
    """The operation, ready to run once: a call returns its seconds, its peak memory and that before it (bytes)."""
    set_threads()
    run = globals()[f"_{point.what}"](point)

    def measure_once() -> tuple[float, float, float]:
        with PeakMemory() as memory:
            began = time.perf_counter()
            run()
            seconds = time.perf_counter() - began
        return seconds, memory.peak, memory.before

    return measure_once


def _conversion(point: Point):
    length = point.model.window
    # no failures are left out, so that the number of windows is known beforehand
    config = WindowConfig(window=length, stride_train=length, stride_eval=length, exclude_ik_failures=False)
    kind, folder = point.model.kind, point.stores / str(point.n)
    return lambda: build_store(point.source, config, folder, kind, workers=1, progress=False)


def _task(point: Point):
    store = WindowStore(next((point.stores / str(point.n)).glob("*/manifest.json")).parent)
    return make("EMBridge", point.model, store, n=point.n, batch=256)[0]


def _training(point: Point):
    task = _task(point)
    loop = Loop(task, task.config)
    return lambda: loop.turn(0, point.n)


def _embedding(point: Point):
    task = _task(point)
    return lambda: encode(task.model.eval().queries, task.reader.emg, np.arange(point.n))


def _retrieval(point: Point):
    torch.manual_seed(0)
    queries, poses = torch.randn(QUERIES, 1, point.model.d), torch.randn(point.n, point.model.d)
    return lambda: neighbours(queries, poses, 10)


def measure(
    source: Source, scratch: Path, settings: dict, *, recordings: tuple[int, ...], window: int, model: ModelConfig
):
    """Every operation on windows of ``window`` samples from so many recordings, all equally long.

    The network gets 20 tokens for each window, whatever its length. Returns points (what, windows, seconds,
    megabytes), rows and exponents.
    """
    each = source.recordings[0].n_samples() // window
    patch = window / model.sample_rate / 20
    model = replace(model, window=window, emg_patch=patch, pose_patch=patch)
    points = []
    for what in OPERATIONS:
        work = [Point(what, n * each, subset(source, n), scratch, model) for n in recordings]
        with ExitStack() as stack:  # the processes of one operation start side by side and then run one by one
            workers = [stack.enter_context(Worker(prepare, point, settings=settings)) for point in work]
            for worker in workers:
                worker.ready()
            for point, worker in zip(work, workers, strict=True):
                seconds, peak, before = worker()
                points.append((what, point.n, seconds, peak / MB, before / MB))
    frame = pd.DataFrame(points, columns=["what", "windows", "seconds", "megabytes", "before"])
    return frame, *rows_of(frame, window)


def rows_of(points: pd.DataFrame, window: int) -> tuple[list[Row], dict[tuple[str, str], float]]:
    """The exponents as rows, the memory of training on ten times the windows, and the exponents by name."""
    rows, exponents = [], {}
    for what, part in points.groupby("what", sort=False):
        n = part["windows"].to_numpy()
        for column in ("seconds", "megabytes"):
            exponents[what, column] = exponent(n, part[column].to_numpy())
        kilobytes = 1000 * np.polyfit(n, part["megabytes"], 1)[0]
        rows.append(
            Row(PART, f"{what}: exponent of time, {n.min():,} to {n.max():,} windows of {window} samples", "1 process",
                "linear: 1", exponents[what, "seconds"], "", repetitions=len(n),
                note=f"of peak memory {exponents[what, 'megabytes']:.3f}; {kilobytes:.2f} kB more a window"
                + (f"; {QUERIES:,} queries" if what == "retrieval" else ""))
        )  # fmt: skip
    peak = points[points["what"] == "training"].set_index("windows")["megabytes"]
    most = peak.index.max()
    tenth = min(peak.index, key=lambda n: abs(n - most / 10))
    rows.append(
        Row(PART, f"training memory, {most:,} windows against {tenth:,}", f"{peak[most]:,.0f} MB",
            f"{peak[tenth]:,.0f} MB", peak[most] / peak[tenth], target="flat: 1 x",
            note="highest anonymous memory of one epoch of EMBridge's alignment; waveforms stay on the disk, log-power "
            "and frames, 6 kB a window of 2 s, are read whole")
    )  # fmt: skip
    return rows, exponents
