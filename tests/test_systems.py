"""The registry of experiments, the variants that it names, and their committed rows."""

import json
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY
from scipy import stats

from embridge import config, provenance
from embridge import study as study_module
from embridge.config import PROFILES, RESULTS_VERSION
from embridge.errors import InputError
from embridge.experiments import CASCLE, EXPERIMENTS, NINAPRO, of_parts, trained_by
from embridge.grids import DEFAULTS, GRIDS, GROWN, OPEN_CHOICES
from embridge.losses import alignment_loss
from embridge.paper import explore, open_choices, records, scoring, tables
from embridge.paper.differences import DIFFERENCE
from embridge.paper.results import CONSTANT, IMPROVING, KEY, STOPPED, Page
from embridge.study import Study
from embridge.trained import build, paired_subset

NORMALISATION = "EMG normalisation"


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def test_names_parts_and_needs_of_the_registry():
    assert all(need in EXPERIMENTS for e in EXPERIMENTS.values() for need in e.needs)
    assert set(NINAPRO) <= set(EXPERIMENTS)
    assert {EXPERIMENTS[name].part for name in trained_by("quick", "simulated")} == {"headline"}
    for profile, usual in (("long", "window"), ("smoke", "window"), ("paper", "channel")):
        emg, pose = ("waveform", "waveform") if profile == "paper" else ("log-power", "frames")
        own = {f"{s}, EMG normalisation = {usual}" for s in ("EMG-MAE", "EMBridge")}  # what all others have
        own |= {f"{s}, EMG tokens = {emg}" for s in ("EMG-MAE", "EMBridge")}
        own |= {f"{s}, pose tokens = {pose}" for s in ("Pose-MAE", "EMBridge")}
        own.add(f"EMBridge, r = {0.5 if profile == 'paper' else 0.75}")
        if profile == "paper":  # keeps the paper's constants, and has more users itself
            own |= {e.name for e in EXPERIMENTS.values() if e.part in ("constants", "growth", "soft targets")}
        assert set(EXPERIMENTS) - set(trained_by(profile, "simulated")) == own
    assert trained_by("paper", "ninapro") == NINAPRO
    choices = ("EMG tokens", "pose tokens")  # what --tokens asks for is what all others have
    for profile, tokens in (("smoke", "waveform"), ("paper", "features")):
        kept, other = set(trained_by(profile, "simulated")), set(trained_by(profile, "simulated", tokens))
        differ = {EXPERIMENTS[name].param for name in kept ^ other}
        assert differ == {*choices, *([GROWN] if profile == "smoke" else [])}
        others = [{"log-power"}, {"frames"}] if tokens == "waveform" else [{"waveform"}, {"waveform"}]
        for option, expected in zip(choices, others, strict=True):
            mine = [e for e in EXPERIMENTS.values() if e.param == option]
            assert {e.param_value for e in mine if e.name in other} == expected
            assert {e.param_value for e in mine if e.name in kept}.isdisjoint(expected)
        assert set(of_parts("simulated", "open choices", profile_name=profile, tokens=tokens)) <= other
    called = [(e.system or e.name, e.param, e.param_value, e.options, str(e.train)) for e in EXPERIMENTS.values()]
    assert len(set(called)) == len(called), "two experiments would write the same rows"


def test_embridge_without_its_q_former_is_cpep_with_communities_and_infonce_one_way():
    e, cpep = EXPERIMENTS["EMBridge w/o Q-Former"], EXPERIMENTS["CPEP"]
    assert e.kind == "cpep" and cpep.objective.symmetric and not EXPERIMENTS["EMBridge"].objective.symmetric
    assert e.objective == replace(cpep.objective, **CASCLE, symmetric=False)
    u, v = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).double()
    scale = torch.tensor(3.0).log()
    a, b = (torch.nn.functional.normalize(x, dim=1).numpy() for x in (u, v))
    logits = 3 * a @ b.T
    rows, columns = (np.log(np.exp(logits).sum(axis)) - np.diag(logits) for axis in (1, 0))
    _, parts = alignment_loss(u, v, scale, e.objective, v[:3])
    assert parts["info_nce"].item() == pytest.approx(rows.mean(), rel=1e-5)
    _, parts = alignment_loss(u, v, scale, cpep.objective)
    assert parts["info_nce"].item() == pytest.approx((rows.mean() + columns.mean()) / 2, rel=1e-5)
    assert abs(rows.mean() - columns.mean()) > 0.01


