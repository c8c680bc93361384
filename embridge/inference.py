"""A finished run on raw windows: :func:`load`, behind ``embridge.load``, embeds them, and a Recogniser labels each.

A stored window was filtered with its recording around it, these are filtered alone, and a stream's forwards only; all
else is as in training and evaluation (METHOD 1, 8).
"""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dct, idct
from scipy.signal import sosfreqz
from torch import Tensor, nn
from torch.nn.functional import normalize

from embridge.checkpoint import load_weights
from embridge.config import ModelConfig, WindowConfig, kind_of, n_bins, positive
from embridge.data.batches import Reader, Statistics
from embridge.data.cutting import robust_scale
from embridge.data.live import live_windows
from embridge.data.recordings import plain
from embridge.data.signals import emg_features, pose_frames, sections
from embridge.errors import InputError, one_of
from embridge.evaluation import TILE, majority
from embridge.experiments import slug
from embridge.files import read_json, read_npz
from embridge.models import new_model, own, pose_encoder
from embridge.objectives import encode
from embridge.trained import encoder_embedding

NEEDED = {"experiment", "kind", "model", "train", "moves", "data", "needs", "pose_start"}  # in a run's config.json


def load(run, device: str = "cpu", encoder: nn.Module | None = None) -> "Embedder":
    """The model of a finished run, for raw windows, on "cpu", "cuda" or ("auto") on a GPU where there is one.

    ``run`` is its folder, ``runs/<name>-<key>``, or a :class:`~embridge.trained.Run`. Beside the folder of an
    aligned system lie those of the Pose-MAE that it was aligned with, and ``windows-<key>.json`` and
    ``statistics-<kind>-<key>.json`` of the data that both were trained on. Nothing is unpickled. ``encoder``: the
    module of your own that the run was trained around, made as it was then. Raises InputError where one of these is
    missing or damaged, and for a supervised regressor, which embeds nothing.
    """
    folder = Path(getattr(run, "folder", run)).resolve()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    describe, shape, model = _trained(folder, device, encoder)
    kind, pose_trained, data = describe["kind"], describe["moves"][1], describe["data"]
    emg = pose = None
    if kind == "emg-mae":
        emg = encoder_embedding(model.encoder)
    elif kind != "pose-mae":
        emg = model.queries if kind == "qformer" else lambda x: model.queries(x)[:, 0]
    if pose_trained:
        pose = model.pose_embedding
    elif kind == "pose-mae":
        pose = _frozen_pose(model, shape.pose_embedding, folder)
    elif kind != "emg-mae":
        beside = _pose_start(folder, describe)
        pose = _frozen_pose(_trained(beside, device)[2], shape.pose_embedding, beside)
    norm = "log-power" if shape.emg_tokens == "log-power" else describe["train"]["emg_norm"]
    pose_kind = kind_of(shape.pose_tokens)
    kinds = {"pose": pose_kind} | ({"emg": "waveform"} if norm == "train" else {})
    scales = {name: _beside(Statistics, folder.parent / f"statistics-{kinds[name]}-{data}.json") for name in kinds}
    windows = _beside(WindowConfig, folder.parent / f"windows-{data}.json")
    # without a store: it scales windows and reads none
    reader = Reader(None, None, scales, norm, device)
    return Embedder(describe["experiment"], windows, reader, shape.d, emg, pose, pose_kind, model)


