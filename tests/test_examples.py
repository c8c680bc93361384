"""What README and docs/ show of building on the package, run as it stands there."""

import importlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from embridge import losses
from embridge.config import ObjectiveConfig, WindowConfig
from embridge.data.recordings import Recording, Source
from embridge.data.splits import split_by_column
from embridge.errors import EMBridgeWarning, InputError
from embridge.paper import scoring
from embridge.run.cli import ROOT
from embridge.study import Study

PEOPLE = {"train": ("anna", "ben"), "val": ("carl", "cleo"), "test": ("dora",)}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(section: str, page: str = "README.md") -> list[str]:
    """The Python of one section of README or of a page of docs/."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"## {section}\n")[1]
    return re.findall(r"```python\n(.*?)```", re.split(r"^## ", text, flags=re.MULTILINE)[0], re.DOTALL)


def write_recordings(folder) -> None:
    """A .npz of 3 s for each person and gesture, two of them for each; gestures differ in pose and in strength."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, people in PEOPLE.items():
        for person in people:
            for i, gesture in enumerate(("fist", "pinch", "point", "wave")):
                for session in (1, 2):
                    emg = 1e-4 * (1 + i) * rng.standard_normal((6000, 8)) + 0.1  # an offset, which the filter removes
                    pose = np.sin(np.arange(6000)[:, None] / 500 + np.arange(20) * i) + 0.01 * rng.random((6000, 20))
                    np.savez(folder / f"{split}_{person}_{gesture}_{session}.npz", emg=emg, pose=pose)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What the section "Your own data" leaves behind, run at smoke size."""
    place = tmp_path_factory.mktemp("own")
    write_recordings(place / "recordings")
    (code,) = blocks("Your own data")
    assert '"quick"' in code
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(str(ROOT / "examples"))
        found = {}
        exec(compile(code.replace('"quick"', '"smoke"'), "README.md", "exec"), found)
        yield found
        sys.modules.pop("own_data")


def test_the_example_has_at_most_forty_lines():
    lines = (ROOT / "examples" / "own_data.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40 and f"in {len(lines)} lines" in README


@pytest.mark.parametrize("section", ["Your own data", "Your own loss"])
def test_a_section_of_readme_has_at_most_fifteen_lines_of_code(section):
    assert 0 < len("".join(blocks(section)).splitlines()) <= 15


def test_the_study_from_python_gives_what_the_page_says(tiny_study):
    code, _ = blocks("From Python", "docs/options.md")
    line, setup = 'study = Study("simulated", "smoke")', "from embridge.study import Study"
    assert line in code and setup in code
    found = {"study": tiny_study()}
    exec(compile(code.replace(line, ""), "options.md", "exec"), found)
    n, shape = len(found["study"].splits.evaluation["unseen"]), found["study"].profile.model
    assert found["queries"].shape == (n, shape.n_queries, shape.d) and found["poses"].shape == (n, shape.d)


def test_recordings_of_ones_own_are_read_cut_split_and_trained_on(built):
    study = built["study"]
    table = study.store.table
    assert len(table) == 5 * 4 * 2 and study.store.emg_f16.shape[1:] == (8, 80)  # one window of 2 s in each 3 s
    assert {study.splits.table.user[i] for i in study.splits.pretrain} == {"anna", "ben"}
    assert set(table.gesture[study.splits.pretrain]) == {"fist", "pinch"}
    signals = study.source.recordings[0].load()
    waveforms = study.store_of("waveform")
    np.testing.assert_allclose(waveforms.read_pose([0])[0], signals.pose[:4000].T, atol=1e-3)
    frames = signals.pose[:4000].T.reshape(20, 80, 50).mean(2)
    np.testing.assert_allclose(study.store.read_pose([0])[0], frames, atol=1e-3)
    assert not study.simulated and study.figures.name == "my-recordings-smoke"
    assert np.isfinite(built["run"].log["loss"]).all()
    assert built["run"].folder.is_relative_to(study.out / "runs")


def test_what_the_section_computes_has_the_shapes_that_it_says(built):
    shape = built["study"].profile.model
    assert built["queries"].shape == (1, shape.n_queries, shape.d) and built["poses"].shape == (1, shape.d)
    assert built["cosine"].shape == (1, 1) and -1 <= built["cosine"].item() <= 1


def test_recordings_that_are_left_out_evaluate_as_the_page_says(built):
    (code,) = blocks("One person, several recordings", "docs/data.md")
    found = dict(built)
    exec(compile(code, "README.md", "exec"), found)
    splits = found["split"](built["study"].store.table)
    sessions = {part: set(splits.table.session.iloc[ids]) for part, ids in splits.named().items() if len(ids)}
    assert sessions["pre-training"] == {f"{person}-1" for people in PEOPLE.values() for person in people}
    assert sessions["D_eval, in"] == {f"{person}-2" for people in PEOPLE.values() for person in people}
    assert splits.policies == ("all", "not-self", "other-recordings") and splits.dataset == "my-recordings"


@pytest.mark.parametrize("classes", ["in", "unseen"])
def test_recordings_of_ones_own_are_scored(built, classes):
    row = scoring.probe_outcome(built["study"], "EMBridge", classes).rows[0]
    assert row["dataset"] == "my-recordings" and 0 <= row["value"] <= 1 and row["paper_value"] is None
    one, line = (outcome.rows[0] for outcome in scoring.no_network(built["study"], classes))
    assert one["value"] == 0.5 and 0 <= line["value"] <= 1  # two classes a set
    found = {o.gallery for o in scoring.zero_shot_outcomes(built["study"], "EMBridge", classes)}
    assert {"all", "not-self"} <= found


def test_a_user_on_two_sides_is_a_leak(built):
    table = built["study"].store.table.copy()
    table.loc[table.split == "test", "user"] = "anna"
    with pytest.raises(InputError, match="leak: the user anna is both in train and in test"):
        split_by_column("mine", table, {"in": ("fist", "pinch"), "unseen": ("point", "wave")})


def test_a_source_needs_windows_and_a_split_and_a_name_of_its_own(tmp_path):
    source = Source("mine", tmp_path, (), reader_version="1")
    with pytest.raises(InputError, match="expected a Source with windows and split"):
        Study(source, windows=WindowConfig())
    with pytest.raises(InputError, match="expected a Source with windows and split"):
        Study("simulated", split=lambda table: None)
    taken = Source("emg2pose", tmp_path, (), reader_version="1")
    with pytest.raises(InputError, match="'emg2pose', which is taken"):
        Study(taken, windows=WindowConfig(), split=lambda table: None)


def test_a_loss_of_ones_own_is_one_function_and_one_line(built, monkeypatch):
    define, use = blocks("Your own loss")
    monkeypatch.setattr(losses, "TARGETS", dict(losses.TARGETS))
    exec(compile(define, "README.md", "exec"), vars(losses))
    try:
        rng = np.random.default_rng(3)
        u, v = rng.standard_normal((2, 5, 4))
        objective = ObjectiveConfig(soft_targets="x-clr", alpha=0.7, tau_s=0.3)
        scale = torch.tensor(2.0).log()
        ours, parts = losses.alignment_loss(torch.tensor(u), torch.tensor(v), scale, objective)
        u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (u, v))
        log_q = 2 * u @ v.T - np.log(np.exp(2 * u @ v.T).sum(1, keepdims=True))
        y = np.exp(v @ v.T / 0.3)
        y /= y.sum(1, keepdims=True)
        soft = -(y * log_q).sum(1).mean()
        assert y.diagonal().min() > y.mean()  # the pair is a candidate, unlike in CASCLe
        assert parts["soft"].item() == pytest.approx(soft, rel=1e-5)
        assert ours.item() == pytest.approx(-log_q.diagonal().mean() + 0.7 * soft, rel=1e-5)
        found = {"study": built["study"]}
        exec(compile(use, "README.md", "exec"), found)
    finally:
        vars(losses).pop("x_clr")
    assert found["run"].name == "X-CLR" and found["run"].key != built["run"].key
    assert found["run"].log["soft"].iloc[0] != built["run"].log["soft"].iloc[0]


def test_the_example_is_importable_by_a_worker(built):
    """Processes that cut windows get the recording, and with it the reader, pickled."""
    recording = built["study"].source.recordings[0]
    assert pickle.loads(pickle.dumps(recording)).n_samples() == 6000
    assert importlib.import_module("own_data").load is recording.loader


POOL = """import multiprocessing
def one(code):
    exec(code)
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.map(one, [CODE])
"""


@pytest.mark.parametrize("how", ["file", "stdin", "pool"])
def test_the_section_runs_however_it_is_started(tmp_path, how):
    """Without a main guard: in a file, on standard input, and in a pool, whose workers may have no children."""
    write_recordings(tmp_path / "recordings")
    (code,) = blocks("Your own data")
    code = code.replace('"quick"', '"smoke"')
    (tmp_path / "script.py").write_text(POOL.replace("CODE", repr(code)) if how == "pool" else code)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "examples")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    argv, given = (["-"], code) if how == "stdin" else (["script.py"], "")
    done = subprocess.run(
        [sys.executable, *argv], cwd=tmp_path, env=environment, input=given, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert len(list((tmp_path / "mine" / "runs").glob("embridge-*/done.json"))) == 1


# One person, a board, a camera and prompts

PATTERNS = ("01011", "10000", "00000", "11111")


def write_board(folder, recordings=(1, 2, 3), seconds=21.0) -> None:
    """Files as of the board's: held rows, a time that is there twice, offsets, clocks that begin apart, a lost hand."""
    folder.mkdir()
    fingers = ["thumb", "index", "middle", "ring", "pinky"]
    for n in recordings:
        rng = np.random.default_rng(n)
        order = [PATTERNS[(i + n) % 4] for i in range(4)] + [PATTERNS[0]]
        asked = pd.DataFrame([list(map(float, pattern)) for pattern in order], columns=fingers)
        asked.insert(0, "timestamp", 40 + 5001 * np.arange(5))
        at = np.arange(106, 106 + 1000 * seconds, 4)
        which = np.clip((at - 40) // 5001, 0, 4).astype(int)
        loud = np.array([1 + 3 * float(order[i][1]) + np.arange(8) * float(order[i][0]) for i in which])
        emg = pd.DataFrame(-4000 + 1000 * np.arange(8) + loud * rng.standard_normal((len(at), 8)))
        emg[emg.index % 4 == 3] = np.nan  # a quarter is held
        emg = emg.ffill().set_axis([f"ch_{i + 1}" for i in range(8)], axis=1)
        emg.insert(0, "timestamp", at.astype(int))
        at = np.arange(0, 1000 * seconds, 8)
        new = np.arange(len(at)) // 5 * 5  # a fifth is new
        which = np.clip((at[new] - 40) // 5001, 0, 4).astype(int)
        pose = np.array([[float(x) for x in order[i]] for i in which]) / 2 + 0.3 + 0.01 * rng.random((len(at), 5))[new]
        pose[(at > 7000) & (at < 7300)] = np.nan
        pose = pd.DataFrame(pose, columns=fingers)
        pose.insert(0, "timestamp", at.astype(int))
        emg = pd.concat([emg[:1], emg])
        for kind, table in (("exg", emg), ("angle", pose), ("prompt", asked)):
            table.to_csv(folder / f"s1_{kind}_{n}.csv", index=False)


@pytest.fixture(scope="module")
def board():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples"))
        yield importlib.import_module("own_data_openbci")
        sys.modules.pop("own_data_openbci")


def test_the_boards_example_has_at_most_eighty_lines():
    assert len((ROOT / "examples" / "own_data_openbci.py").read_text(encoding="utf-8").splitlines()) <= 80


def test_held_rows_and_repeated_times_go_and_what_is_lost_stays_lost(board):
    values = {"x": [0.0, 0.0, 4.0, 4.0, 4.0, np.nan, 1.0], "y": [0.0, 0.0, 0.0, 0.0, 0.0, np.nan, 1.0]}
    found = pd.DataFrame(values, index=[0, 1, 2, 3, 4, 5, 6])
    x, y = board.resampled(found, np.array([0.0, 1.0, 2.0, 4.0, 5.5, 6.0])).T
    np.testing.assert_array_equal(x, [0, 2, 4, np.nan, np.nan, 1])  # from 0 to 4 in two steps: the second 0 was held
    np.testing.assert_array_equal(y, [0, 0, 0, np.nan, np.nan, 1])


def test_the_boards_files_become_one_clock_and_a_stretch_a_prompt(board, tmp_path):
    write_board(tmp_path / "board", (1,))
    columns = {"user": "s1", "session": "s1", "gesture": "", "hand": "", "sample_rate": 250}
    recording = Recording("s1_exg_1", tmp_path / "board" / "s1_exg_1.csv", loader=board.load, **columns)
    signals, at = recording.load(), board.clock(recording)
    assert len(signals.emg) == len(signals.pose) == len(at) and at[0] == 0.106 and at[-1] <= 20.992
    assert signals.emg.shape[1] == 8 and signals.pose.shape[1] == 5 and np.isfinite(signals.emg).all()
    np.testing.assert_allclose(signals.emg.mean(0), -4000 + 1000 * np.arange(8), atol=1)
    lost = np.isnan(signals.pose).any(1)
    assert at[lost].min() > 6.9 and at[lost].max() < 7.4 and lost.sum() > 70
    edges = [(at[s.start], at[s.stop], s.gesture) for s in signals.segments]
    assert [e[2] for e in edges] == ["10000", "00000", "11111", "01011"]
    np.testing.assert_allclose(
        [e[:2] for e in edges], [(1.04 + 5.001 * i, 5.041 + 5.001 * i) for i in range(4)], atol=5e-3
    )


def shown(capsys) -> dict[str, list[float]]:
    """What the example prints: by name its value, interval and the value of each recording."""
    head, *lines = capsys.readouterr().out.splitlines()
    number = r"(?:\d\.\d\d|nan)"
    return {"": [head]} | {
        line.partition(":")[0].strip(): [float(x) for x in re.findall(number, line.partition(":")[2])] for line in lines
    }


def test_the_boards_recordings_are_each_left_out_once_and_the_result_is_printed(board, tmp_path, capsys):
    write_board(tmp_path / "board")
    lost = r"windows left out of \d+: \d+ with a NaN in the pose \(s1_exg_1 \d+, s1_exg_2 \d+, s1_exg_3 \d+\)$"
    with pytest.warns(EMBridgeWarning, match=lost):
        board.main(tmp_path / "board", tmp_path / "out", "smoke")
    found = shown(capsys)
    assert found.pop("") == ["balanced accuracy of 4 patterns (chance 0.25): 00000 01011 10000 11111"]
    lines = ["Log-power + LDA LP", "Upper bound LP", "CPEP LP", "CPEP ZS all", "CPEP ZS not-self"]
    assert list(found) == lines and all(len(values) == 6 for values in found.values())
    assert all(0 <= x <= 1 for values in found.values() for x in values)
    assert found["Log-power + LDA LP"][0] > 0.6 and found["Upper bound LP"][0] > 0.6  # as they were made


def test_a_folder_without_the_boards_files_is_told(board, tmp_path):
    with pytest.raises(SystemExit, match="expected the files s1_exg_N.csv, .*, found none"):
        board.main(tmp_path)


@pytest.mark.real("EMBRIDGE_OPENBCI_MEDIAPIPE")
def test_the_real_boards_recordings_hold_ten_patterns_in_common(board, tmp_path, capsys):
    board.main(Path(os.environ["EMBRIDGE_OPENBCI_MEDIAPIPE"]), tmp_path / "out", "smoke")
    found = shown(capsys)
    assert found.pop("")[0].startswith("balanced accuracy of 10 patterns (chance 0.10): 00000 00100 00111 01011 01111")
    assert len(found) == 5 and all(len(values) == 6 and 0 <= min(values) for values in found.values())
