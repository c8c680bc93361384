"""From joint angles to channels: activation, motor units' potentials, volume conduction, sensors and their faults."""

import math

import numpy as np
from scipy import fft

from embridge.data.emg2pose import SAMPLE_RATE
from embridge.simulator.anatomy import TERRITORIES, Band, Forearm
from embridge.simulator.gestures import EFFORT, N_DOFS, WRIST_DEVIATION, WRIST_FLEXION
from embridge.simulator.kinematics import MOCAP_RATE, to_rate
from embridge.simulator.physiology import Physiology

_HIGH_PASS = 40.0  # Hz: emg2pose's recordings are already high-passed
_LOW_PASS = 480.0  # Hz: surface EMG has next to nothing above it, so muscles are simulated at ...
_MUSCLE_RATE = 1000.0  # Hz, which is half of the work
_DEEP = 20.0  # mm: potentials are filtered as of depth 0 and of this one, and mixed by depth in between
_MOST = 1 / 3  # chance of a potential a sample from which on their sum is Gaussian (its fourth cumulant is 0)


def activation(
    poses: np.ndarray, rest: np.ndarray, forearm: Forearm, physiology: Physiology, load: np.ndarray | float = 0.0
) -> np.ndarray:
    """Activation of every muscle, (F, n_muscles) in [0, 1), from (F, 24) poses at 60 Hz and the relaxed pose (24,).

    Muscles hold a posture against the hand's elasticity, carry a ``load`` (F, 23) and push the posture at a speed;
    drive leaks to the neighbouring fingers (enslaving), and part of an agonist's drive reaches its antagonist
    (co-contraction).
    """
    p, joints = physiology, N_DOFS - 1
    velocity = np.gradient(poses[:, :joints], 1.0 / MOCAP_RATE, axis=0)
    drive = p.stiffness * (poses[:, :joints] - rest[:joints]) * (1.0 + p.effort_gain * poses[:, EFFORT:]) + load
    net = ((drive + p.damping * velocity) @ _enslaving(p.enslaving)) @ forearm.moments.T
    pull = np.maximum(net, 0.0) + forearm.cocontraction * np.maximum(-net, 0.0) + p.tonic
    return 1.0 - np.exp(-pull)


def _enslaving(share: float) -> np.ndarray:
    """(23, 23): row, the finger that means to move; column, the finger that gets the drive."""
    matrix, neighbours = np.eye(N_DOFS - 1), np.eye(4, k=1) + np.eye(4, k=-1)
    matrix[4:20, 4:20] += np.kron(neighbours, np.diag([0, share, share, share]))  # flexion only
    return matrix


def _slow(rng: np.random.Generator, n: int, columns: int, step: float) -> np.ndarray:
    """Smooth noise of mean 0 and variance 1, (n, columns): nodes every ``step`` frames, straight lines in between."""
    coarse = rng.standard_normal((int(n / step) + 3, columns))
    at = np.arange(n) / step
    k = at.astype(int)
    weight = (at - k)[:, None]
    # divided so that the interpolated noise keeps a variance of one
    return (coarse[k] * (1 - weight) + coarse[k + 1] * weight) / np.sqrt(weight**2 + (1 - weight) ** 2)


def fluctuate(rng: np.random.Generator, active: np.ndarray, physiology: Physiology) -> np.ndarray:
    """Slow variation (below about 3 Hz) of each muscle's activation at constant force; (F, n_muscles)."""
    return active * np.exp(physiology.fluctuation_sd * _slow(rng, *active.shape, 10.0))


def arm_load(rng: np.random.Generator, n: int, physiology: Physiology) -> np.ndarray:
    """What the wrist carries of the hand's weight, (n, 23) at 60 Hz, while the arm moves about (E A.2.1).

    The forearm rolls about the palm-down posture, in which extensors carry the hand, and rises and falls; with the
    thumb up the radial muscles carry it, with the palm up the flexors.
    """
    p = physiology
    roll, rise = _slow(rng, n, 2, p.arm_seconds * MOCAP_RATE).T * [[p.arm_roll_sd], [p.arm_rise_sd]]
    load = np.zeros((n, N_DOFS - 1))
    load[:, WRIST_FLEXION] = -p.arm_load * np.cos(rise) * np.cos(roll)
    load[:, WRIST_DEVIATION] = -p.arm_load * np.cos(rise) * np.sin(roll)  # radial is negative
    return load


def potentials(rng: np.random.Generator, active: np.ndarray, physiology: Physiology) -> np.ndarray:
    """Motor units' potentials as impulses, (n_muscles * TERRITORIES, m) float32 of SD ``active`` (n_muscles, m).

    They come at random, at a rate in proportion to activation (recruitment and rate coding) and with a size that grows
    with its root (units recruited later are larger: the size principle), so that RMS is in proportion to activation.
    At low force they are few, and the EMG is above Gaussian in kurtosis (Nazarpour et al. 2013).
    """
    rate = np.float32(physiology.firing_rate / _MUSCLE_RATE)
    chance = np.minimum(rate * active, np.float32(_MOST))
    size = np.maximum(np.sqrt(active / rate), active / np.float32(np.sqrt(_MOST)))  # active / sqrt(chance)
    draw = rng.integers(-(2**15), 2**15, (len(active), TERRITORIES, active.shape[1]), dtype=np.int16).astype(np.float32)
    draw += 0.5
    fires = np.abs(draw) < 2**15 * chance[:, None, :]
    return (fires * np.copysign(size[:, None, :], draw)).reshape(-1, active.shape[1])


