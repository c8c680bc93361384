#!/usr/bin/env bash
# BrainFlow 5.23.0: of EMG of 100 uV, the power spectrum holds 62 uV with a Hann window and 51 with Blackman-Harris.
#
# Versions:  brainflow 5.23.0, scipy 1.17.1, numpy 2.4.6.
# Input:     made EMG at 2,000 Hz, noise from 20 to 450 Hz of exactly 100 uV rms, 8,192 samples; its spectrum by
#            get_psd_welch() in segments of 1,024 that overlap by half, with each of BrainFlow's windows, and the power
#            from 10 to 500 Hz by get_band_power(). For comparison, SciPy's welch() with the same window and segments.
# Behaviour: a window lowers the signal's power by the mean of its squares, 3/8 for Hann, and a power spectral density
#            is divided by that mean, so that its integral is the power (SciPy, MATLAB and MNE do). BrainFlow does not
#            divide. get_psd() does the same. No warning is given; the documentation says "calculate PSD" and "calculate
#            band power", and its example of band power has a window. Without a window BrainFlow and SciPy agree, and
#            ratios of bands by one window are right.
# Output:    NO_WINDOW: scipy 100 uV, brainflow 100 uV, mean of the window's squares 1.000
#            HANNING: scipy 101 uV, brainflow 62 uV, mean of the window's squares 0.375
#            HAMMING: scipy 100 uV, brainflow 63 uV, mean of the window's squares 0.397
#            BLACKMAN_HARRIS: scipy 101 uV, brainflow 51 uV, mean of the window's squares 0.256
# Why it matters: BrainFlow is how Python reads boards for EMG such as OpenBCI's, and these are its features. A square
#            root of a band power taken for EMG's amplitude is 37 to 49 % too low, thresholds in uV^2 do not carry over
#            to or from any other library, and a change of window looks like a change of the contraction.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile brainflow==5.23.0 scipy==1.17.1 \
    numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from brainflow.data_filter import DataFilter, WindowOperations
from scipy.signal import welch

warnings.simplefilter("error")
DataFilter.disable_data_logger()
RATE, SIZE = 2000, 1024
frequency = np.fft.rfftfreq(8192, 1 / RATE)
inside = (frequency > 20) & (frequency < 450)
draws = np.random.default_rng(0).normal(size=(2, len(frequency)))
emg = np.fft.irfft(np.where(inside, draws[0] + 1j * draws[1], 0))
emg *= 100 / np.sqrt(np.mean(emg**2))
for window in WindowOperations:
    shape = np.asarray(DataFilter.get_window(window.value, SIZE))[:SIZE]
    density = DataFilter.get_psd_welch(emg.copy(), SIZE, SIZE // 2, RATE, window.value)
    power = DataFilter.get_band_power(density, 10, 500)
    f, right = welch(emg, RATE, shape, noverlap=SIZE // 2, detrend=False)
    band = (f >= 10) & (f <= 500)
    whole = np.trapezoid(right[band], f[band])
    print(f"{window.name}: scipy {np.sqrt(whole):.0f} uV, brainflow {np.sqrt(power):.0f} uV, "
          f"mean of the window's squares {np.mean(shape**2):.3f}")
PY
)
echo "$found"
[ "$found" = "NO_WINDOW: scipy 100 uV, brainflow 100 uV, mean of the window's squares 1.000
HANNING: scipy 101 uV, brainflow 62 uV, mean of the window's squares 0.375
HAMMING: scipy 100 uV, brainflow 63 uV, mean of the window's squares 0.397
BLACKMAN_HARRIS: scipy 101 uV, brainflow 51 uV, mean of the window's squares 0.256" ]
