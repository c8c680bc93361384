"""A trained system in one ONNX file: its network, and in the metadata what is left of a Recogniser (extra "onnx").

The network maps one window as it was scaled for training, "x" (1, C, steps) float32, to its queries (1, M, d), not
normalised. Metadata "embridge" is JSON: ``windows`` (a WindowConfig: how raw EMG is filtered and cut), ``emg_norm`` and
``emg_scales`` (how it is scaled then), ``k``, ``pooling``, ``scale``, ``names`` and ``labels`` of the gallery's poses,
and ``gallery``, (G, d) normalised as base64 of little-endian float32.
"""

import base64
import importlib.util
import json
import logging
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from embridge import __version__
from embridge.config import WindowConfig, as_json, n_bins
from embridge.data.batches import Reader, Statistics
from embridge.describe import DESCRIPTIONS, gallery
from embridge.errors import InputError
from embridge.inference import Embedder, Recogniser, load

TOLERANCE = 1e-4  # by which normalised queries may differ from torch's
FIELDS = ("name", "d", "windows", "emg_norm", "emg_scales", "k", "pooling", "scale", "names", "labels", "gallery")


class _Queries(nn.Module):
    """What is exported: :attr:`Embedder.emg`, always with an axis of queries."""

    def __init__(self, embedder: Embedder):
        super().__init__()
        self.model, self.function, self.d = embedder.model, embedder.emg, embedder.d

    def forward(self, x):
        return self.function(x).reshape(1, -1, self.d)


def export(run, file, *, names=None) -> Path:
    """Write a recogniser to one ONNX file, which :func:`recogniser` opens; whole and checked, or not at all.

    Parameters
    ----------
    run : a :class:`~embridge.inference.Recogniser` on the CPU; or a run as :func:`embridge.load` takes it, whose
        gallery is then of described gestures alone (:mod:`embridge.describe`): it needs no recording
    file : ends in .onnx
    names : what the labels 0, 1, ... are called; None: of a run those of the descriptions, else none

    Raises
    ------
    InputError
        without the packages of the extra "onnx", for a Pose-MAE, another ending, and where onnxruntime's normalised
        queries of random windows differ from torch's by more than 1e-4
    """
    _need("onnx", "onnxscript", "onnxruntime")
    file = Path(file)
    if file.suffix != ".onnx":
        raise InputError(f"export: expected a file that ends in .onnx, found {file}; rename it")
    if not isinstance(run, Recogniser):
        embedder, names = load(run), list(DESCRIPTIONS) if names is None else names
        run = Recogniser(embedder, *gallery(embedder))
    embedder = run.embedder
    if embedder.emg is None or embedder.model is None or embedder.reader.device != "cpu":
        raise InputError(
            f"export: expected a system with an EMG encoder on the CPU, found {embedder.name}; load another"
        )
    windows, reader = embedder.windows, embedder.reader
    steps = n_bins(windows) if reader.emg_norm == "log-power" else windows.window
    graph, x = _Queries(embedder).eval(), torch.randn(4, windows.n_channels, steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(graph, (x[:1],), input_names=["x"], dynamo=True, verbose=False)
    stats = None if reader.emg_stats is None else {k: v.flatten().tolist() for k, v in reader.emg_stats.items()}
    values = [embedder.name, embedder.d, as_json(windows), reader.emg_norm, stats, run.k, run.pooling, run.scale]
    packed = base64.b64encode(run.gallery.numpy().astype("<f4").tobytes()).decode("ascii")
    values += [list(names or ()), run.classes[run.votes].tolist(), packed]
    about = {"version": __version__} | dict(zip(FIELDS, values, strict=True))
    program.model.metadata_props["embridge"] = json.dumps(about)
    part = file.with_name(f".{file.name}.part")
    try:
        program.save(part)
        found = recogniser(part).embedder
        with torch.inference_mode():
            ours, theirs = (nn.functional.normalize(f(x), dim=-1) for f in (_each(graph), found.emg))
        error = float((ours - theirs).abs().max())
        if not error <= TOLERANCE:
            raise InputError(f"export: onnxruntime is {error:.1g} off torch; try another version of it")
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    return file


def recogniser(file, *, threads: int = 1) -> Recogniser:
    """The Recogniser of an exported file, which computes with onnxruntime on so many cores of the CPU.

    Raises InputError without onnxruntime, and for a file that :func:`export` did not write or that is damaged.
    """
    _need("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        about = json.loads(session.get_modelmeta().custom_metadata_map["embridge"])
        name, d, windows, norm, stats, k, pooling, scale, _, labels, packed = (about[field] for field in FIELDS)
        found = np.frombuffer(base64.b64decode(packed, validate=True), "<f4").reshape(-1, d)
        if windows["bandpass"]:
            windows["bandpass"] = tuple(windows["bandpass"])
        config = WindowConfig(**windows)
    except Exception as error:  # onnxruntime's errors have no common class but this one
        raise InputError(f"{file}: expected a file that embridge.export wrote ({error}); export it again") from error
    scales = {}
    if stats:
        scales["emg"] = Statistics((), (), tuple(stats["mean"]), tuple(stats["std"]))

    def emg(x):
        return torch.from_numpy(session.run(None, {"x": x.numpy()})[0])

    embedder = Embedder(name, config, Reader(None, None, scales, norm), d, _each(emg))
    return Recogniser(embedder, found.copy(), labels, scale=scale, k=k, pooling=pooling)


def _each(function):
    """A function of one window, for (B, C, steps)."""
    return lambda x: torch.cat([function(one) for one in x.split(1)])


def _need(*packages: str) -> None:
    if absent := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise InputError(f"ONNX: {', '.join(absent)} is not installed; run pip install '.[onnx]' in the repository")
