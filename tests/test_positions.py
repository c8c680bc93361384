"""Positions: the formula, that nothing trains them, and that an encoder sees the order of its patches by them alone."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from embridge.config import ModelConfig, profile
from embridge.errors import InputError
from embridge.models import emg_encoder, new_model, pose_encoder
from embridge.models.regressors import PoseT
from embridge.models.transformer import patchify, sin_cos, unpatchify

QUICK = profile("quick").model
MAKERS = {name: partial(new_model, name) for name in ("emg-mae", "pose-mae", "qformer")} | {"PoseT": PoseT}


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def test_sin_cos_by_the_formula():
    found = sin_cos(20, 8)
    assert found.shape == (20, 8) and found.dtype == torch.float32
    for t in range(20):
        for k in range(4):
            w = 10_000 ** (-2 * k / 8)
            assert found[t, k].item() == pytest.approx(math.sin(t * w), abs=1e-6)
            assert found[t, 4 + k].item() == pytest.approx(math.cos(t * w), abs=1e-6)


def test_unknown_positions_and_an_odd_width_are_refused():
    with pytest.raises(InputError, match="expected sin-cos or learned, found 'rotary'"):
        emg_encoder(replace(QUICK, positions="rotary"))
    with pytest.raises(InputError, match="d = 63 must be even"):
        emg_encoder(replace(QUICK, d=63, n_heads=3))


@pytest.mark.parametrize("name", MAKERS)
def test_fixed_positions_are_no_parameters_and_not_among_saved_weights(name):
    model = MAKERS[name](QUICK)
    buffers = {key: value for key, value in model.named_buffers() if key.endswith("positions")}
    assert buffers and all(torch.equal(value, sin_cos(20, 64)) for value in buffers.values())
    kept = {*model.state_dict(), *(key for key, _ in model.named_parameters())}
    assert not [key for key in kept if "positions" in key]
    learned = MAKERS[name](replace(QUICK, positions="learned"))
    assert {key for key, _ in learned.named_parameters() if key.endswith("positions")} == set(buffers)
    assert set(buffers) <= set(learned.state_dict())


def test_masked_tokens_get_their_own_positions():
    encoder, x = emg_encoder(QUICK), torch.zeros(1, 16, 80)
    keep = torch.tensor([[3, 17]])
    tokens = encoder.tokenizer(x, keep)[0] - encoder.tokenizer.project.bias
    torch.testing.assert_close(tokens, sin_cos(20, 64)[[3, 17]])


def moved_by_order(encoder, x: torch.Tensor) -> float:
    """How far [CLS] moves when the patches of each window are shuffled, in parts of what windows differ by."""
    patch, shuffled = encoder.tokenizer.patch, torch.Generator().manual_seed(1)
    patches = patchify(x, patch)
    order = torch.rand(*patches.shape[:2], generator=shuffled).argsort(1)
    other = unpatchify(patches.gather(1, order[..., None].expand_as(patches)), x.shape[1])
    with torch.no_grad():
        before, after = (encoder(y)[:, 0].double() for y in (x, other))
    between = (before - before.mean(0)).square().sum(1).mean()
    return ((after - before).square().sum(1).mean() / between).item()


@pytest.mark.parametrize(("modality", "make"), [("emg", emg_encoder), ("pose", pose_encoder)])
def test_shuffled_patches_move_cls_and_with_learned_positions_they_do_not(study, modality, make):
    """Untrained encoders of quick's size on simulated windows; METHOD 2 asks for a hundredth at least."""
    x = getattr(study.reader(), modality)(study.splits.pretrain[:128])
    found = {}
    for positions in ("sin-cos", "learned"):
        torch.manual_seed(0)
        found[positions] = moved_by_order(make(replace(QUICK, positions=positions)).eval(), x)
    assert found["sin-cos"] >= 0.01 > found["learned"], found


def test_poset_tells_its_tokens_apart_by_their_positions():
    torch.manual_seed(0)
    model = PoseT(replace(QUICK, n_layers=1)).eval()
    with torch.no_grad():
        states = model.outputs(torch.ones(1, 16, 80))[1][0]
    assert torch.cdist(states, states).fill_diagonal_(9).min() > 1e-3


def test_the_paper_s_size_has_positions_for_eighty_and_twenty_tokens():
    paper = ModelConfig()
    assert emg_encoder(paper).tokenizer.positions.shape == (80, 256)
    assert pose_encoder(paper).tokenizer.positions.shape == (20, 256)
