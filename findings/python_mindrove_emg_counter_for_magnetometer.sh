#!/usr/bin/env bash
# python-mindrove-emg 0.1.0: the magnetometer is a counter, a clock and a marker, and EMG after a pause is 1.6 s late.
#
# Versions:  python-mindrove-emg 0.1.0, mindrove 5.3.0, numpy 2.4.6. PyQt5 and pylsl are replaced, and so are the board
#            and the clock, by ones that are known: no window, no stream and no device are there.
# Input:     a board of 500 Hz with the rows that MindRove's own library describes. Each row has its own number as its
#            value: through the recorder and the two streamers to LSL. Then the number of the sample in all rows, for 10
#            s, asked for each 0.1 s as the window's timer does, but for a pause of 2 s after 5 s: through the recorder.
# Behaviour: recorder and streamers are documented with accelerometer, gyroscope and magnetometer. The recorder and the
#            single streamer take the three rows after the gyroscope for the magnetometer: the number of the packet, the
#            time and the marker. The dual streamer asks the library, and has the right ones. At each poll 200 samples
#            are taken at most, the oldest, and the last of them is stamped with the time of the poll, however old it
#            is; the time that the board gives is not looked at. After a pause all samples that have waited are late,
#            and the times of successive samples go back. No error or warning is given.
# Output:    library: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 35 36 37
#            library: packet 26, time 27, marker 28
#            recorder: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 26 27 28
#            single streamer: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 26 27 28
#            dual streamer: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 35 36 37
#            pause: samples of 4.90, 5.10 and 5.40 s are stamped 4.90, 6.70 and 7.00 s, 6 times back in time
# Why it matters: the orientation of the wrist from these recordings is that of a counter, a clock and a marker. EMG is
#            cut by the markers of the gestures, whose times are right, and is that of another gesture.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps python-mindrove-emg==0.1.0 mindrove==5.3.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np


class Replaced(ModuleType):
    def __getattr__(self, name):
        return object


class Outlet(list):
    def __init__(self, info):
        streams.append(self)

    def push_sample(self, sample, time):
        self.append(sample)


for name in ("PyQt5", "PyQt5.QtCore", "PyQt5.QtGui", "PyQt5.QtWidgets"):
    sys.modules[name] = Replaced(name)
sys.modules["pylsl"] = SimpleNamespace(StreamInfo=MagicMock(), StreamOutlet=Outlet, local_clock=lambda: clock)
from mindrove.board_shim import BoardIds, BoardShim
from mindrove_emg.tools import dual_streamer_gui, lsl_streamer, recorder_gui

rows = BoardShim.get_board_descr(BoardIds.MINDROVE_WIFI_BOARD)
clock, streams = 0.0, []


class Board(MagicMock):
    read = 0

    def get_board_data_count(self):
        return round(500 * clock) - self.read

    def get_board_data(self, count):
        numbers = np.arange(self.read, self.read + count, dtype=float)
        self.read += count
        own = np.arange(rows["num_rows"], dtype=float)[:, None]
        return own + 0 * numbers if self.own else 0 * own + numbers


class OwnNumbers(Board):
    own = True


class Samples(Board):
    own = False


def started(tool, board):
    tool.board, tool.running = board, True
    return tool


def told(name, movement):
    first, second, third = (" ".join(f"{value:.0f}" for value in part) for part in np.reshape(movement, (3, 3)))
    print(f"{name}: accelerometer {first}, gyroscope {second}, magnetometer {third}")


told("library", rows["accel_channels"] + rows["gyro_channels"] + rows["magnetometer_channels"])
print(f"library: packet {rows['package_num_channel']}, time {rows['timestamp_channel']},"
      f" marker {rows['marker_channel']}")
recorder_gui.time = SimpleNamespace(time=lambda: clock)
clock = 0.1
recorder = started(recorder_gui.MindRoveRecorder(".", "trial"), OwnNumbers())
recorder.poll_once()
told("recorder", [part[0] for part in recorder.buffer.as_arrays()[2:]])
single = started(lsl_streamer.MindRoveLSLStreamer(), OwnNumbers())
single.emg_outlet, single.imu_outlet = lsl_streamer.build_outlets("EMG", "IMU")
single.poll_once()
told("single streamer", streams[1][0])
dual = started(dual_streamer_gui.MindRoveDeviceStreamer(
    dual_streamer_gui.DeviceConfig(True, "A", "A"), dual_streamer_gui.FilterSettings(),
    dual_streamer_gui.LslSettings()), OwnNumbers())
dual.outlets = dual._build_outlets()
dual.poll_once()
told("dual streamer", streams[3][0])

recorder = started(recorder_gui.MindRoveRecorder(".", "trial"), Samples())
for clock in [tenth / 10 for tenth in range(1, 101) if not 50 < tenth < 70]:
    recorder.poll_once()
times, emg, *_ = recorder.buffer.as_arrays()
true = (emg[:, 0] + 1) / 500
at = [times[np.searchsorted(true, second - 1e-6)] for second in (4.9, 5.1, 5.4)]
print("pause: samples of 4.90, 5.10 and 5.40 s are stamped {:.2f}, {:.2f} and {:.2f} s,".format(*at),
      f"{np.sum(np.diff(times) < 0)} times back in time")
PY
)
echo "$found"
[ "$found" = "library: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 35 36 37
library: packet 26, time 27, marker 28
recorder: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 26 27 28
single streamer: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 26 27 28
dual streamer: accelerometer 20 21 22, gyroscope 23 24 25, magnetometer 35 36 37
pause: samples of 4.90, 5.10 and 5.40 s are stamped 4.90, 6.70 and 7.00 s, 6 times back in time" ]
