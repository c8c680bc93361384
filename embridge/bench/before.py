"""Rows against the build before (BEFORE): training steps side by side, and the whole default run one after the other.

``python -m embridge.bench.before [--whole] --out DIR`` measures one of the two alone and prints JSON.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from embridge.bench import turns
from embridge.bench.measure import Row, interleave, ratio
from embridge.bench.workers import NAMES, speed_settings
from embridge.cli import ROOT
from embridge.environment import variables

PART = "the build before"
BEFORE = "58ebd05b4fd13754928a23ce54d4c0540343ba17"
BASELINE = f"{BEFORE[:7]}, waveforms"
STAGES = {  # by experiment: target
    "Pose-MAE": "5 x, aim 7",
    "EMG-MAE": "3 x, aim 5",
    "CPEP": "2.4 x, aim 3.5",
    "EMBridge": "1.3 x, aim 1.8",
}
WHOLE = {  # by what run() tells: name, unit, target
    "seconds": ("time", "times as long", "at most 1.4, aim 1.1"),
    "megabytes": ("peak memory of the largest process", "times as much", "at most half"),
}
BATCH = 256
FREE = 15 * 10**9  # bytes of disk that a whole run takes at most
# A process of its own, and small: what it starts has at least its memory in the books.
WATCH = """
import json, resource, signal, subprocess, sys, time
signal.signal(signal.SIGINT, lambda *_: None)  # for what it starts
began = time.monotonic()
code = subprocess.call(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
seconds, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
unit = 1 if sys.platform == "darwin" else 1024
open(sys.argv[1], "w").write(json.dumps({"seconds": seconds, "megabytes": used * unit / 1e6, "code": code}))
"""


class Missing(Exception):
    """What these rows need is not here; it says what."""


def _git(*arguments: str) -> None:
    """Run git on this repository, deaf to Ctrl-C, which is for the caller; raises Missing with its last line."""
    command = ["git", "-C", str(ROOT), "-c", "core.hooksPath=/dev/null", *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {"LC_ALL": "C"}
    try:
        found = subprocess.run(command, env=env, capture_output=True, text=True, start_new_session=True)
    except OSError as problem:
        raise Missing("there is no git here") from problem
    if found.returncode:
        raise Missing((found.stderr.strip().splitlines() or ["git failed"])[-1])


@contextmanager
def checked_out(scratch: Path) -> Iterator[Path]:
    """The build before as a worktree below ``scratch``, removed at the end in any case; raises Missing without it."""
    try:
        _git("cat-file", "-e", f"{BEFORE}^{{commit}}")
    except Missing as problem:
        reason = f"{problem}" if "no git" in str(problem) else f"no commit {BEFORE[:7]} here, as in a shallow clone"
        raise Missing(reason) from problem
    root = scratch / "before"
    try:
        _git("worktree", "add", "--detach", str(root), BEFORE)
        yield root
    finally:
        with suppress(Missing):
            _git("worktree", "remove", "--force", str(root))


# ---- steps of training ---------------------------------------------------------------------------------------------


class Build:
    """A worker process in one build; a call asks it and waits. A context: its end ends the process.

    Raises RuntimeError with the worker's traceback, or the end of what it printed, where it fails.
    """

    def __init__(self, root: Path, out: Path, settings: dict[str, str], script: Path = Path(turns.__file__)):
        env = {name: value for name, value in os.environ.items() if name not in NAMES} | settings
        env |= {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        out.mkdir(parents=True, exist_ok=True)
        self.root, self.log = root, out / "worker.log"
        options = json.dumps({"out": str(out), "batch": BATCH})
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(script), options],
                env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
                start_new_session=True,
            )  # fmt: skip

    def ready(self) -> "Build":
        """Wait until it has its windows; RuntimeError where another build's package is the one that runs."""
        found = self._answer()
        if Path(found["root"]).resolve() != self.root.resolve():
            raise RuntimeError(f"expected the build in {self.root}, found the one in {found['root']}")
        return self

    def __call__(self, stage: str, steps: int) -> tuple[float, float]:
        """Seconds a step, and of the processor, over so many steps of a stage, the next ones of its training."""
        with suppress(BrokenPipeError):  # it has ended; its answer, or its log, says why
            self.process.stdin.write(json.dumps({"stage": stage, "steps": steps}) + "\n")
            self.process.stdin.flush()
        found = self._answer()
        return found["seconds"], found["processor"]

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        found = json.loads(line) if line else {"error": f"it ended: {self.log.read_text(errors='replace')[-2000:]}"}
        if "error" in found:
            raise RuntimeError(f"in the worker of the build in {self.root}:\n{found['error']}")
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with suppress(BrokenPipeError):
            self.process.stdin.close()  # an idle worker sees that and leaves, also when this process is killed
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:  # one that is at work, after Ctrl-C, and those that simulate for it
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()


def step_rows(scratch: Path, settings: dict[str, str], rounds: int, steps: int) -> list[Row]:
    """Each stage's steps a second, now against before; one row that says why, where the build before is not here.

    Both builds train quick's profile, each as it has it, in one process and thread each: stages take turns, and within
    a stage the builds do, each round starting with the other one.
    """
    about = f"steps a second, quick's profile, B = {BATCH}, one thread"
    try:
        with checked_out(scratch) as root, ExitStack() as stack:
            roots = {"before": root, "now": ROOT}
            builds = {
                name: stack.enter_context(Build(root, scratch / f"trained-{name}", settings))
                for name, root in roots.items()
            }
            for build in builds.values():
                build.ready()
            times = take_turns(builds, rounds, steps)
    except Missing as problem:
        return [Row(PART, f"training, {about}", "", BASELINE, note=f"not run: {problem}")]
    return [_step_row(stage, f"{stage}, {about}", steps, times[stage]) for stage in STAGES]


def _step_row(stage: str, what: str, steps: int, times: dict[str, list[tuple[float, float]]]) -> Row:
    clock, processor = ({name: [turn[i] for turn in turns] for name, turns in times.items()} for i in (0, 1))
    gain = ratio(processor, "now", "before")
    note = (
        f"by processor time {gain['value']:.3g} x [{gain['low']:.3g}, {gain['high']:.3g}]; now "
        f"{1 / np.median(clock['now']):.2f} steps a second; simulated alike, {steps} steps a turn, the first batch of "
        "which is not timed"
    )
    return Row(PART, what, "this build", BASELINE, **ratio(clock, "now", "before"), target=STAGES[stage], note=note)


def take_turns(builds: dict[str, Callable[[str, int], object]], rounds: int, steps: int) -> dict:
    """What the builds answer, by stage and build, in each of ``rounds``; a round without record goes before them."""
    times = {stage: {name: [] for name in builds} for stage in STAGES}
    for r in range(rounds + 1):
        order = list(builds)[:: -1 if r % 2 else 1]
        for stage in STAGES:
            turn = interleave({name: partial(builds[name], stage, steps) for name in order}, 1, warm_up=0)
            for name, answers in turn.items() if r else ():
                times[stage][name] += answers
    return times


# ---- the whole run -------------------------------------------------------------------------------------------------


def run(root: Path, out: Path) -> dict[str, float]:
    """What ``./run_all.sh`` of the build in ``root`` takes from nothing: seconds, and megabytes of its largest process.

    Pages of windows that are mapped from the disk count as memory. What it wrote below ``out`` is removed again. Raises
    RuntimeError with the end of its output where it fails, and Missing where the disk has too little room.
    """
    out.mkdir(parents=True)
    check_room(out)
    env = variables(out / ".cache", own_settings=False) | {"PYTHONPATH": str(root)}
    env.pop("OMP_NUM_THREADS", None)  # run_all.sh leaves them to the machine
    told, log = out.with_name(f"{out.name}.json"), out.with_name(f"{out.name}.log")
    command = [sys.executable, "-P", "-m", "embridge.runner", "--out", str(out)]
    with open(log, "w") as file:
        watch = [sys.executable, "-I", "-S", "-c", WATCH, str(told), *command]
        process = subprocess.Popen(watch, env=env, cwd=out, stderr=file, start_new_session=True)
        try:
            process.wait()
        except BaseException:  # Ctrl-C: the run stops, then what it wrote can go
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    found = json.loads(told.read_text())
    if found.pop("code"):
        raise RuntimeError(f"the whole run of the build in {root} failed:\n{log.read_text(errors='replace')[-2000:]}")
    shutil.rmtree(out, ignore_errors=True)
    return found


def check_room(folder: Path) -> None:
    """Raise Missing unless a whole run fits the disk."""
    free = shutil.disk_usage(folder).free
    if free < FREE:
        raise Missing(f"a whole run needs {FREE / 1e9:.0f} GB of disk, and {free / 1e9:.1f} GB are free")


def whole(scratch: Path, say: Callable[[str], None] = print) -> dict[str, dict[str, float]]:
    """What :func:`run` tells of both builds, by "before" and "now"; raises as it does, and Missing without history."""
    found = {}
    check_room(scratch)
    with checked_out(scratch) as root:
        for name, build in (("before", root), ("now", ROOT)):
            say(f"the whole default run, the build {name}")
            found[name] = run(build, scratch / f"whole-{name}")
    return found


def whole_rows(scratch: Path, say: Callable[[str], None] = print) -> list[Row]:
    """Time and memory of the whole default run, now against before; one row that says why, where there are none."""
    what = "./run_all.sh from nothing"
    try:
        found = whole(scratch, say)
    except Missing as problem:
        return [Row(PART, what, "", BASELINE, note=f"not run: {problem}")]
    except RuntimeError as problem:  # an hour of other rows is not lost for it
        say(str(problem))
        return [Row(PART, what, "", BASELINE, note=f"failed: {str(problem).splitlines()[0].rstrip(':')}")]
    rows = []
    for key, (name, unit, target) in WHOLE.items():
        before, now = found["before"][key], found["now"][key]
        shown = {"before": before, "now": now}
        text = {k: f"{v / 60:.1f} min" if key == "seconds" else f"{v:,.0f} MB" for k, v in shown.items()}
        note = "once each, one after the other; set-up is not in it"
        if key == "megabytes":
            note = "resident, so pages of windows that are mapped from the disk count"
        rows.append(
            Row(PART, f"{what}, {name}", f"this build, {text['now']}", f"{BEFORE[:7]}, {text['before']}", now / before,
                unit, target=target, note=note)
        )  # fmt: skip
    return rows


def main(argv: list[str]) -> int:
    """Measure the steps, or with --whole the default run, in a scratch folder below --out; print JSON."""
    parser = argparse.ArgumentParser(prog="python -m embridge.bench.before", description=main.__doc__)
    parser.add_argument("--whole", action="store_true", help="./run_all.sh of both builds, instead of training steps")
    parser.add_argument("--out", metavar="DIR", required=True, type=Path, help="where there is room for all of it")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="of training steps (default: 5)")
    parser.add_argument("--steps", metavar="N", type=int, default=3, help="a turn (default: 3)")
    options = parser.parse_args(argv)
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)

    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="before-", dir=out) as scratch:
            if options.whole:
                rows = whole_rows(Path(scratch), say)
            else:
                rows = step_rows(Path(scratch), speed_settings(), options.rounds, options.steps)
    except KeyboardInterrupt:
        say("stopped")
        return 130
    print(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
