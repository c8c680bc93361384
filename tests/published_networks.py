"""The published emg2pose networks in numpy, straight from a checkpoint's names: what ours must equal.

Written from the hyper-parameters that METHOD 7 lists and the names and shapes of the released checkpoints, in float64
and without torch's layers.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# ---- names and shapes -------------------------------------------------------------------------------------------


def _linear(name, n_in, n_out):
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def _norm(name, d):
    return {f"{name}.weight": (d,), f"{name}.bias": (d,)}


def _conv(name, n_in, n_out, *kernel):
    return {f"{name}.weight": (n_out, n_in, *kernel), f"{name}.bias": (n_out,)}


def tds_shapes():
    shapes = {}
    for i, (n_in, kernel) in enumerate(((16, 11), (256, 5))):
        block = f"model.network.layers.{i}"
        shapes |= _conv(f"{block}.conv.0", n_in, 256, kernel) | _norm(f"{block}.norm", 256)
    for i, (kernel, within) in ((2, (17, 9)), (3, (9, 5))):
        stage = f"model.network.layers.{i}.layers"
        shapes |= _conv(f"{stage}.conv1dblock.conv.0", 256, 256, kernel) | _norm(f"{stage}.conv1dblock.norm", 256)
        blocks = f"{stage}.tds_block.tds_conv_blocks"
        for b in (0, 2):
            shapes |= _conv(f"{blocks}.{b}.conv2d", 16, 16, 1, within) | _norm(f"{blocks}.{b}.layer_norm", 256)
            shapes |= _linear(f"{blocks}.{b + 1}.fc_block.0", 256, 256)
            shapes |= _linear(f"{blocks}.{b + 1}.fc_block.2", 256, 256)
            shapes |= _norm(f"{blocks}.{b + 1}.layer_norm", 256)
    return shapes | _linear("model.network.layers.3.linear_layer", 256, 64)


def lstm_shapes(n_out):
    shapes = {}
    for layer, n_in in ((0, 84), (1, 512)):
        shapes[f"model.decoder.lstm.weight_ih_l{layer}"] = (2048, n_in)
        shapes[f"model.decoder.lstm.weight_hh_l{layer}"] = (2048, 512)
        shapes[f"model.decoder.lstm.bias_ih_l{layer}"] = (2048,)
        shapes[f"model.decoder.lstm.bias_hh_l{layer}"] = (2048,)
    return tds_shapes() | shapes | _linear("model.decoder.mlp_out.1", 512, n_out)


def mlp_shapes():
    mlp = "model.decoder.mlp"
    shapes = _linear(f"{mlp}.0", 84, 512) | _norm(f"{mlp}.1", 512)
    shapes |= _linear(f"{mlp}.3", 512, 512) | _norm(f"{mlp}.4", 512) | _linear(f"{mlp}.6", 512, 20)
    return tds_shapes() | shapes


def neuropose_shapes():
    blocks = [
        ((1, 32),),
        ((32, 128),),
        ((128, 256),),
        *5 * [3 * ((256, 256),)],
        ((256, 128),),
        ((128, 32),),
        ((32, 1),),
    ]
    shapes = {}
    for i, convs in enumerate(blocks):
        for m, (n_in, n_out) in enumerate(convs):
            block = f"model.network.network.{i}.network"
            shapes |= _conv(f"{block}.{4 * m}", n_in, n_out, 3, 2) | _norm(f"{block}.{4 * m + 1}", n_out)
            shapes |= {f"{block}.{4 * m + 1}.running_{kind}": (n_out,) for kind in ("mean", "var")}
            shapes[f"{block}.{4 * m + 1}.num_batches_tracked"] = ()
    return shapes | _linear("model.network.linear", 32, 20)


def draw(shapes) -> dict[str, np.ndarray]:
    """Random weights that keep numbers near one through the layers, and NeuroPose's last ReLU open."""
    rng, state = np.random.default_rng(0), {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = np.array(7)
            continue
        value = rng.standard_normal(shape)
        if len(shape) > 1:
            value /= np.sqrt(np.prod(shape[1:]))
        elif name.endswith("running_var"):
            value = 1 + value**2
        elif name.endswith("weight"):  # of a norm
            value = 1 + 0.1 * value
        else:
            value = 0.3 * value
        state[name] = (value + (name == "model.network.network.10.network.1.bias")).astype(np.float32)
    return state


# ---- the computation --------------------------------------------------------------------------------------------


def _apply_norm(state, name, x):
    """LayerNorm over the first axis of (C, ...)."""
    w, b = (state[f"{name}.{part}"][:, None].astype(float) for part in ("weight", "bias"))
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * w + b


def _apply_linear(state, name, x):
    """x: (C, T)."""
    return state[f"{name}.weight"].astype(float) @ x + state[f"{name}.bias"][:, None]


def _apply_conv1d(state, name, x, stride):
    w = state[f"{name}.weight"].astype(float)
    windows = sliding_window_view(x, w.shape[2], axis=1)[:, ::stride]  # (C, T', k)
    return np.tensordot(w, windows, ((1, 2), (0, 2))) + state[f"{name}.bias"][:, None]


def tds(state, x):
    """(16, T) to (64, T')."""
    layers = "model.network.layers"
    for i, stride in ((0, 5), (1, 2)):
        x = _apply_norm(
            state, f"{layers}.{i}.norm", np.maximum(_apply_conv1d(state, f"{layers}.{i}.conv.0", x, stride), 0)
        )
    for i, stride in ((2, 4), (3, 2)):
        stage = f"{layers}.{i}.layers"
        x = np.maximum(_apply_conv1d(state, f"{stage}.conv1dblock.conv.0", x, stride), 0)
        x = _apply_norm(state, f"{stage}.conv1dblock.norm", x)
        for b in (0, 2):
            block = f"{stage}.tds_block.tds_conv_blocks.{b}"
            w = state[f"{block}.conv2d.weight"][:, :, 0].astype(float)  # (16, 16, k)
            windows = sliding_window_view(x.reshape(16, 16, -1), w.shape[2], axis=2)  # (channel, width, T', k)
            y = np.einsum("oik,iwtk->owt", w, windows) + state[f"{block}.conv2d.bias"][:, None, None]
            y = np.maximum(y, 0).reshape(256, -1)
            x = _apply_norm(state, f"{block}.layer_norm", y + x[:, -y.shape[1] :])
            block = f"{stage}.tds_block.tds_conv_blocks.{b + 1}"
            y = _apply_linear(
                state, f"{block}.fc_block.2", np.maximum(_apply_linear(state, f"{block}.fc_block.0", x), 0)
            )
            x = _apply_norm(state, f"{block}.layer_norm", x + y)
    return _apply_linear(state, f"{layers}.3.linear_layer", x)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def rollout(state, x, decoder, n_position, first_pose=None):
    """(16, T) to (20, steps) at 50 Hz; decoder "lstm" or "mlp"; n_position: steps that are positions."""
    features = tds(state, x)
    n_steps = round((x.shape[1] - 1790) / 2000 * 50)
    at = np.linspace(0, features.shape[1] - 1, n_steps)  # the ends on the ends
    features = np.stack([np.interp(at, np.arange(features.shape[1]), row) for row in features])
    pose, poses = np.zeros(20) if first_pose is None else first_pose, []
    h, c = np.zeros((2, 512)), np.zeros((2, 512))
    for t in range(n_steps):
        z = np.concatenate([features[:, t], pose])
        if decoder == "lstm":
            for layer in (0, 1):
                part = {k: state[f"model.decoder.lstm.{k}_l{layer}"].astype(float) for k in
                        ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip
                gates = part["weight_ih"] @ z + part["bias_ih"] + part["weight_hh"] @ h[layer] + part["bias_hh"]
                i, f, g, o = np.split(gates, 4)
                c[layer] = _sigmoid(f) * c[layer] + _sigmoid(i) * np.tanh(g)
                h[layer] = z = _sigmoid(o) * np.tanh(c[layer])
            out = 0.01 * _apply_linear(state, "model.decoder.mlp_out.1", _leaky(z)[:, None])[:, 0]
        else:
            z = z[:, None]
            for m in (0, 3):
                z = _apply_linear(state, f"model.decoder.mlp.{m}", z)
                z = _leaky(_apply_norm(state, f"model.decoder.mlp.{m + 1}", z))
            out = 0.01 * _apply_linear(state, "model.decoder.mlp.6", z)[:, 0]
        pose = out[:20] if t < n_position else pose + out[-20:]
        poses.append(pose)
    return np.stack(poses, axis=1)


def _unit(state, block, m, x):
    """Convolution 3 x 2, BatchNorm as it evaluates, ReLU of a picture (d, T, C)."""
    w = state[f"{block}.{4 * m}.weight"].astype(float)
    padded = np.pad(x, ((0, 0), (1, 1), (0, 1)))  # "same": of an even kernel's zeros the odd one is behind
    windows = sliding_window_view(padded, (3, 2), axis=(1, 2))  # (d, T, C, 3, 2)
    y = np.tensordot(w, windows, ((1, 2, 3), (0, 3, 4))) + state[f"{block}.{4 * m}.bias"][:, None, None]
    norm = {k: state[f"{block}.{4 * m + 1}.{k}"].astype(float)[:, None, None] for k in
            ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    y = (y - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5) * norm["weight"] + norm["bias"]
    return np.maximum(y, 0)


def neuropose(state, x):
    """(16, T) to (20, T rounded down to 320s)."""
    x = x.T[None]  # (1, T, C)
    for i, (time, channels) in enumerate(((10, 2), (8, 2), (4, 4))):
        x = _unit(state, f"model.network.network.{i}.network", 0, x)
        d, t, c = x.shape
        x = x[:, : t // time * time].reshape(d, t // time, time, c // channels, channels).max((2, 4))
    for i in range(3, 8):
        y = x
        for m in range(3):
            y = _unit(state, f"model.network.network.{i}.network", m, y)
        x = x + y
    for i, (time, channels) in zip((8, 9, 10), ((10, 4), (8, 4), (4, 2)), strict=True):
        x = _unit(state, f"model.network.network.{i}.network", 0, x).repeat(time, axis=1).repeat(channels, axis=2)
    return _apply_linear(state, "model.network.linear", x[0].T)
