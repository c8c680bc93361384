"""Every hyper-parameter, with the source of its value, and the profiles (METHOD 10).

Sources: "E" is the EMBridge paper (section or equation), "C" the CPEP paper as summarised, "ours" a choice
that both leave open. All classes are frozen: a changed value is a new object and so a new key in ``runs/``.
Only the standard library is imported here: the command line reads the names before anything is installed.
"""

import hashlib
import json
import operator
import tomllib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from embridge.errors import InputError, one_of

# Raised by hand when a change can move a number: it is in the key of every store and run and in every row of results,
# and what bears another one is not found again. tests/test_golden_losses.py fails where it should have been raised.
RESULTS_VERSION = 3
ADDED = {"added": True}  # metadata of a field whose default leaves the arithmetic as it was: see as_json
PROFILES = ("smoke", "quick", "long", "paper")
TOKENS = ("waveform", "features")  # --tokens: samples as the papers have them, or log-power and frames (ours)
BINS_PER_SECOND = 40  # of log-power and frames: bins of 25 ms (METHOD 1, ours)
REGRESSORS = ("PoseT", "NeuroPose", "emg2pose", "Vemg2pose", "Vemg2pose tracking")  # E 3.3; the last is never probed


def positive(where: str, name: str, value) -> float:
    """A setting as a float above 0; InputError, which begins with ``where``, for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise InputError(f"{where}expected {name}, a number above 0, found {value!r}")
    return number


@dataclass(frozen=True)
class WindowConfig:
    """The settings that decide the contents of a window store."""

    sample_rate: float = 2000.0  # Hz, E A.6
    n_channels: int = 16  # emg2pose's wrist band
    n_joints: int = 20  # emg2pose's joint angles
    window: int = 4000  # samples: 2 s, E 3.2
    stride_train: int = 4000  # samples: non-overlapping, E 3.2
    stride_eval: int = 4000  # samples: non-overlapping, E 3.2
    bandpass: tuple[float, float] | None = (2.0, 250.0)  # Hz, E 3.2; None: an envelope is notched at most
    bandpass_order: int = 4  # ours: paper silent
    notch: float | None = 60.0  # Hz, E 3.2; 50 for NinaPro (Europe)
    notch_q: float = 30.0  # ours: paper silent
    after_ik_failure: str = "restart"  # ours: "restart" windows behind a failure, or "grid" (fixed grid)
    exclude_ik_failures: bool = False  # pose frames of zeros: failures in emg2pose, whose record turns it on; else rest

    def __post_init__(self):
        """Make numpy's numbers and lists plain; raise InputError for a setting that cannot be."""
        for name in ("n_channels", "n_joints", "window", "stride_train", "stride_eval", "bandpass_order"):
            try:
                value = operator.index(getattr(self, name))
            except TypeError:
                value = 0
            if value < 1:
                found = f"found {getattr(self, name)!r}"
                raise InputError(f"windows: expected {name} to be a whole number above 0, {found}")
            object.__setattr__(self, name, value)
        for name in ("sample_rate", "notch_q", *(["notch"] if self.notch is not None else [])):
            object.__setattr__(self, name, positive("windows: ", name, getattr(self, name)))
        if (after := self.after_ik_failure) not in ("restart", "grid"):
            raise InputError(f"windows: expected after_ik_failure to be restart or grid, found {after!r}")
        half = self.sample_rate / 2
        below = f"below half of the sample rate, {half:g} Hz, found"
        if self.bandpass is not None:
            edges = self.bandpass if hasattr(self.bandpass, "__iter__") else (self.bandpass,)
            edges = tuple(positive("windows: ", "each edge of bandpass", edge) for edge in edges)
            object.__setattr__(self, "bandpass", edges)
            if len(edges) != 2 or not edges[0] < edges[1] < half:
                found = f"{' to '.join(f'{edge:g}' for edge in edges)} Hz at {self.sample_rate:g} Hz; choose lower ones"
                raise InputError(f"windows: expected bandpass to be two rising edges {below} {found}")
        if self.notch is not None and self.notch >= half:
            raise InputError(f"windows: expected notch to be {below} {self.notch:g} Hz; choose another or None")


@dataclass(frozen=True)
class TokenShape:
    """The cut of one encoder's input: its channels, the steps of a window (samples or bins) and of a patch."""

    n_channels: int
    steps: int
    patch: int

    @property
    def n_tokens(self) -> int:
        """L, the number of patches in a window."""
        return self.steps // self.patch


def n_bins(config: "WindowConfig | ModelConfig") -> int:
    """The number of bins of 25 ms in a window; InputError where one would hold fewer than two samples (METHOD 1)."""
    n = round(BINS_PER_SECOND * config.window / config.sample_rate)
    if n < 1 or config.window < 2 * n:
        expected = f"expected two samples or more in each bin of {1000 / BINS_PER_SECOND:g} ms"
        found = f"found {config.window} samples at {config.sample_rate:g} Hz for {n} bins; use --tokens waveform"
        raise InputError(f"log-power and frames: {expected}, {found}")
    return n


