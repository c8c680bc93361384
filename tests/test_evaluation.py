"""Zero-shot against scikit-learn and a float64 loop; the probe, its choice of C, and the controls."""

import gc

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from embridge import evaluation as ev
from embridge.errors import InputError
from embridge.paper import scoring


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def loop(queries, poses, labels, *, k=10, pooling="max", query_group=None, gallery_group=None):
    """The definition, one pair at a time, in float64."""
    predicted = []
    for i in range(len(queries)):
        near = []
        for j in range(len(poses)):
            if query_group is not None and query_group[i] == gallery_group[j]:
                continue
            if pooling == "max":
                similarity = max(float(unit(q) @ unit(poses[j])) for q in queries[i])
            else:
                similarity = float(unit(sum(queries[i]) / len(queries[i])) @ unit(poses[j]))
            near.append((similarity, labels[j]))
        near = sorted(near, reverse=True)[:k]
        votes = {}
        for similarity, label in near:
            count, total = votes.get(label, (0, 0.0))
            votes[label] = (count + 1, total + similarity)
        predicted.append(max(votes, key=votes.get) if votes else -1)
    return np.array(predicted)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 8))
    labels = rng.integers(0, 4, 70)
    y = rng.integers(0, 4, 40)
    return {
        "queries": centres[y][:, None] + 1.5 * rng.normal(size=(40, 3, 8)),
        "poses": centres[labels] + 1.5 * rng.normal(size=(70, 8)),
        "labels": labels,
        "y": y,
        "query_group": rng.integers(0, 5, 40),
        "gallery_group": rng.integers(0, 5, 70),
    }


@pytest.mark.parametrize("k", [1, 4, 10, 200])
@pytest.mark.parametrize("pooling", ["max", "mean"])
@pytest.mark.parametrize("excluded", [False, True])
def test_zero_shot_is_the_loop(data, k, pooling, excluded, monkeypatch):
    groups = {n: data[n] for n in ("query_group", "gallery_group")} if excluded else {}
    args = (data["queries"], data["poses"], data["labels"])
    expected = loop(*args, k=k, pooling=pooling, **groups)
    if k < len(data["poses"]):  # else every pose votes for every window
        assert len(np.unique(expected)) == 4
    for tile in (ev.TILE, 1, 7 * 3 * 70):  # all windows at a time, one, seven or, of means, 21
        monkeypatch.setattr(ev, "TILE", tile)
        found = ev.zero_shot(*args, k=k, pooling=pooling, **groups)
        np.testing.assert_array_equal(found, expected)


def test_excluding_and_pooling_change_the_answer(data):
    """Otherwise the test above would pass with either ignored."""
    args = (data["queries"], data["poses"], data["labels"])
    groups = {n: data[n] for n in ("query_group", "gallery_group")}
    plain = ev.zero_shot(*args)
    assert (plain != ev.zero_shot(*args, **groups)).any()
    assert (plain != ev.zero_shot(*args, pooling="mean")).any()


@pytest.mark.parametrize("k", [1, 3, 7])
def test_zero_shot_is_scikit_learns_neighbours(data, k):
    """Odd k and two classes: no ties, on which the two differ."""
    labels = data["labels"] % 2
    queries = data["queries"][:, :1]
    oracle = KNeighborsClassifier(n_neighbors=k, metric="cosine", algorithm="brute").fit(data["poses"], labels)
    found = ev.zero_shot(queries, data["poses"], labels, k=k)
    np.testing.assert_array_equal(found, oracle.predict(queries[:, 0]))


