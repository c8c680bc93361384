"""Figures of results, drawn from the cells of :mod:`embridge.paper.tables` or small arrays."""

from itertools import chain, cycle, product

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from embridge.errors import InputError
from embridge.experiments import LOG_POWER_LDA, NO_NETWORK
from embridge.figures import style

ACCURACY = "balanced accuracy"
_WHISKERS = {"lw": 1.0, "capsize": 2.5, "ecolor": "black"}
_SEEN_ON_DARK = [patheffects.withStroke(linewidth=2.6, foreground="white")]


def measured(rows: pd.DataFrame, keys: list[str], figure: str) -> pd.DataFrame:
    """The rows that have a value.

    Raises InputError where there is none, or two would be drawn in one place: the selection is the caller's business.
    """
    rows = rows.dropna(subset="value")
    if rows.empty:
        raise InputError(f"{figure}: expected rows to draw, found none; train the systems or select other rows.")
    twice = rows[rows.duplicated(keys)]
    if len(twice):
        found = tuple(twice[keys].iloc[0])
        raise InputError(f"{figure}: expected one row each, found several for {found}; select first.")
    return rows


def errors(rows: pd.DataFrame) -> np.ndarray:
    """(2, n) lengths of whiskers; zero where a row has no interval."""
    value, low, high = (rows[c].to_numpy(dtype=float) for c in ("value", "low", "high"))
    return np.nan_to_num(np.clip(np.stack([value - low, high - value]), 0, None))


def interval(ax, value, row, y: float, colour, *, lw: float, marker: str = "o", ms: float = 6) -> None:
    """A difference as a dot on the line of its interval, ``row.low`` to ``row.high``; filled: the CI excludes 0."""
    ax.plot([row.low, row.high], [y, y], color=colour, lw=lw, solid_capstyle="butt")
    full = row.low > 0 or row.high < 0
    ax.plot(value, y, marker, ms=ms, mec=colour, mfc=colour if full else "white")


def _protocols_by_class_set(rows: pd.DataFrame, base: float, line: float) -> tuple[Figure, list[tuple]]:
    """A figure with a row of panels a protocol and a column a class set, each a list of its protocol's systems.

    ``base``, ``line``: inches of the whole and of each system. Of each panel: axes, class set, rows, and their places.
    """
    protocols, class_sets = style.in_order(rows["protocol"]), style.in_order(rows["classes"])
    systems = {p: list(dict.fromkeys(rows.loc[rows["protocol"] == p, "system"])) for p in protocols}
    lengths = [len(names) for names in systems.values()]
    height, shared = base + line * sum(lengths) + 0.4 * len(protocols), {"sharex": True, "sharey": "row"}
    figure, axes = style.new_figure(len(protocols), len(class_sets), height=height, height_ratios=lengths, **shared)
    panels = []
    for ax, (protocol, classes) in zip(axes.flat, product(protocols, class_sets), strict=True):
        style.name_lines(ax, systems[protocol])
        ax.set(title=f"{style.NAMES[protocol]}, {style.NAMES[classes]}", xlim=(0, 1))
        part = rows[(rows["protocol"] == protocol) & (rows["classes"] == classes)]
        panels.append((ax, classes, part, part["system"].map(systems[protocol].index)))
    for ax in axes[-1]:
        ax.set_xlabel(ACCURACY)
    return figure, panels


