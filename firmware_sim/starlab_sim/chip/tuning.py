"""Compiled pulses and learning: cells move here and nowhere else. Knows no rail and no register.

Order of pulses, and so of noise draws [O; two passes per array and phase: C, R]. A pulse operation
on a mask goes row by row: "+" cells by rising column, then "-" cells. A tuning step of an array
makes up to four passes: SET on "+" cells of rising weights, SET on "-" cells of falling weights,
RESET on "-" cells of rising weights, RESET on "+" cells of falling weights; each pass goes through
its rows, then its columns, by rising index. The pulses of one cell follow one another. Every pulse
on a formed cell draws one normal number if the model has noise at that kind of pulse, else none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.kernels import (
    Conductance,
    Rows,
    Sums,
    multiply1,
    multiply2,
    rows_on,
)
from starlab_sim.chip.learning import FALLING, RISING, Rules
from starlab_sim.chip.readout import Readout
from starlab_spec.geometry import MINUS, PLUS, CONDUCTANCE_MAX_uS, CONDUCTANCE_MIN_uS, VIRGIN_MAX_uS
from starlab_spec.operations import Activation, PulseKind

BOTTOM: np.float32 = np.float32(CONDUCTANCE_MIN_uS)
TOP: np.float32 = np.float32(CONDUCTANCE_MAX_uS)
VIRGIN: np.float32 = np.float32(VIRGIN_MAX_uS)
SET: int = int(PulseKind.SET)
RESET: int = int(PulseKind.RESET)
RELU: int = int(Activation.RELU)
SIGMOID: int = int(Activation.SIGMOID)
TANH: int = int(Activation.TANH)


class Motion(NamedTuple):
    """What SET and RESET pulses of given conditions do to the cells of one array."""

    mean_uS: NDArray[np.float32]
    """Mean step per kind and bin."""
    sigma_uS: NDArray[np.float32]
    """Standard deviation of the step per kind and bin."""
    noisy: NDArray[np.bool_]
    """Per kind: whether any deviation is above 0."""
    bins_per_uS: np.float32
    """Bins divided by the width of the window."""
    cell_j: Sums
    """Per kind: energy of a pulse per uS of the cell."""
    line_j: Sums
    """Per kind: energy that driving the lines of one row takes, beside the cells."""


@compiled
def moved(
    g: np.float32, kind: int, count: int, motion: Motion, rng: np.random.Generator
) -> np.float32:
    """Conductance of a formed cell after some SET or RESET pulses."""
    last = motion.mean_uS.shape[1] - 1
    for _ in range(count):
        depth = g - BOTTOM if kind == SET else TOP - g
        bin_ = min(np.int64(depth * motion.bins_per_uS), last)
        step = motion.mean_uS[kind, bin_]
        if motion.noisy[kind]:
            step += motion.sigma_uS[kind, bin_] * np.float32(rng.standard_normal())
        g = g + step if kind == SET else g - step
        g = min(max(g, BOTTOM), TOP)
    return g


@compiled
def pulse_rows(
    cells: Conductance,
    mask: NDArray[np.bool_],
    first_row: int,
    kind: int,
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
        kind: SET or RESET.
        count: Pulses per cell.
        motion: What each does.
        rng: Noise.
        energy_j: Grows row by row.
    """
    selected = 0
    for i in range(mask.shape[1]):
        for plane in range(2):
            row = cells[plane, first_row + i]
            lines = 0
            sum_uS = 0.0
            for j in range(mask.shape[2]):
                if mask[plane, i, j]:
                    g = row[j]
                    lines = 1
                    selected += 1
                    sum_uS += g
                    if g >= VIRGIN:
                        row[j] = moved(g, kind, count, motion, rng)
            energy_j[0] += count * (lines * motion.line_j[kind] + motion.cell_j[kind] * sum_uS)
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

    The first pulse forms a cell, whatever the count. A formed cell stays as it is. The energy is
    that of the conductance before. Arguments as of :func:`pulse_rows`; ``formable`` has the
    shape of ``cells``, and holds False everywhere if the pulse is too weak.
    """
    selected = 0
    for i in range(mask.shape[1]):
        for plane in range(2):
            row = cells[plane, first_row + i]
            lines = 0
            sum_uS = 0.0
            for j in range(mask.shape[2]):
                if mask[plane, i, j]:
                    lines = 1
                    selected += 1
                    sum_uS += row[j]
                    if row[j] < VIRGIN and formable[plane, first_row + i, j]:
                        g = np.float32(target_uS + spread_uS * rng.standard_normal())
                        row[j] = min(max(g, BOTTOM), TOP)
            energy_j[0] += count * (lines * line_j + cell_j * sum_uS)
    return selected


@compiled
def tune_pass(
    cells: Conductance,
    rows: Rows,
    row_count: int,
    columns: Rows,
    column_count: int,
    kind: int,
    count: int,
    motion: Motion,
    rng: np.random.Generator,
    energy_j: Sums,
) -> int:
    """Pulses on the crossings of some rows and columns of one plane; returns how many."""
    if count == 0 or column_count == 0 or row_count == 0:
        return 0
    sum_uS = 0.0
    for a in range(row_count):
        row = cells[rows[a]]
        for b in range(column_count):
            g = row[columns[b]]
            sum_uS += g
            if g >= VIRGIN:
                row[columns[b]] = moved(g, kind, count, motion, rng)
    energy_j[0] += count * (row_count * motion.line_j[kind] + motion.cell_j[kind] * sum_uS)
    return count * row_count * column_count


@compiled
def tune(
    cells: Conductance,
    rows: Rows,
    row_count: int,
    columns: NDArray[np.int64],
    column_counts: NDArray[np.int64],
    counts: NDArray[np.int64],
    motion: Motion,
    rng: np.random.Generator,
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
        motion: The pulses.
        rng: The array's noise.
        energy_j: Grows by the energy.
        tally: Grows by the pulses, by kind.
    """
    total = 0
    for kind, plane, direction in (
        (SET, PLUS, RISING),
        (SET, MINUS, FALLING),
        (RESET, MINUS, RISING),
        (RESET, PLUS, FALLING),
    ):
        pulses = tune_pass(
            cells[plane],
            rows,
            row_count,
            columns[direction],
            column_counts[direction],
            kind,
            counts[plane, direction],
            motion,
            rng,
            energy_j,
        )
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
    elif rules.activation == TANH:
        slope = np.tanh(z / rules.scale)
        y = rules.amplitude * slope
        gate = 1.0 - slope * slope
    if rules.activation != 0 and (gate <= 0.0 or gate < rules.c2):
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
    motion1: Motion,
    motion2: Motion,
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
        motion1: Pulses on array 1.
        motion2: Pulses on array 2.
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
    rows1 = np.empty(785, np.int64)
    rows2 = np.empty(width, np.int64)
    columns1 = np.empty((2, width), np.int64)
    columns2 = np.empty((2, classes), np.int64)
    found1 = np.zeros(2, np.int64)
    found2 = np.zeros(2, np.int64)
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
                motion1,
                rng1,
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
                motion2,
                rng2,
                energy_j,
                tally[1],
            )
        phase = (phase + 1) % counts.shape[0]
    return phase
