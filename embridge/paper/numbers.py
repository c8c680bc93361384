"""Every number of the papers that ours are printed beside, each with its source (METHOD 8).

"E" is the EMBridge paper, "C" a third party's summary of CPEP. C's approximate cells contradict E, and E's final
version is only quoted to us, so these are listed but looked up only by the name of their table. The numbers are in
numbers.toml beside this module. TABLES holds every cell of every printed table, also those that a source leaves empty;
E Table 1's counts are in :data:`embridge.data.splits.PAPER`. Figs. 3c, 4 and 8 are images without numbers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from embridge.files import read_toml

NOT_IN_SOURCE = "not in the source"
CELLS = (("LP", "in"), ("LP", "unseen"), ("ZS", "in"), ("ZS", "unseen"))  # order of a row's numbers
BATCH_SIZE = 256  # E A.6


@dataclass(frozen=True)
class PaperNumber:
    """One published number, or a cell that its source leaves empty (``value`` None)."""

    system: str
    protocol: str
    classes: str
    value: float | None
    source: str
    dataset: str = "emg2pose"  # or "ninapro"
    metric: str = "balanced_accuracy"
    class_: int | None = None  # in METHOD 1's order
    batch_size: int = BATCH_SIZE
    quoted: bool = False  # printed, never scored: its source only estimates or quotes it


def _cells(printed: list[dict]) -> Iterator[tuple[str, PaperNumber]]:
    """Each cell of numbers.toml with the table that it stands in."""
    for about in printed:
        shared = {name: value for name, value in about.items() if name not in ("table", "rows")}
        for system, row in about["rows"].items():
            for cell, value in zip(CELLS, row, strict=False) if isinstance(row, list) else ((("ZS", "unseen"), row),):
                number = PaperNumber(system, *cell, None if math.isnan(value) else value, **shared)
                yield about.get("table", ""), number


_READ = read_toml(__file__)
TABLES: dict[str, tuple[PaperNumber, ...]] = {  # earlier tables win a look-up: E before C
    name: tuple(number for _, number in cells) for name, cells in groupby(_cells(_READ["printed"]), itemgetter(0))
}
EMGBLEND = tuple(number for _, number in _cells(_READ["emgblend"]))  # of none of TABLES
NUMBERS = tuple(number for cells in TABLES.values() for number in cells if number.value is not None)
_DATASETS = {"simulated": "emg2pose", "simulated-ninapro": "ninapro"}  # whose numbers stand beside a simulation's


def lookup(
    system: str, protocol: str, classes: str, dataset: str = "emg2pose", *, table: str | None = None, **more
) -> tuple[float | None, str]:
    """The published number for a cell and its source; (None, "not in the source") where there is none.

    protocol, classes : "LP" or "ZS", "in" or "unseen"
    dataset : "simulated" stands for "emg2pose", "simulated-ninapro" for "ninapro"
    table : a key of TABLES: its numbers alone, quoted ones too, whose source says so. None: all tables, and no quoted
        number (METHOD: printed, never scored)
    more : metric, class_ and batch_size, where they are not those of most numbers
    """
    wanted = {"system": system, "protocol": protocol, "classes": classes, "dataset": _DATASETS.get(dataset, dataset)}
    wanted |= {"metric": "balanced_accuracy", "class_": None, "batch_size": BATCH_SIZE} | more
    for n in NUMBERS if table is None else TABLES[table]:
        if wanted.items() <= vars(n).items() and n.value is not None and not (n.quoted and table is None):
            return n.value, n.source
    return None, NOT_IN_SOURCE
