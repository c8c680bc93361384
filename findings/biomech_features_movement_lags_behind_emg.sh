#!/usr/bin/env bash
# biomech-features 0.1.1: EMG and movement in one row are 14 s apart after 10 minutes, and the gyroscope is not there.
#
# Versions:  biomech-features 0.1.1, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6.
# Input:     10 minutes of EMG and acceleration whose values are the time in seconds, at rates of sensors that are sold
#            with both: 1,024 and 51.2 Hz with the default windows of 2 s each 0.5 s, and 1259.26 and 148.148 Hz with
#            windows of 0.2 s each 0.1 s, through make_windows(), which extract_features() calls. Then 4 s of noise as
#            acceleration and gyroscope through extract_features() with windows of 2 s.
# Behaviour: the windows are documented by length and step in seconds, and one row has the features of all sensors. The
#            step is cut down to whole samples for each sensor by itself, and window i starts at i steps: each of them
#            adds what was cut off. Windows from segments, in the same module, are aligned by the time. And the fixed
#            windows, which are the default, never take the gyroscope with them, whose features are documented: there
#            is no column of them. No error or warning is given.
# Output:    1024 and 51.2 Hz: row of 60 s has EMG from 60.0 s, acceleration from 58.6 s
#            1024 and 51.2 Hz: row of 300 s has EMG from 300.0 s, acceleration from 293.0 s
#            1024 and 51.2 Hz: row of 590 s has EMG from 590.0 s, acceleration from 576.2 s
#            1259.26 and 148.148 Hz: row of 60 s has EMG from 59.6 s, acceleration from 56.7 s
#            1259.26 and 148.148 Hz: row of 300 s has EMG from 297.8 s, acceleration from 283.5 s
#            1259.26 and 148.148 Hz: row of 590 s has EMG from 585.7 s, acceleration from 557.6 s
#            fixed windows: 5 rows, 0 columns of the gyroscope
# Why it matters: one row per window is what a classifier of movements from EMG and motion sensors is trained on. Its
#            EMG is of another repetition, or of another movement, than its acceleration and its label.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check biomech-features==0.1.1 pandas==3.1.1 scipy==1.17.1 \
    numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from biomechfe import extract_features
from biomechfe.config import WindowSettings
from biomechfe.windowing import make_windows

warnings.simplefilter("error")
default = WindowSettings()
for emg_rate, acc_rate, length, step in ((1024, 51.2, default.window_s, default.step_s), (1259.26, 148.148, 0.2, 0.1)):
    emg, acc = (np.arange(int(600 * rate)) / rate for rate in (emg_rate, acc_rate))
    windows = make_windows({"emg": emg[None]}, {"acc": np.stack(3 * [acc])}, emg_rate, acc_rate, length, step)
    for second in (60, 300, 590):
        window = windows[round(second / step)]
        print(
            f"{emg_rate} and {acc_rate} Hz: row of {second} s has EMG from {window['emg'][0, 0]:.1f} s,"
            f" acceleration from {window['acc'][0, 0]:.1f} s"
        )
acc, gyr = np.random.default_rng(0).normal(size=(2, 3, 400))
table = extract_features({"imu": {"acc": acc, "gyr": gyr}}, fs_imu=100, window_s=2, step_s=0.5)
repetitions = extract_features({"imu": {"acc": acc, "gyr": gyr}}, fs_imu=100, segmentation={"mode": "reps", "axis": 0})
own = {name for name in repetitions if name.startswith(("gyr", "ROM_"))}
assert len(own) > 100
print(f"fixed windows: {len(table)} rows, {len(own & set(table))} columns of the gyroscope")
PY
)
echo "$found"
[ "$found" = "1024 and 51.2 Hz: row of 60 s has EMG from 60.0 s, acceleration from 58.6 s
1024 and 51.2 Hz: row of 300 s has EMG from 300.0 s, acceleration from 293.0 s
1024 and 51.2 Hz: row of 590 s has EMG from 590.0 s, acceleration from 576.2 s
1259.26 and 148.148 Hz: row of 60 s has EMG from 59.6 s, acceleration from 56.7 s
1259.26 and 148.148 Hz: row of 300 s has EMG from 297.8 s, acceleration from 283.5 s
1259.26 and 148.148 Hz: row of 590 s has EMG from 585.7 s, acceleration from 557.6 s
fixed windows: 5 rows, 0 columns of the gyroscope" ]
