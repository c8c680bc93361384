"""The claims table: every verdict's rule on made-up rows, and that the committed rows answer every claim."""

import csv
import itertools

import numpy as np
import pandas as pd
import pytest

from embridge import statistics as st
from embridge.experiments import EXPERIMENTS
from embridge.paper import claims
from embridge.paper.claims import Evidence, Number
from embridge.paper.claims_list import CLAIMS, Cell, Claim, Comparison, beats, over
from embridge.paper.numbers import CELLS
from embridge.paper.results import CONSTANT, IMPROVING, MERGED, STOPPED, read_results, row
from embridge.paper.scoring import evaluate_predictions
from embridge.run.cli import ROOT
from runner import report

SHARE = "share of users with a higher F1 less 0.5"
pytestmark = pytest.mark.no_cover  # pandas traced; the committed rows, which a fixture reads, cover it

ZS = {
    "protocol": "ZS",
    "gallery": "all",
    "pooling": "max",
    "options": "corpus=class set",
    "param": "k",
    "param_value": 10,
}
COMMITTED = [ROOT / "figures" / "simulated-quick" / name for name in MERGED]


def one(system, value, half=0.1, **fields):
    """A row of zero-shot on unseen gestures with an interval of ``half`` to either side."""
    given = {"dataset": "simulated", "profile": "quick", "seed": 0, "metric": "balanced_accuracy", "classes": "unseen"}
    bounds = {} if half is None else {"low": value - half, "high": value + half}
    return row(**given | ZS | {"system": system, "value": value} | bounds | fields)


def frame(*rows):
    return pd.DataFrame(list(rows)).astype({c: "Int64" for c in ("seed", "class", "true", "predicted", "batch_size")})


def told(claim, *rows):
    return claims.verdict(claim, Evidence(frame(*rows), "simulated"))


def claim(*comparisons, **more):
    return Claim("a claim", "E 0", tuple(comparisons), **more)


BETTER = claim(*beats(["EMBridge"], ["CPEP"], [("ZS", "unseen")]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [((0.8, 0.5), "holds"), ((0.5, 0.8), "does not hold"), ((0.6, 0.5), "cannot tell on this dataset")],
)
def test_a_difference_holds_only_beyond_both_intervals_in_quadrature(values, expected):
    found = told(BETTER, one("EMBridge", values[0]), one("CPEP", values[1]))
    assert found["verdict"] == expected
    assert (found["claim"], found["source"], found["origin"]) == ("a claim", "E 0", "this run")
    half = 0.1 * 2**0.5
    d = values[0] - values[1]
    assert f"EMBridge over CPEP, ZS unseen {d:+.3f} [{d - half:.3f}, {d + half:.3f}]" in found["numbers"]
    assert "paired" not in found["numbers"]


def test_each_side_of_an_uneven_interval_counts_where_it_points():
    """0.5 [0.4, 0.9] less 0.2 [0.1, 0.6]: down 0.1 and up 0.4 on either side."""
    rows = [one("EMBridge", 0.5, low=0.4, high=0.9), one("CPEP", 0.2, low=0.1, high=0.6)]
    found, paired = Evidence(frame(*rows), "simulated").difference(BETTER.comparisons[0].terms)
    assert not paired and found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - np.hypot(0.1, 0.4), 0.3 + np.hypot(0.4, 0.1)))
    doubled = ((2, Cell("EMBridge", "ZS", "unseen")), (-1, 0.25))  # weights scale, constants have no spread
    found, _ = Evidence(frame(*rows), "simulated").difference(doubled)
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.75 - 0.2, 0.75 + 0.8))


