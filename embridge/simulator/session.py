"""One simulated recording: a user, a session, a stage and a hand become angles and EMG."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from embridge.data.emg2pose import SAMPLE_RATE
from embridge.simulator import anatomy, emg, kinematics, stream
from embridge.simulator.gestures import N_JOINTS
from embridge.simulator.physiology import PHYSIOLOGY, Physiology
from embridge.simulator.plan import PlannedFile

THUMB_AA = 1  # column of the thumb's CMC_AA


@dataclass(frozen=True)
class Simulated:
    """One recording: ``emg`` (T, 16) in sensor-noise units, ``angles`` (T, 20) rad with failures as zeros.

    What no file holds, for tests: ``activation`` (F, n_muscles) and ``poses`` (F, 24) at 60 Hz, the ``forearm``
    and the ``band``.
    """

    emg: np.ndarray
    angles: np.ndarray
    activation: np.ndarray
    poses: np.ndarray
    forearm: anatomy.Forearm
    band: anatomy.Band


def written(angles: np.ndarray) -> np.ndarray:
    """Our joint angles (..., 20) as emg2pose writes them: its thumb CMC_AA grows with *ad*duction.

    Ours grows with abduction; the affine map puts both ranges (rad) where published hands have them.
    """
    out = angles.copy()
    out[..., THUMB_AA] = 0.5 - 0.5 * angles[..., THUMB_AA]
    return out


def simulate(file: PlannedFile, seed: int, physiology: Physiology = PHYSIOLOGY) -> Simulated:
    """Simulate one recording; the same arguments give the same samples, whatever was simulated before."""
    p, n, user, session = physiology, file.n_samples, file.user, file.session_number
    rng = stream(seed, "recording", user, session, file.recording, file.side)
    style = kinematics.draw_style(seed, user, p)
    forearm = anatomy.draw_forearm(seed, user, p)
    band = anatomy.draw_band(seed, user, session, file.side, forearm, p)
    programme = kinematics.draw_programme(seed, user, session, file.stage, file.seconds, style, p, file.moment)
    lags = np.clip(p.finger_lag * rng.standard_normal(6), -0.08, 0.08)
    signal, active, poses = perform(rng, programme, lags, 0.0, n, forearm, band, p)
    seen = written(poses[:, :N_JOINTS]) + p.mocap_noise * rng.standard_normal((len(poses), N_JOINTS))
    angles = kinematics.to_rate(seen.T, n, SAMPLE_RATE).T
    lost = kinematics.failures(rng, len(poses) - 2, p)
    frame = (np.arange(n) * (kinematics.MOCAP_RATE / SAMPLE_RATE)).astype(int)
    angles[np.append(lost, [False] * 2)[frame]] = 0.0
    return Simulated(signal, angles, active, poses, forearm, band)


def perform(
    rng: np.random.Generator,
    programme: kinematics.Programme,
    lags: np.ndarray,
    start: float,
    n: int,
    forearm: anatomy.Forearm,
    band: anatomy.Band,
    p: Physiology,
    hertz: int = 60,
    supported: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Perform ``n`` samples of a programme from ``start`` s on, with fingers that lag by ``lags`` (6,) s.

    ``hertz`` are the mains; a ``supported`` arm lies on a table. Returns the EMG (n, C) in sensor-noise units, and at
    60 Hz the activation (F, n_muscles) and the poses (F, 24).
    """
    n_frames = int(np.ceil(n * kinematics.MOCAP_RATE / SAMPLE_RATE)) + 2
    times = start + np.arange(n_frames) / kinematics.MOCAP_RATE
    poses = kinematics.couple(kinematics.trajectory(programme, times, lags), p)
    ahead = kinematics.couple(kinematics.trajectory(programme, times + p.lead_seconds, lags), p)
    with threadpool_limits(1):  # the bytes must not depend on how BLAS shares the work, nor workers fight for cores
        load = 0.0 if supported else emg.arm_load(rng, n_frames, p)
        active = emg.fluctuate(rng, emg.activation(ahead, programme.poses[0], forearm, p, load), p)
        signal = emg.record(rng, active, forearm, band, n, p, hertz)
    return signal, active, poses