@dataclass
class Embedder:
    """A trained system's embeddings of raw windows: what :func:`load` returns."""

    name: str  # the experiment's
    windows: WindowConfig  # channels, joints, samples of a window, sample rate and filters
    reader: Reader  # scales windows as in training
    d: int  # width of its embeddings
    emg: Callable | None = None  # scaled EMG to embeddings; None where it has no encoder of EMG
    pose: Callable | None = None
    pose_kind: str = "waveform"  # what its pose encoder reads, or "features"
    model: nn.Module | None = None  # to which ``emg`` belongs

    def encode_emg(self, x, scale: float | None = None) -> Tensor:
        """l2-normalised embeddings of raw EMG x (B, C, T), unfiltered, in the recordings' unit; float32 on the CPU.

        Windows are raw whatever the model's front end is: log-power is computed here where it reads that. What
        retrieval uses: a Q-Former's M queries (B, M, d), of which retrieval takes the highest cosine, and CPEP's u
        (B, d); of an EMG-MAE [CLS] (B, d). Each window is filtered alone, as :func:`filter_window` does. ``scale``:
        what the store divides their recording by (the manifest's), which matters where a run's EMG is normalised by
        "train" or "recording"; None measures it on x, as if x were the recording. Raises InputError for another shape,
        a number that is not finite, a scale that is not positive, a window without a signal where log-power is read,
        and a Pose-MAE.
        """
        return normalize(self.queries(x, scale), dim=-1)

    def queries(self, x, scale: float | None = None, function: Callable | None = None) -> Tensor:
        """The same before they are normalised, as "mean" pooling reads them; arguments as of :meth:`encode_emg`.

        function: what is made of scaled windows instead.
        """
        if self.emg is None:
            raise InputError(f"{self.name} embeds poses alone and has no EMG encoder; use encode_pose or another run")
        windows = self.windows
        x = _checked("raw EMG", x, (windows.n_channels, windows.window))
        scale = None if scale is None else positive("raw EMG: ", "a positive scale (the recording's, or None)", scale)
        return self.of_filtered(np.stack([filter_window(window.T, windows) for window in x]), scale, function)

    def of_filtered(self, filtered: np.ndarray, scale: float | None = None, function: Callable | None = None) -> Tensor:
        """Those of windows (B, C, T) float32 that are filtered already; errors of windows without a signal alone."""
        if self.reader.emg_norm == "log-power":
            x = [emg_features(window, n_bins(self.windows)) for window in filtered]
            if any(power is None for power in x):
                raise InputError(
                    "window of raw EMG: expected a signal, found one value in all samples and channels; look at the "
                    "electrodes, or leave the window out"
                )
        else:
            live = np.ptp(filtered, axis=(0, 2)) > 0
            x = filtered / np.float32(robust_scale(filtered[:, live]) if scale is None else scale)
        return self._encode(function or self.emg, self.reader.scale_emg, np.stack(x))

    def encode_pose(self, p) -> Tensor:
        """(B, d) l2-normalised v of poses p (B, J, T), rad (or the recordings' unit), float32 on the CPU.

        Raises InputError for another shape, a number that is not finite, and an EMG-MAE.
        """
        if self.pose is None:
            raise InputError(f"{self.name} embeds EMG alone and has no pose encoder; use encode_emg or another run")
        p = _checked("pose", p, (self.windows.n_joints, self.windows.window))
        p = pose_frames(p, n_bins(self.windows)) if self.pose_kind == "features" else p.astype(np.float32)
        return normalize(self._encode(self.pose, self.reader.scale_pose, p), dim=-1)

    def _encode(self, function: Callable, scaled: Callable, x: np.ndarray) -> Tensor:
        x = torch.from_numpy(x)
        return encode(function, lambda ids: scaled(x[ids].to(self.reader.device)), np.arange(len(x)))


class Decision(NamedTuple):
    """What a stream says: ``label`` of the window that ended when ``sample`` samples had come; -1: none can be told."""

    sample: int
    label: int


