"""Answers to the exercises of chapter 08; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys

import numpy as np

from embridge import evaluation, statistics
from embridge.paper import scoring
from embridge.study import Study


def most_confused(outcome: scoring.Outcome, names: tuple[str, ...]) -> str:
    """The two classes of which the largest share is taken for one another, both ways together."""
    counts = statistics.confusion(outcome.y, outcome.predicted, len(names))
    shares = counts / np.bincount(outcome.y, minlength=len(names))[:, None]
    both = np.triu(shares + shares.T, 1)
    return " and ".join(names[k] for k in np.unravel_index(both.argmax(), both.shape))


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. At k = 1 the stray query alone decides: its cosine with a B is 1, above every A's. With all four, two votes
    #    stand against two, and the sums of cosines decide: for one query A's, for two B's. Where a whole gallery of
    #    windows votes, the commonest class wins, and EMG has a say only between classes that are equally common.
    at, gesture = np.radians([0, 20, 80, 100]), np.array([0, 0, 1, 1])
    p = np.stack([np.cos(at), np.sin(at)], -1)
    for k in (1, 3, 4):
        q = (np.radians(queries) for queries in ([30], [30, 100]))
        won = [evaluation.zero_shot(np.stack([np.cos(a), np.sin(a)], -1)[None], p, gesture, k=k)[0] for a in q]
        print(f"1. by hand, k = {k}: one query {'AB'[won[0]]}, two queries {'AB'[won[1]]}")
    n = len(study.splits.evaluation["unseen"])
    for k in (1, study.profile.evaluation.k, n):
        o = scoring.zero_shot_outcomes(study, "EMBridge", "unseen", brief=True, k=k)[0]
        print(f"1. EMBridge, k = {k}, {o.gallery}: {o.rows[0]['value']:.2f}")
    votes = np.bincount(o.y)
    assert o.gallery == "all" and (votes[o.predicted] == votes.max()).all()
    # 2. The upper bound reads the pose itself. Where the pair is the same, the hands look alike, or the stages hold
    #    little of their gesture, and no EMG encoder could tell them apart; where it is another, EMG is what
    #    cannot.
    names = study.splits.classes["unseen"]
    retrieved = scoring.zero_shot_outcomes(study, "EMBridge", "unseen", brief=True)[0]
    for outcome in (retrieved, scoring.probe_outcome(study, "Pose-MAE", "unseen")):
        print(f"2. {outcome.system}, {outcome.protocol}: {most_confused(outcome, names)}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
