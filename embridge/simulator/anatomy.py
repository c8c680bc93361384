"""The forearm at the wrist: muscles with a place and moment arms, users' variants of them, and the band around it."""

from dataclasses import dataclass

import numpy as np

from embridge.simulator import stream
from embridge.simulator.gestures import N_DOFS
from embridge.simulator.physiology import Physiology

N_ELECTRODES = 16
TERRITORIES = 2  # independent groups of motor units in a muscle, side by side

# Indices of the degrees of freedom, in gestures' order.
_TC, _TA, _TM, _TI = range(4)
_WF, _WD, _WP = 20, 21, 22


def _finger(i: int, aa: float = 0.0, mcp: float = 0.0, pip: float = 0.0, dip: float = 0.0) -> dict[int, float]:
    """Moment arms on finger ``i`` (0 index ... 3 pinky)."""
    return {j: m for j, m in zip(range(4 + 4 * i, 8 + 4 * i), (aa, mcp, pip, dip), strict=True) if m}


def _all_fingers(**moments: float) -> dict[int, float]:
    return {j: m for i in range(4) for j, m in _finger(i, **moments).items()}


# name: (angle in degrees round the right wrist, 0 palmar and 90 towards the thumb; depth mm; width degrees; strength;
# moment arms relative to a finger flexor's on its own finger, flexion positive). Arrangement after anatomy atlases'
# cross-sections of the distal forearm; hand muscles are weak there, since the band sees them from afar.
MUSCLES: dict[str, tuple[float, float, float, float, dict[int, float]]] = {
    "flexor carpi radialis": (40, 5, 24, 1.0, {_WF: 1.2, _WD: -0.5, _WP: 0.2}),
    "palmaris longus": (10, 3, 14, 0.6, {_WF: 1.0}),
    "flexor carpi ulnaris": (302, 5, 26, 1.0, {_WF: 1.2, _WD: 0.9}),
    "flexor digitorum superficialis, index": (22, 11, 20, 0.9, {**_finger(0, mcp=0.6, pip=0.9), _WF: 0.3}),
    "flexor digitorum superficialis, middle": (2, 8, 20, 1.0, {**_finger(1, mcp=0.6, pip=0.9), _WF: 0.3}),
    "flexor digitorum superficialis, ring": (342, 8, 20, 1.0, {**_finger(2, mcp=0.6, pip=0.9), _WF: 0.3}),
    "flexor digitorum superficialis, pinky": (324, 10, 18, 0.8, {**_finger(3, mcp=0.6, pip=0.9), _WF: 0.2}),
    "flexor digitorum profundus, index": (30, 16, 18, 0.9, _finger(0, mcp=0.3, pip=0.4, dip=0.9)),
    "flexor digitorum profundus, middle": (350, 15, 18, 0.9, _finger(1, mcp=0.3, pip=0.4, dip=0.9)),
    "flexor digitorum profundus, ring": (326, 14, 18, 0.9, _finger(2, mcp=0.3, pip=0.4, dip=0.9)),
    "flexor digitorum profundus, pinky": (308, 13, 18, 0.9, _finger(3, mcp=0.3, pip=0.4, dip=0.9)),
    "flexor pollicis longus": (62, 11, 18, 1.0, {_TI: 1.1, _TM: 0.5, _TC: 0.3}),
    "pronator quadratus": (55, 17, 40, 0.8, {_WP: 1.0}),
    "pronator teres": (70, 12, 20, 0.6, {_WP: 0.8, _WF: 0.2}),
    "supinator": (120, 16, 24, 0.7, {_WP: -1.0}),
    "brachioradialis": (84, 6, 20, 0.5, {_WP: -0.4, _WD: -0.3}),
    "abductor pollicis longus": (102, 6, 18, 0.9, {_TA: 0.9, _TC: -0.7, _WD: -0.4}),
    "extensor pollicis brevis": (114, 8, 16, 0.8, {_TM: -0.9, _TC: -0.6, _TA: 0.3}),
    "extensor pollicis longus": (156, 8, 16, 0.8, {_TI: -1.0, _TM: -0.6, _TC: -0.3, _TA: -0.3}),
    "extensor carpi radialis longus": (124, 6, 20, 0.9, {_WF: -1.0, _WD: -0.8}),
    "extensor carpi radialis brevis": (138, 7, 20, 0.9, {_WF: -1.2, _WD: -0.3}),
    "extensor indicis": (170, 11, 16, 0.8, _finger(0, aa=-0.3, mcp=-1.0, pip=-0.4)),
    "extensor digitorum, index": (166, 5, 16, 0.9, {**_finger(0, mcp=-0.9, pip=-0.4), _WF: -0.3}),
    "extensor digitorum, middle": (182, 5, 16, 1.0, {**_finger(1, mcp=-1.0, pip=-0.4), _WF: -0.3}),
    "extensor digitorum, ring": (198, 5, 16, 1.0, {**_finger(2, mcp=-1.0, pip=-0.4), _WF: -0.3}),
    "extensor digiti minimi": (216, 5, 16, 0.8, _finger(3, aa=-0.7, mcp=-1.0, pip=-0.5)),
    "extensor carpi ulnaris": (240, 6, 24, 1.0, {_WF: -0.9, _WD: 1.0}),
    "first dorsal interosseous": (108, 16, 14, 0.5, {**_finger(0, aa=1.4, mcp=0.3), _TA: -0.3}),
    "dorsal interossei": (190, 18, 30, 0.5, {5: 0.3, 9: 0.3, 13: 0.3, 4: 0.5, 12: -0.7}),
    "palmar interossei and lumbricals": (354, 20, 40, 0.5, {**_all_fingers(mcp=0.35, pip=-0.35), 4: -0.5, 16: 0.7}),
    "thenar, abductor and opponens": (58, 14, 22, 0.7, {_TA: 0.9, _TC: 0.7}),
    "adductor pollicis": (78, 18, 20, 0.6, {_TA: -1.0, _TC: 0.4, _TM: 0.3}),
    "abductor digiti minimi": (288, 14, 16, 0.6, _finger(3, aa=-1.4, mcp=0.3)),
}
MUSCLE_NAMES = tuple(MUSCLES)
_PLACE = np.array([m[:4] for m in MUSCLES.values()], dtype=float)  # angle, depth, width, strength
_MOMENTS = np.zeros((len(MUSCLES), N_DOFS - 1))  # effort is no joint
for _row, _muscle in enumerate(MUSCLES.values()):
    _MOMENTS[_row, list(_muscle[4])] = list(_muscle[4].values())


