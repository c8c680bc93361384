"""One job of a sweep: its command, interrupted where the job is told to stop or its sweep is gone.

``python -m embridge.job SWEEP COMMAND ...`` is a local one; SWEEP is the id of the process that started it.
Standard library only: it waits beside each command that runs.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

POLL_SECONDS = 0.1


def execute(command: Sequence[str], sweep: int | None = None) -> None:
    """Run the command to its end. Raises RuntimeError where that fails.

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
            time.sleep(POLL_SECONDS)
    finally:  # also where submitit raises before Slurm's time limit
        process.send_signal(signal.SIGINT)  # none is sent to one that has ended
        process.wait()
    if process.returncode:
        raise RuntimeError(f"the command ended with {process.returncode}; what it printed stands above")


if __name__ == "__main__":
    try:
        execute(sys.argv[2:], int(sys.argv[1]))
    except RuntimeError as problem:
        sys.exit(f"error: {problem}")
