"""METHOD 9's table with a number in each cell: what every alternative to a default changes."""

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from embridge.experiments import OPEN_CHOICES, Choice
from embridge.paper import CELLS
from embridge.tables.cells import MEASURED, MISSING, footnotes, origin_marks, prefer_own, select, summary

DIFFERENCE = "balanced_accuracy_difference"
UNCHANGED = "same"  # a cell that the alternative cannot change
_CELL_NAMES = {"LP": "probe", "ZS": "zero-shot"}


def open_choice_rows(results: pd.DataFrame, dataset: str, choices: Iterable[Choice]) -> pd.DataFrame:
    """Differences in balanced accuracy, alternative less default, as numbers.

    Parameters
    ----------
    results : tidy rows, those of metric DIFFERENCE among them
    choices : the alternatives that the dataset can measure, in order

    Returns
    -------
    DataFrame with columns option, default, alternative, system, protocol, classes, value, low, high, interval_kind and
    origin; a row a cell that the alternative can change, nan where it was not measured yet
    """
    rows, cells = select(results, dataset=dataset, metric=DIFFERENCE), []
    for choice, (protocol, classes) in itertools.product(choices, CELLS):
        if protocol not in choice.protocols:
            continue
        how = {"system": choice.system, "param": choice.option, "param_value": choice.alternative}
        found = prefer_own(select(rows, **how, protocol=protocol, classes=classes), ["system"])
        labels = {name: getattr(choice, name) for name in ("option", "default", "alternative", "system")}
        cells.append(labels | {"protocol": protocol, "classes": classes} | summary(found))
    return pd.DataFrame(cells, columns=["option", "default", "alternative", "system", "protocol", "classes", *MEASURED])


def open_choices(cells: pd.DataFrame) -> pd.DataFrame:
    """:func:`open_choice_rows` as text, a line an alternative, with the verdict on each option in its first line.

    An option without any cell has a line with its verdict alone.
    """
    marks, sentences, lines = origin_marks(cells), verdicts(cells), []
    for (option, default), group in itertools.groupby(OPEN_CHOICES, lambda c: (c.option, c.default)):
        having = [c for c in group if len(_of(cells, c))]
        for choice in having or [c for c in OPEN_CHOICES if c.option == option][:1]:
            found = {(f["protocol"], f["classes"]): _signed(f, marks) for f in _of(cells, choice).to_dict("records")}
            other = UNCHANGED if found else MISSING
            texts = {f"{p} {c}": found.get((p, c), other) for p, c in CELLS}
            line = {"option": option, "default": default, "alternative": choice.alternative, "of": choice.system}
            lines.append(line | texts | {"verdict": sentences.pop(option, "")})
    table = pd.DataFrame(lines)
    table.attrs["footnotes"] = footnotes(cells)
    return table


def verdicts(cells: pd.DataFrame) -> dict[str, str]:
    """A sentence on each option of METHOD 9, from the numbers of :func:`open_choice_rows` alone."""
    return {
        option: _verdict(cells[cells["option"] == option]) for option in dict.fromkeys(c.option for c in OPEN_CHOICES)
    }


def clear(cells: pd.DataFrame) -> pd.Series:
    """Which differences' intervals leave zero out."""
    return (cells["low"] > 0) | (cells["high"] < 0)


def _verdict(cells: pd.DataFrame) -> str:
    if cells.empty:
        return "Not measured on this dataset."
    known, named = cells.dropna(subset="value"), cells["alternative"] + cells["system"]
    if known.empty:
        return "No rows yet."
    several = cells["system"].nunique() > 1
    absent = cells.loc[~named.isin(named[known.index]), ["system", "alternative"]].drop_duplicates()
    rest = "; ".join(f"{a} ({s})" if several else a for s, a in absent.itertuples(index=False))
    rest = f" No rows yet: {rest}." if rest else ""
    ordered = known.reindex(known["value"].abs().sort_values(ascending=False, kind="stable").index)
    found = ordered[clear(ordered)]
    if len(found):
        told = "; ".join(_told(f, several) for f in found.to_dict("records"))
        return f"Matters: {told}.{rest}"
    if known["low"].isna().all():
        return f"Cannot tell: these scores have no interval.{rest}"
    if not known[["value", "low", "high"]].any(axis=None):
        return f"Changes nothing on this dataset: every window is scored as before.{rest}"
    largest = _told(ordered.iloc[0].to_dict(), several)
    return f"Does not matter beyond the intervals here; the largest difference is {largest}.{rest}"


def _told(found: dict, several: bool) -> str:
    name = f"{found['alternative']} ({found['system']})" if several else found["alternative"]
    return f"{name}, {_CELL_NAMES[found['protocol']]} {found['classes']} {_signed(found)}"


def _of(cells: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    return select(cells, option=choice.option, alternative=choice.alternative, system=choice.system)


def _signed(found: dict, marks: dict[str, str] | None = None) -> str:
    """``+0.05 [+0.01, +0.09]``, the interval where it is known."""
    if np.isnan(found["value"]):
        return MISSING
    value, low, high = (f"{found[c]:+.2f}" for c in ("value", "low", "high"))  # "-0.00" leaves zero out
    text = value if np.isnan(found["low"]) else f"{value} [{low}, {high}]"
    return f"{text} {marks[found['origin']]}" if marks and found["origin"] else text
