"""Rows on data, simulated in emg2pose's formats: conversion, reading, and how time and memory grow with windows."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch

from benchmarks.bids import BidsConfig, open_simulated_bids
from benchmarks.measure import MB, Row, interleave, ratio, spread, usage, worker
from embridge.config import SimulationConfig, TrainConfig, profile
from embridge.data.batches import Ahead, Reader, Windows, measure_statistics, order
from embridge.data.emg2pose import SAMPLE_RATE
from embridge.data.recordings import Source
from embridge.data.windows import WindowStore, build_store
from embridge.datasets import window_config
from embridge.experiments import EXPERIMENTS
from embridge.models import QFormerModel, emg_encoder, pose_encoder
from embridge.objectives import AlignTask
from embridge.simulator.recordings import open_simulated
from embridge.training import Trainer, set_threads


def one_user(seconds: float) -> SimulationConfig:
    """52 recordings of one simulated user, ``seconds`` each."""
    return SimulationConfig(
        train_users=1, val_users=0, test_users=0, sessions=2, train_seconds=seconds, held_out_stage_users=0
    )


def simulate(folder: Path, seconds: float) -> Source:
    """:func:`one_user`'s recordings in emg2pose's HDF5 format."""
    return open_simulated(folder, one_user(seconds), progress=False)


def subset(source: Source, n: int) -> Source:
    """A source's first n recordings, over again under other names where it has fewer."""
    found = source.recordings
    return replace(source, recordings=tuple(replace(found[i % len(found)], key=f"{i:06d}") for i in range(n)))


def convert(source: Source, folder: Path, kind: str) -> tuple[int, float, float]:
    """Build a store of a kind from nothing on one core; returns how many windows, seconds and peak memory (MB)."""
    shutil.rmtree(folder, ignore_errors=True)
    with usage() as used:
        store = build_store(source, window_config("simulated"), folder, kind, workers=1, progress=False)
    return len(store), used.seconds, used.peak / MB


def train_epoch(folder: Path) -> tuple[int, float, float]:
    """Train an epoch of EMBridge at quick's size on a store's windows; returns the same."""
    set_threads()
    torch.manual_seed(0)
    store = WindowStore(next(folder.glob("*/manifest.json")).parent)
    n, cfg, config = len(store), profile("quick").model, TrainConfig(batch_size=64)
    reader = Reader(store, store, {"pose": measure_statistics(store, np.arange(min(n, 256)))}, cfg.emg_tokens)
    task = AlignTask(
        QFormerModel(cfg, emg_encoder(cfg), pose_encoder(cfg).requires_grad_(False)), reader, np.arange(n),
        torch.randn(n, cfg.d), objective=EXPERIMENTS["EMBridge"].minimises(profile("quick")), config=config,
        centroids=torch.randn(138, cfg.d),  # N_c on emg2pose, E A.6
    )  # fmt: skip
    trainer = Trainer(task, config)
    with usage() as used:
        for part in Ahead(lambda samples: task.load(samples, 0), order(0, 0, n).split(config.batch_size), "cpu"):
            trainer.step(part, config.batch_size, config.lr)
    return n, used.seconds, used.peak / MB


def conversion_rows(source: Source, scratch: Path, rounds: int) -> list[Row]:
    """Recordings to windows of each kind on one core; the baseline is the clock."""
    length, rows = sum(r.n_samples() / r.sample_rate for r in source.recordings), []
    with worker(partial, convert, source, scratch / "conversion") as run:
        for kind, name in (("waveform", "waveforms"), ("features", "log-power and frames")):
            found = spread(length / run(kind)[1] for _ in range(rounds))
            rows.append(
                Row(f"recordings to windows, {name}, a core", "filter, cut, float16, checksums", "real time", **found,
                    target="150 x", note=f"{length:.0f} s of recording")
            )  # fmt: skip
    return rows


def growth(source: Source, scratch: Path, recordings: tuple[int, ...]) -> pd.DataFrame:
    """Conversion of so many recordings and training on their windows, each in a fresh process.

    Returns points: what, windows, seconds, megabytes.
    """
    folders = {n: scratch / f"growth-{n}" for n in recordings}
    work = [("conversion", convert, subset(source, n), folder, "features") for n, folder in folders.items()]
    work += [("training", train_epoch, folder) for folder in folders.values()]
    points = []
    for what, *call in work:
        with worker(partial, *call) as run:
            points.append((what, *run()))
    return pd.DataFrame(points, columns=["what", "windows", "seconds", "megabytes"])


