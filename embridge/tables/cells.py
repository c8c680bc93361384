"""What all tables share: rows chosen from the tidy results, one number for a cell, and one way to print it."""

import numpy as np
import pandas as pd

from embridge import config
from embridge.errors import InputError
from embridge.paper import NOT_IN_SOURCE, lookup
from embridge.statistics import bootstrap_over_seeds, luck_of_training, widened

HEADLINE_OPTIONS = ("", "corpus=class set")  # E 3.1's gallery; other options are rows of their own tables
HEADLINE_PARAMS = ("", "C", "k")  # what a row that belongs to no sweep may name
MISSING = "–"
MARK = "†"  # of a cell that is not from this run
USER_METRICS = ("user_f1", "user_recall")
MEASURED = ("value", "low", "high", "interval_kind", "origin")


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
    paper's where its source only estimates it. ``paper``: False leaves the paper's half out.
    """
    value, source = found["paper_value"], found["paper_source"]
    about = "~" if "approx." in source else ""
    theirs = NOT_IN_SOURCE if pd.isna(value) else f"paper {about}{number(value, 2 if about else 3)}"
    text = interval(found["value"], found["low"], found["high"], digits) + (f" | {theirs}" if paper else "")
    return f"{text} {marks[found['origin']]}" if found["origin"] and marks else text


def origin_marks(cells: pd.DataFrame) -> dict[str, str]:
    """Origin to its mark: "†" where there is one besides this run, else "†1", "†2", ... in the order of their text."""
    origins = sorted(set(cells["origin"]) - {""})
    return {o: MARK if len(origins) == 1 else f"{MARK}{i}" for i, o in enumerate(origins, start=1)}


def footnotes(cells: pd.DataFrame) -> tuple[str, ...]:
    """A line for each origin besides this run: "† long run, 2026-11-21, abc1234"."""
    return tuple(f"{mark} {origin}" for origin, mark in origin_marks(cells).items())


def cell_frame(cells: list[dict], labels: list[str]) -> pd.DataFrame:
    """Cells as tidy numbers: the labels, the columns of MEASURED, paper_value and paper_source."""
    return pd.DataFrame(cells, columns=[*labels, *MEASURED, "paper_value", "paper_source"])


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
    return config.for_dataset(config.profile("paper"), dataset).evaluation.k


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

    With them their seeds and users, in order; None where there are no such rows.
    """
    rows = rows[rows["metric"] == "user_recall"]
    if rows.empty:
        return None
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
        value, half = rows["value"].mean(), luck_of_training([rows["value"]]) if luck is None else luck
        below, above = (np.sqrt(np.square(rows[c] - rows["value"]).mean()) for c in ("low", "high"))
        numbers = widened(value, value - below, value + above, half / np.sqrt(len(rows)))
    kind = f"95 %, {len(rows)} seeds (Student) and their users in quadrature"
    return dict(zip(MEASURED, (*numbers, kind, origin), strict=True))


def beside(system, protocol, classes, dataset, gallery="all", **more) -> dict:
    """The paper's number for a cell, as columns; its zero-shot numbers stand beside its own gallery, "all", only."""
    found = (None, NOT_IN_SOURCE)
    if protocol != "ZS" or gallery == "all":
        found = lookup(system, protocol, classes, dataset, **more)
    return {"paper_value": np.nan if found[0] is None else found[0], "paper_source": found[1]}