def test_a_sweep_changes_one_thing_and_never_to_what_it_is_already():
    bridge = EXPERIMENTS["EMBridge"]
    for param, values in GRIDS.items():
        assert (DEFAULTS[param] in values) == (param == "r")
        for value in values:
            e = EXPERIMENTS[f"EMBridge, {param} = {value}"]
            changed = [f for f in vars(bridge.objective) if getattr(e.objective, f) != getattr(bridge.objective, f)]
            assert len(changed) + len(e.model) == 1 and (e.param, e.param_value) == (param, str(value))
            to = getattr(e.objective, changed[0]) if changed else next(iter(e.model.values()))
            assert str(to) == {"all": "None", "renormalised": "True"}.get(value, value)


def test_the_paper_profile_hides_what_e_prints_and_sweeps_what_d_tune_chose():
    bridge = EXPERIMENTS["EMBridge"]
    assert {name: bridge.minimises(config.profile(name)).mask_ratio for name in PROFILES} == {
        "smoke": 0.75, "quick": 0.75, "long": 0.75, "paper": 0.5,
    }  # fmt: skip
    assert Study("simulated", "paper", device="cpu").settings(bridge)["objective"]["mask_ratio"] == 0.5
    own = replace(bridge, objective=replace(bridge.objective, mask_ratio=0.3))
    assert own.minimises(config.profile("paper")).mask_ratio == 0.3  # who says another keeps it
    for name, values in (("smoke", [0.25, 0.5]), ("long", [0.25, 0.5]), ("paper", [0.25, 0.75])):
        members = [EXPERIMENTS[n] for n in trained_by(name, "simulated")]
        assert [e.objective.mask_ratio for e in members if e.param == "r"] == values


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


# METHOD 9, row by row: each alternative, and whether an experiment trains it. Of three rows docs/former_choices.md
# tells: SoftCLIP alone (an experiment elsewhere), NinaPro by session, a mirrored left arm
METHOD_9 = {
    "zero-shot query pooling": {"mean": False},
    "gallery exclusion": {"not-self": False, "other-users": False},
    "gallery corpus": {"both class sets": False, "every split": False},
    "pose embedding": {"mean": True, "centred": True},
    "community affinity": {"cosine": True},
    "MPRL pass": {"rerun": True},
    "MPRL target": {"token": True},
    "pose feed-forward": {"shared": True},
    "hands": {"prompted": False},
    "positions": {"learned": True},
    "EMG tokens": {"waveform": True, "log-power": True},
    "pose tokens": {"waveform": True, "frames": True},
    "EMG normalisation": {"channel": True, "window": True, "recording": True},
    "InfoNCE": {"one-way": True, "symmetric": True},
    "probe features of CPEP": {"after h": False},
    "temperature": {"fixed": True},
    "soft-target q": {"renormalised": True},
    "warm restarts": {"T_mult 2": True},
    "CPEP epochs": {"100": True},
}


def test_every_row_of_method_9_has_its_alternatives():
    found = {}
    for c in OPEN_CHOICES:
        found.setdefault(c.option, {})[c.alternative] = c.experiment in EXPERIMENTS
        assert bool(c.experiment) == (c.experiment in EXPERIMENTS), "an experiment that is not registered"
    assert found == METHOD_9 and list(found) == list(METHOD_9)
    assert {c.system for c in OPEN_CHOICES if c.option == "InfoNCE"} == {"CPEP", "EMBridge"}
    measured = {c.experiment for c in OPEN_CHOICES}
    mine = {e.name for e in EXPERIMENTS.values() if e.part == "open choices" and not e.kind.endswith("-mae")}
    assert mine == measured - {"", "EMBridge, metric = cosine", "EMBridge, q = renormalised"}  # Fig. 4's


