"""The two protocols of the paper on a study's systems: zero-shot retrieval and the linear probe (E 3.1, METHOD 8).

They join a :class:`~embridge.study.Study` with :mod:`embridge.evaluation`, which knows arrays only, and
return tidy rows (see :data:`embridge.results.COLUMNS`) beside the predictions that the figures draw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import torch

from embridge import evaluation as ev
from embridge.experiments import EXPERIMENTS, LOG_POWER_LDA, ONE_CLASS
from embridge.numbers import lookup
from embridge.results import evaluate_predictions
from embridge.splits import SETS
from embridge.study import Study


@dataclass(frozen=True)
class Outcome:
    """Predictions of one system under one protocol on one class set."""

    system: str
    protocol: str  # "ZS" or "LP"
    classes: str  # "in" or "unseen"
    gallery: str  # policy, "" for a probe
    pooling: str  # over queries, "" for a probe
    options: str
    y: np.ndarray  # (n,) true classes
    predicted: np.ndarray  # (n,) predicted classes, -1: no vote
    groups: np.ndarray  # (n,) what the bootstrap resamples
    rows: list


def _paper(study: Study, system: str, protocol: str, classes: str) -> dict:
    """The paper's number for the cell, where the study's dataset stands for one of the paper's."""
    value, source = lookup(system, protocol, classes, study.dataset)
    return {"paper_value": value, "paper_source": source}


def _outcome(
    study: Study, system, protocol, classes, ids, y, predicted, *, gallery="", pooling="", options="", **extra
):
    groups = study.splits.groups(ids)
    extra = {"seed": study.seed} | extra
    rows = evaluate_predictions(
        y,
        predicted,
        groups,
        n_classes=4,
        n_resamples=study.profile.evaluation.n_bootstrap,
        dataset=study.dataset,
        group_kind=study.splits.group_kind,
        profile=study.profile.name,
        system=system,
        protocol=protocol,
        classes=classes,
        gallery=gallery,
        pooling=pooling,
        options=options,
        **extra,
    )
    return Outcome(system, protocol, classes, gallery, pooling, options, y, predicted, groups, rows)


_kept: WeakKeyDictionary[Study, dict[tuple, object]] = WeakKeyDictionary()


def once(function: Callable) -> Callable:
    """Keep what ``function(study, ...)`` returns for as long as the study: pages ask for the same outcomes again.

    Its other arguments must be hashable; what it returns is not to be changed.
    """

    @wraps(function)
    def read(study: Study, *arguments, **options):
        kept = _kept.setdefault(study, {})
        key = (function.__name__, *arguments, *sorted(options.items()))
        if key not in kept:
            kept[key] = function(study, *arguments, **options)
        return kept[key]

    return read


def gallery_embeddings(study: Study, system: str, ids: np.ndarray) -> torch.Tensor:
    """(n, d) pose embeddings of a system's gallery, kept for as long as the study: most systems ask for the same ones.

    At quick's size encoding "every split" anew for each system and class set took most of notebook 05's time.
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

    Parameters
    ----------
    subset : "evaluation" (D_eval) or "tune" (D_tune, where hyper-parameters are chosen)
    brief : the class set's gallery and the profile's pooling alone, for members of a sweep
    k : neighbours; None: the profile's
    """
    splits, setting = study.splits, study.profile.evaluation
    ids = getattr(splits, subset)[classes]
    if subset == "tune":
        splits.learn_from(ids, "D_tune", tuning=True)
    y = splits.labels(classes, ids)
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
        labels = np.where(labels < 0, 4 + gesture_codes[gallery], labels)
        # the larger corpora answer one question, how much they change the paper's protocol: policy "all" only
        for policy in splits.policies if corpus == "class set" else ("all",):
            for pooling in poolings:
                predicted = ev.zero_shot(
                    queries,
                    poses,
                    labels,
                    k=k,
                    pooling=pooling,
                    query_group=splits.exclusion(policy, ids),
                    gallery_group=splits.exclusion(policy, gallery),
                )
                headline = corpus == "class set" and policy == "all" and pooling == setting.pooling
                outcomes.append(
                    _outcome(
                        study,
                        system,
                        "ZS",
                        classes,
                        ids,
                        y,
                        predicted,
                        gallery=policy,
                        pooling=pooling,
                        options=f"corpus={corpus}",
                        run_key=study.run(system).key,
                        param="k",
                        param_value=k,
                        # of what tables show and compare; with every setting's they would be most rows of all
                        recalls=corpus == "class set" and pooling == "max" and (policy == "all" or not brief),
                        **(_paper(study, system, "ZS", classes) if headline else {}),
                    )
                )
    return outcomes


