"""One difference with its 95 % interval: of two systems, of seeds, of a cell from the line without a network.

:func:`paired` compares two scores on the same resampled users, :func:`quadrature` what has no users in common or none
that rows tell. Tables, open choices (METHOD 9) and claims take theirs from these two.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import reduce

import numpy as np
import pandas as pd

from embridge.data.splits import SETS
from embridge.experiments import ALIGNED, LOG_POWER_LDA
from embridge.paper.numbers import CELLS, lookup
from embridge.paper.table_cells import NOT_ABOVE, OVER_LDA, choose, recall_counts, select, summary
from embridge.statistics import bootstrap_over_seeds, spread_over_seeds

DIFFERENCE = "balanced_accuracy_difference"
SEEDS = 3  # METHOD 10: of Tables 2 and 3
MAIN = (("EMBridge", "CPEP"), ("EMBridge", "Q-Former"), ("EMBridge", "EMG-MAE"))  # what E's Table 2 is about
NEVER = "not even with any number of users at three seeds"


def comparable(one: tuple | None, other: tuple | None) -> bool:
    """True where two results of :func:`~embridge.paper.table_cells.recall_counts` are of the same users and windows.

    Their seeds must be the same, too, or one side has a single one, with which each of the other's is compared.
    """
    if not (one and other):
        return False
    (counts, seeds, users), (others, other_seeds, other_users) = one, other
    alike = seeds == other_seeds or 1 in (len(seeds), len(other_seeds))
    return alike and users == other_users and np.array_equal(counts[0, ..., 1], others[0, ..., 1])


def paired(one: tuple, other: tuple, spread: float | None) -> tuple[float, float, float]:
    """(value, low, high) of one less other, both on the same resampled users; they must be :func:`comparable`.

    ``spread``: of one training's difference, as of :func:`~embridge.statistics.bootstrap_over_seeds`.
    """
    return bootstrap_over_seeds(*np.broadcast_arrays(one[0], other[0]), spread=spread)


def quadrature(
    terms: Iterable[tuple[float, tuple[float, float, float]]], spread: float = 0.0, root: Callable = math.hypot
) -> tuple[float, float, float]:
    """(value, low, high) of a weighted sum of scores, each with its interval, as if they were independent.

    Each bound is as far from the sum as the root of the squared distances of the terms' own bounds from their values
    (Zou and Donner 2008), with ``spread``, what the interval of no term covers, as one more. Users are the same in all
    terms, whose common ups and downs would narrow the interval: it is too wide rather than too narrow as far as users
    go, misses differences and invents none.
    """
    value, below, above = 0.0, [], []
    for weight, (middle, *bounds) in terms:
        low, high = sorted(weight * bound for bound in bounds)
        value += weight * middle
        below.append(weight * middle - low)
        above.append(high - weight * middle)
    return value, value - root(*below, spread), value + root(*above, spread)


def score_of(fields: dict) -> tuple[float, float, float]:
    """A row's or a cell's value and interval; nan for what it does not have."""
    return tuple(np.nan if fields[c] is None else fields[c] for c in ("value", "low", "high"))


def verdict(fields: dict) -> str:
    """What a row of a difference says: "gain", "loss" or "cannot tell", and the numbers that say so.

    A gain's 95 % interval lies above 0, a loss's below; one that holds 0, or is not known, tells neither.
    """
    value, low, high = score_of(fields)
    word = "gain" if low > 0 else "loss" if high < 0 else "cannot tell"
    return f"{word} ({value:+.3f} [{low:+.3f}, {high:+.3f}])"


def lda_lines(results: pd.DataFrame, dataset: str) -> dict[str, pd.DataFrame]:
    """Rows of LOG_POWER_LDA's probe, by class set: what other cells are compared with."""
    return {c: choose(results, dataset, protocol="LP", classes=c, system=LOG_POWER_LDA) for c in SETS}


def over_lda(rows: pd.DataFrame, line: pd.DataFrame, spread: float | None = None) -> dict:
    """A cell's distance above LOG_POWER_LDA's probe, as the columns of OVER_LDA; {} where either has no row.

    ``rows`` and ``spread`` are the cell's, as of :func:`~embridge.paper.table_cells.summary`, whose way with seeds the
    interval has; ``line`` are the probe's on the same class set.
    """
    if rows.empty or line.empty:
        return {}
    one, other = recall_counts(rows), recall_counts(line)
    if comparable(one, other):  # of one training the interval covers users alone, as the cell's does
        return gain_columns(*paired(one, other, spread if len(one[1]) > 1 else None))
    terms = (1, score_of(summary(rows, spread))), (-1, score_of(summary(line)))
    # math.hypot's last bit is now and then another, and committed tables have this one's
    return gain_columns(*quadrature(terms, root=lambda *distances: reduce(np.hypot, distances)))


def gain_columns(value: float, low: float, high: float) -> dict:
    """A difference from LOG_POWER_LDA as the columns of OVER_LDA: marked unless its interval is known and above 0."""
    return dict(zip(OVER_LDA, (value, low, high, "" if low > 0 else NOT_ABOVE), strict=True))


