"""Every row of every table as one named experiment (METHOD 3-9); :mod:`embridge.study` trains them.

``system``, ``param`` and ``param_value`` are how the rows of a result name a member of a sweep; its own name is unique.
Groups and colours stand here, too, for the tables, figures and claims that show the same systems.
"""

import difflib
import tomllib
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from embridge.config import (
    REGRESSORS,
    ModelConfig,
    ObjectiveConfig,
    Profile,
    TrainConfig,
    profile,
    regression_config,
    with_tokens,
)
from embridge.errors import InputError

# CASCLe's constants and MPRL's, which D_tune chose: steps 1 to 4 of docs/constants.md
CASCLE = {"soft_targets": "communities", "affinity": "dot", "tau_s": 0.5, "alpha": 0.25}
EMBRIDGE = ObjectiveConfig(**CASCLE, lam=2.0, mask_ratio=None)
ALL, MOST_USERS = (1.0, 1.0), 176 / 38  # an Experiment's users and share; the most users that one has


@dataclass(frozen=True)
class Experiment:
    """One trained system."""

    name: str
    kind: str  # "emg-mae", "pose-mae", "cpep", "qformer" or "regressor"
    about: str
    part: str = "headline"  # the table or figure that it stands in; "headline" is what the quick profile trains
    objective: ObjectiveConfig | None = None  # what an aligned system minimises
    emg_start: str | None = "EMG-MAE"  # the masked autoencoder whose encoder it starts from; None: random weights
    pose_start: str = "Pose-MAE"  # the masked autoencoder whose encoder embeds its poses
    encoder: object = None  # instead of ``emg_start`` a module of your own, or a file of weights: embridge.models.own
    emg_frozen: bool = False  # which of the two encoders moves; usually the EMG encoder alone
    pose_trained: bool = False
    shuffled: bool = False  # pairs each EMG window with another window's pose (a control that must not learn)
    paired_fraction: float = 1.0  # of the recordings of each gesture that alignment sees
    users: float = 1.0  # times the profile's training users that all training sees: that of its autoencoders, too
    share: float = 1.0  # of the recordings of each gesture that all training sees
    epochs: float = 1.0  # times those of the profile's stage; the period of the learning rate grows with them
    patch: int = 1  # length of an EMG patch, in those of the profile
    model: dict = field(default_factory=dict)  # other changes to the profile's ModelConfig
    train: dict = field(default_factory=dict)  # and to its TrainConfig
    system: str = ""  # this and those below: how its rows are called; "": by its name
    param: str = ""
    param_value: str = ""
    options: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the experiments that are trained before this one."""
        if not self.aligned:
            return ()
        return (self.pose_start, self.emg_start) if self.emg_start and self.encoder is None else (self.pose_start,)

    @property
    def part_of_data(self) -> dict:
        """What its settings say of the windows that all training sees; {} for all that the profile has."""
        if (self.users, self.share) == ALL:
            return {}
        return {"part": [self.users, self.share] + [MOST_USERS] * (self.users > 1)}  # others are drawn among these

    @property
    def aligned(self) -> bool:
        """True where it retrieves poses, so that zero-shot applies."""
        return self.kind in ("cpep", "qformer")

    def minimises(self, size: Profile) -> ObjectiveConfig | None:
        """Its objective at a profile, whose r it has unless it says another."""
        if self.objective is None or self.objective.mask_ratio is not None:
            return self.objective
        return replace(self.objective, mask_ratio=size.mask_ratio)

    def configs(self, size: Profile, seed: int) -> tuple[ModelConfig, TrainConfig]:
        """The shape of its model and how it trains: the profile's, with its changes."""
        stage = size.mae if self.kind.endswith("-mae") else size.align
        shape = replace(size.model, emg_patch=size.model.emg_patch * self.patch)
        if self.kind == "regressor":
            stage = regression_config(stage, self.name, size.regressor_epochs, size.regressor_caps)
            if self.name != "PoseT":  # published networks, made for samples (METHOD 1)
                shape = replace(shape, emg_tokens="waveform", pose_tokens="waveform")
        epochs = max(1, round(stage.epochs * self.epochs))
        # as many periods of the learning rate as ever; a short control has a part of one
        period = stage.t_0 * max(1, round(self.epochs))
        train = {"seed": seed, "epochs": epochs, "t_0": period, **self.train}
        return replace(shape, **self.model), replace(stage, **train)