def table2_bars(rows: pd.DataFrame, *, reference: str | None = None) -> Figure:
    """Table 2 as bars: systems by protocol and class set, 95 % intervals, chance, and the numbers beside them.

    rows : columns system, protocol ("ZS", "LP"), classes ("in", "unseen"), value, low, high, origin; one row for each
        of system, protocol and classes, of which those without a value are left out. Systems keep the order of the
        rows. Where a row's origin is not this run, its value bears the tables' mark. The probe of LOG_POWER_LDA is no
        bar but a line through both protocols' panels of its class set, and ONE_CLASS is the line at chance
    reference : a system to compare with: its value is a line through its panels, and only its bars are coloured
    """
    to_beat = rows[rows["system"] == LOG_POWER_LDA].dropna(subset="value").set_index("classes")["value"]
    rows = measured(rows[~rows["system"].isin(NO_NETWORK)], ["system", "protocol", "classes"], "table2_bars")
    figure, panels = _protocols_by_class_set(rows, 1.1, 0.3)
    colours = style.system_colours(rows["system"])
    if reference is not None:
        colours = dict.fromkeys(colours, style.PALE) | {reference: colours[reference]}
        through = {"color": colours[reference], "lw": 1.4}
    marks = rows["origin"].map(lambda origin: " †" if origin else "")
    for ax, classes, part, y in panels:
        bars = ax.barh(y, part["value"], xerr=errors(part), height=0.62, error_kw=_WHISKERS,
                       color=[colours[s] for s in part["system"]])  # fmt: skip
        for piece in chain(*bars.errorbar.lines[1:]):
            piece.set_path_effects(_SEEN_ON_DARK)
        for at, value, mark in zip(y, part["value"], marks[part.index], strict=True):
            ax.annotate(f"{value:.2f}{mark}", (1, at), (2, 0), textcoords="offset points", va="center")
        ax.axvline(style.CHANCE, **style.DASHED)
        if classes in to_beat:
            ax.axvline(to_beat[classes], **style.TO_BEAT, path_effects=_SEEN_ON_DARK)
        for value in part.loc[part["system"] == reference, "value"]:
            ax.axvline(value, **through, zorder=0)
        ax.tick_params(axis="y", length=0)
    entries = {"95 % interval": style.handle(color="black", lw=1.0), style.CHANCE_NAME: style.handle(**style.DASHED)}
    if len(to_beat):
        entries[f"{LOG_POWER_LDA} (probe)"] = style.handle(**style.TO_BEAT)
    if reference is not None:
        entries[reference] = style.handle(**through)
    if marks.any():
        entries[style.COMMITTED] = style.handle()
    style.legend_below(figure, entries, n_columns=3)
    return figure


def front_ends(rows: pd.DataFrame) -> Figure:
    """Each system on waveforms (hollow) and on log-power (filled), joined, with 95 % intervals.

    ``rows``: columns system, protocol, classes, tokens ("waveform", "features"), value, low, high; one row for each of
    the first four. LOG_POWER_LDA's are the line.
    """
    rows = measured(rows, ["system", "protocol", "classes", "tokens"], "front_ends")
    to_beat = rows[rows["system"] == LOG_POWER_LDA].groupby("classes")["value"].first()
    rows = rows[~rows["system"].isin(NO_NETWORK)]
    figure, panels = _protocols_by_class_set(rows, 1.3, 0.36)
    colours = style.system_colours(rows["system"])
    for ax, classes, part, places in panels:
        for system, pair in part.groupby("system"):
            full, colour = pair["tokens"] == "features", colours[system]
            y = places[pair.index] + np.where(full, 0.14, -0.14)  # so that intervals are seen apart
            ax.plot(pair["value"], y, color=colour, lw=1, ls=":")
            ax.hlines(y, pair["low"], pair["high"], color=colour, lw=1.4)
            for at, value, filled in zip(y, pair["value"], full, strict=True):
                ax.plot(value, at, "o", ms=6, mec=colour, mfc=colour if filled else "white")
        ax.axvline(style.CHANCE, **style.DASHED)
        if classes in to_beat:
            ax.axvline(to_beat[classes], **style.TO_BEAT)
    dot = {"ls": "", "marker": "o", "ms": 6, "mec": "black"}
    entries = {"waveform": style.handle(**dot, mfc="white"), "log-power": style.handle(**dot, mfc="black")}
    entries |= {style.CHANCE_NAME: style.handle(**style.DASHED)}
    entries |= {f"{LOG_POWER_LDA} (probe)": style.handle(**style.TO_BEAT)} if len(to_beat) else {}
    style.legend_below(figure, entries, n_columns=2)
    return figure


