"""Answers to the exercises of chapter 13; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys
from dataclasses import replace

from embridge.experiments import EXPERIMENTS
from embridge.paper import scoring
from embridge.paper.differences import verdict
from embridge.study import Study


def readings(study: Study, system: str, classes: str) -> dict[tuple[str, str], scoring.Outcome]:
    """Zero-shot of a system by gallery policy and query pooling, the class set's gestures in the gallery."""
    found = scoring.zero_shot_outcomes(study, system, classes)
    return {(o.gallery, o.pooling): o for o in found if o.options == "corpus=class set"}


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. If the order turns, the papers' order is one of the protocol as much as of the systems: a product, which has
    #    no pose of the window that asks nor of its user, would take the other one. Hold the distance against chapter
    #    15's intervals first. That "not-self" never gains is no finding: it takes right votes away and no others.
    of = {name: readings(study, name, "unseen") for name in ("EMBridge", "CPEP", "Q-Former")}
    scores = {p: [of[name][p, "max"].rows[0]["value"] for name in ("EMBridge", "CPEP")] for p in study.splits.policies}
    assert scores["not-self"] <= scores["all"]
    dearest = min(study.splits.policies[1:], key=lambda policy: scores[policy][0])
    for policy in ("all", dearest):
        print(f"1. {policy}: EMBridge {scores[policy][0]:.3f}, CPEP {scores[policy][1]:.3f}")
    # 2. Interval and verdict are of one set of weights each, on the same users: where two systems' verdicts part, an
    #    option matters to a training and not to the method. Where they agree, two trainings have said so; they share
    #    users and autoencoders, and differ in more than chance, so it is weaker than a second seed would be.
    for option, reading in (("not-self", ("not-self", "max")), ("mean query", ("all", "mean"))):
        for name in ("EMBridge", "Q-Former"):
            found = of[name][reading].less(of[name]["all", "max"].predicted, "default")
            assert option == "mean query" or found["value"] <= 0
            print(f"2. {option}, {name}: {verdict(found)}")
    # 3. Little: the probe reads [CLS] before the head, so that the head's width reaches it only through the gradients
    #    that passed the head. Nor do the encoder's size or first weights change. What is chance is told by seeds.
    cpep = EXPERIMENTS["CPEP"]
    runs = [study.run(cpep), study.run(replace(cpep, name="CPEP, hidden = 64", model={"cpep_hidden": 64}))]
    for run in runs:
        head, encoder = (sum(p.numel() for p in part.parameters()) for part in (run.model.head, run.model.encoder))
        probe = scoring.probe_outcome(study, run.name, "unseen", features=run.features).rows[0]["value"]
        print(f"3. {run.name}: weights of the head {head}, of the encoder {encoder}; probe {probe:.3f}")
    assert len({run.features(study.splits.evaluation["unseen"]).shape for run in runs}) == 1


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
