"""Rows on training on a processor: from the textbook's step to ours, one measure at a time, each gain beside it."""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from embridge.bench.ledger import count, operators, product_seconds
from embridge.bench.measure import Row, has_bf16, interleave, ratio, spread
from embridge.bench.steps import Loop, Textbook, make
from embridge.bench.workers import Worker
from embridge.config import ModelConfig
from embridge.models import transformer
from embridge.training import set_threads
from embridge.windows import WindowStore

PART = "training, CPU"
STAGES = ("EMG-MAE", "EMBridge")


@dataclass(frozen=True)
class Rung:
    """A variant of a step; each has its own measure and those of all rungs before it."""

    name: str
    about: str
    settings: tuple[str, ...] = ("OMP_", "MALLOC_", "GLIBC_")  # beginnings of the environment variables it sets


LADDER = (
    Rung("textbook", "textbook: nn.TransformerEncoder, fp32, tensors in memory", ()),
    Rung("passive", "environment: idle threads sleep", ("OMP_",)),  # first: it gains most where others are at work
    Rung("buffers", "environment: malloc keeps buffers", ("OMP_", "MALLOC_")),
    Rung("pages", "environment: huge pages for them"),
    Rung("once", "pose embeddings once, not in the loop"),
    Rung("layout", "our model: nothing computed that nobody looks at"),
    Rung("attention", "few tokens' attention written out"),
    Rung("error", "a wide layer's error multiplied out"),
    Rung("loop", "our step: fused AdamW, finite checks"),
    Rung("store", "read from the store, prefetched"),
    Rung("bf16", "bf16"),
)
OURS = "store"  # on a processor "auto" never trains in bf16
NAMES = [rung.name for rung in LADDER]


def rungs(stage: str, cfg: ModelConfig) -> list[Rung]:
    """The ladder as far as it applies: an autoencoder embeds no pose, few patches are wide, not all have bf16."""
    left_out, shape = ({"once"}, cfg.emg) if stage.endswith("-MAE") else (set(), cfg.pose)
    if shape.n_channels * shape.patch < transformer.WIDE * cfg.d:
        left_out.add("error")
    return [rung for rung in LADDER if rung.name not in left_out | (set() if has_bf16() else {"bf16"})]


class Variant:
    """One rung; a call takes a turn of steps of a stage (see ``Loop.turn``), or takes a step apart."""

    def __init__(self, name: str, cfg: ModelConfig, store: Path, batch: int, n_steps: int):
        set_threads()
        self.has = {other: NAMES.index(other) <= NAMES.index(name) for other in NAMES}
        self.switches = {
            "FEW_TOKENS": transformer.FEW_TOKENS if self.has["attention"] else 0,
            "WIDE": transformer.WIDE if self.has["error"] else math.inf,
        }
        self.cfg, self.store, self.batch, self.n = cfg, WindowStore(store), batch, n_steps * batch
        self.stage, self.epoch = "", 0

    def __call__(self, stage: str, anatomy: bool = False):
        before = {name: getattr(transformer, name) for name in self.switches}
        vars(transformer).update(self.switches)
        try:
            return self._turn(stage, anatomy)
        finally:
            vars(transformer).update(before)

    def _turn(self, stage: str, anatomy: bool):
        if stage != self.stage:  # the first call of a stage is a warm-up; epochs start anew, as some rungs skip a stage
            self.stage, self.loop, self.epoch = stage, self._loop(stage), 0
        if anatomy:
            batch = next(iter(self.loop.batches(0, self.n)))
            flops, ledger = count(partial(self.loop.step, batch))
            return flops, product_seconds(ledger.products), operators(partial(self.loop.step, batch))
        self.epoch += 1
        return self.loop.turn(self.epoch, self.n, self.has["store"])

    def _loop(self, stage: str) -> Loop:
        has = self.has
        task, frozen = make(stage, self.cfg, self.store, n=self.n, batch=self.batch, memory=not has["store"],
                            precision="bf16" if has["bf16"] else "fp32")  # fmt: skip
        trained = task if has["layout"] else Textbook(task, self.cfg, frozen, has["once"])
        return Loop(trained, task.config, plain=not has["loop"])


def rows(
    store: WindowStore, settings: dict, rounds: int, *, cfg: ModelConfig, size: str, batch: int, steps: int
) -> list[Row]:
    """Both stages up the ladder: a process a rung, taking turns."""
    found = []
    with ExitStack() as stack:
        workers = {}
        used = {rung.name for stage in STAGES for rung in rungs(stage, cfg)}
        for rung in (rung for rung in LADDER if rung.name in used):
            own = {name: value for name, value in settings.items() if name.startswith(rung.settings)}
            worker = Worker(Variant, rung.name, cfg, store.path, batch, steps, settings=own)
            workers[rung.name] = stack.enter_context(worker)
        for worker in workers.values():
            worker.ready()
        for stage in STAGES:
            found += _stage_rows(rungs(stage, cfg), stage, workers, rounds, f"{stage}, {size}, B = {batch}", steps)
    return found


def _stage_rows(
    ladder: list[Rung], stage: str, workers: dict[str, Worker], rounds: int, what: str, steps: int
) -> list[Row]:
    """Every rung against the one before, the total against the textbook, and what the step consists of."""
    losses, waits = {}, {}

    def call(name: str) -> float:
        seconds, wait, found = workers[name](stage)
        losses.setdefault(name, []).extend(found)
        waits.setdefault(name, []).append(100 * wait)
        return seconds

    first, ours = ladder[0].name, OURS
    times = interleave({rung.name: partial(call, rung.name) for rung in ladder}, rounds)
    flops, products, top = workers[ours](stage, True)
    found = [
        Row(PART, f"{what}: {new.about}", "with it", "without", **ratio(times, new.name, old.name))
        for old, new in zip(ladder, ladder[1:], strict=False)
    ]
    gap = np.abs(np.array([losses[name] for name in losses if name not in (first, "bf16")]) - losses[first])
    if gap[:, 0].max() > 1e-4 * abs(losses[first][0]):
        raise RuntimeError(
            f"{what}: the variants do not take the same step, their losses differ by {gap[:, 0].max():g}"
        )
    share, gain, rate = products / np.median(times[ours]), np.median(times[first]) / products, flops / products / 1e9
    shares = ", ".join(f"{name.removeprefix('aten::')} {part:.0%}" for name, part in top)
    found += [
        Row(PART, f"{what}: all of it", "ours", LADDER[0].about, **ratio(times, ours, first), target="2 x",
            note=f"losses in fp32 differ by {gap[:, 0].max():.0e} at the first step and at most {gap.max():.0e} in "
            f"{gap.shape[1]} steps, of {losses[first][0]:.3g}"),
        Row(PART, f"{what}: all but sleeping threads", "ours", "textbook with them", **ratio(times, ours, "passive")),
        Row(PART, f"{what}: matrix products, share of our step", f"{flops / 1e9:.3g} GFLOP, {rate:.0f} GFLOP/s alone",
            "", 100 * share, "%", note=f"were all else free: {gain:.1f} x the textbook; by profiler: {shares}"),
        Row(PART, f"{what}: waiting for data, share of our step", "store, prefetched", **spread(waits[ours]), unit="%",
            target="below 5 %", note=f"the first batch of {steps} is not read ahead and counts in full"),
    ]  # fmt: skip
    if not has_bf16():
        found.append(Row(PART, f"{what}: bf16", "", note="not run: this processor does not multiply in bf16"))
    return found
