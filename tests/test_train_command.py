"""One experiment as one command: what it prints, what it returns, who builds the data, and in what surroundings."""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest
import torch
from conftest import write_dataset, write_db1

from embridge import objectives, provenance, train, training
from embridge.errors import InputError
from embridge.paper.results import Page
from embridge.pretrained import open_study
from embridge.run import cli
from embridge.run.pages import STEMS
from runner import jobs
from runner.notebooks import parameters_of


def test_an_experiment_is_trained_told_in_one_line_and_not_trained_again(tmp_path, capsys):
    write_db1(tmp_path / "db1", 1)
    argv = ["--dataset", "ninapro-db1", "--data", str(tmp_path / "db1"), "--profile", "smoke"]
    argv += ["--device", "cpu", "--seed", "2", "--out", str(tmp_path)]
    assert train.main(["EMG-MAE", *argv]) == 0
    (done,) = (tmp_path / "runs").glob("*/done.json")
    folder, written = done.parent, done.stat().st_mtime_ns
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"EMG-MAE, key {folder.name.removeprefix('emg-mae-')}, {folder}, ") and line.endswith(" s")
    assert '"seed": 2' in (folder / "config.json").read_text()
    assert train.main([*argv, "--train", "EMG-MAE"]) == 0  # as run_all.sh passes it on
    assert done.stat().st_mtime_ns == written and str(folder) in capsys.readouterr().out


def test_an_unknown_name_is_told_before_any_work(tmp_path, capsys):
    assert train.main(["emg-mae", "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: experiment: expected one of Pose-MAE, EMG-MAE, CPEP")
    assert "found 'emg-mae'; did you mean EMG-MAE" in told
    assert told.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("profile", "commit", "warned"),
    [("long", "abc+", 1), ("long", "abc", 0), ("long", "unknown", 0), ("quick", "a+", 0)],
)
def test_a_long_training_of_a_tree_that_is_not_committed_is_told_first(
    profile, commit, warned, tmp_path, monkeypatch, capsys
):
    def ends(study):
        raise InputError("no more")

    monkeypatch.setattr(train, "commit", lambda: commit)
    monkeypatch.setattr(train, "prepare", ends)
    assert train.main(["CPEP", "--out", str(tmp_path), "--device", "cpu", "--profile", profile]) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert len(rest) == warned and first.startswith("warning: tracked files differ from the last commit") == bool(
        warned
    )


@pytest.mark.parametrize(
    ("problem", "code", "says"),
    [
        (InputError("the folder is in use"), 2, "error: the folder is in use"),
        (OSError("no space"), 1, "error: no space"),
    ],
)
def test_each_ending_has_its_exit_code(problem, code, says, tmp_path, monkeypatch, capsys):
    def ends(study):
        raise problem

    monkeypatch.setattr(train, "prepare", ends)
    assert train.main(["CPEP", "--out", str(tmp_path), "--device", "cpu"]) == code
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1


