"""Arrays in bodies: `.npy` and `.npz` bytes to arrays and back. Unpickles nothing, ever.

A header is read before anything of its announced size is allocated, and the data of a plain
`.npy` is not copied.
"""

import io
import lzma
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from starlab_api.problems import BodyTooLarge, InvalidInput

Array = NDArray[Any]

NUMBERS: Final = "biuf"
"""Kinds of type that a field may have: truth values, integers, floats."""
_PLAIN: Final = NUMBERS + "U"
_MAGIC: Final = b"\x93NUMPY"
_LENGTH_AT: Final = 8
_HEADER_BYTES_MAX: Final = 1000
# The header is the text of a Python dictionary. It is never evaluated: what a stranger sends may
# take a parser any time and stack, and three fields of a known form are all that there is in it.
_DESCR: Final = re.compile(r"['\"]descr['\"]\s*:\s*['\"]([<>|=]?[A-Za-z?]\d{0,4})['\"]")
_FORTRAN_ORDER: Final = re.compile(r"['\"]fortran_order['\"]\s*:\s*(True|False)")
_SHAPE: Final = re.compile(r"['\"]shape['\"]\s*:\s*\(((?:\s*\d{1,18}\s*,)*\s*\d{0,18}\s*)\)")
_BAD_ARCHIVE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,  # an offset before the file
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
        InvalidInput: It is no `.npy` file, holds objects, or has more or fewer bytes than its
            header says.
    """
    header, data = _split_npy(memoryview(content), name)
    fields = [pattern.search(header) for pattern in (_DESCR, _FORTRAN_ORDER, _SHAPE)]
    descr, fortran_order, lengths = (field[1] if field else "" for field in fields)
    if not (descr and fortran_order and all(fields)):
        raise InvalidInput(name, "is not an .npy file of numbers: its header does not say so")
    dtype = _dtype(descr, name)
    shape = tuple(int(length) for length in lengths.split(",") if length.strip())
    needed = math.prod(shape) * dtype.itemsize
    if len(data) != needed:
        raise InvalidInput(
            name, f"has {len(data)} bytes of data, but shape {shape} of {dtype} takes {needed}"
        )
    order: Literal["C", "F"] = "F" if fortran_order == "True" else "C"
    try:
        return np.frombuffer(data, dtype).reshape(shape, order=order)
    except ValueError as error:  # more axes than there can be, or items of no size
        raise InvalidInput(name, f"has shape {shape} of {dtype}: {error}") from error


def _split_npy(content: memoryview, name: str) -> tuple[str, memoryview]:
    """Header and data of an `.npy` file of any of its three versions."""
    version = content[6] if len(content) > _LENGTH_AT and bytes(content[:6]) == _MAGIC else 0
    if version not in (1, 2, 3):
        raise InvalidInput(name, "is not an .npy file: it does not begin as one")
    start = _LENGTH_AT + (2 if version == 1 else 4)
    length = int.from_bytes(content[_LENGTH_AT:start], "little")
    if length > min(_HEADER_BYTES_MAX, len(content) - start):
        raise InvalidInput(name, f"is not an .npy file: it has no header of {length} bytes")
    header = content[start : start + length].tobytes().decode("ascii", "replace")
    return header, content[start + length :]


def _dtype(descr: str, name: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(descr)
    except (TypeError, ValueError, SyntaxError):
        raise InvalidInput(name, f"has no type {descr!r}") from None
    if dtype.kind not in _PLAIN:
        raise InvalidInput(name, f"has type {dtype}, expected numbers")
    return dtype


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
