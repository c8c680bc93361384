"""The rows against the build before: what they need, how the builds are asked, what is cleaned up. Nothing is timed."""

import contextlib
import json
import os
import subprocess

import pytest

from embridge.bench import before, turns
from embridge.cli import ROOT

TOY = """
import json, sys
from embridge.bench import turns
class Stages:
    n_windows = 7
    def __init__(self, out, batch):
        print("noise")
        self.batch = batch
    def __call__(self, stage, steps):
        print("more noise", flush=True)
        return self.batch * steps / len(stage), 0.5
sys.exit(turns.main(json.loads(sys.argv[1]), Stages))
"""


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
    monkeypatch.setattr(before, "ROOT", folder)
    return folder


# ---- the build before ----------------------------------------------------------------------------------------------


def test_without_git_the_rows_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    rows = [*before.step_rows(tmp_path, {}, 5, 3), *before.whole_rows(tmp_path, print)]
    assert [row.value for row in rows] == [None, None]
    assert all(row.note == "not run: there is no git here" for row in rows)


def test_without_the_commit_the_rows_say_so(tmp_path, repository):
    rows = [*before.step_rows(tmp_path, {}, 5, 3), *before.whole_rows(tmp_path, print)]
    assert all("no commit 58ebd05 here, as in a shallow clone" in row.note for row in rows)


def test_outside_a_repository_the_rows_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(before, "ROOT", tmp_path)
    assert "not run: no commit" in before.step_rows(tmp_path, {}, 5, 3)[0].note


@pytest.mark.parametrize("problem", [None, RuntimeError, KeyboardInterrupt])
def test_the_worktree_goes_again_whatever_happens(tmp_path, repository, monkeypatch, problem):
    monkeypatch.setattr(before, "BEFORE", git(repository, "rev-parse", "HEAD").strip())
    with pytest.raises(problem) if problem else contextlib.nullcontext(), before.checked_out(tmp_path) as root:
        assert (root / "file").read_text() == "contents" and git(repository, "worktree", "list").count("\n") == 2
        if problem:
            raise problem
    assert not root.exists() and git(repository, "worktree", "list").count("\n") == 1


# ---- steps of training ---------------------------------------------------------------------------------------------


def test_a_worker_answers_in_its_build_whatever_it_prints(tmp_path):
    script = tmp_path / "toy.py"
    script.write_text(TOY)
    with before.Build(ROOT, tmp_path / "out", {}, script) as build:
        assert build.ready()("CPEP", 3) == (256 * 3 / 4, 0.5) and build("EMG-MAE", 7)[0] == 256
        assert build.log.read_text() == "noise\nmore noise\nmore noise\n"
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            build("", 3)
        with pytest.raises(RuntimeError, match="it ended"):
            build("CPEP", 3)
    assert build.process.returncode == 1


def test_the_package_of_another_build_is_not_taken_for_it(tmp_path):
    script = tmp_path / "toy.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{TOY}")
    other = tmp_path / "other"
    other.mkdir()
    with before.Build(other, tmp_path / "out", {}, script) as build:
        with pytest.raises(RuntimeError, match="expected the build in .*other, found the one in"):
            build.ready()


def test_a_worker_at_work_is_stopped_at_the_end(tmp_path):
    script = tmp_path / "sleeps.py"
    script.write_text("import time; time.sleep(600)")
    with before.Build(ROOT, tmp_path / "out", {}, script) as build:
        pass
    assert build.process.returncode == -9


def test_the_worker_trains_each_stage_of_this_build(tiny_study, monkeypatch):
    made = tiny_study()
    monkeypatch.setattr(turns, "study", lambda out: made)
    stages = turns.Stages("", 16)
    for name in before.STAGES:
        trainer = stages.stage(name)[2]
        weights = trainer.parameters[0].detach().clone()
        assert min(stages(name, 2)) > 0 and not trainer.bad
        assert (trainer.parameters[0] != weights).any()


def test_the_builds_take_turns_within_each_stage():
    calls = []

    def build(name, stage, steps):
        calls.append((stage, name))
        return float(len(calls))

    times = before.take_turns({n: (lambda s, k, n=n: build(n, s, k)) for n in ("before", "now")}, rounds=2, steps=3)
    n = 2 * len(before.STAGES)
    assert [name for _, name in calls] == ["before", "now"] * 4 + ["now", "before"] * 4 + ["before", "now"] * 4
    assert [stage for stage, _ in calls[:n:2]] == list(before.STAGES)
    assert times["Pose-MAE"] == {"before": [n + 2.0, 2 * n + 1.0], "now": [n + 1.0, 2 * n + 2.0]}


def test_every_row_has_its_target(tmp_path, monkeypatch):
    class Fake:
        def __init__(self, root, out, settings):
            self.seconds = 3.0 if "before" in out.name else 1.5

        def __call__(self, stage, steps):
            return self.seconds, 3 * self.seconds

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def ready(self):
            return self

    monkeypatch.setattr(before, "checked_out", lambda scratch: contextlib.nullcontext(scratch))
    monkeypatch.setattr(before, "Build", Fake)
    rows = before.step_rows(tmp_path, {}, 5, 3)
    assert [(row.value, row.repetitions, row.target) for row in rows] == [
        (2.0, 5, target) for target in ("5 x, aim 7", "3 x, aim 5", "2.4 x, aim 3.5", "1.3 x, aim 1.8")
    ]
    numbers = {"before": {"seconds": 1200, "megabytes": 2000}, "now": {"seconds": 1320, "megabytes": 800}}
    monkeypatch.setattr(before, "whole", lambda scratch, say: numbers)
    time, memory = before.whole_rows(tmp_path)
    assert time.value == pytest.approx(1.1) and "22.0 min" in time.ours and time.target == "at most 1.4, aim 1.1"
    assert memory.value == pytest.approx(0.4) and "2,000 MB" in memory.baseline and memory.target == "at most half"


# ---- the whole run -------------------------------------------------------------------------------------------------


@pytest.fixture
def toy_build(tmp_path):
    """A function that writes a build whose runner is a few lines."""

    def write(code: str):
        package = tmp_path / "build" / "embridge"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "runner.py").write_text(code)
        return package.parent

    return write


def test_a_whole_run_is_timed_and_its_largest_process_weighed(tmp_path, toy_build):
    child = "x = bytearray(10**8); x[::4096] = x[::4096]"
    root = toy_build(
        "import json, pathlib, subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
        "pathlib.Path(sys.argv[2], 'written').touch(); print(sys.argv[1:], flush=True)\n"
    )
    out = tmp_path / "scratch" / "whole"
    found = before.run(root, out)
    assert found["seconds"] > 0 and 100 < found["megabytes"] < 400
    assert not out.exists() and str(["--out", str(out)]) in out.with_name("whole.log").read_text()


def test_a_whole_run_that_fails_is_told_in_its_row(tmp_path, toy_build, monkeypatch, capsys):
    root = toy_build("raise SystemExit('no luck')")
    monkeypatch.setattr(before, "checked_out", lambda scratch: contextlib.nullcontext(root))
    (row,) = before.whole_rows(tmp_path)
    assert row.value is None and row.note.startswith("failed: the whole run") and "no luck" in capsys.readouterr().out


def test_too_little_room_is_told_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(before, "FREE", 10**18)
    assert before.main(["--whole", "--out", str(tmp_path / "there")]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["note"].startswith("not run: a whole run needs 1000000000 GB of disk, and ")
    assert not list((tmp_path / "there").iterdir())
