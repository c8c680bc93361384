"""The papers' tables from tidy results alone, our numbers beside theirs: each is a line of :data:`TABLES`.

:func:`numbers` gives a table's cells as numbers, a row a cell, from the frame of
:func:`embridge.paper.results.collect`: figures are drawn from them and they go into a page's CSV. :func:`text` prints
them, in one format for every cell (:func:`~embridge.paper.table_cells.cell`). A few tables that are of no paper are
made as text at once, below.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from embridge import experiments as registry
from embridge import grids
from embridge.config import REGRESSORS
from embridge.data.splits import SETS
from embridge.experiments import ALIGNED, LOG_POWER_LDA, NO_NETWORK, TABLE_2_SYSTEMS
from embridge.grids import GROWN, GROWTH
from embridge.paper import front_ends
from embridge.paper import table_cells as tc
from embridge.paper.differences import gain_columns, lda_lines, over_lda, seed_differences, seed_spread
from embridge.paper.numbers import CELLS, NOT_IN_SOURCE
from embridge.paper.numbers import TABLES as PRINTED

POLICIES = ("all", "not-self", "other-repetitions", "other-recordings", "other-users")  # report order
CPEP_BASELINE = {"Vemg2pose": "Vemg2pose (C: emg2pose)"}  # C's name for it is that of another system of E's
GROWN_SYSTEMS = ("EMG-MAE", "CPEP", "CPEP on waveforms", "EMBridge")
CONVENTIONS = ("same epochs", "same steps")  # of Table 4; E trains all batch sizes for the same epochs

# ---- cells as numbers ---------------------------------------------------------------------------------------------


def headline_rows(
    results: pd.DataFrame,
    dataset: str,
    *,
    systems: tuple[str, ...] = TABLE_2_SYSTEMS,
    gallery: str = "all",
    table: str | None = None,
    groups: dict[str, str] = registry.GROUPS,
) -> pd.DataFrame:
    """Balanced accuracy of each system under both protocols and class sets as numbers, a row a cell.

    Columns dataset, group, system, protocol, classes, then those of :func:`~embridge.paper.table_cells.cell_frame`.

    dataset : "simulated" and "emg2pose" stand beside the paper's emg2pose, "simulated-ninapro" and "ninapro" beside
        its NinaPro; other datasets beside nothing
    systems : in order; a cell that was not measured has the value nan; those PUBLISHED stand beside emg2pose alone.
        With LOG_POWER_LDA among them each other system's cells are compared with its probe
    gallery : of the zero-shot cells. The paper's numbers are printed for its own gallery, "all", only
    table : of the papers (a key of embridge.paper.numbers.TABLES) to stand beside; None: whichever has it, not quoted
    groups : of the column "group", by system; others are "multi-modal"
    """
    if "ninapro" in dataset:
        systems = tuple(system for system in systems if system not in registry.PUBLISHED)
    results = tc.select(results, dataset=dataset, metric=("balanced_accuracy", "user_recall"))  # few of all
    spread = {cell: seed_spread(results, dataset, *cell) for cell in CELLS}
    results = tc.of_own_seeds(results)
    lines, cells = lda_lines(results, dataset) if LOG_POWER_LDA in systems else {}, []
    for system, (protocol, classes) in itertools.product(systems, CELLS):
        how = {"protocol": protocol, "classes": classes, "system": system}
        rows = tc.choose(results, dataset, **how, gallery=gallery)
        half = _spread(system, spread[protocol, classes])
        over = over_lda(rows, lines[classes], half) if lines and system not in NO_NETWORK else {}
        labels = {"dataset": dataset, "group": groups.get(system, "multi-modal")} | how
        paper = tc.beside(system, protocol, classes, dataset, gallery, table=table)
        cells.append(labels | tc.summary(rows, half) | over | paper)
    return tc.cell_frame(cells, ["dataset", "group", "system", "protocol", "classes"])


def _spread(system: str, pooled: float) -> float | None:
    """Of an aligned system the spread over seeds of ALIGNED, which has the more degrees of freedom; None: its own."""
    aligned = system in registry.EXPERIMENTS and registry.EXPERIMENTS[system].aligned
    return pooled if system in ALIGNED or (aligned and pooled) else None


def _real_rows(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """No network and the headline's systems, over all seeds there are, with zero-shot in two galleries."""
    systems = (*NO_NETWORK, "Upper bound", "EMG-MAE", *ALIGNED)
    every, galleries = results.assign(origin=""), ("all", "other-repetitions")
    cells = [headline_rows(every, dataset, systems=systems, gallery=g).assign(gallery=g) for g in galleries]
    cells = pd.concat(cells)
    cells.loc[cells["protocol"] == "LP", "gallery"] = ""
    return cells.drop_duplicates(["system", "protocol", "gallery", "classes"], ignore_index=True)


