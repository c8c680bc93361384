"""The command line of ``run_all.sh``: what may be asked for, and how a command ends.

Standard library only: it runs before anything is installed.
"""

import argparse
import difflib
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path

from embridge import config as cfg
from embridge import datasets
from embridge.errors import InputError, NotebookFailed, Stopped
from embridge.provenance import ROOT
from embridge.run.pages import NUMBERS

NOTEBOOKS = ROOT / "notebooks"
# what can be done instead of running notebooks
ACTIONS = ("test", "lab", "clean", "train", "sweep", "plan", "bench", "check", "demo")


class _Parser(argparse.ArgumentParser):
    """argparse that answers a mistake with one sentence instead of usage and exit.

    ``belongs``: options that only some actions know ("run": the notebooks); with another they are a mistake, not
    ignored.
    """

    def error(self, message):
        """Raise InputError; argparse would print its usage first."""
        unknown = re.fullmatch(r"unrecognized arguments: (\S+)(.*)", message)
        if unknown:
            known = [name for action in self._actions for name in action.option_strings]
            near = difflib.get_close_matches(unknown[1].split("=")[0], known, n=1)
            message = f"unknown option {unknown[1]!r}" + (f", did you mean {near[0]}" if near else "")
        message = message.removeprefix("argument ")
        raise InputError(f"{message} (./run_all.sh --help lists the options)")


def _number(low: float, high: float, kind: type = int) -> Callable[[str], float]:
    """A reader of numbers from ``low`` to ``high``, whole ones by default."""

    def read(text: str) -> float:
        with suppress(ValueError):
            if low <= (found := kind(text)) <= high:
                return found
        what = "whole number" if kind is int else "number"
        raise argparse.ArgumentTypeError(f"{text!r} is not a {what} from {low} to {high}")

    return read


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as partition=gpu")
    return key, value


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="./run_all.sh",
        allow_abbrev=False,
        description="Set up what is missing, run the notebooks in order, and write tables, figures and a report.",
        epilog="./run_all.sh --test -- -k losses hands what follows -- to pytest. More examples: docs/options.md.",
    )
    parser.belongs = {}

    def add(name: str, of: str = "", group=parser, **how) -> None:
        group.add_argument(name, **how)
        if of:
            parser.belongs[name] = of.split()

    add("--profile", choices=cfg.PROFILES, default="quick", help="how much of everything (default: quick)")
    add("--dataset", choices=datasets.DATASETS, default="simulated", help="which recordings (default: simulated)")
    add("--tokens", "run train sweep plan demo", choices=cfg.TOKENS, default="",
        help="front end of both encoders: samples as the papers have them, or log-power and frames (default: the "
        "profile's; paper: waveform, else features, but for envelopes)")  # fmt: skip
    add("--data", metavar="DIR", help="folder of the real recordings; needed by every dataset that is not simulated")
    add("--skip-broken", "run train sweep plan demo", action="store_true",
        help=f"leave out recordings that cannot be read; page {NUMBERS['data']} names them")  # fmt: skip
    add("--only", "run", metavar="NN", action="append", default=[],
        help="run these notebooks: 04, or 04,05; may be repeated")  # fmt: skip
    seeds = _number(1, 1000)
    add("--seeds", "run sweep plan", metavar="N", type=seeds, default=1, help="seeds for each experiment (default: 1)")
    hours = _number(0.001, 10_000, float)
    add("--hours", "run sweep", metavar="H", type=hours, help="start no training that would not end within H hours; "
        "those that no H hours are enough for run last, stop in time and go on at the next call")  # fmt: skip
    add("--retrain", "run sweep", metavar="NAME", action="append", default=[],
        help="train this experiment anew for its results' rows")  # fmt: skip
    add("--tune", "train sweep", action="store_true",
        help="with --profile long, score on D_tune alone: to choose constants before D_eval is read")  # fmt: skip
    add("--device", choices=("cpu", "cuda", "auto"), default="auto", help="where to compute (default: auto)")
    add("--out", metavar="DIR", default=str(ROOT), help="where data/, runs/ and figures/ go (default: this repository)")
    group = parser.add_argument_group("instead of the notebooks, one of")
    action = group.add_mutually_exclusive_group().add_argument
    action("--test", action="store_true", help="the tests")
    action("--lab", action="store_true", help="JupyterLab on the notebooks")
    action("--train", metavar="NAME", nargs="+", help="train experiments, such as EMBridge, and what they need")
    action("--sweep", metavar="NAME", nargs="*", help="train these experiments (default: all) as jobs of their own")
    action("--plan", action="store_true", help="print every experiment, what it would take here and what is done")
    action("--bench", action="store_true", help="measure speed and memory on this machine")
    action("--check", action="store_true", help="run all in check/ (or --out) and compare with the committed results")
    action("--demo", action="store_true", help="write demo.html, to play with, and demo.gif of EMBridge's finished run")
    action("--clean", action="store_true", help="remove what can be made again below --out, and stop")
    one = parser.add_argument_group("only with one of these")
    add("--seed", "train", one, metavar="S", type=_number(0, 999), default=0, help="--train: the seed (default: 0)")
    add("--jobs", "sweep", one, metavar="J", type=seeds, help="--sweep: at most J local processes, also where Slurm is")
    add("--slurm", "sweep", one, metavar="KEY=VALUE", type=_pair, nargs="+", action="extend", default=[],
        help="--sweep: options of sbatch for each job, such as partition=gpu gpus-per-node=1")  # fmt: skip
    add("--full", "bench", one, action="store_true", help="--bench: the whole table (default: a quick look)")
    return parser


