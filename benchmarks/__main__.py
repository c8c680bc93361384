"""``./run_all.sh --bench [--full] [--device cuda] [--out DIR]``: measure, write ``figures/bench/``, print the table."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import data, report, training, use
from embridge.config import ModelConfig
from embridge.data.windows import build_store
from embridge.datasets import window_config
from embridge.errors import InputError
from embridge.run import cli
from embridge.run.cli import human


def measure(out: Path, full: bool, device: str, scratch: Path, say: Callable[[str], None]) -> Path:
    """Every part in its order; returns the folder with the table and the plot."""
    about, rounds, steps = report.machine(device), 9 if full else 3, 6 if full else 2

    say("conversion and reading")
    seconds, few = (53, 13) if full else (14, 8)
    source = data.simulate(scratch / "recordings", seconds)
    rows = data.conversion_rows(data.subset(source, few), scratch, rounds)
    waveforms = build_store(source, window_config("simulated"), scratch / "stores", progress=False)
    rows += data.reading_rows(waveforms, source, rounds)
    rows += data.form_rows(source, scratch, rounds, seconds=seconds, n=few)

    say("training, beside the build before")
    rows += training.step_rows(scratch, rounds, steps, beside=True)
    if full or device == "cuda":
        say("training, paper size")
        batch = 256 if device == "cuda" else 16  # of windows: a processor's memory bounds it
        rows += training.step_rows(scratch, rounds, steps, profile="paper", batch=batch, device=device)
    if full:
        say("the whole default run, both builds")
        rows += training.whole_rows(scratch)

    say("retrieval and labelling")
    n_poses, n_queries, d = (100_000, 1_000, 256) if full else (50_000, 500, 64)
    rows += use.retrieval_rows(rounds, n_poses=n_poses, n_queries=n_queries, d=d)
    if full:
        rows += use.retrieval_rows(0, n_poses=1_000_000, n_queries=10_000, d=d, ways=("ours",))
    rows += use.label_rows()
    rows += use.decision_rows(ModelConfig(), 200 if full else 50)
    rows += use.stream_rows(3600 if full else 60)

    say("how time and memory grow with windows")
    points = data.growth(source, scratch, (5, 16, 50, 160, 500) if full else (20, 60, 200))
    return report.write(out / "figures", rows + data.growth_rows(points), points, about)


@cli.command("nothing was written")
def main(argv: list[str]) -> None:
    """Measure what is asked for; returns an exit code."""
    options = cli.parse(argv, action="bench")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: found no CUDA device for 'cuda'; use --device cpu or auto")
    cache = options.out / ".cache"
    cli.make_writable(cache)
    device = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{human(time.monotonic() - began)}] {what}", flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache, ignore_cleanup_errors=True) as scratch:
        folder = measure(options.out, options.full, device, Path(scratch), say)
    say(f"written to {folder}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
