#!/usr/bin/env bash
# pyEDFlib 0.1.42: EMG of 2,148.148 Hz is written as EMG of 1 Hz.
#
# Versions:  pyedflib 0.1.42, edfio 0.4.18, numpy 2.4.6.
# Input:     ten seconds of one EMG channel, written by EdfWriter at the sampling rates of Delsys' Trigno sensors, which
#            take 58, 52 or 34 samples in 27 ms: as 58 / 0.027, and with two and with three decimals. Read by edfio.
# Behaviour: EDF keeps no rate, only the length of a data record and the samples in it. pyEDFlib looks for the longest
#            up to 60 s that holds a whole number of samples. 2148.148 Hz are 537,037 samples in 250 s, a prime number,
#            so it is one sample, 0.47 ms; its C library refuses lengths below 1 ms, the refusal goes unnoticed, and the
#            one sample is left in a record of 1 s. 1259.259 Hz gets three samples, 2.3823 ms, of which the file keeps
#            2.38. setSamplefrequency() is documented to take "int or float", and there is a warning for rates that EDF
#            cannot hold; here none is given. 58 / 0.027 is right, in records of 27 s.
# Output:    58/0.027 Hz: 58000 samples in 27 s, 2148.148 Hz, ten seconds last 10 s
#            2148.15 Hz: 42963 samples in 20 s, 2148.150 Hz, ten seconds last 10 s
#            2148.148 Hz: 1 samples in 1 s, 1.000 Hz, ten seconds last 21481 s
#            1925.926 Hz: 1 samples in 1 s, 1.000 Hz, ten seconds last 19259 s
#            1259.259 Hz: 3 samples in 0.00238 s, 1260.504 Hz, ten seconds last 9.99 s
# Why it matters: EDF and BDF are the formats of EMG in BIDS, Trigno is a common EMG system, and these are its rates as
#            one finds them written (Delsys' own example for streaming has 1925.926). No sample is lost, so 1 Hz shows
#            only where the rate is used. The 0.1 % of 1259.259 Hz shows nowhere: in an hour it moves EMG by 3.6 s
#            against labels, video or a glove.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pyedflib==0.1.42 edfio==0.4.18 numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import edfio
import numpy as np
import pyedflib

warnings.simplefilter("error")
for name, rate in (("58/0.027", 58 / 0.027), ("2148.15", 2148.15), ("2148.148", 2148.148), ("1925.926", 1925.926),
                   ("1259.259", 1259.259)):
    emg = np.random.default_rng(0).uniform(-100, 100, round(10 * rate))
    writer = pyedflib.EdfWriter("emg.edf", 1, pyedflib.FILETYPE_EDFPLUS)
    writer.setSignalHeaders([pyedflib.highlevel.make_signal_header("EMG", sample_frequency=rate)])
    writer.writeSamples([emg])
    writer.close()
    file = edfio.read_edf("emg.edf")
    read, length = file.signals[0], file.data_record_duration
    assert np.allclose(read.data[:len(emg)], emg, atol=0.01)
    print(f"{name} Hz: {read.samples_per_data_record} samples in {length:g} s, {read.sampling_frequency:.3f} Hz, "
          f"ten seconds last {round(len(emg) / read.sampling_frequency, 2):g} s")
PY
)
echo "$found"
[ "$found" = "58/0.027 Hz: 58000 samples in 27 s, 2148.148 Hz, ten seconds last 10 s
2148.15 Hz: 42963 samples in 20 s, 2148.150 Hz, ten seconds last 10 s
2148.148 Hz: 1 samples in 1 s, 1.000 Hz, ten seconds last 21481 s
1925.926 Hz: 1 samples in 1 s, 1.000 Hz, ten seconds last 19259 s
1259.259 Hz: 3 samples in 0.00238 s, 1260.504 Hz, ten seconds last 9.99 s" ]
