"""Figures of training: curves and reconstructions."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from embridge.errors import InputError
from embridge.figures import style


def _by_epoch(log: pd.DataFrame, column: str) -> pd.Series:
    """Mean of a column in each epoch: a log may hold a row a step or a row an epoch."""
    return log.groupby("epoch")[column].mean()


def _curve(ax, series: pd.Series, colour, label: str) -> None:
    """One curve; markers where it has so few points that a line alone might not show."""
    series = series.dropna()
    ax.plot(series.index, series.to_numpy(), color=colour, label=label, marker="o" if len(series) < 6 else None, ms=4)


def _epochs(ax) -> None:
    """An axis of whole epochs, also where there is only one."""
    low, high = ax.dataLim.intervalx
    ax.set(xlabel="epoch", xlim=(low - 0.5, high + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def masked_error_curves(logs: dict[str, pd.DataFrame], errors: dict[str, dict[str, float]]) -> Figure:
    """The masked error of each autoencoder over epochs, and its error on new users beside guesses without a network.

    A diamond above the curve: it is worse on new users. A curve that stays above a grey line learned less than a guess.

    Parameters
    ----------
    logs : name of a run to its log, with the columns "epoch" and "loss"
    errors : the same name to errors on new users by who guesses: the run itself first, then lines to draw
    """
    figure, panels = style.panels(logs, height=3.2, sharey=True)
    for colour, (name, ax) in zip(style.class_colours(len(logs)), panels.items(), strict=True):
        log = logs[name]
        _curve(ax, _by_epoch(log, "loss"), colour, "training windows")
        own, *guesses = errors[name].items()
        ax.plot(log["epoch"].max(), own[1], marker="D", ms=7, color=colour, mec="white", ls="none", label="new users")
        for dashes, (guess, value) in zip(("--", ":", "-."), guesses, strict=False):
            ax.axhline(value, color=style.GREY, ls=dashes, lw=1.4, label=guess)
        ax.set_ylim(0, None)
        _epochs(ax)
    figure.axes[0].set_ylabel("error on hidden patches (variance = 1)")
    # colours differ between the panels, so the legend's are the first one's
    style.legend_below(figure, {line.get_label(): line for line in figure.axes[0].get_lines()})
    return figure


def alignment_curves(logs: dict[str, pd.DataFrame], columns: dict[str, str]) -> Figure:
    """The course of alignment, a panel a quantity (parts of the loss, temperature, learning rate).

    See which parts still fall at the end, and which never did.

    Parameters
    ----------
    logs : system to its log, with "epoch" and any of the columns; a system without a column has no curve there
    columns : column to the label of its axis, e.g. {"info_nce": "InfoNCE (nat)", "tau": "temperature τ"}

    Raises
    ------
    InputError : a column that no log has
    """
    figure, axes = style.grid(len(columns), 2, row=2.1, margin=0.5)
    colours, drawn = style.system_colours(logs), {}
    for ax, (column, label) in zip(axes, columns.items(), strict=True):
        having = {name: log for name, log in logs.items() if column in log and log[column].notna().any()}
        if not having:
            raise InputError(
                f"alignment_curves: no log has the column {column!r}; found {sorted(set().union(*logs.values()))}."
            )
        for name, log in having.items():
            _curve(ax, _by_epoch(log, column), colours[name], name)
        drawn |= {line.get_label(): line for line in ax.get_lines()}
        ax.set_ylabel(label)
        _epochs(ax)
    style.legend_below(figure, {name: drawn[name] for name in logs if name in drawn})
    return figure


def reconstructions(
    target: np.ndarray, prediction: np.ndarray, mask: np.ndarray, *, sample_rate: float, names, unit: str
) -> Figure:
    """A masked autoencoder's input in grey, its masked patches shaded, and what it filled in there.

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
    masked = {"color": style.PALE, "alpha": 0.6}
    figure, axes = style.new_figure(n, 1, height=0.9 + 0.85 * n, sharex=True)
    for ax, shown, filled, name in zip(axes[:, 0], target, guess, names, strict=True):
        style.shade(ax, hidden, sample_rate, **masked)
        given = ax.plot(time, shown, color=style.GREY, lw=1.0)
        made = ax.plot(time, filled, color=style.OKABE_ITO[4], lw=1.4)
        ax.set_title(style.joint_label(name), loc="left", pad=2, fontsize=style.SMALL)
        ax.locator_params(axis="y", nbins=3)
    axes[-1, 0].set(xlabel="time (s)", xlim=(0, length / sample_rate))
    figure.supylabel(f"signal ({unit})", fontsize=style.SMALL)
    style.legend_below(figure, {"input": given[0], "reconstruction": made[0], "masked patch": Patch(**masked)})
    return figure


