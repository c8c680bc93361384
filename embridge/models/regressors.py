"""The supervised baselines, which regress pose from EMG (E 3.3; METHOD 7): PoseT, and the published networks.

Layer order, widths and interpolation of the published ones (Liu et al. 2021 and Salter et al. 2024, for 2 s at 2 kHz)
are those of their authors, whose weights :mod:`embridge.models.released` loads.
"""

import math
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embridge.config import REGRESSORS, ModelConfig
from embridge.errors import InputError, one_of
from embridge.models.transformer import Block, add_positions, emg_encoder, initialise, unpatchify

SCALE = 0.01  # of the decoder's output
STARTS_AT_MEAN = ("Vemg2pose",)  # trained from Rollout.start_at the mean pose; ours
N_POSITION = 12  # steps whose output is a position: round(0.25 s * 50 Hz), half to even as published


def regressor(kind: str, cfg: ModelConfig) -> "Regressor":
    """A freshly drawn network of REGRESSORS for the configuration's channels, joints and window.

    Width, depth and patches of cfg shape PoseT alone; the others have their published sizes. Raises InputError for an
    unknown kind, and for windows that the network cannot cover: all but PoseT are made for 2 s at 2 kHz.
    """
    one_of("regressor", kind, *REGRESSORS)
    if kind == "PoseT":
        return PoseT(cfg)
    build = {"NeuroPose": NeuroPose, "emg2pose": emg2pose}.get(kind, vemg2pose)
    options = {"tracking": True} if kind == "Vemg2pose tracking" else {}
    model = build(cfg.n_channels, cfg.n_joints, **options)
    if model.n_covered(cfg.window) < model.stride:
        covered = f"covers nothing of a window of {cfg.window} samples"
        raise InputError(f"{kind} {covered}: it is made for 2 s at 2 kHz. Use PoseT.")
    return model


