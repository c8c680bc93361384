#!/usr/bin/env bash
# biokinepy 0.1.2: one marker hidden in 3 of 300 frames moves a finger's joint centre by 2.09 m.
#
# Versions:  biokinepy 0.1.2, numpy 2.4.6. Only gamage() is run; of what the package imports around it, quaternion, lazy
#            and scipy are replaced: the function calls nothing but NumPy.
# Input:     three markers, 25 to 42 mm from the joint of a finger that bends by 90 degrees and spreads by 30, in 300
#            frames without noise, in metres. Once the joint is the origin of the laboratory's axes, and once it is 0.3,
#            -0.2 and 0.9 m away. The first marker is missing, NaN, in 0, 3, 15 and 60 of the frames.
# Behaviour: gamage() is documented to take the markers over time "in the lab coordinate system" and leaves out each
#            marker's missing frames itself. The means of the positions are taken over the frames that are there, but
#            the sum of their products is divided by the number of all frames. The difference of the two should be how
#            much the marker moves; with a frame missing it has a part of the distance from the laboratory's origin in
#            it, squared. No error or warning is given. With both over the frames that are there the centre is exact.
# Output:    joint at the origin, hidden in 0 of 300 frames: off by 0.00 m, with the means right 0.00 m
#            joint at the origin, hidden in 3 of 300 frames: off by 0.00 m, with the means right 0.00 m
#            joint at the origin, hidden in 15 of 300 frames: off by 0.00 m, with the means right 0.00 m
#            joint at the origin, hidden in 60 of 300 frames: off by 0.00 m, with the means right 0.00 m
#            joint in the room, hidden in 0 of 300 frames: off by 0.00 m, with the means right 0.00 m
#            joint in the room, hidden in 3 of 300 frames: off by 2.09 m, with the means right 0.00 m
#            joint in the room, hidden in 15 of 300 frames: off by 2.04 m, with the means right 0.00 m
#            joint in the room, hidden in 60 of 300 frames: off by 2.10 m, with the means right 0.00 m
# Why it matters: joint centres are what a hand's skeleton is fitted from markers by, and of markers on a hand some are
#            hidden in nearly every recording. Data made around the origin, as in a test, does not show it.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biokinepy==0.1.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("quaternion", "lazy", "scipy", "scipy.integrate"):
    sys.modules[name] = MagicMock()
from biokinepy.joint_center import gamage

warnings.simplefilter("error")
share = np.random.default_rng(0).uniform(size=(6, 300))[4:]
bend, spread = np.radians(-15 + 90 * share[0]), np.radians(-15 + 30 * share[1])
zero = np.zeros(300)
turns = np.array(
    [
        [np.cos(spread) * np.cos(bend), -np.sin(spread), np.cos(spread) * np.sin(bend)],
        [np.sin(spread) * np.cos(bend), np.cos(spread), np.sin(spread) * np.sin(bend)],
        [-np.sin(bend), zero, np.cos(bend)],
    ]
)
markers = np.array([[0.03, 0.005, 0.01], [0.04, -0.005, 0.012], [0.025, 0, 0.015]])
course = np.einsum("ijn,kj->kni", turns, markers)


def with_right_means(positions):
    left, right = np.zeros((3, 3)), np.zeros(3)
    for marker in positions:
        marker = marker[~np.isnan(marker).any(axis=1)]
        moved, square = marker - marker.mean(axis=0), (marker**2).sum(axis=1)
        left += 2 * marker.T @ moved / len(marker)
        right += moved.T @ square / len(marker)
    return np.linalg.solve(left, right)


for where, centre in (("at the origin", np.zeros(3)), ("in the room", np.array([0.3, -0.2, 0.9]))):
    for hidden in (0, 3, 15, 60):
        seen = course + centre
        seen[0, :hidden] = np.nan
        off, right = (np.linalg.norm(found - centre) for found in (gamage(seen).ravel(), with_right_means(seen)))
        told = f"off by {off:.2f} m, with the means right {right:.2f} m"
        print(f"joint {where}, hidden in {hidden} of 300 frames: {told}")
PY
)
echo "$found"
[ "$found" = "joint at the origin, hidden in 0 of 300 frames: off by 0.00 m, with the means right 0.00 m
joint at the origin, hidden in 3 of 300 frames: off by 0.00 m, with the means right 0.00 m
joint at the origin, hidden in 15 of 300 frames: off by 0.00 m, with the means right 0.00 m
joint at the origin, hidden in 60 of 300 frames: off by 0.00 m, with the means right 0.00 m
joint in the room, hidden in 0 of 300 frames: off by 0.00 m, with the means right 0.00 m
joint in the room, hidden in 3 of 300 frames: off by 2.09 m, with the means right 0.00 m
joint in the room, hidden in 15 of 300 frames: off by 2.04 m, with the means right 0.00 m
joint in the room, hidden in 60 of 300 frames: off by 2.10 m, with the means right 0.00 m" ]