def ablation_bars(rows: pd.DataFrame, reference: str) -> Figure:
    """An ablation as bars (E Table 3, C's), with the whole system's value as a line through each panel.

    ``rows`` as in :func:`table2_bars`; ``reference`` is the system that nothing was taken from, the coloured one.
    """
    if reference not in set(rows.loc[rows["value"].notna(), "system"]):
        raise InputError(f"ablation_bars: expected rows of {reference!r}, found none; train it or name another system.")
    return table2_bars(rows, reference=reference)


def confusion_matrices(
    confusions: dict[str, np.ndarray], class_names, *, f1: dict[str, np.ndarray] | None = None
) -> Figure:
    """Confusion matrices side by side: share of each true class in %, the count under it (Fig. 3a).

    White is 0, the darkest blue the largest share of all panels.

    confusions : system to (K, K) counts, row: true, column: predicted; or (K, K + 1), the last column for
        predictions that are none of the classes (without it they are in neither count nor share)
    class_names : K names
    f1 : system to (K,), NaN where undefined; None: none is printed. It cannot be had from the counts alone where
        predictions may be none of the classes
    """
    k = len(class_names)
    n_columns = max(np.shape(counts)[1] for counts in confusions.values())
    per_row = min({4: 3, 5: 2, 6: 2}.get(max(n_columns, 4), 1), len(confusions))
    names = [style.pretty(name) for name in class_names]
    counted = {system: np.asarray(counts) for system, counts in confusions.items()}
    shares = {s: 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) for s, counts in counted.items()}
    top = max(float(share.max()) for share in shares.values()) or 100.0
    # A cell holds two lines of type; names stand beside the first column of panels and, turned, below each.
    cell = 0.38 if n_columns <= 6 else 0.44
    width = min(style.WIDTH, 1.5 + per_row * (0.6 + cell * n_columns))
    height = cell * k + 0.5 + 0.052 * max(map(len, names))
    figure, axes = style.grid(len(confusions), per_row, row=height, width=width, layout="compressed")
    for i, (ax, (system, counts)) in enumerate(zip(axes, counted.items(), strict=True)):
        share = shares[system]
        ax.imshow(share, cmap="Blues", vmin=0, vmax=top, aspect="equal")
        for (row, column), count in np.ndenumerate(counts):
            text = f"{share[row, column]:.0f}%\n{count:.0f}"
            ax.text(column, row, text, ha="center", va="center", linespacing=1.0,
                    color="white" if share[row, column] > 0.6 * top else "black")  # fmt: skip
        columns = names + ["none"] * (counts.shape[1] - k)
        ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
        scores = [f"F1 {v:.2f}" if np.isfinite(v) else "F1 –" for v in f1[system]] if f1 else [""] * k
        first = i % per_row == 0
        ax.set_yticks(range(k), [f"{n}\n{s}".strip() for n, s in zip(names, scores, strict=True)] if first else scores)
        ax.tick_params(length=0)
        ax.set(title=system, xlabel="predicted gesture", ylabel="true gesture" if first else "")
        ax.spines[:].set_visible(False)
    return figure


def per_user_f1(scores: pd.DataFrame, *, unit: str = "held-out user") -> Figure:
    """Each user's score under every system, sorted by the last one, with the systems' means as lines (Fig. 3b).

    ``scores``: a row a user, a column a system, values in [0, 1].
    """
    last = scores.columns[-1]
    scores = scores.sort_values(last)
    figure, axes = style.new_figure(height=3.2)
    ax = axes[0, 0]
    x = np.arange(1, len(scores) + 1)
    ax.vlines(x, scores.min(axis=1), scores.max(axis=1), color="#BBBBBB", lw=1.2, zorder=1)
    colours = style.system_colours(scores.columns)
    for k, (marker, (system, colour)) in enumerate(zip(cycle(style.MARKERS), colours.items(), strict=False)):
        found, step = scores[system], 0.16 * (k - (len(colours) - 1) / 2)  # side by side: equal ones are all seen
        label = f"{system} (mean {found.mean():.2f})"
        ax.axhline(found.mean(), color=colour, ls="--", lw=1, zorder=0)
        ax.plot(x + step, found, ls="", marker=marker, ms=5.5, color=colour, label=label)
    ax.set(xlabel=f"{unit}, sorted by {last}'s F1", ylabel="F1, mean over gestures", xlim=(0.3, len(scores) + 0.7))
    ax.set_xticks(x if len(x) <= 30 else x[::5])
    style.legend_beside(ax)
    return figure


