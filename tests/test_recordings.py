"""The readers: what they accept, what they refuse, and that they say why."""

import fcntl
import gc
import os
import pickle
import shutil
import subprocess
import warnings

import h5py
import numpy as np
import pytest
import scipy.io
from conftest import OTHER_STAGE, SERIES, metadata_row, refuse_folders, series, write_db1, write_metadata, write_session

from embridge.data.emg2pose import HELD_OUT_STAGES, IN_CLASSES, JOINTS, STAGES, UNSEEN_CLASSES, open_emg2pose
from embridge.data.emg2pose_bids import open_either
from embridge.data.ninapro import open_db1
from embridge.errors import EMBridgeWarning, InputError


def one(folder, data, *, csv=True, name="rec_left", **attributes):
    """A dataset of one file."""
    write_session(folder / f"{name}.hdf5", data, **attributes)
    if csv:
        write_metadata(folder / "metadata.csv", [metadata_row(name)])
    return open_emg2pose(folder).recordings[0]


def open_handles() -> int:
    gc.collect()
    return h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)


def test_constants_agree_with_the_dataset():
    assert len(set(STAGES)) == 29
    assert len(set(JOINTS)) == 20
    assert len(set(HELD_OUT_STAGES)) == 6
    assert {*IN_CLASSES, *HELD_OUT_STAGES} < set(STAGES)
    assert not set(IN_CLASSES) & set(UNSEEN_CLASSES)


def test_samples_and_columns_come_back(tmp_path):
    data = series(5000)
    recording = one(tmp_path, data, user="0042")
    signals = recording.load()
    np.testing.assert_array_equal(signals.emg, data["emg"])
    np.testing.assert_array_equal(signals.pose, data["joint_angles"])
    assert recording.n_samples() == 5000
    assert [(s.start, s.stop, s.gesture) for s in signals.segments] == [(0, 5000, OTHER_STAGE)]  # the CSV's, no "_both"
    assert (recording.user, recording.split, recording.generalization) == ("1234", "train", "none")


def test_user_ids_stay_text(dataset):
    assert {r.user for r in open_emg2pose(dataset).recordings} >= {"0100", "0200", "0300"}


def test_either_metadata_name_and_files_in_subfolders(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "copy")
    inner = tmp_path / "copy" / "some" / "files"
    inner.mkdir(parents=True)
    for path in (tmp_path / "copy").glob("*.hdf5"):
        path.rename(inner / path.name)
    (tmp_path / "copy" / "metadata.csv").rename(tmp_path / "copy" / "emg2pose_metadata.csv")
    renamed = [(r.key, r.user, r.split) for r in open_emg2pose(tmp_path / "copy").recordings]
    assert renamed == [(r.key, r.user, r.split) for r in open_emg2pose(dataset).recordings]


def test_any_subset_of_files(tmp_path):
    write_session(tmp_path / "b.hdf5", series(10))
    write_session(tmp_path / "stranger.hdf5", series(10))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("a"), metadata_row("b")])
    with pytest.warns(EMBridgeWarning, match="no row"):
        source = open_emg2pose(tmp_path)
    assert [r.key for r in source.recordings] == ["b"]
    assert source.skipped == (("stranger.hdf5", "no row in metadata.csv"),)


def test_never_more_than_one_handle(dataset, monkeypatch):
    before = open_handles()
    most = []
    real = h5py.File.__init__

    def counting(self, *args, **kwargs):
        real(self, *args, **kwargs)
        most.append(h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) - before)

    monkeypatch.setattr(h5py.File, "__init__", counting)
    recordings = open_emg2pose(dataset).recordings
    assert not most, "listing a dataset opens no file"
    kept = [(r.load(), r.n_samples()) for r in recordings[:5]]
    assert len(kept) == 5
    assert set(most) == {1}
    assert open_handles() == before


def test_handles_are_closed_after_errors(tmp_path):
    before = open_handles()
    narrow = np.dtype([("time", "f8"), ("joint_angles", "f4", (20,)), ("emg", "f4", (8,))])
    with pytest.raises(InputError):
        one(tmp_path, series(10, dtype=narrow)).load()
    assert open_handles() == before


def test_recordings_can_go_to_other_processes(dataset):
    recording = open_emg2pose(dataset).recordings[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(recording)).load().emg, recording.load().emg)


