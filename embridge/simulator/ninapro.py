"""Simulated NinaPro: DB2's and DB7's files (fields, shapes, units, numbering) from the same forearms and hands.

What differs from emg2pose's recordings: twelve electrodes instead of a band of sixteen, a data glove instead of joint
angles, European mains, an arm that rests on a table, and movements on demand: each is held, some times over, with a
rest after each time. Of the real files' fields those are left out that nobody here reads: acceleration, inclination,
gyroscope, magnetometer, force.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy.io

from embridge.config import NinaProSimulationConfig
from embridge.data.emg2pose import SAMPLE_RATE
from embridge.data.ninapro import DB2, gesture_name
from embridge.data.recordings import Segment
from embridge.errors import InputError
from embridge.files import read_toml
from embridge.simulator import stream
from embridge.simulator.anatomy import MUSCLE_NAMES, TERRITORIES, Band, Forearm, draw_forearm, place_electrodes
from embridge.simulator.gestures import DOFS, EFFORT, N_DOFS, POSE_NAMES
from embridge.simulator.kinematics import SPAN_SCALE, Programme, Style, draw_style, to_rate
from embridge.simulator.physiology import PHYSIOLOGY, Physiology
from embridge.simulator.session import perform
from embridge.simulator.write import whole, write_missing

_TABLE = read_toml(__file__)
MOVEMENTS = {int(exercise): tuple(poses) for exercise, poses in _TABLE["movements"].items()}
_OFFSETS = np.array([offset for offset, _ in _TABLE["glove"]])  # raw units
_GAINS = np.array([[moved_by.get(dof, 0.0) for dof in DOFS] for _, moved_by in _TABLE["glove"]])  # (22, 24)
HERE = SimpleNamespace(**_TABLE["constants"])


def draw_fit(seed: int, user: str) -> tuple[np.ndarray, np.ndarray]:
    """The glove's fit on one hand: raw = offset + gain * (the nominal value); both (22,). It is never calibrated.

    Hands differ in size, and sensors shift on them.
    """
    rng = stream(seed, "glove", user)
    return HERE.fit_offset_sd * rng.standard_normal(22), np.exp(HERE.fit_gain_sd * rng.standard_normal(22))


def glove_values(poses: np.ndarray) -> np.ndarray:
    """Nominal raw values (F, 22) of the glove at poses (F, 24)."""
    return _OFFSETS + poses @ _GAINS.T


@dataclass(frozen=True)
class PlannedMat:
    """One file to write."""

    database: str  # "DB2" or "DB7"
    subject: int
    exercise: int

    @property
    def user(self) -> str:
        return f"{self.database}-S{self.subject}"

    @property
    def path(self) -> Path:
        """Its place in the site's archives."""
        folder = f"DB2_s{self.subject}" if self.database == "DB2" else f"Subject_{self.subject}"
        return Path(self.database, folder, f"S{self.subject}_E{self.exercise}_A1.mat")


def plan_ninapro(config: NinaProSimulationConfig) -> tuple[PlannedMat, ...]:
    """Every file, in order."""
    subjects = {"DB2": config.db2_subjects, "DB7": config.db7_subjects}
    return tuple(PlannedMat(db, s, e) for db, n in subjects.items() for s in range(1, n + 1) for e in MOVEMENTS)


def n_samples(file: PlannedMat, config: NinaProSimulationConfig) -> int:
    """The length of a file in samples."""
    return len(MOVEMENTS[file.exercise]) * _block_samples(config)


def _block_samples(config: NinaProSimulationConfig) -> int:
    """Samples of all repetitions of one movement."""
    return round(config.repetitions * (config.movement_seconds + config.rest_seconds) * SAMPLE_RATE)


def file_bytes(n_samples: int) -> int:
    """The size of a file of so many samples, at most: DB2's glove has the more sensors."""
    return n_samples * (12 + 22 + 1) * 4  # four labels of a byte each


