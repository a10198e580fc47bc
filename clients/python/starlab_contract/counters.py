"""Counters of a board and what an emulated one can be told. Holds no clock."""

from pydantic import Field

from starlab_contract.base import ReplyBody, RequestBody


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


class EmulatorCommands(RequestBody):
    """What an emulated board is told; fields left out are left alone."""

    advance_s: float | None = Field(None, ge=0)
    """Let the chip's own clock run on by that many seconds."""
    faults: list[str] | None = None
    """Fault latches to trip, by name."""
    seed: int | None = None
    """A fresh chip of that seed."""
    device_model: str | None = None
    """A fresh chip of cells of that model."""
    virgin: bool | None = None
    """A fresh chip, unformed (true) or formed (false)."""
    restart: bool | None = None
    """Power-cycle the board: registers and supplies reset, cells kept."""


class EmulatorReply(ReplyBody):
    """What an emulated board answers."""

    emulated_time_s: float
    """The chip's own clock."""
    boot_id: int
    """New where the board was restarted."""
