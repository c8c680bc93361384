"""Training rows: what those against the build before need, how the builds are asked. Nothing is timed."""

import functools
import os
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from benchmarks import builds, training
from benchmarks.measure import worker
from embridge.run.cli import ROOT


def git(folder, *arguments: str) -> str:
    """What git says in a folder, as nobody in particular."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one commit in the place of ours."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "file").write_text("contents")
    git(folder, "init", "-q")
    git(folder, "add", "file")
    git(folder, "commit", "-qm", "one")
    monkeypatch.setattr(training, "ROOT", folder)
    return folder


class Fake:
    """Stands for a build's Steps: the build before takes 3 s a step, this one 1.5 s, and waits a hundredth of it."""

    def __init__(self, make, *options, **_):
        self.seconds = 3.0 if options[1] else 1.5

    def __enter__(self):
        return lambda stage, steps: (self.seconds, 0.01)

    def __exit__(self, *_):
        pass


# ---- the build before ----------------------------------------------------------------------------------------------


def notes_of_missing_rows(scratch, monkeypatch) -> list[str]:
    """Why steps and the whole run have no value; every stage of this build has one all the same."""
    monkeypatch.setattr(training, "worker", Fake)
    skipped, *stages = training.step_rows(scratch, 5, 3, beside=True)
    assert [row.value for row in stages] == [256 / 1.5] * 4 and "waiting for windows 1.00%" in stages[0].note
    (whole,) = training.whole_rows(scratch)
    assert skipped.value is None and whole.value is None
    return [skipped.note, whole.note]


def test_without_git_the_rows_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert notes_of_missing_rows(tmp_path, monkeypatch) == ["not run: there is no git here"] * 2


def test_without_the_commit_the_rows_say_so(tmp_path, repository, monkeypatch):
    notes = notes_of_missing_rows(tmp_path, monkeypatch)
    assert notes == ["not run: no commit 58ebd05 here, as in a shallow clone"] * 2


def test_outside_a_repository_the_rows_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "ROOT", tmp_path)
    assert all("not run: no commit" in note for note in notes_of_missing_rows(tmp_path, monkeypatch))


def test_the_build_before_comes_from_the_history_and_leaves_no_trace_in_it(tmp_path, repository, monkeypatch):
    monkeypatch.setattr(training, "BEFORE", git(repository, "rev-parse", "HEAD").strip())
    (repository / "file").write_text("other contents")
    root = training.check_out(tmp_path / "before")
    assert (root / "file").read_text() == "contents" and git(repository, "worktree", "list").count("\n") == 1


# ---- steps of training ---------------------------------------------------------------------------------------------


def test_the_package_of_another_build_is_not_taken_for_it(tmp_path):
    options = (tmp_path / "other", False, tmp_path / "out", "quick", 256, "cpu")
    with worker(builds.Steps, *options, build=ROOT) as run:
        with pytest.raises(RuntimeError, match="expected the build in .*other, found the one in"):
            run("CPEP", 1)


def test_a_process_takes_the_package_of_the_build_that_it_is_given(tmp_path):
    (tmp_path / "embridge").mkdir()
    (tmp_path / "embridge" / "__init__.py").touch()
    options = (ROOT, False, tmp_path / "out", "quick", 256, "cpu")
    with worker(builds.Steps, *options, build=tmp_path) as run:
        with pytest.raises(RuntimeError, match="expected the build in .*, found the one in"):
            run("CPEP", 1)


def test_each_stage_of_this_build_is_trained(tiny_study, monkeypatch):
    made = tiny_study()
    parts = builds.parts(before=False)
    monkeypatch.setattr(
        builds, "parts", lambda before: SimpleNamespace(**vars(parts) | {"Study": lambda *_, **__: made})
    )
    steps = builds.Steps(ROOT, False, made.out, "smoke", 16, "cpu")
    for name in training.STAGES:
        trainer = steps.stage(name)[2]
        weights = trainer.parameters[0].detach().clone()
        seconds, waits = steps(name, 2)
        assert seconds > 0 and 0 <= waits < 1 and not trainer.bad
        assert (trainer.parameters[0] != weights).any()


def test_every_stage_has_its_rows_and_its_target(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "check_out", lambda folder: folder)
    monkeypatch.setattr(training, "worker", Fake)
    rows = training.step_rows(tmp_path, 5, 3, beside=True)
    assert [(row.value, row.unit) for row in rows[::2]] == [(256 / 1.5, "windows/s")] * 4
    assert [(row.value, row.repetitions, row.target) for row in rows[1::2]] == [
        (2.0, 5, target) for target in ("5 x, aim 7", "3 x, aim 5", "2.4 x, aim 3.5", "1.3 x, aim 1.8")
    ]


# ---- the whole run -------------------------------------------------------------------------------------------------


@pytest.fixture
def toy_build(tmp_path, monkeypatch):
    """A function that writes a build whose run_all.sh is a few lines of Python; it stands for both builds."""

    def write(code: str):
        root = tmp_path / "build"
        root.mkdir()
        (root / "run.py").write_text(code)
        (root / "run_all.sh").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{root}/run.py" "$@"\n')
        (root / "run_all.sh").chmod(0o755)
        monkeypatch.setattr(training, "check_out", lambda folder: root)
        monkeypatch.setattr(training, "ROOT", root)
        return root

    return write


def test_a_whole_run_is_timed_and_its_largest_process_weighed(tmp_path, toy_build):
    child = "x = bytearray(2 * 10**8); x[::4096] = x[::4096]"
    root = toy_build(
        "import pathlib, subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
        "pathlib.Path(sys.argv[2], 'written').touch(); print(sys.argv[1:], flush=True)\n"
    )
    out = tmp_path / "scratch" / "whole"
    with worker(functools.partial, builds.whole_run, root, out) as run:
        found = run()
    assert found["minutes"] > 0 and 200 < found["MB"] < 400
    assert not out.exists() and str(["--out", str(out)]) in out.with_name("whole.log").read_text()


def test_both_whole_runs_have_their_rows_and_targets(tmp_path, monkeypatch):
    numbers = iter([{"minutes": 20, "MB": 2000}, {"minutes": 22, "MB": 800}])  # before, now
    monkeypatch.setattr(training, "check_out", lambda folder: folder)
    monkeypatch.setattr(training, "worker", lambda *_: nullcontext(lambda: next(numbers)))
    time, memory = training.whole_rows(tmp_path)
    assert time.value == pytest.approx(1.1) and "22" in time.ours and time.target == "at most 1.4, aim 1.1"
    assert memory.value == pytest.approx(0.4) and "2,000" in memory.baseline and memory.target == "at most half"


def test_a_whole_run_that_fails_is_told_in_its_row(tmp_path, toy_build, capsys):
    toy_build("raise SystemExit('no disk')")
    (row,) = training.whole_rows(tmp_path)
    assert row.value is None and row.note.startswith("not run: the whole run") and "no disk" in capsys.readouterr().out
