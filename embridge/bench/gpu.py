"""Rows on training on a GPU: time a step, shares of both ceilings, peak memory, and what three stages would take."""

import time
from pathlib import Path

import torch

from embridge.bench.ledger import count
from embridge.bench.measure import Row, spread
from embridge.bench.steps import Loop, make
from embridge.bench.workers import Worker
from embridge.config import ModelConfig
from embridge.windows import WindowStore

PART = "training, GPU"
STEPS = 20  # a repetition
FLOPS, BYTES = 989e12, 4.8e12  # a second; an H200's data sheet: dense bf16, HBM3e
# By stage: epochs (E A.6), and the target in ms: twice what eager memory traffic takes at an H200's 4.3 TB/s
STAGES = {"EMG-MAE": (100, 3.1), "Pose-MAE": (100, 1.1), "EMBridge": (40, 5.4)}
STEPS_AN_EPOCH = 2601  # 666,000 windows, all of emg2pose, in batches of 256: an upper bound


def not_run() -> Row:
    """The row that stands for this part where there is no GPU."""
    return Row(PART, "three stages, paper size, B = 256, bf16", "", unit="ms", note="not run: no GPU here")


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _seconds(work, times: int, device: str) -> float:
    """Seconds a call, of so many in a row."""
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        work()
    _wait(device)
    return (time.perf_counter() - began) / times


def ceilings(device: str, n: int = 8192, times: int = 20) -> tuple[float, float]:
    """Measured rates: bf16 matrix products (FLOP/s), and copies within the device's memory (bytes/s, both ways)."""
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    large = torch.randn(4 * n * n, device=device)
    other = torch.empty_like(large)
    found = []
    for work, size in ((lambda: a @ b, 2 * n**3), (lambda: other.copy_(large), 8 * large.numel())):
        _seconds(work, 3, device)  # warms up
        found.append(size / _seconds(work, times, device))
    return found[0], found[1]


class Stage:
    """One stage on one device; a call measures it: seconds a step, with and without loading, and what a step needs."""

    def __init__(self, stage: str, store: Path, compiled: bool, cfg: ModelConfig, batch: int, device: str):
        self.device, self.compiled, self.n = device, compiled, STEPS * batch
        task, _ = make(stage, cfg, WindowStore(store), n=self.n, batch=batch, device=device, precision="bf16")
        self.loop, self.placement = Loop(task, task.config, device), task.placement
        if not compiled:
            self.loop.trainer.loss = task.loss

    def __call__(self, rounds: int) -> dict:
        batches = list(self.loop.batches(0, self.n))

        def repetition() -> float:
            return _seconds(lambda: [self.loop.step(batch) for batch in batches], 1, self.device) / len(batches)

        repetition()  # compiles, warms up
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        found = {"steps": [repetition() for _ in range(rounds)], "placement": self.placement}
        found["peak"] = torch.cuda.max_memory_allocated() if self.device == "cuda" else 0
        found["loaded"] = [self.loop.turn(epoch, self.n)[0] for epoch in range(rounds)]
        if not self.compiled:  # each operator can be seen
            found["flops"], ledger = count(lambda: self.loop.step(batches[0]))
            found["bytes"] = ledger.bytes
        return found


def rows(store: WindowStore, settings: dict, rounds: int, *, cfg=None, batch: int = 256, device="cuda") -> list[Row]:
    """Every stage, eager and compiled, and the projection from the compiled ones; cfg: another size, for tests."""
    products, copies = ceilings(device) if device == "cuda" else ceilings(device, 256, 2)
    found, total = [], 0.0
    for stage, (epochs, target) in STAGES.items():
        measured = {}
        for name in ("eager", "compiled"):
            args = (stage, store.path, name == "compiled", cfg or ModelConfig(), batch, device)
            with Worker(Stage, *args, settings=settings) as worker:
                measured[name] = worker.ready()(rounds)
        flops, moved = measured["eager"]["flops"], measured["eager"]["bytes"]
        for name, one in measured.items():
            ms, loaded = (spread(1000 * s for s in one[key]) for key in ("steps", "loaded"))
            rate, traffic = (1000 * amount / ms["value"] for amount in (flops, moved))
            found.append(
                Row(PART, f"{stage}, paper size, B = {batch}, bf16, {name}", f"{rate / 1e12:.0f} TFLOP/s, "
                    f"{one['peak'] / 2**30:.1f} GiB at most", "", **ms, unit="ms", target=f"at most {target} ms",
                    note=f"{rate / products:.0%} of {products / 1e12:.0f} TFLOP/s measured here, {rate / FLOPS:.0%} of "
                    f"an H200's {FLOPS / 1e12:.0f}; eager traffic of {moved / 1e9:.1f} GB at this pace is "
                    f"{traffic / copies:.0%} of {copies / 1e12:.1f} TB/s measured here, {traffic / BYTES:.0%} of "
                    f"{BYTES / 1e12:.1f}; {loaded['value']:.2f} ms with loading, {one['placement']}")
            )  # fmt: skip
        total += epochs * STEPS_AN_EPOCH * spread(measured["compiled"]["steps"])["value"]
    epochs = " + ".join(str(n) for n, _ in STAGES.values())
    found.append(
        Row(PART, f"three stages on 666,000 windows, {epochs} epochs, by step time", "compiled", "", total / 60, "min",
            target="at most 30 min", note="projected, not run")
    )  # fmt: skip
    return found
