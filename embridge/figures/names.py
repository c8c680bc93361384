"""Short, readable labels for the long names of the data."""

import re
import textwrap

SHORT_NAMES = {  # emg2pose's 29 stages
    "AllFingerPinchesThumbSwipeThumbRotate": "Pinches, thumb moves",
    "CoffeePanicPete": "Coffee, panic, Pete",
    "CountingUpDownFaceSideAway": "Counting",
    "CountingUpDownFingerWigglingSpreading": "Counting, wiggling",
    "DoorknobFingerGraspFistGrab": "Doorknob, grasp, fist",
    "FastPongFronthandBackhandThrowing": "Pong, throwing",
    "FingerAbductionSeries": "Finger abduction",
    "FingerFreeform": "Fingers, free form",
    "FingerPinchesSingleFingerPinchesMultiple": "Finger pinches",
    "FingerTouchPalmClapmrburns": "Touch palm, clap",
    "FingerWigglingSpreading": "Wiggling, spreading",
    "GraspPunchCloseFar": "Grasp, punch",
    "HandClawGraspFlicks": "Claw, grasp, flicks",
    "HandDeskSeparateClaspedChest": "Desk, clasp, chest",
    "HandOverHandAllFingerPinchesThumbSwipeThumbRotate": "Two hands: pinches",
    "HandOverHandCountingUpDownFingerWigglingSpreading": "Two hands: counting",
    "HookEmHornsOKScissors": "Horns, OK, scissors",
    "IndexPinchesMiddlePinchesThumbswipes": "Index, middle pinches",
    "IndividualFingerPointingSnap": "Pointing, snap",
    "OneHandedFreeStyle": "One hand, free style",
    "PlayBlocksChess": "Blocks, chess",
    "PokeDrawPinchRotateclosefar": "Poke, draw, rotate",
    "PokePinchCloseFar": "Poke, pinch",
    "ShakaVulcanPeace": "Shaka, Vulcan, peace",
    "ThumbsSwipesWholeHand": "Thumb swipes",
    "ThumbsUpDownThumbRotationsCWCCWP": "Thumb up, down, turns",
    "TwoHandedFreeStyle": "Two hands, free style",
    "WristFlexionAbduction": "Wrist moves",
    "unconstrained": "Unconstrained",
}
CLASS_SET_NAMES = {"in": "in-distribution gestures", "unseen": "unseen gestures"}
PROTOCOL_NAMES = {"ZS": "zero-shot", "LP": "linear probe"}
POLICY_NAMES = {
    "all": "all poses",
    "not-self": "without own window",
    "other-users": "other users only",
    "other-repetitions": "other repetitions",
}
PARAM_NAMES = {  # the sweeps of Fig. 4
    "tau_s": "soft-target temperature $τ_s$",
    "k_c": "communities kept $k_c$",
    "alpha": "weight of CASCLe α",
    "lambda": "weight of MPRL λ",
    "r": "MPRL mask ratio $r$",
    "M": "queries $M$",
    "metric": "similarity in CASCLe",
    "k": "neighbours $k$",
}
_MOVES = {"FE": "flexion", "AA": "abduction"}


def pretty(name: str) -> str:
    """A gesture's short label: a stage by SHORT_NAMES, NinaPro's "E1-05" as "movement 5", "E2-05" as "grasp 5"."""
    code = re.fullmatch(r"E(1|2)-0*(\d+)", name)  # exercise 2 of DB2 and DB7 are grasps
    return f"{('movement', 'grasp')[int(code[1]) - 1]} {code[2]}" if code else SHORT_NAMES.get(name, name)


def joint_label(name: str) -> str:
    """A joint's label: "INDEX_MCP_FE" (any case) as "index MCP flexion"; a name of another form as it is."""
    parts = name.split("_")
    if len(parts) != 3 or parts[2].upper() not in _MOVES:
        return name
    return f"{parts[0].lower()} {parts[1].upper()} {_MOVES[parts[2].upper()]}"


def wrapped(name: str, width: int = 12) -> str:
    """A gesture's short label, broken into lines of about ``width`` characters."""
    return textwrap.fill(pretty(name), width, break_long_words=False)
