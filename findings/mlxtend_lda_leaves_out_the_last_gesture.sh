#!/usr/bin/env bash
# mlxtend 0.25.0: LDA leaves out the last gesture, the first electrode is shuffled for all, and -1 to 1 is 0 to 1.
#
# Versions:  mlxtend 0.25.0, scikit-learn 1.9.1, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. matplotlib, which only plots
#            need, is replaced.
# Input:     6 windows each of 10 gestures, of which nine lie along feature 1, each 1 from the next, and one is 10 away
#            in feature 2, numbered last or first, through LinearDiscriminantAnalysis() with one discriminant. 1,000
#            windows of 4 gestures with 2 features of each of 3 electrodes, of which one electrode alone decides,
#            through feature_importance_permutation() with the electrodes as feature_groups. Amplitudes of 10, 20 and 30
#            through minmax_scaling() to other ranges. Two windows through standardize() with the params of a training
#            set, whose deviations are 10 and 1, at once and one by one.
# Behaviour: LDA weighs each gesture's mean with the number of windows of the next gesture, so that the last one has no
#            weight and the result depends on the numbering. A group's importance is documented as that of its features
#            together. As many columns as the group has are shuffled, but the first ones of the table, each for itself,
#            and the group's own are put back: all electrodes have the importance that the first one has, and the user's
#            own array is left with the first one's values at other windows. min_val and max_val are documented as
#            minimum and maximum after scaling, and are both ignored if the minimum is 0 or the maximum is 1. params are
#            documented to be used instead of those of the array, and a column of equal values to become 0, for which
#            its deviation is set to 1. In an array of one window, all columns are such: with params, they don't become
#            0, but are divided by 1, and the user's params have 1 from then on. No error or warning is given.
# Output:    strong gesture numbered last: eigenvalues 18.0, 2.7 instead of 27.0, 18.0, discriminant along feature 1
#            strong gesture numbered first: eigenvalues 26.8, 13.1 instead of 27.0, 18.0, discriminant along feature 2
#            electrode 1 decides: importances 0.74, 0.76, 0.73 instead of 0.73, 0.00, 0.00
#            electrode 2 decides: importances 0.00, 0.00, 0.00 instead of 0.00, 0.77, 0.00
#            electrode 3 decides: importances 0.00, 0.00, 0.00 instead of 0.00, 0.00, 0.74
#              given array changed: electrode 1 True, electrode 2 False, electrode 3 False
#            -1 to 1: [0.  0.5 1. ]
#            0 to 100: [0.  0.5 1. ]
#            -100 to 100: [-100.    0.  100.]
#            two windows at once: [ 2. -2.] one by one: [20.] [-20.] at once again: [ 20. -20.] deviations now [1. 1.]
# Why it matters: LDA is the usual reduction of features of surface EMG, the gesture numbered last is as often the
#            strongest as any, and electrodes are what one leaves out by importance: all, or none, of these seem to
#            matter. Amplitudes go to -1 to 1 for a network and to 0 to 100 for percent of the strongest contraction.
#            Live, windows come one by one, and reach the classifier without their scale.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scikit-learn==1.9.1 pandas==3.1.1 \
    scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps mlxtend==0.25.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.patches", "matplotlib.ticker"):
    sys.modules[name] = MagicMock()
from mlxtend.evaluate import feature_importance_permutation
from mlxtend.feature_extraction import LinearDiscriminantAnalysis
from mlxtend.preprocessing import minmax_scaling, standardize

warnings.simplefilter("error")
gestures, around = 10, np.vstack([np.eye(3), -np.eye(3)])
means = np.zeros((gestures, 3))
means[:9, 0] = np.arange(-4, 5)
means[9, 1] = 10
windows = np.concatenate([mean + around for mean in means])
for name, numbers in (("last", np.arange(gestures)), ("first", np.roll(np.arange(gestures), -1))):
    label = np.repeat(numbers, len(around))
    lda = LinearDiscriminantAnalysis(n_discriminants=1).fit(windows, label)
    each = [windows[label == number] for number in range(gestures)]
    within = sum((one - one.mean(0)).T @ (one - one.mean(0)) for one in each)
    away = [one.mean(0) - windows.mean(0) for one in each]
    between = sum(len(one) * np.outer(mean, mean) for one, mean in zip(each, away))
    own = np.sort(np.linalg.eigvals(np.linalg.solve(within, between)).real)[::-1]
    print(f"strong gesture numbered {name}: eigenvalues", ", ".join(f"{value:.1f}" for value in lda.e_vals_[:2]),
          f"instead of {own[0]:.1f}, {own[1]:.1f}, discriminant along feature {np.abs(lda.w_[:, 0]).argmax() + 1}")

label = np.arange(1000) % 4
groups = [[0, 1], [2, 3], [4, 5]]
for electrode in range(3):
    random = np.random.default_rng(0)
    values = random.normal(size=(1000, 6))
    values[:, 2 * electrode] += 100 * label

    def predict(seen):
        return np.round(seen[:, 2 * electrode] / 100)

    own = []
    for group in groups:
        shuffled = values.copy()
        shuffled[:, group] = random.permutation(shuffled[:, group])
        own.append(1 - np.mean(predict(shuffled) == label))
    given = values.copy()
    found, _ = feature_importance_permutation(given, label, predict, "accuracy", feature_groups=groups, seed=0)
    print(f"electrode {electrode + 1} decides: importances", ", ".join(f"{value:.2f}" for value in found), "instead of",
          ", ".join(f"{value:.2f}" for value in own))
changed = [not np.array_equal(given[:, group], values[:, group]) for group in groups]
print("  given array changed:", ", ".join(f"electrode {number + 1} {one}" for number, one in enumerate(changed)))

amplitude = np.array([[10.0, 5], [20, 10], [30, 15]])
for low, high in ((-1, 1), (0, 100), (-100, 100)):
    print(f"{low} to {high}:", minmax_scaling(amplitude, [0, 1], min_val=low, max_val=high)[:, 0])
_, params = standardize(np.array([[10.0, 1], [30, 3]]), return_params=True)
two = np.array([[40.0, 4], [0, 0]])
print("two windows at once:", standardize(two, params=params)[:, 0], "one by one:",
      *(standardize(window[None], params=params)[:, 0] for window in two), "at once again:",
      standardize(two, params=params)[:, 0], "deviations now", params["stds"])
PY
)
echo "$found"
[ "$found" = "strong gesture numbered last: eigenvalues 18.0, 2.7 instead of 27.0, 18.0, discriminant along feature 1
strong gesture numbered first: eigenvalues 26.8, 13.1 instead of 27.0, 18.0, discriminant along feature 2
electrode 1 decides: importances 0.74, 0.76, 0.73 instead of 0.73, 0.00, 0.00
electrode 2 decides: importances 0.00, 0.00, 0.00 instead of 0.00, 0.77, 0.00
electrode 3 decides: importances 0.00, 0.00, 0.00 instead of 0.00, 0.00, 0.74
  given array changed: electrode 1 True, electrode 2 False, electrode 3 False
-1 to 1: [0.  0.5 1. ]
0 to 100: [0.  0.5 1. ]
-100 to 100: [-100.    0.  100.]
two windows at once: [ 2. -2.] one by one: [20.] [-20.] at once again: [ 20. -20.] deviations now [1. 1.]" ]
