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
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import filelock

from embridge import cli, report, sweep
from embridge.errors import InputError, NotebookFailed, Stopped
from embridge.progress import Heartbeat, human

# What loads papermill or nbformat, which take seconds, is imported where it is: the processes that simulate and that
# cut windows load this module, too.

# Seconds for a notebook that has not run here yet, two cores; only the first run's time to go rests on them.
EXPECTED = {"smoke": 25.0, "quick": 45.0}
POLL_SECONDS = 0.5
KEPT = "what is trained is kept; the same command goes on from there"
# What lies below the package and cannot change what a notebook computes: an edit here runs nothing again.
HARNESS = (
    "bench",
    "check.py",
    "claims",
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
        import nbformat

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


def run(
    notebooks: list[Path],
    folder: Path,
    parameters: dict,
    places: list[dict[str, str]] | None = None,
    *,
    package: Path = cli.ROOT / "embridge",
) -> Path:
    """Run what is not current of ``notebooks`` and return the report's path.

    Parameters
    ----------
    notebooks : in the order in which they start
    folder : F, where results, copies and the report go; made, and locked for this run alone
    parameters : passed to every notebook; each must declare all of them
    places : the environment of each kernel that may run at the same time, for notebooks that need nothing of each
        other; by default one after the other

    Raises
    ------
    InputError
        before a kernel starts: the folder cannot be written to or another run holds it, a parameter is not declared
    NotebookFailed
        no other one is started; what is done stays
    Stopped
        after a signal; the same call goes on from there
    """
    from embridge.kernel import Signals, check_parameters

    cli.make_writable(folder / "notebooks")
    for notebook in notebooks:
        check_parameters(notebook, parameters)
    try:
        with filelock.FileLock(folder / "run.lock", timeout=0), Signals() as stop:
            return _run(notebooks, folder, parameters, package, stop, places or [{}])
    except filelock.Timeout as problem:
        raise InputError(f"another run uses {folder}: wait for it, or give another folder with --out") from problem


def outdated(notebooks: list[Path], folder: Path, parameters: dict, package: Path = cli.ROOT / "embridge") -> dict:
    """The notebooks, by stem, that :func:`run` would run, each with its key."""
    code, data = code_key(package), data_key(parameters.get("data", ""))
    jobs = [Job(notebook, folder) for notebook in notebooks]
    keys = {job.stem: job.key(parameters, code, data) for job in jobs}
    return {job.stem: keys[job.stem] for job in jobs if not job.is_current(keys[job.stem])}


def _run(notebooks, folder, parameters, package, stop, places) -> Path:
    jobs = [Job(notebook, folder) for notebook in notebooks]
    keys = outdated(notebooks, folder, parameters, package)
    waiting = [job for job in jobs if job.stem in keys]
    timings = folder / "notebooks" / "timings.json"
    seconds = json.loads(timings.read_text()) if timings.exists() else {}
    usual = EXPECTED.get(parameters.get("profile"))
    expected = {job.stem: seconds.get(job.stem, usual) for job in waiting}
    whole = None if None in expected.values() else sum(expected.values()) / min(len(places), len(expected) or 1)
    about = f", about {human(whole)}" if whole else ""
    print(f"{len(jobs)} notebooks, {len(waiting)} to run{about}; results in {folder}", flush=True)
    for job in jobs:
        if job not in waiting:
            print(f"{_title(jobs, job)}: up to date", flush=True)
    _execute(jobs, waiting, keys, parameters, stop, list(places), whole, seconds, timings)
    _claims(folder, parameters)
    return report.write(folder, parameters)


def _title(jobs: list[Job], job: Job) -> str:
    return f"[{jobs.index(job) + 1}/{len(jobs)}] {job.stem}"


def _execute(jobs, waiting, keys, parameters, stop, places, expected, seconds, timings) -> None:
    """Execute the waiting jobs, as many at a time as there are places, each noted when it is done."""
    from embridge.kernel import execute

    waiting, running, news, failed = list(waiting), {}, {}, None

    def work(job: Job, place: dict[str, str]) -> float:
        began = time.monotonic()
        execute(
            job.notebook, job.file(".ipynb"), parameters, stop, tell=partial(news.__setitem__, job.stem),
            environment=place,
        )  # fmt: skip
        return time.monotonic() - began

    # kernels start in the notebooks' folder; papermill's own change of directory is not made for threads
    with chdir(jobs[0].notebook.parent), Heartbeat(expected=expected) as heartbeat, ThreadPoolExecutor() as pool:
        while running or (waiting and not failed and not stop.number):
            while waiting and places and not failed and not stop.number:
                job, place = waiting.pop(0), places.pop(0)
                heartbeat.print(f"{_title(jobs, job)}: running")
                job.file(".key.json").unlink(missing_ok=True)
                running[pool.submit(work, job, place)] = job, place
            done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                job, place = running.pop(future)
                places.append(place)
                news.pop(job.stem, None)
                try:
                    seconds[job.stem] = round(future.result(), 1)
                except (NotebookFailed, Stopped, OSError) as problem:
                    failed = failed or problem
                    continue
                _write_json(timings, seconds)
                key = {"key": keys[job.stem], "seconds": seconds[job.stem], "finished": time.time()}
                _write_json(job.file(".key.json"), key)
                _collect(job.folder)
                heartbeat.print(f"{_title(jobs, job)}: done in {human(seconds[job.stem])}")
            heartbeat.news = "; ".join(f"{stem}: {line}" for stem, line in list(news.items()))
    stop.check()
    if isinstance(failed, NotebookFailed) and waiting:
        raise NotebookFailed(f"{failed}\n  not run: {', '.join(job.stem for job in waiting)}") from failed
    if failed:
        raise failed


def _collect(folder: Path) -> None:
    from embridge import results  # pandas and scipy take seconds to load: nothing that fails early waits for them

    results.collect(folder)


def _claims(folder: Path, parameters: dict) -> None:
    from embridge import claims, results

    claims.write(folder, results.collect(folder), parameters["dataset"], parameters["profile"])


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
        places = None
        # notebooks asked for one by one, and those of another folder, train what they need themselves: in turn
        if folder == cli.NOTEBOOKS and not options.only and outdated(options.notebooks, results, parameters):
            failed = [problem for problem in sweep.train(options, local=True).values() if problem]
            if failed:
                raise NotebookFailed(f"{len(failed)} experiments did not train; the first {failed[0]}")
            places = sweep.places(options.device, None)
        page = run(options.notebooks, results, parameters, places)
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