class Regressor(nn.Module):
    """Joint angles from EMG, at a rate of the network's own."""

    left_context: int = 0  # samples at a window's start that are seen but not predicted
    stride: int = 1  # samples between two outputs; the sample rate over it is the output rate
    tracks: bool = False  # whether the true pose of the first covered sample is an input; then it is never probed

    def outputs(self, x: Tensor, first_pose: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Angles (B, J, T_out), rad, and what the final layer read them from, (B, T_out or tokens, d)."""
        raise NotImplementedError

    def n_covered(self, n_samples: int) -> int:
        """The number of a window's samples that the outputs stand for."""
        return n_samples - self.left_context

    def covered(self, n_samples: int) -> slice:
        """These samples of a window of n_samples."""
        return slice(self.left_context, self.left_context + self.n_covered(n_samples))

    def forward(self, x: Tensor, first_pose: Tensor | None = None) -> Tensor:
        """x: (B, C, T) EMG; first_pose: (B, J) rad, where the network tracks; returns angles (B, J, T_out), rad."""
        return self.outputs(x, first_pose)[0]

    def predict(self, x: Tensor, first_pose: Tensor | None = None) -> Tensor:
        """The angles of each covered sample of x (B, C, T), linearly interpolated: (B, J, n_covered), rad."""
        angles, n = self(x, first_pose), self.n_covered(x.shape[-1])
        return angles if angles.shape[-1] == n else F.interpolate(angles, size=n, mode="linear")

    def features(self, x: Tensor) -> Tensor:
        """The probe's features of x (B, C, T): the mean over time of the final layer's input (E A.6); (B, d)."""
        if self.tracks:
            raise InputError("A tracking network has seen the true pose and is not probed; probe a regression network.")
        return self.outputs(x)[1].mean(dim=1)


class PoseT(Regressor):
    """A transformer (E 3.3, A.6): the EMG encoder with all tokens visible, then a decoder that gives patches' angles.

    E gives four encoder and two decoder layers and no more; the rest is the MAE's, so that the two differ in what they
    learn alone. One output a sample of a waveform or a bin of frames; a tail shorter than a patch is not covered.
    """

    def __init__(self, cfg: ModelConfig):
        super().__init__()
        # an EMG token stands for as many steps of pose as its patch lasts
        self.n_joints, self.patch = cfg.n_joints, replace(cfg, pose_patch=cfg.emg_patch).pose.patch
        self.n_tokens = cfg.emg.n_tokens
        self.to_decoder = nn.Linear(cfg.d, cfg.d)
        add_positions(self, cfg.positions, self.n_tokens, cfg.d)
        self.blocks = nn.ModuleList(Block(cfg.d, cfg.n_heads, cfg.mlp_ratio) for _ in range(cfg.n_decoder_layers))
        self.norm = nn.LayerNorm(cfg.d)
        self.head = nn.Linear(cfg.d, cfg.n_joints * self.patch)
        initialise(self)
        self.encoder = emg_encoder(cfg)

    def n_covered(self, n_samples: int) -> int:
        return self.n_tokens * self.patch  # in steps of pose, whatever the steps of EMG are

    def outputs(self, x: Tensor, first_pose: None = None) -> tuple[Tensor, Tensor]:
        """Angles (B, J, n_covered), rad, and the decoder's tokens (B, L, d) of x (B, C, T)."""
        tokens = self.to_decoder(self.encoder(x))  # (B, 1 + L, d)
        tokens = torch.cat([tokens[:, :1], tokens[:, 1:] + self.positions], dim=1)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        states = self.norm(self.blocks[-1](tokens, slice(1, None)))  # without [CLS]
        return unpatchify(self.head(states), self.n_joints).float(), states


class Dropout(nn.Dropout):
    """nn.Dropout, but on a CPU with masks made of numpy's random bits: torch draws each element's by itself.

    NeuroPose drops from 2.6 million elements a window, which so took a third of its step (docs/speed.md). p is rounded
    to a 65,536th. The bits are of a stream that torch's generator seeds.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        drawn = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, ()))))
        dropped = round(self.p * 2**16)
        kept = torch.from_numpy(drawn.integers(2**16, size=x.shape, dtype=np.uint16) >= dropped)
        return x * kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))


def unit(c_in: int, c_out: int, dropout: float) -> nn.Sequential:
    """Convolution 3 x 2 that keeps the size, BatchNorm, ReLU, dropout."""
    # an even kernel's "same" padding puts the odd zero behind; padding="same" itself would warn of a copy
    convolution = nn.ZeroPad2d((0, 1, 1, 1)), nn.Conv2d(c_in, c_out, (3, 2))
    return nn.Sequential(*convolution, nn.BatchNorm2d(c_out), nn.ReLU(), Dropout(dropout))


class Residual(nn.Module):
    """x plus three units of x, (B, d, T, C)."""

    def __init__(self, d: int, dropout: float):
        super().__init__()
        self.units = nn.Sequential(*(unit(d, d, dropout) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.units(x)


class NeuroPose(Regressor):
    """Encoder, residual blocks and decoder on the picture (time, channel), without skips between the two.

    Liu et al. 2021, in Salter et al.'s (2024) sizes for 2 kHz. The outputs, one a sample, stand for whole cells of the
    deepest pool, 320 samples each: 3,840 of 4,000. With fewer than 16 channels a pool takes what are left (ours).
    """

    def __init__(
        self,
        n_channels=16,
        n_joints=20,
        *,
        widths=(32, 128, 256),
        pools=((10, 2), (8, 2), (4, 4)),  # time, channels
        upsamples=((10, 4), (8, 4), (4, 2)),
        n_residual=5,
        dropout=0.05,
    ):
        super().__init__()
        self.n_channels, self.cell = n_channels, math.prod(time for time, _ in pools)
        layers, left, c_in = [], n_channels, 1
        for c_out, (time, channels) in zip(widths, pools, strict=True):
            channels = min(channels, left)
            layers += [unit(c_in, c_out, dropout), nn.MaxPool2d((time, channels))]
            left, c_in = left // channels, c_out
        layers += [Residual(c_in, dropout) for _ in range(n_residual)]
        for c_out, up in zip((*widths[-2::-1], 1), upsamples, strict=True):
            layers += [unit(c_in, c_out, dropout), nn.Upsample(scale_factor=tuple(map(float, up)), mode="nearest")]
            c_in = c_out
        self.layers = nn.Sequential(*layers)
        self.readout = nn.Linear(left * math.prod(channels for _, channels in upsamples), n_joints)

    def n_covered(self, n_samples: int) -> int:
        return n_samples // self.cell * self.cell

    def outputs(self, x: Tensor, first_pose: None = None) -> tuple[Tensor, Tensor]:
        """Angles (B, J, n_covered), rad, and the decoder's picture (B, n_covered, 32) of x (B, C, T)."""
        check_windows("NeuroPose", x, self.n_channels, self.cell)
        states = self.layers(x.mT[:, None])[:, 0]  # (B, 1, T, C) to (B, T, 32)
        return self.readout(states).float().mT, states


def check_windows(network: str, x: Tensor, n_channels: int, n_samples: int) -> None:
    """InputError unless windows x (B, C, T) have the network's channels and at least n_samples."""
    if x.shape[1] != n_channels or x.shape[2] < n_samples:
        found = f"found {' x '.join(map(str, x.shape[1:]))}; build it from the data's configuration, or use PoseT"
        raise InputError(
            f"Windows given to {network}: expected {n_channels} channels and at least {n_samples} samples, {found}."
        )


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mT).mT


