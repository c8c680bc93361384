"""What every split is made of: the parts, their groups and exclusions, and the check that two sides share nothing."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from embridge.errors import InputError

SETS = ("in", "unseen")


@dataclass(frozen=True)
class Splits:
    """Which windows serve what. All ids are rows of ``table``, int64, ascending.

    Whoever makes one, the rules that hold for every dataset are checked: InputError where a file is there twice, a
    labelled stretch or a window's content is on two sides, an unseen class is among the pre-training windows, or the
    probe would train on what ``probe_apart`` forbids.

    Attributes
    ----------
    pretrain : D_tr
    probe_train, tune, evaluation : by class set, "in" and "unseen"; ``tune`` is empty where there is no D_tune
    classes : gesture names in class order, by class set
    group_kind : what the bootstrap resamples, "user" or "movement-repetition"
    policies : the gallery policies that apply, in the order of reports
    has_tuning : whether there is a D_tune; without one hyper-parameters come from emg2pose (METHOD 1)
    remedy : the sentence that tells what to add where evaluation lacks something
    probe_apart : what the probe's training and D_eval may not share, "user", or "repetition" (of a user's movement)
        where the protocol itself probes and evaluates the same users, as NinaPro's does
    paper : by part, what E Table 1 prints: (gestures, users, sessions)
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
    has_tuning: bool
    remedy: str
    probe_apart: str = "user"
    paper: dict[str, tuple[int | None, int | None, int | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        _check_files(self.table)
        shown = np.isin(self.table.gesture.to_numpy()[self.pretrain], self.classes["unseen"])
        if shown.any():
            gesture = self.table.gesture.iloc[self.pretrain[shown][0]]
            raise InputError(f"leak: the unseen class {gesture} is in pre-training; leave its windows out")
        probed = np.setdiff1d(np.concatenate(list(self.probe_train.values())), self.pretrain)
        sides = {"pre-training": self.pretrain, "probe-train": probed, "D_tune": self._both(self.tune)}
        sides["D_eval"] = self._both(self.evaluation)
        disjoint(sides, self.table.segment, "labelled stretch")
        disjoint(sides, self.table.digest, "window content")
        if self.probe_apart not in ("user", "repetition"):
            raise InputError(f"splits: expected probe_apart 'user' or 'repetition', found {self.probe_apart!r}")
        self.probe_from(probed)  # hours before the first probe is fitted; pre-training's windows pass learn_from

    @staticmethod
    def _both(part: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([part[classes] for classes in SETS])

    def learn_from(self, ids, what: str, *, tuning: bool = False) -> np.ndarray:
        """``ids`` (B,) as they are, after a look that ``what`` learns nothing of D_eval from these windows.

        Every training, scale, community and choice passes here. Raises InputError where a window is of a user of D_eval
        (DB1, whose users are on both sides: of a labelled stretch), or, but for ``tuning``, of an unseen class.
        """
        ids = row_ids(ids)
        column = "user" if self.group_kind == "user" else "segment"
        disjoint({"D_eval": self._both(self.evaluation), what: ids}, self.table[column], column)
        shown = [] if tuning else set(self.table.gesture.iloc[ids]) & set(self.classes["unseen"])
        if shown:
            raise InputError(f"leak: {what} would see the unseen class {min(shown)}; take windows of pre-training")
        return ids

    def probe_from(self, ids) -> np.ndarray:
        """``ids`` (B,) as they are, after a look that a probe trained on these windows knows nothing of D_eval.

        Every probe passes here. Raises InputError where a window is of a user of D_eval, or of a repetition of it where
        ``probe_apart`` says so.
        """
        ids, values = row_ids(ids), self.table.user if self.probe_apart == "user" else self._repetition
        disjoint({"D_eval": self._both(self.evaluation), "probe-train": ids}, values, self.probe_apart)
        return ids

    def named(self) -> dict[str, np.ndarray]:
        """Every part by its printed name, in Table 1's order."""
        parts = {"pre-training": self.pretrain}
        for name, ids in (("probe-train", self.probe_train), ("D_tune", self.tune), ("D_eval", self.evaluation)):
            parts |= {f"{name}, {classes}": ids[classes] for classes in SETS}
        return parts

    def labels(self, class_set: str, ids) -> np.ndarray:
        """The class of each window (B,) int64; -1 where its gesture is none of the set's classes."""
        classes = pd.Index(self.classes[class_set])
        return classes.get_indexer(self.table.gesture.to_numpy()[row_ids(ids)]).astype(np.int64)

    def groups(self, ids) -> np.ndarray:
        """What the bootstrap resamples, a string for each window (B,): its user, or user/movement/repetition."""
        rows = self.table.iloc[row_ids(ids)]
        if self.group_kind == "user":
            return rows.user.to_numpy(dtype=str)
        return repetition_of(rows)

    def exclusion(self, policy: str, ids) -> np.ndarray | None:
        """Codes (B,) int64: a gallery window with the query's code is excluded; None: nothing is (METHOD 8)."""
        if policy == "all":
            return None
        if policy == "not-self":
            return row_ids(ids)
        if policy not in ("other-users", "other-repetitions"):
            raise InputError(f"expected one of the gallery policies {', '.join(self.policies)}, found {policy}")
        return self._codes[policy][row_ids(ids)]

    @cached_property
    def _codes(self) -> dict[str, np.ndarray]:
        keys = {"other-users": self.table.user, "other-repetitions": self._repetition}
        return {policy: pd.factorize(key)[0].astype(np.int64) for policy, key in keys.items()}

    @cached_property
    def _repetition(self) -> pd.Series:
        return pd.Series(repetition_of(self.table))

    def check_evaluable(self) -> None:
        """Raise InputError with the classes and users that evaluation needs and the data lack (RELIABILITY 17)."""
        missing = []
        for name, ids in self.named().items():
            part, _, class_set = name.partition(", ")
            if part == "pre-training" or (part == "D_tune" and not self.has_tuning):
                continue
            found = set(self.labels(class_set, ids))
            absent = [c for i, c in enumerate(self.classes[class_set]) if i not in found]
            if absent:
                users = self.table.user.iloc[ids].nunique()
                missing.append(f"{name} ({users} users) has no window of {', '.join(absent)}")
        if missing:
            raise InputError(
                f"{self.dataset}: pre-training can run, evaluation cannot: {'; '.join(missing)}. {self.remedy}"
            )


def row_ids(ids) -> np.ndarray:
    """Any list of ids as int64 (B,)."""
    return np.asarray(ids, dtype=np.int64)


def repetition_of(rows: pd.DataFrame) -> np.ndarray:
    """The performance that each window is of: "user/gesture/repetition" (B,)."""
    columns = (rows[name].to_numpy(dtype=str) for name in ("user", "gesture", "repetition"))
    return np.array(["/".join(values) for values in zip(*columns, strict=True)], dtype=str)


def where(mask) -> np.ndarray:
    """The ids at which a mask over the table is true, ascending."""
    return np.flatnonzero(np.asarray(mask)).astype(np.int64)


def _check_files(table: pd.DataFrame) -> None:
    twice = table.duplicated(["recording", "start"])
    if twice.any():
        raise InputError(f"the file {table.recording[twice].iloc[0]} is there twice; remove one")
    of_file = table.groupby("recording")[["user", "session", "split", "hand"]].nunique()
    mixed = of_file.index[(of_file > 1).any(axis=1)]
    if len(mixed):
        raise InputError(f"the file {mixed[0]} has two users, sessions, splits or hands; correct the metadata")


def disjoint(sides: dict[str, np.ndarray], values: pd.Series, what: str) -> None:
    """Raise InputError if a value occurs on two sides."""
    values = values.to_numpy()
    seen: dict = {}
    for side, ids in sides.items():
        for value in pd.unique(values[ids]):
            if seen.setdefault(value, side) != side:
                where = f"both in {seen[value]} and in {side}"
                raise InputError(f"leak: the {what} {value} is {where}; correct the metadata or the split")


def paired_subset(table: pd.DataFrame, ids: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The windows ``ids`` of a fraction of each gesture's recordings, of at least one; smaller ones lie in larger ones.

    E 4 downsamples "sessions within each gesture class": a recording is one session's of one gesture.
    """
    if fraction >= 1:
        return ids
    rows, rng, chosen = table.iloc[ids], np.random.default_rng(seed), []
    for _, recordings in rows.groupby("gesture")["recording"]:
        names = rng.permutation(np.sort(recordings.unique()))
        chosen += names[: max(1, round(fraction * len(names)))].tolist()
    return ids[rows["recording"].isin(chosen).to_numpy()]
