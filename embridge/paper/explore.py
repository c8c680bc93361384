"""Views of a study beside its scores: one function for each question that the notebooks ask."""

import inspect
import textwrap
from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
import torch
from openTSNE import TSNE
from torch.nn.functional import normalize

from embridge import figures, losses
from embridge.config import RESULTS_VERSION
from embridge.data.batches import noise
from embridge.data.emg2pose import JOINTS
from embridge.experiments import EXPERIMENTS, NO_NETWORK, trained_by
from embridge.models.transformer import split_heads, unpatchify
from embridge.paper import records
from embridge.paper.results import Page
from embridge.provenance import ROOT
from embridge.study import Study


def joint_names(study: Study) -> tuple[str, ...]:
    """Names of the pose's rows: emg2pose's joints, or the glove's sensors."""
    if study.store.config.n_joints == len(JOINTS):
        return JOINTS
    return tuple(f"glove sensor {i + 1}" for i in range(study.store.config.n_joints))


def hands_through_time(study: Study, gestures, n_frames: int) -> tuple[dict, np.ndarray]:
    """For each gesture the window that moves most, as ``n_frames`` poses, and their times.

    Gesture to (n_frames, 20) joint angles, rad, empty where the pose is a glove's raw sensors; (n_frames,) s within the
    window.
    """
    config, poses = study.store.config, {}
    frames = np.linspace(0, study.store.pose_f16.shape[2] - 1, n_frames).round().astype(int)
    for gesture in gestures if config.n_joints == len(JOINTS) else ():
        ids = np.flatnonzero(study.store.table["gesture"] == gesture)[:64]
        if len(ids):
            poses[gesture] = study.store.read_pose(most_moving(study, ids))[0, :, frames].T.numpy()
    return poses, frames * (config.window / config.sample_rate / study.store.pose_f16.shape[2])


def most_moving(study: Study, ids: np.ndarray) -> np.ndarray:
    """(1,) the one of the windows ``ids`` whose joints move most."""
    return ids[[int(study.store.read_pose(ids).diff(dim=2).abs().sum((1, 2)).argmax())]]


