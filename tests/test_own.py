"""Recordings of one's own: whole ones left out, what is refused, what is lost and told, and the example of a board."""

import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import SMOKE

from embridge.config import WindowConfig, as_json, fingerprint
from embridge.data.recordings import Recording, Segment, Signals, Source
from embridge.data.splits import split_by_column, split_by_recording
from embridge.data.windows import build_store
from embridge.datasets import DATASETS, window_config
from embridge.errors import EMBridgeWarning, InputError
from embridge.paper import scoring
from embridge.study import Study

# 4 electrodes and 3 joints at 200 Hz; windows of 1 s
WINDOWS = WindowConfig(
    sample_rate=200.0, n_channels=4, n_joints=3, window=200, stride_train=100, stride_eval=200, bandpass=(20.0, 90.0),
    notch=50.0,
)  # fmt: skip
GESTURES = ("fist", "pinch", "point", "rest", "wave")
N = 1000  # samples a gesture


def signals(key: str, gestures=GESTURES) -> Signals:
    """A stretch a gesture, which differ in their strong electrode and in pose; each recording's own noise."""
    rng, n = np.random.default_rng([ord(c) for c in key]), N * len(gestures)
    which = np.repeat(np.arange(len(gestures)), N)
    emg = np.where(which[:, None] == np.arange(4), 3, 1) * rng.standard_normal((n, 4)) + 500  # an offset, filtered off
    pose = np.sin(np.arange(n)[:, None] / 40 + which[:, None] * np.arange(1, 4)) + 0.01 * rng.standard_normal((n, 3))
    segments = tuple(Segment(i * N, (i + 1) * N, gesture) for i, gesture in enumerate(gestures))
    return Signals(emg.astype(np.float32), pose.astype(np.float32), segments)


def change(signals: Signals, name: str, where, value) -> Signals:
    array = getattr(signals, name).copy()
    array[where] = value
    return replace(signals, **{name: array})


