#!/usr/bin/env bash
# pyjamalib 1.0.0: a sensor at rest at 60 degrees is at 14 and 106 in turn, a movement of 60 degrees is one of 14.
#
# Versions:  pyjamalib 1.0.0, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1. matplotlib is replaced.
# Input:     accelerometer, magnetometer and gyroscope, without noise, of a sensor that is turned about its x axis, at
#            75 Hz: at rest for 20 s, through get_euler(). A movement of 30 degrees to both sides at 0.5 Hz, the angle
#            itself in degrees and the gyroscope in rad/s, through complementaryFilter() with alpha 0.01, the default of
#            all_filters(). Rest upright for 10 s and then that movement for 20 s, through DataAnalysis.all_filters().
#            The field is that of a place in Europe, of length 1 and in mG, the unit that is documented.
# Behaviour: get_euler() finds the turn by Gauss-Newton steps, which compare the field with one of length 1. It does not
#            bring its own to that length, as ComplementaryFilterGN() and KalmanGN() do, so that each step goes too far,
#            to and fro. complementaryFilter() is documented to take rad/s, which get_imu_data() gives, and adds them to
#            angles in degrees, which get_euler() gives: the gyroscope counts for a 57th. What is left is the angle of
#            the accelerometer, smoothed. all_filters() uses both so. No error or warning is given.
# Output:    rest at 20 degrees: 20 and 20 with a field of length 1, 6 and 34 with one of 500 mG
#            rest at 40 degrees: 40 and 40 with a field of length 1, 12 and 68 with one of 500 mG
#            rest at 60 degrees: 60 and 60 with a field of length 1, 14 and 106 with one of 500 mG
#            complementaryFilter, gyroscope in rad/s: 14 of 60 degrees, 0.4 s late
#            complementaryFilter, gyroscope in degrees/s: 60 of 60 degrees, 0.0 s late
#            all_filters, field of length 1: like the movement Roll 0.9, Madgwick_Roll 1.0
#            all_filters, field of 500 mG: like the movement Roll -0.5, Madgwick_Roll 1.0
# Why it matters: these are the Roll and CF_Roll that joint angles are computed from, and that the other filters are
#            compared with. A slow movement of the wrist or the knee seems to be small and late.
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

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
from pyjamalib import DataAnalysis, DataProcessing
from scipy.spatial.transform import Rotation

warnings.simplefilter("error")
rate = 75
earth = np.array([0.4, 0, -0.9]) / np.hypot(0.4, 0.9)
fields = {"of length 1": 1, "of 500 mG": 500}


def sensors(roll, strength):
    turn = Rotation.from_euler("x", roll[:, None], degrees=True).inv()
    return turn.apply([0.0, 0, 1]), strength * turn.apply(earth)


for roll in (20, 40, 60):
    told = []
    for name, strength in fields.items():
        acceleration, field = sensors(np.full(20 * rate, roll), strength)
        angles, _, _ = DataProcessing.get_euler([1, 0, 0, 0], acceleration, field)
        last = f"{angles[-4:].min():.0f} and {angles[-4:].max():.0f}"
        told.append(f"{last} with {'one' if told else 'a field'} {name}")
    print(f"rest at {roll} degrees: {', '.join(told)}")

time = np.arange(30 * rate) / rate
zero = 0 * time
angle = 30 * np.sin(np.pi * time)
late = slice(20 * rate, 28 * rate)
for name, unit in (("rad/s", np.pi / 180), ("degrees/s", 1)):
    speed = unit * 30 * np.pi * np.cos(np.pi * time)
    filtered = DataProcessing.complementaryFilter(angle, zero, zero, speed, zero, zero, alpha=0.01)[late, 0]
    lag = np.argmax([np.dot(np.roll(angle[late], lag), filtered) for lag in range(rate)]) / rate
    print(f"complementaryFilter, gyroscope in {name}: {np.ptp(filtered):.0f} of 60 degrees, {lag:.1f} s late")

moves = np.where(time < 10, 0, angle)
directions = np.random.default_rng(0).normal(size=(500, 3))
directions = np.concatenate([directions, -directions])
for name, strength in fields.items():
    acceleration, field = sensors(90 + moves, strength)
    data = np.column_stack([time, acceleration, np.gradient(moves, time), zero, zero, field])
    calibration = np.zeros((len(directions), 10))
    calibration[:, 7:] = strength * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    table = DataAnalysis.all_filters(data, calibration)
    keys = ("Roll", "Madgwick_Roll")
    like = [f"{key} {np.corrcoef(table[key][late], moves[late])[0, 1]:.1f}" for key in keys]
    print(f"all_filters, field {name}: like the movement {', '.join(like)}")
PY
)
echo "$found"
[ "$found" = "rest at 20 degrees: 20 and 20 with a field of length 1, 6 and 34 with one of 500 mG
rest at 40 degrees: 40 and 40 with a field of length 1, 12 and 68 with one of 500 mG
rest at 60 degrees: 60 and 60 with a field of length 1, 14 and 106 with one of 500 mG
complementaryFilter, gyroscope in rad/s: 14 of 60 degrees, 0.4 s late
complementaryFilter, gyroscope in degrees/s: 60 of 60 degrees, 0.0 s late
all_filters, field of length 1: like the movement Roll 0.9, Madgwick_Roll 1.0
all_filters, field of 500 mG: like the movement Roll -0.5, Madgwick_Roll 1.0" ]
