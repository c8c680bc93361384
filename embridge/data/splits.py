"""Table 1 as code, and NinaPro's splits, with their assertions (METHOD 1).

A window is known by its row in the store's table. Rules against leakage are checked each time a split is made.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from embridge.data.emg2pose import HELD_OUT_STAGES, IN_CLASSES, UNSEEN_CLASSES
from embridge.errors import InputError
from embridge.files import read_toml

SETS = ("in", "unseen")
_TOLD = read_toml(__file__)
PAPER = {part: (*counts, None)[:3] for part, counts in _TOLD["paper"].items()}  # (gestures, users, sessions)
DB1_CLASSES, NINAPRO_CLASSES = ({name: tuple(_TOLD[of][name]) for name in SETS} for of in ("db1", "ninapro"))


@dataclass(frozen=True)
class Splits:
    """The windows of each part of a dataset. All ids are rows of ``table``, int64, ascending.

    Whoever makes one, the rules that hold for every dataset are checked: InputError where nothing is left to pre-train
    on, a file or a class is there twice, a labelled stretch or a window's content is on two sides, an unseen class is
    among the pre-training windows, or the probe would train on what ``probe_apart`` forbids.
    """

    dataset: str
    pretrain: np.ndarray  # D_tr
    probe_train: dict[str, np.ndarray]  # this, evaluation and tune by class set, "in" and "unseen"
    evaluation: dict[str, np.ndarray]
    classes: dict[str, tuple[str, ...]]  # gesture names in class order, by class set
    table: pd.DataFrame
    remedy: str  # the sentence that tells what to add where evaluation lacks something
    tune: dict[str, np.ndarray] = field(default_factory=lambda: {name: np.flatnonzero([]) for name in SETS})
    has_tuning: bool = False  # whether there is a D_tune; without one hyper-parameters come from emg2pose (METHOD 1)
    group_kind: str = "user"  # what the bootstrap resamples, or "recording" or "movement-repetition"
    # the gallery policies that apply, in the order of reports; "other-users" and "other-recordings" are left out, with
    # a note, where a class of D_eval is of one user, or recording, for whom that gallery would hold none
    policies: tuple[str, ...] = ("all", "not-self", "other-users")
    # what the probe's training and D_eval may not share; "recording" or "repetition" (of a user's movement) where the
    # protocol itself probes and evaluates the same users, as NinaPro's does
    probe_apart: str = "user"
    # by part, what E Table 1 prints: (gestures, users, sessions)
    paper: dict[str, tuple[int | None, int | None, int | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # sentences to print beside Table 1

    def __post_init__(self):
        if not len(self.pretrain):
            none = f"none of the {len(self.table)} windows is for pre-training; add training files and their metadata"
            raise InputError(f"{self.dataset}: {none}{missing(self.table)}")
        if (twice := self.table.duplicated(["recording", "start"])).any():
            raise InputError(f"the file {self.table.recording[twice].iloc[0]} is there twice; remove one")
        of_file = self.table.groupby("recording")[["user", "session", "split", "hand"]].nunique()
        if len(mixed := of_file.index[(of_file > 1).any(axis=1)]):
            raise InputError(f"the file {mixed[0]} has two users, sessions, splits or hands; correct the metadata")
        object.__setattr__(self, "classes", class_sets(self.dataset, self.classes))
        for column in ("user", "recording"):
            of_class = {name: self.table.iloc[ids].groupby("gesture")[column] for name, ids in self.evaluation.items()}
            alone = " and ".join(name for name in SETS if of_class[name].nunique().eq(1).any())
            if alone and (policy := f"other-{column}s") in self.policies:
                note = f"No gallery of other {column}s: a class of D_eval, {alone}, has one {column}."
                object.__setattr__(self, "policies", tuple(p for p in self.policies if p != policy))
                object.__setattr__(self, "notes", (*self.notes, note))
        shown = self.table.gesture.iloc[self.pretrain]
        if len(shown := shown[shown.isin(self.classes["unseen"])]):
            raise InputError(f"leak: the unseen class {shown.iloc[0]} is in pre-training; leave its windows out")
        probed = np.setdiff1d(joined(self.probe_train), self.pretrain)
        sides = {"pre-training": self.pretrain, "probe-train": probed, "D_tune": joined(self.tune)}
        sides["D_eval"] = joined(self.evaluation)
        disjoint(sides, self.table.segment, "labelled stretch")
        disjoint(sides, self.table.digest, "window content", self.table.recording)
        if (apart := self.probe_apart) not in ("user", "recording", "repetition"):
            raise InputError(f"splits: expected probe_apart 'user', 'recording' or 'repetition', found {apart!r}")
        self.probe_from(probed)  # hours before the first probe is fitted; pre-training's windows pass learn_from

    def learn_from(self, ids, what: str, *, tuning: bool = False) -> np.ndarray:
        """``ids`` (B,) as they are, after a look that ``what`` learns nothing of D_eval from these windows.

        Every training, scale, community and choice passes here. Raises InputError where a window is of a user or, by
        ``group_kind``, a recording of D_eval (DB1: of a labelled stretch), or, but for ``tuning``, of an unseen class.
        """
        ids = np.asarray(ids, np.int64)
        column = self.group_kind if self.group_kind in ("user", "recording") else "segment"
        disjoint({"D_eval": joined(self.evaluation), what: ids}, self.table[column], column)
        shown = [] if tuning else set(self.table.gesture.iloc[ids]) & set(self.classes["unseen"])
        if shown:
            raise InputError(f"leak: {what} would see the unseen class {min(shown)}; take windows of pre-training")
        return ids

    def probe_from(self, ids) -> np.ndarray:
        """``ids`` (B,) as they are, after a look that a probe trained on these windows knows nothing of D_eval.

        Every probe passes here. Raises InputError where a window is of a user of D_eval, or of a recording or a
        repetition of it where ``probe_apart`` says so.
        """
        values = self._repetition if self.probe_apart == "repetition" else self.table[self.probe_apart]
        ids = np.asarray(ids, np.int64)
        disjoint({"D_eval": joined(self.evaluation), "probe-train": ids}, values, self.probe_apart)
        return ids

    def named(self) -> dict[str, np.ndarray]:
        """Every part by its printed name, in Table 1's order."""
        parts = {"pre-training": self.pretrain}
        for name, ids in (("probe-train", self.probe_train), ("D_tune", self.tune), ("D_eval", self.evaluation)):
            parts |= {f"{name}, {classes}": ids[classes] for classes in SETS}
        return parts

    def labels(self, class_set: str, ids) -> np.ndarray:
        """The class of each window (B,) int64; -1 where its gesture is none of the set's classes."""
        gestures = self.table.gesture.iloc[np.asarray(ids, np.int64)]
        return pd.Index(self.classes[class_set]).get_indexer(gestures).astype(np.int64)

    def groups(self, ids) -> np.ndarray:
        """The bootstrap's group of each window (B,), a string: its user, recording, or user/movement/repetition."""
        rows = self.table.iloc[np.asarray(ids, np.int64)]
        return (rows[self.group_kind] if self.group_kind in rows else repetition_of(rows)).to_numpy(dtype=str)

    def exclusion(self, policy: str, ids) -> np.ndarray | None:
        """Codes (B,) int64: a gallery window with the query's code is excluded; None: nothing is (METHOD 8)."""
        if policy == "all":
            return None
        keys = {"not-self": np.arange(len(self.table)), "other-repetitions": self._repetition}
        keys |= {f"other-{column}s": self.table[column] for column in ("user", "recording")}
        if policy not in keys:
            raise InputError(f"expected one of the gallery policies {', '.join(self.policies)}, found {policy}")
        return pd.factorize(keys[policy])[0].astype(np.int64)[np.asarray(ids, np.int64)]

    _repetition = cached_property(lambda self: repetition_of(self.table))

    def check_evaluable(self) -> None:
        """Raise InputError with the classes and users that evaluation needs and the data lack (RELIABILITY 17)."""
        lacking = []
        for name, ids in self.named().items():
            if name == "pre-training" or (name.startswith("D_tune") and not self.has_tuning):
                continue
            found = set(self.table.gesture.iloc[ids])
            if absent := [c for c in self.classes[name.partition(", ")[2]] if c not in found]:
                users = self.table.user.iloc[ids].nunique()
                lacking.append(f"{name} ({users} users) has no window of {', '.join(absent)}")
        if lacking:
            text = f"pre-training can run, evaluation cannot: {'; '.join(lacking)}. {self.remedy}{missing(self.table)}"
            raise InputError(f"{self.dataset}: {text}")


