"""What can be wrong with a value that the data sheet bounds. Never about links or boards.

    SpecError
    ├── LimitExceeded      a value lies outside a stated limit: name, value, limit, unit
    │   └── Unsafe         outside the safe operating area of a cell: place and channel too
    ├── BadLimits          a file of limits that makes no sense
    ├── UnknownName        a channel, register or field that the data sheet does not have
    ├── ShapeError         an array of another shape or kind than the chip takes
    └── SnapshotError      a snapshot that is none, damaged, of another version or of another board

All of them are the caller's fault, and all of them are ``ValueError``.
"""

from collections.abc import Iterable
from decimal import Decimal
from numbers import Integral
from typing import Any, Final


class SpecError(ValueError):
    """Root of everything that this package raises."""


class LimitExceeded(SpecError):
    """A value lies outside a limit.

    Attributes:
        name: The quantity, by its data-sheet name.
        value: What was asked.
        limit: The limit that it crosses.
        unit: Unit of both; empty for a plain number.
    """

    def __init__(
        self, name: str, value: float, limit: float, unit: str = "", *, place: str = ""
    ) -> None:
        self.name = name
        self.value = value
        self.limit = limit
        self.unit = unit
        side = {1: "above", -1: "below", 0: "not within"}[_order(value, limit)]
        tail = f" {unit}" if unit else ""
        told, bound = apart(value, limit)
        asked = f"{name} {told}{tail}" + (f" {place}" if place else "")
        super().__init__(f"{asked} is {side} the {bound}{tail} limit")


class Unsafe(LimitExceeded):
    """Something that would bring cells outside of their safe operating area.

    Attributes:
        place: Where: ``on array 1``.
        channel: The supply that would drive them.
    """

    def __init__(
        self, name: str, value: float, limit: float, unit: str = "", *, place: str, channel: str
    ) -> None:
        super().__init__(name, value, limit, unit, place=place)
        self.place = place
        self.channel = channel


class BadLimits(SpecError):
    """A file of limits that makes no sense.

    Attributes:
        name: The key, such as ``pulses.array1.set.width_ns``.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"{name} {problem}")


class UnknownName(SpecError):
    """A name that the data sheet does not have.

    Attributes:
        kind: What was looked up: "supply", "register", "field".
        name: The name that was asked.
        known: The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(self.known)}")


class ShapeError(SpecError):
    """An array whose shape, type or content the chip cannot take.

    Attributes:
        name: The argument.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"{name} {problem}")


class SnapshotError(SpecError):
    """A snapshot that cannot be restored."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"snapshot {problem}")


_DIGITS: Final = 6
"""Digits of a number in a message, if they tell the truth."""
_DIGITS_MAX: Final = 17
"""So many tell any two numbers apart."""


def apart(value: float, other: float) -> tuple[str, str]:
    """Two numbers as text: in six digits, or in as many more as keep the one above the other.

    Whole numbers are given in full.
    """
    texts = ("", "")
    for digits in range(_DIGITS, _DIGITS_MAX + 1):
        texts = _text(value, digits), _text(other, digits)
        if _order(*map(float, texts)) == _order(value, other):
            break
    return texts


def exact(number: float) -> str:
    """A number as text: in six digits, or in as many more as it takes to be that very number."""
    texts = (_text(number, digits) for digits in range(_DIGITS, _DIGITS_MAX))
    return next(
        (text for text in texts if float(text) == _plain(number)),
        _text(number, _DIGITS_MAX),
    )


def rounded(value: float, limit: float, decimals: int) -> float:
    """A number with so many decimals, or with as many more as keep it on its side of a limit."""
    for places in range(decimals, decimals + _DIGITS_MAX):
        near = round(value, places)
        if _order(near, limit) == _order(value, limit):
            return near
    return value


def _order(value: Any, other: Any) -> int:
    """1 where the first is above the second, -1 where it is below, else 0."""
    one, two = _plain(value), _plain(other)
    return int(one > two) - int(one < two)


def _plain(number: Any) -> float:
    """A number of Python: NumPy's own compare with less than their digits."""
    return int(number) if isinstance(number, Integral) else float(number)


def _text(number: Any, digits: int) -> str:
    if not isinstance(number, Integral):
        return f"{float(number):.{digits}g}"
    try:
        return str(int(number))
    except ValueError:  # Python writes no more than some thousand digits
        return f"{Decimal(int(number)):.{digits}g}"
