"""The study end to end, at smoke size: what is trained once, what decides a key, what must not leak."""

import copy
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY, write_db1

from embridge import config as cfg
from embridge import statistics as st
from embridge.checkpoint import weights_hash
from embridge.errors import EMBridgeWarning, InputError
from embridge.experiments import EXPERIMENTS, LOG_POWER_LDA, of_parts
from embridge.grids import NEIGHBOURS
from embridge.paper import comparisons, explore, records, scoring
from embridge.paper.results import COLUMNS, MERGED, Page, read_results
from embridge.paper.scoring import few_shot
from embridge.paper.tables import numbers
from embridge.run import cli
from embridge.run.cli import ROOT
from embridge.study import Study
from embridge.trained import Run, build
from runner import jobs


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def again(study, **changes):
    """A second study over the same folders, as another notebook or process would make it."""
    return Study("simulated", out=study.out, size=replace(TINY, **changes), device="cpu")


def test_fault_26_a_run_trains_what_it_needs_first_and_is_trained_once(study):
    assert not (study.out / "runs").exists()
    run = study.run("CPEP")  # as the notebooks do, before 02 trained the autoencoders
    needed = {f.parent.name[:8] for f in study.out.glob("runs/*/done.json")}
    assert needed == {"emg-mae-", "pose-mae", run.folder.name[:8]}
    written = (run.folder / "done.json").stat().st_mtime_ns
    other = again(study).run("CPEP")
    assert other.key == run.key and (run.folder / "done.json").stat().st_mtime_ns == written
    assert weights_hash(other.model) == weights_hash(run.model) == run.done["weights_sha256"]


def test_weights_do_not_depend_on_whether_the_maes_were_trained_or_loaded(study, tmp_path):
    trained = study.run("CPEP").done["weights_sha256"]
    folder = study.run("CPEP").folder
    folder.rename(tmp_path / "away")
    try:
        assert again(study).run("CPEP").done["weights_sha256"] == trained  # the MAEs are loaded this time
    finally:
        (tmp_path / "away").rename(tmp_path / "kept")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("EMG-MAE", {"mae": replace(TINY.mae, emg_norm="window" if TINY.mae.emg_norm == "channel" else "channel")}),
        ("CPEP", {"align": replace(TINY.align, lr=5e-4)}),
        ("CPEP", {"mae": replace(TINY.mae, lr=5e-4)}),  # through what it starts from
        ("Pose-MAE", {"model": replace(TINY.model, d=24)}),
    ],
)
def test_everything_that_decides_the_weights_is_in_the_key(study, name, change):
    experiment = EXPERIMENTS[name]
    assert again(study, **change).key(experiment) != study.key(experiment)


def test_the_objective_and_the_seed_are_in_the_key(study):
    bridge = EXPERIMENTS["EMBridge"]
    sharper = replace(bridge, objective=replace(bridge.objective, tau_s=0.05))
    assert study.key(sharper) != study.key(bridge)
    assert Study("simulated", seed=1, out=study.out, size=TINY, device="cpu").key(bridge) != study.key(bridge)


def test_fault_09_a_run_s_key_follows_the_version_of_results_and_the_windows_that_are_cut(study, monkeypatch):
    cpep, version = EXPERIMENTS["CPEP"], cfg.RESULTS_VERSION + 1
    before, settings, data = study.key(cpep), records.settings(study, "CPEP"), study.data_key
    for module in ("data.windows", "config"):  # who cuts, and who trains
        with monkeypatch.context() as patch:
            patch.setattr(f"embridge.{module}.RESULTS_VERSION", version)
            other = again(study)
            assert (other.key(cpep) != before) == (module != "data.windows"), module
            assert (other.store.key != study.store.key) == (module == "data.windows")
            if module == "data.windows":  # cut again by another version, and the windows are the same
                assert other.store.contents == study.store.contents
            if module == "config":
                assert other.data_key != data
    monkeypatch.setattr(type(study.store), "contents", "other windows")
    assert again(study).key(cpep) != before and records.settings(again(study), "CPEP") == settings


def test_alignment_leaves_the_frozen_pose_encoder_and_the_emg_mae_alone(study):
    before = {name: weights_hash(study.run(name).model) for name in ("Pose-MAE", "EMG-MAE")}
    study.run("EMBridge")
    assert {name: weights_hash(study.run(name).model) for name in before} == before
    assert before["Pose-MAE"] == study.run("Pose-MAE").done["weights_sha256"]


