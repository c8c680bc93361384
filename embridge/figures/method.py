"""Our own drawing of the whole method: pre-training, alignment, zero-shot retrieval (E 2, 3.1; METHOD 2-6, 8)."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from embridge.figures.hand import draw_hand
from embridge.figures.style import GREY, MODALITY, SMALL, new_figure

_UNIT = 20  # drawing units an inch, so that type of a fixed size fits the boxes
_FILL = {"emg": "#D6E8F5", "pose": "#FBE7C6", "query": "#D3EFE3", "loss": "white", "plain": "#F2F2F2"}
_EDGE = MODALITY | {"loss": "black", "plain": GREY}

# Three poses for the eye only (rad): OK, peace, fist
_ICONS = {
    "ok": [0.44, 0.27, 0.03, 0.08, 0.15, 0.85, 0.9, 0.45, 0.05, 0, 0, 0, -0.1, 0, 0, 0, -0.2, 0, 0, 0],
    "peace": [0.5, 0.1, 0.6, 0.8, 0.25, 0, 0, 0, 0, 0, 0, 0, 0, 1.3, 1.6, 0.9, 0, 1.3, 1.6, 0.9],
    "fist": [0.5, 0.2, 0.5, 0.7, *(4 * [0, 1.35, 1.7, 0.95])],
}


class _Canvas:
    """Boxes, arrows and little pictures on one axes in drawing units."""

    def __init__(self, ax):
        self.ax = ax

    def text(self, x, y, text, **style):
        self.ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": SMALL, "linespacing": 1.15} | style)

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
        self.text(x, y, text, color="#333333")

    def row(self, y, x, *boxes):
        """Boxes (x0, x1, text, kind and :meth:`box`'s options), an arrow into each, into the first one from ``x``."""
        for x0, x1, text, kind, *options in boxes:
            self.arrow((x, y), (x0, y))
            self.box(x0, x1, y, text, kind, *options)
            x = x1

    def stage(self, y, text):
        self.ax.plot([0, 144], [y + 4.5, y + 4.5], color="#CCCCCC", lw=0.8)
        self.text(1, y + 1, text, ha="left", fontsize=SMALL + 1, fontweight="bold")

    def emg(self, y):
        """A sketch of EMG: three bursts, drawn from a formula and not from data."""
        t = np.linspace(0, 1, 240)
        for k in range(3):
            burst = np.exp(-(((t - 0.3 - 0.2 * k) / 0.16) ** 2))
            wave = burst * np.sin(2 * np.pi * (19 + 4 * k) * t)
            self.ax.plot(2 + 14 * t, y + 3 - 3 * k + 1.5 * wave, color=_EDGE["emg"], lw=0.7)

    def hand(self, x, y, name, scale):
        draw_hand(self.ax, np.array(_ICONS[name], dtype=float), at=(x, y - 1.4), scale=scale)

    def tokens(self, x, y, kind, hidden):
        """A row of tokens, the hidden ones hatched."""
        for k in range(8):
            fill = {"fc": "white", "hatch": "/////"} if k in hidden else {"fc": _FILL[kind]}
            self.ax.add_patch(Rectangle((x + 2.6 * k, y - 1.5), 2.6, 3, ec=_EDGE[kind], lw=0.8, **fill))


def _pretraining(c: _Canvas, top: float) -> None:
    c.stage(top, "1  Pre-training: one masked autoencoder for each modality")
    for y, kind, name, size, hidden in (
        (top - 9, "emg", "EMG", "C × T", (1, 2, 5, 6)),
        (top - 26, "pose", "Pose", "J × T", (0, 3, 4, 7)),
    ):
        if kind == "emg":
            c.emg(y + 1)
        else:
            c.hand(9, y + 1.5, "ok", 0.058)
        c.text(9, y - 6.2, f"{name}, {size}")
        c.arrow((18, y), (23, y))
        c.tokens(24, y, kind, hidden)
        c.text(34.4, y - 4.2, "tokens, half masked")
        encoder, decoder = (53, 80, f"{name} encoder\n(sees the rest)", kind), (88, 108, "light decoder", "plain")
        c.row(y, 46, encoder, decoder, (116, 142, "error on the\nmasked patches", "loss"))


def _alignment(c: _Canvas, top: float) -> None:
    c.stage(top, "2  Alignment: EMG learns to meet the frozen pose embeddings")
    first, second, third = top - 9.5, top - 30, top - 52
    # MPRL: masked pose tokens read the queries
    c.tokens(5, first + 1.5, "pose", (1, 2, 4, 7))
    c.text(15.5, first - 3.6, "masked pose tokens")
    c.arrow((28, first + 1.5), (52, first + 1.5))
    c.box(52, 84, first, "second pass: pose sees\nqueries and pose,\nqueries see queries", "query", 12.5)
    c.row(first, 84, (92, 113, "$g$: fill in the\nmasked tokens", "pose"), (122, 142, "$L_{\\mathrm{MPRL}}$", "loss"))
    c.arrow((68, second + 8.5), (68, first - 6.3))
    c.label(71.5, (first + second) / 2 + 1.3, "$Q'$")
    # Q-Former
    c.emg(second + 1)
    c.text(9, second - 6, "EMG")
    queries = "Q-Former: $M$ learned\nqueries, self-attention,\ncross-attention to EMG,\nfeed-forward"
    c.row(
        second,
        18,
        (23, 44, "EMG encoder", "emg"),
        (52, 84, queries, "query", 17),
        (92, 113, "best query $u_i$,\ncosine to each\n$v_j$, gives $q_{ij}$", "query", 14),
        (122, 142, "$L_{\\mathrm{InfoNCE}}$", "loss"),
    )
    c.label(47.7, second + 2.8, "K, V")
    c.label(88, second + 3, "$Q'$")
    # CASCLe
    c.hand(9, third + 1.5, "peace", 0.058)
    c.text(9, third - 6.5, "paired pose")
    c.arrow((48, third), (48, third + 11), (102.5, third + 11), (102.5, second - 7))
    c.arrow((117.5, second), (117.5, third + 3), (122, third + 3))
    affinity = "affinity to the nearest\nof $N_c$ communities, $S_{pc}$,\nso between poses, $S_{pp}$"
    c.row(
        third,
        18,
        (23, 44, "Pose encoder\n(frozen)", "pose", 11, True),
        (52, 84, affinity, "pose", 14),
        (92, 113, "soft targets $\\tilde{y}_{ij}$:\nsoftmax at $τ_s$,\nself left out", "pose", 14),
        (122, 142, "$L_{\\mathrm{CASCLe}}$", "loss"),
    )
    c.label(46, third + 2.6, "$v$")
    c.label(117, third - 2.9, "$\\tilde{y}$")
    c.label(119.5, (second + third) / 2, "$q$")
    c.text(82, third - 11.5, "$L = L_{\\mathrm{InfoNCE}} + α\\,L_{\\mathrm{CASCLe}} + λ\\,L_{\\mathrm{MPRL}}$",
           fontsize=SMALL + 2)  # fmt: skip


def _zero_shot(c: _Canvas, top: float) -> None:
    c.stage(top, "3  Zero-shot: a new user's EMG is compared with labelled poses")
    first, second = top - 9, top - 24
    c.emg(first + 1)
    c.text(9, first - 5.6, "EMG, new")
    c.row(
        first,
        18,
        (23, 48, "EMG encoder,\nQ-Former", "query"),
        (63, 94, "cosine to every pose,\nbest of the $M$ queries", "query"),
        (101, 119, "$k$ nearest\nposes", "plain"),
        (127, 142, "majority\nvote", "plain"),
    )
    c.label(55.3, first + 2.8, "$M$ queries")
    for k, name in enumerate(_ICONS):
        c.hand(4 + 7.2 * k, second + 1.3, name, 0.04)
    c.text(11, second - 5.6, "labelled poses")
    c.row(second, 22.5, (26.5, 50, "Pose encoder\n(frozen)", "pose", 11, True))
    c.arrow((50, second), (78, second), (78, first - 5.5))
    c.label(64, second + 2.6, "$v_1 … v_G$")
    c.arrow((134.5, first - 5.5), (134.5, second + 3))
    c.text(134.5, second, "gesture")
    c.label(92, second - 3.4, "linear probe instead: logistic regression on the mean query")


def method_drawing() -> Figure:
    """The whole method in one drawing: two masked autoencoders, alignment with its three losses, zero-shot retrieval.

    Schematic throughout: waves and hands stand for signals and are no data. Blue: EMG, orange: pose, green: queries,
    black outline: losses, dashed outline: frozen weights.
    """
    height = 160
    figure, axes = new_figure(height=height / _UNIT)
    figure.set_layout_engine("none")
    ax = axes[0, 0]
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(0, 144), ylim=(0, height), aspect="equal")
    ax.axis("off")
    canvas = _Canvas(ax)
    _pretraining(canvas, height - 5)
    _alignment(canvas, height - 46)
    _zero_shot(canvas, height - 119)
    keys = (("emg", "EMG"), ("pose", "pose"), ("query", "queries"), ("loss", "loss"))
    for k, (kind, text) in enumerate(keys):
        canvas.box(12 + 24 * k, 17 + 24 * k, 3.5, "", kind, height=4)
        canvas.text(18.5 + 24 * k, 3.5, text, ha="left")
    canvas.box(108, 113, 3.5, "", "pose", height=4, frozen=True)
    canvas.text(114.5, 3.5, "frozen weights", ha="left")
    return figure
