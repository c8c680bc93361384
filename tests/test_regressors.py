"""The supervised regressors: sizes, what each output sees, and outputs of tiny configurations worked out by hand."""

import platform
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from embridge.config import REGRESSORS, ModelConfig, TrainConfig, as_json, profile, regression_config
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, cost
from embridge.models import MAE, emg_encoder
from embridge.models.regressors import (
    TDS,
    Dropout,
    NeuroPose,
    PoseT,
    Rollout,
    TDSBlock,
    emg2pose,
    regressor,
    unit,
    vemg2pose,
)

TINY = ModelConfig(
    n_channels=3,
    n_joints=2,
    window=42,
    sample_rate=1,
    emg_patch=4,
    pose_patch=8,
    d=16,
    n_layers=2,
    n_decoder_layers=2,
    n_heads=2,
)
SMALL_TDS = dict(channels=2, width=2, stem=((3, 2),), stages=((3, 2, 3),), d_out=3)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def n_parameters(model):
    return sum(p.numel() for p in model.parameters())


def fill(module, **values):
    """Set parameters by name."""
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name).copy_(
                torch.as_tensor(value, dtype=torch.float32).reshape(getattr(module, name).shape)
            )


# ---- sizes ------------------------------------------------------------------------------------------------------

# By hand from METHOD 7's sizes: weights + biases of a convolution or linear layer, 2 d of a norm.
CONNECTED = 2 * (256 * 256 + 256) + 2 * 256
TDS_SIZE = (
    (16 * 256 * 11 + 256 + 512)
    + (256 * 256 * 5 + 256 + 512)
    + (256 * 256 * 17 + 256 + 512) + 2 * (16 * 16 * 9 + 16 + 512 + CONNECTED)
    + (256 * 256 * 9 + 256 + 512) + 2 * (16 * 16 * 5 + 16 + 512 + CONNECTED)
    + (256 * 64 + 64)
)  # fmt: skip
LSTM_SIZE = 4 * 512 * (84 + 512 + 2) + 4 * 512 * (512 + 512 + 2)
MLP_SIZE = (84 * 512 + 512 + 1024) + (512 * 512 + 512 + 1024)


def conv(n_in, n_out):
    return n_in * n_out * 6 + n_out + 2 * n_out


NEUROPOSE_SIZE = (
    conv(1, 32) + conv(32, 128) + conv(128, 256) + 15 * conv(256, 256)
    + conv(256, 128) + conv(128, 32) + conv(32, 1) + 32 * 20 + 20
)  # fmt: skip
BLOCK = 12 * 256**2 + 13 * 256
POSET_SIZE = (
    (800 * 256 + 256) + 256 + 4 * BLOCK + 512  # tokenizer, [CLS], encoder
    + (256 * 256 + 256) + 2 * BLOCK + 512 + (256 * 1000 + 1000)  # decoder, 20 x 50 angles a patch
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("NeuroPose", 6_354_903),  # the exact number that a re-hosted copy of the released weights gives
        ("Vemg2pose", 5_980_328),  # 5.98 M there
        ("Vemg2pose tracking", 5_970_068),  # 5.97 M there
        ("emg2pose", 2_952_340),  # 2.95 M there
        ("PoseT", 5_267_688),  # ours: no source gives one
    ],
)
def test_parameter_counts_are_the_published_ones(kind, size):
    by_hand = {
        "NeuroPose": NEUROPOSE_SIZE,
        "Vemg2pose": TDS_SIZE + LSTM_SIZE + 512 * 40 + 40,
        "Vemg2pose tracking": TDS_SIZE + LSTM_SIZE + 512 * 20 + 20,
        "emg2pose": TDS_SIZE + MLP_SIZE + 512 * 20 + 20,
        "PoseT": POSET_SIZE,
    }[kind]
    assert n_parameters(regressor(kind, ModelConfig())) == by_hand == size


def covered_ends(kind):
    return {"PoseT": (0, 4000), "NeuroPose": (0, 3840)}.get(kind, (1790, 4000))


