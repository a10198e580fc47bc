"""Requests and replies of the chip authors' board as values and as bytes. Sends nothing.

Register values of requests have their most significant byte first; memory addresses, lengths and
all values of replies their least significant byte first [C].
"""

import struct
from enum import IntEnum
from typing import Final, NamedTuple

TCP_PORT: Final = 7
"""Where the board listens [C]."""
HEADER_BYTES: Final = 8
"""Every reply begins with so many bytes whose content is not published [C]."""
CHUNK_BYTES: Final = 1016
"""Most data of one memory write [C]."""
TCP_READ_MAX: Final = 1024
"""Most data that one memory read gives [C]."""
REPLY_BYTES_MAX: Final = 1446
"""Most bytes that the authors' program takes in one call [C]."""

_MEMORY: Final = struct.Struct("<BIHB")


class Op(IntEnum):
    """First byte of a request."""

    SET_REGISTER = 0x40
    GET_REGISTER = 0x41
    WRITE_MEMORY = 0x60
    READ_MEMORY = 0x61
    SET_VOLTAGE = 0x80
    GET_VOLTAGE = 0x81
    SET_CURRENT = 0x82
    GET_CURRENT = 0x83
    TRACE_ON = 0x87
    TRACE_OFF = 0x88
    INTERRUPT_LENGTH = 0x89
    USER_SPACE = 0x92


class Request(NamedTuple):
    """One request as it arrived."""

    op: Op
    """What it asks."""
    head: bytes
    """Its bytes but for the data of a memory write."""
    data: bytes = b""
    """Data of a memory write: at most as many bytes as its length field says."""

    @property
    def register(self) -> int:
        """SET_REGISTER, GET_REGISTER: byte address."""
        return self.head[1]

    @property
    def value(self) -> int:
        """SET_REGISTER: the word."""
        return int.from_bytes(self.head[2:6], "big")

    @property
    def result_bytes(self) -> int:
        """INTERRUPT_LENGTH: the length, 0..255."""
        return self.head[5]

    @property
    def address(self) -> int:
        """WRITE_MEMORY, READ_MEMORY: first byte."""
        return int.from_bytes(self.head[1:5], "little")

    @property
    def length(self) -> int:
        """WRITE_MEMORY, READ_MEMORY: the length field."""
        return int.from_bytes(self.head[5:7], "little")

    @property
    def channel(self) -> tuple[int, int]:
        """Supplies: chip select and register."""
        return self.head[1], self.head[2]

    @property
    def code(self) -> int:
        """SET_VOLTAGE, SET_CURRENT: the code."""
        return self.head[3]


def set_register(address: int, value: int) -> bytes:
    """Replace a register word."""
    return struct.pack(">BBI", Op.SET_REGISTER, address, value)


def get_register(address: int) -> bytes:
    """Read a register word: see :func:`reply_word`."""
    return bytes((Op.GET_REGISTER, address))


def write_memory(address: int, data: bytes) -> bytes:
    """Write at most :data:`CHUNK_BYTES` bytes."""
    return _MEMORY.pack(Op.WRITE_MEMORY, address, len(data), 0) + data


def read_memory(address: int, count: int) -> bytes:
    """Read at most :data:`TCP_READ_MAX` bytes."""
    return _MEMORY.pack(Op.READ_MEMORY, address, count, 0)


def set_supply(op: Op, chip_select: int, register: int, code: int) -> bytes:
    """Set a supply; ``op`` is SET_VOLTAGE or SET_CURRENT."""
    return bytes((op, chip_select, register, code))


def interrupt_length(count: int) -> bytes:
    """How many bytes the board is to read when an operation has finished; no reply."""
    return bytes((Op.INTERRUPT_LENGTH, 0, 0, 0, 0, count))


def user_space() -> bytes:
    """Ask for the user space base address: see :func:`reply_word`."""
    return bytes((Op.USER_SPACE, 0))


def reply(request: Request, content: bytes = b"") -> bytes:
    """A reply: its header repeats the beginning of the request [O]."""
    return request.head[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0") + content


def reply_word(message: bytes) -> int:
    """The value that a reply carries behind its header."""
    return int.from_bytes(message[HEADER_BYTES : HEADER_BYTES + 4], "little")
