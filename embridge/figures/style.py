"""One look for every figure: legible at printed size, safe for colour-blind readers, white, without ornament.

names.toml beside this module holds the names that figures print for the data's long ones.
"""

import re
import textwrap

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from embridge.experiments import COLOURS, ONE_CLASS
from embridge.files import read_toml

WIDTH = 7.2  # inches: the text width of an A4 page, so that a point on the screen is a point on paper
SMALL = 9  # pt, the smallest type in any figure

# Okabe and Ito's palette, the most distinct first, with Tol's indigo for its yellow, which is too pale on white. Any
# two lie at least 12 apart (CIEDE2000) for a reader without the eye's green cones: a test holds every figure to that.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#332288")
MARKERS = "osD^vPX*"  # of classes, so that nobody has to tell them by colour alone
GREY, PALE = "#666666", "#D9D9D9"
MODALITY = {"emg": "#0072B2", "pose": "#B87400", "query": "#009E73"}  # of signals and embeddings; systems have COLOURS
SET_COLOURS = {"in": "#5D3A9B", "unseen": "#CC79A7"}  # of class sets where all curves are one system's
_SPARE_COLOURS = ("#D55E00", "#CC79A7", "#0072B2", "#882255")

# Lines and marks that mean the same in every figure of results
CHANCE = 0.25  # of four classes
CHANCE_NAME = f"{ONE_CLASS.lower()}, chance ({CHANCE:.2f})"  # guessing is the balanced accuracy of ONE_CLASS, too
DASHED = {"color": GREY, "ls": "--", "lw": 1}  # chance, an even share, no difference
TO_BEAT = {"color": "#000000", "ls": "-.", "lw": 1.4}  # the line of LOG_POWER_LDA: no system has black or this pattern
COMMITTED = "† committed rows"  # what the tables' mark says, for legends

_TABLE = read_toml(__file__, "names.toml")
SHORT_NAMES = _TABLE["gestures"]  # emg2pose's 29 stages
NAMES = _TABLE["results"]  # of what results are told apart by, in the order in which figures show them
_MOVES = {"FE": "flexion", "AA": "abduction"}


def use_style() -> None:
    """Set matplotlib's and seaborn's defaults to ours. Every figure function calls it."""
    sns.set_theme(context="paper", style="ticks", palette=OKABE_ITO)
    mpl.rc("font", size=SMALL)
    mpl.rc("axes", labelsize=SMALL, titlesize=SMALL + 1, linewidth=0.8)
    mpl.rc("axes.spines", top=False, right=False)
    mpl.rc(("xtick", "ytick"), labelsize=SMALL)
    mpl.rc("legend", fontsize=SMALL, frameon=False)
    mpl.rc("figure", dpi=110)
    mpl.rc("savefig", dpi=150)


def new_figure(
    n_rows: int = 1, n_columns: int = 1, *, height: float, width: float = WIDTH, layout: str = "constrained", **options
):
    """A figure in our style and its (n_rows, n_columns) array of axes; sizes in inches, other options for subplots.

    ``layout``: "compressed" for square pictures, whose margins "constrained" gets wrong.

    The figure is taken off pyplot's list at once: Jupyter would show it beside its file, and none piles up in memory.
    """
    use_style()
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(width, height), squeeze=False, layout=layout, **options)
    plt.close(figure)
    return figure, axes


