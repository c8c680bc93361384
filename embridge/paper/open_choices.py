"""Alternatives to METHOD 9's defaults: balanced accuracy less that of the default, with its interval.

A trained alternative has its experiment's rows (:mod:`embridge.paper.records`), which hold scores and intervals, not
predictions, and is compared with the mean over the default's seeds; what is only evaluated otherwise is compared window
by window.
"""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from embridge.data.splits import SETS
from embridge.experiments import ALIGNED, EXPERIMENTS, of_parts
from embridge.grids import OPEN_CHOICES, Choice
from embridge.paper import records
from embridge.paper import table_cells as tc
from embridge.paper.comparisons import HEADLINE, recorded_seeds
from embridge.paper.differences import DIFFERENCE, quadrature, score_of, seed_spread
from embridge.paper.kept import of_whole_run, once
from embridge.paper.numbers import CELLS
from embridge.paper.results import as_frame, row
from embridge.paper.scoring import Outcome, probe_outcome, zero_shot_outcomes
from embridge.study import Study

PROMPTED = ("emg2pose", "simulated")  # datasets whose files say which hand was prompted
LABELS = ("option", "default", "alternative", "system")
NO_PAPER = {"paper_value": None, "paper_source": ""}
UNCHANGED = "same"  # a cell that the alternative cannot change
_CELL_NAMES = {"LP": "probe", "ZS": "zero-shot"}


def applicable(study: Study) -> list[Choice]:
    """The alternatives that the study's dataset and profile can measure."""
    trained = of_parts(study.dataset, "open choices", "Fig. 4", profile_name=study.profile.name, tokens=study.tokens)

    def applies(choice: Choice) -> bool:
        if choice.experiment:
            return choice.experiment in trained
        if choice.option == "gallery exclusion":
            return choice.alternative in study.splits.policies
        return choice.option != "hands" or study.dataset in PROMPTED

    return [choice for choice in OPEN_CHOICES if applies(choice)]


@of_whole_run(param=tuple({c.option for c in OPEN_CHOICES if not c.experiment}))
def evaluated(study: Study) -> list[dict]:
    """Rows of the alternatives that need no training: each score, and its difference from the default's.

    Differences are paired by window and bootstrapped over groups where both score the same windows.
    """
    rows = []
    for choice in applicable(study):
        named = _named(choice) | NO_PAPER
        for protocol, classes in [] if choice.experiment else [(p, c) for p in choice.protocols for c in SETS]:
            usual = _outcome(study, choice.system, protocol, classes)
            other = _alternative(study, choice, protocol, classes)
            rows.append(scored := other.rows[0] | named)  # balanced accuracy
            same = np.array_equal(other.y, usual.y) and np.array_equal(other.groups, usual.groups)  # windows
            rows.append(other.less(usual.predicted, "") | named if same else _less(scored, usual.rows[0]))
    return rows


def defaults(studies: list[Study]) -> pd.DataFrame:
    """Tidy rows of the aligned systems as they are by default, with single users' recalls.

    The studies' own and, of seeds that these do not have, the committed ones.
    """
    own = [r for record in records.read(studies, ALIGNED)[0] for r in record.rows]
    return as_frame([*own, *recorded_seeds(studies, ALIGNED)])


def trained(study: Study, rows: list[dict], usual: pd.DataFrame) -> list[dict]:
    """Differences of trained alternatives from the mean over their default's seeds.

    ``rows``: those of the alternatives' experiments (:func:`embridge.paper.records.read`); ``usual``: the default's
    (:func:`defaults`). How far seeds of the aligned systems lie apart is also how far an alternative's one training may
    lie from the mean of its own.
    """
    found, spread = [], {cell: seed_spread(usual, study.dataset, *cell) for cell in CELLS}
    rows = [r for r in rows if r["metric"] == "balanced_accuracy" and r["gallery"] in HEADLINE]
    rows, every = [r for r in rows if r["options"] in tc.HEADLINE_OPTIONS], usual.assign(origin="")  # all seeds
    for choice in applicable(study):
        e = EXPERIMENTS.get(choice.experiment)
        for r in rows if e else ():
            if (r["system"], r["param"], r["param_value"]) == (e.system, e.param, e.param_value):
                cell = r["protocol"], r["classes"]
                where = {"protocol": cell[0], "classes": cell[1], "system": choice.system}
                default = tc.summary(tc.choose(every, study.dataset, **where), spread[cell])
                found.append(_less(r | _named(choice), default, spread[cell]))
    return found


def _outcome(study: Study, system: str, protocol: str, classes: str, **said: str) -> Outcome:
    """A system's headline outcome, or that which differs in what is ``said``."""
    if protocol == "LP":
        return probe_outcome(study, system, classes)
    asked = {"gallery": "all", "options": "corpus=class set", "pooling": study.profile.evaluation.pooling} | said
    outcomes = zero_shot_outcomes(study, system, classes, brief=not said)
    return next(o for o in outcomes if all(getattr(o, name) == value for name, value in asked.items()))


def _alternative(study: Study, choice: Choice, protocol: str, classes: str) -> Outcome:
    said = {"zero-shot query pooling": "pooling", "gallery exclusion": "gallery", "gallery corpus": "options"}
    if choice.option in said:
        value = f"corpus={choice.alternative}" if choice.option == "gallery corpus" else choice.alternative
        return _outcome(study, choice.system, protocol, classes, **{said[choice.option]: value})
    if choice.option == "hands":
        return _outcome(_prompted(study), choice.system, protocol, classes)
    return probe_outcome(study, choice.system, classes, features=_after_head(study), options="after h")


