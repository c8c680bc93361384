"""Weights that come with the package: a tiny package made of a smoke run, and the shipped one where it is."""

import json
import re
import shutil
import tomllib

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY
from safetensors.torch import load_file

import embridge
from benchmarks.ship import make
from embridge import pretrained, statistics, training
from embridge.config import RESULTS_VERSION
from embridge.data.splits import SETS, joined
from embridge.errors import InputError
from embridge.experiments import ALIGNED, EXPERIMENTS, LOG_POWER_LDA, find
from embridge.files import read_npz
from embridge.paper import all_stages, comparisons, decoded, kept, new_user, open_choices, open_set, records, scoring
from embridge.paper.described import DESCRIBED, described_rows
from embridge.paper.results import Page, as_frame
from embridge.paper.streamed import streamed_rows
from embridge.pretrained import SYSTEMS, Shipped, open_study
from embridge.run import cli
from embridge.run.pages import STEMS
from runner.notebooks import check_parameters

SHIPPED = sorted(file.parent for file in pretrained.FOLDER.glob("*/manifest.json"))
# what has more than one number only where others than the headline are trained: no picture
WITHOUT = (STEMS["ablations"],)


@pytest.fixture(scope="module")
def run(tiny_study):
    """A finished run of all that is shipped."""
    study = tiny_study()
    for name in SYSTEMS:
        study.run(name)
    return study


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    return make(run, tmp_path_factory.mktemp("place é"))


@pytest.fixture
def package(made, tmp_path, monkeypatch):
    """The folder of a tiny package's copy, in the stead of what is shipped."""
    folder = shutil.copytree(made, tmp_path / "shipped" / made.name)
    monkeypatch.setattr(pretrained, "FOLDER", folder.parent)
    return folder


@pytest.fixture
def tiny(monkeypatch):
    """Shipped studies are of size TINY, which has no name to open it by."""
    real = Shipped.__init__
    how = lambda self, folder, device="auto", out="", size=None: real(self, folder, device, out, TINY)  # noqa: E731
    monkeypatch.setattr(Shipped, "__init__", how)


def change(folder, **fields) -> None:
    """Change the manifest."""
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def furthest(study: Shipped) -> dict[str, float]:
    """By stored embedding how far today's is from it, where windows are raw and where they are the store's."""
    rows = read_npz(study.out / "raw.npz")["id"]
    found = {}
    for name, stored in read_npz(study.out / "embeddings.npz").items():
        system = name.removesuffix(", raw")
        if system != name:
            it = embridge.load(f"{study.out.name}/{system}")
            today = it.encode_pose(it.raw["pose"]) if it.emg is None else it.encode_emg(it.raw["emg"])
        elif find(system).aligned:
            today = study.emg_queries(system, rows)
        else:
            today = study.features(system, rows)
        found[name] = np.abs(today.numpy() - stored).max()
    return found


# ---- what is in it ------------------------------------------------------------------------------------------------


def test_windows_of_d_eval_are_of_all_classes_and_as_the_run_has_them(run, made):
    study = Shipped(made, "cpu", size=TINY)
    origin = run.splits
    assert study.manifest["trained_on"] == len(origin.pretrain) and study.manifest["sha256"].keys() == {
        file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file() and file.name != "manifest.json"
    } | {"windows/manifest.json"}
    columns = ["recording", "start", "gesture", "user"]
    for part, whole in (("evaluation", joined(origin.evaluation)), ("pretrain", origin.pretrain)):
        ids = getattr(study.splits, part)
        ids = joined(ids) if isinstance(ids, dict) else ids
        here, there = (t.set_index(columns[:2]) for t in (study.store.table.loc[ids], run.store.table.loc[whole]))
        assert len(ids) and here.index.isin(there.index).all()
        assert (here["gesture"] == there["gesture"].loc[here.index]).all()
        at = run.store.table.reset_index().set_index(columns[:2])["index"].loc[here.index].to_numpy()
        assert torch.equal(study.store.read_emg(ids), run.store.read_emg(at))
        assert torch.equal(study.store.read_pose(ids), run.store.read_pose(at))
        assert np.array_equal(study.band_power(ids), run.band_power(at))
    for classes, ids in study.splits.evaluation.items():
        assert set(study.store.table["gesture"].loc[ids]) == set(origin.classes[classes])
    study.splits.check_evaluable()
    study.store.verify()


