#!/usr/bin/env bash
# Set up what is missing, then run every notebook and write the report; or --test, --lab, --clean, --help.
# This file only finds a Python; the rest is runner/setup.py (set-up) and runner/notebooks.py (notebooks).
set -eu
unset CDPATH
self=${BASH_SOURCE[0]}
while [ -h "$self" ]; do  # a link to this file
    link=$(readlink -- "$self")
    case $link in /*) self=$link ;; *) self=$(dirname -- "$self")/$link ;; esac
done
# A scheduler runs a copy from a folder of its own: the repository is then where it was submitted.
for root in "$(dirname -- "$self")" "${SLURM_SUBMIT_DIR:-.}" .; do
    root=$(cd -- "$root" && pwd -P)
    [ ! -f "$root/runner/setup.py" ] || break
done
if [ ! -f "$root/runner/setup.py" ]; then
    echo "error: $self is not in its repository, nor is this folder: run it there, or submit it from there" >&2
    exit 2
fi

# An active environment first: it is used as it is when it holds the pinned versions.
for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "${CONDA_PREFIX:+$CONDA_PREFIX/bin/python}" \
    python3.11 python3.12 python3.13 python3 python; do
    [ -n "$python" ] || continue
    if "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        # -P keeps the caller's working directory out of the import path.
        PYTHONPATH=$root exec "$python" -P -m runner.setup "$@"
    fi
done
echo "error: no Python 3.11 or newer with venv was found: install one (Debian, Ubuntu: python3 and python3-venv; or" \
    "conda env create -f environment.yml, then conda activate embridge) and run this again" >&2
exit 2
