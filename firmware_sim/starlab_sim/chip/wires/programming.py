"""Compiled voltage drops of a block of cells that is pulsed in parallel. Moves no cell.

Rows and columns of a block are selected; the transistors of all other cells are off and lines that
are not selected are not driven [O]. SET drives the bit lines with the source lines at ground, RESET
the source lines with the bit lines at ground: in both the same voltage lies over the same network.
The rail that feeds the block has a series resistance of its own, which scales all of it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.pulsing import selected_columns
from starlab_sim.chip.wires.ladders import (
    LANES,
    Kind,
    Network,
    Values,
    Work,
    cell_voltages,
    drive_rows,
    eliminate,
    rest_columns,
)
from starlab_sim.chip.wires.layout import OHM_TO_MOHM, Layout
from starlab_sim.chip.wires.solving import STEPS_MAX, TOLERANCE, solve_nodes

RELAXATIONS = 2
"""Alternating relaxations of all lines in the fast mode [O]."""
EXACT = 0
"""Instead of a number of relaxations: the nodal solution."""


class PulsedLines(NamedTuple):
    """Lines of one plane of an array while it is pulsed."""

    inputs: int
    """Rows of the array."""
    column_step: int
    """Source lines from one pair to the next."""
    first_column: int
    """Source line of the plane's first cell."""
    bl_segment_mohm: float
    """Bit line between two source lines."""
    sl_segment_mohm: float
    """Source line between two rows."""
    bl_driver_mohm: float
    """Driver of a bit line."""
    sl_driver_mohm: float
    """Driver of a source line."""
    transistor_mohm: float
    """In series with each cell."""
    supply_mohm: float
    """In series with the rail."""
    relaxations: int
    """Relaxations of all lines, at least one; or `EXACT`."""


class BlockScratch(NamedTuple):
    """Memory for the block of a pulse, of any size up to the whole plane."""

    cells: Values
    """Flat, four parts as large as the plane with its rows rounded up to lanes; no block uses the
    last one."""
    nodes: Values
    """Flat, six parts as large as the plane, or more; a block of one row uses six rows of it."""
    lines: Values
    """Flat: lanes, rows and columns."""
    account: NDArray[np.float64]
    """That of all solutions, as in `Work`."""


def pulsed_lines(layout: Layout, plane: int, relaxations: int, supply_ohm: float) -> PulsedLines:
    """Lines of one plane of an array.

    Args:
        layout: Lines of the array.
        plane: PLUS or MINUS.
        relaxations: At least one, or `EXACT`.
        supply_ohm: In series with the rail that feeds the block.
    """
    return PulsedLines(
        inputs=layout.inputs,
        column_step=layout.column_step,
        first_column=layout.first_column(plane),
        bl_segment_mohm=layout.bl_segment_ohm * OHM_TO_MOHM,
        sl_segment_mohm=layout.sl_segment_ohm * OHM_TO_MOHM,
        bl_driver_mohm=layout.bl_driver_ohm * OHM_TO_MOHM,
        sl_driver_mohm=layout.sl_driver_ohm * OHM_TO_MOHM,
        transistor_mohm=layout.transistor_ohm * OHM_TO_MOHM,
        supply_mohm=supply_ohm * OHM_TO_MOHM,
        relaxations=relaxations,
    )


