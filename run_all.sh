#!/usr/bin/env bash
# Set up what is missing, then run every notebook and write the report; or --test, --lab, --clean, --help.
# This file only finds a Python; the rest is embridge/run/setup.py (set-up) and embridge/run/notebooks.py (notebooks).
set -eu
unset CDPATH
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)

# An active environment first: it is used as it is when it holds the pinned versions.
for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "${CONDA_PREFIX:+$CONDA_PREFIX/bin/python}" \
    python3.11 python3.12 python3.13 python3 python; do
    [ -n "$python" ] || continue
    if "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        # -P keeps the caller's working directory out of the import path.
        PYTHONPATH=$root exec "$python" -P -m embridge.run.setup "$@"
    fi
done
echo "error: no Python 3.11 or newer with venv was found: install one (Debian, Ubuntu: python3 and python3-venv; or" \
    "conda env create -f environment.yml, then conda activate embridge) and run this again" >&2
exit 2
