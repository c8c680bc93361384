"""The lines without a network: what they predict, how their setting is chosen, what is marked for not beating them."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from toy_study import Study

from embridge import evaluation as ev
from embridge.errors import InputError
from embridge.experiments import LOG_POWER_LDA, NO_NETWORK, ONE_CLASS
from embridge.paper import claims, comparisons, differences, scoring, table_cells, tables
from embridge.paper.results import Page
from embridge.paper.scoring import evaluate_predictions
from embridge.statistics import bootstrap_over_groups, bootstrap_over_seeds, class_counts

HOW = {"n_classes": 4, "n_resamples": 200, "dataset": "simulated", "profile": "smoke", "recalls": True}
USERS = np.repeat([f"u{i}" for i in range(12)], 20)
Y = np.tile(np.arange(4), 60)
*NUMBERS, _ = table_cells.OVER_LDA


def printed(name, results, dataset, **options):
    """One of the tables as text."""
    return tables.text(name, tables.numbers(name, results, dataset, **options))


def by_sklearn(x, y, test_x, shrinkage):
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, y).predict(test_x)


def part(study, name):
    ids = getattr(study.splits, name)["in"]
    return study.band_power(ids), study.y[ids]


# ---- what they predict --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shrinkage", ev.SHRINKAGES)
def test_lda_is_scikit_learns(shrinkage):
    study = Study()
    (x, y), (test_x, _) = part(study, "probe_train"), part(study, "evaluation")
    np.testing.assert_array_equal(ev.lda(x, y, test_x, shrinkage=shrinkage), by_sklearn(x, y, test_x, shrinkage))


def test_lda_with_few_windows_and_bad_input():
    x, y = np.array([[0.0, 0.1], [1.0, 0.9], [2.0, 2.1], [2.1, 2.0]]), np.array([0, 1, 2, 2])
    assert ev.lda(x[:3], y[:3], x + 0.1, shrinkage="auto").tolist() == [0, 1, 2, 2]  # a window each: the nearest mean
    assert ev.lda(x, y, x, shrinkage=0.5).tolist() == [0, 1, 2, 2]  # two classes of one window: no warning
    assert ev.lda(x, y, x[:0], shrinkage=0.5).tolist() == []
    with pytest.raises(InputError, match="LDA: expected at least two classes"):
        ev.lda(x, np.zeros(4, dtype=int), x, shrinkage=0.5)


def test_a_studys_lines_learn_and_are_scored_on_the_probes_windows():
    study = Study()
    study.splits.groups = lambda ids: np.asarray(ids) // 20  # each has every class
    one, line = scoring.no_network(study, "in")
    assert (one.system, line.system) == NO_NETWORK
    (x, y), (tune_x, tune_y), (test_x, test_y) = (part(study, p) for p in ("probe_train", "tune", "evaluation"))
    scores = [ev.balanced_accuracy(tune_y, by_sklearn(x, y, tune_x, s), 4) for s in ev.SHRINKAGES]
    shrinkage = ev.SHRINKAGES[int(np.argmax(scores))]
    np.testing.assert_array_equal(line.predicted, by_sklearn(x, y, test_x, shrinkage))
    np.testing.assert_array_equal(line.y, test_y)
    score = line.rows[0]
    assert score["value"] == ev.balanced_accuracy(test_y, line.predicted, 4) and score["low"] < score["high"]
    assert (score["param"], score["param_value"], score["n_train"]) == ("shrinkage", str(shrinkage), 160)
    assert {r["seed"] for r in line.rows} == {None}  # what no seed trains has none
    assert one.rows[0]["value"] == one.rows[0]["low"] == one.rows[0]["high"] == 0.25
    for outcome in (one, line):
        assert {r["protocol"] for r in outcome.rows} == {"LP"} and "user_recall" in {r["metric"] for r in outcome.rows}


def picky(monkeypatch, *right):
    """An LDA that is right about a part of the study's windows with one shrinkage alone, (part, shrinkage) each."""
    study = Study()
    study.band_power = lambda ids: np.asarray(ids)[:, None]

    def lda(x, y, test_x, *, shrinkage):
        ids = test_x[:, 0]
        for name, best in right:
            if shrinkage == best and np.isin(ids, getattr(study.splits, name)["in"]).all():
                return study.y[ids]
        return np.zeros(len(ids), dtype=int)

    monkeypatch.setattr(ev, "lda", lda)
    return study


