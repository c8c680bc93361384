"""The papers' tables from tidy results alone, our numbers beside theirs.

Each function takes the frame of :func:`embridge.results.collect` and returns a frame of text cells for a page;
:func:`markdown` writes any of them.
"""

import numpy as np
import pandas as pd

from embridge.errors import InputError
from embridge.paper import CELLS, NOT_IN_SOURCE, lookup
from embridge.statistics import mean_over_seeds

TABLE_2_SYSTEMS = ("Upper bound", "EMG-MAE", "CPEP", "Q-Former", "EMBridge")
UNIMODAL = ("Upper bound", "EMG-MAE")
ALIGNED = ("CPEP", "Q-Former", "EMBridge")
POLICIES = ("all", "not-self", "other-repetitions", "other-users")  # report order
HEADLINE_OPTIONS = ("", "corpus=class set")  # E 3.1's gallery; other options are rows of their own tables
MISSING = "–"


def number(value, digits: int = 2) -> str:
    """A number as tables print it; a dash where there is none."""
    return MISSING if value is None or pd.isna(value) else f"{value:.{digits}f}"


def interval(value, low, high) -> str:
    """``0.49 [0.41, 0.57]``; the brackets only where the bounds are known."""
    return number(value) if pd.isna(low) or pd.isna(high) else f"{number(value)} [{number(low)}, {number(high)}]"


def cell(own: tuple[float, float, float] | None, paper: float | None) -> str:
    """``0.49 [0.41, 0.57] | paper 0.757``: our number with its interval beside the paper's."""
    ours = interval(*own) if own else MISSING
    return f"{ours} | {NOT_IN_SOURCE}" if paper is None else f"{ours} | paper {number(paper, 3)}"


def markdown(table: pd.DataFrame) -> str:
    """A frame as a Markdown table; its index is shown where it is named. Bars inside cells are escaped."""
    shown = table.reset_index() if any(name is not None for name in table.index.names) else table
    rows = [list(map(str, shown.columns)), ["---"] * len(shown.columns)]
    for line in shown.itertuples(index=False):
        rows.append([number(v) if isinstance(v, float) or pd.isna(v) else str(v) for v in line])
    escaped = ([text.replace("|", "\\|").replace("\n", " ") for text in row] for row in rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in escaped)


def select(results: pd.DataFrame, **equal) -> pd.DataFrame:
    """Rows whose columns equal the given values; a tuple allows several. Unknown columns raise InputError."""
    keep = pd.Series(True, index=results.index)
    for column, value in equal.items():
        if column not in results:
            raise InputError(f"results: expected a column of the tidy results, found {column!r}")
        keep &= results[column].isin(value if isinstance(value, tuple) else (value,))
    return results[keep]


def summary(rows: pd.DataFrame) -> tuple[float, float, float] | None:
    """(value, low, high) of one cell: the row's own interval, or over seeds where there are several; None: no row.

    Raises InputError where a seed has more than one row, since the selection then mixes settings.
    """
    if rows.empty:
        return None
    if rows["seed"].duplicated().any():
        varying = [c for c in ("options", "param_value", "draw", "batch_size", "profile") if rows[c].nunique() > 1]
        raise InputError(
            f"results: expected one row a seed for {rows['system'].iloc[0]}, found {len(rows)} that differ in "
            f"{', '.join(varying) or 'run_key'}; select one setting first"
        )
    if len(rows) == 1:
        return tuple(float(rows[column].iloc[0]) for column in ("value", "low", "high"))
    return mean_over_seeds(rows["value"])


def table2(
    results: pd.DataFrame,
    dataset: str,
    *,
    systems: tuple[str, ...] = TABLE_2_SYSTEMS,
    gallery: str = "all",
    pooling: str = "max",
) -> pd.DataFrame:
    """E Table 2: balanced accuracy of each system under both protocols and class sets, the paper's beside it.

    Parameters
    ----------
    results : tidy rows
    dataset : "simulated" and "emg2pose" stand beside the paper's emg2pose; other datasets beside nothing
    systems : rows, in order; those that were not trained show the paper's number alone
    gallery, pooling : of the zero-shot columns. The paper's numbers are printed for its own gallery, "all", only

    Returns
    -------
    DataFrame with columns group, system, one for each of LP in, LP unseen, ZS in, ZS unseen, and source
    """
    lines = []
    for system in systems:
        line = {"group": "unimodal" if system in UNIMODAL else "multi-modal", "system": system}
        sources = []
        for protocol, classes in CELLS:
            paper, source = _paper(system, protocol, classes, dataset, gallery)
            sources += [source] if paper is not None else []
            rows = _headline(results, dataset, "balanced_accuracy", classes, protocol, gallery, pooling, (system,))
            line[f"{protocol} {classes}"] = cell(summary(rows), paper)
        lines.append(line | {"source": "; ".join(dict.fromkeys(sources)) or NOT_IN_SOURCE})
    return pd.DataFrame(lines)


