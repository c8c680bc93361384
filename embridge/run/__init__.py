"""The machinery behind ``./run_all.sh``: set-up, notebooks, training jobs and report."""
