"""Compiled pulses: cells move here and nowhere else. Knows no rail and no register.

A pulse operation on a mask goes row by row: "+" cells, then "-" cells. A row's pulses follow one
another, each on all its selected columns. Where the model has noise at that kind of pulse, every
pulse on a cell draws one normal number, by rising column.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.kernels import Conductance, Sums
from starlab_spec.geometry import CONDUCTANCE_MAX_uS, CONDUCTANCE_MIN_uS, VIRGIN_MAX_uS

BOTTOM = np.float32(CONDUCTANCE_MIN_uS)
TOP = np.float32(CONDUCTANCE_MAX_uS)
VIRGIN = np.float32(VIRGIN_MAX_uS)

Counts = NDArray[np.uint32]
"""Pulses that cells have had."""
Columns = NDArray[np.uint64]
"""Indices; unsigned, which spares the kernels the question whether they count from the end."""


class Motion(NamedTuple):
    """What a pulse of one kind and of given conditions does to the cells of one array."""

    start_uS: np.float32
    """End of the window that the pulse moves away from: there the bins begin."""
    bins_per_uS: np.float32
    """Bins divided by the width of the window; negative if the pulse moves down."""
    mean_uS: NDArray[np.float32]
    """Mean step of each bin; negative if the pulse moves down."""
    sigma_uS: NDArray[np.float32]
    """Standard deviation of the step of each bin."""
    noisy: bool
    """Whether any of them is above 0."""
    cell_j: float
    """Energy per uS of the cell."""
    line_j: float
    """Energy of driving the lines of one row, beside the cells."""


@compiled
def pulse_row(
    row: Conductance,
    pulsed: Counts,
    columns: Columns,
    column_count: int,
    count: int,
    motion: Motion,
    rng: np.random.Generator,
    noise: NDArray[np.float32],
) -> float:
    """SET or RESET pulses on some cells of a row; returns the energy in J.

    Every cell moves here and nowhere else, but for forming.

    Args:
        row: Cells of one row and plane.
        pulsed: Pulses that these cells have had; grows.
        columns: Selected columns; the first ``column_count`` entries.
        column_count: How many.
        count: Pulses on each.
        motion: What a pulse does.
        rng: Noise.
        noise: Scratch, as long as ``columns``.
    """
    last = np.int32(motion.mean_uS.shape[0] - 1)
    mean_uS = motion.mean_uS
    sigma_uS = motion.sigma_uS
    energy_j = 0.0
    for _ in range(count):
        sum_uS = 0.0
        if motion.noisy:
            for b in range(column_count):
                noise[b] = np.float32(rng.standard_normal())
        for b in range(column_count):
            column = columns[b]
            g = row[column]
            sum_uS += g
            bin_ = np.int32((g - motion.start_uS) * motion.bins_per_uS)
            entry = np.uint32(max(min(bin_, last), np.int32(0)))
            step = mean_uS[entry]
            if motion.noisy:
                step += sigma_uS[entry] * noise[b]
            target = min(max(g + step, BOTTOM), TOP)
            row[column] = target if g >= VIRGIN else g
            pulsed[column] += np.uint32(1)
        energy_j += motion.line_j + motion.cell_j * sum_uS
    return energy_j


@compiled
def selected_columns(mask: NDArray[np.bool_], columns: Columns) -> int:
    """List the columns that a mask selects, by rising index; return how many."""
    count = 0
    for j in range(mask.shape[0]):
        columns[count] = j
        count += mask[j]
    return count


@compiled
def pulse_rows(
    cells: Conductance,
    pulsed: Counts,
    mask: NDArray[np.bool_],
    first_row: int,
    count: int,
    motion: Motion,
    rng: np.random.Generator,
    energy_j: Sums,
) -> int:
    """SET or RESET pulses on masked cells; returns how many cells were selected.

    Args:
        cells: Shape (2, inputs, outputs).
        pulsed: Same shape: pulses that each cell has had; grows.
        mask: Shape (2, rows, outputs).
        first_row: Row of the array that the mask's first row stands for.
        count: Pulses per cell.
        motion: What each does.
        rng: Noise.
        energy_j: Grows row by row.
    """
    columns = np.empty(mask.shape[2], np.uint64)
    noise = np.empty(mask.shape[2], np.float32)
    selected = 0
    for i in range(mask.shape[1]):
        for plane in range(2):
            found = selected_columns(mask[plane, i], columns)
            if found > 0:
                energy_j[0] += pulse_row(
                    cells[plane, first_row + i],
                    pulsed[plane, first_row + i],
                    columns,
                    found,
                    count,
                    motion,
                    rng,
                    noise,
                )
                selected += found
    return selected


@compiled
def form_rows(
    cells: Conductance,
    pulsed: Counts,
    formable: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    first_row: int,
    count: int,
    target_uS: float,
    spread_uS: float,
    cell_j: float,
    line_j: float,
    rng: np.random.Generator,
    energy_j: Sums,
) -> int:
    """FORM pulses on masked cells; returns how many cells were selected.

    The first pulse forms a cell, whatever the count, and draws one normal number. A formed cell
    stays as it is. The energy is that of the conductance before. Arguments as of
    :func:`pulse_rows`; ``formable`` has the shape of the mask.
    """
    columns = np.empty(mask.shape[2], np.uint64)
    selected = 0
    for i in range(mask.shape[1]):
        for plane in range(2):
            row = cells[plane, first_row + i]
            had = pulsed[plane, first_row + i]
            found = selected_columns(mask[plane, i], columns)
            sum_uS = 0.0
            for b in range(found):
                j = columns[b]
                had[j] += np.uint32(count)
                sum_uS += row[j]
                if row[j] < VIRGIN and formable[plane, i, j]:
                    formed = np.float32(target_uS + spread_uS * rng.standard_normal())
                    row[j] = min(max(formed, BOTTOM), TOP)
            if found > 0:
                energy_j[0] += count * (line_j + cell_j * sum_uS)
            selected += found
    return selected
