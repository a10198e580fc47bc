"""Compiled elimination of lines: each bit line and each source line is a ladder. Iterates nothing.

A ladder is a line with a source at one end, a resistance before each of its nodes, and at each node
a conductance to elsewhere. Eliminated from its far end towards its source, every step adds positive
numbers alone: it is as exact as the arithmetic, and a resistance of zero is as good as any. The
arithmetic is that of the network's own type, float64 or float32; all arrays of a kernel have it.

Units: conductances uS, resistances MOhm, voltages V, currents uA; every product of a conductance
and a resistance is a plain number. Voltages are relative to the virtual clamp.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled

LANES = 8
"""Row lines that are eliminated side by side."""

Values = NDArray[np.floating[Any]]
"""All float64, or all float32."""
Kind = type[np.float64] | type[np.float32]
"""Which of them."""


class Network(NamedTuple):
    """Lines and cells; cells in tiles of `LANES` nodes, what is beyond the last node is empty."""

    bl_mohm: Values
    """Resistance before each column of a bit line, (columns,); the first holds the driver."""
    sl_mohm: Values
    """Resistance after each node of a source line, (nodes,); the last holds the clamp."""
    cells_uS: Values
    """Cells with their transistors, (tiles, rows per node, columns, lanes)."""
    bl_factor: Values
    """Of the elimination of each bit line: same shape."""
    sl_factor: Values
    """Of the elimination of each source line, (nodes, columns): what each share lacks of 1; less
    the share, where it lacks more than half. So float32 holds more digits than it has: a current
    passes hundreds of nodes, and nearly all of it passes each."""


class Work(NamedTuple):
    """Scratch of a solution; holds nothing from one to the next but their account."""

    residual_ua: Values
    """What does not add up at each node, (nodes, columns)."""
    step_v: Values
    """Same shape: preconditioned residual."""
    direction_v: Values
    """Same shape: where to go."""
    effect_ua: Values
    """Same shape: what going there changes."""
    lanes: Values
    """Lines in elimination, (4, columns + 1, lanes)."""
    account: NDArray[np.float64]
    """No scratch: solutions so far, most steps of one, greatest residual, (3,)."""


@compiled
def eliminate(network: Network) -> None:
    """Factors of all lines, from their resistances and the cells."""
    bl, sl, cells, factor = (
        network.bl_mohm,
        network.sl_mohm,
        network.cells_uS,
        network.bl_factor,
    )
    tiles, planes, columns, _ = cells.shape
    nodes = sl.shape[0]
    zero, one = cells.dtype.type(0.0), cells.dtype.type(1.0)
    seen = np.empty(LANES, cells.dtype)
    for t in range(tiles):
        for p in range(planes):
            seen[:] = zero
            for back in range(columns):
                c = columns - 1 - back
                for b in range(LANES):
                    total = cells[t, p, c, b] + seen[b]
                    share = one / (one + bl[c] * total)
                    factor[t, p, c, b] = share
                    seen[b] = total * share
    above = np.zeros(columns)
    for n in range(nodes):
        t, b = n // LANES, n % LANES
        ohm = np.float64(sl[n])
        for c in range(columns):
            total = above[c]
            for p in range(planes):
                total += np.float64(cells[t, p, c, b])
            lost = ohm * total
            share = 1.0 / (1.0 + lost)
            network.sl_factor[n, c] = lost * share if lost < 1.0 else -share
            above[c] = total * share


@compiled
def passed(factor: float) -> float:
    """Share that a node passes on, in float64, from its entry in ``sl_factor``."""
    factor = np.float64(factor)
    return -factor if factor < 0.0 else 1.0 - factor


@compiled
def node_lanes(nodes_v: Values, rail_v: float, first: int, live: int, node: Values) -> None:
    """Source lines of a tile, less the rail: (nodes, columns) to (columns, lanes)."""
    rail = nodes_v.dtype.type(rail_v)
    if live < LANES:
        node[:] = nodes_v.dtype.type(0.0)
    for b in range(live):
        for c in range(nodes_v.shape[1]):
            node[c, b] = nodes_v[first + b, c] - rail


@compiled
def drive_tile(
    network: Network, t: int, rows_v: Values, rail_v: float, nodes_v: Values, lanes: Values
) -> Values:
    """Solve the bit lines of a tile while the source lines stay as they are.

    Bit lines count from the voltage of a rail: those that it drives then hold what is lost on
    their way alone, so that a drop has as many digits as the arithmetic.

    Args:
        network: Lines and cells.
        t: Which tile.
        rows_v: Voltages of the drivers, less the rail, (tiles, rows per node, lanes).
        rail_v: The rail.
        nodes_v: Voltages of the source lines, (nodes, columns).
        lanes: Scratch of `Work`.

    Returns:
        Cell conductance times bit line voltage, summed over the rows of a node: (lanes, columns and
        one more); within the scratch.
    """
    bl = network.bl_mohm
    planes, columns = network.cells_uS.shape[1], network.cells_uS.shape[2]
    rail = nodes_v.dtype.type(rail_v)
    fed, line, node, total = lanes[0], lanes[1], lanes[2], lanes[3]
    node_lanes(nodes_v, rail_v, t * LANES, min(LANES, nodes_v.shape[0] - t * LANES), node)
    for p in range(planes):
        g, f = network.cells_uS[t, p], network.bl_factor[t, p]
        for b in range(LANES):
            fed[columns, b] = 0.0
            line[0, b] = rows_v[t, p, b]
        for back in range(columns):
            c = columns - 1 - back
            for b in range(LANES):
                fed[c, b] = f[c, b] * (g[c, b] * node[c, b] + fed[c + 1, b])
        if p == 0:
            for c in range(columns):
                for b in range(LANES):
                    u = f[c, b] * line[c, b] + bl[c] * fed[c, b]
                    line[c + 1, b] = u
                    total[c, b] = g[c, b] * (u + rail)
        else:
            for c in range(columns):
                for b in range(LANES):
                    u = f[c, b] * line[c, b] + bl[c] * fed[c, b]
                    line[c + 1, b] = u
                    total[c, b] += g[c, b] * (u + rail)
    out: Values = fed.reshape((LANES, columns + 1))
    for b in range(LANES):
        for c in range(columns):
            out[b, c] = total[c, b]
    return out


@compiled
def drive_rows(
    network: Network, rows_v: Values, rail_v: float, nodes_v: Values, lanes: Values, out: Values
) -> None:
    """Solve every bit line while the source lines stay as they are.

    Arguments as of :func:`drive_tile`; ``out`` gets its result of all tiles, (nodes, columns).
    """
    nodes, columns = nodes_v.shape
    for t in range(network.cells_uS.shape[0]):
        first = t * LANES
        fed = drive_tile(network, t, rows_v, rail_v, nodes_v, lanes)
        for b in range(min(LANES, nodes - first)):
            for c in range(columns):
                out[first + b, c] = fed[b, c]


@compiled
def rest_columns(
    network: Network, injected_ua: Values, clamps_v: Values, out: Values, currents_ua: Values
) -> None:
    """Solve every source line while the bit lines stay as they are.

    Args:
        network: Lines and cells.
        injected_ua: As :func:`drive_rows` gives it, (nodes, columns).
        clamps_v: Voltage of each clamp, (columns,).
        out: Result, voltages of the source lines, (nodes, columns); may be ``injected_ua``.
        currents_ua: Result, current into each clamp that is at 0 V, (columns,).
    """
    factor = network.sl_factor
    nodes, columns = injected_ua.shape
    line = np.zeros(columns)
    for n in range(nodes):
        for c in range(columns):
            line[c] = passed(factor[n, c]) * (np.float64(injected_ua[n, c]) + line[c])
            out[n, c] = line[c]
    for c in range(columns):
        currents_ua[c] = line[c]
        line[c] = clamps_v[c]
    for back in range(nodes):
        n = nodes - 1 - back
        ohm = np.float64(network.sl_mohm[n])
        for c in range(columns):
            line[c] = passed(factor[n, c]) * line[c] + ohm * np.float64(out[n, c])
            out[n, c] = line[c]


@compiled
def cell_voltages(
    network: Network, rows_v: Values, rail_v: float, nodes_v: Values, lanes: Values, out: Values
) -> None:
    """Voltage from bit line to source line over each cell and its transistor, less the rail.

    Arguments as of :func:`drive_tile`; ``out`` has the shape of the cells, in tiles.
    """
    bl, cells, factor = network.bl_mohm, network.cells_uS, network.bl_factor
    tiles, planes, columns, _ = cells.shape
    fed, line, node = lanes[0], lanes[1], lanes[2]
    for t in range(tiles):
        first = t * LANES
        live = min(LANES, nodes_v.shape[0] - first)
        node_lanes(nodes_v, rail_v, first, live, node)
        for p in range(planes):
            g, f = cells[t, p], factor[t, p]
            for b in range(LANES):
                fed[columns, b] = 0.0
                line[0, b] = rows_v[t, p, b]
            for back in range(columns):
                c = columns - 1 - back
                for b in range(LANES):
                    fed[c, b] = f[c, b] * (g[c, b] * node[c, b] + fed[c + 1, b])
            for c in range(columns):
                for b in range(LANES):
                    u = f[c, b] * line[c, b] + bl[c] * fed[c, b]
                    line[c + 1, b] = u
                    out[t, p, c, b] = u
            for b in range(live):
                for c in range(columns):
                    out[t, p, c, b] -= nodes_v[first + b, c]


@compiled
def drawn_by_rows(network: Network, nodes_v: Values, lanes: Values, out: Values) -> None:
    """Current into each bit line's driver at 0 V, (rows per node, nodes)."""
    cells, factor = network.cells_uS, network.bl_factor
    tiles, planes, columns, _ = cells.shape
    nodes = nodes_v.shape[0]
    fed, node = lanes[0], lanes[2]
    for t in range(tiles):
        first = t * LANES
        live = min(LANES, nodes - first)
        node_lanes(nodes_v, 0.0, first, live, node)
        for p in range(planes):
            g, f = cells[t, p], factor[t, p]
            fed[columns] = 0.0
            for back in range(columns):
                c = columns - 1 - back
                for b in range(LANES):
                    fed[c, b] = f[c, b] * (g[c, b] * node[c, b] + fed[c + 1, b])
            for b in range(live):
                out[p, first + b] = fed[0, b]
