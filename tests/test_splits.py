"""Table 1, and every rule against leakage broken on purpose."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import write_db1

from embridge.config import WindowConfig, profile
from embridge.data.emg2pose import HELD_OUT_STAGES, IN_CLASSES, STAGES, UNSEEN_CLASSES, open_emg2pose
from embridge.data.ninapro import open_db1
from embridge.data.splits import DB1_CLASSES, table1, tune_users
from embridge.data.windows import build_store
from embridge.datasets import for_dataset, make_splits, window_config
from embridge.errors import InputError

TRAIN_STAGES = [s for s in STAGES if s not in HELD_OUT_STAGES]


def emg2pose_table(train=4, val=6, test=3, sessions=2, windows=2) -> pd.DataFrame:
    """The table of a store of emg2pose: training users also have held-out stages, as in the real test split."""
    rows = []
    for split, n in (("train", train), ("val", val), ("test", test)):
        for u in range(n):
            user = f"{ {'train': 1, 'val': 2, 'test': 3}[split] }{u:03d}"
            for stage in STAGES:
                held_out = stage in HELD_OUT_STAGES
                if split == "train":
                    where = ("test", "stage") if held_out else ("train", "none")
                else:
                    where = (split, "user_stage" if held_out else "user")
                for s in range(sessions):
                    for hand in ("left", "right"):
                        for w in range(windows):
                            rows.append((f"{user}-{s}-{stage}_{hand}", user, f"{user}-{s}", stage, hand, *where, w))
    columns = ["recording", "user", "session", "gesture", "hand", "split", "generalization", "start"]
    table = pd.DataFrame(rows, columns=columns)
    table["start"] *= 4000
    table["offset"] = table.start
    table["moving_hand"] = np.where(table.gesture.isin(STAGES[::2]), "both", "right")
    table["repetition"] = -1
    table["segment"] = pd.factorize(table.recording)[0]
    table["eval_grid"] = True
    table["digest"] = np.arange(len(table), dtype=np.uint64)
    return table


@pytest.fixture(scope="module")
def table():
    return emg2pose_table()


@pytest.fixture(scope="module")
def db1_table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("db1")
    for subject in (1, 2):
        write_db1(folder / "in", subject)
    config = window_config("ninapro-db1")
    return build_store(open_db1(folder / "in"), config, folder / "out", workers=1, progress=False).table


def users(table, ids) -> set[str]:
    return set(table.user.iloc[ids])


def changed(table, rows, **values) -> pd.DataFrame:
    table = table.copy()
    for name, value in values.items():
        table.loc[rows, name] = value
    return table


def first(table, **where) -> pd.Series:
    """The windows of the first recording with these values."""
    rows = np.logical_and.reduce([table[name] == value for name, value in where.items()])
    return table.recording == table.recording[rows].iloc[0]


# Table 1


def test_parts_are_those_of_table_1(table):
    splits = make_splits("emg2pose", table)
    assert table.iloc[splits.pretrain].gesture.nunique() == 23
    assert len(users(table, splits.pretrain)) == 4
    assert set(table.gesture.iloc[splits.probe_train["in"]]) == set(IN_CLASSES)
    assert set(table.gesture.iloc[splits.probe_train["unseen"]]) == set(UNSEEN_CLASSES)
    assert len(users(table, splits.probe_train["in"])) == 4
    for name, classes in (("in", IN_CLASSES), ("unseen", UNSEEN_CLASSES)):
        assert set(table.gesture.iloc[splits.tune[name]]) == set(classes)
        assert set(table.gesture.iloc[splits.evaluation[name]]) == set(classes)
        assert len(users(table, splits.tune[name])) == 2
        assert len(users(table, splits.evaluation[name])) == 3, "training users' held-out stages are not evaluated"
    assert len(users(table, splits.probe_train["unseen"])) == 4
    splits.check_evaluable()


def test_ids_are_sorted_int64(table):
    for ids in make_splits("emg2pose", table).named().values():
        assert ids.dtype == np.int64
        assert (np.diff(ids) > 0).all()


@pytest.mark.parametrize(("n_val", "n_tune"), [(15, 3), (6, 2), (4, 2), (3, 1), (2, 1), (1, 0), (0, 0)])
def test_number_of_tuning_users(n_val, n_tune):
    names = [f"{i:04d}" for i in range(n_val)]
    assert len(tune_users(names)) == n_tune
    assert tune_users(names[::-1]) == tune_users(names), "the order of the files decides nothing"


def test_sixteen_users_of_val_are_eight_to_tune_on_and_eight_to_probe_and_emg2pose_keeps_its_three():
    quick = profile("quick")
    assert (quick.simulation.val_users, quick.evaluation.tune_users) == (16, 8)
    table = emg2pose_table(val=16, sessions=1)
    splits = make_splits("simulated", table, n_tune=quick.evaluation.tune_users)
    tuned = [users(table, splits.tune[name]) for name in ("in", "unseen")]
    probed, val = users(table, splits.probe_train["unseen"]), set(table.user[table.split == "val"])
    assert tuned[0] == tuned[1] and len(tuned[0]) == len(probed) == 8 and tuned[0] | probed == val
    real = for_dataset(quick, "emg2pose").evaluation.tune_users
    assert len(tune_users([f"{i:02d}" for i in range(15)], 0, real)) == 3
    assert len(tune_users(sorted(val), 0, None)) == 3  # without a number, as of emg2pose's fifteen


def test_tuning_users_are_the_seeded_first_three():
    names = [f"{i:04d}" for i in range(15)]
    shuffled = list(names)
    np.random.default_rng(0).shuffle(shuffled)
    assert tune_users(names) == sorted(shuffled[:3])
    assert tune_users(names, seed=1) != tune_users(names)


def test_labels_are_the_papers_class_numbers(table):
    splits = make_splits("emg2pose", table)
    for name, classes in (("in", IN_CLASSES), ("unseen", UNSEEN_CLASSES)):
        ids = splits.evaluation[name]
        labels = splits.labels(name, ids)
        assert [classes[i] for i in labels] == table.gesture.iloc[ids].tolist()
        assert (splits.labels(name, splits.evaluation["unseen" if name == "in" else "in"]) == -1).all()


def test_groups_and_exclusions(table):
    splits = make_splits("emg2pose", table)
    ids = splits.evaluation["in"]
    assert splits.groups(ids).tolist() == table.user.iloc[ids].tolist()
    assert splits.exclusion("all", ids) is None
    assert splits.exclusion("not-self", ids).tolist() == ids.tolist()
    codes = splits.exclusion("other-users", ids)
    same = table.user.to_numpy()[ids]
    assert ((codes[:, None] == codes) == (same[:, None] == same)).all()
    assert splits.policies == ("all", "not-self", "other-users")
    with pytest.raises(InputError, match="found nobody"):
        splits.exclusion("nobody", ids)


def test_prompted_hands_concern_the_labelled_parts_only(table):
    every, prompted = make_splits("emg2pose", table), make_splits("emg2pose", table, hands="prompted")
    assert prompted.pretrain.tolist() == every.pretrain.tolist()
    rows = table.iloc[prompted.evaluation["in"]]
    assert ((rows.moving_hand == "both") | (rows.moving_hand == rows.hand)).all()
    assert 0 < len(rows) < len(every.evaluation["in"])
    with pytest.raises(InputError, match="hands: expected all or prompted, found 'none'"):
        make_splits("emg2pose", table, hands="none")


def test_evaluation_keeps_to_the_evaluation_grid(table):
    half = changed(table, table.start > 0, eval_grid=False)
    splits = make_splits("emg2pose", half)
    assert (half.start.iloc[splits.evaluation["in"]] == 0).all()
    assert (half.start.iloc[splits.pretrain] > 0).any()


def test_printed_table_1(table):
    printed = table1(make_splits("emg2pose", table)).set_index("split")
    row = printed.loc["D_eval, unseen"]
    assert row[["gestures", "users", "sessions", "files", "windows"]].tolist() == [4, 3, 6, 48, 96]
    assert (row["paper: users"], printed.loc["pre-training", "paper: users"]) == (20, 158)


def test_sessions_are_compared_with_the_papers(table):
    notes = make_splits("emg2pose", table).notes
    assert "6 / 6 / 6 / 6 sessions a class; the paper counts 80 / 80 / 80 / 40" in notes[1]
    assert "-74 / -74 / -74 / -34" in notes[1]


def test_real_files_give_an_evaluable_split(dataset, tmp_path):
    config = WindowConfig(window=200, stride_train=200, stride_eval=200)
    store = build_store(open_emg2pose(dataset), config, tmp_path, workers=1, progress=False)
    splits = make_splits("simulated", store.table)
    splits.check_evaluable()
    assert len(splits.pretrain) == 3 * 5 * 2 * 4


# Leaks


def test_fault_18_leak_a_user_on_two_sides(table):
    rows = first(table, split="test", generalization="user", gesture=IN_CLASSES[0])
    with pytest.raises(InputError, match="leak: the user 1000 is both in pre-training and in D_eval"):
        make_splits("emg2pose", changed(table, rows, user="1000"))


def test_leak_a_session_on_two_sides(table):
    rows = first(table, split="val", gesture=UNSEEN_CLASSES[1])
    with pytest.raises(InputError, match="leak: the session 1000-0 is both"):
        make_splits("emg2pose", changed(table, rows, session="1000-0"))


def test_leak_the_hands_of_one_recording_on_two_sides(table):
    moved = f"1000-0-{IN_CLASSES[0]}_right"
    table = table[table.recording != moved].reset_index(drop=True)
    rows = first(table, split="test", generalization="user", gesture=IN_CLASSES[0], hand="right")
    with pytest.raises(InputError, match="leak: the two-handed recording 1000-0"):
        make_splits("emg2pose", changed(table, rows, recording=moved))


def test_leak_a_window_hash_on_two_sides(table):
    rows = table.index[(table.generalization == "user_stage") & (table.gesture == UNSEEN_CLASSES[0])][-1:]
    first = table[table.split == "train"].iloc[0]
    told = f"0 is both in pre-training and in D_eval, of the recordings {first.recording} and "
    told += f"{table.recording[rows[0]]}; if one is the other's copy, or both are without a signal there, leave one out"
    with pytest.raises(InputError, match=f"leak: the window content {told}"):
        make_splits("emg2pose", changed(table, rows, digest=first.digest))


def test_a_file_twice(table):
    with pytest.raises(InputError, match="is there twice"):
        make_splits("emg2pose", pd.concat([table, table.iloc[:1]], ignore_index=True))


def test_a_file_with_two_users(table):
    with pytest.raises(InputError, match="has two users, sessions, splits or hands"):
        make_splits("emg2pose", changed(table, table.index[:1], user="1001"))


def test_leak_a_held_out_stage_in_pre_training(table):
    rows = first(table, split="test", generalization="stage")
    with pytest.raises(InputError, match="held-out stage .* among the training files"):
        make_splits("emg2pose", changed(table, rows, split="train"))


PARTS = ("pretrain", "probe_train", "tune", "evaluation")


@pytest.mark.parametrize(
    ("one", "other"), [(a, b) for a in PARTS for b in PARTS[2:] if PARTS.index(a) < PARTS.index(b)]
)
def test_leak_a_window_on_two_sides_whoever_makes_the_splits(table, one, other):
    """A function of one's own makes Splits, too: they look at themselves. Each pair of sides shares one window."""
    splits = make_splits("emg2pose", table)
    given = getattr(splits, other)
    shared = given["in"][:1]
    mixed = getattr(splits, one)
    union = np.union1d(mixed, shared) if one == "pretrain" else mixed | {"in": np.union1d(mixed["in"], shared)}
    with pytest.raises(InputError, match="leak: the labelled stretch .* is both in .* and in D_"):
        replace(splits, **{one: union})


