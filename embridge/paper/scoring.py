"""From a trained system to its tidy rows: the papers' two protocols (E 3.1, METHOD 8) and what stands beside them.

Zero-shot retrieval, the linear probe, probes on fewer shots (E A.4, Fig. 8), the lines without a network, and the error
of those that regress poses. :mod:`embridge.paper.records` scores each experiment once and keeps its rows. The
arithmetic is in :mod:`embridge.evaluation` and :mod:`embridge.statistics`, which know arrays only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product

import numpy as np
import pandas as pd
import torch

from embridge import evaluation as ev
from embridge import statistics as st
from embridge.data.hand import N_ANGLES
from embridge.data.splits import SETS
from embridge.errors import one_of
from embridge.experiments import EXPERIMENTS, LOG_POWER_LDA, ONE_CLASS
from embridge.objectives import angle_error
from embridge.paper.differences import DIFFERENCE
from embridge.paper.kept import _kept, of_whole_run, once
from embridge.paper.results import COLUMNS, row
from embridge.paper.table_cells import beside, measured
from embridge.study import Study

FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)  # ours, METHOD 8: "40 shots = 50 %" does not fit 12 users x 4 sessions
UPPER_BOUND = {"Pose-MAE": "Upper bound"}  # what rows call its probe
TRUE_POSE = "True pose"  # a control
OTHER = -1  # in column "predicted": no vote, or a gesture that is none of the classes


def evaluate_predictions(
    y, pred, groups, *, n_classes: int, n_resamples: int = 2000, group_kind="user", recalls: bool = False, **fields
) -> list[dict]:
    """Tidy rows for one set of predictions.

    Metrics: ``balanced_accuracy`` and ``macro_f1`` with their interval over groups, ``class_f1`` a class,
    ``confusion`` a (true, predicted) cell (value: windows; predicted -1: none of the classes), ``user_f1`` a group,
    unless each of these holds one class only and so is no user. ``n`` counts the windows behind a value. Raises
    InputError as :func:`row` and :func:`embridge.statistics.group_counts`.

    y, pred, groups : (N,) true classes 0..n_classes-1, predictions (others count as wrong), what is resampled
    group_kind : named in ``interval_kind``
    recalls : adds ``user_recall``, a row a class and group: from these any two sets of predictions can be compared
        pair by pair, and seeds be put together, long after the predictions are gone
    fields : columns that all rows share, but paper_value and paper_source, which go to the balanced accuracy alone
    """
    y, pred, groups = np.asarray(y), np.asarray(pred), np.asarray(groups)
    found = st.group_counts(y, pred, groups, n_classes)
    counts, of_groups = found.sum(0), found.sum(-1)  # (K, K + 1), (G, K)
    single_class = ((of_groups > 0).sum(-1) == 1).all()
    rows, paper = [], {column: fields.pop(column, None) for column in ("paper_value", "paper_source")}
    for metric in st.METRICS:
        score = st.bootstrap_over_groups(y, pred, groups, n_classes=n_classes, metric=metric, n_resamples=n_resamples)
        rows.append({"metric": metric, "n": len(y)} | measured(score, f"95 % bootstrap over {group_kind}"))
    rows[0] |= paper  # the balanced accuracy's

    for k, value in enumerate(st.per_class_f1(y, pred, n_classes)):
        rows.append({"metric": "class_f1", "class": k, "value": value, "n": counts[k].sum()})
    for (true, predicted), n in np.ndenumerate(counts):
        if predicted < n_classes or n:
            column = predicted if predicted < n_classes else OTHER
            rows.append({"metric": "confusion", "true": true, "predicted": column, "value": n, "n": counts[true].sum()})
    if not single_class:
        f1 = zip(st.per_group_f1(y, pred, groups, n_classes).items(), of_groups.sum(1), strict=True)
        rows += [{"metric": "user_f1", "user": user, "value": value, "n": n} for (user, value), n in f1]
    names = np.unique(groups)
    for (g, k), n in np.ndenumerate(of_groups) if recalls else ():
        if n:
            value = found[g, k, k] / n
            rows.append({"metric": "user_recall", "user": names[g], "class": k, "value": value, "n": n})
    return [row(**fields, **own) for own in rows]


def of_study(study: Study, **columns) -> dict:
    """The columns of a row that say which dataset, profile and seed it is of, and others."""
    return {"dataset": study.dataset, "profile": study.profile.name, "seed": study.seed} | columns


@dataclass(frozen=True)
class Outcome:
    """Predictions of one system under one protocol on one class set; their rows are made when they are asked for."""

    system: str
    protocol: str  # "ZS" or "LP"
    classes: str  # "in" or "unseen"
    gallery: str  # policy, "" for a probe
    pooling: str  # over queries, "" for a probe
    options: str
    y: np.ndarray  # (n,) true classes
    predicted: np.ndarray  # (n,) predicted classes, -1: no vote
    groups: np.ndarray  # (n,) what the bootstrap resamples
    more: dict  # arguments of evaluate_predictions and columns that all rows share

    @property
    def shared(self) -> dict:
        """The columns that all its rows share beside numbers."""
        return {c: getattr(self, c) for c in ("system", "protocol", "classes", "gallery", "pooling", "options")}

    @cached_property
    def rows(self) -> list[dict]:
        """Tidy rows, the balanced accuracy first; not to be changed."""
        return evaluate_predictions(self.y, self.predicted, self.groups, **self.shared, **self.more)

    def less(self, predicted: np.ndarray, baseline: str, **columns) -> dict:
        """One tidy row: its balanced accuracy less that of other predictions (n,), its interval paired over groups.

        Its system is "<system> - <baseline>"; ``columns``: those that are not as its own rows have them.
        """
        settings = {name: self.more[name] for name in ("n_classes", "n_resamples") if name in self.more}
        found = st.bootstrap_over_groups(self.y, self.predicted, self.groups, minus=predicted, **settings)
        named = self.shared | {c: v for c, v in self.more.items() if c in COLUMNS} | columns
        named |= {"metric": DIFFERENCE, "system": f"{named['system']} - {baseline}", "n": len(self.y)}
        return row(**named | measured(found, "95 % paired bootstrap"))


def _outcome(study, system, protocol, classes, ids, predicted, *, gallery="", pooling="", options="", **more):
    common = of_study(study, n_resamples=study.profile.evaluation.n_bootstrap, group_kind=study.splits.group_kind)
    common |= {"n_classes": len(study.splits.classes[classes])}
    windows = study.splits.labels(classes, ids), predicted, study.splits.groups(ids)
    return Outcome(system, protocol, classes, gallery, pooling, options, *windows, common | more)


def gallery_embeddings(study: Study, system: str, ids: np.ndarray) -> torch.Tensor:
    """(n, d) pose embeddings of a system's gallery, kept for as long as the study: most systems ask for the same ones.

    At quick's size encoding "every split" anew for each system and class set took most of the results page's time.
    """
    kept = _kept.setdefault(study, {})
    key = ("gallery", study.pose_space(system), np.asarray(ids, dtype=np.int64).tobytes())
    if key not in kept:
        kept[key] = study.pose_embeddings(ids, system)
    return kept[key]


@once
def zero_shot_outcomes(
    study: Study, system: str, classes: str, *, subset: str = "evaluation", brief: bool = False, k: int | None = None
) -> list[Outcome]:
    """Zero-shot of an aligned system under every gallery policy, corpus and query pooling that applies.

    subset : "evaluation" (D_eval) or "tune" (D_tune, where hyper-parameters are chosen)
    brief : the class set's gallery and the profile's pooling alone
    k : neighbours; None: the profile's
    """
    splits, setting = study.splits, study.profile.evaluation
    splits.check_evaluable()
    ids = getattr(splits, subset)[classes]
    if subset == "tune":
        splits.learn_from(ids, "D_tune", tuning=True)
    queries = study.emg_queries(system, ids)
    poolings = ("max",) if queries.shape[1] == 1 else (setting.pooling,) if brief else ("max", "mean")
    k = k or setting.k
    corpora = {"class set": ids}
    if subset == "evaluation" and not brief:
        both = np.union1d(splits.evaluation["in"], splits.evaluation["unseen"])
        corpora |= {"both class sets": both, "every split": splits.table.index.to_numpy()}
    gesture_codes = pd.factorize(splits.table["gesture"])[0]
    outcomes = []
    for corpus, gallery in corpora.items():
        poses, labels = gallery_embeddings(study, system, gallery), splits.labels(classes, gallery)
        # every other gesture is a class of its own, so that its poses vote for it and not for one big rival
        labels = np.where(labels < 0, len(splits.classes[classes]) + gesture_codes[gallery], labels)
        # the larger corpora answer one question, how much they change the paper's protocol: policy "all" only
        for policy in splits.policies if corpus == "class set" else ("all",):
            for pooling in poolings:
                groups = (splits.exclusion(policy, windows) for windows in (ids, gallery))
                apart = dict(zip(("query_group", "gallery_group"), groups, strict=True))
                predicted = ev.zero_shot(queries, poses, labels, k=k, pooling=pooling, **apart)
                papers_own = corpus == "class set" and policy == "all" and pooling == setting.pooling
                more = beside(system, "ZS", classes, study.dataset) if papers_own else {}
                # of what tables show and compare; with every setting's they would be most rows of all
                more["recalls"] = corpus == "class set" and pooling == "max" and (policy == "all" or not brief)
                more |= {"run_key": study.run(system).key, "param": "k", "param_value": k}
                named = {"gallery": policy, "pooling": pooling, "options": f"corpus={corpus}"}
                outcomes.append(_outcome(study, system, "ZS", classes, ids, predicted, **named, **more))
    return outcomes


@dataclass(frozen=True)
class Probe:
    """A linear classifier of frozen features, its setting chosen."""

    y: np.ndarray  # (n,) classes of its training windows
    setting: float | str  # C or the shrinkage
    predict: Callable  # to (m,) classes of D_eval's windows, learned from all training windows or from those given


@once
def probe(study: Study, system: str, classes: str, features: Callable | None = None) -> Probe:
    """The probe of a system, LOG_POWER_LDA among them, its setting from D_tune or, without one, by cross-validation.

    ``features``: function of window ids, for controls; None: the system's own.
    """
    splits = study.splits
    splits.check_evaluable()
    if system == LOG_POWER_LDA:
        read, how = study.band_power, (ev.lda, "shrinkage", ev.SHRINKAGES)
    else:  # of equal C the smallest, the strongest penalty
        read = features or partial(study.features, system)
        how = ev.linear_probe, "c", sorted(map(float, study.profile.evaluation.probe_c))
    train = splits.probe_from(splits.probe_train[classes])
    y = splits.labels(classes, train)
    if not splits.has_tuning:  # whether they can be validated over is told before anything is trained
        apart = "other-recordings" if splits.probe_apart == "recording" else "other-repetitions"
        ev.least_groups(y, groups := splits.exclusion(apart, train))
    x = np.asarray(read(train))
    if splits.has_tuning:
        tune = splits.learn_from(splits.tune[classes], "D_tune", tuning=True)
        folds = [(x, y, np.asarray(read(tune)), splits.labels(classes, tune))]
    else:
        folds = ev.grouped_folds(x, y, groups)
    setting = ev.choose(*how, folds)
    fit, test_x = partial(how[0], **{how[1]: setting}), np.asarray(read(splits.evaluation[classes]))
    return Probe(y, setting, lambda rows=slice(None): fit(x[rows], y[rows], test_x))


@once
def probe_outcome(study: Study, system: str, classes: str, *, features=None, options: str = "") -> Outcome:
    """Linear probe of a frozen encoder (E 3.1); "Pose-MAE" is the upper bound; parameters as of :func:`probe`."""
    found, name = probe(study, system, classes, features), UPPER_BOUND.get(system, system)
    more = {"param": "C", "param_value": found.setting, "n_train": len(found.y), "recalls": not options}
    if system in EXPERIMENTS and features is None:
        more |= {"run_key": study.run(system).key, **beside(name, "LP", classes, study.dataset)}
    ids = study.splits.evaluation[classes]
    return _outcome(study, name, "LP", classes, ids, found.predict(), options=options, **more)


@once
def no_network(study: Study, classes: str) -> list[Outcome]:
    """The two answers that a linear probe must beat (ours; METHOD 1's trials), scored on the probe's own windows.

    ONE_CLASS answers every window with the commonest class of the training windows, which is 0.25 in balanced
    accuracy. LOG_POWER_LDA is linear discriminant analysis of log-power in eight parts of the window and each channel
    (:meth:`~embridge.study.Study.band_power`). Neither is trained with a seed: theirs is empty, so that one row
    stands beside the mean over any seeds, and its interval covers users alone.
    """
    found, ids = probe(study, LOG_POWER_LDA, classes), study.splits.evaluation[classes]
    said = {"param": "shrinkage", "param_value": found.setting}
    answers = (ONE_CLASS, np.full(len(ids), np.bincount(found.y).argmax()), {}), (LOG_POWER_LDA, found.predict(), said)
    how = {"n_train": len(found.y), "recalls": True, "seed": None}
    return [_outcome(study, name, "LP", classes, ids, predicted, **how, **own) for name, predicted, own in answers]


@of_whole_run(system=(ONE_CLASS, LOG_POWER_LDA), param=("", "shrinkage"))
def no_network_rows(study: Study) -> list[dict]:
    """Tidy rows of :func:`no_network` on both class sets."""
    return [r for classes in SETS for outcome in no_network(study, classes) for r in outcome.rows]


@of_whole_run(system=TRUE_POSE)
def true_pose_rows(study: Study) -> list[dict]:
    """Tidy rows of retrieval with the true pose in EMG's place, under each gallery that lacks it.

    It is what a perfect alignment with Pose-MAE's embeddings would score, and no strict limit: one that sends windows
    to the middle of their class could score more.
    """
    splits, k, rows = study.splits, study.profile.evaluation.k, []
    for classes, policy in product(SETS, [policy for policy in splits.policies if policy != "all"]):
        ids = splits.evaluation[classes]
        poses, labels = gallery_embeddings(study, "Pose-MAE", ids), splits.labels(classes, ids)
        own = splits.exclusion(policy, ids)
        predicted = ev.zero_shot(poses[:, None], poses, labels, k=k, query_group=own, gallery_group=own)
        how = {"gallery": policy, "pooling": "max", "param": "k", "param_value": k, "recalls": True}
        found = _outcome(study, TRUE_POSE, "ZS", classes, ids, predicted, options="corpus=class set", **how)
        rows += [r for r in found.rows if r["metric"] in ("balanced_accuracy", "user_recall")]
    return rows


@of_whole_run(param="shots_fraction")
def few_shot(
    study: Study, system: str, classes: str, *, unit: str = "recordings", fractions=FRACTIONS, n_draws: int = 5
) -> list[dict]:
    """Tidy rows of a frozen encoder's probe, trained on fractions of each class's recordings, drawn several times.

    Every window is embedded once. C (of LOG_POWER_LDA the shrinkage) is the whole training set's, so that only the
    number of shots varies. "Pose-MAE" is the upper bound, LOG_POWER_LDA the line without a network. ``unit``: what a
    shot is, "recordings" (on NinaPro a repetition) or "windows"; ``n_draws``: random subsets of each of the
    ``fractions`` in (0, 1]; the whole set is one.

    Rows are of balanced accuracy with its interval over groups: ``param`` "shots_fraction", ``n_train`` shots a class,
    ``draw`` (from the study's seed), ``options`` "unit=...". Behind each, that of its difference from LOG_POWER_LDA's
    on the same shots, paired by group, under the name "<system> - Log-power + LDA". Raises InputError for an unknown
    unit or a fraction out of range.
    """
    one_of("few-shot's unit", unit, "recordings", "windows")
    train, ids = study.splits.probe_from(study.splits.probe_train[classes]), study.splits.evaluation[classes]
    table, units = study.splits.table.iloc[train], np.asarray(train)
    if unit == "recordings":  # a NinaPro file holds many repetitions, an emg2pose file one
        units = (table["recording"].astype(str) + "/" + table["repetition"].astype(str)).to_numpy()
    own, line, rows = probe(study, system, classes), probe(study, LOG_POWER_LDA, classes), []
    run_key = study.run(system).key if system in EXPERIMENTS else ""
    for part in ev.few_shot_subsets(own.y, units, fractions, n_draws=n_draws, seed=study.seed):
        how = {"param": "shots_fraction", "param_value": part.fraction, "n_train": part.shots, "draw": part.draw}
        how |= {"options": f"unit={unit}", "run_key": run_key}
        o = _outcome(study, UPPER_BOUND.get(system, system), "LP", classes, ids, own.predict(part.rows), **how)
        rows.append(o.rows[0])
        if system != LOG_POWER_LDA:
            rows.append(o.less(line.predict(part.rows), LOG_POWER_LDA))
    return rows


def angle_row(study: Study, name: str, classes: str) -> list[dict]:
    """A regressor's mean absolute error over D_eval's windows, degrees; [] where the pose is a glove's sensors."""
    run, (shape, train) = study.run(name), study.configs(EXPERIMENTS[name])
    if shape.n_joints != N_ANGLES:
        return []
    error = angle_error(run.model, study.reader(shape, train.emg_norm), study.splits.evaluation[classes])["degrees"]
    return [_error_row(study, name, classes, error, run.key)]


@of_whole_run(system="Constant pose")
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
    mean = measured(st.mean_over_groups(error, groups, n_resamples=n), f"95 % bootstrap over {study.splits.group_kind}")
    how = of_study(study, system=system, protocol="regression", classes=classes, metric="angle_error_deg")
    return row(**how, n=len(error), run_key=run_key, **mean)
