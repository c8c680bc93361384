"""Figures of results, drawn from tidy rows (columns as in embridge.results.COLUMNS) or small arrays."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from embridge.errors import InputError
from embridge.experiments import LOG_POWER_LDA, NO_NETWORK
from embridge.figures.names import CLASS_SET_NAMES, POLICY_NAMES, PROTOCOL_NAMES, pretty, wrapped
from embridge.figures.style import (
    COMMITTED,
    GREY,
    PALE,
    TO_BEAT,
    WIDTH,
    chance_name,
    legend_below,
    new_figure,
    system_colours,
)

ACCURACY = "balanced accuracy"


def measured(rows: pd.DataFrame, keys: list[str], figure: str) -> pd.DataFrame:
    """The rows that have a value.

    Raises InputError where there is none, or two would be drawn in one place: the selection is the caller's business.
    """
    rows = rows.dropna(subset="value")
    if rows.empty:
        raise InputError(f"{figure}: expected rows to draw, found none; train the systems or select other rows.")
    twice = rows[rows.duplicated(keys)]
    if len(twice):
        raise InputError(
            f"{figure}: expected one row each, found several for {tuple(twice[keys].iloc[0])}; select first."
        )
    return rows


def errors(rows: pd.DataFrame) -> np.ndarray:
    """(2, n) lengths of whiskers; zero where a row has no interval."""
    value, low, high = (rows[c].to_numpy(dtype=float) for c in ("value", "low", "high"))
    return np.nan_to_num(np.clip(np.stack([value - low, high - value]), 0, None))


def in_order(values, preferred) -> list:
    """The distinct values, the preferred ones first."""
    found = list(dict.fromkeys(values))
    return [v for v in preferred if v in found] + [v for v in found if v not in preferred]


def table2_bars(
    rows: pd.DataFrame, *, chance: float = 0.25, paper: bool = True, reference: str | None = None
) -> Figure:
    """Table 2 as bars: systems by protocol and class set, 95 % intervals, chance, and the paper's value as a diamond.

    Parameters
    ----------
    rows : columns system, protocol ("ZS", "LP"), classes ("in", "unseen"), value, low, high and, where known,
        paper_value; one row for each of system, protocol and classes. Systems keep the order of the rows. Where a
        row's origin is not this run, its value bears the tables' mark; where the paper alone has one, words say so.
        The probe of LOG_POWER_LDA is no bar but a line through both protocols' panels of its class set, and ONE_CLASS
        is the line at chance
    reference : a system to compare with: its value is a line through its panels, and only its bars are coloured
    """
    paper = paper and "paper_value" in rows
    to_beat = rows[rows["system"] == LOG_POWER_LDA].dropna(subset="value").set_index("classes")["value"]
    rows = rows[~rows["system"].isin(NO_NETWORK)]
    found = measured(rows, ["system", "protocol", "classes"], "table2_bars")
    rows = rows[rows[["value", "paper_value"] if paper else ["value"]].notna().any(axis=1)]
    rows = rows[rows["protocol"].isin(found["protocol"])]
    protocols = in_order(rows["protocol"], PROTOCOL_NAMES)
    class_sets = in_order(rows["classes"], CLASS_SET_NAMES)
    systems = {p: list(dict.fromkeys(rows.loc[rows["protocol"] == p, "system"])) for p in protocols}
    lengths = [len(systems[p]) for p in protocols]
    figure, axes = new_figure(
        len(protocols), len(class_sets), height=1.1 + 0.33 * sum(lengths) + 0.4 * len(protocols),
        sharex=True, sharey="row", height_ratios=lengths,
    )  # fmt: skip
    colours = system_colours(dict.fromkeys(rows["system"]))
    if reference is not None:
        colours = dict.fromkeys(colours, PALE) | {reference: colours[reference]}
    drawn = paper and rows["paper_value"].notna().any()
    marks = rows["origin"].map(lambda o: " †" if o else "") if "origin" in rows else pd.Series("", rows.index)
    for i, protocol in enumerate(protocols):
        place = {system: k for k, system in enumerate(systems[protocol])}
        for j, classes in enumerate(class_sets):
            ax = axes[i, j]
            part = rows[(rows["protocol"] == protocol) & (rows["classes"] == classes)]
            y = part["system"].map(place).to_numpy()
            error = errors(part)
            ax.barh(y, part["value"], xerr=error, height=0.62, color=[colours[s] for s in part["system"]], alpha=0.75,
                    error_kw={"lw": 1.0, "capsize": 2.5, "ecolor": "black"})  # fmt: skip
            for at, value, mark in zip(y, part["value"], marks[part.index], strict=True):
                text, colour = ("no row", GREY) if np.isnan(value) else (f"{value:.2f}{mark}", "black")
                ax.annotate(text, (0, at), (4, 0), textcoords="offset points", va="center", color=colour)
            if drawn:
                ax.plot(part["paper_value"].astype(float), y, ls="", marker="D", ms=5.5, mfc="white", mec="black")
            ax.axvline(chance, color=GREY, ls="--", lw=1)
            if classes in to_beat:
                ax.axvline(to_beat[classes], **TO_BEAT)
            for value in part.loc[part["system"] == reference, "value"]:
                ax.axvline(value, color=colours[reference], lw=1.4, zorder=0)
            ax.set_title(f"{PROTOCOL_NAMES.get(protocol, protocol)}, {CLASS_SET_NAMES.get(classes, classes)}")
            ax.set_xlim(0, 1)
        axes[i, 0].set_yticks(range(len(place)), list(place))
        axes[i, 0].set_ylim(len(place) - 0.4, -0.6)
    for ax in axes[-1]:
        ax.set_xlabel(ACCURACY)
    handles = [Line2D([], [], color="black", lw=1.0), Line2D([], [], color=GREY, ls="--", lw=1)]
    labels = ["95 % interval", chance_name(chance)]
    if len(to_beat):
        handles.append(Line2D([], [], **TO_BEAT))
        labels.append(f"{LOG_POWER_LDA} (probe)")
    if drawn:
        handles.append(Line2D([], [], ls="", marker="D", ms=5.5, mfc="white", mec="black"))
        labels.append("paper's value")
    if reference is not None:
        handles.append(Line2D([], [], color=colours[reference], lw=1.4))
        labels.append(reference)
    if marks.any():
        handles.append(Line2D([], [], ls=""))
        labels.append(COMMITTED)
    legend_below(figure, handles, labels, n_columns=3 if len(labels) > 4 else None)
    return figure


def ablation_bars(rows: pd.DataFrame, reference: str, *, chance: float = 0.25, paper: bool = True) -> Figure:
    """An ablation as bars (E Table 3, C's), with the whole system's value as a line through each panel.

    Parameters as in :func:`table2_bars`; ``reference`` is the system that nothing was taken from, the coloured one.
    """
    if reference not in set(rows.loc[rows["value"].notna(), "system"]):
        raise InputError(f"ablation_bars: expected rows of {reference!r}, found none; train it or name another system.")
    return table2_bars(rows, chance=chance, paper=paper, reference=reference)


def confusion_matrices(
    confusions: dict[str, np.ndarray], class_names, *, f1: dict[str, np.ndarray] | None = None
) -> Figure:
    """Confusion matrices side by side: share of each true class in %, the count under it (Fig. 3a).

    Parameters
    ----------
    confusions : system to (K, K) counts, row: true, column: predicted; or (K, K + 1), the last column for
        predictions that are none of the classes (without it they are in neither count nor share)
    class_names : K names
    f1 : system to (K,), NaN where undefined; None: none is printed. It cannot be had from the counts alone where
        predictions may be none of the classes
    """
    k = len(class_names)
    n_columns = max(np.shape(counts)[1] for counts in confusions.values())
    per_row = min({4: 3, 5: 2, 6: 2}.get(max(n_columns, 4), 1), len(confusions))
    n_rows = -(-len(confusions) // per_row)
    names = [pretty(name) for name in class_names]
    # A cell holds two lines of type; names stand beside the first column of panels and, turned, below each.
    cell = 0.38 if n_columns <= 6 else 0.44
    width = min(WIDTH, 1.5 + per_row * (0.6 + cell * n_columns))
    figure, axes = new_figure(
        n_rows,
        per_row,
        width=width,
        height=n_rows * (cell * k + 0.5 + 0.052 * max(map(len, names))),
        layout="compressed",
    )
    for ax in axes.flat[len(confusions) :]:
        ax.set_axis_off()
    for i, (ax, (system, counts)) in enumerate(zip(axes.flat, confusions.items(), strict=False)):
        counts = np.asarray(counts)
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        share = 100 * counts / total
        ax.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="equal")
        for (row, column), count in np.ndenumerate(counts):
            text = f"{share[row, column]:.0f}%\n{count:.0f}"
            ax.text(column, row, text, ha="center", va="center", linespacing=1.0,
                    color="white" if share[row, column] > 55 else "black")  # fmt: skip
        columns = names + ["none"] * (counts.shape[1] - k)
        ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
        scores = [f"F1 {v:.2f}" if np.isfinite(v) else "F1 –" for v in f1[system]] if f1 else [""] * k
        first = i % per_row == 0
        ax.set_yticks(range(k), [f"{n}\n{s}".strip() for n, s in zip(names, scores, strict=True)] if first else scores)
        ax.tick_params(length=0)
        ax.set(title=system, xlabel="predicted gesture", ylabel="true gesture" if first else "")
        ax.spines[:].set_visible(False)
    return figure


def per_user_f1(scores: pd.DataFrame, *, label: str = "F1, mean over gestures", unit: str = "held-out user") -> Figure:
    """Each user's score under every system, sorted by the last one, with the systems' means as lines (Fig. 3b).

    ``scores``: a row a user, a column a system, values in [0, 1].
    """
    last = scores.columns[-1]
    scores = scores.sort_values(last)
    figure, axes = new_figure(height=3.2)
    ax = axes[0, 0]
    x = np.arange(1, len(scores) + 1)
    ax.vlines(x, scores.min(axis=1), scores.max(axis=1), color="#BBBBBB", lw=1.2, zorder=1)
    colours = system_colours(scores.columns)
    for marker, system in zip("s^oDvP*X" * len(scores.columns), scores.columns, strict=False):
        mean = scores[system].mean()
        ax.axhline(mean, color=colours[system], ls="--", lw=1, zorder=0)
        ax.plot(
            x, scores[system], ls="", marker=marker, ms=5.5, color=colours[system], label=f"{system} (mean {mean:.2f})"
        )
    ax.set(xlabel=f"{unit}, sorted by {last}'s F1", ylabel=label, xlim=(0.3, len(scores) + 0.7))
    ax.set_xticks(x if len(x) <= 30 else x[::5])
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


STEP_NAMES = {
    "all - not-self": "own window's pose",
    "not-self - other-users": "the user's other poses",
    "not-self - other-repetitions": "the repetition's other poses",
    "all - other-repetitions": "the repetition's poses",
    "other-repetitions - other-users": "the user's other repetitions",
}


def gallery_audit(rows: pd.DataFrame, steps: pd.DataFrame, *, chance: float = 0.25) -> Figure:
    """Zero-shot accuracy under each gallery policy and, below it, what each step between policies takes away.

    Parameters
    ----------
    rows : columns system, classes, gallery, value, low, high; one row for each of the first three
    steps : columns system, classes, step ("all - not-self"), difference, low, high, as
        embridge.comparisons.gallery_steps gives them. Filled: the interval leaves zero out
    """
    rows = measured(rows, ["system", "classes", "gallery"], "gallery_audit")
    class_sets = in_order(rows["classes"], CLASS_SET_NAMES)
    policies = in_order(rows["gallery"], POLICY_NAMES)
    systems = list(dict.fromkeys(rows["system"]))
    colours = system_colours(systems)
    lines = [(step, system) for step in dict.fromkeys(steps["step"]) for system in systems]
    ratios = (2.6, 0.4 + 0.28 * len(lines))
    figure, axes = new_figure(
        2, len(class_sets), height=1.3 + sum(ratios), sharex="row", sharey="row", height_ratios=ratios
    )
    width = 0.8 / len(systems)
    for ax, below, classes in zip(axes[0], axes[1], class_sets, strict=True):
        for k, system in enumerate(systems):
            part = rows[(rows["classes"] == classes) & (rows["system"] == system)]
            x = part["gallery"].map(policies.index).to_numpy() + (k - (len(systems) - 1) / 2) * width
            ax.bar(x, part["value"], width=width * 0.92, yerr=errors(part), color=colours[system],
                   error_kw={"lw": 1.0, "capsize": 2.5, "ecolor": "black"})  # fmt: skip
        ax.axhline(chance, color=GREY, ls="--", lw=1)
        ax.set_xticks(range(len(policies)), [wrapped(POLICY_NAMES.get(p, p), 9) for p in policies])
        ax.set(title=CLASS_SET_NAMES.get(classes, classes), xlabel="poses in the gallery", ylim=(0, 1))
        below.axvline(0, color=GREY, ls="--", lw=1)
        for row in steps[steps["classes"] == classes].itertuples():
            y, colour = lines.index((row.step, row.system)), colours[row.system]
            clear = row.low > 0 or row.high < 0
            below.plot([row.low, row.high], [y, y], color=colour, lw=1.6, solid_capstyle="butt")
            below.plot(row.difference, y, "o", ms=6, mec=colour, mfc=colour if clear else "white")
        below.set(xlabel=f"worth in {ACCURACY}")
        below.margins(x=0.08)
        below.locator_params(axis="x", nbins=4)
    axes[0, 0].set_ylabel(f"zero-shot\n{ACCURACY}")
    names = [f"{STEP_NAMES.get(step, step)}, {system}" for step, system in lines]
    axes[1, 0].set_yticks(range(len(lines)), names)
    axes[1, 0].set_ylim(len(lines) - 0.4, -0.6)
    handles = [Patch(color=colours[s]) for s in systems] + [Line2D([], [], color=GREY, ls="--", lw=1)]
    legend_below(figure, handles, [*systems, f"chance ({chance:.2f}); no loss"], n_columns=len(handles))
    return figure


def difference_forest(differences: pd.DataFrame, *, label: str = f"difference in\n{ACCURACY}") -> Figure:
    """Paired differences between systems with their 95 % intervals, a panel a class set; zero is no difference.

    ``differences``: columns classes, gallery, systems ("A - B"), difference, low, high, as
    embridge.comparisons.paired_differences gives them. Filled: the interval leaves zero out. In black: a difference has
    no system's colour.
    """
    if differences.empty:
        raise InputError("difference_forest: expected rows to draw, found none; train both systems first.")
    class_sets = in_order(differences["classes"], CLASS_SET_NAMES)
    pairs = list(dict.fromkeys(differences["systems"]))
    lines = [(g, s) for g in in_order(differences["gallery"], POLICY_NAMES) for s in pairs]
    figure, axes = new_figure(1, len(class_sets), height=1.1 + 0.32 * len(lines), sharey=True, sharex=True)
    for ax, classes in zip(axes[0], class_sets, strict=True):
        ax.axvline(0, color=GREY, lw=1, ls="--")
        for row in differences[differences["classes"] == classes].itertuples():
            y = lines.index((row.gallery, row.systems))
            clear = row.low > 0 or row.high < 0
            ax.plot([row.low, row.high], [y, y], color="black", lw=1.4, solid_capstyle="butt")
            ax.plot(row.difference, y, "o", ms=6, mec="black", mfc="black" if clear else "white")
        for k in range(len(pairs), len(lines), len(pairs)):
            ax.axhline(k - 0.5, color=PALE, lw=0.8, zorder=0)
        ax.set(title=CLASS_SET_NAMES.get(classes, classes), xlabel=label)
        ax.margins(x=0.08)
    names = [f"{s.replace(' - ', ' − ')}, {POLICY_NAMES.get(g, g)}" for g, s in lines]
    axes[0, 0].set_yticks(range(len(lines)), names)
    axes[0, 0].set_ylim(len(lines) - 0.4, -0.6)
    return figure
