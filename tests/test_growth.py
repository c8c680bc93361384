"""How it grows: people simulated as their windows are cut, experiments on a part of them, and what pages show."""

import pickle
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY

from benchmarks import plan
from embridge.config import as_json
from embridge.data import windows as filling
from embridge.data.windows import build_store
from embridge.datasets import window_config
from embridge.errors import InputError
from embridge.experiments import EXPERIMENTS, cost, trained_by
from embridge.figures.sweeps import growth as figure
from embridge.grids import ALL, GROWN, GROWTH
from embridge.objectives import encode
from embridge.paper import records, tables
from embridge.paper.results import as_frame, row
from embridge.parallel import _importable
from embridge.simulator import plan as planning
from embridge.simulator.recordings import open_simulated, planned_simulated
from embridge.study import Study
from embridge.trained import encoder_embedding
from runner import jobs

SIZE = TINY.simulation
LARGER = replace(SIZE, more_train_users=7)
WINDOWS = window_config("simulated")
GROW = [e for e in EXPERIMENTS.values() if e.part == "growth"]
FEW, MANY = "CPEP, 1000 windows of 19 users", "CPEP, 36000 windows of 176 users"


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def test_more_training_users_leave_everybody_else_as_they_are():
    files, more = planning.plan(SIZE), planning.plan(LARGER)
    assert more[: len(files)] == files
    behind = more[len(files) :]
    assert {f.split for f in behind} == {"train"} and {f.generalization for f in behind} == {"none"}
    assert len({f.user for f in behind}) == 7 and not {f.user for f in behind} & {f.user for f in files}
    assert as_json(SIZE) == {k: v for k, v in as_json(LARGER).items() if k != "more_train_users"}  # so keys stay
    own, larger = ({r.key: r.made_from for r in planned_simulated("x", size).recordings} for size in (SIZE, LARGER))
    assert own.items() <= larger.items()  # by what makes them: user, session, stage, hand, length, seed
    other = {r.key: r.made_from for r in planned_simulated("x", replace(SIZE, seed=1)).recordings}
    assert other.keys() == own.keys() and not set(other.values()) & set(own.values())


def test_windows_of_recordings_that_no_file_holds_are_those_of_files(study, tmp_path):
    written = open_simulated(study.simulation_folder, SIZE, progress=False)
    made = planned_simulated(tmp_path / "nowhere", SIZE)
    table, found = study.store_of("waveform").table, build_store(made, WINDOWS, tmp_path, "waveform", progress=False)
    assert [r.key for r in made.recordings] == [r.key for r in written.recordings]
    pd.testing.assert_frame_equal(found.table, table)  # digests of EMG and pose among the columns
    assert found.manifest["windows_sha256"] == study.store.manifest["windows_sha256"]
    features = build_store(made, WINDOWS, tmp_path, "features", progress=False)
    assert (features.path / "log-power.f16").read_bytes() == (study.store.path / "log-power.f16").read_bytes()
    assert (
        not (tmp_path / "nowhere").exists() and not (tmp_path / "sources.json").exists()
    )  # no sums of what is no file


def test_such_a_store_is_another_one_for_another_seed_and_is_opened_again(tmp_path, monkeypatch):
    few = replace(SIZE, train_users=1, val_users=0, test_users=0, sessions=1, held_out_stage_users=0, train_seconds=2.5)
    one = build_store(planned_simulated(tmp_path, few), WINDOWS, tmp_path, "features", progress=False)
    other = build_store(
        planned_simulated(tmp_path, replace(few, seed=1)), WINDOWS, tmp_path, "features", progress=False
    )
    assert one.key != other.key and one.contents != other.contents
    monkeypatch.setattr("embridge.simulator.recordings.simulate", None)  # whoever simulates again fails
    again = build_store(planned_simulated(tmp_path, few), WINDOWS, tmp_path, "features", progress=False)
    assert again.key == one.key


