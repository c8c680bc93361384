#!/usr/bin/env bash
# biosiglive 2.0.3: of 8 muscles that the server sends, the client has the first, and of markers only their x.
#
# Versions:  biosiglive 2.0.3, scipy 1.17.1, numpy 2.4.6. Its plots, which need matplotlib, are replaced and not asked
#            for.
# Input:     a Server and a TcpClient on one machine. As StreamData sends it, a list with one array for each device: 8
#            channels of 20 samples whose values are the number of the channel, and 15 markers at (1, 2, 3). The client
#            has one device of 8 channels, and one set of 15 markers. Then as in the documentation's examples for server
#            and client: 5 channels of 100 samples as an array, of which the last sample is asked for.
# Behaviour: get_device_data() is documented to return the data of the device that was asked from the server. The server
#            takes a list of one array out of the list, and makes a list of channels of an array. The client takes the
#            first item of what comes for its first device, as if it were still a list of devices: that is the first
#            channel, and of markers the first coordinate. The number of channels that the device was added with is
#            not looked at, and what is left goes into its buffer, too. No error or warning is given.
# Output:    EMG: sent (8, 20), received (20,), values 1
#            markers: sent (3, 15, 1), received (15, 1), values 1
#            examples: sent (5, 100), received (1,)
# Why it matters: the server is there to process and to show EMG on another machine than that which records it. The
#            first muscle passes for the device, and a model of the hand is given the x of all markers.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps biosiglive==2.0.3
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import socket
import sys
import threading
import warnings
from unittest.mock import MagicMock

import numpy as np

sys.modules["biosiglive.gui.plot"] = MagicMock()
from biosiglive import Server, TcpClient

warnings.simplefilter("error")
warnings.simplefilter("ignore", ResourceWarning)
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
emg = np.arange(1, 9)[:, None] + np.zeros((8, 20))
markers = np.arange(1, 4)[:, None, None] + np.zeros((3, 15, 1))
example = np.random.default_rng(0).random((5, 100))
server = Server("127.0.0.1", port)
server.start()


def serve():
    streamed = {"raw_device_data": [emg], "marker_set_data": [markers]}
    for data in (streamed, streamed, {"raw_device_data": example}):
        connection, message = server.client_listening()
        server.send_data(data, connection, message)


def new_client(channels):
    client = TcpClient("127.0.0.1", port)
    client.add_device(channels, command_name="raw_device_data", name="EMG", rate=2000)
    client.add_marker_set(15, command_name="marker_set_data", name="hand", rate=100)
    return client


threading.Thread(target=serve, daemon=True).start()
client = new_client(8)
for name, sent, got in (
    ("EMG", emg, client.get_device_data("EMG")),
    ("markers", markers, client.get_marker_set_data("hand")),
):
    print(f"{name}: sent {sent.shape}, received {got.shape}, values", *(f"{value:.0f}" for value in np.unique(got)))
got = new_client(5).get_device_data("EMG", nb_frame_to_get=1)
print(f"examples: sent {example.shape}, received {got.shape}")
PY
)
echo "$found"
[ "$found" = "EMG: sent (8, 20), received (20,), values 1
markers: sent (3, 15, 1), received (15, 1), values 1
examples: sent (5, 100), received (1,)" ]
