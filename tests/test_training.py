"""The loop: what a step is, losses that are not finite, schedule, order and noise."""

import math
import os
from dataclasses import replace

import pytest
import torch
from torch import nn
from toy_run import DESCRIBE, MODEL, STEPS, TRAIN, Toy, run

from embridge import training
from embridge.checkpoint import load_checkpoint, weights_hash
from embridge.config import TrainConfig, as_json
from embridge.data.batches import noise, order
from embridge.errors import InputError
from embridge.models import QFormerModel
from embridge.training import learning_rate, parameter_groups


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


# ---- losses that are not finite ---------------------------------------------------------------------------------


class Poisoned(Toy):
    """A toy whose loss, or only its gradient, is not finite at step 4; it keeps the weights' hash at each step."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.hashes = kind, []

    def loss(self, batch, n):
        loss, parts = super().loss(batch, n)
        self.hashes.append(weights_hash(self.model))
        if self.calls == 4:
            bias = self.model.decode_pose.bias
            loss = loss + ((bias * 0).sum().sqrt() if self.kind == "gradient" else bias.sum() * math.inf)
            assert torch.isfinite(loss) == (self.kind == "gradient")
        return loss, parts


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_fault_10_a_loss_that_is_not_finite_stops_before_the_weights_change(folder, kind):
    task = Poisoned(kind)
    with pytest.raises(RuntimeError, match=r"not finite in epoch 1, at step 4 of 6; the weights have not"):
        run(folder, task, checkpoint_seconds=0)
    assert weights_hash(task.model) == task.hashes[3] != task.hashes[2]
    assert all(torch.isfinite(p).all() for p in task.model.parameters())
    assert load_checkpoint(folder)["step"] == 3


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_where_a_look_is_dear_the_optimiser_itself_skips_the_bad_step(folder, kind, monkeypatch):
    monkeypatch.setitem(training.CHECK_EVERY, "cpu", 50)  # as on a GPU
    task = Poisoned(kind)
    with pytest.raises(RuntimeError, match="or up to 49 before"):
        run(folder, task)
    assert task.calls == STEPS  # noticed at the epoch's end
    assert task.hashes[2] != task.hashes[3] == task.hashes[5] == weights_hash(task.model)
    assert load_checkpoint(folder) is None


# ---- what a step is ---------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(folder, uninterrupted):
    assert run(folder) == uninterrupted
    other = replace(TRAIN, seed=4)
    changed = run(folder.with_name("other"), config=other, describe={**DESCRIBE, "train": as_json(other)})
    assert changed[0] != uninterrupted[0]


@pytest.mark.parametrize(("n", "batch"), [(9, 4), (3, 8), (1, 8), (2, 1)])
def test_fault_30_ragged_batches_and_single_samples_train(folder, n, batch):
    config = replace(TRAIN, batch_size=batch)
    task = Toy(n=n, config=config)
    _, log = run(folder, task, config=config)
    assert all(math.isfinite(value) for row in log for value in row.values())
    assert log[-1]["step"] == task.calls == 3 * math.ceil(n / batch)


def test_each_epoch_visits_every_sample_once_and_the_logged_loss_is_their_mean(folder):
    class Counting:
        model, n_samples, seen = nn.Linear(1, 1), 10, []

        def load(self, samples, epoch):
            return {"samples": samples, "epoch": torch.tensor(epoch)}

        def loss(self, batch, n):
            self.seen.append((int(batch["epoch"]), batch["samples"].tolist()))
            return self.model.weight.sum() * 0 + batch["samples"].float().mean(), {}

    _, log = run(folder, Counting(), config=replace(TRAIN, batch_size=4))
    for epoch in range(3):
        batches = [samples for e, samples in Counting.seen if e == epoch]
        assert [len(b) for b in batches] == [4, 4, 2] and sorted(sum(batches, [])) == list(range(10))
    assert Counting.seen[:3] != Counting.seen[3:6]
    assert [row["loss"] for row in log] == pytest.approx([4.5] * 3)


def test_nothing_to_train_on_is_an_error(folder):
    task = Toy()
    task.n_samples = 0
    with pytest.raises(InputError, match="nothing to train on"):
        run(folder, task)


def test_training_learns_moves_the_temperature_and_leaves_the_frozen_tokenizer(folder):
    config = replace(TRAIN, epochs=10, lr=5e-3)
    task = Toy(config=config)
    frozen = {name: p.clone() for name, p in task.model.pose_tokenizer.named_parameters()}
    log = run(folder, task, config=config)[1]
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert task.model.log_scale.item() != pytest.approx(math.log(50), abs=1e-3)
    assert all(torch.equal(frozen[name], p) for name, p in task.model.pose_tokenizer.named_parameters())


def test_the_temperature_stays_at_its_limit(folder):
    task = Toy()
    with torch.no_grad():
        task.model.log_scale.fill_(6.0)
    run(folder, task, config=replace(TRAIN, epochs=1, lr=1e-6))
    assert task.model.log_scale.exp().item() <= 100.001


def test_weight_decay_is_for_matrices_of_layers_only():
    model = QFormerModel(MODEL)
    decay, rest = parameter_groups(model, 0.1)
    assert (decay["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, kept = ({names[id(p)] for p in group["params"]} for group in (decay, rest))
    linear = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    assert decayed == {n for n in linear if not n.startswith("pose_tokenizer")}
    assert {"log_scale", "encoder.cls", "qformer.query_tokens"} <= kept
    assert {"qformer.mask_token", "qformer.norm.weight", "encoder.norm.bias"} <= kept
    assert not any(name.startswith("pose_tokenizer") for name in decayed | kept)
    assert len(decayed | kept) == sum(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_precision_is_what_was_asked_for(folder, monkeypatch, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})  # "auto" is float32 there, too
    seen = []
    task = Toy(before=lambda _: seen.append(torch.is_autocast_enabled("cpu")))
    run(folder, task, config=replace(TRAIN, epochs=1, precision=precision))
    assert seen == [precision == "bf16"] * STEPS
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in task.model.parameters())


@pytest.mark.parametrize("native", [True, False])
def test_a_cpu_that_only_emulates_bf16_computes_in_float32(monkeypatch, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": native})
    with training.autocast("cpu", "bf16"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("asks", [True, False])
def test_float32_is_multiplied_in_bf16_only_within_a_step_that_asks_for_it(folder, monkeypatch, precision, asks):
    """Forward and backward; what is left in float32 of an alignment, its similarities, stays so."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    seen, now = [], torch.get_float32_matmul_precision

    class Task(Toy):
        reads_as_bf16 = asks

        def loss(self, batch, n):
            loss, parts = super().loss(batch, n)
            loss.register_hook(lambda _: seen.append(now()))
            seen.append(now())
            return loss, parts

    before = now()
    run(folder, Task(), config=replace(TRAIN, epochs=1, precision=precision))
    assert seen == ["medium" if asks and precision == "bf16" else before] * 2 * STEPS and now() == before


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_only_emulates_bf16_computes_in_float32(monkeypatch, native):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype, enabled: (kind, enabled))
    assert training.autocast("cuda:0", "auto") == ("cuda", native)
    assert training.autocast("cuda:0", "bf16") == ("cuda", True)


