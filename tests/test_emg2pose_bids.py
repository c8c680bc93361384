"""emg2pose as EMG-BIDS: the same recordings as in the HDF5 form, each trap of the format, and what is refused."""

import csv
import importlib.util
import json
import os
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY, refuse_folders, series, write_session

import embridge
from benchmarks import bids
from embridge.config import SimulationConfig
from embridge.data import bdf, emg2pose_bids
from embridge.data.cutting import arrays_of
from embridge.data.emg2pose import IN_CLASSES, open_emg2pose
from embridge.data.emg2pose_bids import open_either
from embridge.data.windows import build_store
from embridge.datasets import DATASETS, make_splits, window_config
from embridge.errors import EMBridgeWarning, InputError
from embridge.simulator import write
from embridge.simulator.gestures import TWO_HANDED
from embridge.simulator.plan import COLUMNS, PlannedFile, plan
from embridge.study import Study

PEOPLE = SimulationConfig(
    train_users=2, val_users=2, test_users=1, sessions=1, train_seconds=4.3, eval_seconds=4.3, held_out_stage_users=0
)
STAGE = "HandClawGraspFlicks"
WINDOWS = window_config("emg2pose")


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """The same recordings of both hands three times: HDF5, EMG-BIDS as released, and as newer tools write it."""
    folder = tmp_path_factory.mktemp("données é")
    stages = (*IN_CLASSES, TWO_HANDED[0])
    files = [f for f in bids.with_other_hands(plan(PEOPLE)) if f.split != "train" or f.recording in stages]
    (folder / "hdf5").mkdir()
    for file in files:
        write.write_recording(folder / "hdf5", PEOPLE.seed, file)
    write.write_table(folder / "hdf5" / "metadata.csv", COLUMNS, [file.row() for file in files])
    for name, radians, splits in (("bids", False, "metadata"), ("newer", True, "scans")):
        arranged = bids.arranged(files)
        for file in arranged:
            bids.write_recording(folder / name, PEOPLE.seed, radians, file)
        bids.write_tables(folder / name, arranged, splits)
    return {
        "hdf5": open_emg2pose(folder / "hdf5"),
        "bids": open_either(folder / "bids"),
        "newer": open_either(folder / "newer"),
    }


@pytest.fixture(scope="module")
def stores(forms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    kinds = ("features", "waveform")
    return {
        (name, kind): build_store(source, WINDOWS, folder, kind, workers=1, progress=False)
        for name, source in forms.items()
        for kind in kinds
        if (name, kind) != ("newer", "waveform")
    }


def one(folder, *, n_samples=5000, number=1, radians=False, splits="metadata", others=()):
    """A dataset of one recording (and ``others`` of further stages); returns the path of its file."""
    planned = PlannedFile("0007", 0, STAGE, "left", "train", "none", n_samples / 2000)
    files = bids.arranged([planned, *(replace(planned, stage=stage) for stage in others)])
    files = tuple(replace(file, number=number + i) for i, file in enumerate(files))
    for file in files:
        bids.write_recording(folder, 0, radians, file)
    bids.write_tables(folder, files, splits)
    return folder / files[0].path


def opened(folder):
    return open_either(folder).recordings[0]


def edit_json(path, **changes):
    """Change the sidecar of a recording; None takes a name out."""
    path = path.with_suffix(".json") if path.suffix == ".bdf" else path
    told = (json.loads(path.read_text()) if path.exists() else {}) | changes
    path.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))


def edit_table(path, **changes):
    """Change columns of a tab-separated table; None takes one out."""
    with open(path, newline="") as file:
        rows = [row | changes for row in csv.DictReader(file, delimiter="\t")]
    columns = [name for name in rows[0] if rows[0][name] is not None]
    write.write_table(path, columns, [{name: row[name] for name in columns} for row in rows], "\t")


def rewrite(path, *, annotations=None, change=lambda data, label: data, dimension=None):
    """Write a BDF file again, with other annotations (None: the same), samples or joint unit."""
    from edfio import Bdf, BdfSignal, read_bdf

    old = read_bdf(path)
    signals = []
    for signal in old.signals:
        data = change(signal.data.copy(), signal.label)
        unit = dimension if dimension is not None and signal.label.startswith("joint") else signal.physical_dimension
        signals.append(BdfSignal(data, 2000, label=signal.label, physical_dimension=unit))
    notes = old.annotations if annotations is None else annotations
    Bdf(signals, data_record_duration=1.0, annotations=notes).write(path)


