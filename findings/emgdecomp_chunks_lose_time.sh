#!/usr/bin/env bash
# emgdecomp 0.1.0: in chunked EMG each firing is 7.5 ms too early for every chunk before it, 90 % are in another chunk.
#
# Versions:  emgdecomp 0.1.0, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. np.int, np.float and scipy.stats.stats,
#            which newer ones have no more, are put back, and numba and pandas are replaced.
# Input:     40 s of 8 channels at 2,000 Hz, with noise and one simulated unit that fires 320 times, through
#            decompose(): as a whole, as channels by samples, and as chunks of 1, 0.5 and 0.25 s, one after the other
#            without a gap, as channels by samples by chunks. All parameters by default, but maximum_num_sources. All
#            firings are found each time.
# Behaviour: decompose() is documented to return the discharge timing in samples and in seconds. To see the EMG together
#            with what came before, it takes extension_factor - 1 samples, 15 by default, off each chunk, and joins what
#            is left. The timing is that in what is left, so that each chunk before a firing makes it 15 samples early.
#            The waveforms are cut out where the firings were, with the shorter length. transform() and
#            decompose_batch() return the same timing. No error or warning is given.
# Output:    chunks of 40 s: the firing of 39.9 s at 39.9 s, 100 % in their chunk
#            chunks of 1 s: the firing of 39.9 s at 39.6 s, 84 % in their chunk
#            chunks of 0.5 s: the firing of 39.9 s at 39.3 s, 38 % in their chunk
#            chunks of 0.25 s: the firing of 39.9 s at 38.7 s, 10 % in their chunk
# Why it matters: the chunks are repetitions of a gesture, or what is around stimuli or crossings of a threshold. The
#            firings are put to another repetition and to another time in it, and rates across chunks are too high.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps emgdecomp==0.1.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import scipy.stats
import sklearn.cluster

np.int, np.float = int, float
sys.modules["pandas"] = SimpleNamespace(Series=list)
sys.modules["numba"] = SimpleNamespace(jit=lambda **_: lambda function: function)
scipy.stats.stats = SimpleNamespace(mode=lambda values: scipy.stats.mode(values, keepdims=True))
sys.modules["scipy.stats.stats"] = scipy.stats.stats
package = ModuleType("emgdecomp")
package.__path__ = [str(Path(find_spec("emgdecomp").origin).parent)]
sys.modules["emgdecomp"] = package
from emgdecomp.decomposition import EmgDecomposition
from emgdecomp.parameters import EmgDecompositionParams

del sys.modules["pandas"]
warnings.simplefilter("error")
rate, seconds, channels = 2000, 40, 8
random = np.random.default_rng(0)
train = np.arange(100, rate * seconds - 100, 250)
train = train + random.integers(-20, 20, len(train))
firing = np.zeros(rate * seconds)
firing[train] = 1
emg = 0.02 * random.normal(size=(channels, rate * seconds))
for channel in range(channels):
    time = np.arange(-20, 21) / rate - channel * 2e-4
    action = -1000 * time * np.exp(-((time / 0.002) ** 2) - ((channel - 3) / 2) ** 2)
    emg[channel] += np.convolve(firing, action, "same")
for length in (rate * seconds, 2000, 1000, 500):
    chunks = emg if length == rate * seconds else emg.reshape(channels, -1, length).transpose(0, 2, 1)
    params = EmgDecompositionParams(sampling_rate=rate, maximum_num_sources=4)
    np.random.seed(0)
    found = EmgDecomposition(params, verbose=False).decompose(chunks)
    assert set(found["source_idx"]) == {0} and len(found) == len(train)
    last = found["discharge_seconds"][-1]
    own = np.mean(found["discharge_samples"] // length == train // length)
    print(f"chunks of {length / rate:g} s: the firing of {train[-1] / rate:.1f} s at {last:.1f} s,",
          f"{100 * own:.0f} % in their chunk")
PY
)
echo "$found"
[ "$found" = "chunks of 40 s: the firing of 39.9 s at 39.9 s, 100 % in their chunk
chunks of 1 s: the firing of 39.9 s at 39.6 s, 84 % in their chunk
chunks of 0.5 s: the firing of 39.9 s at 39.3 s, 38 % in their chunk
chunks of 0.25 s: the firing of 39.9 s at 38.7 s, 10 % in their chunk" ]
