"""Few-shot linear probing of a study's systems (E A.4, Fig. 8)."""

import numpy as np

from embridge import evaluation as ev
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, Study
from embridge.protocols import own_c
from embridge.results import row

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

    Every window is embedded once. C is the whole training set's, so that only the number of shots varies.

    Parameters
    ----------
    system : "Pose-MAE" is the upper bound
    classes : "in" or "unseen"
    c : of the probe on the whole set (``param_value`` of its outcome's rows); None: chosen here in the same way
    unit : what a shot is: "recordings" (on NinaPro a repetition) or "windows"
    n_draws : random subsets of each fraction; the whole set is one

    Returns
    -------
    Rows of balanced accuracy with its interval over groups: ``param`` "shots_fraction", ``n_train`` shots a class,
    ``draw``, ``options`` "unit=...".

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
    train_x, test_x = study.features(system, train).numpy(), study.features(system, test).numpy()
    c = own_c(study, system, classes) if c is None else c
    rows = []
    for part in ev.few_shot_subsets(train_y, _units(study, train, unit), fractions, n_draws=n_draws, seed=study.seed):
        predicted = ev.linear_probe(train_x[part.rows], train_y[part.rows], test_x, c=c)
        value, low, high = ev.bootstrap_over_groups(
            y, predicted, groups, n_classes=4, n_resamples=study.profile.evaluation.n_bootstrap
        )
        rows.append(
            row(
                dataset=study.dataset,
                profile=study.profile.name,
                seed=study.seed,
                system="Upper bound" if system == "Pose-MAE" else system,
                protocol="LP",
                classes=classes,
                metric="balanced_accuracy",
                param="shots_fraction",
                param_value=part.fraction,
                n_train=part.shots,
                draw=part.draw,
                options=f"unit={unit}",
                value=value,
                low=low,
                high=high,
                interval_kind=f"95 % bootstrap over {splits.group_kind}",
                n=len(y),
                run_key=study.run(system).key if system in EXPERIMENTS else "",
            )
        )
    return rows


def _units(study: Study, ids: np.ndarray, unit: str) -> np.ndarray:
    """(n,) what each window is a part of; a NinaPro file holds many repetitions, an emg2pose file one."""
    if unit == "windows":
        return np.asarray(ids)
    table = study.splits.table.iloc[ids]
    return (table["recording"].astype(str) + "/" + table["repetition"].astype(str)).to_numpy()
