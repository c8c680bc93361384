#!/usr/bin/env bash
# Pose2Sim 0.10.49: the .c3d beside a .trc has whole millimetres: fingers bend in jumps, a tremor of 1.8 mm is gone.
#
# Versions:  pose2sim 0.10.49, c3d 0.6.0, numpy 2.4.6. Only convert_to_c3d(), the last step of triangulation, filtering
#            and marker augmentation where make_c3d is true, as it is by default, and Utilities.trc_to_c3d are run. What
#            they do not call is replaced: OpenCV, pandas, SciPy, Matplotlib, rtoml and anytree.
# Input:     a .trc in metres, as Pose2Sim writes it, of the index finger's RIndex1, RIndex2 and RIndex3 of the model
#            HAND_21: phalanges of 40 and 25 mm, the joint between them bending evenly from 0 to 90 degrees in 1 s of 60
#            frames. The same hand with a tremor of 10 Hz, 0.9 mm to each side.
# Behaviour: the utility is documented to convert 3D point data to a .c3d, and the table of settings says that the data
#            are also saved as one. Coordinates are put into a file of whole numbers with a scale of 1 mm, though the
#            format has floating point for a negative scale, and what is beyond the point is cut off, not rounded. They
#            are up to 1 mm too near to zero, and from -1 to 1 mm all are zero. No error or warning is given.
# Output:    convert_to_c3d: joint at 887.00 mm instead of 887.50, whole millimetres only: True
#              flexion 2.7 degrees off at most, steps of 0.0 to 3.2 instead of 1.5
#              tremor of 1.8 mm: 0.0
#            trc_to_c3d_func: joint at 887.00 mm instead of 887.50, whole millimetres only: True
#              flexion 2.7 degrees off at most, steps of 0.0 to 3.2 instead of 1.5
#              tremor of 1.8 mm: 0.0
# Why it matters: of a hand, a millimetre is much: it is a 25th of this phalanx. The speeds of the fingers, which are
#            to go with the EMG of their muscles, become jumps and rests, and a small movement is none. The .trc has
#            all of it right.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps pose2sim==0.10.49 c3d==0.6.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import io
import sys
import warnings
from pathlib import Path
from unittest.mock import MagicMock

import c3d
import numpy as np

for name in ("anytree", "cv2", "matplotlib", "matplotlib.pyplot", "pandas", "rtoml", "scipy", "scipy.optimize"):
    sys.modules[name] = MagicMock()
from Pose2Sim import common
from Pose2Sim.Utilities import trc_to_c3d

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "No analog data found in file")
NAMES = ["RIndex1", "RIndex2", "RIndex3"]
degrees = np.linspace(0, 90, 61)
bend = np.radians(degrees)
knuckle = np.tile([0.1, 0.9, 0.2], (61, 1))
middle = knuckle + [0.04, 0, 0]
end = middle + 0.025 * np.stack([np.cos(bend), -np.sin(bend), 0 * bend], axis=1)
tremor = np.tile([[[0.5, 0.9, 0.0]]], (61, 3, 1))
tremor[:, :, 2] = 0.0009 * np.sin(2 * np.pi * 10 * np.arange(61) / 60 + 0.3)[:, None]


def save(points):
    axes = "\t".join(f"X{number}\tY{number}\tZ{number}" for number in (1, 2, 3))
    lines = ["PathFileType\t4\t(X/Y/Z)\thand.trc", "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\t"
             "OrigDataStartFrame\tOrigNumFrames", "60\t60\t61\t3\tm\t60\t0\t61", "Frame#\tTime\t" + "\t\t\t".join(NAMES)
             + "\t\t", "\t\t" + axes]
    lines += ["\t".join(map(repr, [row, row / 60, *frame.ravel().tolist()])) for row, frame in enumerate(points)]
    Path("hand.trc").write_text("\n".join(lines) + "\n")


def load():
    with open("hand.c3d", "rb") as file:
        reader = c3d.Reader(file)
        assert reader.get("POINT:UNITS").string_value.strip() == "mm"
        return np.array([points[:, :3] for _, points, _ in reader.read_frames()])


def flexion(points):
    first, second = np.diff(points, axis=1).transpose(1, 0, 2)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second), axis=1), (first * second).sum(axis=1)))


finger = np.stack([knuckle, middle, end], axis=1)
for name, convert in (("convert_to_c3d", lambda: common.convert_to_c3d("hand.trc")),
                      ("trc_to_c3d_func", lambda: trc_to_c3d.trc_to_c3d_func("hand.trc"))):
    save(finger)
    with contextlib.redirect_stdout(io.StringIO()):
        convert()
    found = load()
    steps = np.diff(flexion(found))
    print(f"{name}: joint at {found[20, 2, 1]:.2f} mm instead of {1000 * finger[20, 2, 1]:.2f},",
          f"whole millimetres only: {np.array_equal(found, np.trunc(1000 * finger))}")
    print(f"  flexion {np.abs(flexion(found) - degrees).max():.1f} degrees off at most, steps of {steps.min():.1f} to",
          f"{steps.max():.1f} instead of {np.diff(flexion(1000 * finger)).max():.1f}")
    save(tremor)
    with contextlib.redirect_stdout(io.StringIO()):
        convert()
    print(f"  tremor of {np.ptp(1000 * tremor[:, 0, 2]):.1f} mm: {np.ptp(load()[:, 0, 2]):.1f}")
PY
)
echo "$found"
[ "$found" = "convert_to_c3d: joint at 887.00 mm instead of 887.50, whole millimetres only: True
  flexion 2.7 degrees off at most, steps of 0.0 to 3.2 instead of 1.5
  tremor of 1.8 mm: 0.0
trc_to_c3d_func: joint at 887.00 mm instead of 887.50, whole millimetres only: True
  flexion 2.7 degrees off at most, steps of 0.0 to 3.2 instead of 1.5
  tremor of 1.8 mm: 0.0" ]
