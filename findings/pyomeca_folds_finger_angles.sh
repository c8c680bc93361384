#!/usr/bin/env bash
# pyomeca 2026.0.2: a finger joint bent by 110 degrees reads as 70.
#
# Versions:  pyomeca 2026.0.2, ezc3d 1.7.2, xarray 2026.9.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6.
# Input:     joint angles through Rototrans.from_euler_angles() and back by Angles.from_rototrans(): a joint that bends
#            about z from 0 to 110 degrees, alone ("z"), with 10 degrees of abduction about x ("zx") and with 5 more of
#            rotation about y ("zxy").
# Behaviour: from_rototrans() takes all angles of sequences of one or two axes by the arcsine, which ends at 90 degrees:
#            beyond, the joint seems to straighten again. The matrix tells 70 from 110, and "zxy" reads it right. No
#            warning is given, and the documentation names no range.
# Output:    "z" bends by 0 45 90 100 110, read 0 45 90 80 70
#            "zx" bends by 0 45 90 100 110, read 0 45 90 80 70
#            "zxy" bends by 0 45 90 100 110, read 0 45 90 100 110
# Why it matters: the middle joints of the fingers and the elbow are hinges of one axis, which bend to 110 and to 140
#            degrees. As labels for EMG, the angles read turn at 90 and fall while the joint still bends: plausible
#            numbers of another pose.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check ezc3d==1.7.2 xarray==2026.9.0 pandas==3.1.1 \
    scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pyomeca==2026.0.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from pyomeca import Angles, Rototrans

warnings.simplefilter("error")


def read(degrees, sequence):
    made = Angles(np.radians(degrees)[:, None], time=np.arange(degrees.shape[1]) / 100)
    return np.degrees(Angles.from_rototrans(Rototrans.from_euler_angles(made, sequence), sequence).values[:, 0])


bend = np.array([0, 45, 90, 100, 110])
for sequence in ("z", "zx", "zxy"):
    degrees = np.array([bend, np.full(5, 10), np.full(5, 5)])[:len(sequence)]
    print(f'"{sequence}" bends by', *bend, end=", read ")
    print(*(round(float(angle)) for angle in read(degrees, sequence)[0]))
PY
)
echo "$found"
[ "$found" = '"z" bends by 0 45 90 100 110, read 0 45 90 80 70
"zx" bends by 0 45 90 100 110, read 0 45 90 80 70
"zxy" bends by 0 45 90 100 110, read 0 45 90 100 110' ]