def test_an_unknown_precision_is_refused(folder):
    with pytest.raises(InputError, match="expected auto, fp32 or bf16, found 'fp16'"):
        run(folder, config=replace(TRAIN, precision="fp16"))


# ---- schedule, order, noise -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epochs", "t_mult"), [(20, 1), (40, 1), (40, 2), (30, 2)])
def test_the_schedule_equals_torch_s(epochs, t_mult):
    config = TrainConfig(epochs=epochs, t_mult=t_mult, lr=0.3)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    oracle = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=t_mult)
    optimizer.step()
    for step in range(epochs * 7):
        oracle.step(step / 7)
        assert learning_rate(config, step / 7) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)


def test_the_schedule_s_values():
    config = TrainConfig(epochs=40, lr=2.0)
    values = {0: 2.0, 2.5: 1 + math.sqrt(0.5), 5: 1.0, 7.5: 1 - math.sqrt(0.5), 10: 2.0, 15: 1.0, 30: 2.0}
    assert {e: learning_rate(config, e) for e in values} == pytest.approx(values)
    odd = TrainConfig(epochs=25, lr=2.0)  # no multiple of ten: one period
    assert [learning_rate(odd, e) for e in (0, 10, 12.5)] == pytest.approx([2.0, 1 + math.cos(0.4 * math.pi), 1.0])
    assert learning_rate(TrainConfig(epochs=40, t_mult=2, lr=1.0), 40 - 1e-9) == pytest.approx(0.85, abs=0.01)


@pytest.mark.parametrize("epochs", [1, 20, 25, 40, 100])
def test_every_stage_ends_below_a_hundredth_of_the_peak(epochs):
    config = TrainConfig(epochs=epochs, lr=1e-3)
    steps = 17  # an epoch; quick has about as many
    rates = [learning_rate(config, step / steps) for step in range(epochs * steps)]
    assert rates[0] == 1e-3 == max(rates) and rates[-1] < 1e-5


def test_order_and_noise_depend_on_their_arguments_alone():
    assert torch.equal(order(0, 1, 50), order(0, 1, 50))
    assert sorted(order(0, 1, 50).tolist()) == list(range(50))
    assert not torch.equal(order(0, 1, 50), order(0, 2, 50)) and not torch.equal(order(0, 1, 50), order(1, 1, 50))
    table = noise(0, 1, "mask", 200, 10)
    torch.manual_seed(5)
    assert torch.equal(noise(0, 1, "mask", 200, 10), table)
    assert table.shape == (200, 10) and table.min() >= 0 and table.max() < 1
    assert table.mean().item() == pytest.approx(0.5, abs=0.03)
    for other in (noise(1, 1, "mask", 200, 10), noise(0, 2, "mask", 200, 10), noise(0, 1, "rotation", 200, 10)):
        assert not torch.equal(other, table)


def test_threads_are_those_that_the_process_may_use(monkeypatch):
    before = torch.get_num_threads()
    try:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        assert training.set_threads() == torch.get_num_threads() == len(os.sched_getaffinity(0))
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert training.set_threads() == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
