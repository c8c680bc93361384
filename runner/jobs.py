"""Many experiments, each one command (:mod:`embridge.train`), spread over Slurm or local processes.

What is there already is left out: finished runs, and in the ``long`` profile, whose product they are, committed
records. What an experiment needs, the two masked autoencoders, is trained before it. On Slurm all jobs are submitted at
once and wait for each other there (``--dependency=afterok``), so this process may be stopped; a local job starts when
its needs have ended, and ends with this process. ``run_all.sh`` trains what its notebooks read in this way, too. Jobs
on Slurm go through submitit, which exchanges pickles with them in a folder that only the user can write to.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, cost, find, headline_alone, trained_by
from embridge.files import locked
from embridge.run import cli
from runner.progress import Heartbeat, end_of, human, last_line, stopped_in

# torch takes seconds to load, and the processes that simulate and that cut windows load this module with the runner:
# what needs torch is imported where it is used.

SLURM_MINUTES = 24 * 60  # a job's time limit; submitit's own is 5
POLL_SECONDS = 0.5
LOCAL_JOBS = 4  # at once on a machine without a GPU
EPOCH_SECONDS = 6.0  # of EMG-MAE on one of two cores, at quick's size: the unit of :func:`~embridge.experiments.cost`
QUICK_WINDOWS = 7760  # that such an epoch has (METHOD 10)
BUNDLE_SECONDS = 20.0  # a process takes about 5 s to load what it needs: short trainings share one
BUNDLE_SIZE = 12  # experiments in one process: smoke's take 1 to 2 s each whatever they train, and should end together
SEEDS = 3  # of the long profile (METHOD 10), of these parts
SEVERAL_SEEDS = ("headline", "Table 2", "Table 3", "C ablation", "growth")
KEPT = "what is trained is kept, the rest goes on from its checkpoint with the same command"
KEPT += " (jobs on Slurm go on: squeue --me)"


@dataclass(frozen=True)
class Task:
    """One job: its name, its command and the names of the tasks that must have ended well before it starts."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    seconds: float = 0.0  # that it may take, for a sweep that has to end in time


def n_seeds(name: str, options: argparse.Namespace) -> int:
    """Seeds that an experiment is trained with: those asked for; in long SEEDS or more of SEVERAL_SEEDS, but for the
    longest, the regressors and more users than the profile's."""
    e = EXPERIMENTS[name]
    several = options.profile == "long" and e.part in SEVERAL_SEEDS and e.kind != "regressor" and e.users <= 1
    return max(options.seeds, SEEDS if several else 1)


def retrained(dataset: str, options: argparse.Namespace) -> set[str]:
    """Names of the experiments that are to be trained again on a dataset, for their records."""
    return set(options.retrain) & {*trained_by("long", dataset, options.tokens)}


def finished(study) -> set[str]:
    """Names of the experiments that are trained, with the study's seed."""
    runs = {path.parent.name.rpartition("-")[2] for path in (study.out / "runs").glob("*/done.json")}
    return {e.name for e in EXPERIMENTS.values() if study.key(e) in runs}


def to_train(study, asked: Iterable[str], options: argparse.Namespace, done: set[str]) -> list[str]:
    """Those of ``asked`` that are to be trained with the study's seed, and what they need of the rest, needs first.

    ``done``: those that are :func:`finished`. Recorded results need no weights, but notebooks look into the headline's.
    """
    from embridge.paper.records import recorded

    again, long = retrained(study.dataset, options), options.profile == "long"

    def scored(name: str) -> bool:
        """Whether it has a record with all rows that are asked for."""
        found = recorded(study, name)
        return found is not None and (options.tune or not found.about.get("scored_on"))

    def is_missing(name: str) -> bool:
        if study.seed >= n_seeds(name, options):
            return False
        if name in again or (long and not scored(name)):
            return True
        return name not in done and (not long or (EXPERIMENTS[name].part == "headline" and study.seed == 0))

    missing = dict.fromkeys(name for name in asked if is_missing(name))
    with_needs = dict.fromkeys(n for name in missing for n in (*EXPERIMENTS[name].needs, name))
    return [n for n in with_needs if n in missing or n not in done]


