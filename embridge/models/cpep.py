"""CPEP: the EMG encoder's [CLS], through a projection head, against the frozen pose embedding (C)."""

import copy

from torch import Tensor, nn

from embridge.config import ModelConfig
from embridge.errors import one_of
from embridge.models.transformer import Encoder, embedding, emg_encoder, initialise, new_temperature


class CPEP(nn.Module):
    """u = h(E_x(x)[CLS]); encoder and head train, the pose encoder stays outside and frozen.

    encoder: a pre-trained EMG Encoder, of which a copy is trained; None draws a new one (C's "RandInit").
    pose_encoder: one to train as well (C's divergent case), of which a copy is held.
    emg_frozen: only the head trains. ``cfg.emg_pooling`` "mean": the mean of the tokens instead of [CLS].
    temperature: see new_temperature.
    """

    def __init__(
        self,
        cfg: ModelConfig,
        encoder: Encoder | None = None,
        pose_encoder: Encoder | None = None,
        *,
        emg_frozen: bool = False,
        **temperature,
    ):
        super().__init__()
        one_of("emg_pooling", cfg.emg_pooling, "cls", "mean")
        d, hidden, self.pooling = cfg.d, cfg.cpep_hidden, cfg.emg_pooling
        if hidden:
            self.head = nn.Sequential(nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d))
        else:
            self.head = nn.Linear(d, d)
        initialise(self.head)
        self.encoder = (copy.deepcopy(encoder) if encoder else emg_encoder(cfg)).requires_grad_(not emg_frozen)
        self.pose_encoder = copy.deepcopy(pose_encoder).requires_grad_(True) if pose_encoder else None
        self.log_scale, self.logit_bias = new_temperature(**temperature)

    def encode(self, x: Tensor) -> Tensor:
        """The part of EMG windows x (B, C, T) that :meth:`query` reads: [CLS] alone, or the tokens' mean, (B, 1, d)."""
        if self.pooling == "mean":
            return embedding(self.encoder(x), "mean")[:, None]
        return self.encoder(x, cls_only=True)

    def query(self, emg: Tensor) -> Tensor:
        """u, not normalised, as the one query of each window, (B, 1, d), from what :meth:`encode` returns."""
        return self.head(emg)

    def queries(self, x: Tensor) -> Tensor:
        """The same from EMG windows x (B, C, T)."""
        return self.query(self.encode(x))

    def features(self, x: Tensor) -> Tensor:
        """The probe's features of x (B, C, T): [CLS] (or the mean) before the head, (B, d)."""
        return self.encode(x)[:, 0]

    def pose_embedding(self, p: Tensor) -> Tensor:
        """v (B, d) of normalised poses p (B, J, T), by the pose encoder that trains."""
        return self.pose_encoder(p, cls_only=True)[:, 0]
