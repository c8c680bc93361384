"""Files from elsewhere take no more memory than they have bytes, and lead to no other place."""

import _codecs
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import metadata_row, series, write_metadata, write_session

from embridge import bounds
from embridge.checkpoint import load_checkpoint, save_checkpoint
from embridge.errors import InputError
from embridge.models.released import read_state
from embridge.recordings import emg2pose

SMALL = 10_000  # bytes of each file here
N = 3 * 10**7  # bytes that it asks for


class Asks:
    """Calls ``function`` when it is unpickled."""

    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


def compressed(file: Path) -> Path:
    """The same zip archive, deflated, with a member of N zeros."""
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name, data in members.items():
            new.writestr(name, data)
        new.writestr(next(iter(members)).partition("/")[0] + "/data/more", bytes(N))
    return file


@pytest.fixture
def unloaded(monkeypatch):
    """Whoever unpickles fails by another error: what is refused is refused by its names alone."""
    monkeypatch.setattr(torch, "load", None)


HUNGRY = [
    ("builtins.bytearray", Asks(bytearray, N)),
    ("torch.Tensor", Asks(torch.Tensor, N // 4)),
    ("torch.storage.UntypedStorage", Asks(torch.UntypedStorage, N)),
    ("_codecs.encode", Asks(_codecs.encode, Asks(_codecs.encode, "a", "utf-32"), "hex")),
]


@pytest.mark.parametrize(("name", "hungry"), HUNGRY)
def test_security_a_checkpoint_that_asks_for_memory_is_refused_unread(tmp_path, unloaded, name, hungry):
    file = tmp_path / "a.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(2)}, "callbacks": hungry}, file)
    assert file.stat().st_size < SMALL
    with pytest.raises(InputError, match=rf"could run \({re.escape(name)}\); nothing of it was loaded"):
        read_state(file)
    save_checkpoint(tmp_path, {"step": 1, "more": hungry})
    with pytest.warns(UserWarning, match=rf"not used \(weights need no {re.escape(name)}\)"):
        assert load_checkpoint(tmp_path) is None


def test_security_without_the_look_torch_would_have_given_the_memory(tmp_path):
    file = tmp_path / "a.ckpt"
    torch.save({"state_dict": {}, "more": Asks(bytearray, 10**6)}, file)
    assert len(torch.load(file, weights_only=True)["more"]) == 10**6 > 100 * file.stat().st_size


def test_security_a_compressed_checkpoint_is_refused_unread(tmp_path, unloaded):
    file = tmp_path / "a.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(2)}}, file)
    assert compressed(file).stat().st_size < N / 500
    with pytest.raises(InputError, match=rf"its members claim {N // 10**5}\d+ bytes and the file has \d+\); download"):
        read_state(file)


def test_tensors_and_plain_values_of_every_kind_are_let_through(tmp_path):
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
    kinds += [torch.int8, torch.uint8, torch.bool]
    state = {str(kind): torch.ones(3, dtype=kind) for kind in kinds} | {"p": torch.nn.Parameter(torch.zeros(2))}
    more = {
        "plain": [1, 2.5, "é", None, True, (2**70,)],
        "set": {1},
        "size": torch.Size([3]),
        "rng": torch.get_rng_state(),
    }
    torch.save({"state_dict": state, "more": more}, tmp_path / "a.ckpt")
    assert read_state(tmp_path / "a.ckpt").keys() == state.keys()
    save_checkpoint(tmp_path, more)
    assert load_checkpoint(tmp_path)["plain"] == more["plain"]


def claims(shape, dtype="<f4") -> bytes:
    """An ``.npy`` of ten bytes whose header says another shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(10)


def test_security_arrays_from_elsewhere_are_no_larger_than_their_file(tmp_path):
    file, arrays = tmp_path / "a.npz", {"array": np.arange(6.0).reshape(2, 3), "other": np.array([1])}
    np.savez(file, **arrays)
    found = bounds.read_npz(file)
    assert found.keys() == arrays.keys() and all(np.array_equal(found[name], arrays[name]) for name in arrays)
    np.savez_compressed(file, array=np.zeros(N, np.uint8))
    assert file.stat().st_size < N / 500
    with pytest.raises(ValueError, match=rf"its members claim {N // 10**5}\d+ bytes and the file has \d+$"):
        bounds.read_npz(file)
    for shape in ((10**15,), (2**40, 2**40), (3,)):  # the last is two bytes too many
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("array.npy", claims(shape))
        with pytest.raises(ValueError, match=r"array\.npy" if shape != (3,) else "array"):
            bounds.read_npz(file)
    for other in (claims((10**15,)), b"", b"PK"):
        file.write_bytes(other)
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            bounds.read_npz(file)


def test_security_a_metadata_table_is_bounded(tmp_path, monkeypatch):
    write_session(tmp_path / "a.hdf5", series(300))
    write_metadata(tmp_path / "metadata.csv", [metadata_row("a")])
    size = (tmp_path / "metadata.csv").stat().st_size
    assert emg2pose.open_emg2pose(tmp_path).recordings
    monkeypatch.setattr(emg2pose, "MOST_METADATA", size - 1)
    monkeypatch.setattr(emg2pose.pd, "read_csv", None)
    with pytest.raises(InputError, match=rf"metadata\.csv: expected a table of at most {size - 1} bytes, found {size}"):
        emg2pose.open_emg2pose(tmp_path)
