"""One global batch on several devices: two processes get the single process's losses and weights."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from embridge import distributed
from embridge.errors import InputError

SCRIPT = Path(__file__).with_name("two_processes.py")


def start(folder: Path, ranks: int) -> None:
    """Run the script as torchrun would start it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(ranks):
        env = dict(os.environ, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1")
        env |= {"WORLD_SIZE": str(ranks), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, str(SCRIPT), str(folder)]
        running.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for process in running:
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of one process's and of two processes' runs."""
    folder = tmp_path_factory.mktemp("ranks")
    for ranks in (1, 2):
        start(folder / str(ranks), ranks)
    return folder / "1", folder / "2"


def without_key_biases(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights without the biases of keys.

    Softmax does not see these: their gradient is rounding, which Adam scales up to whole steps.
    """
    found = dict(weights)
    for name, value in weights.items():
        if name.endswith("qkv.bias"):
            q, _, v = value.chunk(3)
            found[name] = torch.cat([q, v])
        elif name.endswith(".kv.bias"):
            found[name] = value.chunk(2)[1]
    return found


@pytest.mark.parametrize("name", ["align-8", "align-43", "mae-8", "mae-43", "pose-8", "pose-43"])
def test_two_processes_get_the_single_process_s_losses_and_weights(trained, name):
    one, two = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for folder in trained)
    assert (one["ranks"], two["ranks"]) == (1, 2)
    assert one["log"][0]["loss"] > one["log"][-1]["loss"]
    for a, b in zip(one["log"], two["log"], strict=True):
        for part in set(a) - {"seconds", "waited"}:
            assert b[part] == pytest.approx(a[part], rel=1e-5, abs=1e-5), part
    one, two = (without_key_biases(load_file(folder / name / "weights.safetensors")) for folder in trained)
    for parameter in one:
        torch.testing.assert_close(two[parameter], one[parameter], rtol=0, atol=1e-5, msg=parameter)


def test_ranks_wait_for_hours_and_not_for_nccl_s_ten_minutes(monkeypatch):
    told = {}
    for name, value in {
        "WORLD_SIZE": "2",
        "RANK": "0",
        "MASTER_ADDR": "here",
        "MASTER_PORT": "1",
    }.items():  # torchrun's
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda backend, **more: told.update(more))
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: told.update(ended=True))
    with distributed.session("cpu") as device:
        assert device == "cpu" and told["timeout"].total_seconds() >= 12 * 3600 and "ended" not in told
    assert told["ended"]


def test_without_torchrun_nothing_changes():
    x = torch.randn(5, 3)
    assert (distributed.world(), distributed.rank(), distributed.share(5)) == (1, 0, 1.0)
    assert distributed.gather(x, 5) is x and torch.equal(distributed.shard(x), x)
    with distributed.session("auto") as device, distributed.first():
        assert device == "auto"


def test_a_cluster_s_world_size_without_torchrun_is_one_sentence(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        InputError, match="WORLD_SIZE is 2, but RANK, .* not set: start several processes with torchrun"
    ):
        with distributed.session("cpu"):
            pass


@pytest.mark.parametrize(("n", "ranks"), [(1, 2), (5, 2), (7, 3), (256, 4), (2, 4)])
def test_shares_add_up_and_shards_cover_the_batch(n, ranks, monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: ranks)
    shards, shares = [], []
    for rank in range(ranks):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shards.append(distributed.shard(torch.arange(n)))
        shares.append(distributed.share(n))
    assert sum(shares) == pytest.approx(ranks)
    assert [len(s) if share else 0 for s, share in zip(shards, shares, strict=True)] == distributed._sizes(n)
    assert torch.cat([s for s, share in zip(shards, shares, strict=True) if share]).tolist() == list(range(n))
