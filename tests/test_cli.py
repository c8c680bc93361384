"""The command line and set-up: mistakes cost one sentence and no set-up, an environment is built once."""

import ctypes
import errno
import fcntl
import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import filelock
import pytest
from packaging.specifiers import SpecifierSet

from embridge.errors import InputError
from embridge.run import cli
from runner import setup
from runner.clean import clean
from runner.progress import Heartbeat, human, last_line

SCRIPT = cli.ROOT / "run_all.sh"


def shell(*arguments, cwd, path=None, preexec_fn=None, script=SCRIPT, **changes):
    """Run run_all.sh, or what leads to it, from a folder with an empty HOME and no active environment."""
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH")}
    env.update(HOME="", PATH=path or os.environ["PATH"], **changes)
    command = [shutil.which("bash"), str(script), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, preexec_fn=preexec_fn)


@pytest.fixture
def notebooks(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for stem in ("01_one", "04_four", "09_nine"):
        (folder / f"{stem}.ipynb").write_text("{}")
    (folder / "draft.ipynb").write_text("{}")
    return folder


def test_help_and_mistakes_from_another_folder_before_any_set_up(tmp_path):
    (tmp_path / "embridge.py").write_text("raise SystemExit('the wrong embridge was imported')")
    found = shell("--help", cwd=tmp_path)
    assert found.returncode == 0 and "--profile" in found.stdout and "./run_all.sh --test" in found.stdout
    for arguments, told in (
        (("--profle", "smoke"), "unknown option '--profle', did you mean --profile"),
        (("--profile", "huge"), "invalid choice: 'huge'"),
        (("--dataset", "mnist"), "invalid choice: 'mnist'"),
        (("--dataset", "ninapro-db1", "--data", str(tmp_path / "none")), "is not a folder"),
    ):
        found = shell(*arguments, cwd=tmp_path)
        assert found.returncode == 2 and found.stdout == ""
        assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1 and told in found.stderr


def test_it_is_found_through_links_and_where_a_scheduler_runs_a_copy(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "first.sh").symlink_to(SCRIPT)
    (tmp_path / "link.sh").symlink_to("bin/first.sh")
    copy = tmp_path / "slurm_script"
    shutil.copy(SCRIPT, copy)
    for script, where, more in (
        (tmp_path / "link.sh", tmp_path, {}),
        (copy, cli.ROOT, {}),
        (copy, tmp_path, {"SLURM_SUBMIT_DIR": str(cli.ROOT)}),
    ):
        found = shell("--help", cwd=where, script=script, **more)
        assert found.returncode == 0 and "--profile" in found.stdout, found.stderr
    found = shell("--help", cwd=tmp_path, script=copy)
    assert found.returncode == 2 and "is not in its repository, nor is this folder" in found.stderr


def test_a_tilde_behind_an_equals_sign_is_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.parse(["--out=~/results"]).out == tmp_path / "results"


def as_an_ordinary_user():
    """In a process to be: root, too, may write only where the mode says so (no CAP_DAC_OVERRIDE after exec)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP; refused where there is nothing to drop


def test_fault_21_a_read_only_folder_is_an_error_at_the_start(tmp_path):
    out = tmp_path / "Zoë's results {x} 100%"
    out.mkdir(mode=0o555)
    for arguments in (("--profile", "smoke"), ("--train", "CPEP")):
        found = shell(*arguments, "--out", str(out), cwd=tmp_path, preexec_fn=as_an_ordinary_user)
        assert found.returncode == 2 and found.stdout == "", found.stderr
        assert found.stderr.startswith(f"error: cannot write below {out}") and "Permission denied" in found.stderr
        assert found.stderr.count("\n") == 1 and not list(out.iterdir())


def test_no_python_is_told_in_one_sentence(tmp_path):
    for tool in ("dirname", "bash"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    (tmp_path / "python3").symlink_to(shutil.which("false"))  # there, but too old
    found = shell("--test", cwd=tmp_path, path=str(tmp_path))
    assert found.returncode == 2 and found.stderr.startswith("error: no Python 3.11") and found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--dataset", "emg2pose"], "--dataset emg2pose needs --data DIR"),
        (["--data", "."], "--data belongs to real recordings"),
        (["--skip-broken"], "--skip-broken belongs to real recordings"),
        (["--bench", "--skip-broken"], "--skip-broken belongs to the notebooks or --train or --sweep or --plan"),
        (["--seeds", "0"], "not a whole number"),
        (["--seeds", "two"], "not a whole number"),
        (["--only", "07"], "there are 01_one, 04_four, 09_nine"),
        (["--only", "01,"], "no such notebook"),
        (["--prof", "smoke"], "unknown option '--prof'"),
        (["--test", "--lab"], "not allowed with"),
        (["--", "-k", "x"], "--test"),
        (["--device", "tpu"], "invalid choice"),
        (["--train"], "expected at least one argument"),
        (["--train", "CPEP", "--sweep"], "not allowed with"),
        (["--bench", "--clean"], "not allowed with"),
        (["--full"], "--full belongs to --bench"),
        (["--sweep", "--full"], "--full belongs to --bench"),
        (["--seed", "1"], "--seed belongs to --train"),
        (["--train", "CPEP", "--seeds", "2"], "--seeds belongs to the notebooks or --sweep"),
        (["--train", "CPEP", "--seed", "-1"], "--seed"),
        (["--train", "CPEP", "--only", "04"], "--only belongs to the notebooks"),
        (["--jobs", "2"], "--jobs belongs to --sweep"),
        (["--sweep", "--jobs", "0"], "not a whole number from 1 to 1000"),
        (["--sweep", "--slurm", "exclusive"], "'exclusive' is not KEY=VALUE"),
        (["--sweep", "--jobs", "2", "--slurm", "partition=gpu"], "give one of them"),
        (["--train", "CPEP", "--", "x"], "--test"),
        (["--plan", "--train", "CPEP"], "not allowed with"),
        (["--plan", "--hours", "2"], "--hours belongs to the notebooks or --sweep"),
    ],
)
def test_each_mistake_is_one_sentence(arguments, told, notebooks):
    with pytest.raises(InputError) as caught:
        cli.parse(arguments, notebooks)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_asked_for(notebooks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = cli.parse([], notebooks)
    assert (options.profile, options.dataset, options.seeds, options.device) == ("quick", "simulated", 1, "auto")
    assert options.action == "run" and [path.stem for path in options.notebooks] == [
        "01_one",
        "04_four",
        "09_nine",
    ]
    assert cli.results_folder(options) == cli.ROOT / "figures" / "simulated-quick"
    options = cli.parse(["--only", "09,04_fo", "--only", "04", "--out", "o p"], notebooks)
    assert [path.stem for path in options.notebooks] == ["04_four", "09_nine"]
    assert options.out == tmp_path / "o p"
    options = cli.parse(["--dataset", "ninapro-db1", "--data", "notebooks"], notebooks)
    assert options.data == notebooks
    assert cli.parse(["--dataset", "ninapro", "--data", "notebooks"], notebooks).data == notebooks
    assert cli.parse(["--dataset", "simulated-ninapro"], notebooks).data is None
    for argv, told in (
        (["--dataset", "simulated-ninapro", "--data", "notebooks"], "--data belongs to real recordings"),
        (["--dataset", "ninapro"], "--dataset ninapro needs --data DIR"),
    ):
        with pytest.raises(InputError, match=told):
            cli.parse(argv, notebooks)
    options = cli.parse(["--test", "--", "-k", "x", "--", "y"], tmp_path / "no notebooks")
    assert options.action == "test" and options.rest == ["-k", "x", "--", "y"]


def test_what_is_asked_for_instead_of_the_notebooks(tmp_path):
    options = cli.parse(["--profile", "smoke", "--train", "CPEP, pairs shuffled", "--seed", "0"], tmp_path)
    assert (options.action, options.train, options.seed) == ("train", ["CPEP, pairs shuffled"], 0)
    for argv in (["Q-Former", "--seed", "3"], ["--seed", "3", "--train=Q-Former"]):  # as a module and as run_all.sh
        options = cli.parse(argv, tmp_path, action="train")
        assert (options.action, options.train, options.seed) == ("train", ["Q-Former"], 3)
    options = cli.parse(["--sweep", "--seeds", "3", "--jobs", "2"], tmp_path)
    assert (options.action, options.sweep, options.seeds, options.jobs) == ("sweep", [], 3, 2)
    slurm = ["--slurm", "partition=gpu", "gpus-per-node=1", "--slurm", "comment=a=b"]
    options = cli.parse(["CPEP", "EMBridge", *slurm], tmp_path, action="sweep")
    assert options.sweep == ["CPEP", "EMBridge"] and options.jobs is None
    assert dict(options.slurm) == {"partition": "gpu", "gpus-per-node": "1", "comment": "a=b"}
    options = cli.parse(["--plan", "--profile", "paper", "--seeds", "3", "--device", "cpu"], tmp_path)
    assert (options.action, options.profile, options.seeds, options.device) == ("plan", "paper", 3, "cpu")
    assert cli.parse([], tmp_path, action="plan").action == "plan"
    assert cli.parse([], tmp_path, action="bench").full is False
    options = cli.parse(["--bench", "--full", "--out", str(tmp_path)], tmp_path)
    assert (options.action, options.full, options.out) == ("bench", True, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        ([], "runner.notebooks"),
        (["--train", "EMBridge"], "embridge.train"),
        (["--sweep", "CPEP"], "runner.jobs"),
        (["--bench"], "benchmarks"),
    ],
)
def test_what_is_started_keeps_its_files_below_out(arguments, module, tmp_path, monkeypatch):
    started = []
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(setup, "interpreter", lambda: Path("python"))
    monkeypatch.setattr(setup.os, "execve", lambda *what: started.append(what))
    monkeypatch.chdir(tmp_path)
    argv = [*arguments, "--out", str(tmp_path / "out")]
    setup.main(argv)
    ((program, command, env),) = started
    assert (program, command) == ("python", ["python", "-P", "-m", module, *argv])
    assert env["HOME"] == str(tmp_path / "out" / ".cache" / "home") and Path.cwd() == tmp_path
    (tmp_path / "file").touch()
    assert setup.main([*arguments, "--out", str(tmp_path / "file" / "x")]) == 2 and len(started) == 1


@pytest.mark.parametrize("name", ["runs/CPEP-0123456789ab/lock", "data/build.lock", "data/stores/0123456789ab.lock"])
def test_clean_leaves_alone_what_a_training_or_a_conversion_holds(name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True)
    with filelock.FileLock(tmp_path / name), pytest.raises(InputError, match="a run is using"):
        clean(tmp_path)
    assert (tmp_path / name).parent.exists()


def test_clean_takes_what_is_made_again_and_nothing_else(tmp_path, capsys, monkeypatch):
    gone = ["runs/CPEP-0123456789ab/w.bin", "data/stores/0123456789ab/emg", "data/simulated-0123456789ab/a.hdf5"]
    gone += ["data/simulated-ninapro-0123456789ab/DB2/a.mat", "figures/simulated-ninapro-quick/report.html"]
    gone += ["figures/simulated-smoke/01_one/results.json", "runs/statistics-features-0123456789ab.json"]
    gone += ["runs/sweep/simulated-smoke-20260101-000000/1_0_log.out"]
    kept = ["data/emg2pose/metadata.csv", "data/stores/mine.txt", "runs/notes.txt", "figures/mine/a.png"]
    # as in the repository itself, where two profiles' results are tracked
    kept += ["figures/simulated-quick/01_one/results.json", "figures/simulated-quick/notebooks/01_one.md"]
    gone += ["figures/simulated-quick/notebooks/01_one.ipynb", "figures/simulated-quick/report.html"]
    gone += ["figures/simulated-quick/demo.html", "figures/simulated-quick/demo.gif"]
    for name in gone + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1234567")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (tmp_path / "runs" / "EMBridge-0123456789ab").symlink_to(elsewhere)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    clean(tmp_path)
    assert [name for name in gone if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert (elsewhere / "precious").exists()
    assert f"{7 * len(gone)} bytes removed" in capsys.readouterr().out
    clean(tmp_path)
    assert "nothing to remove" in capsys.readouterr().out


def test_pins_are_compared_without_local_suffix(monkeypatch):
    held = {"torch": "2.13.0+cpu", "numpy": "2.4.6"}

    def version(name):
        if name not in held:
            raise setup.importlib.metadata.PackageNotFoundError(name)
        return held[name]

    monkeypatch.setattr(setup.importlib.metadata, "version", version)
    assert setup.missing("# header\ntorch==2.13.0\n\nnumpy==2.4.5  # why\nscipy==1.17.1\n") == [
        "numpy==2.4.5",
        "scipy==1.17.1",
    ]


def test_pins_install_on_the_oldest_python_that_is_promised():
    """Debian 12 has Python 3.11.2, and pip 23.0 there says no more than that it finds no such version."""
    project = tomllib.loads((cli.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    pins = setup.REQUIREMENTS.read_text().splitlines()
    names = [pin.partition("==")[0] for pin in pins if "==" in pin and not pin.startswith("#")]
    asked = {name: importlib.metadata.metadata(name).get("Requires-Python") or "" for name in names}
    assert len(names) > 100 and {n: a for n, a in asked.items() if not SpecifierSet(a).contains(oldest)} == {}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone's root, and commands that are noted in ``ran`` in place of a minute of venv and pip."""
    root = tmp_path / "a clone, Zoë's"
    root.mkdir()
    (root / "requirements.txt").write_text("numpy==1\n")
    root_ran = []

    def pretend(command, log, what):
        root_ran.append(what)
        time.sleep(0.2)
        if "venv" in command:
            (log.parent / "bin").mkdir()
            (log.parent / "bin" / "python").symlink_to(sys.executable)
            (log.parent / "lib" / "python3.11" / "site-packages").mkdir(parents=True)

    monkeypatch.setattr(setup, "_run", pretend)
    monkeypatch.setattr(setup, "_lacks", lambda *_: [])
    return root, root_ran


BOTH = ["creating the environment", "installing the packages of requirements.txt"]


def test_environment_is_built_once_though_asked_for_twice_at_a_time(clone, capsys):
    root, ran = clone
    arguments = (root / ".venv", root / "requirements.txt", root)
    with ThreadPoolExecutor(2) as pool:
        pythons = [future.result() for future in [pool.submit(setup.build, *arguments) for _ in range(2)]]
    assert pythons == [root / ".venv" / "bin" / "python"] * 2 and ran == BOTH
    assert "another set-up is running" in capsys.readouterr().out
    pth = (root / ".venv/lib/python3.11/site-packages/embridge.pth").read_text(encoding="ascii")
    assert pth == f"import sys; sys.path.append({ascii(str(root))})\n"
    setup.build(*arguments)
    assert ran == BOTH
    (root / "requirements.txt").write_text("numpy==2\n")  # other pins: installed over the old ones
    setup.build(*arguments)
    assert ran == [*BOTH, BOTH[1]]


def test_interrupted_or_broken_environment_is_built_anew(clone, capsys, monkeypatch):
    root, ran = clone
    venv = root / ".venv"
    arguments = (venv, root / "requirements.txt", root)
    whole = setup._run

    def stopped(command, log, what):
        if "pip" in command:
            raise KeyboardInterrupt
        whole(command, log, what)

    monkeypatch.setattr(setup, "_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        setup.build(*arguments)
    (venv / "half").touch()
    monkeypatch.setattr(setup, "_run", whole)
    setup.build(*arguments)
    assert "starting it over" in capsys.readouterr().out and not (venv / "half").exists()
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/nowhere/python")  # the Python that it was made from is gone
    setup.build(*arguments)
    assert ran == [BOTH[0], *BOTH, *BOTH]


def test_a_whole_environment_that_cannot_be_written_is_used_and_one_that_is_not_whole_is_told(clone, monkeypatch):
    """A container's image, or a colleague's installation; as root no permission forbids a write, so open does here."""
    root, ran = clone
    arguments = (root / ".venv", root / "requirements.txt", root)
    setup.build(*arguments)
    real = Path.open

    def read_only(path, mode="r", *rest, **named):
        if "r" not in mode and path.is_relative_to(root):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", read_only)
    assert setup.build(*arguments) == root / ".venv" / "bin" / "python" and ran == BOTH
    (root / ".venv" / "embridge-unfinished").unlink(missing_ok=True)
    os.truncate(root / ".venv" / "embridge-stamp", 10)
    with pytest.raises(InputError, match="cannot write in .*Read-only file system"):
        setup.build(*arguments)


def test_set_up_goes_on_without_locks(clone, monkeypatch, capsys):
    root, ran = clone

    def flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    setup.build(root / ".venv", root / "requirements.txt", root)
    assert ran == BOTH and "file system without locks: start no second set-up" in capsys.readouterr().out
    (root / "data").mkdir()
    (root / "data" / "build.lock").touch()
    with pytest.raises(InputError, match="build.lock lies on a file system without locks.*remove .* by hand"):
        clean(root)


def test_packages_that_pip_put_elsewhere_are_missed_before_the_stamp(clone, monkeypatch):
    root, ran = clone
    (root / "requirements.txt").write_text("nosuchpackage==1\n")
    monkeypatch.undo()
    pretended = []
    monkeypatch.setattr(setup, "_run", lambda command, log, what: pretended.append(what))
    venv = root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    for _ in range(2):  # and it is not called whole the second time
        with pytest.raises(setup.SetupError, match=r"lacks 1 of its packages \(such as nosuchpackage==1\): look for t"):
            setup.build(venv, root / "requirements.txt", root)
        (venv / "embridge-unfinished").unlink()
    assert not (venv / "embridge-stamp").exists() and pretended == [BOTH[1]] * 2


def test_a_user_s_settings_of_pip_do_not_move_packages(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_TIMEOUT"):
        monkeypatch.setenv(name, "7")
    code = "import os; print(sorted(x for x in os.environ.items() if x[0].startswith('PIP_')))"
    setup._run([sys.executable, "-c", code], tmp_path / "log", "looking")
    assert (tmp_path / "log").read_text() == "[('PIP_TIMEOUT', '7'), ('PIP_USER', '0')]\n"


def test_failed_command_shows_the_end_of_its_log(tmp_path):
    log = tmp_path / "log"
    code = "import sys; print('\\n'.join(map(str, range(50)))); print('no such package'); sys.exit(1)"
    with pytest.raises(setup.SetupError, match=r"(?s)installing failed; the end of .*log:\n.*no such package") as told:
        setup._run([sys.executable, "-c", code], log, "installing")
    assert "\n    12\n" not in str(told.value) and "\n    49\n" in str(told.value)


def test_variables_do_without_a_home(tmp_path, monkeypatch):
    for home in ("", str(tmp_path / "none")):
        monkeypatch.setenv("HOME", home)
        env = setup.variables(tmp_path / "state", own_settings=True)
        assert Path(env["HOME"]).is_dir() and Path(env["MPLCONFIGDIR"]).is_dir()
        assert Path(env["JUPYTER_DATA_DIR"]).is_relative_to(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("JUPYTER_DATA_DIR", raising=False)
    assert "JUPYTER_DATA_DIR" not in setup.variables(tmp_path / "state", own_settings=True)
    env = setup.variables(tmp_path / "state", own_settings=False)
    assert env["HOME"] == str(tmp_path) and "IPYTHONDIR" in env
    assert not {"MPLBACKEND", "PYTHONDONTWRITEBYTECODE"} & set(env)


def test_durations_and_last_lines_and_what_a_heartbeat_shows():
    assert [human(s) for s in (0.4, 59.4, 80, 3000, 7800)] == ["0 s", "59 s", "1 min 20 s", "50 min", "2 h 10 min"]
    assert [human(3600 * h) for h in (47.4, 47.6, 100, 1000.2)] == ["47 h 24 min", "2 d 0 h", "4 d 4 h", "41 d 16 h"]
    assert last_line("a\r 10%|#\r 20%|##\n\n") == "20%|##" and last_line(" \n") == ""
    heartbeat = Heartbeat(expected=100)
    heartbeat.news = "epoch 2"
    assert heartbeat.line() == "      0 s, about 1 min 40 s to go: epoch 2"
    assert "longer than expected" in Heartbeat(expected=0).line()


def test_a_heartbeat_that_nobody_reads_any_more_ends_without_a_traceback(monkeypatch):
    monkeypatch.setattr(Heartbeat, "print", Mock(side_effect=BrokenPipeError))  # as "run_all.sh --plan | head -1"
    Heartbeat(every=0.01)._beat()


def test_notebooks_are_refused_a_folder_whose_name_is_no_utf8():
    odd = os.fsdecode(b"/disk/caf\xe9")
    with pytest.raises(InputError, match=r"--out: expected a name in UTF-8.*found '/disk/caf\\udce9'"):
        cli.parse(["--out", odd])
    assert str(cli.parse(["--train", "EMBridge", "--out", odd]).out) == odd
