"""NinaPro's DB2 and DB7: the reader, the split and its leaks, the simulated files, and a study end to end."""

import hashlib
import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.io
from conftest import write_ninapro

from embridge import config as cfg
from embridge.data import ninapro
from embridge.data.ninapro import open_ninapro
from embridge.data.signals import filter_emg
from embridge.data.splits import NINAPRO_CLASSES, table1
from embridge.data.windows import build_store
from embridge.datasets import for_dataset, make_splits, window_config
from embridge.errors import EMBridgeWarning, InputError
from embridge.paper import scoring
from embridge.simulator import gestures
from embridge.simulator import ninapro as simulator
from embridge.simulator.anatomy import MUSCLE_NAMES, TERRITORIES, draw_forearm
from embridge.simulator.kinematics import couple, draw_style
from embridge.simulator.recordings import open_simulated, planned_ninapro
from embridge.study import Study

COMMON = [1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 15, 16, 17, 19, 20, 21, 22]  # of DB2's sensors, counted from 1
LITTLE = cfg.NinaProSimulationConfig(db2_subjects=1, db7_subjects=1, repetitions=2, movement_seconds=2.4)


def write_both(folder, db2=(1, 2), db7=(1, 2)):
    for database, subjects in (("DB2", db2), ("DB7", db7)):
        for subject in subjects:
            for exercise in (1, 2):
                write_ninapro(folder, database, subject, exercise)
    return folder


def opened(folder, **options):
    """The source, without the warning that these little databases lack most subjects."""
    return open_ninapro(folder, simulated=True, **options)


def recording(folder, key):
    return next(r for r in opened(folder).recordings if r.key == key)


# ---- the reader


@pytest.mark.parametrize(
    ("db2", "db7"),
    [
        ("DB2/S{s}_E{e}_A1.mat", "DB7/S{s}_E{e}_A1.mat"),
        ("DB2/DB2_s{s}/S{s}_E{e}_A1.mat", "DB7/Subject_{s}/S{s}_E{e}_A1.mat"),
        ("db2/some/where/s{s}_a1_e{e}.MAT", "Db7/deep/er/S{s}_A1_E{e}.mat"),
    ],
)
def test_both_layouts_any_case_any_nesting(tmp_path, db2, db7):
    for database, layout in (("DB2", db2), ("DB7", db7)):
        for e in (1, 2):
            write_ninapro(tmp_path, database, 3, e, name=layout.format(s=3, e=e))
    (tmp_path / "DB2.zip").touch()
    write_ninapro(tmp_path, "DB2", 3, 1, name=db2.format(s=3, e=3))  # exercise 3 records force
    source = opened(tmp_path)
    assert [r.key for r in source.recordings] == ["DB2-S3-E1", "DB2-S3-E2", "DB7-S3-E1", "DB7-S3-E2"]
    assert [r.user for r in source.recordings] == ["DB2-S3"] * 2 + ["DB7-S3"] * 2
    assert [r.split for r in source.recordings] == ["train"] * 2 + ["test"] * 2
    assert [r.n_samples() for r in source.recordings] == [5100, 6900] * 2
    for r in source.recordings:
        signals = pickle.loads(pickle.dumps(r)).load()  # as a worker does
        assert signals.emg.shape == (r.n_samples(), 12) and signals.pose.shape == (r.n_samples(), 18)


def test_labels_alone_are_those_of_the_whole_file(tmp_path):
    write_ninapro(tmp_path, "DB2", 1, 1)
    write_ninapro(tmp_path, "DB2", 1, 2, restimulus=None)
    write_ninapro(tmp_path, "DB7", 1, 1)
    write_ninapro(tmp_path, "DB7", 1, 2)
    with pytest.warns(EMBridgeWarning, match="are missing"):
        whole, broken, *_ = open_ninapro(tmp_path).recordings
    assert whole.segments() == whole.load().segments and len(whole.segments()) == 17 * 3
    with pytest.raises(InputError, match="missing restimulus"):
        broken.segments()


