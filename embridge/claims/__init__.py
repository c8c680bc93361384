"""The claims table: what the papers say in words, and whether a run's tidy results say it, too."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from embridge.claims.evidence import Cell, Evidence, Number
from embridge.claims.registry import CLAIMS, MARGIN, Claim, Comparison
from embridge.datasets import SIMULATED
from embridge.files import write_atomically
from embridge.tables import markdown

__all__ = ["CLAIMS", "Claim", "Comparison", "Evidence", "claims_table", "verdict", "write"]

HOLDS, OPPOSITE, OPEN = "holds", "does not hold", "cannot tell on this dataset"
# whose rows a claim about one of the papers' datasets is judged by; a simulated run has both simulations
STANDS_FOR = {"emg2pose": ("emg2pose", "simulated"), "ninapro": ("ninapro", "simulated-ninapro")}
COLUMNS = ("claim", "source", "verdict", "numbers", "origin")
RULE = f"""What E (EMBridge's paper) and C (CPEP's, per a third party's summary) claim in words, paraphrased, and what
the rows of this run say. A claim of several comparisons holds if the 95 % interval of every difference lies above 0,
and does not hold if any lies below; else this data cannot tell. A claim of robustness holds if every interval lies
within {MARGIN:g} of 0, and does not hold if any lies beyond. A system with several seeds, committed ones among them,
has their mean. Differences have the luck of both trainings in them, as wide as the aligned systems' seeds lie apart
(Student's, pooled), less for a mean over seeds. "Paired": both systems on the same resampled users; other intervals
combine the two systems' own in quadrature as if they were independent, which is conservative as far as users go.
Comparisons of k and of shots within one system are of this run's training alone. LP: linear probe, ZS: zero-shot
(gallery "all", the papers'), in: known gestures; the numbers are differences in balanced accuracy unless F1 or a share
of users is named.
No interval covers the choice among the claims, nor the luck of a training where no system has a second seed: of many
comparisons some are decided by chance alone."""


def verdict(claim: Claim, evidence: Evidence | None) -> dict:
    """A line of the table: claim, source, verdict, numbers and origin; ``evidence`` None: there is no such dataset."""
    found, missing, origins = [], [], set()
    cells = evidence.cells if evidence else {}
    for comparison in claim.comparisons:
        absent = [c.name for _, c in comparison.terms if isinstance(c, Cell) and c not in cells]
        missing += absent
        if not absent:
            number, paired = evidence.difference(comparison.terms)
            found.append((comparison, number, paired))
            origins |= {"committed rows" if origin else "this run" for origin in number.origins}
    numbers = [number for _, number, _ in found]
    judged = _robust(numbers) if claim.robust else _above(numbers)
    if judged != OPPOSITE and missing:
        names = list(dict.fromkeys(missing))
        more = f" and {len(names) - 3} more" if len(names) > 4 else ""
        judged = f"cannot tell: no rows of {'; '.join(names[:3] if more else names)}{more} yet"
    text = "; ".join(_told(c, number, paired, cells if claim.relative else {}) for c, number, paired in found)
    origin = " and ".join(sorted(origins, reverse=True))
    return dict(zip(COLUMNS, (claim.text, claim.source, judged, text, origin), strict=True))


def _above(numbers: Sequence[Number]) -> str:
    if any(n.high < 0 for n in numbers):
        return OPPOSITE
    return HOLDS if numbers and all(n.low > 0 for n in numbers) else OPEN


def _robust(numbers: Sequence[Number]) -> str:
    if any(n.low > MARGIN or n.high < -MARGIN for n in numbers):
        return OPPOSITE
    return HOLDS if numbers and all(-MARGIN <= n.low and n.high <= MARGIN for n in numbers) else OPEN


def _told(comparison: Comparison, number: Number, paired: bool, ratios: dict) -> str:
    """``EMBridge over CPEP, ZS in -0.02 [-0.07, 0.04] paired``, with cells of ``ratios`` also the relative gain."""
    known = "" if pd.isna(number.low) else f" [{number.low:.3f}, {number.high:.3f}]"
    text = f"{comparison.label} {number.value:+.3f}{known or ' (no interval)'}"
    if ratios:
        (_, a), (_, b) = comparison.terms
        text += f" ({ratios[a].value / ratios[b].value - 1:+.0%})"
    return text + (" paired" if paired else "")


def claims_about(dataset: str) -> list[Claim]:
    """The claims that a run on a dataset speaks to; a run on "simulated" has NinaPro's simulation beside it."""
    present = {dataset, "simulated-ninapro"} if dataset == "simulated" else {dataset}
    return [claim for claim in CLAIMS if present & set(STANDS_FOR[claim.about])]


def claims_table(results: pd.DataFrame, claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """Claims with their verdicts from a frame of :func:`embridge.results.collect`; columns as COLUMNS, all text."""
    found = {}
    for about, names in STANDS_FOR.items():
        present = [name for name in names if (results["dataset"] == name).any()]
        found[about] = Evidence(results, present[0]) if present else None
    return pd.DataFrame([verdict(claim, found[claim.about]) for claim in claims], columns=list(COLUMNS))


def caption(dataset: str, profile: str) -> str:
    """What stands above the table: whose data, how to read it, and of what it does not speak."""
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
        kinds = table["verdict"].str.replace(r": no rows.*", ": rows are missing", regex=True)
        counts = "; ".join(f"{kind}: {n}" for kind, n in kinds.value_counts().items())
        text += f" Of {len(table)} claims, {counts}.\n\n{markdown(table)}"
    write_atomically(folder / "claims.csv", table.to_csv(index=False, lineterminator="\n"))
    write_atomically(folder / "claims.md", text.rstrip() + "\n")
    return table
