"""The objective that each stage of training minimises, told to the one loop in :mod:`embridge.training`.

A task knows its model, how many samples an epoch has, how to load a batch (read ahead, in a thread) and the loss of
one (tensors on the device, compiled on a GPU). Samples are positions in the task's list of windows, so that masks and
rotations are functions of (seed, epoch, sample) and of nothing else.
"""

from dataclasses import dataclass

import numpy as np
import torch

from embridge import distributed
from embridge.config import ObjectiveConfig, TrainConfig
from embridge.errors import InputError
from embridge.loading import Windows, to_device
from embridge.losses import alignment_loss, pick_queries
from embridge.models.mae import MAE
from embridge.signals import normalise_emg
from embridge.training import noise
from embridge.windows import WindowStore


@dataclass(frozen=True)
class Statistics:
    """Means and standard deviations of the pre-training windows: the only statistics that any split is scaled by.

    Of waveforms, or of log-power and frames (:attr:`~embridge.store.WindowStore.kind`). ``pose_mean``, ``pose_std``:
    (J,); ``emg_mean``, ``emg_std``: (C,), used where waveforms are scaled by "train".
    """

    pose_mean: tuple[float, ...]
    pose_std: tuple[float, ...]
    emg_mean: tuple[float, ...]
    emg_std: tuple[float, ...]


def measure_statistics(store: WindowStore, ids: np.ndarray, *, chunk: int = 256) -> Statistics:
    """Mean and SD a joint and a channel over the windows ``ids``, in float64, a chunk at a time."""
    found = {}
    for name, read in (("pose", store.read_pose), ("emg", store.read_emg)):
        n, total, squares = 0, 0.0, 0.0
        for start in range(0, len(ids), chunk):
            x = read(ids[start : start + chunk]).double()  # (B, C, T)
            n, total, squares = n + x[:, 0].numel(), total + x.sum((0, 2)), squares + x.square().sum((0, 2))
        mean = total / n
        # a joint or channel that never moves gets SD 1: it stays at zero instead of becoming NaN
        std = (squares / n - mean.square()).clamp_min(0).sqrt()
        std = torch.where(std > 1e-8, std, torch.ones_like(std))
        found |= {f"{name}_mean": tuple(mean.tolist()), f"{name}_std": tuple(std.tolist())}
    return Statistics(**found)


class Reader:
    """Windows as the encoders see them: the front end's arrays, normalised, on the device.

    Parameters
    ----------
    emg, pose : the window stores that EMG and pose are read from; one and the same where both front ends are alike
    scales : Statistics of the pre-training split by "pose" and, where EMG is scaled by "train", "emg"
    emg_norm : "log-power", which is stored as the encoders see it, or for waveforms TrainConfig.emg_norm
    """

    def __init__(self, emg: WindowStore, pose: WindowStore, scales: dict[str, Statistics], emg_norm: str, device="cpu"):
        self.emg_store, self.pose_store, self.emg_norm, self.device = emg, pose, emg_norm, device
        self.emg_stats = None
        if "pose" in scales:
            self.pose_mean = torch.tensor(scales["pose"].pose_mean, device=device)[:, None]  # (J, 1)
            self.pose_std = torch.tensor(scales["pose"].pose_std, device=device)[:, None]
        if "emg" in scales:
            given = {"mean": scales["emg"].emg_mean, "std": scales["emg"].emg_std}
            self.emg_stats = {name: torch.tensor(values, device=device) for name, values in given.items()}

    def emg(self, ids) -> torch.Tensor:
        """(B, C, T) normalised EMG of the windows ``ids``, or their log-power (B, C, bins)."""
        return self.scale_emg(self.emg_store.read_emg(ids).to(self.device))

    def pose(self, ids) -> torch.Tensor:
        """(B, J, T) pose or (B, J, bins) frames, z-scored a joint with the pre-training statistics."""
        return self.scale_pose(self.unscaled_pose(ids))

    def unscaled_pose(self, ids) -> torch.Tensor:
        """The same in the recordings' unit: rad, or a glove's raw numbers."""
        return self.pose_store.read_pose(ids).to(self.device)

    def scale_emg(self, x: torch.Tensor) -> torch.Tensor:
        """Stored EMG (B, C, steps), float16 or float32 on the device, as encoders see it; float32."""
        return x.float() if self.emg_norm == "log-power" else normalise_emg(x, self.emg_norm, self.emg_stats)

    def scale_pose(self, x: torch.Tensor) -> torch.Tensor:
        """Stored pose (B, J, steps), z-scored, float32."""
        return x.to(torch.float32, copy=True).sub_(self.pose_mean).mul_(1 / self.pose_std)

    def windows(self, modality: str, ids: np.ndarray) -> Windows:
        """The stored "emg" or "pose" of ``ids``, for a task to take batches of."""
        return Windows(self.emg_store.emg_f16 if modality == "emg" else self.pose_store.pose_f16, ids, self.device)


class EMGAlone:
    """A store's EMG and nothing else: at test no pair may be used (METHOD 4)."""

    def __init__(self, store: WindowStore):
        self.kind, self.read_emg = store.kind, store.read_emg

    def __getattr__(self, name: str):
        raise InputError(f"leak: a probe or a query asked for {name} of its windows; it may read their EMG alone")


class Streams:
    """This epoch's table of uniform numbers for each named stream, made once an epoch for all samples."""

    def __init__(self, seed: int, n_samples: int):
        self.seed, self.n_samples, self.epoch, self.tables = seed, n_samples, None, {}

    def take(self, stream: str, samples: torch.Tensor, epoch: int, width: int) -> torch.Tensor:
        if epoch != self.epoch:
            self.epoch, self.tables = epoch, {}
        if stream not in self.tables:
            self.tables[stream] = noise(self.seed, epoch, stream, self.n_samples, width)
        return self.tables[stream][samples]