def growth_rows(points: pd.DataFrame) -> list[Row]:
    """The memory of ten times the windows, and the exponent b of time as a n^b."""
    rows = []
    for what, part in points.groupby("what", sort=False):
        n, memory = part["windows"].to_numpy(), part["megabytes"].to_numpy()
        power, _ = np.polyfit(np.log(n), np.log(part["seconds"]), 1)
        tenth = np.abs(n - n[-1] / 10).argmin()
        rows.append(
            Row(f"{what}, memory, {n[-1]:,} windows against {n[tenth]:,}", f"{memory[-1]:,.0f} MB",
                f"{memory[tenth]:,.0f} MB", memory[-1] / memory[tenth], target="flat: 1 x",
                note=f"anonymous, highest; log-power and frames, 6 kB a window, are read whole. Time grows as "
                f"n^{power:.2f} from {n[0]:,} windows on")
        )  # fmt: skip
    return rows


class Reading:
    """Reads shuffled windows from the store and, the obvious way, from the recordings; a call returns its seconds."""

    def __init__(self, store: Path, source: Source, batch: int):
        set_threads()
        store, self.rng, self.batch = WindowStore(store), np.random.default_rng(0), batch
        self.n, self.window = len(store), store.config.window
        self.arrays = [Windows(x, np.arange(self.n)) for x in (store.emg_f16, store.pose_f16)]
        files = {r.key: h5py.File(r.path)["emg2pose/timeseries"] for r in source.recordings}
        columns = zip(store.table["recording"], store.table["start"], strict=True)
        self.places = [(files[key], int(start)) for key, start in columns]

    def __call__(self, way: str) -> float:
        read, ids = getattr(self, way), self.rng.permutation(self.n)
        with usage() as used:
            for start in range(0, self.n, self.batch):
                read(ids[start : start + self.batch])
        return used.seconds

    def gather(self, ids: np.ndarray) -> list[torch.Tensor]:
        """EMG and pose, (B, C, T) and (B, J, T), as a training step asks for them, float16."""
        return [windows.take(torch.from_numpy(ids)) for windows in self.arrays]

    def slices(self, ids: np.ndarray) -> list[torch.Tensor]:
        """One slice of the compound dataset a window: reading one field of it would take as long."""
        parts = [series[start : start + self.window] for series, start in (self.places[i] for i in ids)]
        return [torch.from_numpy(np.stack([part[field].T for part in parts])) for field in ("emg", "joint_angles")]


def reading_rows(store: WindowStore, source: Source, rounds: int, *, batch: int = 256) -> list[Row]:
    """Windows a second of a store of waveforms against one h5py slice a window, one open handle a file."""
    with worker(Reading, store.path, source, batch) as run:
        times = interleave({way: partial(run, way) for way in ("gather", "slices")}, rounds)
    return [
        Row("reading shuffled windows, EMG and pose, float16", "one gather a batch from the store",
            "one h5py slice a window", **ratio(times, "gather", "slices"), target="15 x",
            note=f"{len(store):,} windows, batches of {batch}; uncompressed files in the page cache")
    ]  # fmt: skip


class Loading:
    """Loads recordings in either form, EMG and angles as float32; a call returns hours of recording a second."""

    def __init__(self, sources: dict[str, Source]):
        set_threads()
        self.recordings = {form: source.recordings for form, source in sources.items()}

    def __call__(self, form: str) -> float:
        samples = 0
        with usage() as used:
            for recording in self.recordings[form]:
                samples += len(recording.load().emg)
        return samples / SAMPLE_RATE / 3600 / used.seconds


def form_rows(source: Source, scratch: Path, rounds: int, *, seconds: float, n: int) -> list[Row]:
    """The first n recordings as EMG-BIDS against the same ones as HDF5, hours of recording a second, on one core."""
    bids = open_simulated_bids(scratch / "bids", BidsConfig(one_user(seconds), other_hands=False), progress=False)
    with worker(Loading, {"EMG-BIDS": subset(bids, n), "HDF5": subset(source, n)}) as run:
        found = interleave({form: partial(run, form) for form in ("EMG-BIDS", "HDF5")}, rounds)
    slower = spread(np.divide(found["HDF5"], found["EMG-BIDS"]))["value"]
    return [
        Row("recordings read, EMG-BIDS, a core", "BDF through edfio, 24 bits", "HDF5: "
            f"{np.median(found['HDF5']):.3g} h/s", **spread(found["EMG-BIDS"]), unit="h/s",
            note=f"hours of recording a second; HDF5 is {slower:.1f} times as fast; {n} recordings of {seconds:g} s in "
            "the page cache, uncompressed")
    ]  # fmt: skip
