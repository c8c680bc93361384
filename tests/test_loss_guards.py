"""Losses: the smallest batches, what they must not depend on, and the communities."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_losses import KINDS, LOG_SCALE, N_C, OBJECTIVES, B, D, batch, unit
from torch import nn

from embridge.config import ObjectiveConfig
from embridge.errors import InputError
from embridge.losses import (
    alignment_loss,
    clamp_temperature,
    communities,
    community_affinity,
    info_nce,
    log_softmax_similarities,
    smoothed_targets,
    soft_cross_entropy,
    soft_targets,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# ---- guards -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("n", [1, 2])
def test_fault_30_the_smallest_batches_give_finite_losses_and_gradients(name, n):
    u, v = torch.randn(n, D, requires_grad=True), torch.randn(n, D)
    loss, parts = alignment_loss(u, v, LOG_SCALE, OBJECTIVES[name], torch.randn(2, D))  # fewer centroids than k_c
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(u.grad).all()
    assert all(torch.isfinite(part) for part in parts.values())
    if n == 1:
        assert loss.item() == 0.0


def test_fault_30_one_sample_has_no_soft_targets():
    assert torch.equal(soft_targets(torch.ones(1, 1), 0.1), torch.zeros(1, 1))
    assert torch.equal(smoothed_targets(1), torch.ones(1, 1))
    assert soft_cross_entropy(torch.zeros(1, 1), torch.zeros(1, 1), renormalise=True) == 0


def test_a_zero_embedding_gives_no_nan():
    u, v = batch()
    u[0], v[1] = 0.0, 0.0
    u.requires_grad_()
    loss, _ = alignment_loss(u, v, LOG_SCALE, OBJECTIVES["communities"], torch.randn(N_C, D))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(u.grad).all()


def test_poses_that_sit_on_their_centroids_give_no_nan():
    v = torch.randn(1, D).expand(4, -1)
    for kind in KINDS:
        assert torch.isfinite(community_affinity(v, v[:1], 1, kind)).all()


def test_unknown_kinds_are_refused():
    u, v = batch()
    with pytest.raises(InputError, match="found 'neighbours'"):
        alignment_loss(u, v, LOG_SCALE, ObjectiveConfig(soft_targets="neighbours"), torch.randn(N_C, D))
    with pytest.raises(InputError, match="without centroids"):
        alignment_loss(u, v, LOG_SCALE, ObjectiveConfig(soft_targets="communities"))
    with pytest.raises(InputError, match="found 'l3'"):
        community_affinity(v, v, 1, "l3")


def test_the_scale_is_clamped_at_100_and_can_come_back():
    u, v = batch()
    at_limit = info_nce(u, v, torch.tensor(math.log(100.0)))
    assert info_nce(u, v, torch.tensor(9.0)) == at_limit != info_nce(u, v, torch.tensor(4.0))
    model = nn.Module()
    model.log_scale = nn.Parameter(torch.tensor(9.0))
    clamp_temperature(model)
    assert model.log_scale.exp().item() == pytest.approx(100.0, rel=1e-5)
    info_nce(u, v, model.log_scale).backward()
    assert model.log_scale.grad != 0
    clamp_temperature(nn.Linear(2, 2))  # a model without a temperature


def test_soft_targets_pass_no_gradient_to_the_poses():
    u, v = batch()
    v.requires_grad_()
    objective, centroids = OBJECTIVES["communities"], torch.randn(N_C, D)
    alignment_loss(u, v, LOG_SCALE, objective, centroids)[0].backward()
    found, v.grad = v.grad, None
    affinity = community_affinity(v.detach(), centroids, objective.k_c)
    y = soft_targets(affinity @ affinity.T, objective.tau_s)
    log_q = log_softmax_similarities(u, v, LOG_SCALE)
    (soft_cross_entropy(log_q, torch.eye(B)) + objective.alpha * soft_cross_entropy(log_q, y)).backward()
    assert torch.allclose(found, v.grad, atol=1e-6)


# ---- what must not matter ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("affinity", KINDS)
def test_row_order_does_not_matter(name, affinity):
    objective = replace(OBJECTIVES[name], affinity=affinity)
    u, v = batch()
    centroids, rows = torch.randn(N_C, D), torch.randperm(B)
    before = alignment_loss(u, v, LOG_SCALE, objective, centroids)[0].item()
    assert alignment_loss(u[rows], v[rows], LOG_SCALE, objective, centroids)[0].item() == pytest.approx(
        before, rel=1e-5
    )
    assert alignment_loss(u, v[rows], LOG_SCALE, objective, centroids)[0].item() != pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("affinity", ["dot", "cosine", "l2"])  # an l1 distance does depend on the axes
def test_a_joint_rotation_and_a_scale_of_the_embeddings_do_not_matter(name, affinity):
    objective = replace(OBJECTIVES[name], affinity=affinity)
    u, v = batch()
    centroids, rotation = torch.randn(N_C, D), torch.linalg.qr(torch.randn(D, D)).Q
    before = alignment_loss(u, v, LOG_SCALE, objective, centroids)[0].item()
    turned = alignment_loss(3 * u @ rotation, 0.1 * v @ rotation, LOG_SCALE, objective, centroids @ rotation)[0].item()
    assert turned == pytest.approx(before, rel=1e-4)
    alone = alignment_loss(u @ rotation, v, LOG_SCALE, objective, centroids)[0].item()
    assert alone != pytest.approx(before, rel=1e-3)


# ---- communities ------------------------------------------------------------------------------------------------


def clustered(seed=0):
    rng = np.random.default_rng(seed)
    centres = unit(rng.standard_normal((4, 8)))
    return centres, np.repeat(centres, 30, axis=0) + 0.02 * rng.standard_normal((120, 8))


def test_communities_find_the_clusters_and_are_unit_vectors():
    centres, points = clustered()
    scales = np.random.default_rng(1).uniform(0.1, 10, (120, 1))
    found = communities(points * scales, 4)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    assert (found @ centres.T).max(0).min() > 0.99


def test_communities_are_at_most_a_tenth_of_the_windows():
    _, points = clustered()
    assert [len(communities(points, n)) for n in (3, 12, 138)] == [3, 12, 12]
    assert communities(points[:3], 138).shape == (1, 8)


def test_communities_depend_on_the_seed_alone():
    points = np.random.default_rng(0).standard_normal((300, 8))
    assert np.array_equal(communities(points, 20, seed=1), communities(points, 20, seed=1))
    assert not np.allclose(communities(points, 20, seed=1), communities(points, 20, seed=2))
