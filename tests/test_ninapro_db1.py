"""NinaPro as it lies on disks: DB1's three exercises, archives, small integers, and whose recordings they are."""

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from conftest import TINY, write_db1, write_ninapro

from embridge.data.emg2pose import open_emg2pose
from embridge.data.ninapro import open_db1, open_ninapro
from embridge.data.windows import build_store
from embridge.datasets import make_splits, window_config
from embridge.errors import EMBridgeWarning, InputError
from embridge.study import Study

MOVEMENTS = {1: 12, 2: 17, 3: 23}
E2_LABELS = "EMBRIDGE_NINAPRO_DB1_E2_LABELS"


def write_exercises(folder, subject: int = 1, exercises=MOVEMENTS, **changes):
    for exercise in exercises:
        name, n = f"S{subject}_A1_E{exercise}.mat", MOVEMENTS[exercise]
        write_db1(folder, subject, name=name, movements=n, exercise=np.array([[exercise]], np.uint8), **changes)


# ---- exercises


def test_exercise_1_is_what_it_was_whatever_lies_beside(tmp_path):
    alone, everything = tmp_path / "alone", tmp_path / "all"
    write_exercises(everything)
    alone.mkdir()
    shutil.copy(everything / "s1" / "S1_A1_E1.mat", alone)
    assert open_db1(everything) == open_db1(everything, exercises=(1,))
    config = window_config("ninapro-db1")
    stores = [
        build_store(open_db1(x), config, tmp_path / "out", workers=1, progress=False) for x in (alone, everything)
    ]
    assert stores[0].key == stores[1].key
    assert stores[1].table.gesture.unique().tolist() == [f"E1-{rank:02d}" for rank in range(1, 13)]


def test_a_movement_is_named_by_exercise_and_rank_though_labels_count_from_1_in_each(tmp_path):
    write_exercises(tmp_path)
    one, two, three = open_db1(tmp_path, exercises=[np.int64(3), 2, 1]).recordings
    assert [r.key for r in (one, two, three)] == ["S1_A1_E1", "S1_A1_E2", "S1_A1_E3"]
    assert {(r.user, r.session) for r in (one, two, three)} == {("S1", "S1")}, "electrodes and glove stay on"
    found = {r.key: {s.gesture for s in r.load().segments} for r in (one, two, three)}
    for exercise, n in MOVEMENTS.items():
        assert found[f"S1_A1_E{exercise}"] == {f"E{exercise}-{rank:02d}" for rank in range(1, n + 1)}
    assert len(set().union(*found.values())) == 52
    segments = two.segments()
    assert segments == two.load().segments and (segments[10].start, segments[10].gesture) == (4000, "E2-02")
    assert open_db1(tmp_path, exercises=(2,)).recordings == (two,)


@pytest.mark.parametrize("number", [1.0, True])
def test_a_gesture_is_named_by_a_whole_number_whatever_asks(tmp_path, number):
    write_exercises(tmp_path, 1, (1,))
    assert open_db1(tmp_path, exercises=number).recordings[0].segments()[0].gesture == "E1-01"


def test_an_emg_that_ends_early_is_told_as_labels_are_and_two_columns_of_labels_are_refused(tmp_path):
    write_exercises(tmp_path, 1, (1,))
    path = tmp_path / "s1" / "S1_A1_E1.mat"
    fields = {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}
    n = len(fields["emg"])
    scipy.io.savemat(path, fields | {"emg": fields["emg"][: n - 5]})
    (recording,) = open_db1(tmp_path).recordings
    with pytest.warns(EMBridgeWarning, match=f"of {n} samples the first {n - 5} are read"):
        assert recording.n_samples() == n - 5
    scipy.io.savemat(path, fields | {"restimulus": fields["restimulus"].reshape(-1, 2)})
    with pytest.raises(InputError, match=r"expected restimulus of shape \(T, 1\), found \(\d+, 2\); leave it out"):
        recording.n_samples()


@pytest.mark.parametrize("exercises", [(4,), (0, 1), (), "2", None])
def test_other_exercises_are_refused(tmp_path, exercises):
    write_exercises(tmp_path)
    with pytest.raises(InputError, match="ninapro-db1: expected exercises among 1, 2 and 3, found"):
        open_db1(tmp_path, exercises=exercises)


def test_a_subject_without_the_exercise_that_is_asked_for_is_told(tmp_path):
    write_exercises(tmp_path, 1)
    write_exercises(tmp_path, 2, (1, 3))
    with pytest.raises(InputError, match="subject 2 has no file for exercise 2 below .*; add it"):
        open_db1(tmp_path, exercises=(1, 2))
    source = open_db1(tmp_path, exercises=(1, 2), skip_broken=True)
    assert [r.key for r in source.recordings] == ["S1_A1_E1", "S1_A1_E2", "S2_A1_E1"]
    assert [name for name, _ in source.skipped] == ["S2"]
    assert len(open_db1(tmp_path, exercises=(3, 1)).recordings) == 4


