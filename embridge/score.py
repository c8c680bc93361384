"""What an experiment's training was worth: its tidy rows, computed here or read from a record of them (METHOD 10).

The job that trains an experiment also scores it, and keeps the rows as one small JSON, with commit, date and machine.
Those of the ``long`` profile are committed, so that runs on several days add up; ``quick`` has the same size and draws
from them what it does not train.
"""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from embridge import protocols
from embridge.config import RESULTS_VERSION, as_json, fingerprint, results_name
from embridge.datasets import SIMULATED
from embridge.errors import InputError
from embridge.experiments import ALIGNED, DEFAULTS, EXPERIMENTS, NEIGHBOURS, slug
from embridge.few_shot import few_shot
from embridge.files import write_atomically
from embridge.hand import N_ANGLES
from embridge.provenance import ROOT
from embridge.regression import angle_error
from embridge.rows import as_text, row
from embridge.splits import SETS
from embridge.statistics import mean_over_groups
from embridge.study import Study

FEW_SHOT = ("headline", "Table 2")  # parts whose systems are probed with fewer shots


def score(study: Study, name: str) -> list[dict]:
    """Every tidy row of one experiment, by the three functions that this calls; trains what is missing, as they do."""
    return [*system_rows(study, name), *sweep_origin(study, name), *few_shot_rows(study, name)]


def system_rows(study: Study, name: str) -> list[dict]:
    """Rows on D_eval of a system: a probe, zero-shot where it is aligned, the error of a regressor.

    A sweep's member has the rows of :func:`shown_rows` alone, called by its base system and the setting that differs,
    and where hyper-parameters are chosen (Fig. 4) also zero-shot on D_tune.
    """
    experiment, rows = EXPERIMENTS[name], []
    for classes in SETS:
        if experiment.system:
            tuned = _on_tune(study, name, classes) if experiment.part == "Fig. 4" else []
            rows += _as_member(shown_rows(study, name, classes) + tuned, study, name)
            continue
        outcomes = _outcomes(study, name, classes, brief=experiment.part != "headline")
        whole, kept = experiment.part == "headline", ("balanced_accuracy", "macro_f1", "user_recall")
        rows += [r for o in outcomes for r in o.rows if whole or r["metric"] in kept]
        if experiment.kind == "regressor" and study.profile.model.n_joints == N_ANGLES:
            rows.append(_angle_row(study, name, classes))
    return rows


def shown_rows(study: Study, name: str, classes: str) -> list[dict]:
    """The few rows that tables show of a system: balanced accuracy on D_eval, the class set as zero-shot's gallery."""
    rows = [r for o in _outcomes(study, name, classes, brief=True) for r in o.rows]
    return [r for r in rows if r["metric"] == "balanced_accuracy"]


def sweep_origin(study: Study, name: str, params: Iterable[str] | None = None) -> list[dict]:
    """Rows of a system in ALIGNED as the member of the sweeps that start from it: the values that everybody has.

    ``params``: "batch_size", "paired_fraction", or names of DEFAULTS (EMBridge's); None: all. Those of DEFAULTS come
    with zero-shot on D_tune; those of "k", which needs no training, with every value, but without the usual one on
    D_eval, which is the system's own row.
    """
    usual = {"batch_size": "", "paired_fraction": "1", **(DEFAULTS if name == "EMBridge" else {})}
    rows = []
    for classes in SETS if name in ALIGNED else ():
        shown, tuned = shown_rows(study, name, classes), _on_tune(study, name, classes)
        for param in usual if params is None else [p for p in usual if p in params]:
            if param == "batch_size":
                both = "same epochs, same steps"
                rows += [_batch_row(r, study, name, both) for r in shown if r["protocol"] == "ZS"]
            elif param == "k":
                rows += tuned + [r for k in NEIGHBOURS for r in _with_k(study, name, classes, k)]
            else:
                found = shown if param == "paired_fraction" else shown + tuned
                rows += [{**r, "param": param, "param_value": usual[param]} for r in found]
    return rows


def few_shot_rows(study: Study, name: str) -> list[dict]:
    """Rows of probes on fewer shots; none of a control or of a system beside Table 2's."""
    experiment = EXPERIMENTS[name]
    if experiment.part not in FEW_SHOT or experiment.shuffled:
        return []
    return [r for classes in SETS for r in few_shot(study, name, classes)]


