"""Recordings -> a float16 window store of one kind, built once (METHOD 1; RELIABILITY 4, 7-9).

The SHA-256 of each source file is kept in ``sources.json`` beside the stores, by path, size and date, so that a file
is summed once; and again when a store is built of it: a difference is bytes that rotted.

Workers cut recordings (:mod:`embridge.data.cutting`); this process appends the results in the recordings' order and
notes each in a journal, so that a killed build goes on where it was. Only a finished store gets its final name.
"""

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate, islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from embridge.config import RESULTS_VERSION, WindowConfig, as_json, fingerprint
from embridge.data.cutting import SourceFile, arrays_of, checksum, cut
from embridge.data.recordings import LEAVE_OUT, Recording, Source, leave_out
from embridge.data.store import KEPT, LOST, OF_RECORDING, OF_WINDOW, SHORT, STORE_VERSION, WindowStore, check, odd, seal
from embridge.errors import InputError, warn
from embridge.files import locked, sha256, write_atomically
from embridge.parallel import available_cores, in_order
from embridge.provenance import provenance

SAVE_SECONDS = 30.0  # between two writes of sources.json
SAMPLES_PER_WORKER = 3_000_000  # about 10 s of work: starting a process takes 2 s


@contextmanager
def _disk_errors(folder: Path, needed: int = 0):
    """Tell a full or read-only disk in one sentence."""
    try:
        yield
    except OSError as error:
        space = f"; the window store needs {needed} bytes, {shutil.disk_usage(folder).free} are free" if needed else ""
        raise InputError(f"{folder}: cannot be written ({error.strerror}){space}") from error


def summed(source: Source, folder: Path) -> tuple[dict[str, dict], dict[str, SourceFile], list[Recording]]:
    """What ``sources.json`` in ``folder`` says, the files of it by recording key, and recordings that it does not know.

    A file of another size or date is not known; of a recording without one there is nothing to sum. Writes nothing.
    """
    path, files, todo = folder / "sources.json", {}, []
    try:
        cache = dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        warn(f"{path} is damaged ({error}); all files are summed again", 4)
        cache = {}
    for recording in source.recordings:
        if recording.made_from:
            files[recording.key] = SourceFile(0, 0, recording.made_from, recording.n_samples(), fresh=True)
            continue
        known = cache.get(str(recording.path.resolve()))
        with suppress(OSError):  # there is none, or no permission to look
            status = recording.path.stat()
            if known and (known["size"], known["mtime_ns"]) == (status.st_size, status.st_mtime_ns):
                files[recording.key] = SourceFile(**known)
                continue
        todo.append(recording)
    return cache, files, todo


def survey(
    source: Source, folder: Path, *, workers: int, progress: bool, skip_broken: bool
) -> tuple[dict[str, SourceFile], list[tuple[str, str]]]:
    """Sum each recording's file: what was found by recording key, and (file, reason) of broken ones.

    Raises InputError at the first broken file unless ``skip_broken``.
    """
    (cache, files, todo), broken = summed(source, folder), []

    def save() -> float:
        with _disk_errors(folder):
            write_atomically(folder / "sources.json", json.dumps(cache))
        return time.monotonic()

    saved = time.monotonic()
    pool = ThreadPoolExecutor(workers)  # hashing runs beside Python; headers are read one at a time, here
    try:
        sums = [pool.submit(sha256, r.path) for r in todo]
        bar = tqdm(sums, "source files", mininterval=5, disable=not (progress and todo))
        for recording, total in zip(todo, bar, strict=True):
            path = recording.path
            try:
                status = path.stat()
                file = SourceFile(status.st_size, status.st_mtime_ns, total.result(), recording.n_samples())
            except (InputError, OSError) as error:
                if isinstance(error, OSError):
                    error = f"{path}: cannot be read ({error.strerror}); fetch it again, or ask its owner"
                leave_out(broken, path.name, error, skip_broken)
                continue
            files[recording.key] = replace(file, fresh=True)
            cache[str(path.resolve())] = {k: v for k, v in asdict(file).items() if k != "fresh"}
            if time.monotonic() - saved > SAVE_SECONDS:
                saved = save()
    finally:
        pool.shutdown(cancel_futures=True)
    if todo:
        save()
    return files, broken


def _made_from(source: Source, recordings: list[Recording], files: dict[str, SourceFile], config: WindowConfig) -> str:
    """Hash of what a store's windows are made from, whatever code makes them."""
    columns = [[r.key, r.gesture, *(getattr(r, name) for name in OF_RECORDING)] for r in recordings]
    sums = [[files[r.key].size, files[r.key].sha256] for r in recordings]
    return fingerprint(STORE_VERSION, source.name, source.reader_version, as_json(config), columns, sums)


