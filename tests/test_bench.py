"""The benchmark: its baselines read what ours read, its bookkeeping is right. Nothing here asserts on time."""

import csv
import functools
import json
import mmap
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import data, report, use
from benchmarks.bids import BidsConfig, open_simulated_bids
from benchmarks.data import Reading, subset
from benchmarks.measure import Row, interleave, ratio, usage, worker
from embridge.config import WindowConfig, profile
from embridge.data.emg2pose import open_emg2pose
from embridge.data.windows import build_store

TINY = replace(profile("smoke").model, d=16, n_heads=2, n_layers=1, n_queries=2, cross_attention_blocks=(0,))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Tiny steps on one thread: two would wait for each other."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(data, "set_threads", lambda: None)
    monkeypatch.setattr(use, "set_threads", lambda: None)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def source(dataset):
    return open_emg2pose(dataset)


# ---- data -----------------------------------------------------------------------------------------------------------


def test_both_ways_of_reading_give_the_same_windows(source, tmp_path):
    config = WindowConfig(window=400, stride_train=400, stride_eval=400)
    store = build_store(source, config, tmp_path, workers=1, progress=False)
    reading = Reading(store.path, source, batch=8)
    ids = np.array([5, 0, 3])
    emg, pose = reading.slices(ids)
    assert emg.shape == (3, 16, 400) and emg.dtype == torch.float32
    assert torch.allclose(pose, torch.from_numpy(np.asarray(store.read_pose(ids))), atol=2e-3)  # float16 of a few rad
    for ours, stored in zip(reading.gather(ids), (store.read_emg(ids), store.read_pose(ids)), strict=True):
        assert ours.dtype == torch.float16 and torch.equal(ours.float(), torch.as_tensor(stored))
    assert reading("gather") > 0 and reading("slices") > 0


def test_both_forms_of_emg2pose_are_loaded_whole(tmp_path):
    hdf5 = data.simulate(tmp_path / "recordings", seconds=0.5)
    bids = open_simulated_bids(tmp_path / "bids", BidsConfig(data.one_user(0.5), other_hands=False), progress=False)
    assert [r.key for r in hdf5.recordings] == [r.key for r in bids.recordings]
    loading = data.Loading({"HDF5": subset(hdf5, 3), "EMG-BIDS": subset(bids, 3)})
    assert loading("HDF5") > 0 and loading("EMG-BIDS") > 0
    assert [len(r.load().emg) for r in loading.recordings["EMG-BIDS"]] == [1000] * 3


def test_recordings_can_be_repeated_under_names_of_their_own(source):
    n = len(source.recordings)
    more = subset(source, n + 2).recordings
    assert len({r.key for r in more}) == n + 2 and more[n].path == more[0].path
    assert len(subset(source, 2).recordings) == 2


def test_conversion_and_an_epoch_are_measured_on_the_same_windows(tmp_path):
    source = data.simulate(tmp_path / "recordings", seconds=8)
    n, seconds, megabytes = data.convert(subset(source, 8), tmp_path / "store", "features")
    assert n >= 8 and seconds > 0 and megabytes > 0
    found, seconds, megabytes = data.train_epoch(tmp_path / "store")
    assert found == n and seconds > 0 and megabytes > 0


def test_both_ways_of_scikit_learn_find_our_neighbours():
    indices = [use.retrieve(200, 20, 16, way)[2] for way in use.WAYS]
    assert all(np.array_equal(np.sort(index, 1), np.sort(indices[0], 1)) for index in indices)


def test_a_stream_and_one_decision_by_torch_and_onnxruntime_are_measured():
    ways = ["torch"] if use.ABSENT else ["torch", "onnxruntime"]
    found = use.stream(TINY, 100, 3)
    assert [*found] == ways and all(speed > 0 and abs(grown) < 50e6 for speed, grown in found.values())
    rows = use.decision_rows(TINY, 2, "tiny", 100)
    assert [row.unit for row in rows] == [*(["ms"] * len(ways)), "x"]
    assert (rows[-1].value is None) == bool(use.ABSENT) and {row.repetitions for row in rows[: len(ways)]} == {2}


# ---- bookkeeping ----------------------------------------------------------------------------------------------------


