"""emg2pose as EMG-BIDS (NEMAR nm000281, BIDS 1.11): one BDF file a hand and stage, described by sidecars (METHOD 1).

A recording is what it is in the HDF5 form: its key is the name of the HDF5 file that it was converted from, its user is
emg2pose's own. Storing differs: 24-bit integers, padded to whole data records, without a clock; and frames without a
pose are told by BAD_IK alone, for a zero that was rounded is not zero. Never more than one BDF file is open in a
process, and none between calls.
"""

import importlib.util
import os
import re
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np

from embridge.config import fingerprint
from embridge.data import emg2pose
from embridge.data.bdf import BLOCK, EMG, JOINTS, Header, read_header, read_samples
from embridge.data.bids import DESCRIPTION, MISSING, Tree, entities, is_absent, read_table
from embridge.data.recordings import Recording, Segment, Signals, Source, leave_out
from embridge.errors import InputError, warn

ENDING, OTHERS = "_emg.bdf", (".hdf5", *emg2pose.METADATA_NAMES)
READER_VERSION = "emg2pose-bids-1"
HEADER_BYTES = BLOCK * (1 + len(EMG + JOINTS))  # a file is at least as long
FAILED = "BAD_IK"  # the annotation of frames without a pose
RADIANS, MICRORADIANS = ("rad", "radian", "radians"), ("urad", "µrad", "μrad")
NO_ANGLE = ("uV", "µV", "μV", *MISSING)  # what writers put on every channel
LARGEST, SMALLEST = 10.0, 1e-3  # rad: no joint turns so far, and no hand's largest angle is so small
ABOUT_ZERO = 1e-5  # rad: what 24 bits may make of a 0, with room
PARTICIPANT = ("participant_id", "original_user")
UNFETCHED, UNLISTED = "its content was not fetched", "no row in the metadata CSV"


def open_either(folder: Path | str, *, simulated: bool = False, skip_broken: bool = False) -> Source:
    """emg2pose's recordings below ``folder``, HDF5 or EMG-BIDS, as they lie there; InputError for both or neither.

    HDF5 is read as by :func:`~embridge.data.emg2pose.open_emg2pose`. Of an EMG-BIDS dataset, or any part of it, samples
    are not read. Files whose content was not fetched (a link to nothing, a git-annex or LFS pointer) are left out and
    named in ``Source.skipped``. Splits come from emg2pose's metadata CSV, wherever it lies below ``folder``, by a
    recording's SourceFile; else from scans.tsv where it has them. What the CSV does not say of a recording its sidecars
    do, inherited ones too. ``skip_broken`` leaves out recordings that are not described; without it they raise
    InputError, as do a second copy of one and a missing edfio.
    """
    folder = Path(folder)
    tree = Tree(folder, ENDING, OTHERS, skip_broken)
    hdf5 = tree.named(".hdf5")
    if hdf5 and tree.roots:
        forms = f"{hdf5[0].relative_to(folder)} and EMG-BIDS in {tree.roots[0]}"
        raise InputError(f"emg2pose: {folder} holds both forms, {forms}; pass --data with the folder of one")
    if tree.recordings and not hdf5:
        return _open(tree, simulated, skip_broken)
    # which says so where there is neither
    return emg2pose.open_emg2pose(folder, simulated=simulated, skip_broken=skip_broken)


class Described(NamedTuple):
    """What sidecars say of one recording and its file does not; None for what they do not say either."""

    valid: int | None  # ValidSamples
    padded: int | None  # BDFPaddedSamples
    duration: float | None  # s, of scans.tsv
    events: str | None  # the path of its events.tsv


