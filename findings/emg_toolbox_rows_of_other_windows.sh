#!/usr/bin/env bash
# EMG Toolbox 1.1.0: a row with the first and last sample of a window holds the features of another window.
#
# Versions:  emg-toolbox 1.1.0, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6. Only its module of features is run, and of what
#            EMG Toolbox imports only these are installed: the module imports nothing else.
# Input:     100 windows of 400 samples at 1,000 Hz, noise as EMG of 1 uV rms in the first window, 2 in the second and
#            so on, through extract_all_features(), side by side (the default) and with overlap=True and a step of one
#            window, each twice. For comparison, the package's own sliding_window().
# Behaviour: the windows are given to threads, and the features are put one below the other in the order in which
#            concurrent.futures gives them back: any for those that are done, then that in which the others end. The
#            columns "start" and "end" beside them are in the windows' order. So no features are missing, but in eight
#            calls 87 to 100 of 100 rows were those of another window, in each call others. No warning is given. The
#            documentation tells of threads for efficiency and of no order.
# Output:    sliding_window: rms in order yes
#            side by side: start in order yes, rms in order no, all rms there yes, twice the same no
#            overlapping: start in order yes, rms in order no, all rms there yes, twice the same no
# Why it matters: the rows are joined with gestures, angles or forces by their number or by "start", and get those of
#            another moment. Means over a whole recording are right, a model learns next to nothing, and two runs
#            over the same file do not agree.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps emg-toolbox==1.1.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from emg_toolbox.features import extract_all_features, fRMS, sliding_window

warnings.simplefilter("error")
SIZE = 400
noise = np.random.default_rng(0).standard_normal((100, SIZE))
noise /= np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
rms = np.arange(1, 101)
emg = (rms[:, None] * noise).ravel()


def yes(answer):
    return "yes" if answer else "no"


print("sliding_window: rms in order", yes(np.allclose(sliding_window(emg, SIZE, SIZE, fRMS), rms)))
for name, overlap in (("side by side", False), ("overlapping", True)):
    first, second = (extract_all_features(emg, 1000, window_size=SIZE, step_size=SIZE, overlap=overlap,
                                          return_dataframe=True) for _ in range(2))
    told = first["RootMeanSquare"]
    print(f"{name}: start in order {yes(np.array_equal(first['start'], np.arange(100) * SIZE))},",
          f"rms in order {yes(np.allclose(told, rms))}, all rms there {yes(np.allclose(sorted(told), rms))},",
          f"twice the same {yes(np.allclose(told, second['RootMeanSquare']))}")
PY
)
echo "$found"
[ "$found" = "sliding_window: rms in order yes
side by side: start in order yes, rms in order no, all rms there yes, twice the same no
overlapping: start in order yes, rms in order no, all rms there yes, twice the same no" ]
