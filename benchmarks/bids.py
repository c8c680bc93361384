"""The simulated recordings as EMG-BIDS, the form in which NEMAR publishes emg2pose (nm000281; METHOD 1).

Written with edfio (extra ``bids``). What is awkward in the release is here, too: recordings padded to whole seconds
with their last values, ValidSamples missing from every ninth, durations one sample short, joints in 1e-6 rad under a
header that says uV, frames without a pose only in BAD_IK, both hands of a moment as two runs in either order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from embridge.config import SimulationConfig
from embridge.data.bdf import EMG, JOINTS
from embridge.data.bids import DESCRIPTION
from embridge.data.emg2pose import SAMPLE_RATE
from embridge.data.emg2pose_bids import FAILED, open_either
from embridge.data.recordings import Source
from embridge.simulator.gestures import TWO_HANDED
from embridge.simulator.plan import COLUMNS, PlannedFile, plan
from embridge.simulator.session import simulate
from embridge.simulator.write import whole, write_json, write_missing, write_table

RECORD = int(SAMPLE_RATE)  # samples of a data record: 1 s
WITHOUT_VALID = 9  # 2,785 of the release's 25,253 recordings, every ninth, lack ValidSamples
LATER = ("split", "generalization")  # columns that later versions of scans.tsv have besides


@dataclass(frozen=True)
class BidsConfig:
    """What is written and how.

    ``other_hands`` adds the other hand's file to each of a one-handed stage. ``radians``: joints in rad under a header
    that says so, as newer tools write them, not 1e-6 rad under uV. ``splits`` are in emg2pose's "metadata" CSV (in
    sourcedata/), or in "scans", or "" nowhere.
    """

    simulation: SimulationConfig
    other_hands: bool = True
    radians: bool = False
    splits: str = "metadata"


@dataclass(frozen=True)
class BidsFile:
    """One recording's place in a dataset; ``number`` counts them."""

    planned: PlannedFile
    number: int
    subject: str
    session: str
    run: int

    @property
    def stem(self) -> str:
        """What its file and its sidecars' names share."""
        return f"{self.subject}_{self.session}_task-emg2pose_run-{self.run:02d}_recording-{self.planned.side}"

    @property
    def path(self) -> Path:
        """Its place in the dataset's folder."""
        return Path(self.subject, self.session, "emg", f"{self.stem}_emg.bdf")

    @property
    def padding(self) -> int:
        """Samples that fill the last data record."""
        return -self.planned.n_samples % RECORD


def plan_bids(config: BidsConfig) -> tuple[BidsFile, ...]:
    """Every file of the dataset, user by user."""
    files = plan(config.simulation)
    return arranged(with_other_hands(files) if config.other_hands else files)


def with_other_hands(files: tuple[PlannedFile, ...]) -> tuple[PlannedFile, ...]:
    """The files and, after each of a one-handed stage, the other hand's, as emg2pose has them (METHOD 1).

    That one is labelled "unconstrained" and is 4 to 16 ms longer or shorter; as unconstrained is a training stage, the
    other hands of a training user's held-out stages are training files.
    """
    out = []
    for i, file in enumerate(files):
        out.append(file)
        if file.stage not in TWO_HANDED:
            trains = file.generalization in ("none", "stage")
            ms = (4 + i % 13) * (1 if i % 2 else -1)
            other = replace(
                file,
                stage="unconstrained",
                side="left" if file.side == "right" else "right",
                split="train" if trains else file.split,
                generalization="none" if trains else "user",
                seconds=file.seconds + ms / 1000,
                moment=file.stage,
                prompted=file.side,
            )
            out.append(other)
    return tuple(out)


def arranged(files: Iterable[PlannedFile]) -> tuple[BidsFile, ...]:
    """Give planned files, in their order, subjects, sessions and runs: the right hand's first at every other moment."""
    subjects, out = {}, []
    for (user, number), session in groupby(files, key=lambda file: (file.user, file.session_number)):
        subject = subjects.setdefault(user, f"sub-{len(subjects) + 1:02d}")
        moments = [list(moment) for _, moment in groupby(session, key=lambda file: file.recording)]
        hands = [sorted(m, key=lambda file: file.side, reverse=i % 2 == 1) for i, m in enumerate(moments)]
        for run, file in enumerate(chain(*hands), 1):
            out.append(BidsFile(file, len(out) + 1, subject, f"ses-{number + 1:02d}", run))
    return tuple(out)


def write_bids(
    folder: Path, config: BidsConfig, *, progress: bool = True, workers: int | None = None
) -> tuple[BidsFile, ...]:
    """Write what is missing of a simulated dataset as EMG-BIDS into ``folder``; returns its files.

    The tables come last. Arguments and errors as of :func:`embridge.simulator.write.write_missing`.
    """
    files = plan_bids(config)
    write = partial(write_recording, folder, config.simulation.seed, config.radians)
    n = write_missing(folder, config, files, write, file_bytes, per_worker=8, progress=progress, workers=workers)
    if n or not (folder / DESCRIPTION).exists():
        write_tables(folder, files, config.splits)
    return files


