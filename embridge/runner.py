"""Trains the experiments, runs the numbered notebooks in order and writes the report: what ``run_all.sh`` does.

The experiments come first, side by side (:mod:`embridge.sweep`), so that notebooks only read them; the first
notebooks, which need little of them, run where a core would wait. A notebook runs again when its code, the package, its
parameters or its data changed, or when something that it wrote is gone. Exit codes: 0; 1 a notebook or an experiment
failed; 2 bad input; 130 or 143 stopped by a signal.
"""

import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import chdir
from functools import partial
from pathlib import Path

import filelock

from embridge import cli, report, sweep
from embridge.errors import InputError, NotebookFailed, Stopped
from embridge.notebook import Job, outdated, parameters_of
from embridge.planning import Task
from embridge.progress import Heartbeat, human

# What loads papermill or nbformat, which take seconds, is imported where it is: the processes that simulate and that
# cut windows load this module, too.

# Seconds for a notebook that has not run here yet, two cores; only the first run's time to go rests on them.
EXPECTED = {"smoke": 25.0, "quick": 45.0}
POLL_SECONDS = 0.5
# What these need besides the data: nothing, or the masked autoencoders. They run while a core waits for a training.
EARLY = {"01_data": False, "02_mae_pretraining": True, "03_soft_targets": True}
KEPT = "what is trained is kept; the same command goes on from there"


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


def _run(notebooks, folder, parameters, package, stop, places) -> Path:
    jobs = [Job(notebook, folder) for notebook in notebooks]
    keys = outdated(notebooks, folder, parameters, package)
    waiting = [job for job in jobs if job.stem in keys]
    usual = EXPECTED.get(parameters.get("profile"))
    expected = {job.stem: job.record().get("seconds", usual) for job in waiting}
    whole = None if None in expected.values() else sum(expected.values()) / min(len(places), len(expected) or 1)
    about = f", about {human(whole)}" if whole else ""
    print(f"{len(jobs)} notebooks, {len(waiting)} to run{about}; results in {folder}", flush=True)
    for job in jobs:
        if job not in waiting:
            print(f"{_title(jobs, job)}: up to date", flush=True)
    _execute(jobs, waiting, keys, parameters, stop, list(places), whole)
    _claims(folder, parameters)
    return report.write(folder, parameters)


def _title(jobs: list[Job], job: Job) -> str:
    return f"[{jobs.index(job) + 1}/{len(jobs)}] {job.stem}"


def _execute(jobs, waiting, keys, parameters, stop, places, expected) -> None:
    """Execute the waiting jobs, as many at a time as there are places, each noted when it is done."""
    waiting, running, news, failed = list(waiting), {}, {}, None
    # kernels start in the notebooks' folder; papermill's own change of directory is not made for threads
    with chdir(jobs[0].notebook.parent), Heartbeat(expected=expected) as heartbeat, ThreadPoolExecutor() as pool:
        while running or (waiting and not failed and not stop.number):
            while waiting and places and not failed and not stop.number:
                job, place = waiting.pop(0), places.pop(0)
                heartbeat.print(f"{_title(jobs, job)}: running")
                tell = partial(news.__setitem__, job.stem)
                running[pool.submit(job.run, keys[job.stem], parameters, stop, tell, place)] = job, place
            done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                job, place = running.pop(future)
                places.append(place)
                news.pop(job.stem, None)
                try:
                    seconds = future.result()
                except (NotebookFailed, Stopped, OSError) as problem:
                    failed = failed or problem
                    continue
                _collect(job.folder)
                heartbeat.print(f"{_title(jobs, job)}: done in {human(seconds)}")
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
    results.write_provenance(folder, parameters)


def _early(argv: list[str], trainings: list[Task]) -> list[Task]:
    """Notebooks for cores that would wait in a sweep; the run after it leaves out those that ended well."""
    first = tuple(task.name for task in trainings if not task.needs)
    command = (sys.executable, "-P", "-m", "embridge.notebook")
    return [Task(stem, (*command, stem, *argv), first if needs else ()) for stem, needs in EARLY.items() if trainings]


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
        parameters = parameters_of(options)
        print(f"EMBridge: dataset {options.dataset}, profile {options.profile}, seeds {options.seeds}", flush=True)
        results = cli.results_folder(options)
        places = None
        # notebooks asked for one by one, and those of another folder, train what they need themselves: in turn
        if folder == cli.NOTEBOOKS and not options.only and outdated(options.notebooks, results, parameters):
            ended = sweep.train(options, local=True, more=partial(_early, argv))
            failed = [problem for name, problem in ended.items() if problem and name not in EARLY]
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