def block_scratch(layout: Layout, rows: int | None = None, kind: Kind = np.float64) -> BlockScratch:
    """Scratch for any block of an array, as large as its network.

    Args:
        layout: Lines of the array.
        rows: How many rows it has; default: all.
        kind: What is computed in.
    """
    rows = layout.inputs if rows is None else rows
    padded = -(-rows // LANES) * LANES
    columns, outputs = layout.columns, layout.outputs
    return BlockScratch(
        cells=np.zeros(2 * padded * columns * layout.rows_per_node, kind),
        nodes=np.zeros(6 * rows * columns, kind),
        lines=np.zeros(4 * (outputs + 1) * LANES + 2 * padded + 3 * outputs, kind),
        account=np.zeros(3),
    )


def block_drops(scratch: BlockScratch, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Room for the drops of a plane, (rows, outputs), where `drops` leaves it alone."""
    return _room(scratch.cells, shape)


def row_by_row_drops(scratch: BlockScratch, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Room for the drops of both planes, (2, rows, outputs), where `row_drops` leaves it alone."""
    return _room(scratch.nodes, shape)


def _room(flat: Values, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The end of a flat array as another one, all 0."""
    size = math.prod(shape)
    end = flat[len(flat) - size :].view(np.float32)[:size].reshape(shape)
    end[...] = 0.0
    return end


@compiled
def drops(
    plane_uS: NDArray[np.float32],
    rows: NDArray[np.int64],
    row_count: int,
    columns: NDArray[np.uint64],
    column_count: int,
    amplitude_mv: float,
    lines: PulsedLines,
    scratch: BlockScratch,
    drop_first: int,
    drop_mv: NDArray[np.float32],
) -> float:
    """By how much less than the voltage of the rail each cell of a block gets.

    Args:
        plane_uS: Cells of one plane, (inputs, outputs).
        rows: Selected rows, rising; the first ``row_count`` entries.
        row_count: How many, at least one.
        columns: Selected columns, rising; the first ``column_count`` entries.
        column_count: How many, at least one.
        amplitude_mv: Voltage of the rail.
        lines: Lines of the plane.
        scratch: Of this array.
        drop_first: Row of the array that the result begins with.
        drop_mv: Result, (some rows, outputs); cells that are not selected stay as they are.

    Returns:
        Current that the block draws from the rail, uA.
    """
    tiles = -(-row_count // LANES)
    shape = (tiles, 1, column_count, LANES)
    size = tiles * column_count * LANES
    nodes = row_count * column_count
    padded = tiles * LANES
    inside, flat, line = scratch.cells, scratch.nodes, scratch.lines
    kind = inside.dtype.type
    one, transistor_mohm = kind(1.0), kind(lines.transistor_mohm)
    lanes_size = 4 * (column_count + 1) * LANES
    at = lanes_size
    bl = line[at : at + column_count]
    at += column_count
    still = line[at : at + column_count]
    at += column_count
    currents_ua = line[at : at + column_count]
    at += column_count
    sl = line[at : at + row_count]
    at += padded
    rows_v = line[at : at + padded].reshape((tiles, 1, LANES))
    block = (row_count, column_count)
    network = Network(
        bl,
        sl,
        inside[:size].reshape(shape),
        inside[size : 2 * size].reshape(shape),
        flat[:nodes].reshape(block),
    )
    over_v = inside[2 * size : 3 * size].reshape(shape)
    nodes_v = flat[nodes : 2 * nodes].reshape(block)
    work = Work(
        flat[2 * nodes : 3 * nodes].reshape(block),
        flat[3 * nodes : 4 * nodes].reshape(block),
        flat[4 * nodes : 5 * nodes].reshape(block),
        flat[5 * nodes : 6 * nodes].reshape(block),
        line[:lanes_size].reshape((4, column_count + 1, LANES)),
        scratch.account,
    )

    before = lines.first_column
    for b in range(column_count):
        position = lines.first_column + lines.column_step * int(columns[b])
        bl[b] = lines.bl_segment_mohm * (position - (before if b > 0 else 0))
        before = position
    bl[0] += lines.bl_driver_mohm
    for a in range(row_count):
        after = rows[a + 1] if a + 1 < row_count else lines.inputs - 1
        sl[a] = lines.sl_segment_mohm * (after - rows[a])
    sl[row_count - 1] += lines.sl_driver_mohm
    still[:] = 0.0
    nodes_v[:] = 0.0
    rows_v[:] = 0.0  # less than the rail, which is 1 V
    for a in range(padded):
        t, lane = a // LANES, a % LANES
        if a < row_count:
            row = plane_uS[rows[a]]
            for b in range(column_count):
                g = kind(row[columns[b]])
                network.cells_uS[t, 0, b, lane] = g / (one + g * transistor_mohm)
        else:
            for b in range(column_count):
                network.cells_uS[t, 0, b, lane] = 0.0

    eliminate(network)
    if lines.relaxations == EXACT:
        solve_nodes(network, rows_v, 1.0, still, nodes_v, currents_ua, work, TOLERANCE, STEPS_MAX)
    else:
        for _ in range(lines.relaxations):
            drive_rows(network, rows_v, 1.0, nodes_v, work.lanes, work.residual_ua)
            rest_columns(network, work.residual_ua, still, nodes_v, currents_ua)
    cell_voltages(network, rows_v, 1.0, nodes_v, work.lanes, over_v)
    total_uS = 0.0
    for b in range(column_count):
        total_uS += np.float64(currents_ua[b])
    sag = lines.supply_mohm * total_uS
    rail_mv = amplitude_mv / (1.0 + sag)
    for a in range(row_count):
        t, lane = a // LANES, a % LANES
        row = plane_uS[rows[a]]
        for b in range(column_count):
            # rail_mv / (1 + held) of what the lines leave, as what is lost
            held = np.float64(row[columns[b]]) * lines.transistor_mohm
            lost = sag * (1.0 + held) + held - np.float64(over_v[t, 0, b, lane])
            drop_mv[rows[a] - drop_first, columns[b]] = np.float32(rail_mv * lost / (1.0 + held))
    return rail_mv * 1e-3 * total_uS


@compiled
def row_drops(
    cells_uS: NDArray[np.float32],
    mask: NDArray[np.bool_],
    first_row: int,
    amplitude_mv: float,
    lines: tuple[PulsedLines, PulsedLines],
    scratch: BlockScratch,
    drop_mv: NDArray[np.float32],
) -> None:
    """The same for masked cells that are pulsed row by row, plane by plane.

    Args:
        cells_uS: Shape (2, inputs, outputs).
        mask: Shape (2, rows, outputs).
        first_row: Row of the array that the mask begins with.
        amplitude_mv: Voltage of the rail.
        lines: Of each plane.
        scratch: Of this array.
        drop_mv: Result, shape of the mask; cells that are not selected stay as they are.
    """
    row = np.empty(1, np.int64)
    columns = np.empty(mask.shape[2], np.uint64)
    for p in range(2):
        for i in range(mask.shape[1]):
            found = selected_columns(mask[p, i], columns)
            if found > 0:
                row[0] = first_row + i
                drops(
                    cells_uS[p],
                    row,
                    1,
                    columns,
                    found,
                    amplitude_mv,
                    lines[p],
                    scratch,
                    first_row,
                    drop_mv[p],
                )
