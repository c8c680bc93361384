"""docs/results.md's numbers are the committed tables', to the digit, and those are results.csv's: typed would stay."""

import json
import re
from itertools import combinations, product

import pandas as pd
import pytest

from embridge.config import profile
from embridge.data.splits import SETS
from embridge.experiments import ALIGNED, NO_NETWORK, UNTRAINED, UPPER_BOUND
from embridge.paper import differences, front_ends, table_cells, tables
from embridge.paper.differences import seed_differences
from embridge.paper.results import MERGED, STOPPED, read_results, read_rows, real_results
from embridge.run.cli import ROOT
from embridge.run.pages import STEMS

FIGURES = ROOT / "figures" / "simulated-quick"
RESULTS = [FIGURES / name for name in MERGED]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
PAGE_IN_A_LINE = " ".join(PAGE.split())
COLUMNS = [("LP", "in"), ("LP", "unseen"), ("ZS", "in"), ("ZS", "unseen")]
TABLES = {"Table 2": f"{STEMS['results']}/table2.csv", "Table 3": f"{STEMS['ablations']}/table3.csv"}


def cell(row: pd.Series) -> str:
    """Ours with its interval and, where it does not beat the line without a network, its mark; then (the paper's)."""
    ours = "–" if pd.isna(row["value"]) else f"{row['value']:.2f}"
    ours += "" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    ours += f" {table_cells.NOT_ABOVE}" * bool(row.get("mark") == table_cells.NOT_ABOVE)
    return ours + ("" if pd.isna(row["paper_value"]) else f" ({row['paper_value']:.3f})")


def lines(file: str) -> list[str]:
    """The rows of one of the page's tables, as they must read."""
    cells = pd.read_csv(FIGURES / file)
    cells = cells[cells["dataset"] == "simulated"]
    found = []
    for system, rows in cells.groupby("system", sort=False):
        rows = rows.set_index(["protocol", "classes"])
        found.append(f"| {system} | " + " | ".join(cell(rows.loc[column]) for column in COLUMNS) + " |")
    return found


def seeds() -> list[str]:
    """The rows of the page's table of seeds: the mean over them and, in round brackets, the lowest and highest."""
    cells, found = pd.read_csv(FIGURES / STEMS["appendix"] / "seeds.csv", keep_default_na=False, dtype=str), []
    cells["text"] = [f"{r['mean over seeds']} ({r['lowest']} to {r['highest']})" for r in cells.to_dict("records")]
    for system, rows in cells.groupby("system", sort=False):
        texts = rows.set_index(["protocol", "classes"])["text"]
        found.append(f"| {system} | " + " | ".join(texts.get(column, "–") for column in COLUMNS) + " |")
    return found


def real() -> list[str]:
    """The rows of the page's table of real recordings, from the committed rows."""
    cells = tables.numbers("real", real_results("ninapro-db1-s1"), "ninapro-db1")
    found = tables.text("real", cells).drop(columns="source")
    return [f"| {' | '.join(row)} |" for row in found.itertuples(index=False)]


def worth() -> list[str]:
    """The rows of the page's table of front ends: on waveforms and, in round brackets, what log-power has more."""
    numbers = pd.read_csv(FIGURES / STEMS["appendix"] / "front_ends.csv")
    texts = numbers.fillna(dict.fromkeys(("origin", "mark", "interval_kind"), ""))
    cells, found = tables.text("front_ends", texts), []
    cells = cells[~cells["system"].isin(NO_NETWORK)]
    ours = cells[front_ends.NAMES["waveform"]].str.split(r" \| ", regex=True).str[0]  # the paper's stands behind it
    cells["text"] = ours + " (" + cells[front_ends.NAMES[front_ends.WORTH]] + ")"
    for system, rows in cells.groupby("system", sort=False):
        texts = rows.set_index(["protocol", "classes"])["text"]
        found.append(f"| {system} | " + " | ".join(texts.get(column, "–") for column in COLUMNS) + " |")
    return found


MADE = {"Three seeds": seeds, "What the front end is worth": worth, "Real recordings": real}


@pytest.mark.parametrize("title", [*TABLES, *MADE])
def test_the_page_shows_the_committed_table(title):
    shown = re.search(rf"^\*\*{re.escape(title)}.*?\n\n\| system .*?\n\|[-|]+\n(.*?)\n\n", PAGE, re.M | re.S)
    assert shown, f"docs/results.md has no table under a line that begins with **{title}"
    expected = lines(TABLES[title]) if title in TABLES else MADE[title]()
    assert shown[1].split("\n") == expected, "docs/results.md's rows should read:\n" + "\n".join(expected)