@pytest.mark.parametrize(
    ("exercise", "movements", "said"),
    [
        (2, 12, "expected 17 movements in exercise 2, found 12, as many as exercise 1 has; restore its name"),
        (3, 17, "expected 23 movements in exercise 3, found 17, as many as exercise 2 has; restore its name"),
        (1, 17, r"expected restimulus 0 and 1\.\.12, found 1\.\.17"),
        (2, 18, r"expected restimulus 0 and 1\.\.17, found 1\.\.18"),
    ],
)
def test_a_file_with_another_number_of_movements_is_told(tmp_path, exercise, movements, said):
    write_db1(tmp_path, 1, name=f"S1_A1_E{exercise}.mat", movements=movements)
    (recording,) = open_db1(tmp_path, exercises=(exercise,)).recordings
    for read in (recording.load, recording.segments):
        with pytest.raises(InputError, match=f"S1_A1_E{exercise}.mat: {said}"):
            read()


def test_a_file_that_lacks_movements_is_read_with_a_warning(tmp_path):
    write_db1(tmp_path, 1, name="S1_A1_E2.mat", movements=3)
    with pytest.warns(EMBridgeWarning, match="expected 17 movements in exercise 2, found 3, of labels 1, 2, 3"):
        assert len(open_db1(tmp_path, exercises=(2,)).recordings[0].load().segments) == 30


def test_db2_exercise_1_under_the_name_of_exercise_2_is_told(tmp_path):
    """Both may count from 1. Labels that run on from exercise 1's are exercise 2's, whatever is missing."""
    for database in ("DB2", "DB7"):
        for exercise in (1, 2):
            write_ninapro(tmp_path, database, 1, exercise)
    labels = np.repeat(np.arange(1, 18), 6900 // 17 + 1)[:6900, None].astype(np.uint8)
    for name, changed in (("DB2", labels), ("DB7", labels + 17)):
        write_ninapro(tmp_path, name, 1, 2, restimulus=changed)
    _, wrong, _, lacking = open_ninapro(tmp_path, simulated=True).recordings
    with pytest.raises(InputError, match="S1_E2_A1.mat: expected 23 movements in exercise 2, found 17, as many as exe"):
        wrong.segments()
    with pytest.warns(EMBridgeWarning, match="found 17, of labels 18, 19, .* 33, 34"):
        assert {s.gesture for s in lacking.segments()} == {f"E2-{rank:02d}" for rank in range(1, 18)}


@pytest.mark.real(E2_LABELS)
def test_the_labels_of_a_real_exercise_2(tmp_path):
    track = {name: np.loadtxt(Path(os.environ[E2_LABELS], f"{name}.csv")) for name in ("restimulus", "rerepetition")}
    labels = {name: x.astype(np.uint8)[:, None] for name, x in track.items()}
    n, rng = len(labels["restimulus"]), np.random.default_rng(0)
    write_db1(tmp_path, 1, name="S1_A1_E2.mat", emg=np.ones((n, 10)), glove=rng.random((n, 22)), **labels)
    segments = open_db1(tmp_path, exercises=(2,)).recordings[0].load().segments
    assert [(s.gesture, s.repetition) for s in segments] == [
        (f"E2-{rank:02d}", repetition) for rank in range(1, 18) for repetition in range(1, 11)
    ]
    write_db1(tmp_path, 1, emg=np.ones((n, 10)), glove=rng.random((n, 22)), **labels)
    with pytest.raises(InputError, match=r"S1_A1_E1.mat: expected restimulus 0 and 1\.\.12, found 1\.\.17"):
        open_db1(tmp_path).recordings[0].load()


# ---- whose recordings


@pytest.mark.parametrize(
    ("subjects", "said"),
    [((1,), True), ((2,), False), ((1, 2, 11), "3 subjects, of whom S1 is a development subject"), ((11, 2), False)],
)
def test_the_development_subject_is_named_only_where_it_is(tmp_path, subjects, said):
    for subject in subjects:
        write_db1(tmp_path / "in", subject)
    study = Study("ninapro-db1", data=tmp_path / "in", out=tmp_path / "out", device="cpu", size=TINY)
    assert study.context["development"] == said
    notes = make_splits("ninapro-db1", study.store.table).notes
    assert any("Subject 1 is a development subject" in note for note in notes) == bool(said)


# ---- archives


def test_archives_are_named_where_no_file_is_found(tmp_path):
    for name in ("S1.zip", "more/s2.ZIP", "more/._s2.zip", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    said = "; unpack the archives that are there: S1.zip, s2.ZIP$"
    for opener in (open_db1, open_ninapro, open_emg2pose):
        with pytest.raises(InputError, match=said):
            opener(tmp_path)
    with pytest.raises(InputError, match="there is no folder .*; unpack the archives that are there: S1.zip$"):
        open_db1(tmp_path / "S1.zip")
    with pytest.raises(InputError, match=r"there is no folder .*of its \.mat files$"):
        open_db1(tmp_path / "S9.zip")
    for database in ("DB2", "DB7"):
        (tmp_path / database).mkdir()
    for subject in range(1, 41):
        (tmp_path / "DB2" / f"DB2_s{subject}.zip").touch()
    with pytest.raises(InputError, match="DB2: .*; unpack the archives .*: DB2_s1.zip, DB2_s10.zip, .* and 35 more$"):
        open_ninapro(tmp_path)


def test_archives_of_subjects_that_are_not_unpacked_are_told(tmp_path):
    write_db1(tmp_path, 1)
    for name in ("s1.zip", "DB1.zip", "exercises2.zip"):
        (tmp_path / name).touch()
    assert open_db1(tmp_path).skipped == ()  # left behind when they were unpacked
    for name in ("s2.zip", "S10.tar.gz"):
        (tmp_path / name).touch()
    with pytest.warns(EMBridgeWarning, match="ninapro-db1: .*unpack those of subjects without a file: S10.*, s2.z"):
        source = open_db1(tmp_path)
    assert source.skipped == tuple((name, "an archive is not read; unpack it") for name in ("S10.tar.gz", "s2.zip"))
    for exercise in (1, 2):
        write_ninapro(tmp_path, "DB2", 1, exercise)
        write_ninapro(tmp_path, "DB7", 1, exercise, name=f"DB7/Subject_1/S1_E{exercise}_A1.mat")
    for name in ("DB2/DB2_s1.zip", "DB2/DB2_s2.zip", "DB7/Subject_1.zip", "DB7/Subject_3.zip", "DB7/Subject_21.zip"):
        (tmp_path / name).touch()
    with pytest.warns(EMBridgeWarning, match="are not read"):
        source = open_ninapro(tmp_path, simulated=True)
    assert [name for name, _ in source.skipped] == ["DB2_s2.zip", "Subject_3.zip"]  # 21 is an amputee


# ---- small integers


def as_matlab_saves(path):
    """Call arrays of uint8 doubles, as MATLAB does with whole numbers: the real files' header says double."""
    data, at = bytearray(path.read_bytes()), 128
    while at < len(data):
        if data[at + 16] == 9:  # the class of uint8
            data[at + 16] = 6
        at += 8 + struct.unpack_from("<I", data, at + 4)[0]
    path.write_bytes(data)


def db2_labels(dtype):
    """Exercise 2 in DB2's numbering, without rest between some times, and with labels and repetitions that fall."""
    labels, repetitions = np.zeros((2, 6900, 1), dtype)
    for i, (label, repetition) in enumerate([(18 + i, r) for i in range(23) for r in (1, 2, 3)]):
        at = 6900 - 100 * (i + 1)
        labels[at : at + 100 - 40 * (i % 2)], repetitions[at : at + 100 - 40 * (i % 2)] = label, repetition
    return {"restimulus": labels, "rerepetition": repetitions}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.float64, "double of uint8"])
