"""The claims table: what the papers say in words, and whether a run's tidy results say it, too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from embridge.config import REGRESSORS
from embridge.datasets import SIMULATED
from embridge.experiments import ALIGNED
from embridge.files import write_atomically
from embridge.grids import defaults
from embridge.paper import differences
from embridge.paper import table_cells as tc
from embridge.paper.claims_list import CLAIMS, MARGIN, RULE, Cell, Claim
from embridge.paper.differences import comparable, paired, quadrature, score_of, seed_spread
from embridge.paper.numbers import CELLS
from embridge.paper.results import CONSTANT, STOPPED
from embridge.statistics import mean_over_groups, spread_over_seeds, widened

HOLDS, OPPOSITE, OPEN = "holds", "does not hold", "cannot tell on this dataset"
# whose rows a claim about one of the papers' datasets is judged by; a simulated run has both simulations
STANDS_FOR = {"emg2pose": ("emg2pose", "simulated"), "ninapro": ("ninapro", "simulated-ninapro")}
COLUMNS = ("claim", "source", "verdict", "numbers", "origin")
EVALUATED = {"k", "shots_fraction"}  # params for which nothing is trained
# what a user's F1 with EMBridge and with a rival come to
GAINS: dict[str, Callable[[pd.Series, pd.Series], pd.Series]] = {
    "user F1": lambda a, b: a - b,
    "relative gain of user F1": lambda a, b: a / b.where(b > 0) - 1,
    # the mean is the share of those above, ties as halves, less half
    "share of users with a higher F1 less 0.5": lambda a, b: np.sign(a - b) / 2,
}


@dataclass(frozen=True)
class Number:
    """A value with its 95 % interval (nan: none) and where its rows come from."""

    value: float
    low: float = np.nan
    high: float = np.nan
    origins: frozenset[str] = frozenset()
    spread: float = 0.0  # how far it may lie, for the spread over seeds, from the mean of many like it
    covered: bool = False  # whether the interval has that in it, as one over several seeds does
    counts: tuple | None = None  # of table_cells.recall_counts


class Evidence:
    """The numbers that a frame of :func:`embridge.paper.results.collect` has of one dataset.

    :meth:`number` tells a cell's number, None where it has no row. A system as it is has its mean over all seeds,
    committed ones among them, or over this run's alone (``own``), or over those of ``seeds`` that it has.
    """

    def __init__(self, results: pd.DataFrame, dataset: str):
        metrics = ("balanced_accuracy", "user_recall", "class_f1", "user_f1", "class_f1_difference")
        self.results, self.dataset = tc.select(results, dataset=dataset, metric=metrics), dataset
        self._all_seeds, self._usual = tc.over_seeds(self.results), defaults(self.results["profile"])
        self._ended = tc.select(results, dataset=dataset, protocol="regression", metric="epochs")
        self._spread = {cell: seed_spread(self.results, dataset, *cell) for cell in CELLS}
        self.number, self._f1 = cache(self._number), cache(self._f1_by_seed)
        self._sweep = cache(  # k has no trainings of its own: of all seeds, as what it is compared with
            lambda system, param: tc.sweep(self._all_seeds if param == "k" else self.results, dataset, system, param)
        )

    def _number(self, cell: Cell, own: bool = False, seeds: frozenset = frozenset()) -> Number | None:
        if cell.measure in GAINS:
            return self._gain_of_users(cell)
        if cell.measure == "F1":
            return self._gain_of_class(cell)
        return self._few_shot(cell) if cell.param == "shots_fraction" else self._balanced_accuracy(cell, own, seeds)

    def _rows(self, cell: Cell, own: bool = False) -> pd.DataFrame:
        rows = self._sweep(cell.system, cell.param) if cell.param else self.results if own else self._all_seeds
        where = {"protocol": cell.measure, "classes": cell.classes, "system": cell.system}
        return tc.choose(rows, self.dataset, **where, value=cell.value or None)

    def _balanced_accuracy(self, cell: Cell, own: bool, seeds: frozenset) -> Number | None:
        rows = self._rows(cell, own)
        if (same := rows["seed"].isin(seeds)).any():
            rows = rows[same]
        scores = tc.select(rows, metric="balanced_accuracy")["value"]
        if not len(scores):
            return None
        spread = self._spread[cell.measure, cell.classes] or spread_over_seeds([scores])
        found = tc.summary(rows, spread)
        origins = frozenset(rows["made"] if "made" in rows else found["origin"].split("; "))
        return Number(*score_of(found), origins, spread / len(scores) ** 0.5, len(scores) > 1, tc.recall_counts(rows))

    def _few_shot(self, cell: Cell) -> Number | None:
        """The mean over draws and seeds; the users' part (mean square), the draws' and the seeds' are in quadrature."""
        how = {"protocol": "LP", "metric": "balanced_accuracy", "param": "shots_fraction", "options": "unit=recordings"}
        rows = tc.select(self.results, system=cell.system, classes=cell.classes, param_value=cell.value, **how)
        if rows.empty:
            return None
        rows = tc.prefer_own(rows, ["system"])
        of_seed = rows.groupby("seed")["value"]
        spread, covered = self._spread["LP", cell.classes] / len(of_seed) ** 0.5, len(of_seed) > 1
        of_draws = spread_over_seeds(values for _, values in of_seed) / len(rows) ** 0.5
        numbers = widened(*widened(*tc.mean_interval(rows), of_draws), spread if covered else 0)
        return Number(*numbers, frozenset(rows["origin"]), spread, covered)

    def _f1_by_seed(self, unit: str) -> tuple[pd.DataFrame, frozenset[str]]:
        """Zero-shot F1 on unseen gestures by seed and class or user, a column a system, and the rows' origins."""
        where = {"protocol": "ZS", "classes": "unseen", "system": ALIGNED, "metric": f"{unit}_f1"}
        rows = tc.choose(self._all_seeds, self.dataset, **where)
        return rows.groupby(["seed", unit, "system"])["value"].mean().unstack(), frozenset(rows["made"])

    def _gain_of_class(self, cell: Cell) -> Number | None:
        """F1 of a gesture, EMBridge less a rival, with the means over all seeds.

        What a mean of so many training runs may still owe to their seeds, by the seeds of the pair itself, is added in
        quadrature to the users' part of the interval, that of this run's difference.
        """
        where = {"metric": "class_f1_difference", "gallery": "all", "protocol": "ZS", "classes": "unseen"}
        own = tc.select(self.results, system=cell.system, **where, **{"class": int(cell.value)}).to_dict("records")
        if not own:
            return None
        found, f1, pair = own[-1], self._f1("class")[0], cell.system.split(" - ")
        gain = pd.Series([found["value"]])
        if set(pair) <= set(f1):
            gain = (f1[pair[0]] - f1[pair[1]]).unstack("class")[found["class"]]
        bounds = (gain.mean() + found[c] - found["value"] for c in ("low", "high"))
        half = 0.0 if "seeds" in found["interval_kind"] else spread_over_seeds([gain]) / len(gain) ** 0.5
        return Number(*widened(gain.mean(), *bounds, half), self._f1("user")[1] | {found["origin"]})

    def _gain_of_users(self, cell: Cell) -> Number | None:
        """Users' gain in F1, EMBridge over a rival, from their means over all seeds; its interval as of a class."""
        (f1, origins), pair, of = self._f1("user"), cell.system.split(" - "), GAINS[cell.measure]
        if not set(pair) <= set(f1):
            return None
        mean = f1.groupby("user").mean()
        values, seeds = of(*(mean[s] for s in pair)).dropna(), of(*(f1[s] for s in pair)).groupby("seed").mean()
        if values.empty:
            return None
        half = spread_over_seeds([seeds]) / len(seeds) ** 0.5
        return Number(*widened(*mean_over_groups(values.to_numpy(), values.index), half), origins)

    def unfinished(self, cells: Sequence[Cell]) -> list[str]:
        """Systems that regress pose and of which rows do not say, for each seed, that validation stopped improving.

        One that is no better than a constant pose stopped before it learned anything: it says so behind its name.
        """
        ended = {c.system: tc.select(self._ended, system=c.system)["options"] for c in cells if c.system in REGRESSORS}
        open_ones = {s: how for s, how in ended.items() if how.empty or (how != STOPPED).any()}
        return [f"{s}, {CONSTANT}" if (how == CONSTANT).any() else s for s, how in open_ones.items()]

    def _other_k(self, *cells: Cell) -> Number:
        """One cell less the other, of the same trainings with another k: a mean over the seeds that have both.

        The users' parts of both are in quadrature, as if they were independent; the seeds' part is their differences'.
        """
        sides = [tc.select(self._rows(cell), metric="balanced_accuracy").set_index("seed") for cell in cells]
        one, other = (side.loc[sides[0].index.intersection(sides[1].index)] for side in sides)
        users = quadrature([(1, tc.mean_interval(one)), (-1, tc.mean_interval(other))])
        half = spread_over_seeds([one["value"] - other["value"]]) / len(one) ** 0.5
        return Number(*widened(*users, half), frozenset(one["made"]) | frozenset(other["made"]))

    def alike(self, cells: Sequence[Cell]) -> bool:
        """Whether cells are one: a value of a sweep that the system has anyway, beside the system itself."""
        own = {replace(c, param="", value="") if self._usual.get(c.param) == c.value else c for c in cells}
        return len(own) < len(cells)

    def difference(self, terms: tuple[tuple[float, "Cell | float"], ...]) -> tuple[Number, bool]:
        """A weighted sum of cells and constants, and whether its interval is a paired one.

        What stands beside a sweep's member has that one's seeds, if it has them. Two cells of the same users, one less
        the other, are compared on the same resamples of both (of the same seeds, too, or of all seeds of one and the
        only one of the other), otherwise as if they were independent
        (:func:`~embridge.paper.differences.quadrature`). Either way both sides' spread over seeds is in it, unless
        the same weights are on both sides.
        """
        cells = [c for _, c in terms if isinstance(c, Cell)]
        params = {c.param for c in cells} - {""}
        # one training of a system, read otherwise
        evaluated = bool(params) and params <= EVALUATED and len({c.system for c in cells}) == 1
        if evaluated and [w for w, _ in terms] == [1, -1] and params == {"k"}:
            return self._other_k(*cells), False
        # of all members of sweeps: a seed's trainings share its luck
        of_members = [frozenset(self._rows(c)["seed"]) for c in cells if c.param not in ("", *EVALUATED)]
        seeds = frozenset.intersection(*of_members) if of_members else frozenset()
        numbers = [(w, self.number(c, evaluated, seeds) if isinstance(c, Cell) else Number(c, c, c)) for w, c in terms]
        origins = frozenset().union(*(n.origins for _, n in numbers))
        if [w for w, _ in terms] == [1, -1] and not evaluated:
            (_, a), (_, b) = numbers
            if comparable(a.counts, b.counts):
                users = paired(a.counts, b.counts, spread=0.0)
                return Number(*widened(*users, np.linalg.norm([a.spread, b.spread])), origins), True
        spread = np.linalg.norm([w * n.spread for w, n in numbers if not (n.covered or evaluated)])
        return Number(*quadrature([(w, (n.value, n.low, n.high)) for w, n in numbers], spread), origins), False


