"""Answers to the exercises of chapter 07; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys
from dataclasses import replace

from embridge.experiments import EXPERIMENTS
from embridge.study import Study


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. It falls, for the temperature is one number of many. The learned one goes where the answers are as
    #    certain as they are right. Dividing by another number changes no ranking, so compare the two in
    #    retrieval, not in loss.
    cpep = EXPERIMENTS["CPEP"]
    fixed = replace(cpep, name="CPEP, fixed tau", objective=replace(cpep.objective, tau_learned=False))
    for run in (study.run("CPEP"), study.run(fixed)):
        loss, tau = run.log["loss"], run.log["tau"]
        print(f"1. {run.name}: loss {loss.iloc[0]:.2f} to {loss.iloc[-1]:.2f}, tau {tau.iloc[-1]:.4f}")
    assert study.run(fixed).log["tau"].nunique() == 1
    # 2. MPRL's curve is gone, as the term is not computed. The first two have the encoder to themselves now:
    #    whether they end lower says how much the terms compete for it.
    embridge = EXPERIMENTS["EMBridge"]
    without = replace(embridge, name="EMBridge, lambda = 0", objective=replace(embridge.objective, lam=0.0))
    logs = study.run("EMBridge").log, study.run(without).log
    assert "mprl" in logs[0] and "mprl" not in logs[1]
    for name, log in zip(("with MPRL", "lambda = 0"), logs, strict=True):
        print(f"2. {name}: InfoNCE {log['info_nce'].iloc[-1]:.3f}, CASCLe {log['soft'].iloc[-1]:.3f}")
    # 3. All three, a little. InfoNCE down to log B by giving every pose the same, and further by learning windows
    #    by heart; CASCLe likewise, down to log B for a q that is flat. MPRL most, to what the visible tokens tell
    #    alone: it needs no EMG for that. The shuffled control is nearly this experiment: real EMG, but of another
    #    window.
    control = study.run("CPEP, pairs shuffled").log["loss"]
    print(f"3. CPEP with shuffled pairs: loss {control.iloc[0]:.2f} to {control.iloc[-1]:.2f}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