def kind_of(tokens: str) -> str:
    """The kind of window store, one of TOKENS, that a front end reads: ``emg_tokens`` or ``pose_tokens``."""
    return "waveform" if tokens == "waveform" else "features"


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the networks (E 2.1, A.6)."""

    n_channels: int = 16
    n_joints: int = 20
    window: int = 4000  # T, samples
    sample_rate: float = 2000.0  # Hz
    emg_tokens: str = "waveform"  # E 2.1; or "log-power" of 25 ms bins (METHOD 1, ours)
    pose_tokens: str = "waveform"  # E 2.1; or "frames", means over the same bins (METHOD 1, ours)
    emg_patch: float = 0.025  # s: S = 50 samples, E A.6
    pose_patch: float = 0.1  # s: S = 200 samples, E A.6
    positions: str = "sin-cos"  # fixed, METHOD 2; or "learned" from N(0, 0.02)
    d: int = 256  # width, E A.6
    n_layers: int = 4  # encoder layers, E A.6
    n_decoder_layers: int = 2  # E A.6
    n_heads: int = 8  # ours: paper silent
    mlp_ratio: int = 4  # ours: paper silent
    mask_ratio: float = 0.5  # MAE, E 2.1
    n_queries: int = 16  # M, E 4
    query_gain: float = field(default=1.0, metadata=ADDED)  # first weights of the norm of Q(0), METHOD 4; ours
    cross_attention_blocks: tuple[int, ...] = (0, 2)  # "every other block", E 2.2.1
    cpep_hidden: int = 0  # E A.6: a one-layer head; above 0: width of a hidden layer
    emg_pooling: str = "cls"  # CPEP, C; or "mean" of tokens
    pose_embedding: str = "cls"  # C; or "mean" of tokens, or "centred" ([CLS] minus the pre-training mean)
    pose_feed_forward: str = "separate"  # MPRL, BLIP-2; or "shared" with the queries
    mprl_pass: str = "queries"  # on Q' (E 2.2.2's text); "rerun" reads eq. 2 as Q(0) with cross-attention
    mprl_target: str = "patch"  # the normalised raw patch; or "token", the tokenizer's output

    @property
    def emg(self) -> TokenShape:
        """The cut of the EMG encoder's input; InputError for an unknown front end or a patch of no whole steps."""
        return self._shape("emg_tokens", "log-power", self.n_channels, self.emg_patch)

    @property
    def pose(self) -> TokenShape:
        """The cut of the pose encoder's input; errors as of :attr:`emg`."""
        return self._shape("pose_tokens", "frames", self.n_joints, self.pose_patch)

    @property
    def kind(self) -> str:
        """The kind of window store that most of it reads: "features" where either encoder has a binned front end."""
        return "features" if "features" in (kind_of(self.emg_tokens), kind_of(self.pose_tokens)) else "waveform"

    def _shape(self, name: str, binned: str, width: int, seconds: float) -> TokenShape:
        kind = getattr(self, name)
        one_of(name, kind, "waveform", binned)
        steps, rate = (self.window, self.sample_rate) if kind == "waveform" else (n_bins(self), BINS_PER_SECOND)
        patch = round(seconds * rate)
        if patch < 1 or abs(patch - seconds * rate) > 1e-6 * patch:
            unit = "samples" if kind == "waveform" else "bins of 25 ms"
            found = f"expected a whole number of {unit}, found {seconds * rate:g}; choose another length"
            raise InputError(f"patch of {seconds:g} s ({name} = {kind}): {found}")
        return TokenShape(width, steps, patch)


@dataclass(frozen=True)
class ObjectiveConfig:
    """The objective of an alignment run: InfoNCE + alpha * soft term + lambda * MPRL (E 2.2)."""

    symmetric: bool = False  # E: EMG -> pose only; CPEP: symmetric (C)
    soft_targets: str | None = None  # None, "smoothing", or one of losses.TARGETS, such as "communities" (CASCLe)
    alpha: float = 0.0  # weight of the soft term; ours where it is used: embridge.experiments
    lam: float = 0.0  # lambda, weight of MPRL; ours where it is used: embridge.experiments
    tau_init: float = 0.02  # E A.6 of CPEP and C, learnable
    tau_learned: bool = True
    tau_s: float = 0.1  # E eq. 4; value only in an image, ours from METHOD 6
    k_c: int | None = 5  # top clusters kept, E eq. 3; ours from METHOD 6; None: all
    n_communities: int | None = None  # N_c; None: 6 a pre-training gesture (138 on emg2pose, E A.6)
    affinity: str = "dot"  # E 2.2.3; or "cosine" (E 4), "l1", "l2"
    renormalise_q: bool = False  # E eq. 5 uses InfoNCE's q; True: q over j != i
    smoothing: float = 0.1  # E 3.3, used by "smoothing" only
    mask_ratio: float | None = 0.5  # r, E A.6; None: the profile's, by Experiment.minimises
    contrast: str = field(default="info-nce", metadata=ADDED)  # or "sigmoid" (SigLIP); "none": the soft term alone

    @property
    def head(self) -> dict:
        """What a model's temperature starts from, and for SigLIP the bias: -10 at 1 / tau = 10, as published."""
        found = {"tau_init": self.tau_init, "tau_learned": self.tau_learned}
        return found | ({"bias": -1 / self.tau_init} if self.contrast == "sigmoid" else {})


