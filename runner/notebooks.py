"""Trains the experiments, runs the numbered notebooks in order and writes the report: what ``run_all.sh`` does.

The experiments come first, side by side (:mod:`runner.jobs`), so that notebooks only read them; the first
notebooks, which need little of them, run where a core would wait. A notebook runs again when its code, the modules that
it imports, its parameters or its data changed, or when something that it wrote is gone. Exit codes: 0; 1 a notebook or
an experiment failed; 2 bad input; 130 or 143 stopped by a signal.
"""

import ast
import hashlib
import json
import logging
import os
import re
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, closing, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

from embridge.errors import InputError, NotebookFailed, Stopped
from embridge.files import write_atomically
from embridge.run import cli
from embridge.run.pages import STEMS
from runner import jobs, report
from runner.progress import Heartbeat, human, last_line

# What loads papermill, nbformat or pandas, which take seconds, is imported where it is used: the processes that
# simulate and that cut windows load this module, too.

# Seconds for a notebook that has not run here yet, two cores; only the first run's time to go rests on them.
EXPECTED = {"smoke": 25.0, "quick": 45.0}
# What these need besides the data: nothing, or the masked autoencoders. They run while a core waits for a training.
EARLY = {STEMS["data"]: False, STEMS["mae_pretraining"]: True, STEMS["communities"]: True}
KEPT = "what is trained is kept; the same command goes on from there"
RECORDS = "embridge.paper.records"  # a notebook that imports it, or what lies in it, shows records of results


def _digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def imports(source: str) -> frozenset[str]:
    """Names in this package that Python source imports anywhere, modules or names in these; none if it is broken."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return frozenset()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return frozenset(name for name in names if name.split(".")[0] == "embridge")


def code_key(sources: list[str], root: Path = cli.ROOT) -> str:
    """Hash of every module below ``root`` that these sources import, and those in turn, with the tables beside them."""
    names, texts = {name for source in sources for name in imports(source)}, {}
    while names:
        name = names.pop()
        path = root.joinpath(*name.split("."))
        file = next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)
        if file is not None and file not in texts:
            texts[file] = file.read_text(encoding="utf-8")
            texts |= {table: table.read_text(encoding="utf-8") for table in file.parent.glob("*.toml")}
            names |= imports(texts[file]) | ({name.rpartition(".")[0]} - {""})
    return _digest([[file.relative_to(root).as_posix(), texts[file]] for file in sorted(texts)])


def data_key(data: str) -> str:
    """Hash of the names, sizes and times of a data folder's files; "" without one."""
    if not data:
        return ""
    files = [(path, path.stat()) for path in sorted(Path(data).rglob("*")) if path.is_file()]
    return _digest([[path.relative_to(data).as_posix(), stat.st_size, stat.st_mtime_ns] for path, stat in files])


def records_key(parameters: dict) -> str:
    """Hash of the records that trainings of the long profile have left, which it and ``quick`` show; else ""."""
    if parameters.get("profile") not in ("quick", "long"):
        return ""
    places = dict.fromkeys((cli.ROOT, Path(parameters["out"])))
    files = [file for place in places for file in sorted((place / "figures").glob("*-long*/rows/*.json"))]
    return _digest([[file.name, file.read_text(encoding="utf-8")] for file in files])


@dataclass(frozen=True)
class Job:
    """One notebook of a run: where it is, and where its copy, page, log and key go (all in ``notebooks/`` of F)."""

    notebook: Path
    folder: Path

    def file(self, suffix: str) -> Path:
        """Its file with this suffix: ".ipynb", ".html", ".md", ".log" or ".key.json"."""
        return self.folder / "notebooks" / f"{self.notebook.stem}{suffix}"

    def key(self, parameters: dict, data: str, records: str = "", root: Path = cli.ROOT) -> str:
        """Hash of everything that decides what it writes: keys of the data and, where it shows any, of records."""
        import nbformat
        from IPython.core.inputtransformer2 import TransformerManager

        cells = [(cell.cell_type, cell.source) for cell in nbformat.read(self.notebook, as_version=4).cells]
        code = [TransformerManager().transform_cell(source) for kind, source in cells if kind == "code"]
        shows = any(f"{name}.".startswith(f"{RECORDS}.") for source in code for name in imports(source))
        return _digest(cells, parameters, code_key(code, root), data, records if shows else "")

    def record(self) -> dict:
        """The note of its last run that ended well: its "key", the "seconds" it took; {} without one."""
        file = self.file(".key.json")
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def is_current(self, key: str) -> bool:
        """True where it ran with this key and all that it wrote is still there."""
        page = self.folder / self.notebook.stem / "results.json"
        there = all(file.exists() for file in (page, *map(self.file, (".html", ".md", ".ipynb"))))
        return there and self.record().get("key") == key and not report.missing_files(page)


