"""What a user's input or a notebook can end a run with, and the one warning."""

import warnings


class InputError(ValueError):
    """Bad input, told in one sentence: what, where, expected, found, what to do.

    Command lines print it as ``error: ...`` and leave with exit code 2; notebooks show it as it is.
    """


def one_of(name: str, found, *options: str) -> None:
    """InputError unless the setting ``found`` is one of its options."""
    if found not in options:
        raise InputError(f"{name}: expected {', '.join(options[:-1])} or {options[-1]}, found {found!r}")


class EMBridgeWarning(Warning):
    """Something in the input was odd and the run goes on without it: told once, in one sentence."""


def warn(text: str, stacklevel: int) -> None:
    """Give an :class:`EMBridgeWarning`; ``stacklevel`` as in a call of ``warnings.warn`` at this place."""
    warnings.warn(text, EMBridgeWarning, stacklevel=stacklevel + 1)


class NotebookFailed(RuntimeError):
    """A notebook did not finish; the message names it, its cell, the error and the log."""


class Stopped(Exception):
    """A signal asked the run to stop; its only argument is the signal's number."""
