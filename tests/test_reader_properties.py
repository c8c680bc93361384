"""The readers on anything: nothing but our own one-sentence error, and never a window that METHOD 1 forbids."""

import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from conftest import SERIES, metadata_row, write_metadata
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embridge.config import WindowConfig
from embridge.data import emg2pose, ninapro
from embridge.data.cutting import SourceFile, cut
from embridge.errors import EMBridgeWarning, InputError

WINDOW = 8
FEW = settings(max_examples=40, deadline=None, derandomize=True, database=None, phases=(Phase.generate,))
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ODD = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e-45, 3e38, -3e38])


def config(n_channels, n_joints, rate, **changes) -> WindowConfig:
    plain = dict(window=WINDOW, stride_train=3, stride_eval=3, bandpass=None, notch=None)
    return WindowConfig(n_channels=n_channels, n_joints=n_joints, sample_rate=rate, **plain | changes)


@contextmanager
def bad_input():
    """What may go wrong: an InputError of one sentence, or a warning of ours; anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EMBridgeWarning)
        try:
            yield
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) > 20, str(error)


def cut_all(recordings, window_config):
    """The windows of each recording that can be read, as a store's workers cut them."""
    found = []
    for recording in recordings:
        with bad_input():
            size = recording.path.stat().st_size
            part = cut(
                (recording, window_config, SourceFile(size, 0, "", recording.n_samples(), fresh=True), "waveform")
            )
            assert "\n" not in part.log.get("error", "")
            found.append(part)
    return found


# What is drawn is small, so that a failing example can be read; arrays are made of it.
PLACE = st.integers(0, 79)
LENGTH = st.sampled_from([*range(30, 80), 0, 1, WINDOW - 1, WINDOW])  # most hold windows
NOISE = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 9),
        "scale": st.sampled_from([1.0] * 6 + [1e-6, 1e-30, 1e30]),
        "cells": st.lists(st.tuples(PLACE, PLACE, ODD | NUMBERS), max_size=2),
        "zeros": st.none() | st.tuples(PLACE, st.integers(1, 4)),
        "column": st.sampled_from([None] * 20 + [np.nan, np.inf, 0.0, 0.25, 3e38]),
    }
)
CLOCK = st.fixed_dictionaries(
    {
        "jumps": st.lists(st.tuples(PLACE, st.sampled_from([0.001, 0.5, 3600.0])), max_size=3),
        "fault": st.tuples(PLACE, st.sampled_from([None] * 16 + [-0.001, np.nan, np.inf, 0.0])),
        "pace": st.sampled_from([1] * 9 + [2]),
    }
)


def signal(n: int, width: int, drawn: dict) -> np.ndarray:
    """(n, width) float32: noise with a few odd values, rows of zeros, and a dead or wild column."""
    x = np.random.default_rng(drawn["seed"]).standard_normal((n, width)).astype(np.float32) * np.float32(drawn["scale"])
    for i, j, value in drawn["cells"]:
        x[i % n if n else slice(0), j % width] = value
    if drawn["zeros"]:
        start, length = drawn["zeros"]
        x[start : start + length] = 0
    if drawn["column"] is not None:
        x[:, drawn["seed"]] = drawn["column"]
    return x


def clock(n: int, drawn: dict) -> np.ndarray:
    """Times (n,) at 2 kHz, with gaps, and now and then running back, slow, or not a number."""
    step = np.full(n, 1 / 2000)
    for i, value in (*drawn["jumps"], drawn["fault"]):
        if value is not None:
            step[i : i + 1] = value
    return 1.6e9 + np.cumsum(step) * drawn["pace"]


def write_hdf5(path, series, attributes):
    with h5py.File(path, "w") as file:
        group = file.create_group("emg2pose")
        if series is not None:
            group["timeseries"] = series
        group.attrs.update(attributes)


