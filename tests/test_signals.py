"""Filters against scipy's own frequency response; normalisation and rotation against loops."""

import numpy as np
import pytest
import torch
from scipy.signal import sosfreqz

from embridge.config import WindowConfig
from embridge.data.signals import channel_order, filter_emg, normalise_emg, ring, sections, unusable
from embridge.errors import InputError

CONFIG = WindowConfig()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def tone(hertz: float, seconds: float = 6.0) -> np.ndarray:
    t = np.arange(int(2000 * seconds)) / 2000
    return np.sin(2 * np.pi * hertz * t)[:, None].astype(np.float32)


@pytest.mark.parametrize("hertz", [1.0, 5.0, 30.0, 60.0, 120.0, 250.0, 400.0])
def test_gain_is_the_squared_response_and_phase_is_zero(hertz):
    x = tone(hertz)
    y = filter_emg(x, CONFIG)
    middle = slice(4000, 8000)
    response = sosfreqz(sections(CONFIG), [hertz], fs=2000)[1]
    gain = float(x[middle, 0] @ y[middle, 0] / (x[middle, 0] @ x[middle, 0]))  # in phase, or this is not the gain
    assert gain == pytest.approx(abs(response[0]) ** 2, abs=0.02)


def test_band_and_notch_do_what_the_paper_says():
    middle = slice(4000, 8000)
    power = {f: float(np.square(filter_emg(tone(f), CONFIG)[middle]).mean()) * 2 for f in (0.5, 60.0, 100.0, 500.0)}
    assert power[100.0] > 0.95
    assert max(power[0.5], power[60.0], power[500.0]) < 0.01


def test_envelopes_are_not_filtered(rng):
    x = rng.random((500, 10)).astype(np.float32)
    np.testing.assert_array_equal(filter_emg(x, WindowConfig(bandpass=None, notch=None)), x)


@pytest.mark.parametrize("n", [0, 1, 2, 10, 50])
def test_short_recordings_are_filtered_too(n, rng):
    y = filter_emg(rng.standard_normal((n, 16)).astype(np.float32), CONFIG)
    assert y.shape == (n, 16)
    assert np.isfinite(y).all()


def test_nan_spoils_its_surroundings_only(rng):
    clean = rng.standard_normal((20_000, 16)).astype(np.float32)
    holed = clean.copy()
    holed[10_000:10_003, 3] = np.nan
    holed[0, 5] = np.inf
    bad = unusable(holed, CONFIG)
    assert bad[: ring(CONFIG) + 1].all()
    assert bad[10_000 - ring(CONFIG) : 10_003 + ring(CONFIG)].all()
    assert bad.sum() == 1 + ring(CONFIG) + 3 + 2 * ring(CONFIG)
    a, b = filter_emg(clean, CONFIG), filter_emg(holed, CONFIG)
    assert np.isfinite(b).all()
    assert np.abs(a - b)[~bad].max() < 0.02 * a.std()


def test_filter_starts_afresh_behind_a_break(rng):
    x = rng.standard_normal((9000, 16)).astype(np.float32)
    x[4000:] += 1000  # a jump that would ring
    y = filter_emg(x, CONFIG, breaks=(4000,))
    np.testing.assert_allclose(y[4000:], filter_emg(x[4000:], CONFIG), atol=1e-5)
    np.testing.assert_allclose(y[:4000], filter_emg(x[:4000], CONFIG), atol=1e-5)


def test_channel_normalisation_against_numpy(rng):
    x = torch.tensor(rng.normal(3, 2, (4, 5, 200)), dtype=torch.float32)
    y = normalise_emg(x, "channel").numpy()
    a = x.numpy().astype(np.float64)
    np.testing.assert_allclose(y, (a - a.mean(-1, keepdims=True)) / a.std(-1, keepdims=True), atol=1e-5)


