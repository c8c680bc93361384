"""Gestures that nobody recorded: descriptions in words and angles, from the gestures' names alone (ours).

A description is a cycle of keyframes, one a line, in the form that describe.txt beside this module explains:

    0.5-1.1 index,pinky straight; middle,ring curled; thumb tucked
    1.5     index MCP_FE 30 PIP_FE 20

Joints, their order and signs are emg2pose's (``embridge.data``). Nothing here knows a simulator.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from embridge.config import WindowConfig
from embridge.data.emg2pose import JOINTS
from embridge.data.hand import FINGERS
from embridge.errors import InputError
from embridge.files import read_toml

GROUPS = {"fingers": FINGERS[1:], "all": FINGERS}
POSTURES = read_toml(__file__)  # of a finger and the thumb
LOWEST, HIGHEST = -60.0, 130.0  # deg: no joint of a hand goes beyond


def read(file: Path | str) -> dict[str, str]:
    """Descriptions by name, of a text file in the form of describe.txt beside this module.

    Raises InputError for a file that cannot be read and for a line without a name above it.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")  # as Windows' editors may save it
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: expected described gestures, found no text ({error}); copy describe.txt") from error
    found: dict[str, str] = {}
    for line in (line.partition("#")[0].rstrip() for line in text.splitlines()):
        if line and not line[0].isspace():
            found[name := line] = ""
        elif line and not found:
            raise InputError(f"{file}, line {line!r}: expected a gesture's name above it, found none; write one there")
        elif line:
            found[name] += f"{line.strip()}\n"
    return found


DESCRIPTIONS = read(Path(__file__).with_suffix(".txt"))