def missing(table: pd.DataFrame) -> str:
    """The end of a message about windows that are not there: why a store's table lacks some, where it does."""
    return f" ({told})" if (told := table.attrs.get("left out")) else ""


def class_sets(dataset: str, classes: dict) -> dict[str, tuple[str, ...]]:
    """Names of gestures by class set, as text; InputError where a set is missing, or a class is in both or twice."""
    if not (isinstance(classes, dict) and {*classes} == {*SETS} and str not in map(type, classes.values())):
        raise InputError(f'{dataset}: expected classes as {{"in": ("a", "b"), "unseen": ()}}, found {classes!r}')
    found = {name: tuple(map(str, classes[name])) for name in SETS}
    if len({*found["in"], *found["unseen"]}) < len(found["in"]) + len(found["unseen"]):
        raise InputError(f"{dataset}: expected each class once, in one of the two sets, found {found}")
    return found


def repetition_of(rows: pd.DataFrame) -> pd.Series:
    """The performance that each window is of: "user/gesture/repetition" (B,)."""
    user, gesture, repetition = (rows[name].astype(str) for name in ("user", "gesture", "repetition"))
    return user + "/" + gesture + "/" + repetition


def joined(part: dict[str, np.ndarray]) -> np.ndarray:
    """The ids of both class sets of a part."""
    return np.concatenate([part[classes] for classes in SETS])


