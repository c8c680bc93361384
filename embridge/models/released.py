"""Weights of the networks that Salter et al. 2024 released, as Lightning ``.ckpt`` files, under our names (METHOD 7).

A ``.ckpt`` is a pickle, which can run any program. It is read with ``weights_only=True``, after a look at what it
names; what its hyper-parameters are made of (omegaconf) becomes an inert stub, and only ``state_dict`` is used. The
weights are CC BY-NC-SA 4.0. They expect EMG as the dataset's files hold it, neither filtered nor normalised.
released.toml beside this module maps names.
"""

import os
import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from embridge.config import ModelConfig
from embridge.errors import InputError
from embridge.files import read_toml
from embridge.models.regressors import Regressor, regressor

VARIABLE = "EMBRIDGE_EMG2POSE_CKPT"
_TABLE = read_toml(__file__)
FILES, INERT, MODULES = _TABLE["files"], _TABLE["inert"], _TABLE["modules"]  # modules by class: ours to published


class Inert:
    """Stands for a class that a checkpoint names: takes anything, does nothing."""

    def __new__(cls, *_, **__):
        return super().__new__(cls)

    def __setstate__(self, state):
        pass


def read_state(file: Path) -> dict[str, Tensor]:
    """The ``state_dict`` of a Lightning checkpoint; nothing that the file names is imported or called.

    Raises InputError where there is no such file, where it is damaged, names anything but tensors, plain values and
    omegaconf's classes, or holds no state_dict.
    """
    refused = set()
    try:
        named = set(get_unsafe_globals_in_checkpoint(file))
        inert = {name for name in named if name in INERT or name.startswith("omegaconf.")}
        refused = named - inert
        if refused:
            raise pickle.UnpicklingError
        with safe_globals([(Inert, name) for name in inert]):
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such checkpoint; unpack emg2pose_model_checkpoints.tar.gz there.") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{file}: expected tensors, plain values and omegaconf's settings, found what a pickle could run "
            f"({', '.join(sorted(refused)) or 'opcodes that weights do not need'}); nothing of it was "
            "loaded. Take the checkpoint from where its authors publish it."
        ) from error
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file}: not a whole Lightning checkpoint ({reason}); download it again.") from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{file}: expected a Lightning checkpoint with a state_dict of tensors, found none.")
    return state


def published_names(model: Regressor) -> dict[str, str]:
    """Ours to published: for each name in ``model.state_dict()`` the released checkpoint's (see the module)."""
    parts = {type(module).__name__ for module in model.modules()}
    modules = {ours: theirs for part in parts & MODULES.keys() for ours, theirs in MODULES[part].items()}
    split = {name: name.rsplit(".", 1) for name in model.state_dict()}
    return {name: f"model.{modules[ours]}.{leaf}" for name, (ours, leaf) in split.items()}


def released(kind: str, folder: Path | str | None = None) -> Regressor:
    """The named regressor with its released weights, for 16 channels, 20 joints, 2 kHz, in eval mode.

    folder: where the ``.ckpt`` files lie; by default the environment's EMBRIDGE_EMG2POSE_CKPT. Raises InputError as
    :func:`read_state`, and where a key is missing, unknown or of another shape; all are listed.
    """
    folder = folder or os.environ.get(VARIABLE)
    if kind not in FILES or not folder:
        expected = f"expected one of {', '.join(FILES)} and a folder (or {VARIABLE})"
        raise InputError(f"released weights: {expected}, found {kind!r} and {folder or 'no folder'}.")
    model, file = regressor(kind, ModelConfig()), Path(folder).expanduser() / FILES[kind]
    state, names, ours = read_state(file), published_names(model), model.state_dict()
    missing, unknown = sorted({*names.values()} - {*state}), sorted({*state} - {*names.values()})
    shapes = [
        f"{theirs}: expected {tuple(ours[name].shape)}, found {tuple(state[theirs].shape)}"
        for name, theirs in names.items()
        if theirs in state and state[theirs].shape != ours[name].shape
    ]
    if missing or unknown or shapes:
        raise InputError(
            f"{file} holds another network than this {type(model).__name__}. "
            f"Missing from it: {', '.join(missing) or 'none'}. "
            f"Unknown in it: {', '.join(unknown) or 'none'}. Of another shape: {'; '.join(shapes) or 'none'}."
        )
    model.load_state_dict({name: state[theirs] for name, theirs in names.items()})
    return model.eval()