def notebooks(folder: Path = NOTEBOOKS, only: list[str] | tuple[str, ...] = ()) -> list[Path]:
    """The numbered notebooks of a folder in order, or those that one of ``only`` is the beginning of.

    Raises InputError where the folder holds none, or where an entry of ``only`` fits none.
    """
    found = sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise InputError(f"{folder} holds no numbered notebook (NN_name.ipynb): is the clone complete?")
    wanted = [name.strip().removesuffix(".ipynb") for text in only for name in text.split(",")]
    for name in wanted:
        if not name or not any(path.stem.startswith(name) for path in found):
            raise InputError(f"--only {name}: no such notebook; there are {', '.join(path.stem for path in found)}")
    return [path for path in found if not wanted or any(path.stem.startswith(name) for name in wanted)]


def parse(argv: list[str], folder: Path = NOTEBOOKS, *, action: str = "") -> argparse.Namespace:
    """Read and check the arguments; paths come back absolute, what stands behind ``--`` as ``rest``.

    ``action`` is "run" or one of ACTIONS; for "run", ``notebooks`` are those of ``folder`` that are asked for. Where a
    module stands for its action (``python -m embridge.train NAME ...``), it gives ``action`` and need not be told.

    Raises InputError with one sentence for anything that is not right; ``--help`` prints and leaves with 0.
    """
    if action and f"--{action}" not in [argument.split("=")[0] for argument in argv]:
        argv = [f"--{action}", *argv]
    split = argv.index("--") if "--" in argv else len(argv)
    parser = _parser()
    options = parser.parse_args(argv[:split])
    options.rest = argv[split + 1 :]
    options.action = next((name for name in ACTIONS if getattr(options, name) not in (None, False)), "run")
    if options.rest and options.action not in ("test", "lab"):
        raise InputError("what stands behind -- is for --test (pytest) or --lab (JupyterLab): add one of them")
    for name, actions in parser.belongs.items():
        of = name[2:].replace("-", "_")
        if options.action not in actions and getattr(options, of) != parser.get_default(of):
            places = " or ".join("the notebooks" if place == "run" else f"--{place}" for place in actions)
            raise InputError(f"{name} belongs to {places}: leave it out, or ask for that")
    if options.tune and options.profile != "long":
        raise InputError("--tune is for the rows of --profile long: add it, or leave --tune out")
    if options.jobs and options.slurm:
        raise InputError("--jobs asks for local processes and --slurm for Slurm: give one of them")
    options.out = Path(options.out).expanduser().absolute()  # the shell leaves the ~ of --out=~/x alone
    if options.action == "check" and options.out == ROOT:  # the committed results stay as they are
        options.out = ROOT / "check"
    dataset = options.dataset
    if dataset in datasets.SIMULATED:
        for name, given in (("--data", options.data), ("--skip-broken", options.skip_broken)):
            if given:
                raise InputError(f"{name} belongs to real recordings: name them with --dataset, or leave {name} out")
    elif options.data is None:
        raise InputError(f"--dataset {dataset} needs --data DIR, the folder of its files (see docs/data.md)")
    else:
        options.data = Path(options.data).expanduser().absolute()
        if not options.data.is_dir():
            raise InputError(f"--data {options.data} is not a folder: give the one that holds {dataset}'s files")
    for name, path in (("--out", str(options.out)), ("--data", str(options.data))):
        if options.action in ("run", "check") and any("\udc80" <= c <= "\udcff" for c in path):
            found = f"found {ascii(path)}; rename the folder, or train without notebooks (--sweep)"
            raise InputError(f"{name}: expected a name in UTF-8, for notebooks hold no other, {found}")
    size = datasets.for_dataset(cfg.profile(options.profile), dataset)
    options.tokens = cfg.other_tokens(size, datasets.window_config(dataset), options.tokens)  # or says why not
    options.notebooks = notebooks(folder, options.only) if options.action == "run" else []
    return options


