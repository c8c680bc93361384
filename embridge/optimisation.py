"""One step of training: precision, learning rate, weight decay, and the optimiser's own step (E A.6, METHOD 2)."""

import gc
import math

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from embridge import distributed
from embridge.config import TrainConfig
from embridge.errors import InputError
from embridge.losses import clamp_temperature


def autocast(device: str, precision: str) -> torch.autocast:
    """The mixed-precision context of "fp32", "bf16" or "auto": bf16 on a GPU that multiplies in it, else float32.

    Never by itself on a CPU, where it gains nothing even with AMX, and the results would depend on the processor.
    Measured on a core of a Xeon with AMX (torch 2.13), a step in bf16 takes 2.0 times as long as one in float32 for
    EMBridge and 1.2 times for the autoencoders at quick's size, B = 256; 1.0 and 1.2 times at paper size, B = 32.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise InputError(f"precision: expected auto, fp32 or bf16, found {precision!r}.")
    kind = torch.device(device).type
    if precision == "auto":  # older GPUs would compute it in pieces
        bf16 = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        bf16 = precision == "bf16"
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=bf16)


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """Cosine annealing with warm restarts (SGDR) at a time in epochs, 0 <= epoch < config.epochs; or always the same.

    The first period is t_0 epochs and each next one t_mult times as long. With t_mult 1 and epochs that are no
    multiple of t_0 there is one period, so that training ends at the minimum (METHOD 2).
    """
    if config.schedule not in ("cosine", "constant"):
        raise InputError(f"schedule: expected cosine or constant, found {config.schedule!r}.")
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


def forget_compiled() -> None:
    """Free what earlier trainings have compiled and hold on a GPU, for the next one of this process.

    All share the code of a step, which compiles at most 8 ways; and a compiled loss holds its task, with the windows on
    the GPU, in a cycle that only the garbage collector ends.
    """
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


class _Loss(nn.Module):
    """A task's loss as a module, which is what torch.compile and DistributedDataParallel take."""

    def __init__(self, task):
        super().__init__()
        self.model, self.task = task.model, task

    def forward(self, batch: dict[str, Tensor], n: int):
        return self.task.loss(batch, n)


class Trainer:
    """A task's model with its optimiser: what one step does, on one device or as one of several ranks.

    Attributes
    ----------
    bad : scalar, 1 once a loss or gradient was not finite; from then on no step is taken
    """

    def __init__(self, task, config: TrainConfig, device: str = "cpu"):
        self.config, self.device = config, torch.device(device)
        self.model = task.model.to(device).train()
        # fused: one kernel for all parameters, and it skips the step where found_inf says so
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, config.weight_decay), lr=config.lr, fused=True)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.bad = torch.zeros((), device=device)
        self.loss = _Loss(task)
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
            loss, parts = self.loss(batch, n)
        self.optimizer.zero_grad()
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
