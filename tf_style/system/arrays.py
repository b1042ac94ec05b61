"""Reads arrays from our own kinds of files, without trusting them.

`numpy.load` trusts the size in a file's header, and can raise anything.
"""

import io
import math
import os
import zipfile

import numpy as np

from tf_style.system import files
from tf_style.system.errors import InvalidInput
from tf_style.system.files import StrPath

# Largest compression ratio of deflate.
MAX_RATIO = 1032


def read_npz(path: StrPath, max_bytes: int) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file, by name; pickled ones are refused.

    Args:
        path: file.
        max_bytes: upper bound on their size.

    Raises:
        ValueError: it is not an .npz file, is damaged or too large; the message does
            not name it.
        OSError: it cannot be opened.
    """
    with files.naming(path, "read"), open(path, "rb") as stream:
        try:
            return _read(stream, max_bytes)
        except (Exception, MemoryError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InvalidInput(reason[:200]) from error


def _read(stream, max_bytes):
    with zipfile.ZipFile(stream) as archive:
        members, there = archive.infolist(), os.fstat(stream.fileno()).st_size
        if sum(member.file_size for member in members) > max_bytes:
            raise InvalidInput(f"it holds more than {max_bytes >> 20} MiB")
        # zipfile asks for the memory of all that a member says it has.
        if sum(member.compress_size for member in members) > there or any(
            member.file_size > MAX_RATIO * member.compress_size for member in members
        ):
            raise InvalidInput("a part is shorter than it says")
        return {
            member.filename.removesuffix(".npy"): _read_npy(archive.read(member))
            for member in members
        }


def _read_npy(data):
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read_header(stream)
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise InvalidInput("an array is not as long as it says")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
