"""Figures in which one setting varies (E Table 4, Figs. 3c, 4 and 8), from the cells of :mod:`embridge.tables`."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from embridge.experiments import LOG_POWER_LDA, ONE_CLASS
from embridge.figures.names import CLASS_SET_NAMES, PARAM_NAMES, PROTOCOL_NAMES
from embridge.figures.results import ACCURACY, errors, in_order, measured
from embridge.figures.style import (
    COMMITTED,
    GREY,
    PALE,
    SET_COLOURS,
    SMALL,
    TO_BEAT,
    chance_name,
    legend_below,
    new_figure,
    system_colours,
)

_MARKERS = "os^Dvx*P"


def _chance(ax, chance: float) -> None:
    ax.axhline(chance, color=GREY, ls="--", lw=1, zorder=0)


def _chance_handle(chance: float) -> tuple[Line2D, str]:
    return Line2D([], [], color=GREY, ls="--", lw=1), chance_name(chance)


def _line(system: str, colours: dict) -> dict:
    """How a system is drawn that does not vary: dotted, LOG_POWER_LDA in its own way."""
    return TO_BEAT if system == LOG_POWER_LDA else {"color": colours[system], "ls": ":", "lw": 1.4}


def _dotted(ax, baselines: pd.DataFrame | None, colours: dict) -> None:
    """Systems to compare with that do not vary, as lines."""
    for line in [] if baselines is None else baselines.itertuples():
        ax.axhline(line.value, **_line(line.system, colours), zorder=1)


def _curves(ax, part: pd.DataFrame, x: str, colours: dict, *, band: bool, step: float = 0.0) -> None:
    """A curve a system with its spread: whiskers, ``step`` apart so that none hides another, or a band."""
    systems = part.groupby("system", sort=False)
    for k, (marker, (system, rows)) in enumerate(zip(_MARKERS * len(part), systems, strict=False)):
        rows = rows.sort_values(x)
        rows = rows.assign(**{x: rows[x] + step * (k - (len(systems) - 1) / 2)})
        style = (TO_BEAT if system == LOG_POWER_LDA else {"color": colours[system]}) | {"marker": marker, "ms": 4.5}
        if band:
            ax.plot(rows[x], rows["value"], **style)
            ax.fill_between(
                rows[x].astype(float), rows["low"].fillna(rows["value"]), rows["high"].fillna(rows["value"]),
                color=colours[system], alpha=0.2, lw=0,
            )  # fmt: skip
        else:
            ax.errorbar(rows[x], rows["value"], yerr=errors(rows), capsize=2, elinewidth=1, **style)


def _marked(rows: pd.DataFrame) -> list[str]:
    """The systems' names for a legend, with the tables' mark where a system's rows are not from this run."""
    committed = set(rows.loc[rows["origin"] != "", "system"])
    return [f"{s} †" if s in committed else s for s in dict.fromkeys(rows["system"])]


def _panels_by_class_set(
    rows: pd.DataFrame, x: str, baselines: pd.DataFrame | None, what: str, lines: str, chance: float, **curves
) -> tuple[Figure, np.ndarray]:
    """A panel a class set with a curve a system over ``x`` and dotted baselines; the legend names all of them.

    ``lines``: what the legend says of the baselines; ``curves``: options of :func:`_curves`.
    """
    class_sets = in_order(rows["classes"], CLASS_SET_NAMES)
    if baselines is not None:  # ONE_CLASS is the line at chance
        baselines = baselines.dropna(subset="value").loc[lambda found: found["system"] != ONE_CLASS]
    named = list(dict.fromkeys(rows["system"]))
    compared = [] if baselines is None else list(dict.fromkeys(baselines["system"]))
    colours = system_colours([*named, *compared])
    figure, axes = new_figure(1, len(class_sets), height=3.1 + 0.08 * len(colours), sharey=True)
    for ax, classes in zip(axes[0], class_sets, strict=True):
        _curves(ax, rows[rows["classes"] == classes], x, colours, **curves)
        _dotted(ax, None if baselines is None else baselines[baselines["classes"] == classes], colours)
        _chance(ax, chance)
        ax.set(title=CLASS_SET_NAMES.get(classes, classes))
    axes[0, 0].set_ylabel(what)
    handles = [
        Line2D([], [], **(TO_BEAT if s == LOG_POWER_LDA else {"color": colours[s]}), marker=m, ms=4.5)
        for m, s in zip(_MARKERS * len(named), named, strict=False)
    ]
    handles += [Line2D([], [], **_line(s, colours)) for s in compared]
    labels = [*_marked(rows), *(f"{s}, {lines}" for s in ([] if baselines is None else _marked(baselines)))]
    _legend(figure, handles, labels, chance, n_columns=3 if len(labels) > 3 else 4)
    return figure, axes


