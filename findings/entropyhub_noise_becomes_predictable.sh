#!/usr/bin/env bash
# EntropyHub 2.0: white noise seems 40 % predictable from its last three samples, and as irregular at every scale.
#
# Versions:  EntropyHub 2.0, scipy 1.17.1, numpy 2.4.6. What it imports for plots, downloads and empirical modes
#            (matplotlib, requests, EMD-signal) is left out: the functions do not use it with the arguments used here.
# Input:     300 samples of white noise between 0 and 1, in 6 levels, through CondEn() for patterns of up to 8 samples.
#            Then 10 times 3,000 samples of normal white noise through MSEn() for 5 scales, in the mean: with MSobject()
#            as it is, with RadNew=1, and with r of 0.2 standard deviations of the 3,000 samples.
# Behaviour: CondEn() is documented as the corrected conditional entropy of Porta et al. (1998), where the correction is
#            the share of patterns of m samples that occur once, times the entropy of one sample. It takes the share of
#            those of m - 1 samples, which is smaller: the entropy falls as if a regularity were found, though only the
#            recording is short, which the correction is made to prevent. MSobject() is documented to be that of Costa
#            et al., with a radius of 0.2 deviations of the signal, which is the same at all scales, and MSEn() to
#            rescale the radius at each scale where RadNew is 1 to 4. With neither given it is rescaled at each scale
#            all the same, as with RadNew=1, and the fall that marks white noise is lost. No warning is given.
# Output:    conditional entropy of noise, m of 1 to 8, CondEn: 1.78 1.71 1.44 1.08 1.59 1.75 1.77 1.78
#            Porta's formula, share of patterns of m: 1.78 1.72 1.88 2.11 1.86 1.77 1.78 1.78
#            Porta's formula, share of patterns of m - 1: 1.78 1.71 1.45 1.08 1.59 1.75 1.77 1.78
#            true value: 1.79
#            multiscale entropy of noise, MSEn as it is: 2.19 2.18 2.18 2.20 2.17
#            RadNew=1: 2.19 2.18 2.18 2.20 2.17
#            r of 0.2 deviations: 2.19 1.85 1.64 1.52 1.40
#            true value with one radius: 2.19 1.84 1.64 1.50 1.39
# Why it matters: the minimum of the conditional entropy over m is what is reported as irregularity, here 1.08 instead
#            of 1.72, and series of beats, bursts and repetitions are as short. Whether the entropy falls with the scale
#            is how noise is told from structure in EMG, force and sway.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps EntropyHub==2.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import io
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
from scipy.special import erf
from scipy.stats import entropy

for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.gridspec", "PyEMD", "requests"):
    sys.modules[name] = MagicMock()
import EntropyHub

warnings.simplefilter("error")
random = np.random.default_rng(0)


def show(name, values):
    print(f"{name}:", *(f"{value:.2f}" for value in values))


def porta(levels, share_of):
    first = entropy(np.unique(levels, return_counts=True)[1])
    values = [first]
    for m in range(2, 9):
        windows = np.lib.stride_tricks.sliding_window_view(levels, m)
        counts = {k: np.unique(windows[:, :k], axis=0, return_counts=True)[1] for k in (m - 1, m)}
        once = np.sum(counts[m - share_of] == 1) / len(windows)
        values.append(entropy(counts[m]) - entropy(counts[m - 1]) + once * first)
    return values


noise = random.uniform(size=300)
levels = np.minimum(6 * (noise - noise.min()) / np.ptp(noise), 5).astype(int)
show("conditional entropy of noise, m of 1 to 8, CondEn", EntropyHub.CondEn(noise, m=8, c=6)[0])
show("Porta's formula, share of patterns of m", porta(levels, 0))
show("Porta's formula, share of patterns of m - 1", porta(levels, 1))
print(f"true value: {np.log(6):.2f}")

signals = random.normal(size=(10, 3000))
with contextlib.redirect_stdout(io.StringIO()):
    default = [EntropyHub.MSEn(x, EntropyHub.MSobject(), Scales=5)[0] for x in signals]
    renewed = [EntropyHub.MSEn(x, EntropyHub.MSobject(), Scales=5, RadNew=1)[0] for x in signals]
    fixed = [EntropyHub.MSEn(x, EntropyHub.MSobject(r=0.2 * float(x.std())), Scales=5)[0] for x in signals]
show("multiscale entropy of noise, MSEn as it is", np.mean(default, axis=0))
show("RadNew=1", np.mean(renewed, axis=0))
show("r of 0.2 deviations", np.mean(fixed, axis=0))
show("true value with one radius", -np.log(erf(0.1 * np.sqrt(np.arange(1, 6)))))
PY
)
echo "$found"
[ "$found" = "conditional entropy of noise, m of 1 to 8, CondEn: 1.78 1.71 1.44 1.08 1.59 1.75 1.77 1.78
Porta's formula, share of patterns of m: 1.78 1.72 1.88 2.11 1.86 1.77 1.78 1.78
Porta's formula, share of patterns of m - 1: 1.78 1.71 1.45 1.08 1.59 1.75 1.77 1.78
true value: 1.79
multiscale entropy of noise, MSEn as it is: 2.19 2.18 2.18 2.20 2.17
RadNew=1: 2.19 2.18 2.18 2.20 2.17
r of 0.2 deviations: 2.19 1.85 1.64 1.52 1.40
true value with one radius: 2.19 1.84 1.64 1.50 1.39" ]
