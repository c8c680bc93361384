#!/usr/bin/env bash
# elephant 1.2.1: a delay of 20 ms stands at -920 ms, the one behind is called ahead, and trials are taken for time.
#
# Versions:  elephant 1.2.1, neo 0.14.6, quantities 0.16.4, scipy 1.17.1, numpy 2.4.6.
# Input:     2 and 40 s of noise at 1,000 Hz as the EMG of two muscles, the second the first of 20 ms before, as a Neo
#            signal: cross_correlation_function, and at 10 Hz welch_coherence; multitaper_psd and
#            multitaper_cross_spectrum of the first. 50 trials of 1 s of two sines of 20 Hz with the phases of a trial
#            by chance: phase_locking_value, apart by the same angle at all times of a trial, another one in each; and
#            weighted_phase_lag_index, with noise, the second always 0.5 rad behind.
# Behaviour: with n_lags, cross_correlation_function cuts the values to the lags asked for, but starts their times at
#            the first lag of all. It is documented as the mean of x(t) y(t + lag), and is that of x(t + lag) y(t). The
#            phase_lag of welch_coherence is documented as positive where the first is ahead, and is negative there. The
#            one-sided cross-spectrum does not carry the other half, as the one-sided spectrum does. phase_locking_value
#            and weighted_phase_lag_index are documented for signals of t times and n trials, and as across the trials:
#            the one averages along the times, the other takes the spectrum along the trials, also of Neo's signals, in
#            which time is always the first axis. No error is given, and no warning but for 0 / 0 in the last one, which
#            comes at 0 Hz for all real signals.
# Output:    second 20 ms behind the first, n_lags None: highest at -20 ms
#            second 20 ms behind the first, n_lags 100: highest at -920 ms
#            second 20 ms behind the first, n_lags 500: highest at -520 ms
#            first 20 ms ahead, so 1.26 rad at 10 Hz: phase_lag -1.25
#            variance 1.00: multitaper_psd 1.00, multitaper_cross_spectrum with itself 0.50
#            phases of 1000 times, 50 trials, any angle apart: 50 values of 1.00, really 1000 of 0.00
#            0.5 rad behind: 26 frequencies, 0.09 at 20 Hz, really 501, 1.00
# Why it matters: delays between muscles, and between EMG and force, tell which one drives. Here a common drive is as
#            late as the length of the recording and n_lags make it, and the driven muscle leads. Muscles that are apart
#            by another angle in each repetition of a gesture are locked perfectly, and those that are apart by the same
#            in all are not.
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
from elephant.phase_analysis import phase_locking_value, weighted_phase_lag_index
from elephant.signal_processing import cross_correlation_function
from elephant.spectral import multitaper_cross_spectrum, multitaper_psd, welch_coherence

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "The 'copy' argument in Quantity is deprecated")
warnings.filterwarnings("ignore", "invalid value encountered in divide")


def signal(values):
    return neo.AnalogSignal(values, units="uV", sampling_rate=1000 * pq.Hz)


random = np.random.default_rng(0)
noise = random.normal(size=40020)
first, second = noise[20:], noise[:-20]
both = signal(np.stack([first[:2000], second[:2000]], axis=1))
for lags in (None, 100, 500):
    found = cross_correlation_function(both, [0, 1], n_lags=lags)
    at = found.times[np.argmax(found.magnitude)].rescale("ms").item()
    print(f"second 20 ms behind the first, n_lags {lags}: highest at {at:.0f} ms")
frequencies, _, phases = welch_coherence(signal(first), signal(second), frequency_resolution=5 * pq.Hz)
at = np.argmin(np.abs(frequencies.magnitude - 10))
print(f"first 20 ms ahead, so {2 * np.pi * 10 * 0.02:.2f} rad at 10 Hz: phase_lag {phases[at].item():.2f}")
power = multitaper_psd(both)[1][0].magnitude.sum()
cross = multitaper_cross_spectrum(both)[1][0, 0].magnitude.real.sum()
print(f"variance {both[:, 0].magnitude.var():.2f}: multitaper_psd {power / 2:.2f},",
      f"multitaper_cross_spectrum with itself {cross / 2:.2f}")

seconds = np.arange(1000)[:, None] / 1000
phase = 2 * np.pi * 20 * seconds + random.uniform(0, 2 * np.pi, 50)
other = phase - 2 * np.pi * np.arange(50) / 50
found = phase_locking_value(phase, other)
real = np.abs(np.exp(1j * (phase - other)).mean(axis=1))
print(f"phases of 1000 times, 50 trials, any angle apart: {found.size} values of {found.mean():.2f},",
      f"really {real.size} of {real.mean():.2f}")
one, two = (np.sin(angle) + 0.5 * random.normal(size=phase.shape) for angle in (phase, phase - 0.5))
frequencies, found = weighted_phase_lag_index(signal(one), signal(two))
cross = (np.fft.rfft(one, axis=0) * np.fft.rfft(two, axis=0).conj())[20].imag
print(f"0.5 rad behind: {found.size} frequencies, {found[np.argmin(np.abs(frequencies.magnitude - 20))]:.2f} at 20 Hz,",
      f"really 501, {np.abs(cross.mean()) / np.abs(cross).mean():.2f}")
PY
)
echo "$found"
[ "$found" = "second 20 ms behind the first, n_lags None: highest at -20 ms
second 20 ms behind the first, n_lags 100: highest at -920 ms
second 20 ms behind the first, n_lags 500: highest at -520 ms
first 20 ms ahead, so 1.26 rad at 10 Hz: phase_lag -1.25
variance 1.00: multitaper_psd 1.00, multitaper_cross_spectrum with itself 0.50
phases of 1000 times, 50 trials, any angle apart: 50 values of 1.00, really 1000 of 0.00
0.5 rad behind: 26 frequencies, 0.09 at 20 Hz, really 501, 1.00" ]
