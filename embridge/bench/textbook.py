"""The baseline of the training rows: the same networks as a textbook writes them, from ``torch.nn``'s own layers.

Same mathematics, other layout: every token is projected before the visible ones are picked, the decoder predicts all
patches before the masked ones are compared, and queries are copied for each window at once. Our weights load into
them (:func:`load_ours`), so that a run can check that both have the same loss. Not used outside the benchmark.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from embridge.config import ModelConfig, ObjectiveConfig, TokenShape
from embridge.losses import alignment_loss, pick_queries
from embridge.models import MAE, Encoder, QFormerModel
from embridge.models.transformer import add_positions


def _transformer(cfg: ModelConfig, n_layers: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        cfg.d, cfg.n_heads, cfg.mlp_ratio * cfg.d, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, n_layers, norm=nn.LayerNorm(cfg.d), enable_nested_tensor=False)


def _feed_forward(cfg: ModelConfig) -> nn.Sequential:
    hidden = cfg.mlp_ratio * cfg.d
    return nn.Sequential(nn.Linear(cfg.d, hidden), nn.GELU(), nn.Linear(hidden, cfg.d))


def _patches(x: Tensor, patch: int) -> Tensor:
    """(B, C, T) to (B, L, C * patch)."""
    b, c, t = x.shape
    return x[..., : t // patch * patch].reshape(b, c, -1, patch).transpose(1, 2).reshape(b, -1, c * patch)


def _pick(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


def _error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean over a patch, then over the masked patches."""
    return ((prediction - target).square().mean(dim=-1) * mask).sum() / mask.sum()


class TextbookEncoder(nn.Module):
    """Patches, positions, [CLS], ``nn.TransformerEncoder``."""

    def __init__(self, cfg: ModelConfig, shape: TokenShape):
        super().__init__()
        self.patch = shape.patch
        self.embed = nn.Linear(shape.n_channels * shape.patch, cfg.d)
        add_positions(self, cfg.positions, shape.n_tokens, cfg.d)
        self.cls = nn.Parameter(torch.zeros(1, cfg.d))
        self.layers = _transformer(cfg, cfg.n_layers)

    def tokens(self, patches: Tensor) -> Tensor:
        """Patches (B, L, C * patch) to tokens with positions (B, L, d)."""
        return self.embed(patches) + self.positions

    def encode(self, tokens: Tensor) -> Tensor:
        """(B, K, d) to (B, 1 + K, d), [CLS] first."""
        return self.layers(torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Windows (B, C, T) to (B, 1 + L, d)."""
        return self.encode(self.tokens(_patches(x, self.patch)))


class TextbookMAE(nn.Module):
    """He et al.'s masked autoencoder as they publish it, for windows of one modality."""

    def __init__(self, cfg: ModelConfig, shape: TokenShape):
        super().__init__()
        self.mask_ratio = cfg.mask_ratio
        self.encoder = TextbookEncoder(cfg, shape)
        self.to_decoder = nn.Linear(cfg.d, cfg.d)
        self.mask_token = nn.Parameter(torch.zeros(1, cfg.d))
        add_positions(self, cfg.positions, shape.n_tokens, cfg.d)
        self.decoder = _transformer(cfg, cfg.n_decoder_layers)
        self.head = nn.Linear(cfg.d, shape.n_channels * shape.patch)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """The loss of windows (B, C, T) under noise (B, L), whose smallest values are masked; as ``MAE.forward``."""
        patches = _patches(x, self.encoder.patch)
        order = noise.argsort(dim=1, stable=True)
        restore = order.argsort(dim=1)
        n_masked = round(noise.shape[1] * self.mask_ratio)
        states = self.to_decoder(self.encoder.encode(_pick(self.encoder.tokens(patches), order[:, n_masked:])))
        hidden = self.mask_token.expand(len(x), n_masked, -1)
        full = _pick(torch.cat([hidden, states[:, 1:]], dim=1), restore) + self.positions
        prediction = self.head(self.decoder(torch.cat([states[:, :1], full], dim=1))[:, 1:])
        return _error(prediction, patches, restore < n_masked)


class TextbookQBlock(nn.Module):
    """A Q-Former block after BLIP-2, pre-LN, from ``nn.MultiheadAttention``."""

    def __init__(self, cfg: ModelConfig, cross: bool):
        super().__init__()
        self.attention, self.cross = (nn.MultiheadAttention(cfg.d, cfg.n_heads, batch_first=True) for _ in range(2))
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(cfg.d) for _ in range(4))
        self.feed, self.feed_pose = _feed_forward(cfg), _feed_forward(cfg)
        if not cross:
            self.cross = self.norm4 = None

    def forward(self, x: Tensor, n_queries: int, hide: Tensor | None = None, emg: Tensor | None = None) -> Tensor:
        """x: (B, M + L, d), queries first; hide: (M + L, M + L), True where a row may not look; emg: (B, L_x, d)."""
        y = self.norm1(x)
        x = x + self.attention(y, y, y, attn_mask=hide, need_weights=False)[0]
        queries, pose = x[:, :n_queries], x[:, n_queries:]
        if self.cross is not None and emg is not None:
            queries = queries + self.cross(self.norm4(queries), emg, emg, need_weights=False)[0]
        queries = queries + self.feed(self.norm2(queries))
        if pose.shape[1]:
            queries = torch.cat([queries, pose + self.feed_pose(self.norm3(pose))], dim=1)
        return queries


