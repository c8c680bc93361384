"""All 29 stages as vocabulary, where the papers have four classes: retrieval among D_eval's users (ours).

A simulated D_eval holds eight stages. The others are made here, for these users alone and in a window store of its own
beside the study's, so that nothing of the study changes.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from torch import Tensor

from embridge.data.emg2pose import HELD_OUT_STAGES, JOINTS, STAGES
from embridge.evaluation import neighbours
from embridge.paper.differences import DIFFERENCE
from embridge.paper.kept import of_whole_run
from embridge.paper.results import row
from embridge.paper.scoring import evaluate_predictions, of_study
from embridge.paper.table_cells import measured
from embridge.simulator.plan import HALF_STAGE
from embridge.simulator.recordings import planned_simulated
from embridge.statistics import mean_over_groups
from embridge.study import Study

FREE_FORM = ("FingerFreeform", "OneHandedFreeStyle", "TwoHandedFreeStyle", "unconstrained")  # no gesture is asked for
N_FAMILIES = 6  # ours; of the 25 others
ALL = "all stages"  # in column "classes", beside parts of them
PARTS = {
    "stages of training": tuple(s for s in STAGES if s not in (*HELD_OUT_STAGES, *FREE_FORM)),
    "stages held out": tuple(s for s in HELD_OUT_STAGES if s not in FREE_FORM),
    "free-form stages": FREE_FORM,
}


def applies(study: Study) -> bool:
    """Whether the study is of emg2pose's stages and joint angles, real or simulated."""
    return study.dataset in ("emg2pose", "simulated") and study.windows.n_joints == len(JOINTS)


@dataclass(frozen=True)
class Windows:
    """Windows of D_eval's users in all stages: ids of ``study``'s store (n,), places in STAGES (n,), users (n,)."""

    study: Study
    ids: np.ndarray
    y: np.ndarray
    users: np.ndarray


def windows(study: Study) -> Windows:
    """Every stage of D_eval's users on the evaluation grid.

    Simulated ones are made where no call has yet, of one session of each user, which holds all 29 stages.
    """
    wide = study
    if study.simulated:
        source = planned_simulated(study.simulation_folder, replace(study.simulation, all_eval_stages=True))
        both = {r.session for r in source.recordings if r.gesture == HALF_STAGE}  # of a user's sessions those with all
        kept = [r for r in source.recordings if r.split == "test" and r.generalization != "stage" and r.session in both]
        wide = study.changed(base=study, own_source=replace(source, recordings=tuple(kept)))
    table = wide.store.table
    ids = np.flatnonzero((table.split == "test") & (table.generalization != "stage") & table.eval_grid)
    y = pd.Index(STAGES).get_indexer(table.gesture.iloc[ids])
    return Windows(wide, ids, y, table.user.iloc[ids].to_numpy(dtype=str))


def ranked(cosine: Tensor, votes: Tensor, n_classes: int) -> np.ndarray:
    """(n, n_classes) classes by votes, then by summed cosine, then the smaller first; -1 where none voted for any more.

    ``cosine``, ``votes``: (n, k) of the nearest poses, -inf where there is none, and their classes.
    """
    valid = cosine.isfinite()
    blank = torch.zeros(len(votes), n_classes, dtype=torch.float64)
    count = blank.scatter_add(1, votes, valid.double())
    total = blank.scatter_add(1, votes, cosine.double().where(valid, 0.0))
    key = (2 * votes.shape[1] * count + total).masked_fill(count == 0, -torch.inf)  # a sum of k cosines is under 2 k
    order = key.argsort(dim=1, descending=True, stable=True)
    return order.masked_fill(key.gather(1, order).isinf(), -1).numpy()


