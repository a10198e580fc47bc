"""What a chip has done since it was made: pulses, operations, time, energy. Resets nothing."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_spec.operations import PulseKind
from starlab_spec.units import TICK_NS

METER: Final = np.dtype(
    [
        ("pulses", "<i8", (2, len(PulseKind))),
        ("operations", "<i8", (len(PulseKind),)),
        ("programming_j", "<f8", (2, len(PulseKind))),
        ("reading_j", "<f8", (3,)),
        ("programming_ticks", "<i8", (2, len(PulseKind))),
        ("reading_ticks", "<i8", (3,)),
        ("read_operations", "<i8"),
        ("cells_read", "<i8"),
        ("inferences", "<i8"),
        ("training_steps", "<i8"),
        ("aged_ticks", "<i8"),
    ],
    align=True,
)
"""A meter's totals, as they are kept."""
CELLS: Final = 0
"""Reading energy of the cells themselves."""
CONVERTERS: Final = 1
"""Reading energy of the ADCs and comparators."""
LINES: Final = 2
"""Reading energy of driving lines; with pulses it is part of theirs."""
READ: Final = 0
"""Time of READ."""
FORWARD: Final = 1
"""Time of multiplications, of learning steps too."""
BACKWARD: Final = 2
"""Time of driving errors back."""


@dataclass(frozen=True, slots=True)
class Counters:
    """A snapshot. Pulses are counted per cell, with those on cells that cannot move."""

    set_pulses: tuple[int, int] = (0, 0)
    """SET pulses on cells of arrays 1 and 2."""
    reset_pulses: tuple[int, int] = (0, 0)
    """RESET pulses on cells of arrays 1 and 2."""
    form_pulses: tuple[int, int] = (0, 0)
    """FORM pulses on cells of arrays 1 and 2."""
    set_operations: int = 0
    """Rows addressed by SET operations."""
    reset_operations: int = 0
    """Rows addressed by RESET operations."""
    form_operations: int = 0
    """Rows addressed by FORM operations."""
    read_operations: int = 0
    """Rows addressed by READ operations."""
    cells_read: int = 0
    """Cells that READ converted."""
    inferences: int = 0
    """Vectors multiplied by one array or by both, without learning."""
    training_steps: int = 0
    """Samples learned."""
    set_j: tuple[float, float] = (0.0, 0.0)
    """Energy of SET pulses on arrays 1 and 2, lines included."""
    reset_j: tuple[float, float] = (0.0, 0.0)
    """Energy of RESET pulses on arrays 1 and 2."""
    form_j: tuple[float, float] = (0.0, 0.0)
    """Energy of FORM pulses on arrays 1 and 2."""
    cells_j: float = 0.0
    """Energy of cells that were read, multiplied with, or driven back through."""
    converters_j: float = 0.0
    """Energy of ADCs and comparators."""
    lines_j: float = 0.0
    """Energy of driving lines for reading."""
    set_ticks: tuple[int, int] = (0, 0)
    """Time of SET pulses on arrays 1 and 2, in clock cycles of 50 ns."""
    reset_ticks: tuple[int, int] = (0, 0)
    """Time of RESET pulses on arrays 1 and 2."""
    form_ticks: tuple[int, int] = (0, 0)
    """Time of FORM pulses on arrays 1 and 2."""
    read_ticks: int = 0
    """Time of READ."""
    forward_ticks: int = 0
    """Time of multiplications, of learning steps too."""
    backward_ticks: int = 0
    """Time of driving errors back."""

    @property
    def pulses(self) -> int:
        """Pulses of all kinds on both arrays."""
        return sum(self.set_pulses) + sum(self.reset_pulses) + sum(self.form_pulses)

    @property
    def energy_j(self) -> float:
        """Energy that operations took: the sum of its parts."""
        programming_j = sum(self.set_j) + sum(self.reset_j) + sum(self.form_j)
        return programming_j + self.cells_j + self.converters_j + self.lines_j

    @property
    def time_ticks(self) -> int:
        """Emulated time that operations took, in clock cycles: the sum of its parts."""
        programming = sum(self.set_ticks) + sum(self.reset_ticks) + sum(self.form_ticks)
        return programming + self.read_ticks + self.forward_ticks + self.backward_ticks

    @property
    def time_s(self) -> float:
        """Emulated time in seconds."""
        return self.time_ticks * TICK_NS * 1e-9


