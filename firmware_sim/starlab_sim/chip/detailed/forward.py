"""Compiled forward path of cells that are not ideal, from rails that sag. Changes no cell.

The rails' load is what the sums of conductances say. Through wires these count the current that
reaches the clamps, or (where each vector is solved) that of cells without wires, between which the
rail's own lies: cells of rows that are off draw off some of it.

Every conversion draws one normal number, if there is noise: array 1 by column; array 2 in all
2^N1 - 1 slots: by run of slots with the same rows, by column, "+" before "-", by slot; READ by row,
by plane, by column. A trap keeps its state
within a forward pass and within the READ of a row: those faster than that are heard at their full
amplitude, where a slower converter would average them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.counters import CELLS
from starlab_sim.chip.detailed.cells import Cells, Floats, Noise, Traps
from starlab_sim.chip.detailed.telegraph import add_traps
from starlab_sim.chip.kernels import Rows, Sums, add_fixed1, add_fixed2, add_rows, digitise, rows_on
from starlab_sim.chip.readout import Readout
from starlab_spec.geometry import MINUS, PLUS


@compiled
def noisy_code(codes: float, sigma: float, levels: float, rng: np.random.Generator) -> float:
    """Code of a current given in codes, with noise."""
    code = float(np.floor(codes + sigma * rng.standard_normal() + 0.5))
    return min(max(code, 0.0), levels)


@compiled
def sigma_codes(noise: Noise, column_uS: float) -> float:
    """Noise of a conversion whose column has some conductance in all."""
    converter = noise.converter_codes
    return math.sqrt(converter * converter + noise.thermal_codes2 * column_uS)


@compiled
def left_by(load_uS: float, output_mohm: float) -> float:
    """Share of its voltage that a rail gives to an ohmic load."""
    return 1.0 / (1.0 + output_mohm * load_uS)


@compiled
def sum_rows(
    cells: Cells,
    plane: int,
    rows: Rows,
    count: int,
    gain: Floats,
    traps: Traps,
    ticks: int,
    sums: Sums,
) -> None:
    """What some rows of a plane contribute to each column, in uS; ``sums`` is overwritten."""
    if gain.size == 0:
        add_rows(cells.conductance_uS[plane], rows, count, sums)
    else:
        sums[:] = 0.0
        for index in range(count):
            row = cells.conductance_uS[plane, rows[index]]
            passed = gain[plane, rows[index]]
            for j in range(sums.shape[0]):
                sums[j] += np.float64(row[j]) * np.float64(passed[j])
    if traps.column.size:
        add_traps(cells.conductance_uS, traps, plane, rows, count, gain, ticks, sums)


@compiled
def multiply1(
    cells: Cells,
    rows: Rows,
    count: int,
    readout: Readout,
    gain: Floats,
    traps: Traps,
    noise: Noise,
    ticks: int,
    rng: np.random.Generator,
    plus: Sums,
    minus: Sums,
    hidden: NDArray[np.uint8],
) -> float:
    """Array 1: rows that are on in, hidden codes out. Returns the cells' energy in J."""
    sum_rows(cells, PLUS, rows, count, gain, traps, ticks, plus)
    sum_rows(cells, MINUS, rows, count, gain, traps, ticks, minus)
    return convert1(readout, noise, rng, plus, minus, hidden)


@compiled
def convert1(
    readout: Readout,
    noise: Noise,
    rng: np.random.Generator,
    plus: Sums,
    minus: Sums,
    hidden: NDArray[np.uint8],
) -> float:
    """Sums of array 1 into hidden codes. Returns the cells' energy in J."""
    levels, full_scale_ua = readout.levels1, readout.full_scale1_ua
    plus_uS, minus_uS = float(plus.sum()), float(minus.sum())
    if readout.differential:
        plus_left = left_by(plus_uS, readout.output_mohm)
        minus_left = left_by(minus_uS, readout.output_mohm)
    else:
        plus_left = minus_left = left_by(plus_uS + minus_uS, readout.output_mohm)
    plus_v, minus_v = readout.plus_v * plus_left, readout.minus_v * minus_left
    for j in range(hidden.shape[0]):
        current_ua = plus_v * plus[j] - minus_v * minus[j]
        if noise.on:
            sigma = sigma_codes(noise, plus[j] + minus[j])
            hidden[j] = np.uint8(
                noisy_code(current_ua * levels / full_scale_ua, sigma, levels, rng)
            )
        else:
            hidden[j] = np.uint8(digitise(current_ua, levels, full_scale_ua))
    return readout.plus1_j * plus_uS * plus_left + readout.minus1_j * minus_uS * minus_left


