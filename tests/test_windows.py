"""The window store: where windows lie, what is dropped, and what a fault leaves behind."""

import errno
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import OTHER_STAGE, metadata_row, series, write_dataset, write_db1, write_metadata, write_session
from hypothesis import given
from hypothesis import strategies as st

from embridge import files
from embridge.config import RESULTS_VERSION, TOKENS, WindowConfig, as_json
from embridge.data import store as store_module
from embridge.data import windows
from embridge.data.cutting import cut, place
from embridge.data.emg2pose import open_emg2pose
from embridge.data.ninapro import open_db1
from embridge.data.recordings import Recording, Segment, Signals, Source
from embridge.data.signals import filter_emg
from embridge.data.store import arrays_of, checksum
from embridge.data.windows import WindowStore, build_store
from embridge.datasets import window_config
from embridge.errors import EMBridgeWarning, InputError
from embridge.paper.results import Page
from embridge.run.pages import STEMS
from embridge.study import Study

SMALL = WindowConfig(window=200, stride_train=200, stride_eval=200, exclude_ik_failures=True)  # as emg2pose's
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Twenty recordings of four windows, not to be changed."""
    folder = tmp_path_factory.mktemp("few")
    write_dataset(folder, users=(("train", 2),))
    return folder


def build(source, folder, config=SMALL, **options):
    return build_store(source, config, folder, **{"workers": 1, "progress": False} | options)


def one(folder, data, **row):
    """A source of one file."""
    write_session(folder / "rec_left.hdf5", data)
    write_metadata(folder / "metadata.csv", [metadata_row("rec_left", **row)])
    return open_emg2pose(folder)


def contents(store) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in store.path.iterdir()}


def interrupted(source, folder, monkeypatch, n: int, **options):
    """Build until ``n`` recordings are done, then fail."""

    def stop(job, done=[]):  # noqa: B006
        done.append(job)
        if len(done) > n:
            raise KeyboardInterrupt
        return cut(job)

    with monkeypatch.context() as patched:
        patched.setattr(windows, "cut", stop)
        with pytest.raises(KeyboardInterrupt):
            build(source, folder, **options)


def count_cuts(monkeypatch) -> list:
    cuts = []
    monkeypatch.setattr(windows, "cut", lambda job: cuts.append(job) or cut(job))
    return cuts


# Where windows lie


@st.composite
def recordings(draw):
    n = draw(st.integers(0, 120))
    edges = sorted(draw(st.lists(st.integers(0, n), max_size=6)))
    segments = tuple(Segment(a, b, "g") for a, b in zip(edges, edges[1:], strict=False))
    bad = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool) for _ in range(2)]
    sparse = [b & (np.arange(n) % 7 == 3) for b in bad]
    window, stride = draw(st.integers(1, 12)), draw(st.integers(1, 15))
    mode = draw(st.sampled_from(["restart", "grid"]))
    return segments, sparse, WindowConfig(
        window=window, stride_train=stride, stride_eval=stride, after_ik_failure=mode
    )  # fmt: skip


@given(recordings())
def test_windows_cross_nothing(case):
    segments, (failed, broken), config = case
    rows, counts = place(segments, failed, broken, config)
    bad = failed | broken
    for index, start, offset in rows:
        stop = start + config.window
        assert segments[index].start <= start and stop <= segments[index].stop
        assert not bad[start:stop].any()
        assert offset % config.stride_train == 0
        if config.after_ik_failure == "grid":
            assert start - offset == segments[index].start
        else:  # the stretch that it counts from is clean and begins behind a failure or at the segment's start
            assert not bad[start - offset : start].any()
            assert start - offset == segments[index].start or bad[start - offset - 1]
    bound = max(0, (len(bad) - config.window) // min(config.stride_train, config.window) + 1)
    assert len(rows) <= bound, "the space reserved must suffice"
    assert len({int(s) for s in rows[:, 1]}) == len(rows)
    if not bad.any():
        assert len(rows) == counts["grid"]
    if config.after_ik_failure == "grid":
        touched = counts["grid"] - len(rows)
        assert max(counts["ik_failure"], counts["nan"]) <= touched <= counts["ik_failure"] + counts["nan"]


def test_restart_and_grid_by_hand():
    failed = np.zeros(100, bool)
    failed[25] = True
    segments = (Segment(0, 100, "g"),)
    starts = {}
    for mode in ("restart", "grid"):
        config = WindowConfig(window=20, stride_train=20, stride_eval=20, after_ik_failure=mode)
        rows, counts = place(segments, failed, np.zeros(100, bool), config)
        starts[mode] = rows[:, 1:].tolist()
        assert counts == {"grid": 5, "ik_failure": 1, "nan": 0, "short_segments": 0}
    assert starts["restart"] == [[0, 0], [26, 0], [46, 20], [66, 40]]
    assert starts["grid"] == [[0, 0], [40, 40], [60, 60], [80, 80]]


# What is stored


def test_store_holds_the_filtered_recording(tmp_path):
    data = series(1100)
    store = build(one(tmp_path / "in", data), tmp_path / "out")
    filtered = filter_emg(data["emg"], SMALL)
    scale = store.manifest["recordings"][0]["scale"]
    assert scale == pytest.approx(np.quantile(np.abs(filtered - np.median(filtered)), 0.9) / 1.645, rel=0.01)
    emg, pose = store.read_emg([1, 4]), store.read_pose(torch.tensor([1, 4]))
    assert emg.dtype == pose.dtype == torch.float32
    np.testing.assert_allclose(emg[1].numpy(), filtered[800:1000].T / scale, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(pose[0].numpy(), data["joint_angles"][200:400].T, rtol=1e-3, atol=1e-3)
    assert len(store) == 5
    row = store.table.iloc[2]
    assert (row.recording, row.user, row.gesture, row.hand) == ("rec_left", "1234", OTHER_STAGE, "left")
    assert (row.start, row.offset, row.split, row.repetition) == (400, 400, "train", -1)
    assert store.config == SMALL
    assert list(store.table.index) == list(range(5))


def test_one_microvolt_survives_float16(tmp_path):
    data = series(1100)
    data["emg"] *= 1e-6  # volts
    store = build(one(tmp_path / "in", data), tmp_path / "out")
    back = store.read_emg([0])[0].numpy() * store.manifest["recordings"][0]["scale"]
    truth = filter_emg(data["emg"], SMALL)[:200].T
    assert np.abs(back - truth).max() < 4e-3 * truth.std()  # 2 ** -11 of four SD


def test_values_beyond_float16_are_clipped(tmp_path):
    data = series(1100)
    data["emg"] *= 1e-3
    data["emg"][300:310] = 1e6
    config = replace(SMALL, bandpass=None, notch=None)
    store = build(one(tmp_path / "in", data), tmp_path / "out", config)
    emg = store.read_emg(np.arange(5))
    assert torch.isfinite(emg).all()
    assert emg.max() == 65504


def test_fault_12_ik_failures_are_dropped_and_counted(tmp_path):
    data = series(1100)
    data["joint_angles"][450:460] = 0
    source = one(tmp_path / "in", data)
    store = build(source, tmp_path / "out")
    assert store.table.start.tolist() == [0, 200, 460, 660, 860]
    assert store.manifest["counts"]["ik_failure"] == 1
    assert store.manifest["counts"]["ik_failure_samples"] == 10
    kept = build(source, tmp_path / "out", replace(SMALL, after_ik_failure="grid"))
    assert kept.table.start.tolist() == [0, 200, 600, 800]
    assert len(build(source, tmp_path / "out", replace(SMALL, exclude_ik_failures=False))) == 5


def test_fault_10_nan_windows_are_dropped_and_counted(tmp_path):
    data = series(5000)
    data["emg"][2500, 7] = np.nan
    with pytest.warns(EMBridgeWarning, match="windows left out of 25: 21 with a NaN in the EMG, .* .rec_left 21.$"):
        store = build(one(tmp_path / "in", data), tmp_path / "out")
    assert torch.isfinite(store.read_emg(np.arange(len(store)))).all()
    starts = store.table.start.to_numpy()
    assert ((starts + 200 <= 500) | (starts > 4500)).all()
    assert store.manifest["counts"]["nan"] == 21
    assert store.manifest["counts"]["grid"] == 25


def test_fault_11_dead_channels_are_zeros_counted_and_named(tmp_path):
    data = series(1100)
    data["emg"][:, 3] = 0.25
    store = build(one(tmp_path / "in", data), tmp_path / "out")
    assert store.manifest["recordings"][0]["dead_channels"] == [3]
    assert store.manifest["counts"]["dead_channels"] == 1
    emg = store.read_emg(np.arange(5))
    assert (emg[:, 3] == 0).all()
    assert emg[:, 4].std() > 0.5


def test_all_channels_dead(tmp_path):
    data = series(1100)
    data["emg"] = 0
    source = one(tmp_path / "in", data)
    with pytest.warns(
        EMBridgeWarning, match=r"windows left out of 5: 5 without a signal in any channel \(rec_left 5\)$"
    ):
        store = build(source, tmp_path / "out")
    assert len(store) == 0 and store.manifest["counts"]["no_signal"] == store.manifest["counts"]["grid"] == 5
    envelope = build(source, tmp_path / "out", replace(SMALL, bandpass=None))  # at rest it may be flat
    assert len(envelope) == 5 and (envelope.read_emg(np.arange(5)) == 0).all()


@pytest.mark.parametrize("n", [0, 1, 199])
def test_fault_16_short_recordings_give_no_windows(tmp_path, n):
    source = one(tmp_path / "in", series(n))
    with pytest.warns(EMBridgeWarning, match="1 of 1 recordings are shorter"):
        store = build(source, tmp_path / "out")
    assert len(store) == 0 and store.table.empty
    assert store.read_emg([]).shape == (0, 16, 200)
    store.verify()


def test_fault_15_length_is_looked_at_before_the_clock(tmp_path):
    data = series(4500)
    data["time"] = -np.arange(4500)
    source = one(tmp_path / "in", data)
    with pytest.warns(EMBridgeWarning, match="shorter"):
        assert len(build(source, tmp_path / "out", WindowConfig(window=5000, stride_train=5000, stride_eval=5000))) == 0
    with pytest.raises(InputError, match="runs backward"):
        build(source, tmp_path / "out")


def test_fault_15_windows_do_not_cross_gaps(tmp_path):
    data = series(1100)
    data["time"][500:] += 1
    store = build(one(tmp_path / "in", data), tmp_path / "out")
    assert store.table.start.tolist() == [0, 200, 500, 700, 900]
    assert store.table.segment.tolist() == [0, 0, 1, 1, 1]


def test_segments_are_unique_across_recordings(few, tmp_path):
    store = build(open_emg2pose(few), tmp_path)
    assert store.table.groupby("segment").recording.nunique().max() == 1
    assert store.table.segment.nunique() == store.table.recording.nunique() == 20
    assert store.table.recording.is_monotonic_increasing


def test_db1_windows_stay_in_a_movement_and_mark_the_evaluation_grid(tmp_path):
    write_db1(tmp_path / "in", 1)
    store = build(open_db1(tmp_path / "in"), tmp_path / "out", window_config("ninapro-db1"))
    assert len(store) == 120 * 21  # 3 s movements, 1 s windows, stride 0.1 s
    assert store.table.eval_grid.sum() == 120 * 5
    assert set(store.table.repetition) == set(range(1, 11))
    assert store.table.gesture.nunique() == 12
    start_in_movement = store.table.start % 400
    assert start_in_movement.max() == 200


def test_strides_must_fit(few, tmp_path):
    with pytest.raises(InputError, match="multiple of stride_train"):
        build(open_emg2pose(few), tmp_path, replace(SMALL, stride_eval=300))


def test_settings_of_another_dataset_are_refused(tmp_path):
    write_db1(tmp_path / "in", 1)
    with pytest.raises(InputError, match=r"EMG of shape \(T, 16\), found \(48000, 10\)"):
        build(open_db1(tmp_path / "in"), tmp_path / "out")
    with pytest.raises(InputError, match="expected 2000 Hz, found 100"):
        build(open_db1(tmp_path / "in"), tmp_path / "out", replace(SMALL, n_channels=10, n_joints=22))


# How it is built


def test_workers_change_nothing(few, tmp_path, monkeypatch):
    source = open_emg2pose(few)
    alone = build(source, tmp_path / "a")
    monkeypatch.setattr(windows, "SAMPLES_PER_WORKER", 1)
    together = build(source, tmp_path / "b", workers=2)
    assert contents(alone) == contents(together)


def test_a_store_opens_instead_of_building_again(few, tmp_path, monkeypatch):
    first = build(open_emg2pose(few), tmp_path)
    cuts = count_cuts(monkeypatch)
    second = build(open_emg2pose(few), tmp_path)
    assert (second.path, cuts) == (first.path, [])
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".lock") == sorted([first.key, "sources.json"])


def test_a_store_can_go_to_other_processes(few, tmp_path):
    store = build(open_emg2pose(few), tmp_path)
    other = pickle.loads(pickle.dumps(store))
    torch.testing.assert_close(other.read_emg([3]), store.read_emg([3]))


def test_fault_09_key_follows_configuration_reader_metadata_and_bytes(tmp_path):
    source = one(tmp_path / "in", series(1100))
    keys = [build(source, tmp_path / "out").key]
    keys.append(build(source, tmp_path / "out", replace(SMALL, notch=50.0)).key)
    keys.append(build(replace(source, reader_version="other"), tmp_path / "out").key)
    keys.append(build(one(tmp_path / "in", series(1100), split="val"), tmp_path / "out").key)
    keys.append(build(one(tmp_path / "in", series(1100, seed=1)), tmp_path / "out").key)
    assert len(set(keys)) == 5
    shutil.move(tmp_path / "in", tmp_path / "elsewhere")
    assert build(open_emg2pose(tmp_path / "elsewhere"), tmp_path / "out").key == keys[-1], "a moved dataset is the same"


def test_fault_09_another_results_version_makes_another_store_but_the_same_windows_have_the_same_contents(
    tmp_path, monkeypatch
):
    source = one(tmp_path / "in", series(1100))
    store = build(source, tmp_path / "out")
    monkeypatch.setattr("embridge.data.windows.RESULTS_VERSION", RESULTS_VERSION + 1)
    other = build(source, tmp_path / "out")
    assert other.key != store.key and other.contents == store.contents
    assert other.manifest["sources"] == store.manifest["sources"]
    assert windows.find_store(source, SMALL, tmp_path / "out").key == other.key
    changed = lambda *arguments: -filter_emg(*arguments)  # noqa: E731
    monkeypatch.setattr("embridge.data.cutting.filter_emg", changed)
    monkeypatch.setattr("embridge.data.windows.RESULTS_VERSION", RESULTS_VERSION + 2)
    filtered = build(source, tmp_path / "out")
    assert filtered.contents != store.contents and filtered.manifest["sources"] == store.manifest["sources"]


@pytest.mark.parametrize("kind", TOKENS)
def test_an_interrupted_build_goes_on(few, tmp_path, monkeypatch, kind):
    source = open_emg2pose(few)
    whole = build(source, tmp_path / "a", kind=kind)
    interrupted(source, tmp_path / "b", monkeypatch, 12, kind=kind)
    assert not (tmp_path / "b" / whole.key).exists()
    with pytest.raises(InputError, match="not a whole window store"):
        WindowStore(tmp_path / "b" / f"{whole.key}.partial")
    cuts = count_cuts(monkeypatch)
    assert contents(build(source, tmp_path / "b", kind=kind)) == contents(whole)
    assert len(cuts) == 20 - 12


def test_recordings_without_windows_are_resumed_too(tmp_path, monkeypatch):
    for i, n in enumerate((900, 50, 900)):
        write_session(tmp_path / "in" / f"{i}_left.hdf5", series(n, seed=i))
    write_metadata(tmp_path / "in" / "metadata.csv", [metadata_row(f"{i}_left") for i in range(3)])
    source = open_emg2pose(tmp_path / "in")
    interrupted(source, tmp_path / "out", monkeypatch, 2)
    cuts = count_cuts(monkeypatch)
    with pytest.warns(EMBridgeWarning, match="1 of 3 recordings are shorter"):
        store = build(source, tmp_path / "out")
    store.verify()
    assert (len(store), len(cuts)) == (8, 1)


@pytest.mark.parametrize("damage", ["torn line", "lost block", "lost frames", "lost power"])
def test_an_interrupted_build_trusts_only_what_is_there(few, tmp_path, monkeypatch, damage):
    source = open_emg2pose(few)
    kind, file, of_recording = {  # a block of one recording, four windows
        "lost frames": ("features", "frames.f16", 4 * 20 * 4 * 2),
        "lost power": ("features", "power.f16", 4 * 16 * 8 * 2),
    }.get(damage, ("waveform", "pose.f16", 4 * 20 * 200 * 2))
    whole = build(source, tmp_path / "a", kind=kind)
    interrupted(source, tmp_path / "b", monkeypatch, 12, kind=kind)
    partial = tmp_path / "b" / f"{whole.key}.partial"
    if damage == "torn line":
        os.truncate(partial / "journal.jsonl", (partial / "journal.jsonl").stat().st_size - 20)
    else:
        with open(partial / file, "r+b") as opened:
            opened.seek(8 * of_recording)  # eight recordings lie before
            opened.write(b"\x00" * 100)
    cuts = count_cuts(monkeypatch)
    assert contents(build(source, tmp_path / "b", kind=kind)) == contents(whole)
    assert len(cuts) == 20 - (11 if damage == "torn line" else 8)


SLOW_BUILD = """
import sys, time, embridge.data.windows as w
from embridge.data import store as store_module
from embridge.data import windows
from embridge.data.cutting import cut
from embridge.config import WindowConfig
from embridge.data.emg2pose import open_emg2pose
def slow(job):
    time.sleep(0.2)
    return cut(job)
