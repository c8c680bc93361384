"""The hand: 20 joint angles to 21 landmarks by forward kinematics, and a drawing of them.

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
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from embridge.errors import InputError

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
N_ANGLES, N_LANDMARKS = 20, 21
FINGERTIPS = (4, 8, 12, 16, 20)
# Landmark 0 is the wrist; then four a finger, from its root to its tip: CMC, MCP, IP, tip (thumb), MCP, PIP, DIP, tip.

METACARPALS = np.array([46.22, 68.12, 64.60, 58.00, 53.69])  # thumb to little finger
# The three moving segments of each digit; the last one with its soft tissue. The thumb's first is its metacarpal.
SEGMENTS = np.array(
    [
        [46.22, 31.57, 21.67 + 5.67],
        [39.78, 22.38, 15.82 + 3.84],
        [44.63, 26.33, 17.40 + 3.95],
        [41.37, 25.65, 17.30 + 3.95],
        [32.74, 18.11, 15.96 + 3.73],
    ]
)
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


def landmarks(angles, *, hand: str = "right"):
    """Forward kinematics: the 21 landmarks of a hand from its 20 joint angles.

    Parameters
    ----------
    angles : (..., 20) float numpy array or torch tensor, rad; order and signs as the module says
    hand : "right", or "left" for its mirror image

    Returns
    -------
    (..., 21, 3), mm, of the same kind as ``angles`` (a tensor keeps its gradient): wrist, then four for each digit

    Raises
    ------
    InputError : the last axis is not 20, or ``hand`` is neither side
    """
    if angles.shape[-1:] != (N_ANGLES,):
        raise InputError(
            f"Joint angles: expected 20 on the last axis, found shape {tuple(angles.shape)}; a skeleton can only be "
            "drawn for emg2pose's 20 angles."
        )
    if hand not in ("right", "left"):
        raise InputError(f"hand: expected 'right' or 'left', found {hand!r}.")
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
    points = xp.concat([0 * joints[..., :1, :], joints], axis=-2)
    return points if hand == "right" else points * constant([-1.0, 1.0, 1.0])


VIEWS = {  # turn about the vertical, then about the horizontal, degrees: seen from the palm's side unless it says so
    "palm": (-25.0, -12.0),
    "front": (0.0, 0.0),
    "back": (180.0, 0.0),
    "thumb": (-80.0, -8.0),
}
FINGER_COLOURS = ("#D55E00", "#E69F00", "#009E73", "#0072B2", "#CC79A7")  # Okabe and Ito
PALM_COLOUR = "#E3DCD3"
# Half the width (mm) at the four landmarks of each digit: what makes sticks look like fingers; ours, by eye
_HALF_WIDTH = np.array(
    [[13, 10.5, 9.5, 7.5], [9.5, 8.5, 7.5, 6.5], [9.5, 9, 8, 6.5], [9.5, 8.5, 7.5, 6.5], [8.5, 7.5, 6.5, 5.5]]
)


def project(points: np.ndarray, view="palm", hand: str = "right") -> np.ndarray:
    """Orthographic projection: (..., 3) points to (..., 3), of which two are the page's x and y and the third is depth.

    ``view`` is a name in VIEWS or (turn about the vertical, turn about the horizontal) in degrees; larger depth is
    nearer to the reader. A left hand is turned the other way, so that it is the mirror image of a right one.
    """
    turn, tilt = np.deg2rad(VIEWS[view] if isinstance(view, str) else view)
    turn = turn if hand == "right" else -turn
    x, y, z = np.moveaxis(np.asarray(points, dtype=float), -1, 0)
    x, z = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    y, z = y * np.cos(tilt) - z * np.sin(tilt), z * np.cos(tilt) + y * np.sin(tilt)
    return np.stack([x, y, z], axis=-1)


def _capsule(start: np.ndarray, stop: np.ndarray, r0: float, r1: float) -> np.ndarray:
    """Outline (32, 2) of a rounded bone: the hull of a circle of radius r0 at ``start`` and one of r1 at ``stop``."""
    way = stop - start
    length = np.hypot(*way)
    if length <= abs(r0 - r1):  # seen end on: the larger circle holds the other
        start = stop = start if r0 > r1 else stop
        r0 = r1 = max(r0, r1)
        heading, tilt = 0.0, np.pi / 2
    else:
        heading, tilt = np.arctan2(way[1], way[0]), np.arccos((r0 - r1) / length)
    far = heading + np.linspace(-tilt, tilt, 16)
    near = heading + np.linspace(tilt, 2 * np.pi - tilt, 16)
    circles = [np.stack([np.cos(v), np.sin(v)], axis=1) for v in (far, near)]
    return np.concatenate([stop + r1 * circles[0], start + r0 * circles[1]])


def draw_hand(ax, angles, *, hand: str = "right", view="palm", at=(0.0, 0.0), scale: float = 1.0) -> PolyCollection:
    """Draw a hand: palm, and rounded bones coloured by finger, the paler the farther away they are.

    Parameters
    ----------
    ax : axes; equal aspect is the caller's business. With ``scale`` 1 the unit is the mm
    angles : (20,) rad
    hand, view : see :func:`landmarks` and :func:`project`
    at : where the middle of the palm goes, in data units
    scale : data units a mm

    Returns
    -------
    the one collection that was added: outlines from far to near
    """
    points = project(landmarks(np.asarray(angles, dtype=float), hand=hand), view, hand)
    side = 1.0 if hand == "right" else -1.0
    heel = project(np.array([[-15.0, 8, 0], [0, 6, 0], [13, 8, 0]]) * (side, 1, 1), view, hand)
    digits = points[1:].reshape(5, 4, 3)
    palm_depth = points[[0, 5, 9, 13, 17], 2].mean()

    bones = []  # (depth, outline, fill, edge)
    for i, digit in enumerate(digits):
        for j in range(3):
            depth = (digit[j, 2] + digit[j + 1, 2]) / 2
            far = np.clip((palm_depth + 45 - depth) / 90, 0, 1)  # 0 well before the palm, 1 well behind it
            fill = (1 - 0.55 * far) * np.array(to_rgb(FINGER_COLOURS[i])) + 0.55 * far
            outline = _capsule(digit[j, :2], digit[j + 1, :2], *_HALF_WIDTH[i, j : j + 2])
            bones.append((depth, outline, fill, 0.45 * fill))
    rays = [
        (heel[0], digits[4, 0], 12.0, 9.5),
        (heel[1], digits[3, 0], 12.0, 10.5),
        (heel[1], digits[2, 0], 12.0, 10.5),
    ]
    rays += [
        (heel[2], digits[1, 0], 12.0, 10.5),
        (heel[2], digits[0, 0], 12.0, 11.0),
        (digits[0, 0], digits[1, 0], 11.0, 10.0),
    ]
    palm = [_capsule(a[:2], b[:2], r0, r1) for a, b, r0, r1 in rays]
    palm.append(np.array([heel[0], heel[2], digits[1, 0], digits[2, 0], digits[3, 0], digits[4, 0]])[:, :2])
    colour = np.array(to_rgb(PALM_COLOUR))
    # Drawn twice, with an edge and then without: what remains is the outline of the whole palm.
    palm = [(palm_depth, outline, colour, 0.45 * colour) for outline in palm] + [
        (palm_depth, outline, colour, (0, 0, 0, 0)) for outline in palm
    ]
    pieces = sorted(bones + palm, key=lambda piece: piece[0])  # stable: the palm's own order stays
    middle = points[[0, 5, 17], :2].mean(axis=0)
    collection = PolyCollection(
        [(outline - middle) * scale + np.asarray(at) for _, outline, _, _ in pieces],
        facecolors=[(*fill, 1.0) for _, _, fill, _ in pieces],
        edgecolors=[(*edge, 1.0) if len(edge) == 3 else edge for _, _, _, edge in pieces],
        linewidths=0.7,
        joinstyle="round",
    )
    ax.add_collection(collection, autolim=True)
    return collection
