#!/usr/bin/env bash
# scikit-posthocs 0.17.1: Quade's normal test finds each fourth pair of equals different, OSRT falling for rising.
#
# Versions:  scikit-posthocs 0.17.1, statsmodels 0.15.0, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6. matplotlib and
#            seaborn, which only plots need, are replaced.
# Input:     all orders that 3 classifiers can have for 4 users, which are equally probable if they don't differ, and
#            400 random tables each of 2 to 10 equal classifiers and 10 to 20 users, through posthoc_quade() with
#            dist="normal" and "t". Accuracies of 12 users by 2 classifiers. 3 groups of 5 amplitudes that rise or fall
#            from group to group by 10, through test_osrt().
# Behaviour: dist is documented as the distribution for the p values of Quade's test. For "normal", the difference of
#            two weighted rank sums is divided by a standard error, which for k classifiers and b users is the root of
#            k (k + 1) (2 b + 1) / (9 b (b + 1)), as the ranks' permutation gives it. Under the root, the source has the
#            number of values, k b, in place of b, and takes (k - 1) / 2 times that. The error is half of the right one
#            for 2 classifiers and two thirds for 10. With 2, Quade's test is Wilcoxon's, whose z is so doubled.
#            test_osrt() is documented as Hayter's one-sided test against an ordered alternative, and takes the amounts
#            of the differences: whether groups rise or fall doesn't matter. No error or warning is given, except that
#            pandas finds an argument that test_osrt() uses outdated.
# Output:    all orders of 3 classifiers for 4 users, p < 0.05: normal 26 %, t 6 %
#            2 equal classifiers, 12 users: normal 36 %, t 6 %, standard error 0.165 instead of 0.327
#            3 equal classifiers, 10 users: normal 26 %, t 5 %, standard error 0.296 instead of 0.505
#            5 equal classifiers, 20 users: normal 22 %, t 4 %, standard error 0.364 instead of 0.570
#            10 equal classifiers, 20 users: normal 21 %, t 4 %, standard error 0.741 instead of 1.092
#            accuracies by 2 classifiers: normal p 0.013, t p 0.224, Wilcoxon p 0.209
#            rising: OSRT p 0.000, Jonckheere p 0.000
#            falling: OSRT p 0.000, Jonckheere p 1.000
# Why it matters: Quade's test is for classifiers over users, where a user counts more for whom the classifiers differ
#            more, as users of gestures from surface EMG do. Of ten classifiers that are all the same, about nine of the
#            45 pairs come out as different at p < 0.05. OSRT asks whether amplitude rises with force, or accuracy with
#            days of training, and says yes if it falls.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile statsmodels==0.15.0 pandas==3.1.1 \
    scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps scikit-posthocs==0.17.1
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from itertools import permutations, product
from unittest.mock import MagicMock

import numpy as np
from scipy.stats import norm, rankdata, wilcoxon

for name in ("matplotlib", "matplotlib.axes", "matplotlib.colorbar", "matplotlib.colors", "seaborn"):
    sys.modules[name] = MagicMock()
from scikit_posthocs import posthoc_quade, test_jonckheere, test_osrt

warnings.simplefilter("error")
warnings.simplefilter("ignore", DeprecationWarning)
found = {"normal": [], "t": []}
orders = list(permutations(range(3)))
with np.errstate(invalid="ignore", divide="ignore"):
    for others in product(orders, repeat=3):
        table = np.array([orders[0], *others]) * np.arange(1.0, 5)[:, None]
        for dist, values in found.items():
            values.extend(posthoc_quade(table, dist=dist).to_numpy()[np.triu_indices(3, 1)])
print("all orders of 3 classifiers for 4 users, p < 0.05:",
      ", ".join(f"{dist} {100 * np.mean(np.array(values) < 0.05):.0f} %" for dist, values in found.items()))

random = np.random.default_rng(0)
for users, count in ((12, 2), (10, 3), (20, 5), (20, 10)):
    shares = {"normal": 0, "t": 0}
    for _ in range(400):
        table = random.normal(size=(users, count))
        for dist in shares:
            shares[dist] += (posthoc_quade(table, dist=dist).iloc[0, 1] < 0.05) / 4
    weighted = rankdata(table, axis=1) * rankdata(np.ptp(table, axis=1))[:, None]
    difference = abs(weighted[:, 0].sum() - weighted[:, 1].sum()) / (users * (users + 1) / 2)
    used = difference / norm.isf(posthoc_quade(table, dist="normal").iloc[0, 1] / 2)
    own = np.sqrt(count * (count + 1) * (2 * users + 1) / (9 * users * (users + 1)))
    print(f"{count} equal classifiers, {users} users: normal {shares['normal']:.0f} %, t {shares['t']:.0f} %,",
          f"standard error {used:.3f} instead of {own:.3f}")

b = np.linspace(60, 93, 12)
a = b + np.array([3, -1, 2, -2.5, 4, -3.5, 1.5, 5, -4.5, 6, 0.5, 5.5])
normal, t = (posthoc_quade(np.column_stack([a, b]), dist=dist).iloc[0, 1] for dist in ("normal", "t"))
print(f"accuracies by 2 classifiers: normal p {normal:.3f}, t p {t:.3f},",
      f"Wilcoxon p {wilcoxon(a, b, method='approx').pvalue:.3f}")
levels = [10 * level + np.array([-4.0, -2, 0, 2, 4]) for level in (1, 2, 3)]
for name, groups in (("rising", levels), ("falling", levels[::-1])):
    print(f"{name}: OSRT p {test_osrt(groups)[0]:.3f},",
          f"Jonckheere p {test_jonckheere(groups, alternative='greater')[0]:.3f}")
PY
)
echo "$found"
[ "$found" = "all orders of 3 classifiers for 4 users, p < 0.05: normal 26 %, t 6 %
2 equal classifiers, 12 users: normal 36 %, t 6 %, standard error 0.165 instead of 0.327
3 equal classifiers, 10 users: normal 26 %, t 5 %, standard error 0.296 instead of 0.505
5 equal classifiers, 20 users: normal 22 %, t 4 %, standard error 0.364 instead of 0.570
10 equal classifiers, 20 users: normal 21 %, t 4 %, standard error 0.741 instead of 1.092
accuracies by 2 classifiers: normal p 0.013, t p 0.224, Wilcoxon p 0.209
rising: OSRT p 0.000, Jonckheere p 0.000
falling: OSRT p 0.000, Jonckheere p 1.000" ]
