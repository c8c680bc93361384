"""Colours: few in each figure, and any two apart for a reader without green cones, by computation."""

import itertools

import numpy as np
import pytest
from figure_inputs import FIGURES, drawn
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb

from embridge.figures import style

MACHADO = np.array(  # deuteranopia, severity 1, of linear RGB (Machado et al. 2009, Table 1)
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab_of(colour, seen_by=MACHADO):
    """CIELAB (D65) of an sRGB colour as one without green cones sees it."""
    c = np.array(to_rgb(colour))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    t = XYZ @ np.clip(seen_by @ linear, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(one, other):
    """The distance of two CIELAB colours (Sharma, Wu and Dalal 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 1.5 - 0.5 * np.sqrt(c7 / (c7 + 25.0**7))
    c1, c2 = np.hypot(g * a1, b1), np.hypot(g * a2, b2)
    h1, h2 = np.degrees([np.arctan2(b1, g * a1), np.arctan2(b2, g * a2)]) % 360
    grey = c1 * c2 == 0
    turn = 0.0 if grey else (h2 - h1 + 180) % 360 - 180
    lightness, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, h1 + h2 if grey else h1 + turn / 2
    waves = ((0.17, 1, -30), (-0.24, 2, 0), (-0.32, 3, 6), (0.2, 4, -63))
    t = 1 - sum(w * np.cos(np.radians(k * hue + shift)) for w, k, shift in waves)
    dl = (l2 - l1) / (1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    tilt = np.radians(60 * np.exp(-(((hue % 360 - 275) / 25) ** 2)))
    r = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(tilt)
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + r * dc * dh))


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [  # pairs of Sharma, Wu and Dalal's Table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425), ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792), ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065), ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (61, -5, 29), 22.8977), ((50, 2.5, 0), (56, -27, -3), 31.9030),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)  # fmt: skip
def test_the_distance_of_colours_is_the_published_one(one, other, distance):
    assert ciede2000(one, other) == pytest.approx(distance, abs=5e-5)


def told_by_colour(figure):
    """The colours of a picture's curves, bars, dots and boxes; not hands, whose fingers are told by their place."""
    found = []
    for ax in (ax for ax in figure.axes if ax.get_label() != "<colorbar>"):
        found += [line.get_color() for line in ax.lines if line.get_linestyle() != "None"]
        marked = [line for line in ax.lines if line.get_marker() not in ("None", None, "")]
        found += [c for line in marked for c in (line.get_markeredgecolor(), line.get_markerfacecolor())]
        edged = [p for p in ax.patches if p.get_linewidth() > 0 and to_rgb(p.get_edgecolor()) != (1, 1, 1)]
        found += [p.get_edgecolor() for p in edged]
        found += [p.get_facecolor() for p in ax.patches if p not in edged and (p.get_alpha() or 1) > 0.5]
        found += [
            c for points in ax.collections if not isinstance(points, PolyCollection) for c in points.get_facecolors()
        ]
    return sorted({to_hex(c) for c in found} - {"#ffffff"})


def is_grey(colour):
    return len(set(to_rgb(colour))) == 1


@pytest.mark.parametrize("name", FIGURES)
def test_colours_are_few_and_told_apart_without_green_cones(name):
    colours = told_by_colour(drawn(name))
    assert sum(not is_grey(c) for c in colours) <= 8
    near = {(a, b): round(ciede2000(lab_of(a), lab_of(b)), 1) for a, b in itertools.combinations(colours, 2)}
    assert not {pair: d for pair, d in near.items() if d < 12}


def test_the_check_of_colours_finds_two_that_look_alike():
    assert ciede2000(lab_of("#009E73"), lab_of("#7F7F7F")) < 12 < ciede2000(lab_of("#009E73"), lab_of("#A8A8A8"))
    figure, axes = style.new_figure(height=2)
    axes[0, 0].plot([0, 1], color="#009E73")
    axes[0, 0].bar([0], [1], color="#7F7F7F")
    assert told_by_colour(figure) == ["#009e73", "#7f7f7f"]
