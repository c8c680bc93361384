"""Files from elsewhere are data: none runs, leads out of its folder, or decides how much memory is taken."""

import ast
import json
import re
import struct
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from conftest import SERIES, metadata_row, series, write_db1, write_metadata, write_session

from embridge.cli import ROOT
from embridge.errors import EMBridgeWarning, InputError
from embridge.recordings import Recording, session
from embridge.recordings.emg2pose import open_emg2pose
from embridge.recordings.ninapro import open_db1
from embridge.runs import slug

# What no file of ours may do. A module's names beside it are harmless: errors to catch.
MODULES = {
    "pickle": {
        **{name: set() for name in ("joblib", "shelve", "dill", "cloudpickle", "marshal", "yaml")},
        "pickle": {"UnpicklingError"},
    },
    "archives and downloads": {
        **{name: set() for name in ("tarfile", "urllib", "requests", "httpx", "aiohttp", "http", "ftplib", "pooch")},
        "zipfile": {"BadZipFile"},
        "socket": {"gethostname"},
    },
}
CALLS = {
    "pickle": {"eval", "exec", "compile", "__import__", "pandas.read_pickle", "pd.read_pickle"},
    "archives and downloads": {"shutil.unpack_archive", "torch.hub.load", "torch.hub.download_url_to_file"},
}
NEEDED = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}  # argument and value of each call


