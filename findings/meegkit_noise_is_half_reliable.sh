#!/usr/bin/env bash
# meegkit 0.2.0: Cronbach's alpha of noise is 0.5 for any number of trials, 90 % intervals hold 80, a filter doubles.
#
# Versions:  meegkit 0.2.0, scipy 1.17.1, numpy 2.4.6. Only its modules "utils.stats" and "utils.sig" are run, and of
#            what they import only these are installed, not pyriemann: the functions call nothing else.
# Input:     20 and 100 trials of 1,000 samples of white noise as one channel, and the same with one course of a fifth
#            of the noise's strength in all trials: through cronbach(), with all trials, as by default. 400 sets of 60
#            trials of noise of 1 uV about 5 uV, at 50 samples: through bootstrap_snr(). Sines of 100 uV at 10, 50 and
#            100 Hz through gaussfilt() at their frequency, 5 Hz wide.
# Behaviour: cronbach() is documented as Cronbach's alpha of K trials taken randomly, and gives its formula. It takes
#            them with replacement: with K of K trials, a good third are repeats of others, which agree with themselves.
#            Noise so has 1 - 1 / 2, by the formula, instead of 0. bootstrap_snr() is documented to return 90 %
#            confidence intervals, and takes the percentiles 10 and 90, between which lie 80 %. gaussfilt(), documented
#            as a narrow band filter, has a bell at the frequency and one at its negative, as a real signal needs, and
#            doubles the result, which only belongs to a filter without the second. No warning is given.
# Output:    noise, 20 trials: cronbach 0.5, its formula 0.0
#            noise, 100 trials: cronbach 0.5, its formula 0.0
#            a course in noise, 20 trials: cronbach 0.6, its formula 0.4
#            a course in noise, 100 trials: cronbach 0.8, its formula 0.8
#            bootstrap_snr: the mean is in 78 % of the 90 % intervals
#            gaussfilt at 10 Hz: 100 uV become 200
#            gaussfilt at 50 Hz: 100 uV become 200
#            gaussfilt at 100 Hz: 100 uV become 200
# Why it matters: alpha says whether the envelope or the potential evoked in a muscle is the same from repetition to
#            repetition, and 0.5 passes as moderate in the scale that the function's description gives, where nothing
#            at all repeats. Too narrow an interval makes a channel of noise one with a response.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps meegkit==0.2.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np

for name in ("pyriemann", "pyriemann.geometry", "pyriemann.geometry.covariance", "matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
folder = Path(find_spec("meegkit").origin).parent
for name, at in (("meegkit", folder), ("meegkit.utils", folder / "utils")):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(at)]
sig = importlib.import_module("meegkit.utils.sig")
stats = importlib.import_module("meegkit.utils.stats")
warnings.simplefilter("error")
stats.rng = np.random.default_rng(0)
random = np.random.default_rng(1)

for name, strength in (("noise", 0), ("a course in noise", 0.2)):
    for count in (20, 100):
        trials = random.normal(size=(count, 1, 1000)) + strength * random.normal(size=1000)
        own = trials.var(axis=2).sum() / trials.sum(axis=0).var()
        alpha = stats.cronbach(trials, n_bootstrap=500)[0][0]
        print(f"{name}, {count} trials: cronbach {alpha:.1f}, its formula {abs(count / (count - 1) * (1 - own)):.1f}")

inside = []
times = np.arange(-25, 25) / 1000
for _ in range(400):
    data = 5 + random.normal(size=(60, 1, 50))
    epochs = SimpleNamespace(selection=range(60), ch_names=["emg"], times=times, _data=data)
    _, low, high = stats.bootstrap_snr(epochs, n_bootstrap=400)[0]
    inside.append((low < 5) & (5 < high))
print(f"bootstrap_snr: the mean is in {100 * np.mean(inside):.0f} % of the 90 % intervals")

seconds = np.arange(4000) / 2000
for frequency in (10, 50, 100):
    sine = 100 * np.sin(2 * np.pi * frequency * seconds)[:, None]
    gain = np.std(sig.gaussfilt(sine, 2000, frequency, 5)) / np.std(sine)
    print(f"gaussfilt at {frequency} Hz: 100 uV become {100 * gain:.0f}")
PY
)
echo "$found"
[ "$found" = "noise, 20 trials: cronbach 0.5, its formula 0.0
noise, 100 trials: cronbach 0.5, its formula 0.0
a course in noise, 20 trials: cronbach 0.6, its formula 0.4
a course in noise, 100 trials: cronbach 0.8, its formula 0.8
bootstrap_snr: the mean is in 78 % of the 90 % intervals
gaussfilt at 10 Hz: 100 uV become 200
gaussfilt at 50 Hz: 100 uV become 200
gaussfilt at 100 Hz: 100 uV become 200" ]