def test_variants_take_turns_and_each_round_starts_with_another():
    calls, clock = [], iter(range(100))

    def variant(name):
        calls.append(name)
        return float(next(clock))

    times = interleave({name: functools.partial(variant, name) for name in "abc"}, rounds=3)
    assert "".join(calls) == "cab" + "abc" + "bca" + "cab"  # the first round is the warm-up
    assert times == {"a": [3.0, 8.0, 10.0], "b": [4.0, 6.0, 11.0], "c": [5.0, 7.0, 9.0]}


def test_a_ratio_is_the_median_of_those_within_a_round():
    found = ratio({"slow": [4.0, 9.0, 8.0], "fast": [2.0, 3.0, 1.0], "other": [0.0]}, "fast", "slow")
    assert found == {"value": 3.0, "low": 2.0, "high": 8.0, "repetitions": 3}


def test_growth_of_known_powers():
    n = np.array([100, 1000, 10_000])
    points = pd.DataFrame(
        [(w, k, k**p, 200 + 0.001 * k) for w, p in (("conversion", 1.0), ("training", 1.5)) for k in n],
        columns=["what", "windows", "seconds", "megabytes"],
    )
    rows = data.growth_rows(points)
    assert ["n^1.00" in rows[0].note, "n^1.50" in rows[1].note] == [True, True]
    assert rows[1].value == pytest.approx(210 / 201) and "10,000 windows against 1,000" in rows[1].what


def test_peak_memory_sees_what_is_freed_again():
    with usage(every=0.001) as used:
        # memory of its own: the heap may hold as much from earlier tests, already counted
        with mmap.mmap(-1, 64_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapped:
            x = np.frombuffer(mapped)
            for _ in range(20):
                x += 1.0
            del x
    assert 50e6 < used.peak - used.before < 200e6 and used.seconds > 0


def test_a_process_has_its_own_threads_and_tells_its_errors(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    for threads, expected in ((None, "7"), (1, "1")):
        with worker(functools.partial, os.getenv, threads=threads) as run:
            assert run("OMP_NUM_THREADS") == expected
    assert os.environ["OMP_NUM_THREADS"] == "7"
    with worker(functools.partial, int) as run, pytest.raises(ValueError, match="invalid literal"):
        run("x")
    with worker(int, "y") as run, pytest.raises(ValueError, match="invalid literal"):
        run()


ROWS = [
    Row("reading", "store", "slices", 16.25, "x", 15.0, 17.125, 5, target="15 x"),
    Row("memory | most", "tiles", value=1234.5, unit="MB"),
    Row("steps", "", note="not run: no commit here"),
]


def test_the_table_in_all_its_forms(tmp_path, capsys):
    n = [200, 2000, 20_000]
    points = pd.DataFrame({"what": "training", "windows": n, "seconds": [0.1, 1, 10], "megabytes": [300.0, 310, 320]})
    folder = report.write(tmp_path, ROWS, points, report.machine("cpu"))
    assert folder == tmp_path / "bench" and (folder / "scaling.png").stat().st_size > 10_000
    text = (folder / "benchmark.md").read_text()
    assert "| reading | store | slices | 16.2 x [15, 17.1] | 5 | 15 x |" in text
    assert "memory \\| most" in text and "1,234 MB" in text and "not run: no commit here" in text
    for name in ("device", "threads", "cores", "load at start", "torch", "date", "commit"):
        assert f"{name}: " in text
    assert text.split("\n\n")[1].split("\nSource")[0] in capsys.readouterr().out
    with open(folder / "benchmark.csv", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["what"] for row in cells] == [row.what for row in ROWS] and cells[2]["result"] == "–"
    notes = json.loads((folder / "results.json").read_text())["notes"]
    assert notes["rows"][0]["low"] == 15 and notes["rows"][2]["value"] is None
    assert notes["scaling"][2]["windows"] == 20_000


@pytest.mark.parametrize(
    ("value", "text"), [(16.25, "16.2 x"), (0.998, "0.998 x"), (1234.5, "1,234 x"), (0.012, "0.012 x"), (None, "–")]
)
def test_numbers_have_three_digits(value, text):
    assert report.result(Row("a", "b", value=value)) == text
