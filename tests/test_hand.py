"""The hand: forward kinematics against an independent computation, anatomy, and the drawing."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from embridge.data import hand
from embridge.data.hand import landmarks
from embridge.errors import InputError
from embridge.figures import hand as drawing

ROOT = {"thumb": 1, "index": 5, "middle": 9, "ring": 13, "pinky": 17}  # first landmark of each digit
FIST = np.array([0.5, 0.2, 0.5, 0.7, *(4 * [0, 1.35, 1.7, 0.95])])
OK_SIGN = np.array([0.44, 0.27, 0.03, 0.08, 0.15, 0.85, 0.9, 0.45, 0.05, 0, 0, 0, -0.1, 0, 0, 0, -0.2, 0, 0, 0])


def random_angles(*shape):
    return np.random.default_rng(1).uniform(-1.0, 1.5, (*shape, 20))


def bent(**angles):
    """All zero but the named angles, e.g. index_1=0.5 for the index finger's second angle."""
    pose = np.zeros(20)
    for name, value in angles.items():
        finger, number = name.split("_")
        pose[4 * hand.FINGERS.index(finger) + int(number)] = value
    return pose


def test_zero_is_a_flat_open_hand_with_straight_digits():
    points = landmarks(np.zeros(20))
    assert np.all(points[5:, 2] == 0)
    assert np.all(points[0] == 0)
    for root in ROOT.values():
        steps = np.diff(points[root : root + 4], axis=0)
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        np.testing.assert_allclose(steps, steps[[0, 0, 0]], atol=1e-12)
    tips = points[list(hand.FINGERTIPS)]
    assert np.argmax(tips[:, 1]) == 2, "the middle finger is the longest"
    assert np.all(np.diff(tips[:, 0]) < 0), "from the thumb to the little finger"
    assert 170 < tips[2, 1] < 200, "a hand is about 180 mm long"


def test_bones_keep_the_published_lengths():
    points = landmarks(random_angles(50))
    for lengths, root in zip(hand.SEGMENTS, ROOT.values(), strict=True):
        found = np.linalg.norm(np.diff(points[:, root : root + 4], axis=1), axis=2)
        np.testing.assert_allclose(found, np.broadcast_to(lengths, found.shape), rtol=1e-12)
    # Buryanov and Kotiuk's table: metacarpals, and one whole finger with its tip
    np.testing.assert_allclose(hand.METACARPALS, [46.22, 68.12, 64.60, 58.00, 53.69])
    np.testing.assert_allclose(hand.SEGMENTS[1], [39.78, 22.38, 15.82 + 3.84])


def test_agrees_with_a_chain_of_rotation_matrices():
    angles = random_angles(20)
    points = landmarks(angles)
    for pose, found in zip(angles, points, strict=True):
        for d, root in enumerate(ROOT.values()):
            a = pose[4 * d : 4 * d + 4]
            along, flexion = hand.ALONG[d], hand.FLEXION[d]
            hinge = np.cross(along, flexion)
            turn = [Rotation.from_rotvec(v * hinge) for v in a]
            if d == 0:  # saddle joint: flexion, then adduction about the flexion direction
                first = turn[0] * Rotation.from_rotvec(a[1] * flexion)
                chain = [first, first * turn[2], first * turn[2] * turn[3]]
            else:  # abduction about the palm's normal, then three hinges
                first = Rotation.from_rotvec(-a[0] * flexion) * turn[1]
                chain = [first, first * turn[2], first * turn[2] * turn[3]]
            at = hand.ROOTS[d]
            for j, rotation in enumerate(chain):
                at = at + hand.SEGMENTS[d, j] * rotation.apply(along)
                np.testing.assert_allclose(found[root + j + 1], at, atol=1e-9)


@pytest.mark.parametrize("finger", ["index", "middle", "ring", "pinky"])
def test_flexion_by_a_right_angle_points_out_of_the_palm_and_then_back(finger):
    root, quarter = ROOT[finger], np.pi / 2
    at_knuckle = np.diff(landmarks(bent(**{f"{finger}_1": quarter}))[root : root + 4], axis=0)
    np.testing.assert_allclose(at_knuckle / np.linalg.norm(at_knuckle, axis=1)[:, None], [[0, 0, 1]] * 3, atol=1e-12)
    one, two, three = np.diff(
        landmarks(bent(**{f"{finger}_1": quarter, f"{finger}_2": quarter}))[root : root + 4], axis=0
    )
    assert abs(one @ two) < 1e-9 * np.linalg.norm(one) * np.linalg.norm(two) + 1e-9
    assert two[1] < 0 and three[1] < 0, "the fingertip turns back to the wrist"


