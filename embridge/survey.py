"""What a window store is made from: the size, SHA-256 and length of every source file.

Sums are kept in ``sources.json`` beside the stores, by path, size and date, so that a file is summed once. When a
store is built, files that were summed earlier are summed again: a difference is bytes that rotted (RELIABILITY 7).
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from embridge.config import WindowConfig, as_json, fingerprint
from embridge.errors import InputError
from embridge.recordings import LEAVE_OUT, Recording, Source, sha256
from embridge.store import OF_RECORDING, STORE_VERSION, write_atomically

SAVE_SECONDS = 30.0


@dataclass(frozen=True)
class SourceFile:
    """One file as it was summed; ``fresh`` if that was in this very call."""

    size: int  # bytes
    mtime_ns: int
    sha256: str
    n_samples: int
    fresh: bool = False


def summed(source: Source, folder: Path) -> tuple[dict[str, SourceFile], list[Recording]]:
    """What ``sources.json`` in ``folder`` says of each recording's file, by key, and the recordings it does not know.

    A file of another size or date is not known. Writes nothing.
    """
    cache, files, todo = _read(folder / "sources.json"), {}, []
    for recording in source.recordings:
        known = cache.get(str(recording.path.resolve()))
        status = recording.path.stat()
        if known and (known["size"], known["mtime_ns"]) == (status.st_size, status.st_mtime_ns):
            files[recording.key] = SourceFile(**known)
        else:
            todo.append(recording)
    return files, todo


def _read(cache: Path) -> dict[str, dict]:
    return json.loads(cache.read_text(encoding="utf-8")) if cache.is_file() else {}


def survey(
    source: Source, folder: Path, *, workers: int, progress: bool, skip_broken: bool
) -> tuple[dict[str, SourceFile], list[tuple[str, str]]]:
    """Sum each recording's file: what was found by recording key, and (file, reason) of broken ones.

    Raises InputError at the first broken file unless ``skip_broken``.
    """
    cache_path = folder / "sources.json"
    cache, broken = _read(cache_path), []
    files, todo = summed(source, folder)
    if not todo:
        return files, broken
    saved = time.monotonic()
    pool = ThreadPoolExecutor(workers)  # hashing runs beside Python; headers are read one at a time, here
    try:
        sums = pool.map(sha256, [r.path for r in todo])
        bar = tqdm(sums, "source files", len(todo), mininterval=5, disable=not progress)  # quiet, as the simulator's
        for recording, total in zip(todo, bar, strict=True):
            try:
                file = _describe(recording, total)
            except InputError as error:
                if not skip_broken:
                    raise InputError(f"{error}{LEAVE_OUT}") from error
                broken.append((recording.path.name, str(error)))
                continue
            files[recording.key] = replace(file, fresh=True)
            cache[str(recording.path.resolve())] = {k: v for k, v in asdict(file).items() if k != "fresh"}
            if time.monotonic() - saved > SAVE_SECONDS:
                write_atomically(cache_path, json.dumps(cache))
                saved = time.monotonic()
    finally:
        pool.shutdown(cancel_futures=True)
    write_atomically(cache_path, json.dumps(cache))
    return files, broken


def _describe(recording: Recording, total: str) -> SourceFile:
    n_samples = recording.n_samples()
    status = recording.path.stat()
    return SourceFile(status.st_size, status.st_mtime_ns, total, n_samples)


def made_from(source: Source, recordings: list[Recording], files: dict[str, SourceFile], config: WindowConfig) -> str:
    """Hash of what a store's windows are made from, whatever code makes them."""
    columns = [[r.key, r.gesture, *(getattr(r, name) for name in OF_RECORDING)] for r in recordings]
    sums = [[files[r.key].size, files[r.key].sha256] for r in recordings]
    return fingerprint(STORE_VERSION, source.name, source.reader_version, as_json(config), columns, sums)
