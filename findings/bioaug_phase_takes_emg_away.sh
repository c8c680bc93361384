#!/usr/bin/env bash
# BioAug 0.1.4: a phase distortion of 0.1 rad leaves 0.4 % of the EMG in a window of 220 samples.
#
# Versions:  bioaug 0.1.4, numpy 2.4.6. Of what BioAug imports only NumPy is installed: the class calls nothing else.
# Input:     windows of 200 to 400 samples of white noise as EMG, of mean 0, through Distortion(p=1.0,
#            distortion_type="phase"), whose phase_shift is 0.1 unless told. For comparison, each of its frequencies
#            shifted by 0.1 rad. Then a sine of 50 Hz, 1,000 samples at 1,000 Hz, of 100 (uV), 0.1 (mV) and 0.0001 (V),
#            through distortion_type="harmonic", whose harmonic_degree is 0.1 unless told.
# Behaviour: phase_shift is documented as the degree of phase distortion in radians and the method as altering the phase
#            of the frequency components, which leaves the power as it is. The method turns component k of the whole FFT
#            by k times 0.1 rad, those of negative frequency onwards instead of back, and drops the imaginary part. What
#            is left is the EMG moved in time, times |cos(0.1 n / 2)| for n samples. harmonic_degree is documented as
#            the degree of harmonic distortion. The method adds a sine of five periods a window, whatever the
#            frequencies and the unit of the EMG. No warning is given.
# Output:    200 samples: rms 0.839, each frequency shifted by 0.1 rad 1.000
#            220 samples: rms 0.004, each frequency shifted by 0.1 rad 1.000
#            250 samples: rms 0.998, each frequency shifted by 0.1 rad 1.000
#            400 samples: rms 0.408, each frequency shifted by 0.1 rad 1.000
#            sine of 50 Hz and 100: 0.001 of its rms added, most of it at 5 Hz
#            sine of 50 Hz and 0.1: 1 of its rms added, most of it at 5 Hz
#            sine of 50 Hz and 0.0001: 1000 of its rms added, most of it at 5 Hz
# Why it matters: BioAug augments biosignals for training, and windows of EMG have some hundred samples. With "phase" a
#            network sees the EMG moved, and weaker or not at all, by how long the window is. With "harmonic" EMG in
#            volts becomes one and the same sine in every window, and EMG in microvolts stays as it is.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps bioaug==0.1.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot", "scipy", "scipy.interpolate"):
    sys.modules[name] = MagicMock()
import bioaug

warnings.simplefilter("error")

for samples in (200, 220, 250, 400):
    emg = np.random.default_rng(0).standard_normal((samples, 1))
    emg = (emg - emg.mean()) / emg.std()
    told = bioaug.Distortion(p=1.0, distortion_type="phase")(emg)
    spectrum = np.fft.rfft(emg[:, 0])
    spectrum[1:-1] *= np.exp(0.1j)
    print(f"{samples} samples: rms {np.sqrt(np.mean(told**2)):.3f}, each frequency shifted by 0.1 rad",
          f"{np.fft.irfft(spectrum).std():.3f}")
for strength in (100, 0.1, 0.0001):
    sine = strength * np.sin(2 * np.pi * 50 * np.arange(1000) / 1000)[:, None]
    told = bioaug.Distortion(p=1.0, distortion_type="harmonic")(sine)
    added = (told - sine)[:, 0]
    ratio = f"{float(f'{added.std() / sine.std():.2g}'):g}"
    most = np.abs(np.fft.rfft(added)).argmax()
    print(f"sine of 50 Hz and {strength}: {ratio} of its rms added, most of it at {most} Hz")
PY
)
echo "$found"
[ "$found" = "200 samples: rms 0.839, each frequency shifted by 0.1 rad 1.000
220 samples: rms 0.004, each frequency shifted by 0.1 rad 1.000
250 samples: rms 0.998, each frequency shifted by 0.1 rad 1.000
400 samples: rms 0.408, each frequency shifted by 0.1 rad 1.000
sine of 50 Hz and 100: 0.001 of its rms added, most of it at 5 Hz
sine of 50 Hz and 0.1: 1 of its rms added, most of it at 5 Hz
sine of 50 Hz and 0.0001: 1000 of its rms added, most of it at 5 Hz" ]
