#!/usr/bin/env bash
# openhdemg 0.1.2: at 10,240 Hz a conduction velocity of 3, 4 or 5 m/s is estimated as 5.3 or 6.6 m/s.
#
# Versions:  openhdemg 0.1.2, numpy 2.2.0, pandas 2.2.3, scipy 1.14.1. Only estimate_cv_via_mle() is run, and of what
#            openhdemg imports only NumPy, pandas and SciPy are installed: the estimate calls nothing else.
# Input:     a motor unit's action potential in a row of four channels, 8 or 10 mm apart, 50 ms at the sampling rates of
#            OT Bioelettronica's amplifiers: the first derivative of a Gaussian (standard deviation 1.5 ms, so its
#            spectrum peaks near 106 Hz), delayed from channel to channel exactly as 3, 4 and 5 m/s delay it. No noise.
# Behaviour: the search for the delay shall begin where two channels correlate best, among delays of 1 to 10 m/s. The
#            distance is taken in millimetres there and as if in metres, so the range begins past the signal's end, at
#            hundreds or thousands of samples, and the start is one sample whatever the velocity is. From there the
#            search goes 30 times by half a sample at most and returns the place before the last: delays over 15.5
#            samples are out of reach, which are 5.3 m/s for 8 mm and 6.6 m/s for 10 mm. No warning is given; the
#            documentation asks for millimetres and says how important a start is that is not fixed. The lag of the
#            largest correlation gives the right velocity.
# Output:    8 mm, 2048 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 3.0 4.0 5.0 from 1 1 1 samples
#            8 mm, 10240 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 5.3 5.3 5.3 from 1 1 1 samples
#            10 mm, 2048 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 3.0 4.0 5.0 from 1 1 1 samples
#            10 mm, 10240 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 6.6 6.6 6.6 from 1 1 1 samples
# Why it matters: muscle fibres conduct at 3 to 5 m/s, the velocity falls with fatigue and differs between motor units,
#            and openhdemg is the open tool for it. The Quattrocento amplifier has 10,240 Hz as its highest rate; there
#            every unit gets one velocity, which no fatigue changes, and 5.3 m/s is still one that a muscle could have.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.2.0 pandas==2.2.3 scipy==1.14.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps openhdemg==0.1.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import openhdemg
import pandas as pd

library = ModuleType("openhdemg.library")
library.__path__ = [str(Path(openhdemg.__file__).parent / "library")]
sys.modules["openhdemg.library"] = library
for name in ("joblib", "matplotlib", "matplotlib.backends", "matplotlib.backends.backend_tkagg", "matplotlib.pyplot",
             "tkinter", "openhdemg.library.electrodes", "openhdemg.library.plotemg", "openhdemg.library.tools"):
    sys.modules[name] = MagicMock()
muap = importlib.import_module("openhdemg.library.muap")
warnings.simplefilter("error")

velocities = (3, 4, 5)
for distance in (8, 10):
    for rate in (2048, 10240):
        time = (np.arange(rate // 20) - rate // 40) / rate
        right, found, starts = [], [], []
        for velocity in velocities:
            moments = time[:, None] - (np.arange(4) - 1.5) * distance / 1000 / velocity
            signal = -moments / 0.0015 * np.exp(-((moments / 0.0015) ** 2) / 2)
            both = np.correlate(signal[:, 2], signal[:, 1], "full")
            top = both.argmax()
            before, most, after = both[top - 1:top + 2]
            lag = top - len(time) + 1 + (before - after) / (before - 2 * most + after) / 2
            right.append(distance / 1000 * rate / lag)
            found.append(muap.estimate_cv_via_mle({"IED": distance, "FSAMP": rate}, pd.DataFrame(signal)))
            starts.append(muap.find_mle_teta(signal[:, 1], signal[:, 2], distance, rate))
        print(f"{distance} mm, {rate} Hz:", *(f"{v:.1f}" for v in velocities), "m/s, by correlation",
              *(f"{v:.1f}" for v in right), end=", openhdemg ")
        print(*(f"{v:.1f}" for v in found), "from", *(f"{s:.0f}" for s in starts), "samples")
PY
)
echo "$found"
[ "$found" = "8 mm, 2048 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 3.0 4.0 5.0 from 1 1 1 samples
8 mm, 10240 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 5.3 5.3 5.3 from 1 1 1 samples
10 mm, 2048 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 3.0 4.0 5.0 from 1 1 1 samples
10 mm, 10240 Hz: 3.0 4.0 5.0 m/s, by correlation 3.0 4.0 5.0, openhdemg 6.6 6.6 6.6 from 1 1 1 samples" ]
