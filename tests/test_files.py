"""Files that are written whole, locked, or come from elsewhere."""

import zipfile

import numpy as np
import pytest

from embridge.errors import InputError
from embridge.files import locked, read_npz, write_atomically


def test_text_and_bytes_are_written_as_they_are_and_the_last_contents_are_kept(tmp_path):
    path, before = tmp_path / "a", tmp_path / "before"
    write_atomically(path, "é\n")
    write_atomically(path, b"\x00", keep=before)
    assert (before.read_bytes(), path.read_bytes()) == ("é\n".encode(), b"\x00")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "before"]


def test_a_lock_names_its_holder_and_is_free_afterwards(tmp_path):
    path = tmp_path / "new" / "lock"
    with locked(path, ""), pytest.raises(InputError, match=r"^it is process \d+ on "), locked(path, "it is HOLDER"):
        pass
    with locked(path, "free"):
        pass


def test_security_only_an_npz_of_plain_arrays_is_read(tmp_path):
    file, arrays = tmp_path / "a.npz", {"array": np.arange(6.0).reshape(2, 3), "other": np.array([1])}
    np.savez(file, **arrays)
    found = read_npz(file)
    assert found.keys() == arrays.keys() and all(np.array_equal(found[name], arrays[name]) for name in arrays)
    np.savez(file, array=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_npz(file)
    np.save(tmp_path / "plain.npy", arrays["array"])
    for other in ((tmp_path / "plain.npy").read_bytes(), b"", b"PK", file.read_bytes()[:-30]):
        file.write_bytes(other)
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            read_npz(file)
