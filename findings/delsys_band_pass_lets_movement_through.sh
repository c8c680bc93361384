#!/usr/bin/env bash
# delsys 0.5.1 with pysampled 1.3.0: the band pass from 20 to 500 Hz has four taps; it makes movement of 5 Hz stronger.
#
# Versions:  delsys 0.5.1, pysampled 1.3.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. Only EMG.process(),
#            EMG.get_features() and EMG.rms() are run, and of what delsys imports only these are installed: the three
#            call nothing else with the arguments used here.
# Input:     20 s at 2,000 Hz of sines of 100 uV rms with 1, 5, 100 and 700 Hz, as delsys.EMG, which is what delsys.Log
#            makes of a file. Through process() with "rms" (windows of 0.2 s) and "envelope", through get_features() and
#            through rms(). Each value is the mean over the middle half.
# Behaviour: process() is documented as a band pass from 20 to 500 Hz of order 4, and a comment in it says that there is
#            motion noise below 20 Hz. It hands the order to pysampled's bandpass(), where it is the number of taps of
#            an FIR filter, by default half a second of them. Four taps at 2,000 Hz take nothing away below 20 Hz: what
#            is there leaves the filter, forth and back, 1.23 times as strong, and EMG of 100 Hz 1.20 times.
#            get_features() does the same from 20 to 450 Hz. rms() has other filters and is right. No warning is given.
# Output:    1 Hz of 100 uV: process 119 (rms) 126 (envelope), get_features 115, rms 0 uV
#            5 Hz of 100 uV: process 123 (rms) 126 (envelope), get_features 120, rms 0 uV
#            100 Hz of 100 uV: process 120 (rms) 121 (envelope), get_features 116, rms 100 uV
#            700 Hz of 100 uV: process 21 (rms) 20 (envelope), get_features 19, rms 0 uV
# Why it matters: delsys is for files of Trigno sensors, and process() is the first step of its example. A cable or the
#            skin moves at 1 to 10 Hz with far more than 100 uV, in the very movements whose EMG is studied: it is
#            counted as activity of the muscle, although a band pass from 20 Hz was asked for, and at full strength.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps delsys==0.5.1 pysampled==1.3.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("h5py", "heartpy", "matplotlib", "matplotlib.pyplot", "neurokit2", "sklearn", "tomlkit"):
    sys.modules[name] = MagicMock()
sys.modules["sklearn.decomposition"] = MagicMock()
import delsys


def middle(values):
    return np.mean(values[len(values) // 4 : -(len(values) // 4)])


times = np.arange(40000) / 2000
for frequency in (1, 5, 100, 700):
    emg = delsys.EMG(100 * np.sqrt(2) * np.sin(2 * np.pi * frequency * times), 2000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rms = emg.process(amp_kind="rms", win_size=0.2, win_inc=0.1)()
        envelope = emg.process(amp_kind="envelope")()
        right = emg.rms()()
    with np.errstate(over="ignore", divide="ignore"):  # of the feature "log", which is not used here
        feature = emg.get_features(kind="temp", win_size=0.2)["rms"]
    levels = f"{middle(rms):.0f} (rms) {middle(envelope):.0f} (envelope), get_features {middle(feature):.0f}"
    print(f"{frequency} Hz of 100 uV: process {levels}, rms {abs(middle(right)):.0f} uV")
PY
)
echo "$found"
[ "$found" = "1 Hz of 100 uV: process 119 (rms) 126 (envelope), get_features 115, rms 0 uV
5 Hz of 100 uV: process 123 (rms) 126 (envelope), get_features 120, rms 0 uV
100 Hz of 100 uV: process 120 (rms) 121 (envelope), get_features 116, rms 100 uV
700 Hz of 100 uV: process 21 (rms) 20 (envelope), get_features 19, rms 0 uV" ]
