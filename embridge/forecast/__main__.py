"""The command line: ``python -m embridge.forecast --profile paper``, or ``run_all.sh --plan``."""

import argparse
import math
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from embridge import cli, planning
from embridge.config import kind_of
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, Study, trained_by
from embridge.forecast.data import Data, look_at
from embridge.forecast.steps import Step, measure_all
from embridge.parallel import processor
from embridge.progress import Heartbeat, human
from embridge.records import recorded
from embridge.store import window_bytes

HEAD = ("experiment", "part", "windows", "steps", "parameters", "trained", "disk", "memory", "time", "done")


@dataclass(frozen=True)
class Row:
    """What one experiment takes for one seed, and for how many of its seeds it is there already.

    Attributes
    ----------
    windows : that it trains on
    steps : in all its epochs
    seconds, memory : estimated, on this machine; memory in bytes
    seeds : how many it is to be trained with
    left : of these, without what is done
    trained, rows : seeds with finished weights, and with a record of rows alone
    """

    name: str
    windows: int
    steps: int
    step: Step
    seconds: float
    memory: int
    seeds: int
    left: int
    trained: int
    rows: int

    @property
    def done(self) -> str:
        """What is there, in words."""
        if self.seeds == 1:
            return "done" if self.trained else "rows" if self.rows else "-"
        return f"{self.trained} of {self.seeds}" + (f", rows {self.rows}" if self.rows else "")

    def cells(self) -> tuple[str, ...]:
        """The table's cells, in HEAD's order."""
        seeds = f" x {self.seeds}" if self.seeds > 1 else ""
        numbers = (self.windows, self.steps, self.step.parameters, self.step.trained)
        return (
            self.name + seeds, EXPERIMENTS[self.name].part, *(f"{n:,}" for n in numbers),
            size(self.step.weights), size(self.memory), human(self.seconds), self.done,
        )  # fmt: skip


def size(n_bytes: float) -> str:
    """A number of bytes in words: "12 MB", "3.4 GB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.{1 if n_bytes < 10 * factor else 0}f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"


def rows(study: Study, options: argparse.Namespace, steps: dict[str, Step]) -> list[Row]:
    """A row an experiment of the study's profile and dataset, whose steps take ``steps``."""
    names = trained_by(study.profile.name, study.dataset)
    trained, kept, left = ({name: 0 for name in names} for _ in range(3))
    for study.seed in range(max(planning.n_seeds(name, options) for name in names)):
        finished = planning.finished(study)
        missing = planning.to_train(study, names, options, finished)
        for name in names:
            left[name] += name in missing
            trained[name] += name in finished
            kept[name] += name not in finished and bool(recorded(study, name))
    study.seed = 0
    found = []
    for name in names:
        _, config = study.configs(EXPERIMENTS[name])
        windows = len(study.windows_of(EXPERIMENTS[name]))
        seconds = config.epochs * windows * steps[name].seconds  # each epoch's last batch may be a part of one
        if EXPERIMENTS[name].windows:  # what it needs is trained on its windows, too, which are about as many
            seconds += sum(row.seconds for row in found if row.name in EXPERIMENTS[name].needs)
        found.append(
            Row(
                name=name,
                windows=windows,
                steps=config.epochs * math.ceil(windows / config.batch_size),
                step=steps[name],
                seconds=seconds,
                memory=steps[name].memory(min(config.batch_size, windows)),
                seeds=planning.n_seeds(name, options),
                left=left[name],
                trained=trained[name],
                rows=kept[name],
            )
        )
    return found


