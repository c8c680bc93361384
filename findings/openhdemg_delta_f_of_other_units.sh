#!/usr/bin/env bash
# openhdemg 0.1.2: after a pair of motor units that never fire together, delta F goes to the wrong units.
#
# Versions:  openhdemg 0.1.2, numpy 2.2.0, pandas 2.2.3. Only compute_deltaf() is run, and of what openhdemg imports
#            only NumPy and pandas are installed: the function calls nothing else.
# Input:     40 s at 2,048 Hz with two contractions, one after the other as of two fingers, and three motor units in
#            each: 0, 1 and 2 fire in the first, 3, 4 and 5 in the second. Discharge rates rise and fall linearly; the
#            smoothed rates that the function asks for are these rates themselves.
# Behaviour: delta F of a test unit is a control unit's rate when the test unit is recruited less that when it ceases,
#            averaged over the control units. For a pair that does not overlap compute_deltaf() notes a missing value
#            but not which of the two was the test unit, so from there on the list of values and that of test units,
#            which are joined by position, are out of step. Units 4 and 5 get none and that of unit 2 for control 1. No
#            warning is given, and the documentation names no such condition. average_method="all" gives the pairs
#            right.
# Output:    unit by unit    - 0.88 1.39 - 1.56 2.26
#            average of all  - 0.88 1.39 - 1.56 2.26
#            openhdemg       - 0.88 1.28 - - 1.50
# Why it matters: delta F is the standard estimate of persistent inward currents, per motor unit and in spikes per
#            second, and this average is openhdemg's default. One unit that stops before another begins can do it, as
#            when a file holds two ramps or two fingers; the results stay within what delta F may be.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.2.0 pandas==2.2.3
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps openhdemg==0.1.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import openhdemg
import pandas as pd

library = ModuleType("openhdemg.library")
library.__path__ = [str(Path(openhdemg.__file__).parent / "library")]
sys.modules["openhdemg.library"] = library
compute_deltaf = importlib.import_module("openhdemg.library.pic").compute_deltaf
warnings.simplefilter("error")

RATE = 2048
time = np.arange(40 * RATE) / RATE
fired = np.zeros((len(time), 6), int)
smooth, ends = [], []
for unit, (peak, first, last, slope) in enumerate([
        (10, 1, 19.0, 0.6), (10, 3, 18.3, 0.7), (10, 5, 17.0, 0.8),
        (30, 21, 39.8, 0.6), (30, 23, 39.5, 0.5), (30, 25, 39.0, 0.8)]):
    rate = np.where((time >= first) & (time <= last), 15 - slope * np.abs(time - peak), np.nan)
    count = np.floor(np.nancumsum(rate) / RATE)
    pulses = np.flatnonzero(np.diff(count) > 0) + 1
    fired[pulses, unit] = 1
    smooth.append(rate)
    ends.append((pulses[1], pulses[-1]))
emg = {"NUMBER_OF_MUS": 6, "FSAMP": RATE, "BINARY_MUS_FIRING": pd.DataFrame(fired)}


def show(name, values):
    print(f"{name:15}", *("-" if np.isnan(value) else f"{value:.2f}" for value in values))


def mean(pairs, test):
    values = [value for (_, second), value in pairs.items() if second == test and not np.isnan(value)]
    return np.mean(values) if values else np.nan


mine = {(control, test): smooth[control][ends[test][0]] - smooth[control][ends[test][1]]
        for first in (0, 3) for control in range(first, first + 3) for test in range(control + 1, first + 3)}
show("unit by unit", [mean(mine, test) for test in range(6)])
pairs = compute_deltaf(emg, smooth, average_method="all")
pairs = dict(zip(pairs["MU"], pairs["dF"]))
show("average of all", [mean(pairs, test) for test in range(6)])
show("openhdemg", compute_deltaf(emg, smooth)["dF"])
PY
)
echo "$found"
[ "$found" = "unit by unit    - 0.88 1.39 - 1.56 2.26
average of all  - 0.88 1.39 - 1.56 2.26
openhdemg       - 0.88 1.28 - - 1.50" ]
