#!/usr/bin/env bash
# biosiglive 2.0.3: of a recording saved once a second, 99 % is not in the file; an acceleration of 5 by 10 is 0.005.
#
# Versions:  biosiglive 2.0.3, scipy 1.17.1, numpy 2.4.6. Its plots, which need matplotlib, are replaced and not asked
#            for.
# Input:     StreamData at 100 Hz with a custom interface that gives 3 s of EMG of 2,000 Hz in blocks of 20 samples,
#            whose values are their own time: through save_streamed_data(), with save_frequency 100, 10 and 1, and
#            load(). RealTimeProcessing with windows of 1 s: a steady acceleration of (0, 3, 4) through process_imu()
#            with squared, and bounds of -10 and 10; then 4 s of white noise through process_emg(), which by default
#            takes a moving average.
# Behaviour: the description says that data is saved at each loop or at the frequency that is given. The blocks of one
#            period are put together, but what is written is the last block alone: all others are lost, and load()
#            puts the rest together without a gap. At the full rate the first block is. process_imu() is documented with
#            the bounds of the normalization: with squared it divides by the bound once for each of the three axes,
#            although the norm is one number. process_emg() is documented to return the processed EMG: of the window
#            that it returns, the last sample is an average (in fact a median), all others are just rectified. No error
#            or warning is given.
# Output:    saved at 100 Hz: 5980 of 6000 samples, from 0.010 s on
#            saved at 10 Hz: 580 of 6000 samples, from 0.100 s on
#            saved at 1 Hz: 40 of 6000 samples, from 1.000 s on
#            acceleration of 5 by a bound of 10: 0.005
#            white noise: 2000 samples returned, 1 averaged, 1999 rectified
# Why it matters: the file is the recording, and it is found to be empty when the participant has left. A normalised
#            acceleration is a hundredth of what it says, and an envelope that is no envelope is what a plot, a model of
#            the muscles or a classifier is given for each window.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosiglive==2.0.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import io
import multiprocessing
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

multiprocessing.set_start_method("fork")
sys.modules["biosiglive.gui.plot"] = MagicMock()
from biosiglive import RealTimeProcessing, StreamData, load
from biosiglive.interfaces.generic_interface import GenericInterface

warnings.simplefilter("error")


class Amplifier(GenericInterface):
    def __init__(self):
        super().__init__(system_rate=100, interface_type="custom")
        self.devices.append(self._add_device(2, "emg", "EMG", 2000))
        self.blocks = iter((np.arange(6000) / 2000 + np.zeros((2, 1))).reshape(2, 300, 20).swapaxes(0, 1))

    def get_frame(self):
        self.block = next(self.blocks)
        return True

    def get_device_data(self, device_name, get_frame):
        return self.block


for rate in (100, 10, 1):
    stream = StreamData(stream_rate=100)
    stream.add_interface(Amplifier())
    stream.save_data, stream.save_path, stream.save_frequency = True, f"{rate}.bio", rate
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(StopIteration):
        stream.save_streamed_data(0)
    times = np.concatenate([block[0][0] for block in load(f"{rate}.bio")["raw_device_data"]])
    print(f"saved at {rate} Hz: {times.size} of 6000 samples, from {times[0]:.3f} s on")

online = RealTimeProcessing(100, 100)
for _ in range(110):
    norm = online.process_imu(np.reshape([0.0, 3, 4], (1, 3, 1)), squared=True, norm_min_bound=-10, norm_max_bound=10)
print(f"acceleration of 5 by a bound of 10: {norm[0, -1]:.3f}")

online = RealTimeProcessing(2000, 2000)
for block in np.split(np.random.default_rng(0).normal(size=(1, 8000)), 400, axis=1):
    envelope = online.process_emg(block)
rectified = online.process_generic_signal(online.raw_data_buffer, moving_average=False)
same = np.sum(np.isclose(envelope[0, :-1], rectified[0, 1:]))
averaged = np.sum(np.isclose(envelope[0], np.median(rectified[0, -200:])))
print(f"white noise: {envelope.shape[1]} samples returned, {averaged} averaged, {same} rectified")
PY
)
echo "$found"
[ "$found" = "saved at 100 Hz: 5980 of 6000 samples, from 0.010 s on
saved at 10 Hz: 580 of 6000 samples, from 0.100 s on
saved at 1 Hz: 40 of 6000 samples, from 1.000 s on
acceleration of 5 by a bound of 10: 0.005
white noise: 2000 samples returned, 1 averaged, 1999 rectified" ]