def outdated(asked: list[Job], parameters: dict) -> dict[Job, str]:
    """The notebooks whose results are not current, each with the key of a new run."""
    data, records = data_key(parameters.get("data", "")), records_key(parameters)
    keys = {job: job.key(parameters, data, records) for job in asked}
    return {job: key for job, key in keys.items() if not job.is_current(key)}


class Signals:
    """The first Ctrl-C or SIGTERM interrupts the kernels, whose training writes a checkpoint; the second kills them."""

    def __init__(self):
        self.number, self.kernels = 0, set()

    def __enter__(self):
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number, _frame):
        again, self.number = bool(self.number), number
        if not again:
            print("\nstopping: waiting for a checkpoint (once more to stop at once)", flush=True)
        for kernel in [kernel for kernel in self.kernels if kernel.has_kernel]:
            with suppress(ProcessLookupError):  # it ended a moment ago
                os.killpg(kernel.provisioner.pid, signal.SIGKILL if again else signal.SIGINT)

    def check(self, **_):
        """Raise Stopped when a signal came: between cells an idle kernel does not listen to interrupts."""
        if self.number:
            raise Stopped(self.number)


def check_parameters(notebook: Path, parameters: dict) -> None:
    """Raise InputError unless the notebook declares every parameter, and each name is a plain identifier.

    papermill only warns of a name that is not declared, and writes any name into the notebook as code.
    """
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    declared = papermill.inspect_notebook(_literal(notebook))
    for name in parameters:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise InputError(f"{notebook.name}: {name!r} cannot be a parameter's name: it is not an identifier")
        if name not in declared:
            raise InputError(
                f"{notebook.name} does not declare the parameter {name!r}: its cell tagged 'parameters' "
                f"declares {', '.join(declared) or 'nothing'}"
            )


