"""What a learning kernel knows of wires, and how it reads and pulses through them.

Moves no cell and converts no current.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.wires.ladders import LANES, Network, Values, Work, eliminate
from starlab_sim.chip.wires.programming import BlockScratch, PulsedLines
from starlab_sim.chip.wires.solving import STEPS_MAX, TOLERANCE, solve_nodes
from starlab_sim.chip.wires.transferring import place, transfer_columns


class ReadingWires(NamedTuple):
    """Wires of one array in a forward pass."""

    gain: NDArray[np.float32]
    """What a cell contributes to its column, over its conductance: (2, inputs, outputs); nothing:
    the wires are ideal, or solved."""
    solved: bool
    """Whether each vector takes a nodal solution of its own."""
    renewed: bool
    """Whether the gains are those of a new transfer matrix after each change of the cells."""
    shared: bool
    """2T2R."""
    plus_column: int
    """1T1R: source line of the first "+" cell."""
    transistor_mohm: float
    """In series with each cell."""
    tolerance: float
    """Residual of a transfer matrix."""
    network: Network
    """Lines and cells."""
    work: Work
    """Scratch."""
    nodes_v: Values
    """Scratch, (inputs, source lines)."""
    rows_v: Values
    """Scratch, (tiles, bit lines of a row, lanes)."""
    still_v: Values
    """Scratch, (source lines,): clamps at 0 V."""
    columns_ua: Values
    """Scratch, (source lines,)."""
    drawn_ua: Values
    """Scratch, (bit lines of a row, inputs)."""


class PulsingWires(NamedTuple):
    """Wires of one array while it is pulsed."""

    lines: tuple[PulsedLines, PulsedLines]
    """Of each plane."""
    scratch: BlockScratch
    """Scratch."""
    drop_mv: NDArray[np.float32]
    """Result of `drops`, (inputs, outputs)."""


@compiled
def sums_through_wires(
    cells_uS: NDArray[np.float32],
    rows: NDArray[np.int64],
    count: int,
    plus_v: float,
    minus_v: float,
    wires: ReadingWires,
    plus_uS: Values,
    minus_uS: Values,
) -> None:
    """Nodal solution for one binary vector, as sums of conductances that give its currents.

    Starts afresh, so that it depends on nothing but its arguments. ``minus_uS`` is the sum without
    wires in 2T2R, where only the difference of the two flows.

    Args:
        cells_uS: Shape (2, inputs, outputs).
        rows: Rows that are on; the first ``count`` entries.
        count: How many.
        plus_v: Read voltage over "+" cells, above 0.
        minus_v: Read voltage over "-" cells; 1T1R: the same.
        wires: Of this array.
        plus_uS: Result, (outputs,).
        minus_uS: Result: the current of weight j is ``plus_v plus_j - minus_v minus_j``.
    """
    network = wires.network
    place(cells_uS, wires.shared, wires.plus_column, wires.transistor_mohm, network.cells_uS)
    eliminate(network)
    wires.rows_v[:] = 0.0
    wires.nodes_v[:] = 0.0
    minus_uS[:] = 0.0
    for index in range(count):
        row = rows[index]
        t, b = row // LANES, row % LANES
        wires.rows_v[t, 0, b] = plus_v
        if wires.shared:
            wires.rows_v[t, 1, b] = -minus_v
            for j in range(minus_uS.shape[0]):
                minus_uS[j] += cells_uS[1, row, j]
    columns_ua = wires.columns_ua
    solve_nodes(
        network,
        wires.rows_v,
        0.0,
        wires.still_v,
        wires.nodes_v,
        columns_ua,
        wires.work,
        TOLERANCE,
        STEPS_MAX,
    )
    for j in range(plus_uS.shape[0]):
        if wires.shared:
            plus_uS[j] = (columns_ua[j] + minus_v * minus_uS[j]) / plus_v
        else:
            plus_uS[j] = columns_ua[2 * j + wires.plus_column] / plus_v
            minus_uS[j] = columns_ua[2 * j + 1 - wires.plus_column] / plus_v


@compiled
def renew_gain(cells_uS: NDArray[np.float32], wires: ReadingWires) -> tuple[int, float]:
    """Gains of these cells into ``wires.gain``; returns what `transfer_columns` does."""
    network = wires.network
    place(cells_uS, wires.shared, wires.plus_column, wires.transistor_mohm, network.cells_uS)
    eliminate(network)
    return transfer_columns(
        network,
        wires.work,
        wires.nodes_v,
        wires.columns_ua,
        wires.shared,
        wires.plus_column,
        cells_uS,
        wires.tolerance,
        STEPS_MAX,
        wires.drawn_ua,
        wires.gain,
    )
