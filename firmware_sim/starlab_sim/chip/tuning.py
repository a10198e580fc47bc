"""Compiled pulses and learning: cells move here and nowhere else. Knows no rail and no register.

Order of pulses, and so of noise draws [O; two passes per array and phase: C, R]. A pulse operation
on a mask goes row by row: "+" cells, then "-" cells. A tuning step of an array makes up to four
passes: SET on "+" cells of rising weights, SET on "-" cells of falling weights, RESET on "-" cells
of rising weights, RESET on "+" cells of falling weights; each pass goes through its rows by rising
index. A row's pulses follow one another, each on all its selected columns. Where the model has
noise at that kind of pulse, every pulse on a cell draws one normal number, by rising column.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.kernels import Conductance, Rows, Sums, multiply1, multiply2, rows_on
from starlab_sim.chip.learning import FALLING, RISING, Rules
from starlab_sim.chip.readout import Readout
from starlab_spec.geometry import (
    MINUS,
    PLUS,
    CONDUCTANCE_MAX_uS,
    CONDUCTANCE_MIN_uS,
    VIRGIN_MAX_uS,
)
from starlab_spec.operations import Activation, PulseKind

BOTTOM = np.float32(CONDUCTANCE_MIN_uS)
TOP = np.float32(CONDUCTANCE_MAX_uS)
VIRGIN = np.float32(VIRGIN_MAX_uS)
SET = int(PulseKind.SET)
RESET = int(PulseKind.RESET)
NONE = int(Activation.NONE)
RELU = int(Activation.RELU)
SIGMOID = int(Activation.SIGMOID)

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
                row = cells[plane, first_row + i]
                energy_j[0] += pulse_row(row, columns, found, count, motion, rng, noise)
                selected += found
    return selected


@compiled
def form_rows(
    cells: Conductance,
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
    :func:`pulse_rows`; ``formable`` has the shape of ``cells``.
    """
    columns = np.empty(mask.shape[2], np.uint64)
    selected = 0
    for i in range(mask.shape[1]):
        for plane in range(2):
            row = cells[plane, first_row + i]
            found = selected_columns(mask[plane, i], columns)
            sum_uS = 0.0
            for b in range(found):
                j = columns[b]
                sum_uS += row[j]
                if row[j] < VIRGIN and formable[plane, first_row + i, j]:
                    formed = np.float32(target_uS + spread_uS * rng.standard_normal())
                    row[j] = min(max(formed, BOTTOM), TOP)
            if found > 0:
                energy_j[0] += count * (line_j + cell_j * sum_uS)
            selected += found
    return selected


@compiled
def tune(
    cells: Conductance,
    rows: Rows,
    row_count: int,
    columns: Columns,
    column_counts: NDArray[np.int64],
    counts: NDArray[np.int64],
    motions: tuple[Motion, Motion],
    rng: np.random.Generator,
    noise: NDArray[np.float32],
    energy_j: Sums,
    tally: NDArray[np.int64],
) -> int:
    """All passes of one array's tuning step; returns the pulses applied.

    Args:
        cells: Shape (2, inputs, outputs).
        rows: Rows that are driven; the first ``row_count`` entries.
        row_count: How many.
        columns: Shape (2, outputs): columns of RISING and of FALLING weights.
        column_counts: Shape (2,): how many.
        counts: Shape (2, 2): pulses per cell, by plane and direction.
        motions: What SET and RESET pulses do.
        rng: The array's noise.
        noise: Scratch, (outputs,).
        energy_j: Grows by the energy, pass by pass.
        tally: Grows by the pulses, by kind.
    """
    total = 0
    for kind, plane, direction in (
        (SET, PLUS, RISING),
        (SET, MINUS, FALLING),
        (RESET, MINUS, RISING),
        (RESET, PLUS, FALLING),
    ):
        count = counts[plane, direction]
        found = column_counts[direction]
        if count == 0 or found == 0:
            continue
        motion = motions[kind]
        selected = columns[direction]
        pass_j = 0.0
        for a in range(row_count):
            row = cells[plane, rows[a]]
            pass_j += pulse_row(row, selected, found, count, motion, rng, noise)
        energy_j[0] += pass_j
        pulses = count * row_count * found
        tally[kind] += pulses
        total += pulses
    return total


@compiled
def output_sign(z: float, target: float, rules: Rules) -> int:
    """``sy2_k * se_k``: the gated, ternary error of one output."""
    y = z
    gate = 1.0
    if rules.activation == RELU:
        y = max(z, 0.0)
        gate = y
    elif rules.activation == SIGMOID:
        half = np.tanh(0.5 * (z / rules.scale))
        y = rules.amplitude * (0.5 * (1.0 + half))
        gate = 1.0 - half * half
    elif rules.activation != NONE:
        slope = np.tanh(z / rules.scale)
        y = rules.amplitude * slope
        gate = 1.0 - slope * slope
    if rules.activation != NONE and (gate <= 0.0 or gate < rules.c2):
        return 0
    error = target - y
    if error > 0.0 and error >= rules.threshold:
        return 1
    if error < 0.0 and error <= -rules.threshold:
        return -1
    return 0


