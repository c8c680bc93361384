"""Every command that README, docs/ and CONTRIBUTING.md show: each parses, and is planned at smoke size or listed.

Also: every option of the command line has its place in docs/options.md, and links lead somewhere.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from conftest import write_dataset, write_db1, write_ninapro

from benchmarks import plan
from embridge.experiments import EXPERIMENTS
from embridge.run import cli

PAGES = [cli.ROOT / "README.md", cli.ROOT / "CONTRIBUTING.md", *sorted((cli.ROOT / "docs").glob("*.md"))]
FEW = ("Pose-MAE", "CPEP")  # a plan measures each; what it does is in test_forecast
# Not run here, and why.
NOT_RUN = {
    "test": "these are the tests",
    "lab": "serves until it is stopped",
    "bench": "continuous integration runs it; its parts are in test_bench",
    "check": "a whole run of quick; its parts are in test_check",
    "clean": "removes; run in folders of their own in test_cli",
}
# Commands that are not run_all.sh's, and where they run.
OTHERS = {
    "python examples/own_data_openbci.py FOLDER": "test_examples",
    ".venv/bin/torchrun --standalone --nproc-per-node 4 -m embridge.train EMBridge --profile paper": "test_distributed",
    ".venv/bin/ruff check --fix . && .venv/bin/ruff format .": "test_repository, without the changes",
}


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks of shell, continued ones joined, without comments."""
    text = page.read_text(encoding="utf-8")
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        assert language in ("bash", "python", ""), f"{page.name}: a block of {language}"
        found += block.replace("\\\n", " ").splitlines() if language != "python" else []
    return [re.sub(r"\s+#.*", "", re.sub(r" {2,}(?!#)", " ", line)).strip() for line in found]


SHOWN = sorted({line for page in PAGES for line in commands(page)})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small folders of real recordings' form, by dataset."""
    top = tmp_path_factory.mktemp("recorded")
    write_dataset(top / "emg2pose", n_samples=4100)
    write_db1(top / "ninapro-db1", 1)
    for database, n_sensors in (("DB2", 22), ("DB7", 18)):
        for exercise, first, n_movements in ((1, 1, 17), (2, 18, 23)):
            labels = np.repeat(first + np.arange(n_movements), 4100)  # each as long as a window
            long = {"restimulus": labels[:, None], "rerepetition": np.ones((len(labels), 1))}
            signals = {"emg": np.zeros((len(labels), 12), np.float32), "glove": np.zeros((len(labels), n_sensors))}
            write_ninapro(top / "ninapro", database, 1, exercise, **long, **signals)
    return top


def parsed(line: str, folders: Path):
    """The options of a run_all.sh command, its folder of recordings one that is there."""
    argv = shlex.split(line)[1:]
    if "--data" in argv:
        argv[argv.index("--data") + 1] = str(folders / argv[argv.index("--dataset") + 1])
    return cli.parse(argv)


def test_commands_are_found():
    assert len(SHOWN) >= 25 and {"./run_all.sh", "./run_all.sh --test", *OTHERS} <= set(SHOWN)
    others = {line for line in SHOWN if not line.startswith("./run_all.sh")}
    assert others == set(OTHERS), "say in OTHERS where they run"


PLANNED = set()  # arguments, so that commands that differ in what a plan does not see are planned once


@pytest.mark.filterwarnings("ignore:DB[27]. .* subjects are missing:embridge.errors.EMBridgeWarning")
@pytest.mark.parametrize("line", [line for line in SHOWN if line.startswith("./run_all.sh")])
def test_a_command_parses_and_is_planned_or_listed_as_not_run(line, folders, tmp_path, monkeypatch, capsys):
    options = parsed(line, folders)
    named = [*(options.train or []), *(options.sweep or [])]
    assert set(named) <= set(EXPERIMENTS)
    if options.action in NOT_RUN:
        return
    monkeypatch.setattr(plan, "LIMIT", 0.0)
    monkeypatch.setattr(plan, "trained_by", lambda profile, dataset, tokens: FEW)
    options.profile, options.out, options.tune = "smoke", cli.ROOT, False
    argv = [*cli.arguments(options, device="cpu"), "--seeds", str(options.seeds)]
    if str(argv) not in PLANNED:
        assert plan.main([*argv, "--out", str(tmp_path / "out")]) == 0
        assert "in all: " in capsys.readouterr().out and not (tmp_path / "out").exists()
        PLANNED.add(str(argv))


def test_what_torchrun_starts_parses():
    (line,) = (line for line in OTHERS if "torchrun" in line)
    options = cli.parse(shlex.split(line.partition("-m embridge.train ")[2]), action="train")
    assert options.train == ["EMBridge"] and options.profile == "paper"


def test_every_option_is_told_and_every_told_option_is_one():
    known = {name for action in cli._parser()._actions for name in action.option_strings if name.startswith("--")}
    told = re.findall(r"`(--[a-z-]+)", (cli.ROOT / "docs" / "options.md").read_text(encoding="utf-8"))
    assert set(told) == known


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    heads = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


MORE = [cli.ROOT / "CHANGELOG.md", cli.ROOT / "embridge" / "simulator" / "CALIBRATION.md"]


@pytest.mark.parametrize("page", [*PAGES, *MORE], ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.M)
    labels = set(re.findall(r"^\[([^\]]+)\]: ", text, re.M))
    assert set(re.findall(r"\]\[([^\]]+)\]", text)) <= labels
    for link in links:
        place, _, anchor = link.partition("#")
        if not place.startswith(("https://", "http://", "mailto:")):
            file = (page.parent / place).resolve() if place else page
            assert file.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(file), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:embridge|figures|docs|examples|tests|notebooks|benchmarks|runner)/[\w./-]+)", text):
        made = name.startswith(("figures/bench/", "figures/simulated-long-waveform/"))  # by a run
        assert made or (cli.ROOT / name.rstrip(".")).exists(), f"{page.name}: {name}"