w.cut = slow
w.build_store(open_emg2pose(sys.argv[1]), WindowConfig(window=200, stride_train=200, stride_eval=200,
              exclude_ik_failures=True), sys.argv[2],
              "waveform", workers=1, progress=False)
"""


@pytest.mark.parametrize("kind", TOKENS)
def test_fault_20_kill_9_then_again_finishes_only_what_is_missing(few, tmp_path, monkeypatch, kind):
    source = open_emg2pose(few)
    whole = build(source, tmp_path / "a", kind=kind)
    folder, script = tmp_path / "b é", SLOW_BUILD.replace("waveform", kind)
    process = subprocess.Popen([sys.executable, "-c", script, few, folder], cwd=ROOT)
    journal = folder / f"{whole.key}.partial" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 5:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    with pytest.raises(InputError, match="another run is building"):
        build(source, folder, kind=kind)
    process.kill()
    process.wait()
    done = journal.read_bytes().count(b"\n")
    cuts = count_cuts(monkeypatch)
    assert contents(build(source, folder, kind=kind)) == contents(whole), "and the killed run's lock is gone"
    assert len(cuts) == 20 - done < 20


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to see the workers")
def test_a_killed_build_leaves_no_workers(few, tmp_path):
    # workers cannot import the script's `slow`, so they run the real one
    script = SLOW_BUILD.replace("workers=1", "workers=2").replace("w.cut = slow", "w.SAMPLES_PER_WORKER = 1")
    process = subprocess.Popen([sys.executable, "-c", script, few, tmp_path / "out"], cwd=ROOT)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers: list[int] = []
    deadline = time.monotonic() + 60
    while len(workers) < 3 and process.poll() is None and time.monotonic() < deadline:  # resource tracker and two
        workers = [int(pid) for pid in children.read_text().split()]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(workers) == 3
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() and "Z" not in _state(pid) for pid in workers):
        assert time.monotonic() < deadline, "orphans"
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


# Faults


def flip(path: Path, position: int, *, keep_date: bool = False) -> None:
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))
    if keep_date:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "name", ["emg.f16", "pose.f16", "windows.npz", "manifest.json", "log-power.f16", "frames.f16", "power.f16"]
)
@pytest.mark.parametrize("fault", ["truncated", "rotted", "removed"])
def test_fault_08_a_damaged_store_is_seen_and_built_again(tmp_path, name, fault):
    source = one(tmp_path / "in", series(1100))
    kind = "features" if name in arrays_of("features", SMALL) else "waveform"
    store = build(source, tmp_path / "out", kind=kind)
    good = contents(store)
    path = store.path / name
    if fault == "truncated":
        os.truncate(path, path.stat().st_size - 8)
    elif fault == "removed":
        path.unlink()
    else:
        flip(path, path.stat().st_size // 2, keep_date=True)
    with pytest.warns(EMBridgeWarning, match="build"):
        again = build(source, tmp_path / "out", kind=kind)
    assert contents(again) == good


def test_fault_08_a_large_store_is_checked_as_a_whole_once_and_again_when_a_file_changed(tmp_path, monkeypatch):
    """Large: more than is looked at otherwise, here one window of five."""
    source = one(tmp_path / "in", series(1100))
    store, seen = build(source, tmp_path / "out"), []
    good, note = contents(store), tmp_path / "out" / f"{store.key}.verified.json"
    monkeypatch.setattr("embridge.data.store.VERIFY_BYTES", store.bytes_each)
    monkeypatch.setattr("embridge.data.store.checksum", lambda *windows: seen.append(1) or checksum(*windows))
    build(source, tmp_path / "out")
    assert len(seen) == len(store) == 5 and note.exists()
    build(source, tmp_path / "out")
    assert len(seen) == 5 + 1
    for name in ("emg.f16", "pose.f16"):  # whatever window it is in
        flip(store.path / name, (store.path / name).stat().st_size - 1)
        with pytest.warns(EMBridgeWarning, match="window 4 .* is damaged; build"):
            build(source, tmp_path / "out")
        assert contents(store) == good
    build(source, tmp_path / "out")  # checks what was built as a whole
    flip(store.path / "emg.f16", 5, keep_date=True)  # rot: no date says so, and only the sample may meet it
    damaged = WindowStore(store.path)
    seen.clear()
    with pytest.raises(InputError, match="window 0 "):
        for _ in range(200):
            store_module.check(damaged)
    assert len(seen) < 200, "the sample is not always the same"
    note.unlink()
    with pytest.raises(InputError, match="window 0 "):
        store_module.check(damaged)


def test_a_large_store_whose_folder_cannot_be_written_is_checked_as_a_whole_each_time(tmp_path, monkeypatch):
    store = build(one(tmp_path / "in", series(1100)), tmp_path / "out")
    monkeypatch.setattr("embridge.data.store.VERIFY_BYTES", store.bytes_each)
    monkeypatch.setattr("embridge.files.os.fsync", lambda _: os.write(-1, b""))  # fails
    store_module.check(store)
    flip(store.path / "emg.f16", 5, keep_date=True)
    with pytest.raises(InputError, match="window 0 "):
        store_module.check(WindowStore(store.path))


def test_verify_names_the_damaged_window(tmp_path):
    store = build(one(tmp_path / "in", series(1100)), tmp_path / "out")
    store.verify()
    flip(store.path / "emg.f16", 3 * 16 * 200 * 2 + 5, keep_date=True)
    with pytest.raises(InputError, match=r"window 3 \(recording rec_left\) is damaged"):
        WindowStore(store.path).verify()


def test_fault_07_source_bytes_that_rotted_are_seen_at_a_rebuild(tmp_path):
    source = one(tmp_path / "in", series(1100))
    store = build(source, tmp_path / "out")
    path = source.recordings[0].path
    flip(path, path.stat().st_size - 3, keep_date=True)
    shutil.rmtree(store.path)
    with pytest.raises(InputError, match=r"rec_left\.hdf5: its bytes have changed although size and date have not"):
        build(source, tmp_path / "out")


def test_fault_06_a_broken_file_stops_the_build_or_is_skipped_and_counted(tmp_path):
    write_dataset(tmp_path / "in", users=(("train", 1),))
    broken = sorted((tmp_path / "in").glob("*.hdf5"))[2]
    os.truncate(broken, 2000)
    source = open_emg2pose(tmp_path / "in")
    with pytest.raises(InputError, match=broken.name):
        build(source, tmp_path / "out")
    store = build(source, tmp_path / "out", skip_broken=True)
    assert [file for file, _ in store.manifest["broken"]] == [broken.name]
    assert store.table.recording.nunique() == 9
    assert len(build(source, tmp_path / "out", skip_broken=True)) == len(store)


def test_what_may_not_be_read_and_links_to_nothing_stop_the_build_or_are_skipped(tmp_path, monkeypatch):
    write_dataset(tmp_path / "in", users=(("train", 1),))
    gone, closed = sorted((tmp_path / "in").glob("*.hdf5"))[2:4]
    gone.unlink()
    gone.symlink_to(tmp_path / "nowhere")
    source = open_emg2pose(tmp_path / "in")
    with pytest.raises(InputError, match=rf"{gone.name}: cannot be read \(No such file or directory\).*--skip-broken"):
        build(source, tmp_path / "out")
    real = windows.sha256

    def refused(path):  # to root no permission forbids a file
        if path == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(windows, "sha256", refused)
    store = build(source, tmp_path / "out", skip_broken=True)
    assert [file for file, _ in store.manifest["broken"]] == [gone.name, closed.name]
    assert store.manifest["broken"][1][1].endswith("(Permission denied); fetch it again, or ask its owner")


def test_fault_06_a_skipped_file_is_counted_in_results_json(tmp_path):
    write_dataset(tmp_path / "in", users=(("train", 1),), n_samples=4200)
    os.truncate(sorted((tmp_path / "in").glob("*.hdf5"))[2], 2000)
    asked = dict(data=tmp_path / "in", out=tmp_path, device="cpu")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        _ = Study("emg2pose", "smoke", **asked).store
    study = Study("emg2pose", "smoke", skip_broken=True, **asked)
    page = Page(STEMS["data"], study.figures, context=study.context)
    cells = json.loads((ROOT / "notebooks" / f"{STEMS['data']}.ipynb").read_text(encoding="utf-8"))["cells"]
    (line,) = [line for cell in cells for line in cell["source"] if line.startswith('page.note("dropped"')]
    exec(line, {"page": page, "store": study.store})  # what its page does
    counts = json.loads(page.write().read_text())["notes"]["dropped"]
    assert (counts["broken_files"], counts["recordings"]) == (1, 9)


def test_a_file_that_fails_while_cutting_is_skipped_only_when_asked(tmp_path):
    write_dataset(tmp_path / "in", users=(("train", 1),), n_samples=4200)
    bad = sorted((tmp_path / "in").glob("*.hdf5"))[4]
    data = series(4200)
    data["time"][2000:] -= 1
    write_session(bad, data)
    source = open_emg2pose(tmp_path / "in")
    with pytest.raises(InputError, match="runs backward"):
        build(source, tmp_path / "out")
    store = build(source, tmp_path / "out", skip_broken=True)
    assert [file for file, _ in store.manifest["broken"]] == [bad.name]
    assert store.table.recording.nunique() == 9
    with pytest.raises(InputError, match="runs backward"):
        build(source, tmp_path / "out")


def test_too_little_space_is_said_before_anything_is_written(few, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=12345))
    needed = 20 * 4 * 36 * 200 * 2
    with pytest.raises(InputError, match=f"needs {needed} more bytes and 12345 are free"):
        build(open_emg2pose(few), tmp_path)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("reserved", [True, False] if hasattr(os, "posix_fallocate") else [False])
def test_fault_04_disk_full_while_the_store_grows(few, tmp_path, monkeypatch, reserved):
    """A limit on file size is a full disk that the test may cause: the reservation meets it, or without it a write."""
    limit = 300_000
    at_once = SLOW_BUILD.replace("0.2", "0")
    without = "import os\nos.__dict__.pop('posix_fallocate', None)\n"  # as on macOS
    process = subprocess.run(
        [sys.executable, "-c", at_once if reserved else without + at_once, few, tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert process.returncode != 0
    assert "cannot be written" in process.stderr and "bytes" in process.stderr
    assert not [p for p in tmp_path.iterdir() if (p / "manifest.json").exists()]
    (partial,) = tmp_path.glob("*.partial")
    done = (partial / "journal.jsonl").read_bytes().count(b"\n")
    assert done == 0 if reserved else 0 < done < 20, f"{done} recordings are cut"
    with pytest.raises(InputError, match="not a whole window store"):
        WindowStore(partial)
    cuts = count_cuts(monkeypatch)
    store = build(open_emg2pose(few), tmp_path)
    assert len(store) == 20 * 4 and len(cuts) == 20 - done
    store.verify()


def test_fault_19_two_builders_of_one_store(few, tmp_path, monkeypatch):
    source = open_emg2pose(few)

    def meanwhile(job):
        monkeypatch.setattr(windows, "cut", cut)
        with pytest.raises(InputError, match="another run is building this store"):
            build(source, tmp_path)
        return cut(job)

    monkeypatch.setattr(windows, "cut", meanwhile)
    assert len(build(source, tmp_path)) == 20 * 4


def test_a_folder_that_cannot_be_written(few, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        build(open_emg2pose(few), tmp_path / "file" / "stores")


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_fault_28_a_pickle_in_the_table_is_refused(tmp_path):
    store = build(one(tmp_path / "in", series(1100)), tmp_path / "out")
    trap = tmp_path / "sprung"
    np.savez(store.path / "windows.npz", recording=np.array([Hostile(trap)], dtype=object))
    with pytest.raises(InputError, match="damaged"):
        WindowStore(store.path)
    manifest = json.loads((store.path / "manifest.json").read_text())
    manifest.pop("checksum")
    manifest["table_sha256"] = files.sha256(store.path / "windows.npz")
    (store.path / "manifest.json").write_text(windows.seal(manifest))
    with pytest.raises(InputError, match="allow_pickle"):
        WindowStore(store.path).table  # noqa: B018
    assert not trap.exists()
    np.load(store.path / "windows.npz", allow_pickle=True)["recording"]
    assert trap.exists()  # so the test can fail


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"bandpass": (2.0, 1000.0)}, "bandpass .* below half of the sample rate, 1000 Hz, found 2 to 1000 Hz"),
        ({"bandpass": (250.0, 20.0)}, "two rising edges"),
        ({"bandpass": [20.0]}, "two rising edges"),
        ({"notch": 1000.0}, "notch to be below half of the sample rate, 1000 Hz, found 1000 Hz"),
        ({"window": 0}, "window to be a whole number above 0, found 0"),
        ({"stride_train": 2.5}, "stride_train to be a whole number above 0, found 2.5"),
    ],
)
def test_settings_that_cannot_be_are_told_before_anything_is_cut(setting, told):
    with pytest.raises(InputError, match=told):
        replace(SMALL, **setting)


def test_settings_from_numpy_and_lists_are_the_plain_ones():
    odd = replace(SMALL, window=np.int64(200), bandpass=[2.0, np.float32(250)], sample_rate=np.float32(2000))
    assert odd == replace(SMALL, bandpass=(2.0, 250.0)) and as_json(odd) == as_json(SMALL)


def own(folder, loader, **columns) -> Source:
    """One recording of one's own, whatever its loader gives."""
    folder.mkdir(exist_ok=True)
    (folder / "a.npz").write_bytes(b"a file")
    columns = {"user": "a", "session": "a", "gesture": "rest", "hand": "", "sample_rate": 2000.0} | columns
    recording = Recording("a", folder / "a.npz", loader=loader, counter=lambda _: 1000, **columns)
    return Source("own", folder, [recording], "own-1")


