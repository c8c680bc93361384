"""A forearm simulator that writes emg2pose's format, and NinaPro's; everything it makes says "simulated".

``physiology`` holds every calibrated constant, ``gestures`` the 29 stages, ``kinematics`` turns them into joint
angles, ``anatomy`` and ``emg`` turn joint angles into 16 channels, ``plan`` lists the files and ``write`` makes them.
In ``ninapro`` such people wear twelve electrodes and a data glove instead. Constants, poses, stages,
muscles and the glove are tables in .toml files.
"""

import hashlib

import numpy as np

VERSION = "3"  # raise it when the same configuration would no longer give the same bytes


def stream(seed: int, *key: str | int) -> np.random.Generator:
    """A generator that depends on ``seed`` and the words of ``key`` alone (not on Python's hash seed).

    The key says what it is for, so that neither order nor worker count changes a file.
    """
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.SFC64([seed, *np.frombuffer(digest, dtype="<u4").tolist()]))