def test_leak_statistics_come_from_the_pretraining_split_only(study):
    ids = study.splits.pretrain
    pose = study.store.read_pose(ids).double()
    np.testing.assert_allclose(study.statistics.pose_mean, pose.mean((0, 2)), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(study.statistics.pose_std, pose.std((0, 2), correction=0), rtol=1e-6)
    everyone = study.store.read_pose(study.store.table.index.to_numpy()).double()
    assert not np.allclose(study.statistics.pose_mean, everyone.mean((0, 2)), rtol=1e-3)


def test_leak_communities_come_from_the_pretraining_split_only(study, monkeypatch):
    asked = []
    monkeypatch.setattr(Run, "kept", lambda run, name, make, made_from: make())
    original = study.frozen_embeddings
    monkeypatch.setattr(study, "frozen_embeddings", lambda ids, *how: asked.append(ids) or original(ids, *how))
    centroids = study.communities(EXPERIMENTS["EMBridge"].objective)
    assert all(np.array_equal(ids, study.splits.pretrain) for ids in asked) and asked
    assert len(centroids) == min(6 * 23, len(study.splits.pretrain) // 10)
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, rtol=1e-5)


def test_pose_embeddings_and_communities_are_computed_once_and_again_where_a_byte_is_wrong(study, monkeypatch):
    ids, objective = study.splits.pretrain, EXPERIMENTS["EMBridge"].objective
    before = study.pose_embeddings(ids), study.communities(objective)
    files = sorted(study.run("Pose-MAE").folder.glob("*.npz"))
    assert [file.name.split("-")[0] for file in files] == ["communities", "embeddings"]
    monkeypatch.setattr("embridge.trained.encode", None)  # neither is computed again
    other = again(study)
    assert torch.equal(other.pose_embeddings(ids), before[0])
    np.testing.assert_array_equal(other.communities(objective), before[1])
    monkeypatch.undo()
    for file in files:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with pytest.warns(EMBridgeWarning, match="damaged"):
        assert torch.equal(again(study).pose_embeddings(ids), before[0])
    with pytest.warns(EMBridgeWarning, match="damaged"):
        np.testing.assert_array_equal(again(study).communities(objective), before[1])


def with_splits(study, **parts):
    """A study whose splits hold other windows than a checked one could: a mistake of our own."""
    other, splits = again(study), copy.copy(study.splits)
    for name, ids in parts.items():
        object.__setattr__(splits, name, ids)
    other.__dict__["splits"] = splits
    return other


def test_leak_normalisation_and_communities_of_evaluation_windows(study):
    """The runs' folder is new to them (another data key), so nothing that is kept there hides the mistake."""
    splits = study.splits
    for part, said in ((splits.evaluation["in"], "both in D_eval and in"), (splits.probe_train["unseen"], "would see")):
        other = with_splits(study, pretrain=np.union1d(splits.pretrain, part[:1]))
        for what, ask in (
            ("normalisation", lambda: other.statistics),  # noqa: B023
            ("communities", lambda: other.communities(EXPERIMENTS["EMBridge"].objective)),  # noqa: B023
            ("centring", lambda: other.frozen_embeddings(splits.pretrain, "Pose-MAE", "centred")),  # noqa: B023
        ):
            with pytest.raises(InputError, match=f"leak: .*{what}") as caught:
                ask()
            assert said in str(caught.value)


@pytest.mark.parametrize("name", ["EMG-MAE", "Pose-MAE", "CPEP", "EMBridge", "PoseT"])
def test_leak_training_on_windows_of_evaluation_or_of_unseen_classes(study, name, monkeypatch):
    experiment = replace(EXPERIMENTS[name], name=name if name == "PoseT" else f"{name}, leaking")
    for part, said in (("evaluation", "both in D_eval and in"), ("probe_train", "would see the unseen class")):
        ids = np.union1d(study.splits.pretrain, getattr(study.splits, part)["unseen"][:1])
        monkeypatch.setattr("embridge.study.paired_subset", lambda *given: ids)  # noqa: B023
        monkeypatch.setattr(study, "validated", lambda: (ids, study.splits.tune["in"]))  # noqa: B023
        with pytest.raises(InputError, match=f"leak: .*{said}"):
            study.run(experiment)
    monkeypatch.undo()
    assert not list((study.out / "runs").glob("*leaking*/done.json"))


def test_leak_choices_on_users_of_evaluation(study):
    """C, what a sweep prefers, and when a regressor stops: all from D_tune, whose users D_eval does not hold."""
    other = with_splits(study, tune=study.splits.evaluation)
    for choose in (
        lambda: scoring.probe(other, "CPEP", "in"),
        lambda: scoring.probe(other, LOG_POWER_LDA, "in"),
        lambda: scoring.zero_shot_outcomes(other, "CPEP", "in", subset="tune"),
        other.validated,
    ):
        with pytest.raises(InputError, match="leak: the user .* is both in D_eval and in (D_tune|early stopping)"):
            choose()


def test_leak_probes_on_users_of_evaluation(study):
    """Whatever fits one looks for itself: the probe and its C, few-shot, and the probe of shuffled labels."""
    splits = study.splits
    leaking = splits.probe_train | {"in": np.union1d(splits.probe_train["in"], splits.evaluation["in"][:1])}
    untuned = with_splits(study, probe_train=leaking, has_tuning=False)
    other = with_splits(study, probe_train=leaking)
    for fit in (
        lambda: scoring.probe(other, "CPEP", "in"),
        lambda: scoring.probe(untuned, "CPEP", "in"),
        lambda: scoring.probe_outcome(other, "CPEP", "in", features=other.untrained_features),
        lambda: scoring.no_network(other, "in"),
        lambda: few_shot(other, "CPEP", "in"),
        lambda: comparisons.shuffled_labels(other, "in", 1),
    ):
        with pytest.raises(InputError, match="leak: the user .* is both in D_eval and in probe-train"):
            fit()


def test_leak_the_probe_never_uses_the_paired_pose(study, monkeypatch):
    """With every stored pose a NaN features and queries are the same to the bit; who asks for one is told."""
    ids, blind = study.splits.evaluation["in"][:9], again(study)
    blind.store.__dict__["pose_f16"] = np.full_like(study.store.pose_f16, np.nan)
    assert blind.store.read_pose(ids).isnan().all()
    names = ("EMG-MAE", "CPEP", "EMBridge")
    for name in names:
        study.run(name)
    monkeypatch.setattr("embridge.objectives.pick_queries", None)  # it needs the pair
    for name in names:
        assert torch.equal(blind.features(name, ids), study.features(name, ids))
    assert torch.equal(blind.emg_queries("EMBridge", ids), study.emg_queries("EMBridge", ids))
    assert torch.equal(blind.untrained_features(ids), study.untrained_features(ids))
    for read in (lambda store, ids: store.read_pose(ids), lambda store, ids: torch.tensor(store.pose_f16[ids])):
        for store in ("pose_store", "emg_store"):  # neither way
            monkeypatch.setattr("embridge.data.batches.Reader.emg", lambda self, ids: read(getattr(self, store), ids))  # noqa: B023
            for ask in (blind.features, blind.emg_queries):
                with pytest.raises(InputError, match="leak: a probe or a query asked for (read_pose|pose_f16)"):
                    ask("CPEP", ids[:2])


def test_shuffled_pairs_pair_no_window_with_its_own_pose_as_a_rule(study):
    _, make_task = build(study, EXPERIMENTS["CPEP, pairs shuffled"])
    pairing = make_task().pairing
    assert sorted(pairing.tolist()) == list(range(len(study.splits.pretrain)))
    assert (pairing == torch.arange(len(pairing))).float().mean() < 0.05


def test_zero_shot_reports_every_policy_corpus_and_pooling(study):
    outcomes = scoring.zero_shot_outcomes(study, "EMBridge", "unseen")
    found = {(o.gallery, o.options, o.pooling) for o in outcomes}
    policies = [(p, "corpus=class set") for p in ("all", "not-self", "other-users")]
    corpora = [("all", "corpus=both class sets"), ("all", "corpus=every split")]
    assert found == {(*which, pooling) for which in policies + corpora for pooling in ("max", "mean")}
    papers = {o.rows[0]["paper_value"] for o in outcomes if o.rows[0]["paper_value"] is not None}
    assert papers == {0.528}  # only the paper's own reading stands beside the paper's number
    assert all(set(row) == set(COLUMNS) for o in outcomes for row in o.rows)


def test_controls_and_differences_cover_both_class_sets(study):
    outcomes = [
        o for s in ("CPEP", "EMBridge") for c in ("in", "unseen") for o in scoring.zero_shot_outcomes(study, s, c)
    ]
    rows = comparisons.difference_rows(outcomes, [("EMBridge", "CPEP")], study)
    table, steps = comparisons.audited(rows)
    assert len(table) == 2 * 3
    how = ("unseen", "all", "max", "corpus=class set")
    headline = {o.system: o for o in outcomes if (o.classes, o.gallery, o.pooling, o.options) == how}
    a, b = headline["EMBridge"], headline["CPEP"]
    n = study.profile.evaluation.n_bootstrap
    expected = st.bootstrap_over_groups(a.y, a.predicted, a.groups, minus=b.predicted, n_classes=4, n_resamples=n)
    found = table.set_index(["classes", "gallery"]).loc[("unseen", "all")]
    assert tuple(found[["difference", "low", "high"]]) == expected  # one seed: the paired bootstrap over users itself
    assert len(steps) == 2 * 2 * 2 and set(steps["step"]) == {"all - not-self", "not-self - other-users"}
    values = {(o.gallery, o.system): o.rows[0]["value"] for o in outcomes if o.rows[0]["classes"] == "unseen"
              and o.options == "corpus=class set" and o.pooling == "max"}  # fmt: skip
    one = steps.set_index(["classes", "system", "step"]).loc[("unseen", "CPEP", "all - not-self"), "difference"]
    assert one == pytest.approx(values["all", "CPEP"] - values["not-self", "CPEP"])
    f1 = [r for r in rows if r["metric"] == "class_f1_difference" and r["classes"] == "unseen"]
    assert len(rows) == len(table) + len(steps) + 2 * 4 and {r["seed"] for r in rows} == {0}
    each = st.per_class_f1(a.y, a.predicted, 4) - st.per_class_f1(b.y, b.predicted, 4)
    assert [r["value"] for r in f1] == pytest.approx(each.tolist())


def test_labels_are_shuffled_several_times_for_a_mean_to_compare_with_chance(study):
    drawn = comparisons.shuffled_labels(study, "in", 3)
    assert {r["system"] for r in drawn} == {"Labels shuffled"}
    pairs = records.score(study, "CPEP, pairs shuffled")
    assert {(r["system"], r["protocol"], r["gallery"]) for r in pairs} == {("CPEP, pairs shuffled", "ZS", "not-self")}
    assert [r["draw"] for r in drawn] == [0, 1, 2] and len({r["value"] for r in drawn}) > 1
    assert drawn == comparisons.shuffled_labels(study, "in", 3)


def test_the_true_pose_asks_in_emgs_place_where_it_is_not_in_the_gallery(study):
    rows = pd.DataFrame(scoring.true_pose_rows(study))
    score = rows[rows["metric"] == "balanced_accuracy"].set_index(["classes", "gallery"])["value"]
    assert set(score.index) == {(c, g) for c in ("in", "unseen") for g in ("not-self", "other-users")}
    ids = study.splits.evaluation["in"]
    y, users = study.splits.labels("in", ids), study.splits.table["user"].to_numpy()[ids]
    poses = torch.nn.functional.normalize(study.pose_embeddings(ids).double(), dim=1).numpy()
    cosine = np.where(users[:, None] == users, -np.inf, poses @ poses.T)
    nearest = np.argsort(-cosine, axis=1)[:, : study.profile.evaluation.k]
    votes = np.stack([((y[nearest] == c) + 1e-6 * (y[nearest] == c) * np.take_along_axis(cosine, nearest, 1)).sum(1)
                      for c in range(4)], axis=1)  # fmt: skip
    right = votes.argmax(1) == y
    assert score["in", "other-users"] == pytest.approx(np.mean([right[y == c].mean() for c in range(4)]))
    recalls = rows[(rows["metric"] == "user_recall") & (rows["classes"] == "in") & (rows["gallery"] == "other-users")]
    assert np.average(recalls["value"], weights=recalls["n"]) == pytest.approx(right.mean())


def test_controls_that_leave_chance_are_told_and_the_committed_ones_do_not():
    results = read_results(*(ROOT / "figures" / "simulated-quick" / name for name in MERGED))
    told = comparisons.judge_controls(results, "simulated")
    assert told == "All 4 means of shuffled controls are within 0.05 of chance (0.25)."
    for name in comparisons.SHUFFLED:
        mine = (results["system"] == name) & (results["classes"] == "unseen")
        for change in (0.12, -0.12):  # further than means that are themselves up to 0.05 from chance
            moved = results.assign(value=results["value"].where(~mine, results["value"] + change))
            told = comparisons.judge_controls(moved, "simulated")
            assert told.startswith("WARNING: shuffled controls") and f"in the mean: {name}, unseen, 0." in told
    assert EXPERIMENTS["CPEP, pairs shuffled"].epochs == 0.25 * EXPERIMENTS["CPEP"].epochs  # as the page says


def test_seeds_of_the_long_profile_are_read_where_they_are_on_record(study):
    assert comparisons.recorded_seeds([study], ("CPEP",)) == []  # a small profile has no committed rows
    other = Study("simulated", "quick", seed=7, out=study.out, device="cpu")  # so that seed 0 is not its own
    rows = comparisons.recorded_seeds([other], ("CPEP", "EMBridge"))
    assert {r["profile"] for r in rows} == {"long"} and all(r["origin"].startswith("long run") for r in rows)
    assert {r["metric"] for r in rows} <= {"balanced_accuracy", "user_recall", "class_f1", "user_f1"}
    assert {r["gallery"] for r in rows} == {"", "all"}
    pairs = comparisons.recorded_seeds([other], ("CPEP, pairs shuffled",), comparisons.CONTROLS)
    assert {r["gallery"] for r in pairs} == {"not-self"} and {r["seed"] for r in pairs} == {0, 1, 2}
    cells = [(r["system"], r["protocol"], r["classes"], r["seed"]) for r in rows if r["metric"] == "balanced_accuracy"]
    assert len(cells) == len(set(cells)) and ("EMBridge", "ZS", "unseen", 0) in cells
    mine = comparisons.recorded_seeds([Study("simulated", "quick", out=study.out, device="cpu")], ("CPEP",))
    assert mine == [r for r in rows if r["system"] == "CPEP" and r["seed"] != 0]  # what a run makes it does not read
    every = comparisons.recorded_seeds([other], ["EMBridge"], every=True)  # D_tune's and those of each k, too
    assert {r["seed"] for r in every if r["options"] == "D_tune"} == {0, 1, 2}
    assert {"1", "50"} < {r["param_value"] for r in every if r["param"] == "k"} and all(r in every for r in rows[-5:])


def test_few_shot_with_every_recording_is_the_probe(study):
    probe = scoring.probe_outcome(study, "CPEP", "unseen").rows[0]
    rows = few_shot(study, "CPEP", "unseen", fractions=(0.5, 1.0), n_draws=2)
    rows = [r for r in rows if r["system"] == "CPEP"]
    assert [(r["param_value"], r["draw"]) for r in rows] == [("0.5", 0), ("0.5", 1), ("1.0", 0)]
    same = ("value", "low", "high", "n", "interval_kind", "run_key")
    assert [rows[-1][c] for c in same] == [probe[c] for c in same]
    train = study.splits.table.iloc[study.splits.probe_train["unseen"]]
    assert rows[-1]["n_train"] == train.groupby("gesture")["recording"].nunique().max()
    assert few_shot(study, "CPEP", "unseen", fractions=(1.0,))[:1] == rows[-1:]


def test_an_alignment_that_was_killed_ends_with_the_same_weights(study, tmp_path, monkeypatch):
    """Row 1 on the real task: stopped in mid-epoch after a checkpoint, run again, same SHA-256."""
    whole = study.run("EMBridge").done["weights_sha256"]
    other = Study("simulated", out=study.out, size=TINY, device="cpu")
    experiment = replace(EXPERIMENTS["EMBridge"], name="EMBridge, interrupted")
    from embridge.objectives import AlignTask

    loss, calls = AlignTask.loss, []

    def stops(task, batch, n):
        calls.append(n)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return loss(task, batch, n)

    monkeypatch.setattr(AlignTask, "loss", stops)
    with pytest.raises(KeyboardInterrupt):
        other.run(experiment)
    monkeypatch.setattr(AlignTask, "loss", loss)
    assert again(study).run(experiment).done["weights_sha256"] == whole


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dataset": "emg3pose"}, "dataset: expected simulated, emg2pose, "),
        ({"profile": "fast"}, "profile: expected smoke, quick, long or paper, found 'fast'"),
        ({"dataset": "emg2pose"}, "--data DIR"),
    ],
)
def test_bad_names_and_missing_folders_are_one_sentence(arguments, says, tmp_path):
    with pytest.raises(InputError, match=says):
        _ = Study(**{"profile": "smoke", "out": tmp_path, **arguments}).source


