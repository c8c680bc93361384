"""What notebook 05 compares: systems with each other, galleries, this run with other seeds, and all with controls."""

import itertools

import numpy as np
import pandas as pd

from embridge import evaluation as ev
from embridge.experiments import Study
from embridge.records import CONTROLS, committed, recorded
from embridge.results import row
from embridge.scoring import Outcome, probe_outcome
from embridge.splits import SETS
from embridge.statistics import bootstrap_over_seeds, class_counts
from embridge.tables.cells import HEADLINE_OPTIONS

SEEDS = 3  # METHOD 10: of the long profile's headline rows
HEADLINE = ("", "all")  # galleries: of a probe, and the papers'
SHUFFLED = ("Labels shuffled", "CPEP, pairs shuffled")
CHANCE, STRAY = 0.25, 0.05  # of four classes; how far from it the mean of a shuffled control may lie


def _counts(outcomes: list[Outcome], study: Study) -> dict[tuple[str, str, str], np.ndarray]:
    """(S, G, K, 3) counts of zero-shot by (system, classes, gallery): all seeds, the class set's corpus."""
    found = {}
    for o in outcomes:
        if o.options == "corpus=class set" and o.pooling == study.profile.evaluation.pooling:
            key = (o.system, o.classes, o.gallery)
            found.setdefault(key, []).append(class_counts(o.y, o.predicted, o.groups, 4))
    return {key: np.stack(counts) for key, counts in found.items()}


def paired_differences(outcomes: list[Outcome], pairs: list[tuple[str, str]], study: Study) -> pd.DataFrame:
    """Difference in zero-shot balanced accuracy of each pair of systems, gallery policy by policy, on the same windows.

    Returns
    -------
    DataFrame with columns classes, gallery, systems, difference, low, high: 95 % paired bootstrap over groups, and
    Student's over seeds, in quadrature, where the outcomes are of several
    """
    counts, found, n = _counts(outcomes, study), [], study.profile.evaluation.n_bootstrap
    for classes, gallery, (a, b) in itertools.product(SETS, study.splits.policies, pairs):
        sides = [counts[system, classes, gallery] for system in (a, b)]
        found.append((classes, gallery, f"{a} - {b}", *bootstrap_over_seeds(*sides, n_resamples=n)))
    return pd.DataFrame(found, columns=["classes", "gallery", "systems", "difference", "low", "high"])


def gallery_steps(outcomes: list[Outcome], study: Study) -> pd.DataFrame:
    """What zero-shot loses from one gallery policy to the next, stricter one: the gallery audit of METHOD 8.

    From "all" to "not-self" goes the query's own window, from there to "other-users" the user's other poses.

    Returns
    -------
    DataFrame with columns classes, system, step ("all - not-self"), difference, low, high (paired, as above)
    """
    counts, found, n = _counts(outcomes, study), [], study.profile.evaluation.n_bootstrap
    systems = dict.fromkeys(o.system for o in outcomes if o.protocol == "ZS")
    for classes, system, step in itertools.product(SETS, systems, itertools.pairwise(study.splits.policies)):
        sides = [counts[system, classes, gallery] for gallery in step]
        found.append((classes, system, " - ".join(step), *bootstrap_over_seeds(*sides, n_resamples=n)))
    return pd.DataFrame(found, columns=["classes", "system", "step", "difference", "low", "high"])


def difference_rows(
    outcomes: list[Outcome], differences: pd.DataFrame, steps: pd.DataFrame, study: Study
) -> list[dict]:
    """Tidy rows of the two frames above and, for gallery "all", of each class's F1 ("class_f1_difference").

    Their system is "A - B" (of a step: the gallery); ``seed`` is empty where several seeds are in one number.
    """
    seeds = {o.rows[0]["seed"] for o in outcomes}
    kind = "95 % paired bootstrap over users" + ("" if len(seeds) == 1 else f", {len(seeds)} seeds (Student)")
    common = {"dataset": study.dataset, "profile": study.profile.name, "protocol": "ZS", "interval_kind": kind}
    common |= {"seed": seeds.pop() if len(seeds) == 1 else None, "pooling": study.profile.evaluation.pooling}
    rows, metric = [], "balanced_accuracy_difference"
    for d in differences.itertuples():
        how = {"system": d.systems, "classes": d.classes, "gallery": d.gallery, "metric": metric}
        rows.append(row(**common, **how, value=d.difference, low=d.low, high=d.high))
    for d in steps.itertuples():
        how = {"system": d.system, "classes": d.classes, "gallery": d.step, "metric": metric}
        rows.append(row(**common, **how, value=d.difference, low=d.low, high=d.high))
    counts, n = _counts(outcomes, study), study.profile.evaluation.n_bootstrap
    for pair, classes, k in itertools.product(differences["systems"].unique(), SETS, range(4)):
        sides = [counts[system, classes, "all"] for system in pair.split(" - ")]
        value, low, high = bootstrap_over_seeds(*sides, f1_of=k, n_resamples=n)
        how = {"system": pair, "classes": classes, "gallery": "all", "metric": "class_f1_difference", "class": k}
        rows.append(row(**common, **how, value=value, low=low, high=high))
    return rows


