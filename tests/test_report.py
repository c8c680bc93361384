"""The report of the committed quick run: the result first, verdicts in sight, nothing from the network."""

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

from embridge.run.cli import ROOT, notebooks
from embridge.run.pages import STEMS
from runner import report

FIGURES = ROOT / "figures" / "simulated-quick"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Tree(HTMLParser):
    """Tags with their attributes, the ids around them and the text that follows up to the next tag."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, html: str):
        super().__init__()
        self.open, self.found = [], []
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), [place for _, place in self.open if place], ""])
        if tag not in self.VOID:
            self.open.append((tag, dict(attributes).get("id")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.found:
            self.found[-1][3] += data.rstrip("\n")

    def of(self, *tags: str, inside: str = "") -> list:
        return [one for one in self.found if one[0] in tags and (not inside or inside in one[2])]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page's file, made anew from the committed results."""
    folder = shutil.copytree(FIGURES, tmp_path_factory.mktemp("report") / FIGURES.name)
    return report.write(folder, {"dataset": "simulated", "profile": "quick", "seeds": 1})


@pytest.fixture(scope="module")
def tree(made):
    return Tree(made.read_text(encoding="utf-8"))


def test_it_opens_with_the_result_then_come_claims_and_pages(tree):
    heads = [text for _, _, _, text in tree.of("h1", "h2")]
    pages = [file.stem for file in notebooks()]
    assert pages == sorted(page.parent.name for page in FIGURES.glob("*/results.json"))
    claims = "What the papers claim, and what holds here"
    titles = [report.HEADINGS[page] for page in pages]
    assert heads == ["EMBridge: simulated, quick", "The result", "Contents", claims, *titles, "Made by"]
    assert titles[0] == "01 · From recordings to windows"
    named = [text for _, _, _, text in tree.of("h3")]
    assert "table1 (table)" in named and not any("table2" in name for name in named)  # once, above
    cells = [text for _, _, _, text in tree.of("th", "td", inside="result")]
    assert cells[:6] == ["system", "seeds", "LP in", "LP unseen", "ZS in", "ZS unseen"]
    assert cells[6::6][:3] == ["One class", "Log-power + LDA", "Upper bound"] and len(cells) == 6 * 14  # no NinaPro
    one = pd.read_csv(FIGURES / STEMS["results"] / "table2.csv").query(
        "dataset == 'simulated' and system == 'EMBridge' and protocol == 'LP' and classes == 'in'"
    )
    ours = "{value:.2f} [{low:.2f}, {high:.2f}]".format(**one.iloc[0])
    assert any(cell.startswith(f"{ours} †") and cell.endswith("\npaper 0.785") for cell in cells)
    assert not any("not in the source" in cell for cell in cells)
    assert len(tree.of("img", inside="result")) == 1


def test_table_2_of_one_dataset_has_no_column_for_it(tmp_path):
    (tmp_path / "05").mkdir()
    table = {"name": "table2", "csv": "t.csv", "md": "t.md", "caption": "All.", "source": ""}
    (tmp_path / "05" / "results.json").write_text(json.dumps({"notebook": "05", "figures": [], "tables": [table]}))
    lines = "| group | system | LP in | source |\n| --- | --- | --- | --- |\n"
    lines += "| ours | CPEP \\| x | 0.5 \\| paper 0.7 †2 | E |\n"
    (tmp_path / "05" / "t.md").write_text(f"All.\n\n{lines}\nSource: E\n")
    found = Tree(report.write(tmp_path, {"dataset": "ninapro-db1"}).read_text(encoding="utf-8"))
    assert [text for _, _, _, text in found.of("th", "td")] == ["system", "LP in", "CPEP\nx", "0.5 †2\npaper 0.7"]


def test_it_counts_the_verdicts(made, tree):
    with (FIGURES / "claims.csv").open(newline="", encoding="utf-8") as file:
        verdicts = [line["verdict"] for line in csv.DictReader(file)]
    told = re.search(r"<ul>(.*?)</ul>", made.read_text(encoding="utf-8"), re.S)[1]
    counts = {k: int(n) for k, n in re.findall(r"<li>(.+?): <strong>(\d+)</strong>", told)}
    assert counts == {v: sum(text.startswith(v) for text in verdicts) for v in report.VERDICTS}
    assert sum(counts.values()) == len(verdicts)
    assert [text for _, _, _, text in tree.of("td", inside="claims")][::2] == verdicts


def test_rules_of_style_for_claims_and_result_meet_cells(made, tree):
    style = re.search(r"<style>(.*?)</style>", made.read_text(encoding="utf-8"), re.S)[1]
    for place in ("claims", "result"):
        assert f"#{place} td" in style and tree.of("td", inside=place)


def test_pictures_have_a_text_and_columns_a_head(tree):
    pictures = tree.of("img")
    assert len(pictures) == len(list(FIGURES.glob("*/*.png")))
    texts = [attributes["alt"] for _, attributes, _, _ in pictures]
    assert all(len(text) > 20 for text in texts) and len(set(texts)) == len(texts)
    assert all(attributes.get("scope") == "col" for _, attributes, _, _ in tree.of("th"))


def test_nothing_comes_from_the_network_formulas_neither(made, tree):
    places = [a[k] for _, a, _, _ in tree.found for k in ("src", "href") if k in a]
    assert all(place.startswith(("data:", "#", "notebooks/")) for place in places)
    ids = [a["id"] for _, a, _, _ in tree.found if "id" in a]
    assert len(ids) == len(set(ids)) and {p[1:] for p in places if p.startswith("#")} <= set(ids)
    text = re.sub(r"base64,[^\"]*", "", made.read_text(encoding="utf-8"))
    assert not re.search(r"\$|\\[a-z]|<script|https?://|@import|url\(", text)  # captions have no LaTeX


MEASURE = """<script>addEventListener("load", () => {
const boxes = (selector) => [...document.querySelectorAll(selector)].map(cell => cell.getBoundingClientRect());
const right = Math.max(...boxes("#claims td, #result td").map(box => box.right));
const least = Math.min(...boxes("#claims td").map(box => box.width));
parent.postMessage([innerWidth, document.documentElement.scrollWidth, right, least].join(), "*");
});</script></body>"""
FRAME = """<!doctype html><title></title>
<script>addEventListener("message", told => document.title = told.data)</script>
<iframe src="report.html" width="{width}" height="800" style="border: 0"></iframe>"""  # a window has at least 500 px


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 390])
def test_verdicts_and_result_are_in_sight(made, tmp_path, width):
    page = made.read_text(encoding="utf-8").replace("</body>", MEASURE)
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    command += ["--window-size=1400,900", "--virtual-time-budget=20000", f"--user-data-dir={tmp_path / 'profile'}"]
    command.append((tmp_path / "frame.html").as_uri())
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    inner, scroll, right, least = map(float, re.search(r"<title>([\d.,]+)</title>", done.stdout)[1].split(","))
    assert inner == width and scroll <= width and right <= width and least >= 80
    assert "CONSOLE" not in done.stderr