def gallery_table(results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...] = ALIGNED) -> pd.DataFrame:
    """Zero-shot balanced accuracy under every gallery policy and query pooling, side by side (METHOD 8).

    Returns a frame of classes, system, pooling and one column for each policy in the results.
    """
    rows = select(
        results, dataset=dataset, protocol="ZS", metric="balanced_accuracy", system=systems, options=HEADLINE_OPTIONS
    )
    policies = [p for p in POLICIES if (rows["gallery"] == p).any()]
    lines = []
    for classes in ("in", "unseen"):
        for system in systems:
            for pooling in ("max", "mean"):
                part = select(rows, classes=classes, system=system, pooling=pooling)
                if len(part):
                    found = {p: summary(select(part, gallery=p)) for p in policies}
                    text = {p: interval(*own) if own else MISSING for p, own in found.items()}
                    lines.append({"classes": classes, "system": system, "pooling": pooling} | text)
    return pd.DataFrame(lines, columns=["classes", "system", "pooling", *policies])


def corpus_table(results: pd.DataFrame, dataset: str, *, systems: tuple[str, ...] = ALIGNED) -> pd.DataFrame:
    """Zero-shot balanced accuracy, gallery "all", when it holds more than the class set (E 3.1 against E A.6)."""
    rows = select(results, dataset=dataset, protocol="ZS", metric="balanced_accuracy", system=systems, gallery="all")
    rows = rows[rows["pooling"] == "max"]
    lines = [
        {"classes": classes, "system": system}
        | {
            corpus.removeprefix("corpus="): interval(*found) if (found := summary(part)) else MISSING
            for corpus, part in select(rows, classes=classes, system=system).groupby("options", sort=False)
        }
        for classes in ("in", "unseen")
        for system in systems
    ]
    return pd.DataFrame(lines)


def headline_rows(results: pd.DataFrame, dataset: str, *, pooling: str = "max") -> pd.DataFrame:
    """Table 2's cells as numbers, a row each: system, protocol, classes, value, low, high, paper_value."""
    lines = []
    for system in TABLE_2_SYSTEMS:
        for protocol, classes in CELLS:
            rows = _headline(results, dataset, "balanced_accuracy", classes, protocol, "all", pooling, (system,))
            if (found := summary(rows)) is not None:
                paper = _paper(system, protocol, classes, dataset, "all")[0]
                lines.append((system, protocol, classes, *found, np.nan if paper is None else paper))
    return pd.DataFrame(lines, columns=["system", "protocol", "classes", "value", "low", "high", "paper_value"])


def policy_rows(results: pd.DataFrame, dataset: str, *, pooling: str = "max") -> pd.DataFrame:
    """Zero-shot balanced accuracy by gallery policy as numbers: system, classes, gallery, value, low, high."""
    lines = []
    for gallery in POLICIES:
        for system in ALIGNED:
            for classes in ("in", "unseen"):
                rows = _headline(results, dataset, "balanced_accuracy", classes, "ZS", gallery, pooling, (system,))
                if (found := summary(rows)) is not None:
                    lines.append((system, classes, gallery, *found))
    return pd.DataFrame(lines, columns=["system", "classes", "gallery", "value", "low", "high"])