def find_store(source: Source, config: WindowConfig, folder: Path | str, kind: str = "waveform") -> WindowStore | None:
    """The store that :func:`build_store` would open, unchecked, or None; writes nothing and sums no file."""
    _, files, unknown = summed(source, Path(folder))
    if unknown:  # a source that was never surveyed has no store
        return None
    sources = _made_from(source, list(source.recordings), files, config)
    try:
        return WindowStore(Path(folder) / fingerprint(sources, kind, RESULTS_VERSION))
    except InputError:  # absent, unfinished or damaged
        return None


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
    and RESULTS_VERSION. A damaged store (:func:`check`) is built again, with a warning; an interrupted one goes on.
    Raises InputError for a broken source file (``skip_broken`` leaves it out and lists it in the manifest), features of
    an envelope, too little space, and where another process is building the same store.
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
    sources = _made_from(source, recordings, files, config)
    path = folder / fingerprint(sources, kind, RESULTS_VERSION)
    store = _open_whole(path, progress)
    if store is None:
        busy = f"{path}: another run is building this store (HOLDER); wait for it or stop it"
        with locked(folder / f"{path.name}.lock", busy):
            if _open_whole(path, progress) is None:  # as it was before the lock was ours
                shutil.rmtree(path, ignore_errors=True)
                building = _Build(path, sources, source, recordings, files, config, kind, broken, skip_broken)
                building.run(workers, progress)
        store = WindowStore(path)
    if store.manifest["broken"] and not skip_broken:
        file, reason = store.manifest["broken"][0]
        raise InputError(f"{reason} (this store was built without {file}; accept that with --skip-broken)")
    return store


def _open_whole(path: Path, progress: bool) -> WindowStore | None:
    if not path.exists():
        return None
    try:
        store = WindowStore(path)
        check(store, progress)
    except InputError as error:
        warn(f"{error} (done now)", 3)
        return None
    return store


