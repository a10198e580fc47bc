"""Compiled forward path: samples in, codes out. Changes no cell and draws no number.

Conductances are float32 and their sums float64, which makes every sum exact: the same bits
whatever the order of its terms. Cost grows with the rows that are on. The physics is that of the
data sheet's section 2: see `starlab_sim.chip.converters` for the settings.
"""

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.counters import CELLS, CONVERTERS, LINES
from starlab_sim.chip.readout import Readout
from starlab_spec.geometry import MINUS, PLUS

Conductance = NDArray[np.float32]
Sums = NDArray[np.float64]
"""Running sums; as ``energy_j``: CELLS, CONVERTERS and LINES of a meter."""
Rows = NDArray[np.int64]


@compiled
def digitise(current_ua: float, levels: float, full_scale_ua: float) -> float:
    """Code of a current: the nearest one of 0..levels."""
    code = float(np.floor(current_ua * levels / full_scale_ua + 0.5))
    return min(max(code, 0.0), levels)


@compiled
def rows_on(sample: NDArray[np.uint8], rows: Rows) -> int:
    """List the pixels of a packed sample that are on, by rising index; return how many."""
    count = 0
    for quarter in range(4):
        odd = np.uint8(1 << quarter)
        even = np.uint8(1 << (4 + quarter))
        row = 196 * quarter
        for byte in range(97, -1, -1):
            bits = sample[byte]
            rows[count] = row
            count += (bits & even) != 0
            rows[count] = row + 1
            count += (bits & odd) != 0
            row += 2
    return count


@compiled
def add_rows(plane: Conductance, rows: Rows, count: int, sums: Sums) -> None:
    """Sum some rows of a plane into ``sums``, which is overwritten."""
    outputs = sums.shape[0]
    sums[:] = 0.0
    fours = count - count % 4
    for index in range(0, fours, 4):  # four rows a pass: a quarter of the loads and stores
        a = plane[rows[index]]
        b = plane[rows[index + 1]]
        c = plane[rows[index + 2]]
        d = plane[rows[index + 3]]
        for j in range(outputs):
            sums[j] += (np.float64(a[j]) + np.float64(b[j])) + (np.float64(c[j]) + np.float64(d[j]))
    for index in range(fours, count):
        a = plane[rows[index]]
        for j in range(outputs):
            sums[j] += a[j]


@compiled
def multiply1(
    cells: Conductance,
    rows: Rows,
    count: int,
    readout: Readout,
    plus: Sums,
    minus: Sums,
    hidden: NDArray[np.uint8],
) -> float:
    """Array 1: rows that are on in, hidden codes out. Returns the cells' energy in J.

    ``I_j = sum_i x_i (plus_v G+_ij - minus_v G-_ij)``, digitised; negative currents give 0.
    """
    add_rows(cells[PLUS], rows, count, plus)
    add_rows(cells[MINUS], rows, count, minus)
    for j in range(hidden.shape[0]):
        current_ua = readout.plus_v * plus[j] - readout.minus_v * minus[j]
        hidden[j] = np.uint8(digitise(current_ua, readout.levels1, readout.full_scale1_ua))
    return readout.plus1_j * float(plus.sum()) + readout.minus1_j * float(minus.sum())


@compiled
def multiply2(
    cells: Conductance, hidden: NDArray[np.uint8], readout: Readout, outputs: NDArray[np.int32]
) -> float:
    """Array 2, slot by slot: pulse counts in, code differences out. Returns the cells' energy in J.

    In slot t the rows with ``n_j >= t`` are on. Slots with equal rows have equal codes, so that
    each run of them is converted once: exact, and at most one conversion a distinct count.
    """
    classes = outputs.shape[0]
    inputs = hidden.shape[0]
    first = np.zeros(257, np.int64)  # counting sort of the rows by falling pulse count
    for j in range(inputs):
        first[256 - int(hidden[j])] += 1
    for bucket in range(256):
        first[bucket + 1] += first[bucket]
    order = np.empty(inputs, np.int64)
    place = first.copy()
    for j in range(inputs):
        bucket = 255 - int(hidden[j])
        order[place[bucket]] = j
        place[bucket] += 1

    plus = np.zeros(classes)
    minus = np.zeros(classes)
    outputs[:] = 0
    slots_uS = 0.0
    index = 0
    rows = first[255]  # rows that are ever on
    while index < rows:
        count = int(hidden[order[index]])
        stop = first[256 - count]
        while index < stop:
            j = order[index]
            for k in range(classes):
                plus[k] += cells[PLUS, j, k]
                minus[k] += cells[MINUS, j, k]
            index += 1
        run = count - (int(hidden[order[index]]) if index < rows else 0)
        for k in range(classes):
            above = digitise(readout.plus_v * plus[k], readout.levels2, readout.full_scale2_ua)
            below = digitise(readout.plus_v * minus[k], readout.levels2, readout.full_scale2_ua)
            outputs[k] += np.int32(run * (above - below))
            slots_uS += run * (plus[k] + minus[k])
    return readout.slot2_j * slots_uS


