"""Rows chosen from the tidy results, one number for a cell, and one way to print it: the base of all tables."""

from functools import cache

import numpy as np
import pandas as pd

from embridge.config import PROFILES, profile
from embridge.datasets import for_dataset
from embridge.errors import InputError
from embridge.experiments import LOG_POWER_LDA
from embridge.grids import ALL, GROWN, GROWTH, defaults
from embridge.paper.numbers import NOT_IN_SOURCE, lookup
from embridge.statistics import bootstrap_over_seeds, spread_over_seeds, widened

HEADLINE_OPTIONS = ("", "corpus=class set")  # E 3.1's gallery; other options are rows of their own tables
HEADLINE_PARAMS = ("", "C", "k", "shrinkage")  # what a row that belongs to no sweep may name
MISSING = "–"
MARK = "†"  # of a cell that is not from this run
NOT_ABOVE = "○"  # of a cell that does not beat the line without a network; hollow, as dots in the figures
NOT_ABOVE_NOTE = f"""{NOT_ABOVE} not shown to be above {LOG_POWER_LDA}, the probe that needs no network, on the same
gestures (zero-shot, too, is held against that probe): the 95 % interval of the difference does not lie above 0. It is
paired by user where single users' scores are kept, else both intervals are combined as if they were independent."""
SHARES = ("balanced_accuracy", "macro_f1", "class_f1", "user_f1")  # metrics between 0 and 1
MEASURED = ("value", "low", "high", "interval_kind", "origin")
OVER_LDA = ("over_lda", "over_lda_low", "over_lda_high", "mark")  # how far above LOG_POWER_LDA's probe, and NOT_ABOVE


def measured(found: tuple[float, float, float], kind: str = "", **more) -> dict:
    """(value, low, high) of :mod:`embridge.statistics` as the columns of a row or a cell."""
    return dict(zip(MEASURED, (*found, kind), strict=False)) | more


def number(value, digits: int = 2, sign: str = "") -> str:
    """A number as tables print it, with ``sign`` "+" of a difference; a dash where there is none."""
    return MISSING if value is None or pd.isna(value) else f"{value:{sign}.{digits}f}"


def interval(value, low, high, digits: int = 2, sign: str = "") -> str:
    """``0.49 [0.41, 0.57]``; the brackets only where the bounds are known."""
    text, *bounds = (number(v, digits, sign) for v in (value, low, high))
    return text if MISSING in bounds else f"{text} [{', '.join(bounds)}]"


def marked(found: dict, digits: int = 2) -> str:
    """``0.39 [0.37, 0.41] ○``: a number with its interval and, where it does not beat LOG_POWER_LDA, NOT_ABOVE."""
    text = interval(found["value"], found["low"], found["high"], digits)
    return f"{text} {NOT_ABOVE}" if found.get("mark") == NOT_ABOVE else text


def cell(found: dict, marks: dict[str, str], digits: int = 2, *, paper: bool = True) -> str:
    """``0.49 [0.41, 0.57] | paper 0.757 †``: our number with its interval beside the paper's, and where ours is from.

    ``found``: the columns of :func:`cell_frame`. The mark stands where our number is a committed one; ``~`` before the
    paper's where its source only estimates it, NOT_ABOVE behind ours as in :func:`marked`. ``paper``: False leaves the
    paper's half out.
    """
    value, about = found["paper_value"], "~" if "approx." in found["paper_source"] else ""
    theirs = NOT_IN_SOURCE if pd.isna(value) else f"paper {about}{number(value, 2 if about else 3)}"
    text = marked(found, digits) + (f" | {theirs}" if paper else "")
    return f"{text} {marks[found['origin']]}" if found["origin"] else text


def origin_marks(cells: pd.DataFrame) -> dict[str, str]:
    """Origin to its mark: "†" where there is one besides this run, else "†1", "†2", ... in the order of their text."""
    origins = sorted(set(cells["origin"]) - {""})
    return {o: MARK if len(origins) == 1 else f"{MARK}{i}" for i, o in enumerate(origins, start=1)}


