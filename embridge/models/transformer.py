"""Tokenizer and transformer encoder (E 2.1, A.6), shared by EMG and pose.

E gives width, depth and patch length. Heads, MLP ratio, GELU, fixed sin-cos positions, Xavier weights and
N(0, 0.02) tokens are ours; pre-LN as in ViT. Shapes: B windows, C channels or joints, T steps, L tokens, d the width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embridge.config import ModelConfig, TokenShape
from embridge.errors import InputError, one_of

ALL = slice(None)
TOKEN_STD = 0.02  # E is silent; ViT's and BLIP-2's value, and identical tokens would never separate
FEW_TOKENS = 64  # up to here attention is written out on a CPU
WIDE = 4  # from this many outputs an input a layer's error is multiplied out on a CPU; W'W costs the gain of fewer


def patchify(x: Tensor, patch: int, index: Tensor | None = None) -> Tensor:
    """Cut signals x (B, C, T) along time and flatten the channels within each patch (E 2.1), channel slowest.

    Returns (B, L, C * patch) with L = T // patch, a shorter tail left out, or the patches at index (B, K) alone.
    """
    (b, c, _), n_tokens = x.shape, x.shape[-1] // patch
    x = x[..., : n_tokens * patch]
    if index is None:
        return x.unflatten(-1, (n_tokens, patch)).transpose(1, 2).flatten(2)
    # whole rows of memory, picked by number: indexing the transposed view took 1.3 times as long
    rows = torch.arange(b * c, device=x.device).view(b, 1, c) * n_tokens + index[:, :, None]  # (B, K, C)
    return x.reshape(-1, patch).index_select(0, rows.flatten()).view(b, index.shape[1], c * patch)


def unpatchify(patches: Tensor, n_channels: int) -> Tensor:
    """Undo :func:`patchify`: (B, L, C * patch) to (B, C, L * patch)."""
    return patches.unflatten(-1, (n_channels, -1)).transpose(1, 2).flatten(2)


def mask_from_noise(noise: Tensor, ratio: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mask the L * ratio tokens with the smallest noise, at least one, and keep at least one visible.

    noise: (B, L) uniform. Returns keep (B, L - n) and masked (B, n), both long and rising, which select tokens by
    shapes known beforehand, and mask (B, L) bool, True where masked.
    """
    n_tokens = noise.shape[1]
    n_masked = min(max(round(n_tokens * ratio), 1), n_tokens - 1)
    ranked = noise.argsort(dim=1, stable=True)
    masked, keep = ranked[:, :n_masked].sort(dim=1).values, ranked[:, n_masked:].sort(dim=1).values
    mask = torch.zeros_like(noise, dtype=torch.bool).scatter_(1, masked, True)
    return keep, masked, mask


def embedding(tokens: Tensor, how: str = "cls") -> Tensor:
    """One vector a window from an encoder's tokens (B, 1 + L, d), [CLS] first; returns (B, d).

    how: "cls" (C: better than averaging), "mean" of the other tokens, or "centred": [CLS] too, from which whoever
    holds the pre-training embeddings subtracts their mean.
    """
    one_of("embedding", how, "cls", "mean", "centred")
    return tokens[:, 1:].mean(dim=1) if how == "mean" else tokens[:, 0]


