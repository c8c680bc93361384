"""Described gestures: what their lines say, and that they know nothing of the simulator."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from embridge.config import WindowConfig
from embridge.data.emg2pose import IN_CLASSES, JOINTS, STAGES, UNSEEN_CLASSES
from embridge.describe import DESCRIPTIONS, Style, gallery, keyframes, read, windows
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


STILL = Style(pace=0, gain=0, offset=0, timing=0)
NOD = "1-1.5 all straight\n 2.5-3 all straight; index MCP_FE 90"


def test_between_keyframes_a_joint_takes_the_path_of_minimum_jerk():
    window = WindowConfig(sample_rate=100, window=600, n_channels=1, bandpass=None, notch=None)
    (made,) = windows(NOD, 1, window, style=STILL)
    joint = np.rad2deg(made[JOINTS.index("index_MCP_FE")])
    # two cycles of 3 s: twice 0.5 s up, twice 0.5 s down, and moves of 1 s between, whatever the start
    assert (joint < 1e-3).sum() == pytest.approx(100, abs=4) and (joint > 90 - 1e-3).sum() == pytest.approx(100, abs=4)
    assert np.abs(np.diff(joint)).max() == pytest.approx(90 * 1.875 / 100, rel=0.01)  # the peak speed is 15/8 D / T
    assert np.ptp(np.delete(made, JOINTS.index("index_MCP_FE"), 0), axis=1).max() == 0
    np.testing.assert_allclose(made[:, :300], made[:, 300:], atol=1e-5)  # a cycle


def test_windows_differ_in_style_and_are_drawn_by_the_seed():
    window = WindowConfig(sample_rate=100, window=200, n_channels=1, bandpass=None, notch=None)
    made = windows(NOD, 4, window, seed=3)
    assert made.shape == (4, 20, 200) and made.dtype == np.float32
    np.testing.assert_array_equal(made[:2], windows(NOD, 2, window, seed=3))
    assert not np.array_equal(made, windows(NOD, 4, window, seed=4))
    tops = made[:, JOINTS.index("index_MCP_FE")].max(1)
    assert np.ptp(tops) > 0.02 and len(np.unique(made[:, 0, 0])) == 4


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_no_style_makes_a_joint_jump(name):
    made = windows(DESCRIPTIONS[name], 8, WindowConfig())
    # a flick of 95 degrees in 0.15 s has its peak at 21 rad/s; a style may more than double it
    assert np.isfinite(made).all() and np.abs(np.diff(made)).max() * 2000 < 100


@pytest.mark.parametrize("change", [{"n": 0}, {"config": WindowConfig(n_joints=22)}])
def test_windows_of_no_hand_are_refused(change):
    with pytest.raises(InputError, match="20 joint angles"):
        windows(NOD, **{"n": 2, "config": WindowConfig()} | change)


def test_a_gallery_has_poses_and_labels_and_asks_for_what_is_described():
    asked = SimpleNamespace(windows=WindowConfig(window=200), encode_pose=lambda p: p.mean(2))
    poses, labels = gallery(asked, ["ShakaVulcanPeace", "GraspPunchCloseFar"], n=3)
    assert poses.shape == (6, 20) and labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(InputError, match="no description of Moonwalk; described are"):
        gallery(asked, ["Moonwalk"])


def test_a_copy_of_the_text_file_can_be_edited_and_read(tmp_path):
    file = tmp_path / "mine é.txt"
    file.write_text(
        "# ours\nNod  # yes\n    1-1.5 all straight\n\n    2 index half # and back\nFist\n\t1 all curled\n", "utf-8"
    )
    assert read(file) == {"Nod": "1-1.5 all straight\n2 index half\n", "Fist": "1 all curled\n"}
    assert len(keyframes(read(file)["Nod"])[0]) == 2
    file.write_text("Nod\n    1 all straight\n", "utf-8-sig")
    assert read(file) == {"Nod": "1 all straight\n"}
    file.write_text("    1 all curled\nFist\n", "utf-8")
    with pytest.raises(InputError, match=r"line '    1 all curled': expected a gesture's name above it"):
        read(file)
    with pytest.raises(InputError, match="copy describe.txt"):
        read(tmp_path / "nowhere.txt")
