"""One BDF file of emg2pose's EMG-BIDS form: 16 channels of EMG, 20 joints, and annotations (METHOD 1).

edfio decodes a whole file at once, in some eight times its bytes of memory. It is handed a few data records at a time,
so that memory is the samples' own. Only reading samples needs edfio, not importing this.
"""

import math
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from embridge.data.emg2pose import N_ANGLES, N_CHANNELS, SAMPLE_RATE
from embridge.data.recordings import readable
from embridge.errors import InputError

EMG = tuple(f"emg{i}" for i in range(N_CHANNELS))
JOINTS = tuple(f"joint{i}" for i in range(N_ANGLES))
MAX_BYTES = 2**30  # of one file: 80 minutes of 37 channels at 24 bits and 2 kHz
PIECE = 2**22  # bytes that edfio is handed at a time: some 20 s
BLOCK = 256  # bytes of the file's own header, and again of each channel's
# the channels' headers lie together field by field: where one of 8 bytes begins, in bytes a channel
DIMENSION, RANGE, N_SAMPLES = 96, (104, 112, 120, 128), 216  # RANGE: physical minimum and maximum, digital ones
NOT_BDF = ("BDF file", OSError, ValueError, IndexError, OverflowError)


class Header(NamedTuple):
    """What a file's header says, checked against its size and against emg2pose's layout."""

    raw: bytes
    n_records: int  # data records
    record_bytes: int
    record_samples: int  # of each channel in a data record
    n_samples: int  # of each channel, with those that only fill the last data record
    dimension: str  # what it gives as the joints' unit; "uV" in the release


def read_header(path: Path) -> Header:
    """The header of a file. Raises InputError for another layout, another rate, and for a file cut short."""
    with readable(path, *NOT_BDF), open(path, "rb") as file:
        return _header(path, file)


def read_samples(path: Path, n: int) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float | None, str]], Header]:
    """The first n samples of a file: EMG (16, n), joints (20, n), annotations (onset, duration, text), and its header.

    Samples are float32, in the numbers that the header's scale gives; times in s, a duration None where there is none.
    Raises InputError as :func:`read_header`, and for what cannot be decoded.
    """
    from edfio import read_bdf

    out, notes = np.empty((N_CHANNELS + N_ANGLES, n), np.float32), []
    with readable(path, *NOT_BDF), open(path, "rb") as file:
        header = _header(path, file)
        step = max(1, PIECE // header.record_bytes)
        for first in range(0, header.n_records, step):
            k = min(step, header.n_records - first)
            of_k = header.raw[:236] + str(k).encode().ljust(8) + header.raw[244:]  # as of a file of so many
            part = read_bdf(of_k + file.read(k * header.record_bytes))
            signals = {signal.label.strip(): signal for signal in part.signals}
            for row, label in zip(out[:, first * header.record_samples :], EMG + JOINTS, strict=True):
                row, signal = row[: k * header.record_samples], signals[label]
                # one whose scale is a point is that constant: edfio gives raw integers
                constant = signal.physical_min == signal.physical_max
                row[:] = signal.physical_min if constant else signal.data[: len(row)]
            # edfio counts from the first record that it is given
            notes += [(a.onset + first * part.data_record_duration, a.duration, a.text) for a in part.annotations]
    return out[:N_CHANNELS], out[N_CHANNELS:], notes, header


def _header(path: Path, file: BinaryIO) -> Header:
    size, raw = path.stat().st_size, file.read(BLOCK)
    if size > MAX_BYTES:
        raise InputError(f"{path}: expected at most {MAX_BYTES} bytes, found {size}; split the recording")
    if raw[:8] != b"\xffBIOSEMI" or len(raw) < BLOCK:
        raise InputError(f"{path}: expected a BDF file, found one that begins with {raw[:8]!r}; fetch it again")
    if raw[192:197] == b"BDF+D":
        raise InputError(f"{path}: expected a continuous recording, found BDF+D, which has gaps; leave it out")
    n_records, seconds, n_channels = int(raw[236:244]), float(raw[244:252]), int(raw[252:256])
    raw += file.read(BLOCK * max(n_channels, 0))
    if len(raw) < BLOCK * (1 + n_channels):
        raise InputError(f"{path}: it ends within its header; fetch it again")

    def told(at: int, width: int = 8) -> list[str]:
        first = BLOCK + n_channels * at
        return [raw[first + i * width :][:width].decode("latin-1").strip() for i in range(n_channels)]

    labels, lengths, ranges = told(0, 16), [int(text) for text in told(N_SAMPLES)], [told(at) for at in RANGE]
    if min(lengths, default=0) < 1 or not 0 < seconds < math.inf:
        raise InputError(f"{path}: expected data records of some length, found {seconds:g} s; fetch it again")
    record_bytes = 3 * sum(lengths)
    whole, rest = divmod(size - len(raw), record_bytes)
    if n_records == -1:  # a writer that was stopped before it knew
        n_records, rest = whole, 0
    if n_records < 0 or whole != n_records or rest:
        expected = len(raw) + max(n_records, 0) * record_bytes
        raise InputError(f"{path}: expected {expected} bytes by its header, found {size}; fetch it again")
    if missing := [label for label in EMG + JOINTS if labels.count(label) != 1]:
        found = f"found {missing[0]} {labels.count(missing[0])} times among {', '.join(labels) or 'none'}"
        raise InputError(f"{path}: expected channels emg0 to emg15 and joint0 to joint19, each once; {found}")
    at = [labels.index(label) for label in EMG + JOINTS]
    for i in at:
        if not math.isclose(lengths[i] / seconds, SAMPLE_RATE, rel_tol=1e-6):
            found = f"found {lengths[i] / seconds:g} in {labels[i]}"
            raise InputError(f"{path}: expected {SAMPLE_RATE:g} Hz, {found}; resample or leave the file out")
        low, high, least, most = (float(texts[i]) for texts in ranges)
        if not (math.isfinite(low) and math.isfinite(high)) or least >= most:
            found = f"found {low} to {high} for integers from {least:g} to {most:g}"
            raise InputError(f"{path}: expected {labels[i]}'s range as two numbers, {found}; fetch it again")
    of_each = told(DIMENSION)
    dimensions = sorted({of_each[labels.index(label)] for label in JOINTS})
    if len(dimensions) > 1:
        raise InputError(f"{path}: expected one unit for all joints, found {' and '.join(dimensions)}; fetch it again")
    return Header(raw, n_records, record_bytes, lengths[at[0]], n_records * lengths[at[0]], dimensions[0])
