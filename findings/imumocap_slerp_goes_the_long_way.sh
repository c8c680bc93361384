#!/usr/bin/env bash
# imumocap 1.4.0: between orientations 60 degrees apart, every fourth slerp goes the other way round, 180 degrees off.
#
# Versions:  imumocap 1.4.0, scipy 1.17.1, numpy 2.4.6. Only its module "matrix" is run, which needs numpy; the
#            whole package needs Python 3.12.
# Input:     1,000 random orientations and others 30, 60 and 90 degrees from them about random axes, through
#            Matrix.slerp() with 5 steps. The same from no rotation to one about x by 60, 120, 170 and 180 degrees. A
#            place of 1, 2, 3 in a Matrix with rotations of each kind that it takes.
# Behaviour: slerp() names the article on spherical interpolation that it follows, by which orientations turn at a
#            steady speed about one axis. It weights the two quaternions by sines of the angle between the rotations,
#            where the formula has that between the quaternions, half as much. The middle is right, the quarters are
#            drawn to the middle, and at 180 degrees all of them are it. Nor does it look whether the two quaternions
#            have a product below zero, as they have whenever the conversion from the matrices gives them opposite
#            signs: then it passes through the far side. And a Matrix from an axis and angle drops the place that it
#            is given. No error or warning is given, and all results are rotations.
# Output:    60 degrees about x: at 0, 16, 30, 44, 60 degrees
#            120 degrees about x: at 0, 38, 60, 82, 120 degrees
#            170 degrees about x: at 0, 77, 85, 93, 170 degrees
#            180 degrees about x: at 0, 90, 90, 90, 180 degrees
#            random, 30 degrees apart: 11 % in the middle 180 degrees from SciPy's, the others up to 0.1
#            random, 60 degrees apart: 23 % in the middle 180 degrees from SciPy's, the others up to 0.8
#            random, 90 degrees apart: 26 % in the middle 180 degrees from SciPy's, the others up to 3.0
#            place by rotation: 1, 2, 3
#            place by quaternion: 1, 2, 3
#            place by axis_angle: 0, 0, 0
# Why it matters: the package makes a moving body or hand of a few inertial sensors, and its interpolate() puts the
#            links between two sensors, as of a back or of fingers, by slerp(). Which way a link goes depends on how
#            the wearer faces in the room, so that it flips while he turns and the joints hold still.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps imumocap==1.4.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

folder = Path(find_spec("imumocap").origin).parent
sys.modules["imumocap"] = ModuleType("imumocap")
sys.modules["imumocap"].__path__ = [str(folder)]
Matrix = importlib.import_module("imumocap.matrix").Matrix
warnings.simplefilter("error")
random = np.random.default_rng(0)


def between(first, last):
    matrices = Matrix.slerp(Matrix(rotation=first.as_matrix()), Matrix(rotation=last.as_matrix()), 5)
    return Rotation.from_matrix(np.array([matrix.rotation for matrix in matrices]))


for angle in (60, 120, 170, 180):
    turned = np.degrees(between(Rotation.identity(), Rotation.from_euler("x", angle, degrees=True)).magnitude())
    print(f"{angle} degrees about x: at {', '.join(f'{turn:.0f}' for turn in turned)} degrees")
for angle in (30, 60, 90):
    off = []
    for first in Rotation.random(1000, random_state=random):
        axis = random.normal(size=3)
        last = first * Rotation.from_rotvec(np.radians(angle) * axis / np.linalg.norm(axis))
        right = Slerp([0, 1], Rotation.concatenate([first, last]))(np.arange(5) / 4)
        off.append(np.degrees((between(first, last) * right.inv()).magnitude()))
    off = np.array(off)
    far = off[:, 2] > 1
    assert np.allclose(off[far, 2], 180)
    print(
        f"random, {angle} degrees apart: {100 * far.mean():.0f} % in the middle 180 degrees from SciPy's,"
        f" the others up to {off[~far].max():.1f}"
    )
turn = Rotation.from_euler("x", 90, degrees=True)
kinds = {
    "rotation": turn.as_matrix(),
    "quaternion": turn.as_quat(scalar_first=True),
    "axis_angle": (np.array([1, 0, 0]), 90),
}
for kind, value in kinds.items():
    kept = Matrix(xyz=np.array([1, 2, 3]), **{kind: value}).xyz
    print(f"place by {kind}:", ", ".join(f"{part:.0f}" for part in kept))
PY
)
echo "$found"
[ "$found" = "60 degrees about x: at 0, 16, 30, 44, 60 degrees
120 degrees about x: at 0, 38, 60, 82, 120 degrees
170 degrees about x: at 0, 77, 85, 93, 170 degrees
180 degrees about x: at 0, 90, 90, 90, 180 degrees
random, 30 degrees apart: 11 % in the middle 180 degrees from SciPy's, the others up to 0.1
random, 60 degrees apart: 23 % in the middle 180 degrees from SciPy's, the others up to 0.8
random, 90 degrees apart: 26 % in the middle 180 degrees from SciPy's, the others up to 3.0
place by rotation: 1, 2, 3
place by quaternion: 1, 2, 3
place by axis_angle: 0, 0, 0" ]
