"""The runner on tiny notebooks: what runs, what is skipped, what happens when one dies (RELIABILITY 19-25, 31)."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from embridge import provenance
from embridge.config import RESULTS_VERSION
from embridge.errors import InputError, NotebookFailed
from embridge.run import cli
from embridge.run.pages import STEMS
from runner import notebooks, report
from runner.clean import clean
from runner.jobs import Task
from runner.notebooks import Job, check_parameters, data_key, main, records_key, run
from runner.setup import variables

DECLARED = (
    'dataset = "simulated"\nprofile = "smoke"\nseeds = 1\ndevice = "auto"\ntokens = ""\ndata = ""\nout = ""\n'
    "skip_broken = False"
)
PARAMETERS = {"dataset": "simulated", "profile": "smoke", "seeds": 1, "device": "cpu", "tokens": "", "data": ""}
PARAMETERS |= {"skip_broken": False}
# what embridge.paper.results.Page writes, without its import time
WRITE = """
import base64, json, pathlib
NAME = "{name}"
folder = pathlib.Path(out) / "figures" / f"{{dataset}}-{{profile}}" / NAME
folder.mkdir(parents=True, exist_ok=True)
png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsHd1bwAAAABJRU5ErkJggg=="
(folder / "dot.png").write_bytes(base64.b64decode(png))
(folder / "t.csv").write_text("system,value\\nCPEP <b>,0.123456\\nuser,12\\n")
rows = "| system | value |\\n| --- | --- |\\n| CPEP <b> | 0.1235 |\\n| user | 12 |\\n"
(folder / "t.md").write_text("Two rows.\\n\\n" + rows + "\\nA mark.\\n")
page = dict(notebook=NAME, context=dict(simulated=True), rows=[dict(dataset=dataset, profile=profile, system=NAME,
            metric="m", value=0.5, version={version})], notes=dict(),
            figures=[dict(name="dot", file="dot.png", caption="Simulated data. A dot & more.", source="E Fig. 1")],
            tables=[dict(name="t", csv="t.csv", md="t.md", caption="Simulated data. Two rows.", source="")])
