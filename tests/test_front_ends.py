"""Log-power and frames: against loops and a committed window, in stores of both kinds, and from raw windows to labels.

``golden_log_power.json`` holds z of one window from METHOD's formulas in pure Python (:func:`by_loops`).
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMOKE, noise_study, series, write_dataset, write_db1, write_session
from torch.nn.functional import normalize

import embridge
from embridge.config import ModelConfig, WindowConfig, for_windows, n_bins, other_tokens, profile, with_tokens
from embridge.data.emg2pose import open_emg2pose
from embridge.data.signals import bin_edges, emg_features, is_flat, log_power, pose_frames
from embridge.data.windows import build_store
from embridge.errors import EMBridgeWarning, InputError
from embridge.experiments import EXPERIMENTS
from embridge.inference import Recogniser, filter_window
from embridge.run import cli
from embridge.study import Study

GOLDEN = Path(__file__).with_name("golden_log_power.json")
SMALL = WindowConfig(window=400, stride_train=400, stride_eval=400)  # 8 bins
TINY = replace(SMOKE, model=replace(SMOKE.model, d=16, n_heads=2, n_layers=1, n_queries=3, cross_attention_blocks=(0,)))


# ---- one window -----------------------------------------------------------------------------------------------------


def golden_window() -> list[list[float]]:
    """Three channels of different strength, 2 s at 250 Hz, rounded to float32 as a filtered window is."""
    return [
        [
            float(np.float32((1 + c) * math.sin(0.3 * t * (1 + c)) * (1.2 + math.sin(t / 40)) + 0.1 * c))
            for t in range(500)
        ]
        for c in range(3)
    ]


def by_loops(x: list[list[float]], n: int) -> tuple[list[list[float]], list[list[float]]]:
    """METHOD 1's steps 1 to 4 in pure Python: f and z of a window x (C lists of T)."""
    every = [value for channel in x for value in channel]
    mean = math.fsum(every) / len(every)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in every) / len(every))
    length, f = len(x[0]), []
    for channel in x:
        f.append([])
        for i in range(n):
            bin_ = channel[i * length // n : (i + 1) * length // n]
            f[-1].append(math.log(math.fsum(((value - mean) / sd) ** 2 for value in bin_) / len(bin_) + 0.01))
    flat = [value for row in f for value in row]
    mean = math.fsum(flat) / len(flat)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in flat) / len(flat))
    return f, [[(value - mean) / sd for value in row] for row in f]


def test_the_golden_window_is_what_loops_give_and_what_is_committed():
    x, golden = golden_window(), np.array(json.loads(GOLDEN.read_text(encoding="utf-8")))
    f, z = by_loops(x, 80)
    np.testing.assert_allclose(z, golden, rtol=0, atol=1e-6)
    window = np.array(x, np.float32)
    found = log_power(window, 80)
    np.testing.assert_allclose(found, f, rtol=0, atol=1e-6)
    np.testing.assert_allclose((found - found.mean()) / found.std(), golden, rtol=0, atol=1e-6)
    stored = emg_features(window, 80)
    assert stored.dtype == np.float16 and stored.shape == (3, 80)
    np.testing.assert_array_equal(stored, golden.astype(np.float16))


@pytest.mark.parametrize("gain", [1000.0, 1e-6])
def test_gain_does_not_matter(gain):
    x = np.array(golden_window(), np.float32)
    scaled = (x * np.float32(gain)).astype(np.float32)
    np.testing.assert_allclose(log_power(scaled, 80), log_power(x, 80), rtol=0, atol=1e-5)
    np.testing.assert_allclose(emg_features(scaled, 80).astype(float), emg_features(x, 80).astype(float), atol=2e-3)


def test_which_electrode_is_strong_is_kept():
    power = log_power(np.array(golden_window(), np.float32), 80).mean(1)
    assert power[0] + 0.5 < power[1] < power[2] - 0.2


@pytest.mark.parametrize("shift", [-1, 1, 2])
def test_a_rotated_ring_has_rotated_features(shift):
    """So that training may roll what is stored."""
    x = np.random.default_rng(0).standard_normal((16, 4000)).astype(np.float32) * np.arange(1, 17)[:, None]
    rolled = emg_features(np.roll(x, shift, axis=0).astype(np.float32), 80)
    np.testing.assert_allclose(
        rolled.astype(float), np.roll(emg_features(x, 80), shift, axis=0).astype(float), atol=1e-3
    )


SLOW = {"bandpass": (2.0, 20.0), "notch": None}  # the defaults are made for 2 kHz


