"""The wires of one array as the chip uses them: what follows from its cells, remembered.

Moves no cell and converts no current.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.wires.grid import Account, Grid
from starlab_sim.chip.wires.ladders import Kind
from starlab_sim.chip.wires.layout import Layout
from starlab_sim.chip.wires.learning import PulsingWires, ReadingWires
from starlab_sim.chip.wires.programming import (
    EXACT,
    RELAXATIONS,
    PulsedLines,
    block_drops,
    pulsed_lines,
    row_by_row_drops,
    row_drops,
)
from starlab_sim.chip.wires.reading import seen_rows
from starlab_sim.effects import Effects, Wires
from starlab_spec.geometry import MINUS, PLUS, ArrayGeometry

Cells = NDArray[np.float32]

FAST_TOLERANCE: Final = 1e-5
"""Residual of transfer matrices in the fast mode."""
NO_GAIN: Final = np.zeros((0, 0, 0), np.float32)
"""No gains hold."""
EXACT_CHUNK: Final = 4
FAST_CHUNK: Final = 128


class Wired:
    """Wires of one array.

    What it tells of the cells it remembers under their *version*: a number that changes whenever
    they do.

    Attributes:
        layout: Its lines.
        exact: Whether nothing is approximated; then all is computed in float64.
    """

    def __init__(self, geometry: ArrayGeometry, wires: Wires, supply_ohm: float = 0.0) -> None:
        """Lay the lines.

        Args:
            geometry: Which array.
            wires: Their settings.
            supply_ohm: In series with the rail of a learning step's pulses; who pulses row by row
                has taken it off the rail already.
        """
        self.layout = Layout.of(geometry, wires)
        self.exact = wires.mode == "exact"
        self._number = geometry.number
        self._refresh_steps = int(wires.refresh_steps)
        self._steps_left = 0
        self._gain = NO_GAIN
        self._grid = Grid(self.layout, kind=kind_of(exact=self.exact))
        relaxations = EXACT if self.exact else RELAXATIONS
        self._rows = _both(self.layout, relaxations, 0.0)
        self._blocks = _both(self.layout, relaxations, supply_ohm)
        self._effective: tuple[int, Cells] | None = None

    def effective_uS(self, cells_uS: Cells, version: int) -> Cells:
        """Conductances that stand for the cells in a forward pass, (2, inputs, outputs).

        In the fast mode the cells with the gains that hold.
        """
        if self._effective is None or self._effective[0] != version:
            self._effective = None  # makes room for the next
            if self.exact:
                self._grid.load(cells_uS)
                found = self._grid.transfer_uS(kind=np.float32)
            else:
                found = self.gain(cells_uS) * cells_uS
            self._effective = version, found
        return self._effective[1]

    def gain(self, cells_uS: Cells) -> Cells:
        """What each cell contributes to its column over its conductance, in the fast mode.

        Where no gains hold, they become those of these cells: what the next learning step would
        do, so that who looks changes nothing.
        """
        if self._steps_left == 0:
            if not self._gain.size:
                self._gain = np.empty(cells_uS.shape, np.float32)
            self._grid.renew(cells_uS, self._gain, FAST_TOLERANCE)
            self._steps_left = self._refresh_steps
        return self._gain

    def seen_uS(self, cells_uS: Cells, first_row: int, planes: Sequence[int]) -> Cells:
        """Conductances that READ sees instead of the cells'.

        Args:
            cells_uS: Cells of consecutive rows, (2, rows, outputs).
            first_row: Row of the array that they begin with.
            planes: Which to look at.

        Returns:
            Same shape as the cells; planes that were not asked for are 0.
        """
        seen = np.zeros(cells_uS.shape, np.float32)
        for plane in planes:
            seen_rows(cells_uS[plane], first_row, self._rows[plane], seen[plane])
        return seen

    def drop_mv(
        self, cells_uS: Cells, mask: NDArray[np.bool_], first_row: int, amplitude_mv: float
    ) -> Cells:
        """By how much less than its rail each masked cell gets, pulsed row by row.

        Args:
            cells_uS: Shape (2, inputs, outputs).
            mask: Shape (2, rows, outputs).
            first_row: Row that the mask begins with.
            amplitude_mv: Voltage of the rail.

        Returns:
            Shape of the mask; 0 where nothing is selected. Holds until the wires are used again.
        """
        scratch = self._grid.scratch
        found = row_by_row_drops(scratch, mask.shape)
        row_drops(cells_uS, mask, first_row, amplitude_mv, self._rows, scratch, found)
        return found

    def pulsing(self) -> PulsingWires:
        """What a learning kernel needs to pulse this array."""
        return _pulsing(self.layout, self._grid, self._blocks)

    @property
    def chunk(self) -> int:
        """Learning steps that :meth:`learning` holds for, at most; some milliseconds of them."""
        if self.exact:
            return EXACT_CHUNK
        return min(self._steps_left or self._refresh_steps, FAST_CHUNK)

    def learning(self, cells_uS: Cells) -> ReadingWires:
        """What a learning kernel needs to read this array, for :attr:`chunk` steps."""
        if self.exact:
            solved = self._number == 1
            gain = NO_GAIN if solved else np.zeros(cells_uS.shape, np.float32)
            return self._grid.reading(gain, solved=solved, renewed=not solved)
        return self._grid.reading(self.gain(cells_uS), solved=False, renewed=False)

    @property
    def account(self) -> Account:
        """What solutions have taken since the lines were laid."""
        return self._grid.account

    def learnt(self, steps: int) -> None:
        """So many learning steps were done."""
        self._effective = None
        self._steps_left = max(self._steps_left - steps, 0)

    def keep(self) -> dict[str, NDArray[Any]]:
        """What the next learning step depends on beside the cells: gains that still hold."""
        gain = self._gain.copy() if self._steps_left else self._gain[:0]
        return {"steps_left": np.array(self._steps_left, np.int64), "gain": gain}

    def resume(self, kept: Mapping[str, NDArray[Any]]) -> None:
        """Go on with gains that :meth:`keep` gave.

        Raises:
            KeyError, ValueError: It never gave these.
        """
        gain, steps_left = kept["gain"], int(kept["steps_left"])
        if kept["steps_left"].dtype.kind not in "iu":
            raise ValueError("gains that hold for a number of steps that is not whole")
        shape = (2, self.layout.inputs, self.layout.outputs)
        if not 0 <= steps_left <= self._refresh_steps:
            raise ValueError(f"gains that hold for {steps_left} steps")
        if steps_left and (gain.shape != shape or gain.dtype != np.float32):
            raise ValueError(f"gains of type {gain.dtype} {gain.shape}, expected {shape}")
        self._gain, self._steps_left = gain.copy() if steps_left else NO_GAIN, steps_left

    def forget(self) -> None:
        """Cells changed otherwise than by learning: the next step takes new gains."""
        self._effective = None
        self._gain = NO_GAIN
        self._steps_left = 0


def kind_of(*, exact: bool) -> Kind:
    """What is computed in."""
    return np.float64 if exact else np.float32


def _pulsing(layout: Layout, grid: Grid, lines: tuple[PulsedLines, PulsedLines]) -> PulsingWires:
    drop_mv = block_drops(grid.scratch, (layout.inputs, layout.outputs))
    return PulsingWires(lines=lines, scratch=grid.scratch, drop_mv=drop_mv)


def _both(layout: Layout, relaxations: int, supply_ohm: float) -> tuple[PulsedLines, PulsedLines]:
    """Lines of both planes."""
    return (
        pulsed_lines(layout, PLUS, relaxations, supply_ohm),
        pulsed_lines(layout, MINUS, relaxations, supply_ohm),
    )


def wires_of(geometry: ArrayGeometry, effects: Effects) -> Wired | None:
    """The wires of an array under these effects; None: nothing resists."""
    if effects.wires is None:
        return None
    wired = Wired(geometry, effects.wires, effects.output_ohm)
    return None if wired.layout.ideal else wired


def ideal(geometry: ArrayGeometry, effects: Effects) -> tuple[ReadingWires, PulsingWires]:
    """What a learning kernel gets of wires that do not resist beside others that do.

    Args:
        geometry: Which array.
        effects: Those of the other array too, so that one kernel does for both.
    """
    exact = effects.wires is not None and effects.wires.mode == "exact"
    layout = Layout(geometry.inputs, geometry.outputs, geometry.number == 1, True, *(0.0,) * 5)
    grid = Grid(layout, kind=kind_of(exact=exact))
    lines = pulsed_lines(layout, PLUS, RELAXATIONS, effects.output_ohm)
    reading = grid.reading(NO_GAIN, solved=False, renewed=False)
    return reading, _pulsing(layout, grid, (lines, lines))
