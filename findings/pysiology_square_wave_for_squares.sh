#!/usr/bin/env bash
# pysiology 0.0.9.71: the amplitude of the first burst is the same, and negative, for EMG of 0.05 and of 0.5 mV.
#
# Versions:  pysiology 0.0.9.71, PeakUtils 1.3.5, scipy 1.17.1, numpy 2.4.6. What it imports for plots, matplotlib, is
#            left out.
# Input:     20 s of noise from 20 to 450 Hz at 1,000 Hz as EMG of 0.05 mV rms after a rest of 0.5 s; the same ten times
#            as strong, in uV, and with the two electrodes exchanged.
# Behaviour: getAFB() smooths the squared signal and returns its first peak. What it squares with is SciPy's square(),
#            which makes a square wave and takes the EMG for the wave's phase: 1 for samples above zero, -1 below,
#            whatever their size. getWAMP() counts steps of a threshold down but none up, and getSSC() turns only where
#            the EMG itself is positive; their documentation gives |x[i] - x[i+1]| and a product of two steps. getSM()
#            raises the power and not the frequency to the order, as its own formula does, so that getVCF(), whose
#            formula is a variance, returns a negative one that depends on the unit. analyzeEMG() returns them all. No
#            warning is given.
# Output:    AFB: 0.003 mV^2, pysiology -0.017; ten times the EMG: 0.310 mV^2, pysiology -0.017
#            WAMP: 9084, pysiology 4555; electrodes exchanged: 9084, pysiology 4529
#            SSC: 12470, pysiology 6219; with an offset of 1 mV: 12470, pysiology 12470
#            VCF in mV: 15542 Hz^2, pysiology -54702; in uV: 15542 Hz^2, pysiology -46949
# Why it matters: the features are those of Phinyomark et al. (2012), whom the package names and whose set many
#            classifiers of gestures start from. All come as plausible columns: a first burst that says nothing of
#            strength, counts that depend on which electrode is which and on a drift, and a width of the spectrum that
#            is not one (a flat band from 20 to 450 Hz has 430^2 / 12 = 15,408 Hz^2).
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile PeakUtils==1.3.5 scipy==1.17.1 \
    numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pysiology==0.0.9.71
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import peakutils

folder = Path(find_spec("pysiology").origin).parent
for name in ("pysiology", "matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(folder)]
theirs = importlib.import_module("pysiology.electromyography")
warnings.simplefilter("error")

spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(20000))
frequency = np.fft.rfftfreq(20000, 1 / 1000)
spectrum[(frequency < 20) | (frequency > 450)] = 0
emg = np.fft.irfft(spectrum)
emg *= 0.05 / emg.std()
emg[:500] /= 10


def first_burst(emg):
    smooth = np.convolve(np.hamming(32) / np.hamming(32).sum(), emg**2, "valid")
    return f"{smooth[peakutils.indexes(smooth)[0]]:.3f} mV^2, pysiology {theirs.getAFB(emg, 1000):.3f}"


def steps(emg):
    return f"{np.sum(np.abs(np.diff(emg)) >= 0.05)}, pysiology {theirs.getWAMP(emg, 0.05)}"


def turns(emg):
    step = np.diff(emg)
    return f"{np.sum(-step[:-1] * step[1:] >= 0)}, pysiology {theirs.getSSC(emg, 0)}"


def width(emg):
    power, hertz = theirs.getPSD(emg, 1000)
    centre = np.average(hertz, weights=power)
    moments = (theirs.getSM(power, hertz, order) for order in (1, 2))
    told = theirs.getVCF(theirs.getTTP(power), *moments)
    return f"{np.average((hertz - centre) ** 2, weights=power):.0f} Hz^2, pysiology {told:.0f}"


print("AFB:", first_burst(emg), end="; ")
print("ten times the EMG:", first_burst(10 * emg))
print("WAMP:", steps(emg), end="; ")
print("electrodes exchanged:", steps(-emg))
print("SSC:", turns(emg), end="; ")
print("with an offset of 1 mV:", turns(emg + 1))
print("VCF in mV:", width(emg), end="; ")
print("in uV:", width(1000 * emg))
PY
)
echo "$found"
[ "$found" = "AFB: 0.003 mV^2, pysiology -0.017; ten times the EMG: 0.310 mV^2, pysiology -0.017
WAMP: 9084, pysiology 4555; electrodes exchanged: 9084, pysiology 4529
SSC: 12470, pysiology 6219; with an offset of 1 mV: 12470, pysiology 12470
VCF in mV: 15542 Hz^2, pysiology -54702; in uV: 15542 Hz^2, pysiology -46949" ]