@torch.inference_mode()
def test_a_run_that_is_first_asked_for_without_gradients_trains_all_the_same(study):
    own = replace(EXPERIMENTS["Pose-MAE"], name="asked by a view")
    assert study.run(own).done["steps"] > 0 and next(study.run(own).model.parameters()).requires_grad


def test_an_unknown_experiment_is_named(study):
    with pytest.raises(InputError, match=r"expected one of Pose-MAE.*found 'CLIP'; did you mean SoftCLIP"):
        study.run("CLIP")
    with pytest.raises(InputError, match=r"found 'q-former ls'; did you mean Q-Former-LS"):
        study.run("q-former ls")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said_at_once():
    with pytest.raises(InputError, match="--device cpu or auto"):
        Study(profile="smoke", device="cuda")


def test_ninapro_db1_runs_end_to_end(tmp_path):
    """The other real source through the same code: shapes, policies, paper columns."""
    write_db1(tmp_path / "db1", 1)
    study = Study("ninapro-db1", data=tmp_path / "db1", out=tmp_path / "out", device="cpu", size=TINY)
    outcomes = scoring.zero_shot_outcomes(study, "CPEP", "in")
    assert {o.gallery for o in outcomes} == {"all", *study.splits.policies}
    assert "other-repetitions" in study.splits.policies
    assert outcomes[0].rows[0]["paper_source"] == "not in the source"
    probe = scoring.probe_outcome(study, "CPEP", "in")
    assert 0 <= probe.rows[0]["value"] <= 1 and study.context["development"]
    one, line = scoring.no_network(study, "in")  # of envelopes, and without a D_tune
    assert one.rows[0]["value"] == 0.25 and 0 <= line.rows[0]["value"] <= 1 and line.rows[0]["n"] == probe.rows[0]["n"]


