"""CPEP: the EMG encoder's [CLS], through a projection head, against the frozen pose embedding (C)."""

import copy

from torch import Tensor, nn

from embridge.config import ModelConfig
from embridge.models.transformer import Encoder, emg_encoder, initialise, new_temperature


class CPEP(nn.Module):
    """u = h(E_x(x)[CLS]); encoder and head train, the pose encoder stays outside and frozen.

    encoder: a pre-trained EMG encoder, of which a copy is trained; None draws a new one (C's "RandInit").
    """

    def __init__(
        self, cfg: ModelConfig, encoder: Encoder | None = None, *, tau_init: float = 0.02, tau_learned: bool = True
    ):
        super().__init__()
        d, hidden = cfg.d, cfg.cpep_hidden
        if hidden:
            self.head = nn.Sequential(nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d))
        else:
            self.head = nn.Linear(d, d)
        initialise(self.head)
        self.encoder = (copy.deepcopy(encoder) if encoder else emg_encoder(cfg)).requires_grad_(True)
        self.log_scale = new_temperature(tau_init, tau_learned)

    def features(self, x: Tensor, *, after_head: bool = False) -> Tensor:
        """What the probe sees of x (B, C, T): [CLS] before the head, or after it; (B, d)."""
        cls = self.encoder(x, cls_only=True)[:, 0]
        return self.head(cls) if after_head else cls

    def encode(self, x: Tensor) -> Tensor:
        """What :meth:`query` needs of EMG windows x (B, C, T): [CLS] alone, (B, 1, d)."""
        return self.encoder(x, cls_only=True)

    def query(self, emg: Tensor) -> Tensor:
        """u, not normalised, as the one query of each window, (B, 1, d), from tokens (B, 1 + K, d), [CLS] first."""
        return self.head(emg[:, :1])

    def queries(self, x: Tensor) -> Tensor:
        """The same from EMG windows x (B, C, T)."""
        return self.query(self.encode(x))

    def forward(self, x: Tensor) -> Tensor:
        """The same as :meth:`queries`."""
        return self.queries(x)
