"""Numbers of one dataset's tidy results with their intervals, and differences between them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from embridge.paper import CELLS
from embridge.statistics import bootstrap_over_seeds, luck_of_training, mean_over_groups
from embridge.systems import EXPERIMENTS
from embridge.tables import data_efficiency_rows, headline_rows, luck, select, sensitivity_rows, table4_rows
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
    """A value with its 95 % interval (nan: none) and where its rows come from.

    ``luck``: how far it may lie from the mean of several trainings like its own, which the interval does not cover.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    origins: frozenset[str] = field(default_factory=frozenset)
    luck: float = 0.0


class Evidence:
    """What a frame of :func:`embridge.results.collect` says about one dataset.

    Attributes
    ----------
    cells : :class:`Cell` to :class:`Number`; what has no row is not in it. A system as it is has its mean over all
        seeds, committed ones among them
    """

    def __init__(self, results: pd.DataFrame, dataset: str):
        self.results, self.dataset = select(results, dataset=dataset), dataset
        self._all_seeds = self.results.assign(source=self.results["origin"], origin="")
        self.systems = tuple(name for name in SYSTEMS if name in set(self.results["system"]))
        self.cells: dict[Cell, Number] = {}
        self._luck = {cell: luck(self.results, dataset, *cell) for cell in CELLS}
        self._tables()
        self._few_shot()
        self._f1()

    def _add(self, cell: Cell, value, low, high, origins, *, luck: float = 0.0) -> None:
        if not pd.isna(value):
            self.cells[cell] = Number(float(value), float(low), float(high), frozenset(origins), luck)

    def _lucky(self, cell: Cell, interval_kind: str) -> float:
        return 0.0 if "seeds" in interval_kind else self._luck[cell.measure, cell.classes]

    def _tables(self) -> None:
        """Balanced accuracies, from the functions that make the tables."""
        rows, name = self.results, self.dataset
        sizes = select(table4_rows(rows, name), convention="same epochs")
        for found in _measured(headline_rows(self._all_seeds, name, systems=self.systems)):
            cell = Cell(found["system"], found["protocol"], found["classes"])
            origins = select(self._as_they_are[cell.measure, cell.classes], system=cell.system)["source"]
            self._add(cell, *(found[c] for c in MEASURED), origins, luck=self._lucky(cell, found["interval_kind"]))
        parts = (
            (sensitivity_rows(rows, name).assign(system="EMBridge"), lambda f: f"{f['param']} = {f['param_value']}"),
            (data_efficiency_rows(rows, name).assign(protocol="ZS"), lambda f: f"{f['fraction']:.0%} of pairs"),
            (sizes.assign(protocol="ZS", classes="unseen"), lambda f: f"B = {f['batch_size']}"),
        )
        for table, setting in parts:
            for found in _measured(table):
                cell = Cell(found["system"], found["protocol"], found["classes"], setting(found))
                luck = self._lucky(cell, found["interval_kind"])
                self._add(cell, *(found[c] for c in MEASURED), found["origin"].split("; "), luck=luck)

    @cached_property
    def _as_they_are(self) -> dict[tuple[str, str], pd.DataFrame]:
        """Rows of the systems without a setting, all seeds, by protocol and class set."""
        how = {"dataset": self.dataset, "systems": self.systems}
        return {(p, c): choose(self._all_seeds, protocol=p, classes=c, **how) for p, c in CELLS}

    def _few_shot(self) -> None:
        """Means over draws; their own spread is added in quadrature to the users' (mean square over draws)."""
        how = {"protocol": "LP", "metric": "balanced_accuracy", "param": "shots_fraction", "options": "unit=recordings"}
        keys = ["system", "classes", "param_value"]
        for (system, classes, share), part in prefer_own(select(self.results, **how), keys).groupby(keys):
            value = part["value"].mean()
            draws = 1.96 * part["value"].std(ddof=1) / len(part) ** 0.5 if len(part) > 1 else 0.0
            half = [np.hypot(draws, np.sqrt(np.square(part[c] - part["value"]).mean())) for c in ("low", "high")]
            cell = Cell(system, "LP", classes, f"{float(share):.3g} of shots")
            luck = self._lucky(cell, "seeds" if part["seed"].nunique() > 1 else "")
            self._add(cell, value, value - half[0], value + half[1], part["origin"], luck=luck)

    def _f1(self) -> None:
        """F1 under zero-shot on unseen gestures, EMBridge less a rival: of each gesture, and a user's on average.

        Values are means over all seeds. What a mean of so many trainings may still owe to their luck is added in
        quadrature to the users' part of the interval.
        """
        how = {"protocol": "ZS", "classes": "unseen"}
        rows = {
            unit: choose(self._all_seeds, self.dataset, metric=f"{unit}_f1", systems=self.systems, **how)
            for unit in ("class", "user")
        }
        origins = set(rows["user"].loc[rows["user"]["system"].isin(("EMBridge", "CPEP", "Q-Former")), "source"])
        f1 = {unit: r.groupby(["seed", unit, "system"])["value"].mean().unstack() for unit, r in rows.items()}
        gains = {
            f"EMBridge - {rival}": (f1["class"]["EMBridge"] - f1["class"][rival]).unstack("class")  # (seeds, classes)
            for rival in ("CPEP", "Q-Former")
            if {rival, "EMBridge"} <= set(f1["class"])
        }
        luck = luck_of_training(gain[k].dropna() for gain in gains.values() for k in gain)
        own = select(self.results, metric="class_f1_difference", gallery="all", **how)
        for found in own.to_dict("records"):
            gain = gains.get(found["system"], pd.DataFrame()).get(found["class"], pd.Series([found["value"]]))
            number = gain.mean(), *(gain.mean() + found[c] - found["value"] for c in ("low", "high"))
            cell = Cell(found["system"], "F1", "unseen", f"gesture {found['class']}")
            spread = 0.0 if "seeds" in found["interval_kind"] else luck / len(gain) ** 0.5
            self._add(cell, *_with_luck(*number, spread), {*origins, found["origin"]})

        mean = f1["user"].groupby("user").mean()
        for measure, of in (("user F1", _difference), ("relative gain of user F1", _relative)):
            rivals = [s for s in ("CPEP", "Q-Former") if {s, "EMBridge"} <= set(mean)]
            seeds = {s: of(f1["user"]["EMBridge"], f1["user"][s]).groupby("seed").mean() for s in rivals}
            luck = luck_of_training(seeds.values())
            for rival in rivals:
                values = of(mean["EMBridge"], mean[rival]).dropna()
                if len(values):
                    number = mean_over_groups(values.to_numpy(), values.index)
                    cell = Cell(f"EMBridge - {rival}", measure, "unseen")
                    self._add(cell, *_with_luck(*number, luck / len(seeds[rival]) ** 0.5), origins)

    @cached_property
    def _recalls(self) -> dict[Cell, tuple]:
        """Counts (S, G, K, 2), seeds and users of each cell whose rows have every user's recalls."""
        found = {}
        for protocol, classes in CELLS:
            for system, part in self._as_they_are[protocol, classes].groupby("system"):
                counts = recall_counts(part)
                if counts and counts[1] == sorted(part.loc[part["metric"] == "balanced_accuracy", "seed"]):
                    found[Cell(system, protocol, classes)] = counts
        return found

    @cached_property
    def _own(self) -> dict[Cell, Number]:
        """Systems as they are, of this run's seeds alone."""
        numbers = {}
        for f in _measured(headline_rows(self.results, self.dataset, systems=self.systems)):
            cell = Cell(f["system"], f["protocol"], f["classes"])
            numbers[cell] = Number(*(f[c] for c in MEASURED), frozenset(f["origin"].split("; ")))
        return numbers

    def difference(self, terms: tuple[tuple[float, "Cell | float"], ...]) -> tuple[Number, bool]:
        """A weighted sum of cells and constants, and whether its interval is a paired one.

        Two cells of the same users, one less the other, are compared on the same resamples of both (of the same seeds,
        too, or of all seeds of one and the only one of the other). Otherwise the distances of each cell to its bounds
        are combined in quadrature, as if cells were independent. Since they share users, whose common part would
        cancel, that interval is usually too wide: it misses differences and does not invent them. What was trained
        once brings its luck, unless the same weights are on both sides.
        """
        evaluated = _only_evaluated([c for _, c in terms if isinstance(c, Cell)])
        known = {**self.cells, **self._own} if evaluated else self.cells
        numbers = [(w, known[c] if isinstance(c, Cell) else Number(c, c, c)) for w, c in terms]
        origins = frozenset().union(*(n.origins for _, n in numbers))
        luck = 0.0 if evaluated else float(np.linalg.norm([w * n.luck for w, n in numbers]))
        if [w for w, _ in terms] == [1, -1]:
            a, b = (self._recalls.get(c) for _, c in terms)
            if a and b and _pairs(a, b):
                value, low, high = bootstrap_over_seeds(*np.broadcast_arrays(a[0], b[0]))
                return Number(*_with_luck(value, low, high, luck), origins), True
        value = sum(w * n.value for w, n in numbers)
        below = above = luck**2
        for w, n in numbers:
            bounds = [w * n.value - w * n.low, w * n.high - w * n.value]
            down, up = bounds if w > 0 else [-x for x in reversed(bounds)]
            below, above = below + down**2, above + up**2
        return Number(value, value - below**0.5, value + above**0.5, origins), False