def test_weights_are_the_run_s_and_a_copy_of_another_run_s_is_left_out(run, made):
    study = Shipped(made, "cpu", size=TINY)
    for name in SYSTEMS:
        mine, here = run.run(name), study.run(name)
        assert here.key == mine.key and here.done == mine.done and here.log.equals(mine.log)
        assert all(torch.equal(a, b) for a, b in zip(mine.model.state_dict().values(), here.model.state_dict().values(),
                                                     strict=True))  # fmt: skip
    stored = {name: load_file(study.run(name).folder / "weights.safetensors") for name in SYSTEMS}
    assert not any(".pose_feed_forward." in key for key in stored["Q-Former"])
    assert any(".pose_feed_forward." in key for key in stored["EMBridge"])  # there it has moved
    objective = EXPERIMENTS["EMBridge"].objective
    assert np.array_equal(study.communities(objective), run.communities(objective))


def test_stored_embeddings_are_those_of_today(package, tiny):
    found = furthest(Shipped(package, "cpu"))
    assert len(found) == 2 * len(SYSTEMS) and max(found.values()) < 1e-4


def test_a_moved_weight_moves_an_embedding(package, tiny):
    study = Shipped(package, "cpu")
    with torch.no_grad():
        study.run("CPEP").model.head.weight[0] += 0.1
    assert furthest(study)["CPEP"] > 1e-4


