"""Figures of matrices over a batch: similarities, affinities and soft targets."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from scipy.special import entr

from embridge.errors import InputError
from embridge.figures import style


def _show(ax, matrix: np.ndarray, norm=None):
    """A matrix as a picture; soft targets on their own scale ``norm``, anything else between its extremes."""
    cmap = colormaps["viridis" if norm is None else "magma_r"].with_extremes(under="white")
    norm = norm or Normalize(float(np.min(matrix)), float(np.max(matrix)))
    image = ax.imshow(matrix, norm=norm, cmap=cmap, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=style.GREY, lw=0.6)
    return image


def _norm(*targets: np.ndarray) -> LogNorm:
    """A logarithmic scale of colours for soft targets: what lies under 1 % of the largest is white."""
    top = max(float(np.nanmax(y)) for y in targets)
    if not top > 0:
        raise InputError("soft targets: expected at least one positive entry, found none.")
    return LogNorm(top * 1e-2, top)


def _mark_diagonal(ax, n: int) -> None:
    """A thin line through the entries that are left out."""
    ax.plot([-0.5, n - 0.5], [-0.5, n - 0.5], color=style.GREY, lw=0.6, ls=":")


def _sorted(matrix: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A (N, N) matrix and its labels (N,), rows and columns sorted by label."""
    order = np.argsort(labels, kind="stable")
    return np.asarray(matrix)[np.ix_(order, order)], np.asarray(labels)[order]


def _mark_blocks(ax, labels: np.ndarray) -> np.ndarray:
    """Lines between the blocks of sorted labels; returns where these begin and, last, where all end."""
    edges = np.flatnonzero(np.diff(labels)) + 0.5
    for edge in edges:
        ax.axhline(edge, color=style.GREY, lw=0.6)
        ax.axvline(edge, color=style.GREY, lw=0.6)
    return np.concatenate([[-0.5], edges, [len(labels) - 0.5]])


def similarity_matrix(similarity: np.ndarray, labels: np.ndarray, class_names) -> Figure:
    """EMG against pose of the same windows, (N, N), sorted by class (N,): alignment shows as blocks and a diagonal."""
    figure, axes = style.new_figure(width=6.2, height=4.4, layout="compressed")
    ax = axes[0, 0]
    matrix, labels = _sorted(similarity, labels)
    image = _show(ax, matrix)
    bounds = _mark_blocks(ax, labels)
    middles, names, last = (bounds[:-1] + bounds[1:]) / 2, [], -np.inf
    for k, middle in zip(np.unique(labels), middles, strict=True):
        thin = middle - last < len(labels) / 24  # about 24 lines of type fit beside the matrix
        names.append("" if thin else style.pretty(class_names[k]))
        last = last if thin else middle
    ax.set_yticks(middles, names)
    ax.tick_params(length=0)
    ax.set(xlabel="pose window, in the same order", ylabel="EMG window, by gesture")
    figure.colorbar(image, ax=ax, label="cosine", shrink=0.8)
    return figure


def attention_mask(may_attend: np.ndarray, groups: dict[str, int]) -> Figure:
    """Who may attend to whom, (N, N) bool: ``groups`` maps a name to how many tokens it has, in the matrix' order.

    Read a row: dark are the tokens that this one may look at.
    """
    figure, axes = style.new_figure(width=4.6, height=3.4, layout="compressed")
    ax = axes[0, 0]
    ax.pcolormesh(np.asarray(may_attend)[::-1], cmap="Blues", vmin=-0.1, vmax=1.4, edgecolors="white", lw=0.4)
    ends, total = np.cumsum(list(groups.values())), len(may_attend)
    for edge in ends[:-1]:
        ax.axvline(edge, color="black", lw=1)
        ax.axhline(total - edge, color="black", lw=1)
    middles = ends - np.array(list(groups.values())) / 2
    ax.set_xticks(middles, [name.replace(" ", "\n") for name in groups])
    ax.set_yticks(total - middles, list(groups))
    ax.tick_params(length=0)
    ax.set(xlabel="is looked at", ylabel="looks", aspect="equal")
    return figure


