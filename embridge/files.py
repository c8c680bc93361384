"""Files that survive a kill, a full disk and a second process, and archives that run nothing (RELIABILITY 1-4, 19-21).

Only one function writes what must be whole, and only one holds the locks.
"""

import errno
import hashlib
import json
import os
import socket
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from embridge.errors import InputError, warn

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # flock's answers on Lustre or NFS that is mounted without it


def write_atomically(path: Path, data: bytes | str, *, keep: Path | None = None) -> None:
    """Write data (text in UTF-8) to path as a whole or not at all; what was there before stays as keep, where given.

    Temporary file in the same folder, fsync, rename, fsync of the folder. Raises OSError that names the path and the
    bytes needed; the old file is then untouched.
    """
    data = data.encode() if isinstance(data, str) else data
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(partial, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(
            error.errno,
            f"Cannot write {path}: {len(data)} bytes needed, but {os.strerror(error.errno or 0)}. "
            f"What was there before is kept; make room and run again.",
        ) from error


def differences(expected, found, name: str = "") -> Iterator[str]:
    """Each leaf in which two JSON values differ, in words."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            yield from differences(expected.get(key), found.get(key), f"{name}.{key}" if name else key)
    elif expected != found:
        yield f"{name or 'config'} expected {expected!r}, found {found!r}"


@contextmanager
def exclusive(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold the lock file ``path``, waiting for at most ``timeout`` s, or for ever.

    The kernel drops the lock with the process that holds it, so a killed run leaves none. Where the file system has no
    locks, one in the machine's temporary folder stands in, and a warning says that other machines do not see it.
    Raises filelock.Timeout, and OSError where the file cannot be written.
    """
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    places = {path: "", Path(tempfile.gettempdir(), f"embridge-{name}.lock"): "of other machines "}
    for place in places:
        lock = FileLock(place, timeout=timeout, fallback_to_soft=False)  # a soft one would outlive a killed run
        try:
            lock.acquire()
            break
        except OSError as error:
            if isinstance(error, Timeout) or (place == path and error.errno not in NO_LOCKS):
                raise
    if not lock.is_locked or place != path:
        others = places[place] if lock.is_locked else ""
        warn(f"{path.parent} lies on a file system without locks: let no processes {others}write there meanwhile", 3)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked(path: Path, busy: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, whose folder is made if need be; ``wait`` for another process, or never.

    Where another one holds it, ``busy``, in which HOLDER stands for it, is printed before the wait; without one it is
    an InputError, as it is where the folder cannot be written.
    """
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(exclusive(path, timeout=0))
        except Timeout:
            holder = path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
            told = busy.replace("HOLDER", holder)
            if not wait:
                raise InputError(told) from None
            print(told, flush=True)
            held.enter_context(exclusive(path))
        except OSError as error:
            told = f"Cannot write to {path.parent} ({error.strerror}); give a folder that can be written"
            raise InputError(told) from error
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_toml(module: str, name: str = "") -> dict:
    """The .toml file that lies beside a module, by its ``__file__``: the one called ``name``, or as the module is."""
    path = Path(module).with_name(name or f"{Path(module).stem}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_json(path: Path, missing: str = "", again: str = "fetch it again") -> dict:
    """What a JSON file says; InputError where there is none, in the words ``missing``, or where it is not readable."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(missing) from None
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error}); {again}") from error


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """Every array of an ``.npz`` that ``numpy.savez`` wrote, by name; the CRC of each is checked.

    Raises zipfile.BadZipFile for another file (which numpy.load would take for an array or a pickle), ValueError where
    an array holds Python objects, which a pickle would make (RELIABILITY 28), and OSError as numpy does.
    """
    with np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
        return dict(stored)