def _open(tree: Tree, simulated: bool, skip_broken: bool) -> Source:
    folder, files = tree.folder, tree.recordings
    if len(tree.roots) != 1:
        expected = f"expected one {DESCRIPTION} above them, found {' and '.join(map(str, tree.roots)) or 'none'}"
        raise InputError(f"emg2pose: {folder} holds *{ENDING} files, {expected}; pass --data with the folder of one")
    if importlib.util.find_spec("edfio") is None:
        install = "which is not installed; run pip install '.[bids]' in the clone of this repository"
        raise InputError(f"emg2pose: EMG-BIDS in {folder} is read with edfio, {install}")
    csvs = [path for path in tree.named(".csv") if path.name in emg2pose.METADATA_NAMES and not is_absent(path, BLOCK)]
    rows = emg2pose.read_metadata(csvs)[1].set_index("filename").to_dict("index") if csvs else None
    people = [row for path in tree.named("participants.tsv") for row in read_table(path, *PARTICIPANT)]
    users = {row["participant_id"]: row["original_user"] for row in people}
    listed = [row for path in tree.named("scans.tsv") for row in read_table(path, "filename")]
    scans = {PureWindowsPath(row["filename"]).name: row for row in listed}  # by file name, which is unique in a dataset
    recordings, described, skipped = {}, [], tree.left
    for path in files:
        if is_absent(path, HEADER_BYTES):
            skipped.append((path.name, UNFETCHED))
            continue
        try:
            recording, said = _recording(tree, path, users, scans.get(path.name, {}), rows)
        except InputError as error:
            leave_out(skipped, path.name, error, skip_broken)
            continue
        if rows is not None and recording.key not in rows and not recording.split:
            skipped.append((path.name, UNLISTED))
            continue
        if twin := recordings.get(recording.key):
            raise InputError(f"emg2pose: {recording.key} is there twice, as {twin.path} and {path}; remove one")
        recordings[recording.key] = recording
        # what sidecars say is in no recording's own sum
        events = os.path.getsize(said.events) if said.events and os.path.exists(said.events) else None
        described.append((recording.key, *said[:-1], events))
    _tell(folder, recordings, skipped, len(files))
    version = f"{READER_VERSION}-{fingerprint(sorted(described, key=lambda row: row[0]))}"
    name, found = "simulated" if simulated else "emg2pose", [recordings[key] for key in sorted(recordings)]
    return Source(name, folder, found, version, simulated, skipped, True)


def _tell(folder: Path, recordings: dict[str, Recording], skipped: list[tuple[str, str]], n: int) -> None:
    """Say in a sentence each what was left out and what is not known of the rest."""
    if not recordings:
        name, why = skipped[0]
        raise InputError(f"emg2pose: none of the {n} *{ENDING} files below {folder} can be used, first {name}: {why}")
    for reason in (UNFETCHED, UNLISTED):
        if names := [name for name, why in skipped if why == reason]:
            warn(f"{folder}: {len(names)} of {n} recordings are left out, first {names[0]}: {reason}", 4)
    if not any(recording.split for recording in recordings.values()):
        said = f"{folder} holds neither {' nor '.join(emg2pose.METADATA_NAMES)}, and no split in scans.tsv"
        warn(f"{said}: recordings have no split", 4)


def _recording(tree: Tree, path: Path, users: dict, scan: dict, rows: dict | None) -> tuple[Recording, Described]:
    """One recording by its row of the metadata CSV, else by its sidecars, and what its loader must know."""
    sidecar, named = tree.sidecar(path, "emg.json"), entities(path.name)

    def told(name: str, column: str) -> str:
        return _known(sidecar.get(name)) or _known(scan.get(column))

    key = re.sub(r"\.(hdf5|h5)$", "", PureWindowsPath(told("SourceFile", "source_file")).name)  # behind / or \
    if not key:
        expected = "expected SourceFile in its .json or source_file in scans.tsv, found neither"
        raise InputError(f"{path}: {expected}; fetch these sidecars")
    subject = f"sub-{named.get('sub', '')}"
    user = _known(users.get(subject)) or subject
    about = {
        "user": user,
        "session": f"{user} ses-{named['ses']}" if "ses" in named else user,  # every user has a ses-01
        "stage": told("Stage", "stage").removesuffix("_both"),
        "side": told("HandSide", "side").lower() or named.get("recording", ""),
        "moving_hand": "",  # in no sidecar
        "split": _known(scan.get("split")),
        "generalization": _known(scan.get("generalization")),
    }
    if rows and key in rows:
        about = {name: rows[key][name] for name in about}
    hand, gesture = about.pop("side"), about.pop("stage")
    if hand not in ("left", "right") or not gesture:
        expected = "expected Stage and HandSide (left or right) in its .json or scans.tsv"
        raise InputError(f"{path}: {expected}, found '{gesture}' and '{hand}'; fetch these sidecars")
    said = Described(
        valid=_number(path, "ValidSamples", sidecar.get("ValidSamples"), whole=True),
        padded=_number(path, "BDFPaddedSamples", sidecar.get("BDFPaddedSamples"), whole=True),
        duration=_number(path, "duration in scans.tsv", scan.get("duration")),
        events=next((str(found) for found in reversed(tree.sidecars(path, "events.tsv"))), None),
    )
    about |= {"key": key, "path": path, "hand": hand, "gesture": gesture, "sample_rate": emg2pose.SAMPLE_RATE}
    read = {"loader": partial(_load, said=said), "counter": partial(_count, said=said)}
    return Recording(**about, **read), said