def test_own_fixture_of_emg2pose_reads_without_csv(tmp_path):
    """T = 100, float64 angles, whole seconds, a side that disagrees with the name, no CSV."""
    wide = np.dtype([("time", "f8"), ("joint_angles", "f8", (20,)), ("emg", "f4", (16,))])
    data = series(100, dtype=wide)
    data["time"] = np.arange(100)
    write_session(tmp_path / "fixture_right.hdf5", data)
    with pytest.warns(EMBridgeWarning) as caught:
        source = open_emg2pose(tmp_path)
        signals = source.recordings[0].load()
    said = " ".join(str(w.message) for w in caught)
    assert "metadata.csv" in said and "side left" in said and "too short to matter" in said
    assert signals.pose.dtype == np.float32 and signals.pose.shape == (100, 20)
    recording = source.recordings[0]
    assert (recording.user, recording.gesture, recording.hand, recording.split) == ("1234", OTHER_STAGE, "left", "")


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        ([("time", "f8"), ("joint_angles", "f4", (20,)), ("emg", "f4", (8,))], r"emg of shape \(16,\).*found \(8,\)"),
        ([("time", "f8"), ("joint_angles", "f4", (20,)), ("emg", "f4", (5000,))], r"found \(5000,\)"),
        ([("time", "f8"), ("joint_angles", "f4", (19,)), ("emg", "f4", (16,))], r"joint_angles of shape \(20,\)"),
        ([("joint_angles", "f4", (20,)), ("emg", "f4", (16,))], "no field time"),
    ],
)
def test_fault_13_wrong_shapes_are_refused_by_name(tmp_path, dtype, said):
    write_session(tmp_path / "odd.hdf5", np.zeros(16, np.dtype(dtype)))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("odd")])
    with pytest.raises(InputError, match=f"odd.hdf5.*{said}"):
        open_emg2pose(tmp_path).recordings[0].load()


def test_fault_14_two_dimensional_series_is_refused(tmp_path):
    recording = one(tmp_path, np.zeros((16, 50), SERIES))
    with pytest.raises(InputError, match=r"shape \(T,\), found \(16, 50\)"):
        recording.load()


def test_fault_15_clock_running_back_is_refused(tmp_path):
    data = series(5000)
    data["time"][3000:] -= 1.0
    with pytest.raises(InputError, match="runs backward at sample 3000"):
        one(tmp_path, data).load()


def test_fault_15_clock_at_another_rate_is_refused(tmp_path):
    data = series(5000)
    data["time"] = np.arange(5000) / 1000
    with pytest.raises(InputError, match="ticks every 0.001 s"):
        one(tmp_path, data).load()


def test_fault_15_other_sample_rate_is_refused(tmp_path):
    with pytest.raises(InputError, match="2000 Hz, found 1000"):
        one(tmp_path, series(5000), sample_rate=1000.0).load()
    assert len(one(tmp_path, series(5000), sample_rate=np.array([2000.0])).load().emg) == 5000


def test_fault_15_gaps_split_a_recording(tmp_path):
    data = series(6000)
    data["time"][1000:] += 0.25
    data["time"][4500:] += 3.0
    signals = one(tmp_path, data).load().checked(tmp_path, 16, 20)
    assert signals.breaks == (1000, 4500)
    assert [(s.start, s.stop) for s in signals.segments] == [(0, 1000), (1000, 4500), (4500, 6000)]


def test_fault_06_truncated_file_is_named(tmp_path):
    recording = one(tmp_path, series(5000))
    os.truncate(recording.path, recording.path.stat().st_size // 2)
    for read in (recording.load, recording.n_samples):
        with pytest.raises(InputError, match="rec_left.hdf5"):
            read()


def test_fault_06_truncated_file_without_csv_is_skipped_only_when_asked(tmp_path):
    for name in ("a_left", "b_left"):
        write_session(tmp_path / f"{name}.hdf5", series(100))
    os.truncate(tmp_path / "a_left.hdf5", 700)
    with pytest.warns(EMBridgeWarning), pytest.raises(InputError, match="a_left.hdf5"):
        open_emg2pose(tmp_path)
    with pytest.warns(EMBridgeWarning):
        source = open_emg2pose(tmp_path, skip_broken=True)
    assert [r.key for r in source.recordings] == ["b_left"]
    assert [file for file, _ in source.skipped] == ["a_left.hdf5"]


def test_fault_18_a_file_twice_is_refused(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "copy")
    (tmp_path / "copy" / "again").mkdir()
    first = next((tmp_path / "copy").glob("*.hdf5"))
    shutil.copy(first, tmp_path / "copy" / "again")
    with pytest.raises(InputError, match="there twice"):
        open_emg2pose(tmp_path / "copy")


def test_two_rows_for_a_file_are_refused(tmp_path):
    write_session(tmp_path / "a.hdf5", series(10))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("a"), metadata_row("a", user="5")])
    with pytest.raises(InputError, match="more than one row"):
        open_emg2pose(tmp_path)


