"""Sweeps: order, places and failures with trivial commands, as local processes and on a stand-in Slurm."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest
import torch
from conftest import write_db1
from toy_run import STEPS, Toy
from toy_run import run as toy_run

from embridge.checkpoint import weights_hash
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, trained_by
from embridge.run import cli
from embridge.study import Study
from runner import jobs
from runner.jobs import Task

ON_DB1 = trained_by("smoke", "ninapro-db1")
NEEDS = {"pose": (), "emg": (), "cpep": ("pose", "emg"), "bridge": ("pose", "emg")}

SBATCH = """#!/bin/bash
# runs the script once what it depends on has ended well, as Slurm does, and keeps it as <id>.sh
cd "$(dirname "$0")"
id=$((100 + $(ls | grep -c '[.]sh$')))
cp "$1" $id.sh
(
    for need in $(sed -n 's/^#SBATCH --dependency=afterok://p' $id.sh | tr : ' '); do
        for i in $(seq 600); do [ -e $need.rc ] && break; sleep 0.1; done
        [ "$(cat $need.rc)" = 0 ] || exit
    done
    [ "$SLURM_NTASKS$SBATCH_QOS$WORLD_SIZE" ] && echo "inherited" >> events
    SLURM_JOB_ID=$id bash $id.sh
    echo $? > $id.new; mv $id.new $id.rc
) > /dev/null 2>&1 &
echo "Submitted batch job $id"
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
    [ $1 = --output ] && { log=${2//%j/$SLURM_JOB_ID}; log=${log//%t/0}; shift; }
    shift
done
exec "$@" > "$log" 2>&1
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder on the PATH that holds sbatch, srun and an sacct that knows of no job."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", "#!/bin/bash\necho 'JobID|State|NodeList'\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def tasks(folder: Path, **commands: str) -> list[Task]:
    """The four tasks; each notes "+name" and "-name" around its shell command (default: nothing)."""
    noted = "echo +{0} >> events; {1}; code=$?; echo -{0} >> events; exit $code"
    found = []
    for name, needs in NEEDS.items():
        text = f"cd {shlex.quote(str(folder))}; " + noted.format(name, commands.get(name, "true"))
        found.append(Task(name, ("bash", "-c", text), needs))
    return found


def events(folder: Path) -> list[str]:
    file = folder / "events"
    return file.read_text().split() if file.exists() else []


def on_db1(out: Path) -> list[str]:
    """Arguments for one subject in DB1's format: a store in half a second."""
    write_db1(out / "db1", 1)
    argv = ["--dataset", "ninapro-db1", "--data", str(out / "db1"), "--profile", "smoke"]
    return [*argv, "--device", "cpu", "--out", str(out)]


@pytest.mark.parametrize("most", [1, 2])
def test_needs_first_and_at_most_so_many_at_once(most, tmp_path):
    meet = "touch {0}; for i in $(seq 300); do [ -e {1} ] && break; sleep 0.1; done; [ -e {1} ]"
    both = dict(pose=meet.format("p", "e"), emg=meet.format("e", "p")) if most == 2 else {}  # end only side by side
    places = [{"OMP_NUM_THREADS": "1"}] * most
    ended = jobs.run(tasks(tmp_path, **both, cpep="echo t$OMP_NUM_THREADS >> events"), tmp_path / "logs", places)
    assert ended == dict.fromkeys(NEEDS, "")
    seen = events(tmp_path)
    assert sorted(seen) == sorted([*(sign + name for name in NEEDS for sign in "+-"), "t1"])
    assert set(seen[:4]) == {"+pose", "-pose", "+emg", "-emg"}  # before any that needs them
    running = [sum((event[0] == "+") - (event[0] == "-") for event in seen[: n + 1]) for n in range(len(seen))]
    assert max(running) == most


def test_a_free_place_goes_to_the_first_task_that_waits_whichever_ended(tmp_path):
    """Two places: "need" ends and "long" follows it; "short" ends while "waiting" stands before it in the list."""

    def task(name: str, command: str, *needs: str) -> Task:
        return Task(name, ("bash", "-c", f"cd {shlex.quote(str(tmp_path))}; echo {name} >> events; {command}"), needs)

    until = "for i in $(seq 300); do [ -e {} ] && break; sleep 0.1; done"
    found = [
        task("need", "touch ready"),
        task("long", "touch started; " + until.format("enough"), "need"),
        task("waiting", "touch enough", "need"),
        task("short", until.format("started")),
        task("last", "true"),
    ]
    ended = jobs.run(found, tmp_path / "logs", [{}, {}])
    assert ended == dict.fromkeys(ended, "") and len(ended) == 5
    assert set(events(tmp_path)[:2]) == {"need", "short"} and events(tmp_path)[2:] == ["long", "waiting", "last"]


def test_a_failed_job_is_told_with_its_log_and_what_needs_it_does_not_run(tmp_path, capsys):
    ended = jobs.run(tasks(tmp_path, emg="echo 'no such window' >&2; false"), tmp_path / "logs", [{}])
    assert ended["pose"] == "" and events(tmp_path) == ["+pose", "-pose", "+emg", "-emg"]
    assert ended["cpep"] == ended["bridge"] == "not run, for emg failed"
    log = Path(ended["emg"].removeprefix("failed, log: "))
    told = "no such window\nerror: the command ended with 1; what it printed stands above\n"  # and no traceback
    assert log == tmp_path / "logs" / "002-emg.log" and log.read_text() == told
    shown = capsys.readouterr().out
    assert "[1/4] pose: done" in shown and f"emg: failed, log: {log}" in shown and "bridge: not run" in shown


def test_ctrl_c_keeps_what_has_ended_and_lets_the_running_job_write_its_checkpoint(tmp_path, capfd):
    wait = "trap 'sleep 0.3; touch checkpoint; exit 130' INT; touch running; for i in $(seq 600); do sleep 0.1; done"

    def interrupt():
        while not (tmp_path / "running").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        jobs.run(tasks(tmp_path, pose="touch weights", emg=wait), tmp_path / "logs", [{}])
    thread.join()
    assert (tmp_path / "checkpoint").exists(), "the sweep ended before its job"
    assert (tmp_path / "weights").exists() and events(tmp_path) == ["+pose", "-pose", "+emg"]
    assert capfd.readouterr().err == ""  # no traceback


def test_a_killed_sweep_takes_its_jobs_along_and_they_write_their_checkpoints(tmp_path):
    wait = "trap 'touch checkpoint; exit 130' INT; touch running; for i in $(seq 600); do sleep 0.1; done"
    job = repr([jobs.Task("emg", ("bash", "-c", f"cd {shlex.quote(str(tmp_path))}; {wait}"))])
    code = "import sys; sys.modules['submitit'] = None  # Slurm alone needs it\n"
    code += "from pathlib import Path; from runner import jobs; from runner.jobs import Task\n"
    code += f"jobs.run({job}, Path({str(tmp_path / 'logs')!r}), [{{}}])"
    process = subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.DEVNULL)
    for file in ("running", "checkpoint"):
        end = time.monotonic() + 60
        while not (tmp_path / file).exists():
            assert time.monotonic() < end and (file == "checkpoint" or process.poll() is None), f"no {file}"
            time.sleep(0.1)
        process.kill()
        process.wait()


@pytest.fixture
def over(tmp_path, monkeypatch):
    """A file: once it is there the hours of a session are over."""
    file, now = tmp_path / "over", time.monotonic
    clock = SimpleNamespace(monotonic=lambda: now() + 1e6 * file.exists(), sleep=time.sleep)
    monkeypatch.setattr(jobs, "time", clock)
    return file


def in_session(folder: Path, name: str, seconds: float, command: str = "true", *needs: str) -> Task:
    text = f"cd {shlex.quote(str(folder))}; echo {name} >> events; {command}"
    return Task(name, ("bash", "-c", text), needs, seconds)


UNTIL_TOLD = "trap '{}' INT; touch over; for i in $(seq 600); do sleep 0.1; done"


def test_what_no_session_is_enough_for_runs_last_and_stops_with_the_hours(tmp_path, over, capsys):
    """Of 2 h: "endless" needs 3, "two" waits for it; "fits" and "needs fits" end before these start."""
    told = 'echo "stopped: the same command goes on, in epoch 7" >&2; touch checkpoint; exit 130'
    found = [
        in_session(tmp_path, "endless", 3 * 3600, UNTIL_TOLD.format(told)),
        in_session(tmp_path, "two", 60, "true", "endless"),
        in_session(tmp_path, "fits", 3600, "sleep 0.5"),
        in_session(tmp_path, "needs fits", 3600, "true", "fits"),
    ]
    ended = jobs.run(found, tmp_path / "logs", [{}, {}], hours=2)
    assert ended == {"fits": "", "needs fits": ""} and (tmp_path / "checkpoint").exists()
    assert events(tmp_path) == ["fits", "needs", "fits", "endless"]
    *_, one, last = capsys.readouterr().out.splitlines()
    assert one == "endless: goes on from epoch 7 with the same command"
    assert last == "left for another run, for 2 h are over: 2, such as two"


@pytest.mark.parametrize(
    ("code", "goes_on"), [("exit 130", True), ("trap - INT; kill -INT $$", True), ("exit 1", False)]
)
def test_who_fails_when_told_to_stop_has_failed(code, goes_on, tmp_path, over, capsys):
    ended = jobs.run([in_session(tmp_path, "endless", 1e6, UNTIL_TOLD.format(code))], tmp_path / "logs", [{}], hours=2)
    shown = capsys.readouterr().out
    assert ("endless: goes on from its checkpoint with the same command" in shown) == goes_on
    assert ended == ({} if goes_on else {"endless": f"failed, log: {tmp_path / 'logs' / '001-endless.log'}"})


def test_what_a_whole_session_is_enough_for_starts_only_where_it_would_end(tmp_path, over, capsys):
    """One place and 2 h, of which "endless" may have what is left; without hours it is one like the others."""
    found = [
        in_session(tmp_path, "endless", 3 * 3600),
        in_session(tmp_path, "after", 0, "true", "endless"),
        in_session(tmp_path, "first", 60),
        in_session(tmp_path, "long", 2 * 3600 - 0.1, "sleep 0.5"),
    ]
    ended = jobs.run(found, tmp_path / "logs", [{}], hours=2)
    assert events(tmp_path) == ["first", "endless", "after"] and set(ended) == {"first", "endless", "after"}
    assert "left for another run, for 2 h are over: 1, such as long" in capsys.readouterr().out
    (tmp_path / "events").unlink()
    assert len(jobs.run(found, tmp_path / "more", [{}])) == 4 and events(tmp_path)[0] == "endless"


def test_a_training_in_pieces_ends_in_the_weights_of_an_uninterrupted_one(tmp_path, over, capsys):
    code = f"""
import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path; from embridge.run import cli; import toy_run, torch
torch.set_num_threads(1)
def before(step):
    if step == {STEPS + 2} and len(sys.argv) > 2:
        Path(sys.argv[2]).touch()
        time.sleep(3)
@cli.command("the same command goes on")
def main():
    toy_run.run(Path(sys.argv[1]), toy_run.Toy(before=before))
sys.exit(main())"""
    run = tmp_path / "run"
    for more, epochs in ((str(over),), None), ((), 3):
        task = Task("toy", (sys.executable, "-P", "-c", code, str(run), *more), (), 1e6)
        ended = jobs.run([task], tmp_path / f"logs{epochs}", [{"PYTHONPATH": str(cli.ROOT)}], hours=2)
        assert ended == ({"toy": ""} if epochs else {}) and (run / "done.json").exists() == bool(epochs)
        over.unlink(missing_ok=True)
    assert "toy: goes on from epoch 2 with the same command" in capsys.readouterr().out
    assert weights_hash(Toy().model) != json.loads((run / "done.json").read_text())["weights_sha256"]
    assert toy_run(tmp_path / "whole")[0] == json.loads((run / "done.json").read_text())["weights_sha256"]


def test_progress_is_that_of_the_last_state_of_the_log(tmp_path):
    log = tmp_path / "log"
    assert jobs._progress(log) == ""  # not begun
    log.write_text("a warning\n")
    assert jobs._progress(log) == ""
    bar = "emg-mae-1:   5%|5         | 40/800 [00:12<03:48,  3.33step/s]"
    log.write_text("x" * 5000 + "\r" + bar + "\r" + bar.replace("  5%", " 34%").replace("03:48", "1:02:03") + "\r")
    assert jobs._progress(log) == "(34 %, 1:02:03 to go)"


def test_the_plan_has_needs_first_and_leaves_out_what_is_finished(tmp_path, monkeypatch):
    common = on_db1(tmp_path)

    def plan(*names: str) -> list[Task]:
        return jobs.plan(cli.parse([*names, *common, "--seeds", "2"], action="sweep"), device="cpu")

    found = plan("CPEP")  # short ones share a process
    assert [(task.name, task.needs) for task in found[:2]] == [
        ("EMG-MAE, seed 0, and 1 more", ()),  # the longer one first
        ("CPEP, seed 0", ("EMG-MAE, seed 0, and 1 more",)),
    ]
    asked = cli.parse(list(found[0].command[found[0].command.index("embridge.train") + 1 :]), action="train")
    assert asked.train == ["EMG-MAE", "Pose-MAE"]
    monkeypatch.setattr(jobs, "BUNDLE_SECONDS", 0.0)
    found = plan("CPEP")
    assert [(task.name, task.needs) for task in found] == [
        (f"{name}, seed {seed}", tuple(f"{need}, seed {seed}" for need in needs))
        for seed in (0, 1)
        for name, needs in (("EMG-MAE", ()), ("Pose-MAE", ()), ("CPEP", ("Pose-MAE", "EMG-MAE")))
    ]
    command = found[5].command
    asked = cli.parse(list(command[command.index("embridge.train") + 1 :]), action="train")
    assert (asked.train, asked.seed, asked.profile, asked.device) == (["CPEP"], 1, "smoke", "cpu")
    assert (asked.dataset, asked.data, asked.out) == ("ninapro-db1", tmp_path / "db1", tmp_path)
    names = [task.name for task in plan()]
    assert set(names) == {f"{name}, seed {seed}" for name in ON_DB1 for seed in (0, 1)}
    everything = cli.parse([*common, "--seeds", "2"])  # what run_all.sh asks for before its notebooks
    assert [task.name for task in jobs.plan(everything, device="cpu")] == names
    of_one_length = [name for name in names if name in ("CPEP, seed 0", "Q-Former, seed 0", "EMBridge, seed 0")]
    assert of_one_length == ["EMBridge, seed 0", "Q-Former, seed 0", "CPEP, seed 0"]  # the longest first

    study = Study("ninapro-db1", "smoke", seed=1, device="cpu", data=tmp_path / "db1", out=tmp_path)
    folder = tmp_path / "runs" / f"emg-mae-{study.key(EXPERIMENTS['EMG-MAE'])}"
    folder.mkdir()
    assert len(plan("CPEP")) == 6  # begun is not finished
    (folder / "done.json").touch()
    found = plan("CPEP")
    assert [task.name for task in found[3:]] == ["Pose-MAE, seed 1", "CPEP, seed 1"]
    assert found[2].needs == ("Pose-MAE, seed 0", "EMG-MAE, seed 0") and found[4].needs == ("Pose-MAE, seed 1",)


def test_places_divide_threads_and_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("embridge.training.set_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert jobs.places("auto", None) == [{"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": ""}] * 4
    assert [place["OMP_NUM_THREADS"] for place in jobs.places("cpu", 3)] == ["2"] * 3
    assert {place["OMP_NUM_THREADS"] for place in jobs.places("cpu", 20)} == {"1"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [place["CUDA_VISIBLE_DEVICES"] for place in jobs.places("auto", None)] == ["0", "1"]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in jobs.places("cuda", 3)] == ["0", "1", "0"]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in jobs.places("cpu", None)] == [""] * 4
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8a")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in jobs.places("cuda", None)] == ["5", "GPU-8a"]


def test_slurm_gets_every_job_at_once_with_its_dependencies(slurm, tmp_path, monkeypatch):
    allocation = {"SLURM_NTASKS": "64", "SBATCH_QOS": "debug", "WORLD_SIZE": "8"}  # that the sweep itself runs in
    for name, value in allocation.items():
        monkeypatch.setenv(name, value)
    logs, options = tmp_path / "logs", {"partition": "gpu", "time": "2:00:00"}
    ended = jobs.run(tasks(tmp_path, pose="sleep 1"), logs, [], jobs.slurm_executor(logs), options)
    assert ended == dict.fromkeys(NEEDS, "")
    seen = events(tmp_path)
    assert len(seen) == 8 and set(seen[:4]) == {"+pose", "-pose", "+emg", "-emg"}
    scripts = {name: (slurm / f"{100 + n}.sh").read_text() for n, name in enumerate(NEEDS)}
    for name, script in scripts.items():
        lines = script.splitlines()
        assert f"#SBATCH --job-name={name}" in lines and "#SBATCH --partition=gpu" in lines
        assert "#SBATCH --time=2:00:00" in lines and script.count("--time=") == 1  # instead of a day
        assert ("#SBATCH --dependency=afterok:100:101" in lines) == (name in ("cpep", "bridge"))
        assert ("#SBATCH --kill-on-invalid-dep=yes" in lines) == (name in ("cpep", "bridge"))
    assert scripts["pose"].splitlines()[-1].startswith("srun")
    assert f"{shlex.quote(sys.executable)} -P " in scripts["pose"]  # quoted where its path has a space
    assert not (slurm / "events").exists() and allocation.items() <= os.environ.items()
    assert logs.stat().st_mode & 0o777 == 0o700 and list(logs.glob("*.pkl"))  # pickles: for nobody else
    with pytest.raises(FileExistsError):  # what somebody laid there is not used
        jobs.slurm_executor(logs)


def test_slurm_failure_reaches_those_who_need_it_and_a_refusal_is_one_sentence(slurm, tmp_path):
    logs = tmp_path / "logs"
    executor = jobs.slurm_executor(logs)
    ended = jobs.run(tasks(tmp_path, emg="echo 'no such window'; false"), logs, [], executor)
    assert ended["pose"] == "" and ended["cpep"] == "not run, for emg failed"
    assert "no such window" in Path(ended["emg"].removeprefix("failed, log: ")).read_text()
    assert sorted(events(tmp_path)) == ["+emg", "+pose", "-emg", "-pose"]
    assert "#SBATCH --time=1440" in (slurm / "100.sh").read_text().splitlines()
    (slurm / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
    with pytest.raises(InputError, match="pose could not be submitted: sbatch: error: invalid partition; see --slurm"):
        jobs.run(tasks(tmp_path), logs, [], executor, {"partition": "huge"})


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["CLIP"], "experiment: expected one of Pose-MAE, EMG-MAE"),
        (["--slurm", "partition=gpu"], "there is no Slurm here"),
        (["--profile", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_mistakes_are_one_sentence_before_any_work(argv, says, tmp_path, capsys):
    assert jobs.main([*argv, "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and says in told and told.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_slurm_without_submitit_is_one_sentence_that_says_how_to_get_it(slurm, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert jobs.main(["--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "pip install '.[cluster]'" in told and told.count("\n") == 1


def test_another_run_of_the_same_profile_is_refused(tmp_path, capsys):
    folder = tmp_path / "figures" / "simulated-smoke"
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / "run.lock"):
        assert jobs.main(["--profile", "smoke", "--out", str(tmp_path)]) == 2
    assert f"another run uses {folder}" in capsys.readouterr().err


def test_a_sweep_trains_what_is_missing_and_a_second_one_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "submitit", None)  # Slurm alone needs it
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("signal.py").write_text("raise SystemExit('a module of the folder that this was started from')")
    argv = ["EMG-MAE", *on_db1(tmp_path), "--jobs", "1"]
    assert jobs.main(argv) == 0
    (done,) = (tmp_path / "runs").glob("emg-mae-*/done.json")
    written = done.stat().st_mtime_ns
    assert "experiments to train: 1, here, at most 1 at once" in capfd.readouterr().out
    assert jobs.main(argv) == 0
    assert "experiments to train: 0" in capfd.readouterr().out and done.stat().st_mtime_ns == written

    def more(trainings: list[Task]) -> list[Task]:
        return [Task("page", ("touch", str(tmp_path / "page")), tuple(task.name for task in trainings))]

    ended = jobs.train(cli.parse(argv, action="sweep"), local=True, more=more)
    assert ended == {"page": ""} and (tmp_path / "page").exists()
    assert {file.suffix for file in (tmp_path / "runs" / "sweep").rglob("*") if file.is_file()} == {".log"}
