"""The scale of a recording: continuous in its samples, and so the same for two people who differ in a detail."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from conftest import write_db1

from embridge.data.cutting import robust_scale
from embridge.data.ninapro import open_db1
from embridge.data.windows import build_store
from embridge.datasets import window_config
from embridge.evaluation import linear_probe

REAL = "EMBRIDGE_NINAPRO_DB1"
STEP = 0.0098  # V: four of the steps by which subject 1 was recorded


def of_two_branches(emg) -> float:
    """The scale until results of version 2: 1.4826 MAD, or the 90th percentile where it is a hundred times that."""
    half, tail = np.quantile(np.abs(emg - np.median(emg)), (0.5, 0.9))
    return 1.4826 * half if half > 0.01 * tail else tail / 1.645


def envelope(rest, *, n=20_000, unit=0.0024):
    """Samples of which the share ``rest`` is at the floor, the others exponential about 0.3, in steps of ``unit``."""
    active = np.random.default_rng(0).exponential(0.3, n - round(rest * n))
    return unit * (1 + np.round(np.r_[np.zeros(round(rest * n)), active / unit]))


def test_it_is_a_gaussians_sd_in_any_unit():
    x = np.random.default_rng(0).standard_normal((16, 30_000))
    for unit in (1e-6, 1.0, 1e4):
        assert robust_scale(unit * (x + 5)) == pytest.approx(unit, rel=0.01)
    spoiled = x.copy()
    spoiled[np.random.default_rng(1).random(x.shape) < 0.005] = 1e30  # of damaged samples
    assert robust_scale(spoiled) == pytest.approx(1.0, rel=0.03)


def test_it_does_not_jump_where_the_two_branches_met():
    rest = np.arange(16_000) % 2.0  # so the median deviation is this times what it is multiplied by
    active = np.random.default_rng(0).uniform(0, 1, 4000)
    tail = np.quantile(np.abs(np.r_[0.001 * rest, active] - 0.001), 0.9)
    below, above = (np.r_[share * tail * rest, active] for share in (0.0099, 0.0101))
    assert of_two_branches(below) > 30 * of_two_branches(above), "the edge is between them"
    assert robust_scale(below) == pytest.approx(robust_scale(above), rel=0.01)
    assert robust_scale(below) == pytest.approx(tail / 1.645, rel=0.01)


def test_it_slides_as_more_of_an_envelope_is_at_its_floor():
    """From 0.4 to 0.985 of the samples; the 90th percentile alone would be 0 from 0.9 on."""
    scales = np.array([robust_scale(envelope(rest)) for rest in np.arange(0.4, 0.986, 0.0025)])
    assert (scales > 0.002).all()
    assert np.abs(np.log(scales[:-1] / scales[1:])).max() < np.log(1.35)


def test_what_rests_throughout_has_a_scale_too():
    assert robust_scale(np.zeros((10, 0))) == robust_scale(np.full((10, 500), 7.0)) == 1.0
    assert robust_scale(envelope(0.995)) == pytest.approx(envelope(0.995).std())


# Two people together: the second is the first, synthetic, whom the two branches would have divided by another measure


def another(emg) -> np.ndarray:
    """A synthetic second person: 1.45 times the EMG, dithered to steps of four of the first one's."""
    return STEP * np.floor(1.45 * emg / STEP + np.random.default_rng(0).random(emg.shape))


def pooled_probe(store, scales) -> dict[str, float]:
    """Accuracy by user of a probe on each channel's mean in a window, trained on both users' other repetitions."""
    ids = np.flatnonzero(store.table.eval_grid)
    table, scale = store.table.iloc[ids], store.table.user.iloc[ids].map(scales).to_numpy(np.float32)
    levels, gestures = store.read_emg(ids).mean(dim=2).numpy() * scale[:, None], table.gesture.to_numpy(str)
    tested = table.repetition.isin((2, 5, 7)).to_numpy()
    found = linear_probe(levels[~tested], gestures[~tested], levels[tested], c=1.0)
    right = found == gestures[tested]
    return {user: right[table.user[tested] == user].mean() for user in scales}


def check_two_pooled(folder):
    """The store's levels serve a pooled probe as volts do, where those of the two branches do not."""
    source = open_db1(folder)
    store = build_store(source, window_config("ninapro-db1"), folder / "out", workers=1, progress=False)
    volts = {log["user"]: log["scale"] for log in store.manifest["recordings"]}
    old = {r.user: volts[r.user] / of_two_branches(r.load().emg) for r in source.recordings}
    assert old["S2"] > 5 * old["S1"], "the second person took the other branch"
    stored, in_volts = pooled_probe(store, dict.fromkeys(volts, 1.0)), pooled_probe(store, volts)
    assert stored == pytest.approx(in_volts, abs=0.02)
    assert pooled_probe(store, old)["S1"] < in_volts["S1"] - 0.09, "else this says nothing"


def simulated(n: int, labels: np.ndarray, repetitions: np.ndarray) -> np.ndarray:
    """(n, 10) an envelope as DB1's, V: half of its samples at the floor, movements that differ in level alone."""
    rng = np.random.default_rng(5)
    level = np.where(rng.random((13, 10)) < 0.5, 0, 0.25 * rng.lognormal(0, 0.8, (13, 10)))
    effort = rng.lognormal(0, 0.35, (11, 13, 10))  # of each time
    active = level[labels] * effort[repetitions, labels] * rng.gamma(4, 1 / 4, (n, 10)) * (labels > 0)[:, None]
    return 0.0024 * np.maximum(1, np.round(active / 0.0024))


def test_two_pooled_people_by_their_levels_and_in_volts_simulated(tmp_path):
    first = write_db1(tmp_path, 1)
    fields = scipy.io.loadmat(first)
    labels, repetitions = (fields[name].ravel().astype(int) for name in ("restimulus", "rerepetition"))
    emg = simulated(len(labels), labels, repetitions)
    for subject, x in ((1, emg), (2, another(emg))):
        write_db1(tmp_path, subject, emg=x)
    check_two_pooled(tmp_path)


@pytest.mark.real(REAL)
def test_two_pooled_people_by_their_levels_and_in_volts(tmp_path):
    """The first person is real; the second is synthetic, made from the first by scaling and quantising."""
    path = next(p for p in Path(os.environ[REAL]).rglob("*.mat") if p.name.upper() == "S1_A1_E1.MAT")
    fields = {name: x for name, x in scipy.io.loadmat(path).items() if not name.startswith("__")}
    scipy.io.savemat(tmp_path / "S1_A1_E1.mat", fields)
    second = fields | {"emg": another(fields["emg"]), "subject": np.array([[2]])}
    scipy.io.savemat(tmp_path / "S2_A1_E1.mat", second)
    check_two_pooled(tmp_path)
