"""Soft targets and losses beyond the paper: by hand on three poses, as experiments, and trained."""

import math
from dataclasses import replace

import pytest
import torch

import embridge
from embridge.config import ObjectiveConfig, as_json
from embridge.errors import InputError
from embridge.experiments import EMBRIDGE, EXPERIMENTS, trained_by
from embridge.losses import (
    OF_COMMUNITIES,
    TARGETS,
    alignment_loss,
    jensen_shannon,
    memberships,
    pairwise_sigmoid,
    similarity_logits,
)
from embridge.paper import records

NAMES = (
    *(f"Gaussian mixture, tau_s = {value}" for value in ("0.1", "0.2", "0.5")),
    *(f"X-CLR, tau_s = {value}" for value in ("0.1", "0.02", "0.01")),
    *(f"SigLIP, t = {value}" for value in ("10", "20", "50")),
    *(f"SoftCLIP alone, tau_s = {value}" for value in ("0.1", "0.02", "0.01")),
)
V = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])  # cosines 0, 0.6 and 0.8; lengths must not matter
CENTROIDS = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
HALF = ObjectiveConfig(tau_s=0.5)
LOG_2 = torch.tensor(math.log(2.0))


def close(found, expected, atol=2e-5):
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=atol)


def test_x_clr_s_targets_hold_the_pair():
    # exp(2 cos): e^2, 1, e^1.2 and e^1.6 over their sums 11.709173, 13.342088 and 15.662205
    expected = [[0.631049, 0.085403, 0.283548], [0.074951, 0.553817, 0.371233], [0.211983, 0.316241, 0.471776]]
    close(TARGETS["x-clr"](V, None, HALF), expected)


def test_a_mixture_s_memberships_and_their_divergences():
    # squared distances (0, 2), (2, 0), (0.8, 0.4); the nearest ones' mean 0.4 / 3 over two dimensions: 1 / 15
    p = memberships(V, CENTROIDS)
    near = math.exp(-15) / (1 + math.exp(-15))
    close(p, [[1 - near, near], [near, 1 - near], [0.047426, 0.952574]])
    # of the last two: entropies 0.692023 of the mean, 0 and 0.190865 of each
    close(jensen_shannon(p), [[0, 0.693143, 0.596586], [0.693143, 0, 0.016724], [0.596586, 0.016724, 0]], 1e-5)
    expected = [[0, 0.451897, 0.548103], [0.205503, 0, 0.794497], [0.238714, 0.761286, 0]]
    close(TARGETS["mixture"](V, CENTROIDS, HALF), expected, 2e-4)


def test_jensen_shannon_of_one_row_and_of_more_than_a_part_has():
    p = torch.rand(70, 5, generator=torch.Generator().manual_seed(0)).softmax(1)
    found = jensen_shannon(p)
    mean = (p[3] + p[68]) / 2
    each = sum((row * (row / mean).log()).sum() for row in (p[3], p[68])) / 2  # half of each divergence from the mean
    assert found.shape == (70, 70) and found[3, 68].item() == pytest.approx(each.item(), abs=1e-6)
    torch.testing.assert_close(found, found.T)
    assert found.diagonal().max() < 1e-6 and jensen_shannon(p[:1]).shape == (1, 1)


def test_siglip_judges_each_pair_alone():
    # 2 cos - 1: 1 on the pairs, else -1, 0.2, 0.6; softplus of -1, -1, 0.2, 0.6: 0.313262, 0.313262, 0.798139, 1.037488
    loss = pairwise_sigmoid(similarity_logits(V, V, LOG_2), torch.tensor(-1.0))
    assert loss.item() == pytest.approx((1.424663 + 1.664012 + 2.148889) / 3, abs=1e-5)
    objective = ObjectiveConfig(contrast="sigmoid")
    found, parts = alignment_loss(V, V, LOG_2, objective, bias=torch.tensor(-1.0))
    assert found.item() == loss.item() and parts.keys() == {"sigmoid"}
    both, parts = alignment_loss(
        V, V, LOG_2, replace(objective, soft_targets="x-clr", alpha=0.5), bias=torch.tensor(-1.0)
    )
    assert both.item() == pytest.approx(loss.item() + 0.5 * parts["soft"].item()) and parts["soft"] > 0


def test_softclip_alone_has_no_infonce():
    # targets off the diagonal at 0.5 against log q at 2 cos: 1.538143, 1.259694, 1.311776
    objective = ObjectiveConfig(soft_targets="instances", tau_s=0.5, alpha=1.0, contrast="none")
    loss, parts = alignment_loss(V, V, LOG_2, objective)
    assert loss.item() == pytest.approx(1.369871, abs=1e-5) and parts.keys() == {"soft"}
    beside, parts = alignment_loss(V, V, LOG_2, replace(objective, contrast="info-nce"))
    assert beside.item() == pytest.approx(loss.item() + parts["info_nce"].item()) and parts["info_nce"] > 0


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("n", [1, 2, 9])
def test_rows_of_targets_sum_to_one(name, n):
    v, centroids = torch.randn(10, 4, generator=torch.Generator().manual_seed(n)).split([n, 10 - n])
    y = TARGETS[name](v, centroids, ObjectiveConfig(tau_s=0.2))
    expected = torch.zeros(1) if n == 1 and name != "x-clr" else torch.ones(n)  # one sample has no other
    torch.testing.assert_close(y.sum(1), expected)
    assert (y >= 0).all() and (name == "x-clr" or not y.diagonal().any())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("poses", ["apart", "equal"])
