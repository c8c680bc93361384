"""The one loop that trains every stage, and what it is made of (E A.6, METHOD 2).

Order and noise are functions of (seed, epoch, sample) and never of what ran before, so a run that was killed
continues exactly: the weights' SHA-256 equals the uninterrupted run's.
"""

import csv
import hashlib
import io
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from embridge.checkpoint import (
    check_description,
    load_checkpoint,
    load_weights,
    locked,
    remove_checkpoints,
    save_checkpoint,
    save_weights,
    weights_hash,
    write_atomically,
)
from embridge.config import TrainConfig
from embridge.errors import InputError
from embridge.losses import clamp_temperature

__all__ = ["load_weights", "noise", "order", "set_threads", "train", "weights_hash"]

# Steps between two looks at whether the loss is finite. On a GPU each look waits for the device; a bad step is
# skipped by the optimiser itself in any case.
CHECK_EVERY = {"cpu": 1, "cuda": 50}


def set_threads() -> int:
    """Give torch as many threads as this process may run on, which is less than the machine has in a container."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(n)
    return n


def autocast(device: str, precision: str) -> torch.autocast:
    """The mixed-precision context of "fp32", "bf16" or "auto", which is bf16 on a GPU and fp32 on a CPU.

    Measured at quick's size on a CPU without bf16 instructions (Xeon, AVX-512, B = 256, torch 2.13): bf16 costs 2.4
    times the CPU time for EMG-MAE and 2.5 times for CPEP; with AMX it gained no more than 11-24 %.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise InputError(f"precision: expected auto, fp32 or bf16, found {precision!r}.")
    kind = torch.device(device).type
    bf16 = precision == "bf16" or (precision == "auto" and kind != "cpu")
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=bf16)


def _generator(*key) -> torch.Generator:
    """A generator seeded by a key; SHA-256 rather than hash(), which changes from process to process."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def noise(seed: int, epoch: int, stream: str, n: int, width: int) -> Tensor:
    """An epoch's uniform numbers in [0, 1) for n samples, (n, width) float32: a function of its arguments alone."""
    return torch.rand(n, width, generator=_generator("noise", seed, epoch, stream))


def order(seed: int, epoch: int, n: int) -> Tensor:
    """The order in which an epoch visits its n samples: a permutation (n,) long."""
    return torch.randperm(n, generator=_generator("order", seed, epoch))


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """Cosine annealing with warm restarts (SGDR) at a time in epochs, 0 <= epoch < config.epochs.

    The first period is t_0 epochs and each next one t_mult times as long. With t_mult 1 and epochs that are no
    multiple of t_0 there is one period, so that training ends at the minimum (METHOD 2).
    """
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


