"""Tidy rows, pages, and their merger into results.csv."""

import json

import matplotlib
import numpy as np
import pandas as pd
import PIL.Image
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from embridge import statistics as st
from embridge.config import RESULTS_VERSION
from embridge.errors import InputError
from embridge.paper.results import COLUMNS, MERGED, Page, Record, as_text, collect, read_results, read_rows, row
from embridge.paper.scoring import Outcome, evaluate_predictions

matplotlib.use("Agg")
BASE = {"dataset": "simulated", "profile": "smoke"}
ISSUE = (
    "dataset, profile, seed, system, protocol, classes, gallery, pooling, metric, class, user, true, predicted, param, "
    "param_value, n_train, draw, batch_size, options, value, low, high, interval_kind, n, paper_value, paper_source, "
    "run_key, origin"
)


def predictions(seed=0, skill=0.5):
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(4), 60)
    pred = np.where(rng.random(240) < skill, y, rng.integers(-1, 5, 240))
    return y, pred, np.repeat([f"{i:03d}" for i in range(6)], 40)


# ---- rows -------------------------------------------------------------------------------------------------------


def test_columns_are_the_issues():
    assert ", ".join(COLUMNS) == f"{ISSUE}, version"


def test_row_fills_and_checks():
    found = row(**BASE, metric="f1", value=np.float32(0.5), low=float("nan"), seed=np.int64(3), param_value=0.1)
    assert tuple(found) == COLUMNS
    assert (found["value"], found["low"], found["seed"], found["param_value"]) == (0.5, None, 3, "0.1")
    assert type(found["seed"]) is int and type(found["value"]) is float
    assert found["user"] == "" and found["draw"] is None
    for fields, message in (
        ({"colour": 1}, "colour"),
        ({"value": float("inf")}, "finite"),
        ({"value": "0.5"}, "number in column value"),
        ({"value": True}, "number in column value"),
        ({"seed": 0.5}, "int in column seed"),
        ({"user": object()}, "found object"),
        ({"metric": ""}, "metric"),
    ):
        with pytest.raises(InputError, match=message):
            row(**({"metric": "f1"} | BASE | fields))


def test_evaluate_predictions_emits_every_metric():
    y, pred, users = predictions()
    rows = pd.DataFrame(
        evaluate_predictions(
            y, pred, users, n_classes=4, paper_value=0.481, paper_source="E", **BASE, seed=1, system="A"
        )
    )
    assert rows["metric"].value_counts().to_dict() == {
        "balanced_accuracy": 1, "macro_f1": 1, "class_f1": 4, "confusion": 20, "user_f1": 6,
    }  # fmt: skip
    assert set(rows["system"]) == {"A"} and set(rows["seed"]) == {1}
    top = rows.iloc[0]
    assert (top["value"], top["low"], top["high"]) == st.bootstrap_over_groups(y, pred, users, n_classes=4)
    assert top["low"] < top["value"] < top["high"] and top["n"] == 240 and "user" in top["interval_kind"]
    assert rows.loc[rows["paper_value"].notna(), "metric"].tolist() == ["balanced_accuracy"]
    cells = rows[rows["metric"] == "confusion"]
    assert cells["value"].sum() == 240
    assert cells.loc[cells["predicted"] == -1, "value"].sum() == ((pred < 0) | (pred > 3)).sum() > 0
    np.testing.assert_array_equal(
        cells[cells["predicted"] >= 0].pivot(index="true", columns="predicted", values="value"),
        st.confusion(y, pred, 4),
    )
    f1 = rows[rows["metric"] == "class_f1"].sort_values("class")
    np.testing.assert_allclose(f1["value"].astype(float), st.per_class_f1(y, pred, 4))
    users_f1 = rows[rows["metric"] == "user_f1"]
    assert dict(zip(users_f1["user"], users_f1["value"], strict=True)) == st.per_group_f1(y, pred, users, 4)
    assert set(users_f1["n"]) == {40}
    more = evaluate_predictions(y, pred, users, n_classes=4, recalls=True, **BASE)[len(rows) :]
    assert {r["metric"] for r in more} == {"user_recall"} and len(more) == 6 * 4
    one = next(r for r in more if r["user"] == "002" and r["class"] == 3)
    assert one["n"] == 10 and one["value"] == np.mean(pred[(users == "002") & (y == 3)] == 3)


