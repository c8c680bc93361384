"""From a stage's programme to joint angles: users' styles, minimum-jerk transitions, motion capture's 60 Hz."""

from dataclasses import dataclass

import numpy as np

from embridge.simulator import stream
from embridge.simulator.gestures import EFFORT, GROUPS, LIMITS, N_DOFS, N_JOINTS, POSE_NAMES, POSES, STAGES, TEMPO
from embridge.simulator.physiology import Physiology

MOCAP_RATE = 60.0  # Hz
_BASE = np.stack([POSES[name] for name in POSE_NAMES])  # (n_poses, 24)
_REST = POSE_NAMES.index("rest")
_COMMON = tuple(sorted({gesture for stage, gestures in STAGES.items() for gesture in gestures if len(gestures) < 10}))
# SDs are for a joint with 1.9 rad of range; abduction, with half of it, varies half as much.
SPAN_SCALE = np.minimum((LIMITS[:, 1] - LIMITS[:, 0]) / 1.9, 1.0)


@dataclass(frozen=True)
class Style:
    """One user's way to move: ``poses`` (n_poses, 24), the user's own version of every pose, and the tempo."""

    poses: np.ndarray
    tempo: float
    pause: float


@dataclass(frozen=True)
class Programme:
    """One hand's movements: it holds ``poses[k]`` (K + 1, 24), then moves on from ``starts[k]`` for ``moves[k]`` s.

    The first pose is the user's relaxed hand.
    """

    poses: np.ndarray
    starts: np.ndarray
    moves: np.ndarray


