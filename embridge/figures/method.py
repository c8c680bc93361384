"""Our own drawing of the whole method: pre-training, alignment, zero-shot retrieval (E 2, 3.1; METHOD 2-6, 8)."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from embridge.figures.hand import draw_hand
from embridge.figures.style import GREY, MODALITY, SMALL, new_figure
from embridge.files import read_toml

_UNIT = 20  # drawing units an inch, so that type of a fixed size fits the boxes
_FILL = {"emg": "#D6E8F5", "pose": "#FBE7C6", "query": "#D3EFE3", "loss": "white", "plain": "#F2F2F2"}
_EDGE = MODALITY | {"loss": "black", "plain": GREY}
_DRAWING = read_toml(__file__)


class _Canvas:
    """Boxes, arrows and little pictures on one axes in drawing units: what method.toml beside this module calls."""

    def __init__(self, ax):
        self.ax = ax

    def text(self, x, y, text, style=None):
        usual = {"ha": "center", "va": "center", "fontsize": SMALL, "linespacing": 1.15}
        self.ax.text(x, y, text, **usual | (style or {}))

    def box(self, x0, x1, y, text, kind, height=11.0, frozen=False):
        """A box from x0 to x1 centred on y; dashed if its weights are frozen."""
        look = {"fc": _FILL[kind], "ec": _EDGE[kind], "lw": 1.3, "ls": (0, (3, 1.5)) if frozen else "-"}
        look["boxstyle"] = "round,pad=0,rounding_size=1.5"
        self.ax.add_patch(FancyBboxPatch((x0, y - height / 2), x1 - x0, height, **look))
        self.text((x0 + x1) / 2, y, text)

    def arrow(self, *points):
        """An arrow through the points, its head at the last one."""
        line = np.array(points, dtype=float)
        if len(line) > 2:
            self.ax.plot(line[:-1, 0], line[:-1, 1], color=GREY, lw=1.1, solid_capstyle="round")
        self.ax.add_patch(
            FancyArrowPatch(*line[-2:], arrowstyle="-|>", mutation_scale=8, color=GREY, lw=1.1, shrinkA=0, shrinkB=0)
        )

    def label(self, x, y, text):
        """A name beside an arrow."""
        self.text(x, y, text, {"color": "#333333"})

    def row(self, y, x, *boxes):
        """Boxes (x0, x1, text, kind and :meth:`box`'s options), an arrow into each, into the first one from ``x``."""
        for x0, x1, text, kind, *options in boxes:
            self.arrow((x, y), (x0, y))
            self.box(x0, x1, y, text, kind, *options)
            x = x1

    def stage(self, y, text):
        self.ax.plot([0, 144], [y + 4.5, y + 4.5], color="#CCCCCC", lw=0.8)
        self.text(1, y + 1, text, {"ha": "left", "fontsize": SMALL + 1, "fontweight": "bold"})

    def emg(self, y):
        """A sketch of EMG: three bursts, drawn from a formula and not from data."""
        t = np.linspace(0, 1, 240)
        for k in range(3):
            burst = np.exp(-(((t - 0.3 - 0.2 * k) / 0.16) ** 2))
            wave = burst * np.sin(2 * np.pi * (19 + 4 * k) * t)
            self.ax.plot(2 + 14 * t, y + 3 - 3 * k + 1.5 * wave, color=_EDGE["emg"], lw=0.7)

    def hand(self, x, y, name, scale):
        draw_hand(self.ax, np.array(_DRAWING["hands"][name]), at=(x, y - 1.4), scale=scale)

    def tokens(self, x, y, kind, hidden):
        """A row of tokens, the hidden ones hatched."""
        for k in range(8):
            fill = {"fc": "white", "hatch": "/////"} if k in hidden else {"fc": _FILL[kind]}
            self.ax.add_patch(Rectangle((x + 2.6 * k, y - 1.5), 2.6, 3, ec=_EDGE[kind], lw=0.8, **fill))


def method_drawing() -> Figure:
    """The whole method in one drawing: two masked autoencoders, alignment with its three losses, zero-shot retrieval.

    Schematic throughout: waves and hands stand for signals and are no data. Blue: EMG, orange: pose, green: queries,
    black outline: losses, dashed outline: frozen weights.
    """
    height = _DRAWING["height"]
    figure, axes = new_figure(height=height / _UNIT)
    figure.set_layout_engine("none")
    ax = axes[0, 0]
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(0, 144), ylim=(0, height), aspect="equal")
    ax.axis("off")
    canvas = _Canvas(ax)
    for what, *arguments in _DRAWING["draw"]:
        getattr(canvas, what)(*arguments)
    return figure
