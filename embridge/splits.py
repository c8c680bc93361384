"""Table 1 as code, and DB1's split, with their assertions (METHOD 1).

A window is known by its row in the store's table. Every rule against leakage is checked each time a split is made:
nobody has to remember to call anything.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from embridge.errors import InputError
from embridge.recordings.emg2pose import HELD_OUT_STAGES, IN_CLASSES, UNSEEN_CLASSES
from embridge.recordings.ninapro import gesture_name

SETS = ("in", "unseen")
DB1_CLASSES = {
    "in": tuple(gesture_name(1, rank) for rank in (2, 4, 7, 10)),
    "unseen": tuple(gesture_name(1, rank) for rank in (1, 5, 9, 12)),
}
DB1_EVALUATION_REPETITIONS = (2, 5, 7)

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


@dataclass(frozen=True)
class Splits:
    """Which windows serve what. All ids are rows of ``table``, int64, ascending.

    Attributes
    ----------
    pretrain : D_tr
    probe_train, tune, evaluation : by class set, "in" and "unseen"; ``tune`` is empty where there is no D_tune
    classes : gesture names in class order, by class set
    group_kind : what the bootstrap resamples, "user" or "movement-repetition"
    policies : the gallery policies that apply, in the order of reports
    notes : sentences to print beside Table 1
    """

    dataset: str
    pretrain: np.ndarray
    probe_train: dict[str, np.ndarray]
    tune: dict[str, np.ndarray]
    evaluation: dict[str, np.ndarray]
    classes: dict[str, tuple[str, ...]]
    group_kind: str
    policies: tuple[str, ...]
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    def named(self) -> dict[str, np.ndarray]:
        """Every part by its printed name, in Table 1's order."""
        parts = {"pre-training": self.pretrain}
        for name, ids in (("probe-train", self.probe_train), ("D_tune", self.tune), ("D_eval", self.evaluation)):
            parts |= {f"{name}, {classes}": ids[classes] for classes in SETS}
        return parts

    def labels(self, class_set: str, ids) -> np.ndarray:
        """The class of each window (B,) int64; -1 where its gesture is none of the set's classes."""
        classes = pd.Index(self.classes[class_set])
        return classes.get_indexer(self.table.gesture.to_numpy()[_ids(ids)]).astype(np.int64)

    def groups(self, ids) -> np.ndarray:
        """What the bootstrap resamples, a string for each window (B,): its user, or user/movement/repetition."""
        rows = self.table.iloc[_ids(ids)]
        if self.group_kind == "user":
            return rows.user.to_numpy(dtype=str)
        return _join(rows)

    def exclusion(self, policy: str, ids) -> np.ndarray | None:
        """Codes (B,) int64: a gallery window with the query's code is excluded; None: nothing is (METHOD 8)."""
        if policy == "all":
            return None
        if policy == "not-self":
            return _ids(ids)
        if policy not in ("other-users", "other-repetitions"):
            raise InputError(f"expected one of the gallery policies {', '.join(self.policies)}, found {policy}")
        return self._codes[policy][_ids(ids)]

    @cached_property
    def _codes(self) -> dict[str, np.ndarray]:
        keys = {"other-users": self.table.user, "other-repetitions": _join(self.table)}
        return {policy: pd.factorize(key)[0].astype(np.int64) for policy, key in keys.items()}

    def check_evaluable(self) -> None:
        """Raise InputError with the classes and users that evaluation needs and the data lack (RELIABILITY 17)."""
        missing = []
        for name, ids in self.named().items():
            part, _, class_set = name.partition(", ")
            if part == "pre-training" or (part == "D_tune" and self.dataset == "ninapro-db1"):
                continue
            found = set(self.labels(class_set, ids))
            absent = [c for i, c in enumerate(self.classes[class_set]) if i not in found]
            if absent:
                users = self.table.user.iloc[ids].nunique()
                missing.append(f"{name} ({users} users) has no window of {', '.join(absent)}")
        if not missing:
            return
        message = f"{self.dataset}: pre-training can run, evaluation cannot: {'; '.join(missing)}."
        if self.dataset == "ninapro-db1":
            raise InputError(f"{message} Add complete exercise 1 files")
        users = self.table.user.nunique()
        if users == 1:
            message += (
                " One user only, like Meta's emg2pose_dataset_mini (30 files): it holds no other users to test on."
            )
        have = self.table.drop_duplicates("user").groupby("split").user.size()
        per_split = ", ".join(f"{have.get(split, 0)} {split}" for split in ("train", "val", "test"))
        raise InputError(f"{message} Users found: {per_split}; add files of val (two users or more) and test users")


def _ids(ids) -> np.ndarray:
    return np.asarray(ids, dtype=np.int64)


def _join(rows: pd.DataFrame) -> np.ndarray:
    columns = (rows[name].to_numpy(dtype=str) for name in ("user", "gesture", "repetition"))
    return np.array(["/".join(values) for values in zip(*columns, strict=True)], dtype=str)


def make_splits(dataset: str, table: pd.DataFrame, *, seed: int = 0, hands: str = "all") -> Splits:
    """Split the windows of a store's ``table`` for the named dataset, and check that nothing leaks.

    ``seed`` chooses D_tune's users among those of val. ``hands="prompted"`` keeps, in the labelled parts, only files
    whose hand was prompted to move (pre-training uses all files). Raises InputError where a rule is broken.
    """
    if hands not in ("all", "prompted"):
        raise InputError(f"hands: expected all or prompted, found {hands}")
    _check_files(table)
    splits = _split_db1(table) if dataset == "ninapro-db1" else _split_emg2pose(dataset, table, seed, hands)
    if not len(splits.pretrain):
        raise InputError(
            f"{dataset}: none of the {len(table)} windows is for pre-training; add training files and their metadata"
        )
    return splits