def disjoint(sides: dict[str, np.ndarray], values: pd.Series, what: str, recordings: pd.Series | None = None) -> None:
    """Raise InputError if a value occurs on two sides; with ``recordings`` it names those of the two windows."""
    seen: dict = {}
    for side, ids in sides.items():
        for row, value in values.iloc[ids].drop_duplicates().items():
            other, first = seen.setdefault(value, (side, row))
            if other != side:
                told, remedy = f"both in {other} and in {side}", "correct the metadata or the split"
                if recordings is not None:
                    told += f", of the recordings {recordings[first]} and {recordings[row]}"
                    remedy = "if one is the other's copy, or both are without a signal there, leave one out"
                raise InputError(f"leak: the {what} {value} is {told}; {remedy}")


def tune_users(users: list[str], seed: int = 0, n: int | None = None) -> list[str]:
    """D_tune's users among val's: n, or 3 of 15 (E Table 1), 2 of 6, 1 of 2; which ones the paper does not say."""
    users = sorted(users)
    if n is None or n >= len(users):
        n = max(round(len(users) / 5), 2) if len(users) > 3 else len(users) // 2
    np.random.default_rng(seed).shuffle(users)
    return sorted(users[:n])


def _splits(dataset: str, table: pd.DataFrame, classes: dict, train, probe, evaluated, tuned=None, **how) -> Splits:
    """Splits by masks (N,), those of the probe and of evaluation also by class set; the unseen never pre-train."""
    classes = class_sets(dataset, classes)
    rows = {name: table.gesture.isin(classes[name]) for name in SETS}
    probe, evaluated = (mask if isinstance(mask, dict) else dict.fromkeys(SETS, mask) for mask in (probe, evaluated))
    parts = {"pretrain": np.flatnonzero(train & ~rows["unseen"])}
    parts["probe_train"] = {name: np.flatnonzero(probe[name] & rows[name]) for name in SETS}
    parts["evaluation"] = {name: np.flatnonzero(evaluated[name] & rows[name] & table.eval_grid) for name in SETS}
    if tuned is not None:
        parts |= {"tune": {name: np.flatnonzero(tuned & rows[name]) for name in SETS}, "has_tuning": True}
    return Splits(dataset=dataset, classes=classes, table=table, **parts, **how)


