"""One numbered notebook of a run: what decides its results, whether they are current, and running it.

As a command (``python -m embridge.notebook STEM`` and the options of ``run_all.sh``) it runs that one, for a sweep
whose core is idle; what goes wrong is told by the run that follows.
"""

import hashlib
import json
import os
import sys
import time
from argparse import Namespace
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from embridge import cli, report
from embridge.errors import InputError, NotebookFailed, Stopped

# What loads papermill or nbformat, which take seconds, is imported where it is: the processes that simulate and that
# cut windows load the runner, and this with it.

# What lies below the package and cannot change what a notebook computes: an edit here runs nothing again.
HARNESS = (
    "bench",
    "check.py",
    "claims.py",
    "claims_list.py",
    "cli.py",
    "environment.py",
    "forecast",
    "job.py",
    "kernel.py",
    "notebook.py",
    "planning.py",
    "progress.py",
    "report.py",
    "runner.py",
    "sweep.py",
    "train.py",
)


@dataclass(frozen=True)
class Job:
    """One notebook of a run: where it is, and where its copy, page, log and key go (all in ``notebooks/`` of F)."""

    notebook: Path
    folder: Path

    @property
    def stem(self) -> str:
        """Its name without extension, which is also that of its results' folder."""
        return self.notebook.stem

    def file(self, suffix: str) -> Path:
        """Its file with this suffix: ".ipynb", ".html", ".log" or ".key.json"."""
        return self.folder / "notebooks" / f"{self.stem}{suffix}"

    def key(self, parameters: dict, code: str, data: str, rows: str = "") -> str:
        """Hash of everything that decides what the notebook writes; ``rows`` counts where it reads records of rows."""
        import nbformat

        cells = [[cell.cell_type, cell.source] for cell in nbformat.read(self.notebook, as_version=4).cells]
        reads = any(kind == "code" and "records." in source for kind, source in cells)
        return _digest(cells, parameters, code, data, *([rows] if reads else []))

    def record(self) -> dict:
        """What is noted of its last run that ended well: its "key", the "seconds" it took; {} without one."""
        file = self.file(".key.json")
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def is_current(self, key: str) -> bool:
        """Whether it ran with this key and all that it wrote is still there."""
        page = self.folder / self.stem / "results.json"
        if not (page.exists() and self.file(".html").exists() and self.file(".ipynb").exists()):
            return False
        return self.record().get("key") == key and not report.missing_files(page)

    def run(self, key: str, parameters: dict, stop, tell, environment: dict[str, str]) -> float:
        """Execute it, note that it ran with ``key``, and return the seconds; the rest as :func:`kernel.execute`.

        This process's working directory is the notebook's folder.
        """
        from embridge.kernel import execute

        began = time.monotonic()
        self.file(".key.json").unlink(missing_ok=True)
        execute(self.notebook, self.file(".ipynb"), parameters, stop, tell=tell, environment=environment)
        seconds = round(time.monotonic() - began, 1)
        text = json.dumps({"key": key, "seconds": seconds, "finished": time.time()}, indent=1)
        temporary = self.file(".key.tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, self.file(".key.json"))
        return seconds


def _digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_key(package: Path = cli.ROOT / "embridge") -> str:
    """Hash of the package's source, without the modules that only run notebooks or other commands."""
    files = [path.relative_to(package) for path in sorted(package.rglob("*.py"))]
    files = [file for file in files if file.parts[0] not in HARNESS]
    return _digest([[file.as_posix(), (package / file).read_text(encoding="utf-8")] for file in files])


def data_key(data: str) -> str:
    """Hash of the names, sizes and times of a data folder's files; "" without one."""
    if not data:
        return ""
    files = [(path, path.stat()) for path in sorted(Path(data).rglob("*")) if path.is_file()]
    return _digest([[path.relative_to(data).as_posix(), stat.st_size, stat.st_mtime_ns] for path, stat in files])


def rows_key(parameters: dict) -> str:
    """Hash of the rows that trainings of the long profile have left, which it and ``quick`` show; "" for others."""
    if parameters.get("profile") not in ("quick", "long"):
        return ""
    places = dict.fromkeys((cli.ROOT, Path(parameters["out"])))
    files = [file for place in places for file in sorted((place / "figures").glob("*-long*/rows/*.json"))]
    return _digest([[file.name, file.read_text(encoding="utf-8")] for file in files])


def outdated(notebooks: list[Path], folder: Path, parameters: dict, package: Path = cli.ROOT / "embridge") -> dict:
    """The notebooks, by stem, whose results in ``folder`` are not current, each with the key of a new run."""
    code, data = code_key(package), data_key(parameters.get("data", ""))
    jobs = [Job(notebook, folder) for notebook in notebooks]
    rows = rows_key(parameters)
    keys = {job.stem: job.key(parameters, code, data, rows) for job in jobs}
    return {job.stem: keys[job.stem] for job in jobs if not job.is_current(keys[job.stem])}


def parameters_of(options: Namespace) -> dict:
    """What the command line hands to every notebook."""
    return {
        "dataset": options.dataset,
        "profile": options.profile,
        "seeds": options.seeds,
        "device": options.device,
        "tokens": options.tokens,
        "data": str(options.data or ""),
        "out": str(options.out),
        "skip_broken": options.skip_broken,
    }


def main(argv: list[str]) -> int:
    """Run the notebook whose stem comes first, unless it is current; returns the exit code."""
    from embridge.kernel import Signals

    stem, *rest = argv
    try:
        options = cli.parse(rest)
        folder, parameters = cli.results_folder(options), parameters_of(options)
        job = Job(cli.NOTEBOOKS / f"{stem}.ipynb", folder)
        cli.make_writable(folder / "notebooks")
        for key in outdated([job.notebook], folder, parameters).values():
            with Signals() as stop, chdir(job.notebook.parent):
                job.run(key, parameters, stop, lambda line: print(line, flush=True), {})
    except (InputError, NotebookFailed, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except Stopped as problem:
        return 128 + problem.args[0]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
