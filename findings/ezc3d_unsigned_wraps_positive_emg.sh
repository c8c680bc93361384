#!/usr/bin/env bash
# ezc3d 1.7.2: EMG stored as unsigned 16-bit numbers is right below zero and 65,536 steps too low above.
#
# Versions:  ezc3d 1.7.2, c3d 0.6.0, numpy 2.4.6.
# Input:     C3D files in the integer format: one marker at 100 Hz, one EMG channel at 1,000 Hz in steps of 1 uV. EMG is
#            stored signed with offset 0, and unsigned as offset-binary converters give it: ANALOG:FORMAT "UNSIGNED",
#            ANALOG:OFFSET 32,768. First ten samples from -1 to 1.25 mV, then white noise of 1 and of 0.1 mV.
# Behaviour: by c3d.org's description of the format, samples and offsets are both unsigned then. ezc3d returns the
#            parameter but takes both as signed: the offset is -32,768 and all samples stored from 32,768 on, zero and
#            above, are 65,536 steps too low. Negative ones are right. No warning is given; the README says of what is
#            left out of the format that it raises an exception. The package c3d reads the same files right.
# Output:    signed, ezc3d: -1.00 -0.75 -0.50 -0.25 0.00 0.25 0.50 0.75 1.00 1.25
#            unsigned, c3d: -1.00 -0.75 -0.50 -0.25 0.00 0.25 0.50 0.75 1.00 1.25
#            unsigned, ezc3d: -1.00 -0.75 -0.50 -0.25 -65.54 -65.29 -65.04 -64.79 -64.54 -64.29
#            noise of 1.0 mV: standard deviation by c3d 1.00, by ezc3d 32.0
#            noise of 0.1 mV: standard deviation by c3d 0.10, by ezc3d 32.7
# Why it matters: motion capture stores EMG beside the markers of the hand in C3D, and pyomeca, Kinetics Toolkit and
#            OpenSim read it through ezc3d. Without its mean, as after any high-pass filter, such EMG is little more
#            than its sign: to envelopes and features, a contraction of a tenth is as strong as a full one.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check ezc3d==1.7.2 c3d==0.6.0 numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import struct
import warnings

import c3d
import ezc3d
import numpy as np

warnings.simplefilter("error")


def group(number, name):
    return struct.pack("<bb", len(name), -number) + name.encode() + struct.pack("<Hb", 3, 0)


def parameter(number, name, kind, shape, content):
    body = struct.pack("<bB", kind, len(shape)) + bytes(shape) + content + b"\0"
    return struct.pack("<bb", len(name), number) + name.encode() + struct.pack("<H", len(body) + 2) + body


def text(number, name, *words):
    shape = [len(words[0]), len(words)] if name != "FORMAT" else [len(words[0])]
    return parameter(number, name, -1, shape, "".join(words).encode())


def word(number, name, value, shape=()):
    return parameter(number, name, 2, shape, struct.pack("<H", value))


def real(number, name, value, shape=()):
    return parameter(number, name, 4, shape, struct.pack("<f", value))


def write(file, emg, form, offset):
    stored = (np.rint(1000 * emg).astype(int) + offset).astype("<u2").reshape(-1, 10)
    frames = len(stored)
    header = struct.pack("<BB5HfHHf", 2, 80, 1, 10, 1, frames, 10, 0.1, 5, 10, 100)
    parameters = b"\x01\x50\x03\x54" + b"".join([
        group(1, "POINT"), word(1, "USED", 1), word(1, "FRAMES", frames), word(1, "DATA_START", 5),
        real(1, "SCALE", 0.1), real(1, "RATE", 100), text(1, "LABELS", "THUMB"), text(1, "DESCRIPTIONS", "THUMB"),
        text(1, "UNITS", "mm"), group(2, "ANALOG"), word(2, "USED", 1), text(2, "LABELS", "EMG"),
        text(2, "DESCRIPTIONS", "EMG"), text(2, "UNITS", "mV"), text(2, "FORMAT", form), word(2, "BITS", 16),
        real(2, "GEN_SCALE", 1), real(2, "SCALE", 0.001, [1]), word(2, "OFFSET", offset, [1]), real(2, "RATE", 1000)])
    marker = struct.pack("<3hBB", 10, 20, 30, 0, 0)
    data = b"".join(marker + samples.tobytes() for samples in stored)
    with open(file, "wb") as f:
        f.write(header.ljust(512, b"\0") + parameters.ljust(1536, b"\0") + data + bytes(-len(data) % 512))


def by_c3d(file):
    with open(file, "rb") as f:
        return np.concatenate([analog[0] for _, _, analog in c3d.Reader(f).read_frames()])


def by_ezc3d(file):
    return ezc3d.c3d(file)["data"]["analogs"][0, 0]


ramp = np.arange(-4, 6) / 4
write("signed.c3d", ramp, "SIGNED", 0)
write("unsigned.c3d", ramp, "UNSIGNED", 32768)
for name, read in (("signed, ezc3d", by_ezc3d("signed.c3d")), ("unsigned, c3d", by_c3d("unsigned.c3d")),
                   ("unsigned, ezc3d", by_ezc3d("unsigned.c3d"))):
    print(f"{name}:", *(f"{sample:.2f}" for sample in read))
noise = np.random.default_rng(0).normal(size=10000)
for strength in (1.0, 0.1):
    write("noise.c3d", strength * noise, "UNSIGNED", 32768)
    right, wrong = by_c3d("noise.c3d").std(), by_ezc3d("noise.c3d").std()
    print(f"noise of {strength} mV: standard deviation by c3d {right:.2f}, by ezc3d {wrong:.1f}")
PY
)
echo "$found"
[ "$found" = "signed, ezc3d: -1.00 -0.75 -0.50 -0.25 0.00 0.25 0.50 0.75 1.00 1.25
unsigned, c3d: -1.00 -0.75 -0.50 -0.25 0.00 0.25 0.50 0.75 1.00 1.25
unsigned, ezc3d: -1.00 -0.75 -0.50 -0.25 -65.54 -65.29 -65.04 -64.79 -64.54 -64.29
noise of 1.0 mV: standard deviation by c3d 1.00, by ezc3d 32.0
noise of 0.1 mV: standard deviation by c3d 0.10, by ezc3d 32.7" ]
