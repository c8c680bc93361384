"""The registry of experiments, the variants that it names, and their committed rows."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from embridge import config as cfg
from embridge import provenance, score, views
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, Study, paired_subset
from embridge.rows import KEY
from embridge.systems import GRIDS, NINAPRO, trained_by
from embridge.tables import DEFAULTS

SMOKE = cfg.profile("smoke")
TINY = replace(
    SMOKE,
    simulation=replace(SMOKE.simulation, train_seconds=4.0, eval_seconds=6.0),
    model=replace(SMOKE.model, d=16, n_heads=2, n_queries=4),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study("simulated", out=tmp_path_factory.mktemp("out"), size=TINY, device="cpu")


def test_names_parts_and_needs_of_the_registry():
    assert all(need in EXPERIMENTS for e in EXPERIMENTS.values() for need in e.needs)
    assert set(NINAPRO) <= set(EXPERIMENTS)
    assert {EXPERIMENTS[name].part for name in trained_by("quick", "simulated")} == {"headline"}
    assert set(trained_by("long", "simulated")) == set(trained_by("smoke", "simulated")) == set(EXPERIMENTS)
    assert trained_by("paper", "ninapro") == NINAPRO
    called = [(e.system or e.name, e.param, e.param_value, e.options, str(e.train)) for e in EXPERIMENTS.values()]
    assert len(set(called)) == len(called), "two experiments would write the same rows"


def test_a_sweep_changes_one_thing_and_never_to_what_it_is_already():
    bridge = EXPERIMENTS["EMBridge"]
    for param, values in GRIDS.items():
        assert DEFAULTS[param] not in map(str, values)
        for value in values:
            e = EXPERIMENTS[f"EMBridge, {param} = {value}"]
            changed = [f for f in vars(bridge.objective) if getattr(e.objective, f) != getattr(bridge.objective, f)]
            assert len(changed) + len(e.model) == 1 and (e.param, e.param_value) == (param, str(value))


def test_table_4_trains_for_the_same_epochs_or_the_same_steps():
    study = Study("simulated", "quick", device="cpu")
    n = 4300
    for name in ("CPEP", "Q-Former", "EMBridge"):
        for size in (512, 1024):
            epochs, steps = (
                study.configs(EXPERIMENTS[f"{name}, B = {size}, same {what}"])[1] for what in ("epochs", "steps")
            )
            own = study.configs(EXPERIMENTS[name])[1]
            assert epochs.batch_size == steps.batch_size == size and epochs.epochs == own.epochs
            assert steps.epochs * n / size == pytest.approx(own.epochs * n / own.batch_size)
            assert steps.epochs / steps.t_0 == own.epochs / own.t_0  # as many periods of the learning rate


def test_pairs_are_drawn_by_gesture_whole_recordings_and_smaller_draws_lie_in_larger_ones(study):
    table, ids = study.store.table, study.splits.pretrain
    draws = {share: paired_subset(table, ids, share, 0) for share in (0.2, 0.4, 0.8, 1.0)}
    assert np.array_equal(draws[1.0], ids)
    assert set(draws[0.2]) < set(draws[0.4]) < set(draws[0.8]) < set(ids)
    for share, drawn in draws.items():
        rest = np.setdiff1d(ids, drawn)
        assert not set(table.recording[drawn]) & set(table.recording[rest])
        for _, part in table.iloc[ids].groupby("gesture"):
            found = table.recording[drawn][table.gesture[drawn] == part.gesture.iloc[0]].nunique()
            assert found == max(1, round(share * part.recording.nunique()))
    assert not np.array_equal(draws[0.4], paired_subset(table, ids, 0.4, 1))


def weights(model, part):
    return torch.cat([w.flatten() for w in getattr(model, part).parameters()])


def test_which_encoder_moves(study):
    start, pose = study.run("EMG-MAE").model, study.run("Pose-MAE").model
    frozen, own = study.run("CPEP, EMG encoder frozen"), study.run("CPEP")
    assert torch.equal(weights(frozen.model, "encoder"), weights(start, "encoder"))
    assert not torch.equal(weights(own.model, "encoder"), weights(start, "encoder"))
    both = study.run("CPEP, both encoders trained").model
    assert not torch.equal(weights(both, "pose_encoder"), weights(pose, "encoder")) and own.model.pose_encoder is None
    ids = study.splits.evaluation["in"]
    moved = study.pose_embeddings(ids, "CPEP, both encoders trained")
    assert not torch.allclose(moved, study.pose_embeddings(ids)), "its gallery is embedded by its own pose encoder"
    mean = study.pose_embeddings(ids, "CPEP, average pooling")
    tokens = pose.encoder(study.reader().pose(ids))
    torch.testing.assert_close(mean, tokens[:, 1:].mean(1).detach())
    assert EXPERIMENTS["CPEP, random initialisation"].needs == ("Pose-MAE",)
    longer = study.run("CPEP, longer EMG patches").model
    assert longer.encoder.tokenizer.positions.shape[0] * 4 == own.model.encoder.tokenizer.positions.shape[0]


def test_a_regressor_is_scored_by_probe_and_angle_and_stops_on_tuning_users(study):
    ids, validation = study._validated()
    users = study.store.table.user
    assert not set(users[ids]) & set(users[validation]) and len(validation)
    rows = score.score(study, "PoseT")
    angles = {r["classes"]: r["value"] for r in rows if r["metric"] == "angle_error_deg"}
    assert set(angles) == {"in", "unseen"} and all(0 < value < 90 for value in angles.values())
    assert {r["classes"] for r in rows if r["protocol"] == "LP" and r["metric"] == "balanced_accuracy"} == set(angles)
    assert not [r for r in rows if r["protocol"] == "ZS"] and "validation" in study.run("PoseT").log


def test_rows_of_sweeps_carry_the_base_systems_name(study):
    rows = score.score(study, "EMBridge, k_c = all")
    assert {(r["system"], r["param"], r["param_value"]) for r in rows} == {("EMBridge", "k_c", "all")}
    assert {r["options"] for r in rows} == {"", "corpus=class set", "D_tune"}
    rows += score.score(study, "EMBridge") + score.score(study, "CPEP, B = 512, same steps")
    assert {r["batch_size"] for r in rows if "same" in r["options"]} == {512, TINY.align.batch_size}
    keys = [tuple(r[c] for c in KEY) for r in rows]
    assert len(set(keys)) == len(keys)


def test_a_run_s_own_record_fits_only_while_the_code_is_the_same(study, monkeypatch):
    name = "CPEP-LS"
    assert score.recorded(study, name) is None
    rows, missing = score.rows_of([study], [name])  # makes it
    kept = score.recorded(study, name)
    assert not missing and {r["origin"] for r in kept} == {""}
    assert rows == [r for r in kept if r["param"] != "shots_fraction"]
    monkeypatch.setattr(score, "_code", lambda: "other code")
    assert score.recorded(study, name) is None


def test_committed_rows_come_back_with_their_origin_and_only_where_settings_agree(study, monkeypatch):
    name = "CPEP-LS"
    monkeypatch.setattr(score, "committed", lambda _: True)  # as quick's
    assert score.recorded(study, name) is None
    file = score.record(study, name)
    found, kept = json.loads(file.read_text()), score.recorded(study, name)
    assert file.parent == study.out / "figures" / "simulated-long" / "rows" and found["experiment"] == name
    origin = {r.pop("origin") for r in kept}
    assert origin == {f"long run, {found['date']}, {found['commit']}"}
    expected = score.score(study, name)
    assert [{c: v for c, v in r.items() if c != "origin"} for r in expected] == kept
    loss = score.recorded(study, name, "loss")
    assert loss == pytest.approx(study.run(name).log["loss"].tolist(), rel=1e-4) and len(loss) == TINY.align.epochs
    drawn = views.finished_log(Study("simulated", out=study.out, size=TINY, device="cpu", seed=study.seed), name)
    assert "seconds" in drawn  # the run's own log
    monkeypatch.setattr(score.Study, "key", lambda *_: "elsewhere")  # a clone has the record and no run
    assert views.finished_log(study, name)["loss"].tolist() == loss
    monkeypatch.undo()
    monkeypatch.setattr(score, "committed", lambda _: True)
    other = Study("simulated", out=study.out, size=replace(TINY, align=replace(TINY.align, lr=5e-4)), device="cpu")
    assert score.recorded(other, name) is None, "these rows are of another learning rate"
    # other code, same settings: still the row, of the commit that it names
    monkeypatch.setattr("embridge.experiments.code_fingerprint", lambda: "other code")
    assert score.recorded(study, name)
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InputError, match="restore or remove it"):
        score.recorded(study, name)


def test_rows_are_found_without_any_recording(tmp_path):
    """Quick's pages look for NinaPro's rows: that must not simulate it."""
    for dataset, profile in (("simulated", "long"), ("simulated-ninapro", "quick")):
        study = Study(dataset, profile, out=tmp_path, device="cpu")
        assert len({score.settings(study, name) for name in trained_by("paper", dataset)}) > 7
        score.recorded(study, "Q-Former-LS")
    assert not [*tmp_path.iterdir()]


def test_the_commit_is_that_of_the_checkout_and_unknown_without_one(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() == "unknown"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.x"]
    (tmp_path / "a").write_text("a")
    for command in (["init", "-q"], ["add", "a"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    clean = provenance.commit()
    (tmp_path / "a").write_text("b")
    assert len(clean) == 7 and provenance.commit() == clean + "+"
