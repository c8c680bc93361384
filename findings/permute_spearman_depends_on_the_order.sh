#!/usr/bin/env bash
# permute 0.2: Spearman's correlation depends on the order of the pairs, and the stratified test has no direction.
#
# Versions:  permute 0.2, cryptorandom 0.4, scipy 1.17.1, numpy 2.4.6.
# Input:     20 values in random order and their negatives, and 20 with noise, through spearman_corr(), in this order
#            and sorted. 10 users of 12 trials, half of them by each of two methods, where the second is 3 better than
#            the first for all users, 3 worse for all, or 3 better for one half and 3 worse for the other, with noise of
#            1, and 2 and 3 users of 30 trials by three methods, of which the third is 10 better, through
#            stratified_permutationtest(). Statistics of four tests with the null distribution of each through
#            fwer_minp(). 1,000 permutations, seed 0.
# Behaviour: spearman_corr() takes the positions that would sort the values for their ranks, which gives the right
#            correlation if one of the two is sorted. stratified_permutationtest() is documented to add, over the
#            groups, the difference of the conditions' means if there are two, and their standard deviation if there are
#            more. It asks for the number of groups instead, here users: with three or more, two conditions come without
#            a sign, and "greater" is certain whichever method is better, and also if neither is. With two users, it
#            looks only at the first two of three conditions. fwer_minp() is documented to adjust p-values. It sorts
#            them, and applies the sorting once more instead of its inverse, so that they stand at other tests. No error
#            or warning is given.
# Output:    negatives: Spearman -0.06, p 0.805; sorted -1.00, p 0.002; SciPy -1.00, p 0.000
#            with noise: Spearman 0.29, p 0.282; sorted 0.89, p 0.002; SciPy 0.89, p 0.000
#            better, on average by 2.9: greater p 0.001, less p 0.999
#            worse, on average by -3.1: greater p 0.001, less p 0.999
#            half and half, on average by -0.1: greater p 0.001, less p 0.999
#            third of three methods 10 better, 2 users: p 0.944
#            third of three methods 10 better, 3 users: p 0.001
#            p-values:           0.022, 0.003, 0.463, 0.012
#            adjusted:           0.029, 0.463, 0.005, 0.040
#            given in order:     0.040, 0.005, 0.463, 0.029
# Why it matters: strength of contraction against amplitude or frequency of surface EMG is a matter of ranks, and trials
#            come in random order. Trials within users are what the stratified test is for: a method that helps half of
#            the users and harms the other half comes out as better, and so does one that harms all.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps permute==0.2 cryptorandom==0.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from permute.core import spearman_corr
from permute.npc import fwer_minp
from permute.stratified import stratified_permutationtest
from scipy.stats import spearmanr

warnings.simplefilter("error")
random = np.random.default_rng(0)
x = random.permutation(20) + 1.0
by_x = np.argsort(x)
for name, y in (("negatives", -x), ("with noise", x + random.normal(0, 4, 20))):
    own = [spearman_corr(x[order], y[order], alternative="two-sided", reps=1000, seed=0)[:2] for order in
           (slice(None), by_x)]
    theirs = spearmanr(x, y)
    print(f"{name}: Spearman {own[0][0]:.2f}, p {own[0][1]:.3f}; sorted {own[1][0]:.2f}, p {own[1][1]:.3f};",
          f"SciPy {theirs.statistic:.2f}, p {theirs.pvalue:.3f}")

users = np.repeat(np.arange(10), 12)
methods = np.tile(np.repeat([0, 1], 6), 10)
noise = 70 + 2 * users + random.normal(size=120)
for name, gains in (("better", [3] * 10), ("worse", [-3] * 10), ("half and half", [3, -3] * 5)):
    scores = noise + methods * np.repeat(gains, 12)
    less, greater = (stratified_permutationtest(users, methods, scores, alternative=side, reps=1000, seed=0)[0]
                     for side in ("less", "greater"))
    gain = scores[methods == 1].mean() - scores[methods == 0].mean()
    print(f"{name}, on average by {gain:.1f}: greater p {greater:.3f}, less p {less:.3f}")
for count in (2, 3):
    users, methods = np.repeat(np.arange(count), 30), np.tile(np.repeat([0, 1, 2], 10), count)
    scores = random.normal(size=30 * count) + 10 * (methods == 2)
    p = stratified_permutationtest(users, methods, scores, reps=1000, seed=0)[0]
    print(f"third of three methods 10 better, {count} users: p {p:.3f}")

found = np.array([2.0, 2.8, 0.1, 2.3])
null = random.normal(size=(1000, 4))
values = (np.sum(null >= found, axis=0) + 1) / 1001
print("p-values:          ", ", ".join(f"{value:.3f}" for value in values))
print("adjusted:          ", ", ".join(f"{value:.3f}" for value in fwer_minp(values, null, "tippett")))
order = np.argsort(values)
adjusted = np.empty(4)
adjusted[order] = fwer_minp(values[order], null[:, order], "tippett")
print("given in order:    ", ", ".join(f"{value:.3f}" for value in adjusted))
PY
)
echo "$found"
[ "$found" = "negatives: Spearman -0.06, p 0.805; sorted -1.00, p 0.002; SciPy -1.00, p 0.000
with noise: Spearman 0.29, p 0.282; sorted 0.89, p 0.002; SciPy 0.89, p 0.000
better, on average by 2.9: greater p 0.001, less p 0.999
worse, on average by -3.1: greater p 0.001, less p 0.999
half and half, on average by -0.1: greater p 0.001, less p 0.999
third of three methods 10 better, 2 users: p 0.944
third of three methods 10 better, 3 users: p 0.001
p-values:           0.022, 0.003, 0.463, 0.012
adjusted:           0.029, 0.463, 0.005, 0.040
given in order:     0.040, 0.005, 0.463, 0.029" ]
