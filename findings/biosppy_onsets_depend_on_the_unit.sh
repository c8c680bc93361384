#!/usr/bin/env bash
# BioSPPy 2.2.4: the same EMG is 99 % contraction in microvolts and none in millivolts.
#
# Versions:  biosppy 2.2.4, scipy 1.17.1, numpy 2.4.6, six 1.17.0. Only onset detectors are run, and of what BioSPPy
#            imports only these are installed: the detectors call nothing else.
# Input:     4 s of noise from 20 to 450 Hz at 2,000 Hz as EMG: at rest 5 uV rms, and from 2 to 3 s a contraction of
#            100 uV, so 25 % of the time. In uV, mV and V through four detectors, with the first second as the period
#            of rest and a threshold of 3 standard deviations. For Londral's and Solnik's, also with the mean and
#            deviation at rest of the test function that the detector itself returns.
# Behaviour: Londral's test function is a variance and Solnik's the Teager-Kaiser energy, both in squared units. Their
#            thresholds are made from the mean and deviation of the EMG at rest as it is, so uV^2 are compared with uV:
#            Londral's 25 uV^2 of rest are above 3 times 5 uV, and its 0.01 mV^2 of contraction below 3 times 0.005 mV.
#            No warning is given. The documentation asks for samples or indices of a period of rest, or a dictionary of
#            its mean and deviation, and names no unit. Hodges and Bui's and Lidierth's detectors compare amplitudes
#            with amplitudes.
# Output:    hodges_bui: contraction in uV 26 %, in mV 26 %, in V 26 %
#            lidierth: contraction in uV 26 %, in mV 26 %, in V 26 %
#            londral: contraction in uV 99 %, in mV 0 %, in V 0 %
#            solnik: contraction in uV 39 %, in mV 16 %, in V 0 %
#            londral, rest of its test function: contraction in uV 26 %, in mV 26 %, in V 26 %
#            solnik, rest of its test function: contraction in uV 49 %, in mV 49 %, in V 49 %
# Why it matters: BioSPPy has these detectors to cut EMG into rest and movement, and EMG comes in all three units: uV in
#            BrainVision's files, mV in WFDB's by default, V in MNE. A threshold found with one recording marks all
#            or nothing of another. (Solnik's is not right even without units: its least duration counts samples above
#            the threshold that need not be consecutive.)
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6 six==1.17.0
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosppy==2.2.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np

folder = Path(find_spec("biosppy").origin).parent
for name, at in (("biosppy", folder), ("biosppy.signals", folder / "signals"), ("biosppy.plotting", folder / "none")):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(at)]
sys.modules["biosppy"].plotting = sys.modules["biosppy.plotting"]
detectors = importlib.import_module("biosppy.signals.emg")
warnings.simplefilter("error")
warnings.filterwarnings("ignore", message=".*scipy.stats.stats", category=DeprecationWarning)

spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(8000))
frequency = np.fft.rfftfreq(8000, 1 / 2000)
spectrum[(frequency < 20) | (frequency > 450)] = 0
emg = np.fft.irfft(spectrum)
for first, last, rms in ((0, 4000, 5), (4000, 6000, 100), (6000, 8000, 5)):
    emg[first:last] *= rms / emg[first:last].std()
emg -= emg.mean()
MORE = {"hodges_bui": {"size": 100}, "lidierth": {"size": 100, "active_state_duration": 50, "fail_size": 20},
        "londral": {"size": 100, "active_state_duration": 50}, "solnik": {"active_state_duration": 50}}


def show(name, of_test=False):
    shares = []
    for unit, scale in (("uV", 1), ("mV", 1e-3), ("V", 1e-6)):
        rest = scale * emg[:2000]
        for again in range(1 + of_test):
            onsets, test = getattr(detectors, f"{name}_onset_detector")(
                signal=scale * emg, rest=rest, sampling_rate=2000, threshold=3, **MORE[name])
            rest = {"mean": np.mean(test[:1900]), "std_dev": np.std(test[:1900])}
        ends = np.append(onsets, [8000] * (len(onsets) % 2))
        shares.append(f"in {unit} {(ends[1::2] - ends[::2]).sum() / 80:.0f} %")
    print(f"{name}{', rest of its test function' * of_test}: contraction {', '.join(shares)}")


for name in MORE:
    show(name)
show("londral", True)
show("solnik", True)
PY
)
echo "$found"
[ "$found" = "hodges_bui: contraction in uV 26 %, in mV 26 %, in V 26 %
lidierth: contraction in uV 26 %, in mV 26 %, in V 26 %
londral: contraction in uV 99 %, in mV 0 %, in V 0 %
solnik: contraction in uV 39 %, in mV 16 %, in V 0 %
londral, rest of its test function: contraction in uV 26 %, in mV 26 %, in V 26 %
solnik, rest of its test function: contraction in uV 49 %, in mV 49 %, in V 49 %" ]
