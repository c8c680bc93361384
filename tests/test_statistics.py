"""Scores by hand and against scikit-learn; intervals against a plain loop over resamples."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from embridge import statistics as st
from embridge.errors import InputError


@pytest.fixture
def predictions():
    """600 windows of 12 users who differ in skill; 4 classes, the last one rare."""
    rng = np.random.default_rng(0)
    users = np.repeat([f"u{i:02d}" for i in range(12)], 50)
    y = rng.choice(4, 600, p=[0.3, 0.3, 0.3, 0.1])
    skill = np.repeat(rng.uniform(0.1, 0.9, 12), 50)
    return y, np.where(rng.random(600) < skill, y, rng.integers(0, 4, 600)), users


def macro_f1(y, pred, n_classes):
    return st.METRICS["macro_f1"](st.class_counts(y, pred, None, n_classes)[0])


def test_scores_by_hand():
    y, pred = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, -1, 5]
    assert st.balanced_accuracy(y, pred, 3) == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert st.confusion(y, pred, 3).tolist() == [[3, 1, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(st.per_class_f1(y, pred, 3), [6 / 7, 2 / 4, 0])
    assert macro_f1(y, pred, 3) == pytest.approx((6 / 7 + 1 / 2) / 3)


def test_a_class_that_does_not_occur_is_left_out():
    y, pred = [0, 0, 1], [0, 3, 1]
    assert st.balanced_accuracy(y, pred, 4) == pytest.approx(0.75)
    np.testing.assert_array_equal(np.isnan(st.per_class_f1(y, pred, 4)), [False, False, True, True])
    assert macro_f1(y, pred, 4) == pytest.approx((2 / 3 + 1) / 2)


def test_scores_are_scikit_learns(predictions):
    y, pred, users = predictions
    assert st.balanced_accuracy(y, pred, 4) == pytest.approx(balanced_accuracy_score(y, pred))
    np.testing.assert_array_equal(st.confusion(y, pred, 4), confusion_matrix(y, pred))
    np.testing.assert_allclose(st.per_class_f1(y, pred, 4), f1_score(y, pred, average=None))
    assert macro_f1(y, pred, 4) == pytest.approx(f1_score(y, pred, average="macro"))
    per_user = st.per_group_f1(y, pred, users, 4)
    assert list(per_user) == sorted(set(users))
    mine = users == "u03"
    assert per_user["u03"] == pytest.approx(f1_score(y[mine], pred[mine], average="macro", labels=np.unique(y[mine])))


def test_row_order_does_not_matter(predictions):
    y, pred, users = predictions
    order = np.random.default_rng(1).permutation(len(y))
    expected = st.bootstrap_over_groups(y, pred, users, seed=5)
    assert st.bootstrap_over_groups(y[order], pred[order], users[order], seed=5) == expected
    assert st.bootstrap_over_groups(y, pred, users, seed=6) != expected


def resampled(y, pred_a, pred_b, users, score, n, seed):
    """The definition: draw users with replacement, put their windows together, score."""
    rng, names, found = np.random.default_rng(seed), np.unique(users), []
    for _ in range(n):
        rows = np.concatenate([np.flatnonzero(users == u) for u in rng.choice(names, len(names))])
        found.append(score(y[rows], pred_a[rows]) - (score(y[rows], pred_b[rows]) if pred_b is not None else 0))
    return np.quantile(found, [0.025, 0.975])


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_bootstrap_is_a_loop_over_users(predictions, metric):
    y, pred, users = predictions
    score = {"balanced_accuracy": st.balanced_accuracy, "macro_f1": macro_f1}[metric]
    value, low, high = st.bootstrap_over_groups(y, pred, users, metric=metric, n_resamples=2000)
    assert value == pytest.approx(score(y, pred, 4))
    expected = resampled(y, pred, None, users, lambda a, b: score(a, b, 4), 800, seed=7)
    assert [low, high] == pytest.approx(expected, abs=0.02)
    assert high - low > 0.1  # users differ: this is the spread between them, not between windows
    windows = st.bootstrap_over_groups(y, pred, np.arange(len(y)), metric=metric)
    assert windows[2] - windows[1] < 0.8 * (high - low)


def test_paired_bootstrap_resamples_both_alike(predictions):
    y, pred, users = predictions
    worse = np.where(np.random.default_rng(3).random(len(y)) < 0.1, (y + 1) % 4, pred)
    value, low, high = st.bootstrap_over_groups(y, pred, users, minus=worse)
    assert value == pytest.approx(st.balanced_accuracy(y, pred, 4) - st.balanced_accuracy(y, worse, 4))
    expected = resampled(y, pred, worse, users, lambda a, b: st.balanced_accuracy(a, b, 4), 800, seed=7)
    assert [low, high] == pytest.approx(expected, abs=0.01)
    alone = st.bootstrap_over_groups(y, pred, users)
    assert high - low < 0.5 * (alone[2] - alone[1])  # the users' common part cancels
    assert st.bootstrap_over_groups(y, pred, users, minus=pred) == (0, 0, 0)
    assert st.bootstrap_over_groups(y, worse, users, minus=pred)[0] == -value


def test_interval_covers_the_truth_about_as_often_as_it_says():
    """200 studies of 20 users whose skill averages 0.6; percentile intervals are a little narrow."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        skill = rng.beta(6, 4, 20)
        y = np.tile(np.repeat(np.arange(2), 10), 20)
        pred = np.where(rng.random(400) < np.repeat(skill, 20), y, 1 - y)
        _, low, high = st.bootstrap_over_groups(y, pred, np.repeat(np.arange(20), 20), n_resamples=200)
        hits += low <= 0.6 <= high
    assert 0.88 <= hits / 200 <= 0.98


