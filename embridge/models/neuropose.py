"""NeuroPose (Liu et al. 2021) in the sizes that Salter et al. 2024 published for 2 kHz (METHOD 7)."""

import math

from torch import Tensor, nn

from embridge.errors import InputError
from embridge.models.base import Regressor

WIDTHS = (32, 128, 256)
POOLS = ((10, 2), (8, 2), (4, 4))  # time, channels
UPSAMPLES = ((10, 4), (8, 4), (4, 2))
N_RESIDUAL, N_CONVS = 5, 3


def unit(c_in: int, c_out: int, dropout: float) -> nn.Sequential:
    """Convolution 3 x 2 that keeps the size, BatchNorm, ReLU, dropout."""
    # an even kernel's "same" padding puts the odd zero behind; padding="same" itself would warn of a copy
    return nn.Sequential(
        nn.ZeroPad2d((0, 1, 1, 1)),
        nn.Conv2d(c_in, c_out, (3, 2)),
        nn.BatchNorm2d(c_out),
        nn.ReLU(),
        nn.Dropout(dropout),
    )


class Residual(nn.Module):
    """x plus three units of x, (B, d, T, C)."""

    def __init__(self, d: int, dropout: float):
        super().__init__()
        self.units = nn.Sequential(*(unit(d, d, dropout) for _ in range(N_CONVS)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.units(x)


class NeuroPose(Regressor):
    """Encoder, residual blocks and decoder on the picture (time, channel), without skips between the two.

    The outputs stand for whole cells of the deepest pool, 320 samples each at the published sizes, one output a sample:
    3,840 of 4,000. With fewer than 16 channels a pool takes what channels are left (ours; the published one has 16).
    """

    def __init__(
        self,
        n_channels: int = 16,
        n_joints: int = 20,
        *,
        widths=WIDTHS,
        pools=POOLS,
        upsamples=UPSAMPLES,
        n_residual: int = N_RESIDUAL,
        dropout: float = 0.05,
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
        if x.shape[1] != self.n_channels or x.shape[2] < self.cell:
            raise InputError(
                f"Windows given to NeuroPose: expected {self.n_channels} channels and at least {self.cell} samples, "
                f"found {' x '.join(map(str, x.shape[1:]))}; build it from the data's configuration, or use PoseT for "
                "short windows."
            )
        states = self.layers(x.mT[:, None])[:, 0]  # (B, 1, T, C) to (B, T, 32)
        return self.readout(states).float().mT, states
