"""An EMG encoder of one's own in front of the Q-Former (ours): any module, or weights for the built-in encoder.

``Experiment.encoder`` is an ``nn.Module`` whose ``forward(x)`` makes tokens (B, L, d) of EMG windows x (B, C, T) as the
built-in encoder gets them, or the path of a safetensors file with the built-in encoder's weights.
"""

import copy
import hashlib
import inspect
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from embridge.checkpoint import weights_hash
from embridge.config import ModelConfig, fingerprint
from embridge.errors import InputError
from embridge.files import sha256
from embridge.models.transformer import emg_encoder

METHODS = ("__init__", "__call__")
INTERNAL = set(vars(nn.Module()))  # what every module has


def settings(encoder: nn.Module | str | Path | None) -> dict:
    """What a run's key holds of its ``Experiment.encoder``, as plain JSON; nothing for None, so that no old key moves.

    Of a file the SHA-256 of its bytes; of a module its class, a hash of how it was made (source, layers and attributes,
    also of its parts), one of its weights before training, and what of it does not train. Raises InputError for a file
    that is not there, a class whose source cannot be read, and an attribute of which a key cannot hold what it does.
    """
    if encoder is None:
        return {}
    if not isinstance(encoder, nn.Module):
        if not Path(encoder).is_file():
            raise InputError(f"encoder: expected a module or the path of a safetensors file, found {encoder}")
        return {"encoder": {"weights": sha256(Path(encoder))}}
    frozen = sorted(name for name, parameter in encoder.named_parameters() if not parameter.requires_grad)
    named = {"class": type(encoder).__qualname__, "made": _made(encoder)}
    return {"encoder": named | {"state": weights_hash(encoder), "frozen": frozen}}


def _made(encoder: nn.Module) -> str:
    """A hash of what a module does beside its weights: classes, sources, attributes and buffers, also of its parts."""
    parts = []
    for module in encoder.modules():
        kinds = [k for k in type(module).__mro__ if k.__module__.partition(".")[0] not in ("torch", "builtins")]
        where = type(module).__qualname__
        for kind in kinds:
            parts += [_said(value, where) for name, value in vars(kind).items() if name[:2] != "__" or name in METHODS]
        for name in sorted(vars(module).keys() - INTERNAL):
            try:
                parts.append([name, _said(getattr(module, name), f"{where}.{name}")])
            except InputError:
                if kinds:  # torch's own layers keep caches that are none of the key's business
                    raise
        aside = module._non_persistent_buffers_set  # the others are in its state
        parts += [[name, _said(value, where)] for name, value in module.named_buffers(recurse=False) if name in aside]
    return fingerprint(repr(encoder), parts)


def _said(value, where: str):
    """What a run's key holds of what a module keeps, as JSON. Raises InputError for what has no name or text."""
    if value is None or isinstance(
        value, bool | int | float | complex | str | bytes | torch.dtype | torch.device | Enum
    ):
        return repr(value)
    if isinstance(value, nn.Parameter):
        return "parameter"
    if isinstance(value, torch.Tensor | np.ndarray):
        array = np.ascontiguousarray(torch.as_tensor(value).detach().cpu().numpy())
        return [str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
    if isinstance(value, list | tuple):
        return [_said(v, where) for v in value]
    if isinstance(value, dict):
        return [[str(k), _said(v, where)] for k, v in value.items()]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, [[f.name, _said(getattr(value, f.name), where)] for f in fields(value)]]
    if isinstance(value, partial):
        return [_said(v, where) for v in (value.func, value.args, value.keywords)]
    if isinstance(value, property):
        return [_said(f, where) for f in (value.fget, value.fset)]
    value = getattr(value, "__func__", value)  # of a static or a class's method
    name = getattr(value, "__qualname__", "")
    if name and "<lambda>" not in name:
        if inspect.isbuiltin(value) or isinstance(value, type) or str(value.__module__).partition(".")[0] == "torch":
            return name
        if inspect.isfunction(value) and set(value.__code__.co_freevars) <= {"__class__"}:  # what super() closes over
            try:
                return inspect.getsource(value)
            except (OSError, TypeError) as error:
                raise InputError(
                    f"encoder: expected a class whose source can be read, since it is in the run's key, found "
                    f"{where} without; define it in a file or a notebook"
                ) from error
    raise InputError(
        f"encoder: {where} is a {type(value).__qualname__}, of which the run's key cannot hold what it does; keep "
        "numbers, text, arrays or functions with a name"
    )


def made(encoder: nn.Module | str | Path | None, shape: ModelConfig, kind: str) -> nn.Module | None:
    """The encoder to build a model of this kind around; None where the experiment has none of its own.

    Of a file's names those behind "encoder." count where there are such, so that a run's ``weights.safetensors`` will
    do. Raises InputError for another kind than "qformer" (a file may be CPEP's), tokens of another shape, and weights
    that do not fit.
    """
    if encoder is None:
        return None
    if kind != "qformer" and (isinstance(encoder, nn.Module) or kind != "cpep"):
        raise InputError(f"encoder: expected an experiment with a Q-Former, such as EMBridge, found one of kind {kind}")
    if isinstance(encoder, nn.Module):
        x = torch.zeros(2, shape.emg.n_channels, shape.emg.steps)
        with torch.no_grad():  # of a copy: the module stays as it was given, and where it was
            tokens = copy.deepcopy(encoder).cpu().eval()(x)
        found = tuple(getattr(tokens, "shape", ())) or type(tokens).__name__
        if len(found) != 3 or found != (2, max(1, found[1]), shape.d):
            raise InputError(
                f"encoder: expected (B, L, d), here (2, L, {shape.d}), of windows {tuple(x.shape)}, found {found}; "
                "return tokens with the model's width last"
            )
        return encoder
    model = emg_encoder(shape)
    try:
        state = load(Path(encoder).read_bytes())
        inner = {name.removeprefix("encoder."): w for name, w in state.items() if name.startswith("encoder.")}
        model.load_state_dict(inner or state)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"encoder: {encoder} does not fit the EMG encoder of this profile: {reason}") from error
    return model


def again(encoder: nn.Module | None, describe: dict, where: Path) -> nn.Module | None:
    """The module that the run in the folder ``where`` was trained around; None for the built-in encoder.

    Its weights do not matter: the run has its own. Raises InputError where it is missing, another one, or not needed.
    """
    told = describe.get("encoder", {})
    name = told.get("class")
    if name and encoder is None:
        raise InputError(f"{where} was trained around another encoder; pass encoder=, a {name} made as it was then")
    if encoder is not None and (not name or settings(encoder)["encoder"].get("made") != told.get("made")):
        asked = f"a {name} as it was then" if name else "none, for the run has the built-in one"
        raise InputError(f"encoder: expected {asked} for {where}, found a {type(encoder).__qualname__} that differs")
    return encoder
