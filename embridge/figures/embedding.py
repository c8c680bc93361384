"""Figures of embedding spaces: scatter plots by class, cosines, communities."""

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from embridge.figures import style
from embridge.figures.hand import draw_hand


def _scatter(ax, xy: np.ndarray, colours, *, size: float) -> None:
    ax.scatter(xy[:, 0], xy[:, 1], c=colours, s=size, lw=0, alpha=0.75, rasterized=True)
    ax.set(xticks=[], yticks=[], xlabel="t-SNE axis 1 (a.u.)", ylabel="t-SNE axis 2 (a.u.)")
    ax.set_box_aspect(1)  # each embedding has a scale of its own, and no unit


def tsne_panels(panels: dict[str, np.ndarray], labels: np.ndarray, class_names) -> Figure:
    """The same windows in several embeddings side by side, coloured by class (Figs. 1a, 6 and 7).

    An embedding tells classes apart where each has a place of its own; distances between these mean little.

    Parameters
    ----------
    panels : title to (N, 2) coordinates, in the method's arbitrary unit
    labels : (N,) class numbers, -1 for other gestures (pale)
    class_names : names in class order
    """
    labels = np.asarray(labels)
    palette = style.class_colours(len(class_names))
    colours = np.array([*palette, style.PALE], dtype=object if isinstance(palette[0], tuple) else None)
    order = np.random.default_rng(0).permutation(len(labels))  # so that no class lies on top of all others
    width = 7.2 if len(panels) > 1 else 4.2
    size = float(np.clip(6000 / len(labels), 3, 16))
    figure, axes = style.panels(panels, width=width, height=width / len(panels) + 0.75)
    for title, xy in panels.items():
        _scatter(axes[title], np.asarray(xy)[order], list(colours[labels[order]]), size=size)
    names = zip(map(style.pretty, class_names), palette, strict=True)
    entries = {name: style.handle(ls="", marker="o", ms=5, color=colour) for name, colour in names}
    if (labels < 0).any():
        entries["other gestures"] = style.handle(ls="", marker="o", ms=5, color=style.PALE)
    style.legend_below(figure, entries, n_columns=min(len(entries), 4 if width > 5 else 2))
    return figure


def cosine_histogram(cosines: dict[str, np.ndarray]) -> Figure:
    """The distribution of the cosines between pairs of embeddings, its mean as a dotted line.

    ``cosines`` maps a name to (P,) cosines. Means near 1 warn that every soft target would be uniform (METHOD 2).
    """
    figure, axes = style.new_figure(height=2.8)
    ax = axes[0, 0]
    low = min(float(np.min(v)) for v in cosines.values())  # the axis starts where the data do
    bins = np.linspace(max(-1.0, low - 0.02), 1.0, 61)
    for colour, (name, values) in zip(style.class_colours(len(cosines)), cosines.items(), strict=True):
        values = np.clip(values, -1, 1)  # rounding
        weights = np.full(len(values), 100 / len(values))
        label = f"{name}\n(mean {values.mean():.2f})"
        ax.hist(values, bins=bins, weights=weights, histtype="stepfilled", alpha=0.25, color=colour)
        ax.hist(values, bins=bins, weights=weights, histtype="step", color=colour, label=label)
        ax.axvline(values.mean(), color=colour, ls=":")
    ax.set(xlabel="cosine between two embeddings", ylabel="share of pairs (%)")
    style.legend_beside(ax)
    return figure


def communities(xy: np.ndarray, assignment: np.ndarray, mean_poses: dict[int, np.ndarray]) -> Figure:
    """Pose embeddings coloured by community, with the mean pose of some communities drawn as hands.

    Communities that are neighbours in the map should have hands that look alike.

    Parameters
    ----------
    xy : (N, 2); assignment : (N,) community numbers
    mean_poses : community to (20,) joint angles, rad; drawn as hands and marked by letters in the map. Empty (gloves):
        the map alone
    """
    assignment = np.asarray(assignment)
    names = np.union1d(assignment, np.array(list(mean_poses), dtype=assignment.dtype))
    palette = np.array(sns.color_palette("husl", len(names)))
    palette = palette[np.random.default_rng(0).permutation(len(names))]  # so that neighbours in number differ
    colour = dict(zip(names.tolist(), palette, strict=True))
    figure, axes = style.new_figure(1, 2 if mean_poses else 1, width=7.2 if mean_poses else 4.2, height=3.9)
    ax, hands = axes[0, 0], axes[0, -1]
    _scatter(ax, np.asarray(xy), [colour[c] for c in assignment.tolist()], size=9)
    ax.set_title("pose communities")
    per_row = int(np.ceil(np.sqrt(len(mean_poses))))
    for i, (community, angles) in enumerate(mean_poses.items()):
        letter = chr(ord("A") + i)
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": colour[community], "lw": 1.6}
        if (members := assignment == community).any():  # the map may show a sample of the windows
            ax.annotate(letter, np.median(xy[members], axis=0), ha="center", va="center", bbox=box)
        at = (i % per_row * 210.0, -(i // per_row) * 240.0)
        draw_hand(hands, angles, at=at)
        hands.text(at[0] - 70, at[1] + 105, letter, ha="center", va="center", bbox=box)
    if mean_poses:
        rows = -(-len(mean_poses) // per_row)
        hands.set(xlim=(-105, per_row * 210 - 105), ylim=(-(rows - 1) * 240 - 95, 150), aspect="equal")
        hands.set_title("Mean pose of the marked communities")
        hands.set_axis_off()
    return figure
