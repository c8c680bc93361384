"""Files from elsewhere are data: none runs, leads out of its folder, or decides how much memory is taken."""

import ast
import json
import re
import struct
from collections import defaultdict
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from conftest import SERIES, metadata_row, series, write_db1, write_metadata, write_session

from embridge.data import emg2pose
from embridge.data.emg2pose import open_emg2pose
from embridge.data.ninapro import open_db1
from embridge.data.recordings import Recording
from embridge.errors import EMBridgeWarning, InputError
from embridge.experiments import slug
from embridge.run.cli import ROOT

# What no file of ours may name: these, and whatever is below them. A module's names in ALLOWED are harmless.
FORBIDDEN = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml", "submitit"),
    *("torch.jit.load", "torch.serialization.load", "torch.hub", "pandas.HDFStore"),
    *("eval", "exec", "compile", "__import__", "builtins", "importlib.import_module"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("tarfile", "zipfile", "shutil.unpack_archive"),
    *("urllib", "requests", "httpx", "aiohttp", "http", "ftplib", "pooch", "socket"),
}
ALLOWED = {"pickle.UnpicklingError", "zipfile.BadZipFile", "socket.gethostname"}
ANYWHERE = {"read_array", "read_pickle", "to_pickle", "read_hdf", "*"}  # of whatever module or object
NEEDED = {"torch.load": "weights_only", "numpy.load": "allow_pickle", "scipy.io.loadmat": "variable_names"}  # argument
CONSTANT = {"weights_only": True, "allow_pickle": False, "shell": False}  # of arguments, in every call
SLURM = {
    str(ROOT / "runner" / "jobs.py"): ["submitit", "submitit.SlurmExecutor", "submitit.helpers.clean_env"]
}  # the one exception: README


@cache
def is_forbidden(name: str) -> bool:
    """Whether a full name is one of those above; a module on the way to what is allowed is not."""
    if any(f"{allowed}.".startswith(f"{name}.") for allowed in ALLOWED):
        return False
    return name.split(".")[-1] in ANYWHERE or any(f"{name}.".startswith(f"{entry}.") for entry in FORBIDDEN)


def faults(source: str) -> list[str]:
    """Each full name in a Python source that the tables above forbid, and each call without what they ask for."""
    nodes = list(ast.walk(ast.parse(source)))
    meant, found = defaultdict(set), set()  # what each imported name stands for, somewhere in the file
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for a in node.names:
                full = f"{node.module}.{a.name}" if isinstance(node, ast.ImportFrom) else a.name
                if is_forbidden(full) or full in NEEDED:  # a bare `load` would not say whose it is
                    found.add(full)
                plain = isinstance(node, ast.Import) and not a.asname  # binds a package's first name alone
                meant[a.asname or a.name.split(".")[0]].add(a.name.split(".")[0] if plain else full)

    def names(node: ast.expr) -> set[str]:
        if isinstance(node, ast.Attribute):
            return {f"{name}.{node.attr}" for name in names(node.value)}
        return meant.get(node.id, {node.id}) if isinstance(node, ast.Name) else {""}

    given = {id(call.func): {k.arg: k.value for k in call.keywords} for call in nodes if isinstance(call, ast.Call)}
    for node in nodes:
        arguments = given.get(id(node), {})  # none where it is only named: who calls it then is not known
        for name in names(node) if isinstance(node, ast.expr) else ():
            if is_forbidden(name):
                found.add(name)
            if name in NEEDED and NEEDED[name] not in arguments:
                found.add(f"{name} without {NEEDED[name]}")
        for argument, value in CONSTANT.items():
            if argument in arguments and getattr(arguments[argument], "value", None) is not value:
                found.add(f"{argument} that is not {value}")
    return sorted(found)


@cache
def sources() -> dict[str, str]:
    """The Python of the package, of the examples and of the notebooks."""
    folders = ("embridge", "runner", "benchmarks", "examples")
    found = {str(f): f.read_text(encoding="utf-8") for d in folders for f in (ROOT / d).rglob("*.py")}
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        found[str(file)] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return {name: re.sub(r"^[%!].*$", "", text, flags=re.MULTILINE) for name, text in found.items()}