@compiled
def train_batch(
    cells1: Conductance,
    cells2: Conductance,
    samples: NDArray[np.uint8],
    targets: NDArray[np.int32],
    readout: Readout,
    rules: Rules,
    counts: NDArray[np.int64],
    phase: int,
    motions1: tuple[Motion, Motion],
    motions2: tuple[Motion, Motion],
    rng1: np.random.Generator,
    rng2: np.random.Generator,
    hidden: NDArray[np.uint8],
    outputs: NDArray[np.int32],
    pulses: NDArray[np.int32],
    energy_j: Sums,
    tally: NDArray[np.int64],
) -> int:
    """One learning step for each of some samples; returns the phase after them.

    The updates of both arrays come from the state before either changes.

    Args:
        cells1: Array 1, (2, 784, 100).
        cells2: Array 2, (2, 100, 10).
        samples: Packed, (n, 98).
        targets: (n, 10), output codes.
        readout: Forward settings.
        rules: Thresholds and activation.
        counts: `Schedule.pulse_counts()`.
        phase: Phase of the first sample.
        motions1: SET and RESET pulses on array 1.
        motions2: SET and RESET pulses on array 2.
        rng1: Noise of array 1.
        rng2: Noise of array 2.
        hidden: Result, (n, 100): hidden codes.
        outputs: Result, (n, 10): outputs before the update.
        pulses: Result, (n, 2): pulses on arrays 1 and 2.
        energy_j: Grows by the energy, sample by sample.
        tally: Grows by the pulses, (2, 3): by array and kind.
    """
    width = hidden.shape[1]
    classes = outputs.shape[1]
    rows1 = np.empty(cells1.shape[1], np.int64)
    rows2 = np.empty(width, np.int64)
    columns1 = np.empty((2, width), np.uint64)
    columns2 = np.empty((2, classes), np.uint64)
    found1 = np.zeros(2, np.int64)
    found2 = np.zeros(2, np.int64)
    noise = np.empty(width, np.float32)
    plus = np.empty(width)
    minus = np.empty(width)
    for s in range(samples.shape[0]):
        y1 = hidden[s]
        row_count = rows_on(samples[s], rows1)
        used_j = multiply1(cells1, rows1, row_count, readout, plus, minus, y1)
        energy_j[0] += used_j + multiply2(cells2, y1, readout, outputs[s])

        found2[:] = 0
        for k in range(classes):
            sign = output_sign(np.float64(outputs[s, k]), np.float64(targets[s, k]), rules)
            if sign != 0:
                direction = RISING if sign > 0 else FALLING
                columns2[direction, found2[direction]] = k
                found2[direction] += 1

        found1[:] = 0
        on = 0
        pulses[s, 0] = 0
        pulses[s, 1] = 0
        if found2[RISING] + found2[FALLING] > 0:
            floor = rules.c1
            if rules.c1_relative:
                floor = rules.c1 * np.float64(y1.max()) / 1000.0
            for j in range(width):
                if y1[j] == 0:
                    continue
                if y1[j] >= floor:
                    rows2[on] = j
                    on += 1
                back_uS = 0.0
                for b in range(found2[RISING]):
                    k = columns2[RISING, b]
                    back_uS += np.float64(cells2[PLUS, j, k]) - np.float64(cells2[MINUS, j, k])
                for b in range(found2[FALLING]):
                    k = columns2[FALLING, b]
                    back_uS -= np.float64(cells2[PLUS, j, k]) - np.float64(cells2[MINUS, j, k])
                if back_uS > 0.0 and back_uS >= rules.hidden_threshold_uS:
                    columns1[RISING, found1[RISING]] = j
                    found1[RISING] += 1
                elif back_uS < 0.0 and back_uS <= -rules.hidden_threshold_uS:
                    columns1[FALLING, found1[FALLING]] = j
                    found1[FALLING] += 1
            # array 2 drives the error back before it is tuned itself
            pulses[s, 0] = tune(
                cells1,
                rows1,
                row_count,
                columns1,
                found1,
                counts[phase, 0],
                motions1,
                rng1,
                noise,
                energy_j,
                tally[0],
            )
            pulses[s, 1] = tune(
                cells2,
                rows2,
                on,
                columns2,
                found2,
                counts[phase, 1],
                motions2,
                rng2,
                noise,
                energy_j,
                tally[1],
            )
        phase = (phase + 1) % counts.shape[0]
    return phase
