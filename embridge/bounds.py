"""Archives from elsewhere take no more memory than they have bytes, whatever they claim (RELIABILITY 28).

Ours, ``.npz`` and PyTorch's files, are zip archives of members as they are. One whose members claim more bytes than the
file has is compressed, or lies: 300 kB could ask for as many MB. It raises a ValueError, and nothing runs.
"""

import math
import os
import pickle
import pickletools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

# What pickled tensors and plain values name. PyTorch lets more pass even with weights_only=True, among it what takes as
# much memory as it is told to: bytearray(n), torch.Tensor(n), and _codecs.encode, which doubles a text at each call.
PLAIN = {
    *("collections.OrderedDict", "collections.Counter", "builtins.set", "torch.Size", "torch.device"),
    *("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"),
    *(f"torch.{kind}Storage" for kind in "Double Float Half BFloat16 Long Int Short Char Byte Bool".split()),
}
_OLD = {"__builtin__.long": "builtins.int", "__builtin__.unicode": "builtins.str"}  # Python 2's, in protocol 2


@contextmanager
def archive(file: Path | BinaryIO) -> Iterator[np.lib.npyio.NpzFile]:
    """A zip archive, opened and not read, whose members are together no larger than the file.

    Raises ValueError for another file, zipfile.BadZipFile for a damaged one.
    """
    with open(file, "rb") if isinstance(file, Path) else file as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if stream.read(2) != b"PK":  # numpy would read other files at once
            raise ValueError("it is no zip archive")
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as stored:
            claimed = sum(member.file_size for member in stored.zip.infolist())
            if claimed > size:
                raise ValueError(f"its members claim {claimed} bytes and the file has {size}")
            yield stored


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """Every array of an ``.npz`` that ``numpy.savez`` wrote, by name; the CRC of each is checked.

    Raises ValueError where it is compressed, an array claims more bytes than its member has or holds Python objects;
    OSError and zipfile.BadZipFile as numpy does.
    """
    with archive(file) as stored:
        for member in stored.zip.infolist():
            with stored.zip.open(member) as stream:
                if np.lib.format.read_magic(stream) != (1, 0):  # what numpy writes of plain arrays
                    raise ValueError(f"{member.filename} is of another version of the format than 1.0")
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            if math.prod(shape) * dtype.itemsize > member.file_size and not dtype.hasobject:
                raise ValueError(f"{member.filename} claims {shape} of {dtype} and has {member.file_size} bytes")
        return {name: stored[name] for name in stored.files}


def named_in_pickles(file: Path | BinaryIO) -> set[str]:
    """What the pickles in a PyTorch file name, ``module.name`` as PyTorch looks it up; none of it is imported.

    Raises UnpicklingError for a pickle of another protocol than PyTorch's, 2; and as :func:`archive`.
    """
    found = set()
    with archive(file) as stored:
        for member in stored.zip.infolist():
            if member.filename.endswith(".pkl"):
                for operation, argument, _ in pickletools.genops(stored.zip.read(member)):
                    if operation.proto > 2:  # PyTorch writes protocol 2; later ones have other ways to name things
                        raise pickle.UnpicklingError(f"weights need no {operation.name}")
                    found |= {argument.replace(" ", ".", 1)} if operation.name == "GLOBAL" else set()
    return {_OLD.get(name, name.replace("__builtin__.", "builtins.")) for name in found}
