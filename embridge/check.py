"""``run_all.sh --check``: run everything into a folder of its own and compare with the committed results.

Counts must agree everywhere. Scores must agree to the bit where the run was made on the same processor, with as many
threads and the same versions; elsewhere sums come in another order, and training turns last bits into other weights.
"""

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from embridge import cli, runner
from embridge.errors import InputError
from embridge.results import KEY, read_results

# Elsewhere. The same seed with sums in another order moved cells of Table 2 by up to 0.05, another seed by up to 0.08.
TOLERANCE = 0.08  # of a score and of its interval's ends
DEGREES = 1.0  # of an error in degrees
COUNTS = ("n", "n_train")
MATCHED = [column for column in KEY if column != "profile"]
DETAILS = ("class", "user", "true", "predicted")  # rows without an interval are compared by their mean over these
SHOWN = 20  # differences printed


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found: rows equal, rows within tolerance, and a sentence for each difference."""

    equal: int
    near: int
    moved: list[str]
    same_machine: bool


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
    for name in [*old, *(name for name in new if name not in old)]:
        told = {column: value for column, value in zip(MATCHED, name, strict=True) if value}
        what = _said(told)
        if name not in old or name not in new:
            moved.append(f"{what}: only in the {'committed' if name in old else 'fresh'} results")
            continue
        before, after = old[name], new[name]
        numbers = [(column, before[column], after[column]) for column in (*COUNTS, "value", "low", "high")]
        bare = pd.isna(before["low"]), pd.isna(after["low"])
        differ = [(c, a, b) for c, a, b in numbers if not (a == b or (pd.isna(a) and pd.isna(b)))]
        equal += not differ
        if same_machine or any(column in COUNTS for column, _, _ in differ) or before["origin"]:
            if differ:
                moved.append(f"{what}: " + ", ".join(f"{c} {a:.6g} is now {b:.6g}" for c, a, b in differ))
        elif any(bare) and not all(bare):
            moved.append(f"{what}: has an interval only in the {'fresh' if bare[0] else 'committed'} results")
        elif all(bare):
            group = _said({column: value for column, value in told.items() if column not in DETAILS})
            alone.setdefault(group, []).append((before, after))
        else:
            tolerance = DEGREES if before["metric"].endswith("_deg") else TOLERANCE
            far = [(c, a, b) for c, a, b in differ if not abs(a - b) <= tolerance]
            if far:
                said = ", ".join(f"{c} {a:.3f} is now {b:.3f}" for c, a, b in far)
                moved.append(f"{what}: {said}, tolerance {tolerance}")
            near += bool(differ) and not far
    for what, pairs in alone.items():
        differ, said = _together(pairs)
        near += 0 if said else differ
        moved += [f"{what}: {said}"] if said else []
    return Comparison(equal, near, moved, same_machine)


def _together(pairs: list[tuple[dict, dict]]) -> tuple[int, str]:
    """How many of a mean's rows differ, and what to say where the mean itself moved too far."""
    old, new = (pd.Series([pair[side]["value"] for pair in pairs], dtype=float) for side in (0, 1))
    differ = int((~((old == new) | (old.isna() & new.isna()))).sum())
    tolerance = TOLERANCE + sum(before["n"] for before, _ in pairs) ** -0.5
    if not differ or abs(old.mean() - new.mean()) <= tolerance:
        return differ, ""
    return differ, f"mean {old.mean():.3f} is now {new.mean():.3f}, tolerance {tolerance:.3f}"


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
        f"--check: no committed results in {name}; there are those of {', '.join(cli.COMMITTED)}: choose --profile and "
        "--dataset of one of them"
    )


def _made_on(page: bytes) -> dict | None:
    return json.loads(page)["context"].get("made_on")


def check(folder: Path) -> Comparison:
    """Compare the results in ``folder`` (``.../figures/<dataset>-<profile>``) with those committed under its name."""
    where = f"figures/{folder.name}"
    page = "05_results/results.json"
    # kept as bytes until they are parsed: git's copy never lies on the disk
    committed = read_results(io.BytesIO(_committed(f"{where}/results.csv")))
    made_on = _made_on(_committed(f"{where}/{page}")), _made_on((folder / page).read_bytes())
    return compare(
        committed,
        read_results(folder / "results.csv"),
        same_machine=None not in made_on and len(set(map(str, made_on))) == 1,
    )


def main(argv: list[str]) -> int:
    """The command line; 0 where nothing moved, 1 where something did or a run failed, 2 for bad input."""
    try:
        options = cli.parse(argv, action="check")
        folder = cli.results_folder(options)
        _committed(f"figures/{folder.name}/results.csv")  # before the run, which takes long
        rest = [argument for argument in argv if argument != "--check"]
        code = runner.main([*rest, "--out", str(options.out)])
        if code:
            return code
        found = check(folder)
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    how = "the same machine and versions: exact"
    if not found.same_machine:
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