def test_groups_of_one_class_are_resampled_within_their_class():
    """DB1: a group is one repetition of one movement; no resample may lose a movement."""
    y = np.repeat([0, 1], 8)
    groups = np.repeat(np.arange(4), 4)
    pred = np.ones(16, dtype=int)  # class 0 always wrong, class 1 always right: 0.5 whatever is resampled
    assert st.bootstrap_over_groups(y, pred, groups) == (0.5, 0.5, 0.5)
    assert st.bootstrap_over_groups(y, pred, groups, minus=y) == (-0.5, -0.5, -0.5)


def test_no_interval_from_a_single_group():
    y = np.array([0, 1, 2, 3, 0])
    value, low, high = st.bootstrap_over_groups(y, y, np.zeros(5))
    assert value == 1 and np.isnan(low) and np.isnan(high)
    difference = st.bootstrap_over_groups(y, y, np.zeros(5), minus=1 - y, n_classes=4)
    assert difference[0] == pytest.approx(1) and np.isnan(difference[1:]).all()
    lonely = st.bootstrap_over_groups([0, 0, 1], [0, 0, 1], ["a", "b", "c"])  # class 1 has one group
    assert lonely[0] == 1 and np.isnan(lonely[1:]).all()


def test_a_perfect_score_has_a_defined_interval(predictions):
    y, _, users = predictions
    assert st.bootstrap_over_groups(y, y, users) == (1, 1, 1)


def test_a_class_missing_from_a_resample_is_left_out():
    y, users = np.array([0, 1, 0, 0, 0, 0]), np.array([0, 0, 1, 1, 2, 2])  # only user 0 has class 1
    value, low, high = st.bootstrap_over_groups(y, np.zeros(6, dtype=int), users, n_resamples=1000)
    assert (value, low, high) == (0.5, 0.5, 1)  # without user 0: recall of class 0 alone


def test_a_mean_over_groups_is_that_of_all_values_and_its_interval_covers_groups():
    values, groups = np.array([1.0, 3.0, 5.0, 10.0]), np.array(["a", "a", "a", "b"])
    value, low, high = st.mean_over_groups(values, groups)
    assert value == 4.75 and (low, high) == (3.0, 10.0)  # resamples: a a, a b, b b
    assert np.isnan(st.mean_over_groups(values[:3], groups[:3])[1:]).all()


@pytest.mark.parametrize(
    ("y", "pred", "groups", "message"),
    [
        ([0, 1], [0], ["a", "b"], "as many"),
        ([], [], [], "at least one"),
        ([0, -1], [0, 0], ["a", "b"], "true labels"),
        ([0, 4], [0, 0], ["a", "b"], "true labels"),
    ],
)
def test_bad_input_is_told(y, pred, groups, message):
    with pytest.raises(InputError, match=message):
        st.group_counts(y, pred, groups, 4)


@pytest.fixture(scope="module")
def seeds():
    """Three seeds of two systems on 12 users: (3, n) predictions, all on the same windows."""
    rng = np.random.default_rng(1)
    y, users = np.tile(np.arange(4), 90), np.repeat(np.arange(12), 30)
    skill = rng.uniform(0.2, 0.9, 12)[users]

    def system(better):
        seed = rng.normal(0, 0.05, 3)
        return [np.where(rng.random(360) < np.clip(skill + better + s, 0, 1), y, (y + 1) % 4) for s in seed]

    return y, users, system(0.1), system(0.0)


def stacked(y, users, predictions):
    return np.stack([st.class_counts(y, p, users, 4) for p in predictions])


