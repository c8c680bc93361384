#!/usr/bin/env bash
# biosynth-emg 0.1.0: supination is pronation, extension is a weaker flexion, rest is zero, depth is only a label.
#
# Versions:  biosynth-emg 0.1.0, scipy 1.17.1, numpy 2.4.6. What it stores and plots with is replaced.
# Input:     BioSynthGenerator with one seed: 1 s of each pair of gestures through generate_single_sample() at forces of
#            0.7, but 0.9 for extension, 0.7714 for flexion, so that the product with the gesture's strength is the
#            same; a fist at a tissue depth of 10 and of 25 mm; rest at a force of 1. Then 40 times flexion and 40 times
#            extension: each channel's RMS by the mean of all channels, correlated from sample to sample.
# Behaviour: it is documented to give EMG of 8 channels with labels of gestures, by a pattern of muscle activation for
#            each gesture, with the depth of the tissue as an option. All that a gesture has is one number, its
#            strength: motor units are put anew at random places of the one muscle for each sample, so that no channel
#            belongs to a movement. Four of the eight gestures are two pairs with the same number. The depth goes into
#            the labels and nowhere else. At rest no unit is recruited, and the noise is a share of the signal: it is
#            zero, too. No error or warning is given.
# Output:    supination and pronation: the same in all samples of 8 channels
#            radial deviation and ulnar deviation: the same in all samples of 8 channels
#            extension and flexion: the same in all samples of 8 channels
#            tissue depth of 10 and 25 mm: the same in all samples of 8 channels
#            rest: 0.0 at most
#            channels of flexion: with other samples of flexion 0.0, with extension 0.0
# Why it matters: the package is for training classifiers of gestures. What can be learnt is how strong a contraction
#            is, which the force changes at random; and that rest is where all channels are exactly zero.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosynth-emg==0.1.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("h5py", "pandas", "tqdm", "matplotlib", "matplotlib.pyplot", "seaborn"):
    sys.modules[name] = MagicMock()
from biosynth_emg import BioSynthGenerator

warnings.simplefilter("error")
names = {name.replace("_", " "): number for number, name in BioSynthGenerator().gestures.items()}


def emg(gesture, force, **more):
    generator = BioSynthGenerator(random_seed=0)
    return generator.generate_single_sample(names[gesture], force, **more)["emg_signals"]


for first, second, one, other in (
    ("supination", "pronation", 0.7, 0.7),
    ("radial deviation", "ulnar deviation", 0.7, 0.7),
    ("extension", "flexion", 0.9, 0.9 * 0.6 / 0.7),
):
    same = np.array_equal(emg(first, one), emg(second, other)) and np.std(emg(first, one)) > 0
    print(f"{first} and {second}: {'the same in all samples of 8 channels' if same else 'not the same'}")
same = np.array_equal(emg("fist", 0.7, tissue_depth=10), emg("fist", 0.7, tissue_depth=25))
print(f"tissue depth of 10 and 25 mm: {'the same in all samples of 8 channels' if same else 'not the same'}")
print(f"rest: {np.max(np.abs(emg('rest', 1.0)))} at most")

generator = BioSynthGenerator(random_seed=0)
patterns = {}
for gesture in ("flexion", "extension"):
    samples = [generator.generate_single_sample(names[gesture], 1.0)["emg_signals"] for _ in range(40)]
    channels = np.sqrt(np.mean(np.square(samples), axis=2))
    shares = channels / channels.mean(axis=1, keepdims=True)
    patterns[gesture] = shares - shares.mean(axis=1, keepdims=True)
every = np.corrcoef(np.concatenate(list(patterns.values())))
own = abs(every[:40, :40][~np.eye(40, dtype=bool)].mean())
other = abs(every[:40, 40:].mean())
print(f"channels of flexion: with other samples of flexion {own:.1f}, with extension {other:.1f}")
PY
)
echo "$found"
[ "$found" = "supination and pronation: the same in all samples of 8 channels
radial deviation and ulnar deviation: the same in all samples of 8 channels
extension and flexion: the same in all samples of 8 channels
tissue depth of 10 and 25 mm: the same in all samples of 8 channels
rest: 0.0 at most
channels of flexion: with other samples of flexion 0.0, with extension 0.0" ]
