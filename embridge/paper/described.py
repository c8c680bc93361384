"""A gesture that nobody recorded: unseen classes retrieved from poses described in words, against recorded ones (ours).

What retrieval loses when nobody makes the gestures before a product knows them.
"""

from embridge import describe, inference
from embridge.config import kind_of
from embridge.evaluation import zero_shot
from embridge.paper.scoring import _outcome, compare_predictions, zero_shot_outcomes
from embridge.study import Study

DESCRIBED = "described"  # in column "gallery", beside the policies of recorded ones


def described_rows(study: Study, system: str = "EMBridge", *, subset: str = "evaluation", n: int = 100) -> list[dict]:
    """Tidy rows of an aligned system's zero-shot on unseen classes, from descriptions alone and beside recorded poses.

    Those of the described gallery, of each recorded one of the class set, and what the first scores above each of the
    others; intervals over users, paired for differences.

    Parameters
    ----------
    subset : "evaluation" (D_eval) or "tune" (D_tune)
    n : windows of each description; the study's seed draws their style

    Raises
    ------
    InputError
        as :func:`embridge.describe.gallery`, where an unseen class is not described or poses are no joint angles
    """
    recorded = zero_shot_outcomes(study, system, "unseen", subset=subset, brief=True)
    splits, setting = study.splits, study.profile.evaluation
    ids, names = getattr(splits, subset)["unseen"], splits.classes["unseen"]
    study.statistics_of(kind_of(study.profile.model.pose_tokens))  # beside the run, where load looks for it
    poses, labels = describe.gallery(inference.load(study.run(system)), names, n=n, seed=study.seed)
    queries, pooling = study.emg_queries(system, ids), recorded[0].pooling
    predicted = zero_shot(queries, poses, labels, k=setting.k, pooling=pooling)
    more = {"run_key": study.run(system).key, "param": "k", "param_value": setting.k, "recalls": True}
    named = {"gallery": DESCRIBED, "pooling": pooling, "options": f"windows={n}"}
    own = _outcome(study, system, "ZS", "unseen", ids, predicted, **named, **more)
    rows = [r for outcome in (own, *recorded) for r in outcome.rows]
    for other in recorded:
        against = {"n_classes": len(names), "n_resamples": setting.n_bootstrap}
        shared = {name: own.more[name] for name in ("dataset", "profile", "seed")} | own.shared | against
        shared |= {"system": f"{system}, described", "baseline": f"{system}, recorded, {other.gallery}"}
        rows.append(compare_predictions(own.y, own.predicted, other.predicted, own.groups, **shared))
    return rows
