"""``--check``: a fresh run against the committed results, row by row."""

import json

import pandas as pd
import pytest

from benchmarks import check
from embridge.paper.results import MERGED, Page, collect, read_results, row
from embridge.run import cli
from embridge.run.pages import STEMS
from runner import notebooks

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
        (rows(low=0.26), False, (1, 1, [])),
        (rows(low=0.15), False, (1, 0, ["low 0.250 is now 0.150, tolerance 0.08"])),
        (rows(low=float("nan"), high=float("nan")), False, (1, 0, ["has an interval only in the committed results"])),
        (rows(f1=0.62), False, (1, 0, ["user_f1: mean 0.200 is now 0.620, tolerance 0.413"])),
        (rows(low=0.26), True, (1, 0, ["low 0.25 is now 0.26"])),
        (rows()[:1], False, (1, 0, ["user_f1, user 1: only in the committed"])),
        ([*rows(), ACCURACY | {"system": "Q-Former", "value": 0.3}], False, (2, 0, ["Q-Former", "only in the fresh"])),
    ],
)
def test_a_difference_tells_what_moved(fresh, same_machine, told):
    found = check.compare(frame(*rows()), frame(*fresh), same_machine=same_machine)
    assert (found.equal, found.near) == told[:2] and len(found.moved) == bool(told[2])
    assert all(part in found.moved[0] for part in told[2])


def test_errors_in_degrees_have_a_tolerance_of_their_own():
    committed, near, far = (rows(value=v, low=v, high=v, metric="angle_error_deg") for v in (14.0, 14.9, 15.1))
    assert check.compare(frame(*committed), frame(*near), same_machine=False).near == 1
    (moved,) = check.compare(frame(*committed), frame(*far), same_machine=False).moved
    assert "value 14.000 is now 15.100" in moved and moved.endswith("tolerance 1.0")


def test_a_committed_row_less_the_run_s_own_may_move_with_it_elsewhere():
    where = {"origin": "long run, 2026-11-29, abc", "param": "community affinity", "param_value": "cosine"}
    for metric, moved in (("balanced_accuracy_difference", 0), ("balanced_accuracy", 1)):
        before, after = (frame(*rows(value=v, metric=metric, **where)[:1]) for v in (0.30, 0.31))
        assert len(check.compare(before, after, same_machine=False).moved) == moved
        assert len(check.compare(before, after, same_machine=True).moved) == 1


def test_what_a_run_chooses_may_be_another_value_elsewhere():
    """The probe's C, the threshold and its histogram's places follow from the run's own numbers."""
    places = [
        {"param": "score", "param_value": v, "metric": "score_share", "value": s}
        for v, s in (("-2", 0.1), ("-10", 0.2))
    ]
    moved = [p | {"param_value": v} for p, v in zip(places, ("-2.1", "-9.9"), strict=True)]
    before, after = [
        ACCURACY | {"system": "CPEP", "value": 0.3, "param": "C", "param_value": c} for c in ("1.0", "0.1")
    ]
    committed, fresh = frame(before, *(ACCURACY | p for p in places)), frame(after, *(ACCURACY | p for p in moved))
    assert check.compare(committed, fresh, same_machine=False) == (3, 0, [])
    assert len(check.compare(committed, fresh, same_machine=True).moved) == 6
    kept, other = (frame(r | {"origin": "long run, 2026-11-21, abc"}) for r in (before, after))
    assert len(check.compare(kept, other, same_machine=False).moved) == 2


def test_how_many_answers_were_wrong_may_differ_elsewhere_and_a_part_of_the_windows_is_noisier():
    wrong, coverage = {"metric": "family_share"}, {"param": "coverage", "param_value": "0.25"}
    assert check.compare(frame(*rows(**wrong)), frame(*rows(n=99, **wrong)), same_machine=False).near == 1
    assert (
        "value 0.300"
        in check.compare(frame(*rows(**wrong)), frame(*rows(n=99, value=0.39, **wrong)), same_machine=False).moved[0]
    )
    for value, n in ((0.45, 0), (0.47, 1)):  # 0.08 / sqrt(0.25) = 0.16
        found = check.compare(frame(*rows(**coverage)), frame(*rows(value=value, **coverage)), same_machine=False)
        assert len(found.moved) == n


def test_early_stopping_elsewhere_may_stop_elsewhere_but_must_stop():
    def ended(epochs, options="stopped improving", **more):
        fields = {"dataset": "simulated", "profile": "quick", "system": "PoseT", "metric": "epochs", "n": 9}
        return frame(fields | {"value": epochs, "options": options} | more)

    assert check.compare(ended(34), ended(41), same_machine=False) == (0, 1, [])
    assert check.compare(ended(34), ended(41), same_machine=True).moved[0].endswith("value 34 is now 41")
    assert len(check.compare(ended(34), ended(100, "still improving"), same_machine=False).moved) == 2
    assert len(check.compare(ended(34, origin="long run"), ended(41), same_machine=False).moved) == 1


