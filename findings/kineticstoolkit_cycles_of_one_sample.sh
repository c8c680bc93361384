#!/usr/bin/env bash
# Kinetics Toolkit 0.17.0: five bends of a finger are 45 cycles, and a TRC file of 500 frames at 100 Hz is at 50,000 Hz.
#
# Versions:  kineticstoolkit 0.17.0, scipy 1.17.1, pandas 3.1.1, tqdm 4.70.1, numpy 2.4.6. Only detect_cycles() and
#            write_trc_file() are run, and of what Kinetics Toolkit imports only these are installed: the two call
#            nothing else.
# Input:     5 s at 100 Hz of a sine of 1 Hz and amplitude 2 through cycles.detect_cycles(), with its default thresholds
#            0 (rising) and 1 (falling), with both at 0.5 and with 1 and 0. Then one fingertip at rest through
#            kinematics.write_trc_file(), 1, 5 and 10 s at 100 Hz.
# Behaviour: phase 1 is to begin when the first threshold is crossed rising, phase 2 when the second is crossed falling.
#            No crossing is looked for: phase 2 begins at the first sample not above its threshold. If that threshold is
#            the higher one, as by default, this is the very next sample while the signal still rises, and phases of one
#            sample follow each other for as long as it lies between the two. write_trc_file() divides the number of
#            frames by the time between two frames and writes that as DataRate, CameraRate and OrigDataRate in Hz; the
#            column of times is right. No warning is given.
# Output:    thresholds default: 45 cycles, the first phase lasts 0.01 s
#            thresholds 0.5 0.5: 5 cycles, the first phase lasts 0.42 s
#            thresholds 1.0 0.0: 5 cycles, the first phase lasts 0.41 s
#            100 frames at 100 Hz: DataRate 10000
#            500 frames at 100 Hz: DataRate 50000
#            1000 frames at 100 Hz: DataRate 100000
# Why it matters: repeated bends are cut into cycles by angle or EMG envelope, and cycles are what is averaged and put
#            into training and test: most here are two samples long. TRC files go to OpenSim for joint angles, and
#            programs that take the rate from the header see velocities hundreds of times too high.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 pandas==3.1.1 \
    tqdm==4.70.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps kineticstoolkit==0.17.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("ezc3d", "limitedinteraction", "matplotlib", "matplotlib.pyplot", "requests_cache", "sklearn",
             "sklearn.neighbors"):
    sys.modules[name] = MagicMock()
import kineticstoolkit as ktk

warnings.simplefilter("error")
time = np.arange(500) / 100
bends = ktk.TimeSeries(time=time).add_data("angle", 2 * np.sin(2 * np.pi * time - 1))
for name in ("default", "0.5 0.5", "1.0 0.0"):
    options = {} if name == "default" else {"thresholds": tuple(map(float, name.split()))}
    found = ktk.cycles.detect_cycles(bends, "angle", **options)
    one, two = ([event.time for event in found.events if event.name == phase] for phase in ("phase1", "phase2"))
    print(f"thresholds {name}: {len(one)} cycles, the first phase lasts {two[0] - one[0]:.2f} s")
for frames in (100, 500, 1000):
    tip = ktk.TimeSeries(time=np.arange(frames) / 100).add_data("tip", np.ones((frames, 4)))
    ktk.kinematics.write_trc_file(tip, "tip.trc")
    with open("tip.trc") as lines:
        header = [line.split("\t") for line in lines][1:3]
    told = dict(zip(*header, strict=True))
    print(f"{frames} frames at 100 Hz: DataRate {float(told['DataRate']):.0f}")
PY
)
echo "$found"
[ "$found" = "thresholds default: 45 cycles, the first phase lasts 0.01 s
thresholds 0.5 0.5: 5 cycles, the first phase lasts 0.42 s
thresholds 1.0 0.0: 5 cycles, the first phase lasts 0.41 s
100 frames at 100 Hz: DataRate 10000
500 frames at 100 Hz: DataRate 50000
1000 frames at 100 Hz: DataRate 100000" ]
