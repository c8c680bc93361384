"""Rows on pose kept at a lower rate: what it saves, and what it changes of angles and embeddings (METHOD 1)."""

import json
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import interp1d

from embridge.bench.data import PART
from embridge.bench.measure import Row
from embridge.bench.steps import Loop, make, statistics
from embridge.checkpoint import load_weights
from embridge.config import as_json, profile
from embridge.models import pose_mae
from embridge.models.transformer import embedding
from embridge.tasks import Reader, Statistics
from embridge.windows import WindowStore

RATES = (1000.0, 500.0, 250.0, 125.0, 62.5)  # Hz; 2 kHz divided by powers of two
FEW = 15  # steps of a Pose-MAE that is trained here


def trained(out: Path):
    """The quick profile's Pose-MAE below ``out``/runs, its statistics and its name; None where it is not trained."""
    cfg = profile("quick").model
    for folder in sorted((out / "runs").glob("pose-mae-*")):
        if not (folder / "done.json").exists():
            continue
        describe = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        scales = out / "runs" / f"statistics-{describe['data']}.json"
        if describe["model"] == as_json(cfg) and describe["simulated"] and scales.exists():
            model = pose_mae(cfg)
            load_weights(folder, model, describe)
            found = json.loads(scales.read_text(encoding="utf-8"))
            found = {k: tuple(v) for k, v in found.items() if k != "provenance"}
            return model.encoder.eval(), Statistics(**found), f"quick's Pose-MAE {folder.name}"
    return None


def trained_here(store: WindowStore):
    """A Pose-MAE after a few steps on ``store``, for want of a better one."""
    task, _ = make("Pose-MAE", profile("quick").model, store, n=64 * FEW, batch=64)
    Loop(task, task.config).turn(0, task.n_samples)
    return task.model.encoder.eval(), statistics(store), f"a Pose-MAE of {FEW} steps, for want of a finished one"


def at_rate(pose: np.ndarray, keep: int) -> np.ndarray:
    """Pose (B, J, T) kept at every ``keep``-th sample and the last one, as float16, and upsampled linearly again."""
    window = pose.shape[-1]
    kept = np.unique(np.r_[np.arange(0, window, keep), window - 1])
    knots = pose[..., kept].astype(np.float16).astype(np.float32)
    return interp1d(kept, knots, axis=-1)(np.arange(window)).astype(np.float32)


def rate_rows(store: WindowStore, out: Path, n: int) -> list[Row]:
    """What a lower rate would change in n windows of ``store``; the Pose-MAE is the best one there is below ``out``."""
    encoder, scales, whose = trained(out) or trained_here(store)
    reader = Reader(store, scales, "window")

    @torch.inference_mode()
    def encode(pose: np.ndarray) -> torch.Tensor:
        return embedding(encoder(reader.scale_pose(torch.from_numpy(pose))), profile("quick").model.pose_embedding)

    full = store.read_pose(np.random.default_rng(0).permutation(len(store))[:n]).numpy()
    reference, rows = encode(full), []
    unit = torch.nn.functional.normalize(reference, dim=1)
    others = (unit @ unit.T).fill_diagonal_(torch.nan).nanmean()  # what a cosine near 1 has to be judged by
    for rate in RATES:
        keep = round(store.config.sample_rate / rate)
        lower = at_rate(full, keep)
        cosine = torch.cosine_similarity(reference, encode(lower), dim=1).double().numpy()
        n_bytes = [2 * full.shape[1] * samples for samples in (-(-full.shape[2] // keep) + 1, full.shape[2])]
        error = np.degrees(np.abs(lower - full).max())
        rows.append(
            Row(PART, f"pose at {rate:g} Hz: lowest cosine of embeddings with 2 kHz's, {len(full)} windows",
                f"{n_bytes[0]:,} bytes a window", f"{n_bytes[1]:,} bytes", cosine.min(), "", target="above 0.999",
                note=f"1st percentile {np.percentile(cosine, 1):.6f}, median {np.median(cosine):.6f}; largest error of "
                f"an angle {error:.2f} deg; mean cosine of different windows {others:.3f}; {whose}")
        )  # fmt: skip
    return rows