def verdict(claim: Claim, evidence: Evidence | None) -> dict:
    """A line of the table: claim, source, verdict, numbers and origin; ``evidence`` None: there is no such dataset."""
    found, missing, unfinished, origins = [], [], [], set()
    for comparison in claim.comparisons:
        cells = [c for _, c in comparison.terms if isinstance(c, Cell)]
        if evidence and evidence.alike(cells):  # of the values of r, which is EMBridge's own hangs on the profile
            continue
        absent = [c.name for c in cells if not (evidence and evidence.number(c))]
        missing += absent
        if not absent:
            number, pairs = evidence.difference(comparison.terms)
            ratio = evidence.number(cells[0]).value / evidence.number(cells[1]).value if claim.relative else None
            of = evidence.unfinished(cells)
            found.append((_told(comparison.label, number, pairs, ratio), number, OPEN if of else _one(number, claim)))
            unfinished += of
            origins |= {"committed rows" if origin else "this run" for origin in number.origins}
    each = {of_one for *_, of_one in found}
    judged = OPPOSITE if OPPOSITE in each else HOLDS if each == {HOLDS} else OPEN
    if judged != OPPOSITE and missing:
        names = list(dict.fromkeys(missing))
        more = f" and {len(names) - 3} more" if len(names) > 4 else ""
        judged = f"cannot tell: no rows of {'; '.join(names[:3] if more else names)}{more} yet"
    elif judged != OPPOSITE and unfinished:
        judged = f"cannot tell: baseline not trained to its end ({'; '.join(dict.fromkeys(unfinished))})"
    told = (t + (_seen(n, claim) if judged not in (HOLDS, OPPOSITE) and of == OPEN else "") for t, n, of in found)
    origin = " and ".join(sorted(origins, reverse=True))
    return dict(zip(COLUMNS, (claim.text, claim.source, judged, "; ".join(told), origin), strict=True))


