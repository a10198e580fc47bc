"""The register map: one machine-readable definition of every address and field. Holds no state.

The published block 0x00..0xC8 is read from the chip authors' host software [C]; the extension block
from 0x100 up is ours [O]. The host's driver, the emulated board and the table in the documentation
are all made from :data:`REGISTERS`.
"""

from typing import Final

from starlab_spec.errors import UnknownName
from starlab_spec.registers.extension import COUNTERS, IDENTITY_WORD, extension_registers
from starlab_spec.registers.fields import Access, Field, Register
from starlab_spec.registers.published import published_registers

__all__ = [
    "COUNTERS",
    "IDENTITY_WORD",
    "MAP_END",
    "REGISTERS",
    "WORD_MASK",
    "Access",
    "Field",
    "Register",
    "array1_row",
    "array1_row_word",
    "register",
    "register_at",
]

WORD_MASK: Final = 0xFFFF_FFFF
MAP_END: Final = 0x300
"""First byte address beyond the map."""

REGISTERS: Final[tuple[Register, ...]] = (*published_registers(), *extension_registers())
"""The whole map, by rising address."""

_BY_ADDRESS: Final = {register.address: register for register in REGISTERS}
_BY_NAME: Final = {register.name: register for register in REGISTERS}


def register_at(address: int) -> Register | None:
    """The register at a byte address, or None where the map has a hole."""
    return _BY_ADDRESS.get(address)


def register(name: str) -> Register:
    """The register of that name.

    Raises:
        UnknownName: There is none.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownName("register", name, _BY_NAME) from None


def array1_row_word(row: int) -> int:
    """Word of register ROW that selects a row of array 1 [C]."""
    return (3 - row // 196) | (row % 196) << 2


def array1_row(word: int) -> int:
    """Row of array 1 that a word of register ROW selects; 784 and more where there is none."""
    offset = word >> 2 & 0xFF
    return (3 - (word & 3)) * 196 + offset if offset < 196 else 784 + offset
