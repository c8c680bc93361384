#!/usr/bin/env bash
# EMGFlow 1.1.2: a mean absolute value is below zero, and twice the sampling rate makes IEMG four times as large.
#
# Versions:  EMGFlow 1.1.2, numpy 2.4.6, pandas 3.1.1, scipy 1.17.1.
# Input:     rectified EMG. For MMAV2, the mean absolute value that weights a window's first and last quarter less: a
#            window of 1,000 samples at 0.1 mV with a contraction of 1 mV in its first quarter, and the same reversed in
#            time. For IEMG, the area under the EMG, and SSI, that under its square: half a sine of 1 mV and one second
#            at 1,000 and at 2,000 Hz; the areas are 0.64 mV s and 0.5 mV^2 s at both.
# Behaviour: MMAV2's weight rises from 0 to 1 in the first quarter, jumps to -1 after the third and rises back to 0: the
#            last quarter is subtracted. By the documentation the weight decreases smoothly and the terms are absolute.
#            IEMG is the sum times the sampling rate, SSI the sum of squares times its square; an area is a sum divided
#            by the rate. The documentation says why: else, recordings of one shape and different rates would have
#            different results. With it they do, too, for IEMG twice as far apart and for SSI four times.
# Output:    contraction first: mean 0.325 mV, MMAV2 0.162 mV
#            contraction last: mean 0.325 mV, MMAV2 -0.061 mV
#            1000 Hz: IEMG 636620, SSI 500000000
#            2000 Hz: IEMG 2546479, SSI 4000000000
# Why it matters: EMGFlow extracts features of EMG for machine learning, and its table of features has all three. With
#            MMAV2 a contraction late in the window counts against one in the middle. Public EMG has 200, 1,000 or 2,000
#            Hz: by IEMG or SSI, its data sets differ by their rates before they do by their muscles.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check emgflow==1.1.2 numpy==2.4.6 \
    pandas==3.1.1 scipy==1.17.1
cd "$place"
found=$(MPLCONFIGDIR="$place" MPLBACKEND=agg "$place/venv/bin/python" -W ignore - <<'PY'
import EMGFlow
import numpy as np
import pandas as pd


def table(emg, rate):
    return pd.DataFrame({"Time": np.arange(len(emg)) / rate, "EMG": emg})


first = np.where(np.arange(1000) < 250, 1, 0.1)
for name, emg in (("first", first), ("last", first[::-1])):
    mean, weighted = (feature(table(emg, 1000), "EMG") for feature in (EMGFlow.calc_mav, EMGFlow.calc_mmav2))
    print(f"contraction {name}: mean {mean:.3f} mV, MMAV2 {weighted:.3f} mV")
for rate in (1000, 2000):
    emg = table(np.sin(np.pi * (np.arange(rate) + 0.5) / rate), rate)
    print(f"{rate} Hz: IEMG {EMGFlow.calc_iemg(emg, 'EMG', rate):.0f}, SSI {EMGFlow.calc_ssi(emg, 'EMG', rate):.0f}")
PY
)
echo "$found"
[ "$found" = "contraction first: mean 0.325 mV, MMAV2 0.162 mV
contraction last: mean 0.325 mV, MMAV2 -0.061 mV
1000 Hz: IEMG 636620, SSI 500000000
2000 Hz: IEMG 2546479, SSI 4000000000" ]
