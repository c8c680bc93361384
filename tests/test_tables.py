"""The papers' numbers, and the tables made from tidy rows alone."""

import numpy as np
import pandas as pd
import pytest

from embridge import paper, tables
from embridge import statistics as st
from embridge.errors import InputError
from embridge.results import Page, collect, evaluate_predictions

BASE = {"dataset": "simulated", "profile": "smoke"}
ZS = {"protocol": "ZS", "gallery": "all", "pooling": "max", "options": "corpus=class set"}


def predictions(seed=0, skill=0.5):
    """240 windows of 6 users; some predictions are none of the four classes."""
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(4), 60)
    pred = np.where(rng.random(240) < skill, y, rng.integers(-1, 5, 240))
    return y, pred, np.repeat([f"{i:03d}" for i in range(6)], 40)


# ---- the papers' numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (("CPEP", "ZS", "in"), (0.757, "E Table 2")),
        (("CPEP", "LP", "unseen"), (0.536, "E Table 2")),
        (("EMBridge", "ZS", "unseen"), (0.528, "E Table 2")),
        (("Q-Former", "LP", "unseen"), (0.493, "E Table 2")),
        (("EMG-MAE", "LP", "in"), (0.347, "E Table 2")),  # not C's approximate 0.55
        (("Upper bound", "LP", "unseen", "simulated"), (0.649, "E Table 2")),
        (("Upper bound", "ZS", "in"), (None, "not in the source")),
        (("EMBridge", "ZS", "in", "ninapro"), (0.692, "E Table 2, unlabelled row (inferred)")),
        (("CPEP", "ZS", "in", "ninapro"), (None, "not in the source")),
        (("NeuroPose", "LP", "in", "ninapro"), (None, "not in the source")),
        (("CPEP", "ZS", "in", "ninapro-db1"), (None, "not in the source")),
        (("PoseT", "LP", "unseen", "simulated-ninapro"), (0.425, "E Table 2")),
        (("EMBridge w/o Q-Former", "LP", "in"), (0.793, "E Table 3")),
        (("CPEP, EMG encoder frozen", "ZS", "unseen"), (0.298, "C ablation, secondary source")),
        (("emg2pose", "LP", "in"), (0.734, "E Table 2")),  # C has 0.647
    ],
)
def test_lookup(cell, expected):
    assert paper.lookup(*cell) == expected


def test_lookup_of_other_metrics_and_batch_sizes():
    assert paper.lookup("CPEP", "ZS", "unseen", batch_size=1024) == (0.316, "E Table 4")
    assert paper.lookup("CPEP", "ZS", "in", batch_size=1024) == (None, "not in the source")
    assert paper.lookup("EMBridge", "ZS", "unseen", metric="class_f1", class_=3) == (0.504, "E 3.3")
    assert paper.lookup("CPEP", "ZS", "unseen", metric="user_gain") == (0.160, "E 3.3")


def test_the_papers_numbers_fit_together():
    """What the text derives from its own tables: misread cells would break these."""
    numbers = [n for n in paper.NUMBERS if not n.approx]
    assert all(0 < n.value < 1 for n in numbers)
    # (E 3.3, from unrounded F1s: 0.522 over 0.457 and over 0.473)
    assert paper.USER_F1["EMBridge"] / paper.USER_F1["CPEP"] - 1 == pytest.approx(paper.OVERALL_GAIN["CPEP"], abs=1e-3)
    assert paper.USER_F1["EMBridge"] / paper.USER_F1["Q-Former"] - 1 == pytest.approx(0.102, abs=2e-3)
    for system, value in paper.TABLE_4[256].items():
        assert paper.TABLE_2[system][3] == value
    assert paper.TABLE_3["CASCLe"] == paper.TABLE_2["EMBridge"]
    assert paper.CPEP_MAIN["CPEP"] == paper.CPEP_ABLATION["CPEP"] == paper.TABLE_2["CPEP"]


