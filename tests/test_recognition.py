"""One window at a time against many at once: filters, labels, neighbours, and what is refused."""

import copy

import numpy as np
import pytest
import torch

from embridge.config import ModelConfig, WindowConfig
from embridge.data.batches import Reader, Statistics, normalise_emg
from embridge.data.signals import filter_emg
from embridge.errors import InputError
from embridge.evaluation import zero_shot
from embridge.inference import Embedder, Recogniser, filter_window
from embridge.models.cpep import CPEP
from embridge.models.qformer import QFormerModel

CONFIG = WindowConfig()
SHAPE = ModelConfig(d=32, n_heads=4, n_layers=2, emg_patch=0.1, n_queries=3, cross_attention_blocks=(0,))
STATISTICS = Statistics((0.0,) * 20, (1.0,) * 20, tuple(np.linspace(-1, 1, 16)), tuple(np.linspace(0.5, 2, 16)))


def models():
    torch.manual_seed(0)
    return {"CPEP": CPEP(SHAPE).eval(), "Q-Former": QFormerModel(SHAPE).eval()}


MODELS = models()


def embedder(model, emg_norm: str = "channel") -> Embedder:
    """What embridge.load makes of a run, of an untrained model."""
    scales = {"emg": STATISTICS} if emg_norm == "train" else {}
    return Embedder("untrained", CONFIG, Reader(None, None, scales, emg_norm), SHAPE.d, model.queries)


def recording(seed: int, n: int, offset: float = 3.0) -> np.ndarray:
    """(n, 16) noise whose channels differ in strength, on an offset and a slow drift, which the band-pass removes."""
    rng = np.random.default_rng(seed)
    drift = np.sin(2 * np.pi * 0.1 * np.arange(n) / 2000)[:, None]
    return (rng.standard_normal((n, 16)) * rng.uniform(0.2, 3, 16) + drift + offset).astype(np.float32)


def different_windows(n: int) -> np.ndarray:
    """(n, 4000, 16) windows that a random model tells apart: each has its own mixture of frequencies."""
    rng, t = np.random.default_rng(1), np.arange(4000) / 2000
    tones = np.sin(2 * np.pi * rng.uniform(10, 200, (n, 1, 16)) * t[None, :, None])
    return (tones * rng.uniform(0, 9, (n, 1, 16)) + rng.standard_normal((n, 4000, 16)) + 1).astype(np.float32)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    return {
        "windows": different_windows(16),
        "gallery": rng.standard_normal((300, 32)).astype(np.float32) * 7,
        "labels": rng.integers(-1, 4, 300),
    }


def encoded(model, windows, *, emg_norm="channel", scale=1.0) -> torch.Tensor:
    """Queries (N, M, d) by the path of evaluation: all windows filtered, scaled, normalised and encoded at once."""
    x = torch.from_numpy(np.stack([filter_window(w, CONFIG) for w in windows]) / scale).float()
    stats = {"mean": torch.tensor(STATISTICS.emg_mean), "std": torch.tensor(STATISTICS.emg_std)}
    with torch.inference_mode():
        return model.queries(normalise_emg(x, emg_norm, stats)).clone()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("emg_norm", ["channel", "window", "recording", "train"])
@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_labels_are_those_of_the_batch(data, name, emg_norm, pooling):
    queries = encoded(MODELS[name], data["windows"], emg_norm=emg_norm, scale=1.7)
    # poses among the queries of these windows, which an untrained model puts close together
    spread = torch.as_tensor(data["gallery"][:, None]) * queries.std(0) / 7
    gallery, setting = (queries.mean(0) + spread).mean(1) * 3, {"k": 5, "pooling": pooling}
    expected = zero_shot(queries, gallery, data["labels"], **setting)
    assert len(np.unique(expected)) >= 3  # a label that never changes would pass whatever is computed
    made = Recogniser(embedder(MODELS[name], emg_norm), gallery, data["labels"], scale=1.7, **setting)
    assert [made.label(w) for w in data["windows"]] == expected.tolist()


def test_neighbours_are_the_highest_cosines_best_first(data):
    made = Recogniser(embedder(MODELS["Q-Former"]), data["gallery"], data["labels"], k=7)
    cosine, index = made.neighbours(data["windows"][0])
    queries = encoded(MODELS["Q-Former"], data["windows"][:1])[0].double().numpy()
    unit = [a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (queries, data["gallery"].astype(float))]
    all_cosines = (unit[0] @ unit[1].T).max(0)
    np.testing.assert_array_equal(index, np.argsort(-all_cosines)[:7])
    np.testing.assert_allclose(cosine, np.sort(all_cosines)[::-1][:7], atol=1e-5)


def test_a_gallery_smaller_than_k_votes_as_it_is(data):
    made = Recogniser(embedder(MODELS["CPEP"]), data["gallery"][:3], [2, 2, 1], k=10)
    assert made.label(data["windows"][0]) == 2
    assert len(made.neighbours(data["windows"][0])[0]) == 3