def test_views_answer_with_the_shapes_that_figures_draw(study):
    ids = study.splits.pretrain[:3]
    seen = explore.reconstruction(study, "Pose-MAE", ids)
    assert seen["target"].shape == seen["prediction"].shape == (3, 80) and seen["mask"].sum() == 10
    moving = explore.most_moving(study, ids)
    travelled = study.store.read_pose(ids).diff(dim=2).abs().sum((1, 2))
    assert moving.shape == (1,) and moving[0] == ids[int(travelled.argmax())]
    in_degrees = explore.reconstruction(study, "Pose-MAE", moving)
    joints = [explore.joint_names(study).index(name) for name in in_degrees["names"]]
    stored = study.store.read_pose(moving)[0][joints].rad2deg().unflatten(1, (80, -1)).mean(2)
    np.testing.assert_allclose(in_degrees["target"], stored, atol=0.5)  # degrees, as stored
    hands, times = explore.hands_through_time(study, study.splits.classes["in"], 6)
    assert len(hands) == 4 and all(h.shape == (6, 20) for h in hands.values()) and times[-1] < 2
    usage = explore.query_usage(study, "EMBridge", study.splits.evaluation["in"])
    assert usage.shape == (4,) and usage.sum() == pytest.approx(1)
    batch = explore.sorted_batch(study, 16)
    gestures = study.store.table["gesture"].to_numpy()[batch]
    assert list(gestures) == sorted(gestures) and set(batch) <= set(study.splits.pretrain)
    gestures, counts = np.unique(
        study.store.table["gesture"].to_numpy()[explore.sorted_batch(study, 8, n_gestures=4)], return_counts=True
    )
    assert list(counts) == [2, 2, 2, 2], "a balanced batch"
    have = study.store.table.loc[study.splits.pretrain, "gesture"].value_counts().to_numpy()
    wide = study.store.table["gesture"].to_numpy()[explore.sorted_batch(study, 10**6, n_gestures=3)]
    assert set(np.unique(wide, return_counts=True)[1]) == {have[2]}, "as many as three gestures have"
    assert len(explore.sorted_batch(study, 10**6, n_gestures=10**3)) == len(have) * have.min()  # all gestures


