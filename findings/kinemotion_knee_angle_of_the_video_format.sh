#!/usr/bin/env bash
# kinemotion 0.82.0: a knee of 60 degrees has 91 in a video of 16:9 and 36 in one of 9:16, and gaps get the future.
#
# Versions:  kinemotion 0.82.0, scipy 1.17.1, numpy 2.4.6. OpenCV, MediaPipe and what its command line needs are
#            replaced: no video is read. The landmarks are given as its tracker gives them, x and y as shares of the
#            width and the height of the image.
# Input:     a knee bent to 60, 90 and 120 degrees, shank and thigh 300 pixels long, above and below each other, in
#            images of 1080 x 1080, 1920 x 1080 and 1080 x 1920: through calculate_knee_angle(). A landmark that moves
#            by 0.01 each frame, not seen in frames 15 to 24: through smooth_landmarks(). A jump of 0.40 m at 120
#            frames a second, exact, without and with 12 frames before the landing in which no pose is found: smoothed,
#            and through the functions that process_cmj_video() calls.
# Behaviour: the angle is documented in degrees, 90 of them for a deep squat, from the tracker's landmarks. Shares of
#            the width and of the height are taken as if they were of one length. Frames without a pose are documented
#            to be filled with the original data, which has none: they are one and the same entry as the first frame
#            after them, so that they have its place, and the landing is where the gap begins. No error or warning
#            is given.
# Output:    knee of 60 degrees: 60 in 1080 x 1080, 91 in 1920 x 1080, 36 in 1080 x 1920
#            knee of 90 degrees: 90 in 1080 x 1080, 121 in 1920 x 1080, 59 in 1080 x 1920
#            knee of 120 degrees: 120 in 1080 x 1080, 144 in 1920 x 1080, 89 in 1080 x 1920
#            frames 15, 20 and 24 of a steady movement: 0.22 0.22 0.22
#            jump of 0.40 m: 0.39 m, with the gap 0.28 m
# Why it matters: hardly any video is square, and the angle changes when the phone is turned: that of a deep squat is
#            given for any depth. A pose is lost for some frames where the movement is fast.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps kinemotion==0.82.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("cv2", "mediapipe", "click", "platformdirs", "tqdm", "typing_extensions"):
    sys.modules[name] = MagicMock()
from kinemotion.core.pipeline_utils import extract_vertical_positions
from kinemotion.core.smoothing import smooth_landmarks
from kinemotion.countermovement_jump.analysis import compute_signed_velocity, detect_cmj_phases
from kinemotion.countermovement_jump.joint_angles import calculate_knee_angle
from kinemotion.countermovement_jump.kinematics import calculate_cmj_metrics

warnings.simplefilter("error")
for angle in (60, 90, 120):
    told = []
    for width, height in ((1080, 1080), (1920, 1080), (1080, 1920)):
        knee = np.array([width / 2 + 100, height / 2])
        across, along = 300 * np.cos(np.radians(angle / 2)), 300 * np.sin(np.radians(angle / 2))
        joints = {"ankle": knee + [-across, along], "knee": knee, "hip": knee + [-across, -along]}
        landmarks = {f"right_{name}": (x / width, y / height, 1.0) for name, (x, y) in joints.items()}
        told.append(f"{calculate_knee_angle(landmarks):.0f} in {width} x {height}")
    print(f"knee of {angle} degrees: {', '.join(told)}")

frames = [{"left_hip": (0.5, frame / 100, 1.0)} if not 15 <= frame < 25 else None for frame in range(40)]
smooth = smooth_landmarks(frames)
print("frames 15, 20 and 24 of a steady movement:", *(f"{smooth[frame]['left_hip'][1]:.2f}" for frame in (15, 20, 24)))

rate, gravity, image = 120, 9.81, 2.2
hips = ("left_hip", "right_hip")
feet = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("ankle", "heel", "foot_index"))


def jump(height, depth=0.3):
    speed = np.sqrt(2 * gravity * height)
    push = 1.5 + 2 * depth / speed
    land = push + 2 * speed / gravity
    time = np.arange(0, 3.2, 1 / rate)
    flight = speed * (time - push) - gravity * (time - push) ** 2 / 2
    hip = np.select(
        [time < 1, time < 1.5, time < push, time < land],
        [0 * time, -depth * (1 - np.cos(2 * np.pi * (time - 1))) / 2,
         -depth + speed**2 / (4 * depth) * (time - 1.5) ** 2, flight],
        -speed * (time - land) * np.exp(-(time - land) / 0.08),
    )
    foot = np.where((time >= push) & (time < land), flight, 0)
    return 0.5 - hip / image, 0.9 - foot / image, land * rate


hip, foot, land = jump(0.4)
heights = []
for gap in (0, 12):
    frames = [{**{name: (0.5, y, 1.0) for name in hips}, **{name: (0.5, z, 1.0) for name in feet}}
              for y, z in zip(hip.tolist(), foot.tolist())]
    for frame in range(int(land) + 1 - gap, int(land) + 1):
        frames[frame] = None
    smooth = smooth_landmarks(frames)
    middle, ground = (extract_vertical_positions(smooth, target)[0] for target in ("hip", "foot"))
    phases = detect_cmj_phases(middle, rate, landing_positions=ground)
    heights.append(calculate_cmj_metrics(middle, compute_signed_velocity(middle), *phases, rate).jump_height)
print(f"jump of 0.40 m: {heights[0]:.2f} m, with the gap {heights[1]:.2f} m")
PY
)
echo "$found"
[ "$found" = "knee of 60 degrees: 60 in 1080 x 1080, 91 in 1920 x 1080, 36 in 1080 x 1920
knee of 90 degrees: 90 in 1080 x 1080, 121 in 1920 x 1080, 59 in 1080 x 1920
knee of 120 degrees: 120 in 1080 x 1080, 144 in 1920 x 1080, 89 in 1080 x 1920
frames 15, 20 and 24 of a steady movement: 0.22 0.22 0.22
jump of 0.40 m: 0.39 m, with the gap 0.28 m" ]
