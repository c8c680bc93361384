"""The two protocols on arrays: zero-shot retrieval and the linear probe (E 3.1, A.6; METHOD 8). Knows no model."""

import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController
from torch.nn.functional import normalize

from embridge.errors import InputError, one_of
from embridge.statistics import balanced_accuracy

TILE = 2**22  # cosines in a tile: 16 MB in float32, which a processor's cache still holds
POSES = 2**14  # poses in a tile
MOST_STEPS = 30_000  # of a probe's solver
SHRINKAGES = ("auto", 0.1, 0.3, 0.5, 0.9)  # of LDA (ours); of equals on D_tune the first


@torch.no_grad()
def zero_shot(
    queries, poses, labels, *, k: int = 10, pooling: str = "max", query_group=None, gallery_group=None
) -> np.ndarray:
    """Classify EMG windows by the labels of their k nearest poses (E 3.1): (N,) int64.

    Majority vote over the k highest cosines; a tie goes to the larger summed cosine (paper silent), then to the
    smaller label. Of poses whose cosine equals the k-th exactly those with the smaller label vote, so that the
    gallery's order decides nothing. Embeddings are l2-normalised here, so their length never matters, except that
    ``mean`` averages queries as they come. Raises InputError for shapes that do not fit, embeddings that are not
    finite, or an unknown pooling.

    queries : (N, M, d) EMG embeddings, M queries a window (CPEP: 1); numpy or torch, any device
    poses : (G, d) pose embeddings of the gallery
    labels : (G,) ints. -1 stands for "another gesture" and competes like a class: winning, it is a wrong answer.
        Other gestures may also keep codes of their own beyond the classes; then they do not add up to one rival
    pooling : over queries, "max" of each (EMG, pose) pair (as BLIP-2 retrieves) or the cosine of the "mean" query
    query_group, gallery_group : (N,), (G,) codes or None; a pose whose code equals the query's is left out. Where that
        leaves fewer than k, those vote; where it leaves none, the label is -1
    """
    queries, poses = torch.as_tensor(queries), torch.as_tensor(poses)
    queries = queries.to(torch.promote_types(queries.dtype, torch.float32))
    labels = torch.as_tensor(labels, dtype=torch.int64, device=queries.device)
    _check(queries, poses, labels, k, pooling)
    query_code, pose_code = _codes(query_group, gallery_group, len(queries), len(poses), queries.device)
    if len(poses) == 0:
        return np.full(len(queries), -1, dtype=np.int64)
    if pooling == "mean":
        queries = queries.mean(1, keepdim=True)  # (N, 1, d)
    codes = {"query_code": query_code, "pose_code": pose_code}
    cosine, index = neighbours(queries, poses, k, labels=labels, **codes)  # (N, k)
    classes, votes = labels.unique(return_inverse=True)  # sorted
    winner = classes[majority(votes[index], cosine, len(classes))]
    return winner.masked_fill(cosine[:, 0].isinf(), -1).cpu().numpy()