def test_one_seed_over_seeds_is_the_bootstrap_over_groups_to_the_bit(seeds):
    y, users, a, b = seeds
    one, other = stacked(y, users, a[:1]), stacked(y, users, b[:1])
    assert st.bootstrap_over_seeds(one) == st.bootstrap_over_groups(y, a[0], users)
    assert st.bootstrap_over_seeds(one, other) == st.bootstrap_over_groups(y, a[0], users, minus=b[0])
    found = st.bootstrap_over_seeds(one, other, f1_of=2)  # F1 has no bootstrap of its own to compare with
    f1 = [st.per_class_f1(y, p, 4)[2] for p in (a[0], b[0])]
    assert found[0] == pytest.approx(f1[0] - f1[1]) and found[1] < found[0] < found[2]
    labels = np.repeat(np.arange(4), 40)  # groups of one class each (DB1): no resample may lose a class
    groups, pred = np.repeat(np.arange(16), 10), np.random.default_rng(0).integers(0, 4, 160)
    found = st.bootstrap_over_seeds(st.class_counts(labels, pred, groups, 4)[None])
    assert found == st.bootstrap_over_groups(labels, pred, groups)


def test_bootstrap_over_seeds_is_a_loop_over_users_with_students_interval_for_seeds(seeds):
    y, users, a, b = seeds
    rng, rows, loop = np.random.default_rng(5), [np.flatnonzero(users == u) for u in range(12)], []

    def differences(of):
        pairs = zip(a, b, strict=True)
        return [st.balanced_accuracy(y[of], p[of], 4) - st.balanced_accuracy(y[of], q[of], 4) for p, q in pairs]

    for _ in range(800):
        loop.append(np.mean(differences(np.concatenate([rows[u] for u in rng.integers(12, size=12)]))))
    each = np.array(differences(np.arange(len(y))))
    value = each.mean()
    bounds = np.quantile(loop, [0.025, 0.975])
    for luck, half in ((None, 4.302653 * each.std(ddof=1) / 3**0.5), (0.3, 0.3 / 3**0.5), (0.0, 0.0)):
        found = st.bootstrap_over_seeds(stacked(y, users, a), stacked(y, users, b), spread=luck)
        expected = value - np.hypot(value - bounds[0], half), value + np.hypot(bounds[1] - value, half)
        assert found[0] == pytest.approx(value)
        assert found[1:] == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_the_interval_over_seeds_covers_the_mean_of_all_seeds_and_of_all_users(n_seeds):
    """Effects of users and of seeds, drawn anew each time: with seeds resampled 75 to 85 % of intervals would."""
    rng, covered = np.random.default_rng(1), []
    for _ in range(400):
        share = 0.5 + 0.05 * rng.normal(size=(n_seeds, 1, 1)) + 0.05 * rng.normal(size=(12, 1))
        counts = np.stack(np.broadcast_arrays(100 * share, 100.0), axis=-1) * np.ones((1, 1, 4, 1))
        _, low, high = st.bootstrap_over_seeds(counts, n_resamples=200)
        covered.append(low < 0.5 < high)
    assert 0.92 < np.mean(covered) < 0.99


def test_users_are_drawn_once_for_all_seeds():
    """A user-level effect alone: users drawn anew for each of 3 seeds would shrink its interval by their root."""
    hits = np.zeros((3, 12, 4)) + np.linspace(2, 8, 12)[:, None]
    value, low, high = st.bootstrap_over_seeds(np.stack([hits, np.full_like(hits, 10)], axis=-1))
    half = 1.96 * np.linspace(0.2, 0.8, 12).std() / 12**0.5
    assert value == pytest.approx(0.5) and (high - low) / 2 == pytest.approx(half, rel=0.15)


def test_the_luck_of_a_training_is_pooled_over_systems_and_covers_a_new_one():
    assert st.spread_over_seeds([[0.1, 0.2, 0.3]]) == pytest.approx(4.302653 * 0.1)
    # sums of squares 0.02 and 0.005, 2 + 1 degrees of freedom, whatever the systems' means
    assert st.spread_over_seeds([[0.1, 0.2, 0.3], [0.9, 1.0], [0.5]]) == pytest.approx(3.182446 * (0.025 / 3) ** 0.5)
    assert st.spread_over_seeds([[0.4], [0.7]]) == st.spread_over_seeds([]) == 0.0
    rng = np.random.default_rng(0)
    covered = [
        abs(new) < st.spread_over_seeds(seeds)
        for new, seeds in zip(rng.normal(size=2000), rng.normal(size=(2000, 3, 3)), strict=True)
    ]
    assert 0.94 < np.mean(covered) < 0.96
