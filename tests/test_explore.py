"""The t-SNE map: the same each time, and neighbours stay neighbours; the perplexity beside a parameter's values."""

import numpy as np
import pandas as pd
from openTSNE import TSNE

from embridge.paper import explore


def test_the_map_is_the_same_each_time_and_keeps_clusters(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    x = 4 * rng.standard_normal((3, 16))[labels] + rng.standard_normal((120, 16))
    made = []

    class Noted(TSNE):
        def __init__(self, **settings):
            made.append(settings)
            super().__init__(**settings)

    monkeypatch.setattr(explore, "TSNE", Noted)
    lengths = 2.0 ** rng.integers(-3, 4, (120, 1))  # powers of two change no other bit of a direction
    first, second = explore.tsne(x, seed=0), explore.tsne(x * lengths, seed=0)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (120, 2)
    distance = np.square(first[:, None] - first).sum(-1) + np.diag(np.full(120, np.inf))
    assert (labels[distance.argmin(1)] == labels).mean() > 0.95
    for settings in made:  # fewer than 1,000 points need neither; the notebooks' maps have more
        assert settings["random_state"] == 0
        assert settings["n_jobs"] == 1
        assert settings["metric"] == "euclidean"  # of unit vectors: openTSNE's "cosine" changes at 1,000 points


def test_perplexity_stands_beside_the_values_that_shape_targets():
    keys = [("EMBridge", "tau_s", "0.1"), ("EMBridge", "tau_s", "0.5"), ("SoftCLIP", "M", "8")]
    spread = pd.DataFrame({"perplexity": [2.94, 14.0, 9.9]}, index=pd.MultiIndex.from_tuples(keys))
    table = pd.DataFrame({"param": ["tau_s", "tau_s", "M"], "value": ["0.1 (default)", "0.5", "8"], "mean": [1, 2, 3]})
    shown = explore.with_perplexity(table, spread)
    assert shown.columns.tolist() == ["param", "value", "perplexity", "mean"]
    assert shown["perplexity"].tolist() == ["2.9", "14.0", ""]
    assert explore.with_perplexity(table[:0].astype({"value": float}), spread).empty  # no D_tune, nothing swept