@pytest.mark.parametrize("first", [18, 1])
def test_both_numberings_give_the_same_gestures(tmp_path, first):
    labels = np.concatenate([np.r_[np.full(60, first + g), np.zeros(40)] for g in range(23) for _ in range(3)])
    write_both(tmp_path)
    write_ninapro(tmp_path, "DB7", 2, 2, restimulus=labels[:, None])
    segments = recording(tmp_path, "DB7-S2-E2").load().segments
    assert len(segments) == 69
    assert {s.gesture for s in segments} == {f"E2-{i:02d}" for i in range(1, 24)}
    assert (segments[4].start, segments[4].stop, segments[4].gesture, segments[4].repetition) == (400, 460, "E2-02", 2)


@pytest.mark.parametrize(
    ("used", "said"),
    [((3, 38), "found 3, 38, which is neither"), ((18, 20), "found 18, 20, which fits both")],
)
def test_a_mixture_of_numberings_is_refused(tmp_path, used, said):
    write_both(tmp_path)
    labels = np.repeat([used[0], 0, used[1]], 2300)
    write_ninapro(tmp_path, "DB7", 2, 2, restimulus=labels[:, None])
    with pytest.raises(InputError, match=f"S2_E2_A1.mat: expected restimulus 0 and 18..40 or 1..23, {said}"):
        recording(tmp_path, "DB7-S2-E2").load()


def test_the_four_distal_sensors_are_dropped(tmp_path):
    write_both(tmp_path)
    assert np.floor(recording(tmp_path, "DB2-S1-E1").load().pose.mean(axis=0)).astype(int).tolist() == COMMON
    assert np.floor(recording(tmp_path, "DB7-S1-E1").load().pose.mean(axis=0)).tolist() == list(range(1, 19))


def test_missing_folders_subjects_and_exercises_are_named(tmp_path):
    with pytest.raises(InputError, match="expected one folder DB2 in .*, found no folder"):
        open_ninapro(tmp_path / "nowhere")
    write_both(tmp_path, db7=())
    with pytest.raises(InputError, match="expected one folder DB7 in .*, found DB2"):
        opened(tmp_path)
    (tmp_path / "DB7").mkdir()
    with pytest.raises(InputError, match="DB7: .* holds no file like S1_E1_A1.mat"):
        opened(tmp_path)
    write_both(tmp_path, db2=(), db7=range(1, 21))
    with pytest.warns(EMBridgeWarning, match="DB2: 38 of 40 subjects are missing: DB2-S3, DB2-S4"):
        source = open_ninapro(tmp_path)
    assert source.skipped[:2] == (("DB2-S3", "has no files"), ("DB2-S4", "has no files")) and len(source.skipped) == 38
    assert source.name == "ninapro" and not source.simulated
    (tmp_path / "DB7" / "S4_E2_A1.mat").unlink()
    with pytest.raises(InputError, match="DB7: subject 4 has no file for exercise 2"):
        opened(tmp_path)
    assert len(opened(tmp_path, skip_broken=True).recordings) == 4 + 39
    write_ninapro(tmp_path, "DB7", 5, 1, name="DB7/again/S5_E1_A1.mat")
    with pytest.raises(InputError, match="S5_E1_A1.mat is there twice"):
        opened(tmp_path)


