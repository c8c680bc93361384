"""What an artefact was made with: commit, code, versions and machine, recorded in everything that a study leaves."""

import ast
import importlib.metadata
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

from embridge import __version__
from embridge.config import fingerprint
from embridge.parallel import processor

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "h5py", "openTSNE", "matplotlib")  # they decide numbers


@cache
def code_hash(*files: Path) -> str:
    """Hash of code as syntax trees without docstrings: a comment changes nothing. A process reads a file once."""
    trees = []
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        trees.append(ast.dump(tree))
    return fingerprint(trees)


@cache
def commit() -> str:
    """The checked-out commit when first asked, "+" where tracked files differ; "unknown" outside a repository.

    Differing results do not count: a run writes them itself.
    """
    try:
        told = [
            subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for command in (
                ["rev-parse", "--short=7", "HEAD"],
                ["status", "--porcelain", "-uno", "--", ".", ":!figures"],
            )
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told[0] + ("+" if told[1] else "")


@cache
def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that decide numbers, by name."""
    return {"Python": platform.python_version(), **{name: importlib.metadata.version(name) for name in LIBRARIES}}


def provenance(device: str = "cpu") -> dict:
    """All of it as plain JSON: of two artefacts with the same ``made_on`` the numbers should be the same to the bit."""
    torch = sys.modules.get("torch")  # slow to load: where nothing has, as where a store is filled, nothing needs it
    name = torch.cuda.get_device_name(device) if str(device).startswith("cuda") else processor()
    threads = torch.get_num_threads() if torch else 1  # a store's windows are each cut by one thread
    return {
        "commit": commit(),
        "made_on": {"device": name, "threads": threads, "embridge": __version__, **libraries()},
    }