def test_window_normalisation_keeps_electrodes_relative_strength(rng):
    x = torch.tensor(rng.standard_normal((4, 5, 200)) * np.arange(1, 6)[:, None], dtype=torch.float32)
    y = normalise_emg(x, "window")
    torch.testing.assert_close(y.mean((1, 2)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((1, 2), correction=0), torch.ones(4))
    torch.testing.assert_close(y.std(-1) / y.std(-1)[:, :1], x.std(-1) / x.std(-1)[:, :1])


def test_train_normalisation_uses_the_given_statistics_only(rng):
    x = torch.tensor(rng.standard_normal((2, 3, 50)), dtype=torch.float32)
    stats = {"mean": torch.tensor([1.0, 2.0, 3.0]), "std": torch.tensor([2.0, 4.0, 0.0])}
    y = normalise_emg(x, "train", stats)
    torch.testing.assert_close(y[:, 1], (x[:, 1] - 2) / 4)
    assert (y[:, 2] == 0).all()
    assert torch.equal(normalise_emg(x.half(), "recording"), x.half().float())


@pytest.mark.parametrize("how", ["channel", "window", "recording"])
def test_a_batch_stays_as_it_was_and_float16_loses_nothing_more(how, rng):
    stored = torch.tensor(rng.normal(1, 2, (2, 3, 50)), dtype=torch.float16)
    x = stored.float()
    before = x.clone()
    torch.testing.assert_close(normalise_emg(stored, how), normalise_emg(x, how), rtol=0, atol=0)
    assert torch.equal(x, before)


@pytest.mark.parametrize("how", ["channel", "window"])
@pytest.mark.parametrize("level", [0.0, 0.1, 12345.678, 1e-6])
def test_fault_11_dead_channels_become_zeros(how, level):
    x = torch.full((2, 3, 400), level)
    assert (normalise_emg(x, how) == 0).all()
    if how == "channel":
        x[:, 0] = torch.randn(400, generator=torch.Generator().manual_seed(0))
        y = normalise_emg(x, how)
        assert (y[:, 1:] == 0).all()
        assert y[:, 0].std() > 0.9


def test_tiny_signals_are_not_dead():
    x = torch.randn(2, 3, 400, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(normalise_emg(x * 1e-6, "channel"), normalise_emg(x, "channel"), atol=1e-4, rtol=1e-4)


def test_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="found batch"):
        normalise_emg(torch.zeros(1, 1, 1), "batch")


@pytest.mark.parametrize("ring_size", [None, 8])
def test_rotation_is_a_roll_of_the_ring(ring_size, rng):
    x = torch.tensor(rng.standard_normal((5, 10, 7)), dtype=torch.float32)
    shifts = torch.tensor([-1, 0, 1, 3, -11])
    y = x[torch.arange(5)[:, None], channel_order(shifts, 10, ring_size)]
    n = ring_size or 10
    for i, shift in enumerate(shifts.tolist()):
        torch.testing.assert_close(y[i, :n], torch.roll(x[i, :n], shift, 0))
        torch.testing.assert_close(y[i, n:], x[i, n:])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"sample_rate": "fast"}, "sample_rate, a number above 0, found 'fast'"),
        ({"sample_rate": 0, "bandpass": None, "notch": None}, "sample_rate, a number above 0, found 0"),
        ({"bandpass": 20}, "bandpass to be two rising edges"),
        ({"bandpass": "20-90"}, "each edge of bandpass, a number above 0, found '0'"),
        ({"notch": [50, 100]}, r"notch, a number above 0, found \[50, 100\]"),
        ({"notch_q": 0}, "notch_q, a number above 0, found 0"),
        ({"after_ik_failure": "gird"}, "after_ik_failure to be restart or grid, found 'gird'"),
    ],
)
def test_a_setting_of_windows_that_cannot_be_is_told_where_it_is_given(setting, told):
    with pytest.raises(InputError, match=f"^windows: expected {told}"):
        WindowConfig(**setting)
