"""Random streams keyed by what they are for, so that neither order nor worker count changes a file."""

import hashlib

import numpy as np


def stream(seed: int, *key: str | int) -> np.random.Generator:
    """A generator that depends on ``seed`` and the words of ``key`` alone (not on Python's hash seed)."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.SFC64([seed, *np.frombuffer(digest, dtype="<u4").tolist()]))
