"""The board's registers: reset values, access rules, fields. Knows not what a word does."""

import struct
from collections.abc import Sequence
from typing import Final

from starlab_sim.errors import Refused
from starlab_spec.errors import LimitExceeded
from starlab_spec.registers import MAP_END, REGISTERS, WORD_MASK, Access, Field
from starlab_spec.wire.transactions import Status

_WORDS: Final = MAP_END // 4


def _reset_words() -> list[int]:
    words = [0] * _WORDS
    for register in REGISTERS:
        words[register.address // 4] = register.reset
    return words


_RESET: Final = _reset_words()
_INDEX: Final = {register.name: register.address // 4 for register in REGISTERS}
_WRITABLE: Final = frozenset(r.address // 4 for r in REGISTERS if r.access is Access.READ_WRITE)
_NAMES: Final = {index: name for name, index in _INDEX.items()}
_FIELDS: Final[dict[tuple[str, str], tuple[int, Field]]] = {
    (register.name, field.name): (_INDEX[register.name], field)
    for register in REGISTERS
    for field in register.fields
}


class RegisterFile:
    """All words of the map; holes read as 0."""

    __slots__ = ("_words",)

    def __init__(self, words: Sequence[int] = _RESET) -> None:
        self._words = list(words)

    def scratch(self) -> "RegisterFile":
        """A register file with the same content."""
        return RegisterFile(self._words)

    def read(self, address: int, count: int) -> list[int]:
        """Consecutive words.

        Args:
            address: Byte address of the first one.
            count: How many.

        Raises:
            Refused: The address is no multiple of 4.
            LimitExceeded: Beyond the end of the map.
        """
        first = _first_index(address, count)
        return self._words[first : first + count]

    def write(self, address: int, values: Sequence[int], mask: int = WORD_MASK) -> None:
        """Replace the bits under a mask in consecutive words: in all of them or in none.

        Raises:
            Refused: The address is no multiple of 4, or one of them cannot be written.
            LimitExceeded: Beyond the end of the map.
        """
        first = _first_index(address, len(values))
        for index in range(first, first + len(values)):
            if index not in _WRITABLE:
                raise Refused(Status.RANGE, _why_not_writable(index))
        keep = ~mask
        words = self._words
        for index, value in enumerate(values, first):
            words[index] = words[index] & keep | value & mask

    def get(self, register: str, field: str = "value") -> int:
        """Value of a field."""
        index, definition = _FIELDS[register, field]
        return definition.get(self._words[index])

    def word(self, register: str) -> int:
        """The whole word of a register."""
        return self._words[_INDEX[register]]

    def put(self, register: str, *words: int) -> None:
        """What the board itself writes: read-only registers too, from one on."""
        first = _INDEX[register]
        self._words[first : first + len(words)] = words


def pack_words(words: Sequence[int]) -> bytes:
    """Words as they travel: big-endian."""
    return struct.pack(f">{len(words)}I", *words)


def _first_index(address: int, count: int) -> int:
    if address & 3:
        message = f"register address 0x{address:X} is not a multiple of 4"
        raise Refused(Status.BAD_REQUEST, message)
    if address + 4 * count > MAP_END or address >= MAP_END:
        raise LimitExceeded("register end address", max(address, address + 4 * count), MAP_END)
    return address >> 2


def _why_not_writable(index: int) -> str:
    if index in _NAMES:
        return f"register {_NAMES[index]} at 0x{4 * index:X} is read-only"
    return f"there is no register at 0x{4 * index:X}"