def test_labels_of_any_type_of_number_give_the_same_segments(tmp_path, dtype):
    """Of uint8 a label that falls by 1 has risen by 255, and rest is 239 behind label 18."""
    for database in ("DB2", "DB7"):
        for exercise in (1, 2):
            write_ninapro(tmp_path, database, 1, exercise)
    real = dtype == "double of uint8"
    path = write_ninapro(tmp_path, "DB7", 1, 2, **db2_labels(np.uint8 if real else dtype))
    if real:
        as_matlab_saves(path)
        assert dict((name, kind) for name, _, kind in scipy.io.whosmat(path))["restimulus"] == "double"
        assert scipy.io.loadmat(path)["restimulus"].dtype == np.uint8
    recording = open_ninapro(tmp_path, simulated=True).recordings[3]
    found = [(s.start, s.stop - s.start, s.gesture, s.repetition) for s in recording.segments()]
    assert found == [
        (100 * (68 - i), 100 - 40 * (i % 2), f"E2-{i // 3 + 1:02d}", i % 3 + 1) for i in reversed(range(69))
    ]
    assert recording.load().segments == recording.segments()


def test_a_glove_of_whole_numbers_keeps_its_range(tmp_path):
    glove = np.zeros((48_000, 22), np.int8)
    glove[::2], glove[1::2] = -128, 127
    write_db1(tmp_path, 1, glove=glove)
    pose = open_db1(tmp_path).recordings[0].load().pose
    assert pose.dtype == np.float32 and (pose.min(), pose.max()) == (-128, 127)


@pytest.mark.parametrize("opener", [open_emg2pose, open_db1, open_ninapro])
def test_a_file_instead_of_a_folder_is_no_folder_that_cannot_be_read(opener, tmp_path):
    (tmp_path / "data.mat").write_text("")
    with pytest.raises(InputError, match="there is no folder|expected one folder DB2"):
        opener(tmp_path / "data.mat")