def test_amputees_are_left_out_and_counted(tmp_path):
    write_both(tmp_path, db7=(20, 21))
    write_ninapro(tmp_path, "DB7", 22, 2, glove=None)
    source = opened(tmp_path)
    assert {r.user for r in source.recordings} == {"DB2-S1", "DB2-S2", "DB7-S20"}
    assert source.skipped == tuple(
        (f"DB7-S{s}", "one of the two amputees of DB7, whom METHOD 1 leaves out") for s in (21, 22)
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"glove": None}, "missing glove"),
        ({"rerepetition": None}, "missing rerepetition"),
        ({"emg": np.zeros((5100, 10))}, r"emg of shape \(T, 12\), found \(5100, 10\)"),
        ({"glove": np.zeros((5100, 18))}, r"glove of shape \(T, 22\), found \(5100, 18\)"),
        ({"restimulus": np.zeros((5000, 1))}, "restimulus has 5000 samples where emg has 5100"),
        ({"glove": np.where(np.arange(22) == 4, 7.0, np.random.default_rng(0).random((5100, 22)))}, "columns 5 "),
        ({"glove": np.where(np.arange(22) == 21, np.nan, np.random.default_rng(0).random((5100, 22)))}, "columns 22 "),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, changes, said):
    write_both(tmp_path)
    write_ninapro(tmp_path, "DB2", 2, 1, **changes)
    with pytest.raises(InputError, match=f"S2_E1_A1.mat.*{said}"):
        recording(tmp_path, "DB2-S2-E1").load()


def test_a_header_is_judged_before_anything_is_read(tmp_path, monkeypatch):
    write_both(tmp_path)
    monkeypatch.setattr(ninapro, "MAX_HOURS", 5000 / 2000 / 3600)
    monkeypatch.setattr(scipy.io, "loadmat", None)  # calling it would be another error
    with pytest.raises(InputError, match="emg has 5100 samples, expected at most"):
        recording(tmp_path, "DB2-S1-E1").load()


def test_what_real_files_have_and_harms_nothing(tmp_path):
    """Labels that end a little before the EMG, a wrong field ``subject``, a still sensor among those dropped."""
    write_both(tmp_path)
    glove = np.where(np.arange(22) == 9, 3.0, np.random.default_rng(0).random((5100, 22)))
    repetitions = np.tile(np.repeat([1, 2, 3], 100), 17)[: 5100 - 50, None]
    labels = np.repeat(np.arange(1, 18), 300)[: 5100 - 50, None]
    changes = {"glove": glove, "restimulus": labels, "rerepetition": repetitions, "subject": np.array([[9]])}
    write_ninapro(tmp_path, "DB2", 2, 1, **changes)
    signals = recording(tmp_path, "DB2-S2-E1").load()
    assert len(signals.emg) == len(signals.pose) == 5050
    assert (signals.segments[-1].start, signals.segments[-1].stop, signals.segments[-1].gesture) == (
        5000,
        5050,
        "E1-17",
    )


def test_a_microvolt_survives_the_store(tmp_path):
    """float16's normal range ends at 61e-6: without the recording's scale this would be lost."""
    config = window_config("ninapro")
    n, t = 3 * 4000, np.arange(3 * 4000) / config.sample_rate
    emg = (1e-6 * np.sin(2 * np.pi * (80 + 7 * np.arange(12)) * t[:, None])).astype(np.float32)
    labels = np.repeat([1, 2, 3], 4000)[:, None]
    write_both(tmp_path, db2=(1,), db7=(1,))
    rng = np.random.default_rng(0)
    changes = {
        "emg": emg,
        "acc": None,
        "restimulus": labels,
        "rerepetition": np.ones((n, 1)),
        "glove": rng.random((n, 22)),
    }
    write_ninapro(tmp_path, "DB2", 1, 1, **changes)
    with pytest.warns(EMBridgeWarning, match="expected 17 movements in exercise 1, found 3"):
        store = build_store(opened(tmp_path), config, tmp_path / "out", workers=1, progress=False)
    assert store.table.gesture.tolist() == ["E1-01", "E1-02", "E1-03"]
    expected = filter_emg(emg, config)[4000:8000].T
    assert np.abs(expected).max() == pytest.approx(1e-6, rel=0.05)
    read = store.read_emg([1])[0].numpy() * store.manifest["recordings"][0]["scale"]
    np.testing.assert_allclose(read, expected, atol=1e-9)