def source(folder: Path, keys="abc", load=signals, count=5 * N, **columns) -> Source:
    """Recordings of one person, whose key the loader gets."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"user": "me", "session": "monday", "gesture": "", "hand": "", "sample_rate": 200} | columns
    counter = count if callable(count) or count is None else lambda _: count
    made = []
    for key in keys:
        (folder / f"{key}.npz").write_text(key)
        loader = (lambda recording: load(recording.key)) if load else None
        made.append(Recording(key, folder / f"{key}.npz", loader=loader, counter=counter, **columns))
    return Source("own", folder, made, reader_version="1")


CLASSES = {"in": GESTURES, "unseen": ()}
LAST = partial(split_by_recording, "own", classes=CLASSES, left_out=["c"])


def study(given: Source, split=LAST, windows=WINDOWS, size=SMOKE) -> Study:
    out = given.folder.parent / "out"
    return Study(given, device="cpu", out=out, windows=windows, split=split, size=size)


def store(given: Source, windows=WINDOWS):
    return build_store(given, windows, given.folder.parent / "out", workers=1, progress=False)


# ---- whole recordings left out ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return store(source(tmp_path_factory.mktemp("five") / "in", "abcde")).table


def test_recordings_that_are_left_out_evaluate_and_the_others_train(table):
    splits = split_by_recording("own", table, {"in": ("fist", "rest"), "unseen": ("wave",)}, iter(["d", "b"]))
    rows = {name: table.iloc[ids] for name, ids in splits.named().items()}
    assert set(rows["pre-training"].recording) == {"a", "c", "e"} and set(rows["pre-training"].user) == {"me"}
    assert set(rows["pre-training"].gesture) == {"fist", "pinch", "point", "rest"}  # not the unseen one
    for part, keys in (("probe-train", {"a", "c", "e"}), ("D_eval", {"b", "d"})):
        assert set(rows[f"{part}, in"].gesture) == {"fist", "rest"} and set(rows[f"{part}, in"].recording) == keys
        assert set(rows[f"{part}, unseen"].gesture) == {"wave"} and set(rows[f"{part}, unseen"].recording) == keys
    assert rows["D_eval, in"].eval_grid.all() and not rows["pre-training"].eval_grid.all()
    splits.check_evaluable()
    assert (
        split_by_recording("own", table, CLASSES, "b").pretrain.tolist()
        == np.flatnonzero(table.recording != "b").tolist()
    )


def test_its_intervals_and_galleries_are_of_recordings_and_it_says_that_it_tells_nothing_of_new_users(table):
    splits = split_by_recording("own", table, CLASSES, ["b", "d"])
    ids = splits.evaluation["in"]
    assert splits.groups(ids).tolist() == table.recording.iloc[ids].tolist()
    assert splits.policies == ("all", "not-self", "other-recordings")
    codes, same = splits.exclusion("other-recordings", ids), table.recording.to_numpy()[ids]
    assert ((codes[:, None] == codes) == (same[:, None] == same)).all()
    assert any("nothing is said of new users" in note for note in splits.notes)
    one = split_by_recording("own", table, CLASSES, ["b"])
    assert one.policies == ("all", "not-self")
    assert one.notes[-1] == "No gallery of other recordings: a class of D_eval, in, has one recording."
    apart = table.copy()
    apart.loc[(table.recording == "d") & (table.gesture == "wave"), "gesture"] = "rest"  # one recording holds it
    assert split_by_recording("own", apart, CLASSES, ["b", "d"]).policies == ("all", "not-self")


def test_leak_learning_from_a_recording_that_is_left_out(table):
    splits = split_by_recording("own", table, CLASSES, ["b"])
    other = np.flatnonzero((table.recording == "b") & ~table.eval_grid)[:1]  # which no part holds
    for ask in (lambda ids: splits.learn_from(ids, "scales"), splits.probe_from):
        assert ask(splits.pretrain).tolist() == splits.pretrain.tolist()
        with pytest.raises(InputError, match="leak: the recording b is both in D_eval and in"):
            ask(np.union1d(splits.pretrain[:3], other))
    with pytest.raises(InputError, match="leak: the window content"):
        digest = table.digest.mask(table.index == splits.evaluation["in"][0], table.digest[splits.pretrain[0]])
        split_by_recording("own", table.assign(digest=digest), CLASSES, ["b"])


@pytest.mark.parametrize(
    ("classes", "left_out", "told"),
    [
        (CLASSES, ["f"], "left_out to name some of its 5 recordings with windows, found 'f'; they are a, b, c, d, e"),
        (CLASSES, "abcde", "found 'abcde'"),
        (CLASSES, list("abcde"), "none of the 225 windows is for pre-training"),
        ({"in": "fist", "unseen": ()}, ["a"], "expected classes as .* found {'in': 'fist'"),
        ({"in": ("fist",)}, ["a"], "expected classes as .*unseen"),
        (("fist", "wave"), ["a"], "expected classes as"),
        (CLASSES, None, "expected left_out to name some .* found 'None'"),
        ({"in": ("fist", "fist"), "unseen": ()}, ["a"], "each class once"),
        ({"in": ("fist",), "unseen": ["fist"]}, ["a"], "each class once"),
    ],
)  # fmt: skip
def test_what_a_split_by_recording_cannot_be_is_told(table, classes, left_out, told):
    with pytest.raises(InputError, match=told):
        split_by_recording("own", table, classes, left_out)


def test_one_person_split_by_users_is_told_of_the_other_split(table):
    with pytest.raises(InputError, match="own: all windows are of one user, me; use split_by_recording"):
        split_by_column("own", table, CLASSES)


def test_one_person_is_trained_and_scored_on_five_classes_by_recording(tmp_path):
    found = study(source(tmp_path / "in"))
    one, line = (outcome.rows for outcome in scoring.no_network(found, "in"))
    assert one[0]["value"] == 0.2 and line[0]["value"] > 0.8  # electrodes tell the five apart
    assert line[0]["interval_kind"] == "95 % bootstrap over recording" and line[0]["low"] is None  # of one: none
    assert sum(r["metric"] == "class_f1" for r in line) == 5
    outcomes = scoring.zero_shot_outcomes(found, "CPEP", "in")
    assert {o.gallery for o in outcomes} == {"all", "not-self"} and {len(o.y) for o in outcomes} == {25}
    train, stop = found.validated()
    table = found.store.table
    assert (set(table.recording[train]), set(table.recording[stop])) == ({"a"}, {"b"})


def test_before_anything_is_trained_it_is_told_that_c_cannot_be_chosen_or_a_class_is_missing(tmp_path):
    few = study(source(tmp_path / "few", "ac"))
    with pytest.raises(
        InputError, match="at least two groups of each class .* found 1; add .* a recording that trains"
    ):
        scoring.probe_outcome(few, "CPEP", "in")
    classes = {"in": (*GESTURES, "ok"), "unseen": ()}
    lacking = study(source(tmp_path / "in"), partial(LAST, classes=classes))
    for ask in (scoring.probe_outcome, scoring.zero_shot_outcomes):
        with pytest.raises(
            InputError, match=r"evaluation cannot: probe-train, in \(1 users\) has no window of ok; D_eval"
        ):
            ask(lacking, "CPEP", "in")
    assert not (tmp_path / "out" / "runs").exists()


# ---- what is lost, and why ----------------------------------------------------------------------------------------


def test_failures_are_left_out_of_emg2pose_alone_and_named_datasets_keep_their_keys():
    """A changed default is no changed setting: stores and runs that were made before are found."""
    assert not WindowConfig().exclude_ik_failures
    found = {
        name: (w.exclude_ik_failures, fingerprint(as_json(w)))
        for name, w in ((name, window_config(name)) for name in DATASETS)
    }
    assert found == {
        "simulated": (True, "ccd19c042a42"),
        "emg2pose": (True, "ccd19c042a42"),
        "ninapro": (False, "a6ab3e20293b"),
        "simulated-ninapro": (False, "a6ab3e20293b"),
        "ninapro-db1": (False, "b698740a73bc"),
    }


def test_each_reason_is_told_with_its_recordings(tmp_path):
    def load(key):
        found = signals(key)
        if key == "a":
            found = change(found, "pose", np.s_[250, 1], np.nan)  # two windows of 1 s, each half a second
        if key == "b":
            found = change(found, "emg", np.s_[2500, 2], np.inf)
            found = change(found, "pose", np.s_[4000:], 0.5)
        if key == "c":
            found = change(found, "emg", np.s_[:, 3], 7.0)
            found = replace(found, segments=(*found.segments[:4], Segment(4000, 4150, "wave")))
        return found

    given = source(tmp_path / "in", load=load)
    with pytest.warns(EMBridgeWarning) as caught:
        made = store(given)
    lost, flat = (str(w.message) for w in caught)
    assert lost == (
        f"{given.folder}: windows left out of 126: 2 with a NaN in the pose (a 2), 3 with a NaN in the EMG, or as near "
        "to one as the filter rings (b 3); 1 labelled stretches are shorter than a window and give none (c 1)"
    )
    assert flat == f"{given.folder}: 1 channels are constant or NaN throughout, and zeros in the store (c [3])"
    assert len(made) == 126 - 2 - 3 and np.isfinite(made.pose_f16).all()
    assert made.manifest["counts"]["nan"] == 5 and made.table.attrs["left out"] == lost.partition(": ")[2]


def test_a_joint_that_never_moves_is_told(tmp_path):
    with pytest.warns(EMBridgeWarning, match=r"2 joints never move \(a \[0\], b \[0\]\)$"):
        store(source(tmp_path / "in", "ab", load=lambda key: change(signals(key), "pose", np.s_[:, 0], 3.0)))


def test_a_joint_that_is_too_far_from_zero_for_float16_is_told(tmp_path):
    """At 3000 a step of float16 is 2: of a swing of SD 0.7 nothing is left in the store, of SD 70 nearly all."""
    far = lambda key: replace(signals(key), pose=3000 + np.outer(np.sin(np.arange(5 * N)), [1, 100, 50]))  # noqa: E731
    with pytest.warns(EMBridgeWarning, match=r"1 joints vary by less than 4 steps of float16, .* \(a \[0\]\)$"):
        made = store(source(tmp_path / "in", "a", load=far))
    assert len(np.unique(made.pose_f16[:, 0])) <= 3 < 50 < len(np.unique(made.pose_f16[:, 1]))


def test_a_pose_of_zero_is_kept_and_told_and_a_mark_of_the_loader_counts_where_it_is_asked_for(tmp_path):
    rests = lambda key: change(signals(key), "pose", np.s_[:N], 0)  # noqa: E731
    with pytest.warns(EMBridgeWarning, match=r"18 windows hold a pose of exactly 0 .* leaves out \(a 9, b 9\)$"):
        assert len(store(source(tmp_path / "in", "ab", load=rests))) == 90
    marked = lambda key: replace(signals(key), failed=np.arange(5 * N) < N)  # noqa: E731
    excluding = replace(WINDOWS, exclude_ik_failures=True)
    with pytest.warns(
        EMBridgeWarning, match=r"windows left out of 90: 18 of a pose .* marked as failed .*\(a 9, b 9\)$"
    ):
        assert len(store(source(tmp_path / "in", "ab", load=marked), excluding)) == 72


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (lambda key: change(signals(key), "pose", np.s_[:], np.nan), "left out of 135: 135 with a NaN in the pose"),
        (lambda key: change(signals(key), "emg", np.s_[:, 1], np.nan), "135 with a NaN in the EMG, .* .a 45, b 45,"),
        (lambda key: change(signals(key), "emg", np.s_[:], 3), "135 without a signal in any channel"),
        (lambda key: replace(signals(key), segments=(Segment(0, 150, "fist"),)), "3 labelled stretches are shorter"),
        (lambda key: replace(signals(key), segments=()), "none of its 3 recordings has a labelled stretch"),
    ],
    ids=["pose", "electrode", "flat", "short", "unlabelled"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["own", "by recording", "by column"])
def test_no_window_left_says_why_whoever_splits(tmp_path, load, told, how):
    def crash(table):
        raise AssertionError("a split of nothing is not asked for")

    split = {"own": crash, "by recording": LAST, "by column": partial(split_by_column, "own", classes=CLASSES)}[how]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EMBridgeWarning)
        with pytest.raises(InputError, match=rf"^own: none of the 0 windows is for pre-training; .*{told}"):
            _ = study(source(tmp_path / "in", load=load), split).splits


def test_a_side_without_windows_says_why(tmp_path):
    load = lambda key: change(signals(key), "pose", np.s_[:], np.nan) if key == "c" else signals(key)  # noqa: E731
    why = r"windows left out of 135: 45 with a NaN in the pose \(c 45\)"
    with pytest.warns(EMBridgeWarning, match=why):
        store(source(tmp_path / "in", load=load))
    told = f"with windows, found 'c'; they are a, b .{why}.$"
    with pytest.warns(EMBridgeWarning, match=why), pytest.raises(InputError, match=told):  # features are cut anew
        _ = study(source(tmp_path / "in", load=load)).splits
    by_column = source(tmp_path / "in", load=load)
    columns = {"a": ("anna", "train"), "b": ("ben", "val"), "c": ("cleo", "test")}
    recordings = [replace(r, user=columns[r.key][0], split=columns[r.key][1]) for r in by_column.recordings]
    with pytest.warns(EMBridgeWarning, match=why):
        splits = study(
            replace(by_column, recordings=recordings), partial(split_by_column, "own", classes=CLASSES)
        ).splits
    with pytest.raises(InputError, match=rf"D_eval, in \(0 users\) has no window of fist.*\({why}\)$"):
        splits.check_evaluable()


def test_recordings_shorter_than_a_window_are_named(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EMBridgeWarning)
        with pytest.raises(InputError, match=r"4 of 4 recordings are shorter than a window .* \(a, b, c and 1 more\)"):
            _ = study(source(tmp_path / "in", "abcd", count=5)).splits


def test_windows_do_not_cross_breaks_that_an_own_loader_tells(tmp_path):
    load = lambda key: replace(signals(key, ("fist",)), breaks=[np.int64(430)])  # noqa: E731
    assert store(source(tmp_path / "in", "a", load=load)).table.start.tolist() == [0, 100, 200, 430, 530, 630, 730]


# ---- what is refused ----------------------------------------------------------------------------------------------

FINE = signals("a")
WRONG = {
    "tuple": (lambda key: (FINE.emg, FINE.pose), "its loader returned tuple; expected it to return Signals"),
    "nothing": (lambda key: Signals(None, FINE.pose, ()), r"EMG of shape \(T, 4\), found \(\)"),
    "transposed": (lambda key: replace(FINE, emg=FINE.emg.T), r"found \(4, 5000\); it looks like .* transpose it"),
    "complex": (lambda key: replace(FINE, pose=FINE.pose * 1j), "expected real numbers in pose, found complex64"),
    "text": (lambda key: replace(FINE, emg=FINE.emg.astype(str)), "expected real numbers in EMG, found <U32"),
    "ragged": (lambda key: Signals([[1], [1, 2]], FINE.pose, ()), r"in ValueError: .* \(line \d+ of .*test_own.py"),
    "lengths": (lambda key: replace(FINE, pose=FINE.pose[1:]), "5000 EMG samples, but 4999 of pose"),
    "labels": (lambda key: replace(FINE, segments=[(0, 9, "fist")]), r"Segment, found \(0, 9, 'fist'\) \(line \d+ of"),
    "overlap": (
        lambda key: replace(FINE, segments=(Segment(400, 900, "fist"), Segment(0, 401, "wave"))),
        "one label a sample, found a segment from 400 to 900 where another ends at 401",
    ),
    "breaks": (lambda key: replace(FINE, breaks=(0.5,)), "TypeError: 'float' object cannot be interpreted"),
    "failed": (lambda key: replace(FINE, failed=[True]), r"expected failed of shape \(5000,\), found \(1,\)"),
    "longer": (lambda key: signals(key, (*GESTURES, "ok")), "its counter says 5000 samples, its loader gives 6000"),
    "arguments": (lambda: FINE, "its loader ended in TypeError: .* takes 0 positional arguments"),
    "none": (None, "its loader ended in TypeError: 'NoneType' object is not callable"),
    "empty": (lambda key: Signals(FINE.emg[:0], FINE.pose[:0], ()), "expected samples from its loader, found none"),
    "break": (lambda key: replace(FINE, breaks=(-10,)), "its breaks between sample 0 and 5000, its end, found -10"),
    "lines": (lambda key: int("a\nb"), "ended in ValueError: invalid literal .* expected it to return Signals"),
    "no label": (lambda key: Signals(FINE.emg, FINE.pose, (Segment(0, 9, None),)), "gesture: .* found None"),
    "no file": (lambda key: Path("labels.csv").read_text(), "its loader ended in FileNotFoundError: .*labels.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_an_own_loader_gives_is_refused_by_the_file_s_name(tmp_path, name):
    load, told = WRONG[name]
    with pytest.raises(InputError, match=rf"in/a\.npz: .*{told}") as caught:
        store(source(tmp_path / "in", load=load))
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*/manifest.json"))


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"count": lambda recording: {}["n"]}, r"its counter ended in KeyError: 'n' \(line \d+ of .*test_own.py\)"),
        ({"count": lambda recording: 5e3}, "its counter returned float; expected it to return a number of samples"),
        ({"count": None}, "its counter ended in TypeError"),
        ({"sample_rate": "fast"}, "expected a sample_rate in Hz, .* found 'fast'"),
        ({"sample_rate": 250}, "expected 200 Hz, found 250"),
        ({"sample_rate": 200.00004}, "expected 200 Hz, found 200.00004;"),
        ({"sample_rate": 0}, "expected a sample_rate in Hz, a number above 0, found 0"),
        ({"user": float("nan")}, "user: expected text, found nan"),
    ],
)
def test_what_an_own_recording_says_is_refused_by_the_file_s_name(tmp_path, columns, told):
    with pytest.raises(InputError, match=rf"in/a\.npz: .*{told}"):
        store(source(tmp_path / "in", **columns))


def test_what_numpy_hides_or_float16_cannot_hold_is_left_out_and_told(tmp_path):
    """A masked value is no value, and a pose in 1e-6 rad is not the largest number that is stored."""

    def load(key):
        found = signals(key, ("fist",))
        far = np.where(np.arange(N)[:, None] == 950, 7e4, found.pose)
        hidden = np.ma.masked_array(found.pose, np.arange(3 * N).reshape(N, 3) == 3 * 50)
        return replace(found, pose=far if key == "a" else hidden)

    told = r"left out of 18: 1 with a NaN in the pose \(b 1\), 1 with a pose beyond 65504, .* \(a 1\)$"
    with pytest.warns(EMBridgeWarning, match=told):
        made = store(source(tmp_path / "in", "ab", load=load, count=np.int64(N)))
    assert (len(made), made.manifest["counts"]["nan"]) == (16, 2)


@pytest.mark.parametrize("number", [np.float16, np.int8])
def test_a_loader_may_give_small_numbers(tmp_path, number):
    """float16 holds no 1e30 to compare with, and -128 as int8 has no absolute value."""
    given = signals("a", ("fist",))
    given = replace(given, emg=(given.emg - 500).astype(number), pose=np.full((N, 3), -128).astype(number))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = store(source(tmp_path / "in", "a", load=lambda key: given, count=N), WINDOWS)
    assert len(made) == 9 and [str(w.message).partition(": ")[2] for w in caught] == [
        "3 joints never move (a [0, 1, 2])"
    ]


def test_the_smallest_integer_is_no_pose_either(tmp_path):
    """It stands for what is missing in others' files, and has no absolute value."""
    given = signals("a", ("fist",))
    pose = np.where(np.arange(N)[:, None] == 950, np.iinfo(np.int32).min, given.pose * 1000).astype(np.int32)
    with pytest.warns(EMBridgeWarning, match=r"1 with a pose beyond 65504, .* \(a 1\)$"):
        assert len(store(source(tmp_path / "in", "a", load=lambda key: replace(given, pose=pose), count=N))) == 8


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"windows": {"window": 200}}, "expected windows as a WindowConfig and split as a function, found dict and"),
        ({"split": CLASSES}, "found WindowConfig and dict"),
        ({"device": "gpu"}, "device: expected auto, cpu or cuda, found 'gpu'"),
    ],
)
def test_what_a_study_is_asked_for_is_looked_at_before_anything_is_cut(tmp_path, asked, told):
    with pytest.raises(InputError, match=told):
        Study(source(tmp_path / "in"), **{"windows": WINDOWS, "split": LAST, "size": SMOKE} | asked)