class TextbookEMBridge(nn.Module):
    """EMG encoder, Q-Former, MPRL and CASCLe; the frozen pose encoder runs in the loop, under ``no_grad``."""

    def __init__(self, cfg: ModelConfig):
        super().__init__()
        self.n_queries = cfg.n_queries
        self.encoder = TextbookEncoder(cfg, cfg.emg)
        self.pose_encoder = TextbookEncoder(cfg, cfg.pose).eval().requires_grad_(False)
        self.query_tokens = nn.Parameter(torch.zeros(cfg.n_queries, cfg.d))
        self.query_norm = nn.LayerNorm(cfg.d)
        self.mask_token = nn.Parameter(torch.zeros(1, cfg.d))
        self.blocks = nn.ModuleList(TextbookQBlock(cfg, i in cfg.cross_attention_blocks) for i in range(cfg.n_layers))
        self.norm = nn.LayerNorm(cfg.d)
        self.head = nn.Linear(cfg.d, cfg.n_joints * cfg.pose.patch)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(
        self, x: Tensor, pose: Tensor, noise: Tensor, centroids: Tensor, objective: ObjectiveConfig, v: Tensor | None
    ) -> Tensor:
        """The loss of EMG (B, C, T) and pose (B, J, T) under MPRL's noise (B, L); v: (B, d), or None to compute it."""
        patches = _patches(pose, self.pose_encoder.patch)
        with torch.no_grad():
            tokens = self.pose_encoder.tokens(patches)
            v = self.pose_encoder.encode(tokens)[:, 0] if v is None else v
        emg = self.encoder(x)
        queries = self.query_norm(self.query_tokens.expand(len(x), -1, -1))
        for block in self.blocks:
            queries = block(queries, self.n_queries, emg=emg)
        queries = self.norm(queries)
        loss, _ = alignment_loss(pick_queries(queries, v), v, self.log_scale, objective, centroids)

        n_masked = round(noise.shape[1] * objective.mask_ratio)
        mask = noise.argsort(dim=1, stable=True).argsort(dim=1) < n_masked
        tokens = torch.where(mask[..., None], self.mask_token + self.pose_encoder.positions, tokens)
        both = torch.cat([queries, tokens], dim=1)
        hide = torch.zeros(both.shape[1], both.shape[1], dtype=torch.bool)
        hide[: self.n_queries, self.n_queries :] = True
        for block in self.blocks:
            both = block(both, self.n_queries, hide)
        prediction = self.head(self.norm(both[:, self.n_queries :]))
        return loss + objective.lam * _error(prediction, patches, mask)


