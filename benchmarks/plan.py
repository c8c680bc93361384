"""``run_all.sh --plan``: what the experiments would take on this machine, and what is done; trains and writes nothing.

Numbers of windows come from the store, or from recordings' lengths where it is not built yet; times from real steps of
untrained models on noise.
"""

import argparse
import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from embridge.config import kind_of
from embridge.data.batches import Reader, Statistics
from embridge.data.emg2pose import open_emg2pose
from embridge.data.ninapro import open_ninapro
from embridge.data.recordings import LEAVE_OUT, Source
from embridge.data.store import OF_RECORDING, window_bytes
from embridge.data.windows import find_store
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, MOST_USERS, Experiment, headline_alone, trained_by
from embridge.models import new_model, pose_encoder, regressor
from embridge.objectives import AlignTask, MAETask, RegressionTask
from embridge.paper.records import recorded
from embridge.parallel import processor
from embridge.run import cli
from embridge.run.pages import NUMBERS
from embridge.simulator import ninapro, write
from embridge.simulator.recordings import planned_ninapro, planned_simulated
from embridge.study import Study
from embridge.train import study_of
from embridge.training import Trainer, forget_compiled
from runner import jobs
from runner.progress import Heartbeat, human

HEAD = ("experiment", "part", "windows", "steps", "parameters", "trained", "disk", "memory", "time", "done")
NOISE = 8  # windows of noise, over and over: a step does not look at what is in them
FIRST, GROWTH = 4, 4  # windows in the first step on a CPU, and by how much batches grow from there
LIMIT = 1.0  # s that a step on a CPU may take
COMMUNITIES = 138  # N_c on emg2pose, E A.6


class Data(NamedTuple):
    """The recordings that a study's experiments read."""

    recordings: int
    hours: float
    recordings_bytes: int  # of simulated ones, which a run writes; 0 for real ones
    recordings_there: int  # of these, written
    built: bool  # whether the windows are those of a finished store, so that their number is exact


def look_at(study: Study, *, progress: bool = True) -> Data:
    """Give the study its store where there is a whole one, else a stand-in of the windows expected; writes nothing.

    Recordings' lengths come from their headers, or from the simulator's plan where they are not written yet. Raises
    InputError for a folder or a file that the readers refuse, and where no recording holds a window.
    """
    source, size, there = _simulated(study) if study.simulated else (study.source, 0, 0)
    kind = study.profile.model.kind
    built = find_store(source, study.windows, study.stores, kind) if there == size else None
    if built is not None:
        study.store, lengths = built, [r["n_samples"] for r in built.manifest["recordings"]]
    else:
        lengths, table = _expected(study, source, progress and there == size)
        study.store = SimpleNamespace(table=table, kind=kind)
        study.data_key = study.source_key = ""  # its hash is of windows' contents: a run that is finished has another
    hours = sum(lengths) / study.windows.sample_rate / 3600
    return Data(len(lengths), hours, size, there, built is not None)


def _simulated(study: Study) -> tuple[Source, int, int]:
    """Simulated recordings as they are or will be, their bytes, and how many of these are written: all, or fewer."""
    folder, like_emg2pose = study.simulation_folder, study.dataset == "simulated"
    planned = (planned_simulated if like_emg2pose else planned_ninapro)(folder, study.simulation)
    file_bytes = (write if like_emg2pose else ninapro).file_bytes
    written = {r.key: r.path.stat().st_size for r in planned.recordings if r.path.exists()}
    there = sum(written.values())
    if len(written) < len(planned.recordings) or (like_emg2pose and not (folder / "metadata.csv").exists()):
        missing = sum(file_bytes(r.n_samples()) for r in planned.recordings if r.key not in written)
        return planned, there + missing + 1, there  # metadata.csv comes last: a byte of it is missing at least
    return (open_emg2pose if like_emg2pose else open_ninapro)(folder, simulated=True), there, there


def _expected(study: Study, source: Source, progress: bool) -> tuple[list[int], pd.DataFrame]:
    """Each recording's samples, and a table like a store's of the windows that fit, before any is excluded."""
    config, lengths, rows = study.windows, [], []
    for recording in tqdm(source.recordings, "headers", mininterval=5, disable=not progress):
        try:
            n_samples, segments = recording.n_samples(), recording.segments()
        except InputError as error:
            if not study.skip_broken:
                raise InputError(f"{error}{LEAVE_OUT}") from error
            continue
        lengths.append(n_samples)
        about = {name: getattr(recording, name) for name in OF_RECORDING} | {"recording": recording.key}
        for s in segments:
            segment = {"segment": len(rows), "first": s.start, "gesture": s.gesture, "repetition": s.repetition}
            starts = range(s.start, s.stop - config.window + 1, config.stride_train)
            rows += [about | segment | {"start": list(starts)}] if starts else []
    if not rows:
        raise InputError(
            f"{source.folder}: none of its {len(lengths)} recordings is labelled for {config.window} samples in a row, "
            "which a window needs; add longer ones"
        )
    table = pd.DataFrame(rows).explode("start", ignore_index=True)
    table["digest"] = table.index  # no contents yet: no two windows share theirs
    table["eval_grid"] = (table.start - table.first).astype(int) % config.stride_eval == 0
    return lengths, table


