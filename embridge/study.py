"""A dataset at one profile, and the systems trained on it by name, each once; a run lies in ``runs/<name>-<key>/``.

The key is a hash of everything that decides the weights: the configuration, the window store, the split, the
runs it depends on and RESULTS_VERSION. Notebooks ask a :class:`Study` for a run by name and never train
by hand, so that two notebooks that need the same model share it.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from embridge import checkpoint, distributed, losses, training
from embridge import config as cfg
from embridge.config import as_json, fingerprint, kind_of
from embridge.data.batches import EMGAlone, Reader, Statistics, measure_statistics
from embridge.data.recordings import Source
from embridge.data.splits import Splits
from embridge.data.windows import WindowStore, build_store
from embridge.datasets import DATASETS, SIMULATED, for_dataset, make_splits, window_config
from embridge.errors import InputError, one_of
from embridge.experiments import EXPERIMENTS, Experiment, find, slug
from embridge.files import exclusive, write_atomically
from embridge.models import emg_encoder, own
from embridge.models.regressors import STARTS_AT_MEAN
from embridge.objectives import encode
from embridge.provenance import default_out, provenance
from embridge.trained import Run, build, encoder_embedding, grown, paired_subset, remembered


class Study:
    """One dataset at one profile and seed, read, trained and written lazily: nothing happens before it is asked for.

    Raises InputError for an unknown dataset, profile or front end, a Source without windows and split, a missing folder
    or GPU.

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
    skip_broken : leave out recordings that cannot be read, and name and count them in the store's manifest, which page
        01 shows, instead of an error; --skip-broken of the command line
    windows, split : how a Source of your own is filtered and cut (channels, joints and window also shape the
        networks), and a function from its store's table to Splits
    """

    base: "Study | None" = None  # of which this is a home
    trains, whole = True, True  # what is missing; whether all of D_eval is here: a part of it is never scored

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
        if own and not (isinstance(windows, cfg.WindowConfig) and callable(split)):
            found = f"{type(windows).__name__} and {type(split).__name__}"
            raise InputError(f"dataset: expected windows as a WindowConfig and split as a function, found {found}")
        if not own:
            one_of("dataset", dataset, *DATASETS)
        if size is None:
            one_of("profile", profile, *cfg.PROFILES)
        one_of("device", str(device).partition(":")[0], "auto", "cpu", "cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("device: found no CUDA device for 'cuda'; use --device cpu or auto")
        self.dataset, self.seed = dataset.name if own else dataset, int(seed)
        if own and self.dataset in DATASETS:
            raise InputError(f"source: expected a name of its own, found {self.dataset!r}, which is taken; rename it")
        self.own_source, self.split = dataset if own else None, split
        self.windows = windows or window_config(self.dataset)
        size = for_dataset(size or cfg.profile(profile), self.dataset)
        self.profile = cfg.for_windows(size, self.windows, tokens)
        self.tokens = cfg.other_tokens(size, self.windows, tokens)
        self.device = device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
        self.out = Path(out).expanduser() if out else default_out()
        self.data = Path(data).expanduser() if data else None
        self.skip_broken = skip_broken
        self._runs: dict[str, Run] = {}
        training.set_threads()
        if self.device != "cpu":  # here, so that what a process computes does not depend on whether it trained before
            torch.set_float32_matmul_precision("high")

    def changed(self, **attributes) -> Self:
        """The same study with other ``attributes``, nothing made yet; another ``seed`` alone leaves the data."""
        other = copy.copy(self)
        for name in ("emg_queries", "features", "home") if attributes.keys() == {"seed"} else vars(self):
            if isinstance(getattr(type(self), name, None), cached_property):
                vars(other).pop(name, None)
        vars(other).update({"_runs": {}} | attributes)
        return other

    # The data: recordings, windows, splits and scales, each made once and kept on disk.

    @property
    def simulated(self) -> bool:
        return self.own_source.simulated if self.own_source else self.dataset in SIMULATED

    @property
    def simulation(self) -> cfg.SimulationConfig | cfg.NinaProSimulationConfig:
        """The amount that the simulator writes."""
        return getattr(self.profile, DATASETS[self.dataset].amount)

    @property
    def simulation_folder(self) -> Path:
        """The folder that it writes to."""
        return self.out / "data" / f"{self.dataset}-{fingerprint(as_json(self.simulation))}"

    @property
    def stores(self) -> Path:
        """The folder of window stores, each in a folder of its own."""
        return self.out / "data" / "stores"

    @property
    def figures(self) -> Path:
        """The folder of this study's tables and figures."""
        return self.out / "figures" / cfg.results_name(self.dataset, self.profile.name, self.tokens)

    @property
    def context(self) -> dict:
        """The origin of the numbers on every page of results."""
        return {
            "dataset": self.dataset,
            "profile": self.profile.name,
            "tokens": {"emg": self.profile.model.emg_tokens, "pose": self.profile.model.pose_tokens},
            "seed": self.seed,
            "device": self.device,
            "simulated": self.simulated,
            "development": self.dataset in DATASETS and DATASETS[self.dataset].developed_on(self.source),
            **self.made_from,
            "configuration": as_json(self.profile),
        }

    @property
    def made_from(self) -> dict:
        """The provenance of everything made from this study's windows, beside configuration and seed, as plain JSON.

        ``windows``: the store's key, a hash of their configuration and of each source file's SHA-256, which the store's
        manifest lists. ``windows_sha256``: of the columns that hold every window's digest.
        """
        store = {"windows": self.store.key, "windows_sha256": self.store.manifest["windows_sha256"]}
        return {"results_version": cfg.RESULTS_VERSION, **provenance(self.device), **store}

    @cached_property
    def source(self) -> Source:
        """The recordings; the simulator writes what is missing first."""
        if self.own_source:
            return self.own_source
        if self.simulated:
            with distributed.first():
                return DATASETS[self.dataset].open(self.simulation_folder, simulation=self.simulation)
        if self.data is None:
            raise InputError(f"{self.dataset}: give the folder that holds it with --data DIR")
        return DATASETS[self.dataset].open(self.data, skip_broken=self.skip_broken)

    @cached_property
    def store(self) -> WindowStore:
        """The windows as the profile's front ends read them: features where either does, else filtered waveforms."""
        return self.store_of(self.profile.model.kind)

    @cached_property
    def store_of(self) -> Callable[[str], WindowStore]:
        """Of "waveform" or "features": the windows as such, on disk, built when they are first asked for.

        Trainings that run side by side may want the same one: the first builds it, and the others wait.
        """

        def build(kind: str) -> WindowStore:
            with distributed.first(), exclusive(self.stores / "store.lock"):
                return build_store(self.source, self.windows, self.stores, kind, skip_broken=self.skip_broken)

        return cache(build)

    @cached_property
    def splits(self) -> Splits:
        """Table 1 on this dataset's windows, its assertions checked."""
        how = self.profile.evaluation
        return make_splits(self.dataset, self.store.table, hands=how.hands, n_tune=how.tune_users, split=self.split)

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
        """The result of ``make`` for these windows, kept with its provenance as ``runs/<name>-<data_key>.json``."""
        file = self.out / "runs" / f"{name}-{self.data_key}.json"
        with distributed.first():
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(file, json.dumps({**make(), "provenance": self.made_from}))
        return {k: v for k, v in json.loads(file.read_text(encoding="utf-8")).items() if k != "provenance"}

    @cached_property
    def data_key(self) -> str:
        """Hash of the windows' contents and of which are trained on."""
        return fingerprint(self.store.contents, self.splits.pretrain.tolist(), cfg.RESULTS_VERSION)

    @cached_property
    def source_key(self) -> str:
        """As ``data_key``, but of the files and settings that windows are made from: the same on every machine."""
        return fingerprint(self.store.manifest["sources"], self.splits.pretrain.tolist())

    @cached_property
    def home(self) -> Callable[[Experiment], Self]:
        """Of an experiment: the study from whose windows it learns, another one for fewer or more users."""
        part = cache(lambda users, share: grown(self, users, share))
        return self.base.home if self.base else lambda e: self if not e.part_of_data else part(e.users, e.share)

    def reader(self, shape: cfg.ModelConfig | None = None, emg_norm="", with_pose=True, home: "Study | None" = None):
        """A Reader of windows as encoders of a shape, by default the profile's, see them, by the scales of ``home``.

        with_pose : False for probes and queries, which may read EMG alone: whoever asks for a pose gets an InputError
        """
        shape, home = shape or self.profile.model, home or self
        emg_norm = emg_norm or self.profile.align.emg_norm
        emg, scales = self.store_of(kind_of(shape.emg_tokens)), {}
        if with_pose:
            pose = self.store_of(kind_of(shape.pose_tokens))
            scales |= {"pose": home.statistics_of(pose.kind)}
        else:
            emg = pose = EMGAlone(emg)
        if emg.kind == "waveform" and emg_norm == "train":
            scales |= {"emg": home.statistics_of("waveform")}
        return Reader(emg, pose, scales, "log-power" if emg.kind == "features" else emg_norm, self.device)

    # Training: what decides an experiment's weights, its key, and its run.

    def configs(self, experiment: Experiment) -> tuple[cfg.ModelConfig, cfg.TrainConfig]:
        """The shape of an experiment's model and how it trains, here."""
        return experiment.configs(self.profile, self.seed)

    def settings(self, experiment: Experiment) -> dict:
        """The choices of an experiment, as plain JSON; needs neither recordings nor windows."""
        model, train = self.configs(experiment)
        return {
            "experiment": experiment.name,
            "kind": experiment.kind,
            "model": as_json(model),
            "train": as_json(train),
            "objective": as_json(experiment.minimises(self.profile)) if experiment.objective else None,
            "pose_start": experiment.pose_start,
            "moves": [experiment.emg_frozen, experiment.pose_trained],
            "pairs": [experiment.shuffled, experiment.paired_fraction],
            **(experiment.part_of_data | own.settings(experiment.encoder)),
            **({"readout_start": "mean pose"} if experiment.name in STARTS_AT_MEAN else {}),
            "simulated": self.simulated,
            "results_version": cfg.RESULTS_VERSION,
        }

    def describe(self, experiment: Experiment) -> dict:
        """Everything that decides the experiment's weights, as plain JSON; makes no larger home."""
        needs = {name: self.key(EXPERIMENTS[name]) for name in experiment.needs}
        return self.settings(experiment) | {"data": (self.base or self).data_key, "needs": needs}

    def key(self, experiment: Experiment) -> str:
        """The run's key: a hash of :meth:`describe`."""
        return fingerprint(self.describe(experiment))

    @torch.inference_mode(False)  # a view without gradients may be the first to ask
    def run(self, name: str | Experiment) -> Run:
        """The named experiment's run: loaded if it exists, else trained (with what it needs) and kept."""
        experiment = name if isinstance(name, Experiment) else find(name)
        key = fingerprint(describe := self.describe(experiment))
        if key not in self._runs:  # not by name: two encoders or losses may bear the same
            folder = self.out / "runs" / f"{slug(experiment.name)}-{key}"
            for need in experiment.needs:
                self.run(need)
            # after the needs, so that initial weights do not depend on whether those were trained or loaded;
            # batches, masks and rotations have their own streams
            torch.manual_seed(self.seed)
            model, make_task = build(self, experiment)
            model.to(self.device)
            shape, train = self.configs(experiment)
            if not (folder / "done.json").exists():
                if self.device != "cpu":
                    training.forget_compiled()
                training.train(make_task(), train, folder, device=self.device, describe=describe)
            checkpoint.load_weights(folder, model, describe)
            reader = partial(self.reader, shape, train.emg_norm, home=self.home(experiment))
            self._runs[key] = Run(experiment.name, key, folder, model.eval(), reader)
        return self._runs[key]

    def windows_of(self, experiment: Experiment) -> np.ndarray:
        """(n,) the windows of its :meth:`home` that an experiment trains on; InputError where they would leak."""
        home = self.home(experiment)
        ids = paired_subset(home.store.table, home.splits.pretrain, experiment.paired_fraction, self.seed)
        return home.splits.learn_from(home.validated()[0] if experiment.kind == "regressor" else ids, experiment.name)

    def validated(self) -> tuple[np.ndarray, np.ndarray]:
        """Windows that a regressor trains on and those that stop it early: D_tune, else the last user or recording."""
        ids, tune = self.splits.pretrain, np.concatenate(list(self.splits.tune.values()))
        if len(tune):
            return ids, self.splits.learn_from(tune, "early stopping", tuning=True)
        values = self.store.table["recording" if self.splits.group_kind == "recording" else "user"].to_numpy()[ids]
        return ids[values != values[-1]], ids[values == values[-1]]

    def communities(self, objective: cfg.ObjectiveConfig, system: str = "Pose-MAE", how: str | None = None):
        """(N_c, d) k-means centroids of the pre-training poses: 6 a gesture, at most a tenth of the windows.

        ``system``: the Pose-MAE that embeds them; ``how``: a ModelConfig.pose_embedding; None: the profile's.
        """
        ids = self.splits.learn_from(self.splits.pretrain, "communities")
        how = how or self.profile.model.pose_embedding
        n = objective.n_communities or 6 * self.store.table.iloc[ids]["gesture"].nunique()
        n = max(1, min(n, len(ids) // 10))
        return self.run(system).kept(
            f"communities-{how}-{n}-{self.seed}",
            lambda: losses.communities(self.frozen_embeddings(ids, system, how).numpy(), n, self.seed),
            {"seed": self.seed, **self.made_from},
        )

    # What trained systems make of windows; whoever asks does not change it in place.

    @cached_property
    def emg_queries(self) -> Callable[[str, np.ndarray], Tensor]:
        """Of a name and ids (n,): (n, M, d) what an aligned system retrieves with; M = 1 for CPEP."""
        # D_eval's and D_tune's of the system in hand: each k and each page asks for them
        return remembered(lambda name, ids: self.run(name).queries(ids), 2, lambda name: self.key(find(name)))

    @cached_property
    def features(self) -> Callable[[str, np.ndarray], Tensor]:
        """Of a name and ids (n,): (n, d) what a linear probe sees of the named system; few-shot reads them again."""

        def read(name: str, ids: np.ndarray) -> Tensor:
            return self.pose_embeddings(ids, name) if find(name).kind == "pose-mae" else self.run(name).features(ids)

        return remembered(read, 64, lambda name: self.key(find(name)))

    def pose_space(self, system: str = "Pose-MAE") -> tuple[str, str]:
        """The run that embeds poses for a system, by name, and how: two systems with one answer share a gallery."""
        experiment = find(system)
        own = experiment.pose_trained or experiment.kind == "pose-mae"
        return system if own else experiment.pose_start, self.configs(experiment)[0].pose_embedding

    def pose_embeddings(self, ids, system: str = "Pose-MAE") -> Tensor:
        """(n, d) v of each window, as ``system`` sees poses: by the frozen Pose-MAE (METHOD 2: [CLS] by default)."""
        space = self.pose_space(system)
        if find(system).pose_trained:
            return self.run(system).poses(np.asarray(ids), space[1])
        return self.frozen_embeddings(ids, *space)

    def frozen_embeddings(self, ids, system: str, how: str) -> Tensor:
        """Those of a Pose-MAE by a ModelConfig.pose_embedding; of the pre-training split made once for all runs."""
        home = self.home(find(system))
        if how == "centred":
            known = home.splits.learn_from(home.splits.pretrain, "centring")
            centre = home.frozen_embeddings(known, system, "cls").mean(0, keepdim=True)
            return self.frozen_embeddings(ids, system, "cls") - centre
        ids, known, run = np.asarray(ids), self.splits.pretrain, self.run(system)
        if not (home is self and len(ids) and np.isin(ids, known).all()):
            return run.poses(ids, how)
        made_from = {"seed": self.seed} | self.made_from
        kept = run.kept(f"embeddings-{how}", lambda: run.poses(known, how).numpy(), made_from)
        return torch.from_numpy(kept[np.searchsorted(known, ids)])

    def untrained_features(self, ids) -> Tensor:
        """(n, d) [CLS] of an EMG encoder with its initial weights: a control for the probe."""
        torch.manual_seed(self.seed)
        encoder = emg_encoder(self.profile.model).to(self.device).eval()
        return encode(encoder_embedding(encoder), self.reader(with_pose=False).emg, np.asarray(ids))

    def band_power(self, ids) -> np.ndarray:
        """(n, C * 8) what the line without a network sees: :meth:`~embridge.data.store.WindowStore.band_power`."""
        return self.store.band_power(ids)