def test_several_comparisons_hold_together_and_fall_one_by_one():
    both = claim(*beats(["EMBridge"], ["CPEP", "Q-Former"], [("ZS", "unseen")]))
    ours = one("EMBridge", 0.6, 0.01)
    assert told(both, ours, one("CPEP", 0.5, 0.01), one("Q-Former", 0.4, 0.01))["verdict"] == "holds"
    assert told(both, ours, one("CPEP", 0.7, 0.01), one("Q-Former", 0.4, 0.01))["verdict"] == "does not hold"
    assert told(both, ours, one("CPEP", 0.5, 0.2), one("Q-Former", 0.4, 0.01))["verdict"].startswith("cannot tell on")
    # a missing row leaves it open, unless another comparison has already decided
    assert told(both, ours, one("CPEP", 0.5, 0.01))["verdict"] == "cannot tell: no rows of Q-Former yet"
    assert told(both, ours, one("CPEP", 0.7, 0.01))["verdict"] == "does not hold"


def test_no_rows_no_dataset_and_no_interval_cannot_tell():
    assert told(BETTER, one("PoseT", 0.5))["verdict"] == "cannot tell: no rows of EMBridge; CPEP yet"
    assert claims.verdict(BETTER, None)["verdict"] == "cannot tell: no rows of EMBridge; CPEP yet"
    found = told(BETTER, one("EMBridge", 0.9, None), one("CPEP", 0.1, None))
    assert found["verdict"] == "cannot tell on this dataset" and "+0.800 (no interval)" in found["numbers"]
    many = claim(*beats(["EMBridge"], ["A", "B", "C", "D", "E"], [("ZS", "unseen")]))
    assert told(many, one("EMBridge", 0.9))["verdict"] == "cannot tell: no rows of A; B; C and 2 more yet"


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [
        (0.52, 0.01, "holds"),  # clearly different, but by little
        (0.50, 0.10, "cannot tell on this dataset"),  # no difference seen is not yet robust
        (0.70, 0.01, "does not hold"),
        (0.30, 0.01, "does not hold"),
    ],
)
def test_robust_is_within_the_margin_not_a_failure_to_see(value, half, expected):
    robust = claim(*beats(["EMBridge"], ["CPEP"], [("ZS", "unseen")]), robust=True)
    assert told(robust, one("EMBridge", value, half), one("CPEP", 0.5, 0.01))["verdict"] == expected


def ended(system, how, **more):
    where = {"dataset": "simulated", "profile": "long", "seed": 0, "protocol": "regression", "metric": "epochs"}
    return row(**where | {"system": system, "value": 34, "options": how} | more)


UNFINISHED = "cannot tell: baseline not trained to its end"
WITH_BASELINES = claim(*beats(["EMBridge"], ["EMG-MAE", "PoseT", "Vemg2pose"], [("ZS", "unseen")]))


@pytest.mark.parametrize(
    ("values", "endings", "expected"),  # of EMG-MAE, PoseT and Vemg2pose, where EMBridge has 0.8
    [
        ((0.5, 0.5, 0.5), {"PoseT": STOPPED, "Vemg2pose": STOPPED}, "holds"),
        ((0.5, 0.5, 0.5), {"PoseT": STOPPED, "Vemg2pose": IMPROVING}, f"{UNFINISHED} (Vemg2pose)"),
        ((0.5, 0.5, 0.5), {"PoseT": STOPPED}, f"{UNFINISHED} (Vemg2pose)"),  # its row says nothing
        ((0.5, 0.5, 0.5), {"PoseT": STOPPED, "Vemg2pose": CONSTANT}, f"{UNFINISHED} (Vemg2pose, {CONSTANT})"),
        ((0.5, 0.5, 0.5), {"PoseT": CONSTANT}, f"{UNFINISHED} (PoseT, {CONSTANT}; Vemg2pose)"),
        ((0.5, 0.9, 0.9), {}, f"{UNFINISHED} (PoseT; Vemg2pose)"),
        ((0.5, 0.9, 0.5), {"PoseT": STOPPED, "Vemg2pose": STOPPED}, "does not hold"),
        ((0.9, 0.5, 0.5), {"PoseT": IMPROVING}, "does not hold"),  # by a baseline that regresses nothing
        ((0.5, 0.5, None), {"PoseT": IMPROVING}, "cannot tell: no rows of Vemg2pose yet"),
    ],
)
def test_a_comparison_with_a_regressor_counts_only_where_its_validation_stopped(values, endings, expected):
    scored = zip(("EMG-MAE", "PoseT", "Vemg2pose"), values, strict=True)
    rows = [one("EMBridge", 0.8, 0.01), *(one(s, v, 0.01) for s, v in scored if v)]
    rows += [ended(system, how, origin="long run, 2026-11-21, abc1234") for system, how in endings.items()]
    found = told(WITH_BASELINES, *rows)
    assert found["verdict"] == expected
    # what does not count is open, whatever its interval
    shown = [part.split(" over ")[1].split(",")[0] for part in found["numbers"].split("; ") if "could have" in part]
    not_counted = [s for s in ("PoseT", "Vemg2pose") if endings.get(s) != STOPPED and values[2]]
    assert shown == (not_counted if expected.startswith(UNFINISHED) else ["PoseT"] if not values[2] else [])


