"""Trains the systems of :mod:`embridge.systems`, each once; its artefacts lie in ``runs/<name>-<key>/``.

The key is a hash of everything that decides the weights: the configuration, the window store, the split, the
runs it depends on and RESULTS_VERSION. Notebooks ask a :class:`Study` for a run by name and never train
by hand, so that two notebooks that need the same model share it.
"""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache

import filelock
import numpy as np
import pandas as pd
import torch

from embridge import distributed, losses, training
from embridge.bounds import read_npz
from embridge.checkpoint import write_atomically
from embridge.config import (
    REGRESSORS,
    RESULTS_VERSION,
    ModelConfig,
    ObjectiveConfig,
    TrainConfig,
    as_json,
    fingerprint,
    regression_config,
)
from embridge.dataset import Dataset
from embridge.errors import EMBridgeWarning, InputError
from embridge.models.cpep import CPEP
from embridge.models.mae import emg_mae, pose_mae
from embridge.models.qformer import QFormerModel
from embridge.models.regressors import regressor
from embridge.models.transformer import embedding, emg_encoder
from embridge.regression import RegressionTask
from embridge.runs import Run, slug
from embridge.signals import POWER_FLOOR, POWER_PARTS, log_power
from embridge.systems import ALIGNED, EXPERIMENTS, Experiment, trained_by
from embridge.tasks import AlignTask, MAETask, encode

__all__ = ["ALIGNED", "EXPERIMENTS", "Experiment", "Run", "Study", "slug", "trained_by"]


