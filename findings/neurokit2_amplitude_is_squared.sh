#!/usr/bin/env bash
# NeuroKit2 0.3.0: emg_amplitude() of half the EMG is a quarter, not a half.
#
# Versions:  neurokit2 0.3.0, numpy 2.4.6.
# Input:     four seconds of white noise at 2,000 Hz as the EMG of a steady contraction, at full strength, a half and a
#            tenth, through emg_clean() and emg_amplitude(), the calls of emg_process().
# Behaviour: the documentation calls the result the linear envelope. Before the function rectifies and smooths, it takes
#            the Teager-Kaiser energy x[n]^2 - x[n-1] x[n+1], which only the source says, and no root follows. So the
#            column EMG_Amplitude is in squared units (mV^2 of EMG in mV) and falls with the square of the EMG.
# Output:    EMG x 1: rectified mean 1.00, emg_amplitude 1.00
#            EMG x 0.5: rectified mean 0.50, emg_amplitude 0.25
#            EMG x 0.1: rectified mean 0.10, emg_amplitude 0.01
# Why it matters: EMG is reported in per cent of the strongest contraction. A half of it reads as 25 % here and a tenth
#            as 1 %, and a model, a gain or a threshold that is given this amplitude sees the same.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check neurokit2==0.3.0 numpy==2.4.6
cd "$place"
found=$(MPLCONFIGDIR="$place" MPLBACKEND=agg "$place/venv/bin/python" -W ignore - <<'PY'
import neurokit2 as nk
import numpy as np

noise = np.random.default_rng(0).normal(size=8000)


def means(strength):
    emg = nk.emg_clean(strength * noise, sampling_rate=2000)
    return np.abs(emg).mean(), nk.emg_amplitude(emg, sampling_rate=2000).mean()


full = np.array(means(1))
for strength in (1, 0.5, 0.1):
    rectified, amplitude = means(strength) / full
    print(f"EMG x {strength}: rectified mean {rectified:.2f}, emg_amplitude {amplitude:.2f}")
PY
)
echo "$found"
[ "$found" = "EMG x 1: rectified mean 1.00, emg_amplitude 1.00
EMG x 0.5: rectified mean 0.50, emg_amplitude 0.25
EMG x 0.1: rectified mean 0.10, emg_amplitude 0.01" ]
