"""Batches: gathered without Python for each window, read ahead, and losses that compile to one graph."""

import threading
import time

import numpy as np
import pytest
import torch

from embridge.config import ModelConfig, ObjectiveConfig, TrainConfig
from embridge.data.batches import Ahead, Reader, Statistics, Windows
from embridge.losses import alignment_loss, pick_queries
from embridge.models import CPEP, MAE, QFormerModel, emg_encoder, pose_encoder, transformer
from embridge.objectives import AlignTask, MAETask

MODEL = ModelConfig(
    n_channels=10,
    n_joints=3,
    window=40,
    sample_rate=1,
    emg_patch=4,
    pose_patch=8,
    d=16,
    n_layers=2,
    n_decoder_layers=1,
    n_heads=2,
    n_queries=4,
)
TRAIN = TrainConfig(batch_size=6, ring=8)


class Store:
    """Two arrays, as a window store maps them."""

    def __init__(self, n=30):
        rng = np.random.default_rng(0)
        self.emg_f16 = rng.standard_normal((n, 10, 40)).astype(np.float16)
        self.pose_f16 = rng.standard_normal((n, 3, 40)).astype(np.float16)


def reader():
    store = Store()
    return Reader(store, store, {"pose": Statistics((0.1,) * 3, (1.2,) * 3, (0.0,) * 10, (1.0,) * 10)}, "channel")


def tasks():
    ids, train = np.arange(5, 25), TRAIN
    objective = ObjectiveConfig(soft_targets="communities", alpha=1.0, lam=1.0)
    align = dict(config=train, centroids=np.random.default_rng(1).standard_normal((4, 16), np.float32))
    v = torch.randn(20, 16)
    return {
        "emg": MAETask(MAE(emg_encoder(MODEL), MODEL), reader(), ids, "emg", train),
        "pose": MAETask(MAE(pose_encoder(MODEL), MODEL), reader(), ids, "pose", train),
        "cpep": AlignTask(CPEP(MODEL), reader(), ids, v, objective=ObjectiveConfig(symmetric=True), **align),
        "embridge": AlignTask(QFormerModel(MODEL), reader(), ids, v, objective=objective, **align),
    }


def test_a_batch_holds_the_windows_asked_for_with_their_ring_rolled():
    store, ids = Store(), np.array([7, 3, 9, 28])
    windows = Windows(store.emg_f16, ids)
    samples, shifts = torch.tensor([3, 0, 0, 2]), torch.tensor([1, 0, -1, 5])
    assert torch.equal(windows.take(samples), torch.from_numpy(store.emg_f16[ids[samples]]))
    rolled = windows.take(samples, shifts, ring=8)
    for i, (sample, shift) in enumerate(zip(samples.tolist(), shifts.tolist(), strict=True)):
        x = torch.from_numpy(store.emg_f16[ids[sample]])
        assert torch.equal(rolled[i, :8], x[:8].roll(shift, 0)) and torch.equal(rolled[i, 8:], x[8:])


def test_similarities_and_soft_targets_stay_in_float32_under_mixed_precision():
    """The encoders multiply in bf16, the loss of what they give does not: its 8 bits would move logits and ranks."""
    for name in ("cpep", "embridge"):
        task = tasks()[name]
        batch = task.load(torch.arange(20), 0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _, parts = task.loss(batch, 20)
            queries = task.model.query(task.model.encode(task.reader.scale_emg(batch["emg"])))
        u = pick_queries(queries, batch["v"])
        _, exact = alignment_loss(u, batch["v"], task.model.log_scale, task.objective, task.centroids)
        assert all(torch.equal(parts[kind], value) for kind, value in exact.items())


def test_a_batch_is_its_samples_whatever_stands_beside_them():
    """Rotation and masks follow the sample: neither batches nor ranks nor reading ahead change them."""
    for task in tasks().values():
        whole = task.load(torch.arange(20), 3)
        some = task.load(torch.tensor([4, 17]), 3)
        assert all(torch.equal(some[name], whole[name][[4, 17]]) for name in whole)
        assert not all(torch.equal(task.load(torch.arange(20), 4)[name], whole[name]) for name in whole)


def test_reading_ahead_keeps_the_order_and_stays_one_batch_ahead():
    parts, seen, threads = list(torch.arange(12).split(5)), [], set()

    def load(part):
        seen.append(part.tolist())
        threads.add(threading.current_thread())
        return {"x": part * 2}

    ahead = Ahead(load, parts, "cpu")
    for i, batch in enumerate(ahead):
        assert torch.equal(batch["x"], parts[i] * 2)
        time.sleep(0.02)
        assert len(seen) == min(i + 2, 3)  # the next one, and no more
    assert seen == [part.tolist() for part in parts] and threading.current_thread() not in threads
    assert ahead.waited < 0.03


def test_what_fails_while_reading_ahead_is_raised_where_the_batch_is_used():
    def load(part):
        if part[0] == 2:
            raise OSError("the disk is gone")
        return {"x": part}

    used = []
    with pytest.raises(OSError, match="the disk is gone"):
        for batch in Ahead(load, torch.arange(4).split(1), "cpu"):
            used.append(int(batch["x"]))
    assert used == [0, 1]


def test_nothing_to_read_is_no_batch():
    assert list(Ahead(lambda part: {}, [], "cpu")) == []


@pytest.mark.no_cover  # tracing the compiler takes longer than compiling
@pytest.mark.parametrize("name", ["emg", "cpep", "embridge"])  # pose's autoencoder is emg's with other shapes
def test_a_loss_and_its_gradients_compile_to_one_graph(name, monkeypatch):
    """What torch.compile does on a GPU, with the part that generates code left out: a graph break would raise."""
    monkeypatch.setattr(transformer, "FEW_TOKENS", 0)  # only on a CPU is attention written out
    task = tasks()[name]
    batch = task.load(torch.arange(6), 0)
    plain = task.loss(batch, 6)[0]
    plain.backward()
    expected = {key: p.grad.clone() for key, p in task.model.named_parameters() if p.grad is not None}
    task.model.zero_grad()
    compiled = torch.compile(task.loss, fullgraph=True, dynamic=False, backend="aot_eager")
    loss, _ = compiled(batch, 6)
    loss.backward()
    torch.testing.assert_close(loss, plain)
    # float32 rounds by the largest terms of a sum, which may cancel in a small gradient
    scale = max(grad.abs().max().item() for grad in expected.values())
    for key, p in task.model.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(p.grad, expected[key], rtol=1e-4, atol=1e-5 * scale, msg=key)
