"""Old import paths raise an ImportError that names the new one, until 0.3; CHANGELOG.md has the same table."""

import sys

# Old module or name to the module that has it now; "" for benchmarks/, which is outside the package.
MOVED = {
    "alternatives": "paper.open_choices",
    "api": "inference",
    "bench": "",
    "bounds": "files",
    "check": "run.check",
    "choices": "grids",
    "claims": "paper.claims",
    "claims.evidence": "paper.claims",
    "claims.registry": "paper.claims_list",
    "cli": "run.cli",
    "comparisons": "paper.comparisons",
    "config.DATASETS": "datasets",
    "config.SIMULATED": "datasets",
    "config.for_dataset": "datasets",
    "config.window_config": "datasets",
    "cutting": "data.cutting",
    "dataset": "study",
    "drawing": "figures.method",
    "environment": "run.setup",
    "epochs": "run.epochs",
    "evaluation.bootstrap_over_groups": "statistics",
    "evaluation.macro_f1": "statistics",
    "evaluation.paired_bootstrap": "statistics",
    "evaluation.per_class_f1": "statistics",
    "evaluation.per_group_f1": "statistics",
    "experiments.Choice": "grids",
    "experiments.DEFAULTS": "grids",
    "experiments.NEIGHBOURS": "grids",
    "experiments.Run": "trained",
    "experiments.Study": "study",
    "experiments.paired_subset": "trained",
    "few_shot": "paper.scoring",
    "figures.names": "figures.style",
    "forecast": "run.plan",
    "hand": "data.hand",
    "job": "run.jobs",
    "kernel": "run.notebooks",
    "loading": "data.batches",
    "models.base": "models.regressors",
    "models.neuropose": "models.regressors",
    "models.poset": "models.regressors",
    "models.tds": "models.regressors",
    "notebook": "run.notebooks",
    "optimisation": "training",
    "planning": "run.jobs",
    "progress": "run.progress",
    "protocols": "paper.scoring",
    "recognition": "inference",
    "recordings": "data.recordings",
    "recordings.emg2pose": "data.emg2pose",
    "recordings.ninapro": "data.ninapro",
    "recordings.session": "data.emg2pose",
    "recordings.simulated": "simulator.recordings",
    "regression": "objectives",
    "report": "run.report",
    "results": "paper.results",
    "retrieval": "evaluation",
    "rows": "paper.results",
    "runner": "run.notebooks",
    "runs": "trained",
    "score": "paper.records",
    "signals": "data.signals",
    "simulator.bids": "",
    "simulator.streams": "simulator",
    "splits": "data.splits",
    "store": "data.store",
    "survey": "data.windows",
    "sweep": "run.jobs",
    "systems": "experiments",
    "tables": "paper.tables",
    "tables.cells": "paper.table_cells",
    "tasks": "objectives",
    "training.noise": "data.batches",
    "training.seed_of": "data.batches",
    "views": "paper.explore",
    "windows": "data.windows",
}


def refuse(old: str) -> None:
    """Raise the ImportError for ``old``, a module or name below ``embridge``, or below one of MOVED; else return."""
    path = old.removeprefix("embridge.")
    while path and path not in MOVED:
        path = path.rpartition(".")[0]
    if path:
        places = {name: new for name, new in MOVED.items() if name == path or name.startswith(f"{path}.")}
        told = [
            f"embridge.{name} is now in {f'embridge.{new}' if new else 'benchmarks'}" for name, new in places.items()
        ]
        raise ImportError(f"Since version 0.2 {', '.join(told)}; see CHANGELOG.md", name=old)


def names_of(module: str):
    """The ``__getattr__`` of a module that is still there and has lost names."""

    def __getattr__(name: str):
        refuse(f"{module}.{name}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__


class Finder:
    """The last one on ``sys.meta_path``: asked for what no other finder has."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> None:
        if name.startswith("embridge."):
            refuse(name)


sys.meta_path.append(Finder)