def test_an_experiment_of_ones_own_is_kept_under_its_name(study):
    own = replace(EXPERIMENTS["CPEP"], name="mine", objective=replace(EXPERIMENTS["CPEP"].objective, symmetric=False))
    run = study.run(own)
    assert run.folder.name.startswith("mine-") and json.loads((run.folder / "config.json").read_text())


def test_one_result_is_one_row(study, tmp_path):
    """EMBridge's values of what sweeps vary are its own row, and no row of each sweep."""
    page = Page("all", tmp_path, context={})
    page.rows(records.score(study, "EMBridge"))
    page.write()  # refuses a row that stands twice
    rows = page.frame()
    assert set(rows["param"]) == {"C", "k", "shots_fraction"} and rows["batch_size"].isna().all()
    tuned = rows[(rows["options"] == "D_tune") & (rows["param"] == "k")]
    assert sorted(tuned[["protocol", "classes", "param_value"]].to_numpy().tolist()) == [
        ["ZS", classes, f"{TINY.evaluation.k}"] for classes in ("in", "in and unseen", "unseen")
    ]
    swept = rows[(rows["options"] == "corpus=class set") & (rows["param"] == "k")]
    assert set(swept["param_value"]) == set(map(str, NEIGHBOURS))


def test_constants_are_scored_on_d_tune_alone_and_its_mean_over_both_sets_is_theirs(study, monkeypatch):
    """Nothing of D_eval may be read before what is chosen is chosen."""
    asked, name = [], "EMBridge, cosine, tau_s = 0.2, alpha = 0.25"
    original = records.zero_shot_outcomes
    monkeypatch.setattr(
        records, "zero_shot_outcomes", lambda *a, **k: asked.append(k.get("subset")) or original(*a, **k)
    )
    monkeypatch.setattr(records, "probe_outcome", lambda *a, **k: pytest.fail("a probe is scored on D_eval"))
    for named, tune in ((name, False), ("EMBridge, k_c = 3", True), ("EMBridge", True)):
        rows = {r["classes"]: r for r in records.score(study, named, tune=tune)}
        assert list(rows) == ["in", "unseen", "in and unseen"] and {r["options"] for r in rows.values()} == {"D_tune"}
        mean = (rows["in"]["value"] + rows["unseen"]["value"]) / 2
        assert rows["in and unseen"]["value"] == pytest.approx(mean)
        assert rows["in and unseen"]["n"] == rows["in"]["n"] + rows["unseen"]["n"]
    assert set(asked) == {"tune"}
    assert {(r["system"], r["param"], r["param_value"]) for r in records.score(study, name)} == {
        ("EMBridge", "affinity, tau_s, alpha", "cosine, 0.2, 0.25")
    }