def test_what_the_page_says_of_the_real_recordings():
    rows, page = real_results("ninapro-db1-s1"), " ".join(PAGE.split())
    cells = tables.numbers("real", rows, "ninapro-db1").set_index(["protocol", "system"])
    assert (cells.loc["LP"].loc[["EMG-MAE", *ALIGNED], "mark"] == table_cells.NOT_ABOVE).all()
    retrieved = cells.loc["ZS"].loc[list(ALIGNED)].reset_index()
    for column, of in retrieved.groupby(["gallery", "classes"]):
        assert of.set_index("system")["value"].idxmax() == "CPEP", column
    said = "No network's probe is shown to beat the line without one here. CPEP retrieves best in every column."
    leads = seed_differences(rows, "ninapro-db1", [("CPEP", "EMBridge")]).query("protocol == 'ZS'")
    known, unseen = (f"{r.difference:+.2f} [{r.low:.2f}, {r.high:.2f}]" for r in leads.itertuples())
    assert (leads["low"] > 0).tolist() == [True, False] and (leads["seeds"] == 3).all()
    said += f" Paired, over three seeds, with every pose in the gallery, its zero-shot lies {known} above EMBridge's on"
    assert f"{said} known movements, which barely leaves zero out, and {unseen} on unseen ones." in page


def test_the_page_s_differences_between_sizes_are_the_chapter_s():
    found = pd.read_csv(FIGURES / STEMS["efficiency"] / "growth_differences.csv")
    cells = found.set_index(["systems", "protocol", "classes"])
    assert found.set_index("systems").filter(like="36000", axis=0)["seeds"].eq(1).all()
    sizes = ("8000 of 38", "1000 of 19"), ("36000 of 176", "8000 of 38")
    on_waveforms = ("CPEP on waveforms", sizes[0])  # which have no more windows than the default's people gave
    for system, (more, less) in [*product(("EMG-MAE", "CPEP", "EMBridge"), sizes), on_waveforms]:
        pair, shown = f"{system}, {more} - {system}, {less}", []
        for column in COLUMNS:
            known = (pair, *column) in cells.index
            shown.append(
                "{difference:+.2f} [{low:.2f}, {high:.2f}]".format(**cells.loc[(pair, *column)]) if known else "–"
            )
        assert f"| {system} | {' | '.join(shown)} |\n" in PAGE
    open_yet = found[["low", "high"]].prod(axis=1) < 0
    assert open_yet[found["systems"].str.contains("of 76")].all()
    most = found["systems"].str.match(r"(?P<s>.+), 36000 of 176 - (?P=s), ")
    grown = cells[(most & ~open_yet).to_numpy()].index.to_frame(index=False)
    assert sorted(map(tuple, grown.to_numpy())) == sorted(
        (f"{s}, 36000 of 176 - {s}, 8000 of 38", protocol, "in")
        for s, protocol in (("CPEP", "ZS"), ("EMBridge", "ZS"), ("EMBridge", "LP"))
    )
    leads = found[found["systems"].str.startswith("EMBridge") & found["systems"].str.contains("- CPEP")]
    leads = leads.query("protocol == 'ZS' and classes == 'unseen'").set_index("systems")
    lead = leads.loc["EMBridge, 36000 of 176 - CPEP, 36000 of 176"]
    assert len(leads) == 5 and leads["difference"].max() == lead["difference"] and lead["low"] < 0
    told = "({difference:+.2f} [{low:.2f}, {high:.2f}] zero-shot on unseen gestures, the largest of five sizes)"
    assert told.format(**lead) in PAGE


