"""What all tables share: rows chosen from the tidy results, one number for a cell, and one way to print it."""

import numpy as np
import pandas as pd

from embridge import config
from embridge.datasets import for_dataset
from embridge.errors import InputError
from embridge.paper import NOT_IN_SOURCE, lookup
from embridge.splits import SETS
from embridge.statistics import bootstrap_over_seeds, luck_of_training, widened
from embridge.systems import LOG_POWER_LDA

HEADLINE_OPTIONS = ("", "corpus=class set")  # E 3.1's gallery; other options are rows of their own tables
HEADLINE_PARAMS = ("", "C", "k", "shrinkage")  # what a row that belongs to no sweep may name
MISSING = "–"
MARK = "†"  # of a cell that is not from this run
NOT_ABOVE = "○"  # of a cell that does not beat the line without a network; hollow, as dots in the figures
NOT_ABOVE_NOTE = f"""{NOT_ABOVE} not shown to be above {LOG_POWER_LDA}, the probe that needs no network, on the same
gestures (zero-shot, too, is held against that probe): the 95 % interval of the difference does not lie above 0. It is
paired by user where single users' scores are kept, else both intervals are combined as if they were independent."""
USER_METRICS = ("user_f1", "user_recall")
MEASURED = ("value", "low", "high", "interval_kind", "origin")
OVER_LDA = ("over_lda", "over_lda_low", "over_lda_high", "mark")  # how far above LOG_POWER_LDA's probe, and NOT_ABOVE


def number(value, digits: int = 2) -> str:
    """A number as tables print it; a dash where there is none."""
    return MISSING if value is None or pd.isna(value) else f"{value:.{digits}f}"


def interval(value, low, high, digits: int = 2) -> str:
    """``0.49 [0.41, 0.57]``; the brackets only where the bounds are known."""
    known = not (pd.isna(low) or pd.isna(high))
    return number(value, digits) + (f" [{number(low, digits)}, {number(high, digits)}]" if known else "")


def cell(found: dict, marks: dict[str, str] | None = None, digits: int = 2, *, paper: bool = True) -> str:
    """``0.49 [0.41, 0.57] | paper 0.757 †``: our number with its interval beside the paper's, and where ours is from.

    ``found``: the columns of :func:`cell_frame`. The mark stands where our number is a committed one; ``~`` before the
    paper's where its source only estimates it, NOT_ABOVE behind ours as in :func:`marked`. ``paper``: False leaves the
    paper's half out.
    """
    value, source = found["paper_value"], found["paper_source"]
    about = "~" if "approx." in source else ""
    theirs = NOT_IN_SOURCE if pd.isna(value) else f"paper {about}{number(value, 2 if about else 3)}"
    text = marked(found, digits) + (f" | {theirs}" if paper else "")
    return f"{text} {marks[found['origin']]}" if found["origin"] and marks else text


def marked(found: dict, digits: int = 2) -> str:
    """``0.39 [0.37, 0.41] ○``: a number with its interval and, where it does not beat LOG_POWER_LDA, NOT_ABOVE."""
    text = interval(found["value"], found["low"], found["high"], digits)
    return f"{text} {NOT_ABOVE}" if found.get("mark") == NOT_ABOVE else text


def not_above_note(cells: pd.DataFrame) -> tuple[str, ...]:
    """The line that says what NOT_ABOVE means, where a cell bears it."""
    return (" ".join(NOT_ABOVE_NOTE.split()),) if "mark" in cells and (cells["mark"] == NOT_ABOVE).any() else ()


def origin_marks(cells: pd.DataFrame) -> dict[str, str]:
    """Origin to its mark: "†" where there is one besides this run, else "†1", "†2", ... in the order of their text."""
    origins = sorted(set(cells["origin"]) - {""})
    return {o: MARK if len(origins) == 1 else f"{MARK}{i}" for i, o in enumerate(origins, start=1)}


def footnotes(cells: pd.DataFrame) -> tuple[str, ...]:
    """A line for each origin besides this run, "† long run, 2026-11-21, abc1234", and :func:`not_above_note`."""
    return (*(f"{mark} {origin}" for origin, mark in origin_marks(cells).items()), *not_above_note(cells))


def cell_frame(cells: list[dict], labels: list[str]) -> pd.DataFrame:
    """Cells as tidy numbers: the labels, the columns of MEASURED, of OVER_LDA if any has them, and the paper's two."""
    gains = OVER_LDA if any("over_lda" in found for found in cells) else ()
    return pd.DataFrame(cells, columns=[*labels, *MEASURED, *gains, "paper_value", "paper_source"])


