"""Saying "I do not know": windows of gestures that no gallery holds, told by how near their nearest poses are (ours).

The gallery is of the known classes' poses of training users, the same where the rule is chosen (D_tune) and where it is
used (D_eval): a larger gallery has nearer neighbours, and a threshold would not carry over.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from embridge.data.emg2pose import HELD_OUT_STAGES, STAGES
from embridge.data.splits import SETS
from embridge.errors import InputError
from embridge.evaluation import majority, neighbours
from embridge.paper import all_stages
from embridge.paper.differences import DIFFERENCE
from embridge.paper.kept import of_whole_run
from embridge.paper.results import row
from embridge.paper.scoring import evaluate_predictions, gallery_embeddings, of_study
from embridge.paper.table_cells import measured
from embridge.statistics import auroc_over_groups, bootstrap_over_seeds, class_counts, mean_over_groups
from embridge.study import Study

GALLERY = "training users"  # in column "gallery"
OTHER = "other stages"  # in column "classes": of training, and no class
SCORES = ("cosine", "share", "both")
COVERAGE = 0.9  # share of D_tune's known windows that is answered
COVERAGES = np.round(np.arange(0.1, 1.01, 0.1), 1)  # of the curve
N_BINS = 30  # of histograms


def evidence(queries, poses, labels, *, k: int, pooling: str = "max") -> tuple[np.ndarray, np.ndarray]:
    """What the k nearest poses say of each window, and how sure they are.

    ``queries`` (N, M, d), ``poses`` (G, d), ``labels`` (G,), from 0 on, and ``pooling`` over queries ("max" or "mean")
    are as of :func:`~embridge.evaluation.zero_shot`. Returns predicted (N,), the class that most of them are of, that
    of ``zero_shot``, and sure (N, 2): their mean cosine, and the share of them that is of that class.
    """
    queries, labels = torch.as_tensor(queries), torch.as_tensor(labels, dtype=torch.int64)
    queries = queries.mean(1, keepdim=True) if pooling == "mean" else queries
    cosine, index = neighbours(queries, torch.as_tensor(poses), k, labels=labels)
    votes = labels[index]
    winner = majority(votes, cosine, int(labels.max()) + 1)
    share = (votes == winner[:, None]).double().mean(1)
    return winner.numpy(), torch.stack([cosine.double().mean(1), share], 1).numpy()


def fitted(known: np.ndarray, unknown: np.ndarray) -> dict[str, Callable]:
    """Functions from ``sure`` (n, 2) to a score (n,), high for the known, by the names of SCORES.

    "both" is the logarithm of the odds of being known, by a logistic regression of D_tune's windows (n, 2) of both
    kinds, which weigh the same.
    """
    x, y = np.concatenate([known, unknown]), np.repeat([1, 0], [len(known), len(unknown)])
    odds = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")).fit(x, y)
    return dict(zip(SCORES, (lambda e: e[:, 0], lambda e: e[:, 1], odds.decision_function), strict=True))


def threshold_at(scores: np.ndarray, coverage: float) -> float:
    """The score from which on at least this share of windows (n,) is answered: the largest that there is."""
    return float(np.sort(scores)[::-1][max(1, int(np.ceil(coverage * len(scores) - 1e-9))) - 1])


@of_whole_run(gallery=GALLERY)
def open_set_rows(study: Study, system: str = "EMBridge") -> list[dict]:
    """Tidy rows of an aligned system that may decline to answer, intervals over users.

    The known are the class set "in". The unknown (column "classes") are "unseen" and OTHER, training stages that are no
    class, made by :mod:`embridge.paper.all_stages`. Of each score, metric "auroc" on D_tune (``options`` "D_tune;
    score=...") and on D_eval. Of the one that is best on D_tune: balanced accuracy of the known windows that it likes
    best, at each coverage (``param`` "coverage") and with D_tune's threshold (``param`` "threshold"); by how much the
    latter is above answering all, each over the classes that it answers; "answered" and "rejected", shares of windows;
    "score_share", its histogram, by the lower end of each bin.
    """
    splits, setting = study.splits, study.profile.evaluation
    gallery, n = splits.probe_train["in"], setting.n_bootstrap
    poses, labels = gallery_embeddings(study, system, gallery), splits.labels("in", gallery)
    ask = partial(evidence, poses=poses, labels=labels, k=setting.k, pooling=setting.pooling)
    tune = {c: splits.learn_from(splits.tune[c], "rejection", tuning=True) for c in SETS}
    if empty := [c for c, ids in tune.items() if not len(ids)]:
        raise InputError(f"D_tune: expected windows of both class sets for a threshold, found none of {empty[0]!r}; "
                         "give it users who perform both")  # fmt: skip
    wide = all_stages.windows(study)
    other = ~np.isin(wide.y, [STAGES.index(name) for name in (*splits.classes["in"], *HELD_OUT_STAGES)])
    ids = {("D_tune", c): tune[c] for c in SETS} | {("", c): splits.evaluation[c] for c in SETS}
    answers = {which: ask(study.emg_queries(system, windows)) for which, windows in ids.items()}
    answers["", OTHER] = ask(wide.study.emg_queries(system, wide.ids[other]))
    groups = {which: splits.groups(windows) for which, windows in ids.items()} | {("", OTHER): wide.users[other]}
    common = of_study(study, protocol="ZS", gallery=GALLERY, pooling=setting.pooling, system=system)
    common["run_key"], rows, on_tune = study.run(system).key, [], {}

    def add(metric, found, n, kind="95 % bootstrap over user", **more) -> None:
        rows.append(row(**common | measured(found, kind) | {"metric": metric, "n": n} | more))

    rules = fitted(*(answers["D_tune", c][1] for c in SETS))
    for name, rule in rules.items():
        for part, c in (("D_tune", "unseen"), ("", "unseen"), ("", OTHER)):
            known, unknown = (rule(answers[part, which][1]) for which in ("in", c))
            found = auroc_over_groups(known, unknown, groups[part, "in"], groups[part, c], n_resamples=n)
            on_tune |= {name: found[0]} if part else {}
            options = "; ".join(filter(None, (part, f"score={name}")))
            add("auroc", found, len(known) + len(unknown), classes=c, options=options)
    best = max(SCORES, key=on_tune.get)
    common["options"] = f"score={best}"
    scores = {which: rules[best](sure) for which, (_, sure) in answers.items()}
    least = threshold_at(scores["D_tune", "in"], COVERAGE)
    for c in (*SETS, OTHER):
        said, metric = scores["", c] >= least, "answered" if c == "in" else "rejected"
        found = mean_over_groups(said if c == "in" else ~said, groups["", c], n_resamples=n)
        add(metric, found, len(said), classes=c)
    y, predicted = splits.labels("in", splits.evaluation["in"]), answers["", "in"][0]
    known, users = scores["", "in"], groups["", "in"]
    cuts = [("coverage", share, threshold_at(known, share)) for share in COVERAGES] + [("threshold", least, least)]
    how = {"n_classes": len(splits.classes["in"]), "n_resamples": n, "group_kind": "user", "classes": "in"}
    for param, value, cut in cuts if (known >= least).any() else cuts[:-1]:
        of, at = known >= cut, {"param": param, "param_value": f"{value:.4g}"}
        rows.append(evaluate_predictions(y[of], predicted[of], users[of], **how, **common, **at)[0])
    if (of := known >= least).any():
        here = np.isin(users, users[of])  # users none of whose windows is answered are on neither side
        counts = [class_counts(y[m], predicted[m], users[m], how["n_classes"])[None] for m in (of, here)]
        named = {"system": f"{system}, answered - {system}, all", "classes": "in", "kind": "95 % paired bootstrap"}
        add(DIFFERENCE, bootstrap_over_seeds(*counts, n_resamples=n), int(of.sum()), **named)
    shown = {c: scores["", c] for c in (*SETS, OTHER)}
    ends = np.linspace(*np.quantile(np.concatenate([*shown.values()]), [0, 1]), N_BINS + 1)
    for c, values in shown.items():
        shares = np.histogram(values, ends)[0] / len(values)
        how = common | {"metric": "score_share", "classes": c, "param": "score", "n": len(values)}
        rows += [row(**how, param_value=f"{end:.9g}", value=v) for end, v in zip(ends, shares, strict=False)]
    return rows