def test_missing_folder_files_and_columns_are_named(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        open_emg2pose(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no \.hdf5 file"):
        open_emg2pose(tmp_path)
    write_session(tmp_path / "a.hdf5", series(10))
    (tmp_path / "metadata.csv").write_text("filename,user\na,1\n")
    with pytest.raises(InputError, match="missing session, stage"):
        open_emg2pose(tmp_path)


def test_fault_07_verify_compares_with_sha256sums(tmp_path):
    recording = one(tmp_path, series(100), name="a b é_left")
    with pytest.raises(InputError, match=r"no sha256\.txt"):
        open_emg2pose(tmp_path, verify=True)
    sums = subprocess.run(["sha256sum", recording.path.name], cwd=tmp_path, capture_output=True, check=True).stdout
    (tmp_path / "sha256.txt").write_bytes(sums)
    open_emg2pose(tmp_path, verify=True)
    data = bytearray(recording.path.read_bytes())
    data[-1] ^= 1
    recording.path.write_bytes(data)
    with pytest.raises(InputError, match="bytes have changed"):
        open_emg2pose(tmp_path, verify=True)


# NinaPro DB1


def test_db1_segments_follow_refined_labels(tmp_path):
    write_db1(tmp_path, 1, name="s1_a1_e1.MAT")
    write_db1(tmp_path, 12)
    source = open_db1(tmp_path)
    assert [r.user for r in source.recordings] == ["S1", "S12"]
    assert source.recordings[0].n_samples() == 48_000
    signals = source.recordings[0].load()
    assert signals.emg.shape == (48_000, 10) and signals.pose.shape == (48_000, 22)
    assert len(signals.segments) == 120
    first = signals.segments[11]
    assert (first.start, first.stop, first.gesture, first.repetition) == (4400, 4700, "E1-02", 2)


def test_db1_rest_and_unnumbered_repetitions_are_in_no_segment(tmp_path):
    repetitions = np.zeros((48_000, 1), np.uint8)
    repetitions[:300] = 1
    write_db1(tmp_path, 1, rerepetition=repetitions)
    assert [(s.start, s.stop) for s in open_db1(tmp_path).recordings[0].load().segments] == [(0, 300)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"glove": None}, "missing glove"),
        ({"emg": np.zeros((48_000, 8))}, r"emg of shape \(T, 10\), found \(48000, 8\)"),
        ({"emg": np.zeros((10, 48_000))}, r"found \(10, 48000\)"),
        ({"rerepetition": np.ones((7, 1))}, "rerepetition has 7 samples"),
        ({"restimulus": np.full((48_000, 1), 13)}, r"1\.\.12, found 13"),
        ({"subject": np.array([[9]])}, "subject 1, its field says 9"),
        ({"glove": np.where(np.arange(22) == 4, 7.0, np.random.default_rng(0).random((48_000, 22)))}, "columns 5 "),
        ({"glove": np.where(np.arange(22) == 1, np.nan, np.random.default_rng(0).random((48_000, 22)))}, "columns 2 "),
    ],
)
def test_fault_13_14_bad_mat_files_are_refused_by_name(tmp_path, changes, said):
    write_db1(tmp_path, 1, **changes)
    with pytest.raises(InputError, match=f"S1_A1_E1.mat.*{said}"):
        open_db1(tmp_path).recordings[0].load()


def test_fault_06_truncated_mat_file_is_named(tmp_path):
    path = write_db1(tmp_path, 1)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match="S1_A1_E1.mat"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        open_db1(tmp_path).recordings[0].load()


def test_db1_missing_subjects_are_named(tmp_path):
    with pytest.raises(InputError, match="no file like S1_A1_E1.mat"):
        open_db1(tmp_path)
    write_db1(tmp_path, 1)
    write_db1(tmp_path, 3, name="S3_A1_E2.mat")
    with pytest.raises(InputError, match="subject 3 has no file for exercise 1"):
        open_db1(tmp_path)
    source = open_db1(tmp_path, skip_broken=True)
    assert [r.user for r in source.recordings] == ["S1"]
    assert source.skipped[0][0] == "S3"


@pytest.mark.real("EMBRIDGE_NINAPRO_DB1")
def test_db1_real_subject():
    signals = open_db1(os.environ["EMBRIDGE_NINAPRO_DB1"]).recordings[0].load()
    assert len(signals.segments) == 120
    assert {s.gesture for s in signals.segments} == {f"E1-{i:02d}" for i in range(1, 13)}
    assert {s.repetition for s in signals.segments} == set(range(1, 11))
    assert signals.emg.min() >= 0


