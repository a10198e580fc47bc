"""Compiled pulses on cells that are not ideal. Knows no rail and no register.

The order of cells, and of the draws of their noise, is that of the plain kernels.
"""

import math

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.detailed.cells import Cells, Floats, Pulse
from starlab_sim.chip.kernels import Rows, Sums
from starlab_sim.chip.pulsing import VIRGIN, Columns, selected_columns
from starlab_sim.devices import STEP_VOLTAGE_MV

STEP_MV = STEP_VOLTAGE_MV
HALF = np.float32(0.5)
ONE = np.float32(1.0)


@compiled
def worn_window(
    bottom: np.float32, top: np.float32, pulses: int, endurance: float, exponent: float
) -> tuple[np.float32, np.float32]:
    """Both ends of the window of a cell, which its pulses have narrowed about its middle.

    Args:
        bottom: Low end when new, uS.
        top: High end when new, uS.
        pulses: Pulses that it has had.
        endurance: Pulses that halve a window.
        exponent: How abruptly; 0: no wear.
    """
    if exponent == 0.0:
        return bottom, top
    used = np.float64(pulses) / endurance
    if exponent != 1.0:
        used = used**exponent
    left = np.float32(1.0 / (1.0 + used))
    if left == ONE:
        return bottom, top
    middle, half = HALF * (bottom + top), HALF * (top - bottom) * left
    return middle - half, middle + half


@compiled
def pulse_pass(
    cells: Cells,
    plane: int,
    rows: Rows,
    row_count: int,
    columns: Columns,
    column_count: int,
    count: int,
    pulse: Pulse,
    sag_mv: float,
    drop_mv: Floats,
    drop_first: int,
    ticks: int,
    rng: np.random.Generator,
    noise: Floats,
) -> float:
    """SET or RESET pulses on the same cells of some rows, row by row; returns the energy in J.

    Args:
        cells: The array.
        plane: Which plane.
        rows: Which rows; the first ``row_count`` entries.
        row_count: How many.
        columns: Selected columns; the first ``column_count`` entries.
        column_count: How many.
        count: Pulses on each.
        pulse: What a pulse does.
        sag_mv: By which the voltage at all cells is lower, where ``drop_mv`` is nothing.
        drop_mv: By which the voltage at each cell is lower, (some rows, outputs), or nothing.
        drop_first: Row of the array that it begins with.
        ticks: The time.
        rng: Noise.
        noise: Scratch, as long as ``columns``.
    """
    # flat: a view of each row would cost more than the pulses on it
    inputs, outputs = cells.conductance_uS.shape[1], cells.conductance_uS.shape[2]
    conductance_uS = cells.conductance_uS.reshape(-1)
    pulses, pulsed_ticks = cells.pulses.reshape(-1), cells.pulsed_ticks.reshape(-1)
    own, low, high = cells.step.reshape(-1), cells.bottom_uS.reshape(-1), cells.top_uS.reshape(-1)
    step_offset = np.uint64(pulse.kind * 2 * inputs * outputs)
    endurance, exponent = cells.endurance_pulses, cells.wear_exponent
    motion = pulse.motion
    last = np.int32(motion.mean_uS.shape[0] - 1)
    mean_uS, sigma_uS = motion.mean_uS, motion.sigma_uS
    start_uS, bins_per_uS, noisy = motion.start_uS, motion.bins_per_uS, motion.noisy
    overdrive_mv, ceiling_uS = pulse.overdrive_mv, pulse.ceiling_uS
    drops = drop_mv.size > 0
    share, sagged = 1.0, ONE
    if sag_mv > 0.0:
        share = 1.0 - sag_mv / pulse.amplitude_mv
        sagged = np.float32(math.exp(-sag_mv / STEP_MV))
    pass_j = 0.0
    for a in range(row_count):
        base = np.uint64((plane * inputs + rows[a]) * outputs)
        energy_j = 0.0
        for _ in range(count):
            sum_uS = 0.0
            if noisy:
                for b in range(column_count):
                    noise[b] = np.float32(rng.standard_normal())
            for b in range(column_count):
                cell = base + columns[b]
                g = conductance_uS[cell]
                pulses[cell] += np.uint32(1)
                drop = sag_mv
                factor = own[step_offset + cell]
                if drops:
                    drop = np.float64(drop_mv[rows[a] - drop_first, columns[b]])
                    sum_uS += g * (1.0 - drop / pulse.amplitude_mv)
                    factor = np.float32(factor * math.exp(-drop / STEP_MV))
                else:
                    sum_uS += g * share
                    factor *= sagged
                if g < VIRGIN or drop > overdrive_mv:
                    continue
                pulsed_ticks[cell] = ticks
                bin_ = np.int32((g - start_uS) * bins_per_uS)
                entry = np.uint32(max(min(bin_, last), np.int32(0)))
                step = mean_uS[entry]
                if noisy:
                    step += sigma_uS[entry] * noise[b]
                bottom, top = worn_window(low[cell], high[cell], pulses[cell], endurance, exponent)
                if ceiling_uS < top:
                    top = max(ceiling_uS, min(g, top))
                conductance_uS[cell] = max(min(g + step * factor, top), bottom)
            energy_j += motion.line_j + motion.cell_j * sum_uS
        pass_j += energy_j
    return pass_j


