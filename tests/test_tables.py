"""The papers' numbers, and the tables made from tidy rows alone."""

import itertools

import numpy as np
import pandas as pd
import pytest

from embridge import grids
from embridge import statistics as st
from embridge.config import EvalConfig, ModelConfig, profile
from embridge.data import splits
from embridge.errors import InputError
from embridge.experiments import ALIGNED, EXPERIMENTS, NO_NETWORK
from embridge.grids import OPEN_CHOICES
from embridge.paper import comparisons, constants, differences, numbers, open_choices, table_cells, tables
from embridge.paper.numbers import CELLS
from embridge.paper.results import MERGED, Page, as_frame, collect, read_results, row
from embridge.paper.scoring import evaluate_predictions

BASE = {"dataset": "simulated", "profile": "smoke"}
ZS = {"protocol": "ZS", "gallery": "all", "pooling": "max", "options": "corpus=class set"}


def printed(name, results, dataset, **options):
    """One of the tables as text."""
    return tables.text(name, tables.numbers(name, results, dataset, **options))


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
        (("EMBridge", "LP", "unseen", "simulated-ninapro"), (0.492, "E Table 2, unlabelled row (inferred)")),
        (("PoseT", "LP", "in", "simulated-ninapro"), (0.694, "E Table 2")),
        (("CPEP", "ZS", "in", "ninapro"), (None, "not in the source")),
        (("NeuroPose", "LP", "in", "ninapro"), (None, "not in the source")),
        (("CPEP", "ZS", "in", "ninapro-db1"), (None, "not in the source")),
        (("PoseT", "LP", "unseen", "simulated-ninapro"), (0.425, "E Table 2")),
        (("EMBridge w/o Q-Former", "LP", "in"), (0.793, "E Table 3")),
        (("CPEP, EMG encoder frozen", "ZS", "unseen"), (0.298, "C ablation, secondary source")),
        (("emg2pose", "LP", "in"), (0.734, "E Table 2")),
        (("Vemg2pose", "LP", "in"), (0.650, "E Table 2")),  # C has 0.647, and calls it emg2pose
    ],
)
def test_lookup(cell, expected):
    assert numbers.lookup(*cell) == expected


def test_lookup_of_other_metrics_and_batch_sizes():
    assert numbers.lookup("CPEP", "ZS", "unseen", batch_size=1024) == (0.316, "E Table 4")
    assert numbers.lookup("CPEP", "ZS", "in", batch_size=1024) == (None, "not in the source")
    assert numbers.lookup("EMBridge", "ZS", "unseen", metric="class_f1", class_=3) == (0.504, "E 3.3")
    assert numbers.lookup("CPEP", "ZS", "unseen", metric="user_gain") == (0.160, "E 3.3")
    assert numbers.lookup("EMBridge", "ZS", "unseen", metric="class_f1", class_=0) == (None, "not in the source")
    assert numbers.lookup("Vemg2pose", "LP", "in", table="C main") == (0.647, "C, secondary source")
    assert numbers.lookup("emg2pose", "LP", "in", table="C main") == (None, "not in the source")
    assert numbers.lookup("EMG-MAE", "LP", "in", table="C main") == (0.55, "C, approx., secondary source")
    assert numbers.lookup("CPEP", "ZS", "in", "ninapro") == (None, "not in the source")  # quoted: never scored
    assert numbers.lookup("EMBridge", "ZS", "in", table="E Table 3") == (0.777, "E Table 3")
    assert numbers.lookup("EMBridge", "ZS", "in", table="C main") == (None, "not in the source")


def test_the_papers_numbers_fit_together():
    """What the text derives from its own tables: misread cells would break these."""
    assert all(0 < n.value < 1 for n in numbers.NUMBERS if not n.quoted)

    def said(system, protocol="ZS", classes="unseen", **more):
        return numbers.lookup(system, protocol, classes, **more)[0]

    f1 = {s: said(s, metric="user_f1") for s in ALIGNED}  # E 3.3, from unrounded F1s: 0.522 over 0.457 and over 0.473
    assert f1["EMBridge"] / f1["CPEP"] - 1 == pytest.approx(said("CPEP", metric="overall_gain"), abs=1e-3)
    assert f1["EMBridge"] / f1["Q-Former"] - 1 == pytest.approx(0.102, abs=2e-3)
    for system in ALIGNED:
        assert said(system, table="E Table 4", batch_size=256) == said(system, table="E Table 2") is not None
    for cell in CELLS:
        assert said("EMBridge", *cell, table="E Table 3") == said("EMBridge", *cell, table="E Table 2") is not None
        same = {said("CPEP", *cell, table=name) for name in ("C main", "C ablation", "E Table 2")}
        assert len(same) == 1 and None not in same
    for classes in ("in", "unseen"):  # C's abstract: 21 % and 72 %, over what C calls emg2pose
        cpep = said("CPEP", "LP", classes)
        gain = cpep / said("Vemg2pose", "LP", classes, table="C main") - 1
        assert round(gain, 2) == said("CPEP", "LP", classes, metric="gain_over_vemg2pose")
        of_e = {name: cpep / said(name, "LP", classes) - 1 for name in ("Vemg2pose", "emg2pose")}
        assert abs(of_e["Vemg2pose"] - gain) < 0.01 < 0.1 < abs(of_e["emg2pose"] - gain)


# every experiment trains one; "Upper bound" is Pose-MAE's probe
SYSTEMS = {"Upper bound", *NO_NETWORK, *EXPERIMENTS}
# table: its systems, cells a system, and how many of them its source leaves empty
PRINTED = {
    "E Table 2": (11, 88, 6 * 2 + 3 * 2 + 6 * 2 + 4 * 4 - 3),
    "E Table 3": (6, 24, 0),
    "E Table 4": (3, 9, 0),
    "E Fig. 3a": (3, 12, 6),
    "E Fig. 3b": (3, 7, 0),
    "C main": (5, 22, 4 * 2),
    "C ablation": (6, 24, 2 * 4),
}


def test_every_cell_of_the_papers_has_an_experiment_or_is_not_in_the_source():
    assert set(numbers.TABLES) == set(PRINTED)
    for name, cells in numbers.TABLES.items():
        systems, n, empty = PRINTED[name]
        assert len({c.system for c in cells}) == systems and len(cells) == n, name
        assert sum(c.value is None for c in cells) == empty, name
        keys = [(c.system, c.protocol, c.classes, c.dataset, c.metric, c.class_, c.batch_size) for c in cells]
        assert len(set(keys)) == len(keys), f"{name} holds a cell twice"
        for c in cells:
            found = numbers.lookup(
                c.system, c.protocol, c.classes, c.dataset, metric=c.metric, class_=c.class_, batch_size=c.batch_size,
                table=name,
            )  # fmt: skip
            assert found == ((None, "not in the source") if c.value is None else (c.value, c.source))
            assert c.value is None or c.system in SYSTEMS, f"{name}: no experiment gives {c.system}"


