"""Numbers of one dataset's tidy results with their intervals, and differences between them."""

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from embridge.splits import SETS
from embridge.statistics import bootstrap_over_seeds, mean_over_groups
from embridge.systems import EXPERIMENTS
from embridge.tables import data_efficiency_rows, headline_rows, select, sensitivity_rows, table4_rows
from embridge.tables.cells import choose, prefer_own, recall_counts

SYSTEMS = ("Upper bound", *(name for name, e in EXPERIMENTS.items() if not e.system))
MEASURED = ["value", "low", "high"]


@dataclass(frozen=True)
class Cell:
    """One measured number: a system, or a pair "A - B", under "LP", "ZS" or another measure, on a class set.

    ``setting``: what differs from the system as it is: "k_c = 10", "40% of pairs", "B = 512", "0.5 of shots",
    "gesture 1"; "": nothing.
    """

    system: str
    measure: str
    classes: str
    setting: str = ""

    @property
    def name(self) -> str:
        """The system and its setting."""
        return ", ".join(part for part in (self.system, self.setting) if part)


@dataclass(frozen=True)
class Number:
    """A value with its 95 % interval (nan: none) and where its rows come from."""

    value: float
    low: float = np.nan
    high: float = np.nan
    origins: frozenset[str] = field(default_factory=frozenset)


class Evidence:
    """What a frame of :func:`embridge.results.collect` says about one dataset.

    Attributes
    ----------
    cells : :class:`Cell` to :class:`Number`; what has no row is not in it
    """

    def __init__(self, results: pd.DataFrame, dataset: str):
        self.results, self.dataset = select(results, dataset=dataset), dataset
        self.systems = tuple(name for name in SYSTEMS if name in set(self.results["system"]))
        self.cells: dict[Cell, Number] = {}
        self._tables()
        self._few_shot()
        self._f1()

    def _add(self, cell: Cell, value, low, high, origins) -> None:
        if not pd.isna(value):
            self.cells[cell] = Number(float(value), float(low), float(high), frozenset(origins))

    def _tables(self) -> None:
        """Balanced accuracies, from the functions that make the tables."""
        rows, name = self.results, self.dataset
        sizes = select(table4_rows(rows, name), convention="same epochs")
        parts = (
            (headline_rows(rows, name, systems=self.systems), lambda f: ""),
            (sensitivity_rows(rows, name).assign(system="EMBridge"), lambda f: f"{f['param']} = {f['param_value']}"),
            (data_efficiency_rows(rows, name).assign(protocol="ZS"), lambda f: f"{f['fraction']:.0%} of pairs"),
            (sizes.assign(protocol="ZS", classes="unseen"), lambda f: f"B = {f['batch_size']}"),
        )
        for table, setting in parts:
            for found in table.dropna(subset="value").to_dict("records"):
                cell = Cell(found["system"], found["protocol"], found["classes"], setting(found))
                self._add(cell, *(found[c] for c in MEASURED), found["origin"].split("; "))

    def _few_shot(self) -> None:
        """Means over draws; their own spread is added in quadrature to the users' (mean square over draws)."""
        how = {"protocol": "LP", "metric": "balanced_accuracy", "param": "shots_fraction", "options": "unit=recordings"}
        keys = ["system", "classes", "param_value"]
        for (system, classes, share), part in prefer_own(select(self.results, **how), keys).groupby(keys):
            value = part["value"].mean()
            draws = 1.96 * part["value"].std(ddof=1) / len(part) ** 0.5 if len(part) > 1 else 0.0
            half = [np.hypot(draws, np.sqrt(np.square(part[c] - part["value"]).mean())) for c in ("low", "high")]
            cell = Cell(system, "LP", classes, f"{float(share):.3g} of shots")
            self._add(cell, value, value - half[0], value + half[1], part["origin"])

    def _f1(self) -> None:
        """F1 under zero-shot on unseen gestures: EMBridge less a rival, of each gesture and over users."""
        how = {"protocol": "ZS", "classes": "unseen", "gallery": "all"}
        for found in select(self.results, metric="class_f1_difference", **how).to_dict("records"):
            cell = Cell(found["system"], "F1", "unseen", f"gesture {found['class']}")
            self._add(cell, *(found[c] for c in MEASURED), [found["origin"]])
        users = choose(
            self.results, self.dataset, protocol="ZS", classes="unseen", systems=self.systems, metric="user_f1"
        )
        f1 = users.groupby(["user", "system"])["value"].mean().unstack()  # seeds are averaged first
        for rival in [s for s in ("CPEP", "Q-Former") if {s, "EMBridge"} <= set(f1)]:
            origins = users.loc[users["system"].isin((rival, "EMBridge")), "origin"]
            gain = {
                "user F1": f1["EMBridge"] - f1[rival],
                "relative gain of user F1": f1["EMBridge"] / f1[rival].where(f1[rival] > 0) - 1,
            }
            for measure, values in gain.items():
                values = values.dropna()
                if len(values):
                    cell = Cell(f"EMBridge - {rival}", measure, "unseen")
                    self._add(cell, *mean_over_groups(values.to_numpy(), values.index), origins)

    @cached_property
    def _recalls(self) -> dict[Cell, tuple]:
        """Counts (S, G, K, 2), seeds and users of each cell whose rows have every user's recalls."""
        found = {}
        for protocol, classes in itertools.product(("LP", "ZS"), SETS):
            rows = choose(self.results, self.dataset, protocol=protocol, classes=classes, systems=self.systems)
            for system, part in rows.groupby("system"):
                counts = recall_counts(part)
                if counts and counts[1] == sorted(part.loc[part["metric"] == "balanced_accuracy", "seed"]):
                    found[Cell(system, protocol, classes)] = counts
        return found

    def difference(self, terms: tuple[tuple[float, "Cell | float"], ...]) -> tuple[Number, bool]:
        """A weighted sum of cells and constants, and whether its interval is a paired one.

        Two cells of the same users and seeds, one less the other, are compared on the same resamples of both.
        Otherwise the distances of each cell to its bounds are combined in quadrature, as if cells were independent.
        Since they share users, whose common part would cancel, that interval is usually too wide: it misses
        differences and does not invent them.
        """
        numbers = [(w, self.cells[c] if isinstance(c, Cell) else Number(c, c, c)) for w, c in terms]
        origins = frozenset().union(*(n.origins for _, n in numbers))
        if [w for w, _ in terms] == [1, -1]:
            a, b = (self._recalls.get(c) for _, c in terms)
            if a and b and a[1:] == b[1:] and (a[0][..., 1] == b[0][..., 1]).all():
                return Number(*bootstrap_over_seeds(a[0], b[0]), origins), True
        value = sum(w * n.value for w, n in numbers)
        below, above = 0.0, 0.0
        for w, n in numbers:
            bounds = [w * n.value - w * n.low, w * n.high - w * n.value]
            down, up = bounds if w > 0 else [-x for x in reversed(bounds)]
            below, above = below + down**2, above + up**2
        return Number(value, value - below**0.5, value + above**0.5, origins), False
