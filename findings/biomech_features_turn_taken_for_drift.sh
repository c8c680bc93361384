#!/usr/bin/env bash
# biomech-features 0.1.1: a bend of 90 degrees has a range of motion of 8, 25 or 91 degrees, by how it is moved.
#
# Versions:  biomech-features 0.1.1, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6.
# Input:     A gyroscope at 100 Hz, exact about x and without offset, of a hand that bends by 90 degrees about x in 1 s:
#            at a steady speed but for 0.1 s at both ends, with the least jerk, and with it, a rest of 0.5 s, and back;
#            about y and z noise of 1 degree per second. Through compute_gyr_rom_features(). Then 10 bends by 90 degrees
#            there and back as a cosine, 2 s each: through extract_features() with the description's example for
#            repetitions, with 0 for its axis "x", which raises an error, and with the other two modes.
# Behaviour: the features are documented as range of motion, angular displacement and total extent of a movement, the
#            angle as integrated and corrected for linear drift. The line that best fits the angle itself is subtracted,
#            with no regard to whether the gyroscope has an offset: all of a movement that goes one way is drift, and
#            what is left is how much its course is bent. Only a movement that ends where it began keeps its range.
#            The repetitions should end at the crossings of zero, but these are looked for between the fastest bend and
#            the fastest stretch, where a smooth repetition has one, and a pair is needed: an empty table. In the other
#            mode each goes from the fastest bend to the fastest stretch, with half of the range. No warning is given.
# Output:    steady speed: turned by 90 degrees, RangeAngle 8, CumulativeDisplacement 90
#            least jerk: turned by 90 degrees, RangeAngle 25, CumulativeDisplacement 90
#            least jerk and back: turned by 90 degrees, RangeAngle 91, CumulativeDisplacement 0
#            10 repetitions, zero_between_valley_peak: 0 rows
#            10 repetitions, zero_between_peak_valley: 0 rows
#            10 repetitions, peak_valley_pairs: 10 rows, turned by 90 degrees, RangeAngle 44
# Why it matters: the angle through which wrist and fingers bend is what a glove or band with gyroscopes is for, and
#            windows and halves of repetitions hold movements one way. The quicker a patient's movement is over within
#            its window, the larger its range comes out; the two features of one row contradict each other.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check biomech-features==0.1.1 pandas==3.1.1 scipy==1.17.1 \
    numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from biomechfe import extract_features
from biomechfe.Featureset.IMU_gyr_rom_features import compute_gyr_rom_features
from scipy.integrate import cumulative_simpson

warnings.simplefilter("error")
random = np.random.default_rng(0)


def about_x(speed):
    return np.stack([speed, *random.normal(size=(2, len(speed)))])


def turned(speed):
    return np.ptp(cumulative_simpson(speed, dx=0.01, initial=0))


times = np.arange(101) / 100
least_jerk = 90 * 30 * (times**2 - 2 * times**3 + times**4)
there_and_back = np.concatenate([least_jerk, np.zeros(50), -least_jerk])
ramps = 100 * np.minimum(1, 10 * np.minimum(times, 1 - times))
movements = {"steady speed": ramps, "least jerk": least_jerk, "least jerk and back": there_and_back}
for name, speed in movements.items():
    features = compute_gyr_rom_features(about_x(speed), 100)
    values = ", ".join(f"{key} {abs(features['ROM_X_' + key]):.0f}" for key in ("RangeAngle", "CumulativeDisplacement"))
    print(f"{name}: turned by {turned(speed):.0f} degrees, {values}")

speed = 45 * np.pi * np.sin(np.pi * np.arange(2000) / 100)
imu = {"acc": random.normal(size=(3, 2000)), "gyr": about_x(speed)}
example = {"mode": "reps", "axis": 0, "min_prominence": 0.25, "min_distance_s": 0.8, "smooth_s": 0.2}
for mode in ("zero_between_valley_peak", "zero_between_peak_valley", "peak_valley_pairs"):
    table = extract_features({"imu": imu}, fs_imu=100, segmentation={**example, "rep_mode": mode})
    found = f"10 repetitions, {mode}: {len(table)} rows"
    if len(table):
        found += f", turned by {turned(speed):.0f} degrees, RangeAngle {table['ROM_X_RangeAngle'].median():.0f}"
    print(found)
PY
)
echo "$found"
[ "$found" = "steady speed: turned by 90 degrees, RangeAngle 8, CumulativeDisplacement 90
least jerk: turned by 90 degrees, RangeAngle 25, CumulativeDisplacement 90
least jerk and back: turned by 90 degrees, RangeAngle 91, CumulativeDisplacement 0
10 repetitions, zero_between_valley_peak: 0 rows
10 repetitions, zero_between_peak_valley: 0 rows
10 repetitions, peak_valley_pairs: 10 rows, turned by 90 degrees, RangeAngle 44" ]
