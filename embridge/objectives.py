"""The objective of each stage of training (masking, alignment, regression), told to :mod:`embridge.training`'s loop.

An objective knows its model, how many samples an epoch has, how to load a batch (read ahead, in a thread) and the loss
of one (tensors on the device, compiled on a GPU). Samples are positions in its list of windows, so that masks and
rotations are functions of (seed, epoch, sample) and of nothing else.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from embridge import distributed
from embridge.config import ObjectiveConfig, TrainConfig
from embridge.data.batches import Reader, draw_rotations, epoch_noise, seed_of, to_device
from embridge.data.hand import FINGERTIPS, N_ANGLES, landmarks
from embridge.errors import InputError
from embridge.losses import alignment_loss, pick_queries
from embridge.models.mae import MAE
from embridge.models.regressors import Regressor

FINGERTIP_WEIGHT = 0.01  # a mm: the published hand model's unit, and ours (embridge.data.hand)
FINGERTIP_STEP = 40  # samples between the poses whose fingertips are compared: 50 Hz, as published; of frames all are
AT_ONCE = 64  # windows in a validation batch: NeuroPose's first layers need 30 MB each


@torch.inference_mode()
def encode(function, read, ids: np.ndarray, *, batch: int = 256) -> Tensor:
    """Apply ``function`` to ``read(ids)`` a batch at a time; the outputs, concatenated on the CPU in float32."""
    parts = [function(read(ids[i : i + batch])).float().cpu() for i in range(0, len(ids), batch)]
    return torch.cat(parts)


class MAETask:
    """Masked autoencoding of one modality (E 2.1). ``modality`` is "emg" or "pose"."""

    def __init__(self, model: MAE, reader: Reader, ids: np.ndarray, modality: str, config: TrainConfig):
        self.model, self.reader, self.modality, self.config = model, reader, modality, config
        self.n_samples, self.n_tokens = len(ids), model.encoder.tokenizer.n_tokens
        self.windows = reader.windows(modality, ids)
        self.placement = f"{modality}: {self.windows.placement}"

    def load(self, samples: Tensor, epoch: int) -> dict[str, Tensor]:
        """The batch of samples (B,): stored windows (B, C, T) and masking noise (B, L), on the device."""
        emg = self.modality == "emg"
        rotations = draw_rotations(self.config, self.n_samples, samples, epoch) if emg else None
        masking = epoch_noise(self.config.seed, epoch, "mask", self.n_samples, self.n_tokens)[samples]
        return {
            "windows": self.windows.take(samples, rotations, self.config.ring),
            "mask": to_device(masking, self.reader.device),
        }

    def loss(self, batch: dict[str, Tensor], n: int):
        """The masked error of this rank's batch, weighed by its share of the n samples of the global one; no parts."""
        scale = self.reader.scale_emg if self.modality == "emg" else self.reader.scale_pose
        return distributed.share(n) * self.model(scale(batch["windows"]), batch["mask"]), {}


