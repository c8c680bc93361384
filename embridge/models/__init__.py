"""The networks: tokenizer and transformer, masked autoencoder, CPEP, Q-Former, and the supervised pose regressors."""

from embridge.models.cpep import CPEP
from embridge.models.mae import MAE, emg_mae, pose_mae
from embridge.models.qformer import QFormer, QFormerModel
from embridge.models.regressors import regressor
from embridge.models.transformer import Encoder, emg_encoder, pose_encoder

__all__ = [
    "CPEP",
    "MAE",
    "Encoder",
    "QFormer",
    "QFormerModel",
    "emg_encoder",
    "emg_mae",
    "pose_encoder",
    "pose_mae",
    "regressor",
]