def test_a_repetition_is_no_user():
    """DB1's groups hold one class each, and so no user's F1."""
    y = np.repeat(np.arange(4), 6)
    groups = np.repeat(np.arange(12), 2)
    rows = evaluate_predictions(y, y, groups, n_classes=4, group_kind="movement-repetition", **BASE)
    assert "user_f1" not in {r["metric"] for r in rows}
    assert rows[0]["interval_kind"] == "95 % bootstrap over movement-repetition"


def test_less_other_predictions_is_the_paired_interval():
    y, pred, users = predictions()
    other = predictions(seed=1)[1]
    own = Outcome("EMBridge", "ZS", "in", "all", "max", "", y, pred, users, {"n_classes": 4, "recalls": True} | BASE)
    found = own.less(other, "CPEP")
    expected = st.bootstrap_over_groups(y, pred, users, minus=other, n_classes=4)
    assert (found["value"], found["low"], found["high"]) == expected
    assert (found["system"], found["metric"]) == ("EMBridge - CPEP", "balanced_accuracy_difference")


# ---- pages ------------------------------------------------------------------------------------------------------


def figure():
    fig = Figure(figsize=(2, 1))
    fig.subplots().plot([1, 2])
    return fig


def test_page_writes_rows_figures_tables_notes(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    folder = tmp_path / "Ä b"
    page = Page("05_second", folder, context={"simulated": True, "commit": "abc", "hours": np.float64(2)})
    drawn = figure()
    colour = np.rint(255 * np.array(to_rgb(drawn.axes[0].lines[0].get_color())))
    below = page.figure(drawn, "fig3a", "Confusion.", source="E Fig. 3a")
    assert [picture.data for picture in shown] == [(folder / "05_second" / "fig3a.png").read_bytes()]
    assert below.data == "> Simulated data. Confusion.", "the caption, as Markdown"
    frame = page.table(pd.DataFrame({"a": [0.5], "b": ["x | y"]}), "table2", "Table.")
    assert frame["a"].tolist() == [0.5]
    page.rows([row(**BASE, metric="f1", value=0.5, low=float("nan"))])
    page.note("seconds", np.array([1.5, np.nan]))
    path = page.write()
    assert path == folder / "05_second" / "results.json"
    found = json.loads(path.read_text("utf-8"))
    assert found["notebook"] == "05_second"
    assert found["context"] == {"simulated": True, "commit": "abc", "hours": 2.0}
    assert found["records"] == {}
    assert found["rows"] == [BASE | {"metric": "f1", "value": 0.5, "version": RESULTS_VERSION}]
    assert found["figures"] == [
        {"name": "fig3a", "file": "fig3a.png", "caption": "Simulated data. Confusion.", "source": "E Fig. 3a"}
    ]
    assert found["tables"][0]["caption"] == "Simulated data. Table."
    assert found["notes"] == {"seconds": [1.5, None]}
    files = {p.name for p in path.parent.iterdir()}
    assert files == {"results.json", "fig3a.png", "table2.csv", "table2.md"}  # and no temporary file
    assert (path.parent / "fig3a.png").read_bytes()[:4] == b"\x89PNG"
    with PIL.Image.open(path.parent / "fig3a.png") as picture:
        assert picture.mode == "P" and picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        away = np.abs(np.asarray(picture.convert("RGB")).astype(int) - colour).max(axis=2)
    assert away.min() <= 4, "a small part keeps its colour"
    assert (path.parent / "table2.csv").read_text("utf-8") == "a,b\n0.5,x | y\n"
    assert (
        (path.parent / "table2.md")
        .read_text("utf-8")
        .startswith("Simulated data. Table.\n\n| a | b |\n| --- | --- |\n")
    )


def test_what_an_earlier_run_left_goes_with_the_next_one(tmp_path):
    for names in (("old", "kept"), ("kept",)):
        page = Page("06_third", tmp_path, context={})
        for name in names:
            page.figure(figure(), name, "A figure.")
            page.table(pd.DataFrame({"a": [1]}), f"{name}-table", "A table.")
        path = page.write()
    left = {"kept.png", "kept-table.csv", "kept-table.md", "results.json"}
    assert {p.name for p in path.parent.iterdir()} == left


@pytest.mark.parametrize("version", [None, RESULTS_VERSION - 1, RESULTS_VERSION + 1])
def test_rows_of_another_version_leave_the_results(tmp_path, version):
    for name in ("05_second", "06_third"):
        page = Page(name, tmp_path, context={})
        page.rows([row(**BASE, metric="f1", value=0.5, system=name)])
        path = page.write()
    assert len(collect(tmp_path)) == 2
    text = path.read_text("utf-8")
    said = f'"version": {RESULTS_VERSION}'
    assert text.count(said) == 1
    path.write_text(text.replace(f", {said}", "" if version is None else f', "version": {version}'), "utf-8")
    found = collect(tmp_path)
    assert found["system"].tolist() == ["05_second"] and found["version"].tolist() == [RESULTS_VERSION]


@pytest.mark.parametrize(
    ("context", "prefix", "stamped"),
    [
        ({"simulated": True}, "Simulated data. ", True),
        ({"development": "one development subject"}, "Real recordings, one development subject. ", False),
        ({"development": True, "simulated": False}, "Real recordings, one development subject. ", False),
        ({"simulated": True, "profile": "smoke"}, "Simulated data. Smoke profile: no result. ", True),
        ({"profile": "smoke"}, "Smoke profile: no result. ", False),
        ({"profile": "quick"}, "", False),
        ({}, "", False),
    ],
)
def test_what_data_a_figure_shows_is_said(tmp_path, context, prefix, stamped):
    page = Page("01", tmp_path, context=context)
    fig = figure()
    page.figure(fig, "f", "Caption.")
    assert ("simulated data" in [t.get_text() for t in fig.texts]) == stamped
    assert json.loads(page.write().read_text("utf-8"))["figures"][0]["caption"] == prefix + "Caption."


def test_the_stamp_covers_nothing(tmp_path):
    """Saving crops the figure, and a legend outside its axes must not move onto the stamp then."""
    boxes = []

    class Spy(Text):
        def draw(self, renderer):
            boxes.append([a.get_window_extent(renderer).frozen() for a in (self.figure.legends[0], ax, self)])
            super().draw(renderer)

    fig = Figure(figsize=(4, 2), layout="constrained")
    ax = fig.subplots()
    ax.plot([1, 2], label="a long entry that reaches far to the right side")
    fig.legend(loc="outside lower center")
    fig.text = lambda x, y, text, **style: fig.add_artist(Spy(x, y, text, transform=fig.transFigure, **style))
    Page("01", tmp_path, context={"simulated": True}).figure(fig, "f", "Caption.")
    legend, axes, stamp = boxes[-1]  # as they were drawn into the file
    assert stamp.x0 < legend.x1, "one above the other"
    assert stamp.y1 <= legend.y0 and legend.y1 <= axes.y0


def test_a_tables_numbers_are_its_csv(tmp_path, capsys):
    page = Page("05", tmp_path, context={})
    text = pd.DataFrame({"system": ["CPEP"], "ZS in": ["0.50 | paper 0.757 †"]})
    text.attrs["footnotes"] = ("† long run, 2026-11-21, abc1234",)
    numbers = pd.DataFrame({"system": ["CPEP"], "value": [0.5], "origin": ["long run, 2026-11-21, abc1234"]})
    assert page.table(text, "table2", "Table.", "E Table 2", numbers=numbers) is text
    assert capsys.readouterr().out == "† long run, 2026-11-21, abc1234\n"
    assert (tmp_path / "05" / "table2.csv").read_text("utf-8") == (
        'system,value,origin\nCPEP,0.5,"long run, 2026-11-21, abc1234"\n'
    )
    assert (
        (tmp_path / "05" / "table2.md")
        .read_text("utf-8")
        .endswith("| CPEP | 0.50 \\| paper 0.757 † |\n\n† long run, 2026-11-21, abc1234\n\nSource: E Table 2\n")
    )


def test_a_rounded_frame_is_not_rounded_again(tmp_path):
    page, numbers = Page("05", tmp_path, context={}), pd.DataFrame({"systems": ["a - b"], "low": [0.1049]})
    page.table(numbers.round(3), "differences", "Differences.", numbers=numbers)
    assert "| a - b | 0.10 |" in (tmp_path / "05" / "differences.md").read_text("utf-8")  # of 0.105 it may be 0.11
    numbers = pd.DataFrame({"systems": ["a - b"], "low": [0.0549]})
    page.table(numbers.round(3), "more", "Differences.", numbers=numbers)
    assert "| a - b | 0.05 |" in (tmp_path / "05" / "more.md").read_text("utf-8")  # 0.055 would be 0.06


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"simulated": True}, "Simulated data.\n"),
        ({"development": "subject 3"}, "Real recordings, subject 3.\n"),
        ({}, ""),
    ],
)
def test_a_table_says_whose_data_it_shows(tmp_path, capsys, context, said):
    page = Page("05", tmp_path, context=context)
    page.table(pd.DataFrame({"ZS in": [0.5]}), "table2", "Table.")
    assert capsys.readouterr().out == said
    assert (tmp_path / "05" / "table2.md").read_text("utf-8").startswith(f"{said.strip()} Table.".strip())
    page.table(pd.DataFrame({"ZS in": [0.5]}), "real", "Of DB1.", data=False)  # another's recordings than the page's
    assert capsys.readouterr().out == "" and (tmp_path / "05" / "real.md").read_text("utf-8").startswith("Of DB1.\n")