def probe_c(study: Study, classes: str, train_x: np.ndarray, train_y: np.ndarray, read) -> float:
    """The probe's C for the whole probe-training set: from D_tune, or by cross-validation where there is none.

    ``train_x`` (n, d), ``train_y`` (n,); ``read`` is a function from window ids to features.
    """
    grid = study.profile.evaluation.probe_c
    ways = (lambda *data: ev.choose_c(*data, grid)), (lambda *data: ev.choose_c_grouped(*data, grid))
    return _chosen(study, classes, train_x, train_y, read, *ways)


def _chosen(study: Study, classes: str, train_x, train_y, read, on_tune: Callable, over_groups: Callable):
    """A classifier's setting: from D_tune, or by cross-validation over repetitions where there is none."""
    splits = study.splits
    if splits.has_tuning:
        tune = splits.learn_from(splits.tune[classes], "D_tune", tuning=True)
        return on_tune(train_x, train_y, np.asarray(read(tune)), splits.labels(classes, tune))
    repetitions = splits.exclusion("other-repetitions", splits.probe_from(splits.probe_train[classes]))
    return over_groups(train_x, train_y, repetitions)


@once
def own_c(study: Study, system: str, classes: str) -> float:
    """:func:`probe_c` of a system's own features."""
    train = study.splits.probe_from(study.splits.probe_train[classes])

    def read(ids):
        return study.features(system, ids)

    return probe_c(study, classes, read(train).numpy(), study.splits.labels(classes, train), read)


@once
def probe_outcome(study: Study, system: str, classes: str, *, features=None, options: str = "") -> Outcome:
    """Linear probe of a frozen encoder (E 3.1): C from D_tune, or by cross-validation where there is none.

    Parameters
    ----------
    system : "Pose-MAE" is the upper bound
    features : function of window ids, for controls; None: the system's own
    """
    splits = study.splits
    read = features or (lambda ids: study.features(system, ids))
    train, test = splits.probe_from(splits.probe_train[classes]), splits.evaluation[classes]
    train_x, train_y = read(train).numpy(), splits.labels(classes, train)
    c = probe_c(study, classes, train_x, train_y, read) if features else own_c(study, system, classes)
    predicted = ev.linear_probe(train_x, train_y, read(test).numpy(), c=c)
    name = "Upper bound" if system == "Pose-MAE" else system
    known = system in EXPERIMENTS and features is None
    return _outcome(
        study,
        name,
        "LP",
        classes,
        test,
        splits.labels(classes, test),
        predicted,
        options=options,
        param="C",
        param_value=c,
        n_train=len(train),
        recalls=not options,
        run_key=study.run(system).key if known else "",
        **(_paper(study, name, "LP", classes) if known else {}),
    )


@once
def own_shrinkage(study: Study, classes: str) -> float | str:
    """LOG_POWER_LDA's shrinkage for the whole probe-training set, chosen as :func:`probe_c` chooses C."""
    train = study.splits.probe_from(study.splits.probe_train[classes])
    x, y = study.band_power(train), study.splits.labels(classes, train)
    return _chosen(study, classes, x, y, study.band_power, ev.choose_shrinkage, ev.choose_shrinkage_grouped)


@once
def no_network(study: Study, classes: str) -> list[Outcome]:
    """What a linear probe must beat (ours; METHOD 1's trials), trained and scored on the probe's own windows.

    ONE_CLASS answers every window with the commonest class of the training windows, which is 0.25 in balanced
    accuracy. LOG_POWER_LDA is linear discriminant analysis of log-power in eight parts of the window and each channel
    (:meth:`~embridge.study.Study.band_power`). Neither is trained with a seed: theirs is empty, so that one row
    stands beside the mean over any seeds, and its interval covers users alone.
    """
    splits = study.splits
    train, test = splits.probe_from(splits.probe_train[classes]), splits.evaluation[classes]
    train_y, y, shrinkage = splits.labels(classes, train), splits.labels(classes, test), own_shrinkage(study, classes)
    predicted = {
        ONE_CLASS: np.full(len(test), np.bincount(train_y).argmax()),
        LOG_POWER_LDA: ev.lda(study.band_power(train), train_y, study.band_power(test), shrinkage=shrinkage),
    }
    said = {ONE_CLASS: {}, LOG_POWER_LDA: {"param": "shrinkage", "param_value": shrinkage}}
    how = {"n_train": len(train), "recalls": True, "seed": None}
    return [_outcome(study, s, "LP", classes, test, y, p, **how, **said[s]) for s, p in predicted.items()]


def no_network_rows(study: Study) -> list[dict]:
    """Tidy rows of :func:`no_network` on both class sets."""
    return [row for classes in SETS for outcome in no_network(study, classes) for row in outcome.rows]


def headline(outcomes: list[Outcome], classes: str, study: Study) -> list[Outcome]:
    """The paper's own reading of each system: gallery "all" of the class set, default pooling, this study's seed."""
    return [
        o
        for o in outcomes
        if o.classes == classes
        and o.gallery == "all"
        and o.options == "corpus=class set"
        and o.pooling == study.profile.evaluation.pooling
        and o.rows[0]["seed"] == study.seed
    ]
