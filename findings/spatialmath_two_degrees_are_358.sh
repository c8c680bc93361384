#!/usr/bin/env bash
# spatialmath-python 1.1.18: two degrees of turn are 358, and an angle wrapped to 90 degrees either side is 240.
#
# Versions:  spatialmath-python 1.1.18, scipy 1.17.1, numpy 2.4.6. Only spatialmath.base is run.
# Input:     pairs of turns about a forearm's axis, as quaternions that r2q() makes of rotx(), and one of them and its
#            negative, which is the same orientation: qangle(). Angles of -200 to 400 degrees: wrap_mpi2_pi2(). Really:
#            SciPy's angle between the turns, and the arcsine of the sine.
# Behaviour: qangle() is documented as the smallest rotation that takes the one frame into the other. It does not turn
#            the sign of one quaternion if the two are further apart than one and the other's negative: of two such, it
#            returns 360 degrees less the angle. r2q() itself makes such signs where the largest part of a quaternion
#            changes, at -90 degrees. wrap_mpi2_pi2() is documented to wrap into the range from -90 to 90 degrees.
#            It takes off as many half turns as there are quarter turns: from 180 degrees on, it is out of the range. No
#            warning is given.
# Output:    turned by 10 and 30 degrees: qangle 20, really 20
#            turned by 80 and 100 degrees: qangle 20, really 20
#            turned by -80 and -100 degrees: qangle 340, really 20
#            turned by -89 and -91 degrees: qangle 358, really 2
#            one quaternion and its negative: qangle 360 degrees
#            wrap_mpi2_pi2 of 80 degrees: 80, really 80
#            wrap_mpi2_pi2 of 170 degrees: 10, really 10
#            wrap_mpi2_pi2 of 200 degrees: -160, really -20
#            wrap_mpi2_pi2 of 300 degrees: 240, really -60
#            wrap_mpi2_pi2 of 400 degrees: -320, really 40
#            wrap_mpi2_pi2 of -200 degrees: 160, really 20
# Why it matters: a quaternion and its negative are one orientation, and a sensor on the hand may give either. The angle
#            between two frames is how far the forearm has turned: pronation by 20 degrees becomes a turn of 340. Angles
#            that were unwrapped go beyond 180, and come out of the fold as another elevation of the arm.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps spatialmath-python==1.1.18
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from importlib.util import find_spec
from types import ModuleType

import numpy as np
from scipy.spatial.transform import Rotation

package = ModuleType("spatialmath")
package.__path__ = list(find_spec("spatialmath").submodule_search_locations)
sys.modules["spatialmath"] = package
from spatialmath import base

warnings.simplefilter("error")
for first, second in ((10, 30), (80, 100), (-80, -100), (-89, -91)):
    turned = [base.r2q(base.rotx(np.radians(degrees))) for degrees in (first, second)]
    true = Rotation.from_euler("x", [[first], [second]], degrees=True)
    true = np.degrees((true[0].inv() * true[1]).magnitude())
    print(f"turned by {first} and {second} degrees: qangle {np.degrees(base.qangle(*turned)):.0f}, really {true:.0f}")
quaternion = base.r2q(base.rotx(0.3))
print(f"one quaternion and its negative: qangle {np.degrees(base.qangle(quaternion, -quaternion)):.0f} degrees")
for degrees in (80, 170, 200, 300, 400, -200):
    found = np.degrees(base.wrap_mpi2_pi2(np.radians(degrees)))
    folded = np.degrees(np.arcsin(np.sin(np.radians(degrees))))
    print(f"wrap_mpi2_pi2 of {degrees} degrees: {found:.0f}, really {folded:.0f}")
PY
)
echo "$found"
[ "$found" = "turned by 10 and 30 degrees: qangle 20, really 20
turned by 80 and 100 degrees: qangle 20, really 20
turned by -80 and -100 degrees: qangle 340, really 20
turned by -89 and -91 degrees: qangle 358, really 2
one quaternion and its negative: qangle 360 degrees
wrap_mpi2_pi2 of 80 degrees: 80, really 80
wrap_mpi2_pi2 of 170 degrees: 10, really 10
wrap_mpi2_pi2 of 200 degrees: -160, really -20
wrap_mpi2_pi2 of 300 degrees: 240, really -60
wrap_mpi2_pi2 of 400 degrees: -320, really 40
wrap_mpi2_pi2 of -200 degrees: 160, really 20" ]