def initialise(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for linear layers (papers silent; MAE does so)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def new_tokens(*shape: int) -> nn.Parameter:
    """Learned tokens or positions drawn from N(0, 0.02)."""
    return nn.Parameter(torch.randn(*shape) * TOKEN_STD)


def new_temperature(
    tau_init: float = 0.02, tau_learned: bool = True, bias: float | None = None
) -> tuple[nn.Parameter, nn.Parameter | None]:
    """The parameter log(1 / tau), C: learned from tau = 0.02; and SigLIP's, which is added to logits, or None."""
    log_scale = nn.Parameter(torch.tensor(math.log(1 / tau_init)), requires_grad=tau_learned)
    return log_scale, None if bias is None else nn.Parameter(torch.tensor(bias))


def sin_cos(n_tokens: int, d: int) -> Tensor:
    """Positions (n_tokens, d) of He et al. (2021): pos[t, k] = sin(t w_k), pos[t, d/2 + k] = cos(t w_k).

    w_k = 10000^(-2k/d). Learned ones from N(0, 0.02) hold 2e-4 of a token's variance and never grow: an encoder that
    has them is blind to order.
    """
    if d % 2:
        raise InputError(f"Model width d = {d} must be even for sin-cos positions.")
    angle = torch.arange(n_tokens, dtype=torch.float64)[:, None] * 10_000 ** (-torch.arange(0, d, 2) / d).double()
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


def add_positions(module: nn.Module, how: str, n_tokens: int, d: int) -> None:
    """Give a module ``positions`` (n_tokens, d): a buffer that is not saved ("sin-cos"), or parameters ("learned")."""
    one_of("positions", how, "sin-cos", "learned")
    if how == "learned":
        module.positions = new_tokens(n_tokens, d)
    else:
        module.register_buffer("positions", sin_cos(n_tokens, d), persistent=False)


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """(B, L, d) to (B, h, L, d / h), a view."""
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, may_attend: Tensor | None = None) -> Tensor:
    """softmax(q k' / sqrt(d_h)) v of each head: q (B, h, L, d_h), k and v (B, h, L_k, d_h); returns (B, h, L, d_h).

    may_attend: (L, L_k) bool, row attends to column. On a CPU few tokens in float32 are written out: PyTorch's fused
    kernel is made for long rows (docs/speed.md); at 81 tokens it is no slower, and smaller.
    """
    if q.device.type != "cpu" or q.dtype != torch.float32 or k.shape[2] > FEW_TOKENS:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=may_attend)
    scores = (q * q.shape[-1] ** -0.5) @ k.mT  # (B, h, L, L_k)
    if may_attend is not None:
        scores = scores + torch.where(may_attend, 0.0, -math.inf)
    return scores.softmax(dim=-1) @ v


