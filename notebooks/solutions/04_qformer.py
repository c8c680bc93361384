"""Answers to the exercises of chapter 04; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys

import numpy as np
import torch

from embridge.paper import explore
from embridge.study import Study


def attention(queries: list, tokens: list) -> tuple[np.ndarray, np.ndarray]:
    """Weights and what is taken home, of queries and tokens of two numbers."""
    queries, tokens = np.array(queries, float), np.array(tokens, float)
    weights = np.exp(queries @ tokens.T / np.sqrt(2))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights, weights @ tokens


@torch.no_grad()
def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. It looks at both working moments alike and takes home their mean. The order is lost: attention is a
    #    weighted mean, and a mean does not know what came first.
    weights, taken = attention([[2, 2]], [[2, 0], [0, 2], [0, 0]])
    _, turned = attention([[2, 2]], [[0, 2], [2, 0], [0, 0]])
    assert np.isclose(weights[0, 0], weights[0, 1]) and np.allclose(taken, turned)
    print("1. weights", weights.round(2), "taken home", taken.round(2))
    # 2. At test the wrong pose at 80 then gets cos 35 = 0.82 at most, so the own one wins again. To get there the
    #    loss would have to look at *all* queries' cosines with wrong poses, as the test's maximum does; the
    #    picked one's alone leave the second query where it is.
    at, pose = np.radians([0, 45]), np.radians([10, 80])
    at_test = np.cos(at[:, None] - pose).max(axis=0)
    assert at_test[0] > at_test[1]
    print("2. test:", at_test.round(2))
    # 3. No: Q' is the same up to rounding. Cross-attention, too, is a weighted mean over a set. Time is in the
    #    tokens themselves: the EMG encoder added positions to them before its own attention.
    model = study.run("Q-Former").model
    tokens = model.encode(study.reader().emg(explore.held_out_windows(study)[:1]))
    order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(0))
    moved = (model.query(tokens) - model.query(tokens[:, order])).abs().max().item()
    assert moved < 1e-3
    print(f"3. Q' moves by {moved:.1e}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
