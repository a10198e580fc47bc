"""An array with its wires: nodal solutions and transfer matrices. Moves no cell, converts nothing.

At fixed conductances the currents are linear in the voltages of the bit lines, so that a transfer
matrix, ``I_j = sum_i x_i (plus_v T+_ij - minus_v T-_ij)``, holds for any number of inferences. It
is the *effective* conductance of every cell, what its bit line feeds into the clamp of its column
by all ways, and stands in for the conductance in a forward pass.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.wires.ladders import (
    LANES,
    Kind,
    Network,
    Work,
    cell_voltages,
    eliminate,
)
from starlab_sim.chip.wires.layout import Layout
from starlab_sim.chip.wires.learning import ReadingWires, renew_gain
from starlab_sim.chip.wires.programming import BlockScratch, block_scratch
from starlab_sim.chip.wires.solving import STEPS_MAX, TOLERANCE, solve_nodes
from starlab_sim.chip.wires.transferring import place, take, transfer_columns
from starlab_spec.errors import ShapeError, apart


class NoSolution(ArithmeticError):
    """A network whose residual does not fall: `wires residual 1e-3 after 500 steps, limit 1e-9`."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What flows, and what is over the cells."""

    columns_ua: NDArray[np.float64]
    """Current into each clamp, (source lines,)."""
    currents_ua: NDArray[np.float64]
    """Current of each weight, (outputs,); 1T1R: "+" column less "-" column."""
    nodes_v: NDArray[np.float64]
    """Voltages of the source lines at each row, relative to the clamp, (rows, source lines)."""
    cells_v: NDArray[np.float64] | None
    """Voltage from bit line to source line over each cell and its transistor, (2, rows, outputs);
    None: not asked for."""
    steps: int
    """Steps of conjugate gradients."""
    residual: float
    """Relative residual."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the solutions of a network have taken, since its lines were laid."""

    solutions: int
    """Nodal solutions: of vectors, of pulsed blocks, and one a column for a transfer matrix."""
    most_steps: int
    """Most steps of conjugate gradients in one of them."""
    greatest_residual: float
    """Greatest relative residual of one of them."""


