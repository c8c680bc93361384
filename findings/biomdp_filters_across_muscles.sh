#!/usr/bin/env bash
# biomdp 0.11.2: EMG by time and muscle is smoothed from muscle to muscle; a high pass of 20 Hz leaves 29 % of 20 Hz.
#
# Versions:  biomdp 0.11.2, xarray 2026.9.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. Only its module of filters is run,
#            and of what biomdp imports only these are installed: the functions call nothing else unless a plot is asked
#            for.
# Input:     8 s at 2,000 Hz of the rectified EMG of 16 muscles as 1 + sin of 100 Hz, times 1 mV in muscle 1, 2 mV in
#            muscle 16 and 10 mV in the others, as xarray's array with the dimensions "muscle" and "time", and the same
#            with "time" first. Through filter_butter() with a low pass of 6 Hz. Then a sine through low and high passes
#            with the cutoff at its frequency, and through filter_butter_bandpass() from 20 to 450 Hz.
# Behaviour: the function fills gaps along the dimension named "time", but filters along the last one, whichever it is.
#            With time first, every sample is smoothed across the muscles as if they were 16 samples in time. With fewer
#            than 10 muscles SciPy raises an error; from 10 on there is neither error nor warning, and the result's
#            dimensions and coordinates are right. "fc" is documented as the cutoff, and a factor keeps a low pass there
#            for its two passes, forth and back. A high pass needs the factor's inverse and gets the factor: what should
#            be 0.71 at fc is 0.29, and 0.71 is reached at 31 Hz. The band pass has no factor and 0.50 at its ends.
# Output:    muscle first: muscle 1 1.00 +- 0.00 mV, muscle 8 10.00 +- 0.00 mV, muscle 16 2.00 +- 0.00 mV
#            time first: muscle 1 -6.25 +- 6.25 mV, muscle 8 -6.19 +- 6.19 mV, muscle 16 -6.15 +- 6.15 mV
#            low pass of 20 Hz: 0.71 of 20 Hz
#            high pass of 20 Hz: 0.29 of 20 Hz
#            high pass of 20 Hz: 0.71 of 31 Hz
#            band pass from 20 to 450 Hz: 0.50 of 20 Hz
# Why it matters: EMG is read from tables and files as time by channel, and named dimensions are there so that the order
#            does not count. Grids and bracelets have 16 channels and more: the envelopes are unsmoothed and of no
#            muscle. 20 Hz is the usual high pass of EMG, against movement; here it takes the EMG's own low end, too.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check xarray==2026.9.0 pandas==3.1.1 scipy==1.17.1 \
    numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biomdp==0.11.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import xarray as xr
from biomdp.filter_butter import filter_butter, filter_butter_bandpass

warnings.simplefilter("error")
times = np.arange(16000) / 2000
inner = slice(4000, 12000)
strength = np.array([1, *14 * [10], 2])
emg = strength[:, None] * (1 + np.sin(2 * np.pi * 100 * times))
emg = xr.DataArray(emg, dims=("muscle", "time"), coords={"muscle": range(1, 17), "time": times})
for first in ("muscle", "time"):
    smooth = filter_butter(emg.transpose(first, ...), fr=2000, fc=6).transpose("muscle", "time").values[:, inner]
    ripple = np.ptp(smooth, axis=1) / 2
    levels = (f"muscle {i + 1} {smooth[i].mean():.2f} +- {ripple[i]:.2f} mV" for i in (0, 7, 15))
    print(f"{first} first:", ", ".join(levels))


def report(name, frequency, function, **keywords):
    sine = np.sin(2 * np.pi * frequency * times)
    gain = np.std(function(sine, fr=2000, **keywords)[inner]) / np.std(sine[inner])
    print(f"{name}: {gain:.2f} of {frequency} Hz")


report("low pass of 20 Hz", 20, filter_butter, fc=20)
report("high pass of 20 Hz", 20, filter_butter, fc=20, kind="high")
report("high pass of 20 Hz", 31, filter_butter, fc=20, kind="high")
report("band pass from 20 to 450 Hz", 20, filter_butter_bandpass, fclow=20, fchigh=450)
PY
)
echo "$found"
[ "$found" = "muscle first: muscle 1 1.00 +- 0.00 mV, muscle 8 10.00 +- 0.00 mV, muscle 16 2.00 +- 0.00 mV
time first: muscle 1 -6.25 +- 6.25 mV, muscle 8 -6.19 +- 6.19 mV, muscle 16 -6.15 +- 6.15 mV
low pass of 20 Hz: 0.71 of 20 Hz
high pass of 20 Hz: 0.29 of 20 Hz
high pass of 20 Hz: 0.71 of 31 Hz
band pass from 20 to 450 Hz: 0.50 of 20 Hz" ]