def tune_users(users: list[str], seed: int = 0) -> list[str]:
    """D_tune's users among val's: 3 of 15 (E Table 1), 2 of 6, 1 of 2; which ones the paper does not say."""
    users = sorted(users)
    n = max(round(len(users) / 5), 2) if len(users) > 3 else len(users) // 2
    np.random.default_rng(seed).shuffle(users)
    return sorted(users[:n])


def _split_emg2pose(dataset: str, table: pd.DataFrame, seed: int, hands: str) -> Splits:
    classes = {"in": IN_CLASSES, "unseen": UNSEEN_CLASSES}
    held_out = table.gesture[(table.split == "train") & table.gesture.isin(HELD_OUT_STAGES)]
    if len(held_out):
        raise InputError(f"the held-out stage {held_out.iloc[0]} is among the training files; correct the metadata")
    for_tune = table.user.isin(tune_users(table.user[table.split == "val"].unique().tolist(), seed))
    labelled = table.eval_grid
    if hands == "prompted":
        labelled = labelled & ((table.moving_hand == "both") | (table.moving_hand == table.hand))
    rows = {name: labelled & table.gesture.isin(classes[name]) for name in SETS}
    test, val = table.split == "test", table.split == "val"
    kinds = {"in": "user", "unseen": "user_stage"}  # of test rows: training users recorded held-out stages, too
    splits = Splits(
        dataset=dataset,
        pretrain=_where(table.split == "train"),
        probe_train={
            "in": _where(rows["in"] & (table.split == "train")),
            "unseen": _where(rows["unseen"] & val & ~for_tune),
        },
        tune={name: _where(rows[name] & val & for_tune) for name in SETS},
        evaluation={name: _where(rows[name] & test & (table.generalization == kinds[name])) for name in SETS},
        classes=classes,
        group_kind="user",
        policies=("all", "not-self", "other-users"),
        table=table,
        notes=_session_notes(table, rows, test, kinds, classes),
    )
    sides = {
        "pre-training": splits.pretrain,
        "D_tune": np.concatenate(list(splits.tune.values())),
        "probe-train, unseen": splits.probe_train["unseen"],
        "D_eval": np.concatenate(list(splits.evaluation.values())),
    }
    _disjoint(sides, table.user, "user")
    _disjoint(sides, table.session, "session")
    _disjoint(sides, table.recording.str.replace(r"[-_]?(left|right)$", "", regex=True), "two-handed recording")
    _disjoint(sides, table.digest, "window content")
    return splits


def _split_db1(table: pd.DataFrame) -> Splits:
    evaluated = table.repetition.isin(DB1_EVALUATION_REPETITIONS)
    rows = {name: table.gesture.isin(classes) for name, classes in DB1_CLASSES.items()}
    splits = Splits(
        dataset="ninapro-db1",
        pretrain=_where(~evaluated & ~rows["unseen"]),
        probe_train={name: _where(~evaluated & rows[name]) for name in SETS},
        tune={name: np.zeros(0, np.int64) for name in SETS},  # hyper-parameters come from emg2pose
        evaluation={name: _where(evaluated & rows[name] & table.eval_grid) for name in SETS},
        classes=DB1_CLASSES,
        group_kind="movement-repetition",
        policies=("all", "other-repetitions", *(("other-users",) if table.user.nunique() > 1 else ())),
        table=table,
        notes=("Subject 1 is a development subject: choices were made with it in view.",),
    )
    trained = np.concatenate([splits.pretrain, *splits.probe_train.values()])
    sides = {"training": trained, "evaluation": np.concatenate(list(splits.evaluation.values()))}
    _disjoint(sides, table.segment, "labelled stretch")
    _disjoint(sides, table.digest, "window content")
    return splits


def _where(mask) -> np.ndarray:
    return np.flatnonzero(np.asarray(mask)).astype(np.int64)


def _check_files(table: pd.DataFrame) -> None:
    twice = table.duplicated(["recording", "start"])
    if twice.any():
        raise InputError(f"the file {table.recording[twice].iloc[0]} is there twice; remove one")
    of_file = table.groupby("recording")[["user", "session", "split", "hand"]].nunique()
    mixed = of_file.index[(of_file > 1).any(axis=1)]
    if len(mixed):
        raise InputError(f"the file {mixed[0]} has two users, sessions, splits or hands; correct the metadata")


def _disjoint(sides: dict[str, np.ndarray], values: pd.Series, what: str) -> None:
    """Raise InputError if a value occurs on two sides."""
    values = values.to_numpy()
    seen: dict = {}
    for side, ids in sides.items():
        for value in pd.unique(values[ids]):
            if seen.setdefault(value, side) != side:
                raise InputError(
                    f"leak: the {what} {value} is both in {seen[value]} and in {side}; correct the metadata"
                )


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


def table1(splits: Splits) -> pd.DataFrame:
    """Table 1: gestures, users, sessions, files and windows of each part, and the paper's counts where it has them."""
    rows = []
    for name, ids in splits.named().items():
        part = splits.table.iloc[ids]
        row = {"split": name} | {c: part[c].nunique() for c in ("gesture", "user", "session", "recording")}
        row["windows"] = len(part)
        paper = (None, None, None) if splits.dataset == "ninapro-db1" else PAPER[name]
        row |= dict(zip(("paper: gestures", "paper: users", "paper: sessions"), paper, strict=True))
        rows.append(row)
    table = pd.DataFrame(rows).rename(
        columns={"gesture": "gestures", "user": "users", "session": "sessions", "recording": "files"}
    )
    counts = [c for c in table.columns if c.startswith("paper")]
    return table.astype(dict.fromkeys(counts, "Int64"))
