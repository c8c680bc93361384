"""Which experiments are to be trained, in which order, and about how long that takes.

What is there already is left out: finished runs, and in the ``long`` profile, whose product they are, committed rows.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from embridge.systems import EXPERIMENTS, trained_by

# torch takes seconds to load, and so it is imported where it is needed: see :mod:`embridge.sweep`.

EPOCH_SECONDS = 6.0  # of EMG-MAE on one of two cores, at quick's size: the unit of Study.cost
QUICK_WINDOWS = 7760  # that such an epoch has (METHOD 10)
BUNDLE_SECONDS = 20.0  # a process takes about 5 s to load what it needs: short trainings share one
BUNDLE_SIZE = 12  # experiments in one process: smoke's take 1 to 2 s each whatever they train, and should end together
HEADLINE_SEEDS = 3  # of the long profile (METHOD 10)


@dataclass(frozen=True)
class Task:
    """One job: its name, its command and the names of the tasks that must have ended well before it starts."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    seconds: float = 0.0  # that it may take, for a sweep that has to end in time


def plan(options: argparse.Namespace, *, device: str) -> list[Task]:
    """The experiments asked for and what they need, needs and long ones first, without those that are finished.

    Builds the data where they are missing, with ``device`` for what is computed here. That happens in this process
    and not in a job because a run's key, by which a finished one is known, is a hash over the data; and because jobs
    that start together would all want to build them. Raises InputError for an unknown name and for bad data.
    """
    from embridge.train import check_name

    for name in (*(options.sweep or ()), *options.retrain):
        check_name(name)
    tasks = _on(options.dataset, options, device)
    # Table 2 has columns for NinaPro: whoever trains everything on the simulator trains them, too
    if options.dataset == "simulated" and options.profile != "quick" and not options.sweep:
        tasks += _on("simulated-ninapro", options, device)
    return tasks


def n_seeds(name: str, options: argparse.Namespace) -> int:
    """Seeds that an experiment is trained with: those asked for, of the long profile's headline three or more."""
    headline = options.profile == "long" and EXPERIMENTS[name].part == "headline"
    return max(options.seeds, HEADLINE_SEEDS if headline else 1)


def finished(study) -> set[str]:
    """Names of the experiments that are trained, with the study's seed."""
    runs = {path.parent.name.rpartition("-")[2] for path in (study.out / "runs").glob("*/done.json")}
    return {e.name for e in EXPERIMENTS.values() if study.key(e) in runs}


def to_train(study, asked: Iterable[str], options: argparse.Namespace, done: set[str]) -> list[str]:
    """Which of ``asked`` are to be trained with the study's seed, and what they need of what is not, needs first.

    ``done``: those that are :func:`finished`. Rows that are recorded need no weights, but notebooks look into the
    headline's.
    """
    from embridge.records import recorded

    again, long = set(options.retrain) & {*trained_by("long", study.dataset)}, options.profile == "long"

    def is_missing(name: str) -> bool:
        if study.seed >= n_seeds(name, options):
            return False
        if name in again or (long and not recorded(study, name)):
            return True
        return name not in done and (not long or (EXPERIMENTS[name].part == "headline" and study.seed == 0))

    def needs_first(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            yield from needs_first(EXPERIMENTS[name].needs)
            yield name

    missing = [name for name in asked if is_missing(name)]
    return [n for n in dict.fromkeys(needs_first(missing)) if n in missing or n not in done]


def _on(dataset: str, options: argparse.Namespace, device: str) -> list[Task]:
    from embridge.experiments import Study
    from embridge.train import prepare

    where = (options.data or "", options.out)
    how = {"tokens": options.tokens, "skip_broken": options.skip_broken}
    study = Study(dataset, options.profile, 0, device, *where, **how)
    long = options.profile == "long"
    prepare(study)
    if not options.sweep:  # everything, so its evaluation, too: said before hours of training
        study.splits.check_evaluable()
    size = len(study.splits.pretrain) / QUICK_WINDOWS

    known = trained_by(options.profile, dataset)
    again = set(options.retrain) & {*trained_by("long", dataset)}
    asked = list(dict.fromkeys([*(options.sweep or known), *options.retrain]))
    tasks = []
    for study.seed in range(max(n_seeds(name, options) for name in asked)):  # training's: never changes the data
        missing = to_train(study, asked, options, finished(study))
        # the longest first, so that none is left to end alone; in pieces (long), the registry's order: tables first
        if not long:
            missing.sort(key=lambda name: (bool(EXPERIMENTS[name].needs), -study.cost(EXPERIMENTS[name])))
        seconds = {name: study.cost(EXPERIMENTS[name]) * EPOCH_SECONDS * size for name in missing}
        bundles: list[list[str]] = []
        for name in missing:
            last = bundles[-1] if bundles else []
            alike = (
                last and bool(EXPERIMENTS[last[0]].needs) == bool(EXPERIMENTS[name].needs) and not again & {name, *last}
            )
            if alike and len(last) < BUNDLE_SIZE and sum(seconds[n] for n in (*last, name)) < BUNDLE_SECONDS:
                last.append(name)
            else:
                bundles.append([name])
        where = f"seed {study.seed}" + (", NinaPro" if dataset != options.dataset else "")
        task_of = {name: _title(bundle, where) for bundle in bundles for name in bundle}
        for bundle in bundles:
            # quick has long's size: what is trained again for its rows is long's
            profile = "long" if again & set(bundle) and options.profile == "quick" else options.profile
            command = [sys.executable, "-P", "-m", "embridge.train", *bundle, "--dataset", dataset]
            command += ["--profile", profile, "--seed", str(study.seed), "--device", options.device]
            command += ["--out", str(options.out), *(["--data", str(options.data)] if options.data else [])]
            command += ["--skip-broken"] if options.skip_broken else []
            command += ["--tokens", options.tokens] if options.tokens else []
            needs = dict.fromkeys(task_of[n] for name in bundle for n in EXPERIMENTS[name].needs if n in task_of)
            tasks.append(Task(task_of[bundle[0]], tuple(command), tuple(needs), sum(seconds[n] for n in bundle)))
    return tasks


def _title(bundle: list[str], where: str) -> str:
    return f"{bundle[0]}, {where}" + (f", and {len(bundle) - 1} more" if len(bundle) > 1 else "")