def spectrum(f: np.ndarray, depth: float, physiology: Physiology) -> np.ndarray:
    """The spectrum of a potential from ``depth`` mm below the skin at frequencies ``f`` Hz, Shwedyk's (1977).

    Depth takes the higher frequencies. As a filter it leaves the variance of white noise as it is.
    """
    p = physiology
    low, high = p.spectrum_low, p.spectrum_high / (1.0 + p.depth_loss * depth)
    amplitude = high**2 * f / np.sqrt(f**2 + low**2) / (f**2 + high**2)
    amplitude *= f**2 / np.sqrt(f**4 + _HIGH_PASS**4) * (f <= _LOW_PASS)
    return (amplitude / np.sqrt(np.mean(amplitude**2))).astype(np.float32)


def _white(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The complex64 spectrum of white noise, variance 1 in each part.

    Eight uniform random bits a part: a sample sums thousands of them and so is Gaussian, at an eighth of the time.
    """
    bits = rng.integers(-128, 128, (*shape[:-1], 2 * shape[-1]), dtype=np.int8).astype(np.float32)
    bits += 0.5
    bits *= np.float32(1.0 / np.sqrt((256**2 - 1) / 12.0))
    return bits.view(np.complex64)


def mains(rng: np.random.Generator, channels: int, n: int, physiology: Physiology, hertz: int) -> np.ndarray:
    """The hum of the session's room and two harmonics, (C, n): one phase, other amplitudes an electrode."""
    period = round(SAMPLE_RATE / math.gcd(hertz, 20))  # samples after which 60 (or 50) Hz and its harmonics repeat
    harmonics, phase = np.array([1, 2, 3]), rng.uniform(0, 2 * np.pi, 3)
    turn = 2 * np.pi * hertz / SAMPLE_RATE
    wave = np.sin(turn * harmonics[:, None] * np.arange(period) + phase[:, None])  # (3, period)
    gain = physiology.mains * rng.exponential(1.0, (channels, 1)) * np.array([1.0, 0.3, 0.2])
    return np.tile((gain @ wave).astype(np.float32), -(-n // period))[:, :n]


def artefacts(rng: np.random.Generator, channels: int, n: int, physiology: Physiology) -> np.ndarray:
    """Motion artefacts, (C, n): the odd burst of 15-50 Hz on a few neighbouring electrodes."""
    out = np.zeros((channels, n), dtype=np.float32)
    for _ in range(rng.poisson(physiology.artefacts_per_second * n / SAMPLE_RATE)):
        length = min(n, int(SAMPLE_RATE * rng.uniform(0.1, 0.4)))
        start, centre = rng.integers(0, n - length + 1), rng.integers(channels)
        t = np.arange(length) / SAMPLE_RATE
        waves = (np.sin(2 * np.pi * rng.uniform(15, 50) * t + rng.uniform(0, 2 * np.pi)) for _ in range(3))
        wave = np.hanning(length) * sum(waves)
        for step, share in ((-1, 0.5), (0, 1.0), (1, 0.5)):
            channel = (centre + step) % channels
            out[channel, start : start + length] += physiology.artefact_amplitude * share * wave * rng.uniform(0.5, 1.5)
    return out


def record(
    rng: np.random.Generator, active: np.ndarray, forearm: Forearm, band: Band, n: int, p: Physiology, hertz: int
) -> np.ndarray:
    """The recording of C electrodes, (n, C) float32 in units of sensor noise, from (F, n_muscles) activations at 60 Hz.

    ``hertz`` is the frequency of the room's mains. All sources share two filters, so electrodes are filtered, not
    sources; their spectrum goes to the sensors' rate, where white noise is added.
    """
    m, channels = int(np.ceil(n * _MUSCLE_RATE / SAMPLE_RATE)), len(band.noise)
    sources = potentials(rng, to_rate(active.T, m, _MUSCLE_RATE), p)  # (n_sources, m)
    deep = np.minimum(forearm.depth / _DEEP, 1.0).astype(np.float32)
    padded = fft.next_fast_len(m, real=True)
    ratio = round(SAMPLE_RATE / _MUSCLE_RATE)
    size, bins = ratio * padded, padded // 2 + 1
    f = np.arange(bins) * (_MUSCLE_RATE / padded)
    heard = _white(rng, (channels, size // 2 + 1)) * np.sqrt(np.float32(size / 2.0)) * band.noise[:, None]
    for share, depth in ((1.0 - deep, 0.0), (deep, _DEEP)):
        heard[:, :bins] += fft.rfft((band.mixing * share) @ sources, padded) * (ratio * spectrum(f, depth, p))
    emg = np.ascontiguousarray(fft.irfft(heard, size, overwrite_x=True)[:, :n])
    emg += mains(rng, channels, n, p, hertz)
    emg += artefacts(rng, channels, n, p)
    return emg.T
