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
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from embridge import distributed
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
from embridge.loading import Ahead
from embridge.optimisation import Trainer, learning_rate
from embridge.provenance import provenance

__all__ = ["load_weights", "noise", "order", "set_threads", "train", "weights_hash"]

# Steps between two looks at whether the loss is finite. On a GPU each look waits for the device; a bad step is
# skipped by the optimiser itself in any case.
CHECK_EVERY = {"cpu": 1, "cuda": 50}


def set_threads() -> int:
    """Give torch as many threads as this process may run on, which is less than the machine has in a container.

    OMP_NUM_THREADS may ask for fewer: that is how a sweep and torchrun divide a machine among processes.
    """
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    n = min(n, int(asked)) if asked.isdecimal() and int(asked) else n
    torch.set_num_threads(n)
    return n


def seed_of(*key) -> int:
    """A seed made of a key; SHA-256 rather than hash(), which changes from process to process."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 1


def _generator(*key) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*key))


def noise(seed: int, epoch: int, stream: str, n: int, width: int) -> Tensor:
    """An epoch's uniform numbers in [0, 1) for n samples, (n, width) float32: a function of its arguments alone."""
    return torch.rand(n, width, generator=_generator("noise", seed, epoch, stream))


def order(seed: int, epoch: int, n: int) -> Tensor:
    """The order in which an epoch visits its n samples: a permutation (n,) long."""
    return torch.randperm(n, generator=_generator("order", seed, epoch))


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