def test_one_seed_that_still_improved_is_enough_not_to_count():
    rows = [one("EMBridge", 0.8, 0.01), one("PoseT", 0.5, 0.01), ended("PoseT", STOPPED)]
    against = claim(*beats(["EMBridge"], ["PoseT"], [("ZS", "unseen")]))
    assert told(against, *rows)["verdict"] == "holds"
    assert told(against, *rows, ended("PoseT", IMPROVING, seed=1))["verdict"] == f"{UNFINISHED} (PoseT)"


def test_what_cannot_be_told_says_what_could_have_been_seen(tmp_path):
    """0.5 [0.46, 0.9] less 0.48, or 0.2 [0.19, 0.21]: down 0.05 in quadrature, up 0.4; the second is decided."""
    two = claim(*beats(["EMBridge"], ["CPEP", "Q-Former"], [("ZS", "unseen")]))
    ours = one("EMBridge", 0.5, low=0.46, high=0.9)
    rows = [ours, one("CPEP", 0.48, 0.03), one("Q-Former", 0.2, 0.01)]
    first, second = told(two, *rows)["numbers"].split("; ")
    assert first.endswith("[-0.030, 0.421], could have seen 0.05") and "could have" not in second
    assert "could have" not in told(two, ours, rows[1], one("Q-Former", 0.95, 0.01))["numbers"]  # decided
    robust = told(claim(*two.comparisons, robust=True), ours, rows[1], one("Q-Former", 0.5, 0.01))
    assert robust["verdict"] == claims.OPEN and "could have shown a margin of 0.4;" in robust["numbers"]
    assert '"Could have seen 0.05"' in claims.RULE and "under its own early stopping" in " ".join(claims.RULE.split())
    probe = {"protocol": "LP", "gallery": "", "pooling": "", "param": "C"}
    table = claims.write(tmp_path, frame(*rows, one("Vemg2pose", 0.4, **probe)), "simulated", "quick")
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert (table["verdict"] == f"{UNFINISHED} (Vemg2pose)").sum() == 1 and f"; {UNFINISHED}: 1" in text
    assert "cannot be told here: no rows stand beside a paper's." in text