def grid(n: int, n_columns: int, *, row: float, margin: float = 0.0, **options):
    """A figure and its n axes in lines of ``n_columns``, each ``row`` inches high; options as of :func:`new_figure`."""
    n_columns = min(n, n_columns)
    n_rows = -(-n // n_columns)
    figure, axes = new_figure(n_rows, n_columns, height=margin + row * n_rows, **options)
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    return figure, axes.flat[:n]


def panels(titles, **options) -> tuple[Figure, dict]:
    """A figure with a panel for each title, side by side, and the axes by title; options as of :func:`new_figure`."""
    figure, axes = new_figure(1, len(titles), **options)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(NAMES.get(title, title))
    return figure, dict(zip(titles, axes[0], strict=True))


def class_looks(n: int) -> list[tuple[str, str]]:
    """A colour and a marker for each of n classes: eight of both, then the colours again with other markers."""
    return [(OKABE_ITO[i % 8], MARKERS[(i + i // 8) % 8]) for i in range(n)]


def modality_colour(name: str) -> str:
    """The colour of EMG for what begins with "EMG", such as "EMG-MAE", else that of pose."""
    return MODALITY["emg" if name.lower().startswith("emg") else "pose"]


def system_colours(names) -> dict:
    """A colour for each system, the same in every figure; names we do not know get the remaining colours in turn."""
    unknown = [name for name in dict.fromkeys(names) if name not in COLOURS]
    colours = COLOURS | {name: _SPARE_COLOURS[i % len(_SPARE_COLOURS)] for i, name in enumerate(unknown)}
    return {name: colours[name] for name in names}


def handle(**style) -> Line2D:
    """A legend's handle for lines or marks of this style; without a style, for text alone."""
    return Line2D([], [], **style or {"ls": ""})


def in_order(values) -> list:
    """The distinct values, those of NAMES first and in its order."""
    found = list(dict.fromkeys(values))
    return [v for v in NAMES if v in found] + [v for v in found if v not in NAMES]


def legend_below(figure: Figure, entries: dict, *, n_columns: int | None = None) -> None:
    """One legend for the whole figure, under its axes; ``entries`` maps what it says to its handle."""
    figure.legend([*entries.values()], [*entries], loc="outside lower center", ncols=n_columns or min(len(entries), 4))


def legend_beside(ax) -> None:
    """The legend of a figure's only axes, to the right of it."""
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def label_lines(ax, labels) -> None:
    """Names right of an axes' frame, joined to the ends of their curves and clear of one another.

    ``labels``: (y, text, colour) of each.
    """
    ax.figure.draw_without_rendering()  # only now is the height of a line of type known in the axes' units
    low, high = ax.get_ylim()
    line = (high - low) * 1.25 * SMALL / 72 / (ax.get_window_extent().height / ax.figure.dpi)
    labels = sorted(labels, key=lambda label: label[0])
    at = np.array([float(y) for y, _, _ in labels])
    for _ in range(200):  # neighbours push one another apart, each by half
        overlap = np.clip(line - np.diff(at), 0, None)
        at[1:] += overlap / 2
        at[:-1] -= overlap / 2
    for y, (end, text, colour) in zip(at, labels, strict=True):
        across, line = ax.get_yaxis_transform(), {"arrowstyle": "-", "color": colour, "lw": 1.4, "relpos": (0, 0.5)}
        ax.annotate(text, (1, end), (1.09, y), xycoords=across, textcoords=across, va="center", annotation_clip=False,
                    arrowprops=line | {"shrinkA": 2, "shrinkB": 0})  # fmt: skip


def name_lines(ax, names) -> None:
    """Make the y axis a list that is read from the top, a name a line."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)


def shade(ax, mask, sample_rate: float, **look) -> None:
    """Shade the stretches in which a boolean (T,) mask over samples is true, behind the curves over time in s."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        ax.axvspan(start / sample_rate, stop / sample_rate, **look, lw=0, zorder=0)


def pretty(name: str) -> str:
    """A gesture's short label: a stage by SHORT_NAMES, NinaPro's "E1-05" as "movement 5", "E2-05" as "grasp 5"."""
    code = re.fullmatch(r"E(1|2)-0*(\d+)", name)  # exercise 2 of DB2 and DB7 are grasps
    return f"{('movement', 'grasp')[int(code[1]) - 1]} {code[2]}" if code else SHORT_NAMES.get(name, name)


def joint_label(name: str) -> str:
    """A joint's label: "INDEX_MCP_FE" (any case) as "index MCP flexion"; a name of another form as it is."""
    parts = name.split("_")
    if len(parts) != 3 or parts[2].upper() not in _MOVES:
        return name
    return f"{parts[0].lower()} {parts[1].upper()} {_MOVES[parts[2].upper()]}"


def wrapped(name: str, width: int) -> str:
    """A gesture's short label, broken into lines of about ``width`` characters."""
    return textwrap.fill(pretty(name), width, break_long_words=False)