@dataclass(frozen=True)
class TrainConfig:
    """One stage of training (E A.6)."""

    epochs: int = 100
    batch_size: int = 256  # E A.6
    lr: float = 1e-4  # E A.6
    weight_decay: float = 1e-5  # E A.6; none on biases, norms, tokens, temperature (ours)
    t_0: int = 10  # epochs of the first cosine period; ours: paper silent
    t_mult: int = 1  # ours: with 2, forty epochs would end at 85 % of the peak
    schedule: str = "cosine"  # with warm restarts, E A.6; or "constant"
    clip: float | None = None  # largest norm of the whole gradient; None: never clipped
    patience: int | None = None  # epochs without a better validation after which training stops; None: never
    emg_norm: str = "channel"  # of waveforms: "channel" and window (E), "window" only, "recording", "train" (DB1)
    rotate: tuple[int, ...] = (-1, 0, 1)  # channel rotation, E A.6 after emg2pose; empty: none
    ring: int | None = None  # channels 0..ring-1 form the ring that rotates; None: all of them
    precision: str = "auto"  # "fp32", "bf16" where not emulated, or "auto": bf16 on a GPU alone
    seed: int = 0


@dataclass(frozen=True)
class EvalConfig:
    """Zero-shot and probe (E 3.1, A.6)."""

    k: int = 10  # neighbours, E A.6
    pooling: str = "max"  # over queries, BLIP-2; both are always reported
    probe_c: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0)  # chosen on D_tune
    n_bootstrap: int = 2000
    hands: str = "all"  # or "prompted": only files whose side is a moving hand
    tune_users: int | None = None  # of the simulated val users; None: as on emg2pose, 3 of 15 (E Table 1)


@dataclass(frozen=True)
class SimulationConfig:
    """The amount that the simulator writes. Its physiology is in ``embridge.simulator``, frozen."""

    train_users: int = 38  # about 7,700 windows (METHOD 10: about 9,000)
    val_users: int = 16  # 8 tune, 8 probe (METHOD 10)
    test_users: int = 12
    sessions: int = 2  # a user; the band is taken off and put on again between sessions
    train_seconds: float = 11.0  # a recording of a training user: with these lengths quick takes 8.4 GB of disk
    eval_seconds: float = 12.0  # a recording of a val or test user
    held_out_stage_users: int = 2  # training users who also record held-out stages (generalization "stage")
    all_eval_stages: bool = False  # val and test users record all 29 stages, or the eight that are classes
    seed: int = 2  # METHOD 10: 0 and 1 were looked at while the method was built
    more_train_users: int = field(default=0, metadata=ADDED)  # numbered behind all others, who stay as they are


@dataclass(frozen=True)
class NinaProSimulationConfig:
    """The amount of NinaPro's DB2 and DB7 that the simulator writes: each subject makes all 17 + 23 movements."""

    db2_subjects: int = 8
    db7_subjects: int = 6
    repetitions: int = 4  # of each movement; at least 2, to be split half and half
    movement_seconds: float = 4.4  # long enough for two windows in its refined label
    rest_seconds: float = 0.8  # after each movement
    seed: int = 0


@dataclass(frozen=True)
class Profile:
    """A named size of everything (METHOD 10)."""

    name: str
    model: ModelConfig
    mae: TrainConfig
    align: TrainConfig
    simulation: SimulationConfig
    evaluation: EvalConfig = field(default_factory=EvalConfig)
    regressor_epochs: dict[str, int] = field(default_factory=dict)  # by kind; empty: those of alignment
    regressor_caps: dict[str, int] | None = field(default=None, metadata=ADDED)  # by kind, instead of these
    mask_ratio: float = field(default=0.75, metadata=ADDED)  # EMBridge's r, which D_tune chose: docs/constants.md
    ninapro: NinaProSimulationConfig = field(default_factory=NinaProSimulationConfig)


_PROFILES = tomllib.loads(Path(__file__).with_name("profiles.toml").read_text(encoding="utf-8"))


