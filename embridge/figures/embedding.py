"""Figures of embedding spaces: scatter plots by class, cosines, communities."""

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from embridge.figures.hand import draw_hand
from embridge.figures.names import pretty
from embridge.figures.style import PALE, class_colours, legend_below, new_figure


def _scatter(ax, xy: np.ndarray, colours, *, size: float) -> None:
    ax.scatter(xy[:, 0], xy[:, 1], c=colours, s=size, lw=0, alpha=0.75, rasterized=True)
    ax.set(xticks=[], yticks=[])
    ax.set_box_aspect(1)  # each embedding has a scale of its own, and no unit


def tsne_panels(
    panels: dict[str, np.ndarray], labels: np.ndarray, class_names, *, method: str = "t-SNE", seed: int = 0
) -> Figure:
    """The same windows in several embeddings side by side, coloured by class (Figs. 6 and 7).

    Parameters
    ----------
    panels : title to (N, 2) coordinates, in the method's arbitrary unit
    labels : (N,) class numbers, -1 for other gestures (pale)
    class_names : names in class order
    seed : of the order in which points are drawn, so that no class lies on top of all others
    """
    labels = np.asarray(labels)
    palette = class_colours(len(class_names))
    colours = np.array([*palette, PALE], dtype=object if isinstance(palette[0], tuple) else None)
    order = np.random.default_rng(seed).permutation(len(labels))
    width = 7.2 if len(panels) > 1 else 4.2
    figure, axes = new_figure(1, len(panels), width=width, height=width / len(panels) + 0.75)
    for ax, (title, xy) in zip(axes[0], panels.items(), strict=True):
        _scatter(
            ax, np.asarray(xy)[order], list(colours[labels[order]]), size=float(np.clip(6000 / len(labels), 3, 16))
        )
        ax.set(title=title, xlabel=f"{method} axis 1 (a.u.)", ylabel=f"{method} axis 2 (a.u.)")
    names = [pretty(name) for name in class_names]
    handles = [Line2D([], [], ls="", marker="o", ms=5, color=colour) for colour in palette]
    if (labels < 0).any():
        handles.append(Line2D([], [], ls="", marker="o", ms=5, color=PALE))
        names.append("other gestures")
    legend_below(figure, handles, names, n_columns=min(len(names), 4 if width > 5 else 2))
    return figure


def embeddings_contrast(
    pose_xy: np.ndarray, emg_xy: np.ndarray, labels: np.ndarray, class_names, *, method: str = "t-SNE"
) -> Figure:
    """Pose beside EMG embeddings of the same masked-autoencoder training, by class (Fig. 1a); shapes (N, 2), (N,)."""
    panels = {"Pose embeddings (Pose-MAE)": pose_xy, "EMG embeddings (EMG-MAE)": emg_xy}
    return tsne_panels(panels, labels, class_names, method=method)


def cosine_histogram(cosines: dict[str, np.ndarray], *, n_bins: int = 60) -> Figure:
    """How alike embeddings are: the distribution of pairwise cosines, its mean as a dotted line.

    ``cosines`` maps a name to (P,) cosines. Means near 1 warn that every soft target would be uniform (METHOD 2).
    """
    figure, axes = new_figure(height=2.8)
    ax = axes[0, 0]
    low = min(float(np.min(v)) for v in cosines.values())  # the axis starts where the data do
    bins = np.linspace(max(-1.0, low - 0.02), 1.0, n_bins + 1)
    for colour, (name, values) in zip(class_colours(len(cosines)), cosines.items(), strict=True):
        values = np.clip(values, -1, 1)  # rounding
        weights = np.full(len(values), 100 / len(values))
        label = f"{name}\n(mean {values.mean():.2f})"
        ax.hist(values, bins=bins, weights=weights, histtype="stepfilled", alpha=0.25, color=colour)
        ax.hist(values, bins=bins, weights=weights, histtype="step", color=colour, label=label)
        ax.axvline(values.mean(), color=colour, ls=":")
    ax.set(xlabel="cosine between two embeddings", ylabel="share of pairs (%)")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def communities(
    xy: np.ndarray,
    assignment: np.ndarray,
    mean_poses: dict[int, np.ndarray] | None = None,
    *,
    method: str = "t-SNE",
    seed: int = 0,
) -> Figure:
    """Pose embeddings coloured by community, with the mean pose of some communities drawn as hands.

    Parameters
    ----------
    xy : (N, 2); assignment : (N,) community numbers
    mean_poses : community to (20,) joint angles, rad; drawn as hands and marked by letters in the map. None or
        empty (gloves): the map alone
    seed : of the order of colours, so that neighbours in number differ
    """
    mean_poses = mean_poses or {}
    assignment = np.asarray(assignment)
    names = np.union1d(assignment, np.array(list(mean_poses), dtype=assignment.dtype))
    palette = np.array(sns.color_palette("husl", len(names)))
    palette = palette[np.random.default_rng(seed).permutation(len(names))]
    colour = dict(zip(names.tolist(), palette, strict=True))
    n_columns = 2 if mean_poses else 1
    figure, axes = new_figure(1, n_columns, width=7.2 if mean_poses else 4.2, height=3.9)
    ax = axes[0, 0]
    _scatter(ax, np.asarray(xy), [colour[c] for c in assignment.tolist()], size=9)
    ax.set(
        xlabel=f"{method} axis 1 (a.u.)",
        ylabel=f"{method} axis 2 (a.u.)",
        title="pose communities",
    )
    per_row = int(np.ceil(np.sqrt(len(mean_poses) or 1)))
    for i, (community, angles) in enumerate(mean_poses.items()):
        letter = chr(ord("A") + i)
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": colour[community], "lw": 1.6}
        if (members := assignment == community).any():  # the map may show a sample of the windows
            ax.annotate(letter, np.median(xy[members], axis=0), ha="center", va="center", bbox=box)
        at = (i % per_row * 210.0, -(i // per_row) * 240.0)
        draw_hand(axes[0, 1], angles, at=at)
        axes[0, 1].text(at[0] - 70, at[1] + 105, letter, ha="center", va="center", bbox=box)
    if mean_poses:
        rows = -(-len(mean_poses) // per_row)
        axes[0, 1].set(xlim=(-105, per_row * 210 - 105), ylim=(-(rows - 1) * 240 - 95, 150), aspect="equal")
        axes[0, 1].set_title("Mean pose of the marked communities")
        axes[0, 1].set_axis_off()
    return figure
