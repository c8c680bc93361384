"""emg2pose: one HDF5 file a hand and stage, described by ``metadata.csv`` (METHOD 1).

The CSV is trusted over the attributes in the files: their ``stage`` may carry a ``_both`` suffix. Never more than
one file is open in a process, and none between calls.
"""

import warnings
from pathlib import Path

import pandas as pd

from embridge.errors import EMBridgeWarning, InputError
from embridge.files import sha256
from embridge.recordings import LEAVE_OUT, Recording, Source
from embridge.recordings.session import SAMPLE_RATE, count, load, opened

METADATA_NAMES = ("metadata.csv", "emg2pose_metadata.csv")
COLUMNS = ("filename", "user", "session", "stage", "side", "moving_hand", "split", "generalization")
READER_VERSION = "emg2pose-1"
MOST_METADATA = 2**26  # bytes, ten times what the dataset's 25,253 rows take; pandas needs many times a CSV's size

IN_CLASSES = (
    "ThumbsSwipesWholeHand",
    "HandClawGraspFlicks",
    "ThumbsUpDownThumbRotationsCWCCWP",
    "FingerPinchesSingleFingerPinchesMultiple",
)
UNSEEN_CLASSES = (
    "HookEmHornsOKScissors",
    "ShakaVulcanPeace",
    "CountingUpDownFaceSideAway",
    "CountingUpDownFingerWigglingSpreading",
)
HELD_OUT_STAGES = (*UNSEEN_CLASSES, "HandOverHandCountingUpDownFingerWigglingSpreading", "FingerFreeform")
STAGES = (
    "AllFingerPinchesThumbSwipeThumbRotate",
    "CoffeePanicPete",
    "CountingUpDownFaceSideAway",
    "CountingUpDownFingerWigglingSpreading",
    "DoorknobFingerGraspFistGrab",
    "FastPongFronthandBackhandThrowing",
    "FingerAbductionSeries",
    "FingerFreeform",
    "FingerPinchesSingleFingerPinchesMultiple",
    "FingerTouchPalmClapmrburns",
    "FingerWigglingSpreading",
    "GraspPunchCloseFar",
    "HandClawGraspFlicks",
    "HandDeskSeparateClaspedChest",
    "HandOverHandAllFingerPinchesThumbSwipeThumbRotate",
    "HandOverHandCountingUpDownFingerWigglingSpreading",
    "HookEmHornsOKScissors",
    "IndexPinchesMiddlePinchesThumbswipes",
    "IndividualFingerPointingSnap",
    "OneHandedFreeStyle",
    "PlayBlocksChess",
    "PokeDrawPinchRotateclosefar",
    "PokePinchCloseFar",
    "ShakaVulcanPeace",
    "ThumbsSwipesWholeHand",
    "ThumbsUpDownThumbRotationsCWCCWP",
    "TwoHandedFreeStyle",
    "WristFlexionAbduction",
    "unconstrained",
)
JOINTS = tuple(
    f"{finger}_{joint}"
    for finger, joints in (
        ("thumb", ("CMC_FE", "CMC_AA", "MCP_FE", "IP_FE")),
        *((f, ("MCP_AA", "MCP_FE", "PIP_FE", "DIP_FE")) for f in ("index", "middle", "ring", "pinky")),
    )
    for joint in joints
)


