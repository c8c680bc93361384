"""Numbers of one dataset's tidy results with their intervals, and differences between them."""

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from embridge.experiments import EXPERIMENTS, OPEN_CHOICES
from embridge.paper import CELLS
from embridge.statistics import LEVEL, bootstrap_over_seeds, luck_of_training, mean_over_groups, widened
from embridge.tables import ALIGNED, data_efficiency_rows, headline_rows, luck, select, sensitivity_rows, table4_rows
from embridge.tables.cells import cell_frame, choose, prefer_own, recall_counts, summary

SYSTEMS = ("Upper bound", *(name for name, e in EXPERIMENTS.items() if not e.system))
MEASURED = ["value", "low", "high"]


@dataclass(frozen=True)
class Cell:
    """One measured number: a system, or a pair "A - B", under "LP", "ZS" or another measure, on a class set.

    ``setting``: what differs from the system as it is: "k_c = 10", "InfoNCE = one-way", "40% of pairs", "B = 512",
    "0.5 of shots", "gesture 1"; "": nothing.
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

    ``luck``: how far it may lie, for the luck of its trainings, from the mean of many like them; ``covered``: whether
    the interval has that in it, as one over several seeds does.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    origins: frozenset[str] = field(default_factory=frozenset)
    luck: float = 0.0
    covered: bool = False


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

    def _add(self, cell: Cell, value, low, high, origins, *, luck: float = 0.0, covered: bool = False) -> None:
        if not pd.isna(value):
            self.cells[cell] = Number(float(value), float(low), float(high), frozenset(origins), luck, covered)

    def _lucky(self, cell: Cell, n_seeds: int) -> dict:
        """The luck of a cell's trainings and whether its interval has it in it, as arguments of ``_add``."""
        return {"luck": self._luck[cell.measure, cell.classes] / n_seeds**0.5, "covered": n_seeds > 1}

    def _tables(self) -> None:
        """Balanced accuracies, from the functions that make the tables."""
        rows, name = self.results, self.dataset
        own = rows.loc[rows["origin"] == "", "seed"].nunique()
        sizes = select(table4_rows(rows, name), convention="same epochs")
        for found in _measured(headline_rows(self._all_seeds, name, systems=self.systems)):
            cell = Cell(found["system"], found["protocol"], found["classes"])
            these = select(self._as_they_are[cell.measure, cell.classes], system=cell.system)
            scores = these.loc[these["metric"] == "balanced_accuracy", "value"]
            lucky = self._lucky(cell, len(scores))
            if lucky["covered"] and cell.system not in ALIGNED:
                lucky["luck"] = luck_of_training([scores]) / len(scores) ** 0.5
            self._add(cell, *(found[c] for c in MEASURED), these["source"], **lucky)
        parts = (
            (sensitivity_rows(rows, name).assign(system="EMBridge"), lambda f: f"{f['param']} = {f['param_value']}"),
            (data_efficiency_rows(rows, name).assign(protocol="ZS"), lambda f: f"{f['fraction']:.0%} of pairs"),
            (sizes.assign(protocol="ZS", classes="unseen"), lambda f: f"B = {f['batch_size']}"),
            (_alternatives(rows, name), lambda f: f"{f['option']} = {f['alternative']}"),
        )
        for table, setting in parts:
            for found in _measured(table):
                cell = Cell(found["system"], found["protocol"], found["classes"], setting(found))
                lucky = self._lucky(cell, own if "seeds" in found["interval_kind"] else 1)
                self._add(cell, *(found[c] for c in MEASURED), found["origin"].split("; "), **lucky)

    @cached_property
    def _as_they_are(self) -> dict[tuple[str, str], pd.DataFrame]:
        """Rows of the systems without a setting, all seeds, by protocol and class set."""
        how = {"dataset": self.dataset, "systems": self.systems}
        return {(p, c): choose(self._all_seeds, protocol=p, classes=c, **how) for p, c in CELLS}

    def _few_shot(self) -> None:
        """Means over draws and seeds; the users' part (mean square), the draws' and the seeds' are in quadrature."""
        how = {"protocol": "LP", "metric": "balanced_accuracy", "param": "shots_fraction", "options": "unit=recordings"}
        keys = ["system", "classes", "param_value"]
        for (system, classes, share), part in prefer_own(select(self.results, **how), keys).groupby(keys):
            cell = Cell(system, "LP", classes, f"{float(share):.3g} of shots")
            of_seed = part.groupby("seed")["value"]
            lucky = self._lucky(cell, len(of_seed))
            users = [np.sqrt(np.square(part[c] - part["value"]).mean()) for c in ("low", "high")]
            value = part["value"].mean()
            numbers = widened(value, value - users[0], value + users[1], _of_draws(of_seed))
            self._add(cell, *widened(*numbers, lucky["luck"] if lucky["covered"] else 0), part["origin"], **lucky)

    def _f1(self) -> None:
        """F1 under zero-shot on unseen gestures, EMBridge less a rival: of each gesture, a user's, and who gains.

        Values are of means over all seeds. What a mean of so many trainings may still owe to their luck, by the seeds
        of the pair itself, is added in quadrature to the users' part of the interval.
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
        own = select(self.results, metric="class_f1_difference", gallery="all", **how)
        for found in own.to_dict("records"):
            gain = gains.get(found["system"], pd.DataFrame()).get(found["class"], pd.Series([found["value"]]))
            number = gain.mean(), *(gain.mean() + found[c] - found["value"] for c in ("low", "high"))
            cell = Cell(found["system"], "F1", "unseen", f"gesture {found['class']}")
            half = 0.0 if "seeds" in found["interval_kind"] else luck_of_training([gain]) / len(gain) ** 0.5
            self._add(cell, *widened(*number, half), {*origins, found["origin"]})

        mean = f1["user"].groupby("user").mean()
        measures = {
            "user F1": _difference,
            "relative gain of user F1": _relative,
            "share of users with a higher F1 less 0.5": _gainers,
        }
        for measure, of in measures.items():
            rivals = [s for s in ("CPEP", "Q-Former") if {s, "EMBridge"} <= set(mean)]
            seeds = {s: of(f1["user"]["EMBridge"], f1["user"][s]).groupby("seed").mean() for s in rivals}
            for rival in rivals:
                values = of(mean["EMBridge"], mean[rival]).dropna()
                if len(values):
                    number = mean_over_groups(values.to_numpy(), values.index)
                    cell = Cell(f"EMBridge - {rival}", measure, "unseen")
                    half = luck_of_training([seeds[rival]]) / len(seeds[rival]) ** 0.5
                    self._add(cell, *widened(*number, half), origins)

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
        cancel, that interval is usually too wide: it misses differences and does not invent them. Either way the luck
        of both sides' trainings is in it, unless the same weights are on both sides.
        """
        evaluated = _only_evaluated([c for _, c in terms if isinstance(c, Cell)])
        known = {**self.cells, **self._own} if evaluated else self.cells
        numbers = [(w, known[c] if isinstance(c, Cell) else Number(c, c, c)) for w, c in terms]
        origins = frozenset().union(*(n.origins for _, n in numbers))
        if [w for w, _ in terms] == [1, -1] and not evaluated:
            a, b = (self._recalls.get(c) for _, c in terms)
            if a and b and _pairs(a, b):
                users = bootstrap_over_seeds(*np.broadcast_arrays(a[0], b[0]), luck=0.0)
                return Number(*widened(*users, np.linalg.norm([n.luck for _, n in numbers])), origins), True
        value = sum(w * n.value for w, n in numbers)
        below = above = 0.0 if evaluated else sum((w * n.luck) ** 2 for w, n in numbers if not n.covered)
        for w, n in numbers:
            bounds = [w * n.value - w * n.low, w * n.high - w * n.value]
            down, up = bounds if w > 0 else [-x for x in reversed(bounds)]
            below, above = below + down**2, above + up**2
        return Number(value, value - below**0.5, value + above**0.5, origins), False


