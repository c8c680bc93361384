"""Figures in which one setting varies (E Table 4, Figs. 3c, 4 and 8), from cells of :mod:`embridge.paper.tables`."""

from itertools import cycle, product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from embridge.experiments import LOG_POWER_LDA, ONE_CLASS
from embridge.figures import style
from embridge.figures.results import ACCURACY, errors, interval, measured


def _styles(systems, **more) -> dict[str, dict]:
    """The look of each system's curve: its colour and a marker, LOG_POWER_LDA in its own line; ``more`` for all."""
    colours = style.system_colours(systems)
    return {
        system: (style.TO_BEAT if system == LOG_POWER_LDA else {"color": colour}) | {"marker": marker, "ms": 4.5} | more
        for marker, (system, colour) in zip(cycle(style.MARKERS), colours.items(), strict=False)
    }


def _curves(ax, rows: pd.DataFrame, x: str, styles: dict, *, band: bool = False, step: float = 0.0) -> None:
    """A curve a system with its spread: whiskers, ``step`` apart so that none hides another, or a band."""
    systems = rows.groupby("system", sort=False)
    for k, (system, part) in enumerate(systems):
        part = part.sort_values(x)
        at, value = part[x] + step * (k - (len(systems) - 1) / 2), part["value"]
        look = styles[system]
        if band:
            ax.plot(at, value, **look)
            low, high = part["low"].fillna(value), part["high"].fillna(value)
            ax.fill_between(at.astype(float), low, high, color=look["color"], alpha=0.2, lw=0)
        else:
            ax.errorbar(at, value, yerr=errors(part), capsize=2, elinewidth=1, **look)
            if "seeds" in part:
                single = part["seeds"] == 1
                ax.plot(at[single], value[single], **look | {"mfc": "white", "zorder": 3})


def _marked(rows: pd.DataFrame) -> dict[str, str]:
    """The systems' names for a legend, with the tables' mark where a system's rows are not from this run."""
    committed = set(rows.loc[rows["origin"] != "", "system"])
    return {s: f"{s} †" if s in committed else s for s in dict.fromkeys(rows["system"])}


def _legend(figure: Figure, entries: dict, *, n_columns: int, marked: bool = False) -> None:
    """The given entries, chance, and what the tables' mark means where an entry bears it or ``marked``."""
    entries = entries | {style.CHANCE_NAME: style.handle(**style.DASHED)}
    if marked or any("†" in label for label in entries):
        entries[style.COMMITTED] = style.handle()
    style.legend_below(figure, entries, n_columns=n_columns)


def _panels_by_class_set(
    rows: pd.DataFrame, x: str, baselines: pd.DataFrame | None, what: str, lines: str, looks: dict, **curves
) -> tuple[Figure, dict]:
    """A panel a class set with a curve a system over ``x`` and dotted baselines; each bears its name at its right end.

    ``lines``: what is said behind a baseline's name; ``looks``: what all curves share; ``curves``: options of
    :func:`_curves`. Returns the figure and the axes of each class set.
    """
    baselines = rows[:0] if baselines is None else baselines.dropna(subset="value")
    baselines = baselines[baselines["system"] != ONE_CLASS]  # that is the line at chance
    colours, styles = style.system_colours([*rows["system"], *baselines["system"]]), _styles(rows["system"], **looks)
    figure, panels = style.panels(style.in_order(rows["classes"]), height=3.9, sharey=True)
    names, notes, ends = _marked(rows), _marked(baselines), {}
    for classes, ax in panels.items():
        part = rows[rows["classes"] == classes].sort_values(x)
        _curves(ax, part, x, styles, **curves)
        ends[ax] = [(r.value, names[r.system], colours[r.system]) for r in part.groupby("system").tail(1).itertuples()]
        for line in baselines[baselines["classes"] == classes].itertuples():
            dotted = {"color": colours[line.system], "ls": ":", "lw": 1.4}
            ax.axhline(line.value, **style.TO_BEAT if line.system == LOG_POWER_LDA else dotted, zorder=1)
            ends[ax].append((line.value, f"{notes[line.system]}{lines}", colours[line.system]))
        ax.axhline(style.CHANCE, **style.DASHED, zorder=0)
        ends[ax].append((style.CHANCE, "chance", style.GREY))
    figure.axes[0].set_ylabel(f"{what} {ACCURACY}")
    if any("†" in name for name in (*names.values(), *notes.values())):
        style.legend_below(figure, {style.COMMITTED: style.handle()})
    for ax, labels in ends.items():
        style.label_lines(ax, labels)
    return figure, panels