def _one(number: Number, claim: Claim) -> str:
    """What one comparison says: above 0 or, of a claim of robustness, within MARGIN of it."""
    least, most = (-MARGIN, MARGIN) if claim.robust else (0, np.inf)
    if number.high < least or number.low > most:
        return OPPOSITE
    inside = least <= number.low and number.high <= most if claim.robust else number.low > least
    return HOLDS if inside else OPEN


def _seen(number: Number, claim: Claim) -> str:
    """The smallest difference that an undecided comparison could have seen, RULE; "" without an interval."""
    if pd.isna(number.low):
        return ""
    below, above = number.value - number.low, number.high - number.value
    return f", could have {f'shown a margin of {max(below, above):.2g}' if claim.robust else f'seen {below:.2g}'}"


def _told(label: str, number: Number, pairs: bool, ratio: float | None) -> str:
    """``EMBridge over CPEP, ZS in -0.02 [-0.07, 0.04] paired``, with the ratio of the two also the relative gain."""
    known = " (no interval)" if pd.isna(number.low) else f" [{number.low:.3f}, {number.high:.3f}]"
    gain = "" if ratio is None else f" ({ratio - 1:+.0%})"
    return f"{label} {number.value:+.3f}{known}{gain}" + (" paired" if pairs else "")


def claims_about(dataset: str) -> list[Claim]:
    """The claims that a run on a dataset speaks to; a run on "simulated" has NinaPro's simulation beside it."""
    present = {dataset, "simulated-ninapro"} if dataset == "simulated" else {dataset}
    return [claim for claim in CLAIMS if present & set(STANDS_FOR[claim.about])]


