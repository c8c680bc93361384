"""Simulated recordings: written once in a real dataset's format, then read by that dataset's reader."""

from pathlib import Path

from embridge.config import NinaProSimulationConfig, SimulationConfig
from embridge.recordings import Source
from embridge.recordings.emg2pose import open_emg2pose
from embridge.recordings.ninapro import open_ninapro
from embridge.simulator.ninapro import write_ninapro
from embridge.simulator.write import write_dataset


def open_simulated(
    folder: Path | str, config: SimulationConfig, *, progress: bool = True, workers: int | None = None
) -> Source:
    """Write what is missing of the simulated dataset below ``folder``, then open it as emg2pose's files are opened.

    A killed run goes on where it stopped. InputError for a folder made with another configuration or a full disk.
    """
    folder = Path(folder)
    write_dataset(folder, config, progress=progress, workers=workers)
    return open_emg2pose(folder, simulated=True)


def open_simulated_ninapro(
    folder: Path | str, config: NinaProSimulationConfig, *, progress: bool = True, workers: int | None = None
) -> Source:
    """As :func:`open_simulated`, but DB2 and DB7, in NinaPro's format and through its reader."""
    folder = Path(folder)
    write_ninapro(folder, config, progress=progress, workers=workers)
    return open_ninapro(folder, simulated=True)
