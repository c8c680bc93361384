"""The published emg2pose networks as braindecode ports them: with the same random weights ours give the same angles.

Needs the extra ``crosscheck``, which no other test and no command needs. Nothing of that package is copied: its
networks are run, and its weights are handed to ours in the order in which both list them. One thing differs: between
features and decoder theirs (1.8.1) interpolates in time with ``align_corners=False``, ours with True; ours is asked to
do likewise.
"""

import importlib.util

import pytest
import torch

from embridge.models import regressors

needs_braindecode = pytest.mark.skipif(
    importlib.util.find_spec("braindecode") is None, reason="extra crosscheck: braindecode not installed"
)
SHAPE = {"n_chans": 16, "n_outputs": 20, "sfreq": 2000}
NETWORKS = {  # ours, theirs, options, samples: NeuroPose covers whole cells of 320 samples, where both agree on time
    "NeuroPose": (regressors.NeuroPose, "NeuroPose", {}, 3840),
    "emg2pose": (regressors.emg2pose, "VEMG2Pose", {"decoder": "mlp", "parameterization": "position"}, 4000),
    "Vemg2pose": (regressors.vemg2pose, "VEMG2Pose", {}, 4000),
}


@needs_braindecode
@pytest.mark.filterwarnings("ignore")  # of packages that theirs imports, and of its padding
@pytest.mark.parametrize("name", NETWORKS)
def test_same_weights_same_angles(name, monkeypatch):
    from braindecode import models

    build, theirs, options, n = NETWORKS[name]
    torch.manual_seed(0)
    published, ours = getattr(models, theirs)(n_times=n, **SHAPE, **options), build(16, 20).eval()
    interpolate = regressors.F.interpolate

    def likewise(*given, **how):
        return interpolate(*given, **how | dict.fromkeys(how.keys() & {"align_corners"}, False))

    monkeypatch.setattr(regressors.F, "interpolate", likewise)
    x = torch.randn(4, 16, n)
    with torch.no_grad():
        published.train()(x)  # BatchNorm's running means are not its first ones any more
        expected, before = published.eval()(x).mT, ours.predict(x)
        ours.load_state_dict(dict(zip(ours.state_dict(), published.state_dict().values(), strict=True)))
        found = ours.predict(x)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (before - expected).abs().max() > 0.1 * expected.abs().max()
