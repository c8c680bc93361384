"""Variants in processes of their own: what glibc and OpenMP are told acts when a process starts, and only then."""

import multiprocessing
import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embridge.environment import variables

NAMES = ("OMP_WAIT_POLICY", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def speed_settings() -> dict[str, str]:
    """Those of ``run_all.sh``'s environment variables that change speed."""
    with tempfile.TemporaryDirectory() as folder:
        ours = variables(Path(folder), own_settings=True)
    return {name: ours[name] for name in NAMES}


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """The environment with these settings in the place of NAMES, for a process to inherit."""
    before = dict(os.environ)
    for name in NAMES:
        os.environ.pop(name, None)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Worker:
    """A process that makes something callable once, then answers calls over a pipe; between calls it is idle.

    ``make(*args)``, a function of a module, runs there at once. Wait for :meth:`ready` before anything is timed.
    settings: :func:`speed_settings`, or {} for the defaults of the system. A context: its end ends the process.
    Raises RuntimeError with the process's traceback where something fails there.
    """

    def __init__(self, make: Callable, *args, settings: dict[str, str]):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make, args))
        with _environment(settings):
            self.process.start()
        theirs.close()

    def ready(self) -> "Worker":
        """Wait until it is made."""
        self._answer()
        return self

    def __call__(self, *args):
        self.pipe.send(args)
        return self._answer()

    def _answer(self):
        try:
            good, value = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"a process of the benchmark ended with code {self.process.exitcode}") from None
        if not good:
            raise RuntimeError(f"in a process of the benchmark:\n{value}")
        return value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()  # an idle process sees that and leaves, also when this one is killed
        self.process.join(5)
        self.process.terminate()  # one that is at work, after Ctrl-C
        self.process.join()


def _serve(pipe, make, args) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    try:
        answer = make(*args)
        pipe.send((True, None))
        while True:
            pipe.send((True, answer(*pipe.recv())))
    except (EOFError, BrokenPipeError):  # the parent has closed the pipe: that is how a worker is told to end
        pass
    except Exception:
        pipe.send((False, traceback.format_exc()))
