"""Figures of what no paper asks: windows of no known gesture, and every stage as a class."""

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from embridge.figures import style
from embridge.figures.results import ACCURACY, errors, measured


def open_set(curve: pd.DataFrame, point: pd.DataFrame, shares: pd.DataFrame, threshold: float) -> Figure:
    """Balanced accuracy of the windows that are answered, and where known and unknown windows lie on the score.

    A curve that rises to the left: what the system declines first is what it would have got wrong.

    curve : columns coverage, value, low, high; ``point``: the same, of the rule in use
    shares : columns classes, bin (its lower end), value: the share of windows in each bin of the score
    threshold : from which on the rule answers
    """
    curve = measured(curve, ["coverage"], "open_set").sort_values("coverage")
    figure, axes = style.new_figure(1, 2, height=3.6)
    left, right = axes[0]
    colour, kinds = style.system_colours(["EMBridge"])["EMBridge"], style.in_order(shares["classes"])
    left.fill_between(curve["coverage"], curve["low"], curve["high"], color=colour, alpha=0.2, lw=0)
    left.plot(curve["coverage"], curve["value"], color=colour, marker="o", ms=3.5)
    rule = {"color": "black", "marker": "D", "ms": 6, "capsize": 2.5, "ls": ""}
    left.errorbar(point["coverage"], point["value"], yerr=errors(point), **rule)
    left.axhline(style.CHANCE, **style.DASHED)
    left.set(xlabel="coverage: share of known windows answered", ylabel=ACCURACY, xlim=(0, 1.03), ylim=(0, 1))
    lines = {kind: style.SET_COLOURS.get(kind, style.OKABE_ITO[4]) for kind in kinds}
    names = {"in": "known gestures"} | {c: style.NAMES[c] for c in kinds if c != "in"}
    for (kind, line), pattern in zip(lines.items(), ("-", "--", "-."), strict=False):
        part = shares[shares["classes"] == kind].sort_values("bin")
        right.step(part["bin"], 100 * part["value"], where="post", color=line, ls=pattern, label=names[kind])
    right.axvline(threshold, color="black", ls=":", lw=1.2)
    right.set(xlabel="score: how sure of a known gesture", ylabel="share of windows (%)", ylim=(0, None))
    looks = dict(zip(names.values(), right.get_lines(), strict=False))
    rule = {"rule in use, 95 % interval": style.handle(**{k: v for k, v in rule.items() if k != "capsize"})}
    looks |= rule | {"threshold": style.handle(color="black", ls=":", lw=1.2)}
    style.legend_below(figure, looks | {style.CHANCE_NAME: style.handle(**style.DASHED)}, n_columns=3)
    return figure


def stage_confusions(counts: np.ndarray, names, family) -> Figure:
    """Confusions of many stages, in the given order: the share of each row's windows, the darker the more.

    Colours follow the root of a share, for among many stages most shares are small.
    Squares frame families: what is dark off the diagonal but within one is an error between stages that look alike.

    counts : (K, K) windows, row: true, column: answer
    names : K stages
    family : (K,) numbers, equal ones side by side; -1 for stages that are in none, which a line sets apart
    """
    counts, family, k = np.asarray(counts, dtype=float), np.asarray(family), len(names)
    figure, axes = style.new_figure(height=6.9, layout="compressed")
    ax, share = axes[0, 0], 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = ax.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, max(float(share.max()), 1.0)))
    for number in np.unique(family[family >= 0]):
        first, last = np.flatnonzero(family == number)[[0, -1]]
        x, y = np.array([0, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 0])
        ax.plot(first - 0.5 + x * (last - first + 1), first - 0.5 + y * (last - first + 1), color="#D55E00", lw=1.3)
    if (family < 0).any():
        apart = np.flatnonzero(family < 0)[0] - 0.5
        ax.axhline(apart, **style.DASHED)
        ax.axvline(apart, **style.DASHED)
    ax.set_xticks(range(k), [style.pretty(name) for name in names], rotation=90)
    ax.set_yticks(range(k), [style.pretty(name) for name in names])
    ax.tick_params(length=0)
    ax.set(xlabel="answer", ylabel="true stage")
    ax.spines[:].set_visible(False)
    ticks = [tick for tick in (0, 1, 5, 10, 20, 40, 60, 100) if tick <= image.norm.vmax]
    figure.colorbar(image, shrink=0.6, ticks=ticks, label="share of the stage's windows (%), root scale")
    return figure
