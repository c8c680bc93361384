"""Which files a simulated dataset holds: the rows of ``metadata.csv``, as emg2pose arranges users and stages."""

from dataclasses import dataclass

from embridge.config import SimulationConfig
from embridge.recordings.emg2pose import HELD_OUT_STAGES, IN_CLASSES, SAMPLE_RATE, STAGES, UNSEEN_CLASSES
from embridge.simulator.gestures import TWO_HANDED

TRAINING_STAGES = tuple(stage for stage in STAGES if stage not in HELD_OUT_STAGES)
HALF_STAGE = UNSEEN_CLASSES[3]  # recorded in every other session only: 40 sessions where the others have 80 (E A.2.2)


@dataclass(frozen=True)
class PlannedFile:
    """One HDF5 file to write: a row of ``metadata.csv`` and what the simulator needs to make it."""

    filename: str  # no extension
    user: str
    session_number: int
    stage: str
    side: str
    moving_hand: str
    split: str
    generalization: str
    seconds: float

    @property
    def n_samples(self) -> int:
        """How many samples it will hold."""
        return round(self.seconds * SAMPLE_RATE)

    @property
    def session(self) -> str:
        """The session's name, unique over users."""
        return f"simulated-{self.user}-session-{self.session_number}"

    def row(self) -> dict[str, str]:
        """The file's row of ``metadata.csv``, all of emg2pose's columns in their order."""
        return {
            "session": self.session,
            "user": self.user,
            "stage": self.stage,
            "side": self.side,
            "moving_hand": self.moving_hand,
            "held_out_user": str(self.generalization.startswith("user")),
            "held_out_stage": str(self.generalization.endswith("stage")),
            "split": self.split,
            "generalization": self.generalization,
            "filename": self.filename,
        }


def user_name(index: int) -> str:
    """The id of user ``index``: every fourth one looks numeric, as some of emg2pose's do ("0007")."""
    return f"{index:04d}" if index % 4 == 3 else f"sim{index:03d}"


def plan(config: SimulationConfig) -> tuple[PlannedFile, ...]:
    """Every file of the dataset, in order: training users first, then val's, then test's."""
    files: list[PlannedFile] = []
    first_val, first_test = config.train_users, config.train_users + config.val_users
    for index in range(first_test + config.test_users):
        if index < first_val:
            stages = [("train", "none", TRAINING_STAGES)]
            if index < config.held_out_stage_users:
                stages.append(("test", "stage", HELD_OUT_STAGES))
            seconds = config.train_seconds
        else:
            split = "val" if index < first_test else "test"
            own, unseen = (TRAINING_STAGES, HELD_OUT_STAGES) if config.all_eval_stages else (IN_CLASSES, UNSEEN_CLASSES)
            stages = [(split, "user", own), (split, "user_stage", unseen)]
            seconds = config.eval_seconds
        for session in range(config.sessions):
            for split, generalization, names in stages:
                for stage in names:
                    if stage != HALF_STAGE or _records_half_stage(index, session, config):
                        files += _files(user_name(index), session, stage, split, generalization, seconds)
    return tuple(files)


def _records_half_stage(index: int, session: int, config: SimulationConfig) -> bool:
    """Every other session, starting with the user's last or last but one in turn, so that both hands are recorded."""
    return config.sessions == 1 or (index + session) % 2 == 0


def _files(user: str, session: int, stage: str, split: str, generalization: str, seconds: float) -> list[PlannedFile]:
    both = stage in TWO_HANDED
    sides = ("left", "right") if both else ("left",) if session % 2 else ("right",)
    return [
        PlannedFile(
            filename=f"simulated-{user}-session-{session}-{stage}_{side}",
            user=user,
            session_number=session,
            stage=stage,
            side=side,
            moving_hand="both" if both else side,
            split=split,
            generalization=generalization,
            seconds=seconds,
        )
        for side in sides
    ]