def test_leak_an_unseen_class_in_pre_training_whoever_makes_the_splits(table):
    splits = make_splits("emg2pose", table)
    shown = np.union1d(splits.pretrain, splits.probe_train["unseen"][-1:])
    with pytest.raises(InputError, match=f"leak: the unseen class {table.gesture[shown[-1]]} is in pre-training"):
        replace(splits, pretrain=shown)


@pytest.mark.parametrize("name", ["emg2pose", "ninapro-db1"])
def test_leak_learning_from_evaluation_or_from_an_unseen_class(table, db1_table, name):
    """What each training, scale, community and choice passes: another window of a D_eval user is told, too."""
    table = table if name == "emg2pose" else db1_table
    splits = make_splits(name, table)
    assert splits.learn_from(splits.pretrain, "x").tolist() == splits.pretrain.tolist()
    tuning = np.concatenate(list(splits.tune.values()))
    assert splits.learn_from(tuning, "x", tuning=True).tolist() == tuning.tolist()
    ids = splits.evaluation["in"]
    if name == "emg2pose":  # a window that no part holds, but a user that D_eval holds
        ids = np.flatnonzero((table.user == table.user[ids[0]]) & ~table.gesture.isin((*IN_CLASSES, *UNSEEN_CLASSES)))
    for tuned in (False, True):
        with pytest.raises(InputError, match="leak: the (user|segment) .* is both in D_eval and in scales; correct"):
            splits.learn_from([splits.pretrain[0], ids[0]], "scales", tuning=tuned)
    with pytest.raises(InputError, match="leak: scales would see the unseen class"):
        splits.learn_from(splits.probe_train["unseen"], "scales")


