"""What the front end is worth: the headline's systems on waveforms beside log-power (METHOD 1), ours, of no paper.

Rows of the front end that a page does not train on say so in ``options``, so that no other table takes them. The cells
are :data:`embridge.paper.tables.TABLES`' "front_ends".
"""

import itertools

import numpy as np
import pandas as pd

from embridge.config import TOKENS
from embridge.experiments import ALIGNED, LOG_POWER_LDA, NO_NETWORK, UNTRAINED, UPPER_BOUND
from embridge.paper.differences import common_seeds, paired, seed_spread
from embridge.paper.numbers import CELLS, EMGBLEND
from embridge.paper.table_cells import NOT_ABOVE, OVER_LDA, choose, measured, number, select

SYSTEMS = (*NO_NETWORK, UPPER_BOUND, UNTRAINED, "EMG-MAE", *ALIGNED)
OPTION = "tokens="  # begins the options of a row that is not of its page's front end, one of TOKENS
WORTH = "worth"  # in a cell's "tokens": log-power less waveform
NAMES = {"waveform": "waveforms", "features": "log-power", WORTH: "log-power less waveforms"}


def of_front_ends(results: pd.DataFrame, own: str) -> dict[str, pd.DataFrame]:
    """Tidy rows by front end, all seeds in one; those of the page are ``own``'s. No network's are on either."""
    said = results["options"].str.removeprefix(OPTION).where(results["options"].str.startswith(OPTION), own)
    found = {tokens: results[said == tokens] for tokens in TOKENS}
    found[own] = found[own].assign(origin="")  # its seeds are this run's and committed ones: one mean
    lines = select(found[own], system=NO_NETWORK)
    return {t: rows if t == own else pd.concat([lines, rows.assign(options="")]) for t, rows in found.items()}


def worth(frames: dict[str, pd.DataFrame], dataset: str) -> list[dict]:
    """Cells of log-power less waveform, paired by seed and user, of the seeds that both have; nan where none can be."""
    cells = []
    for system, (protocol, classes) in itertools.product(SYSTEMS[len(NO_NETWORK) :], CELLS):
        where = {"protocol": protocol, "classes": classes, "system": system}
        sides = [choose(frames[t].assign(origin=""), dataset, **where) for t in ("features", "waveform")]
        spreads = [seed_spread(frame, dataset, protocol, classes) for frame in frames.values()]
        less, kind = 3 * (np.nan,), ""
        if both := common_seeds(*sides):
            less = paired(*both, np.hypot(*spreads) if system in ALIGNED else None)
            kind = f"95 %, paired by user, {len(both[0][1])} seeds"
        cells.append(where | {"tokens": WORTH} | measured(less, kind, origin=""))
    return cells


def sentences(cells: pd.DataFrame) -> list[str]:
    """What the table's cells say: on each front end, who is not above the line without a network; then the difference.

    Of networks that read EMG; UPPER_BOUND reads poses.
    """
    cells, said = select(cells, system=(UNTRAINED, "EMG-MAE", *ALIGNED)).dropna(subset="value"), []
    judged = cells.reindex(columns=dict.fromkeys([*cells, *OVER_LDA])).dropna(subset="over_lda")
    for tokens in TOKENS:
        found = select(judged, tokens=tokens)
        below = select(found, mark=NOT_ABOVE)
        where = (below["protocol"] + " " + below["classes"]).groupby(below["system"], sort=False).agg(", ".join)
        told = "; ".join(f"{system} ({which})" for system, which in where.items())
        text = f"not shown to be above {LOG_POWER_LDA}: {len(below)} of {len(found)} scores, {told}."
        text = text if len(below) else f"above {LOG_POWER_LDA}: all {len(found)} scores."
        said.append(f"On {NAMES[tokens]} {text if len(found) else 'there is no score yet to judge.'}")
    both = select(cells, tokens=WORTH)
    above, under = (both["low"] > 0).sum(), (both["high"] < 0).sum()
    told = f"Of {len(both)} scores on both, log-power's is the higher in {above} and the lower in {under}; "
    told += f"{len(both) - above - under} cannot be told apart (95 %)."
    return [*said, told if len(both) else "No score is there on both front ends yet."]


def emgblend() -> pd.DataFrame:
    """EMGBLEND as text, a line a system: numbers of other recordings, which nothing of ours is scored against."""
    lines = {}
    for n in EMGBLEND:
        line = lines.setdefault(n.system, {"system": n.system, "source": n.source})
        line[f"{n.protocol} {n.classes}"] = number(n.value, 3)
    return pd.DataFrame(lines.values(), columns=["system", *map(" ".join, CELLS), "source"])
