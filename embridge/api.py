"""A finished run as two functions of raw windows: :func:`load`, which ``embridge.load`` is."""

import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from embridge.checkpoint import load_weights
from embridge.config import ModelConfig, WindowConfig, kind_of, n_bins
from embridge.cutting import robust_scale
from embridge.errors import InputError
from embridge.files import read_npz
from embridge.models.cpep import CPEP
from embridge.models.mae import emg_mae, pose_mae
from embridge.models.qformer import QFormerModel
from embridge.models.transformer import embedding, pose_encoder
from embridge.recognition import features, filter_window
from embridge.runs import slug
from embridge.signals import pose_frames
from embridge.tasks import Reader, Statistics, encode

NEEDED = ("kind", "model", "train", "moves", "data", "needs", "pose_start")  # in a run's config.json
MOST, MOST_LAYERS = 10**6, 1000  # of any number in a model's shape, and of layers: far beyond the papers' 4000 and 4


def load(run, device: str = "cpu") -> "Embedder":
    """The model of a finished run, for raw windows.

    ``run`` is its folder, ``runs/<name>-<key>``, or a :class:`~embridge.experiments.Run`. Beside the folder of an
    aligned system lie those of the Pose-MAE that it was aligned with, and ``windows-<key>.json`` and
    ``statistics-<kind>-<key>.json`` of the data that both were trained on. Nothing is unpickled. Raises InputError
    where one of these is missing or damaged, and for a supervised regressor, which embeds nothing.
    """
    folder = Path(getattr(run, "folder", run)).resolve()
    describe = _description(folder)
    kind, shape = describe["kind"], _model_config(describe, folder)
    if kind == "regressor":
        raise InputError(f"{folder} is a regressor, which predicts angles; give an aligned system or an autoencoder")
    emg = pose = None
    pose_trained = describe["moves"][1]
    if kind in ("emg-mae", "pose-mae"):
        model = _trained(lambda: (emg_mae if kind == "emg-mae" else pose_mae)(shape), folder, describe, device)
        emg = (lambda x: model.encoder(x, cls_only=True)[:, 0]) if kind == "emg-mae" else None
    else:

        def make():
            own = pose_encoder(shape) if pose_trained else None
            return CPEP(shape, None, own) if kind == "cpep" else QFormerModel(shape)

        model = _trained(make, folder, describe, device)
        emg = model.queries if kind == "qformer" else lambda x: model.queries(x)[:, 0]
    if pose_trained:
        pose = model.pose_embedding
    elif kind != "emg-mae":
        pose = _frozen_pose(folder, model if kind == "pose-mae" else None, describe, device)
    windows = _beside(folder, f"windows-{describe['data']}.json", WindowConfig)
    norm = "log-power" if shape.emg_tokens == "log-power" else describe["train"]["emg_norm"]
    kinds = {"pose": kind_of(shape.pose_tokens)} | ({"emg": "waveform"} if norm == "train" else {})
    scales = {
        name: _beside(folder, f"statistics-{kind}-{describe['data']}.json", Statistics) for name, kind in kinds.items()
    }
    # without a store: it scales windows and reads none
    reader = Reader(None, None, scales, norm, device)
    return Embedder(describe["experiment"], windows, reader, emg, pose, kinds["pose"])


