"""Compiled: cells into a network and out of it, and its transfer matrix. Knows no setting."""

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.wires.ladders import LANES, Network, Values, Work, drawn_by_rows
from starlab_sim.chip.wires.solving import solve_nodes


@compiled
def place(
    cells_uS: NDArray[np.float32],
    shared: bool,
    plus_column: int,
    transistor_mohm: float,
    out: Values,
) -> None:
    """Put the cells of an array, (2, inputs, outputs), into the tiles of a network."""
    _, inputs, outputs = cells_uS.shape
    kind = out.dtype.type
    one, series_mohm = kind(1.0), kind(transistor_mohm)
    for p in range(2):
        for i in range(inputs):
            t, b = i // LANES, i % LANES
            for j in range(outputs):
                g = kind(cells_uS[p, i, j])
                g = g / (one + g * series_mohm)
                if shared:
                    out[t, p, j, b] = g
                else:
                    out[t, 0, 2 * j + (plus_column if p == 0 else 1 - plus_column), b] = g


@compiled
def take(tiles: Values, shared: bool, plus_column: int, out: Values) -> None:
    """The reverse of :func:`place`, without its transistors."""
    _, inputs, outputs = out.shape
    for p in range(2):
        for i in range(inputs):
            t, b = i // LANES, i % LANES
            for j in range(outputs):
                if shared:
                    out[p, i, j] = tiles[t, p, j, b]
                else:
                    column = 2 * j + (plus_column if p == 0 else 1 - plus_column)
                    out[p, i, j] = tiles[t, 0, column, b]


@compiled
def transfer_columns(
    network: Network,
    work: Work,
    nodes_v: Values,
    currents_ua: Values,
    shared: bool,
    plus_column: int,
    cells_uS: NDArray[np.float32],
    tolerance: float,
    steps_max: int,
    drawn: Values,
    out: Values,
) -> tuple[int, float]:
    """One solution per source line: its clamp at 1 V, all drivers at 0 V.

    By reciprocity the current into a driver is what that driver at 1 V feeds into the clamp.

    Args:
        network: Lines and cells, eliminated.
        work: Scratch.
        nodes_v: Scratch, (nodes, columns).
        currents_ua: Scratch, (columns,).
        shared: 2T2R.
        plus_column: 1T1R: source line of the first "+" cell.
        cells_uS: Shape (2, nodes, outputs): the result is divided by them, a cell that does not
            conduct has 0; or nothing: it is not divided.
        tolerance: As of `solve_nodes`.
        steps_max: The same.
        drawn: Scratch, (rows per node, nodes).
        out: Result, (2, nodes, outputs).

    Returns:
        Most steps, and the greatest residual.
    """
    tiles, planes, columns, _ = network.cells_uS.shape
    nodes = nodes_v.shape[0]
    off = np.zeros((tiles, planes, LANES), nodes_v.dtype)
    clamps_v = np.zeros(columns, nodes_v.dtype)
    most, worst = 0, 0.0
    for c in range(columns):
        nodes_v[:] = nodes_v.dtype.type(0.0)
        clamps_v[c] = 1.0
        steps, residual = solve_nodes(
            network, off, 0.0, clamps_v, nodes_v, currents_ua, work, tolerance, steps_max
        )
        clamps_v[c] = 0.0
        drawn_by_rows(network, nodes_v, work.lanes, drawn)
        for row in range(planes):
            p, j = row, c
            if not shared:
                p, j = (0 if c % 2 == plus_column else 1), c // 2
            for n in range(nodes):
                found = float(drawn[row, n])
                if cells_uS.size:
                    g = float(cells_uS[p, n, j])
                    found = found / g if g > 0.0 else 0.0
                out[p, n, j] = found
        most, worst = max(most, steps), max(worst, residual)
    return most, worst
