"""One rank of a small training, for tests of several devices: ``python tests/two_processes.py FOLDER``."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn.functional import mse_loss
from toy_run import DESCRIBE, MODEL, TRAIN, Toy

from embridge import distributed, training
from embridge.config import TrainConfig, as_json
from embridge.data.batches import noise
from embridge.models import MAE, emg_encoder
from embridge.models.regressors import PoseT


class ToyMAE:
    """EMG-MAE's loss on random windows, as MAETask weighs it."""

    def __init__(self, config: TrainConfig):
        torch.manual_seed(1)
        self.model, self.n_samples, self.config = MAE(emg_encoder(MODEL), MODEL), 44, config
        self.x = torch.randn(44, 3, 40)

    def load(self, samples, epoch):
        return {"x": self.x[samples], "mask": noise(self.config.seed, epoch, "mask", 44, 10)[samples]}

    def loss(self, batch, n):
        return distributed.share(n) * self.model(batch["x"], batch["mask"]), {}


class ToyPose:
    """A regression of random poses, weighed as RegressionTask weighs it, that is validated and stops early."""

    def __init__(self, config: TrainConfig):
        torch.manual_seed(2)
        self.model, self.n_samples = PoseT(MODEL), 44
        self.x, self.pose = torch.randn(50, 3, 40), torch.randn(50, 2, 40)

    def load(self, samples, epoch):
        return {"x": self.x[samples], "pose": self.pose[samples]}

    def loss(self, batch, n):
        return distributed.share(n) * mse_loss(self.model.predict(batch["x"]), batch["pose"]), {}

    @torch.no_grad()
    def validate(self):
        return mse_loss(self.model.predict(self.x[44:]), self.pose[44:]).item()


def main(folder: str) -> None:
    """Train each toy with global batches of 8 and of 43 of the 44 windows; rank 0 writes the logs to the folder."""
    torch.set_num_threads(1)
    with distributed.session("cpu") as device:
        for batch in (8, 43):  # four left over; odd shards, and one left over for two ranks
            config = replace(TRAIN, batch_size=batch, lr=1e-3)
            for kind, make in (("align", Toy), ("mae", ToyMAE), ("pose", ToyPose)):
                name = f"{kind}-{batch}"
                describe = {**DESCRIBE, "train": as_json(config), "name": name}
                out = Path(folder) / name
                log = training.train(make(config=config), config, out, describe=describe, device=device, progress=False)
                assert (out / "done.json").exists()  # on every rank, when train comes back
                if distributed.rank() == 0:
                    text = json.dumps({"ranks": distributed.world(), "log": log})
                    out.with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