def at_angles(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def test_a_tie_goes_to_the_larger_summed_cosine():
    query = at_angles(0)[None]
    poses = at_angles(10, 40, 20, 25)  # class 3 at 10 and 40 degrees, class 1 at 20 and 25
    assert np.cos(np.radians([10, 40])).sum() < np.cos(np.radians([20, 25])).sum()
    assert ev.zero_shot(query, poses, [3, 3, 1, 1], k=4).tolist() == [1]
    assert ev.zero_shot(query, poses, [1, 1, 3, 3], k=4).tolist() == [3]
    assert ev.zero_shot(query, poses, [1, 1, 3, 3], k=3).tolist() == [3]  # 10, 20, 25: a majority, no tie
    assert ev.zero_shot(query, at_angles(10, -10), [5, 2], k=2).tolist() == [2]  # equal sums: the smaller label


def test_the_farthest_class_with_negative_cosines_can_win_by_votes():
    assert ev.zero_shot(at_angles(0)[None], at_angles(100, 120, 5), [0, 0, 1], k=3).tolist() == [0]


def test_fault_30_fewer_than_k_left_vote_and_none_left_is_minus_one():
    queries, poses, labels = at_angles(0, 0)[:, None], at_angles(0, 5, 90), [0, 0, 1]
    found = ev.zero_shot(queries, poses, labels, k=10, query_group=[7, 8], gallery_group=[7, 7, 8])
    assert found.tolist() == [1, 0]
    found = ev.zero_shot(queries, poses, labels, k=2, query_group=[7, 9], gallery_group=[7, 7, 7])
    assert found.tolist() == [-1, 0]
    assert ev.zero_shot(queries, np.empty((0, 2)), []).tolist() == [-1, -1]
    assert ev.zero_shot(np.empty((0, 1, 2)), poses, labels).tolist() == []


def test_groups_may_be_text():
    found = ev.zero_shot(
        at_angles(0)[None], at_angles(0, 5, 50), [0, 0, 1], query_group=["a"], gallery_group=["a", "a", "b"]
    )
    assert found.tolist() == [1]


def test_another_gesture_is_a_wrong_vote():
    query, poses = at_angles(0)[None], at_angles(0, 5, 10, 15, 20)
    assert ev.zero_shot(query, poses, [-1, -1, -1, 2, 2], k=5).tolist() == [-1]
    assert ev.zero_shot(query, poses, [9, 8, 7, 2, 2], k=5).tolist() == [2]  # own codes do not add up to one rival


def test_what_must_not_matter(data):
    """Scale of embeddings, a joint rotation, the order of gallery and queries, chunks, precision of the container."""
    rng = np.random.default_rng(1)
    queries, poses, labels = data["queries"], data["poses"], data["labels"]
    groups = {n: data[n] for n in ("query_group", "gallery_group")}
    expected = ev.zero_shot(queries, poses, labels, **groups)
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    np.testing.assert_array_equal(ev.zero_shot(queries @ rotation, poses @ rotation, labels, **groups), expected)
    scaled = queries * rng.uniform(0.1, 9, (40, 3, 1)), poses * rng.uniform(0.1, 9, (70, 1))
    np.testing.assert_array_equal(ev.zero_shot(*scaled, labels, **groups), expected)
    order, turn = rng.permutation(70), rng.permutation(40)
    found = ev.zero_shot(
        queries[turn], poses[order], labels[order], query_group=groups["query_group"][turn],
        gallery_group=groups["gallery_group"][order],
    )  # fmt: skip
    np.testing.assert_array_equal(found, expected[turn])
    np.testing.assert_array_equal(ev.zero_shot(queries[:, ::-1].copy(), poses, labels, **groups), expected)
    tensors = torch.tensor(queries, dtype=torch.float32, requires_grad=True), torch.tensor(poses).float()
    np.testing.assert_array_equal(ev.zero_shot(*tensors, torch.tensor(labels), **groups), expected)


def test_shuffled_gallery_labels_fall_to_chance():
    rng = np.random.default_rng(2)
    centres = 3 * rng.normal(size=(4, 16))
    y = np.repeat(np.arange(4), 250)
    queries, poses = (centres[y] + rng.normal(size=(1000, 16)) for _ in range(2))
    assert ev.balanced_accuracy(y, ev.zero_shot(queries[:, None], poses, y), 4) > 0.95
    shuffled = rng.permutation(y)
    assert ev.balanced_accuracy(y, ev.zero_shot(queries[:, None], poses, shuffled), 4) == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": np.zeros((4, 8))}, "expected queries"),
        ({"queries": np.zeros((40, 0, 8))}, "expected queries"),
        ({"poses": np.zeros((70, 9))}, "expected queries"),
        ({"labels": np.zeros(3, dtype=int)}, "expected queries"),
        ({"k": 0}, "at least one neighbour"),
        ({"pooling": "median"}, "pooling"),
        ({"gallery_group": None}, "exclusion code"),
        ({"query_group": np.zeros(3)}, "exclusion code"),
        ({"poses": np.full((70, 8), np.nan)}, "finite"),
    ],
)
def test_bad_input_is_told(data, change, message):
    del data["y"]
    with pytest.raises(InputError, match=message):
        ev.zero_shot(**(data | change))


