#!/usr/bin/env bash
# noraxy 0.1.11: EMG of 1,500 Hz runs a third too fast beside its acceleration, and EMG of 4,000 Hz is gone.
#
# Versions:  noraxy 0.1.11, numpy 2.4.6. polars, whose table is only what the channels are put into, is replaced by a
#            dictionary.
# Input:     60 s of one EMG and one acceleration channel whose values are the time in seconds, as a record in Noraxon's
#            folder format: the files "contents" and "data" with each channel's name, unit, frequency and .r64 file.
#            EMG of 2,000, 1,500 and 4,000 Hz, acceleration of 400, 100 and 200 Hz. Through read_record() with
#            resample_hz 2000, which is the default of NoraxonRecord, load_all_records() and read_all_records(), and
#            with None, the default of read_record() itself.
# Behaviour: resample_hz is documented as the rate that all channels are upsampled to, None as the highest rate of the
#            channels. Each sample is repeated by the ratio of the rates, rounded to a whole number: 2,000 by 1,500 is
#            once, so that 1,500 samples pass for 2,000 and "time" says 45 s. Each channel's speed is wrong by its own
#            rounding, and the longer ones are cut to the shortest. 2,000 by 4,000 rounds to no times: the channel is
#            empty, and all are cut to that. No error or warning is given.
# Output:    2000 and 400 Hz, to 2000: 120000 rows, at 40 s EMG of 40.0 s, acceleration of 40.0 s
#            1500 and 100 Hz, to 2000: 90000 rows, at 40 s EMG of 53.3 s, acceleration of 40.0 s
#            1500 and 200 Hz, to 2000: 90000 rows, at 40 s EMG of 53.3 s, acceleration of 40.0 s
#            1500 and 200 Hz, to None: 90000 rows, at 40 s EMG of 40.0 s, acceleration of 37.5 s
#            4000 and 400 Hz, to 2000: 0 rows
# Why it matters: 1,500 Hz is the rate of Noraxon's DTS sensors, and the Ultium has 2,000 and 4,000 Hz. The spectrum of
#            the EMG is a third too high, and it drifts from movement, video and label by 20 s a minute.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps noraxy==0.1.11
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import inspect
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.modules["polars"] = SimpleNamespace(DataFrame=dict)
from noraxy import core

warnings.simplefilter("error")
for function in (core.NoraxonRecord, core.load_all_records, core.read_all_records):
    assert inspect.signature(function).parameters["resample_hz"].default == 2000
record = Path("record")
record.mkdir()
(record / "contents").write_text('name: "Trial"\n')
for emg, acceleration, target in ((2000, 400, 2000), (1500, 100, 2000), (1500, 200, 2000), (1500, 200, None),
                                  (4000, 400, 2000)):
    lines = []
    for name, unit, rate in (("Ultium EMG.sensor 1", "uV", emg), ("Accel 1 Ax", "mG", acceleration)):
        stream = f"analog{rate}.r64"
        (np.arange(60 * rate) / rate).astype("<f8").tofile(record / stream)
        lines += [f'name: "{name}"', f'units: "{unit}"', f"frequency: {rate}", f'data: PxStream "{stream}"']
    (record / "data").write_text("\n".join(lines))
    table, _ = core.read_record(record, target)
    rows = len(table["time"])
    told = f"{emg} and {acceleration} Hz, to {target}: {rows} rows"
    if rows:
        row = np.searchsorted(table["time"], 40)
        muscle, movement = (values[row] for name, values in table.items() if name != "time")
        told += f", at 40 s EMG of {muscle:.1f} s, acceleration of {movement:.1f} s"
    print(told)
PY
)
echo "$found"
[ "$found" = "2000 and 400 Hz, to 2000: 120000 rows, at 40 s EMG of 40.0 s, acceleration of 40.0 s
1500 and 100 Hz, to 2000: 90000 rows, at 40 s EMG of 53.3 s, acceleration of 40.0 s
1500 and 200 Hz, to 2000: 90000 rows, at 40 s EMG of 53.3 s, acceleration of 40.0 s
1500 and 200 Hz, to None: 90000 rows, at 40 s EMG of 40.0 s, acceleration of 37.5 s
4000 and 400 Hz, to 2000: 0 rows" ]
