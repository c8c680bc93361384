"""Steps of training and the whole run, in this build or in the one before, in a process of ``training.py``.

That process has one of the builds first on its path, so no part of the package is imported before; nor is torch: what
a process starts counts at least that process's own memory.
"""

import os
import pkgutil
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace

# Where commit 58ebd05 keeps what a training run consists of; it stays so, whatever moves in this build.
BEFORE = (
    "config:EvalConfig", "config:SimulationConfig", "config:profile", "experiments:EXPERIMENTS", "experiments:Study",
    "loading:Ahead", "optimisation:Trainer", "training:order",
)  # fmt: skip
NOW = (
    "config:EvalConfig", "config:SimulationConfig", "config:profile", "experiments:EXPERIMENTS", "study:Study",
    "data.batches:Ahead", "training:Trainer", "data.batches:order", "trained:build",
)  # fmt: skip


def parts(before: bool) -> SimpleNamespace:
    """The parts of a training run, in the build that is first on the path."""
    places = BEFORE if before else NOW
    return SimpleNamespace(**{place.split(":")[1]: pkgutil.resolve_name(f"embridge.{place}") for place in places})


class Steps:
    """Stages of a profile's study, each made when it is first asked for and trained on from there.

    The study has three batches of 256 simulated windows, and its MAEs train for an epoch. build: the folder of the
    build that is expected to run, RuntimeError where another one does; before: whether it is that of commit 58ebd05.
    """

    def __init__(self, build: Path, before: bool, out: Path, profile: str, batch: int, device: str):
        import embridge

        found = Path(embridge.__file__).parents[1]
        if found.resolve() != build.resolve():
            raise RuntimeError(f"expected the build in {build}, found the one in {found}")
        self.parts, self.batch, self.device, self.made = parts(before), batch, device, {}
        size = self.parts.profile(profile)
        few = self.parts.SimulationConfig(
            train_users=3, val_users=2, test_users=1, sessions=2, train_seconds=12.0, eval_seconds=6.0,
            held_out_stage_users=0,
        )  # fmt: skip
        mae, align = (replace(stage, epochs=1, batch_size=batch) for stage in (size.mae, size.align))
        size = replace(size, mae=mae, align=align, simulation=few, evaluation=self.parts.EvalConfig())
        self.study = self.parts.Study("simulated", profile, device=device, out=out, size=size)
        self.n_windows = len(self.study.splits.pretrain)

    def __call__(self, stage: str, steps: int) -> tuple[float, float]:
        """Seconds a step, and the share of them in which it waits for its windows.

        As ``training.train`` takes steps, but for the first reading: in a training run of thirty steps an epoch it
        hardly counts; all others are read ahead, in a thread.
        """
        task, config, trainer, parts = self.stage(stage)
        ahead = self.parts.Ahead(lambda part: task.load(part[1], part[0]), islice(parts, steps), self.device)
        batches = iter(ahead)
        batch = next(batches)
        began, waited = time.perf_counter(), ahead.waited
        while batch is not None:
            trainer.step(batch, self.batch, config.lr, lambda: bool(trainer.bad))  # as training's, it waits for a GPU
            batch = next(batches, None)
        seconds = time.perf_counter() - began
        if trainer.bad:
            raise RuntimeError(f"{stage}: the loss or its gradient is not finite")
        return seconds / steps, (ahead.waited - waited) / seconds

    def stage(self, name: str):
        """The task of an experiment, its TrainConfig, its Trainer and its batches without end."""
        if name not in self.made:
            experiment = self.parts.EXPERIMENTS[name]
            _, config = self.study.configs(experiment)
            build = getattr(self.parts, "build", None)  # a method of the study in the build before
            _, make_task = build(self.study, experiment) if build else self.study.build(experiment)
            task = make_task()
            self.made[name] = task, config, self.parts.Trainer(task, config, self.device), self.order(config.seed)
        return self.made[name]

    def order(self, seed: int):
        """Whole batches, (epoch, samples (B,)), as a training run visits them."""
        for epoch in count():
            for part in self.parts.order(seed, epoch, self.n_windows).split(self.batch):
                if len(part) == self.batch:
                    yield epoch, part


def whole_run(build: Path, out: Path) -> dict[str, float]:
    """Run ``./run_all.sh`` of a build from nothing: the "minutes" it takes, and "MB" of its largest process.

    Memory is resident, with pages that are mapped from the disk. What it wrote below ``out`` is removed again.
    Raises RuntimeError with the end of its output where it fails.
    """
    out.mkdir(parents=True)
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    env["VIRTUAL_ENV"] = sys.prefix  # no set-up: both builds find the pinned versions here
    log = out.with_name(f"{out.name}.log")
    began, command = time.monotonic(), [build / "run_all.sh", "--out", out]
    with open(log, "w") as file:
        code = subprocess.call(command, env=env, cwd=out, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    minutes = (time.monotonic() - began) / 60
    if code:
        raise RuntimeError(f"the whole run of the build in {build} failed:\n{log.read_text(errors='replace')[-2000:]}")
    shutil.rmtree(out, ignore_errors=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"minutes": minutes, "MB": used / 1e6}
