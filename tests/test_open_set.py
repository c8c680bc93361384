"""Declining to answer: scores by hand and by scikit-learn, a rule that knows D_tune alone, rows on a toy study."""

import numpy as np
import pytest
import torch
from figure_inputs import COVERED, SHARES, drawn
from sklearn.metrics import roc_auc_score
from toy_study import AllStages

from embridge.data.emg2pose import HELD_OUT_STAGES, IN_CLASSES, STAGES
from embridge.errors import InputError
from embridge.evaluation import zero_shot
from embridge.paper import open_set
from embridge.paper.differences import verdict
from embridge.paper.results import as_frame
from embridge.paper.table_cells import select
from embridge.statistics import auroc_over_groups, balanced_accuracy


@pytest.fixture(scope="module")
def study():
    return AllStages()


@pytest.fixture(scope="module")
def rows(study):
    return as_frame(open_set.open_set_rows(study))


def value(rows, **where):
    (found,) = select(rows, **where)["value"]
    return found


def test_auroc_is_scikit_learn_s_and_groups_stay_whole():
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(1, 1, 90).round(1), rng.normal(0, 1, 60).round(1)  # rounded: some tie
    of_known, of_unknown = np.repeat(list("abc"), 30), np.repeat(list("cab"), 20)
    truth, scores = np.repeat([1, 0], [90, 60]), np.append(known, unknown)
    found = auroc_over_groups(known, unknown, of_known, of_unknown)
    assert found[0] == pytest.approx(roc_auc_score(truth, scores)) and found[1] < found[0] < found[2]
    # three users whose windows are all alike: a resample without one of them is as if that user were not there
    shifted = np.repeat([0.0, 5.0, 9.0], 30), np.array([1.0] * 20 + [6.0] * 20 + [0.0] * 20)
    each = {u: shifted[0][of_known == u][0] for u in "abc"}, {u: shifted[1][of_unknown == u][0] for u in "abc"}
    possible = [np.mean([each[0][a] > each[1][b] for a in drawn for b in drawn])
                for drawn in ("aaa", "bbb", "ccc", "aab", "abb", "aac", "acc", "bbc", "bcc", "abc")]  # fmt: skip
    _, low, high = auroc_over_groups(*shifted, of_known, of_unknown)
    assert {low, high} <= {*possible}


def test_auroc_leaves_out_who_has_one_kind_only():
    found = auroc_over_groups([0.9, 0.1, 0.2], [0.5, 0.0, 0.95], ["a", "b", "only known"], ["a", "b", "only unknown"])
    assert found[0] == 0.75  # 0.9 beats both, 0.1 beats 0.0 alone
    value, low, high = auroc_over_groups([1.0, 1.0], [1.0], ["a", "a"], ["a"])
    assert value == 0.5 and np.isnan([low, high]).all()
    with pytest.raises(InputError, match="expected a group with known and unknown windows, found none"):
        auroc_over_groups([1.0], [0.0], ["a"], ["b"])


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_answers_are_zero_shot_s_with_the_cosines_and_votes_behind_them(study, pooling):
    queries, poses = study.queries[:40], study.v[300:400]
    labels = np.random.default_rng(1).integers(0, 4, 100)
    predicted, sure = open_set.evidence(queries, poses, labels, k=7, pooling=pooling)
    assert np.array_equal(predicted, zero_shot(queries, poses, labels, k=7, pooling=pooling))
    asked = queries if pooling == "max" else queries.mean(1, keepdim=True)
    unit = torch.nn.functional.normalize
    cosines = (unit(asked, dim=-1) @ unit(poses, dim=-1).T).amax(1).numpy()
    for row, best, of in zip(cosines, predicted, sure, strict=True):
        nearest = np.argsort(-row)[:7]
        assert of == pytest.approx([row[nearest].mean(), (labels[nearest] == best).mean()])


def test_the_threshold_answers_as_many_as_asked_and_no_more_than_ties_demand():
    scores = np.random.default_rng(0).normal(size=200)
    for coverage in (0.1, 0.5, 0.9, 1.0):
        assert (scores >= open_set.threshold_at(scores, coverage)).mean() == coverage
    assert open_set.threshold_at(np.array([1.0, 2.0, 2.0]), 0.5) == 2.0


def test_the_logistic_score_weighs_both_kinds_alike_and_grows_with_what_known_windows_have_more_of():
    rng = np.random.default_rng(0)
    known, unknown = rng.normal([0.6, 0.9], 0.1, (300, 2)), rng.normal([0.4, 0.5], 0.1, (30, 2))
    rules = open_set.fitted(known, unknown)
    assert tuple(rules) == open_set.SCORES
    both = rules["both"](np.array([[0.5, 0.7], [0.6, 0.7], [0.5, 0.8]]))
    assert abs(both[0]) < 1.5 and both[1] > both[0] and both[2] > both[0]
    assert np.array_equal(rules["cosine"](known), known[:, 0]) and np.array_equal(rules["share"](known), known[:, 1])


