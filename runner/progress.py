"""Showing that a long step is alive. Standard library only: set-up needs it before anything is installed."""

import os
import re
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from embridge.run.cli import human


def last_line(text: str) -> str:
    """The last line with something on it; a carriage return ends a line, as progress bars use it."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    return lines[-1] if lines else ""


def end_of(log: Path) -> str:
    """The last few lines of a job's log, whatever its length; "" where Slurm has not started it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1000))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def stopped_in(log: Path, code: int) -> str:
    """Where a local job that was told to stop goes on, "epoch 7" or "its checkpoint"; "" if it ended by a failure."""
    end = end_of(log)
    by_signal = re.search(r"^error: the command ended with (130|-2);", end, re.M)  # -2: it was still loading
    if not by_signal and code != -signal.SIGTERM:  # so was the job itself
        return ""
    found = re.search(r"^stopped: .*, in (epoch \d+)$", end, re.M)
    return found[1] if found else "its checkpoint"


class Heartbeat:
    """Shows elapsed time, time to go and the latest news of one step while its body runs.

    On a terminal one line is rewritten every second; elsewhere a line is printed every ``every`` seconds.
    ``expected`` is the step's likely duration in s (None: not known).
    The body sets ``news``, a text or a function that returns one.
    """

    def __init__(self, *, expected: float | None = None, every: float = 30.0):
        self.news, self.expected = "", expected
        self.terminal = sys.stdout.isatty()
        self.every = 1.0 if self.terminal else every
        self._start, self._stop = time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.print("", end="")

    def print(self, line: str, end: str = "\n") -> None:
        """Print a line that stays, above the one that is rewritten."""
        if self.terminal or line:
            print(f"\r\x1b[K{line}" if self.terminal else line, end=end, flush=True)

    def line(self) -> str:
        """The line that is shown now."""
        elapsed, news = time.monotonic() - self._start, self.news() if callable(self.news) else self.news
        parts = [human(elapsed)]
        if self.expected is not None:
            left = self.expected - elapsed
            parts.append(f"about {human(left)} to go" if left > 0 else "longer than expected")
        return "      " + ", ".join(parts) + (f": {news}" if news else "")

    def _beat(self):
        with suppress(BrokenPipeError):  # of "... | head": the body ends at its own next line, and tells it in one
            while not self._stop.wait(self.every):
                width = shutil.get_terminal_size((110, 24)).columns - 1
                self.print(self.line()[:width], end="" if self.terminal else "\n")
