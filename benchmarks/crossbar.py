"""One crossbar with wires for badcrossbar and for the emulator, of the same resistors.

784 rows, 100 columns and a cell at each crossing; all segments alike, drivers and clamps a segment
each, as badcrossbar wants it: array 1 in 1T1R form with half its columns. Measures nothing.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.wires import Grid, Layout
from starlab_sim.effects import Array1Wires, Wires
from starlab_spec.geometry import ARRAY1

SEGMENT_OHM: Final = 0.35
READ_V: Final = 0.227
"""Read voltage at the published rails."""
ON: Final = 0.13
"""Share of the rows that are on: that of binarised MNIST."""
WORKER: Final = "badcrossbar_worker.py"
LINES: Final = replace(
    Layout.of(ARRAY1, Wires(array1=Array1Wires(topology="1T1R"))),
    outputs=50,
    bl_segment_ohm=SEGMENT_OHM,
    sl_segment_ohm=SEGMENT_OHM,
    bl_driver_ohm=SEGMENT_OHM,
    sl_driver_ohm=SEGMENT_OHM,
)


def random_cells(lines: Layout) -> NDArray[np.float32]:
    """Cells across the window."""
    shape = (2, lines.inputs, lines.outputs)
    return np.random.default_rng(1).uniform(2, 20, shape).astype(np.float32)


def binary_rows(lines: Layout) -> NDArray[np.float64]:
    """Voltages of the bit lines for one binary vector, (bit lines of a row, inputs)."""
    on = np.random.default_rng(2).random(lines.inputs) < ON
    return READ_V * np.stack([on, -1.0 * on])[: lines.rows_per_node]


def cold(lines: Layout, cells_uS: NDArray[np.float32]) -> NDArray[np.float64]:
    """Currents of all columns from scratch: lines laid, cells placed, nothing known from before."""
    grid = Grid(lines)
    grid.load(cells_uS)
    return grid.solve(*binary_rows(lines)).columns_ua


def for_badcrossbar(cells_uS: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """The same as its worker takes it."""
    crossings = np.empty((LINES.inputs, LINES.columns))
    crossings[:, 0::2], crossings[:, 1::2] = cells_uS
    return {
        "ohm": 1e6 / crossings,
        "volts": binary_rows(LINES)[0],
        "segment_ohm": np.array(SEGMENT_OHM),
    }