def test_the_shrinkage_is_d_tunes_and_never_d_evals(monkeypatch):
    study = picky(monkeypatch, ("tune", 0.3), ("evaluation", 0.9))
    assert scoring.probe(study, LOG_POWER_LDA, "in").setting == 0.3
    assert scoring.no_network(study, "in")[1].rows[0]["value"] == 0.25  # 0.9 would have had 1


def test_without_a_d_tune_repetitions_choose_the_shrinkage(monkeypatch):
    study = picky(monkeypatch, ("probe_train", 0.5), ("tune", 0.3), ("evaluation", 0.9))
    study.splits.has_tuning = False
    asked, folds = [], ev.grouped_folds
    monkeypatch.setattr(ev, "grouped_folds", lambda *data: asked.append(data) or folds(*data))
    assert scoring.probe(study, LOG_POWER_LDA, "in").setting == 0.5
    train = study.splits.probe_train["in"]
    np.testing.assert_array_equal(asked[0][2], study.splits.table["recording"].to_numpy()[train])


def test_of_equals_the_first_shrinkage_is_taken():
    x = np.repeat(10.0 * np.eye(4), 5, axis=0) + 0.1 * np.random.default_rng(0).normal(size=(20, 4))
    y = np.repeat(np.arange(4), 5)
    assert ev.choose(ev.lda, "shrinkage", ev.SHRINKAGES, [(x, y, x, y)]) == ev.SHRINKAGES[0]


def test_the_features_are_log_power_in_eight_parts(tiny_study):
    study = tiny_study()
    ids = study.splits.evaluation["in"][:3]
    waveforms = study.store_of("waveform").read_emg(ids).double().numpy()
    for found, x in zip(study.band_power(ids), waveforms, strict=True):
        x = (x - x.mean()) / x.std()
        power = [[np.log(np.mean(bin**2) + 0.01) for bin in np.split(channel, 8)] for channel in x]
        np.testing.assert_allclose(found, np.ravel(power), atol=5e-3)  # both are kept as float16
    on_waveforms = tiny_study(tokens="waveform")
    np.testing.assert_allclose(on_waveforms.band_power(ids), study.band_power(ids), atol=5e-3)
    assert study.band_power(ids[:0]).shape == (0, 16 * 8)


# ---- what does not beat them --------------------------------------------------------------------------------------


def scored(system, right, protocol="LP", seed=0, noise=0, **fields):
    """Rows of a system that is right about that share of each user's windows of each class, but for some noise."""
    rng = np.random.default_rng([seed or 0, noise])
    pred = np.where(rng.permutation(np.arange(240)) / 240 < right, Y, (Y + 1) % 4)
    where = {"gallery": "all", "pooling": "max", "options": "corpus=class set"} if protocol == "ZS" else {}
    return evaluate_predictions(
        Y, pred, USERS, system=system, protocol=protocol, classes="unseen", seed=seed, **HOW, **where, **fields
    )


def frame(tmp_path, *rows):
    page = Page("05", tmp_path, context={})
    page.rows([r for some in rows for r in some])
    return page.frame()


LINE = partial(scored, LOG_POWER_LDA, 0.5, seed=None, noise=9, param="shrinkage", param_value="auto")


def test_only_what_beats_the_line_bears_no_mark(tmp_path):
    probes = [
        scored("CPEP", 0.95),
        scored("Q-Former", 0.52),
        scored("EMG-MAE", 0.3),
        scored(ONE_CLASS, 0.25, seed=None),
    ]
    rows = frame(tmp_path, LINE(), *probes, scored("CPEP", 0.52, "ZS"), scored("EMBridge", 0.95, "ZS"))
    table = printed("table2", rows, "simulated").set_index("system")
    marked = {
        (s, c) for s in table.index for c in ("LP unseen", "ZS unseen") if table_cells.NOT_ABOVE in table.loc[s, c]
    }
    assert marked == {("Q-Former", "LP unseen"), ("CPEP", "ZS unseen"), ("EMG-MAE", "LP unseen")}
    assert table.loc["Q-Former", "LP unseen"].endswith(f"] {table_cells.NOT_ABOVE} | paper 0.493")
    (note,) = table.attrs["footnotes"]
    assert note.startswith(
        f"{table_cells.NOT_ABOVE} not shown to be above {LOG_POWER_LDA}"
    ) and note in table_cells.markdown(table)
    assert table["LP unseen"].iloc[1].startswith("0.50 [") and table["LP in"].iloc[1].startswith("–")
    ablation = printed("cpep_ablation", rows, "simulated")
    assert (ablation.loc[ablation["system"] == "CPEP", "ZS unseen"].str.contains(table_cells.NOT_ABOVE)).all()
    above = printed("table2", frame(tmp_path, LINE(), scored("CPEP", 0.95)), "simulated")
    assert table_cells.NOT_ABOVE not in table_cells.markdown(above)  # nor its explanation


