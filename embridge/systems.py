"""Every row of every table as one named experiment (METHOD 3-8); :mod:`embridge.experiments` trains them.

The grids are METHOD 6's: the papers print the values of few. ``system``, ``param`` and ``param_value`` are how the rows
of a result name a member of a sweep; its own name is unique.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from embridge.choices import OPEN_CHOICES
from embridge.config import REGRESSORS, ObjectiveConfig, Profile, profile


@dataclass(frozen=True)
class Experiment:
    """One trained system.

    Attributes
    ----------
    kind : "emg-mae", "pose-mae", "cpep", "qformer" or "regressor"
    part : the table or figure that it stands in; "headline" is what the quick profile trains
    objective : what an aligned system minimises
    emg_start : name of the masked autoencoder whose encoder it starts from; None: random weights
    pose_start : name of the masked autoencoder whose encoder embeds its poses
    emg_frozen, pose_trained : which of the two encoders moves; usually the EMG encoder alone
    shuffled : pairs each EMG window with another window's pose (a control that must not learn)
    paired_fraction : of the recordings of each gesture that alignment sees
    epochs : times those of the profile's stage; the period of the learning rate grows with them
    patch : length of an EMG patch, in those of the profile
    model, train : other changes to the profile's ModelConfig and TrainConfig
    windows : changes to the dataset's WindowConfig; with any, it and what it needs are trained and scored on windows
        of their own
    system, param, param_value, options : how its rows are called; ``system`` "": by its name
    """

    name: str
    kind: str
    about: str
    part: str = "headline"
    objective: ObjectiveConfig | None = None
    emg_start: str | None = "EMG-MAE"
    pose_start: str = "Pose-MAE"
    emg_frozen: bool = False
    pose_trained: bool = False
    shuffled: bool = False
    paired_fraction: float = 1.0
    epochs: float = 1.0
    patch: int = 1
    model: dict = field(default_factory=dict)
    train: dict = field(default_factory=dict)
    windows: dict = field(default_factory=dict)
    system: str = ""
    param: str = ""
    param_value: str = ""
    options: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the experiments that are trained before this one."""
        if self.kind not in ("cpep", "qformer"):
            return ()
        return (self.pose_start, self.emg_start) if self.emg_start else (self.pose_start,)

    @property
    def aligned(self) -> bool:
        """Whether it retrieves poses, so that zero-shot applies."""
        return self.kind in ("cpep", "qformer")


CPEP = Experiment(
    "CPEP", "cpep", "contrastive pose-EMG pre-training on [CLS] (C)", objective=ObjectiveConfig(symmetric=True)
)
QFORMER = Experiment("Q-Former", "qformer", "learned queries, InfoNCE only", objective=ObjectiveConfig())
EMBRIDGE = Experiment(
    "EMBridge",
    "qformer",
    "Q-Former with MPRL and CASCLe (E)",
    objective=ObjectiveConfig(soft_targets="communities", alpha=1.0, lam=1.0),
)
# Lines without a network beside every linear probe (ours): what guessing gives, and the classifier to beat
ONE_CLASS, LOG_POWER_LDA = NO_NETWORK = ("One class", "Log-power + LDA")
ALIGNED = SWEPT = ("CPEP", "Q-Former", "EMBridge")  # Table 4 and Fig. 3c vary all three, Fig. 4 the last
# E Table 2's rows on NinaPro; its last, unlabelled row is EMBridge (METHOD 8)
NINAPRO = ("Pose-MAE", "EMG-MAE", "PoseT", "CPEP", "CPEP-LS", "Q-Former", "Q-Former-LS", "EMBridge")

# Fig. 4 and E 4: values beside EMBridge's own
GRIDS = {
    "tau_s": (0.02, 0.05, 0.2, 0.5),
    "k_c": (1, 3, 10, 20, "all"),
    "M": (8, 32),
    "alpha": (0.25, 0.5, 2.0),
    "lambda": (0.25, 0.5, 2.0),
    "r": (0.25, 0.75),
    "metric": ("cosine", "l1", "l2"),
}
NEIGHBOURS = (1, 5, 10, 20, 50)  # k: no training
BATCH_SIZES = (512, 1024)  # E Table 4, beside 256
FRACTIONS = (0.2, 0.4, 0.6, 0.8)  # Fig. 3c, beside 1
_FIELDS = {"alpha": "alpha", "lambda": "lam", "r": "mask_ratio", "tau_s": "tau_s", "metric": "affinity"}


def _variant(
    base: Experiment, name: str, about: str, part: str, objective: dict | None = None, **changes
) -> Experiment:
    objective = replace(base.objective, **objective or {})
    return replace(base, name=name, about=about, part=part, objective=objective, **changes)


def _table_2() -> Iterator[Experiment]:
    for name in REGRESSORS[:4]:
        yield Experiment(name, "regressor", "regresses pose from EMG (E 3.3)", "Table 2")
    for base in (CPEP, QFORMER):
        about = f"{base.name}, targets smoothed by 0.1 (E 3.3)"
        yield _variant(base, f"{base.name}-LS", about, "Table 2", {"soft_targets": "smoothing"})


def _table_3() -> Iterator[Experiment]:
    def variant(name: str, about: str, base: Experiment = EMBRIDGE, **objective) -> Experiment:
        return _variant(base, name, about, "Table 3", objective)

    yield variant(
        "EMBridge w/o Q-Former", "CPEP with CASCLe, InfoNCE one-way", CPEP, soft_targets="communities", alpha=1.0,
        symmetric=False)  # fmt: skip
    yield variant("EMBridge w/o MPRL", "Q-Former with CASCLe", lam=0.0)
    yield variant("EMBridge w/o CASCLe", "Q-Former with MPRL", soft_targets=None, alpha=0.0)
    yield variant("Label Smoothing", "smoothed InfoNCE with MPRL", soft_targets="smoothing", alpha=0.0)
    yield variant("SoftCLIP", "soft targets of instances, with MPRL", soft_targets="instances")


