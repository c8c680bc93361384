"""E Table 1 on emg2pose's users, stages and sessions (METHOD 1)."""

import numpy as np
import pandas as pd

from embridge.errors import InputError
from embridge.recordings.emg2pose import HELD_OUT_STAGES, IN_CLASSES, UNSEEN_CLASSES
from embridge.splits.parts import SETS, Splits, disjoint, where

# E Table 1 and A.2.2: (gestures, users, sessions) where they are printed
PAPER = {
    "pre-training": (23, 158, None),
    "probe-train, in": (4, 158, None),
    "probe-train, unseen": (4, 12, None),
    "D_tune, in": (4, 3, None),
    "D_tune, unseen": (4, 3, None),
    "D_eval, in": (4, 20, 320),
    "D_eval, unseen": (4, 20, 280),
}
PAPER_SESSIONS = {"in": (80, 80, 80, 80), "unseen": (80, 80, 80, 40)}  # a class, E A.2.2


def tune_users(users: list[str], seed: int = 0, n: int | None = None) -> list[str]:
    """D_tune's users among val's: n, or 3 of 15 (E Table 1), 2 of 6, 1 of 2; which ones the paper does not say."""
    users = sorted(users)
    if n is None or n >= len(users):
        n = max(round(len(users) / 5), 2) if len(users) > 3 else len(users) // 2
    np.random.default_rng(seed).shuffle(users)
    return sorted(users[:n])


def split_emg2pose(dataset: str, table: pd.DataFrame, seed: int, hands: str, n_tune: int | None = None) -> Splits:
    """E Table 1: pre-training users, val's users tuned or probed on, the held-out users of test evaluated on."""
    classes = {"in": IN_CLASSES, "unseen": UNSEEN_CLASSES}
    held_out = table.gesture[(table.split == "train") & table.gesture.isin(HELD_OUT_STAGES)]
    if len(held_out):
        raise InputError(f"the held-out stage {held_out.iloc[0]} is among the training files; correct the metadata")
    for_tune = table.user.isin(tune_users(table.user[table.split == "val"].unique().tolist(), seed, n_tune))
    labelled = table.eval_grid
    if hands == "prompted":
        labelled = labelled & ((table.moving_hand == "both") | (table.moving_hand == table.hand))
    rows = {name: labelled & table.gesture.isin(classes[name]) for name in SETS}
    test, val = table.split == "test", table.split == "val"
    kinds = {"in": "user", "unseen": "user_stage"}  # of test rows: training users recorded held-out stages, too
    splits = Splits(
        dataset=dataset,
        pretrain=where(table.split == "train"),
        probe_train={
            "in": where(rows["in"] & (table.split == "train")),
            "unseen": where(rows["unseen"] & val & ~for_tune),
        },
        tune={name: where(rows[name] & val & for_tune) for name in SETS},
        evaluation={name: where(rows[name] & test & (table.generalization == kinds[name])) for name in SETS},
        classes=classes,
        group_kind="user",
        policies=("all", "not-self", "other-users"),
        table=table,
        has_tuning=True,
        remedy=_remedy(table),
        paper=PAPER,
        notes=_session_notes(table, rows, test, kinds, classes),
    )
    sides = {
        "pre-training": splits.pretrain,
        "D_tune": np.concatenate(list(splits.tune.values())),
        "probe-train, unseen": splits.probe_train["unseen"],
        "D_eval": np.concatenate(list(splits.evaluation.values())),
    }
    disjoint(sides, table.user, "user")
    disjoint(sides, table.session, "session")
    disjoint(sides, table.recording.str.replace(r"[-_]?(left|right)$", "", regex=True), "two-handed recording")
    return splits


def _remedy(table: pd.DataFrame) -> str:
    have = table.drop_duplicates("user").groupby("split").user.size()
    per_split = ", ".join(f"{have.get(split, 0)} {split}" for split in ("train", "val", "test"))
    text = f"Users found: {per_split}; add files of val (two users or more) and test users"
    if table.user.nunique() != 1:
        return text
    return f"One user only, like Meta's emg2pose_dataset_mini (30 files): it holds no other users to test on. {text}"


def _session_notes(table, rows, test, kinds, classes) -> tuple[str, ...]:
    """Sessions a class of D_eval against A.2.2's 80, and 40 for unseen class 3."""
    notes = []
    for name in SETS:
        chosen = table[rows[name] & test & (table.generalization == kinds[name])]
        sessions = chosen.groupby("gesture").session.nunique()
        found = [int(sessions.get(gesture, 0)) for gesture in classes[name]]
        paper = PAPER_SESSIONS[name]
        difference = [f - p for f, p in zip(found, paper, strict=True)]
        notes.append(
            f"D_eval, {name}: {' / '.join(map(str, found))} sessions a class; the paper counts "
            f"{' / '.join(map(str, paper))} (difference {' / '.join(f'{d:+d}' for d in difference)})."
        )
    return tuple(notes)
