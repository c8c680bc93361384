"""The worker of :mod:`embridge.bench.before`: trains a few steps of a stage when asked, in whichever build it runs.

``python -P turns.py OPTIONS``, with that build's root in PYTHONPATH; so it uses only what both builds have. OPTIONS is
JSON: out, a folder for recordings, windows and runs; batch, windows a step. It speaks JSON lines. The first one says
that it is ready, where its package lies and how many windows it trains on. Each line that it gets, ``{"stage": ...,
"steps": n}``, is answered with ``{"seconds": ..., "processor": ...}``, a step. What goes wrong is answered as
``{"error": traceback}``; an input that ends, ends it.
"""

import json
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path


def study(out: str):
    """Quick's networks on a few simulated recordings, enough for three batches of 256; its MAEs train for an epoch."""
    from embridge.config import EvalConfig, SimulationConfig, profile
    from embridge.experiments import Study

    quick = profile("quick")
    few = SimulationConfig(
        train_users=3, val_users=2, test_users=1, sessions=2, train_seconds=12.0, eval_seconds=6.0,
        held_out_stage_users=0,
    )  # fmt: skip
    size = replace(
        quick,
        mae=replace(quick.mae, epochs=1),
        align=replace(quick.align, epochs=1),
        simulation=few,
        evaluation=EvalConfig(),
    )
    return Study("simulated", "quick", device="cpu", out=out, size=size)


class Stages:
    """The stages of a study, each made when it is first asked for and trained on from there."""

    def __init__(self, out: str, batch: int):
        self.study, self.batch, self.made = study(out), batch, {}
        self.n_windows = len(self.study.splits.pretrain)
        if self.n_windows < batch:
            raise ValueError(f"expected {batch} training windows or more, found {self.n_windows}")

    def __call__(self, stage: str, steps: int) -> tuple[float, float]:
        """Seconds a step, and of the processor, as :func:`embridge.training.train` takes it; without the first reading.

        In a training of thirty steps an epoch that one hardly counts; all others are read ahead, in a thread.
        """
        from embridge.loading import Ahead

        task, config, trainer = self.stage(stage)
        parts = [next(self.made[stage][3]) for _ in range(steps)]
        batches = iter(Ahead(lambda part: task.load(part[1], part[0]), parts, "cpu"))
        batch = next(batches)
        began, used = time.perf_counter(), time.process_time()
        while batch is not None:
            trainer.step(batch, self.batch, config.lr, self._check(trainer))
            batch = next(batches, None)
        return (time.perf_counter() - began) / steps, (time.process_time() - used) / steps

    def stage(self, name: str):
        """The task of an experiment, its TrainConfig and its Trainer."""
        if name not in self.made:
            from embridge.experiments import EXPERIMENTS
            from embridge.training import Trainer  # an older build's training has it from its optimisation

            _, config = self.study.configs(EXPERIMENTS[name])
            _, make_task = self.study.build(EXPERIMENTS[name])
            task = make_task()
            self.made[name] = [task, config, Trainer(task, config, "cpu"), self._order(config.seed)]
        return self.made[name][:3]

    def _order(self, seed: int):
        """Whole batches without end: (epoch, samples (B,)), as a training visits them."""
        from embridge.training import order

        epoch = 0
        while True:
            for part in order(seed, epoch, self.n_windows).split(self.batch):
                if len(part) == self.batch:
                    yield epoch, part
            epoch += 1

    @staticmethod
    def _check(trainer):
        def check() -> None:
            if trainer.bad:
                raise RuntimeError("the loss or its gradient is not finite")

        return check


def main(options: dict, make=Stages) -> int:
    """Answer until the input ends; what libraries print goes to the error stream."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**values) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    try:
        import embridge

        stages = make(options["out"], options["batch"])
        answer(ready=True, root=str(Path(embridge.__file__).parent.parent), windows=stages.n_windows)
        for line in sys.stdin:
            asked = json.loads(line)
            seconds, processor = stages(asked["stage"], asked["steps"])
            answer(seconds=seconds, processor=processor)
    except Exception:
        answer(error=traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
