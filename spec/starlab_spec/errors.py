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
        side = "above" if value > limit else "below" if value < limit else "not within"
        tail = f" {unit}" if unit else ""
        asked = f"{name} {_plain(value)}{tail}" + (f" {place}" if place else "")
        super().__init__(f"{asked} is {side} the {_plain(limit)}{tail} limit")


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


def _plain(number: float) -> str:
    """Whole numbers in full, others to six digits."""
    return str(int(number)) if isinstance(number, int) else f"{number:g}"