class Embedder:
    """What :func:`load` returns: a trained system's embeddings of raw windows.

    Attributes
    ----------
    name : the experiment's
    windows : WindowConfig: channels, joints, samples of a window, sample rate and filters
    """

    def __init__(self, name: str, windows: WindowConfig, reader: Reader, emg, pose, pose_kind: str):
        self.name, self.windows = name, windows
        self._reader, self._emg, self._pose, self._pose_kind = reader, emg, pose, pose_kind

    def encode_emg(self, x, scale: float | None = None) -> torch.Tensor:
        """l2-normalised embeddings of raw EMG x (B, C, T), unfiltered, in the recordings' unit; float32 on the CPU.

        Windows are raw whatever the model's front end is: log-power is computed here where it reads that. What
        retrieval uses: a Q-Former's M queries (B, M, d), of which retrieval takes the highest cosine, and CPEP's u
        (B, d); of an EMG-MAE [CLS] (B, d). Each window is filtered alone, as
        :func:`~embridge.recognition.filter_window` does. ``scale``: what the store divides their recording by (the
        manifest's), which matters where a run's EMG is normalised by "train" or "recording"; None measures it on x, as
        if x were the recording. Raises InputError for another shape, a number that is not finite, a scale that is not
        positive, a window without a signal where log-power is read, and a Pose-MAE.
        """
        if self._emg is None:
            raise InputError(f"{self.name} embeds poses alone and has no EMG encoder; use encode_pose or another run")
        windows = self.windows
        x = _checked("raw EMG", x, (windows.n_channels, windows.window))
        if scale is not None and not (np.isfinite(scale) and scale > 0):
            raise InputError(f"raw EMG: expected a positive scale, found {scale}; take the recording's, or None")
        filtered = np.stack([filter_window(window.T, windows) for window in x])
        if self._reader.emg_norm == "log-power":
            return self._encode(self._emg, self._reader.scale_emg, np.stack([features(w, windows) for w in filtered]))
        live = np.ptp(filtered, axis=(0, 2)) > 0
        filtered /= np.float32(robust_scale(filtered[:, live]) if scale is None else scale)
        return self._encode(self._emg, self._reader.scale_emg, filtered)

    def encode_pose(self, p) -> torch.Tensor:
        """(B, d) l2-normalised v of poses p (B, J, T), rad (or the recordings' unit), float32 on the CPU.

        Raises InputError for another shape, a number that is not finite, and an EMG-MAE.
        """
        if self._pose is None:
            raise InputError(f"{self.name} embeds EMG alone and has no pose encoder; use encode_emg or another run")
        p = _checked("pose", p, (self.windows.n_joints, self.windows.window))
        p = pose_frames(p, n_bins(self.windows)) if self._pose_kind == "features" else p.astype(np.float32)
        return self._encode(self._pose, self._reader.scale_pose, p)

    def _encode(self, function, scaled, x: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(x)
        found = encode(function, lambda ids: scaled(x[ids].to(self._reader.device)), np.arange(len(x)))
        return normalize(found, dim=-1)


def _checked(what: str, x, shape: tuple[int, int]) -> np.ndarray:
    """x as an array of (B, *shape) finite numbers, B at least 1."""
    x = np.asarray(x.detach().cpu() if isinstance(x, torch.Tensor) else x)
    if x.ndim != 3 or x.shape[1:] != shape or not len(x):
        raise InputError(
            f"{what}: expected windows (B, {shape[0]}, {shape[1]}), B at least 1, found {x.shape}; "
            f"cut it to {shape[1]} samples of {shape[0]} channels, time last"
        )
    if not np.isfinite(x).all():
        bad = np.flatnonzero(~np.isfinite(x).all(axis=(1, 2)))
        raise InputError(
            f"{what}: expected finite numbers, found others in {len(bad)} of {len(x)} windows, first in {bad[0]}; "
            "leave these out"
        )
    return x


def _frozen_pose(folder: Path, mae, describe: dict, device: str):
    """What turns normalised poses (B, J, T) into v (B, d): the Pose-MAE beside the run, unless the run is it."""
    how = describe["model"]["pose_embedding"]
    if mae is None:
        name, needs = describe["pose_start"], describe["needs"]
        if not isinstance(name, str) or not isinstance(needs, dict) or name not in needs:
            raise InputError(f"{folder / 'config.json'}: expected the key of its Pose-MAE among needs; fetch it again")
        folder = folder.parent / f"{slug(name)}-{describe['needs'][name]}"
        describe = _description(folder)
        mae = _trained(lambda: pose_mae(_model_config(describe, folder)), folder, describe, device)
    if how != "centred":
        return lambda p: embedding(mae.encoder(p, cls_only=how == "cls"), how)
    file = folder / "embeddings-cls.npz"
    if not file.exists():
        raise InputError(f"{file} is missing, whose mean centres the poses; copy the whole folder from where it was")
    try:
        centre = torch.from_numpy(read_npz(file)["array"]).mean(0, keepdim=True).to(device)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} is damaged ({error}); copy the whole folder again from where it was") from error
    return lambda p: mae.encoder(p, cls_only=True)[:, 0] - centre


def _trained(make: Callable[[], torch.nn.Module], folder: Path, describe: dict, device: str) -> torch.nn.Module:
    """The model that ``make`` builds, with the folder's weights; one larger than their file is not built at all."""
    with torch.device("meta"):  # shapes without memory
        needed = sum(tensor.numel() * tensor.element_size() for tensor in make().state_dict().values())
    file = folder / "weights.safetensors"
    if file.exists() and needed > file.stat().st_size:
        raise InputError(
            f"{file} does not fit the model: config.json asks for {needed} bytes of weights, the file has "
            f"{file.stat().st_size}; fetch both again"
        )
    model = make()
    load_weights(folder, model, describe)
    return model.to(device).eval()


def _model_config(describe: dict, folder: Path) -> ModelConfig:
    shape = _made(ModelConfig, describe["model"], folder / "config.json")
    for name, value in asdict(shape).items():
        most = MOST_LAYERS if name.endswith("layers") else MOST
        if isinstance(value, int) and not 0 <= value <= most:
            raise InputError(f"{folder / 'config.json'}: expected {name} of 0 to {most}, found {value}; fetch it again")
    return shape


def _made(kind: type, values: dict, path: Path):
    """A configuration of this kind from its JSON, whose lists were tuples."""
    expected = {field.name: type(field.default) for field in fields(kind)}
    try:
        made = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except (TypeError, AttributeError) as error:  # a field too many, or no fields at all
        raise InputError(f"{path} does not describe a {kind.__name__} ({error}); fetch it again") from error
    for name, value in asdict(made).items():
        if expected[name] in (int, str) and type(value) is not expected[name]:
            raise InputError(
                f"{path}: expected {name} to be {expected[name].__name__}, found {value!r}; fetch it again"
            )
    return made


def _description(folder: Path) -> dict:
    path = folder / "config.json"
    if not path.exists():
        raise InputError(f"{folder} holds no config.json, so no finished run; train it first or copy the whole folder")
    found = _json(path)
    if not isinstance(found, dict) or not {*NEEDED} <= found.keys():
        raise InputError(f"{path} does not describe a run of a study; give a folder runs/<name>-<key>")
    for key in (found["data"], *(found["needs"] if isinstance(found["needs"], dict) else {"": ""}).values()):
        if not re.fullmatch("[0-9a-f]{12}", str(key)):  # they become parts of paths
            raise InputError(f"{path}: expected keys of 12 hexadecimal digits, found {key!r}; fetch it again")
    return found


def _beside(folder: Path, name: str, kind: type):
    path = folder.parent / name
    if not path.exists():
        raise InputError(
            f"{path} is missing, though it belongs beside the run; copy it there, or ask its study for statistics"
        )
    found = _json(path)
    if isinstance(found, dict):
        found.pop("provenance", None)
    return _made(kind, found, path)


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error}); fetch it again") from error
