"""``--plan``: what it says before and after anything is built, against what training does; it writes nothing."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import series, write_dataset, write_session

from benchmarks import plan
from embridge.config import profile
from embridge.experiments import EXPERIMENTS, cost, trained_by
from embridge.run import cli
from embridge.simulator.plan import plan as planned_files
from embridge.study import Study
from runner import setup
from runner.progress import Heartbeat

FEW = ("Pose-MAE", "EMG-MAE", "CPEP", "CPEP, 20% of pairs")


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """Measurements that end at once, of a few systems."""
    monkeypatch.setattr(plan, "LIMIT", 0.0)
    monkeypatch.setattr(plan, "trained_by", lambda profile, dataset, tokens: FEW)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """emg2pose's files, one window each but for one, which inverse kinematics spoils."""
    folder = tmp_path_factory.mktemp("recorded") / "emg2pose"
    rows = write_dataset(folder, n_samples=4100)
    spoiled = series(4100)
    spoiled["joint_angles"][2000] = 0
    write_session(folder / f"{rows[0]['filename']}.hdf5", spoiled, user=rows[0]["user"])
    return folder


def told(capsys) -> tuple[list[str], dict[str, list[str]]]:
    """What was printed: all lines, and the cells of the table by experiment."""
    lines = capsys.readouterr().out.splitlines()
    rows = {
        name: line[len(name) :].split()
        for name in FEW
        for line in lines
        if line.startswith((f"{name}  ", f"{name} x "))
    }
    return lines, rows