def test_where_a_row_is_from_is_kept_but_makes_it_no_other_row(tmp_path):
    committed = BASE | {"metric": "f1", "system": "CPEP", "origin": "long run, 2026-11-21, abc1234"}
    write_page(tmp_path, "02", [row(**committed, value=0.1)])
    collect(tmp_path)
    assert read_results(tmp_path / "results.csv")["origin"].tolist() == ["long run, 2026-11-21, abc1234"]
    write_page(tmp_path, "05", [row(**(committed | {"origin": ""}), value=0.2)])
    with pytest.raises(InputError, match="02 and 05 both"):
        collect(tmp_path)


def test_a_csv_from_before_origins_is_still_read(tmp_path):
    (tmp_path / "results.csv").write_text("dataset,profile,metric,value\nsimulated,quick,f1,0.5\n")
    assert read_results(tmp_path / "results.csv").iloc[0][["value", "origin"]].tolist() == [0.5, ""]


def test_page_refuses_what_it_cannot_keep(tmp_path):
    page = Page("01", tmp_path, context={})
    page.figure(figure(), "f", "Caption.")
    with pytest.raises(InputError, match="once"):
        page.figure(figure(), "f", "Caption.")
    with pytest.raises(InputError, match="letters"):
        page.table(pd.DataFrame({"a": [1]}), "../a", "Caption.")
    with pytest.raises(InputError, match="letters"):
        Page("a/b", tmp_path, context={})
    with pytest.raises(InputError, match="colour"):
        page.rows([BASE | {"metric": "f1", "colour": 1}])
    with pytest.raises(InputError, match="finite"):
        page.note("loss", [float("inf")])
    page.rows([row(**BASE, metric="f1", value=1), row(**BASE, metric="f1", value=2)])
    with pytest.raises(InputError, match="metric=f1"):
        page.write()
    assert not (tmp_path / "01" / "results.json").exists()


