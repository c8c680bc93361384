"""Table 1 as code, and NinaPro's splits, with their assertions (METHOD 1).

A window is known by its row in the store's table. Every rule against leakage is checked each time a split is made:
nobody has to remember to call anything.
"""

import pandas as pd

from embridge.errors import InputError
from embridge.splits.emg2pose import PAPER, split_emg2pose, tune_users
from embridge.splits.ninapro import DB1_CLASSES, NINAPRO_CLASSES, split_db1, split_ninapro
from embridge.splits.own import split_by_column
from embridge.splits.parts import SETS, Splits, paired_subset

__all__ = [
    "DB1_CLASSES",
    "NINAPRO_CLASSES",
    "PAPER",
    "SETS",
    "Splits",
    "make_splits",
    "paired_subset",
    "split_by_column",
    "table1",
    "tune_users",
]


def make_splits(
    dataset: str, table: pd.DataFrame, *, seed: int = 0, hands: str = "all", n_tune: int | None = None
) -> Splits:
    """Split the windows of a store's ``table`` for the named dataset, and check that nothing leaks.

    ``seed`` chooses D_tune's users among those of val, ``n_tune`` of them (None: 3 of 15, E Table 1), or halves DB7's
    repetitions. ``hands="prompted"`` keeps, in
    emg2pose's labelled parts, only files whose hand was prompted to move (pre-training uses all files). Raises
    InputError where a rule is broken.
    """
    if hands not in ("all", "prompted"):
        raise InputError(f"hands: expected all or prompted, found {hands}")
    if dataset == "ninapro-db1":
        splits = split_db1(table)
    elif dataset in ("ninapro", "simulated-ninapro"):
        splits = split_ninapro(dataset, table, seed)
    else:
        splits = split_emg2pose(dataset, table, seed, hands, n_tune)
    if not len(splits.pretrain):
        raise InputError(
            f"{dataset}: none of the {len(table)} windows is for pre-training; add training files and their metadata"
        )
    return splits


def table1(splits: Splits) -> pd.DataFrame:
    """Table 1: gestures, users, sessions, files and windows of each part, and the paper's counts where it has them."""
    rows = []
    for name, ids in splits.named().items():
        part = splits.table.iloc[ids]
        row = {"split": name} | {c: part[c].nunique() for c in ("gesture", "user", "session", "recording")}
        row["windows"] = len(part)
        paper = splits.paper.get(name, (None, None, None))
        row |= dict(zip(("paper: gestures", "paper: users", "paper: sessions"), paper, strict=True))
        rows.append(row)
    table = pd.DataFrame(rows).rename(
        columns={"gesture": "gestures", "user": "users", "session": "sessions", "recording": "files"}
    )
    counts = [c for c in table.columns if c.startswith("paper")]
    return table.astype(dict.fromkeys(counts, "Int64"))
