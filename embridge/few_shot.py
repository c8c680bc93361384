"""Few-shot linear probing of a study's systems (E A.4, Fig. 8)."""

import numpy as np

from embridge import evaluation as ev
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, Study
from embridge.protocols import once, own_c, own_shrinkage
from embridge.results import compare_predictions, row
from embridge.splits import SETS
from embridge.statistics import bootstrap_over_groups
from embridge.systems import LOG_POWER_LDA

FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)  # ours, METHOD 8: "40 shots = 50 %" does not fit 12 users x 4 sessions
UNITS = ("recordings", "windows")


def few_shot(
    study: Study,
    system: str,
    classes: str,
    *,
    c: float | None = None,
    unit: str = "recordings",
    fractions: tuple[float, ...] = FRACTIONS,
    n_draws: int = 5,
) -> list[dict]:
    """Tidy rows of a frozen encoder's probe, trained on fractions of each class's recordings, drawn several times.

    Every window is embedded once. C is the whole training set's, so that only the number of shots varies; so is the
    shrinkage of LOG_POWER_LDA, which learns from the same draws.

    Parameters
    ----------
    system : "Pose-MAE" is the upper bound; LOG_POWER_LDA is the line without a network
    classes : "in" or "unseen"
    c : of the probe on the whole set (``param_value`` of its outcome's rows); None: chosen here in the same way
    unit : what a shot is: "recordings" (on NinaPro a repetition) or "windows"
    n_draws : random subsets of each fraction; the whole set is one

    Returns
    -------
    Rows of balanced accuracy with its interval over groups: ``param`` "shots_fraction", ``n_train`` shots a class,
    ``draw`` (from the study's seed), ``options`` "unit=...". Behind each, that of its difference from LOG_POWER_LDA's
    on the same shots, paired by group, under the name "<system> - Log-power + LDA".

    Raises
    ------
    InputError
        for an unknown unit or a fraction out of range
    """
    if unit not in UNITS:
        raise InputError(f"few-shot: expected unit {' or '.join(UNITS)}, found {unit!r}")
    splits = study.splits
    train, test = splits.probe_from(splits.probe_train[classes]), splits.evaluation[classes]
    y, groups, train_y = splits.labels(classes, test), splits.groups(test), splits.labels(classes, train)
    parts = _subsets(study, classes, unit, fractions, n_draws)
    answers = lines = _by_lda(study, classes, unit, fractions, n_draws)
    if system != LOG_POWER_LDA:
        train_x, test_x = study.features(system, train).numpy(), study.features(system, test).numpy()
        c = own_c(study, system, classes) if c is None else c
        answers = [ev.linear_probe(train_x[part.rows], train_y[part.rows], test_x, c=c) for part in parts]
    rows, name, n = [], "Upper bound" if system == "Pose-MAE" else system, study.profile.evaluation.n_bootstrap
    for part, predicted, line in zip(parts, answers, lines, strict=True):
        how = {
            "dataset": study.dataset,
            "profile": study.profile.name,
            "seed": study.seed,
            "protocol": "LP",
            "classes": classes,
            "param": "shots_fraction",
            "param_value": part.fraction,
            "n_train": part.shots,
            "draw": part.draw,
            "options": f"unit={unit}",
            "run_key": study.run(system).key if system in EXPERIMENTS else "",
        }
        value, low, high = bootstrap_over_groups(y, predicted, groups, n_classes=4, n_resamples=n)
        kind = f"95 % bootstrap over {splits.group_kind}"
        own = {"system": name, "metric": "balanced_accuracy", "value": value, "low": low, "high": high}
        rows.append(row(**how, **own, interval_kind=kind, n=len(y)))
        if system != LOG_POWER_LDA:
            pair = {"system": name, "baseline": LOG_POWER_LDA, "n_classes": 4, "n_resamples": n}
            rows.append(compare_predictions(y, predicted, line, groups, **pair, **how))
    return rows


def no_network_rows(study: Study) -> list[dict]:
    """:func:`few_shot` of LOG_POWER_LDA on both class sets; those of another seed have other draws."""
    return [r for classes in SETS for r in few_shot(study, LOG_POWER_LDA, classes)]


@once
def _subsets(study: Study, classes: str, unit: str, fractions: tuple[float, ...], n_draws: int) -> list[ev.Subset]:
    train = study.splits.probe_from(study.splits.probe_train[classes])
    labels, units = study.splits.labels(classes, train), _units(study, train, unit)
    return ev.few_shot_subsets(labels, units, fractions, n_draws=n_draws, seed=study.seed)


@once
def _by_lda(study: Study, classes: str, unit: str, fractions: tuple[float, ...], n_draws: int) -> list[np.ndarray]:
    """What LOG_POWER_LDA answers on D_eval, trained on each of :func:`_subsets`."""
    splits = study.splits
    train, test = splits.probe_from(splits.probe_train[classes]), splits.evaluation[classes]
    x, y, test_x = study.band_power(train), splits.labels(classes, train), study.band_power(test)
    shrinkage = own_shrinkage(study, classes)
    parts = _subsets(study, classes, unit, fractions, n_draws)
    return [ev.lda(x[part.rows], y[part.rows], test_x, shrinkage=shrinkage) for part in parts]


def _units(study: Study, ids: np.ndarray, unit: str) -> np.ndarray:
    """(n,) what each window is a part of; a NinaPro file holds many repetitions, an emg2pose file one."""
    if unit == "windows":
        return np.asarray(ids)
    table = study.splits.table.iloc[ids]
    return (table["recording"].astype(str) + "/" + table["repetition"].astype(str)).to_numpy()
