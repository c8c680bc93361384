"""``./run_all.sh --bench [--full] [--device cuda] [--out DIR]``: measure, write ``figures/bench/``, print the table."""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from embridge import cli
from embridge.bench import before, data, gpu, ladder, report, scaling, use
from embridge.bench.measure import machine
from embridge.bench.workers import speed_settings
from embridge.config import ModelConfig, WindowConfig, profile, with_tokens
from embridge.errors import InputError
from embridge.progress import human
from embridge.training import set_threads
from embridge.windows import build_store


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    seconds: float  # of each of 52 recordings
    rounds: int  # repetitions of everything that is repeated
    converted: int  # recordings in a repetition of the conversion
    # Training: name, network, batch size, steps a repetition. A process for each rung keeps its buffers, so a batch of
    # paper size is small: with 16 windows they take 12 GB together.
    ladders: tuple[tuple[str, ModelConfig, int, int], ...]
    before: tuple[int, int]  # beside the build before: rounds, steps a turn
    whole: bool  # whether ./run_all.sh is timed, too: this build's, and that of the build before
    retrieval: tuple[int, int, int]  # poses, queries, d; timed
    memory: tuple[int, int, int] | None  # the same, for memory alone
    scaling: ModelConfig  # the network whose training and embedding are scaled
    scaling_seconds: float  # of each of the recordings that are scaled
    scaling_window: int  # samples
    scaling_recordings: tuple[int, ...]


QUICK, PAPER = ("quick's size", profile("quick").model), ("paper size", ModelConfig())
SMOKE = Size(
    seconds=14, rounds=5, converted=8, ladders=((*QUICK, 128, 1),), before=(5, 2), whole=False,
    retrieval=(50_000, 500, 64), memory=None,
    # waveforms: no bin of 25 ms fits 40 samples
    scaling=with_tokens(profile("smoke"), "waveform").model, scaling_seconds=2, scaling_window=40,
    scaling_recordings=(1, 10, 100),
)  # fmt: skip
FULL = Size(
    seconds=53, rounds=9, converted=13, ladders=((*QUICK, 256, 3), (*PAPER, 16, 3)), before=(9, 6), whole=True,
    retrieval=(100_000, 1_000, 256), memory=(1_000_000, 10_000, 256), scaling=profile("quick").model,
    scaling_seconds=53, scaling_window=4000, scaling_recordings=(5, 16, 50, 160, 500),
)  # fmt: skip


def measure(out: Path, size: Size, device: str, scratch: Path, say: Callable[[str], None]) -> Path:
    """Every part in its order; returns the folder with the table and the plot."""
    about, settings = machine(device), speed_settings()
    say("simulating recordings and converting them once")
    source = data.simulate(scratch / "recordings", size.seconds)
    stores = {
        kind: build_store(source, WindowConfig(), scratch / "stores", kind, progress=False) for kind in data.KINDS
    }
    waveforms = stores["waveform"]

    say("conversion and reading")
    some = data.subset(source, size.converted)
    rows = data.conversion_rows(some, scratch, settings, size.rounds, every_core=size is FULL)
    rows += data.reading_rows(waveforms, source, settings, 3 * size.rounds, batch=256)  # one of ours takes milliseconds

    for name, cfg, batch, steps in size.ladders:
        say(f"training on the processor, {name}")
        rows += ladder.rows(stores[cfg.kind], settings, size.rounds, cfg=cfg, size=name, batch=batch, steps=steps)
    if device == "cuda":
        say("training on the GPU")
        rows += gpu.rows(waveforms, settings, size.rounds)
    else:
        rows.append(gpu.not_run())

    say("training steps beside those of the build before")
    rows += before.step_rows(scratch, settings, *size.before)
    if size.whole:
        rows += before.whole_rows(scratch, say)

    say("retrieval and scoring")
    for (n_poses, n_queries, d), rounds in ((size.retrieval, size.rounds), (size.memory or (0, 0, 0), 0)):
        if n_poses:
            rows += use.retrieval_rows(settings, rounds, n_poses=n_poses, n_queries=n_queries, d=d)
    rows += use.scoring_rows(settings, dict((PAPER, QUICK)))

    say("scaling")
    if size.scaling_seconds != size.seconds:
        source = data.simulate(scratch / "short", size.scaling_seconds)
    points, found, exponents = scaling.measure(
        source, scratch / "scaling", settings,
        recordings=size.scaling_recordings, window=size.scaling_window, model=size.scaling,
    )  # fmt: skip
    return report.write(out / "figures", rows + found, points, exponents, about)


def main(argv: list[str]) -> int:
    """Measure what is asked for; returns an exit code."""
    try:
        options = cli.parse(argv, action="bench")
        if options.device == "cuda" and not torch.cuda.is_available():
            raise InputError("device: found no CUDA device for 'cuda'; use --device cpu or auto")
        cache = options.out / ".cache"
        cli.make_writable(cache)
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    device = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
    set_threads()
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{human(time.monotonic() - began)}] {what}", flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=cache) as scratch:
            folder = measure(options.out, FULL if options.full else SMOKE, device, Path(scratch), say)
    except KeyboardInterrupt:
        print("\nstopped: nothing was written", file=sys.stderr)
        return 130
    say(f"written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
