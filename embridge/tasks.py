"""What each stage of training minimises, told to the one loop in :mod:`embridge.training`.

A task knows its model, how many samples an epoch has, and the loss of a batch. Samples are positions in the
task's list of windows, so that masks and rotations are functions of (seed, epoch, sample) and of nothing else.
"""

from dataclasses import dataclass

import numpy as np
import torch

from embridge.config import ObjectiveConfig, TrainConfig
from embridge.losses import alignment_loss, pick_queries
from embridge.models.mae import MAE
from embridge.signals import normalise_emg, rotate_channels
from embridge.training import noise
from embridge.windows import WindowStore


@dataclass(frozen=True)
class Statistics:
    """Means and standard deviations of the pre-training windows: the only statistics that any split is scaled by.

    ``pose_mean``, ``pose_std``: (J,); ``emg_mean``, ``emg_std``: (C,), used where EMG is scaled by "train".
    """

    pose_mean: tuple[float, ...]
    pose_std: tuple[float, ...]
    emg_mean: tuple[float, ...]
    emg_std: tuple[float, ...]


def measure_statistics(store: WindowStore, ids: np.ndarray, *, chunk: int = 256) -> Statistics:
    """Mean and SD a joint and a channel over the windows ``ids``, in float64, a chunk at a time."""
    sums = {}
    for start in range(0, len(ids), chunk):
        part = ids[start : start + chunk]
        for name, x in (("pose", store.read_pose(part)), ("emg", store.read_emg(part))):
            x = x.double()
            total = torch.stack(
                [x.sum((0, 2)), x.square().sum((0, 2)), torch.full_like(x[0, :, 0], x.shape[0] * x.shape[2])]
            )
            sums[name] = sums.get(name, 0) + total
    found = {}
    for name, (s, s2, n) in sums.items():
        mean = s / n
        # a joint or channel that never moves gets SD 1: it stays at zero instead of becoming NaN
        std = (s2 / n - mean.square()).clamp_min(0).sqrt()
        std = torch.where(std > 1e-8, std, torch.ones_like(std))
        found[f"{name}_mean"], found[f"{name}_std"] = tuple(mean.tolist()), tuple(std.tolist())
    return Statistics(**found)


class Reader:
    """Windows as the encoders see them: normalised, on the device.

    Parameters
    ----------
    store : the window store
    statistics : of the pre-training split
    emg_norm : TrainConfig.emg_norm
    """

    def __init__(self, store: WindowStore, statistics: Statistics, emg_norm: str, device="cpu"):
        self.store, self.emg_norm, self.device = store, emg_norm, device
        self.pose_mean = torch.tensor(statistics.pose_mean)[:, None]
        self.pose_std = torch.tensor(statistics.pose_std)[:, None]
        self.emg_stats = {"mean": torch.tensor(statistics.emg_mean), "std": torch.tensor(statistics.emg_std)}

    def emg(self, ids, shifts: torch.Tensor | None = None, ring: int | None = None) -> torch.Tensor:
        """(B, C, T) normalised EMG of the windows ``ids``; channels rolled by ``shifts`` (B,) if given."""
        x = normalise_emg(self.store.read_emg(ids), self.emg_norm, self.emg_stats)
        if shifts is not None:
            x = rotate_channels(x, shifts, ring)
        return x.to(self.device, non_blocking=True)

    def pose(self, ids) -> torch.Tensor:
        """(B, J, T) pose, z-scored a joint with the pre-training statistics."""
        x = self.store.read_pose(ids).sub_(self.pose_mean).mul_(1 / self.pose_std)
        return x.to(self.device, non_blocking=True)


class _Streams:
    """This epoch's table of uniform numbers for each named stream, made once an epoch for all samples."""

    def __init__(self, seed: int, n_samples: int):
        self.seed, self.n_samples, self.epoch, self.tables = seed, n_samples, None, {}

    def take(self, stream: str, samples: torch.Tensor, epoch: int, width: int) -> torch.Tensor:
        if epoch != self.epoch:
            self.epoch, self.tables = epoch, {}
        if stream not in self.tables:
            self.tables[stream] = noise(self.seed, epoch, stream, self.n_samples, width)
        return self.tables[stream][samples]