def slug(name: str) -> str:
    """An experiment's name as a part of a file's."""
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-").replace("--", "-")


# E Table 2's rows in order; ours are the lines without a network: what guessing gives, and the classifier to beat
ONE_CLASS, LOG_POWER_LDA, UPPER_BOUND = "One class", "Log-power + LDA", "Upper bound"  # the last: the probe of Pose-MAE
_FILE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
TABLE_2 = _FILE.pop("rows of Table 2")
TABLE_2_SYSTEMS = tuple(TABLE_2)
NO_NETWORK, UNIMODAL, MULTIMODAL = (
    tuple(name for name, (group, _) in TABLE_2.items() if group == wanted)
    for wanted in ("no network", "unimodal", "multi-modal")
)
GROUPS = {name: group for name, (group, _) in TABLE_2.items()}
COLOURS = {name: colour for name, (_, colour) in TABLE_2.items() if colour}
ALIGNED = ("CPEP", "Q-Former", "EMBridge")  # Table 4 and Fig. 3c vary all three, Fig. 4 the last
UNTRAINED = "Untrained encoder"  # EMG-MAE's, with its first weights: what a random network gives
PUBLISHED = REGRESSORS[1:4]  # emg2pose's networks: E has no row of them on NinaPro
# E Table 2's rows on NinaPro; its last, unlabelled row is EMBridge (METHOD 8)
NINAPRO = ("Pose-MAE", "EMG-MAE", "PoseT", "CPEP", "CPEP-LS", "Q-Former", "Q-Former-LS", "EMBridge")
REMOVED = ("EMBridge w/o Q-Former", "EMBridge w/o MPRL", "EMBridge w/o CASCLe")  # E Table 3, its upper half
OBJECTIVES = ("Label Smoothing", "SoftCLIP", "EMBridge")  # its lower half, whose CASCLe row is EMBridge itself
TABLE_3_SYSTEMS = (*NO_NETWORK, *REMOVED, *OBJECTIVES)
TABLE_3_GROUPS = GROUPS | dict.fromkeys(REMOVED, "component removed") | dict.fromkeys(OBJECTIVES, "soft objective")
CPEP_MAIN = (*NO_NETWORK, "Vemg2pose", "EMG-MAE", "PoseT", "CPEP", UPPER_BOUND)


def _experiments() -> dict[str, Experiment]:
    """All by name, in the order in which tables show and sweeps train them: these five and experiments.toml's."""
    symmetric = ObjectiveConfig(symmetric=True)
    five = (
        Experiment("Pose-MAE", "pose-mae", "masked autoencoder on pose; its probe is the upper bound"),
        Experiment("EMG-MAE", "emg-mae", "masked autoencoder on EMG alone"),
        Experiment("CPEP", "cpep", "contrastive pose-EMG pre-training on [CLS] (C)", "headline", symmetric),
        Experiment("Q-Former", "qformer", "learned queries, InfoNCE only", "headline", ObjectiveConfig()),
        Experiment("EMBridge", "qformer", "Q-Former with MPRL and CASCLe (E)", "headline", EMBRIDGE),
    )
    made = {experiment.name: experiment for experiment in five}
    for part, table in ((part, table) for part, tables in _FILE.items() for table in tables):
        rows, systems = table.pop("rows", [{}]), table.pop("of", [""])
        for of, row in product(systems, rows):
            fields, changes = {"of": of, **table, **row}, table.get("objective", {}) | row.get("objective", {})
            quoted = fields | changes
            fields = {k: v.format(**quoted) if isinstance(v, str) else v for k, v in fields.items()}
            base = made[of] if (of := fields.pop("of")) else Experiment("", "", "")
            if changes:
                fields["objective"] = replace(base.objective, **_plain(changes))
            made[fields["name"]] = replace(base, part=part, **_plain(fields))
    return made


