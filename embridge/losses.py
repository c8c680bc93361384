"""InfoNCE and soft targets (E eq. 1 and 3 to 5, METHOD 3-6); eq. 2, the masked error, is the Q-Former's ``mprl``.

u: EMG embeddings, v: embeddings of the paired poses, both (B, d) and l2-normalised in here; q: softmax over poses;
y: targets, whose row i says how much each pose of the batch counts as the one of EMG window i.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from embridge.config import ObjectiveConfig
from embridge.errors import InputError

MAX_LOG_SCALE = math.log(100.0)  # limit of log(1 / tau), as in CLIP


def pick_queries(queries: Tensor, v: Tensor) -> Tensor:
    """u_i: of the queries (B, M, d) the one with the highest cosine to its own pose v (B, d) (E 2.2.1); (B, d)."""
    with torch.no_grad():
        cosine = torch.einsum("bmd,bd->bm", F.normalize(queries.float(), dim=-1), F.normalize(v.float(), dim=-1))
        best = cosine.argmax(dim=1)  # (B,)
    return queries.gather(1, best[:, None, None].expand(-1, 1, queries.shape[2])).squeeze(1)


def similarity_logits(u: Tensor, v: Tensor, log_scale: Tensor) -> Tensor:
    """s_ij = cos(u_i, v_j) / tau, (B, B): row = EMG, column = pose; 1 / tau = exp(log_scale), at most 100."""
    u, v = F.normalize(u.float(), dim=-1), F.normalize(v.float(), dim=-1)
    return log_scale.clamp(max=MAX_LOG_SCALE).exp() * (u @ v.T)


def log_softmax_similarities(u: Tensor, v: Tensor, log_scale: Tensor) -> Tensor:
    """log q (B, B), E 2.2.1: log-softmax of the similarities over all poses of the batch, the paired one included."""
    return similarity_logits(u, v, log_scale).log_softmax(dim=1)


def clamp_temperature(model: nn.Module) -> None:
    """Bring the model's ``log_scale``, where it has one, back to log 100 after a step, as CLIP does.

    The clamp in the loss alone would give the parameter no gradient beyond the limit and so hold it there for good.
    """
    if hasattr(model, "log_scale"):
        model.log_scale.data.clamp_(max=MAX_LOG_SCALE)


def soft_cross_entropy(log_q: Tensor, y: Tensor, renormalise: bool = False) -> Tensor:
    """-1/B sum_ij y_ij log q_ij (E eq. 5) for log q and targets y, both (B, B); renormalise: q over j != i."""
    if renormalise and len(log_q) > 1:
        diagonal = torch.eye(len(log_q), dtype=torch.bool, device=log_q.device)
        log_q = log_q.masked_fill(diagonal, -math.inf).log_softmax(dim=1).masked_fill(diagonal, 0.0)
    return -(y * log_q).sum(dim=1).mean()


def cross_entropy(logits: Tensor, y: Tensor, symmetric: bool) -> Tensor:
    """:func:`soft_cross_entropy` of symmetric targets y from EMG to pose, averaged with pose to EMG where asked (C)."""
    loss = soft_cross_entropy(logits.log_softmax(dim=1), y)
    return (loss + soft_cross_entropy(logits.T.log_softmax(dim=1), y)) / 2 if symmetric else loss


def info_nce(u: Tensor, v: Tensor, log_scale: Tensor, *, symmetric: bool = False) -> Tensor:
    """InfoNCE (E eq. 1), -1/B sum_i log q_ii from EMG to pose, or the mean of both directions (C)."""
    logits = similarity_logits(u, v, log_scale)
    return cross_entropy(logits, torch.eye(len(logits), device=logits.device), symmetric)


def pairwise_sigmoid(logits: Tensor, bias: Tensor) -> Tensor:
    """SigLIP (Zhai et al. 2023): -1/B sum_ij log sigmoid(z_ij (s_ij + b)), z = 1 on the pair and else -1.

    logits: s (B, B), cosines over tau; bias: b, a scalar that is learned. Each pair is judged alone: no softmax.
    """
    z = 2 * torch.eye(len(logits), device=logits.device) - 1
    return -F.logsigmoid(z * (logits + bias)).sum(dim=1).mean()


def smoothed_targets(n: int, eps: float = 0.1, device="cpu") -> Tensor:
    """Label smoothing (E 3.3): 1 - eps on the pair, eps / (n - 1) on each other; (n, n). One sample has no other."""
    if n == 1:
        return torch.ones(1, 1, device=device)
    return torch.full((n, n), eps / (n - 1), device=device).fill_diagonal_(1 - eps)


def communities(embeddings: np.ndarray, n_communities: int, seed: int = 0) -> np.ndarray:
    """k-means on l2-normalised pose embeddings (N, d): centroids (N_c, d) float32, l2-normalised (E 2.2.3).

    N_c is n_communities, but at most a tenth of N and at least 1. One thread: with more, the order in which partial
    sums arrive, and with it the last bits, would change from run to run.
    """
    from sklearn.cluster import KMeans  # here: needed once a run, and as slow to import as torch

    embeddings = np.asarray(embeddings, dtype=np.float32)
    embeddings = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    n_clusters = max(1, min(n_communities, len(embeddings) // 10))
    with threadpool_limits(limits=1):
        centroids = KMeans(n_clusters, n_init=4, random_state=seed).fit(embeddings).cluster_centers_
    return centroids / np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)


def community_affinity(v: Tensor, centroids: Tensor, k_c: int | None, kind: str = "dot") -> Tensor:
    """Sparsified pose-cluster affinities S_pc (E eq. 3): (B, N_c) from v (B, d) and centroids (N_c, d).

    k_c: clusters kept a row, the others 0; None, 0 or more than there are: all. kind: "dot"; "cosine", whose
    sparsified rows are l2-normalised (E 4); "l1" or "l2", exp(-distance / median distance of the batch), so that a
    cluster which was dropped stays the farthest.
    """
    v, centroids = F.normalize(v.float(), dim=-1), F.normalize(centroids.float(), dim=-1)
    if kind in ("dot", "cosine"):
        affinity = v @ centroids.T
    elif kind in ("l1", "l2"):
        distance = torch.cdist(v, centroids, p=int(kind[1]), compute_mode="donot_use_mm_for_euclid_dist")
        affinity = torch.exp(-distance / distance.median().clamp(min=1e-12))
    else:
        raise InputError(f"affinity: expected dot, cosine, l1 or l2, found {kind!r}.")
    if k_c and k_c < affinity.shape[1]:
        top = affinity.topk(k_c, dim=1)
        affinity = torch.zeros_like(affinity).scatter(1, top.indices, top.values)
    return F.normalize(affinity, dim=1) if kind == "cosine" else affinity


def instance_similarity(v: Tensor) -> Tensor:
    """Cosines between the poses of a batch (SoftCLIP as E 4 adapts it): (B, B)."""
    v = F.normalize(v.float(), dim=-1)
    return v @ v.T


def memberships(v: Tensor, centroids: Tensor) -> Tensor:
    """p_ic (B, N_c), how likely pose i of v (B, d) is one of community c: equal Gaussians around centroids (N_c, d).

    They share one variance a dimension: that of the batch about the centroid nearest to each pose, which is k-means'
    assignment. Softmax of -|v_i - c|^2 / (2 variance).
    """
    v, centroids = F.normalize(v.float(), dim=-1), F.normalize(centroids.float(), dim=-1)
    squares = (2 - 2 * v @ centroids.T).clamp(min=0)
    variance = squares.amin(dim=1).mean().clamp(min=1e-6) / v.shape[1]
    return (-squares / (2 * variance)).softmax(dim=1)


def jensen_shannon(p: Tensor) -> Tensor:
    """Jensen-Shannon divergence of each two rows of p (B, N_c), which sum to one: (B, B), from 0 to log 2 nat."""
    entropy = torch.special.entr(p).sum(dim=1)
    mixed = torch.cat([torch.special.entr((p + rows[:, None]) / 2).sum(dim=2) for rows in p.split(32)])
    return (mixed - (entropy[:, None] + entropy) / 2).clamp(min=0)


def soft_targets(similarity: Tensor, tau_s: float) -> Tensor:
    """y_ij = exp(S_ij / tau_s) / sum_{k != i} exp(S_ik / tau_s), y_ii = 0 (E eq. 4), from S (B, B).

    The diagonal counts as minus infinity: the zero of "S - diag(S)" would be one more candidate. One sample alone gets
    zeros.
    """
    if len(similarity) == 1:
        return torch.zeros_like(similarity)
    return (similarity / tau_s).fill_diagonal_(-math.inf).softmax(dim=1)


def perplexity(y: Tensor) -> float:
    """Over how many poses a row of targets y (B, B) spreads, exp of its entropy, a mean over rows: 1 to B - 1."""
    return float(torch.special.entr(y).sum(1).exp().mean())


def community_targets(v: Tensor, centroids: Tensor | None, objective: ObjectiveConfig) -> Tensor:
    """CASCLe's targets (B, B) (E eq. 3-4) from v (B, d) and centroids (N_c, d)."""
    affinity = community_affinity(v, centroids, objective.k_c, objective.affinity)
    return soft_targets(affinity @ affinity.T, objective.tau_s)  # S_pp = S_pc S_pc'


