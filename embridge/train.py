"""An experiment as a command: ``python -m embridge.train NAME --profile quick --seed 0``, or ``run_all.sh --train``.

``torchrun --nproc-per-node N -m embridge.train NAME ...`` trains it on N devices, one global batch as on one.
"""

import argparse
import sys
import time
from contextlib import nullcontext

from embridge import distributed
from embridge.experiments import EXPERIMENTS, find
from embridge.files import locked
from embridge.paper.records import record, tuned
from embridge.provenance import commit
from embridge.run import cli
from embridge.study import Study

RESUMES = "the same command goes on from the last checkpoint"
UNCOMMITTED = "tracked files differ from the last commit (figures/ aside): records will name it with a +; commit first"


def study_of(options: argparse.Namespace, **changes) -> Study:
    """The study that the command line's options ask for, or with other ``changes``, of seed 0 if these name none."""
    return Study(**{"seed": 0} | cli.settings(options) | changes)


def prepare(study: Study) -> None:
    """Make the study's recordings, windows, splits and scales where they are missing.

    One command at a time: of several that start together the first builds and the others open what it built. Among the
    processes of torchrun the study lets rank 0 build. Raises InputError as :class:`~embridge.study.Study` does.
    """
    folder = study.out / "data"
    cli.make_writable(folder)
    busy = f"another process is at the data in {folder}: waiting for it"
    # the others wait for rank 0, so they must not hold what it waits for
    with nullcontext() if distributed.rank() else locked(folder / "build.lock", busy, wait=True):
        _ = study.statistics  # needs all the others


@cli.command(RESUMES)
def main(argv: list[str]) -> None:
    """Train what ``argv`` names (see ``run_all.sh --help``), print one line about each and return the exit code."""
    options = cli.parse(argv, action="train")
    for name in options.train:
        find(name)
    with distributed.session(options.device) as device:
        first = distributed.rank() == 0
        study = study_of(options, seed=options.seed, device=device)
        if options.profile == "long" and first and commit().endswith("+"):
            print(f"warning: {UNCOMMITTED}", file=sys.stderr, flush=True)
        prepare(study)
        for name in options.train:
            began = time.monotonic()
            run = study.run(name)
            if first:
                print(f"{run.name}, key {run.key}, {run.folder}, {cli.human(time.monotonic() - began)}", flush=True)
    # one process scores, and in the session the others would wait for it, or for one who makes what it shares
    for name in options.train if first else ():
        # the headline's are scored by the first page that reads them: to train them needs no D_eval
        if options.tune and not tuned(name):
            continue
        if options.profile == "long" or (options.profile != "quick" and EXPERIMENTS[name].part != "headline"):
            print(f"rows: {record(study, name, tune=options.tune).file}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