@pytest.mark.skipif(not SHIPPED, reason="no weights are shipped in this version yet")
@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_weights_give_what_they_gave(folder):
    assert max(furthest(Shipped(folder, "cpu")).values()) < 1e-4
    sizes = {file: file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    assert max(sizes.values()) < 3e6 and sum(sizes.values()) < 15e6
    declared = tomllib.loads((cli.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    packaged = {file for pattern in declared["embridge"] for file in (cli.ROOT / "embridge").glob(pattern)}
    assert set(sizes) <= packaged


# ---- by name ------------------------------------------------------------------------------------------------------


def test_a_system_by_name_votes_on_its_own_windows(package, tiny):
    system = embridge.load(f"{package.name}/EMBridge")
    assert system.name == "EMBridge" and not system.model.training
    assert system.pose_embeddings.shape == (len(system.ids), TINY.model.d)
    emg, row = system.raw["emg"], system.raw["row"]
    assert emg.shape == (8, 16, 4000) and len(set(system.gestures[row])) == 8
    cosine, nearest = system.nearest(emg[0])
    v = torch.nn.functional.normalize(system.pose_embeddings, dim=1)
    expected = (system.encode_emg(emg[:1])[0] @ v.T).amax(0).topk(len(cosine))
    assert torch.allclose(cosine, expected.values, atol=1e-5) and set(nearest.tolist()) == set(
        expected.indices.tolist()
    )
    votes = dict(zip(*np.unique(system.gestures[nearest], return_counts=True), strict=True))
    assert votes[system.vote(emg[0])] == max(votes.values())


@pytest.mark.parametrize("name", ["smoke/EMBridge", "simulated-smoke/EMBrige", "runs/embridge-0", "../x/EMBridge"])
def test_an_unknown_name_is_told_with_the_known_ones(package, name):
    with pytest.raises(InputError, match="neither the folder of a run nor shipped; shipped are simulated-smoke/"):
        embridge.load(name)


def test_what_is_not_aligned_has_no_nearest_poses(package, tiny):
    with pytest.raises(InputError, match="EMG-MAE is not aligned"):
        embridge.load(f"{package.name}/EMG-MAE").vote(np.zeros((16, 4000)))


@pytest.mark.parametrize("damaged", ["runs/*/weights.safetensors", "windows/frames.f16", "raw.npz", "runs/*/log.csv"])
def test_a_damaged_file_and_a_missing_one_are_named(package, damaged):
    file = next(package.glob(damaged))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(InputError, match=f"{file.name} is missing or damaged"):
            embridge.load(f"{package.name}/EMBridge")
        file.unlink(missing_ok=True)


def test_a_torn_manifest_another_version_and_another_profile_are_refused(package):
    name = f"{package.name}/EMBridge"
    with pytest.raises(InputError, match="of another smoke profile; python -m benchmarks.ship"):
        embridge.load(name)  # it is TINY
    change(package, results_version=RESULTS_VERSION - 1)
    with pytest.raises(InputError, match=f"RESULTS_VERSION {RESULTS_VERSION}, found {RESULTS_VERSION - 1}"):
        embridge.load(name)
    (package / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="manifest.json is damaged"):
        embridge.load(name)


# ---- opened alone -------------------------------------------------------------------------------------------------


def test_a_chapter_has_its_own_run_or_what_is_shipped(run, package, tiny_study, tmp_path, capsys):
    how = {"device": "cpu", "size": TINY}
    shown = open_study("simulated", "smoke", False, out=tmp_path, **how)
    told = capsys.readouterr().out
    assert isinstance(shown, Shipped) and told.count("\n") == 1 and "train = True trains anew" in told
    assert f"trained on {len(run.splits.pretrain)} windows" in told and not list(tmp_path.glob("[!s]*"))
    assert shown.figures == tmp_path / "figures" / "simulated-smoke-pretrained"
    assert not isinstance(open_study("simulated", "smoke", True, out=tmp_path, **how), Shipped)
    mine = open_study("simulated", "smoke", False, out=run.out, **how)
    assert not isinstance(mine, Shipped) and mine.run("EMBridge").key == run.run("EMBridge").key
    assert isinstance(open_study("simulated", "smoke", False, out=tiny_study().out, **how), Shipped)  # data, no runs
    assert capsys.readouterr().out.count("\n") == 1


def test_nothing_is_trained_or_written_beside_what_is_shipped(package, tmp_path):
    study, before = Shipped(package, "cpu", tmp_path, TINY), sorted(package.rglob("*"))
    for name in ("CPEP-LS", next(name for name, e in EXPERIMENTS.items() if e.system == "EMBridge")):
        with pytest.raises(InputError, match=f"{re.escape(name)} is not among the shipped weights"):
            study.run(name)
    with pytest.raises(InputError, match="set train = True to centre poses"):
        study.frozen_embeddings(study.splits.pretrain, "Pose-MAE", "centred")
    with pytest.raises(InputError, match="no such communities"):
        study.communities(EXPERIMENTS["EMBridge"].objective, how="mean")
    assert study.pose_embeddings(study.splits.pretrain).isfinite().all() and study.context["simulated"]
    assert sorted(package.rglob("*")) == before and not (tmp_path / "data").exists()


def test_without_shipped_weights_a_chapter_says_what_to_set(package, tmp_path):
    with pytest.raises(InputError, match=r"none for simulated-quick \(simulated-smoke\).*set train = True"):
        open_study("simulated", "quick", False, device="cpu", out=tmp_path)
    assert not list(tmp_path.glob("data"))


@pytest.fixture(scope="module")
def committed(run, tmp_path_factory):
    """A repository's root whose figures/ holds what a finished run commits: its records and its pages' own rows."""
    for name in SYSTEMS:
        records.record(run, name)
    pairs = [("EMBridge", "CPEP"), ("EMBridge", "Q-Former"), ("Q-Former", "CPEP")]
    made = {
        "results": scoring.no_network_rows(run),
        "appendix": comparisons.audit(run, [run], pairs) + scoring.mean_pose_rows(run) + scoring.true_pose_rows(run)
        + [r for classes in SETS for r in comparisons.shuffled_labels(run, classes)],
        "efficiency": [r for classes in SETS for r in scoring.few_shot(run, LOG_POWER_LDA, classes)],
        "open_choices": open_choices.evaluated(run),
        "beyond": [r for r in described_rows(run) if r["gallery"] == DESCRIBED] + open_set.open_set_rows(run)
        + all_stages.all_stages_rows(run) + new_user.moved_rows(run) + new_user.own_rows(run)
        + new_user.recentred_rows(run) + decoded.decoded_rows(run) + streamed_rows(run),
    }  # fmt: skip
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(run.figures / "rows", root / "figures" / run.figures.name / "rows")
    for name, rows in made.items():
        page = Page(STEMS[name], root / "figures" / run.figures.name, context=run.context)
        page.rows(rows)
        page.write()
    return root


@pytest.fixture
def results(committed, monkeypatch):
    monkeypatch.setattr(records, "ROOT", committed)
    monkeypatch.setattr(kept, "ROOT", committed)


def test_scores_are_committed_ones_of_all_windows_and_none_is_of_the_shipped(run, package, results):
    study = Shipped(package, "cpu", size=TINY)
    found, missing = records.read([study], ["EMBridge", "CPEP", "CPEP-LS"])
    assert missing == ["CPEP-LS"] and [r.rows for r in found] == [
        records.recorded(run, name).rows for name in ("EMBridge", "CPEP")
    ]
    assert scoring.no_network_rows(study) == scoring.no_network_rows(run)
    assert comparisons.shuffled_labels(study, "in") == comparisons.shuffled_labels(run, "in")
    assert scoring.true_pose_rows(study) == scoring.true_pose_rows(run)
    assert open_choices.evaluated(study) == open_choices.evaluated(run)
    for score in (lambda: scoring.zero_shot_outcomes(study, "EMBridge", "in"), lambda: scoring.no_network(study, "in")):
        with pytest.raises(InputError, match="a part of D_eval is here, which is not scored; set train = True"):
            score()
    differences, steps = comparisons.audited(comparisons.audit(study, [study], []))
    pairs = [("EMBridge", "CPEP"), ("EMBridge", "Q-Former"), ("Q-Former", "CPEP")]
    outcomes = [o for s in ALIGNED for c in SETS for o in scoring.zero_shot_outcomes(run, s, c, brief=True)]
    expected = comparisons.audited(comparisons.difference_rows(outcomes, pairs, run))
    pd.testing.assert_frame_equal(differences, expected[0])
    pd.testing.assert_frame_equal(steps, expected[1])


def test_confusions_and_users_are_those_of_the_predictions(run, package, results):
    frame = as_frame(r for record in records.read([run], ALIGNED)[0] for r in record.rows)
    confusions, f1, users = comparisons.shown(frame, run)
    for system in ALIGNED:
        found = scoring.zero_shot_outcomes(run, system, "unseen", brief=True)
        (o,) = (o for o in found if o.gallery == "all")
        assert np.array_equal(confusions[system], statistics.confusion(o.y, o.predicted, 4))
        np.testing.assert_allclose(f1[system], statistics.per_class_f1(o.y, o.predicted, 4))
        assert users[system].to_dict() == pytest.approx(statistics.per_group_f1(o.y, o.predicted, o.groups, 4))


def rewrite(root, old, new):
    """Replace a pattern in every committed page and record below ``root``, which must hold it in each."""
    for file in [*root.glob("figures/*/*/results.json"), *root.glob("figures/*/rows/*.json")]:
        text, n = re.subn(old, new, file.read_text())
        assert n
        file.write_text(text)


def test_committed_rows_of_another_processor_s_bits_are_shown(run, package, tmp_path, committed, monkeypatch):
    root = shutil.copytree(committed, tmp_path / "root")
    monkeypatch.setattr(kept, "ROOT", root)
    monkeypatch.setattr(records, "ROOT", root)
    rewrite(root, r'"(windows|windows_sha256|key)": "..', r'"\1": "00')
    study = Shipped(package, "cpu", size=TINY)
    assert scoring.no_network_rows(study) == scoring.no_network_rows(run)
    assert records.recorded(study, "CPEP").rows == records.recorded(run, "CPEP").rows


def test_committed_rows_of_another_configuration_are_not_shown(package, tmp_path, committed, monkeypatch):
    root = shutil.copytree(committed, tmp_path / "root")
    monkeypatch.setattr(kept, "ROOT", root)
    monkeypatch.setattr(records, "ROOT", root)
    rewrite(root, r'"(n_bootstrap|n_queries)": ', r'"\1": 1')
    study = Shipped(package, "cpu", size=TINY)
    with pytest.raises(InputError, match="has no rows of no_network_rows of this configuration; set train = True"):
        scoring.no_network_rows(study)
    assert records.recorded(study, "CPEP") is None


def test_a_finished_run_of_one_s_own_is_shown_and_trains_no_more(run, package):
    mine = open_study("simulated", "smoke", False, out=run.out, device="cpu", size=TINY)
    assert records.read([mine], ["CPEP-LS"]) == ([], ["CPEP-LS"])
    with pytest.raises(InputError, match="CPEP-LS is not trained here; set train = True to train it"):
        mine.run("CPEP-LS")
    with pytest.raises(InputError, match="of seed 0, found seed 3; set train = True"):
        open_study("simulated", "smoke", False, seed=3, device="cpu", out=package, size=TINY)


@pytest.mark.skipif(not SHIPPED, reason="no weights are shipped in this version yet")
@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_committed_rows_are_those_of_what_is_shipped(folder):
    study = Shipped(folder, "cpu")
    assert all(records.recorded(study, name, own=True) for name in SYSTEMS) and scoring.no_network_rows(study)


@pytest.mark.no_cover  # t-SNE and pictures, traced, take minutes
@pytest.mark.parametrize("stem", STEMS.values())
def test_each_chapter_runs_on_what_is_shipped(stem, package, tiny, results, tmp_path, monkeypatch, capsys):
    def no_training(*_, **__):
        raise AssertionError("it trains")

    monkeypatch.setattr(training, "train", no_training)
    monkeypatch.setenv("MPLBACKEND", "agg")
    check_parameters(cli.NOTEBOOKS / f"{stem}.ipynb", {"train": False})
    names: dict = {}
    for cell in nbformat.read(cli.NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, stem, "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {"profile": "smoke", "out": str(tmp_path)}
            monkeypatch.setattr(pretrained, "Study", lambda *a, real=pretrained.Study, **k: real(*a, size=TINY, **k))
    assert "Shipped weights (simulated-smoke" in capsys.readouterr().out
    pages = tmp_path / "figures" / "simulated-smoke-pretrained" / stem
    assert (pages / "results.json").exists() and bool(list(pages.glob("*.png"))) == (stem not in WITHOUT)
    assert not list(tmp_path.glob("runs")) and not list(tmp_path.glob("data"))


# ---- how it is made -----------------------------------------------------------------------------------------------


def test_an_unfinished_run_is_not_shipped(tiny_study, tmp_path):
    study = tiny_study()
    study.run("Pose-MAE")
    with pytest.raises(InputError, match="holds no finished run simulated-smoke"):
        make(study, tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_a_second_one_takes_the_first_one_s_place(run, package):
    (package / "old").write_text("")
    assert make(run, package.parent) == package and not (package / "old").exists()
    assert [path.name for path in package.parent.iterdir()] == [package.name]
