#!/usr/bin/env bash
# mne-features 0.3.2: two channels correlate by -1 whatever they are, and a delay is found only if the first is behind.
#
# Versions:  mne-features 0.3.2, scikit-learn 1.9.1, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6. MNE and PyWavelets, which
#            the three features do not call, are replaced.
# Input:     white noise for EMG at 500 Hz, 2 s each. For time_corr another one, the same at twice the strength, and its
#            negative, and eight channels of one noise with their own of half its strength. For max_cross_corr one noise
#            in two channels, 20 ms apart. For phase_lock_val three noises, without and with include_diag. All through
#            extract_features().
# Behaviour: time_corr, documented as the correlation coefficients in the time domain, standardises across the channels
#            in place of time: at each sample, two channels become 1 and -1 or -1 and 1, and several average about
#            -1 / (n - 1). max_cross_corr, documented as the maximum of the linear cross-correlation, goes through lags
#            from -0.5 to 0.5 s, and takes each without its sign, so that the half where the first channel leads is not
#            looked at. phase_lock_val with include_diag puts the 1 of a channel with itself where the values of the
#            first channel with the others stand. No error or warning is given.
# Output:    time_corr with another muscle: -1.00, numpy 0.06
#            time_corr with the same, twice as strong: -1.00, numpy 1.00
#            time_corr with its negative: -1.00, numpy -1.00
#            time_corr of 8 channels with a common drive: -0.14, numpy 0.79
#            max_cross_corr, second 20 ms after the first: 0.08
#            max_cross_corr, first 20 ms after the second: 1.00
#            phase_lock_val of 1 and 2: 0.02, with include_diag 1.00
#            phase_lock_val of 1 and 3: 0.04, with include_diag 1.00
#            phase_lock_val of 2 and 3: 0.03, with include_diag 0.03
# Why it matters: the three say whether muscles work together. With time_corr, agonist and antagonist are as opposed as
#            two electrodes on one muscle, for all gestures alike; with max_cross_corr, what is found along a muscle
#            hangs on which electrode is the first; with phase_lock_val, unrelated muscles are locked.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scikit-learn==1.9.1 scipy==1.17.1 \
    pandas==3.1.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps mne-features==0.3.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("mne", "mne.filter", "mne.time_frequency", "pywt"):
    sys.modules[name] = MagicMock()
warnings.filterwarnings("ignore", "No module named 'numba'")
from mne_features.feature_extraction import extract_features

warnings.simplefilter("error")
random = np.random.default_rng(0)


def feature(channels, name, **options):
    options = {f"{name}__{option}": value for option, value in options.items()}
    return extract_features(np.array([channels]), 500.0, [name], options, separator="_")[0]


noise = random.normal(size=1000)
other = random.normal(size=1000)
for name, second in (("another muscle", other), ("the same, twice as strong", 2 * noise), ("its negative", -noise)):
    pair = np.array([noise, second])
    found = feature(pair, "time_corr", with_eigenvalues=False)[0]
    print(f"time_corr with {name}: {found:.2f}, numpy {np.corrcoef(pair)[0, 1]:.2f}")
shared = noise + 0.5 * random.normal(size=(8, 1000))
found = feature(shared, "time_corr", with_eigenvalues=False)
print(f"time_corr of 8 channels with a common drive: {found.mean():.2f}, numpy",
      f"{np.corrcoef(shared)[np.triu_indices(8, 1)].mean():.2f}")

long = random.normal(size=1010)
for name, pair in (("second 20 ms after the first", (long[10:], long[:-10])),
                   ("first 20 ms after the second", (long[:-10], long[10:]))):
    print(f"max_cross_corr, {name}: {feature(pair, 'max_cross_corr')[0]:.2f}")

three = random.normal(size=(3, 1000))
apart = feature(three, "phase_lock_val")
both = feature(three, "phase_lock_val", include_diag=True)
for at, among, pair in ((0, 1, "1 and 2"), (1, 2, "1 and 3"), (2, 4, "2 and 3")):
    print(f"phase_lock_val of {pair}: {apart[at]:.2f}, with include_diag {both[among]:.2f}")
PY
)
echo "$found"
[ "$found" = "time_corr with another muscle: -1.00, numpy 0.06
time_corr with the same, twice as strong: -1.00, numpy 1.00
time_corr with its negative: -1.00, numpy -1.00
time_corr of 8 channels with a common drive: -0.14, numpy 0.79
max_cross_corr, second 20 ms after the first: 0.08
max_cross_corr, first 20 ms after the second: 1.00
phase_lock_val of 1 and 2: 0.02, with include_diag 1.00
phase_lock_val of 1 and 3: 0.04, with include_diag 1.00
phase_lock_val of 2 and 3: 0.03, with include_diag 0.03" ]
