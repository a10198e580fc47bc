"""`.npz` bodies: names first, then headers, and only then what may be there is unpacked.

Twenty kilobytes unpack to twenty megabytes, and a list of members may be as long as the file. So
every bound is held against what the file announces before anything of that size is made.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from starlab_api.bodies.arrays import HEADER_BYTES, NUMBERS, Array, Header, read_header
from starlab_api.problems import BodyTooLarge, InvalidInput, shown

PARAMETER_BYTES: Final = 64 * 1024
"""Most that a parameter unpacks to."""
_FREE_BYTES: Final = 16 << 20
"""Up to this size it does not matter how well a file is packed."""
_RATIO_MAX: Final = 100
"""Beyond it, most bytes that one packed byte may unpack to: sparse bits take a fortieth."""
_DIRECTORY_BYTES_MAX: Final = 64 * 1024
"""Most bytes of the list of members; ZipFile reads it whole."""
_PIECE_BYTES: Final = 1 << 20
_END: Final = struct.Struct("<4s4H2LH")
"""The record that ends an archive: what is 12 bytes in is the size of the list of members."""
_END_MARK: Final = b"PK\5\6"
_WIDE_MARK: Final = b"PK\6\7"
_WIDE_BYTES: Final = 20
"""Of what stands before that record where the archive is beyond 4 GiB."""
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What NumPy writes. Other methods are unpacked without a bound on a piece."""
_BAD_ARCHIVE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,  # an offset before the file
    NotImplementedError,  # a later version of the format
    RuntimeError,  # encrypted
    EOFError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Room:
    """How many numbers an array may hold."""

    numbers: int
    """In all, or for each sample."""
    of_samples: str = ""
    """The array whose rows are the samples; empty where the number is for all."""

    def check(self, name: str, headers: Mapping[str, Header]) -> None:
        """Refuse an array that cannot be what it is named for, by its header alone.

        Raises:
            InvalidInput: It holds no numbers, or too many.
        """
        header = headers[name]
        if header.dtype.kind not in NUMBERS:
            raise InvalidInput(name, f"has type {header.dtype}, expected numbers")
        most = self.numbers
        if self.of_samples in headers:
            shape = headers[self.of_samples].shape
            most *= shape[0] if len(shape) > 1 else 1
        if header.bytes > most * header.dtype.itemsize:
            where = f"has shape {shown(str(header.shape))}"
            raise InvalidInput(name, f"{where}: more than the {most} numbers that it can hold")


def read_npz(
    content: bytes,
    *,
    arrays: Mapping[str, Room],
    parameters: Collection[str] = (),
    limit_bytes: int,
) -> dict[str, Array]:
    """The arrays of an `.npz` file, by name.

    Args:
        content: The whole file.
        arrays: What may be in it.
        parameters: Names of what else may be: small.
        limit_bytes: Most bytes that it may unpack to.

    Raises:
        InvalidInput: It is no `.npz` file, holds what it must not, or one of its arrays is none.
        BodyTooLarge: It unpacks to more than the limit.
    """
    try:
        _check_directory(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, [*arrays, *parameters])
            unpacked = sum(member.file_size for member in members.values())
            limit = min(limit_bytes, max(_FREE_BYTES, _RATIO_MAX * len(content)))
            if unpacked > limit:
                raise BodyTooLarge(unpacked, limit)
            headers = {name: _header(archive, name, member) for name, member in members.items()}
            for name, member in members.items():
                if name in arrays:
                    arrays[name].check(name, headers)
                elif member.file_size > PARAMETER_BYTES:
                    problem = f"has {member.file_size} bytes, above the {PARAMETER_BYTES} limit"
                    raise InvalidInput(name, problem)
            return {
                name: _data(archive, name, member, headers[name])
                for name, member in members.items()
            }
    except _BAD_ARCHIVE as error:
        raise InvalidInput("body", f"is not an .npz file: {shown(str(error))}") from error


def _check_directory(content: bytes) -> None:
    """Refuse an archive whose list of members is long, before ZipFile reads it."""
    at = content.rfind(_END_MARK)
    end = content[at : at + _END.size]
    if at < 0 or len(end) < _END.size:
        raise InvalidInput("body", "is not an .npz file: it does not end as one")
    is_wide = content[max(at - _WIDE_BYTES, 0) : at].startswith(_WIDE_MARK)
    size = _END.unpack(end)[5]
    if is_wide or size > _DIRECTORY_BYTES_MAX:
        raise InvalidInput("body", "is not an .npz file: it lists more members than a call takes")


def _members(archive: zipfile.ZipFile, known: Collection[str]) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise InvalidInput(name, "is in the .npz file twice")
        if name not in known:
            raise InvalidInput(name, f"is no field of this call; known: {', '.join(known)}")
        if member.compress_type not in _PACKED:
            raise InvalidInput(name, "is packed by another method than deflate")
        members[name] = member
    return members


def _header(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> Header:
    with archive.open(member) as stream:
        header = read_header(stream.read(HEADER_BYTES), name=name)
    given = member.file_size - header.start
    if given != header.bytes:
        wanted = f"shape {shown(str(header.shape))} of {header.dtype} takes {header.bytes}"
        raise InvalidInput(name, f"has {given} bytes of data, but {wanted}")
    return header


def _data(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo, header: Header) -> Array:
    """The array itself, unpacked in pieces into the memory that it keeps."""
    data = bytearray(header.bytes)
    filled = 0
    with archive.open(member) as stream:
        stream.read(header.start)
        while piece := stream.read(_PIECE_BYTES):  # the last one, empty, checks the sum
            data[filled : filled + len(piece)] = piece
            filled += len(piece)
    if filled < header.bytes:
        raise InvalidInput(name, f"has {filled} bytes of data instead of {header.bytes}")
    return header.array(name, data)
