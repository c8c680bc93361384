"""Figures of matrices over a batch: similarities, affinities and soft targets."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from scipy.special import entr

from embridge.errors import InputError
from embridge.figures import style
from embridge.figures.hand import draw_hand


def _show(ax, matrix: np.ndarray, norm=None, cmap: str = "magma_r", **options):
    """A matrix as a picture, on its own scale ``norm`` or between its extremes; under the scale is white."""
    norm = norm or Normalize(float(np.min(matrix)), float(np.max(matrix)))
    cmap = colormaps[cmap]
    cmap = cmap.with_extremes(under="white") if isinstance(norm, LogNorm) else cmap
    image = ax.imshow(matrix, norm=norm, cmap=cmap, interpolation="nearest", **options)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=style.GREY, lw=0.6)
    return image


def _norm(*targets: np.ndarray) -> LogNorm:
    """A logarithmic scale of colours for soft targets: what lies under 1 % of the largest is white."""
    top = max(float(np.nanmax(y)) for y in targets)
    if not top > 0:
        raise InputError("soft targets: expected at least one positive entry, found none.")
    return LogNorm(top * 1e-2, top)


def similarity_matrix(similarity: np.ndarray, labels: np.ndarray, class_names, sets=None) -> Figure:
    """EMG against pose of the same windows: means of blocks of gestures, and beside them every pair of windows.

    Own pairs are left out of the means: they say that a window finds its pose, not its gesture.

    similarity : (N, N) cosines; labels : (N,) class numbers, of which ``class_names`` has the names
    sets : the number of each class's set, equal ones side by side; a line parts sets, and the largest mean of a row, in
        bold, is sought within its own. None: all classes are of one
    """
    order = np.argsort(labels, kind="stable")
    matrix, labels = np.asarray(similarity)[np.ix_(order, order)], np.asarray(labels)[order]
    kinds, starts = np.unique(labels, return_index=True)
    own = (labels == kinds[:, None]).astype(float)  # (K, N)
    apart = 1 - np.eye(len(labels))
    means = (own @ (matrix * apart) @ own.T) / np.maximum(own @ apart @ own.T, 1)
    names = [f"{style.pretty(class_names[k])}  {i}" for i, k in enumerate(kinds, 1)]
    of = np.zeros(len(kinds)) if sets is None else np.asarray(sets)[kinds]
    largest = np.where(of[:, None] == of, means, -np.inf).max(axis=1)
    figure, axes = style.new_figure(1, 2, height=3.6, width_ratios=[1.6, 1])
    (blocks, pixels), n = axes[0], len(kinds)
    norm = Normalize(float(means.min()), float(means.max()))
    _show(blocks, means, norm, "viridis")
    for (i, j), value in np.ndenumerate(means if n <= 8 else means[:0]):  # more would not fit
        colour, weight = "black" if norm(value) > 0.6 else "white", "bold" if value == largest[i] else "normal"
        text = f"{value:.2f}" if n <= 5 else f"{value:.2f}".replace("0.", ".")
        blocks.text(j, i, text, ha="center", va="center", color=colour, fontweight=weight)
    for edge in np.flatnonzero(np.diff(of)) + 0.5:
        blocks.axhline(edge, color="black", lw=1.5)
        blocks.axvline(edge, color="black", lw=1.5)
    blocks.set_yticks(range(n), names)
    blocks.set_xticks(range(n), range(1, n + 1))
    blocks.set(title="mean of a block", xlabel="pose of gesture", ylabel="EMG of gesture")
    image = _show(pixels, matrix, None, "viridis")
    for edge in starts[1:] - 0.5:
        pixels.axhline(edge, color="white", lw=0.8)
        pixels.axvline(edge, color="white", lw=0.8)
    pixels.set(title="every pair of windows", xlabel="pose, by gesture", ylabel="EMG, in the same order")
    blocks.tick_params(length=0)
    figure.colorbar(image, ax=pixels, label="cosine, of every pair", location="bottom", shrink=0.9)
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


def attention_maps(maps: dict[str, np.ndarray], seconds: float, used: dict[str, np.ndarray] | None = None) -> Figure:
    """What queries read of EMG: a panel a title, ``maps`` to (M, 1 + L) weights, of which the first is [CLS]'s.

    Brown is read more than an even share, 1 / (1 + L), purple less.

    ``used``: the titles to (M,) shares of windows whose pose each query was nearest to; those above an even share,
    1 / M, are written beside their rows.
    """
    figure, axes = style.grid(len(maps), 2, row=2.4, margin=0.5)
    shares = {title: np.asarray(weights) * weights.shape[1] for title, weights in maps.items()}
    furthest = max(float(np.abs(np.log2(np.maximum(s, 1 / 8))).max()) for s in shares.values())
    steps = int(np.clip(np.ceil(furthest), 1, 3))  # doublings either way: the scale is as wide as the maps need
    norm = LogNorm(0.5**steps, 2.0**steps)
    for ax, (title, weights) in zip(axes, shares.items(), strict=True):
        n_queries, n_tokens = len(weights), weights.shape[1] - 1
        image = ax.imshow(weights, cmap="PuOr_r", norm=norm, aspect="auto", interpolation="nearest")
        at = np.array([0.5, 1]) * n_tokens
        ax.set_xticks([0, *(0.5 + at)], ["[CLS]", *(f"{t:g}" for t in at / n_tokens * seconds)])
        ax.axvline(0.5, color="black", lw=1)
        ax.set_yticks(sorted({0, n_queries // 2 - 1, n_queries - 1}), sorted({1, n_queries // 2, n_queries}))
        ax.set(title=title, xlabel="EMG token, by its time (s)", ylabel="query")
        for query, share in enumerate((used or {}).get(title, ())):
            if share > 1 / n_queries:
                ax.text(n_tokens + 0.8, query, f"◂ {share:.0%}", va="center")
    bar = figure.colorbar(image, ax=list(axes), shrink=0.7, location="bottom", aspect=40, extend="both")
    ticks = dict(zip(2.0 ** np.arange(-3, 4), ("⅛", "¼", "½", "1", "2", "4", "8"), strict=True))
    ticks = {tick: label for tick, label in ticks.items() if norm.vmin <= tick <= norm.vmax}
    bar.set_ticks([*ticks], labels=[*ticks.values()])
    bar.minorticks_off()
    bar.set_label("attention, in even shares")
    return figure


def soft_targets_heatmap(targets: np.ndarray, labels: np.ndarray, class_names, hands: dict[int, np.ndarray]) -> Figure:
    """Soft targets of one batch (Fig. 2b): row i is the distribution over the other poses that pose i is told to match.

    On the right, the share of a gesture's weight that stays within it.

    targets : (B, B), rows sum to 1, diagonal 0 (it is left out: dotted line), sorted by label
    labels : (B,) class numbers; class_names : of these
    hands : class number to (20,) joint angles, rad, drawn on both margins; empty (gloves): names alone
    """
    figure, axes = style.new_figure(height=6.0)
    ax, n = axes[0, 0], len(labels)
    image = _show(ax, targets, _norm(targets), extent=(0, n, -n, 0))
    ax.plot([0, n], [0, -n], color=style.GREY, lw=0.6, ls=":")
    kinds, starts = np.unique(labels, return_index=True)
    bounds, size = [*starts, n], n / len(kinds)  # a hand is as high as a block
    for k, start, stop in zip(kinds, bounds[:-1], bounds[1:], strict=True):
        middle = (start + stop) / 2
        if start:
            ax.plot([0, n], [-start, -start], [start, start], [-n, 0], color=style.GREY, lw=0.6)
        if k in hands:
            draw_hand(ax, hands[k], at=(-0.6 * size, -middle), scale=size / 235, colours=[style.MODALITY["pose"]] * 5)
            draw_hand(ax, hands[k], at=(middle, 0.55 * size), scale=size / 235, colours=[style.MODALITY["pose"]] * 5)
        at = -1.25 * size if hands else -0.1 * size
        ax.text(at, -middle, style.wrapped(class_names[k], 13), ha="right", va="center", linespacing=1.0)
        ax.text(n + 0.15 * size, -middle, f"{targets[start:stop, start:stop].sum() / (stop - start):.0%}", va="center")
    ax.text(n + 0.15 * size, 0.2 * size, "within", va="bottom")
    ax.set(xlim=(-3.4 * size, n + 1.1 * size), ylim=(-n - 0.1, 1.15 * size if hands else 0.7 * size))
    ax.set(xlabel="pose j in the batch, in the same order", ylabel="pose i in the batch")
    ax.spines[:].set_visible(False)
    figure.colorbar(image, ax=ax, label="soft target ỹ$_{ij}$ (probability)", shrink=0.6, extend="min")
    return figure


def soft_targets_grid(targets: dict[tuple, np.ndarray]) -> Figure:
    """Soft targets of one batch for several k_c (rows) and tau_s (columns) on one colour scale, with their perplexity.

    Fig. 9's counterpart. The perplexity says over how many poses a target is spread.

    ``targets`` maps (k_c, tau_s) to (B, B), for every pair of the two; k_c may be a word such as "all". The order of
    rows and columns is that of the keys.
    """
    rows, columns = (list(dict.fromkeys(key[i] for key in targets)) for i in (0, 1))
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
        image = _show(ax, matrix, norm, "magma_r" if norm else "viridis")
        ax.set(title=title, xlabel=f"{across} (n = {matrix.shape[1]})", ylabel=f"pose i (n = {matrix.shape[0]})")
        ax.set_aspect("auto")
        ax.set_box_aspect(1)
        figure.colorbar(image, ax=ax, label=label, shrink=0.85, extend="min" if norm else "neither")
    ends = [-0.5, len(similarity) - 0.5]
    for ax in axes[1]:  # a thin line through the entries that are left out
        ax.plot(ends, ends, color=style.GREY, lw=0.6, ls=":")
    return figure