def families(study: Study, ids: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stages that look alike, by poses alone: each stage's mean joint angles and how far these move in a window.

    Ward's hierarchical clustering of these 40 numbers, cut into N_FAMILIES; free-form stages are in none. Returns the
    stages that occur (m,), places in STAGES, as leaves of the tree, free-form ones behind, and the families (29,), from
    0 on in the order of leaves, -1 for free-form stages and those that do not occur.
    """
    pose = study.store.read_pose(ids).numpy()
    looks, present = np.concatenate([pose.mean(2), pose.std(2)], axis=1), np.unique(y)
    free = np.array([STAGES[s] in FREE_FORM for s in present])
    named, family = present[~free], np.full(len(STAGES), -1)
    tree = linkage(np.stack([looks[y == s].mean(0) for s in named]), "ward", optimal_ordering=True)
    leaves = leaves_list(tree)
    cut = fcluster(tree, N_FAMILIES, "maxclust")[leaves]
    family[named[leaves]] = pd.factorize(cut)[0]
    return np.concatenate([named[leaves], present[free]]), family


def within_family(y: np.ndarray, predicted: np.ndarray, family: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of wrong answers (n,): whether each is in its target's family, and the chance that it would be.

    By chance an error goes to each other stage as often as all wrong answers go there, whatever the target.
    """
    often = np.bincount(predicted, minlength=len(family)) / max(len(predicted), 1)
    alike = (family[:, None] == family) & (family[:, None] >= 0) & ~np.eye(len(family), dtype=bool)
    chance = (alike @ often) / np.maximum(1 - often, 1e-12)
    return alike[y, predicted], chance[y]


@of_whole_run(classes=(ALL, *PARTS))
def all_stages_rows(study: Study, system: str = "EMBridge") -> list[dict]:
    """Tidy rows of an aligned system's retrieval among the poses of other users in all stages, intervals over users.

    Balanced accuracy of the stage with most votes among k (``options`` "at=1") and of the five with most ("at=5"), over
    ALL and PARTS, and less chance; F1 and confusions by place in STAGES; of errors in stages with a family the share
    that stays in it ("family_share"), by chance, too, and the difference; "family" and "place" of each stage.
    """
    found, setting = windows(study), study.profile.evaluation
    wide, ids, y, users = found.study, found.ids, found.y, found.users
    if len(np.unique(users)) < 2:  # nobody else's poses
        return []
    queries, (name, embedding) = wide.emg_queries(system, ids), wide.pose_space(system)
    poses = wide.run(name).poses(ids, embedding)  # the wide study has no splits to look kept ones up by
    queries = queries.mean(1, keepdim=True) if setting.pooling == "mean" else queries
    code, labels = torch.as_tensor(pd.factorize(users)[0]), torch.as_tensor(y)
    cosine, index = neighbours(queries, poses, setting.k, labels=labels, query_code=code, pose_code=code)
    best = ranked(cosine, labels[index], len(STAGES))
    common = of_study(study, protocol="ZS", gallery="other-users", pooling=setting.pooling, param="k")
    common |= {"param_value": setting.k, "run_key": study.run(system).key}
    how = {"n_classes": len(STAGES), "n_resamples": setting.n_bootstrap, "group_kind": "user"}
    rows, n_stages = [], len(np.unique(y))
    for n in (1, 5):
        predicted = np.where((best[:, :n] == y[:, None]).any(1), y, best[:, 0])
        for part, names in {ALL: STAGES, **PARTS}.items():
            of = np.isin(y, [STAGES.index(name) for name in names])
            if of.any():
                named = common | {"system": system, "classes": part, "options": f"at={n}"}
                own = evaluate_predictions(y[of], predicted[of], users[of], **how, **named)
                rows += own if (n, part) == (1, ALL) else own[:1]
                less = {c: own[0][c] - n / n_stages for c in ("value", "low", "high") if own[0][c] is not None}
                named |= {"metric": DIFFERENCE, "system": f"{system} - chance"}
                rows.append(own[0] | named | less)
    order, family = families(wide, ids, y)
    of_stage = {"dataset": study.dataset, "profile": study.profile.name, "system": system, "classes": ALL}
    for metric, values in (("family", family[order]), ("place", range(len(order)))):
        rows += [row(**of_stage, metric=metric, value=v, **{"class": s}) for s, v in zip(order, values, strict=True)]
    wrong = (best[:, 0] != y) & (best[:, 0] >= 0) & (family[y] >= 0)
    if wrong.any():
        inside, chance = within_family(y[wrong], best[wrong, 0], family)
        for end, values in (("", inside), ("_difference", inside - chance)):
            share = mean_over_groups(values, users[wrong], n_resamples=setting.n_bootstrap)
            named = {"metric": f"family_share{end}", "system": f"{system} - chance" if end else system}
            named |= measured(share, "95 % bootstrap over user", n=wrong.sum())
            rows.append(row(**common, classes=ALL, **named))
        rows.append(row(**common, classes=ALL, metric="family_share", system="Chance", value=chance.mean()))
    return rows