# ---- tables -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Rows as notebook 05 leaves them: three aligned systems, two policies, a second corpus, one probe."""
    rows = []
    common = {"n_classes": 4, "n_resamples": 50, "seed": 0, **BASE}
    for system, skill in (("CPEP", 0.3), ("Q-Former", 0.5), ("EMBridge", 0.7)):
        for pooling in ("max",) if system == "CPEP" else ("max", "mean"):
            for policy in ("all", "other-users"):
                for corpus in ("class set", "every split") if policy == "all" else ("class set",):
                    y, pred, users = predictions(seed=len(rows), skill=skill)
                    where = {"gallery": policy, "pooling": pooling, "options": f"corpus={corpus}", "param": "k"}
                    rows += evaluate_predictions(
                        y,
                        pred,
                        users,
                        **common,
                        system=system,
                        protocol="ZS",
                        classes="unseen",
                        param_value=10,
                        **where,
                    )
    y, pred, users = predictions(seed=1, skill=0.2)
    rows += evaluate_predictions(y, pred, users, **common, system="EMG-MAE", protocol="LP", classes="in", param="C")
    folder = tmp_path_factory.mktemp("pages")
    page = Page("05", folder, context={})
    page.rows(rows)
    page.write()
    return collect(folder)


def value(results, metric="balanced_accuracy", **equal):
    rows = tables.select(results, metric=metric, **equal)
    assert len(rows) == 1
    return rows.iloc[0]


def test_table2_has_the_papers_layout(results):
    table = tables.table2(results, "simulated").set_index("system")
    assert table.columns.tolist() == ["group", "LP in", "LP unseen", "ZS in", "ZS unseen", "source"]
    assert table.index.tolist() == ["Upper bound", "EMG-MAE", "CPEP", "Q-Former", "EMBridge"]
    assert table["group"].tolist() == ["unimodal"] * 2 + ["multi-modal"] * 3
    own = value(results, system="CPEP", **ZS)
    assert table.loc["CPEP", "ZS unseen"] == (f"{own['value']:.2f} [{own['low']:.2f}, {own['high']:.2f}] | paper 0.481")
    assert table.loc["EMBridge", "ZS in"] == "– | paper 0.777"  # not trained here
    assert table.loc["EMG-MAE", "ZS unseen"] == "– | not in the source"
    assert table.loc["EMG-MAE", "LP in"].endswith("] | paper 0.347")
    assert set(table["source"]) == {"E Table 2"}


def test_table2_of_another_policy_has_no_paper_beside_its_zero_shot(results):
    table = tables.table2(results, "simulated", gallery="other-users", pooling="mean").set_index("system")
    mean = value(results, system="EMBridge", **(ZS | {"gallery": "other-users", "pooling": "mean"}))
    assert table.loc["EMBridge", "ZS unseen"].startswith(f"{mean['value']:.2f} [")
    assert table.loc["EMBridge", "ZS unseen"].endswith("| not in the source")
    assert table.loc["EMBridge", "LP in"] == "– | paper 0.785"
    only = value(results, system="CPEP", **(ZS | {"gallery": "other-users"}))  # one query: nothing to pool
    assert table.loc["CPEP", "ZS unseen"].startswith(f"{only['value']:.2f} [")


def test_table2_of_data_that_no_paper_has(results):
    real = results.assign(dataset="ninapro-db1")
    table = tables.table2(real, "ninapro-db1")
    assert set(table["source"]) == {"not in the source"}
    assert table["ZS unseen"].iloc[2].endswith("] | not in the source")
    assert tables.table2(real, "simulated")["ZS unseen"].iloc[2] == "– | paper 0.481"  # rows of another dataset


def test_rows_of_single_users_do_not_enter_the_headline(results):
    single = results[results["metric"] == "balanced_accuracy"].assign(user="s1", value=0.0)
    found = tables.table2(pd.concat([results, single], ignore_index=True), "simulated")
    pd.testing.assert_frame_equal(found, tables.table2(results, "simulated"))


def test_several_seeds_give_their_mean_and_interval(results):
    seeds = pd.concat([results.assign(seed=s, value=results["value"] + 0.1 * s) for s in range(3)], ignore_index=True)
    own = value(results, system="CPEP", **ZS)["value"]
    mean, low, high = st.mean_over_seeds([own, own + 0.1, own + 0.2])
    table = tables.table2(seeds, "simulated").set_index("system")
    assert table.loc["CPEP", "ZS unseen"] == f"{mean:.2f} [{low:.2f}, {high:.2f}] | paper 0.481"