def test_inputs_and_model_stay_as_they_are(data):
    model = MODELS["Q-Former"]
    before = copy.deepcopy(model.state_dict()), data["windows"][0].copy(), data["gallery"].copy()
    made = Recogniser(embedder(model, "window"), data["gallery"], data["labels"], scale=2.0)
    assert made.label(data["windows"][0]) == made.label(data["windows"][0].astype(np.float64))
    np.testing.assert_array_equal(data["windows"][0], before[1])
    np.testing.assert_array_equal(data["gallery"], before[2])
    assert all(torch.equal(value, before[0][key]) for key, value in model.state_dict().items())


def test_a_window_alone_is_filtered_nearly_as_within_its_recording():
    """And far closer than by filter_emg on the window alone, which is why there is a filter of its own."""
    emg = recording(0, 24_000)
    whole = filter_emg(emg, CONFIG)
    for start in range(4000, 20_000, 4000):
        window, expected = emg[start : start + 4000], whole[start : start + 4000].T
        mirror, point = filter_window(window, CONFIG) - expected, filter_emg(window, CONFIG).T - expected
        assert np.sqrt(np.square(mirror).mean()) < 0.1 * expected.std()
        assert np.sqrt(np.square(point).mean()) > 2 * np.sqrt(np.square(mirror).mean())
        middle = slice(1500, 2500)  # far from both ends it is the same filter
        np.testing.assert_allclose(mirror[:, middle], 0, atol=0.02 * expected.std())


def test_a_constant_channel_is_silent_in_every_norm():
    window = different_windows(1)[0]
    window[:, 4] = 5.3
    assert (filter_window(window, CONFIG)[4] == 0).all()
    other = window.copy()
    other[:, 4] = -700
    np.testing.assert_array_equal(filter_window(other, CONFIG), filter_window(window, CONFIG))
    unfiltered = WindowConfig(bandpass=None, notch=None)
    expected = window.T.copy()
    expected[4] = 0
    np.testing.assert_array_equal(filter_window(window, unfiltered), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[:-1], r"expected 4000 samples x 16 channels, found 3999 x 16; cut it to 2 s"),
        (lambda w: w.T, r"found 16 x 4000"),
        (lambda w: w[None], r"found 1 x 4000 x 16"),
        (lambda w: np.where(np.arange(16) == 3, np.nan, w), r"found 4000 that are not, in channels \[3\]"),
        (lambda w: np.where(np.arange(4000)[:, None] == 17, -np.inf, w), r"found 16 that are not"),
    ],
)
def test_a_bad_window_is_told(data, change, message):
    made = Recogniser(embedder(MODELS["CPEP"]), data["gallery"], data["labels"])
    with pytest.raises(InputError, match=message):
        made.label(change(data["windows"][0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gallery": np.ones((300, 31))}, r"expected a gallery \(G, 32\).*found \(300, 31\)"),
        ({"gallery": np.ones((0, 32)), "labels": []}, "at least 1"),
        ({"labels": [1, 2]}, r"and \(2,\)"),
        ({"gallery": np.full((300, 32), np.nan)}, "finite gallery"),
        ({"scale": 0.0}, "positive scale"),
        ({"scale": np.nan}, "positive scale"),
        ({"scale": None}, "positive scale"),
        ({"pooling": "median"}, "pooling"),
        ({"k": 0}, "above 0, found 0"),
        ({"k": 2.5}, "found 2.5"),
        ({"labels": ["fist"] * 300}, "labels: expected real numbers, found <U4"),
        ({"labels": [0.5] * 300}, "whole numbers as labels, found 0.5"),
    ],
)
def test_bad_settings_are_told(data, change, message):
    setting = {name: data[name] for name in ("gallery", "labels")} | change
    with pytest.raises(InputError, match=message):
        Recogniser(embedder(MODELS["CPEP"]), setting.pop("gallery"), setting.pop("labels"), **setting)


def test_arrays_of_other_libraries_count_as_what_they_are(data):
    model, window = embedder(MODELS["CPEP"]), data["windows"][0]
    whole = np.round(window.T[None] * 1000)
    expected = model.encode_emg(whole)
    for kind in ("<i2", ">i2", ">f4", "<f8"):  # of ADCs, other machines, MATLAB
        torch.testing.assert_close(model.encode_emg(whole.astype(kind)), expected)
    labels = np.asarray(data["labels"], ">f8")  # a .mat file's
    made = Recogniser(model, data["gallery"].astype(">f4"), labels, scale=np.float32(2), k=np.int64(3))
    assert (type(made.k), type(made.scale)) == (int, float)
    assert made.label(window) == Recogniser(model, data["gallery"], data["labels"], scale=2.0, k=3).label(window)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: np.ma.masked_greater(w, w.max() - 1e-3), "found 1 that are not"),  # a mask hides what is no sample
        (lambda w: [w[0], w[1][:, 1:]], "raw EMG: expected an array of numbers .*cut it to one length"),
        (lambda w: w.astype(object), "raw EMG: expected real numbers, found object"),
        (lambda w: torch.tensor(w, dtype=torch.bfloat16), "raw EMG: expected an array of numbers .*BFloat16"),
    ],
)
def test_what_hides_or_holds_no_numbers_is_refused(data, change, message):
    with pytest.raises(InputError, match=message):
        embedder(MODELS["CPEP"]).encode_emg(change(data["windows"][:2].transpose(0, 2, 1)))
