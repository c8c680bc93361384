"""An EMG encoder of one's own: trained, found and loaded again; what is in its run's key, and what is refused."""

import csv
import runpy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from conftest import TINY
from safetensors.torch import load_file, save_file
from torch import nn

import embridge
from embridge.checkpoint import save_weights
from embridge.errors import InputError
from embridge.experiments import ALIGNED, EXPERIMENTS
from embridge.models import own
from embridge.pretrained import FOLDER, SYSTEMS, Shipped
from embridge.run.cli import ROOT
from embridge.study import Study
from embridge.trained import build

EXAMPLE = ROOT / "examples" / "own_encoder.py"
CNN = runpy.run_path(str(EXAMPLE))["CNN"]
BRIDGE = EXPERIMENTS["EMBridge"]


def cnn(seed: int = 0, **how) -> nn.Module:
    torch.manual_seed(seed)
    return CNN(16, TINY.model.d, **how)


def with_encoder(encoder, base=BRIDGE):
    return replace(base, name="EMBridge, CNN", encoder=encoder)


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


@pytest.fixture(scope="module")
def run(study):
    return study.run(with_encoder(cnn()))


def test_the_example_has_at_most_thirty_lines():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 30


def test_it_trains_in_front_of_the_q_former_and_needs_no_emg_mae(study, run):
    assert run.done["steps"] >= 1 and np.isfinite(run.log[["loss", "mprl"]].to_numpy()).all()
    trained = {path.parent.name.rpartition("-")[0] for path in study.out.glob("runs/*/done.json")}
    assert trained == {"pose-mae", "embridge-cnn"}
    before, after = cnn().state_dict(), run.model.encoder.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_another_session_finds_the_run_and_it_embeds_the_same(study, run, monkeypatch):
    ids = study.splits.evaluation["unseen"][:5]
    expected = run.queries(ids)
    assert expected.shape == (5, TINY.model.n_queries, TINY.model.d) and expected.std(0).max() > 1e-4
    monkeypatch.setattr("embridge.training.train", None)  # whoever trains again fails
    other = Study("simulated", out=study.out, size=TINY, device="cpu").run(with_encoder(cnn()))
    assert other.key == run.key and torch.equal(other.queries(ids), expected)
    made = embridge.load(run.folder, encoder=cnn(seed=7))  # whose weights do not matter
    windows = run.reader(False).emg(ids)
    with torch.no_grad():
        torch.testing.assert_close(made.emg(windows), expected)
    raw = study.source.recordings[0].load().emg[:4000].T[None]
    assert made.encode_emg(raw).shape == (1, TINY.model.n_queries, TINY.model.d)


def test_the_example_trains_loads_and_embeds(study, run, monkeypatch, capsys):
    monkeypatch.setattr("embridge.study.Study", lambda *given, **how: study)
    found = runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert found["run"].key == run.key  # the same CNN, drawn with the same seed, in another process's module
    assert capsys.readouterr().out == f"torch.Size([1, {TINY.model.n_queries}, {TINY.model.d}])\n"


def test_a_system_with_it_is_scored_by_its_name(study, run, monkeypatch):
    from embridge.paper import scoring

    monkeypatch.setitem(EXPERIMENTS, "EMBridge, CNN", with_encoder(cnn()))
    rows = [o.rows[0] for o in scoring.zero_shot_outcomes(study, "EMBridge, CNN", "unseen", brief=True)]
    assert {row["run_key"] for row in rows} == {run.key} and 0 <= rows[0]["value"] <= 1


class Wider(CNN):
    def forward(self, x):
        return 2 * super().forward(x)


def frozen() -> nn.Module:
    module = cnn()
    module.layers[0].requires_grad_(False)
    return module


def of_another_activation() -> nn.Module:
    module = cnn()
    module.layers[1] = nn.ReLU()
    return module


def with_attribute() -> nn.Module:
    module = cnn()
    module.gain = 3.0
    return module


def of_another_class() -> nn.Module:
    torch.manual_seed(0)
    return Wider(16, TINY.model.d)


OTHERS = [lambda: cnn(seed=1), lambda: cnn(every=8), frozen, of_another_activation, with_attribute, of_another_class]


@pytest.mark.parametrize("other", OTHERS, ids=["weights", "stride", "frozen", "layer", "attribute", "source"])
def test_two_encoders_never_share_a_key(study, other):
    assert study.key(with_encoder(cnn())) == study.key(with_encoder(cnn().eval())) != study.key(with_encoder(other()))


def test_an_experiment_of_the_same_name_is_another_run(study, run):
    mine, ids = replace(BRIDGE, encoder=cnn()), study.splits.evaluation["in"][:3]
    found = study.run(mine)
    assert study.run("EMBridge").key != found.key and study.run(mine) is found
    assert not torch.equal(found.queries(ids), study.run("EMBridge").queries(ids))


