#!/usr/bin/env bash
# AHRS 0.4.0: a forearm that turned by +30 degrees has turned by -30 when its angles are read from the matrix.
#
# Versions:  AHRS 0.4.0, scipy 1.17.1, numpy 2.4.6.
# Input:     roll, pitch and yaw of one orientation in degrees, once one angle alone and once three, made into a
#            quaternion by Quaternion(rpy=...) and read back in AHRS' four ways, two from the quaternion as it is, one
#            by q2euler() and one from its matrix. For comparison, SciPy reads AHRS' matrix. Last, DCM(x=...), AHRS' own
#            matrix of a turn about x.
# Behaviour: quaternion and matrix agree and rotate vectors alike. Quaternion.to_angles() and q2rpy() read the angles
#            back. DCM.to_rpy(), with its synonym to_angles(), and q2euler() use the formulas of the transposed matrix
#            and give the angles of the inverse rotation: of one angle that is its negative, of three it is three
#            others. The documentation calls all of them roll, pitch and yaw or angles around x, y and z; it gives
#            to_rpy()'s formula but no word that it is for another kind of matrix than the class builds. No warning is
#            given.
# Output:    roll 30 pitch 0 yaw 0
#              Quaternion.to_angles: 30.0 0.0 0.0, q2rpy: 30.0 0.0 0.0, scipy from the matrix: 30.0 0.0 0.0
#              DCM.to_rpy: -30.0 0.0 0.0, q2euler: -30.0 0.0 0.0
#            roll 30 pitch 20 yaw 10
#              Quaternion.to_angles: 30.0 20.0 10.0, q2rpy: 30.0 20.0 10.0, scipy from the matrix: 30.0 20.0 10.0
#              DCM.to_rpy: -28.5 -22.2 1.1, q2euler: -28.5 -22.2 1.1
#            DCM(x=30 degrees).to_rpy: -30.0 0.0 0.0
# Why it matters: AHRS turns the accelerometer, gyroscope and magnetometer of armbands and gloves into orientations, and
#            hand pose is learnt from their angles. Pronation becomes supination and extension flexion, depending on
#            whether one passes the filter's quaternion or its matrix; each alone looks plausible.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile ahrs==0.4.0 scipy==1.17.1 numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from ahrs import DCM, Quaternion
from ahrs.common.orientation import q2euler, q2rpy
from scipy.spatial.transform import Rotation

warnings.simplefilter("error")


def show(name, angles, end):
    print(f"{name}:", *(f"{round(float(angle), 1) + 0:.1f}" for angle in np.degrees(angles)), end=end)


for degrees in ((30, 0, 0), (30, 20, 10)):
    turned = Quaternion(rpy=np.radians(degrees))
    matrix = turned.to_DCM()
    assert np.allclose(turned.rotate([1, 2, 3]), matrix @ [1, 2, 3])
    assert np.allclose(DCM(matrix).to_angles(), DCM(q=np.array(turned)).to_rpy())
    print("roll", degrees[0], "pitch", degrees[1], "yaw", degrees[2])
    show("  Quaternion.to_angles", turned.to_angles(), ", ")
    show("q2rpy", q2rpy(np.array(turned)), ", ")
    show("scipy from the matrix", Rotation.from_matrix(matrix).as_euler("xyz"), "\n")
    show("  DCM.to_rpy", DCM(matrix).to_rpy(), ", ")
    show("q2euler", q2euler(np.array(turned)), "\n")
show("DCM(x=30 degrees).to_rpy", DCM(x=np.radians(30)).to_rpy(), "\n")
PY
)
echo "$found"
[ "$found" = "roll 30 pitch 0 yaw 0
  Quaternion.to_angles: 30.0 0.0 0.0, q2rpy: 30.0 0.0 0.0, scipy from the matrix: 30.0 0.0 0.0
  DCM.to_rpy: -30.0 0.0 0.0, q2euler: -30.0 0.0 0.0
roll 30 pitch 20 yaw 10
  Quaternion.to_angles: 30.0 20.0 10.0, q2rpy: 30.0 20.0 10.0, scipy from the matrix: 30.0 20.0 10.0
  DCM.to_rpy: -28.5 -22.2 1.1, q2euler: -28.5 -22.2 1.1
DCM(x=30 degrees).to_rpy: -30.0 0.0 0.0" ]
