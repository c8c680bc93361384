"""The simulator: emg2pose's format to the letter, the same bytes each time, and movements that a hand could make."""

import csv
import hashlib
import json
import os
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
from simulated import made

from embridge.config import SimulationConfig, profile
from embridge.data import emg2pose
from embridge.errors import InputError
from embridge.simulator import gestures, kinematics, plan, session, stream, write
from embridge.simulator.physiology import PHYSIOLOGY
from embridge.simulator.recordings import open_simulated, planned_simulated

TINY = SimulationConfig(
    train_users=1, val_users=1, test_users=1, sessions=1, train_seconds=0.6, eval_seconds=0.5, held_out_stage_users=0
)


def digests(folder) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A whole simulated dataset, not to be changed."""
    folder = tmp_path_factory.mktemp("simulé d") / "data"
    return open_simulated(folder, TINY, progress=False, workers=1)


# ---- movement


def test_stages_are_the_real_ones_and_their_poses_possible():
    assert tuple(gestures.STAGES) == emg2pose.STAGES
    assert len(emg2pose.JOINTS) == gestures.N_JOINTS
    for name, pose in gestures.POSES.items():
        assert ((gestures.LIMITS[:, 0] <= pose) & (pose <= gestures.LIMITS[:, 1])).all(), name
    for stage, paths in gestures.STAGES.items():
        free = "reeform" in stage or "FreeStyle" in stage or stage == "unconstrained"
        assert free or 3 <= len(paths) <= 6, stage
        assert {name for path in paths for name in path} <= set(gestures.POSES), stage


@pytest.mark.parametrize(
    ("pose", "straight", "bent"),
    [("horns", (0, 3), (1, 2)), ("shaka", (3,), (0, 1, 2)), ("peace", (0, 1), (2, 3)), ("point", (0,), (1, 2, 3))],
)
def test_poses_look_like_their_names(pose, straight, bent):
    proximal = gestures.POSES[pose][6:20:4]  # PIP flexion of index, middle, ring, pinky
    assert max(proximal[list(straight)]) < 0.3 and min(proximal[list(bent)]) > 1.4


def test_minimum_jerk_starts_and_ends_at_rest():
    s = np.linspace(0, 1, 10001)
    x = kinematics.min_jerk(s)
    v, a = np.gradient(x, s), np.gradient(np.gradient(x, s), s)
    assert (x[0], x[-1]) == (0, 1) and np.all(np.diff(x) >= 0)
    assert abs(v[[0, -1]]).max() < 1e-6 and abs(a[[1, -2]]).max() < 0.02
    assert v.max() == pytest.approx(1.875, abs=1e-4)  # Flash and Hogan: the peak is 1.875 times the mean speed
    np.testing.assert_array_equal(kinematics.min_jerk(np.array([-1.0, 2.0])), [0.0, 1.0])


def test_trajectory_is_smooth_and_visits_every_pose():
    style = kinematics.draw_style(0, "u", PHYSIOLOGY)
    programme = kinematics.draw_programme(0, "u", 0, "ShakaVulcanPeace", 6.0, style, PHYSIOLOGY)
    ends = programme.starts + programme.moves
    assert np.all(ends[:-1] <= programme.starts[1:] + 1e-12)
    np.testing.assert_allclose(kinematics.trajectory(programme, ends), programme.poses[1:], atol=1e-9)
    dt = 1e-4
    for at in (programme.starts, ends):
        speed = (kinematics.trajectory(programme, at + dt) - kinematics.trajectory(programme, at - dt)) / (2 * dt)
        assert abs(speed).max() < 1e-3


@pytest.mark.parametrize("stage", ["HookEmHornsOKScissors", "FingerFreeform"])
def test_angles_stay_within_limits_and_are_interpolated_from_60_hz(stage):
    recording = made(stage=stage, seconds=6.0, ik_clean_files=1.0 - 1e-9)
    low, high = np.sort(session.written(gestures.LIMITS[: gestures.N_JOINTS].T), axis=0)
    margin = 6 * PHYSIOLOGY.mocap_noise
    assert np.all(recording.angles > low - margin) and np.all(recording.angles < high + margin)
    bends = abs(np.diff(recording.angles.astype(float), 2, axis=0)).max(axis=1) > 1e-6
    assert 0 < bends.mean() < 0.07  # two samples in 33 lie at a frame of the motion capture


def test_users_and_repetitions_differ_in_style():
    a, b = (kinematics.draw_style(0, user, PHYSIOLOGY) for user in ("a", "b"))
    difference = abs(a.poses - b.poses)[:, : gestures.N_JOINTS].mean()
    assert 0.05 < difference < 0.6 and a.tempo != b.tempo
    first, second = (made(session=s).poses for s in (0, 2))
    assert abs(first - second).max() > 0.1


def test_failures_come_at_the_published_rate_in_stretches():
    rng = np.random.default_rng(0)
    lost = [kinematics.failures(rng, 3000, PHYSIOLOGY) for _ in range(1500)]
    rates = np.array([x.mean() for x in lost])
    assert rates.min() == 0 and 0.05 < np.median(rates) < 0.09 and 0.30 < rates.max() <= 0.3501
    stretches = np.array([np.diff(x.astype(int), prepend=0).clip(0).sum() for x in lost])
    lengths = np.array([x.sum() for x in lost])[stretches > 0] / stretches[stretches > 0] / kinematics.MOCAP_RATE
    assert 0.5 < lengths.mean() < 3.0


def test_failures_are_exact_zeros_of_all_angles_at_once():
    recording = made(seconds=8.0, ik_clean_files=0.0, ik_skew=0.01)  # nearly every draw gives the maximum
    zero = recording.angles == 0
    assert (zero.any(axis=1) == zero.all(axis=1)).all()
    assert zero.all(axis=1).mean() == pytest.approx(PHYSIOLOGY.ik_max, abs=0.02)


def test_both_hands_of_a_two_handed_stage_do_the_same():
    left, right = (
        made(stage="HandDeskSeparateClaspedChest", side=side, seconds=8.0).poses[:, 4 : gestures.N_JOINTS]
        for side in ("left", "right")
    )
    assert not np.array_equal(left, right)
    moving = left.std(axis=0) > 0.05
    together = [np.corrcoef(left[:, j], right[:, j])[0, 1] for j in np.flatnonzero(moving)]
    assert np.median(together) > 0.9


# ---- determinism and speed


def test_streams_depend_on_their_key_alone():
    assert stream(0, "a", 1).random() == stream(0, "a", 1).random()
    draws = {stream(*key).random() for key in [(0, "a", 1), (1, "a", 1), (0, "a", 2), (0, "b", 1), (0, "a", 1, 2)]}
    assert len(draws) == 5


def test_recordings_do_not_depend_on_what_came_before():
    alone = made(seconds=1.0)
    made(user="other", seconds=1.0)
    again = made(seconds=1.0)
    np.testing.assert_array_equal(alone.emg, again.emg)
    np.testing.assert_array_equal(alone.angles, again.angles)
    for change in ({"seed": 2}, {"session": 1}, {"side": "left"}, {"stage": "ShakaVulcanPeace"}, {"user": "x"}):
        assert not np.array_equal(alone.emg, made(seconds=1.0, **change).emg), change


def test_same_bytes_whatever_the_worker_count(tiny, tmp_path):
    open_simulated(tmp_path, TINY, progress=False, workers=2)
    assert digests(tmp_path) == digests(tiny.folder)


def test_a_hundred_times_faster_than_real_time_on_one_core(tmp_path):
    file = replace(plan.plan(TINY)[0], seconds=10.0)
    seconds = []
    for _ in range(5):
        start = time.process_time()  # all threads of this process, and no one else's
        write.write_recording(tmp_path, 1, file)
        seconds.append(time.process_time() - start)
    assert file.seconds / min(seconds) >= 100, f"best of five: {file.seconds / min(seconds):.0f} times real time"


# ---- the files


def test_files_have_emg2poses_layout(tiny):
    recording = next(r for r in tiny.recordings if r.gesture == "TwoHandedFreeStyle" and r.hand == "left")
    with h5py.File(recording.path) as file:
        group = file["emg2pose"]
        series = group["timeseries"]
        assert series.dtype == np.dtype([("time", "f8"), ("joint_angles", "f4", (20,)), ("emg", "f4", (16,))])
        assert series.shape == (1200,) and series.chunks is None and series.compression is None
        attributes = dict(group.attrs)
        time_ = series["time"][:]
    assert attributes.keys() >= {"session", "side", "stage", "start", "end", "num_channels", "user", "sample_rate"}
    assert attributes["stage"] == "TwoHandedFreeStyle_both" and attributes["side"] == "left"
    assert attributes["simulated"] and attributes["dataset"] == "simulated"
    assert attributes["num_channels"] == 16 and attributes["sample_rate"] == 2000.0
    assert (time_[0], attributes["user"]) == (attributes["start"], recording.user)
    np.testing.assert_allclose(np.diff(time_), 1 / 2000, atol=1e-6)


def test_metadata_has_every_column_and_says_simulated(tiny):
    with open(tiny.folder / "metadata.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {
        "filename", "user", "session", "stage", "side", "moving_hand", "held_out_user", "held_out_stage", "split",
        "generalization",
    }  # fmt: skip
    assert {p.stem for p in tiny.folder.glob("*.hdf5")} == {row["filename"] for row in rows}
    assert all(row["filename"].startswith("simulated") and row["session"].startswith("simulated") for row in rows)


def test_reader_takes_them_as_the_real_thing(tiny):
    assert tiny.simulated and tiny.name == "simulated" and not tiny.skipped
    assert tiny.simulated and len(tiny.recordings) == len(plan.plan(TINY))
    signals = tiny.recordings[0].load()
    assert signals.emg.shape[1] == 16 and signals.pose.shape[1] == 20 and len(signals.segments) == 1
    assert np.isfinite(signals.emg).all() and signals.emg.std(axis=0).min() > 0


def test_recordings_are_known_before_they_are_written(tiny):
    planned = planned_simulated(tiny.folder, TINY)
    assert planned.recordings == tiny.recordings and planned.simulated
    assert [r.n_samples() for r in planned.recordings] == [r.n_samples() for r in tiny.recordings]
    assert [r.segments() for r in planned.recordings] == [r.load().segments for r in tiny.recordings]
    for r in tiny.recordings:
        assert write.file_bytes(r.n_samples()) == r.path.stat().st_size


def test_plan_follows_emg2poses_splits():
    files = plan.plan(profile("quick").simulation)
    config = profile("quick").simulation
    assert len({f.filename for f in files}) == len(files)
    users = {g: {f.user for f in files if f.generalization == g} for g in ("none", "stage", "user", "user_stage")}
    assert len(users["none"]) == config.train_users and len(users["stage"]) == config.held_out_stage_users
    assert users["stage"] <= users["none"] and not users["none"] & users["user"]
    assert users["user"] == users["user_stage"] and len(users["user"]) == config.val_users + config.test_users
    assert any(user.isdigit() and user.startswith("0") for user in users["none"])  # read as text, or zeros are lost
    for f in files:
        assert (f.stage in emg2pose.HELD_OUT_STAGES) == f.generalization.endswith("stage")
        assert f.moving_hand == ("both" if f.stage in gestures.TWO_HANDED else f.side)
        assert f.row()["held_out_user"] == str(f.generalization.startswith("user"))
    sessions = [len({f.session for f in files if f.stage == s and f.split == "test" and f.user in users["user"]})
                for s in emg2pose.UNSEEN_CLASSES]  # fmt: skip
    assert sessions == [24, 24, 24, 12]  # as 80, 80, 80, 40 in E A.2.2
    halves = [f.side for f in files if f.stage == emg2pose.UNSEEN_CLASSES[3]]
    assert {"left", "right"} == set(halves)
    for f in files:
        if f.stage in gestures.TWO_HANDED:
            assert sum((g.session, g.stage) == (f.session, f.stage) for g in files) == 2


def test_every_stage_is_recorded_where_asked():
    config = replace(TINY, all_eval_stages=True, sessions=2)
    assert {f.stage for f in plan.plan(config) if f.user == "sim002"} == set(emg2pose.STAGES)


# ---- a folder that is there already


def test_killed_run_writes_only_what_is_missing(tiny, tmp_path):
    open_simulated(tmp_path, TINY, progress=False, workers=1)
    whole, files = digests(tmp_path), sorted(tmp_path.glob("*.hdf5"))
    os.truncate(files[0], 100)
    files[0].rename(files[0].with_name(files[0].name + ".part"))  # a writer killed half-way leaves this
    files[1].unlink()
    (tmp_path / "metadata.csv").unlink()
    before = {p: p.stat().st_mtime_ns for p in files[2:]}
    open_simulated(tmp_path, TINY, progress=False, workers=1)
    assert digests(tmp_path) == whole and not list(tmp_path.glob("*.part"))
    assert {p: p.stat().st_mtime_ns for p in files[2:]} == before


def test_another_configuration_needs_another_folder(tiny, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"config\.seed expected 3, found \d+;"):
        open_simulated(tiny.folder, replace(TINY, seed=3), progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(write, "PHYSIOLOGY", replace(PHYSIOLOGY, mains=9.0))
        with pytest.raises(InputError, match=r"physiology\.mains expected 9\.0, found "):
            open_simulated(tiny.folder, TINY, progress=False)
    (tmp_path / "real.hdf5").write_bytes(b"")
    with pytest.raises(InputError, match="no simulation.json"):
        open_simulated(tmp_path, TINY, progress=False)
    (tmp_path / "simulation.json").write_text("{")
    with pytest.raises(InputError, match="is not readable JSON .*; remove the folder and run again"):
        open_simulated(tmp_path, TINY, progress=False)


def test_manifest_says_simulated(tiny):
    manifest = json.loads((tiny.folder / "simulation.json").read_text(encoding="utf-8"))
    assert manifest["simulated"] is True and manifest["config"]["train_users"] == TINY.train_users


def test_full_disk_is_told_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10_000})
    with monkeypatch.context() as patch:
        patch.setattr(write.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(InputError, match="10,000 are free"):
            open_simulated(tmp_path, TINY, progress=False)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.os, "replace", full)
    with pytest.raises(InputError, match="could not write"):
        write.write_recording(tmp_path, 0, plan.plan(TINY)[0])
    assert not list(tmp_path.glob("*.hdf5*"))
