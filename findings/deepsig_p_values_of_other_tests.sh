#!/usr/bin/env bash
# deepsig 1.2.8: corrected p-values stand at other tests than their own, and the paired bootstrap test isn't paired.
#
# Versions:  deepsig 1.2.8, scipy 1.17.1, numpy 2.4.6, pandas 3.1.1, joblib 1.6.0.
# Input:     p-values of five tests, 0.03, 0.002, 0.2, 0.013 and 0.6, and the same in other orders, through
#            bonferroni_correction(). Accuracies of 12 users by B, from 60 to 93 %, and by A, which is 1.5 or 2.5 better
#            for each one; the same with B's users in the opposite order; 1,000 resamplings, which is the default, seed
#            0, through bootstrap_test() and permutation_test().
# Behaviour: bonferroni_correction() is documented as Bonferroni's method, to return the corrected p-values. It sorts
#            them, and to bring the results back into the order of the input it applies the sorting once more instead of
#            its inverse: of 120 orders of five tests, 26 come back right. The factor is not 5 but 5, 4, 3, 2 and 1 from
#            the smallest p-value to the largest. bootstrap_test() is documented as a paired bootstrap test for scores
#            of equal length. It draws the scores of A and those of B each for themselves, so that nothing is paired,
#            and the order does not matter. No error or warning is given.
# Output:    p-values:   0.030, 0.002, 0.200, 0.013, 0.600
#            corrected:  0.052, 0.400, 0.010, 0.090, 0.600
#            Bonferroni: 0.150, 0.010, 1.000, 0.065, 1.000
#            at their own tests in 26 of 120 orders
#            pairs: bootstrap_test 0.33, permutation_test 0.001, t test paired 0.000, unpaired 0.33
#            opposite order: bootstrap_test 0.31, permutation_test 0.370, t test paired 0.378, unpaired 0.33
# Why it matters: one test per gesture, muscle or user, corrected, says for which of them a method is better: the 0.4 of
#            the clearest one here, and the 0.01 of one that is far from it, would be printed as they are. Users differ
#            more than methods do, and only with pairs does a gain that every one of 12 users has count.
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
from itertools import permutations

import numpy as np
from deepsig import bonferroni_correction, bootstrap_test, permutation_test
from scipy.stats import ttest_ind, ttest_rel

warnings.simplefilter("error")
values = np.array([0.03, 0.002, 0.2, 0.013, 0.6])
print("p-values:  ", ", ".join(f"{value:.3f}" for value in values))
print("corrected: ", ", ".join(f"{value:.3f}" for value in bonferroni_correction(values)))
print("Bonferroni:", ", ".join(f"{value:.3f}" for value in np.minimum(1, 5 * values)))
by_rank = np.sort(values) * [5, 4, 3, 2, 1]
right = 0
for order in permutations(range(5)):
    tests = np.sort(values)[list(order)]
    right += np.allclose(bonferroni_correction(tests), by_rank[list(order)])
print(f"at their own tests in {right} of 120 orders")

b = np.linspace(60, 93, 12)
a = b + 2 + 0.5 * np.tile([-1, 1], 6)
for name, other in (("pairs", b), ("opposite order", b[::-1])):
    drawn, swapped = (test(a, other, seed=0) for test in (bootstrap_test, permutation_test))
    paired, unpaired = (test(a, other, alternative="greater").pvalue for test in (ttest_rel, ttest_ind))
    print(f"{name}: bootstrap_test {drawn:.2f}, permutation_test {swapped:.3f},",
          f"t test paired {paired:.3f}, unpaired {unpaired:.2f}")
PY
)
echo "$found"
[ "$found" = "p-values:   0.030, 0.002, 0.200, 0.013, 0.600
corrected:  0.052, 0.400, 0.010, 0.090, 0.600
Bonferroni: 0.150, 0.010, 1.000, 0.065, 1.000
at their own tests in 26 of 120 orders
pairs: bootstrap_test 0.33, permutation_test 0.001, t test paired 0.000, unpaired 0.33
opposite order: bootstrap_test 0.31, permutation_test 0.370, t test paired 0.378, unpaired 0.33" ]