def places(a, b):
    """By how many units in the last place float16 arrays differ."""
    a, b = (x.view(np.int16).astype(int) for x in (a, b))
    a, b = (np.where(x < 0, -(x & 0x7FFF), x) for x in (a, b))
    return np.abs(a - b)


# ---- the same recordings in both forms


def test_recordings_are_those_of_the_hdf5_form(forms):
    names = ("key", "user", "gesture", "hand", "sample_rate", "split", "generalization")
    for form, more in (("bids", ("session", "moving_hand")), ("newer", ())):
        about = {s: [[getattr(r, n) for n in (*names, *more)] for r in forms[s].recordings] for s in ("hdf5", form)}
        assert about["hdf5"] == about[form]
        for one, other in zip(forms["hdf5"].recordings, forms[form].recordings, strict=True):
            assert one.n_samples() == other.n_samples()
    told = [json.loads(r.path.with_suffix(".json").read_text()) for r in forms["bids"].recordings]
    assert 0 < sum("ValidSamples" not in t for t in told) < len(told) / 4, "some lengths came from scans.tsv"
    assert {r.user for r in forms["newer"].recordings} >= {"0003"}, "an id of digits stays text, by participants.tsv"
    assert {r.gesture for r in forms["newer"].recordings if r.key.endswith("_left")} >= {"unconstrained"}
    assert {r.moving_hand for r in forms["newer"].recordings} == {""}, "it is in emg2pose's own table alone"


@pytest.mark.parametrize("form", ["bids", "newer"])
def test_samples_are_those_of_the_hdf5_form(forms, form):
    lost = 0
    for one, other in list(zip(forms["hdf5"].recordings, forms[form].recordings, strict=True))[::7]:
        a, b = one.load(), other.load()
        assert b.emg.dtype == b.pose.dtype == np.float32 and b.emg.shape == a.emg.shape
        steps = np.ptp(a.emg, axis=0) / 2**23  # of 24 bits over a channel's range, which the header rounds outward
        assert (np.abs(a.emg - b.emg) <= steps).all()
        np.testing.assert_allclose(b.pose, a.pose, rtol=0, atol=5e-7)  # rad
        failed = (a.pose == 0).all(axis=1)
        np.testing.assert_array_equal(b.failed, failed)
        np.testing.assert_array_equal(b.pose[failed], 0)
        assert b.segments == a.segments and b.breaks == ()
        lost += failed.sum()
    assert lost, "some frames have no pose"


@pytest.mark.parametrize("form", ["bids", "newer"])
def test_both_forms_give_the_same_splits(stores, form):
    tables = [stores[name, "features"].table for name in ("hdf5", form)]
    one, other = (make_splits("emg2pose", table) for table in tables)
    np.testing.assert_array_equal(tables[0][["recording", "start"]], tables[1][["recording", "start"]])
    np.testing.assert_array_equal(one.pretrain, other.pretrain)
    for part in ("probe_train", "tune", "evaluation"):
        for classes in ("in", "unseen"):
            np.testing.assert_array_equal(getattr(one, part)[classes], getattr(other, part)[classes])
            assert len(getattr(one, part)[classes])
    if form == "newer":
        with pytest.raises(InputError, match="needs moving_hand"):
            make_splits("emg2pose", tables[1], hands="prompted")
    else:
        prompted = [make_splits("emg2pose", table, hands="prompted").evaluation["in"] for table in tables]
        np.testing.assert_array_equal(*prompted)


@pytest.mark.parametrize(
    ("form", "kind", "share"),
    [
        ("bids", "features", 1e-3),
        ("newer", "features", 1e-3),
        ("bids", "waveform", 5e-3),  # 24 bits over a simulated channel's range are coarser than float16 near 0
    ],
)
def test_stored_windows_differ_by_a_unit_in_the_last_place_at_most(stores, form, kind, share):
    for name in arrays_of(kind, WINDOWS):
        one, other = (np.fromfile(stores[s, kind].path / name, np.float16) for s in ("hdf5", form))
        apart = places(one, other)
        assert one.size and (apart > 0).mean() <= share, name
        # near 0 float16 tells 1e-7 apart, which 24 bits do not
        assert (apart[np.abs(one) >= 2**-6] <= 1).all(), name
        assert np.abs(one.astype(float) - other)[apart > 1].max(initial=0) <= 2**-16, name