def test_an_open_choice_changes_what_it_says_and_nothing_else():
    """By the whole configuration of each training, at the paper's size, where it starts from among it."""
    study = Study("simulated", "paper", device="cpu")

    def flat(name):
        told = study.settings(EXPERIMENTS[name]) | {"needs": EXPERIMENTS[name].needs, "experiment": None}
        parts = {k: part if isinstance(part, dict) else {k: part} for k, part in told.items()}
        return {(k, field): value for k, part in parts.items() for field, value in part.items()}

    changes = {}
    for c in OPEN_CHOICES:
        if c.experiment:
            one, base = flat(c.experiment), flat(c.system)
            changes[c.experiment] = {field: one[k, field] for k, field in one if one[k, field] != base[k, field]}
    normalised = {
        f"EMBridge, {NORMALISATION} = {how}": {"needs": ("Pose-MAE", f"EMG-MAE, {NORMALISATION} = {how}")} | changed
        for how, changed in (
            ("channel", {}),  # the paper profile's own
            ("window", {"emg_norm": "window"}),
            ("recording", {"emg_norm": "recording"}),
        )
    }
    emg = {how: f"EMG-MAE, EMG tokens = {how}" for how in ("waveform", "log-power")}
    pose = {how: f"Pose-MAE, pose tokens = {how}" for how in ("waveform", "frames")}
    learned = {"pose_start": "Pose-MAE, positions = learned"}
    assert changes == {
        "EMBridge, positions = learned": {
            "positions": "learned", **learned, "needs": (learned["pose_start"], "EMG-MAE, positions = learned"),
        },
        # "waveform" is the paper profile's own
        "EMBridge, EMG tokens = waveform": {"needs": ("Pose-MAE", emg["waveform"])},
        "EMBridge, EMG tokens = log-power": {"needs": ("Pose-MAE", emg["log-power"]), "emg_tokens": "log-power"},
        "EMBridge, pose tokens = waveform": {
            "needs": (pose["waveform"], "EMG-MAE"), "pose_start": pose["waveform"],
        },
        "EMBridge, pose tokens = frames": {
            "needs": (pose["frames"], "EMG-MAE"), "pose_start": pose["frames"], "pose_tokens": "frames",
        },
        "EMBridge, pose embedding = mean": {"pose_embedding": "mean"},
        "EMBridge, pose embedding = centred": {"pose_embedding": "centred"},
        "EMBridge, metric = cosine": {"affinity": "cosine"},
        "EMBridge, MPRL pass = rerun": {"mprl_pass": "rerun"},
        "EMBridge, MPRL target = token": {"mprl_target": "token"},
        "EMBridge, pose feed-forward = shared": {"pose_feed_forward": "shared"},
        **normalised,
        "CPEP, InfoNCE = one-way": {"symmetric": False},
        "EMBridge, InfoNCE = symmetric": {"symmetric": True},
        "EMBridge, temperature = fixed": {"tau_learned": False},
        "EMBridge, q = renormalised": {"renormalise_q": True},
        "EMBridge, warm restarts = T_mult 2": {"t_mult": 2},
        "CPEP, CPEP epochs = 100": {"epochs": 100},
    }  # fmt: skip
    for c in OPEN_CHOICES:  # an autoencoder that a system starts from reads and is shaped as it does
        if c.experiment:
            e = EXPERIMENTS[c.experiment]
            shapes = [study.configs(EXPERIMENTS[x])[0] for x in (e.emg_start, e.pose_start, e.name)]
            assert shapes[0].emg == shapes[2].emg and shapes[1].pose == shapes[2].pose
            assert {s.positions for s in shapes} == {shapes[2].positions} and shapes[0].emg_tokens == shapes[
                2
            ].emg_tokens
    for how in ("channel", "window", "recording"):
        assert study.configs(EXPERIMENTS[f"EMG-MAE, {NORMALISATION} = {how}"])[1].emg_norm == how