@torch.no_grad()
def neighbours(
    queries, poses, k: int, *, labels=None, query_code=None, pose_code=None, chunk: int | None = None, pose_chunk=POSES
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k poses with the highest cosine to each window, best first; of a window's M queries the closest counts.

    Returns the cosines (N, k, or G where that is less) and as many int64 indices into ``poses``; behind the last pose
    that is left they are -inf and -1. Nothing as large as an input is made: both sides are l2-normalised in parts, and
    a tile of cosines is reduced to k a window before the next one takes its place.

    queries : (N, M, d) tensor, float32 or float64; decides precision and device
    poses : (G, d) tensor; both finite, of any length
    labels : (G,) int tensor or None: of equal cosines those with the smaller label come first; None: the smaller index
    query_code, pose_code : (N,), (G,) int tensors or None; a pose whose code equals the query's is left out
    chunk, pose_chunk : windows and poses in a tile; they change speed, memory and cosines, by 2e-7 at most in float32
    """
    (n_windows, n_queries, _), n_poses = queries.shape, len(poses)
    k = min(k, n_poses)
    best = queries.new_full((n_windows, k), -torch.inf)
    index = torch.full_like(best, -1, dtype=torch.int64)
    labels = torch.arange(n_poses, device=queries.device) if labels is None else labels
    pose_chunk = min(pose_chunk, max(1, n_poses))
    chunk = min(chunk or max(1, TILE // (n_queries * pose_chunk)), max(1, n_windows))
    # one tile for all: asking for memory anew each time makes the product three times as slow
    tile = queries.new_empty(chunk * n_queries, pose_chunk)
    for j in range(0, n_poses, pose_chunk):
        part = normalize(poses[j : j + pose_chunk].to(queries), dim=-1)
        for i in range(0, n_windows, chunk):
            rows = slice(i, i + chunk)
            unit = normalize(queries[rows], dim=-1).flatten(0, 1)  # again for each part of the poses: 1 % of the time
            cosine = torch.mm(unit, part.T, out=tile[: len(unit), : len(part)])
            cosine = cosine.unflatten(0, (-1, n_queries))  # (n, M, poses)
            cosine = cosine.amax(1) if n_queries > 1 else cosine[:, 0]  # amax of one would copy the tile
            if query_code is not None:
                cosine.masked_fill_(query_code[rows, None] == pose_code[j : j + pose_chunk], -torch.inf)
            at = _highest(cosine, k, labels[j : j + pose_chunk])
            value, at = torch.cat([best[rows], cosine.gather(1, at)], 1), torch.cat([index[rows], at + j], 1)
            order = labels[at].argsort(dim=1, stable=True)
            order = order.gather(1, value.gather(1, order).argsort(dim=1, descending=True, stable=True)[:, :k])
            best[rows], index[rows] = value.gather(1, order), at.gather(1, order)
    return best, index.masked_fill_(best.isinf(), -1)


def _highest(cosine: torch.Tensor, k: int, labels: torch.Tensor) -> torch.Tensor:
    """Columns (n, k or fewer) of the highest cosines (n, P) a row; of those equal to the k-th the smaller labels'."""
    value, at = cosine.topk(min(k + 1, cosine.shape[1]))
    at = at[:, :k]
    if value.shape[1] > k:  # topk takes any of equal ones: the few rows in which that matters are sorted
        tied = ((value[:, k - 1] == value[:, k]) & value[:, k].isfinite()).nonzero()[:, 0]
        if len(tied):
            by_label = labels.argsort(stable=True)
            at[tied] = by_label[cosine[tied][:, by_label].argsort(dim=1, descending=True, stable=True)[:, :k]]
    return at


def majority(votes, cosine, n_classes: int):
    """(n, k) class codes and cosines (-inf: no vote) -> (n,) codes; ties by summed cosine, then the smaller code."""
    valid = cosine.isfinite()
    shape = (len(votes), n_classes)
    count = torch.zeros(shape, dtype=torch.int64, device=votes.device).scatter_add_(1, votes, valid.long())
    cosine = cosine.double().where(valid, 0.0)
    total = torch.zeros(shape, dtype=torch.float64, device=votes.device).scatter_add_(1, votes, cosine)
    return total.masked_fill(count < count.amax(1, keepdim=True), -torch.inf).argmax(1)


def _check(queries, poses, labels, k, pooling) -> None:
    """Raise InputError for what :func:`zero_shot` cannot answer."""
    one_of("zero-shot's pooling", pooling, "max", "mean")
    if k < 1:
        raise InputError(f"zero-shot: expected at least one neighbour, found k = {k}")
    fit = queries.ndim == 3 and poses.ndim == 2 and queries.shape[2] == poses.shape[1] and queries.shape[1]
    if not fit or len(labels) != len(poses):
        found = ", ".join(str(tuple(x.shape)) for x in (queries, poses, labels))
        raise InputError(f"zero-shot: expected queries (N, M, d), poses (G, d), labels (G,), found {found}")
    if not (_finite(queries) and _finite(poses)):
        raise InputError("zero-shot: expected finite embeddings, found NaN or infinity; look at the model's input")


def _finite(x) -> bool:
    """True where no number is NaN or infinite, told from the extremes: a mask would be as large as the poses."""
    return not x.numel() or bool(torch.stack(x.aminmax()).isfinite().all())


def _codes(query_group, gallery_group, n_windows, n_poses, device):
    """Both groups as ints that are equal where the groups are; (None, None) without an exclusion."""
    if query_group is None and gallery_group is None:
        return None, None
    if query_group is None or gallery_group is None or (len(query_group), len(gallery_group)) != (n_windows, n_poses):
        raise InputError("zero-shot: expected one exclusion code a window and one a pose, or none at all")
    both = np.unique(np.concatenate([np.asarray(query_group), np.asarray(gallery_group)]), return_inverse=True)[1]
    codes = torch.as_tensor(both, device=device)
    return codes[:n_windows], codes[n_windows:]


def linear_probe(train_x, train_y, test_x, *, c: float) -> np.ndarray:
    """Labels (n,) of test_x (n, d) by logistic regression on train_x (N, d), train_y (N,) (E 3.1: a softmax head).

    Features, numpy or torch, are frozen and standardised; ``c`` is the inverse of the l2 penalty's strength. Classes
    are not re-weighted: the paper describes a plain softmax head, and balanced accuracy is how it is scored, not what
    it is trained for. Raises InputError for features that are not finite or fewer than two classes in ``train_y``.
    """

    # where these steps should not do, scikit-learn's warning is left to be seen
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, solver="lbfgs", max_iter=MOST_STEPS))
    return _predict("linear probe", probe.fit, train_x, train_y, test_x)


def lda(train_x, train_y, test_x, *, shrinkage: float | str) -> np.ndarray:
    """Linear discriminant analysis with a shrunk covariance, the classical classifier of EMG (ours; METHOD 1).

    Arguments, result and errors as of :func:`linear_probe`, but for ``shrinkage`` of the classes' common covariance: 0
    (as it is) to 1 (a multiple of the identity); "auto": Ledoit's and Wolf's.
    """

    def fit(x, y):
        if np.unique(y, return_counts=True)[1].max() == 1:  # a window a class has no spread: the nearest mean is left
            return KNeighborsClassifier(1).fit(x, y)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Only one sample available")  # a class with one window adds no spread
            return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, y)

    return _predict("LDA", fit, train_x, train_y, test_x)


