"""Several devices, one global batch: what each process takes of it, and how their losses become one.

Each process ("rank") takes an equal part of every global batch. DistributedDataParallel averages the ranks' gradients,
so a rank's loss counts by its share of the batch, and what compares windows with each other is gathered first. Started
without torchrun there is one rank and every function here gives back what it was given.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributed as dist

from embridge.errors import InputError

# Others wait while rank 0 cuts windows or clusters poses, which takes hours where NCCL gives up after ten minutes.
PATIENCE = timedelta(days=1)


def world() -> int:
    """Processes that train together; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process among them, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def session(device: str) -> Iterator[str]:
    """Join the processes that torchrun has started, and yield this one's device ("cuda:1", "cpu").

    device: "auto", "cpu" or "cuda". NCCL connects GPUs, gloo processors.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield device
        return
    if absent := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        told = f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {', '.join(absent)} not set: start several processes"
        raise InputError(f"{told} with torchrun (docs/cluster.md), or unset WORLD_SIZE to train in one")
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield device if cuda else "cpu"
    finally:
        dist.destroy_process_group()


def barrier() -> None:
    """Wait until all ranks are here."""
    if world() > 1:
        dist.barrier()


@contextmanager
def first() -> Iterator[None]:
    """Run the body on rank 0, then on the others: what it makes on disk is made once and found by the rest."""
    if rank() > 0:
        barrier()
    yield
    if rank() == 0:
        barrier()


def _sizes(n: int) -> list[int]:
    """The number of n samples that each rank takes."""
    return [n // world() + (r < n % world()) for r in range(world())]


def shard(samples: Tensor) -> Tensor:
    """This rank's part of a global batch (n,); where it has fewer samples than ranks, one that counts for nothing."""
    part = samples.tensor_split(world())[rank()]
    return part if len(part) else samples[:1]


def share(n: int) -> float:
    """The weight of this rank's mean over its part of n samples with which the ranks' average is the mean of all n."""
    return _sizes(n)[rank()] * world() / n


class _AllGather(torch.autograd.Function):
    """Every rank's x (k, d), stacked (W, k, d); the gradient of a rank's x is the sum of what all ranks send to it.

    ``torch.distributed.nn.functional.all_gather`` does so too, but warns in torch 2.13 that it is deprecated, and
    refuses to be compiled; what it points to has no public name.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[rank()]


def gather(x: Tensor, n: int) -> Tensor:
    """The n rows of a global batch, (n, d), from each rank's part of them, in the order of the batch.

    Each rank computes the same loss from them, so the sum over ranks of a row's gradients is as many times too large
    as there are ranks; the average over ranks that follows makes it the single process's.
    """
    if world() == 1:
        return x
    sizes = _sizes(n)
    mine = sizes[rank()]
    padded = F.pad(x[:mine], (0, 0, 0, sizes[0] - mine)).contiguous()  # equal sizes are wanted
    return torch.cat([part[:size] for part, size in zip(_AllGather.apply(padded), sizes, strict=True)])


def average(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each scalar's mean over the ranks."""
    if world() == 1:
        return values
    stacked = torch.stack(list(values.values())) / world()
    dist.all_reduce(stacked)
    return dict(zip(values, stacked, strict=True))
