"""Conversions between the units that cross borders. Holds no physics."""

from typing import Final

TICK_NS: Final = 50
"""One clock cycle of the chip: 20 MHz ([C]; the unit is [R])."""


def ticks_to_ns(ticks: int) -> int:
    """Duration in nanoseconds of a number of clock cycles."""
    return ticks * TICK_NS


def ns_to_ticks(duration_ns: int) -> int:
    """Clock cycles of a duration, which must be a whole number of them.

    Raises:
        ValueError: The duration is no multiple of 50 ns.
    """
    ticks, rest = divmod(duration_ns, TICK_NS)
    if rest:
        raise ValueError(f"{duration_ns} ns is not a multiple of the {TICK_NS} ns clock cycle")
    return ticks


def current_ua(voltage_mv: float, conductance_uS: float) -> float:
    """Current in microampere through a conductance: V * uS."""
    return voltage_mv * 1e-3 * conductance_uS