(folder / "results.json").write_text(json.dumps(page))
with open(pathlib.Path(out) / "ran.txt", "a") as ran:
    ran.write(NAME + " ")
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a path that breaks careless code, and the environment that run_all.sh makes."""
    for name, value in variables(tmp_path / "state", own_settings=False, test=True).items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "Zoë's results {x} 100%"
    (folder / "notebooks").mkdir(parents=True)
    return folder


def add(place: Path, stem: str, *sources: str, declared: str = DECLARED) -> Path:
    """Write the notebook ``stem`` with these code cells and one that writes results.json."""
    cells = [new_markdown_cell("# A notebook"), new_code_cell(declared, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source) for source in (*sources, WRITE.format(name=stem, version=RESULTS_VERSION))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    file = place / "notebooks" / f"{stem}.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), file)
    return file


def go(place: Path, places: list | None = None, **changes) -> Path:
    """Run the notebooks of ``place`` in this process; returns the report."""
    parameters = {**PARAMETERS, "out": str(place), **changes}
    return run(cli.notebooks(place / "notebooks"), place / "figures" / "simulated-smoke", parameters, places)


def command_line(place: Path) -> list:
    """Arguments of ``main`` for the notebooks of ``place``."""
    return [["--out", str(place), "--profile", "smoke"], place / "notebooks"]


def start(place: Path) -> subprocess.Popen:
    """The same as :func:`go`, by the command line in another process."""
    code = (
        "import sys, pathlib\n"
        "sys.modules['rfc3987_syntax'] = None  # jsonschema's optional grammar: seconds to load, not used here\n"
        "from runner import notebooks\n"
        "sys.exit(notebooks.main(sys.argv[2:], pathlib.Path(sys.argv[1])))\n"
    )
    options, folder = command_line(place)
    command = [sys.executable, "-c", code, str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ran(place: Path) -> list[str]:
    file = place / "ran.txt"
    return file.read_text().split() if file.exists() else []


def wait_for(condition, seconds: float = 60.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
    return found


def test_runs_in_order_reports_and_then_only_what_is_missing(place, capfd):
    add(place, "01_first", "import os\nassert os.path.basename(os.getcwd()) == 'notebooks'")
    add(
        place, "02_second", "assert train", declared=f"{DECLARED}\ntrain = False"
    )  # what is opened alone trains nothing
    page = go(place)
    assert ran(place) == ["01_first", "02_second"]
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 2 and 'src="dot.png' not in html
    assert "A dot &amp; more." in html and "CPEP &lt;b&gt;" in html and ">0.1235<" in html and ">12<" in html
    assert ">A mark.<" in html and "---" not in html
    assert 'href="notebooks/01_first.html"' in html and "Simulated data. Every number" in html
    assert (page.parent / "notebooks" / "02_second.html").stat().st_size > 10_000
    assert (page.parent / "results.csv").read_text().count("\n") == 3
    made = json.loads((page.parent / "provenance.json").read_text())
    assert (made["dataset"], made["seeds"], made["commit"]) == ("simulated", 1, provenance.commit())
    assert made["inputs"].keys() == {f"{stem}/results.json" for stem in ("01_first", "02_second")}
    told = (page.parent / "claims.md").read_text()  # made at the end of every run, and no result in this profile
    assert told.startswith("Simulated data") and "Smoke profile" in told and 'id="claims"' in html
    shown, errors = capfd.readouterr()
    assert errors == ""  # neither ours nor the kernel's
    assert "[1/2] 01_first: running" in shown and "[2/2] 02_second: done in" in shown
    report.show(page.parent)
    shown = capfd.readouterr().out
    assert "02_second/dot.png" in shown and "A dot & more." in shown and str(page) in shown

    go(place)
    assert ran(place) == ["01_first", "02_second"]
    assert "[2/2] 02_second: up to date" in capfd.readouterr().out
    (page.parent / "02_second" / "dot.png").unlink()  # a picture is gone: its notebook runs again, no other
    go(place)
    assert ran(place) == ["01_first", "02_second", "02_second"]


def test_what_makes_a_notebook_run_again(place):
    sources = ("%matplotlib inline\nimport embridge.losses", "from embridge.models import train")
    job = Job(add(place, "01_first", *sources), place)
    package, data = place / "embridge", place / "data"
    for folder in (package / "models", package / "claims", data):
        folder.mkdir(parents=True)
    (package / "losses.py").write_text("def loss():\n    from embridge import hand")
    (package / "hand.py").write_text("a = 1")
    (data / "S1.mat").write_bytes(b"12")

    def key(**changes):
        return job.key({**PARAMETERS, **changes}, data_key(str(data)), root=place)

    first = key()
    for name in ("runner.py", "train.py", "sweep.py", "claims/report.py"):  # decide nothing that a notebook computes
        (package / name).write_text("from embridge import losses")
    assert key() == first
    assert key(seeds=2) != first
    found = [first]
    for file in (package / "losses.py", package / "hand.py", package / "__init__.py", data / "S1.mat"):
        file.write_text(f"{file.read_text()}\nb = 1" if file.exists() else "")
        found.append(key())
    (package / "models" / "train.py").write_text("")  # has the name of a command and is none
    found.append(key())
    add(place, "01_first", *sources, "1 + 1")
    assert len({*found, key()}) == 7
    assert data_key("") == ""


def test_new_rows_of_the_long_profile_run_the_pages_that_read_them(place):
    rows = place / "figures" / "simulated-long" / "rows"
    rows.mkdir(parents=True)
    code = ("from embridge.paper import explore, records", "from embridge.paper import explore\n# no records.read")
    reads, other = (Job(add(place, stem, source), place) for stem, source in zip(("05_a", "01_b"), code, strict=True))
    quick = {**PARAMETERS, "profile": "quick", "out": str(place)}

    def keys(parameters):
        return [job.key(parameters, "", records_key(parameters)) for job in (reads, other)]

    smoke = {**quick, "profile": "smoke"}
    before, never = keys(quick), keys(smoke)
    (rows / "cpep-seed0.json").write_text("{}")
    after = keys(quick)
    assert after[0] != before[0] and after[1] == before[1] and keys(smoke) == never


def test_the_rules_find_this_package_s_modules_wherever_they_lie():
    """A module that is moved or renamed is told here, and not by pages that silently stay as they are."""
    known = {path.stem: Job(path, path.parent) for path in cli.notebooks()}
    keys = [{stem: job.key({}, "", records) for stem, job in known.items()} for records in ("", "new")]
    shown = {stem for stem in known if keys[0][stem] != keys[1][stem]}
    read = ("results", "ablations", "sensitivity", "efficiency", "open_choices", "beyond", "appendix")
    assert shown == {STEMS[name] for name in read}
    code = ["from embridge.experiments import Study"]
    assert (
        notebooks.code_key(code) != notebooks.code_key([]) == notebooks.code_key(["from embridge.nowhere import Study"])
    )


def test_a_table_beside_a_module_decides_what_a_page_shows(tmp_path):
    (tmp_path / "embridge").mkdir()
    for name, text in (("__init__.py", ""), ("shown.py", "import tomllib"), ("shown.toml", "a = 1")):
        (tmp_path / "embridge" / name).write_text(text)
    before = notebooks.code_key(["import embridge.shown"], tmp_path)
    (tmp_path / "embridge" / "shown.toml").write_text("a = 2")
    assert notebooks.code_key(["import embridge.shown"], tmp_path) != before


def test_failing_cell_is_named_and_later_notebooks_do_not_run(place, capsys):
    add(place, "01_first", "x = 1", "print('about to fail')\n1 / 0")
    add(place, "02_second")
    assert main(*command_line(place)) == 1
    errors = capsys.readouterr().err
    assert "01_first failed in cell 4 (\"print('about to fail')\"): ZeroDivisionError: division by zero" in errors
    assert "not run: 02_second" in errors and ran(place) == []
    notebooks = place / "figures" / "simulated-smoke" / "notebooks"
    log = (notebooks / "01_first.log").read_text()
    assert "about to fail" in log and "ZeroDivisionError" in log and str(notebooks / "01_first.log") in errors
    assert "ZeroDivisionError" in (notebooks / "01_first.html").read_text()
    assert not (notebooks / "01_first.key.json").exists()


def test_places_run_notebooks_side_by_side(place, capsys):
    meet = "import os, pathlib, time\nfolder = pathlib.Path(out)\n(folder / os.environ['PLACE']).touch()\n"
    meet += "while not ((folder / 'A').exists() and (folder / 'B').exists()):\n    time.sleep(0.05)\n"
    add(place, "01_first", meet)
    add(place, "02_second", meet, "raise ValueError('bad')")
    add(place, "03_third")
    before = os.getcwd()
    with pytest.raises(NotebookFailed, match=r"02_second failed(?s:.*)ValueError"):
        go(place, places=[{"PLACE": "A"}, {"PLACE": "B"}])
    assert ran(place)[0] == "01_first" and os.getcwd() == before  # a failure elsewhere does not stop what runs
    add(place, "02_second", meet)
    go(place, places=[{"PLACE": "A"}, {"PLACE": "B"}])
    assert sorted(ran(place)) == ["01_first", "02_second", "03_third"]
    assert "[1/3] 01_first: up to date" in capsys.readouterr().out


def test_fault_22_23_misspelt_and_hostile_parameters_are_refused_before_a_kernel_starts(place, capsys):
    add(place, "01_first", "open('started', 'w')")
    misspelt = add(place, "02_second", declared=DECLARED.replace("dataset", "datset"))
    with pytest.raises(InputError, match=r"02_second.ipynb does not declare the parameter 'dataset'.*datset, profile"):
        go(place)
    with pytest.raises(InputError, match="declares nothing"):
        check_parameters(add(place, "03_none", declared=""), {"seeds": 1})
    misspelt.unlink()
    (place / "notebooks" / "03_none.ipynb").unlink()
    with pytest.raises(InputError, match="does not declare the parameter 'epochs'"):
        go(place, epochs=3)
    broken = add(place, "01_first", "open('started', 'w')", declared=DECLARED.replace("dataset", "datset"))
    assert main(*command_line(place)) == 2 and "datset, profile" in capsys.readouterr().err
    add(place, broken.stem, "open('started', 'w')")
    for hostile in ("seeds = 1; open('owned', 'w')  #", "seeds\nopen('owned', 'w')", "", "1st", "seeds "):
        with pytest.raises(InputError, match="not an identifier"):
            go(place, **{hostile: 1})
    assert not (place / "notebooks" / "started").exists() and not (place / "notebooks" / "owned").exists()


def test_fault_24_killed_kernel_fails_the_stage(place, capsys):
    told = place / "pid"
    lines = ["import os, pathlib, time", "pathlib.Path(out, 'pid').write_text(f'{os.getpid()}.')", "time.sleep(600)"]
    add(place, "01_first", "\n".join(lines))
    add(place, "02_second")

    def kill():  # as the system does where memory runs out
        wait_for(lambda: told.exists() and told.read_text().endswith("."), 180)
        os.kill(int(told.read_text()[:-1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    code = main(*command_line(place))
    killer.join()
    assert code == 1
    errors = capsys.readouterr().err
    assert "01_first failed in cell 3 " in errors and "its kernel died" in errors and "not run: 02_second" in errors
    assert ran(place) == []


def test_fault_19_20_25_second_run_is_refused_killed_run_leaves_no_kernel_and_resumes(place, capsys):
    add(place, "01_first")
    wait = "import os, pathlib, time\n(pathlib.Path(out) / 'pid').write_text(str(os.getpid()))\n"
    add(place, "02_second", wait + "while not (pathlib.Path(out) / 'go').exists():\n    time.sleep(0.1)")
    process = start(place)
    pid = int(wait_for(lambda: (place / "pid").exists() and (place / "pid").read_text()))
    with pytest.raises(InputError, match="another run uses"):
        go(place)
    with pytest.raises(InputError, match="a run is using"):
        clean(place)
    assert psutil.pid_exists(pid)
    process.kill()
    process.communicate()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 15)
    (place / "go").touch()
    go(place, device="auto")  # the killed run's lock does not stand in the way
    assert "[1/2] 01_first: up to date" in capsys.readouterr().out
    assert ran(place) == ["01_first", "02_second"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_fault_31_signal_lets_the_notebook_write_its_checkpoint(place, number):
    lines = ["import pathlib, time", "folder = pathlib.Path(out)", "(folder / 'training').touch()", "try:"]
    lines += ["    time.sleep(100)", "except KeyboardInterrupt:", "    (folder / 'checkpoint').touch()", "    raise"]
    add(place, "01_first", "\n".join(lines))
    add(place, "02_second")
    process = start(place)
    wait_for((place / "training").exists)
    time.sleep(0.3)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "the same command goes on from there" in errors and "Traceback" not in errors
    assert (place / "checkpoint").exists() and ran(place) == []


def test_unwritable_folder_is_an_error_at_the_start(place, capsys):
    add(place, "01_first", "open('started', 'w')")
    (place / "figures").write_text("a file where a folder should be")
    assert main(*command_line(place)) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: cannot write below ") and errors.count("\n") == 1
    assert not (place / "notebooks" / "started").exists()


def test_report_says_what_was_not_run_here(place):
    folder = place / "simulated-quick"
    page = folder / "04_x"
    page.mkdir(parents=True)
    (page / "results.json").write_text(json.dumps({"notebook": "04_x", "figures": [], "tables": []}))
    html = report.write(folder, {"dataset": "ninapro-db1", "profile": "quick", "seeds": 1}).read_text()
    assert "not run here" in html and "Simulated data" not in html
    html = report.write(folder, {"dataset": "simulated-ninapro", "profile": "quick", "seeds": 1}).read_text()
    assert "Simulated data" in html


def test_a_notebook_runs_in_the_sweep_where_a_core_waits_and_not_again_after_it(place, monkeypatch, capsys):
    data, autoencoders = STEMS["data"], STEMS["mae_pretraining"]
    add(place, data)
    add(place, autoencoders, "raise ValueError('no weights')")
    monkeypatch.setattr(cli, "NOTEBOOKS", place / "notebooks")
    maes, others = Task("EMG-MAE, seed 0", ()), Task("CPEP, seed 0", (), ("EMG-MAE, seed 0",))
    seen = {}

    def train(options, *, local, more):
        assert more([]) == []  # nothing is trained, so nothing waits
        early = {task.name: task for task in more([maes, others])}
        seen.update({name: task.needs for name, task in early.items()})
        codes = [notebooks.early(list(early[name].command[5:])) for name in (data, autoencoders)]
        assert codes == [0, 1] and ran(place) == [data]
        assert early[data].command[3:5] == ("runner.notebooks", "--early")
        return {"EMG-MAE, seed 0": "", "CPEP, seed 0": "", data: "", autoencoders: "failed, log: 7.out"}

    monkeypatch.setattr("runner.jobs.train", train)
    assert main(*command_line(place)) == 1
    shown, errors = capsys.readouterr()
    assert seen == {data: (), autoencoders: (maes.name,), STEMS["communities"]: (maes.name,)}
    assert f"[1/2] {data}: up to date" in shown and ran(place) == [data]
    assert errors.count(f"notebook {autoencoders} failed in cell 3") == 2  # it is told by the run, too


def test_experiments_train_before_our_notebooks_and_a_failed_one_stops_the_run(place, monkeypatch, capsys):
    add(place, "01_first")
    asked, ended = [], {"EMBridge, seed 0": ""}
    monkeypatch.setattr(cli, "NOTEBOOKS", place / "notebooks")
    monkeypatch.setattr("runner.jobs.train", lambda options, *, local, more: asked.append(ran(place)) or ended)
    assert main(*command_line(place)) == 0 and asked == [[]] and ran(place) == ["01_first"]
    assert main(*command_line(place)) == 0 and len(asked) == 1  # every notebook is current: nothing to train for
    (place / "figures" / "simulated-smoke" / "01_first" / "dot.png").unlink()
    (options, folder) = command_line(place)
    assert main([*options, "--only", "01"], folder) == 0 and len(asked) == 1  # trains what it needs itself
    add(place, "02_second")
    ended["EMBridge, seed 0"] = "failed, log: 7.out"
    assert main(options, folder) == 1 and len(asked) == 2 and "02_second" not in ran(place)
    assert capsys.readouterr().err == "error: 1 experiments did not train; the first failed, log: 7.out\n"