def query_usage(usage: dict[str, np.ndarray]) -> Figure:
    """The share of windows whose pose each query was the nearest to: ``usage`` maps a system to (M,) shares.

    The dashed line is an even share, 1 / M: where few bars pass it by far, the other queries do no work.
    """
    figure, axes = style.new_figure(len(usage), 1, height=0.5 + 1.35 * len(usage), sharex=True)
    colours = style.system_colours(usage)
    for ax, (system, shares) in zip(axes[:, 0], usage.items(), strict=True):
        ax.bar(np.arange(1, len(shares) + 1), 100 * np.asarray(shares), color=colours[system])
        ax.axhline(100 / len(shares), **style.DASHED)
        ax.set_title(system, loc="left")
    longest = max(len(shares) for shares in usage.values())
    axes[-1, 0].set(xlabel="query", xlim=(0.4, longest + 0.6), xticks=range(1, longest + 1, 1 if longest <= 20 else 4))
    figure.supylabel("share of windows (%)", fontsize=style.SMALL)
    return figure


def divergence(logs: dict[str, pd.DataFrame], scores: pd.DataFrame) -> Figure:
    """Loss above scores over epochs for runs of which one may diverge (C: both encoders trained).

    Where a loss is not finite its curve ends in a cross: see what the scores were by then.

    Parameters
    ----------
    logs : run to its log with "epoch" and "loss"
    scores : columns system (a key of logs), epoch, protocol, classes, value: balanced accuracies measured on the way;
        a panel a protocol, solid in distribution, dashed and hollow on unseen gestures
    """
    protocols = style.in_order(scores["protocol"])
    figure, axes = style.new_figure(1 + len(protocols), 1, height=0.8 + 1.75 * (1 + len(protocols)), sharex=True)
    colours, top = style.system_colours(logs), axes[0, 0]
    for name, log in logs.items():
        losses = _by_epoch(log, "loss")
        finite = losses[np.isfinite(losses)]
        _curve(top, finite, colours[name], name)
        if 0 < len(finite) < len(losses):
            top.plot(finite.index[-1], finite.iloc[-1], color=colours[name], marker="x", ms=9, mew=2, ls="")
    top.set(ylabel="training loss")
    top.margins(y=0.15)  # room for the cross
    styles = {"in": {"marker": "o", "ms": 5, "ls": "-"}, "unseen": {"marker": "o", "ms": 5, "ls": "--", "mfc": "white"}}
    dotted = {"color": style.GREY, "ls": ":", "lw": 1}
    for ax, protocol in zip(axes[1:, 0], protocols, strict=True):
        found = scores[scores["protocol"] == protocol]
        for (system, classes), part in found.groupby(["system", "classes"], sort=False):
            part = part.sort_values("epoch")
            ax.plot(part["epoch"], part["value"], color=colours[system], **styles[classes])
        ax.axhline(style.CHANCE, **dotted)
        ax.set_ylabel(f"{style.NAMES[protocol]}\nbalanced accuracy")
    _epochs(axes[-1, 0])
    last = max(log["epoch"].max() for log in logs.values())
    top.set_xlim(-0.5, last + 0.5)  # shared; a score need not have been measured in the last epoch
    entries = {name: style.handle(color=colours[name]) for name in logs}
    grey = {"color": style.GREY, "mfc": style.GREY}
    entries |= {style.NAMES[c]: style.handle(**grey | look) for c, look in styles.items()}
    entries[f"chance ({style.CHANCE:.2f})"] = style.handle(**dotted)
    style.legend_below(figure, entries, n_columns=3)
    return figure
