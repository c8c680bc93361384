"""``run_all.sh --plan``: what the experiments would take on this machine, and what is done; trains and writes nothing.

:mod:`~embridge.forecast.data` says how many windows there are or will be, :mod:`~embridge.forecast.steps` measures
training steps on noise, and ``__main__`` prints the table.
"""