def instance_targets(v: Tensor, centroids: Tensor | None, objective: ObjectiveConfig) -> Tensor:
    """SoftCLIP's targets (B, B), as E 4 adapts it, from v (B, d)."""
    return soft_targets(instance_similarity(v), objective.tau_s)


def mixture_targets(v: Tensor, centroids: Tensor | None, objective: ObjectiveConfig) -> Tensor:
    """Targets (B, B) of a Gaussian mixture, E's future work: poses are alike whose :func:`memberships` diverge little.

    Their Jensen-Shannon divergence takes the place of minus the similarity in E eq. 4.
    """
    return soft_targets(-jensen_shannon(memberships(v, centroids)), objective.tau_s)


def x_clr_targets(v: Tensor, centroids: Tensor | None, objective: ObjectiveConfig) -> Tensor:
    """X-CLR's targets (B, B) (Sobal et al. 2024): softmax of the poses' cosines at tau_s, the pair itself included."""
    return (instance_similarity(v) / objective.tau_s).softmax(dim=1)


# ObjectiveConfig.soft_targets -> y (B, B) from v (B, d), centroids (N_c, d) or None, and the objective. Your own: one
# function and one line here, where a change of it is also a new key in runs/.
TARGETS = {"communities": community_targets, "instances": instance_targets, "mixture": mixture_targets}
TARGETS["x-clr"] = x_clr_targets
OF_COMMUNITIES = ("communities", "mixture")  # these need centroids


