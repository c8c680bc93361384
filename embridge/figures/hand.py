"""A drawing of a hand from its 20 joint angles: palm and rounded bones, seen from a chosen side."""

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from embridge.data.hand import landmarks

PALM = (-25.0, -12.0)  # turn about the vertical, then about the horizontal, degrees: seen from the palm's side
FINGER_COLOURS = ("#D55E00", "#E69F00", "#009E73", "#0072B2", "#CC79A7")  # Okabe and Ito
PALM_COLOUR = "#E3DCD3"
# Half the width (mm) at the four landmarks of each digit: what makes sticks look like fingers; ours, by eye
HALF_WIDTH = np.array(
    [[13, 10.5, 9.5, 7.5], [9.5, 8.5, 7.5, 6.5], [9.5, 9, 8, 6.5], [9.5, 8.5, 7.5, 6.5], [8.5, 7.5, 6.5, 5.5]]
)


def project(points: np.ndarray, view: tuple[float, float] = PALM) -> np.ndarray:
    """Orthographic projection: (..., 3) points to (..., 3), of which two are the page's x and y and the third is depth.

    ``view``: turns as of PALM, in degrees; larger depth is nearer to the reader.
    """
    turn, tilt = np.deg2rad(view)
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


def draw_hand(ax, angles, *, view=PALM, at=(0.0, 0.0), scale: float = 1.0, colours=FINGER_COLOURS) -> PolyCollection:
    """Draw a right hand: palm, and rounded bones coloured by finger, the paler the farther away they are.

    Returns the one collection that was added: outlines from far to near.

    ax : axes; equal aspect is the caller's business. With ``scale`` 1 the unit is the mm
    angles : (20,) rad
    view : see :func:`project`
    at : where the middle of the palm goes, in data units
    scale : data units a mm
    colours : of the five fingers, the thumb first
    """
    points = project(landmarks(np.asarray(angles, dtype=float)), view)
    heel = project(np.array([[-15.0, 8, 0], [0, 6, 0], [13, 8, 0]]), view)
    digits = points[1:].reshape(5, 4, 3)
    palm_depth = points[[0, 5, 9, 13, 17], 2].mean()

    bones = []  # (depth, outline, fill, edge)
    for i, digit in enumerate(digits):
        for j in range(3):
            depth = (digit[j, 2] + digit[j + 1, 2]) / 2
            far = np.clip((palm_depth + 45 - depth) / 90, 0, 1)  # 0 well before the palm, 1 well behind it
            fill = (1 - 0.55 * far) * np.array(to_rgb(colours[i])) + 0.55 * far
            outline = _capsule(digit[j, :2], digit[j + 1, :2], *HALF_WIDTH[i, j : j + 2])
            bones.append((depth, outline, fill, 0.45 * fill))
    # from which end of the heel to which digit, and the half widths there
    rays = (0, 4, 12.0, 9.5), (1, 3, 12.0, 10.5), (1, 2, 12.0, 10.5), (2, 1, 12.0, 10.5), (2, 0, 12.0, 11.0)
    palm = [_capsule(heel[a, :2], digits[b, 0, :2], r0, r1) for a, b, r0, r1 in rays]
    palm.append(_capsule(digits[0, 0, :2], digits[1, 0, :2], 11.0, 10.0))
    palm.append(np.concatenate([heel[[0, 2], :2], digits[1:, 0, :2]]))
    colour = np.array(to_rgb(PALM_COLOUR))
    # Drawn twice, with an edge and then without: what remains is the outline of the whole palm.
    palm = [(palm_depth, outline, colour, edge) for edge in (0.45 * colour, (0, 0, 0, 0)) for outline in palm]
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
