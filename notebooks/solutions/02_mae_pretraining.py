"""Answers to the exercises of chapter 02; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import normalize

from embridge.experiments import EXPERIMENTS
from embridge.paper import explore
from embridge.study import Study


def mean_cosine(v: torch.Tensor) -> float:
    """Mean cosine of all pairs of different rows of v (n, d)."""
    v = normalize(v, dim=1)
    return float((v @ v.T)[~torch.eye(len(v), dtype=torch.bool)].mean())


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. With less to see the task is harder, and the loss higher: two errors under different masks rank nothing.
    #    What counts is the embedding, so compare how many neighbours show the same gesture.
    ids, labels = explore.contrast_windows(study)
    harder = replace(EXPERIMENTS["Pose-MAE"], name="Pose-MAE, r = 0.75", model={"mask_ratio": 0.75})
    for run in (study.run("Pose-MAE"), study.run(harder)):
        same = explore.neighbour_agreement(study, run.poses(ids, "cls"), ids, labels)
        print(f"1. {run.name}: loss {run.log['loss'].iloc[-1]:.3f}, neighbours of the same gesture {same:.2f}")
    # 2. Subtracting the mean would spread the vectors, too ("centred"). What matters for a softmax is how cosines
    #    differ, not where they lie: a common offset cancels in q, but with a small spread a temperature must be
    #    smaller.
    for how in ("cls", "mean", "centred"):
        print(f"2. {how}: mean pairwise cosine {mean_cosine(study.frozen_embeddings(ids, 'Pose-MAE', how)):.3f}")
    # 3. If neighbours are of the same user far more often than chance, the encoder has learned whose arm it is:
    #    the electrodes' place and the skin, not the gesture.
    users = study.store.table["user"].to_numpy()[ids]
    z = normalize(study.features("EMG-MAE", ids), dim=1)
    nearest = (z @ z.T).fill_diagonal_(-1).argmax(1).numpy()
    chance = np.mean(users[:, None] == users)
    print(f"3. nearest EMG neighbour of the same user: {(users[nearest] == users).mean():.2f}, chance {chance:.2f}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
