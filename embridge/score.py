"""What an experiment's training was worth: its tidy rows, computed here or read from committed ones (METHOD 10).

The ``long`` profile writes one small JSON for each experiment and seed, with commit, date and machine; they are
committed, so that runs on several days add up. ``quick`` has the same size and draws from them what it does not train.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from embridge import protocols
from embridge.checkpoint import write_atomically
from embridge.config import fingerprint
from embridge.dataset import ROOT
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, Study, slug
from embridge.few_shot import few_shot
from embridge.hand import N_ANGLES
from embridge.regression import angle_error
from embridge.rows import row
from embridge.splits import SETS
from embridge.statistics import mean_over_groups
from embridge.systems import NEIGHBOURS, SWEPT
from embridge.tables import DEFAULTS

FEW_SHOT = ("headline", "Table 2")  # parts whose systems are probed with fewer shots


def score(study: Study, name: str) -> list[dict]:
    """Every tidy row of one experiment on D_eval; of a sweep's member also zero-shot on D_tune.

    A probe for every system; zero-shot for those that are aligned; the regression error of a regressor. Trains what is
    missing.
    """
    experiment, rows = EXPERIMENTS[name], []
    whole = experiment.part == "headline"
    for classes in SETS:
        outcomes = [] if experiment.shuffled else [protocols.probe_outcome(study, name, classes)]
        if experiment.aligned:
            outcomes += protocols.zero_shot_outcomes(study, name, classes, brief=not whole)
        found = [r for o in outcomes for r in o.rows]
        if experiment.part in FEW_SHOT and not experiment.shuffled:
            found += few_shot(study, name, classes, c=float(outcomes[0].rows[0]["param_value"]))
        headline = [r for r in found if r["metric"] == "balanced_accuracy" and r["param"] in ("C", "k")]
        headline = [r for r in headline if r["options"] in ("", "corpus=class set")]
        if experiment.system:
            found = _as_member(headline + _on_tune(study, name, classes), study, name)
        elif name in SWEPT:  # the values that everybody has stand in every sweep, too
            headline += _on_tune(study, name, classes)
            for param, value in {**(DEFAULTS if name == "EMBridge" else {}), "paired_fraction": "1"}.items():
                if param != "k":
                    found += [{**r, "param": param, "param_value": value} for r in headline]
            found += [_batch_row(r, study, name, "same epochs, same steps") for r in headline if r["protocol"] == "ZS"]
            found += [r for k in NEIGHBOURS for r in _with_k(study, name, classes, k)]
        rows += found
        if experiment.kind == "regressor" and study.profile.model.n_joints == N_ANGLES:
            rows.append(_angle_row(study, name, classes))
    return rows


def _as_member(rows: list[dict], study: Study, name: str) -> list[dict]:
    """A sweep member's rows, called by its base system and the setting that differs."""
    experiment = EXPERIMENTS[name]
    if experiment.param:
        how = {"system": experiment.system, "param": experiment.param, "param_value": experiment.param_value}
        return [{**r, **how} for r in rows]
    return [_batch_row({**r, "system": experiment.system}, study, name, experiment.options) for r in rows]


def _batch_row(fields: dict, study: Study, name: str, convention: str) -> dict:
    options = "; ".join(part for part in (fields["options"], convention) if part)
    size = study.configs(EXPERIMENTS[name])[1].batch_size
    return {**fields, "batch_size": size, "options": options}


def _on_tune(study: Study, name: str, classes: str) -> list[dict]:
    if not (EXPERIMENTS[name].aligned and study.splits.has_tuning):
        return []
    outcomes = protocols.zero_shot_outcomes(study, name, classes, subset="tune", brief=True)
    rows = [r for o in outcomes for r in o.rows if r["metric"] == "balanced_accuracy" and r["gallery"] == "all"]
    return [{**r, "options": "D_tune", "paper_value": None, "paper_source": ""} for r in rows]


