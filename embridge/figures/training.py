"""Figures of training: curves and reconstructions."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from embridge.errors import InputError
from embridge.figures.names import CLASS_SET_NAMES, PROTOCOL_NAMES, joint_label
from embridge.figures.style import (
    GREY,
    OKABE_ITO,
    PALE,
    SMALL,
    class_colours,
    legend_below,
    new_figure,
    spans,
    system_colours,
)

_CLASS_LINES = {"in": "-", "unseen": "--"}


def _by_epoch(log: pd.DataFrame, column: str) -> pd.Series:
    """Mean of a column in each epoch: a log may hold a row a step or a row an epoch."""
    return log.groupby("epoch")[column].mean().dropna()


def _curve(ax, series: pd.Series, colour, label: str) -> None:
    """One curve; markers where it has so few points that a line alone might not show."""
    ax.plot(series.index, series.to_numpy(), color=colour, label=label, marker="o" if len(series) < 6 else None, ms=4)


def _epochs(ax) -> None:
    """An axis of whole epochs, also where there is only one."""
    low, high = ax.dataLim.intervalx
    ax.set(xlabel="epoch", xlim=(low - 0.5, high + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def masked_error_curves(logs: dict[str, pd.DataFrame], errors: dict[str, dict[str, float]]) -> Figure:
    """The masked error of each autoencoder over epochs, and its error on new users beside guesses without a network.

    Parameters
    ----------
    logs : name of a run to its log, with the columns "epoch" and "loss"
    errors : the same name to errors on new users by who guesses: the run itself first, then lines to draw
    """
    figure, axes = new_figure(1, len(logs), height=3.2, sharey=True)
    styles = ("--", ":", "-.")
    for ax, colour, (name, log) in zip(axes[0], class_colours(len(logs)), logs.items(), strict=True):
        _curve(ax, _by_epoch(log, "loss"), colour, "training windows")
        own, *guesses = errors[name].items()
        ax.plot(log["epoch"].max(), own[1], marker="D", ms=7, color=colour, mec="white", ls="none", label="new users")
        for style, (guess, value) in zip(styles, guesses, strict=False):
            ax.axhline(value, color=GREY, ls=style, lw=1.4, label=guess)
        ax.set(title=name, ylim=(0, None))
        _epochs(ax)
    axes[0, 0].set_ylabel("error on hidden patches (variance = 1)")
    # colours differ between the panels, so the legend's are the first one's
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(figure, handles, labels)
    return figure


def alignment_curves(logs: dict[str, pd.DataFrame], columns: dict[str, str]) -> Figure:
    """What happens in alignment, a panel a quantity (parts of the loss, temperature, learning rate).

    Parameters
    ----------
    logs : system to its log, with "epoch" and any of the columns; a system without a column has no curve there
    columns : column to the label of its axis, e.g. {"info_nce": "InfoNCE (nat)", "tau": "temperature τ"}

    Raises
    ------
    InputError : a column that no log has
    """
    n_columns = min(2, len(columns))
    n_rows = -(-len(columns) // n_columns)
    figure, axes = new_figure(n_rows, n_columns, height=0.5 + 2.1 * n_rows)
    colours = system_colours(logs)
    for ax in axes.flat[len(columns) :]:
        ax.set_axis_off()
    for ax, (column, label) in zip(axes.flat, columns.items(), strict=False):
        having = {name: log for name, log in logs.items() if column in log and log[column].notna().any()}
        if not having:
            raise InputError(
                f"alignment_curves: no log has the column {column!r}; found {sorted(set().union(*logs.values()))}."
            )
        for name, log in having.items():
            _curve(ax, _by_epoch(log, column), colours[name], name)
        ax.set_ylabel(label)
        _epochs(ax)
    handles = {h.get_label(): h for ax in axes.flat for h in ax.get_lines()}
    legend_below(figure, [handles[n] for n in logs if n in handles], [n for n in logs if n in handles])
    return figure


def reconstructions(
    target: np.ndarray,
    prediction: np.ndarray,
    mask: np.ndarray,
    *,
    sample_rate: float,
    names,
    unit: str = "SD",
) -> Figure:
    """What a masked autoencoder saw and what it filled in: the input in grey, masked patches shaded, the guess there.

    Parameters
    ----------
    target, prediction : (n, T), the channels or joints to draw; the prediction is drawn in masked patches only, as
        only there it is trained
    mask : (L,) bool, True where a patch was hidden; L divides T
    names : n labels; unit : of both signals
    """
    n, length = target.shape
    hidden = np.repeat(np.asarray(mask, dtype=bool), length // len(mask))
    time = np.arange(length) / sample_rate
    guess = np.where(hidden, prediction, np.nan)
    figure, axes = new_figure(n, 1, height=0.9 + 0.85 * n, sharex=True)
    for ax, shown, filled, name in zip(axes[:, 0], target, guess, names, strict=True):
        for start, stop in spans(hidden):
            ax.axvspan(start / sample_rate, stop / sample_rate, color=PALE, alpha=0.6, lw=0, zorder=0)
        ax.plot(time, shown, color=GREY, lw=1.0)
        ax.plot(time, filled, color=OKABE_ITO[4], lw=1.4)
        ax.set_title(joint_label(name), loc="left", pad=2, fontsize=SMALL)
        ax.locator_params(axis="y", nbins=3)
    axes[-1, 0].set(xlabel="time (s)", xlim=(0, length / sample_rate))
    figure.supylabel(f"signal ({unit})", fontsize=SMALL)
    lines = axes[0, 0].get_lines()
    legend_below(
        figure, [lines[0], lines[1], Patch(color=PALE, alpha=0.6)], ["input", "reconstruction", "masked patch"]
    )
    return figure


def query_usage(usage: dict[str, np.ndarray]) -> Figure:
    """How often each query is the one nearest to the paired pose: ``usage`` maps a system to (M,) shares.

    The dashed line is an even share, 1 / M.
    """
    figure, axes = new_figure(len(usage), 1, height=0.5 + 1.35 * len(usage), sharex=True)
    colours = system_colours(usage)
    for ax, (system, shares) in zip(axes[:, 0], usage.items(), strict=True):
        ax.bar(np.arange(1, len(shares) + 1), 100 * np.asarray(shares), color=colours[system])
        ax.axhline(100 / len(shares), color=GREY, ls="--", lw=1)
        ax.set_title(system, loc="left")
    longest = max(len(shares) for shares in usage.values())
    axes[-1, 0].set(xlabel="query", xlim=(0.4, longest + 0.6), xticks=range(1, longest + 1, 1 if longest <= 20 else 4))
    figure.supylabel("share of windows (%)", fontsize=SMALL)
    return figure


def divergence(
    logs: dict[str, pd.DataFrame],
    scores: pd.DataFrame,
    *,
    column: str = "loss",
    label: str = "training loss",
    log: bool = False,
) -> Figure:
    """Loss above scores over epochs for runs of which one may diverge (C: both encoders trained).

    Parameters
    ----------
    logs : run to its log with "epoch" and ``column``; where a loss is not finite its curve ends in a cross
    scores : columns system (a key of logs), epoch, protocol, classes, value: balanced accuracies measured on the way;
        a panel a protocol, solid in distribution, dashed and hollow on unseen gestures
    log : the loss on a logarithmic scale
    """
    protocols = [p for p in PROTOCOL_NAMES if (scores["protocol"] == p).any()]
    figure, axes = new_figure(1 + len(protocols), 1, height=0.8 + 1.75 * (1 + len(protocols)), sharex=True)
    colours = system_colours(logs)
    top, *below = axes[:, 0]
    for name, frame in logs.items():
        losses = frame.groupby("epoch")[column].mean()
        finite = losses[np.isfinite(losses)]
        _curve(top, finite, colours[name], name)
        if len(finite) < len(losses) and len(finite):
            top.plot(finite.index[-1], finite.iloc[-1], color=colours[name], marker="x", ms=9, mew=2, ls="")
    top.set(ylabel=label, yscale="log" if log else "linear")
    top.margins(y=0.15)  # room for the cross
    for ax, protocol in zip(below, protocols, strict=True):
        for (system, classes), part in scores[scores["protocol"] == protocol].groupby(
            ["system", "classes"], sort=False
        ):
            part = part.sort_values("epoch")
            style = {"marker": "o", "ms": 5, "ls": _CLASS_LINES[classes]} | (
                {"mfc": "white"} if classes != "in" else {}
            )
            ax.plot(part["epoch"], part["value"], color=colours[system], **style)
        ax.axhline(0.25, color=GREY, ls=":", lw=1)
        ax.set_ylabel(f"{PROTOCOL_NAMES[protocol]}\nbalanced accuracy")
    _epochs(axes[-1, 0])
    last = max(frame["epoch"].max() for frame in logs.values())
    top.set_xlim(-0.5, last + 0.5)  # shared; a score need not have been measured in the last epoch
    handles = [Line2D([], [], color=colours[name]) for name in logs]
    fills = zip(CLASS_SET_NAMES, (GREY, "white"), strict=True)
    handles += [Line2D([], [], color=GREY, ls=_CLASS_LINES[c], marker="o", ms=5, mfc=fill) for c, fill in fills]
    handles.append(Line2D([], [], color=GREY, ls=":", lw=1))
    legend_below(figure, handles, [*logs, *CLASS_SET_NAMES.values(), "chance (0.25)"], n_columns=3)
    return figure