class AlignTask:
    """Alignment of EMG with frozen pose embeddings: CPEP, Q-Former, EMBridge and every variant (E 2.2, C).

    model : CPEP or QFormerModel
    ids : (n,) windows of the pre-training split
    pose_embeddings : (n, d) v of each, computed once: the pose encoder is frozen, so never in the loop
    objective, config : ObjectiveConfig and TrainConfig
    centroids : (N_c, d) communities, where the objective has them
    pairing : (n,) permutation: sample i is paired with pose ``pairing[i]``. The identity, but for the control
        that shuffles EMG against pose.
    """

    def __init__(
        self,
        model,
        reader: Reader,
        ids: np.ndarray,
        pose_embeddings: Tensor,
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

    def load(self, samples: Tensor, epoch: int) -> dict[str, Tensor]:
        """The batch of samples (B,): EMG (B, C, T), v (B, d), pose (B, J, T) if looked at, MPRL's noise (B, L)."""
        rotations = draw_rotations(self.config, self.n_samples, samples, epoch)
        paired = self.pairing[samples]
        batch = {
            "emg": self.emg.take(samples, rotations, self.config.ring),
            "v": to_device(self.v[paired], self.reader.device),
        }
        if self.pose:
            batch["pose"] = self.pose.take(paired)
        if self.objective.lam:
            n_tokens = self.model.pose_tokenizer.n_tokens
            masking = epoch_noise(self.config.seed, epoch, "mprl", self.n_samples, n_tokens)[samples]
            batch["mask"] = to_device(masking, self.reader.device)
        return batch

    def loss(self, batch: dict[str, Tensor], n: int):
        """The objective of a global batch of n samples, of which this rank holds a part, and its parts by name."""
        emg = self.model.encode(self.reader.scale_emg(batch["emg"]))  # (B, 1 + L, d), or [CLS] alone for CPEP
        queries = self.model.query(emg)  # (B, M, d); M = 1 for CPEP
        pose = self.reader.scale_pose(batch["pose"]) if self.pose else None
        v = self.model.pose_embedding(pose) if self.trains_pose else batch["v"]
        # autocast would multiply even float32 in bf16: its 8 bits move logits by a quarter and communities' ranks
        with torch.autocast(queries.device.type, enabled=False):
            u = pick_queries(queries, v)  # (B, d)
            bias = getattr(self.model, "logit_bias", None)
            # negatives and soft targets are those of the global batch, wherever its windows are
            u, v = distributed.gather(u, n), distributed.gather(v, n)
            loss, parts = alignment_loss(u, v, self.model.log_scale, self.objective, self.centroids, bias)
        if self.objective.lam:
            # Q' is not detached, so the loss reaches the EMG encoder
            mprl = self.model.mprl(queries, pose, batch["mask"], self.objective.mask_ratio, emg)
            mprl = distributed.share(n) * mprl
            loss, parts = loss + self.objective.lam * mprl, {**parts, "mprl": mprl.detach()}
        return loss, {**parts, "tau": (-self.model.log_scale.detach()).exp()}


# ---- Supervised regression of pose from EMG, the unimodal baselines (E 3.3; METHOD 7)


def fingertip_distance(predicted: Tensor, true: Tensor, step: int = FINGERTIP_STEP) -> Tensor:
    """Mean distance of the five fingertips, mm, over every ``step``-th pose of angles (B, 20, T), rad; returns (B,)."""
    tips = [landmarks(x[..., ::step].mT)[..., FINGERTIPS, :] for x in (predicted, true)]  # (B, T / step, 5, 3)
    return torch.linalg.vector_norm(tips[0] - tips[1], dim=-1).mean((1, 2))


def regression_loss(predicted: Tensor, true: Tensor, step: int = FINGERTIP_STEP) -> tuple[Tensor, dict[str, Tensor]]:
    """L1 plus 0.01 times the fingertips' distance in mm of angles (B, J, T); a scalar and its parts.

    Where J is not 20 there is no hand to place fingertips on, and L1 is all. Every frame counts: windows hold no
    failure of inverse kinematics (METHOD 1), which the published loss masks.
    """
    loss = F.l1_loss(predicted, true)
    if true.shape[1] != N_ANGLES:
        return loss, {}
    tips = fingertip_distance(predicted, true, step).mean()
    return loss + FINGERTIP_WEIGHT * tips, {"l1": loss.detach(), "fingertip_mm": tips.detach()}


def predict(model: Regressor, emg: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and true angles of the samples or frames that the model covers, each (B, J, n_covered).

    emg: (B, C, steps) as the model reads it; pose: (B, J, T), of which a tracking network sees the first.
    """
    first_pose = pose[..., model.left_context] if model.tracks else None
    return model.predict(emg, first_pose), pose[..., model.covered(pose.shape[-1])]


def fingertip_step(reader: Reader) -> int:
    """Steps of the reader's pose between two whose fingertips are compared."""
    return FINGERTIP_STEP if reader.pose_store.kind == "waveform" else 1


def target(reader: Reader, pose: Tensor) -> Tensor:
    """Stored pose (B, J, T) as it is predicted: rad, or z-scores where J is not 20."""
    return pose.float() if pose.shape[1] == N_ANGLES else reader.scale_pose(pose)


def predicted_and_true(model: Regressor, reader: Reader, ids: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
    """What :func:`predict` gives of windows ``ids``, AT_ONCE at a time, without dropout."""
    model.eval()
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        yield predict(model, reader.emg(part), target(reader, reader.unscaled_pose(part)))


class RegressionTask:
    """Train a regressor on windows ``ids``; validate it, for early stopping, on ``validation_ids``.

    The target is the angles in rad; where J is not 20 it is the glove's z-scores, since its raw units mean nothing.
    No window of ``ids`` may be among ``validation_ids``; which users those are of is the caller's choice.
    """

    # In bf16 on a CPU: products that autocast leaves in float32, a recurrent decoder's, read their factors as bf16, too
    reads_as_bf16 = True

    def __init__(
        self, model: Regressor, reader: Reader, ids: np.ndarray, validation_ids: np.ndarray, config: TrainConfig
    ):
        if (both := np.intersect1d(ids, validation_ids)).size or not len(validation_ids):
            found = f"found {len(validation_ids)} of which {both.size} are"
            raise InputError(f"Validation windows: expected some, none of them trained on, {found}; take other users'.")
        self.model, self.reader, self.config = model, reader, config
        self.n_samples, self.validation_ids = len(ids), np.asarray(validation_ids)
        self.emg, self.pose = reader.windows("emg", ids), reader.windows("pose", ids)
        self.placement = f"emg: {self.emg.placement}; pose: {self.pose.placement}"
        self.step = fingertip_step(reader)

    def load(self, samples: Tensor, epoch: int) -> dict[str, Tensor]:
        """The batch of samples (B,): stored EMG (B, C, T), rotated, and pose (B, J, T)."""
        rotations = draw_rotations(self.config, self.n_samples, samples, epoch)
        return {"emg": self.emg.take(samples, rotations, self.config.ring), "pose": self.pose.take(samples)}

    def seed_step(self, epoch: int, step: int) -> None:
        """Make dropout a function of (seed, epoch, step, rank): a resumed run draws what it would have drawn."""
        torch.manual_seed(seed_of("dropout", self.config.seed, epoch, step, distributed.rank()))

    def loss(self, batch: dict[str, Tensor], n: int):
        """The loss of this rank's batch, weighed by its share of the n samples of the global one, and its parts."""
        emg, pose = self.reader.scale_emg(batch["emg"]), target(self.reader, batch["pose"])
        loss, parts = regression_loss(*predict(self.model, emg, pose), self.step)
        share = distributed.share(n)
        return share * loss, {name: share * value for name, value in parts.items()}

    @torch.no_grad()
    def validate(self) -> float:
        """The same loss, without rotation or dropout, over the validation windows."""
        total = 0.0
        for predicted, true in predicted_and_true(self.model, self.reader, self.validation_ids):
            total += regression_loss(predicted, true, self.step)[0].item() * len(true)
        self.model.train()
        return total / len(self.validation_ids)


@torch.no_grad()
def beats_constant(model: Regressor, reader: Reader, ids: np.ndarray) -> bool:
    """Whether a regressor's mean absolute error on windows ``ids`` is below that of any constant pose.

    The best constant is each joint's median over these very windows, so that no network which answers every window
    alike is below it, whatever it was trained on. Compared at the samples whose fingertips are (or all frames).
    """
    step, error, poses = fingertip_step(reader), 0.0, []
    for both in predicted_and_true(model, reader, ids):
        predicted, true = (angles[..., ::step].float() for angles in both)
        error += (predicted - true).abs().double().sum().item()
        poses.append(true.transpose(0, 1).flatten(1).cpu())  # (J, windows * steps)
    poses = torch.cat(poses, dim=1)
    return error < (poses - poses.median(dim=1, keepdim=True).values).abs().double().sum().item()


@torch.no_grad()
def angle_error(model: Regressor, reader: Reader, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of a regressor, a window at a time, so that users can be bootstrapped.

    ``degrees`` (n,) is the mean absolute error over joints and covered samples, ``fingertip_mm`` (n,) the fingertips'
    mean distance. Raises InputError where the pose is not 20 angles: a glove's sensors have no degrees.
    """
    if (n_joints := reader.pose_store.config.n_joints) != N_ANGLES:
        found = f"found {n_joints} sensors of a glove without calibration; compare the probes instead."
        raise InputError(f"Angle error: expected {N_ANGLES} joint angles, {found}")
    degrees, distances = [], []
    for predicted, true in predicted_and_true(model, reader, ids):
        degrees += torch.rad2deg((predicted - true).abs().mean((1, 2))).tolist()
        distances += fingertip_distance(predicted, true, fingertip_step(reader)).tolist()
    return {"degrees": np.array(degrees), "fingertip_mm": np.array(distances)}