def test_positive_abduction_turns_fingers_to_the_thumb_and_opposite_signs_spread_them():
    flat = landmarks(np.zeros(20))
    for finger in ("index", "middle", "ring", "pinky"):
        tip = ROOT[finger] + 3
        assert landmarks(bent(**{f"{finger}_0": 0.2}))[tip, 0] > flat[tip, 0] + 5
        assert landmarks(bent(**{f"{finger}_0": 0.2}))[tip, 2] == 0
    spread = landmarks(bent(index_0=0.25, ring_0=-0.15, pinky_0=-0.3))
    for a, b in ((8, 12), (12, 16), (16, 20)):
        assert np.linalg.norm(spread[a] - spread[b]) > np.linalg.norm(flat[a] - flat[b]) + 5


def test_thumb_crosses_the_palm_and_leaves_its_plane():
    flat = landmarks(np.zeros(20))
    crossed = landmarks(bent(thumb_0=0.8))
    assert np.linalg.norm(crossed[4] - crossed[20]) < np.linalg.norm(flat[4] - flat[20]) - 20
    assert landmarks(bent(thumb_1=-0.4))[4, 2] > flat[4, 2] + 10
    adducted = landmarks(bent(thumb_1=0.5))
    assert np.linalg.norm(adducted[4] - adducted[6]) < np.linalg.norm(flat[4] - flat[6]) - 5
    assert np.linalg.norm(landmarks(bent(thumb_3=1.0))[4] - flat[1]) < np.linalg.norm(flat[4] - flat[1])


def test_gestures_look_like_themselves():
    ok = landmarks(OK_SIGN)
    assert np.linalg.norm(ok[4] - ok[8]) < 16, "thumb and index fingertip touch"
    fist = landmarks(FIST)
    for tip in (8, 12, 16, 20):
        assert np.linalg.norm(fist[tip]) < 0.65 * np.linalg.norm(landmarks(np.zeros(20))[tip])


def test_leading_axes_stay_as_they_are():
    assert landmarks(random_angles(4, 3)).shape == (4, 3, 21, 3)


def test_torch_gives_the_same_and_carries_the_gradient():
    angles = random_angles(5)
    tensor = torch.tensor(angles, requires_grad=True)
    points = landmarks(tensor)
    np.testing.assert_allclose(points.detach().numpy(), landmarks(angles), atol=1e-9)
    points[:, list(hand.FINGERTIPS)].pow(2).sum().backward()
    assert torch.isfinite(tensor.grad).all() and (tensor.grad.abs().sum(0) > 0).all()
    assert landmarks(torch.tensor(angles, dtype=torch.float32)).dtype == torch.float32
    assert landmarks(angles.astype(np.float32)).dtype == np.float32


def test_wrong_input_is_told():
    with pytest.raises(InputError, match="expected 20"):
        landmarks(np.zeros((3, 22)))


def test_projection_keeps_lengths():
    points = landmarks(random_angles(3))
    for view in (drawing.PALM, (33.0, -50.0)):
        seen = drawing.project(points, view)
        np.testing.assert_allclose(np.linalg.norm(seen, axis=-1), np.linalg.norm(points, axis=-1), atol=1e-9)


def test_drawing_is_one_collection_with_every_bone_in_its_place():
    figure = Figure()
    ax = figure.add_subplot()
    shapes = drawing.draw_hand(ax, np.zeros(20), view=(0, 0), at=(10.0, 5.0), scale=0.5)
    assert list(ax.collections) == [shapes]
    fills = shapes.get_facecolor()
    palm = np.all(np.isclose(fills[:, :3], to_rgb(drawing.PALM_COLOUR)), axis=1)
    assert np.sum(~palm) == 15
    outlines = [path.vertices for path in shapes.get_paths()]
    points = landmarks(np.zeros(20))
    middle = points[[0, 5, 17], :2].mean(axis=0)
    tip = (points[12, :2] - middle) * 0.5 + [10, 5]
    top = max(v[:, 1].max() for v in outlines)
    assert top == pytest.approx(tip[1] + 0.5 * 6.5, abs=0.05), "the highest outline is the middle finger's pad"


def test_what_is_nearer_is_drawn_later_and_stronger():
    ax = Figure().add_subplot()
    front, back = (drawing.draw_hand(ax, FIST, view=view) for view in ((0, 0), (180, 0)))

    def place_of_palm(shapes):
        fills = shapes.get_facecolor()[:, :3]
        return np.flatnonzero(np.all(np.isclose(fills, to_rgb(drawing.PALM_COLOUR)), axis=1)).mean()

    assert place_of_palm(front) < place_of_palm(back), "from the palm's side a fist covers the palm"
    saturation = [shapes.get_facecolor()[:, :3].std(axis=1).mean() for shapes in (front, back)]
    assert saturation[0] > saturation[1]