def profile(name: str) -> Profile:
    """Return the named profile of profiles.toml; raises KeyError for an unknown name (command lines check first)."""
    said = _PROFILES[name]
    said = _PROFILES.get(said.get("like"), {}) | said
    stage = said.get("training", {})
    evaluation = {key: tuple(v) if isinstance(v, list) else v for key, v in said.get("evaluation", {}).items()}
    return Profile(
        name=name,
        model=ModelConfig(**said.get("model", {})),
        mae=TrainConfig(**stage | said.get("mae", {})),
        align=TrainConfig(**stage | said.get("align", {})),
        simulation=SimulationConfig(**said.get("simulation", {})),
        evaluation=EvalConfig(**evaluation),
        ninapro=NinaProSimulationConfig(**said.get("ninapro", {})),
        **{key: said[key] for key in ("regressor_epochs", "regressor_caps", "mask_ratio") if key in said},
    )


def regression_config(stage: TrainConfig, kind: str, epochs: dict[str, int], caps: dict | None = None) -> TrainConfig:
    """Training of the regressor ``kind`` where other systems train as ``stage``: epochs and batches stay (METHOD 7).

    The published recipe: Adam (AdamW that decays nothing), its constant rate of 1e-3, and a patience of a tenth of the
    epochs (50 of 500 as published). PoseT is E's own: its optimiser is that of every stage of E, its patience that of
    ``caps`` alone. ``epochs``: by kind, the most that a profile grants, fewer than its other stages have. ``caps``: by
    kind, more than these, for trainings that end when validation stops improving; these networks' are in bf16.
    """
    most = caps[kind] if caps else min(stage.epochs, epochs.get(kind, stage.epochs))
    stage = replace(stage, epochs=most, patience=most // 10 if caps else stage.patience)
    if kind == "PoseT":
        return stage
    clip = 1.0 if kind in ("emg2pose", "Vemg2pose tracking") else None
    # what "auto" takes on a GPU: convolutions then need half the time on a CPU that multiplies in bf16 (docs/speed.md)
    stage = replace(stage, precision="bf16" if caps else stage.precision)
    return replace(stage, lr=1e-3, weight_decay=0.0, schedule="constant", clip=clip, patience=max(1, most // 10))


def with_tokens(size: Profile, tokens: str) -> Profile:
    """The profile with one of TOKENS as the front end of both encoders; "" leaves its own. Raises InputError."""
    if not tokens:
        return size
    one_of("tokens", tokens, *TOKENS)
    emg, pose = ("log-power", "frames") if tokens == "features" else ("waveform", "waveform")
    return replace(size, model=replace(size.model, emg_tokens=emg, pose_tokens=pose))


def results_name(dataset: str, profile: str, tokens: str = "") -> str:
    """The folder below figures/ of a dataset at one profile, and at a front end that is not the profile's own."""
    return "-".join(part for part in (dataset, profile, tokens) if part)


def for_windows(size: Profile, windows: WindowConfig, tokens: str = "") -> Profile:
    """The profile with the channels, joints and length of these windows, and a front end that fits them.

    An envelope (``bandpass`` None) has lost what log-power measures: its tokens are waveforms, and InputError if
    ``tokens`` asks for features.
    """
    shape = {name: getattr(windows, name) for name in ("n_channels", "n_joints", "window", "sample_rate")}
    if windows.bandpass is None and tokens == "features":
        raise InputError("tokens: expected waveform for an envelope, which has no power to measure, found features")
    size = with_tokens(size, tokens if windows.bandpass else "waveform")
    size = replace(size, model=replace(size.model, **shape))
    _ = size.model.emg, size.model.pose  # or say now what does not fit
    return size


def other_tokens(size: Profile, windows: WindowConfig, tokens: str) -> str:
    """``tokens`` where they are another front end than the profile has on these windows anyway, else ""."""
    found = for_windows(size, windows, tokens).model  # or says why not; the profile's own need not fit these windows
    own = with_tokens(size, "" if windows.bandpass else "waveform").model
    return tokens if (found.emg_tokens, found.pose_tokens) != (own.emg_tokens, own.pose_tokens) else ""


def as_json(config) -> dict:
    """A dataclass as plain JSON values, tuples as lists, without ADDED fields that have their default: no key moves."""
    return json.loads(json.dumps(config, default=_fields))


def _fields(config) -> dict:
    if not is_dataclass(config):
        raise TypeError(f"expected a dataclass or plain values, found {type(config).__name__}")
    values = {f.name: (getattr(config, f.name), f) for f in fields(config)}
    return {name: value for name, (value, f) in values.items() if not (f.metadata == ADDED and value == f.default)}


def fingerprint(*parts, length: int = 12) -> str:
    """A short hash of JSON-able parts, whatever the locale and the hash seed: the key of a run or a store."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:length]