def dotted(node: ast.expr) -> str:
    """The name that an expression of names and dots spells; "" for another expression."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def faults(source: str, what: str) -> list[str]:
    """Each place in a Python source that does what its table above forbids."""
    modules, found = MODULES[what], []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if modules.get(a.name.split(".")[0], {""}) == set() or
                      (a.name.split(".")[0] in modules and a.asname)]  # fmt: skip
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in modules:
            allowed = modules[node.module.split(".")[0]]
            found += [f"{node.module}.{a.name}" for a in node.names if a.name not in allowed]
        elif isinstance(node, ast.Attribute) and dotted(node.value) in modules:
            found += [dotted(node)] if node.attr not in modules[dotted(node.value)] else []
        elif isinstance(node, ast.Call):
            name, given = dotted(node.func), {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            found += [name] if name in CALLS[what] or name.startswith(("os.system", "os.popen")) else []
            if what != "pickle":
                continue
            argument, value = NEEDED.get(name, ("", None))
            found += [f"{name} without {argument}={value}"] if argument and given.get(argument) is not value else []
            found += [f"{name} without variable_names"] if "loadmat" in name and "variable_names" not in given else []
            found += [f"{name} in a shell"] if given.get("shell") else []
    return found


@cache
def sources() -> dict[str, str]:
    """The Python of the package, of the examples and of the notebooks."""
    found = {str(f): f.read_text(encoding="utf-8") for d in ("embridge", "examples") for f in (ROOT / d).rglob("*.py")}
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        found[str(file)] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return {name: re.sub(r"^[%!].*$", "", text, flags=re.MULTILINE) for name, text in found.items()}


@pytest.mark.parametrize("what", MODULES)
def test_security_no_pickle_no_archive_and_no_download(what):
    """Nothing unpacks an archive or fetches a file, so there is no filter and no checksum to forget."""
    read = sources()
    assert len(read) > 100 and any(name.endswith(".ipynb") for name in read)
    assert {name: found for name, text in read.items() if (found := faults(text, what))} == {}


@pytest.mark.parametrize(
    ("what", "source"),
    [
        *(("pickle", f"{line}\n") for line in (
            "import joblib", "from pickle import loads", "import pickle as p", "pickle.load(f)", "import shelve, os",
            "torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f)", "np.load(f, allow_pickle=True)",
            "scipy.io.loadmat(f)", "loadmat(f, mat_dtype=True)", "eval(x)", "exec(x)", "pd.read_pickle(f)",
            "subprocess.run(x, shell=True)", "os.system(x)", "from yaml import load",
        )),
        *(("archives and downloads", f"{line}\n") for line in (
            "import tarfile", "zipfile.ZipFile(f).extractall()", "from urllib.request import urlopen",
            "import requests", "import urllib.request", "shutil.unpack_archive(f)", "import pooch",
            "socket.create_connection(x)",
        )),
    ],
)  # fmt: skip
def test_security_the_scan_sees_what_it_forbids(what, source):
    assert faults(source, what)
    good = "import pickle, zipfile, socket\nmodel.eval()\nnp.load(f, allow_pickle=False)\nsocket.gethostname()\n"
    good += "torch.load(f, weights_only=True)\nexcept_ = (pickle.UnpicklingError, zipfile.BadZipFile)\n"
    assert not faults(good, what)


# sizes


@pytest.fixture
def unread(monkeypatch):
    """Whoever reads samples fails by another error: what is refused is refused by its header alone."""
    monkeypatch.setattr(h5py.Dataset, "__getitem__", None)
    monkeypatch.setattr(scipy.io, "loadmat", None)


def header(folder, make) -> Recording:
    """A recording whose group ``make`` fills."""
    with h5py.File(folder / "a.hdf5", "w") as file:
        make(file.create_group("emg2pose"))
    write_metadata(folder / "metadata.csv", [metadata_row("a")])
    return open_emg2pose(folder).recordings[0]


WIDE = np.dtype([*SERIES.descr, ("more", "f8", (10**6,))])


@pytest.mark.parametrize(
    ("dtype", "samples", "chunk"),
    [(SERIES, 10**12, 1000), (SERIES, 2**31 // 152 + 1, 1000), (WIDE, 300, 1), (SERIES, 10, 2 * 10**7)],
    ids=["a trillion samples", "a byte too much", "a field beside ours", "a chunk"],
)
def test_security_what_an_hdf5_header_claims_is_bounded(tmp_path, unread, dtype, samples, chunk):
    def sparse(group):  # a few KB on disk
        group.create_dataset("timeseries", (samples,), dtype, chunks=(chunk,), maxshape=(None,), compression="gzip")

    recording = header(tmp_path, sparse)
    assert recording.path.stat().st_size < 10_000
    for read in (recording.n_samples, recording.load):
        with pytest.raises(InputError, match=r"a\.hdf5: its header claims \d+ bytes, expected at most 2147483648;"):
            read()


def test_security_an_hour_of_either_layout_is_within_the_bound():
    wide = np.dtype([("time", "f8"), ("joint_angles", "f8", (20,)), ("emg", "f4", (16,))])
    assert wide.itemsize * 2000 * 3600 < session.MAX_BYTES < 2 * wide.itemsize * 2000 * 3600


def claim_more(path, samples: int) -> None:
    """Change the number of samples in each header of a .mat file (version 5, not compressed)."""
    old = [struct.pack("<4i", 5, 8, 48_000, width) for width in (10, 22, 1)]  # miINT32, 8 bytes, rows, columns
    data = path.read_bytes()
    assert all(dims in data for dims in old)
    for dims in old:
        data = data.replace(dims, dims[:8] + struct.pack("<i", samples) + dims[12:])
    path.write_bytes(data)


def test_security_what_a_mat_header_claims_is_bounded(tmp_path, unread):
    path = write_db1(tmp_path, 1)
    for samples in (2**31 - 1, 360_001):
        claim_more(write_db1(tmp_path, 1), samples)
        assert path.stat().st_size < 2**24
        recording = open_db1(tmp_path).recordings[0]
        for read in (recording.load, recording.segments):
            with pytest.raises(InputError, match=rf"S1_A1_E1.mat: emg has {samples} samples, expected at most 1 h"):
                read()


CELL = np.full((3, 10), "any amount of it", object)


@pytest.mark.parametrize(
    "emg", [CELL, scipy.sparse.csc_matrix((48_000, 10)), {"a": 1}, "text"], ids=["cell", "sparse", "struct", "char"]
)
def test_security_a_mat_field_that_is_no_array_of_numbers_is_not_read(tmp_path, unread, emg):
    write_db1(tmp_path, 1, emg=emg)
    with pytest.raises(InputError, match="expected arrays emg, .* of numbers; missing emg"):
        open_db1(tmp_path).recordings[0].load()


def test_security_mat_variables_are_whitelisted(tmp_path, monkeypatch):
    """What is beside ours is not even parsed, and a subject of a thousand numbers is none of ours."""
    loaded, load = [], scipy.io.loadmat

    def spy(path, **how):
        loaded.append(load(path, **how))
        return loaded[-1]

    monkeypatch.setattr(scipy.io, "loadmat", spy)
    write_db1(tmp_path, 1, payload=np.array([[{"a": 1}]], object), subject=np.full((1, 1000), 9))
    assert open_db1(tmp_path).recordings[0].load().emg.shape == (48_000, 10)
    assert len(open_db1(tmp_path).recordings[0].segments()) == 120
    names = [{name for name in content if not name.startswith("__")} for content in loaded]
    assert names == [{"emg", "glove", "restimulus", "rerepetition"}, {"restimulus", "rerepetition"}]


# paths


@pytest.mark.parametrize(
    "name", ["../secret", "{folder}/secret", "inside/../../secret", "..\\secret", "secret.hdf5\x00"]
)
def test_security_a_name_in_the_metadata_opens_nothing_outside(tmp_path, name, monkeypatch):
    write_session(tmp_path / "secret.hdf5", series(10))
    write_session(tmp_path / "data" / "a.hdf5", series(10))
    rows = [metadata_row("a"), metadata_row(name.format(folder=tmp_path))]
    write_metadata(tmp_path / "data" / "metadata.csv", rows)
    opened, real = [], h5py.File.__init__
    monkeypatch.setattr(h5py.File, "__init__", lambda self, path, *a, **k: opened.append(path) or real(self, path, *a))
    recordings = open_emg2pose(tmp_path / "data").recordings
    assert [r.key for r in recordings] == ["a"] and recordings[0].n_samples() == 10
    assert [path for path in opened if isinstance(path, Path)] == [tmp_path / "data" / "a.hdf5"]


def test_security_a_link_to_a_file_is_followed_and_one_to_a_folder_is_not(tmp_path):
    """The policy: who makes a link to a file in the data's folder means it; a folder may lead anywhere, or round."""
    write_session(tmp_path / "disk" / "a.hdf5", series(10))
    write_session(tmp_path / "other" / "b.hdf5", series(10))
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.hdf5").symlink_to(tmp_path / "disk" / "a.hdf5")
    (data / "folder").symlink_to(tmp_path / "other")
    (data / "round").symlink_to(data)
    write_metadata(data / "metadata.csv", [metadata_row("a"), metadata_row("b")])
    assert [(r.key, r.n_samples()) for r in open_emg2pose(data).recordings] == [("a", 10)]


