#!/usr/bin/env bash
# Pose2Sim 0.10.49: a minute of 29.97 Hz becomes 62 s, 500 mm become 0.5 mm, and 120 Hz undersampled to 100 stay 120.
#
# Versions:  pose2sim 0.10.49, c3d 0.6.0, pandas 3.1.1, numpy 2.4.6. Only the utilities c3d_to_trc, trc_desample and
#            trc_scale are run, which import nothing else.
# Input:     a .c3d of 60 s with a marker, RIndex4, at 500 mm, of 60, 59.94 and 29.97 Hz, through c3d_to_trc. A .trc of
#            10 s with the same marker, of 120 and 60 Hz, through trc_desample, and one in mm through trc_scale with the
#            factor 0.001, which its description gives for mm to m.
# Behaviour: c3d_to_trc takes the rate without what is beyond the point, in the header and for the column of times: each
#            time of 29.97 Hz is by 3 % too late. It makes metres of millimetres, and writes "mm" as the unit; so does
#            trc_scale. trc_desample takes every n-th frame, n being the ratio of the rates without what is beyond the
#            point, but writes the rate and number of frames that were asked for. No error or warning is given.
# Output:    c3d_to_trc: 60 Hz, 60.0 s, 500 mm: 60 Hz, 60.0 s, 0.5 mm
#            c3d_to_trc: 59.94 Hz, 60.0 s, 500 mm: 59 Hz, 60.9 s, 0.5 mm
#            c3d_to_trc: 29.97 Hz, 60.0 s, 500 mm: 29 Hz, 62.0 s, 0.5 mm
#            trc_desample: 120 to 60 Hz: header 60 Hz, 600 frames, rows 60 Hz, 600 frames
#            trc_desample: 120 to 50 Hz: header 50 Hz, 500 frames, rows 60 Hz, 600 frames
#            trc_desample: 120 to 100 Hz: header 100 Hz, 1000 frames, rows 120 Hz, 1200 frames
#            trc_desample: 60 to 25 Hz: header 25 Hz, 250 frames, rows 30 Hz, 300 frames
#            trc_scale: 500 mm by 0.001: 0.5 mm
# Why it matters: 29.97 and 59.94 Hz are rates of video cameras, and the time is what puts the movement beside the EMG:
#            at the end of one minute they are 2 s apart. Pose2Sim's trc_mot_filter takes the rate from the header, and
#            its cut-off so is another one. By its unit, the hand is a thousandth of its size.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile pandas==3.1.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps pose2sim==0.10.49 c3d==0.6.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import io
import warnings
from pathlib import Path

import c3d
import numpy as np
from Pose2Sim.Utilities import c3d_to_trc, trc_desample, trc_scale

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "No analog data found in file")
warnings.filterwarnings("ignore", "unclosed file")


def load(name):
    lines = Path(name).read_text().splitlines()
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t")))
    return header, np.array([line.split("\t") for line in lines[5:]], dtype=float)


def quietly(function, *arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        function(*arguments)


for rate in (60, 59.94, 29.97):
    writer = c3d.Writer(point_rate=rate)
    writer.set_point_labels(["RIndex4"])
    writer.set_analog_labels(["EMG"])
    for _ in range(round(60 * rate)):
        writer.add_frames([(np.array([[500.0, 0, 0, 0, 0]]), np.array([]))])
    with open("hand.c3d", "wb") as file:
        writer.write(file)
    quietly(c3d_to_trc.c3d_to_trc_func, "hand.c3d")
    header, rows = load("hand.trc")
    print(f"c3d_to_trc: {rate} Hz, 60.0 s, 500 mm: {header['DataRate']} Hz, {rows[-1, 1]:.1f} s,",
          f"{rows[0, 2]:.1f} {header['Units']}")

for rate, target in ((120, 60), (120, 50), (120, 100), (60, 25)):
    lines = ["PathFileType\t4\t(X/Y/Z)\thand.trc", "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\t"
             "OrigDataStartFrame\tOrigNumFrames", f"{rate}\t{rate}\t{10 * rate}\t1\tmm\t{rate}\t1\t{10 * rate}",
             "Frame#\tTime\tRIndex4\t\t", "\t\tX1\tY1\tZ1"]
    lines += [f"{row + 1}\t{row / rate!r}\t500.0\t0.0\t0.0" for row in range(10 * rate)]
    Path("hand.trc").write_text("\n".join(lines) + "\n")
    quietly(trc_desample.trc_desample_func, "hand.trc", target)
    header, rows = load(f"hand_{target}fps.trc")
    print(f"trc_desample: {rate} to {target} Hz: header {header['DataRate']} Hz, {header['NumFrames']} frames,",
          f"rows {1 / np.diff(rows[:, 1]).mean():.0f} Hz, {len(rows)} frames")
quietly(trc_scale.trc_scale_func, "hand.trc", 0.001)
header, rows = load("hand_scaled.trc")
print(f"trc_scale: 500 mm by 0.001: {rows[0, 2]:.1f} {header['Units']}")
PY
)
echo "$found"
[ "$found" = "c3d_to_trc: 60 Hz, 60.0 s, 500 mm: 60 Hz, 60.0 s, 0.5 mm
c3d_to_trc: 59.94 Hz, 60.0 s, 500 mm: 59 Hz, 60.9 s, 0.5 mm
c3d_to_trc: 29.97 Hz, 60.0 s, 500 mm: 29 Hz, 62.0 s, 0.5 mm
trc_desample: 120 to 60 Hz: header 60 Hz, 600 frames, rows 60 Hz, 600 frames
trc_desample: 120 to 50 Hz: header 50 Hz, 500 frames, rows 60 Hz, 600 frames
trc_desample: 120 to 100 Hz: header 100 Hz, 1000 frames, rows 120 Hz, 1200 frames
trc_desample: 60 to 25 Hz: header 25 Hz, 250 frames, rows 30 Hz, 300 frames
trc_scale: 500 mm by 0.001: 0.5 mm" ]