def tsne(x: np.ndarray, *, seed: int) -> np.ndarray:
    """(n, 2) t-SNE map of (n, d) features, of their directions alone: openTSNE, PCA initialisation, seeded.

    Features are l2-normalised, where squared Euclidean distance is 2 (1 - cosine): openTSNE 1.0.4's own "cosine" is
    1 - cosine below 1,000 points and the Euclidean distance of normalised points from there on. It takes its fast paths
    by itself: approximate neighbours from 1,000 points on, gradients by Barnes-Hut below 10,000 and by interpolation
    (FFT) from there. One job: the approximate neighbours depend on their number, and so would the map on the machine.
    Perplexity 30, less where n is small.
    """
    perplexity = min(30, max(2, (len(x) - 1) // 3))
    embedding = TSNE(perplexity=perplexity, metric="euclidean", initialization="pca", random_state=seed, n_jobs=1)
    x = np.ascontiguousarray(x, dtype=np.float64)
    return np.asarray(embedding.fit(x / np.linalg.norm(x, axis=1, keepdims=True)))


@torch.inference_mode()
def reconstruction(study: Study, name: str, ids: np.ndarray, n_shown: int = 3) -> dict:
    """What ``figures.reconstructions`` draws: a named MAE on the first of ``ids``, channels that vary most."""
    run, shape, pose = study.run(name), study.profile.model, name == "Pose-MAE"
    x = study.reader().pose(ids) if pose else study.reader().emg(ids)
    cut = shape.pose if pose else shape.emg
    table = noise(study.seed, 0, "picture", len(ids), cut.n_tokens).to(x.device)
    predicted, mask = run.model.reconstruct(x, table)
    shown = x[0].std(dim=1).argsort(descending=True)[:n_shown].sort().values.cpu()
    names = joint_names(study) if pose else [f"channel {i + 1}" for i in range(shape.n_channels)]
    signals, unit = [x[0].cpu(), unpatchify(predicted, x.shape[1])[0].cpu()], "signal (SD of the window)"
    if pose:
        reader, scale = study.reader(), 180 / np.pi if names == JOINTS else 1.0
        signals = [scale * (signal * reader.pose_std.cpu() + reader.pose_mean.cpu()) for signal in signals]
        unit = "joint angle (degrees)" if names == JOINTS else "glove sensor (raw value)"
    return {
        "target": signals[0][shown].numpy(),
        "prediction": signals[1][shown].numpy(),
        "mask": mask[0].cpu().numpy(),
        "names": [names[i] for i in shown],
        "unit": unit,
        "colour": figures.modality_colour(name),
        "sample_rate": cut.steps * shape.sample_rate / shape.window,
    }


@torch.inference_mode()
def hidden_patch_errors(study: Study, name: str, ids: np.ndarray, *, batch: int = 256, ratio=None) -> dict[str, float]:
    """Squared error on the hidden patches of windows ``ids``: of the named MAE, and of two guesses without a network.

    "mean of the visible patches" answers each hidden step with the channel's mean over the visible ones, "linear
    interpolation" with the straight line between them. All see the same masks, which hide the share ``ratio`` (None:
    the MAE's own). In units of what the MAE reads: 1 is about the variance.
    """
    run, pose = study.run(name), name == "Pose-MAE"
    read, tokenizer = study.reader().pose if pose else study.reader().emg, run.model.encoder.tokenizer
    sums = dict.fromkeys([name, "mean of the visible patches", "linear interpolation"], 0.0)
    for start in range(0, len(ids), batch):
        x = read(ids[start : start + batch])
        table = noise(0, start, "hidden patches", len(x), tokenizer.n_tokens).to(x.device)
        predicted, mask = run.model.reconstruct(x, table, ratio)
        hidden = mask.repeat_interleave(tokenizer.patch, dim=1)[:, None]  # (B, 1, steps)
        x = x[..., : hidden.shape[2]]
        mean = (x * ~hidden).sum(2, keepdim=True) / (~hidden).sum(2, keepdim=True)  # (B, C, 1)
        guesses = unpatchify(predicted, x.shape[1]), mean, interpolated(x, hidden[:, 0])
        for key, guess in zip(sums, guesses, strict=True):
            sums[key] += float(((guess - x).square() * hidden).sum() / (hidden[0].sum() * x.shape[1]))
    return {key: total / len(ids) for key, total in sums.items()}


def interpolated(x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """x (B, C, steps) with the ``hidden`` (B, steps) on a line between visible neighbours, or equal to the only one."""
    out, steps = x.cpu().numpy().copy(), np.arange(x.shape[2])
    for window, gone in zip(out, hidden.cpu().numpy(), strict=True):
        for channel in window:
            channel[gone] = np.interp(steps[gone], steps[~gone], channel[~gone])
    return torch.from_numpy(out).to(x.device)


def source(*things):
    """The package's own text of functions or classes, to show in a notebook: what a page explains is what runs."""
    from IPython.display import Markdown  # a notebook has it, and nobody else needs it

    texts = (textwrap.dedent(inspect.getsource(thing)) for thing in things)
    return Markdown("\n".join(f"```python\n{text}```" for text in texts))


def held_out_windows(study: Study, most: int = 400) -> np.ndarray:
    """Windows of users that no training has seen: D_tune's of both class sets, else D_eval's; at most ``most``."""
    sets = study.splits.tune if any(map(len, study.splits.tune.values())) else study.splits.evaluation
    ids = np.unique(np.concatenate(list(sets.values())))
    return ids[:: -(-len(ids) // most) or 1]


def contrast_windows(study: Study, most: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Windows to draw embeddings of, and their in-distribution classes: D_eval, else the probe's training part."""
    ids = study.splits.evaluation["in"]
    ids = ids if len(ids) else study.splits.probe_train["in"]
    ids = ids[:: -(-len(ids) // most) or 1]
    return ids, study.splits.labels("in", ids)


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


def sorted_batch(study: Study, size: int, n_gestures: int | None = None) -> np.ndarray:
    """``size`` windows of the pre-training split, drawn with the study's seed and sorted by gesture.

    With ``n_gestures`` as many windows of each of so many gestures, whose mean pose embeddings lie far apart: fewer
    windows than ``size`` where so many gestures have not as many, all gestures where there are fewer.
    """
    ids, rng = study.splits.pretrain, np.random.default_rng(study.seed)
    gesture = study.store.table["gesture"].to_numpy()[ids]
    drawn = rng.choice(len(ids), min(size, len(ids)), replace=False)
    if n_gestures:
        kinds = [np.flatnonzero(gesture == name) for name in np.unique(gesture)]
        each = min(size // n_gestures, sorted(map(len, kinds))[-n_gestures:][0])
        kinds = [kind for kind in kinds if len(kind) >= each]
        v = normalize(study.pose_embeddings(ids), dim=1).numpy()
        some = figures.far_apart(np.stack([v[kind].mean(0) for kind in kinds]), n_gestures)
        drawn = np.concatenate([rng.choice(kinds[i], each, replace=False) for i in some])
    return ids[drawn[np.argsort(gesture[drawn], kind="stable")]]


def similarity(study: Study, name: str, ids: np.ndarray) -> np.ndarray:
    """(n, n) cosine between EMG (rows, its best query) and pose (columns) of the windows ``ids``."""
    return (normalize(study.emg_queries(name, ids), dim=-1) @ normalize(study.pose_embeddings(ids)).T).amax(1).numpy()


def query_usage(study: Study, name: str, ids: np.ndarray) -> np.ndarray:
    """(M,) share of the windows ``ids`` for which each query is the closest to the paired pose."""
    cosines = torch.einsum("nmd,nd->nm", normalize(study.emg_queries(name, ids), dim=-1), study.pose_embeddings(ids))
    return np.bincount(cosines.argmax(1).numpy(), minlength=cosines.shape[1]) / len(ids)


@torch.inference_mode()
def query_attention(study: Study, name: str, ids: np.ndarray) -> list[torch.Tensor]:
    """What the queries read of windows ``ids``: for each cross-attention in turn (n, M, 1 + L), a mean over heads.

    Rows sum to 1; the first column is EMG's [CLS], the others are its tokens in time.
    """
    model, seen = study.run(name).model, []
    layers = [block.cross_attention for block in model.qformer.blocks if block.cross_attention is not None]
    hooks = [layer.register_forward_pre_hook(lambda *called: seen.append(called)) for layer in layers]
    try:
        model.queries(study.reader().emg(ids))
    finally:
        for hook in hooks:
            hook.remove()
    return [attention_weights(layer, *arguments).mean(1).cpu() for layer, arguments in seen]


def attention_weights(layer, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
    """Softmax weights (B, h, M, L) of a CrossAttention from x (B or 1, M, d) to memory (B, L, d)."""
    q = split_heads(layer.q(x).expand(len(memory), -1, -1), layer.n_heads)
    k = split_heads(layer.kv(memory).chunk(2, dim=-1)[0], layer.n_heads)
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)


@torch.inference_mode()
def pose_beside_queries(
    study: Study, name: str, ids: np.ndarray, of: np.ndarray | None = None, ratio: float | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden pose of the windows ``ids`` filled in by MPRL beside Q' of the windows ``of`` (by default their own).

    ratio: the share of tokens that is hidden; None: the objective's. What is hidden depends on the place in ``ids``
    alone, and is what :func:`hidden_patch_errors` hides from Pose-MAE in a first batch.
    Returns truth and filled, (n, J, steps), z-scored, the hidden steps of the second guessed, and hidden (n, steps).
    """
    model, reader = study.run(name).model, study.reader()
    pose, emg = reader.pose(ids), model.encode(reader.emg(ids if of is None else of))
    tokenizer = model.pose_tokenizer
    table = noise(0, 0, "hidden patches", len(ids), tokenizer.n_tokens).to(pose.device)
    ratio = EXPERIMENTS[name].minimises(study.profile).mask_ratio if ratio is None else ratio
    states, masked = model.masked_states(model.query(emg), pose, table, ratio, emg)
    patches, guess = tokenizer.patches(pose), model.decode_pose(states)  # (n, L, J * patch), (n, masked, J * patch)
    filled = patches.scatter(1, masked[:, :, None].expand(-1, -1, patches.shape[2]), guess)
    hidden = torch.zeros(table.shape, dtype=torch.bool, device=pose.device).scatter_(1, masked, True)
    whole = [unpatchify(x, pose.shape[1]).cpu() for x in (patches, filled)]
    return *whole, hidden.repeat_interleave(tokenizer.patch, dim=1).cpu()


def hidden_error(truth: torch.Tensor, filled: torch.Tensor, hidden: torch.Tensor) -> float:
    """Mean squared error over the hidden steps of what :func:`pose_beside_queries` returns; 1 is about the variance."""
    return float((filled - truth).square().mean(1)[hidden].mean())


@torch.inference_mode()
def held_out_info_nce(study: Study, name: str, ids: np.ndarray) -> tuple[float, int]:
    """InfoNCE (E eq. 1) of an aligned system on windows ``ids``, at its temperature, and among how many poses.

    A mean over batches of training's size, the windows dealt at random; of one smaller batch where they are fewer.
    """
    ids = np.random.default_rng(0).permutation(ids)
    size = min(study.profile.align.batch_size, len(ids))
    parts = [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)]
    scale = study.run(name).model.log_scale.detach().cpu()
    queries, poses = ([of(part) for part in parts] for of in (partial(study.emg_queries, name), study.pose_embeddings))
    found = [losses.info_nce(losses.pick_queries(q, v), v, scale).item() for q, v in zip(queries, poses, strict=True)]
    return float(np.mean(found)), size


def tuned_epochs(names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """InfoNCE on D_tune by system: ``epoch`` and ``value`` of the committed rows of this RESULTS_VERSION."""
    rows = pd.read_csv(ROOT / "figures" / "simulated-long" / "epochs.csv").rename(columns={"epochs": "epoch"})
    rows = rows[rows["version"] == RESULTS_VERSION]
    return {name: rows[rows["system"] == name] for name in names if (rows["system"] == name).any()}


def target_spread(study: Study, name: str, ids: np.ndarray) -> dict[str, float]:
    """The spread of an experiment's soft targets on a batch of windows ``ids``; nothing but Pose-MAE is trained.

    ``perplexity``: how many poses share a row's weight, ``own gesture``: the share of the weight that falls on poses of
    the row's gesture; means over rows.
    """
    objective = EXPERIMENTS[name].objective
    of_communities = objective.soft_targets in losses.OF_COMMUNITIES
    centroids = torch.from_numpy(study.communities(objective)) if of_communities else None
    y = losses.TARGETS[objective.soft_targets](study.pose_embeddings(ids), centroids, objective)
    gesture = study.store.table["gesture"].to_numpy()[ids]
    same = torch.from_numpy(gesture[:, None] == gesture[None, :])
    return {"perplexity": losses.perplexity(y), "own gesture": float((y * same).sum(1).mean())}


def alone(cells: pd.DataFrame, what: str, over: str = "system") -> str:
    """A sentence for a page whose comparison has nothing to compare on this dataset; "" where it has.

    ``cells``: of :func:`embridge.paper.tables.numbers`; ``what``: its lines in a word or two, such as "systems";
    ``over``: the column that tells them apart. Those of networks count that have a number, ours or the papers'.
    """
    cells = cells[~cells["system"].isin(NO_NETWORK)]
    if cells["value"].isna().all():
        return f"Nothing to compare: none of these {what} has a number here."
    known = cells.loc[cells.filter(["value", "paper_value"]).notna().any(axis=1), over].unique()
    only = known[0] if isinstance(known[0], str) else f"{known[0]:g}"
    return "" if len(known) > 1 else f"Nothing to compare: of these {what} only {only} has a number here."


def finished_log(study: Study, name: str) -> pd.DataFrame | None:
    """A run's log where it lies in ``runs/``, else epoch and loss from its record, else None: nothing is trained."""
    if folder := records.run_folder(study, name):
        return pd.read_csv(folder / "log.csv")
    found = records.recorded(study, name)
    loss = found.about.get("loss") if found else None
    return pd.DataFrame({"epoch": np.arange(len(loss)) + 1, "loss": loss}) if loss else None


def divergence(study: Study, page: Page, names: tuple[str, ...], cells: pd.DataFrame, caption: str):
    """The loss of runs of which one may diverge, beside their scores at the end, as the page's figure "divergence".

    Where the dataset does not train one of them, or a run is neither in ``runs/`` nor on record, this says so and
    returns None. ``cells``: columns system, protocol, classes, value, low, high.
    """
    never = [name for name in names if name not in trained_by("long", study.dataset, study.tokens)]
    if never:
        print(f"No curves: {', '.join(never)}: not trained here.")
        return None
    logs = {name: finished_log(study, name) for name in names}
    absent = [name for name, log in logs.items() if log is None]
    if absent:
        print(f"No curve of {', '.join(absent)}: no run is here or on record (--profile long trains it).")
        return None
    fig = figures.divergence(logs, cells[cells["system"].isin(names)].dropna(subset="value"))
    return page.figure(fig, "divergence", caption)
