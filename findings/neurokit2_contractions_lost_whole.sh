#!/usr/bin/env bash
# NeuroKit2 0.3.0: of a contraction of five seconds with a dip of 49 ms in it, the four seconds after the dip are lost.
#
# Versions:  neurokit2 0.3.0, numpy 2.4.6.
# Input:     8 s of amplitude at 1,000 Hz, 1 in a contraction and 0 at rest, through emg_activation() with a threshold
#            of 0.5: one contraction of 5 s, the same with a dip, at the recording's beginning and end, and with a burst
#            of 20 ms after it under two least durations. Then made EMG, noise from 20 to 450 Hz with a contraction of
#            5 s ten times as strong as rest, with the method "biosppy" and its defaults.
# Behaviour: stretches of activity or rest shorter than the least duration, 50 ms by default, are left out but not
#            joined with their neighbours. Activity is then kept only where a kept stretch of rest ends at its first
#            sample: what follows a short dip is lost to its end, and so is what begins with the recording. What lasts
#            to the recording's end loses its activity and offset but not its onset. duration_min, in seconds by the
#            documentation, is taken in samples: 0.5 is none. No warning is given. Of all this, the documentation has
#            "minimum duration of a period of activity or non-activity". Issue 524
#            (https://github.com/neuropsychology/NeuroKit/issues/524) is of an error that an offset at the end raised.
# Output:    from 1 to 6 s: contracted 5.000 s, found 5.000 s, onsets 1, offsets 1
#            dip of 51 ms: contracted 4.949 s, found 4.949 s, onsets 2, offsets 2
#            dip of 49 ms: contracted 4.951 s, found 1.000 s, onsets 1, offsets 1
#            from 0 to 5 s: contracted 5.000 s, found 0.000 s, onsets 0, offsets 0
#            from 3 to 8 s: contracted 5.000 s, found 0.000 s, onsets 1, offsets 0
#            burst, duration_min 0.5: contracted 5.020 s, found 5.020 s, onsets 2, offsets 2
#            burst, duration_min 500: contracted 5.020 s, found 5.000 s, onsets 1, offsets 1
#            EMG, biosppy: contracted 5.0 s, found 0.1 s
# Why it matters: all methods and emg_process() end in this step. The envelope of EMG falls below a threshold for some
#            ms often, and each time the contraction is over; cut into trials, it begins or ends at the edge. Labels of
#            rest and movement made so are wrong by seconds, and emg_intervalrelated() averages what is left.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile neurokit2==0.3.0 numpy==2.4.6
cd "$place"
found=$(MPLCONFIGDIR="$place" MPLBACKEND=agg "$place/venv/bin/python" -W ignore - <<'PY'
import warnings

import neurokit2 as nk
import numpy as np

warnings.simplefilter("error")


def report(name, *spans, **options):
    amplitude = np.zeros(8000)
    for first, last in spans:
        amplitude[first:last] = 1
    signals, events = nk.emg_activation(amplitude, sampling_rate=1000, method="threshold", threshold=0.5, **options)
    print(f"{name}: contracted {amplitude.sum() / 1000:.3f} s, found {signals['EMG_Activity'].sum() / 1000:.3f} s,",
          f"onsets {len(events['EMG_Onsets'])}, offsets {len(events['EMG_Offsets'])}")


report("from 1 to 6 s", (1000, 6000))
report("dip of 51 ms", (1000, 2000), (2051, 6000))
report("dip of 49 ms", (1000, 2000), (2049, 6000))
report("from 0 to 5 s", (0, 5000))
report("from 3 to 8 s", (3000, 8000))
for least in (0.5, 500):
    report(f"burst, duration_min {least}", (1000, 6000), (7000, 7020), duration_min=least)

spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(8000))
frequency = np.fft.rfftfreq(8000, 1 / 1000)
spectrum[(frequency < 20) | (frequency > 450)] = 0
emg = np.fft.irfft(spectrum)
emg[:1000] /= 10
emg[6000:] /= 10
activity = nk.emg_activation(emg_cleaned=emg, sampling_rate=1000, method="biosppy")[0]["EMG_Activity"]
print(f"EMG, biosppy: contracted 5.0 s, found {activity.sum() / 1000:.1f} s")
PY
)
echo "$found"
[ "$found" = "from 1 to 6 s: contracted 5.000 s, found 5.000 s, onsets 1, offsets 1
dip of 51 ms: contracted 4.949 s, found 4.949 s, onsets 2, offsets 2
dip of 49 ms: contracted 4.951 s, found 1.000 s, onsets 1, offsets 1
from 0 to 5 s: contracted 5.000 s, found 0.000 s, onsets 0, offsets 0
from 3 to 8 s: contracted 5.000 s, found 0.000 s, onsets 1, offsets 0
burst, duration_min 0.5: contracted 5.020 s, found 5.020 s, onsets 2, offsets 2
burst, duration_min 500: contracted 5.020 s, found 5.000 s, onsets 1, offsets 1
EMG, biosppy: contracted 5.0 s, found 0.1 s" ]