def test_every_printed_cell_stands_in_one_of_our_tables(results):
    """Walk the papers' tables again: without a single row of ours, each number must still be printed in its table."""
    none = results[:0]
    ours = {
        "E Table 2": [tables.numbers("table2", none, d) for d in ("simulated", "simulated-ninapro")],
        "E Table 3": [tables.numbers("table3", none, "simulated")],
        "E Table 4": [tables.numbers("table4", none, "simulated")],
        "C main": [tables.numbers("cpep_main", none, "simulated")],
        "C ablation": [tables.numbers("cpep_ablation", none, "simulated")],
    }
    for name, frames in ours.items():
        expected = {(c.system, c.value) for c in numbers.TABLES[name] if c.metric == "balanced_accuracy"}
        shown = pd.concat(frames)
        assert set(zip(shown["system"], shown["paper_value"].astype(object).where(shown["paper_value"].notna(), None),
                       strict=True)) >= expected, name  # fmt: skip
        assert shown["value"].isna().all() and set(shown["system"]) <= SYSTEMS


def test_table_1_has_a_row_for_every_count_of_the_paper():
    parts = {"pre-training", *(f"{p}, {c}" for p in ("probe-train", "D_tune", "D_eval") for c in splits.SETS)}
    assert set(splits.PAPER) == parts
    assert [splits.PAPER[f"D_eval, {c}"] for c in splits.SETS] == [(4, 20, 320), (4, 20, 280)]


# ---- tables -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Rows as the page of results leaves them: three aligned systems, two policies, a second corpus, one probe."""
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
    rows = table_cells.select(results, metric=metric, **equal)
    assert len(rows) == 1
    return rows.iloc[0]


def test_table2_has_the_papers_layout(results):
    table = printed("table2", results, "simulated").set_index("system")
    assert table.columns.tolist() == ["group", "LP in", "LP unseen", "ZS in", "ZS unseen", "source"]
    assert table.index.tolist() == [
        *NO_NETWORK, "Upper bound", "EMG-MAE", "NeuroPose", "emg2pose", "Vemg2pose", "PoseT", "CPEP", "CPEP-LS",
        "Q-Former", "Q-Former-LS", "EMBridge",
    ]  # fmt: skip
    assert table["group"].tolist() == ["no network"] * 2 + ["unimodal"] * 6 + ["multi-modal"] * 5
    own = value(results, system="CPEP", **ZS)
    assert table.loc["CPEP", "ZS unseen"] == (f"{own['value']:.2f} [{own['low']:.2f}, {own['high']:.2f}] | paper 0.481")
    assert table.loc["EMBridge", "ZS in"] == "– | paper 0.777"  # not trained here
    assert table.loc["EMG-MAE", "ZS unseen"] == "– | not in the source"
    assert table.loc["EMG-MAE", "LP in"].endswith("] | paper 0.347")
    assert set(table["source"][2:]) == {"E Table 2"} and set(table["source"][:2]) == {"not in the source"}


def test_table2_of_another_policy_has_no_paper_beside_its_zero_shot(results):
    table = printed("table2", results, "simulated", gallery="other-users").set_index("system")
    own = value(results, system="EMBridge", **(ZS | {"gallery": "other-users"}))
    assert table.loc["EMBridge", "ZS unseen"].startswith(f"{own['value']:.2f} [")
    assert "not in the source" not in table.loc["EMBridge", "ZS unseen"]  # said once, in the last column
    assert table.loc["EMBridge", "LP in"] == "– | paper 0.785"


def test_real_recordings_have_a_mean_over_seeds_in_two_galleries_beside_no_network():
    def cells(system, protocol, values, gallery=""):
        about = BASE | {"dataset": "ninapro-db1", "metric": "balanced_accuracy", "classes": "unseen", "origin": "x"}
        about |= {"system": system, "protocol": protocol, "gallery": gallery, "pooling": "max" if gallery else ""}
        about |= {"options": "corpus=class set"} if gallery else {}
        return [row(**about, seed=s, value=v, low=v - 0.1, high=v + 0.1) for s, v in enumerate(values)]

    results = as_frame(
        cells("Log-power + LDA", "LP", [0.5])
        + cells("CPEP", "LP", [0.7, 0.8, 0.9])
        + cells("CPEP", "ZS", [0.4, 0.5, 0.6], "all")
        + cells("CPEP", "ZS", [0.3, 0.4, 0.5], "other-repetitions")
    )
    table = printed("real", results, "ninapro-db1").set_index("system")
    columns = [f"{c} {s}" for c in ("LP", "ZS all", "ZS other-repetitions") for s in ("in", "unseen")]
    assert [c for c in table.columns if c != "source"] == columns
    assert [table.loc["CPEP", c][:4] for c in columns[1::2]] == ["0.80", "0.50", "0.40"]
    assert table.loc["Log-power + LDA", "LP unseen"] == "0.50 [0.40, 0.60]"
    assert table.loc["CPEP", "LP unseen"].endswith(", 1.00]")  # Student's interval alone would end above 1
    assert table.loc["CPEP", "ZS other-repetitions in"] == "–" and "†" not in table.to_string()


def test_table2_of_data_that_no_paper_has(results):
    real = results.assign(dataset="ninapro-db1")
    table = printed("table2", real, "ninapro-db1")
    assert set(table["source"]) == {"not in the source"}
    assert table.set_index("system").loc["CPEP", "ZS unseen"].endswith("]")
    other = printed("table2", real, "simulated").set_index("system")
    assert other.loc["CPEP", "ZS unseen"] == "– | paper 0.481"  # rows of another dataset


def test_rows_of_single_users_do_not_enter_the_headline(results):
    single = results[results["metric"] == "balanced_accuracy"].assign(user="s1", value=0.0)
    found = printed("table2", pd.concat([results, single], ignore_index=True), "simulated")
    pd.testing.assert_frame_equal(found, printed("table2", results, "simulated"))


def test_several_seeds_give_their_mean_and_interval(results):
    seeds = pd.concat([results.assign(seed=s, value=results["value"] + 0.1 * s) for s in range(3)], ignore_index=True)
    own = value(results, system="CPEP", **ZS)
    mean, half = own["value"] + 0.1, differences.seed_spread(seeds, "simulated", "ZS", "unseen") / 3**0.5
    assert 0.1 < 3**0.5 * half < 4.302653 * 0.1  # pooled over systems, which all lie 0.1 apart
    # users' part: the bounds stay while values move
    users = [np.sqrt(np.mean([(own[c] - own["value"] - 0.1 * s) ** 2 for s in range(3)])) for c in ("low", "high")]
    low, high = mean - np.hypot(half, users[0]), mean + np.hypot(half, users[1])
    table = printed("table2", seeds, "simulated").set_index("system")
    assert table.loc["CPEP", "ZS unseen"] == f"{mean:.2f} [{low:.2f}, {high:.2f}] | paper 0.481"


