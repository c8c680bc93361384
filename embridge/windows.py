"""Recordings -> a float16 window store of one kind, built once (METHOD 1; RELIABILITY 4, 7-9).

Workers cut recordings (:mod:`embridge.cutting`); this process appends the results in the recordings' order and notes
each in a journal, so that a killed build goes on where it was. Only a finished store gets its final name.
"""

import hashlib
import json
import os
import shutil
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from embridge.config import RESULTS_VERSION, WindowConfig, as_json, fingerprint
from embridge.cutting import cut
from embridge.errors import EMBridgeWarning, InputError
from embridge.parallel import available_cores, in_order
from embridge.provenance import provenance
from embridge.recordings import LEAVE_OUT, Recording, Source
from embridge.store import (
    OF_RECORDING,
    STORE_VERSION,
    WindowStore,
    arrays_of,
    check,
    checksum,
    seal,
    window_bytes,
    write_atomically,
)
from embridge.survey import made_from, summed, survey

__all__ = ["WindowStore", "build_store", "find_store"]

SAMPLES_PER_WORKER = 3_000_000  # about 10 s of work: starting a process takes 2 s


def build_store(
    source: Source,
    config: WindowConfig,
    folder: Path | str,
    kind: str = "waveform",
    *,
    workers: int | None = None,
    progress: bool = True,
    skip_broken: bool = False,
) -> WindowStore:
    """Build ``folder/<key>`` of a kind, "waveform" or "features", or open it where it is already whole.

    The key is a hash of the kind, the configuration, the reader's version, every recording's columns, size and SHA-256,
    and RESULTS_VERSION. A damaged store (:func:`~embridge.store.check`) is built again, with a warning;
    an interrupted one goes on. Raises InputError for a broken source file (``skip_broken`` leaves it out and lists it
    in the manifest), for features of an envelope, for too little space, and where another process is building the same
    store.
    """
    if kind == "features" and config.bandpass is None:
        raise InputError(f"{source.name}: an envelope has no power to measure; read it as waveforms")
    if config.stride_eval % config.stride_train:
        raise InputError(f"stride_eval {config.stride_eval} must be a multiple of stride_train {config.stride_train}")
    folder = Path(folder)
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    workers = workers or available_cores()
    files, broken = survey(source, folder, workers=workers, progress=progress, skip_broken=skip_broken)
    recordings = [r for r in source.recordings if r.key in files]
    sources = made_from(source, recordings, files, config)
    key = _key(sources, kind)
    path = folder / key
    store = _open_whole(path, progress)
    if store is None:
        with _disk_errors(folder):
            lock = FileLock(folder / f"{key}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise InputError(f"{path}: another run is building this store; wait for it or stop it") from error
        try:
            if _open_whole(path, progress) is None:
                shutil.rmtree(path, ignore_errors=True)
                builder = _Builder(path, sources, source, recordings, files, config, kind, broken, skip_broken)
                builder.run(workers, progress)
        finally:
            lock.release()
        store = WindowStore(path)
    if store.manifest["broken"] and not skip_broken:
        file, reason = store.manifest["broken"][0]
        raise InputError(f"{reason} (this store was built without {file}; accept that with --skip-broken)")
    return store


def _key(sources: str, kind: str) -> str:
    return fingerprint(sources, kind, RESULTS_VERSION)


def find_store(source: Source, config: WindowConfig, folder: Path | str, kind: str = "waveform") -> WindowStore | None:
    """The whole store that :func:`build_store` would open, its contents unchecked; None where it would build one.

    Writes nothing and sums no file: a source that was never surveyed has no store.
    """
    files, unknown = summed(source, Path(folder))
    if unknown:
        return None
    try:
        sources = made_from(source, list(source.recordings), files, config)
        return WindowStore(Path(folder) / _key(sources, kind))
    except InputError:  # absent, unfinished or damaged
        return None


def _open_whole(path: Path, progress: bool) -> WindowStore | None:
    if not path.exists():
        return None
    try:
        store = WindowStore(path)
        check(store, progress)
    except InputError as error:
        warnings.warn(f"{error} (done now)", EMBridgeWarning, stacklevel=3)
        return None
    return store


@contextmanager
def _disk_errors(folder: Path, needed: int = 0):
    """Tell a full or read-only disk in one sentence."""
    try:
        yield
    except OSError as error:
        space = f"; the window store needs {needed} bytes, {shutil.disk_usage(folder).free} are free" if needed else ""
        raise InputError(f"{folder}: cannot be written ({error.strerror}){space}") from error


class _Builder:
    """One store under way: ``<key>.partial`` holds the arrays and the journal until it gets its final name."""

    def __init__(self, path, sources, source, recordings, files, config, kind, broken, skip_broken):
        self.path, self.partial, self.sources = path, path.with_name(f"{path.name}.partial"), sources
        self.source, self.recordings, self.files, self.config = source, recordings, files, config
        self.broken, self.skip_broken = list(broken), skip_broken
        self.kind, self.shapes = kind, arrays_of(kind, config)
        self.window_bytes = window_bytes(kind, config)
        self.logs: list[dict] = []  # one a recording, without its windows
        columns = ("recording", "segment", "start", "offset", "gesture", "repetition", "digest", "checksum")
        self.columns: dict[str, list[np.ndarray]] = {name: [] for name in columns}
        self.n_windows = self.n_segments = 0
        self.gestures: dict[str, int] = {}

    def run(self, workers: int, progress: bool) -> None:
        """Reserve, go on from the journal, append what is missing, and give the store its name."""
        bound = sum(self._most_windows(self.files[r.key].n_samples) for r in self.recordings)
        self._check_space(bound)
        with _disk_errors(self.path.parent, bound * self.window_bytes), ExitStack() as opened:
            self.partial.mkdir(exist_ok=True)
            for name in (*self.shapes, "journal.jsonl"):
                (self.partial / name).touch()
            *arrays, journal = (
                opened.enter_context(open(self.partial / name, "r+b")) for name in (*self.shapes, "journal.jsonl")
            )
            for file, size in zip(arrays, self._sizes(), strict=True):
                _reserve(file, bound * size)
            self._replay(arrays, journal)
            self._append(arrays, journal, workers, progress)
            for file, size in zip(arrays, self._sizes(), strict=True):
                file.truncate(self.n_windows * size)
                os.fsync(file.fileno())
        with _disk_errors(self.path.parent, bound * self.window_bytes):
            self._finish()

    def _sizes(self) -> list[int]:
        """Bytes of one window in each array."""
        return [2 * width * steps for width, steps in self.shapes.values()]

    def _most_windows(self, n_samples: int) -> int:
        """An upper bound: starts are at least a stride apart within a stretch and a window apart across two."""
        step = min(self.config.stride_train, self.config.window)
        return max(0, (n_samples - self.config.window) // step + 1)

    def _check_space(self, bound: int) -> None:
        needed = bound * self.window_bytes
        have = sum(f.stat().st_blocks * 512 for f in self.partial.glob("*.f16")) if self.partial.is_dir() else 0
        free = shutil.disk_usage(self.path.parent).free
        if needed - have > free:
            raise InputError(
                f"{self.path.parent}: the window store needs {needed - have} more bytes and {free} are free; "
                "free some, or choose another folder"
            )

    def _replay(self, arrays, journal) -> None:
        """Take over what an interrupted build left, as far as its contents are what the journal says.

        A torn last line, or blocks that a power cut kept from the disk, end what is taken over.
        """
        good = 0
        for line, recording in zip(journal, self.recordings, strict=False):
            try:
                log = json.loads(line)
                n, shapes = len(log["checksums"]), self.shapes.values()
                block = [self._block(file, shape, n) for file, shape in zip(arrays, shapes, strict=True)]
            except ValueError:
                break
            if [checksum(*window) for window in zip(*block, strict=True)] != log["checksums"]:
                break
            if log.get("error") and not self.skip_broken:
                break
            self._take(recording, log)
            good += len(line)
        journal.seek(good)
        journal.truncate()
        for file, size in zip(arrays, self._sizes(), strict=True):
            file.seek(self.n_windows * size)

    def _block(self, file, shape: tuple[int, int], n: int) -> np.ndarray:
        size = 2 * shape[0] * shape[1]
        file.seek(self.n_windows * size)
        return np.frombuffer(file.read(n * size), np.float16).reshape(n, *shape)

    def _append(self, arrays, journal, workers: int, progress: bool) -> None:
        todo = self.recordings[len(self.logs) :]
        workers = min(workers, 1 + sum(self.files[r.key].n_samples for r in todo) // SAMPLES_PER_WORKER)
        hours = {r.key: self.files[r.key].n_samples / r.sample_rate / 3600 for r in self.recordings}
        jobs = ((r, self.config, self.files[r.key], self.kind) for r in todo)
        bar = tqdm(
            desc="windows",
            total=sum(hours.values()),
            initial=sum(hours[r.key] for r in self.recordings[: len(self.logs)]),
            disable=not progress,
            mininterval=5,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total:.2f} h, {remaining} to go, {rate_noinv_fmt}",
            unit=" h of recording",
        )
        with bar:
            for recording, part in zip(todo, in_order(cut, jobs, workers), strict=True):
                if part.log.get("error") and not self.skip_broken:
                    raise InputError(part.log["error"] + LEAVE_OUT)
                for file, array in zip(arrays, part.arrays, strict=True):
                    file.write(array)
                    file.flush()
                journal.write(json.dumps(part.log).encode() + b"\n")
                journal.flush()
                self._take(recording, part.log)
                bar.update(hours[recording.key])

    def _take(self, recording: Recording, log: dict) -> None:
        """Add one recording's journal entry to the table and the manifest under way."""
        windows = np.array(log["windows"], dtype=np.int64).reshape(-1, 3)
        gestures = [self.gestures.setdefault(g, len(self.gestures)) for g, _ in log["segments"]]
        repetitions = [r for _, r in log["segments"]]
        segment = windows[:, 0]
        values = {
            "recording": np.full(len(windows), len(self.logs)),
            "segment": segment + self.n_segments,
            "start": windows[:, 1],
            "offset": windows[:, 2],
            "gesture": np.array(gestures, dtype=np.int64)[segment],
            "repetition": np.array(repetitions, dtype=np.int64)[segment],
            "digest": np.array(log["digests"], dtype=np.uint64),
            "checksum": np.array(log["checksums"], dtype=np.uint64),
        }
        for name, value in values.items():
            self.columns[name].append(value)
        self.n_segments += len(log["segments"])
        self.n_windows += len(windows)
        if log.get("error"):
            self.broken.append((recording.path.name, log["error"]))
        file = self.files[recording.key]
        self.logs.append(
            {name: getattr(recording, name) for name in ("key", "gesture", *OF_RECORDING)}
            | {"file": recording.path.name, "size": file.size, "sha256": file.sha256, "n_samples": file.n_samples}
            | {"windows": len(windows), **{name: log[name] for name in ("scale", "dead_channels", "counts")}}
        )

    def _finish(self) -> None:
        table = self.partial / "windows.npz"
        columns = {name: np.concatenate(v) if v else np.zeros(0, int) for name, v in self.columns.items()}
        np.savez(table, **columns)
        of_both_kinds = b"".join(columns[name].tobytes() for name in sorted(columns) if name != "checksum")
        totals: dict[str, int] = {"recordings": len(self.logs), "windows": self.n_windows}
        for log in self.logs:
            for name, value in (*log["counts"].items(), ("dead_channels", len(log["dead_channels"]))):
                totals[name] = totals.get(name, 0) + value
        totals["broken_files"] = len(self.broken)
        if totals.get("short"):
            message = f"{totals['short']} of {len(self.logs)} recordings are shorter than a window and give none"
            warnings.warn(f"{self.source.folder}: {message}", EMBridgeWarning, stacklevel=5)
        body = {
            "key": self.path.name,
            "kind": self.kind,
            "sources": self.sources,
            "source": self.source.name,
            "simulated": self.source.simulated,
            "reader_version": self.source.reader_version,
            "store_version": STORE_VERSION,
            "config": as_json(self.config),
            "n_windows": self.n_windows,
            "counts": totals,
            "gestures": list(self.gestures),
            "table_sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
            "windows_sha256": hashlib.sha256(of_both_kinds).hexdigest(),
            "skipped": [list(x) for x in self.source.skipped],
            "broken": [list(x) for x in self.broken],
            "recordings": self.logs,
            **provenance(threads=1),  # which cuts a window; and what fills a store need not load torch
        }
        write_atomically(self.partial / "manifest.json", seal(body))
        (self.partial / "journal.jsonl").unlink()
        os.replace(self.partial, self.path)


def _reserve(file, size: int) -> None:
    """Reserve disk space so that a full disk is met now; without the call (macOS) writes still fail plainly."""
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