def _front_end_rows(results: pd.DataFrame, dataset: str, own: str = "features") -> pd.DataFrame:
    """The headline's systems on each of TOKENS over all seeds there are, and log-power less waveform.

    ``own``: what rows are of that do not say it. The papers' numbers, of waveforms, stand beside these alone.
    """
    frames = front_ends.of_front_ends(results, own)
    cells = [headline_rows(frames[t], dataset, systems=front_ends.SYSTEMS).assign(tokens=t) for t in frames]
    cells = pd.concat([*cells, pd.DataFrame(front_ends.worth(frames, dataset))], ignore_index=True)
    cells.loc[cells["tokens"] != "waveform", ["paper_value", "paper_source"]] = np.nan, NOT_IN_SOURCE
    return cells[(cells["protocol"] == "LP") | cells["system"].isin(ALIGNED)]


def _cpep_gain(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """C's claim: how much CPEP's linear probe gains over Vemg2pose's, ``CPEP / Vemg2pose - 1``, as numbers.

    None where C's main table has no line of Vemg2pose, as on NinaPro.
    """
    probes = tc.select(numbers("cpep_main", results, dataset), protocol="LP")
    for rival, classes in itertools.product(CPEP_BASELINE, SETS):
        both = [tc.select(probes, classes=classes, system=system).to_dict("records") for system in ("CPEP", rival)]
        for ours, theirs in zip(*both, strict=False):
            gain = ours["value"] / theirs["value"] - 1
            origins = set() if np.isnan(gain) else {ours["origin"], theirs["origin"]} - {""}
            found = tc.measured((gain, np.nan, np.nan), origin="; ".join(sorted(origins)))
            paper = tc.beside("CPEP", "LP", classes, dataset, metric="gain_over_vemg2pose", table="C main")
            yield {"system": f"CPEP over {CPEP_BASELINE[rival]}", "classes": classes} | found | paper


def _regression_rows(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """Mean angle error in degrees of each network that regresses pose, by class set; those of Table 2 first."""
    how = {"protocol": "regression", "metric": "angle_error_deg"}
    systems = dict.fromkeys([*REGRESSORS[:4], *tc.select(results, dataset=dataset, user="", **how)["system"]])
    for system, classes in itertools.product(systems, SETS):
        found = tc.summary(tc.choose(results, dataset, classes=classes, system=system, **how))
        paper = tc.beside(system, "regression", classes, dataset, metric="angle_error_deg")
        yield {"system": system, "classes": classes} | found | paper


def _gallery_rows(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """Zero-shot balanced accuracy by gallery policy and query pooling (METHOD 8), of what was measured."""
    rows = tc.select(results, dataset=dataset, protocol="ZS", metric="balanced_accuracy", system=ALIGNED)
    rows = tc.unswept(tc.select(rows, options=tc.HEADLINE_OPTIONS))
    policies = [policy for policy in POLICIES if (rows["gallery"] == policy).any()]
    for classes, system, pooling, gallery in itertools.product(SETS, ALIGNED, ("max", "mean"), policies):
        labels = {"classes": classes, "system": system, "pooling": pooling}
        if (tc.select(rows, classes=classes, system=system)["pooling"] == pooling).any():
            found = tc.summary(tc.choose(rows, dataset, protocol="ZS", gallery=gallery, **labels))
            yield labels | {"gallery": gallery} | found | tc.beside(system, "ZS", classes, dataset, gallery)


def _corpus_rows(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """Zero-shot balanced accuracy, gallery "all", when it holds more than the class set (E 3.1, E A.6)."""
    where = {"protocol": "ZS", "metric": "balanced_accuracy", "system": ALIGNED, "gallery": "all", "pooling": "max"}
    rows = tc.select(results, dataset=dataset, **where)
    rows = tc.prefer_own(tc.unswept(rows[rows["batch_size"].isna()]), ["system"])
    corpora = [o for o in rows["options"].unique() if o.startswith("corpus=")]
    for classes, system, corpus in itertools.product(SETS, ALIGNED, corpora):
        found = tc.summary(tc.choose(rows, dataset, protocol="ZS", classes=classes, system=system, options=corpus))
        paper = tc.beside(system, "ZS", classes, dataset, "all" if corpus in tc.HEADLINE_OPTIONS else corpus)
        yield {"classes": classes, "system": system, "corpus": corpus.removeprefix("corpus=")} | found | paper


def _class_f1_rows(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """Zero-shot F1 of each unseen class and system, mean over seeds (E Fig. 3a, where the text gives it)."""
    how = {"protocol": "ZS", "classes": "unseen", "metric": "class_f1"}
    rows = tc.choose(results, dataset, system=ALIGNED, **how)
    for k, system in itertools.product(sorted(rows["class"].dropna().unique()), ALIGNED):
        paper = tc.beside(system, "ZS", "unseen", dataset, metric="class_f1", class_=int(k))
        found = tc.summary(tc.select(rows, system=system, **{"class": k}))
        yield {"class": int(k), "system": system} | found | paper


# ---- cells of sweeps ----------------------------------------------------------------------------------------------


def _of_sweeps(results: pd.DataFrame, dataset: str) -> Callable[..., dict]:
    """A function that makes a sweep's cell, with its distance above the probe without a network, as the headline's."""
    lines, spread = lda_lines(results, dataset), {cell: seed_spread(results, dataset, *cell) for cell in CELLS}

    def measure(rows: pd.DataFrame, system: str, protocol: str, classes: str, value: str) -> dict:
        part = tc.choose(rows, dataset, protocol=protocol, classes=classes, system=system, value=value)
        half = _spread(system, spread[protocol, classes])
        return tc.summary(part, half) | over_lda(part, lines[classes], half)

    return measure


def _table4_rows(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """Zero-shot on unseen gestures by system, convention ("same epochs", the paper's, or "same steps"), batch size."""
    keys = list(itertools.product(ALIGNED, CONVENTIONS))
    rows = {key: tc.sweep(results, dataset, key[0], "batch_size", convention=key[1]) for key in keys}
    sizes = {int(size) for found in rows.values() for size in found["param_value"]}  # a small profile has its own
    sizes = sorted(sizes | {n.batch_size for n in PRINTED["E Table 4"]})
    measure = _of_sweeps(results, dataset)
    for (system, convention), size in itertools.product(keys, sizes):
        gallery = "all" if convention == "same epochs" else convention  # the paper's number stands beside its own
        paper = tc.beside(system, "ZS", "unseen", dataset, gallery, batch_size=size, table="E Table 4")
        labels = {"system": system, "convention": convention, "batch_size": size}
        yield labels | measure(rows[system, convention], system, "ZS", "unseen", str(size)) | paper


def defaults(dataset: str, profiles: Iterable[str]) -> dict[str, str]:
    """Fig. 4's parameters in its order, each with the value that everything else has on a dataset."""
    return grids.defaults(profiles) | {"k": str(tc.usual_k(dataset))}


def _fig4_rows(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Balanced accuracy by parameter and value, in rising order, words last; without those of a single value.

    ``default`` (bool): whether all else has this value.
    """
    cells, measure = [], _of_sweeps(results, dataset)
    for param, usual in defaults(dataset, results["profile"]).items():
        rows = tc.sweep(results, dataset, "EMBridge", param)
        values = sorted(tc.select(rows, metric="balanced_accuracy")["param_value"].unique(), key=tc.rising)
        for value, (protocol, classes) in itertools.product(values if len(values) > 1 else (), CELLS):
            if (param, protocol) == ("k", "LP"):  # a probe has no neighbours
                continue
            labels = {"param": param, "param_value": value, "default": tc.rising(value) == tc.rising(usual)}
            labels |= {"protocol": protocol, "classes": classes}
            # Fig. 4 is an image; which of its values is the best one, Table 2's, is not printed
            cells.append(labels | measure(rows, "EMBridge", protocol, classes, value) | tc.NOT_PRINTED)
    return tc.cell_frame(cells, ["param", "param_value", "default", "protocol", "classes"])


def _fig3c_rows(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """Zero-shot by system, classes and fraction of the paired sessions.

    The paper prints numbers for the whole set only, which are Table 2's.
    """
    rows = {system: tc.sweep(results, dataset, system, "paired_fraction") for system in ALIGNED}
    how = {"protocol": "ZS", "metric": "balanced_accuracy"}
    values = {v for found in rows.values() for v in tc.select(found, **how)["param_value"]}
    measure = _of_sweeps(results, dataset)
    for classes, system, value in itertools.product(SETS, ALIGNED, sorted(values, key=tc.rising)):
        paper = tc.beside(system, "ZS", classes, dataset, "all" if float(value) == 1 else "a part")
        labels = {"classes": classes, "system": system, "fraction": float(value)}
        yield labels | measure(rows[system], system, "ZS", classes, value) | paper


def _growth_rows(results: pd.DataFrame, dataset: str) -> Iterator[dict]:
    """Balanced accuracy by system, and by users and about how many windows all its training saw, in GROWTH's order.

    Ours; no paper has it. Systems with rows of one size alone are left out.
    """
    measure = _of_sweeps(results, dataset)
    for system in GROWN_SYSTEMS:
        rows = tc.sweep(results, dataset, system, GROWN)
        sizes = GROWTH if rows["param_value"].nunique() > 1 else ()
        if system.endswith("waveforms"):  # 288 kB a window: of no more users than the profile has
            sizes = [value for value in sizes if GROWTH[value][0] <= 1]
        for value, (protocol, classes) in itertools.product(sizes, CELLS):
            users, windows = map(int, value.split(", "))
            labels = {"system": system, "windows": windows, "users": users, "protocol": protocol, "classes": classes}
            yield labels | measure(rows, system, protocol, classes, value) | tc.NOT_PRINTED


def growth_differences(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """8,000 windows, and 4,000, less 1,000; 36,000 less 8,000; 76 users less 19 at as many windows: system by system.

    Then EMBridge less CPEP at each size. Columns as of :func:`~embridge.paper.differences.seed_differences`.
    """
    few, some, others, every, most = GROWTH
    of = {size: ", {1} of {0}".format(*size.split(", ")) for size in GROWTH}
    rows = tc.select(pd.concat(tc.sweep(results, dataset, s, GROWN) for s in GROWN_SYSTEMS), param_value=(*of,))
    named = rows.assign(system=rows["system"] + rows["param_value"].map(of), param="", param_value="")
    steps = itertools.product([(every, few), (some, few), (most, every), (others, some)], GROWN_SYSTEMS)
    pairs = [(system + of[more], system + of[less]) for (more, less), system in steps]
    pairs += [("EMBridge" + size, "CPEP" + size) for size in of.values()]
    return seed_differences(pd.concat([results, named]), dataset, pairs)


def _fig8_rows(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Linear probes on a fraction of the training set, mean over draws (and seeds).

    ``low`` and ``high`` are the mean less and plus one standard deviation over draws, as the paper shades it; nan for
    one draw. ``shots``: recordings a class; of fractions that come to the same number the largest stands for all. The
    paper prints the full set's number only, Table 2's. The columns of OVER_LDA are over LOG_POWER_LDA with the same
    shots, means over draws, with the users' part of the interval.
    """
    how = {"dataset": dataset, "protocol": "LP", "param": "shots_fraction", "options": "unit=recordings"}
    rows, gains = (tc.select(results, metric=f"balanced_accuracy{kind}", **how) for kind in ("", "_difference"))
    rows, gains = (tc.prefer_own(found, ["system", "classes", "param_value"]) for found in (rows, gains))
    order, cells = {s: i for i, s in enumerate(TABLE_2_SYSTEMS)}, []
    systems = sorted(rows["system"].unique(), key=lambda s: order.get(s, 99))
    for classes, system in itertools.product(SETS, systems):
        part = tc.select(rows, classes=classes, system=system)
        for text in sorted(part["param_value"].unique(), key=tc.rising):
            draws = tc.select(part, param_value=text)
            value, sd, fraction = draws["value"].mean(), draws["value"].std(ddof=1), float(text)
            mean = tc.measured((value, value - sd, value + sd), "± SD over draws" if len(draws) > 1 else "")
            mean |= {"origin": "; ".join(sorted(set(draws["origin"])))}
            labels = {"classes": classes, "system": system, "fraction": fraction, "draws": len(draws)}
            labels["shots"] = int(draws["n_train"].max())
            over = tc.select(gains, classes=classes, system=f"{system} - {LOG_POWER_LDA}", param_value=text)
            labels |= gain_columns(*tc.mean_interval(over)) if len(over) else {}
            paper = tc.beside(system, "LP" if fraction == 1 else "a part", classes, dataset)
            cells.append(labels | mean | paper)
    labels = ["classes", "system", "fraction", "shots", "draws"]
    return tc.cell_frame(cells, labels).drop_duplicates(["classes", "system", "shots"], keep="last", ignore_index=True)


# ---- tables as data -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """One table: a function of results and dataset that gives its cells as numbers, and how they are printed."""

    cells: Callable[..., pd.DataFrame | Iterator[dict]]  # a frame, or its cells one after the other
    index: tuple[str, ...] = ("system",)  # what names a line
    columns: tuple[str, ...] = ("protocol", "classes")
    named: dict[str, dict | str] = field(default_factory=dict)  # what a column's values are called, or a format for all
    digits: int = 2  # of our numbers
    seeds: bool = False  # the mean over all seeds there are, else over this run's alone where it has any


TABLES = {
    "table2": Table(partial(headline_rows, table="E Table 2"), ("group", "system"), seeds=True),
    "table3": Table(
        partial(headline_rows, systems=registry.TABLE_3_SYSTEMS, table="E Table 3", groups=registry.TABLE_3_GROUPS),
        ("group", "system"),
        named={"system": {"EMBridge": "CASCLe (EMBridge)"}},
        seeds=True,
    ),
    "table4": Table(
        _table4_rows, ("system", "convention"), ("batch_size",), {"batch_size": "batch size {}"}, seeds=True
    ),
    "fig3c": Table(_fig3c_rows, ("classes", "system"), ("fraction",)),
    "growth": Table(_growth_rows, ("system", "windows", "users"), named={"windows": "about {:,}"}, seeds=True),
    "fig4": Table(_fig4_rows, ("param", "param_value"), seeds=True),
    "fig8": Table(_fig8_rows, ("classes", "fraction", "shots"), ("system",)),
    "class_f1": Table(_class_f1_rows, ("class",), ("system",)),
    "regression": Table(_regression_rows, columns=("classes",), digits=1),
    "galleries": Table(_gallery_rows, ("classes", "system", "pooling"), ("gallery",)),
    "real": Table(_real_rows, columns=("protocol", "gallery", "classes")),
    "front_ends": Table(_front_end_rows, ("system", "protocol", "classes"), ("tokens",), {"tokens": front_ends.NAMES}),
    "corpora": Table(_corpus_rows, ("classes", "system"), ("corpus",)),
    # C's, whose numbers contradict E's in places (METHOD); approximate ones are marked, and two rows have none
    "cpep_main": Table(
        partial(headline_rows, systems=registry.CPEP_MAIN, table="C main"), named={"system": CPEP_BASELINE}, seeds=True
    ),
    "cpep_gain": Table(_cpep_gain, columns=("classes",)),
    "cpep_ablation": Table(partial(headline_rows, systems=registry.CPEP_ABLATION, table="C ablation"), seeds=True),
}


def numbers(name: str, results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """The cells of one of TABLES as numbers: labels, then those of :func:`~embridge.paper.table_cells.cell_frame`."""
    table = TABLES[name]
    cells = table.cells(tc.over_seeds(results) if table.seeds else results, dataset, **options)
    return cells if isinstance(cells, pd.DataFrame) else tc.cell_frame(list(cells), [*table.index, *table.columns])


def text(name: str, cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of :func:`numbers`, or some of them, as text; those of several datasets with a column that names these.

    A line of several seeds says how many, "1 to 3" where its cells differ.
    """
    table = TABLES[name]
    for column, named in table.named.items():
        shown = cells[column].replace(named) if isinstance(named, dict) else cells[column].map(named.format)
        cells = cells.assign(**{column: shown})
    if "default" in cells:
        cells = cells.assign(param_value=cells["param_value"] + cells["default"].map({True: " (default)", False: ""}))
    index = [*["dataset"] * ("dataset" in cells and cells["dataset"].nunique() > 1), *table.index]
    if "seeds" in cells:
        of_line = cells.groupby(index, sort=False)["seeds"]
        least, most = (of_line.transform(end).map("{:g}".format).replace("nan", tc.MISSING) for end in ("min", "max"))
        cells, index = cells.assign(seeds=least.where(least == most, least + " to " + most)), [*index, "seeds"]
    return tc.text_table(cells, index, list(table.columns), digits=table.digits)