def test_seeds_with_every_users_recalls_are_bootstrapped_over_both(gathered):
    counts, rows = [], []
    for seed in range(3):
        y, pred, users = predictions(seed=seed, skill=0.3 + 0.1 * seed)
        counts.append(st.class_counts(y, pred, users, 4))
        how = {**BASE, **ZS, "system": "CPEP", "classes": "unseen", "seed": seed, "n_classes": 4, "n_resamples": 50}
        rows += evaluate_predictions(y, pred, users, recalls=True, **how)
    found = tables.headline_rows(gathered(*rows), "simulated", systems=("CPEP",)).dropna(subset="value").iloc[0]
    luck = differences.seed_spread(gathered(*rows), "simulated", "ZS", "unseen")
    assert (found["value"], found["low"], found["high"]) == st.bootstrap_over_seeds(counts, spread=luck)
    assert luck and found["interval_kind"] == "95 %, 3 seeds (Student) and their users in quadrature"
    one = tables.headline_rows(gathered(*rows[: len(rows) // 3]), "simulated", systems=("CPEP",))
    first = one.dropna(subset="value").iloc[0]
    y, pred, users = predictions(seed=0, skill=0.3)  # one seed: the row's own interval, untouched
    assert (first["value"], first["low"], first["high"]) == st.bootstrap_over_groups(y, pred, users, n_resamples=50)


def test_mixed_settings_are_refused(results):
    swept = results.assign(param_value="20")
    with pytest.raises(InputError, match=r"one row a seed for .* param_value"):
        printed("table2", pd.concat([results, swept]), "simulated")
    with pytest.raises(InputError, match="column"):
        table_cells.select(results, colour="red")


def test_gallery_table_shows_policies_side_by_side(results):
    table = printed("galleries", results, "simulated")
    assert table.columns.tolist() == ["classes", "system", "pooling", "all", "other-users", "source"]
    assert list(zip(table["system"], table["pooling"], strict=True)) == [
        ("CPEP", "max"), ("Q-Former", "max"), ("Q-Former", "mean"), ("EMBridge", "max"), ("EMBridge", "mean"),
    ]  # fmt: skip
    own = value(results, system="EMBridge", **(ZS | {"gallery": "other-users", "pooling": "mean"}))
    ours = table_cells.interval(own["value"], own["low"], own["high"])
    assert table["other-users"].iloc[-1] == ours
    assert table["all"].iloc[-1].endswith("] | paper 0.528")
    assert printed("galleries", results, "emg2pose").empty


def test_seeds_stand_beside_this_run_and_dashes_where_there_are_none(gathered):
    where = {"system": "CPEP", "classes": "unseen", **ZS}
    own = one(0.3, profile="quick", **where)
    long = [one(v, profile="long", origin=ORIGIN, seed=s, **where) for s, v in ((1, 0.4), (2, 0.5))]

    def line(*rows):
        table = comparisons.seeds_table(gathered(*rows), "simulated", systems=("CPEP", "EMG-MAE"))
        assert len(table) == 4 + 2  # an unimodal system has no zero-shot
        return table.set_index(["system", "protocol", "classes"]).loc[("CPEP", "ZS", "unseen")].tolist()

    half = np.hypot(4.302653 * 0.1 / 3**0.5, 0.1)
    mean = f"0.40 [{0.4 - half:.2f}, {0.4 + half:.2f}]"
    assert line(own, *long) == ["0.30 [0.20, 0.40]", 3, mean, "0.30", "0.50"]
    assert line(own) == ["0.30 [0.20, 0.40]", 1, "–", "0.30", "0.30"]


def test_a_control_of_many_draws_shows_their_mean_and_range(gathered):
    where = {"system": "Labels shuffled", "protocol": "LP", "options": "probe of CPEP"}
    rows = [
        one(0.2 + 0.01 * d, draw=d, classes=c, low=None, high=None, **where)
        for d in range(11)
        for c in ("in", "unseen")
    ]
    rows += [one(0.3, system="Untrained encoder", protocol="LP", classes=c) for c in ("in", "unseen")]
    pairs = {"system": "CPEP, pairs shuffled", "protocol": "ZS", "gallery": "not-self"}
    rows += [one(0.24 + 0.02 * s, seed=s, classes=c, **pairs) for s in range(3) for c in ("in", "unseen")]
    rows += [one(0.7, system="True pose", protocol="ZS", gallery="other-users", classes=c) for c in ("in", "unseen")]
    table = comparisons.controls_table(gathered(*rows), "simulated").set_index("control")
    assert table.loc["True pose", ["protocol", "gallery", "in"]].tolist() == ["ZS", "other-users", "0.70 [0.60, 0.80]"]
    assert table.loc["CPEP, pairs shuffled, 3 trainings", "in"] == "0.26 [0.24, 0.28]"
    alone = comparisons.controls_table(gathered(*(r for r in rows if r["seed"] != 1 and r["seed"] != 2)), "simulated")
    assert alone.set_index("control").loc["CPEP, pairs shuffled", "in"] == "0.24 [0.14, 0.34]"
    assert table.loc["Labels shuffled, 11 draws", "in"] == "0.25 [0.20, 0.30]"  # quantiles 0.2025 and 0.2975
    assert table.loc["Untrained encoder", "unseen"] == "0.30 [0.20, 0.40]"


# ---- sweeps -----------------------------------------------------------------------------------------------------

ORIGIN = "long run, 2026-11-21, abc1234"


def one(value, **fields):
    """A row of balanced accuracy with an interval of 0.1 to either side."""
    given = {"metric": "balanced_accuracy", "seed": 0, "low": value - 0.1, "high": value + 0.1} | BASE
    return row(**(given | {"interval_kind": "95 % bootstrap over user", "value": value} | fields))


def swept(param, values, systems=("EMBridge",), **fields):
    """Rows of a sweep under both protocols on both class sets; the value rises with each row: 0.300, 0.301, ..."""
    rows = []
    for system, text, classes, protocol in itertools.product(systems, values, ("in", "unseen"), ("LP", "ZS")):
        where = ZS if protocol == "ZS" else {"protocol": "LP"}
        fields = fields | {"param": param, "param_value": text, "system": system, "classes": classes}
        rows.append(one(0.3 + 0.001 * len(rows), **where, **fields))
    return rows


@pytest.fixture
def gathered(tmp_path):
    """Makes a frame of rows in the way that notebooks do, through a page and its file."""

    def gather(*rows):
        page = Page("05", tmp_path, context={})
        page.rows(rows)
        page.write()
        collect(tmp_path)
        return read_results(*(tmp_path / name for name in MERGED))

    return gather


def test_sweeps_do_not_enter_the_headline(results, gathered):
    settings = [("tau_s", ("0.1", "0.5")), ("paired_fraction", ("0.2", "1.0")), ("k", ("1", "50"))]
    more = gathered(*(r for param, values in settings for r in swept(param, values, ALIGNED)))
    few = [one(0.5, system="EMBridge", classes="in", protocol="LP", param="shots_fraction", param_value="0.5", draw=d,
               n_train=40, options="unit=recordings") for d in range(2)]  # fmt: skip
    steps = ZS | {"options": "corpus=class set, same steps"}
    size = [one(0.5, system="CPEP", classes="unseen", batch_size=b, **steps) for b in (256, 512)]
    both = pd.concat([results, more, gathered(*few, *size)], ignore_index=True)
    for name in ("table2", "table3", "galleries", "cpep_main"):
        pd.testing.assert_frame_equal(printed(name, both, "simulated"), printed(name, results, "simulated"))


def test_sensitivity_has_a_row_for_each_value(gathered, monkeypatch):
    monkeypatch.setitem(grids.DEFAULTS, "tau_s", "0.1")  # whatever D_tune chose
    values = ("0.5", "0.1", "0.05")
    rows = [*swept("tau_s", values), *swept("k_c", ("all", "10", "5")), *swept("metric", ("cosine",))]
    cells = tables.numbers("fig4", gathered(*rows), "simulated")
    assert list(dict.fromkeys(cells["param"])) == ["tau_s", "k_c"]  # a single metric is no sweep
    assert cells[cells["param"] == "k_c"]["param_value"].unique().tolist() == ["5", "10", "all"]
    assert set(cells.loc[cells["default"], "param_value"]) == {"0.1", "5"} and len(cells) == 3 * 4 + 3 * 4
    table = printed("fig4", gathered(*rows), "simulated").set_index(["param", "param_value"])
    assert table.columns.tolist() == ["LP in", "LP unseen", "ZS in", "ZS unseen", "source"]
    assert table.loc[("tau_s", "0.1 (default)"), "ZS unseen"] == "0.31 [0.21, 0.41]"

    rows = gathered(*rows, *swept("k", ("10", "1")))  # of which 10 is the system as it is, with the metric "dot", too
    cells = tables.numbers("fig4", rows, "simulated")
    assert list(dict.fromkeys(cells["param"])) == ["tau_s", "k_c", "metric", "k"]
    assert set(cells.loc[cells["default"], "param_value"]) == {"0.1", "5", "dot", "10"}
    assert set(cells.loc[cells["param"] == "k", "protocol"]) == {"ZS"}
    assert len(cells) == 3 * 4 + 3 * 4 + 2 * 4 + 2 * 2
    table = printed("fig4", rows, "simulated").set_index(["param", "param_value"])
    assert table.loc[("k", "1"), "LP in"] == "–"


@pytest.mark.parametrize(
    ("name", "usual", "others"), [("long", "0.75", ["0.25", "0.5"]), ("paper", "0.5", ["0.25", "0.75"])]
)
def test_a_sweep_over_r_marks_the_value_that_its_profile_has(gathered, name, usual, others):
    rows = gathered(*swept("k", ("10",), profile=name), *swept("r", others, profile=name))
    cells = tables.numbers("fig4", rows, "simulated")
    assert cells.loc[cells["param"] == "r", "param_value"].unique().tolist() == sorted([usual, *others])
    assert cells.loc[(cells["param"] == "r") & cells["default"], "param_value"].unique().tolist() == [usual]


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_a_sweeps_usual_value_is_the_systems_own_row_and_counts_once(gathered, twice, monkeypatch):
    """Results of older versions hold the row again under every parameter's name."""
    monkeypatch.setitem(grids.DEFAULTS, "tau_s", "0.1")
    usual = {"LP": {"param": "C", "param_value": "1.0"}, "ZS": {}}
    own = [r | usual[r["protocol"]] for r in swept("k", ("10",), ALIGNED, profile="quick")]
    tuned = [r | {"options": "D_tune", "value": r["value"] + 0.1} for r in own if r["protocol"] == "ZS"]
    own += [r for r in tuned if r["system"] == "EMBridge"]
    members = swept("tau_s", ("0.5",), profile="quick") + swept("paired_fraction", ("0.4",), ALIGNED, profile="quick")
    members += [r | {"options": "D_tune"} for r in members if r["param"] == "tau_s" and r["protocol"] == "ZS"]
    members += [one(0.2, system="CPEP", classes="unseen", batch_size=512, profile="quick",
                    **ZS | {"options": "corpus=class set; same steps"})]  # fmt: skip
    again = [r | {"param": p, "param_value": v} for p, v in (("tau_s", "0.1"), ("paired_fraction", "1")) for r in own
             if p != "paired_fraction" or r["options"] != "D_tune"]  # fmt: skip
    both = {"batch_size": 256, "options": "corpus=class set; same epochs, same steps"}
    again += [r | both for r in own if r["options"] == ZS["options"]]
    rows = gathered(*own, *members, *(again if twice else ()))
    value = {(r["system"], r["protocol"], r["classes"], r["options"]): r["value"] for r in own}

    cells = tables.numbers("fig4", rows, "simulated")
    assert cells["param_value"].tolist() == ["0.1"] * 4 + ["0.5"] * 4
    assert cells["value"].tolist()[:4] == [value["EMBridge", p, c, ZS["options"] * (p == "ZS")] for p, c in CELLS]
    assert set(cells["interval_kind"]) == {"95 % bootstrap over user"}  # of one row, not of a mean
    cells = constants.numbers(rows, "simulated")
    assert cells["param_value"].tolist() == ["0.1", "0.5"] and cells["default"].tolist() == [True, False]
    assert cells["in"].iloc[0] == value["EMBridge", "ZS", "in", "D_tune"]
    cells = tables.numbers("fig3c", rows, "simulated").query("fraction == 1")
    expected = [value[s, "ZS", c, ZS["options"]] for c in splits.SETS for s in ALIGNED]
    assert cells["value"].tolist() == expected
    cells = tables.numbers("table4", rows, "simulated").query("batch_size == 256")
    assert cells["value"].tolist() == [value[s, "ZS", "unseen", ZS["options"]] for s in ALIGNED for _ in range(2)]


def trained_with_seeds(system, skills, *, own=1, **where):
    """Zero-shot and probe rows on unseen gestures of a seed a skill: the first ``own`` this run's, others committed."""
    rows = []
    for (seed, skill), protocol in itertools.product(enumerate(skills), ("ZS", "LP")):
        how = ZS | {"param": "k", "param_value": 10} if protocol == "ZS" else {"protocol": "LP", "param": "C"}
        how = BASE | how | {"system": system, "classes": "unseen", "seed": seed, "n_classes": 4, "n_resamples": 50}
        y, pred, users = predictions(seed=100 * seed + len(system), skill=skill)
        found = evaluate_predictions(y, pred, users, recalls=True, **how | where)
        rows += [r | {"origin": "" if seed < own else f"{ORIGIN}{seed % 2}"} for r in found]
    return rows


@pytest.mark.parametrize(("name", "whole", "part"), [
    ("table3", "EMBridge", "EMBridge w/o MPRL"), ("cpep_ablation", "CPEP", "CPEP, EMG encoder frozen"),
])  # fmt: skip
def test_an_ablation_compares_means_over_all_seeds_there_are_and_says_how_many(gathered, name, whole, part):
    """The whole system's first seed is this run's, its others and the part's are committed."""
    own, parts = trained_with_seeds(whole, (0.3, 0.5, 0.7)), trained_with_seeds(part, (0.2, 0.3, 0.4), own=0)
    rows = gathered(*own, *parts)
    cells = tables.numbers(name, rows, "simulated")
    found = cells[cells["classes"] == "unseen"].set_index(["system", "protocol"])
    for system, protocol in itertools.product((whole, part), ("ZS", "LP")):
        line, scores = found.loc[(system, protocol)], table_cells.choose(
            rows.assign(origin=""), "simulated", protocol=protocol, classes="unseen", system=system
        )  # fmt: skip
        mean = scores.loc[scores["metric"] == "balanced_accuracy", "value"]
        assert line["seeds"] == len(mean) == 3 and line["value"] == pytest.approx(mean.mean())
        spread = differences.seed_spread(rows, "simulated", protocol, "unseen")  # of ALIGNED, for all that align
        users = st.bootstrap_over_seeds(table_cells.recall_counts(scores)[0], spread=spread)
        assert (line["low"], line["high"]) == pytest.approx(np.clip(users[1:], 0, 1))
        assert line["origin"] == f"{ORIGIN}0; {ORIGIN}1"  # of seeds 1 and 2, or of all three
    printed = tables.text(name, cells).set_index("system")
    named = "CASCLe (EMBridge)" if name == "table3" else whole
    assert printed.loc[[named, part], "seeds"].tolist() == ["3", "3"] and printed["seeds"].iloc[0] == "–"
    beside = comparisons.seeds_table(rows, "simulated", systems=(whole,)).set_index(["protocol", "classes"])
    assert printed.loc[named, "ZS unseen"].split(" | ")[0] == beside.loc[("ZS", "unseen"), "mean over seeds"]

    (line,) = (
        differences.seed_differences(rows, "simulated", [(part, whole)]).query("protocol == 'ZS'").to_dict("records")
    )
    assert line["seeds"] == 3
    assert line["difference"] == pytest.approx(found.loc[(part, "ZS"), "value"] - found.loc[(whole, "ZS"), "value"])
    # with one seed of each the table says nothing of seeds
    alone = tables.numbers(name, gathered(*(r for r in [*own, *parts] if r["seed"] == 0)), "simulated")
    assert "seeds" not in alone and "seeds" not in tables.text(name, alone)
    fewer = [r for r in [*own, *parts] if r["seed"] == 0 or (r["system"], r["protocol"]) == (part, "ZS")]
    mixed = tables.text(name, tables.numbers(name, gathered(*fewer), "simulated")).set_index("system")
    assert mixed.loc[[named, part], "seeds"].tolist() == ["1", "1 to 3"]


def test_other_tables_keep_to_this_run_s_seed_where_it_has_one(gathered):
    rows = gathered(*trained_with_seeds("CPEP", (0.3, 0.7)))
    first = value(rows, system="CPEP", seed=0, **ZS)["value"]
    assert set(tables.numbers("table2", rows, "simulated")["seeds"].dropna()) == {2}
    for name in ("galleries", "corpora"):
        cells = tables.numbers(name, rows, "simulated")
        assert "seeds" not in cells and cells.loc[cells["value"].notna(), "origin"].eq("").all()
        assert first in cells["value"].tolist()


def test_a_sweep_s_usual_value_has_the_seeds_of_its_members(gathered, monkeypatch):
    """Trainings of one seed start from the same autoencoders: a mean over seeds beside one differs by its luck, too."""
    monkeypatch.setitem(grids.DEFAULTS, "tau_s", "0.1")
    usual = [one(0.3 + 0.1 * s, system="EMBridge", classes="in", seed=s, origin=ORIGIN if s else "",
                 **ZS | {"param": "k", "param_value": 10}) for s in range(3)]  # fmt: skip
    member = {"system": "EMBridge", "param": "tau_s", "param_value": "0.5", "origin": ORIGIN, "classes": "in"}
    rows = gathered(*usual, one(0.5, **ZS | member))
    cells = tables.numbers("fig4", rows, "simulated").dropna(subset="value").set_index("param_value")
    assert "seeds" not in cells and cells["value"].to_dict() == pytest.approx({"0.1": 0.3, "0.5": 0.5})
    assert set(cells["interval_kind"]) == {"95 % bootstrap over user"}
    every = table_cells.sweep(rows, "simulated", "EMBridge", "tau_s", every=True)
    assert every["param_value"].value_counts().to_dict() == {"0.1": 3, "0.5": 1}
    rows = gathered(*usual, one(0.5, **ZS | member), one(0.6, **ZS | member | {"param_value": "0.2", "seed": 2}))
    cells = tables.numbers("fig4", rows, "simulated").dropna(subset="value").set_index("param_value")
    assert cells["seeds"].to_dict() == {"0.1": 2, "0.2": 1, "0.5": 1} and cells.loc["0.1", "low"] < 0.3
    assert cells["value"].to_dict() == pytest.approx({"0.1": 0.4, "0.2": 0.6, "0.5": 0.5})
    table = tables.text("fig4", tables.numbers("fig4", rows, "simulated")).set_index("param_value")
    assert table["seeds"].to_dict() == {"0.1 (default)": "2", "0.2": "1", "0.5": "1"}
    alien = gathered(*usual, one(0.5, **ZS | member | {"seed": 7}))  # a seed that the system itself does not have
    cells = tables.numbers("fig4", alien, "simulated").dropna(subset="value").set_index("param_value")
    assert cells["seeds"].to_dict() == {"0.1": 3, "0.5": 1}


def test_the_defaults_that_sweeps_mark_are_those_of_the_configuration():
    objective, model = EXPERIMENTS["EMBridge"].minimises(profile("long")), ModelConfig()
    words = {"metric": objective.affinity, "q": "renormalised" if objective.renormalise_q else "with the positive"}
    assert words.items() <= grids.DEFAULTS.items()
    assert {k: v for k, v in grids.DEFAULTS.items() if k not in words} == {
        name: f"{value:g}"
        for name, value in {
            "tau_s": objective.tau_s, "k_c": objective.k_c, "alpha": objective.alpha, "lambda": objective.lam,
            "r": objective.mask_ratio, "M": model.n_queries, "gain": model.query_gain, "k": EvalConfig().k,
        }.items()
    }  # fmt: skip


def differing(option, alternative, *numbers, system="EMBridge", **fields):
    """Rows of differences, (protocol, classes, value, low, high) each."""
    return [
        one(v, metric=differences.DIFFERENCE, system=system, param=option, param_value=alternative, protocol=p,
            classes=c, low=low, high=high, gallery="all" if p == "ZS" else "", **fields)
        for p, c, v, low, high in numbers
    ]  # fmt: skip


def test_differences_over_seeds_are_paired_by_seed_and_user(gathered):
    rng, rows, y = np.random.default_rng(0), [], np.tile(np.arange(4), 30)
    users = np.repeat([f"u{i}" for i in range(6)], 20)
    fields = {"n_classes": 4, "dataset": "simulated", "profile": "quick", "classes": "in"} | ZS
    right = {}
    for seed, system in itertools.product(range(3), ("EMBridge", "CPEP")):
        predicted = np.where(rng.random(120) < 0.5 + 0.1 * seed * (system == "CPEP"), y, (y + 1) % 4)
        right[system, seed] = st.balanced_accuracy(y, predicted, 4)
        origin = {"origin": ORIGIN if seed else ""}
        found = evaluate_predictions(y, predicted, users, system=system, seed=seed, recalls=True, **fields)
        rows += [r | origin for r in found]
    table = differences.seed_differences(gathered(*rows), "simulated", [("EMBridge", "CPEP"), ("EMBridge", "Q-Former")])
    (line,) = table.to_dict("records")  # no other cell has rows, and no second pair
    assert (line["systems"], line["protocol"], line["classes"], line["seeds"]) == ("EMBridge - CPEP", "ZS", "in", 3)
    assert line["difference"] == pytest.approx(np.mean([right["EMBridge", s] - right["CPEP", s] for s in range(3)]))
    assert line["low"] < line["difference"] < line["high"]
    less = [r for r in rows if (r["system"], r["seed"]) != ("CPEP", 2)]
    (line,) = differences.seed_differences(gathered(*less), "simulated", [("EMBridge", "CPEP")]).to_dict("records")
    assert line["seeds"] == 2  # no third pair
    assert line["difference"] == pytest.approx(np.mean([right["EMBridge", s] - right["CPEP", s] for s in range(2)]))
    lonely = [r for r in rows if r["system"] == "EMBridge" or r["seed"] == 1]
    luck = differences.seed_spread(gathered(*lonely), "simulated", "ZS", "in")
    (line,) = differences.seed_differences(gathered(*lonely), "simulated", [("EMBridge", "CPEP")]).to_dict("records")
    assert line["seeds"] == 1 and luck > 0 and line["high"] - line["difference"] > luck * 2**0.5  # once trained, too


def of_two_users(system, right, scores, **where):
    """Rows of zero-shot with a seed a score: each user's recall, of ten windows of each class, and the score itself."""
    rows = []
    for seed, score in enumerate(scores):
        how = {**ZS, "classes": "unseen", "system": system, "seed": seed} | where
        rows.append(one(score, **how))
        cells = itertools.product(right.items(), range(4))
        more = {"metric": "user_recall", "n": 10, "low": None, "high": None}
        rows += [one(r, **how | more | {"user": user, "class": k}) for (user, r), k in cells]
    return rows


def test_users_that_the_papers_differences_would_need(gathered):
    """Differences of 0.4 and 0.2 in two users: of their resamples' means 0.4, 0.3, 0.3, 0.2 the interval is 0.3 +- 0.1.

    Seeds lie 0.002 apart in two systems, so a mean of three less another has 2.776445 x 0.002 x sqrt(2 / 3).
    """
    near = [0.500, 0.502, 0.504]
    rows = [*of_two_users("EMBridge", {"a": 0.9, "b": 0.7}, near), *of_two_users("CPEP", {"a": 0.5, "b": 0.5}, near)]
    (line,) = differences.users_needed(gathered(*rows), "simulated").to_dict("records")
    assert (line["systems"], line["protocol"], line["classes"], line["users"]) == ("EMBridge - CPEP", "ZS", "unseen", 2)
    seeds = 2.776445 * 0.002 * (2 / 3) ** 0.5
    assert (line["paper"], line["users_part"], line["seeds_part"]) == pytest.approx((0.047, 0.1, seeds))
    assert 2 * 0.1**2 / (0.0235**2 - seeds**2) == pytest.approx(37.6, abs=0.05) and line["needed"] == 38
    found = differences.users_needed(gathered(*rows), "simulated", [("CPEP", "EMBridge")])
    assert found["needed"].tolist() == [38] and found["paper"].tolist() == pytest.approx([-0.047])

    # Q-Former's difference, 0.03, is smaller, and its seeds lie so far apart that no number of users is enough
    far = of_two_users("Q-Former", {"a": 0.5, "b": 0.5}, [0.4, 0.5, 0.6])
    found = differences.users_needed(gathered(*rows, *far), "simulated").set_index("systems")
    assert np.isinf(found["needed"]).all() and len(found) == 2  # one spread for all, pooled
    never = differences.users_needed_line(found)
    told = "Of 2 differences that the papers report for EMBridge, 0 could be seen with the 2 test users here and three"
    assert never == f"{told} seeds; 2 not even with any number of users at three seeds."
    again = differences.users_needed_line(differences.users_needed(gathered(*rows), "simulated"))
    assert again.endswith("0 could be seen with the 2 test users here and three seeds; 1 with more users, at most 38.")


def test_what_no_second_seed_tells_is_not_told(gathered):
    rows = [*of_two_users("EMBridge", {"a": 0.9, "b": 0.7}, [0.5]), *of_two_users("CPEP", {"a": 0.5, "b": 0.5}, [0.5])]
    found = differences.users_needed(gathered(*rows), "simulated")
    assert found["needed"].isna().all() and len(found) == 1
    assert differences.users_needed_line(found).endswith("cannot be told here: nothing has a second seed.")
    none = differences.users_needed(gathered(*(r | {"dataset": "ninapro-db1"} for r in rows)), "ninapro-db1")
    assert none.empty and "no rows stand beside a paper's" in differences.users_needed_line(none)


def test_the_luck_of_a_training_is_told_where_seeds_are(gathered):
    rows = [one(v, system="CPEP", seed=s, **{"classes": "in"} | ZS) for s, v in enumerate((0.4, 0.5, 0.6))]
    assert differences.seed_spread(gathered(*rows), "simulated", "ZS", "in") == pytest.approx(4.302653 * 0.1)
    told = differences.seed_spread_line(gathered(*rows), "simulated")
    assert told.endswith("LP in 0.00, LP unseen 0.00, ZS in 0.43, ZS unseen 0.00.")
    assert differences.seed_spread_line(gathered(rows[0]), "simulated").endswith("nothing has a second seed.")


def test_verdicts_on_open_choices_are_those_of_their_numbers(gathered):
    frame = gathered(
        *differing("pose embedding", "mean", ("ZS", "in", -0.02, -0.06, 0.02), ("ZS", "unseen", 0.05, 0.01, 0.09)),
        *differing("MPRL pass", "rerun", ("LP", "in", 0.03, -0.01, 0.07), ("ZS", "in", -0.04, -0.09, 0.01)),
        *differing("InfoNCE", "one-way", ("LP", "unseen", -0.07, -0.1, -0.001), system="CPEP", origin=ORIGIN),
        *differing("hands", "prompted", *((p, c, 0.0, 0.0, 0.0) for p in ("LP", "ZS") for c in ("in", "unseen"))),
        *differing("temperature", "fixed", ("LP", "in", 0.3, None, None)),
        one(0.9, system="EMBridge", param="MPRL pass", param_value="rerun", protocol="LP", classes="in"),
    )
    choices = [c for c in OPEN_CHOICES if c.alternative != "window"]
    cells = open_choices.numbers(frame, "simulated", choices)
    assert len(cells) == sum(2 * len(c.protocols) for c in choices) and cells["value"].count() == 10
    verdicts = open_choices.verdicts(cells)
    assert list(verdicts) == list(dict.fromkeys(c.option for c in OPEN_CHOICES))
    assert verdicts["pose embedding"] == ("Matters: mean, zero-shot unseen +0.05 [+0.01, +0.09]. No rows yet: centred.")
    assert verdicts["MPRL pass"] == (
        "Does not matter beyond the intervals here; the largest difference is rerun, zero-shot in -0.04 [-0.09, +0.01]."
    )
    told = "one-way (CPEP), probe unseen -0.07 [-0.10, -0.00]"
    assert verdicts["InfoNCE"] == f"Matters: {told}. No rows yet: symmetric (EMBridge)."
    assert verdicts["hands"].startswith("Changes nothing") and verdicts["temperature"].startswith("Cannot tell")
    assert verdicts["MPRL target"] == "No rows yet."
    assert verdicts["gallery corpus"] == "No rows yet."
    none = open_choices.verdicts(cells[cells["option"] == "hands"])["MPRL target"]
    assert none == "Not measured here."

    table = open_choices.text(cells).set_index(["option", "alternative", "of"])
    assert len(table) == len(choices)
    assert table.loc[("pose embedding", "mean", "EMBridge"), ["ZS unseen", "LP in"]].tolist() == [
        "+0.05 [+0.01, +0.09]", "–",
    ]  # fmt: skip
    assert table.loc[("gallery exclusion", "not-self", "EMBridge"), ["LP in", "ZS in"]].tolist() == ["same", "–"]
    assert table.loc[("InfoNCE", "one-way", "CPEP"), "LP unseen"].endswith("-0.00] †")
    assert table.attrs["footnotes"] == (f"† {ORIGIN}",)
    written = table["verdict"][table["verdict"] != ""]
    assert dict(zip(written.index.get_level_values(0), written, strict=True)) == verdicts


def test_data_efficiency_has_the_papers_number_for_the_whole_set(gathered):
    rows = gathered(*swept("paired_fraction", ("1.0", "0.2", "0.6"), ALIGNED))
    cells = tables.numbers("fig3c", rows, "simulated")
    assert len(cells) == 2 * 3 * 3 and cells["fraction"].unique().tolist() == [0.2, 0.6, 1.0]
    assert cells.loc[cells["paper_value"].notna(), "fraction"].unique().tolist() == [1.0]
    table = printed("fig3c", rows, "simulated").set_index(["classes", "system"])
    assert table.columns.tolist() == ["0.2", "0.6", "1.0", "source"]
    assert table.loc[("unseen", "EMBridge"), "1.0"].endswith("] | paper 0.528")
    assert table.loc[("unseen", "EMBridge"), "0.2"].endswith("]")


def test_table_4_tells_the_same_epochs_from_the_same_steps(gathered):
    rows = []
    for size, options in ((256, "same epochs, same steps"), (512, "same epochs"), (512, "same steps")):
        more = ZS | {"options": f"corpus=class set, {options}", "batch_size": size, "param": "batch_size"}
        rows.append(one(0.4 + 0.1 * len(rows), system="CPEP", classes="unseen", param_value=size, **more))
    tuned = ZS | {"options": "D_tune; same epochs", "batch_size": 512}
    rows.append(one(0.9, system="CPEP", classes="unseen", **tuned))  # D_tune's is none of these
    table = printed("table4", gathered(*rows), "simulated").set_index(["system", "convention"])
    assert table.columns.tolist() == ["batch size 256", "batch size 512", "batch size 1024", "source"]
    assert table.loc[("CPEP", "same epochs")].tolist() == [
        "0.40 [0.30, 0.50] | paper 0.481", "0.50 [0.40, 0.60] | paper 0.413", "– | paper 0.316", "E Table 4",
    ]  # fmt: skip
    assert table.loc[("CPEP", "same steps"), "batch size 512"] == "0.60 [0.50, 0.70] | not in the source"
    assert table.loc[("CPEP", "same steps"), "batch size 256"] == "0.40 [0.30, 0.50] | not in the source"
    # the headline's row has the profile's own batch size, smoke's 64
    own = printed("table4", gathered(*rows, one(0.9, system="CPEP", classes="unseen", **ZS)), "simulated")
    own = own.set_index(["system", "convention"]).loc["CPEP"]
    assert own["batch size 64"].str.startswith("0.90").all() and own["batch size 256"].str.startswith("0.40").all()


def test_few_shot_is_mean_and_deviation_over_draws(gathered):
    values = {0.5: (0.3, 0.4, 0.5), 1.0: (0.6,)}
    rows = gathered(*(
        one(v, system="EMBridge", classes="unseen", protocol="LP", param="shots_fraction", param_value=f, draw=d,
            n_train=int(80 * f), options=f"unit={unit}")
        for f, draws in values.items() for d, v in enumerate(draws) for unit in ("recordings", "windows")
    ))  # fmt: skip
    half, whole = tables.numbers("fig8", rows, "simulated").to_dict("records")
    assert (half["value"], half["low"], half["high"]) == pytest.approx((0.4, 0.3, 0.5))  # SD of 0.3, 0.4, 0.5 is 0.1
    assert (half["shots"], half["draws"], half["interval_kind"]) == (40, 3, "± SD over draws")
    assert np.isnan(whole["low"]) and (whole["shots"], whole["draws"]) == (80, 1)
    table = printed("fig8", rows, "simulated")
    assert table["EMBridge"].tolist() == ["0.40 [0.30, 0.50] | not in the source", "0.60 | paper 0.505"]
    assert table["shots"].tolist() == [40, 80]


def test_fractions_of_as_many_shots_are_one_point(gathered):
    how = {"system": "CPEP", "classes": "in", "protocol": "LP", "param": "shots_fraction", "options": "unit=recordings"}
    rows = [
        one(v, param_value=f, n_train=n, draw=0, **how) for f, n, v in ((0.1, 1, 0.3), (0.2, 1, 0.4), (1.0, 5, 0.6))
    ]
    cells = tables.numbers("fig8", gathered(*rows), "simulated")
    assert cells[["fraction", "shots", "value"]].values.tolist() == [[0.2, 1, 0.4], [1.0, 5, 0.6]]


def test_regression_error_is_in_degrees(gathered):
    error = {"metric": "angle_error_deg", "protocol": "regression"}
    values = (("PoseT", "in", 12.34), ("PoseT", "unseen", 15.0), ("Vemg2pose, tracking", "in", 9.0))
    rows = gathered(*(one(v, system=s, classes=c, **error) for s, c, v in values))
    table = printed("regression", rows, "simulated").set_index("system")
    assert table.index.tolist() == ["PoseT", "NeuroPose", "emg2pose", "Vemg2pose", "Vemg2pose, tracking"]
    assert table.loc["PoseT"].tolist() == ["12.3 [12.2, 12.4]", "15.0 [14.9, 15.1]", "not in the source"]
    assert table.loc["Vemg2pose, tracking", "unseen"] == "–"


# ---- where a cell is from ---------------------------------------------------------------------------------------


def test_cells_of_a_committed_run_are_marked_and_explained(gathered):
    later = "long run, 2026-11-22, def5678"
    own = one(0.5, system="EMBridge", classes="in", **ZS)
    first = one(0.6, system="EMBridge w/o MPRL", classes="in", origin=ORIGIN, **ZS)
    second = one(0.7, system="SoftCLIP", classes="in", origin=later, **ZS)
    table = printed("table3", gathered(own, first), "simulated").set_index("system")
    assert table.loc["EMBridge w/o MPRL", "ZS in"] == "0.60 [0.50, 0.70] | paper 0.764 †"
    assert table.loc["CASCLe (EMBridge)", "ZS in"] == "0.50 [0.40, 0.60] | paper 0.777"
    assert table.loc["SoftCLIP", "ZS in"] == "– | paper 0.760"
    assert table_cells.markdown(table).endswith(f"|\n\n† {ORIGIN}\n")
    several = printed("table3", gathered(own, first, second), "simulated")
    assert several["ZS in"].str.contains("†1").sum() == several["ZS in"].str.contains("†2").sum() == 1
    assert table_cells.markdown(several).endswith(f"\n\n†1 {ORIGIN}\n\n†2 {later}\n")
    cells = tables.numbers("table3", gathered(own, first), "simulated")
    assert table_cells.footnotes(cells) == (f"† {ORIGIN}",)
    assert cells.loc[cells["value"].notna(), "origin"].tolist() == [ORIGIN, ""]
    assert "†" not in table_cells.markdown(printed("table3", gathered(own), "simulated"))


def test_a_row_of_this_run_stands_for_committed_ones(gathered):
    """Rows of "long" lie beside those of "quick": a mean over both would be neither."""
    committed = [one(0.9, profile="long", seed=s, system="EMBridge", classes="in", origin=ORIGIN, **ZS) for s in (0, 1)]
    committed += [one(0.8, profile="long", seed=s, system="CPEP", classes="in", origin=ORIGIN, **ZS) for s in (0, 1)]
    rows = gathered(one(0.5, system="EMBridge", classes="in", **ZS), *committed)
    table = tables.text("table2", tables.headline_rows(rows, "simulated")).set_index("system")
    assert table.loc["EMBridge", "ZS in"] == "0.50 [0.40, 0.60] | paper 0.777"
    assert table.loc["CPEP", "ZS in"].startswith("0.80 [") and table.loc["CPEP", "ZS in"].endswith("| paper 0.757 †")
    kinds = tables.headline_rows(rows, "simulated").dropna(subset="value").set_index("system")["interval_kind"]
    assert not kinds.str.contains("seeds").any()  # a line beside the run's own is of its seed
    alone = tables.headline_rows(gathered(*committed), "simulated").dropna(subset="value").set_index("system")
    assert alone["interval_kind"].str.startswith("95 %, 2 seeds").all()


def test_numbers_that_a_source_only_estimates_are_told_apart(results):
    table = printed("cpep_main", results, "simulated").set_index("system")
    assert table.loc["EMG-MAE", "LP in"].endswith("| paper ~0.55")
    assert table.loc["EMG-MAE", "source"] == "C, approx., secondary source"
    assert table.loc["Vemg2pose (C: emg2pose)", "LP in"] == "– | paper 0.647"
    ablation = printed("cpep_ablation", results, "simulated").set_index("system")
    assert ablation.loc["CPEP, average pooling", "ZS in"] == "– | paper 0.711"
    assert ablation.loc["CPEP, both encoders trained"].tolist() == ["– | not in the source"] * 4 + ["not in the source"]


def test_cpeps_gain_is_the_ratio_of_two_probes(gathered):
    probe = {"classes": "in", "protocol": "LP", "param": "C"}
    rows = gathered(one(0.6, system="CPEP", **probe), one(0.4, system="Vemg2pose", origin=ORIGIN, **probe),
                    one(0.1, system="emg2pose", **probe))  # fmt: skip
    table = printed("cpep_gain", rows, "simulated")
    assert table.iloc[0].tolist() == [
        "CPEP over Vemg2pose (C: emg2pose)", "0.50 | paper 0.210 †", "– | paper 0.720", "C, per a summary",
    ]  # fmt: skip
    assert table.attrs["footnotes"] == (f"† {ORIGIN}",)


def test_both_datasets_stand_in_one_table_2(results):
    table = tables.text(
        "table2", pd.concat([tables.numbers("table2", results, d) for d in ("simulated", "simulated-ninapro")])
    )
    assert len(table) == 13 + 10 and table["dataset"].unique().tolist() == ["simulated", "simulated-ninapro"]
    ninapro = table[table["dataset"] == "simulated-ninapro"].set_index("system")
    assert ninapro.loc["EMBridge"].tolist()[2:] == [
        "– | paper 0.703", "– | paper 0.492", "– | paper 0.692", "– | paper 0.447",
        "E Table 2, unlabelled row (inferred)",
    ]  # fmt: skip
    none = "– | not in the source"
    quoted = [none, none, "– | paper 0.604", "– | paper 0.413", "E's final version, secondary source"]
    assert ninapro.loc["CPEP"].tolist()[2:] == quoted
    assert set(ninapro.loc["Q-Former"].tolist()[2:]) == {none, "not in the source"}
    assert not {"NeuroPose", "emg2pose", "Vemg2pose"} & set(ninapro.index), "E has no row of them here"


# ---- classes, users, Markdown -----------------------------------------------------------------------------------


def test_class_f1_table(results):
    table = printed("class_f1", results, "simulated").set_index("class")
    assert table.columns.tolist() == ["CPEP", "Q-Former", "EMBridge", "source"]
    assert table.index.tolist() == [0, 1, 2, 3] and table["source"].tolist() == ["not in the source", "E 3.3"] * 2
    own = value(results, "class_f1", system="EMBridge", **ZS, **{"class": 3})["value"]
    assert table.loc[3, "EMBridge"] == f"{own:.2f} | paper 0.504"
    assert table.loc[0, "CPEP"].endswith("| not in the source")


def test_user_gain_table(results):
    table = comparisons.user_gain_table(results, "simulated")
    users = [f"{i:03d}" for i in range(6)]
    assert table.index.tolist() == [*users, "mean", "overall", "paper, mean", "paper, overall"]
    f1 = {s: [value(results, "user_f1", system=s, user=u, **ZS)["value"] for u in users] for s in ALIGNED}
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
    table = comparisons.user_gain_table(zero, "simulated")
    assert np.isnan(table.loc["000", "gain over CPEP"])  # a gain over nothing is undefined, not infinite
    assert table.loc["mean", "gain over CPEP"] == pytest.approx(gains[1:].mean())


def test_markdown_escapes_bars_and_shows_named_indices():
    frame = pd.DataFrame({"a": [0.123, np.nan], "b": ["x | y", "two\nlines"]})
    assert table_cells.markdown(frame) == ("| a | b |\n| --- | --- |\n| 0.12 | x \\| y |\n| – | two lines |\n")
    named = frame.set_axis(pd.Index(["p", "q"], name="user"))
    assert table_cells.markdown(named).startswith("| user | a | b |\n| --- | --- | --- |\n| p | 0.12 |")


def test_each_subject_of_db1_and_their_mean_are_told_where_there_are_several():
    def recalls(subject, seed, *of_class, protocol="LP", gallery=""):
        about = BASE | {"dataset": "ninapro-db1", "system": "CPEP", "protocol": protocol, "classes": "in", "seed": seed}
        about |= {"gallery": gallery, "pooling": "max" if gallery else "", "param": "k" if gallery else "C", "n": 4}
        about |= {"param_value": 5 if gallery else 1.0, "options": "corpus=class set" if gallery else ""}
        score = row(**about, metric="balanced_accuracy", value=0.5, low=0.4, high=0.6)
        groups = [(f"{subject}/E1-02/{r}", k, v) for k, pair in enumerate(of_class) for r, v in enumerate(pair)]
        about["metric"] = "user_recall"
        return [score] + [row(**about | {"user": user, "class": k, "value": v}) for user, k, v in groups]

    both = recalls("S1", 0, (1.0, 0.5), (0.0, 0.0)) + recalls("S2", 0, (1.0, 1.0), (0.5, 0.5))[1:]
    both += recalls("S1", 1, (1.0, 1.0), (0.5, 0.0)) + recalls("S2", 1, (1.0, 1.0), (1.0, 1.0))[1:]
    both += recalls("S1", 0, (0.5, 0.5), protocol="ZS", gallery="other-repetitions")
    both += recalls("S2", 0, (1.0, 1.0), protocol="ZS", gallery="other-repetitions")[1:]
    found = comparisons.subjects_table(as_frame(both), "ninapro-db1", systems=("CPEP", "EMBridge"))
    assert found["protocol"].tolist() == ["LP", "ZS"] and found["gallery"].tolist() == ["", "other-repetitions"]
    assert found.loc[0, ["S1", "S2", "mean"]].tolist() == [0.5, 0.875, 0.6875]  # by hand: a mean over seeds first
    assert found.loc[1, ["S1", "S2", "mean"]].tolist() == [0.5, 1.0, 0.75]
    alone = as_frame(recalls("S1", 0, (1.0, 0.5)))
    assert comparisons.subjects_table(alone, "ninapro-db1", systems=("CPEP",)).empty
    users = as_frame([r | {"user": r["user"].split("/")[0]} for r in recalls("0001", 0, (1.0,))])
    assert comparisons.subjects_table(users, "ninapro-db1", systems=("CPEP",)).empty
