"""A study without recordings or networks, for what only joins windows, features and scores."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from embridge.config import EvalConfig


class Study:
    """As much of a study as probes need: 240 windows of 48 recordings; notes what it embeds."""

    whole = True

    def __init__(self):
        self.dataset, self.seed, self.embedded = "simulated", 0, []
        self.profile = SimpleNamespace(name="smoke", evaluation=EvalConfig(n_bootstrap=50))
        rng = np.random.default_rng(0)
        self.y = np.repeat(np.arange(48) % 4, 5)
        centres = rng.normal(size=(4, 6))
        self.x = torch.tensor(centres[self.y] + 1.5 * rng.normal(size=(240, 6)))
        table = pd.DataFrame({"recording": np.repeat(np.arange(48), 5), "repetition": 0})
        parts = np.split(np.arange(240), [160, 200])
        train, tune, test = ({"in": ids} for ids in parts)
        self.splits = SimpleNamespace(
            probe_train=train, tune=tune, evaluation=test, table=table, group_kind="user", has_tuning=True,
            exclusion=lambda policy, ids: table["recording"].to_numpy()[ids],
            learn_from=lambda ids, what, tuning: ids, probe_from=lambda ids: ids,
            labels=lambda classes, ids: self.y[ids], groups=lambda ids: np.asarray(ids) // 10,
            classes={"in": ("a", "b", "c", "d")}, check_evaluable=lambda: None, probe_apart="user",
        )  # fmt: skip

    def features(self, system, ids):
        self.embedded.append(len(ids))
        return self.x[ids]

    def run(self, system):
        return SimpleNamespace(key=f"key of {system}")

    def band_power(self, ids):
        """Other features than a network's, noisier: numpy, as of a real study."""
        rng = np.random.default_rng(1)
        noisy = self.x.numpy()[:, :4] + 0.8 * rng.normal(size=(240, 4)) @ rng.normal(size=(4, 4))
        return noisy[np.asarray(ids)]