def footnotes(cells: pd.DataFrame) -> tuple[str, ...]:
    """A line for each origin besides this run, "† long run, 2026-11-21, abc1234", and one that explains NOT_ABOVE."""
    bears_it = "mark" in cells and (cells["mark"] == NOT_ABOVE).any()
    origins = (f"{mark} {origin}" for origin, mark in origin_marks(cells).items())
    return (*origins, *([" ".join(NOT_ABOVE_NOTE.split())] if bears_it else []))


def cell_frame(cells: list[dict], labels: list[str]) -> pd.DataFrame:
    """Cells as tidy numbers: the labels, the columns of MEASURED, of OVER_LDA if any has them, and the paper's two.

    "seeds", how many, is among them where a cell :func:`over_seeds` has several.
    """
    seeds = ["seeds"] * any(found.get("seeds", 0) > 1 for found in cells)
    gains = OVER_LDA if any("over_lda" in found for found in cells) else ()
    return pd.DataFrame(cells, columns=[*labels, *MEASURED, *seeds, *gains, "paper_value", "paper_source"])


def text_table(cells: pd.DataFrame, index: list[str], columns: list[str], *, digits: int = 2) -> pd.DataFrame:
    """Tidy cells as a table of text: a line for each ``index``, a column for each ``columns``, then the sources.

    A column for which no source has a number holds ours alone. What is not from this run is marked; :func:`markdown`
    prints the marks' meaning, kept in ``attrs["footnotes"]``.
    """
    marks, lines = origin_marks(cells), []
    column = [" ".join(str(x) for x in labels if x != "") for labels in cells[columns].to_numpy(dtype=object)]
    cells = cells.assign(column=column)
    names, printed = list(cells["column"].unique()), set(cells.loc[cells["paper_value"].notna(), "column"])
    for key, line in cells.groupby(index, sort=False, dropna=False):
        texts = dict.fromkeys(names, MISSING)
        texts |= {f["column"]: cell(f, marks, digits, paper=f["column"] in printed) for f in line.to_dict("records")}
        sources = line.loc[line["paper_value"].notna(), "paper_source"].unique()
        lines.append(dict(zip(index, key, strict=True)) | texts | {"source": "; ".join(sources) or NOT_IN_SOURCE})
    table = pd.DataFrame(lines, columns=[*index, *names, "source"])
    table.attrs["footnotes"] = footnotes(cells)
    return table


def markdown(table: pd.DataFrame) -> str:
    """A frame as a Markdown table; its index is shown where it is named. Bars inside cells are escaped.

    Below it stand the lines of ``table.attrs["footnotes"]``, if any.
    """
    shown = table.reset_index() if any(name is not None for name in table.index.names) else table
    rows = [list(map(str, shown.columns)), ["---"] * len(shown.columns)]
    for line in shown.itertuples(index=False):
        rows.append([number(v) if isinstance(v, float) or pd.isna(v) else str(v) for v in line])
    escaped = ([text.replace("|", "\\|").replace("\n", " ") for text in row] for row in rows)
    notes = "".join(f"\n{note}\n" for note in table.attrs.get("footnotes", ()))
    return "".join(f"| {' | '.join(row)} |\n" for row in escaped) + notes


def select(results: pd.DataFrame, **equal) -> pd.DataFrame:
    """Rows whose columns equal the given values; a tuple allows several. Unknown columns raise InputError."""
    keep = np.arange(len(results))
    for column, value in equal.items():
        if column not in results:
            raise InputError(f"results: expected a column of the tidy results, found {column!r}")
        keep = keep[results[column].iloc[keep].isin(value if isinstance(value, tuple) else (value,)).to_numpy()]
    return results.iloc[keep]