class Meter:
    """The running totals behind the snapshots.

    Attributes:
        pulses: By array and kind, (2, 3).
        operations: Rows addressed, by kind.
        programming_j: Energy of pulses, like them.
        reading_j: Energy of reading: CELLS, CONVERTERS, LINES.
        programming_ticks: Time of pulses, like them.
        reading_ticks: Time of READ, FORWARD, BACKWARD.
        aged_ticks: Clock when retention was last brought up to date.
        passed_ticks: Emulated time in which nothing was done; others keep it.
    """

    def __init__(self, passed_ticks: int = 0) -> None:
        self.passed_ticks = passed_ticks
        self.pulses = np.zeros((2, len(PulseKind)), np.int64)
        self.operations = np.zeros(len(PulseKind), np.int64)
        self.programming_j = np.zeros((2, len(PulseKind)))
        self.reading_j = np.zeros(3)
        self.programming_ticks = np.zeros((2, len(PulseKind)), np.int64)
        self.reading_ticks = np.zeros(3, np.int64)
        self.read_operations = 0
        self.cells_read = 0
        self.inferences = 0
        self.training_steps = 0
        self.aged_ticks = passed_ticks

    @property
    def time_ticks(self) -> int:
        """Time of all operations."""
        return int(self.programming_ticks.sum() + self.reading_ticks.sum())

    @property
    def clock_ticks(self) -> int:
        """The clock of the cells: time of operations, and time that passed beside them."""
        return self.passed_ticks + self.time_ticks

    def count_inferences(self, count: int, ticks_each: int) -> None:
        """Add some inferences and their time."""
        self.inferences += count
        self.reading_ticks[FORWARD] += count * ticks_each

    def save(self, kept: NDArray[np.void]) -> None:
        """Write the totals to where they are kept, of type :data:`METER`."""
        kept[()] = tuple(getattr(self, name) for name in METER.names or ())

    def load(self, kept: NDArray[np.void]) -> None:
        """Go on from totals that were kept."""
        for name in METER.names or ():
            value = kept[name]
            setattr(self, name, value.copy() if value.ndim else int(value))

    def snapshot(self) -> Counters:
        """The totals now."""
        pulses = [(int(one), int(two)) for one, two in self.pulses.T]
        energy_j = [(float(one), float(two)) for one, two in self.programming_j.T]
        ticks = [(int(one), int(two)) for one, two in self.programming_ticks.T]
        return Counters(
            set_pulses=pulses[PulseKind.SET],
            reset_pulses=pulses[PulseKind.RESET],
            form_pulses=pulses[PulseKind.FORM],
            set_operations=int(self.operations[PulseKind.SET]),
            reset_operations=int(self.operations[PulseKind.RESET]),
            form_operations=int(self.operations[PulseKind.FORM]),
            read_operations=self.read_operations,
            cells_read=self.cells_read,
            inferences=self.inferences,
            training_steps=self.training_steps,
            set_j=energy_j[PulseKind.SET],
            reset_j=energy_j[PulseKind.RESET],
            form_j=energy_j[PulseKind.FORM],
            cells_j=float(self.reading_j[CELLS]),
            converters_j=float(self.reading_j[CONVERTERS]),
            lines_j=float(self.reading_j[LINES]),
            set_ticks=ticks[PulseKind.SET],
            reset_ticks=ticks[PulseKind.RESET],
            form_ticks=ticks[PulseKind.FORM],
            read_ticks=int(self.reading_ticks[READ]),
            forward_ticks=int(self.reading_ticks[FORWARD]),
            backward_ticks=int(self.reading_ticks[BACKWARD]),
        )