def loaded(n: int = 1000, pose=1.0, segments=None) -> Signals:
    rng = np.random.default_rng(0)
    emg, angles = rng.standard_normal((n, 16), np.float32), np.full((n, 20), pose, np.float32)
    return Signals(emg, angles, segments or (Segment(np.int64(0), n, np.int64(7)),))


def test_own_windows_that_vanish_are_told_with_their_number(tmp_path):
    still = loaded()
    still.pose[:500] = 0  # zeroed at rest
    with pytest.warns(
        EMBridgeWarning, match=r"left out of 5: 3 of a pose that is exactly 0 or marked as failed .* \(a 3\)$"
    ):
        store = build(own(tmp_path / "in", lambda _: still), tmp_path / "out")
    assert len(store) == 2 and list(store.table.gesture.unique()) == ["7"]
    rests = replace(SMALL, exclude_ik_failures=False)
    with pytest.warns(EMBridgeWarning, match=r"3 windows hold a pose of exactly 0 .* leaves out .a 3.$"):
        assert len(build(own(tmp_path / "in", lambda _: still), tmp_path / "out", rests)) == 5


def broken(_):
    return {}["EMG"]


@pytest.mark.parametrize(
    ("loader", "told"),
    [
        (broken, r"a\.npz: its loader ended in KeyError: 'EMG' \(line \d+ of .*test_windows.py\)"),
        (lambda _: loaded(segments=(Segment(0, 1300, "x"),)), "between sample 0 and 1000, its end, found .* 0 to 1300"),
    ],
    ids=["key", "beyond"],
)
def test_what_an_own_loader_does_wrong_names_the_file(tmp_path, loader, told):
    with pytest.raises(InputError, match=told):
        build(own(tmp_path / "in", loader), tmp_path / "out")


def test_columns_of_an_own_recording_are_checked_when_it_is_made(tmp_path):
    with pytest.raises(InputError, match="expected its split to be train, val, test or empty, found 'validation'"):
        own(tmp_path / "in", broken, split="validation")
    with pytest.raises(InputError, match="expected whole numbers of samples, found 0.5 to 3"):
        Segment(0.5, 3, "x")
    source = own(tmp_path / "in", broken, user=np.int64(3))
    assert source.recordings[0].user == "3" and isinstance(source.recordings, tuple)
    with pytest.raises(InputError, match="two recordings have the key 'a'"):
        replace(source, recordings=source.recordings * 2)
