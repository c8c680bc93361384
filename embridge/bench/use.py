"""Rows on evaluation and use: nearest poses against scikit-learn, and the time to score one new window."""

import os
import time
from contextlib import ExitStack
from functools import partial
from itertools import product

import numpy as np
import torch

from embridge.bench.measure import MB, PeakMemory, Row, has_bf16, interleave, ratio, spread, timed
from embridge.bench.workers import Worker
from embridge.config import ModelConfig, WindowConfig
from embridge.evaluation import neighbours
from embridge.models import QFormerModel
from embridge.recognition import Recogniser
from embridge.training import set_threads

PART = "evaluation and use"
K = 10  # E A.6
WAYS = {
    "ours": "tiles of cosines",
    "cosine": "scikit-learn brute, cosine",
    "euclidean": "scikit-learn brute, euclidean",
}


class Retrieval:
    """Looks up random queries among random poses, ours or scikit-learn's way; a call returns seconds, bytes, indices.

    "euclidean" is scikit-learn's other path, on normalised vectors, whose order is the same.
    """

    def __init__(self, way: str, n_poses: int, n_queries: int, d: int):
        set_threads()
        rng = np.random.default_rng(0)
        self.way = way
        self.poses, self.queries = (rng.standard_normal((n, d), dtype=np.float32) for n in (n_poses, n_queries))

    def __call__(self) -> tuple[float, float, np.ndarray]:
        with PeakMemory() as memory:
            began = time.perf_counter()
            index = self._look_up()
            seconds = time.perf_counter() - began
        return seconds, memory.peak - memory.before, index

    def _look_up(self) -> np.ndarray:
        if self.way == "ours":
            return neighbours(torch.from_numpy(self.queries)[:, None], torch.from_numpy(self.poses), K)[1].numpy()
        from sklearn.neighbors import NearestNeighbors  # here: ours needs none of it

        queries, poses = self.queries, self.poses
        if self.way == "euclidean":
            queries, poses = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, poses))
        search = NearestNeighbors(n_neighbors=K, algorithm="brute", metric=self.way).fit(poses)
        return search.kneighbors(queries, return_distance=False)


def retrieval_rows(settings: dict, rounds: int, *, n_poses: int, n_queries: int, d: int) -> list[Row]:
    """Ours against both of scikit-learn's ways on single vectors, and the memory beside the inputs.

    Without rounds ours alone runs, once, for its memory.
    """
    ways = list(WAYS) if rounds else ["ours"]
    peaks, indices = dict.fromkeys(ways, 0.0), {}

    def call(way: str) -> float:
        seconds, peak, indices[way] = workers[way]()
        peaks[way] = max(peaks[way], peak)
        return seconds

    with ExitStack() as stack:
        workers = {
            way: stack.enter_context(Worker(Retrieval, way, n_poses, n_queries, d, settings=settings)) for way in ways
        }
        for worker in workers.values():
            worker.ready()
        times = interleave({way: partial(call, way) for way in ways}, rounds)
    size, rows = f"{n_queries:,} queries, {n_poses:,} poses, d = {d}", []
    for way in ways[1:]:
        same = np.mean(np.sort(indices[way], 1) == np.sort(indices["ours"], 1))
        rows.append(
            Row(PART, f"{K} nearest poses, {size}", WAYS["ours"], WAYS[way], **ratio(times, "ours", way), target="1 x",
                note=f"{same:.4%} of the neighbours are the same")
        )  # fmt: skip
    others = ", ".join(f"{WAYS[way]}: {peaks[way] / MB:,.0f} MB" for way in ways[1:])
    rows.append(
        Row(PART, f"memory beside the inputs, {size}", WAYS["ours"], others, peaks["ours"] / MB, "MB",
            target="2,000 MB for 1,000,000 x 10,000", note="highest while it runs, less what was held before")
    )  # fmt: skip
    return rows


class Scoring:
    """Labels one random window at a time on one core; a call returns milliseconds a window."""

    def __init__(self, cfg: ModelConfig, n_poses: int, precision: str):
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.config, self.rng = WindowConfig(), np.random.default_rng(0)
        gallery, labels = torch.randn(n_poses, cfg.d), torch.randint(4, (n_poses,))
        self.recogniser = Recogniser(
            QFormerModel(cfg).eval(), gallery, labels, self.config, emg_tokens=cfg.emg_tokens, precision=precision
        )

    def __call__(self, n: int) -> list[float]:
        shape = (n, self.config.window, self.config.n_channels)
        return [1000 * timed(self.recogniser.label, x) for x in self.rng.standard_normal(shape, dtype=np.float32)]


def scoring_rows(settings: dict, sizes: dict[str, ModelConfig], n: int = 50, n_poses: int = 10_000) -> list[Row]:
    """Milliseconds to score one new window, in float32 and, where the processor multiplies in it, in bf16.

    sizes : the networks by name
    """
    rows = []
    precisions = ("fp32", "bf16") if has_bf16() else ("fp32",)
    for (name, cfg), precision in product(sizes.items(), precisions):
        with Worker(Scoring, cfg, n_poses, precision, settings=settings) as worker:
            worker.ready()
            worker(5)
            found = spread(worker(n))
        read = "normalise" if cfg.emg_tokens == "waveform" else "log-power"
        rows.append(
            Row(PART, f"scoring one 2 s window, {n_poses:,} poses, {precision}", f"EMBridge, {name}, one core",
                **found, unit="ms", target="at most 10 ms",
                note=f"filter, {read}, encode, retrieve, vote; batch of one")
        )  # fmt: skip
    return rows
