"""What a training step takes on this machine: real steps of untrained models on noise, thrown away afterwards."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from embridge.config import ObjectiveConfig, as_json, fingerprint
from embridge.experiments import EXPERIMENTS, Experiment, Run, Study
from embridge.progress import Heartbeat
from embridge.store import arrays_of
from embridge.tasks import Statistics
from embridge.training import Trainer, forget_compiled

NOISE = 8  # windows of noise, over and over: a step does not look at what is in them
FIRST, GROWTH = 4, 4  # windows in the first step on a CPU, and by how much batches grow from there
LIMIT = 1.0  # s that a step on a CPU may take
COMMUNITIES = 138  # N_c on emg2pose, E A.6


@dataclass(frozen=True)
class Step:
    """What one step of a kind of experiment takes.

    Attributes
    ----------
    parameters, trained : numbers of all and of those that train
    weights : bytes of the weights, as they are saved
    checkpoint : bytes of the weights and of the optimiser's two moments
    seconds : a window, of a batch of ``measured`` windows
    measured : windows in the batch that was timed
    fixed, saved : bytes of memory whatever the batch is, and of each of its windows
    """

    parameters: int
    trained: int
    weights: int
    checkpoint: int
    seconds: float
    measured: int
    fixed: int
    saved: float

    def memory(self, batch: int) -> int:
        """Bytes that training takes with batches of so many windows."""
        return round(self.fixed + batch * self.saved)


class Rehearsal(Study):
    """A study of noise, whose systems keep their first weights: it reads no data, trains nothing and writes nothing.

    ``n``: windows in its pre-training split; one more validates.
    """

    def __init__(self, study: Study, n: int):
        where = (study.dataset, study.profile.name, study.seed, study.device, study.data or "", study.out)
        super().__init__(*where, tokens=study.tokens)
        self.profile = study.profile
        self.store = self.store_of(self.profile.model.kind)
        self.splits = SimpleNamespace(
            pretrain=np.arange(n) % NOISE,
            tune={"in": np.array([NOISE])},
            learn_from=lambda ids, what, tuning=False: ids,
        )

    def store_of(self, kind: str) -> SimpleNamespace:
        """Windows of noise in the shape that a store of this kind has."""
        rng = np.random.default_rng(0)
        emg, pose, *_ = (
            rng.standard_normal((NOISE + 1, *shape), np.float32).astype(np.float16)
            for shape in arrays_of(kind, self.windows).values()
        )
        return SimpleNamespace(emg_f16=emg, pose_f16=pose, table=None, kind=kind)

    def statistics_of(self, kind: str) -> Statistics:
        """Those of noise, whatever its kind."""
        shape = self.profile.model
        scales = (((0.0,) * width, (1.0,) * width) for width in (shape.n_joints, shape.n_channels))
        return Statistics(*(value for pair in scales for value in pair))

    def run(self, name: str | Experiment) -> Run:
        """The named experiment's untrained model, as if it were trained."""
        model, _ = self.build(self._known(name))
        return Run(name, "", Path(), model.to(self.device).eval())

    def communities(self, objective: ObjectiveConfig, system: str = "", how: str | None = None) -> np.ndarray:
        """(N_c, d) noise."""
        return torch.randn(COMMUNITIES, self.profile.model.d).numpy()

    def _frozen_embeddings(self, ids, system: str, how: str) -> Tensor:
        return torch.randn(len(ids), self.profile.model.d)


def alike(experiment: Experiment) -> Experiment:
    """The experiment without what changes neither shapes nor work of a step: equal where steps cost the same.

    Soft targets are (B, B) beside encoders of (B, L, d): which ones, and whether there are any, is not told apart; nor
    are batch sizes, schedules and normalisations (``train``), or what embeds poses, which happens before.
    """
    given = experiment.objective
    objective = given and replace(ObjectiveConfig(), tau_learned=given.tau_learned)
    if given and given.lam:
        objective = replace(objective, lam=1.0, mask_ratio=given.mask_ratio, soft_targets="communities", alpha=1.0)
    changes = {
        "about": "",
        "part": "",
        "emg_start": None,
        "pose_start": "Pose-MAE",
        "shuffled": False,
        "paired_fraction": 1.0,
        "epochs": 1.0,
    }
    model = {key: value for key, value in experiment.model.items() if key != "pose_embedding"}
    changes |= {
        "model": model,
        "train": {},
        "windows": {},
        "system": "",
        "param": "",
        "param_value": "",
        "options": "",
        "objective": objective,
    }
    # the name decides which network a regressor is
    return replace(experiment, name=experiment.name if experiment.kind == "regressor" else "", **changes)


