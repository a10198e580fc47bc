"""Arrays in bodies: `.npy` and `.npz` bytes to arrays and back. Unpickles nothing, ever.

A header is read before anything of its announced size is allocated, and the data of a plain
`.npy` is not copied.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_api.problems import BodyTooLarge, InvalidInput

Array = NDArray[Any]

NUMBERS: Final = "biuf"
"""Kinds of type that a field may have: truth values, integers, floats."""
_PLAIN: Final = NUMBERS + "U"
_HEADER_BYTES_MAX: Final = 10_000
_BAD_ARCHIVE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,  # a compression that there is not
    RuntimeError,  # encrypted
    EOFError,
    OSError,
)


def read_npy(content: bytes | memoryview, *, name: str) -> Array:
    """The array of an `.npy` file: read-only, sharing the memory of ``content``.

    Args:
        content: The whole file.
        name: What messages call the array.

    Raises:
        InvalidInput: It is no `.npy` file, holds objects, or has more or fewer bytes than
            its header says.
    """
    stream = io.BytesIO(content[: _HEADER_BYTES_MAX + 12])
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(
                stream, max_header_size=_HEADER_BYTES_MAX
            )
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(
                stream, max_header_size=_HEADER_BYTES_MAX
            )
    except (ValueError, EOFError, TypeError, SyntaxError) as error:
        raise InvalidInput(name, f"is not an .npy file: {error}") from error
    if dtype.kind not in _PLAIN:
        raise InvalidInput(name, f"has type {dtype}, expected numbers")
    count = 1
    for length in shape:
        if length < 0:
            raise InvalidInput(name, f"has shape {shape}")
        count *= length
    data = memoryview(content)[stream.tell() :]
    if len(data) != count * dtype.itemsize:
        raise InvalidInput(
            name,
            f"has {len(data)} bytes of data, but shape {shape} of {dtype} takes "
            f"{count * dtype.itemsize}",
        )
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def read_npz(content: bytes, *, limit_bytes: int) -> dict[str, Array]:
    """The arrays of an `.npz` file, by name.

    Args:
        content: The whole file.
        limit_bytes: Most bytes that it may unpack to.

    Raises:
        InvalidInput: It is no `.npz` file, or one of its arrays is none.
        BodyTooLarge: It unpacks to more than the limit.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if unpacked > limit_bytes:
                raise BodyTooLarge(unpacked, limit_bytes)
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise InvalidInput(name, "is in the .npz file twice")
                arrays[name] = read_npy(archive.read(member), name=name)
    except _BAD_ARCHIVE as error:
        raise InvalidInput("body", f"is not an .npz file: {error}") from error
    return arrays


def write_npy(array: Array) -> bytes:
    """An array as an `.npy` file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def write_npz(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as an uncompressed `.npz` file."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def array_of_lists(name: str, lists: object) -> Array:
    """Nested lists of JSON as an array.

    Raises:
        InvalidInput: They are ragged, or hold a number beyond 64 bits.
    """
    try:
        array = np.array(lists)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(name, "is ragged: its rows differ in length") from error
    if array.dtype.kind not in NUMBERS:
        raise InvalidInput(name, "holds a number beyond 64 bits")
    return array