class ChannelsLast(nn.Conv1d):
    """A convolution of (B, C, T) whose output lies in memory as (B, T, C), which what follows reads as it is."""

    def forward(self, x: Tensor) -> Tensor:
        # Samples at the end that no output reads are cut off. Where there are any, oneDNN 3.12 (of torch 2.13) with AMX
        # makes the weights' gradient in bf16 also of memory that nobody wrote: now and then 256 are not a number.
        x = x[..., : x.shape[-1] - (x.shape[-1] - self.kernel_size[0]) % self.stride[0]]
        picture = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(picture, self.weight.unsqueeze(2), self.bias, (1, *self.stride)).squeeze(2)


class TDSBlock(nn.Module):
    """A convolution over time within each of ``width`` columns, then a fully connected pair; residual, LayerNorm last.

    x: (B, channels * width, T), channels slowest; returns the last T - kernel + 1 samples.
    """

    def __init__(self, channels: int, width: int, kernel: int):
        super().__init__()
        d = channels * width
        self.channels = channels
        self.conv = nn.Conv2d(channels, channels, (1, kernel))
        self.norm_conv = ChannelNorm(d)
        self.connected = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.norm_connected = ChannelNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a fortieth of the work; with AMX as in ChannelsLast
            y = self.conv(x.to(self.conv.weight.dtype).unflatten(1, (self.channels, -1)))
        y = F.relu(y).flatten(1, 2)
        y = self.norm_conv(y + x[..., -y.shape[-1] :])
        return self.norm_connected(y + self.connected(y.mT).mT)


class TDS(nn.Module):
    """Time-depth separable convolutions without padding (Hannun et al. 2019; Salter et al. 2024).

    EMG (B, C, T) to features (B, d_out, T'), 25 Hz at 2 kHz; published sizes by default. Kernels and strides are those
    of the stem, and of what opens each of the stages, beside the kernel of its two blocks.
    """

    def __init__(
        self, n_channels=16, *, channels=16, width=16, stem=((11, 5), (5, 2)), stages=((17, 4, 9), (9, 2, 5)), d_out=64
    ):
        super().__init__()
        self.n_channels, self.d_out, d = n_channels, d_out, channels * width
        self.left_context, self.stride = 0, 1  # samples that the first feature needs before its own; between features
        layers = []
        for kernel, stride, *within in (*stem, *stages):
            convolution = ChannelsLast(d if layers else n_channels, d, kernel, stride)
            layers.append(nn.Sequential(convolution, nn.ReLU(), ChannelNorm(d)))
            self.left_context += (kernel - 1) * self.stride
            self.stride *= stride
            for size in within * 2:
                layers.append(TDSBlock(channels, width, size))
                self.left_context += (size - 1) * self.stride
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(d, d_out)

    def forward(self, x: Tensor) -> Tensor:
        check_windows("a TDS network", x, self.n_channels, self.left_context + 1)
        return self.project(self.layers(x).mT).mT


class LSTMStep(nn.Module):
    """One step of the LSTM decoder: (B, d_in) and its state to (B, hidden) and the next state."""

    def __init__(self, d_in: int, hidden: int):
        super().__init__()
        self.lstm = nn.LSTM(d_in, hidden, num_layers=2, batch_first=True)

    def forward(self, x: Tensor, state):
        zero, after = x.new_zeros(len(x), self.lstm.hidden_size), []
        # cell by cell: on a CPU nn.LSTM called for one step at a time takes 1.4 times as long or more (docs/speed.md)
        for before, weights in zip(state or [(zero, zero)] * 2, self.lstm.all_weights, strict=True):
            after.append(torch.lstm_cell(x, before, *weights))
            x = after[-1][0]
        return F.leaky_relu(x), after