def test_what_was_scored_on_d_tune_alone_is_scored_whole_when_that_is_asked_for(study):
    long, name = again(study, name="long"), "EMBridge, r = 0.25"
    made = records.record(long, name, tune=True)
    assert made.about["scored_on"] == "D_tune"

    def to_do(*argv: str) -> list[str]:
        options = cli.parse([name, "--profile", "long", *argv], action="sweep")
        return jobs.to_train(long, [name], options, jobs.finished(long))

    assert to_do("--tune") == [] and to_do() == [name]
    whole = records.record(long, name)
    assert "scored_on" not in whole.about and len(whole.rows) > len(made.rows) and to_do() == []
    assert whole.about["weights_sha256"] == made.about["weights_sha256"]  # trained once
    records.record(long, "EMBridge, dot, tau_s = 0.1, alpha = 1")
    assert jobs.to_train(
        long, ["EMBridge, dot, tau_s = 0.1, alpha = 1"],
        cli.parse(["CPEP", "--profile", "long"], action="sweep"), jobs.finished(long),
    ) == []  # fmt: skip
    with pytest.raises(InputError, match="--tune is for the rows of --profile long"):
        cli.parse([name, "--tune"], action="sweep")


def test_a_field_added_later_leaves_keys_alone_until_it_is_used(study):
    bridge, model = EXPERIMENTS["EMBridge"], study.profile.model
    assert "query_gain" not in cfg.as_json(model) and "query_gain" not in json.dumps(study.settings(bridge))
    other = replace(bridge, model={"query_gain": 0.3})
    assert study.key(other) != study.key(bridge) and study.settings(other)["model"]["query_gain"] == 0.3
    assert cfg.ModelConfig(**cfg.as_json(model) | {"cross_attention_blocks": (0, 2)}) == model  # read back whole


