#!/usr/bin/env bash
# biosiglive 2.0.3: all markers from Vicon are written into the place of the first, and muscles 9 to 16 are 1 to 8.
#
# Versions:  biosiglive 2.0.3, scipy 1.17.1, numpy 2.4.6. Its plots, which need matplotlib, are replaced and not asked
#            for, and so is Vicon's own client, by one that knows where the markers are.
# Input:     ViconClient at 100 Hz with five markers of a finger, at 90, 70, 50, 30 and 10 mm along x: all through
#            get_marker_set_data(), then "tip" and "wrist" by its marker_names. A device with 16 channels of EMG whose
#            values are the number of the channel: through ComputeMvc() for Vicon with range_muscle (8, 16).
# Behaviour: the function is documented to get the data of the markers from Vicon, and range_muscle as the range of the
#            muscles to measure. The counter of the column that a marker is written to is never counted up: the first
#            column has the last marker, and the others stay at zero, not told as occluded. A list of names is put into
#            another list before names are looked up in it: the result is zeros, for one marker. The range of a device
#            is stored, and not looked at: the first channels are taken. No error or warning is given.
# Output:    tip at 90 mm, read as 10
#            dip at 70 mm, read as 0
#            pip at 50 mm, read as 0
#            mcp at 30 mm, read as 0
#            wrist at 10 mm, read as 0
#            occluded: none
#            tip and wrist by name: 1 marker, read as 0
#            muscles 9 to 16: channels 1 2 3 4 5 6 7 8
# Why it matters: the angles of the finger are computed from these columns, live, and the muscles are normalised by the
#            maximum of others.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosiglive==2.0.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import contextlib
import io
import sys
import warnings
from types import SimpleNamespace
from unittest.mock import MagicMock

sys.modules["biosiglive.gui.plot"] = MagicMock()
places = {"tip": 90, "dip": 70, "pip": 50, "mcp": 30, "wrist": 10}


class Vicon(MagicMock):
    def GetFrame(self):
        return True

    def GetFrameRate(self):
        return 100

    def GetSubjectNames(self):
        return ["subject"]

    def GetMarkerNames(self, subject):
        return [(name, "hand") for name in places]

    def GetMarkerGlobalTranslation(self, subject, name):
        return (places[name], 0, 0), False

    def GetDeviceOutputDetails(self, device):
        return [("Voltage", str(channel), "V") for channel in range(1, 17)]

    def GetDeviceOutputValues(self, device, output, channel):
        return [float(channel)] * 20, False


sys.modules["vicon_dssdk"] = SimpleNamespace(ViconDataStream=SimpleNamespace(Client=Vicon))
from biosiglive import ComputeMvc, ViconClient

warnings.simplefilter("error")
with contextlib.redirect_stdout(io.StringIO()):
    client = ViconClient(system_rate=100)
    program = ComputeMvc("vicon_client", output_file="m.bio", range_muscle=(8, 16))
client.add_marker_set(nb_markers=5, name="finger", rate=100)
markers, occluded = client.get_marker_set_data()
for index, (name, x) in enumerate(places.items()):
    print(f"{name} at {x} mm, read as {markers[0, index, 0]:.0f}")
print(f"occluded: {sum(occluded) or 'none'}")
named, _ = client.get_marker_set_data(marker_names=["tip", "wrist"])
print(f"tip and wrist by name: {named.shape[1]} marker, read as {named[0, 0, 0]:.0f}")
emg = program.emg_interface.get_device_data()
print("muscles 9 to 16: channels", *(f"{value:.0f}" for value in emg[:, 0]))
PY
)
echo "$found"
[ "$found" = "tip at 90 mm, read as 10
dip at 70 mm, read as 0
pip at 50 mm, read as 0
mcp at 30 mm, read as 0
wrist at 10 mm, read as 0
occluded: none
tip and wrist by name: 1 marker, read as 0
muscles 9 to 16: channels 1 2 3 4 5 6 7 8" ]
