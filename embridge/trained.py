"""An experiment's model and task, and a finished one: what its model makes of a study's windows."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import Tensor, nn

from embridge import distributed
from embridge.data.batches import Reader
from embridge.data.hand import N_ANGLES
from embridge.errors import EMBridgeWarning, InputError
from embridge.experiments import MOST_USERS, Experiment
from embridge.files import exclusive, read_npz, write_atomically
from embridge.losses import OF_COMMUNITIES
from embridge.models import Encoder, embedding, new_model, own, regressor
from embridge.models.regressors import STARTS_AT_MEAN
from embridge.objectives import AlignTask, MAETask, RegressionTask, encode
from embridge.simulator.recordings import planned_simulated

if TYPE_CHECKING:
    from embridge.study import Study


def build(study: "Study", experiment: Experiment) -> tuple[nn.Module, Callable]:
    """The model before its training, around the encoders that it starts from, and a function that makes its task.

    Trains what the experiment needs where that is missing. Warns of samples that its patches leave over.
    """
    study = study.home(experiment)
    (shape, train), objective = study.configs(experiment), experiment.minimises(study.profile)
    read = {"emg-mae": ("emg",), "pose-mae": ("pose",), "regressor": ()}.get(experiment.kind, ("emg", "pose"))
    encoder = own.made(experiment.encoder, shape, experiment.kind)
    for name in read if encoder is None else ("pose",):  # another encoder cuts EMG as it likes
        tokens, of, seconds = getattr(shape, name), shape.window, shape.window / shape.sample_rate
        if tokens.n_tokens and (left := tokens.steps % tokens.patch):
            text = f"{name}_patch of {seconds * tokens.patch / tokens.steps:g} s leaves over the last "
            text += f"{round(of * left / tokens.steps)} of each window's {of} samples, which nothing reads"
            text += f"; set one that divides {seconds:g} s, or another window"
            warnings.warn(text, EMBridgeWarning, stacklevel=3)
    if experiment.kind == "regressor":
        model = regressor(experiment.name, shape)
    elif experiment.aligned:
        emg = experiment.emg_start if encoder is None else None
        starts = [start and study.run(start).model.encoder for start in (emg, experiment.pose_start)]
        moves = {"emg_frozen": experiment.emg_frozen, "pose_trained": experiment.pose_trained}
        model = new_model(experiment.kind, shape, encoder or starts[0], starts[1], **moves, **objective.head)
    else:
        model = new_model(experiment.kind, shape)

    def make_task():
        if not study.trains:
            raise InputError(f"{experiment.name} is not trained here; set train = True to train it")
        ids, reader = study.windows_of(experiment), study.reader(shape, train.emg_norm)
        if experiment.name in STARTS_AT_MEAN and shape.n_joints == N_ANGLES:  # a glove's z-scores have a mean of zero
            model.start_at(reader.pose_mean[:, 0])
        if experiment.kind == "regressor":
            return RegressionTask(model, reader, ids, study.validated()[1], train)
        if not experiment.aligned:
            return MAETask(model, reader, ids, experiment.kind.removesuffix("-mae"), train)
        space = experiment.pose_start, shape.pose_embedding
        v = study.frozen_embeddings(ids, *space)
        centroids = study.communities(objective, *space) if objective.soft_targets in OF_COMMUNITIES else None
        pairing = np.random.default_rng(study.seed).permutation(len(ids)) if experiment.shuffled else None
        return AlignTask(model, reader, ids, v, objective=objective, config=train, centroids=centroids, pairing=pairing)

    return model, make_task


@dataclass(frozen=True)
class Run:
    """A finished experiment: where it lies, what it logged, and its model (on the study's device, in eval mode).

    ``reader`` of True or False gives windows as it was trained on them, with or without their poses.
    """

    name: str
    key: str
    folder: Path
    model: nn.Module
    reader: Callable[[bool], Reader]

    @property
    def log(self) -> pd.DataFrame:
        """One row an epoch: epoch, step, lr, loss and its parts, seconds."""
        return pd.read_csv(self.folder / "log.csv")

    @property
    def done(self) -> dict:
        """The run's record: weights_sha256, seconds, steps, commit and what it was made on."""
        return json.loads((self.folder / "done.json").read_text(encoding="utf-8"))

    def queries(self, ids: np.ndarray) -> Tensor:
        """(n, M, d) what an aligned system retrieves with; M = 1 for CPEP."""
        return encode(self.model.queries, self.reader(False).emg, ids)

    def features(self, ids: np.ndarray) -> Tensor:
        """(n, d) what a linear probe sees of EMG."""
        function = self.model.features if hasattr(self.model, "features") else encoder_embedding(self.model.encoder)
        return encode(function, self.reader(False).emg, ids)

    def poses(self, ids: np.ndarray, how: str) -> Tensor:
        """(n, d) of a Pose-MAE, by "cls" or "mean", or of a system that trained a pose encoder of its own."""
        own = getattr(self.model, "pose_embedding", None)
        return encode(own or encoder_embedding(self.model.encoder, how), self.reader(True).pose, ids)

    def kept(self, name: str, make: Callable[[], np.ndarray], provenance: dict) -> np.ndarray:
        """An array that depends on these weights alone, made once and kept beside them; made again if damaged.

        Experiments that train side by side all want it: the first one makes it and the others wait.
        """
        file = self.folder / f"{name}.npz"
        with distributed.first(), exclusive(file.with_suffix(".lock")):
            if file.exists():
                try:
                    return read_npz(file)["array"]
                except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                    warnings.warn(f"{file} is damaged ({error}); made again", EMBridgeWarning, stacklevel=2)
            array, buffer = make(), io.BytesIO()
            made = json.dumps({"weights_sha256": self.done["weights_sha256"], **provenance}).encode()
            np.savez(buffer, array=array, provenance=np.frombuffer(made, np.uint8))
            write_atomically(file, buffer.getvalue())
            return array


def encoder_embedding(encoder: Encoder, how: str = "cls") -> Callable[[Tensor], Tensor]:
    """A function from an encoder's windows (B, C, T) to a vector each (B, d); "centred" without its centring."""
    return lambda x: embedding(encoder(x, cls_only=how != "mean"), how)


def remembered(
    function: Callable[[str, np.ndarray], Tensor], most: int, key: Callable[[str], str]
) -> Callable[[str, np.ndarray], Tensor]:
    """The function of a name and window ids (n,), which keeps its last ``most`` answers: not to be changed in place.

    ``key`` of a name is of the run that it stands for, since an experiment can be replaced by another of its name.
    """
    kept = lru_cache(maxsize=most)(lambda run, name, ids: function(name, np.frombuffer(ids, np.int64)))
    return lambda name, ids: kept(key(name), name, np.asarray(ids, np.int64).tobytes())


def grown(base: "Study", users: float, share: float) -> "Study":
    """A study whose pre-training is of ``users`` times ``base``'s users and a ``share`` of their recordings.

    The other parts of its splits are the same people's as ``base``'s. Fewer users are drawn with the seed from
    ``base``'s own; more come from one larger simulation for all sizes, which is never written: recordings
    are made as their windows are cut. Smaller draws lie in larger ones.
    """
    study = base.changed(base=base)
    if users > 1:
        n = base.simulation.train_users
        size = replace(base.simulation, more_train_users=round(MOST_USERS * n) - n)
        study.own_source = planned_simulated(base.simulation_folder, size)
    else:
        study.store, study.store_of = base.store, base.store_of
    table, ids, rng = study.store.table, study.splits.pretrain, np.random.default_rng(base.seed)
    own = np.unique(base.splits.table["user"].iloc[base.splits.pretrain])
    others = np.setdiff1d(table["user"].iloc[ids], own)
    chosen = [*rng.permutation(own), *rng.permutation(others)][: max(1, round(users * len(own)))]
    ids = paired_subset(table, ids[table["user"].iloc[ids].isin(chosen)], share, base.seed)
    study.splits = replace(study.splits, pretrain=ids)
    return study


def paired_subset(table: pd.DataFrame, ids: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The windows ``ids`` of a fraction of each gesture's recordings, of at least one; smaller ones lie in larger ones.

    E 4 downsamples "sessions within each gesture class": a recording is one session's of one gesture.
    """
    if fraction >= 1:
        return ids
    rows, rng, chosen = table.iloc[ids], np.random.default_rng(seed), []
    for _, recordings in rows.groupby("gesture")["recording"]:
        names = rng.permutation(np.sort(recordings.unique()))
        chosen += names[: max(1, round(fraction * len(names)))].tolist()
    return ids[rows["recording"].isin(chosen).to_numpy()]
