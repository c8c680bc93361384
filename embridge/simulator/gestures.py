"""The 29 stages as programmes of hand poses.

A pose has 24 numbers: emg2pose's 20 joint angles (rad, METHOD 1's order) and four that emg2pose does not record but
that muscles make: wrist flexion, radial deviation and pronation (rad), and how hard the hand presses (0 to 1).
Flexion is positive; a finger's abduction is positive towards the thumb. The angles are ours, within the usual ranges
of motion of clinical goniometry.
"""

import numpy as np

N_JOINTS = 20
N_DOFS = 24
WRIST_FLEXION, WRIST_DEVIATION, PRONATION, EFFORT = 20, 21, 22, 23
FINGERS = ("index", "middle", "ring", "pinky")
# Which joints move together in time: the thumb, four fingers, and the wrist with the effort.
GROUPS = np.repeat(np.arange(6), 4)

_FINGER_LIMITS = ((-0.45, 0.45), (-0.50, 1.60), (-0.10, 1.90), (-0.20, 1.40))
LIMITS = np.array(
    [(-0.50, 1.00), (-0.40, 1.10), (-0.30, 1.10), (-0.50, 1.40), *(_FINGER_LIMITS * 4), (-1.2, 1.2), (-0.4, 0.6),
     (-1.4, 1.4), (0.0, 1.0)]
)  # (24, 2) rad, last row: effort  # fmt: skip

# Thumb: CMC flexion, CMC abduction, MCP flexion, IP flexion.
_THUMBS = {
    "rest": (0.15, 0.35, 0.20, 0.20), "out": (-0.30, 0.75, -0.05, -0.10), "up": (-0.45, 0.40, -0.15, -0.30),
    "side": (0.05, 0.00, 0.15, 0.10), "palm": (0.75, 0.35, 0.65, 0.70), "over": (0.55, 0.20, 0.60, 0.85),
    "index": (0.35, 0.80, 0.25, 0.45), "middle": (0.50, 0.90, 0.32, 0.50), "ring": (0.68, 0.98, 0.42, 0.55),
    "pinky": (0.85, 1.02, 0.55, 0.60), "swipe_in": (0.60, 0.15, 0.45, 0.15), "swipe_out": (-0.20, 0.45, 0.05, 0.05),
    "far": (0.30, 0.55, -0.05, -0.30), "near": (0.30, 0.50, 0.50, 1.05), "low": (0.10, 0.95, 0.10, 0.10),
}  # fmt: skip
_CURL = np.array([1.35, 1.70, 0.95])  # MCP, PIP, DIP of a fully curled finger, rad
_SPREAD = np.array([0.32, 0.06, -0.16, -0.38])  # MCP abduction of a fully spread hand, rad


def hand(thumb, *fingers, spread=0.0, wrist=(0.0, 0.0, 0.0), effort=0.0) -> np.ndarray:
    """One pose, shape (24,): a named thumb and, a finger, its curl (0 straight, 1 fist) or (MCP, PIP, DIP) in rad."""
    angles = [_THUMBS[thumb]]
    for finger, side in zip(fingers, _SPREAD * spread, strict=True):
        angles.append((side, *(finger if isinstance(finger, tuple) else finger * _CURL)))
    return np.concatenate([*angles, wrist, [effort]])


def _wristed(pose, flexion=0.0, deviation=0.0, pronation=0.0):
    return pose + np.concatenate([np.zeros(N_JOINTS), (flexion, deviation, pronation, 0.0)])


