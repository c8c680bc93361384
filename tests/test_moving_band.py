"""A band that moved: rolled and mixed electrodes, and the rows of retrieval under it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from embridge.config import n_bins
from embridge.data.signals import emg_features, filter_emg
from embridge.evaluation import zero_shot
from embridge.objectives import encode
from embridge.paper import new_user
from embridge.paper.new_user import filtered_windows, moved, moved_queries
from embridge.statistics import balanced_accuracy


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def test_whole_electrodes_roll_and_halves_lie_between():
    x = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    assert moved(x, 0)[:, 0].tolist() == [1, 2, 4, 8]
    assert moved(x, 1)[:, 0].tolist() == [8, 1, 2, 4] and torch.equal(moved(x, 1), torch.roll(x, 1, 0))
    assert moved(x, 0.5)[:, 0].tolist() == [4.5, 1.5, 3, 6]
    assert torch.equal(moved(x, 1.5), moved(moved(x, 0.5), 1)) and torch.equal(moved(x, -1), torch.roll(x, -1, 0))
    assert moved(x, 1, ring=3)[:, 0].tolist() == [4, 1, 2, 8] and moved(x, 0.5, ring=3)[:, 0].tolist() == [
        2.5,
        1.5,
        3,
        8,
    ]


def test_stored_log_power_is_rolled_and_between_electrodes_the_filtered_signal_is_mixed(study):
    ids, model = study.splits.evaluation["unseen"][::3], study.run("EMBridge").model
    found = moved_queries(study, "EMBridge", ids, (0, 1, 0.5, 1.5, 1e-9))
    torch.testing.assert_close(found[0], study.emg_queries("EMBridge", ids))
    rolled = torch.roll(study.store.read_emg(ids), 1, dims=1)
    torch.testing.assert_close(found[1], encode(model.queries, lambda part: rolled[part], np.arange(len(ids))))
    torch.testing.assert_close(found[1e-9], found[0], rtol=0, atol=0.02)  # the store rounds to float16
    by_hand = torch.empty(len(ids), 16, n_bins(study.windows))
    for some, windows in filtered_windows(study, ids, lambda emg: filter_emg(emg, study.windows)):
        for i, x in zip(some, windows, strict=True):
            mixed = (np.roll(x, 1, axis=0) + np.roll(x, 2, axis=0)) / 2
            by_hand[np.flatnonzero(ids == i)] = torch.tensor(emg_features(mixed, by_hand.shape[2])).float()
    torch.testing.assert_close(found[1.5], encode(model.queries, lambda part: by_hand[part], np.arange(len(ids))))
    assert not torch.allclose(found[0.5], found[0], atol=1e-3)


def test_waveforms_are_mixed_as_they_are_stored_and_only_round_the_ring():
    emg, ids = torch.randn(5, 12, 30), np.array([4, 0, 2])
    store = SimpleNamespace(kind="waveform", read_emg=lambda some: emg[some])
    reader = SimpleNamespace(emg_store=store, scale_emg=lambda x: 2 * x, device="cpu")
    run = SimpleNamespace(model=SimpleNamespace(queries=lambda x: x), reader=lambda with_pose: reader)
    study = SimpleNamespace(run=lambda name: run, configs=lambda experiment: (None, SimpleNamespace(ring=8)))
    found = moved_queries(study, "EMBridge", ids, (0.5, 2))
    ring = emg[ids][:, :8]
    torch.testing.assert_close(found[0.5][:, :8], ring + torch.roll(ring, 1, dims=1))
    torch.testing.assert_close(found[2][:, :8], 2 * torch.roll(ring, 2, dims=1))
    torch.testing.assert_close(found[0.5][:, 8:], 2 * emg[ids][:, 8:])


def test_rows_are_scores_of_what_is_retrieved_then_less_those_of_the_band_in_place(study):
    rows = new_user.moved_rows(study)
    assert {(r["classes"], r["param_value"]) for r in rows} == {
        (c, str(s)) for c in ("in", "unseen") for s in new_user.SHIFTS
    }
    splits = study.splits
    for classes, ids in splits.evaluation.items():
        y, code = splits.labels(classes, ids), splits.exclusion("other-users", ids)
        poses = study.pose_embeddings(ids, "EMBridge")
        score = {
            shift: balanced_accuracy(y, zero_shot(q, poses, y, k=10, query_group=code, gallery_group=code), 4)
            for shift, q in moved_queries(study, "EMBridge", ids, new_user.SHIFTS).items()
        }
        own = {metric: {float(r["param_value"]): r for r in rows if r["metric"] == metric and r["classes"] == classes}
               for metric in ("balanced_accuracy", "balanced_accuracy_difference")}  # fmt: skip
        values, less = ({s: r["value"] for s, r in of.items()} for of in own.values())
        assert values == pytest.approx(score) and set(less) == {*new_user.SHIFTS} - {0}
        assert less == pytest.approx({s: score[s] - score[0] for s in less})
        assert {r["gallery"] for r in rows} == {"other-users"} and all(
            r["low"] <= r["value"] <= r["high"] for r in rows
        )
