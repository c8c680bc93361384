"""The benchmark's table and plot, written as a page of ``figures/bench/`` and printed."""

import os
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.measure import Row
from embridge.figures.style import new_figure
from embridge.paper.results import Page
from embridge.paper.table_cells import MISSING, markdown
from embridge.parallel import available_cores
from embridge.provenance import provenance

CAPTION = (
    "How fast: each row is measured in one run, ours and baseline in turn; median, in brackets the extremes over the "
    "repetitions. x: times the baseline's speed."
)


def machine(device: str) -> dict:
    """Machine, versions, load and commit of the rows; a load above 0: others are at work."""
    found = provenance(device)
    now = {"load at start": f"{os.getloadavg()[0]:.1f}", "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    return {**found["made_on"], "cores": available_cores(), **now, "commit": found["commit"]}


def result(row: Row) -> str:
    """``16.2 x [15.1, 17.0]``, three significant digits; a dash where nothing was run."""
    if row.value is None:
        return MISSING
    value, low, high = (
        "" if number is None else f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
        for number in (row.value, row.low, row.high)
    )
    return f"{value} {row.unit}" + (f" [{low}, {high}]" if low else "")


def scaling_figure(points: pd.DataFrame) -> Figure:
    """Time and peak memory against the number of windows; columns as of :func:`benchmarks.data.growth`."""
    figure, axes = new_figure(1, 2, height=3.4)
    for ax, column, label in ((axes[0, 0], "seconds", "time (s)"), (axes[0, 1], "megabytes", "peak memory (MB)")):
        for what, part in points.groupby("what", sort=False):
            ax.plot(part["windows"], part[column], marker="o", ms=4, label=what)
        ax.set(xscale="log", yscale="log", xlabel="windows, n", ylabel=label)
        ax.legend()
    axes[0, 1].set_ylim(points["megabytes"].min() / 5, points["megabytes"].max() * 5)  # so that flat looks flat
    return figure


def write(folder: Path, rows: list[Row], points: pd.DataFrame, about: dict) -> Path:
    """Write table, plot and ``results.json`` below ``folder/bench``, print the table; returns the page's folder."""
    page, source = Page("bench", folder, context={"simulated": True}), "; ".join(f"{k}: {v}" for k, v in about.items())
    cells = ((row.what, row.ours, row.baseline, result(row), row.repetitions, row.target, row.note) for row in rows)
    frame = pd.DataFrame(cells, columns=["what", "ours", "baseline", "result", "n", "target", "note"])
    frame = page.table(frame.replace("", MISSING), "benchmark", CAPTION, source=source)
    caption = "Time and peak anonymous memory of one process against the number of windows, each point a fresh process."
    page.figure(scaling_figure(points), "scaling", caption, source=source)
    page.note("machine", about)
    page.note("rows", [asdict(row) for row in rows])
    page.note("scaling", points.to_dict("records"))
    page.write()
    print(f"\n{CAPTION}\n{source}\n\n{markdown(frame)}", flush=True)
    return page.folder
