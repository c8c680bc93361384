"""The front door: README is short, says what the committed results say, and names what there is."""

import re
from datetime import date

import pandas as pd
import yaml

from embridge.experiments import ALIGNED, LOG_POWER_LDA
from embridge.paper import table_cells
from embridge.run.cli import ROOT, notebooks
from embridge.run.pages import STEMS

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIGURES = ROOT / "figures" / "simulated-quick"
WORDS = 900


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def flat(text: str) -> str:
    """One line, without emphasis and the marks of quotations."""
    return " ".join(re.sub(r"^> |\*", "", text, flags=re.M).split())


def test_readme_is_short():
    words = [word for word in README.split() if re.search(r"\w", word)]
    assert len(words) <= WORDS, f"{len(words)} words: move some to docs/"


def test_it_opens_with_a_picture_whose_caption_says_simulated():
    pictures = re.findall(r"!\[([^\]]+)\]\[([^\]]+)\]\n\n(.+)", README)
    assert [label for _, label, _ in pictures] == ["animation", "table 2"] and pictures[0][1] in README.split("## ")[0]
    for alt, label, caption in pictures:
        place = re.search(rf"^\[{label}\]: (\S+)$", README, re.M)[1]
        assert len(alt) > 20 and (ROOT / place).stat().st_size < 2e6 and caption.startswith("*Simulated data*")


def test_the_first_lines_of_python_run_on_what_is_shipped(capsys):
    code = re.search(r"```python\n(.*?)```", section("Ten lines"), re.S)[1]
    assert len(code.splitlines()) <= 10
    exec(compile(code, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.split(" -> ")) == 1 + 8


def test_chapters_are_the_notebooks_and_their_names_stand_in_one_table():
    stems = [file.stem for file in notebooks()]
    table = section("Chapters")
    row = r"^\|( <img [^|]+>)? \| \[`(\w+)`\]\(figures/simulated-quick/notebooks/\2\.md\) \| [^|]+\? \|$"
    assert [name for _, name in re.findall(row, table, re.M)] == stems
    pictures = re.findall(r'<img src="([^"]+)" width="140">', table)
    assert len(pictures) > 8 and all((ROOT / place).is_file() for place in pictures)
    assert not re.search(r"\b\d\d_[a-z]", README.replace(table, ""))


def test_what_holds_is_what_the_committed_tables_say():
    said = flat(section("What holds, and what does not"))
    seeds = pd.read_csv(FIGURES / STEMS["appendix"] / "seeds.csv")
    mean = seeds["mean over seeds"]
    rows = seeds[seeds["system"].isin(ALIGNED)]
    assert len(rows) == 4 * len(ALIGNED) and set(rows["seeds"]) == {3}
    unseen = [float(text.split()[0]) for text in mean[rows.query("protocol == 'ZS' and classes == 'unseen'").index]]
    assert f"({min(unseen):.2f} to {max(unseen):.2f}; chance 0.25)" in said
    assert not mean[rows.index].str.contains(table_cells.NOT_ABOVE).any()
    strict = pd.read_csv(FIGURES / STEMS["appendix"] / "strict.csv").query("classes == 'unseen'")
    assert len(strict) == len(ALIGNED) and not (strict["mark"] == table_cells.NOT_ABOVE).any()
    assert f"with other users' poses alone {strict['value'].min():.2f} to {strict['value'].max():.2f}." in said
    assert "CPEP, Q-Former and EMBridge beat the classical line" in said and LOG_POWER_LDA in set(seeds["system"])
    pairs = pd.read_csv(FIGURES / STEMS["appendix"] / "seed_differences.csv")
    assert ((pairs["low"] < 0) & (pairs["high"] > 0)).all()
    assert "no difference between them is clear." in said
    verdicts = pd.read_csv(FIGURES / "claims.csv", keep_default_na=False)["verdict"]
    n = [(verdicts == v).sum() for v in ("holds", "does not hold", "cannot tell on this dataset")]
    do = "does" if n[1] == 1 else "do"
    counts = f"{len(verdicts)} claims {n[0]} hold, {n[1]} {do} not, {n[2]} cannot be told here"
    assert f"{counts} and {len(verdicts) - sum(n)} have no rows yet." in said


def test_what_it_says_of_real_people_and_of_the_untrained_encoder_is_held_in_docs():
    """test_docs_results holds these sentences of docs/results.md and docs/data.md to rows: README says no more."""
    said, page = flat(section("What holds, and what does not")), flat((ROOT / "docs" / "results.md").read_text())
    best = "CPEP retrieves best in every column"
    assert f"No network's probe is shown to beat the line without one here. {best}." in page
    lead = f"{best}, its lead over EMBridge barely clear on known movements."
    assert f"no network's probe is shown to beat the classical line. {lead}" in said
    assert "EMG pre-trained alone is not shown to exceed an untrained encoder by probe." in said
    assert "EMG pre-trained alone (EMG-MAE) is not shown to exceed an untrained encoder here" in page
    assert "CPEP is not above the classical line." in said
    board = flat((ROOT / "docs" / "data.md").read_text())
    assert "what CPEP learns from two recordings (three minutes) is not above the line without a network" in board
    assert "No number in this repository is a reproduction of the papers'." in said


def test_the_status_says_of_everything_whether_it_ran():
    rows = re.findall(r"^\| (.+) \| (.+) \|$", section("Status"), re.M)[1:]
    assert len(rows) >= 6
    for what, run in rows:
        dates = re.findall(r"\d{4}-\d\d-\d\d", run)
        assert run.startswith("not run") != bool(dates), f"{what}: a date, or not run"
        assert all(date.fromisoformat(day) <= date.today() for day in dates)
    assert "networks not checked against the released weights" in section("Status")  # METHOD 7, until they are


def test_the_papers_are_cited_as_published():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    by_title = {one["title"].split(":")[0]: one for one in cited["references"]}
    for title, identifier, number in (
        ("EMBridge", "LqrWNdceum", 8),
        ("CPEP", "arXiv:2509.04699", 10),
        ("EMGBlend", "arXiv:2609.25582", 1),
    ):
        values = [str(entry["value"]) for entry in by_title[title]["identifiers"]]
        assert any(identifier in value for value in values) and len(by_title[title]["authors"]) == number
    assert by_title["EMBridge"]["year"] == 2026
    assert {"LqrWNdceum", "arXiv:2509.04699"} <= set(
        re.findall(r"LqrWNdceum|arXiv:2509\.04699", section("How to cite"))
    )
    assert "blind" not in README and "blind" not in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