def test_rows_are_read_from_committed_records_of_the_same_settings(study):
    """In quick, all but the headline's, with their origin."""
    quick = again(study, name="quick")
    made = records.record(again(study, name="long"), "Q-Former-LS")
    names = ["Q-Former-LS", "SoftCLIP"]
    (found,), missing = records.read([quick], names)
    assert found.file == made.file and found.name == "simulated-long/rows/q-former-ls-seed0.json"
    assert missing == ["SoftCLIP"] and "1 experiment has no rows yet: SoftCLIP" in records.lacking(missing)
    assert {r["param"] for r in found.rows} == {"C", "k", "shots_fraction"}
    assert all(r["origin"].startswith("long run, ") for r in found.rows)
    few = [r for r in found.rows if r["param"] == "shots_fraction"]
    assert {r["system"] for r in few} == {"Q-Former-LS", "Q-Former-LS - Log-power + LDA"}
    computed = records.score(study, "Q-Former-LS")
    assert [r["value"] for r in found.rows] == [r["value"] for r in computed]
    other = again(study, name="quick", align=replace(TINY.align, lr=5e-4))
    assert records.read([other], names) == ([], names)  # not what this configuration would train
    # weights that are here without a record: quick trains PoseT on NinaPro
    quick.run("SoftCLIP")
    (own,), missing = records.read([quick], ["SoftCLIP"])
    assert missing == [] and {r["origin"] for r in own.rows} == {""} and {r["system"] for r in own.rows} == {"SoftCLIP"}
    assert own.name == "simulated-quick/rows/softclip-seed0.json"
    assert records.lacking(missing, ["SoftCLIP"]).startswith("Every experiment")
    assert records.lacking([], ()) == "None of these experiments is trained here: their lines are dashes or left out."


