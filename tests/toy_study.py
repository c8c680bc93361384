"""A study without recordings or networks, for what only joins windows, features and scores."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from embridge.config import EvalConfig
from embridge.data.emg2pose import IN_CLASSES, STAGES, UNSEEN_CLASSES


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


class AllStages:
    """As much of a study as retrieval among all 29 stages needs: seven users, three windows of each stage."""

    whole, simulated, dataset, seed = True, False, "emg2pose", 0

    def __init__(self):
        self.profile = SimpleNamespace(name="smoke", evaluation=EvalConfig(n_bootstrap=50, k=5))
        parts = {"train": ("a", "b"), "val": ("c", "d"), "test": ("e", "f", "g")}
        rows = [(split, user, stage) for split, users in parts.items() for user in users for stage in STAGES * 3]
        table = pd.DataFrame(rows, columns=["split", "user", "gesture"]).assign(generalization="user", eval_grid=True)
        rng = np.random.default_rng(0)
        y = pd.Index(STAGES).get_indexer(table["gesture"])
        self.v = torch.tensor(rng.normal(size=(29, 6))[y] + 0.4 * rng.normal(size=(len(y), 6)))
        self.queries = self.v[:, None] + 1.5 * torch.tensor(rng.normal(size=(len(y), 2, 6)))
        self.pose = torch.tensor(rng.normal(size=(29, 20))[y])[:, :, None] + 0.1 * torch.tensor(
            rng.normal(size=(len(y), 20, 4))
        )
        self.store = SimpleNamespace(table=table, read_pose=lambda ids: self.pose[ids])
        classes = {"in": IN_CLASSES, "unseen": UNSEEN_CLASSES}

        def part(split):
            own = table["split"] == split
            return {c: np.flatnonzero(own & table["gesture"].isin(names)) for c, names in classes.items()}

        self.splits = SimpleNamespace(
            probe_train=part("train"), tune=part("val"), evaluation=part("test"), classes=classes, group_kind="user",
            labels=lambda c, ids: pd.Index(classes[c]).get_indexer(table["gesture"].iloc[ids]),
            groups=lambda ids: table["user"].to_numpy(dtype=str)[ids], learn_from=lambda ids, what, tuning: ids,
        )  # fmt: skip

    def emg_queries(self, system, ids):
        return self.queries[ids]

    def pose_space(self, system):
        return "Pose-MAE", "cls"

    def pose_embeddings(self, ids, system):
        return self.v[ids]

    def run(self, system):
        return SimpleNamespace(key=f"key of {system}", poses=lambda ids, how: self.v[ids])
