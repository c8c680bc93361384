"""Rows on evaluation and use: nearest poses against scikit-learn, the time to label one new window, and streams."""

import importlib.util
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch.utils.benchmark import Timer

from benchmarks.measure import MB, Row, anonymous, interleave, ratio, spread, usage, worker
from embridge.config import ModelConfig, WindowConfig, profile
from embridge.data.batches import Reader
from embridge.evaluation import neighbours
from embridge.exported import export
from embridge.exported import recogniser as exported
from embridge.inference import Embedder, Recogniser
from embridge.models import QFormerModel
from embridge.training import set_threads

K = 10  # E A.6
ABSENT = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
WAYS = ("ours", "cosine", "euclidean")  # scikit-learn's two; on normalised vectors the order is the same


def retrieve(n_poses: int, n_queries: int, d: int, way: str) -> tuple[float, float, np.ndarray]:
    """Look up random queries among random poses; returns seconds, bytes beside them, indices (n_queries, K)."""
    set_threads()
    rng = np.random.default_rng(0)
    poses, queries = (rng.standard_normal((n, d), dtype=np.float32) for n in (n_poses, n_queries))
    with usage() as used:
        if way == "ours":
            index = neighbours(torch.from_numpy(queries)[:, None], torch.from_numpy(poses), K)[1].numpy()
        else:
            if way == "euclidean":
                queries, poses = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, poses))
            search = NearestNeighbors(n_neighbors=K, algorithm="brute", metric=way).fit(poses)
            index = search.kneighbors(queries, return_distance=False)
    return used.seconds, used.peak - used.before, index


def retrieval_rows(rounds: int, *, n_poses: int, n_queries: int, d: int, ways: tuple[str, ...] = WAYS):
    """Ours against scikit-learn's ways on single vectors, and its memory beside the inputs."""
    with ExitStack() as stack:
        runs = {way: stack.enter_context(worker(partial, retrieve, n_poses, n_queries, d)) for way in ways}
        first = {way: run(way) for way, run in runs.items()}  # later ones find memory that is still held
        seconds = interleave({way: lambda way=way: runs[way](way)[0] for way in ways}, rounds)
    size, rows = f"{n_queries:,} queries, {n_poses:,} poses, d = {d}", []
    for way in ways[1:]:
        same = np.mean(np.sort(first[way][2], 1) == np.sort(first["ours"][2], 1))
        rows.append(
            Row(f"{K} nearest poses, {size}", "tiles of cosines", f"scikit-learn, brute force, {way}",
                **ratio(seconds, "ours", way), target="1 x", note=f"{same:.4%} of the neighbours are the same")
        )  # fmt: skip
    others = ", ".join(f"{way}: {first[way][1] / MB:,.0f} MB" for way in ways[1:])
    rows.append(
        Row(f"memory beside the inputs, {size}", "tiles of cosines", others, first["ours"][1] / MB, "MB",
            target="2,000 MB for 1,000,000 x 10,000", note="highest while it runs, less what was held before")
    )  # fmt: skip
    return rows


def untrained(cfg: ModelConfig, n_poses: int) -> Recogniser:
    """A Recogniser of random weights and a random gallery."""
    torch.manual_seed(0)
    config, gallery, labels = WindowConfig(), torch.randn(n_poses, cfg.d), torch.randint(4, (n_poses,))
    norm, model = "channel" if cfg.emg_tokens == "waveform" else cfg.emg_tokens, QFormerModel(cfg).eval()
    embedder = Embedder("EMBridge", config, Reader(None, None, {}, norm), cfg.d, model.queries, model=model)
    return Recogniser(embedder, gallery, labels)


def label_windows(cfg: ModelConfig, n_poses: int, seconds: float) -> list[float]:
    """Milliseconds to label one random window, again and again for so many seconds, with one thread."""
    recogniser, config = untrained(cfg, n_poses), WindowConfig()
    window = torch.randn(config.window, config.n_channels).numpy()
    timer = Timer("recogniser.label(window)", globals={"recogniser": recogniser, "window": window}, num_threads=1)
    return [1000 * found for found in timer.blocked_autorange(min_run_time=seconds).times]