def open_emg2pose(
    folder: Path | str, *, simulated: bool = False, skip_broken: bool = False, verify: bool = False
) -> Source:
    """List emg2pose's recordings below ``folder`` without reading their samples.

    Any subset of the files will do: rows without a file are absent, files without a row are left out and named in
    ``Source.skipped``. Without a metadata file the attributes in the HDF5 files are all there is, so the recordings
    have no split, and a warning says so. ``verify`` compares every file with ``sha256.txt`` (lines of ``sha256sum``)
    in ``folder``. ``skip_broken`` leaves out files that do not open; without it they raise InputError.

    Files are found by looking below ``folder``; a name in the CSV only chooses among them and opens nothing elsewhere.
    A symbolic link to a file is followed, for data often lie on another disk; one to a folder is not.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"emg2pose: there is no folder {folder}; pass --data with the folder that holds the HDF5 files"
        )
    files = _files_by_stem(folder)
    if verify:
        _verify(folder, files)
    found = sorted(
        (p for name in METADATA_NAMES for p in folder.rglob(name)),
        key=lambda p: (len(p.parts), METADATA_NAMES.index(p.name)),
    )
    if found:
        recordings, skipped = _from_csv(found[0], files, simulated)
    else:
        recordings, skipped = _from_attributes(folder, files, simulated, skip_broken)
    return Source(
        name="simulated" if simulated else "emg2pose",
        folder=folder,
        recordings=tuple(recordings),
        reader_version=READER_VERSION,
        simulated=simulated,
        skipped=tuple(skipped),
    )


def _files_by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.hdf5")):
        if path.name.startswith("."):  # macOS leaves "._name.hdf5" in archives
            continue
        if path.stem in files:
            raise InputError(f"emg2pose: {path.name} is there twice, as {files[path.stem]} and {path}; remove one")
        files[path.stem] = path
    if not files:
        raise InputError(f"emg2pose: {folder} holds no .hdf5 file; expected <filename>.hdf5 as in {METADATA_NAMES[0]}")
    return files


def _from_csv(csv: Path, files: dict[str, Path], simulated: bool):
    if (size := csv.stat().st_size) > MOST_METADATA:
        raise InputError(f"{csv}: expected a table of at most {MOST_METADATA} bytes, found {size}; fetch it again")
    # dtype=str: some user ids look numeric; "none" is a value of `generalization`, not a missing one
    try:
        rows = pd.read_csv(csv, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:  # pandas' parser errors and UnicodeDecodeError
        reason = " ".join(str(error).split())
        raise InputError(f"{csv}: not a readable CSV file in UTF-8 ({reason}); fetch it again") from error
    missing = [c for c in COLUMNS if c not in rows.columns]
    if missing:
        raise InputError(f"{csv}: expected the columns {', '.join(COLUMNS)}; missing {', '.join(missing)}")
    twice = rows.filename[rows.filename.duplicated()]
    if len(twice):
        raise InputError(f"{csv}: the file {twice.iloc[0]} has more than one row; remove all but one")
    rows = rows[rows.filename.isin(files.keys())].sort_values("filename")
    unknown = sorted(set(files) - set(rows.filename))
    if unknown:
        warnings.warn(
            f"{len(unknown)} HDF5 files have no row in {csv} and are left out, first {unknown[0]}",
            EMBridgeWarning,
            stacklevel=3,
        )
    if rows.empty:
        raise InputError(f"{csv}: none of its rows names one of the {len(files)} HDF5 files below {csv.parent}")
    recordings = [
        _recording(
            files[r.filename],
            simulated,
            user=r.user,
            session=r.session,
            gesture=r.stage,
            hand=r.side,
            moving_hand=r.moving_hand,
            split=r.split,
            generalization=r.generalization,
        )
        for r in rows.itertuples(index=False)
    ]
    return recordings, [(f"{stem}.hdf5", f"no row in {csv.name}") for stem in unknown]


def _from_attributes(folder: Path, files: dict[str, Path], simulated: bool, skip_broken: bool):
    warnings.warn(
        f"{folder} holds neither {' nor '.join(METADATA_NAMES)}: recordings have no split",
        EMBridgeWarning,
        stacklevel=3,
    )
    recordings, skipped = [], []
    for stem, path in files.items():
        try:
            with opened(path) as group:
                attributes = {name: _text(group.attrs.get(name, "")) for name in ("user", "session", "stage", "side")}
        except InputError as error:
            if not skip_broken:
                raise InputError(f"{error}{LEAVE_OUT}") from error
            skipped.append((path.name, str(error)))
            continue
        hand = attributes["side"]
        if stem.endswith(("left", "right")) and not stem.endswith(hand):
            warnings.warn(f"{path}: its attribute says side {hand}, its name does not", EMBridgeWarning, stacklevel=3)
        gesture = attributes["stage"].removesuffix("_both")
        recordings.append(
            _recording(
                path, simulated, user=attributes["user"], session=attributes["session"], gesture=gesture, hand=hand
            )
        )
    return recordings, skipped


def _recording(path: Path, simulated: bool, **fields) -> Recording:
    return Recording(
        key=path.stem, path=path, sample_rate=SAMPLE_RATE, simulated=simulated, loader=load, counter=count, **fields
    )


def _text(value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _verify(folder: Path, files: dict[str, Path]) -> None:
    manifest = folder / "sha256.txt"
    if not manifest.is_file():
        raise InputError(f"{folder} has no sha256.txt to check against; make one with: sha256sum *.hdf5 > sha256.txt")
    lines = (line.split(maxsplit=1) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip())
    sums = {Path(name.strip().lstrip("*")).stem: value for value, name in lines}
    for stem, path in files.items():
        if stem not in sums:
            raise InputError(f"{manifest}: has no line for {path.name}; make it again from files that you trust")
        if sha256(path) != sums[stem]:
            raise InputError(f"{path}: its SHA-256 differs from sha256.txt, so its bytes have changed; fetch it again")
