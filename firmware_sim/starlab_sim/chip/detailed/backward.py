"""Compiled way back of the error, through cells that are not ideal. Changes no cell.

The network is that of the forward pass: bit lines and source lines keep their resistances at both
ends, whichever of them drives, so that by reciprocity a cell takes back what it lets forward [O].
A trap has the state that it had in the forward pass.
"""

import math

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.counters import CELLS, CONVERTERS, LINES
from starlab_sim.chip.detailed.cells import BackwardNoise, Cells, Floats, Traps
from starlab_sim.chip.detailed.forward import sum_rows
from starlab_sim.chip.kernels import Rows, Sums
from starlab_sim.chip.learning import FALLING, RISING, Rules
from starlab_sim.chip.pulsing import Columns
from starlab_sim.chip.readout import Readout
from starlab_sim.chip.tuning import compared, output_floor
from starlab_spec.geometry import MINUS, PLUS


@compiled
def driven_back(
    cells2: Cells,
    y1: NDArray[np.uint8],
    rules: Rules,
    columns2: Columns,
    found2: NDArray[np.int64],
    rows2: Rows,
    columns1: Columns,
    found1: NDArray[np.int64],
    readout: Readout,
    gain: Floats,
    traps: Traps,
    noise: BackwardNoise,
    ticks: int,
    rng: np.random.Generator,
    reading_j: Sums,
) -> int:
    """List the rows of array 2 that are on, and the columns of array 1 to rise and to fall.

    The plain kernel of the same name does this for ideal cells. If there is noise, each hidden unit
    that is on draws one normal number, by rising index.

    Args:
        cells2: Array 2.
        y1: Hidden codes, (100,).
        rules: Thresholds.
        columns2: Shape (2, 10): columns of RISING and of FALLING weights of array 2.
        found2: Shape (2,): how many.
        rows2: Result, rows of array 2 that are on, (100,).
        columns1: Result, (2, 100): the same as ``columns2`` for array 1.
        found1: Result, (2,).
        readout: Voltages and energies.
        gain: Of array 2, (2, 100, 10), or nothing.
        traps: Of array 2.
        noise: Of a comparison.
        ticks: The time.
        rng: Noise of the comparators.
        reading_j: Grows by the energy: of the hidden units that are on.

    Returns:
        How many rows are on.
    """
    found1[:] = 0
    if found2[RISING] + found2[FALLING] == 0:
        return 0
    floor = output_floor(y1, rules)
    classes = cells2.conductance_uS.shape[2]
    up_uS, down_uS = np.empty(classes), np.empty(classes)
    row = np.empty(1, np.int64)
    on, units = 0, 0
    driven_uS = 0.0
    for j in range(y1.shape[0]):
        if y1[j] == 0:
            continue
        units += 1
        if y1[j] >= floor:
            rows2[on] = j
            on += 1
        row[0] = j
        sum_rows(cells2, PLUS, row, 1, gain, traps, ticks, up_uS)
        sum_rows(cells2, MINUS, row, 1, gain, traps, ticks, down_uS)
        back_uS = 0.0
        for b in range(found2[RISING]):
            k = columns2[RISING, b]
            back_uS += up_uS[k] - down_uS[k]
            driven_uS += up_uS[k] + down_uS[k]
        for b in range(found2[FALLING]):
            k = columns2[FALLING, b]
            back_uS -= up_uS[k] - down_uS[k]
            driven_uS += up_uS[k] + down_uS[k]
        if noise.on:
            line_uS = up_uS.sum() + down_uS.sum()
            sigma_uS = math.sqrt(noise.comparator_uS**2 + noise.thermal_uS * line_uS)
            back_uS += sigma_uS * rng.standard_normal()
        compared(back_uS, j, rules, columns1, found1)
    reading_j[CELLS] += readout.back2_j * driven_uS
    reading_j[CONVERTERS] += readout.comparison_j * units
    reading_j[LINES] += readout.column2_j * (found2[RISING] + found2[FALLING])
    return on
