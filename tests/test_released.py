"""Released weights: the key map against the published networks in numpy, clear refusals, and no program ever run."""

import os
import sys
import types
from pathlib import Path

import numpy as np
import published_networks as published
import pytest
import torch

from embridge.errors import InputError
from embridge.models import released as module
from embridge.models.released import FILES, VARIABLE, published_names, read_state, released

SHAPES = {
    "Vemg2pose": published.lstm_shapes(40),
    "Vemg2pose tracking": published.lstm_shapes(20),
    "NeuroPose": published.neuropose_shapes(),
    "emg2pose": published.mlp_shapes(),
}
N_TENSORS = {"Vemg2pose": 68, "Vemg2pose tracking": 68, "NeuroPose": 149, "emg2pose": 68}
FIRST_POSE = np.random.default_rng(2).standard_normal(20)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(monkeypatch):
    """An object of a class that a pickle calls omegaconf's; the module is gone again before anything is loaded."""
    package, base = types.ModuleType("omegaconf"), types.ModuleType("omegaconf.dictconfig")

    class DictConfig:
        def __init__(self, content):
            self._content = content

    DictConfig.__module__, DictConfig.__qualname__ = base.__name__, "DictConfig"
    base.DictConfig = DictConfig
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, package.__name__, package)
        patch.setitem(sys.modules, base.__name__, base)
        yield DictConfig({"lr": 1e-3, "nested": DictConfig({"type": dict})})


def write(folder, kind, state, settings, **more):
    """A Lightning checkpoint as released: weights, and what its training wrote beside them."""
    checkpoint = {
        "epoch": 3,
        "pytorch-lightning_version": "1.8.6",
        "state_dict": {name: torch.as_tensor(value) for name, value in state.items()},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]}],
        "hyper_parameters": {"network_conf": settings},
    } | more
    torch.save(checkpoint, folder / FILES[kind])
    return folder / FILES[kind]


def reference(kind, state, x):
    if kind == "NeuroPose":
        return published.neuropose(state, x)
    n_position = {"Vemg2pose": 12, "Vemg2pose tracking": 0, "emg2pose": 1000}[kind]
    first = FIRST_POSE if kind == "Vemg2pose tracking" else None
    return published.rollout(state, x, "mlp" if kind == "emg2pose" else "lstm", n_position, first)


@pytest.mark.parametrize("kind", FILES)
def test_with_the_same_weights_the_outputs_are_the_published_networks(kind, tmp_path, settings, monkeypatch):
    state = published.draw(SHAPES[kind])
    assert len(state) == N_TENSORS[kind]
    write(tmp_path, kind, state, settings)
    for name in ("omegaconf", "omegaconf.dictconfig"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    model = released(kind)
    x = np.random.default_rng(1).standard_normal((2, 16, 4000))
    first = torch.tensor(FIRST_POSE)[None].repeat(2, 1).float() if model.tracks else None
    with torch.no_grad():
        found = model(torch.tensor(x).float(), first).numpy()
    expected = np.stack([reference(kind, state, window) for window in x])
    assert found.shape == expected.shape == (2, 20, 3840 if kind == "NeuroPose" else 55)
    assert np.abs(expected).max() > 0.01 and expected.std(axis=(0, 2)).min() > 1e-4  # it says something
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())
    assert not model.training and "omegaconf" not in sys.modules


def test_the_key_map_leaves_no_name_out():
    for kind, shapes in SHAPES.items():
        model = module.regressor(kind, module.ModelConfig())
        names = published_names(model)
        assert {theirs: tuple(model.state_dict()[ours].shape) for ours, theirs in names.items()} == shapes


def test_what_does_not_fit_is_listed_on_both_sides(tmp_path, settings):
    state = published.draw(SHAPES["emg2pose"])
    del state["model.decoder.mlp.1.bias"], state["model.network.layers.0.norm.weight"]
    state |= {"model.decoder.extra": np.zeros(1), "model.decoder.mlp.6.bias": np.zeros(22)}
    write(tmp_path, "emg2pose", state, settings)
    with pytest.raises(InputError) as error:
        released("emg2pose", tmp_path)
    text = str(error.value)
    assert "Missing from it: model.decoder.mlp.1.bias, model.network.layers.0.norm.weight." in text
    assert "Unknown in it: model.decoder.extra." in text
    assert "model.decoder.mlp.6.bias: expected (20,), found (22,)" in text and FILES["emg2pose"] in text