def test_what_the_page_and_readme_say_of_the_front_end():
    rows = read_results(*RESULTS)
    cells = pd.read_csv(FIGURES / STEMS["appendix"] / "front_ends.csv")
    cells = cells[~cells["system"].isin(NO_NETWORK)].dropna(subset="value")
    of_emg = cells["system"] != UPPER_BOUND
    gain, waveforms = (
        cells[of_emg & (cells["tokens"] == front_ends.WORTH)],
        cells[of_emg & (cells["tokens"] == "waveform")],
    )
    assert len(gain) == len(waveforms) == 16 and (gain["low"] > 0).all()
    assert (waveforms["mark"] == table_cells.NOT_ABOVE).all()
    between = f"{gain['value'].min():.2f} to {gain['value'].max():.2f}"
    assert (
        f"All sixteen scores of networks that read EMG are higher on log-power, by {between}, and none of them" in PAGE
    )
    assert "only emg2pose's regressor (one seed) is shown to beat that line; log-power adds " + between in (
        ROOT / "README.md"
    ).read_text(encoding="utf-8")
    not_reproduced = (ROOT / "docs" / "not_reproduced.md").read_text(encoding="utf-8")
    assert f"log-power is worth {between} in balanced accuracy" in " ".join(not_reproduced.split())
    pose = cells[~of_emg & (cells["tokens"] == front_ends.WORTH)]
    assert len(pose) == 2 and (pose["high"] > 0).all()
    on_waveforms = front_ends.of_front_ends(rows, "features")["waveform"]
    gained = seed_differences(on_waveforms, "simulated", [("EMG-MAE", UNTRAINED)])
    known, unseen = (f"{r.difference:+.2f} [{r.low:.2f}, {r.high:.2f}]" for r in gained.itertuples())
    page = " ".join(PAGE.split())
    assert f"{known} above an untrained encoder's on known gestures ({unseen} on unseen ones)" in page
    pairs = seed_differences(on_waveforms, "simulated", list(combinations(ALIGNED, 2)))
    assert len(pairs) == 12 and (pairs[["low", "high"]].prod(axis=1) < 0).all()


def test_what_the_page_says_of_the_untrained_encoder():
    rows = read_results(*RESULTS)
    known = [name for name in (*ALIGNED, "EMG-MAE") if name in set(rows["system"])]
    over = seed_differences(rows, "simulated", [(name, UNTRAINED) for name in known])
    over = over[over["protocol"] == "LP"].set_index("systems")
    assert set(over["seeds"]) == {3} and len(over) == 2 * len(known)
    assert (over.loc[f"EMG-MAE - {UNTRAINED}", "low"] < 0).all()
    assert (over.loc[[f"{name} - {UNTRAINED}" for name in ALIGNED], "low"] > 0).all()
    said = "EMG pre-trained alone (EMG-MAE) is not shown to exceed an untrained encoder here"
    assert said in PAGE


def test_the_page_prints_the_papers_numbers_beside_those_of_an_independent_run():
    """E's and EMGBlend's, of real recordings; nothing of ours is scored against the second."""
    table = front_ends.emgblend().set_index("system")
    lines = {name: [row[" ".join(column)] for column in COLUMNS] for name, row in table.iterrows()}
    cells = pd.read_csv(FIGURES / STEMS["results"] / "table2.csv").query(
        "dataset == 'simulated' and system == 'EMBridge'"
    )
    cells = cells.set_index(["protocol", "classes"])["paper_value"]
    lines["EMBridge, as E prints it"] = [f"{cells[column]:.3f}" for column in COLUMNS]
    chapter = (FIGURES / "notebooks" / f"{STEMS['results']}.md").read_text(encoding="utf-8")  # Table 2's page
    for name, values in lines.items():
        assert f"| {name} | {' | '.join(values)} |\n" in PAGE
        assert f"| {name} | {' | '.join(values)} |\n" in chapter
    assert "arXiv:2609.25582" in PAGE and "Nothing of ours is scored against theirs." in PAGE
    less = float(lines["EMBridge, as E prints it"][3]) - float(lines["EMBridge, trained by them"][3])
    assert "arXiv:2609.25582" in chapter and f"theirs lies {less:.3f} below what E prints" in chapter


def test_epochs_are_the_first_after_which_ten_more_gain_little():
    errors = pd.read_csv(ROOT / "figures" / "simulated-long" / "epochs.csv").set_index(["system", "epochs"])["value"]
    said = {
        name: f"{name} {100 * (1 - errors[name, n + 10] / errors[name, n]):.1f}"
        for name, n in {"EMG-MAE": 40, **dict.fromkeys(ALIGNED, 30)}.items()
    }
    page = " ".join((ROOT / "docs" / "not_reproduced.md").read_text(encoding="utf-8").split())
    assert f"less than 5 % ({', '.join(said.values())})" in page
    enough = {
        name: next(n for n in (10, 20, 30, 40) if errors[name, n + 10] > 0.95 * errors[name, n]) for name in ALIGNED
    }
    assert enough == {"CPEP": 10, "Q-Former": 20, "EMBridge": 30}
    assert f"fewer would have done for CPEP ({enough['CPEP']}) and the Q-Former ({enough['Q-Former']})." in page
    assert all(errors[name, 50] > errors[name, 40] for name in ALIGNED)
    assert "From 40 to 50 InfoNCE rises for all three" in page
    pose = [f"{errors['Pose-MAE', n]:.3f} after {n}" for n in (20, 40, 80)]
    assert f"{100 * (1 - errors['Pose-MAE', 50] / errors['Pose-MAE', 40]):.0f} % from 40 to 50" in page
    assert ", ".join(pose) in page


