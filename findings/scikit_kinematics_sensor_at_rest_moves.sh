#!/usr/bin/env bash
# scikit-kinematics 0.10.4: a forearm that rests on the table, turned by 90 degrees, moves 173 m in five seconds.
#
# Versions:  scikit-kinematics 0.10.4, scipy 1.17.1, sympy 1.14.0, numpy 2.4.6. What it imports for plots, tables and
#            file dialogs, matplotlib, pandas and tkinter, is left out.
# Input:     an IMU at 100 Hz as a dictionary for MyOwnSensor, in the units asked for, m/s2 and rad/s. First 5 s at
#            rest, turned about x by 0, 10 and 90 degrees, with that matrix as R_init and the defaults otherwise. Then a
#            turn about the vertical by 90 degrees with the magnetic field, by q_type "kalman" and "mahony".
# Behaviour: R_init is to be the initial orientation and "pos" the position in space. The orientation is divided by its
#            first value after R_init went in, so "quat" starts with no turn whatever R_init is; then "pos" is computed
#            with it and takes gravity away along z, where it is not. The position that analytical() computed in between
#            is right and thrown away. "kalman" takes the angular velocity from degrees to radians, which it is in
#            already: "quat" is what kalman() gives for a hand 57 times slower. "mahony" adds its corrections into
#            the measured angular velocity itself: a set_qtype() after it starts from changed data. No warning is given.
# Output:    at rest, turned by 0: first quat 0 degrees, moved 0.0 m, analytical() 0.0 m
#            at rest, turned by 10: first quat 0 degrees, moved 21.4 m, analytical() 0.0 m
#            at rest, turned by 90: first quat 0 degrees, moved 173.4 m, analytical() 0.0 m
#            kalman: quat of the velocity given no, of a velocity 57 times smaller yes
#            mahony: omega as measured no
# Why it matters: IMUs on wrist and fingers are never mounted along gravity, and R_init is there for that. Whoever reads
#            "pos" and "vel" as movement of the hand reads gravity, and filters that are compared one after the other
#            on one sensor by set_qtype(), as the class's example does, depend on their order with "mahony" among them.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 sympy==1.14.0 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps scikit-kinematics==0.10.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import io
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot", "pandas", "tkinter", "tkinter.filedialog"):
    sys.modules[name] = MagicMock()
from skinematics import imus, rotmat
from skinematics.sensors.manual import MyOwnSensor

warnings.simplefilter("error")
RATE, SIZE, UP = 100.0, 501, np.array([0, 0, 9.80665])


def sensor(data, **options):
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bar
        return MyOwnSensor(in_file="made", in_data={"rate": RATE, **{key: data[key].copy() for key in data}}, **options)


for degrees in (0, 10, 90):
    start = rotmat.R("x", degrees)
    rest = {"acc": np.tile(start.T @ UP, (SIZE, 1)), "omega": np.zeros((SIZE, 3))}
    imu = sensor(rest, R_init=start)
    first = 2 * np.degrees(np.arccos(np.clip(imu.quat[0, 0], 0, 1)))
    alone = imus.analytical(start, rest["omega"], np.zeros(3), rest["acc"], RATE)[1]
    print(f"at rest, turned by {degrees}: first quat {first:.0f} degrees, moved {np.linalg.norm(imu.pos[-1]):.1f} m, "
          f"analytical() {np.linalg.norm(alone[-1]):.1f} m")
omega = np.zeros((SIZE, 3))
omega[100:300, 2] = np.pi / 4
angle = np.cumsum(omega[:, 2]) / RATE
turn = {"acc": np.tile(UP, (SIZE, 1)), "omega": omega,
        "mag": np.column_stack([np.cos(angle), -np.sin(angle), np.zeros(SIZE)])}


def same(one, other):
    return "yes" if np.allclose(one, other, atol=1e-9) else "no"


quat = sensor(turn, q_type="kalman").quat
given, smaller = (imus.kalman(RATE, turn["acc"], omega * factor, turn["mag"]) for factor in (1, np.pi / 180))
print(f"kalman: quat of the velocity given {same(quat, given)}, of a velocity 57 times smaller {same(quat, smaller)}")
print("mahony: omega as measured", same(sensor(turn, q_type="mahony").omega, omega))
PY
)
echo "$found"
[ "$found" = "at rest, turned by 0: first quat 0 degrees, moved 0.0 m, analytical() 0.0 m
at rest, turned by 10: first quat 0 degrees, moved 21.4 m, analytical() 0.0 m
at rest, turned by 90: first quat 0 degrees, moved 173.4 m, analytical() 0.0 m
kalman: quat of the velocity given no, of a velocity 57 times smaller yes
mahony: omega as measured no" ]