def test_a_system_sees_at_evaluation_what_it_was_trained_on(study):
    name, ids = f"EMG-MAE, {NORMALISATION} = channel", study.splits.evaluation["in"]
    encoder, shape = study.run(name).model.encoder, study.configs(EXPERIMENTS[name])[0]
    expected = encoder(study.reader(shape, "channel").emg(ids))[:, 0].detach()
    torch.testing.assert_close(study.features(name, ids), expected)
    other = encoder(study.reader(shape, "window").emg(ids))[:, 0].detach()
    assert not torch.allclose(study.features(name, ids), other)
    for how in ("mean", "centred"):
        task = build(study, EXPERIMENTS[f"EMBridge, pose embedding = {how}"])[1]()
        v = study.pose_embeddings(study.splits.pretrain, f"EMBridge, pose embedding = {how}")
        assert torch.equal(task.v, v) and not torch.allclose(v, study.pose_embeddings(study.splits.pretrain))
        nearest = torch.nn.functional.normalize(v, dim=1) @ task.centroids.T
        # centroids of these embeddings, and not of others: nearer than those of [CLS]
        usual = torch.from_numpy(study.communities(EXPERIMENTS["EMBridge"].objective))
        assert nearest.amax(1).mean() > (torch.nn.functional.normalize(v, dim=1) @ usual.T).amax(1).mean()


def by_choice(rows, metric):
    return {(r["param"], r["param_value"], r["protocol"], r["classes"]): r for r in rows if r["metric"] == metric}


