"""Simulated recordings: written once in a real dataset's format, then read by that dataset's reader."""

from functools import partial
from pathlib import Path

import numpy as np

from embridge.config import NinaProSimulationConfig, SimulationConfig, as_json, fingerprint
from embridge.data.emg2pose import READER_VERSION, SAMPLE_RATE, open_emg2pose
from embridge.data.ninapro import DB2, DB7, open_ninapro
from embridge.data.recordings import Recording, Segment, Signals, Source
from embridge.simulator import VERSION
from embridge.simulator.ninapro import n_samples, plan_ninapro, segments, write_ninapro
from embridge.simulator.physiology import PHYSIOLOGY
from embridge.simulator.plan import PlannedFile, plan
from embridge.simulator.session import simulate
from embridge.simulator.write import write_dataset


def open_simulated(folder: Path | str, config: SimulationConfig | NinaProSimulationConfig, **how) -> Source:
    """Write what is missing of a simulated dataset below ``folder``, then open it as the real one's files are opened.

    Of emg2pose, or of DB2 and DB7 by the class of ``config``. A killed run goes on where it stopped. ``how``:
    ``progress``, a bar, and ``workers``, of which :func:`embridge.simulator.write.write_missing` tells. InputError for
    a folder made with another configuration or a full disk.
    """
    of_ninapro = isinstance(config, NinaProSimulationConfig)
    write, read = (write_ninapro, open_ninapro) if of_ninapro else (write_dataset, open_emg2pose)
    write(Path(folder), config, **how)
    return read(folder, simulated=True)


def planned_simulated(folder: Path | str, config: SimulationConfig) -> Source:
    """The recordings that :func:`open_simulated` would write and open, without their files.

    Each is simulated when it is loaded: the same windows are cut from them, and nothing but these takes disk.
    """
    made_by = fingerprint(VERSION, as_json(PHYSIOLOGY), config.seed)
    columns, recordings = ("user", "session", "moving_hand", "split", "generalization"), []
    for file in sorted(plan(config), key=lambda file: file.filename):
        about = {name: getattr(file, name) for name in columns}
        about |= {"key": file.filename, "path": Path(folder, file.path), "gesture": file.stage, "hand": file.side}
        about |= {"loader": partial(_simulated, file, config.seed), "counter": partial(_length, file)}
        made_from = fingerprint(made_by, as_json(file), length=64)
        recordings.append(Recording(sample_rate=SAMPLE_RATE, made_from=made_from, **about))
    return Source("simulated", folder, recordings, READER_VERSION, True, failures_known=True)


def _length(file: PlannedFile, recording: Recording) -> int:
    return file.n_samples


def _simulated(file: PlannedFile, seed: int, recording: Recording) -> Signals:
    made = simulate(file, seed)
    # as a file holds them, and channels each in one piece, as its reader has them
    emg, pose = (np.asfortranarray(x, np.float32) for x in (made.emg, made.angles))
    return Signals(emg, pose, (Segment(0, len(emg), recording.gesture),))


def planned_ninapro(folder: Path | str, config: NinaProSimulationConfig) -> Source:
    """As :func:`planned_simulated`, of DB2 and DB7, but for their samples: lengths and labels alone."""
    splits = {database.name: database.split for database in (DB2, DB7)}
    recordings = []
    for file in plan_ninapro(config):
        key, path, split = f"{file.user}-E{file.exercise}", Path(folder, file.path), splits[file.database]
        asked = {"counter": lambda _, file=file: n_samples(file, config)}
        asked["labeller"] = lambda _, file=file: segments(file, config)
        recordings.append(Recording(key, path, file.user, file.user, "", "", SAMPLE_RATE, split=split, **asked))
    return Source("simulated-ninapro", folder, recordings, "", True)
