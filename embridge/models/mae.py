"""Masked autoencoder: pre-trains each encoder on its own modality (E 2.1, A.6; He et al. 2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embridge.config import ModelConfig
from embridge.models.transformer import (
    Block,
    Encoder,
    emg_encoder,
    gather_tokens,
    initialise,
    mask_from_noise,
    new_tokens,
    pose_encoder,
)


class MAE(nn.Module):
    """Encode the visible half of the tokens, decode all of them, compare the masked ones.

    The decoder is as wide as the encoder (papers silent) and receives [CLS] too: without that nothing would train it.
    """

    def __init__(self, encoder: Encoder, cfg: ModelConfig):
        super().__init__()
        tokenizer = encoder.tokenizer
        self.mask_ratio = cfg.mask_ratio
        self.to_decoder = nn.Linear(cfg.d, cfg.d)
        self.mask_token = new_tokens(1, cfg.d)
        self.positions = new_tokens(tokenizer.n_tokens, cfg.d)  # the decoder's own; learned, papers silent
        self.blocks = nn.ModuleList(Block(cfg.d, cfg.n_heads, cfg.mlp_ratio) for _ in range(cfg.n_decoder_layers))
        self.norm = nn.LayerNorm(cfg.d)
        self.head = nn.Linear(cfg.d, tokenizer.n_channels * tokenizer.patch)
        initialise(self)
        self.encoder = encoder  # behind initialise: an encoder that is handed in keeps its weights

    def decode(self, tokens: Tensor, keep: Tensor) -> Tensor:
        """Decoder states of all positions, (B, L, d), from [CLS] and visible tokens (B, 1 + K, d) and keep (B, K)."""
        tokens = self.to_decoder(tokens)
        cls, visible = tokens[:, :1], tokens[:, 1:]
        index = keep[..., None].expand_as(visible)
        full = self.mask_token.to(visible.dtype).expand(len(tokens), len(self.positions), -1)
        full = full.scatter(1, index, visible) + self.positions
        x = torch.cat([cls, full], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 1:])

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """The loss of windows x (B, C, T) under noise (B, L): squared error over each patch, then over masked ones.

        Targets are the raw patches, not normalised a patch (papers silent; E A.6 normalises the window).
        """
        keep, masked, _ = mask_from_noise(noise, self.mask_ratio)
        states = self.decode(self.encoder(x, keep), keep)
        prediction = self.head(gather_tokens(states, masked))  # the head runs on masked tokens only
        return F.mse_loss(prediction.float(), self.encoder.tokenizer.patches(x, masked))

    def reconstruct(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted patches (B, L, C * patch) and the mask (B, L), True where masked, of windows x (B, C, T)."""
        keep, _, mask = mask_from_noise(noise, self.mask_ratio)
        return self.head(self.decode(self.encoder(x, keep), keep)), mask


def emg_mae(cfg: ModelConfig) -> MAE:
    """EMG-MAE with a freshly drawn encoder."""
    return MAE(emg_encoder(cfg), cfg)


def pose_mae(cfg: ModelConfig) -> MAE:
    """Pose-MAE with a freshly drawn encoder."""
    return MAE(pose_encoder(cfg), cfg)
