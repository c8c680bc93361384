#!/usr/bin/env bash
# grlib 1.0.12: after a rest of one second, 2 of 100 swipes "right, then down" are still read as that.
#
# Versions:  grlib 1.0.12, numpy 2.4.6. Only extract_key_frames() and GeneralDirectionBuilder are run; OpenCV and
#            MediaPipe, which are imported beside them, are replaced. grlib asks for NumPy 1.21, but neither calls
#            anything of it that has changed.
# Input:     21 landmarks of a hand as x, y and z in shares of the image, jittering by 0.002. It rests for 0, 15 or 30
#            frames, which are 0, 0.5 or 1 s of a camera, goes right by 0.4 in 15 frames and then down by 0.4 in 15. 100
#            such gestures each, three key frames, which is the default, and the trajectory between them.
# Behaviour: the function is documented to return the indexes of the frames that it chose. It first takes frames out
#            that it holds for outliers, and the indexes are those in what is left. DynamicGestureLoader uses them in
#            all frames. A frame is an outlier if its neighbours are closer to each other than to it: of frames of a
#            hand that rests, about a third is. So all key frames are too early, by a third of the rest, and the end of
#            the gesture is not in them. With each index looked up in the frames that are left, all are read right. No
#            error or warning is given.
# Output:    rest of 0 frames: last key frame 29.0 of 29, right then down in 100 of 100, looked up 100
#            rest of 15 frames: last key frame 39.1 of 44, right then down in 40 of 100, looked up 100
#            rest of 30 frames: last key frame 49.6 of 59, right then down in 2 of 100, looked up 100
# Why it matters: trajectories and hand shapes of the key frames are what grlib learns a gesture from, and a hand is
#            seldom in motion in the first frame. What is learnt is the rest and half of the movement.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps grlib==1.0.12
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("cv2", "cv2.cv2", "mediapipe"):
    sys.modules[name] = MagicMock()
from grlib.trajectory.general_direction_builder import GeneralDirectionBuilder
from grlib.trajectory.key_frames import extract_key_frames, remove_outliers

warnings.simplefilter("error")
random = np.random.default_rng(0)
builder = GeneralDirectionBuilder()


def is_right_then_down(frames):
    return builder.make_trajectory(frames)[:, :2].tolist() == [[1, 0], [0, 1]]


for rest in (0, 15, 30):
    last, read, looked_up = [], 0, 0
    for _ in range(100):
        times = np.arange(rest + 30)
        x, y = (0.2 + 0.4 * np.clip((times - start) / 15, 0, 1) for start in (rest, rest + 15))
        hand = np.stack([x, y, 0 * x], axis=-1)[:, None] + np.zeros((1, 21, 1))
        hand = hand + random.normal(0, 0.002, (len(times), 1, 3)) * [1, 1, 0]
        frames = list(hand.reshape(len(times), 63))
        chosen = extract_key_frames(frames, 3)
        left = remove_outliers(frames)
        last.append(chosen[-1])
        read += is_right_then_down([frames[index] for index in chosen])
        looked_up += is_right_then_down([left[index] for index in chosen])
    print(f"rest of {rest} frames: last key frame {np.mean(last):.1f} of {rest + 29},",
          f"right then down in {read} of 100, looked up {looked_up}")
PY
)
echo "$found"
[ "$found" = "rest of 0 frames: last key frame 29.0 of 29, right then down in 100 of 100, looked up 100
rest of 15 frames: last key frame 39.1 of 44, right then down in 40 of 100, looked up 100
rest of 30 frames: last key frame 49.6 of 59, right then down in 2 of 100, looked up 100" ]
