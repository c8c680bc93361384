"""The forearm at the wrist: muscles with a place and moment arms, users' variants of them, and the band around it."""

from dataclasses import dataclass

import numpy as np

from embridge.files import read_toml
from embridge.simulator import stream
from embridge.simulator.gestures import DOFS, N_DOFS
from embridge.simulator.physiology import Physiology

N_ELECTRODES = 16
TERRITORIES = 2  # independent groups of motor units in a muscle, side by side

# name: (angle, depth, width, strength, moment arm of each degree of freedom that it moves); units are in the table
MUSCLES: dict[str, tuple[float, float, float, float, dict[int, float]]] = {
    name: (*place, {DOFS.index(moved): arm for moved, arm in arms.items()})
    for name, (*place, arms) in read_toml(__file__, "muscles.toml").items()
}
MUSCLE_NAMES = tuple(MUSCLES)
_PLACE = np.array([m[:4] for m in MUSCLES.values()], dtype=float)
# (n_muscles, 23): effort is no joint
_MOMENTS = np.array([[arms.get(dof, 0.0) for dof in range(N_DOFS - 1)] for *_, arms in MUSCLES.values()])


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
    offsets = (np.arange(TERRITORIES) + 0.5) / TERRITORIES - 0.5
    return Forearm(
        angle=(angle[:, None] + width[:, None] * offsets).ravel(),
        depth=np.repeat(depth, TERRITORIES),
        gain=np.repeat(gain, TERRITORIES) / np.sqrt(TERRITORIES),
        moments=_MOMENTS * np.exp(p.moment_arm_sd * rng.standard_normal(_MOMENTS.shape)),
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
