"""Work spread over processes, with the results in order."""

import multiprocessing
import os
import platform
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def available_cores() -> int:
    """The cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The name that the machine's processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or a processor without a name there
        return platform.processor() or platform.machine()


def in_order(function: Callable, jobs: Iterable, workers: int) -> Iterator:
    """Yield ``function(job)`` for each job, in the jobs' order.

    One worker runs in this process. More are spawned (a fork would copy torch's threads half alive); at most
    three jobs a worker are under way, so memory does not grow with the number of jobs.
    """
    if workers <= 1:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_set_up_worker)
    try:
        pending: deque = deque()
        for job in jobs:
            pending.append(pool.submit(function, job))
            if len(pending) >= 3 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _set_up_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it ends.

    Workers wait for work on a pipe that they hold open themselves: without the watch a killed run leaves orphans.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
