"""Weights that come with the package: a finished run's headline systems, with windows enough to show what they do.

``simulated-quick/`` beside this module is such a run, cut down: ``runs/`` as its study left it, a window store of some
hundred windows, raw signals of a few, and ``manifest.json``, which says where all are from and holds each file's
SHA-256. ``python -m benchmarks.ship`` makes it.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from embridge import inference
from embridge.config import RESULTS_VERSION, as_json, results_name
from embridge.data.recordings import Source
from embridge.data.splits import Splits, joined
from embridge.data.store import WindowStore
from embridge.data.windows import find_store
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, find, slug
from embridge.files import read_npz, sha256
from embridge.provenance import default_out
from embridge.simulator.recordings import planned_simulated
from embridge.study import Study

FOLDER = Path(__file__).parent
SYSTEMS = tuple(name for name, experiment in EXPERIMENTS.items() if experiment.part == "headline")
NEEDS_ALL = "This needs every recording, of which the windows shipped are a part: train = True makes them."
AGAIN = "python -m benchmarks.ship makes them of a finished run"


def names() -> list[str]:
    """What :func:`load` knows, such as "simulated-quick/EMBridge"."""
    return [f"{file.parent.name}/{system}" for file in sorted(FOLDER.glob("*/manifest.json")) for system in SYSTEMS]


class Shipped(Study):
    """A study whose runs and windows are those of a folder that :mod:`benchmarks.ship` has made.

    It answers what notebooks ask of a study, for as many windows as were shipped, and trains nothing. Recordings are
    simulated when they are loaded. No score is taken of a part of D_eval: pages show the committed rows of the same
    configuration (:mod:`embridge.paper.kept`). Pictures and tables go below ``out``, never over those of a run of one's
    own. Raises InputError where a file is missing or damaged, and where RESULTS_VERSION or the profile is another now.
    """

    trains = whole = False

    def __init__(self, folder: Path, device="auto", out="", size=None):
        self.manifest = manifest = _checked(folder)
        super().__init__(manifest["dataset"], manifest["profile"], manifest["seed"], device, "", folder, size=size)
        if manifest["configuration"] != as_json(self.profile):
            raise InputError(f"{folder}: shipped weights are of another {self.profile.name} profile; {AGAIN}")
        self.beside, self.data_key = Path(out).expanduser() if out else default_out(), manifest["data_key"]

    @cached_property
    def source(self) -> Source:
        return planned_simulated(self.simulation_folder, self.simulation)

    @property
    def figures(self) -> Path:
        return self.beside / "figures" / f"{self.out.name}-pretrained"

    @cached_property
    def store(self) -> WindowStore:
        return WindowStore(self.out / "windows")

    def store_of(self, kind: str) -> WindowStore:
        if kind != self.store.kind:
            raise InputError(f"shipped windows are {self.store.kind}, found a request for {kind}; set train = True")
        return self.store

    @cached_property
    def splits(self) -> Splits:
        fields = dict(self.manifest["splits"])
        ids = {"pretrain": np.array(fields.pop("pretrain"), np.int64)}
        for part in ("probe_train", "evaluation"):
            ids[part] = {name: np.array(rows, np.int64) for name, rows in fields.pop(part).items()}
        fields |= {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return Splits(table=self.store.table, **ids, **fields)

    def run(self, name):
        experiment = find(name) if isinstance(name, str) else name
        if self.manifest["systems"].get(experiment.name) != self.key(experiment):
            shipped = f"not among the shipped weights, {', '.join(self.manifest['systems'])}, or is configured"
            raise InputError(f"{experiment.name} is {shipped} otherwise than they were; set train = True to train it")
        return super().run(experiment)

    def communities(self, objective, system="Pose-MAE", how=None):
        how = how or self.profile.model.pose_embedding
        found = sorted(self.run(system).folder.glob(f"communities-{how}-{objective.n_communities or '*'}-*.npz"))
        if not found:
            raise InputError("shipped weights have no such communities; set train = True to make them")
        return read_npz(found[0])["array"]

    def frozen_embeddings(self, ids, system, how):
        if how == "centred":
            raise InputError("the mean of all training poses is not shipped; set train = True to centre poses")
        return self.run(system).poses(np.asarray(ids), how)


def _checked(folder: Path) -> dict:
    """The manifest of a shipped folder, all of whose files are as they were made."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        version, sums = manifest["results_version"], manifest["sha256"]
    except FileNotFoundError:
        raise InputError(f"no weights are shipped in {folder}; {AGAIN}, or set train = True") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / 'manifest.json'} is damaged ({error}); install the package again") from error
    if version != RESULTS_VERSION:
        found = f"found {version}, whose numbers are not today's; {AGAIN}"
        raise InputError(f"{folder}: expected weights of RESULTS_VERSION {RESULTS_VERSION}, {found}")
    for name, expected in sums.items():
        if not (folder / name).is_file() or sha256(folder / name) != expected:
            raise InputError(f"{folder / name} is missing or damaged: its SHA-256 differs; install the package again")
    return manifest


