"""The window store on disk: ``manifest.json``, ``windows.npz`` (one row a window) and float16 arrays.

A store holds what one front end reads of the windows: "waveform", filtered samples (288 kB a window of emg2pose), or
"features", log-power and frames (6 kB). Stores of both kinds have the same windows in the same order.
"""

import json
import zipfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from embridge.config import WindowConfig, fingerprint
from embridge.data.cutting import arrays_of, checksum, window_bytes
from embridge.data.signals import POWER_FLOOR, POWER_PARTS, log_power
from embridge.errors import InputError
from embridge.files import read_npz, read_toml, sha256, write_atomically

STORE_VERSION = 2  # raise it when the same windows would be kept in other files
VERIFY_BYTES = 2**32  # read at each opening: 10 s to a minute
# columns of the table that come from the recording, and those that are kept in windows.npz
OF_RECORDING = ("user", "session", "hand", "moving_hand", "split", "generalization")
OF_WINDOW = ("recording", "segment", "start", "offset", "gesture", "repetition", "digest", "checksum")
# why windows are left out, by the name of their count; and what is kept although it is odd
LOST, SHORT, KEPT = read_toml(__file__).values()
NO_NEWS = ("ik_failure", "short_segments", *KEPT)  # of named datasets, whose pages count them


def seal(body: dict) -> str:
    """A manifest as JSON with a checksum of itself."""
    return json.dumps({**body, "checksum": fingerprint(body)}, indent=1)


def left_out(lost: dict[str, dict], counts: dict[str, int]) -> str:
    """Why windows were left out, and of which recordings, in words, or ""; of the manifest's two entries."""
    windows = ", ".join(_told(lost, LOST))
    told = [f"windows left out of {counts.get('grid', 0)}: {windows}"] if windows else []
    return "; ".join(told + _told(lost, {name: what.format(**counts) for name, what in SHORT.items()}))


def odd(lost: dict[str, dict], counts: dict[str, int], known: bool) -> list[str]:
    """Sentences on what was left out and what was kept although it is odd, without NO_NEWS where it is ``known``."""
    news = {name: found for name, found in lost.items() if not (known and name in NO_NEWS)}
    return [text for text in (left_out(news, counts), *_told(news, KEPT)) if text]


def _told(lost: dict[str, dict], reasons: dict[str, str]) -> list[str]:
    """How many, what, and of which recordings: a count of each, or a list of its channels or joints from 0."""
    told = []
    for name in [name for name in reasons if name in lost]:
        size = {key: len(n) if isinstance(n, list) else n for key, n in lost[name].items()}
        most = sorted(size, key=lambda key: -size[key])
        where = ", ".join(key if name == "short" else f"{key} {lost[name][key]}" for key in most[:3])
        more = f" and {len(most) - 3} more" if len(most) > 3 else ""
        told.append(f"{sum(size.values())} {reasons[name]} ({where}{more})")
    return told


