"""Answers to the exercises of chapter 11; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd

from embridge import evaluation, statistics
from embridge.data.splits import SETS
from embridge.experiments import ALIGNED, EXPERIMENTS
from embridge.paper import records, scoring, tables
from embridge.paper.results import as_frame
from embridge.study import Study


def last_step(cells: pd.DataFrame) -> pd.DataFrame:
    """What the whole set adds to the largest part below it: a line for each class set, a column for each system."""
    values = cells.sort_values("fraction").groupby(["classes", "system"])["value"]
    return values.agg(lambda v: v.iloc[-1] - v.iloc[-2]).unstack("system")[list(ALIGNED)]


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. A recording's windows are alike. Half of the recordings are half of what there is to know; half of the windows
    #    are some of most recordings, so that one draw has about what another has. So expect the smaller spread
    #    with windows, and a mean nearer to the full set's: a saving of labels that nobody has who must record them. But
    #    a deviation over five draws is itself off by a third, easily: a surprise at one fraction is no finding.
    for unit in ("recordings", "windows"):
        rows = scoring.few_shot(study, "EMBridge", "unseen", unit=unit, fractions=(0.5,))
        drawn = [r for r in rows if r["system"] == "EMBridge"]  # the others are differences
        values = [r["value"] for r in drawn]
        shots, spread = drawn[0]["n_train"], np.std(values, ddof=1)
        print(f"1. {shots} {unit} a class are half: {np.mean(values):.3f}, SD over draws {spread:.3f}")
    # 2. The largest of three gains is partly luck, for it was picked for being large. Labels move the probe and pairs
    #    move retrieval, so that no system need lead in both. Each gain from pairs is of two trainings: hold it against
    #    the chapter's line on how far one may lie off. A leader who changes with the class set leads in neither. (Where
    #    so few shots are there that three quarters come to all, the step before stands for them.)
    fewer = [n for n, e in EXPERIMENTS.items() if e.part == "Fig. 3c" and e.paired_fraction == 0.8]
    found, _ = records.read([study], [*ALIGNED, *fewer])
    results = as_frame([r for record in found for r in record.rows])
    for what, name in (("labels", "fig8"), ("pairs", "fig3c")):
        for classes, gains in last_step(tables.numbers(name, results, study.dataset)).iterrows():
            told = ", ".join(f"{system} {gain:+.3f}" for system, gain in gains.items())
            print(f"2. last {what}, {classes}: {told}; most: {gains.idxmax()}")
    # 3. What is left of the fall at about as many steps is due to the pairs themselves, of which each is seen five
    #    times as often; what is gone was due to training less. One training can lie off by more than a small fall, and
    #    then the share that is left means nothing. (One system stands here for all; change the name to see another.)
    every, few = EXPERIMENTS["CPEP"], EXPERIMENTS["CPEP, 20% of pairs"]
    longer = replace(few, name="CPEP, 20% of pairs, as many steps", epochs=1 / few.paired_fraction)
    for run in map(study.run, (every, few, longer)):
        scores = {}
        for classes in SETS:
            ids = study.splits.evaluation[classes]
            y, poses = study.splits.labels(classes, ids), study.pose_embeddings(ids)
            predicted = evaluation.zero_shot(run.queries(ids), poses, y, k=study.profile.evaluation.k)
            scores[classes] = statistics.balanced_accuracy(y, predicted, len(study.splits.classes[classes]))
        told = ", ".join(f"{classes} {score:.3f}" for classes, score in scores.items())
        print(f"3. {run.name}: {run.done['steps']} steps, zero-shot {told}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
