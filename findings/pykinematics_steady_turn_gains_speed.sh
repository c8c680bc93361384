#!/usr/bin/env bash
# pykinematics 1.0.1: by its 4th order a sensor that turns at a steady 1 rad/s speeds up by 17 rad/s each second.
#
# Versions:  pykinematics 1.0.1, numpy 2.4.6. Only the module "imu.utility" is run, which imports nothing but NumPy.
# Input:     an angular velocity at 100 Hz: 1 rad/s in all samples, and a sine of 1 rad/s and 1 Hz. Through
#            calc_derivative() with order 2, the default, and 4; the sine's value 0.01, 0.25 and 0.5 s after its start.
# Behaviour: the function is documented as the derivative of the 2nd or 4th order, and MimuAngles() takes either for the
#            angular acceleration, which it seeks the joints' centres with. In the formula of the 4th order the last of
#            four terms has a plus for a minus: the four no longer cancel, and a steady speed has an angular
#            acceleration of itself by 6 sample periods. Only the first and last two samples have another formula, which
#            is right. No error or warning is given.
# Output:    order 2: steady 0.00 rad/s2, sine 6.27 0.00 -6.28, true 6.27 0.00 -6.28
#            order 4: steady 16.67 rad/s2, sine 6.27 16.54 -8.37, true 6.27 0.00 -6.28
# Why it matters: the centre of a wrist or elbow between two sensors is found by what acceleration the turns explain. A
#            higher order is what one takes for the quick turns of a hand; here even a gyroscope's offset counts as one.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pykinematics==1.0.1
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib.util
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("error")
folder = Path(importlib.util.find_spec("pykinematics").submodule_search_locations[0])
spec = importlib.util.spec_from_file_location("utility", folder / "imu" / "utility.py")
utility = importlib.util.module_from_spec(spec)
spec.loader.exec_module(utility)
times = np.arange(100) / 100
sine, steady = np.sin(2 * np.pi * times)[:, None], np.ones((100, 1))
moments = [1, 25, 50]
true = 2 * np.pi * np.cos(2 * np.pi * times)[moments]


def show(values):
    return " ".join(f"{round(float(value), 2) + 0:.2f}" for value in values)


for order in (2, 4):
    gain, course = (utility.calc_derivative(speed, 0.01, order)[moments, 0] for speed in (steady, sine))
    print(f"order {order}: steady {show(gain[1:2])} rad/s2, sine {show(course)}, true {show(true)}")
PY
)
echo "$found"
[ "$found" = "order 2: steady 0.00 rad/s2, sine 6.27 0.00 -6.28, true 6.27 0.00 -6.28
order 4: steady 16.67 rad/s2, sine 6.27 16.54 -8.37, true 6.27 0.00 -6.28" ]
