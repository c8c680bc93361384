#!/usr/bin/env bash
# wfdb 4.3.1: rdrecord() averages a fast channel down to the slowest one's rate, without a word.
#
# Versions:  wfdb 4.3.1, numpy 2.4.6.
# Input:     one record of four seconds with an EMG channel at 2,000 Hz (a 300 Hz sine of 1 mV) and a joint angle at
#            100 Hz: 20 samples a frame and 1, as the WFDB format provides.
# Behaviour: rdrecord("m") returns 400 samples of either, at fs = 100; each EMG sample is the mean of 20. A sine of
#            300 Hz has three whole periods in these 20 samples, so what comes back is zero. No warning is given;
#            smooth_frames=False returns both channels whole, in e_p_signal.
# Output:    default (400, 2) 100 Hz, EMG rms 0.000 mV
#            smooth_frames=False 8000 400, EMG rms 0.707 mV
# Why it matters: records of EMG (PhysioNet's GRABMyo, Hyser) are WFDB, and whoever records EMG beside joint angles or
#            force has two rates in one record. The plain call leaves of the EMG what lies below half the slow rate,
#            here 50 Hz.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check wfdb==4.3.1 numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import wfdb

emg = np.sin(2 * np.pi * 300 * np.arange(8000) / 2000)
angle = np.arange(400) / 100
wfdb.wrsamp("m", fs=100, units=["mV", "deg"], sig_name=["emg", "angle"], e_p_signal=[emg, angle],
            samps_per_frame=[20, 1], fmt=["16", "16"])
with warnings.catch_warnings():
    warnings.simplefilter("error")
    plain = wfdb.rdrecord("m")
print(f"default {plain.p_signal.shape} {plain.fs} Hz, EMG rms {plain.p_signal[:, 0].std():.3f} mV")
whole = wfdb.rdrecord("m", smooth_frames=False).e_p_signal
print(f"smooth_frames=False {len(whole[0])} {len(whole[1])}, EMG rms {whole[0].std():.3f} mV")
PY
)
echo "$found"
[ "$found" = "default (400, 2) 100 Hz, EMG rms 0.000 mV
smooth_frames=False 8000 400, EMG rms 0.707 mV" ]