@dataclass
class _Build:
    """One store under way: ``<key>.partial`` holds the arrays and the journal until it gets its final name."""

    path: Path
    sources: str
    source: Source
    recordings: list[Recording]
    files: dict[str, SourceFile]
    config: WindowConfig
    kind: str
    broken: list[tuple[str, str]]
    skip_broken: bool
    logs: list[dict] = field(default_factory=list)  # one a recording: the journal's entry, of windows as arrays
    n_windows: int = 0

    def run(self, workers: int, progress: bool) -> None:
        """Reserve, go on from the journal, append what is missing, and give the store its name."""
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        shapes = arrays_of(self.kind, self.config)
        sizes = [2 * width * steps for width, steps in shapes.values()]  # bytes of one window in each array
        # starts are at least a stride apart within a stretch and a window apart across two
        step = min(self.config.stride_train, self.config.window)
        most = sum(max(0, (self.files[r.key].n_samples - self.config.window) // step + 1) for r in self.recordings)
        needed, free = most * sum(sizes), shutil.disk_usage(self.path.parent).free
        missing = needed - sum(f.stat().st_blocks * 512 for f in self.partial.glob("*.f16"))
        if missing > free:
            needs = f"the window store needs {missing} more bytes and {free} are free"
            raise InputError(f"{self.path.parent}: {needs}; free some, or choose another folder")
        with _disk_errors(self.path.parent, needed):
            self.partial.mkdir(exist_ok=True)
            with ExitStack() as opened:
                paths = [self.partial / name for name in (*shapes, "journal.jsonl")]
                for path in paths:
                    path.touch()
                *arrays, journal = (opened.enter_context(open(path, "r+b")) for path in paths)
                for file, size in zip(arrays, sizes, strict=True):
                    if most and hasattr(os, "posix_fallocate"):  # or, on macOS, a full disk is met by a write
                        os.posix_fallocate(file.fileno(), 0, most * size)
                self._replay(arrays, list(shapes.values()), journal)
                for file, size in zip(arrays, sizes, strict=True):
                    file.seek(self.n_windows * size)
                self._append(arrays, journal, workers, progress)
                for file, size in zip(arrays, sizes, strict=True):
                    file.truncate(self.n_windows * size)
                    os.fsync(file.fileno())
            self._finish()

    def _replay(self, arrays, shapes, journal) -> None:
        """Take over what an interrupted build left, as far as its contents are what the journal says.

        A torn last line, or blocks that a power cut kept from the disk, end what is taken over.
        """
        good = 0
        for line in islice(journal, len(self.recordings)):
            try:
                log = json.loads(line)
                n, blocks = len(log["checksums"]), []
                for file, (width, steps) in zip(arrays, shapes, strict=True):
                    blocks.append(np.frombuffer(file.read(2 * n * width * steps), np.float16).reshape(n, width, steps))
            except ValueError:
                break
            whole = [checksum(*window) for window in zip(*blocks, strict=True)] == log["checksums"]
            if not whole or (log.get("error") and not self.skip_broken):
                break
            self._take(log)
            good += len(line)
        journal.seek(good)
        journal.truncate()

    def _append(self, arrays, journal, workers: int, progress: bool) -> None:
        todo = self.recordings[len(self.logs) :]
        workers = min(workers, 1 + sum(self.files[r.key].n_samples for r in todo) // SAMPLES_PER_WORKER)
        hours = {r.key: self.files[r.key].n_samples / r.sample_rate / 3600 for r in self.recordings}
        done = [*accumulate(hours.values(), initial=0.0)]  # as the bar adds: sum rounds otherwise since Python 3.12
        jobs = ((r, self.config, self.files[r.key], self.kind) for r in todo)
        parts = in_order(cut, jobs, workers, lambda job: (job[0].loader, job[0].counter, job[0].labeller))
        told = "{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total:.2f} h, {remaining} to go, {rate_noinv_fmt}"
        how = {"total": done[-1], "initial": done[len(self.logs)], "unit": " h of recording", "bar_format": told}
        with tqdm(desc="windows", disable=not progress, mininterval=5, **how) as bar:
            for recording, part in zip(todo, parts, strict=True):
                if part.log.get("error") and not self.skip_broken:
                    raise InputError(part.log["error"] + LEAVE_OUT)
                for file, array in zip(arrays, part.arrays, strict=True):
                    file.write(array)
                    file.flush()
                journal.write(json.dumps(part.log).encode() + b"\n")
                journal.flush()
                self._take(part.log)
                bar.update(hours[recording.key])

    def _take(self, log: dict) -> None:
        """Add the next recording's journal entry; as arrays its windows take a fraction of the memory."""
        log["windows"] = np.array(log["windows"], np.int64).reshape(-1, 3)
        log |= {name: np.array(log[name], np.uint64) for name in ("digests", "checksums")}
        self.logs.append(log)
        self.n_windows += len(log["windows"])

    def _finish(self) -> None:
        """Write the table and the manifest, and give the store its name."""
        parts, gestures, lost, recordings, n_segments = [], {}, {}, [], 0
        totals = Counter(recordings=len(self.logs), windows=self.n_windows)
        for number, (recording, log) in enumerate(zip(self.recordings, self.logs, strict=True)):
            segment, start, offset = log["windows"].T
            labels = [(gestures.setdefault(g, len(gestures)), repetition) for g, repetition in log["segments"]]
            label = np.array(labels, np.int64).reshape(-1, 2)[segment].T
            at = np.full(len(segment), number), segment + n_segments, start, offset
            parts.append([*at, *label, log["digests"], log["checksums"]])
            n_segments += len(labels)
            if log.get("error"):
                self.broken.append((recording.path.name, log["error"]))
            found = log["counts"] | log.get("lost", {}) | {"dead_channels": log["dead_channels"]}
            for name in (*LOST, *SHORT, *KEPT):
                if found.get(name):
                    lost.setdefault(name, {})[recording.key] = found[name]
            totals.update(log["counts"], dead_channels=len(log["dead_channels"]))
            file = self.files[recording.key]
            recordings.append(
                {name: getattr(recording, name) for name in ("key", "gesture", *OF_RECORDING)}
                | {"file": recording.path.name, "size": file.size, "sha256": file.sha256, "n_samples": file.n_samples}
                | {"windows": len(segment), **{name: log[name] for name in ("scale", "dead_channels", "counts")}}
            )
        totals["broken_files"] = len(self.broken)
        none = [[np.zeros(0, int)] * len(OF_WINDOW)]
        columns = dict(zip(OF_WINDOW, map(np.concatenate, zip(*(parts or none), strict=True)), strict=True))
        table, source = self.partial / "windows.npz", self.source
        np.savez(table, **columns)
        of_both_kinds = b"".join(columns[name].tobytes() for name in sorted(columns) if name != "checksum")
        for text in odd(lost, totals, source.failures_known):
            warn(f"{source.folder}: {text}", 5)
        body = {"key": self.path.name, "kind": self.kind, "sources": self.sources, "source": source.name}
        body |= {"simulated": source.simulated, "reader_version": source.reader_version}
        body |= {"store_version": STORE_VERSION, "config": as_json(self.config), "n_windows": self.n_windows}
        body |= {"counts": totals, "lost": lost, "gestures": list(gestures), "table_sha256": sha256(table)}
        body |= {"windows_sha256": hashlib.sha256(of_both_kinds).hexdigest(), "skipped": source.skipped}
        # one thread cuts a window; and what fills a store need not load torch
        body |= {"broken": self.broken, "recordings": recordings, **provenance(threads=1)}
        write_atomically(self.partial / "manifest.json", seal(body))
        (self.partial / "journal.jsonl").unlink()
        os.replace(self.partial, self.path)