# ---- our weights in their places -----------------------------------------------------------------------------------

Pair = tuple[Tensor, slice, Tensor]  # theirs[rows] holds what ours holds
ALL = slice(None)


def _modules(*pairs: tuple[nn.Module, nn.Module]) -> Iterator[Pair]:
    for theirs, ours in pairs:
        for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
            yield a, ALL, b


def _attention(theirs: nn.MultiheadAttention, ours: nn.Module) -> Iterator[Pair]:
    """Ours packs queries, keys and values into one layer, or keys and values where queries come from elsewhere."""
    packed = [ours.qkv] if hasattr(ours, "qkv") else [ours.q, ours.kv]
    row = 0
    for layer in packed:
        rows = slice(row, row + layer.out_features)
        yield theirs.in_proj_weight, rows, layer.weight
        yield theirs.in_proj_bias, rows, layer.bias
        row = rows.stop
    yield from _modules((theirs.out_proj, ours.out))


def _blocks(theirs: nn.TransformerEncoder, blocks, norm: nn.Module) -> Iterator[Pair]:
    for layer, block in zip(theirs.layers, blocks, strict=True):
        yield from _attention(layer.self_attn, block.attention)
        yield from _modules(
            (layer.norm1, block.norm_attention),
            (layer.norm2, block.norm_feed_forward),
            (layer.linear1, block.feed_forward[0]),
            (layer.linear2, block.feed_forward[2]),
        )
    yield from _modules((theirs.norm, norm))


def _encoder(theirs: TextbookEncoder, ours: Encoder) -> Iterator[Pair]:
    yield from _modules((theirs.embed, ours.tokenizer.project))
    yield theirs.positions, ALL, ours.tokenizer.positions
    yield theirs.cls, ALL, ours.cls
    yield from _blocks(theirs.layers, ours.blocks, ours.norm)


def pairs(theirs: nn.Module, ours: MAE | QFormerModel, pose_encoder: Encoder | None = None) -> Iterator[Pair]:
    """Each parameter of ours, and positions, beside its place in the textbook's model; pose_encoder: of EMBridge."""
    yield from _encoder(theirs.encoder, ours.encoder)
    if isinstance(theirs, TextbookMAE):
        yield from _modules((theirs.to_decoder, ours.to_decoder), (theirs.head, ours.head))
        yield theirs.mask_token, ALL, ours.mask_token
        yield theirs.positions, ALL, ours.positions
        yield from _blocks(theirs.decoder, ours.blocks, ours.norm)
        return
    yield from _encoder(theirs.pose_encoder, pose_encoder)
    for theirs_block, block in zip(theirs.blocks, ours.qformer.blocks, strict=True):
        yield from _attention(theirs_block.attention, block.attention)
        yield from _modules(
            (theirs_block.norm1, block.norm_attention),
            (theirs_block.norm2, block.norm_feed_forward),
            (theirs_block.feed, block.feed_forward),
            (theirs_block.norm3, block.norm_pose),
            (theirs_block.feed_pose, block.pose_feed_forward),
        )
        if block.cross_attention is not None:
            yield from _attention(theirs_block.cross, block.cross_attention)
            yield from _modules((theirs_block.norm4, block.norm_cross))
    yield from _modules(
        (theirs.query_norm, ours.qformer.query_norm),
        (theirs.norm, ours.qformer.norm),
        (theirs.head, ours.decode_pose),
    )
    yield theirs.query_tokens, ALL, ours.qformer.query_tokens
    yield theirs.mask_token, ALL, ours.qformer.mask_token
    yield theirs.log_scale, ..., ours.log_scale


@torch.no_grad()
def load_ours(theirs: nn.Module, ours: MAE | QFormerModel, pose_encoder: Encoder | None = None) -> nn.Module:
    """Copy our weights into the textbook's model and return it."""
    for a, rows, b in pairs(theirs, ours, pose_encoder):
        a[rows] = b
    return theirs
