"""What the papers leave open, and how each alternative to our default is measured (METHOD 9)."""

from dataclasses import dataclass

NORMALISATION = "EMG normalisation"


@dataclass(frozen=True)
class Choice:
    """An alternative to one of METHOD 9's defaults: something that the papers leave open.

    Attributes
    ----------
    option, default, alternative : in METHOD 9's words or the configuration's
    system : whose numbers it is measured on
    protocols : that it can change; it leaves the other one as it is
    changes : to the system's experiment; None: the trained system is only evaluated otherwise
    trained : name of the experiment that measures it; "": no training does
    """

    option: str
    default: str
    alternative: str
    system: str = "EMBridge"
    protocols: tuple[str, ...] = ("LP", "ZS")
    changes: dict | None = None
    trained: str = ""

    @property
    def experiment(self) -> str:
        """Name of the experiment that measures it, that of another figure where this has the same; "": none."""
        return self.trained or (f"{self.system}, {self.option} = {self.alternative}" if self.changes else "")


def _model(**changes) -> dict:
    return {"model": changes}


def _normalised(how: str) -> dict:
    return {
        "train": {"emg_norm": how}, "model": {"emg_tokens": "waveform"},
        "emg_start": f"EMG-MAE, {NORMALISATION} = {how}",
    }  # fmt: skip


def _started(option: str, alternative: str, *starts: str, **model) -> dict:
    """Changes to a model that its masked autoencoders must have, too: "EMG-MAE", "Pose-MAE" or both."""
    fields = {f"{name.partition('-')[0].lower()}_start": f"{name}, {option} = {alternative}" for name in starts}
    return {"model": model, **fields}


_ZS = {"protocols": ("ZS",)}
OPEN_CHOICES = (
    Choice("zero-shot query pooling", "max for each pair", "mean", **_ZS),
    Choice("gallery exclusion", "all", "not-self", **_ZS),
    Choice("gallery exclusion", "all", "other-users", **_ZS),
    Choice("gallery corpus", "class set", "both class sets", **_ZS),
    Choice("gallery corpus", "class set", "every split", **_ZS),
    Choice("pose embedding", "cls", "mean", changes=_model(pose_embedding="mean")),
    Choice("pose embedding", "cls", "centred", changes=_model(pose_embedding="centred")),
    Choice("community affinity", "dot", "cosine", trained="EMBridge, metric = cosine"),  # Fig. 4's
    Choice("MPRL pass", "on Q'", "rerun", changes=_model(mprl_pass="rerun")),
    Choice("MPRL target", "raw patch", "token", changes=_model(mprl_target="token")),
    Choice("pose feed-forward", "separate", "shared", changes=_model(pose_feed_forward="shared")),
    Choice("hands", "all files", "prompted"),  # labelled windows alone: pre-training has all files either way
    Choice(
        "positions",
        "sin-cos",
        "learned",
        changes=_started("positions", "learned", "EMG-MAE", "Pose-MAE", positions="learned"),
    ),
    # of these and of the normalisations the profile's own is the default, and not trained again
    *(
        Choice(
            "EMG tokens",
            "paper: waveform, else log-power",
            how,
            changes=_started("EMG tokens", how, "EMG-MAE", emg_tokens=how),
        )
        for how in ("waveform", "log-power")
    ),
    *(
        Choice(
            "pose tokens",
            "paper: waveform, else frames",
            how,
            changes=_started("pose tokens", how, "Pose-MAE", pose_tokens=how),
        )
        for how in ("waveform", "frames")
    ),
    # of waveforms: log-power has a scaling of its own
    *(
        Choice(NORMALISATION, "paper: channel; else log-power", how, changes=_normalised(how))
        for how in ("channel", "window", "recording")
    ),
    Choice("InfoNCE", "symmetric", "one-way", "CPEP", changes={"objective": {"symmetric": False}}),
    Choice("InfoNCE", "one-way", "symmetric", changes={"objective": {"symmetric": True}}),
    Choice("probe features of CPEP", "before h", "after h", "CPEP", ("LP",)),
    Choice("temperature", "learned from 0.02", "fixed", changes={"objective": {"tau_learned": False}}),
    Choice("soft-target q", "with the positive", "renormalised", changes={"objective": {"renormalise_q": True}}),
    Choice("warm restarts", "T_mult 1", "T_mult 2", changes={"train": {"t_mult": 2}}),
    # the period of the learning rate stays
    Choice("CPEP epochs", "40", "100", "CPEP", changes={"epochs": 2.5, "train": {"t_0": 10}}),
    Choice(
        "windows after an IK failure", "restart there", "fixed grid", changes={"windows": {"after_ik_failure": "grid"}}
    ),
)
