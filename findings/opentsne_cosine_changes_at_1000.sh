#!/usr/bin/env bash
# openTSNE 1.0.4: metric="cosine" is another distance from 1,000 points on.
#
# Versions:  openTSNE 1.0.4, numpy 2.4.6.
# Input:     999 and 1,000 points of 16 dimensions; the five nearest neighbours as openTSNE's affinities ask for them
#            (method "auto", metric "cosine").
# Behaviour: below 1,000 points the distances are 1 - cos; from 1,000 on they are the chord sqrt(2 - 2 cos).
# Output:    999 Sklearn 1-cos
#            1000 Annoy chord
# Why it matters: embeddings of EMG and pose windows are compared by their cosine, so "cosine" is what one passes.
#            The bandwidth of every point is fitted to these distances: near neighbours at cos 0.99 and 0.96 are 4 times
#            as far apart in one and twice in the other. Maps of 900 and of 1,100 windows of one model are thus made from
#            two distances. On l2-normalised vectors metric="euclidean" is the chord by definition.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openTSNE==1.0.4 numpy==2.4.6
found=$("$place/venv/bin/python" - <<'PY'
import numpy as np
from openTSNE.affinity import get_knn_index

for n in (999, 1000):
    x = np.random.default_rng(0).normal(size=(n, 16))
    index = get_knn_index(x, "auto", 5, "cosine", n_jobs=1, random_state=0)
    neighbours, distance = index.build()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = (unit[:, None] * unit[neighbours]).sum(-1)
    expected = {"1-cos": 1 - cosine, "chord": np.sqrt(2 - 2 * cosine)}
    print(n, type(index).__name__, *(name for name, d in expected.items() if np.allclose(distance, d, atol=1e-5)))
PY
)
echo "$found"
[ "$found" = "999 Sklearn 1-cos
1000 Annoy chord" ]