@dataclass(frozen=True)
class Forearm:
    """One user's forearm.

    ``angle`` (degrees), ``depth`` (mm) and ``gain`` are (n_sources,), territories of a muscle next to each other;
    ``moments`` (n_muscles, 23); ``radius`` of the wrist in mm; ``cocontraction`` a share.
    """

    angle: np.ndarray
    depth: np.ndarray
    gain: np.ndarray
    moments: np.ndarray
    radius: float
    cocontraction: float


def draw_forearm(seed: int, user: str, physiology: Physiology) -> Forearm:
    """The forearm of one user, as a right arm; the left one is its mirror image."""
    rng, p, n = stream(seed, "forearm", user), physiology, len(MUSCLES)
    angle, depth, width, strength = _PLACE.T
    angle = angle + p.angle_sd * rng.standard_normal(n)
    depth = np.maximum(depth + p.depth_sd * rng.standard_normal(n), 2.0)
    gain = strength * np.exp(p.muscle_gain_sd * rng.standard_normal(n))
    moments = _MOMENTS * np.exp(p.moment_arm_sd * rng.standard_normal(_MOMENTS.shape))
    offsets = (np.arange(TERRITORIES) + 0.5) / TERRITORIES - 0.5
    return Forearm(
        angle=(angle[:, None] + width[:, None] * offsets).ravel(),
        depth=np.repeat(depth, TERRITORIES),
        gain=np.repeat(gain, TERRITORIES) / np.sqrt(TERRITORIES),
        moments=moments,
        radius=p.wrist_radius * np.exp(p.radius_sd * rng.standard_normal()),
        cocontraction=p.cocontraction * np.exp(p.cocontraction_sd * rng.standard_normal()),
    )


@dataclass(frozen=True)
class Band:
    """Electrodes on one arm in one session: ``mixing`` (C, n_sources) and ``noise`` (C,) of the sensors."""

    mixing: np.ndarray
    noise: np.ndarray


def draw_band(seed: int, user: str, session: int, side: str, forearm: Forearm, physiology: Physiology) -> Band:
    """Put the band on: rotation, contact and gains differ between sessions and arms."""
    rng = stream(seed, "band", user, session, side)
    ring = np.arange(N_ELECTRODES) * (360.0 / N_ELECTRODES) + physiology.band_shift_sd * rng.standard_normal()
    source = -forearm.angle if side == "left" and physiology.mirror_left else forearm.angle
    return place_electrodes(rng, ring, source, forearm, physiology)


def place_electrodes(
    rng: np.random.Generator, angles: np.ndarray, source: np.ndarray, forearm: Forearm, physiology: Physiology
) -> Band:
    """Electrodes at ``angles`` (C,) over sources at ``source`` (n_sources,), degrees; contact and gains are drawn."""
    p, n = physiology, len(angles)
    gap = np.deg2rad(angles[:, None] - source[None, :])
    inner = forearm.radius - forearm.depth
    distance = np.sqrt(forearm.radius**2 + inner**2 - 2 * forearm.radius * inner * np.cos(gap))  # (C, n_sources)
    gain = np.exp(p.electrode_gain_sd * rng.standard_normal(n) + p.contact_gain_sd * rng.standard_normal())
    gain = np.where(rng.random(n) < p.weak_channel_share, p.weak_gain * gain, gain)
    noise = p.noise_sd * np.exp(p.noise_spread * rng.standard_normal(n))
    mixing = p.signal_scale * gain[:, None] * forearm.gain / (1.0 + (distance / p.spread) ** 2) ** (p.falloff / 2)
    return Band(mixing.astype(np.float32), noise.astype(np.float32))