def test_the_same_weights_give_the_same_embeddings_and_labels(forms, tmp_path):
    study = Study("emg2pose", data=forms["hdf5"].folder, out=tmp_path, size=TINY, device="cpu")
    run = embridge.load(study.run("EMBridge"))
    rows = study.store.table.iloc[np.concatenate([study.splits.evaluation[c] for c in ("in", "unseen")])]
    assert len(rows) >= 8
    found = {}
    for name, source in forms.items():
        signals = {r.key: r.load() for r in source.recordings if r.key in set(rows.recording)}
        cuts = [(signals[key], slice(at, at + 4000)) for key, at in zip(rows.recording, rows.start, strict=True)]
        emg, pose = (np.stack([getattr(s, x)[cut].T for s, cut in cuts]) for x in ("emg", "pose"))
        found[name] = run.encode_emg(emg), run.encode_pose(torch.from_numpy(pose))
    cosines = {name: torch.einsum("qmd,nd->qnm", *two).amax(-1) for name, two in found.items()}
    best = cosines["hdf5"].topk(2, dim=1)
    for name in ("bids", "newer"):
        for one, other in zip(found["hdf5"], found[name], strict=True):
            assert (one - other).abs().max() < 1e-3
        same = cosines[name].argmax(1) == best.indices[:, 0]
        assert (same | (best.values[:, 0] - best.values[:, 1] < 1e-3)).all()
    assert found["hdf5"][1].std(0).max() > 0.01


def test_both_hands_of_a_moment_are_two_runs_in_either_order(forms):
    by_moment = {}
    for recording in forms["bids"].recordings:
        run, side = re.search(r"_run-(\d+)_recording-(\w+)_emg", recording.path.name).groups()
        assert recording.hand == side and recording.key.endswith(f"_{side}")
        by_moment.setdefault(recording.key.removesuffix(f"_{side}"), {})[side] = int(run)
    assert all(abs(runs["left"] - runs["right"]) == 1 for runs in by_moment.values())
    assert {runs["left"] < runs["right"] for runs in by_moment.values()} == {True, False}


# ---- listing


def test_listing_opens_no_recording_and_loading_one_at_a_time(forms, monkeypatch):
    handles = []

    def counting(*args):
        assert all(handle.closed for handle in handles)
        handles.append(open(*args))
        return handles[-1]

    monkeypatch.setattr(bdf, "open", counting, raising=False)
    recordings = open_either(forms["bids"].folder).recordings
    assert not handles
    kept = [recording.load() for recording in recordings[:3]]
    assert len(kept) == 3 and len(handles) == 6 and all(handle.closed for handle in handles)  # the header, the samples


def test_a_recording_goes_to_other_processes(forms):
    recording = forms["bids"].recordings[0]
    again = pickle.loads(pickle.dumps(recording))
    np.testing.assert_array_equal(again.load().emg, recording.load().emg)


def test_any_users_and_sessions(tmp_path):
    first = one(tmp_path, others=("CoffeePanicPete", "PlayBlocksChess", "FingerFreeform"))
    link, pointer, gone = sorted(first.parent.glob("*.bdf"))[1:]
    for path in (link, pointer, gone):
        path.unlink()
    link.symlink_to(tmp_path / ".git" / "annex" / "nothing")
    pointer.write_text("/annex/objects/MD5E-s123--456.bdf\n")
    with pytest.warns(EMBridgeWarning, match="2 of 3 recordings are left out.*content was not fetched"):
        source = open_either(tmp_path)
    assert [r.path for r in source.recordings] == [first]
    assert [name for name, _ in source.skipped] == [link.name, pointer.name]
    first.unlink()
    with pytest.raises(InputError, match=r"none of the 2 \*_emg.bdf files below .* can be used.*not fetched"):
        open_either(tmp_path)