def _predict(what: str, fit, train_x, train_y, test_x) -> np.ndarray:
    """Labels of test_x (n, d) by the model that ``fit`` makes of (train_x, train_y), in float64; InputError."""
    train_x, test_x, train_y = (np.asarray(a) for a in (train_x, test_x, train_y))
    if not (np.isfinite(train_x).all() and np.isfinite(test_x).all()):
        raise InputError(f"{what}: expected finite features, found NaN or infinity; look at the model's input")
    if len(np.unique(train_y)) < 2:
        raise InputError(f"{what}: expected at least two classes to train on, found {np.unique(train_y).tolist()}")
    if len(train_x) != len(train_y):
        raise InputError(f"{what}: expected as many labels as windows, found {len(train_y)} and {len(train_x)}")
    if not len(test_x):
        return np.empty(0, dtype=train_y.dtype)
    # lbfgs' steps are too small to share: with two threads they wait for each other, several times as long
    with _blas().limit(limits=1):
        return fit(train_x.astype(np.float64), train_y).predict(test_x.astype(np.float64))


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries of this process: to look for them takes about as long as a small probe."""
    return ThreadpoolController().select(user_api="blas")


def least_groups(y, groups) -> int:
    """The groups of the class that has fewest; InputError where these cannot be validated over."""
    n = min((len(np.unique(groups[y == label])) for label in np.unique(y)), default=0)
    if n < 2:
        remedy = "add a repetition or, where recordings are left out, a recording that trains"
        raise InputError(f"choose C: expected at least two groups of each class to validate over, found {n}; {remedy}")
    return n


def grouped_folds(x, y, groups) -> list[tuple]:
    """Folds of a cross-validation over groups, for data without a D_tune (METHOD 1: repetitions).

    A group is never on both sides of a fold; at most five folds, and no more than a class has groups.
    """
    x, y, groups = np.asarray(x), np.asarray(y), np.asarray(groups)
    folds = StratifiedGroupKFold(n_splits=min(5, least_groups(y, groups))).split(x, y, groups)
    return [(x[train], y[train], x[test], y[test]) for train, test in folds if len(test)]


def choose(classifier, name: str, settings, folds: list[tuple]):
    """The setting, the classifier's ``name``, of the best balanced accuracy over all folds; of equals the first.

    folds : (train_x, train_y, test_x, test_y) each: D_tune is the one of ``test_x``, else :func:`grouped_folds`
    """
    y = np.concatenate([np.asarray(fold[3]) for fold in folds])
    if not len(y):
        raise InputError("choose C: expected windows to tune on, found none; use grouped_folds without a D_tune")
    n_classes = 1 + int(max(np.max(labels) for _, train_y, _, test_y in folds for labels in (train_y, test_y)))

    def score(setting):
        predicted = [classifier(*fold[:3], **{name: setting}) for fold in folds]
        return balanced_accuracy(y, np.concatenate(predicted), n_classes)

    return max(settings, key=score)


@dataclass(frozen=True)
class Subset:
    """A draw of few-shot training: ``rows`` (n,) of the training set, and its ``shots``, units a class."""

    fraction: float
    draw: int
    shots: int
    rows: np.ndarray


def few_shot_subsets(labels, units, fractions, *, n_draws: int = 5, seed: int = 0) -> list[Subset]:
    """Random parts of a training set, the same fraction of every class's units, at least one (E A.4).

    ``labels``, ``units``: (N,) classes, and to what of its class each row belongs. A unit is drawn whole: a recording's
    windows are alike, so that single windows would be easier to learn from than as many shots of a user. The parts of
    one draw are nested. The whole set is drawn once, for there is nothing to draw. Subsets come in the order of
    fractions, then draws; where classes differ in size ``shots`` is the largest's. Raises InputError for a fraction not
    in (0, 1], or labels and units that differ in length.
    """
    labels, units = np.asarray(labels), np.asarray(units)
    if not len(labels) == len(units) or not len(labels):
        raise InputError(f"few-shot: expected as many units as labels, found {len(units)} and {len(labels)}")
    if not all(0 < fraction <= 1 for fraction in fractions):
        raise InputError(f"few-shot: expected fractions above 0 and at most 1, found {list(fractions)}")
    orders = []
    for draw in range(n_draws):
        rng = np.random.default_rng([seed, draw])
        orders.append({k: rng.permutation(np.unique(units[labels == k])) for k in np.unique(labels)})
    subsets = []
    for fraction in fractions:
        for draw, order in enumerate(orders if fraction < 1 else orders[:1]):
            chosen = {k: names[: max(1, round(fraction * len(names)))] for k, names in order.items()}
            rows = np.concatenate([np.flatnonzero((labels == k) & np.isin(units, c)) for k, c in chosen.items()])
            subsets.append(Subset(float(fraction), draw, max(map(len, chosen.values())), np.sort(rows)))
    return subsets