def _outcomes(study: Study, name: str, classes: str, *, brief: bool) -> list[protocols.Outcome]:
    experiment = EXPERIMENTS[name]
    found = [] if experiment.shuffled else [protocols.probe_outcome(study, name, classes)]
    return found + (protocols.zero_shot_outcomes(study, name, classes, brief=brief) if experiment.aligned else [])


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


def _on_tune(study: Study, name: str, classes: str, k: int | None = None) -> list[dict]:
    if not (EXPERIMENTS[name].aligned and study.splits.has_tuning):
        return []
    outcomes = protocols.zero_shot_outcomes(study, name, classes, subset="tune", brief=True, k=k)
    rows = [r for o in outcomes for r in o.rows if r["metric"] == "balanced_accuracy" and r["gallery"] == "all"]
    return [{**r, "options": "D_tune", "paper_value": None, "paper_source": ""} for r in rows]


def _with_k(study: Study, name: str, classes: str, k: int) -> list[dict]:
    if k == study.profile.evaluation.k:
        return []
    outcomes = protocols.zero_shot_outcomes(study, name, classes, brief=True, k=k)
    rows = [r for o in outcomes for r in o.rows if r["metric"] == "balanced_accuracy" and r["gallery"] == "all"]
    return rows + _on_tune(study, name, classes, k)


def _angle_row(study: Study, name: str, classes: str) -> dict:
    """Mean absolute error over D_eval's windows, degrees, with its interval over users."""
    run = study.run(name)
    shape, train = study.configs(EXPERIMENTS[name])
    error = angle_error(run.model, study.reader(shape, train.emg_norm), study.splits.evaluation[classes])["degrees"]
    return _error_row(study, name, classes, error, run_key=run.key)


def mean_pose_rows(study: Study) -> list[dict]:
    """The same error of "Constant pose", which answers every window with the mean angles of the pre-training windows.

    What a regressor must beat; no rows where the pose is a glove's sensors.
    """
    rows, mean = [], np.array(study.statistics.pose_mean)[:, None]
    for classes in SETS if len(mean) == N_ANGLES else ():
        poses = (study.store.read_pose([i])[0].numpy() for i in study.splits.evaluation[classes])
        error = np.array([np.rad2deg(np.abs(pose - mean).mean()) for pose in poses])
        rows.append(_error_row(study, "Constant pose", classes, error))
    return rows


def _error_row(study: Study, system: str, classes: str, error: np.ndarray, run_key: str = "") -> dict:
    groups, n = study.splits.groups(study.splits.evaluation[classes]), study.profile.evaluation.n_bootstrap
    value, low, high = mean_over_groups(error, groups, n_resamples=n)
    return row(
        dataset=study.dataset, profile=study.profile.name, seed=study.seed, system=system, protocol="regression",
        classes=classes, metric="angle_error_deg", value=value, low=low, high=high, n=len(error), run_key=run_key,
        interval_kind=f"95 % bootstrap over {study.splits.group_kind}",
    )  # fmt: skip


def settings(study: Study, name: str) -> str:
    """Hash of all that decides an experiment's weights but windows' last bits: what makes a committed row still fit.

    Simulated data are named by their configuration: another machine's last bits do not make them other data.
    """
    data = [as_json(study.simulation), as_json(study.windows)] if study.dataset in SIMULATED else study.source_key

    def plain(experiment) -> dict:
        return study.settings(experiment) | {"data": data, "needs": [plain(EXPERIMENTS[n]) for n in experiment.needs]}

    return fingerprint(plain(EXPERIMENTS[name]))


def committed(study: Study) -> bool:
    """Whether the study's rows are those of the ``long`` profile, which git keeps; others belong to one run."""
    return study.profile.name in ("quick", "long")


def is_recorded(study: Study, name: str) -> bool:
    """Whether an experiment's rows come from its record; pages compute the headline's, which they look into."""
    return EXPERIMENTS[name].part != "headline" or study.dataset == "simulated-ninapro"


def record_file(study: Study, name: str) -> Path:
    """Where the record of an experiment's rows is written."""
    profile = "long" if committed(study) else study.profile.name
    folder = study.out / "figures" / results_name(study.dataset, profile, study.tokens) / "rows"
    return folder / f"{slug(name)}-seed{study.seed}.json"