def test_what_is_only_evaluated_otherwise_is_compared_on_the_same_windows(study, tmp_path, monkeypatch):
    rows = open_choices.evaluated(study)
    scores, differences = by_choice(rows, "balanced_accuracy"), by_choice(rows, DIFFERENCE)
    chosen = [c for c in OPEN_CHOICES if not c.experiment]
    assert (
        set(scores)
        == set(differences)
        == {(c.option, c.alternative, p, s) for c in chosen for p in c.protocols for s in ("in", "unseen")}
    )
    outcomes = {
        (o.gallery, o.options, o.pooling): o.rows[0]["value"]
        for o in scoring.zero_shot_outcomes(study, "EMBridge", "unseen")
    }
    usual = outcomes["all", "corpus=class set", "max"]
    for option, alternative, key in (
        ("zero-shot query pooling", "mean", ("all", "corpus=class set", "mean")),
        ("gallery exclusion", "other-users", ("other-users", "corpus=class set", "max")),
        ("gallery corpus", "every split", ("all", "corpus=every split", "max")),
    ):
        cell = (option, alternative, "ZS", "unseen")
        assert scores[cell]["value"] == outcomes[key] and scores[cell]["paper_value"] is None
        assert differences[cell]["value"] == pytest.approx(outcomes[key] - usual)
        assert differences[cell]["low"] <= differences[cell]["value"] <= differences[cell]["high"]
        assert differences[cell]["interval_kind"] == "95 % paired bootstrap"
    cpep, ids = study.run("CPEP").model, study.splits.evaluation["in"]
    head = cpep.head(cpep.features(study.reader().emg(ids)))
    torch.testing.assert_close(open_choices._after_head(study)(ids), head.detach())
    # every file of the simulator is of a prompted hand
    assert {(d["value"], d["low"], d["high"]) for k, d in differences.items() if k[0] == "hands"} == {(0.0, 0.0, 0.0)}

    page = Page("10", tmp_path, context={})
    name = "CPEP, InfoNCE = one-way"
    trained = records.read([study], [name])[0][0].rows
    usual = open_choices.defaults([study])
    compared = open_choices.trained(study, trained, usual)
    page.rows([*rows, *trained, *compared, *records.score(study, "EMBridge")])
    page.write()  # refuses a row that stands twice
    assert {(r["param"], r["system"]) for r in compared} == {("InfoNCE", "CPEP")} and len(compared) == 4
    (found,) = (r for r in compared if r["protocol"] == "ZS" and r["classes"] == "in")
    cell = {"protocol": "ZS", "classes": "in", "gallery": "all", "metric": "balanced_accuracy"}
    (a,) = (r for r in trained if cell.items() <= r.items())
    b = next(o for o in scoring.zero_shot_outcomes(study, "CPEP", "in") if o.gallery == "all").rows[0]
    assert found["value"] == pytest.approx(a["value"] - b["value"])
    below = ((a["value"] - a["low"]) ** 2 + (b["high"] - b["value"]) ** 2) ** 0.5
    above = ((a["high"] - a["value"]) ** 2 + (b["value"] - b["low"]) ** 2) ** 0.5
    assert (found["low"], found["high"]) == pytest.approx((found["value"] - below, found["value"] + above))
    assert found["interval_kind"] == "95 %, users in quadrature"  # one seed: no luck is known

    # two more seeds, of which CPEP's lie 0.2 higher and the others' where they were
    more = usual[usual["protocol"] == "ZS"].query(
        "classes == 'in' and gallery == 'all' and options == 'corpus=class set'"
    )
    score_of = more["metric"] == "balanced_accuracy"
    others = [more[score_of].assign(seed=s, origin="long run, 2026-11-21, abc1234") for s in (1, 2)]
    for other in others:
        other["value"] += 0.2 * (other["system"] == "CPEP")
    seeds = pd.concat([usual[usual["metric"] == "balanced_accuracy"], *others], ignore_index=True)
    (again,) = (
        r for r in open_choices.trained(study, trained, seeds) if r["protocol"] == "ZS" and r["classes"] == "in"
    )
    assert again["value"] == pytest.approx(a["value"] - b["value"] - 0.4 / 3)
    assert again["interval_kind"] == "95 %, users and seeds in quadrature"
    luck = stats.t.ppf(0.975, 6) * np.sqrt((0.4 / 3) ** 2 * 1.5 / 6)  # two degrees of freedom a system
    every = seeds.assign(origin="")
    mean = tables.headline_rows(every, study.dataset, systems=("CPEP",)).query("protocol == 'ZS' and classes == 'in'")
    wide = np.sqrt((a["high"] - a["value"]) ** 2 + (mean["value"] - mean["low"]).item() ** 2 + luck**2)
    assert again["high"] - again["value"] == pytest.approx(wide)


def test_prompted_hands_are_scored_by_the_same_weights_on_their_own_windows(study, monkeypatch):
    def make(name, table, *, hands, **how):
        found = make_splits(name, table, hands=hands, **how)
        return replace(found, evaluation={s: i[::2] for s, i in found.evaluation.items()}) if hands != "all" else found

    make_splits = study_module.make_splits
    monkeypatch.setattr(study_module, "make_splits", make)
    fresh = Study("simulated", out=study.out, size=TINY, device="cpu")
    prompted = open_choices._prompted(fresh)
    assert prompted.key(EXPERIMENTS["EMBridge"]) == fresh.key(EXPERIMENTS["EMBridge"])
    (hands,) = (c for c in OPEN_CHOICES if c.option == "hands")
    other = open_choices._alternative(fresh, hands, "LP", "in")
    assert len(other.y) == len(fresh.splits.evaluation["in"][::2])
    monkeypatch.setattr(open_choices, "applicable", lambda study: [hands])
    less = [r for r in open_choices.evaluated(fresh) if r["metric"] == DIFFERENCE]
    assert less and {r["interval_kind"] for r in less} == {"95 %, users in quadrature"}  # not the same windows