def test_rows_of_users_make_the_interval_a_paired_one():
    """Two systems that differ by little on users who differ by much: only pairing can see it."""
    rng = np.random.default_rng(0)
    y, users = np.tile(np.arange(4), 300), np.repeat([f"{i:03d}" for i in range(12)], 100)
    a = np.where(rng.random(1200) < np.repeat(np.linspace(0.2, 0.95, 12), 100), y, (y + 1) % 4)
    b = np.where(rng.random(1200) < 0.04, (y + 2) % 4, a)
    fields = {"n_classes": 4, "dataset": "simulated", "profile": "quick", "seed": 0, "classes": "unseen"} | ZS
    rows = [
        r
        for s, p in (("EMBridge", a), ("CPEP", b))
        for r in evaluate_predictions(y, p, users, system=s, recalls=True, **fields)
    ]
    found, paired = Evidence(frame(*rows), "simulated").difference(BETTER.comparisons[0].terms)
    assert paired and (found.value, found.low, found.high) == st.bootstrap_over_groups(y, a, users, minus=b)
    line = told(BETTER, *rows)
    assert line["verdict"] == "holds" and line["numbers"].endswith("] paired")
    alone = [r for r in rows if r["metric"] != "user_recall"]
    assert told(BETTER, *alone)["verdict"] == "cannot tell on this dataset"
    part = [r for r in rows if not (r["metric"] == "user_recall" and r["system"] == "CPEP" and r["user"] == "003")]
    assert "paired" not in told(BETTER, *part)["numbers"]  # other windows: no pairs


def test_a_paired_difference_of_several_seeds_has_both_sides_luck():
    rng, rows = np.random.default_rng(0), []
    y, users = np.tile(np.arange(4), 120), np.repeat([f"{i:03d}" for i in range(12)], 40)
    how = {"n_classes": 4, "dataset": "simulated", "profile": "quick", "classes": "unseen", "n_resamples": 50} | ZS
    counts = {"EMBridge": [], "CPEP": []}
    for seed, system in itertools.product(range(3), counts):
        p = np.where(rng.random(480) < 0.5 + 0.05 * seed * (system == "CPEP"), y, (y + 1) % 4)
        counts[system].append(st.class_counts(y, p, users, 4))
        rows += evaluate_predictions(y, p, users, system=system, seed=seed, recalls=True, **how)
    evidence = Evidence(frame(*rows), "simulated")
    found, paired = evidence.difference(BETTER.comparisons[0].terms)
    luck = evidence.number(Cell("CPEP", "ZS", "unseen")).spread
    users_alone = st.bootstrap_over_seeds(*counts.values(), spread=0.0)
    assert paired and luck == pytest.approx(evidence._spread["ZS", "unseen"] / 3**0.5)
    assert (found.value, found.low, found.high) == pytest.approx(st.widened(*users_alone, 2**0.5 * luck))


def by_seed(system, *values, half=0.001):
    return [one(system, value, half, seed=seed) for seed, value in enumerate(values)]


def test_the_luck_of_a_training_keeps_a_difference_open():
    """0.50 against a system whose three seeds lie 0.1 apart: no one training tells by how much it is worse."""
    rival = by_seed("CPEP-LS", 0.50)
    ours = by_seed("EMBridge", 0.55, 0.65, 0.60)
    evidence = Evidence(frame(*ours, *rival), "simulated")
    terms = beats(["EMBridge"], ["CPEP-LS"], [("ZS", "unseen")])[0].terms
    found, paired = evidence.difference(terms)
    luck = st.spread_over_seeds([[0.55, 0.65, 0.60]])
    mean = evidence.number(Cell("EMBridge", "ZS", "unseen"))
    assert not paired and found.value == pytest.approx(0.1) and mean.value == pytest.approx(0.6)
    below = np.linalg.norm([mean.value - mean.low, 0.001, luck])
    assert found.low == pytest.approx(0.1 - below) and luck == pytest.approx(4.302653 * 0.05)
    assert told(claim(*beats(["EMBridge"], ["CPEP-LS"], [("ZS", "unseen")])), *ours, *rival)["verdict"].startswith(
        "cannot"
    )
    # seeds that agree leave the same difference clear
    calm = by_seed("EMBridge", 0.6, 0.6001, 0.5999)
    assert told(claim(*beats(["EMBridge"], ["CPEP-LS"], [("ZS", "unseen")])), *calm, *rival)["verdict"] == "holds"