def draw_style(seed: int, user: str, physiology: Physiology) -> Style:
    """The movement style of one user: amplitudes of fingers, own variants of poses, a relaxed hand, a tempo."""
    rng, p = stream(seed, "style", user), physiology
    amplitude = np.exp(p.amplitude_user_sd * rng.standard_normal(len(GROUPS) // 4))[GROUPS]
    variant = p.style_sd * rng.standard_normal(_BASE.shape) * SPAN_SCALE
    rest = _BASE[_REST] + p.rest_sd * rng.standard_normal(N_DOFS) * SPAN_SCALE
    poses = rest + amplitude * (_BASE - _BASE[_REST]) + variant * (np.arange(len(_BASE)) != _REST)[:, None]
    poses[:, EFFORT] = _BASE[:, EFFORT] * np.exp(0.3 * rng.standard_normal())
    tempo, pause = np.exp(p.tempo_sd * rng.standard_normal()), np.exp(p.tempo_sd * rng.standard_normal())
    return Style(np.clip(poses, *LIMITS.T), tempo, pause)


def draw_programme(
    seed: int, user: str, session: int, stage: str, seconds: float, style: Style, p: Physiology, moment: str = ""
) -> Programme:
    """The gestures of one stage recording: in random order, again and again, with pauses, until ``seconds`` are full.

    Both hands of a two-handed stage share it, so the side is not part of the stream's key. ``moment`` tells several
    recordings of one stage in a session apart.
    """
    rng = stream(seed, "programme", user, session, stage, *([moment] if moment else []))
    gestures, tempo, relaxed = STAGES[stage], style.tempo * TEMPO.get(stage, 1.0), style.poses[_REST]
    poses, starts, moves = [relaxed], [], []
    clock = rng.uniform(0.0, p.pause_seconds)

    def go(pose, hold):
        nonlocal clock
        move = p.move_seconds / tempo * np.exp(p.timing_sd * rng.standard_normal())
        poses.append(pose)
        starts.append(clock)
        moves.append(move)
        clock += move + hold

    while not starts or clock < seconds:
        for g in rng.permutation(len(gestures)):
            path = _COMMON[rng.integers(len(_COMMON))] if rng.random() < p.stray_share else gestures[g]
            amplitude = np.exp(p.amplitude_repetition_sd * rng.standard_normal())
            for name in path:
                target = style.poses[POSE_NAMES.index(name)]
                pose = relaxed + amplitude * (target - relaxed)
                pose = pose + p.repetition_sd * rng.standard_normal(N_DOFS) * SPAN_SCALE
                pose[EFFORT] = amplitude * target[EFFORT]
                share = 1.0 if len(path) == 1 else 0.5
                go(pose, share * p.hold_seconds / tempo * np.exp(p.timing_sd * rng.standard_normal()))
            if rng.random() < p.pause_share:
                pause = p.pause_seconds * style.pause * np.exp(p.timing_sd * rng.standard_normal())
                rest = relaxed + p.repetition_sd * rng.standard_normal(N_DOFS) * SPAN_SCALE
                rest[EFFORT] = 0.0
                go(rest, pause)
            if clock >= seconds:
                break
    return Programme(np.stack(poses), np.array(starts), np.array(moves))


def min_jerk(s: np.ndarray) -> np.ndarray:
    """Position along a minimum-jerk movement (Flash and Hogan 1985), from 0 at s = 0 to 1 at s = 1."""
    s = np.clip(s, 0.0, 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


def trajectory(programme: Programme, times: np.ndarray, lags=(0.0,) * 6) -> np.ndarray:
    """Poses at ``times`` (n,) s; (n, 24). ``lags`` (6,) s delays each group of joints (thumb, fingers, wrist)."""
    poses, out = programme.poses, np.empty((len(times), N_DOFS))
    for group, lag in enumerate(lags):
        at = times - lag
        k = np.searchsorted(programme.starts, at, side="right") - 1
        s = np.where(k < 0, 0.0, min_jerk((at - programme.starts[k]) / programme.moves[k]))[:, None]
        k, columns = np.maximum(k, 0), np.flatnonzero(GROUPS == group)
        out[:, columns] = poses[k][:, columns] * (1 - s) + poses[k + 1][:, columns] * s
    return out


def couple(poses: np.ndarray, physiology: Physiology) -> np.ndarray:
    """Neighbouring fingers drag one another along, within anatomical limits; (n, 24) to (n, 24)."""
    out = poses.copy()
    flexion = out[:, 4:N_JOINTS].reshape(-1, 4, 4)[:, :, 1:]  # a view: (n, fingers, joints)
    step = physiology.coupling * np.diff(flexion, axis=1)  # from each finger to the next
    pull = np.zeros_like(flexion)
    pull[:, 1:] -= step
    pull[:, :-1] += step
    pull[:, 0] *= 0.5  # the index finger is the most independent one
    flexion += pull
    return np.clip(out, *LIMITS.T)


def failures(rng: np.random.Generator, n_frames: int, physiology: Physiology) -> np.ndarray:
    """Frames at which inverse kinematics fails: bool (n_frames,), in stretches, at a rate drawn for the file."""
    p = physiology
    rate = p.ik_max * (max(0.0, rng.random() - p.ik_clean_files) / (1.0 - p.ik_clean_files)) ** p.ik_skew
    lost = np.zeros(n_frames, dtype=bool)
    total = round(rate * n_frames)
    if total:
        n = max(1, round(total / (p.ik_stretch_seconds * MOCAP_RATE)))
        lengths = np.diff(np.round(np.linspace(0, total, n + 1)).astype(int))
        # stretches lie between random gaps, which may be empty: tracking is also lost at a recording's edges
        gaps = np.sort(rng.integers(0, n_frames - total + 1, n))
        for gap, length, before in zip(gaps, lengths, np.cumsum(lengths) - lengths, strict=True):
            lost[gap + before : gap + before + length] = True
    return lost


def to_rate(frames: np.ndarray, n: int, rate: float) -> np.ndarray:
    """Linear interpolation of (J, F) frames at 60 Hz to (J, n) float32 samples at ``rate`` Hz, as emg2pose did."""
    at = np.arange(n) * (MOCAP_RATE / rate)
    k = at.astype(np.intp)
    frames = frames.astype(np.float32)
    out = np.diff(frames, axis=1).take(k, axis=1)
    out *= (at - k).astype(np.float32)
    out += frames.take(k, axis=1)
    return out