def plan(options: argparse.Namespace, *, device: str) -> list[Task]:
    """The experiments asked for and what they need, needs and long ones first, without those that are finished.

    Builds the data where they are missing, with ``device`` for what is computed here. That happens in this process
    and not in a job because a run's key, by which a finished one is known, is a hash over the data; and because jobs
    that start together would all want to build them. Raises InputError for an unknown name and for bad data.
    """
    from embridge.train import prepare, study_of

    for name in (*(options.sweep or ()), *options.retrain):
        find(name)
    datasets, tasks = [options.dataset], []
    # Table 2 has columns for NinaPro: whoever trains everything on the simulator trains them, too
    if options.dataset == "simulated" and not headline_alone(options.profile, options.tokens) and not options.sweep:
        datasets.append("simulated-ninapro")
    for dataset in datasets:
        study = study_of(options, dataset=dataset, device=device)
        prepare(study)
        if not options.sweep:  # everything, so its evaluation, too: said before hours of training
            study.splits.check_evaluable()
        everything = trained_by(options.profile, dataset, options.tokens)
        asked = dict.fromkeys([*(options.sweep or everything), *options.retrain])
        for seed in range(max(n_seeds(name, options) for name in asked)):  # training's: never changes the data
            tasks += _of_seed(study.changed(seed=seed), asked, options)
    return tasks


def _of_seed(study, asked: Iterable[str], options: argparse.Namespace) -> Iterator[Task]:
    """The tasks of the study's seed, short ones of one kind bundled."""
    missing, again = to_train(study, asked, options, finished(study)), retrained(study.dataset, options)
    # the longest first, so that none is left to end alone; in pieces (long), the registry's order: tables first
    if options.profile != "long":
        missing.sort(key=lambda name: (bool(EXPERIMENTS[name].needs), -cost(EXPERIMENTS[name], study.profile)))
    epoch = EPOCH_SECONDS * len(study.splits.pretrain) / QUICK_WINDOWS
    seconds = {name: cost(EXPERIMENTS[name], study.profile) * epoch for name in missing}
    bundles: list[list[str]] = []
    for name in missing:
        last = bundles[-1] if bundles else [name] * BUNDLE_SIZE
        alike = bool(EXPERIMENTS[last[0]].needs) == bool(EXPERIMENTS[name].needs) and not again & {name, *last}
        if alike and len(last) < BUNDLE_SIZE and sum(seconds[n] for n in (*last, name)) < BUNDLE_SECONDS:
            last.append(name)
        else:
            bundles.append([name])
    where = f"seed {study.seed}" + (", NinaPro" if study.dataset != options.dataset else "")
    title = {}
    for bundle in bundles:
        more = f", and {len(bundle) - 1} more" if len(bundle) > 1 else ""
        title |= dict.fromkeys(bundle, f"{bundle[0]}, {where}{more}")
    for bundle in bundles:
        # quick has long's size: what is trained again for its record is long's
        profile = "long" if again & set(bundle) and options.profile == "quick" else options.profile
        command = [sys.executable, "-P", "-m", "embridge.train", *bundle, "--seed", str(study.seed)]
        command += cli.arguments(options, dataset=study.dataset, profile=profile)
        needs = dict.fromkeys(title[n] for name in bundle for n in EXPERIMENTS[name].needs if n in title)
        yield Task(title[bundle[0]], tuple(command), tuple(needs), sum(seconds[n] for n in bundle))


