"""Set-up: find or build an environment with the pinned versions, then hand over to it. Standard library only.

``run_all.sh`` starts this with whatever Python it finds. The arguments are checked first, so that a mistake costs
no set-up. An active environment is used when it holds every pinned version; otherwise ``.venv`` is built once. A stamp
written last tells a finished ``.venv`` from an interrupted one, and a lock keeps two set-ups apart.
"""

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from embridge.errors import InputError
from embridge.run import cli
from runner.clean import clean
from runner.progress import Heartbeat, human, last_line

# pytest's options where --test runs everything: a process a core, and at least 90 % of the code's lines reached.
WHOLE_TEST = "-n logical --maxprocesses 8 --dist loadfile --cov=embridge --cov=runner --cov=benchmarks".split()
WHOLE_TEST += ["--cov-report=term:skip-covered", "--cov-fail-under=90"]
# What does each action.
COMMANDS = {
    "run": "runner.notebooks",
    "train": "embridge.train",
    "sweep": "runner.jobs",
    "plan": "benchmarks.plan",
    "check": "benchmarks.check",
    "demo": "benchmarks.demo",
    "bench": "benchmarks",
}
VENV = cli.ROOT / ".venv"
REQUIREMENTS = cli.ROOT / "requirements.txt"
# Variables that name where libraries keep what is a user's, and the folders that stand in for it.
KEPT_FOR_A_USER = {
    "MPLCONFIGDIR": "matplotlib",
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "share",
}


class SetupError(RuntimeError):
    """Set-up failed for a reason that is not the user's input; told with the end of the log."""


def missing(requirements: str) -> list[str]:
    """The pins (``name==version`` lines) that the running interpreter's environment does not hold.

    A local suffix does not count: torch's CPU build "2.13.0+cpu" is version 2.13.0.
    """
    pins = [line.split("#")[0].strip() for line in requirements.splitlines()]
    absent = []
    for name, _, version in (pin.partition("==") for pin in pins if pin):
        try:
            held = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            held = None
        if held != version:
            absent.append(f"{name}=={version}")
    return absent


def active() -> Path | None:
    """The active virtual or conda environment, if it is this interpreter's; None for our own ``.venv``."""
    here = Path(sys.prefix).resolve()
    named = [os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX")]
    return here if here != VENV.resolve() and any(name and Path(name).resolve() == here for name in named) else None


def _run(command: list[str], log: Path, what: str) -> None:
    """Run a command with its output in ``log`` and a heartbeat on the screen; raises SetupError with the log's end."""
    # a user's settings of pip that would put packages elsewhere; one in pip.conf is found by :func:`_lacks`
    elsewhere = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
    env = {name: value for name, value in os.environ.items() if name not in elsewhere} | {"PIP_USER": "0"}
    with log.open("ab") as sink, Heartbeat(every=20) as heartbeat:
        heartbeat.news = lambda: last_line(log.read_text(errors="replace"))
        done = subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env)
    if done.returncode:
        tail = "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"{what} failed; the end of {log}:\n{tail}")


def build(venv: Path, requirements: Path, root: Path, *, pip_options: tuple[str, ...] = ()) -> Path:
    """Build or complete an environment at ``venv`` and return its interpreter.

    It holds the versions of ``requirements`` and finds the package in ``root``. Whole already (its stamp is the
    requirements' hash): returns at once, from a file system that cannot be written, too. Interrupted: starts over. A
    second set-up waits for the first. Raises SetupError with the end of pip's log.
    """
    python, stamp, unfinished = venv / "bin" / "python", venv / "embridge-stamp", venv / "embridge-unfinished"
    log = venv / "embridge-setup.log"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()

    def works() -> bool:
        return python.exists() and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0

    def whole() -> bool:
        return stamp.exists() and stamp.read_text() == wanted and not unfinished.exists() and works()

    try:
        handle = venv.with_name(venv.name + ".lock").open("w")
    except OSError as problem:
        if whole():
            return python
        raise InputError(
            f"cannot write in {venv.parent} ({problem.strerror}): clone to a folder that you may write to, or activate "
            f"an environment made from environment.yml"
        ) from problem
    with handle:
        _lock(handle)
        if whole():
            _point_at(venv, root)
            return python
        if unfinished.exists() or (venv.exists() and not works()):
            print(f"the environment in {venv} is not whole: starting it over", flush=True)
            shutil.rmtree(venv)
        print(f"setting up {venv} (once, about 3 minutes on a fast line; log: {log})", flush=True)
        began = time.monotonic()
        venv.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
        # sys.executable may be the interpreter of an environment; a new one must not hang on it.
        base = getattr(sys, "_base_executable", None) or sys.executable
        if not works():
            _run([base, "-m", "venv", str(venv)], log, "creating the environment")
        install = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        # compiling every file of every package would take half of the time; Python compiles what is imported
        install += ["--progress-bar", "off", "--no-compile", *pip_options, "-r", str(requirements)]
        _run(install, log, "installing the packages of requirements.txt")
        if absent := _lacks(python, requirements):
            raise SetupError(
                f"pip ended well, but {venv} lacks {len(absent)} of its packages (such as {absent[0]}): look for "
                f"target, prefix or root in what {python} -m pip config list prints, and unset it"
            )
        _point_at(venv, root)
        stamp.write_text(wanted)
        unfinished.unlink()
        print(f"set up in {human(time.monotonic() - began)}", flush=True)
    return python