def test_a_committed_seed_counts_and_a_reading_of_the_same_weights_has_no_luck():
    origin = "long run, 2026-11-21, abc1234"
    mine, other = by_seed("EMBridge", 0.5, 0.7)
    rows = [
        mine,
        {**other, "origin": origin},
        {**mine, "value": 0.55, "low": 0.549, "high": 0.551, "param_value": "50"},
    ]
    evidence = Evidence(frame(*rows), "simulated")
    whole = evidence.number(Cell("EMBridge", "ZS", "unseen"))
    assert whole.value == pytest.approx(0.6) and whole.origins == {"", origin}
    k = Cell("EMBridge", "ZS", "unseen", "k", "50")
    found, _ = evidence.difference(((1, k), (-1, Cell("EMBridge", "ZS", "unseen"))))
    assert found.value == pytest.approx(0.05) and found.low == pytest.approx(0.05 - 0.001 * 2**0.5)
    assert found.origins == {""} and evidence.number(k).spread > 0.5  # beside another system it would count
    rows.append({**other, "origin": origin, "value": 0.71, "low": 0.709, "high": 0.711, "param_value": "50"})
    found, _ = Evidence(frame(*rows), "simulated").difference(((1, k), (-1, Cell("EMBridge", "ZS", "unseen"))))
    seeds = st.spread_over_seeds([[0.05, 0.01]]) / 2**0.5  # of differences: how far the seeds lie apart is in neither
    assert found.value == pytest.approx(0.03) and found.origins == {"", origin}
    assert found.low == pytest.approx(0.03 - np.linalg.norm([0.001, 0.001, seeds]))


def test_committed_rows_are_named_and_ratios_told():
    gain = claim(*beats(["CPEP"], ["Vemg2pose"], [("ZS", "unseen")]), relative=True)
    found = told(gain, one("CPEP", 0.6, 0.01), one("Vemg2pose", 0.5, 0.01, origin="long run, 2026-11-21, abc1234"))
    assert found["origin"] == "this run and committed rows" and "(+20%)" in found["numbers"]


def test_f1_of_gestures_and_users():
    pairs = {"EMBridge": (0.5, 0.7, 0.6), "CPEP": (0.4, 0.5, 0.0)}
    rows = [
        one(s, v, None, metric="user_f1", user=u) for s, f1 in pairs.items() for u, v in zip("abc", f1, strict=True)
    ]
    rows.append(one("EMBridge - CPEP", 0.1, 0.05, metric="class_f1_difference", **{"class": 2}))
    number = Evidence(frame(*rows), "simulated").number
    gain = number(Cell("EMBridge - CPEP", "user F1", "unseen"))
    assert gain.value == pytest.approx((0.1 + 0.2 + 0.6) / 3) and gain.low == pytest.approx(0.1)
    relative = number(Cell("EMBridge - CPEP", "relative gain of user F1", "unseen"))
    assert relative.value == pytest.approx((0.25 + 0.4) / 2)  # user c has no F1 to gain on
    assert number(Cell("EMBridge - CPEP", SHARE, "unseen")).value == 0.5  # all three
    rows += [one(s, 0.3, None, metric="user_f1", user=u) for s, u in (("EMBridge", "d"), ("CPEP", "d"))]  # a tie
    rows += [one(s, v, None, metric="user_f1", user="e") for s, v in (("EMBridge", 0.1), ("CPEP", 0.2))]
    share = Evidence(frame(*rows), "simulated").number(Cell("EMBridge - CPEP", SHARE, "unseen"))
    assert share.value == pytest.approx((3 + 0.5) / 5 - 0.5)
    single = Comparison("", ((1, Cell("EMBridge - CPEP", "F1", "unseen", "class", "2")),))
    assert told(claim(single), *rows)["verdict"] == "holds"


