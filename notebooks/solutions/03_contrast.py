"""Answers to the exercises of chapter 03; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys

import numpy as np

from embridge.paper import explore
from embridge.study import Study


def info_nce(emg: list[float], pose: list[float], tau: float) -> np.ndarray:
    """The loss of each row for EMG and pose at these angles, degrees."""
    cosines = np.cos(np.radians(emg)[:, None] - np.radians(pose))
    q = np.exp(cosines / tau)
    return -np.log(q.diagonal() / q.sum(axis=1))


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. Only the third row changes: a row's answer depends on its own EMG and on the poses, which stay. Even at
    #    120 the other poses keep their share, since a softmax gives nobody nothing; a smaller tau takes it from
    #    them.
    rows = [info_nce([0, 60, angle], [0, 60, 120], 0.5) for angle in (90, 105, 120)]
    assert all(np.allclose(row[:2], rows[0][:2]) for row in rows) and rows[0][2] > rows[1][2] > rows[2][2] > 0
    print("1. rows at 90, 105 and 120 degrees:", *(row.round(3) for row in rows))
    # 2. Two rows have two equally good answers each, of which one counts as wrong: they give it at most one half,
    #    and the mean over four rows is at least (log 2 + log 2) / 4. The more windows of one pose a batch holds,
    #    the more of the loss can never be learned, and the harder look-alikes are pushed apart. That is CASCLe's
    #    point (chapter 06).
    least = min(info_nce([0, 60, 120, 0], [0, 60, 120, 0], tau).mean() for tau in (1, 0.1, 0.01, 0.005))
    assert np.isclose(least, np.log(2) / 2, atol=1e-3)
    print(f"2. at least {least:.3f} = log(2) / 2")
    # 3. The hill of "its own pose" moves onto the other: a pair is then a pair in name only. The other hill
    #    stays, for of all other poses one more or less does not count.
    s = explore.similarity(study, "CPEP", explore.held_out_windows(study))
    shuffled = s[:, np.random.default_rng(0).permutation(len(s))]
    for name, matrix in (("paired", s), ("shuffled", shuffled)):
        others = matrix[~np.eye(len(s), dtype=bool)].mean()
        print(f"3. {name}: own {matrix.diagonal().mean():.3f}, another's {others:.3f}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
