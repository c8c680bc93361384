"""The command line that trainings and ``./run_all.sh`` share, and the names of the pages."""
