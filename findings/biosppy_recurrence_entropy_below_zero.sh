#!/usr/bin/env bash
# BioSPPy 2.2.4: the entropy of a recurrence plot is -5317, lines of 56 to 168 average 0.01, and EMG in mV all recurs.
#
# Versions:  biosppy 2.2.4, scipy 1.17.1, numpy 2.4.6. Only features.phase_space is run, which imports nothing else but
#            BioSPPy's own utilities, and these six 1.17.0.
# Input:     224 samples, the plot's own number, of a course that repeats itself: 0 to 55, four times. Its plot is made
#            of diagonals of 168, 112 and 56 points, two each, and of white verticals between them. And noise of 100 uV
#            for EMG, in uV, in mV and in V. All through phase_space().
# Behaviour: the features are documented as the average length of the lines and the entropy of the probability
#            distribution of their lengths. Each white point counts as one more diagonal of no length, and the average
#            is taken over them too, and over diagonals of one point, which are not in the sum. The entropy is made with
#            the numbers of lines, not with their shares: it is below zero, and the more lines there are, the further.
#            Points recur if they are nearer than 0.5, which is neither documented nor can be changed, in the unit of
#            the signal, whatever its spread. No warning is given.
# Output:    diagonals of 56 to 168: mean 0.01 for 112, entropy -4.2 for 1.1
#            white verticals of 1 to 55: mean 24.5 for 44.3, entropy -5317 for 2.2
#            EMG of 100 uV: recurrence rate 0.01, determinism 0.00
#            EMG of 0.1 mV: recurrence rate 1.00, determinism 1.00
#            EMG of 0.0001 V: recurrence rate 1.00, determinism 1.00
# Why it matters: determinism and entropy are to tell regular from irregular EMG. In mV, all EMG within 0.5 mV has the
#            greatest determinism, rest and contraction alike, and in uV hardly a point recurs: the same recording read
#            by WFDB, in mV, and from a BrainVision file, in uV, is regular here and random there.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6 six==1.17.0
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosppy==2.2.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np

folder = Path(find_spec("biosppy").origin).parent
for name, at in (("biosppy", folder), ("biosppy.features", folder / "features")):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(at)]
phase_space = importlib.import_module("biosppy.features.phase_space").phase_space
warnings.simplefilter("error")


def lines(plot, value):
    lengths = []
    for line in plot:
        edges = np.flatnonzero(np.diff(np.r_[0, np.asarray(line) == value, 0].astype(int)))
        lengths += (edges[1::2] - edges[::2]).tolist()
    return np.array(lengths)


def entropy(lengths):
    shares = np.unique(lengths, return_counts=True)[1] / len(lengths)
    return -np.sum(shares * np.log(shares))


signal = np.tile(np.arange(56.0), 4)
plot = (np.abs(signal[:, None] - signal) < 0.5).astype(int)
diagonal = lines([np.diagonal(plot, offset) for offset in range(-223, 224) if offset], 1)
white = lines(plot.T, 0)
found = phase_space(signal)
print(f"diagonals of {diagonal.min()} to {diagonal.max()}: mean {found['rec_avg_diag_line_len']:.2f} for",
      f"{diagonal.mean():.0f}, entropy {found['rec_plot_entropy_diag_line']:.1f} for {entropy(diagonal):.1f}")
print(f"white verticals of {white.min()} to {white.max()}: mean {found['rec_avg_white_vert_line_len']:.1f} for",
      f"{white.mean():.1f}, entropy {found['rec_plot_entropy_white_vert_line']:.0f} for {entropy(white):.1f}")
emg = np.random.default_rng(0).normal(size=224)
for unit, strength in (("uV", 100), ("mV", 0.1), ("V", 0.0001)):
    found = phase_space(strength * emg)
    print(f"EMG of {strength} {unit}: recurrence rate {found['rec_rate']:.2f}, determinism {found['rec_determ']:.2f}")
PY
)
echo "$found"
[ "$found" = "diagonals of 56 to 168: mean 0.01 for 112, entropy -4.2 for 1.1
white verticals of 1 to 55: mean 24.5 for 44.3, entropy -5317 for 2.2
EMG of 100 uV: recurrence rate 0.01, determinism 0.00
EMG of 0.1 mV: recurrence rate 1.00, determinism 1.00
EMG of 0.0001 V: recurrence rate 1.00, determinism 1.00" ]