def test_f1_of_several_seeds_is_their_mean_and_owes_something_to_luck():
    """Gains of 0.1, 0.2 and 0.3 with three seeds, the first of them this run's, whose users say 0.05 to either side."""
    origin, rows = "long run, 2026-11-21, abc1234", []
    for seed, gain in enumerate((0.1, 0.2, 0.3)):
        more = {"seed": seed, "origin": origin if seed else ""}
        for system, value in (("EMBridge", 0.5 + gain), ("CPEP", 0.5)):
            rows.append(one(system, value, None, metric="class_f1", **{"class": 2}, **more))
            rows += [
                one(system, value + d, None, metric="user_f1", user=u, **more) for u, d in (("a", 0.1), ("b", -0.1))
            ]
    rows.append(one("EMBridge - CPEP", 0.1, 0.05, metric="class_f1_difference", **{"class": 2}))
    number = Evidence(frame(*rows), "simulated").number
    luck = 4.302653 * 0.1 / 3**0.5  # of a mean of three trainings, two degrees of freedom
    found = number(Cell("EMBridge - CPEP", "F1", "unseen", "class", "2"))
    assert (found.value, found.low) == pytest.approx((0.2, 0.2 - np.hypot(0.05, luck))) and origin in found.origins
    gain = number(Cell("EMBridge - CPEP", "user F1", "unseen"))
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.2, 0.2 - luck, 0.2 + luck))  # users agree


def test_cells_of_sweeps_are_found_by_their_setting():
    def sweep(param, value, **more):
        return one("EMBridge", 0.4, **{"param": param, "param_value": value} | more)

    rows = [
        one("EMBridge", 0.5),
        sweep("k_c", "5"),
        sweep("k_c", "10"),
        sweep("paired_fraction", "0.4"),
        sweep("k", "50"),
    ]
    rows.append(one("EMBridge", 0.3, batch_size=512, options="corpus=class set; same epochs"))
    shot = {"protocol": "LP", "gallery": "", "pooling": "", "options": "unit=recordings", "param": "shots_fraction"}
    rows += [one("EMBridge", v, **shot, param_value="0.5", draw=d) for d, v in enumerate((0.2, 0.4))]
    number = Evidence(frame(*rows), "simulated").number
    found = {s: number(Cell("EMBridge", m, "unseen", *s)) for m, s in (
        ("ZS", ()), ("ZS", ("k_c", "10")), ("ZS", ("paired_fraction", "0.4")), ("ZS", ("k", "50")),
        ("ZS", ("batch_size", "512")), ("LP", ("shots_fraction", "0.5")), ("ZS", ("k_c", "5")), ("ZS", ("k", "10")),
    )}  # fmt: skip
    assert [round(n.value, 3) for n in found.values()] == [0.5, 0.4, 0.4, 0.4, 0.3, 0.3, 0.5, 0.5]
    names = [Cell("EMBridge", "ZS", "unseen", *setting).name for setting in list(found)[:6]]
    assert names == ["EMBridge", *(f"EMBridge, {s}" for s in (
        "k_c = 10", "40% of pairs", "k = 50", "B = 512", "0.5 of shots"))]  # fmt: skip
    others = (("k_c", "20"), ("paired_fraction", "0.2"), ("k", "1"), ("batch_size", "1024"), ("tau_s", "0.2"))
    assert not any(number(Cell("EMBridge", "ZS", "unseen", *setting)) for setting in others)
    assert number(Cell("EMBridge", "LP", "unseen", "shots_fraction", "0.25")) is None
    draws = 12.7062 * np.std([0.2, 0.4], ddof=1) / 2**0.5  # Student's, one degree of freedom
    assert found["shots_fraction", "0.5"].low == pytest.approx(0.3 - np.hypot(0.1, draws))


@pytest.mark.parametrize(("name", "others"), [("quick", ("0.25", "0.5")), ("paper", ("0.25", "0.75"))])
def test_a_value_of_r_that_is_the_profile_s_own_is_not_held_against_itself(name, others):
    swept = [("EMBridge", "r", value) for value in ("0.25", "0.5", "0.75")]
    robust = claim(*beats(swept, ["EMBridge"], [("ZS", "unseen")]), robust=True)
    members = [one("EMBridge", 0.5, 0.01, param="r", param_value=value, profile=name) for value in others]
    found = told(robust, one("EMBridge", 0.5, 0.01, profile=name), *members)
    assert found["verdict"] == "holds" and found["numbers"].count("r = ") == 2
    assert all(f"r = {value} over EMBridge" in found["numbers"] for value in others)


