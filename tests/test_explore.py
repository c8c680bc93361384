"""The t-SNE map: the same each time, and neighbours stay neighbours."""

import numpy as np
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