def claims_table(results: pd.DataFrame, claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """Claims with their verdicts from :func:`embridge.paper.results.collect`'s frame; columns as COLUMNS, all text."""
    found = {}
    for about, names in STANDS_FOR.items():
        present = [name for name in names if (results["dataset"] == name).any()]
        found[about] = Evidence(results, present[0]) if present else None
    return pd.DataFrame([verdict(claim, found[claim.about]) for claim in claims], columns=list(COLUMNS))


def caption(dataset: str, profile: str) -> str:
    """The words above the table: whose data, how to read it, and of what it does not speak."""
    judged, words = claims_about(dataset), []
    if not judged:
        return f"No claim is judged: the papers' are about emg2pose and NinaPro's DB2 and DB7, not about {dataset}."
    if dataset in SIMULATED:
        words.append("Simulated data: nothing here is a result on recordings of people.")
    if profile == "smoke":
        words.append("Smoke profile: it shows that the table can be made; its verdicts and numbers mean nothing.")
    words += RULE.split()
    if len(judged) < len(CLAIMS):
        words.append(f"Left out: {len(CLAIMS) - len(judged)} claims, about recordings that this run does not have.")
    return " ".join(words)


def write(folder: str | Path, results: pd.DataFrame, dataset: str, profile: str) -> pd.DataFrame:
    """Write ``claims.csv`` and ``claims.md`` (caption, how many of each verdict, table) into a results folder."""
    folder, table = Path(folder), claims_table(results, claims_about(dataset))
    text = caption(dataset, profile)
    if len(table):
        kinds = table["verdict"].replace({r": no rows.*": ": rows are missing", r" \(.*": ""}, regex=True)
        counts = "; ".join(f"{kind}: {n}" for kind, n in kinds.value_counts().items())
        needed = differences.users_needed_line(differences.users_needed(results, dataset))
        text += f" Of {len(table)} claims, {counts}. {needed}"
        text += f"\n\n{tc.markdown(table)}"
    write_atomically(folder / "claims.csv", table.to_csv(index=False, lineterminator="\n"))
    write_atomically(folder / "claims.md", text.rstrip() + "\n")
    return table
