"""What a window store is made from: the size, SHA-256 and length of every source file.

Sums are kept in ``sources.json`` beside the stores, by path, size and date, so that a file is summed once. When a
store is built, files that were summed earlier are summed again: a difference is bytes that rotted (RELIABILITY 7).
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from embridge.errors import InputError
from embridge.parallel import in_order
from embridge.recordings import Recording, Source, sha256
from embridge.store import write_atomically

SAVE_SECONDS = 30.0


@dataclass(frozen=True)
class SourceFile:
    """One file as it was summed; ``fresh`` if that was in this very call."""

    size: int  # bytes
    mtime_ns: int
    sha256: str
    n_samples: int
    fresh: bool = False


def survey(
    source: Source, folder: Path, *, workers: int, progress: bool, skip_broken: bool
) -> tuple[dict[str, SourceFile], list[tuple[str, str]]]:
    """Sum each recording's file: what was found by recording key, and (file, reason) of broken ones.

    Raises InputError at the first broken file unless ``skip_broken``.
    """
    cache_path = folder / "sources.json"
    cache = json.loads(cache_path.read_text(encoding="utf-8")) if cache_path.is_file() else {}
    files, todo = {}, []
    for recording in source.recordings:
        known = cache.get(str(recording.path.resolve()))
        status = recording.path.stat()
        if known and (known["size"], known["mtime_ns"]) == (status.st_size, status.st_mtime_ns):
            files[recording.key] = SourceFile(**known)
        else:
            todo.append(recording)
    broken = []
    saved = time.monotonic()
    workers = min(workers, 1 + len(todo) // 32)
    summed = in_order(_sum_one, todo, workers)
    for recording, (file, error) in zip(
        todo, tqdm(summed, "source files", len(todo), unit="file", disable=not progress or not todo), strict=True
    ):
        if error:
            if not skip_broken:
                raise InputError(error)
            broken.append((recording.path.name, error))
            continue
        files[recording.key] = replace(file, fresh=True)
        cache[str(recording.path.resolve())] = {k: v for k, v in asdict(file).items() if k != "fresh"}
        if time.monotonic() - saved > SAVE_SECONDS:
            write_atomically(cache_path, json.dumps(cache))
            saved = time.monotonic()
    if todo:
        write_atomically(cache_path, json.dumps(cache))
    return files, broken


def _sum_one(recording: Recording) -> tuple[SourceFile | None, str]:
    try:
        n_samples = recording.n_samples()
    except InputError as error:
        return None, str(error)
    status = recording.path.stat()
    return SourceFile(status.st_size, status.st_mtime_ns, sha256(recording.path), n_samples), ""