def test_splits_come_from_the_csv_else_from_scans_else_there_are_none(tmp_path):
    path = one(tmp_path)
    assert (opened(tmp_path).split, opened(tmp_path).session) == ("train", "simulated-0007-session-0")
    table = tmp_path / "sourcedata" / "emg2pose_metadata.csv"
    table.rename(tmp_path / "metadata.csv")
    (tmp_path / "another_metadata.csv").write_text("of somebody else\n")
    assert opened(tmp_path).split == "train", "wherever it lies"
    (tmp_path / "metadata.csv").unlink()
    with pytest.warns(EMBridgeWarning, match="recordings have no split"):
        recording = opened(tmp_path)
    assert (recording.split, recording.user, recording.session) == ("", "0007", "0007 ses-01")
    scans = path.parent.parent / "sub-01_ses-01_scans.tsv"
    edit_table(scans, split="val", generalization="user")
    assert (opened(tmp_path).split, opened(tmp_path).generalization) == ("val", "user")
    (tmp_path / "participants.tsv").unlink()
    assert opened(tmp_path).user == "sub-01"


def test_a_recording_without_a_row_is_left_out(tmp_path):
    path = one(tmp_path, others=("CoffeePanicPete",))
    edit_json(path, SourceFile="stranger_left.hdf5")
    with pytest.warns(EMBridgeWarning, match="1 of 2 recordings are left out.*no row"):
        source = open_either(tmp_path)
    assert source.skipped == ((path.name, "no row in the metadata CSV"),)


def test_a_stage_with_the_suffix_both_and_a_source_file_with_folders(tmp_path):
    path = one(tmp_path, splits="scans")
    edit_json(path, Stage=f"{STAGE}_both", SourceFile="raw/part 2/some-recording_left.hdf5")
    assert (opened(tmp_path).gesture, opened(tmp_path).key) == (STAGE, "some-recording_left")


def test_sidecars_are_inherited_and_the_nearest_has_the_last_word(tmp_path):
    path = one(tmp_path, splits="scans")
    scans = path.parent.parent / "sub-01_ses-01_scans.tsv"
    edit_table(scans, stage=None, side=None, source_file=None)
    edit_json(path, Stage=None, HandSide=None, ValidSamples=None, BDFPaddedSamples=None)
    edit_json(tmp_path / "task-emg2pose_emg.json", Stage="unconstrained", ValidSamples=4500)
    edit_json(tmp_path / "task-emg2pose_recording-left_emg.json", HandSide="left")
    edit_json(tmp_path / "task-emg2pose_recording-right_emg.json", HandSide="right", Stage="WristFlexionAbduction")
    edit_json(tmp_path / "sub-01" / "sub-01_task-emg2pose_emg.json", Stage=STAGE)
    recording = opened(tmp_path)
    assert (recording.gesture, recording.hand, recording.n_samples()) == (STAGE, "left", 4500)


# ---- length


def test_padding_is_cut_by_valid_samples_and_by_what_stands_in_for_it(tmp_path):
    path = one(tmp_path, n_samples=4321)
    header = bdf.read_header(path)
    assert header.n_samples == 6000 and opened(tmp_path).n_samples() == 4321
    whole = opened(tmp_path).load()
    assert whole.emg.shape == (4321, 16)
    edit_json(path, ValidSamples=None)
    assert opened(tmp_path).n_samples() == 4321, "BDFPaddedSamples"
    edit_json(path, BDFPaddedSamples=None)
    assert opened(tmp_path).n_samples() == 4321, "scans.tsv, whose duration is a sample short"
    np.testing.assert_array_equal(opened(tmp_path).load().emg, whole.emg)
    scans = path.parent.parent / "sub-01_ses-01_scans.tsv"
    edit_table(scans, duration="3.0")
    assert opened(tmp_path).n_samples() == 6000, "a duration that is not short, of a recording without padding"
    edit_table(scans, duration="n/a")
    with pytest.raises(InputError, match="neither to tell samples from padding"):
        opened(tmp_path).n_samples()


def test_every_ninth_simulated_recording_lacks_valid_samples(tmp_path):
    path = one(tmp_path, number=9, n_samples=4321)
    assert "ValidSamples" not in json.loads(path.with_suffix(".json").read_text())
    assert opened(tmp_path).n_samples() == 4321


