"""The files of a simulated dataset: the rows of ``metadata.csv``, as emg2pose arranges users and stages."""

from dataclasses import dataclass
from pathlib import Path

from embridge.config import SimulationConfig
from embridge.data.emg2pose import HELD_OUT_STAGES, IN_CLASSES, SAMPLE_RATE, STAGES, UNSEEN_CLASSES
from embridge.simulator.gestures import TWO_HANDED

TRAINING_STAGES = tuple(stage for stage in STAGES if stage not in HELD_OUT_STAGES)
HALF_STAGE = UNSEEN_CLASSES[3]  # recorded in every other session only: 40 sessions where the others have 80 (E A.2.2)
COLUMNS = (  # of metadata.csv
    "session", "user", "stage", "side", "moving_hand", "held_out_user", "held_out_stage", "split", "generalization",
    "filename",
)  # fmt: skip


@dataclass(frozen=True)
class PlannedFile:
    """One file to write: a row of ``metadata.csv`` and what the simulator needs to make it.

    ``moment`` and ``prompted`` are of the other hand's files alone (``benchmarks/bids.py``): the stage that the
    prompted hand recorded then, and which hand that was.
    """

    user: str
    session_number: int
    stage: str
    side: str
    split: str
    generalization: str
    seconds: float
    moment: str = ""
    prompted: str = ""

    @property
    def recording(self) -> str:
        """What names the recording in its session: both hands' files share it."""
        return self.moment or self.stage

    @property
    def n_samples(self) -> int:
        """Its length in samples."""
        return round(self.seconds * SAMPLE_RATE)

    @property
    def session(self) -> str:
        """The session's name, unique over users."""
        return f"simulated-{self.user}-session-{self.session_number}"

    @property
    def moving_hand(self) -> str:
        return "both" if self.stage in TWO_HANDED else self.prompted or self.side

    @property
    def filename(self) -> str:
        """Its name without the extension."""
        return f"{self.session}-{self.recording}_{self.side}"

    @property
    def path(self) -> Path:
        """Its place in the dataset's folder."""
        return Path(f"{self.filename}.hdf5")

    def row(self) -> dict[str, str]:
        """The file's row of ``metadata.csv``, all of emg2pose's columns in their order."""
        held_out = {f"held_out_{what}": str(what in self.generalization) for what in ("user", "stage")}
        return {name: held_out.get(name) or getattr(self, name) for name in COLUMNS}


def plan(config: SimulationConfig) -> tuple[PlannedFile, ...]:
    """Every file of the dataset, in order: training users first, then val's, then test's, then more training users."""
    files: list[PlannedFile] = []
    first_val, first_test = config.train_users, config.train_users + config.val_users
    behind = first_test + config.test_users
    for index in range(behind + config.more_train_users):
        if not first_val <= index < behind:
            stages = [("train", "none", TRAINING_STAGES)]
            if index < config.held_out_stage_users:
                stages.append(("test", "stage", HELD_OUT_STAGES))
            seconds = config.train_seconds
        else:
            split = "val" if index < first_test else "test"
            own, unseen = (TRAINING_STAGES, HELD_OUT_STAGES) if config.all_eval_stages else (IN_CLASSES, UNSEEN_CLASSES)
            stages = [(split, "user", own), (split, "user_stage", unseen)]
            seconds = config.eval_seconds
        user = f"{index:04d}" if index % 4 == 3 else f"sim{index:03d}"  # some of emg2pose's look numeric, too
        for session in range(config.sessions):
            # starting with the user's last or last but one in turn, so that both hands are recorded
            half = config.sessions == 1 or (index + session) % 2 == 0
            one_hand = "left" if session % 2 else "right"
            for split, generalization, names in stages:
                for stage in names:
                    if stage != HALF_STAGE or half:
                        files += [
                            PlannedFile(user, session, stage, side, split, generalization, seconds)
                            for side in (("left", "right") if stage in TWO_HANDED else (one_hand,))
                        ]
    return tuple(files)
