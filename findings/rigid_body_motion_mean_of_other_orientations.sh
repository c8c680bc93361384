#!/usr/bin/env bash
# rigid-body-motion 0.9.3: of the means of orientations within a few degrees 60 % are more than 30 degrees off.
#
# Versions:  rigid-body-motion 0.9.3, numpy-quaternion 2024.0.13, anytree 2.13.0, scipy 1.17.1, numpy 2.4.6.
# Input:     50 orientations of a hand around one, with a deviation of 2 degrees about each axis, as quaternions, for
#            2,000 random orientations and for turns by 90 degrees about x, y and z: through qmean(). Four markers at
#            the corners of a plate of 60 by 40 mm, measured before and after a random turn, each with 0.2 mm of noise,
#            both about their mean: through best_fit_rotation() and best_fit_transform().
# Behaviour: qmean() takes the eigenvectors of the mean outer product, which is right. To pick the one of the largest
#            eigenvalue it sorts the eigenvalues, but uses the order for the rows, which are the components: what it
#            returns is always the first eigenvector, its four numbers put in another order. It is right where
#            NumPy happens to return the largest eigenvalue first. best_fit_rotation() is documented as the rotation
#            with the least squares. It lacks the check for a mirrored result, which best_fit_transform() has: when the
#            points lie in a plane, noise decides whether a reflection fits best, whose matrix it then converts to a
#            quaternion as if it were a rotation. The length of all results is 1. No warning is given.
# Output:    qmean: 31 % within 1 degree of SciPy's mean, 60 % more than 30 degrees off
#            qmean about x 90: 120 degrees off
#            qmean about y 90: 120 degrees off
#            qmean about z 90: 120 degrees off
#            best_fit_rotation: 49 % within 1 degree of SciPy's, 45 % more than 30 degrees off
#            best_fit_transform: 100 % within 1 degree of SciPy's, 0 % more than 30 degrees off
# Why it matters: the neutral pose of a hand or a sensor is the mean of many frames, from which all later angles are
#            measured, and marker plates on forearm and hand, like the palm's points of a hand tracker, are flat.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check numpy-quaternion==2024.0.13 anytree==2.13.0 \
    scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps rigid-body-motion==0.9.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from rigid_body_motion import best_fit_rotation, best_fit_transform, qmean
from scipy.spatial.transform import Rotation

warnings.simplefilter("error")
random = np.random.default_rng(0)


def degrees_off(quaternion, rotation):
    assert abs(np.linalg.norm(quaternion) - 1) < 1e-9
    return np.degrees((Rotation.from_quat(quaternion, scalar_first=True) * rotation.inv()).magnitude())


def off_by_qmean(orientation):
    around = Rotation.from_rotvec(np.radians(2) * random.normal(size=(50, 3))) * orientation
    return degrees_off(qmean(around.as_quat(scalar_first=True), axis=0), around.mean())


def report(name, right, off):
    near, far = 100 * np.mean(np.array(off) < 1), 100 * np.mean(np.array(off) > 30)
    print(f"{name}: {near:.0f} % within 1 degree of {right}, {far:.0f} % more than 30 degrees off")


turns = Rotation.random(2000, random_state=random)
report("qmean", "SciPy's mean", [off_by_qmean(turn) for turn in turns])
for axis in "xyz":
    print(f"qmean about {axis} 90: {off_by_qmean(Rotation.from_euler(axis, 90, degrees=True)):.0f} degrees off")
plate = np.array([[30, 20, 0], [30, -20, 0], [-30, 20, 0], [-30, -20, 0]])
rotations, transforms = [], []
for turn in turns:
    before, after = (points + 0.2 * random.normal(size=(4, 3)) for points in (plate, turn.apply(plate)))
    before, after = before - before.mean(0), after - after.mean(0)
    fitted = Rotation.align_vectors(after, before)[0]
    rotations.append(degrees_off(best_fit_rotation(before, after), fitted))
    transforms.append(degrees_off(best_fit_transform(before, after)[1], fitted))
report("best_fit_rotation", "SciPy's", rotations)
report("best_fit_transform", "SciPy's", transforms)
PY
)
echo "$found"
[ "$found" = "qmean: 31 % within 1 degree of SciPy's mean, 60 % more than 30 degrees off
qmean about x 90: 120 degrees off
qmean about y 90: 120 degrees off
qmean about z 90: 120 degrees off
best_fit_rotation: 49 % within 1 degree of SciPy's, 45 % more than 30 degrees off
best_fit_transform: 100 % within 1 degree of SciPy's, 0 % more than 30 degrees off" ]