def test_an_interrupted_cut_goes_on_and_says_how_long_it_will_take(tmp_path, monkeypatch, capsys):
    few = replace(SIZE, train_users=1, val_users=0, test_users=0, sessions=1, held_out_stage_users=0, train_seconds=2.5)
    source, cut, done = planned_simulated(tmp_path, few), filling.cut, []

    def stop_at_the_fifth(job):
        done.append(job[0].key)
        if len(done) == 5:
            raise KeyboardInterrupt
        return cut(job)

    monkeypatch.setattr(filling, "cut", stop_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        build_store(source, WINDOWS, tmp_path, "features", progress=False, workers=1)
    monkeypatch.setattr(filling, "cut", lambda job: done.append(job[0].key) or cut(job))
    store = build_store(source, WINDOWS, tmp_path, "features", workers=1)
    assert done == [r.key for r in source.recordings[:5]] + [r.key for r in source.recordings[4:]]
    assert " to go" in capsys.readouterr().err
    whole = build_store(source, WINDOWS, tmp_path / "whole", "features", progress=False, workers=1)
    assert store.manifest["windows_sha256"] == whole.manifest["windows_sha256"] and len(store)


def test_such_recordings_are_made_by_other_processes_too():
    recording = planned_simulated("x", SIZE).recordings[0]
    assert _importable(recording.loader) and _importable(recording.counter)
    one, other = recording.load(), pickle.loads(pickle.dumps(recording)).load()
    np.testing.assert_array_equal(one.emg, other.emg)
    assert len(one.emg) == recording.n_samples() and one.segments[0].gesture == recording.gesture


def test_sizes_are_whole_recordings_of_users_and_smaller_ones_lie_in_larger_ones(study):
    homes = {value: study.home(replace(GROW[0], users=u, share=s)) for value, (u, s) in GROWTH.items()}
    assert homes["38, 8000"] is study
    users, of, drawn = {"19": 1, "38": 2, "76": 4, "176": 9}, {}, {}
    for value, home in homes.items():
        part, every = (home.store.table.iloc[ids] for ids in (home.splits.pretrain, home.store.table.index))
        of[value], drawn[value] = set(part["user"]), set(part["recording"])
        assert len(of[value]) == users[value.split(",")[0]]
        assert len(part) == every["recording"].isin(drawn[value]).sum(), "whole recordings"
        share = GROWTH[value][1]
        everyone = every[every["user"].isin(of[value]) & (every["split"] == "train")]
        for gesture, those in everyone.groupby("gesture"):
            found = part.loc[part["gesture"] == gesture, "recording"].nunique()
            assert found == max(1, round(share * those["recording"].nunique())), gesture
    assert drawn["19, 1000"] < drawn["19, 4000"] < drawn["38, 8000"] < drawn["176, 36000"]
    assert drawn["76, 4000"] < drawn["176, 36000"] and of["38, 8000"] < of["76, 4000"]
    seeds = {str(study.changed(seed=n).home(EXPERIMENTS[FEW]).splits.pretrain.tolist()) for n in range(4)}
    assert len(seeds) > 1  # who is drawn is a part of what a seed changes


def test_evaluation_is_of_the_same_windows_whatever_trains(study):
    table, splits = study.store.table, study.splits
    for name in (FEW, MANY):
        home = study.home(EXPERIMENTS[name])
        for part in ("tune", "evaluation"):
            for classes in ("in", "unseen"):
                of = [s.store.table["digest"].to_numpy()[getattr(s.splits, part)[classes]] for s in (study, home)]
                assert np.array_equal(*of) and len(of[0])
    run = study.run(MANY)
    ids = splits.evaluation["in"]
    home = study.home(EXPERIMENTS[MANY])
    there = home.store.table.index[home.store.table["digest"].isin(table["digest"].iloc[ids])].to_numpy()
    assert not np.array_equal(there, ids)  # the larger store numbers them otherwise
    torch.testing.assert_close(study.features(MANY, ids), home.run(MANY).features(there))
    poses = study.pose_embeddings(ids, MANY)
    torch.testing.assert_close(poses, home.pose_embeddings(there, MANY))  # scaled as they were in training
    assert run.key == home.run(MANY).key


def test_scales_communities_and_embeddings_are_of_an_experiment_s_own_windows(study):
    home = study.home(EXPERIMENTS[FEW])
    pose = home.store.read_pose(home.splits.pretrain).double()
    np.testing.assert_allclose(home.statistics.pose_mean, pose.mean((0, 2)), rtol=1e-6, atol=1e-9)
    assert not np.allclose(home.statistics.pose_mean, study.statistics.pose_mean, rtol=1e-3)
    seen, mae = [], EXPERIMENTS[FEW].pose_start
    real = home.frozen_embeddings
    home.frozen_embeddings = lambda ids, *how: seen.append(ids) or real(ids, *how)
    home.communities(EXPERIMENTS["EMBridge"].objective, mae)
    assert all(np.array_equal(ids, home.splits.pretrain) for ids in seen) and seen
    # home keeps its embeddings beside the weights: this study's windows are others and do not come from there
    ids, run = study.splits.pretrain[:40], study.run(mae)
    direct = encode(encoder_embedding(run.model.encoder), study.reader(home=home).pose, ids)
    torch.testing.assert_close(study.frozen_embeddings(ids, mae, "cls"), direct)


@pytest.mark.parametrize("name", [FEW, MANY])
def test_leak_a_size_learns_from_nobody_who_is_evaluated(study, name, monkeypatch):
    home = study.home(EXPERIMENTS[name])
    spoilt = np.union1d(home.splits.pretrain, home.splits.evaluation["in"][:1])
    monkeypatch.setattr("embridge.study.paired_subset", lambda *given: spoilt)
    with pytest.raises(InputError, match="leak: the user"):
        study.windows_of(EXPERIMENTS[name])


def test_autoencoders_see_the_windows_of_the_system_that_starts_from_them(study):
    for e in GROW:
        for need in e.needs:
            assert (EXPERIMENTS[need].users, EXPERIMENTS[need].share) == (e.users, e.share), e.name
            assert EXPERIMENTS[need].part == "growth"
    mae, cpep = EXPERIMENTS[EXPERIMENTS[FEW].emg_start], EXPERIMENTS[FEW]
    assert np.array_equal(study.windows_of(mae), study.windows_of(cpep))


def test_nobody_is_simulated_to_know_a_key_a_plan_or_what_is_on_record(study, monkeypatch, tmp_path):
    other = Study("simulated", out=study.out, size=TINY, device="cpu")
    monkeypatch.setattr("embridge.trained.planned_simulated", None)
    assert other.key(EXPERIMENTS[MANY]) == study.key(EXPERIMENTS[MANY])
    keys = [other.key(e) for e in EXPERIMENTS.values()]
    assert len(set(keys)) == len(keys)
    options = Namespace(profile="smoke", seeds=1, retrain=(), tokens="", tune=False)
    assert not {FEW, MANY} & jobs.finished(other) - {run.name for run in study._runs.values()}
    steps = dict.fromkeys((FEW, MANY), {"seconds": 1.0, "weights": 1, "trained": 1, "window": 1, "measured": 1})
    found = plan.rows(other, options, steps)
    assert found["windows"][FEW] == len(study.windows_of(EXPERIMENTS[FEW]))
    assert found["windows"][MANY] == pytest.approx(len(study.windows_of(EXPERIMENTS[MANY])), rel=0.1)
    data = plan.Data(1, 1.0, 0, 0, True)
    disk = [plan.disk(other, data, found.loc[names])["windows of more users"] for names in ([FEW], [FEW, MANY])]
    assert disk[0] == 0 and disk[1] > 4 * len(other.store) * other.store.bytes_each / 2


def test_keys_of_what_sees_all_windows_say_nothing_of_parts(study):
    assert all("part" not in study.settings(e) for e in EXPERIMENTS.values() if (e.users, e.share) == ALL)
    parts = [str(study.settings(e)["part"]) for e in GROW]
    assert len(set(parts)) == len(GROWTH) - 1


def test_fewer_windows_are_no_fewer_steps():
    size = Study("simulated", "long", device="cpu").profile
    for e in GROW:
        base = EXPERIMENTS[e.system].configs(size, 0)[1]
        mine = e.configs(size, 0)[1]
        assert mine.epochs * e.users * e.share >= base.epochs and mine.epochs >= base.epochs
        assert mine.epochs % mine.t_0 == 0  # ends at the least learning rate


def test_who_trains_sizes_and_with_how_many_seeds():
    names = {e.name for e in GROW}
    assert names <= {*trained_by("long", "simulated")} and names <= {*trained_by("smoke", "simulated")}
    for profile, dataset in (("quick", "simulated"), ("paper", "simulated"), ("long", "emg2pose"), ("long", "ninapro")):
        assert not names & {*trained_by(profile, dataset)}, (profile, dataset)
    waveforms = names & {*trained_by("long", "simulated", "waveform")}
    assert {n for n in waveforms if EXPERIMENTS[n].aligned} == {FEW, "CPEP, 4000 windows of 19 users"}
    assert {need for n in waveforms for need in EXPERIMENTS[n].needs} <= waveforms
    options = Namespace(profile="long", seeds=1)
    assert {jobs.n_seeds(e.name, options) for e in GROW if e.users <= 1} == {3}
    assert {jobs.n_seeds(e.name, options) for e in GROW if e.users > 1} == {1}
    assert jobs.n_seeds(FEW, Namespace(profile="smoke", seeds=1)) == 1
    long = Study("simulated", "long", device="cpu").profile
    took = {n: cost(EXPERIMENTS[n], long) / cost(EXPERIMENTS["CPEP"], long) for n in (FEW, MANY)}
    assert took == {FEW: pytest.approx(1), MANY: pytest.approx(176 / 38)}  # as many steps, or more


def test_a_size_s_record_has_scores_and_single_users_and_says_what_it_saw(study):
    found = records.record(study, MANY)
    home = study.home(EXPERIMENTS[MANY])
    assert found.about["pre-training"] == {"windows": len(home.splits.pretrain), "users": 9}
    assert records.recorded(study, MANY, own=True).rows
    assert {(r["system"], r["param"], r["param_value"]) for r in found.rows} == {("CPEP", GROWN, "176, 36000")}
    assert {"balanced_accuracy", "user_recall"} <= {r["metric"] for r in found.rows}
    assert {r["protocol"] for r in found.rows} == {"ZS", "LP"}


# ---- what pages show: made-up rows ------------------------------------------------------------------------------

RATES = {"19, 1000": 0.4, "19, 4000": 0.5, "76, 4000": 0.7, "38, 8000": 0.6, "176, 36000": 0.8}
SEEDS = {"19, 1000": (0, 1, 2), "19, 4000": (0, 1, 2), "76, 4000": (0,), "38, 8000": (0, 1, 2), "176, 36000": (0,)}


def scored(system: str, value: str, seed: int, origin: str = "") -> list[dict]:
    """Zero-shot rows on unseen gestures: a score with its interval and its recalls, of six users of four classes."""
    own = value == "38, 8000"
    how = {"param": "k" if own else GROWN, "param_value": "10" if own else value, "seed": seed, "origin": origin}
    how |= {"system": system, "protocol": "ZS", "classes": "unseen", "gallery": "all", "pooling": "max"}
    how |= {"dataset": "simulated", "profile": "long", "options": "corpus=class set"}
    rate = RATES[value] + 0.01 * seed
    rows = [row(metric="balanced_accuracy", value=rate, low=rate - 0.05, high=rate + 0.05, n=240, **how)]
    for user in range(6):
        for k in range(4):
            recall = round(10 * (rate + 0.02 * (user % 3 - 1))) / 10
            rows.append(row(metric="user_recall", user=f"u{user}", value=recall, n=10, **how, **{"class": k}))
    return rows


def frame(*, without: str = "", system: str = "CPEP") -> pd.DataFrame:
    rows = [
        r for v, seeds in SEEDS.items() if v != without for s in seeds for r in scored(system, v, s, "long run, a, b")
    ]
    return as_frame(rows)


def test_the_table_has_a_line_a_size_and_a_dash_where_a_row_is_missing():
    cells = tables.numbers("growth", frame(), "simulated")
    found = cells[(cells["protocol"] == "ZS") & (cells["classes"] == "unseen")]
    sizes = list(zip(found["windows"], found["users"], strict=True))
    assert sizes == [(1000, 19), (4000, 19), (4000, 76), (8000, 38), (36000, 176)]
    assert found["value"].tolist() == pytest.approx([0.4, 0.5, 0.7, 0.6, 0.8], abs=0.05)
    assert found["interval_kind"].str.contains("3 seeds").tolist() == [True, True, False, True, False]
    printed = tables.text("growth", cells).set_index(["windows", "users"])
    assert printed.loc[("about 4,000", 76), "ZS unseen"] == "0.70 [0.65, 0.75] †"
    lacking = tables.text("growth", tables.numbers("growth", frame(without="76, 4000"), "simulated"))
    assert lacking.set_index(["windows", "users"]).loc[("about 4,000", 76), "ZS unseen"] == "–"
    assert tables.numbers("growth", as_frame(scored("CPEP", "38, 8000", 0)), "simulated").empty  # one size is none


def test_this_run_s_seed_and_committed_ones_are_one_mean_that_says_so():
    rows = frame().assign(origin=lambda f: f["origin"].where(f["seed"] != 0, ""))
    cells = tables.numbers("growth", rows, "simulated").dropna(subset="value").set_index(["windows", "users"])
    assert cells.loc[(8000, 38), "interval_kind"].startswith("95 %, 3 seeds")
    assert cells.loc[(8000, 38), "origin"] == "long run, a, b" and cells.loc[(36000, 176), "origin"] == ""


def test_waveforms_have_lines_up_to_the_default_s_people_alone():
    cells = tables.numbers("growth", frame(system="CPEP on waveforms"), "simulated")
    assert sorted(set(zip(cells["windows"], cells["users"], strict=True))) == [(1000, 19), (4000, 19), (8000, 38)]


def test_sizes_are_compared_by_user_and_four_times_as_many_users_at_equal_windows():
    found = tables.growth_differences(frame(), "simulated")
    sizes = ("1000 of 19", "4000 of 19", "4000 of 76", "8000 of 38", "36000 of 176")
    few, some, others, every, most = (f"CPEP, {size}" for size in sizes)
    steps = [(every, few), (some, few), (most, every), (others, some)]
    assert found["systems"].tolist() == [f"{more} - {less}" for more, less in steps]
    both = tables.growth_differences(pd.concat([frame(), frame(system="EMBridge")]), "simulated")["systems"].tolist()
    leads = [f"EMBridge, {size} - CPEP, {size}" for size in sizes]
    assert set(leads) <= set(both) and len(both) == 2 * len(steps) + len(leads)
    line = found.iloc[3]
    assert line["difference"] == pytest.approx(0.2, abs=0.05) and line["low"] < line["difference"] < line["high"]
    assert len(tables.growth_differences(frame(without="76, 4000"), "simulated")) == 3
    assert tables.growth_differences(as_frame(scored("CPEP", "38, 8000", 0)), "simulated").empty


def test_dots_are_not_joined_and_have_the_whiskers_of_the_table():
    cells = tables.numbers("growth", pd.concat([frame(), frame(system="EMBridge")]), "simulated")
    drawn = figure(cells)
    (ax,) = [ax for ax in drawn.axes if ax.get_title() == "zero-shot, unseen gestures"]
    dots = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    assert {line.get_linestyle() for line in dots} == {"None"} and len(dots) == 4
    assert [len(line.get_xdata()) for line in dots] == [5, 2, 5, 2]  # a system's dots, then its hollow ones over them
    whole, hollow = dots[:2]
    assert hollow.get_markerfacecolor() == "white" and hollow.get_zorder() > whole.get_zorder()
    np.testing.assert_array_equal(hollow.get_xdata(), whole.get_xdata()[[2, 4]])
    named = {text.get_text() for legend in drawn.legends for text in legend.get_texts()}
    assert "one seed" in named
    assert len(ax.collections) == 2  # whiskers, and nothing else
    ends = [segment[:, 1] for segment in ax.collections[0].get_segments()]
    known = cells[(cells["system"] == "CPEP") & cells["value"].notna()].sort_values(["windows", "users"])
    np.testing.assert_allclose(ends, known[["low", "high"]].to_numpy())
    assert [t.get_text() for t in ax.get_xticklabels()][2] == "4,000\n76 users"


def test_rows_on_waveforms_are_called_so_and_no_window_is_cut_to_find_none(study, monkeypatch):
    made = Study("simulated", "quick", out=study.out, device="cpu")
    made.data_key = "known"
    monkeypatch.setattr("embridge.study.build_store", None)
    monkeypatch.setattr(Study, "simulation_folder", study.out)  # there: a run would be looked for
    monkeypatch.setattr(records, "ROOT", study.out)  # where nothing is committed
    assert records.on_waveforms([made], [FEW]) == ([], [FEW])
    monkeypatch.setattr(records, "recorded", lambda s, name, **how: (
        records.Record(study.out, "", scored("CPEP", "19, 1000", s.seed), {}) if s.tokens == "waveform" else None
    ))  # fmt: skip
    rows, missing = records.on_waveforms([made], [FEW])
    assert {r["system"] for r in rows} == {"CPEP on waveforms"} and not missing and made.tokens == ""
