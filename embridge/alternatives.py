"""What each alternative to METHOD 9's defaults changes: balanced accuracy less that of the default, with its interval.

A trained alternative has its experiment's rows (:mod:`embridge.records`), which hold scores and intervals, not
predictions, and is compared with the mean over the default's seeds; what is only evaluated otherwise is compared window
by window.
"""

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from embridge import records, tables
from embridge.choices import OPEN_CHOICES, Choice
from embridge.comparisons import recorded_seeds
from embridge.experiments import EXPERIMENTS, Study
from embridge.paper import CELLS
from embridge.results import as_frame, row
from embridge.scoring import Outcome, compare_predictions, once, probe_outcome, zero_shot_outcomes
from embridge.splits import SETS
from embridge.systems import ALIGNED, of_parts
from embridge.tables import DIFFERENCE

# option of METHOD 9 -> the attribute of an outcome that says it, and its value for an alternative
_SAID_BY = {
    "zero-shot query pooling": ("pooling", "{}"),
    "gallery exclusion": ("gallery", "{}"),
    "gallery corpus": ("options", "corpus={}"),
}
PROMPTED = ("emg2pose", "simulated")  # datasets whose files say which hand was prompted


def applicable(study: Study) -> list[Choice]:
    """The alternatives that the study's dataset and profile can measure."""
    trained = of_parts(study.dataset, "open choices", "Fig. 4", profile_name=study.profile.name)

    def applies(choice: Choice) -> bool:
        if choice.experiment:
            return choice.experiment in trained
        if choice.option == "gallery exclusion":
            return choice.alternative in study.splits.policies
        return choice.option != "hands" or study.dataset in PROMPTED

    return [choice for choice in OPEN_CHOICES if applies(choice)]


def evaluated(study: Study) -> list[dict]:
    """Rows of the alternatives that need no training: each score, and its difference from the default's.

    Differences are paired by window and bootstrapped over groups where both score the same windows.
    """
    rows = []
    for choice in applicable(study):
        named = {"system": choice.system, "param": choice.option, "param_value": choice.alternative}
        for protocol, classes in [] if choice.experiment else [(p, c) for p in choice.protocols for c in SETS]:
            usual = _outcome(study, choice.system, protocol, classes)
            other = _alternative(study, choice, protocol, classes)
            scored = {**other.rows[0], **named, "paper_value": None, "paper_source": ""}  # balanced accuracy
            rows += [scored, _paired(scored, other, usual, study) or _unpaired(scored, usual.rows[0])]
    return rows


def defaults(studies: list[Study]) -> pd.DataFrame:
    """Tidy rows of the aligned systems as they are by default, with single users' recalls.

    The studies' own and, of seeds that these do not have, the committed ones.
    """
    own = [r for record in records.read(studies, ALIGNED)[0] for r in record.rows]
    return as_frame([*own, *recorded_seeds(studies, ALIGNED)])


def compared(study: Study, rows: list[dict], usual: pd.DataFrame) -> list[dict]:
    """Differences of trained alternatives from the mean over their default's seeds.

    Parameters
    ----------
    rows : those of the alternatives' experiments, as :func:`embridge.records.read` gives them
    usual : the default's, as :func:`defaults` gives them. How far seeds of the aligned systems lie apart is also how
        far an alternative's one training may lie from the mean of its own
    """
    means = tables.headline_rows(usual.assign(origin=""), study.dataset, systems=ALIGNED)  # all seeds in one
    luck, found = {cell: tables.luck(usual, study.dataset, *cell) for cell in CELLS}, []
    for choice in applicable(study):
        if not choice.experiment:
            continue
        e = EXPERIMENTS[choice.experiment]
        named = {"system": e.system, "param": e.param, "param_value": e.param_value}
        for r in rows:
            if not (_is_headline(r) and all(r[c] == value for c, value in named.items())):
                continue
            where = {c: r[c] for c in ("protocol", "classes")}
            (default,) = tables.select(means, system=choice.system, **where).to_dict("records")
            renamed = {**r, "param": choice.option, "param_value": choice.alternative}
            found.append(_unpaired(renamed, default, luck[tuple(where.values())]))
    return found


def _is_headline(fields: dict) -> bool:
    return (
        fields["metric"] == "balanced_accuracy"
        and fields["gallery"] in ("", "all")
        and fields["options"] in ("", "corpus=class set")
    )


def _outcome(study: Study, system: str, protocol: str, classes: str, **said: str) -> Outcome:
    """A system's headline outcome, or that which differs in what is ``said``."""
    if protocol == "LP":
        return probe_outcome(study, system, classes)
    asked = {"gallery": "all", "options": "corpus=class set", "pooling": study.profile.evaluation.pooling} | said
    outcomes = zero_shot_outcomes(study, system, classes, brief=not said)
    return next(o for o in outcomes if all(getattr(o, name) == value for name, value in asked.items()))


def _alternative(study: Study, choice: Choice, protocol: str, classes: str) -> Outcome:
    if choice.option in _SAID_BY:
        name, value = _SAID_BY[choice.option]
        return _outcome(study, choice.system, protocol, classes, **{name: value.format(choice.alternative)})
    if choice.option == "hands":
        return _outcome(_prompted(study), choice.system, protocol, classes)
    return probe_outcome(study, choice.system, classes, features=_after_head(study), options="after h")


@once
def _after_head(study: Study):
    """What reads CPEP's embeddings u (n, d): the head's output."""
    return lambda ids: study.emg_queries("CPEP", ids)[:, 0]


@once
def _prompted(study: Study) -> Study:
    """The study with labelled windows of prompted hands alone, or itself where these are all; its runs are the same."""
    size = replace(study.profile, evaluation=replace(study.profile.evaluation, hands="prompted"))
    other = study.changed(profile=size)
    mine, theirs = study.splits.named(), other.splits.named()
    return study if all(np.array_equal(mine[part], theirs[part]) for part in mine) else other


def _paired(scored: dict, a: Outcome, b: Outcome, study: Study) -> dict | None:
    """The row of a less b on the same windows; None where they score others."""
    if not (np.array_equal(a.y, b.y) and np.array_equal(a.groups, b.groups)):
        return None
    found = compare_predictions(
        a.y, a.predicted, b.predicted, a.groups, n_classes=4, n_resamples=study.profile.evaluation.n_bootstrap,
        system="", baseline="", dataset=study.dataset, profile=study.profile.name,
    )  # fmt: skip
    return row(**scored | {c: found[c] for c in ("metric", "value", "low", "high", "interval_kind")})


def _unpaired(a: dict, b: dict, luck: float = 0.0) -> dict:
    """The row of a less b from the intervals of both, as of independent scores.

    Each bound is as far from the difference as the root of the squared distances of a's and b's own bounds from their
    values (Zou and Donner 2008), with ``luck``, that of a's training, as one more. Users are the same in both, whose
    common ups and downs would narrow the interval: it is too wide rather than too narrow, as far as users go.
    """
    low = high = None
    if not any(pd.isna(x[bound]) for x in (a, b) for bound in ("low", "high")):
        low = a["value"] - b["value"] - math.hypot(a["value"] - a["low"], b["high"] - b["value"], luck)
        high = a["value"] - b["value"] + math.hypot(a["high"] - a["value"], b["value"] - b["low"], luck)
    kind = "95 %, users and seeds in quadrature" if luck else "95 %, users in quadrature"
    return row(
        **a
        | {"metric": DIFFERENCE, "value": a["value"] - b["value"], "low": low, "high": high}
        | {"interval_kind": kind, "paper_value": None, "paper_source": ""}
    )
