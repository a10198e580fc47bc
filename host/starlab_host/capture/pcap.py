"""Datagrams of a link in a capture file that Wireshark and scapy open. Knows no frame.

The classic format: a file header, then each packet behind its time and length. A link tells no
addresses, so the packets get addresses kept for documentation (RFC 5737): host 192.0.2.1 and board
192.0.2.2.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from starlab_spec.wire import UDP_PORT

HOST_PORT: Final = 49152
"""Port of the host in the packets written."""

_FILE: Final = struct.Struct("<IHHiIII")
_FILE_HEADER: Final = _FILE.pack(0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, 1)
"""Little-endian, microseconds, version 2.4, whole packets, link type Ethernet."""
_RECORD: Final = struct.Struct("<IIII")
_NOT_OURS: Final = "not a capture file in the form written here"
_ETHERNET: Final = struct.Struct(">6s6sH")
_IP: Final = struct.Struct(">BBHHHBBH4s4s")
_UDP: Final = struct.Struct(">HHHH")
_HEADERS_BYTES: Final = _ETHERNET.size + _IP.size + _UDP.size
_IPV4: Final = 0x0800
_UDP_PROTOCOL: Final = 17
_HOST: Final = (bytes.fromhex("020000000001"), bytes((192, 0, 2, 1)), HOST_PORT)
_BOARD: Final = (bytes.fromhex("020000000002"), bytes((192, 0, 2, 2)), UDP_PORT)


@dataclass(frozen=True, slots=True)
class Captured:
    """One datagram as it was sent or received."""

    time_s: float
    """Seconds since 1970; the file keeps microseconds."""
    to_board: bool
    """Whether the host sent it."""
    datagram: bytes


class PcapWriter:
    """Writes a capture file.

    Args:
        file: Open for writing bytes, at its beginning or at the end of what was written before.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = file.tell()
        if self._end == 0:
            self._append(_FILE_HEADER)

    @classmethod
    def append_to(cls, path: Path) -> Self:
        """Go on with a file, or begin it. Each packet is in it at once.

        Raises:
            OSError: It cannot be written, or somebody else writes it.
            ValueError: It is a file of another kind.
        """
        with path.open("a+b") as file:
            file.seek(0)
            if file.read(_FILE.size) not in (b"", _FILE_HEADER):
                raise ValueError(f"{path} is {_NOT_OURS}")
        return cls(_own(path.open("ab", buffering=0)))

    @classmethod
    def begin(cls, path: Path) -> Self:
        """Begin a file anew. Each packet is in it at once.

        Raises:
            OSError: It cannot be written, or somebody else writes it.
        """
        file = _own(path.open("ab", buffering=0))
        file.truncate(0)
        file.seek(0)
        return cls(file)

    def write(self, captured: Captured) -> None:
        """Append a datagram.

        Raises:
            OSError: The disk does not take it. What was written before is whole.
        """
        packet = _packet(captured)
        seconds, microseconds = divmod(round(captured.time_s * 1e6), 1_000_000)
        record = _RECORD.pack(seconds, microseconds, len(packet), len(packet))
        self._append(record + packet)

    def _append(self, content: bytes) -> None:
        try:
            written = self._file.write(content)
            if written < len(content):  # the last bytes of a disk
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._end += len(content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _own(file: BinaryIO) -> BinaryIO:
    """A file that nobody else captures into, until it is closed.

    Raises:
        OSError: Somebody does.
    """
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OSError(errno.EBUSY, "another program captures into it") from None
    return file


def read_pcap(file: BinaryIO) -> Iterator[Captured]:
    """The datagrams of a file that `PcapWriter` wrote.

    Raises:
        ValueError: The file is of another format, or cut off.
    """
    if file.read(_FILE.size) != _FILE_HEADER:
        raise ValueError(_NOT_OURS)
    while head := file.read(_RECORD.size):
        if len(head) < _RECORD.size:
            raise ValueError("the capture file is cut off")
        seconds, microseconds, length, _ = _RECORD.unpack(head)
        packet = file.read(length)
        if len(packet) < max(length, _HEADERS_BYTES):
            raise ValueError("the capture file is cut off")
        source_port, *_ = _UDP.unpack_from(packet, _ETHERNET.size + _IP.size)
        to_board = source_port == HOST_PORT
        yield Captured(seconds + microseconds / 1e6, to_board, packet[_HEADERS_BYTES:])


def _packet(captured: Captured) -> bytes:
    source, target = (_HOST, _BOARD) if captured.to_board else (_BOARD, _HOST)
    length = len(captured.datagram) + _UDP.size
    # 20-byte header, never fragmented, 64 hops; UDP without its checksum, as IPv4 allows
    fields = (0x45, 0, length + _IP.size, 0, 0x4000, 64, _UDP_PROTOCOL)
    checksum = _ip_checksum(_IP.pack(*fields, 0, source[1], target[1]))
    return b"".join(
        (
            _ETHERNET.pack(target[0], source[0], _IPV4),
            _IP.pack(*fields, checksum, source[1], target[1]),
            _UDP.pack(source[2], target[2], length, 0),
            captured.datagram,
        )
    )


def _ip_checksum(header: bytes) -> int:
    """RFC 791: the ones' complement of the ones' complement sum of all 16-bit words."""
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    return ~(total % 0xFFFF or 0xFFFF) & 0xFFFF
