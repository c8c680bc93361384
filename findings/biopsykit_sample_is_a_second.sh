#!/usr/bin/env bash
# biopsykit 0.14.0: a minute of EMG lasts four hours, 60 s are 60 samples, and the start becomes the end.
#
# Versions:  biopsykit 0.14.0, pandas 2.3.3, scipy 1.17.1, numpy 1.26.4. neurokit2, nilspodlib, MNE, Matplotlib and
#            tqdm, which are not called here, and the example data are replaced.
# Input:     a minute of a channel at 256 Hz as a PSGDataset, its data_as_df with the index "time" and "utc". Three
#            minutes at 1,000 Hz with their time in seconds, through split_dict_into_subphases. A recording from 8:50 to
#            10:10 through split_data with the times of three phases and the end, with include_start. 2 s at 1,000 Hz
#            through add_datetime_index. An envelope of 10.01 s at 100 Hz, 0 and at last 0.1 and 0.2, through
#            resample_sec. 100 samples in 10 parts by split_array_equally.
# Behaviour: "utc" is documented as the time of each sample, and is the start and as many seconds as samples before.
#            The durations of subphases are documented as seconds, and are taken as numbers of samples if the index is
#            not of dates. include_start is documented to make a first phase, "Start", up to the first time; the start
#            is set behind the last time, and what is made is a phase named as the end, of all that is not between start
#            and end. add_datetime_index cuts the time of each sample to the whole second. resample_sec
#            goes on beyond the last sample in the slope of the last two. split_array_equally takes one sample less for
#            all and a whole number of samples for each part. No error or warning is given.
# Output:    60 s at 256 Hz, index time: 60 s
#            60 s at 256 Hz, index utc: 15360 s
#            subphases of 60 s at 1000 Hz: rest 0.06 s, hold 0.06 s, release 0.06 s
#            include_start, 8:50 to 10:10: phase rest: 30 min, 09:30 last
#            include_start, 8:50 to 10:10: phase grip: 15 min, 09:45 last
#            include_start, 8:50 to 10:10: phase pinch: 15 min, 10:00 last
#            include_start, 8:50 to 10:10: phase end: 10 min, 10:09 last
#            add_datetime_index, 2000 samples at 1000 Hz: 2 times
#            resample_sec, 0.1 at 10.00 s and 0.2 at 10.01 s, the last: 10.1 at 11 s
#            split_array_equally, 100 samples in 10 parts: 90 samples
# Why it matters: EMG is one of the channels of a polysomnography, and repetitions of a gesture are phases. With these
#            times, EMG is not beside the movement or the label; the rest at the start, to which contractions are
#            compared, is exchanged for what was recorded after the last of them.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile pandas==2.3.3 scipy==1.17.1 numpy==1.26.4
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps biopsykit==0.14.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
import pandas as pd

for name in ("biopsykit.example_data", "matplotlib", "matplotlib.pyplot", "mne", "neurokit2", "nilspodlib", "tqdm",
             "tqdm.auto"):
    sys.modules[name] = MagicMock()
from biopsykit.io.psg import PSGDataset
from biopsykit.utils.array_handling import add_datetime_index, split_array_equally
from biopsykit.utils.data_processing import resample_sec, split_data, split_dict_into_subphases

warnings.simplefilter("error")
begin = pd.Timestamp("2026-03-02 08:50")
index = begin + pd.to_timedelta(np.arange(60 * 256 + 1) / 256, unit="s")
dataset = PSGDataset({"EMG": pd.DataFrame({"EMG": np.zeros(len(index))}, index)}, {"EMG": 256}, start_time=begin)
for name in ("time", "utc"):
    index = dataset.data_as_df(name).index
    print(f"60 s at 256 Hz, index {name}: {index[-1] - index[0]:.0f} s")

emg = pd.DataFrame({"emg": np.zeros(180000)}, index=np.arange(180000) / 1000)
parts = split_dict_into_subphases({"grip": emg}, {"rest": 60, "hold": 60, "release": 60})["grip"]
print("subphases of 60 s at 1000 Hz:", ", ".join(f"{name} {len(part) / 1000:.2f} s" for name, part in parts.items()))

index = pd.date_range(begin, periods=80 * 60, freq="s")
emg = pd.DataFrame({"emg": np.zeros(len(index))}, index)
times = pd.Series({"rest": "09:00", "grip": "09:30", "pinch": "09:45", "end": "10:00"})
for name, part in split_data(emg, times, include_start=True).items():
    print(f"include_start, 8:50 to 10:10: phase {name}: {len(part) / 60:.0f} min, {part.index[-1]:%H:%M} last")

index = add_datetime_index(np.zeros(2000), begin, 1000).index
print(f"add_datetime_index, 2000 samples at 1000 Hz: {index.nunique()} times")
envelope = pd.DataFrame({"envelope": np.append(np.zeros(1000), [0.1, 0.2])}, index=np.arange(1002) / 100)
last = resample_sec(envelope).iloc[-1]
print(f"resample_sec, 0.1 at 10.00 s and 0.2 at 10.01 s, the last: {last.item():.1f} at {last.name:.0f} s")
parts = split_array_equally(np.arange(100), 10)
print(f"split_array_equally, 100 samples in 10 parts: {sum(stop - start for start, stop in parts)} samples")
PY
)
echo "$found"
[ "$found" = "60 s at 256 Hz, index time: 60 s
60 s at 256 Hz, index utc: 15360 s
subphases of 60 s at 1000 Hz: rest 0.06 s, hold 0.06 s, release 0.06 s
include_start, 8:50 to 10:10: phase rest: 30 min, 09:30 last
include_start, 8:50 to 10:10: phase grip: 15 min, 09:45 last
include_start, 8:50 to 10:10: phase pinch: 15 min, 10:00 last
include_start, 8:50 to 10:10: phase end: 10 min, 10:09 last
add_datetime_index, 2000 samples at 1000 Hz: 2 times
resample_sec, 0.1 at 10.00 s and 0.2 at 10.01 s, the last: 10.1 at 11 s
split_array_equally, 100 samples in 10 parts: 90 samples" ]