def test_one_network_s_weights_do_not_load_into_another(tmp_path, settings):
    write(tmp_path, "Vemg2pose", published.draw(SHAPES["emg2pose"]), settings)
    with pytest.raises(InputError, match=r"Missing from it: model\.decoder\.lstm.*Unknown in it: model\.decoder\.mlp"):
        released("Vemg2pose", tmp_path)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path, call):
        self.path, self.call = str(path), call

    def __reduce__(self):
        if self.call == "eval":
            return eval, (f"__import__('os').mkdir({self.path!r})",)
        return getattr(os, self.call), (self.path,)  # posix.mkdir or os.makedirs


@pytest.mark.parametrize("where", ["hyper_parameters", "state_dict", "callbacks"])
@pytest.mark.parametrize("call", ["eval", "mkdir", "makedirs"])
def test_fault_28_a_hostile_checkpoint_runs_nothing(tmp_path, settings, call, where):
    trap = tmp_path / "sprung"
    file = write(tmp_path, "emg2pose", {"a": np.zeros(2)}, settings, **{where: {"a": Hostile(trap, call)}})
    with pytest.raises(InputError, match="nothing of it was loaded"):
        read_state(file)
    assert not trap.exists()
    torch.load(file, weights_only=False)  # the trap works
    assert trap.exists()


def test_fault_28_a_hostile_checkpoint_in_a_newer_pickle_protocol_runs_nothing(tmp_path):
    trap, file = tmp_path / "sprung", tmp_path / "new.ckpt"
    torch.save({"state_dict": {}, "a": Hostile(trap, "mkdir")}, file, pickle_protocol=4)
    with pytest.raises(InputError, match="opcodes that weights do not need"):
        read_state(file)
    assert not trap.exists()


def test_a_class_that_only_sounds_like_omegaconf_is_refused(tmp_path, settings):
    type(settings).__module__ = "omegaconfig"
    sys.modules["omegaconfig"] = sys.modules["omegaconf.dictconfig"]
    try:
        file = write(tmp_path, "emg2pose", {"a": np.zeros(2)}, settings)
    finally:
        del sys.modules["omegaconfig"]
    with pytest.raises(InputError, match=r"could run \(omegaconfig\.DictConfig\)"):
        read_state(file)


def test_missing_damaged_and_empty_files_are_told_apart(tmp_path, settings):
    with pytest.raises(InputError, match="no such checkpoint"):
        released("NeuroPose", tmp_path)
    file = write(tmp_path, "NeuroPose", {"a": np.zeros(200)}, settings)
    whole = file.read_bytes()
    for damaged in (b"", b"not a checkpoint", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match="not a whole Lightning checkpoint"):
            read_state(file)
    torch.save({"weights": {}}, file)
    with pytest.raises(InputError, match="a state_dict of tensors, found none"):
        read_state(file)


def test_what_was_not_released_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="expected one of Vemg2pose"):
        released("PoseT", tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputError, match="found 'NeuroPose' and no folder"):
        released("NeuroPose")


@pytest.mark.real(VARIABLE)
@pytest.mark.parametrize("kind", FILES)
def test_the_real_checkpoints_load_and_predict_hands(kind):
    if not (Path(os.environ[VARIABLE]) / FILES[kind]).exists():
        pytest.skip(f"{os.environ[VARIABLE]} holds no {FILES[kind]}")
    model = released(kind)
    first = torch.zeros(1, 20) if model.tracks else None
    angles = model.predict(10 * torch.randn(1, 16, 4000, generator=torch.Generator().manual_seed(0)), first)
    assert torch.isfinite(angles).all() and angles.abs().max() < 3.2
