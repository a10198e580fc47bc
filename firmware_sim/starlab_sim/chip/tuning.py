"""Compiled learning: which cells of which rows get which pulses. Moves no cell itself.

Order of pulses, and so of noise draws [O; two passes per array and phase: C, R]. A tuning step of
an array makes up to four passes: SET on "+" cells of rising weights, SET on "-" cells of falling
weights, RESET on "-" cells of rising weights, RESET on "+" cells of falling weights; each pass goes
through its rows by rising index.
"""

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.counters import CELLS, CONVERTERS, LINES
from starlab_sim.chip.kernels import (
    Conductance,
    Rows,
    Sums,
    add_fixed1,
    add_fixed2,
    multiply1,
    multiply2,
    rows_on,
)
from starlab_sim.chip.learning import FALLING, RISING, Rules
from starlab_sim.chip.pulsing import Columns, Counts, Motion, pulse_row
from starlab_sim.chip.readout import Readout
from starlab_spec.geometry import MINUS, PLUS
from starlab_spec.operations import Activation, PulseKind

SET = int(PulseKind.SET)
RESET = int(PulseKind.RESET)
NONE = int(Activation.NONE)
RELU = int(Activation.RELU)
SIGMOID = int(Activation.SIGMOID)


@compiled
def tune(
    cells: Conductance,
    pulsed: Counts,
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
        pulsed: Same shape: pulses that each cell has had; grows.
        rows: Rows that are driven; the first ``row_count`` entries.
        row_count: How many.
        columns: Shape (2, outputs): columns of RISING and of FALLING weights.
        column_counts: Shape (2,): how many.
        counts: Shape (2, 2): pulses per cell, by plane and direction.
        motions: What SET and RESET pulses do.
        rng: The array's noise.
        noise: Scratch, (outputs,).
        energy_j: Grows by the energy, by kind, pass by pass.
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
            row, had = cells[plane, rows[a]], pulsed[plane, rows[a]]
            pass_j += pulse_row(row, had, selected, found, count, motion, rng, noise)
        energy_j[kind] += pass_j
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
def output_columns(
    outputs: NDArray[np.int32],
    targets: NDArray[np.int32],
    rules: Rules,
    columns2: Columns,
    found2: NDArray[np.int64],
) -> None:
    """List the columns of array 2 whose weights are to rise, and those whose are to fall."""
    found2[:] = 0
    for k in range(outputs.shape[0]):
        sign = output_sign(np.float64(outputs[k]), np.float64(targets[k]), rules)
        if sign != 0:
            direction = RISING if sign > 0 else FALLING
            columns2[direction, found2[direction]] = k
            found2[direction] += 1


@compiled
def output_floor(y1: NDArray[np.uint8], rules: Rules) -> float:
    """C1 in hidden codes: below it a hidden unit drives no update of array 2."""
    if rules.c1_relative:
        return rules.c1 * np.float64(y1.max()) / 1000.0
    return rules.c1


@compiled
def compared(
    back_uS: float, j: int, rules: Rules, columns1: Columns, found1: NDArray[np.int64]
) -> None:
    """List a column of array 1 by the error that reached its hidden unit."""
    if back_uS > 0.0 and back_uS >= rules.hidden_threshold_uS:
        columns1[RISING, found1[RISING]] = j
        found1[RISING] += 1
    elif back_uS < 0.0 and back_uS <= -rules.hidden_threshold_uS:
        columns1[FALLING, found1[FALLING]] = j
        found1[FALLING] += 1


@compiled
def driven_back(
    cells2: Conductance,
    y1: NDArray[np.uint8],
    rules: Rules,
    columns2: Columns,
    found2: NDArray[np.int64],
    rows2: Rows,
    columns1: Columns,
    found1: NDArray[np.int64],
    readout: Readout,
    reading_j: Sums,
) -> int:
    """List the rows of array 2 that are on, and the columns of array 1 to rise and to fall.

    Adds the energy of driving the error back and of comparing it: of the hidden units that are on.

    Returns:
        How many rows are on.
    """
    found1[:] = 0
    on = 0
    if found2[RISING] + found2[FALLING] == 0:
        return 0
    floor = output_floor(y1, rules)
    driven_uS = 0.0
    units = 0
    for j in range(y1.shape[0]):
        if y1[j] == 0:
            continue
        units += 1
        if y1[j] >= floor:
            rows2[on] = j
            on += 1
        back_uS = 0.0
        for b in range(found2[RISING]):
            k = columns2[RISING, b]
            up_uS, down_uS = np.float64(cells2[PLUS, j, k]), np.float64(cells2[MINUS, j, k])
            back_uS += up_uS - down_uS
            driven_uS += up_uS + down_uS
        for b in range(found2[FALLING]):
            k = columns2[FALLING, b]
            up_uS, down_uS = np.float64(cells2[PLUS, j, k]), np.float64(cells2[MINUS, j, k])
            back_uS -= up_uS - down_uS
            driven_uS += up_uS + down_uS
        compared(back_uS, j, rules, columns1, found1)
    reading_j[CELLS] += readout.back2_j * driven_uS
    reading_j[CONVERTERS] += readout.comparison_j * units
    reading_j[LINES] += readout.column2_j * (found2[RISING] + found2[FALLING])
    return on


@compiled
def train_batch(
    cells1: Conductance,
    cells2: Conductance,
    pulsed1: Counts,
    pulsed2: Counts,
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
    reading_j: Sums,
    programming_j: NDArray[np.float64],
    tally: NDArray[np.int64],
) -> int:
    """One learning step for each of some samples; returns the phase after them.

    The updates of both arrays come from the state before either changes.

    Args:
        cells1: Array 1, (2, 784, 100).
        cells2: Array 2, (2, 100, 10).
        pulsed1: Pulses that cells of array 1 have had, (2, 784, 100); grows.
        pulsed2: The same of array 2, (2, 100, 10).
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
        reading_j: Grows by the energy of both directions: cells, converters, lines.
        programming_j: Grows by the energy of pulses, (2, 3): by array and kind.
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
        reading_j[CELLS] += used_j + multiply2(cells2, y1, readout, outputs[s])
        add_fixed1(readout, row_count, reading_j)
        add_fixed2(readout, y1, reading_j)

        output_columns(outputs[s], targets[s], rules, columns2, found2)
        on = driven_back(
            cells2, y1, rules, columns2, found2, rows2, columns1, found1, readout, reading_j
        )
        pulses[s, 0] = 0
        pulses[s, 1] = 0
        if found2[RISING] + found2[FALLING] > 0:
            # array 2 drives the error back before it is tuned itself
            pulses[s, 0] = tune(
                cells1,
                pulsed1,
                rows1,
                row_count,
                columns1,
                found1,
                counts[phase, 0],
                motions1,
                rng1,
                noise,
                programming_j[0],
                tally[0],
            )
            pulses[s, 1] = tune(
                cells2,
                pulsed2,
                rows2,
                on,
                columns2,
                found2,
                counts[phase, 1],
                motions2,
                rng2,
                noise,
                programming_j[1],
                tally[1],
            )
        phase = (phase + 1) % counts.shape[0]
    return phase
