"""The choice of constants on D_tune: its rule, what it may look at, how it is shown."""

import numpy as np
import pytest

from embridge import figures, grids
from embridge.experiments import EXPERIMENTS
from embridge.grids import CONSTANTS, JOINT
from embridge.paper import constants
from embridge.paper.results import as_frame, row

HOW = {"dataset": "simulated", "profile": "long", "metric": "balanced_accuracy", "protocol": "ZS", "gallery": "all"}
HOW |= {"pooling": "max", "options": "D_tune", "interval_kind": "95 % bootstrap over user"}


@pytest.fixture(autouse=True)
def stood_before(monkeypatch):
    """What these tests take for the defaults, whatever D_tune chose since."""
    monkeypatch.setattr(grids, "DEFAULTS", {"tau_s": "0.1", "r": "0.5", "M": "16"})
    monkeypatch.setattr(constants, "JOINT_DEFAULTS", dict.fromkeys(("EMBridge", "SoftCLIP"), "dot, 0.1, 1"))


def tried(param, text, known, unseen, *, seeds=1, step=0.0, half=0.1, system="EMBridge", **fields):
    """D_tune's rows of one value; each further seed ``step`` better."""
    rows = []
    for seed in range(seeds):
        a, b = known + seed * step, unseen + seed * step
        for classes, v in (("in", a), ("unseen", b), ("in and unseen", (a + b) / 2)):
            spread = {"value": v, "low": v - half, "high": v + half}
            named = {"system": system, "param": param, "param_value": text, "classes": classes, "seed": seed}
            rows.append(row(**HOW | spread | named | fields))
    return rows


def test_the_largest_mean_of_both_class_sets_is_chosen_and_else_the_default():
    rows = [
        *tried("tau_s", "0.1", 0.3, 0.4), *tried("tau_s", "0.5", 0.6, 0.2), *tried("tau_s", "0.02", 0.2, 0.3),
        *tried("r", "0.5", 0.3, 0.3), *tried("r", "0.25", 0.404, 0.204),  # 0.004 above: no reason to change
        *tried("M", "16", 0.5, 0.5),
    ]  # fmt: skip
    # D_eval's, of which 0.02 is the best by far: it must not be looked at
    rows += tried("tau_s", "0.02", 0.9, 0.9, options="corpus=class set")
    cells = constants.numbers(as_frame(rows), "simulated").set_index(["param", "param_value"])
    assert cells.index.tolist() == [("tau_s", "0.02"), ("tau_s", "0.1"), ("tau_s", "0.5"), ("r", "0.25"), ("r", "0.5")]
    assert cells["mean"].tolist() == pytest.approx([0.25, 0.35, 0.4, 0.304, 0.3])
    assert cells["gain"].tolist() == pytest.approx([-0.1, 0, 0.05, 0.004, 0])
    assert cells.index[cells["chosen"]].tolist() == [("tau_s", "0.5"), ("r", "0.5")]
    none = constants.numbers(as_frame(rows[-3:]), "simulated")  # D_eval's alone
    assert none.empty and [*none[none["chosen"]]] == [*none]


def test_only_values_with_as_many_seeds_are_compared_and_all_have_the_spread_of_seeds():
    rows = [
        *tried("tau_s", "0.1", 0.4, 0.4, seeds=3, step=0.01), *tried("tau_s", "0.2", 0.44, 0.44, seeds=3, step=0.01),
        *tried("tau_s", "0.5", 0.9, 0.9),  # one seed's luck
    ]  # fmt: skip
    cells = constants.numbers(as_frame(rows), "simulated").set_index("param_value")
    assert cells.index[cells["chosen"]].tolist() == ["0.2"] and cells["seeds"].tolist() == [3, 3, 1]
    assert cells["mean"].tolist() == pytest.approx([0.41, 0.45, 0.9])
    spread = 2.7764451 * 0.01  # Student's at four degrees of freedom, seeds 0.01 apart
    half = (cells["high"] - cells["low"]) / 2
    assert half.tolist() == pytest.approx([np.hypot(0.1, spread / 3**0.5)] * 2 + [np.hypot(0.1, spread)])
    told = constants.verdicts(cells.reset_index())
    assert told == ["EMBridge, tau_s: takes 0.2 for 0.1 (+0.040); 2 of 2 others lie in its interval."]


def test_a_default_beside_single_seeds_is_not_called_chosen():
    rows = [*tried("tau_s", "0.1", 0.4, 0.4, seeds=3, step=0.01), *tried("tau_s", "0.5", 0.9, 0.9)]
    cells = constants.numbers(as_frame(rows), "simulated")
    assert not cells["chosen"].any() and set(constants.text(cells)["D_tune"]) == {""}
    (told,) = constants.verdicts(cells)
    said = "nothing is chosen, no other value has as many seeds as the default; 1 of 1 others lie in its interval."
    assert told == f"EMBridge, tau_s: {said}"