class Poses:
    """As much of a study as a gallery needs; notes what it embeds."""

    def __init__(self):
        self.asked = []

    def pose_space(self, system):
        return "cls" if system in ("CPEP", "EMBridge") else system

    def pose_embeddings(self, ids, system):
        self.asked.append(ids.tolist())
        return torch.as_tensor(ids)[:, None]


def test_a_gallery_is_embedded_once_a_study():
    one, other = Poses(), Poses()
    for study in (one, other, one, other):
        for ids in ([3, 1], [3, 1, 2], [1, 3]):
            for system in ("CPEP", "EMBridge"):  # both look at poses in the same way
                assert scoring.gallery_embeddings(study, system, np.array(ids))[:, 0].tolist() == ids
    assert one.asked == other.asked == [[3, 1], [3, 1, 2], [1, 3]]
    assert scoring.gallery_embeddings(one, "its own", np.array([1, 3])) is not None and len(one.asked) == 4
    gc.collect()  # other tests' studies
    before = len(scoring._kept)
    del one, study
    gc.collect()
    assert len(scoring._kept) == before - 1  # kept for as long as the study


# ---- linear probe -------------------------------------------------------------------------------------------------


def blobs(seed, n, spread=1.0, d=6):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    centres = np.random.default_rng(99).normal(size=(4, d))
    return centres[y] + spread * rng.normal(size=(n, d)), y


def test_probe_is_logistic_regression_on_standardised_features():
    x, y = blobs(0, 200)
    test, _ = blobs(1, 100)
    mean, sd = x.mean(0), x.std(0)
    oracle = LogisticRegression(C=0.1, max_iter=1000).fit((x - mean) / sd, y).predict((test - mean) / sd)
    np.testing.assert_array_equal(ev.linear_probe(x, y, test, c=0.1), oracle)
    assert len(np.unique(oracle)) == 4


def test_probe_does_not_see_scale_or_offset_of_a_feature():
    x, y = blobs(0, 200)
    test, _ = blobs(1, 100)
    expected = ev.linear_probe(x, y, test, c=1.0)
    scale, offset = np.array([1e-3, 1, 10, 100, 1e4, 7]), np.arange(6)
    found = ev.linear_probe(x * scale + offset, y, test * scale + offset, c=1.0)
    np.testing.assert_array_equal(found, expected)
    order = np.random.default_rng(0).permutation(200)
    found = ev.linear_probe(torch.tensor(x[order]), torch.tensor(y[order]), torch.tensor(test), c=1.0)
    np.testing.assert_array_equal(found, expected)


