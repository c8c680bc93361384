"""Q-Former and MPRL: initialisation, masks by perturbation, gradients, options."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from embridge.config import ModelConfig, profile
from embridge.errors import InputError
from embridge.models import QFormerModel, emg_encoder, pose_encoder
from embridge.models.transformer import mask_from_noise, patchify

CFG = ModelConfig(
    n_channels=3, n_joints=2, window=42, sample_rate=1, emg_patch=4, pose_patch=8, d=16, n_layers=3, n_decoder_layers=1,
    n_heads=2, n_queries=4,
)  # fmt: skip
L_EMG, L_POSE = 10, 5  # two samples of the window are left over


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def emg(n=4):
    return torch.randn(n, 3, 42)


def pose(n=4):
    return torch.randn(n, 2, 42)


def same(a, b):
    return torch.allclose(a, b, atol=1e-6)


def q_former(**changes):
    """A model whose learned tokens are large enough that a wrong mask shows."""
    model = QFormerModel(replace(CFG, **changes), emg_encoder(CFG), pose_encoder(CFG).requires_grad_(False))
    with torch.no_grad():
        model.qformer.query_tokens *= 20
        model.qformer.mask_token *= 20
    return model


def pose_states(model, queries, tokens, mask, emg_tokens=None):
    """H_P of pose tokens in their own order, the mask token where mask (B, L) is True, which keeps their position."""
    hidden = model.qformer.mask_token + model.pose_tokenizer.positions
    return model.pose_states(queries, torch.where(mask[..., None], hidden, tokens), emg_tokens)


def test_the_q_former_starts_from_pose_mae():
    source = pose_encoder(CFG).requires_grad_(False)
    former = QFormerModel(CFG, None, source).qformer
    for block, origin in zip(former.blocks, source.blocks, strict=True):
        for ours, given in (
            (block.attention, origin.attention), (block.norm_attention, origin.norm_attention),
            (block.feed_forward, origin.feed_forward), (block.pose_feed_forward, origin.feed_forward),
            (block.norm_pose, origin.norm_feed_forward), (block.norm_feed_forward, origin.norm_feed_forward),
        ):  # fmt: skip
            for a, b in zip(ours.parameters(), given.parameters(), strict=True):
                assert torch.equal(a, b) and a.data_ptr() != b.data_ptr() and a.requires_grad and not b.requires_grad
    assert [block.cross_attention is not None for block in former.blocks] == [True, False, True]
    assert former.norm.weight.requires_grad
    distance = torch.cdist(former.query_tokens, former.query_tokens).fill_diagonal_(1)
    assert former.query_tokens.std().item() == pytest.approx(0.02, rel=0.4) and distance.min() > 0


def cosine_of_queries(model, x) -> float:
    """Mean over windows and pairs of different queries, in Q'."""
    with torch.no_grad():
        q = torch.nn.functional.normalize(model.queries(x), dim=-1)
    cosine = q @ q.mT
    n = cosine.shape[-1]
    return ((cosine.sum((1, 2)) - n) / (n * (n - 1))).mean().item()


def test_queries_differ_from_the_start_for_they_are_normed():
    """Of quick's size. Raw N(0, 0.02) queries drown in what self-attention adds to all of them alike."""
    quick = profile("quick").model
    model, x = QFormerModel(quick), torch.randn(16, quick.emg.n_channels, quick.emg.steps)
    assert cosine_of_queries(model, x) < 0.9
    first = model.qformer.first_queries()
    assert same(first.mean(-1), torch.zeros(1, 16)) and first.shape == (1, 16, quick.d)
    model.qformer.query_norm = torch.nn.Identity()
    assert cosine_of_queries(model, x) > 0.9


def test_queries_read_every_emg_token_and_features_are_their_mean():
    model, x = q_former(), emg()
    tokens = model.encoder(x).detach().requires_grad_()
    queries = model.qformer.queries(tokens)
    assert queries.shape == (4, 4, 16) and same(queries, model.queries(x))
    assert same(model.features(x), queries.mean(1))
    queries.square().mul(torch.randn_like(queries)).sum().backward()
    assert (tokens.grad.abs().sum(-1) > 0).all()  # [CLS] too


def test_a_window_s_queries_do_not_depend_on_the_rest_of_the_batch():
    model, x = q_former(), emg()
    assert torch.allclose(model.queries(x)[2:3], model.queries(x[2:3]), atol=1e-5)


def pose_pass(model, queries, tokens):
    """Both kinds of state behind each block of the second pass."""
    states = []
    for block in model.qformer.blocks:
        queries, tokens = block(queries, tokens)
        states.append((queries, tokens))
    return states


def test_in_the_second_pass_queries_never_see_pose():
    model = q_former()
    queries, tokens = torch.randn(4, 4, 16), torch.randn(4, L_POSE, 16)
    for i in range(L_POSE):
        changed = tokens.clone()
        changed[:, i] += 3 * torch.randn(16)  # a constant would not pass the LayerNorm
        for (q, p), (q2, p2) in zip(pose_pass(model, queries, tokens), pose_pass(model, queries, changed), strict=True):
            assert torch.equal(q, q2)
            assert not same(p, p2)


def test_in_the_second_pass_every_pose_token_sees_every_query_and_every_pose_token():
    model = q_former()
    queries = torch.randn(2, 4, 16, requires_grad=True)
    tokens = torch.randn(2, L_POSE, 16, requires_grad=True)
    final = pose_pass(model, queries, tokens)[0][1]  # one block: direct attention only
    for i in range(L_POSE):
        for gradient in torch.autograd.grad(final[0, i].square().sum(), (queries, tokens), retain_graph=True):
            assert (gradient[0].abs().sum(-1) > 0).all() and gradient[1].abs().sum() == 0


