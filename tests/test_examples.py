"""What the README shows of building on the package, run as it stands there."""

import importlib
import pickle
import re
import sys

import numpy as np
import pytest
import torch

from embridge import losses
from embridge.config import ObjectiveConfig, WindowConfig
from embridge.data.recordings import Source
from embridge.data.splits import split_by_column
from embridge.errors import InputError
from embridge.paper import scoring
from embridge.run.cli import ROOT
from embridge.study import Study

PEOPLE = {"train": ("anna", "ben"), "val": ("carl", "cleo"), "test": ("dora",)}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(section: str) -> list[str]:
    """The Python of one section of the README."""
    text = README.split(f"### {section}\n")[1]
    return re.findall(r"```python\n(.*?)```", re.split(r"^###? ", text, flags=re.MULTILINE)[0], re.DOTALL)


def write_recordings(folder) -> None:
    """A .npz of 3 s for each person and gesture, two of them for each; gestures differ in pose and in strength."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, people in PEOPLE.items():
        for person in people:
            for i, gesture in enumerate(("fist", "pinch", "point", "wave")):
                for session in (1, 2):
                    emg = 1e-4 * (1 + i) * rng.standard_normal((6000, 8)) + 0.1  # an offset, which the filter removes
                    pose = np.sin(np.arange(6000)[:, None] / 500 + np.arange(20) * i) + 0.01 * rng.random((6000, 20))
                    np.savez(folder / f"{split}_{person}_{gesture}_{session}.npz", emg=emg, pose=pose)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What the section "Your own data" leaves behind, run at smoke size."""
    place = tmp_path_factory.mktemp("own")
    write_recordings(place / "recordings")
    (code,) = blocks("Your own data")
    assert '"quick"' in code
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(str(ROOT / "examples"))
        found = {}
        exec(compile(code.replace('"quick"', '"smoke"'), "README.md", "exec"), found)
        yield found
        sys.modules.pop("own_data")


def test_the_example_has_at_most_forty_lines():
    lines = (ROOT / "examples" / "own_data.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40 and f"in {len(lines)} lines" in README


def test_recordings_of_ones_own_are_read_cut_split_and_trained_on(built):
    study = built["study"]
    table = study.store.table
    assert len(table) == 5 * 4 * 2 and study.store.emg_f16.shape[1:] == (8, 80)  # one window of 2 s in each 3 s
    assert {study.splits.table.user[i] for i in study.splits.pretrain} == {"anna", "ben"}
    assert set(table.gesture[study.splits.pretrain]) == {"fist", "pinch"}
    signals = study.source.recordings[0].load()
    waveforms = study.store_of("waveform")
    np.testing.assert_allclose(waveforms.read_pose([0])[0], signals.pose[:4000].T, atol=1e-3)
    frames = signals.pose[:4000].T.reshape(20, 80, 50).mean(2)
    np.testing.assert_allclose(study.store.read_pose([0])[0], frames, atol=1e-3)
    assert not study.simulated and study.figures.name == "my-recordings-smoke"
    assert np.isfinite(built["run"].log["loss"]).all()
    assert built["run"].folder.is_relative_to(study.out / "runs")


def test_what_the_section_computes_has_the_shapes_that_it_says(built):
    shape = built["study"].profile.model
    assert built["queries"].shape == (1, shape.n_queries, shape.d) and built["poses"].shape == (1, shape.d)
    assert built["cosine"].shape == (1, 1) and -1 <= built["cosine"].item() <= 1


@pytest.mark.parametrize("classes", ["in", "unseen"])
def test_recordings_of_ones_own_are_scored(built, classes):
    row = scoring.probe_outcome(built["study"], "EMBridge", classes).rows[0]
    assert row["dataset"] == "my-recordings" and 0 <= row["value"] <= 1 and row["paper_value"] is None
    one, line = (outcome.rows[0] for outcome in scoring.no_network(built["study"], classes))
    assert one["value"] == 0.5 and 0 <= line["value"] <= 1  # two classes a set
    found = {o.gallery for o in scoring.zero_shot_outcomes(built["study"], "EMBridge", classes)}
    assert {"all", "not-self"} <= found


def test_a_user_on_two_sides_is_a_leak(built):
    table = built["study"].store.table.copy()
    table.loc[table.split == "test", "user"] = "anna"
    with pytest.raises(InputError, match="leak: the user anna is both in train and in test"):
        split_by_column("mine", table, {"in": ("fist", "pinch"), "unseen": ("point", "wave")})


def test_a_source_needs_windows_and_a_split_and_a_name_of_its_own(tmp_path):
    source = Source("mine", tmp_path, (), reader_version="1")
    with pytest.raises(InputError, match="expected a Source with windows and split"):
        Study(source, windows=WindowConfig())
    with pytest.raises(InputError, match="expected a Source with windows and split"):
        Study("simulated", split=lambda table: None)
    taken = Source("emg2pose", tmp_path, (), reader_version="1")
    with pytest.raises(InputError, match="'emg2pose', which is taken"):
        Study(taken, windows=WindowConfig(), split=lambda table: None)


def test_a_loss_of_ones_own_is_one_function_and_one_line(built, monkeypatch):
    define, use = blocks("Your own loss")
    monkeypatch.setattr(losses, "TARGETS", dict(losses.TARGETS))
    exec(compile(define, "README.md", "exec"), vars(losses))
    try:
        rng = np.random.default_rng(3)
        u, v = rng.standard_normal((2, 5, 4))
        objective = ObjectiveConfig(soft_targets="x-clr", alpha=0.7, tau_s=0.3)
        scale = torch.tensor(2.0).log()
        ours, parts = losses.alignment_loss(torch.tensor(u), torch.tensor(v), scale, objective)
        u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (u, v))
        log_q = 2 * u @ v.T - np.log(np.exp(2 * u @ v.T).sum(1, keepdims=True))
        y = np.exp(v @ v.T / 0.3)
        y /= y.sum(1, keepdims=True)
        soft = -(y * log_q).sum(1).mean()
        assert y.diagonal().min() > y.mean()  # the pair is a candidate, unlike in CASCLe
        assert parts["soft"].item() == pytest.approx(soft, rel=1e-5)
        assert ours.item() == pytest.approx(-log_q.diagonal().mean() + 0.7 * soft, rel=1e-5)
        found = {"study": built["study"]}
        exec(compile(use, "README.md", "exec"), found)
    finally:
        vars(losses).pop("x_clr")
    assert found["run"].name == "X-CLR" and found["run"].key != built["run"].key
    assert found["run"].log["soft"].iloc[0] != built["run"].log["soft"].iloc[0]


def test_the_example_is_importable_by_a_worker(built):
    """Processes that cut windows get the recording, and with it the reader, pickled."""
    recording = built["study"].source.recordings[0]
    assert pickle.loads(pickle.dumps(recording)).n_samples() == 6000
    assert importlib.import_module("own_data").load is recording.loader