@contextmanager
def both(cfg: ModelConfig, n_poses: int) -> Iterator[dict[str, Recogniser]]:
    """An untrained Recogniser by "torch" and, where it is installed, the same by "onnxruntime"; one thread each."""
    torch.set_num_threads(1)
    found = {"torch": untrained(cfg, n_poses)}
    with tempfile.TemporaryDirectory() as folder:
        if not ABSENT:
            found["onnxruntime"] = exported(export(found["torch"], Path(folder, "model.onnx")))
        yield found


def decide(cfg: ModelConfig, n_poses: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of one decision, model and search on a scaled window, by each of :func:`both` in turn."""

    def run(one: Recogniser) -> float:
        began = time.perf_counter()
        one._labels(one.highest(x))
        return 1000 * (time.perf_counter() - began)

    x = torch.randn(1, cfg.emg.n_channels, cfg.emg.steps)
    with both(cfg, n_poses) as ways, torch.inference_mode():
        return interleave({name: partial(run, one) for name, one in ways.items()}, rounds)


def decision_rows(cfg: ModelConfig, rounds: int, size: str = "paper size", n_poses: int = 10_000) -> list[Row]:
    """One decision on one core, and onnxruntime against torch; a row without a value where it is not installed."""
    what, how = f"one decision, model and search, {size}, {n_poses:,} poses", "one thread"
    with worker(partial, decide, cfg, n_poses, rounds, threads=1) as run:
        found = run()
    rows = [Row(what, f"{name}, {how}", **spread(found[name]), unit="ms", target="10 ms") for name in found]
    sides = {"ours": f"onnxruntime, {how}", "baseline": f"torch, {how}"}
    if ABSENT:
        return [*rows, Row(what, **sides, note=f"not run: {', '.join(ABSENT)} not installed")]
    target = "1.67 x, 0.6 of torch's time"
    return [*rows, Row(what, **sides, **ratio(found, "onnxruntime", "torch"), target=target)]


def stream(cfg: ModelConfig, n_poses: int, seconds: int) -> dict[str, tuple[float, float]]:
    """Of each of :func:`both`, on so many seconds of noise: times real time, bytes that memory grew after a tenth."""
    config, found = WindowConfig(), {}
    chunk = np.random.default_rng(0).standard_normal((round(config.sample_rate / 10), config.n_channels))
    with both(cfg, n_poses) as ways:
        for name, one in ways.items():
            held, began = [], time.perf_counter()
            for n, _ in enumerate(one.stream(repeat(chunk, 10 * seconds)), 1):
                if n in (2 * seconds, 20 * seconds):
                    held.append(anonymous())
            found[name] = seconds / (time.perf_counter() - began), held[1] - held[0]
    return found


def stream_rows(seconds: int, n_poses: int = 10_000) -> list[Row]:
    """Speed and memory of a stream at quick's size."""
    with worker(partial, stream, profile("quick").model, n_poses, seconds, threads=1) as run:
        found = run()
    rows, what = [], f"labelling a stream of {seconds:,} s, every 50 ms, {n_poses:,} poses"
    for name, (speed, grown) in found.items():
        ours = f"EMBridge, quick's size, {name}, one thread"
        rows.append(Row(what, ours, "real time", speed, target="20 x"))
        rows.append(Row(f"memory: {what}", ours, "after a tenth of it", grown / MB, "MB", target="0 MB"))
    return rows


def label_rows(seconds: float = 2.0, n_poses: int = 10_000) -> list[Row]:
    """Milliseconds to label one new window, by the size of the network."""
    rows = []
    for name, cfg in (("paper size", ModelConfig()), ("quick's size", profile("quick").model)):
        with worker(partial, label_windows, cfg, n_poses, seconds, threads=1) as run:
            found = spread(run())
        rows.append(
            Row(f"labelling one 2 s window, {n_poses:,} poses", f"EMBridge, {name}, one thread", **found, unit="ms",
                target="at most 10 ms", note=f"filter, {cfg.emg_tokens}, encode, retrieve, vote; batch of one")
        )  # fmt: skip
    return rows