def _literal(path: Path) -> str:
    """A path for papermill, which takes braces for placeholders."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _failure(copy: Path, what: str) -> NotebookFailed:
    """The error that names a notebook that did not finish, its cell, what happened there and the log."""
    import nbformat

    own = {"papermill-error-cell-tag", "injected-parameters"}  # papermill's; the reader's notebook has no such cells
    cells = [c for c in nbformat.read(copy, as_version=4).cells if not own & set(c.metadata.get("tags", []))]
    begun = [n for n, cell in enumerate(cells, 1) if cell.metadata.get("papermill", {}).get("start_time")]
    first = cells[begun[-1] - 1].source.strip().split("\n")[0] if begun else ""
    where = f"cell {begun[-1]} ({first!r})" if begun else "its start"
    return NotebookFailed(f"notebook {copy.stem} failed in {where}: {what}\n  log: {copy.with_suffix('.log')}")


def execute(job: Job, key: str, parameters: dict, stop: Signals, tell: Callable, environment: dict) -> float:
    """Run a notebook in its own kernel, note that it ran with ``key``, and return the seconds; several threads may.

    This process's working directory is the notebook's folder. Writes the executed copy and, beside it, its HTML page,
    its Markdown and the log of all that it printed (also when it fails). ``tell`` gets that line by line;
    ``environment`` is added to the kernel's. Raises NotebookFailed, or Stopped after a signal.
    """
    import papermill
    from jupyter_client import AsyncKernelManager
    from jupyter_core.utils import ensure_event_loop
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from runner import converted

    copy, failure, began = job.file(".ipynb"), None, time.monotonic()
    declared = papermill.inspect_notebook(_literal(job.notebook))
    job.file(".key.json").unlink(missing_ok=True)
    # each thread gets an event loop of Jupyter's, which leaves it open
    with closing(ensure_event_loop()), job.file(".log").open("w", encoding="utf-8", errors="replace") as log:
        started = []

        def write(text: str) -> None:
            log.write(text)
            if line := last_line(text):
                tell(line)

        class Kernel(AsyncKernelManager):
            """This notebook's kernel, known to whoever passes signals on, its own messages in the log."""

            async def start_kernel(self, **kwargs):
                self.transport_encryption = "auto"  # without it ipykernel warns, rightly where a machine is shared
                started.append(self)
                stop.kernels.add(self)
                await super().start_kernel(stderr=log, env=os.environ | environment, **kwargs)

        printed = SimpleNamespace(write=write, flush=log.flush)
        try:
            papermill.execute_notebook(
                _literal(job.notebook),
                _literal(copy),
                parameters | ({"train": True} if "train" in declared else {}),  # opened alone, a chapter shows weights
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stdout_file=printed,
                stderr_file=printed,
                start_timeout=180,
                iopub_timeout=60,  # the default of 4 s is missed on a busy machine
                kernel_manager_class=Kernel,
                on_cell_start=stop.check,
                coalesce_streams=True,  # a progress bar leaves its last state, not a line for each step
            )
        except PapermillExecutionError as problem:
            failure = problem, f"{problem.ename}: {problem.evalue}".strip()[:2000]
        except DeadKernelError as problem:
            failure = problem, "its kernel died; the machine may have run out of memory"
        except (CellTimeoutError, RuntimeError) as problem:
            failure = problem, f"{type(problem).__name__}: {problem}"
        finally:
            stop.kernels.difference_update(started)
        if failure:
            log.write("\n" + re.sub(r"\x1b\[[0-9;]*m", "", str(failure[0])))
    job.file(".html").write_text(converted.html(copy, copy.stem, str(job.notebook.parent)), encoding="utf-8")
    job.file(".md").write_text(converted.markdown(copy, job.folder / copy.stem), encoding="utf-8")
    stop.check()
    if failure:
        raise _failure(copy, failure[1])
    seconds = round(time.monotonic() - began, 1)
    write_atomically(job.file(".key.json"), json.dumps({"key": key, "seconds": seconds, "finished": time.time()}))
    return seconds


def run(notebooks: list[Path], folder: Path, parameters: dict, places: list[dict[str, str]] | None = None) -> Path:
    """Run what is not current of ``notebooks``, in this order, and return the report's path.

    ``folder``: F, where results, copies and the report go; made, and locked for this run alone. ``parameters`` are
    passed to every notebook. ``places``: the environment of each kernel that may run at the same time, for notebooks
    that need nothing of each other; by default one after the other.

    Raises InputError before a kernel starts (the folder cannot be written to or another run holds it, a parameter is
    not declared); NotebookFailed, and no other one is started; Stopped after a signal. The same call goes on then.
    """
    cli.make_writable(folder / "notebooks")
    for notebook in notebooks:
        check_parameters(notebook, parameters)
    from embridge.paper import claims, results  # with pandas: nothing that fails early waits for it

    asked, places = [Job(notebook, folder) for notebook in notebooks], places or [{}]
    with jobs.only_run(folder), Signals() as stop:
        waiting, usual = outdated(asked, parameters), EXPECTED.get(parameters.get("profile"))
        expected = [job.record().get("seconds", usual) for job in waiting]
        whole = None if None in expected else sum(expected) / min(len(places), len(expected) or 1)
        about = f", about {human(whole)}" if whole else ""
        print(f"{len(asked)} notebooks, {len(waiting)} to run{about}; results in {folder}", flush=True)
        titles = {job: f"[{number}/{len(asked)}] {job.notebook.stem}" for number, job in enumerate(asked, 1)}
        for job in asked:
            if job not in waiting:
                print(f"{titles[job]}: up to date", flush=True)
        # kernels start in the notebooks' folder; papermill's own change of directory is not made for threads
        with chdir(notebooks[0].parent), Heartbeat(expected=whole) as heartbeat:
            _execute(waiting, titles, parameters, stop, places, heartbeat)
        claims.write(folder, results.collect(folder), parameters["dataset"], parameters["profile"])
        results.write_provenance(folder, parameters)
        return report.write(folder, parameters)


