#!/usr/bin/env bash
# hdsemg-shared 0.14.3: four grids on one muscle are read as one of 65 electrodes with 256 channels.
#
# Versions:  hdsemg-shared 0.14.3, scipy 1.17.1, numpy 2.4.6. "requests" is replaced by what finds no network, which the
#            package takes as an empty list of products.
# Input:     EDF files of HD08MM1305 grids, 64 channels each, one after the other, with the BIDS files that the package
#            reads: channels.tsv names the group of each channel and its muscle. Four grids on the tibialis anterior,
#            two on flexor and extensor, two without a muscle, and two of which each is followed by its two paths of
#            force. An OTB+ file of two adapters of 64 channels each, with the flexor and the extensor as their
#            channels' muscles. Through EMGFile.load() and grids.
# Behaviour: "grids" is documented as a list of one Grid for each grid in the file, and to handle grids with identical
#            specifications by indices that are not contiguous. Channels that are at most five after the last of a grid
#            of the same size are contiguous: so grids on neighbouring inputs are one, unless two different muscles are
#            told. The group, which is put into the channel's name, is not looked at, nor the muscle of an OTB+ file,
#            which is put into the name, too, nor is the number of electrodes. No error or warning is given.
# Output:    4 grids, one muscle: 1 found, of 65 electrodes with 256 channels of g1 g2 g3 g4
#            2 grids, two muscles: 2 found, of 65 electrodes with 64 channels of g1
#            2 grids, no muscle: 1 found, of 65 electrodes with 128 channels of g1 g2
#            2 grids and paths: 1 found, of 65 electrodes with 128 channels of g1 g2
#            2 adapters, two muscles: 1 found, of 65 electrodes with 128 channels of flexor extensor
# Why it matters: several grids of one kind are what muscles are covered with, and the motor units of a muscle are
#            decomposed grid by grid. The amplitude of "the grid" is that of two muscles, and 128 channels are laid over
#            a map of 65 places.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps hdsemg-shared==0.14.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import json
import sys
import tarfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np


def no_network(*_, **__):
    raise OSError


sys.modules["requests"] = SimpleNamespace(get=no_network)
from hdsemg_shared.fileio.file_io import EMGFile

warnings.simplefilter("error")
rate = 2048


def write_edf(name, channels):
    count = len(channels)
    fields = ((16, "EMG"), (80, ""), (8, "uV"), (8, "-3276.8"), (8, "3276.7"), (8, "-32768"), (8, "32767"), (80, ""),
              (8, rate), (32, ""))
    head = [(8, "0"), (80, "X X X X"), (80, "Startdate X X X X"), (8, "01.01.26"), (8, "12.00.00"),
            (8, 256 * (count + 1)), (44, ""), (8, 1), (8, 1), (4, count)]
    text = "".join(f"{value:<{width}}" for width, value in head)
    text += "".join(f"{value:<{width}}" * count for width, value in fields)
    data = np.zeros((count, rate), dtype="<i2")
    Path(f"{name}_emg.edf").write_bytes(text.encode("ascii") + data.tobytes())
    Path(f"{name}_emg.json").write_text(json.dumps({"ElectrodeManufacturersModelName": "HD08MM1305"}))
    columns = ("type", "group", "target_muscle", "description")
    rows = [columns] + [[channel.get(column, "n/a") for column in columns] for channel in channels]
    Path(f"{name}_channels.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    return f"{name}_emg.edf"


def write_otb(name, muscles):
    adapters = ""
    for index, muscle in enumerate(muscles):
        channels = "".join(f'<Channel Index="{i}" Gain="1" ID="HD08MM1305" Muscle="{muscle}"/>' for i in range(64))
        adapters += f'<Adapter ID="IN {index + 1}" Gain="150" ChannelStartIndex="{64 * index}">{channels}</Adapter>'
    Path("trial.xml").write_text(
        f'<Device Name="QUATTROCENTO" SampleFrequency="{rate}" ad_bits="16" DeviceTotalChannels="128">'
        f"<Channels>{adapters}</Channels></Device>"
    )
    np.zeros((rate, 128), dtype="<i2").tofile("trial.sig")
    with tarfile.open(f"{name}.otb+", "w") as archive:
        archive.add("trial.xml")
        archive.add("trial.sig")
    return f"{name}.otb+"


def grid(group, **more):
    return [{"type": "EMG", "group": group, **more}] * 64


paths = [{"type": "MISC", "description": f"{path} Path"} for path in ("Performed", "Requested")]
muscle = {"target_muscle": "tibialis anterior"}
for name, parts, path in (
    ("4 grids, one muscle", "g1 g2 g3 g4", write_edf("a", sum((grid(f"g{i}", **muscle) for i in range(1, 5)), []))),
    ("2 grids, two muscles", "g1 g2",
     write_edf("b", grid("g1", target_muscle="flexor") + grid("g2", target_muscle="extensor"))),
    ("2 grids, no muscle", "g1 g2", write_edf("c", grid("g1") + grid("g2"))),
    ("2 grids and paths", "g1 g2", write_edf("d", grid("g1") + paths + grid("g2") + paths)),
    ("2 adapters, two muscles", "flexor extensor", write_otb("e", ("flexor", "extensor"))),
):
    emg = EMGFile.load(path)
    first = emg.grids[0]
    names = {str(np.squeeze(emg.description[index])) for index in first.emg_indices}
    groups = [part for part in parts.split() if any(f"-{part}" in channel for channel in names)]
    print(f"{name}: {len(emg.grids)} found, of {first.electrodes} electrodes with {len(first.emg_indices)} channels of",
          *groups)
PY
)
echo "$found"
[ "$found" = "4 grids, one muscle: 1 found, of 65 electrodes with 256 channels of g1 g2 g3 g4
2 grids, two muscles: 2 found, of 65 electrodes with 64 channels of g1
2 grids, no muscle: 1 found, of 65 electrodes with 128 channels of g1 g2
2 grids and paths: 1 found, of 65 electrodes with 128 channels of g1 g2
2 adapters, two muscles: 1 found, of 65 electrodes with 128 channels of flexor extensor" ]
