#!/usr/bin/env bash
# handposeutils 0.1.7: the same hand turned by 90 degrees is farther from itself than an open hand is from a fist.
#
# Versions:  handposeutils 0.1.7, scipy 1.17.1, numpy 2.4.6. Only its modules for poses and similarity are run, and of
#            what handposeutils imports only NumPy is installed: they call nothing else. SciPy is for the comparison.
# Input:     a made hand of 21 landmarks in which every finger joint is bent by 20 degrees; the same hand turned about z
#            by rotate(), and hands in which every joint is bent by 0 (open) and by 80 degrees (fist), not turned.
#            Through procrustes_alignment(), and through normalize(). For comparison, the distance that remains after
#            SciPy's Rotation.align_vectors() of the same centred and scaled landmarks.
# Behaviour: procrustes_alignment() is documented to remove translation, scale and rotation by Kabsch's algorithm. It
#            computes the rotation that has to be put before a landmark as a column, and multiplies rows by it without
#            transposing it: the first hand is turned by the right angle the wrong way. Hands that were turned by 45
#            degrees are 90 apart afterwards, and only poses that need no rotation are compared right. It is the default
#            method of pose_similarity(). normalize() is documented to put the centroid at the origin and then to scale
#            to [-1, 1]; the scaling puts each axis' lowest landmark at -1, and the centroid lies elsewhere. No warning
#            is given.
# Output:    turned by 0 degrees: least 0.00, handposeutils 0.00
#            turned by 10 degrees: least 0.00, handposeutils 0.10
#            turned by 45 degrees: least 0.00, handposeutils 1.66
#            turned by 90 degrees: least 0.00, handposeutils 3.33
#            open to fist: least 0.92, handposeutils 2.06
#            centroid after normalize(): -0.73 0.42 -0.64
# Why it matters: predicted hand poses are compared after a Procrustes alignment so that the wrist does not count. Here
#            it counts twice: a prediction with the right fingers and the wrist off gets an error as of another gesture,
#            and nearest poses are those with a like wrist. An error between 0 and 4 looks plausible each time.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps handposeutils==0.1.7
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from handposeutils.calculations.similarity import procrustes_alignment
from handposeutils.data.coordinate import Coordinate
from handposeutils.data.handpose import HandPose
from scipy.spatial.transform import Rotation

warnings.simplefilter("error")


def hand(bend):
    landmarks = [np.zeros(3)]
    for finger in range(5):
        landmarks.append(np.array([2 - finger, 8 if finger else 3, 0]))
        for joint, length in enumerate((4, 3, 2), 1):
            angle = np.radians(joint * bend)
            landmarks.append(landmarks[-1] + length * np.array([0, np.cos(angle), -np.sin(angle)]))
    return HandPose([Coordinate(*map(float, landmark)) for landmark in landmarks], "right_hand")


def array(pose):
    return np.array([landmark.as_tuple() for landmark in pose.get_all_coordinates()])


def report(name, first, second):
    scaled = []
    for pose in (first, second):
        centred = array(pose) - array(pose).mean(axis=0)
        scaled.append(centred / np.linalg.norm(centred))
    least = Rotation.align_vectors(scaled[1], scaled[0])[1] ** 2
    print(f"{name}: least {least:.2f}, handposeutils {procrustes_alignment(first, second)[2]:.2f}")


for degrees in (0, 10, 45, 90):
    report(f"turned by {degrees} degrees", hand(20), hand(20).rotate(degrees, "z"))
report("open to fist", hand(0), hand(80))
print("centroid after normalize():", *np.round(array(hand(20).normalize()).mean(axis=0), 2))
PY
)
echo "$found"
[ "$found" = "turned by 0 degrees: least 0.00, handposeutils 0.00
turned by 10 degrees: least 0.00, handposeutils 0.10
turned by 45 degrees: least 0.00, handposeutils 1.66
turned by 90 degrees: least 0.00, handposeutils 3.33
open to fist: least 0.92, handposeutils 2.06
centroid after normalize(): -0.73 0.42 -0.64" ]
