"""Work spread over processes, with the results in order."""

import multiprocessing
import os
import platform
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
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


def in_order(function: Callable, jobs: Iterable, workers: int, held: Callable = lambda job: ()) -> Iterator:
    """Yield ``function(job)`` for each job, in the jobs' order.

    One worker runs in this process. More are spawned (a fork would copy torch's threads half alive); at most
    three jobs a worker are under way, so memory does not grow with the number of jobs. They import modules and not the
    script or notebook that asks, which so needs no main guard. A job whose functions (``function`` and those that
    ``held(job)`` names) are defined there is done in this process, and so are all inside a daemon, which may have no
    children.
    """
    if workers <= 1 or multiprocessing.current_process().daemon:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_set_up_worker)
    try:
        pending: deque[Callable] = deque()
        for job in jobs:
            if all(map(_importable, (function, *held(job)))):
                with _without_main():  # the first of these calls starts the workers
                    pending.append(pool.submit(function, job).result)
            else:
                pending.append(partial(function, job))
            if len(pending) >= 3 * workers:
                yield pending.popleft()()
        while pending:
            yield pending.popleft()()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _importable(function) -> bool:
    """Whether another process finds a function, or None, by importing its module: no lambda, none of a script."""
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__qualname__"):  # an object that can be called
        function = type(function)
    return function.__module__ != "__main__" and "<" not in function.__qualname__


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide where ``__main__`` comes from: a spawned process would run that file again, guard or not."""
    main = sys.modules["__main__"]
    kept = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(kept)


def _set_up_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it ends.

    Workers wait for work on a pipe that they hold open themselves: without the watch a killed run leaves orphans.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