def data_efficiency(rows: pd.DataFrame, baselines: pd.DataFrame | None = None) -> Figure:
    """Zero-shot accuracy over the fraction of paired sessions, a panel a class set (Fig. 3c).

    Dots that no line joins: each is a training of its own, and where whiskers overlap there is no slope to see.

    rows : columns system, classes, fraction, value, low, high, origin, as of embridge.paper.tables
    baselines : probes of unimodal systems trained on everything (columns system, classes, value, origin): dotted
        lines; that of LOG_POWER_LDA: dash-dotted
    """
    rows = measured(rows, ["system", "classes", "fraction"], "data_efficiency")
    rows = rows.assign(fraction=100 * rows["fraction"])
    figure, panels = _panels_by_class_set(rows, "fraction", baselines, "zero-shot", ", probe", {"ls": ""}, step=2)
    for ax in panels.values():
        ax.set(xlabel="paired recordings\nused in alignment (%)", xticks=range(20, 101, 20), xlim=(13, 107))
    return figure


def growth(rows: pd.DataFrame) -> Figure:
    """Accuracy by the number of windows and users that training saw, a panel a protocol and class set (ours).

    Dots with 95 % whiskers that no line joins. Hollow: of one seed where others have more; its whiskers cover users
    alone.

    ``rows``: columns system, windows, users, protocol, classes, value, low, high, origin and, where a cell has several,
    seeds, as of embridge.paper.tables.
    """
    rows = measured(rows, ["system", "windows", "users", "protocol", "classes"], "growth")
    sizes = sorted(set(zip(rows["windows"], rows["users"], strict=True)))
    rows = rows.assign(at=[sizes.index(size) for size in zip(rows["windows"], rows["users"], strict=True)])
    styles = _styles(rows["system"], ls="")
    cells = list(product(style.in_order(rows["protocol"]), style.in_order(rows["classes"])))
    figure, axes = style.grid(len(cells), 2, row=2.4, margin=0.5, sharex=True, sharey=True)
    for ax, (protocol, classes) in zip(axes, cells, strict=True):
        part = rows[(rows["protocol"] == protocol) & (rows["classes"] == classes)]
        _curves(ax, part, "at", styles, step=0.14)
        ax.axhline(style.CHANCE, **style.DASHED, zorder=0)
        ax.set(title=f"{style.NAMES[protocol]}, {style.NAMES[classes]}", xlim=(-0.5, len(sizes) - 0.5))
        ax.set_xticks(range(len(sizes)), [f"{windows:,}\n{users} users" for windows, users in sizes])
    for ax in axes[-2:]:
        ax.set_xlabel("about how many windows, by how many users")
    figure.supylabel(ACCURACY, fontsize=style.SMALL)
    entries = {name: style.handle(**styles[s]) for s, name in _marked(rows).items()}
    if "seeds" in rows and (rows["seeds"] == 1).any():
        entries["one seed"] = style.handle(color=style.GREY, marker="o", mfc="white", ls="")
    _legend(figure, entries, n_columns=3)
    return figure


