#!/usr/bin/env bash
# biosiglive 2.0.3: a muscle at its maximum has 3914 % of the maximum just measured; with 15 other muscles, 3101 %.
#
# Versions:  biosiglive 2.0.3, scipy 1.17.1, numpy 2.4.6. Its plots, which need matplotlib, are replaced and not asked
#            for.
# Input:     10 s at 2,000 Hz of 16 channels of EMG, white noise that rises to a maximum of 3 s, as a custom interface:
#            one trial by ComputeMvc.run() of the first 1, 2, 8 and 16 channels, then the plateau of the first channel
#            as processed by OfflineProcessing, by that maximum. The envelopes straight through compute_mvc() with a
#            window of 1 s. Steady white noise in blocks of 20 samples through RealTimeProcessing, and offline.
# Behaviour: the program is documented to return the value of the maximal contraction for each muscle. It takes the
#            envelopes that it has of the trials, and puts them through the whole processing once more: the band pass
#            from 10 to 425 Hz takes an envelope away, and ripple is left. compute_mvc() is documented with the size of
#            the window for the maximum, usually 1 s. It sorts the samples of each muscle, appends the highest window
#            to itself once for each muscle, sorts again and takes the middle of the first window: with 16 muscles
#            each of the highest samples is there 16 times, and only the top 1 / 16 s counts. And where the offline
#            envelope is a moving average, the online one, documented as that, is a moving median, lower for the same
#            muscle. No error or warning is given.
# Output:    1 muscles: the maximum of muscle 1 is 0.0131, from its envelope 0.555, the plateau has 3914 %
#            2 muscles: the maximum of muscle 1 is 0.0150, from its envelope 0.572, the plateau has 3432 %
#            8 muscles: the maximum of muscle 1 is 0.0163, from its envelope 0.607, the plateau has 3162 %
#            16 muscles: the maximum of muscle 1 is 0.0166, from its envelope 0.616, the plateau has 3101 %
#            steady noise: moving average 0.515 offline, 0.440 in real time
# Why it matters: EMG is compared across persons and days in % of the maximal contraction, and muscle models take it as
#            an activation from 0 to 1. The maximum must not depend on which other muscles are recorded, and an
#            activation of one pipeline must be that of the other.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosiglive==2.0.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import builtins
import contextlib
import io
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

sys.modules["biosiglive.gui.plot"] = MagicMock()
from biosiglive import ComputeMvc, OfflineProcessing, RealTimeProcessing

warnings.simplefilter("error")
random = np.random.default_rng(0)


class Amplifier:
    devices = ("EMG",)

    def __init__(self, emg):
        self.blocks = iter(np.split(emg, 10, axis=1))

    def get_device_data(self):
        return next(self.blocks)


def answer(question):
    answers = {"number of seconds": "0.1", "plot your raw": "c", "plot again": "n", "quit": "q"}
    return next((reply for part, reply in answers.items() if part in question), "")


builtins.input = answer
effort = np.interp(np.arange(20000) / 2000, [0, 2, 3, 6, 7, 10], [0.02, 0.02, 1, 1, 0.02, 0.02])
recording = effort * random.normal(size=(16, 20000))
offline = OfflineProcessing(2000)
for count in (1, 2, 8, 16):
    emg = recording[:count]
    with contextlib.redirect_stdout(io.StringIO()):
        program = ComputeMvc("custom", output_file="m.bio", range_muscle=(0, count), custom_interface=Amplifier(emg))
        maximum = program.run()[0]
    envelopes = offline.process_emg(emg)
    own = OfflineProcessing.compute_mvc(count, envelopes, 2000)[0]
    share = 100 * envelopes[0, 7000:11000].mean() / maximum
    print(
        f"{count} muscles: the maximum of muscle 1 is {maximum:.4f}, from its envelope {own:.3f},"
        f" the plateau has {share:.0f} %"
    )
steady = random.normal(size=(1, 60000))
online = RealTimeProcessing(2000, 2000)
latest = [online.process_emg(block)[0, -1] for block in np.split(steady, 3000, axis=1)]
before, after = offline.process_emg(steady)[0, 4000:-4000].mean(), np.mean(latest[200:])
print(f"steady noise: moving average {before:.3f} offline, {after:.3f} in real time")
PY
)
echo "$found"
[ "$found" = "1 muscles: the maximum of muscle 1 is 0.0131, from its envelope 0.555, the plateau has 3914 %
2 muscles: the maximum of muscle 1 is 0.0150, from its envelope 0.572, the plateau has 3432 %
8 muscles: the maximum of muscle 1 is 0.0163, from its envelope 0.607, the plateau has 3162 %
16 muscles: the maximum of muscle 1 is 0.0166, from its envelope 0.616, the plateau has 3101 %
steady noise: moving average 0.515 offline, 0.440 in real time" ]
