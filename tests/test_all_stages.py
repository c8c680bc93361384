"""All 29 stages: the second store, ranks, families from poses alone, rows on a toy study."""

from collections import Counter

import numpy as np
import pytest
import torch
from figure_inputs import FAMILY, drawn
from toy_study import AllStages

from embridge.data.emg2pose import STAGES
from embridge.evaluation import zero_shot
from embridge.paper import all_stages
from embridge.paper.all_stages import ALL, FREE_FORM, N_FAMILIES, PARTS
from embridge.paper.results import as_frame
from embridge.paper.table_cells import select
from embridge.statistics import balanced_accuracy


@pytest.fixture(scope="module")
def study():
    return AllStages()


@pytest.fixture(scope="module")
def rows(study):
    return as_frame(all_stages.all_stages_rows(study))


def value(rows, **where):
    (found,) = select(rows, **where)["value"]
    return found


def test_a_second_store_holds_every_stage_of_d_eval_s_users_and_leaves_the_first_as_it_is(tiny_study):
    study = tiny_study()
    key, before = study.store.key, sorted(path.name for path in study.stores.iterdir() if path.is_dir())
    found = all_stages.windows(study)
    table, first = found.study.store.table, study.store.table
    assert found.study.store.key != key == tiny_study().store.key
    after = sorted(path.name for path in study.stores.iterdir() if path.is_dir())
    assert sorted([*before, found.study.store.key]) == after
    assert {STAGES[s] for s in found.y} == {*STAGES} and set(table["split"]) == {"test"}
    evaluated = first.iloc[np.concatenate([*study.splits.evaluation.values()])]
    assert set(found.users) == set(evaluated["user"]) and (table.groupby("user")["session"].nunique() == 1).all()
    # the stages that were there before come out the same, window by window
    again = table[table["recording"].isin(evaluated["recording"])]
    assert len(again) and set(again["gesture"]) == set(evaluated["gesture"])
    both = again.merge(first, on=["recording", "start"], suffixes=("", " before"))
    assert len(both) == len(again) and (both["digest"] == both["digest before"]).all()
    assert not list(study.simulation_folder.glob("*Freeform*")) or "FingerFreeform" in set(first["gesture"])


def test_real_recordings_need_no_second_store(study):
    found = all_stages.windows(study)
    assert found.study is study and len(found.ids) == 3 * 3 * 29
    assert all(study.store.table["gesture"].iloc[i] == STAGES[s] for i, s in zip(found.ids, found.y, strict=True))


def test_ranks_go_by_votes_then_cosines_then_the_smaller():
    votes = torch.tensor([[3, 1, 1, 0], [2, 2, 0, 0], [1, 0, 1, 0], [2, 0, 0, 0]])
    cosine = torch.tensor([[0.9, 0.5, 0.4, 0.3], [0.9, 0.1, 0.6, 0.5], [0.7, 0.7, 0.2, 0.2], [0.9, *[-torch.inf] * 3]])
    expected = [[1, 3, 0, -1], [0, 2, -1, -1], [0, 1, -1, -1], [2, -1, -1, -1]]
    assert all_stages.ranked(cosine, votes, 4).tolist() == expected


def test_negative_cosines_do_not_outweigh_votes():
    found = all_stages.ranked(torch.tensor([[1.0, -1.0, -1.0]]), torch.tensor([[0, 1, 1]]), 2)
    assert found.tolist() == [[1, 0]]


def test_the_first_answer_is_zero_shot_s_and_the_five_are_those_with_most_votes(study, rows):
    found = all_stages.windows(study)
    ids, y = found.ids, found.y
    said = zero_shot(study.queries[ids], study.v[ids], y, k=5, query_group=found.users, gallery_group=found.users)
    assert value(rows, metric="balanced_accuracy", classes=ALL, options="at=1") == balanced_accuracy(y, said, 29)
    unit = torch.nn.functional.normalize
    cosines = (unit(study.queries[ids], dim=-1) @ unit(study.v[ids], dim=-1).T).amax(1).numpy()
    hits = []
    for row, user, stage in zip(cosines, found.users, y, strict=True):
        nearest = sorted((i for i in range(len(y)) if found.users[i] != user), key=lambda i: -row[i])[:5]
        hits.append(stage in {s for s, _ in Counter(y[nearest]).most_common(5)})
    among = balanced_accuracy(y, np.where(hits, y, -1), 29)
    assert value(rows, metric="balanced_accuracy", classes=ALL, options="at=5") == pytest.approx(among)


