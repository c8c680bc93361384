"""The answers to the chapters' exercises run, at the smallest size, and answer each exercise."""

import importlib.util
import re

import nbformat
import pytest

from embridge.run.cli import NOTEBOOKS
from embridge.run.pages import STEMS

SOLVED = [STEMS[name] for name in ("mae_pretraining", "contrast", "qformer", "mprl", "communities", "objective")]


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def test_each_chapter_with_answers_is_a_page_and_says_where_they_are():
    assert sorted(path.stem for path in (NOTEBOOKS / "solutions").glob("*.py")) == SOLVED
    for stem in SOLVED:
        text = "".join(cell.source for cell in nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells)
        assert "notebooks/solutions/" in text


@pytest.mark.no_cover  # trains what chapters train, which other files do traced
@pytest.mark.parametrize("stem", SOLVED)
def test_every_exercise_is_answered(stem, study, capsys):
    spec = importlib.util.spec_from_file_location(f"answers_{stem}", NOTEBOOKS / "solutions" / f"{stem}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.answers(study)
    told = capsys.readouterr().out
    assert set(re.findall(r"^(\d)\. ", told, re.M)) == {"1", "2", "3"} and "nan" not in told
