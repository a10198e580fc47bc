"""What the detailed kernels know of cells, pulses and noise. Computes nothing."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.pulsing import Motion

Floats = NDArray[np.float32]
Ticks = NDArray[np.int64]


class Traps(NamedTuple):
    """Cells with a trap, row by row: the plane's row ``i`` has ``first[plane, i]`` and on."""

    first: Ticks
    """Index of a row's first trap, (2, inputs + 1); the last entry of a plane ends its last row."""
    column: NDArray[np.uint16]
    """Column of the cell, (traps,)."""
    share: Floats
    """By which a full trap lowers the conductance, (traps,)."""
    period_ticks: NDArray[np.float64]
    """Time in which the trap forgets its state, (traps,)."""
    full: NDArray[np.float64]
    """Probability that it is full, (traps,)."""
    key: NDArray[np.uint64]
    """Decides its history, (traps,)."""

    def of_rows(self, rows: slice) -> "Traps":
        """Those of some rows, which then count from 0."""
        return self._replace(first=self.first[:, rows.start : rows.stop + 1].copy())


class Cells(NamedTuple):
    """The cells of one array."""

    conductance_uS: Floats
    """Shape (2, inputs, outputs)."""
    pulses: NDArray[np.uint32]
    """Pulses that each cell has had; same shape."""
    pulsed_ticks: Ticks
    """Clock at the last SET, RESET or forming pulse of each cell; same shape."""
    step: Floats
    """Factor on the step of each cell, by SET and RESET: (2, 2, inputs, outputs)."""
    bottom_uS: Floats
    """Low end of each cell's window when new, (2, inputs, outputs)."""
    top_uS: Floats
    """High end of it. A cell whose ends are equal is stuck there."""
    endurance_pulses: float
    """Pulses that halve a window."""
    wear_exponent: float
    """How abruptly; 0: no wear."""


class ForwardCells(NamedTuple):
    """The cells of one array as a forward pass sees them."""

    cells: Cells
    """With conductances of their own, or with those that stand for them."""
    gain: Floats
    """Shape (2, inputs, outputs): factors on the contributions of cells, or nothing."""


class Pulse(NamedTuple):
    """What a SET or RESET pulse does, and what stands in its way."""

    motion: Motion
    """What it does to the average cell that gets all of its voltage."""
    kind: int
    """SET or RESET."""
    ceiling_uS: np.float32
    """Conductance above which it lifts no cell."""
    amplitude_mv: float
    """Its voltage."""
    overdrive_mv: float
    """Its voltage above the threshold: a cell that gets less by more than this does not move."""


class Noise(NamedTuple):
    """Noise of one kind of conversion."""

    on: bool
    """Whether numbers are drawn."""
    converter_codes: float
    """Standard deviation of the converter, in codes."""
    thermal_codes2: float
    """Variance that each microsiemens of the column adds, in squared codes."""


class BackwardNoise(NamedTuple):
    """Noise of comparing an error that was driven back."""

    on: bool
    """Whether numbers are drawn."""
    comparator_uS: float
    """Standard deviation of a comparator, in driven conductance."""
    thermal_uS: float
    """Variance that each microsiemens of the bit line adds, in squared microsiemens."""


NO_GAIN: Final = np.zeros((0, 0, 0), np.float32)
"""Wires that are ideal: every cell contributes its whole current to its column."""
NO_DROP: Final = np.zeros((0, 0, 0), np.float32)
"""Wires that are ideal: every cell gets the whole voltage of a pulse."""
NO_FORMING_VOLTAGES: Final = np.zeros((0, 0, 0), np.float32)
"""Every cell is formed by a pulse above the common threshold."""


def no_traps(inputs: int) -> Traps:
    """No cell of so many rows has a trap."""
    return Traps(
        first=np.zeros((2, inputs + 1), np.int64),
        column=np.zeros(0, np.uint16),
        share=np.zeros(0, np.float32),
        period_ticks=np.zeros(0),
        full=np.zeros(0),
        key=np.zeros(0, np.uint64),
    )