def test_only_what_a_dataset_can_measure_is_asked_of_it():
    for name, lacking in (("ninapro-db1", {"hands"}), ("ninapro", {"hands"})):
        study = Study(name, "smoke", device="cpu")
        study.splits = type("S", (), {"policies": ("all", "not-self", "other-repetitions")})
        found = [c for c in open_choices.applicable(study) if not c.experiment]
        asked = {c.option for c in OPEN_CHOICES if not c.experiment} - lacking
        assert {c.option for c in found} == asked and "other-users" not in {c.alternative for c in found}
        assert len(found) == len(open_choices.applicable(study))
    paper = Study("simulated", "paper", device="cpu")
    paper.splits = study.splits
    norms = {c.alternative for c in open_choices.applicable(paper) if c.option == NORMALISATION}
    assert norms == {"window", "recording"}


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
    ids, validation = study.validated()
    users = study.store.table.user
    assert not set(users[ids]) & set(users[validation]) and len(validation)
    rows = records.score(study, "PoseT")
    angles = {r["classes"]: r["value"] for r in rows if r["metric"] == "angle_error_deg"}
    assert set(angles) == {"in", "unseen"} and all(0 < value < 90 for value in angles.values())
    assert {r["classes"] for r in rows if r["protocol"] == "LP" and r["metric"] == "balanced_accuracy"} == set(angles)
    assert not [r for r in rows if r["protocol"] == "ZS"] and "validation" in study.run("PoseT").log


@pytest.mark.parametrize(
    ("validations", "patience", "beats", "ended"),
    [
        ([3, 1, 2, 2], 2, True, STOPPED),
        ([3, 1, 1, 1], 2, True, STOPPED),  # equal is not better
        ([3, 2, 1, 2], 2, True, IMPROVING),  # the cap came first
        ([3, 1, 2, 2], None, True, IMPROVING),
        ([3, 1, 2, 2], 2, False, CONSTANT),
        ([3, 2, 1, 2], 2, False, CONSTANT),
    ],
)
def test_how_a_regressor_s_training_ended_is_a_row(monkeypatch, validations, patience, beats, ended):
    monkeypatch.setattr(
        records, "beats_constant", lambda model, reader, ids: beats if (model, ids) == ("net", [1, 2, 3]) else None
    )
    log = pd.DataFrame({"epoch": range(1, 5), "validation": validations})
    fake = SimpleNamespace(
        dataset="simulated", profile=SimpleNamespace(name="long"), seed=1,
        run=lambda name: SimpleNamespace(log=log, key="abc", model="net"), reader=lambda shape, emg_norm: None,
        configs=lambda experiment: (None, SimpleNamespace(patience=patience, emg_norm="window")),
        validated=lambda: ([0], [1, 2, 3]),
    )  # fmt: skip
    found = records.stopping_row(fake, "PoseT")
    assert (found["system"], found["metric"], found["value"], found["options"]) == ("PoseT", "epochs", 4, ended)
    assert (found["protocol"], found["n"], found["seed"], found["run_key"]) == ("regression", 3, 1, "abc")


@pytest.mark.parametrize("name", ["Vemg2pose", "emg2pose"])
def test_of_the_published_networks_vemg2pose_alone_begins_at_the_mean_pose(study, name):
    torch.manual_seed(0)
    model, make_task = build(study, EXPERIMENTS[name])
    drawn = model.readout.bias.clone()
    reader = make_task().reader
    mean = reader.pose_mean[:, 0]
    begins = torch.equal(model.readout.bias[:20], mean / 0.01) and torch.equal(model.readout.bias[20:], drawn[20:])
    assert begins == (name == "Vemg2pose") == (not torch.equal(model.readout.bias, drawn))
    assert (study.settings(EXPERIMENTS[name]).get("readout_start") == "mean pose") == begins  # another run's key
    with torch.no_grad():
        first = model(reader.emg([0, 1]))[..., :12]  # the outputs that are positions, at any EMG
    assert ((first - mean[:, None]).abs().max() < 0.02) == begins