def test_without_the_line_nothing_is_compared(tmp_path):
    rows = frame(tmp_path, scored("CPEP", 0.3), scored("EMBridge", 0.3, "ZS"))
    assert table_cells.NOT_ABOVE not in table_cells.markdown(printed("table2", rows, "simulated"))
    cells = tables.headline_rows(frame(tmp_path, LINE(), scored("CPEP", 0.3)), "simulated", systems=("CPEP",))
    assert not set(table_cells.OVER_LDA) & set(cells)  # who does not show the line does not pay for its bootstrap


def test_the_gain_is_paired_by_user(tmp_path):
    cpep, line = scored("CPEP", 0.6), LINE()
    cells = tables.headline_rows(frame(tmp_path, cpep, line), "simulated", systems=(LOG_POWER_LDA, "CPEP"))
    found = cells[cells["over_lda"].notna()].squeeze()
    assert (found["system"], found["protocol"]) == ("CPEP", "LP")
    pred = [np.where(np.random.default_rng(k).permutation(np.arange(240)) / 240 < r, Y, (Y + 1) % 4)
            for k, r in (([0, 0], 0.6), ([0, 9], 0.5))]  # fmt: skip
    assert tuple(found[NUMBERS]) == pytest.approx(bootstrap_over_groups(Y, pred[0], USERS, minus=pred[1]))
    bare = [r for r in cpep if r["metric"] != "user_recall"]  # a sweep's member: both intervals in quadrature
    cells = tables.headline_rows(frame(tmp_path, bare, line), "simulated", systems=(LOG_POWER_LDA, "CPEP"))
    wide = cells[cells["over_lda"].notna()].squeeze()
    a, b = cpep[0], line[0]
    half = np.hypot(a["value"] - a["low"], b["high"] - b["value"])
    assert wide["over_lda"] == pytest.approx(found["over_lda"]) and wide["over_lda_low"] == pytest.approx(
        wide["over_lda"] - half
    )


def test_several_seeds_are_held_against_one_line(tmp_path):
    seeds = [scored("CPEP", right, seed=s) for s, right in enumerate((0.55, 0.6, 0.65))]
    rows = frame(tmp_path, LINE(), *seeds)
    cells = tables.headline_rows(rows, "simulated", systems=(*NO_NETWORK, "CPEP"))
    found = cells[cells["over_lda"].notna()].squeeze()
    luck = differences.seed_spread(rows, "simulated", "LP", "unseen")
    pred = [np.where(np.random.default_rng([s, 0]).permutation(np.arange(240)) / 240 < r, Y, (Y + 1) % 4)
            for s, r in enumerate((0.55, 0.6, 0.65))]  # fmt: skip
    line = np.where(np.random.default_rng([0, 9]).permutation(np.arange(240)) / 240 < 0.5, Y, (Y + 1) % 4)
    counts = np.stack([class_counts(Y, p, USERS, 4) for p in pred])
    other = np.broadcast_to(class_counts(Y, line, USERS, 4), counts.shape)
    assert luck and tuple(found[NUMBERS]) == pytest.approx(bootstrap_over_seeds(counts, other, spread=luck))
    own = cells[cells["system"] == LOG_POWER_LDA].dropna(subset="value").squeeze()
    assert "seeds" not in own["interval_kind"]  # users alone
    table = comparisons.seeds_table(rows, "simulated", systems=(LOG_POWER_LDA, "CPEP"))
    table = table.set_index(["system", "protocol", "classes"])
    shown = table.loc[(LOG_POWER_LDA, "LP", "unseen")]
    assert shown["seeds"] == 0 and shown["mean over seeds"] == shown["this run"] and shown["lowest"] == "0.50"
    assert table.loc[("CPEP", "LP", "unseen"), "seeds"] == 3 and (LOG_POWER_LDA, "ZS", "in") not in table.index