def text_table(cells: pd.DataFrame, index: list[str], columns: list[str], *, digits: int = 2) -> pd.DataFrame:
    """Tidy cells as a table of text: a line for each ``index``, a column for each ``columns``, then the sources.

    A column for which no source has a number holds ours alone. What is not from this run is marked; :func:`markdown`
    prints the marks' meaning, kept in ``attrs["footnotes"]``.
    """
    marks, lines, sources = origin_marks(cells), {}, {}
    cells = cells.assign(column=[" ".join(map(str, labels)) for labels in cells[columns].to_numpy(dtype=object)])
    names, printed = list(cells["column"].unique()), set(cells.loc[cells["paper_value"].notna(), "column"])
    for found in cells.to_dict("records"):
        key = tuple(found[k] for k in index)
        lines.setdefault(key, dict(zip(index, key, strict=True)) | dict.fromkeys(names, MISSING))
        lines[key][found["column"]] = cell(found, marks, digits, paper=found["column"] in printed)
        sources.setdefault(key, []).extend([found["paper_source"]] if pd.notna(found["paper_value"]) else [])
    table = pd.DataFrame(
        [line | {"source": "; ".join(dict.fromkeys(sources[key])) or NOT_IN_SOURCE} for key, line in lines.items()],
        columns=[*index, *names, "source"],
    )
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
    keep = np.ones(len(results), dtype=bool)
    for column, value in equal.items():
        if column not in results:
            raise InputError(f"results: expected a column of the tidy results, found {column!r}")
        keep &= results[column].isin(value if isinstance(value, tuple) else (value,)).to_numpy()
    return results[keep]