def test_edges_of_bins():
    assert bin_edges(500, 80)[:5].tolist() == [0, 6, 12, 18, 25]
    for length, n in ((500, 80), (4000, 80), (401, 16), (17, 8)):
        edges = bin_edges(length, n)
        assert edges.tolist() == [i * length // n for i in range(n + 1)] and edges[-1] == length
    rates = {2000.0: 4000, 250.0: 500, 1000.0: 2000, 80.0: 160}
    assert {n_bins(WindowConfig(sample_rate=rate, window=n, **SLOW)) for rate, n in rates.items()} == {80}


def test_fewer_than_two_samples_a_bin_are_refused():
    with pytest.raises(
        InputError, match=r"expected two samples or more in each bin of 25 ms, found 158 samples at 79 Hz"
    ):
        n_bins(WindowConfig(sample_rate=79.0, window=158, **SLOW))
    with pytest.raises(InputError, match="use --tokens waveform"):
        for_windows(profile("quick"), WindowConfig(sample_rate=60.0, window=120, **SLOW))
    assert for_windows(profile("quick"), WindowConfig(60.0, window=120, **SLOW), "waveform").model.emg.patch == 6


def test_another_front_end_may_be_asked_for_where_the_profiles_own_does_not_fit():
    slow, odd = WindowConfig(60.0, window=120, **SLOW), WindowConfig(2000 / 0.931, window=4296, **SLOW)
    assert other_tokens(profile("quick"), slow, "waveform") == "waveform"
    assert other_tokens(profile("paper"), odd, "features") == "features"  # 25 ms are 53.7 samples
    assert other_tokens(profile("quick"), replace(slow, bandpass=None), "waveform") == ""


def test_frames_are_mean_angles_in_the_same_bins():
    pose = np.random.default_rng(1).standard_normal((5, 500)).cumsum(1) / 10
    edges = [i * 500 // 80 for i in range(81)]
    by_hand = [[sum(row[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False)] for row in pose]
    found = pose_frames(pose, 80)
    assert found.dtype == np.float16 and found.shape == (5, 80)
    np.testing.assert_array_equal(found, np.array(by_hand).astype(np.float16))


def test_a_window_without_a_signal_has_no_features_and_equal_bins_give_zeros():
    assert emg_features(np.full((16, 400), 3.25, np.float32), 8) is None and is_flat(np.zeros((2, 5), np.float32))
    even = np.tile(np.array([1.0, -1.0], np.float32), (3, 200))
    assert (emg_features(even, 8) == 0).all()


def test_patches_are_whole_bins_or_samples():
    quick, paper = profile("quick").model, ModelConfig()
    assert (quick.emg.patch, quick.emg.steps, quick.emg.n_tokens) == (4, 80, 20) == (
        quick.pose.patch, quick.pose.steps, quick.pose.n_tokens,
    )  # fmt: skip
    assert (paper.emg.patch, paper.emg.n_tokens, paper.pose.patch, paper.pose.n_tokens) == (50, 80, 200, 20)
    assert replace(paper, emg_tokens="log-power").emg.n_tokens == 80  # one bin a token
    with pytest.raises(InputError, match="expected a whole number of bins of 25 ms, found 2.4"):
        _ = replace(quick, emg_patch=0.06).emg
    with pytest.raises(InputError, match="emg_tokens: expected waveform or log-power, found 'frames'"):
        _ = replace(quick, emg_tokens="frames").emg
    kinds = {
        (p, t): with_tokens(profile(p), t).model.kind for p in ("quick", "paper") for t in ("", "waveform", "features")
    }
    assert [kinds["quick", ""], kinds["paper", ""]] == ["features", "waveform"]
    assert {kind for (_, t), kind in kinds.items() if t == "waveform"} == {"waveform"}
    assert {kind for (_, t), kind in kinds.items() if t == "features"} == {"features"}


# ---- stores of both kinds -------------------------------------------------------------------------------------------


def build(source, folder, kind, config=SMALL):
    return build_store(source, config, folder, kind, workers=1, progress=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both kinds")
    write_dataset(folder, users=(("train", 1),), n_samples=1300)
    return open_emg2pose(folder)


def test_both_kinds_have_the_same_windows_and_digests(source, tmp_path):
    features, waveforms = build(source, tmp_path / "a", "features"), build(source, tmp_path / "a", "waveform")
    assert features.path != waveforms.path and (features.kind, waveforms.kind) == ("features", "waveform")
    assert features.table.equals(waveforms.table) and len(features) == 10 * 3
    assert features.contents == waveforms.contents  # so a run's key does not depend on which was cut first
    assert features.manifest["sources"] == waveforms.manifest["sources"]
    assert not np.array_equal(features._columns["checksum"], waveforms._columns["checksum"])
    assert np.array_equal(waveforms._columns["checksum"], waveforms._columns["digest"])
    assert sorted(p.name for p in features.path.iterdir()) == [
        "frames.f16", "log-power.f16", "manifest.json", "power.f16", "windows.npz",
    ]  # fmt: skip
    features.verify()
    waveforms.verify()


def test_features_are_those_of_the_stored_waveforms(source, tmp_path):
    """Of waveforms in float16 they differ by its rounding, and by no more: same filter, same windows, same order."""
    features, waveforms = build(source, tmp_path, "features"), build(source, tmp_path, "waveform")
    assert features.emg_f16.shape == (30, 16, 8) and features.pose_f16.shape == (30, 20, 8)
    assert features.power_f16.shape == (30, 16, 8)
    for i in (0, 13, 29):
        emg, pose = waveforms.emg_f16[i].astype(float), waveforms.pose_f16[i].astype(float)
        _, z = by_loops(emg.tolist(), 8)
        np.testing.assert_allclose(features.emg_f16[i].astype(float), z, atol=6e-3)
        np.testing.assert_allclose(features.pose_f16[i].astype(float), pose.reshape(20, 8, 50).mean(2), atol=2e-3)
        np.testing.assert_allclose(features.power_f16[i].astype(float), by_loops(emg.tolist(), 8)[0], atol=6e-3)
    assert features.emg_f16.std() > 0.9


def test_a_window_without_a_signal_is_dropped_and_counted_in_both_kinds(tmp_path):
    write_dataset(tmp_path / "in", users=(("train", 1),), n_samples=1300)
    source = open_emg2pose(tmp_path / "in")
    data = series(1700)
    data["emg"][:900] = 0  # and behind a gap in the clock, where the filter starts afresh, a signal
    data["time"][900:] += 1
    recording = source.recordings[0]
    write_session(recording.path, data, user=recording.user)
    source = open_emg2pose(tmp_path / "in")
    with pytest.warns(EMBridgeWarning, match="windows left out of 31: 2 without a signal in any channel"):
        stores = [build(source, tmp_path / "out", kind) for kind in ("features", "waveform")]
    for store in stores:
        mine = store.table[store.table.recording == recording.key]
        assert mine.start.tolist() == [900, 1300] and store.manifest["counts"]["no_signal"] == 2
        assert len(store) == 9 * 3 + 2
        assert np.isfinite(store.emg_f16).all()
    assert stores[0].contents == stores[1].contents


# ---- from raw windows to embeddings ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """EMG of one's own at 2 kHz, read as log-power and frames, as every small profile does."""
    return noise_study(tmp_path_factory.mktemp("noise"), TINY)


def raw_windows(study) -> np.ndarray:
    """(2, T, C) of the recording that evaluates, unfiltered."""
    recording, windows = study.source.recordings[1], study.windows
    return recording.load().emg[: 2 * windows.window].reshape(2, windows.window, windows.n_channels)


def by_the_study(study, run, windows: np.ndarray) -> torch.Tensor:
    """(B, M, d) queries of features that loops make of each filtered window."""
    z = [by_loops(filter_window(window, study.windows).tolist(), n_bins(study.windows))[1] for window in windows]
    with torch.inference_mode():
        return normalize(run.model.queries(torch.tensor(z).half().float()), dim=-1)


def test_raw_windows_are_embedded_as_the_study_embeds_their_features(study):
    run, raw = study.run("Q-Former"), raw_windows(study)
    assert study.profile.model.emg_tokens == "log-power" and study.store.kind == "features"
    expected = by_the_study(study, run, raw)
    found = embridge.load(run).encode_emg(raw.transpose(0, 2, 1))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(embridge.load(run).encode_emg(1e3 * raw.transpose(0, 2, 1)), found, rtol=0, atol=1e-3)
    stored = normalize(study.emg_queries("Q-Former", study.splits.evaluation["in"]), dim=-1)
    assert (found * stored).sum(-1).min() > 0.95  # a stored window was filtered with its recording
    pose = study.source.recordings[1].load().pose[: study.windows.window].T[None]
    expected = normalize(study.pose_embeddings(study.splits.evaluation["in"][:1]), dim=-1)
    torch.testing.assert_close(embridge.load(run).encode_pose(pose), expected, rtol=0, atol=2e-3)


def test_a_recogniser_reads_raw_windows_too(study):
    run, raw = study.run("Q-Former"), raw_windows(study)
    gallery = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
    made = Recogniser(embridge.load(run), gallery, torch.arange(20), k=20)
    queries = by_the_study(study, run, raw)
    for i, window in enumerate(raw):
        expected = (queries[i] @ normalize(gallery, dim=-1).T).amax(0)
        cosine, index = made.neighbours(window)
        torch.testing.assert_close(torch.empty(20).scatter_(0, index, cosine), expected, rtol=0, atol=1e-4)


def test_a_window_without_a_signal_is_told_where_power_is_read(study):
    run, flat = study.run("Q-Former"), np.full((4000, 8), 2.5, np.float32)
    made = Recogniser(embridge.load(run), torch.ones(3, 16), [0, 1, 2])
    for ask in (lambda: made.label(flat), lambda: embridge.load(run).encode_emg(flat.T[None])):
        with pytest.raises(InputError, match="expected a signal, found one value in all samples and channels"):
            ask()


# ---- trained ---------------------------------------------------------------------------------------------------------


def kinds_of_stores(study) -> list[str]:
    found = sorted((study.out / "data" / "stores").glob("*/manifest.json"))
    return sorted(json.loads(file.read_text(encoding="utf-8"))["kind"] for file in found)


def test_training_on_features_writes_no_waveforms(study):
    run = study.run("EMBridge")
    assert np.isfinite(run.log["loss"]).all() and kinds_of_stores(study) == ["features"]
    assert [file.name[:19] for file in study.out.glob("runs/statistics-*")] == ["statistics-features"]


def test_a_study_of_waveforms_trains_where_it_is_asked_for(tmp_path):
    study = noise_study(tmp_path, TINY, tokens="waveform")
    run = study.run("Q-Former")
    assert kinds_of_stores(study) == ["waveform"] and study.figures.name == "noise-smoke-waveform"
    assert run.model.encoder.tokenizer.patch == 200 and np.isfinite(run.log["loss"]).all()
    assert cli.parse(["--profile", "smoke", "--tokens", "waveform", "--train", "CPEP"]).tokens == "waveform"
    assert study.key(EXPERIMENTS["CPEP"]) != noise_study(tmp_path, TINY).key(EXPERIMENTS["CPEP"])


def test_one_encoder_may_read_bins_and_the_other_samples(tmp_path):
    """EMG as log-power beside poses at 2 kHz; the second store is cut when it is needed."""
    study, name = noise_study(tmp_path, TINY), "EMBridge, pose tokens = waveform"
    run = study.run(name)
    assert kinds_of_stores(study) == ["features", "waveform"]
    assert study.store.contents == study.store_of("waveform").contents
    assert run.model.encoder.tokenizer.patch == 4 and run.model.pose_tokenizer.patch == 200
    assert np.isfinite(run.log["loss"]).all() and np.isfinite(run.log["mprl"]).all()
    ids = study.splits.evaluation["in"]
    assert study.pose_embeddings(ids, name).shape == (len(ids), 16)
    assert study.pose_space(name) == ("Pose-MAE, pose tokens = waveform", "cls")
    pose = study.source.recordings[1].load().pose[:4000].T[None]
    expected = normalize(study.pose_embeddings(ids[:1], name), dim=-1)
    torch.testing.assert_close(embridge.load(run).encode_pose(pose), expected, rtol=0, atol=2e-3)


def test_emg_at_another_rate_trains_with_its_own_band(tmp_path):
    windows = WindowConfig(
        sample_rate=250.0, n_channels=8, n_joints=3, window=500, stride_train=500, stride_eval=500,
        bandpass=(20.0, 100.0), notch=None,
    )  # fmt: skip
    study = noise_study(tmp_path, TINY, windows=windows)
    run = study.run("EMBridge")
    assert study.store.emg_f16.shape[1:] == (8, 80) and run.model.encoder.tokenizer.n_tokens == 20
    assert np.isfinite(run.log["loss"]).all()
    raw = study.source.recordings[1].load().emg[:500].T[None]
    assert embridge.load(run).encode_emg(raw).shape == (1, 3, 16)


def test_an_envelope_has_no_power_to_measure(tmp_path):
    write_db1(tmp_path / "in", 1)
    says = "^tokens: expected waveform for an envelope, which has no power to measure, found features$"
    with pytest.raises(InputError, match=says):
        Study("ninapro-db1", "quick", data=tmp_path / "in", out=tmp_path, tokens="features")
    with pytest.raises(InputError, match=says):
        cli.parse(["--dataset", "ninapro-db1", "--data", str(tmp_path / "in"), "--tokens", "features"])
    study = Study("ninapro-db1", "quick", data=tmp_path / "in", out=tmp_path, device="cpu")
    assert (study.profile.model.emg_tokens, study.profile.model.pose_tokens) == ("waveform", "waveform")
    for size in ("smoke", "quick", "long", "paper"):  # whose patches of 25 and 100 ms are no whole samples at 100 Hz
        asked = ["--profile", size, "--dataset", "ninapro-db1", "--data", str(tmp_path / "in"), "--train", "CPEP"]
        assert cli.parse(asked).profile == size
        assert Study("ninapro-db1", size, data=tmp_path / "in", out=tmp_path, device="cpu").profile.model.emg.patch == 5
