"""A user's own windows and own mean: what is drawn, what is searched, and the rows of a toy study."""

import numpy as np
import pandas as pd
import pytest
import torch
from toy_study import Study as ToyStudy

from embridge import evaluation as ev
from embridge.paper import new_user
from embridge.paper.new_user import (
    HALF,
    OTHERS,
    OWN,
    POOLS,
    earlier_half,
    in_turns,
    recentred,
    user_means,
)
from embridge.statistics import balanced_accuracy

GESTURES = np.array(["a", "b", "c", "d"])


class Study(ToyStudy):
    """Four users in D_eval whose EMG lies off their pose by an offset of each user's own, and two to train on."""

    def __init__(self, offset: float = 0.0, policies=("all", "not-self", "other-users")):
        super().__init__()
        user, rng = np.arange(240) // 40, np.random.default_rng(5)
        self.y = np.arange(240) // 5 % 4
        centres, off = 3 * rng.normal(size=(4, 6)), offset * rng.normal(size=(6, 6))
        off[:2] = 0
        self.pose = torch.tensor(centres[self.y] + 0.3 * rng.normal(size=(240, 6)))
        self.x = self.pose + torch.tensor(off[user] + 0.3 * rng.normal(size=(240, 6)))
        table = pd.DataFrame({"recording": np.arange(240) // 20, "gesture": GESTURES[self.y]})
        table = table.assign(user=user.astype(str), start=np.arange(240), repetition=0)
        self.splits.table, self.splits.policies, self.splits.evaluation = table, policies, {"in": np.arange(80, 240)}
        self.splits.pretrain, self.splits.groups = np.arange(80), lambda ids: table["user"].to_numpy()[ids]
        self.splits.learn_from = lambda ids, what, tuning=False: ids

        def code(policy, ids):
            column = {"all": None, "not-self": np.arange(240), "other-users": user}[policy]
            return None if column is None else column[ids]

        self.splits.exclusion = code

    def emg_queries(self, system, ids):
        return self.x[ids][:, None]

    def pose_embeddings(self, ids, system):
        return self.pose[ids]

    def pose_space(self, system):
        return system, "cls"


def test_the_earlier_half_is_of_each_gesture_in_each_recording():
    table = pd.DataFrame({"recording": [*"rrrrrrss"], "gesture": [*"aaabbbaa"], "start": [9, 1, 5, 7, 3, 8, 2, 6]})
    assert earlier_half(table, np.arange(8)).tolist() == [False, True, False, False, True, False, True, False]
    assert earlier_half(table, np.array([7, 6])).tolist() == [False, True]


def test_classes_take_turns_in_a_random_order():
    labels, orders = np.array([0, 0, 0, 0, 1, 1, 2]), set()
    for seed in range(9):
        order = in_turns(labels, np.random.default_rng(seed))
        assert sorted(order) == list(range(7)) and sorted(labels[order[:3]]) == [0, 1, 2]
        assert sorted(labels[order[:5]]) == [0, 0, 1, 1, 2]
        orders.add(tuple(order))
    assert len(orders) > 5


def test_own_windows_are_scored_on_the_user_s_later_half_whatever_their_number():
    study, vote = Study(offset=1.0), ev.zero_shot
    rows = pd.DataFrame(new_user.own_rows(study, n_draws=3))
    ids = study.splits.evaluation["in"]
    early, user = earlier_half(study.splits.table, ids), study.splits.table["user"].to_numpy()[ids]
    assert early.sum() == 64 and set(rows["n"]) == {96}
    scores = rows[rows["metric"] == "balanced_accuracy"].set_index(["gallery", "param_value"])["value"]
    sizes = ["1", "2", "4", "8", "16", HALF]
    assert {*scores.index} == {(OTHERS, "0"), *((p, n) for p in POOLS for n in sizes), *(("", n) for n in sizes[1:])}
    y, x, pose, said = study.y[ids], study.x[ids], study.pose[ids], {OTHERS: np.full(160, -1), OWN: np.full(160, -1)}
    for u in np.unique(user):
        asked, own, others = ~early & (user == u), early & (user == u), user != u
        said[OTHERS][asked] = vote(x[asked][:, None], pose[others], y[others])
        said[OWN][asked] = vote(x[asked][:, None], pose[own], y[own])
    expected = {name: balanced_accuracy(y[~early], p[~early], 4) for name, p in said.items()}
    assert scores[OTHERS, "0"] == pytest.approx(expected[OTHERS]) and scores[OWN, HALF] == pytest.approx(expected[OWN])
    less = rows[rows["metric"] == "balanced_accuracy_difference"].set_index("param_value")
    (found,) = less.loc[less["system"] == f"EMBridge, {OWN} - EMBridge, {OTHERS}", "value"].loc[[HALF]]
    assert found == pytest.approx(expected[OWN] - expected[OTHERS])


def test_no_window_that_is_asked_is_searched_or_learned_from(monkeypatch):
    study = Study()
    row = {tuple(x): i for i, x in enumerate([*study.x.tolist(), *study.pose.tolist()])}
    early = np.isin(np.arange(240), study.splits.evaluation["in"][earlier_half(study.splits.table, np.arange(80, 240))])
    searched, vote, fit = [], ev.zero_shot, ev.linear_probe

    def watched(known, asked):
        known, asked = ({row[tuple(x)] % 240 for x in of.tolist()} for of in (known, asked))
        assert not known & asked and not early[[*asked]].any()
        users = {study.splits.table["user"][i] for i in asked}
        assert len(users) == 1 and early[[i for i in known if study.splits.table["user"][i] in users]].all()
        searched.append(len(known))

    def zero_shot(queries, poses, labels, **how):
        watched(poses, queries[:, 0]) if "query_group" not in how else None
        return vote(queries, poses, labels, **how)

    monkeypatch.setattr(ev, "zero_shot", zero_shot)
    monkeypatch.setattr(ev, "linear_probe", lambda x, y, of, c: watched(x, of) or fit(x, y, of, c=c))
    new_user.own_rows(study, n_draws=2)
    assert {1, 2, 4, 8, 16, 121, 136} <= set(searched)


def test_draws_are_the_same_again_and_others_of_another_seed():
    study, other = Study(offset=2.0), Study(offset=2.0)
    rows = new_user.own_rows(study, n_draws=2)
    assert rows == new_user.own_rows(study, n_draws=2)
    other.seed = 1
    fewer = [r["value"] for r in rows if r["param_value"] == "2"]
    assert fewer != [r["value"] for r in new_user.own_rows(other, n_draws=2) if r["param_value"] == "2"]


def test_where_there_is_one_user_nobody_is_new():
    study = Study(policies=("all", "not-self"))
    assert new_user.own_rows(study) == new_user.recentred_rows(study) == []


def test_recentring_takes_off_what_is_the_user_s_and_nothing_else():
    unit = torch.nn.functional.normalize(torch.randn(4, 2, 3), dim=-1)
    owner = np.array(["a", "a", "b", "b"])
    means = user_means(5 * unit, owner)
    torch.testing.assert_close(means["b"], unit[2:].mean(0))
    centre = torch.ones(2, 3)
    found = recentred(7 * unit, owner, means, centre)
    torch.testing.assert_close(found[:2].mean(0), centre)
    torch.testing.assert_close(found[0] - found[1], unit[0] - unit[1])


def test_recentring_gains_where_users_differ_by_an_offset_and_reads_no_label():
    study = Study(offset=3.0)
    rows = new_user.recentred_rows(study)
    gains = {r["gallery"]: r for r in rows if r["metric"] == "balanced_accuracy_difference"}
    assert {*gains} == {"all", "not-self", "other-users"} and gains["other-users"]["low"] > 0
    shuffled = Study(offset=3.0)
    ids = np.arange(80, 240)
    means = user_means(shuffled.emg_queries("", ids), shuffled.splits.table["user"].to_numpy()[ids])
    shuffled.y = shuffled.y[::-1].copy()
    again = user_means(shuffled.emg_queries("", ids), shuffled.splits.table["user"].to_numpy()[ids])
    assert all(torch.equal(means[u], again[u]) for u in means)