def _legend(figure: Figure, handles: list, labels: list[str], chance: float, *, n_columns: int, marked=False) -> None:
    """The given entries, chance, and what the tables' mark means where a label bears it or ``marked``."""
    handle, label = _chance_handle(chance)
    handles, labels = [*handles, handle], [*labels, label]
    if marked or any("†" in label for label in labels):
        handles.append(Line2D([], [], ls=""))
        labels.append(COMMITTED)
    legend_below(figure, handles, labels, n_columns=n_columns)


def data_efficiency(rows: pd.DataFrame, baselines: pd.DataFrame | None = None, *, chance: float = 0.25) -> Figure:
    """Zero-shot accuracy over the fraction of paired sessions, a panel a class set (Fig. 3c).

    Parameters
    ----------
    rows : columns system, classes, fraction, value, low, high, origin, as of embridge.tables.data_efficiency_rows
    baselines : probes of unimodal systems trained on everything (columns system, classes, value, origin): dotted
        lines; that of LOG_POWER_LDA: dash-dotted
    """
    rows = measured(rows, ["system", "classes", "fraction"], "data_efficiency")
    rows = rows.assign(fraction=100 * rows["fraction"])
    what = f"zero-shot {ACCURACY}"
    figure, axes = _panels_by_class_set(rows, "fraction", baselines, what, "linear probe", chance, band=False, step=1.6)
    for ax in axes[0]:
        ax.set(xlabel="paired recordings used in alignment (%)", xticks=range(0, 101, 20), xlim=(0, 105))
    return figure


def few_shot(rows: pd.DataFrame, baselines: pd.DataFrame | None = None, *, unit: str = "recordings") -> Figure:
    """Linear-probe accuracy over shots a class, mean over draws, one standard deviation shaded (Fig. 8).

    LOG_POWER_LDA, which learns from the same shots, is a dash-dotted curve; the dashed line is ONE_CLASS.

    Parameters
    ----------
    rows : columns system, classes, shots, value, low, high, origin, as embridge.tables.few_shot_rows gives them
    baselines : probes of other systems on the whole training set (columns system, classes, value, origin): dotted lines
    unit : what a shot is
    """
    rows = measured(rows, ["system", "classes", "shots"], "few_shot")
    rows = rows.assign(shots=rows["shots"].astype(int))
    what = f"linear-probe {ACCURACY}"
    figure, axes = _panels_by_class_set(rows, "shots", baselines, what, "full set", 0.25, band=True)
    for ax, classes in zip(axes[0], in_order(rows["classes"], CLASS_SET_NAMES), strict=True):
        ax.set(xlabel=f"{unit} a class to train on", xlim=(0, None))
        ax.set_xticks(sorted(rows.loc[rows["classes"] == classes, "shots"].unique()))
    return figure


