"""One notebook in one kernel: checked before, watched while it runs, and its page written after."""

import logging
import os
import re
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from embridge.errors import InputError, NotebookFailed, Stopped
from embridge.progress import last_line


class _Kernel(AsyncKernelManager):
    """A kernel of one notebook; those that run now are known, so that a signal can be passed on to them."""

    running: ClassVar[set["_Kernel"]] = set()
    output = None  # its own messages go to this file
    environment: ClassVar[dict[str, str]] = {}

    async def start_kernel(self, **kwargs):
        """Start it and remember it."""
        self.transport_encryption = "auto"  # without it ipykernel warns, rightly where a machine is shared
        _Kernel.running.add(self)
        await super().start_kernel(stderr=self.output, env={**os.environ, **self.environment}, **kwargs)


class Signals:
    """The first Ctrl-C or SIGTERM interrupts the kernels, whose training writes a checkpoint; the second kills them."""

    def __init__(self):
        self.number = 0

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
        for kernel in [kernel for kernel in _Kernel.running if kernel.has_kernel]:
            with suppress(ProcessLookupError):  # it ended a moment ago
                os.killpg(kernel.provisioner.pid, signal.SIGKILL if again else signal.SIGINT)

    def check(self, **_):
        """Raise Stopped when a signal came: between cells an idle kernel does not listen to interrupts."""
        if self.number:
            raise Stopped(self.number)


class _Tee:
    """What papermill writes the kernel's output to: the log, and whoever tells the news."""

    def __init__(self, log, tell: Callable[[str], None]):
        self.log, self.tell = log, tell

    def write(self, text):
        """Append to the log and tell the last line."""
        self.log.write(text)
        if line := last_line(text):
            self.tell(line)

    def flush(self):
        """Flush the log."""
        self.log.flush()


def check_parameters(notebook: Path, parameters: dict) -> None:
    """Raise InputError unless the notebook declares every parameter, and each name is a plain identifier.

    papermill only warns of a name that is not declared, and writes any name into the notebook as code.
    """
    for name in parameters:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise InputError(f"{notebook.name}: {name!r} cannot be a parameter's name: it is not an identifier")
    logging.getLogger("papermill").setLevel(logging.ERROR)
    declared = papermill.inspect_notebook(_literal(notebook))
    unknown = [name for name in parameters if name not in declared]
    if unknown:
        raise InputError(
            f"{notebook.name} does not declare the parameter {unknown[0]!r}: its cell tagged 'parameters' "
            f"declares {', '.join(declared) or 'nothing'}"
        )


def _literal(path: Path) -> str:
    """A path for papermill, which takes braces for placeholders."""
    return str(path).replace("{", "{{").replace("}", "}}")


def write_page(copy: Path, folder: Path) -> None:
    """Write an executed notebook as HTML beside itself; pictures are embedded, those of ``folder`` too.

    Equations are set by MathJax from the network; without it they are shown as LaTeX.
    """
    config = Config({"HTMLExporter": {"embed_images": True}})
    resources = {"metadata": {"name": copy.stem, "path": str(folder)}}
    html, _ = HTMLExporter(config=config).from_filename(str(copy), resources=resources)
    copy.with_suffix(".html").write_text(html, encoding="utf-8")


def _failure(copy: Path, problem: Exception) -> NotebookFailed:
    """What is told about a notebook that did not finish."""
    own = {"papermill-error-cell-tag", "injected-parameters"}  # papermill's; the reader's notebook has no such cells
    cells = [c for c in nbformat.read(copy, as_version=4).cells if not own & set(c.metadata.get("tags", []))]
    begun = [n for n, cell in enumerate(cells, 1) if cell.metadata.get("papermill", {}).get("start_time")]
    first = cells[begun[-1] - 1].source.strip().split("\n")[0] if begun else ""
    where = f"cell {begun[-1]} ({first!r})" if begun else "its start"
    if isinstance(problem, PapermillExecutionError):
        what = f"{problem.ename}: {problem.evalue}".strip()[:2000]
    elif isinstance(problem, DeadKernelError):
        what = "its kernel died; the machine may have run out of memory"
    else:
        what = f"{type(problem).__name__}: {problem}"
    return NotebookFailed(f"notebook {copy.stem} failed in {where}: {what}\n  log: {copy.with_suffix('.log')}")


def execute(
    notebook: Path,
    copy: Path,
    parameters: dict,
    stop: Signals,
    *,
    tell: Callable[[str], None],
    environment: dict[str, str],
) -> None:
    """Run a notebook in its own kernel, in this process's working directory; several threads may do so.

    Writes the executed ``copy`` and, beside it, its HTML page and the log of all that it printed (also when it fails).
    ``tell`` gets what it prints, line by line; ``environment`` is added to the kernel's. Raises NotebookFailed, or
    Stopped after a signal.
    """
    # each thread gets an event loop of Jupyter's, which leaves it open
    with closing(ensure_event_loop()), copy.with_suffix(".log").open("w", encoding="utf-8", errors="replace") as log:
        tee = _Tee(log, tell)
        own = type("Kernel", (_Kernel,), {"output": log, "environment": environment})
        try:
            papermill.execute_notebook(
                _literal(notebook),
                _literal(copy),
                parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stdout_file=tee,
                stderr_file=tee,
                start_timeout=180,
                iopub_timeout=60,  # the default of 4 s is missed on a busy machine
                kernel_manager_class=own,
                on_cell_start=stop.check,
                coalesce_streams=True,  # a progress bar leaves its last state, not a line for each step
            )
            stop.check()
        except (PapermillExecutionError, CellTimeoutError, RuntimeError) as problem:  # a dead kernel is the last
            log.write("\n" + re.sub(r"\x1b\[[0-9;]*m", "", str(problem)))
            write_page(copy, notebook.parent)
            stop.check()
            raise _failure(copy, problem) from problem
        finally:
            _Kernel.running.difference_update([kernel for kernel in _Kernel.running if isinstance(kernel, own)])
    write_page(copy, notebook.parent)
