"""Each loss against loops in float64."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from embridge.config import ObjectiveConfig
from embridge.losses import (
    alignment_loss,
    community_affinity,
    info_nce,
    instance_similarity,
    log_softmax_similarities,
    pick_queries,
    smoothed_targets,
    soft_targets,
)

B, D, N_C = 7, 5, 9
KINDS = ["dot", "cosine", "l1", "l2"]
LOG_SCALE = torch.tensor(math.log(1 / 0.2))
OBJECTIVES = {
    "InfoNCE": ObjectiveConfig(),
    "symmetric": ObjectiveConfig(symmetric=True),
    "communities": ObjectiveConfig(soft_targets="communities", alpha=0.7, k_c=3),
    "communities, symmetric": ObjectiveConfig(symmetric=True, soft_targets="communities", alpha=0.7, k_c=3),
    "communities, renormalised": ObjectiveConfig(soft_targets="communities", alpha=0.7, k_c=3, renormalise_q=True),
    "instances": ObjectiveConfig(soft_targets="instances", alpha=0.7, tau_s=0.3),
    "smoothing": ObjectiveConfig(soft_targets="smoothing", smoothing=0.1),
    "smoothing, symmetric": ObjectiveConfig(symmetric=True, soft_targets="smoothing", smoothing=0.1),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def batch(n=B):
    return torch.randn(n, D), torch.randn(n, D)


def close(ours, expected, tolerance=1e-5):
    return np.allclose(ours.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


# ---- the definitions, as loops in float64 -----------------------------------------------------------------------


def unit(rows):
    return np.array([row / math.sqrt(sum(x * x for x in row)) for row in np.asarray(rows, dtype=np.float64)])


def loop_log_q(u, v, scale):
    """log q_ij = s_ij - log sum_k exp(s_ik), s = scale * cosine."""
    u, v = unit(u), unit(v)
    n = len(u)
    log_q = np.zeros((n, n))
    for i in range(n):
        s = [scale * sum(a * b for a, b in zip(u[i], v[k], strict=True)) for k in range(n)]
        log_q[i] = np.array(s) - math.log(sum(math.exp(x) for x in s))
    return log_q


def loop_cross_entropy(log_q, y):
    n = len(log_q)
    return -sum(y[i][j] * log_q[i][j] for i in range(n) for j in range(n)) / n


def loop_affinity(v, centroids, k_c, kind):
    v, centroids = unit(v), unit(centroids)
    raw = np.zeros((len(v), len(centroids)))
    for i, a in enumerate(v):
        for j, c in enumerate(centroids):
            if kind == "l1":
                raw[i, j] = sum(abs(x - y) for x, y in zip(a, c, strict=True))
            elif kind == "l2":
                raw[i, j] = math.sqrt(sum((x - y) ** 2 for x, y in zip(a, c, strict=True)))
            else:
                raw[i, j] = sum(x * y for x, y in zip(a, c, strict=True))
    if kind in ("l1", "l2"):
        median = sorted(raw.flatten())[(raw.size - 1) // 2]
        raw = np.exp(-raw / median)
    kept = np.zeros_like(raw)
    for i in range(len(v)):
        for j in sorted(range(raw.shape[1]), key=lambda j: -raw[i, j])[: k_c or raw.shape[1]]:
            kept[i, j] = raw[i, j]
    return unit(kept) if kind == "cosine" else kept


def loop_soft_targets(similarity, tau_s):
    n = len(similarity)
    y = np.zeros((n, n))
    for i in range(n):
        total = sum(math.exp(similarity[i][k] / tau_s) for k in range(n) if k != i)
        for j in range(n):
            if j != i:
                y[i, j] = math.exp(similarity[i][j] / tau_s) / total
    return y


def loop_alignment(u, v, scale, objective, centroids):
    """InfoNCE + alpha * soft term, or smoothed InfoNCE, each from its definition."""
    n = len(u)
    log_q = loop_log_q(u, v, scale)
    backwards = loop_log_q(v, u, scale)

    def both(y):
        there = loop_cross_entropy(log_q, y)
        return (there + loop_cross_entropy(backwards, y)) / 2 if objective.symmetric else there

    if objective.soft_targets == "smoothing":
        eps = objective.smoothing
        return both([[1 - eps if i == j else eps / (n - 1) for j in range(n)] for i in range(n)])
    nce = both(np.eye(n))
    if objective.soft_targets is None:
        return nce
    if objective.soft_targets == "instances":
        rows = unit(v)
    else:
        rows = loop_affinity(v, centroids, objective.k_c, objective.affinity)
    y = loop_soft_targets(
        [[sum(a * b for a, b in zip(p, q, strict=True)) for q in rows] for p in rows], objective.tau_s
    )
    if objective.renormalise_q:
        others = np.zeros_like(log_q)
        for i in range(n):
            total = math.log(sum(math.exp(log_q[i, k]) for k in range(n) if k != i))
            for j in range(n):
                others[i, j] = log_q[i, j] - total if j != i else 0.0
        log_q = others
    return nce + objective.alpha * loop_cross_entropy(log_q, y)


# ---- golden -----------------------------------------------------------------------------------------------------


def test_log_q_equals_the_loop():
    u, v = batch()
    assert close(log_softmax_similarities(u, v, LOG_SCALE), loop_log_q(u, v, 5.0))


@pytest.mark.parametrize("symmetric", [False, True])
def test_info_nce_equals_the_loop(symmetric):
    u, v = batch()
    expected = loop_alignment(u.numpy(), v.numpy(), 5.0, ObjectiveConfig(symmetric=symmetric), None)
    assert info_nce(u, v, LOG_SCALE, symmetric=symmetric).item() == pytest.approx(expected, rel=1e-5)


def test_info_nce_s_directions_differ():
    u, v = batch()
    assert info_nce(u, v, LOG_SCALE).item() != pytest.approx(info_nce(v, u, LOG_SCALE).item(), rel=1e-3)


def test_the_picked_query_is_the_one_nearest_to_its_own_pose():
    queries, v = torch.randn(B, 4, D), torch.randn(B, D)
    queries[:, 0] *= 100  # length must not matter
    picked = pick_queries(queries, v)
    for i in range(B):
        cosines = unit(queries[i]) @ unit(v[i : i + 1])[0]
        assert torch.equal(picked[i], queries[i, int(np.argmax(cosines))])


def test_only_the_picked_query_gets_a_gradient():
    queries, v = torch.randn(B, 4, D, requires_grad=True), torch.randn(B, D)
    pick_queries(queries, v).sum().backward()
    assert ((queries.grad.abs().sum(-1) > 0).sum(1) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k_c", [1, 3, None])
def test_community_affinity_equals_the_loop(kind, k_c):
    v, centroids = torch.randn(B, D), torch.randn(N_C, D)
    ours = community_affinity(v, centroids, k_c, kind)
    assert close(ours, loop_affinity(v.numpy(), centroids.numpy(), k_c, kind))
    assert ((ours != 0).sum(1) == (k_c or N_C)).all()


@pytest.mark.parametrize("k_c", [None, 0, N_C, N_C + 1, 1000])
def test_asking_for_more_clusters_than_there_are_keeps_all(k_c):
    v, centroids = torch.randn(B, D), torch.randn(N_C, D)
    assert (community_affinity(v, centroids, k_c) != 0).all()


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_distances_become_affinities_that_fall_with_distance(kind):
    v = torch.eye(D)[:1]
    centroids = torch.stack([v[0], v[0] + 0.5 * torch.eye(D)[1], -v[0]])
    affinity = community_affinity(v, centroids, None, kind)[0]
    assert affinity[0] == 1.0 and affinity[0] > affinity[1] > affinity[2] > 0


def test_soft_targets_equal_the_loop_and_leave_the_pair_out():
    similarity = torch.randn(B, B)
    y = soft_targets(similarity, 0.3)
    assert close(y, loop_soft_targets(similarity.tolist(), 0.3))
    assert (y.diagonal() == 0).all() and torch.allclose(y.sum(1), torch.ones(B))


def test_a_small_tau_s_sharpens_and_a_large_one_flattens():
    similarity = instance_similarity(torch.randn(B, D))
    sharp, flat = soft_targets(similarity, 0.01), soft_targets(similarity, 100.0)
    assert sharp.max(1).values.min() > 0.9
    assert torch.allclose(flat[0, 1:], torch.full((B - 1,), 1 / (B - 1)), atol=1e-2)


def test_soft_targets_do_not_touch_their_input():
    similarity = torch.randn(B, B)
    before = similarity.clone()
    soft_targets(similarity, 1.0)
    assert torch.equal(similarity, before)


@pytest.mark.parametrize("eps", [0.1, 0.3])
def test_smoothed_targets(eps):
    y = smoothed_targets(B, eps)
    assert torch.allclose(y.diagonal(), torch.tensor(1 - eps)) and torch.allclose(y.sum(1), torch.ones(B))
    assert y[0, 1].item() == pytest.approx(eps / (B - 1))


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("affinity", KINDS)
def test_each_objective_equals_the_loop(name, affinity):
    objective = replace(OBJECTIVES[name], affinity=affinity)
    u, v = batch()
    centroids = torch.randn(N_C, D)
    loss, parts = alignment_loss(u, v, LOG_SCALE, objective, centroids)
    expected = loop_alignment(u.numpy(), v.numpy(), 5.0, objective, centroids.numpy())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert not any(part.requires_grad for part in parts.values())
    nce = parts.get("info_nce", torch.tensor(0.0)) + parts.get("info_nce_smoothed", torch.tensor(0.0))
    assert loss.item() == pytest.approx((nce + objective.alpha * parts.get("soft", torch.tensor(0.0))).item())


def test_the_gradient_of_cascle_equals_finite_differences():
    u, v, centroids = torch.randn(4, D, dtype=torch.float64), torch.randn(4, D), torch.randn(N_C, D)
    objective = OBJECTIVES["communities"]
    leaf = u.float().requires_grad_()
    alignment_loss(leaf, v, LOG_SCALE, objective, centroids)[0].backward()
    for i, k in ((0, 0), (2, 3)):
        step = np.zeros((4, D))
        step[i, k] = 1e-5
        low, high = (
            loop_alignment(u.numpy() + s * step, v.numpy(), 5.0, objective, centroids.numpy()) for s in (-1, 1)
        )
        assert leaf.grad[i, k].item() == pytest.approx((high - low) / 2e-5, rel=1e-3, abs=1e-5)