def test_quick_reads_the_regressor_that_long_trained_until_it_stopped(study, monkeypatch):
    caps = {"PoseT": 10}  # a patience of one
    monkeypatch.setattr(records, "profile", lambda name: SimpleNamespace(regressor_caps=caps))
    long = Study("simulated", out=study.out, size=replace(TINY, name="long", regressor_caps=caps), device="cpu")
    quick = Study("simulated", out=study.out, size=replace(TINY, name="quick"), device="cpu")
    assert records.recorded(quick, "PoseT") is None
    file = records.record(long, "PoseT").file
    kept, about = records.recorded(quick, "PoseT"), json.loads(file.read_text())
    assert kept.file == file and records.recorded(long, "PoseT").rows == kept.rows
    (ended,) = (r for r in kept.rows if r["metric"] == "epochs")
    assert ended["value"] == len(about["validation"]) == len(about["loss"]) > TINY.align.epochs
    improving = min(about["validation"]) == about["validation"][-1]
    assert ended["options"] in (CONSTANT, IMPROVING if improving else STOPPED)
    assert ended["n"] == len(study.validated()[1])
    assert quick.key(EXPERIMENTS["PoseT"]) != long.key(EXPERIMENTS["PoseT"])
    page = Page("05_page", study.out / "epochs", context={})
    page.read([kept])
    table = tables.numbers("regression", page.frame(), "simulated").set_index(["system", "classes"])
    angles = {r["classes"]: r["value"] for r in kept.rows if r["metric"] == "angle_error_deg"}
    assert table.loc["PoseT", "value"].to_dict() == angles


def test_the_mean_pose_answers_with_the_training_windows_mean_angles(study):
    rows = {r["classes"]: r for r in scoring.mean_pose_rows(study)}
    mean = study.store.read_pose(study.splits.pretrain).numpy().astype(np.float64).mean((0, 2))
    for classes, ids in study.splits.evaluation.items():
        error = np.abs(study.store.read_pose(ids).numpy() - mean[:, None]).mean((1, 2))
        expected = np.rad2deg(error.mean())
        assert rows[classes]["value"] == pytest.approx(expected, rel=1e-4)
        assert rows[classes]["low"] <= expected <= rows[classes]["high"] and rows[classes]["n"] == len(ids)
    gloves = Study("simulated-ninapro", size=TINY, out=study.out, device="cpu")
    gloves.statistics_of = lambda kind: replace(study.statistics, pose_mean=(0.0,) * 18)
    assert scoring.mean_pose_rows(gloves) == []


def test_rows_of_sweeps_carry_the_base_systems_name(study):
    rows = records.score(study, "EMBridge, k_c = all")
    assert {(r["system"], r["param"], r["param_value"]) for r in rows} == {("EMBridge", "k_c", "all")}
    assert {r["options"] for r in rows} == {"", "corpus=class set", "D_tune"}
    of_probe = pd.DataFrame([r for r in rows if r["protocol"] == "LP" and r["classes"] == "unseen"])
    users = of_probe[of_probe["metric"] == "user_recall"].astype({"class": int, "n": int})
    hits = (users["value"] * users["n"]).groupby(users["class"]).sum() / users.groupby("class")["n"].sum()
    assert of_probe.set_index("metric")["value"]["balanced_accuracy"] == pytest.approx(hits.mean())
    rows += records.score(study, "EMBridge") + records.score(study, "CPEP, B = 512, same steps")
    assert {r["batch_size"] for r in rows if "same" in r["options"]} == {512}
    keys = [tuple(r[c] for c in KEY) for r in rows]
    assert len(set(keys)) == len(keys)