def measure_all(study: Study, names: tuple[str, ...], heartbeat: Heartbeat) -> dict[str, dict]:
    """Measure each named experiment, once for those that cost the same; ``heartbeat`` gets the news."""
    groups: dict[tuple, list[str]] = {}
    for name in names:
        groups.setdefault(cost_of(study, EXPERIMENTS[name]), []).append(name)
    found: dict[str, dict] = {}
    for number, members in enumerate(groups.values(), 1):
        heartbeat.news = f"measuring steps, {number} of {len(groups)} kinds: {members[0]}"
        experiment = EXPERIMENTS[members[0]]
        found |= dict.fromkeys(members, measure(study, experiment, study.configs(experiment)[1].batch_size))
    return {name: found[name] for name in names}


def cost_of(study: Study, experiment: Experiment) -> tuple:
    """All that decides the work of a step: experiments for which it is equal share a measurement.

    Soft targets are (B, B) beside encoders of (B, L, d): which ones, and whether there are any, is not told apart; nor
    is what embeds poses, which happens before. A CPU's time grows with the batch, so that its stage's usual one stands
    for larger ones; a GPU's does not.
    """
    (shape, train), objective = study.configs(experiment), experiment.minimises(study.profile)
    network = experiment.name if experiment.kind == "regressor" else experiment.kind
    masked = objective.mask_ratio if objective and objective.lam else None
    moves = experiment.emg_frozen, experiment.pose_trained, objective and objective.tau_learned
    batch = train.batch_size if study.device != "cpu" else None
    return network, replace(shape, pose_embedding="cls"), masked, moves, batch


def _task_of_noise(study: Study, experiment: Experiment, n: int):
    """The experiment's task on n windows of noise, around untrained networks; it reads no data."""
    (shape, train), rng = study.configs(experiment), np.random.default_rng(0)
    stores = []
    for tokens, cut in ((shape.emg_tokens, shape.emg), (shape.pose_tokens, shape.pose)):
        noise = rng.standard_normal((NOISE + 1, cut.n_channels, cut.steps), np.float32).astype(np.float16)
        stores.append(SimpleNamespace(kind=kind_of(tokens), emg_f16=noise, pose_f16=noise))
    scales = Statistics(*((value,) * width for width in (shape.n_joints, shape.n_channels) for value in (0.0, 1.0)))
    norm = "log-power" if stores[0].kind == "features" else train.emg_norm
    reader, ids = Reader(*stores, {"pose": scales, "emg": scales}, norm, study.device), np.arange(n) % NOISE
    if experiment.kind == "regressor":
        return RegressionTask(regressor(experiment.name, shape), reader, ids, np.array([NOISE]), train)
    if not experiment.aligned:
        modality = experiment.kind.removesuffix("-mae")
        return MAETask(new_model(experiment.kind, shape), reader, ids, modality, train)
    objective, poses = experiment.minimises(study.profile), pose_encoder(shape)
    moves = {"emg_frozen": experiment.emg_frozen, "pose_trained": experiment.pose_trained}
    model = new_model(experiment.kind, shape, pose=poses, **moves, **objective.head)
    targets = {"objective": objective, "config": train, "centroids": torch.randn(COMMUNITIES, shape.d)}
    return AlignTask(model, reader, ids, torch.randn(n, shape.d), **targets)


