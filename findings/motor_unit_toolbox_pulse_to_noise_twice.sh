#!/usr/bin/env bash
# Motor Unit Toolbox 1.2.0: a pulse-to-noise ratio of 15 dB reads 30, and an irregular unit passes as reliable.
#
# Versions:  motor-unit-toolbox 1.2.0, scipy 1.17.1, numpy 2.4.6. Only its module "props" is run, and of what it imports
#            only these are installed: the functions call nothing else.
# Input:     a motor unit for 30 s at 2,048 Hz, 10 spikes a second with intervals of exponential distribution above 20
#            ms. Its innervated pulse train (IPT) is 1 and 0.999 in turn between the spikes, and in a spike 2, 3.2, 5.7
#            or 10 on average, give or take a tenth. Then the result of each function goes into find_reliable_units(),
#            with its default thresholds.
# Behaviour: get_pulse_to_noise_ratio() is documented as 20 log10 of the mean of the IPT in the spikes by that in the
#            baseline. The function squares the IPT before it takes the means and keeps the 20, so it gives twice the
#            decibels. The coefficient of variation (CoV) is documented as between 0 and 1, but the threshold of
#            find_reliable_units() for it is 40, which no unit can exceed. No warning is given.
# Output:    IPT 2.0: 6.0 dB, toolbox 12.1 dB; CoV 0.62; reliable: False
#            IPT 3.2: 10.1 dB, toolbox 20.2 dB; CoV 0.62; reliable: False
#            IPT 5.7: 15.1 dB, toolbox 30.3 dB; CoV 0.62; reliable: True
#            IPT 10.0: 20.0 dB, toolbox 40.0 dB; CoV 0.62; reliable: True
# Why it matters: 30 dB and a CoV of 0.3 to 0.4 are what work on high-density EMG accepts motor units by. Here half of
#            these decibels are enough, and no unit is left out for its CoV.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps motor-unit-toolbox==1.2.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("easydict", "matplotlib", "matplotlib.pyplot", "networkx", "pandas", "sklearn"):
    sys.modules[name] = MagicMock()
from motor_unit_toolbox import props

warnings.simplefilter("error")

times = np.arange(30 * 2048) / 2048
intervals = 0.02 + np.random.default_rng(0).exponential(0.08, 1000)
spikes = np.cumsum(2048 * intervals).astype(int)
spikes = spikes[spikes < len(times)]
train = np.zeros((len(times), 1), bool)
train[spikes] = True
for height in (2, 3.2, 5.7, 10):
    ipt = np.where(np.arange(len(times)) % 2, 1, 0.999)[:, None]
    ipt[spikes, 0] = height * np.linspace(0.9, 1.1, len(spikes))
    documented = 20 * np.log10(ipt[train].mean() / ipt[~train].mean())
    ratio = props.get_pulse_to_noise_ratio(train, ipt)
    variation = props.get_coefficient_of_variation(train, times)
    silhouette = props.get_silhouette_measure(train, ipt)
    reliable = props.find_reliable_units(props.get_discharge_rate(train, times), variation, silhouette, ratio)
    print(f"IPT {ipt[train].mean():.1f}: {documented:.1f} dB, toolbox {ratio[0]:.1f} dB; CoV {variation[0]:.2f};",
          f"reliable: {reliable[0]}")
PY
)
echo "$found"
[ "$found" = "IPT 2.0: 6.0 dB, toolbox 12.1 dB; CoV 0.62; reliable: False
IPT 3.2: 10.1 dB, toolbox 20.2 dB; CoV 0.62; reliable: False
IPT 5.7: 15.1 dB, toolbox 30.3 dB; CoV 0.62; reliable: True
IPT 10.0: 20.0 dB, toolbox 40.0 dB; CoV 0.62; reliable: True" ]