def test_mixed_settings_are_refused(results):
    swept = results.assign(param_value="20")
    with pytest.raises(InputError, match=r"one row a seed for .* param_value"):
        tables.table2(pd.concat([results, swept]), "simulated")
    with pytest.raises(InputError, match="column"):
        tables.select(results, colour="red")


def test_gallery_table_shows_policies_side_by_side(results):
    table = tables.gallery_table(results, "simulated")
    assert table.columns.tolist() == ["classes", "system", "pooling", "all", "other-users"]
    assert list(zip(table["system"], table["pooling"], strict=True)) == [
        ("CPEP", "max"), ("Q-Former", "max"), ("Q-Former", "mean"), ("EMBridge", "max"), ("EMBridge", "mean"),
    ]  # fmt: skip
    own = value(results, system="EMBridge", **(ZS | {"gallery": "other-users", "pooling": "mean"}))
    assert table["other-users"].iloc[-1] == tables.interval(own["value"], own["low"], own["high"])
    assert tables.gallery_table(results, "emg2pose").empty


def test_class_f1_table(results):
    table = tables.class_f1_table(results, "simulated").set_index("class")
    assert table.columns.tolist() == ["CPEP", "Q-Former", "EMBridge"] and table.index.tolist() == [0, 1, 2, 3]
    own = value(results, "class_f1", system="EMBridge", **ZS, **{"class": 3})["value"]
    assert table.loc[3, "EMBridge"] == f"{own:.2f} | paper 0.504"
    assert table.loc[0, "CPEP"].endswith("| not in the source")


def test_user_gain_table(results):
    table = tables.user_gain_table(results, "simulated")
    users = [f"{i:03d}" for i in range(6)]
    assert table.index.tolist() == [*users, "mean", "overall", "paper, mean", "paper, overall"]
    f1 = {s: [value(results, "user_f1", system=s, user=u, **ZS)["value"] for u in users] for s in tables.ALIGNED}
    gains = np.array(f1["EMBridge"]) / np.array(f1["CPEP"]) - 1
    np.testing.assert_allclose(table.loc[users, "gain over CPEP"], gains)
    assert table.loc["mean", "gain over CPEP"] == pytest.approx(gains.mean())
    assert table.loc["mean", "EMBridge"] == pytest.approx(np.mean(f1["EMBridge"]))
    overall = np.mean(f1["EMBridge"]) / np.mean(f1["CPEP"]) - 1
    assert table.loc["overall", "gain over CPEP"] == pytest.approx(overall)
    assert table.loc["paper, mean"].tolist() == [0.457, 0.473, 0.522, 0.160, 0.116]
    assert table.loc["paper, overall", ["gain over CPEP", "gain over Q-Former"]].tolist() == [0.142, 0.102]
    zero = results.copy()
    zero.loc[(zero["metric"] == "user_f1") & (zero["system"] == "CPEP") & (zero["user"] == "000"), "value"] = 0.0
    table = tables.user_gain_table(zero, "simulated")
    assert np.isnan(table.loc["000", "gain over CPEP"])  # a gain over nothing is undefined, not infinite
    assert table.loc["mean", "gain over CPEP"] == pytest.approx(gains[1:].mean())


def test_confusion_table(results):
    table = tables.confusion_table(results, "simulated", "CPEP", classes="unseen")
    cells = tables.select(results, metric="confusion", system="CPEP", **ZS)
    assert table.to_numpy().sum() == cells["value"].sum() == 240
    assert table.columns.tolist() == [-1, 0, 1, 2, 3] and table.index.tolist() == [0, 1, 2, 3]
    wanted = cells[(cells["true"] == 2) & (cells["predicted"] == 1)]["value"].item()
    assert table.loc[2, 1] == wanted


def test_markdown_escapes_bars_and_shows_named_indices():
    frame = pd.DataFrame({"a": [0.123, np.nan], "b": ["x | y", "two\nlines"]})
    assert tables.markdown(frame) == ("| a | b |\n| --- | --- |\n| 0.12 | x \\| y |\n| – | two lines |\n")
    named = frame.set_axis(pd.Index(["p", "q"], name="user"))
    assert tables.markdown(named).startswith("| user | a | b |\n| --- | --- | --- |\n| p | 0.12 |")
