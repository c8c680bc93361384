#!/usr/bin/env bash
# MEDUSA Kernel 1.4.3: the sample entropy of a window is measured with the strength of the first window of the call.
#
# Versions:  medusa-kernel 1.4.3, scipy 1.17.1, numpy 2.4.6. Only its module "nonlinear_parameters" is run, and of what
#            MEDUSA imports only these are installed: the two functions call nothing else.
# Input:     a window of 500 samples of white noise as EMG, alone and as the second of two. The first is another noise
#            of 0.1, 1 and 10 times its strength. m = 2 and r = 0.2 for the sample entropy, r = 0.5 for the CTM.
# Behaviour: both functions take [n_epochs, n_samples, n_channels] and are documented to return a value of each epoch
#            and channel. sample_entropy() multiplies the tolerance r by the standard deviation of the channel, but for
#            all epochs takes that of the first. central_tendency_measure() divides by the largest value of the epoch,
#            but repeats the list of these values along the samples, so that of two epochs every second sample is
#            divided by the value of the other one. multiscale_entropy() calls sample_entropy(). No warning is given.
# Output:    alone: sample entropy 2.17, CTM 0.40
#            after a window of 0.1 times the strength: sample entropy 11.72, CTM 0.04
#            after a window of 1 times the strength: sample entropy 2.09, CTM 0.45
#            after a window of 10 times the strength: sample entropy 0.14, CTM 0.67
# Why it matters: MEDUSA has a class for EMG, and its get_epochs() cuts a recording into the array that these functions
#            take. Windows of EMG differ in strength tenfold between rest and contraction: if a recording starts at
#            rest, each contraction gets the largest entropy there can be, and if it starts in one, rest gets none.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps medusa-kernel==1.4.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np

folder = Path(find_spec("medusa").origin).parent
for name, at in (("medusa", folder), ("medusa.local_activation", folder / "local_activation")):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(at)]
for name in ("bson", "dill", "medusa.performance_analysis"):
    sys.modules[name] = MagicMock()
theirs = importlib.import_module("medusa.local_activation.nonlinear_parameters")
warnings.simplefilter("error")


def report(name, windows):
    entropy = theirs.sample_entropy(windows, 2, 0.2)[-1, 0]
    print(f"{name}: sample entropy {entropy:.2f}, CTM {theirs.central_tendency_measure(windows, 0.5)[-1, 0]:.2f}")


first, second = np.random.default_rng(0).standard_normal((2, 500, 1))
report("alone", second[None])
for strength in (0.1, 1, 10):
    report(f"after a window of {strength} times the strength", np.stack([strength * first, second]))
PY
)
echo "$found"
[ "$found" = "alone: sample entropy 2.17, CTM 0.40
after a window of 0.1 times the strength: sample entropy 11.72, CTM 0.04
after a window of 1 times the strength: sample entropy 2.09, CTM 0.45
after a window of 10 times the strength: sample entropy 0.14, CTM 0.67" ]