def test_h_p_changes_with_q_alone_and_not_with_emg_while_q_is_held():
    model, mask = q_former(), mask_from_noise(torch.rand(4, L_POSE), 0.5)[2]
    tokens = model.pose_tokenizer(pose())
    queries = model.queries(emg()).detach()
    before = pose_states(model, queries, tokens, mask)
    other_emg = model.encoder(emg() * 10)
    assert torch.equal(pose_states(model, queries, tokens, mask, other_emg), before)
    assert not same(pose_states(model, queries + torch.randn(16), tokens, mask), before)


def test_masked_pose_tokens_are_hidden_and_keep_their_position():
    model = q_former()
    noise = torch.rand(4, L_POSE)
    keep, masked, mask = mask_from_noise(noise, 0.5)
    tokens, queries = model.pose_tokenizer(pose()), torch.randn(4, 4, 16)
    before = pose_states(model, queries, tokens, mask)
    assert torch.equal(pose_states(model, queries, torch.where(mask[..., None], tokens * -9, tokens), mask), before)
    shown = tokens.clone()
    shown[torch.arange(4), keep[:, 0]] += 3 * torch.randn(16)  # a constant would not pass the LayerNorm
    after = pose_states(model, queries, shown, mask)
    assert not same(*(states.take_along_dim(masked[..., None], 1) for states in (after, before)))
    assert not same(before[0, masked[0, 0]], before[0, masked[0, 1]])


@pytest.mark.parametrize("changes", [{}, {"mprl_pass": "rerun"}, {"pose_feed_forward": "shared"}])
def test_mprl_alone_reaches_every_weight_of_the_emg_encoder(changes):
    model, x = q_former(**changes), emg()
    tokens = model.encoder(x)
    model.mprl(model.qformer.queries(tokens), pose(), torch.rand(4, L_POSE), 0.5, tokens).backward()
    for name, p in model.encoder.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in model.pose_tokenizer.parameters())
    assert model.qformer.mask_token.grad.abs().sum() > 0 and model.decode_pose.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("target", "width"), [("patch", 16), ("token", 16)])
def test_mprl_is_the_masked_error_of_the_reconstruction(target, width):
    model, p, noise = q_former(mprl_target=target), pose(), torch.rand(4, L_POSE)
    queries, mask = model.queries(emg()), mask_from_noise(noise, 0.4)[2]
    tokens = model.pose_tokenizer(p)
    predicted = model.decode_pose(pose_states(model, queries, tokens, mask))
    assert predicted.shape == (4, L_POSE, width) and int(mask.sum()) == 4 * 2
    wanted = patchify(p, 8) if target == "patch" else tokens
    errors = [(predicted[i, j] - wanted[i, j]).square().mean().item() for i, j in mask.nonzero().tolist()]
    assert model.mprl(queries, p, noise, 0.4).item() == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_the_rerun_pass_reads_emg_through_q0_and_not_q_prime():
    model, mask = q_former(mprl_pass="rerun"), torch.ones(4, L_POSE, dtype=torch.bool)
    tokens, emg_tokens = model.pose_tokenizer(pose()), model.encoder(emg())
    before = pose_states(model, torch.randn(4, 4, 16), tokens, mask, emg_tokens)
    assert torch.equal(pose_states(model, torch.randn(4, 4, 16), tokens, mask, emg_tokens), before)
    assert not same(pose_states(model, torch.randn(4, 4, 16), tokens, mask, emg_tokens + 1), before)
    with pytest.raises(InputError, match="emg_tokens"):
        pose_states(model, torch.randn(4, 4, 16), tokens, mask)


def test_the_rerun_pass_gives_queries_what_the_first_pass_gave():
    model = q_former(mprl_pass="rerun")
    emg_tokens, queries, tokens = model.encoder(emg()), model.qformer.first_queries(), torch.randn(4, L_POSE, 16)
    for block in model.qformer.blocks:
        queries, tokens = block(queries, tokens, emg_tokens)
    assert torch.allclose(model.qformer.norm(queries), model.qformer.queries(emg_tokens), atol=1e-5)


def test_a_shared_feed_forward_is_shared_and_can_be_saved():
    separate, shared = q_former(), q_former(pose_feed_forward="shared")
    extra = 3 * (sum(p.numel() for p in shared.qformer.blocks[0].feed_forward.parameters()) + 2 * 16)
    count = [sum(p.numel() for p in m.parameters()) for m in (separate, shared)]
    assert count[0] - count[1] == extra
    for model in (separate, shared):
        assert len(save(model.state_dict())) > 4 * sum(p.numel() for p in model.parameters())
    tokens = torch.randn(4, L_POSE, 16)
    before = shared.qformer.blocks[0].feed_pose(tokens)
    with torch.no_grad():
        shared.qformer.blocks[0].feed_forward[0].weight *= 2
    assert not same(shared.qformer.blocks[0].feed_pose(tokens), before)


def test_the_frozen_tokenizer_does_not_train_and_stays_a_copy():
    source = pose_encoder(CFG)
    model = QFormerModel(CFG, None, source)
    assert not any(p.requires_grad for p in model.pose_tokenizer.parameters())
    assert all(p.requires_grad for p in source.parameters())
    p = pose()
    assert torch.equal(model.pose_tokenizer(p), source.tokenizer(p))
    fresh = QFormerModel(CFG)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.pose_tokenizer(p), source.tokenizer(p))


@pytest.mark.parametrize("changes", [{"mprl_pass": "x"}, {"mprl_target": "x"}, {"pose_feed_forward": "x"}])
def test_unknown_options_are_refused(changes):
    with pytest.raises(InputError, match="'x'"):
        QFormerModel(replace(CFG, **changes))