def test_a_run_s_own_record_fits_only_while_the_version_and_the_windows_are_the_same(study, monkeypatch):
    name = "CPEP-LS"
    assert records.recorded(study, name) is None
    (made,), missing = records.read([study], [name])  # makes it
    kept = records.recorded(study, name)
    assert not missing and {r["origin"] for r in kept.rows} == {""} and kept.rows == made.rows
    for what, other in (("config.RESULTS_VERSION", RESULTS_VERSION + 1), ("data.store.WindowStore.contents", "others")):
        with monkeypatch.context() as patch:
            patch.setattr(f"embridge.{what}", other)
            fresh = Study("simulated", out=study.out, size=TINY, device="cpu")
            assert records.recorded(fresh, name) is None, what
    evaluation = replace(TINY.evaluation, n_bootstrap=TINY.evaluation.n_bootstrap + 1)
    assert records.recorded(study.changed(profile=replace(study.profile, evaluation=evaluation)), name) is None
    assert records.recorded(study, name).rows == kept.rows


def test_committed_rows_come_back_with_their_origin_and_only_where_settings_agree(study, monkeypatch):
    name, long = "CPEP-LS", replace(TINY, name="long")
    study = Study("simulated", out=study.out, size=long, device="cpu")
    assert records.recorded(study, name) is None
    file = records.record(study, name).file
    found, kept = json.loads(file.read_text()), records.recorded(study, name)
    assert file.parent == study.out / "figures" / "simulated-long" / "rows" and found["experiment"] == name
    origin = {r["origin"] for r in kept.rows}
    assert origin == {f"long run, {found['date']}, {found['commit']}"}
    expected = records.score(study, name)
    assert [r | {"origin": ""} for r in kept.rows] == expected
    loss = kept.about["loss"]
    assert loss == pytest.approx(study.run(name).log["loss"].tolist(), rel=1e-4) and len(loss) == TINY.align.epochs
    drawn = explore.finished_log(Study("simulated", out=study.out, size=long, device="cpu"), name)
    assert "seconds" in drawn  # the run's own log
    monkeypatch.setattr(records.Study, "key", lambda *_: "elsewhere")  # a clone has the record and no run
    assert explore.finished_log(study, name)["loss"].tolist() == loss
    monkeypatch.undo()
    other = Study("simulated", out=study.out, size=replace(long, align=replace(TINY.align, lr=5e-4)), device="cpu")
    assert records.recorded(other, name) is None, "these rows are of another learning rate"
    with monkeypatch.context() as patch:  # windows of another machine, same settings: still the row
        patch.setattr("embridge.data.store.WindowStore.contents", "others")
        assert records.recorded(Study("simulated", out=study.out, size=long, device="cpu"), name)
        patch.setattr("embridge.config.RESULTS_VERSION", RESULTS_VERSION + 1)
        assert records.recorded(study, name) is None, "these rows are of another version"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InputError, match="restore or remove it"):
        records.recorded(study, name)


def test_rows_are_found_without_any_recording(tmp_path):
    """Quick's pages look for NinaPro's rows: that must not simulate it."""
    for about, profile in (("simulated", "long"), ("simulated-ninapro", "quick")):
        study = Study(about, profile, out=tmp_path, device="cpu")
        assert len({records.settings(study, name) for name in trained_by("paper", about)}) > 7
        records.recorded(study, "Q-Former-LS")
    assert not [*tmp_path.iterdir()]


def test_the_commit_is_that_of_the_checkout_and_unknown_without_one(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    commit = provenance.commit.__wrapped__  # a process asks once
    assert commit() == "unknown"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.x"]
    (tmp_path / "figures").mkdir()
    for file in ("a", "figures/rows"):
        (tmp_path / file).write_text("a")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    (tmp_path / "figures" / "rows").write_text("written by a run")
    clean = commit()
    (tmp_path / "a").write_text("b")
    assert len(clean) == 7 and commit() == clean + "+"
