"""NinaPro's splits: DB2 and DB7 as E 3.2 uses them, and DB1's of our own (METHOD 1)."""

import numpy as np
import pandas as pd

from embridge.recordings.ninapro import gesture_name
from embridge.splits.parts import SETS, Splits, disjoint, repetition_of, where

DB1_CLASSES = {
    "in": tuple(gesture_name(1, rank) for rank in (2, 4, 7, 10)),
    "unseen": tuple(gesture_name(1, rank) for rank in (1, 5, 9, 12)),
}
DB1_EVALUATION_REPETITIONS = (2, 5, 7)
NINAPRO_CLASSES = {
    "in": tuple(gesture_name(2, rank) for rank in (1, 5, 10, 15)),  # exercise C
    "unseen": tuple(gesture_name(1, rank) for rank in (1, 5, 10, 15)),  # exercise B
}
NINAPRO_NOTES = (
    "The paper prints the in-distribution classes as 1, 5, 10 and 10 of exercise C; the second 10 is read as 15.",
    "Of DB2's 22 glove sensors the four distal ones (columns 7, 10, 14, 18) are dropped: DB7's glove has the other 18.",
    "Repetitions of DB7 are split at random within a movement and user: the probe has seen the users it is tested on.",
)


def split_ninapro(dataset: str, table: pd.DataFrame, seed: int) -> Splits:
    """DB2 pre-trains, but for the unseen movements; DB7's repetitions are probed on or evaluated on, half and half.

    Which half is drawn with ``seed`` for each user and movement alone; of an odd number evaluation gets one more.
    """
    pretrain = (table.split == "train") & ~table.gesture.isin(NINAPRO_CLASSES["unseen"])
    downstream, probed = table.split == "test", _half_of_repetitions(table, seed)
    rows = {name: downstream & table.gesture.isin(classes) for name, classes in NINAPRO_CLASSES.items()}
    splits = Splits(
        dataset=dataset,
        pretrain=where(pretrain),
        probe_train={name: where(rows[name] & probed) for name in SETS},
        tune={name: np.zeros(0, np.int64) for name in SETS},
        evaluation={name: where(rows[name] & ~probed & table.eval_grid) for name in SETS},
        classes=NINAPRO_CLASSES,
        group_kind="user",
        policies=("all", "not-self", "other-repetitions", "other-users"),
        table=table,
        has_tuning=False,
        remedy="Add whole files of exercises 1 and 2 of DB7, whose movements have two repetitions or more",
        probe_apart="repetition",
        notes=NINAPRO_NOTES,
    )
    downstream_parts = {
        "probe-train": np.concatenate(list(splits.probe_train.values())),
        "D_eval": np.concatenate(list(splits.evaluation.values())),
    }
    sides = {"pre-training": splits.pretrain, **downstream_parts}
    # the same users are probed on and evaluated on: the paper's protocol
    both = {"pre-training": splits.pretrain, "DB7's parts": np.concatenate(list(downstream_parts.values()))}
    disjoint(both, table.user, "user")
    disjoint(both, table.session, "session")
    disjoint(sides, pd.Series(repetition_of(table)), "repetition")
    return splits


def _half_of_repetitions(table: pd.DataFrame, seed: int) -> np.ndarray:
    """(N,) bool: windows of the repetitions that train the probe, in the order of users and movements, not of files."""
    rng, chosen = np.random.default_rng(seed), []
    for (user, gesture), rows in table[table.split == "test"].groupby(["user", "gesture"], sort=True):
        repetitions = rng.permutation(np.unique(rows.repetition))
        chosen += [f"{user}/{gesture}/{repetition}" for repetition in repetitions[: len(repetitions) // 2]]
    return np.isin(repetition_of(table), chosen)


def split_db1(table: pd.DataFrame) -> Splits:
    """DB1: three repetitions of each movement evaluate, the others train (METHOD 1)."""
    evaluated = table.repetition.isin(DB1_EVALUATION_REPETITIONS)
    rows = {name: table.gesture.isin(classes) for name, classes in DB1_CLASSES.items()}
    return Splits(
        dataset="ninapro-db1",
        pretrain=where(~evaluated & ~rows["unseen"]),
        probe_train={name: where(~evaluated & rows[name]) for name in SETS},
        tune={name: np.zeros(0, np.int64) for name in SETS},
        evaluation={name: where(evaluated & rows[name] & table.eval_grid) for name in SETS},
        classes=DB1_CLASSES,
        group_kind="movement-repetition",
        policies=("all", "other-repetitions", *(("other-users",) if table.user.nunique() > 1 else ())),
        table=table,
        has_tuning=False,
        remedy="Add complete exercise 1 files",
        probe_apart="repetition",
        notes=("Subject 1 is a development subject: choices were made with it in view.",),
    )
