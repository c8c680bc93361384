"""Many experiments, each one command (:mod:`embridge.train`), spread over Slurm or local processes.

What an experiment needs, the two masked autoencoders, is trained before it. On Slurm all jobs are submitted at once and
wait for each other there (``--dependency=afterok``), so this process may be stopped; a local job starts when its needs
have ended, and ends with this process. ``run_all.sh`` trains what its notebooks read in this way, too. Jobs on Slurm go
through submitit, which exchanges pickles with them in a folder that only the user can write to.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from embridge import cli
from embridge.errors import InputError
from embridge.job import execute
from embridge.planning import Task, plan
from embridge.progress import Heartbeat, human, last_line

# torch takes seconds to load, and the processes that simulate and that cut windows load this module with the runner:
# what needs torch is imported where it is.

SLURM_MINUTES = 24 * 60  # a job's time limit; submitit's own is 5
POLL_SECONDS = 0.5
LOCAL_JOBS = 4  # at once on a machine without a GPU


def places(device: str, jobs: int | None) -> list[dict[str, str]]:
    """What each of the local jobs that run at once gets of this machine, as environment variables.

    A share of the threads and, where there are GPUs, one of them. ``jobs`` at once; None: one a GPU, or one a core up
    to LOCAL_JOBS. The steps of small models are many short operations, which more threads hardly shorten: two processes
    with a thread each train 1.2 to 1.3 times as much as one with two (quick's models, two cores).
    """
    import torch

    from embridge.training import set_threads

    gpus = []
    if device != "cpu" and torch.cuda.is_available():
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
    cores = set_threads()
    jobs = jobs or len(gpus) or min(cores, LOCAL_JOBS)
    threads = str(max(1, cores // jobs))
    return [
        {"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)] if gpus else ""}
        for number in range(jobs)
    ]


class LocalJob:
    """A command that runs here, its output in a file, and what is asked of submitit's jobs as well."""

    state = "RUNNING"  # until it is done

    def __init__(self, command: tuple[str, ...], environment: dict[str, str], log: Path):
        """Start it, with these variables besides this process's."""
        command = (sys.executable, "-P", "-m", "embridge.job", str(os.getpid()), *command)
        env = {**os.environ, **environment}
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            # in a session of its own: at Ctrl-C this process tells it to stop, and the terminal does not
            self.process = subprocess.Popen(
                command, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def done(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def exception(self) -> int | None:
        """Its exit code: not 0 where it failed."""
        return self.process.returncode


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


def run(
    tasks: list[Task],
    folder: Path,
    at_once: list[dict[str, str]],
    executor=None,
    slurm: dict[str, str] | None = None,
    hours: float | None = None,
) -> dict:
    """Run the tasks and return how each ended, by name: "" if well, else what happened and where its log is.

    Parameters
    ----------
    tasks : needs before those who need them
    folder : of the local jobs' logs
    at_once : the environment of each local job that may run at the same time; Slurm decides for itself
    executor : from :func:`slurm_executor`; None: jobs are local
    slurm : options of sbatch for every job, by their long names
    hours : no local job starts that would, by its estimate, end later, and it is not among the ended ones

    Raises
    ------
    InputError
        Slurm refuses a job
    KeyboardInterrupt
        local jobs have been stopped first; those on Slurm go on
    """
    on_slurm = executor is not None
    free = [{} for _ in tasks] if on_slurm else list(at_once)
    jobs, logs, taken, ended, left = {}, {}, {}, {}, []
    until = time.monotonic() + (hours or float("inf")) * 3600
    try:
        with Heartbeat() as heartbeat:
            while len(ended) < len(tasks):
                for name, job in jobs.items():
                    if name not in ended and job.done():
                        ended[name] = f"failed, log: {logs[name]}" if job.exception() else ""
                        free.append(taken[name])
                        heartbeat.print(f"[{len(ended)}/{len(tasks)}] {name}: {ended[name] or 'done'}")
                # all that ended first: a place that gets free goes to the first task that waits, not to the next one
                for task in [task for task in tasks if task.name not in ended]:
                    name, late = task.name, time.monotonic() + task.seconds > until
                    lost = [need for need in task.needs if ended.get(need)]
                    if name not in jobs and (late or set(task.needs) & set(left)):
                        left.append(name)
                        ended[name] = ""
                    elif lost:  # Slurm drops a job that waits for one by itself
                        ended[name] = f"not run, for {lost[0]} failed"
                        heartbeat.print(f"[{len(ended)}/{len(tasks)}] {name}: {ended[name]}")
                    elif name not in jobs and free and (on_slurm or all(need in ended for need in task.needs)):
                        taken[name] = free.pop(0)
                        if on_slurm:
                            jobs[name] = _submit(executor, task, dict(slurm or {}), jobs)
                            logs[name] = jobs[name].paths.stdout
                        else:
                            logs[name] = folder / f"{len(jobs) + 1:03}-{_plain(name)}.log"
                            jobs[name] = LocalJob(task.command, taken[name], logs[name])
                running = [name for name, job in jobs.items() if name not in ended and job.state == "RUNNING"]
                shown = ", ".join(f"{name} {_progress(logs[name])}".strip() for name in running)
                heartbeat.news = f"{len(ended)} of {len(tasks)} ended; " + (shown or "waiting")
                time.sleep(POLL_SECONDS)
    except BaseException:
        mine = [] if on_slurm else [job.process for job in jobs.values()]
        for process in mine:
            process.terminate()  # it interrupts its command and waits for that
        for process in mine:
            process.wait()
        raise
    if left:
        print(f"left for another run, for {hours:g} h are over: {len(left)}, such as {left[0]}", flush=True)
    return {name: problem for name, problem in ended.items() if name not in left}


def _progress(log: Path) -> str:
    """How far the job of a log is, from its progress bar's last state: "(34 %, 06:12 to go)"; "" before there is one.

    The part of the log behind the last few lines is enough, whatever its length.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1000))
            found = re.search(r"(\d+)%\|.*<([\d:]+)", last_line(file.read().decode(errors="replace")))
    except FileNotFoundError:  # Slurm has not started it
        return ""
    return f"({found[1]} %, {found[2]} to go)" if found else ""


def _plain(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _submit(executor, task: Task, slurm: dict[str, str], jobs: dict):
    """Hand one task to Slurm, with the ids of the jobs that it needs."""
    if task.needs:  # a job whose need failed would wait for ever otherwise
        needs = ":".join(jobs[need].job_id for need in task.needs)
        slurm |= {"dependency": f"afterok:{needs}", "kill-on-invalid-dep": "yes"}
    executor.update_parameters(job_name=_plain(task.name), additional_parameters=slurm)
    try:
        return executor.submit(execute, task.command)
    except RuntimeError as problem:  # what sbatch says, such as "invalid partition"
        raise InputError(f"{task.name} could not be submitted: {problem}; see --slurm") from problem


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM is as Ctrl-C: local jobs write their checkpoints and do not outlive the sweep."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
    try:
        with filelock.FileLock(page / "run.lock", timeout=0), _interruptible():
            executor = slurm_executor(logs) if on_slurm else None
            tasks = plan(options, device="cpu" if on_slurm else options.device)
            at_once = [] if on_slurm else places(options.device, options.jobs)
            where = "on Slurm" if on_slurm else f"here, at most {len(at_once)} at once"
            print(f"experiments to train: {len(tasks)}" + (f", {where}; logs in {logs}" if tasks else ""), flush=True)
            return run(tasks + more(tasks), logs, at_once, executor, dict(options.slurm), options.hours)
    except filelock.Timeout as problem:
        raise InputError(f"another run uses {page}: wait for it, or give another folder with --out") from problem


def main(argv: list[str]) -> int:
    """The command line (see ``run_all.sh --help``); returns the exit code, 1 where an experiment failed."""
    began = time.monotonic()
    try:
        options = cli.parse(argv, action="sweep")
        ended = train(options, local=options.jobs is not None)
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "what is trained is kept, the rest goes on from its checkpoint with the same command"
        print(f"stopped: {kept} (jobs on Slurm go on: squeue --me)", file=sys.stderr)
        return 130
    failed = [name for name, problem in ended.items() if problem]
    print(f"{len(ended) - len(failed)} trained, {len(failed)} failed or not run, in {human(time.monotonic() - began)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
