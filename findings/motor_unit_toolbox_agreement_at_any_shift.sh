#!/usr/bin/env bash
# Motor Unit Toolbox 1.2.0: motor units half a second apart agree within a tolerance of 40 ms.
#
# Versions:  motor-unit-toolbox 1.2.0, scipy 1.17.1, numpy 2.4.6. Only its module "spike_comp" is run, which imports
#            nothing else.
# Input:     a motor unit for 10 s at 2,000 Hz, ten spikes a second with 15 % of variation, and the same shifted by 20
#            to 500 ms, through the four functions for the rate of agreement. All tolerances are the defaults: 1 ms for
#            a spike and 40 ms for the shift of a train.
# Behaviour: the documentation gives each of the functions a tolerance for the shift of a train. rate_of_agreement()
#            with a reference uses it nowhere, and rate_of_agreement_full() only in lines that are never reached: both
#            take the best of all shifts. rate_of_agreement_paired() and rate_of_agreement_all() obey it. No warning is
#            given.
# Output:    shifted by 20 ms: rate_of_agreement 1.00, _full 1.00, _paired 1.00, _all 1.00
#            shifted by 100 ms: rate_of_agreement 1.00, _full 1.00, _paired 0.05, _all 0.03
#            shifted by 500 ms: rate_of_agreement 1.00, _full 1.00, _paired 0.03, _all 0.03
# Why it matters: the rate of agreement tells whether two decompositions of EMG found the same motor unit. Whoever asks
#            for spikes at the same time, within 40 ms, gets a match for trains of other times, too, and another rate
#            from each function.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps motor-unit-toolbox==1.2.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from motor_unit_toolbox import spike_comp

warnings.simplefilter("error")

spikes = np.cumsum(200 + 30 * np.random.default_rng(0).standard_normal(90)).astype(int)


def train(samples):
    binary = np.zeros((20000, 1))
    binary[samples] = 1
    return binary


def report(name, samples):
    one, other = train(spikes), train(samples)
    told = {
        "rate_of_agreement": spike_comp.rate_of_agreement(one, other, 2000)[0][0],
        "_full": spike_comp.rate_of_agreement_full(one, other, 2000)[0][0, 0],
        "_paired": spike_comp.rate_of_agreement_paired(one, other, 2000)[0][0],
        "_all": spike_comp.rate_of_agreement_all(np.hstack([one, other]), 2000)[0][0, 1],
    }
    print(f"{name}:", ", ".join(f"{function} {rate:.2f}" for function, rate in told.items()))


for shift in (20, 100, 500):
    report(f"shifted by {shift} ms", spikes + 2 * shift)
PY
)
echo "$found"
[ "$found" = "shifted by 20 ms: rate_of_agreement 1.00, _full 1.00, _paired 1.00, _all 1.00
shifted by 100 ms: rate_of_agreement 1.00, _full 1.00, _paired 0.05, _all 0.03
shifted by 500 ms: rate_of_agreement 1.00, _full 1.00, _paired 0.03, _all 0.03" ]
