"""EMG as it comes: windows, decisions and memory of a stream, and what it says at starts, gaps and NaN."""

import tracemalloc

import numpy as np
import pytest
import torch
from test_recognition import CONFIG, MODELS, embedder, recording
from torch.nn.functional import normalize

from embridge.config import WindowConfig
from embridge.data.live import CausalFilter, live_windows
from embridge.data.signals import ring
from embridge.errors import InputError
from embridge.inference import Recogniser

SMALL = WindowConfig(sample_rate=600, window=240, n_channels=3)  # decisions every 30 samples; the ring is 600
EMG = (np.random.default_rng(0).standard_normal((2000, 3)) * [1, 3, 9] + [5, -2, 0]).astype(np.float32)


def parts(emg, size):
    return [emg[i : i + size] for i in range(0, len(emg), size)]


def ends(chunks, config=SMALL):
    """{samples received: the window's copy or None}"""
    return {n: w for due in live_windows(chunks, config) for n, w in due}


@pytest.mark.parametrize("size", [1, 7, 2000])
def test_windows_are_cut_from_the_causally_filtered_recording_whatever_the_chunks(size):
    found, whole = ends(parts(EMG, size)), CausalFilter(SMALL)(EMG).T
    assert [*found] == [*range(30, 2000, 30)]  # one every 50 ms, from the start on
    for n, window in found.items():
        if n < 240:
            assert window is None
        else:
            np.testing.assert_allclose(window, whole[:, n - 240 : n], atol=1e-5)


def test_the_filter_passes_its_band_without_ringing_from_an_offset_and_sees_no_future():
    config, t = WindowConfig(n_channels=1), np.arange(20_000) / 2000
    for hertz, gain in ((0.5, 0.0), (40.0, 1.0), (60.0, 0.0), (250.0, 0.707), (900.0, 0.0)):
        tone = CausalFilter(config)(np.sin(2 * np.pi * hertz * t)[:, None] + 700)[12_000:]
        assert np.sqrt(2) * tone.std() == pytest.approx(gain, abs=0.02)
    other = EMG.copy()
    other[1000:] *= -4
    np.testing.assert_array_equal(CausalFilter(SMALL)(EMG)[:1000], CausalFilter(SMALL)(other)[:1000])


def test_behind_a_gap_all_starts_afresh():
    found, tail = ends([EMG[:700], None, EMG[900:]]), CausalFilter(SMALL)(EMG[900:]).T
    silent = [n for n, window in found.items() if window is None]
    assert silent == [*range(30, 240, 30), *range(730, 940, 30)] and 690 in found  # 10 samples are dropped
    np.testing.assert_allclose(found[940], tail[:, :240], atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e31])
def test_no_window_until_it_is_clear_of_a_bad_sample_and_the_filters_ring(bad):
    emg = EMG.copy()
    emg[700, 1] = bad
    found = ends(parts(emg, 50))
    silent = [n for n, window in found.items() if window is None and n > 240]
    assert silent == [n for n in found if n > 700 and n - 240 - ring(SMALL) <= 700]
    assert all(np.isfinite(window).all() for window in found.values() if window is not None)
    # a held value instead of it: what comes long after is what would have come
    np.testing.assert_allclose(found[1980], ends([EMG])[1980], atol=0.1)


def test_a_dead_channel_is_zeros_and_nothing_at_all_is_no_window():
    emg = EMG.copy()
    emg[:, 1] = 1e5
    assert all((w[1] == 0).all() and (w[0] != 0).any() for n, w in ends([emg]).items() if n >= 240)
    emg[:] = [5, 0, -3]
    assert set(map(type, ends([emg]).values())) == {type(None)}
    emg[1000:, 2] = EMG[1000:, 2]
    assert [n for n, w in ends([emg]).items() if w is not None][0] == 1020


def test_what_a_mask_hides_is_no_sample():
    masked, emg = np.ma.array(EMG, mask=np.zeros(EMG.shape, bool)), EMG.copy()
    masked[500, 1], emg[500, 1] = np.ma.masked, np.nan
    for (n, found), (_, expected) in zip(ends([masked]).items(), ends([emg]).items(), strict=True):
        assert (found is None) == (expected is None), n


@pytest.mark.parametrize("chunk", [EMG[:, :2], EMG[0], EMG.T, [["a", "b", "c"]], EMG > 0])
def test_a_chunk_of_another_shape_or_kind_is_refused(chunk):
    with pytest.raises(InputError, match="samples x 3 channels.*behind 10 samples"):
        ends([EMG[:10], chunk])
    with pytest.raises(InputError, match="every"):
        next(live_windows([EMG], SMALL, every=0))


def test_decisions_are_the_labels_of_these_windows_and_the_same_for_any_chunks():
    emg = recording(3, 6400)
    emg *= 1 + 5 * np.sin(np.arange(6400) / np.linspace(90, 900, 16)[:, None]).T ** 2  # windows that differ
    model, whole = embedder(MODELS["Q-Former"]), CausalFilter(CONFIG)(emg).T
    windows = {n: whole[:, n - 4000 : n] for n in range(4000, 6401, 100)}
    queries = model.of_filtered(np.stack([*windows.values()]))
    rng = np.random.default_rng(2)
    gallery = queries[rng.permutation(len(queries)), 0] + 0.1 * queries.std() * torch.randn(len(queries), 32)
    made = Recogniser(model, gallery, rng.integers(0, 4, len(gallery)), k=1)
    said = [[*made.stream(parts(emg, size))] for size in (1, 7, 2000)]
    assert said[0] == said[1] == said[2] and len(said[0]) == 64
    cosines = (normalize(queries, dim=-1) @ made.gallery.T).amax(1)
    expected = dict(zip(windows, made._labels(cosines), strict=True))
    assert {d.sample: d.label for d in said[0]} == dict.fromkeys(range(100, 4000, 100), -1) | expected
    assert len({*expected.values()}) > 1


def test_memory_stays_flat_over_a_minute():
    chunk = EMG[:600]

    def memory():
        for due in live_windows((chunk for _ in range(60)), SMALL):
            if due[-1][0] in (6000, 36_000):
                yield tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    early, late = memory()
    tracemalloc.stop()
    assert abs(late - early) < 20_000