def few_shot(rows: pd.DataFrame, baselines: pd.DataFrame | None = None) -> Figure:
    """Linear-probe accuracy over shots a class, mean over draws, one standard deviation shaded (Fig. 8).

    LOG_POWER_LDA, which learns from the same shots, is a dash-dotted curve; the dashed line is ONE_CLASS.

    rows : columns system, classes, shots, value, low, high, origin, as of embridge.paper.tables
    baselines : probes of other systems on the whole training set (columns system, classes, value, origin): dotted lines
    """
    rows = measured(rows, ["system", "classes", "shots"], "few_shot")
    rows = rows.assign(shots=rows["shots"].astype(int))
    figure, panels = _panels_by_class_set(rows, "shots", baselines, "linear-probe", ", full set", {}, band=True)
    for classes, ax in panels.items():
        ax.set(xlabel="recordings a class to train on", xlim=(0, None))
        ax.set_xticks(sorted(rows.loc[rows["classes"] == classes, "shots"].unique()))
    return figure


def batch_size(rows: pd.DataFrame) -> Figure:
    """Zero-shot accuracy on unseen gestures over batch size, a panel a convention that has two sizes (Table 4).

    Dots that no line joins: each is a training of its own.

    ``rows``: columns system, convention, batch_size, value, low, high, origin, as of embridge.paper.tables. Raises
    InputError where no convention has two sizes with a value.
    """
    rows = measured(rows, ["system", "convention", "batch_size"], "batch_size")
    rows = rows[rows.groupby("convention")["batch_size"].transform("nunique") > 1]
    rows = measured(rows, ["system", "convention", "batch_size"], "batch_size, two sizes")
    sizes, styles = sorted(rows["batch_size"].unique()), _styles(rows["system"], ls="")
    rows = rows.assign(at=rows["batch_size"].map(sizes.index))
    conventions = list(dict.fromkeys(rows["convention"]))
    figure, panels = style.panels(conventions, height=3.3, sharey=True, width=3.6 * len(conventions))
    for convention, ax in panels.items():
        _curves(ax, rows[rows["convention"] == convention], "at", styles, step=0.14)
        ax.axhline(style.CHANCE, **style.DASHED, zorder=0)
        ax.set(title=f"trained for the {convention}", xlabel="batch size (windows)", xlim=(-0.3, len(sizes) - 0.7))
        ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    figure.axes[0].set_ylabel(f"zero-shot {ACCURACY},\nunseen gestures")
    _legend(figure, {name: style.handle(**styles[s]) for s, name in _marked(rows).items()}, n_columns=2)
    return figure


