"""The networks: tokenizer and transformer, masked autoencoder, CPEP, Q-Former, and the supervised pose regressors."""

from torch import nn

from embridge.config import ModelConfig
from embridge.models.cpep import CPEP
from embridge.models.mae import MAE
from embridge.models.qformer import QFormer, QFormerModel
from embridge.models.regressors import regressor
from embridge.models.transformer import Encoder, embedding, emg_encoder, pose_encoder


def new_model(
    kind: str,
    shape: ModelConfig,
    emg: nn.Module | None = None,
    pose: Encoder | None = None,
    *,
    emg_frozen: bool = False,
    pose_trained: bool = False,
    **temperature,
) -> nn.Module:
    """An untrained "emg-mae", "pose-mae", "cpep" or "qformer", around the Encoders that it starts from.

    ``emg_frozen``, ``pose_trained`` : of CPEP; its pose encoder stays outside where that does not train
    """
    if kind.endswith("-mae"):
        return MAE((emg_encoder if kind == "emg-mae" else pose_encoder)(shape), shape)
    if kind == "cpep":
        return CPEP(shape, emg, pose if pose_trained else None, emg_frozen=emg_frozen, **temperature)
    return QFormerModel(shape, emg, pose, **temperature)
