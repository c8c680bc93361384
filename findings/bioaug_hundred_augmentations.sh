#!/usr/bin/env bash
# BioAug 0.1.4: of 3,000 noises on a window 100 differ, and MixUp with a probability of 0.5 mixes every batch, one way.
#
# Versions:  bioaug 0.1.4, numpy 2.4.6. Of what BioAug imports only NumPy is installed: the classes call nothing else.
# Input:     one window of 200 samples 3,000 times through GaussianNoise(p=1.0), with a shuffle of 64 windows by
#            numpy.random.permutation() after each. Then 1,000 different batches of 4, 8, 16 and 32 windows through
#            MixUp(p=0.5), which is the default probability. NumPy's seed is set once before, to 0.
# Behaviour: GaussianNoise is documented as random and MixUp's p as the probability of applying it to a batch. Before
#            the noise is drawn, NumPy's global generator gets a new seed, the time's hash modulo 100: so there are 100
#            noises, one shuffle follows each of them, and a seed set by the user does not change them. Six other
#            classes do so, too. MixUp sets the global seed to 42 in each call that mixes: all these batches get the
#            same share and the same partners, and the draw by which the next batch is mixed or not is the same, too:
#            here it is mixed. Of its seed only is said that it is for reproducibility. No warning is given.
# Output:    3000 noises: 100 different; 3000 shuffles after them: 100 different
#            1000 batches of 4: 996 mixed, in 1 way
#            1000 batches of 8: 996 mixed, in 1 way
#            1000 batches of 16: 996 mixed, in 1 way
#            1000 batches of 32: 996 mixed, in 1 way
# Why it matters: augmentation is to show a network something new in each epoch. Here all windows of the data share 100
#            noises, and a loader that shuffles by NumPy repeats its shuffles. MixUp's share for seed 42 is 0.99 with
#            its default alpha: next to nothing is mixed, and always the same places of the batch.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps bioaug==0.1.4
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot", "scipy", "scipy.interpolate"):
    sys.modules[name] = MagicMock()
import bioaug

warnings.simplefilter("error")

random = np.random.default_rng(0)
np.random.seed(0)
window = random.standard_normal((200, 1))
noises, shuffles = set(), set()
for _ in range(3000):
    noises.add(bioaug.GaussianNoise(p=1.0)(window).tobytes())
    shuffles.add(np.random.permutation(64).tobytes())
print(f"3000 noises: {len(noises)} different; 3000 shuffles after them: {len(shuffles)} different")
for size in (4, 8, 16, 32):
    np.random.seed(0)
    mixer = bioaug.MixUp(p=0.5)
    labels = np.eye(size)
    mixed = [mixer((random.standard_normal((size, 20, 1)), labels))[1] for _ in range(1000)]
    mixed = [told.tobytes() for told in mixed if not np.array_equal(told, labels)]
    print(f"1000 batches of {size}: {len(mixed)} mixed, in {len(set(mixed))} way")
PY
)
echo "$found"
[ "$found" = "3000 noises: 100 different; 3000 shuffles after them: 100 different
1000 batches of 4: 996 mixed, in 1 way
1000 batches of 8: 996 mixed, in 1 way
1000 batches of 16: 996 mixed, in 1 way
1000 batches of 32: 996 mixed, in 1 way" ]
