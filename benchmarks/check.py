"""``run_all.sh --check``: run everything into a folder of its own and compare with the committed results.

Counts must agree everywhere. Scores must agree to the bit where the run was made on the same processor, with as many
threads and the same versions; elsewhere sums come in another order, and training turns last bits into other weights.
"""

import io
import json
import subprocess
import sys
from typing import NamedTuple

import pandas as pd

from embridge.errors import InputError
from embridge.paper.results import KEY, MERGED, read_results
from embridge.run import cli
from embridge.run.pages import STEMS
from runner import notebooks
from runner.clean import COMMITTED

# Elsewhere. The same seed with sums in another order moved cells of Table 2 by up to 0.05, another seed by up to 0.08.
TOLERANCE = 0.08  # of a score and of its interval's ends
DEGREES = 1.0  # of an error in degrees
COUNTS = ("n", "n_train")
NUMBERS = (*COUNTS, "value", "low", "high")
MATCHED = [column for column in KEY if column != "profile"]
DETAILS = ("class", "user", "true", "predicted")  # rows without an interval are compared by their mean over these
SHOWN = 20  # differences printed


class Comparison(NamedTuple):
    """The outcome of :func:`compare`: rows equal, rows within tolerance, and a sentence for each difference."""

    equal: int
    near: int
    moved: list[str]


def compare(committed: pd.DataFrame, fresh: pd.DataFrame, *, same_machine: bool) -> Comparison:
    """Compare two tidy frames row by row; rows are matched by what they measure (KEY without the profile).

    Elsewhere (not ``same_machine``) a score and its interval's ends may move by TOLERANCE, degrees by DEGREES. One
    class or user may move far, so rows without an interval may where their mean over classes and users stays within
    TOLERANCE and 1 / sqrt(n) more, two standard errors of a share of their n windows. Confusion counts follow from the
    same predictions as these: only their mean, and so their sum, is compared.
    """
    old, new = _by_key(committed), _by_key(fresh)
    equal, near, moved = 0, 0, []
    alone: dict[str, list[tuple[dict, dict]]] = {}  # rows without an interval, by what their mean is of
    for key in dict.fromkeys([*old, *new]):
        told = {column: value for column, value in zip(MATCHED, key, strict=True) if value}
        if key not in old or key not in new:
            moved.append(f"{_said(told)}: only in the {'committed' if key in old else 'fresh'} results")
            continue
        before, after = old[key], new[key]
        differ = [c for c in NUMBERS if not (before[c] == after[c] or (pd.isna(before[c]) and pd.isna(after[c])))]
        equal += not differ
        bare = pd.isna(before["low"]), pd.isna(after["low"])
        if same_machine or set(differ) & set(COUNTS) or before["origin"]:
            problem = ", ".join(f"{c} {before[c]:.6g} is now {after[c]:.6g}" for c in differ)
        elif before["metric"] == "epochs":  # early stopping elsewhere may stop elsewhere
            problem = ""
        elif all(bare):
            group = _said({column: value for column, value in told.items() if column not in DETAILS})
            alone.setdefault(group, []).append((before, after))
            continue
        elif any(bare):
            problem = f"has an interval only in the {'fresh' if bare[0] else 'committed'} results"
        else:
            tolerance = DEGREES if "_deg" in before["metric"] else TOLERANCE
            far = [c for c in differ if not abs(before[c] - after[c]) <= tolerance]
            problem = ", ".join(f"{c} {before[c]:.3f} is now {after[c]:.3f}" for c in far)
            problem += f", tolerance {tolerance}" if far else ""
        moved += [f"{_said(told)}: {problem}"] if problem else []
        near += bool(differ) and not problem
    for group, pairs in alone.items():
        values = pd.DataFrame([(before["value"], after["value"]) for before, after in pairs], dtype=float)
        differ = int((values[0].ne(values[1]) & values.notna().any(axis=1)).sum())
        n = sum(before["n"] for before, _ in pairs if not pd.isna(before["n"]))  # what counts no windows has none
        tolerance, (was, now) = TOLERANCE + (n**-0.5 if n else 0), values.mean()
        if differ and not abs(was - now) <= tolerance:
            moved.append(f"{group}: mean {was:.3f} is now {now:.3f}, tolerance {tolerance:.3f}")
        else:
            near += differ
    return Comparison(equal, near, moved)


def _said(columns: dict[str, str]) -> str:
    return ", ".join(f"{column} {value}" for column, value in columns.items())


def _by_key(frame: pd.DataFrame) -> dict[tuple[str, ...], dict]:
    rows = frame.to_dict("records")
    return {tuple("" if pd.isna(row[column]) else str(row[column]) for column in MATCHED): row for row in rows}


def _committed(name: str) -> bytes:
    """A file of the last commit, or of the folder where this is no repository; InputError where there is none."""
    try:
        command = ["git", "show", f"HEAD:{name}"]
        return subprocess.run(command, cwd=cli.ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or a copy without its history
        if (cli.ROOT / name).is_file():
            return (cli.ROOT / name).read_bytes()
    raise InputError(
        f"--check: no committed results in {name}; there are those of {', '.join(COMMITTED)}: choose --profile and "
        "--dataset of one of them"
    )


@cli.command(notebooks.KEPT)
def main(argv: list[str]) -> int:
    """The command line; 0 where nothing moved, 1 where something did or a run failed, 2 for bad input."""
    options = cli.parse(argv, action="check")
    folder, page = cli.results_folder(options), f"{STEMS['results']}/results.json"
    # kept as bytes until they are parsed: git's copy never lies on the disk; read before the run, which takes long
    *committed, made = (_committed(f"figures/{folder.name}/{name}") for name in (*MERGED, page))
    rest = [argument for argument in argv if argument != "--check"]
    if code := notebooks.main([*rest, "--out", str(options.out)]):
        return code
    made_on = [json.loads(text)["context"].get("made_on") for text in (made, (folder / page).read_bytes())]
    same = made_on[0] is not None and made_on[0] == made_on[1]
    before, after = read_results(*map(io.BytesIO, committed)), read_results(*(folder / name for name in MERGED))
    found = compare(before, after, same_machine=same)
    how = "the same machine and versions: exact"
    if not same:
        how = f"elsewhere: scores and the ends of their intervals within {TOLERANCE}, degrees within {DEGREES:g}, means"
        how += f" of what has no interval within {TOLERANCE} + 1 / sqrt(windows)"
    print(f"\ncompared with the committed results ({how}): {found.equal:,} rows equal, {found.near:,} near")
    for line in found.moved[:SHOWN]:
        print(f"  moved: {line}")
    if len(found.moved) > SHOWN:
        print(f"  and {len(found.moved) - SHOWN:,} more")
    print(f"{len(found.moved):,} rows moved" if found.moved else "nothing moved")
    return 1 if found.moved else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
