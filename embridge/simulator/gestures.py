"""The 29 stages as programmes of hand poses, which poses.toml beside this file holds.

A pose has 24 numbers: emg2pose's 20 joint angles (rad, METHOD 1's order) and four that emg2pose does not record but
that muscles make: wrist flexion, radial deviation and pronation (rad), and how hard the hand presses (0 to 1).
Flexion is positive; a finger's abduction is positive towards the thumb.
"""

import numpy as np

from embridge.data.emg2pose import JOINTS
from embridge.files import read_toml

DOFS = (*JOINTS, "wrist_flexion", "wrist_deviation", "pronation", "effort")
N_JOINTS, N_DOFS = len(JOINTS), len(DOFS)
WRIST_FLEXION, WRIST_DEVIATION, _, EFFORT = range(N_JOINTS, N_DOFS)
# Which joints move together in time: the thumb, four fingers, and the wrist with the effort.
GROUPS = np.repeat(np.arange(6), 4)

_TABLE = read_toml(__file__, "poses.toml")
_CURL, _SPREAD = np.array(_TABLE["curl"]), np.array(_TABLE["spread"])
_THUMB, _FINGER, _OTHERS = _TABLE["limits"].values()
LIMITS = np.array([*_THUMB, *(_FINGER * 4), *_OTHERS])  # (24, 2)


def _pose(made: dict, thumb="", fingers=(), spread=0.0, wrist=(0.0, 0.0, 0.0), effort=0.0, like=None) -> np.ndarray:
    """One pose (24,), as a row of the table describes it; ``made`` holds those that it may be like."""
    if like:
        return sum(share * made[name] for name, share in like.items()) + np.append(np.zeros(N_JOINTS), (*wrist, effort))
    angles = [_TABLE["thumbs"][thumb]]
    for finger, side in zip(fingers, _SPREAD * spread, strict=True):
        flexion = _TABLE["fingers"][finger] if isinstance(finger, str) else finger
        flexion = flexion if isinstance(flexion, list) else flexion * _CURL
        angles.append(flexion if len(flexion) == 4 else (side, *flexion))
    return np.concatenate([*angles, wrist, [effort]])


_MADE: dict[str, np.ndarray] = {}
for _name, _row in (_TABLE["bases"] | _TABLE["poses"]).items():
    _MADE[_name] = _pose(_MADE, **_row)
POSES = {name: _MADE[name] for name in _TABLE["poses"]}
POSE_NAMES = tuple(POSES)
STAGES = {
    stage: tuple(tuple(path.split()) for path in (POSE_NAMES if paths == "*" else paths))
    for stage, paths in _TABLE["stages"].items()
}
TEMPO = _TABLE["tempo"]
TWO_HANDED = tuple(_TABLE["two_handed"])