def controls_table(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The controls (RELIABILITY) in both class sets, beside what each should give."""
    expected = {
        "Labels shuffled": "chance, 0.25",
        "CPEP, pairs shuffled": "chance, 0.25",
        "Untrained encoder": "what a random network gives",
    }
    lines = []
    for system, should in expected.items():
        rows = select(results, dataset=dataset, metric="balanced_accuracy", system=system)
        for (protocol, gallery), part in rows.groupby(["protocol", "gallery"], sort=False):
            found = {c: summary(select(part, classes=c)) for c in ("in", "unseen")}
            text = {c: interval(*own) if own else MISSING for c, own in found.items()}
            lines.append(
                {"control": system, "protocol": protocol, "gallery": gallery or MISSING, "should be": should} | text
            )
    return pd.DataFrame(lines)


def class_f1_table(
    results: pd.DataFrame,
    dataset: str,
    *,
    classes: str = "unseen",
    protocol: str = "ZS",
    gallery: str = "all",
    pooling: str = "max",
    systems: tuple[str, ...] = ALIGNED,
) -> pd.DataFrame:
    """F1 of each class and system, mean over seeds, the paper's beside it (E Fig. 3a, where the text gives it)."""
    rows = _headline(results, dataset, "class_f1", classes, protocol, gallery, pooling, systems)
    value = rows.groupby(["class", "system"])["value"].mean()
    lines = []
    for k in sorted(rows["class"].dropna().unique()):
        line = {"class": int(k)}
        for system in systems:
            paper, _ = _paper(system, protocol, classes, dataset, gallery, metric="class_f1", class_=int(k))
            line[system] = cell((value.get((k, system), np.nan), np.nan, np.nan), paper)
        lines.append(line)
    return pd.DataFrame(lines, columns=["class", *systems])


def user_gain_table(
    results: pd.DataFrame,
    dataset: str,
    *,
    system: str = "EMBridge",
    baselines: tuple[str, ...] = ("CPEP", "Q-Former"),
    classes: str = "unseen",
    protocol: str = "ZS",
    gallery: str = "all",
    pooling: str = "max",
) -> pd.DataFrame:
    """Each user's F1 and the system's relative gain over the baselines, ``system / baseline - 1`` (E Fig. 3b).

    Seeds are averaged first. Below the users come their mean (of gains: over users whose baseline is above 0), the
    overall gain (ratio of mean F1s, less 1), and the paper's two; numbers are floats, nan where undefined.
    """
    systems = (*baselines, system)
    rows = _headline(results, dataset, "user_f1", classes, protocol, gallery, pooling, systems)
    users = rows.groupby(["user", "system"])["value"].mean().unstack().reindex(columns=systems)
    mean = users.mean()
    table, names = users.copy(), {s: f"gain over {s}" for s in baselines}
    for s, name in names.items():
        table[name] = users[system] / users[s].where(users[s] > 0) - 1
    lines = {"mean": table.mean(), "overall": pd.Series({n: mean[system] / mean[s] - 1 for s, n in names.items()})}

    def paper(metric, columns):
        found = {c: _paper(s, protocol, classes, dataset, gallery, metric=metric)[0] for s, c in columns.items()}
        return pd.Series(found, dtype=float)

    lines["paper, mean"] = pd.concat([paper("user_f1", {s: s for s in systems}), paper("user_gain", names)])
    lines["paper, overall"] = paper("overall_gain", names)
    table = pd.concat([table, pd.DataFrame(lines).T.reindex(columns=table.columns)])
    return table.rename_axis(index="user", columns=None)


def confusion_table(
    results: pd.DataFrame,
    dataset: str,
    system: str,
    *,
    classes: str,
    protocol: str = "ZS",
    gallery: str = "all",
    pooling: str = "max",
) -> pd.DataFrame:
    """Confusion counts, summed over seeds: row true class, column predicted class; -1 is "none of the classes"."""
    rows = _headline(results, dataset, "confusion", classes, protocol, gallery, pooling, (system,))
    table = rows.pivot_table(index="true", columns="predicted", values="value", aggfunc="sum", fill_value=0)
    return table.astype(int)


def _paper(system, protocol, classes, dataset, gallery, **more):
    """The paper's number; its zero-shot numbers stand beside its own gallery, "all", only."""
    if protocol == "ZS" and gallery != "all":
        return None, NOT_IN_SOURCE
    return lookup(system, protocol, classes, dataset, **more)


def _headline(results, dataset, metric, classes, protocol, gallery, pooling, systems):
    """Rows of one metric under one protocol, without those of single users (unless the metric is theirs) or sweeps."""
    zero_shot = protocol == "ZS"
    rows = select(
        results,
        dataset=dataset,
        metric=metric,
        classes=classes,
        protocol=protocol,
        system=systems,
        gallery=gallery if zero_shot else "",
        options=HEADLINE_OPTIONS,
        **({} if metric == "user_f1" else {"user": ""}),
    )
    if not zero_shot:
        return rows
    # M = 1 (CPEP) has nothing to pool: its "max" rows stand for either pooling
    pooled = set(rows.loc[rows["pooling"] == pooling, "system"])
    return rows[rows["pooling"] == rows["system"].map(lambda s: pooling if s in pooled else "max")]
