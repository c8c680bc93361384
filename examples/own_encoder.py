"""An EMG encoder of your own in front of the Q-Former: `python examples/own_encoder.py` trains a tiny one."""

from dataclasses import replace

import torch
from torch import nn

import embridge
from embridge.experiments import EXPERIMENTS
from embridge.study import Study


class CNN(nn.Module):
    def __init__(self, n_channels: int, d: int, every: int = 4):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(n_channels, d, 9, every, padding=4), nn.GELU(), nn.Conv1d(d, d, 1))

    def forward(self, x):
        return self.layers(x).mT  # (B, C, T) as the built-in encoder gets it -> (B, L, d)


if __name__ == "__main__":
    study = Study("simulated", "smoke", out="own_encoder")
    torch.manual_seed(0)  # first weights are in the run's key: drawn alike, the run is found again
    cnn = CNN(study.windows.n_channels, study.profile.model.d)
    run = study.run(replace(EXPERIMENTS["EMBridge"], name="EMBridge, CNN", encoder=cnn))
    model = embridge.load(run, encoder=cnn)
    print(model.encode_emg(study.source.recordings[0].load().emg[:4000].T[None]).shape)
