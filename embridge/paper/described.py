"""A gesture that nobody recorded: unseen classes retrieved from poses described in words, against recorded ones (ours).

What retrieval loses when nobody makes the gestures before a product knows them.
"""

import numpy as np

from embridge import describe, inference
from embridge.config import kind_of
from embridge.evaluation import zero_shot
from embridge.paper.kept import of_whole_run
from embridge.paper.scoring import _outcome, zero_shot_outcomes
from embridge.study import Study

DESCRIBED = "described"  # in column "gallery", beside the policies of recorded ones


@of_whole_run(gallery=DESCRIBED)
def described_rows(study: Study, system: str = "EMBridge", *, subset: str = "evaluation", n: int = 100) -> list[dict]:
    """Tidy rows of an aligned system's zero-shot on unseen classes, from descriptions alone and beside recorded poses.

    Those of the described gallery, of each recorded one of the class set, and what the first scores above each of the
    others (gallery DESCRIBED, too); intervals over users, paired for differences. Of a study that has a part of D_eval
    the committed ones, without those of recorded galleries, which are the system's own. ``subset``:
    "evaluation" (D_eval) or "tune" (D_tune); ``n``: windows of each description, whose style the study's seed draws.
    Raises InputError as :func:`embridge.describe.gallery`, where an unseen class is not described or poses are no joint
    angles.
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
    named = {"system": f"{system}, described", "param": "", "param_value": "", "run_key": ""}
    return rows + [own.less(other.predicted, f"{system}, recorded, {other.gallery}", **named) for other in recorded]


def keyframes_beside(study: Study, *, n: int = 3) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each unseen class n poses of its description, and the middle of a window of D_eval that is nearest to each.

    Class to described (n, 20) and recorded (n, 20), rad, and the mean angle between the two (n,), degrees; without
    classes that have no window here.
    """
    found, ids = {}, study.splits.evaluation["unseen"]
    labels = study.splits.labels("unseen", ids)
    for k, name in enumerate(study.splits.classes["unseen"]):
        if not len(own := ids[labels == k]):
            continue
        angles = describe.keyframes(describe.DESCRIPTIONS[name])[1]
        angles = angles[np.linspace(0, len(angles) - 1, n).round().astype(int)]
        poses = study.store.read_pose(own)
        middle = poses[:, :, poses.shape[2] // 2].numpy()  # (windows, 20)
        apart = np.rad2deg(np.abs(angles[:, None] - middle).mean(2))  # (n, windows)
        found[name] = angles, middle[apart.argmin(1)], apart.min(1)
    return found