def sensitivity(rows: pd.DataFrame, to_beat: pd.DataFrame | None = None) -> Figure:
    """Accuracy at each value of a hyper-parameter, a panel each, zero-shot and probe on both class sets (Fig. 4).

    Dots that no line joins: each value is a training of its own.

    ``rows``: columns param, param_value, default, protocol, classes, value, low, high, origin, as of
    embridge.paper.tables: values evenly spaced in the order of the rows, with whiskers for the 95 % intervals, the
    default's marked by a vertical line. A value that is not from this run bears the tables' mark. ``to_beat``: the
    probe of LOG_POWER_LDA (columns system, classes, value), a line in the colour of its class set.
    """
    rows = measured(rows, ["param", "param_value", "protocol", "classes"], "sensitivity")
    found = [] if to_beat is None else to_beat[to_beat["system"] == LOG_POWER_LDA].dropna(subset="value").itertuples()
    to_beat = {line.classes: line.value for line in found}
    params = list(dict.fromkeys(rows["param"]))
    marked = (rows["origin"] != "").any()
    figure, axes = style.grid(len(params), 3, row=1.95, margin=0.7 + 0.35 * marked, sharey=True)
    protocols, class_sets = style.in_order(rows["protocol"]), style.in_order(rows["classes"])
    looks = {"ZS": {"marker": "o"}, "LP": {"marker": "s", "mfc": "white"}}
    shared, cells = {"ms": 4.5, "ls": ""}, product(protocols, class_sets)
    styles = {(p, c): {"color": style.SET_COLOURS[c]} | shared | looks[p] for p, c in cells}
    default = {"color": style.GREY, "ls": ":", "lw": 1.2}
    for ax, param in zip(axes, params, strict=True):
        panel = rows[rows["param"] == param]
        values = list(dict.fromkeys(panel["param_value"]))
        sizes = pd.to_numeric(pd.Series(values), errors="coerce")
        parts = {key: panel[(panel["protocol"] == key[0]) & (panel["classes"] == key[1])] for key in styles}
        parts = {key: part for key, part in parts.items() if len(part)}
        for k, (key, part) in enumerate(parts.items()):
            x = part["param_value"].map(values.index).to_numpy() + 0.03 * len(values) * (k - (len(parts) - 1) / 2)
            ax.errorbar(x, part["value"], yerr=errors(part), capsize=0, elinewidth=1.1, **styles[key])
        for value in panel.loc[panel["default"].astype(bool), "param_value"].unique():
            ax.axvline(values.index(value), **default, zorder=0)
        ax.axhline(style.CHANCE, **style.DASHED, zorder=0)
        for classes, value in to_beat.items():
            ax.axhline(value, **style.TO_BEAT | {"color": style.SET_COLOURS[classes], "lw": 1.1}, zorder=0)
        ax.set(xlabel=style.NAMES[param], xlim=(-0.4, len(values) - 0.6))
        committed = set(panel.loc[panel["origin"] != "", "param_value"])
        names = [v if np.isnan(size) else f"{size:g}" for v, size in zip(values, sizes, strict=True)]
        ax.set_xticks(range(len(values)), [n + "†" * (v in committed) for n, v in zip(names, values, strict=True)])
    figure.supylabel(ACCURACY, fontsize=style.SMALL)
    sets = {c: style.NAMES[c].removesuffix(" gestures") for c in class_sets}
    entries = {f"{style.NAMES[p]}, {sets[c]}": style.handle(**look) for (p, c), look in styles.items()}
    entries["default"] = style.handle(**default)
    if len(to_beat):
        entries[LOG_POWER_LDA] = style.handle(**style.TO_BEAT | {"color": style.GREY, "lw": 1.1})
    _legend(figure, entries, n_columns=2 if marked else 3, marked=marked)
    return figure


def constants(cells: pd.DataFrame) -> Figure:
    """Zero-shot on D_tune for each value that was tried: a panel a parameter, dots with 95 % intervals, never joined.

    Filled: what D_tune chooses; dotted line: the default.

    ``cells``: columns system, param, param_value, default, in, unseen, mean, low, high, seeds, chosen and, for what
    shapes targets, perplexity, as of embridge.paper.constants; values evenly spaced in their order.
    """
    cells = measured(cells.rename(columns={"mean": "value"}), ["system", "param", "param_value"], "constants")
    keys = list(dict.fromkeys(cells[["system", "param"]].itertuples(index=False, name=None)))
    long, several = cells.groupby(["system", "param"]).size().max() > 6, len({system for system, _ in keys}) > 1
    n_columns, row = (1, 3.2) if long else (2 if len(keys) == 4 else 3, 2.1)
    figure, axes = style.grid(len(keys), n_columns, row=row, margin=0.7, sharey=True)
    mean, default = {"color": "black", "marker": "o", "ms": 5, "ls": ""}, {"color": style.GREY, "ls": ":", "lw": 1.2}
    set_looks = {"in": "^", "unseen": "v"}.items()
    sets = {c: {"color": style.SET_COLOURS[c], "marker": m, "ls": "", "ms": 3.5} for c, m in set_looks}
    for ax, (system, param) in zip(axes, keys, strict=True):
        panel = cells[(cells["system"] == system) & (cells["param"] == param)].reset_index(drop=True)
        for at, found in panel.iterrows():
            ax.errorbar(at, found["value"], yerr=errors(panel.loc[[at]]), capsize=2, elinewidth=1,
                **mean | {"mfc": "black" if found["chosen"] else "white"})  # fmt: skip
            for c, look in sets.items():
                ax.plot(at + 0.18, found[c], **look)
            if found["default"]:
                ax.axvline(at, **default, zorder=0)
        ax.axhline(style.CHANCE, **style.DASHED, zorder=0)
        names = [str(v).replace(", ", "\n") if len(panel) > 6 else str(v) for v in panel["param_value"]]
        if "perplexity" in panel:
            names = [n if np.isnan(p) else f"{n}\n({p:.1f})" for n, p in zip(names, panel["perplexity"], strict=True)]
        ax.set_xticks(range(len(panel)), names)
        of = (f"{system}: " if long else f"{system}:\n") if several else ""
        ax.set(xlabel=of + style.NAMES[param], xlim=(-0.5, len(panel) - 0.5))
    figure.supylabel(f"zero-shot {ACCURACY}, D_tune", fontsize=style.SMALL)
    entries = {"mean of both": style.handle(**mean | {"mfc": "white"})}
    entries |= {"chosen": style.handle(**mean)} if cells["chosen"].any() else {}
    entries |= {style.NAMES[c]: style.handle(**look) for c, look in sets.items()}
    entries |= {"default": style.handle(**default)} if cells["default"].any() else {}
    _legend(figure, entries, n_columns=3)
    return figure


