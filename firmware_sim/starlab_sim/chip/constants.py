"""The constants behind the emulated clock and energy, each with its source. Computes nothing.

Marks: [P] published, [C] read from the authors' code, [R] our reconstruction, [O] our own choice.
"""

from dataclasses import dataclass
from typing import Final

from starlab_spec.units import TICK_NS


@dataclass(frozen=True, slots=True)
class Constant:
    """One number that time or energy is made of."""

    name: str
    """As the code calls it; its ending is the unit."""
    value: float
    """In that unit."""
    unit: str
    """The unit in words for a table."""
    source: str
    """Where it comes from, or why it was assumed."""
    enters: str
    """What it enters."""


_TABLE: Final = (
    Constant(
        "TICK_NS",
        TICK_NS,
        "ns",
        "20 MHz clock [C; the unit: R]",
        "every time: it is counted in clock cycles",
    ),
    Constant(
        "ADC_STEP_J",
        5e-12 / 256,
        "J",
        "assumption: 5 pJ for 8 bits in 130 nm, spread evenly over the ramp",
        "converters: a conversion of N bits takes 2^N of them; a comparison takes one",
    ),
    Constant(
        "LINE_CAPACITANCE_F",
        1e-12,
        "F",
        "assumption: lines of 2 mm, 0.5 fF/um",
        "lines: C V^2 each time that a driver charges a row of one plane; of array 2 in each slot",
    ),
    Constant(
        "READ_INTEGRATION_TICKS",
        20,
        "clock cycles",
        "assumption: ten times that of a multiplication, for a tenth of its full scale",
        "READ: time of a row of one plane, and how long its cells conduct",
    ),
    Constant(
        "PULSE_GAP_TICKS",
        3,
        "clock cycles",
        "the published programming delay counters hold 3 [C; the meaning: R]",
        "time of every pulse or parallel pass, beside its width",
    ),
    Constant(
        "BACKWARD_TICKS",
        32,
        "clock cycles",
        "assumption: an integration and a few comparisons",
        "learning: time of driving the error back through array 2, and how long its cells conduct",
    ),
    Constant(
        "COMPARISONS",
        2,
        "",
        "an error is compared with Th1 and with -Th1 [R]",
        "converters: comparisons of a hidden unit that is on, when an error is driven back",
    ),
)
CONSTANTS: Final = {constant.name: constant for constant in _TABLE}
"""The whole table, by name."""
