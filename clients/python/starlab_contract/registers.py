"""Raw registers. Knows no map."""

from typing import Annotated

from pydantic import Field

from starlab_contract.base import ReplyBody, RequestBody

Word = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]


class Register(ReplyBody):
    """A 32-bit register."""

    address: int
    """Byte address."""
    name: str | None
    """Its name in the register map; null where the map has a hole."""
    value: int
    fields: dict[str, int]
    """The value, field by field."""


class RegisterWrite(RequestBody):
    """A new value for a register."""

    value: Word
    mask: Word = 0xFFFF_FFFF
    """Bits to replace; the others stay."""
