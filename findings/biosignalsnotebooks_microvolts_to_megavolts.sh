#!/usr/bin/env bash
# biosignalsnotebooks 0.6.14: EEG of 10 microvolts is 10 million volts.
#
# Versions:  biosignalsnotebooks 0.6.14, numpy 2.4.6. Only its module "conversion" is run, with what it takes from
#            "aux_functions"; of what they import only NumPy is installed: raw_to_phy() calls nothing else here.
# Input:     one sample of each sensor through raw_to_phy(): 10 bits for the BITalino ("bitalino_rev") and 16 for
#            biosignalsplux, in the unit the sensor is mostly given in and in the one without a prefix.
# Behaviour: the documentation names the units of the output, among them "V" and "A". Millivolts are divided by 1,000
#            and microamperes multiplied by 1e-6, but microvolts of EEG and microsiemens of EDA are multiplied by 1e6:
#            the result is 1e12 times too large. No warning is given.
# Output:    EMG of bitalino_rev: 0.6 mV = 0.0006 V
#            EMG of biosignalsplux: 0.331 mV = 0.000331 V
#            ECG of biosignalsplux: 0.325 mV = 0.000325 V
#            BVP of biosignalsplux: 9.63 uA = 9.63e-06 A
#            EEG of bitalino_rev: 9.99 uV = 9.99e+06 V
#            EEG of biosignalsplux: 10 uV = 1e+07 V
#            EDA of bitalino_rev: 5 uS = 5e+06 S
#            EDA of biosignalsplux: 5 uS = 5e+06 S
# Why it matters: OpenSignals recordings hold EMG beside EEG and EDA, and whoever brings them to one unit, or to MNE and
#            BIDS, asks for volts. EMG and ECG are right, so the factor is not seen by looking at those.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-compile biosignalsnotebooks==0.6.14
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

folder = Path(find_spec("biosignalsnotebooks").origin).parent
sys.modules["biosignalsnotebooks"] = ModuleType("biosignalsnotebooks")
sys.modules["biosignalsnotebooks"].__path__ = [str(folder)]
names = "biosignalsnotebooks.load bokeh bokeh.plotting scipy scipy.constants scipy.interpolate scipy.signal"
for name in names.split():
    sys.modules[name] = MagicMock()
raw_to_phy = importlib.import_module("biosignalsnotebooks.conversion").raw_to_phy
warnings.simplefilter("error")

for sensor, device, bits, raw, small, plain in (
    ("EMG", "bitalino_rev", 10, 700, "mV", "V"),
    ("EMG", "biosignalsplux", 16, 40000, "mV", "V"),
    ("ECG", "biosignalsplux", 16, 40000, "mV", "V"),
    ("BVP", "biosignalsplux", 16, 40000, "uA", "A"),
    ("EEG", "bitalino_rev", 10, 636, "uV", "V"),
    ("EEG", "biosignalsplux", 16, 41942, "uV", "V"),
    ("EDA", "bitalino_rev", 10, 205, "uS", "S"),
    ("EDA", "biosignalsplux", 16, 13107, "uS", "S"),
):
    told = [raw_to_phy(sensor, device, [raw], bits, unit)[0] for unit in (small, plain)]
    print(f"{sensor} of {device}: {told[0]:.3g} {small} = {told[1]:.3g} {plain}")
PY
)
echo "$found"
[ "$found" = "EMG of bitalino_rev: 0.6 mV = 0.0006 V
EMG of biosignalsplux: 0.331 mV = 0.000331 V
ECG of biosignalsplux: 0.325 mV = 0.000325 V
BVP of biosignalsplux: 9.63 uA = 9.63e-06 A
EEG of bitalino_rev: 9.99 uV = 9.99e+06 V
EEG of biosignalsplux: 10 uV = 1e+07 V
EDA of bitalino_rev: 5 uS = 5e+06 S
EDA of biosignalsplux: 5 uS = 5e+06 S" ]