def measure_all(study: Study, names: Iterable[str], heartbeat: Heartbeat) -> dict[str, Step]:
    """A step of each named experiment, measured once for those that are :func:`alike`; ``heartbeat`` gets the news."""
    groups: dict[str, tuple[Experiment, int, list[str]]] = {}
    for name in names:
        one = alike(EXPERIMENTS[name])
        # a CPU's time grows with the batch, so that its stage's usual one stands for larger ones; a GPU's does not
        batch = study.configs(one if study.device == "cpu" else EXPERIMENTS[name])[1].batch_size
        groups.setdefault(fingerprint(as_json(one), batch), (one, batch, []))[2].append(name)
    found: dict[str, Step] = {}
    for number, (one, batch, members) in enumerate(groups.values(), 1):
        heartbeat.news = f"measuring steps, {number} of {len(groups)} kinds: {members[0]}"
        found |= dict.fromkeys(members, measure(study, one, batch))
    return found


def measure(study: Study, experiment: Experiment, batch: int) -> Step:
    """Train the experiment's model on noise for some steps of at most ``batch`` windows, and forget it."""
    if study.device != "cpu":
        forget_compiled()
    rehearsal = Rehearsal(study, batch)
    model, make_task = rehearsal.build(experiment)
    model.to(study.device)
    task, config = make_task(), rehearsal.configs(experiment)[1]
    trainer = Trainer(task, config, study.device)

    def step(n: int) -> float:
        loaded = task.load(torch.arange(n), 0)
        _wait(study.device)
        began = time.perf_counter()
        trainer.step(loaded, n, config.lr)
        _wait(study.device)
        return time.perf_counter() - began

    weights = _bytes(model.state_dict().values())
    moments = 2 * _bytes(trainer.parameters)
    common = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in trainer.parameters),
        "weights": weights,
        "checkpoint": weights + moments,
    }
    if study.device != "cpu":
        step(batch)  # compiles
        torch.cuda.reset_peak_memory_stats()
        seconds = min(step(batch) for _ in range(3))
        return Step(**common, seconds=seconds / batch, measured=batch, fixed=torch.cuda.max_memory_allocated(), saved=0)
    n, before = min(FIRST, batch), math.inf
    while True:
        with Saved(model) as saved:  # also the first step of its size, whose memory is new
            step(n)
        seconds = min(step(n), step(n))
        # where time does not grow with the batch yet, as of steps one after another in an LSTM, it says little
        if n == batch or seconds > 4 * LIMIT or (seconds > LIMIT / GROWTH and seconds > before * GROWTH / 2):
            break
        n, before = min(GROWTH * n, batch), seconds
    seconds = min([seconds, *(step(n) for _ in range(min(3, round(LIMIT / seconds))))])
    loaded = _bytes(task.load(torch.arange(n), 0).values())
    fixed = weights + moments + _bytes(trainer.parameters)  # and a gradient each
    return Step(**common, seconds=seconds / n, measured=n, fixed=fixed, saved=(saved.bytes + loaded) / n)


class Saved:
    """Context that sums up what forward passes keep for backward ones, each storage once, without the model's own."""

    def __init__(self, model: torch.nn.Module):
        self.known = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
        self.bytes = 0
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.known:
            self.known.add(storage.data_ptr())  # it lives on until its backward, so none takes its place before
            self.bytes += storage.nbytes()
        return tensor

    def __enter__(self) -> "Saved":
        self.hooks.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self.hooks.__exit__(*error)


def _bytes(tensors) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
