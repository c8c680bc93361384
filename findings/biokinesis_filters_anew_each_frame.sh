#!/usr/bin/env bash
# biokinesis-sdk 1.0.2: in frames of 50 ms its band pass from 20 Hz lets 15 % of 5 Hz through, and its notch 74 % of 50.
#
# Versions:  biokinesis-sdk 1.0.2, numpy 2.4.6. Only the Orchestrator is run, with its filters at their defaults, and of
#            what biokinesis-sdk requires only NumPy is installed: these parts import nothing else.
# Input:     8 s at 2,000 Hz of sines of 100 uV rms with 5, 50 and 100 Hz and of a constant of 100 uV, each as EMGFrame
#            objects of 16,000 (one frame), 2,000, 400, 100 and 20 samples, fed to one sensor in their order. Each value
#            is the rms of the filtered EMG in the middle 4 s as collect_all_data() returns it for export.
# Behaviour: a frame is documented as a block of samples of one sensor, and the data of all frames are joined. But each
#            frame is filtered by itself, forth and back: the band pass from 20 to 450 Hz and the notch of 50 Hz start
#            at zero at both of its ends, without padding and without what came before. In a short frame they never
#            settle, and the joined EMG has movement, mains and offset in it and jumps at each frame's ends. In one
#            frame all is right. No warning is given, and a least length of a frame is not documented.
# Output:    frames of 16000: of 100 uV offset 0, 5 Hz 0, 50 Hz 0, 100 Hz 100 uV
#            frames of 2000: of 100 uV offset 3, 5 Hz 1, 50 Hz 17, 100 Hz 100 uV
#            frames of 400: of 100 uV offset 7, 5 Hz 2, 50 Hz 45, 100 Hz 99 uV
#            frames of 100: of 100 uV offset 14, 5 Hz 15, 50 Hz 74, 100 Hz 97 uV
#            frames of 20: of 100 uV offset 27, 5 Hz 27, 50 Hz 38, 100 Hz 81 uV
# Why it matters: the package is for wearable sensors of EMG, which send their samples in small packets; its example's
#            frame lasts 2 s. The same recording gives another EMG by the size of the packets it came in, with the mains
#            and the movement of cables in it that the filters are there for.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biokinesis-sdk==1.0.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from biokinesis_sdk.core.types import EMGFrame, SensorConfig
from biokinesis_sdk.orchestrator import Orchestrator

warnings.simplefilter("error")
times = np.arange(16000) / 2000
signals = {"offset": np.full(16000, 100.0)}
for frequency in (5, 50, 100):
    signals[f"{frequency} Hz"] = 100 * np.sqrt(2) * np.sin(2 * np.pi * frequency * times)
for size in (16000, 2000, 400, 100, 20):
    levels = []
    for name, emg in signals.items():
        orchestrator = Orchestrator()
        orchestrator.add_sensor(SensorConfig(sensor_id=1, label="flexor"))
        for start in range(0, 16000, size):
            part = slice(start, start + size)
            orchestrator.ingest_emg(1, EMGFrame(1, 1e6 * times[part], emg[part]))
        filtered = orchestrator.collect_all_data()["1"]["emg_filtered"]
        levels.append(f"{name} {np.sqrt(np.mean(filtered[4000:12000] ** 2)):.0f}")
    print(f"frames of {size}: of 100 uV", ", ".join(levels), "uV")
PY
)
echo "$found"
[ "$found" = "frames of 16000: of 100 uV offset 0, 5 Hz 0, 50 Hz 0, 100 Hz 100 uV
frames of 2000: of 100 uV offset 3, 5 Hz 1, 50 Hz 17, 100 Hz 100 uV
frames of 400: of 100 uV offset 7, 5 Hz 2, 50 Hz 45, 100 Hz 99 uV
frames of 100: of 100 uV offset 14, 5 Hz 15, 50 Hz 74, 100 Hz 97 uV
frames of 20: of 100 uV offset 27, 5 Hz 27, 50 Hz 38, 100 Hz 81 uV" ]
