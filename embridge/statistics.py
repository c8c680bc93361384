"""Scores from confusion counts, and their uncertainty over users (METHOD 8).

Windows of one user are not independent, so intervals resample *groups* (users; on NinaPro DB1 movement-repetition
pairs). Every score is a function of three counts a class: windows that are right, all of the class, and all predictions
of it. Those of a resample are sums over its groups, so that thousands of resamples never look at a window twice.
"""

from collections.abc import Callable, Iterable

import numpy as np
from scipy import stats

from embridge.errors import InputError

LEVEL = 0.95  # of every interval


def group_counts(y, pred, groups, n_classes: int) -> np.ndarray:
    """(G, K, K + 1) confusion counts of every group, in their sorted order: true class by predicted one.

    ``y``, ``pred`` and ``groups`` (None: all are one) are (N,). Predictions outside 0..n_classes-1 (no vote, another
    gesture) go to the last column, so they stay in the denominator. Raises InputError for lengths that differ, no
    windows, or a true label that is not a class.
    """
    y, pred = np.asarray(y), np.asarray(pred)
    groups = np.zeros(len(y), dtype=int) if groups is None else np.asarray(groups)
    if not len(y) or not len(y) == len(pred) == len(groups):
        found = f"found {len(y)}, {len(pred)} and {len(groups)}; evaluate the same windows everywhere"
        raise InputError(f"scores: expected as many labels, predictions and groups, at least one; {found}")
    if y.min() < 0 or y.max() >= n_classes:
        found = f"found {y.min()}..{y.max()}; leave out windows of other gestures"
        raise InputError(f"scores: expected true labels 0..{n_classes - 1}, {found}")
    names, codes = np.unique(groups, return_inverse=True)
    column = np.where((pred >= 0) & (pred < n_classes), pred, n_classes).astype(np.int64)
    flat = (codes * n_classes + y) * (n_classes + 1) + column
    size = (len(names), n_classes, n_classes + 1)
    return np.bincount(flat, minlength=np.prod(size)).reshape(size)


def class_counts(y, pred, groups, n_classes: int) -> np.ndarray:
    """(G, K, 3) of each group and class: windows that are right, all of the class, all predictions of the class."""
    counts = group_counts(y, pred, groups, n_classes)
    return np.stack([np.diagonal(counts, axis1=1, axis2=2), counts.sum(-1), counts[..., :-1].sum(-2)], axis=-1)


def _mean_present(values, present):
    """Mean over the classes that occur; nan where none does."""
    n = present.sum(-1)
    total = np.where(present, values, 0.0).sum(-1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _f1(counts):
    """F1 of each class, 2 right / (of the class + predicted): (..., K, 3) counts -> (..., K)."""
    return 2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1)


# (..., K, 3) counts -> (...) score: the mean of recall, right / of the class, and of F1
METRICS = {
    "balanced_accuracy": lambda n: _mean_present(n[..., 0] / np.maximum(n[..., 1], 1), n[..., 1] > 0),
    "macro_f1": lambda n: _mean_present(_f1(n), n[..., 1] > 0),
}


def confusion(y, pred, n_classes: int) -> np.ndarray:
    """(K, K) counts, row: true class, column: predicted class.

    Predictions that are none of the classes are in no column: a row may sum to less than the class has windows.
    """
    return group_counts(y, pred, None, n_classes)[0, :, :n_classes]


def balanced_accuracy(y, pred, n_classes: int) -> float:
    """Mean recall over the classes that occur in ``y`` (E 3.3); a prediction that is no class counts as wrong."""
    return float(METRICS["balanced_accuracy"](class_counts(y, pred, None, n_classes)[0]))


def per_class_f1(y, pred, n_classes: int) -> np.ndarray:
    """(K,) F1 of each class; nan for a class that does not occur in ``y``."""
    counts = class_counts(y, pred, None, n_classes)[0]
    return np.where(counts[:, 1] > 0, _f1(counts), np.nan)


