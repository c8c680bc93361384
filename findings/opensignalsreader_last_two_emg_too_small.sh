#!/usr/bin/env bash
# opensignalsreader 0.2.2: the fifth and sixth EMG of a BITalino recording become 16 times too small.
#
# Versions:  opensignalsreader 0.2.2, numpy 2.4.6. What it imports for plots, matplotlib, is left out.
# Input:     a text file as OpenSignals writes it for BITalino with EMG on all six channels, which the board sends with
#            10 bits for four and 6 bits for the last two; the file's header says so. All record 2 s of a sine of 1 mV.
# Behaviour: the reader names the sensors "EMG" and "EMG1" to "EMG5" and keeps each one's resolution by its name
#            (sampling_resolution has all six, right), but takes the digits off the name before it looks it up, so all
#            get the first one's. Numbers of 6 bits end at 63, the bottom of the range of 10 bits. The values are within
#            the sensor's range, so the reader's warning of values out of range is not given.
# Output:    EMG, A1, 10 bits: from -1.00 to 1.00 mV
#            EMG1, A2, 10 bits: from -1.00 to 1.00 mV
#            EMG2, A3, 10 bits: from -1.00 to 1.00 mV
#            EMG3, A4, 10 bits: from -1.00 to 1.00 mV
#            EMG4, A5, 6 bits: from -1.60 to -1.47 mV
#            EMG5, A6, 6 bits: from -1.60 to -1.47 mV
# Why it matters: BITalino is a common low-cost board for EMG, and six muscles are all that it can record. What is left
#            of the last two after a high-pass filter, which removes the offset of -1.5 mV, looks like muscles that
#            hardly contract. With one EMG among other sensors the reader is right.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps opensignalsreader==0.2.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import json
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
from opensignalsreader import OpenSignalsReader

warnings.simplefilter("error", UserWarning)
emg = np.sin(2 * np.pi * 50 * np.arange(2000) / 1000)


def stored(bits):
    return np.rint((emg / 1000 * 1009 / 3.3 + 0.5) * 2**bits).astype(int)


bits = [10, 10, 10, 10, 6, 6]
header = {"20:16:12:21:35:82": {
    "sensor": ["EMGBITREV"] * 6, "device name": "20:16:12:21:35:82", "sampling rate": 1000,
    "column": ["nSeq", "I1", "I2", "O1", "O2", "A1", "A2", "A3", "A4", "A5", "A6"], "comments": "", "time": "12:00:0.0",
    "date": "2024-1-1", "device connection": "BTH20:16:12:21:35:82", "channels": [1, 2, 3, 4, 5, 6], "mode": 0,
    "firmware version": 52, "device": "bitalino_rev", "position": 0, "sampling resolution": bits, "digital IO": [],
    "resolution": [4, 1, 1, 1, 1, *bits], "label": ["A1", "A2", "A3", "A4", "A5", "A6"], "special": [{}] * 6}}
table = np.zeros((len(emg), 11), int)
table[:, 0] = np.arange(len(emg)) % 16
table[:, 5:] = np.transpose([stored(b) for b in bits])
with open("emg.txt", "w") as f:
    f.write("# OpenSignals Text File Format\n# " + json.dumps(header) + "\n# EndOfHeader\n")
    np.savetxt(f, table, "%d")
reader = OpenSignalsReader("emg.txt")
for channel, name in enumerate(reader.sensors, 1):
    read = reader.signal(channel)
    print(f"{name}, A{channel}, {reader.sampling_resolution[name]} bits: from {read.min():.2f} to {read.max():.2f} mV")
PY
)
echo "$found"
[ "$found" = "EMG, A1, 10 bits: from -1.00 to 1.00 mV
EMG1, A2, 10 bits: from -1.00 to 1.00 mV
EMG2, A3, 10 bits: from -1.00 to 1.00 mV
EMG3, A4, 10 bits: from -1.00 to 1.00 mV
EMG4, A5, 6 bits: from -1.60 to -1.47 mV
EMG5, A6, 6 bits: from -1.60 to -1.47 mV" ]
