"""The named datasets: one record each says how it is read, cut and split, and what it changes in a profile (METHOD 1).

Only the standard library is imported at once, for the command line reads the names before anything is installed; what
opens recordings or splits windows is imported when it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from embridge.config import Profile, TrainConfig, WindowConfig
from embridge.errors import InputError, one_of

if TYPE_CHECKING:
    import pandas as pd

    from embridge.data.recordings import Source
    from embridge.data.splits import Splits


def _as_published(size: Profile) -> Profile:
    return replace(size, evaluation=replace(size.evaluation, tune_users=None))


def _with_ring(size: Profile) -> Profile:
    """Of the twelve or ten channels those eight rotate that are round the arm."""
    return replace(size, mae=replace(size.mae, ring=8), align=replace(size.align, ring=8))


def _of_one_subject(size: Profile) -> Profile:
    """One subject gives a sixth of quick's steps an epoch, and there is no D_tune to choose epochs on.

    They are set by the clock: twice as many, 80 at least, which is under half of quick's updates.
    """

    def longer(stage: TrainConfig) -> TrainConfig:
        if size.name != "smoke":
            stage = replace(stage, epochs=max(80, 2 * stage.epochs), t_0=2 * stage.t_0)
        return replace(stage, emg_norm="train")

    changes = {"mae": longer(size.mae), "align": longer(size.align), "evaluation": replace(size.evaluation, k=5)}
    return _with_ring(replace(size, model=replace(size.model, emg_patch=0.05, pose_patch=0.2), **changes))


@dataclass(frozen=True)
class NamedDataset:
    """One dataset by its name; the defaults are those of emg2pose and of its simulation."""

    name: str
    reader: str  # what opens its recordings, as pkgutil.resolve_name takes it
    splitter: str = "split_emg2pose"  # the function of embridge.data.splits that splits its windows
    windows: WindowConfig = WindowConfig(exclude_ik_failures=True)  # how its recordings are filtered and cut
    adapted: Callable[[Profile], Profile] = lambda size: size  # a profile with the stages and patches that it dictates
    simulated: bool = False  # whether we write it ourselves, so that no folder need be given
    amount: str = "simulation"  # the field of a Profile that says how much of it the simulator writes
    development: str = ""  # the user with whom in view choices were made; "" for none

    def developed_on(self, source: "Source") -> bool | str:
        """Whether the recordings are those of the user ``development``, or what to say of that one among several."""
        users = {r.user for r in source.recordings}
        several = f"{len(users)} subjects, of whom {self.development} is a development subject"
        return self.development in users and (len(users) == 1 or several)

    def open(self, folder: Path, *, simulation=None, skip_broken: bool = False) -> "Source":
        """Its recordings below ``folder``; of simulated ones what is missing of ``simulation`` is written first."""
        read = resolve_name(self.reader)
        return read(folder, simulation) if self.simulated else read(folder, skip_broken=skip_broken)


# NinaPro's DB2 and DB7 differ from emg2pose in their channels alone
_DB2_AND_DB7 = {"windows": WindowConfig(n_channels=12, n_joints=18, notch=50.0), "adapted": _with_ring}
_DB2_AND_DB7 |= {"splitter": "split_ninapro", "amount": "ninapro"}
# DB1 is an envelope at 100 Hz, not filtered; 1 s windows, every 0.1 s in training, 0.5 s in evaluation
_ENVELOPES = {"sample_rate": 100.0, "n_channels": 10, "n_joints": 22, "bandpass": None, "notch": None}
_DB1 = {"windows": WindowConfig(**_ENVELOPES, window=100, stride_train=10, stride_eval=50), "adapted": _of_one_subject}
_DB1 |= {"splitter": "split_db1", "development": "S1"}
_RECORDS = (
    NamedDataset("simulated", "embridge.simulator.recordings:open_simulated", simulated=True),
    NamedDataset("emg2pose", "embridge.data.emg2pose_bids:open_either", adapted=_as_published),
    NamedDataset("ninapro", "embridge.data.ninapro:open_ninapro", **_DB2_AND_DB7),
    NamedDataset("simulated-ninapro", "embridge.simulator.recordings:open_simulated", simulated=True, **_DB2_AND_DB7),
    NamedDataset("ninapro-db1", "embridge.data.ninapro:open_db1", **_DB1),
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
    from embridge.data import splits as made

    one_of("hands", hands, "all", "prompted")
    if not len(table):
        told = f"{dataset}: none of the 0 windows is for pre-training"
        raise InputError(f"{told}; look at the recordings{made.missing(table)}")
    splits = split(table) if split else getattr(made, DATASETS[dataset].splitter)(dataset, table, seed, hands, n_tune)
    if not isinstance(splits, made.Splits):
        raise InputError(f"{dataset}: expected split to return Splits, found {type(splits).__name__}")
    return splits
