"""Arrays in bodies: `.npy` bytes and lists of JSON to arrays, and back. Unpickles nothing, ever.

A header is read before anything of its announced size is allocated, and the data of a plain
`.npy` is not copied. What an `.npz` holds is :mod:`starlab_api.bodies.archives`.
"""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from starlab_api.problems import InvalidInput, shown

Array = NDArray[Any]

NUMBERS: Final = "biuf"
"""Kinds of type that a field may have: truth values, integers, floats."""
_PLAIN: Final = NUMBERS + "U"
_MAGIC: Final = b"\x93NUMPY"
_LENGTH_AT: Final = 8
_HEADER_BYTES_MAX: Final = 1000
HEADER_BYTES: Final = _LENGTH_AT + 4 + _HEADER_BYTES_MAX
"""Within so many bytes an `.npy` file has told what it holds."""
# The header is the text of a Python dictionary. It is never evaluated: what a stranger sends may
# take a parser any time and stack, and three fields of a known form are all that there is in it.
_DESCR: Final = re.compile(r"['\"]descr['\"]\s*:\s*['\"]([<>|=]?[A-Za-z?]\d{0,4})['\"]")
_FORTRAN_ORDER: Final = re.compile(r"['\"]fortran_order['\"]\s*:\s*(True|False)")
_SHAPE: Final = re.compile(r"['\"]shape['\"]\s*:\s*\(((?:\s*\d{1,18}\s*,)*\s*\d{0,18}\s*)\)")
_JSON_KINDS: Final[Mapping[type, str]] = {
    str: "text",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What an `.npy` file says of its array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    start: int
    """Where the data begin."""

    @property
    def bytes(self) -> int:
        """Of the data."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array(self, name: str, data: Any) -> Array:
        """The array, sharing the memory of its data.

        Raises:
            InvalidInput: The data are more or fewer bytes, or there is no such array.
        """
        given = memoryview(data).nbytes
        if given != self.bytes:
            wanted = f"shape {shown(str(self.shape))} of {self.dtype} takes {self.bytes}"
            raise InvalidInput(name, f"has {given} bytes of data, but {wanted}")
        try:
            return np.frombuffer(data, self.dtype).reshape(self.shape, order=self.order)
        except ValueError as error:  # more axes than there can be, or items of no size
            what = f"{shown(str(self.shape))} of {self.dtype}"
            raise InvalidInput(name, f"has shape {what}: {error}") from error


def read_header(content: bytes | memoryview, *, name: str) -> Header:
    """The header of an `.npy` file.

    Args:
        content: The file, or its first bytes: :data:`HEADER_BYTES` will do.
        name: What messages call the array.

    Raises:
        InvalidInput: It is no `.npy` file, or one of objects.
    """
    text, start = _header_text(memoryview(content), name)
    fields = [pattern.search(text) for pattern in (_DESCR, _FORTRAN_ORDER, _SHAPE)]
    descr, fortran_order, lengths = (field[1] if field else "" for field in fields)
    if not (descr and fortran_order and all(fields)):
        raise InvalidInput(name, "is not an .npy file of numbers: its header does not say so")
    shape = tuple(int(length) for length in lengths.split(",") if length.strip())
    return Header(_dtype(descr, name), shape, "F" if fortran_order == "True" else "C", start)


def read_npy(content: bytes, *, name: str) -> Array:
    """The array of an `.npy` file: read-only, sharing the memory of ``content``.

    Args:
        content: The whole file.
        name: What messages call the array.

    Raises:
        InvalidInput: It is no `.npy` file, holds objects, or has more or fewer bytes than its
            header says.
    """
    header = read_header(content, name=name)
    return header.array(name, memoryview(content)[header.start :])


def _header_text(content: memoryview, name: str) -> tuple[str, int]:
    """Header of an `.npy` file of any of its three versions, and where it ends."""
    version = content[6] if len(content) > _LENGTH_AT and bytes(content[:6]) == _MAGIC else 0
    if version not in (1, 2, 3):
        raise InvalidInput(name, "is not an .npy file: it does not begin as one")
    start = _LENGTH_AT + (2 if version == 1 else 4)
    length = int.from_bytes(content[_LENGTH_AT:start], "little")
    if length > min(_HEADER_BYTES_MAX, len(content) - start):
        raise InvalidInput(name, f"is not an .npy file: it has no header of {length} bytes")
    header = content[start : start + length].tobytes().decode("ascii", "replace")
    return header, start + length


def _dtype(descr: str, name: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(descr)
    except (TypeError, ValueError, SyntaxError):
        raise InvalidInput(name, f"has no type {descr!r}") from None
    if dtype.kind not in _PLAIN:
        raise InvalidInput(name, f"has type {dtype}, expected numbers")
    return dtype


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
        InvalidInput: They are ragged, hold other than numbers, or a number beyond 64 bits.
    """
    others = _types_in(lists) - {bool, int, float}
    if others:
        kinds = sorted(_JSON_KINDS.get(kind, kind.__name__) for kind in others)
        raise InvalidInput(name, f"holds {' and '.join(kinds)}, expected numbers")
    try:
        array = np.array(lists)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(name, "is ragged: its rows differ in length") from error
    if array.dtype.kind not in NUMBERS:
        raise InvalidInput(name, "holds a number beyond 64 bits")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidInput(name, "holds a number beyond the range of a 64-bit float")
    return array


def _types_in(lists: object) -> set[type]:
    """Types of all that nested lists hold, a list at a time.

    NumPy would make text of numbers beside a text, and each as long as the longest.
    """
    if not isinstance(lists, list):
        return {type(lists)}
    found: set[type] = set()
    waiting = [lists]
    while waiting:
        items = waiting.pop()
        kinds = set(map(type, items))
        if list in kinds:
            waiting += [item for item in items if type(item) is list]
        found |= kinds - {list}
    return found