def _execute(keys: dict[Job, str], titles, parameters, stop, places, heartbeat) -> None:
    """Execute these notebooks, as many at a time as there are places, each noted when it is done."""
    from embridge.paper import results

    free, begun, news, failed = list(places), [], {}, []
    heartbeat.news = lambda: "; ".join(f"{stem}: {line}" for stem, line in list(news.items()))

    def work(job: Job) -> None:
        if failed or stop.number:
            return
        begun.append(job)
        place = free.pop()
        heartbeat.print(f"{titles[job]}: running")
        try:
            tell = partial(news.__setitem__, job.notebook.stem)
            seconds = execute(job, keys[job], parameters, stop, tell, place)
            heartbeat.print(f"{titles[job]}: done in {human(seconds)}")
        except (NotebookFailed, Stopped, OSError) as problem:
            failed.append(problem)
        finally:
            news.pop(job.notebook.stem, None)
            free.append(place)

    with ThreadPoolExecutor(len(places)) as pool:
        for _ in pool.map(work, keys):
            results.collect(next(iter(keys)).folder)
    stop.check()
    left = [job.notebook.stem for job in keys if job not in begun]
    if left and failed and isinstance(failed[0], NotebookFailed):
        raise NotebookFailed(f"{failed[0]}\n  not run: {', '.join(left)}") from failed[0]
    if failed:
        raise failed[0]


def parameters_of(options: Namespace) -> dict:
    """The parameters that the command line hands to every notebook."""
    return cli.settings(options) | {"seeds": options.seeds}


def _early(argv: list[str], trainings: list[jobs.Task]) -> list[jobs.Task]:
    """Notebooks for cores that would wait in a sweep; the run after it leaves out those that ended well."""
    first = tuple(task.name for task in trainings if not task.needs)
    command = (sys.executable, "-P", "-m", "runner.notebooks", "--early")
    early = EARLY.items() if trainings else ()
    return [jobs.Task(stem, (*command, stem, *argv), first if needs else ()) for stem, needs in early]


@cli.command(KEPT)
def early(argv: list[str]) -> None:
    """Run the notebook whose stem comes first, unless it is current: one of :func:`_early`, beside the sweep's jobs."""
    options = cli.parse(argv[1:])
    job, parameters = Job(cli.NOTEBOOKS / f"{argv[0]}.ipynb", cli.results_folder(options)), parameters_of(options)
    cli.make_writable(job.folder / "notebooks")
    with Signals() as stop, chdir(job.notebook.parent):
        for key in outdated([job], parameters).values():
            execute(job, key, parameters, stop, lambda line: print(line, flush=True), {})


@cli.command(KEPT)
def main(argv: list[str], folder: Path = cli.NOTEBOOKS) -> None:
    """The command line behind ``run_all.sh`` for the notebooks of ``folder``; returns the exit code."""
    options = cli.parse(argv, folder)
    if options.device == "cuda":
        import torch  # slow to load, and nobody else here needs it

        if not torch.cuda.is_available():
            raise InputError("--device cuda: PyTorch sees no CUDA device here; use --device cpu or auto")
    parameters, results, places = parameters_of(options), cli.results_folder(options), None
    print(f"EMBridge: dataset {options.dataset}, profile {options.profile}, seeds {options.seeds}", flush=True)
    # notebooks asked for one by one, and those of another folder, train what they need themselves: in turn
    own = folder == cli.NOTEBOOKS and not options.only
    if own and outdated([Job(notebook, results) for notebook in options.notebooks], parameters):
        ended = jobs.train(options, local=True, more=partial(_early, argv))
        failed = [problem for name, problem in ended.items() if problem and name not in EARLY]
        if failed:
            raise NotebookFailed(f"{len(failed)} experiments did not train; the first {failed[0]}")
        places = jobs.places(options.device, None)
    report.show(run(options.notebooks, results, parameters, places).parent)


if __name__ == "__main__":
    sys.exit(early(sys.argv[2:]) if sys.argv[1:2] == ["--early"] else main(sys.argv[1:]))
