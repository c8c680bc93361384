"""The one loop that trains every stage, and its step (E A.6, METHOD 2).

A run that was killed continues exactly: the weights' SHA-256 equals the uninterrupted run's.
"""

import gc
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from embridge import checkpoint, distributed
from embridge.config import TrainConfig
from embridge.data.batches import Ahead, order
from embridge.errors import InputError, one_of
from embridge.files import write_atomically
from embridge.losses import clamp_temperature
from embridge.parallel import available_cores
from embridge.provenance import provenance

# Steps between two looks at whether the loss is finite. On a GPU each look waits for the device; a bad step is
# skipped by the optimiser itself in any case.
CHECK_EVERY = {"cpu": 1, "cuda": 50}


def set_threads() -> int:
    """Give torch as many threads as this process may run on, which is less than the machine has in a container.

    OMP_NUM_THREADS may ask for fewer: that is how a sweep and torchrun divide a machine among processes.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    n = min(available_cores(), int(asked) if asked.isdecimal() and int(asked) else sys.maxsize)
    torch.set_num_threads(n)
    return n


def autocast(device: str, precision: str) -> torch.autocast:
    """The mixed-precision context of "fp32", "bf16" or "auto": bf16 on a GPU that multiplies in it, else float32.

    "auto" never takes bf16 on a CPU, where our systems gain nothing even with AMX. Wide convolutions do gain, and
    ``long`` asks for "bf16" there; a CPU that would emulate it computes in float32. Measured: docs/speed.md.
    """
    one_of("precision", precision, "auto", "fp32", "bf16")
    kind, bf16 = torch.device(device).type, precision == "bf16"
    if precision == "auto":  # older GPUs would compute it in pieces
        bf16 = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    elif bf16 and kind == "cpu":
        bf16 = any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("_bf16"))
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=bf16)


@contextmanager
def products_in_bf16(enabled: bool) -> Iterator[None]:
    """Where enabled, let products of float32 matrices on a CPU read them as bf16; sums and results stay float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if enabled else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """lr (1 + cos(pi t / period)) / 2 (SGDR) at a time in epochs, 0 <= epoch < config.epochs; or always the same.

    Cosine annealing with warm restarts, t from the last one. The first period is t_0 epochs and each next one t_mult
    times as long. With t_mult 1 and epochs that are no multiple of t_0 there is one period, so that training ends at
    the minimum (METHOD 2).
    """
    one_of("schedule", config.schedule, "cosine", "constant")
    if config.schedule == "constant":
        return config.lr
    period = float(config.t_0)
    if config.t_mult == 1:
        period = period if config.epochs % config.t_0 == 0 else float(config.epochs)
        epoch %= period
    while epoch >= period:
        epoch, period = epoch - period, period * config.t_mult
    return config.lr * 0.5 * (1 + math.cos(math.pi * epoch / period))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """The parameters that train, in two groups: matrices of layers decay; biases, norms, tokens, temperature do not.

    A matrix of a layer is called "weight..." and has two axes or more; tokens and positions have other names.
    """
    decay, rest = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            matrix = parameter.ndim >= 2 and name.rsplit(".", 1)[-1].startswith("weight")
            (decay if matrix else rest).append(parameter)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


class _Loss(nn.Module):
    """A task's loss as a module, which is what torch.compile and DistributedDataParallel take."""

    def __init__(self, task):
        super().__init__()
        self.model, self.task = task.model, task

    def forward(self, batch: dict[str, Tensor], n: int):
        return self.task.loss(batch, n)


