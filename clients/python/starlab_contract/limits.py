"""The safe operating area of a board, as the server holds it. Refuses nothing itself."""

from typing import Annotated, Literal

from pydantic import Field

from starlab_contract.base import ReplyBody


class VoltageLimits(ReplyBody):
    """What a voltage generator may be set to."""

    unit: Literal["mV"]
    low_mv: float
    high_mv: float


class CurrentLimits(ReplyBody):
    """What a bias current generator may be set to."""

    unit: Literal["uA"]
    low_ua: float
    high_ua: float


SupplyLimits = Annotated[VoltageLimits | CurrentLimits, Field(discriminator="unit")]


class PulseLimits(ReplyBody):
    """Limits of one kind of pulse on one array."""

    width_ns: int
    """Greatest width."""
    pulses: int
    """Most pulses of one operation (in learning: of one update) on a cell."""
    energy_pj: float
    """Most energy of one pulse on a cell of 20 uS."""
    cell_ua: float
    """Greatest current of such a cell."""
    row_ma: float
    """Greatest current of all such cells of one row and polarity that are pulsed at once."""


class RateLimit(ReplyBody):
    """How fast pulses may follow one another on a cell."""

    pulses: int
    """Most pulses of any kind on a cell within the window."""
    window_s: float
    """Length of any such window, on the chip's own clock. Only the board's firmware checks it."""


class ArrayLimits(ReplyBody):
    """Limits of the pulses on one array."""

    set: PulseLimits
    reset: PulseLimits
    form: PulseLimits
    rate: RateLimit


class Limits(ReplyBody):
    """All limits of a board; what a server was started with, and no call changes."""

    supplies: dict[str, SupplyLimits]
    """By name, in power-up order."""
    array1: ArrayLimits
    array2: ArrayLimits
    forming_level_mv: float
    """From this voltage on only FORM may drive cells."""
    trip_margin: float
    """Share of its limit by which a rail must really exceed it to trip the over-voltage fault."""
    differences: list[str]
    """What this board's limits file changed, with both values."""
    widened: list[str]
    """Those of the differences that allow more than the limits that were shipped."""