_TIP = (0.85, 0.75, 0.35)  # a finger whose tip meets the thumb
_CLAW = (-0.15, 1.45, 1.00)
_FLAT = (1.25, 0.25, 0.10)  # flat fingers folded at the knuckles
_FIST = hand("over", 1, 1, 1, 1, effort=0.6)
_THUMB_UP = hand("up", 1, 1, 1, 1, effort=0.3)
_SIDE_GRIP = hand("side", 0.75, 0.8, 0.85, 0.85, effort=0.2)
_OPEN = hand("out", 0, 0, 0, 0, spread=0.5)
POSES = {
    "rest": hand("rest", 0.22, 0.27, 0.31, 0.34),
    "open": _OPEN,
    "flat": hand("side", 0.02, 0.02, 0.02, 0.02),
    "spread": hand("out", -0.05, -0.05, -0.05, -0.05, spread=1.1, effort=0.3),
    "fist": _FIST,
    "loose_fist": hand("rest", 0.7, 0.72, 0.75, 0.75),
    "claw": hand("index", _CLAW, _CLAW, _CLAW, _CLAW, spread=0.6, effort=0.4),
    "claw_tight": hand("near", (0.3, 1.7, 1.1), (0.3, 1.7, 1.1), (0.3, 1.7, 1.1), (0.3, 1.7, 1.1), effort=0.5),
    "grasp": hand("index", 0.5, 0.52, 0.54, 0.55, spread=0.3, effort=0.5),
    "grasp_wide": hand("low", 0.28, 0.28, 0.28, 0.28, spread=0.8, effort=0.2),
    "flick": hand("out", (-0.2, 0.1, 0.0), (-0.2, 0.1, 0.0), (-0.2, 0.1, 0.0), (-0.2, 0.1, 0.0), spread=0.9),
    "flick_load": hand("middle", 0.75, 0.78, 0.6, 0.55, effort=0.5),
    "pinch_index": hand("index", _TIP, 0.25, 0.22, 0.2, spread=0.3, effort=0.4),
    "pinch_middle": hand("middle", 0.15, _TIP, 0.3, 0.25, spread=0.2, effort=0.4),
    "pinch_ring": hand("ring", 0.12, 0.3, _TIP, 0.4, spread=0.2, effort=0.4),
    "pinch_pinky": hand("pinky", 0.1, 0.15, 0.4, _TIP, spread=0.2, effort=0.4),
    "pinch_two": hand("middle", _TIP, _TIP, 0.25, 0.2, effort=0.5),
    "pinch_all": hand("ring", _TIP, _TIP, _TIP, _TIP, effort=0.5),
    "pinch_open": hand("low", 0.3, 0.25, 0.22, 0.2, spread=0.4),
    "thumb_up": _wristed(_THUMB_UP, pronation=0.0),
    "thumb_down": _wristed(_THUMB_UP, flexion=0.2, pronation=1.2),
    "thumb_turn_a": hand("far", 0.85, 0.9, 0.9, 0.9, effort=0.2),
    "thumb_turn_b": hand("low", 0.85, 0.9, 0.9, 0.9, effort=0.2),
    "thumb_turn_c": hand("near", 0.85, 0.9, 0.9, 0.9, effort=0.2),
    "swipe_in": hand("swipe_in", 0.55, 0.6, 0.62, 0.65, effort=0.3),
    "swipe_out": hand("swipe_out", 0.55, 0.6, 0.62, 0.65, effort=0.2),
    "swipe_up": hand("far", 0.5, 0.6, 0.62, 0.65, effort=0.2),
    "swipe_down": hand("near", 0.5, 0.6, 0.62, 0.65, effort=0.3),
    "whole_in": _wristed(_FIST * 0.6 + _OPEN * 0.4, flexion=0.5),
    "whole_out": _wristed(_OPEN, flexion=-0.4),
    "point": hand("over", 0, 1, 1, 1, effort=0.3),
    "poke": hand("over", (0.3, 0.15, 0.05), 0.95, 1, 1, effort=0.5),
    "draw_a": hand("middle", (0.7, 0.6, 0.2), (0.8, 0.8, 0.3), 0.6, 0.65, spread=0.3, effort=0.4),
    "draw_b": hand("index", (0.4, 0.9, 0.4), (0.5, 1.0, 0.4), 0.65, 0.7, spread=-0.3, effort=0.4),
    "point_middle": hand("over", 1, 0, 0.95, 1, effort=0.3),
    "point_ring": hand("over", 1, 0.85, 0.1, 0.9, effort=0.4),
    "point_pinky": hand("over", 1, 1, 0.9, 0, effort=0.3),
    "snap_load": hand("middle", 0.3, (0.7, 0.9, 0.4), 0.85, 0.9, effort=0.8),
    "snap": hand("side", 0.3, 0.95, 0.95, 0.95, effort=0.4),
    "horns": hand("over", 0, 1, 1, 0, spread=0.5, effort=0.4),
    "ok": hand("index", (0.8, 0.9, 0.45), 0.05, 0.0, -0.05, spread=0.8, effort=0.4),
    "scissors_open": hand("over", 0, 0, 1, 1, spread=1.0, effort=0.3),
    "scissors_shut": hand("over", 0, 0, 1, 1, spread=-0.2, effort=0.4),
    "shaka": hand("out", 1, 1, 1, -0.02, spread=0.8, effort=0.4),
    "vulcan": np.concatenate([hand("out", 0, 0, 0, 0)[:4], (0.18, 0, 0, 0), (0.22, 0, 0, 0), (-0.25, 0, 0, 0),
                              (-0.3, 0, 0, 0), (-0.1, 0, 0, 0.4)]),
    "peace": hand("over", 0, 0, 0.95, 0.95, spread=0.8, effort=0.3),
    "one": hand("palm", 0, 0.95, 0.98, 1, effort=0.2),
    "two": hand("palm", 0, 0, 0.95, 0.98, spread=0.5, effort=0.2),
    "three": hand("palm", 0, 0, 0, 0.9, spread=0.5, effort=0.25),
    "four": hand("palm", 0, 0, 0, 0, spread=0.6, effort=0.25),
    "five": hand("out", 0, 0, 0, 0, spread=0.8, effort=0.15),
    "wiggle_a": hand("rest", 0.5, 0.1, 0.45, 0.1, spread=0.5),
    "wiggle_b": hand("out", 0.1, 0.5, 0.1, 0.5, spread=0.5),
    "wave_a": hand("out", 0.6, 0.4, 0.2, 0.05, spread=0.3),
    "wave_b": hand("rest", 0.05, 0.2, 0.4, 0.6, spread=0.3),
    "press_flat": hand("side", _FLAT, _FLAT, _FLAT, _FLAT, effort=0.5),
    "touch_palm": hand("rest", (1.4, 1.5, 0.5), (1.45, 1.5, 0.5), (1.5, 1.5, 0.5), (1.5, 1.5, 0.5), effort=0.4),
    "clap": hand("out", 0, 0, 0, 0, spread=0.1, wrist=(-0.3, 0, 0), effort=0.5),
    "steeple": hand("out", 0.15, 0.15, 0.15, 0.15, spread=1.0, wrist=(-0.5, 0, 0), effort=0.4),
    "clasp": hand("over", 0.55, 0.55, 0.55, 0.55, spread=0.6, wrist=(0.2, 0, 0.3), effort=0.6),
    "punch": hand("over", 1, 1, 1, 1, wrist=(-0.2, 0, 0.8), effort=1.0),
    "knob_cw": hand("middle", 0.45, 0.45, 0.5, 0.55, spread=0.7, wrist=(0, 0, -0.9), effort=0.5),
    "knob_ccw": hand("middle", 0.45, 0.45, 0.5, 0.55, spread=0.7, wrist=(0, 0, 0.9), effort=0.5),
    "paddle_fore": _wristed(_SIDE_GRIP, flexion=0.4, pronation=-0.5),
    "paddle_back": _wristed(_SIDE_GRIP, flexion=-0.5, pronation=0.7),
    "throw": hand("low", 0.0, 0.05, 0.1, 0.1, spread=0.7, wrist=(0.6, 0, 0.5), effort=0.4),
    "wrist_in": hand("rest", 0.25, 0.28, 0.3, 0.32, wrist=(0.9, 0, 0)),
    "wrist_out": hand("rest", 0.35, 0.38, 0.4, 0.42, wrist=(-0.8, 0, 0)),
    "wrist_radial": hand("rest", 0.25, 0.28, 0.3, 0.32, wrist=(-0.1, -0.35, 0)),
    "wrist_ulnar": hand("rest", 0.25, 0.28, 0.3, 0.32, wrist=(0, 0.5, 0)),
    "cup": hand("index", 0.42, 0.45, 0.48, 0.5, spread=0.2, wrist=(0, 0.2, -0.2), effort=0.5),
    "handle": hand("over", 0.8, 0.82, 0.85, 0.85, wrist=(-0.2, 0, 0), effort=0.7),
    "stir": hand("index", (0.6, 0.8, 0.3), (0.7, 0.9, 0.3), 0.65, 0.7, wrist=(0.2, 0.2, 0.2), effort=0.4),
    "block": hand("middle", (0.7, 0.6, 0.3), (0.7, 0.6, 0.3), 0.45, 0.5, wrist=(0.1, 0, 0.5), effort=0.4),
}  # fmt: skip
POSE_NAMES = tuple(POSES)

