#!/usr/bin/env bash
# uncertainty-toolbox 0.1.1: an angle predicted 5 degrees too high is "recalibrated" to 10 degrees too high.
#
# Versions:  uncertainty-toolbox 0.1.1, scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6. matplotlib, which only its plots
#            need, is replaced.
# Input:     1,000 joint angles about 60 degrees, predicted with the mean and a standard deviation of 5 degrees. The
#            true ones lie about the mean, as a normal distribution of 5 degrees has its quantiles, less a bias of 0, 5
#            or -5 degrees: a prediction that is right, 5 degrees too high and 5 degrees too low. Through
#            get_proportion_under_quantile() and get_quantile_recalibrator() at the quantiles 0.05, 0.5 and 0.95.
# Behaviour: the first is documented as the proportion of data below the predicted quantile, the second to return the
#            recalibrated quantile prediction. What is compared with the quantile is prediction less truth instead of
#            truth less prediction: the proportion that is returned is that of a mirrored distribution. With a bias, the
#            isotonic map so turns the wrong way: the median moves by the bias, away from the truth, and the interval
#            from 0.05 to 0.95 that the recalibration gives holds 36 % of the very values that it was fitted to. Without
#            a bias, the mirror image is the same. No error or warning is given.
# Output:    right: said to be below 5, 50, 95 %: 5.0, 50.0, 95.0, are below: 5.0, 50.0, 95.0
#              recalibrated on these values, below: 5.0, 50.0, 95.0, median too high by 0.0 degrees instead of 0.0
#            too high: said to be below 5, 50, 95 %: 0.4, 15.9, 74.0, are below: 26.0, 84.1, 99.6
#              recalibrated on these values, below: 63.8, 97.7, 100.0, median too high by 10.0 degrees instead of 5.0
#            too low: said to be below 5, 50, 95 %: 26.0, 84.1, 99.6, are below: 0.4, 15.9, 74.0
#              recalibrated on these values, below: 0.0, 2.3, 36.2, median too high by -10.0 degrees instead of -5.0
# Why it matters: a regression of finger angles or of force from surface EMG that meets a new user or a moved armband
#            has a bias, which is what one recalibrates for. The corrected limits are twice as far off as the raw ones,
#            to the same side: a hand that closes is held for closed further still.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scikit-learn==1.9.1 scipy==1.17.1 \
    numpy==2.4.6 tqdm==4.70.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps uncertainty-toolbox==0.1.1
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
from scipy.stats import norm

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
from uncertainty_toolbox.metrics_calibration import get_proportion_under_quantile
from uncertainty_toolbox.recalibration import get_quantile_recalibrator

warnings.simplefilter("error")
count, levels = 1000, (0.05, 0.5, 0.95)
spread = np.full(count, 5.0)
angle = 60 + 30 * np.sin(np.arange(count))
error = 5 * norm.ppf((np.arange(count) + 0.5) / count)


def told(shares):
    return ", ".join(f"{100 * share:.1f}" for share in shares)


for name, bias in (("right", 0), ("too high", 5), ("too low", -5)):
    true = angle - bias + error
    said = [get_proportion_under_quantile(angle, spread, true, level) for level in levels]
    own = [np.mean(true <= norm.ppf(level, angle, spread)) for level in levels]
    print(f"{name}: said to be below 5, 50, 95 %: {told(said)}, are below: {told(own)}")
    recalibrate = get_quantile_recalibrator(angle, spread, true)
    limits = [recalibrate(angle, spread, level) for level in levels]
    off = np.mean(limits[1] - true) + 0
    print(f"  recalibrated on these values, below: {told([np.mean(true <= limit) for limit in limits])},",
          f"median too high by {round(off, 1) + 0:.1f} degrees instead of {bias:.1f}")
PY
)
echo "$found"
[ "$found" = "right: said to be below 5, 50, 95 %: 5.0, 50.0, 95.0, are below: 5.0, 50.0, 95.0
  recalibrated on these values, below: 5.0, 50.0, 95.0, median too high by 0.0 degrees instead of 0.0
too high: said to be below 5, 50, 95 %: 0.4, 15.9, 74.0, are below: 26.0, 84.1, 99.6
  recalibrated on these values, below: 63.8, 97.7, 100.0, median too high by 10.0 degrees instead of 5.0
too low: said to be below 5, 50, 95 %: 26.0, 84.1, 99.6, are below: 0.4, 15.9, 74.0
  recalibrated on these values, below: 0.0, 2.3, 36.2, median too high by -10.0 degrees instead of -5.0" ]
