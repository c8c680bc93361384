"""PoseT: a transformer that regresses pose from EMG (E 3.3, A.6), both as the profile's front ends have them."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from embridge.config import ModelConfig
from embridge.models.base import Regressor
from embridge.models.transformer import Block, add_positions, emg_encoder, initialise, unpatchify


class PoseT(Regressor):
    """The EMG encoder with all tokens visible, then a decoder like the MAE's, whose head gives a patch's angles.

    E gives four encoder and two decoder layers and no more; the rest is the MAE's, so that the two differ in what they
    learn and not in what they are. One output a sample of a waveform or a bin of frames; a tail shorter than a patch is
    not covered.
    """

    def __init__(self, cfg: ModelConfig):
        super().__init__()
        # an EMG token stands for as many steps of pose as its patch lasts
        self.n_joints, self.patch = cfg.n_joints, replace(cfg, pose_patch=cfg.emg_patch).pose.patch
        self.n_tokens = cfg.emg.n_tokens
        self.to_decoder = nn.Linear(cfg.d, cfg.d)
        add_positions(self, cfg.positions, self.n_tokens, cfg.d)
        self.blocks = nn.ModuleList(Block(cfg.d, cfg.n_heads, cfg.mlp_ratio) for _ in range(cfg.n_decoder_layers))
        self.norm = nn.LayerNorm(cfg.d)
        self.head = nn.Linear(cfg.d, cfg.n_joints * self.patch)
        initialise(self)
        self.encoder = emg_encoder(cfg)

    def n_covered(self, n_samples: int) -> int:
        return self.n_tokens * self.patch

    def predict(self, x: Tensor, first_pose: None = None) -> Tensor:
        """The angles of each covered step of pose, (B, J, n_covered), rad, of x (B, C, steps)."""
        return self(x)

    def outputs(self, x: Tensor, first_pose: None = None) -> tuple[Tensor, Tensor]:
        """Angles (B, J, n_covered), rad, and the decoder's tokens (B, L, d) of x (B, C, T)."""
        tokens = self.to_decoder(self.encoder(x))  # (B, 1 + L, d)
        tokens = torch.cat([tokens[:, :1], tokens[:, 1:] + self.positions], dim=1)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        states = self.norm(self.blocks[-1](tokens, slice(1, None)))  # without [CLS]
        return unpatchify(self.head(states), self.n_joints).float(), states
