"""Splits of recordings of one's own: by the column ``split`` of each recording, as emg2pose's are."""

import numpy as np
import pandas as pd

from embridge.splits.parts import SETS, Splits, disjoint, where


def split_by_column(dataset: str, table: pd.DataFrame, classes: dict[str, tuple[str, ...]]) -> Splits:
    """Pre-train on "train" without the unseen classes, probe those on "val", evaluate on "test"; there is no D_tune.

    ``table`` is a store's; ``classes`` names the gestures that are told apart, {"in": (...), "unseen": (...)}. Raises
    InputError where a user, a recording or a window's content is in two of the three.
    """
    rows = {name: table.gesture.isin(classes[name]) for name in SETS}
    train, val, test = (table.split == name for name in ("train", "val", "test"))
    splits = Splits(
        dataset=dataset,
        pretrain=where(train & ~rows["unseen"]),
        probe_train={"in": where(train & rows["in"]), "unseen": where(val & rows["unseen"])},
        tune={name: np.zeros(0, np.int64) for name in SETS},
        evaluation={name: where(test & rows[name] & table.eval_grid) for name in SETS},
        classes=classes,
        group_kind="user",
        policies=("all", "not-self", "other-users"),
        table=table,
        has_tuning=False,
        remedy="Add recordings of each class whose split is train or test, and of the unseen ones val and test",
    )
    sides = {"train": where(train), "val": where(val), "test": where(test)}
    disjoint(sides, table.user, "user")
    disjoint(sides, table.recording, "recording")
    return splits