@pytest.fixture(scope="module")
def committed():
    """What a quick run computes itself: rows of the long profile are not expected to move at all."""
    frame = read_results(*(cli.ROOT / "figures" / "simulated-quick" / name for name in MERGED))
    return frame[frame["origin"] == ""]


def elsewhere(committed, rows, **columns):
    """What --check on another machine says of the committed results with other numbers in some rows."""
    fresh = committed.copy()
    for name, change in columns.items():
        fresh.loc[rows, name] = change(fresh.loc[rows, name])
    return check.compare(committed, fresh, same_machine=False)


@pytest.mark.no_cover  # pandas traced; its lines are covered by the others
def test_controls_that_leave_chance_are_told_elsewhere(committed):
    shuffled = committed["system"] == "Labels shuffled"
    found = elsewhere(committed, shuffled, value=lambda old: 0.99)
    assert shuffled.sum() == len(found.moved) == 40 and all("Labels shuffled" in line for line in found.moved)
    assert elsewhere(committed, shuffled, value=lambda old: old + 0.05).near == 40


def test_intervals_that_widen_are_told_elsewhere(committed):
    mine = committed["low"].notna()
    far = elsewhere(committed, mine, low=lambda old: old - 0.5, high=lambda old: old + 0.5)
    degrees = (mine & committed["metric"].str.contains("_deg")).sum()  # whose tolerance is wider
    assert len(far.moved) == mine.sum() - degrees > 500 and "low" in far.moved[0] and "high" in far.moved[0]
    near = elsewhere(committed, mine, low=lambda old: old - 0.05, high=lambda old: old + 0.05)
    assert near.moved == [] and near.near == mine.sum()


@pytest.mark.no_cover
def test_users_and_classes_that_all_score_higher_are_told_elsewhere(committed):
    """One class or user may move far; the mean over all of them may not."""
    metrics = ("user_recall", "user_f1", "class_f1")
    mine = committed["metric"].isin(metrics)
    found = elsewhere(committed, mine, value=lambda old: old + 0.3)
    assert not found.near and all(any(f"metric {name}" in line for line in found.moved) for name in metrics)
    one = committed.index[mine][:1]
    assert elsewhere(committed, one, value=lambda old: old + 0.3).near == 1
    cells = committed.index[committed["metric"] == "confusion"][:2]
    assert elsewhere(committed, cells, value=lambda old: old + [5, -5]).near == 2  # windows of one class


def test_committed_rows_have_no_tolerance():
    kept = rows(origin="long run, 2026-11-21, abc")
    found = check.compare(frame(*kept), frame(*rows(value=0.31)), same_machine=False)
    assert len(found.moved) == 1


def test_the_command_runs_all_elsewhere_and_compares(tmp_path, monkeypatch, capsys):
    committed, made = tmp_path / "repository", []
    committed.mkdir()

    def write(folder, value, threads):
        context = {"made_on": {"device": "a", "threads": threads}}
        page = Page(STEMS["results"], folder, context=context)
        page.rows(rows(value))
        page.write()
        verdict = "holds" if value == 0.3 else "cannot tell on this dataset"
        pd.DataFrame({"claim": ["A is best", "B is not"], "verdict": [verdict, "holds"]}).to_csv(folder / "claims.csv")
        collect(folder)

    def run(argv):
        made.append(argv)
        write(tmp_path / "out" / "figures" / "simulated-quick", 0.31, threads)
        return 0

    monkeypatch.setattr(cli, "ROOT", committed)
    monkeypatch.setattr(notebooks, "main", run)
    argv = ["--check", "--out", str(tmp_path / "out")]
    assert check.main(argv) == 2 and "no committed results" in capsys.readouterr().err and not made
    write(committed / "figures" / "simulated-quick", 0.30, 2)
    for threads, code in ((1, 0), (2, 1)):  # noqa: B007 - `run` reads threads
        assert check.main(argv) == code
        told = capsys.readouterr().out
        assert ("exact" in told, "nothing moved" in told) == (code == 1, code == 0)
        assert "verdicts of 1 of 2 claims as committed\n  A is best: holds is now cannot tell on this dataset\n" in told
    assert "value 0.3 is now 0.31" in told and made[0] == [
        "--out",
        str(tmp_path / "out"),
        "--out",
        str(tmp_path / "out"),
    ]
    page = committed / "figures/simulated-quick" / STEMS["results"] / "results.json"
    assert json.loads(page.read_text())["rows"][0]["value"] == 0.3


def test_its_folder_is_its_own():
    assert cli.parse(["--check"]).out == cli.ROOT / "check" and cli.parse(["--check"]).action == "check"
