#!/usr/bin/env bash
# ReSurfEMG 1.1.3: for EMG in mV, half the power lost is a loss of 0 %, and leaving out every second sample -100 %.
#
# Versions:  resurfemg 1.1.3, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6. Only its modules for filters and envelopes are
#            run, and of what ReSurfEMG imports only these are installed: the two import nothing else.
# Input:     20 s of noise from 20 to 450 Hz at 2,000 Hz as EMG of 100 uV rms, in uV and in mV, compared with itself at
#            half the power and with every second sample of itself, at 1,000 Hz. Then white noise in 2,000 windows of
#            201 samples, of which the rms and the average rectified value are known.
# Behaviour: compute_power_loss() is documented as "percentage of power loss after the processing". It sums all that
#            SciPy's welch() returns, the densities and their frequencies, too: here 250,500 Hz, beside which the power
#            is little in uV^2 and nothing in mV^2. The frequencies halve with the rate. It also divides the power
#            before by that after, so a loss is below zero. rolling_arv_ci(), the average rectified value's confidence
#            interval, takes the deviation of the EMG before it is rectified: of noise, 1 / sqrt(1 - 2 / pi) times that
#            of the rectified. rolling_rms_ci() is right. No warning is given.
# Output:    uV, half the power: lost 50.0 %, compute_power_loss() -0.99 %
#            uV, every second sample: lost 0.0 %, compute_power_loss() -88.96 %
#            mV, half the power: lost 50.0 %, compute_power_loss() -0.00 %
#            mV, every second sample: lost 0.0 %, compute_power_loss() -100.00 %
#            rms: true value in 94.5 % of the 95 % intervals, width 1.00 of mean +- t s / sqrt(n)
#            arv: true value in 99.9 % of the 95 % intervals, width 1.66 of mean +- t s / sqrt(n)
# Why it matters: how much power a filter or the removal of the heart's spikes takes is what decides whether EMG of the
#            trunk can still be used, and 0 % is what one hopes for. With intervals 1.66 times too wide, contractions
#            that differ seem not to. ReSurfEMG's own class for EMG gives these intervals for its "arv" envelope.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps resurfemg==1.1.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy import stats

folder = Path(find_spec("resurfemg").origin).parent
for name, at in (("resurfemg", folder), ("resurfemg.preprocessing", folder / "preprocessing")):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(at)]
envelope = importlib.import_module("resurfemg.preprocessing.envelope")
filtering = importlib.import_module("resurfemg.preprocessing.filtering")
warnings.simplefilter("error")

random = np.random.default_rng(0)
spectrum = np.fft.rfft(random.standard_normal(40000))
frequency = np.fft.rfftfreq(40000, 1 / 2000)
spectrum[(frequency < 20) | (frequency > 450)] = 0
emg = np.fft.irfft(spectrum)
for unit, rms in (("uV", 100), ("mV", 0.1)):
    emg *= rms / emg.std()
    for name, after, rate in (("half the power", emg / np.sqrt(2), 2000), ("every second sample", emg[::2], 1000)):
        lost = 100 * (1 - np.mean(after**2) / np.mean(emg**2))
        told = filtering.compute_power_loss(emg, 2000, after, rate)
        print(f"{unit}, {name}: lost {abs(lost):.1f} %, compute_power_loss() {told:.2f} %")

noise = random.standard_normal((2000, 201))
for name, true, samples, back in (("rms", 1, noise**2, np.sqrt), ("arv", np.sqrt(2 / np.pi), np.abs(noise), np.array)):
    low, high = (bound[100::201] for bound in getattr(envelope, f"rolling_{name}_ci")(noise.ravel(), 201))
    inside = 100 * np.mean((low < true) & (true < high))
    mean, half = samples.mean(1), stats.t.ppf(0.975, 200) * samples.std(1, ddof=1) / np.sqrt(201)
    width = np.mean(high - low) / np.mean(back(mean + half) - back(mean - half))
    print(f"{name}: true value in {inside:.1f} % of the 95 % intervals, width {width:.2f} of mean +- t s / sqrt(n)")
PY
)
echo "$found"
[ "$found" = "uV, half the power: lost 50.0 %, compute_power_loss() -0.99 %
uV, every second sample: lost 0.0 %, compute_power_loss() -88.96 %
mV, half the power: lost 50.0 %, compute_power_loss() -0.00 %
mV, every second sample: lost 0.0 %, compute_power_loss() -100.00 %
rms: true value in 94.5 % of the 95 % intervals, width 1.00 of mean +- t s / sqrt(n)
arv: true value in 99.9 % of the 95 % intervals, width 1.66 of mean +- t s / sqrt(n)" ]
