#!/usr/bin/env bash
# MUniverse 0.1.4: a motor unit that fires ten times a second with 5 % of variation has a discharge rate of zero.
#
# Versions:  muniverse-emg 0.1.4, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6. Only its module "evaluate" is run, and of
#            what MUniverse imports only these are installed: the module imports nothing else.
# Input:     the spikes of a motor unit, 3,000 intervals of normal distribution around 100 ms with a coefficient of
#            variation (CoV) of 5 to 15 %, through get_basic_spike_statistics(). Then five units of 300 spikes and the
#            same five again as their truth, through evaluate_spike_matches(), where the units found are numbered from
#            0, from 1, and from 0 with unit 2 rejected.
# Behaviour: to leave out times of silence, the intervals longer than 10 standard deviations are left out. That is below
#            the mean if the CoV is below 10 %: what is left are the short intervals, and from about 7 % down none at
#            all, for which the function returns a rate of 0 and a CoV of infinity. evaluate_spike_matches() looks
#            unit_id up among numbers of rows, so that a unit gets the match of the unit in the row of its number, or
#            none, and all of its spikes are false positives. No warning is given. The documentation says "mean
#            discharge rate of the neuron" and that a column unit_id must be there, not what for; only a comment in the
#            source tells of the silence.
# Output:    CoV 5 %: 10.0 / s, MUniverse 0.0 / s and inf %
#            CoV 8 %: 10.0 / s, MUniverse 13.1 / s and 4 %
#            CoV 10 %: 10.0 / s, MUniverse 10.9 / s and 6 %
#            CoV 15 %: 10.0 / s, MUniverse 10.0 / s and 15 %
#            units 0 1 2 3 4: matched 0 1 2 3 4, true positives 1500, false 0
#            units 1 2 3 4 5: matched none, true positives 0, false 1500
#            units 0 1 3 4: matched 0 1, true positives 600, false 600
# Why it matters: MUniverse is a benchmark of decompositions of EMG into motor units, and a low CoV is what it prefers a
#            unit for. In its reports the most regular units are the wrong ones. Decompositions by other software count
#            from 1 or have gaps after editing, and a perfect one scores nothing.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps muniverse-emg==0.1.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(importlib.util.find_spec("muniverse").submodule_search_locations[0])
spec = importlib.util.spec_from_file_location("evaluate", folder / "evaluation" / "evaluate.py")
theirs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(theirs)
warnings.simplefilter("error")

random = np.random.default_rng(0)
draws = random.standard_normal(3000)
draws = (draws - draws.mean()) / draws.std()
for percent in (5, 8, 10, 15):
    intervals = 0.1 * (1 + percent / 100 * draws)
    variation, rate = theirs.get_basic_spike_statistics(np.cumsum(intervals))
    print(f"CoV {100 * intervals.std() / intervals.mean():.0f} %: {1 / intervals.mean():.1f} / s,",
          f"MUniverse {rate:.1f} / s and {100 * variation:.0f} %")

pace = np.array([[1], [0.9], [0.8], [0.7], [1.1]])
units = pace * np.cumsum(0.1 * (1 + 0.15 * random.standard_normal((5, 300))), axis=1)


def table(names, spikes):
    return pd.DataFrame({"unit_id": np.repeat(names, 300), "onset": spikes.ravel()})


for names, rows in (((0, 1, 2, 3, 4), units), ((1, 2, 3, 4, 5), units), ((0, 1, 3, 4), units[[0, 1, 3, 4]])):
    told = theirs.evaluate_spike_matches(table(names, rows), table(range(5), units))
    matched = " ".join(f"{name:.0f}" for name in told["unit_id_ref"].dropna()) or "none"
    print(f"units {' '.join(map(str, names))}: matched {matched}, true positives {told['TP'].sum()},",
          f"false {told['FP'].sum()}")
PY
)
echo "$found"
[ "$found" = "CoV 5 %: 10.0 / s, MUniverse 0.0 / s and inf %
CoV 8 %: 10.0 / s, MUniverse 13.1 / s and 4 %
CoV 10 %: 10.0 / s, MUniverse 10.9 / s and 6 %
CoV 15 %: 10.0 / s, MUniverse 10.0 / s and 15 %
units 0 1 2 3 4: matched 0 1 2 3 4, true positives 1500, false 0
units 1 2 3 4 5: matched none, true positives 0, false 1500
units 0 1 3 4: matched 0 1, true positives 600, false 600" ]
