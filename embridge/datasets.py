"""The named datasets: one record each says how it is read, cut and split, and what it changes in a profile (METHOD 1).

Only the standard library is imported at once, for the command line reads the names before anything is installed; what
opens recordings or splits windows is imported when it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from embridge.config import NinaProSimulationConfig, Profile, SimulationConfig, TrainConfig, WindowConfig
from embridge.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from embridge.data.recordings import Source
    from embridge.data.splits import Splits


@dataclass(frozen=True)
class NamedDataset:
    """One dataset by its name; the methods are those of emg2pose and of its simulation.

    Attributes
    ----------
    reader : what opens its recordings, as pkgutil.resolve_name takes it
    windows : how its recordings are filtered and cut
    simulated : whether we write it ourselves, so that no folder need be given
    development : the user with whom in view choices were made; "" for none
    """

    name: str
    reader: str
    simulated: bool = False
    windows: WindowConfig = WindowConfig(exclude_ik_failures=True)
    development: str = ""

    def developed_on(self, source: "Source") -> bool | str:
        """Whether the recordings are those of the user ``development``, or what to say of that one among several."""
        users = {r.user for r in source.recordings}
        several = f"{len(users)} subjects, of whom {self.development} is a development subject"
        return self.development in users and (len(users) == 1 or several)

    def open(self, folder: Path, *, simulation=None, skip_broken: bool = False) -> "Source":
        """Its recordings below ``folder``; of simulated ones what is missing of ``simulation`` is written first."""
        read = resolve_name(self.reader)
        return read(folder, simulation) if self.simulated else read(folder, skip_broken=skip_broken)

    def simulation(self, size: Profile) -> SimulationConfig | NinaProSimulationConfig:
        """The amount that the simulator writes at a profile."""
        return size.simulation

    def split(self, table: "pd.DataFrame", seed: int, hands: str, n_tune: int | None) -> "Splits":
        """As :func:`make_splits` asks for it."""
        from embridge.data.splits import split_emg2pose

        return split_emg2pose(self.name, table, seed, hands, n_tune)

    def adapted(self, size: Profile) -> Profile:
        """The profile with the stages and patches that this dataset dictates."""
        return size if self.simulated else replace(size, evaluation=replace(size.evaluation, tune_users=None))


@dataclass(frozen=True)
class DB2AndDB7(NamedDataset):
    """NinaPro's DB2 and DB7 differ from emg2pose in their channels alone; of the twelve eight round the arm rotate."""

    windows: WindowConfig = WindowConfig(n_channels=12, n_joints=18, notch=50.0)

    def simulation(self, size: Profile) -> NinaProSimulationConfig:
        return size.ninapro

    def split(self, table: "pd.DataFrame", seed: int, hands: str, n_tune: int | None) -> "Splits":
        from embridge.data.splits import split_ninapro

        return split_ninapro(self.name, table, seed)

    def adapted(self, size: Profile) -> Profile:
        return _each_stage(size, lambda stage: replace(stage, ring=8))


_ENVELOPES = {"sample_rate": 100.0, "n_channels": 10, "n_joints": 22, "bandpass": None, "notch": None}


@dataclass(frozen=True)
class DB1(NamedDataset):
    """NinaPro's DB1: an envelope at 100 Hz, not filtered; 1 s windows, every 0.1 s in training, 0.5 s in evaluation."""

    windows: WindowConfig = WindowConfig(**_ENVELOPES, window=100, stride_train=10, stride_eval=50)
    development: str = "S1"

    def split(self, table: "pd.DataFrame", seed: int, hands: str, n_tune: int | None) -> "Splits":
        from embridge.data.splits import split_db1

        return split_db1(table)

    def adapted(self, size: Profile) -> Profile:
        """One subject gives a sixth of quick's steps an epoch, and there is no D_tune to choose epochs on.

        They are set by the clock: twice as many, 80 at least, which is under half of quick's updates.
        """

        def longer(stage: TrainConfig) -> TrainConfig:
            if size.name != "smoke":
                stage = replace(stage, epochs=max(80, 2 * stage.epochs), t_0=2 * stage.t_0)
            return replace(stage, emg_norm="train", ring=8)

        patches = replace(size.model, emg_patch=0.05, pose_patch=0.2)
        return replace(_each_stage(size, longer), model=patches, evaluation=replace(size.evaluation, k=5))


def _each_stage(size: Profile, change: Callable[[TrainConfig], TrainConfig]) -> Profile:
    return replace(size, mae=change(size.mae), align=change(size.align))


_RECORDS = (
    NamedDataset("simulated", "embridge.simulator.recordings:open_simulated", simulated=True),
    NamedDataset("emg2pose", "embridge.data.emg2pose_bids:open_either"),
    DB2AndDB7("ninapro", "embridge.data.ninapro:open_ninapro"),
    DB2AndDB7("simulated-ninapro", "embridge.simulator.recordings:open_simulated", simulated=True),
    DB1("ninapro-db1", "embridge.data.ninapro:open_db1"),
)
DATASETS = {record.name: record for record in _RECORDS}
SIMULATED = tuple(name for name, record in DATASETS.items() if record.simulated)


def window_config(dataset: str) -> WindowConfig:
    """The settings by which the named dataset is filtered and cut."""
    return DATASETS[dataset].windows


def for_dataset(size: Profile, dataset: str) -> Profile:
    """The profile with the stages and patches that the named dataset dictates; as it is for recordings of one's own."""
    return DATASETS[dataset].adapted(size) if dataset in DATASETS else size


def make_splits(
    dataset: str,
    table: "pd.DataFrame",
    *,
    seed=0,
    hands="all",
    n_tune: int | None = None,
    split: Callable | None = None,
) -> "Splits":
    """Split the windows of a store's ``table`` for the named dataset, and check that nothing leaks.

    ``seed`` chooses D_tune's users among those of val, ``n_tune`` of them (None: 3 of 15, E Table 1), or halves DB7's
    repetitions. ``hands="prompted"`` keeps, in emg2pose's labelled parts, only files whose hand was prompted to move
    (pre-training uses all files). ``split``: a function of the table, for a Source of one's own. Raises InputError
    where there is no window, or a rule is broken.
    """
    from embridge.data.splits import Splits, missing

    if hands not in ("all", "prompted"):
        raise InputError(f"hands: expected all or prompted, found {hands}")
    if not len(table):
        told = f"{dataset}: none of the 0 windows is for pre-training"
        raise InputError(f"{told}; look at the recordings{missing(table)}")
    splits = split(table) if split else DATASETS[dataset].split(table, seed, hands, n_tune)
    if not isinstance(splits, Splits):
        raise InputError(f"{dataset}: expected split to return Splits, found {type(splits).__name__}")
    return splits
