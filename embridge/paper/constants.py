"""The choice of EMBridge's constants on D_tune (METHOD 6): what was tried, how well it did, what is chosen and how
flat the choice is. Rows of D_eval are never looked at.
"""

import numpy as np
import pandas as pd

from embridge.data.splits import SETS
from embridge.experiments import EXPERIMENTS
from embridge.grids import DEFAULTS, JOINT, JOINT_DEFAULTS, defaults
from embridge.paper import table_cells as tc
from embridge.paper.records import BOTH
from embridge.statistics import spread_over_seeds, widened

LEAST_GAIN = 0.005  # in balanced accuracy, for which a value is changed: a matter of taste, set before any was trained
# beyond the paper: system and param of each other loss, which has no value from before
OTHER_TARGETS = {(e.system, e.param): "" for e in EXPERIMENTS.values() if e.part == "soft targets"}
RULE = f"""Each value is trained with one seed; the two best of a parameter, and the value that stood before, get two
more; the largest mean of these is chosen, and the one that stood before where none is larger by {LEAST_GAIN}."""


def numbers(results: pd.DataFrame, dataset: str, usual: dict[tuple[str, str], str] | None = None) -> pd.DataFrame:
    """Zero-shot on D_tune of every value that was tried, as numbers.

    ``usual``: each system's param and the value that it had before; None: those of EMBridge and SoftCLIP.
    Columns system, param, param_value, default (bool: what EMBridge, or SoftCLIP, has), "in" and "unseen" (balanced
    accuracies, means over all seeds there are), mean (over both), low and high (its 95 % interval over users and seeds:
    one seed has the spread of the values that have several), seeds (how many), gain (over the default's), chosen (bool,
    by RULE) and origin. Params without two values are left out.
    """
    if usual is None:
        usual = {(system, JOINT): value for system, value in JOINT_DEFAULTS.items()}
        usual |= {("EMBridge", param): value for param, value in defaults(results["profile"]).items() if param != "k"}
    results, found, lines = tc.over_seeds(results), {}, []
    for system, param in usual:
        rows = tc.select(tc.sweep(results, dataset, system, param, every=True), options="D_tune")
        for value in sorted(rows["param_value"].unique(), key=tc.rising):
            how = {"protocol": "ZS", "system": system, "options": "D_tune", "value": value}
            found[system, param, value] = {c: tc.choose(rows, dataset, classes=c, **how) for c in (*SETS, BOTH)}
    spread = spread_over_seeds(cell[BOTH]["value"] for cell in found.values() if len(cell[BOTH]))
    for (system, param, value), cell in found.items():
        n, default = len(cell[BOTH]), tc.rising(value) == tc.rising(usual[system, param])
        means = widened(*tc.mean_interval(cell[BOTH]), spread / n**0.5) if n else 3 * [np.nan]
        origins = {origin for rows in cell.values() for origin in rows["made"]} - {""}
        own = [cell[c]["value"].mean() for c in SETS]
        lines.append([system, param, value, default, *own, *means, n, None, None, "; ".join(sorted(origins))])
    columns = ["system", "param", "param_value", "default", *SETS, "mean", "low", "high", "seeds", "gain", "chosen"]
    cells = pd.DataFrame(lines, columns=[*columns, "origin"])
    parts = [_judged(part) for _, part in cells.groupby(["system", "param"], sort=False) if len(part) > 1]
    return pd.concat(parts, ignore_index=True) if parts else cells[:0].astype({"chosen": bool})


def _judged(cells: pd.DataFrame) -> pd.DataFrame:
    """The values of one parameter with ``gain`` and ``chosen``."""
    usual = cells.loc[cells["default"], "mean"]
    gain = cells["mean"] - (usual.iloc[0] if len(usual) else np.nan)
    compared = cells[cells["seeds"] == cells["seeds"].max()]
    best = compared["mean"].idxmax() if compared["mean"].notna().any() else None
    kept = cells.index[cells["default"] & cells["mean"].notna()]
    if len(compared) < 2:
        best = None  # nothing else was given as many seeds
    elif len(kept) and best is not None and gain[best] < LEAST_GAIN:
        best = kept[0]
    return cells.assign(gain=gain, chosen=cells.index == best)


def text(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of :func:`numbers` as text; a column perplexity among them says how soft each value's targets are."""
    marks, cells = tc.origin_marks(cells), cells.reindex(columns=dict.fromkeys([*cells, "perplexity"]))
    means = cells[["mean", "low", "high", "origin"]].itertuples(index=False)
    shown = {
        "value": cells["param_value"] + [" (default)" * default for default in cells["default"]],
        "perplexity": ["" if pd.isna(soft) else f"{soft:.1f}" for soft in cells["perplexity"]],
        **{f"ZS {c}": [tc.number(v) for v in cells[c]] for c in SETS},
        "mean": [f"{tc.interval(*found)} {marks.get(origin, '')}".strip() for *found, origin in means],
        "seeds": cells["seeds"],
        "over default": [tc.number(gain, sign="+") for gain in cells["gain"]],
        "D_tune": ["chooses" * chosen for chosen in cells["chosen"]],
    }
    table = cells[["system", "param"]].assign(**shown)
    table.attrs["footnotes"] = tc.footnotes(cells)
    return table


def verdicts(cells: pd.DataFrame) -> list[str]:
    """A sentence on each parameter: what D_tune chooses over what, and how many values it cannot tell apart from it."""
    told = []
    for (system, param), part in cells.groupby(["system", "param"], sort=False):
        usual = part[part["default"] & part["mean"].notna()]
        chosen = part[part["chosen"]] if part["chosen"].any() else usual
        if chosen.empty:
            told.append(f"{system}, {param}: nothing to choose from yet.")
            continue
        best = chosen.iloc[0]
        alike = ((part["mean"] >= best["low"]) & (part.index != best.name)).sum()
        if not best["chosen"]:
            what = "nothing is chosen, no other value has as many seeds as the default"
        elif best["default"]:
            what = "keeps the default"
        else:
            what = f"takes {best['param_value']}" + f" for {usual['param_value'].iloc[0]}" * bool(len(usual))
            what += "" if pd.isna(best["gain"]) else f" ({best['gain']:+.3f})"
        told.append(f"{system}, {param}: {what}; {alike} of {len(part) - 1} others lie in its interval.")
    return told


def names() -> dict[tuple[str, str, str], str]:
    """Name of the experiment by system, parameter and value, as rows call them, of all that D_tune chooses from."""
    members = [e for e in EXPERIMENTS.values() if e.part in ("constants", "Fig. 4")]
    found = {(e.system, e.param, e.param_value): e.name for e in members}
    return found | {("EMBridge", param, usual): "EMBridge" for param, usual in DEFAULTS.items()}