def _with_luck(value: float, low: float, high: float, luck: float) -> tuple[float, float, float]:
    """A number whose interval has the luck of trainings in it, too."""
    if not luck:
        return value, low, high
    return value, value - np.hypot(value - low, luck), value + np.hypot(high - value, luck)


def _difference(a: pd.Series, b: pd.Series) -> pd.Series:
    return a - b


def _relative(a: pd.Series, b: pd.Series) -> pd.Series:
    return a / b.where(b > 0) - 1


def _measured(table: pd.DataFrame) -> list[dict]:
    return table.dropna(subset="value").to_dict("records")


def _only_evaluated(cells: list[Cell]) -> bool:
    """Whether all are one training of a system, read otherwise."""
    settings = {c.setting for c in cells} - {""}
    read = all(setting.startswith("k = ") or setting.endswith(" of shots") for setting in settings)
    return bool(settings) and read and len({c.system for c in cells}) == 1


def _pairs(a: tuple, b: tuple) -> bool:
    """Whether counts, seeds and users are of the same windows, and of the same seeds or one side's of a single one."""
    (counts, seeds, users), (others, other_seeds, other_users) = a, b
    alike = seeds == other_seeds or 1 in (len(seeds), len(other_seeds))
    return alike and users == other_users and (counts[:1, ..., 1] == others[:1, ..., 1]).all()
