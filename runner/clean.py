"""``run_all.sh --clean``: remove what can be made again. Standard library only: it needs no set-up."""

import fcntl
import re
import shutil
from itertools import product
from pathlib import Path

from embridge import config as cfg
from embridge.datasets import DATASETS
from embridge.errors import InputError
from embridge.run import cli

# below figures/: pictures and tables that git tracks
COMMITTED = ("simulated-quick", "simulated-long", "simulated-long-waveform", "simulated-ninapro-long")


def _remade(out: Path) -> list[Path]:
    """Everything below ``out`` that a run makes and git does not track. Never what does not bear a name of ours."""
    key = re.compile(r"(.+-)?[0-9a-f]{12}(\..+)?")  # config.fingerprint's; other files in runs/ or data/ are yours
    found = [path for top in ("runs", "data/stores", "data") for path in sorted((out / top).glob("*"))]
    found = [path for path in found if key.fullmatch(path.name)]
    for names in product(DATASETS, cfg.PROFILES, ("", *cfg.TOKENS, "pretrained")):
        folder = out / "figures" / (name := cfg.results_name(*names))
        # The repository's own pictures and tables are tracked; beside them only what git ignores goes.
        found += (
            [file for file in (folder / "notebooks").glob("*") if file.suffix != ".md"]
            + [folder / name for name in ("report.html", "demo.html", "demo.gif")]
            if out == cli.ROOT and name in COMMITTED
            else [folder]
        )
    found.append(out / "runs" / "sweep")  # the logs of a sweep's jobs
    return [path for path in found if path.exists() and not path.is_symlink()]


# Locks below --out of whoever writes there: a run or sweep, a training (also one that Slurm started), who cuts windows.
HELD = ("figures/*/run.lock", "runs/*/lock", "data/build.lock", "data/stores/*.lock")


def clean(out: Path) -> None:
    """Remove simulated recordings, stores, runs and figures below ``out`` and print what went and its size.

    Neither your own recordings nor tracked files nor .venv are touched. Raises InputError while a run is going on.
    """
    for lock in sorted(path for pattern in HELD for path in out.glob(pattern)):
        with lock.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise InputError(f"a run is using {lock.parent}: stop it or wait for it, then clean") from problem
            except OSError as problem:
                raise InputError(
                    f"{lock} lies on a file system without locks, which cannot tell whether a run is using it; remove "
                    f"{out / 'data'} and {out / 'runs'} by hand when none is"
                ) from problem
    total = 0
    for path in _remade(out):
        size = sum(file.lstat().st_size for file in (path, *path.rglob("*")) if not file.is_dir())
        total += size
        print(f"removed {path} ({size:,} bytes)")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{total:,} bytes removed" if total else f"nothing to remove below {out}")
