"""What operations cost: clock cycles and joules, every constant with its source. Counts nothing.

Method [P]: programming energy is that of the pulses, V^2 G t; reading energy is that of the cells
and of the ADCs. Static power and the board around the chip are left out.
"""

from typing import Final

from starlab_sim.chip.converters import READ_BITS, Converters
from starlab_sim.chip.learning import Tuning
from starlab_sim.devices import PulseConditions
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.units import TICK_NS

ADC_STEP_J: Final = 20e-15
"""Energy per step of a ramp conversion; assumption: 5 pJ for 8 bits in 130 nm."""
LINE_CAPACITANCE_F: Final = 1e-12
"""Load that a driver charges per row and pulse or read; assumption: lines of 2 mm, 0.5 fF/um."""
READ_INTEGRATION_TICKS: Final = 20
"""Ti of READ; assumption: ten times that of a multiplication, for a tenth of its full scale."""
PULSE_GAP_TICKS: Final = 3
"""Pause after each pulse: the published programming delay counters hold 3 [C; the meaning: R]."""
BACKWARD_TICKS: Final = 32
"""Driving the error back through array 2 and comparing it; assumption."""

_S_PER_NS: Final = 1e-9
_SIEMENS_PER_uS: Final = 1e-6


def cell_energy_j(voltage_v: float, duration_ns: int) -> float:
    """Energy per microsiemens of a cell at a voltage for a time: V^2 G t."""
    return voltage_v * voltage_v * _SIEMENS_PER_uS * duration_ns * _S_PER_NS


def line_energy_j(voltage_v: float) -> float:
    """Energy of charging a row's lines: C V^2."""
    return LINE_CAPACITANCE_F * voltage_v * voltage_v


def conversions_energy_j(count: int, bits: int) -> float:
    """Energy of some ramp conversions, which count up to ``2^bits``."""
    return count * ADC_STEP_J * (1 << bits)


def pulse_ticks(conditions: PulseConditions) -> int:
    """Clock cycles of one pulse on one row (or, in parallel tuning, of one pass)."""
    return conditions.width_ns // TICK_NS + PULSE_GAP_TICKS


def read_row_ticks() -> int:
    """Clock cycles of READ for one row of one plane: its columns are converted at once."""
    return READ_INTEGRATION_TICKS + (1 << READ_BITS)


def read_cell_energy_j(read_v: float) -> float:
    """Energy of READ per microsiemens of a cell."""
    return cell_energy_j(read_v, READ_INTEGRATION_TICKS * TICK_NS)


def read_row_energy_j(read_v: float, outputs: int) -> float:
    """Energy of READ for one row of one plane, beside that of the cells."""
    return line_energy_j(read_v) + conversions_energy_j(outputs, READ_BITS)


def multiply1_ticks(converters: Converters) -> int:
    """Clock cycles of array 1 alone: integration and one ramp."""
    return converters.integration1_ns // TICK_NS + (1 << converters.bits1)


def inference_ticks(converters: Converters) -> int:
    """Clock cycles of an inference, or of array 2 alone: about 2^(N1 + N2) [C]."""
    return 1 << (converters.bits1 + converters.bits2)


def multiply1_energy_j(converters: Converters) -> float:
    """Energy of array 1's conversions for one sample."""
    return conversions_energy_j(ARRAY1.outputs, converters.bits1)


def multiply2_energy_j(converters: Converters) -> float:
    """Energy of array 2's conversions for one sample: every column in every slot."""
    conversions = 2 * ARRAY2.outputs * ((1 << converters.bits1) - 1)
    return conversions_energy_j(conversions, converters.bits2)


def tuning_ticks(tuning: Tuning) -> list[int]:
    """Clock cycles of the update of one sample, per phase.

    Each scheduled pass takes its time whatever the number of cells [P]; an error that is zero
    everywhere is not looked ahead for [O].
    """
    arrays = ((tuning.set1, tuning.reset1), (tuning.set2, tuning.reset2))
    totals = []
    for phase in tuning.schedule.phases:
        ticks = BACKWARD_TICKS
        for step in phase:
            for pulses, part in zip(arrays, (step.array1, step.array2), strict=True):
                ticks += part.plus_count * pulse_ticks(pulses[part.plus_kind])
                ticks += part.minus_count * pulse_ticks(pulses[part.minus_kind])
        totals.append(ticks)
    return totals
