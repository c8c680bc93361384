"""From joint angles to channels: activation, interference signal, volume conduction, sensors and their faults."""

import math

import numpy as np
from scipy import fft

from embridge.data.emg2pose import SAMPLE_RATE
from embridge.simulator.anatomy import TERRITORIES, Band, Forearm
from embridge.simulator.gestures import EFFORT, N_DOFS
from embridge.simulator.kinematics import MOCAP_RATE, to_rate
from embridge.simulator.physiology import Physiology

_HIGH_PASS = 40.0  # Hz: emg2pose's recordings are already high-passed
_LOW_PASS = 480.0  # Hz: surface EMG has next to nothing above it, so muscles are simulated at ...
_MUSCLE_RATE = 1000.0  # Hz, which is half of the work


def activation(poses: np.ndarray, rest: np.ndarray, forearm: Forearm, physiology: Physiology) -> np.ndarray:
    """Activation of every muscle, (F, n_muscles) in [0, 1), from (F, 24) poses at 60 Hz and the relaxed pose (24,).

    Muscles hold a posture against the hand's elasticity and push it at a speed; drive leaks to the neighbouring
    fingers (enslaving), and part of an agonist's drive reaches its antagonist (co-contraction).
    """
    p, joints = physiology, N_DOFS - 1
    velocity = np.gradient(poses[:, :joints], 1.0 / MOCAP_RATE, axis=0)
    drive = p.stiffness * (poses[:, :joints] - rest[:joints]) * (1.0 + p.effort_gain * poses[:, EFFORT:])
    net = ((drive + p.damping * velocity) @ _enslaving(p.enslaving)) @ forearm.moments.T
    pull = np.maximum(net, 0.0) + forearm.cocontraction * np.maximum(-net, 0.0) + p.tonic
    return 1.0 - np.exp(-pull)


def _enslaving(share: float) -> np.ndarray:
    """(23, 23): row, the finger that means to move; column, the finger that gets the drive."""
    matrix = np.eye(N_DOFS - 1)
    for finger in range(4):
        for other in (finger - 1, finger + 1):
            if 0 <= other < 4:
                for joint in range(1, 4):  # flexion only
                    matrix[4 + 4 * finger + joint, 4 + 4 * other + joint] = share
    return matrix


def fluctuate(rng: np.random.Generator, active: np.ndarray, physiology: Physiology) -> np.ndarray:
    """Slow variation (below about 3 Hz) of each muscle's activation at constant force; (F, n_muscles)."""
    coarse = rng.standard_normal((len(active) // 10 + 3, active.shape[1]))
    at = np.arange(len(active)) / 10.0
    k = at.astype(int)
    weight = (at - k)[:, None]
    # divided so that the interpolated noise keeps a variance of one
    slow = (coarse[k] * (1 - weight) + coarse[k + 1] * weight) / np.sqrt(weight**2 + (1 - weight) ** 2)
    return active * np.exp(physiology.fluctuation_sd * slow)


def interference(rng: np.random.Generator, depth: np.ndarray, n: int) -> np.ndarray:
    """Unit-variance interference signals, (n_muscles * TERRITORIES, n) float32: noise of Shwedyk's (1977) spectrum.

    Depth filters: a muscle ``depth`` mm below the skin loses its higher frequencies; (n_muscles,).
    """
    size = fft.next_fast_len(n, real=True)
    bins = 1 + int(_LOW_PASS * size / _MUSCLE_RATE)  # the rest stays zero: sensor noise hides it
    f = (np.arange(bins, dtype=np.float32) * np.float32(_MUSCLE_RATE / size))[None, :]
    low, high = 30.0, (85.0 / (1.0 + 0.02 * depth[:, None])).astype(np.float32)
    amplitude = high**2 * f / np.sqrt(f**2 + low**2) / (f**2 + high**2)
    amplitude *= f**2 / np.sqrt(f**4 + np.float32(_HIGH_PASS) ** 4)
    # the signal's variance is 4 / size^2 times the sum of squares
    amplitude *= size / 2.0 / np.sqrt(np.sum(amplitude**2, axis=1, keepdims=True))
    white = _white(rng, (len(depth), TERRITORIES, bins))
    white *= amplitude[:, None, :]
    return fft.irfft(white.reshape(-1, bins), size, axis=1, overwrite_x=True)[:, :n]


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
    wave = np.sin(
        2 * np.pi * hertz / SAMPLE_RATE * harmonics[:, None] * np.arange(period) + phase[:, None]
    )  # (3, period)
    gain = physiology.mains * rng.exponential(1.0, (channels, 1)) * np.array([1.0, 0.3, 0.2])
    return np.tile((gain @ wave).astype(np.float32), -(-n // period))[:, :n]


def artefacts(rng: np.random.Generator, channels: int, n: int, physiology: Physiology) -> np.ndarray:
    """Motion artefacts, (C, n): the odd burst of 15-50 Hz on a few neighbouring electrodes."""
    out = np.zeros((channels, n), dtype=np.float32)
    for _ in range(rng.poisson(physiology.artefacts_per_second * n / SAMPLE_RATE)):
        length = min(n, int(SAMPLE_RATE * rng.uniform(0.1, 0.4)))
        start, centre = rng.integers(0, n - length + 1), rng.integers(channels)
        t = np.arange(length) / SAMPLE_RATE
        wave = np.hanning(length) * sum(
            np.sin(2 * np.pi * rng.uniform(15, 50) * t + rng.uniform(0, 2 * np.pi)) for _ in range(3)
        )
        for step, share in ((-1, 0.5), (0, 1.0), (1, 0.5)):
            channel = (centre + step) % channels
            out[channel, start : start + length] += physiology.artefact_amplitude * share * wave * rng.uniform(0.5, 1.5)
    return out


def _sense(rng: np.random.Generator, x: np.ndarray, noise: np.ndarray, n: int) -> np.ndarray:
    """(C, m) at the muscles' rate to (C, n) at the sensors', with white sensor noise of SD ``noise`` (C,)."""
    padded = fft.next_fast_len(x.shape[1], real=True)
    ratio = round(SAMPLE_RATE / _MUSCLE_RATE)
    size = ratio * padded
    spectrum = _white(rng, (len(x), size // 2 + 1)) * np.sqrt(np.float32(size / 2.0)) * noise[:, None]
    spectrum[:, : padded // 2 + 1] += fft.rfft(x, padded) * np.float32(ratio)
    return np.ascontiguousarray(fft.irfft(spectrum, size, overwrite_x=True)[:, :n])


def record(
    rng: np.random.Generator, active: np.ndarray, forearm: Forearm, band: Band, n: int, p: Physiology, hertz: int
) -> np.ndarray:
    """The recording of C electrodes, (n, C) float32 in units of sensor noise, from (F, n_muscles) activations at 60 Hz.

    ``hertz`` is the frequency of the room's mains.
    """
    m, channels = int(np.ceil(n * _MUSCLE_RATE / SAMPLE_RATE)), len(band.noise)
    sources = interference(rng, forearm.depth[::TERRITORIES], m)  # (n_sources, m)
    amplitude = to_rate(active.T, m, _MUSCLE_RATE)  # (n_muscles, m)
    sources.reshape(len(amplitude), TERRITORIES, m)[...] *= amplitude[:, None, :]
    emg = _sense(rng, band.mixing @ sources, band.noise, n)
    emg += mains(rng, channels, n, p, hertz)
    emg += artefacts(rng, channels, n, p)
    return emg.T
