"""Masked autoencoder: pre-trains each encoder on its own modality (E 2.1, A.6; He et al. 2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embridge.config import ModelConfig
from embridge.models import transformer
from embridge.models.transformer import ALL, Block, Encoder, mask_from_noise, new_tokens


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
        transformer.add_positions(self, cfg.positions, tokenizer.n_tokens, cfg.d)  # the decoder's own; papers silent
        self.blocks = nn.ModuleList(Block(cfg.d, cfg.n_heads, cfg.mlp_ratio) for _ in range(cfg.n_decoder_layers))
        self.norm = nn.LayerNorm(cfg.d)
        self.head = nn.Linear(cfg.d, tokenizer.n_channels * tokenizer.patch)
        transformer.initialise(self)
        self.encoder = encoder  # behind initialise: an encoder that is handed in keeps its weights

    def decode(self, tokens: Tensor, keep: Tensor, masked: Tensor, of: slice = ALL) -> Tensor:
        """Decoder states of the tokens, visible ones first, masked ones behind them, or of a slice of these: (B, L, d).

        tokens: (B, 1 + K, d) the encoder's, [CLS] first; keep: (B, K), masked: (B, L - K) positions. What attends to
        all others needs no order but its positions, so nothing is put back into its place.
        """
        tokens = self.to_decoder(tokens)
        visible = tokens[:, 1:] + F.embedding(keep, self.positions)  # (B, K, d)
        hidden = self.mask_token + F.embedding(masked, self.positions)  # (B, L - K, d)
        x = torch.cat([tokens[:, :1], visible, hidden], dim=1)  # (B, 1 + L, d)
        for block in self.blocks[:-1]:
            x = block(x)
        return self.norm(self.blocks[-1](x, of))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """The loss of windows x (B, C, T) under noise (B, L): squared error over each patch, then over masked ones.

        Targets are the input's patches, not normalised a patch (papers silent; E A.6 normalises the window).
        """
        keep, masked, _ = mask_from_noise(noise, self.mask_ratio)
        behind = slice(-masked.shape[1], None)  # the last block and the head run for masked tokens alone
        states = self.decode(self.encoder(x, keep), keep, masked, behind)  # (B, L - K, d)
        return transformer.squared_error(self.head, states, self.encoder.tokenizer.patches(x, masked))

    def reconstruct(self, x: Tensor, noise: Tensor, ratio: float | None = None) -> tuple[Tensor, Tensor]:
        """Predicted patches (B, L, C * patch) and the mask (B, L), True where masked, of windows x (B, C, T).

        ratio: the share that is masked; None: as in training.
        """
        keep, masked, mask = mask_from_noise(noise, self.mask_ratio if ratio is None else ratio)
        states = self.decode(self.encoder(x, keep), keep, masked, slice(1, None))  # without [CLS]
        order = torch.cat([keep, masked], dim=1).argsort(dim=1)  # (B, L)
        return self.head(states.take_along_dim(order[..., None], dim=1)), mask