def test_a_part_has_the_experiments_of_its_dataset():
    assert (
        "SoftCLIP" in of_parts("simulated", "Table 3") and of_parts("simulated", "headline", "Table 2")[0] == "Pose-MAE"
    )
    assert of_parts("ninapro", "Table 2") == ("PoseT", "CPEP-LS", "Q-Former-LS") and of_parts("ninapro", "Fig. 4") == ()


def test_a_divergence_is_drawn_only_from_runs_that_are_there(study, tmp_path, capsys, monkeypatch):
    page, names = Page("p", tmp_path, context={}), ("CPEP", "CPEP, both encoders trained")
    study.run("CPEP")
    cells = numbers("cpep_ablation", page.frame(), "simulated")
    assert explore.divergence(study, page, names, cells, "") is None
    assert "No curve of CPEP, both encoders trained" in capsys.readouterr().out
    glove = Study("ninapro-db1", "smoke", device="cpu", out=tmp_path)
    assert explore.divergence(glove, page, names, cells, "") is None
    assert capsys.readouterr().out == "No curves: CPEP, both encoders trained: not trained here.\n"
    study.run(names[1])
    drawn, original = [], explore.figures.divergence
    monkeypatch.setattr(explore.figures, "divergence", lambda *given: drawn.append(original(*given)) or drawn[0])
    explore.divergence(study, page, names, cells, "")
    assert len(drawn[0].axes) == 1  # no scores, no panels for them
    assert (tmp_path / "p" / "divergence.png").exists()


def test_soft_targets_spread_further_at_a_higher_temperature(study):
    ids = explore.sorted_batch(study, 24)
    spread = [
        explore.target_spread(study, name, ids)
        for name in ("EMBridge, tau_s = 0.02", "EMBridge, tau_s = 0.1", "EMBridge")
    ]
    perplexity = [found["perplexity"] for found in spread]
    assert 1 <= perplexity[0] < perplexity[1] < perplexity[2] <= len(ids) - 1
    gesture = study.store.table["gesture"].to_numpy()
    alike = np.flatnonzero(gesture == gesture[ids[0]])
    assert explore.target_spread(study, "EMBridge", alike)["own gesture"] == pytest.approx(1)
