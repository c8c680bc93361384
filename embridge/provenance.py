"""The origin of an artefact: commit, code, versions and machine, recorded in everything that a study leaves."""

import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path

from embridge import __version__
from embridge.parallel import processor

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "h5py", "openTSNE", "matplotlib")  # they decide numbers


def default_out() -> Path:
    """Where data, runs and figures go unless a caller says: the clone, or where an installed package is used."""
    return ROOT if (ROOT / "run_all.sh").exists() else Path.cwd()


@cache
def commit() -> str:
    """The checked-out commit when first asked, "+" where tracked files differ; "unknown" outside a repository.

    What differs in ``figures/`` does not count: a run writes there, and rows that a page draws bear their own commit.
    """
    if not (ROOT / ".git").exists():  # an installed package may lie in another project's repository
        return "unknown"
    try:
        head, differs = (
            subprocess.check_output(["git", *command.split()], cwd=ROOT, stderr=subprocess.PIPE, text=True).strip()
            for command in ("rev-parse --short=7 HEAD", "status --porcelain -uno -- . :!figures")
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+" if differs else head


@cache
def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that decide numbers, by name."""
    return {"Python": platform.python_version(), **{name: importlib.metadata.version(name) for name in LIBRARIES}}


def provenance(device: str = "cpu", *, threads: int | None = None) -> dict:
    """All of it as plain JSON: of two artefacts with the same ``made_on`` the numbers should be the same to the bit.

    ``threads`` of what is computed without torch, which takes seconds to load; None: torch's, on ``device``.
    """
    name = processor()
    if threads is None:
        import torch

        threads = torch.get_num_threads()
        if torch.device(device).type == "cuda":
            name = torch.cuda.get_device_name(device)
    made_on = {"device": name, "threads": threads, "embridge": __version__, **libraries()}
    return {"commit": commit(), "made_on": made_on}
