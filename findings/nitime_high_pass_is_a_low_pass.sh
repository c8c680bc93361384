#!/usr/bin/env bash
# nitime 0.12.1: a high-pass of 20 Hz lets only slower through, and transfer entropy goes the other way.
#
# Versions:  nitime 0.12.1, matplotlib 3.11.2, scipy 1.17.1, numpy 2.4.6.
# Input:     sines of 5, 100 and 480 Hz, 10 s at 1,000 and 2,000 Hz, through FilterAnalyzer with lb 20, and with ub 460:
#            iir and, beside it, fir. 5,000 random states, active or not, of a leader, and of a follower who is in the
#            leader's state of one sample before: transfer_entropy(). 20 s of EMG at 1,000 Hz with a potential of 100 uV
#            at each of three firings, as a series from 0 s and from 5 s on: EventRelatedAnalyzer with the times of the
#            firings as Events, and HilbertAnalyzer.
# Behaviour: lb and ub are documented as ends of a pass-band, by default 0 and half the sampling rate. With lb alone,
#            iir puts the end of the stop-band to a tenth of half the sampling rate or more, and with ub alone to nine
#            tenths or less. If that is on the wrong side of the end given, SciPy designs the opposite filter. The
#            transfer entropy is documented as that from x, the source, to y, the target, and is that from y to x. Of
#            the times of events, the start of the series is not taken off, and the Hilbert analyzer begins at 0 for all
#            series. No error or warning is given.
# Output:    lb 20 at 1000 Hz, iir: 5 Hz 92 %, 100 Hz 0 %, 480 Hz 0 %
#            lb 20 at 1000 Hz, fir: 5 Hz 0 %, 100 Hz 100 %, 480 Hz 100 %
#            lb 20 at 2000 Hz, iir: 5 Hz 89 %, 100 Hz 0 %, 480 Hz 0 %
#            lb 20 at 2000 Hz, fir: 5 Hz 0 %, 100 Hz 101 %, 480 Hz 100 %
#            ub 460 at 1000 Hz, iir: 5 Hz 0 %, 100 Hz 0 %, 480 Hz 98 %
#            ub 460 at 1000 Hz, fir: 5 Hz 100 %, 100 Hz 100 %, 480 Hz 0 %
#            transfer_entropy(leader, follower) 0.00 bit, (follower, leader) 1.00 bit
#            from 0 s: average about three firings 100 uV, HilbertAnalyzer from 0 s
#            from 5 s: average about three firings 0 uV, HilbertAnalyzer from 0 s
# Why it matters: with 20 Hz, surface EMG is high-passed against movement, and what is left here is the movement.
#            Of a leader and a follower, the muscle that drives is taken for the driven one. A trial cut out of a longer
#            recording has a start, and the average about its motor unit's firings is then of other moments.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile matplotlib==3.11.2 scipy==1.17.1 \
    numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps nitime==0.12.1
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from nitime.algorithms.entropy import transfer_entropy
from nitime.analysis import EventRelatedAnalyzer, FilterAnalyzer, HilbertAnalyzer
from nitime.timeseries import Events, TimeSeries

warnings.simplefilter("error")


def gains(method, rate, **band):
    found = []
    for frequency in (5, 100, 480):
        sine = np.sin(2 * np.pi * frequency * np.arange(10 * rate) / rate)
        filtered = getattr(FilterAnalyzer(TimeSeries(sine, sampling_rate=rate), **band), method).data
        found.append(f"{frequency} Hz {100 * np.std(filtered[rate:-rate]) / np.std(sine):.0f} %")
    return ", ".join(found)


for rate, band in ((1000, {"lb": 20}), (2000, {"lb": 20}), (1000, {"ub": 460})):
    name = " ".join(f"{key} {value}" for key, value in band.items())
    for method in ("iir", "fir"):
        print(f"{name} at {rate} Hz, {method}: {gains(method, rate, **band)}")
leader = np.random.default_rng(0).integers(0, 2, 5000)
follower = np.roll(leader, 1)
print(f"transfer_entropy(leader, follower) {abs(transfer_entropy(leader, follower)):.2f} bit,",
      f"(follower, leader) {transfer_entropy(follower, leader):.2f} bit")
emg = np.zeros(20000)
emg[[6000, 8000, 11500]] = 100
for start in (0, 5):
    series = TimeSeries(emg, sampling_rate=1000, t0=start)
    events = Events([start + 6, start + 8, start + 11.5], time_unit="s")
    average = EventRelatedAnalyzer(series, events, len_et=100, offset=-50).eta
    print(f"from {start} s: average about three firings {average.data.max():.0f} uV,",
          f"HilbertAnalyzer from {float(HilbertAnalyzer(series).amplitude.time[0]) / 1e12:.0f} s")
PY
)
echo "$found"
[ "$found" = "lb 20 at 1000 Hz, iir: 5 Hz 92 %, 100 Hz 0 %, 480 Hz 0 %
lb 20 at 1000 Hz, fir: 5 Hz 0 %, 100 Hz 100 %, 480 Hz 100 %
lb 20 at 2000 Hz, iir: 5 Hz 89 %, 100 Hz 0 %, 480 Hz 0 %
lb 20 at 2000 Hz, fir: 5 Hz 0 %, 100 Hz 101 %, 480 Hz 100 %
ub 460 at 1000 Hz, iir: 5 Hz 0 %, 100 Hz 0 %, 480 Hz 98 %
ub 460 at 1000 Hz, fir: 5 Hz 100 %, 100 Hz 100 %, 480 Hz 0 %
transfer_entropy(leader, follower) 0.00 bit, (follower, leader) 1.00 bit
from 0 s: average about three firings 100 uV, HilbertAnalyzer from 0 s
from 5 s: average about three firings 0 uV, HilbertAnalyzer from 0 s" ]
