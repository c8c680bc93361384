#!/usr/bin/env bash
# TSFEL 0.2.0: an EMG's median frequency is not that of its power, and MFCC ends at a window's sample 512.
#
# Versions:  tsfel 0.2.0, numpy 2.4.6, scipy 1.17.1. Only two features are run, and of what TSFEL imports only NumPy and
#            SciPy are installed: the two call nothing else.
# Input:     20 s of one made EMG at 1,000, 2,000 and 4,000 Hz: noise with the usual model of the EMG's power spectrum
#            (corners at 60 and 120 Hz) and a white noise floor 30 dB below its peak. For MFCC, windows of 250, 500 and
#            1,000 ms at 2,000 Hz, in which one sample after the other is changed.
# Behaviour: the median frequency of EMG halves its power spectrum (MATLAB's medfreq, too). median_frequency() halves
#            the sum of the amplitudes |X(f)|, which counts weak high frequencies for far more: the result is higher by
#            40 to 90 % and grows with the sampling rate. MFCC takes an FFT of 512 points, to which NumPy cuts longer
#            windows: what follows has no effect. No warning is given. The documentation says "Computes median frequency
#            of the signal" and "Number of points of fft"; only the source tells of amplitudes and of the cut.
# Output:    1000 Hz: half the power below 95 Hz, TSFEL's median frequency 131 Hz
#            2000 Hz: half the power below 96 Hz, TSFEL's median frequency 152 Hz
#            4000 Hz: half the power below 97 Hz, TSFEL's median frequency 183 Hz
#            window of 500 samples: MFCC depends on 500
#            window of 1000 samples: MFCC depends on 512
#            window of 2000 samples: MFCC depends on 512
# Why it matters: the median frequency is the standard index of a muscle's fatigue and is compared in Hz between papers
#            and devices. TSFEL computes both by default, and MFCC is one of its features tagged "emg": a movement that
#            begins 256 ms into a window at 2,000 Hz does not exist for it.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 scipy==1.17.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps tsfel==0.2.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("IPython", "IPython.display", "pandas", "pywt", "requests", "sklearn", "sklearn.neighbors", "statsmodels",
             "statsmodels.tsa", "statsmodels.tsa.stattools"):
    sys.modules[name] = MagicMock()
from tsfel.feature_extraction.features import median_frequency, mfcc

warnings.simplefilter("error")
draws = np.random.default_rng(0).normal(size=(2, 40000))
for rate in (1000, 2000, 4000):
    f = np.fft.rfftfreq(20 * rate, 1 / rate)
    power = f**2 / (f**2 + 60**2) / (f**2 + 120**2) ** 2
    amplitude = np.sqrt(power / power.max() + 0.001)[1:]
    spectrum = amplitude * (draws[0] + 1j * draws[1])[:len(amplitude)]
    emg = rate * np.fft.irfft(np.r_[0, spectrum])
    below = np.cumsum(np.abs(np.fft.rfft(emg)) ** 2)
    half = f[np.searchsorted(below, below[-1] / 2)]
    print(f"{rate} Hz: half the power below {half:.0f} Hz, "
          f"TSFEL's median frequency {median_frequency(emg, rate):.0f} Hz")
    if rate == 2000:
        windows = [emg[:size] for size in (500, 1000, 2000)]
for window in windows:
    depends = 0
    for sample in range(len(window)):
        changed = window.copy()
        changed[sample] += window.std()
        depends += not np.array_equal(mfcc(changed, 2000), mfcc(window, 2000))
    print(f"window of {len(window)} samples: MFCC depends on {depends}")
PY
)
echo "$found"
[ "$found" = "1000 Hz: half the power below 95 Hz, TSFEL's median frequency 131 Hz
2000 Hz: half the power below 96 Hz, TSFEL's median frequency 152 Hz
4000 Hz: half the power below 97 Hz, TSFEL's median frequency 183 Hz
window of 500 samples: MFCC depends on 500
window of 1000 samples: MFCC depends on 512
window of 2000 samples: MFCC depends on 512" ]