def test_what_stands_beside_a_sweeps_member_has_its_seed():
    member = one("EMBridge", 0.4, seed=1, param="k_c", param_value="10")
    rows = [*(one("EMBridge", 0.5 + s / 10, seed=s) for s in range(3)), member]
    terms = ((1, Cell("EMBridge", "ZS", "unseen")), (-1, Cell("EMBridge", "ZS", "unseen", "k_c", "10")))
    found, _ = Evidence(frame(*rows), "simulated").difference(terms)
    spread = 4.302653 * 0.1  # of each of the two trainings; the users' intervals are 0.1 to either side
    half = (2 * 0.1**2 + 2 * spread**2) ** 0.5
    assert (found.value, found.low) == pytest.approx((0.2, 0.2 - half))
    elsewhere = [r | {"seed": 7} if r["param"] == "k_c" else r for r in rows]  # it has no such seed: its mean
    assert Evidence(frame(*elsewhere), "simulated").difference(terms)[0].value == pytest.approx(0.2)
    rows[1] |= {"value": 0.9, "low": 0.8, "high": 1.0}
    assert Evidence(frame(*rows), "simulated").difference(terms)[0].value == pytest.approx(0.5)


def test_cascle_in_cpep_is_judged_beside_cpep_with_the_same_info_nce():
    (improves,) = (c for c in CLAIMS if c.text.startswith("CASCLe improves CPEP"))
    one_way, rows = EXPERIMENTS["CPEP, InfoNCE = one-way"], []
    assert not one_way.objective.symmetric
    member = {"param": one_way.param, "param_value": one_way.param_value}
    for protocol, classes in CELLS:
        where = {"protocol": protocol, "classes": classes} | (
            {"gallery": "", "pooling": ""} if protocol == "LP" else {}
        )
        rows += [one("EMBridge w/o Q-Former", 0.5, 0.01, **where), one("CPEP", 0.4, 0.01, **where, **member)]
        rows.append(one("CPEP", 0.9, 0.01, **where))  # as it is, with the symmetric loss
    found = told(improves, *rows)
    assert found["verdict"] == "holds"
    assert "EMBridge w/o Q-Former over CPEP, InfoNCE = one-way, ZS in +0.100" in found["numbers"]
    assert "no rows of CPEP, InfoNCE = one-way yet" in told(improves, *rows[::3], *rows[2::3])["verdict"]


def test_claims_about_other_recordings_are_left_out(tmp_path):
    assert claims.claims_about("simulated") == list(CLAIMS)
    for dataset, about in (("emg2pose", "emg2pose"), ("ninapro", "ninapro"), ("simulated-ninapro", "ninapro")):
        assert claims.claims_about(dataset) == [c for c in CLAIMS if c.about == about]
        assert f"Left out: {sum(c.about != about for c in CLAIMS)} claims" in claims.caption(dataset, "quick")
    table = claims.write(tmp_path, frame(one("EMBridge", 0.5, dataset="ninapro-db1")), "ninapro-db1", "quick")
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert table.empty and text.startswith("No claim is judged: ") and "|" not in text
    html = report.write(tmp_path, {"dataset": "ninapro-db1", "profile": "quick", "seeds": 1}).read_text(
        encoding="utf-8"
    )
    assert "No claim is judged: " in html and "<table>" not in html


