#!/usr/bin/env bash
# Kinetics Toolkit 0.17.0: with flip=True the first of three joint angles is -510 degrees when the second is below zero.
#
# Versions:  kineticstoolkit 0.17.0, scipy 1.17.1, numpy 2.4.6. Only get_angles() is run, and of what
#            Kinetics Toolkit imports only these are installed: the function calls NumPy and SciPy only.
# Input:     turns of 30 degrees about X, then 20 to -20 about Y, then 10 about Z, as transforms through
#            geometry.get_angles(seq="XYZ", degrees=True), without and with flip=True.
# Behaviour: flip=True gives the other three angles of the same rotation; the documentation promises the first and the
#            third within [-180, 180]. Both are wrapped, and then the second; where that one is above 180, 360 is
#            subtracted from the whole row instead of from it. The third angle is wrapped once more after that, the
#            first is not: it is 360 too low, between -540 and -180, wherever the unflipped second angle is below zero.
#            No warning is given.
# Output:    30 20 10: flipped -150 160 -170
#            30 1 10: flipped -150 179 -170
#            30 -1 10: flipped -510 -179 -170
#            30 -20 10: flipped -510 -160 -170
#            -30 -20 10: flipped -210 -160 -170
# Why it matters: flip is there for joints whose angles lie beyond the usual range. The wrist's deviation and the
#            thumb's abduction pass zero all the time: each time the angle before them, which did not move, jumps by a
#            whole turn. Means, ranges of motion and a model's target in degrees then hold turns nobody made.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps kineticstoolkit==0.17.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
from scipy.spatial.transform import Rotation

for name in ("ezc3d", "limitedinteraction", "matplotlib", "matplotlib.pyplot", "pandas", "requests_cache", "sklearn",
             "sklearn.neighbors", "tqdm"):
    sys.modules[name] = MagicMock()
import kineticstoolkit as ktk

warnings.simplefilter("error")
for angles in ((30, 20, 10), (30, 1, 10), (30, -1, 10), (30, -20, 10), (-30, -20, 10)):
    joint = np.eye(4)[np.newaxis]
    joint[0, :3, :3] = Rotation.from_euler("XYZ", angles, degrees=True).as_matrix()
    plain, flipped = (ktk.geometry.get_angles(joint, "XYZ", degrees=True, flip=flip)[0] for flip in (False, True))
    assert np.allclose(plain, angles)
    assert np.allclose(Rotation.from_euler("XYZ", flipped, degrees=True).as_matrix(), joint[0, :3, :3])
    print(*angles, end=": ")
    print("flipped", *(round(float(angle)) for angle in flipped))
PY
)
echo "$found"
[ "$found" = "30 20 10: flipped -150 160 -170
30 1 10: flipped -150 179 -170
30 -1 10: flipped -510 -179 -170
30 -20 10: flipped -510 -160 -170
-30 -20 10: flipped -210 -160 -170" ]