def squared_error(layer: nn.Linear, states: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of ``layer(states)``, a scalar; states: (B, K, d), target: (B, K, D), which does not train.

    On a CPU a wide layer is not evaluated in float32: with W its weights and bias and h a state and a one, the square
    is multiplied out, |W h - t|^2 = h'W'W h - 2 h'(W't) + |t|^2, so that nothing as large as the target is computed
    (docs/speed.md: by how much a step is shorter).
    """
    wide = layer.out_features >= WIDE * layer.in_features
    if not wide or target.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return F.mse_loss(layer(states).float(), target.float())
    h, t = F.pad(states.flatten(0, -2), (0, 1), value=1.0), target.flatten(0, -2)  # (B * K, d + 1), (B * K, D)
    w = torch.cat([layer.weight.T, layer.bias[None]])  # (d + 1, D)
    squares = torch.linalg.vector_norm(t, dim=1).square().sum()  # a row at a time: all at once is off by 5e-4
    return ((h @ (w @ w.T) * h).sum() - 2 * (h * F.linear(t, w)).sum() + squares) / t.numel()


class SelfAttention(nn.Module):
    """Multi-head self-attention; one linear layer makes queries, keys and values."""

    def __init__(self, d: int, n_heads: int):
        super().__init__()
        if d % n_heads:
            raise InputError(f"Model width d = {d} must be a multiple of n_heads = {n_heads}.")
        self.n_heads = n_heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x: Tensor, may_attend: Tensor | None = None, of: slice = ALL) -> Tensor:
        """x: (B, L, d); may_attend: (L, L) bool, row attends to column; returns (B, L, d).

        of: which tokens attend to all, and are returned; may_attend then has a row for each of them.
        """
        if of is ALL:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
        else:
            d = x.shape[-1]
            q = F.linear(x[:, of], self.qkv.weight[:d], self.qkv.bias[:d])
            k, v = F.linear(x, self.qkv.weight[d:], self.qkv.bias[d:]).chunk(2, dim=-1)
        q, k, v = (split_heads(part, self.n_heads) for part in (q, k, v))
        return self.out(attend(q, k, v, may_attend).transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Multi-head attention from queries to a memory, with projections of its own."""

    def __init__(self, d: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.q = nn.Linear(d, d)
        self.kv = nn.Linear(d, 2 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x: (B or 1, M, d); memory: (B, L, d); returns (B, M, d)."""
        q = split_heads(self.q(x).expand(memory.shape[0], -1, -1), self.n_heads)
        k, v = (split_heads(part, self.n_heads) for part in self.kv(memory).chunk(2, dim=-1))
        return self.out(attend(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-LN transformer block: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, d: int, n_heads: int, mlp_ratio: int):
        super().__init__()
        self.norm_attention = nn.LayerNorm(d)
        self.attention = SelfAttention(d, n_heads)
        self.norm_feed_forward = nn.LayerNorm(d)
        self.feed_forward = nn.Sequential(nn.Linear(d, mlp_ratio * d), nn.GELU(), nn.Linear(mlp_ratio * d, d))

    def forward(self, x: Tensor, of: slice = ALL) -> Tensor:
        """x: (B, L, d); returns (B, L, d), or the tokens in the slice ``of`` alone: all that a last block computes."""
        x = x[:, of] + self.attention(self.norm_attention(x), of=of)
        return x + self.feed_forward(self.norm_feed_forward(x))


class Tokenizer(nn.Module):
    """Linear tokenizer with positions (E 2.1; positions: papers silent)."""

    def __init__(self, shape: TokenShape, d: int, positions: str = "sin-cos"):
        super().__init__()
        self.n_channels, self.steps = shape.n_channels, shape.steps
        self.patch, self.n_tokens = shape.patch, shape.n_tokens
        if self.n_tokens < 2:
            raise InputError(f"A window of {self.steps} steps gives {self.n_tokens} patches of {self.patch}; needed: 2")
        self.project = nn.Linear(self.n_channels * self.patch, d)
        add_positions(self, positions, self.n_tokens, d)

    def patches(self, x: Tensor, index: Tensor | None = None) -> Tensor:
        """Raw patches (B, K, C * patch) of x (B, C, T), those at index (B, K) or all; copies only what it returns."""
        if x.shape[1:] != (self.n_channels, self.steps):
            told = f"{self.n_channels} channels x {self.steps} steps, found {' x '.join(map(str, x.shape[1:]))}"
            raise InputError(f"Windows given to a model: expected {told}; build it from the data's configuration.")
        return patchify(x, self.patch, index)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """x: (B, C, T) to tokens with positions (B, K, d): those at keep (B, K), or all L."""
        positions = self.positions if keep is None else F.embedding(keep, self.positions)
        return self.project(self.patches(x, keep)) + positions


class Encoder(nn.Module):
    """Tokenizer, [CLS] token, pre-LN transformer, final LayerNorm: E_x for EMG, E_p for pose (E 2.1)."""

    def __init__(self, shape: TokenShape, cfg: ModelConfig):
        super().__init__()
        self.tokenizer = Tokenizer(shape, cfg.d, cfg.positions)
        self.cls = new_tokens(1, cfg.d)  # no position: a learned token holds its own
        self.blocks = nn.ModuleList(Block(cfg.d, cfg.n_heads, cfg.mlp_ratio) for _ in range(cfg.n_layers))
        self.norm = nn.LayerNorm(cfg.d)
        initialise(self)

    def forward(self, x: Tensor, keep: Tensor | None = None, *, cls_only: bool = False) -> Tensor:
        """Encode x (B, C, T), or only its tokens at keep (B, K); returns (B, 1 + K, d), [CLS] first.

        cls_only: (B, 1, d), the same [CLS], for a fifth less work: the last block runs for it alone.
        """
        tokens = self.tokenizer(x, keep)  # (B, K, d)
        tokens = torch.cat([self.cls.expand(x.shape[0], -1, -1), tokens], dim=1)  # (B, 1 + K, d)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        return self.norm(self.blocks[-1](tokens, slice(0, 1) if cls_only else ALL))


def emg_encoder(cfg: ModelConfig) -> Encoder:
    """The EMG encoder E_x of a configuration, freshly drawn."""
    return Encoder(cfg.emg, cfg)


def pose_encoder(cfg: ModelConfig) -> Encoder:
    """The pose encoder E_p of a configuration, freshly drawn."""
    return Encoder(cfg.pose, cfg)