def per_group_f1(y, pred, groups, n_classes: int) -> dict[str, float]:
    """Macro F1 of each group, over the classes that the group has (E 3.3 for users; which mean: paper silent)."""
    found = METRICS["macro_f1"](class_counts(y, pred, groups, n_classes))
    return {str(name): float(f1) for name, f1 in zip(np.unique(groups), found, strict=True)}


def bootstrap_over_groups(
    y,
    pred,
    groups,
    *,
    minus=None,
    metric: str = "balanced_accuracy",
    n_classes: int | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """A score, or what it is above another one's, with its 95 % interval over groups.

    Groups are resampled within their class where each holds one class only, since plain resampling could lose a class.
    Returns (value, low, high); low and high are nan where there is one group, or one of a class so resampled. The
    interval is the percentile one: unlike BCa it is defined when every resample scores the same (a perfect or a
    constant classifier) and it stays within the score's range. With a dozen groups it is somewhat too narrow.
    A class absent from a resample is left out of that resample's mean.

    y, pred, groups : (N,) true classes, predictions, and what is resampled
    minus : (N,) predictions whose score is taken off, on the same resampled groups; None: none is
    metric : a key of METRICS
    n_classes : None: the largest label + 1
    """
    n_classes = n_classes if n_classes is not None else int(np.max(y)) + 1
    sides = [class_counts(y, p, groups, n_classes)[None] for p in (pred, minus) if p is not None]
    return _bootstrap(lambda rows: _scores(sides, METRICS[metric], rows)[0], _blocks(sides[0]), n_resamples, seed)


def bootstrap_over_seeds(
    counts, minus=None, *, spread: float | None = None, f1_of: int | None = None, n_resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean over seeds of a score, with a 95 % interval that covers both seeds and groups: (value, low, high).

    Each resample draws groups once, for all seeds: every seed is evaluated on the same users, and drawing these anew
    for each would take 3 seeds of 12 users for 36 users. Windows of a group stay together. Seeds are not resampled: no
    resample of three leaves their range, which holds the mean of their kind in 72 % of cases. Student's interval is
    added in quadrature for them. Of one seed without ``spread`` the interval is that of :func:`bootstrap_over_groups`,
    to the bit; low and high are nan where a stratum has one group.

    counts : (S, G, K, 3) of each seed, as :func:`class_counts`; the balanced accuracy needs the first two of the 3
    minus : the same of a second system, whose score is taken off; None: none is
    spread : of one training's score, or difference, as :func:`spread_over_seeds` tells it; None: by these seeds alone
    f1_of : the class whose F1 is the score; None: the balanced accuracy is
    """
    sides = [np.asarray(side, dtype=float) for side in ([counts] if minus is None else [counts, minus])]
    n_seeds, n_groups = sides[0].shape[:2]
    score = METRICS["balanced_accuracy"] if f1_of is None else lambda n: _f1(n)[..., f1_of]
    found = _bootstrap(lambda rows: _scores(sides, score, rows).mean(0), _blocks(sides[0]), n_resamples, seed)
    if n_seeds == 1 and spread is None:
        return found
    spread = spread_over_seeds([_scores(sides, score, np.arange(n_groups))]) if spread is None else spread
    return widened(*found, spread / np.sqrt(n_seeds))


def widened(value: float, low: float, high: float, half: float) -> tuple[float, float, float]:
    """A value whose interval also has an independent uncertainty of ``half`` to either side, in quadrature."""
    if not half:
        return value, low, high
    return value, float(value - np.hypot(value - low, half)), float(value + np.hypot(high - value, half))


def mean_over_groups(values, groups, *, n_resamples: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of values (N,), such as an error a window, with its 95 % percentile interval over their groups (N,)."""
    codes = np.unique(groups, return_inverse=True)[1]
    n, sums = np.bincount(codes), np.bincount(codes, weights=values)
    return _bootstrap(lambda rows: sums[rows].sum(-1) / n[rows].sum(-1), [np.arange(len(n))], n_resamples, seed)


def auroc_over_groups(
    known, unknown, known_groups, unknown_groups, *, n_resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Area under the ROC curve of scores that should be high for the known, with its 95 % interval over groups.

    It is the share of pairs, a known window (N,) and an unknown one (n,), of which the known one scores higher; of a
    tie, half. Groups (N,), (n,) are drawn with all that is theirs on both sides; those with one side alone are left
    out. Returns (value, low, high), low and high nan where one group is left; InputError where none is.
    """
    sides = [(np.asarray(s, dtype=float), np.asarray(g)) for s, g in ((known, known_groups), (unknown, unknown_groups))]
    names = np.intersect1d(*(groups for _, groups in sides))
    if not len(names):
        raise InputError("AUROC: expected a group with known and unknown windows, found none; score the same users")
    above, below = ([np.sort(scores[groups == name]) for name in names] for scores, groups in sides)
    # (G, G): pairs that a known window of one group wins against an unknown one of another, and how many there are
    won = [[sum(np.searchsorted(b, a, side).sum() for side in ("left", "right")) / 2 for b in below] for a in above]
    won, pairs = np.array(won), np.outer(*([len(part) for part in side] for side in (above, below)))

    def share(rows):
        at = rows[..., :, None], rows[..., None, :]
        return won[at].sum((-1, -2)) / pairs[at].sum((-1, -2))

    return _bootstrap(share, [np.arange(len(names))], n_resamples, seed)


def spread_over_seeds(seeds: Iterable[Iterable[float]]) -> float:
    """Half of a 95 % interval (Student's) for one training run around the mean of its kind.

    A mean of n trainings has it divided by the square root of n. ``seeds``: of each system, its score with each seed.
    The systems share one spread, pooled over them, which three seeds of one system would hardly tell. 0 where no system
    has two seeds.
    """
    seeds = [np.asarray(values, dtype=float) for values in seeds]
    freedom = sum(len(values) - 1 for values in seeds)
    if not freedom:
        return 0.0
    variance = sum(np.square(values - values.mean()).sum() for values in seeds) / freedom
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance))


def _scores(sides: list[np.ndarray], score: Callable, rows: np.ndarray) -> np.ndarray:
    """(S, ...) the score of each seed on groups ``rows`` (..., G), or what the first side scores above the second.

    sides: one or two of (S, G, K, 3) counts.
    """
    each = [score(side[:, rows].sum(-3)) for side in sides]
    return each[0] - each[1] if len(sides) == 2 else each[0]


def _blocks(counts: np.ndarray) -> list[np.ndarray]:
    """Row numbers of the groups, an array a class where each group holds one class only, else all in one.

    counts: (S, G, K, 3), as :func:`class_counts` of each seed.
    """
    member = counts[..., 1].sum(0) > 0  # (G, K)
    stratum = member.argmax(1) if (member.sum(1) == 1).all() else np.zeros(len(member))
    return [np.flatnonzero(stratum == s) for s in np.unique(stratum)]


def _bootstrap(score, blocks, n_resamples: int, seed: int) -> tuple[float, float, float]:
    """``score`` maps (..., G) row numbers to (...) values."""
    value = float(score(np.concatenate(blocks)))
    if min(map(len, blocks)) < 2:
        return value, np.nan, np.nan

    def statistic(*rows, axis):  # scipy puts the groups on the last axis
        return score(np.concatenate(rows, axis=-1))

    # a batch bounds memory: (200, G, K, K + 1) counts at a time
    how = {"n_resamples": n_resamples, "batch": 200, "vectorized": True, "rng": np.random.default_rng(seed)}
    found = stats.bootstrap(blocks, statistic, confidence_level=LEVEL, method="percentile", **how).confidence_interval
    return value, float(found.low), float(found.high)
