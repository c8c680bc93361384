#!/usr/bin/env bash
# c3d 0.6.0: a scale for the markers makes zero of EMG of 0.4 mV, and frames from 70,000 on come with one of zeros.
#
# Versions:  c3d 0.6.0, numpy 2.4.6.
# Input:     100 frames of two markers at 150, 200 and 300 mm and 1 s of EMG in mV at 1,000 Hz, a sine of 0.4 mV,
#            through Writer and Reader: without a scale, and with point_scale 0.1 and 0.01. The same, an analog scale of
#            0.001, read with analog_transform True and False. The same from frame 60,000, 70,000 and 140,000 on.
# Behaviour: point_scale is documented as the scale factor for point data. Above zero, it makes whole numbers of the EMG
#            too, by a scale of its own, which is 1 unless another is set, and what is beyond the point is cut off. Of
#            markers also: 150 mm are 1499.99998 times the file's 0.1, and become 149.9. With analog_transform, scales
#            are documented to be applied if it is True; False is ignored. A start is kept as two words, and the upper
#            is read for 65,535 frames in place of 65,536, by the Reader and again by the Writer. Numbers are too low,
#            and for each upper one a frame is read that is none, from the zeros that fill the file, with a residual of
#            0 as of a point that was seen. No error or warning is given.
# Output:    EMG of 0.4 mV and a marker at 150.00 mm, no scale: 0.4 mV, 150.00 mm
#            EMG of 0.4 mV and a marker at 150.00 mm, point_scale 0.1: 0.0 mV, 149.90 mm
#            EMG of 0.4 mV and a marker at 150.00 mm, point_scale 0.01: 0.0 mV, 150.00 mm
#            400 counts of 0.001 mV, analog_transform True: 0.4
#            400 counts of 0.001 mV, analog_transform False: 0.4
#            frames 60000 to 60099: 60000 to 60099, marker in the last at 150 mm, residual 0
#            frames 70000 to 70099: 69998 to 70098, marker in the last at 0 mm, residual 0
#            frames 140000 to 140099: 139996 to 140097, marker in the last at 0 mm, residual 0
# Why it matters: C3D is the file that holds EMG and markers of the hand together. Surface EMG is mostly below 1 in mV,
#            and always in V. At 100 Hz, frame 65,536 is after 11 minutes, and a trial cut out from there on has a
#            frame with the hand in the origin: a jump of all fingers.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps c3d==0.6.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import io
import warnings

import c3d
import numpy as np

warnings.simplefilter("error")
seconds = np.arange(1000) / 1000
sine = np.sin(2 * np.pi * 50 * seconds + 0.1)


def write(emg, start=1, emg_scale=None, **scale):
    writer = c3d.Writer(point_rate=100, analog_rate=1000, **scale)
    writer.set_point_labels(["RIndex3", "RIndex4"])
    writer.set_analog_labels(["EMG"])
    if emg_scale:
        writer.set_analog_scales([emg_scale])
        writer.set_analog_offsets([0])
    for part in emg.reshape(100, 1, 10):
        writer.add_frames([(np.array([[150.0, 200, 300, 0, 0]] * 2), part)])
    writer.set_start_frame(start)
    file = io.BytesIO()
    writer.write(file)
    return file


def read(file, **options):
    reader = c3d.Reader(file)
    frames = list(reader.read_frames(**options))
    return frames, np.concatenate([emg[0] for _, _, emg in frames])


for scale in ({}, {"point_scale": 0.1}, {"point_scale": 0.01}):
    frames, emg = read(write(0.4 * sine, **scale))
    name = ", ".join(f"{key} {value}" for key, value in scale.items()) or "no scale"
    print(f"EMG of 0.4 mV and a marker at 150.00 mm, {name}: {np.abs(emg).max():.1f} mV, {frames[0][1][0, 0]:.2f} mm")
file = write(0.4 * sine, emg_scale=0.001)
for transform in (True, False):
    _, emg = read(file, analog_transform=transform)
    print(f"400 counts of 0.001 mV, analog_transform {transform}: {np.abs(emg).max():.1f}")
for start in (60000, 70000, 140000):
    frames, emg = read(write(0.4 * sine, start))
    print(f"frames {start} to {start + 99}: {frames[0][0]} to {frames[-1][0]}, marker in the last at",
          f"{frames[-1][1][0, 0]:.0f} mm, residual {frames[-1][1][0, 3]:.0f}")
PY
)
echo "$found"
[ "$found" = "EMG of 0.4 mV and a marker at 150.00 mm, no scale: 0.4 mV, 150.00 mm
EMG of 0.4 mV and a marker at 150.00 mm, point_scale 0.1: 0.0 mV, 149.90 mm
EMG of 0.4 mV and a marker at 150.00 mm, point_scale 0.01: 0.0 mV, 150.00 mm
400 counts of 0.001 mV, analog_transform True: 0.4
400 counts of 0.001 mV, analog_transform False: 0.4
frames 60000 to 60099: 60000 to 60099, marker in the last at 150 mm, residual 0
frames 70000 to 70099: 69998 to 70098, marker in the last at 0 mm, residual 0
frames 140000 to 140099: 139996 to 140097, marker in the last at 0 mm, residual 0" ]
