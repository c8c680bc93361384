"""What the chapters show of a trained Q-Former: attention, and hidden pose beside the queries of some window."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from embridge import losses
from embridge.config import RESULTS_VERSION, ModelConfig, profile
from embridge.experiments import EXPERIMENTS
from embridge.models import QFormerModel, emg_encoder, pose_encoder
from embridge.models.transformer import CrossAttention, attend, split_heads
from embridge.paper import explore

CFG = ModelConfig(
    n_channels=3, n_joints=2, window=40, sample_rate=1, emg_patch=4, pose_patch=8, d=16, n_layers=3, n_decoder_layers=1,
    n_heads=2, n_queries=4,
)  # fmt: skip


@pytest.fixture
def study():
    """A study with a fresh model and windows of noise: what the views need of one, and no more."""
    torch.manual_seed(0)
    model = QFormerModel(CFG, emg_encoder(CFG), pose_encoder(CFG)).eval()
    with torch.no_grad():
        model.qformer.mask_token *= 20
    emg, pose = torch.randn(6, 3, 40), torch.randn(6, 2, 40)
    reader = SimpleNamespace(emg=lambda ids: emg[ids], pose=lambda ids: pose[ids])
    return SimpleNamespace(
        run=lambda name: SimpleNamespace(model=model), reader=lambda: reader, pose=pose, profile=profile("quick")
    )


def test_hidden_pose_is_filled_in_as_mprl_does_it(study):
    ids, model = np.arange(6), study.run("EMBridge").model
    truth, filled, hidden = explore.pose_beside_queries(study, "EMBridge", ids)
    assert torch.equal(truth, study.pose) and torch.equal(filled[~hidden[:, None].expand_as(filled)],
                                                          truth[~hidden[:, None].expand_as(truth)])  # fmt: skip
    table = explore.noise(0, 0, "hidden patches", 6, 5)
    queries = model.queries(study.reader().emg(ids))
    loss = model.mprl(queries, study.pose, table, EXPERIMENTS["EMBridge"].minimises(profile("quick")).mask_ratio)
    assert explore.hidden_error(truth, filled, hidden) == pytest.approx(loss.item(), rel=1e-4)


def test_other_queries_move_the_guess_and_nothing_else(study):
    ids = np.arange(6)
    own = explore.pose_beside_queries(study, "EMBridge", ids, ratio=0.8)
    other = explore.pose_beside_queries(study, "EMBridge", ids, np.roll(ids, 1), ratio=0.8)
    assert torch.equal(own[0], other[0]) and torch.equal(own[2], other[2]) and own[2].float().mean() == 0.8
    assert not torch.allclose(own[1], other[1])


def test_attention_is_what_the_layer_does(study):
    maps = explore.query_attention(study, "Q-Former", np.arange(6))
    assert [weights.shape for weights in maps] == [(6, 4, 11)] * 2  # blocks 0 and 2; [CLS] and ten tokens
    assert all(torch.allclose(weights.sum(-1), torch.ones(6, 4)) for weights in maps)
    layer, x, memory = CrossAttention(16, 2), torch.randn(2, 4, 16), torch.randn(2, 11, 16)
    v = split_heads(layer.kv(memory).chunk(2, dim=-1)[1], 2)
    q, k = split_heads(layer.q(x), 2), split_heads(layer.kv(memory).chunk(2, dim=-1)[0], 2)
    assert torch.allclose(explore.attention_weights(layer, x, memory) @ v, attend(q, k, v), atol=1e-6)


def test_held_out_windows_are_d_tune_s_or_d_eval_s_and_not_too_many():
    def windows(tune, evaluation):
        splits = SimpleNamespace(tune={"in": np.array(tune, int)}, evaluation={"in": np.array(evaluation, int)})
        return explore.held_out_windows(SimpleNamespace(splits=splits), most=3).tolist()

    assert windows([4, 2], [9]) == [2, 4] and windows([], [9, 8]) == [8, 9]
    assert windows(range(7), []) == [0, 3, 6]


def test_a_page_shows_the_package_s_own_text():
    shown = explore.source(losses.info_nce, losses.soft_targets).data
    assert shown.count("```python") == 2 and "def info_nce" in shown and ".fill_diagonal_(-math.inf)" in shown


def test_info_nce_on_held_out_windows_is_a_mean_over_batches(study):
    ids, model = np.arange(6), study.run("CPEP").model
    study.profile = SimpleNamespace(align=SimpleNamespace(batch_size=2))
    study.emg_queries = lambda name, ids: model.queries(study.reader().emg(ids))
    study.pose_embeddings = lambda ids: torch.nn.functional.normalize(study.pose[ids].flatten(1)[:, :16], dim=1)
    found, size = explore.held_out_info_nce(study, "CPEP", ids)
    dealt = np.random.default_rng(0).permutation(6).reshape(3, 2)
    queries = [(model.queries(study.reader().emg(ids)), study.pose_embeddings(ids)) for ids in dealt]
    losses_of = [losses.info_nce(losses.pick_queries(q, v), v, model.log_scale).item() for q, v in queries]
    assert size == 2 and found == pytest.approx(np.mean(losses_of))
    study.profile.align.batch_size = 100
    assert explore.held_out_info_nce(study, "CPEP", ids)[1] == 6


def test_epochs_of_an_earlier_version_are_not_shown(tmp_path, monkeypatch):
    (tmp_path / "figures" / "simulated-long").mkdir(parents=True)
    rows = f"system,epochs,value,version\nCPEP,10,3.0,{RESULTS_VERSION}\nEMBridge,10,2.0,{RESULTS_VERSION - 1}\n"
    (tmp_path / "figures" / "simulated-long" / "epochs.csv").write_text(rows)
    monkeypatch.setattr(explore, "ROOT", tmp_path)
    found = explore.tuned_epochs(("CPEP", "Q-Former", "EMBridge"))
    assert list(found) == ["CPEP"] and found["CPEP"][["epoch", "value"]].to_numpy().tolist() == [[10, 3.0]]