def test_a_score_without_an_interval_is_not_called_above(tmp_path):
    rows = [r | {"low": None, "high": None} for r in scored("CPEP", 0.95) if r["metric"] == "balanced_accuracy"]
    table = printed("table2", frame(tmp_path, rows, LINE()), "simulated").set_index("system")
    assert table.loc["CPEP", "LP unseen"].startswith(f"0.95 {table_cells.NOT_ABOVE}")


def test_the_lines_change_no_claim(tmp_path):
    few = {"param": "shots_fraction", "param_value": "0.5", "options": "unit=recordings", "draw": 0, "n_train": 4}
    half = [
        [r for r in scored(s, 0.6, **few) if r["metric"] == "balanced_accuracy"] for s in ("EMBridge", LOG_POWER_LDA)
    ]
    systems = [scored(s, 0.6, p) for s, p in (("CPEP", "LP"), ("EMBridge", "LP"), ("CPEP", "ZS"), ("EMBridge", "ZS"))]
    without, lines = frame(tmp_path, *systems, half[0]), (LINE(), scored(ONE_CLASS, 0.25, seed=None), half[1])
    found = claims.claims_table(frame(tmp_path, *systems, half[0], *lines))
    pd.testing.assert_frame_equal(found, claims.claims_table(without))
    assert (found["numbers"] != "").any() and not found["numbers"].str.contains(LOG_POWER_LDA, regex=False).any()


# ---- few-shot -----------------------------------------------------------------------------------------------------


def test_few_shots_of_the_line_are_the_probes_draws(tmp_path):
    study = Study()
    line = scoring.few_shot(study, LOG_POWER_LDA, "in")
    study.profile.evaluation = replace(study.profile.evaluation, probe_c=(0.1,))
    both = scoring.few_shot(study, "EMBridge", "in")
    probe = [r for r in both if r["metric"] == "balanced_accuracy"]
    for column in ("param_value", "draw", "n_train", "n", "options", "seed"):
        assert [r[column] for r in line] == [r[column] for r in probe]
    (whole,) = (r for r in line if r["param_value"] == "1.0")
    full = scoring.no_network(study, "in")[1].rows[0]
    assert [whole[c] for c in ("value", "low", "high")] == [full[c] for c in ("value", "low", "high")]

    train, test = study.splits.probe_train["in"], study.splits.evaluation["in"]
    units = study.splits.table["recording"].astype(str).to_numpy()[train] + "/0"
    subset = ev.few_shot_subsets(study.y[train], units, scoring.FRACTIONS, seed=0)[6]
    x, test_x, shrinkage = (
        study.band_power(train),
        study.band_power(test),
        scoring.probe(study, LOG_POWER_LDA, "in").setting,
    )
    alone = by_sklearn(x[subset.rows], study.y[train][subset.rows], test_x, shrinkage)
    assert line[6]["value"] == ev.balanced_accuracy(study.y[test], alone, 4)
    ours = ev.linear_probe(study.x[train][subset.rows], study.y[train][subset.rows], study.x[test], c=0.1)
    over = [r for r in both if r["metric"] == "balanced_accuracy_difference"]
    groups = study.splits.groups(test)
    expected = bootstrap_over_groups(study.y[test], ours, groups, minus=alone, n_classes=4, n_resamples=50)
    assert (over[6]["value"], over[6]["low"], over[6]["high"]) == expected

    rows = frame(tmp_path, line, both)
    cells = tables.numbers("fig8", rows, "simulated").set_index(["system", "fraction"])
    some = pd.DataFrame([r for r in over if r["param_value"] == "0.25"])
    gain = cells.loc[("EMBridge", 0.25), NUMBERS].tolist()
    below, above = (np.sqrt(np.square(some[c] - some["value"]).mean()) for c in ("low", "high"))
    assert gain == pytest.approx([some["value"].mean(), some["value"].mean() - below, some["value"].mean() + above])
    assert cells.loc[LOG_POWER_LDA, "over_lda"].isna().all()
    numbers = tables.numbers("fig8", rows, "simulated")
    shown = tables.text("fig8", numbers[numbers["system"] == "EMBridge"])
    assert LOG_POWER_LDA not in shown.columns and len(shown) == 5
    marks = shown["EMBridge"].str.contains(table_cells.NOT_ABOVE).tolist()
    assert marks == [not low > 0 for low in cells.loc["EMBridge", "over_lda_low"]]
