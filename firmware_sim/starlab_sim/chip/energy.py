"""What operations cost: clock cycles and joules, by the constants of one table. Counts nothing.

Method [P]: programming energy is that of the pulses, V^2 G t; reading energy is that of the cells,
of the ADCs and of driving lines. Static power and the board around the chip are left out: to set a
supply takes neither time nor energy.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.constants import CONSTANTS
from starlab_sim.chip.converters import READ_BITS, Converters
from starlab_sim.chip.learning import PASSES, Tuning
from starlab_sim.devices import PulseConditions
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.operations import PulseKind
from starlab_spec.units import TICK_NS

ADC_STEP_J: Final = CONSTANTS["ADC_STEP_J"].value
LINE_CAPACITANCE_F: Final = CONSTANTS["LINE_CAPACITANCE_F"].value
READ_INTEGRATION_TICKS: Final = int(CONSTANTS["READ_INTEGRATION_TICKS"].value)
PULSE_GAP_TICKS: Final = int(CONSTANTS["PULSE_GAP_TICKS"].value)
BACKWARD_TICKS: Final = int(CONSTANTS["BACKWARD_TICKS"].value)
COMPARISONS: Final = int(CONSTANTS["COMPARISONS"].value)

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


def read_row_energy_j(outputs: int) -> float:
    """Energy of READ's conversions for one row of one plane."""
    return conversions_energy_j(outputs, READ_BITS)


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


def tuning_ticks(tuning: Tuning) -> NDArray[np.int64]:
    """Clock cycles of the pulses on one sample, shape (phases, arrays, kinds).

    Each scheduled pass takes its time whatever the number of cells [P]; an error that is zero
    everywhere is not looked ahead for [O].
    """
    arrays = ((tuning.set1, tuning.reset1), (tuning.set2, tuning.reset2))
    ticks = np.zeros((len(tuning.schedule.phases), 2, len(PulseKind)), np.int64)
    for phase, steps in enumerate(tuning.schedule.phases):
        for step in steps:
            for index, part in enumerate((step.array1, step.array2)):
                for kind, count in (
                    (part.plus_kind, part.plus_count),
                    (part.minus_kind, part.minus_count),
                ):
                    ticks[phase, index, kind] += count * pulse_ticks(arrays[index][kind])
    return ticks


def ticks_before(
    tuning: Tuning, phase: int, array: int, kind: PulseKind, plane: int
) -> NDArray[np.int64]:
    """Clock cycles of the passes on one sample that come before one of them, (arrays, kinds)."""
    arrays = ((tuning.set1, tuning.reset1), (tuning.set2, tuning.reset2))
    counts = tuning.schedule.pulse_counts()[phase]
    ticks = np.zeros((2, len(PulseKind)), np.int64)
    for index, pulses in enumerate(arrays):
        for one, cells, direction in PASSES:
            if (index + 1, one, cells) == (array, kind, plane):
                return ticks
            ticks[index, one] += counts[index, cells, direction] * pulse_ticks(pulses[one])
    return ticks
