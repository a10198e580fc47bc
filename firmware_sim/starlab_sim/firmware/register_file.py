"""The board's registers: reset values, access rules, fields. Knows not what a word does."""

import struct
from collections.abc import Sequence
from typing import Final

from starlab_sim.errors import Refused
from starlab_spec.errors import LimitExceeded
from starlab_spec.registers import MAP_END, REGISTERS, Access, Field
from starlab_spec.wire.transactions import Status


def _reset_content() -> bytes:
    content = bytearray(MAP_END)
    for register in REGISTERS:
        content[register.address : register.address + 4] = register.reset.to_bytes(4, "big")
    return bytes(content)


_RESET: Final = _reset_content()
_ADDRESSES: Final = {register.name: register.address for register in REGISTERS}
_WRITABLE: Final = frozenset(r.address for r in REGISTERS if r.access is Access.READ_WRITE)
_NAMES: Final = {address: name for name, address in _ADDRESSES.items()}
_FIELDS: Final[dict[tuple[str, str], tuple[int, Field]]] = {
    (register.name, field.name): (register.address, field)
    for register in REGISTERS
    for field in register.fields
}


ALL_BITS: Final = b"\xff\xff\xff\xff"
"""The mask that replaces whole words."""


class RegisterFile:
    """All words of the map, as they travel: big-endian. Holes read as 0."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes | bytearray = _RESET) -> None:
        self._content = bytearray(content)

    @property
    def content(self) -> bytes:
        """All of it, holes included."""
        return bytes(self._content)

    def scratch(self) -> "RegisterFile":
        """A register file with the same content."""
        return RegisterFile(self._content)

    def read(self, address: int, count: int) -> bytes:
        """Consecutive words as they travel.

        Args:
            address: Byte address of the first one.
            count: How many.

        Raises:
            Refused: The address is no multiple of 4.
            LimitExceeded: Beyond the end of the map.
        """
        end = address + 4 * count
        if address & 3 or end > MAP_END or address >= MAP_END:
            raise _out_of_range(address, end)
        return bytes(self._content[address:end])

    def write(self, address: int, words: bytes, mask: bytes = ALL_BITS) -> None:
        """Replace the bits under a mask in consecutive words: in all of them or in none.

        Args:
            address: Byte address of the first one.
            words: As they travel.
            mask: One word, for each of them.

        Raises:
            Refused: The address is no multiple of 4, or one of them cannot be written.
            LimitExceeded: Beyond the end of the map.
        """
        end = address + len(words)
        if address & 3 or end > MAP_END or address >= MAP_END:
            raise _out_of_range(address, end)
        for target in range(address, end, 4):
            if target not in _WRITABLE:
                raise Refused(Status.RANGE, _why_not_writable(target))
        if mask != ALL_BITS:
            before = int.from_bytes(self._content[address:end], "big")
            bits = int.from_bytes(mask * (len(words) // 4), "big")
            after = before & ~bits | int.from_bytes(words, "big") & bits
            words = after.to_bytes(len(words), "big")
        self._content[address:end] = words

    def get(self, register: str, field: str = "value") -> int:
        """Value of a field."""
        address, definition = _FIELDS[register, field]
        return definition.get(self._word_at(address))

    def word(self, register: str) -> int:
        """The whole word of a register."""
        return self._word_at(_ADDRESSES[register])

    def put(self, register: str, *words: int) -> None:
        """What the board itself writes: read-only registers too, from one on."""
        address = _ADDRESSES[register]
        self._content[address : address + 4 * len(words)] = pack_words(words)

    def _word_at(self, address: int) -> int:
        return int.from_bytes(self._content[address : address + 4], "big")


def pack_words(words: Sequence[int]) -> bytes:
    """Words as they travel: big-endian."""
    return struct.pack(f">{len(words)}I", *words)


def _out_of_range(address: int, end: int) -> Refused | LimitExceeded:
    if address & 3:
        message = f"register address 0x{address:X} is not a multiple of 4"
        return Refused(Status.BAD_REQUEST, message)
    return LimitExceeded("register end address", max(address, end), MAP_END)


def _why_not_writable(address: int) -> str:
    if address in _NAMES:
        return f"register {_NAMES[address]} at 0x{address:X} is read-only"
    return f"there is no register at 0x{address:X}"
