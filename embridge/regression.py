"""Supervised regression of pose from EMG, the unimodal baselines' task (E 3.3; METHOD 7)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from embridge import distributed
from embridge.config import TrainConfig
from embridge.errors import InputError
from embridge.hand import FINGERTIPS, N_ANGLES, landmarks
from embridge.models.regressors import Regressor
from embridge.tasks import Reader, Streams, draw_rotations
from embridge.training import seed_of

FINGERTIP_WEIGHT = 0.01  # a mm: the published hand model's unit, and ours (embridge.hand)
FINGERTIP_STEP = 40  # samples between the poses whose fingertips are compared: 50 Hz, as published; of frames all are
AT_ONCE = 64  # windows in a validation batch: NeuroPose's first layers need 30 MB each


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


class RegressionTask:
    """Train a regressor on windows ``ids``; validate it, for early stopping, on ``validation_ids``.

    The target is the angles in rad; where J is not 20 it is the glove's z-scores, since its raw units mean nothing.
    No window of ``ids`` may be among ``validation_ids``; which users those are of is the caller's choice.
    """

    def __init__(
        self, model: Regressor, reader: Reader, ids: np.ndarray, validation_ids: np.ndarray, config: TrainConfig
    ):
        if not len(validation_ids) or np.intersect1d(ids, validation_ids).size:
            raise InputError(
                f"Validation windows: expected some, none of them trained on, found {len(validation_ids)} of which "
                f"{np.intersect1d(ids, validation_ids).size} are; take them from other users."
            )
        self.model, self.reader, self.config = model, reader, config
        self.n_samples, self.validation_ids = len(ids), np.asarray(validation_ids)
        self.emg, self.pose = reader.windows("emg", ids), reader.windows("pose", ids)
        self.placement = f"emg: {self.emg.placement}; pose: {self.pose.placement}"
        self.streams, self.step = Streams(config.seed, len(ids)), fingertip_step(reader)

    def load(self, samples: Tensor, epoch: int) -> dict[str, Tensor]:
        """The batch of samples (B,): stored EMG (B, C, T), rotated, and pose (B, J, T)."""
        rotations = draw_rotations(self.config, self.streams, samples, epoch)
        return {"emg": self.emg.take(samples, rotations, self.config.ring), "pose": self.pose.take(samples)}

    def seed_step(self, epoch: int, step: int) -> None:
        """Make dropout a function of (seed, epoch, step, rank): a resumed run draws what it would have drawn."""
        torch.manual_seed(seed_of("dropout", self.config.seed, epoch, step, distributed.rank()))

    def target(self, pose: Tensor) -> Tensor:
        """Stored pose (B, J, T) as it is predicted: rad, or z-scores where J is not 20."""
        return pose.float() if pose.shape[1] == N_ANGLES else self.reader.scale_pose(pose)

    def loss(self, batch: dict[str, Tensor], n: int):
        """The loss of this rank's batch, weighed by its share of the n samples of the global one, and its parts."""
        emg, pose = self.reader.scale_emg(batch["emg"]), self.target(batch["pose"])
        loss, parts = regression_loss(*predict(self.model, emg, pose), self.step)
        share = distributed.share(n)
        return share * loss, {name: share * value for name, value in parts.items()}

    @torch.no_grad()
    def validate(self) -> float:
        """The same loss, without rotation or dropout, over the validation windows."""
        self.model.eval()
        total = 0.0
        for start in range(0, len(self.validation_ids), AT_ONCE):
            ids = self.validation_ids[start : start + AT_ONCE]
            pose = self.target(self.reader.unscaled_pose(ids))
            loss, _ = regression_loss(*predict(self.model, self.reader.emg(ids), pose), self.step)
            total += loss.item() * len(ids)
        self.model.train()
        return total / len(self.validation_ids)


@torch.no_grad()
def angle_error(model: Regressor, reader: Reader, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of a regressor, a window at a time, so that users can be bootstrapped.

    Returns
    -------
    dict of ``degrees`` (n,), the mean absolute error over joints and covered samples, and ``fingertip_mm`` (n,), the
    fingertips' mean distance

    Raises
    ------
    InputError
        where the pose is not 20 angles: a glove's sensors have no degrees
    """
    n_joints = reader.pose_store.config.n_joints
    if n_joints != N_ANGLES:
        raise InputError(
            f"Angle error: expected {N_ANGLES} joint angles, found {n_joints} sensors of a glove "
            "without calibration; compare the probes instead."
        )
    model.eval()
    found = {"degrees": np.empty(len(ids)), "fingertip_mm": np.empty(len(ids))}
    for start in range(0, len(ids), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        pose = reader.unscaled_pose(ids[part])
        predicted, true = predict(model, reader.emg(ids[part]), pose)
        found["degrees"][part] = torch.rad2deg((predicted - true).abs().mean((1, 2))).cpu()
        found["fingertip_mm"][part] = fingertip_distance(predicted, true, fingertip_step(reader)).cpu()
    return found
