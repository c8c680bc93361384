#!/usr/bin/env bash
# scikit-digital-health 0.17.18: "power from 5 to 10 Hz" is all of a sine of 3 Hz and 5 % of one of 8 Hz.
#
# Versions:  scikit-digital-health 0.17.18, PyWavelets 1.9.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. Only its features
#            are run, and of what the package imports only these are installed: the features call nothing else.
# Input:     82 s at 100 Hz of sines, through DetailPowerRatio() for bands from 5 to 10 and from 1 to 3 Hz. Acceleration
#            of a hand held still, 1 g and a tremor of 0.05 g at 8 Hz, through RangePowerSum() up to 5 Hz, with "demean"
#            and "normalize", and through RMS(). Smooth noise of 600 samples through SampleEntropy() with r of 0.2.
# Behaviour: the first is documented as the power in the wavelet levels that span the band. Level j has the frequencies
#            from the rate / 2^(j + 1) to the rate / 2^j; the function takes them for twice as high. "demean" is
#            documented to leave the frequency 0 out: it is left out of the total, but stays in the range, so that a
#            share is above 1. RMS() is documented as the root mean square, but takes the mean away and divides by
#            N - 1: it is the standard deviation, for which there is another feature. SampleEntropy() is documented to
#            compare pairs of m + 1 samples with pairs of m; it compares those of m with those of m - 1. No warning.
# Output:    5 to 10 Hz of a sine of 3 Hz: DetailPowerRatio 1.02, SciPy 0.00
#            5 to 10 Hz of a sine of 6 Hz: DetailPowerRatio 0.62, SciPy 1.00
#            5 to 10 Hz of a sine of 8 Hz: DetailPowerRatio 0.05, SciPy 1.00
#            1 to 3 Hz of a sine of 0.7 Hz: DetailPowerRatio 1.04, SciPy 0.00
#            1 to 3 Hz of a sine of 2 Hz: DetailPowerRatio 0.05, SciPy 1.00
#            1 to 3 Hz of a sine of 2.5 Hz: DetailPowerRatio 0.01, SciPy 1.00
#            0 to 5 Hz of tremor of 8 Hz: RangePowerSum 1.66, SciPy 0.00
#            root mean square of the hand: RMS 0.035 g, true 1.001 g
#            m of 2: SampleEntropy 1.692, true 1.725, of 1: 1.692
#            m of 3: SampleEntropy 1.725, true 1.811, of 2: 1.725
#            m of 4: SampleEntropy 1.811, true 2.126, of 3: 1.811
# Why it matters: tremor is 4 to 12 Hz and voluntary movement below 3, and the bands are used to tell them apart. A hand
#            at rest has an rms of 1 g, from which sensors are calibrated. Sample entropy is reported with m of 2.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile PyWavelets==1.9.0 pandas==3.1.1 \
    scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps scikit-digital-health==0.17.18
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.signal import periodogram
from scipy.spatial.distance import pdist

folder = Path(find_spec("skdh").origin).parent
sys.modules["skdh"] = ModuleType("skdh")
sys.modules["skdh"].__path__ = [str(folder)]
features = importlib.import_module("skdh.features")
warnings.simplefilter("error")
seconds = np.arange(8192) / 100


def share(signal, low, high, detrend=False):
    frequency, power = periodogram(signal, 100, detrend=detrend)
    return power[(frequency >= low) & (frequency <= high)].sum() / power.sum()


def sample_entropy(signal, m):
    windows = np.lib.stride_tricks.sliding_window_view(signal, m + 1)
    pairs = [np.sum(pdist(windows[:, :length], "chebyshev") < 0.2) for length in (m, m + 1)]
    return -np.log(pairs[1] / pairs[0])


for low, high, frequencies in ((5, 10, (3, 6, 8)), (1, 3, (0.7, 2, 2.5))):
    feature = features.DetailPowerRatio(freq_band=[low, high])
    for frequency in frequencies:
        sine = np.sin(2 * np.pi * frequency * seconds)
        told, true = feature.compute(sine, 100), share(sine, low - 0.1, high + 0.1)
        print(f"{low} to {high} Hz of a sine of {frequency} Hz: DetailPowerRatio {told:.2f}, SciPy {true:.2f}")
hand = 1 + 0.05 * np.sin(2 * np.pi * 8 * seconds)
told = features.RangePowerSum(low_cutoff=0, high_cutoff=5, demean=True, normalize=True).compute(hand, 100)
print(f"0 to 5 Hz of tremor of 8 Hz: RangePowerSum {told:.2f}, SciPy {share(hand, 0, 5, detrend='constant'):.2f}")
told = features.RMS().compute(hand)
print(f"root mean square of the hand: RMS {told:.3f} g, true {np.sqrt(np.mean(hand**2)):.3f} g")
noise = np.convolve(np.random.default_rng(0).normal(size=604), np.ones(5) / 5, mode="valid")
noise /= noise.std()
for m in (2, 3, 4):
    told = features.SampleEntropy(m=m, r=0.2).compute(noise)
    print(f"m of {m}: SampleEntropy {told:.3f}, true {sample_entropy(noise, m):.3f}, of {m - 1}: ", end="")
    print(f"{sample_entropy(noise, m - 1):.3f}")
PY
)
echo "$found"
[ "$found" = "5 to 10 Hz of a sine of 3 Hz: DetailPowerRatio 1.02, SciPy 0.00
5 to 10 Hz of a sine of 6 Hz: DetailPowerRatio 0.62, SciPy 1.00
5 to 10 Hz of a sine of 8 Hz: DetailPowerRatio 0.05, SciPy 1.00
1 to 3 Hz of a sine of 0.7 Hz: DetailPowerRatio 1.04, SciPy 0.00
1 to 3 Hz of a sine of 2 Hz: DetailPowerRatio 0.05, SciPy 1.00
1 to 3 Hz of a sine of 2.5 Hz: DetailPowerRatio 0.01, SciPy 1.00
0 to 5 Hz of tremor of 8 Hz: RangePowerSum 1.66, SciPy 0.00
root mean square of the hand: RMS 0.035 g, true 1.001 g
m of 2: SampleEntropy 1.692, true 1.725, of 1: 1.692
m of 3: SampleEntropy 1.725, true 1.811, of 2: 1.725
m of 4: SampleEntropy 1.811, true 2.126, of 3: 1.811" ]
