"""The benchmark, ``./run_all.sh --bench``: whatever docs/speed.md says of speed without a date is measured here.

It imports the package, and nothing imports it.
"""