def test_what_the_page_and_readme_say_of_the_regressor_that_was_trained_to_its_end():
    about, rows = read_rows(ROOT / "figures" / "simulated-long" / "rows" / "poset-seed0.json", "rows", "")
    (ended,) = [r for r in rows if r["metric"] == "epochs"]
    assert ended["options"] == STOPPED and about["configuration"]["train"]["patience"] == 20
    aligned = profile("long").align.epochs
    assert (
        f"not improved for 20 epochs: {ended['value']:.0f} in all, where aligned systems take {aligned},"
        in PAGE_IN_A_LINE
    )
    claims = " ".join(pd.read_csv(FIGURES / "claims.csv", keep_default_na=False)["numbers"])
    known, unseen = (re.search(rf"EMBridge over PoseT, LP {c} (\S+ \[.*?\]) paired", claims)[1] for c in SETS)
    assert f"is {known} on known and {unseen} on unseen gestures, which cannot be told from 0;" in PAGE_IN_A_LINE
    half = re.search(r"EMBridge, 0.5 of shots over PoseT, LP unseen (\S+ \[.*?\])", claims)[1]
    assert f"below PoseT with all on unseen ones ({half})." in PAGE_IN_A_LINE and half.endswith(", -0.030]")
    cells = tables.numbers("table2", read_results(*RESULTS), "simulated")
    cells = cells[(cells["protocol"] == "LP") & (cells["system"] != UPPER_BOUND)].dropna(subset="value")
    best = cells.loc[cells.groupby("classes")["value"].idxmax()].set_index("classes")
    assert set(best["system"]) == {"PoseT"}
    said = f"(167 epochs; aligned systems {aligned}), has the best probe, {best['value']['in']:.2f} and"
    ninapro = pd.read_csv(FIGURES / TABLES["Table 2"]).query("dataset == 'simulated-ninapro' and protocol == 'LP'")
    assert set(ninapro.loc[ninapro.dropna(subset="value").groupby("classes")["value"].idxmin()]["system"]) == {"PoseT"}
    longer = pd.read_csv(FIGURES / STEMS["open_choices"] / "open_choices.csv").query("option == 'CPEP epochs'")
    assert len(longer) == 4 and (longer["low"] < 0).all()
    assert "CPEP trained 2.5 times as long is not shown to be better" in PAGE_IN_A_LINE
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{said} {best['value']['unseen']:.2f}, not clearly above EMBridge's." in readme


def test_what_the_page_says_of_emg2pose_s_network():
    about, rows = read_rows(ROOT / "figures" / "simulated-long" / "rows" / "emg2pose-seed0.json", "rows", "")
    (ended,) = [r for r in rows if r["metric"] == "epochs"]
    assert ended["options"] == STOPPED and about["configuration"]["train"]["patience"] == 10
    assert f"had not improved for 10 epochs ({ended['value']:.0f} in all), it" in PAGE_IN_A_LINE
    errors = pd.read_csv(FIGURES / STEMS["appendix"] / "regression.csv").set_index(["system", "classes"])["value"]
    its, poset, constant = ([f"{errors[s, c]:.1f}" for c in SETS] for s in ("emg2pose", "PoseT", "Constant pose"))
    assert "regresses {} degrees on known and {} on unseen".format(*its) in PAGE_IN_A_LINE
    assert "(PoseT {} and {}, a constant pose {} and {})".format(*poset, *constant) in PAGE_IN_A_LINE
    claims = " ".join(pd.read_csv(FIGURES / "claims.csv", keep_default_na=False)["numbers"])
    known, unseen = (re.search(rf"EMBridge over emg2pose, LP {c} (\S+ \[.*?\]) paired", claims)[1] for c in SETS)
    assert f"probe less its is {known} on known gestures and {unseen} on unseen ones." in PAGE_IN_A_LINE
    cells = pd.read_csv(FIGURES / TABLES["Table 2"]).query("system == 'emg2pose' and protocol == 'LP'")
    over = [f"{r.over_lda:.2f} [{r.over_lda_low:.2f}, {r.over_lda_high:.2f}]" for r in cells.head(2).itertuples()]
    assert f"by {over[0]} and {over[1]};" in PAGE_IN_A_LINE and (cells["over_lda_low"].head(2) > 0).all()
    fronts = pd.read_csv(FIGURES / STEMS["appendix"] / "front_ends.csv")
    fronts = fronts.query("tokens == 'waveform' and system == 'EMBridge' and protocol == 'LP'")["value"]
    assert "EMBridge's probe is {:.2f} and {:.2f} there".format(*fronts) in PAGE_IN_A_LINE


