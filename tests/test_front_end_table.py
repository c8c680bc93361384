"""What the front end is worth: which rows there are, which a page reads, what its table, sentences and picture say."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import TINY

from benchmarks import plan
from embridge import figures
from embridge.errors import InputError
from embridge.experiments import ALIGNED, EXPERIMENTS, LOG_POWER_LDA, UNTRAINED, headline_alone, of_parts, trained_by
from embridge.paper import comparisons, front_ends, numbers, records, scoring, tables
from embridge.paper.results import as_frame
from embridge.paper.scoring import evaluate_predictions
from embridge.run import cli
from embridge.run.pages import NUMBERS
from embridge.study import Study
from runner import jobs

HEADLINE = tuple(e.name for e in EXPERIMENTS.values() if e.part == "headline")
NETWORKS = (UNTRAINED, "EMG-MAE", *ALIGNED)
CELLS = [("LP", "in"), ("LP", "unseen"), ("ZS", "in"), ("ZS", "unseen")]


# ---- what is trained and kept -------------------------------------------------------------------------------------


def test_long_on_another_front_end_trains_the_headline_alone():
    grown = {e.name for e in EXPERIMENTS.values() if e.part == "growth"}  # the page of data's
    found = trained_by("long", "simulated", "waveform")
    assert found[: len(HEADLINE)] == HEADLINE == trained_by("quick", "simulated", "waveform")
    assert {*found} - {*HEADLINE} < grown
    assert of_parts("simulated", "Table 3", tokens="waveform") == ()
    assert not headline_alone("long") and not headline_alone("long", "features")  # its own
    assert not headline_alone("smoke", "waveform") and not headline_alone("paper", "features")
    assert len(trained_by("paper", "simulated", "features")) > 50


def test_a_sweep_of_it_has_three_seeds_and_no_ninapro(tmp_path, monkeypatch):
    options = cli.parse(["--profile", "long", "--tokens", "waveform", "--out", str(tmp_path)], action="sweep")
    assert cli.results_folder(options).name == "simulated-long-waveform"
    asked = []

    def of_seed(study, names, _):
        asked.append((study.dataset, study.seed, study.tokens, tuple(names)[: len(HEADLINE)]))
        return []

    monkeypatch.setattr(jobs, "_of_seed", of_seed)
    monkeypatch.setattr("embridge.train.prepare", lambda study: None)
    monkeypatch.setattr(Study, "splits", SimpleNamespace(check_evaluable=lambda: None))
    jobs.plan(options, device="cpu")
    assert asked == [("simulated", seed, "waveform", HEADLINE) for seed in range(3)]
    asked.clear()
    jobs.plan(cli.parse(["--profile", "long", "--out", str(tmp_path)], action="sweep"), device="cpu")
    assert {dataset for dataset, *_ in asked} == {"simulated", "simulated-ninapro"}


def test_the_plan_says_that_it_is_the_headline_alone(tmp_path, capsys, monkeypatch):
    step = dict.fromkeys(("parameters", "trained", "weights", "seconds", "measured", "window"), 1)
    monkeypatch.setattr(plan, "measure", lambda *_: step)
    said = f"On another front end than its own long trains the headline for page {NUMBERS['appendix']}'s table"
    for tokens, other in (("waveform", True), ("features", False)):  # long's own are features
        argv = ["--profile", "long", "--tokens", tokens, "--device", "cpu", "--out", str(tmp_path / "out")]
        assert plan.main(argv) == 0
        out = capsys.readouterr().out
        assert "EMBridge x 3" in out and (said in out) == other
        for own in ("SoftCLIP", "train NinaPro's columns"):
            assert (own in out) != other
        assert ("--tokens waveform" in out.splitlines()[-1]) == other
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def of(study, profile="quick", tokens="", **changes):
    size = replace(TINY, name=profile, **changes)
    return Study("simulated", out=study.out, size=size, device="cpu", tokens=tokens)


def test_emg_mae_comes_with_the_probe_of_its_encoder_before_training(study):
    found = [r for r in records.score(study, "EMG-MAE") if r["system"] == UNTRAINED]
    assert {r["metric"] for r in found} == {"balanced_accuracy", "macro_f1", "user_recall"}
    scores = {r["classes"]: r["value"] for r in found if r["metric"] == "balanced_accuracy"}
    for classes in ("in", "unseen"):
        outcome = scoring.probe_outcome(study, UNTRAINED, classes, features=study.untrained_features)
        assert scores[classes] == outcome.rows[0]["value"] and outcome.rows[0]["options"] == ""
    assert not [r for r in records.score(study, "CPEP") if r["system"] == UNTRAINED]


def test_pages_read_committed_rows_of_the_other_front_end_and_say_what_is_missing(study):
    names = ("Pose-MAE", "EMG-MAE")
    rows, told = comparisons.other_front_end(of(study), names)
    assert rows == [] and "2 experiments have no rows yet: Pose-MAE; EMG-MAE." in told
    assert "./run_all.sh --profile long --tokens waveform trains them" in told
    for tokens in ("waveform", ""):
        folder = records.record(of(study, "long", tokens), "EMG-MAE").file.parent.parent.name
        assert folder == "simulated-long" + f"-{tokens}" * bool(tokens)
    rows, told = comparisons.other_front_end(of(study), names)
    assert told.startswith("1 experiment has no rows yet: Pose-MAE.")
    assert {r["system"] for r in rows} == {"EMG-MAE", UNTRAINED} and {r["seed"] for r in rows} == {0}
    assert {r["options"] for r in rows} == {"tokens=waveform"} and rows[0]["origin"].startswith("long run, ")
    assert {r["metric"] for r in rows} == {"balanced_accuracy", "user_recall"}
    other, told = comparisons.other_front_end(of(study, tokens="waveform"), names)  # a page on waveforms
    assert {r["options"] for r in other} == {"tokens=features"} and "--profile long trains" in told
    value = {r["system"]: r["value"] for r in rows if (r["metric"], r["classes"]) == ("balanced_accuracy", "in")}
    expected = scoring.probe_outcome(of(study, tokens="waveform"), "EMG-MAE", "in").rows[0]["value"]
    assert value["EMG-MAE"] == expected
    changed = of(study, mae=replace(TINY.mae, lr=5e-4))  # not what this configuration would train
    assert [r["system"] for r in comparisons.other_front_end(changed, names)[0]] == []
    rows, told = comparisons.other_front_end(study, names)  # smoke
    assert rows == [] and told.endswith("here they are dashes.")
    db1 = Study("ninapro-db1", "quick", device="cpu", out=study.out)
    assert comparisons.other_front_end(db1, names)[0] == []


# ---- the table ----------------------------------------------------------------------------------------------------


def made(skills, *, seeds=range(3), options="", origin="", first=0):
    """Rows of systems that are right in a share of 480 windows of 6 users, by cell, as records have them."""
    y, users = np.tile(np.arange(4), 120), np.repeat([f"u{i}" for i in range(6)], 80)
    rows = []
    for (system, skill), seed, (protocol, classes) in itertools.product(skills.items(), seeds, CELLS):
        if protocol == "ZS" and system not in ALIGNED:
            continue
        rng = np.random.default_rng([first, len(rows)])
        predicted = np.where(rng.random(480) < skill, y, (y + 1) % 4)
        zero_shot = {"gallery": "all", "pooling": "max", "options": "corpus=class set", "param": "k", "param_value": 10}
        where = zero_shot if protocol == "ZS" else {"param": "C", "param_value": 1.0}
        where |= {"options": options} if options else {}
        where |= {"seed": None if system == LOG_POWER_LDA else seed, "system": system, "origin": origin}
        about = {"dataset": "simulated", "profile": "long", "protocol": protocol, "classes": classes}
        if system != LOG_POWER_LDA or seed == 0:
            how = {"n_classes": 4, "n_resamples": 200, "recalls": True}
            rows += evaluate_predictions(y, predicted, users, **how, **about, **where)
    return [r for r in rows if r["metric"] in ("balanced_accuracy", "user_recall")]


OWN = made({LOG_POWER_LDA: 0.5, **dict.fromkeys(NETWORKS, 0.7), UNTRAINED: 0.4})
OTHER = made(
    dict.fromkeys(NETWORKS, 0.4) | {"EMBridge": 0.8}, options="tokens=waveform", origin="long run, a day", first=1
)


def cell(cells, system, tokens, protocol="LP", classes="in"):
    found = cells[(cells["system"] == system) & (cells["tokens"] == tokens)]
    return found[(found["protocol"] == protocol) & (found["classes"] == classes)].iloc[0]


def test_columns_are_front_ends_and_their_difference_paired_by_seed_and_user():
    cells = tables.numbers("front_ends", as_frame([*OWN, *OTHER]), "simulated")
    values = {
        tokens: np.mean([r["value"] for r in rows if (r["system"], r["protocol"], r["classes"], r["metric"])
                         == ("CPEP", "ZS", "in", "balanced_accuracy")])
        for tokens, rows in (("features", OWN), ("waveform", OTHER))
    }  # fmt: skip
    for tokens, value in values.items():
        assert cell(cells, "CPEP", tokens, "ZS")["value"] == pytest.approx(value)
    gain = cell(cells, "CPEP", "worth", "ZS")
    assert gain["value"] == pytest.approx(values["features"] - values["waveform"])
    assert gain["low"] < gain["value"] < gain["high"] and gain["interval_kind"].endswith("3 seeds")
    assert cell(cells, LOG_POWER_LDA, "waveform")["value"] == cell(cells, LOG_POWER_LDA, "features")["value"]
    assert cell(cells, "EMG-MAE", "waveform")["mark"] and not cell(cells, "EMG-MAE", "features")["mark"]
    papers = cells.dropna(subset="paper_value")
    assert set(papers["tokens"]) == {"waveform"} and cell(cells, "EMBridge", "waveform", "ZS")["paper_value"] == 0.777
    text = tables.text("front_ends", cells)
    assert list(text.columns) == ["system", "protocol", "classes", *front_ends.NAMES.values(), "source"]
    assert text["waveforms"].iloc[-1].endswith("†") and "† long run, a day" in text.attrs["footnotes"]
    assert "EMG-MAE" not in set(text[text["protocol"] == "ZS"]["system"])  # it retrieves nothing
    swapped = tables.numbers("front_ends", as_frame([r | {"options": ""} for r in OTHER if r["protocol"] == "LP"]),
                             "simulated", own="waveform")  # fmt: skip
    assert cell(swapped, "EMG-MAE", "waveform")["value"] == cell(cells, "EMG-MAE", "waveform")["value"]


def test_the_spread_over_seeds_of_both_front_ends_is_in_the_difference():
    own = [r | {"seed": s} for s in range(3) for r in made({"CPEP": 0.6}, seeds=[0])]  # three times the same training
    apart = [r for s in range(3) for r in made({"CPEP": 0.3 + 0.2 * s}, seeds=[s], options="tokens=waveform")]
    wide, narrow = (
        cell(tables.numbers("front_ends", as_frame([*own, *rows]), "simulated"), "CPEP", "worth", "ZS")
        for rows in (apart, [r | {"options": "tokens=waveform"} for r in own])
    )
    assert narrow["value"] == 0 == narrow["high"] and wide["high"] - wide["low"] > 0.8


def test_other_tables_do_not_take_rows_of_the_other_front_end():
    alone, both = (as_frame(rows) for rows in (OWN, [*OWN, *OTHER]))
    for name in ("table2", "table3", "galleries", "corpora", "fig4", "table4", "fig3c", "fig8"):
        assert tables.numbers(name, both, "simulated").equals(tables.numbers(name, alone, "simulated")), name
    assert comparisons.controls_table(both, "simulated").equals(comparisons.controls_table(alone, "simulated"))
    shown = comparisons.controls_table(both, "simulated")
    assert list(shown["control"]) == [UNTRAINED]


def test_sentences_are_those_of_the_cells():
    def told(*rows):
        return front_ends.sentences(tables.numbers("front_ends", as_frame(rows), "simulated"))

    waveform, features, both = told(*OWN, *OTHER)
    assert waveform == (
        "On waveforms not shown to be above Log-power + LDA: 12 of 16 scores, Untrained encoder (LP in, LP unseen); "
        "EMG-MAE (LP in, LP unseen); CPEP (LP in, LP unseen, ZS in, ZS unseen); "
        "Q-Former (LP in, LP unseen, ZS in, ZS unseen)."
    )
    assert features == (
        "On log-power not shown to be above Log-power + LDA: 2 of 16 scores, Untrained encoder (LP in, LP unseen)."
    )
    assert both == (
        "Of 16 scores on both, log-power's is the higher in 10 and the lower in 4; 2 cannot be told apart (95 %)."
    )
    no_line = [r for r in [*OWN, *OTHER] if r["system"] != LOG_POWER_LDA]
    none = ["On waveforms there is no score yet to judge.", "On log-power there is no score yet to judge."]
    assert told(*no_line) == [*none, both]
    lonely = "No score is there on both front ends yet."
    assert told() == [*none, lonely]
    above = [r for r in OWN if r["system"] != UNTRAINED]
    assert told(*above) == [none[0], "On log-power above Log-power + LDA: all 14 scores.", lonely]


def test_the_picture_has_a_dot_for_each_number():
    cells = tables.numbers("front_ends", as_frame([*OWN, *OTHER]), "simulated")
    drawn = cells[(cells["tokens"] != front_ends.WORTH)].dropna(subset="value")
    networks = drawn[drawn["system"] != LOG_POWER_LDA]
    figure = figures.front_ends(drawn)
    dots = [line for ax in figure.axes for line in ax.lines if line.get_marker() == "o"]
    for tokens, filled in (("features", True), ("waveform", False)):
        values = sorted(dot.get_xdata()[0] for dot in dots if (dot.get_markerfacecolor() != "white") == filled)
        np.testing.assert_allclose(values, sorted(networks.loc[networks["tokens"] == tokens, "value"]))
    with pytest.raises(InputError, match="several"):
        figures.front_ends(cells.assign(tokens="waveform"))
    with pytest.raises(InputError, match="none"):
        figures.front_ends(cells[:0])


# ---- numbers of others --------------------------------------------------------------------------------------------


def test_emgblends_numbers_are_printed_with_their_source_and_never_looked_up():
    table = front_ends.emgblend().set_index("system")
    assert table.loc["random weights, frozen"].tolist() == [
        "0.494", "0.362", "–", "–", "EMGBlend (arXiv:2609.25582), real emg2pose, Table 4",
    ]  # fmt: skip
    assert table.loc["EMBridge, trained by them", "ZS unseen"] == "0.472"
    assert table.loc["EMGBlend", "source"].endswith("Table 1, a single run")
    for n in numbers.EMGBLEND:
        assert numbers.lookup(n.system, n.protocol, n.classes) == (None, "not in the source")
        assert all(n not in cells for cells in numbers.TABLES.values())