def test_of_two_that_start_together_one_builds_the_data_and_the_other_waits(tmp_path, capsys):
    seen = []

    class Slow:
        out = tmp_path

        @property
        def statistics(self):
            seen.append("in")
            time.sleep(0.3)
            seen.append("out")

    threads = [threading.Thread(target=train.prepare, args=(Slow(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["in", "out"] * 2
    assert capsys.readouterr().out.count("waiting") == 1


def test_ranks_but_the_first_do_not_hold_what_the_first_waits_for(tmp_path, monkeypatch):
    """Rank 1 waits inside ``statistics`` for rank 0: with the lock in its hand neither would go on."""
    monkeypatch.setattr(train.distributed, "rank", lambda: 1)
    seen = []

    class Elsewhere:
        out = tmp_path

        @property
        def statistics(self):
            with filelock.FileLock(tmp_path / "data" / "build.lock", timeout=0):
                seen.append("built")

    train.prepare(Elsewhere())
    assert seen == ["built"]


@pytest.mark.parametrize("rank", [0, 1])
def test_rows_are_scored_by_the_first_rank_when_the_others_have_gone(rank, tmp_path, monkeypatch):
    """Within the session a lone rank that scores would meet collectives, or let the others run into a timeout."""
    events = []

    @contextmanager
    def session(device):
        yield device
        events.append("session closed")

    class Known:
        def run(self, name):
            return SimpleNamespace(name=name, key="", folder=tmp_path)

    monkeypatch.setattr(train.distributed, "session", session)
    monkeypatch.setattr(train.distributed, "rank", lambda: rank)
    monkeypatch.setattr(train, "Study", lambda *args, **more: Known())
    monkeypatch.setattr(train, "prepare", lambda study: None)
    monkeypatch.setattr(train, "record", lambda study, name, tune: events.append(name) or SimpleNamespace(file=""))
    assert train.main(["CPEP", "EMBridge", "--profile", "long", "--out", str(tmp_path), "--device", "cpu"]) == 0
    assert events == ["session closed"] + (["CPEP", "EMBridge"] if rank == 0 else [])


def test_torchrun_starts_it_as_two_processes(tmp_path):
    write_db1(tmp_path / "db1", 1)
    command = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "embridge.train", "EMG-MAE", "--dataset", "ninapro-db1", "--data", str(tmp_path / "db1")]
    command += ["--profile", "smoke", "--device", "cpu", "--out", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert found.returncode == 0, found.stderr
    (done,) = (tmp_path / "runs").glob("emg-mae-*/done.json")
    (line,) = found.stdout.splitlines()  # from the first of the two
    assert line.startswith("EMG-MAE, key ") and str(done.parent) in line


def test_a_share_of_the_threads_is_respected(monkeypatch):
    available = len(os.sched_getaffinity(0))
    try:
        for asked, threads in (("1", 1), (str(available + 5), available), ("", available), ("0", available)):
            monkeypatch.setenv("OMP_NUM_THREADS", asked)
            assert training.set_threads() == torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(available)


# ---- on any machine, interrupted, with part of the data ---------------------------------------------------------

PAGE = """
import sys
from embridge.paper import results, scoring
from embridge.study import Study
data, out = sys.argv[1:]
study = Study("ninapro-db1", "smoke", data=data, out=out)
page = results.Page("page", study.figures, context=study.context)
page.rows(scoring.zero_shot_outcomes(study, "CPEP", "unseen")[0].rows)
page.write()
results.collect(study.figures)
"""
NO_NETWORK = """
import socket
def refuse(*_):
    raise OSError("there is no network")
socket.socket.connect = socket.getaddrinfo = refuse
"""


def on_a_poor_machine():
    """In a process to be: one core, and where the kernel allows it no network interface."""
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
    new_network, new_user = 0x40000000, 0x10000000
    unshare = ctypes.CDLL(None).unshare
    _ = unshare(new_network) and unshare(new_network | new_user)


def hashes(out):
    """The weights' SHA-256 by the run's folder."""
    return {f.parent.name: json.loads(f.read_text())["weights_sha256"] for f in out.glob("runs/*/done.json")}


def test_fault_21_29_31_32_anywhere_and_interrupted_the_results_are_the_same(tmp_path, monkeypatch, capsys):
    """One core, no GPU, network, conda, nor anything else to inherit, another locale, an odd path; and Ctrl-C."""
    db1, here, poor = (tmp_path / name for name in ("db1", "here", "Zoë's poor {x} 100%"))
    write_db1(db1, 1, samples=120)
    environment = {"PATH": "/nowhere", "CUDA_VISIBLE_DEVICES": "", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    environment |= {"PYTHONPATH": str(cli.ROOT), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", NO_NETWORK + PAGE, str(db1), str(poor)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=on_a_poor_machine,
    )  # fmt: skip
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        interrupt_and_resume(db1, here, monkeypatch, capsys)
        monkeypatch.setattr(sys, "argv", ["page", str(db1), str(here)])
        exec(PAGE, {})
        errors = process.communicate(timeout=200)[1]
    finally:
        torch.set_num_threads(before)
        process.kill()
    assert process.returncode == 0, errors
    assert len(hashes(here)) == 3 and hashes(poor) == hashes(here)
    stored = [f.relative_to(here) for f in here.glob("data/stores/*/*")]
    results = Path("figures", "ninapro-db1-smoke", "results.csv")
    assert len(stored) == 4 and (here / results).stat().st_size > 1000
    manifests = [file for file in stored if file.name == "manifest.json"]
    assert len(manifests) == 1
    for file in (*set(stored).difference(manifests), results):
        assert (poor / file).read_bytes() == (here / file).read_bytes()
    told = [json.loads((out / manifests[0]).read_text()) for out in (here, poor)]
    assert [found.pop("commit") for found in told] == [provenance.commit(), "unknown"]  # there is no git, either
    assert told[0].pop("checksum") != told[1].pop("checksum") and told[0] == told[1]


def interrupt_and_resume(db1, out, monkeypatch, capsys):
    """Train EMG-MAE, be interrupted by another process in the second step, and train the rest."""
    argv = ["EMG-MAE", "--dataset", "ninapro-db1", "--data", str(db1), "--profile", "smoke", "--device", "cpu"]
    argv += ["--out", str(out)]
    begun, loss, steps = out.with_name("begun"), objectives.MAETask.loss, []

    def slow(*args):
        steps.append(1)
        if len(steps) == 2:
            begun.touch()
            time.sleep(0.5)
        return loss(*args)

    wait = 'while [ ! -e "$0" ]; do sleep 0.05; done; kill -INT $PPID'
    with monkeypatch.context() as patch, subprocess.Popen(["sh", "-c", wait, str(begun)]):
        patch.setattr(objectives.MAETask, "loss", slow)
        assert train.main(argv) == 130
    told = capsys.readouterr().err
    assert "stopped: the same command goes on from the last checkpoint" in told and "Traceback" not in told
    (checkpoint,) = out.glob("runs/*/checkpoint.pt")
    assert 2 <= len(steps) < 6 and not hashes(out)
    assert train.main(argv) == 0 and len(hashes(out)) == 1 and not checkpoint.exists()


def test_fault_17_a_subset_pretrains_and_stops_before_anything_else_is_trained(tmp_path, capsys):
    write_dataset(tmp_path / "in", users=(("train", 1),), n_samples=4200)
    common = ["--dataset", "emg2pose", "--data", str(tmp_path / "in"), "--profile", "smoke", "--device", "cpu"]
    common += ["--out", str(tmp_path)]
    assert jobs.main([*common, "--jobs", "1"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]  # before it, progress bars
    assert told.startswith("error: emg2pose: pre-training can run, evaluation cannot: ")
    for words in (
        "D_tune, in (0 users)",
        "D_eval, unseen (0 users) has no window of HookEmHornsOKScissors",
        "1 train, 0 val",
    ):
        assert words in told
    assert not list(tmp_path.glob("runs/*/config.json"))
    assert train.main(["Pose-MAE", *common]) == 0 and len(hashes(tmp_path)) == 1


def test_fault_06_broken_recordings_are_skipped_from_the_command_line_and_named_in_results_json(tmp_path, capsys):
    write_dataset(tmp_path / "in", users=(("train", 1),), n_samples=4200)
    broken = sorted((tmp_path / "in").glob("*.hdf5"))[2]
    os.truncate(broken, 2000)
    common = ["--dataset", "emg2pose", "--data", str(tmp_path / "in"), "--profile", "smoke", "--device", "cpu"]
    common += ["--out", str(tmp_path)]
    assert train.main(["Pose-MAE", *common]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert str(broken) in told and told.endswith("leave out what cannot be read with --skip-broken")

    (task,) = jobs.plan(cli.parse(["Pose-MAE", *common, "--skip-broken"], action="sweep"), device="cpu")
    assert train.main(list(task.command[task.command.index("Pose-MAE") :])) == 0 and len(hashes(tmp_path)) == 1

    cells = json.loads((cli.NOTEBOOKS / f"{STEMS['data']}.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells for line in cell["source"]]
    names = {"open_study": open_study, "Page": Page, "STEMS": STEMS, "train": True} | parameters_of(
        cli.parse([*common, "--skip-broken"])
    )
    wanted = ("study = ", "page = ", "source = ", "store, config = ", "page.note(", "page.write(")
    exec("".join(line.rstrip("\n") + "\n" for line in lines if line.startswith(wanted)), names)  # what its page does
    notes = json.loads(next(tmp_path.glob(f"figures/*/{STEMS['data']}/results.json")).read_text())["notes"]
    assert notes["left_out"] == [broken.name] and notes["dropped"]["broken_files"] == 1
    assert notes["dropped"]["recordings"] == 9
