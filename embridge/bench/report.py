"""The benchmark's table and plot, written as a page of ``figures/bench/`` and printed."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from embridge.bench.measure import Row
from embridge.figures.style import class_colours, new_figure
from embridge.results import Page
from embridge.table_cells import MISSING, markdown

CAPTION = (
    "How fast: each row is measured in one run, ours and baseline in turn; median, in brackets the extremes over the "
    "repetitions. x: times the baseline's speed."
)
MARKERS = "osD^v"


def number(value: float, unit: str = "") -> str:
    """Three significant digits; six decimals for a cosine near 1, which has no unit."""
    if not unit and 0.99 < value < 1.01:
        return f"{value:.6f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def result(row: Row) -> str:
    """``16.2 x [15.1, 17.0]``; a dash where nothing was run."""
    if row.value is None:
        return MISSING
    text = f"{number(row.value, row.unit)} {row.unit}".strip()
    return text if row.low is None else f"{text} [{number(row.low, row.unit)}, {number(row.high, row.unit)}]"


def table(rows: list[Row]) -> pd.DataFrame:
    """The rows as text cells, in their order; the part only where it changes."""
    lines, last = [], None
    for row in rows:
        lines.append(
            {"part": row.part if row.part != last else "", "what": row.what, "ours": row.ours,
             "baseline": row.baseline or MISSING, "result": result(row), "n": row.repetitions,
             "target": row.target or MISSING, "note": row.note}
        )  # fmt: skip
        last = row.part
    return pd.DataFrame(lines)


def scaling_figure(points: pd.DataFrame, exponents: dict[tuple[str, str], float]) -> Figure:
    """Time and peak memory against the number of windows, both axes logarithmic, the fitted exponent beside each name.

    points: columns what, windows, seconds, megabytes; exponents: by (what, "seconds" or "megabytes").
    """
    figure, axes = new_figure(1, 2, height=3.4)
    names, sizes = list(dict.fromkeys(points["what"])), sorted(points["windows"].unique())
    for ax, column, label in ((axes[0, 0], "seconds", "time (s)"), (axes[0, 1], "megabytes", "peak memory (MB)")):
        for name, colour, marker in zip(names, class_colours(len(names)), MARKERS, strict=False):
            part = points[points["what"] == name]
            power = f"{name}, $n^{{{exponents[name, column]:.2f}}}$"
            ax.plot(part["windows"], part[column], color=colour, marker=marker, ms=4, label=power)
        ax.set(xscale="log", yscale="log", xlabel="windows, n", ylabel=label)
        ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
        ax.minorticks_off()
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    axes[0, 1].set_ylim(points["megabytes"].min() / 5, points["megabytes"].max() * 5)  # so that flat looks flat
    axes[0, 1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0, 1].yaxis.set_major_formatter("{x:,.0f}")
    return figure


def write(folder: Path, rows: list[Row], points: pd.DataFrame, exponents: dict, machine: dict[str, str]) -> Path:
    """Write table, plot and ``results.json`` (with raw times) below ``folder/bench``; print the table; return where."""
    page = Page("bench", folder, context={"simulated": True})
    about = "; ".join(f"{name}: {value}" for name, value in machine.items())
    frame = page.table(table(rows), "benchmark", CAPTION, source=about)
    if len(points):
        sizes = f"{points['windows'].min():,} to {points['windows'].max():,} windows"
        page.figure(
            scaling_figure(points, exponents),
            "scaling",
            f"Time and peak anonymous memory of one process against the number of windows, {sizes}, each point a "
            "fresh process; exponents by least squares on logarithms.",
            source=about,
        )
    page.note("machine", machine)
    page.note("rows", [asdict(row) for row in rows])
    page.note("scaling", points.to_dict("records"))
    page.write()
    print(f"\n{CAPTION}\n{about}\n\n{markdown(frame)}", flush=True)
    return page.folder