class WindowStore:
    """A finished store, opened read-only; nothing is read before it is asked for, so it can go to other processes.

    Its ``kind`` is "waveform" or "features". Waveforms are mapped from the disk; features, a fiftieth of these, are
    read whole into memory. Raises InputError where a file is missing, of another size, or its checksum is another.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        try:
            manifest = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
            table_sum = sha256(self.path / "windows.npz")
            self.kind: str = manifest["kind"]
            self.config = WindowConfig(**manifest["config"])
            self.arrays, self.bytes_each = arrays_of(self.kind, self.config), window_bytes(self.kind, self.config)
            sizes = {name: (self.path / name).stat().st_size for name in self.arrays}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.path}: not a whole window store ({error}); build it again") from error
        if manifest.pop("checksum", None) != fingerprint(manifest) or manifest["table_sha256"] != table_sum:
            raise InputError(f"{self.path}: its manifest or table is damaged; build the store again")
        self.manifest = manifest
        self.key: str = manifest["key"]
        self.simulated: bool = manifest["simulated"]
        for name, (width, steps) in self.arrays.items():
            expected = 2 * len(self) * width * steps
            if sizes[name] != expected:
                raise InputError(f"{self.path / name}: expected {expected} bytes, found {sizes[name]}; build it again")

    @property
    def contents(self) -> str:
        """Hash of the windows' contents and columns, the same for both kinds of store and whatever code cut them."""
        return fingerprint(*(self.manifest[name] for name in ("windows_sha256", "gestures", "recordings")))

    def __reduce__(self):
        return WindowStore, (self.path,)

    def __len__(self) -> int:
        return self.manifest["n_windows"]

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        try:
            return read_npz(self.path / "windows.npz")
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path}: its table is damaged ({error}); build the store again") from error

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a window, index 0..N-1 (the ids), with the columns OF_RECORDING and those named here.

        recording, gesture, repetition, segment (id of the labelled stretch), start (sample), offset (samples from the
        start of the valid stretch), eval_grid (offset is a multiple of ``stride_eval``), digest (of the waveforms, in a
        store of either kind). ``table.attrs["left out"]`` says what is missing and why.
        """
        columns, recordings = self._columns, self.manifest["recordings"]
        row = columns["recording"]
        table = {name: np.array([r[name] for r in recordings], object)[row] for name in ("key", *OF_RECORDING)}
        table = {"recording": table.pop("key"), **table}
        table["gesture"] = np.array(self.manifest["gestures"], dtype=object)[columns["gesture"]]
        table |= {name: columns[name] for name in ("repetition", "segment", "start", "offset", "digest")}
        table["eval_grid"] = columns["offset"] % self.config.stride_eval == 0
        table = pd.DataFrame(table, index=pd.RangeIndex(len(self)))
        why = left_out(self.manifest.get("lost", {}), self.manifest["counts"])
        if not why and (broken := self.manifest["broken"]):
            why = f"{len(broken)} files cannot be read, first {broken[0][0]}"
        none = f"none of its {len(recordings)} recordings has a labelled stretch"
        table.attrs["left out"] = why or none * (not len(self))
        return table

    emg_f16 = cached_property(lambda self: self._array(0))  # (N, C, T) float16; of features (N, C, bins)
    pose_f16 = cached_property(lambda self: self._array(1))  # (N, J, T); of features (N, J, bins)
    power_f16 = cached_property(lambda self: self._array(2))  # (N, C, 8), of features alone: see band_power

    def _array(self, number: int) -> np.ndarray:
        name, (width, steps) = list(self.arrays.items())[number]
        shape = (len(self), width, steps)
        if not len(self):  # an empty file cannot be mapped
            return np.zeros(shape, np.float16)
        if self.kind == "features":
            return np.fromfile(self.path / name, np.float16).reshape(shape)
        return np.memmap(self.path / name, np.float16, "r", shape=shape)

    def read_emg(self, ids):
        """EMG of the windows ``ids`` (B,), float32 tensor (B, C, T), in robust SDs of its recording; or log-power."""
        return self._read(self.emg_f16, ids)

    def read_pose(self, ids):
        """Pose of the windows ``ids`` (B,), float32 tensor (B, J, T) or (B, J, bins): rad, or raw glove units."""
        return self._read(self.pose_f16, ids)

    def band_power(self, ids) -> np.ndarray:
        """(n, C * 8) log-power of eight equal parts of the windows ``ids`` (n,), by channel (METHOD 1)."""
        ids = np.asarray(ids, dtype=np.int64)
        if self.kind == "features":
            found = self.power_f16[ids].astype(np.float64)
        else:
            found = np.full((len(ids), self.config.n_channels, POWER_PARTS), np.log(POWER_FLOOR))  # without a signal
            for row, i in zip(found, ids, strict=True):
                power = log_power(self.read_emg([i])[0].numpy(), POWER_PARTS)
                row[:] = row if power is None else power
        return found.reshape(len(ids), self.config.n_channels * POWER_PARTS)

    @staticmethod
    def _read(array: np.ndarray, ids):
        import torch  # only here: the processes that fill a store never read it

        return torch.from_numpy(np.asarray(array)[np.asarray(ids, dtype=np.int64)]).float()

    def verify(self, max_bytes: int | None = None, *, progress: bool = False) -> None:
        """Compare windows with their checksums: all, or evenly spread ones of ``max_bytes``, others at each call.

        Raises InputError that names the first damaged window.
        """
        step = 1 if max_bytes is None else -(-len(self) // max(1, max_bytes // self.bytes_each)) or 1
        ids = range(int(np.random.default_rng().integers(step)), len(self), step)
        arrays, expected = [self._array(number) for number in range(len(self.arrays))], self._columns["checksum"]
        for i in tqdm(ids, f"checking {self.path.name}", unit=" windows", mininterval=5, disable=not progress):
            if checksum(*(array[i] for array in arrays)) != expected[i]:
                where = self.table.recording.iloc[i]
                raise InputError(f"{self.path}: window {i} (recording {where}) is damaged; build the store again")


def check(store: WindowStore, progress: bool = False) -> None:
    """Verify a store that is opened: one of up to VERIFY_BYTES as a whole each time.

    A larger one is verified as a whole once, and again when the size or date of a file changed; ``<key>.verified.json``
    beside it says so. What rots on the disk changes neither: later openings look at VERIFY_BYTES, other ones each time.
    Raises InputError that names the first damaged window.
    """
    note = store.path.with_name(f"{store.path.name}.verified.json")
    files = {name: (store.path / name).stat() for name in (*store.arrays, "windows.npz", "manifest.json")}
    state = json.dumps({name: [status.st_size, status.st_mtime_ns] for name, status in files.items()})
    known = note.exists() and note.read_text(encoding="utf-8", errors="replace") == state
    if known or len(store) * store.bytes_each <= VERIFY_BYTES:
        return store.verify(VERIFY_BYTES)
    store.verify(progress=progress)
    with suppress(OSError):  # in a folder that cannot be written it is verified as a whole each time
        write_atomically(note, state)
