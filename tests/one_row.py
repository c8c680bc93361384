"""Brings result files that are older than "one result is one row" to it: ``python tests/one_row.py FILE ...``.

EMBridge's main result stood in them once for each sweep that starts from it, and CPEP's and Q-Former's for two. What
:data:`DROPPED` names goes, after a check that the numbers are those of the system's own row, which stays; of the
control's record go the galleries that no page shows. Records and pages (JSON with "rows") and ``results.csv`` are
changed in place; a file without such rows stays as it is, to the byte.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from embridge.errors import InputError
from embridge.files import sha256
from embridge.paper.results import NUMBERS, as_text, write_atomically

# param: its default value, which rows of a system as it is bore beside their own ("C" of a probe, "k" of zero-shot)
DROPPED = {
    "M": "16", "alpha": "1", "k_c": "5", "lambda": "1", "metric": "dot", "paired_fraction": "1", "r": "0.5",
    "tau_s": "0.1",
}  # fmt: skip
CONVENTIONS = "; same epochs, same steps"  # of a row that stood for both of Table 4's, beside its batch size
CONTROL, GALLERIES = "CPEP, pairs shuffled", ("not-self", "other-repetitions")  # those that a page shows of the control
OWN = ("C", "k")
SAYS_WHICH = (
    "dataset", "profile", "seed", "system", "protocol", "classes", "gallery", "pooling", "metric", "class", "user",
    "true", "predicted", "draw", "origin",
)  # fmt: skip


def is_dropped(fields: dict) -> bool:
    """Whether a row says again, as a member of a sweep, what its system's own row says."""
    same = DROPPED.get(fields.get("param")) == fields.get("param_value", "")
    return same or fields.get("options", "").endswith(CONVENTIONS)


def one_row(rows: list[dict], known: list[dict]) -> list[dict]:
    """The rows that stay; InputError where the numbers of one that goes are not those of a system's own, ``known``."""
    own: dict[tuple, list[tuple]] = {}
    for r in known:
        if r.get("param") in OWN and not is_dropped(r):
            own.setdefault(_name(r), []).append(_numbers(r))
    for r in filter(is_dropped, rows):
        if _numbers(r) not in own.get(_name(r), []):  # of several k; which is the usual one, the numbers tell
            raise InputError(f"one row: expected the numbers of the system's own row, found {r}")
    return [r for r in rows if not is_dropped(r)]


def _name(fields: dict) -> tuple:
    options = fields.get("options", "").removesuffix(CONVENTIONS)
    return (*(fields.get(c) or "" for c in SAYS_WHICH), options)


def _numbers(fields: dict) -> tuple:
    return tuple(fields.get(column) or "" for column in (*NUMBERS, "n", "interval_kind", "run_key"))


def main(files: list[str]) -> int:
    """Change the files, whose rows are held against each other's, and print how many rows of each went."""
    found = {}
    for file in map(Path, files):
        if file.suffix == ".csv":
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
            found[file] = table.columns, table.to_dict("records")
        else:
            about = json.loads(file.read_text(encoding="utf-8"))
            found[file] = about, about.pop("rows")
    for file, (about, rows) in found.items():
        alike = [r for other, (_, theirs) in found.items() if other.suffix == file.suffix for r in theirs]
        kept = one_row(rows, alike)
        if file.suffix == ".json" and about.get("experiment") == CONTROL:
            kept = [r for r in kept if r["gallery"] in GALLERIES]
        if len(kept) < len(rows):
            table = pd.DataFrame(kept, columns=about) if file.suffix == ".csv" else None
            text = as_text(about, kept) if table is None else table.to_csv(index=False, lineterminator="\n")
            write_atomically(file, text)
            _told(file)
        print(f"{file}: {len(rows) - len(kept)} of {len(rows)} rows went")
    return 0


def _told(file: Path) -> None:
    """Note the new SHA-256 of a page in its folder's provenance, which names its inputs."""
    provenance, page = file.parent.parent / "provenance.json", f"{file.parent.name}/{file.name}"
    found = json.loads(provenance.read_text(encoding="utf-8")) if provenance.exists() else {"inputs": {}}
    if page in found["inputs"]:
        found["inputs"][page] = sha256(file)
        write_atomically(provenance, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
