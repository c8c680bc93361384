"""A run that is killed, interrupted or out of disk ends in the weights of the undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from toy_run import STEPS, Toy, half_done, run

from embridge import training
from embridge.checkpoint import load_checkpoint
from embridge.errors import InputError


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def start(folder, fault="", **environment):
    root = Path(__file__).resolve().parent.parent
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("toy_run.py")), str(folder), fault],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(autouse=True, scope="module")
def doomed(tmp_path_factory):
    """Processes that halt or fail, with their folders; started first, so that their imports overlap."""
    folders = {fault: tmp_path_factory.mktemp(fault) / "läuft mit Lücke" for fault in ("halts", "full")}
    processes = {fault: (start(folder, fault), folder) for fault, folder in folders.items()}
    yield processes
    for process, _ in processes.values():
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The hash and log of a run that nothing disturbed."""
    return run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "läuft mit Lücke" / "toy"


def wait_for(path, process):
    """Wait until a file is there; fails where the process ends first."""
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def test_fault_01_19_20_32_a_run_killed_mid_epoch_ends_in_the_same_weights_and_locks_others_out_until_then(
    folder, uninterrupted
):
    process = start(folder, "slow")
    try:
        wait_for(folder / "checkpoint.previous.pt", process)
        with pytest.raises(InputError, match=f"is in use by process {process.pid} on "):
            run(folder)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL and not (folder / "done.json").exists()
    state = load_checkpoint(folder)
    assert 0 < state["epoch"] * STEPS + state["step"] < 3 * STEPS
    again = start(folder, LC_ALL="C", TZ="Asia/Tokyo", PYTHONHASHSEED="7")  # and nothing of the surroundings matters
    assert (again.communicate()[1], again.returncode) == ("", 0)
    assert json.loads((folder / "done.json").read_text())["weights_sha256"] == uninterrupted[0]
    assert run(folder)[1] == uninterrupted[1]


def test_fault_02_a_kill_while_a_checkpoint_is_written_leaves_the_last_good_one(doomed, uninterrupted):
    process, folder = doomed["halts"]
    wait_for(folder / "writing", process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert list(folder.glob("checkpoint.pt.*.partial"))
    state = load_checkpoint(folder)
    assert (state["epoch"], state["step"]) == (0, 4)
    seen = []
    result = run(folder, Toy(before=lambda _: seen.append(list(folder.glob("*.partial")))))
    assert seen[0] == [] and len(seen) == 3 * STEPS - 4
    assert result == uninterrupted


def test_fault_03_a_full_disk_at_a_checkpoint_keeps_the_old_one(doomed, uninterrupted):
    process, folder = doomed["full"]
    process.wait()
    message = process.stderr.read()
    assert process.returncode not in (0, None)
    assert f"Cannot write {folder / 'checkpoint.pt'}: " in message and "File too large" in message
    needed = int(message.split("checkpoint.pt: ")[1].split(" bytes needed")[0])
    assert needed == pytest.approx((folder / "checkpoint.pt").stat().st_size, rel=0.05)
    assert not list(folder.glob("*.partial"))
    state = load_checkpoint(folder)
    assert (state["epoch"], state["step"]) == (0, 4)
    assert run(folder) == uninterrupted


def test_fault_31_ctrl_c_saves_and_leaves_with_130(folder, uninterrupted):
    process = start(folder, "slow")
    wait_for(folder / "checkpoint.pt", process)
    process.send_signal(signal.SIGINT)
    assert (process.communicate()[1], process.returncode) == ("", 130)
    assert load_checkpoint(folder)["step"] > 0 and not (folder / "done.json").exists()
    assert run(folder) == uninterrupted


def test_fault_31_ctrl_c_waits_for_the_step_and_then_saves_it_whatever_the_interval(folder, uninterrupted):
    task = Toy(before=lambda step: step == 4 and os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(folder, task, checkpoint_seconds=1e9)
    assert load_checkpoint(folder)["step"] == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert run(folder) == uninterrupted


def test_a_second_ctrl_c_does_not_wait(folder):
    def twice(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)  # never slept through

    with pytest.raises(KeyboardInterrupt):
        run(folder, Toy(before=twice), checkpoint_seconds=1e9)
    assert load_checkpoint(folder) is None


def test_ctrl_c_after_the_last_step_is_not_lost(folder, uninterrupted, monkeypatch):
    write = training._write_results
    monkeypatch.setattr(
        training, "_write_results", lambda *args: (os.kill(os.getpid(), signal.SIGINT), write(*args))[1]
    )
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    monkeypatch.undo()
    assert (folder / "done.json").exists() and run(folder) == uninterrupted


@pytest.mark.parametrize("step", [2, STEPS, STEPS + 1, STEPS + 2, 3 * STEPS])
def test_resuming_is_exact_at_every_place_in_an_epoch(folder, uninterrupted, step):
    half_done(folder, step)
    task = Toy()
    assert run(folder, task) == uninterrupted
    assert task.calls == 3 * STEPS - (step - 1)


def test_checkpoints_are_no_more_frequent_than_asked(folder, monkeypatch):
    saves = []
    monkeypatch.setattr(training.checkpoint, "save_checkpoint", lambda *_: saves.append(1))
    run(folder, checkpoint_seconds=1e9)
    assert not saves