def segments(file: PlannedMat, config: NinaProSimulationConfig) -> tuple[Segment, ...]:
    """The refined labels of a file, as its reader finds them there."""
    _, times = _draw_programme(file, config, draw_style(config.seed, file.user, PHYSIOLOGY))
    return tuple(
        Segment(made, left, gesture_name(file.exercise, 1 + k // config.repetitions), 1 + k % config.repetitions)
        for k, (_, made, _, left) in enumerate(times)
    )


def _electrodes(seed: int, user: str, forearm: Forearm, p: Physiology) -> Band:
    rng = stream(seed, "ninapro electrodes", user)
    ring = np.arange(HERE.ring) * (360.0 / HERE.ring) + p.band_shift_sd * rng.standard_normal()
    angles = forearm.angle.reshape(-1, TERRITORIES).mean(axis=1)  # (n_muscles,)
    own = [MUSCLE_NAMES.index(name) for name in HERE.spots]
    spots = angles[own] + HERE.spot_sd * rng.standard_normal(len(own))
    band = place_electrodes(rng, np.concatenate([ring, spots]), forearm.angle, forearm, p)
    muscle = np.arange(len(forearm.angle)) // TERRITORIES  # of each source
    band.mixing[-HERE.upper_arm :] *= muscle == np.array(own)[-HERE.upper_arm :, None]
    return band


def _draw_programme(file: PlannedMat, config: NinaProSimulationConfig, style: Style) -> tuple[Programme, np.ndarray]:
    """The movements of the hand, and the samples (K, 4) at which each is shown, made, no longer shown and left.

    The hand follows the film with a delay; the refined labels ("restimulus") are those of the hand.
    """
    rng, p = stream(config.seed, "ninapro programme", file.user, file.exercise), PHYSIOLOGY
    relaxed = style.poses[POSE_NAMES.index("rest")]
    poses, starts, moves, times = [relaxed], [], [], []
    names = MOVEMENTS[file.exercise]
    for name in names:
        for _ in range(config.repetitions):
            stray = rng.random() < p.stray_share  # people make mistakes
            target = style.poses[POSE_NAMES.index(names[rng.integers(len(names))] if stray else name)]
            shown = len(times) * (config.movement_seconds + config.rest_seconds) + config.rest_seconds / 2
            over = shown + config.movement_seconds
            made, left = shown + rng.uniform(*HERE.made), over + rng.uniform(*HERE.left)
            amplitude = np.exp(p.amplitude_repetition_sd * rng.standard_normal())
            held, back = p.repetition_sd * rng.standard_normal((2, N_DOFS)) * SPAN_SCALE
            held += relaxed + amplitude * (target - relaxed)
            back += relaxed
            held[EFFORT], back[EFFORT] = amplitude * target[EFFORT], 0.0
            poses += [held, back]
            starts += [made, left]
            # within half a second, so that the hand is back before the next time
            moving = p.move_seconds / style.tempo * np.exp(p.timing_sd * rng.standard_normal(2))
            moves += np.minimum(moving, 0.5).tolist()
            times.append((shown, made, over, left))
    samples = np.round(np.array(times) * SAMPLE_RATE).astype(int)
    return Programme(np.stack(poses), np.array(starts), np.array(moves)), samples


def simulate_ninapro(file: PlannedMat, config: NinaProSimulationConfig) -> dict:
    """The fields of one file: ``emg`` (T, 12) in V, ``glove`` (T, 22 or 18) raw, four labels (T, 1) and scalars (1, 1).

    The same arguments give the same values, whatever was simulated before.
    """
    seed, p, user = config.seed, PHYSIOLOGY, file.user
    style, forearm = draw_style(seed, user, p), draw_forearm(seed, user, p)
    band, (offset, gain) = _electrodes(seed, user, forearm, p), draw_fit(seed, user)
    programme, times = _draw_programme(file, config, style)
    rng = stream(seed, "ninapro recording", user, file.exercise)
    lags = np.clip(p.finger_lag * rng.standard_normal(6), -0.08, 0.08)
    n = _block_samples(config)  # one movement, which bounds memory
    emg, glove, first = [], [], HERE.first_label[file.exercise - 1]
    for k in range(len(MOVEMENTS[file.exercise])):
        start = k * n / SAMPLE_RATE
        signal, _, poses = perform(rng, programme, lags, start, n, forearm, band, p, HERE.mains, supported=True)
        seen = offset + gain * glove_values(poses) + HERE.glove_noise * rng.standard_normal((len(poses), 22))
        emg.append(signal * np.float32(HERE.volt))
        glove.append(to_rate(np.clip(seen, 0, 255).T, n, SAMPLE_RATE).T)
    columns = [i for i in range(22) if file.database == "DB2" or i + 1 not in DB2.dropped]
    return {
        "subject": np.array([[file.subject]], np.uint8),
        "exercise": np.array([[file.exercise]], np.uint8),
        "emg": np.concatenate(emg),
        "glove": np.concatenate(glove)[:, columns],
        **_labels(times, n * len(emg), first, config),
        "simulated": np.array([[1]], np.uint8),  # no field of the real files
    }


def _labels(times: np.ndarray, n: int, first: int, config: NinaProSimulationConfig) -> dict[str, np.ndarray]:
    """The four label columns (n, 1), 0 at rest, from (K, 4) samples as of :func:`_draw_programme`."""
    out = {name: np.zeros((n, 1), np.uint8) for name in ("stimulus", "repetition", "restimulus", "rerepetition")}
    for k, (shown, made, over, left) in enumerate(times):
        movement, repetition = first + k // config.repetitions, 1 + k % config.repetitions
        out["stimulus"][shown:over], out["repetition"][shown:over] = movement, repetition
        out["restimulus"][made:left], out["rerepetition"][made:left] = movement, repetition
    return out


def write_ninapro(folder: Path, config: NinaProSimulationConfig, **how) -> tuple[PlannedMat, ...]:
    """Write what is missing of a simulated DB2 and DB7 into ``folder``; returns its files.

    ``how`` and errors as of :func:`embridge.simulator.write.write_dataset`; InputError for rests that leave no time to
    relax, too.
    """
    if config.repetitions < 2 or config.rest_seconds < 0.8 or config.movement_seconds < 2.2:
        raise InputError(
            "simulated NinaPro: expected at least 2 repetitions, movements of 2.2 s (a window and the hand's delay) "
            f"and rests of 0.8 s, found {config.repetitions}, {config.movement_seconds:g} s, {config.rest_seconds:g} s"
        )
    files, write = plan_ninapro(config), partial(_write_file, folder, config)
    write_missing(folder, config, files, write, lambda file: file_bytes(n_samples(file, config)), per_worker=1, **how)
    return files


def _write_file(folder: Path, config: NinaProSimulationConfig, file: PlannedMat) -> None:
    fields = simulate_ninapro(file, config)
    with whole(folder / file.path) as part, open(part, "wb") as handle:
        scipy.io.savemat(handle, fields)
        handle.seek(0)
        handle.write(b"MATLAB 5.0 MAT-file, simulated by EMBridge".ljust(116))  # else the time would be in it
