"""Facts about the tree: formatting, layers, file sizes, pins, and no path of one machine in it."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from embridge.run.cli import ROOT
from runner.clean import COMMITTED
from runner.setup import missing

# Data goes one way: a module, or one in a folder, may import from its own line and those above it, never from below.
LAYERS = (
    ("errors", "config", "files", "parallel", "provenance"),
    ("grids", "experiments", "models", "losses", "statistics", "evaluation", "checkpoint", "distributed"),
    ("data",),
    ("training", "simulator", "figures", "describe"),
    ("objectives", "datasets"),
    ("trained", "study", "inference", "exported", "pretrained"),
    ("paper",),  # what only reproduces the papers
    ("train", "run"),  # command lines
    ("runner", "benchmarks"),  # outside the package, which imports neither
)
TOPS = ("embridge", "runner", "benchmarks")
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(file for folder in TOPS for file in (ROOT / folder).rglob("*.py"))
SKIPPED = {".git", ".venv", "data", "runs", "__pycache__", ".cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}


def text_files() -> list[Path]:
    """The tree's text files, without what is made from them (see .gitignore) and without pictures."""
    found = []
    for top, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED and not name.endswith(".egg-info")]
        if Path(top).parent == ROOT / "figures":
            folders[:] = [name for name in folders if name != "notebooks"]
        found += [Path(top, name) for name in names if name not in ("report.html", ".git")]  # of a worktree a file
    return [path for path in found if path.suffix not in (".png", ".pyc", ".lock", ".f16", ".npz", ".safetensors")]


