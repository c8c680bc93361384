#!/usr/bin/env bash
# emg-fatigue-detection-toolbox 0.1.4: fatigue is told from the time since the start, with the same EMG all along.
#
# Versions:  emg-fatigue-detection-toolbox 0.1.4 with scikit-learn 1.7.2, joblib 1.5.2, pandas 2.3.3, scipy 1.15.3 and
#            numpy 2.2.6, as it asks for. matplotlib, and pyomeca, which reads C3D files, are replaced.
# Input:     14 repetitions of 3 s with one and the same EMG of 30 to 100 Hz and 840 uV, sines of random phase, in 1 uV
#            of noise: at 2,000 Hz, at 1,000 Hz, and after a pause of 30 s. Five of them after 60 s. Then 14 whose
#            frequencies fall by 3 % and whose amplitude rises by 4 % of the first each, and 14 the other way. Through
#            predict_fatigue_on_emg() with the model that is in the package.
# Behaviour: the package is documented to warn of fatigue by features of the repetitions, RMS that rises and a median
#            frequency that falls. Among the columns that the model is trained on and asked with are the number of the
#            repetition, its first and last sample, and the sample and the time of its peak, counted from the start of
#            the recording: a set ends in fatigue, so that late is tired. What is counted in samples doubles with the
#            rate. Cross-validation by recordings does not find it, as all have it. No error or warning is given.
# Output:    same EMG at 2000 Hz: first 0.00, last 0.99, fatigue from repetition 10
#            same EMG at 1000 Hz: first 0.00, last 0.53, no fatigue
#            same EMG after 30 s: first 1.00, last 1.00, fatigue from repetition 2
#            five after 60 s: first 1.00, last 1.00, fatigue from repetition 2
#            frequency falls, amplitude rises: first 0.00, last 1.00, fatigue from repetition 9
#            frequency rises, amplitude falls: first 0.00, last 0.86, fatigue from repetition 12
# Why it matters: a fresh muscle is told to be tired if the recorder was started a minute early, and a muscle that gets
#            fresher is told three repetitions later than one that tires.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.7.2 joblib==1.5.2 pandas==2.3.3 \
    scipy==1.15.3 numpy==2.2.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps emg-fatigue-detection-toolbox==0.1.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from importlib import resources
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot", "pyomeca"):
    sys.modules[name] = MagicMock()
from emg_fd.src.utils.data_utils import load_model_bundle, predict_fatigue_on_emg

warnings.simplefilter("error")
model = load_model_bundle(str(resources.files("emg_fd").joinpath("models/fatigue_model_bundle.joblib")))


def repetition(rate, frequency, amplitude, seconds=3):
    times = np.arange(seconds * rate) / rate
    frequencies = np.arange(30, 100, 1 / seconds)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, frequencies.size)
    sines = np.sin(2 * np.pi * frequency * frequencies[:, None] * times + phases[:, None]).sum(axis=0)
    return 840 * amplitude * sines / np.std(sines) * np.sin(np.pi * times / seconds) ** 2 / np.sqrt(3 / 8)


same = [(1, 1)] * 14
for name, rate, pause, course in (
    ("same EMG at 2000 Hz", 2000, 0, same),
    ("same EMG at 1000 Hz", 1000, 0, same),
    ("same EMG after 30 s", 2000, 30, same),
    ("five after 60 s", 2000, 60, same[:5]),
    ("frequency falls, amplitude rises", 2000, 0, [(1 - 0.03 * k, 1 + 0.04 * k) for k in range(14)]),
    ("frequency rises, amplitude falls", 2000, 0, [(1 + 0.03 * k, 1 - 0.04 * k) for k in range(14)]),
):
    emg = np.concatenate([np.zeros(pause * rate)] + [repetition(rate, *part) for part in course])
    emg = emg + np.random.default_rng(1).normal(size=emg.size)
    table, trigger = predict_fatigue_on_emg(emg, rate, model)
    assert len(table) == len(course)
    first, last = table["proba"].iloc[[0, -1]]
    print(f"{name}: first {first:.2f}, last {last:.2f},",
          f"fatigue from repetition {trigger}" if trigger else "no fatigue")
PY
)
echo "$found"
[ "$found" = "same EMG at 2000 Hz: first 0.00, last 0.99, fatigue from repetition 10
same EMG at 1000 Hz: first 0.00, last 0.53, no fatigue
same EMG after 30 s: first 1.00, last 1.00, fatigue from repetition 2
five after 60 s: first 1.00, last 1.00, fatigue from repetition 2
frequency falls, amplitude rises: first 0.00, last 1.00, fatigue from repetition 9
frequency rises, amplitude falls: first 0.00, last 0.86, fatigue from repetition 12" ]