def split_emg2pose(dataset: str, table: pd.DataFrame, seed: int, hands: str, n_tune: int | None) -> Splits:
    """E Table 1: pre-training users, val's users tuned or probed on, the held-out users of test evaluated on."""
    classes = {"in": IN_CLASSES, "unseen": UNSEEN_CLASSES}
    train, val, test = (table.split == name for name in ("train", "val", "test"))
    if len(held_out := table.gesture[train & table.gesture.isin(HELD_OUT_STAGES)]):
        raise InputError(f"the held-out stage {held_out.iloc[0]} is among the training files; correct the metadata")
    for_tune = val & table.user.isin(tune_users(table.user[val].unique().tolist(), seed, n_tune))
    labelled = table.eval_grid
    if hands == "prompted":
        if not table.moving_hand.any():  # EMG-BIDS without emg2pose's own table
            needs = "hands 'prompted' needs moving_hand, which emg2pose's metadata CSV alone has, found none"
            raise InputError(f"{dataset}: {needs}; put emg2pose_metadata.csv into the folder or ask for all hands")
        labelled = labelled & ((table.moving_hand == "both") | (table.moving_hand == table.hand))
    kinds = {"in": "user", "unseen": "user_stage"}  # of test rows: training users recorded held-out stages, too
    probe = {"in": labelled & train, "unseen": labelled & val & ~for_tune}
    evaluated = {name: labelled & test & (table.generalization == kind) for name, kind in kinds.items()}
    how = {"tuned": labelled & for_tune, "paper": PAPER, "remedy": _remedy(table)}
    how["notes"] = tuple(_session_note(name, table[evaluated[name]], classes[name]) for name in SETS)
    splits = _splits(dataset, table, classes, train, probe, evaluated, **how)
    sides = {"pre-training": splits.pretrain, "D_tune": joined(splits.tune)}
    sides |= {"probe-train, unseen": splits.probe_train["unseen"], "D_eval": joined(splits.evaluation)}
    disjoint(sides, table.user, "user")
    disjoint(sides, table.session, "session")
    disjoint(sides, table.recording.str.replace(r"[-_]?(left|right)$", "", regex=True), "two-handed recording")
    return splits


def _remedy(table: pd.DataFrame) -> str:
    have = table.drop_duplicates("user").split.value_counts()
    per_split = ", ".join(f"{have.get(split, 0)} {split}" for split in ("train", "val", "test"))
    mini = "One user only, like Meta's emg2pose_dataset_mini (30 files): it holds no other users to test on. "
    text = f"Users found: {per_split}; add files of val (two users or more) and test users"
    return mini + text if table.user.nunique() == 1 else text


def _session_note(name: str, evaluated: pd.DataFrame, classes: tuple[str, ...]) -> str:
    """Sessions a class of D_eval against A.2.2's 80, and 40 for unseen class 3."""
    sessions = evaluated.groupby("gesture").session.nunique()
    found, paper = [int(sessions.get(gesture, 0)) for gesture in classes], _TOLD["paper_sessions"][name]
    counts, printed = (" / ".join(map(str, numbers)) for numbers in (found, paper))
    difference = " / ".join(f"{f - p:+d}" for f, p in zip(found, paper, strict=True))
    return f"D_eval, {name}: {counts} sessions a class; the paper counts {printed} (difference {difference})."


