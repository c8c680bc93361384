"""One simulated recording, of seed 1, with any of the simulator's constants changed."""

from dataclasses import replace

from embridge.simulator import plan
from embridge.simulator.physiology import PHYSIOLOGY
from embridge.simulator.session import simulate


def made(user="sim001", session=0, stage="HandClawGraspFlicks", side="right", seconds=4.0, seed=1, **changes):
    file = plan.PlannedFile(user, session, stage, side, "train", "none", seconds)
    return simulate(file, seed, replace(PHYSIOLOGY, **changes))