def _known(value) -> str:
    return "" if value is None or value in MISSING else str(value)


def _number(path: Path | str, what: str, value, *, whole: bool = False):
    """A number that is not negative, from JSON or from text; None where there is none."""
    if not _known(value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1e12 or isinstance(value, bool) or (whole and number != int(number)):
        unit = "samples" if whole else "seconds"
        raise InputError(f"{path}: expected {unit} as {what}, found {value!r}; fetch that again")
    return int(number) if whole else number


def _length(path: Path, header: Header, said: Described) -> int:
    """Samples without padding: ValidSamples; else all but BDFPaddedSamples; else the duration and one sample more.

    ValidSamples is absent in 11 % of the release, and durations there are one sample short (METHOD 1).
    """
    n = header.n_samples
    if said.valid is not None:
        what, length = f"ValidSamples {said.valid}", said.valid
    elif said.padded is not None:
        what, length = f"BDFPaddedSamples {said.padded}", n - said.padded
    elif said.duration is not None:
        what, length = f"a duration of {said.duration:g} s", round(said.duration * emg2pose.SAMPLE_RATE) + 1
        length -= length == n + 1  # one that is not short, of a recording without padding
    else:
        expected = "expected ValidSamples in its .json or a duration in scans.tsv"
        raise InputError(f"{path}: {expected}, found neither to tell samples from padding; fetch these sidecars")
    if not 0 <= length <= n:
        raise InputError(f"{path}: expected {what} within its {n} samples; fetch it and its sidecars again")
    return length


def _count(recording: Recording, *, said: Described) -> int:
    return _length(recording.path, read_header(recording.path), said)


def _load(recording: Recording, *, said: Described) -> Signals:
    """Read one recording: (T, 16) EMG and (T, 20) angles in rad, 0 where there is no pose, as in the HDF5 form."""
    path, n = recording.path, _count(recording, said=said)
    emg, pose, annotations, header = read_samples(path, n)
    failed = _failed(annotations, said.events, n)
    largest = np.maximum(pose.max(axis=0, initial=0.0), -pose.min(axis=0, initial=0.0))  # (T,), of each frame
    unit = _unit(path, header.dimension, float(largest[~failed].max(initial=0.0)))
    pose *= np.float32(unit)
    if lost := int(((largest * unit < ABOUT_ZERO) & ~failed).sum()):
        said = f"{path}: {lost} frames hold angles of about 0 outside {FAILED} and count as poses; look whether its"
        warn(f"{said} annotations and events.tsv are whole", 3)
    pose[:, failed] = 0
    return Signals(emg.T, pose.T, (Segment(0, n, recording.gesture),), failed=failed)


def _failed(annotations: list, events: str | None, n: int) -> np.ndarray:
    """The frames (n,) bool that an annotation BAD_IK, or a row of an events.tsv with one in any column, touches."""
    spans = [(onset, duration) for onset, duration, text in annotations if text == FAILED]
    for row in read_table(Path(events), "onset", "duration") if events else ():
        if FAILED in row.values():
            spans.append([_number(events, name, row[name]) for name in ("onset", "duration")])
    failed = np.zeros(n, bool)
    for onset, duration in spans:
        start = round((onset or 0.0) * emg2pose.SAMPLE_RATE)
        length = max(1, round((duration or 0.0) * emg2pose.SAMPLE_RATE))
        failed[max(start, 0) : max(0, start + length)] = True
    return failed


def _unit(path: Path, dimension: str, largest: float) -> float:
    """What turns the joints' numbers into rad, by their dimension in the header and the largest of them (0: no pose).

    The release says uV and means 1e-6 rad. Others put uV on every channel, so under it the numbers decide, which for a
    hand lie a million apart in the two units. A unit of angles is believed, unless no hand could have such angles.
    """
    for unit, dimensions in ((1.0, RADIANS), (1e-6, MICRORADIANS)):
        if dimension in (*dimensions, *NO_ANGLE) and (not largest or SMALLEST <= largest * unit <= LARGEST):
            return unit
    found = f"found numbers up to {largest:g} under the unit '{dimension}'"
    raise InputError(f"{path}: expected joints in 1e-6 rad or rad, {found}; convert the file again or leave it out")
