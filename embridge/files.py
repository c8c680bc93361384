"""Files that survive a kill, a full disk and a second process, and archives that run nothing (RELIABILITY 1-4, 19-21).

Only one function writes what must be whole, and only one holds the locks.
"""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from embridge.errors import InputError


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


@contextmanager
def locked(path: Path, busy: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, whose folder is made if need be; ``wait`` for another process, or never.

    The kernel drops the lock with the process that holds it, so a killed run leaves none. Where another one does,
    ``busy``, in which HOLDER stands for it, is printed before the wait; without one it is an InputError, as it is
    where the folder cannot be written.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        told = busy.replace("HOLDER", path.read_text(encoding="utf-8").strip() or "another process")
        if not wait:
            raise InputError(told) from None
        print(told, flush=True)
        lock.acquire()
    except OSError as error:
        raise InputError(
            f"Cannot write to {path.parent} ({error.strerror}); give a folder that can be written"
        ) from error
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """Every array of an ``.npz`` that ``numpy.savez`` wrote, by name; the CRC of each is checked.

    Raises ValueError for another file and where an array holds Python objects, which a pickle would make (RELIABILITY
    28); OSError and zipfile.BadZipFile as numpy does.
    """
    with open(file, "rb") as stream:
        if stream.read(2) != b"PK":  # numpy would take another file for an array or a pickle
            raise ValueError("it is no zip archive")
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
