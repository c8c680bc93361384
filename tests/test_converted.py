"""Executed notebooks as web pages without a network and as Markdown that shows the committed pictures."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from papermill.translators import PythonTranslator

from embridge.run.pages import STEMS
from runner import converted

ROOT = Path(__file__).parents[1]
QUICK = ROOT / "figures" / "simulated-quick"
PNG = base64.b64decode(  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg=="
)


@pytest.fixture(params=["plain", "\xfc beside"])
def executed(tmp_path, request):
    """A notebook that has run in a folder below ``tmp_path``, beside its page's folder, which has one picture."""
    out = tmp_path / request.param
    pictures = out / "figures" / "simulated-quick" / "01_one"
    pictures.mkdir(parents=True)
    (pictures / "loss.png").write_bytes(PNG)

    def shown(**data):
        return new_output("display_data", {kind.replace("_", "/"): value for kind, value in data.items()})

    table = "<div><style scoped>td {color: red}</style><table><tr><td>0.5</td></tr></table></div>"
    outputs = [
        shown(image_png=base64.b64encode(PNG).decode()), shown(image_png=base64.b64encode(PNG + b"x").decode()),
        shown(text_html=table), new_output("stream", text=f"wrote {pictures}/results.json\n"),
    ]  # fmt: skip
    text = "With $\\tau < 1$ and\n\n$$\\mathcal{L} = -\\frac1B \\sum_i \\log q_{ii}$$\n\n`a$b` costs 1 < 2."
    parameters = new_code_cell(PythonTranslator.codify({"out": f"{out}"}), execution_count=1)
    cells = [new_markdown_cell(text), parameters, new_code_cell("draw()", outputs=outputs, execution_count=2)]
    copy = pictures.parent / "notebooks" / "01_one.ipynb"
    copy.parent.mkdir()
    nbformat.write(new_notebook(cells=cells), copy)
    return copy, pictures


def test_formulas_of_a_page_are_drawn_by_the_browser_and_nothing_is_fetched(executed):
    page = converted.html(executed[0], "01_one", str(executed[0].parent))
    assert page.count("<math ") == 2 and 'display="block"' in page and "<mfrac>" in page
    assert "\\tau" not in page and "a$b" in page  # code is no formula
    assert not re.findall(r"<script[^>]*\bsrc=|<link[^>]*\bhref=\"http|\bimport\(", page)
    assert "<title>01_one</title>" in page and page.count("<img") == 2


def test_markdown_links_to_saved_pictures_and_names_no_machine(executed, tmp_path):
    text = converted.markdown(*executed)
    assert text.count("![") == 1 and "![loss](../01_one/loss.png)" in text
    assert (executed[0].parent / "../01_one/loss.png").is_file()
    assert "<table><tr><td>0.5" in text and "color: red" not in text
    assert tmp_path.name not in text and "wrote figures/simulated-quick/01_one/results.json" in text
    assert 'out = ""' in text and "\\mathcal{L}" in text  # GitHub draws formulas itself


@pytest.mark.parametrize("stem", STEMS.values())
def test_the_committed_chapter_is_the_notebook_with_its_outputs(stem):
    """Each cell of the notebook in its order; and every picture that it shows is committed."""
    file = QUICK / "notebooks" / f"{stem}.md"
    text, at = file.read_text(encoding="utf-8"), 0
    for cell in nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells:
        found = text.find(cell.source.strip(), at)
        assert found >= 0, f"{file.name} is not made of today's notebook: it lacks {cell.source[:80]!r}"
        at = found + len(cell.source.strip())
    links = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert sorted({(file.parent / link).resolve() for link in links}) == sorted((QUICK / stem).glob("*.png"))
