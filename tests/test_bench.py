"""The benchmark: its baseline computes what ours does, its bookkeeping is right. Nothing here asserts on time."""

import csv
import functools
import json
import math
import mmap
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from embridge.bench import data, gpu, ladder, report, scaling
from embridge.bench.data import Reading, subset
from embridge.bench.ledger import count, operators, product_seconds
from embridge.bench.measure import PeakMemory, Row, exponent, interleave, machine, ratio
from embridge.bench.steps import make
from embridge.bench.textbook import TextbookEMBridge, TextbookMAE, load_ours, pairs
from embridge.bench.workers import NAMES, Worker, speed_settings
from embridge.config import ModelConfig, ObjectiveConfig, WindowConfig
from embridge.losses import alignment_loss, pick_queries
from embridge.models import QFormerModel, emg_encoder, emg_mae, pose_encoder, transformer
from embridge.recordings.emg2pose import open_emg2pose
from embridge.windows import build_store

CFG = ModelConfig(
    n_channels=3, n_joints=2, window=42, emg_patch=0.002, pose_patch=0.004, d=16, n_layers=3, n_decoder_layers=2,
    n_heads=2, n_queries=4,
)  # fmt: skip
BINNED = replace(
    CFG, window=1600, emg_tokens="log-power", pose_tokens="frames", emg_patch=0.1, pose_patch=0.2, positions="learned"
)
TINY = ModelConfig(window=400, emg_patch=0.02, pose_patch=0.04, d=16, n_layers=2, n_decoder_layers=1, n_heads=2)
FEATURES = replace(TINY, emg_tokens="log-power", pose_tokens="frames", emg_patch=0.025, pose_patch=0.05)
OBJECTIVE = ObjectiveConfig(soft_targets="communities", alpha=1.0, lam=1.0, k_c=2)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Seeded, and tiny steps on one thread: two would wait for each other."""
    threads = torch.get_num_threads()
    for module in (data, ladder):
        monkeypatch.setattr(module, "set_threads", lambda: None)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def source(dataset):
    return open_emg2pose(dataset)


@pytest.fixture(scope="module")
def stores(source, tmp_path_factory):
    """Windows of 0.2 s from the little emg2pose folder, a store of each kind."""
    config, folder = WindowConfig(window=400, stride_train=400, stride_eval=400), tmp_path_factory.mktemp("stores")
    return {kind: build_store(source, config, folder, kind, workers=1, progress=False) for kind in data.KINDS}


@pytest.fixture
def store(stores):
    """The one of waveforms."""
    return stores["waveform"]


# ---- the textbook's networks ----------------------------------------------------------------------------------------


def assert_same_gradients(theirs, ours, frozen=None):
    """Every gradient agrees to 1e-5 of the largest of its parameter, and no parameter is forgotten."""
    compared = {id(b): (a, rows, b) for a, rows, b in pairs(theirs, ours, frozen) if a.requires_grad}
    assert set(compared) == {id(p) for p in ours.parameters() if p.requires_grad}
    for a, rows, b in compared.values():
        assert (a.grad[rows] - b.grad).abs().max() <= 1e-5 * max(1.0, b.grad.abs().max())


@pytest.mark.parametrize("cfg", [CFG, BINNED], ids=["waveform", "log-power, learned positions"])
def test_the_textbook_mae_has_our_loss_and_gradients(cfg):
    ours = emg_mae(cfg)
    theirs = load_ours(TextbookMAE(cfg, cfg.emg), ours)
    x, noise = torch.randn(6, 3, cfg.emg.steps), torch.rand(6, cfg.emg.n_tokens)
    losses = ours(x, noise), theirs(x, noise)
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    for loss in losses:
        loss.backward()
    assert_same_gradients(theirs, ours)


@pytest.mark.parametrize("cfg", [CFG, BINNED], ids=["waveform", "log-power, learned positions"])
@pytest.mark.parametrize("once", [True, False], ids=["v given", "v in the loop"])
def test_the_textbook_embridge_has_our_loss_and_gradients(cfg, once):
    frozen = pose_encoder(cfg).requires_grad_(False)
    ours = QFormerModel(cfg, emg_encoder(cfg), frozen)
    torch.nn.init.uniform_(
        ours.qformer.query_norm.weight, 0.5, 1.5
    )  # one that does not train yet would hide a missing norm
    theirs = load_ours(TextbookEMBridge(cfg), ours, frozen)
    x, pose = torch.randn(6, 3, cfg.emg.steps), torch.randn(6, 2, cfg.pose.steps)
    noise, centroids = torch.rand(6, cfg.pose.n_tokens), torch.randn(5, 16)
    v, emg = frozen(pose)[:, 0], ours.encode(x)
    queries = ours.query(emg)
    loss, _ = alignment_loss(pick_queries(queries, v), v, ours.log_scale, OBJECTIVE, centroids)
    loss = loss + OBJECTIVE.lam * ours.mprl(queries, pose, noise, OBJECTIVE.mask_ratio, emg)
    other = theirs(x, pose, noise, centroids, OBJECTIVE, v if once else None)
    assert loss.item() == pytest.approx(other.item(), rel=1e-5)
    loss.backward()
    other.backward()
    assert_same_gradients(theirs, ours, frozen)
    assert not any(p.requires_grad for p in theirs.pose_encoder.parameters())


def test_a_rung_that_skipped_a_stage_takes_the_same_steps_in_the_next(store):
    turns = []
    for stages in (("EMG-MAE", "EMBridge"), ("EMBridge",)):
        variant = ladder.Variant("layout", TINY, store.path, 4, 2)
        turns.append([variant(stage)[2] for stage in stages][-1])
    assert turns[0] == pytest.approx(turns[1], rel=1e-6)


@pytest.mark.parametrize("cfg", [TINY, FEATURES], ids=["waveform", "features"])
@pytest.mark.parametrize("stage", ladder.STAGES)
def test_every_rung_of_the_ladder_has_the_same_losses(stores, stage, cfg):
    found = {}
    for rung in ladder.LADDER:
        variant = ladder.Variant(rung.name, cfg, stores[cfg.kind].path, 4, 2)
        found[rung.name] = [*variant(stage)[2], *variant(stage)[2]]
    assert found.pop("bf16")[0] == pytest.approx(found["textbook"][0], rel=2e-2)
    for name, losses in found.items():
        assert losses == pytest.approx(found["textbook"], rel=1e-4), name
    assert len(set(found["store"])) == 4, "each step sees another batch"


def test_a_network_does_not_read_a_store_of_another_kind(store):
    with pytest.raises(ValueError, match="expected one of features, which the network reads, found one of waveform"):
        make("EMG-MAE", FEATURES, store, n=4, batch=2)


def test_attention_and_errors_are_written_out_from_their_rungs_on_and_as_usual_afterwards(store, monkeypatch):
    seen, attend, usual = [], transformer.attend, (transformer.FEW_TOKENS, transformer.WIDE)

    def spy(*arguments):
        seen.append((transformer.FEW_TOKENS > 0, transformer.WIDE < math.inf))
        return attend(*arguments)

    monkeypatch.setattr(transformer, "attend", spy)
    expected = {"layout": (False, False), "attention": (True, False), "error": (True, True), "store": (True, True)}
    for name, switches in expected.items():
        seen.clear()
        ladder.Variant(name, TINY, store.path, 4, 2)("EMBridge")
        assert set(seen) == {switches} and usual == (transformer.FEW_TOKENS, transformer.WIDE)


def test_rungs_that_do_not_apply_are_left_out(monkeypatch):
    monkeypatch.setattr(ladder, "has_bf16", lambda: False)
    expected = ["textbook", "passive", "buffers", "pages", "layout", "attention", "error", "loop", "store"]
    assert [r.name for r in ladder.rungs("EMG-MAE", TINY)] == expected
    monkeypatch.setattr(ladder, "has_bf16", lambda: True)
    assert [r.name for r in ladder.rungs("EMBridge", TINY)] == ladder.NAMES
    assert {*ladder.NAMES} - {r.name for r in ladder.rungs("EMBridge", FEATURES)} == {"error"}, "no patch is wide"


def test_ours_is_the_step_that_trains_and_not_bf16(monkeypatch):
    monkeypatch.setattr(ladder, "has_bf16", lambda: True)
    seconds = {"textbook": 4.0, "bf16": 0.5}

    def worker(name, stage, anatomy=False):
        return (10**9, 0.5, []) if anatomy else (seconds.get(name, 2.0), 0.0, [1.0, 1.0])

    workers = {name: functools.partial(worker, name) for name in ladder.NAMES}
    found = {row.what: row.value for row in ladder._stage_rows(ladder.LADDER, "EMBridge", workers, 3, "EMBridge", 2)}
    assert found["EMBridge: all of it"] == 2 and found["EMBridge: bf16"] == 4


def test_a_gpu_stage_is_measured_on_whatever_device_there_is(store, monkeypatch):
    monkeypatch.setattr(gpu, "STEPS", 2)
    found = gpu.Stage("EMBridge", store.path, False, TINY, 4, "cpu")(2)
    assert len(found["steps"]) == 2 and found["flops"] > 1e6 and found["bytes"] > 1e6
    assert gpu.not_run().value is None and "no GPU" in gpu.not_run().note


# ---- data -----------------------------------------------------------------------------------------------------------


def test_both_ways_of_reading_give_the_same_windows(store, source):
    reading = Reading(store.path, source, batch=8)
    ids = np.array([5, 0, 3])
    emg, pose = reading.slices(ids, True)
    assert emg.shape == (3, 16, 400) and emg.dtype == torch.float32
    assert torch.allclose(pose, reading.floats(ids, True)[1], atol=2e-3)  # float16 of a few rad
    for ours, stored in zip(reading.gather(ids, True), reading.floats(ids, True), strict=True):
        assert ours.dtype == torch.float16 and torch.equal(ours.float(), stored)
    assert len(reading.gather(ids, False)) == len(reading.slices(ids, False)) == 1


def test_recordings_can_be_repeated_under_names_of_their_own(source):
    n = len(source.recordings)
    more = subset(source, n + 2).recordings
    assert len({r.key for r in more}) == n + 2 and more[n].path == more[0].path
    assert len(subset(source, 2).recordings) == 2


# ---- bookkeeping ----------------------------------------------------------------------------------------------------


def test_variants_take_turns_and_each_round_starts_with_another():
    calls, clock = [], iter(range(100))

    def variant(name):
        calls.append(name)
        return float(next(clock))

    times = interleave({name: functools.partial(variant, name) for name in "abc"}, rounds=3)
    assert "".join(calls) == "cab" + "abc" + "bca" + "cab"  # the first round is the warm-up
    assert times == {"a": [3.0, 8.0, 10.0], "b": [4.0, 6.0, 11.0], "c": [5.0, 7.0, 9.0]}


def test_a_ratio_is_the_median_of_those_within_a_round():
    found = ratio({"slow": [4.0, 9.0, 8.0], "fast": [2.0, 3.0, 1.0], "other": [0.0]}, "fast", "slow")
    assert (found["value"], found["low"], found["high"], found["repetitions"]) == (3.0, 2.0, 8.0, 3)
    assert set(found["seconds"]) == {"slow", "fast"}


def test_exponents_of_known_powers():
    n = np.array([100, 1000, 10_000])
    assert exponent(n, 3.0 * n**1.5) == pytest.approx(1.5)
    points = pd.DataFrame(
        [(w, k, k**p, 200 + 0.001 * k) for w, p in (("training", 1.0), ("retrieval", 2.0)) for k in n],
        columns=["what", "windows", "seconds", "megabytes"],
    )
    rows, exponents = scaling.rows_of(points, 40)
    assert exponents["training", "seconds"] == pytest.approx(1) and rows[1].value == pytest.approx(2)
    assert "1.00 kB more a window" in rows[0].note
    assert rows[-1].value == pytest.approx(210 / 201) and "10,000 windows against 1,000" in rows[-1].what


def test_peak_memory_sees_what_is_freed_again():
    with PeakMemory(every=0.001) as memory:
        # memory of its own: the heap may hold as much from earlier tests, already counted
        with mmap.mmap(-1, 64_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapped:
            x = np.frombuffer(mapped)
            for _ in range(20):
                x += 1.0
            del x
    assert 50e6 < memory.peak - memory.before < 200e6


def test_a_step_is_taken_apart():
    a, b = torch.randn(8, 16, requires_grad=True), torch.randn(16, 4)

    def step():
        (a @ b).sum().backward()

    flops, ledger = count(step)
    assert flops == 2 * (2 * 8 * 16 * 4)  # forward, and the gradient of a
    assert sum(ledger.products.values()) == 2 and ledger.bytes > 4 * (a.numel() + b.numel() + 32)
    assert product_seconds(ledger.products) > 0
    assert "aten::mm" in dict(operators(step))


def test_a_worker_has_its_own_settings_and_tells_its_errors(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert set(speed_settings()) == set(NAMES)
    for settings, expected in (({}, None), ({"OMP_WAIT_POLICY": "PASSIVE"}, "PASSIVE")):
        with Worker(functools.partial, os.getenv, settings=settings) as worker:
            assert worker.ready()("OMP_WAIT_POLICY") == expected
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    with Worker(functools.partial, int, settings={}) as worker:
        with pytest.raises(RuntimeError, match="invalid literal"):
            worker.ready()("x")
    assert not worker.process.is_alive()


ROWS = [
    Row("data", "reading", "store", "slices", 16.25, "x", 15.0, 17.125, 5, target="15 x", seconds={"store": [0.5]}),
    Row("data", "cosine | lowest", "125 Hz", value=0.9999651, unit=""),
    Row("training, GPU", "three stages", "", unit="ms", note="not run: no GPU here"),
]


def test_the_table_in_all_its_forms(tmp_path, capsys):
    n = [200, 2000, 20_000]
    points = pd.DataFrame({"what": "training", "windows": n, "seconds": [0.1, 1, 10], "megabytes": [300.0, 310, 320]})
    exponents = {("training", "seconds"): 1.0, ("training", "megabytes"): 0.014}
    folder = report.write(tmp_path, ROWS, points, exponents, machine("cpu"))
    assert folder == tmp_path / "bench" and (folder / "scaling.png").stat().st_size > 10_000
    text = (folder / "benchmark.md").read_text()
    assert "| data | reading | store | slices | 16.2 x [15, 17.1] | 5 | 15 x |" in text
    assert "cosine \\| lowest" in text and "0.999965" in text and "not run: no GPU here" in text
    for name in ("processor", "cores used", "memory", "torch", "date", "commit"):
        assert f"{name}: " in text
    assert text.split("\n\n")[1].split("\nSource")[0] in capsys.readouterr().out
    with open(folder / "benchmark.csv", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["what"] for row in cells] == [row.what for row in ROWS] and cells[2]["result"] == "–"
    notes = json.loads((folder / "results.json").read_text())["notes"]
    assert notes["rows"][0]["seconds"] == {"store": [0.5]} and notes["rows"][2]["value"] is None
    assert notes["scaling"][2]["windows"] == 20_000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (16.25, "x", "16.2"),
        (0.99997, "", "0.999970"),
        (0.998, "x", "0.998"),
        (1234.5, "MB", "1,234"),
        (0.012, "", "0.012"),
    ],
)
def test_numbers_have_three_digits_but_cosines_near_one(value, unit, text):
    assert report.number(value, unit) == text
