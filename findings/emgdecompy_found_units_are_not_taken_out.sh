#!/usr/bin/env bash
# emgdecompy 0.6.7: a unit that was found is not taken out, found twice it is turned round, and then it is found again.
#
# Versions:  emgdecompy 0.6.7, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. It asks for Python 3.9 or 3.10 and older
#            NumPy, but the functions run call nothing that has changed.
# Input:     orthogonalize() of w = (0.6, 0.8, 0), where w itself was found already once, twice and three times, the
#            other columns of B 0, as decomposition() has them. Then of (0, 1, 0), where (1, 0, 0) and (0.6, 0.8, 0)
#            were found. separation() of two independent, whitened sources of Laplace's distribution, mixed by a turn of
#            30 degrees, from starts (1, 0) and (1.5, 0). decomposition() of 3 simulated recordings of 6 units, each 6 s
#            of 10 channels at 2,048 Hz, with R=10, M=24 and a random_seed, else as by default, with the package's two
#            functions and with a projection, which orthogonalizes.
# Behaviour: gram_schmidt(), the default, is documented to return w orthogonalized against the columns of B. It takes
#            off w's part along each column, which is right only for columns that are orthogonal to each other, and
#            refinement() gives back vectors that are not. What is there twice is so turned round, what is there three
#            times doubled. deflate() is documented as w - B B^T w, and takes B^T B w, as the numbers of its example do:
#            of a vector that was found, only one number changes. separation() compares w with itself before the first
#            step, so that a start of length 1 counts as converged. The read-me says that units of the same shape are
#            accepted, and that an orthogonalization within refinement() may help. No error is given, and no warning but
#            SciPy's for a refinement that ends with one or two firings.
# Output:    gram_schmidt, found once: 0 0 0, twice: -0.6 -0.8 0, three times: -1.2 -1.6 0
#            deflate, found once: 0 0.8 0, twice: -0.8 -0.6 0, three times: -0.8 -0.6 -1.4
#            a projection, found once: 0 0 0, twice: 0 0 0, three times: 0 0 0
#            gram_schmidt, two at an angle: -0.48 0.36 0, along the first -0.48
#            start of length 1: 1 0, like a source 0.87, of length 1.5: 0.85 0.53, like a source 1.00
#            gram_schmidt: over 20 % of the vectors accepted are there already
#            deflate: over 20 % of the vectors accepted are there already
#            a projection: under 10 % of the vectors accepted are there already
# Why it matters: each vector accepted counts as one motor unit. Rates, recruitment and common drive are then of one
#            unit beside itself, and the steps spent on it are not there for the weaker units.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --ignore-requires-python emgdecompy==0.6.7
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import importlib
import io
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np

package = ModuleType("emgdecompy")
package.__path__ = [str(Path(find_spec("emgdecompy").origin).parent)]
sys.modules["emgdecompy"] = package
dec = importlib.import_module("emgdecompy.decomposition")
whiten = importlib.import_module("emgdecompy.preprocessing").whiten
warnings.simplefilter("error")
# Only in decomposition(): a refinement that ends with one or two firings, which is then not accepted.
warnings.filterwarnings("ignore", message="One or more sample arguments")


def projection(w, B):
    left, strengths, _ = np.linalg.svd(B, full_matrices=False)
    left = left[:, strengths > 1e-9 * max(strengths[0], 1e-9)]
    return w - left @ (left.T @ w)


def told(numbers):
    return " ".join(f"{number:g}" for number in np.round(numbers, 2) + 0.0)


w = np.array([0.6, 0.8, 0])
for function in (dec.gram_schmidt, dec.deflate, projection):
    results = []
    for count, name in ((1, "once"), (2, "twice"), (3, "three times")):
        B = np.zeros((3, 3))
        B[:, :count] = w[:, None]
        results.append(f"{name}: {told(dec.orthogonalize(w, B, function))}")
    print(f"{function.__name__.replace('projection', 'a projection')}, found {', '.join(results)}")
B = np.array([[1, 0.6, 0], [0, 0.8, 0], [0, 0, 0]])
result = dec.orthogonalize(np.array([0.0, 1, 0]), B)
print(f"gram_schmidt, two at an angle: {told(result)}, along the first {told(result[:1])}")

random = np.random.default_rng(0)
sources = random.laplace(size=(2, 20000))
turn = np.deg2rad(30)
mixed = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ sources
mixed = mixed - mixed.mean(axis=1, keepdims=True)
values, vectors = np.linalg.eigh(np.cov(mixed))
z = vectors @ np.diag(values**-0.5) @ vectors.T @ mixed
starts = []
for length in (1, 1.5):
    w = dec.separation(z, np.array([length, 0.0]), np.zeros((2, 2)), max_iter=100)
    like = max(abs(np.corrcoef(w @ z, source)[0, 1]) for source in sources)
    starts.append(f"of length {length}: {told(w)}, like a source {like:.2f}")
print("start " + ", ".join(starts))

samples, channels, rate = 12000, 10, 2048
time = np.arange(-30, 31) / rate


def recording(random):
    emg = 0.03 * random.normal(size=(channels, samples))
    for _ in range(6):
        place, width, speed = random.uniform(0, channels), random.uniform(1, 4), random.uniform(-6e-4, 6e-4)
        length, skew = random.uniform(0.0015, 0.003), random.uniform(-0.3, 0.3)
        train = np.cumsum(random.normal(1 / random.uniform(8, 15), 0.012, 400).clip(0.03)) * rate
        firing = np.zeros(samples)
        firing[train[train < samples - 100].astype(int)] = 1
        for channel in range(channels):
            moved = time - speed * (channel - place)
            action = (skew - moved / length) * np.exp(-((moved / length) ** 2) - ((channel - place) / width) ** 2)
            emg[channel] += np.convolve(firing, random.uniform(0.9, 1.1) * action, "same")
    rows = np.empty((channels, 1), dtype=object)
    for channel in range(channels):
        rows[channel, 0] = emg[channel : channel + 1]
    return rows


recordings = [recording(np.random.default_rng(seed)) for seed in range(3)]
for function in (dec.gram_schmidt, dec.deflate, projection):
    accepted, again = 0, 0
    for raw in recordings:
        with contextlib.redirect_stdout(io.StringIO()):
            B = dec.decomposition(raw, R=10, M=24, ortho_fun=function, random_seed=0)["B"]
        B = B / np.linalg.norm(B, axis=0)
        accepted += B.shape[1]
        again += np.sum(np.triu(abs(B.T @ B), 1).max(axis=0) > 0.95)
    share = again / accepted
    part = "over 20 %" if share > 0.2 else "under 10 %" if share < 0.1 else f"{share:.2f}"
    name = function.__name__.replace("projection", "a projection")
    print(f"{name}: {part} of the vectors accepted are there already")
PY
)
echo "$found"
[ "$found" = "gram_schmidt, found once: 0 0 0, twice: -0.6 -0.8 0, three times: -1.2 -1.6 0
deflate, found once: 0 0.8 0, twice: -0.8 -0.6 0, three times: -0.8 -0.6 -1.4
a projection, found once: 0 0 0, twice: 0 0 0, three times: 0 0 0
gram_schmidt, two at an angle: -0.48 0.36 0, along the first -0.48
start of length 1: 1 0, like a source 0.87, of length 1.5: 0.85 0.53, like a source 1.00
gram_schmidt: over 20 % of the vectors accepted are there already
deflate: over 20 % of the vectors accepted are there already
a projection: under 10 % of the vectors accepted are there already" ]