@compiled
def add_fixed1(readout: Readout, count: int, energy_j: Sums) -> None:
    """Add what a multiplication by array 1 takes beside its cells, with ``count`` rows on."""
    energy_j[CONVERTERS] += readout.fixed1_j
    energy_j[LINES] += readout.line1_j * count


@compiled
def add_fixed2(readout: Readout, hidden: NDArray[np.uint8], energy_j: Sums) -> None:
    """Add what a multiplication by array 2 takes beside its cells: a row is driven each slot."""
    driven = 0
    for j in range(hidden.shape[0]):
        driven += int(hidden[j])
    energy_j[CONVERTERS] += readout.fixed2_j
    energy_j[LINES] += readout.line2_j * driven


@compiled
def multiply1_batch(
    cells: Conductance,
    samples: NDArray[np.uint8],
    readout: Readout,
    hidden: NDArray[np.uint8],
    energy_j: Sums,
) -> None:
    """Array 1 for each of some samples; adds its energy sample by sample."""
    rows = np.empty(cells.shape[1], np.int64)
    plus = np.empty(hidden.shape[1])
    minus = np.empty(hidden.shape[1])
    for s in range(samples.shape[0]):
        count = rows_on(samples[s], rows)
        energy_j[CELLS] += multiply1(cells, rows, count, readout, plus, minus, hidden[s])
        add_fixed1(readout, count, energy_j)


@compiled
def multiply2_batch(
    cells: Conductance,
    hidden: NDArray[np.uint8],
    readout: Readout,
    outputs: NDArray[np.int32],
    energy_j: Sums,
) -> None:
    """Array 2 for each of some vectors of pulse counts; adds its energy one by one."""
    for s in range(hidden.shape[0]):
        energy_j[CELLS] += multiply2(cells, hidden[s], readout, outputs[s])
        add_fixed2(readout, hidden[s], energy_j)


@compiled
def infer_batch(
    cells1: Conductance,
    cells2: Conductance,
    samples: NDArray[np.uint8],
    readout: Readout,
    hidden: NDArray[np.uint8],
    outputs: NDArray[np.int32],
    energy_j: Sums,
) -> None:
    """Both arrays for each of some samples; adds its energy sample by sample."""
    rows = np.empty(cells1.shape[1], np.int64)
    plus = np.empty(hidden.shape[1])
    minus = np.empty(hidden.shape[1])
    for s in range(samples.shape[0]):
        count = rows_on(samples[s], rows)
        used_j = multiply1(cells1, rows, count, readout, plus, minus, hidden[s])
        energy_j[CELLS] += used_j + multiply2(cells2, hidden[s], readout, outputs[s])
        add_fixed1(readout, count, energy_j)
        add_fixed2(readout, hidden[s], energy_j)


@compiled
def read_rows(
    plane: Conductance,
    read_v: float,
    full_scale_ua: float,
    codes: NDArray[np.uint8],
    sums_uS: Sums,
) -> None:
    """READ of every cell of some rows of one plane: codes, and the conductance of each row."""
    for i in range(plane.shape[0]):
        sum_uS = 0.0
        for j in range(plane.shape[1]):
            conductance_uS = np.float64(plane[i, j])
            sum_uS += conductance_uS
            codes[i, j] = np.uint8(digitise(read_v * conductance_uS, 255.0, full_scale_ua))
        sums_uS[i] = sum_uS


@compiled
def add_reads(
    sums_uS: Sums, converters_j: float, line_j: Sums, cell_j: Sums, energy_j: Sums
) -> None:
    """Add the energy of READ, row by row: the same bits however the rows are cut into chunks.

    Args:
        sums_uS: Summed conductance of each row, (planes, rows).
        converters_j: Energy of a row's conversions.
        line_j: Energy of driving a row of each plane, (planes,).
        cell_j: Energy per uS of a cell, (planes,).
        energy_j: Grows.
    """
    for i in range(sums_uS.shape[1]):
        for p in range(sums_uS.shape[0]):
            energy_j[CELLS] += cell_j[p] * sums_uS[p, i]
            energy_j[CONVERTERS] += converters_j
            energy_j[LINES] += line_j[p]
