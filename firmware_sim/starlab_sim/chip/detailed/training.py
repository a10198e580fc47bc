"""Compiled learning on cells that are not ideal: the passes and their order are the plain ones."""

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.counters import CELLS
from starlab_sim.chip.detailed.backward import driven_back
from starlab_sim.chip.detailed.cells import BackwardNoise, Cells, Floats, Noise, Pulse, Traps
from starlab_sim.chip.detailed.feed import ARRAY, KIND, PLANE, SAMPLE, Feed, load_uS
from starlab_sim.chip.detailed.forward import convert1, multiply2, sum_rows
from starlab_sim.chip.detailed.pulsing import pulse_pass
from starlab_sim.chip.kernels import Rows, Sums, add_fixed1, add_fixed2, add_rows, rows_on
from starlab_sim.chip.learning import FALLING, PASSES, RISING, Rules
from starlab_sim.chip.pulsing import Columns
from starlab_sim.chip.readout import Readout
from starlab_sim.chip.tuning import output_columns
from starlab_sim.chip.wires import (
    PulsingWires,
    ReadingWires,
    drops,
    renew_gain,
    sums_through_wires,
)
from starlab_spec.geometry import MINUS, PLUS


@compiled
def tune(
    cells: Cells,
    rows: Rows,
    row_count: int,
    columns: Columns,
    column_counts: NDArray[np.int64],
    counts: NDArray[np.int64],
    pulses: tuple[Pulse, Pulse],
    wires: PulsingWires | None,
    feed: Feed,
    ticks: int,
    rng: np.random.Generator,
    noise: Floats,
    energy_j: Sums,
    tally: NDArray[np.int64],
) -> int:
    """All passes of one array's tuning step; returns the pulses applied.

    The rail of a pass sags under all of its cells at once, as they conduct before it. A pass that
    would draw more than the limit is not applied, and none after it.

    Args:
        cells: The array.
        rows: Rows that are driven; the first ``row_count`` entries.
        row_count: How many.
        columns: Shape (2, outputs): columns of RISING and of FALLING weights.
        column_counts: Shape (2,): how many.
        counts: Shape (2, 2): pulses per cell, by plane and direction.
        pulses: What SET and RESET pulses do.
        wires: Through which it is pulsed: all cells of a pass together, and at every pulse of the
            pass with the drops of the first. None: ideal ones, so that the current is that of
            the cells alone: an upper bound.
        feed: What drives the cells. Where it trips, ``KIND`` and ``PLANE`` of the result are set.
        ticks: The time.
        rng: The array's noise.
        noise: Scratch, (outputs,).
        energy_j: Grows by the energy, by kind, pass by pass.
        tally: Grows by the pulses, by kind.
    """
    total = 0
    for kind, plane, direction in PASSES:
        count = counts[plane, direction]
        found = column_counts[direction]
        if count == 0 or found == 0:
            continue
        pulse = pulses[kind]
        selected = columns[direction]
        lower_mv = np.empty((0, 0), np.float32)
        current_ua = 0.0
        sag_mv = 0.0
        if wires is not None:
            lower_mv = wires.drop_mv
            if row_count > 0:
                current_ua = drops(
                    cells.conductance_uS[plane],
                    rows,
                    row_count,
                    selected,
                    found,
                    pulse.amplitude_mv,
                    wires.lines[plane],
                    wires.scratch,
                    0,
                    lower_mv,
                )
        elif feed.watched:
            cells_uS = load_uS(cells.conductance_uS[plane], rows, row_count, selected, found)
            rail_mv = pulse.amplitude_mv / (1.0 + feed.output_mohm * cells_uS)
            current_ua = rail_mv * 1e-3 * cells_uS
            sag_mv = pulse.amplitude_mv - rail_mv
        if current_ua > feed.limit_ua:
            feed.tripped[KIND] = kind
            feed.tripped[PLANE] = plane
            feed.current_ua[0] = current_ua
            break
        pass_j = pulse_pass(
            cells,
            plane,
            rows,
            row_count,
            selected,
            found,
            count,
            pulse,
            sag_mv,
            lower_mv,
            0,
            ticks,
            rng,
            noise,
        )
        energy_j[kind] += pass_j
        applied = count * row_count * found
        tally[kind] += applied
        total += applied
    return total


@compiled
def gain_of(wires: ReadingWires | None) -> Floats:
    """Gains of cells, or nothing."""
    if wires is None:
        return np.zeros((0, 0, 0), np.float32)
    return wires.gain


@compiled
def renewed_gain(cells: Cells, wires: ReadingWires | None, stale: bool) -> Floats:
    """The same, brought up to date where that is wanted."""
    if wires is None:
        return np.zeros((0, 0, 0), np.float32)
    if wires.renewed and stale:
        renew_gain(cells.conductance_uS, wires)
    return wires.gain


@compiled
def through_wires1(
    cells: Cells,
    rows: Rows,
    count: int,
    readout: Readout,
    wires: ReadingWires | None,
    traps: Traps,
    ticks: int,
    plus: Sums,
    minus: Sums,
) -> None:
    """Sums of array 1 for one vector. Where wires are solved, full traps count as without wires."""
    gain = gain_of(wires)
    sum_rows(cells, PLUS, rows, count, gain, traps, ticks, plus)
    sum_rows(cells, MINUS, rows, count, gain, traps, ticks, minus)
    if wires is None:
        return
    if not wires.solved:
        return
    outputs = plus.shape[0]
    trapped = np.zeros((2, outputs))
    if traps.column.size:
        trapped[PLUS], trapped[MINUS] = plus, minus
        add_rows(cells.conductance_uS[PLUS], rows, count, plus)
        add_rows(cells.conductance_uS[MINUS], rows, count, minus)
        trapped[PLUS] -= plus
        trapped[MINUS] -= minus
    sums_through_wires(
        cells.conductance_uS, rows, count, readout.plus_v, readout.minus_v, wires, plus, minus
    )
    plus += trapped[PLUS]
    minus += trapped[MINUS]


