#!/usr/bin/env bash
# EMD-signal 1.10.0: the more processors, the fewer noises an ensemble has, down to one, and white noise is a signal.
#
# Versions:  EMD-signal 1.10.0, tqdm 4.70.1, scipy 1.17.1, numpy 2.4.6. pathos, which is not called, is left out.
# Input:     0.2 s of two sines, of 20 and 90 Hz, at 1,000 Hz, through EEMD with 64 trials, three IMFs, and parallel
#            False, and True, the default, with 2 to 16 processes (the default are as many as there are processors). For
#            whitenoise_check, the IMFs of 20 times 1,000 samples of white noise of variance 1, by EMD.
# Behaviour: EEMD draws the noise of each trial in the process that decomposes it, from a generator that is sent along
#            with each piece of work and so is in the same state at the start of each. There are four pieces for each
#            process: the trials of a piece differ, and the pieces are the same. What is left of the noise in the mean
#            is that of as many trials as a piece has. The test of whitenoise_check that is the default is documented
#            as the a posteriori test of Wu and Huang (2004), in which the energies are scaled so that the first IMF
#            has that of noise. The energy of the first IMF is computed, but not used; the others are divided by a
#            limit for the first, in which the half stands outside of the exponential. No error or warning is given.
# Output:    parallel False: 64 noises in 64 trials, 0.6 % of the range left of 5.0 %, a spread over the trials
#            2 processes: 8 noises in 64 trials, 1.8 % of the range left of 5.0 %, a spread over the trials
#            4 processes: 4 noises in 64 trials, 2.5 % of the range left of 5.0 %, a spread over the trials
#            8 processes: 2 noises in 64 trials, 3.6 % of the range left of 5.0 %, a spread over the trials
#            16 processes: 1 noises in 64 trials, 5.1 % of the range left of 5.0 %, no spread over the trials
#            white noise, 129 IMFs between first and last: whitenoise_check keeps 83 %, the test of the paper 0 %
# Why it matters: EMG is decomposed with EEMD to take noise and heart or movement out. The noise that is added is to
#            average out over the ensemble; with the 100 trials of the default and 25 processors or more, all of it
#            stays, ten times what 100 trials are to leave, and the spread over the trials is 0. Which IMFs are kept,
#            whitenoise_check can decide: it keeps four of five IMFs of what is the noise of an amplifier.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6 tqdm==4.70.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps EMD-signal==1.10.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import multiprocessing
import warnings

import numpy as np
from PyEMD import EEMD, EMD
from PyEMD.checks import whitenoise_check
from scipy.signal import find_peaks

warnings.simplefilter("error")
multiprocessing.set_start_method("fork")
seconds = np.arange(200) / 1000
signal = np.sin(2 * np.pi * 20 * seconds) + 0.5 * np.sin(2 * np.pi * 90 * seconds)
for processes in (None, 2, 4, 8, 16):
    options = {"parallel": False} if processes is None else {"parallel": True, "processes": processes}
    ensemble = EEMD(trials=64, noise_width=0.05, **options)
    ensemble.noise_seed(0)
    mean = ensemble.eemd(signal, max_imf=3)
    noises = len(np.unique(ensemble.all_imfs[0], axis=0))
    spread = ensemble.ensemble_std()[0].mean() > 1e-12
    left = np.std(signal - mean.sum(axis=0)) / np.ptp(signal)
    print(f"{'parallel False' if processes is None else f'{processes} processes'}: {noises} noises in 64 trials,",
          f"{100 * left:.1f} % of the range left of 5.0 %, {'a' if spread else 'no'} spread over the trials")

random = np.random.default_rng(0)
kept, paper, number = 0, 0, 0
for _ in range(20):
    imfs = EMD()(random.normal(size=1000))
    kept += sum(whitenoise_check(imfs)[count] for count in range(2, len(imfs)))
    period = np.log([1000 / max(len(find_peaks(imf, height=0)[0]), 1) for imf in imfs])
    energy = np.log((imfs**2).mean(axis=1))
    scaled = energy - energy[0] - period[0]
    limit = -period + 1.96 * np.sqrt(2 / 1000) * np.exp(period / 2)
    paper += (scaled > limit)[1:-1].sum()
    number += len(imfs) - 2
print(f"white noise, {number} IMFs between first and last: whitenoise_check keeps {100 * kept / number:.0f} %,",
      f"the test of the paper {100 * paper / number:.0f} %")
PY
)
echo "$found"
[ "$found" = "parallel False: 64 noises in 64 trials, 0.6 % of the range left of 5.0 %, a spread over the trials
2 processes: 8 noises in 64 trials, 1.8 % of the range left of 5.0 %, a spread over the trials
4 processes: 4 noises in 64 trials, 2.5 % of the range left of 5.0 %, a spread over the trials
8 processes: 2 noises in 64 trials, 3.6 % of the range left of 5.0 %, a spread over the trials
16 processes: 1 noises in 64 trials, 5.1 % of the range left of 5.0 %, no spread over the trials
white noise, 129 IMFs between first and last: whitenoise_check keeps 83 %, the test of the paper 0 %" ]
