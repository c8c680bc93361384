"""A run's files: rotten, foreign and malicious ones are refused, finished ones load, locks."""

import csv
import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from toy_run import DESCRIBE, MODEL, STEPS, TRAIN, Toy, half_done, run

from embridge.checkpoint import check_description, load_checkpoint, load_weights, locked, save_checkpoint, weights_hash
from embridge.config import as_json
from embridge.errors import InputError
from embridge.files import write_atomically
from embridge.models import CPEP, QFormerModel
from embridge.training import learning_rate


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The hash and log of a run that nothing disturbed."""
    return run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "läuft mit Lücke" / "toy"


# ---- files ------------------------------------------------------------------------------------------------------


def test_fault_05_a_truncated_checkpoint_falls_back_and_says_so(folder, uninterrupted):
    half_done(folder)
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    task = Toy()
    with pytest.warns(UserWarning, match=r"checkpoint\.pt is not used \(its checksum"):
        assert run(folder, task) == uninterrupted
    assert task.calls == 3 * STEPS - 8


def test_a_rotten_byte_in_both_checkpoints_starts_over(folder, uninterrupted):
    half_done(folder)
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
    task = Toy()
    with pytest.warns(UserWarning, match="not used") as warned:
        assert run(folder, task) == uninterrupted
    assert len(warned) == 2 and task.calls == 3 * STEPS


def test_a_bad_checkpoint_never_takes_the_good_one_s_place(folder):
    half_done(folder)
    (folder / "checkpoint.pt").write_bytes(b"rotten")
    with pytest.warns(UserWarning, match="not used"):
        half_done(folder, 2)  # one more step, and so one more save
    (folder / "checkpoint.pt").unlink()
    state = load_checkpoint(folder)
    assert (state["epoch"], state["step"]) == (1, 2)


def test_a_missing_checkpoint_between_two_renames_is_no_loss(folder, uninterrupted):
    half_done(folder)
    (folder / "checkpoint.pt").unlink()
    assert run(folder) == uninterrupted


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path("touched-by-a-pickle"),)


def test_fault_28_a_malicious_checkpoint_runs_no_code(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder.mkdir(parents=True)
    save_checkpoint(folder, {"model": Malicious()})  # its checksum is right
    with pytest.warns(UserWarning, match=r"not used \(.*[Ww]eights"):
        assert load_checkpoint(folder) is None
    assert not Path("touched-by-a-pickle").exists()
    buffer = io.BytesIO()
    torch.save(Malicious(), buffer)
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert Path("touched-by-a-pickle").exists()  # so the test can fail


def test_a_checkpoint_holds_tensors_and_plain_values_only(folder):
    half_done(folder)
    plain = (dict, list, tuple, str, int, float, bool, type(None), torch.Tensor)

    def check(value):
        assert isinstance(value, plain), type(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
            check(item)

    check(load_checkpoint(folder))


def test_a_finished_run_leaves_weights_log_and_done_and_is_not_trained_again(folder, uninterrupted):
    assert run(folder) == uninterrupted
    names = {"config.json", "done.json", "lock", "log.csv", "weights.safetensors"}
    assert {p.name for p in folder.iterdir()} == names
    done = json.loads((folder / "done.json").read_text())
    assert done["weights_sha256"] == uninterrupted[0] and done["steps"] == 3 * STEPS and done["seconds"] > 0
    with open(folder / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "lr", "loss", "info_nce", "soft", "mprl", "seconds", "waited"]
    assert [(r["epoch"], r["step"]) for r in rows] == [("1", "6"), ("2", "12"), ("3", "18")]
    for row in rows:
        parts = sum(float(row[name]) for name in ("info_nce", "soft", "mprl"))
        assert float(row["loss"]) == pytest.approx(parts)
        assert float(row["lr"]) == learning_rate(TRAIN, int(row["epoch"]) - 1 / STEPS)
    again = Toy()
    assert run(folder, again) == uninterrupted and again.calls == 0


def test_weights_load_into_a_fresh_model(folder, uninterrupted):
    run(folder)
    torch.manual_seed(99)
    model = QFormerModel(MODEL)
    load_weights(folder, model, DESCRIBE)
    assert weights_hash(model) == uninterrupted[0]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has UTF-8 names alone")
def test_a_folder_whose_name_is_no_utf8_is_as_any_other(tmp_path, uninterrupted):
    folder = tmp_path / os.fsdecode("café".encode("latin-1"))  # of an old disk
    run(folder)
    model = QFormerModel(MODEL)
    load_weights(folder, model, DESCRIBE)
    assert weights_hash(model) == uninterrupted[0]


def test_fault_27_another_configuration_is_named(folder):
    run(folder)
    other = replace(MODEL, d=32)
    with pytest.raises(InputError, match=r"another configuration: model\.d expected 32, found 16\."):
        load_weights(folder, QFormerModel(other), {**DESCRIBE, "model": as_json(other)})
    with pytest.raises(InputError, match=r"train\.lr expected 1\.0, found 0\.01"):
        run(folder, describe={**DESCRIBE, "train": as_json(replace(TRAIN, lr=1.0))})


def test_fault_27_another_architecture_is_refused_even_where_the_configuration_agrees(folder):
    run(folder)
    with pytest.raises(InputError, match=r"weights\.safetensors does not fit the model"):
        load_weights(folder, CPEP(MODEL), DESCRIBE)


def test_weights_that_rotted_or_are_missing_are_refused(folder):
    with pytest.raises(InputError, match=r"holds no config\.json"):
        load_weights(folder, QFormerModel(MODEL), DESCRIBE)
    run(folder)
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="SHA-256 differs"):
        load_weights(folder, QFormerModel(MODEL), DESCRIBE)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="does not fit the model"):
        load_weights(folder, QFormerModel(MODEL), DESCRIBE)
    path.unlink()
    with pytest.raises(InputError, match="no finished run"):
        load_weights(folder, QFormerModel(MODEL), DESCRIBE)


def test_a_description_that_is_not_json_is_named(folder):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="not readable JSON"):
        check_description(folder, DESCRIBE)


def test_a_folder_that_cannot_be_made_is_an_error_at_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    task = Toy()
    with pytest.raises(InputError, match="Cannot write to .*file"):
        run(tmp_path / "file" / "run", task)
    assert task.calls == 0


def test_the_lock_is_free_again_after_an_error(folder):
    with pytest.raises(RuntimeError, match="inside"), locked(folder):
        raise RuntimeError("inside")
    with locked(folder), pytest.raises(InputError, match=f"in use by process {os.getpid()}"), locked(folder):
        pass


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match=r"file: 3 bytes needed, but No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_hash_sees_names_shapes_and_single_bits():
    model = nn.Linear(2, 3)
    before = weights_hash(model)
    assert weights_hash(model) == before and len(before) == 64
    with torch.no_grad():
        model.weight[0, 0] = torch.nextafter(model.weight[0, 0], torch.tensor(9.0))
    assert weights_hash(model) != before
