"""Rows on data: conversion and reading, on simulated recordings in emg2pose's format."""

import shutil
import time
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import torch

from embridge.bench.measure import Row, interleave, ratio, spread, timed
from embridge.bench.workers import Worker
from embridge.config import SimulationConfig, WindowConfig
from embridge.loading import Windows
from embridge.parallel import available_cores
from embridge.recordings import Source
from embridge.recordings.simulated import open_simulated
from embridge.training import set_threads
from embridge.windows import WindowStore, build_store

PART = "data"
KINDS = {
    "waveform": ("waveforms", "filter, cut, float16, checksums"),
    "features": ("log-power and frames", "filter, cut, bins, float16, checksums"),
}
LAYOUT = "files contiguous, not compressed, in the page cache"


def simulate(folder: Path, seconds: float) -> Source:
    """52 recordings of one simulated user, ``seconds`` each, in emg2pose's HDF5 format."""
    config = SimulationConfig(
        train_users=1, val_users=0, test_users=0, sessions=2, train_seconds=seconds, held_out_stage_users=0
    )
    return open_simulated(folder, config, progress=False)


def subset(source: Source, n: int) -> Source:
    """A source's first n recordings, over again under other names where it has fewer."""
    found = source.recordings
    return replace(source, recordings=tuple(replace(found[i % len(found)], key=f"{i:06d}") for i in range(n)))


class Conversion:
    """Builds a store of a kind again and again, each time from nothing; a call returns seconds, and of the CPU."""

    def __init__(self, source: Source, folder: Path):
        self.source, self.folder = source, folder

    def __call__(self, kind: str, workers: int) -> tuple[float, float]:
        shutil.rmtree(self.folder, ignore_errors=True)
        cpu = time.process_time()
        seconds = timed(
            lambda: build_store(self.source, WindowConfig(), self.folder, kind, workers=workers, progress=False)
        )
        return seconds, time.process_time() - cpu


def conversion_rows(source: Source, scratch: Path, settings: dict, rounds: int, *, every_core: bool) -> list[Row]:
    """Recordings to windows of each kind, on one core and, with ``every_core``, on all; the baseline is the clock."""
    length = sum(r.n_samples() / r.sample_rate for r in source.recordings)
    rows = []
    with Worker(Conversion, source, scratch / "conversion", settings=settings) as worker:
        worker.ready()
        cores = sorted({1, available_cores() if every_core else 1})
        for (kind, about), workers in product(KINDS.items(), cores):
            seconds, cpu = zip(*(worker(kind, workers) for _ in range(rounds)), strict=True)
            found = spread(length / workers / s for s in seconds)
            note = f"{found['value'] / 3600:.3f} h of recording a second a core; {length:.0f} s of it"
            if workers == 1:
                note += f"; {length / np.median(cpu):.0f} x by processor time"
            what = f"recordings to windows, {about[0]}, a core" + (
                f" of {workers}, their start included" if workers > 1 else ""
            )
            rows.append(Row(PART, what, about[1], "real time", **found, target="150 x", note=note))
    return rows


class Reading:
    """Reads shuffled windows from the store and, the obvious way, from the recordings; a call returns its seconds."""

    def __init__(self, store: Path, source: Source, batch: int):
        set_threads()
        self.store, self.rng = WindowStore(store), np.random.default_rng(0)
        self.n, self.window = len(self.store), self.store.config.window
        self.batch = min(batch, self.n)
        self.arrays = [Windows(x, np.arange(self.n)) for x in (self.store.emg_f16, self.store.pose_f16)]
        files = {r.key: h5py.File(r.path)["emg2pose/timeseries"] for r in source.recordings}
        table = self.store.table
        self.places = [(files[key], int(start)) for key, start in zip(table["recording"], table["start"], strict=True)]

    def __call__(self, way: str, pose: bool) -> float:
        ids = self.rng.permutation(self.n)[: self.n // self.batch * self.batch]
        return timed(lambda: [getattr(self, way)(part, pose) for part in ids.reshape(-1, self.batch)])

    def gather(self, ids: np.ndarray, pose: bool):
        """As a training step asks for them, float16."""
        return [windows.take(torch.from_numpy(ids)) for windows in self.arrays[: 1 + pose]]

    def floats(self, ids: np.ndarray, pose: bool):
        """As everything else does, float32."""
        return self.store.read_emg(ids), self.store.read_pose(ids) if pose else None

    def slices(self, ids: np.ndarray, pose: bool):
        """One slice of the compound dataset a window: reading one field of it would take as long."""
        parts = [series[start : start + self.window] for series, start in (self.places[i] for i in ids)]
        fields = ("emg", "joint_angles") if pose else ("emg",)
        return [torch.from_numpy(np.stack([part[field].T for part in parts])) for field in fields]


def reading_rows(store: WindowStore, source: Source, settings: dict, rounds: int, *, batch: int) -> list[Row]:
    """Windows a second of a store of waveforms against one h5py slice a window, one open handle a file."""
    rows = []
    with Worker(Reading, store.path, source, batch, settings=settings) as worker:
        worker.ready()
        for pose, fields in ((True, "EMG and pose"), (False, "EMG alone")):
            times = interleave({way: partial(worker, way, pose) for way in ("gather", "floats", "slices")}, rounds)
            for way, what in (("gather", "float16, as a step takes them"), ("floats", "to float32")):
                target = "15 x" if way == "gather" else ""
                rows.append(
                    Row(PART, f"reading shuffled windows, {fields}, {what}", "one gather a batch from the store",
                        "one h5py slice a window", **ratio(times, way, "slices"), target=target,
                        note=f"{len(store):,} windows, batches of {batch}, slices as float32; {LAYOUT}")
                )  # fmt: skip
    return rows
