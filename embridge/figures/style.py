"""One look for every figure: legible at printed size, safe for colour-blind readers, white, without ornament."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from embridge.experiments import LOG_POWER_LDA, ONE_CLASS

WIDTH = 7.2  # inches: the text width of an A4 page, so that a point on the screen is a point on paper
SMALL = 9  # pt, the smallest type in any figure

# Okabe and Ito's palette without its yellow, which is too pale on white; the most distinct first
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
GREY, PALE = "#666666", "#D9D9D9"
SET_COLOURS = {"in": "#332288", "unseen": "#CC79A7"}  # of class sets where all curves are one system's
TO_BEAT = {"color": "#000000", "ls": "-.", "lw": 1.4}  # the line of LOG_POWER_LDA: no system has black or this pattern
COMMITTED = "† committed rows"  # what the tables' mark says, for legends
_SYSTEM_COLOURS = {
    LOG_POWER_LDA: "#000000",
    "Upper bound": "#7F7F7F",
    "EMG-MAE": "#56B4E9",
    "NeuroPose": "#D55E00",
    "emg2pose": "#CC6677",  # this, the next two and the -LS rows: Tol's palettes, made for the same readers
    "Vemg2pose": "#AA4499",
    "PoseT": "#999933",
    "CPEP": "#E69F00",
    "CPEP-LS": "#DDCC77",
    "Q-Former": "#0072B2",
    "Q-Former-LS": "#6699CC",
    "EMBridge": "#009E73",
}
_SPARE_COLOURS = ("#CC79A7", "#882255", "#44AA99", "#332288")


def use_style() -> None:
    """Set matplotlib's and seaborn's defaults to ours. Every figure function calls it."""
    sns.set_theme(context="paper", style="ticks", palette=OKABE_ITO)
    mpl.rcParams.update(
        {
            "font.size": SMALL,
            "axes.labelsize": SMALL,
            "axes.titlesize": SMALL + 1,
            "axes.titleweight": "normal",
            "xtick.labelsize": SMALL,
            "ytick.labelsize": SMALL,
            "legend.fontsize": SMALL,
            "legend.title_fontsize": SMALL,
            "figure.titlesize": SMALL + 1,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.8,
            "lines.linewidth": 1.2,
            "figure.facecolor": "white",
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "savefig.facecolor": "white",
            "mathtext.fontset": "dejavusans",
        }
    )


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


def class_colours(n: int) -> list:
    """n colours for classes: Okabe and Ito's up to seven, evenly spaced hues beyond."""
    return list(OKABE_ITO[:n]) if n <= len(OKABE_ITO) else sns.color_palette("husl", n)


def system_colours(names) -> dict:
    """A colour for each system, the same in every figure; names we do not know get the remaining colours in turn."""
    unknown = [name for name in dict.fromkeys(names) if name not in _SYSTEM_COLOURS]
    colours = _SYSTEM_COLOURS | {name: _SPARE_COLOURS[i % len(_SPARE_COLOURS)] for i, name in enumerate(unknown)}
    return {name: colours[name] for name in names}


def chance_name(chance: float) -> str:
    """What a legend calls the line at chance: the balanced accuracy of ONE_CLASS, too."""
    return f"{ONE_CLASS.lower()}, chance ({chance:.2f})"


def legend_below(figure: Figure, handles, labels, *, n_columns: int | None = None) -> None:
    """One legend for the whole figure, under its axes."""
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns or min(len(labels), 4))


def spans(mask) -> list[tuple[int, int]]:
    """Half-open runs (start, stop) in which a boolean (T,) mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(mask, dtype=bool), [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