def _write_results(folder: Path, model: nn.Module, log: list[dict], steps: int) -> None:
    """Weights, log and, last, ``done.json``, whose presence says that the run is whole."""
    save_weights(folder, model)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(log[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_atomically(folder / "log.csv", text.getvalue().encode())
    seconds = sum(row["seconds"] for row in log)
    done = {"weights_sha256": weights_hash(model), "seconds": seconds, "steps": steps}
    write_atomically(folder / "done.json", json.dumps(done).encode())
    remove_checkpoints(folder)


def _read_log(path: Path) -> list[dict]:
    """The rows as they were written: counts are int, the rest float."""
    with open(path, newline="", encoding="utf-8") as file:
        return [
            {name: int(value) if name in ("epoch", "step") else float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


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

    task: ``model`` (nn.Module), ``n_samples`` (int), ``loss(samples (B,) long on the CPU, epoch)`` which returns a
    scalar and a dict of scalars to log. describe: JSON-able, all that decides the weights; kept beside them and
    compared. Returns the log, a dict an epoch: epoch, step, lr, loss, the parts, seconds. A finished run is loaded.

    Raises InputError (folder in use, not writable, of another configuration; no samples), RuntimeError (a loss
    or gradient that is not finite; the weights have not taken that step), OSError (disk full; the last checkpoint
    stays), KeyboardInterrupt (after a checkpoint).
    """
    folder, model = Path(folder), task.model
    if task.n_samples < 1:
        raise InputError(f"{folder.name}: there is nothing to train on, the list of windows is empty.")
    with locked(folder):
        check_description(folder, describe, write=True)
        if (folder / "done.json").exists():
            load_weights(folder, model, describe)
            return _read_log(folder / "log.csv")
        with deferred_interrupt() as interrupted:
            return _loop(task, config, folder, device, progress, checkpoint_seconds, interrupted)


def _loop(task, config, folder, device, progress, checkpoint_seconds, interrupted) -> list[dict]:
    model = task.model.to(device).train()
    # fused: one kernel for all parameters, and it skips the step where found_inf says so
    optimizer = torch.optim.AdamW(parameter_groups(model, config.weight_decay), lr=config.lr, fused=True)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    n, batch = task.n_samples, config.batch_size
    per_epoch = math.ceil(n / batch)
    check_every = CHECK_EVERY.get(torch.device(device).type, 1)

    epoch, step, log, sums, elapsed = 0, 0, [], {}, 0.0  # step: steps done in this epoch; elapsed: their seconds
    state = load_checkpoint(folder)
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        epoch, step, log, elapsed = state["epoch"], state["step"], state["log"], state["elapsed"]
        sums = {name: value.to(device) for name, value in state["sums"].items()}
    bad = torch.zeros((), device=device)  # 1 once a loss or gradient was not finite; from then on no step is taken

    def save() -> None:
        save_checkpoint(
            folder,
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch,
                "step": step,
                "log": log,
                "sums": sums,
                "elapsed": elapsed + time.monotonic() - began,
            },
        )

    def check() -> None:
        if bad:
            raise RuntimeError(
                f"{folder.name}: the loss or its gradient is not finite in epoch {epoch + 1}, at step {step + 1} of "
                f"{per_epoch}{'' if check_every == 1 else f' or up to {check_every - 1} before'}; the weights have "
                f"not taken that step. Look for NaN in the windows, or lower the learning rate ({config.lr:g})."
            )

    bar = tqdm(
        total=config.epochs * per_epoch,
        initial=epoch * per_epoch + step,
        desc=folder.name,
        disable=not progress,
        mininterval=0.5 if sys.stderr.isatty() else 15.0,  # a notebook run by papermill keeps every line
        unit="step",
    )
    saved = began = time.monotonic()
    with bar:
        while epoch < config.epochs:
            samples = order(config.seed, epoch, n)
            while step < per_epoch:
                part = samples[step * batch : (step + 1) * batch]  # the last one may be ragged, down to one sample
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(config, epoch + step / per_epoch)
                with autocast(device, config.precision):  # a context a step: it caches the weights it has cast
                    loss, parts = task.loss(part, epoch)
                optimizer.zero_grad()
                loss.backward()
                norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
                bad = torch.maximum(bad, 1 - (torch.isfinite(loss) & torch.isfinite(norm)).float())
                if step % check_every == 0:
                    check()
                optimizer.found_inf = bad
                optimizer.step()
                clamp_temperature(model)
                for name, value in {"loss": loss, **parts}.items():  # tensors: .item() would wait for the device
                    sums[name] = sums.get(name, 0) + value.detach().double() * len(part)
                step += 1
                bar.update()
                if interrupted.is_set() or time.monotonic() - saved > checkpoint_seconds:
                    check()
                    save()
                    saved = time.monotonic()
                    if interrupted.is_set():
                        raise KeyboardInterrupt
            check()
            now = time.monotonic()
            means = {name: (value / n).item() for name, value in sums.items()}
            last_lr = learning_rate(config, epoch + 1 - 1 / per_epoch)
            row = {"epoch": epoch + 1, "step": (epoch + 1) * per_epoch, "lr": last_lr, **means}
            log.append({**row, "seconds": elapsed + now - began})
            bar.set_postfix(loss=f"{means['loss']:.4f}", refresh=False)
            epoch, step, sums, elapsed, began = epoch + 1, 0, {}, 0.0, now
    _write_results(folder, model, log, config.epochs * per_epoch)
    return log
