#!/usr/bin/env bash
# pyjamalib 1.0.0: flexion of 60 degrees is 10 or 4, which are abduction and rotation, and of 19 cycles 12 are left.
#
# Versions:  pyjamalib 1.0.0, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1. matplotlib is replaced.
# Input:     tables of two segments, with the columns that DataAnalysis.all_filters() gives: in all seven filters alike,
#            flexion (Roll) has 60 degrees, abduction (Pitch) 10 and rotation (Yaw) 4, as sines of 0.5 Hz for 40 s at
#            75 Hz. Through DataAnalysis.joint_measures() with one, two and all of patternRoll, patternPitch and
#            patternYaw, else as by default. Then the flexion through pattern_extraction() with 0 as threshold, which it
#            crosses 40 times: 19 full cycles after the first crossing.
# Behaviour: joint_measures() is documented to return the joint angle in each filter, and the measures of the axes asked
#            for. The columns of the tables are joined to the results by their place, after those of the axes not asked
#            for were taken out. Those need "_Roll", "_Pitch" or "_Yaw" in their names, so that "Roll", "Pitch" and
#            "Yaw", the angles without a filter, stay in, and a result gets what is one or two places before its own.
#            With two axes most are of another one. Only with all three is all right. pattern_extraction() reckons with
#            three crossings for a cycle where it counts the cycles and with two where it cuts them, and leaves one more
#            out. No error or warning is given.
# Output:    Roll: Flex/Ext 60, _CF 10, _CF_GD 4, _CF_GN 60, _Kalman_GD 60, _Kalman_GN 60, _Madgwick 60
#            Pitch: Adu/Abd 60, _CF 10, _CF_GD 4, _CF_GN 10, _Kalman_GD 10, _Kalman_GN 10, _Madgwick 10
#            Yaw: Int/Ext_Rot 60, _CF 10, _CF_GD 4, _CF_GN 4, _Kalman_GD 4, _Kalman_GN 4, _Madgwick 4
#            Roll, Pitch: Flex/Ext 60, _CF 4, _CF_GD 10, _CF_GN 10, _Kalman_GD 10, _Kalman_GN 10, _Madgwick 10
#            Roll, Pitch: Adu/Abd 10, _CF 60, _CF_GD 60, _CF_GN 60, _Kalman_GD 60, _Kalman_GN 60, _Madgwick 60
#            Roll, Pitch, Yaw: Flex/Ext 60, _CF 60, _CF_GD 60, _CF_GN 60, _Kalman_GD 60, _Kalman_GN 60, _Madgwick 60
#            Roll, Pitch, Yaw: Adu/Abd 10, _CF 10, _CF_GD 10, _CF_GN 10, _Kalman_GD 10, _Kalman_GN 10, _Madgwick 10
#            Roll, Pitch, Yaw: Int/Ext_Rot 4, _CF 4, _CF_GD 4, _CF_GN 4, _Kalman_GD 4, _Kalman_GN 4, _Madgwick 4
#            pattern_extraction: 12 of 19 cycles
# Why it matters: the filters are there to be compared, and the ranges of motion are what is reported of a joint. Here a
#            simple complementary filter seems to lose 50 of 60 degrees.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pyjamalib==1.0.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
import pandas as pd

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
from pyjamalib import DataAnalysis, DataProcessing

warnings.simplefilter("error")
filters = ("", "CF_", "CF_GD_", "CF_GN_", "Kalman_GD_", "Kalman_GN_", "Madgwick_")
axes = {"Roll": ("Flex/Ext", 60), "Pitch": ("Adu/Abd", 10), "Yaw": ("Int/Ext_Rot", 4)}
time = np.arange(75 * 40) / 75
sine = np.sin(2 * np.pi * 0.5 * time + 0.1)


def segment(share):
    table = {"Time": time}
    for end in ("", "_Filt"):
        for sensor in ("Acc", "Gyr", "Mag"):
            for axis in "XYZ":
                table[f"{sensor}_{axis}{end}"] = 0 * time
    for kind in filters:
        for axis, (_, degrees) in axes.items():
            table[kind + axis] = share * degrees / 2 * sine
    return pd.DataFrame(table)


for asked in (("Roll",), ("Pitch",), ("Yaw",), ("Roll", "Pitch"), ("Roll", "Pitch", "Yaw")):
    wanted = {f"pattern{axis}": True for axis in asked}
    _, measures = DataAnalysis.joint_measures(segment(0), segment(-1), **wanted)
    ranges = dict(zip(measures["Movement"], measures["Rom"]))
    for axis in asked:
        name = axes[axis][0]
        told = [f"{key.replace(name + '_', '_')} {value:.0f}" for key, value in ranges.items() if key.startswith(name)]
        print(f"{', '.join(asked)}: {', '.join(told)}")

table = segment(1)
_, cycles = DataProcessing.pattern_extraction(table["Roll"], table["Time"], threshold=0)
crossings = np.count_nonzero(np.diff(np.signbit(table["Roll"])))
print(f"pattern_extraction: {len(cycles)} of {(crossings - 1) // 2} cycles")
PY
)
echo "$found"
[ "$found" = "Roll: Flex/Ext 60, _CF 10, _CF_GD 4, _CF_GN 60, _Kalman_GD 60, _Kalman_GN 60, _Madgwick 60
Pitch: Adu/Abd 60, _CF 10, _CF_GD 4, _CF_GN 10, _Kalman_GD 10, _Kalman_GN 10, _Madgwick 10
Yaw: Int/Ext_Rot 60, _CF 10, _CF_GD 4, _CF_GN 4, _Kalman_GD 4, _Kalman_GN 4, _Madgwick 4
Roll, Pitch: Flex/Ext 60, _CF 4, _CF_GD 10, _CF_GN 10, _Kalman_GD 10, _Kalman_GN 10, _Madgwick 10
Roll, Pitch: Adu/Abd 10, _CF 60, _CF_GD 60, _CF_GN 60, _Kalman_GD 60, _Kalman_GN 60, _Madgwick 60
Roll, Pitch, Yaw: Flex/Ext 60, _CF 60, _CF_GD 60, _CF_GN 60, _Kalman_GD 60, _Kalman_GN 60, _Madgwick 60
Roll, Pitch, Yaw: Adu/Abd 10, _CF 10, _CF_GD 10, _CF_GN 10, _Kalman_GD 10, _Kalman_GN 10, _Madgwick 10
Roll, Pitch, Yaw: Int/Ext_Rot 4, _CF 4, _CF_GD 4, _CF_GN 4, _Kalman_GD 4, _Kalman_GN 4, _Madgwick 4
pattern_extraction: 12 of 19 cycles" ]