def settings(options: argparse.Namespace) -> dict[str, str | bool]:
    """The options that name data, size, device and place, as a Study and a notebook take them."""
    names = ("skip_broken", "profile", "dataset", "tokens", "data", "device", "out")
    found = {name: getattr(options, name) for name in names}
    return found | {"data": str(options.data or ""), "out": str(options.out)}


def arguments(options: argparse.Namespace, **changes) -> list[str]:
    """The same as another command's arguments; without defaults."""
    found = []
    for name, value in (settings(options) | changes).items():
        if value and value not in ("auto", str(ROOT)):
            found += ["--skip-broken"] if name == "skip_broken" else [f"--{name}", value]
    return found + ["--tune"] * options.tune


def command(stopped: str, *failures: type[Exception]) -> Callable:
    """A decorator for a ``main``: what ends it is told in one line on stderr and becomes its exit code.

    2 for bad input; 1 for a notebook that failed, what the system refuses (a full disk, a folder gone) and
    ``failures``; 130 or 143 for a signal, with what ``stopped`` says.
    """

    def decorate(main: Callable) -> Callable:
        @wraps(main)
        def run(*args, **kwargs) -> int:
            try:
                return main(*args, **kwargs) or 0
            except InputError as problem:
                told, code = f"error: {problem}", 2
            except (NotebookFailed, OSError, *failures) as problem:
                told, code = f"error: {problem}", 1
            except KeyboardInterrupt as problem:
                told, code = f"stopped: {stopped}{f', in {problem}' if problem.args else ''}", 130
            except Stopped as problem:
                told, code = f"stopped: {stopped}", 128 + problem.args[0]
            print(told, file=sys.stderr)
            return code

        return run

    return decorate


def human(seconds: float) -> str:
    """A duration in words: "8 s", "3 min 5 s", "2 h 10 min", "3 d 4 h"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 600:
        return f"{seconds // 60} min {seconds % 60} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def results_folder(options: argparse.Namespace) -> Path:
    """The folder of the figures and tables of a run with these options."""
    return options.out / "figures" / cfg.results_name(options.dataset, options.profile, options.tokens)


def make_writable(folder: Path) -> None:
    """Create a folder and prove that a file can be written there; raises InputError where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        told = f"cannot write below {folder} ({problem.strerror}): give a folder that you may write to with --out"
        raise InputError(told) from problem
