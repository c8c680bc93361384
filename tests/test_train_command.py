"""One experiment as one command: what it prints, what it returns, and who builds the data."""

import os
import subprocess
import sys
import threading
import time

import filelock
import pytest
import torch
from conftest import write_db1

from embridge import train, training
from embridge.errors import InputError


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
    assert told.startswith("error: there is no experiment 'emg-mae': give one of 'Pose-MAE', 'EMG-MAE', 'CPEP'")
    assert told.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("problem", "code", "says"),
    [
        (InputError("the folder is in use"), 2, "error: the folder is in use"),
        (OSError("no space"), 1, "error: no space"),
        (KeyboardInterrupt(), 130, "goes on from the last checkpoint"),
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
