"""The time-depth separable regressors of Salter et al. 2024: emg2pose, Vemg2pose, and Vemg2pose tracking (METHOD 7).

Features: strided and time-depth separable convolutions (Hannun et al. 2019) without padding. A decoder then walks
through them at 50 Hz, and what it said last is part of what it reads next. Layer order, widths and interpolation are
those of the published networks, whose weights :mod:`embridge.models.released` loads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embridge.errors import InputError
from embridge.models.base import Regressor

STEM = ((11, 5), (5, 2))  # kernel, stride
STAGES = ((17, 4, 9), (9, 2, 5))  # kernel and stride that open a stage, kernel of its blocks
N_BLOCKS = 2  # a stage
SCALE = 0.01  # of the decoder's output
STEP = 40  # samples between two decoder steps: 50 Hz
N_POSITION = 12  # steps whose output is a position: round(0.25 s * 50 Hz), half to even as published


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mT).mT


def strided(c_in: int, c_out: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution without padding, ReLU, LayerNorm."""
    return nn.Sequential(nn.Conv1d(c_in, c_out, kernel, stride), nn.ReLU(), ChannelNorm(c_out))


class TDSBlock(nn.Module):
    """A convolution over time within each of ``width`` columns, then a fully connected pair; residual, LayerNorm last.

    x: (B, channels * width, T), channels slowest; returns kernel - 1 samples less, at the end of which x stands.
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
        y = F.relu(self.conv(x.unflatten(1, (self.channels, -1)))).flatten(1, 2)
        y = self.norm_conv(y + x[..., -y.shape[-1] :])
        return self.norm_connected(y + self.connected(y.mT).mT)


class TDS(nn.Module):
    """EMG (B, C, T) to features (B, d_out, T'), 25 Hz at 2 kHz; published sizes by default.

    Attributes
    ----------
    left_context : samples that the first feature needs before its own
    stride : samples between two features
    """

    def __init__(
        self, n_channels: int = 16, *, channels: int = 16, width: int = 16, stem=STEM, stages=STAGES, d_out: int = 64
    ):
        super().__init__()
        self.n_channels, self.d_out, d = n_channels, d_out, channels * width
        self.left_context, self.stride = 0, 1
        layers = []

        def reduce(kernel: int, stride: int) -> None:
            layers.append(strided(d if layers else n_channels, d, kernel, stride))
            self.left_context += (kernel - 1) * self.stride
            self.stride *= stride

        for kernel, stride in stem:
            reduce(kernel, stride)
        for kernel, stride, within in stages:
            reduce(kernel, stride)
            layers += [TDSBlock(channels, width, within) for _ in range(N_BLOCKS)]
            self.left_context += N_BLOCKS * (within - 1) * self.stride
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(d, d_out)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.n_channels or x.shape[2] <= self.left_context:
            raise InputError(
                f"Windows given to a TDS network: expected {self.n_channels} channels and more than "
                f"{self.left_context} samples, found {' x '.join(map(str, x.shape[1:]))}; build it from the data's "
                "configuration, or use PoseT for short windows."
            )
        return self.project(self.layers(x).mT).mT


class LSTMStep(nn.Module):
    """One step of the LSTM decoder: (B, d_in) and its state to (B, hidden) and the next state."""

    def __init__(self, d_in: int, hidden: int, n_layers: int = 2):
        super().__init__()
        self.lstm = nn.LSTM(d_in, hidden, n_layers, batch_first=True)

    def forward(self, x: Tensor, state):
        y, state = self.lstm(x[:, None], state)
        return F.leaky_relu(y[:, 0]), state


class MLPStep(nn.Module):
    """One step of the MLP decoder, which keeps no state: (B, d_in) to (B, hidden)."""

    def __init__(self, d_in: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d_in, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor, state=None):
        return self.layers(x), None


class Rollout(Regressor):
    """TDS features, linearly interpolated to a rate of one a step, decoded one after another beside the previous pose.

    A step gives SCALE times a linear layer of the decoder's state. For ``n_position`` steps the first J of these
    numbers are the pose; from then on the last J are added to the pose before. ``tracks``: the first "previous pose" is
    the true one of sample ``left_context``; else it is zero.
    """

    def __init__(
        self, tds: TDS, decoder: nn.Module, *, hidden: int, n_joints: int, n_out: int, n_position: float, step=STEP
    ):
        super().__init__()
        self.tds, self.decoder, self.readout = tds, decoder, nn.Linear(hidden, n_out)
        self.n_joints, self.n_position = n_joints, n_position
        self.left_context, self.stride = tds.left_context, step
        self.tracks = n_position == 0

    def outputs(self, x: Tensor, first_pose: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Angles (B, J, steps), rad, and decoder states (B, steps, hidden) of x (B, C, T)."""
        if self.tracks != (first_pose is not None):
            raise InputError(
                "Vemg2pose tracking: expected the true pose (B, J) of the first covered sample, found none."
                if self.tracks
                else "A regression network was given a first pose; it starts from zero, leave it out."
            )
        features = self.tds(x)
        n_steps = round(self.n_covered(x.shape[-1]) / self.stride)
        if not n_steps:
            raise InputError(
                f"Windows of {x.shape[-1]} samples leave no step of {self.stride} samples behind the left context of "
                f"{self.left_context}; give longer windows."
            )
        features = F.interpolate(features, n_steps, mode="linear", align_corners=True)
        if first_pose is None:
            first_pose = x.new_zeros(len(x), self.n_joints)
        walk = self._walk
        if torch.compiler.is_compiling():  # dozens of LSTM steps in a row: unrolled they would compile for minutes
            walk = torch.compiler.disable(walk)  # as a decorator it would load the compiler, 4 s, in every process
        return walk(features, first_pose)

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


def emg2pose(n_channels: int = 16, n_joints: int = 20, *, hidden: int = 512, **tds) -> Rollout:
    """Position at each step by an MLP [hidden, hidden]; tds: changes to the features' published sizes."""
    features = TDS(n_channels, **tds)
    decoder = MLPStep(features.d_out + n_joints, hidden)
    return Rollout(features, decoder, hidden=hidden, n_joints=n_joints, n_out=n_joints, n_position=float("inf"))


def vemg2pose(n_channels: int = 16, n_joints: int = 20, *, tracking: bool = False, hidden: int = 512, **tds) -> Rollout:
    """LSTM of two layers: position for 250 ms and velocity from there on; or, tracking, velocity alone."""
    features = TDS(n_channels, **tds)
    return Rollout(
        features,
        LSTMStep(features.d_out + n_joints, hidden),
        hidden=hidden,
        n_joints=n_joints,
        n_out=n_joints if tracking else 2 * n_joints,
        n_position=0 if tracking else N_POSITION,
    )
