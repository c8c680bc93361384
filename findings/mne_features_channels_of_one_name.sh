#!/usr/bin/env bash
# mne-features 0.3.2: the features of channels ch1 to ch4 are all named ch4, and EMG above 256 Hz has no power.
#
# Versions:  mne-features 0.3.2, scikit-learn 1.9.1, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6. MNE and PyWavelets, which
#            are not called here, are replaced.
# Input:     four channels of noise of 10, 20, 30 and 40 uV, with three sets of names, through extract_features() with
#            return_as_df and FeatureExtractor; and two sines of equal strength at 100 and 300 Hz, at 2,000 Hz, through
#            pow_freq_bands in four bands.
# Behaviour: ch_names is documented as the names of the channels. The features are first named ch0, ch1 and on, and then
#            each of these is replaced by the name given, one after the other, in what the ones before have made: ch0
#            becomes ch1, that ch2, and so to the last. pow_freq_bands is documented to take bands up to half the
#            sampling rate, and checks that, but the spectrum ends at 256 Hz, also that which "normalize" divides by,
#            and psd_params does not take another end. No error or warning is given.
# Output:    FCR FCU ECR ECU of 10, 20, 30 and 40 uV: FCR 10, FCU 20, ECR 30, ECU 40
#            ch1 ch2 ch3 ch4 of 10, 20, 30 and 40 uV: ch4 10, ch4 20, ch4 30, ch4 40
#            ch3 ch2 ch1 ch0 of 10, 20, 30 and 40 uV: ch0 10, ch1 20, ch1 30, ch0 40
#            100 and 300 Hz: share of 20 to 150 Hz 1.00, really 0.50
#            100 and 300 Hz: share of 150 to 250 Hz 0.00, really 0.00
#            100 and 300 Hz: share of 250 to 350 Hz 0.00, really 0.50
#            100 and 300 Hz: share of 350 to 500 Hz 0.00, really 0.00
# Why it matters: ch1 to ch8 are what one names the electrodes of an armband. A table by name then has eight columns of
#            one name, and of channels in another order, the strength of one muscle is read off as another's. Surface
#            EMG is filtered to 450 or 500 Hz; a shift of its power to lower frequencies, as with fatigue, is not seen
#            above 256. The spectral entropy and the spectral Hjorth parameters end there too.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scikit-learn==1.9.1 scipy==1.17.1 \
    pandas==3.1.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps mne-features==0.3.2
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("mne", "mne.filter", "mne.time_frequency", "pywt"):
    sys.modules[name] = MagicMock()
warnings.filterwarnings("ignore", "No module named 'numba'")
from mne_features.feature_extraction import FeatureExtractor, extract_features

warnings.simplefilter("error")
emg = np.random.default_rng(0).normal(size=(1, 4, 2000))
emg *= np.array([[[10], [20], [30], [40]]]) / emg.std(axis=2, keepdims=True)
for names in (["FCR", "FCU", "ECR", "ECU"], ["ch1", "ch2", "ch3", "ch4"], ["ch3", "ch2", "ch1", "ch0"]):
    frame = extract_features(emg, 2000.0, ["std"], ch_names=names, return_as_df=True, separator="_")
    same = FeatureExtractor(2000.0, ["std"], ch_names=names, separator="_").fit(emg).get_feature_names_out()
    assert same == [f"{name}_std" for _, name in frame.columns]
    named = ", ".join(f"{name} {value:.0f}" for (_, name), value in frame.iloc[0].items())
    print(f"{' '.join(names)} of 10, 20, 30 and 40 uV: {named}")

seconds = np.arange(4000) / 2000
both = np.array([[np.sin(2 * np.pi * 100 * seconds) + np.sin(2 * np.pi * 300 * seconds)]])
options = {"pow_freq_bands__freq_bands": np.array([20.0, 150, 250, 350, 500]), "pow_freq_bands__psd_method": "fft"}
bands = extract_features(both, 2000.0, ["pow_freq_bands"], options, separator="_")[0]
power = np.abs(np.fft.rfft(both[0, 0])) ** 2
frequency = np.fft.rfftfreq(4000, 1 / 2000)
for low, high, band in zip((20, 150, 250, 350), (150, 250, 350, 500), bands):
    true = power[(frequency >= low) & (frequency <= high)].sum() / power.sum()
    print(f"100 and 300 Hz: share of {low} to {high} Hz {band:.2f}, really {true:.2f}")
PY
)
echo "$found"
[ "$found" = "FCR FCU ECR ECU of 10, 20, 30 and 40 uV: FCR 10, FCU 20, ECR 30, ECU 40
ch1 ch2 ch3 ch4 of 10, 20, 30 and 40 uV: ch4 10, ch4 20, ch4 30, ch4 40
ch3 ch2 ch1 ch0 of 10, 20, 30 and 40 uV: ch0 10, ch1 20, ch1 30, ch0 40
100 and 300 Hz: share of 20 to 150 Hz 1.00, really 0.50
100 and 300 Hz: share of 150 to 250 Hz 0.00, really 0.00
100 and 300 Hz: share of 250 to 350 Hz 0.00, really 0.50
100 and 300 Hz: share of 350 to 500 Hz 0.00, really 0.00" ]