def gallery_audit(rows: pd.DataFrame, steps: pd.DataFrame) -> Figure:
    """Zero-shot accuracy under each gallery policy and, below it, what each step between policies takes away.

    rows : columns system, classes, gallery, value, low, high; one row for each of the first three
    steps : columns system, classes, step, difference, low, high, as of embridge.paper.comparisons.audited
    """
    rows = measured(rows, ["system", "classes", "gallery"], "gallery_audit")
    class_sets = style.in_order(rows["classes"])
    policies = style.in_order(rows["gallery"])
    colours = style.system_colours(rows["system"])
    lines = [(step, system) for step in dict.fromkeys(steps["step"]) for system in colours]
    ratios = (2.6, 0.4 + 0.28 * len(lines))
    shared = {"sharex": "row", "sharey": "row", "height_ratios": ratios}
    figure, axes = style.new_figure(2, len(class_sets), height=1.3 + sum(ratios), **shared)
    width = 0.8 / len(colours)
    for ax, below, classes in zip(axes[0], axes[1], class_sets, strict=True):
        for k, (system, colour) in enumerate(colours.items()):
            part = rows[(rows["classes"] == classes) & (rows["system"] == system)]
            x = part["gallery"].map(policies.index).to_numpy() + (k - (len(colours) - 1) / 2) * width
            ax.bar(x, part["value"], width=width * 0.92, yerr=errors(part), color=colour, error_kw=_WHISKERS)
        ax.axhline(style.CHANCE, **style.DASHED)
        ax.set_xticks(range(len(policies)), [style.wrapped(style.NAMES[p], 9) for p in policies])
        ax.set(title=style.NAMES[classes], xlabel="poses in the gallery", ylim=(0, 1))
        below.axvline(0, **style.DASHED)
        for row in steps[steps["classes"] == classes].itertuples():
            interval(below, row.difference, row, lines.index((row.step, row.system)), colours[row.system], lw=1.6)
        below.set(xlabel=f"loss of {ACCURACY}")
        below.margins(x=0.08)
        below.locator_params(axis="x", nbins=4)
    axes[0, 0].set_ylabel(f"zero-shot\n{ACCURACY}")
    style.name_lines(axes[1, 0], [f"{style.NAMES[step]}, {system}" for step, system in lines])
    entries = {system: Patch(color=colour) for system, colour in colours.items()}
    entries[f"chance ({style.CHANCE:.2f}); no loss"] = style.handle(**style.DASHED)
    style.legend_below(figure, entries, n_columns=len(entries))
    return figure


def difference_forest(differences: pd.DataFrame) -> Figure:
    """Paired differences between systems with their 95 % intervals, a panel a class set; zero is no difference.

    A filled dot's interval excludes 0. In black: a difference has no system's colour.

    ``differences``: columns classes, gallery, systems, difference, low, high, as of embridge.paper.comparisons.audited.
    """
    if differences.empty:
        raise InputError("difference_forest: expected rows to draw, found none; train both systems first.")
    pairs = list(dict.fromkeys(differences["systems"]))
    lines = [(g, s) for g in style.in_order(differences["gallery"]) for s in pairs]
    class_sets, height = style.in_order(differences["classes"]), 1.1 + 0.32 * len(lines)
    figure, panels = style.panels(class_sets, height=height, sharey=True, sharex=True)
    for classes, ax in panels.items():
        ax.axvline(0, **style.DASHED)
        for row in differences[differences["classes"] == classes].itertuples():
            interval(ax, row.difference, row, lines.index((row.gallery, row.systems)), "black", lw=1.4)
        for k in range(len(pairs), len(lines), len(pairs)):
            ax.axhline(k - 0.5, color=style.PALE, lw=0.8, zorder=0)
        ax.set_xlabel(f"difference in\n{ACCURACY}")
        ax.margins(x=0.08)
    style.name_lines(figure.axes[0], [f"{s.replace(' - ', ' − ')}, {style.NAMES[g]}" for g, s in lines])
    return figure
