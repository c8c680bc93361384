"""Rows of what no paper has: described galleries and streams, of a trained system on a tiny simulation."""

import pytest
import torch

from embridge import describe, inference
from embridge.data.live import CausalFilter
from embridge.data.signals import filter_emg
from embridge.errors import InputError
from embridge.evaluation import zero_shot
from embridge.paper import streamed
from embridge.paper.described import DESCRIBED, described_rows
from embridge.statistics import balanced_accuracy


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def test_the_described_gallery_is_scored_alone_and_beside_recorded_ones(study):
    rows = described_rows(study, "CPEP", n=5)
    own, differences = (
        [r for r in rows if r["metric"] == metric and (r["gallery"] == DESCRIBED)]
        for metric in ("balanced_accuracy", "balanced_accuracy_difference")
    )
    ids, names = study.splits.evaluation["unseen"], study.splits.classes["unseen"]
    poses, labels = describe.gallery(inference.load(study.run("CPEP")), names, n=5)
    said = zero_shot(study.emg_queries("CPEP", ids), poses, labels)
    y = study.splits.labels("unseen", ids)
    assert [r["value"] for r in own] == pytest.approx([balanced_accuracy(y, said, 4)])
    recorded = {r["gallery"]: r["value"] for r in rows if r["metric"] == "balanced_accuracy"}
    assert [*recorded] == [DESCRIBED, *study.splits.policies]
    found = {r["system"].rpartition(", ")[2]: r["value"] for r in differences}
    assert found == pytest.approx({name: recorded[DESCRIBED] - recorded[name] for name in study.splits.policies})


def test_what_is_not_described_is_told(study, monkeypatch):
    monkeypatch.delitem(describe.DESCRIPTIONS, "ShakaVulcanPeace")
    with pytest.raises(InputError, match="no description of ShakaVulcanPeace"):
        described_rows(study, "CPEP", n=1)


def test_a_stream_is_compared_with_stored_windows_which_its_filter_alone_parts_it_from(study, monkeypatch):
    ids = study.splits.evaluation["in"]
    rows = streamed.streamed_rows(study, "CPEP")
    assert {r["classes"] for r in rows} == {"in", "unseen"} and all(0 <= r["value"] <= 1 for r in rows)
    causal = streamed.causal_queries(study, "CPEP", ids)
    stored = study.emg_queries("CPEP", ids)
    assert causal.shape == stored.shape and not torch.allclose(causal, stored, atol=1e-4)

    class ZeroPhase(CausalFilter):
        def __init__(self, config):
            super().__init__(config)
            self.config = config

        def __call__(self, emg):
            return filter_emg(emg, self.config)

    monkeypatch.setattr(streamed, "CausalFilter", ZeroPhase)
    torch.testing.assert_close(streamed.causal_queries(study, "CPEP", ids), stored, rtol=0, atol=1e-2)
    assert {r["value"] for r in streamed.streamed_rows(study, "CPEP")} == {1.0}