@pytest.mark.parametrize("name", ["emg2pose", "ninapro-db1"])
def test_leak_a_probe_on_what_evaluation_holds(table, db1_table, name):
    """Whole users of D_eval where users are held out; DB1 probes its own users on other repetitions."""
    table = table if name == "emg2pose" else db1_table
    splits = make_splits(name, table)
    assert splits.probe_apart == ("user" if name == "emg2pose" else "repetition")
    for classes in ("in", "unseen"):
        ids = splits.probe_train[classes]
        assert splits.probe_from(ids).tolist() == ids.tolist()
        evaluated = splits.groups(splits.evaluation[classes][:1])[0]  # a user of emg2pose, a repetition of DB1
        other = np.flatnonzero(splits.groups(table.index) == evaluated)[-1:]  # another window of it, perhaps
        with pytest.raises(InputError, match=f"leak: the {splits.probe_apart} {evaluated} is both in D_eval"):
            splits.probe_from(np.union1d(ids, other))


def test_leak_a_user_of_evaluation_in_a_probe_whoever_makes_the_splits(table):
    """No window, stretch or recording is shared: a file of a D_eval user is probed on, as a split of one's own may."""
    splits = make_splits("emg2pose", table)
    moved, ids = splits.evaluation["unseen"][-2:], splits.evaluation["unseen"][:-2]
    assert not set(table.recording[moved]) & set(table.recording[ids])
    own = {"evaluation": splits.evaluation | {"unseen": ids}}
    own["probe_train"] = splits.probe_train | {"unseen": np.union1d(splits.probe_train["unseen"], moved)}
    with pytest.raises(InputError, match="leak: the user 3002 is both in D_eval and in probe-train"):
        replace(splits, **own)
    replace(splits, **own, probe_apart="repetition", table=changed(table, moved, repetition=7))  # said in so many words
    with pytest.raises(InputError, match="expected probe_apart 'user', 'recording' or 'repetition', found 'session'"):
        replace(splits, probe_apart="session")