def attention_maps(maps: dict[str, np.ndarray], seconds: float) -> Figure:
    """What queries read of EMG: a panel a title, ``maps`` to (M, 1 + L) weights, of which the first is [CLS]'s.

    Rows that look alike are queries that ask for the same; a bright column is a moment that all of them read.
    """
    figure, axes = style.grid(len(maps), 2, row=2.3, margin=0.2)
    top = max(float(np.max(weights)) for weights in maps.values())
    for ax, (title, weights) in zip(axes, maps.items(), strict=True):
        n_queries, n_tokens = len(weights), weights.shape[1] - 1
        image = ax.imshow(weights, cmap="viridis", norm=Normalize(0, top), aspect="auto", interpolation="nearest")
        at = np.array([0.5, 1]) * n_tokens
        ax.set_xticks([0, *(0.5 + at)], ["[CLS]", *(f"{t:g}" for t in at / n_tokens * seconds)])
        ax.axvline(0.5, color="white", lw=1)
        ax.set_yticks(sorted({0, n_queries // 2 - 1, n_queries - 1}), sorted({1, n_queries // 2, n_queries}))
        ax.set(title=title, xlabel="EMG token, by its time (s)", ylabel="query")
    figure.colorbar(image, ax=list(axes), label="attention (a row sums to 1)", shrink=0.8)
    return figure


def soft_targets_heatmap(targets: np.ndarray, labels: np.ndarray) -> Figure:
    """Soft targets of one batch (Fig. 2b): row i is the distribution over the other poses that pose i is told to match.

    Dark blocks between the lines: poses of one label are told to match one another; dark cells elsewhere: poses of two
    labels that look alike.

    Parameters
    ----------
    targets : (B, B), rows sum to 1, diagonal 0 (it is left out: dotted line)
    labels : (B,) classes or communities to sort by
    """
    figure, axes = style.new_figure(width=6.2, height=4.4, layout="compressed")
    ax = axes[0, 0]
    matrix, labels = _sorted(targets, labels)
    image = _show(ax, matrix, _norm(matrix))
    _mark_diagonal(ax, len(labels))
    _mark_blocks(ax, labels)
    ax.set(xlabel="pose j in the batch", ylabel="pose i in the batch")
    figure.colorbar(image, ax=ax, label="soft target ỹ$_{ij}$ (probability)", shrink=0.8, extend="min")
    return figure


def soft_targets_grid(targets: dict[tuple, np.ndarray]) -> Figure:
    """Soft targets of one batch for several k_c (rows) and tau_s (columns) on one colour scale, with their perplexity.

    Fig. 9's counterpart. The perplexity says over how many poses a target is spread.

    ``targets`` maps (k_c, tau_s) to (B, B), for every pair of the two; k_c may be a word such as "all". The order of
    rows and columns is that of the keys.
    """
    rows, columns = (list(dict.fromkeys(style.key[i] for style.key in targets)) for i in (0, 1))
    size = 6.2 / len(columns)
    figure, axes = style.new_figure(len(rows), len(columns), height=size * len(rows) + 0.3, layout="compressed")
    norm = _norm(*targets.values())
    for (k_c, tau_s), y in targets.items():
        ax = axes[rows.index(k_c), columns.index(tau_s)]
        image = _show(ax, y, norm)
        perplexity = np.exp(entr(np.asarray(y)).sum(1)).mean()
        box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.5}
        ax.text(0.03, 0.03, f"perplexity {perplexity:.1f}", transform=ax.transAxes, fontsize=style.SMALL, bbox=box)
    for ax, tau_s in zip(axes[0], columns, strict=True):
        ax.set_title(f"$τ_s$ = {tau_s:g}")
    for ax, k_c in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(f"$k_c$ = {k_c}")
    figure.supxlabel("pose j in the batch", fontsize=style.SMALL)
    figure.supylabel("pose i in the batch", fontsize=style.SMALL)
    figure.colorbar(image, ax=axes, label="soft target (probability)", shrink=0.8, extend="min")
    return figure


def affinity_pipeline(affinity: np.ndarray, sparse: np.ndarray, similarity: np.ndarray, targets: np.ndarray) -> Figure:
    """The four steps from pose embeddings to soft targets (eq. 3 and 4), in the order in which they are computed.

    Follow one row: its few nearest communities, the poses that share them, and the targets that these become.

    Parameters
    ----------
    affinity, sparse : (B, N_c) pose-community affinities S_pc before and after keeping the top k_c of a row
    similarity : (B, B) S_pp = S_pc S_pc^T; targets : (B, B)
    """
    figure, axes = style.new_figure(2, 2, height=5.8)
    steps = [
        (affinity, "1  pose–community affinity", "community", "$S_{pc}$ (cosine)", None),
        (sparse, "2  the nearest communities kept", "community", "$S_{pc}$ (cosine)", None),
        (similarity, "3  pose–pose similarity", "pose j", "$S_{pp}$", None),
        (targets, "4  soft targets", "pose j", "ỹ (probability)", _norm(targets)),
    ]
    for ax, (matrix, title, across, label, norm) in zip(axes.flat, steps, strict=True):
        image = _show(ax, matrix, norm)
        ax.set(title=title, xlabel=f"{across} (n = {matrix.shape[1]})", ylabel=f"pose i (n = {matrix.shape[0]})")
        ax.set_aspect("auto")
        ax.set_box_aspect(1)
        figure.colorbar(image, ax=ax, label=label, shrink=0.85, extend="min" if norm else "neither")
    for ax in axes[1]:
        _mark_diagonal(ax, len(similarity))
    return figure
