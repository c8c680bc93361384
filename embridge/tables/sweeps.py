"""Tables in which one setting varies: E Table 4, Figs. 3c, 4 and 8."""

import itertools

import numpy as np
import pandas as pd

from embridge.experiments import LOG_POWER_LDA
from embridge.paper import CELLS, NOT_IN_SOURCE, TABLE_4
from embridge.splits import SETS
from embridge.tables.cells import (
    MEASURED,
    MISSING,
    beside,
    cell_frame,
    choose,
    compared,
    footnotes,
    lines,
    mean_interval,
    number,
    origin_marks,
    over_lda,
    pooled,
    prefer_own,
    select,
    summary,
    text_table,
)
from embridge.tables.headline import ALIGNED, TABLE_2_SYSTEMS

# What the sweeps of Fig. 4 leave alone: param to its usual value, METHOD 6
DEFAULTS = {
    "tau_s": "0.1", "k_c": "5", "alpha": "1", "lambda": "1", "r": "0.5", "M": "16", "metric": "dot", "k": "10",
}  # fmt: skip
CONVENTIONS = ("same epochs", "same steps")  # E trains all batch sizes for the same epochs


def table4_rows(results: pd.DataFrame, dataset: str, *, pooling: str = "max") -> pd.DataFrame:
    """E Table 4 as numbers: zero-shot on unseen gestures by system, convention and batch size.

    ``convention``: "same epochs" (the paper's) or "same steps", whichever words a row's ``options`` hold; both may.
    """
    rows = select(
        results, dataset=dataset, protocol="ZS", metric="balanced_accuracy", classes="unseen", gallery="all", user=""
    )
    rows = rows[~rows["options"].str.contains("D_tune", regex=False)]
    cells, line = [], lines(results, dataset)["unseen"]
    sizes = sorted({*TABLE_4, *map(int, rows["batch_size"].dropna())})  # a small profile's own may be another
    for system, convention, size in itertools.product(ALIGNED, CONVENTIONS, sizes):
        part = select(rows, system=system, batch_size=size)
        part = pooled(prefer_own(part[part["options"].str.contains(convention, regex=False)], ["system"]), pooling)
        gallery = "all" if convention == "same epochs" else convention  # the paper's number stands beside its own
        paper = beside(system, "ZS", "unseen", dataset, gallery, batch_size=size, table="E Table 4")
        labels = {"system": system, "convention": convention, "batch_size": size}
        cells.append(labels | summary(part) | over_lda(part, line) | paper)
    return cell_frame(cells, ["system", "convention", "batch_size"])