@pytest.mark.parametrize("spelling", ["Train", "validation", "train "])
def test_another_spelling_of_a_split_is_told_before_anything_is_read(tmp_path, spelling):
    write_session(tmp_path / "a-left.hdf5", series(900))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("a-left", split=spelling)])
    with pytest.raises(
        InputError, match=f"expected train, val or test in the column split, found '{spelling}' in 1 rows"
    ):
        open_emg2pose(tmp_path)


def test_of_two_tables_the_one_with_the_columns_is_taken(tmp_path):
    write_session(tmp_path / "a-left.hdf5", series(900))
    (tmp_path / "metadata.csv").write_text("user,session,duration\n1,2,3\n")  # a neighbouring dataset's
    with pytest.raises(InputError, match=r"metadata.csv: expected the columns .*; missing filename, stage"):
        open_emg2pose(tmp_path)
    write_metadata(tmp_path / "emg2pose_metadata.csv", [metadata_row("a-left")])
    assert [r.key for r in open_emg2pose(tmp_path).recordings] == ["a-left"]


def test_a_linked_folder_is_told_where_its_files_are_missed_and_listed_where_not(tmp_path):
    disk, here = tmp_path / "disk", tmp_path / "here"
    disk.mkdir()
    here.mkdir()
    write_session(disk / "a-left.hdf5", series(900))
    write_metadata(disk / "metadata.csv", [metadata_row("a-left")])
    write_db1(disk, 1)
    (here / "real").symlink_to(disk, target_is_directory=True)
    for opener in (open_emg2pose, open_db1):
        with pytest.raises(InputError, match="real was not looked into: a symbolic link to a folder is not followed"):
            opener(here)
    (disk / "more").symlink_to(here, target_is_directory=True)
    told = (("more", "a symbolic link to a folder is not followed; give --data the folder itself"),)
    assert open_emg2pose(disk).skipped == open_db1(disk).skipped == told


@pytest.mark.parametrize("opener", [open_emg2pose, open_either, open_db1])
def test_a_folder_that_may_not_be_read_is_told_or_left_out(opener, tmp_path, monkeypatch):
    write_db1(tmp_path, 1)
    write_session(tmp_path / "a-left.hdf5", series(900))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("a-left")])
    (tmp_path / "closed").mkdir()
    refuse_folders(monkeypatch, "closed")
    with pytest.raises(InputError, match=r"closed: the folder cannot be read \(Permission denied\), or leave out"):
        opener(tmp_path)
    assert opener(tmp_path, skip_broken=True).skipped == (("closed", "the folder cannot be read (Permission denied)"),)


def test_files_are_read_where_locks_are_refused(tmp_path):
    """As on NFS or Lustre without flock: somebody else holds the lock for good."""
    write_session(tmp_path / "a-left.hdf5", series(900))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("a-left")])
    with open(tmp_path / "a-left.hdf5", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            h5py.File(tmp_path / "a-left.hdf5", "r", locking=True)
        assert open_emg2pose(tmp_path).recordings[0].n_samples() == 900


def test_mat_files_as_others_save_them_are_read_or_told_how_to_mend(tmp_path):
    write_db1(tmp_path / "turned", 1, emg=np.ones((10, 300)))
    with pytest.raises(InputError, match=r"\(T, 10\), found \(10, 300\); it looks like \(channels, time\): transpose"):
        open_db1(tmp_path / "turned").recordings[0].n_samples()
    folder = tmp_path / "v73"
    folder.mkdir()
    with h5py.File(folder / "S1_A1_E1.mat", "w", userblock_size=512) as file:
        file["emg"] = np.ones((10, 300))
    with open(folder / "S1_A1_E1.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(InputError, match="a MATLAB v7.3 file; save it again with -v7"):
        open_db1(folder).recordings[0].n_samples()


def test_db1_labels_that_end_a_little_early_shorten_the_recording_and_are_told(tmp_path):
    write_db1(tmp_path, 1)
    path = next(tmp_path.rglob("*.mat"))
    content = {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}
    n = len(content["emg"])
    scipy.io.savemat(path, content | {name: content[name][:-3] for name in ("restimulus", "rerepetition")})
    recording = open_db1(tmp_path).recordings[0]
    with pytest.warns(EMBridgeWarning, match=f"differ in length; of {n} samples the first {n - 3} are read"):
        assert recording.n_samples() == n
    assert len(recording.load().emg) == n - 3


def test_a_table_that_was_not_fetched_is_told(tmp_path):
    one(tmp_path, series(10))
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "metadata.csv").symlink_to(tmp_path / "annex")
    with pytest.raises(InputError, match=r"metadata\.csv: not a readable CSV file .* fetch it again$"):
        open_emg2pose(tmp_path)