# ---- settings


def test_settings_are_those_of_method_1():
    for dataset in ("ninapro", "simulated-ninapro"):
        windows = window_config(dataset)
        assert (windows.n_channels, windows.n_joints, windows.sample_rate, windows.window) == (12, 18, 2000.0, 4000)
        assert (windows.bandpass, windows.notch, windows.stride_train, windows.stride_eval) == (
            (2, 250),
            50,
            4000,
            4000,
        )
        assert not windows.exclude_ik_failures
        for name in cfg.PROFILES:
            plain = cfg.profile(name)
            size = cfg.for_windows(for_dataset(plain, dataset), windows)
            assert (size.model.n_channels, size.model.n_joints) == (12, 18)
            assert (size.model.emg_patch, size.model.pose_patch) == (plain.model.emg_patch, plain.model.pose_patch)
            assert size.mae == replace(plain.mae, ring=8) and size.align == replace(plain.align, ring=8)


def test_a_real_dataset_needs_its_folder():
    with pytest.raises(InputError, match="ninapro: give the folder that holds it with --data DIR"):
        assert Study("ninapro", "smoke", device="cpu").source


# ---- the split


@pytest.fixture(scope="module")
def table():
    """The table of a store: 3 users of DB2, 4 of DB7, six repetitions of two windows each."""
    rows = [
        (f"{database}-S{s}", split, f"E{e}-{rank:02d}", repetition, w)
        for database, split, n in (("DB2", "train", 3), ("DB7", "test", 4))
        for s in range(1, n + 1)
        for e, movements in ((1, 17), (2, 23))
        for rank in range(1, movements + 1)
        for repetition in range(1, 7)
        for w in range(2)
    ]
    table = pd.DataFrame(rows, columns=["user", "split", "gesture", "repetition", "start"])
    table["recording"], table["session"], table["hand"] = table.user + "-" + table.gesture.str[:2], table.user, ""
    table["segment"] = np.arange(len(table)) // 2
    table["start"] = table.segment * 10_000 + table.start * 4000
    table["eval_grid"], table["digest"] = True, np.arange(len(table), dtype=np.uint64)
    return table


def changed(table, rows, **values):
    table = table.copy()
    for name, value in values.items():
        table.loc[rows, name] = value
    return table


def test_parts_of_the_split(table):
    splits = make_splits("ninapro", table)
    splits.check_evaluable()
    assert not splits.has_tuning and splits.group_kind == "user"
    assert splits.policies == ("all", "not-self", "other-repetitions", "other-users")
    parts = {name: table.iloc[ids] for name, ids in splits.named().items()}
    unseen = {"E1-01", "E1-05", "E1-10", "E1-15"}
    assert NINAPRO_CLASSES == {"in": ("E2-01", "E2-05", "E2-10", "E2-15"), "unseen": tuple(sorted(unseen))}
    assert set(parts["pre-training"].user) == {"DB2-S1", "DB2-S2", "DB2-S3"}
    assert set(table.gesture) - set(parts["pre-training"].gesture) == unseen
    assert len(parts["pre-training"]) == 3 * 36 * 12
    for name, classes in NINAPRO_CLASSES.items():
        probe, evaluated = parts[f"probe-train, {name}"], parts[f"D_eval, {name}"]
        assert len(parts[f"D_tune, {name}"]) == 0
        assert set(probe.gesture) == set(evaluated.gesture) == set(classes)
        assert set(probe.user) == set(evaluated.user) == {f"DB7-S{s}" for s in range(1, 5)}
        by = ["user", "gesture"]
        both = probe.groupby(by).repetition.unique().to_frame("a").join(evaluated.groupby(by).repetition.unique())
        assert len(both) == 16
        for a, b in both.itertuples(index=False):  # half and half, nothing in both, nothing lost
            assert len(a) == len(b) == 3 and set(a) | set(b) == set(range(1, 7))
    drawn = parts["probe-train, in"].groupby(["user", "gesture"]).repetition.apply(lambda r: tuple(sorted(set(r))))
    assert drawn.nunique() > 5, "each user and movement has a draw of its own"
    assert any("10 and 10" in note for note in splits.notes) and any("7, 10, 14, 18" in note for note in splits.notes)
    assert any("a session is read as a repetition" in note for note in splits.notes)