def recorded_seeds(studies: list[Study], names: tuple[str, ...], galleries: tuple[str, ...] = HEADLINE) -> list[dict]:
    """Committed rows of the long profile's headline systems, of the seeds that this run does not make itself."""
    study, rows, mine = studies[0], [], {s.seed for s in studies}
    for seed in range(SEEDS if committed(study) else 0):
        other = study.changed(seed=seed)
        for name in names if seed not in mine else ():
            rows += found.rows if (found := recorded(other, name)) else []
    return [r for r in rows if r["gallery"] in galleries and _shown(r, study.profile.evaluation.k)]


def _shown(fields: dict, k: int) -> bool:
    usual = (fields["param"], fields["param_value"]) == ("k", str(k)) or fields["param"] == "C"
    usual = usual and fields["options"] in HEADLINE_OPTIONS and fields["pooling"] in ("", "max")
    return usual and fields["metric"] in ("balanced_accuracy", "user_recall", "class_f1", "user_f1")


def controls(study: Study, classes: str, *, n_draws: int = 20) -> list[dict]:
    """Rows that would betray a mistake, beside the record of shuffled pairs: an untrained encoder, and shuffled labels.

    Probes of CPEP on these are drawn ``n_draws`` times, a row each with its ``draw``: one draw may miss chance by a few
    hundredths.
    """
    untrained = probe_outcome(study, "Untrained encoder", classes, features=study.untrained_features, options="control")
    return untrained.rows + shuffled_labels(study, classes, n_draws)


def shuffled_labels(study: Study, classes: str, n_draws: int) -> list[dict]:
    """Rows of probes of CPEP trained on shuffled labels, one for each of ``n_draws``."""
    splits, system, rows = study.splits, "CPEP", []
    train, test = splits.probe_from(splits.probe_train[classes]), splits.evaluation[classes]
    x, test_x, y = (
        study.features(system, train).numpy(),
        study.features(system, test).numpy(),
        splits.labels(classes, test),
    )
    for draw in range(n_draws):
        labels = ev.shuffled_labels(splits.labels(classes, train), [study.seed, draw])
        value = ev.balanced_accuracy(y, ev.linear_probe(x, labels, test_x, c=1.0), 4)
        rows.append(
            row(
                dataset=study.dataset, profile=study.profile.name, seed=study.seed, system="Labels shuffled",
                protocol="LP", classes=classes, metric="balanced_accuracy", param="C", param_value=1.0,
                n_train=len(train), draw=draw, options=f"probe of {system}", value=value, n=len(test),
            )
        )  # fmt: skip
    return rows


def judge_controls(results: pd.DataFrame, dataset: str) -> str:
    """One sentence: whether a shuffled control's mean over draws and seeds is further than 0.05 from chance, 0.25.

    ``results`` is a page's tidy frame. A mean that is further means that labels or poses reach what must not know them.
    """
    known = results["gallery"].isin(("", *CONTROLS)) & (results["metric"] == "balanced_accuracy")
    rows = results[known & (results["dataset"] == dataset) & results["system"].isin(SHUFFLED)]
    means = rows.groupby(["system", "classes"])["value"].mean()
    far = means[(means - CHANCE).abs() > STRAY]
    if far.empty:
        return f"All {len(means)} means of shuffled controls are within {STRAY} of chance ({CHANCE})."
    found = "; ".join(f"{system}, {classes}, {value:.3f}" for (system, classes), value in far.items())
    return (
        f"WARNING: shuffled controls are further than {STRAY} from chance ({CHANCE}) in the mean: {found}. Trust no "
        "other number of this page before you know why."
    )