def _with_k(study: Study, name: str, classes: str, k: int) -> list[dict]:
    if k == study.profile.evaluation.k:
        return []
    outcomes = protocols.zero_shot_outcomes(study, name, classes, brief=True, k=k)
    return [r for o in outcomes for r in o.rows if r["metric"] == "balanced_accuracy" and r["gallery"] == "all"]


def _angle_row(study: Study, name: str, classes: str) -> dict:
    """Mean absolute error over D_eval's windows, degrees, with its interval over users."""
    ids, run = study.splits.evaluation[classes], study.run(name)
    error = angle_error(run.model, study.reader(), ids)["degrees"]
    value, low, high = mean_over_groups(
        error, study.splits.groups(ids), n_resamples=study.profile.evaluation.n_bootstrap
    )
    return row(
        dataset=study.dataset, profile=study.profile.name, seed=study.seed, system=name, protocol="regression",
        classes=classes, metric="angle_error_deg", value=value, low=low, high=high, n=len(ids), run_key=run.key,
        interval_kind=f"95 % bootstrap over {study.splits.group_kind}",
    )  # fmt: skip


def settings(study: Study, name: str) -> str:
    """Hash of all that decides an experiment's weights but the code: what makes a committed row still fit."""

    def plain(experiment) -> dict:
        described = study.describe(experiment) | {"needs": [plain(EXPERIMENTS[n]) for n in experiment.needs]}
        return {key: value for key, value in described.items() if key != "code"}

    return fingerprint(plain(EXPERIMENTS[name]))


def record_file(study: Study, name: str) -> Path:
    """Where an experiment's committed rows are written."""
    folder = study.out / "figures" / f"{study.dataset}-long" / "rows"
    return folder / f"{slug(name)}-seed{study.seed}.json"


def record(study: Study, name: str) -> Path:
    """Score an experiment and write its rows with when, where and from which commit they come; returns the file."""
    rows = [{c: v for c, v in fields.items() if v not in (None, "")} for fields in score(study, name)]
    done = study.run(name).done
    found = {
        "experiment": name,
        "seed": study.seed,
        "settings": settings(study, name),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {study.device}, torch {torch.__version__}",
        "seconds": round(done["seconds"], 1),
        "weights_sha256": done["weights_sha256"],
        "rows": rows,
    }
    file = record_file(study, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    # a row a line: a file that git can show
    lines = ",\n".join(json.dumps(r, ensure_ascii=False, allow_nan=False) for r in found.pop("rows"))
    head = json.dumps(found, indent=1, ensure_ascii=False)[:-2]
    write_atomically(file, f'{head},\n "rows": [\n{lines}\n]}}\n'.encode())
    return file


def recorded(study: Study, name: str) -> list[dict] | None:
    """An experiment's committed rows, each with its origin; None where there are none, or of other settings."""
    file = record_file(study, name)
    if not file.exists():
        file = ROOT / file.relative_to(study.out)
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        origin = f"long run, {found['date']}, {found['commit']}"
        if found["settings"] != settings(study, name):
            return None
        return [row(**fields, origin=origin) for fields in found["rows"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: expected an experiment's rows, found {error!r}; restore or remove it") from error


def rows_of(study: Study, names: Iterable[str]) -> tuple[list[dict], list[str]]:
    """The rows of several experiments, and the names of those that have none yet.

    The profiles ``quick`` and ``long`` read all but the headline's from committed rows; the others score what they
    trained.
    """
    rows, missing = [], []
    for name in names:
        drawn = study.profile.name in ("quick", "long") and (
            EXPERIMENTS[name].part != "headline" or study.dataset == "simulated-ninapro"
        )
        found = recorded(study, name) if drawn else score(study, name)
        rows += found or []
        missing += [] if found else [name]
    return rows, missing


def commit() -> str:
    """The checked-out commit, "+" behind it where tracked files have changed; "unknown" outside a repository."""
    try:
        told = [
            subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "--short=7", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told[0] + ("+" if told[1] else "")
