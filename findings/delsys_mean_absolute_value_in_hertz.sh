#!/usr/bin/env bash
# delsys 0.5.1: the feature "mav" is a frequency or 2,000 times the mean absolute value, and "mnf" is 501 Hz of any EMG.
#
# Versions:  delsys 0.5.1, pysampled 1.3.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. Only EMG.get_features() is run, and
#            of what delsys imports only these are installed: it calls nothing else.
# Input:     20 s at 2,000 Hz of sines of 80 and 160 Hz with 50 and with 100 uV rms, so with a mean absolute value of 45
#            and 90 uV, as delsys.EMG, through get_features() of the kinds "all" (the default) and "temp". Each value
#            is the one of the middle window; mean_abs is the feature "int" of that window divided by its 500 samples
#            (the band pass before it adds a tenth or more, which is another finding).
# Behaviour: get_features() is documented to return the features by their names and to do both families by default; what
#            the names stand for is not explained. Both families have a "mav", in time and, for the median frequency, in
#            the spectrum. The default joins them, and the second replaces the first: there is no mean absolute value
#            in the result, but a frequency by its name. In the family of time alone "mav" is the sum of the absolute
#            values divided by the seconds of the window, so the mean times the sampling rate. "mnf", mean frequency,
#            averages the frequencies of the spectrum without their power, and is a quarter of the sampling rate
#            whatever the signal; the mean frequency is "mwf". "dsd", of the differences, is a root divided by the
#            window in seconds minus 1, and negative. No warning is given of these.
# Output:    80 Hz, 50 uV: mav 80 (all) 105665 (temp), mean_abs 53, mnf 501, mwf 80, dsd -439
#            80 Hz, 100 uV: mav 80 (all) 211330 (temp), mean_abs 106, mnf 501, mwf 80, dsd -878
#            160 Hz, 50 uV: mav 160 (all) 99198 (temp), mean_abs 50, mnf 501, mwf 160, dsd -818
#            160 Hz, 100 uV: mav 160 (all) 198397 (temp), mean_abs 99, mnf 501, mwf 160, dsd -1636
# Why it matters: delsys is for files of Trigno sensors. The mean absolute value is the first feature of gesture
#            recognition, here it does not change when the muscle is twice as active; a falling mean frequency is the
#            sign of fatigue, here it never falls. 80 and 501 are plausible as microvolts and as hertz.
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
from unittest.mock import MagicMock

import numpy as np

for name in ("h5py", "heartpy", "matplotlib", "matplotlib.pyplot", "neurokit2", "sklearn", "tomlkit"):
    sys.modules[name] = MagicMock()
sys.modules["sklearn.decomposition"] = MagicMock()
import delsys

times = np.arange(40000) / 2000
for frequency in (80, 160):
    for level in (50, 100):
        emg = delsys.EMG(level * np.sqrt(2) * np.sin(2 * np.pi * frequency * times), 2000)
        with np.errstate(over="ignore", divide="ignore"):  # of the feature "log", which is not used here
            features = emg.get_features()
            in_time = emg.get_features(kind="temp")
        window = len(features["time"]) // 2
        found = {name: values[window] for name, values in features.items()}
        mav = f"mav {found['mav']:.0f} (all) {in_time['mav'][window]:.0f} (temp), mean_abs {found['int'] / 500:.0f}"
        rest = ", ".join(f"{name} {found[name]:.0f}" for name in ("mnf", "mwf", "dsd"))
        print(f"{frequency} Hz, {level} uV: {mav}, {rest}")
PY
)
echo "$found"
[ "$found" = "80 Hz, 50 uV: mav 80 (all) 105665 (temp), mean_abs 53, mnf 501, mwf 80, dsd -439
80 Hz, 100 uV: mav 80 (all) 211330 (temp), mean_abs 106, mnf 501, mwf 80, dsd -878
160 Hz, 50 uV: mav 160 (all) 99198 (temp), mean_abs 50, mnf 501, mwf 160, dsd -818
160 Hz, 100 uV: mav 160 (all) 198397 (temp), mean_abs 99, mnf 501, mwf 160, dsd -1636" ]