# Subsets


def test_fault_17_a_subset_pre_trains_and_says_what_evaluation_lacks(table):
    part = table[(table.split == "train") | (table.gesture == UNSEEN_CLASSES[2])].reset_index(drop=True)
    splits = make_splits("emg2pose", part)
    assert len(splits.pretrain)
    with pytest.raises(InputError) as caught:
        splits.check_evaluable()
    said = str(caught.value)
    assert "D_eval, in (0 users)" in said and UNSEEN_CLASSES[0] in said
    assert f"has no window of {UNSEEN_CLASSES[0]}, {UNSEEN_CLASSES[1]}, {UNSEEN_CLASSES[3]}" in said
    assert "4 train, 6 val, 3 test" in said


def test_tuning_users_without_a_class_are_told(table):
    chosen = tune_users(table.user[table.split == "val"].unique().tolist())
    part = table[~(table.user.isin(chosen) & (table.gesture == IN_CLASSES[3]))].reset_index(drop=True)
    with pytest.raises(InputError, match=f"D_tune, in .* has no window of {IN_CLASSES[3]}"):
        make_splits("emg2pose", part).check_evaluable()


def test_nothing_to_pre_train_on(table):
    with pytest.raises(InputError, match="none of the 0 windows is for pre-training"):
        make_splits("emg2pose", table[:0])
    with pytest.raises(InputError, match="none of the .* windows is for pre-training"):
        make_splits("emg2pose", table[table.split == "test"].reset_index(drop=True))


