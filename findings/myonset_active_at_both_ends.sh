#!/usr/bin/env bash
# Myonset 1.1.2: three contractions become eighteen if the EMG is active at the first sample and at the last.
#
# Versions:  myonset 1.1.2, numpy 2.4.6. Only its module "emgtools" is run, and of what Myonset imports only NumPy is
#            installed: the functions call nothing else.
# Input:     50 trials of 4 s at 1,000 Hz of white noise as EMG, ten times as strong in the contractions: from 1 to 1.5
#            s ("middle") and, in turns, also up to 0.2 s ("start"), from 2.5 s on ("end"), and both. Through
#            get_onsets(), with its default method and the rest from 0.3 to 0.8 s as baseline.
# Behaviour: get_onsets() is documented to return the onset and offset of each burst, and detector_var(), which it
#            calls, to merge parts above the threshold that are less than 25 ms apart. A trial that starts above the
#            threshold gets an onset at its first sample, and one that ends above it an offset at its last, but only if
#            the numbers of onsets and offsets differ. If both is so, the numbers are equal, and each onset is paired
#            with the offset before it: gaps are measured across whole parts, and little is merged. No warning is given.
# Output:    middle: 1 contractions, Myonset 1 (1 to 1)
#            start, middle: 2 contractions, Myonset 2 (2 to 2)
#            middle, end: 2 contractions, Myonset 2 (2 to 2)
#            start, middle, end: 3 contractions, Myonset 18 (12 to 22)
# Why it matters: one sample above the threshold at each end is enough. Trials cut from gestures that are held, or
#            recordings that start and end in one, get onsets in the middle of a contraction, next to trials that are
#            right: reaction times and durations of bursts follow from them.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps myonset==1.1.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np

folder = Path(find_spec("myonset").origin).parent
sys.modules["myonset"] = ModuleType("myonset")
sys.modules["myonset"].__path__ = [str(folder)]
theirs = importlib.import_module("myonset.emgtools")
warnings.simplefilter("error")

times = np.arange(-500, 3500) / 1000
middle, start, end = (1, 1.5), (-0.5, 0.2), (2.5, 3.5)
for name, contractions in (
    ("middle", [middle]),
    ("start, middle", [start, middle]),
    ("middle, end", [middle, end]),
    ("start, middle, end", [start, middle, end]),
):
    strength = np.ones(times.size)
    for onset, offset in contractions:
        strength[(times >= onset) & (times < offset)] = 10
    found = []
    for seed in range(50):
        emg = strength * np.random.default_rng(seed).standard_normal(times.size)
        # In a contraction the first and last samples are above any threshold here, as most others are.
        for index in (0, 1, -2, -1):
            if strength[index] == 10:
                emg[index] = 25 * (-1) ** index
        found.append(len(theirs.get_onsets(emg, times, baseline=[0.3, 0.8], sf=1000)[0]))
    low, median, high = np.percentile(found, (0, 50, 100))
    print(f"{name}: {len(contractions)} contractions, Myonset {median:.0f} ({low:.0f} to {high:.0f})")
PY
)
echo "$found"
[ "$found" = "middle: 1 contractions, Myonset 1 (1 to 1)
start, middle: 2 contractions, Myonset 2 (2 to 2)
middle, end: 2 contractions, Myonset 2 (2 to 2)
start, middle, end: 3 contractions, Myonset 18 (12 to 22)" ]
