"""A trained system as one ONNX file: as torch computes it, with its gallery, and what is refused."""

import importlib.util

import numpy as np
import pytest
import torch
from test_recognition import MODELS, different_windows, embedder

import embridge
from embridge import exported
from embridge.errors import InputError
from embridge.inference import Recogniser

ABSENT = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(ABSENT), reason=f"extra onnx: {', '.join(ABSENT)} not installed")
RNG = np.random.default_rng(0)
GALLERY, LABELS = RNG.standard_normal((50, 32)).astype(np.float32), RNG.integers(-1, 4, 50)


def made(name="Q-Former", emg_norm="train", **how) -> Recogniser:
    found = embedder(MODELS[name], emg_norm)
    found.model = MODELS[name]
    return Recogniser(found, GALLERY, LABELS, scale=np.float64(1.7), k=np.int64(7), **how)


@needs_onnx
@pytest.mark.parametrize(("name", "emg_norm", "pooling"), [("Q-Former", "train", "mean"), ("CPEP", "channel", "max")])
def test_the_file_alone_gives_torchs_neighbours_to_1e_4(tmp_path, name, emg_norm, pooling):
    ours, names = made(name, emg_norm, pooling=pooling), ["a", "b", "c", "d"]
    file = embridge.export(ours, tmp_path / "model.onnx", names=names)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    theirs, windows = exported.recogniser(file), different_windows(3)
    for window in windows:
        (cosine, index), (expected, same) = theirs.neighbours(window), ours.neighbours(window)
        torch.testing.assert_close(cosine, expected, rtol=0, atol=1e-4)
        assert theirs.label(window) == ours.label(window) and len({*index.tolist()} & {*same.tolist()}) >= 6
    queries = [one.embedder.encode_emg(windows.transpose(0, 2, 1), 1.7).flatten() for one in (theirs, ours)]
    torch.testing.assert_close(*queries, rtol=0, atol=1e-4)
    assert theirs.embedder.windows == ours.embedder.windows
    torch.testing.assert_close(theirs.gallery, ours.gallery)


@needs_onnx
def test_numpys_numbers_and_names_are_kept_and_a_shipped_system_goes_by_its_name(tmp_path):
    file = embridge.export(made("CPEP"), tmp_path / "m.onnx", names=np.arange(4))
    assert '"names": ["0", "1", "2", "3"]' in file.read_bytes().decode("latin-1")
    assert embridge.export("simulated-quick/CPEP", tmp_path / "shipped.onnx").exists()


@needs_onnx
def test_a_file_that_is_not_ours_or_is_damaged_is_refused(tmp_path):
    file = embridge.export(made(), tmp_path / "model.onnx")
    file.write_bytes(file.read_bytes()[:5000])
    for bad in (file, tmp_path / "nothing.onnx"):
        with pytest.raises(InputError, match="expected a file that embridge.export wrote"):
            exported.recogniser(bad)


@needs_onnx
def test_what_differs_from_torch_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="off torch"):
        embridge.export(made("CPEP"), tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]


@needs_onnx
def test_another_ending_and_a_system_without_emg_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.onnx, found .*model\.pt"):
        embridge.export(made(), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"a folder that is there .* found .*gone/model\.onnx"):
        embridge.export(made(), tmp_path / "gone" / "model.onnx")
    poses = made()
    poses.embedder.emg = None
    with pytest.raises(InputError, match="EMG encoder"):
        embridge.export(poses, tmp_path / "model.onnx")


def test_without_the_packages_a_sentence_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None)
    for call in (
        lambda: embridge.export(made(), tmp_path / "m.onnx"),
        lambda: exported.recogniser(tmp_path / "m.onnx"),
    ):
        with pytest.raises(InputError, match=r"onnxruntime is not installed; run pip install '\.\[onnx\]'"):
            call()
