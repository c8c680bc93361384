"""Every table and figure that a page asks for can be made on every dataset, of whatever systems a profile trains there.

Rows stand for what pages leave; NinaPro and DB1 train few of the systems, and quick few of those of emg2pose.
"""

import itertools

import pandas as pd
import pytest

from embridge import figures
from embridge.config import profile
from embridge.datasets import for_dataset
from embridge.experiments import ALIGNED, EXPERIMENTS, NO_NETWORK, trained_by
from embridge.grids import NEIGHBOURS
from embridge.paper import claims, comparisons, constants, differences, explore, open_choices, table_cells, tables
from embridge.paper.numbers import CELLS
from embridge.paper.results import as_frame, row

DATASETS = ("simulated", "emg2pose", "simulated-ninapro", "ninapro", "ninapro-db1")
GLOVES = DATASETS[2:]  # where no experiment beside Table 2's is trained


def rows_of(name: str, dataset: str, size: str) -> list[dict]:
    """The balanced accuracies that an experiment's pages leave: its own, or as a member of its sweep; or both."""
    e, k = EXPERIMENTS[name], for_dataset(profile(size), dataset).evaluation.k
    found = []

    def add(protocol: str, classes: str, **how) -> None:
        fields = {"dataset": dataset, "profile": size, "seed": 0, "metric": "balanced_accuracy", "protocol": protocol}
        fields |= {"system": e.system or {"Pose-MAE": "Upper bound"}.get(name, name), "classes": classes}
        zero_shot = {"gallery": "all", "pooling": "max", "options": "corpus=class set"} if protocol == "ZS" else {}
        value = 0.3 + 0.001 * len(found)
        found.append(row(**fields | {"value": value, "low": value - 0.1, "high": value + 0.1} | zero_shot | how))

    for protocol, classes in CELLS:
        if protocol == "ZS" and not e.aligned:
            continue
        size_of_batch = {"batch_size": e.train.get("batch_size", 256), "options": f"corpus=class set; {e.options}"}
        usual = {"param": "k", "param_value": k} if protocol == "ZS" else {"param": "C", "param_value": 1.0}
        add(protocol, classes, **(size_of_batch if e.options else {"param": e.param, "param_value": e.param_value}
                                  if e.param else usual))  # fmt: skip
        if name in ALIGNED:
            add(protocol, classes, param="paired_fraction", param_value="1")
        if name in ALIGNED and protocol == "ZS":
            both = {"batch_size": 256, "options": "corpus=class set; same epochs, same steps"}
            add(protocol, classes, **both)
        if name == "EMBridge" and protocol == "ZS":
            for other in NEIGHBOURS:
                add(protocol, classes, param="k", param_value=other) if other != k else None
    return found


@pytest.fixture(scope="module", params=itertools.product(DATASETS, ("quick", "long")), ids="-".join)
def made(request):
    dataset, size = request.param
    names = [name for name in trained_by(size, dataset) if not EXPERIMENTS[name].shuffled]
    return as_frame([r for name in names for r in rows_of(name, dataset, size)]), dataset, size


def test_tables_have_a_line_or_none_and_no_error(made):
    results, dataset, _ = made
    for name in tables.TABLES:
        assert table_cells.markdown(tables.text(name, tables.numbers(name, results, dataset))).startswith("|"), name
    for table in (
        constants.text(constants.numbers(results, dataset)),
        comparisons.user_gain_table(results, dataset),
        comparisons.controls_table(results, dataset),
    ):
        assert table_cells.markdown(table).startswith("|")
    of_page_05 = results[results["batch_size"].isna()]
    assert table_cells.markdown(tables.text("corpora", tables.numbers("corpora", of_page_05, dataset))).startswith("|")
    names = ("Upper bound", "EMG-MAE", *ALIGNED)
    assert len(comparisons.seeds_table(results, dataset, systems=names)) == 4 * len(names) - 2 * 2
    assert differences.seed_differences(results, dataset, [("EMBridge", "CPEP-LS")]).empty  # no user's recalls
    assert "second seed" in differences.seed_spread_line(results, dataset)
    none = open_choices.numbers(results, dataset, [])
    assert set(open_choices.text(none)["verdict"]) - {""} == {"Not measured here."}


def test_cpep_is_compared_with_vemg2pose_where_that_is_a_system_at_all(made):
    results, dataset, size = made
    gain = tables.text("cpep_gain", tables.numbers("cpep_gain", results, dataset))
    assert len(gain) == (dataset not in GLOVES)
    if len(gain):
        assert (gain["in"].iloc[0] == "– | paper 0.210") == (size == "quick")


def test_a_comparison_is_drawn_or_a_sentence_says_that_there_is_none(made):
    results, dataset, _ = made
    comparisons = (
        ("table3", "systems", "system", lambda cells: figures.ablation_bars(cells, "EMBridge")),
        ("cpep_ablation", "systems", "system", lambda cells: figures.ablation_bars(cells, "CPEP")),
        ("table4", "batch sizes", "batch_size", figures.batch_size),
        ("fig3c", "shares of pairs", "fraction", figures.data_efficiency),
    )
    for name, what, over, draw in comparisons:
        cells = tables.numbers(name, results, dataset)
        alone, ours = (explore.alone(c, what, over) for c in (cells, cells.drop(columns="paper_value")))
        if over == "fraction":  # E prints no share's number, so quick has nothing to draw beside its own
            assert bool(alone) == (cells["fraction"].nunique() == 1), alone
        else:
            assert bool(alone) == (dataset in GLOVES), alone
        assert alone.startswith(f"Nothing to compare: of these {what} only ") or not alone
        assert ours.startswith(f"Nothing to compare: of these {what} only ") if ours else draw(cells).axes
    assert explore.alone(tables.numbers("table3", results[:0], dataset), "systems").endswith("has a number here.")
    lines = [{"system": name, "value": 0.3, "paper_value": None} for name in (*NO_NETWORK, "EMBridge")]
    assert explore.alone(pd.DataFrame(lines), "systems").endswith("only EMBridge has a number here.")
    figures.table2_bars(tables.headline_rows(results, dataset))
    figures.sensitivity(tables.numbers("fig4", results, dataset))  # k needs no training


def test_claims_are_judged_where_they_apply(made, tmp_path):
    results, dataset, size = made
    table = claims.write(tmp_path, results, dataset, size)
    assert len(table) == len(claims.claims_about(dataset)) and bool(len(table)) == (dataset != "ninapro-db1")
