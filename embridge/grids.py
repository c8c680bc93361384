"""EMBridge's constants and what is tried beside them: values, most of which no paper prints (METHOD 6), and METHOD 9's
alternatives. :mod:`embridge.experiments` makes trainings of them; docs/constants.md tells how D_tune chose.
"""

from dataclasses import dataclass

from embridge.config import EvalConfig, ModelConfig, ObjectiveConfig

# CASCLe's constants, which D_tune chose (docs/constants.md); what it was asked of them stands in CONSTANTS
CASCLE = {"soft_targets": "communities", "affinity": "dot", "tau_s": 0.5, "alpha": 0.25}
SOFTCLIP = CASCLE | {"soft_targets": "instances", "tau_s": 0.1, "alpha": 1.0}  # E 4; its own of both (METHOD 6)
# Tried together, each as a system of its own that is scored on D_tune alone: (soft targets, affinity, tau_s, alpha).
# A soft term at alpha = 1 leaves the pair half of the target, so that tau_s is asked at a quarter of that, too.
CONSTANTS = (
    *(("communities", a, tau, alpha) for a in ("dot", "cosine") for tau in (0.1, 0.2, 0.5) for alpha in (1.0, 0.25)),
    # SoftCLIP's: cosines of poses lie close together (0.89 +- 0.07), so that 0.1 spreads a target over nearly all
    *(("instances", "dot", tau, alpha) for tau in (0.01, 0.02, 0.1) for alpha in (1.0, 0.25)),
)
# Beyond the paper (METHOD 6): the constant, three values for D_tune to choose from, what else differs from EMBridge
OTHER_TARGETS = {
    "Gaussian mixture": ("tau_s", (0.1, 0.2, 0.5), {"soft_targets": "mixture"}),
    "X-CLR": ("tau_s", (0.1, 0.02, 0.01), {"soft_targets": "x-clr"}),
    "SigLIP": ("t", (10, 20, 50), {"soft_targets": None, "alpha": 0.0, "contrast": "sigmoid"}),  # 1 / tau at the start
    "SoftCLIP alone": ("tau_s", (0.1, 0.02, 0.01), SOFTCLIP | {"contrast": "none"}),  # METHOD 9
}
BEFORE = {"lam": 1.0, "mask_ratio": 0.5}  # EMBridge's while these were chosen: steps 1 and 2 of docs/constants.md
JOINT = "affinity, tau_s, alpha"
JOINT_DEFAULTS = {
    system: f"{targets['affinity']}, {targets['tau_s']:g}, {targets['alpha']:g}"
    for system, targets in (("EMBridge", CASCLE), ("SoftCLIP", SOFTCLIP))
}
# Fig. 4 and E 4: values of which one varies at a time
_GRIDS = {
    "tau_s": (0.02, 0.05, 0.1, 0.2, 0.5),
    "k_c": (1, 3, 5, 10, 20, "all"),
    "M": (8, 16, 32),
    "alpha": (0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
    "lambda": (0.25, 0.5, 1.0, 2.0),
    "r": (0.25, 0.5, 0.75),
    "metric": ("dot", "cosine", "l1", "l2"),
    "q": ("with the positive", "renormalised"),  # eq. 5's denominator
    "gain": (0.1, 0.3, 1.0),  # of the norm of Q(0), ours: METHOD 4 leaves its start open
}
NEIGHBOURS = (1, 5, 10, 20, 50)  # k: no training
BATCH_SIZES = (512, 1024)  # E Table 4, beside 256
FRACTIONS = (0.2, 0.4, 0.6, 0.8)  # Fig. 3c, beside 1
# How results grow (ours): users and about how many windows at long's size, of which smoke has its part, to an
# Experiment's users and share. What a profile has itself is its headline's
GROWN, ALL = "users, windows", (1.0, 1.0)
GROWTH = {"19, 1000": (0.5, 0.25), "19, 4000": (0.5, 1.0), "76, 4000": (2.0, 0.25)}
GROWTH |= {"38, 8000": ALL, "176, 36000": (176 / 38, 1.0)}
MOST_USERS = max(users for users, _ in GROWTH.values())
# param to its field of ObjectiveConfig or, where that has none such, of ModelConfig
_FIELDS = {"tau_s": "tau_s", "k_c": "k_c", "alpha": "alpha", "lambda": "lam", "r": "mask_ratio", "metric": "affinity"}
_FIELDS |= {"q": "renormalise_q", "M": "n_queries", "gain": "query_gain"}
_WORDS = {"all": None, "with the positive": False, "renormalised": True}  # of _GRIDS
EMBRIDGE = ObjectiveConfig(**CASCLE, lam=2.0, mask_ratio=0.75)  # steps 3 and 4 of docs/constants.md


def _is_usual(param: str, word) -> bool:
    """True for the value that EMBridge has where something else varies."""
    usual = getattr(EMBRIDGE if hasattr(EMBRIDGE, _FIELDS[param]) else ModelConfig(), _FIELDS[param])
    return _WORDS.get(word, word) == usual


# What the sweeps of Fig. 4 leave alone, METHOD 6; and the values beside it, each an experiment
DEFAULTS = {
    param: next(word if isinstance(word, str) else f"{word:g}" for word in words if _is_usual(param, word))
    for param, words in _GRIDS.items()
} | {"k": f"{EvalConfig().k}"}
GRIDS = {param: tuple(word for word in words if not _is_usual(param, word)) for param, words in _GRIDS.items()}


def varied(param: str, word) -> dict[str, dict]:
    """The change to an experiment's ``objective`` or ``model`` that gives a parameter a value of GRIDS."""
    part = "objective" if hasattr(EMBRIDGE, _FIELDS[param]) else "model"
    return {part: {_FIELDS[param]: _WORDS.get(word, word)}}


@dataclass(frozen=True)
class Choice:
    """An alternative to one of METHOD 9's defaults: something that the papers leave open.

    Attributes
    ----------
    option, default, alternative : in METHOD 9's words or the configuration's
    system : whose numbers it is measured on
    protocols : that it can change; it leaves the other one as it is
    changes : to the system's experiment; None: the trained system is only evaluated otherwise
    starts : the autoencoders that must be trained with the same changes before it
    trained : name of the experiment that measures it; "": no training does
    """

    option: str
    default: str
    alternative: str
    system: str = "EMBridge"
    protocols: tuple[str, ...] = ("LP", "ZS")
    changes: dict | None = None
    starts: tuple[str, ...] = ()
    trained: str = ""

    @property
    def experiment(self) -> str:
        """Name of the experiment that measures it, that of another figure where this has the same; "": none."""
        return self.trained or (self.name_of(self.system) if self.changes else "")

    def name_of(self, system: str) -> str:
        """Name of the experiment that is ``system`` with the alternative."""
        return f"{system}, {self.option} = {self.alternative}"


def _model(**changes) -> dict:
    return {"model": changes}


def _objective(**changes) -> dict:
    return {"objective": changes}


# Tokens and normalisations have a default in each profile, which trained_by leaves out; normalisations are of
# waveforms: log-power has a scaling of its own. METHOD 9's list; docs/former_choices.md has what is not asked any more.
OPEN_CHOICES = (
    Choice("zero-shot query pooling", "max for each pair", "mean", protocols=("ZS",)),
    Choice("gallery exclusion", "all", "not-self", protocols=("ZS",)),
    Choice("gallery exclusion", "all", "other-users", protocols=("ZS",)),
    Choice("gallery corpus", "class set", "both class sets", protocols=("ZS",)),
    Choice("gallery corpus", "class set", "every split", protocols=("ZS",)),
    Choice("pose embedding", "cls", "mean", changes=_model(pose_embedding="mean")),
    Choice("pose embedding", "cls", "centred", changes=_model(pose_embedding="centred")),
    Choice("community affinity", "dot", "cosine", trained="EMBridge, metric = cosine"),  # Fig. 4's
    Choice("MPRL pass", "on Q'", "rerun", changes=_model(mprl_pass="rerun")),
    Choice("MPRL target", "raw patch", "token", changes=_model(mprl_target="token")),
    Choice("pose feed-forward", "separate", "shared", changes=_model(pose_feed_forward="shared")),
    Choice("hands", "all files", "prompted"),  # labelled windows alone: pre-training has all files either way
    Choice("positions", "sin-cos", "learned", changes=_model(positions="learned"), starts=("EMG-MAE", "Pose-MAE")),
    *(
        Choice(
            f"{signal} tokens",
            f"paper: waveform, else {binned}",
            tokens,
            changes=_model(**{f"{signal.lower()}_tokens": tokens}),
            starts=(start,),
        )
        for signal, binned, start in (("EMG", "log-power", "EMG-MAE"), ("pose", "frames", "Pose-MAE"))
        for tokens in ("waveform", binned)
    ),
    *(
        Choice(
            "EMG normalisation",
            "paper: channel; else log-power",
            norm,
            changes={"train": {"emg_norm": norm}, "model": {"emg_tokens": "waveform"}},
            starts=("EMG-MAE",),
        )
        for norm in ("channel", "window", "recording")
    ),
    Choice("InfoNCE", "symmetric", "one-way", "CPEP", changes=_objective(symmetric=False)),
    Choice("InfoNCE", "one-way", "symmetric", changes=_objective(symmetric=True)),
    Choice("probe features of CPEP", "before h", "after h", "CPEP", ("LP",)),
    Choice("temperature", "learned from 0.02", "fixed", changes=_objective(tau_learned=False)),
    Choice("soft-target q", "with the positive", "renormalised", trained="EMBridge, q = renormalised"),  # Fig. 4's
    Choice("warm restarts", "T_mult 1", "T_mult 2", changes={"train": {"t_mult": 2}}),
    # the period of the learning rate stays
    Choice("CPEP epochs", "40", "100", "CPEP", changes={"epochs": 2.5, "train": {"t_0": 10}}),
)
