"""Compiled READ of single cells through their wires. Converts nothing.

READ opens the transistors of one row of one plane [O], so that no other cell conducts: each source
line is a plain resistance, and the bit line is a ladder that is solved exactly.
"""

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.wires.programming import PulsedLines


@compiled
def seen_rows(
    rows_uS: NDArray[np.float32], first_row: int, lines: PulsedLines, out: NDArray[np.float32]
) -> None:
    """Conductance that READ sees instead of each cell's own.

    Args:
        rows_uS: Cells of consecutive rows of one plane, (rows, outputs).
        first_row: Row of the array that they begin with.
        lines: Lines of the plane.
        out: Result, same shape as ``rows_uS``.
    """
    columns = rows_uS.shape[1]
    share = np.empty(columns)
    loaded = np.empty(columns)
    for i in range(rows_uS.shape[0]):
        below = lines.inputs - 1 - (first_row + i)
        series = lines.transistor_mohm + lines.sl_driver_mohm + lines.sl_segment_mohm * below
        total = 0.0
        for back in range(columns):
            j = columns - 1 - back
            bl = lines.bl_segment_mohm * lines.column_step
            if j == 0:
                bl = lines.bl_driver_mohm + lines.bl_segment_mohm * lines.first_column
            g = np.float64(rows_uS[i, j])
            loaded[j] = g / (1.0 + g * series)
            total += loaded[j]
            share[j] = 1.0 / (1.0 + bl * total)
            total *= share[j]
        u = 1.0
        for j in range(columns):
            u *= share[j]
            out[i, j] = np.float32(loaded[j] * u)