@pytest.mark.parametrize("how", ["external link", "soft link", "external storage", "virtual dataset"])
def test_security_an_hdf5_file_reads_no_other_file(tmp_path, how):
    write_session(tmp_path / "elsewhere" / "secret.hdf5", series(100))
    secret = str(tmp_path / "elsewhere" / "secret.hdf5")

    def make(group):
        if how == "external link":
            group["timeseries"] = h5py.ExternalLink(secret, "emg2pose/timeseries")
        elif how == "soft link":
            group.file["away"] = h5py.ExternalLink(secret, "emg2pose")
            group["timeseries"] = h5py.SoftLink("/away/timeseries")
        elif how == "external storage":
            group.create_dataset("timeseries", (10,), SERIES, external=[(secret, 0, 10 * SERIES.itemsize)])
        else:
            layout = h5py.VirtualLayout((100,), SERIES)
            layout[:] = h5py.VirtualSource(secret, "emg2pose/timeseries", (100,))
            group.create_virtual_dataset("timeseries", layout)

    (tmp_path / "data").mkdir()
    recording = header(tmp_path / "data", make)
    with h5py.File(recording.path) as file:
        assert len(file["emg2pose/timeseries"][:]) >= 10  # HDF5 itself follows each of them
    for read in (recording.n_samples, recording.load):
        with pytest.raises(InputError, match="a link, which may lead to another|its samples in this file"):
            read()
    with pytest.warns(EMBridgeWarning):  # without metadata.csv attributes are read
        (tmp_path / "data" / "metadata.csv").unlink()
        if how.endswith("link"):
            with pytest.raises(InputError, match="a link"):
                open_emg2pose(tmp_path / "data")
        else:
            open_emg2pose(tmp_path / "data")


def test_security_an_experiment_s_name_stays_a_name():
    for name in ("../../etc/passwd", "/etc/passwd", "a/b", "..", "CPEP, 20% of pairs"):
        assert Path(slug(name)).name == slug(name) and not slug(name).startswith(".")