def record(study: Study, name: str) -> Path:
    """Score an experiment and write its rows with when, where and from which commit they come; returns the file."""
    rows = score(study, name)
    done = study.run(name).done
    found = {
        "experiment": name,
        "seed": study.seed,
        "settings": settings(study, name),
        "results_version": RESULTS_VERSION,
        "key": study.key(EXPERIMENTS[name]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **study.made_from,  # which scored it
        "trained": {what: done.get(what) for what in ("commit", "made_on")},
        "configuration": study.describe(EXPERIMENTS[name]),
        "seconds": round(done["seconds"], 1),
        "weights_sha256": done["weights_sha256"],
        "loss": [float(f"{value:.5g}") for value in study.run(name).log["loss"]],  # an epoch; NaN stops a training
    }
    file = record_file(study, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, as_text(found, rows))
    return file


def recorded(study: Study, name: str, what: str = "rows") -> list | None:
    """The rows of an experiment's record, or its "loss" an epoch; None where there is none that fits.

    A committed one fits as long as its settings do, RESULTS_VERSION among them, and its rows say where they are from;
    one of this run's profile only while the windows are the same, too.
    """
    file, kept = record_file(study, name), committed(study)
    if not file.exists() and kept:
        file = ROOT / file.relative_to(study.out)
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        origin = f"long run, {found['date']}, {found['commit']}" if kept else ""
        if found["settings"] != settings(study, name):
            return None
        if not kept and found["key"] != study.key(EXPERIMENTS[name]):
            return None
        return found.get("loss") if what == "loss" else [row(**fields, origin=origin) for fields in found["rows"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: expected an experiment's rows, found {error!r}; restore or remove it") from error


def rows_of(
    studies: Iterable[Study], names: Iterable[str], make: Callable[[Study, str], list[dict]] = system_rows
) -> tuple[list[dict], list[str]]:
    """Rows of several experiments from studies of several seeds, and the names that none of these has rows for yet.

    Pages compute the headline's rows and read the others' from their records. Where there is none, ``quick`` and
    ``long`` compute those of weights that are here (``quick`` on NinaPro trains PoseT but keeps no record) and go
    without the rest; other profiles make it. ``make`` says which rows: :func:`system_rows` or :func:`few_shot_rows`.
    """
    rows, there, names = [], set(), list(names)
    for study in studies:
        for name in names:
            if is_recorded(study, name) and not (committed(study) and _only_trained(study, name)):
                if not committed(study) and not recorded(study, name):
                    record(study, name)
                found = _drawn(study, name, make is few_shot_rows)
            else:
                found = make(study, name)
            rows += found
            there |= {name} if found else set()
    return rows, [name for name in names if name not in there]


def _only_trained(study: Study, name: str) -> bool:
    """Whether an experiment's weights are here and a record of its rows is not."""
    if recorded(study, name) is not None:
        return False
    if study.dataset in SIMULATED and not study.simulation_folder.exists():
        return False  # nothing was trained on what was never written, and to ask for a key would write it
    return (study.out / "runs" / f"{slug(name)}-{study.key(EXPERIMENTS[name])}" / "done.json").exists()


def shown_beside(studies: Iterable[Study], names: Iterable[str]) -> tuple[list[dict], list[str]]:
    """:func:`rows_of` with what tables show alone, for a page that compares with systems that another page keeps.

    Single users' recalls are among them, by which a table pairs a system with :func:`~embridge.protocols.no_network`.
    """

    def shown(study: Study, name: str) -> list[dict]:
        rows = [r for classes in SETS for o in _outcomes(study, name, classes, brief=True) for r in o.rows]
        return [r for r in rows if r["metric"] in ("balanced_accuracy", "user_recall")]

    return rows_of(studies, names, shown)


def _drawn(study: Study, name: str, few_shot: bool) -> list[dict]:
    """An experiment's recorded rows of one kind, without those of sweeps that start from it."""
    rows = [r for r in recorded(study, name) or [] if (r["param"] == "shots_fraction") == few_shot]
    if EXPERIMENTS[name].system or few_shot:
        return rows
    usual = [r for r in rows if r["param"] in ("", "C", "k") and r["batch_size"] is None and r["options"] != "D_tune"]
    return [r for r in usual if r["param"] != "k" or r["param_value"] == str(study.profile.evaluation.k)]


def lacking(missing: list[str], asked: Iterable[str] = ("some",)) -> str:
    """A line on experiments without rows, for a page to print; ``asked``: all that the page asked for."""
    if not asked:
        return "This dataset trains none of these experiments: their lines are dashes or left out."
    if not missing:
        return "Every experiment of this page has its rows."
    named = "; ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    number = f"{len(missing)} experiments have" if len(missing) > 1 else "1 experiment has"
    return f"{number} no rows yet: {named}.\n./run_all.sh --profile long trains them and fills the dashes."
