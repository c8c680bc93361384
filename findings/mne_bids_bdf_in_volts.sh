#!/usr/bin/env bash
# mne-bids 0.20.0: EMG written as BDF is said to be in volts; its values are microvolts.
#
# Versions:  mne-bids 0.20.0, mne 1.13.2, edfio 0.4.18, numpy 2.4.6.
# Input:     one EMG channel, a sine of 1 mV (in MNE 0.001, which knows volts only), put into BIDS by write_raw_bids()
#            as EDF, as BDF and, from a .fif file, in the format that mne-bids chooses itself.
# Behaviour: MNE exports EDF and BDF alike, in microvolts; mne-bids' source says so of both. The table channels.tsv has
#            the unit that the file has for EDF, and V for BDF. BDF is also what mne-bids chooses for EMG. Nothing warns
#            of it. read_raw_bids() is right, as it takes the unit of the BDF file itself.
# Output:    EDF: channels.tsv says µV, the .edf file up to 1000 uV
#            BDF: channels.tsv says V, the .bdf file up to 1000 uV
#            auto: channels.tsv says V, the .bdf file up to 1000 uV
# Why it matters: BIDS asks for the unit of each EMG channel in channels.tsv, and has two formats for EMG, EDF and BDF.
#            Who reads the samples with another library and the unit from the table has EMG of 1 mV from EDF and of
#            1,000 V from BDF: a factor of a million between two copies of one recording.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check mne-bids==0.20.0 mne==1.13.2 \
    edfio==0.4.18 numpy==2.4.6
cd "$place"
found=$(MNE_HOME="$place" PYTHONUTF8=1 "$place/venv/bin/python" -W ignore - <<'PY'
import csv
from pathlib import Path

import edfio
import mne
import mne_bids
import numpy as np

mne.set_log_level("ERROR")
emg = 1e-3 * np.sin(2 * np.pi * 100 * np.arange(4000) / 2000)
made = mne.io.RawArray(emg[None], mne.create_info(["EMG1"], 2000, "emg"))
made.info["line_freq"] = 50
made.save("emg_raw.fif")
for form in ("EDF", "BDF", "auto"):
    raw = mne.io.read_raw_fif("emg_raw.fif") if form == "auto" else made
    path = mne_bids.BIDSPath(root=form, subject="01", task="grasp", datatype="emg")
    mne_bids.write_raw_bids(raw, path, format=form, allow_preload=form != "auto", emg_placement="Measured",
                            verbose=False)
    with open(next(Path(form).rglob("*_channels.tsv")), encoding="utf-8-sig") as f:
        unit = next(csv.DictReader(f, delimiter="\t"))["units"]
    file = next(Path(form).rglob("*_emg.?df"))
    signal = (edfio.read_edf if file.suffix == ".edf" else edfio.read_bdf)(file).signals[0]
    assert np.isclose(mne_bids.read_raw_bids(path, verbose=False).get_data().max(), 1e-3, rtol=1e-3)
    print(f"{form}: channels.tsv says {unit}, the {file.suffix} file up to {signal.data.max():.0f} "
          f"{signal.physical_dimension}")
PY
)
echo "$found"
[ "$found" = "EDF: channels.tsv says µV, the .edf file up to 1000 uV
BDF: channels.tsv says V, the .bdf file up to 1000 uV
auto: channels.tsv says V, the .bdf file up to 1000 uV" ]
