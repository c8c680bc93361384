"""A page's name and number stand in one table, and every link between pages leads somewhere."""

import re

import nbformat
import pytest

from embridge.run.cli import ROOT, notebooks
from embridge.run.pages import NUMBERS, STEMS, TITLES

TABLE = ROOT / "embridge" / "run" / "pages.py"
CODE = sorted(
    file for top in ("embridge", "tests", "runner", "benchmarks", "examples") for file in (ROOT / top).rglob("*.py")
)
NAMED = re.compile(rf"\b\d\d_({'|'.join(TITLES)})\b|\b([Nn]otebook|[Cc]hapter|[Pp]age)s? \d\d\b")


def test_the_table_is_the_notebooks_in_order():
    assert [path.stem for path in notebooks()] == list(STEMS.values())
    for path in notebooks():
        name = path.stem[3:]
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells]
        assert cells[0].startswith(f"# {NUMBERS[name]} · {TITLES[name]}\n"), path.stem
        assert sum(f'Page(STEMS["{name}"], ' in source for source in cells) == 1, f"{path.stem} writes another page"


@pytest.mark.parametrize("file", CODE, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_code_names_a_page_but_the_table(file):
    found = NAMED.search(file.read_text(encoding="utf-8")) if file not in (TABLE,) else None
    assert found is None, f"{found[0]!r}: take it from embridge.run.pages, or say which page without its number"


def test_no_notebook_s_code_names_a_page():
    for path in notebooks():
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                stem = re.search(rf"\b\d\d_({'|'.join(TITLES)})\b", cell.source)
                assert stem is None, f"{path.stem}: {stem[0]} comes from embridge.run.pages"


def test_what_texts_call_a_page_is_one():
    texts = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")}
    texts |= {path.stem: path.read_text(encoding="utf-8") for path in notebooks()}
    texts |= {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "docs").glob("*.md")}
    for where, text in texts.items():
        for stem in re.findall(rf"\b\d\d_(?:{'|'.join(TITLES)})\b", text):
            assert stem in STEMS.values(), f"{where} names {stem}"
