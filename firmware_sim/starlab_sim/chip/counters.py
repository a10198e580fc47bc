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
        ("energy_j", "<f8", (1,)),
        ("read_operations", "<i8"),
        ("cells_read", "<i8"),
        ("inferences", "<i8"),
        ("training_steps", "<i8"),
        ("time_ticks", "<i8"),
        ("aged_ticks", "<i8"),
    ],
    align=True,
)
"""A meter's totals, as they are kept."""


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
    time_ticks: int = 0
    """Emulated time that operations took, in clock cycles of 50 ns."""
    energy_j: float = 0.0
    """Energy that operations took."""

    @property
    def pulses(self) -> int:
        """Pulses of all kinds on both arrays."""
        return sum(self.set_pulses) + sum(self.reset_pulses) + sum(self.form_pulses)

    @property
    def time_s(self) -> float:
        """Emulated time in seconds."""
        return self.time_ticks * TICK_NS * 1e-9


class Meter:
    """The running totals behind the snapshots.

    Attributes:
        pulses: By array and kind, (2, 3).
        operations: Rows addressed, by kind.
        energy_j: One number, for the kernels to add to.
        aged_ticks: Clock when retention was last brought up to date.
        passed_ticks: Emulated time in which nothing was done; others keep it.
    """

    def __init__(self, passed_ticks: int = 0) -> None:
        self.passed_ticks = passed_ticks
        self.pulses = np.zeros((2, len(PulseKind)), np.int64)
        self.operations = np.zeros(len(PulseKind), np.int64)
        self.energy_j = np.zeros(1)
        self.read_operations = 0
        self.cells_read = 0
        self.inferences = 0
        self.training_steps = 0
        self.time_ticks = 0
        self.aged_ticks = passed_ticks

    @property
    def clock_ticks(self) -> int:
        """The clock of the cells: time of operations, and time that passed beside them."""
        return self.passed_ticks + self.time_ticks

    def count_inferences(self, count: int, ticks_each: int) -> None:
        """Add some inferences and their time."""
        self.inferences += count
        self.time_ticks += count * ticks_each

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
        by_kind = [(int(one), int(two)) for one, two in self.pulses.T]
        return Counters(
            set_pulses=by_kind[PulseKind.SET],
            reset_pulses=by_kind[PulseKind.RESET],
            form_pulses=by_kind[PulseKind.FORM],
            set_operations=int(self.operations[PulseKind.SET]),
            reset_operations=int(self.operations[PulseKind.RESET]),
            form_operations=int(self.operations[PulseKind.FORM]),
            read_operations=self.read_operations,
            cells_read=self.cells_read,
            inferences=self.inferences,
            training_steps=self.training_steps,
            time_ticks=self.time_ticks,
            energy_j=float(self.energy_j[0]),
        )