def prefer_own(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Leave out committed rows where this run has any of the same ``by``: a mean never mixes the two."""
    mine = (rows["origin"] == "").groupby([rows[c] for c in by], dropna=False).transform("any")
    return rows[(rows["origin"] == "") | ~mine.astype(bool)]


def unswept(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that belong to no sweep: those of a probe, or of zero-shot with its dataset's usual k if it has several."""
    k = pd.to_numeric(rows["param_value"].where(rows["param"] == "k"), errors="coerce")
    several = k.groupby(rows["system"]).transform("nunique") > 1
    usual = rows["dataset"].map({d: _usual_k(d) for d in rows["dataset"].unique()})
    return rows[rows["param"].isin(HEADLINE_PARAMS) & (k.isna() | ~several | (k == usual))]


def _usual_k(dataset: str) -> int:
    return for_dataset(config.profile("paper"), dataset).evaluation.k


def choose(
    results: pd.DataFrame,
    dataset: str,
    *,
    protocol: str,
    classes: str,
    systems: tuple[str, ...],
    metric: str = "balanced_accuracy",
    gallery: str = "all",
    pooling: str = "max",
    param: str | None = None,
) -> pd.DataFrame:
    """Rows of one metric under one protocol: the headline's (``param`` None) or those of one sweep.

    Without committed rows of which this run has its own. Those of the balanced accuracy come with single users'
    recalls, which :func:`summary` needs where there are several seeds.
    """
    zero_shot = protocol == "ZS"
    rows = select(
        results,
        dataset=dataset,
        metric=(metric, "user_recall") if metric == "balanced_accuracy" else metric,
        classes=classes,
        protocol=protocol,
        system=systems,
        gallery=gallery if zero_shot else "",
        options=HEADLINE_OPTIONS,
        **({} if param is None else {"param": param}),
    )
    rows = rows[(rows["user"] == "") | rows["metric"].isin(USER_METRICS)]
    rows = prefer_own(unswept(rows), ["system"]) if param is None else prefer_own(rows, ["system", "param_value"])
    return pooled(rows, pooling) if zero_shot else rows


def pooled(rows: pd.DataFrame, pooling: str) -> pd.DataFrame:
    """Zero-shot rows of one query pooling; M = 1 (CPEP) has nothing to pool, its "max" rows stand for either."""
    having = set(rows.loc[rows["pooling"] == pooling, "system"])
    return rows[rows["pooling"] == rows["system"].map(lambda s: pooling if s in having else "max")]


def recall_counts(rows: pd.DataFrame) -> tuple[np.ndarray, list[int], list[str]] | None:
    """Counts (S, G, K, 2) for :func:`~embridge.statistics.bootstrap_over_seeds` from one system's "user_recall" rows.

    With them their seeds (-1 of what no seed trained) and users, in order; None where there are no such rows.
    """
    rows = rows[rows["metric"] == "user_recall"]
    if rows.empty:
        return None
    rows = rows.assign(seed=rows["seed"].fillna(-1))
    levels = [sorted(rows[c].unique()) for c in ("seed", "user", "class")]
    counts = rows.assign(hits=(rows["value"] * rows["n"]).round()).set_index(["seed", "user", "class"])[["hits", "n"]]
    counts = counts.astype(float).reindex(pd.MultiIndex.from_product(levels), fill_value=0.0)
    return counts.to_numpy().reshape(*map(len, levels), 2), levels[0], levels[1]


def summary(rows: pd.DataFrame, luck: float | None = None) -> dict:
    """One cell from its rows: the columns of MEASURED, nan and "" where there is no row.

    The interval is the row's own; of several seeds it covers these and their users. The users' part is bootstrapped if
    every seed has its users' recalls among the rows, else it is the mean square of the rows' own half-widths. The
    seeds' part is Student's, by ``luck`` (of one training, :func:`embridge.statistics.luck_of_training`) or, None, by
    these seeds alone. Raises InputError where a seed has more than one row, since the selection then mixes settings.
    """
    recalls, rows = rows, rows[rows["metric"] != "user_recall"]
    if rows.empty:
        return dict(zip(MEASURED, (np.nan, np.nan, np.nan, "", ""), strict=True))
    if rows["seed"].duplicated().any():
        varying = [c for c in ("options", "param_value", "draw", "batch_size", "profile") if rows[c].nunique() > 1]
        raise InputError(
            f"results: expected one row a seed for {rows['system'].iloc[0]}, found {len(rows)} that differ in "
            f"{', '.join(varying) or 'run_key'}; select one setting first"
        )
    if len(rows) == 1:
        return rows.iloc[0][list(MEASURED)].to_dict()
    origin, found = "; ".join(sorted(set(rows["origin"]))), recall_counts(recalls)
    if found and found[1] == sorted(rows["seed"]):
        numbers = bootstrap_over_seeds(found[0], luck=luck)
    else:
        half = luck_of_training([rows["value"]]) if luck is None else luck
        numbers = widened(*mean_interval(rows), half / np.sqrt(len(rows)))
    kind = f"95 %, {len(rows)} seeds (Student) and their users in quadrature"
    return dict(zip(MEASURED, (*numbers, kind, origin), strict=True))


def mean_interval(rows: pd.DataFrame) -> tuple[float, float, float]:
    """The mean of rows' values with the mean square of their half-widths: the users' part of its uncertainty."""
    value = rows["value"].mean()
    below, above = (np.sqrt(np.square(rows[c] - rows["value"]).mean()) for c in ("low", "high"))
    return value, value - below, value + above


def lines(results: pd.DataFrame, dataset: str) -> dict[str, pd.DataFrame]:
    """Rows of LOG_POWER_LDA's probe, by class set: what :func:`over_lda` is over."""
    return {c: choose(results, dataset, protocol="LP", classes=c, systems=(LOG_POWER_LDA,)) for c in SETS}


def over_lda(rows: pd.DataFrame, line: pd.DataFrame, luck: float | None = None) -> dict:
    """How far a cell lies above LOG_POWER_LDA's probe, as the columns of OVER_LDA; {} where either has no row.

    Parameters
    ----------
    rows, luck : the cell's, as of :func:`summary`, whose way its interval has with seeds
    line : of the class set, from :func:`lines`

    Returns
    -------
    The difference and its 95 % interval: paired by user where both sides have every user's recalls of the same
    windows; else the squared distances of both to their bounds are added, as if they were independent, which misses
    differences and invents none
    """
    scores = rows[rows["metric"] != "user_recall"]
    if scores.empty or line.empty:
        return {}
    one, other = recall_counts(rows), recall_counts(line)
    if one and other and len(one[1]) == len(scores) and _same_windows(one, other):
        luck = luck if len(one[1]) > 1 else None  # of one training the interval covers users alone, as the cell's does
        return compared(*bootstrap_over_seeds(*np.broadcast_arrays(one[0], other[0]), luck=luck))
    a, b = summary(rows, luck), summary(line)
    low, high = (
        np.hypot(a["value"] - a["low"], b["high"] - b["value"]),
        np.hypot(a["high"] - a["value"], b["value"] - b["low"]),
    )
    difference = a["value"] - b["value"]
    return compared(difference, difference - low, difference + high)


def compared(value: float, low: float, high: float) -> dict:
    """A difference from LOG_POWER_LDA as the columns of OVER_LDA: marked unless its interval is known and above 0."""
    return dict(zip(OVER_LDA, (value, low, high, "" if low > 0 else NOT_ABOVE), strict=True))


def _same_windows(one: tuple, other: tuple) -> bool:
    """Whether two results of :func:`recall_counts` have the same users with as many windows of each class."""
    return (
        one[2] == other[2] and one[0].shape[1:] == other[0].shape[1:] and (one[0][:1, ..., 1] == other[0][..., 1]).all()
    )


def beside(system, protocol, classes, dataset, gallery="all", **more) -> dict:
    """The paper's number for a cell, as columns; its zero-shot numbers stand beside its own gallery, "all", only."""
    found = (None, NOT_IN_SOURCE)
    if protocol != "ZS" or gallery == "all":
        found = lookup(system, protocol, classes, dataset, **more)
    return {"paper_value": np.nan if found[0] is None else found[0], "paper_source": found[1]}
