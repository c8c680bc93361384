#!/usr/bin/env bash
# scikit-kinematics 0.10.4: a forearm turned by 110 degrees reads as 70, and Euler angles are those of other turns.
#
# Versions:  scikit-kinematics 0.10.4, scipy 1.17.1, sympy 1.14.0, numpy 2.4.6. What it imports for plots, tables and
#            file dialogs, matplotlib, pandas and tkinter, is left out.
# Input:     three angles in degrees, made into a quaternion by rotmat.seq2quat() and read back in the same sequence:
#            from the quaternion by quat.quat2seq() and from its matrix by rotmat.sequence(). "off" is the angle between
#            the rotation put in and that of the angles that came out, by seq2quat() again.
# Behaviour: quat2seq() takes an arcsine for the first and the third angle of "nautical" (the default), "Fick" and
#            "Helmholtz": what is beyond 90 degrees is folded back. In its "Euler" the first angle lacks a minus, and
#            even 20 degrees about x alone come back with 180 about z. sequence() is right for "nautical". Its "Euler"
#            tests for a small second angle without the absolute value and sets every negative one to 0, with the
#            first; its "Helmholtz" is folded, too, and has the first two angles in the other order. No warning is
#            given. Both promise the angles that correspond to the rotation. A limit is told of the third angle and of
#            sequence() only, and it is pi.
# Output:    nautical 10 20 80: quat2seq 10 20 80 off 0, sequence 10 20 80 off 0
#            nautical 10 20 110: quat2seq 10 20 70 off 40, sequence 10 20 110 off 0
#            nautical 170 0 0: quat2seq 10 0 0 off 160, sequence 170 0 0 off 0
#            Euler 0 20 0: quat2seq 180 20 0 off 180, sequence 0 20 0 off 0
#            Euler 10 20 30: quat2seq 170 20 30 off 160, sequence 10 20 30 off 0
#            Euler 10 -20 30: quat2seq -10 20 -150 off 160, sequence 0 0 38 off 20
#            Helmholtz 10 20 110: quat2seq 10 20 70 off 40, sequence 20 10 70 off 40
# Why it matters: IMUs on the hand and forearm give quaternions, and joint angles are what hand pose is learnt from.
#            Forearms pronate and fingers bend by more than 90 degrees: the trace turns around at 90 and looks like a
#            movement back. With "Euler" quat2seq() is wrong even for small ones.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 sympy==1.14.0 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps scikit-kinematics==0.10.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot", "pandas", "tkinter", "tkinter.filedialog"):
    sys.modules[name] = MagicMock()
from skinematics import quat, rotmat

warnings.simplefilter("error")


def show(angles):
    return " ".join(f"{round(float(angle)) + 0:d}" for angle in angles)


for order, angles in (("nautical", (10, 20, 80)), ("nautical", (10, 20, 110)), ("nautical", (170, 0, 0)),
                      ("Euler", (0, 20, 0)), ("Euler", (10, 20, 30)), ("Euler", (10, -20, 30)),
                      ("Helmholtz", (10, 20, 110))):
    turned = rotmat.seq2quat(angles, order)[0]
    matrix = quat.convert(turned, to="rotmat").reshape(3, 3)
    # The angles mean what the documentation says: the product of the three single turns.
    axes = {"nautical": "zyx", "Euler": "zxz", "Helmholtz": "yzx"}[order]
    single = [rotmat.R(axis, angle) for axis, angle in zip(axes, angles, strict=True)]
    assert np.allclose(matrix, single[0] @ single[1] @ single[2])
    told = []
    for name, read in (("quat2seq", quat.quat2seq(turned, order)[0]),
                       ("sequence", np.degrees(rotmat.sequence(matrix, order)))):
        again = rotmat.seq2quat(read, order)[0]
        off = 2 * np.degrees(np.arccos(np.clip(abs(turned @ again), 0, 1)))
        told.append(f"{name} {show(read)} off {round(off)}")
    print(f"{order} {show(angles)}: {', '.join(told)}")
PY
)
echo "$found"
[ "$found" = "nautical 10 20 80: quat2seq 10 20 80 off 0, sequence 10 20 80 off 0
nautical 10 20 110: quat2seq 10 20 70 off 40, sequence 10 20 110 off 0
nautical 170 0 0: quat2seq 10 0 0 off 160, sequence 170 0 0 off 0
Euler 0 20 0: quat2seq 180 20 0 off 180, sequence 0 20 0 off 0
Euler 10 20 30: quat2seq 170 20 30 off 160, sequence 10 20 30 off 0
Euler 10 -20 30: quat2seq -10 20 -150 off 160, sequence 0 0 38 off 20
Helmholtz 10 20 110: quat2seq 10 20 70 off 40, sequence 20 10 70 off 40" ]