@pytest.mark.parametrize(("channels", "joints"), [(16, 20), (12, 18)])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_output_lengths_and_what_they_cover(kind, channels, joints):
    model = regressor(kind, replace(ModelConfig(d=16, n_heads=2), n_channels=channels, n_joints=joints)).eval()
    x, first = torch.randn(2, channels, 4000), torch.randn(2, joints) if kind == "Vemg2pose tracking" else None
    start, stop = covered_ends(kind)
    with torch.no_grad():
        angles, predicted = model(x, first), model.predict(x, first)
        features = None if model.tracks else model.features(x)
    n_out = 55 if model.stride == 40 else stop - start  # 1.105 s at 50 Hz
    assert angles.shape == (2, joints, n_out) and predicted.shape == (2, joints, stop - start)
    assert model.covered(4000) == slice(start, stop) and model.n_covered(4000) == stop - start
    if not model.tracks:
        assert features.shape == (2, {"PoseT": 16, "NeuroPose": 32}.get(kind, 512))


def test_tds_has_a_left_context_of_1790_and_a_stride_of_80():
    model = TDS()
    assert (model.left_context, model.stride) == (1790, 80)
    x = torch.randn(1, 16, 4000, requires_grad=True)
    features = model(x)
    assert features.shape == (1, 64, 28)  # (4000 - 1790 - 1) // 80 + 1
    for i in (0, 1, 27):
        (gradient,) = torch.autograd.grad(features[0, :, i].square().sum(), x, retain_graph=True)
        seen = gradient[0].abs().sum(0).nonzero()[:, 0]
        assert (seen.min(), seen.max()) == (80 * i, 80 * i + 1790)


def seen_by(model, output):
    """First and last sample of a window that one output of NeuroPose depends on."""
    x = torch.randn(1, 16, 4000, requires_grad=True)
    with torch.no_grad():
        model.layers[-2][2].bias.fill_(5.0)  # the last ReLU, of one channel, is open
    (gradient,) = torch.autograd.grad(model.eval()(x)[..., output].sum(), x)
    seen = gradient[0].abs().sum(0).nonzero()[:, 0]
    return seen.min().item(), seen.max().item()


def test_neuropose_sees_the_whole_window_and_its_outputs_stand_where_they_are():
    # 15 convolutions over 12 cells see them all, and of what lies behind these one cell of each convolution before
    # that: 3840 + 80 + 10 + 1 samples
    assert seen_by(NeuroPose(), 3839) == (0, 3840 + 80 + 10 + 1 - 1)
    # output 1930 is up-sampled from 482, beside it 481 and 483; these from 60, beside it 59 and 61; these from cells 5
    # and 6, beside them 4 and 7
    assert seen_by(NeuroPose(n_residual=0), 1930) == (4 * 320 - 91, 8 * 320 - 1 + 91)


# ---- TDS --------------------------------------------------------------------------------------------------------


def test_tds_by_hand():
    """One channel [1, 2, 4]; two features; a LayerNorm of two numbers is +1 for the larger and -1 for the smaller."""
    model = TDS(1, channels=2, width=1, stem=((2, 1),), stages=((1, 1, 1),), d_out=1)
    stem, opening, first, second = model.layers
    fill(stem[0], weight=[[1, 1], [1, -1]], bias=[0, 0])  # sums 3, 6; differences -1, -2, which ReLU removes: (1, -1)
    fill(opening[0], weight=[[1, 0], [0, 1]], bias=[0, 0])  # ReLU (1, 0), norm (1, -1)
    fill(first.conv, weight=[[0, 0], [3, 0]], bias=[0, 0])  # (0, 3) + (1, -1) = (1, 2), norm (-1, 1)
    fill(second.conv, weight=[[0, 0], [3, 0]], bias=[0, 0])  # ReLU(-3) = 0: (-1, 1) stays
    fill(first.connected[0], weight=[[0, 0], [0, 0]], bias=[1, 1])
    fill(first.connected[2], weight=[[2, 3], [0, 0]], bias=[0, 0])  # (5, 0) + (-1, 1) = (4, 1), norm (1, -1)
    fill(second.connected[2], weight=[[0, 0], [0, 0]], bias=[0, 0])  # as second.conv then sees (1, -1): (1, 2), (-1, 1)
    fill(model.project, weight=[2, 1], bias=[3])  # -2 + 1 + 3
    assert model.left_context == 1 and model.stride == 1
    found = model(torch.tensor([[[1.0, 2.0, 4.0]]]))
    np.testing.assert_allclose(found.detach(), [[[2.0, 2.0]]], atol=1e-3)


