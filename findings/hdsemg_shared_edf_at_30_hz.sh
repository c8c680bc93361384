#!/usr/bin/env bash
# hdsemg-shared 0.14.3: EMG of 2,048 Hz is read as of 30 Hz if the annotations are first, and gaps are closed.
#
# Versions:  hdsemg-shared 0.14.3, pyedflib 0.1.42, scipy 1.17.1, numpy 2.4.6.
# Input:     EDF+ files of 10 records of 1 s, each with 2,048 samples of two channels of EMG, whose values are 100 times
#            the second of the record, and 30 for the annotations, after the channels or before them. The same as EDF+D,
#            with the annotations last, that say that records 6 to 10 are from 60 s on. Through load_edf_file(), and
#            pyedflib for comparison.
# Behaviour: the function is documented to load EDF and EDF+C files, and to detect and exclude the annotations. The rate
#            of all channels is taken from the first signal of the file, which may be the annotations: their number of
#            bytes, halved, becomes the rate of the EMG, and the time follows it. EDFlib has a setting that writes them
#            first, and pyedflib reads the rate as it is. The mark "EDF+D" for records with gaps is named in the
#            reader's description of the header, and not looked at, nor are the times of the records: all are put
#            together as one, where pyedflib refuses to open the file. No error or warning is given.
# Output:    annotations last: 2048 Hz, pyedflib 2048 Hz, EMG of 9 s is at 9.0 s
#            annotations first: 30 Hz, pyedflib 2048 Hz, EMG of 9 s is at 614.4 s
#            with a gap: 2048 Hz, pyedflib refuses, EMG of 64 s is at 9.0 s
# Why it matters: all frequencies, conduction velocities and firing rates are 68 times too low, filters are designed for
#            another rate, and EMG after a pause belongs to another time of the force and to another label.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps hdsemg-shared==0.14.3 pyedflib==0.1.42
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.modules["requests"] = SimpleNamespace()
import pyedflib
from hdsemg_shared.fileio.edf_file_io import load_edf_file

warnings.simplefilter("error")
rate = 2048


def write_edf(path, first, kind, starts):
    labels = ["EMG 1", "EMG 2"]
    labels.insert(0 if first else 2, "EDF Annotations")
    numbers = [30 if label == "EDF Annotations" else rate for label in labels]
    units = ["" if label == "EDF Annotations" else "uV" for label in labels]
    head = [(8, "0"), (80, "X X X X"), (80, "Startdate 01-JAN-2026 X X X"), (8, "01.01.26"), (8, "12.00.00"),
            (8, 1024), (44, kind), (8, len(starts)), (8, 1), (4, 3)]
    fields = [(16, labels), (80, [""] * 3), (8, units), (8, [-32768] * 3), (8, [32767] * 3), (8, [-32768] * 3),
              (8, [32767] * 3), (80, [""] * 3), (8, numbers), (32, [""] * 3)]
    content = "".join(f"{value:<{width}}" for width, value in head)
    content += "".join(f"{value:<{width}}" for width, values in fields for value in values)
    content = content.encode("ascii")
    for start in starts:
        for label in labels:
            if label == "EDF Annotations":
                content += f"+{start}\x14\x14\0".encode("ascii").ljust(60, b"\0")
            else:
                content += np.full(rate, 100 * start, dtype="<i2").tobytes()
    Path(path).write_bytes(content)


for name, first, kind, starts in (
    ("annotations last", False, "EDF+C", range(10)),
    ("annotations first", True, "EDF+C", range(10)),
    ("with a gap", False, "EDF+D", [*range(5), *range(60, 65)]),
):
    write_edf("trial.edf", first, kind, starts)
    data, times, _, found, *_ = load_edf_file("trial.edf")
    try:
        with pyedflib.EdfReader("trial.edf") as reader:
            own = f"{reader.getSampleFrequency(0):.0f} Hz"
    except OSError:
        own = "refuses"
    last = starts[-1]
    at = times[np.flatnonzero(data[0] == 100 * last)[0]]
    print(f"{name}: {found:.0f} Hz, pyedflib {own}, EMG of {last} s is at {at:.1f} s")
PY
)
echo "$found"
[ "$found" = "annotations last: 2048 Hz, pyedflib 2048 Hz, EMG of 9 s is at 9.0 s
annotations first: 30 Hz, pyedflib 2048 Hz, EMG of 9 s is at 614.4 s
with a gap: 2048 Hz, pyedflib refuses, EMG of 64 s is at 9.0 s" ]