def batch_size(rows: pd.DataFrame, *, chance: float = 0.25) -> Figure:
    """Zero-shot accuracy on unseen gestures over batch size, a panel a convention, the paper's values hollow (Table 4).

    ``rows``: columns system, convention, batch_size, value, low, high, paper_value, origin, as
    embridge.tables.table4_rows gives them.
    """
    papers, sizes = rows.dropna(subset="paper_value"), sorted(rows["batch_size"].unique())
    rows = measured(rows, ["system", "convention", "batch_size"], "batch_size")
    conventions, systems = (list(dict.fromkeys(rows[c])) for c in ("convention", "system"))
    papers = papers[papers["system"].isin(systems)]
    colours = system_colours(systems)
    figure, axes = new_figure(1, len(conventions), height=3.3, sharey=True)
    rows = rows.assign(at=rows["batch_size"].map(sizes.index))
    for ax, convention in zip(axes[0], conventions, strict=True):
        _curves(ax, rows[rows["convention"] == convention], "at", colours, band=False, step=0.07)
        for system, paper in papers[papers["convention"] == convention].groupby("system", sort=False):
            at = paper["batch_size"].map(sizes.index)
            ax.plot(at, paper["paper_value"], color=colours[system], ls=":", lw=1, marker="D", ms=5.5, mfc="white")
        _chance(ax, chance)
        ax.set(title=f"trained for the {convention}", xlabel="batch size (windows)", xlim=(-0.3, len(sizes) - 0.7))
        ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    axes[0, 0].set_ylabel(f"zero-shot {ACCURACY},\nunseen gestures")
    handles = [Line2D([], [], color=colours[s], marker=m, ms=4.5) for m, s in zip(_MARKERS, systems, strict=False)]
    labels = _marked(rows)
    if len(papers):
        handles.append(Line2D([], [], color=GREY, ls=":", lw=1, marker="D", ms=5.5, mfc="white"))
        labels.append("paper's value")
    _legend(figure, handles, labels, chance, n_columns=3)
    return figure


