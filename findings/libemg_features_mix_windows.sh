#!/usr/bin/env bash
# LibEMG 2.0.3: two features of a window hold numbers of other windows.
#
# Versions:  libemg 2.0.3, numpy 1.26.4 (libemg asks for less than 2, so Python 3.12 at most). Only the feature
#            extractor is run, and of what it imports only NumPy is installed: the two features call nothing else.
# Input:     for COMP, Hjorth's complexity: 100 windows of white noise, 200 samples of one channel. For MAVSLP, the
#            steps of the mean absolute value between parts of a window: three windows of one channel in three parts,
#            both steps 1 in the first window, 2 in the second and 3 in the third.
# Behaviour: COMP divides the second differences of all windows and channels of the call by the first differences of one
#            window, so it grows with the square root of how many are passed. White noise has 1.7, which a window gets
#            only if passed alone. MAVSLP lays the steps of all windows in one row, part by part, and cuts that into as
#            many rows as windows: right for two parts, the default, and mixed from three on. No warning is given.
# Output:    COMP of the same window: alone 1.7, among 100 windows 18.3
#            MAVSLP of three windows: [[1.0, 2.0], [3.0, 1.0], [2.0, 3.0]]
# Why it matters: LibEMG is a library for EMG gesture recognition. Its classifiers are trained on all windows of a
#            recording at once and get one window a time online: there COMP, one of the group HJORTH, is ten or a
#            hundred times smaller than in training. With MAVSLP, rows hold numbers of windows with another label.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check numpy==1.26.4
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps libemg==2.0.3
cd "$place"
found=$("$place/venv/bin/python" -W ignore - <<'PY'
import importlib.util
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

for name in ("librosa", "matplotlib", "matplotlib.pyplot", "pywt", "scipy", "scipy.stats", "sklearn"):
    sys.modules[name] = MagicMock()
for name in ("decomposition", "discriminant_analysis", "manifold", "preprocessing"):
    sys.modules[f"sklearn.{name}"] = MagicMock()
folder = Path(importlib.util.find_spec("libemg").submodule_search_locations[0])
spec = importlib.util.spec_from_file_location("feature_extractor", folder / "feature_extractor.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
extract = module.FeatureExtractor().extract_features

windows = np.random.default_rng(0).normal(size=(100, 1, 200))
alone, among = (extract(["COMP"], w)["COMP"][0, 0] for w in (windows[:1], windows))
print(f"COMP of the same window: alone {alone:.1f}, among 100 windows {among:.1f}")
steps = np.array([1.0, 2.0, 3.0])
ramps = steps[:, None, None] * np.repeat([0, 1, 2], 10)
print("MAVSLP of three windows:", extract(["MAVSLP"], ramps, {"MAVSLP_segment": 3})["MAVSLP"].tolist())
PY
)
echo "$found"
[ "$found" = "COMP of the same window: alone 1.7, among 100 windows 18.3
MAVSLP of three windows: [[1.0, 2.0], [3.0, 1.0], [2.0, 3.0]]" ]