@compiled
def train_batch(
    cells: tuple[Cells, Cells],
    samples: NDArray[np.uint8],
    targets: NDArray[np.int32],
    readout: Readout,
    reading_wires: tuple[ReadingWires | None, ReadingWires | None],
    traps: tuple[Traps, Traps],
    noises: tuple[Noise, Noise],
    backward_noise: BackwardNoise,
    rules: Rules,
    counts: NDArray[np.int64],
    phase: int,
    pulses: tuple[tuple[Pulse, Pulse], tuple[Pulse, Pulse]],
    pulsing_wires: tuple[PulsingWires | None, PulsingWires | None],
    feed: Feed,
    ticks: int,
    ticks_each: NDArray[np.int64],
    rngs: tuple[np.random.Generator, np.random.Generator],
    reading_rngs: tuple[np.random.Generator, np.random.Generator],
    hidden: NDArray[np.uint8],
    outputs: NDArray[np.int32],
    applied: NDArray[np.int32],
    reading_j: Sums,
    programming_j: NDArray[np.float64],
    tally: NDArray[np.int64],
) -> int:
    """One learning step for each of some samples; returns the phase after them.

    Args:
        cells: Of arrays 1 and 2; so all pairs.
        samples: Packed, (n, 98).
        targets: (n, 10), output codes.
        readout: Forward settings.
        reading_wires: Through which they are read; None: ideal ones. Another kernel is compiled.
        traps: Where they are.
        noises: Of the conversions.
        backward_noise: Of the comparisons.
        rules: Thresholds and activation.
        counts: `Schedule.pulse_counts()`.
        phase: Phase of the first sample.
        pulses: SET and RESET pulses, array by array.
        pulsing_wires: Through which they are pulsed.
        feed: What drives the cells while they are pulsed. Where it trips, no sample after that one
            is begun, and the phase stays that of the sample; its results are of what was done.
        ticks: Time of the first sample.
        ticks_each: Time that a sample takes, by phase.
        rngs: Noise of the cells.
        reading_rngs: Noise of the converters; the second one's of the comparators too.
        hidden: Result, (n, 100): hidden codes.
        outputs: Result, (n, 10): outputs before the update.
        applied: Result, (n, 2): pulses on arrays 1 and 2.
        reading_j: Grows by the energy of both directions: cells, converters, lines.
        programming_j: Grows by the energy of pulses, (2, 3): by array and kind.
        tally: Grows by the pulses, (2, 3): by array and kind.
    """
    width = hidden.shape[1]
    classes = outputs.shape[1]
    rows1 = np.empty(cells[0].conductance_uS.shape[1], np.int64)
    rows2 = np.empty(width, np.int64)
    columns1 = np.empty((2, width), np.uint64)
    columns2 = np.empty((2, classes), np.uint64)
    found1 = np.zeros(2, np.int64)
    found2 = np.zeros(2, np.int64)
    noise = np.empty(width, np.float32)
    plus = np.empty(width)
    minus = np.empty(width)
    wires1, wires2 = reading_wires
    stale2 = True
    for s in range(samples.shape[0]):
        y1 = hidden[s]
        row_count = rows_on(samples[s], rows1)
        through_wires1(cells[0], rows1, row_count, readout, wires1, traps[0], ticks, plus, minus)
        used_j = convert1(readout, noises[0], reading_rngs[0], plus, minus, y1)
        gain2 = renewed_gain(cells[1], wires2, stale2)
        stale2 = False
        reading_j[CELLS] += used_j + multiply2(
            cells[1],
            y1,
            readout,
            gain2,
            traps[1],
            noises[1],
            ticks,
            reading_rngs[1],
            outputs[s],
        )
        add_fixed1(readout, row_count, reading_j)
        add_fixed2(readout, y1, reading_j)
        output_columns(outputs[s], targets[s], rules, columns2, found2)
        on = driven_back(
            cells[1],
            y1,
            rules,
            columns2,
            found2,
            rows2,
            columns1,
            found1,
            readout,
            gain2,
            traps[1],
            backward_noise,
            ticks,
            reading_rngs[1],
            reading_j,
        )
        applied[s, 0] = 0
        applied[s, 1] = 0
        if found2[RISING] + found2[FALLING] > 0:
            # array 2 drives the error back before it is tuned itself
            applied[s, 0] = tune(
                cells[0],
                rows1,
                row_count,
                columns1,
                found1,
                counts[phase, 0],
                pulses[0],
                pulsing_wires[0],
                feed,
                ticks,
                rngs[0],
                noise,
                programming_j[0],
                tally[0],
            )
            if feed.tripped[KIND] >= 0:
                feed.tripped[SAMPLE], feed.tripped[ARRAY] = s, 0
                break
            applied[s, 1] = tune(
                cells[1],
                rows2,
                on,
                columns2,
                found2,
                counts[phase, 1],
                pulses[1],
                pulsing_wires[1],
                feed,
                ticks,
                rngs[1],
                noise,
                programming_j[1],
                tally[1],
            )
            if feed.tripped[KIND] >= 0:
                feed.tripped[SAMPLE], feed.tripped[ARRAY] = s, 1
                break
            stale2 = applied[s, 1] > 0
        ticks += ticks_each[phase]
        phase = (phase + 1) % counts.shape[0]
    return phase
