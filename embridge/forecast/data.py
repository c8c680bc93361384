"""The recordings and windows of a study that may have built nothing yet: from lengths, labels and metadata."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from embridge.config import WindowConfig
from embridge.errors import InputError
from embridge.recordings import LEAVE_OUT, Source
from embridge.recordings.emg2pose import open_emg2pose
from embridge.recordings.ninapro import open_ninapro
from embridge.recordings.simulated import planned_ninapro, planned_simulated
from embridge.simulator import ninapro, write
from embridge.store import OF_RECORDING, window_bytes
from embridge.study import Study
from embridge.windows import find_store


@dataclass(frozen=True)
class ExpectedStore:
    """Stands for a window store that is not built: its table, with every window that recordings are long enough for."""

    table: pd.DataFrame
    config: WindowConfig
    kind: str
    key: str = ""

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Data:
    """What a study's experiments read.

    Attributes
    ----------
    recordings, hours : how many, how long in all
    recordings_bytes : of simulated ones, which a run writes; 0 for real ones
    recordings_there : bytes of those that are written
    built : whether the windows are those of a finished store, so that their number is exact
    store_bytes : of the windows as the profile's front end reads them, float16
    """

    recordings: int
    hours: float
    recordings_bytes: int
    recordings_there: int
    built: bool
    store_bytes: int


def look_at(study: Study, *, progress: bool = True) -> Data:
    """Give the study its store where there is a whole one, else an :class:`ExpectedStore`; writes nothing.

    Recordings' lengths come from their headers, or from the simulator's plan where they are not written yet. Raises
    InputError for a folder or a file that the readers refuse, and where no recording holds a window.
    """
    source, size, there = _simulated(study) if study.simulated else (study.source, 0, 0)
    kind = study.profile.model.kind
    store = find_store(source, study.windows, study.stores, kind) if there == size else None
    if store is not None:
        lengths = [r["n_samples"] for r in store.manifest["recordings"]]
    else:
        lengths, table = _expected(source, study.windows, progress and there == size, study.skip_broken)
        store = ExpectedStore(table, study.windows, kind)
        study.data_key = study.source_key = ""  # its hash is of windows' contents: a run that is finished has another
    study.store = store
    return Data(
        recordings=len(lengths),
        hours=sum(lengths) / study.windows.sample_rate / 3600,
        recordings_bytes=size,
        recordings_there=there,
        built=not isinstance(store, ExpectedStore),
        store_bytes=len(store) * window_bytes(kind, study.windows),
    )


def _simulated(study: Study) -> tuple[Source, int, int]:
    """Simulated recordings as they are or will be, their bytes, and how many of these are written: all, or fewer."""
    folder, like_emg2pose = study.simulation_folder, study.dataset == "simulated"
    planned = (planned_simulated if like_emg2pose else planned_ninapro)(folder, study.simulation)
    file_bytes = (write if like_emg2pose else ninapro).file_bytes
    written = {r.key: r.path.stat().st_size for r in planned.recordings if r.path.exists()}
    there = sum(written.values())
    if len(written) < len(planned.recordings) or (like_emg2pose and not (folder / "metadata.csv").exists()):
        missing = sum(file_bytes(r.n_samples()) for r in planned.recordings if r.key not in written)
        return planned, there + missing + 1, there  # metadata.csv comes last: a byte of it is missing at least
    return (open_emg2pose if like_emg2pose else open_ninapro)(folder, simulated=True), there, there


def _expected(
    source: Source, config: WindowConfig, progress: bool, skip_broken: bool
) -> tuple[list[int], pd.DataFrame]:
    """Each recording's samples, and a table like a store's of the windows that fit, before any is excluded."""
    lengths, rows = [], []  # rows: (recording, segment, its start, gesture, repetition, windows) a labelled stretch
    for index, recording in enumerate(tqdm(source.recordings, "headers", mininterval=5, disable=not progress)):
        try:
            n_samples, segments = recording.n_samples(), recording.segments()
        except InputError as error:
            if not skip_broken:
                raise InputError(f"{error}{LEAVE_OUT}") from error
            continue
        lengths.append(n_samples)
        for s in segments:
            n = max(0, (s.stop - s.start - config.window) // config.stride_train + 1)
            rows.append((index, len(rows), s.start, s.gesture, s.repetition, n))
    stretches = pd.DataFrame(rows, columns=["recording", "segment", "start", "gesture", "repetition", "n"])
    table = stretches.loc[stretches.index.repeat(stretches.pop("n"))].reset_index(drop=True)
    if not len(table):
        raise InputError(
            f"{source.folder}: none of its {len(lengths)} recordings is labelled for {config.window} samples in a row, "
            "which a window needs; add longer ones"
        )
    table["offset"] = table.groupby("segment").cumcount() * config.stride_train
    table["start"] += table.offset
    table["digest"] = table.index  # no contents yet: no two windows share theirs
    table["eval_grid"] = table.offset % config.stride_eval == 0
    for name in (*OF_RECORDING, "key"):
        table[name] = np.array([getattr(r, name) for r in source.recordings], dtype=object)[table.recording]
    return lengths, table.assign(recording=table.pop("key"))