def test_what_the_page_says_of_vemg2pose():
    about, rows = read_rows(ROOT / "figures" / "simulated-long" / "rows" / "vemg2pose-seed0.json", "rows", "")
    (ended,) = [r for r in rows if r["metric"] == "epochs"]
    assert ended["options"] == STOPPED and f"stopped after {ended['value']:.0f} epochs in all" in PAGE_IN_A_LINE
    first, third, best = about["validation"][0], about["validation"][2], min(about["validation"])
    losses = f"{first:.2f} after one epoch, {third:.2f} after three and {best:.2f} after"
    losses += f" {about['validation'].index(best) + 1}, its best: that training stopped after {ended['value']:.0f}"
    assert losses in " ".join((ROOT / "docs" / "not_reproduced.md").read_text(encoding="utf-8").split())
    errors = pd.read_csv(FIGURES / STEMS["appendix"] / "regression.csv").set_index(["system", "classes"])["value"]
    its = [f"{errors['Vemg2pose', c]:.1f}" for c in SETS]
    assert "It regresses {} degrees on known and {} on unseen gestures.".format(*its) in PAGE_IN_A_LINE
    claims = " ".join(pd.read_csv(FIGURES / "claims.csv", keep_default_na=False)["numbers"])
    said_of = {"EMBridge": "less its is {} on known and {} on unseen", "CPEP": "less its is {} and {}, which"}
    for system, said in said_of.items():
        over = [re.search(rf"{system} over Vemg2pose, LP {c} (.*?) paired", claims)[1] for c in SETS]
        assert said.format(*over) in PAGE_IN_A_LINE
    cells = pd.read_csv(FIGURES / TABLES["Table 2"]).query("system == 'Vemg2pose' and protocol == 'LP'").head(2)
    assert (cells["over_lda_low"] <= 0).all() and "Its probe is not shown to be above the line" in PAGE_IN_A_LINE


def test_what_matters_of_the_open_choices_is_what_the_table_says():
    cells = pd.read_csv(FIGURES / STEMS["open_choices"] / "open_choices.csv")
    trained = cells[cells["origin"].notna()]
    clear = trained[(trained["low"] > 0) | (trained["high"] < 0)]
    assert cells["value"].notna().all() and len(clear) == 12
    words = {
        "waveform": "waveforms of whole windows {} and {} by probe, {} and {} by zero-shot",
        "channel": "scaled a channel each, as in the paper, {}, {}, {}, {}",
        "recording": "by the recording {}, {}, {}, {}",
    }
    for alternative, part in clear.groupby("alternative"):
        assert set(part["option"]) <= {"EMG tokens", "EMG normalisation"}
        assert words[alternative].format(*(f"{v:.2f}" for v in part["value"])) in PAGE_IN_A_LINE


def test_what_other_soft_targets_score_above_embridge_is_what_the_table_says():
    cells = pd.read_csv(FIGURES / STEMS["beyond"] / "other_targets.csv")
    assert cells["seeds"].eq(3).all()
    by = cells.set_index(["systems", "protocol", "classes"])
    for system in cells["systems"].str.removesuffix(" - EMBridge").unique():
        found = (by.loc[(f"{system} - EMBridge", *column)] for column in COLUMNS)
        shown = ["{value:+.2f} [{low:.2f}, {high:.2f}]".format(**difference) for difference in found]
        assert f"| {system} | {' | '.join(shown)} |\n" in PAGE
    clear = cells[(cells["low"] > 0) | (cells["high"] < 0)]
    assert [tuple(c) for c in clear[["systems", "protocol", "classes"]].to_numpy()] == [
        ("Gaussian mixture - EMBridge", "ZS", "in"),
        ("SigLIP - EMBridge", "ZS", "in"),
        ("SoftCLIP alone - EMBridge", "ZS", "in"),
        ("SoftCLIP alone - EMBridge", "ZS", "unseen"),
    ]


