"""Counters of a board. Counts nothing."""

from starlab_contract.base import ReplyBody


class ArrayPulses(ReplyBody):
    """Pulses on the cells of one array: one for each pulse on each selected cell."""

    set: int
    reset: int
    form: int


class Pulses(ReplyBody):
    """Pulses of both arrays."""

    array1: ArrayPulses
    array2: ArrayPulses


class Operations(ReplyBody):
    """Operations that the board has run."""

    form: int
    """Rows addressed."""
    set: int
    """Rows addressed."""
    reset: int
    """Rows addressed."""
    read: int
    """Rows addressed."""
    inference: int
    """Samples."""
    training: int
    """Samples."""


class PulseShares(ReplyBody):
    """What pulses on the cells of one array took: joule or seconds."""

    set: float
    reset: float
    form: float


class EnergyParts(ReplyBody):
    """Where the energy went, joule: the parts add up to all of it. All 0 on a real board."""

    array1: PulseShares
    """Programming of array 1, driving its lines included."""
    array2: PulseShares
    """Programming of array 2, driving its lines included."""
    cells: float
    """Cells that were read, multiplied with, or driven back through."""
    converters: float
    """ADCs and comparators."""
    lines: float
    """Driving lines for reading."""


class TimeParts(ReplyBody):
    """Where the emulated time went, seconds: the parts add up to all of it."""

    array1: PulseShares
    """Programming of array 1."""
    array2: PulseShares
    """Programming of array 2."""
    read: float
    """Reading cells."""
    forward: float
    """Multiplications, learning included."""
    backward: float
    """Driving errors back through array 2."""
    waiting: float
    """Time that was let pass, and all that chips before this one took."""


class Counters(ReplyBody):
    """What a board has done since its counters began."""

    pulses: Pulses
    operations: Operations
    energy_j: float
    """Energy spent, joule; 0 on a real board, which cannot know it."""
    emulated_time_s: float
    """What the chip would have taken; 0 on a real board."""
    energy_parts_j: EnergyParts
    """The energy by what took it, joule."""
    time_parts_s: TimeParts
    """The emulated time by what took it, seconds."""