@once
def _after_head(study: Study):
    """A function of window ids that reads CPEP's embeddings u (n, d), the head's output."""
    return lambda ids: study.emg_queries("CPEP", ids)[:, 0]


@once
def _prompted(study: Study) -> Study:
    """The study with labelled windows of prompted hands alone, or itself where these are all; its runs are the same."""
    size = replace(study.profile, evaluation=replace(study.profile.evaluation, hands="prompted"))
    other = study.changed(profile=size)
    mine, theirs = study.splits.named(), other.splits.named()
    return study if all(np.array_equal(mine[part], theirs[part]) for part in mine) else other


def _named(choice: Choice) -> dict:
    return {"system": choice.system, "param": choice.option, "param_value": choice.alternative}


def _less(a: dict, b: dict, spread: float = 0.0) -> dict:
    """The row of a less b from the intervals of both, with ``spread``, that of a's training."""
    kind = "95 %, users and seeds in quadrature" if spread else "95 %, users in quadrature"
    less = tc.measured(quadrature([(1, score_of(a)), (-1, score_of(b))], spread), kind)
    return row(**a | less | NO_PAPER | {"metric": DIFFERENCE})


def numbers(results: pd.DataFrame, dataset: str, choices: Iterable[Choice]) -> pd.DataFrame:
    """Differences in balanced accuracy, alternative less default, as numbers.

    ``results``: tidy rows, those of metric DIFFERENCE among them; ``choices``: the alternatives that the dataset can
    measure, in order. Columns option, default, alternative, system, protocol, classes, value, low, high, interval_kind
    and origin; a row a cell that the alternative can change, nan where it was not measured yet.
    """
    rows, cells = tc.select(results, dataset=dataset, metric=DIFFERENCE), []
    for choice, (protocol, classes) in itertools.product(choices, CELLS):
        if protocol in choice.protocols:
            where = {"protocol": protocol, "classes": classes}
            found = tc.prefer_own(tc.select(rows, **_named(choice), **where), ["system"])
            cells.append({name: getattr(choice, name) for name in LABELS} | where | tc.summary(found))
    return pd.DataFrame(cells, columns=[*LABELS, "protocol", "classes", *tc.MEASURED])


def text(cells: pd.DataFrame) -> pd.DataFrame:
    """:func:`numbers` as text, a line an alternative, with the verdict on each option in its first line.

    An option without any cell has a line with its verdict alone.
    """
    marks, sentences, lines = tc.origin_marks(cells), verdicts(cells), []
    known = {*cells[["option", "alternative", "system"]].itertuples(index=False, name=None)}
    for (option, default), group in itertools.groupby(OPEN_CHOICES, lambda c: (c.option, c.default)):
        group = list(group)
        for choice in [c for c in group if (c.option, c.alternative, c.system) in known] or group[:1]:
            own = tc.select(cells, option=option, alternative=choice.alternative, system=choice.system)
            found = {(f["protocol"], f["classes"]): _signed(f, marks) for f in own.to_dict("records")}
            other = UNCHANGED if found else tc.MISSING
            texts = {f"{p} {c}": found.get((p, c), other) for p, c in CELLS}
            line = {"option": option, "default": default, "alternative": choice.alternative, "of": choice.system}
            lines.append(line | texts | {"verdict": sentences.pop(option, "")})
    table = pd.DataFrame(lines)
    table.attrs["footnotes"] = tc.footnotes(cells)
    return table


def verdicts(cells: pd.DataFrame) -> dict[str, str]:
    """A sentence on each option of METHOD 9, from the numbers of :func:`numbers` alone."""
    return {o: _verdict(cells[cells["option"] == o]) for o in dict.fromkeys(c.option for c in OPEN_CHOICES)}


def clear(cells: pd.DataFrame) -> pd.Series:
    """True for differences whose interval excludes zero."""
    return (cells["low"] > 0) | (cells["high"] < 0)


def _verdict(cells: pd.DataFrame) -> str:
    if cells.empty:
        return "Not measured here."
    known, named = cells.dropna(subset="value"), cells["alternative"] + cells["system"]
    if known.empty:
        return "No rows yet."
    several = cells["system"].nunique() > 1
    absent = cells.loc[~named.isin(named[known.index]), ["system", "alternative"]].drop_duplicates()
    rest = "; ".join(f"{a} ({s})" if several else a for s, a in absent.itertuples(index=False))
    rest = f" No rows yet: {rest}." if rest else ""
    ordered = known.reindex(known["value"].abs().sort_values(ascending=False, kind="stable").index)
    found = ordered[clear(ordered)]
    if len(found):
        told = "; ".join(_told(f, several) for f in found.to_dict("records"))
        return f"Matters: {told}.{rest}"
    if known["low"].isna().all():
        return f"Cannot tell: these scores have no interval.{rest}"
    if not known[["value", "low", "high"]].any(axis=None):
        return f"Changes nothing on this dataset: every window is scored as before.{rest}"
    largest = _told(ordered.iloc[0].to_dict(), several)
    return f"Does not matter beyond the intervals here; the largest difference is {largest}.{rest}"


def _told(found: dict, several: bool) -> str:
    name = f"{found['alternative']} ({found['system']})" if several else found["alternative"]
    return f"{name}, {_CELL_NAMES[found['protocol']]} {found['classes']} {_signed(found)}"


def _signed(found: dict, marks: dict[str, str] | None = None) -> str:
    """``+0.05 [+0.01, +0.09]``, the interval where it is known."""
    text = tc.interval(*score_of(found), sign="+")  # "-0.00" leaves zero out
    return f"{text} {marks[found['origin']]}" if marks and found["origin"] else text
