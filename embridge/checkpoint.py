"""Files of a run that survive a kill, a full disk and a rotten byte (RELIABILITY 1-3, 5, 19, 20, 27, 28).

A run's folder holds ``config.json`` (what was trained), ``checkpoint.pt`` and ``checkpoint.previous.pt`` while it
trains, and ``weights.safetensors``, ``log.csv`` and, last of all, ``done.json`` when it has ended.
"""

import hashlib
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from embridge import files
from embridge.errors import InputError
from embridge.files import differences, read_json, write_atomically

CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
_MAGIC = b"embridge-checkpoint-1 "  # then 64 hex digits of the payload's SHA-256, a line end, the payload


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder (made if need be) and clear what a killed run left half-written.

    Raises InputError where another process holds it or the folder cannot be written.
    """
    busy = f"{folder} is in use by HOLDER; wait for it to end, or give this run another folder."
    with files.locked(folder / "lock", busy):
        for leftover in folder.glob("*.partial"):
            leftover.unlink()
        yield


def save_checkpoint(folder: Path, state: dict) -> None:
    """Write state (tensors and plain Python values only) as the folder's checkpoint; the last one stays beside it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    write_atomically(folder / CHECKPOINT, _MAGIC + digest + b"\n" + payload, keep=folder / PREVIOUS)


def load_checkpoint(folder: Path) -> dict | None:
    """The last good state of the folder, on the CPU, or None where there is none.

    A checkpoint that is truncated, rotten or holds more than plain data is never used: a warning names it, and the
    one before takes its place.
    """
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if not path.exists():
            continue
        header, _, payload = path.read_bytes().partition(b"\n")
        try:
            if header != _MAGIC + hashlib.sha256(payload).hexdigest().encode():
                raise ValueError("its checksum does not fit its contents")
            return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except (ValueError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f"{path} is not used ({reason}); going back to what was saved before it.", stacklevel=2)
            path.unlink()  # or the next save would put it in the good one's place
    return None


def check_description(folder: Path, describe: dict, *, write: bool = False) -> None:
    """Compare describe (JSON-able) with the folder's ``config.json``; write it where there is none and write is set.

    Raises InputError that names what differs: weights of another architecture must not be loaded.
    """
    path = folder / "config.json"
    describe = json.loads(json.dumps(describe))  # tuples become lists, as in the file
    if not path.exists():
        if not write:
            raise InputError(f"{folder} holds no config.json, so no finished run; train it first.")
        write_atomically(path, json.dumps(describe, indent=1, sort_keys=True).encode())
        return
    found = read_json(path, again="delete the folder to train again.")
    if different := list(differences(describe, found)):
        told = f"{folder} belongs to another configuration: {'; '.join(different[:5])}"
        raise InputError(f"{told}. Ask for what was trained there, or use another folder.")


def weights_hash(model: nn.Module) -> str:
    """SHA-256 (hex) of a model's state: names, types, shapes and bytes, in the names' order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_weights(folder: Path, model: nn.Module) -> None:
    """Write the model's state as ``weights.safetensors``."""
    # clones: safetensors refuses tensors that share memory, such as tied weights
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_atomically(folder / "weights.safetensors", save(state))


def load_weights(folder: Path, model: nn.Module, describe: dict) -> None:
    """Load a finished run's weights into model, in place.

    What the file leaves out stays as it is in model: shipped weights lack what a Q-Former has from its Pose-MAE. Raises
    InputError where there are none, where they belong to another configuration than describe or another architecture
    than model, and where the whole's SHA-256 is not the one that training recorded.
    """
    folder = Path(folder)
    check_description(folder, describe)
    path = folder / "weights.safetensors"
    try:
        done = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        # load_file refuses a path that is no UTF-8
        model.load_state_dict(model.state_dict() | load(path.read_bytes()))
    except FileNotFoundError as error:
        told = f"{folder} holds no finished run ({error.filename or path} is missing); train it first."
        raise InputError(told) from error
    except (SafetensorError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit the model: {reason}. Delete the folder to train again.") from error
    if weights_hash(model) != done["weights_sha256"]:
        raise InputError(f"{path} is not what training wrote: its SHA-256 differs. Delete the folder to train again.")