class Recogniser:
    """A trained system, ready to label windows one at a time as :func:`~embridge.evaluation.zero_shot` labels many.

    Raises InputError for a gallery that is empty, not finite or of another width than the model's, a scale that is not
    positive, or a pooling that does not exist.

    embedder : what :func:`load` makes of an aligned system
    gallery, labels : (G, d) pose embeddings and (G,) ints, as for ``zero_shot``; normalised once, here
    scale : what the store divides the recording by (its robust SD, in the unit of the windows)
    k, pooling : EvalConfig's
    """

    def __init__(self, embedder: Embedder, gallery, labels, *, scale: float = 1.0, k: int = 10, pooling: str = "max"):
        gallery, labels = torch.from_numpy(_array("gallery", gallery).astype(np.float32)), _array("labels", labels)
        if gallery.shape[1:] != (embedder.d,) or not len(gallery) or len(labels) != len(gallery):
            raise InputError(
                f"recogniser: expected a gallery (G, {embedder.d}) and labels (G,), G at least 1, found "
                f"{tuple(gallery.shape)} and {tuple(labels.shape)}; embed the poses with the Pose-MAE that the model "
                "was aligned to"
            )
        if not gallery.isfinite().all():
            raise InputError("recogniser: expected a finite gallery, found NaN or infinity; look at the poses' windows")
        if len(odd := labels[labels % 1 != 0]):
            raise InputError(f"recogniser: expected whole numbers as labels, found {odd[0]}; number the gestures")
        if not (isinstance(k, (int, np.integer)) and k > 0):
            raise InputError(f"recogniser: expected k neighbours, a whole number above 0, found {k!r}")
        one_of("recogniser's pooling", pooling, "max", "mean")
        self.scale = positive("recogniser: ", "a positive scale (the recording's)", scale)
        self.embedder, self.k, self.pooling = embedder, min(int(k), len(gallery)), pooling
        self.gallery = normalize(gallery, dim=-1).T.contiguous().T  # a dimension at a time: a faster product
        self.classes, self.votes = torch.from_numpy(labels.astype(np.int64)).unique(return_inverse=True)

    def label(self, window) -> int:
        """The label that the window's k nearest poses vote for; arguments and errors as :meth:`neighbours`."""
        return self._labels(self._cosines(window))[0]

    def stream(self, chunks: Iterable, every: float = 0.05) -> Iterator[Decision]:
        """Label raw EMG as it comes: a decision every ``every`` s of signal, in steady memory, by the past alone.

        Windows are those of :func:`~embridge.data.live.live_windows`, which says what ``chunks`` may be and when there
        is no window: until one has come, behind a gap, around what is not finite, without a signal. The decision is
        then -1, which in a gallery stands for another gesture. How the signal is divided into chunks changes nothing.
        Raises InputError as ``live_windows`` does, and goes no further then.
        """
        for due in live_windows(chunks, self.embedder.windows, every):
            windows = [window for _, window in due if window is not None]
            cosines = self.embedder.of_filtered(np.stack(windows), self.scale, self.highest) if windows else None
            found = iter(self._labels(cosines) if windows else ())
            for sample, window in due:
                yield Decision(sample, -1 if window is None else next(found))

    def neighbours(self, window) -> tuple[Tensor, Tensor]:
        """Cosines (k,) and gallery indices (k,) of the nearest poses, best first.

        ``window`` is (T, C), raw, in the recording's unit. Raises InputError for another shape or a number that is
        not finite, and where log-power is read for a window without a signal: the store leaves such windows out, too.
        """
        return self._cosines(window)[0].topk(self.k)

    def highest(self, x: Tensor) -> Tensor:
        """The highest cosine (B, G) that a query of each scaled window (B, C, steps) has with each pose."""
        queries = self.embedder.emg(x).reshape(len(x), -1, self.embedder.d)
        parts = queries.split(max(1, TILE // (queries.shape[1] * len(self.gallery))))
        return torch.cat([self.highest_of(part) for part in parts])

    def highest_of(self, queries: Tensor) -> Tensor:
        """The same of queries (B, M, d) of windows, in one tile."""
        if self.pooling == "mean":
            queries = queries.mean(1, keepdim=True)
        return (normalize(queries, dim=-1) @ self.gallery.T).amax(1)

    def _cosines(self, window) -> Tensor:
        """Those (1, G) of a raw window (T, C)."""
        window, windows = _array("window of raw EMG", window), self.embedder.windows
        if window.shape != (windows.window, windows.n_channels):
            raise InputError(
                f"window of raw EMG: expected {windows.window} samples x {windows.n_channels} channels, found "
                f"{' x '.join(map(str, window.shape))}; cut it to {windows.window / windows.sample_rate:g} s"
            )
        return self.embedder.queries(window.T[None], self.scale, self.highest)

    def _labels(self, cosines: Tensor) -> list[int]:
        """What the k nearest poses of each row of cosines (B, G) vote for."""
        cosine, index = cosines.topk(self.k)
        return self.classes[majority(self.votes[index], cosine, len(self.classes))].tolist()


@cache
def _gain(config: WindowConfig) -> np.ndarray:
    """Squared gain (T,) of the filters at the frequencies of a cosine transform of one window."""
    hertz = np.arange(config.window) * config.sample_rate / (2 * config.window)
    return np.abs(sosfreqz(sections(config), hertz, fs=config.sample_rate)[1]) ** 2


def filter_window(emg: np.ndarray, config: WindowConfig) -> np.ndarray:
    """Band-pass and notch one window (T, C) of its own with zero phase; (C, T) float32, in the unit it came in.

    A stored window was filtered with its recording around it. Alone it is continued as in a mirror, which is what the
    cosine transform does: on noise that comes to within 4 to 13 % (RMS) of the stored window, where sosfiltfilt and
    its point reflection miss by 40 to 47 % and take ten times as long.
    """
    x = np.array(emg.T, dtype=np.float64, order="C")
    dead = np.ptp(x, axis=1) == 0
    if sections(config) is not None:
        x = idct(dct(x) * _gain(config))
    x[dead] = 0  # as in the store: what rounding leaves of a constant is no signal
    return x.astype(np.float32)


def _array(what: str, x) -> np.ndarray:
    """x as an array of real numbers."""
    try:
        found = plain(x.detach().cpu() if isinstance(x, Tensor) else x)
    except (TypeError, ValueError) as error:  # torch's bfloat16; windows of several lengths
        raise InputError(
            f"{what}: expected an array of numbers ({error}); convert it or cut it to one length"
        ) from error
    if found.dtype.kind not in "biuf":
        raise InputError(f"{what}: expected real numbers, found {found.dtype}; convert it")
    return found


def _checked(what: str, x, shape: tuple[int, int]) -> np.ndarray:
    """x as an array of (B, *shape) finite numbers, B at least 1."""
    x = _array(what, x)
    if x.ndim != 3 or x.shape[1:] != shape or not len(x):
        raise InputError(
            f"{what}: expected windows (B, {shape[0]}, {shape[1]}), B at least 1, found {x.shape}; "
            f"cut it to {shape[1]} samples of {shape[0]} channels, time last"
        )
    bad = ~np.isfinite(x)
    if bad.any():
        windows, channels = np.flatnonzero(bad.any((1, 2))), np.flatnonzero(bad.any((0, 2)))
        raise InputError(
            f"{what}: expected finite numbers, found {bad.sum()} that are not, in channels {channels.tolist()}, "
            f"in {len(windows)} of {len(x)} windows, first in {windows[0]}; leave these out"
        )
    return x


def _trained(folder: Path, device: str, encoder: nn.Module | None = None) -> tuple[dict, ModelConfig, nn.Module]:
    """A run's config.json, the shape that it gives, and the model with the folder's weights."""
    path = folder / "config.json"
    unfinished = f"{folder} holds no config.json, so no finished run; train it first or copy the whole folder"
    describe = read_json(path, unfinished)
    if not NEEDED <= describe.keys():
        raise InputError(f"{path} does not describe a run of a study; give a folder runs/<name>-<key>")
    if describe["kind"] == "regressor":
        raise InputError(f"{folder} is a regressor, which predicts angles; give an aligned system or an autoencoder")
    shape = _made(ModelConfig, path, describe["model"])
    kind, pose_trained = describe["kind"], describe["moves"][1]
    # of a Pose-MAE that a Q-Former starts from, shipped weights hold no second copy
    starts = kind == "qformer" and not pose_trained
    pose = _trained(_pose_start(folder, describe), device)[2].encoder if starts else pose_encoder(shape)
    head = {"bias": 0.0} if (describe.get("objective") or {}).get("contrast") == "sigmoid" else {}
    model = new_model(kind, shape, own.again(encoder, describe, folder), pose, pose_trained=pose_trained, **head)
    load_weights(folder, model, describe)
    return describe, shape, model.to(device).eval()


def _pose_start(folder: Path, describe: dict) -> Path:
    """The folder, beside an aligned system's, of the Pose-MAE that it was aligned with."""
    return folder.parent / f"{slug(describe['pose_start'])}-{describe['needs'][describe['pose_start']]}"


def _frozen_pose(mae: nn.Module, how: str, folder: Path) -> Callable[[Tensor], Tensor]:
    """A function from normalised poses (B, J, T) to v (B, d), by the Pose-MAE of this folder."""
    read = encoder_embedding(mae.encoder, how)
    if how != "centred":
        return read
    file = folder / "embeddings-cls.npz"
    if not file.exists():
        raise InputError(f"{file} is missing, whose mean centres the poses; copy the whole folder from where it was")
    try:
        centre = torch.from_numpy(read_npz(file)["array"]).mean(0, keepdim=True).to(mae.mask_token.device)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} is damaged ({error}); copy the whole folder again from where it was") from error
    return lambda p: read(p) - centre


def _beside(kind: type, path: Path):
    """A configuration of this kind from a file beside the run's folder."""
    missing = f"{path} is missing, though it belongs beside the run; copy it there, or ask its study for statistics"
    return _made(kind, path, {name: value for name, value in read_json(path, missing).items() if name != "provenance"})


def _made(kind: type, path: Path, values: dict):
    """A configuration of this kind from a file's JSON, whose lists were tuples."""
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except TypeError as error:
        raise InputError(f"{path} does not describe a {kind.__name__} ({error}); fetch it again") from error
