"""An experiment's record: its tidy rows, scored once, and what they were made with (METHOD 10).

The job that trains an experiment also scores it (the headline's, but for ``long``, the first page that asks), and keeps
the rows as one small JSON, with commit, date and machine, where every page reads them. Those of the ``long`` profile
are committed, so that runs on several days add up; ``quick`` has the same size and reads from them what it does not
train.
"""

import copy
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from embridge.config import RESULTS_VERSION, as_json, fingerprint, profile, results_name, with_tokens
from embridge.data.splits import SETS
from embridge.datasets import SIMULATED
from embridge.experiments import EXPERIMENTS, UNTRAINED, slug
from embridge.files import write_atomically
from embridge.grids import NEIGHBOURS
from embridge.objectives import beats_constant
from embridge.paper.results import CONSTANT, IMPROVING, STOPPED, Record, as_text, read_rows, row
from embridge.paper.scoring import Outcome, angle_row, few_shot, of_study, probe_outcome, zero_shot_outcomes
from embridge.provenance import ROOT
from embridge.study import Study

FEW_SHOT = ("headline", "Table 2")  # parts whose systems are probed with fewer shots
BOTH = "in and unseen"  # classes of a row on D_tune
TUNED = ("constants", "Fig. 4", "soft targets")  # parts that D_tune chooses from
CONTROLS = ("not-self", "other-repetitions")  # without the query's own window, whose pose a control might know
BESIDE_HEADLINE = ("balanced_accuracy", "macro_f1", "user_recall")  # metrics of the other systems
OF_MEMBERS = ("balanced_accuracy", "user_recall")  # metrics of a sweep's members


def score(study: Study, name: str, *, tune: bool = False) -> list[dict]:
    """Every tidy row of one experiment; trains it where it is missing.

    A system of the headline has all metrics under every gallery, other systems BESIDE_HEADLINE under the class set's;
    Table 2's have probes on fewer shots; EMG-MAE's come with the probe of its encoder before any training, UNTRAINED.
    A sweep's member has OF_MEMBERS, called by its base system and the setting that differs; a control only galleries
    without the query's own pose. TUNED parts and EMBridge have zero-shot on D_tune, too, and EMBridge for every k on
    D_eval, which needs no training.

    tune : D_tune's rows alone, so that constants can be chosen before D_eval is read; CONSTANTS never have others
    """
    experiment = EXPERIMENTS[name]
    rows = tuning_rows(study, name) if tuned(name) and study.splits.has_tuning else []
    if not tune and experiment.part != "constants":
        rows += evaluation_rows(study, name)
    return [_as_member(r, study, name) for r in rows] if experiment.system else rows


def tuned(name: str) -> bool:
    """Whether an experiment is one that D_tune chooses from: of TUNED parts, or EMBridge itself."""
    return EXPERIMENTS[name].part in TUNED or name == "EMBridge"


def tuning_rows(study: Study, name: str) -> list[dict]:
    """Zero-shot on D_tune, where hyper-parameters are chosen: balanced accuracy on each class set and over both.

    Over both it is the mean of the two, each class of which weighs as much, with an interval over users who are in
    both.
    """
    found = {c: zero_shot_outcomes(study, name, c, subset="tune", brief=True) for c in SETS}
    a, b = (next(o for o in found[c] if o.gallery == "all") for c in SETS)
    on_tune = {"options": "D_tune", "paper_value": None, "paper_source": ""}
    return [o.rows[0] | on_tune for o in (a, b, _joined(a, b))]


def _joined(a: Outcome, b: Outcome) -> Outcome:
    """The outcome over the classes of two, none of which is in both."""
    n = a.more["n_classes"]
    of_a, of_b = (np.where((o.predicted >= 0) & (o.predicted < o.more["n_classes"]), o.predicted, -1) for o in (a, b))
    predicted = np.concatenate([of_a, np.where(of_b < 0, -1, of_b + n)])
    windows = {"y": np.concatenate([a.y, b.y + n]), "groups": np.concatenate([a.groups, b.groups])}
    more = a.more | {"n_classes": n + b.more["n_classes"]}
    return replace(a, classes=BOTH, predicted=predicted, **windows, more=more)


