"""How results grow with windows and users (ours; no paper has it): cells for a table and a figure, and a difference."""

import itertools

import pandas as pd

from embridge.grids import GROWN, GROWTH
from embridge.paper.differences import lda_lines, over_lda, seed_differences
from embridge.paper.numbers import CELLS
from embridge.paper.table_cells import NOT_PRINTED, cell_frame, choose, select, summary, sweep

SYSTEMS = ("EMG-MAE", "CPEP", "CPEP on waveforms", "EMBridge")


def growth_rows(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Balanced accuracy by system, and by users and about how many windows all its training saw, in GROWTH's order.

    Systems with rows of one size alone are left out.
    """
    cells, lines = [], lda_lines(results, dataset)
    for system in SYSTEMS:
        rows = sweep(results, dataset, system, GROWN)
        sizes = GROWTH if rows["param_value"].nunique() > 1 else ()
        if system.endswith("waveforms"):  # 288 kB a window: of no more users than the profile has
            sizes = [value for value in sizes if GROWTH[value][0] <= 1]
        for value, (protocol, classes) in itertools.product(sizes, CELLS):
            part = choose(rows, dataset, protocol=protocol, classes=classes, system=system, value=value)
            users, windows = map(int, value.split(", "))
            labels = {"system": system, "windows": windows, "users": users, "protocol": protocol, "classes": classes}
            cells.append(labels | summary(part) | over_lda(part, lines[classes]) | NOT_PRINTED)
    return cell_frame(cells, ["system", "windows", "users", "protocol", "classes"])


def more_users(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """76 users less 19 at as many windows; columns as of :func:`~embridge.paper.differences.seed_differences`."""
    of = {"76, 4000": ", 76 users", "19, 4000": ", 19 users"}
    rows = select(pd.concat(sweep(results, dataset, s, GROWN) for s in SYSTEMS), param_value=(*of,))
    named = rows.assign(system=rows["system"] + rows["param_value"].map(of), param="", param_value="")
    pairs = [tuple(system + users for users in of.values()) for system in SYSTEMS]
    return seed_differences(pd.concat([results, named]), dataset, pairs)