def table4(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """E Table 4 as text, each system trained for the same epochs and for the same steps."""
    cells = table4_rows(results, dataset, **options)
    cells["batch_size"] = cells["batch_size"].map("batch size {}".format)
    return text_table(cells, ["system", "convention"], ["batch_size"])


def sensitivity_rows(
    results: pd.DataFrame, dataset: str, *, system: str = "EMBridge", defaults: dict[str, str] = DEFAULTS
) -> pd.DataFrame:
    """Fig. 4 as numbers: param, param_value, default (bool), protocol, classes, value, low, high, ...

    Params in the order of ``defaults``, values in rising order, words last; those without two values are left out.
    """
    cells, line = [], lines(results, dataset)
    for param, usual in defaults.items():
        having = select(results, dataset=dataset, system=system, param=param, metric="balanced_accuracy")
        values = sorted(having["param_value"].unique(), key=_rising)
        # a probe has no neighbours
        combinations = [(p, c) for p, c in CELLS if param != "k" or p == "ZS"] if len(values) > 1 else []
        how = {"systems": (system,), "param": param}
        rows = {(p, c): choose(results, dataset, protocol=p, classes=c, **how) for p, c in combinations}
        for value, (protocol, classes) in itertools.product(values, combinations):
            labels = {"param": param, "param_value": value, "default": _rising(value) == _rising(usual)}
            labels |= {"protocol": protocol, "classes": classes}
            part = select(rows[protocol, classes], param_value=value)
            found = summary(part) | over_lda(part, line[classes])
            # Fig. 4 is an image; which of its values is the best one, Table 2's, is not printed
            cells.append(labels | found | {"paper_value": np.nan, "paper_source": NOT_IN_SOURCE})
    return cell_frame(cells, ["param", "param_value", "default", "protocol", "classes"])


def sensitivity(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """Fig. 4 as text: a line for each value of each parameter, LP and ZS on both class sets."""
    cells = sensitivity_rows(results, dataset, **options)
    cells["param_value"] += cells["default"].map({True: " (default)", False: ""}).astype(str)
    return text_table(cells, ["param", "param_value"], ["protocol", "classes"])


def tune_rows(
    results: pd.DataFrame, dataset: str, *, system: str = "EMBridge", defaults: dict[str, str] = DEFAULTS
) -> pd.DataFrame:
    """Zero-shot on D_tune for each value of each parameter: how D_tune would choose (METHOD 6), as numbers.

    Returns
    -------
    DataFrame with columns param, param_value, default (bool), "in" and "unseen" (balanced accuracies, means over
    seeds), mean (of the two), gain (over the default's), chosen (bool: the parameter's largest mean; the default
    where it is as large) and origin. Params without two values are left out.
    """
    how = {"system": system, "protocol": "ZS", "metric": "balanced_accuracy", "gallery": "all", "options": "D_tune"}
    rows, lines = select(results, dataset=dataset, user="", **how), []
    for param, usual in defaults.items():
        part = pooled(prefer_own(select(rows, param=param), ["system", "param_value"]), "max")
        found = []
        for value in sorted(part["param_value"].unique(), key=_rising):
            cells = {c: summary(select(part, param_value=value, classes=c)) for c in SETS}
            own = {c: cell["value"] for c, cell in cells.items()} | {"mean": np.mean([cells[c]["value"] for c in SETS])}
            origin = "; ".join(sorted({cell["origin"] for cell in cells.values()} - {""}))
            default = _rising(value) == _rising(usual)
            found.append({"param": param, "param_value": value, "default": default, **own, "origin": origin})
        if len(found) > 1:
            best = max(found, key=lambda line: (round(np.nan_to_num(line["mean"], nan=-1.0), 9), line["default"]))
            base = next((line["mean"] for line in found if line["default"]), np.nan)
            lines += [line | {"gain": line["mean"] - base, "chosen": line is best} for line in found]
    return pd.DataFrame(lines, columns=["param", "param_value", "default", *SETS, "mean", "gain", "chosen", "origin"])


def tune_table(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """:func:`tune_rows` as text; the last column marks the value that D_tune would choose."""
    cells = tune_rows(results, dataset, **options)
    marks = origin_marks(cells)
    table = pd.DataFrame(
        {
            "param": cells["param"],
            "value": [
                f"{v} (default)" if d else v for v, d in zip(cells["param_value"], cells["default"], strict=True)
            ],
            **{f"ZS {c}": cells[c].map(number) for c in SETS},
            "mean": [
                f"{number(v)} {marks.get(o, '')}".strip() for v, o in zip(cells["mean"], cells["origin"], strict=True)
            ],
            "over default": [MISSING if pd.isna(g) else f"{g:+.2f}" for g in cells["gain"]],
            "D_tune": cells["chosen"].map({True: "chooses", False: ""}),
        }
    )
    table.attrs["footnotes"] = footnotes(cells)
    return table


def data_efficiency_rows(
    results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...] = ALIGNED, pooling: str = "max"
) -> pd.DataFrame:
    """Fig. 3c as numbers: zero-shot by system, classes and fraction of the paired sessions.

    The paper prints numbers for the whole set only, which are Table 2's.
    """
    param, cells, line = "paired_fraction", [], lines(results, dataset)
    having = select(results, dataset=dataset, protocol="ZS", param=param, metric="balanced_accuracy")
    how = {"protocol": "ZS", "systems": systems, "pooling": pooling, "param": param}
    rows = {classes: choose(results, dataset, classes=classes, **how) for classes in SETS}
    for classes, system, text in itertools.product(SETS, systems, sorted(having["param_value"].unique(), key=_rising)):
        part = select(rows[classes], system=system, param_value=text)
        found = summary(part) | over_lda(part, line[classes])
        paper = beside(system, "ZS", classes, dataset, "all" if float(text) == 1 else "a part")
        cells.append({"classes": classes, "system": system, "fraction": float(text)} | found | paper)
    return cell_frame(cells, ["classes", "system", "fraction"])


def data_efficiency(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """Fig. 3c as text: a line for each class set and system, a column for each fraction."""
    return text_table(data_efficiency_rows(results, dataset, **options), ["classes", "system"], ["fraction"])


def few_shot_rows(
    results: pd.DataFrame, dataset: str, *, unit: str = "recordings", systems: tuple[str, ...] | None = None
) -> pd.DataFrame:
    """Fig. 8 as numbers: linear probes on a fraction of the training set, mean over draws (and seeds).

    ``low`` and ``high`` are the mean less and plus one standard deviation over draws, as the paper shades it; nan for
    one draw. ``shots``: recordings (or windows) a class; of fractions that come to the same number the largest stands
    for all. The paper prints the full set's number only, Table 2's. ``systems``: None: all. The columns of OVER_LDA are
    over LOG_POWER_LDA with the same shots, means over draws, with the users' part of the interval.
    """
    how = {"dataset": dataset, "protocol": "LP", "param": "shots_fraction", "options": f"unit={unit}"}
    rows, gains = (select(results, metric=f"balanced_accuracy{kind}", **how) for kind in ("", "_difference"))
    rows, gains = (prefer_own(found, ["system", "classes", "param_value"]) for found in (rows, gains))
    order, cells = {s: i for i, s in enumerate(TABLE_2_SYSTEMS)}, []
    known = [s for s in rows["system"].unique() if systems is None or s in systems]
    for classes, system in itertools.product(SETS, sorted(known, key=lambda s: order.get(s, 99))):
        part = select(rows, classes=classes, system=system)
        for text in sorted(part["param_value"].unique(), key=_rising):
            draws = select(part, param_value=text)
            value, sd, fraction = draws["value"].mean(), draws["value"].std(ddof=1), float(text)
            kind = "± SD over draws" if len(draws) > 1 else ""
            measured = (value, value - sd, value + sd, kind, "; ".join(sorted(set(draws["origin"]))))
            own = {"classes": classes, "system": system, "fraction": fraction, "draws": len(draws)}
            own["shots"] = int(draws["n_train"].max())
            over = select(gains, classes=classes, system=f"{system} - {LOG_POWER_LDA}", param_value=text)
            own |= compared(*mean_interval(over)) if len(over) else {}
            paper = beside(system, "LP" if fraction == 1 else "a part", classes, dataset)
            cells.append(own | dict(zip(MEASURED, measured, strict=True)) | paper)
    labels = ["classes", "system", "fraction", "shots", "draws"]
    return cell_frame(cells, labels).drop_duplicates(["classes", "system", "shots"], keep="last", ignore_index=True)


def few_shot(results: pd.DataFrame, dataset: str, **options) -> pd.DataFrame:
    """Fig. 8 as text: a line for each class set and number of shots; the brackets hold ± SD over draws."""
    return text_table(few_shot_rows(results, dataset, **options), ["classes", "fraction", "shots"], ["system"])


def _rising(text: str):
    """Sorts numbers by size and words behind them; "1" and "1.0" are the same."""
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text)
