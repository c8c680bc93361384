"""What every pose regressor answers: joint angles, the samples of the window that they cover, features for a probe."""

import torch.nn.functional as F
from torch import Tensor, nn

from embridge.errors import InputError


class Regressor(nn.Module):
    """Joint angles from EMG, at a rate of the network's own (METHOD 7).

    Attributes
    ----------
    left_context : samples at a window's start that are seen but not predicted
    stride : samples between two outputs; the sample rate over it is the output rate
    tracks : whether the true pose of the first covered sample is an input; such a network is never probed
    """

    left_context: int = 0
    stride: int = 1
    tracks: bool = False

    def outputs(self, x: Tensor, first_pose: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Angles (B, J, T_out), rad, and what the final layer read them from, (B, T_out or tokens, d)."""
        raise NotImplementedError

    def n_covered(self, n_samples: int) -> int:
        """How many of a window's samples the outputs stand for."""
        return n_samples - self.left_context

    def covered(self, n_samples: int) -> slice:
        """Which samples of a window of n_samples these are."""
        return slice(self.left_context, self.left_context + self.n_covered(n_samples))

    def forward(self, x: Tensor, first_pose: Tensor | None = None) -> Tensor:
        """x: (B, C, T) EMG; first_pose: (B, J) rad, where the network tracks; returns angles (B, J, T_out), rad."""
        return self.outputs(x, first_pose)[0]

    def predict(self, x: Tensor, first_pose: Tensor | None = None) -> Tensor:
        """The angles of each covered sample of x (B, C, T), linearly interpolated: (B, J, n_covered), rad."""
        angles, n = self(x, first_pose), self.n_covered(x.shape[-1])
        return angles if angles.shape[-1] == n else F.interpolate(angles, size=n, mode="linear")

    def features(self, x: Tensor) -> Tensor:
        """What the probe sees of x (B, C, T): the mean over time of what the final layer reads (E A.6); (B, d)."""
        if self.tracks:
            raise InputError("A tracking network has seen the true pose and is not probed; probe a regression network.")
        return self.outputs(x)[1].mean(dim=1)