def sensitivity(rows: pd.DataFrame, to_beat: pd.DataFrame | None = None, *, chance: float = 0.25) -> Figure:
    """Accuracy over each hyper-parameter, a panel each, zero-shot and probe on both class sets (Fig. 4).

    ``rows``: columns param, param_value, default, protocol, classes, value, low, high, as
    embridge.tables.sensitivity_rows gives them: values evenly spaced in the order of the rows, with whiskers for the
    95 % intervals, the default's marked by a vertical line. Points of a parameter that is no number are not joined.
    Where there is a column "origin", a value that is not from this run bears the tables' mark. ``to_beat``: the probe
    of LOG_POWER_LDA (columns system, classes, value), a line in the colour of its class set.
    """
    rows = measured(rows, ["param", "param_value", "protocol", "classes"], "sensitivity")
    lines = None if to_beat is None else to_beat[to_beat["system"] == LOG_POWER_LDA].dropna(subset="value")
    to_beat = {} if lines is None else lines.set_index("classes")["value"]
    params = list(dict.fromkeys(rows["param"]))
    n_columns = min(3, len(params))
    n_rows = -(-len(params) // n_columns)
    marked = "origin" in rows and (rows["origin"] != "").any()
    figure, axes = new_figure(n_rows, n_columns, height=0.7 + 0.35 * marked + 1.95 * n_rows, sharey=True)
    curves = [
        (p, c) for p in in_order(rows["protocol"], PROTOCOL_NAMES) for c in in_order(rows["classes"], CLASS_SET_NAMES)
    ]
    styles = {
        (p, c): {"color": SET_COLOURS[c], "marker": "o" if p == "ZS" else "s", "ms": 4,
                 "mfc": None if p == "ZS" else "white", "ls": "-" if p == "ZS" else "--"}
        for p, c in curves
    }  # fmt: skip
    for ax in axes.flat[len(params) :]:
        ax.set_axis_off()
    for ax, param in zip(axes.flat, params, strict=False):
        panel = rows[rows["param"] == param]
        values = list(dict.fromkeys(panel["param_value"]))
        words = all(_is_word(v) for v in values)
        for k, (protocol, classes) in enumerate(curves):
            part = panel[(panel["protocol"] == protocol) & (panel["classes"] == classes)]
            if part.empty:
                continue
            x = part["param_value"].map(values.index).to_numpy() + 0.06 * (k - (len(curves) - 1) / 2)
            style = styles[protocol, classes] | ({"ls": ""} if words else {})
            ax.errorbar(x, part["value"], yerr=errors(part), capsize=2, elinewidth=0.9, lw=1.1, **style)
        for value in panel.loc[panel["default"].astype(bool), "param_value"].unique():
            ax.axvline(values.index(value), color=GREY, ls=":", lw=1.2, zorder=0)
        _chance(ax, chance)
        for classes, value in to_beat.items():
            ax.axhline(value, **(TO_BEAT | {"color": SET_COLOURS[classes], "lw": 1.1}), zorder=0)
        ax.set(xlabel=PARAM_NAMES.get(param, param), xlim=(-0.4, len(values) - 0.6))
        committed = set(panel.loc[panel["origin"] != "", "param_value"]) if "origin" in panel else set()
        names = [v if _is_word(v) else f"{float(v):g}" for v in values]
        ax.set_xticks(range(len(values)), [n + "†" * (v in committed) for n, v in zip(names, values, strict=True)])
    figure.supylabel(ACCURACY, fontsize=SMALL)
    handles = [Line2D([], [], **(styles[curve] | {"lw": 1.1})) for curve in curves]
    sets = {c: name.removesuffix(" gestures") for c, name in CLASS_SET_NAMES.items()}
    labels = [f"{PROTOCOL_NAMES.get(p, p)}, {sets.get(c, c)}" for p, c in curves]
    handles.append(Line2D([], [], color=GREY, ls=":", lw=1.2))
    labels.append("default")
    if len(to_beat):
        handles.append(Line2D([], [], **(TO_BEAT | {"color": GREY, "lw": 1.1})))
        labels.append(LOG_POWER_LDA)
    _legend(figure, handles, labels, chance, n_columns=2 if marked else 3, marked=marked)
    return figure


def choice_forest(cells: pd.DataFrame) -> Figure:
    """What each alternative to a default changes, with 95 % intervals: a panel a protocol, a mark a class set.

    ``cells``: columns option, alternative, system, protocol, classes, value, low, high, as
    embridge.tables.open_choice_rows gives them; a line for each of the first three. Filled: the interval leaves zero
    out. A line without a value in a panel says "no rows", or nothing where it has no cell there. Where there is a
    column "origin", a line that is not from this run bears the tables' mark.
    """
    keys = ["option", "alternative", "system"]
    measured(cells, [*keys, "protocol", "classes"], "choice_forest")
    lines = list(dict.fromkeys(cells[keys].itertuples(index=False, name=None)))
    protocols, class_sets = in_order(cells["protocol"], PROTOCOL_NAMES), in_order(cells["classes"], CLASS_SET_NAMES)
    figure, axes = new_figure(1, len(protocols), height=1.2 + 0.29 * len(lines), sharey=True, sharex=True)
    for ax, protocol in zip(axes[0], protocols, strict=True):
        ax.axvline(0, color=GREY, lw=1, ls="--", zorder=0)
        for found in cells[cells["protocol"] == protocol].itertuples():
            step = 0.26 * (class_sets.index(found.classes) - (len(class_sets) - 1) / 2)
            y, colour = lines.index((found.option, found.alternative, found.system)), SET_COLOURS[found.classes]
            if np.isnan(found.value):
                if found.classes == class_sets[0]:
                    ax.annotate("no rows", (0, y), (4, 0), textcoords="offset points", va="center", color=GREY)
                continue
            full = found.low > 0 or found.high < 0
            ax.plot([found.low, found.high], [y + step] * 2, color=colour, lw=1.3, solid_capstyle="butt")
            marker = "os"[class_sets.index(found.classes) % 2]
            ax.plot(found.value, y + step, marker, ms=4.5, mec=colour, mfc=colour if full else "white")
        for k in range(1, len(lines)):
            if lines[k][0] != lines[k - 1][0]:
                ax.axhline(k - 0.5, color=PALE, lw=0.8, zorder=0)
        ax.set(title=PROTOCOL_NAMES.get(protocol, protocol), xlabel=f"difference in {ACCURACY}")
    shared = {option for option, *_ in lines if len({s for o, _, s in lines if o == option}) > 1}
    committed = (
        set(cells.loc[cells["origin"] != "", keys].itertuples(index=False, name=None)) if "origin" in cells else ()
    )
    names = [f"{o}: {a}{f' ({s})' * (o in shared)}{' †' * ((o, a, s) in committed)}" for o, a, s in lines]
    axes[0, 0].set_yticks(range(len(lines)), names)
    axes[0, 0].set_ylim(len(lines) - 0.4, -0.6)
    handles = [
        Line2D([], [], color=SET_COLOURS[c], marker=m, ms=4.5, mfc="white", lw=1.3)
        for c, m in zip(class_sets, "os", strict=False)
    ]
    labels = [CLASS_SET_NAMES.get(c, c) for c in class_sets]
    if committed:
        handles, labels = [*handles, Line2D([], [], ls="")], [*labels, COMMITTED]
    legend_below(figure, handles, labels)
    return figure


def _is_word(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False