def draw_rotations(config: TrainConfig, streams: Streams, samples, epoch) -> torch.Tensor | None:
    """By how many places each sample's ring of channels turns, (B,) long; None where the configuration has none."""
    if not config.rotate:
        return None
    u = streams.take("rotation", samples, epoch, 1)[:, 0]
    return torch.tensor(config.rotate)[(u * len(config.rotate)).long()]


class MAETask:
    """Masked autoencoding of one modality (E 2.1). ``modality`` is "emg" or "pose"."""

    def __init__(self, model: MAE, reader: Reader, ids: np.ndarray, modality: str, config: TrainConfig):
        self.model, self.reader, self.modality, self.config = model, reader, modality, config
        self.n_samples, self.n_tokens = len(ids), model.encoder.tokenizer.n_tokens
        self.windows = reader.windows(modality, ids)
        self.placement = f"{modality}: {self.windows.placement}"
        self.streams = Streams(config.seed, len(ids))

    def load(self, samples: torch.Tensor, epoch: int) -> dict[str, torch.Tensor]:
        """The batch of samples (B,): stored windows (B, C, T) and masking noise (B, L), on the device."""
        rotations = draw_rotations(self.config, self.streams, samples, epoch) if self.modality == "emg" else None
        masking = self.streams.take("mask", samples, epoch, self.n_tokens)
        return {
            "windows": self.windows.take(samples, rotations, self.config.ring),
            "mask": to_device(masking, self.reader.device),
        }

    def loss(self, batch: dict[str, torch.Tensor], n: int):
        """The masked error of this rank's batch, weighed by its share of the n samples of the global one; no parts."""
        scale = self.reader.scale_emg if self.modality == "emg" else self.reader.scale_pose
        return distributed.share(n) * self.model(scale(batch["windows"]), batch["mask"]), {}


class AlignTask:
    """Alignment of EMG with frozen pose embeddings: CPEP, Q-Former, EMBridge and every variant (E 2.2, C).

    Parameters
    ----------
    model : CPEP or QFormerModel
    ids : (n,) windows of the pre-training split
    pose_embeddings : (n, d) v of each, computed once: the pose encoder is frozen, so never in the loop
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
        objective: ObjectiveConfig,
        config: TrainConfig,
        centroids=None,
        pairing=None,
    ):
        self.model, self.reader, self.config, self.objective = model, reader, config, objective
        self.v = pose_embeddings
        self.centroids = None if centroids is None else torch.as_tensor(centroids, device=reader.device)
        self.pairing = torch.arange(len(ids)) if pairing is None else torch.as_tensor(pairing)
        self.n_samples = len(ids)
        self.emg = reader.windows("emg", ids)
        # only MPRL and a pose encoder that trains look at the pose itself
        self.trains_pose = getattr(model, "pose_encoder", None) is not None
        self.pose = reader.windows("pose", ids) if objective.lam or self.trains_pose else None
        self.placement = f"emg: {self.emg.placement}" + (f"; pose: {self.pose.placement}" if self.pose else "")
        self.streams = Streams(config.seed, len(ids))

    def load(self, samples: torch.Tensor, epoch: int) -> dict[str, torch.Tensor]:
        """The batch of samples (B,): EMG (B, C, T), v (B, d), pose (B, J, T) if looked at, MPRL's noise (B, L)."""
        rotations = draw_rotations(self.config, self.streams, samples, epoch)
        paired = self.pairing[samples]
        batch = {
            "emg": self.emg.take(samples, rotations, self.config.ring),
            "v": to_device(self.v[paired], self.reader.device),
        }
        if self.pose:
            batch["pose"] = self.pose.take(paired)
        if self.objective.lam:
            masking = self.streams.take("mprl", samples, epoch, self.model.pose_tokenizer.n_tokens)
            batch["mask"] = to_device(masking, self.reader.device)
        return batch

    def loss(self, batch: dict[str, torch.Tensor], n: int):
        """The objective of a global batch of n samples, of which this rank holds a part, and its parts by name."""
        emg = self.model.encode(self.reader.scale_emg(batch["emg"]))  # (B, 1 + L, d), or [CLS] alone for CPEP
        queries = self.model.query(emg)  # (B, M, d); M = 1 for CPEP
        pose = self.reader.scale_pose(batch["pose"]) if self.pose else None
        v = self.model.pose_embedding(pose) if self.trains_pose else batch["v"]
        # autocast would multiply even float32 in bf16: its 8 bits move logits by a quarter and communities' ranks
        with torch.autocast(queries.device.type, enabled=False):
            u = pick_queries(queries, v)  # (B, d)
            # negatives and soft targets are those of the global batch, wherever its windows are
            u, v = distributed.gather(u, n), distributed.gather(v, n)
            loss, parts = alignment_loss(u, v, self.model.log_scale, self.objective, self.centroids)
        if self.objective.lam:
            # Q' is not detached, so the loss reaches the EMG encoder
            mprl = self.model.mprl(queries, pose, batch["mask"], self.objective.mask_ratio, emg)
            mprl = distributed.share(n) * mprl
            loss, parts = loss + self.objective.lam * mprl, {**parts, "mprl": mprl.detach()}
        return loss, {**parts, "tau": (-self.model.log_scale.detach()).exp()}


@torch.inference_mode()
def encode(function, read, ids: np.ndarray, *, batch: int = 256) -> torch.Tensor:
    """Apply ``function`` to ``read(ids)`` a batch at a time; the outputs, concatenated on the CPU in float32."""
    parts = [function(read(ids[i : i + batch])).float().cpu() for i in range(0, len(ids), batch)]
    return torch.cat(parts)