def seed_spread(results: pd.DataFrame, dataset: str, protocol: str, classes: str) -> float:
    """Spread over seeds: how far one training's score in a cell may lie from its mean, by the aligned systems' seeds.

    Committed seeds count. 0 where nothing has a second seed (:func:`embridge.statistics.spread_over_seeds`). Systems of
    one seed share their autoencoders, so they tell somewhat less than their number says.
    """
    rows = choose(results.assign(origin=""), dataset, protocol=protocol, classes=classes, system=ALIGNED)
    scores = select(rows, metric="balanced_accuracy").groupby("system")["value"]
    return spread_over_seeds(values for _, values in scores)


def seed_spread_line(results: pd.DataFrame, dataset: str) -> str:
    """A sentence with :func:`seed_spread` in each cell, for pages whose intervals cover users alone."""
    found = {cell: seed_spread(results, dataset, *cell) for cell in CELLS}
    if not any(found.values()):
        return "How far one training may lie from its mean cannot be told here: nothing has a second seed."
    told = ", ".join(f"{' '.join(cell)} {half:.2f}" for cell, half in found.items())
    return f"How far one training may lie from its mean, by the aligned systems' seeds (95 %): {told}."


def common_seeds(*sides: pd.DataFrame) -> list[tuple] | None:
    """:func:`~embridge.paper.table_cells.recall_counts` of two cells' rows over the seeds that both have.

    None where they have no seed in common, or other users.
    """
    common = set.intersection(*(set(select(side, metric="user_recall")["seed"]) for side in sides))
    counts = [recall_counts(side[side["seed"].isin(common)]) for side in sides]
    return counts if comparable(*counts) else None


def seed_differences(results: pd.DataFrame, dataset: str, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """First less second system in balanced accuracy, mean over the seeds that both have, committed ones among them.

    A row a cell, with columns systems, protocol, classes, seeds (how many), difference, low, high (95 %, paired by
    user, over seeds and users; of one common seed, with the spread over seeds of the aligned systems). Cells without a
    common seed, or of other users, are left out.
    """
    found = []
    for pair, cell, one, other in _of_common_seeds(results, dataset, pairs):
        numbers = paired(one, other, 2**0.5 * seed_spread(results, dataset, *cell))  # of two trainings: that of both
        found.append((" - ".join(pair), *cell, len(one[1]), *numbers))
    return pd.DataFrame(found, columns=["systems", "protocol", "classes", "seeds", "difference", "low", "high"])


def _of_common_seeds(results: pd.DataFrame, dataset: str, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple]:
    """Each pair in each of CELLS with what :func:`common_seeds` gives of both sides, where it gives anything."""
    rows = results.assign(origin="")
    for cell, pair in itertools.product(CELLS, list(pairs)):
        where = dict(zip(("protocol", "classes"), cell, strict=True))
        if both := common_seeds(*(choose(rows, dataset, **where, system=system) for system in pair)):
            yield pair, cell, *both


def users_needed(results: pd.DataFrame, dataset: str, pairs: Iterable[tuple[str, str]] = MAIN) -> pd.DataFrame:
    """How many test users, with three seeds, the papers' differences would need to be seen, from the spread here.

    Needed is an interval that reaches half of the paper's difference d to either side, by which such a difference is
    told from 0 in 97 of 100 studies. The half-width h of G users has two parts, h^2 = u^2 G0 / G + s^2: u, the users'
    part measured with G0 of them (half of the paired bootstrap's interval), falls with the root of their number, and s,
    the seeds' part, is sqrt(2) times :func:`seed_spread` over sqrt(3). So G = G0 u^2 / (d^2 / 4 - s^2), rounded up.

    A row a pair and cell for which the papers have a number, with columns systems, protocol, classes, paper (d), users
    (G0), users_part (u), seeds_part (s), needed (G; inf where s alone is d / 2 or more, nan where nothing has a second
    seed, so that s is not known).
    """
    found = []
    for pair, cell, one, other in _of_common_seeds(results, dataset, pairs):
        papers = [lookup(system, *cell, dataset)[0] for system in pair]
        if None in papers:
            continue
        d, seeds = papers[0] - papers[1], (2 / SEEDS) ** 0.5 * seed_spread(results, dataset, *cell)
        _, low, high = paired(one, other, 0.0)
        users, left = (high - low) / 2, d**2 / 4 - seeds**2
        needed = np.nan if not seeds else math.inf if left <= 0 else float(np.ceil(len(one[2]) * users**2 / left))
        found.append((" - ".join(pair), *cell, d, len(one[2]), users, seeds, needed))
    columns = ["systems", "protocol", "classes", "paper", "users", "users_part", "seeds_part", "needed"]
    return pd.DataFrame(found, columns=columns)


def users_needed_line(found: pd.DataFrame) -> str:
    """A sentence on :func:`users_needed`: how many of the papers' differences this size and larger ones could see."""
    known = found.dropna(subset="needed")
    if known.empty:
        why = "nothing has a second seed" if found["seeds_part"].eq(0).any() else "no rows stand beside a paper's"
        return f"At which size the papers' differences could be seen cannot be told here: {why}."
    here, more = known["needed"] <= known["users"], known.loc[np.isfinite(known["needed"]), "needed"]
    later = len(more) - here.sum()
    told = [f"{here.sum()} could be seen with the {known['users'].max()} test users here and three seeds"]
    told += [f"{later} with more users, at most {more.max():,.0f}"] if later else []
    told += [f"{len(known) - len(more)} {NEVER}"] if len(known) > len(more) else []
    return f"Of {len(known)} differences that the papers report for EMBridge, {'; '.join(told)}."
