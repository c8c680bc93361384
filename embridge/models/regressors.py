"""The supervised baselines by name (E 3.3; METHOD 7)."""

from embridge.config import REGRESSORS, ModelConfig
from embridge.errors import InputError
from embridge.models.base import Regressor
from embridge.models.neuropose import NeuroPose
from embridge.models.poset import PoseT
from embridge.models.tds import emg2pose, vemg2pose


def regressor(kind: str, cfg: ModelConfig) -> Regressor:
    """A freshly drawn network of REGRESSORS for the configuration's channels, joints and window.

    Width, depth and patches of cfg shape PoseT alone; the others have their published sizes. Raises InputError for an
    unknown kind, and for windows that the network cannot cover: all but PoseT are made for 2 s at 2 kHz.
    """
    if kind not in REGRESSORS:
        raise InputError(f"regressor: expected one of {', '.join(REGRESSORS)}, found {kind!r}.")
    if kind == "PoseT":
        return PoseT(cfg)
    build = {"NeuroPose": NeuroPose, "emg2pose": emg2pose, "Vemg2pose": vemg2pose}.get(kind)
    model = build(cfg.n_channels, cfg.n_joints) if build else vemg2pose(cfg.n_channels, cfg.n_joints, tracking=True)
    if model.n_covered(cfg.window) < model.stride:
        raise InputError(
            f"{kind} covers nothing of a window of {cfg.window} samples: it is made for 2 s at 2 kHz. Use PoseT."
        )
    return model
