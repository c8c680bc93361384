#!/usr/bin/env bash
# LibEMG 2.0.3: a flat line changes its slope 198 times in 200 samples, and a sine through zero never crosses it.
#
# Versions:  libemg 2.0.3, numpy 1.26.4 (libemg asks for less than 2, so Python 3.12 at most). Only the feature
#            extractor is run, and of what it imports only NumPy is installed: the four features call nothing else.
# Input:     windows of 200 samples of one channel through the feature group HTD, Hudgins' four: a flat line; a sine of
#            ten periods which is 0 in a sample at each crossing; and noise from 20 to 90 Hz at 200 Hz as EMG, of 1 and
#            of 20 steps rms, before and after it is rounded to whole steps. For comparison, changes of sign of the EMG
#            and of its steps, from each that is not zero to the next.
# Behaviour: SSC counts a sample if the product of the steps from both its neighbours is the threshold or more. The
#            default threshold is 0.0, so every sample that equals a neighbour is a change of slope. ZC counts where the
#            sign of two neighbours differs by 2, so no crossing that has a 0 in between. No warning is given. The
#            documentation says how many times the slope "changes between positive and negative" and that a threshold
#            must be exceeded, but gives a formula with "or more"; its ZC is how many times the EMG crosses zero.
#            SSC_threshold=1e-9 leaves equal neighbours out; ZC has no such parameter.
# Output:    flat line: ZC 0, LibEMG 0; SSC 0, LibEMG 198
#            sine: ZC 19, LibEMG 0; SSC 20, LibEMG 20
#            EMG of 20 steps: ZC 108, LibEMG 108; SSC 125, LibEMG 125
#            EMG of 20 steps, rounded: ZC 106, LibEMG 104; SSC 124, LibEMG 127
#            EMG of 1 step: ZC 108, LibEMG 108; SSC 125, LibEMG 125
#            EMG of 1 step, rounded: ZC 77, LibEMG 44; SSC 104, LibEMG 167
# Why it matters: HTD is what most work on EMG for gestures starts from, and armbands and loggers give whole numbers: 8
#            bits in the Myo, which LibEMG reads itself. The weaker the EMG, the more neighbours are equal: SSC rises at
#            rest and ZC falls, by the resolution and not the muscle, and a dead channel has the highest SSC of all.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check numpy==1.26.4
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps libemg==2.0.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib.util
import sys
import warnings
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

for name in ("librosa", "matplotlib", "matplotlib.pyplot", "pywt", "scipy", "scipy.stats", "sklearn"):
    sys.modules[name] = MagicMock()
for name in ("decomposition", "discriminant_analysis", "manifold", "preprocessing"):
    sys.modules[f"sklearn.{name}"] = MagicMock()
folder = Path(importlib.util.find_spec("libemg").submodule_search_locations[0])
spec = importlib.util.spec_from_file_location("feature_extractor", folder / "feature_extractor.py")
theirs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(theirs)
warnings.simplefilter("error")


def changes(windows):
    signs = [np.sign(window[window != 0]) for window in windows]
    return np.mean([np.count_nonzero(sign[1:] != sign[:-1]) for sign in signs])


def report(name, windows):
    told = theirs.FeatureExtractor().extract_feature_group("HTD", windows[:, None])
    counted = {"ZC": changes(windows), "SSC": changes(np.diff(windows))}
    print(f"{name}:", "; ".join(f"{key} {true:.0f}, LibEMG {np.mean(told[key]):.0f}" for key, true in counted.items()))


report("flat line", np.zeros((1, 200)))
report("sine", np.round(100 * np.sin(2 * np.pi * np.arange(200) / 20))[None])
spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(20000))
frequency = np.fft.rfftfreq(20000, 1 / 200)
spectrum[(frequency < 20) | (frequency > 90)] = 0
emg = np.fft.irfft(spectrum).reshape(100, 200)
for rms, strength in ((20, "20 steps"), (1, "1 step")):
    emg *= rms / emg.std()
    report(f"EMG of {strength}", emg)
    report(f"EMG of {strength}, rounded", np.round(emg))
PY
)
echo "$found"
[ "$found" = "flat line: ZC 0, LibEMG 0; SSC 0, LibEMG 198
sine: ZC 19, LibEMG 0; SSC 20, LibEMG 20
EMG of 20 steps: ZC 108, LibEMG 108; SSC 125, LibEMG 125
EMG of 20 steps, rounded: ZC 106, LibEMG 104; SSC 124, LibEMG 127
EMG of 1 step: ZC 108, LibEMG 108; SSC 125, LibEMG 125
EMG of 1 step, rounded: ZC 77, LibEMG 44; SSC 104, LibEMG 167" ]
