"""A finished run on raw windows against the study that trained it, and what is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import noise_study, write_db1
from torch.nn.functional import normalize

import embridge
from embridge import config as cfg
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS
from embridge.inference import filter_window
from embridge.study import Study

SMOKE = cfg.profile("smoke")
TINY = replace(SMOKE, model=replace(SMOKE.model, d=16, n_heads=2, n_layers=1, n_queries=3, cross_attention_blocks=(0,)))
CLOSE = {"rtol": 0, "atol": 2e-3}  # the store rounds to float16, 3 digits; embeddings have length 1


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """DB1: an envelope that nothing filters, so that stored windows are raw ones but for scale and float16."""
    folder = tmp_path_factory.mktemp("db1")
    write_db1(folder / "data", 1)
    return Study("ninapro-db1", data=folder / "data", out=folder / "out", device="cpu", size=TINY)


def raw_windows(study, ids) -> tuple[np.ndarray, np.ndarray, float]:
    """EMG (B, C, T) and pose (B, J, T) as their recording holds them, and what the store divided it by."""
    signals, rows = study.source.recordings[0].load(), study.store.table.iloc[ids]
    cuts = [slice(start, start + study.windows.window) for start in rows.start]
    emg, pose = (np.stack([x[cut].T for cut in cuts]) for x in (signals.emg, signals.pose))
    return emg, pose, study.store.manifest["recordings"][0]["scale"]


@pytest.mark.parametrize("name", ["EMBridge", "CPEP"])
def test_an_aligned_run_embeds_raw_windows_as_the_study_does(study, name):
    ids = study.splits.evaluation["in"][:6]
    emg, pose, scale = raw_windows(study, ids)
    made = embridge.load(study.run(name))
    queries = normalize(study.emg_queries(name, ids), dim=-1)
    found = made.encode_emg(emg, scale)
    assert found.shape == ((6, 3, 16) if name == "EMBridge" else (6, 16))
    torch.testing.assert_close(found, queries if name == "EMBridge" else queries[:, 0], **CLOSE)
    poses = normalize(study.pose_embeddings(ids), dim=-1)
    torch.testing.assert_close(made.encode_pose(torch.from_numpy(pose)), poses, **CLOSE)
    # windows differ by far more than the tolerance, so that a constant would not pass
    assert poses.std(0).max() > 0.01 and queries.std(0).max() > 0.01


@pytest.mark.parametrize("how", ["mean", "centred"])
@pytest.mark.parametrize("trained", [False, True])
def test_every_pose_embedding_is_that_of_the_study(study, how, trained):
    size = replace(TINY, model=replace(TINY.model, pose_embedding=how))
    other = Study("ninapro-db1", data=study.data, out=study.out, device="cpu", size=size)
    own = replace(EXPERIMENTS["CPEP"], name="with its poses", pose_trained=trained)
    ids = study.splits.evaluation["in"][:4]
    _, pose, _ = raw_windows(study, ids)
    run = other.run(own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, own.name, own)
        expected = normalize(other.pose_embeddings(ids, own.name), dim=-1)
    torch.testing.assert_close(embridge.load(run).encode_pose(pose), expected, **CLOSE)


def test_an_autoencoder_embeds_its_own_modality_alone(study):
    ids = study.splits.evaluation["in"][:3]
    emg, pose, scale = raw_windows(study, ids)
    of_emg, of_pose = embridge.load(study.run("EMG-MAE")), embridge.load(study.run("Pose-MAE"))
    expected = normalize(study.features("EMG-MAE", ids), dim=-1)
    torch.testing.assert_close(of_emg.encode_emg(emg, scale), expected, **CLOSE)
    torch.testing.assert_close(of_pose.encode_pose(pose), normalize(study.pose_embeddings(ids), dim=-1), **CLOSE)
    with pytest.raises(InputError, match="EMG-MAE embeds EMG alone"):
        of_emg.encode_pose(pose)
    with pytest.raises(InputError, match="Pose-MAE embeds poses alone"):
        of_pose.encode_emg(emg)


def test_the_scale_is_measured_on_the_windows_where_none_is_given(study):
    made = embridge.load(study.run("CPEP"))
    emg, _, scale = raw_windows(study, study.splits.evaluation["in"][:8])
    tail = np.quantile(np.abs(emg - np.median(emg)), 0.9) / 1.645
    torch.testing.assert_close(made.encode_emg(emg), made.encode_emg(emg, float(tail)), rtol=0, atol=1e-5)
    torch.testing.assert_close(made.encode_emg(1e-6 * emg), made.encode_emg(emg), rtol=0, atol=1e-4)  # in any unit
    assert not torch.allclose(made.encode_emg(emg, scale), made.encode_emg(emg, 3 * scale), atol=1e-3)


def test_emg_at_2_khz_is_filtered_a_window_at_a_time(tmp_path):
    """A stored window was filtered with its recording; of the raw one alone the study's own path expects this.

    Of waveforms; test_front_ends.py has log-power.
    """
    study = noise_study(tmp_path, TINY, tokens="waveform")
    windows = study.windows
    made, run = embridge.load(study.run("Q-Former")), study.run("Q-Former")
    emg = study.source.recordings[1].load().emg[:8000].reshape(2, 4000, 8)
    filtered = torch.from_numpy(np.stack([filter_window(window, windows) for window in emg]))
    with torch.inference_mode():
        expected = normalize(run.model.queries(study.reader().scale_emg(filtered)), dim=-1)
    found = made.encode_emg(emg.transpose(0, 2, 1))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    stored = normalize(study.emg_queries("Q-Former", study.splits.evaluation["in"]), dim=-1)
    assert (found * stored).sum(-1).min() > 0.95


@pytest.fixture
def copied(study, tmp_path):
    """A run and its neighbours, as they are copied elsewhere."""
    run = study.run("CPEP")
    shutil.copytree(run.folder, tmp_path / run.folder.name)
    shutil.copytree(study.run("Pose-MAE").folder, tmp_path / study.run("Pose-MAE").folder.name)
    for file in run.folder.parent.glob("*.json"):
        shutil.copy(file, tmp_path)
    return tmp_path / run.folder.name


def test_a_run_works_from_another_place_by_its_folder_alone(study, copied, monkeypatch):
    emg, pose, scale = raw_windows(study, [0, 1])
    here = embridge.load(study.run("CPEP"))
    monkeypatch.chdir(copied.parent)
    for there in (embridge.load(copied), embridge.load(copied.name)):
        assert torch.equal(there.encode_emg(emg, scale), here.encode_emg(emg, scale))
        assert torch.equal(there.encode_pose(pose), here.encode_pose(pose))


@pytest.mark.parametrize("pattern", ["statistics-*.json", "windows-*.json", "pose-mae-*", "cpep-*/weights.safetensors"])
def test_what_is_missing_is_named(copied, pattern):
    (gone,) = copied.parent.glob(pattern)
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(InputError, match=gone.name):
        embridge.load(copied)


def test_a_changed_byte_and_a_changed_shape_are_refused(copied):
    config = copied / "config.json"
    describe = json.loads(config.read_text())
    config.write_text(json.dumps(describe | {"model": describe["model"] | {"d": 32}}))
    with pytest.raises(InputError, match="does not fit the model"):
        embridge.load(copied)
    config.write_text(json.dumps(describe | {"model": describe["model"] | {"code": "import os"}}))
    with pytest.raises(InputError, match="does not describe a ModelConfig"):
        embridge.load(copied)
    config.write_text("{")
    with pytest.raises(InputError, match="not readable JSON"):
        embridge.load(copied)
    config.write_text(json.dumps(describe))
    weights = bytearray((copied / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (copied / "weights.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match="SHA-256 differs"):
        embridge.load(copied)
    with pytest.raises(InputError, match="no finished run"):
        embridge.load(copied.parent)


def test_windows_of_another_shape_or_with_nan_are_refused(study):
    made = embridge.load(study.run("CPEP"))
    emg, pose, _ = raw_windows(study, [0, 1])
    for wrong in (emg[0], emg.transpose(0, 2, 1), emg[:0], emg[:, :, 1:]):
        with pytest.raises(InputError, match=r"raw EMG: expected windows \(B, 10, 100\)"):
            made.encode_emg(wrong)
    with pytest.raises(InputError, match=r"pose: expected windows \(B, 22, 100\)"):
        made.encode_pose(emg)
    pose[1, 3, 7] = np.nan
    with pytest.raises(InputError, match="in 1 of 2 windows, first in 1"):
        made.encode_pose(pose)
    for scale in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="positive scale"):
            made.encode_emg(emg, scale)


def test_a_regressor_and_what_no_study_trained_are_refused(copied):
    config = copied / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"kind": "regressor"}))
    with pytest.raises(InputError, match="is a regressor"):
        embridge.load(copied)
    config.write_text('{"lr": 1}')
    with pytest.raises(InputError, match="does not describe a run of a study"):
        embridge.load(copied)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, embridge; assert not {'torch', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'save'"):
        _ = embridge.save
