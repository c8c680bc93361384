"""What older result files said several times, and that the committed ones say it once."""

import json
import shutil

import pytest
from one_row import DROPPED, GALLERIES, is_dropped, main

from embridge.errors import InputError
from embridge.paper.results import as_text, read_results, row
from embridge.run.cli import ROOT

COMMITTED = [
    *(ROOT / "figures").glob("simulated-long*/rows/*.json"),
    *(ROOT / "figures" / "simulated-quick").glob("*/results.json"),
]
MAIN = {
    "dataset": "simulated", "profile": "long", "seed": 0, "system": "EMBridge", "protocol": "ZS", "classes": "in",
    "gallery": "all", "pooling": "max", "metric": "balanced_accuracy", "options": "corpus=class set", "n": 9,
}  # fmt: skip


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_committed_file_says_each_result_once(file, tmp_path, capsys):
    copy = shutil.copy(file, tmp_path / file.name)
    assert main([str(copy)]) == 0 and copy.read_bytes() == file.read_bytes()
    assert ": 0 of " in capsys.readouterr().out


def test_the_committed_table_says_each_result_once():
    rows = read_results(ROOT / "figures" / "simulated-quick" / "results.csv")
    assert not any(is_dropped(r) for r in rows[["param", "param_value", "options"]].to_dict("records"))


def test_what_is_said_again_goes_if_the_numbers_are_the_same(tmp_path):
    own = [row(**MAIN, param="k", param_value=k, value=k / 20) for k in (1, 10)]
    own.append(row(**MAIN | {"options": "D_tune"}, param="k", param_value=10, value=0.4))
    again = [{**r, "param": p, "param_value": v} for r in own[1:] for p, v in DROPPED.items()]
    batch = {**own[1], "batch_size": 256, "options": "corpus=class set; same epochs, same steps"}
    other = row(**MAIN, param="tau_s", param_value="0.5", value=0.1)
    record, page = tmp_path / "embridge-seed0.json", tmp_path / "results.json"
    record.write_text(as_text({"experiment": "EMBridge"}, [*own, other]))
    page.write_text(as_text({"notebook": "07"}, [*again, batch]))
    before = record.read_bytes()
    assert main([str(record), str(page)]) == 0
    assert record.read_bytes() == before and json.loads(page.read_text())["rows"] == []
    page.write_text(as_text({"notebook": "07"}, [again[0] | {"value": 0.6}]))
    with pytest.raises(InputError, match="expected the numbers of the system's own row"):
        main([str(record), str(page)])


def test_of_the_control_stays_what_a_page_shows(tmp_path):
    record = tmp_path / "control.json"
    rows = [row(**MAIN | {"gallery": g}, param="k", param_value=10, value=0.3) for g in ("all", "not-self")]
    record.write_text(as_text({"experiment": "CPEP, pairs shuffled"}, rows))
    main([str(record)])
    assert [r["gallery"] for r in json.loads(record.read_text())["rows"]] == ["not-self"] and "not-self" in GALLERIES