def choice_forest(cells: pd.DataFrame) -> Figure:
    """The change that each alternative to a default makes, with 95 % intervals: a panel a protocol, a mark a class set.

    A filled mark's interval excludes 0: right of it the alternative scores better than the default.

    ``cells``: columns option, alternative, system, protocol, classes, value, low, high, origin, as
    embridge.paper.open_choices.numbers gives them; a line for each of the first three that has a value. A line that is
    not from this run bears the tables' mark.
    """
    keys = ["option", "alternative", "system"]
    cells = measured(cells, [*keys, "protocol", "classes"], "choice_forest")
    lines = list(dict.fromkeys(cells[keys].itertuples(index=False, name=None)))
    class_sets = style.in_order(cells["classes"])
    markers = dict(zip(class_sets, "os", strict=False))
    protocols, height = style.in_order(cells["protocol"]), 1.2 + 0.29 * len(lines)
    figure, panels = style.panels(protocols, height=height, sharey=True, sharex=True)
    for protocol, ax in panels.items():
        ax.axvline(0, **style.DASHED, zorder=0)
        for row in cells[cells["protocol"] == protocol].itertuples():
            y, c = lines.index((row.option, row.alternative, row.system)), row.classes
            step = 0.26 * (class_sets.index(c) - (len(class_sets) - 1) / 2)
            interval(ax, row.value, row, y + step, style.SET_COLOURS[c], lw=1.3, marker=markers[c], ms=4.5)
        for k in range(1, len(lines)):
            if lines[k][0] != lines[k - 1][0]:
                ax.axhline(k - 0.5, color=style.PALE, lw=0.8, zorder=0)
        ax.set_xlabel(f"difference in {ACCURACY}")
    shared = {option for option, *_ in lines if len({s for o, _, s in lines if o == option}) > 1}
    committed = set(cells.loc[cells["origin"] != "", keys].itertuples(index=False, name=None))
    names = [f"{o}: {a}{f' ({s})' * (o in shared)}{' †' * ((o, a, s) in committed)}" for o, a, s in lines]
    style.name_lines(figure.axes[0], names)
    mark = {"ms": 4.5, "mfc": "white", "lw": 1.3}
    entries = {style.NAMES[c]: style.handle(color=style.SET_COLOURS[c], marker=m, **mark) for c, m in markers.items()}
    if committed:
        entries[style.COMMITTED] = style.handle()
    style.legend_below(figure, entries)
    return figure