def _lock(handle) -> None:
    """Keep a second set-up waiting until this process ends its own; where there are no locks, ask the user to."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another set-up is running; waiting for it", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        print(f"{handle.name} lies on a file system without locks: start no second set-up meanwhile", flush=True)


def _lacks(python: Path, requirements: Path) -> list[str]:
    """What is :func:`missing` for another interpreter, which -I keeps from folders outside its environment."""
    code = "import sys; sys.path.append(sys.argv[1]); from runner.setup import missing\n"
    code += "print(*missing(open(sys.argv[2]).read()), sep='\\n')"
    command = [python, "-I", "-c", code, cli.ROOT, requirements]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return told.stdout.split()


def _point_at(venv: Path, root: Path) -> None:
    """Let ``venv`` import the package from ``root``: a .pth file needs no build, no network and minds no spaces.

    It is code, not a bare path: Python up to 3.12 reads these files in the locale's encoding, and with LC_ALL=C it
    would not start at all where the path has a letter beyond ASCII.
    """
    for site in (venv / "lib").glob("python3.*/site-packages"):
        (site / "embridge.pth").write_text(f"import sys; sys.path.append({ascii(str(root))})\n", encoding="ascii")


def usable_home() -> bool:
    """True where HOME names a folder that can be written to."""
    home = os.environ.get("HOME", "")
    return bool(home) and os.path.isdir(home) and os.access(home, os.W_OK)


def variables(state: Path, *, own_settings: bool, test: bool = False) -> dict[str, str]:
    """The environment variables of what is started: this checkout first on the path, quiet threads, UTF-8.

    ``state`` takes what libraries keep for a user, so that neither a missing HOME nor the settings in a present one
    change a run; ``own_settings`` leaves a usable HOME's Jupyter settings alone.
    """
    env = dict(os.environ, PYTHONPATH=str(cli.ROOT), PYTHONNOUSERSITE="1", PYTHONUTF8="1")
    env.pop("MPLBACKEND", None)  # would keep pictures out of the notebooks
    # nothing was compiled when it was installed: without its bytecode each notebook would take 15 s more to import
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.update(
        OMP_WAIT_POLICY="PASSIVE",  # two spinning OpenMP teams on two cores were 5-20 times slower
        # glibc hands buffers of a training step back to the kernel at each step and asks again: ten times the faults
        MALLOC_MMAP_THRESHOLD_=str(1 << 30),
        MALLOC_TRIM_THRESHOLD_=str(1 << 32),
        # those buffers in pages of 2 MB where the kernel gives them on request: a step gains 3 to 6 % with one thread,
        # as in a sweep, and nothing with two
        GLIBC_TUNABLES="glibc.malloc.hugetlb=1",
        PYDEVD_DISABLE_FILE_VALIDATION="1",  # the kernel's debugger warns about frozen modules otherwise
        JUPYTER_PREFER_ENV_PATH="1",  # a kernel of the same name in HOME belongs to another environment
    )
    if sys.platform.startswith("linux"):
        env["LC_ALL"] = "C.UTF-8"
    if test:
        env["MPLBACKEND"] = "Agg"
    if not usable_home():
        env["HOME"] = str(state / "home")
    if not (own_settings and usable_home()):
        env |= {name: str(state / folder) for name, folder in KEPT_FOR_A_USER.items()}
    for name in ("HOME", "MPLCONFIGDIR", "IPYTHONDIR"):  # these warn or fail where the folder is absent
        if name in env:
            Path(env[name]).mkdir(parents=True, exist_ok=True)
    return env


def interpreter() -> Path:
    """An interpreter with the pinned versions: the active environment's or ``.venv``'s, built where it is missing."""
    here = active()
    if here is not None:
        absent = missing(REQUIREMENTS.read_text())
        if not absent:
            print(f"using the active environment {here}", flush=True)
            return Path(sys.executable)
        print(f"the active environment {here} lacks {len(absent)} pinned packages (such as {absent[0]}): using .venv")
    return build(VENV, REQUIREMENTS, cli.ROOT, pip_options=() if usable_home() else ("--no-cache-dir",))


@cli.command("run the same command again", SetupError)
def main(argv: list[str]) -> int:
    """Check the arguments, set up, and become the runner, a command of the package, pytest or JupyterLab.

    Returns an exit code where it does not come to that.
    """
    options = cli.parse(argv)
    action = options.action
    if action == "clean":
        clean(options.out)
        return 0
    if action in ("run", "sweep", "check"):
        cli.make_writable(cli.results_folder(options))
    elif action in ("train", "bench"):
        cli.make_writable(options.out)
    python = str(interpreter())
    state = (options.out if action not in ("test", "lab", "plan", "demo") else cli.ROOT) / ".cache"
    if not os.access(state.parent, os.W_OK):  # an installation that somebody else looks after
        state = Path(tempfile.mkdtemp(prefix="embridge-"))
    env = variables(state, own_settings=action in ("lab", "plan"), test=action == "test")
    if action in COMMANDS:
        command = [COMMANDS[action], *argv]
    else:  # both read their settings from the repository
        os.chdir(cli.ROOT)
        lab = ["jupyterlab", "--LabApp.default_url=/lab/tree/notebooks", *options.rest]
        command = ["pytest", *(options.rest or WHOLE_TEST)] if action == "test" else lab
    sys.stdout.flush()
    os.execve(python, [python, "-P", "-m", *command], env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
