"""Whatever a study leaves says what it was made with: versions, seed, configuration, commit, device and inputs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from embridge import inference, provenance
from embridge.experiments import EXPERIMENTS
from embridge.files import sha256
from embridge.paper import claims, records, results

NAME = "EMBridge"

pytestmark = pytest.mark.no_cover  # a study trained and told whole, which other files do traced


@pytest.fixture(scope="module")
def study(tiny_study):
    """A study that trained, scored and told everything of one system, as ``run_all.sh`` does."""
    study = tiny_study()
    page = results.Page("05_page", study.figures, context=study.context)
    page.read([records.record(study, NAME)])
    page.write()
    claims.write(study.figures, results.collect(study.figures), study.dataset, study.profile.name)
    results.write_provenance(study.figures, {"dataset": study.dataset, "profile": "smoke", "seeds": 1, "out": "x"})
    return study


def read(file) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def checked(found: dict) -> dict:
    """The versions, the device and the commit stand where they stand in all of them."""
    assert found["commit"] == provenance.commit()
    made_on = found["made_on"]
    assert made_on["device"] and made_on["threads"] >= 1 and made_on["embridge"]
    assert {"Python", "torch", "numpy", "scipy", "scikit-learn", "h5py"} < made_on.keys()
    return found


def columns_sha256(store) -> str:
    """Of the table's columns but those of a kind of store alone: digests, and where each window lies."""
    with np.load(store.path / "windows.npz", allow_pickle=False) as columns:
        names = sorted(set(columns) - {"checksum"})
        assert {"digest", "recording", "start", "gesture"} < set(names)
        return hashlib.sha256(b"".join(columns[name].tobytes() for name in names)).hexdigest()


def whole(hexadecimal: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", hexadecimal) is not None


def test_the_simulated_recordings(study):
    made = checked(read(study.simulation_folder / "simulation.json"))
    assert made["simulated"] and made["simulator_version"] and made["config"]["seed"] == study.simulation.seed


def test_the_window_store(study):
    manifest = checked(read(study.store.path / "manifest.json"))
    assert manifest["config"]["window"] == study.windows.window
    assert all(whole(recording["sha256"]) for recording in manifest["recordings"]) and manifest["recordings"]


def test_what_lies_beside_the_runs_and_what_is_read_from_it(study):
    for name in ("windows", "statistics"):
        (file,) = study.out.glob(f"runs/{name}-*.json")
        made = checked(read(file)["provenance"])
        assert made["windows"] == study.store.key and made["windows_sha256"] == columns_sha256(study.store)
    # older ones have none
    before, written = inference.load(study.run(NAME)).windows, read(file)
    file.write_text(json.dumps({name: value for name, value in written.items() if name != "provenance"}))
    assert study._beside_runs("statistics-features", dict) == {k: v for k, v in written.items() if k != "provenance"}
    assert inference.load(study.run(NAME)).windows == before == study.windows
    file.write_text(json.dumps(written))


def test_every_run(study):
    runs = [folder for folder in study.out.glob("runs/*") if folder.is_dir()]
    assert len(runs) == 3
    for folder in runs:
        done, describe = checked(read(folder / "done.json")), read(folder / "config.json")
        assert whole(done["weights_sha256"]) and describe["train"]["seed"] == 0 and describe["model"]
        # its inputs: the windows by their SHA-256, other runs, each of which has its weights' in its own folder
        beside = read(study.out / "runs" / f"windows-{describe['data']}.json")
        assert whole(beside["provenance"]["windows_sha256"])
        assert all([*study.out.glob(f"runs/*-{key}/done.json")] for key in describe["needs"].values())


@pytest.mark.parametrize("what", ["embeddings", "communities"])
def test_arrays_beside_the_weights(study, what):
    (file,) = study.run("Pose-MAE").folder.glob(f"{what}-*.npz")
    with np.load(file, allow_pickle=False) as stored:
        made = checked(json.loads(stored["provenance"].tobytes()))
    assert made["weights_sha256"] == study.run("Pose-MAE").done["weights_sha256"]
    assert made["seed"] == 0 and whole(made["windows_sha256"])


def test_a_record_of_rows(study):
    found = checked(read(records.record_file(study, NAME)))
    assert found["seed"] == 0 and whole(found["weights_sha256"]) and whole(found["windows_sha256"])
    assert found["configuration"] == json.loads(json.dumps(study.describe(EXPERIMENTS[NAME])))
    assert checked(found["trained"])
    assert records.recorded(study, NAME)


def test_a_page_and_the_table_of_all_pages(study):
    page = study.figures / "05_page" / "results.json"
    context = checked(read(page)["context"])
    assert context["seed"] == 0 and context["configuration"] and whole(context["windows_sha256"])
    made = checked(read(study.figures / "provenance.json"))
    assert made["inputs"] == {"05_page/results.json": sha256(page)} and "out" not in made
    assert made["made"] == ["results.csv", "user_recalls.json", "claims.csv", "claims.md"] and made["seeds"] == 1
    assert made["configuration"]["name"] == "smoke"


def test_nothing_else_is_left(study):
    """A new kind of artefact needs its provenance, and its test above."""
    # features alone: a system that reads log-power and frames leaves no waveforms behind
    known = r"""stores/(sources\.json|[^/]*\.lock) | (windows|statistics-features)-\w+\.json
        | stores/\w+/(manifest\.json|windows\.npz|(log-power|frames|power)\.f16)
        | figures/simulated-smoke/(provenance\.json|results\.csv|user_recalls\.json|claims\.(csv|md))
        | [\w-]+-\w{12}/(config\.json|done\.json|log\.csv|weights\.safetensors|lock|(embeddings|communities)-[^/]*)
        | figures/simulated-smoke/(rows/[^/]*|05_page/results)\.json"""
    known = re.compile(rf"((data|runs)/)?({known})", re.VERBOSE)
    files = [file.relative_to(study.out).as_posix() for file in study.out.rglob("*") if file.is_file()]
    simulated = f"data/{study.simulation_folder.name}/"  # simulation.json is for all; the manifest has their SHA-256
    assert [file for file in files if not known.fullmatch(file) and not file.startswith(simulated)] == []
    assert len(files) > 30


def test_an_installed_package_writes_where_it_is_used_and_knows_no_commit(tmp_path):
    """site-packages may lie in another project's repository, and is no place for data and runs."""
    site, here = tmp_path / "repository" / "site-packages", tmp_path / "here"
    shutil.copytree(provenance.ROOT / "embridge", site / "embridge", ignore=shutil.ignore_patterns("__pycache__"))
    here.mkdir()
    subprocess.run(["git", "init", "-q", tmp_path / "repository"], check=True)
    code = "from embridge import provenance as p, study; print(p.commit(), study.Study(device='cpu').stores)"
    env = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-P", "-c", code]
    told = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["unknown", str(here / "data" / "stores")]
    assert provenance.default_out() == provenance.ROOT  # in a clone
