#!/usr/bin/env bash
# Motor Unit Toolbox 1.2.0: the peak-to-peak amplitude of a motor unit depends on which other units are in the array.
#
# Versions:  motor-unit-toolbox 1.2.0, numpy 2.4.6. Only its module "props" is run, and of what it imports only NumPy is
#            installed: the functions for features of action potentials call nothing else.
# Input:     action potentials of three motor units on a grid of 8 by 8 electrodes: unit A in row 1 and column 1, B two
#            rows below and one column beside it, C in the opposite corner. All have one waveform of 1 peak to peak,
#            and fall off with the distance. The features of A from get_muap_ptp() with the default selection of
#            channels: for A alone, beside B, beside C, and beside both.
# Behaviour: with a selection by name ("iqr" is the default) the documentation says that the feature is computed for the
#            channels which this method selects, and NaN is left in the others. The method is applied to each unit by
#            itself, but then only channels are kept which it selects for all units of the array. If there is none, all
#            channels of the grid are kept. No warning is given. The functions for the waveform length, the energy, the
#            peak-to-peak time and the peak, median and mean frequency have the same lines. One unit a call is right.
# Output:    A alone: 15 channels, largest 1.00, mean 0.37
#            A beside B: 5 channels, largest 0.61, mean 0.25
#            A beside C: 64 channels, largest 1.00, mean 0.09
#            A beside B and C: 64 channels, largest 1.00, mean 0.09
# Why it matters: these features follow motor units over sessions, and get_muaps() returns the units of a recording in
#            one array. A unit's amplitude falls to a quarter, or its largest channel is lost, because the decomposition
#            found one more unit that day.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps motor-unit-toolbox==1.2.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("easydict", "matplotlib", "matplotlib.pyplot", "networkx", "pandas", "scipy", "sklearn"):
    sys.modules[name] = MagicMock()
from motor_unit_toolbox import props

warnings.simplefilter("error")

wave = np.diff(np.exp(-(((np.arange(51) - 25) / 3) ** 2) / 2))
wave /= np.ptp(wave)
rows, columns = np.mgrid[:8, :8]


def unit(row, column):
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2)[..., None] * wave


a, b, c = unit(1, 1), unit(3, 2), unit(6, 6)
for name, units in (("alone", [a]), ("beside B", [a, b]), ("beside C", [a, c]), ("beside B and C", [a, b, c])):
    told = props.get_muap_ptp(np.stack(units))[0]
    told = told[np.isfinite(told)]
    print(f"A {name}: {told.size} channels, largest {told.max():.2f}, mean {told.mean():.2f}")
PY
)
echo "$found"
[ "$found" = "A alone: 15 channels, largest 1.00, mean 0.37
A beside B: 5 channels, largest 0.61, mean 0.25
A beside C: 64 channels, largest 1.00, mean 0.09
A beside B and C: 64 channels, largest 1.00, mean 0.09" ]
