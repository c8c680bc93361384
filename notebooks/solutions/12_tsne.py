"""Answers to the exercises of chapter 12; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys

import numpy as np
from openTSNE import TSNE
from scipy.spatial.distance import pdist, squareform

from embridge.paper import explore
from embridge.study import Study


def unit(x) -> np.ndarray:
    """Rows of x (n, d), scaled to length 1."""
    x = np.asarray(x, dtype=np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def shares(x, values: np.ndarray, barred: np.ndarray, k: int = 10) -> np.ndarray:
    """(n,) of each row's ``k`` nearest (cosine) the share with its value; rows barred alike are no neighbours."""
    cosine = np.where(barred[:, None] == barred, -np.inf, unit(x) @ unit(x).T)
    nearest = np.argsort(-cosine, axis=1)[:, : min(k, len(x) - 1)]
    return (values[nearest] == values[:, None]).mean(1)


def in_common(one: np.ndarray, other: np.ndarray, k: int = 10) -> float:
    """Share of each point's ``k`` nearest in one set of points that are also among its nearest in the other."""
    k = min(k, len(one) - 2)
    near = [np.argsort(squareform(pdist(x)) + np.diag(np.full(len(x), np.inf)), axis=1)[:, :k] for x in (one, other)]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*near, strict=True)]))


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. t-SNE is asked to keep neighbours, and a map may be turned or mirrored for nothing: look for who lies beside
    #    whom, and for nothing else. Gaps, sizes and places are no part of the task. What maps from different starts
    #    share may be in the space; what they do not share is the map's. (From a random start even one gesture can come
    #    out in two pieces: one reason to start from PCA.)
    ids = study.splits.evaluation["in"]
    x = unit(study.features("EMBridge", ids))
    maps = {f"seed {seed}": explore.tsne(x, seed=seed) for seed in (0, 1)}
    how = {"perplexity": min(30, max(2, (len(x) - 1) // 3)), "n_jobs": 1, "random_state": 0}
    maps["random start"] = np.asarray(TSNE(initialization="random", **how).fit(x))
    first = maps["seed 0"]
    for name, xy in maps.items():
        distances = np.corrcoef(pdist(first), pdist(xy))[0, 1]
        print(f"1. {name}: neighbours as in the space {in_common(x, xy):.2f}; as in the first map", end=" ")
        print(f"{in_common(first, xy):.2f}, correlation of all distances with its own {distances:.2f}")
    # 2. In a corner is whose ten nearest windows are their own more often than chance by most. Whoever lies apart is
    #    seldom another's neighbour, so leaving that user out takes little from the others. (Their scores are compared
    #    on the same windows. A mean over all would change for another reason, too: fewer windows are asked.)
    #    After alignment, the nearer the share is to chance, the less of a corner is left.
    users, labels = study.store.table["user"].to_numpy()[ids], study.splits.labels("in", ids)
    itself = np.arange(len(ids))
    own = shares(study.features("EMG-MAE", ids), users, itself)
    chance = {u: ((users == u).sum() - 1) / (len(ids) - 1) for u in np.unique(users)}
    corner = max(chance, key=lambda u: own[users == u].mean() - chance[u])
    others = users != corner
    print(f"2. in a corner: user {corner}; neighbours of the same user by chance {chance[corner]:.2f}")
    for name in ("EMG-MAE", "EMBridge"):
        z = np.asarray(study.features(name, ids))
        same = shares(z, labels, users)
        assert np.isclose(same.mean(), explore.neighbour_agreement(study, z, ids, labels), atol=0.01)
        without = shares(z[others], labels[others], users[others]).mean()
        own = shares(z, users, itself)[~others].mean()
        print(f"2. {name}: in fact {own:.2f}; gestures of the others", end=" ")
        print(f"with that user {same[others].mean():.3f}, without {without:.3f}")
    # 3. A mean loses what the queries disagree in, and with it noise; a single query has only what it asks for. Hold
    #    the middle one against the mean: the best of many was chosen on these windows and is too high, and a picture
    #    may look sharper with nobody nearer.
    queries = np.asarray(study.emg_queries("EMBridge", ids))
    single = [shares(queries[:, m], labels, users).mean() for m in range(queries.shape[1])]
    mean = shares(study.features("EMBridge", ids), labels, users).mean()
    print(f"3. neighbours of the same gesture: mean query {mean:.3f}; of {len(single)} single ones the lowest", end=" ")
    print(f"{min(single):.3f}, the middle {np.median(single):.3f}, the highest {max(single):.3f}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