def evaluation_rows(study: Study, name: str) -> list[dict]:
    """Rows of one experiment on D_eval, as :func:`score` says."""
    experiment, rows = EXPERIMENTS[name], []
    headline, usual = experiment.part == "headline", study.profile.evaluation.k
    metrics = OF_MEMBERS if experiment.system and experiment.part != "growth" else BESIDE_HEADLINE
    for classes in SETS:
        outcomes = [] if experiment.shuffled else [probe_outcome(study, name, classes)]
        if experiment.aligned:
            outcomes += zero_shot_outcomes(study, name, classes, brief=not headline)
        outcomes = [o for o in outcomes if o.gallery in CONTROLS or not experiment.shuffled]
        rows += [r for o in outcomes for r in o.rows if headline or r["metric"] in metrics]
        for k in NEIGHBOURS if name == "EMBridge" else ():  # the balanced accuracy as the papers read it, but for k
            outcomes = zero_shot_outcomes(study, name, classes, brief=True, k=k) if k != usual else []
            rows += [o.rows[0] for o in outcomes if o.gallery == "all"]
        if experiment.part in FEW_SHOT and not experiment.shuffled:
            rows += few_shot(study, name, classes)
        if experiment.kind == "regressor":
            rows += angle_row(study, name, classes)
        if name == "EMG-MAE":
            untrained = probe_outcome(study, UNTRAINED, classes, features=study.untrained_features)
            rows += [r for r in untrained.rows if r["metric"] in BESIDE_HEADLINE]
    return rows + [stopping_row(study, name)] if experiment.kind == "regressor" else rows


def stopping_row(study: Study, name: str) -> dict:
    """How a regressor's training ended: a row of metric "epochs", how many, with one of three as ``options``.

    STOPPED: early stopping ended it, so that its best validation lies as many epochs back as its patience; IMPROVING:
    its epochs ended first, or it has no patience; CONSTANT: however it ended, the weights that were kept do not beat
    a constant pose on the windows of its validation, which ``n`` counts.
    """
    run, (shape, train) = study.run(name), study.configs(EXPERIMENTS[name])
    ids = study.validated()[1]
    since_best = len(run.log) - 1 - int(run.log["validation"].argmin())  # the first of equal ones, as training keeps it
    ended = STOPPED if train.patience is not None and since_best >= train.patience else IMPROVING
    if not beats_constant(run.model, study.reader(shape, train.emg_norm), ids):
        ended = CONSTANT
    how = of_study(study, run_key=run.key, protocol="regression", metric="epochs", n=len(ids))
    return row(**how, system=name, value=len(run.log), options=ended)


def _as_member(fields: dict, study: Study, name: str) -> dict:
    """A row of a sweep's member, called by its base system and the setting that differs."""
    experiment = EXPERIMENTS[name]
    if experiment.param:
        how = {"param": experiment.param, "param_value": experiment.param_value}
    else:
        how = {"options": "; ".join(part for part in (fields["options"], experiment.options) if part)}
        how["batch_size"] = study.configs(experiment)[1].batch_size
    return {**fields, "system": experiment.system, **how}


def settings(study: Study, name: str, like: Study | None = None) -> str:
    """Hash of all that decides an experiment's weights but windows' last bits: what makes a committed row still fit.

    Simulated data are named by their configuration: another machine's last bits do not make them other data. ``like``:
    who trains it, on the study's data; None: the study itself.
    """
    data = [as_json(study.simulation), as_json(study.windows)] if study.dataset in SIMULATED else study.source_key

    def plain(experiment) -> dict:
        trained = (like or study).settings(experiment)
        return trained | {"data": data, "needs": [plain(EXPERIMENTS[n]) for n in experiment.needs]}

    return fingerprint(plain(EXPERIMENTS[name]))


def record(study: Study, name: str, *, tune: bool = False) -> Record:
    """Score an experiment, with ``tune`` on D_tune alone, and write its rows with when, where and from which commit."""
    rows, run = score(study, name, tune=tune), study.run(name)
    learns = study.home(EXPERIMENTS[name])
    pretrain = learns.store.table.iloc[learns.splits.pretrain]
    about = {
        "experiment": name,
        "pre-training": {"windows": len(pretrain), "users": pretrain["user"].nunique()},
        "seed": study.seed,
        "settings": settings(study, name),
        "results_version": RESULTS_VERSION,
        "key": run.key,
        "evaluation": as_json(study.profile.evaluation),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **study.made_from,  # which scored it
        "trained": {what: run.done.get(what) for what in ("commit", "made_on")},
        "configuration": study.describe(EXPERIMENTS[name]),
        "seconds": round(run.done["seconds"], 1),
        "weights_sha256": run.done["weights_sha256"],
    }
    # an epoch; NaN stops a training
    about |= {w: [float(f"{v:.5g}") for v in run.log[w]] for w in ("loss", "validation") if w in run.log}
    if tune and EXPERIMENTS[name].part != "constants":
        about["scored_on"] = "D_tune"  # D_eval's rows are still to come
    found = Record(record_file(study, name), "", rows, about)
    found.file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(found.file, as_text(about, rows))
    return found


def record_file(study: Study, name: str, profile: str = ""):
    """The file of an experiment's record, that of another profile where one is named."""
    folder = results_name(study.dataset, profile or study.profile.name, study.tokens)
    return study.out / "figures" / folder / "rows" / f"{slug(name)}-seed{study.seed}.json"