def test_the_draw_depends_on_the_seed_and_not_on_the_files_order(table):
    def chosen(table, seed=0):
        rows = table.iloc[make_splits("ninapro", table, seed=seed).probe_train["in"]]
        return set(zip(rows.user, rows.gesture, rows.repetition, strict=True))

    assert chosen(table) == chosen(table.iloc[::-1].reset_index(drop=True))
    assert chosen(table) != chosen(table, seed=1)
    odd = table[table.repetition < 6].reset_index(drop=True)
    parts = make_splits("ninapro", odd)
    assert len(parts.probe_train["in"]) == 16 * 2 * 2 and len(parts.evaluation["in"]) == 16 * 3 * 2


@pytest.mark.parametrize(
    ("where", "values", "said"),
    [
        ("file", {"user": "DB2-S1"}, "leak: the user DB2-S1 is both in pre-training and in DB7's parts"),
        ("file", {"session": "DB2-S1"}, "leak: the session DB2-S1 is both in pre-training and in DB7's parts"),
        ("stretch", {"segment": 60}, "leak: the labelled stretch 60 is both in pre-training"),
        ("window", {"digest": 150}, "leak: the window content 150 is both in pre-training"),
    ],
)
def test_leak_ninapro_from_pre_training(table, where, values, said):
    rows = table.index[(table.recording == "DB7-S1-E2") & (table.gesture == "E2-05")]
    rows = {"file": table.recording == "DB7-S1-E2", "stretch": rows[:2], "window": rows[:1]}[where]
    with pytest.raises(InputError, match=said):
        make_splits("ninapro", changed(table, rows, **values))


def test_leak_ninapro_between_probe_and_evaluation(table):
    splits = make_splits("ninapro", table)
    probe, evaluated = splits.probe_train["in"][0], splits.evaluation["in"][0]
    for name, said in (("segment", "labelled stretch"), ("digest", "window content")):
        with pytest.raises(InputError, match=f"leak: the {said} {table[name][probe]} is both in probe-train"):
            make_splits("ninapro", changed(table, [evaluated], **{name: table[name][probe]}))


def test_leak_ninapro_a_probe_on_a_repetition_of_evaluation(table):
    """Same users, same movements, other repetitions: one window of an evaluated repetition is told."""
    splits = make_splits("ninapro", table)
    for name, ids in splits.probe_train.items():
        assert splits.probe_from(ids).tolist() == ids.tolist()
        evaluated = splits.evaluation[name][-1]
        gesture, repetition = table.gesture[evaluated], table.repetition[evaluated]
        with pytest.raises(InputError, match=f"leak: the repetition DB7-S4/{gesture}/{repetition} is both in D_eval"):
            splits.probe_from([ids[0], evaluated])
    stretch = changed(table, [evaluated], segment=table.segment.max() + 1)  # its other window is a stretch of its own
    moved = {"probe_train": splits.probe_train | {name: np.union1d(ids, [evaluated])}}
    moved["evaluation"] = splits.evaluation | {name: np.setdiff1d(splits.evaluation[name], [evaluated])}
    with pytest.raises(InputError, match="leak: the repetition"):
        replace(splits, table=stretch, **moved)


