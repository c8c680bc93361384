#!/usr/bin/env bash
# pyxdf 1.17.5: 0.9 s of lost samples leave no gap in the time stamps; the stamps around it move instead.
#
# Versions:  pyxdf 1.17.5, numpy 2.4.6.
# Input:     an XDF file with one EMG stream: two channels, nominally 2,000 Hz, four seconds of samples, and between the
#            second and the third second's samples a loss of 0.5, 0.9 or 1.1 s. The time stamps in the file are exact.
# Behaviour: load_xdf() fits one straight line through the stamps ("dejitter", on by default) of every stretch between
#            breaks, and a break must be longer than the larger of 1 s and 500 sample periods: at EMG's rates always 1 s.
#            A loss of 0.9 s moves stamps by up to 0.45 s and makes the effective rate 1,495 Hz; one of 1.1 s moves
#            nothing. The log warns of the rate and that segments differ; it does not say that samples are missing.
#            dejitter_timestamps=False keeps the stamps.
# Output:    loss 0.5 s: stamps moved by up to 0.25 s, largest step 0.6 ms, rate 1684 Hz
#            loss 0.9 s: stamps moved by up to 0.45 s, largest step 0.7 ms, rate 1495 Hz
#            loss 1.1 s: stamps moved by up to 0.00 s, largest step 1100.5 ms, rate 2000 Hz
# Why it matters: LabStreamingLayer is how EMG armbands, gloves and markers are recorded together, and radio links lose
#            tenths of a second. A reader that looks for gaps in the stamps, as one must before cutting windows, finds
#            none, and the samples' stamps are off against other streams by up to half the loss.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pyxdf==1.17.5 numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - 2>/dev/null <<'PY'
import struct

import numpy as np
import pyxdf


def chunk(tag, content):
    body = struct.pack("<H", tag) + content
    return b"\x04" + struct.pack("<I", len(body)) + body


def write(file, stamps):
    header = (b"<info><name>emg</name><type>EMG</type><channel_count>2</channel_count>"
              b"<nominal_srate>2000</nominal_srate><channel_format>float32</channel_format></info>")
    samples = b"".join(b"\x08" + struct.pack("<dff", t, 0.0, 0.0) for t in stamps)
    with open(file, "wb") as f:
        f.write(b"XDF:" + chunk(1, b"<info><version>1.0</version></info>") + chunk(2, struct.pack("<I", 1) + header))
        f.write(chunk(3, struct.pack("<I", 1) + b"\x04" + struct.pack("<I", len(stamps)) + samples))


for loss in (0.5, 0.9, 1.1):
    stamps = np.arange(8000) / 2000
    stamps[4000:] += loss
    write("emg.xdf", stamps)
    (stream,), _ = pyxdf.load_xdf("emg.xdf")
    read, rate = stream["time_stamps"], stream["info"]["effective_srate"]
    assert np.array_equal(pyxdf.load_xdf("emg.xdf", dejitter_timestamps=False)[0][0]["time_stamps"], stamps)
    print(f"loss {loss} s: stamps moved by up to {np.abs(read - stamps).max():.2f} s, "
          f"largest step {1000 * np.diff(read).max():.1f} ms, rate {rate:.0f} Hz")
PY
)
echo "$found"
[ "$found" = "loss 0.5 s: stamps moved by up to 0.25 s, largest step 0.6 ms, rate 1684 Hz
loss 0.9 s: stamps moved by up to 0.45 s, largest step 0.7 ms, rate 1495 Hz
loss 1.1 s: stamps moved by up to 0.00 s, largest step 1100.5 ms, rate 2000 Hz" ]
