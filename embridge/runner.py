"""Trains the experiments, runs the numbered notebooks in order and writes the report: what ``run_all.sh`` does.

The experiments come first, side by side (:mod:`embridge.sweep`), so that notebooks only read them. A notebook runs
again when its code, the package, its parameters or its data changed, or when something that it wrote is gone. Exit
codes: 0; 1 a notebook or an experiment failed; 2 bad input; 130 or 143 stopped by a signal.
"""

import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import filelock
import nbformat

from embridge import cli, report, sweep
from embridge.errors import InputError
from embridge.kernel import NotebookFailed, Signals, Stopped, check_parameters, execute
from embridge.progress import Heartbeat, human

# Seconds for a notebook that has not run here yet, two cores; only the first run's time to go rests on them.
EXPECTED = {"smoke": 25.0, "quick": 45.0}
KEPT = "what is trained is kept; the same command goes on from there"
# What lies below the package and cannot change what a notebook computes: an edit here runs nothing again.
HARNESS = (
    "bench",
    "cli.py",
    "environment.py",
    "forecast",
    "kernel.py",
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

    def key(self, parameters: dict, code: str, data: str) -> str:
        """Hash of everything that decides what the notebook writes."""
        cells = [[cell.cell_type, cell.source] for cell in nbformat.read(self.notebook, as_version=4).cells]
        return _digest(cells, parameters, code, data)

    def is_current(self, key: str) -> bool:
        """Whether it ran with this key and all that it wrote is still there."""
        record = self.file(".key.json")
        page = self.folder / self.stem / "results.json"
        if not (record.exists() and page.exists() and self.file(".html").exists() and self.file(".ipynb").exists()):
            return False
        return json.loads(record.read_text())["key"] == key and not report.missing_files(page)


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


def run(notebooks: list[Path], folder: Path, parameters: dict, *, package: Path = cli.ROOT / "embridge") -> Path:
    """Run what is not current of ``notebooks`` and return the report's path.

    Parameters
    ----------
    notebooks : in the order in which they run
    folder : F, where results, copies and the report go; made, and locked for this run alone
    parameters : passed to every notebook; each must declare all of them

    Raises
    ------
    InputError
        before a kernel starts: the folder cannot be written to or another run holds it, a parameter is not declared
    NotebookFailed
        those behind it do not run; what is done stays
    Stopped
        after a signal; the same call goes on from there
    """
    cli.make_writable(folder / "notebooks")
    for notebook in notebooks:
        check_parameters(notebook, parameters)
    try:
        with filelock.FileLock(folder / "run.lock", timeout=0), Signals() as stop:
            return _run(notebooks, folder, parameters, package, stop)
    except filelock.Timeout as problem:
        raise InputError(f"another run uses {folder}: wait for it, or give another folder with --out") from problem


def outdated(notebooks: list[Path], folder: Path, parameters: dict, package: Path = cli.ROOT / "embridge") -> dict:
    """The notebooks, by stem, that :func:`run` would run, each with its key."""
    code, data = code_key(package), data_key(parameters.get("data", ""))
    jobs = [Job(notebook, folder) for notebook in notebooks]
    keys = {job.stem: job.key(parameters, code, data) for job in jobs}
    return {job.stem: keys[job.stem] for job in jobs if not job.is_current(keys[job.stem])}


def _run(notebooks, folder, parameters, package, stop) -> Path:
    jobs = [Job(notebook, folder) for notebook in notebooks]
    keys = outdated(notebooks, folder, parameters, package)
    waiting = [job for job in jobs if job.stem in keys]
    timings = folder / "notebooks" / "timings.json"
    seconds = json.loads(timings.read_text()) if timings.exists() else {}
    usual = EXPECTED.get(parameters.get("profile"))
    expected = {job.stem: seconds.get(job.stem, usual) for job in waiting}
    known = None not in expected.values()
    whole = f", about {human(sum(expected.values()))}" if waiting and known else ""
    print(f"{len(jobs)} notebooks, {len(waiting)} to run{whole}; results in {folder}", flush=True)
    for number, job in enumerate(jobs, 1):
        stop.check()
        title = f"[{number}/{len(jobs)}] {job.stem}"
        if job not in waiting:
            print(f"{title}: up to date", flush=True)
            continue
        own = expected.pop(job.stem)
        print(f"{title}: running" + (f", about {human(own)}" if own else ""), flush=True)
        job.file(".key.json").unlink(missing_ok=True)
        began = time.monotonic()
        with Heartbeat(expected=own, after=sum(expected.values()) if known else 0.0) as heartbeat:
            try:
                execute(job.notebook, job.file(".ipynb"), parameters, heartbeat, stop)
            except NotebookFailed as problem:
                later = ", ".join(expected)
                raise NotebookFailed(f"{problem}" + (f"\n  not run: {later}" if later else "")) from problem
        seconds[job.stem] = round(time.monotonic() - began, 1)
        _write_json(timings, seconds)
        _write_json(
            job.file(".key.json"), {"key": keys[job.stem], "seconds": seconds[job.stem], "finished": time.time()}
        )
        _collect(folder)
        print(f"{title}: done in {human(seconds[job.stem])}", flush=True)
    _collect(folder)
    return report.write(folder, parameters)


def _collect(folder: Path) -> None:
    from embridge import results  # pandas and scipy take seconds to load: nothing that fails early waits for them

    results.collect(folder)


def _write_json(file: Path, value) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    os.replace(temporary, file)


def check_device(device: str) -> None:
    """Raise InputError for "cuda" on a machine without one."""
    if device == "cuda":
        import torch  # slow to load, and nobody else here needs it

        if not torch.cuda.is_available():
            raise InputError("--device cuda: PyTorch sees no CUDA device here; use --device cpu or auto")


def main(argv: list[str], folder: Path = cli.NOTEBOOKS) -> int:
    """The command line behind ``run_all.sh`` for the notebooks of ``folder``; returns the exit code."""
    try:
        options = cli.parse(argv, folder)
        check_device(options.device)
        parameters = {
            "dataset": options.dataset,
            "profile": options.profile,
            "seeds": options.seeds,
            "device": options.device,
            "data": str(options.data or ""),
            "out": str(options.out),
        }
        print(f"EMBridge: dataset {options.dataset}, profile {options.profile}, seeds {options.seeds}", flush=True)
        results = cli.results_folder(options)
        # notebooks asked for one by one, and those of another folder, train what they need themselves
        if folder == cli.NOTEBOOKS and not options.only and outdated(options.notebooks, results, parameters):
            failed = [problem for problem in sweep.train(options, local=True).values() if problem]
            if failed:
                raise NotebookFailed(f"{len(failed)} experiments did not train; the first {failed[0]}")
        page = run(options.notebooks, results, parameters)
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except (NotebookFailed, OSError) as problem:  # OSError: a full disk, a folder gone
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped: {KEPT}", file=sys.stderr)
        return 130
    except Stopped as problem:
        print(f"stopped: {KEPT}", file=sys.stderr)
        return 128 + problem.args[0]
    report.show(page.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
