"""Answers to the exercises of chapter 06; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys

import numpy as np
import torch
from torch.nn.functional import normalize

from embridge import losses
from embridge.experiments import EXPERIMENTS
from embridge.paper import explore
from embridge.study import Study


def toy(poses: list[float], *, k_c: int, tau_s: float) -> np.ndarray:
    """Soft targets of poses at these angles, degrees, with communities at 10 and 90."""
    v, centres = (torch.tensor(np.stack([np.cos(a), np.sin(a)], 1)) for a in map(np.radians, (poses, [10, 90])))
    affinity = losses.community_affinity(v, centres, k_c)
    return losses.soft_targets(affinity @ affinity.T, tau_s).numpy()


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. More at tau_s = 0.1: a small temperature takes from the strangers nearly all that they had. Less with k_c
    #    = 2: with both communities kept, a stranger is no longer at similarity 0.
    strict, both = (toy([0, 20, 80, 100], **how)[0, 1] for how in ({"k_c": 1, "tau_s": 0.1}, {"k_c": 2, "tau_s": 0.5}))
    assert strict > 0.999 and both < 0.78
    print(f"1. partner: {strict:.4f} at tau_s = 0.1, {both:.2f} with k_c = 2")
    # 2. Where direct cosines of poses lie close together the same tau_s gives a much flatter target: "at the same
    #    temperature" compares two different things. A fair comparison tunes tau_s for each (chapter 10).
    objective = EXPERIMENTS["EMBridge"].objective
    v = normalize(study.pose_embeddings(explore.sorted_batch(study, 64)), dim=1)
    affinity = losses.community_affinity(v, torch.from_numpy(study.communities(objective)), objective.k_c)
    for name, similarity in (("communities", affinity @ affinity.T), ("poses directly", losses.instance_similarity(v))):
        print(f"2. {name}: perplexity {losses.perplexity(losses.soft_targets(similarity, objective.tau_s)):.1f}")
    # 3. Which community it keeps with k_c = 1 is a coin's toss between two cosines of 40 degrees, decided by
    #    rounding: it joins one pair whole and is a stranger to the other, equally near one. With k_c = 2 it is as
    #    near to both.
    one, two = (toy([0, 20, 80, 100, 50], k_c=k_c, tau_s=0.5)[4] for k_c in (1, 2))
    assert abs(one[0] - one[3]) > 0.2 and np.allclose(two[[0, 1]], two[[3, 2]], atol=1e-5)
    print("3. its target with k_c = 1:", one.round(2), "with 2:", two.round(2))


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
