#!/usr/bin/env bash
# gaitmod 0.1.0: the means of three channels, selected by name, are one channel's mean, deviation and median.
#
# Versions:  gaitmod 0.1.0, scipy 1.17.1, numpy 2.4.6. Only FeatureExtractor2 is run: antropy, which it takes for an
#            entropy of spectra that is not asked for, is replaced, and so are the epochs, of which it takes the data.
# Input:     4 epochs of 3 channels of EMG: a square wave of 1, 2 and 3 uV about 10, 20 and 30 uV. Mean, deviation and
#            median: through extract_features() with the three ways to handle channels, and each by its name through
#            select_feature(), with the same way.
# Behaviour: select_feature() is documented to extract a feature by its name, and its comments give the order: the first
#            feature of all channels, then the second. The names are counted in this order, but the matrix has all
#            features of the first channel first: of each name, one channel's different features come. With
#            "separate_chs" the features of a channel are counted on from channel to channel, where each has its own
#            row: the selection is that of another feature for all channels, or empty. Only the average over channels is
#            right. No error or warning is given.
# Output:    average_chs, mean: 20
#            average_chs, std: 2
#            flatten_chs, mean: 10 1 10
#            flatten_chs, std: 20 2 20
#            flatten_chs, median: 30 3 30
#            separate_chs, mean of channel 1: 10 20 30
#            separate_chs, mean of channel 2: 1 2 3
#            separate_chs, std of channel 1: nothing
#            asked for: means 10 20 30, deviations 1 2 3
# Why it matters: which feature of which muscle tells movements apart is read from these names, and features are left
#            out by them: what is kept is another one.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps gaitmod==0.1.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np

sys.modules["antropy"] = ModuleType("antropy")
package = ModuleType("gaitmod")
package.__path__ = [str(Path(find_spec("gaitmod").origin).parent)]
sys.modules["gaitmod"] = package
extraction = importlib.import_module("gaitmod.models.feature_extraction")
warnings.simplefilter("error")


class Epochs:
    def get_data(self, copy):
        channels = np.arange(1, 4)[:, None]
        return np.tile(10 * channels + channels * np.resize([1, -1], 100), (4, 1, 1))


extractor = extraction.FeatureExtractor2(1000, {"time_features": {"mean": True, "std": True, "median": True}})
for way, names in (
    ("average_chs", {"mean": "mean", "std": "std"}),
    ("flatten_chs", {"mean": "mean", "std": "std", "median": "median"}),
    ("separate_chs", {"mean of channel 1": "mean_ch0", "mean of channel 2": "mean_ch1", "std of channel 1": "std_ch0"}),
):
    matrix, _ = extractor.extract_features(Epochs(), way)
    for told, name in names.items():
        values = extractor.select_feature(matrix, f"time_features_{name}", way)[0].ravel()
        print(f"{way}, {told}:", *([f"{value:.0f}" for value in values] or ["nothing"]))
data = Epochs().get_data(True)[0]
print("asked for: means", *(f"{value:.0f}" for value in data.mean(axis=1)), end=", deviations ")
print(*(f"{value:.0f}" for value in data.std(axis=1)))
PY
)
echo "$found"
[ "$found" = "average_chs, mean: 20
average_chs, std: 2
flatten_chs, mean: 10 1 10
flatten_chs, std: 20 2 20
flatten_chs, median: 30 3 30
separate_chs, mean of channel 1: 10 20 30
separate_chs, mean of channel 2: 1 2 3
separate_chs, std of channel 1: nothing
asked for: means 10 20 30, deviations 1 2 3" ]