def test_what_sidecars_say_is_in_the_key_of_a_store(tmp_path):
    path = one(tmp_path)
    before = open_either(tmp_path).reader_version
    assert open_either(tmp_path).reader_version == before
    edit_json(path, ValidSamples=4999)
    assert open_either(tmp_path).reader_version != before


def test_a_recording_is_the_same_in_however_many_pieces_it_is_read(tmp_path, monkeypatch):
    path = one(tmp_path, n_samples=9001)
    whole = opened(tmp_path).load()
    assert whole.failed.any()
    (path.with_name(path.name.replace("_emg.bdf", "_events.tsv"))).unlink()  # annotations alone
    monkeypatch.setattr(bdf, "PIECE", 1)
    pieces = opened(tmp_path).load()
    for name in ("emg", "pose", "failed"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


def test_a_header_that_does_not_know_its_length_yet(tmp_path):
    path = one(tmp_path)
    whole = opened(tmp_path).load()
    patched(236, b"-1      ")(path)
    np.testing.assert_array_equal(opened(tmp_path).load().emg, whole.emg)


# ---- joints


@pytest.mark.parametrize(
    ("dimension", "largest", "unit"),
    [
        ("uV", 1.9e6, 1e-6),
        ("uV", 1.9, 1.0),
        ("µV", 2.2e5, 1e-6),
        ("", 1.9, 1.0),
        ("n/a", 1.9e6, 1e-6),
        ("rad", 1.9, 1.0),
        ("urad", 1.9e6, 1e-6),
        ("uV", 0.0, 1.0),
        ("uV", 50.0, None),
        ("uV", 1e9, None),
        ("uV", 1e-5, None),
        ("rad", 1.9e6, None),
        ("rad", 109.0, None),
        ("urad", 1.9, None),
        ("deg", 1.9, None),
    ],
)
def test_the_joints_unit_is_told_by_the_header_and_by_what_a_hand_can_do(tmp_path, dimension, largest, unit):
    if unit:
        assert emg2pose_bids._unit(tmp_path, dimension, largest) == unit
    else:
        with pytest.raises(InputError, match=f"up to {re.escape(f'{largest:g}')} under the unit '{dimension}'"):
            emg2pose_bids._unit(tmp_path, dimension, largest)


@pytest.mark.parametrize(("radians", "dimension"), [(False, "uV"), (True, "rad"), (True, "uV")])
def test_angles_are_radians_whatever_the_unit(tmp_path, radians, dimension):
    path = one(tmp_path / "made", radians=radians)
    assert bdf.read_header(path).dimension == ("rad" if radians else "uV")
    pose = opened(tmp_path / "made").load().pose
    rewrite(path, dimension=dimension)
    signals = opened(tmp_path / "made").load()
    np.testing.assert_allclose(signals.pose, pose, rtol=0, atol=1e-6)
    assert 0.5 < np.abs(pose).max() < 4 and signals.emg.std() > 1, "the EMG is as it is"


def test_a_channel_whose_range_is_a_point_is_constant(tmp_path):
    path = one(tmp_path)
    raw, at = bytearray(path.read_bytes()), 256 + 37 * 104
    raw[at : at + 8] = raw[at + 37 * 8 : at + 37 * 8 + 8] = b"3".ljust(8)  # emg0's physical minimum and maximum
    path.write_bytes(raw)
    np.testing.assert_array_equal(opened(tmp_path).load().emg[:, 0], 3)


# ---- failures


def failing(folder, n_samples=9001):
    path = one(folder, n_samples=n_samples)
    return path, path.with_name(path.name.replace("_emg.bdf", "_events.tsv")), opened(folder).load().failed


def test_failures_come_from_annotations_or_from_events(tmp_path):
    path, events, failed = failing(tmp_path)
    assert 0 < failed.sum() < 9001
    _, joints, _, _ = bdf.read_samples(path, 9001)
    assert (joints[:, failed] != 0).any(), "a zero is no longer one"
    rewrite(path, annotations=())
    np.testing.assert_array_equal(opened(tmp_path).load().failed, failed)
    edit_table(events, trial_type="something else")
    with pytest.warns(EMBridgeWarning, match=f"{failed.sum()} frames hold angles of about 0 outside BAD_IK"):
        signals = opened(tmp_path).load()
    assert not signals.failed.any() and (signals.pose[failed] != 0).any(), "never from zeros"


def test_frames_of_about_zero_that_nothing_marks_keep_their_windows(tmp_path):
    path, events, failed = failing(tmp_path)
    rewrite(path, annotations=(), change=lambda data, label: data if label[0] == "e" else 0 * data + 2e6)
    edit_table(events, trial_type="something else")
    counts = []
    for _ in range(2):
        source = open_either(tmp_path)
        store = build_store(source, WINDOWS, tmp_path / "out", workers=1, progress=False)
        counts.append((len(store), store.manifest["counts"]["ik_failure_samples"]))
        start = int(np.argmax(failed)) / 2000
        events.write_text(f"onset\tduration\tvalue\n{start}\t0.5\tBAD_IK\n")  # angles of 2 rad, and yet a failure
    assert counts[0] == (2, 0) and counts[1][1] == 1000


def test_other_annotations_are_not_failures_and_a_span_may_run_into_the_padding(tmp_path):
    from edfio import EdfAnnotation

    path, events, _ = failing(tmp_path)
    events.unlink()
    notes = [
        EdfAnnotation(0.5, 1.0, "BAD_ACQ_SKIP"),
        EdfAnnotation(4.25, 9.0, "BAD_IK"),
        EdfAnnotation(0.1, None, "BAD_IK"),
    ]
    rewrite(path, annotations=notes, change=lambda data, label: data + (1e5 if label[0] == "j" else 0))
    failed = opened(tmp_path).load().failed
    assert np.flatnonzero(failed).tolist() == [200, *range(8500, 9001)]


# ---- which form lies there


def test_the_form_is_what_lies_in_the_folder(tmp_path, dataset):
    one(tmp_path / "bids")
    read = DATASETS["emg2pose"].open
    assert read(tmp_path / "bids").recordings[0].path.suffix == ".bdf"
    assert read(tmp_path).recordings[0].path.suffix == ".bdf", "a folder above it"
    assert read(dataset).recordings[0].path.suffix == ".hdf5"
    assert read(dataset).reader_version == open_emg2pose(dataset).reader_version
    write_session(tmp_path / "hdf5" / "a.hdf5", series(10))
    with pytest.raises(InputError, match="holds both forms, .*a.hdf5 and EMG-BIDS in .*bids; pass --data with"):
        read(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no .hdf5 file and no EMG-BIDS; pass --data with"):
        read(tmp_path / "empty")
    with pytest.raises(InputError, match="there is no folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="expected one dataset_description.json above them, found none"):
        read(tmp_path / "bids" / "sub-01")
    one(tmp_path / "more" / "again")
    (tmp_path / "bids").rename(tmp_path / "more" / "bids")
    with pytest.raises(InputError, match="found .*again and .*bids"):
        read(tmp_path / "more")


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    one(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    for path in (tmp_path / "elsewhere").iterdir():
        (tmp_path / "data" / path.name).symlink_to(path)
    (tmp_path / "data" / "round").symlink_to(tmp_path / "data")
    (recording,) = open_either(tmp_path / "data").recordings
    assert recording.path.is_relative_to(tmp_path / "data" / "sub-01") and recording.load().emg.shape == (5000, 16)


def test_derivatives_and_hidden_folders_are_not_looked_into(tmp_path):
    one(tmp_path)
    for name in ("derivatives/filtered", ".git/annex"):
        one(tmp_path / name)
    assert len(open_either(tmp_path).recordings) == 1


def test_without_edfio_a_sentence_names_the_extra(tmp_path, monkeypatch):
    one(tmp_path)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "edfio" else real(name, *more))
    with pytest.raises(InputError, match=r"read with edfio, which is not installed; run pip install '\.\[bids\]'"):
        open_either(tmp_path)


# ---- what is refused


def patched(at, new):
    def patch(path):
        raw = bytearray(path.read_bytes())
        raw[at : at + len(new)] = new
        path.write_bytes(raw)

    return patch


def field(start, width, i, text):
    """Change channel i's field of the header of 37 channels."""
    return patched(256 + 37 * start + width * i, text.encode("latin-1").ljust(width))


def sidecar(**changes):
    return lambda path: edit_json(path, **changes)


def table(ending, **changes):
    return lambda path: edit_table(next(path.parents[3].rglob(f"*{ending}")), **changes)


def text(ending, content):
    return lambda path: next(path.parents[3].rglob(f"*{ending}")).write_bytes(content)


def unfetched(ending):
    def spoil(path):
        found = next(path.parents[3].rglob(f"*{ending}"))
        found.unlink()
        found.symlink_to(path.parents[3] / ".git" / "nothing")

    return spoil


def no_facts(path):
    edit_json(path, SourceFile=None)
    table("scans.tsv", source_file=None)(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: os.truncate(path, path.stat().st_size - 7), "expected .* bytes by its header, found"),
        (lambda path: os.truncate(path, 9000), "ends within its header"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes by its header, found"),
        (patched(0, b"0       "), "expected a BDF file, found one that begins with b'0 "),
        (patched(192, b"BDF+D"), r"found BDF\+D, which has gaps"),
        (patched(236, b"many    "), "not a readable BDF file"),
        (patched(236, b"99999999"), "bytes by its header"),
        (patched(244, b"0       "), "expected data records of some length"),
        (patched(244, b"nan     "), "expected data records of some length"),
        (patched(252, b"9999"), "ends within its header"),
        (patched(244, b"2       "), "expected 2000 Hz, found 1000 in emg0"),
        (field(0, 16, 3, "emg99"), "found emg3 0 times among emg0"),
        (field(0, 16, 3, "emg4"), "found emg3 0 times"),
        (field(0, 16, 36, "joint0"), "found joint0 2 times"),
        (field(96, 8, 17, "rad"), "expected one unit for all joints, found rad and uV"),
        (field(104, 8, 2, "nan"), "expected emg2's range as two numbers"),
        (field(120, 8, 2, "8388607"), "expected emg2's range"),
        (field(104, 8, 2, "?"), "not a readable BDF file"),
        (sidecar(ValidSamples=6001), "expected ValidSamples 6001 within its 6000 samples"),
        (sidecar(ValidSamples=-1), "as ValidSamples, found -1"),
        (sidecar(ValidSamples="lots"), "as ValidSamples, found 'lots'"),
        (sidecar(ValidSamples=[1]), r"as ValidSamples, found \[1\]"),
        (sidecar(ValidSamples=None, BDFPaddedSamples=7000), "expected BDFPaddedSamples 7000 within"),
        (table("scans.tsv", duration="long"), "as duration in scans.tsv, found 'long'"),
        (text("left_emg.json", b"{"), "not a readable JSON file"),
        (text("left_emg.json", b"/annex/objects/MD5E-s3--4.json"), "not a readable JSON file.*fetch it again"),
        (text("left_emg.json", b"[1]"), "expected a JSON object, found list"),
        (text("left_emg.json", b"\xff\xfe"), "expected text in UTF-8"),
        (text("participants.tsv", b"participant_id\tage\nsub-01\t3\n"), "missing original_user"),
        (text("scans.tsv", b"name\nx\n"), "expected the columns filename, missing filename"),
        (text("events.tsv", b"onset\tduration\ttrial_type\nlate\t1\tBAD_IK\n"), "as onset, found 'late'"),
        (text("events.tsv", b"onset\ttrial_type\n1\tBAD_IK\n"), "missing duration"),
        (text("metadata.csv", b"filename,user\n"), "missing session, stage"),
        (unfetched("left_emg.json"), "left_emg.json: cannot be read .No such file.*; fetch it again"),
        (unfetched("events.tsv"), "events.tsv: cannot be read .No such file"),
        (unfetched("participants.tsv"), "participants.tsv: cannot be read .No such file"),
        (no_facts, "expected SourceFile in its .json or source_file in scans.tsv"),
    ],
)
def test_fault_06_13_15_what_cannot_be_read_is_refused_in_a_sentence(tmp_path, spoil, said):
    spoil(one(tmp_path))
    before = {path: path.lstat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    with pytest.raises(InputError, match=said) as caught:
        opened(tmp_path).load()
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert {path: path.lstat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))} == before, "nothing was written"


def test_a_stage_and_a_hand_must_be_told(tmp_path):
    path = one(tmp_path, splits="scans")
    edit_json(path, HandSide="both")
    with pytest.raises(InputError, match="HandSide .left or right.* and 'both'"):
        open_either(tmp_path)
    with pytest.raises(InputError, match="can be used, first"):
        open_either(tmp_path, skip_broken=True)


def test_fault_18_a_recording_twice_is_refused(tmp_path):
    path = one(tmp_path, others=("CoffeePanicPete",))
    edit_json(path, SourceFile="simulated-0007-session-0-CoffeePanicPete_left.hdf5")
    with pytest.raises(InputError, match="CoffeePanicPete_left is there twice, as"):
        open_either(tmp_path)


def test_fault_06_what_is_not_described_is_left_out_when_asked(tmp_path):
    path = one(tmp_path, others=("CoffeePanicPete",))
    path.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match="not a readable JSON file.*--skip-broken"):
        open_either(tmp_path)
    source = open_either(tmp_path, skip_broken=True)
    assert len(source.recordings) == 1 and source.skipped[0][0] == path.name