def _plain(fields: dict) -> dict:
    return {name: None if value == "" else value for name, value in fields.items()}


EXPERIMENTS = _experiments()
CPEP_ABLATION = (*NO_NETWORK, *(e.name for e in EXPERIMENTS.values() if e.part == "C ablation" and e.aligned), "CPEP")


def find(name: str) -> Experiment:
    """The experiment of this name; InputError where there is none."""
    if name not in EXPERIMENTS:
        close = {other.casefold(): other for other in EXPERIMENTS}
        close = [close[other] for other in difflib.get_close_matches(str(name).casefold(), close, 3)]
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"experiment: expected one of {', '.join(EXPERIMENTS)}, found {name!r}{hint}")
    return EXPERIMENTS[name]


def cost(experiment: Experiment, size: Profile) -> float:
    """Its training time at a profile, at most, in epochs of EMG-MAE on log-power (at quick's size, on one core)."""
    shape, train = experiment.configs(size, 0)
    with_pose = experiment.objective is not None and experiment.objective.lam > 0  # MPRL: a second pass
    kinds = {"pose-mae": 0.6, "cpep": 0.7, "qformer": 2.4 if with_pose else 1.4}
    usual = kinds.get(experiment.kind, 1.0) * (3.5 if shape.kind == "waveform" else 1.0)
    # these always read waveforms
    an_epoch = {"emg2pose": 70, "Vemg2pose": 160, "NeuroPose": 310}.get(experiment.name, usual)
    return train.epochs * experiment.paired_fraction * experiment.users * experiment.share * an_epoch


def headline_alone(profile_name: str, tokens: str = "") -> bool:
    """Whether a profile trains no table's systems but the headline's: quick, long on another front end than its own."""
    own = profile(profile_name)
    return profile_name == "quick" or (profile_name == "long" and with_tokens(own, tokens) != own)


def trained_by(profile_name: str, dataset: str, tokens: str = "") -> tuple[str, ...]:
    """Names of the experiments that a profile trains on a dataset; quick reads the others from committed rows.

    ``tokens``: the front end that --tokens asks for, "" for the profile's own. Of an open choice the alternative that
    all others have then is left out, and of normalisations the one that comes with waveforms. "growth" is simulated,
    in smoke and long; on another front end than the profile's it is CPEP's, of no more users than the profile has.
    """
    if dataset in ("ninapro", "simulated-ninapro"):
        return NINAPRO
    headline = headline_alone(profile_name, tokens) or dataset == "ninapro-db1"
    usual = with_tokens(profile(profile_name), tokens)

    def is_default(e: Experiment) -> bool:
        if e.param == "r":
            return e.objective.mask_ratio == usual.mask_ratio
        if "emg_norm" in e.train:
            return e.train["emg_norm"] == usual.align.emg_norm
        named = [name for name in ("emg_tokens", "pose_tokens") if name in e.model]
        return bool(named) and all(getattr(usual.model, name) == e.model[name] for name in named)

    def is_here(e: Experiment) -> bool:
        if e.part == "growth":
            small = usual == profile(profile_name) or (e.users <= 1 and e.system != "EMBridge")
            return small and dataset == "simulated" and profile_name in ("smoke", "long")
        # whose constants are the paper's where it has them
        if e.part in ("constants", "soft targets") and profile_name == "paper":
            return False
        return e.part == "headline" or not headline

    return tuple(e.name for e in EXPERIMENTS.values() if is_here(e) and not is_default(e))


def of_parts(dataset: str, *parts: str, profile_name: str = "long", tokens: str = "") -> tuple[str, ...]:
    """Names of the parts' experiments that exist on a dataset: all on emg2pose and its simulation, few elsewhere.

    ``profile_name``: quick has those of "long"; ``tokens`` as in :func:`trained_by`.
    """
    known = trained_by("long" if profile_name == "quick" else profile_name, dataset, tokens)
    return tuple(name for name in known if EXPERIMENTS[name].part in parts)
