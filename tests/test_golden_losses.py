"""Each system's loss after three steps against committed numbers: one that moves needs another RESULTS_VERSION.

Where a change is meant, raise RESULTS_VERSION in ``embridge/config.py`` and renew the numbers with

    PYTHONPATH=. python tests/test_golden_losses.py
"""

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import TINY

from embridge.config import REGRESSORS, RESULTS_VERSION
from embridge.data.batches import Reader, Statistics, order
from embridge.experiments import EXPERIMENTS
from embridge.models.regressors import regressor
from embridge.objectives import RegressionTask
from embridge.study import Study
from embridge.trained import build
from embridge.training import Trainer

FILE = Path(__file__).with_name("golden_losses.json")
PARTS = ("headline", "Table 2", "Table 3", "C ablation")
NAMES = [name for name, e in EXPERIMENTS.items() if e.part in PARTS]
PUBLISHED = REGRESSORS[1:4]  # networks of the published size, whose steps take seconds
TOLERANCE = 1e-4  # relative
# batch normalisation over five windows: another processor's sums (AVX2) and two threads move it by 7e-5 and 4e-5
TOLERANCES = {"NeuroPose": 5e-4}
RENEW = (
    "if that is meant, raise RESULTS_VERSION in embridge/config.py (rows and runs of the old one are not found again) "
    "and renew tests/golden_losses.json: PYTHONPATH=. python tests/test_golden_losses.py"
)


def after_three_steps(task, train) -> float:
    """The loss of the fourth batch of the first epoch: three steps lie behind it."""
    trainer = Trainer(task, train)
    batches = order(train.seed, 0, task.n_samples).split(train.batch_size)
    for step in range(4):
        if hasattr(task, "seed_step"):
            task.seed_step(0, step)
        batch = batches[step % len(batches)]
        loss = trainer.step(task.load(batch, 0), len(batch), train.lr)["loss"]
    return loss.item()


def task_of(study: Study, name: str):
    torch.manual_seed(study.seed)
    if name in PUBLISHED:
        return of_noise(study, name)
    return build(study, EXPERIMENTS[name])[1]()


def of_noise(study: Study, name: str) -> RegressionTask:
    """A published network on five windows of noise, instead of a store of waveforms that nothing else here reads."""
    rng, shape, train = np.random.default_rng(0), *study.configs(EXPERIMENTS[name])
    emg, pose = (rng.standard_normal((6, n, shape.window)).astype(np.float16) for n in (16, 20))
    store = SimpleNamespace(emg_f16=emg, pose_f16=pose, kind="waveform")
    reader = Reader(
        store, store, {"pose": Statistics((0.0,) * 20, (1.0,) * 20, (0.0,) * 16, (1.0,) * 16)}, train.emg_norm
    )
    return RegressionTask(regressor(name, shape), reader, np.arange(5), np.array([5]), train)


def losses(study: Study) -> dict[str, float]:
    """Of each system, by name."""
    for need in sorted({need for name in NAMES for need in EXPERIMENTS[name].needs}):
        study.run(need)
    return {name: after_three_steps(task_of(study, name), study.configs(EXPERIMENTS[name])[1]) for name in NAMES}


def judge(found: dict[str, float], committed: dict) -> None:
    """AssertionError where a loss has moved, or where the numbers are of another version."""
    version, expected = committed["results_version"], committed["losses"]
    assert version == RESULTS_VERSION, (
        f"golden losses are of version {version}, the code's is {RESULTS_VERSION}; {RENEW}"
    )
    assert set(found) == set(expected), (
        f"systems with a loss and no number, or the reverse: {set(found) ^ set(expected)}; {RENEW}"
    )
    moved = {
        n: (found[n], expected[n])
        for n in found
        if not abs(found[n] - expected[n]) <= TOLERANCES.get(n, TOLERANCE) * abs(expected[n])
    }
    assert not moved, f"losses after three steps have moved (found, committed): {moved}; {RENEW}"


def test_every_loss_after_three_steps_is_the_committed_one(tiny_study):
    judge(losses(tiny_study()), json.loads(FILE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("change", ["version", "loss", "nan", "another system"])
def test_a_change_is_told_with_what_to_do(change):
    committed = json.loads(FILE.read_text(encoding="utf-8"))
    found = dict(committed["losses"])
    found["CPEP"] *= 1 + TOLERANCE / 2
    judge(found, committed)  # rounding is no change
    if change == "version":
        committed["results_version"] += 1
    else:
        value = {"loss": found["CPEP"] * (1 + 2 * TOLERANCE), "nan": float("nan"), "another system": 1.0}[change]
        found["X-CLR" if change == "another system" else "CPEP"] = value
    with pytest.raises(AssertionError, match=r"raise RESULTS_VERSION in embridge/config\.py .*PYTHONPATH=\. python"):
        judge(found, committed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        numbers = losses(Study("simulated", out=made, size=TINY, device="cpu"))
    numbers = {name: float(f"{value:.8g}") for name, value in numbers.items()}
    text = json.dumps({"results_version": RESULTS_VERSION, "losses": numbers}, indent=1)
    FILE.write_text(text + "\n", encoding="utf-8")
    print(f"{len(numbers)} losses of version {RESULTS_VERSION} written to {FILE}")