def test_an_interrupted_write_keeps_the_old_page(tmp_path, monkeypatch):
    page = Page("01", tmp_path, context={})
    old = page.write().read_text("utf-8")
    page.note("more", 1)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        page.write()
    assert (tmp_path / "01" / "results.json").read_text("utf-8") == old
    assert [p.name for p in (tmp_path / "01").iterdir()] == ["results.json"]


def write_page(folder, name, rows):
    page = Page(name, folder, context={})
    page.rows(rows)
    page.write()


def test_collect_merges_sorted_and_reads_back(tmp_path):
    first = [row(**BASE, metric="f1", seed=s, user=u, value=s / 3) for s in (10, 9) for u in ("7", "012")]
    second = [row(**BASE, metric=m, value=None, **{"class": 2}) for m in ("balanced_accuracy", "user_recall")]
    write_page(tmp_path, "02", first)
    write_page(tmp_path, "01", second)
    found = collect(tmp_path)
    assert tuple(found.columns) == COLUMNS and len(found) == 6
    assert found["seed"].tolist() == [pd.NA, pd.NA, 9, 9, 10, 10]
    assert found["user"].tolist() == ["", "", "012", "7", "012", "7"]  # text, though they look like numbers
    assert np.isnan(found["value"][0]) and found["value"][2] == 3.0
    files = [tmp_path / name for name in MERGED]
    merged = [file.read_bytes() for file in files]
    pd.testing.assert_frame_equal(read_results(*files), found)
    scores, recalls = map(read_results, files)
    assert set(scores["metric"]) == {"f1", "balanced_accuracy"} and recalls["metric"].tolist() == ["user_recall"]
    write_page(tmp_path, "02", first[::-1])
    collect(tmp_path)
    assert [file.read_bytes() for file in files] == merged


def kept_record(folder, name, origin="", **fields):
    file = folder / "rows" / f"{name}.json"
    file.parent.mkdir(exist_ok=True, parents=True)
    rows = [row(**BASE, metric="f1", system=name, **fields)]
    file.write_text(as_text({"experiment": name}, rows), "utf-8")
    return Record(file, origin, rows, {})