def _write_results(folder: Path, model: nn.Module, log: list[dict], steps: int, device: str) -> None:
    """Weights, log and, last, ``done.json``, whose presence says that the run is whole."""
    save_weights(folder, model)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(log[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_atomically(folder / "log.csv", text.getvalue().encode())
    seconds = sum(row["seconds"] for row in log)
    done = {"weights_sha256": weights_hash(model), "seconds": seconds, "steps": steps, **provenance(device)}
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

    task: ``model`` (nn.Module), ``n_samples`` (int), ``load(samples (B,) long, epoch)`` which returns a batch, a dict
    of tensors on the device, and ``loss(batch, n)``, n the size of the global batch, which returns a scalar and a dict
    of scalars to log. Where it has ``validate()``, a float to minimise, this is called after each epoch and the weights
    of the best one are kept; where it has ``seed_step(epoch, step)``, that is called before each step, for dropout.
    describe: JSON-able, all that decides the weights; kept beside them and compared. Returns the log, a dict an epoch:
    epoch, step, lr, loss, the parts, validation, seconds, and those of them waited for data. A finished run is loaded.
    Under torchrun the ranks share each batch, and the first one alone writes.

    Raises InputError (folder in use, not writable, of another configuration; no samples), RuntimeError (a loss
    or gradient that is not finite; the weights have not taken that step), OSError (disk full; the last checkpoint
    stays), KeyboardInterrupt (after a checkpoint).
    """
    folder, model = Path(folder), task.model
    if task.n_samples < 1:
        raise InputError(f"{folder.name}: there is nothing to train on, the list of windows is empty.")
    with locked(folder) if distributed.rank() == 0 else nullcontext():
        if distributed.rank() == 0:
            check_description(folder, describe, write=True)
        distributed.barrier()
        if (folder / "done.json").exists():
            load_weights(folder, model, describe)
            return _read_log(folder / "log.csv")
        if device != "cpu" and hasattr(task, "placement"):
            print(f"{folder.name}: {task.placement}")
        with deferred_interrupt() as interrupted:
            return _loop(task, config, folder, device, progress, checkpoint_seconds, interrupted)


class _Best:
    """The best of the epochs that a task validates, for early stopping; without ``validate`` it stays empty.

    state : None, or a dict of the epoch's number, its validation and the model's weights; it goes into checkpoints.
    """

    def __init__(self, task, config: TrainConfig, device: str):
        self.validate, self.patience, self.device = getattr(task, "validate", None), config.patience, device
        self.state = None

    def look(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Validate an epoch, keep it if it is the best so far; what the log gains. All ranks see the same mean."""
        if self.validate is None:
            return {}
        value = torch.tensor(self.validate(), dtype=torch.float64, device=self.device)
        value = distributed.average({"": value})[""].item()
        if not math.isfinite(value):
            raise RuntimeError(f"The validation of epoch {epoch} is not finite; look for NaN in its windows.")
        if self.state is None or value < self.state["validation"]:
            weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            self.state = {"epoch": epoch, "validation": value, "model": weights}
        return {"validation": value}

    def is_old(self, epoch: int) -> bool:
        """Whether, after so many epochs, the best is as long ago as the configuration's patience."""
        return self.state is not None and self.patience is not None and epoch - self.state["epoch"] >= self.patience


def _loop(task, config, folder, device, progress, checkpoint_seconds, interrupted) -> list[dict]:
    trainer = Trainer(task, config, device)
    model, optimizer = trainer.model, trainer.optimizer
    n, batch = task.n_samples, config.batch_size
    per_epoch = math.ceil(n / batch)
    check_every = CHECK_EVERY.get(torch.device(device).type, 1)

    best, seed_step = _Best(task, config, device), getattr(task, "seed_step", None)

    epoch, step, log, sums, elapsed = 0, 0, [], {}, 0.0  # step: steps done in this epoch; elapsed: their seconds
    state = load_checkpoint(folder)
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        epoch, step, log, elapsed = state["epoch"], state["step"], state["log"], state["elapsed"]
        best.state = state["best"]
        sums = {name: value.to(device) for name, value in state["sums"].items()}

    def save() -> None:
        if distributed.rank() > 0:
            return
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
                "best": best.state,
            },
        )

    def check() -> None:
        if trainer.bad:
            raise RuntimeError(
                f"{folder.name}: the loss or its gradient is not finite in epoch {epoch + 1}, at step {step + 1} of "
                f"{per_epoch}{'' if check_every == 1 else f' or up to {check_every - 1} before'}; the weights have "
                f"not taken that step. Look for NaN in the windows, or lower the learning rate ({config.lr:g})."
            )

    bar = tqdm(
        total=config.epochs * per_epoch,
        initial=epoch * per_epoch + step,
        desc=folder.name,
        disable=not progress or distributed.rank() > 0,
        mininterval=0.5 if sys.stderr.isatty() else 15.0,  # a notebook run by papermill keeps every line
        unit="step",
    )
    saved = began = time.monotonic()
    with bar:
        while epoch < config.epochs and not best.is_old(epoch):
            samples = order(config.seed, epoch, n)
            parts = samples.split(batch)[step:]  # the last one may be ragged, down to one sample
            ahead = Ahead(partial(task.load, epoch=epoch), map(distributed.shard, parts), device)
            for part, loaded in zip(parts, ahead, strict=True):
                if seed_step:
                    seed_step(epoch, step)
                lr = learning_rate(config, epoch + step / per_epoch)
                values = trainer.step(loaded, len(part), lr, check if step % check_every == 0 else None)
                for name, value in values.items():  # tensors: .item() would wait for the device
                    sums[name] = sums.get(name, 0) + value.double() * len(part)
                step += 1
                bar.update()
                if interrupted.is_set() or time.monotonic() - saved > checkpoint_seconds:
                    check()
                    save()
                    saved = time.monotonic()
                    if interrupted.is_set():
                        raise KeyboardInterrupt
            check()
            means = {name: (value / n).item() for name, value in distributed.average(sums).items()}
            means |= best.look(model, epoch + 1)
            now = time.monotonic()
            last_lr = learning_rate(config, epoch + 1 - 1 / per_epoch)
            row = {"epoch": epoch + 1, "step": (epoch + 1) * per_epoch, "lr": last_lr, **means}
            log.append({**row, "seconds": elapsed + now - began, "waited": ahead.waited})
            bar.set_postfix(loss=f"{means['loss']:.4f}", refresh=False)
            epoch, step, sums, elapsed, began = epoch + 1, 0, {}, 0.0, now
    if best.state is not None:
        model.load_state_dict(best.state["model"])
    if distributed.rank() == 0:
        _write_results(folder, model, log, epoch * per_epoch, device)
    distributed.barrier()  # nobody looks for the results before they are there
    return log