def test_metas_mini_dataset_is_named(table):
    mini = table[table.user == "1000"].reset_index(drop=True)
    splits = make_splits("emg2pose", mini)
    assert len(splits.pretrain)
    with pytest.raises(InputError, match="One user only, like Meta's emg2pose_dataset_mini"):
        splits.check_evaluable()


# NinaPro DB1


def test_db1_parts(db1_table):
    splits = make_splits("ninapro-db1", db1_table)
    splits.check_evaluable()
    rows = {name: db1_table.iloc[ids] for name, ids in splits.named().items()}
    assert set(rows["pre-training"].gesture) == {f"E1-{i:02d}" for i in (2, 3, 4, 6, 7, 8, 10, 11)}
    assert set(rows["pre-training"].repetition) == {1, 3, 4, 6, 8, 9, 10}
    for name in ("in", "unseen"):
        assert set(rows[f"probe-train, {name}"].gesture) == set(DB1_CLASSES[name])
        assert set(rows[f"probe-train, {name}"].repetition) == {1, 3, 4, 6, 8, 9, 10}
        assert set(rows[f"D_eval, {name}"].gesture) == set(DB1_CLASSES[name])
        assert set(rows[f"D_eval, {name}"].repetition) == {2, 5, 7}
        assert rows[f"D_eval, {name}"].eval_grid.all()
        assert len(rows[f"D_tune, {name}"]) == 0
    assert len(rows["D_eval, in"]) == 2 * 4 * 3 * 5
    assert not rows["probe-train, in"].eval_grid.all()


def test_db1_policies_and_groups(db1_table):
    splits = make_splits("ninapro-db1", db1_table)
    assert splits.policies == ("all", "other-repetitions", "other-users")
    ids = splits.evaluation["unseen"]
    groups = splits.groups(ids)
    assert "S2/E1-05/7" in groups
    codes = splits.exclusion("other-repetitions", ids)
    assert ((codes[:, None] == codes) == (groups[:, None] == groups)).all()
    alone = db1_table[db1_table.user == "S1"].reset_index(drop=True)
    one = make_splits("ninapro-db1", alone)
    assert one.policies == ("all", "other-repetitions")
    assert one.notes[-1] == "No gallery of other users: a class of D_eval, in and unseen, has one user."


def test_one_test_user_leaves_no_gallery_of_other_users():
    splits = make_splits("emg2pose", emg2pose_table(test=1))
    assert splits.policies == ("all", "not-self") and "has one user" in splits.notes[-1]


def test_leak_db1_a_labelled_stretch_on_two_sides(db1_table):
    rows = db1_table.index[(db1_table.gesture == "E1-02") & (db1_table.repetition == 2)][:1]
    with pytest.raises(InputError, match="leak: the labelled stretch"):
        make_splits("ninapro-db1", changed(db1_table, rows, repetition=3))


def test_leak_db1_a_window_hash_on_two_sides(db1_table):
    rows = db1_table.index[(db1_table.gesture == "E1-02") & (db1_table.repetition == 2) & db1_table.eval_grid][:1]
    other = db1_table.digest[(db1_table.gesture == "E1-03") & (db1_table.repetition == 1)].iloc[0]
    with pytest.raises(InputError, match="leak: the window content"):
        make_splits("ninapro-db1", changed(db1_table, rows, digest=other))


def test_db1_missing_movement_is_told(db1_table):
    part = db1_table[db1_table.gesture != "E1-09"].reset_index(drop=True)
    with pytest.raises(InputError, match=r"D_eval, unseen \(2 users\) has no window of E1-09"):
        make_splits("ninapro-db1", part).check_evaluable()


def test_db1_table_1_has_no_numbers_of_the_paper(db1_table):
    printed = table1(make_splits("ninapro-db1", db1_table)).set_index("split")
    assert printed.loc["D_eval, in", ["gestures", "users", "windows"]].tolist() == [4, 2, 120]
    assert printed["paper: users"].isna().all()
