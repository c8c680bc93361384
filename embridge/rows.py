"""The tidy row: one measured number with everything that says what it measures; and rows from predictions."""

import json
import math
from pathlib import Path

import numpy as np

from embridge import statistics as st
from embridge.config import RESULTS_VERSION
from embridge.errors import InputError

COLUMNS = (
    "dataset", "profile", "seed", "system", "protocol", "classes", "gallery", "pooling", "metric", "class", "user",
    "true", "predicted", "param", "param_value", "n_train", "draw", "batch_size", "options", "value", "low", "high",
    "interval_kind", "n", "paper_value", "paper_source", "run_key", "origin", "version",
)  # fmt: skip
INTEGERS = ("seed", "class", "true", "predicted", "n_train", "draw", "batch_size", "n", "version")
NUMBERS = ("value", "low", "high", "paper_value")
# "origin": "" for a row of this run, "long run, <date>, <commit>" for a committed one; a "+"
# behind the commit: tracked files outside figures/ differed from it when the row was made. "version": RESULTS_VERSION
# what a row measures: two rows that agree in all of these contradict each other
_NOT_KEY = ("n_train", *NUMBERS, "interval_kind", "n", "paper_source", "run_key", "origin", "version")
KEY = tuple(c for c in COLUMNS if c not in _NOT_KEY)
OTHER = -1  # in column "predicted": no vote, or a gesture that is none of the classes


def row(**fields) -> dict:
    """One tidy row with every column of COLUMNS, "" or None (numbers) where it does not apply.

    Counts and codes must be ints, NaN becomes None; ``version`` is RESULTS_VERSION unless given. ``dataset``,
    ``profile`` and ``metric`` are required. Raises InputError for an unknown column, a missing one, a wrong type or an
    infinite number.
    """
    unknown = sorted(set(fields) - set(COLUMNS))
    if unknown:
        raise InputError(f"results row: expected columns of embridge.results.COLUMNS, found {', '.join(unknown)}")
    found = {column: _field(column, fields.get(column)) for column in COLUMNS}
    found["version"] = found["version"] or RESULTS_VERSION
    missing = [column for column in ("dataset", "profile", "metric") if not found[column]]
    if missing:
        raise InputError(f"results row: expected a value for {', '.join(missing)}, found none in {fields}")
    return found


def _field(column, value):
    value = plain(value)
    if column in INTEGERS:
        if value in (None, ""):
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"results row: expected an int in column {column}, found {value!r}")
        return value
    if column in NUMBERS:
        if value in (None, ""):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"results row: expected a number in column {column}, found {value!r}")
        return float(value)
    return "" if value is None else str(value)