def committed(study: Study) -> bool:
    """True where git keeps records that fit the study, those of ``long``; those of other profiles belong to one run."""
    return study.profile.name in ("quick", "long")


def recorded(study: Study, name: str, *, own: bool | None = None) -> Record | None:
    """The record of an experiment: the run's ``own`` or the committed one, by default that where there are such.

    None where there is none that fits. A committed one fits as long as its settings do, RESULTS_VERSION among them, and
    its rows say where they are from; one's own only while the evaluation and the windows are the same, too, but beside
    shipped weights, whose windows' last bits may be another processor's.
    """
    own = not committed(study) if own is None else own
    file = record_file(study, name, "" if own else "long")
    if not file.exists() and not (own and study.whole):
        file = ROOT / file.relative_to(study.out)
    if not file.exists():
        return None
    about, rows = read_rows(file, "an experiment's rows", "restore or remove it")
    if about.get("settings") != settings(study, name, None if own else _as_long(study)):
        return None
    now = {"evaluation": as_json(study.profile.evaluation)} if own else {}
    now |= {"key": study.key(EXPERIMENTS[name])} if own and study.whole else {}
    if any(about.get(what) != value for what, value in now.items()):
        return None
    origin = "" if own else f"long run, {about['date']}, {about['commit']}"
    return Record(file, origin, [{**fields, "origin": origin} for fields in rows], about)


def _as_long(study: Study) -> Study:
    """The study with the regressors of ``long``: ``quick`` reads their committed rows, and trains none for as long."""
    if study.profile.name != "quick":
        return study
    other = copy.copy(study)
    other.profile = replace(study.profile, regressor_caps=profile("long").regressor_caps)
    return other


def on_waveforms(studies: Iterable[Study], names: Iterable[str]) -> tuple[list[dict], list[str]]:
    """Rows of experiments on the papers' front end beside another one's, and the names that have none: as :func:`read`.

    They are called "<system> on waveforms", and are those of a system's score and of its users alone.
    """
    others = {s: s.changed(tokens="waveform", profile=with_tokens(s.profile, "waveform")) for s in studies}
    for study, other in others.items():
        other.data_key = study.data_key  # it is of the same windows, which need not be cut to know so
    found, missing = read(others.values(), names, companion=True)
    rows = (fields for record in found for fields in record.rows if fields["metric"] in BESIDE_HEADLINE)
    return [fields | {"system": f"{fields['system']} on waveforms"} for fields in rows], missing


def run_folder(study: Study, name: str):
    """The folder of an experiment's weights once they are trained, or None; nothing is trained or simulated."""
    if study.dataset in SIMULATED and not study.simulation_folder.exists():
        return None  # nothing was trained on what was never written, and to ask for a key would write it
    folder = study.out / "runs" / f"{slug(name)}-{study.key(EXPERIMENTS[name])}"
    return folder if (folder / "done.json").exists() else None


def read(studies: Iterable[Study], names: Iterable[str], *, companion: bool = False) -> tuple[list[Record], list[str]]:
    """Records of several experiments from studies of several seeds, and the names that none of these has one for yet.

    Where there is none it is made, and the system trained before. Only ``quick`` and ``long`` read what is committed
    beside the headline, and of a ``companion``, another dataset than the run's, all; where nothing is, they make it of
    weights that are here (``quick`` on NinaPro trains PoseT) and go without the rest.
    """
    studies, names, found = list(studies), list(names), {}
    for study, name in ((study, name) for study in studies for name in names):
        mine = not committed(study) or (EXPERIMENTS[name].part == "headline" and not companion)
        kept = recorded(study, name, own=mine)
        if kept is None and ((mine and study.trains) or run_folder(study, name)):
            kept = recorded(study, name, own=True) or record(study, name)
        if kept:
            found[study, name] = kept
    there = {name for _, name in found}
    return list(found.values()), [name for name in names if name not in there]


def lacking(missing: list[str], asked: Iterable[str] = ("some",), *, tokens: str = "") -> str:
    """A line on experiments without rows, for a page to print.

    ``asked``: all that the page asked for; ``tokens``: of --tokens, of another front end than the long profile's own.
    """
    if not asked:
        return "None of these experiments is trained here: their lines are dashes or left out."
    if not missing:
        return "Every experiment of this page has its rows."
    named = "; ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    number = f"{len(missing)} experiments have" if len(missing) > 1 else "1 experiment has"
    where = f" --tokens {tokens}" if tokens else ""
    return (
        f"{number} no rows yet: {named}.\n./run_all.sh --profile long{where} trains them; until then they are dashes."
    )