@compiled
def noisy_slots(
    slots: int,
    column_uS: float,
    read_v: float,
    readout: Readout,
    noise: Noise,
    rng: np.random.Generator,
) -> float:
    """Convert a column in some slots with the same rows, one by one; returns the sum of codes."""
    codes = read_v * column_uS * readout.levels2 / readout.full_scale2_ua
    sigma = sigma_codes(noise, column_uS)
    total = 0.0
    for _ in range(slots):
        total += noisy_code(codes, sigma, readout.levels2, rng)
    return total


@compiled
def multiply2(
    cells: Cells,
    hidden: NDArray[np.uint8],
    readout: Readout,
    gain: Floats,
    traps: Traps,
    noise: Noise,
    ticks: int,
    rng: np.random.Generator,
    outputs: NDArray[np.int32],
) -> float:
    """Array 2, slot by slot: counts in, code differences out. Returns the cells' energy in J."""
    classes, inputs = outputs.shape[0], hidden.shape[0]
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

    plus, minus = np.zeros(classes), np.zeros(classes)
    more = np.empty(classes)
    one = np.empty(1, np.int64)
    outputs[:] = 0
    slots_uS = 0.0
    index = 0
    rows = first[255]  # rows that are ever on
    slots_left = int(readout.levels1)
    direct = gain.size == 0 and traps.column.size == 0
    conductance_uS = cells.conductance_uS
    while index < rows:
        count = int(hidden[order[index]])
        stop = first[256 - count]
        while index < stop:
            index += 1
            if direct:
                j = order[index - 1]
                for k in range(classes):
                    plus[k] += conductance_uS[PLUS, j, k]
                    minus[k] += conductance_uS[MINUS, j, k]
                continue
            one[0] = order[index - 1]
            sum_rows(cells, PLUS, one, 1, gain, traps, ticks, more)
            for k in range(classes):
                plus[k] += more[k]
            sum_rows(cells, MINUS, one, 1, gain, traps, ticks, more)
            for k in range(classes):
                minus[k] += more[k]
        run = count - (int(hidden[order[index]]) if index < rows else 0)
        slots_left -= run
        left = 1.0
        if readout.output_mohm > 0.0:
            left = left_by(plus.sum() + minus.sum(), readout.output_mohm)
        read_v = readout.plus_v * left
        for k in range(classes):
            if noise.on:
                total = noisy_slots(run, plus[k], read_v, readout, noise, rng)
                total -= noisy_slots(run, minus[k], read_v, readout, noise, rng)
                outputs[k] += np.int32(total)
            else:
                above = digitise(read_v * plus[k], readout.levels2, readout.full_scale2_ua)
                below = digitise(read_v * minus[k], readout.levels2, readout.full_scale2_ua)
                outputs[k] += np.int32(run * (above - below))
            slots_uS += run * (plus[k] + minus[k]) * left
    if noise.on and slots_left > 0:  # no row is on, but the converters do not know
        for k in range(classes):
            total = noisy_slots(slots_left, 0.0, 0.0, readout, noise, rng)
            total -= noisy_slots(slots_left, 0.0, 0.0, readout, noise, rng)
            outputs[k] += np.int32(total)
    return readout.slot2_j * slots_uS


@compiled
def multiply1_batch(
    cells: Cells,
    samples: NDArray[np.uint8],
    readout: Readout,
    gain: Floats,
    traps: Traps,
    noise: Noise,
    ticks: int,
    ticks_each: int,
    rng: np.random.Generator,
    hidden: NDArray[np.uint8],
    energy_j: Sums,
) -> None:
    """Array 1 for each of some samples, from a time on; adds its energy one by one."""
    rows = np.empty(cells.conductance_uS.shape[1], np.int64)
    plus, minus = np.empty(hidden.shape[1]), np.empty(hidden.shape[1])
    for s in range(samples.shape[0]):
        count = rows_on(samples[s], rows)
        now = ticks + s * ticks_each
        energy_j[CELLS] += multiply1(
            cells, rows, count, readout, gain, traps, noise, now, rng, plus, minus, hidden[s]
        )
        add_fixed1(readout, count, energy_j)


@compiled
def multiply2_batch(
    cells: Cells,
    hidden: NDArray[np.uint8],
    readout: Readout,
    gain: Floats,
    traps: Traps,
    noise: Noise,
    ticks: int,
    ticks_each: int,
    rng: np.random.Generator,
    outputs: NDArray[np.int32],
    energy_j: Sums,
) -> None:
    """Array 2 for each of some vectors of pulse counts; adds its energy one by one."""
    for s in range(hidden.shape[0]):
        now = ticks + s * ticks_each
        energy_j[CELLS] += multiply2(
            cells, hidden[s], readout, gain, traps, noise, now, rng, outputs[s]
        )
        add_fixed2(readout, hidden[s], energy_j)


