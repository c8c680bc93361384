"""A small alignment by the real Q-Former on random windows, for tests of the loop.

``python tests/toy_run.py FOLDER [FAULT]`` trains it in a process of its own, which a test can kill or starve.
"""

import os
import resource
import sys
import time
from pathlib import Path

import torch

from embridge import distributed
from embridge.checkpoint import weights_hash
from embridge.config import ModelConfig, ObjectiveConfig, TrainConfig, as_json
from embridge.data.batches import noise
from embridge.losses import alignment_loss, pick_queries
from embridge.models import QFormerModel
from embridge.training import train

MODEL = ModelConfig(
    n_channels=3,
    n_joints=2,
    window=40,
    sample_rate=1,
    emg_patch=4,
    pose_patch=8,
    d=16,
    n_layers=2,
    n_heads=2,
    n_queries=4,
)
TRAIN = TrainConfig(epochs=3, batch_size=8, lr=1e-2, seed=3)
OBJECTIVE = ObjectiveConfig(soft_targets="communities", alpha=1.0, lam=1.0, k_c=2)
DESCRIBE = {"experiment": "toy", "model": as_json(MODEL), "train": as_json(TRAIN)}
N, STEPS = 44, 6  # a ragged last batch of four


class Toy:
    """EMBridge on random windows; ``before(step)`` is called at each step's start."""

    def __init__(self, n=N, before=None, config=TRAIN):
        torch.manual_seed(0)
        self.model, self.n_samples, self.config, self.calls = QFormerModel(MODEL), n, config, 0
        self.x, self.pose = torch.randn(n, 3, 40), torch.randn(n, 2, 40)
        self.v, self.centroids = torch.randn(n, 16), torch.randn(6, 16)
        self.before = before or (lambda step: None)

    def load(self, samples, epoch):
        table = noise(self.config.seed, epoch, "mprl", self.n_samples, 5)
        return {"x": self.x[samples], "v": self.v[samples], "pose": self.pose[samples], "mask": table[samples]}

    def loss(self, batch, n):
        self.calls += 1
        self.before(self.calls)
        queries, v = self.model.queries(batch["x"]), batch["v"]
        u, v = (distributed.gather(rows, n) for rows in (pick_queries(queries, v), v))
        loss, parts = alignment_loss(u, v, self.model.log_scale, OBJECTIVE, self.centroids)
        mprl = distributed.share(n) * self.model.mprl(queries, batch["pose"], batch["mask"], OBJECTIVE.mask_ratio)
        return loss + OBJECTIVE.lam * mprl, {**parts, "mprl": mprl.detach()}


def run(folder, task=None, *, config=TRAIN, describe=DESCRIBE, **options):
    """Train and return the weights' hash and the log without its times."""
    task = task or Toy(config=config)
    log = train(task, config, folder, describe=describe, progress=False, **options)
    return weights_hash(task.model), [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in log]


class Stop(Exception):
    """Raised by a toy at a step to leave a run half done."""


def stop_at(step):
    def before(now):
        if now == step:
            raise Stop

    return before


def half_done(folder, step=10):
    """Leave a run with checkpoints behind steps up to step - 1."""
    try:
        run(folder, Toy(before=stop_at(step)), checkpoint_seconds=0)
    except Stop:
        return
    raise AssertionError(f"the run was over before step {step}")


def main(folder, fault=""):
    """One run in its own process. Saves after each step, and by ``fault``: waits, halts while writing, has no disk."""
    torch.set_num_threads(1)
    written = []
    fsync = os.fsync

    def halt_while_writing(handle):
        written.append(handle)
        if len(written) == 11:  # a file and its folder are two; the sixth file, the one after checkpoint four
            Path(folder, "writing").touch()
            time.sleep(1000)  # for the test to kill
        fsync(handle)

    def before(step):
        if fault == "slow":
            time.sleep(0.1)
        if fault == "full" and step == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))

    if fault == "halts":
        os.fsync = halt_while_writing
    try:
        run(Path(folder), Toy(before=before), checkpoint_seconds=0)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
