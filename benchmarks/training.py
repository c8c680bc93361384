"""Rows on training: each stage's windows a second, steps beside those of the build before (BEFORE), the whole run."""

import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.builds import Steps, whole_run
from benchmarks.measure import Row, interleave, ratio, spread, worker
from embridge.run.cli import ROOT

BEFORE = "58ebd05b4fd13754928a23ce54d4c0540343ba17"
BASELINE = f"{BEFORE[:7]}, waveforms"
STAGES = {  # by experiment: how many times the steps of the build before
    "Pose-MAE": "5 x, aim 7",
    "EMG-MAE": "3 x, aim 5",
    "CPEP": "2.4 x, aim 3.5",
    "EMBridge": "1.3 x, aim 1.8",
}


def check_out(folder: Path) -> Path:
    """The build before, in a new folder; RuntimeError where the clone has no history, or there is no git."""
    try:
        found = subprocess.run(["git", "-C", ROOT, "archive", BEFORE], capture_output=True)
    except OSError as problem:
        raise RuntimeError("there is no git here") from problem
    if found.returncode:
        raise RuntimeError(f"no commit {BEFORE[:7]} here, as in a shallow clone")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=found.stdout, check=True)
    return folder


def step_rows(
    scratch: Path, rounds: int, steps: int, *, profile="quick", batch=256, device="cpu", beside=False
) -> list[Row]:
    """Each stage's windows a second at a profile's size; ``beside``: also steps against those of the build before.

    On a processor with one thread, as in a sweep. Both builds train the profile as each has it, a process each; they
    take turns, each round starting with the other one. One row says why, where the build before is not here.
    """
    builds, rows, threads = {"now": ROOT}, [], 1 if device == "cpu" else None
    about = f"{profile}'s size, B = {batch}, " + ("one thread" if threads else "one GPU")
    if beside:
        try:
            builds["before"] = check_out(scratch / "before")
        except RuntimeError as problem:
            rows.append(Row(f"steps, {about}", "", BASELINE, note=f"not run: {problem}"))
    with ExitStack() as stack:
        runs = {}
        for name, build in builds.items():
            options = (build, name == "before", scratch / f"{profile}-{name}", profile, batch, device)
            runs[name] = stack.enter_context(worker(Steps, *options, build=build, threads=threads))
        for stage, target in STAGES.items():
            turns = interleave({name: partial(run, stage, steps) for name, run in runs.items()}, rounds)
            seconds = {name: [turn[0] for turn in found] for name, found in turns.items()}
            waits = np.median([turn[1] for turn in turns["now"]])
            rate = spread(batch / each for each in seconds["now"])
            note = f"of that, waiting for windows {waits:.2%}, target below 5 %"
            rows.append(Row(f"{stage}, {about}", "this build", **rate, unit="windows/s", note=note))
            if "before" in turns:
                gain = ratio(seconds, "now", "before")
                rows.append(Row(f"{stage}, steps, {about}", "this build", BASELINE, **gain, target=target))
    return rows


def whole_rows(scratch: Path) -> list[Row]:
    """Time and memory of the whole default run, now against before; one row that says why, where there are none."""
    what, found = "./run_all.sh from nothing", {}
    try:
        for name, build in (("before", check_out(scratch / "before-whole")), ("now", ROOT)):
            with worker(partial, whole_run, build, scratch / f"whole-{name}") as run:
                found[name] = run()
    except RuntimeError as problem:  # an hour of other rows is not lost for it
        print(problem, flush=True)
        return [Row(what, "", BASELINE, note=f"not run: {str(problem).splitlines()[0].rstrip(':')}")]
    return [
        Row(f"{what}, {unit}", f"this build, {found['now'][unit]:,.0f}", f"{BEFORE[:7]}, {found['before'][unit]:,.0f}",
            found["now"][unit] / found["before"][unit], "times as much", target=target,
            note="once each; memory is the largest process's, with pages of windows that are mapped from the disk")
        for unit, target in (("minutes", "at most 1.4, aim 1.1"), ("MB", "at most half"))
    ]  # fmt: skip
