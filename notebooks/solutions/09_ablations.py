"""Answers to the exercises of chapter 09; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys
from dataclasses import replace

from embridge import evaluation, statistics
from embridge.experiments import EXPERIMENTS
from embridge.paper import comparisons, differences, records
from embridge.paper.results import as_frame
from embridge.study import Study

REMOVED = ("EMBridge w/o MPRL", "EMBridge w/o CASCLe")


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. A line that differs from EMBridge by nothing but chance keeps its sign in three seeds one time in four, for the
    #    second and the third must fall on the first one's side; more often, as the users are the same in all. So hold
    #    the cells that keep it against a quarter. One seed says nothing. (Two lines stand here for all.)
    kept, _ = records.read(comparisons.with_seeds([study]), REMOVED)
    kept += records.read([study], ["EMBridge"])[0]
    results = as_frame([r for record in kept for r in record.rows] + comparisons.recorded_seeds([study], ["EMBridge"]))
    signs = {}
    for seed in sorted(results["seed"].dropna().unique()):
        of_seed = results[results["seed"] == seed]
        found = differences.seed_differences(of_seed, study.dataset, [(name, "EMBridge") for name in REMOVED])
        for line in found.itertuples():
            signs.setdefault((line.systems, line.protocol, line.classes), []).append(line.difference > 0)
    seeds = max(map(len, signs.values()), default=0)
    same = sum(len(set(found)) == 1 for found in signs.values())
    print(f"1. seeds: {seeds}; {same} of {len(signs)} cells have one sign, by chance {0.5 ** max(seeds - 1, 0):.0%}")
    # 2. Q-Former, exactly: what is left of the objective is InfoNCE, the shape is the same, and the first weights,
    #    batches and rotations are functions of the seed. Only the name and constants that nothing reads differ. (A GPU
    #    may add in another order, so that there it may be off by rounding.)
    embridge = EXPERIMENTS["EMBridge"]
    bare = replace(embridge.objective, soft_targets=None, alpha=0.0, lam=0.0)
    variant = replace(embridge, name="EMBridge w/o MPRL and CASCLe", objective=bare)
    own, usual = (study.run(run).model.state_dict() for run in (variant, "Q-Former"))
    assert own.keys() == usual.keys()
    furthest = max((own[name] - usual[name]).abs().max().item() for name in own)
    assert study.device != "cpu" or furthest == 0
    print(f"2. the weight that differs most from Q-Former's does by {furthest:g}")
    # 3. With the batch doubled there are half as many updates, and twice the rate lets each go twice as far: in all as
    #    far as before, while the gradient stays what it is. So if the row recovers, fewer updates were the reason;
    #    if not, it may be the batch, or steps too long for this loss, which the row does not tell apart.
    cpep = EXPERIMENTS["CPEP"]
    train = study.configs(cpep)[1]
    twice = {"batch_size": 2 * train.batch_size}
    larger = replace(cpep, name="CPEP, batch doubled", train=twice)
    faster = replace(cpep, name="CPEP, batch and rate doubled", train=twice | {"lr": 2 * train.lr})
    n, ids = len(study.splits.pretrain), study.splits.evaluation["unseen"]
    y, poses = study.splits.labels("unseen", ids), study.pose_embeddings(ids)
    for experiment in (cpep, larger, faster):
        train, run = study.configs(experiment)[1], study.run(experiment)
        updates = train.epochs * -(-n // train.batch_size)
        predicted = evaluation.zero_shot(run.queries(ids), poses, y, k=study.profile.evaluation.k)
        score = statistics.balanced_accuracy(y, predicted, len(study.splits.classes["unseen"]))
        print(f"3. {run.name}: {updates} updates, times the rate {updates * train.lr:.4f}, zero-shot {score:.3f}")


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