def open_simulated_bids(
    folder: Path | str, config: BidsConfig, *, progress: bool = True, workers: int | None = None
) -> Source:
    """Write what is missing below ``folder``, then open it as NEMAR's files are opened."""
    write_bids(Path(folder), config, progress=progress, workers=workers)
    return open_either(folder, simulated=True)


def file_bytes(file: BidsFile) -> int:
    """About the size of a recording: 24 bits a sample, 128 bytes of annotations a second, and its headers."""
    seconds = (file.planned.n_samples + file.padding) // RECORD
    return seconds * (3 * RECORD * len(EMG + JOINTS) + 128) + 256 * (2 + len(EMG + JOINTS))


def write_recording(folder: Path, seed: int, radians: bool, file: BidsFile) -> None:
    """Simulate one recording and write its BDF file after its sidecars, each whole or not at all."""
    from edfio import Bdf, BdfSignal, EdfAnnotation

    made = simulate(file.planned, seed)
    angles = made.angles.astype(np.float32)  # as the HDF5 form has them
    failed = (angles == 0).all(axis=1)
    pad = partial(np.pad, pad_width=(0, file.padding), mode="edge")
    edges = np.flatnonzero(np.diff(pad(failed).astype(np.int8), prepend=0, append=0)).reshape(-1, 2) / SAMPLE_RATE
    lost = [(float(a), round(float(b - a), 6)) for a, b in edges]
    joints, unit = (angles.astype(np.float64), "rad") if radians else (angles * 1e6, "uV")
    signals = [
        BdfSignal(pad(x), SAMPLE_RATE, label=label, physical_dimension=dimension, physical_range=_range(x))
        for columns, labels, dimension in ((made.emg.astype(np.float32), EMG, "uV"), (joints, JOINTS, unit))
        for label, x in zip(labels, columns.T.astype(np.float64), strict=True)
    ]
    path = folder / file.path
    events = [{"onset": onset, "duration": duration, "trial_type": FAILED} for onset, duration in lost]
    write_table(path.with_name(f"{file.stem}_events.tsv"), ("onset", "duration", "trial_type"), events, "\t")
    planned = file.planned
    sidecar = {"Stage": planned.stage, "HandSide": planned.side, "SourceFile": f"{planned.filename}.hdf5"}
    if file.number % WITHOUT_VALID:
        sidecar |= {"ValidSamples": planned.n_samples, "BDFPaddedSamples": file.padding}
    write_json(path.with_suffix(".json"), sidecar)
    with whole(path) as part:
        notes = [EdfAnnotation(onset, duration, FAILED) for onset, duration in lost]
        Bdf(signals, data_record_duration=1.0, annotations=notes).write(part)


def _range(x: np.ndarray) -> tuple[float, float]:
    """A channel's physical range in the header's eight characters each."""
    digits = 5 if np.abs(x).max() < 10 else 1 if np.abs(x).max() < 1e5 else 0
    low, high = np.floor(x.min() * 10**digits) / 10**digits, np.ceil(x.max() * 10**digits) / 10**digits
    return round(float(low), digits), round(float(high if high > low else low + 1), digits)


def write_tables(folder: Path, files: tuple[BidsFile, ...], splits: str = "metadata") -> None:
    """Write what describes all recordings: participants, scans, what every sidecar shares, and splits (BidsConfig)."""
    users = {file.subject: file.planned.user for file in files}
    rows = [{"participant_id": subject, "original_user": user} for subject, user in users.items()]
    write_table(folder / "participants.tsv", ("participant_id", "original_user"), rows, "\t")
    for (subject, session), part in groupby(files, key=lambda file: (file.subject, file.session)):
        rows = [
            {
                "filename": f"emg/{file.path.name}",
                "acq_time": "n/a",
                "duration": (file.planned.n_samples - 1) / SAMPLE_RATE,
                "stage": file.planned.stage,
                "side": file.planned.side,
                "source_file": f"{file.planned.filename}.hdf5",
                **({name: getattr(file.planned, name) for name in LATER} if splits == "scans" else {}),
            }
            for file in part
        ]
        write_table(folder / subject / session / f"{subject}_{session}_scans.tsv", tuple(rows[0]), rows, "\t")
    if splits == "metadata":
        write_table(folder / "sourcedata" / "emg2pose_metadata.csv", COLUMNS, (file.planned.row() for file in files))
    shared = {"TaskName": "emg2pose", "SamplingFrequency": SAMPLE_RATE, "PowerLineFrequency": 60, "Simulated": True}
    write_json(folder / "task-emg2pose_emg.json", shared)
    about = {"Name": "Simulated recordings in emg2pose's EMG-BIDS form", "BIDSVersion": "1.11.0", "DatasetType": "raw"}
    write_json(folder / DESCRIPTION, about)