class Trainer:
    """A task's model with its optimiser: what one step does, on one device or as one of several ranks.

    ``bad`` is a scalar, 1 once a loss or gradient was not finite; from then on no step is taken.
    """

    def __init__(self, task, config: TrainConfig, device: str = "cpu"):
        self.config, self.device = config, torch.device(device)
        self.model = task.model.to(device).train()
        # fused: one kernel for all parameters, and it skips the step where found_inf says so
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, config.weight_decay), lr=config.lr, fused=True)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.bad = torch.zeros((), device=device)
        self.loss = _Loss(task)
        self.reads_as_bf16 = getattr(task, "reads_as_bf16", False)
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
            # d = 256 is bound by memory and launches: fused kernels are what helps. Two shapes, full and ragged batch.
            self.loss.compile(dynamic=False)
        if distributed.world() > 1:
            # static graph: the same parameters go without a gradient at each step (MPRL's, in a plain Q-Former)
            self.loss = DistributedDataParallel(self.loss, static_graph=True)

    def step(self, batch: dict[str, Tensor], n: int, lr: float, check=None) -> dict[str, Tensor]:
        """One step on this rank's part of a global batch of n samples; the loss and its parts by name, detached.

        Nothing waits for the device. check: called, where given, before the weights change.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with autocast(self.device, self.config.precision):  # a context a step: it caches the weights it has cast
            in_bf16 = self.reads_as_bf16 and torch.is_autocast_enabled("cpu")
            with products_in_bf16(in_bf16):
                loss, parts = self.loss(batch, n)
        self.optimizer.zero_grad()
        with products_in_bf16(in_bf16):
            loss.backward()
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        self.bad = torch.maximum(self.bad, 1 - (torch.isfinite(loss) & torch.isfinite(norm)).float())
        if check is not None:
            check()
        if self.config.clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.config.clip, norm)
        self.optimizer.found_inf = self.bad
        self.optimizer.step()
        clamp_temperature(self.model)
        return {"loss": loss.detach(), **parts}


def forget_compiled() -> None:
    """Free what earlier trainings have compiled and hold on a GPU, for the next one of this process.

    All share the code of a step, which compiles at most 8 ways; and a compiled loss holds its task, with the windows on
    the GPU, in a cycle that only the garbage collector ends.
    """
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


def train(
    task,
    config: TrainConfig,
    folder: Path,
    *,
    describe: dict,
    device: str = "cpu",
    progress: bool = True,
    checkpoint_seconds: float = 30,
) -> list[dict]:
    """Train ``task.model`` in place, resuming what folder holds, and write weights, log and ``done.json`` there.

    task: ``model`` (nn.Module), ``n_samples`` (int), ``load(samples (B,) long, epoch)`` which returns a batch, a dict
    of tensors on the device, and ``loss(batch, n)``, n the size of the global batch, which returns a scalar and a dict
    of scalars to log. Where it has ``validate()``, a float to minimise, this is called after each epoch and the weights
    of the best one are kept; where it has ``seed_step(epoch, step)``, that is called before each step, for dropout.
    describe: JSON-able, all that decides the weights; kept beside them and compared. Returns the log, a dict an epoch:
    epoch, step, lr, loss, the parts, validation, seconds, and those of them waited for data. A finished run is loaded.
    Under torchrun the ranks share each batch, and the first one alone writes.

    Raises InputError (folder in use, not writable, of another configuration; no samples), RuntimeError (a loss
    or gradient that is not finite; the weights have not taken that step), OSError (disk full; the last checkpoint
    stays), KeyboardInterrupt (after a checkpoint; it names the epoch).
    """
    folder, writes = Path(folder), distributed.rank() == 0
    if task.n_samples < 1:
        raise InputError(f"{folder.name}: there is nothing to train on, the list of windows is empty.")
    with checkpoint.locked(folder) if writes else nullcontext():
        if writes:
            checkpoint.check_description(folder, describe, write=True)
        distributed.barrier()
        if (folder / "done.json").exists():
            checkpoint.load_weights(folder, task.model, describe)
            return pd.read_csv(folder / "log.csv").to_dict("records")
        if device != "cpu" and hasattr(task, "placement"):
            print(f"{folder.name}: {task.placement}")
        with deferred_interrupt() as interrupted:
            return _loop(task, config, folder, device, progress, checkpoint_seconds, interrupted)


def _loop(task, config, folder, device, progress, checkpoint_seconds, interrupted) -> list[dict]:
    trainer = Trainer(task, config, device)
    model, optimizer, writes = trainer.model, trainer.optimizer, distributed.rank() == 0
    per_epoch = math.ceil(task.n_samples / config.batch_size)
    check_every = CHECK_EVERY.get(torch.device(device).type, 1)
    validate, seed_step = getattr(task, "validate", None), getattr(task, "seed_step", None)
    best: dict | None = None  # of the epochs that are validated: its number, its validation and the model's weights

    epoch, step, log, sums, elapsed = 0, 0, [], {}, 0.0  # step: steps done in this epoch; elapsed: their seconds
    state = checkpoint.load_checkpoint(folder)
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        epoch, step, log, elapsed = state["epoch"], state["step"], state["log"], state["elapsed"]
        best = state["best"]
        sums = {name: value.to(device) for name, value in state["sums"].items()}

    def save() -> None:
        seconds = elapsed + time.monotonic() - began
        weights = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": best}
        reached = {"epoch": epoch, "step": step, "log": log, "sums": sums, "elapsed": seconds}
        checkpoint.save_checkpoint(folder, weights | reached)

    def check() -> None:
        if trainer.bad:
            raise RuntimeError(
                f"{folder.name}: the loss or its gradient is not finite in epoch {epoch + 1}, at step {step + 1} of "
                f"{per_epoch}{'' if check_every == 1 else f' or up to {check_every - 1} before'}; the weights have "
                f"not taken that step. Look for NaN in the windows, or lower the learning rate ({config.lr:g})."
            )

    def is_over() -> bool:
        patient = best is None or config.patience is None or epoch - best["epoch"] < config.patience
        return epoch >= config.epochs or not patient

    at = {"total": config.epochs * per_epoch, "initial": epoch * per_epoch + step, "desc": folder.name, "unit": "step"}
    seldom = 0.5 if sys.stderr.isatty() else 15.0  # a notebook run by papermill keeps every line
    bar = tqdm(**at, disable=not progress or not writes, mininterval=seldom)
    saved = began = time.monotonic()
    with bar:
        while not is_over():
            samples = order(config.seed, epoch, task.n_samples)
            parts = samples.split(config.batch_size)[step:]  # the last one may be ragged, down to one sample
            ahead = Ahead(partial(task.load, epoch=epoch), map(distributed.shard, parts), device)
            for part, batch in zip(parts, ahead, strict=True):
                if seed_step:
                    seed_step(epoch, step)
                lr = learning_rate(config, epoch + step / per_epoch)
                values = trainer.step(batch, len(part), lr, check if step % check_every == 0 else None)
                for name, value in values.items():  # tensors: .item() would wait for the device
                    sums[name] = sums.get(name, 0) + value.double() * len(part)
                step += 1
                bar.update()
                if interrupted.is_set() or time.monotonic() - saved > checkpoint_seconds:
                    check()
                    if writes:
                        save()
                    saved = time.monotonic()
                    if interrupted.is_set():
                        raise KeyboardInterrupt(f"epoch {epoch + 1}")
            check()
            means = {name: (value / task.n_samples).item() for name, value in distributed.average(sums).items()}
            if validate:
                means["validation"] = value = _mean_over_ranks(validate(), device, epoch + 1)
                if best is None or value < best["validation"]:
                    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
                    best = {"epoch": epoch + 1, "validation": value, "model": weights}
            now = time.monotonic()
            last_lr = learning_rate(config, epoch + 1 - 1 / per_epoch)
            row = {"epoch": epoch + 1, "step": (epoch + 1) * per_epoch, "lr": last_lr, **means}
            log.append({**row, "seconds": elapsed + now - began, "waited": ahead.waited})
            bar.set_postfix({w: f"{means[w]:.4f}" for w in ("loss", "validation") if w in means}, refresh=False)
            epoch, step, sums, elapsed, began = epoch + 1, 0, {}, 0.0, now
    if best:
        model.load_state_dict(best["model"])
    if writes:
        _write_results(folder, model, log, epoch * per_epoch, device)
    distributed.barrier()  # nobody looks for the results before they are there
    return log


def _mean_over_ranks(value: float, device: str, epoch: int) -> float:
    """The same on all ranks, so that all stop at once."""
    value = torch.tensor(value, dtype=torch.float64, device=device)
    value = distributed.average({"": value})[""].item()
    if not math.isfinite(value):
        raise RuntimeError(f"The validation of epoch {epoch} is not finite; look for NaN in its windows.")
    return value


def _write_results(folder: Path, model: nn.Module, log: list[dict], steps: int, device: str) -> None:
    """Weights, log and, last, ``done.json``, whose presence says that the run is whole."""
    checkpoint.save_weights(folder, model)
    write_atomically(folder / "log.csv", pd.DataFrame(log).to_csv(index=False, lineterminator="\n"))
    seconds = sum(row["seconds"] for row in log)
    done = {"weights_sha256": checkpoint.weights_hash(model), "seconds": seconds, "steps": steps, **provenance(device)}
    write_atomically(folder / "done.json", json.dumps(done).encode())
    for name in (checkpoint.CHECKPOINT, checkpoint.PREVIOUS):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event that is looked at between steps, so that a checkpoint never holds half a step.

    A second Ctrl-C interrupts at once. Outside the main thread, where Python allows no handlers, nothing changes.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(*_):
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
    if event.is_set():  # it came after the last step
        raise KeyboardInterrupt