@compiled
def pulse_rows(
    cells: Cells,
    mask: NDArray[np.bool_],
    first_row: int,
    count: int,
    pulse: Pulse,
    drop_mv: Floats,
    ticks: NDArray[np.int64],
    rng: np.random.Generator,
    energy_j: Sums,
) -> int:
    """SET or RESET pulses on masked cells; returns how many cells were selected.

    Args:
        cells: The array.
        mask: Shape (2, rows, outputs).
        first_row: Row of the array that the mask's first row stands for.
        count: Pulses per cell.
        pulse: What each does.
        drop_mv: Shape of the mask: by which the voltage at each cell is lower; or nothing.
        ticks: Time of each row of the mask, (rows,).
        rng: Noise.
        energy_j: Grows row by row.
    """
    columns = np.empty(mask.shape[2], np.uint64)
    noise = np.empty(mask.shape[2], np.float32)
    lower_mv = np.empty((2, 0, 0), np.float32)
    if drop_mv.size:
        lower_mv = drop_mv
    row = np.empty(1, np.int64)
    selected = 0
    for i in range(mask.shape[1]):
        row[0] = first_row + i
        for plane in range(2):
            found = selected_columns(mask[plane, i], columns)
            if found > 0:
                energy_j[0] += pulse_pass(
                    cells,
                    plane,
                    row,
                    1,
                    columns,
                    found,
                    count,
                    pulse,
                    0.0,
                    lower_mv[plane],
                    first_row,
                    ticks[i],
                    rng,
                    noise,
                )
                selected += found
    return selected


@compiled
def form_rows(
    cells: Cells,
    formable: NDArray[np.bool_],
    forming_mv: Floats,
    mask: NDArray[np.bool_],
    first_row: int,
    count: int,
    amplitude_mv: float,
    threshold_mv: float,
    decade_mv: float,
    nominal_pulses: float,
    target_uS: float,
    spread_uS: float,
    cell_j: float,
    line_j: float,
    drop_mv: Floats,
    ticks: NDArray[np.int64],
    rng: np.random.Generator,
    chance: np.random.Generator,
    energy_j: Sums,
) -> int:
    """FORM pulses on masked cells; returns how many cells were selected.

    A formed cell stays as it is. With voltages of their own, cells form by chance: each pulse forms
    one with ``1 - 2^-x``, ``x = nominal_pulses * 10^((voltage - own) / decade)``, so that some
    pulses do what one of their summed width would.

    Args:
        cells: The array.
        formable: Which cells of these rows can be formed, (2, rows, outputs).
        forming_mv: Voltage of each of them that a nominal pulse forms in half of the cases, same
            shape; or nothing: the first pulse above the threshold forms.
        mask: Shape (2, rows, outputs).
        first_row: Row of the array that the mask's first row stands for.
        count: Pulses per cell.
        amplitude_mv: Of the pulses.
        threshold_mv: Where cells have no voltage of their own.
        decade_mv: Voltage that ten times the width makes up for.
        nominal_pulses: Width of a pulse, in nominal ones.
        target_uS: Mean conductance after forming.
        spread_uS: Its standard deviation.
        cell_j: Energy of a pulse per uS.
        line_j: Energy of a pulse per row.
        drop_mv: Shape of the mask: by which the voltage at each cell is lower; or nothing.
        ticks: Time of each row of the mask, (rows,).
        rng: Draws the conductances.
        chance: Draws whether a pulse forms: one number a pulse on a virgin cell that it could form.
        energy_j: Grows row by row.
    """
    columns = np.empty(mask.shape[2], np.uint64)
    selected = 0
    for i in range(mask.shape[1]):
        for plane in range(2):
            index = first_row + i
            row, had = cells.conductance_uS[plane, index], cells.pulses[plane, index]
            found = selected_columns(mask[plane, i], columns)
            sum_uS = 0.0
            for b in range(found):
                j = columns[b]
                had[j] += np.uint32(count)
                voltage_mv = amplitude_mv
                if drop_mv.size:
                    voltage_mv -= np.float64(drop_mv[plane, i, j])
                    sum_uS += row[j] * (voltage_mv / amplitude_mv)
                else:
                    sum_uS += row[j]
                if row[j] >= VIRGIN or not formable[plane, i, j]:
                    continue
                forms: bool = voltage_mv >= threshold_mv
                if forming_mv.size:
                    above_mv = voltage_mv - np.float64(forming_mv[plane, i, j])
                    halvings = nominal_pulses * 10.0 ** (above_mv / decade_mv)
                    remains = 2.0**-halvings
                    forms = False
                    for _ in range(count):
                        forms = bool(chance.random() >= remains)
                        if forms:
                            break
                if forms:
                    formed = np.float32(target_uS + spread_uS * rng.standard_normal())
                    bottom, top = cells.bottom_uS[plane, index, j], cells.top_uS[plane, index, j]
                    row[j] = min(max(formed, bottom), top)
                    cells.pulsed_ticks[plane, index, j] = ticks[i]
            if found > 0:
                energy_j[0] += count * (line_j + cell_j * sum_uS)
            selected += found
    return selected