def test_probe_takes_the_steps_that_it_needs_and_else_warns(monkeypatch):
    x = np.random.default_rng(0).normal(size=(400, 100))
    x, y = x @ np.random.default_rng(1).normal(size=(100, 100)) * np.logspace(0, -4, 100), np.arange(400) % 8
    scaled = (x - x.mean(0)) / x.std(0)
    oracle = LogisticRegression(C=1e6, max_iter=10_000).fit(scaled, y)
    assert oracle.n_iter_ > 150  # scikit-learn itself stops at 100, and nothing is warned
    np.testing.assert_array_equal(ev.linear_probe(x, y, x, c=1e6), oracle.predict(scaled))
    monkeypatch.setattr(ev, "MOST_STEPS", 100)
    with pytest.warns(ConvergenceWarning):  # told, not hidden
        ev.linear_probe(x, y, x, c=1e6)


def test_shuffled_training_labels_fall_to_chance():
    x, y = blobs(0, 1000, spread=0.5)
    test, test_y = blobs(1, 1000, spread=0.5)
    assert ev.balanced_accuracy(test_y, ev.linear_probe(x, y, test, c=1.0), 4) > 0.9
    predicted = ev.linear_probe(x, np.random.default_rng(3).permutation(y), test, c=1.0)
    assert ev.balanced_accuracy(test_y, predicted, 4) == pytest.approx(0.25, abs=0.15)


def test_choose_c_is_the_best_on_the_tuning_data():
    rng = np.random.default_rng(0)
    x, y = blobs(0, 60, d=6)
    noise = rng.normal(size=(60, 80))  # few windows, many useless features: a weak penalty overfits
    tune, tune_y = blobs(1, 400)
    x, tune = np.hstack([x, noise]), np.hstack([tune, rng.normal(size=(400, 80))])
    grid = (10.0, 0.001, 0.1)
    scores = {c: ev.balanced_accuracy(tune_y, ev.linear_probe(x, y, tune, c=c), 4) for c in grid}
    assert len(set(scores.values())) == 3
    assert ev.choose(ev.linear_probe, "c", grid, [(x, y, tune, tune_y)]) == max(scores, key=scores.get)
    easy, easy_y = blobs(2, 60, spread=0.01)
    assert ev.choose(ev.linear_probe, "c", grid, [(easy, easy_y, easy, easy_y)]) == grid[0]  # all perfect: the first


def test_grouped_folds_keep_a_group_on_one_side(monkeypatch):
    """Windows of a group are copies: were they split, the weakest penalty would look best."""
    rng = np.random.default_rng(0)
    base, y = blobs(0, 28, spread=2.0)
    base = np.hstack([base, rng.normal(size=(28, 60))])
    groups = np.repeat(np.arange(7), 4)  # 7 repetitions with every class
    x, y, groups = np.repeat(base, 5, axis=0), np.repeat(y, 5), np.repeat(groups, 5)
    folds, original = [], ev.linear_probe

    def spy(train_x, train_y, test_x, *, c):
        train = {row.tobytes() for row in np.asarray(train_x)}
        folds.append(any(row.tobytes() in train for row in np.asarray(test_x)))
        return original(train_x, train_y, test_x, c=c)

    monkeypatch.setattr(ev, "linear_probe", spy)
    assert ev.choose(ev.linear_probe, "c", (0.001, 10.0), ev.grouped_folds(x, y, groups)) in (0.001, 10.0)
    assert len(folds) == 10  # 5 folds, 2 values
    assert not any(folds)


def test_probe_bad_input_is_told():
    x, y = blobs(0, 40)
    with pytest.raises(InputError, match="two classes"):
        ev.linear_probe(x, np.zeros(40, dtype=int), x, c=1.0)
    with pytest.raises(InputError, match="finite"):
        ev.linear_probe(x, y, np.full_like(x, np.nan), c=1.0)
    with pytest.raises(InputError, match="as many labels"):
        ev.linear_probe(x, y[:-1], x, c=1.0)
    with pytest.raises(InputError, match="grouped_folds"):
        ev.choose(ev.linear_probe, "c", (1.0,), [(x, y, x[:0], y[:0])])
    with pytest.raises(InputError, match="two groups"):
        ev.grouped_folds(x, y, np.zeros(40))
    assert ev.linear_probe(x, y, x[:0], c=1.0).tolist() == []