# ---- the simulator


def test_the_simulator_writes_whole_files_goes_on_and_refuses_another_configuration(tmp_path):
    people = SimulationConfig(
        train_users=1, val_users=0, test_users=0, sessions=1, train_seconds=0.6, held_out_stage_users=0
    )
    config, folder = bids.BidsConfig(people), tmp_path / "made"
    source = bids.open_simulated_bids(folder, config, progress=False, workers=1)
    files = bids.plan_bids(config)
    assert source.simulated and source.name == "simulated" and len(source.recordings) == len(files)
    assert {r.n_samples() for r in source.recordings} >= {1200} and len({r.n_samples() for r in source.recordings}) > 5
    sizes = {file: ((folder / file.path).stat().st_size, bids.file_bytes(file)) for file in files}
    assert all(abs(real / planned - 1) < 0.02 for real, planned in sizes.values())
    first = folder / files[0].path
    contents, dates = first.read_bytes(), (folder / files[1].path).stat().st_mtime_ns
    first.unlink()
    assert len(bids.open_simulated_bids(folder, config, progress=False, workers=2).recordings) == len(files)
    assert first.read_bytes() == contents and (folder / files[1].path).stat().st_mtime_ns == dates
    with pytest.raises(InputError, match=r"another simulation: config\.radians expected True, found False"):
        bids.write_bids(folder, replace(config, radians=True), progress=False)


