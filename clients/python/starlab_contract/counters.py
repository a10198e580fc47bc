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


class Counters(ReplyBody):
    """What a board has done since its counters began."""

    pulses: Pulses
    operations: Operations
    energy_j: float
    """Energy spent, joule; 0 on a real board, which cannot know it."""
    emulated_time_s: float
    """What the chip would have taken; 0 on a real board."""
