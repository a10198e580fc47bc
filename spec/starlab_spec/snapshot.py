"""The file format of snapshots: a header of JSON and named arrays, sealed by a hash. Takes none.

    8 bytes    "STLRSNAP"
    u32        version of the format, little-endian, like all that follows
    u32        bytes of the header
    header     JSON in UTF-8: {"kind": ..., ..., "arrays": [{"name", "dtype", "shape"}, ...]}
    arrays     in that order, C order, each begun at a multiple of 8 bytes
    32 bytes   SHA-256 of all before

What the header and the arrays of either kind are is told in docs/snapshots.md.
"""

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_spec.errors import SnapshotError

MAGIC: Final = b"STLRSNAP"
VERSION: Final = 1
EXACT: Final = "exact"
"""Kind: all that an emulated board is, to the last bit."""
READ: Final = "read"
"""Kind: conductances as they were read, settings and supplies: what any board can tell."""
HEADER_BYTES_MAX: Final = 1 << 20
"""Largest header that is read: the greatest there is, with a device model as a table, has some
kilobytes."""
_HEAD: Final = struct.Struct("<8sII")
_HASH_BYTES: Final = 32
_ALIGNMENT: Final = 8
_PLAIN: Final = re.compile("[<>|=]?(b1|[iu][1248]|f[248])")
"""NumPy's names of plain numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The content of a file."""

    header: Mapping[str, Any]
    """What the JSON holds, without the list of arrays."""
    arrays: Mapping[str, NDArray[Any]]
    """By name; read-only."""

    @property
    def kind(self) -> str:
        """EXACT or READ."""
        return str(self.header["kind"])


def pack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A file of a header and plain numeric arrays."""
    little = {
        name: np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        for name, array in arrays.items()
    }
    listing = [
        {"name": name, "dtype": array.dtype.str, "shape": list(arrays[name].shape)}
        for name, array in little.items()
    ]
    text = json.dumps({**header, "arrays": listing}).encode()
    parts = [_HEAD.pack(MAGIC, VERSION, len(text)), text]
    size = _HEAD.size + len(text)
    for array in little.values():
        content = array.tobytes()
        parts += [bytes(-size % _ALIGNMENT), content]
        size += -size % _ALIGNMENT + len(content)
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def unpack(data: bytes | memoryview) -> Snapshot:
    """The content of a file.

    Raises:
        SnapshotError: It is none, of another version, or damaged.
    """
    view = memoryview(data)
    if len(view) < _HEAD.size or bytes(view[: len(MAGIC)]) != MAGIC:
        found = bytes(view[: len(MAGIC)])
        raise SnapshotError(f"begins with {found!r}, expected {MAGIC!r}")
    _, version, header_bytes = _HEAD.unpack_from(view)
    if version != VERSION:
        raise SnapshotError(f"is of format version {version}, expected {VERSION}")
    if header_bytes > HEADER_BYTES_MAX:
        limit = f"above the {HEADER_BYTES_MAX} bytes limit"
        raise SnapshotError(f"has a header of {header_bytes} bytes, {limit}")
    body = view[:-_HASH_BYTES]
    if hashlib.sha256(body).digest() != view[-_HASH_BYTES:]:
        raise SnapshotError("is cut off or damaged: its SHA-256 does not fit")
    end = _HEAD.size + header_bytes
    try:
        header = json.loads(
            bytes(body[_HEAD.size : end]), parse_constant=_no_number, parse_float=_number
        )
        listing = header.pop("arrays")
        if header["kind"] not in (EXACT, READ):
            raise SnapshotError(f"is of kind {header['kind']!r}, expected {EXACT!r} or {READ!r}")
        arrays = {}
        for one in listing:
            start = end + -end % _ALIGNMENT
            kind, shape = str(one["dtype"]), tuple(map(int, one["shape"]))
            if not _PLAIN.fullmatch(kind) or min(shape, default=0) < 0:
                raise SnapshotError(f"has {one['name']} of type {one['dtype']} {shape}")
            dtype = np.dtype(kind)
            end = start + dtype.itemsize * math.prod(shape)
            arrays[str(one["name"])] = np.frombuffer(body[start:end], dtype).reshape(shape)
    except SnapshotError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SnapshotError(f"has a header that makes no sense: {error}") from error
    if end != len(body):
        raise SnapshotError(f"has {len(body)} bytes before its hash, expected {end}")
    return Snapshot(header, arrays)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def checksum(data: bytes | memoryview) -> str:
    """SHA-256 of a whole file, by which boards and servers name it, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