def keyframes(text: str) -> tuple[np.ndarray, np.ndarray]:
    """The keyframes of a description: when each is reached and until when it is held, (K, 2) s; (K, 20) rad, float64.

    Raises InputError for no line, times that do not rise, an unknown digit, joint or posture, and an angle no hand has.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError("description: expected a line for each keyframe, found none; see embridge.describe")
    times, angles, now = [], [], 0.0
    for line in lines:
        when = re.match(r"(\d+\.?\d*)(?:-(\d+\.?\d*))?\s+(.+)", line)
        start, stop = (float(when[1]), float(when[2] or when[1])) if when else (0.0, 0.0)
        if not now < start <= stop:
            raise InputError(f"description, line {line!r}: expected a time after {now:g} s and then the pose; mend it")
        now = stop
        times.append((start, stop))
        angles.append(_pose(when[3], line))
    return np.array(times), np.deg2rad(angles)


def _pose(text: str, line: str) -> np.ndarray:
    """(20,) deg of what a line says behind its times."""
    pose = np.zeros(len(JOINTS))
    for part in ("all rest", *text.split(";")):
        digits, *words = part.split() or [""]
        for digit in (d for name in digits.split(",") for d in GROUPS.get(name, (name,))):
            words_of_it = " ".join(POSTURES[w][digit == "thumb"] if w in POSTURES else w for w in words).split()
            for joint, value in zip_longest(words_of_it[::2] or [""], words_of_it[1::2], fillvalue=""):
                try:
                    angle, at = float(value), JOINTS.index(f"{digit}_{joint}")
                except ValueError:
                    angle, at = np.nan, 0
                if not LOWEST <= angle <= HIGHEST:
                    known = f"expected digits of {', '.join(FINGERS)}, postures of {', '.join(POSTURES)}, or joints"
                    found = f"an angle from {LOWEST:g} to {HIGHEST:g} degrees, found {digit!r} with {joint!r} {value!r}"
                    raise InputError(f"description, line {line!r}: {known} with {found}; mend it")
                pose[at] = angle
    return pose


@dataclass(frozen=True)
class Style:
    """How far people stray from a description, and from themselves: standard deviations (ours, by guess)."""

    pace: float = 0.25  # of the logarithm of a window's pace
    gain: float = 0.15  # of the factor of a joint's angles
    offset: float = 5.0  # deg, of what is added to a joint's angles
    timing: float = 0.15  # of a joint's start and end of a move, in durations of the move; beyond 0.3: 0.3


def windows(text: str, n: int, config: WindowConfig, *, seed: int = 0, style: Style = Style()) -> np.ndarray:
    """Windows of a described gesture, each from another point of its cycle and in a style of its own.

    Returns (n, 20, T) float32, rad: what recorded poses are, for :meth:`~embridge.inference.Embedder.encode_pose`.
    Between keyframes a joint takes the path of minimum jerk (Flash and Hogan, J. Neurosci. 5(7), 1985). Window i
    depends on ``seed`` and i alone. Raises InputError as :func:`keyframes`, for fewer than one window, and where poses
    are not emg2pose's 20 angles (DB1's glove is uncalibrated).
    """
    (times, angles), n_joints = keyframes(text), len(JOINTS)
    if n < 1 or config.n_joints != n_joints:
        found = f"found {n} of {config.n_joints}; describe gestures for emg2pose or simulated hands"
        raise InputError(f"description: expected one window or more of {n_joints} joint angles, {found}")
    made, seconds = np.empty((n, n_joints, config.window), np.float32), config.window / config.sample_rate
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        pace, start = np.exp(rng.normal(0, style.pace)), rng.uniform(0, times[-1, 1])
        t = start + pace * np.arange(config.window) / config.sample_rate
        n_cycles = 2 + int((start + pace * seconds) / times[-1, 1])
        offset = np.deg2rad(rng.normal(0, style.offset, n_joints))
        values = np.tile(np.repeat(angles, 2, 0), (n_cycles, 1)) * rng.normal(1, style.gain, n_joints) + offset
        for joint in range(n_joints):
            made[i, joint] = _minimum_jerk(t, _shifted(times, n_cycles, rng, style.timing), values[:, joint])
    return made


def _shifted(times: np.ndarray, n_cycles: int, rng, timing: float) -> np.ndarray:
    """(2 K cycles,) when keyframes are reached and left, from a cycle before 0 on; moves begin and end off the beat."""
    period = times[-1, 1]
    starts, stops = (np.add.outer(period * np.arange(-1, n_cycles - 1), times[:, i]).ravel() for i in (0, 1))
    moves = np.append(starts[1:] - stops[:-1], times[0, 0])
    early, late = np.clip(rng.normal(0, timing, (2, len(starts))), -0.3, 0.3)
    reached = starts + late * np.append(times[0, 0], moves[:-1])
    return np.maximum.accumulate(np.stack([reached, stops + early * moves], axis=1).ravel())


def _minimum_jerk(t: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The joint's angle at t (T,), which moves from ``values`` to values (n,) that it has at ``knots`` (n,)."""
    place = np.interp(t, knots, np.arange(len(knots)))
    i = np.minimum(place.astype(int), len(knots) - 2)
    u = place - i
    return values[i] + (values[i + 1] - values[i]) * (u * u * u * (10 + u * (6 * u - 15)))


def gallery(embedder, names: Iterable[str] = DESCRIPTIONS, *, n: int = 100, seed: int = 0):
    """A gallery of described gestures alone, for :class:`~embridge.inference.Recogniser` or ``zero_shot``.

    ``embedder`` is what ``embridge.load`` makes of a run that embeds poses, ``names`` are keys of DESCRIPTIONS, with
    ``n`` windows each. Returns poses (n * names, d), l2-normalised v, and labels (n * names,) int64, places among the
    names. Raises InputError for a name without a description, and as :func:`windows`.
    """
    names = list(names)
    if unknown := [name for name in names if name not in DESCRIPTIONS]:
        raise InputError(f"no description of {', '.join(unknown)}; described are {', '.join(DESCRIPTIONS)}")
    # a gesture at a time: windows of all take 0.5 GB
    poses = [embedder.encode_pose(windows(DESCRIPTIONS[k], n, embedder.windows, seed=seed)) for k in names]
    return np.concatenate(poses), np.repeat(np.arange(len(names)), n)
