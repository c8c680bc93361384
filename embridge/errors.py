"""The one error that a user's input can cause, and the one warning."""


class InputError(ValueError):
    """Bad input, told in one sentence: what, where, expected, found, what to do.

    Command lines print it as ``error: ...`` and leave with exit code 2; notebooks show it as it is.
    """


class EMBridgeWarning(UserWarning):
    """Something in the input was odd and the run goes on without it: told once, in one sentence."""