def _cpep_ablation() -> Iterator[Experiment]:
    def variant(name: str, about: str, **changes) -> Experiment:
        return _variant(CPEP, f"CPEP, {name}", about, "C ablation", **changes)

    yield variant("EMG encoder frozen", "only the head learns", emg_frozen=True)
    yield variant("random initialisation", "no masked autoencoding of EMG first", emg_start=None)
    yield variant(
        "average pooling", "means of tokens on both sides", model={"emg_pooling": "mean", "pose_embedding": "mean"}
    )
    yield Experiment("EMG-MAE, longer patches", "emg-mae", "patches of four times the length", "C ablation", patch=4)
    yield variant(
        "longer EMG patches", "four times the length (in the paper profile E 2.1's 200)", patch=4,
        emg_start="EMG-MAE, longer patches",
    )  # fmt: skip
    yield variant(
        "both encoders trained", "the pose encoder moves, too: the source reports divergence", pose_trained=True
    )


def _table_4() -> Iterator[Experiment]:
    for base in (CPEP, QFORMER, EMBRIDGE):
        for size in BATCH_SIZES:
            for options, epochs in (("same epochs", 1), ("same steps", size / 256)):
                name = f"{base.name}, B = {size}, {options}"
                train = {"batch_size": size}
                yield _variant(
                    base, name, "Table 4", "Table 4", train=train, epochs=epochs, system=base.name, options=options
                )


def _data_efficiency() -> Iterator[Experiment]:
    for base in (CPEP, QFORMER, EMBRIDGE):
        for share in FRACTIONS:
            name = f"{base.name}, {share:.0%} of pairs"
            how = {"system": base.name, "param": "paired_fraction", "param_value": f"{share:g}"}
            yield _variant(base, name, "data efficiency", "Fig. 3c", paired_fraction=share, **how)


def _sensitivity() -> Iterator[Experiment]:
    for param, values in GRIDS.items():
        for value in values:
            how = {"system": "EMBridge", "param": param, "param_value": f"{value}"}
            if param == "M":
                change = {"model": {"n_queries": value}}
            elif param == "k_c":
                change = {"objective": {"k_c": None if value == "all" else value}}
            else:
                change = {"objective": {_FIELDS[param]: value}}
            yield _variant(EMBRIDGE, f"EMBridge, {param} = {value}", "sensitivity", "Fig. 4", **change, **how)


def _open_choices() -> Iterator[Experiment]:
    for c in OPEN_CHOICES:
        if not c.changes:
            continue
        how = {"param": c.option, "param_value": c.alternative}
        about = f"{c.option}: {c.alternative} (METHOD 9)"
        for start, kind, system in (("emg_start", "emg-mae", "EMG-MAE"), ("pose_start", "pose-mae", "Pose-MAE")):
            if start in c.changes:  # an autoencoder that saw its signal otherwise would be a poor start, or none
                same = {name: c.changes.get(name, {}) for name in ("model", "train")}
                yield Experiment(c.changes[start], kind, about, "open choices", system=system, **same, **how)
        base = {"CPEP": CPEP, "EMBridge": EMBRIDGE}[c.system]
        yield _variant(base, c.experiment, about, "open choices", system=c.system, **how, **c.changes)


EXPERIMENTS = {
    e.name: e
    for e in (
        Experiment("Pose-MAE", "pose-mae", "masked autoencoder on pose; its probe is the upper bound"),
        Experiment("EMG-MAE", "emg-mae", "masked autoencoder on EMG alone"),
        CPEP,
        QFORMER,
        EMBRIDGE,
        # a quarter of the epochs is enough to learn if there were anything to learn
        _variant(
            CPEP, "CPEP, pairs shuffled", "control: another window's pose", "headline", shuffled=True, epochs=0.25
        ),
        *_table_2(),
        *_table_3(),
        *_cpep_ablation(),
        *_data_efficiency(),
        *_sensitivity(),
        *_table_4(),
        *_open_choices(),
    )
}


def trained_by(profile_name: str, dataset: str) -> tuple[str, ...]:
    """Names of the experiments that a profile trains on a dataset; quick reads the others from committed rows."""
    if dataset in ("ninapro", "simulated-ninapro"):
        return NINAPRO
    headline = profile_name == "quick" or dataset == "ninapro-db1"
    usual = profile(profile_name)
    return tuple(
        e.name for e in EXPERIMENTS.values() if (e.part == "headline" or not headline) and not _is_default(e, usual)
    )


def _is_default(e: Experiment, usual: Profile) -> bool:
    """Whether an open choice asks for what all others have in this profile, or for waveforms as another one does."""
    if e.part != "open choices":
        return False
    named = {name: e.model[name] for name in ("emg_tokens", "pose_tokens") if name in e.model}
    norm = e.train.get("emg_norm")
    if norm:  # of waveforms: the usual one comes with the choice of these
        return norm == usual.align.emg_norm
    return bool(named) and all(getattr(usual.model, name) == value for name, value in named.items())


def of_parts(dataset: str, *parts: str, profile_name: str = "long") -> tuple[str, ...]:
    """Names of the parts' experiments that exist on a dataset: all on emg2pose and its simulation, few elsewhere.

    ``profile_name``: quick has those of "long".
    """
    known = trained_by("long" if profile_name == "quick" else profile_name, dataset)
    return tuple(name for name in known if EXPERIMENTS[name].part in parts)