def measure(study: Study, experiment: Experiment, batch: int) -> dict[str, float]:
    """Train the experiment's model on noise for some steps of at most ``batch`` windows, and forget it.

    Returns numbers of its ``parameters`` and of those that are ``trained``, the bytes of its ``weights``, the
    ``seconds`` a window of a batch of ``measured`` windows, and the bytes of a ``window`` and of what comes with it.
    """
    if study.device != "cpu":
        forget_compiled()
    task, config = _task_of_noise(study, experiment, batch), study.configs(experiment)[1]
    trainer = Trainer(task, config, study.device)

    def step(n: int) -> float:
        loaded = task.load(torch.arange(n), 0)
        began = time.perf_counter()
        trainer.step(loaded, n, config.lr)["loss"].item()  # waits for a GPU
        return time.perf_counter() - began

    n, before = batch if study.device != "cpu" else min(FIRST, batch), math.inf
    while True:
        step(n)  # the first of its size, whose memory is new; on a GPU it compiles
        seconds = min(step(n), step(n))
        # where time does not grow with the batch yet, as of steps one after another in an LSTM, it says little
        if n == batch or seconds > 4 * LIMIT or (seconds > LIMIT / GROWTH and seconds > before * GROWTH / 2):
            break
        n, before = min(GROWTH * n, batch), seconds
    seconds = min([seconds, *(step(n) for _ in range(min(3, round(LIMIT / seconds))))])
    return dict(
        parameters=sum(p.numel() for p in task.model.parameters()),
        trained=sum(p.numel() for p in trainer.parameters),
        weights=sum(tensor.nbytes for tensor in task.model.state_dict().values()),
        seconds=seconds / n,
        measured=n,
        window=sum(tensor.nbytes for tensor in task.load(torch.arange(n), 0).values()) / n,
    )


def size(n_bytes: float) -> str:
    """A number of bytes in words: "12 MB", "3.4 GB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.{1 if n_bytes < 10 * factor else 0}f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"


def rows(study: Study, options: argparse.Namespace, steps: dict[str, dict]) -> pd.DataFrame:
    """A row an experiment of ``steps``, by name: what it takes for one seed, beside what its step does.

    ``windows`` that it trains on, ``steps`` in all its epochs; ``time``, s, and ``memory``, bytes of weights,
    gradients, the optimiser's two moments and a batch, estimated on this machine; ``seeds``, how many it is to be
    trained with, of these ``left`` without what is done, ``finished`` weights, or a ``record`` of results alone.
    """
    found = {name: {"seeds": jobs.n_seeds(name, options), "left": 0, "finished": 0, "record": 0} for name in steps}
    for seed in range(max(row["seeds"] for row in found.values())):
        other = study.changed(seed=seed)
        finished = jobs.finished(other)
        missing = jobs.to_train(other, steps, options, finished)
        for name, row in found.items():
            row["left"] += name in missing
            row["finished"] += name in finished
            row["record"] += name not in finished and bool(recorded(other, name))
    for name, row in found.items():
        experiment, config, step = EXPERIMENTS[name], study.configs(EXPERIMENTS[name])[1], steps[name]
        # of more users than the profile's nothing is made to count their windows
        several = len(study.splits.pretrain) * experiment.users * experiment.share
        windows = round(several) if experiment.users > 1 else len(study.windows_of(experiment))
        seconds = config.epochs * windows * step["seconds"]  # each epoch's last batch may be a part of one
        memory = step["weights"] + 12 * step["trained"] + min(config.batch_size, windows) * step["window"]
        updates = config.epochs * math.ceil(windows / config.batch_size)
        row |= step | {"windows": windows, "steps": updates, "time": seconds, "memory": memory}
    return pd.DataFrame.from_dict(found, orient="index")


def table(found: pd.DataFrame) -> Iterator[str]:
    """The lines of the table, columns aligned."""
    lines = [HEAD]
    for row in found.itertuples():
        done = "done" if row.finished else "rows" if row.record else "-"
        if row.seeds > 1:
            done = f"{row.finished} of {row.seeds}" + (f", rows {row.record}" if row.record else "")
        name = row.Index + (f" x {row.seeds}" if row.seeds > 1 else "")
        numbers = [f"{n:,}" for n in (row.windows, row.steps, row.parameters, row.trained)]
        sizes = size(row.weights), size(row.memory), human(row.time)
        lines.append((name, EXPERIMENTS[row.Index].part, *numbers, *sizes, done))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        sides = ((c.ljust if i in (0, 1, 9) else c.rjust) for i, c in enumerate(line))
        yield "  ".join(side(width) for side, width in zip(sides, widths, strict=True)).rstrip()


def disk(study: Study, data: Data, found: pd.DataFrame) -> dict[str, int]:
    """Bytes on disk by what takes them: each store that the rows' experiments read, the weights, what goes along."""
    kinds, spaces, seeds = set(), set(), 0
    for name in found.index:
        experiment, shape = EXPERIMENTS[name], study.configs(EXPERIMENTS[name])[0]
        kinds |= {study.store.kind, kind_of(shape.emg_tokens), kind_of(shape.pose_tokens)}
        seeds = max(seeds, found.seeds[name]) if experiment.aligned else seeds
        if experiment.aligned and not experiment.pose_trained:  # embeddings are kept beside each Pose-MAE's weights
            start, how = study.pose_space(name)
            spaces.add((start, how.replace("centred", "cls")))
    n, larger = len(study.store.table), any(EXPERIMENTS[name].users > 1 for name in found.index)
    more = n + round((MOST_USERS - 1) * len(study.splits.pretrain)) if larger else 0  # in one store for all sizes
    return {
        "recordings": data.recordings_bytes,
        "windows": sum(n * window_bytes(kind, study.windows) for kind in kinds),
        "windows of more users": more * window_bytes(study.store.kind, study.windows),
        "weights": (found.seeds * found.weights).sum(),
        "pose embeddings": 4 * study.profile.model.d * len(study.splits.pretrain) * len(spaces) * seeds,
        "a checkpoint": (found.weights + 8 * found.trained).max(),
    }