def test_this_run_s_seed_and_committed_ones_are_one_mean():
    origin = "long run, 2026-11-28, abc"
    rows = tried("tau_s", "0.2", 0.6, 0.6, seeds=3, origin=origin)
    rows += [r | {"origin": origin if r["seed"] else ""} for r in tried("tau_s", "0.1", 0.4, 0.4, seeds=3, step=0.01)]
    cells = constants.numbers(as_frame(rows), "simulated").set_index("param_value")
    assert cells["seeds"].tolist() == [3, 3] and cells.loc["0.1", "mean"] == pytest.approx(0.41)
    assert cells["origin"].tolist() == [origin, origin] and constants.text(cells.reset_index())["seeds"].tolist() == [
        3,
        3,
    ]


def test_what_is_tried_together_is_compared_within_its_system_and_shown_with_its_perplexity():
    rows = [
        *tried(JOINT, "dot, 0.1, 1", 0.3, 0.3, half=0.01), *tried(JOINT, "cosine, 0.5, 0.25", 0.4, 0.3, half=0.01),
        *tried(JOINT, "dot, 0.1, 1", 0.5, 0.5, system="SoftCLIP", origin="long run, 2026-11-28, abc"),
        *tried(JOINT, "dot, 0.5, 1", 0.4, 0.4, system="SoftCLIP", origin="long run, 2026-11-28, abc"),
    ]  # fmt: skip
    cells = constants.numbers(as_frame(rows), "simulated").assign(perplexity=[70.0, 3.2, 50.0, 90.0])
    assert cells[["system", "param_value"]][cells["chosen"]].to_numpy().tolist() == [
        ["EMBridge", "cosine, 0.5, 0.25"], ["SoftCLIP", "dot, 0.1, 1"],
    ]  # fmt: skip
    table = constants.text(cells)
    assert table.iloc[0].tolist() == [
        "EMBridge", JOINT, "cosine, 0.5, 0.25", "70.0", "0.40", "0.30", "0.35 [0.34, 0.36]", 1, "+0.05", "chooses",
    ]  # fmt: skip
    assert table["value"][1] == "dot, 0.1, 1 (default)" and table["mean"][2] == "0.50 [0.40, 0.60] †"
    assert constants.verdicts(cells) == [
        f"EMBridge, {JOINT}: takes cosine, 0.5, 0.25 for dot, 0.1, 1 (+0.050); 0 of 1 others lie in its interval.",
        f"SoftCLIP, {JOINT}: keeps the default; 1 of 1 others lie in its interval.",
    ]
    figure = figures.constants(cells)
    ticks = [[text.get_text() for text in ax.get_xticklabels()] for ax in figure.axes]
    assert ticks[0] == ["cosine, 0.5, 0.25\n(70.0)", "dot, 0.1, 1\n(3.2)"]
    lines = [line for ax in figure.axes for line in ax.get_lines()]
    assert all(len(line.get_xdata()) < 2 for line in lines if line.get_marker() in ("o", "^", "v"))  # nothing is joined


def test_other_targets_have_no_value_from_before_and_the_best_of_each_is_chosen():
    tries = {"Gaussian mixture": "tau_s", "X-CLR": "tau_s", "SigLIP": "t", "SoftCLIP alone": "tau_s"}
    assert {*constants.OTHER_TARGETS} == {*tries.items()}
    rows = [
        r
        for k, v in enumerate(("0.1", "0.5"))
        for s, p in tries.items()
        for r in tried(p, v, 0.3 + 0.002 * k, 0.4, system=s)
    ]
    rows += tried("tau_s", "0.1", 0.9, 0.9)  # EMBridge's, which is none of them
    cells = constants.numbers(as_frame(rows), "simulated", constants.OTHER_TARGETS)
    assert cells["system"].unique().tolist() == [*tries] and not cells["default"].any() and cells["gain"].isna().all()
    assert cells["param_value"][cells["chosen"]].tolist() == ["0.5"] * 4  # by however little
    figure = figures.constants(cells)
    named = [ax.get_xlabel().partition(":")[0] for ax in figure.axes if ax.get_xlabel()]
    assert named == [*tries] and "default" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_constant_is_an_experiment_that_differs_from_embridge_in_its_three_alone():
    bridge = EXPERIMENTS["EMBridge"].objective
    members = [e for e in EXPERIMENTS.values() if e.part == "constants"]
    assert len(members) == len(CONSTANTS) == len({str(e.objective) for e in members})
    for e, (targets, affinity, tau_s, alpha) in zip(members, CONSTANTS, strict=True):
        wanted = {"soft_targets": targets, "affinity": affinity, "tau_s": tau_s, "alpha": alpha}
        assert vars(e.objective) == vars(bridge) | wanted | {"lam": 1.0, "mask_ratio": 0.5}  # what it had before them
        assert e.param_value == f"{affinity}, {tau_s:g}, {alpha:g}"
        assert e.system == {"communities": "EMBridge", "instances": "SoftCLIP"}[targets]
        assert constants.names()[e.system, JOINT, e.param_value] == e.name
