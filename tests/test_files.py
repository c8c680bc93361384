"""Files that are written whole, locked, or come from elsewhere."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from embridge.errors import EMBridgeWarning, InputError
from embridge.files import exclusive, locked, read_npz, write_atomically


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


def without_locks(monkeypatch, *, on: str, error: int):
    """Make flock fail as on Lustre (ENOSYS) or NFS (ENOLCK) for the files below a folder; others lock as ever."""
    real = fcntl.flock

    def flock(descriptor, operation):
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(on):
            raise OSError(error, os.strerror(error))
        return real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="finds a descriptor's file in /proc")
@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_on_a_file_system_those_of_the_machine_stand_in(tmp_path, monkeypatch, error):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "lustre").mkdir()
    path = tmp_path / "lustre" / "lock"
    without_locks(monkeypatch, on=str(tmp_path / "lustre"), error=error)
    told = pytest.warns(EMBridgeWarning, match="lustre lies on a file system without locks: let no processes of other")
    with told, locked(path, ""):
        assert [p.suffix for p in (tmp_path / "tmp").iterdir()] == [".lock"]
        with pytest.raises(InputError, match="^in use by process"), locked(path, "in use by HOLDER"):
            pass
    with told, locked(path, "free again"):
        pass
    without_locks(monkeypatch, on=str(tmp_path), error=error)  # nor in the folder for temporary files
    with pytest.warns(EMBridgeWarning, match="let no processes write there meanwhile"), locked(path, ""):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = "import sys, time\nfrom pathlib import Path\nfrom embridge.files import locked\n"
    code += "with locked(Path(sys.argv[1]), ''):\n    print('held', flush=True)\n    time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "lock"], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"process {process.pid}"), locked(tmp_path / "lock", "HOLDER"):
            pass
        process.send_signal(signal.SIGKILL)
    with exclusive(tmp_path / "lock", timeout=5):
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
