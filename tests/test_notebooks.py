"""The rules that each committed notebook keeps: what it says first, what it declares, how short its cells are."""

import ast
import statistics
from pathlib import Path

import nbformat
import papermill
import pytest

from embridge.run.cli import NOTEBOOKS, notebooks

FOUND = notebooks()
PARAMETERS = {
    "dataset": "'simulated'",
    "profile": "'quick'",
    "train": "False",
    "seeds": "1",
    "device": "'auto'",
    "tokens": "''",
    "data": "''",
    "out": "''",
    "skip_broken": "False",
}


@pytest.fixture(params=FOUND, ids=[path.stem for path in FOUND])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def length(source: str) -> int:
    return len(source.strip().splitlines())


def test_every_notebook_is_numbered_once():
    assert sorted(NOTEBOOKS.glob("*.ipynb")) == FOUND
    numbers = [path.stem[:2] for path in FOUND]
    assert len(numbers) == len(set(numbers))


def test_first_cell_says_what_it_is_about(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    for word in ("learn", "need", "take", "write"):
        assert word in first.source.lower(), f"the first cell does not say what you {word}"


def test_declares_its_parameters_as_plain_literals(notebook, tmp_path):
    expected = PARAMETERS
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and tagged[0].cell_type == "code"
    lines = ast.parse(tagged[0].source).body
    assert all(isinstance(line, ast.Assign) for line in lines), "an annotated line is not seen by papermill"
    assert {line.targets[0].id: repr(ast.literal_eval(line.value)) for line in lines} == expected
    file = tmp_path / "n.ipynb"
    nbformat.write(notebook, file)
    assert {*papermill.inspect_notebook(str(file))} == {*expected}


def test_cells_are_short(notebook):
    lengths = [length(source) for source in code(notebook)]
    assert statistics.median(lengths) <= 8 and max(lengths) <= 25, lengths


def test_functions_are_short_and_nothing_else_is_defined(notebook):
    for source in code(notebook):
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.ClassDef), f"class {node.name} belongs in the package"
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10, f"{node.name} is longer than ten lines: into the package"


def test_a_figure_is_the_last_thing_of_its_cell_and_so_is_shown(notebook):
    for source in code(notebook):
        makers = ("page.figure(", "explore.divergence(")
        if any(name in source for name in makers):
            last = ast.parse(source).body[-1]
            shown = isinstance(last, ast.Expr) and any(name in ast.unparse(last) for name in makers)
            assert shown and not source.rstrip().endswith(";"), (
                f"Jupyter shows nothing of a cell that ends in {source[-60:]!r}"
            )


def test_committed_clean(notebook, request):
    raw = Path(NOTEBOOKS / f"{request.node.callspec.id}.ipynb").read_text(encoding="utf-8")
    for cell in notebook.cells:
        assert not cell.get("outputs") and not cell.get("execution_count")
        assert set(cell.metadata) <= {"tags"}, f"cell metadata {set(cell.metadata)}"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata.get("language_info", {"name": "python"}) == {"name": "python"}
    assert raw.endswith("}\n")


def test_ends_with_exercises_and_then_the_results(notebook):
    last = notebook.cells[-1]
    assert last.cell_type == "code" and "page.write()" in last.source
    assert sum("page.write()" in source for source in code(notebook)) == 1
    headed = [n for n, cell in enumerate(notebook.cells) if cell.cell_type == "markdown" and "Exercises" in cell.source]
    assert headed and headed[-1] < len(notebook.cells) - 1
    assert headed[-1] > 0.5 * len(notebook.cells), "exercises come before the last cell"
    items = [line for line in notebook.cells[headed[-1]].source.splitlines() if line.lstrip()[:2] in ("1.", "2.", "3.")]
    assert len(items) in (2, 3), "two or three numbered exercises"


def test_nothing_passes_between_notebooks_but_runs(notebook):
    for source in code(notebook):
        for word in ("results.json", "%run", "papermill", "sys.path"):
            assert word not in source