def _alternatives(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Balanced accuracy of the open choices' trained alternatives, a row a cell."""
    there, found = set(zip(results["system"], results["param"], strict=True)), []
    trained = [c for c in OPEN_CHOICES if c.changes and (c.system, c.option) in there]
    for choice, (protocol, classes) in itertools.product(trained, CELLS):
        how = {"protocol": protocol, "classes": classes, "systems": (choice.system,), "param": choice.option}
        rows = select(choose(results, dataset, **how), param_value=choice.alternative)
        labels = {"system": choice.system, "option": choice.option, "alternative": choice.alternative}
        found.append(labels | {"protocol": protocol, "classes": classes} | summary(rows))
    return cell_frame(found, ["system", "option", "alternative", "protocol", "classes"])


def _of_draws(of_seed) -> float:
    """Half of Student's 95 % interval of a mean over seeds (a grouped series) of their draws, for the draws alone."""
    n, freedom = of_seed.size().sum(), (of_seed.size() - 1).sum()
    if not freedom:
        return 0.0
    variance = (of_seed.var(ddof=1) * (of_seed.size() - 1)).sum() / freedom
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance / n))


def _difference(a: pd.Series, b: pd.Series) -> pd.Series:
    return a - b


def _relative(a: pd.Series, b: pd.Series) -> pd.Series:
    return a / b.where(b > 0) - 1


def _gainers(a: pd.Series, b: pd.Series) -> pd.Series:
    return np.sign(a - b) / 2  # the mean is the share of those above, ties as halves, less half


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
