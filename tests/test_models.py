"""Tokenizer, encoder, MAE and CPEP: layouts, masks by perturbation, gradients, sizes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from embridge.config import ModelConfig
from embridge.errors import InputError
from embridge.models import CPEP, MAE, QFormerModel, emg_encoder, pose_encoder, transformer
from embridge.models.transformer import (
    Block,
    CrossAttention,
    embedding,
    mask_from_noise,
    patchify,
    unpatchify,
)

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


# ---- attention --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_attention_written_out_is_the_fused_one(masked, monkeypatch):
    inputs = [torch.randn(3, 2, n, 5, requires_grad=True) for n in (4, 7, 7)]
    may_attend = (torch.rand(4, 7) > 0.4) | (torch.arange(7) == 2) if masked else None
    found = []
    for few in (7, 6):  # 7 keys: written out, then fused
        monkeypatch.setattr(transformer, "FEW_TOKENS", few)
        out = transformer.attend(*inputs, may_attend)
        found.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
    assert all(same(a, b) for a, b in zip(*found, strict=True))
    q, k, v = (x[0, 1].detach().double() for x in inputs)
    scores = q @ k.T / 5**0.5
    weights = (scores if may_attend is None else scores.where(may_attend, torch.tensor(-1e9))).exp()
    torch.testing.assert_close(found[0][0][0, 1].double(), weights @ v / weights.sum(1, keepdim=True))


# ---- the error of a wide layer ----------------------------------------------------------------------------------


def wide_layer(d=6, n_out=40):
    layer = torch.nn.Linear(d, n_out)
    torch.nn.init.normal_(layer.bias)
    return layer, torch.randn(5, 3, d, requires_grad=True), torch.randn(5, 3, n_out)


def error_and_gradients(layer, states, target):
    error = transformer.squared_error(layer, states, target)
    return [error, *torch.autograd.grad(error, [states, layer.weight, layer.bias])]


def test_a_wide_layers_error_multiplied_out_is_the_plain_one(monkeypatch):
    layer, states, target = wide_layer()
    calls = []
    layer.register_forward_hook(lambda *_: calls.append(1))
    found = []
    for wide in (6, 7):  # 40 outputs of 6 inputs: multiplied out, then plain
        monkeypatch.setattr(transformer, "WIDE", wide)
        found.append(error_and_gradients(layer, states, target))
        assert len(calls) == wide - 6
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    difference = states.double() @ layer.weight.double().T + layer.bias.double() - target
    assert found[0][0].item() == pytest.approx(difference.square().mean().item(), rel=1e-6)


def test_a_wide_layers_error_is_right_where_the_fit_is_close(monkeypatch):
    layer, states, _ = wide_layer(64, 3200)
    noise = torch.randn(5, 3, 3200)
    target = layer(states).detach() + 0.03 * noise  # 0.0009 of a target's square of about 1.3
    found = error_and_gradients(layer, states, target)
    monkeypatch.setattr(transformer, "WIDE", torch.inf)
    plain = error_and_gradients(layer.double(), states.detach().double().requires_grad_(), target.double())
    assert found[0].item() == pytest.approx(plain[0].item(), rel=1e-3)
    for a, b in zip(found[1:], plain[1:], strict=True):
        assert torch.linalg.vector_norm(a - b) < 1e-3 * torch.linalg.vector_norm(b)


def test_a_sum_of_many_squares_loses_nothing_in_float32():
    layer, states, target = torch.nn.Linear(4, 4000), torch.randn(64, 10, 4), torch.randn(64, 10, 4000)
    exact = (layer.double()(states.double()) - target).square().mean().item()
    assert transformer.squared_error(layer.float(), states, target).item() == pytest.approx(exact, rel=1e-5)


def test_a_wide_layers_error_is_plain_in_bf16_and_not_finite_where_its_input_is_not():
    layer, states, target = wide_layer()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = torch.nn.functional.mse_loss(layer(states).float(), target)
        assert transformer.squared_error(layer, states, target).equal(plain)
    for bad in (torch.nan, torch.inf):
        spoilt = states.detach().clone()
        spoilt[0, 0, 0] = bad
        assert not transformer.squared_error(layer, spoilt, target).isfinite()


# ---- tokens and masks -------------------------------------------------------------------------------------------


def test_patches_hold_what_a_loop_puts_there():
    x = emg()
    patches = patchify(x, 4)
    assert patches.shape == (4, L_EMG, 12)
    for i in range(L_EMG):
        for c in range(3):
            assert torch.equal(patches[:, i, 4 * c : 4 * c + 4], x[:, c, 4 * i : 4 * i + 4])


def test_unpatchify_undoes_patchify_but_for_the_tail():
    x = emg()
    assert torch.equal(unpatchify(patchify(x, 4), 3), x[..., :40])


@pytest.mark.parametrize(("ratio", "n_masked"), [(0.5, 5), (0.25, 2), (0.75, 8), (0.0, 1), (1.0, 9)])
def test_the_mask_takes_the_smallest_noise(ratio, n_masked):
    noise = torch.rand(6, L_EMG)
    keep, masked, mask = mask_from_noise(noise, ratio)
    assert masked.shape == (6, n_masked) and keep.shape == (6, L_EMG - n_masked)
    for row in range(6):
        expected = set(np.argsort(noise[row].numpy())[:n_masked].tolist())
        assert set(masked[row].tolist()) == expected == set(mask[row].nonzero()[:, 0].tolist())
        assert sorted([*keep[row].tolist(), *masked[row].tolist()]) == list(range(L_EMG))


def test_each_sample_has_a_mask_of_its_own():
    mask = mask_from_noise(torch.rand(50, L_EMG), 0.5)[2]
    assert len({tuple(row.tolist()) for row in mask}) > 10


def test_embedding_is_cls_or_the_mean_of_the_others():
    tokens = torch.randn(2, 6, 4)
    assert torch.equal(embedding(tokens), tokens[:, 0]) and torch.equal(embedding(tokens, "centred"), tokens[:, 0])
    assert torch.equal(embedding(tokens, "mean"), tokens[:, 1:].mean(1))
    with pytest.raises(InputError, match="expected cls, mean or centred, found 'max'"):
        embedding(tokens, "max")


# ---- transformer ------------------------------------------------------------------------------------------------


def test_a_block_equals_torch_s_own_pre_ln_layer():
    block = Block(16, 2, 4)
    oracle = nn.TransformerEncoderLayer(16, 2, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    for p in block.parameters():
        nn.init.normal_(p, std=0.3)
    names = {
        "norm_attention": "norm1", "norm_feed_forward": "norm2", "attention.qkv.": "self_attn.in_proj_",
        "attention.out": "self_attn.out_proj", "feed_forward.0": "linear1", "feed_forward.2": "linear2",
    }  # fmt: skip
    state = {}
    for name, value in block.state_dict().items():
        ours = max((n for n in names if name.startswith(n)), key=len)
        state[name.replace(ours, names[ours])] = value
    oracle.load_state_dict(state)
    x = torch.randn(3, 7, 16)
    assert torch.allclose(block(x), oracle(x), atol=1e-5)


@pytest.mark.parametrize("queries", [1, 3])
def test_cross_attention_equals_torch_s_multi_head_attention(queries):
    cross = CrossAttention(16, 2)
    oracle = nn.MultiheadAttention(16, 2, batch_first=True)
    oracle.load_state_dict({
        "in_proj_weight": torch.cat([cross.q.weight, cross.kv.weight]),
        "in_proj_bias": torch.cat([cross.q.bias, cross.kv.bias]),
        "out_proj.weight": cross.out.weight, "out_proj.bias": cross.out.bias,
    })  # fmt: skip
    x, memory = torch.randn(queries, 4, 16), torch.randn(3, 7, 16)
    expected = oracle(x.expand(3, -1, -1), memory, memory, need_weights=False)[0]
    assert torch.allclose(cross(x, memory), expected, atol=1e-5)


def test_the_encoder_puts_cls_first_and_normalises_last():
    encoder, x = emg_encoder(CFG), emg()
    tokens = encoder(x)
    assert tokens.shape == (4, 1 + L_EMG, 16)
    assert same(tokens.mean(-1), torch.zeros(4, 1 + L_EMG)) and torch.allclose(
        tokens.var(-1, correction=0), torch.ones(()), atol=1e-3
    )
    with torch.no_grad():
        encoder.cls += 1.0
    assert not same(encoder(x)[:, 0], tokens[:, 0])


def test_keeping_all_tokens_is_the_same_as_no_mask():
    encoder, x = emg_encoder(CFG), emg()
    assert same(encoder(x, torch.arange(L_EMG).expand(4, -1)), encoder(x))


def test_positions_tell_equal_patches_apart():
    encoder = emg_encoder(CFG)
    tokens = encoder(torch.ones(1, 3, 42))[0, 1:]
    assert torch.cdist(tokens, tokens).fill_diagonal_(1).min() > 1e-3


def test_the_encoder_sees_visible_tokens_only():
    encoder, x = emg_encoder(CFG), emg()
    keep, masked, _ = mask_from_noise(torch.rand(4, L_EMG), 0.5)
    before = encoder(x, keep)
    hidden, shown = x.clone(), x.clone()
    for b in range(4):
        for i in masked[b].tolist():
            hidden[b, :, 4 * i : 4 * i + 4] += 100.0
        i = int(keep[b, 0])
        shown[b, :, 4 * i] += 1.0
    assert torch.equal(encoder(hidden, keep), before)
    assert not same(encoder(shown, keep), before)


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match="expected 3 channels x 42 steps, found 42 x 3"):
        emg_encoder(CFG)(torch.randn(2, 42, 3))
    with pytest.raises(InputError, match="d = 16 must be a multiple of n_heads = 3"):
        emg_encoder(replace(CFG, n_heads=3))
    with pytest.raises(InputError, match="gives 1 patches"):
        emg_encoder(replace(CFG, emg_patch=30))


# ---- MAE --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "data"), [(emg_encoder, emg), (pose_encoder, pose)])
def test_mae_loss_is_the_masked_error_of_its_reconstruction_by_loops(make, data):
    model, x = MAE(make(CFG), CFG), data()
    tokenizer = model.encoder.tokenizer
    noise = torch.rand(4, tokenizer.n_tokens)
    predicted, mask = model.reconstruct(x, noise)
    raw = patchify(x, tokenizer.patch).double().numpy()
    total, count = 0.0, 0
    for b in range(4):
        for i in range(tokenizer.n_tokens):
            if mask[b, i]:
                error = predicted[b, i].detach().double().numpy() - raw[b, i]
                total, count = total + sum(e * e for e in error) / len(error), count + 1
    assert model(x, noise).item() == pytest.approx(total / count, rel=1e-5)
    assert count == 4 * round(tokenizer.n_tokens * 0.5)


def test_mae_predictions_do_not_depend_on_masked_patches_and_the_loss_does():
    model, x = MAE(pose_encoder(CFG), CFG), pose()
    noise = torch.rand(4, L_POSE)
    predicted, mask = model.reconstruct(x, noise)
    patches = patchify(x, 8)
    other = unpatchify(torch.where(mask[..., None], patches + 3.0, patches), 2)
    other = torch.cat([other, x[..., 40:]], -1)
    assert torch.equal(model.reconstruct(other, noise)[0], predicted)
    assert model(other, noise) > model(x, noise) + 1


def test_the_decoder_knows_positions_and_not_the_order_of_its_tokens():
    model, x = MAE(emg_encoder(CFG), CFG), emg()
    keep, masked, _ = mask_from_noise(torch.rand(4, L_EMG), 0.5)
    shuffled = keep[:, torch.randperm(keep.shape[1])]
    behind = slice(-masked.shape[1], None)
    a, b = (model.decode(model.encoder(x, k), k, masked, behind) for k in (keep, shuffled))
    assert torch.allclose(a, b, atol=1e-5)
    moved = model.decode(model.encoder(x, keep), keep.flip(1), masked, behind)  # right tokens, wrong positions
    assert not torch.allclose(a, moved, atol=1e-3)


def test_a_last_block_for_some_tokens_gives_the_states_that_it_gives_them_among_all():
    model, x = MAE(emg_encoder(CFG), CFG), emg()
    keep, masked, mask = mask_from_noise(torch.rand(4, L_EMG), 0.5)
    tokens = model.encoder(x, keep)
    whole = model.decode(tokens, keep, masked)  # [CLS], visible, masked
    some = model.decode(tokens, keep, masked, slice(-masked.shape[1], None))
    torch.testing.assert_close(some, whole[:, 1 + keep.shape[1] :])
    torch.testing.assert_close(model.encoder(x, cls_only=True), model.encoder(x)[:, :1])


def test_a_reconstruction_puts_every_patch_back_in_its_place():
    model, x, noise = MAE(emg_encoder(CFG), CFG), emg(), torch.rand(4, L_EMG)
    predicted, mask = model.reconstruct(x, noise)
    error = (predicted - patchify(x, model.encoder.tokenizer.patch)).square().mean(-1)
    torch.testing.assert_close(error[mask].mean(), model(x, noise))


def test_the_mae_loss_reaches_the_encoder_s_cls_output():
    model = MAE(emg_encoder(CFG), CFG)
    outputs = []
    model.encoder.register_forward_hook(lambda _, __, out: outputs.append(out) or out.retain_grad())
    model(emg(), torch.rand(4, L_EMG)).backward()
    assert (outputs[0].grad[:, 0].abs().sum(-1) > 0).all()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_an_encoder_handed_to_an_mae_keeps_its_weights():
    encoder = emg_encoder(CFG)
    before = encoder.tokenizer.project.weight.clone()
    assert torch.equal(MAE(encoder, CFG).encoder.tokenizer.project.weight, before)


# ---- CPEP -------------------------------------------------------------------------------------------------------


def test_cpep_projects_cls_and_probes_before_the_head():
    model, x = CPEP(CFG), emg()
    cls = model.encoder(x)[:, 0]
    assert same(model.features(x), cls)
    assert model.queries(x).shape == (4, 1, 16) and same(model.queries(x)[:, 0], model.head(cls))
    assert isinstance(model.head, nn.Linear)
    hidden = CPEP(replace(CFG, cpep_hidden=7)).head
    assert hidden[0].out_features == 7 and hidden[2].out_features == 16


@pytest.mark.parametrize("model", [CPEP, QFormerModel])
def test_aligned_models_train_a_copy_and_start_from_tau(model):
    encoder = emg_encoder(CFG).requires_grad_(False)
    made = model(CFG, encoder)
    assert made.log_scale.exp().item() == pytest.approx(50.0) and made.log_scale.requires_grad
    assert all(p.requires_grad for p in made.encoder.parameters())
    ours, given = made.encoder.tokenizer.project.weight, encoder.tokenizer.project.weight
    assert torch.equal(ours, given) and ours.data_ptr() != given.data_ptr()
    fixed = model(CFG, encoder, tau_init=0.1, tau_learned=False).log_scale
    assert fixed.exp().item() == pytest.approx(10.0) and not fixed.requires_grad


# ---- size -------------------------------------------------------------------------------------------------------


def test_paper_sized_models_have_the_expected_parameters():
    cfg = ModelConfig()
    count = {
        "EMG-MAE": sum(p.numel() for p in MAE(emg_encoder(cfg), cfg).parameters()),
        "Pose-MAE": sum(p.numel() for p in MAE(pose_encoder(cfg), cfg).parameters()),
        "trained in alignment": sum(p.numel() for p in QFormerModel(cfg).parameters() if p.requires_grad),
    }
    assert count == {"EMG-MAE": 5_216_544, "Pose-MAE": 6_858_144, "trained in alignment": 10_188_961}
