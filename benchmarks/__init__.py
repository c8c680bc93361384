"""What stands beside a run: the benchmark, ``--plan``, ``--check``, ``--demo``, shipping weights, choosing epochs.

Whatever docs/speed.md says of speed without a date is measured here. It imports the package, and nothing imports it.
"""
