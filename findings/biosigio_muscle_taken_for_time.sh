#!/usr/bin/env bash
# biosigIO 1.2.13: of a CSV file of four muscles three are read, without the first that has an "s" in its name.
#
# Versions:  biosigio 1.2.13, pandas 2.3.3, scipy 1.17.1, numpy 2.4.6, matplotlib 3.11.2, pyedflib 0.1.42 (of what
#            biosigIO asks for, what a CSV file needs).
# Input:     CSV files of EMG in mV, 2,000 samples, a named column for each of four forearm muscles and none for time,
#            read with sample_frequency=2000 and without. The flexor digitorum superficialis (FDS) ends 0.5 mV above its
#            first sample. For comparison, the same columns without an "s" in a name, and with a column of time.
# Behaviour: the importer takes for time the first column whose name, in small letters, contains "time", "second" or
#            "s". FDS becomes the index and is no channel any more, even though the sampling rate is given. If it is not
#            given, which is an error for files without time, it is taken from the mean step of FDS: 1,999 steps over
#            0.5 mV are 3,998 Hz. No warning is given. The documentation says that the importer looks for columns that
#            might represent time, not how, and the rate is "required if no time column". No setting says that there is
#            none; has_header=False with skiprows and channel_names reads all four.
# Output:    FCR FCU EDC ECU, at 2000 Hz: read FCR FCU EDC ECU at 2000 Hz
#            FCR FDS EDC ECU, at 2000 Hz: read FCR EDC ECU at 2000 Hz
#            FCR FCU EDC ECU, no rate: ValueError
#            FCR FDS EDC ECU, no rate: read FCR EDC ECU at 3998 Hz
#            time FCR FDS EDC ECU, no rate: read FCR FDS EDC ECU at 2000 Hz
#            FCR FDS EDC ECU, no header: read FCR FDS EDC ECU at 2000 Hz
# Why it matters: biosigIO turns tables of EMG into EDF, BDF and Zarr, and muscles are what their columns are named
#            after: FDS, biceps, triceps, extensor. The result has one muscle less and all after it one place further
#            left, which is another muscle to a model that knows channels by their place.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile pandas==2.3.3 scipy==1.17.1 \
    numpy==2.4.6 matplotlib==3.11.2 pyedflib==0.1.42
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosigio==1.2.13
cd "$place"
found=$(MPLCONFIGDIR="$place" "$place/venv/bin/python" - <<'PY'
import contextlib
import io
import warnings

import numpy as np
from biosigio import Recording

warnings.simplefilter("error")
emg = np.random.default_rng(0).standard_normal((2000, 4)).round(3) / 10
emg[-1, 1] = emg[0, 1] + 0.5


def read(names, told, **options):
    table = np.column_stack([np.arange(2000) / 2000, emg]) if "time" in names else emg
    np.savetxt("emg.csv", table, "%.4f", ",", header=names.replace(" ", ","), comments="")
    print(f"{names}, {told}:", end=" ")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            channels = Recording.from_file("emg.csv", importer="csv", **options).channels
    except ValueError as error:
        print(type(error).__name__)
    else:
        print("read", *channels, "at", *{f"{channel['sample_frequency']:.0f}" for channel in channels.values()}, "Hz")


for rate in ({"sample_frequency": 2000}, {}):
    for muscles in ("FCR FCU EDC ECU", "FCR FDS EDC ECU"):
        read(muscles, "at 2000 Hz" if rate else "no rate", **rate)
read("time FCR FDS EDC ECU", "no rate")
read("FCR FDS EDC ECU", "no header", sample_frequency=2000, has_header=False, skiprows=1,
     channel_names=["FCR", "FDS", "EDC", "ECU"])
PY
)
echo "$found"
[ "$found" = "FCR FCU EDC ECU, at 2000 Hz: read FCR FCU EDC ECU at 2000 Hz
FCR FDS EDC ECU, at 2000 Hz: read FCR EDC ECU at 2000 Hz
FCR FCU EDC ECU, no rate: ValueError
FCR FDS EDC ECU, no rate: read FCR EDC ECU at 3998 Hz
time FCR FDS EDC ECU, no rate: read FCR FDS EDC ECU at 2000 Hz
FCR FDS EDC ECU, no header: read FCR FDS EDC ECU at 2000 Hz" ]