class Grid:
    """The network of one array.

    Solutions start from the one before, so that they depend on it within the tolerance;
    :meth:`forget` makes the next one start afresh.

    Attributes:
        layout: Its lines.
    """

    def __init__(
        self, layout: Layout, rows: NDArray[np.int64] | None = None, kind: Kind = np.float64
    ) -> None:
        """Lay the lines; no cell conducts.

        Args:
            layout: Lines of the array.
            rows: Rows whose transistors are open, rising, at least one; the cells of others carry
                no current, and wherever rows are counted these alone count. Default: all rows.
            kind: What is computed in. With float32, residuals below a millionth are not to be had.
        """
        self.layout = layout
        self._rows = np.arange(layout.inputs) if rows is None else rows
        nodes, columns = len(self._rows), layout.columns
        shape = (-(-nodes // LANES), layout.rows_per_node, columns, LANES)
        self._kind = kind
        self._scratch = block_scratch(layout, nodes, kind)
        cells, bl_factor = self._scratch.cells.reshape(2, *shape)
        parts = self._scratch.nodes.reshape(6, nodes, columns)
        self._network = Network(
            bl_mohm=layout.bl_mohm().astype(kind),
            sl_mohm=layout.sl_mohm(self._rows).astype(kind),
            cells_uS=cells,
            bl_factor=bl_factor,
            sl_factor=parts[0],
        )
        self._work = Work(
            residual_ua=parts[1],
            step_v=parts[2],
            direction_v=parts[3],
            effect_ua=parts[4],
            lanes=np.zeros((4, columns + 1, LANES), kind),
            account=self._scratch.account,
        )
        self._nodes_v = parts[5]
        eliminate(self._network)
        self._plus_column = layout.first_column(0)

    @property
    def account(self) -> Account:
        """What its solutions have taken so far."""
        solutions, steps, residual = self._scratch.account.tolist()
        return Account(int(solutions), int(steps), residual)

    def load(self, cells_uS: NDArray[np.float32]) -> None:
        """Put these cells between the lines, (2, rows, outputs).

        Raises:
            ShapeError: Another shape.
        """
        shape = (2, len(self._rows), self.layout.outputs)
        if cells_uS.shape != shape:
            raise ShapeError("cells", f"have shape {cells_uS.shape}, expected {shape}")
        place(
            cells_uS,
            self.layout.shared,
            self._plus_column,
            self.layout.transistor_mohm,
            self._network.cells_uS,
        )
        eliminate(self._network)

    def reading(
        self,
        gain: NDArray[np.float32],
        *,
        solved: bool,
        renewed: bool,
        tolerance: float = TOLERANCE,
    ) -> ReadingWires:
        """Its memory for a learning kernel; arguments are fields of the result."""
        planes, columns = self.layout.rows_per_node, self._nodes_v.shape[1]
        return ReadingWires(
            gain=gain,
            solved=solved,
            renewed=renewed,
            shared=self.layout.shared,
            plus_column=self._plus_column,
            transistor_mohm=self.layout.transistor_mohm,
            tolerance=tolerance,
            network=self._network,
            work=self._work,
            nodes_v=self._nodes_v,
            rows_v=np.zeros((len(self._network.cells_uS), planes, LANES), self._kind),
            still_v=np.zeros(columns, self._kind),
            columns_ua=np.zeros(columns, self._kind),
            drawn_ua=np.zeros((planes, len(self._rows)), self._kind),
        )

    def renew(
        self, cells_uS: NDArray[np.float32], gain: NDArray[np.float32], tolerance: float
    ) -> None:
        """Load these cells and put their gains into ``gain``: transfer over conductance.

        Args:
            cells_uS: Shape (2, rows, outputs).
            gain: Result, same shape.
            tolerance: Relative residual at which a solution is accepted.

        Raises:
            NoSolution: A residual did not fall below the tolerance.
        """
        found = renew_gain(
            cells_uS, self.reading(gain, solved=False, renewed=True, tolerance=tolerance)
        )
        self._accept(*found, tolerance)

    @property
    def scratch(self) -> BlockScratch:
        """Its memory as scratch for `drops`, which leaves nothing of its cells and solutions."""
        return self._scratch

    def forget(self) -> None:
        """Start the next solution from source lines at 0 V."""
        self._nodes_v[:] = 0.0

    def solve(
        self,
        plus_v: NDArray[np.floating],
        minus_v: NDArray[np.floating] | None = None,
        *,
        cells: bool = False,
        tolerance: float = TOLERANCE,
    ) -> Solution:
        """Currents and voltages at given voltages of the bit lines, relative to the clamp.

        Args:
            plus_v: Bit lines of the "+" cells, (rows,); 1T1R: all bit lines.
            minus_v: Bit lines of the "-" cells, (rows,); 1T1R: None.
            cells: Also give the voltages over the cells.
            tolerance: Relative residual at which a solution is accepted.

        Raises:
            ShapeError: Not as many voltages as bit lines.
            NoSolution: The residual did not fall below the tolerance.
        """
        rows = [plus_v] if minus_v is None else [plus_v, minus_v]
        inputs, planes = len(self._rows), self.layout.rows_per_node
        if len(rows) != planes or any(one.shape != (inputs,) for one in rows):
            shapes = ", ".join(str(one.shape) for one in rows)
            raise ShapeError(
                "bit line voltages", f"have shapes {shapes}, expected {planes} x ({inputs},)"
            )
        rows_v = np.zeros((len(self._network.cells_uS) * LANES, planes), self._kind)
        rows_v[:inputs] = np.stack(rows, axis=1)
        rows_v = np.ascontiguousarray(rows_v.reshape(-1, LANES, planes).transpose(0, 2, 1))
        columns_ua = np.empty(self.layout.columns, self._kind)
        steps, residual = solve_nodes(
            self._network,
            rows_v,
            0.0,
            np.zeros_like(columns_ua),
            self._nodes_v,
            columns_ua,
            self._work,
            tolerance,
            STEPS_MAX,
        )
        self._accept(steps, residual, tolerance)
        over = None
        if cells:
            tiles = np.empty_like(self._network.cells_uS)
            cell_voltages(self._network, rows_v, 0.0, self._nodes_v, self._work.lanes, tiles)
            over = np.empty((2, inputs, self.layout.outputs))
            take(tiles, self.layout.shared, self._plus_column, over)
        found_ua = columns_ua.astype(np.float64)
        return Solution(
            columns_ua=found_ua,
            currents_ua=self._signed(found_ua),
            nodes_v=self._nodes_v.astype(np.float64),
            cells_v=over,
            steps=steps,
            residual=residual,
        )

    def transfer_uS(self, tolerance: float = TOLERANCE, kind: Kind = np.float64) -> NDArray[Any]:
        """Effective conductance of every cell, (2, rows, outputs): never negative.

        Args:
            tolerance: Relative residual at which a solution is accepted.
            kind: Of the result.

        Raises:
            NoSolution: A residual did not fall below the tolerance.
        """
        layout = self.layout
        found = np.empty((2, len(self._rows), layout.outputs), kind)
        steps, residual = transfer_columns(
            self._network,
            self._work,
            self._nodes_v,
            np.empty(layout.columns, self._kind),
            layout.shared,
            self._plus_column,
            np.zeros((0, 0, 0), np.float32),
            tolerance,
            STEPS_MAX,
            np.empty((layout.rows_per_node, len(self._rows)), self._kind),
            found,
        )
        self.forget()
        self._accept(steps, residual, tolerance)
        return found

    def _signed(self, columns_ua: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.layout.shared:
            return columns_ua
        first = self.layout.first_column
        return columns_ua[first(0) :: 2] - columns_ua[first(1) :: 2]

    @staticmethod
    def _accept(steps: int, residual: float, tolerance: float) -> None:
        limit = max(tolerance, 1e-14)
        if not residual <= limit:
            told, bound = apart(residual, limit)
            raise NoSolution(f"wires residual {told} after {steps} steps, limit {bound}")