def test_draws_of_several_seeds_are_no_more_seeds():
    """Two draws each of two seeds 0.2 apart: the draws have two degrees of freedom, and the seeds' luck is in it."""
    shot = {"protocol": "LP", "gallery": "", "pooling": "", "options": "unit=recordings", "param": "shots_fraction"}
    rows = [
        one("EMBridge", v + d, 0.1, **shot, param_value="0.5", draw=i, seed=s)
        for s, v in enumerate((0.3, 0.5))
        for i, d in enumerate((-0.01, 0.01))
    ]
    probe = {"protocol": "LP", "gallery": "", "pooling": "", "param": "C"}
    rows += [one("EMBridge", v, 0.1, **probe, seed=s) for s, v in enumerate((0.3, 0.5))]
    found = Evidence(frame(*rows), "simulated").number(Cell("EMBridge", "LP", "unseen", "shots_fraction", "0.5"))
    draws = 4.302653 * np.std([-0.01, 0.01], ddof=1) / 4**0.5
    seeds = 12.7062 * np.std([0.3, 0.5], ddof=1) / 2**0.5
    assert found.covered and found.value == pytest.approx(0.4)
    assert 0.4 - found.low == pytest.approx(np.linalg.norm([0.1, draws, seeds]), rel=1e-4)


def test_comparisons_say_what_they_compare():
    a, b = Cell("EMBridge", "ZS", "in"), Cell("PoseT", "LP", "in")
    assert over(a, b) == Comparison("EMBridge ZS over PoseT LP, in", ((1, a), (-1, b)))
    assert len({c.text for c in CLAIMS}) == len(CLAIMS) and all(c.comparisons for c in CLAIMS)
    assert Number(1.0).origins == frozenset()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims")
    return folder, claims.write(folder, read_results(*COMMITTED), "simulated", "quick")


def test_the_committed_rows_answer_every_claim(made):
    _, table = made
    assert table["claim"].tolist() == [c.text for c in CLAIMS]
    known = table["verdict"].isin(["holds", "does not hold", "cannot tell on this dataset"])
    others = r"cannot tell: (no rows of .+ yet|baseline not trained to its end \(.+\))"
    assert (known | table["verdict"].str.fullmatch(others)).all()
    assert {"holds", "cannot tell on this dataset"} <= set(table["verdict"])
    assert (table.loc[known, "numbers"] != "").all() and (table.loc[known, "origin"] != "").all()
    # one by hand, from the CSV's own lines
    with COMMITTED[0].open(newline="", encoding="utf-8") as file:
        wanted = {"user": "", "metric": "balanced_accuracy", "classes": "unseen", **ZS}
        wanted |= {"param_value": "10", "dataset": "simulated", "batch_size": ""}
        rows = [r for r in csv.DictReader(file) if all(r[c] == v for c, v in wanted.items())]
    assert {r["seed"] for r in rows if r["system"] in ("EMBridge", "CPEP")} == {"0", "1", "2"}
    value = {s: np.mean([float(r["value"]) for r in rows if r["system"] == s]) for s in ("EMBridge", "CPEP")}
    best = table.set_index("claim").loc["EMBridge is best in zero-shot", "numbers"]
    assert f"EMBridge over CPEP, ZS unseen {value['EMBridge'] - value['CPEP']:+.3f} [" in best


def test_the_table_is_written_and_stands_in_the_report(made):
    folder, table = made
    with (folder / "claims.csv").open(newline="", encoding="utf-8") as file:
        assert [line["verdict"] for line in csv.DictReader(file)] == table["verdict"].tolist()
    text = (folder / "claims.md").read_text(encoding="utf-8")
    assert text.startswith("Simulated data") and f"Of {len(CLAIMS)} claims" in text and "Smoke" not in text
    html = report.write(folder, {"dataset": "simulated", "profile": "quick", "seeds": 1}).read_text(encoding="utf-8")
    assert 'id="claims"' in html and 'href="#claims"' in html and html.count("per a summary") >= 8
    assert "Smoke profile" in claims.caption("simulated", "smoke")
    assert not claims.caption("emg2pose", "paper").startswith("Simulated")
