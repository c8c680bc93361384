"""Few-shot probing: what is drawn, and the rows that a study gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from toy_study import Study as ToyStudy

from embridge import evaluation as ev
from embridge.errors import InputError
from embridge.paper.results import Page, collect
from embridge.paper.scoring import FRACTIONS, few_shot

LABELS = np.repeat([0, 1, 2], [40, 40, 20])
UNITS = np.repeat([f"r{i}" for i in range(20)], 5)  # eight recordings of five windows a class, four of the last


def test_a_subset_holds_whole_units_and_the_same_share_of_each_class():
    subsets = ev.few_shot_subsets(LABELS, UNITS, (0.25, 0.5, 1.0), n_draws=3, seed=1)
    assert [(s.fraction, s.draw) for s in subsets] == [(f, d) for f in (0.25, 0.5) for d in range(3)] + [(1.0, 0)]
    for s in subsets:
        found = pd.DataFrame({"label": LABELS[s.rows], "unit": UNITS[s.rows]})
        assert (found.groupby("unit").size() == 5).all()
        wanted = {0: 8 * s.fraction, 1: 8 * s.fraction, 2: 4 * s.fraction}
        assert found.groupby("label")["unit"].nunique().to_dict() == wanted
        assert s.shots == wanted[0] and len(np.unique(s.rows)) == len(s.rows)
    np.testing.assert_array_equal(subsets[-1].rows, np.arange(100))


def test_draws_differ_and_are_nested_and_seeded():
    by = {(s.fraction, s.draw): set(s.rows.tolist()) for s in ev.few_shot_subsets(LABELS, UNITS, FRACTIONS, seed=3)}
    assert len({frozenset(by[0.5, d]) for d in range(5)}) == 5
    for d in range(5):
        assert by[0.125, d] < by[0.25, d] < by[0.5, d] < by[0.75, d] < by[1.0, 0]
    again = ev.few_shot_subsets(LABELS, UNITS, FRACTIONS, seed=3)
    other = ev.few_shot_subsets(LABELS, UNITS, FRACTIONS, seed=4)
    assert all(set(s.rows.tolist()) == by[s.fraction, s.draw] for s in again)
    assert any(set(s.rows.tolist()) != by[s.fraction, s.draw] for s in other)


def test_every_class_keeps_one_unit():
    (subset,) = ev.few_shot_subsets(LABELS, UNITS, (0.01,), n_draws=1)
    assert np.bincount(LABELS[subset.rows]).tolist() == [5, 5, 5] and subset.shots == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [({"fractions": (0.5, 1.5)}, "at most 1"), ({"fractions": (0.0,)}, "above 0"), ({"units": UNITS[:-1]}, "as many")],
)
def test_bad_input_is_told(change, message):
    with pytest.raises(InputError, match=message):
        ev.few_shot_subsets(**({"labels": LABELS, "units": UNITS, "fractions": (0.5,)} | change))


def Study(*probe_c):
    """A toy study whose D_tune has these to choose from."""
    study = ToyStudy()
    study.profile.evaluation = replace(study.profile.evaluation, probe_c=probe_c)
    return study


def test_rows_of_a_study():
    study = Study(0.1)
    both = pd.DataFrame(few_shot(study, "EMBridge", "in"))
    rows = both[both["metric"] == "balanced_accuracy"]  # those of differences: test_no_network.py
    assert study.embedded == [160, 40, 40]  # once each: what trains, D_tune, D_eval
    assert rows.groupby("param_value")["draw"].apply(list).to_dict() == {
        **{str(f): list(range(5)) for f in FRACTIONS[:-1]}, "1.0": [0],
    }  # fmt: skip
    assert rows.groupby("param_value")["n_train"].unique().map(list).to_dict() == {
        "0.125": [1], "0.25": [2], "0.5": [4], "0.75": [6], "1.0": [8],
    }  # fmt: skip
    for column, value in {"param": "shots_fraction", "protocol": "LP", "options": "unit=recordings", "n": 40,
                          "metric": "balanced_accuracy", "run_key": "key of EMBridge"}.items():  # fmt: skip
        assert set(rows[column]) == {value}
    train, test = study.splits.probe_train["in"], study.splits.evaluation["in"]
    predicted = ev.linear_probe(study.x[train], study.y[train], study.x[test], c=0.1)
    whole = rows[rows["param_value"] == "1.0"].iloc[0]
    assert whole["value"] == ev.balanced_accuracy(study.y[test], predicted, 4) > rows["value"].min()
    assert whole["low"] < whole["value"] < whole["high"]


def test_c_is_the_one_of_the_whole_training_set(monkeypatch):
    study, used, original = ToyStudy(), [], ev.linear_probe
    train, tune = study.splits.probe_train["in"], study.splits.tune["in"]
    fold = study.x[train], study.y[train], study.x[tune], study.y[tune]
    c = ev.choose(ev.linear_probe, "c", sorted(study.profile.evaluation.probe_c), [fold])
    monkeypatch.setattr("embridge.paper.scoring.ev.choose", lambda *how: c)
    monkeypatch.setattr(ev, "linear_probe", lambda *args, c: used.append(c) or original(*args, c=c))
    few_shot(study, "EMBridge", "in", fractions=(0.5,))
    assert used == [c] * 5 and study.embedded == [160, 40, 40]


def test_windows_may_be_the_unit_and_rows_of_both_live_side_by_side(tmp_path):
    study = Study(0.1)
    windows = few_shot(study, "Pose-MAE", "in", unit="windows", fractions=(0.5, 1.0))
    assert [r["n_train"] for r in windows if r["system"] == "Upper bound"] == [20] * 5 + [40]
    assert {r["system"] for r in windows} == {"Upper bound", "Upper bound - Log-power + LDA"}
    page = Page("10", tmp_path, context={})
    page.rows(windows + few_shot(study, "Pose-MAE", "in", fractions=(0.5, 1.0)))
    page.write()
    assert len(collect(tmp_path)) == 24
    with pytest.raises(InputError, match="recordings or windows"):
        few_shot(study, "EMBridge", "in", unit="users")