def test_windows_without_a_split_are_counted(table):
    split = table.recording.map({"a": "train", "b": "val", "c": "test"}).fillna("")
    splits = split_by_column("own", table.assign(user=table.recording, split=split), CLASSES)
    assert splits.notes[0] == "90 windows have no split and are in no part."


def test_damaged_sums_are_made_again_and_files_that_cannot_be_read_are_why_nothing_is_left(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sources.json").write_text('{"a": ')
    given = source(tmp_path / "in", load=lambda key: 1 / 0)
    with pytest.warns(EMBridgeWarning, match=r"sources\.json is damaged .* all files are summed again"):
        made = build_store(given, WINDOWS, tmp_path / "out", workers=1, progress=False, skip_broken=True)
    assert made.table.attrs["left out"] == "3 files cannot be read, first a.npz"


def test_lists_are_arrays_and_paths_may_be_text(tmp_path):
    load = lambda key: Signals(FINE.emg.tolist(), FINE.pose.tolist(), list(FINE.segments))  # noqa: E731
    given = source(tmp_path / "in", "a", load=load)
    texts = replace(
        given, folder=str(given.folder), recordings=[replace(r, path=str(r.path)) for r in given.recordings]
    )
    assert len(store(texts)) == 45


def test_a_split_that_returns_nothing_is_told(tmp_path):
    with pytest.raises(InputError, match="own: expected split to return Splits, found NoneType"):
        _ = study(source(tmp_path / "in"), lambda table: None).splits


@pytest.mark.parametrize(
    ("name", "model", "left"),
    [
        ("EMG-MAE", {"emg_patch": 0.3}, ["emg_patch of 0.3 s leaves over the last 20 of each window's 200 samples"]),
        ("Pose-MAE", {"emg_patch": 0.3}, []),  # it reads no EMG
        (
            "Pose-MAE",
            {"pose_tokens": "waveform", "pose_patch": 0.15},
            ["pose_patch of 0.15 s leaves over the last 20 of"],
        ),
        ("EMG-MAE", {"emg_patch": 0.25}, []),
    ],
)
def test_samples_that_patches_leave_over_are_told(tmp_path, name, model, left):
    size = replace(SMOKE, model=replace(SMOKE.model, **model))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study(source(tmp_path / "in"), size=size).run(name)
    told = [str(w.message) for w in caught if w.category is EMBridgeWarning]
    assert len(told) == len(left) and all(map(str.startswith, told, left))
    assert all(text.endswith("which nothing reads; set one that divides 1 s, or another window") for text in told)