def alignment_loss(
    u: Tensor,
    v: Tensor,
    log_scale: Tensor,
    objective: ObjectiveConfig,
    centroids: Tensor | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """L_InfoNCE + alpha * L_soft, the contrastive part of the objective (METHOD 6); whoever holds the model adds MPRL.

    None: InfoNCE. A name in TARGETS: InfoNCE + alpha * soft term, whose q is E eq. 5's, EMG to pose, also beside a
    symmetric InfoNCE. "smoothing": smoothed InfoNCE alone (E 4 and the "-LS" rows). ``contrast`` "sigmoid": SigLIP's
    loss, with ``bias``, instead of InfoNCE; "none": nothing instead, so that the soft term is all. Returns the loss and
    its parts, detached, by name. Raises InputError for an unknown kind, missing centroids (N_c, d) or bias, and where
    nothing would be left of the loss or of its targets.
    """
    kind, contrast = objective.soft_targets, objective.contrast
    fits = {"info-nce": True, "sigmoid": kind != "smoothing" and bias is not None, "none": kind in TARGETS}
    if not fits.get(contrast):
        asked = f"info-nce, sigmoid with a bias, or none beside {', '.join(TARGETS)}"
        raise InputError(f"contrast: expected {asked}, found {contrast!r} beside soft_targets {kind!r}.")
    if kind not in (None, "smoothing", *TARGETS):
        raise InputError(f"soft_targets: expected smoothing, {', '.join(TARGETS)}, found {kind!r}.")
    if contrast == "none" and not objective.alpha:
        raise InputError("alpha: expected more than 0 beside contrast 'none', found 0, which leaves no loss; set it.")
    if kind == "x-clr" and objective.renormalise_q:
        raise InputError("renormalise_q: expected False beside x-clr, whose targets hold the pair itself, found True.")
    if kind in OF_COMMUNITIES and centroids is None:
        raise InputError(f"soft_targets: expected centroids for {kind!r}, found it without centroids; give them.")
    logits = similarity_logits(u, v, log_scale)  # (B, B)
    if kind == "smoothing":
        y = smoothed_targets(len(logits), objective.smoothing, logits.device)
        loss = cross_entropy(logits, y, objective.symmetric)
        return loss, {"info_nce_smoothed": loss.detach()}
    loss, parts = logits.new_zeros(()), {}
    if contrast == "info-nce":
        loss = cross_entropy(logits, torch.eye(len(logits), device=logits.device), objective.symmetric)
        parts = {"info_nce": loss.detach()}
    elif contrast == "sigmoid":
        loss = pairwise_sigmoid(logits, bias)
        parts = {"sigmoid": loss.detach()}
    if kind is None:
        return loss, parts
    with torch.no_grad():  # targets are constants, also where the pose encoder trains
        y = TARGETS[kind](v, centroids, objective)
    soft = soft_cross_entropy(logits.log_softmax(dim=1), y, objective.renormalise_q)
    return loss + objective.alpha * soft, {**parts, "soft": soft.detach()}
