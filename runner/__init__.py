"""The machinery behind ``./run_all.sh``, which only a clone needs: set-up, training jobs, notebooks and the report.

It imports the package, and the package does not import it.
"""
