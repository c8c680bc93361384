#!/usr/bin/env bash
# tsaug 0.2.1: EMG of 50 uV and mean 0 that is quantized has a mean of +17 uV, by quantiles it is a line at -192 uV.
#
# Versions:  tsaug 0.2.1, scipy 1.17.1, numpy 2.4.6. What it imports for plots, matplotlib, is left out.
# Input:     2,000 samples of noise as EMG of 50 uV rms and mean 0 through Quantize() with 4 and 10 levels (10 is the
#            default), "how" at "uniform" (the default) and at "quantile". Then a ramp, where a sample tells its place,
#            through Dropout(): 10 samples with p=1, and 2,000 with p=0.5.
# Behaviour: Quantize() is to round each value to the nearest of the levels. "uniform" puts the levels in the middle of
#            equal steps, but rounds with limits half a step off: all but the highest values come to the level next
#            above, by half a step on average and up to a whole one. "quantile" divides shares from 0 to 1 by 100 and
#            gives them to np.percentile(), which takes 0 to 100: all quantiles are of the lowest hundredth of a
#            percent. Dropout() is to fill with the last value that was not dropped and takes the sample before, dropped
#            or not. With p=1 that is the series one sample later. No warning is given.
# Output:    uniform, 4 levels: mean 42.8 uV, rms about the mean 53 uV
#              51 % got the nearest level; had all, a mean of 0.0 uV
#            uniform, 10 levels: mean 17.4 uV, rms about the mean 51 uV
#              50 % got the nearest level; had all, a mean of 0.1 uV
#            quantile, 4 levels: mean -192.4 uV, rms about the mean 0 uV
#            quantile, 10 levels: mean -192.3 uV, rms about the mean 0 uV
#            dropout, p 1: 1 1 2 3 4 5 6 7 8 9
#            dropout, p 0.5: 50 % dropped, 51 % of them filled with a dropped value
# Why it matters: tsaug makes the views of contrastive learning from windows of EMG. A quantized window has an offset no
#            amplifier would let pass, of a third of the EMG's rms by default, that tells a model which view it is; by
#            quantiles a pair is made of a window and nothing.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps tsaug==0.2.1
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
from tsaug import Dropout, Quantize

warnings.simplefilter("error")
emg = np.random.default_rng(0).normal(size=2000)
emg = 50 * (emg - emg.mean()) / emg.std()
for how in ("uniform", "quantile"):
    for levels in (4, 10):
        rounded = Quantize(n_levels=levels, how=how).augment(emg)
        print(f"{how}, {levels} levels: mean {rounded.mean():.1f} uV, rms about the mean {rounded.std():.0f} uV")
        if how == "uniform":
            middles = emg.min() + (np.arange(levels) + 0.5) / levels * np.ptp(emg)
            nearest = middles[np.abs(emg[:, None] - middles).argmin(axis=1)]
            got = np.mean(np.isclose(nearest, rounded))
            print(f"  {100 * got:.0f} % got the nearest level; had all, a mean of {nearest.mean():.1f} uV")
print("dropout, p 1:", *Dropout(p=1.0, seed=0).augment(np.arange(1.0, 11)).astype(int))
ramp = np.arange(2000.0)
filled = Dropout(p=0.5, seed=0).augment(ramp)
dropped = filled != ramp
print(f"dropout, p 0.5: {dropped.mean():.0%} dropped, {dropped[filled[dropped].astype(int)].mean():.0%} of them filled "
      "with a dropped value".replace("%", " %"))
PY
)
echo "$found"
[ "$found" = "uniform, 4 levels: mean 42.8 uV, rms about the mean 53 uV
  51 % got the nearest level; had all, a mean of 0.0 uV
uniform, 10 levels: mean 17.4 uV, rms about the mean 51 uV
  50 % got the nearest level; had all, a mean of 0.1 uV
quantile, 4 levels: mean -192.4 uV, rms about the mean 0 uV
quantile, 10 levels: mean -192.3 uV, rms about the mean 0 uV
dropout, p 1: 1 1 2 3 4 5 6 7 8 9
dropout, p 0.5: 50 % dropped, 51 % of them filled with a dropped value" ]
