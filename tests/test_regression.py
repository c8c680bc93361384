"""Regression of pose: loss, coverage, early stopping that survives a kill, dropout that is repeatable, clipping."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from toy_run import Stop, stop_at

from embridge import distributed, objectives
from embridge.checkpoint import load_checkpoint, weights_hash
from embridge.config import ModelConfig, TrainConfig
from embridge.data.batches import Reader, Statistics
from embridge.data.hand import landmarks
from embridge.errors import InputError
from embridge.models.regressors import NeuroPose, PoseT, Regressor, emg2pose, vemg2pose
from embridge.objectives import RegressionTask, angle_error, fingertip_distance, regression_loss
from embridge.training import Trainer, learning_rate, train

T, N, STEPS = 240, 22, 5
TRAIN = TrainConfig(epochs=4, batch_size=4, lr=1e-3, weight_decay=0.0, schedule="constant", seed=1)
IDS, VALIDATION = np.arange(2, 22), np.arange(22, 29)
SMALL = dict(hidden=4, channels=2, width=2, stem=((3, 2),), stages=((3, 2, 3),), d_out=3)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Store:
    """A store of random windows whose pose follows the EMG's envelope, so that there is something to learn."""

    def __init__(self, n_joints=20, n=30):
        rng = np.random.default_rng(0)
        slow = np.repeat(rng.standard_normal((n, 1, T // 40)), 40, axis=2)
        self.emg_f16 = (rng.standard_normal((n, 4, T)) * np.exp(slow)).astype(np.float16)
        self.pose_f16 = (0.3 * slow + 0.1 * rng.standard_normal((n, n_joints, 1))).astype(np.float16)
        self.config, self.kind = SimpleNamespace(n_joints=n_joints), "waveform"

    def read_emg(self, ids):
        return torch.from_numpy(self.emg_f16[np.asarray(ids)]).float()

    def read_pose(self, ids):
        return torch.from_numpy(self.pose_f16[np.asarray(ids)]).float()


def reader(n_joints=20):
    store, scales = Store(n_joints), Statistics((0.1,) * n_joints, (0.4,) * n_joints, (0.0,) * 4, (1.0,) * 4)
    return Reader(store, store, {"pose": scales}, "window")


def neuropose(n_joints=20):
    """A small one whose dropout is hard to miss."""
    return NeuroPose(4, n_joints, widths=(2, 4), pools=((4, 2), (5, 2)), upsamples=((5, 2), (4, 2)), n_residual=1,
                     dropout=0.5)  # fmt: skip


MODELS = {
    "PoseT": lambda j: PoseT(ModelConfig(n_channels=4, n_joints=j, window=T, sample_rate=1, emg_patch=40, d=8,
                                         n_layers=1, n_decoder_layers=1, n_heads=2)),
    "NeuroPose": neuropose,
    "emg2pose": lambda j: emg2pose(4, j, **SMALL),
    "Vemg2pose": lambda j: vemg2pose(4, j, **SMALL),
    "Vemg2pose tracking": lambda j: vemg2pose(4, j, tracking=True, **SMALL),
}  # fmt: skip


class Task(RegressionTask):
    """A regression of random windows; ``before(step)`` is called at each step's start."""

    def __init__(self, model=None, before=lambda step: None, config=TRAIN):
        torch.manual_seed(0)
        super().__init__(model or neuropose(), reader(), IDS, VALIDATION, config)
        self.before, self.calls = before, 0

    def loss(self, batch, n):
        self.calls += 1
        self.before(self.calls)
        return super().loss(batch, n)


def run(folder, task, config=TRAIN, every=0):
    """Train, saving after each step, and return the weights' hash and the log without its times."""
    log = train(task, config, folder, describe={"name": "x"}, progress=False, checkpoint_seconds=every)
    return weights_hash(task.model), [{k: v for k, v in row.items() if k not in ("seconds", "waited")} for row in log]


# ---- the loss ---------------------------------------------------------------------------------------------------


def test_the_loss_by_hand():
    true = torch.zeros(2, 20, 81)
    predicted = true.clone()
    predicted[0, 5, 40] = 0.5  # the index finger bends by half a radian at its knuckle, in one of frames 0, 40, 80
    predicted[1, 5, 41] = 0.5  # and here between them, where no fingertip is looked at
    bent, flat = np.zeros(20), np.zeros(20)
    bent[5] = 0.5
    moved = np.linalg.norm(landmarks(bent)[8] - landmarks(flat)[8])  # mm
    assert 30 < moved < 50
    loss, parts = regression_loss(predicted, true)
    assert fingertip_distance(predicted, true).tolist() == pytest.approx([moved / 15, 0], rel=1e-5)
    assert parts["l1"].item() == pytest.approx(1.0 / (2 * 20 * 81))
    assert parts["fingertip_mm"].item() == pytest.approx(moved / 30, rel=1e-5)
    assert loss.item() == pytest.approx(1 / 3240 + 0.01 * moved / 30, rel=1e-5)


def test_without_twenty_joints_the_loss_is_l1_of_z_scores():
    task = RegressionTask(MODELS["PoseT"](18), reader(18), IDS, VALIDATION, TRAIN)
    batch = task.load(torch.arange(3), 0)
    loss, parts = task.loss(batch, 3)
    true = (task.reader.pose_store.read_pose(IDS[:3]) - 0.1) / 0.4
    predicted = task.model(task.reader.scale_emg(batch["emg"]))
    assert parts == {} and loss.item() == pytest.approx((predicted - true).abs().mean().item(), rel=1e-5)


def test_the_target_is_in_radians_and_covers_what_the_network_covers():
    task = Task(MODELS["Vemg2pose"](20))
    pose = task.reader.pose_store.read_pose(IDS[:3])
    assert torch.equal(objectives.target(task.reader, torch.from_numpy(task.reader.pose_store.pose_f16[IDS[:3]])), pose)
    predicted, true = objectives.predict(task.model, task.reader.emg(IDS[:3]), pose)
    assert torch.equal(true, pose[..., 22:]) and predicted.shape == true.shape


def test_a_tracking_network_is_given_the_true_pose_of_the_first_covered_sample():
    model, seen = MODELS["Vemg2pose tracking"](20), []
    forward = model.outputs
    model.outputs = lambda x, first_pose: (seen.append(first_pose), forward(x, first_pose))[1]
    pose = torch.randn(2, 20, T)
    objectives.predict(model, torch.randn(2, 4, T), pose)
    assert torch.equal(seen[0], pose[..., 22])


@pytest.mark.parametrize("n_joints", [20, 18])  # of a glove's 18 sensors the z-scores are compared
@pytest.mark.parametrize(
    ("share", "beats"),  # of what is true of a window, beside the best constant
    [(0.0, False), (0.01, True), (1.0, True), (-0.2, False)],
)
def test_a_network_that_answers_every_window_alike_beats_no_constant_pose(monkeypatch, share, beats, n_joints):
    """Answers the median of these very windows, which no constant beats, plus a share of what is true of each."""
    monkeypatch.setattr(objectives, "AT_ONCE", 3)  # 3, 3 and 1
    scaled = reader(n_joints)
    pose = objectives.target(scaled, scaled.pose_store.read_pose(VALIDATION))
    best = pose[..., :: objectives.FINGERTIP_STEP].transpose(0, 1).flatten(1).median(1).values[:, None]
    answers = iter((best + share * (pose - best)).split(3))
    model = Regressor()
    model.outputs = lambda x, first_pose=None: (next(answers), None)
    assert objectives.beats_constant(model, scaled, VALIDATION) == beats


def test_a_rank_s_loss_counts_by_its_share(monkeypatch):
    task = Task(MODELS["PoseT"](20))
    batch = task.load(torch.arange(4), 0)
    whole, parts = task.loss(batch, 4)
    monkeypatch.setattr(distributed, "share", lambda n: 0.25)
    half, half_parts = task.loss(batch, 4)
    assert half.item() == pytest.approx(0.25 * whole.item())
    assert half_parts["l1"].item() == pytest.approx(0.25 * parts["l1"].item())


def test_the_emg_turns_in_training_and_not_in_validation():
    task = Task(MODELS["PoseT"](20))
    stored = torch.from_numpy(task.reader.emg_store.emg_f16[IDS])
    batch = task.load(torch.arange(20), 0)
    pairs = zip(batch["emg"], stored, strict=True)
    turned = [next(s for s in (0, 1, -1) if torch.equal(b, x.roll(s, 0))) for b, x in pairs]
    assert {0, 1, -1} == set(turned) and torch.equal(
        batch["pose"], torch.from_numpy(task.reader.pose_store.pose_f16[IDS])
    )
    task.config = replace(TRAIN, rotate=())
    assert torch.equal(task.load(torch.arange(20), 0)["emg"], stored)


def test_validation_is_the_mean_over_windows_without_dropout(monkeypatch):
    task = Task()
    task.model.train()
    monkeypatch.setattr(objectives, "AT_ONCE", 3)  # 3, 3 and 1
    found = task.validate()
    assert task.model.training and found == task.validate()
    task.model.eval()
    with torch.no_grad():
        each = [
            regression_loss(
                *objectives.predict(task.model, task.reader.emg([i]), task.reader.pose_store.read_pose([i]))
            )[0]
            for i in VALIDATION
        ]
    assert found == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


@pytest.mark.parametrize("ids", [[], [5, 40]])
def test_validation_windows_must_be_others_than_those_trained_on(ids):
    with pytest.raises(InputError, match="none of them trained on"):
        RegressionTask(neuropose(), reader(), IDS, np.array(ids, dtype=int), TRAIN)


# ---- training ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_each_regressor_learns(kind, tmp_path):
    config = replace(TRAIN, epochs=8, lr=1e-2)
    log = run(tmp_path, Task(MODELS[kind](20), config=config), config, every=1e9)[1]
    assert all(math.isfinite(value) for row in log for value in row.values())
    assert log[-1]["loss"] < log[0]["loss"] and log[-1]["l1"] < log[0]["l1"]
    assert min(row["validation"] for row in log) < log[0]["validation"] or kind == "Vemg2pose tracking"


def test_vemg2pose_trains_under_mixed_precision(tmp_path):
    config = replace(TRAIN, epochs=1, precision="bf16")
    log = run(tmp_path, Task(MODELS["Vemg2pose"](20), config=config), config, every=1e9)[1]
    assert math.isfinite(log[0]["loss"])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole") / "run", Task())


@pytest.mark.parametrize("step", [2, STEPS, STEPS + 1, 2 * STEPS + 3, 4 * STEPS])
def test_a_killed_run_draws_the_same_dropout_and_keeps_the_same_best_epoch(tmp_path, uninterrupted, step):
    with pytest.raises(Stop):
        run(tmp_path, Task(before=stop_at(step)))
    task = Task()
    torch.manual_seed(99)  # the process that goes on has drawn other numbers
    assert run(tmp_path, task) == uninterrupted
    assert task.calls == 4 * STEPS - (step - 1)


def test_dropout_changes_from_step_to_step_and_with_the_seed(uninterrupted, tmp_path):
    task = Task()
    batch = task.load(torch.arange(4), 0)
    losses = []
    for seed, epoch, step in ((1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0), (1, 0, 0)):
        task.config = replace(TRAIN, seed=seed)
        task.seed_step(epoch, step)
        losses.append(task.loss(batch, 4)[0].item())
    assert losses[0] == losses[4] and len(set(losses)) == 4


class Scripted:
    """One weight that counts steps (its gradient is -1 and Adam's step 1), and validations that are written down."""

    def __init__(self, validations, before=lambda step: None):
        self.model, self.n_samples = nn.Linear(1, 1, bias=False), 4
        nn.init.zeros_(self.model.weight)
        self.validations, self.before, self.calls, self.asked = validations, before, 0, []

    def load(self, samples, epoch):
        return {"epoch": torch.tensor(epoch)}

    def loss(self, batch, n):
        self.calls += 1
        self.before(self.calls)
        return -self.model.weight.sum(), {}

    def validate(self):
        epoch = round(self.model.weight.item()) // 2  # two steps an epoch
        self.asked.append(epoch)
        return self.validations[epoch - 1]


STOPPING = replace(TRAIN, epochs=8, batch_size=2, lr=1.0, patience=3)


@pytest.mark.parametrize(
    ("validations", "patience", "n_epochs", "best"),
    [
        ([5, 3, 4, 3, 3, 1, 1, 1], 3, 5, 2),  # equal is not better: 3, 4 and 5 pass without a better one
        ([5, 3, 4, 3, 2, 4, 4, 1], 3, 8, 8),
        ([5, 3, 4, 3, 2, 4, 4, 6], 3, 8, 5),
        ([5, 6, 4, 3, 2, 1, 0, 0], 1, 2, 1),
        ([5, 6, 7, 8, 9, 1, 2, 3], None, 8, 6),
    ],
)
@pytest.mark.parametrize("killed", [False, True])
def test_the_best_epoch_is_kept_and_patience_ends_the_run(tmp_path, validations, patience, n_epochs, best, killed):
    config = replace(STOPPING, patience=patience)
    if killed:
        with pytest.raises(Stop):  # in the last epoch that runs
            run(tmp_path, Scripted(validations, stop_at(2 * n_epochs)), config)
        assert load_checkpoint(tmp_path)["best"]["epoch"] == min(range(n_epochs - 1), key=validations.__getitem__) + 1
    task = Scripted(validations)
    _, log = run(tmp_path, task, config)
    assert [row["validation"] for row in log] == validations[:n_epochs]
    assert task.model.weight.item() == pytest.approx(2 * best, rel=1e-5)
    again = Scripted(validations)
    assert run(tmp_path, again, config)[1] == log and again.calls == 0  # a finished run, loaded
    assert again.model.weight.item() == task.model.weight.item()


def test_a_validation_that_is_not_finite_stops(tmp_path):
    with pytest.raises(RuntimeError, match="validation of epoch 2 is not finite"):
        run(tmp_path, Scripted([1.0, math.nan]), STOPPING)


def test_a_task_without_validation_logs_none_and_keeps_its_last_weights(tmp_path):
    class Plain(Scripted):
        validate = None

    task = Plain([])
    _, log = run(tmp_path, task, STOPPING)
    assert len(log) == 8 and "validation" not in log[0]
    assert task.model.weight.item() == pytest.approx(16, rel=1e-5)


def test_the_whole_gradient_is_clipped_to_its_limit_and_no_smaller_one_is_touched():
    for clip in (None, 0.001, 1e6):
        task = Task(MODELS["emg2pose"](20))
        trainer = Trainer(task, replace(TRAIN, clip=clip))
        batch = task.load(torch.arange(4), 0)
        trainer.step(batch, 4, 1e-3)
        # Adam's first moment after one step is a tenth of the gradient that it was given
        given = [10 * trainer.optimizer.state[p]["exp_avg"] for p in trainer.parameters]
        norm = torch.stack([g.square().sum() for g in given]).sum().sqrt().item()
        if clip is None:
            free = norm
        assert norm == pytest.approx(0.001 if clip == 0.001 else free, rel=2e-3)
    assert free > 0.002


def test_a_decay_of_nothing_is_adam():
    ours, theirs = (MODELS["emg2pose"](20) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    task, other = Task(ours), Task(theirs)
    trainer, adam = Trainer(task, TRAIN), torch.optim.Adam(theirs.parameters(), lr=1e-3)
    for step in range(3):
        batch = task.load(torch.arange(4) + step, 0)
        trainer.step(batch, 4, 1e-3)
        adam.zero_grad()
        other.loss(batch, 4)[0].backward()
        adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_constant_schedule_and_an_unknown_one():
    assert [learning_rate(TRAIN, epoch) for epoch in (0, 0.5, 3.9)] == [1e-3] * 3
    with pytest.raises(InputError, match="expected cosine or constant, found 'step'"):
        learning_rate(replace(TRAIN, schedule="step"), 0)


# ---- the error in degrees ---------------------------------------------------------------------------------------


class Offset(Regressor):
    """Predicts zeros for all samples from the tenth on."""

    left_context = 10

    def outputs(self, x, first_pose=None):
        return torch.zeros(len(x), 20, 4), x.mT


def test_angle_errors_are_in_degrees_for_each_window(monkeypatch):
    monkeypatch.setattr(objectives, "AT_ONCE", 2)
    here = reader()
    here.pose_store.pose_f16[:] = 0
    here.pose_store.pose_f16[3, :, 10:] = 0.25
    here.pose_store.pose_f16[4, 0, 10:] = -0.5  # one joint of twenty
    here.pose_store.pose_f16[5, :, :10] = 1  # not covered
    found = angle_error(Offset(), here, np.array([3, 4, 5]))
    assert found["degrees"].tolist() == pytest.approx([np.rad2deg(0.25), np.rad2deg(0.5) / 20, 0])
    assert found["fingertip_mm"].shape == (3,) and found["fingertip_mm"][2] == 0 < found["fingertip_mm"][1]
    assert len(angle_error(Offset(), here, np.array([], dtype=int))["degrees"]) == 0
    with pytest.raises(InputError, match="expected 20 joint angles, found 18 sensors"):
        angle_error(Offset(), reader(18), [3])
