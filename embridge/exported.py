"""A trained system in one ONNX file: its network, and in the metadata what is left of a Recogniser (extra "onnx").

The network maps windows as they were scaled for training, "x" (B, C, steps) float32, to "queries" (B, M, d), not
normalised, and "cosine" (B, G), the highest that a query of each window has with each pose of "gallery" (G, d), which
is normalised. Metadata "embridge" is JSON: ``windows`` (a WindowConfig: how raw EMG is filtered and cut), ``emg_norm``
and ``emg_scales`` (how it is scaled then), ``k``, ``pooling``, ``scale``, and ``names`` and ``labels`` of the poses.
"""

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
from embridge.inference import Embedder, Recogniser
from embridge.pretrained import load

TOLERANCE = 1e-4  # by which normalised queries may differ from torch's
OUTPUTS = ["queries", "cosine", "gallery"]
FIELDS = ("name", "d", "windows", "emg_norm", "emg_scales", "k", "pooling", "scale", "names", "labels")


class _Graph(nn.Module):
    """What is exported: windows to queries and cosines, and the gallery."""

    def __init__(self, run: Recogniser):
        super().__init__()
        self.model, self.run = run.embedder.model, run

    def forward(self, x):
        queries = self.run.embedder.emg(x).reshape(x.shape[0], -1, self.run.embedder.d)
        return queries, self.run.highest_of(queries), self.run.gallery.clone()


def export(run, file, *, names=None) -> Path:
    """Write a recogniser to one ONNX file, which :func:`recogniser` opens; whole and checked, or not at all.

    Raises InputError without the packages of the extra "onnx", for a Pose-MAE, another ending, and where onnxruntime's
    normalised queries of random windows, or their cosines, differ from torch's by more than 1e-4.

    run : a :class:`~embridge.inference.Recogniser` on the CPU; or a run as :func:`embridge.load` takes it, whose
        gallery is then of described gestures alone (:mod:`embridge.describe`): it needs no recording
    file : ends in .onnx
    names : what the labels 0, 1, ... are called; None: of a run those of the descriptions, else none
    """
    _need("onnx", "onnxscript", "onnxruntime")
    file = Path(file)
    if file.suffix != ".onnx" or not file.parent.is_dir():
        raise InputError(f"export: expected a folder that is there and in it a file that ends in .onnx, found {file}")
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
    x, batch = torch.randn(4, windows.n_channels, steps), ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            _Graph(run).eval(), (x,), input_names=["x"], output_names=OUTPUTS, dynamic_shapes=batch, dynamo=True,
            verbose=False,
        )  # fmt: skip
    stats = None if reader.emg_stats is None else {k: v.flatten().tolist() for k, v in reader.emg_stats.items()}
    values = [embedder.name, embedder.d, as_json(windows), reader.emg_norm, stats, run.k, run.pooling, run.scale]
    values += [[] if names is None else [*map(str, names)], run.classes[run.votes].tolist()]
    about = {"version": __version__} | dict(zip(FIELDS, values, strict=True))
    program.model.metadata_props["embridge"] = json.dumps(about)
    part = file.with_name(f".{file.name}.part")
    try:
        program.save(part)
        found = recogniser(part)
        with torch.inference_mode():
            ours, theirs = (nn.functional.normalize(one.embedder.emg(x), dim=-1) for one in (run, found))
            errors = (ours.reshape(theirs.shape) - theirs, run.highest(x) - found.highest(x))
        error = max(float(error.abs().max()) for error in errors)
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
        name, d, windows, norm, stats, k, pooling, scale, _, labels = (about[field] for field in FIELDS)
        windows = WindowConfig(**windows)
        size = [1, *session.get_inputs()[0].shape[1:]]
        gallery = session.run(["gallery"], {"x": np.zeros(size, np.float32)})[0]
    except Exception as error:  # onnxruntime's errors have no common class but this one
        raise InputError(f"{file}: expected a file that embridge.export wrote ({error}); export it again") from error
    scales = {"emg": Statistics((), (), tuple(stats["mean"]), tuple(stats["std"]))} if stats else {}

    def by(output: str):
        return lambda x: torch.from_numpy(session.run([output], {"x": x.numpy()})[0])

    embedder = Embedder(name, windows, Reader(None, None, scales, norm), d, by("queries"))
    found = Recogniser(embedder, gallery, labels, scale=scale, k=k, pooling=pooling)
    found.highest = by("cosine")
    return found


def _need(*packages: str) -> None:
    if absent := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise InputError(f"ONNX: {', '.join(absent)} is not installed; run pip install '.[onnx]' in the repository")
