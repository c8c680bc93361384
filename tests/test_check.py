"""``--check``: a fresh run against the committed results, row by row."""

import json

import pandas as pd
import pytest

from embridge import check, cli, runner
from embridge.results import Page, collect
from embridge.rows import row

ACCURACY = {"dataset": "simulated", "profile": "quick", "seed": 0, "protocol": "ZS", "classes": "unseen",
            "metric": "balanced_accuracy", "low": 0.25, "high": 0.35, "n": 100}  # fmt: skip


def frame(*rows) -> pd.DataFrame:
    return pd.DataFrame([row(**fields) for fields in rows])


def rows(value=0.30, n=100, f1=0.2, **more):
    return [
        ACCURACY | {"system": "CPEP", "value": value, "n": n, **more},
        {"dataset": "simulated", "profile": "quick", "seed": 0, "system": "CPEP", "metric": "user_f1", "user": "1",
         "value": f1, "n": 9},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fresh", "same_machine", "told"),
    [
        (rows(), True, (2, 0, [])),
        (rows(value=0.31), True, (1, 0, ["value 0.3 is now 0.31"])),
        (rows(value=0.31, f1=0.4), False, (0, 2, [])),
        (rows(value=0.39), False, (1, 0, ["value 0.300 is now 0.390, tolerance"])),
        (rows(n=99), False, (1, 0, ["n 100 is now 99"])),
        (rows(low=0.26), True, (1, 0, ["low 0.25 is now 0.26"])),
        (rows()[:1], False, (1, 0, ["user_f1, user 1: only in the committed"])),
        ([*rows(), ACCURACY | {"system": "Q-Former", "value": 0.3}], False, (2, 0, ["Q-Former", "only in the fresh"])),
    ],
)
def test_a_difference_tells_what_moved(fresh, same_machine, told):
    found = check.compare(frame(*rows()), frame(*fresh), same_machine=same_machine)
    assert (found.equal, found.near) == told[:2] and len(found.moved) == bool(told[2])
    assert all(part in found.moved[0] for part in told[2])


def test_committed_rows_have_no_tolerance():
    kept = rows(origin="long run, 2026-11-21, abc")
    found = check.compare(frame(*kept), frame(*rows(value=0.31)), same_machine=False)
    assert len(found.moved) == 1


def test_the_command_runs_all_elsewhere_and_compares(tmp_path, monkeypatch, capsys):
    committed, made = tmp_path / "repository", []
    committed.mkdir()

    def write(folder, value, threads):
        context = {"made_on": {"device": "a", "threads": threads}}
        page = Page("05_results", folder, context=context)
        page.rows(rows(value))
        page.write()
        collect(folder)

    def run(argv):
        made.append(argv)
        write(tmp_path / "out" / "figures" / "simulated-quick", 0.31, threads)
        return 0

    monkeypatch.setattr(cli, "ROOT", committed)
    monkeypatch.setattr(runner, "main", run)
    argv = ["--check", "--out", str(tmp_path / "out")]
    assert check.main(argv) == 2 and "no committed results" in capsys.readouterr().err and not made
    write(committed / "figures" / "simulated-quick", 0.30, 2)
    for threads, code in ((1, 0), (2, 1)):  # noqa: B007 - `run` reads threads
        assert check.main(argv) == code
        told = capsys.readouterr().out
        assert ("exact" in told, "nothing moved" in told) == (code == 1, code == 0)
    assert "value 0.3 is now 0.31" in told and made[0] == [
        "--out",
        str(tmp_path / "out"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert (
        json.loads((committed / "figures/simulated-quick/05_results/results.json").read_text())["rows"][0]["value"]
        == 0.3
    )


def test_its_folder_is_its_own():
    assert cli.parse(["--check"]).out == cli.ROOT / "check" and cli.parse(["--check"]).action == "check"