def _rotations(config: TrainConfig, streams: _Streams, samples, epoch) -> torch.Tensor | None:
    if not config.rotate:
        return None
    u = streams.take("rotation", samples, epoch, 1)[:, 0]
    return torch.tensor(config.rotate)[(u * len(config.rotate)).long()]


class MAETask:
    """Masked autoencoding of one modality (E 2.1). ``modality`` is "emg" or "pose"."""

    def __init__(self, model: MAE, reader: Reader, ids: np.ndarray, modality: str, config: TrainConfig, n_tokens: int):
        self.model, self.reader, self.ids, self.modality, self.config = model, reader, ids, modality, config
        self.n_samples, self.n_tokens = len(ids), n_tokens
        self.streams = _Streams(config.seed, len(ids))

    def loss(self, samples: torch.Tensor, epoch: int):
        ids = self.ids[samples.numpy()]
        if self.modality == "emg":
            x = self.reader.emg(ids, _rotations(self.config, self.streams, samples, epoch), self.config.ring)
        else:
            x = self.reader.pose(ids)
        masking = self.streams.take("mask", samples, epoch, self.n_tokens).to(x.device)
        return self.model(x, masking), {}


class AlignTask:
    """Alignment of EMG with frozen pose embeddings: CPEP, Q-Former, EMBridge and every variant (E 2.2, C).

    Parameters
    ----------
    model : CPEP or QFormerModel
    ids : (n,) windows of the pre-training split
    pose_embeddings : (n, d) v of each, computed once: the pose encoder is frozen, so never in the loop
    n_pose_tokens : L of the pose, for MPRL's masks
    centroids : (N_c, d) communities, where the objective has them
    pairing : (n,) permutation: sample i is paired with pose ``pairing[i]``. The identity, but for the control
        that shuffles EMG against pose.
    """

    def __init__(
        self,
        model,
        reader: Reader,
        ids: np.ndarray,
        pose_embeddings: torch.Tensor,
        *,
        n_pose_tokens: int,
        objective: ObjectiveConfig,
        config: TrainConfig,
        centroids=None,
        pairing=None,
    ):
        self.model, self.reader, self.ids, self.config, self.objective = model, reader, ids, config, objective
        self.v = pose_embeddings.to(reader.device)
        self.n_pose_tokens = n_pose_tokens
        self.centroids = None if centroids is None else torch.as_tensor(centroids, device=reader.device)
        self.pairing = torch.arange(len(ids)) if pairing is None else torch.as_tensor(pairing)
        self.n_samples = len(ids)
        self.streams = _Streams(config.seed, len(ids))

    def loss(self, samples: torch.Tensor, epoch: int):
        shifts = _rotations(self.config, self.streams, samples, epoch)
        x = self.reader.emg(self.ids[samples.numpy()], shifts, self.config.ring)  # (B, C, T)
        paired = self.pairing[samples]
        v = self.v[paired.to(self.v.device)]  # (B, d)
        emg = self.model.encoder(x)  # (B, 1 + L, d)
        queries = self.model.query(emg)  # (B, M, d); M = 1 for CPEP
        u = pick_queries(queries, v)  # (B, d)
        loss, parts = alignment_loss(u, v, self.model.log_scale, self.objective, self.centroids)
        if self.objective.lam:
            pose = self.reader.pose(self.ids[paired.numpy()])  # (B, J, T)
            table = self.streams.take("mprl", samples, epoch, self.n_pose_tokens).to(x.device)
            # Q' is not detached, so the loss reaches the EMG encoder
            mprl = self.model.mprl(queries, pose, table, self.objective.mask_ratio, emg)
            loss, parts = loss + self.objective.lam * mprl, {**parts, "mprl": mprl.detach()}
        return loss, {**parts, "tau": (-self.model.log_scale.detach()).exp()}


@torch.inference_mode()
def encode(function, read, ids: np.ndarray, *, batch: int = 256) -> torch.Tensor:
    """Apply ``function`` to ``read(ids)`` a batch at a time; the outputs, concatenated on the CPU in float32."""
    parts = [function(read(ids[i : i + batch])).float().cpu() for i in range(0, len(ids), batch)]
    return torch.cat(parts)
