"""Described gestures: what their lines say, and that they know nothing of the simulator."""

import subprocess
import sys

import numpy as np
import pytest

from embridge.data.emg2pose import IN_CLASSES, JOINTS, STAGES, UNSEEN_CLASSES
from embridge.describe import DESCRIPTIONS, keyframes
from embridge.errors import InputError

LOADED = "import sys, embridge.describe; print(*[m for m in sys.modules if 'simulat' in m])"


def test_describe_knows_nothing_of_the_simulator():
    found = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert not found.stdout.split()


def test_at_least_twelve_ship_and_all_can_be_read():
    assert len(DESCRIPTIONS) >= 12 and {*IN_CLASSES, *UNSEEN_CLASSES} <= {*DESCRIPTIONS} <= {*STAGES}
    for text in DESCRIPTIONS.values():
        times, angles = keyframes(text)
        assert angles.shape == (len(times), 20) and (np.diff(times.ravel()) >= 0).all()
        assert np.isfinite(angles).all() and np.ptp(angles, axis=0).any()


def test_a_line_says_when_and_which_digit_bends_how_far():
    times, angles = keyframes("0.5-1 index,pinky straight; thumb curled IP_FE 10\n 1.5 fingers rest MCP_FE -30")
    assert times.tolist() == [[0.5, 1.0], [1.5, 1.5]]
    degrees = np.rad2deg(angles)
    assert (
        degrees[0, JOINTS.index("pinky_MCP_FE")] == pytest.approx(0) and degrees[0, JOINTS.index("middle_MCP_FE")] > 10
    )
    assert degrees[0, JOINTS.index("thumb_IP_FE")] == pytest.approx(10)
    assert degrees[1, [JOINTS.index("index_MCP_FE"), JOINTS.index("ring_MCP_FE")]] == pytest.approx(-30)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "index half",
        "0.4 index",
        "0.4 nobody half MCP_FE 3",
        "0.4 index CMC_FE 3",
        "0.4 index MCP_FE",
        "0.4 index MCP_FE 200",
        "0.4 index MCP_FE nan",
        "0.5 index half\n0.4 index half",
        "0.5-0.2 index half",
    ],
)
def test_a_line_that_says_nothing_of_a_hand_is_refused(text):
    with pytest.raises(InputError, match="description"):
        keyframes(text)
