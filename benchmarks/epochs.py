"""The number of epochs that D_tune prefers, in multiples of ten: ``python -m benchmarks.epochs`` (METHOD 10).

The learning rate restarts every ten epochs, so one long training passes through the end of every shorter one: its error
on D_tune after 10, 20, ... epochs is theirs, to the bit. D_eval is never looked at. The numbers of the default are
committed in ``figures/simulated-long/epochs.csv``; what was chosen stands in :mod:`embridge.config`.
"""

import argparse
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from embridge import losses, training
from embridge.config import RESULTS_VERSION
from embridge.data import batches
from embridge.errors import InputError
from embridge.experiments import ALIGNED, find
from embridge.files import write_atomically
from embridge.run import cli
from embridge.study import Study
from embridge.train import RESUMES
from embridge.trained import build

STEP = 10  # epochs: the first period of the learning rate
BATCH = 256  # windows of D_tune whose poses are told apart


def tune_batches(study: Study) -> list[np.ndarray]:
    """D_tune's windows of both class sets in a fixed order, in whole batches of 256; one smaller if it has fewer."""
    ids = study.splits.learn_from(np.concatenate(list(study.splits.tune.values())), "epochs", tuning=True)
    if not len(ids):
        raise InputError(f"{study.dataset}: expected a D_tune to choose epochs on, found none; choose on emg2pose")
    ids = np.random.default_rng(0).permutation(ids)
    return np.split(ids, range(BATCH, len(ids), BATCH))[: max(1, len(ids) // BATCH)]


def watch_tune(task, study: Study, name: str) -> None:
    """Have a task of masked modelling or alignment validated on D_tune after each epoch.

    By the masked error of an autoencoder under fixed masks, or by E's InfoNCE (eq. 1) of an aligned system at its own
    temperature, a mean over the batches of :func:`tune_batches`.
    """
    modality, model, reader, parts = getattr(task, "modality", None), task.model, task.reader, tune_batches(study)
    poses = None if modality else [study.pose_embeddings(ids, name) for ids in parts]

    def masked(i: int) -> Tensor:
        noise = batches.noise(0, i, "D_tune", len(parts[i]), task.n_tokens).to(reader.device)
        return model(getattr(reader, modality)(parts[i]), noise)

    def info_nce(i: int) -> Tensor:
        v = poses[i].to(reader.device)
        return losses.info_nce(losses.pick_queries(model.queries(reader.emg(parts[i])), v), v, model.log_scale)

    @torch.no_grad()
    def validate() -> float:
        model.eval()
        values = [(masked if modality else info_nce)(i).item() for i in range(len(parts))]
        model.train()
        return float(np.mean(values))

    task.validate = validate


def watch(study: Study, name: str, epochs: int) -> pd.DataFrame:
    """Train an experiment for so many epochs, resumably; its error on D_tune after every ten: system, epochs, value."""
    experiment = find(name)
    for need in experiment.needs:
        study.run(need)
    config = replace(study.configs(experiment)[1], epochs=epochs)
    describe = study.describe(experiment) | {"watched": epochs}
    torch.manual_seed(study.seed)
    model, make_task = build(study, experiment)
    folder = study.out / "runs" / "epochs" / f"{name.replace(' ', '-')}-{study.key(experiment)}-{epochs}"
    task = make_task()
    watch_tune(task, study, name)
    log = training.train(task, config, folder, device=study.device, describe=describe)
    rows = [{"system": name, "epochs": r["epoch"], "value": r["validation"]} for r in log if r["epoch"] % STEP == 0]
    return pd.DataFrame(rows)


@cli.command(RESUMES)
def main(argv: list[str]) -> None:
    """Train what ``argv`` names and add its errors to ``epochs.csv``; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.epochs", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["Pose-MAE", "EMG-MAE", *ALIGNED], help="experiments")
    parser.add_argument("--epochs", type=int, default=60, help="the most, a multiple of ten")
    parser.add_argument("--profile", default="long")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", default="")
    options = parser.parse_args(argv)
    for name in options.names:
        study = Study("simulated", options.profile, 0, options.device, out=options.out)
        found = watch(study, name, options.epochs).assign(version=RESULTS_VERSION)
        file = study.figures / "epochs.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            others = pd.read_csv(file)
            found = pd.concat([others[others["system"] != name], found])
        write_atomically(file, found.to_csv(index=False, lineterminator="\n"))
        print(found[found["system"] == name].to_string(index=False), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