def places(device: str, jobs: int | None) -> list[dict[str, str]]:
    """The share of this machine that each of the local jobs that run at once gets, as environment variables.

    Some of the threads and, where there are GPUs, one of them. ``jobs`` at once; None: one a GPU, or one a core up
    to LOCAL_JOBS. The steps of small models are many short operations, which more threads hardly shorten: two processes
    with a thread each train 1.2 to 1.3 times as much as one with two (quick's models, two cores).
    """
    import torch

    from embridge.training import set_threads

    gpus = [""]
    if device != "cpu" and torch.cuda.is_available():
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
    cores = set_threads()
    jobs = jobs or (len(gpus) if gpus[0] else min(cores, LOCAL_JOBS))
    threads = str(max(1, cores // jobs))
    return [{"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpus[n % len(gpus)]} for n in range(jobs)]


def execute(command: Sequence[str], sweep: int | None = None) -> None:
    """Run a job's command to its end, in a process of the job's own. Raises RuntimeError where it fails.

    An interrupted job interrupts the command, which writes its checkpoint, and waits for it. So does one whose parent
    is not ``sweep`` any more: a killed sweep leaves nothing behind that holds its folders.
    """
    stopped = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.append(True))
    # in a session of its own: Ctrl-C reaches it once, from here, and not from the terminal as well
    process = subprocess.Popen(command, start_new_session=True)
    try:
        while process.poll() is None and not stopped and sweep in (None, os.getppid()):
            time.sleep(0.1)
    finally:  # also where submitit raises before Slurm's time limit
        process.send_signal(signal.SIGINT)  # none is sent to one that has ended
        process.wait()
    if process.returncode:
        raise RuntimeError(f"the command ended with {process.returncode}; what it printed stands above")


class LocalJob(subprocess.Popen):
    """A command that runs here; answers as submitit's jobs do."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: Path):
        """Start it, its output in ``log``, with these variables besides this process's."""
        command = (sys.executable, "-P", "-m", "runner.jobs", "--job", str(os.getpid()), *command)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            # in a session of its own: at Ctrl-C this process tells it to stop, and the terminal does not
            super().__init__(command, env=os.environ | environment, stdout=file, stderr=file, start_new_session=True)

    def done(self) -> bool:
        """True when it has ended."""
        return self.poll() is not None

    def exception(self) -> int | None:
        """Its exit code: not 0 where it failed."""
        return self.returncode


def slurm_executor(folder: Path):
    """submitit's executor for Slurm, with job files and logs in ``folder``, which it makes for this user alone.

    Raises InputError where submitit is not installed, FileExistsError where the folder is there already.
    """
    try:
        import submitit
    except ModuleNotFoundError as problem:
        raise InputError(
            f"Slurm needs submitit, which {sys.executable} does not have: run pip install '.[cluster]' in {cli.ROOT}, "
            "or give --jobs for local processes"
        ) from problem
    folder.mkdir(mode=0o700, parents=True)
    # -P: the folder that this is started from may hold a random.py
    executor = submitit.SlurmExecutor(folder, python=f"{shlex.quote(sys.executable)} -P")
    executor.update_parameters(time=SLURM_MINUTES, stderr_to_stdout=True)
    return executor


def _submit(executor, task: Task, slurm: dict[str, str], jobs: dict):
    """Hand one task to Slurm, with the ids of the jobs that it needs."""
    if task.needs:  # a job whose need failed would wait for ever otherwise
        needs = ":".join(jobs[need].job_id for need in task.needs)
        slurm = slurm | {"dependency": f"afterok:{needs}", "kill-on-invalid-dep": "yes"}
    executor.update_parameters(job_name=_plain(task.name), additional_parameters=slurm)
    from submitit.helpers import clean_env

    try:
        with clean_env():  # inside an allocation: its size and its rank are not the job's
            return executor.submit(execute, task.command)
    except RuntimeError as problem:  # what sbatch says, such as "invalid partition"
        raise InputError(f"{task.name} could not be submitted: {problem}; see --slurm") from problem


def _plain(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _progress(log: Path) -> str:
    """The last state of the progress bar in a job's log, as "(34 %, 06:12 to go)"; "" before there is one."""
    found = re.search(r"(\d+)%\|.*<([\d:]+)", last_line(end_of(log)))
    return f"({found[1]} %, {found[2]} to go)" if found else ""


def run(
    tasks: list[Task],
    folder: Path,
    at_once: list[dict[str, str]],
    executor=None,
    slurm: dict[str, str] | None = None,
    hours: float | None = None,
) -> dict:
    """Run the tasks, needs before those who need them; how each ended, by name: "" if well, else why not and its log.

    ``folder`` is of the local jobs' logs, ``at_once`` the environment of each that may run at the same time. With an
    ``executor`` from :func:`slurm_executor` Slurm decides for itself; ``slurm``: options of sbatch for every job, by
    their long names. ``hours``: no local job starts that would, by its estimate, end later, but for those that no such
    session is enough for: when no other is left to start, they do, and are told to stop when the hours are over, for
    trainings go on from their checkpoints. Neither is among the ended ones then.

    Raises InputError where Slurm refuses a job; KeyboardInterrupt when local jobs have been stopped (those on Slurm go
    on).
    """
    waiting, running, free, jobs, logs, ended, left = list(tasks), {}, list(at_once), {}, {}, {}, []
    until, told = time.monotonic() + (hours or float("inf")) * 3600, set()
    endless = {t.name for t in tasks if hours and executor is None and t.seconds > hours * 3600}
    late = set(endless)  # and what waits for these
    for task in tasks:
        late |= {task.name} if late & set(task.needs) else set()

    def end(name: str, problem: str) -> None:
        ended[name] = problem
        heartbeat.print(f"[{len(ended)}/{len(tasks)}] {name}: {problem or 'done'}")

    def lost(task: Task) -> str:
        return next((f"not run, for {need} failed" for need in task.needs if ended.get(need)), "")

    try:
        with Heartbeat() as heartbeat:
            while waiting or running:
                # all that ended first: a place that gets free goes to the first task that waits, not to the next one
                for task in list(running):
                    name, job = task.name, jobs[task.name]
                    if name in endless - told and time.monotonic() > until:
                        job.terminate()  # as below
                        told.add(name)
                    if not (lost(task) or job.done()):  # Slurm drops a job that waits for a failed one by itself
                        continue
                    free.append(running.pop(task))
                    if name in told and job.exception() and (reached := stopped_in(logs[name], job.exception())):
                        left.append(name)
                        heartbeat.print(f"{name}: goes on from {reached} with the same command")
                    else:
                        end(name, lost(task) or (f"failed, log: {logs[name]}" if job.exception() else ""))
                for task in list(waiting):
                    name = task.name
                    needed = 0 if name in endless else task.seconds
                    if time.monotonic() + needed > until or set(task.needs) & set(left):
                        left.append(name)
                    elif name in late and any(other.name not in late for other in waiting):
                        continue
                    elif lost(task):
                        end(name, lost(task))
                    elif executor is not None:
                        running[task], jobs[name] = {}, _submit(executor, task, dict(slurm or {}), jobs)
                        logs[name] = jobs[name].paths.stdout
                    elif free and all(need in ended for need in task.needs):
                        running[task], logs[name] = free.pop(0), folder / f"{len(jobs) + 1:03}-{_plain(name)}.log"
                        jobs[name] = LocalJob(task.command, running[task], logs[name])
                    else:
                        continue
                    waiting.remove(task)
                shown = [f"{t.name} {_progress(logs[t.name])}".strip() for t in running if logs[t.name].exists()]
                heartbeat.news = f"{len(ended)} of {len(tasks)} ended; " + (", ".join(shown) or "waiting")
                time.sleep(POLL_SECONDS)
    except BaseException:
        mine = [job for job in jobs.values() if isinstance(job, LocalJob)]
        for job in mine:
            job.terminate()  # it interrupts its command and waits for that
        for job in mine:
            job.wait()
        raise
    if left:
        print(f"left for another run, for {hours:g} h are over: {len(left)}, such as {left[0]}", flush=True)
    return ended


def only_run(folder: Path) -> AbstractContextManager:
    """Hold a results folder; raises InputError where another run does."""
    return locked(folder / "run.lock", f"another run uses {folder}: wait for it, or give another folder with --out")


def train(
    options: argparse.Namespace, *, local: bool, more: Callable[[list[Task]], list[Task]] = lambda tasks: []
) -> dict[str, str]:
    """Train what is missing of the experiments asked for and return how each ended, as :func:`run` does.

    ``options`` are the command line's; ``local``: on this machine, also where Slurm is; ``more`` is told what will be
    trained and gives what else to run, where and when no training can start. Raises InputError for what is wrong with
    the options, and where another run holds the folder of results; KeyboardInterrupt as :func:`run`.
    """
    page = cli.results_folder(options)
    cli.make_writable(page)
    logs = options.out / "runs" / "sweep" / f"{page.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    on_slurm = not local and shutil.which("srun") is not None
    if options.slurm and not on_slurm:
        raise InputError("--slurm: there is no Slurm here (srun is not on the PATH); leave it out for local jobs")
    # SIGTERM is as Ctrl-C: local jobs write their checkpoints and do not outlive the sweep
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with only_run(page):
            executor = slurm_executor(logs) if on_slurm else None
            tasks = plan(options, device="cpu" if on_slurm else options.device)
            at_once = [] if on_slurm else places(options.device, options.jobs)
            where = "on Slurm" if on_slurm else f"here, at most {len(at_once)} at once"
            print(f"experiments to train: {len(tasks)}" + (f", {where}; logs in {logs}" if tasks else ""), flush=True)
            return run(tasks + more(tasks), logs, at_once, executor, dict(options.slurm), options.hours)
    finally:
        signal.signal(signal.SIGTERM, before)


@cli.command(KEPT)
def main(argv: list[str]) -> int:
    """The command line (see ``run_all.sh --help``); returns the exit code, 1 where an experiment failed."""
    began = time.monotonic()
    options = cli.parse(argv, action="sweep")
    ended = train(options, local=options.jobs is not None)
    failed = [name for name, problem in ended.items() if problem]
    print(f"{len(ended) - len(failed)} trained, {len(failed)} failed or not run, in {human(time.monotonic() - began)}")
    return 1 if failed else 0


if __name__ == "__main__":
    from runner import jobs  # under its own name, by which submitit's pickles find what a job runs

    if sys.argv[1:2] != ["--job"]:
        sys.exit(jobs.main(sys.argv[1:]))
    try:  # a local job: the sweep's process id and the command
        execute(sys.argv[3:], int(sys.argv[2]))
    except RuntimeError as problem:
        sys.exit(f"error: {problem}")