def test_of_simulated_recordings_that_nobody_has_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plan.main(["--profile", "smoke", "--device", "cpu", "--seeds", "2", "--out", "out"]) == 0
    assert list(tmp_path.iterdir()) == []
    lines, rows = told(capsys)
    files = planned_files(profile("smoke").simulation)
    n = {split: sum(int(f.seconds // 2) for f in files if f.split in split) for split in ("train", "train val test")}
    assert lines[0].startswith("dataset simulated, profile smoke, seeds 2, on ")
    assert lines[1].startswith(f"recordings: {len(files)}, {sum(f.seconds for f in files) / 3600:.1f} h, ")
    assert lines[1].endswith("(to be simulated)")
    assert lines[2].startswith(f"windows: {n['train val test']}, {n['train']} of them for pre-training, ")
    assert "an estimate from recordings' lengths, before exclusions" in lines[2]
    assert rows["CPEP"][:4] == ["x", "2", "headline", str(n["train"])] and rows["CPEP"][-3:] == ["0", "of", "2"]
    assert any(line.startswith("in all: 8 trainings") for line in lines)
    asked = "./run_all.sh --train CPEP --profile smoke --dataset simulated --device cpu"
    assert lines[-1].endswith(f"{asked} --out {tmp_path / 'out'}")


def test_windows_are_exact_and_runs_done_once_they_are_there(recorded, tmp_path, capsys):
    argv = ["--dataset", "emg2pose", "--data", str(recorded), "--profile", "smoke", "--device", "cpu"]
    argv += ["--out", str(tmp_path / "out")]
    assert plan.main(argv) == 0 and not (tmp_path / "out").exists()
    lines, rows = told(capsys)
    assert lines[1] == f"recordings: 102, {102 * 4100 / 2000 / 3600:.1f} h"
    assert lines[2].startswith("windows: 102, 30 of them for pre-training, 614 kB (to be cut")
    assert rows["Pose-MAE"][:2] == ["headline", "30"] and rows["Pose-MAE"][-1] == "-"

    study = Study("emg2pose", "smoke", 0, "cpu", recorded, tmp_path / "out")
    study.run("Pose-MAE")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    os.chmod(tmp_path / "out", 0o555)
    assert plan.main(argv) == 0
    os.chmod(tmp_path / "out", 0o755)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")} == before
    lines, rows = told(capsys)
    assert lines[2] == "windows: 101, 29 of them for pre-training, 608 kB (there)"
    assert {name: cells[-1] for name, cells in rows.items()} == {**dict.fromkeys(FEW, "-"), "Pose-MAE": "done"}
    assert [line.split(",")[0] for line in lines if "trainings" in line] == [
        "in all: 4 trainings",
        "still to train: 3 trainings",
    ]


def test_a_plan_leaves_out_broken_recordings_when_asked(recorded, tmp_path, capsys):
    shutil.copytree(recorded, tmp_path / "in")
    os.truncate(sorted((tmp_path / "in").glob("*.hdf5"))[2], 2000)
    argv = ["--dataset", "emg2pose", "--data", str(tmp_path / "in"), "--profile", "smoke", "--device", "cpu"]
    assert plan.main(argv) == 2 and capsys.readouterr().err.rstrip().endswith("--skip-broken")
    assert plan.main([*argv, "--skip-broken"]) == 0
    lines, _ = told(capsys)
    assert lines[1].startswith("recordings: 101, ") and "--skip-broken" in lines[-1]


def test_steps_and_parameters_are_those_of_training(recorded, tmp_path):
    smoke = profile("smoke")
    size = replace(smoke, align=replace(smoke.align, batch_size=4, epochs=2))
    study = Study("emg2pose", "smoke", 0, "cpu", recorded, tmp_path, size=size)
    plan.look_at(study, progress=False)
    options = cli.parse(["--profile", "smoke", "--dataset", "emg2pose", "--data", str(recorded)], action="plan")
    found = plan.rows(study, options, plan.measure_all(study, FEW, Heartbeat()))
    assert found.windows["CPEP, 20% of pairs"] == 5  # one recording of each gesture's six
    real = Study("emg2pose", "smoke", 0, "cpu", recorded, tmp_path, size=size)
    for name in ("Pose-MAE", "CPEP, 20% of pairs"):
        run, row = real.run(name), found.loc[name]
        assert run.done["steps"] == row.steps
        assert row.parameters == sum(p.numel() for p in run.model.parameters())
        assert row.memory > row.weights + 12 * row.trained
        assert row.weights == pytest.approx((run.folder / "weights.safetensors").stat().st_size, abs=20_000)


def test_memory_is_what_can_be_counted_by_hand(recorded, tmp_path):
    study = Study("simulated", "smoke", 0, "cpu", "", tmp_path, tokens="waveform")
    name = "CPEP, EMG encoder frozen"
    step = plan.measure(study, EXPERIMENTS[name], 16)
    d = study.profile.model.d
    assert step["trained"] == d * d + d + 1  # the head and the temperature
    assert step["weights"] == 4 * step["parameters"]
    window = 2 * study.windows.n_channels * study.windows.window + 4 * d  # its EMG, float16, and v
    assert step["window"] == window
    plan.look_at(study, progress=False)
    options = cli.parse(["--profile", "smoke", "--out", str(tmp_path)], action="plan")
    memory = plan.rows(study, options, {name: step}).memory[name]
    assert memory == 4 * step["parameters"] + 3 * 4 * step["trained"] + 64 * window  # smoke's batches


def test_experiments_share_a_measurement_only_where_their_steps_cost_the_same(tmp_path):
    study = Study("emg2pose", "paper", 0, "cpu", tmp_path, tmp_path)

    def same(one: str, other: str) -> bool:
        return len({plan.cost_of(study, EXPERIMENTS[name]) for name in (one, other)}) == 1

    assert same("CPEP", "CPEP-LS") and same("CPEP", "CPEP, 20% of pairs") and same("CPEP", "CPEP, B = 512, same steps")
    assert same("CPEP", "CPEP, random initialisation") and same("EMBridge", "EMBridge, k_c = all")
    assert same("Q-Former", "EMBridge w/o MPRL") and same("EMBridge", "EMBridge w/o CASCLe")
    for other in ("EMBridge, M = 8", "EMBridge, r = 0.25", "Q-Former", "CPEP", "PoseT", "EMG-MAE"):
        assert not same("EMBridge", other)
    for other in ("EMG encoder frozen", "average pooling", "longer EMG patches", "both encoders trained"):
        assert not same("CPEP", f"CPEP, {other}")
    assert not same("emg2pose", "Vemg2pose")
    assert len({plan.cost_of(study, EXPERIMENTS[name]) for name in trained_by("paper", "emg2pose")}) < 35


def test_every_kind_of_experiment_can_be_measured(tmp_path):
    study = Study("simulated", "smoke", 0, "cpu", "", tmp_path)
    for name in ("Q-Former", "EMBridge", "CPEP, both encoders trained", "CPEP, longer EMG patches", "PoseT"):
        step = plan.measure(study, EXPERIMENTS[name], 4)
        assert step["seconds"] > 0 and step["measured"] == 4 and step["window"] > 0
        assert step["parameters"] >= step["trained"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_cost_of_a_share_of_the_pairs_and_of_larger_batches():
    study = Study("simulated", "long", device="cpu")
    took = {name: cost(EXPERIMENTS[name], study.profile) for name in trained_by("long", "simulated")}
    assert took["EMBridge, 20% of pairs"] == pytest.approx(0.2 * took["EMBridge"])
    assert took["CPEP, B = 512, same epochs"] == took["CPEP, B = 1024, same epochs"] == took["CPEP"]
    assert took["CPEP, B = 1024, same steps"] == 4 * took["CPEP"]  # four times the windows


@pytest.mark.parametrize("spoil", ["empty", "not HDF5", "short"])
def test_bad_data_are_told_in_one_sentence(spoil, tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    if spoil != "empty":
        write_dataset(folder, users=(("train", 1),))
    if spoil == "not HDF5":
        next(folder.glob("*.hdf5")).write_bytes(b"no")
    argv = ["--dataset", "emg2pose", "--data", str(folder), "--profile", "smoke", "--out", str(tmp_path / "out")]
    assert plan.main(argv) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    expected = {"empty": "holds no .hdf5 file", "not HDF5": "not a readable HDF5 file", "short": "which a window needs"}
    assert error.startswith("error: ") and expected[spoil] in error and not (tmp_path / "out").exists()


def test_run_all_hands_it_over_and_touches_nothing(tmp_path, monkeypatch):
    started = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(setup, "interpreter", lambda: Path("python"))
    monkeypatch.setattr(setup.os, "execve", lambda *what: started.append(what))
    (tmp_path / "file").touch()
    argv = ["--plan", "--profile", "paper", "--seeds", "3", "--out", str(tmp_path / "file" / "x")]  # cannot be made
    setup.main(argv)
    ((_, command, env),) = started
    assert command == ["python", "-P", "-m", "benchmarks.plan", *argv] and env["HOME"] == str(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_sizes_in_words():
    assert [plan.size(n) for n in (0, 1200, 2.34e6, 45.6e6, 7.89e9, 431e9)] == [
        "0 kB", "1 kB", "2.3 MB", "46 MB", "7.9 GB", "431 GB",
    ]  # fmt: skip