def prefer_own(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Leave out committed rows where this run has any of the same ``by``: a mean never mixes the two."""
    own = rows["origin"] == ""
    if own.all():
        return rows
    return rows[own | ~own.groupby([rows[c] for c in by], dropna=False).transform("any").astype(bool)]


def over_seeds(results: pd.DataFrame) -> pd.DataFrame:
    """The rows for means over all seeds, committed ones among them; "made" says where each is from."""
    return results.assign(made=results["origin"], origin="")


def of_own_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without committed ones of seeds that this run has not: lines beside its own are of the same seeds."""
    own = rows.loc[rows["origin"] == "", "seed"].dropna().unique()
    return rows[rows["seed"].isin(own) | rows["seed"].isna()] if len(own) else rows


@cache
def usual_k(dataset: str) -> int:
    """Number of neighbours that vote in zero-shot on a dataset."""
    return for_dataset(profile("paper"), dataset).evaluation.k


def unswept(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that belong to no sweep: those of a probe, or of zero-shot with its dataset's usual k if it has several."""
    k = pd.to_numeric(rows["param_value"].where(rows["param"] == "k"), errors="coerce")
    several = k.groupby(rows["system"]).transform("nunique") > 1
    usual = rows["dataset"].map({d: usual_k(d) for d in rows["dataset"].unique()})
    return rows[rows["param"].isin(HEADLINE_PARAMS) & (k.isna() | ~several | (k == usual))]


def sweep(
    results: pd.DataFrame,
    dataset: str,
    system: str,
    param: str,
    *,
    convention: str = "same epochs",
    every: bool = False,
) -> pd.DataFrame:
    """Rows of one system by the value of one setting, which ``param_value`` holds, its usual value among them.

    Members of a sweep have rows of their own. The usual value's are the system's own, since nothing was trained for it
    twice: of the members' seeds, if it has these, or, with ``every``, of all; trainings of one seed share first weights
    and batches, so a mean beside one of them would differ by that seed's luck, too. Users' recalls come with whatever
    has them. ``param``: one of DEFAULTS, GROWN, "paired_fraction", "batch_size" or an open choice, whose default has no
    rows here; ``convention``: of batch sizes, the words that ``options`` hold ("same epochs", as in the paper, or "same
    steps").
    """
    rows = select(results, dataset=dataset, system=system, metric=("balanced_accuracy", "user_recall"))
    own = unswept(select(rows, options=(*HEADLINE_OPTIONS, "D_tune")))
    if param == "batch_size":
        usual = own["profile"].map({name: str(profile(name).align.batch_size) for name in PROFILES})
        rows = rows[rows["batch_size"].notna() & rows["options"].str.startswith(HEADLINE_OPTIONS[1])]
        rows = rows[rows["options"].str.contains(convention, regex=False)]
        rows = rows.assign(param_value=rows["batch_size"].astype(str), options=HEADLINE_OPTIONS[1])
        own = select(own, protocol="ZS", options=HEADLINE_OPTIONS[1])
    else:
        usual = defaults(results["profile"])
        usual |= {"paired_fraction": "1", GROWN: next(value for value in GROWTH if GROWTH[value] == ALL)}
        rows, usual = select(rows, param=param), usual.get(param)
    if param == "k" or usual is None or own.empty:  # of k the usual one is a row like the others
        return rows
    if (same := own["seed"].isin(rows["seed"])).any() and not every:
        own = own[same]
    own = own.assign(param=param, param_value=usual)
    # results of older versions hold it twice
    there = rows["param_value"].map(rising).isin(set(own["param_value"].map(rising)))
    return pd.concat([rows[~there], own], ignore_index=True)


def rising(text: str):
    """Sorts numbers by size and words behind them; "1" and "1.0" are the same."""
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text)


def choose(
    results: pd.DataFrame,
    dataset: str,
    *,
    protocol: str,
    classes: str,
    system: str | tuple[str, ...],
    metric: str = "balanced_accuracy",
    gallery: str = "all",
    pooling: str = "max",
    options: str | tuple[str, ...] = HEADLINE_OPTIONS,
    value: str | None = None,
) -> pd.DataFrame:
    """Rows of one metric under one protocol: the headline's, or those of one ``value`` from the rows of :func:`sweep`.

    Without committed rows of which this run has its own. Those of the balanced accuracy come with single users'
    recalls, which :func:`summary` needs where there are several seeds. M = 1 (CPEP) has nothing to pool: its "max"
    rows stand for either ``pooling``.
    """
    zero_shot = protocol == "ZS"
    metrics = (metric, "user_recall") if metric == "balanced_accuracy" else metric
    where = {"protocol": protocol, "gallery": gallery if zero_shot else "", "options": options}
    rows = select(results, dataset=dataset, system=system, metric=metrics, classes=classes, **where)
    rows = rows[(rows["user"] == "") | rows["metric"].isin(("user_f1", "user_recall"))]
    rows = prefer_own(unswept(rows) if value is None else select(rows, param_value=value), ["system"])
    if not zero_shot:
        return rows
    having = set(rows.loc[rows["pooling"] == pooling, "system"])
    return rows[rows["pooling"] == rows["system"].map(lambda s: pooling if s in having else "max")]


def recall_counts(rows: pd.DataFrame) -> tuple[np.ndarray, list[int], list[str]] | None:
    """Counts (S, G, K, 2) for :func:`~embridge.statistics.bootstrap_over_seeds` from one system's "user_recall" rows.

    With them their seeds (-1 of what no seed trained) and users, in order; None where a seed that has a score lacks
    such rows.
    """
    recalls, scores = (rows[rows["metric"] == metric] for metric in ("user_recall", "balanced_accuracy"))
    recalls = recalls.assign(seed=recalls["seed"].fillna(-1))
    levels = [sorted(recalls[c].unique()) for c in ("seed", "user", "class")]
    if recalls.empty or levels[0] != sorted(scores["seed"].fillna(-1)):
        return None
    found = recalls.assign(hits=(recalls["value"] * recalls["n"]).round()).set_index(["seed", "user", "class"])
    counts = found[["hits", "n"]].astype(float).reindex(pd.MultiIndex.from_product(levels), fill_value=0.0)
    return counts.to_numpy().reshape(*map(len, levels), 2), levels[0], levels[1]


def summary(rows: pd.DataFrame, spread: float | None = None) -> dict:
    """One cell from its rows: the columns of MEASURED, nan and "" where there is no row, and "seeds" of over_seeds'.

    The interval is the row's own; of several seeds it covers these and their users. The users' part is bootstrapped if
    every seed has its users' recalls among the rows, else it is the mean square of the rows' own half-widths. The
    seeds' part is Student's, by ``spread`` (as of :func:`embridge.statistics.spread_over_seeds`) or, None, by these
    seeds alone. Raises InputError where a seed has more than one row, since the selection then mixes settings.
    """
    scores = rows[rows["metric"] != "user_recall"]
    if scores.empty:
        return measured(3 * (np.nan,), origin="")
    if scores["seed"].duplicated().any():
        varying = [c for c in ("options", "param_value", "draw", "batch_size", "profile") if scores[c].nunique() > 1]
        raise InputError(
            f"results: expected one row a seed for {scores['system'].iloc[0]}, found {len(scores)} that differ in "
            f"{', '.join(varying) or 'run_key'}; select one setting first"
        )
    where = {"origin": "; ".join(sorted(set(scores["made" if "made" in scores else "origin"]) - {""}))}
    where |= {"seeds": scores["seed"].nunique() or np.nan} if "made" in scores else {}  # none: not trained
    if len(scores) == 1:
        return scores.iloc[0][list(MEASURED)].to_dict() | where
    if found := recall_counts(rows):
        numbers = bootstrap_over_seeds(found[0], spread=spread)
    else:
        half = spread_over_seeds([scores["value"]]) if spread is None else spread
        numbers = widened(*mean_interval(scores), half / np.sqrt(len(scores)))
    if scores["metric"].isin(SHARES).all():  # Student's part knows no bounds
        numbers = np.clip(numbers, 0.0, 1.0).tolist()
    return measured(numbers, f"95 %, {len(scores)} seeds (Student) and their users in quadrature", **where)


def mean_interval(rows: pd.DataFrame) -> tuple[float, float, float]:
    """The mean of rows' values with the mean square of their half-widths: the users' part of its uncertainty."""
    value = rows["value"].mean()
    below, above = (np.sqrt(np.square(rows[c] - rows["value"]).mean()) for c in ("low", "high"))
    return value, value - below, value + above


NOT_PRINTED = {"paper_value": np.nan, "paper_source": NOT_IN_SOURCE}


def beside(system, protocol, classes, dataset, gallery="all", **more) -> dict:
    """The paper's number for a cell, as columns; its zero-shot numbers stand beside its own gallery, "all", only."""
    found = (None, NOT_IN_SOURCE)
    if protocol != "ZS" or gallery == "all":
        found = lookup(system, protocol, classes, dataset, **more)
    return {"paper_value": np.nan if found[0] is None else found[0], "paper_source": found[1]}