@compiled
def infer_batch(
    cells: tuple[Cells, Cells],
    samples: NDArray[np.uint8],
    readout: Readout,
    gains: tuple[Floats, Floats],
    traps: tuple[Traps, Traps],
    noises: tuple[Noise, Noise],
    ticks: int,
    ticks_each: int,
    rngs: tuple[np.random.Generator, np.random.Generator],
    hidden: NDArray[np.uint8],
    outputs: NDArray[np.int32],
    energy_j: Sums,
) -> None:
    """Both arrays for each of some samples; adds its energy sample by sample.

    Args:
        cells: Of arrays 1 and 2; so all pairs.
        samples: Packed, (n, 98).
        readout: Voltages, converters, energies.
        gains: Shape (2, inputs, outputs): factors on the contributions of cells, or nothing.
        traps: Where they are.
        noises: Of the conversions.
        ticks: Time of the first sample.
        ticks_each: Time that each takes.
        rngs: What noise is drawn from.
        hidden: Result, (n, 100).
        outputs: Result, (n, 10).
        energy_j: Grows by the energy.
    """
    rows = np.empty(cells[0].conductance_uS.shape[1], np.int64)
    plus, minus = np.empty(hidden.shape[1]), np.empty(hidden.shape[1])
    for s in range(samples.shape[0]):
        count = rows_on(samples[s], rows)
        now = ticks + s * ticks_each
        used_j = multiply1(
            cells[0],
            rows,
            count,
            readout,
            gains[0],
            traps[0],
            noises[0],
            now,
            rngs[0],
            plus,
            minus,
            hidden[s],
        )
        energy_j[CELLS] += used_j + multiply2(
            cells[1],
            hidden[s],
            readout,
            gains[1],
            traps[1],
            noises[1],
            now,
            rngs[1],
            outputs[s],
        )
        add_fixed1(readout, count, energy_j)
        add_fixed2(readout, hidden[s], energy_j)


@compiled
def read_rows(
    cells: Cells,
    planes: NDArray[np.int64],
    first_row: int,
    read_v: Sums,
    output_mohm: float,
    full_scale_ua: float,
    gain: Floats,
    traps: Traps,
    noise: Noise,
    ticks: int,
    ticks_each: int,
    rng: np.random.Generator,
    codes: NDArray[np.uint8],
    sums_uS: Sums,
) -> None:
    """READ of every cell of some rows.

    Args:
        cells: The array.
        planes: Which planes, (p,).
        first_row: Which row is the first of ``codes``.
        read_v: Read voltage over the cells of each plane, (p,).
        output_mohm: Output resistance of its rail.
        full_scale_ua: Current of code 255.
        gain: Shape (2, inputs, outputs): factors on the currents of cells, or nothing.
        traps: Where they are.
        noise: Of the conversions.
        ticks: Time of the first row.
        ticks_each: Time that a row of one plane takes; the planes of a row follow one another.
        rng: What noise is drawn from.
        codes: Result, (p, rows, outputs).
        sums_uS: Result, (p, rows): summed conductance, as the unloaded rail sees it.
    """
    _, rows, outputs = codes.shape
    seen_uS = np.empty(outputs)
    one = np.empty(1, np.int64)
    for i in range(rows):
        one[0] = first_row + i
        for p in range(len(planes)):
            now = ticks + (i * len(planes) + p) * ticks_each
            sum_rows(cells, planes[p], one, 1, gain, traps, now, seen_uS)
            sum_uS = 0.0
            for j in range(outputs):
                sum_uS += seen_uS[j]
            left = left_by(sum_uS, output_mohm)
            rail_v = read_v[p] * left
            for j in range(outputs):
                conductance_uS = seen_uS[j]
                if noise.on:
                    code = rail_v * conductance_uS * 255.0 / full_scale_ua
                    code += sigma_codes(noise, conductance_uS) * rng.standard_normal()
                    code = float(np.floor(code + 0.5))
                    codes[p, i, j] = np.uint8(min(max(code, 0.0), 255.0))
                else:
                    codes[p, i, j] = np.uint8(
                        digitise(rail_v * conductance_uS, 255.0, full_scale_ua)
                    )
            sums_uS[p, i] = sum_uS * left
