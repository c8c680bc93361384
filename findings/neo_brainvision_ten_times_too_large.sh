#!/usr/bin/env bash
# neo 0.14.6: EMG that MNE exports as BrainVision reads ten times too large, and its markers one sample late.
#
# Versions:  neo 0.14.6, pybv 0.8.1, brainvision 0.4, quantities 0.16.4, numpy 2.4.6.
# Input:     one EMG channel at 2,000 Hz: zero, and 1 mV from sample 1000 (500 ms) on, where a marker is. Written by
#            pybv as IEEE_FLOAT_32 with a resolution of 0.1 uV, its defaults and all that MNE's export to .vhdr writes,
#            and as INT_16.
# Behaviour: the header gives each channel's resolution in its unit, by which stored numbers become microvolts. neo
#            multiplies integers by it but not floats, and calls both uV. Markers count from 1 (pybv adds 1 for that).
#            neo divides them by the sampling rate as they are, while its signal starts at 0 s. No warning is given, and
#            neo's documentation of the class says nothing of it. The package brainvision reads both files right.
# Output:    float32, brainvision: 1000 uV from 500.0 ms, marker at 500.0 ms
#            float32, neo: 10000 uV from 500.0 ms, marker at 500.5 ms
#            int16, brainvision: 1000 uV from 500.0 ms, marker at 500.0 ms
#            int16, neo: 1000 uV from 500.0 ms, marker at 500.5 ms
# Why it matters: MNE exports EMG as BrainVision in no other form, and neo is how Python reads many labs' formats into
#            one. A threshold in uV, or a second recording as INT_16, is off by ten, in numbers that a contraction could
#            have had at another gain. BrainVision Analyzer leaves the resolution of floats empty; there neo is right.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile neo==0.14.6 pybv==0.8.1 \
    brainvision==0.4 quantities==0.16.4 numpy==2.4.6
cd "$place"
found=$(PYTHONUTF8=1 "$place/venv/bin/python" - <<'PY'
import warnings

import brainvision
import neo
import numpy as np
import pybv

warnings.simplefilter("error")
emg = np.where(np.arange(4000) < 1000, 0, 1e-3)
event = {"onset": 1000, "description": "grasp", "type": "Comment"}
for form in ("float32", "int16"):
    pybv.write_brainvision(data=emg[None], sfreq=2000, ch_names=["EMG"], fname_base=form, folder_out=".",
                           events=[event], fmt=f"binary_{form}")
    _, markers, signal = brainvision.read(f"{form}.vhdr")
    marker = int(markers["Marker Infos"]["Mk1"].split(",")[2]) - 1
    print(f"{form}, brainvision: {signal.max():.0f} uV from {np.flatnonzero(signal[0])[0] / 2:.1f} ms, "
          f"marker at {marker / 2:.1f} ms")
    segment = neo.io.BrainVisionIO(f"{form}.vhdr").read_segment()
    signal, marker = segment.analogsignals[0], segment.events[0].times[0]
    start = signal.times[np.flatnonzero(signal.magnitude)[0]]
    print(f"{form}, neo: {signal.magnitude.max():.0f} {signal.dimensionality} from {1000 * float(start):.1f} ms, "
          f"marker at {1000 * float(marker):.1f} ms")
PY
)
echo "$found"
[ "$found" = "float32, brainvision: 1000 uV from 500.0 ms, marker at 500.0 ms
float32, neo: 10000 uV from 500.0 ms, marker at 500.5 ms
int16, brainvision: 1000 uV from 500.0 ms, marker at 500.0 ms
int16, neo: 1000 uV from 500.0 ms, marker at 500.5 ms" ]