def test_the_other_hands_are_unconstrained_and_a_little_longer_or_shorter():
    config = bids.BidsConfig(replace(PEOPLE, held_out_stage_users=1), other_hands=False)
    alone = plan(config.simulation)
    assert {file.planned for file in bids.plan_bids(config)} == set(alone)
    files = bids.with_other_hands(alone)
    others = {file.filename.rsplit("_", 1)[0]: file for file in files if file.prompted}
    pairs = [(file, others[file.filename.rsplit("_", 1)[0]]) for file in alone if file.stage not in TWO_HANDED]
    assert len(files) == len(alone) + len(pairs) and len({file.filename for file in files}) == len(files)
    for file, other in pairs:
        assert {file.side, other.side} == {"left", "right"} and other.stage == "unconstrained"
        assert 8 <= abs(other.n_samples - file.n_samples) <= 32 and other.moving_hand == file.side
        assert other.generalization == ("none" if other.split == "train" else "user")
    assert {other.n_samples > file.n_samples for file, other in pairs} == {True, False}


def test_a_folder_is_opened_as_simulated_only_when_said(tmp_path):
    one(tmp_path)
    assert not open_either(tmp_path).simulated and open_either(tmp_path, simulated=True).simulated


def test_a_folder_that_may_not_be_read_is_told_or_left_out(tmp_path, monkeypatch):
    one(tmp_path)
    (tmp_path / "sub-99").mkdir()
    refuse_folders(monkeypatch, "sub-99")
    with pytest.raises(InputError, match=r"sub-99: the folder cannot be read \(Permission denied\), or leave out"):
        open_either(tmp_path)
    source = open_either(tmp_path, skip_broken=True)
    assert len(source.recordings) == 1
    assert source.skipped == (("sub-99", "the folder cannot be read (Permission denied)"),)