class MLPStep(nn.Module):
    """One step of the MLP decoder, which keeps no state: (B, d_in) to (B, hidden)."""

    def __init__(self, d_in: int, hidden: int):
        super().__init__()
        layers = ((nn.Linear(d, hidden), nn.LayerNorm(hidden), nn.LeakyReLU()) for d in (d_in, hidden))
        self.layers = nn.Sequential(*chain(*layers))

    def forward(self, x: Tensor, state=None):
        return self.layers(x), None


class Rollout(Regressor):
    """TDS features, linearly interpolated to one a step, decoded one after another beside the previous pose.

    A step (published: 40 samples, 50 Hz) gives SCALE times a linear layer of the decoder's state. For ``n_position``
    steps the first J of these numbers are the pose; from then on the last J are added to the pose before, which at
    first is zero or, where the network ``tracks``, the true one of sample ``left_context``.
    """

    def __init__(
        self, tds: TDS, decoder: nn.Module, *, hidden: int, n_joints: int, n_out: int, n_position: float, step=40
    ):
        super().__init__()
        self.tds, self.decoder, self.readout = tds, decoder, nn.Linear(hidden, n_out)
        self.n_joints, self.n_position = n_joints, n_position
        self.left_context, self.stride = tds.left_context, step
        self.tracks = n_position == 0

    @torch.no_grad()
    def start_at(self, pose: Tensor) -> None:
        """Before any training: let the outputs that are positions begin near one pose (J,), rad; ours.

        As drawn, the readout must reach pose / SCALE first. On that way Adam moves all weights of the wide convolutions
        alike, until the features of all windows are the same and the gradient that reaches them lies below its epsilon.
        emg2pose's decoder, which normalises, gets away from there; Vemg2pose's has not (docs/not_reproduced.md).
        """
        self.readout.bias[: self.n_joints] = pose / SCALE

    def outputs(self, x: Tensor, first_pose: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Angles (B, J, steps), rad, and decoder states (B, steps, hidden) of x (B, C, T)."""
        if self.tracks != (first_pose is not None):
            needed = "Vemg2pose tracking: expected the true pose (B, J) of the first covered sample, found none."
            not_needed = "A regression network was given a first pose; it starts from zero, leave it out."
            raise InputError(needed if self.tracks else not_needed)
        features = self.tds(x)
        n_steps = round(self.n_covered(x.shape[-1]) / self.stride)
        if not n_steps:
            left = f"no step of {self.stride} samples behind the left context of {self.left_context}"
            raise InputError(f"Windows of {x.shape[-1]} samples leave {left}; give longer windows.")
        features = F.interpolate(features, n_steps, mode="linear", align_corners=True)
        pose = x.new_zeros(len(x), self.n_joints) if first_pose is None else first_pose
        walk = self._walk
        if torch.compiler.is_compiling():  # dozens of LSTM steps in a row: unrolled they would compile for minutes
            walk = torch.compiler.disable(walk)  # as a decorator it would load the compiler, 4 s, in every process
        return walk(features, pose)

    def _walk(self, features: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        poses, states, memory = [], [], None
        # velocities are summed up, and on a GPU autocast's LSTM is float16, whose gradients would vanish
        with torch.autocast(features.device.type, enabled=False):
            for t, feature in enumerate(features.float().unbind(-1)):
                hidden, memory = self.decoder(torch.cat([feature, pose], dim=1), memory)
                out = SCALE * self.readout(hidden)
                pose = out[:, : self.n_joints] if t < self.n_position else pose + out[:, -self.n_joints :]
                poses.append(pose)
                states.append(hidden)
        return torch.stack(poses, dim=2), torch.stack(states, dim=1)


def emg2pose(n_channels=16, n_joints=20, *, hidden=512, **tds) -> Rollout:
    """Position at each step by an MLP [hidden, hidden]; tds: changes to the features' published sizes."""
    features = TDS(n_channels, **tds)
    decoder = MLPStep(features.d_out + n_joints, hidden)
    return Rollout(features, decoder, hidden=hidden, n_joints=n_joints, n_out=n_joints, n_position=math.inf)


def vemg2pose(n_channels=16, n_joints=20, *, tracking=False, hidden=512, **tds) -> Rollout:
    """LSTM of two layers: position for 250 ms and velocity from there on; or, tracking, velocity alone."""
    features = TDS(n_channels, **tds)
    decoder = LSTMStep(features.d_out + n_joints, hidden)
    n_out, n_position = (n_joints, 0) if tracking else (2 * n_joints, N_POSITION)
    return Rollout(features, decoder, hidden=hidden, n_joints=n_joints, n_out=n_out, n_position=n_position)
