#!/usr/bin/env bash
# neurodsp 2.3.0: multitaper's density is 1,000 times too large at 2,000 Hz, a padded one lacks power and its end.
#
# Versions:  neurodsp 2.3.0, numpy 2.4.6, scipy 1.17.1. matplotlib is replaced.
# Input:     a sine of 100 uV at 100 Hz, sampled at 500, 1,000 and 2,000 Hz for 20 s, which has 5,000 uV^2, and white
#            noise of 10 uV at 2,000 Hz, which has 100: through compute_spectrum() with each method, else as by default.
#            The noise also with nfft, windows of 1 s padded to 2, 4 and 8 s. The sine in the second of two seconds,
#            padded to 2 s. Densities are summed up over all frequencies, as power.
# Behaviour: all are documented to return the power spectral density. multitaper's is not divided by the rate, and holds
#            only half of the frequencies, undoubled: it is half the rate times too large. medfilt's is not doubled
#            either, and takes the median, which for noise is ln 2 of the mean. With nfft, documented to pad windows by
#            zeros, Hann's window is laid over the zeros too and the density is as if all of it were signal, while the
#            last full window is left out. No error or warning is given.
# Output:    sine at 500 Hz: 5000 uV^2, welch 5000, multitaper 1,250,000
#            sine at 1000 Hz: 5000 uV^2, welch 5000, multitaper 2,500,000
#            sine at 2000 Hz: 5000 uV^2, welch 5000, multitaper 5,000,000
#            noise: 100 uV^2, welch 100, medfilt 36
#            noise, each second padded to 2: welch 92, SciPy's own 100
#            noise, each second padded to 4: welch 60, SciPy's own 100
#            noise, each second padded to 8: welch 33, SciPy's own 100
#            sine in the second of 2 s: welch 2496, padded 0
# Why it matters: these are choices of one function, and the power in a band, in uV^2, is compared between recordings,
#            devices of other rates and papers. A trial of two windows is read as its first half.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 scipy==1.17.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps neurodsp==2.3.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
from neurodsp.spectral import compute_spectrum
from scipy.signal import welch

warnings.simplefilter("error")


def power(spectrum):
    frequencies, density = spectrum
    return np.sum(density) * (frequencies[1] - frequencies[0])


for rate in (500, 1000, 2000):
    sine = 100 * np.sin(2 * np.pi * 100 * np.arange(20 * rate) / rate)
    print(f"sine at {rate} Hz: {np.var(sine):.0f} uV^2, welch {power(compute_spectrum(sine, rate)):.0f},",
          f"multitaper {power(compute_spectrum(sine, rate, 'multitaper')):,.0f}")

noise = 10 * np.random.default_rng(0).normal(size=20 * rate)
print(f"noise: {np.var(noise):.0f} uV^2, welch {power(compute_spectrum(noise, rate)):.0f},",
      f"medfilt {power(compute_spectrum(noise, rate, 'medfilt')):.0f}")
for times in (2, 4, 8):
    padded = compute_spectrum(noise, rate, nperseg=rate, nfft=times * rate)
    own = welch(noise, rate, nperseg=rate, nfft=times * rate)
    print(f"noise, each second padded to {times}: welch {power(padded):.0f}, SciPy's own {power(own):.0f}")

late = sine[: 2 * rate].copy()
late[:rate] = 0
plain, padded = (power(compute_spectrum(late, rate, nfft=nfft)) for nfft in (None, 2 * rate))
print(f"sine in the second of 2 s: welch {plain:.0f}, padded {padded:.0f}")
PY
)
echo "$found"
[ "$found" = "sine at 500 Hz: 5000 uV^2, welch 5000, multitaper 1,250,000
sine at 1000 Hz: 5000 uV^2, welch 5000, multitaper 2,500,000
sine at 2000 Hz: 5000 uV^2, welch 5000, multitaper 5,000,000
noise: 100 uV^2, welch 100, medfilt 36
noise, each second padded to 2: welch 92, SciPy's own 100
noise, each second padded to 4: welch 60, SciPy's own 100
noise, each second padded to 8: welch 33, SciPy's own 100
sine in the second of 2 s: welch 2496, padded 0" ]
