"""How a pulse's voltage and width scale its step. Knows no table and no cell.

A pulse below a threshold voltage moves nothing; above it the step grows exponentially with the
overdrive and in proportion to the width. At the nominal voltage and width the factor is exactly 1,
so that the tables hold as published. The form of the law and its constants are assumptions [O].
"""

import math
from dataclasses import dataclass
from typing import Final

from starlab_spec.errors import LimitExceeded
from starlab_spec.operations import PulseKind
from starlab_spec.supplies import supply
from starlab_spec.units import TICK_NS

STEP_VOLTAGE_MV: Final = 150.0
"""Overdrive that makes a step e times as large [O]: 1.14 per supply code of 19.8 mV."""
THRESHOLD_MV: Final = {PulseKind.SET: 1500.0, PulseKind.RESET: 1000.0, PulseKind.FORM: 4500.0}
"""Least amplitude that moves (FORM: forms) a cell [O]: about two thirds of the published SET and
RESET voltages; FORM with half a volt in hand."""
NOMINAL_WIDTH_NS: Final = {
    (1, PulseKind.SET): 300,
    (1, PulseKind.RESET): 50,
    (2, PulseKind.SET): 200,
    (2, PulseKind.RESET): 50,
}
"""Widths after the published start-up sequence, per array [C; the unit of the field: R]."""
NOMINAL_FORM_WIDTH_NS: Final = 12_800
"""Width of FORM after the published start-up sequence, both arrays [C; its unit: R]."""
NOMINAL_FORM_GATE_MV: Final = supply("VWLform").nominal
"""What the published supply setting of VWLform gives at its code [C]."""
NOMINAL_AMPLITUDE_MV: Final = {
    PulseKind.SET: supply("VBLset").nominal,
    PulseKind.RESET: supply("VSLreset").nominal,
}
"""What the published supply settings give at their codes [C]."""


@dataclass(frozen=True, slots=True)
class PulseConditions:
    """The electrical shape of a programming pulse."""

    amplitude_mv: float
    """Voltage over the cell and its selector: on BL for SET and FORM, on SL for RESET."""
    gate_mv: float
    """Voltage on WL, which opens the selector."""
    width_ns: int
    """Duration: a multiple of the 50 ns clock cycle, at least one."""

    def __post_init__(self) -> None:
        """Refuse a pulse shorter than a clock cycle."""
        if self.width_ns < TICK_NS:
            raise LimitExceeded("pulse width", self.width_ns, TICK_NS, "ns")


def step_factor(array: int, kind: PulseKind, conditions: PulseConditions) -> float:
    """Factor on the step of the device model; 0 below the threshold, 1 at nominal conditions.

    Args:
        array: 1 or 2: their nominal widths differ.
        kind: SET or RESET.
        conditions: Voltage and width of the pulse.
    """
    if conditions.amplitude_mv < THRESHOLD_MV[kind]:
        return 0.0
    overdrive_mv = conditions.amplitude_mv - NOMINAL_AMPLITUDE_MV[kind]
    width = conditions.width_ns / NOMINAL_WIDTH_NS[array, kind]
    return math.exp(overdrive_mv / STEP_VOLTAGE_MV) * width


def can_form(conditions: PulseConditions) -> bool:
    """Whether a FORM pulse is strong enough to form a virgin cell."""
    return conditions.amplitude_mv >= THRESHOLD_MV[PulseKind.FORM]