# A stage is a handful of similar gestures; a gesture is the path of poses it visits.
_PINCHES = (("pinch_index",), ("pinch_middle",), ("pinch_ring",), ("pinch_pinky",))
_SWIPES = (("swipe_out", "swipe_in"), ("swipe_in", "swipe_out"))
_TURN = ("thumb_turn_a", "thumb_turn_b", "thumb_turn_c")
_COUNT_UP = ("fist", "one", "two", "three", "four", "five")
_WIGGLE = ("wiggle_a", "wiggle_b", "wiggle_a", "wiggle_b")
_WAVE = ("wave_a", "wave_b", "wave_a")
STAGES = {
    "AllFingerPinchesThumbSwipeThumbRotate": (*_PINCHES[:3], _SWIPES[0], _TURN),
    "CoffeePanicPete": (("cup",), ("handle", "cup"), ("stir", "draw_b", "stir"), ("grasp_wide", "grasp")),
    "CountingUpDownFaceSideAway": (_COUNT_UP, _COUNT_UP[::-1], ("one", "two", "three"), ("five", "four", "three")),
    "CountingUpDownFingerWigglingSpreading": (_COUNT_UP, _COUNT_UP[::-1], _WIGGLE, _WAVE, ("flat", "spread")),
    "DoorknobFingerGraspFistGrab": (("knob_cw", "knob_ccw"), ("grasp",), ("fist",), ("grasp_wide", "fist")),
    "FastPongFronthandBackhandThrowing": (("paddle_fore",), ("paddle_back", "paddle_fore"), ("fist", "throw")),
    "FingerAbductionSeries": (("flat", "spread"), ("spread", "flat", "spread"), ("scissors_open", "scissors_shut"),
                              ("vulcan", "flat")),
    "FingerFreeform": tuple((name,) for name in POSE_NAMES),
    "FingerPinchesSingleFingerPinchesMultiple": (*_PINCHES, ("pinch_two", "pinch_open", "pinch_all")),
    "FingerTouchPalmClapmrburns": (("touch_palm",), ("open", "clap"), ("steeple", "pinch_all", "steeple")),
    "FingerWigglingSpreading": (_WIGGLE, _WAVE, ("flat", "spread"), ("spread", "wiggle_a")),
    "GraspPunchCloseFar": (("grasp_wide", "grasp"), ("fist", "punch"), ("punch",), ("open", "grasp")),
    "HandClawGraspFlicks": (("claw",), ("claw", "claw_tight"), ("grasp_wide", "grasp"), ("flick_load", "flick")),
    "HandDeskSeparateClaspedChest": (("flat",), ("clasp",), ("press_flat",), ("rest", "clasp")),
    "HandOverHandAllFingerPinchesThumbSwipeThumbRotate": (*_PINCHES[:3], _SWIPES[1], _TURN),
    "HandOverHandCountingUpDownFingerWigglingSpreading": (_COUNT_UP, _COUNT_UP[::-1], _WIGGLE, ("flat", "spread")),
    "HookEmHornsOKScissors": (("horns",), ("ok",), ("scissors_open", "scissors_shut", "scissors_open"),
                              ("horns", "ok")),
    "IndexPinchesMiddlePinchesThumbswipes": (_PINCHES[0], ("pinch_index", "pinch_open", "pinch_index"), _PINCHES[1],
                                             *_SWIPES),
    "IndividualFingerPointingSnap": (("point",), ("point_middle",), ("point_ring",), ("point_pinky",),
                                     ("snap_load", "snap")),
    "OneHandedFreeStyle": tuple((name,) for name in POSE_NAMES),
    "PlayBlocksChess": (("pinch_open", "block"), ("block", "grasp"), ("pinch_two", "open"), ("draw_a", "block")),
    "PokeDrawPinchRotateclosefar": (("poke", "point"), ("draw_a", "draw_b", "draw_a"), ("pinch_index",), _TURN),
    "PokePinchCloseFar": (("poke", "point", "poke"), ("point", "pinch_index"), ("pinch_open", "pinch_index")),
    "ShakaVulcanPeace": (("shaka",), ("vulcan",), ("peace",), ("shaka", "peace")),
    "ThumbsSwipesWholeHand": (*_SWIPES, ("swipe_up", "swipe_down"), ("whole_in", "whole_out")),
    "ThumbsUpDownThumbRotationsCWCCWP": (("thumb_up",), ("thumb_down", "thumb_up"), _TURN, _TURN[::-1]),
    "TwoHandedFreeStyle": tuple((name,) for name in POSE_NAMES),
    "WristFlexionAbduction": (("wrist_in",), ("wrist_out", "wrist_in"), ("wrist_radial", "wrist_ulnar"),
                              ("wrist_out",)),
    "unconstrained": tuple((name,) for name in POSE_NAMES),
}  # fmt: skip
# Stages that use both hands at once: both files are written, moving_hand is "both".
TWO_HANDED = (
    "HandDeskSeparateClaspedChest",
    "HandOverHandAllFingerPinchesThumbSwipeThumbRotate",
    "HandOverHandCountingUpDownFingerWigglingSpreading",
    "TwoHandedFreeStyle",
)
# Stages made faster or slower than the others.
TEMPO = {"FastPongFronthandBackhandThrowing": 1.4, "FingerWigglingSpreading": 1.2, "WristFlexionAbduction": 0.85,
         "CountingUpDownFaceSideAway": 1.15, "CountingUpDownFingerWigglingSpreading": 1.25}  # fmt: skip
