"""What the notebooks look at in a study beside its scores: one function for each question they ask."""

import numpy as np
import torch
from torch.nn.functional import normalize

from embridge.evaluation import zero_shot
from embridge.experiments import Study
from embridge.models.transformer import unpatchify
from embridge.recordings.emg2pose import JOINTS
from embridge.training import noise


def joint_names(study: Study) -> tuple[str, ...]:
    """Names of the pose's rows: emg2pose's joints, or the glove's sensors."""
    if study.store.config.n_joints == len(JOINTS):
        return JOINTS
    return tuple(f"glove sensor {i + 1}" for i in range(study.store.config.n_joints))


def windows_summary(study: Study) -> str:
    """Markdown list of what the store holds and what was left out of it, and why."""
    store, config = study.store, study.store.config
    counts = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in store.manifest["counts"].items())
    seconds = config.window / config.sample_rate
    return (
        f"**{len(store)} windows** of {seconds:g} s ({config.n_channels} EMG channels, {config.n_joints} pose channels, "
        f"{config.sample_rate:g} Hz) in store `{store.key}`:\n\n{counts}"
    )


def example_window(study: Study, gesture: str) -> int | None:
    """The window of ``gesture`` that moves most, so that the picture shows it in action; None if there is none."""
    ids = np.flatnonzero(study.store.table["gesture"] == gesture)[:64]
    if not len(ids):
        return None
    motion = study.store.read_pose(ids).diff(dim=2).abs().sum((1, 2))
    return int(ids[int(motion.argmax())])


@torch.inference_mode()
def reconstruction(study: Study, name: str, ids: np.ndarray) -> dict:
    """Target, prediction and mask of the named MAE on the first of ``ids``.

    Returns
    -------
    dict with ``target`` and ``prediction``, each (channels, T), and ``mask`` (L,), True where a patch was hidden
    """
    run, shape = study.run(name), study.profile.model
    x = study.reader().pose(ids) if name == "Pose-MAE" else study.reader().emg(ids)
    patch = shape.pose_patch if name == "Pose-MAE" else shape.emg_patch
    table = noise(study.seed, 0, "picture", len(ids), shape.window // patch).to(x.device)
    predicted, mask = run.model.reconstruct(x, table)
    return {
        "target": x[0].cpu().numpy(),
        "prediction": unpatchify(predicted, shape.n_joints if name == "Pose-MAE" else shape.n_channels)[0].cpu().numpy(),
        "mask": mask[0].cpu().numpy(),
    }


def neighbour_agreement(study: Study, features, ids: np.ndarray, labels: np.ndarray, k: int = 10) -> float:
    """Share of the ``k`` nearest neighbours (cosine) that show the same gesture, the query's own group left out.

    The group is the user, or the repetition where there is one user. ``features``: (n, d); ``labels``: (n,).
    """
    group = torch.as_tensor(study.splits.exclusion(study.splits.policies[-1], ids))
    z = normalize(torch.as_tensor(features), dim=1)
    similarity = (z @ z.T).masked_fill(group[:, None] == group[None, :], -torch.inf)
    nearest = similarity.topk(min(k, len(z) - 1), dim=1).indices
    y = torch.as_tensor(labels)
    return float((y[nearest] == y[:, None]).float().mean())


def sorted_batch(study: Study, size: int) -> np.ndarray:
    """``size`` windows of the pre-training split, drawn with the study's seed and sorted by gesture."""
    ids = study.splits.pretrain
    drawn = np.random.default_rng(study.seed).choice(ids, min(size, len(ids)), replace=False)
    return drawn[np.argsort(study.store.table["gesture"].to_numpy()[drawn], kind="stable")]


def similarity(study: Study, name: str, ids: np.ndarray) -> np.ndarray:
    """(n, n) cosine between EMG (rows, its best query) and pose (columns) of the windows ``ids``."""
    queries = normalize(study.emg_queries(name, ids), dim=-1)  # (n, M, d)
    poses = normalize(study.pose_embeddings(ids), dim=-1)  # (n, d)
    return torch.einsum("nmd,gd->nmg", queries, poses).amax(1).numpy()


def query_usage(study: Study, name: str, ids: np.ndarray) -> np.ndarray:
    """(M,) share of the windows ``ids`` for which each query is the closest to the paired pose."""
    queries = normalize(study.emg_queries(name, ids), dim=-1)
    poses = normalize(study.pose_embeddings(ids), dim=-1)
    best = torch.einsum("nmd,nd->nm", queries, poses).argmax(1)
    return np.bincount(best.numpy(), minlength=queries.shape[1]) / len(ids)


def tune_score(study: Study, name: str, classes: str) -> float:
    """Zero-shot accuracy on D_tune with other users' poses: what choices are made on, never D_eval."""
    ids = study.splits.tune[classes]
    y = study.splits.labels(classes, ids)
    setting = study.profile.evaluation
    predicted = zero_shot(study.emg_queries(name, ids), study.pose_embeddings(ids), y, k=setting.k, pooling=setting.pooling)
    return float(np.mean([(predicted[y == c] == c).mean() for c in np.unique(y)]))