def test_losses_and_gradients_are_finite(name, poses):
    rng = torch.Generator().manual_seed(0)
    u = torch.randn(8, 4, generator=rng, requires_grad=True)
    v = torch.randn(8, 4, generator=rng) if poses == "apart" else torch.ones(8, 4)
    log_scale, bias = torch.tensor(2.0, requires_grad=True), torch.tensor(-10.0, requires_grad=True)
    given = {"centroids": torch.randn(3, 4, generator=rng)} | ({"bias": bias} if "SigLIP" in name else {})
    alignment_loss(u, v, log_scale, EXPERIMENTS[name].objective, **given)[0].backward()
    assert u.grad.isfinite().all() and log_scale.grad.isfinite() and (bias.grad is None) == ("bias" not in given)
    assert bias.grad is None or bias.grad.isfinite()


@pytest.mark.parametrize(
    ("objective", "bias", "said"),
    [
        ({"contrast": "triplet"}, None, "contrast: expected info-nce, sigmoid with a bias, .*found 'triplet' beside"),
        ({"contrast": "none"}, None, "found 'none' beside soft_targets None"),
        ({"contrast": "sigmoid"}, None, "sigmoid with a bias, or none .*found 'sigmoid'"),
        ({"contrast": "sigmoid", "soft_targets": "smoothing"}, -1.0, "found 'sigmoid' beside soft_targets 'smoothing'"),
        ({"contrast": "none", "soft_targets": "instances"}, None, "alpha: expected more than 0 beside contrast 'none'"),
        ({"soft_targets": "x-clr", "renormalise_q": True}, None, "renormalise_q: expected False beside x-clr"),
        ({"soft_targets": "mixture"}, None, "expected centroids for 'mixture'"),
        ({"soft_targets": "gaussian"}, None, "expected smoothing, communities, instances, mixture, x-clr, found"),
    ],
)
def test_what_fits_nothing_is_one_sentence(objective, bias, said):
    with pytest.raises(InputError, match=said):
        alignment_loss(V, V, LOG_2, ObjectiveConfig(**objective), bias=None if bias is None else torch.tensor(bias))


# ---- as experiments


def test_their_names_parts_and_who_trains_them():
    mine = {name: e for name, e in EXPERIMENTS.items() if e.part == "soft targets"}
    assert tuple(mine) == NAMES and len({str(e.objective) for e in mine.values()}) == len(NAMES)
    for name, e in mine.items():
        assert e.kind == "qformer" and name == f"{e.system}, {e.param} = {e.param_value}"
        changed = {"soft_targets", "tau_s", "tau_init", "alpha", "contrast"}
        assert {k: v for k, v in vars(e.objective).items() if k not in changed} == {
            k: v for k, v in vars(EMBRIDGE).items() if k not in changed
        }
        constant = 1 / e.objective.tau_init if e.param == "t" else e.objective.tau_s
        assert constant == pytest.approx(float(e.param_value))
    assert EXPERIMENTS["SigLIP, t = 10"].objective.head["bias"] == pytest.approx(-10)
    for profile, dataset in (("smoke", "simulated"), ("long", "simulated"), ("long", "emg2pose")):
        assert set(NAMES) <= set(trained_by(profile, dataset))
    elsewhere = ("quick", "simulated"), ("paper", "simulated"), ("long", "ninapro"), ("long", "simulated", "waveform")
    for where in elsewhere:
        assert not set(NAMES) & set(trained_by(*where)), where


def test_a_field_that_came_later_is_in_no_old_key():
    assert "contrast" not in as_json(EMBRIDGE)
    assert as_json(replace(EMBRIDGE, contrast="none"))["contrast"] == "none" and "head" not in as_json(EMBRIDGE)


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


@pytest.mark.parametrize("name", NAMES[::3])
def test_they_train_and_are_scored_on_d_tune_alone(study, name):
    run = study.run(name)
    parts = {"SigLIP": {"sigmoid"}, "SoftCLIP alone": {"soft"}}.get(name.split(",")[0], {"info_nce", "soft"})
    logged = set(run.log.columns) & {"sigmoid", "soft", "info_nce"}
    assert logged == parts and run.log["loss"].map(math.isfinite).all()
    rows = records.score(study, name, tune=True)
    assert {r["options"] for r in rows} == {"D_tune"} and {r["classes"] for r in rows} == {"in", "unseen", records.BOTH}
    assert {(r["system"], r["param"]) for r in rows} == {(EXPERIMENTS[name].system, EXPERIMENTS[name].param)}
    assert (EXPERIMENTS[name].objective.soft_targets in OF_COMMUNITIES) == name.startswith("Gaussian")


def test_siglip_s_bias_is_learned_saved_and_loaded(study):
    run = study.run("SigLIP, t = 20")
    bias, scale = run.model.logit_bias.item(), run.model.log_scale.exp().item()
    assert bias != -20 and bias == pytest.approx(-20, abs=0.1) and scale == pytest.approx(20, rel=0.05)
    windows = run.reader(False).emg(study.splits.evaluation["in"][:3])
    with torch.no_grad():
        assert torch.equal(embridge.load(run.folder).emg(windows), run.model.queries(windows))
    assert study.run("Q-Former").model.logit_bias is None