def test_a_row_of_a_record_lies_there_alone_however_many_pages_read_it(tmp_path):
    """Pages name the files, from which the table of all rows takes them, one of another run with its origin."""
    here, origin = tmp_path / "simulated-smoke", "long run, 2026-11-21, abc1234"
    records = [kept_record(here, "cpep", value=0.5), kept_record(tmp_path / "simulated-long", "poset", origin)]
    for name, read in (("05", records), ("06", records[:1])):
        page = Page(name, here, context={})
        page.read(read)
        page.read(read[:1])  # a page may ask twice
        page.rows([row(**BASE, metric="f1", system=name)])
        assert len(page.frame()) == len(read) + 1
        found = json.loads(page.write().read_text("utf-8"))
        assert [r["system"] for r in found["rows"]] == [name]
    assert found["records"] == {"simulated-smoke/rows/cpep.json": ""}
    table = collect(here).set_index("system")
    assert table.index.tolist() == ["05", "06", "cpep", "poset"] and table.loc["cpep", "value"] == 0.5
    assert table["origin"].tolist() == ["", "", "", origin]
    kept_record(here, "another")  # which no page reads, such as that of an earlier run's seed
    assert len(collect(here)) == 4
    write_page(here, "07", [row(**BASE, metric="f1", system="cpep", value=0.6)])
    with pytest.raises(InputError, match=r"07 and simulated-smoke/rows/cpep.json both with .*system=cpep"):
        collect(here)
    records[0].file.unlink()
    with pytest.raises(InputError, match=r"rows/cpep.json: expected an experiment's rows.*run the notebooks again"):
        collect(here)


def test_two_pages_that_claim_the_same_row_are_named(tmp_path):
    write_page(tmp_path, "04_first", [row(**BASE, metric="f1", system="CPEP", value=0.1)])
    write_page(tmp_path, "05_second", [row(**BASE, metric="f1", system="CPEP", value=0.2, run_key="other")])
    with pytest.raises(InputError, match=r"04_first and 05_second both with .*system=CPEP"):
        collect(tmp_path)
    assert not (tmp_path / "results.csv").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"notebook": "01"}', '{"notebook": "01", "rows": [{"colour": 1}]}'])
def test_a_page_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "01").mkdir()
    (tmp_path / "01" / "results.json").write_text(text)
    with pytest.raises(InputError, match=r"01/results\.json: expected a page"):
        collect(tmp_path)


def test_no_pages_give_an_empty_table(tmp_path):
    assert collect(tmp_path).empty
    assert (tmp_path / "results.csv").read_text("utf-8").strip() == ",".join(COLUMNS)


def test_what_every_row_says_stands_once_and_comes_back(tmp_path):
    rows = [row(**BASE, metric="f1", value=v, n=n, user=u) for v, n, u in ((1.0, 1, "a"), (1.0, 2, ""), (0.0, 2, "b"))]
    for some in (rows, rows[:2], rows[:1], []):
        file = tmp_path / "results.json"
        file.write_text(as_text({"notebook": "07"}, some), encoding="utf-8")
        assert read_rows(file, "a page's results.json", "run it again") == ({"notebook": "07"}, some)
    kinds = [row(**BASE, metric=m, user=u, value=v) for m in ("f1", "user_f1") for u, v in (("a", 0.5), ("b", None))]
    file.write_text(text := as_text({}, kinds), encoding="utf-8")  # a block a metric, a short line a row
    assert [block["values"] for block in json.loads(text)["rows"]] == [[["a", 0.5], ["b", None]]] * 2
    assert '["a", 0.5],\n["b", null]' in text and read_rows(file, "a page's results.json", "run it again")[1] == kinds
    for columns in ('"columns": ["user"]', '"columns": ["user", "values"]', '"rows": []'):
        file.write_text(text.replace('"columns": ["user", "value"]', columns), "utf-8")
        with pytest.raises(InputError, match="expected a page's results.json"):
            read_rows(file, "a page's results.json", "run it again")
    file.write_text(text := as_text({}, rows), encoding="utf-8")
    assert text.count('"simulated"') == 1 and json.loads(text)["every row"].keys() == {*BASE, "metric", "version"}
    file.write_text(text.replace('"every row": {', '"every row": [{').replace('},\n "rows"', '}],\n "rows"'), "utf-8")
    with pytest.raises(InputError, match="expected a page's results.json"):
        read_rows(file, "a page's results.json", "run it again")
