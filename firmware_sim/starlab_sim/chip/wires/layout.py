"""Which lines an array has and what resists where, from the settings. Solves nothing.

The drivers of the bit lines are before column 0, the clamps of the source lines after the last row
[O]. In the 1T1R form the two cells of a pair are neighbours on one bit line: "-" first in array 2,
"+" first in array 1 [C].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starlab_sim.effects import Array1Wires, Array2Wires, Wires
from starlab_spec.geometry import ArrayGeometry

OHM_TO_MOHM = 1e-6


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines of an array."""

    inputs: int
    """Rows of pairs."""
    outputs: int
    """Pairs of a row."""
    shared: bool
    """2T2R: a pair has two bit lines and shares a source line. Otherwise 1T1R: a pair has one bit
    line and two source lines."""
    plus_first: bool
    """1T1R: "+" cells are in even columns; otherwise in odd ones."""
    bl_segment_ohm: float
    """Bit line between two columns."""
    sl_segment_ohm: float
    """Source line between two rows of pairs."""
    bl_driver_ohm: float
    """Driver of a bit line."""
    sl_driver_ohm: float
    """Virtual clamp of a source line, or its driver."""
    transistor_ohm: float
    """In series with each cell."""

    @classmethod
    def of(cls, geometry: ArrayGeometry, wires: Wires) -> "Layout":
        """Lines of array 1 or 2 with these settings."""
        one: Array1Wires | Array2Wires = wires.array1 if geometry.number == 1 else wires.array2
        return cls(
            inputs=geometry.inputs,
            outputs=geometry.outputs,
            shared=isinstance(one, Array1Wires) and one.topology == "2T2R",
            plus_first=geometry.number == 1,
            bl_segment_ohm=one.bl_segment_ohm,
            sl_segment_ohm=one.sl_segment_ohm,
            bl_driver_ohm=one.bl_driver_ohm,
            sl_driver_ohm=one.sl_driver_ohm,
            transistor_ohm=one.transistor_ohm,
        )

    @property
    def ideal(self) -> bool:
        """Whether nothing resists."""
        return not (
            self.bl_segment_ohm
            or self.sl_segment_ohm
            or self.bl_driver_ohm
            or self.sl_driver_ohm
            or self.transistor_ohm
        )

    @property
    def columns(self) -> int:
        """Source lines."""
        return self.outputs if self.shared else 2 * self.outputs

    @property
    def rows_per_node(self) -> int:
        """Bit lines of a row of pairs."""
        return 2 if self.shared else 1

    @property
    def column_step(self) -> int:
        """Source lines from one pair to the next."""
        return 1 if self.shared else 2

    def first_column(self, plane: int) -> int:
        """Source line of the first cell of a plane: PLUS 0, MINUS 1."""
        return 0 if self.shared or (plane == 0) == self.plus_first else 1

    @property
    def transistor_mohm(self) -> float:
        """In series with each cell, as the kernels take it."""
        return self.transistor_ohm * OHM_TO_MOHM

    def bl_mohm(self) -> NDArray[np.float64]:
        """Resistance before each column of a bit line, (columns,)."""
        line = np.full(self.columns, self.bl_segment_ohm * OHM_TO_MOHM)
        line[0] = self.bl_driver_ohm * OHM_TO_MOHM
        return line

    def sl_mohm(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Resistance after the node of each of some rows on a source line, (rows,).

        Args:
            rows: Rising, at least one.
        """
        beyond = np.append(rows[1:], self.inputs - 1)
        line = (beyond - rows).astype(np.float64) * (self.sl_segment_ohm * OHM_TO_MOHM)
        line[-1] += self.sl_driver_ohm * OHM_TO_MOHM
        return line
