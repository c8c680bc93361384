"""The hand: 20 joint angles to 21 landmarks by forward kinematics.

Bone lengths (mm) are the means that Buryanov and Kotiuk measured on radiographs of 66 adults ("Proportions of hand
segments", Int. J. Morphol. 28(3), 2010, doi 10.4067/S0717-95022010000300015); a fingertip lies on the skin, so the
soft tissue beyond the distal phalanx counts. The carpus is 0.54 of the third metacarpal high (carpal height ratio:
Youm et al., J. Hand Surg. 3(5), 1978). Where the metacarpals start, how they fan out, and how the thumb stands at
rest are ours, by eye: sources give no landmarks for them.

Frame of a right hand: x to the thumb's side, y to the fingertips, z out of the palm; the wrist is the origin.

Signs are those of the hand model that emg2pose was recorded with (UmeTrack): flexion is positive, and positive
abduction (MCP_AA) turns each of the four fingers *to the thumb's side*, so that spreading is positive for the index
and negative for ring and little finger. Positive CMC_FE carries the thumb across the palm, positive CMC_AA lays
it against the side of the index finger, negative lifts it out of the palm. All zero: a flat, open hand.
"""

import numpy as np

from embridge.errors import InputError
from embridge.files import read_toml

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
N_ANGLES = 20
FINGERTIPS = (4, 8, 12, 16, 20)
# Landmark 0 is the wrist; then four a finger, from its root to its tip: CMC, MCP, IP, tip (thumb), MCP, PIP, DIP, tip.

_TABLE = read_toml(__file__)
METACARPALS, SEGMENTS = np.array(_TABLE["metacarpals"]), np.array(_TABLE["segments"])
SEGMENTS[:, 2] += _TABLE["soft_tissue"]
_CARPUS = 0.54 * METACARPALS[2]


def _rest() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Roots (5, 3) of the digits and, for each, its direction and its direction of flexion (5, 3) at rest."""
    fan = np.deg2rad([8.0, 0.0, -7.0, -15.0])  # ours: metacarpals meet near the wrist
    starts = np.array([[11.0, _CARPUS], [1.0, _CARPUS], [-9.0, _CARPUS - 2], [-17.0, _CARPUS - 5]])  # ours
    along = np.stack([np.sin(fan), np.cos(fan), np.zeros(4)], axis=1)
    knuckles = np.concatenate([starts, np.zeros((4, 1))], axis=1) + METACARPALS[1:, None] * along
    out, up = np.deg2rad(40.0), np.deg2rad(25.0)  # ours: the resting thumb, to the side and out of the palm
    thumb = np.array([np.cos(up) * np.sin(out), np.cos(up) * np.cos(out), np.sin(up)])
    across = np.array([-0.8, 0.0, 0.6])  # ours: the thumb flexes to the little finger and out of the palm
    across = across - (across @ thumb) * thumb
    roots = np.concatenate([[[17.0, 19.0, 8.0]], knuckles])
    flexion = np.concatenate([[across / np.linalg.norm(across)], np.tile([0.0, 0.0, 1.0], (4, 1))])
    return roots, np.concatenate([[thumb], along]), flexion


ROOTS, ALONG, FLEXION = _rest()
SIDE = np.cross(ALONG, FLEXION)  # the hinge of every flexion; for the four fingers: to the thumb's side


def landmarks(angles):
    """Forward kinematics: the 21 landmarks of a right hand from its 20 joint angles; x changes sign in a left one.

    ``angles`` is (..., 20), rad, a numpy array or torch tensor of floats; the result is (..., 21, 3), mm, of the same
    kind (a tensor keeps its gradient): the wrist, then four for each digit. Raises InputError for another last axis.
    """
    if angles.shape[-1:] != (N_ANGLES,):
        found = f"found shape {tuple(angles.shape)}; a skeleton can only be drawn for emg2pose's 20 angles."
        raise InputError(f"Joint angles: expected 20 on the last axis, {found}")
    if isinstance(angles, np.ndarray):
        xp = np
    else:
        import torch as xp  # only a tensor needs it: figures must not wait for torch to load

    def constant(values):
        return xp.asarray(values, dtype=angles.dtype, device=angles.device)

    along, flexion, side = (constant(v)[:, None, :] for v in (ALONG, FLEXION, SIDE))  # (5, 1, 3)
    angle = angles.reshape(*angles.shape[:-1], 5, 4)
    thumb, fingers = angle[..., :1, :], angle[..., 1:, :]
    # Within a digit all flexion hinges are parallel, so angles add up: (..., digit, segment, 1)
    c_thumb = xp.cumsum(xp.stack([0 * thumb[..., 0], thumb[..., 2], thumb[..., 3]], axis=-1), axis=-1)[..., None]
    c_finger = xp.cumsum(fingers[..., 1:], axis=-1)[..., None]
    # Fingers: flexion c in the finger's plane, which abduction a has turned about the palm's normal before.
    a = fingers[..., :1, None]
    finger = (along[1:] * xp.cos(a) + side[1:] * xp.sin(a)) * xp.cos(c_finger) + flexion[1:] * xp.sin(c_finger)
    # Thumb: flexion c, then adduction a about the flexion direction, then the saddle joint's flexion b about its side.
    b, a = thumb[..., :1, None], thumb[..., 1:2, None]
    t, f, s = along[:1], flexion[:1], side[:1]
    turned_t, turned_f = t * xp.cos(b) + f * xp.sin(b), f * xp.cos(b) - t * xp.sin(b)
    first = (turned_t * xp.cos(a) - s * xp.sin(a)) * xp.cos(c_thumb) + turned_f * xp.sin(c_thumb)

    bones = xp.concat([first, finger], axis=-3) * constant(SEGMENTS)[..., None]  # (..., 5, 3, 3)
    roots = constant(ROOTS)[:, None, :] + 0 * bones[..., :1, :]
    joints = xp.concat([roots, roots + xp.cumsum(bones, axis=-2)], axis=-2)  # (..., 5, 4, 3)
    joints = joints.reshape(*angles.shape[:-1], 20, 3)
    return xp.concat([0 * joints[..., :1, :], joints], axis=-2)