def test_parts_are_all_stages_and_differences_are_from_chance(rows):
    accuracy = select(rows, metric="balanced_accuracy", options="at=1").set_index("classes")
    assert sum(map(len, PARTS.values())) == 29 and accuracy.loc[ALL, "n"] == accuracy.loc[[*PARTS], "n"].sum()
    for n, part in ((1, ALL), (5, ALL), (5, "stages held out")):
        own = select(rows, metric="balanced_accuracy", options=f"at={n}", classes=part)
        less = select(rows, metric="balanced_accuracy_difference", options=f"at={n}", classes=part)
        columns = ["value", "low", "high"]
        np.testing.assert_allclose(less[columns].to_numpy(), own[columns].to_numpy() - n / 29)


def test_families_are_made_of_poses_alone(study, rows):
    order = select(rows, metric="place").sort_values("value")["class"].tolist()
    family = select(rows, metric="family").set_index("class")["value"]
    assert sorted(order) == [*range(29)] and [STAGES[s] for s in order[-4:]] == [*FREE_FORM]
    assert {STAGES[s] for s in family.index[family < 0]} == {*FREE_FORM}
    in_order = family.reindex(order)[:-4].tolist()
    assert in_order == sorted(in_order) and set(in_order) == {*range(N_FAMILIES)}
    other = AllStages()
    other.queries = other.queries[torch.randperm(len(other.queries))]
    moved = as_frame(all_stages.all_stages_rows(other))
    assert select(moved, metric="family")["value"].tolist() == select(rows, metric="family")["value"].tolist()
    first = {"metric": "balanced_accuracy", "classes": ALL, "options": "at=1"}
    assert value(moved, **first) < value(rows, **first)


def test_stages_with_alike_poses_are_a_family():
    study = AllStages()
    found = all_stages.windows(study)
    twin = STAGES.index("WristFlexionAbduction"), STAGES.index("PlayBlocksChess")
    one, other = (found.ids[found.y == s] for s in twin)
    study.pose[other] = study.pose[one] + 0.01
    order, family = all_stages.families(study, found.ids, found.y)
    assert family[twin[0]] == family[twin[1]] and abs(np.diff([[*order].index(s) for s in twin])) == 1


def test_chance_of_staying_in_the_family_is_that_of_wrong_answers_dealt_anew():
    rng = np.random.default_rng(0)
    family = np.array([0, 0, 0, 1, 1, -1])
    y = rng.integers(0, 5, 400)
    said = (y + rng.integers(1, 6, 400)) % 6
    inside, chance = all_stages.within_family(y, said, family)
    assert np.array_equal(inside, family[y] == family[said])
    often = Counter(said.tolist())
    for target, expected in zip(y[:20], chance[:20], strict=True):
        others = {s: n for s, n in often.items() if s != target}
        alike = sum(n for s, n in others.items() if family[s] == family[target])
        assert expected == pytest.approx(alike / sum(others.values()))


def test_no_row_of_families_where_nothing_is_wrong():
    study = AllStages()
    study.v = torch.eye(29)[[STAGES.index(stage) for stage in study.store.table["gesture"]]]
    study.queries = study.v[:, None]
    rows = as_frame(all_stages.all_stages_rows(study))
    assert value(rows, metric="balanced_accuracy", classes=ALL, options="at=1") == 1
    assert select(rows, metric=("family_share", "family_share_difference")).empty


def test_the_figure_shows_shares_of_rows_and_frames_families():
    ax = drawn("stage confusions").axes[0]
    share = ax.images[0].get_array()
    np.testing.assert_allclose(share.sum(axis=1), 100)
    frames = [line for line in ax.lines if len(line.get_xdata()) == 5]
    spans = [(line.get_xdata().min() + 0.5, line.get_xdata().max() + 0.5) for line in frames]
    sizes = np.unique(FAMILY[FAMILY >= 0], return_counts=True)[1]
    assert [b - a for a, b in spans] == sizes.tolist() and spans[-1][1] == 25