def test_what_evaluation_lacks_is_named(table):
    once = table[(table.gesture != "E1-10") & ((table.gesture != "E2-05") | (table.repetition == 1))]
    splits = make_splits("ninapro", once.reset_index(drop=True))
    with pytest.raises(InputError) as caught:
        splits.check_evaluable()
    said = str(caught.value)
    assert "probe-train, in (4 users) has no window of E2-05" in said and "Add whole files" in said
    assert "D_eval, unseen (4 users) has no window of E1-10" in said and "D_tune" not in said
    with pytest.raises(InputError, match="none of the .* windows is for pre-training"):
        make_splits("ninapro", table[table.split == "test"].reset_index(drop=True))


def test_printed_table_1(table):
    printed = table1(make_splits("ninapro", table)).set_index("split")
    assert printed.loc["D_eval, in", ["gestures", "users", "files", "windows"]].tolist() == [4, 4, 4, 96]
    assert printed["paper: users"].isna().all()


# ---- the simulator


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A whole simulated DB2 and DB7 of one subject each, not to be changed."""
    return open_simulated(tmp_path_factory.mktemp("in"), LITTLE, progress=False, workers=1)


def test_simulated_files_have_the_real_ones_fields_shapes_and_units(simulated):
    assert simulated.simulated and simulated.name == "simulated-ninapro" and not simulated.skipped
    assert [str(r.path.relative_to(simulated.folder)) for r in simulated.recordings] == [
        "DB2/DB2_s1/S1_E1_A1.mat", "DB2/DB2_s1/S1_E2_A1.mat", "DB7/Subject_1/S1_E1_A1.mat",
        "DB7/Subject_1/S1_E2_A1.mat",
    ]  # fmt: skip
    for r, sensors, first, movements in zip(
        simulated.recordings, (22, 22, 18, 18), (1, 18, 1, 18), (17, 23, 17, 23), strict=True
    ):
        fields = scipy.io.loadmat(r.path)
        n = round(movements * 2 * 3.2 * 2000)
        shapes = {name: value.shape for name, value in fields.items() if not name.startswith("__")}
        labels = dict.fromkeys(("stimulus", "restimulus", "repetition", "rerepetition"), (n, 1))
        scalars = dict.fromkeys(("subject", "exercise", "simulated"), (1, 1))
        assert shapes == {"emg": (n, 12), "glove": (n, sensors), **labels, **scalars}
        assert fields["emg"].dtype == fields["glove"].dtype == np.float32
        assert {fields[name].dtype for name in (*labels, *scalars)} == {np.dtype(np.uint8)}, "as the real files'"
        rms = fields["emg"].std(axis=0)
        assert (rms > 1e-6).all() and (rms < 3e-4).all(), "volts"
        assert fields["glove"].min() > 0 and fields["glove"].max() < 255 and np.ptp(fields["glove"], axis=0).min() > 5
        for name in ("stimulus", "restimulus"):
            assert np.unique(fields[name]).tolist() == [0, *range(first, first + movements)]
        assert np.unique(fields["rerepetition"]).tolist() == [0, 1, 2]
        shown, made = (np.flatnonzero(np.diff(fields[x][:, 0].astype(int)) > 0) for x in ("stimulus", "restimulus"))
        assert len(made) == len(shown) == 2 * movements
        assert ((made - shown) >= 200).all() and ((made - shown) <= 600).all(), "the hand follows the film"


def test_simulated_windows_serve_every_class(simulated, tmp_path):
    store = build_store(simulated, window_config("simulated-ninapro"), tmp_path, workers=1, progress=False)
    assert store.table.groupby(["user", "gesture", "repetition"]).size().tolist() == [1] * (2 * 40 * 2)
    make_splits("simulated-ninapro", store.table).check_evaluable()


def test_recordings_and_their_labels_are_known_before_they_are_written(simulated):
    planned = planned_ninapro(simulated.folder, LITTLE)
    assert planned.recordings == simulated.recordings
    for expected, real in zip(planned.recordings, simulated.recordings, strict=True):
        assert expected.n_samples() == real.n_samples()
        assert 0.85 < real.path.stat().st_size / simulator.file_bytes(real.n_samples()) < 1.01  # DB7 has fewer sensors
        assert expected.segments() == real.load().segments


def test_emg_follows_the_labels_and_movements_differ(simulated):
    signals = simulated.recordings[0].load()
    labelled = np.zeros(len(signals.emg), bool)
    for s in signals.segments:
        labelled[s.start : s.stop] = True
    assert (signals.emg[labelled].std(axis=0) > 1.2 * signals.emg[~labelled].std(axis=0)).mean() > 0.8
    poses = np.array([signals.pose[(s.start + s.stop) // 2] for s in signals.segments])
    distance = np.linalg.norm(poses[:, None] - poses, axis=-1)
    gestures_ = np.array([s.gesture for s in signals.segments])
    same = (gestures_[:, None] == gestures_) & ~np.eye(len(poses), dtype=bool)
    assert np.median(distance[same]) < 0.5 * np.median(distance[~same])


def test_movements_are_distinct_poses_of_the_vocabulary():
    names = [name for names in simulator.MOVEMENTS.values() for name in names]
    assert [len(names) for names in simulator.MOVEMENTS.values()] == [17, 23]
    assert len(set(names)) == 40 and set(names) <= set(gestures.POSE_NAMES) - {"rest"}


def test_glove_values_by_hand():
    pose = np.zeros((1, 24))
    pose[0, [1, 5, 6, 7, 8, 12, 17, 20]] = 0.5, 0.2, 0.4, 0.6, 0.1, -0.1, 0.3, -0.2  # abduction; index; ...; wrist
    found = simulator.glove_values(pose)[0]
    assert found.shape == (22,)
    assert found[[0, 1, 2, 3]].tolist() == pytest.approx([100, 70, 70, 60 + 70 * 0.5])
    assert found[[4, 5, 6]].tolist() == pytest.approx([80, 90, 100])  # index MCP, PIP, DIP
    assert found[10] == pytest.approx(120 - 60 * 0.1)  # index to middle: index less middle
    assert found[14] == pytest.approx(120 + 60 * 0.2)  # middle to ring
    assert found[[15, 19, 20, 21]].tolist() == pytest.approx([70 + 50 * 0.3, 90 + 20 * 0.3, 128 - 45 * 0.2, 128])


def test_the_glove_fits_each_hand_in_its_own_way(simulated):
    fits = [simulator.draw_fit(0, user) for user in ("DB2-S1", "DB7-S1")]
    for fit, r, columns in zip(fits, simulated.recordings[::2], (range(22), np.array(COMMON) - 1), strict=True):
        relaxed = draw_style(0, r.user, simulator.PHYSIOLOGY).poses[[gestures.POSE_NAMES.index("rest")]]
        nominal = simulator.glove_values(couple(relaxed, simulator.PHYSIOLOGY))[0]
        written = scipy.io.loadmat(r.path)["glove"][:100].mean(axis=0)  # before the first movement
        np.testing.assert_allclose(written, (fit[0] + fit[1] * nominal)[list(columns)], atol=1.0)
    many = [simulator.draw_fit(0, str(i)) for i in range(200)]
    assert np.std([offset for offset, _ in many]) == pytest.approx(8, rel=0.1)
    assert np.std(np.log([gain for _, gain in many])) == pytest.approx(0.15, rel=0.1)


def test_electrodes_on_named_muscles_hear_them():
    for seed in range(5):
        forearm = draw_forearm(seed, "DB2-S1", simulator.PHYSIOLOGY)
        mixing = simulator._electrodes(seed, "DB2-S1", forearm, simulator.PHYSIOLOGY).mixing
        assert mixing.shape == (12, TERRITORIES * len(MUSCLE_NAMES))
        share = mixing.reshape(12, -1, TERRITORIES).sum(axis=2) / mixing.sum(axis=1, keepdims=True)  # (12, n_muscles)
        own = [MUSCLE_NAMES.index(name) for name in simulator.HERE.spots]
        for electrode, muscle in zip((8, 9), own[:2], strict=True):
            assert share[electrode, muscle] > 3 * share[:8, muscle].mean()
        assert share[[10, 11], own[2:]].tolist() == pytest.approx([1, 1]), "the upper arm is far from the forearm"


def digests(folder):
    return {p.name + p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*.mat"))}


def test_its_subjects_rest_their_arms_on_the_table(monkeypatch):
    def forbidden(*args):
        raise AssertionError("a supported arm carries nothing")

    monkeypatch.setattr("embridge.simulator.emg.arm_load", forbidden)
    file = simulator.plan_ninapro(LITTLE)[0]
    assert simulator.simulate_ninapro(file, LITTLE)["emg"].shape[1] == 12


def test_a_killed_run_writes_only_what_is_missing_and_the_same_bytes(simulated, tmp_path, monkeypatch):
    source = open_simulated(tmp_path, LITTLE, progress=False, workers=2)
    whole, paths = digests(simulated.folder), [r.path for r in source.recordings]
    assert len(whole) == 4 and digests(tmp_path) == whole
    os.truncate(paths[0], 100)
    paths[0].rename(paths[0].with_name(paths[0].name + ".part"))  # a writer killed half-way leaves this
    before = {p: p.stat().st_mtime_ns for p in paths[1:]}
    open_simulated(tmp_path, LITTLE, progress=False, workers=1)
    assert digests(tmp_path) == whole and not list(tmp_path.rglob("*.part"))
    assert {p: p.stat().st_mtime_ns for p in paths[1:]} == before
    manifest = json.loads((tmp_path / "simulation.json").read_text(encoding="utf-8"))
    assert manifest["simulated"] is True and manifest["config"]["db7_subjects"] == 1
    with pytest.raises(InputError, match=r"config\.seed expected 1, found 0;"):
        open_simulated(tmp_path, replace(LITTLE, seed=1), progress=False)
    with pytest.raises(InputError, match="at least 2 repetitions"):
        open_simulated(tmp_path, replace(LITTLE, repetitions=1), progress=False)
    paths[1].unlink()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="S1_E2_A1.mat: could not write"):
        open_simulated(tmp_path, LITTLE, progress=False)
    assert not list(tmp_path.rglob("*.part"))


# ---- everything together


def test_a_smoke_study_end_to_end(tmp_path):
    study = Study("simulated-ninapro", "smoke", out=tmp_path, device="cpu")
    assert study.simulated and study.context["simulated"] and not study.context["development"]
    assert study.figures == tmp_path / "figures" / "simulated-ninapro-smoke"
    for classes, values in (("in", (0.692, 0.703)), ("unseen", (0.447, 0.492))):
        outcomes = scoring.zero_shot_outcomes(study, "EMBridge", classes)
        class_set = [o for o in outcomes if o.options == "corpus=class set" and o.pooling == "max"]
        assert [o.gallery for o in class_set] == list(study.splits.policies)
        row = class_set[0].rows[0]
        assert (row["paper_value"], row["paper_source"]) == (values[0], "E Table 2, unlabelled row (inferred)")
        assert set(class_set[0].groups) == {"DB7-S1", "DB7-S2"}
        probe = scoring.probe_outcome(study, "EMBridge", classes).rows[0]
        assert 0 <= probe["value"] <= 1 and probe["paper_value"] == values[1]
        assert float(probe["param_value"]) in study.profile.evaluation.probe_c
        one, line = (outcome.rows[0] for outcome in scoring.no_network(study, classes))
        assert one["value"] == 0.25 and 0 <= line["value"] <= 1 and line["n_train"] == probe["n_train"]
    assert list((tmp_path / "data").glob("simulated-ninapro-*/DB7/Subject_2/S2_E2_A1.mat"))
