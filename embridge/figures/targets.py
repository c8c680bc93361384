"""Figures of matrices over a batch: similarities, affinities and soft targets."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from scipy.special import entr

from embridge.errors import InputError
from embridge.figures.names import pretty
from embridge.figures.style import GREY, SMALL, new_figure

_FLOOR = 1e-2  # of the largest value: what a logarithmic scale still tells apart


def _norm(values, log: bool) -> Normalize:
    """A colour scale for soft targets; on the logarithmic one everything under 1 % of the peak is white."""
    top = max(float(np.nanmax(v)) for v in values)
    if not top > 0:
        raise InputError("soft targets: expected at least one positive entry, found none.")
    return LogNorm(top * _FLOOR, top) if log else Normalize(0, top)


def _show(ax, matrix: np.ndarray, norm, *, cmap="magma_r"):
    image = ax.imshow(matrix, norm=norm, cmap=colormaps[cmap].with_extremes(under="white"), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=GREY, lw=0.6)
    return image


def _mark_diagonal(ax, n: int) -> None:
    """A thin line through the entries that are left out."""
    ax.plot([-0.5, n - 0.5], [-0.5, n - 0.5], color=GREY, lw=0.6, ls=":")


def _mark_classes(ax, labels: np.ndarray, class_names, *, names: bool = True) -> None:
    """Lines between the blocks of sorted labels, and the class names beside them."""
    edges = np.flatnonzero(np.diff(labels)) + 0.5
    for edge in edges:
        ax.axhline(edge, color=GREY, lw=0.6)
        ax.axvline(edge, color=GREY, lw=0.6)
    if names:
        bounds = np.concatenate([[-0.5], edges, [len(labels) - 0.5]])
        middles = (bounds[:-1] + bounds[1:]) / 2
        shown = [pretty(class_names[k]) if k >= 0 else "other" for k in labels[np.ceil(bounds[:-1]).astype(int)]]
        line, last = len(labels) / 24, -np.inf  # about 24 lines of type fit beside the matrix
        for i, middle in enumerate(middles):
            if middle - last < line:
                shown[i] = ""  # a block too thin for a name of its own
            else:
                last = middle
        ax.set_yticks(middles, shown)
        ax.tick_params(length=0)


def _sorted(matrix: np.ndarray, labels) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(labels, kind="stable")
    return np.asarray(matrix)[np.ix_(order, order)], np.asarray(labels)[order]


def similarity_matrix(
    similarity: np.ndarray, labels: np.ndarray, class_names, *, title: str = "", label: str = "cosine"
) -> Figure:
    """EMG against pose of the same windows, (N, N), sorted by class (N,): alignment shows as blocks and a diagonal."""
    matrix, labels = _sorted(similarity, labels)
    figure, axes = new_figure(width=6.2, height=4.4, layout="compressed")
    ax = axes[0, 0]
    image = _show(ax, matrix, Normalize(float(matrix.min()), float(matrix.max())), cmap="viridis")
    _mark_classes(ax, labels, class_names)
    ax.set(xlabel="pose window, in the same order", ylabel="EMG window, by gesture", title=title)
    figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    return figure


def soft_targets_heatmap(
    targets: np.ndarray, labels: np.ndarray | None = None, class_names=None, *, log: bool = True, title: str = ""
) -> Figure:
    """Soft targets of one batch (Fig. 2b): row i is the distribution over the other poses that pose i is told to match.

    Parameters
    ----------
    targets : (B, B), rows sum to 1, diagonal 0 (it is left out: dotted line)
    labels : (B,) classes or communities to sort by; class_names : their names, or None (blocks without names)
    log : colours on a logarithmic scale; white: under 1 % of the largest
    """
    matrix = np.asarray(targets)
    figure, axes = new_figure(width=6.2, height=4.4, layout="compressed")
    ax = axes[0, 0]
    if labels is not None:
        matrix, labels = _sorted(matrix, labels)
    image = _show(ax, matrix, _norm([matrix], log))
    _mark_diagonal(ax, len(matrix))
    if labels is not None:
        _mark_classes(ax, labels, class_names, names=class_names is not None)
    ax.set(xlabel="pose j in the batch", ylabel="pose i in the batch", title=title)
    figure.colorbar(
        image, ax=ax, label="soft target ỹ$_{ij}$ (probability)", shrink=0.8, extend="min" if log else "neither"
    )
    return figure


def soft_targets_grid(targets: dict[tuple, np.ndarray], *, log: bool = True) -> Figure:
    """Soft targets of one batch for several k_c (rows) and tau_s (columns) on one colour scale, with their perplexity.

    Fig. 9's counterpart. ``targets`` maps (k_c, tau_s) to (B, B); k_c may be a word such as "all". The order of rows
    and columns is that of the keys; a combination that is missing leaves its place empty.
    """
    rows, columns = (list(dict.fromkeys(key[i] for key in targets)) for i in (0, 1))
    size = 6.2 / len(columns)
    figure, axes = new_figure(len(rows), len(columns), height=size * len(rows) + 0.3, layout="compressed")
    norm = _norm(targets.values(), log)
    for i, k_c in enumerate(rows):
        for j, tau_s in enumerate(columns):
            ax = axes[i, j]
            if (k_c, tau_s) not in targets:
                ax.set_axis_off()
                continue
            image = _show(ax, targets[k_c, tau_s], norm)
            spread = np.exp(entr(np.asarray(targets[k_c, tau_s])).sum(1)).mean()
            ax.text(0.03, 0.03, f"perplexity {spread:.1f}", transform=ax.transAxes, fontsize=SMALL,
                    bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.5})  # fmt: skip
            if i == 0:
                ax.set_title(f"$τ_s$ = {tau_s:g}")
            if j == 0:
                ax.set_ylabel(f"$k_c$ = {k_c}")
    figure.supxlabel("pose j in the batch", fontsize=SMALL)
    figure.supylabel("pose i in the batch", fontsize=SMALL)
    figure.colorbar(image, ax=axes, label="soft target (probability)", shrink=0.8, extend="min" if log else "neither")
    return figure


def affinity_pipeline(
    affinity: np.ndarray, sparse: np.ndarray, similarity: np.ndarray, targets: np.ndarray, *, log: bool = True
) -> Figure:
    """The four steps from pose embeddings to soft targets (eq. 3 and 4), in the order in which they are computed.

    Parameters
    ----------
    affinity, sparse : (B, N_c) pose-community affinities S_pc before and after keeping the top k_c of a row
    similarity : (B, B) S_pp = S_pc S_pc^T; targets : (B, B)
    """
    figure, axes = new_figure(2, 2, height=5.8)
    steps = [
        (affinity, "1  pose–community affinity", "community", "$S_{pc}$ (cosine)"),
        (sparse, "2  the nearest communities kept", "community", "$S_{pc}$ (cosine)"),
        (similarity, "3  pose–pose similarity", "pose j", "$S_{pp}$"),
        (targets, "4  soft targets", "pose j", "ỹ (probability)"),
    ]
    for ax, (matrix, title, across, label) in zip(axes.flat, steps, strict=True):
        last = matrix is targets
        norm = _norm([matrix], log) if last else Normalize(float(np.min(matrix)), float(np.max(matrix)))
        image = _show(ax, matrix, norm, cmap="magma_r" if last else "viridis")
        ax.set(title=title, xlabel=f"{across} (n = {matrix.shape[1]})", ylabel=f"pose i (n = {matrix.shape[0]})")
        ax.set_aspect("auto")
        ax.set_box_aspect(1)
        figure.colorbar(image, ax=ax, label=label, shrink=0.85, extend="min" if last and log else "neither")
    for ax in axes[1]:
        _mark_diagonal(ax, len(similarity))
    return figure
