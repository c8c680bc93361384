#!/usr/bin/env bash
# biomechzoo 0.8.25: of a C3D file's EMG, the first channel holds every fourth sample of all four, one after the other.
#
# Versions:  biomechzoo 0.8.25, ezc3d 1.7.2, scipy 1.17.1, numpy 2.2.6. Only its modules for C3D files and filters are
#            run, and of what biomechzoo imports only these are installed: the two call nothing else.
# Input:     a C3D file written by ezc3d, 2 s, one marker at 100 Hz and EMG at 2,000 Hz: one channel, and four that hold
#            1, 2, 3 and 4 mV. Read by c3d2zoo_data(). Then a marker at 100 Hz and EMG at 2,000 Hz, sines of 1 Hz and
#            amplitude 1 each, through filter_data() with a low pass of 4 Hz, alone and in one call, the EMG first.
# Behaviour: c3d2zoo_data() takes ezc3d's array for (subframes, channels, frames) and reshapes it to samples by
#            channels. It is (1, channels, samples) and would have to be transposed. A single channel is right. From two
#            on each is made of all. filter_data() looks for the rate of the first channel, writes it into the
#            dictionary of the filter, which is the caller's own, and filters the rest, and all of later calls, as if
#            they had it: here the marker below 0.2 Hz. No warning is given. Both promise the channel by its name, and
#            the cutoff in Hz.
# Output:    1 channel: emg1 holds 1
#            4 channels: emg1 holds 1 2 3 4, emg2 holds 1 2 3 4, emg3 holds 1 2 3 4, emg4 holds 1 2 3 4
#            4 channels: the file read by ezc3d, emg1 holds 1, emg4 holds 4
#            low pass of 4 Hz: a marker's 1 Hz keeps 1.00 alone, 0.00 after EMG
# Why it matters: C3D is how motion capture gives markers of hands together with EMG. Every muscle gets a quarter of the
#            signal of each, at a quarter of the rate: rms and spectra look like EMG, and no channel belongs to its name
#            or to the movement beside it. Filtered in one call, the movement is gone.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scipy==1.17.1 numpy==2.2.6 ezc3d==1.7.2
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps biomechzoo==0.8.25
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import importlib.util
import sys
import types
import warnings

import ezc3d
import numpy as np

# Its folders as packages, without what their __init__ imports.
root = importlib.util.find_spec("biomechzoo").submodule_search_locations[0]
for name in ("biomechzoo", "biomechzoo.conversion", "biomechzoo.biomech_ops", "biomechzoo.utils"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = ["/".join([root, *name.split(".")[1:]])]
from biomechzoo.biomech_ops.filter_data import filter_data
from biomechzoo.conversion.c3d2zoo_data import c3d2zoo_data

warnings.simplefilter("error")


def values(line):
    return "holds " + " ".join(f"{value:g}" for value in np.unique(np.round(line, 3)))


for channels in (1, 4):
    names = [f"emg{number + 1}" for number in range(channels)]
    made = ezc3d.c3d()
    made["parameters"]["POINT"]["RATE"]["value"] = [100]
    made["parameters"]["POINT"]["LABELS"]["value"] = ["tip"]
    made["parameters"]["ANALOG"]["RATE"]["value"] = [2000]
    made["parameters"]["ANALOG"]["LABELS"]["value"] = names
    made["data"]["points"] = np.ones((4, 1, 200))
    made["data"]["analogs"] = np.ones((1, channels, 4000)) * np.arange(1, channels + 1)[None, :, None]
    made.write("emg.c3d")
    read = ezc3d.c3d("emg.c3d")
    zoo = c3d2zoo_data(read)
    assert all(zoo[name]["line"].shape == (4000, 1) for name in names)
    print("1 channel:" if channels == 1 else f"{channels} channels:",
          ", ".join(f"{name} {values(zoo[name]['line'])}" for name in names))
plain = read["data"]["analogs"][0]
print(f"4 channels: the file read by ezc3d, emg1 {values(plain[0])}, emg4 {values(plain[3])}")
kept = []
for together in (False, True):
    tip, emg = (np.sin(2 * np.pi * np.arange(20 * rate) / rate) for rate in (100, 2000))
    data = {"tip": {"line": tip}, "emg": {"line": emg},
            "zoosystem": {"Video": {"Channels": ["tip"], "Freq": 100}, "Analog": {"Channels": ["emg"], "Freq": 2000}}}
    low = {"ftype": "butter", "order": 2, "cutoff": 4, "btype": "lowpass"}
    filter_data(data, ["emg", "tip"] if together else ["tip"], low)
    kept.append(np.abs(data["tip"]["line"][500:1500]).max())
print(f"low pass of 4 Hz: a marker's 1 Hz keeps {kept[0]:.2f} alone, {kept[1]:.2f} after EMG")
PY
)
echo "$found"
[ "$found" = "1 channel: emg1 holds 1
4 channels: emg1 holds 1 2 3 4, emg2 holds 1 2 3 4, emg3 holds 1 2 3 4, emg4 holds 1 2 3 4
4 channels: the file read by ezc3d, emg1 holds 1, emg4 holds 4
low pass of 4 Hz: a marker's 1 Hz keeps 1.00 alone, 0.00 after EMG" ]