def clear_differences() -> list[str]:
    """A line for each difference over the seeds whose interval leaves zero out, in the committed table's order."""
    pairs = pd.read_csv(FIGURES / STEMS["appendix"] / "seed_differences.csv")
    clear = pairs[(pairs["low"] > 0) | (pairs["high"] < 0)]
    return [
        f"- {r.protocol} {r.classes}, {r.systems}: {r.difference:+.2f} [{r.low:.2f}, {r.high:.2f}]"
        for r in clear.itertuples()
    ]


def test_the_page_tells_the_luck_of_a_training():
    assert differences.seed_spread_line(read_results(*RESULTS), "simulated") in PAGE
    shown = re.search(r"leave zero out:\n\n((?:- .*\n)+)", PAGE)
    expected = clear_differences() or ["- none"]
    assert shown and shown[1].splitlines() == expected, "docs/results.md should list:\n" + "\n".join(expected)


def test_the_committed_pose_autoencoder_uses_the_order_of_patches():
    notes = json.loads((FIGURES / STEMS["mae_pretraining"] / "results.json").read_text(encoding="utf-8"))["notes"]
    errors = notes["hidden_patch_errors"]["Pose-MAE"]
    assert errors["Pose-MAE"] <= 0.4 * errors["mean of the visible patches"]
    assert errors["linear interpolation"] < errors["mean of the visible patches"]


@pytest.mark.parametrize("file", sorted(FIGURES.glob("*/*.csv")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_measured_cell_of_a_table_is_a_row_of_results(file):
    cells = pd.read_csv(file)
    # others are made of several rows each; Fig. 8's are means, and front ends' are held by docs/results.md's table
    if "value" not in cells or file.name in ("fig8.csv", "front_ends.csv"):
        return
    kept, several = pd.read_csv(FIGURES / "results.csv", low_memory=False), pd.Series(False, cells.index)
    if {"seeds", "system", "protocol"} <= {*cells}:  # means over several seeds are those of their rows
        several = cells["seeds"] > 1
        others = ["not-self", "other-repetitions", "all" if file.name == "strict.csv" else "other-users"]
        scores = kept[(kept["metric"] == "balanced_accuracy") & ~kept["gallery"].isin(others)]
        grown = scores["param"] == "users, windows"
        usual = (scores["param"] == "C") | ((scores["param"] == "k") & (scores["param_value"] == "10"))
        scores = scores[~(scores["pooling"] == "mean") & (usual | grown)]
        scores = scores.assign(size=scores["param_value"].where(grown, ""))
        scores = scores[scores["options"].isna() | (scores["options"] == "corpus=class set")]
        of = ["dataset", "size", "system", "protocol", "classes"]
        means = scores.drop_duplicates([*of, "seed"]).groupby(of)["value"].agg(["mean", "size"])
        told = cells.assign(dataset=cells.get("dataset", "simulated"), size="")
        if "windows" in cells:  # the default has no size of its own
            sizes = cells["users"].astype(str) + ", " + cells["windows"].astype(str)
            told["size"] = sizes.where(sizes.isin(scores["size"]), "")
        for one in told[several].itertuples():
            mean = means.loc[tuple(getattr(one, column) for column in of)]
            assert one.value == pytest.approx(mean["mean"]) and one.seeds == mean["size"], f"{one}: {mean}"
    elif "seeds" in cells:
        several = cells["seeds"] > 1
    lost = cells[cells["value"].notna() & ~several & ~cells["value"].round(10).isin(kept["value"].round(10))]
    assert lost.empty, lost.to_string()


def test_the_page_sorts_the_claims_as_the_committed_table_does():
    claims = pd.read_csv(FIGURES / "claims.csv", keep_default_na=False)
    kinds = {
        "holds": "Holds",
        "does not hold": "Does not hold",
        "cannot tell on this dataset": "Cannot tell on this dataset",
        "cannot tell: baseline not trained to its end": "Baseline not trained to its end",
    }
    known = claims["verdict"].str.replace(r" \(.*", "", regex=True)
    for kind, rows in claims.groupby(known.map(lambda verdict: kinds.get(verdict, "No rows yet"))):
        shown = re.search(rf"^\*\*{kind}\*\* \({len(rows)} of {len(claims)}\)\n\n((?:- .*\n)+)", PAGE, re.M)
        expected = [f"- {row.claim} ({row.source})" for row in rows.itertuples()]
        assert shown and shown[1].splitlines() == expected, f"under {kind} docs/results.md should list:\n" + "\n".join(
            expected
        )