def plain(value):
    """A JSON value: numpy scalars and arrays, tuples, paths as plain ones, NaN as None; infinity is refused."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise InputError(f"results: expected a finite number or NaN, found {value}")
    if value is None or isinstance(value, str | int | float):
        return value
    raise InputError(f"results: expected text, numbers, lists or dicts, found {type(value).__name__}")


def as_text(about: dict, rows: list[dict]) -> str:
    """JSON of ``about`` and its ``rows``, without empty fields, a row a line: a file that git can show, and small."""
    full = [{c: v for c, v in fields.items() if v not in (None, "")} for fields in rows]
    lines = ",\n".join(json.dumps(fields, ensure_ascii=False, allow_nan=False) for fields in full)
    head = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False)[:-2]
    return f'{head},\n "rows": [\n{lines}\n]}}\n'


def evaluate_predictions(
    y,
    pred,
    groups,
    *,
    n_classes: int,
    users=None,
    n_resamples: int = 2000,
    bootstrap_seed: int = 0,
    strata=None,
    group_kind: str = "",
    recalls: bool = False,
    paper_value: float | None = None,
    paper_source: str = "",
    **fields,
) -> list[dict]:
    """Tidy rows for one set of predictions.

    Metrics: ``balanced_accuracy`` and ``macro_f1`` with their interval over groups, ``class_f1`` a class,
    ``confusion`` a (true, predicted) cell (value: windows; predicted -1: none of the classes), ``user_f1`` a user.
    ``n`` counts the windows behind a value.

    Parameters
    ----------
    y, pred, groups : (N,) true classes 0..n_classes-1, predictions (others count as wrong), what is resampled
    users : (N,) for ``user_f1``; None: the groups, unless each of these holds one class only and so is no user
    strata : see :func:`embridge.statistics.bootstrap_over_groups`
    group_kind : named in ``interval_kind``; "": "user", or "movement-repetition" where a group holds one class only
    recalls : adds ``user_recall``, a row a class and group: from these any two sets of predictions can be compared
        pair by pair, and seeds be put together, long after the predictions are gone
    paper_value, paper_source : go to the balanced accuracy alone
    fields : columns that all rows share

    Raises
    ------
    InputError
        as :func:`row` and :func:`embridge.statistics.group_counts`
    """
    y, pred, groups = np.asarray(y), np.asarray(pred), np.asarray(groups)
    found = st.group_counts(y, pred, groups, n_classes)
    kind = group_kind or ("movement-repetition" if found.single_class else "user")
    settings = {"n_classes": n_classes, "n_resamples": n_resamples, "seed": bootstrap_seed, "strata": strata}
    rows = []
    for metric in st.METRICS:
        value, low, high = st.bootstrap_over_groups(y, pred, groups, metric=metric, **settings)
        paper = {"paper_value": paper_value, "paper_source": paper_source} if metric == "balanced_accuracy" else {}
        spread = {"low": low, "high": high, "interval_kind": f"95 % bootstrap over {kind}"}
        rows.append(row(metric=metric, value=value, n=len(y), **spread, **paper, **fields))

    counts = found.counts.sum(0)
    f1 = st.per_class_f1(y, pred, n_classes)
    for k in range(n_classes):
        rows.append(row(metric="class_f1", **{"class": k}, value=f1[k], n=counts[k].sum(), **fields))
    for true, predicted in np.ndindex(counts.shape):
        if predicted < n_classes or counts[true, predicted]:
            column = predicted if predicted < n_classes else OTHER
            cell = {"true": true, "predicted": column, "value": counts[true, predicted], "n": counts[true].sum()}
            rows.append(row(metric="confusion", **cell, **fields))

    if users is None and not found.single_class:
        users = groups
    if users is not None:
        for user, value in st.per_group_f1(y, pred, users, n_classes).items():
            n = np.count_nonzero(np.asarray(users).astype(str) == user)
            rows.append(row(metric="user_f1", user=user, value=value, n=n, **fields))
    for (g, k), n in np.ndenumerate(found.counts.sum(-1)) if recalls else ():
        if n:
            cell = {"user": found.names[g], "class": k, "value": found.counts[g, k, k] / n, "n": n}
            rows.append(row(metric="user_recall", **cell, **fields))
    return rows


def compare_predictions(
    y,
    pred_a,
    pred_b,
    groups,
    *,
    n_classes: int,
    system: str,
    baseline: str,
    metric: str = "balanced_accuracy",
    n_resamples: int = 2000,
    bootstrap_seed: int = 0,
    **fields,
) -> dict:
    """One tidy row: ``system`` (a) minus ``baseline`` (b), with the paired 95 % interval over groups.

    Its metric is ``<metric>_difference`` and its system ``"<system> - <baseline>"``; otherwise as
    :func:`evaluate_predictions`.
    """
    value, low, high = st.paired_bootstrap(
        y, pred_a, pred_b, groups, metric=metric, n_classes=n_classes, n_resamples=n_resamples, seed=bootstrap_seed
    )
    return row(
        metric=f"{metric}_difference",
        system=f"{system} - {baseline}",
        value=value,
        low=low,
        high=high,
        interval_kind="95 % paired bootstrap",
        n=len(y),
        **fields,
    )