def test_keys_of_runs_without_one_are_the_committed_ones():
    shipped = Shipped(FOLDER / "simulated-quick")
    keys = {name: shipped.key(EXPERIMENTS[name]) for name in SYSTEMS}
    assert keys == shipped.manifest["systems"]
    with open(ROOT / "figures" / "simulated-quick" / "results.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["profile"] == "quick" and row["param"] == "k"]
    found = {row["system"]: row["run_key"] for row in rows}
    assert {name: found[name] for name in ALIGNED} == {name: keys[name] for name in ALIGNED}


def test_what_is_frozen_stays_so_and_as_it_was(study):
    module = frozen()
    model, _ = build(study, with_encoder(module))
    assert not model.encoder.layers[0].weight.requires_grad and model.encoder.layers[2].weight.requires_grad
    assert model.encoder is not module and all(p.grad is None for p in module.parameters())


class Returns(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return torch.zeros(self.shape) if self.shape else [x]


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((2, TINY.model.d, 9), rf"\(2, {TINY.model.d}, 9\)"),
        ((2, TINY.model.d), rf"\(2, {TINY.model.d}\)"),
        ((1, 9, TINY.model.d), rf"\(1, 9, {TINY.model.d}\)"),
        ((2, 0, TINY.model.d), rf"\(2, 0, {TINY.model.d}\)"),
        ((), "list"),
    ],
)
def test_tokens_of_another_shape_are_refused_before_anything_trains(study, shape, found):
    said = rf"encoder: expected \(B, L, d\), here \(2, L, {TINY.model.d}\), of windows \(2, 16, 80\), found {found};"
    with pytest.raises(InputError, match=said):
        study.run(with_encoder(Returns(*shape)))
    assert not list(study.out.glob("runs/*/checkpoint.pt"))


class Keeps(nn.Module):
    """Holds a value in an attribute that is not public, beside torch's own layer with heads and an activation."""

    def __init__(self, value=None, heads=1, activation="relu"):
        super().__init__()
        self._value = value
        torch.manual_seed(0)
        self.mix = nn.TransformerEncoderLayer(8, heads, 8, activation=activation)
        self.register_buffer("scale", torch.full((2,), value if isinstance(value, float) else 1.0), persistent=False)


@dataclass
class Setting:
    size: int


VALUES = (1.0, 2.0, np.ones(2), np.zeros(2), torch.ones(2), torch.zeros(2), [1], [2], cnn, frozen)
VALUES += (Setting(1), Setting(2), partial(round, ndigits=1), partial(round, ndigits=2))


def test_whatever_a_module_keeps_is_in_the_key():
    kept = [*({"value": value} for value in VALUES), {"heads": 2}, {"activation": "gelu"}]
    keys = [own.settings(Keeps(**what))["encoder"]["made"] for what in kept]
    assert keys == [own.settings(Keeps(**what))["encoder"]["made"] for what in kept] and len(set(keys)) == len(keys)
    for value in (lambda x: x, [lambda x: x], object()):
        with pytest.raises(InputError, match="Keeps._value is a .*, of which the run's key cannot hold what it does"):
            own.settings(Keeps(value))


def test_tied_weights_are_saved(tmp_path):
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    save_weights(tmp_path, tied)
    assert torch.equal(load_file(tmp_path / "weights.safetensors")["1.weight"], tied[0].weight)


def test_scores_by_name_follow_the_experiment_that_bears_it(study, run, monkeypatch):
    ids = study.splits.evaluation["in"][:3]
    monkeypatch.setitem(EXPERIMENTS, "mine", EXPERIMENTS["EMBridge"])
    before = study.emg_queries("mine", ids)
    monkeypatch.setitem(EXPERIMENTS, "mine", with_encoder(cnn()))
    assert torch.equal(study.emg_queries("mine", ids), run.queries(ids)) and not torch.equal(before, run.queries(ids))


def test_what_cannot_be_in_a_key_or_has_no_q_former_is_refused(study, tmp_path):
    scope = {"nn": nn, "__name__": "typed in"}
    exec("class Typed(nn.Module):\n    def forward(self, x):\n        return x", scope)
    with pytest.raises(InputError, match="expected a class whose source can be read.* found Typed without"):
        study.key(with_encoder(scope["Typed"]()))
    with pytest.raises(InputError, match="expected a module or the path of a safetensors file, found .*none"):
        study.run(with_encoder(tmp_path / "none"))
    for name, encoder in (("CPEP", cnn()), ("Pose-MAE", cnn())):
        with pytest.raises(InputError, match=f"with a Q-Former, such as EMBridge, found one of kind {name.lower()}"):
            study.run(with_encoder(encoder, EXPERIMENTS[name]))


def test_a_run_is_loaded_with_the_module_that_it_was_trained_around(study, run):
    with pytest.raises(InputError, match="trained around another encoder; pass encoder=, a CNN made as it was"):
        embridge.load(run)
    with pytest.raises(InputError, match="expected a CNN as it was then for .*, found a Wider that differs"):
        embridge.load(run, encoder=of_another_class())
    with pytest.raises(InputError, match="expected none, for the run has the built-in one for .*, found a CNN"):
        embridge.load(study.run("Pose-MAE"), encoder=cnn())


def test_a_file_of_weights_is_what_the_built_in_encoder_starts_from(study, tmp_path):
    mae = study.run("EMG-MAE")
    weights = mae.model.encoder.state_dict()
    save_file(weights, tmp_path / "encoder.safetensors")
    files = (tmp_path / "encoder.safetensors", str(mae.folder / "weights.safetensors"))
    for file in files:
        model, _ = build(study, with_encoder(file))
        found = model.encoder.state_dict()
        assert found.keys() == weights.keys() and all(torch.equal(found[name], weights[name]) for name in weights)
    assert len({study.key(with_encoder(file)) for file in (*files, None)}) == 3
    run = study.run(with_encoder(files[0]))
    assert embridge.load(run).encode_emg(study.source.recordings[0].load().emg[:4000].T[None]).isfinite().all()
    build(study, with_encoder(files[0], EXPERIMENTS["CPEP"]))
    assert own.settings(files[0]) == own.settings(str(files[0]))
    save_file({"cls": torch.zeros(1, 3)}, tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    for name in ("other", "torn"):
        with pytest.raises(InputError, match=rf"encoder: .*{name}.safetensors does not fit the EMG encoder of this"):
            study.run(with_encoder(tmp_path / f"{name}.safetensors"))