def test_rows_are_those_of_the_score_and_the_threshold_that_d_tune_chooses(study, rows):
    tuned = select(rows, metric="auroc", classes="unseen")
    tuned = tuned[tuned["options"].str.startswith("D_tune")].set_index("options")["value"]
    best = tuned.idxmax().removeprefix("D_tune; ")
    splits, gallery = study.splits, study.splits.probe_train["in"]
    how = {"poses": study.v[gallery], "labels": splits.labels("in", gallery), "k": 5}
    asked = {(part, c): ids for part in ("tune", "evaluation") for c, ids in getattr(splits, part).items()}
    asked = {name: open_set.evidence(study.queries[ids], **how) for name, ids in asked.items()}
    rules = open_set.fitted(asked["tune", "in"][1], asked["tune", "unseen"][1])
    for name, rule in rules.items():
        known, unknown = (rule(asked["tune", c][1]) for c in ("in", "unseen"))
        truth = np.repeat([1, 0], [len(known), len(unknown)])
        assert tuned[f"D_tune; score={name}"] == pytest.approx(roc_auc_score(truth, np.append(known, unknown)))
    rule = rules[best.removeprefix("score=")]
    least = np.sort(rule(asked["tune", "in"][1]))[int(0.1 * len(asked["tune", "in"][1]))]
    said = rule(asked["evaluation", "in"][1]) >= least
    y, predicted = splits.labels("in", splits.evaluation["in"]), asked["evaluation", "in"][0]
    assert set(select(rows, metric="score_share")["options"]) == {best}
    assert value(rows, metric="answered") == said.mean()
    assert value(rows, metric="rejected", classes="unseen") == (rule(asked["evaluation", "unseen"][1]) < least).mean()
    whole = balanced_accuracy(y, predicted, 4)
    assert value(rows, param="coverage", param_value="1") == pytest.approx(whole)
    answered = balanced_accuracy(y[said], predicted[said], 4)
    assert value(rows, param="threshold") == pytest.approx(answered)
    assert value(rows, metric="balanced_accuracy_difference") == pytest.approx(answered - whole)


def test_a_d_tune_without_one_kind_is_one_sentence():
    study = AllStages()
    study.splits.tune = study.splits.tune | {"unseen": study.splits.tune["unseen"][:0]}
    with pytest.raises(InputError, match="D_tune: expected windows of both class sets .* found none of 'unseen'"):
        open_set.open_set_rows(study)


def test_the_other_unknown_are_of_training_and_no_class_and_histograms_add_up(rows):
    n = 3 * 3 * len(set(STAGES) - {*IN_CLASSES, *HELD_OUT_STAGES})  # users, windows, stages
    assert set(select(rows, metric="rejected", classes=open_set.OTHER)["n"]) == {n}
    sums = select(rows, metric="score_share").groupby("classes")["value"].sum()
    assert sums.to_dict() == pytest.approx(dict.fromkeys(("in", "unseen", open_set.OTHER), 1))


def test_nothing_of_the_rule_is_chosen_on_d_eval(study, rows):
    other = AllStages()
    evaluated = np.flatnonzero(other.store.table["split"] == "test")
    other.queries[evaluated] = other.queries[np.random.default_rng(0).permutation(evaluated)]
    moved = as_frame(open_set.open_set_rows(other))
    assert value(moved, metric="answered") != value(rows, metric="answered")
    for where in ({"param": "threshold"}, {"metric": "score_share"}):
        assert set(select(moved, **where)["options"]) == set(select(rows, **where)["options"])
    (threshold,), (before,) = (select(frame, param="threshold")["param_value"] for frame in (moved, rows))
    assert threshold == before


def test_a_verdict_is_a_gain_or_a_loss_only_where_the_interval_says_so():
    said = [verdict({"value": v, "low": low, "high": high}) for v, low, high in
            ((0.1, 0.02, 0.2), (-0.1, -0.2, -0.02), (0.1, -0.02, 0.2), (0.1, None, None))]  # fmt: skip
    assert [text.partition(" (")[0] for text in said] == ["gain", "loss", "cannot tell", "cannot tell"]
    assert said[0].endswith("(+0.100 [+0.020, +0.200])")


def test_the_figure_draws_the_curve_the_rule_and_each_kind_s_shares():
    left, right = drawn("open set").axes
    curve, point = left.lines[0], next(line for line in left.lines if line.get_marker() == "D")
    np.testing.assert_allclose(curve.get_xydata(), COVERED[["coverage", "value"]])
    assert point.get_xydata().tolist() == COVERED.iloc[[8]][["coverage", "value"]].to_numpy().tolist()
    assert [line.get_label() for line in right.lines[:3]] == ["known gestures", "unseen gestures",
                                                              "stages that are no class"]  # fmt: skip
    np.testing.assert_allclose(right.lines[0].get_xdata(), SHARES["bin"].unique())
    assert set(right.lines[3].get_xdata()) == {-0.6}