@FEW
@given(LENGTH, NOISE, NOISE, CLOCK, st.sampled_from(["restart", "grid"]), st.sampled_from([None, (20, 450)]))
def test_no_emg2pose_window_is_forbidden(n, emg, pose, time, after, bandpass):
    window_config = config(16, 20, 2000.0, after_ik_failure=after, bandpass=bandpass, exclude_ik_failures=True)
    data = np.zeros(n, SERIES)
    data["emg"], data["joint_angles"], data["time"] = signal(n, 16, emg), signal(n, 20, pose), clock(n, time)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(emg2pose, "CLOCK_MIN", WINDOW)  # as 4000 is to windows of 2 s
        write_hdf5(Path(folder, "a_left.hdf5"), data, {"sample_rate": 2000.0})
        write_metadata(Path(folder, "metadata.csv"), [metadata_row("a_left")])
        for part in cut_all(emg2pose.open_emg2pose(folder).recordings, window_config):
            assert all(np.isfinite(array).all() for array in part.arrays)
            for (_, start, _), pose in zip(part.log["windows"], part.arrays[1], strict=True):
                inside = data[start : start + WINDOW]
                assert len(inside) == WINDOW, "beyond the recording's end"
                assert (np.diff(inside["time"]) >= 0).all() and np.diff(inside["time"]).max() < 1.5 / 2000, "a gap"
                assert (np.abs(inside["joint_angles"]).max(axis=1) >= 1e-6).all(), "a frame without a pose"
                assert np.isfinite(inside["emg"]).all() and np.isfinite(inside["joint_angles"]).all()
                limited = np.clip(inside["joint_angles"].T, -65504, 65504)
                np.testing.assert_allclose(pose, limited, rtol=1e-3, atol=1e-7)


KINDS = st.sampled_from(["f2", "f4", "f8", ">f4", "i2", "i8", "u1", "u8", "?", "c8", "S3", "V4"])


@st.composite
def layouts(draw):
    """A dataset of the fields that a session has, or of others, with any type and shape."""
    fields = []
    for name, shape in (("time", ()), ("joint_angles", (20,)), ("emg", (16,))):
        shape = draw(st.sampled_from([shape, shape, shape, (), (8,), (16, 2)]))
        if draw(st.integers(0, 9)):
            fields.append((draw(st.sampled_from([name] * 9 + ["x"])), draw(st.just("f4") | KINDS), shape))
    if len({name for name, *_ in fields}) < len(fields) or not fields:
        return draw(hnp.arrays(draw(hnp.scalar_dtypes().filter(lambda d: d.kind in "fiub")), draw(hnp.array_shapes())))
    shape = draw(st.sampled_from([(0,), (1,), (20,), (20,), (), (16, 3), (3, 0)]))
    return np.zeros(shape, np.dtype(fields))


ATTRIBUTES = st.sampled_from([2000.0, 2000, 1000.0, np.nan, "2000", "fast", b"\xff", [2000.0, 1.0], h5py.Empty("f4")])


@FEW
@given(st.none() | layouts(), ATTRIBUTES, ATTRIBUTES, st.booleans())
def test_any_layout_of_hdf5_is_read_or_told(series, rate, user, with_csv):
    with tempfile.TemporaryDirectory() as folder:
        write_hdf5(Path(folder, "a_left.hdf5"), series, {"sample_rate": rate, "user": user})
        if with_csv:
            write_metadata(Path(folder, "metadata.csv"), [metadata_row("a_left")])
        with bad_input():
            (recording,) = emg2pose.open_emg2pose(folder).recordings
            signals = recording.load()
            assert signals.emg.shape == (recording.n_samples(), 16) and signals.pose.shape == (len(signals.emg), 20)
            assert signals.emg.dtype == signals.pose.dtype == np.float32


@FEW
@given(st.binary(max_size=200) | st.text(alphabet='filename,user\n\r"\0é', max_size=60).map(str.encode))
def test_any_metadata_is_read_or_told(content):
    with tempfile.TemporaryDirectory() as folder:
        write_hdf5(Path(folder, "a_left.hdf5"), np.zeros(3, SERIES), {})
        Path(folder, "metadata.csv").write_bytes(content)
        with bad_input():
            emg2pose.open_emg2pose(folder)


# NinaPro

DB1, DB2 = ninapro.DB1, ninapro.DB2


LABELS = st.lists(st.tuples(st.sampled_from([*range(13)] * 3 + [13]), st.integers(1, 25)), min_size=1, max_size=9)
ODD_LABEL = st.tuples(PLACE, st.sampled_from([None] * 20 + [-1, 255, 300, 1.5, np.nan, np.inf, 1e300]))
MORE = st.sampled_from([0] * 20 + [-1, 1])  # samples of a field beyond those of the EMG


