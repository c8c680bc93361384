"""A dataset at one profile: its recordings, windows, splits and scales, each made once and kept on disk."""

import copy
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Self

import filelock
import pandas as pd
import torch

from embridge import config as cfg
from embridge import distributed, training
from embridge.config import as_json, fingerprint, kind_of
from embridge.datasets import DATASETS, SIMULATED, for_dataset, window_config
from embridge.errors import InputError
from embridge.files import write_atomically
from embridge.provenance import provenance
from embridge.recordings import Source
from embridge.splits import Splits, make_splits
from embridge.tasks import Reader, Statistics, measure_statistics
from embridge.windows import WindowStore, build_store

ROOT = Path(__file__).resolve().parent.parent


class Dataset:
    """One dataset at one profile and seed, read and written lazily: nothing happens before it is asked for.

    Parameters
    ----------
    dataset : "simulated", "emg2pose", "ninapro" (DB2 and DB7), "simulated-ninapro", "ninapro-db1", or a Source of
        your own, which needs ``windows`` and ``split``
    profile : "smoke", "quick", "long" or "paper"
    seed : of training; recordings and splits stay the same
    device : "auto", "cpu" or "cuda"
    data : folder of a real dataset; "" for the simulated ones
    out : where data/, runs/ and figures/ go; "" for the repository
    tokens : "waveform" (the papers') or "features" (log-power and frames, METHOD 1) as the front end of both encoders;
        "" for the profile's own
    size : a Profile of your own instead of the named one's
    skip_broken : leave out recordings of a real dataset that cannot be read, name and count them (in the store's
        manifest, which page 01 copies into its results.json), instead of an error; --skip-broken of the command line
    windows, split : how a Source of your own is filtered and cut (channels, joints and window also shape the
        networks), and a function from its store's table to Splits

    Raises
    ------
    InputError
        for an unknown dataset, profile or front end, a Source without windows and split, a missing folder or GPU
    """

    def __init__(
        self,
        dataset: str | Source = "simulated",
        profile="quick",
        seed=0,
        device="auto",
        data="",
        out="",
        *,
        tokens: str = "",
        size: cfg.Profile | None = None,
        skip_broken: bool = False,
        windows: cfg.WindowConfig | None = None,
        split: Callable[[pd.DataFrame], Splits] | None = None,
    ):
        own = isinstance(dataset, Source)
        if own != (windows is not None) or own != (split is not None):
            raise InputError("dataset: expected a Source with windows and split, or a name without; give all three")
        if not own and dataset not in DATASETS:
            raise InputError(f"dataset: expected one of {', '.join(DATASETS)}, found {dataset!r}")
        if size is None and profile not in cfg.PROFILES:
            raise InputError(f"profile: expected one of {', '.join(cfg.PROFILES)}, found {profile!r}")
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("device: found no CUDA device for 'cuda'; use --device cpu or auto")
        self.dataset, self.seed = dataset.name if own else dataset, int(seed)
        if own and self.dataset in DATASETS:
            raise InputError(f"source: expected a name of its own, found {self.dataset!r}, which is taken; rename it")
        self.windows, self.split = windows or window_config(self.dataset), split
        size = for_dataset(size or cfg.profile(profile), self.dataset)
        self.profile = cfg.for_windows(size, self.windows, tokens)
        self.tokens = cfg.other_tokens(size, self.windows, tokens)
        if own:
            self.source = dataset
        self.device = device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
        self.out = Path(out).expanduser() if out else ROOT
        self.data = Path(data).expanduser() if data else None
        self.skip_broken = skip_broken
        self._cut_from: Dataset | None = None  # the study that this one cuts otherwise
        training.set_threads()
        if self.device != "cpu":  # here, so that what a process computes does not depend on whether it trained before
            torch.set_float32_matmul_precision("high")

    def changed(self, **attributes) -> Self:
        """The same study with other ``attributes``, such as ``seed``, nothing made yet."""
        other = copy.copy(self)
        made = [name for name in vars(other) if isinstance(getattr(type(other), name, None), cached_property)]
        for name in made:
            del vars(other)[name]
        vars(other).update(attributes)
        return other

    def recut(self, changes: dict) -> Self:
        """The same study on windows with ``changes`` to their WindowConfig; itself where that is so already.

        Its data key follows from this study's: known, and a finished run found, before any window is cut.
        """
        windows = replace(self.windows, **changes)
        if windows == self.windows:
            return self
        if (windows, self.seed) not in self._recut:
            self._recut[windows, self.seed] = self.changed(windows=windows, _cut_from=self)
        return self._recut[windows, self.seed]

    @cached_property
    def _recut(self) -> dict:
        return {}

    @property
    def simulated(self) -> bool:
        return self.dataset in SIMULATED or (self.split is not None and self.source.simulated)

    @property
    def figures(self) -> Path:
        """Where this study's tables and figures go."""
        return self.out / "figures" / cfg.results_name(self.dataset, self.profile.name, self.tokens)

    @property
    def context(self) -> dict:
        """What every page of results says about where its numbers come from."""
        return {
            "dataset": self.dataset,
            "profile": self.profile.name,
            "tokens": {"emg": self.profile.model.emg_tokens, "pose": self.profile.model.pose_tokens},
            "seed": self.seed,
            "device": self.device,
            "simulated": self.simulated,
            "development": self.dataset in DATASETS and DATASETS[self.dataset].development,
            **self.made_from,
            "configuration": as_json(self.profile),
        }

    @property
    def made_from(self) -> dict:
        """What everything made from this study's windows records beside its configuration and seed, as plain JSON.

        ``windows``: the store's key, a hash of their configuration and of each source file's SHA-256, which the store's
        manifest lists. ``windows_sha256``: of the columns that hold every window's digest.
        """
        store = {"windows": self.store.key, "windows_sha256": self.store.manifest["windows_sha256"]}
        return {"results_version": cfg.RESULTS_VERSION, **provenance(self.device), **store}

    @property
    def simulation(self) -> cfg.SimulationConfig | cfg.NinaProSimulationConfig:
        """How much the simulator writes."""
        return DATASETS[self.dataset].simulation(self.profile)

    @property
    def simulation_folder(self) -> Path:
        """Where it writes that."""
        return self.out / "data" / f"{self.dataset}-{fingerprint(as_json(self.simulation))}"

    @property
    def stores(self) -> Path:
        """Where window stores lie, each in a folder of its own."""
        return self.out / "data" / "stores"

    @cached_property
    def source(self) -> Source:
        """The recordings; the simulator writes what is missing first."""
        if self.simulated:
            with distributed.first():
                return DATASETS[self.dataset].open(self.simulation_folder, simulation=self.simulation)
        if self.data is None:
            raise InputError(f"{self.dataset}: give the folder that holds it with --data DIR")
        return DATASETS[self.dataset].open(self.data, skip_broken=self.skip_broken)

    @cached_property
    def store(self) -> WindowStore:
        """The windows as the profile's front ends read them: features where either does, else filtered waveforms."""
        return self._stores(self.profile.model.kind)

    def store_of(self, kind: str) -> WindowStore:
        """The windows as "waveform" or "features", on disk, built when they are first asked for."""
        return self.store if kind == self.store.kind else self._stores(kind)

    @cached_property
    def _stores(self) -> Callable[[str], WindowStore]:
        def build(kind: str) -> WindowStore:
            # the main store is there before trainings start side by side; several of them may want another one
            main = self._cut_from is None and kind == self.profile.model.kind
            lock = nullcontext() if main else filelock.FileLock(self.stores / "another.lock")
            with distributed.first(), lock:
                return build_store(self.source, self.windows, self.stores, kind, skip_broken=self.skip_broken)

        return cache(build)

    @cached_property
    def splits(self) -> Splits:
        """Table 1 on this dataset's windows, its assertions checked."""
        if self.split is not None:
            return self.split(self.store.table)
        how = self.profile.evaluation
        return make_splits(self.dataset, self.store.table, hands=how.hands, n_tune=how.tune_users)

    @property
    def statistics(self) -> Statistics:
        """Scales from the pre-training split of what the profile's pose encoder reads."""
        return self.statistics_of(kind_of(self.profile.model.pose_tokens))

    def statistics_of(self, kind: str) -> Statistics:
        """Scales of "waveform" or "features" from the pre-training split, measured once and kept in runs/."""
        self._beside_runs("windows", lambda: as_json(self.store.config))  # with them a run can be used elsewhere
        ids = self.splits.learn_from(self.splits.pretrain, "normalisation")
        found = self._beside_runs(f"statistics-{kind}", lambda: asdict(measure_statistics(self.store_of(kind), ids)))
        return Statistics(**{k: tuple(v) for k, v in found.items()})

    def _beside_runs(self, name: str, make: Callable[[], dict]) -> dict:
        """What ``make`` returned for these windows, kept with its provenance as ``runs/<name>-<data_key>.json``."""
        file = self.out / "runs" / f"{name}-{self.data_key}.json"
        with distributed.first():
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(file, json.dumps({**make(), "provenance": self.made_from}))
        found = json.loads(file.read_text(encoding="utf-8"))
        return {name: value for name, value in found.items() if name != "provenance"}

    @cached_property
    def data_key(self) -> str:
        """Hash of the windows' contents (those of a recut study: of what decides them) and of which are trained on."""
        if self._cut_from is not None:
            return fingerprint(self._cut_from.data_key, as_json(self.windows))
        return fingerprint(self.store.contents, self.splits.pretrain.tolist(), cfg.RESULTS_VERSION)

    @cached_property
    def source_key(self) -> str:
        """As ``data_key``, but of the files and settings that windows are made from: the same on every machine."""
        if self._cut_from is not None:
            return fingerprint(self._cut_from.source_key, as_json(self.windows))
        return fingerprint(self.store.manifest["sources"], self.splits.pretrain.tolist())

    def reader(self, shape: cfg.ModelConfig | None = None, emg_norm: str = "", *, with_pose: bool = True) -> Reader:
        """Windows as encoders of a shape see them; by default those of the profile.

        with_pose : False for probes and queries, which may read EMG alone: whoever asks for a pose gets an InputError
        """
        shape = shape or self.profile.model
        emg_norm = emg_norm or self.profile.align.emg_norm
        emg, scales = self.store_of(kind_of(shape.emg_tokens)), {}
        if with_pose:
            pose = self.store_of(kind_of(shape.pose_tokens))
            scales |= {"pose": self.statistics_of(pose.kind)}
        else:
            emg = pose = _WithoutPose(emg)
        if emg.kind == "waveform" and emg_norm == "train":
            scales |= {"emg": self.statistics_of("waveform")}
        return Reader(emg, pose, scales, "log-power" if emg.kind == "features" else emg_norm, self.device)


class _WithoutPose:
    """A store's EMG and nothing else: at test no pair may be used (METHOD 4)."""

    def __init__(self, store: WindowStore):
        self.kind, self.read_emg = store.kind, store.read_emg

    def __getattr__(self, name: str):
        raise InputError(f"leak: a probe or a query asked for {name} of its windows; it may read their EMG alone")
