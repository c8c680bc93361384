"""Figures of training: curves and reconstructions."""

import itertools
from copy import copy

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from embridge.errors import InputError
from embridge.figures import style


def _curve(ax, series: pd.Series, colour, label: str) -> None:
    """One curve; markers where it has so few points that a line alone might not show."""
    series = series.dropna()
    ax.plot(series.index, series.to_numpy(), color=colour, label=label, marker="o" if len(series) < 10 else None, ms=4)


def _epochs(ax) -> None:
    """An axis of whole epochs, also where there is only one."""
    low, high = ax.dataLim.intervalx
    ax.set(xlabel="epoch", xlim=(low - 0.5, high + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def masked_error_curves(logs: dict[str, pd.DataFrame], errors: dict[str, dict[str, float]]) -> Figure:
    """The masked error of each autoencoder over epochs, and its error on new users beside guesses without a network.

    A diamond above the curve: it is worse on new users. A curve that stays above a grey line learned less than a guess.

    logs : name of a run to its log, with the columns "epoch" and "loss"
    errors : the same name to errors on new users by who guesses: the run itself first, then lines to draw
    """
    figure, panels = style.panels(logs, height=3.2, sharey=True)
    for name, ax in panels.items():
        log, colour = logs[name], style.modality_colour(name)
        _curve(ax, log.set_index("epoch")["loss"], colour, "training windows")
        own, *guesses = errors[name].items()
        ax.plot(log["epoch"].max(), own[1], marker="D", ms=7, color=colour, mec="white", ls="none", label="new users")
        for dashes, (guess, value) in zip(("--", ":", "-."), guesses, strict=False):
            ax.axhline(value, color=style.GREY, ls=dashes, lw=1.4, label=guess)
        ax.set_yscale("log")  # most of a course lies in its last tenth
        _epochs(ax)
    low, high = figure.axes[0].get_ylim()
    ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if low <= t <= high]
    figure.axes[0].set_yticks(ticks, [f"{t:g}" for t in ticks])
    figure.axes[0].yaxis.set_minor_locator(NullLocator())
    figure.axes[0].set_ylabel("error on hidden patches\n(variance = 1, log scale)")
    # colours differ between the panels: the legend has none
    keys = {line.get_label(): copy(line) for line in figure.axes[0].get_lines()}
    for key in keys.values():
        key.set_color(style.GREY)
    style.legend_below(figure, keys)
    return figure


def alignment_curves(
    logs: dict[str, pd.DataFrame],
    columns: dict[str, str],
    *,
    lines: dict[str, dict[str, float]] | None = None,
    unseen: dict[str, dict[str, float]] | None = None,
) -> Figure:
    """The course of alignment, a panel a part of the loss, beside what says how good a value is.

    Raises InputError for a column that no log has.

    logs : system to its log, with "epoch" and any of the columns; a system without a column has no curve there
    columns : column to the label of its axis, e.g. {"info_nce": "InfoNCE (nat)"}
    lines : column to values to hold the curves against, by name, e.g. {"info_nce": {"guessing": 5.5}}
    unseen : column to each system's value on windows that no training has seen
    """
    lines, unseen = lines or {}, unseen or {}
    figure, axes = style.grid(len(columns), 3, row=2.5, margin=0.4)
    colours, drawn = style.system_colours(logs), {}
    diamond = {"ls": "", "marker": "D", "ms": 6, "mec": "white", "zorder": 3}
    for ax, (column, label) in zip(axes, columns.items(), strict=True):
        having = {name: log for name, log in logs.items() if column in log and log[column].notna().any()}
        if not having:
            found = sorted(set().union(*logs.values()))
            raise InputError(f"alignment_curves: no log has the column {column!r}; found {found}.")
        for k, (name, log) in enumerate(having.items(), 1 - len(having)):
            _curve(ax, log.set_index("epoch")[column], colours[name], name)
            if name in unseen.get(column, {}):  # side by side, for they may be equal
                at = log["epoch"].max() + 0.05 * k * np.ptp(log["epoch"])
                ax.plot(at, unseen[column][name], color=colours[name], **diamond, clip_on=False)
        drawn |= {line.get_label(): line for line in ax.get_lines() if line.get_label() in having}
        ax.set_ylabel(label)
        _epochs(ax)
        ax.margins(y=0.15)
        ends = np.array([line.get_ydata()[-1] for line in ax.get_lines()])
        known = lines.get(column, {})
        for name, value in known.items():
            ax.axhline(value, **style.DASHED)
            # a name stands below its line where another line, or most curves' ends, are above
            low = value < max(known.values()) or (ends > value).mean() > 0.5
            ax.annotate(name, (1, value), (0, -3 if low else 2), xycoords=ax.get_yaxis_transform(),
                        textcoords="offset points", ha="right", va="top" if low else "bottom")  # fmt: skip
    entries = {name: drawn[name] for name in logs if name in drawn}
    if unseen:
        entries["unseen windows"] = style.handle(**diamond | {"color": style.GREY})
    style.legend_below(figure, entries)
    return figure


def reconstructions(
    target: np.ndarray, prediction: np.ndarray, mask: np.ndarray, *, sample_rate: float, names, unit: str, colour: str
) -> Figure:
    """What a masked autoencoder saw of a window, what was hidden, what it filled in, and what a ruler would.

    target, prediction : (n, T), the channels or joints to draw; the prediction is drawn in masked patches only, as
        only there it is trained
    mask : (L,) bool, True where a patch was hidden; L divides T
    names : n labels; unit : of both signals; colour : of what the network sees and says
    """
    n, length = target.shape
    hidden = np.repeat(np.asarray(mask, dtype=bool), length // len(mask))
    steps = np.arange(length)
    time = (steps + 0.5) / sample_rate
    look = {
        "seen": {"color": colour, "lw": 1.2},
        "hidden": {"color": style.GREY, "lw": 1.0},
        "filled in": {"color": colour, "lw": 2.6, "solid_capstyle": "butt"},
        "straight line": {"color": style.GREY, "lw": 1.2, "ls": ":"},
    }
    masked = {"color": style.PALE, "alpha": 0.6}
    figure, axes = style.new_figure(n, 1, height=0.9 + 1.05 * n, sharex=True)
    for ax, truth, guess, name in zip(axes[:, 0], target, prediction, names, strict=True):
        style.shade(ax, hidden, sample_rate, **masked)
        ruler = np.interp(steps, steps[~hidden], truth[~hidden])
        for kind, values in {"hidden": truth, "straight line": ruler, "filled in": guess}.items():
            ax.plot(time, np.where(hidden, values, np.nan), **look[kind])
        ax.plot(time, np.where(hidden, np.nan, truth), **look["seen"])
        ax.set_title(style.joint_label(name), loc="left", pad=2, fontsize=style.SMALL)
        ax.locator_params(axis="y", nbins=3)
    axes[-1, 0].set(xlabel="time (s)", xlim=(0, length / sample_rate))
    figure.supylabel(unit, fontsize=style.SMALL)
    entries = {name: style.handle(**given) for name, given in look.items()}
    style.legend_below(figure, entries | {"hidden patch": Patch(**masked)}, n_columns=5)
    return figure


def divergence(logs: dict[str, pd.DataFrame], scores: pd.DataFrame) -> Figure:
    """The loss of runs of which one may diverge (C: both encoders trained), beside their scores at the end.

    Where a loss is not finite its curve ends in a cross.

    logs : run to its log with "epoch" and "loss"
    scores : columns system (a key of logs), protocol, classes, value, low, high: balanced accuracies, one each; none,
        and there is no panel of them
    """
    cells = list(itertools.product(style.in_order(scores["protocol"]), style.in_order(scores["classes"])))
    figure, axes = style.new_figure(1, 2 if cells else 1, height=3.1, width_ratios=[1.3, 1][: 2 if cells else 1])
    colours, (left, right) = style.system_colours(logs), (axes[0, 0], axes[0, -1])
    for name, log in logs.items():
        losses = log.set_index("epoch")["loss"]
        finite = losses[np.isfinite(losses)]
        _curve(left, finite, colours[name], name)
        if 0 < len(finite) < len(losses):
            left.plot(finite.index[-1], finite.iloc[-1], color=colours[name], marker="x", ms=9, mew=2, ls="")
    left.set(ylabel="training loss")
    left.margins(y=0.15)  # room for the cross
    _epochs(left)
    left.set_xlim(-0.5, max(log["epoch"].max() for log in logs.values()) + 0.5)
    keys = zip(style.MARKERS, colours.items(), strict=False)
    entries = {name: style.handle(color=colour, marker=marker) for marker, (name, colour) in keys}
    for k, name in enumerate(colours if cells else ()):
        for row in scores[scores["system"] == name].itertuples():
            y = cells.index((row.protocol, row.classes)) + 0.24 * (k - (len(colours) - 1) / 2)
            right.plot([row.low, row.high], [y, y], color=colours[name], lw=1.4)
            right.plot(row.value, y, marker=style.MARKERS[k], ms=6, color=colours[name], ls="")
    if cells:
        right.axvline(style.CHANCE, **style.DASHED)
        right.set(xlabel="balanced accuracy at the end")
        style.name_lines(right, [f"{style.NAMES[p]},\n{style.NAMES[c].removesuffix(' gestures')}" for p, c in cells])
        entries[style.CHANCE_NAME] = style.handle(**style.DASHED)
    style.legend_below(figure, entries, n_columns=2)
    return figure