def head(study: Study, data: Data, options: argparse.Namespace) -> Iterator[str]:
    """The lines above the table: the question, and the data."""
    # a load above 0: others are at work, and what is measured takes longer than it would alone
    where = f"{torch.get_num_threads()} threads of {processor()} (load {os.getloadavg()[0]:.1f})"
    where = where if study.device == "cpu" else torch.cuda.get_device_name()
    yield f"dataset {study.dataset}, profile {study.profile.name}, seeds {options.seeds}, on {where}"
    there = data.recordings_there
    state = "there" if there == data.recordings_bytes else f"{size(there)} there" if there else "to be simulated"
    written = f", {size(data.recordings_bytes)} ({state})" if study.simulated else ""
    yield f"recordings: {data.recordings:,}, {data.hours:.1f} h{written}"
    exact = "there" if data.built else "to be cut; an estimate from recordings' lengths, before exclusions"
    n = len(study.store.table)
    windows = f"{n:,}, {len(study.splits.pretrain):,} of them for pre-training"
    yield f"windows: {windows}, {size(n * window_bytes(study.store.kind, study.windows))} ({exact})"
    try:
        study.splits.check_evaluable()
    except InputError as problem:
        yield f"note: {problem}"


def foot(study: Study, data: Data, found: pd.DataFrame, options: argparse.Namespace) -> Iterator[str]:
    """Totals, what the numbers are, and how one row is run alone."""
    for what, times in (("in all", found.seeds), ("still to train", found.left)):
        seconds = human((times * found.time).sum())
        yield f"{what}: {times.sum()} trainings, {(times * found.steps).sum():,} steps, {seconds} one after another"
    parts, there = disk(study, data, found), next(p for p in (study.out, *study.out.parents) if p.exists())
    yield f"disk: {size(sum(parts.values()))} ({', '.join(f'{name} {size(n)}' for name, n in parts.items() if n)})"
    yield f"  {size(shutil.disk_usage(there).free)} are free at {there}"
    yield ""
    yield "time: of training alone, from real steps of untrained models on noise, made just now"
    if study.device == "cpu":
        yield f"  with batches of {found.measured.min()} windows or more; it is taken to grow with the batch."
    yield "memory: of weights, gradients, the optimiser's moments and a batch; what the forward pass keeps for the"
    yield "  backward one comes on top."
    if any(EXPERIMENTS[name].kind == "regressor" for name in found.index):
        yield "Regressors may stop early; their steps and time are the most (of long: --hours H trains them in pieces)."
    if headline_alone(study.profile.name, study.tokens) and study.profile.name == "long":
        pages = f"page {NUMBERS['appendix']}'s table and CPEP's growth ({NUMBERS['efficiency']})"
        yield f"On another front end than its own long trains the headline for {pages}."
    elif study.dataset == "simulated" and study.profile.name != "quick":
        yield "Without names a run and a sweep train NinaPro's columns, too: --plan --dataset simulated-ninapro."
    name = next((name for name in found.index if found.left[name] and EXPERIMENTS[name].needs), found.index[-1])
    alone = shlex.join(["./run_all.sh", "--train", name, *cli.arguments(options)])
    yield f"one row alone, with what it needs: {alone}"


@cli.command("nothing was written")
def main(argv: list[str]) -> None:
    """Print the forecast that ``argv`` asks for (see ``run_all.sh --help``) and return the exit code."""
    options = cli.parse(argv, action="plan")
    study = study_of(options)
    data = look_at(study)
    print(*head(study, data, options), sep="\n", flush=True)
    with Heartbeat() as heartbeat:
        steps = measure_all(study, trained_by(options.profile, options.dataset, options.tokens), heartbeat)
    found = rows(study, options, steps)
    print("", *table(found), "", *foot(study, data, found, options), sep="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
