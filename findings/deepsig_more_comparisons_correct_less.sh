#!/usr/bin/env bash
# deepsig 1.2.8: of 2 classifiers, multi_aso() never finds one better, and of 10 comparisons it corrects as for one.
#
# Versions:  deepsig 1.2.8, scipy 1.17.1, numpy 2.4.6, pandas 3.1.1, joblib 1.6.0.
# Input:     the accuracies of 10 users in percent by classifier A and by B, which is 4.3 points lower on average, and
#            by further ones that are 3 and 6 below B. Through aso() with num_comparisons 1, 2, 3, 10 and 45, and
#            through multi_aso() with 2, 3 and 4 classifiers, with its correction, which is the default, and without.
#            100 bootstrap iterations, seed 0.
# Behaviour: num_comparisons and use_bonferroni are documented as Bonferroni's correction: the README says that the
#            significance level is divided by the number of comparisons, which makes 0.05 to 0.005 with 10, so a
#            confidence level of 0.995. Instead, 0.05 by the number is added to the confidence level: 0.955 with 10, and
#            the more comparisons, the less is corrected. Only for two comparisons, both are the same. aso() leaves one
#            comparison as it is. multi_aso() does not: two classifiers are one comparison, the level becomes 1, and the
#            bound of the violation ratio, below which at 0.5 the first is better, becomes 1 in both directions. No
#            error or warning is given.
# Output:    aso, 1 comparisons: 0.39, at the confidence level 1 - 0.05 / 1: 0.39
#            aso, 2 comparisons: 0.46, at the confidence level 1 - 0.05 / 2: 0.46
#            aso, 3 comparisons: 0.43, at the confidence level 1 - 0.05 / 3: 0.50
#            aso, 10 comparisons: 0.40, at the confidence level 1 - 0.05 / 10: 0.61
#            aso, 45 comparisons: 0.39, at the confidence level 1 - 0.05 / 45: 0.72
#            multi_aso, 2 classifiers: A over B 1.00, B over A 1.00, uncorrected 0.39 and 1.00
#            multi_aso, 3 classifiers: A over B 0.43, B over A 1.00, uncorrected 0.39 and 1.00
#            multi_aso, 4 classifiers: A over B 0.41, B over A 1.00, uncorrected 0.39 and 1.00
# Why it matters: gesture classifiers from surface EMG are compared over the users of a set, several at a time. The
#            larger the table of comparisons, the less its cells are corrected: of 10, A passes for better than B, where
#            the documented correction says no. The simplest table, ours against the baseline, never has a better one.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6 \
    pandas==3.1.1 joblib==1.6.0 dill==0.4.1 psutil==7.2.2 tqdm==4.70.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps deepsig==1.2.8
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from deepsig import aso, multi_aso

warnings.simplefilter("error")
a = np.array([78.0, 84, 70, 91, 88, 73, 80, 86, 95, 77])
b = np.array([75.0, 79, 70, 85, 82, 73, 73, 84, 89, 69])
settings = dict(seed=0, num_bootstrap_iterations=100, show_progress=False)


def bound(**arguments):
    return f"{aso(a, b, **settings, **arguments):.2f}"


for count in (1, 2, 3, 10, 45):
    told = f"aso, {count} comparisons: {bound(num_comparisons=count)}"
    print(f"{told}, at the confidence level 1 - 0.05 / {count}: {bound(confidence_level=1 - 0.05 / count)}")
for count in (2, 3, 4):
    scores = [list(a), list(b)] + [list(b - 3 * step) for step in range(1, count - 1)]
    corrected = multi_aso(scores, **settings)
    plain = multi_aso(scores, use_bonferroni=False, **settings)
    print(f"multi_aso, {count} classifiers: A over B {corrected[0, 1]:.2f}, B over A {corrected[1, 0]:.2f},",
          f"uncorrected {plain[0, 1]:.2f} and {plain[1, 0]:.2f}")
PY
)
echo "$found"
[ "$found" = "aso, 1 comparisons: 0.39, at the confidence level 1 - 0.05 / 1: 0.39
aso, 2 comparisons: 0.46, at the confidence level 1 - 0.05 / 2: 0.46
aso, 3 comparisons: 0.43, at the confidence level 1 - 0.05 / 3: 0.50
aso, 10 comparisons: 0.40, at the confidence level 1 - 0.05 / 10: 0.61
aso, 45 comparisons: 0.39, at the confidence level 1 - 0.05 / 45: 0.72
multi_aso, 2 classifiers: A over B 1.00, B over A 1.00, uncorrected 0.39 and 1.00
multi_aso, 3 classifiers: A over B 0.43, B over A 1.00, uncorrected 0.39 and 1.00
multi_aso, 4 classifiers: A over B 0.41, B over A 1.00, uncorrected 0.39 and 1.00" ]