def test_a_tds_block_convolves_within_columns_and_aligns_its_residual_at_the_end():
    block = TDSBlock(channels=2, width=3, kernel=3)
    fill(block.norm_conv, weight=np.ones(6), bias=np.zeros(6))
    x = torch.randn(1, 6, 8)
    before = block(x)
    moved = x.clone()
    moved[0, 1] += 1  # channel 0, column 1
    y = torch.relu(block.conv(moved.view(1, 2, 3, 8))) - torch.relu(block.conv(x.view(1, 2, 3, 8)))
    assert y[0, :, [0, 2]].abs().max() == 0 and y[0, :, 1].abs().max() > 0
    assert before.shape == (1, 6, 6)
    fill(block.conv, weight=torch.zeros_like(block.conv.weight), bias=[0, 0])
    fill(block.connected[2], weight=np.zeros((6, 6)), bias=np.zeros(6))
    expected = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True, correction=0)
    assert torch.allclose(block(x), expected[..., 2:], atol=1e-3)  # a second norm changes nothing


# ---- the walk ---------------------------------------------------------------------------------------------------


class Features(nn.Module):
    """Two features of one number: 0 and 2, whatever the EMG."""

    left_context = 5

    def forward(self, x):
        return torch.tensor([[[0.0, 2.0]]])


class Echo(nn.Module):
    """A decoder whose state is what it reads and which counts its steps in its memory."""

    def forward(self, x, memory):
        return x, (memory or 0) + 1


def walk(n_position, weight, first_pose=None, n_out=2):
    model = Rollout(Features(), Echo(), hidden=2, n_joints=1, n_out=n_out, n_position=n_position)
    fill(model.readout, weight=weight, bias=np.zeros(n_out))
    x = torch.zeros(1, 16, 5 + 165)  # 165 / 40 rounds to four steps: features 0, 2/3, 4/3, 2
    return model, x, model(x, first_pose)[0, 0].tolist()


def test_position_then_velocity_by_hand():
    # position = feature; velocity = feature + half the previous pose; each times 0.01
    model, x, angles = walk(2, [[100, 0], [100, 50]])
    assert angles == pytest.approx([0, 2 / 3, 2 / 3 + (4 / 3 + 1 / 3), 7 / 3 + (2 + 7 / 6)])
    # its states are (feature, previous pose): their means
    expected = [np.mean([0, 2 / 3, 4 / 3, 2]), np.mean([0, 0, 2 / 3, 7 / 3])]
    assert model.features(x)[0].tolist() == pytest.approx(expected)


def test_position_alone_by_hand():
    angles = walk(float("inf"), [[100, 50]], n_out=1)[2]
    assert angles == pytest.approx([0, 2 / 3, 4 / 3 + 1 / 3, 2 + 5 / 6])


def test_tracking_starts_from_the_true_pose_by_hand():
    angles = walk(0, [[100, 0]], torch.tensor([[1.0]]), n_out=1)[2]
    assert angles == pytest.approx([1, 1 + 2 / 3, 3, 5])


def test_predictions_are_interpolated_between_the_steps_middles():
    model, x, angles = walk(2, [[100, 0], [100, 50]])
    found = model.predict(x)[0, 0].detach().numpy()
    assert len(found) == 165
    middles = (np.arange(4) + 0.5) * 165 / 4 - 0.5
    np.testing.assert_allclose(found, np.interp(np.arange(165), middles, angles), atol=1e-5)


def test_who_gives_a_first_pose_must_track_and_who_tracks_is_not_probed():
    tracking, x = vemg2pose(2, 3, tracking=True, hidden=4, **SMALL_TDS), torch.randn(1, 2, 200)
    with pytest.raises(InputError, match="expected the true pose"):
        tracking(x)
    with pytest.raises(InputError, match="is not probed"):
        tracking.features(x)
    with pytest.raises(InputError, match="starts from zero"):
        emg2pose(2, 3, hidden=4, **SMALL_TDS)(x, torch.zeros(1, 3))