class Study(Dataset):
    """A dataset and the systems trained on it, by name; parameters and errors as :class:`~embridge.dataset.Dataset`."""

    @cached_property
    def _runs(self) -> dict[str, Run]:
        return {}

    def configs(self, experiment: Experiment) -> tuple[ModelConfig, TrainConfig]:
        """The shape of an experiment's model and how it trains: the profile's, with the experiment's changes."""
        stage = self.profile.mae if experiment.kind.endswith("-mae") else self.profile.align
        shape = replace(self.profile.model, emg_patch=self.profile.model.emg_patch * experiment.patch)
        if experiment.kind == "regressor":
            stage = regression_config(stage, experiment.name, self.profile.regressor_epochs)
            if experiment.name != "PoseT":  # published networks, made for samples (METHOD 1)
                shape = replace(shape, emg_tokens="waveform", pose_tokens="waveform")
        epochs = max(1, round(stage.epochs * experiment.epochs))
        # as many periods of the learning rate as ever; a short control has a part of one
        period = stage.t_0 * max(1, round(experiment.epochs))
        train = {"seed": self.seed, "epochs": epochs, "t_0": period, **experiment.train}
        return replace(shape, **experiment.model), replace(stage, **train)

    def cost(self, experiment: Experiment) -> float:
        """How long it trains, in epochs of EMG-MAE on log-power (measured at quick's size, one of two cores)."""
        with_pose = experiment.objective is not None and experiment.objective.lam > 0  # MPRL: a second pass
        kinds = {"pose-mae": 0.6, "cpep": 0.7, "qformer": 2.4 if with_pose else 1.4}
        an_epoch = kinds.get(experiment.kind, 1.0)
        # these always read waveforms
        an_epoch *= {"emg2pose": 70, "Vemg2pose": 160, "NeuroPose": 390}.get(experiment.name, 1)
        if self.configs(experiment)[0].kind == "waveform" and experiment.name not in REGRESSORS[1:]:
            an_epoch *= 3.5
        before = sum(self.cost(EXPERIMENTS[name]) for name in experiment.needs) if experiment.windows else 0.0
        return before + self.configs(experiment)[1].epochs * experiment.paired_fraction * an_epoch

    def choices(self, experiment: Experiment) -> dict:
        """What is chosen about an experiment, as plain JSON; needs neither recordings nor windows."""
        model, train = self.configs(experiment)
        return {
            "experiment": experiment.name,
            "kind": experiment.kind,
            "model": as_json(model),
            "train": as_json(train),
            "objective": as_json(experiment.objective) if experiment.objective else None,
            "pose_start": experiment.pose_start,
            "moves": [experiment.emg_frozen, experiment.pose_trained],
            "pairs": [experiment.shuffled, experiment.paired_fraction],
            "simulated": self.simulated,
            "results_version": RESULTS_VERSION,
        }

    def describe(self, experiment: Experiment) -> dict:
        """Everything that decides the experiment's weights, as plain JSON."""
        study = self.recut(experiment.windows)
        needs = {name: study.key(EXPERIMENTS[name]) for name in experiment.needs}
        return self.choices(experiment) | {"data": study.data_key, "needs": needs}

    def key(self, experiment: Experiment) -> str:
        """The run's key: a hash of :meth:`describe`."""
        return fingerprint(self.describe(experiment))

    def run(self, name: str | Experiment) -> Run:
        """The named experiment's run: loaded if it exists, else trained (with what it needs) and kept."""
        experiment = name if isinstance(name, Experiment) else self._known(name)
        if (study := self.recut(experiment.windows)) is not self:
            return study.run(experiment)
        if experiment.name not in self._runs:
            describe = self.describe(experiment)
            key = fingerprint(describe)
            folder = self.out / "runs" / f"{slug(experiment.name)}-{key}"
            for need in experiment.needs:
                self.run(need)
            # after the needs, so that initial weights do not depend on whether those were trained or loaded;
            # batches, masks and rotations have their own streams
            torch.manual_seed(self.seed)
            model, make_task = self.build(experiment)
            model.to(self.device)
            if not (folder / "done.json").exists():
                _, train = self.configs(experiment)
                if self.device != "cpu":
                    training.forget_compiled()
                training.train(make_task(), train, folder, device=self.device, describe=describe)
            training.load_weights(folder, model, describe)
            self._runs[experiment.name] = Run(experiment.name, key, folder, model.eval())
        return self._runs[experiment.name]

    @staticmethod
    def _known(name: str) -> Experiment:
        if name not in EXPERIMENTS:
            raise InputError(f"experiment: expected one of {', '.join(EXPERIMENTS)}, found {name!r}")
        return EXPERIMENTS[name]

    def windows_of(self, experiment: Experiment) -> np.ndarray:
        """(n,) the windows that an experiment trains on; InputError where they would leak."""
        if experiment.kind == "regressor":
            ids = self._validated()[0]
        else:
            ids = paired_subset(self.store.table, self.splits.pretrain, experiment.paired_fraction, self.seed)
        return self.splits.learn_from(ids, experiment.name)

    def build(self, experiment: Experiment) -> tuple[torch.nn.Module, Callable]:
        """The model before its training, around the encoders that it starts from, and a function that makes its task.

        Trains what the experiment needs where that is missing.
        """
        shape, train = self.configs(experiment)
        if experiment.kind in ("emg-mae", "pose-mae"):
            modality = experiment.kind.removesuffix("-mae")
            model = emg_mae(shape) if modality == "emg" else pose_mae(shape)
            return model, lambda: MAETask(
                model, self.reader(shape, train.emg_norm), self.windows_of(experiment), modality, train
            )
        if experiment.kind == "regressor":
            model = regressor(experiment.name, shape)
            return model, lambda: RegressionTask(
                model, self.reader(shape, train.emg_norm), self.windows_of(experiment), self._validated()[1], train
            )
        encoder = self.run(experiment.emg_start).model.encoder if experiment.emg_start else None  # it trains a copy
        objective = experiment.objective
        temperature = {"tau_init": objective.tau_init, "tau_learned": objective.tau_learned}
        pose_encoder = self.run(experiment.pose_start).model.encoder
        if experiment.kind == "cpep":
            own = pose_encoder if experiment.pose_trained else None
            model = CPEP(shape, encoder, own, emg_frozen=experiment.emg_frozen, **temperature)
        else:
            model = QFormerModel(shape, encoder, pose_encoder, **temperature)

        def make_task():
            pairs = self.windows_of(experiment)
            of_communities = objective.soft_targets == "communities"
            space = experiment.pose_start, shape.pose_embedding
            centroids = self.communities(objective, *space) if of_communities else None
            pairing = np.random.default_rng(self.seed).permutation(len(pairs)) if experiment.shuffled else None
            return AlignTask(
                model,
                self.reader(shape, train.emg_norm),
                pairs,
                self._frozen_embeddings(pairs, *space),
                objective=objective,
                config=train,
                centroids=centroids,
                pairing=pairing,
            )

        return model, make_task

    def _validated(self) -> tuple[np.ndarray, np.ndarray]:
        """Windows that a regressor trains on and those that stop it early: D_tune, else the last user's."""
        ids, tune = self.splits.pretrain, np.concatenate(list(self.splits.tune.values()))
        if len(tune):
            return ids, self.splits.learn_from(tune, "early stopping", tuning=True)
        users = self.store.table["user"].to_numpy()[ids]
        return ids[users != users[-1]], ids[users == users[-1]]

    def pose_space(self, system: str = "Pose-MAE") -> tuple[str, str]:
        """What embeds poses for a system, a run's name and how: two systems with one answer share a gallery."""
        experiment = self._known(system)
        how = self.configs(experiment)[0].pose_embedding
        if experiment.pose_trained or experiment.kind == "pose-mae":
            return system, how
        return experiment.pose_start, how

    def pose_embeddings(self, ids, system: str = "Pose-MAE") -> torch.Tensor:
        """(n, d) v of each window, as ``system`` sees poses: by the frozen Pose-MAE (METHOD 2: [CLS] by default)."""
        if self._known(system).pose_trained:
            return encode(self.run(system).model.pose_embedding, self._poses_of(system), np.asarray(ids))
        return self._frozen_embeddings(ids, *self.pose_space(system))

    def _poses_of(self, system: str) -> Callable:
        """What reads poses as the named system's pose encoder was trained on them."""
        return self.reader(self.configs(self._known(system))[0]).pose

    def _frozen_embeddings(self, ids, system: str, how: str) -> torch.Tensor:
        if how != "centred":
            return self._pose_tokens(ids, system, how)
        known = self.splits.learn_from(self.splits.pretrain, "centring")
        return self._pose_tokens(ids, system, "cls") - self._pose_tokens(known, system, "cls").mean(0, keepdim=True)

    def _pose_tokens(self, ids, system: str, how: str) -> torch.Tensor:
        """(n, d) of a Pose-MAE by "cls" or "mean"; those of the pre-training split are computed once for all runs."""
        ids, known = np.asarray(ids), self.splits.pretrain
        encoder, poses = self.run(system).model.encoder, self._poses_of(system)
        read = _cls(encoder) if how == "cls" else lambda x: embedding(encoder(x), how)
        if len(ids) and np.isin(ids, known).all():
            kept = self._kept(system, f"embeddings-{how}", lambda: encode(read, poses, known).numpy())
            return torch.from_numpy(kept[np.searchsorted(known, ids)])
        return encode(read, poses, ids)

    def _kept(self, system: str, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """An array that depends on a Pose-MAE alone, made once and kept beside its weights; made again if damaged.

        Experiments that train side by side all want it: the first one makes it and the others wait.
        """
        file = self.run(system).folder / f"{name}.npz"
        with distributed.first(), filelock.FileLock(file.with_suffix(".lock")):
            if file.exists():
                try:
                    return read_npz(file)["array"]
                except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                    warnings.warn(f"{file} is damaged ({error}); made again", EMBridgeWarning, stacklevel=2)
            array, buffer = make(), io.BytesIO()
            made = {"seed": self.seed, "weights_sha256": self.run(system).done["weights_sha256"], **self.made_from}
            np.savez(buffer, array=array, provenance=np.frombuffer(json.dumps(made).encode(), np.uint8))
            write_atomically(file, buffer.getvalue())
            return array

    def emg_queries(self, name: str, ids) -> torch.Tensor:
        """(n, M, d) what an aligned system retrieves with (M = 1 for CPEP); not to be changed in place."""
        return self._queries(name, np.asarray(ids, dtype=np.int64).tobytes())

    @cached_property
    def _queries(self) -> Callable[[str, bytes], torch.Tensor]:
        """Encodes windows, and keeps D_eval's and D_tune's of the system in hand: each k and page asks for them."""
        return lru_cache(maxsize=2)(
            lambda name, ids: encode(self.run(name).model.queries, self._emg_of(name), np.frombuffer(ids, np.int64))
        )

    def features(self, name: str, ids) -> torch.Tensor:
        """(n, d) what a linear probe sees of the named system; not to be changed in place."""
        if self._known(name).kind == "pose-mae":
            return self.pose_embeddings(np.asarray(ids), name)
        return self._features(name, np.asarray(ids, dtype=np.int64).tobytes())

    @cached_property
    def _features(self) -> Callable[[str, bytes], torch.Tensor]:
        """Encodes windows for a probe, and keeps the vectors of a page's systems: few-shot reads them again."""

        def read(name: str, ids: bytes) -> torch.Tensor:
            model = self.run(name).model
            function = model.features if hasattr(model, "features") else _cls(model.encoder)
            return encode(function, self._emg_of(name), np.frombuffer(ids, np.int64))

        return lru_cache(maxsize=64)(read)

    def _emg_of(self, name: str) -> Callable:
        """What reads EMG windows as the named system was trained on them."""
        shape, train = self.configs(self._known(name))
        return self.reader(shape, train.emg_norm, with_pose=False).emg

    def untrained_features(self, ids) -> torch.Tensor:
        """(n, d) [CLS] of an EMG encoder with its initial weights: a control for the probe."""
        torch.manual_seed(self.seed)
        encoder = emg_encoder(self.profile.model).to(self.device).eval()
        return encode(_cls(encoder), self.reader(with_pose=False).emg, np.asarray(ids))

    def band_power(self, ids) -> np.ndarray:
        """(n, C * 8) log-power of eight equal parts of each window: what the line without a network sees (METHOD 1)."""
        ids = np.asarray(ids, dtype=np.int64)
        if self.store.kind == "features":
            found = self.store.power_f16[ids].astype(np.float64)
            return found.reshape(len(ids), found.shape[1] * POWER_PARTS)
        windows = (log_power(self.store.read_emg([i])[0].numpy(), POWER_PARTS) for i in ids)
        flat = np.full(self.store.config.n_channels * POWER_PARTS, np.log(POWER_FLOOR))  # of a window without a signal
        return np.array([flat if power is None else power.ravel() for power in windows]).reshape(-1, len(flat))

    def communities(self, objective: ObjectiveConfig, system: str = "Pose-MAE", how: str | None = None) -> np.ndarray:
        """(N_c, d) k-means centroids of the pre-training poses: 6 a gesture, at most a tenth of the windows.

        ``system``: the Pose-MAE that embeds them; ``how``: a ModelConfig.pose_embedding; None: the profile's.
        """
        ids = self.splits.learn_from(self.splits.pretrain, "communities")
        how = how or self.profile.model.pose_embedding
        gestures = self.store.table.iloc[ids]["gesture"]
        n = objective.n_communities or 6 * gestures.nunique()
        n = max(1, min(n, len(ids) // 10))
        return self._kept(
            system,
            f"communities-{how}-{n}-{self.seed}",
            lambda: losses.communities(self._frozen_embeddings(ids, system, how).numpy(), n, self.seed),
        )


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


def _cls(encoder):
    """What reads [CLS] (B, d) of an encoder's windows (B, C, T)."""
    return lambda x: encoder(x, cls_only=True)[:, 0]