def open_study(dataset: str, profile: str, train: bool, **options) -> Study:
    """The study that a chapter shows: with ``train`` one that trains what is missing, else what is there already.

    Without ``train`` that is a run of all SYSTEMS in ``runs/`` or, in one printed line, what is shipped, and neither
    trains. ``options`` as for :class:`~embridge.study.Study`. Raises InputError where neither is there.
    """
    own = Study(dataset, profile, **options)
    if train or finished(own):
        own.trains = train
        return own
    name = results_name(own.dataset, own.profile.name, own.tokens)
    if not (FOLDER / name / "manifest.json").exists():
        shipped = ", ".join(sorted({name.split("/")[0] for name in names()})) or "none"
        raise InputError(f"train = False shows shipped weights, of which there are none for {name} ({shipped}) and no "
                         "finished run here; set train = True to train what this chapter needs")  # fmt: skip
    study = Shipped(FOLDER / name, options.get("device", "auto"), options.get("out", ""), options.get("size"))
    if own.seed != study.seed:
        told = f"shipped weights are of seed {study.seed}, found seed {own.seed}"
        raise InputError(f"{told}; set train = True to train it")
    n, here = study.manifest["trained_on"], len(study.splits.pretrain)
    print(
        f"Shipped weights ({name}, seed {study.seed}, commit {study.manifest['commit']}), trained on {n} windows, of "
        f"which {here} are here, and {len(joined(study.splits.evaluation))} of D_eval; scores are the committed ones "
        "of this configuration in the repository's figures/, on all of D_eval. train = True trains anew."
    )
    return study


def finished(study: Study) -> bool:
    """True where a study of the simulation has recordings, windows and all SYSTEMS' runs; nothing is made."""
    if study.dataset != "simulated" or not (study.simulation_folder / "metadata.csv").exists():
        return False
    store = find_store(study.source, study.windows, study.stores, study.profile.model.kind)
    if store is None:
        return False
    study.store = store
    folders = (study.out / "runs" / f"{slug(name)}-{study.key(EXPERIMENTS[name])}" for name in SYSTEMS)
    return all((folder / "done.json").exists() for folder in folders)


@dataclass
class Pretrained(inference.Embedder):
    """A shipped system, which embeds raw windows as any other, and has shipped windows to compare them with."""

    study: Shipped | None = None

    @cached_property
    def raw(self) -> dict[str, np.ndarray]:
        """Windows as recorded: ``emg`` (8, C, T), ``pose`` (8, J, T), rad, and ``row``, (8,) theirs in the gallery."""
        found = read_npz(self.study.out / "raw.npz")
        scaled = found["emg"].astype(np.float32) * found["scale"][:, None, None]
        return {"emg": scaled, "pose": found["pose"].astype(np.float32), "row": np.searchsorted(self.ids, found["id"])}

    @property
    def ids(self) -> np.ndarray:
        """(G,) the shipped windows of D_eval, which are the gallery."""
        return np.sort(joined(self.study.splits.evaluation))

    @property
    def gestures(self) -> np.ndarray:
        """(G,) the gesture of each, by name."""
        return self.study.store.table["gesture"].to_numpy(str)[self.ids]

    @cached_property
    def pose_embeddings(self) -> Tensor:
        """(G, d) the gallery."""
        return self.study.pose_embeddings(self.ids, self.name)

    @cached_property
    def recogniser(self) -> inference.Recogniser:
        """The gallery's vote on raw windows, as evaluation counts it; InputError for a system that is not aligned."""
        if not find(self.name).aligned:
            raise InputError(f"{self.name} is not aligned, its EMG has no nearest poses; take EMBridge or CPEP")
        how, codes = self.study.profile.evaluation, np.unique(self.gestures, return_inverse=True)[1]
        return inference.Recogniser(self, self.pose_embeddings, codes, k=how.k, pooling=how.pooling)

    def nearest(self, window: np.ndarray) -> tuple[Tensor, Tensor]:
        """Cosines (k,) and rows (k,) of the gallery's poses nearest to raw EMG (C, T), best first."""
        return self.recogniser.neighbours(np.asarray(window).T)

    def vote(self, window: np.ndarray) -> str:
        """The gesture for which the poses nearest to raw EMG (C, T) vote."""
        return str(np.unique(self.gestures)[self.recogniser.label(np.asarray(window).T)])


def load(run, device: str = "cpu", encoder: nn.Module | None = None) -> inference.Embedder:
    """A trained system for raw windows, on "cpu", "cuda" or "auto": what ``embridge.load`` is.

    ``run`` is the name of a shipped one (:func:`names`), which comes as :class:`Pretrained`, or a finished run or its
    folder; that and ``encoder`` are as for :func:`embridge.inference.load`. Raises InputError as it and
    :class:`Shipped` do, and for a name that is neither.
    """
    if not isinstance(run, str) or Path(run).exists() or Path(run).is_absolute():
        return inference.load(run, device, encoder)
    place, _, system = run.partition("/")
    if f"{place}/{system}" not in names():
        known = ", ".join(names()) or f"none ({AGAIN})"
        raise InputError(f"{run!r} is neither the folder of a run nor shipped; shipped are {known}")
    study = Shipped(FOLDER / place, device)
    return Pretrained(**vars(inference.load(study.run(system), device)), study=study)
