"""Figures of embedding spaces: scatter plots by class and user, cosines, communities."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from embridge.figures import style
from embridge.figures.hand import draw_hand


def _scatter(ax, xy: np.ndarray, labels: np.ndarray, looks, *, size: float) -> None:
    """A dot a row of (N, 2), those labelled -1 pale and small; ``looks``: colour and marker of each other label."""
    ax.scatter(*xy[labels < 0].T, c=style.PALE, s=size / 2, lw=0, rasterized=True)
    for label, (colour, marker) in enumerate(looks):
        ax.scatter(*xy[labels == label].T, c=colour, marker=marker, s=size, lw=0, alpha=0.85, rasterized=True)
    ax.set(xticks=[], yticks=[])
    ax.set_box_aspect(1)  # each embedding has a scale of its own, and no unit


def tsne_panels(panels: dict[str, np.ndarray], rows: dict[str, tuple[np.ndarray, dict]]) -> Figure:
    """The same windows in several embeddings side by side, coloured by each of ``rows`` in turn (Figs. 1a, 6 and 7).

    An embedding tells labels apart where each has a place of its own; distances between these mean little.

    panels : title to (N, 2) coordinates, in the method's arbitrary unit
    rows : what a line of panels is coloured by to (N,) labels, and the names of those that get a colour; all others
        are pale
    """
    n = len(panels)
    side = min(5.3 / n, 2.6)
    figure, axes = style.new_figure(len(rows), n, height=(side + 0.2) * len(rows) + 0.3)
    for ax, title in zip(axes[0], panels, strict=True):
        ax.set_title(title)
    for line, (by, (labels, names)) in zip(axes, rows.items(), strict=True):
        looks, numbers = style.class_looks(len(names)), pd.Index([*names]).get_indexer(labels)
        size = float(np.clip(5000 / len(labels), 5, 18))
        for ax, xy in zip(line, panels.values(), strict=True):
            _scatter(ax, np.asarray(xy), numbers, looks, size=size)
        line[0].set_ylabel(f"by {by}")
        shown = zip(names.values(), looks, strict=True)
        entries = {style.pretty(n): style.handle(ls="", marker=m, ms=5, color=c) for n, (c, m) in shown}
        if (numbers < 0).any():
            entries["others"] = style.handle(ls="", marker="o", ms=4, color=style.PALE)
        line[-1].legend([*entries.values()], [*entries], loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.supxlabel("t-SNE maps, axes in arbitrary units", fontsize=style.SMALL)
    return figure


def cosine_histogram(cosines: dict[str, np.ndarray], colours=(style.MODALITY["pose"], style.GREY)) -> Figure:
    """The distribution of the cosines between pairs of embeddings, its mean as a dotted line.

    Means near 1 warn that every soft target would be uniform (METHOD 2).

    ``cosines`` maps a name to (P,) cosines; ``colours``: of each in turn. The second of a colour is dashed and hollow.
    """
    figure, axes = style.new_figure(height=2.8)
    ax = axes[0, 0]
    low, high = (float(end([end(v) for v in cosines.values()])) for end in (np.min, np.max))
    bins = np.linspace(max(-1.0, low - 0.02), min(1.0, high + 0.02), 61)  # the axis is where the data are
    for i, (colour, (name, values)) in enumerate(zip(colours, cosines.items(), strict=False)):
        values = np.clip(values, -1, 1)  # rounding
        weights = np.full(len(values), 100 / len(values))
        label, again = f"{name}\n(mean {values.mean():.2f})", colour in colours[:i]
        if not again:
            ax.hist(values, bins=bins, weights=weights, histtype="stepfilled", alpha=0.25, color=colour)
        look = {"color": colour, "ls": "--" if again else "-", "lw": 1.4}
        ax.hist(values, bins=bins, weights=weights, histtype="step", label=label, **look)
        ax.axvline(values.mean(), color=colour, ls=":")
    ax.set(xlabel="cosine between two embeddings", ylabel="share of pairs (%)")
    style.legend_beside(ax)
    return figure


def far_apart(points: np.ndarray, n: int = 8) -> list[int]:
    """Indices of ``n`` rows of ``points`` (N, d) that lie far apart: after the first, each is the farthest from all."""
    found, distance = [0], np.full(len(points), np.inf)
    while len(found) < min(n, len(points)):
        distance = np.minimum(distance, np.linalg.norm(points - points[found[-1]], axis=1))
        found.append(int(distance.argmax()))
    return found


def communities(xy: np.ndarray, assignment: np.ndarray, mean_poses: dict[int, np.ndarray | None]) -> Figure:
    """Pose embeddings, some communities coloured and all others pale, and the mean poses of these as hands.

    xy : (N, 2); assignment : (N,) community numbers
    mean_poses : eight communities at most, to colour, and of each (20,) joint angles, rad, or None (gloves): no hands
    """
    assignment, looks = np.asarray(assignment), style.class_looks(len(mean_poses))
    drawn = all(angles is not None for angles in mean_poses.values())
    figure, axes = style.new_figure(1, 2 if drawn else 1, width=7.2 if drawn else 4.2, height=3.7)
    ax, hands = axes[0, 0], axes[0, -1]
    _scatter(ax, np.asarray(xy), pd.Index([*mean_poses]).get_indexer(assignment), looks, size=26)
    ax.set(title="pose embeddings", xlabel="t-SNE axis 1 (a.u.)", ylabel="t-SNE axis 2 (a.u.)")
    for i, ((community, angles), (colour, _)) in enumerate(zip(mean_poses.items(), looks, strict=True)):
        letter = {"text": chr(ord("A") + i), "ha": "center", "va": "center", "textcoords": "offset points"}
        letter["bbox"] = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": colour, "lw": 1.6}
        if (members := assignment == community).any():  # the map may show a sample of the windows
            ax.annotate(xy=np.median(np.asarray(xy)[members], axis=0), xytext=(11, 9), **letter)  # covering few
        if drawn:
            at = (i % 4 * 190.0, -(i // 4) * 250.0)
            draw_hand(hands, angles, at=at, colours=[colour] * 5)
            hands.annotate(xy=(at[0] - 62, at[1] + 108), xytext=(0, 0), **letter)
    if drawn:
        hands.set(xlim=(-100, 660), ylim=(-((len(mean_poses) - 1) // 4) * 250 - 95, 150), aspect="equal")
        hands.set_title("mean pose of the coloured communities")
        hands.set_axis_off()
    return figure
