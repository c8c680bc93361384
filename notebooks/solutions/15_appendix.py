"""Answers to the exercises of chapter 15; run with a profile, ``smoke`` by default, it prints the numbers."""

import itertools
import sys
from dataclasses import replace

import numpy as np

from embridge.data.splits import SETS
from embridge.experiments import ALIGNED
from embridge.paper import comparisons, scoring
from embridge.paper.differences import DIFFERENCE
from embridge.study import Study


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. The step from "all" to "not-self" never turns: to leave out the own pose takes a right vote away, so that no
    #    window can be answered better, whoever is in D_eval. The others may turn. One that turns hangs on a
    #    single user; one that does not is still of one training of each system: all these sums share it, and nearly
    #    all of their users. Another seed shares neither, so to keep the sign in every seed says more.
    asked = itertools.product(SETS, ALIGNED)
    outcomes = [o for classes, name in asked for o in scoring.zero_shot_outcomes(study, name, classes, brief=True)]
    pairs, signs = [("EMBridge", "CPEP"), ("EMBridge", "Q-Former"), ("Q-Former", "CPEP")], {}
    users = np.unique(np.concatenate([o.groups for o in outcomes]))
    for user in (None, *users):  # None: all are there
        rest = [
            replace(o, y=o.y[at], predicted=o.predicted[at], groups=o.groups[at])
            for o in outcomes
            for at in [o.groups != user]
        ]
        for r in comparisons.difference_rows(rest, pairs, study):
            if r["metric"] == DIFFERENCE:
                signs.setdefault((r["classes"], r["system"], r["gallery"]), []).append(np.sign(r["value"]))
    assert all(min(found) >= 0 for (_, _, gallery), found in signs.items() if gallery == "all - not-self")
    kept = sum(len(set(found)) == 1 for found in signs.values())
    print(f"1. {kept} of {len(signs)} differences have one sign, whoever of {len(users)} users is left out")
    # 2. At k = 1 "all" has a head start: the nearest pose may be the window's own. Every further neighbour makes that
    #    one vote weigh less, so that the stricter policies, which never had it, have more to gain.
    for k in (1, 10, 50):
        found = {o.gallery: o for o in scoring.zero_shot_outcomes(study, "EMBridge", "unseen", brief=True, k=k)}
        print(f"2. k = {k}:", *(f"{name} {o.rows[0]['value']:.2f}" for name, o in found.items()))


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