def imports(file: Path) -> set[str]:
    """Modules of this repository that a file imports, also inside functions but not for type checkers alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    hidden = {id(inner) for node in typing for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides its layer"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
    return {name for name in found if name in FILES} - {"embridge"}  # of the package itself there is only its version


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(file): file for file in MODULES}


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] != "embridge" else parts[1]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff_over_code_and_notebooks(command):
    found = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("module", sorted({*FILES} - {"embridge"}))
def test_no_module_imports_one_from_a_layer_below(module):
    assert layer(module) in RANK, f"give {layer(module)} its place in LAYERS"
    for name in imports(FILES[module]):
        assert RANK[layer(name)] <= RANK[layer(module)], f"{module} imports {name}, which is in a layer below"


def test_no_imports_go_in_a_circle():
    left = {module: imports(file) for module, file in FILES.items()}
    while ready := [module for module, needs in left.items() if not needs & left.keys() - {module}]:
        left = {module: needs for module, needs in left.items() if module not in ready}
    assert not left, f"circles among {', '.join(left)}"


@pytest.mark.parametrize(
    ("module", "category", "ends"),
    [
        ("embridge.losses", "UserWarning", 1),
        ("embridge.models.mae", "DeprecationWarning", 1),
        ("embridge.losses", "EMBridgeWarning", 0),  # it is for the user
        ("somebody.elses", "UserWarning", 0),
    ],
)
def test_a_warning_from_our_modules_ends_a_process_that_a_test_starts(module, category, ends):
    code = f"from embridge.errors import EMBridgeWarning; import warnings; warnings.warn('odd', {category})"
    run = f"exec({code!r}, {{'__name__': {module!r}}})"
    found = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == ends and "odd" in found.stderr, found.stderr


def test_layers_are_few_name_nothing_twice_and_the_check_sees_imports(tmp_path):
    assert len(RANK) == sum(map(len, LAYERS)) and len(LAYERS) <= 9
    seen = imports(ROOT / "runner" / "notebooks.py")
    assert seen >= {f"embridge.{name}" for name in ("run.cli", "paper.results", "errors")}
    assert seen >= {"runner.report", "runner.jobs"}
    (tmp_path / "a.py").write_text("def f():\n    import embridge.models.mae\n    from embridge.data import windows\n")
    assert imports(tmp_path / "a.py") == {"embridge.models.mae", "embridge.data.windows"}
    (tmp_path / "b.py").write_text("import benchmarks.data\nfrom benchmarks import use\n")
    assert imports(tmp_path / "b.py") == {"benchmarks.data", "benchmarks.use"}
    (tmp_path / "c.py").write_text("if TYPE_CHECKING:\n    from embridge.study import Study\n")
    assert imports(tmp_path / "c.py") == set()


def test_what_runs_before_set_up_needs_only_the_standard_library():
    code = "import sys, runner.setup; print(sorted({m.split('.')[0] for m in sys.modules}))"
    found = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
                           capture_output=True, text=True)  # fmt: skip
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("file", MODULES, ids=lambda f: f.name)
def test_files_stay_readable(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, "split it where a reader would look for its parts"


def test_every_fault_of_the_table_is_caused_by_a_test_that_is_not_skipped():
    """RELIABILITY's 32 rows: a test's name carries the number of each that it causes."""
    caused: dict[int, str] = {}
    for file in sorted((ROOT / "tests").glob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        module = [ast.unparse(node.value) for node in tree.body if isinstance(node, ast.Assign)
                  and any(getattr(target, "id", "") == "pytestmark" for target in node.targets)]  # fmt: skip
        for test in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            if numbers := re.match(r"test_fault((_\d\d)+)_", test.name):
                marks = module + [ast.unparse(mark) for mark in test.decorator_list] + [ast.unparse(test)]
                skipped = [mark for mark in marks if re.search(r"\b(skip|skipif|xfail|importorskip)\b(?!-)", mark)]
                assert not skipped, f"{file.name}: {test.name} may be skipped; cause its fault on every machine"
                caused |= dict.fromkeys(map(int, numbers[1].split("_")[1:]), test.name)
    assert sorted(caused) == list(range(1, 33)), f"no test causes {sorted(set(range(1, 33)) - set(caused))}"


def test_results_that_are_kept_are_not_ignored_and_executed_notebooks_are(tmp_path):
    git = ["git", "-C", tmp_path, "-c", "core.excludesFile="]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    kept = [f"figures/{name}/rows/cpep-seed0.json" for name in COMMITTED]
    made = [f"figures/{name}/notebooks/05_page.ipynb" for name in COMMITTED] + ["figures/simulated-smoke/a.csv"]
    found = subprocess.run([*git, "check-ignore", *kept, *made], capture_output=True, text=True)
    assert found.stdout.split() == made and "simulated-long-waveform" in COMMITTED


def test_no_registry_and_no_machine_is_named():
    hosts = ("py" + "pi", "python" + "hosted", "ana" + "conda", "py" + "torch")  # in parts: this file names none either
    registry = re.compile(rf"\b({'|'.join(hosts)})\.(org|io|com)\b|index-url \w")
    machine = re.compile(r"(?<![\w.~])/(?:work|farm|root|home|Users)/\w+|\.\./shared\b")
    for file in text_files():
        text = file.read_text(encoding="utf-8", errors="replace")
        assert not registry.search(text), f"{file} names a package registry: {registry.search(text)[0]}"
        if file != ROOT / ".ci" / "run" and file != Path(__file__):
            assert not machine.search(text), f"{file} names a place on one machine: {machine.search(text)[0]}"


def test_every_requirement_is_pinned_and_fits_its_range():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines), "an exact version each"
    assert "://" not in text
    pins = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    assert len(pins) == len(lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for asked in map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["dev"]]):
        assert asked.specifier.contains(pins[canonicalize_name(asked.name)]), f"{asked} is not met"


def test_the_tests_run_on_the_pinned_versions():
    assert missing((ROOT / "requirements.txt").read_text(encoding="utf-8")) == []


def test_what_is_imported_is_asked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["cluster"], *extras["bids"], *extras["onnx"]]
    asked = {canonicalize_name(Requirement(text).name) for text in asked}
    called = {
        "sklearn": "scikit-learn",
        "PIL": "pillow",
        "traitlets": "nbconvert",
        "jupyter_client": "jupyter-client",
        "jupyter_core": "jupyter-core",
    }
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {*TOPS}:
                assert canonicalize_name(called.get(name, name)) in asked, f"{file.name} imports {name}"


def test_tables_beside_modules_are_part_of_the_package():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    package = ROOT / "embridge"
    tables = {*package.rglob("*.toml"), *package.rglob("*.txt")}
    assert len(tables) > 5 and tables <= {file for pattern in declared["embridge"] for file in package.glob(pattern)}


def test_contributing_names_places_that_are_there():
    """The map: every path exists, and ``path:Name`` is defined at the top of that file."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tops = "|".join((*TOPS, "notebooks", "tests", "examples", "docs", "figures"))
    named = re.findall(rf"`((?:{tops})/[^`:\s<]*)(?::(\w+))?`", text)
    assert len(named) > 30
    for path, name in named:
        assert (ROOT / path).exists(), path
        if name:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            targets = [target for node in tree.body for target in getattr(node, "targets", ())]
            assert name in {getattr(node, "name", getattr(node, "id", "")) for node in (*tree.body, *targets)}, path
