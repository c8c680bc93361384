"""A BIDS dataset's folder: which sidecars apply to a recording, and what is in them (BIDS 1.11).

Nothing here knows emg2pose; :mod:`embridge.data.emg2pose_bids` does.
"""

import csv
import io
import json
import os
from functools import cache
from pathlib import Path

from embridge.data.recordings import readable, walk
from embridge.errors import InputError

DESCRIPTION = "dataset_description.json"
MOST_TEXT = 2**26  # bytes of a sidecar: a table of emg2pose's 25,253 recordings takes a tenth
MISSING = ("", "n/a")  # BIDS writes the latter


class Tree:
    """The files below ``folder`` that matter, from one walk.

    ``recordings`` are the paths whose names end in ``ending``, in order; ``roots`` the folders with a
    dataset_description.json, next above each recording; ``left`` (folder, reason) of those that could not be read.
    """

    def __init__(self, folder: Path, ending: str, others: tuple[str, ...] = (), skip_broken: bool = False):
        """Walk, by links too but into no folder twice; ``others``: endings of further names to note (:meth:`named`).

        Raises InputError for a folder that may not be read, unless ``skip_broken``: ``left`` then names it.
        """
        self.folder, self._names, self._chains, self._read = folder, {}, {}, {}
        endings = (ending, *others, DESCRIPTION, "emg.json", "events.tsv", "scans.tsv", "participants.tsv")
        seen, self.left = set(), []
        for top, folders, names in walk(folder, self.left, skip_broken, follow=True):  # parts may lie on another disk
            if (real := os.path.realpath(top)) in seen:
                folders.clear()
                continue
            seen.add(real)
            # git's own and macOS' "._name"; derivatives are what others computed, datasets of their own
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "derivatives")
            if kept := [name for name in sorted(names) if name.endswith(endings) and not name.startswith(".")]:
                self._names[Path(top)] = kept
        self.recordings = self.named(ending)
        self.roots = sorted({self._root(path.parent) for path in self.recordings} - {None})

    def named(self, ending: str) -> list[Path]:
        """All files whose names end so, in order."""
        return [folder / name for folder, names in self._names.items() for name in names if name.endswith(ending)]

    def _root(self, folder: Path) -> Path | None:
        return next((f for f in (folder, *folder.parents) if DESCRIPTION in self._names.get(f, ())), None)

    def sidecars(self, path: Path, suffix: str) -> list[Path]:
        """The files of a suffix that apply to a recording, from the root inwards, the most specific of a folder last.

        BIDS' inheritance principle: it lies in the recording's folder or above, and names no entity that the recording
        does not have.
        """
        folder, own = path.parent, entities(path.name).items()
        if (folder, suffix) not in self._chains:  # a session's recordings share one
            root, chain = self._root(folder), []
            for each in reversed([f for f in (folder, *folder.parents) if f == root or root in f.parents]):
                names = [n for n in self._names.get(each, ()) if n == suffix or n.endswith(f"_{suffix}")]
                chain += [each / name for name in sorted(names, key=lambda name: len(entities(name)))]
            self._chains[folder, suffix] = chain
        return [found for found in self._chains[folder, suffix] if entities(found.name).items() <= own]

    def sidecar(self, path: Path, suffix: str) -> dict:
        """What the JSON files of a suffix that apply to a recording say, the nearest having the last word."""
        told = {}
        for found in self.sidecars(path, suffix):
            if found not in self._read:  # those of many recordings are read once
                self._read[found] = _object(found)
            told |= self._read[found]
        return told


@cache  # a name is asked for again with each recording that it may apply to
def entities(name: str) -> dict[str, str]:
    """Of ``sub-01_run-02_emg.bdf`` {"sub": "01", "run": "02"}."""
    return dict(part.split("-", 1) for part in name.split("_")[:-1] if "-" in part)


def is_absent(path: Path, least: int) -> bool:
    """Whether a file of fewer than ``least`` bytes is a link to nothing, or the text that stands for what to fetch."""
    try:
        stands_for = (b"/annex/objects/", b"version https://git-lfs")
        return path.stat().st_size < least and path.read_bytes().startswith(stands_for)
    except FileNotFoundError:
        return True


def read_table(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a tab-separated table, all values text. InputError where one of ``columns`` is missing."""
    text = io.StringIO(_text(path))
    with readable(path, "table", csv.Error):
        rows = csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
        if missing := [name for name in columns if name not in (rows.fieldnames or ())]:
            expected = f"expected the columns {', '.join(columns)}, missing {', '.join(missing)}"
            raise InputError(f"{path}: {expected}; fetch it again")
        return list(rows)


def _object(path: Path) -> dict:
    with readable(path, "JSON file", ValueError, RecursionError):
        found = json.loads(_text(path))
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(found).__name__}; fetch it again")
    return found


def _text(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > MOST_TEXT:
            raise InputError(f"{path}: expected at most {MOST_TEXT} bytes, found {size}; fetch it again")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8 ({error}); fetch it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); fetch it again") from error