def table(found: list[Row]) -> Iterator[str]:
    """The lines of the table, columns aligned."""
    lines = [HEAD, *(row.cells() for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            c.ljust(w) if i in (0, 1, 9) else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def embeddings_bytes(study: Study, found: list[Row]) -> int:
    """Bytes of the pose embeddings of the pre-training windows that are kept beside each Pose-MAE's weights."""
    aligned = [row for row in found if EXPERIMENTS[row.name].aligned]
    kinds = {study.pose_space(row.name) for row in aligned if not EXPERIMENTS[row.name].pose_trained}
    kinds = {"cls" if kind == "centred" else kind for kind in kinds}
    seeds = max((row.seeds for row in aligned), default=0)
    return 4 * study.profile.model.d * len(study.splits.pretrain) * len(kinds) * seeds


def stores_bytes(study: Study, found: list[Row]) -> int:
    """Bytes of every window store that the rows' experiments read: features, and waveforms where one needs them."""
    kinds = set()  # one more store where windows are cut otherwise
    for row in found:
        experiment = EXPERIMENTS[row.name]
        shape, changes = study.configs(experiment)[0], str(experiment.windows)
        kinds |= {(study.store.kind, changes), *((kind_of(t), changes) for t in (shape.emg_tokens, shape.pose_tokens))}
    return sum(len(study.store) * window_bytes(kind, study.windows) for kind, _ in kinds)


def head(study: Study, data: Data, options: argparse.Namespace) -> Iterator[str]:
    """What is asked for, and what the data are."""
    # above 0, others are at work, and what is measured takes longer than it would alone
    where = f"{torch.get_num_threads()} threads of {processor()} (load {os.getloadavg()[0]:.1f})"
    where = where if study.device == "cpu" else torch.cuda.get_device_name()
    yield f"dataset {study.dataset}, profile {study.profile.name}, seeds {options.seeds}, on {where}"
    written = ""
    if study.simulated:
        there = data.recordings_there
        state = "there" if there == data.recordings_bytes else f"{size(there)} there" if there else "to be simulated"
        written = f", {size(data.recordings_bytes)} ({state})"
    yield f"recordings: {data.recordings:,}, {data.hours:.1f} h{written}"
    exact = "there" if data.built else "to be cut; an estimate from recordings' lengths, before exclusions"
    windows = f"{len(study.store):,}, {len(study.splits.pretrain):,} of them for pre-training"
    yield f"windows: {windows}, {size(data.store_bytes)} ({exact})"
    try:
        study.splits.check_evaluable()
    except InputError as problem:
        yield f"note: {problem}"


def foot(study: Study, data: Data, found: list[Row], options: argparse.Namespace) -> Iterator[str]:
    """Totals, what the numbers are, and how one row is run alone."""
    for what, times in (("in all", "seeds"), ("still to train", "left")):
        number = sum(getattr(row, times) for row in found)
        steps = sum(getattr(row, times) * row.steps for row in found)
        seconds = sum(getattr(row, times) * row.seconds for row in found)
        yield f"{what}: {number} trainings, {steps:,} steps, {human(seconds)} one after another"
    weights, checkpoint = sum(row.seeds * row.step.weights for row in found), max(row.step.checkpoint for row in found)
    kept = embeddings_bytes(study, found)
    parts = {"recordings": data.recordings_bytes, "windows": stores_bytes(study, found), "weights": weights}
    parts |= {"pose embeddings": kept, "a checkpoint": checkpoint}
    there = next(path for path in (study.out, *study.out.parents) if path.exists())
    told = ", ".join(f"{name} {size(n)}" for name, n in parts.items() if n)
    yield f"disk: {size(sum(parts.values()))} ({told})"
    yield f"  {size(shutil.disk_usage(there).free)} are free at {there}"
    yield ""
    if study.device == "cpu":
        least = min(row.step.measured for row in found)
        yield "time: of training alone, from real steps of untrained models on noise, made just now"
        yield f"  with batches of {least} windows or more; it is taken to grow with the batch."
        yield "memory: of a step: weights, gradients, the optimiser's moments, the batch,"
        yield "  and what the forward pass keeps for the backward one."
    else:
        yield "time: of training alone, from real, compiled steps of untrained models on noise, made just now."
        yield "memory: the most that a step had allocated on the GPU, without windows that are kept there."
    if any(EXPERIMENTS[row.name].kind == "regressor" for row in found):
        yield "Regressors may stop early; their steps and time are the most."
    if study.dataset == "simulated" and study.profile.name != "quick":
        yield "Without names a run and a sweep train NinaPro's columns, too: --plan --dataset simulated-ninapro."
    given = ["--profile", options.profile, "--dataset", options.dataset]
    given += ["--data", str(options.data)] if options.data else []
    given += ["--skip-broken"] if options.skip_broken else []
    given += ["--tokens", options.tokens] if options.tokens else []
    given += ["--device", options.device] if options.device != "auto" else []
    given += ["--out", str(options.out)] if options.out != cli.ROOT else []
    name = next((row.name for row in found if row.left and EXPERIMENTS[row.name].needs), found[-1].name)
    yield f"one row alone, with what it needs: {shlex.join(['./run_all.sh', '--train', name, *given])}"


def forecast(options: argparse.Namespace) -> None:
    """Print all that the command line's options ask for; raises InputError as Study and its readers do."""
    where = (options.data or "", options.out)
    how = {"tokens": options.tokens, "skip_broken": options.skip_broken}
    study = Study(options.dataset, options.profile, 0, options.device, *where, **how)
    data = look_at(study)
    print(*head(study, data, options), sep="\n", flush=True)
    with Heartbeat() as heartbeat:
        steps = measure_all(study, trained_by(options.profile, options.dataset), heartbeat)
    found = rows(study, options, steps)
    print("", *table(found), "", *foot(study, data, found, options), sep="\n")


def main(argv: list[str]) -> int:
    """Print the forecast that ``argv`` asks for (see ``run_all.sh --help``) and return the exit code."""
    try:
        forecast(cli.parse(argv, action="plan"))
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:  # a folder gone
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped: nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
