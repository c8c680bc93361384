#!/usr/bin/env bash
# elephant 1.2.1: unrelated motor units are synchronous after an hour, and 10 Hz of a part of a recording become 50 Hz.
#
# Versions:  elephant 1.2.1, neo 0.14.6, quantities 0.16.4, scipy 1.17.1, numpy 2.4.6.
# Input:     spike_time_tiling_coefficient with its dt of 5 ms: 20 s of a motor unit of 10 Hz, and another 8 ms behind
#            it, and a minute of two unrelated ones, from 0 s on, and the same cut out of longer recordings.
#            instantaneous_rate of 20 s of a unit that fires each 100 ms, with a Gaussian kernel of 200 ms, without and
#            with border_correction, for all and with t_start and t_stop. cross_correlation_histogram of this unit
#            and one 12 ms behind it, and with itself, in bins of 1 ms, with the two methods.
# Behaviour: which firings of one train are near the other's is asked with numpy.isclose() and dt as atol, so that its
#            rtol of 0.00001 comes on top of dt: a hundred-thousandth of the time of the firing, 36 ms after an hour.
#            The share of time within dt, which is taken off, is without it. border_correction scales the rate so that
#            its integral is the number of firings, but of the whole train, also of those outside t_start to t_stop.
#            The window of cross_correlation_histogram is documented as the first and last lag. The method "speed",
#            the default, pads both sides by the smaller of -window[0] and window[1], or not at all: the values are
#            those of fewer lags around 0, and stand at the times from window[0] on. No error or warning is given.
# Output:    8 ms apart, from 0 s: -0.10, really -0.10
#            8 ms apart, from 400 s: 1.00, really -0.10
#            unrelated, from 0 s: -0.03, really -0.03
#            unrelated, from 600 s: 0.13, really -0.03
#            unrelated, from 1800 s: 0.39, really -0.03
#            unrelated, from 3600 s: 0.80, really -0.03
#            rate from 0 to 20 s, border_correction False: 9.9 Hz, True: 10.0 Hz
#            rate from 5 to 15 s, border_correction False: 9.8 Hz, True: 20.0 Hz
#            rate from 8 to 12 s, border_correction False: 9.6 Hz, True: 50.0 Hz
#            12 ms behind, window -20 to 20 ms, speed: 199 at 12 ms
#            12 ms behind, window -20 to 20 ms, memory: 199 at 12 ms
#            12 ms behind, window 0 to 20 ms, speed: none
#            12 ms behind, window 0 to 20 ms, memory: 199 at 12 ms
#            with itself, window 1 to 50 ms, speed: 199 at 1 ms
#            with itself, window 1 to 50 ms, memory: none
# Why it matters: whether motor units fire together, and their rate in a contraction, are what a decomposition of EMG is
#            made for. The coefficient rises with the time since the recorder was started; of two units, the later trial
#            is the more synchronous. The rate in a plateau cut out with t_start and t_stop hangs on how much was
#            recorded around it. An autocorrelogram from 1 ms on shows doublets that are not there.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6 \
    packaging==26.4 tqdm==4.70.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps elephant==1.2.1 neo==0.14.6 \
    quantities==0.16.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import neo
import numpy as np
import quantities as pq
from elephant.conversion import BinnedSpikeTrain
from elephant.kernels import GaussianKernel
from elephant.spike_train_correlation import cross_correlation_histogram, spike_time_tiling_coefficient
from elephant.statistics import instantaneous_rate

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "The 'copy' argument in Quantity is deprecated")


def train(firings, stop, start=0):
    return neo.SpikeTrain((start + firings) * pq.s, t_start=start * pq.s, t_stop=(start + stop) * pq.s)


def tiling(first, second, stop, within=0.005):
    near = np.abs(first[:, None] - second) <= within
    share, other = near.any(axis=1).mean(), near.any(axis=0).mean()
    grid = np.arange(0, stop, 0.0001)
    tiled = [(np.abs(grid[:, None] - firings).min(axis=1) <= within).mean() for firings in (first, second)]
    return (share - tiled[1]) / (1 - share * tiled[1]) / 2 + (other - tiled[0]) / (1 - other * tiled[0]) / 2


random = np.random.default_rng(0)
unit = np.cumsum(random.uniform(0.08, 0.12, 195))
for start in (0, 400):
    found = spike_time_tiling_coefficient(train(unit, 20, start), train(unit + 0.008, 20, start))
    print(f"8 ms apart, from {start} s: {found:.2f}, really {tiling(unit, unit + 0.008, 20):.2f}")
one, two = (np.cumsum(random.uniform(0.08, 0.12, 590)) for _ in range(2))
one, two = one[one < 60], two[two < 60]
real = tiling(one, two, 60)
for start in (0, 600, 1800, 3600):
    found = spike_time_tiling_coefficient(train(one, 60, start), train(two, 60, start))
    print(f"unrelated, from {start} s: {found:.2f}, really {real:.2f}")

regular = np.arange(200) / 10 + 0.0505
for start, stop in ((0, 20), (5, 15), (8, 12)):
    rates = [instantaneous_rate(train(regular, 20), 1 * pq.ms, GaussianKernel(200 * pq.ms), t_start=start * pq.s,
                                t_stop=stop * pq.s, border_correction=corrected).magnitude.mean()
             for corrected in (False, True)]
    print(f"rate from {start} to {stop} s, border_correction False: {rates[0]:.1f} Hz, True: {rates[1]:.1f} Hz")

regular = regular[:199]
for name, delay, window in (("12 ms behind", 0.012, [-20, 20]), ("12 ms behind", 0.012, [0, 20]),
                            ("with itself", 0, [1, 50])):
    binned = [BinnedSpikeTrain(train(firings, 20), bin_size=1 * pq.ms) for firings in (regular, regular + delay)]
    for method in ("speed", "memory"):
        counts = cross_correlation_histogram(*binned, window=window, method=method)[0]
        middles = counts.times.rescale("ms").magnitude + 0.5
        shown = [f"{count:.0f} at {at:.0f} ms" for count, at in zip(counts.magnitude[:, 0], middles) if count]
        print(f"{name}, window {window[0]} to {window[1]} ms, {method}: {', '.join(shown) or 'none'}")
PY
)
echo "$found"
[ "$found" = "8 ms apart, from 0 s: -0.10, really -0.10
8 ms apart, from 400 s: 1.00, really -0.10
unrelated, from 0 s: -0.03, really -0.03
unrelated, from 600 s: 0.13, really -0.03
unrelated, from 1800 s: 0.39, really -0.03
unrelated, from 3600 s: 0.80, really -0.03
rate from 0 to 20 s, border_correction False: 9.9 Hz, True: 10.0 Hz
rate from 5 to 15 s, border_correction False: 9.8 Hz, True: 20.0 Hz
rate from 8 to 12 s, border_correction False: 9.6 Hz, True: 50.0 Hz
12 ms behind, window -20 to 20 ms, speed: 199 at 12 ms
12 ms behind, window -20 to 20 ms, memory: 199 at 12 ms
12 ms behind, window 0 to 20 ms, speed: none
12 ms behind, window 0 to 20 ms, memory: 199 at 12 ms
with itself, window 1 to 50 ms, speed: 199 at 1 ms
with itself, window 1 to 50 ms, memory: none" ]
