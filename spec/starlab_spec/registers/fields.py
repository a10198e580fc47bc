"""What a register and a field of one is. Knows no address of the board."""

from dataclasses import dataclass
from enum import StrEnum

from starlab_spec.errors import LimitExceeded, UnknownName


class Access(StrEnum):
    """Who may change a register."""

    READ_WRITE = "rw"
    READ_ONLY = "ro"


@dataclass(frozen=True, slots=True)
class Field:
    """Some bits of a register."""

    name: str
    """Lower-case name, unique within its register."""
    high: int
    """Most significant bit."""
    low: int
    """Least significant bit."""
    doc: str
    """What it means, units included."""
    signed: bool = False
    """Two's complement."""

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.high - self.low + 1

    @property
    def mask(self) -> int:
        """Its bits within the word."""
        return ((1 << self.width) - 1) << self.low

    def get(self, word: int) -> int:
        """Its value within a register word."""
        value = (word & self.mask) >> self.low
        if self.signed and value >> (self.width - 1):
            value -= 1 << self.width
        return value

    def bits(self, value: int) -> int:
        """A value, shifted to its place in a word.

        Raises:
            LimitExceeded: It does not fit.
        """
        low = -(1 << (self.width - 1)) if self.signed else 0
        high = low + (1 << self.width) - 1
        if not low <= value <= high:
            raise LimitExceeded(self.name, value, low if value < low else high)
        return (value << self.low) & self.mask


@dataclass(frozen=True, slots=True)
class Register:
    """One 32-bit word at a byte address."""

    address: int
    """Byte address, a multiple of 4."""
    name: str
    """Upper-case name."""
    fields: tuple[Field, ...]
    """From the least significant bit up."""
    reset: int = 0
    """Value after power-up."""
    access: Access = Access.READ_WRITE
    """Who may change it."""
    published: bool = True
    """From the authors' software, or of our extension."""

    def field(self, name: str) -> Field:
        """The field of that name.

        Raises:
            UnknownName: The register has none of it.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise UnknownName(f"field of {self.name}", name, (field.name for field in self.fields))

    def pack(self, **values: int) -> int:
        """A word with these fields set and the others zero.

        Raises:
            UnknownName: For a field that is none.
            LimitExceeded: For a value that does not fit.
        """
        word = 0
        for name, value in values.items():
            word |= self.field(name).bits(value)
        return word
