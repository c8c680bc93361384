"""Q-Former and masked pose reconstruction (E 2.2.1, 2.2.2; Li et al. 2023 where E is silent).

The first pass lets M learned queries read EMG: Q' = F(Q(0); E_x(x)), of which one is aligned with pose. The second
reconstructs masked pose beside them: H_P = F([Q'; P~]), the rows of P~'s tokens, and g(H_P) is compared with the pose.
"""

import copy

import torch
from torch import Tensor, nn

from embridge.config import ModelConfig, positive
from embridge.errors import InputError, one_of
from embridge.models import transformer
from embridge.models.transformer import ALL, Block, CrossAttention, Encoder, initialise, new_tokens


def attention_mask(n_queries: int, n_pose: int, device=None) -> Tensor:
    """Who attends to whom in the second pass, (M + L, M + L) bool: queries to queries; pose to queries and pose."""
    may_attend = torch.ones(n_queries + n_pose, n_queries + n_pose, dtype=torch.bool, device=device)
    may_attend[:n_queries, n_queries:] = False
    return may_attend


class QBlock(nn.Module):
    """Self-attention, cross-attention to EMG in some blocks, and a feed-forward for queries and one for pose.

    Self-attention and both feed-forwards start from one block of Pose-MAE's encoder; cross-attention is random.
    """

    def __init__(self, source: Block, *, d: int, n_heads: int, cross: bool, separate: bool):
        super().__init__()
        source = copy.deepcopy(source).requires_grad_(True)  # the frozen original must stay as it is
        self.norm_attention, self.attention = source.norm_attention, source.attention
        self.norm_feed_forward, self.feed_forward = source.norm_feed_forward, source.feed_forward
        self.cross_attention = None
        if cross:
            self.norm_cross = nn.LayerNorm(d)
            self.cross_attention = CrossAttention(d, n_heads)
            initialise(self.cross_attention)
        self.separate = separate
        if separate:
            self.norm_pose = copy.deepcopy(source.norm_feed_forward)
            self.pose_feed_forward = copy.deepcopy(source.feed_forward)

    def feed_pose(self, pose: Tensor) -> Tensor:
        """The feed-forward of pose tokens (B, L, d): their own (BLIP-2), or the queries'."""
        if self.separate:
            return pose + self.pose_feed_forward(self.norm_pose(pose))
        return pose + self.feed_forward(self.norm_feed_forward(pose))

    def beside(self, queries: Tensor, pose: Tensor, of: slice = ALL) -> Tensor:
        """Self-attention's output, residual included, of [queries; pose] (B, M + L, d), or of a slice of these."""
        both = torch.cat([queries.expand(len(pose), -1, -1), pose], dim=1)  # (B, M + L, d)
        may_attend = attention_mask(queries.shape[1], pose.shape[1], both.device)
        return both[:, of] + self.attention(self.norm_attention(both), may_attend[of], of)

    def forward(
        self, queries: Tensor, pose: Tensor | None = None, emg: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """queries (B, M, d) and pose (B, L, d) or None after one block; emg: (B, L_x, d) or None, no cross-attention.

        Queries see queries; pose sees queries and pose; only queries see EMG.
        """
        if pose is None:
            queries = queries + self.attention(self.norm_attention(queries))
        else:
            queries, pose = self.beside(queries, pose).split([queries.shape[1], pose.shape[1]], dim=1)
            pose = self.feed_pose(pose)
        if self.cross_attention is not None and emg is not None:
            queries = queries + self.cross_attention(self.norm_cross(queries), emg)
        return queries + self.feed_forward(self.norm_feed_forward(queries)), pose


class QFormer(nn.Module):
    """M learned queries that read EMG tokens, and the second pass that reconstructs masked pose from them."""

    def __init__(self, cfg: ModelConfig, pose_encoder: Encoder):
        super().__init__()
        one_of("pose_feed_forward", cfg.pose_feed_forward, "separate", "shared")
        self.query_tokens = new_tokens(cfg.n_queries, cfg.d)  # Q(0), before its norm
        # as in BLIP-2: raw N(0, 0.02) queries drown in the residual stream and stay nearly one (cosine 0.997 in Q')
        self.query_norm = nn.LayerNorm(cfg.d)
        nn.init.constant_(self.query_norm.weight, positive("model: ", "query_gain", cfg.query_gain))
        self.mask_token = new_tokens(1, cfg.d)
        like = {"d": cfg.d, "n_heads": cfg.n_heads, "separate": cfg.pose_feed_forward == "separate"}
        self.blocks = nn.ModuleList(
            QBlock(block, cross=i in cfg.cross_attention_blocks, **like) for i, block in enumerate(pose_encoder.blocks)
        )
        # E is silent on a last norm; pre-LN needs one, and Pose-MAE's fits the blocks that were copied.
        self.norm = copy.deepcopy(pose_encoder.norm).requires_grad_(True)

    def first_queries(self) -> Tensor:
        """Q(0), (1, M, d): layer-normed, the same for all windows until the first cross-attention."""
        return self.query_norm(self.query_tokens)[None]

    def queries(self, emg: Tensor) -> Tensor:
        """First pass: Q' (B, M, d) from all EMG tokens (B, 1 + L, d), [CLS] included."""
        queries = self.first_queries()
        for block in self.blocks:
            queries, _ = block(queries, emg=emg)
        return self.norm(queries)

    def pose_states(
        self, queries: Tensor, pose: Tensor, emg: Tensor | None = None, n_last: int | None = None
    ) -> Tensor:
        """Second pass: H_P of pose tokens (B, L, d) beside queries (B or 1, M, d), or of the n_last last: (B, L, d).

        emg only for "rerun". The last block computes no other states: a quarter of the pass would be for nothing.
        """
        for block in self.blocks[:-1]:
            queries, pose = block(queries, pose, emg)
        last = self.blocks[-1]
        return self.norm(last.feed_pose(last.beside(queries, pose, slice(-(n_last or pose.shape[1]), None))))


class QFormerModel(nn.Module):
    """EMG encoder, Q-Former, temperature, and Pose-MAE's frozen tokenizer for MPRL.

    emg_encoder, pose_encoder: pre-trained Encoders, copied here; None draws new ones, as before weights are loaded;
    temperature: see new_temperature.
    MPRL's own parts (pose feed-forwards, mask token, g) exist in the plain Q-Former, too, so that all start from the
    same weights.
    """

    def __init__(
        self,
        cfg: ModelConfig,
        emg_encoder: nn.Module | None = None,
        pose_encoder: Encoder | None = None,
        **temperature,
    ):
        super().__init__()
        one_of("mprl_pass", cfg.mprl_pass, "queries", "rerun")
        one_of("mprl_target", cfg.mprl_target, "patch", "token")
        self.mprl_pass, self.mprl_target = cfg.mprl_pass, cfg.mprl_target
        encoder = copy.deepcopy(emg_encoder) if emg_encoder else transformer.emg_encoder(cfg)
        pose_encoder = pose_encoder or transformer.pose_encoder(cfg)
        self.encoder = encoder.requires_grad_(True) if isinstance(encoder, Encoder) else encoder
        self.qformer = QFormer(cfg, pose_encoder)
        self.pose_tokenizer = copy.deepcopy(pose_encoder.tokenizer).requires_grad_(False)
        self.decode_pose = nn.Linear(cfg.d, cfg.n_joints * cfg.pose.patch if cfg.mprl_target == "patch" else cfg.d)  # g
        initialise(self.decode_pose)
        self.log_scale, self.logit_bias = transformer.new_temperature(**temperature)

    def encode(self, x: Tensor) -> Tensor:
        """All EMG tokens of x (B, C, T), which :meth:`query` attends to: (B, 1 + L, d)."""
        return self.encoder(x)

    def query(self, emg: Tensor) -> Tensor:
        """Q' (B, M, d), not normalised, from the EMG encoder's tokens (B, 1 + L, d)."""
        return self.qformer.queries(emg)

    def queries(self, x: Tensor) -> Tensor:
        """Q' of EMG windows x (B, C, T), not normalised: (B, M, d)."""
        return self.query(self.encode(x))

    def features(self, x: Tensor) -> Tensor:
        """The probe's features of x (B, C, T): the mean query, which needs no paired pose (E 3.3); (B, d)."""
        return self.queries(x).mean(dim=1)

    def pose_states(
        self, queries: Tensor, pose: Tensor, emg_tokens: Tensor | None = None, n_last: int | None = None
    ) -> Tensor:
        """H_P of pose tokens (B, L, d), masked ones replaced, beside Q' (B, M, d); or of the n_last last, (B, n, d).

        With mprl_pass "rerun" eq. 2 is read as F([Q(0); P~]): emg_tokens, the encoder's, are needed, and Q' not used.
        """
        if self.mprl_pass == "queries":
            return self.qformer.pose_states(queries, pose, n_last=n_last)
        if emg_tokens is None:
            raise InputError('MPRL with mprl_pass "rerun" needs the EMG encoder\'s tokens; pass them as emg_tokens.')
        return self.qformer.pose_states(self.qformer.first_queries(), pose, emg_tokens, n_last)

    def masked_states(
        self, queries: Tensor, pose: Tensor, noise: Tensor, ratio: float, emg_tokens: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """H_P of the masked tokens alone, (B, n, d), and which they are, (B, n), from what :meth:`mprl` is given."""
        keep, masked, _ = transformer.mask_from_noise(noise, ratio)
        visible = self.pose_tokenizer(pose, keep)  # (B, L - n, d), frozen
        hidden = (self.qformer.mask_token + self.pose_tokenizer.positions[masked]).to(visible.dtype)  # (B, n, d)
        # P~: visible tokens first, masked ones behind: attention needs no order, and their states are the last ones
        return self.pose_states(queries, torch.cat([visible, hidden], dim=1), emg_tokens, masked.shape[1]), masked

    def mprl(
        self, queries: Tensor, pose: Tensor, noise: Tensor, ratio: float, emg_tokens: Tensor | None = None
    ) -> Tensor:
        """L_MPRL (E eq. 2): squared error averaged over each masked patch, then over masked patches; a scalar.

        queries: Q' (B, M, d), not detached; pose: normalised windows (B, J, T); noise: (B, L) uniform; ratio: r;
        emg_tokens: (B, 1 + L_x, d). The mean rather than eq. 2's sum over a patch only rescales lambda.
        """
        states, masked = self.masked_states(queries, pose, noise, ratio, emg_tokens)
        target = self.pose_tokenizer.patches if self.mprl_target == "patch" else self.pose_tokenizer
        return transformer.squared_error(self.decode_pose, states, target(pose, masked))
