"""The answers to the chapters' exercises run, at the smallest size, and answer each exercise."""

import importlib.util
import re

import nbformat
import pytest

from embridge.run.cli import NOTEBOOKS
from embridge.run.pages import STEMS

CHAPTERS = list(STEMS.values())  # every one: none may be left out


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def exercises(stem: str) -> str:
    """The chapter's cell of exercises."""
    cells = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells
    return next(cell.source for cell in cells if cell.source.startswith("## Exercises"))


def test_each_chapter_with_answers_is_a_page_and_says_where_they_are():
    assert sorted(path.stem for path in (NOTEBOOKS / "solutions").glob("*.py")) == CHAPTERS
    for stem in CHAPTERS:
        assert "notebooks/solutions/" in exercises(stem)


@pytest.mark.no_cover  # trains what chapters train, which other files do traced
@pytest.mark.parametrize("stem", CHAPTERS)
def test_every_exercise_is_answered(stem, study, capsys):
    spec = importlib.util.spec_from_file_location(f"answers_{stem}", NOTEBOOKS / "solutions" / f"{stem}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.answers(study)
    told = capsys.readouterr().out
    asked, answered = (set(re.findall(r"^(\d)\. ", text, re.M)) for text in (exercises(stem), told))
    assert asked == answered and "nan" not in told