@pytest.mark.parametrize("build", [emg2pose, vemg2pose])
def test_each_step_reads_the_pose_before_it(build):
    model = build(2, 3, hidden=4, **SMALL_TDS)
    x = torch.randn(1, 2, 22 + 160)
    with torch.no_grad():
        model.readout.weight.mul_(100)
    features = torch.zeros(1, 3, 4)
    with torch.no_grad():
        a, b = (model._walk(features, torch.full((1, 3), value))[0] for value in (0.0, 1.0))
        assert not torch.allclose(a[..., 0], b[..., 0]) and not torch.allclose(a[..., 3], b[..., 3])
    assert model(x).shape == (1, 3, 4) and model.left_context == 22  # 2 + 2 * 2 + 2 blocks * 2 * 4


@pytest.mark.parametrize("build", [emg2pose, vemg2pose])
def test_the_loss_reaches_every_weight(build):
    model = build(2, 3, hidden=4, **SMALL_TDS)
    model(torch.randn(4, 2, 22 + 40 * 14)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("n_samples", [4000, 3996, 1791])
def test_strided_convolutions_are_given_no_sample_that_no_output_reads(monkeypatch, n_samples):
    tds, given, conv2d = TDS(4, channels=4, width=4), [], F.conv2d

    def spy(x, weight, bias=None, stride=1, *rest):
        if x.shape[2] == 1:  # a strided one: the blocks' are of several columns
            given.append((x.shape[-1] - weight.shape[-1]) % stride[-1])
        return conv2d(x, weight, bias, stride, *rest)

    monkeypatch.setattr(F, "conv2d", spy)
    x = torch.randn(1, 4, n_samples)
    torch.testing.assert_close(tds.layers[0][0](x), F.conv1d(x, tds.layers[0][0].weight, tds.layers[0][0].bias, 5))
    assert tds(x).shape[-1] == (n_samples - tds.left_context - 1) // tds.stride + 1
    assert given == [0] * 5


UNWRITTEN = """
import ctypes, torch
from embridge.models.regressors import TDS, NeuroPose
libc = ctypes.CDLL(None)
libc.mallopt(-4, 0)  # M_MMAP_MAX: all memory from the heap
for network in TDS(16), NeuroPose():
    for threads, windows in (1, 2), (2, 3):
        torch.set_num_threads(threads)
        x = torch.randn(windows, 16, 4000)
        libc.mallopt(-6, 256)  # M_PERTURB: filled with 0xff, which is not a number
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = network(x)
        y.backward(torch.ones_like(y))
        libc.mallopt(-6, 0)
        assert all(p.grad.isfinite().all() for p in network.parameters()), (threads, windows, network)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="fills memory by glibc's mallopt")
@pytest.mark.skipif(not torch.cpu.get_capabilities().get("amx_bf16"), reason="the processor has no AMX")
def test_no_gradient_in_bf16_is_made_of_memory_that_nobody_wrote():
    subprocess.run([sys.executable, "-c", UNWRITTEN], check=True)


def test_velocities_are_summed_in_float32_under_mixed_precision():
    model = vemg2pose(2, 3, hidden=4, **SMALL_TDS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pose, states = model.outputs(torch.randn(1, 2, 22 + 40 * 14))
    assert pose.dtype == states.dtype == torch.float32  # a GPU's LSTM would be float16 otherwise


# ---- NeuroPose --------------------------------------------------------------------------------------------------


def test_neuropose_by_hand():
    model = NeuroPose(2, 1, widths=(1,), pools=((2, 2),), upsamples=((2, 2),), n_residual=0).eval()
    for layer in (model.layers[0], model.layers[2]):
        fill(layer[1], weight=[[0, 0], [1, 0], [0, 0]], bias=[0])  # the identity: middle in time, first of two channels
    fill(model.readout, weight=[1, 0.5], bias=[1])
    x = torch.tensor([[[1.0, 3, 5, 7, 9], [2, 4, 6, 8, 10]]])  # cells {1 2 3 4} and {5 6 7 8}; 9 and 10 fill none
    np.testing.assert_allclose(model(x).detach(), [[[7, 7, 13, 13]]], rtol=1e-4)  # 1.5 times the largest, plus 1
    np.testing.assert_allclose(model.features(x).detach(), [[6, 6]], rtol=1e-4)  # the mean of 4 and 8, in both columns


def test_a_residual_block_adds_its_input():
    model = NeuroPose(2, 1, widths=(1,), pools=((2, 2),), upsamples=((2, 2),), n_residual=1, dropout=0).eval()
    residual, x = model.layers[2], torch.randn(1, 1, 4, 3)
    for layer in residual.units:
        fill(layer[1], weight=np.zeros((3, 2)), bias=[2])
    assert torch.allclose(residual(x), x + 2, atol=1e-4)


def test_the_padding_is_torch_s_same():
    layer = unit(2, 3, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it copies
        same = nn.Conv2d(2, 3, (3, 2), padding="same")
        same.load_state_dict(layer[1].state_dict())
        x = torch.randn(1, 2, 6, 5)
        assert torch.allclose(layer[:2](x), same(x), atol=1e-6)


# ---- PoseT ------------------------------------------------------------------------------------------------------


def test_poset_gives_each_patch_its_angles():
    model = PoseT(TINY)
    fill(model.head, weight=np.zeros((8, 16)), bias=np.arange(8))  # joint 0: 0 1 2 3, joint 1: 4 5 6 7
    angles = model(torch.randn(3, 3, 42))
    expected = np.tile(np.arange(8).reshape(2, 4), (3, 1, 10))
    assert model.covered(42) == slice(0, 40)  # two samples are less than a patch
    np.testing.assert_array_equal(angles.detach(), expected)


def test_poset_is_the_mae_s_encoder_and_decoder_with_nothing_masked():
    mae, model = MAE(emg_encoder(TINY), TINY).eval(), PoseT(TINY).eval()
    shared = {name: value for name, value in mae.state_dict().items() if name in model.state_dict()}
    shared = {name: value for name, value in shared.items() if not name.startswith("head")}
    missing = model.load_state_dict(shared, strict=False).missing_keys
    assert missing == ["head.weight", "head.bias"]
    x = torch.randn(2, 3, 42)
    keep, none = torch.arange(10).expand(2, -1), torch.empty(2, 0, dtype=torch.long)
    states = mae.decode(mae.encoder(x), keep, none, slice(1, None))
    assert torch.allclose(model.outputs(x)[1], states, atol=1e-5)
    assert torch.allclose(model.features(x), states.mean(1), atol=1e-5)
    angles = (states @ model.head.weight.T + model.head.bias).view(2, 10, 2, 4)
    assert torch.allclose(model(x)[:, 1, 12:16], angles[:, 3, 1], atol=1e-5)


def test_the_loss_reaches_every_weight_of_poset():
    model = PoseT(TINY)
    model(torch.randn(2, 3, 42)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


# ---- what is refused --------------------------------------------------------------------------------------------


def test_unknown_kinds_and_windows_that_are_too_short_are_refused():
    with pytest.raises(InputError, match="expected PoseT, NeuroPose"):
        regressor("vemg2pose", ModelConfig())
    db1 = replace(ModelConfig(), n_channels=10, n_joints=22, window=100, sample_rate=100, emg_patch=0.05)
    for kind in set(REGRESSORS) - {"PoseT"}:
        with pytest.raises(InputError, match=f"{kind} covers nothing of a window of 100 samples"):
            regressor(kind, db1)
    assert regressor("PoseT", db1)(torch.randn(1, 10, 100)).shape == (1, 22, 100)
    with pytest.raises(InputError, match="expected 16 channels and at least 1791 samples, found 16 x 1790"):
        regressor("Vemg2pose", ModelConfig())(torch.randn(1, 16, 1790))
    with pytest.raises(InputError, match="leave no step of 40 samples"):
        regressor("Vemg2pose", ModelConfig())(torch.randn(1, 16, 1800))
    with pytest.raises(InputError, match="expected 16 channels and at least 320 samples, found 12 x 4000"):
        regressor("NeuroPose", ModelConfig())(torch.randn(1, 12, 4000))


def test_the_recipe():
    stage = TrainConfig(epochs=40, lr=1e-4, seed=3)
    for kind in ("NeuroPose", "Vemg2pose"):
        recipe = replace(stage, lr=1e-3, weight_decay=0.0, schedule="constant", patience=4)
        assert regression_config(stage, kind, {}) == recipe
    for kind in ("emg2pose", "Vemg2pose tracking"):
        assert regression_config(stage, kind, {}) == replace(recipe, clip=1.0)
    assert regression_config(stage, "PoseT", {}) == stage
    assert regression_config(stage, "PoseT", {"PoseT": 7}) == replace(stage, epochs=7)
    assert regression_config(stage, "emg2pose", {"emg2pose": 90}).epochs == 40  # the most, not the least


def test_long_trains_regressors_until_they_stop_improving_and_nothing_else_differs_from_quick():
    long, quick = profile("long"), profile("quick")
    for name, experiment in EXPERIMENTS.items():
        (shape, config), (same_shape, fewer) = (experiment.configs(size, 0) for size in (long, quick))
        assert shape == same_shape and (name in REGRESSORS or config == fewer)
        if name in REGRESSORS:
            assert config.epochs == 10 * config.patience > fewer.epochs
            assert config.precision == ("auto" if name == "PoseT" else "bf16")  # as "auto" is on a GPU
            assert replace(config, epochs=fewer.epochs, patience=fewer.patience, precision="auto") == fewer
    ours = EXPERIMENTS["PoseT"].configs(long, 0)[1]
    assert ours.patience > ours.t_0 and ours.epochs % ours.t_0 == 0  # or one period would have no restart
    assert EXPERIMENTS["PoseT"].configs(profile("paper"), 0)[1].patience is None
    stage = TrainConfig(epochs=40, lr=1e-4)
    assert regression_config(stage, "PoseT", {"PoseT": 7}, {"PoseT": 90}) == replace(stage, epochs=90, patience=9)
    assert "regressor_caps" not in as_json(quick) and cost(EXPERIMENTS["NeuroPose"], long) == 310 * 100


def test_only_a_compiled_network_loads_the_compiler():
    """It takes 4 s, and every notebook and job loads the networks."""
    code = "import sys; import embridge.study; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


@pytest.mark.no_cover  # tracing the compiler takes longer than compiling
def test_steps_of_a_decoder_are_not_compiled():
    network = vemg2pose(3, 2, hidden=8)
    x, graphs = torch.randn(1, 3, 2000), []

    def backend(graph, _):
        graphs.append(str(graph.graph))
        return graph

    compiled = torch.compile(lambda x: network.outputs(x)[0], backend=backend, dynamic=False)
    with torch.no_grad():  # torch warns of gradients that it looks for at a graph's end
        torch.testing.assert_close(compiled(x), network.outputs(x)[0])
    assert "conv2d" in "".join(graphs) and "lstm" not in "".join(graphs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_takes_its_share_scales_the_rest_and_follows_torch_s_seed(dtype):
    layer, x = Dropout(0.05).train(), torch.ones(400, 50, 50, dtype=dtype, requires_grad=True)
    torch.manual_seed(0)
    one, other = layer(x), layer(x)
    torch.manual_seed(0)
    assert torch.equal(layer(x), one) and not torch.equal(one, other)
    for part in (one, one[:, :25], one[..., ::2]):  # 4 standard deviations of half a million draws
        assert (part == 0).double().mean().item() == pytest.approx(0.05, abs=1.3e-3)
    assert (one[:, 1:] == 0)[one[:, :-1] == 0].double().mean().item() == pytest.approx(0.05, abs=5e-3)  # no memory
    scale = nn.functional.dropout(torch.ones(1000, dtype=dtype), 0.05).max()  # torch's own
    assert one.unique().tolist() == pytest.approx([0, scale.item()], rel=1e-4)
    one.sum().backward()
    assert torch.equal(x.grad, one.detach()) and layer.eval()(x) is x