def labels(n: int, runs: list, odd) -> np.ndarray:
    """(n, 1) labels in runs, now and then one that is no label."""
    x = np.resize(np.concatenate([np.full(length, value, float) for value, length in runs]), (max(n, 0), 1))
    if odd[1] is not None:
        x[odd[0] : odd[0] + 1] = odd[1]
    return x


@pytest.mark.parametrize("database", [DB1, DB2], ids=lambda d: d.name)
def test_no_ninapro_window_is_forbidden(database):
    window_config = config(
        database.n_channels, database.n_sensors - len(database.dropped), database.sample_rate, exclude_ik_failures=False
    )
    produced = []

    @FEW
    @given(LENGTH, NOISE, st.none() | NOISE, LABELS, LABELS, ODD_LABEL, ODD_LABEL, st.tuples(MORE, MORE, MORE))
    def holds(n, emg, glove, runs, repetitions, odd, odd_repetition, more):
        width, still = database.n_sensors, {"seed": 0, "scale": 1.0, "cells": [], "zeros": None, "column": None}
        fields = {
            "emg": signal(n, database.n_channels, emg),
            "glove": signal(max(0, n + more[0]), width, glove or still),
            "restimulus": labels(n + more[1], runs, odd),
            "rerepetition": labels(n + more[2], repetitions, odd_repetition),
            "subject": np.array([[1]]),
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, database.example)
            scipy.io.savemat(path, fields)
            recording = ninapro._recording(database, path, 1, 1)
            for part in cut_all([recording], window_config):
                assert all(np.isfinite(array).all() for array in part.arrays)
                for segment, start, _ in part.log["windows"]:
                    inside = {name: x[start : start + WINDOW] for name, x in fields.items() if name != "subject"}
                    assert {len(x) for x in inside.values()} == {WINDOW}, "beyond the recording's end"
                    assert np.isfinite(inside["emg"]).all() and np.isfinite(inside["glove"]).all()
                    (label,), (repetition,) = np.unique(inside["restimulus"]), np.unique(inside["rerepetition"])
                    assert label > 0 and repetition > 0, "rest, or a repetition without a number"
                    assert part.log["segments"][segment] == (ninapro.gesture_name(1, int(label)), repetition)
                    produced.append(start)

    holds()
    assert len(produced) > 30


CLASSES = st.sampled_from(
    [np.float64, np.float32, np.int16, np.uint8, bool, np.complex64, str, object, "sparse", "struct", None]
)


def as_class(x: np.ndarray, kind):
    """x as another kind of MATLAB variable."""
    if kind == "sparse":
        return scipy.sparse.csc_matrix(x)
    if kind == "struct":
        return {"a": x}
    if kind is object:
        return np.array([["a", 1.0]], dtype=object)
    return None if kind is None else x.astype(kind)


@FEW
@given(st.data())
def test_any_kind_of_mat_variable_is_read_or_told(data):
    n = data.draw(st.sampled_from([0, 1, 30]))
    shapes = {"emg": (n, 10), "glove": (n, 22), "restimulus": (n, 1), "rerepetition": (n, 1), "subject": (1, 1)}
    fields = {}
    for name, shape in shapes.items():
        shape = data.draw(st.sampled_from([shape] * 5 + [shape[::-1], (n, 1, 2), (0, 0), (2, 3)]))
        plain = np.arange(np.prod(shape), dtype=float).reshape(shape) % 7 if name == "glove" else np.ones(shape)
        fields[name] = as_class(plain, data.draw(st.just(np.float64) | CLASSES)) if plain.ndim == 2 else plain
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, DB1.example)
        scipy.io.savemat(path, {name: x for name, x in fields.items() if x is not None})
        recording = ninapro._recording(DB1, path, 1, 1)
        with bad_input():
            signals = recording.load()
            assert signals.emg.shape[1] == 10 and signals.pose.shape == (len(signals.emg), 22)
            assert signals.emg.dtype == signals.pose.dtype == np.float32
            assert recording.segments() == signals.segments
