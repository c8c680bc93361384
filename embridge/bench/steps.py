"""Everything that the benchmark asks of tasks and of the training loop, in one place."""

import time

import numpy as np
import torch
from torch import Tensor

from embridge.bench.textbook import TextbookEMBridge, TextbookMAE, load_ours
from embridge.config import ModelConfig, TrainConfig
from embridge.experiments import EXPERIMENTS
from embridge.loading import Ahead
from embridge.models import QFormerModel, emg_encoder, emg_mae, pose_encoder, pose_mae
from embridge.models.transformer import embedding
from embridge.signals import channel_order
from embridge.tasks import AlignTask, MAETask, Reader, Statistics, encode, measure_statistics
from embridge.training import Trainer, order
from embridge.windows import WindowStore

LR = 1e-3  # quick's; a benchmark's steps stay at the peak
COMMUNITIES = 138  # N_c on emg2pose, E A.6


def statistics(store: WindowStore) -> Statistics:
    """Scales of the store's first windows: enough for a benchmark."""
    return measure_statistics(store, np.arange(min(len(store), 256)))


class InMemory:
    """Stands for a reader, but has normalised all windows beforehand, as a textbook's loop finds its tensors."""

    device = "cpu"

    def __init__(self, reader: Reader):
        self.reader = reader

    def windows(self, modality: str, ids: np.ndarray) -> "_Tensors":
        """The windows ``ids`` of one modality, for a task to take batches of; 0, 1, ..., some of them repeated."""
        return _Tensors(getattr(self.reader, modality)(np.unique(ids)), torch.from_numpy(ids))

    @staticmethod
    def scale_emg(x: Tensor) -> Tensor:
        """A batch as it is."""
        return x

    scale_pose = scale_emg


class _Tensors:
    """Normalised float32 windows in memory, with the interface of ``loading.Windows``."""

    placement = "in memory"

    def __init__(self, x: Tensor, ids: Tensor):
        self.x, self.ids = x, ids

    def take(self, samples: Tensor, shifts: Tensor | None = None, ring: int | None = None) -> Tensor:
        """(B, C, T), channels rolled by ``shifts`` (B,) if given."""
        x = self.x[self.ids[samples]]
        return x if shifts is None else x.gather(1, channel_order(shifts, x.shape[1], ring)[:, :, None].expand_as(x))


class Textbook:
    """A task of ours with the textbook's model in the place of ours: same batches, same weights.

    once: take pose embeddings from the batch instead of computing them.
    """

    def __init__(self, task: MAETask | AlignTask, cfg: ModelConfig, frozen, once: bool):
        self.task, self.load, self.once = task, task.load, once
        aligned = isinstance(task, AlignTask)
        model = TextbookEMBridge(cfg) if aligned else TextbookMAE(cfg, cfg.emg)
        self.model = load_ours(model, task.model, frozen)

    def loss(self, batch: dict[str, Tensor], n: int):
        """As the task's."""
        if isinstance(self.task, MAETask):
            return self.model(batch["windows"], batch["mask"]), {}
        v = batch["v"] if self.once else None
        task = self.task
        return self.model(batch["emg"], batch["pose"], batch["mask"], task.centroids, task.objective, v), {}


def make(
    stage: str,
    cfg: ModelConfig,
    store: WindowStore,
    *,
    n: int,
    batch: int,
    device="cpu",
    precision="fp32",
    memory=False,
):
    """The seeded task of "EMG-MAE", "Pose-MAE" or "EMBridge" on n samples, the store's windows over again.

    store: of the kind that ``cfg`` reads, else ValueError; both encoders have one kind of front end. memory: windows
    normalised in memory instead of stored ones. Returns the task and EMBridge's frozen pose encoder.
    """
    if store.kind != cfg.kind:
        raise ValueError(f"store: expected one of {cfg.kind}, which the network reads, found one of {store.kind}")
    torch.manual_seed(0)
    config = TrainConfig(batch_size=batch, lr=LR, emg_norm="window", precision=precision)
    emg_norm = config.emg_norm if cfg.emg_tokens == "waveform" else cfg.emg_tokens
    stored = Reader(store, store, {"pose": statistics(store)}, emg_norm, device)
    reader = InMemory(stored) if memory else stored
    used = np.arange(min(n, len(store)))
    ids = np.resize(used, n)
    if stage.endswith("-MAE"):
        build, modality = {"EMG-MAE": (emg_mae, "emg"), "Pose-MAE": (pose_mae, "pose")}[stage]
        return MAETask(build(cfg).to(device), reader, ids, modality, config), None
    frozen = pose_encoder(cfg).requires_grad_(False).eval().to(device)
    v = encode(lambda x: embedding(frozen(x), cfg.pose_embedding), stored.pose, used)
    task = AlignTask(
        QFormerModel(cfg, emg_encoder(cfg), frozen).to(device),
        reader,
        ids,
        v[torch.from_numpy(ids)],
        objective=EXPERIMENTS["EMBridge"].objective,
        config=config,
        centroids=torch.randn(COMMUNITIES, cfg.d),
    )
    return task, frozen


class Loop:
    """Steps of a task: ours, or ``plain`` ones as in a textbook (AdamW's defaults, nothing is checked)."""

    def __init__(self, task, config: TrainConfig, device: str = "cpu", *, plain: bool = False):
        self.task, self.config, self.device = task, config, device
        if plain:
            trained = [p for p in task.model.parameters() if p.requires_grad]
            self.optimizer = torch.optim.AdamW(trained, lr=LR, weight_decay=config.weight_decay)
        self.trainer = None if plain else Trainer(task, config, device)

    def batches(self, epoch: int, n: int, ahead: bool = True):
        """An epoch's batches of n samples: read ahead in a thread, or each when it is asked for."""
        read = Ahead(
            lambda part: self.task.load(part, epoch),
            order(self.config.seed, epoch, n).split(self.config.batch_size),
            self.device,
        )
        return read if ahead else map(read.load, read.parts)

    def step(self, batch: dict[str, Tensor]) -> Tensor:
        """One step on a loaded batch; its loss, still on the device."""
        n = self.config.batch_size
        if self.trainer is not None:
            return self.trainer.step(batch, n, LR)["loss"]
        loss, _ = self.task.loss(batch, n)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def turn(self, epoch: int, n: int, ahead: bool = True) -> tuple[float, float, list[float]]:
        """An epoch of n samples: seconds a step, the share of them in which the step waited for data, the losses."""
        batches = self.batches(epoch, n, ahead)
        began = time.perf_counter()
        losses = torch.stack([self.step(batch) for batch in batches]).tolist()  # waits for a GPU
        seconds = time.perf_counter() - began
        return seconds / len(losses), getattr(batches, "waited", 0.0) / seconds, losses
