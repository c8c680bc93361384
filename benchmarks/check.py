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
from embridge.paper.differences import DIFFERENCE
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
CHOSEN = ("C", "threshold", "score")  # parameters whose values follow from a run's own numbers
DETAILS = ("class", "user", "true", "predicted")  # rows without an interval are compared by their mean over these
SHOWN = 20  # differences printed


class Comparison(NamedTuple):
    """The outcome of :func:`compare`: rows equal, rows within tolerance, and a sentence for each difference."""

    equal: int
    near: int
    moved: list[str]


def compare(committed: pd.DataFrame, fresh: pd.DataFrame, *, same_machine: bool) -> Comparison:
    """Compare two tidy frames row by row; rows are matched by what they measure (KEY without the profile).

    Elsewhere (not ``same_machine``) a score and its interval's ends may move by TOLERANCE (of a share of the windows,
    "coverage", by as much more as fewer windows are noisier), degrees by DEGREES. Values of CHOSEN parameters may be
    others, and so may the number of wrong or accepted answers, of which some rows are a share. One class or user may
    move far, so rows without an interval may where their mean over classes and users stays within TOLERANCE and
    1 / sqrt(n) more, two standard errors of a share of their n windows. Confusion counts follow from the same
    predictions as these: only their mean, and so their sum, is compared.
    """
    old, new = (_by_key(frame, same_machine) for frame in (committed, fresh))
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
        # committed rows are exact, but a committed one less the run's own may move with that
        kept = before["origin"] and before["metric"] != DIFFERENCE
        if same_machine or (set(differ) & set(COUNTS) and not _of_answers(before)) or kept:
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
            tolerance /= float(before["param_value"]) ** 0.5 if before["param"] == "coverage" else 1
            far = [c for c in differ if c not in COUNTS and not abs(before[c] - after[c]) <= tolerance]
            problem = ", ".join(f"{c} {before[c]:.3f} is now {after[c]:.3f}" for c in far)
            problem += f", tolerance {round(tolerance, 3)}" if far else ""
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


def _of_answers(row: dict) -> bool:
    """Whether ``n`` counts a system's wrong or accepted answers, not the windows that it was asked about."""
    share = row["metric"].startswith("family_share") or row["param"] == "threshold"
    return share or "answered" in row["system"]


def _by_key(frame: pd.DataFrame, same_machine: bool) -> dict[tuple[str, ...], dict]:
    """Rows by MATCHED; elsewhere the value of a CHOSEN parameter counts by its place among those that a run has."""
    told = frame[MATCHED].astype(object).where(frame[MATCHED].notna(), "").astype(str)
    mine = frame["param"].isin(CHOSEN) & (frame["origin"] == "")
    if mine.any() and not same_machine:
        values = pd.to_numeric(told.loc[mine, "param_value"])
        place = values.groupby([told.loc[mine, c] for c in MATCHED if c != "param_value"]).rank().astype(int)
        told.loc[mine, "param_value"] = "no. " + place.astype(str)
    return dict(zip(told.itertuples(index=False, name=None), frame.to_dict("records"), strict=True))


def verdicts(committed: pd.DataFrame, fresh: pd.DataFrame) -> str:
    """Which claims of two tables of :mod:`embridge.paper.claims` have another verdict, in words."""
    both = committed.merge(fresh, on="claim", how="outer", suffixes=("", "_now")).fillna("no such claim")
    other = both[both["verdict"] != both["verdict_now"]]
    said = f"verdicts of {len(both) - len(other)} of {len(both)} claims as committed"
    return said + "".join(f"\n  {r.claim}: {r.verdict} is now {r.verdict_now}" for r in other.itertuples())


def _committed(name: str) -> bytes:
    """A file of the last commit, or of the folder where this is no repository; InputError where there is none."""
    try:
        command = ["git", "show", f"HEAD:{name}"]
        return subprocess.run(command, cwd=cli.ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or a copy without its history
        if not (cli.ROOT / name).is_file():
            raise InputError(
                f"--check: no committed results in {name}; there are those of {', '.join(COMMITTED)}: choose --profile "
                "and --dataset of one of them"
            ) from None
        return (cli.ROOT / name).read_bytes()


@cli.command(notebooks.KEPT)
def main(argv: list[str]) -> int:
    """The command line; 0 where nothing moved, 1 where something did or a run failed, 2 for bad input."""
    options = cli.parse(argv, action="check")
    folder, page = cli.results_folder(options), f"{STEMS['results']}/results.json"
    # kept as bytes until they are parsed: git's copy never lies on the disk; read before the run, which takes long
    *committed, claims, made = (_committed(f"figures/{folder.name}/{name}") for name in (*MERGED, "claims.csv", page))
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
    print(verdicts(*(pd.read_csv(file, keep_default_na=False) for file in (io.BytesIO(claims), folder / "claims.csv"))))
    return 1 if found.moved else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