def test_security_no_pickle_no_shell_no_archive_and_no_download():
    """Nothing unpacks an archive or fetches a file, so there is no filter and no checksum to forget."""
    read = sources()
    assert len(read) > 80 and any(name.endswith(".ipynb") for name in read)
    assert {name: found for name, text in read.items() if (found := faults(text))} == SLURM


@pytest.mark.parametrize(
    "source",
    [
        *("import joblib", "from pickle import loads", "import pickle as p; p.load(f)", "import shelve, os"),
        *("import _pickle", "import pickle; torch.load(f, weights_only=True, pickle_module=pickle.Unpickler)"),
        *("import submitit", "from submitit import AutoExecutor", "from yaml import load"),
        *("import torch; torch.load(f)", "import torch; torch.load(f, weights_only=False)"),
        *("from torch import load; load(f)", "import torch; torch.load(f, weights_only=flag)"),
        *("import torch as t; t.load(f)", "import torch; torch.load(f, **how)", "import torch; read = torch.load"),
        *("import torch; torch.jit.load(f)", "from torch import jit; jit.load(f)", "from torch.jit import load"),
        *("from torch.hub import load_state_dict_from_url", "import torch; torch.hub.load_state_dict_from_url(u)"),
        *("import numpy as np; np.load(f)", "import numpy as np; np.load(f, allow_pickle=True)"),
        *("import numpy; numpy.load(f, allow_pickle=True)", "from numpy import load"),
        *("import numpy as np; np.lib.format.read_array(f, allow_pickle=True)", "from numpy import *"),
        *("from numpy.lib.format import read_array as r", "from numpy.lib import npyio; npyio.N(f, allow_pickle=1)"),
        *("import scipy.io; scipy.io.loadmat(f)", "from scipy.io import loadmat; loadmat(f, mat_dtype=True)"),
        *("import pandas as pd; pd.read_pickle(f)", "from pandas import read_pickle", "table().to_pickle(f)"),
        *("import pandas; pandas.read_hdf(f)", "eval(x)", "exec(x)", "list(map(eval, x))", "import builtins"),
        *("import subprocess; subprocess.run(x, shell=True)", "from subprocess import run; run(x, shell=flag)"),
        *("import subprocess; subprocess.run(x, shell=flag)", "import os; os.system(x)", "from os import popen"),
        *("import tarfile", "zipfile.ZipFile(f).extractall()", "from urllib.request import urlopen"),
        *("import requests", "import urllib.request", "shutil.unpack_archive(f)", "import pooch"),
        *("socket.create_connection(x)", "import torch as t\nt.load(f)\ndef f():\n    import json as t\n"),
    ],
)
def test_security_the_scan_sees_what_it_forbids(source):
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle, zipfile, socket; errors = (pickle.UnpicklingError, zipfile.BadZipFile); socket.gethostname()",
        "from pickle import UnpicklingError as Broken; from socket import gethostname; gethostname()",
        "import torch; torch.load(f, weights_only=True); torch.save(x, f); model.eval(); model.compile()",
        "from torch import jit; jit.script(x); from torch.serialization import safe_globals; import importlib.metadata",
        "import numpy as np; np.load(f, allow_pickle=False); import scipy.io as s; s.loadmat(f, variable_names=x)",
        "import re, subprocess; re.compile(x); subprocess.run(x, shell=False); subprocess.run(x)",
    ],
)
def test_security_the_scan_lets_pass_what_is_harmless(source):
    assert not faults(source)


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
    assert wide.itemsize * 2000 * 3600 < emg2pose.MAX_BYTES < 2 * wide.itemsize * 2000 * 3600


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


def test_security_a_metadata_table_is_bounded(tmp_path, monkeypatch):
    write_session(tmp_path / "a.hdf5", series(300))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("a")])
    size = (tmp_path / "metadata.csv").stat().st_size
    assert emg2pose.open_emg2pose(tmp_path).recordings
    monkeypatch.setattr(emg2pose, "MOST_METADATA", size - 1)
    monkeypatch.setattr(emg2pose.pd, "read_csv", None)
    with pytest.raises(InputError, match=rf"metadata\.csv: expected a table of at most {size - 1} bytes, found {size}"):
        emg2pose.open_emg2pose(tmp_path)


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