def split_ninapro(dataset: str, table: pd.DataFrame, seed: int, *_) -> Splits:
    """DB2 pre-trains, but for the unseen movements; DB7's repetitions are probed on or evaluated on, half and half.

    Which half is drawn with ``seed`` for each user and movement alone; of an odd number evaluation gets one more.
    """
    train, downstream, performed = table.split == "train", table.split == "test", repetition_of(table)
    rng, chosen = np.random.default_rng(seed), []
    for (user, gesture), rows in table[downstream].groupby(["user", "gesture"], sort=True):  # not in order of files
        repetitions = rng.permutation(np.unique(rows.repetition))
        chosen += [f"{user}/{gesture}/{repetition}" for repetition in repetitions[: len(repetitions) // 2]]
    probed = performed.isin(chosen)
    how = {"policies": ("all", "not-self", "other-repetitions", "other-users"), "probe_apart": "repetition"}
    how["remedy"] = "Add whole files of exercises 1 and 2 of DB7, whose movements have two repetitions or more"
    sides = downstream & probed, downstream & ~probed
    how["notes"] = tuple(_TOLD["ninapro"]["notes"])
    splits = _splits(dataset, table, NINAPRO_CLASSES, train, *sides, **how)
    parts = {"probe-train": joined(splits.probe_train), "D_eval": joined(splits.evaluation)}
    # the same users are probed on and evaluated on: the paper's protocol
    both = {"pre-training": splits.pretrain, "DB7's parts": np.concatenate(list(parts.values()))}
    disjoint(both, table.user, "user")
    disjoint(both, table.session, "session")
    disjoint({"pre-training": splits.pretrain, **parts}, performed, "repetition")
    return splits


def split_db1(dataset: str, table: pd.DataFrame, *_) -> Splits:
    """DB1: three repetitions of each movement evaluate, the others train (METHOD 1)."""
    evaluated = table.repetition.isin(_TOLD["db1"]["evaluation_repetitions"])
    how = {"group_kind": "movement-repetition", "probe_apart": "repetition", "remedy": "Add complete exercise 1 files"}
    how["policies"] = ("all", "other-repetitions", "other-users")
    if "S1" in set(table.user):
        how["notes"] = ("Subject 1 is a development subject: choices were made with it in view.",)
    return _splits(dataset, table, DB1_CLASSES, ~evaluated, ~evaluated, evaluated, **how)


def split_by_recording(dataset: str, table: pd.DataFrame, classes: dict, left_out: Iterable[str]) -> Splits:
    """Recordings with these keys evaluate, the rest train and probe: one person's, or several people's.

    The score says nothing of new users, and of another day or donning of the electrodes only where one lies in between.
    Intervals resample recordings (one has none); "other-recordings" is a gallery where two that are left out hold each
    class. Recordings of one moment, such as both hands', belong on one side. Raises InputError for a key without
    windows, and as :class:`Splits`.
    """
    keys = [*map(str, left_out if np.iterable(left_out) and not isinstance(left_out, str) else [left_out])]
    there = table.recording.unique()
    if unknown := sorted({*keys} - {*there}):
        found = f"expected left_out to name some of its {len(there)} recordings with windows, found {unknown[0]!r}"
        raise InputError(f"{dataset}: {found}; they are {', '.join(there[:9])}{missing(table)}")
    evaluated = table.recording.isin(keys)
    how = {"group_kind": "recording", "probe_apart": "recording", "policies": ("all", "not-self", "other-recordings")}
    how["notes"] = ("Who evaluates has trained, in other recordings: nothing is said of new users.",)
    how["remedy"] = "Add recordings, so that each class is on both sides, or leave the class out"
    return _splits(dataset, table, classes, ~evaluated, ~evaluated, evaluated, **how)


def split_by_column(dataset: str, table: pd.DataFrame, classes: dict[str, tuple[str, ...]]) -> Splits:
    """Pre-train on "train" without the unseen classes, probe those on "val", evaluate on "test"; there is no D_tune.

    ``table`` is a store's; ``classes`` names the gestures that are told apart, {"in": (...), "unseen": (...)}. Raises
    InputError where a user, a recording or a window's content is in two of the three.
    """
    if table.user.nunique() == 1:
        raise InputError(f"{dataset}: all windows are of one user, {table.user.iloc[0]}; use split_by_recording")
    train, val, test = (table.split == name for name in ("train", "val", "test"))
    how = {"remedy": "Add recordings of each class whose split is train or test, and of the unseen ones val and test"}
    if none := (table.split == "").sum():
        how["notes"] = (f"{none} windows have no split and are in no part.",)
    splits = _splits(dataset, table, classes, train, {"in": train, "unseen": val}, test, **how)
    sides = {"train": np.flatnonzero(train), "val": np.flatnonzero(val), "test": np.flatnonzero(test)}
    disjoint(sides, table.user, "user")
    disjoint(sides, table.recording, "recording")
    return splits


def table1(splits: Splits) -> pd.DataFrame:
    """Table 1: gestures, users, sessions, files and windows of each part, and the paper's counts where it has them."""
    rows = []
    for name, ids in splits.named().items():
        part = splits.table.iloc[ids]
        counts = part[["gesture", "user", "session", "recording"]].nunique()
        rows.append((name, *counts, len(part), *splits.paper.get(name, (None, None, None))))
    printed = ["paper: gestures", "paper: users", "paper: sessions"]
    columns = ["split", "gestures", "users", "sessions", "files", "windows", *printed]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(printed, "Int64"))
