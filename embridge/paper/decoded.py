"""From EMG to a hand (ours): MPRL's head as a decoder of which all pose tokens are hidden, so that EMG alone speaks.

Trained with a share of the tokens visible, it was never asked this; nothing is trained for it here.
"""

import numpy as np
import pandas as pd
import torch

from embridge.data.hand import N_ANGLES
from embridge.data.splits import joined
from embridge.errors import InputError
from embridge.figures import pretty
from embridge.models.transformer import unpatchify
from embridge.objectives import encode
from embridge.paper.explore import joint_names
from embridge.paper.kept import of_whole_run
from embridge.paper.scoring import _error_row
from embridge.study import Study

SYSTEM, CONSTANT, HIDDEN = "EMBridge, decoded", "Constant pose", "Pose-MAE, all hidden"
DIFFERENCE = "angle_error_deg_difference"


def decoded(study: Study, ids: np.ndarray, system: str = "EMBridge") -> torch.Tensor:
    """(n, J, steps) z-scored pose that MPRL's head reads from the EMG of windows ``ids``: every pose token is hidden.

    Raises InputError where the head was trained to give tokens, which are no pose.
    """
    run = study.run(system)
    model, n_joints = run.model, study.windows.n_joints
    if model.mprl_target != "patch":
        raise InputError(f'decoded: {system} rebuilds tokens, which are no pose; take one of mprl_target "patch"')

    def read(x: torch.Tensor) -> torch.Tensor:
        tokens = model.encode(x)
        hidden = (model.qformer.mask_token + model.pose_tokenizer.positions).expand(len(x), -1, -1)  # (B, L, d)
        return unpatchify(model.decode_pose(model.pose_states(model.query(tokens), hidden, tokens)), n_joints)

    return encode(read, run.reader(False).emg, ids)


@torch.inference_mode()
def of_nothing(study: Study) -> torch.Tensor:
    """(J, steps) z-scored pose that Pose-MAE fills in where all tokens are hidden: one answer for every window."""
    model = study.run("Pose-MAE").model
    masked = torch.arange(model.encoder.tokenizer.n_tokens, device=model.mask_token.device)[None]
    keep, pose = masked[:, :0], study.reader().pose(study.splits.pretrain[:1])  # of which no token is read
    states = model.decode(model.encoder(pose, keep), keep, masked, slice(1, None))
    return unpatchify(model.head(states), pose.shape[1])[0].cpu()


def errors(study: Study, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Mean absolute error in degrees of each window and joint, (n, J), of SYSTEM, CONSTANT and HIDDEN.

    CONSTANT is the mean pose of pre-training, which is 0 in z-scores.
    """
    reader, answer = study.reader(), decoded(study, ids)
    truth, std = reader.pose(ids).cpu()[..., : answer.shape[2]], reader.pose_std.cpu()
    guesses = {SYSTEM: answer, CONSTANT: 0.0, HIDDEN: of_nothing(study)}
    off = {name: torch.rad2deg((truth - guess) * std) for name, guess in guesses.items()}
    return {name: angle.abs().mean(2).double().numpy() for name, angle in off.items()}


@of_whole_run(system=(SYSTEM, HIDDEN, f"{CONSTANT} - {SYSTEM}", f"{HIDDEN} - {SYSTEM}", f"{CONSTANT}, by joint"))
def decoded_rows(study: Study) -> list[dict]:
    """Tidy rows of the angle error in degrees on both class sets, as :func:`~embridge.paper.scoring.angle_row`'s.

    Of SYSTEM and HIDDEN, what CONSTANT's and HIDDEN's are above SYSTEM's (metric DIFFERENCE, paired by window), and by
    joint ("joint_error_deg"). CONSTANT's own are :func:`~embridge.paper.scoring.mean_pose_rows`. [] of a glove's.
    """
    rows, key = [], study.run("EMBridge").key
    for classes, ids in study.splits.evaluation.items() if study.windows.n_joints == N_ANGLES else ():
        found = errors(study, ids)
        rows += [_error_row(study, name, classes, found[name].mean(1), key) for name in (SYSTEM, HIDDEN)]
        for other in (CONSTANT, HIDDEN):
            less = (found[other] - found[SYSTEM]).mean(1)
            rows.append(_error_row(study, f"{other} - {SYSTEM}", classes, less, key) | {"metric": DIFFERENCE})
        for name, system in ((SYSTEM, SYSTEM), (CONSTANT, f"{CONSTANT}, by joint")):
            for joint, error in zip(joint_names(study), found[name].T, strict=True):
                where = {"metric": "joint_error_deg", "param": "joint", "param_value": joint}
                rows.append(_error_row(study, system, classes, error, key) | where)
    return rows


def median_windows(study: Study, n: int = 4) -> np.ndarray:
    """(n,) a window of each of the first n users of D_eval, in the order of their names: that of their median error.

    Of an even number the lower one of the two in the middle.
    """
    ids, found = joined(study.splits.evaluation), []
    user = study.splits.table["user"].to_numpy(dtype=str)[ids]
    error = pd.Series(errors(study, ids)[SYSTEM].mean(1), ids)
    for name in np.unique(user)[:n]:
        own = error[user == name].sort_values(kind="stable")
        found.append(own.index[(len(own) - 1) // 2])
    return np.array(found)


def hands(study: Study, ids: np.ndarray) -> list[tuple]:
    """The windows ``ids`` as figures.decoded_hands draws them: the true and the decoded angles, rad."""
    reader, answer = study.reader(), decoded(study, ids)
    truth = reader.unscaled_pose(ids).cpu()[..., : answer.shape[2]]
    angles = answer * reader.pose_std.cpu() + reader.pose_mean.cpu()
    names = [pretty(name) for name in study.splits.table["gesture"].iloc[ids]]
    return list(zip(names, truth.numpy(), angles.numpy(), strict=True))
