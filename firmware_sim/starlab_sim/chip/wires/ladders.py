"""Compiled elimination of lines: each bit line and each source line is a ladder. Iterates nothing.

A ladder is a line with a source at one end, a resistance before each of its nodes, and at each node
a conductance to elsewhere. Eliminated from its far end towards its source, every step adds positive
numbers alone: it is as exact as the arithmetic, and a resistance of zero is as good as any.

Units: conductances uS, resistances MOhm, voltages V, currents uA; every product of a conductance
and a resistance is a plain number. Voltages are relative to the virtual clamp.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled

LANES = 8
"""Row lines that are eliminated side by side."""

Values = NDArray[np.float64]


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
    """Of the elimination of each source line, (nodes, columns)."""


class Work(NamedTuple):
    """Scratch of a solution; holds nothing from one to the next."""

    injected_ua: Values
    """What cells at fixed source lines would feed into each node, (nodes, columns)."""
    residual_ua: Values
    """Same shape: what does not add up at each node."""
    step_v: Values
    """Same shape: preconditioned residual."""
    direction_v: Values
    """Same shape: where to go."""
    effect_ua: Values
    """Same shape: what going there changes."""
    lanes: Values
    """Lines in elimination, (4, columns + 1, lanes)."""


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
    seen = np.empty(LANES)
    for t in range(tiles):
        for p in range(planes):
            seen[:] = 0.0
            for back in range(columns):
                c = columns - 1 - back
                for b in range(LANES):
                    total = cells[t, p, c, b] + seen[b]
                    share = 1.0 / (1.0 + bl[c] * total)
                    factor[t, p, c, b] = share
                    seen[b] = total * share
    above = np.zeros(columns)
    for n in range(nodes):
        t, b = n // LANES, n % LANES
        for c in range(columns):
            total = above[c]
            for p in range(planes):
                total += cells[t, p, c, b]
            share = 1.0 / (1.0 + sl[n] * total)
            network.sl_factor[n, c] = share
            above[c] = total * share


@compiled
def drive_rows(
    network: Network, rows_v: Values, nodes_v: Values, lanes: Values, out: Values
) -> None:
    """Solve every bit line while the source lines stay as they are.

    Args:
        network: Lines and cells.
        rows_v: Voltages of the drivers, (tiles, rows per node, lanes).
        nodes_v: Voltages of the source lines, (nodes, columns).
        lanes: Scratch of `Work`.
        out: Result, (nodes, columns): cell conductance times bit line voltage, summed over the
            rows of a node.
    """
    bl, cells, factor = network.bl_mohm, network.cells_uS, network.bl_factor
    tiles, planes, columns, _ = cells.shape
    nodes = nodes_v.shape[0]
    fed, line, node, total = lanes[0], lanes[1], lanes[2], lanes[3]
    for t in range(tiles):
        first = t * LANES
        live = min(LANES, nodes - first)
        if live < LANES:
            node[:] = 0.0
        for b in range(live):
            for c in range(columns):
                node[c, b] = nodes_v[first + b, c]
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
                    total[c, b] = g[c, b] * u + (total[c, b] if p > 0 else 0.0)
        for b in range(live):
            for c in range(columns):
                out[first + b, c] = total[c, b]


@compiled
def rest_columns(
    network: Network, injected_ua: Values, clamps_v: Values, out: Values, currents_ua: Values
) -> None:
    """Solve every source line while the bit lines stay as they are.

    Args:
        network: Lines and cells.
        injected_ua: As :func:`drive_rows` gives it, (nodes, columns).
        clamps_v: Voltage of each clamp, (columns,).
        out: Result, voltages of the source lines, (nodes, columns).
        currents_ua: Result, current into each clamp that is at 0 V, (columns,).
    """
    sl, factor = network.sl_mohm, network.sl_factor
    nodes, columns = injected_ua.shape
    fed = currents_ua
    fed[:] = 0.0
    for n in range(nodes):
        for c in range(columns):
            fed[c] = factor[n, c] * (injected_ua[n, c] + fed[c])
            out[n, c] = fed[c]
    for c in range(columns):
        last = nodes - 1
        out[last, c] = factor[last, c] * clamps_v[c] + sl[last] * out[last, c]
    for back in range(1, nodes):
        n = nodes - 1 - back
        for c in range(columns):
            out[n, c] = factor[n, c] * out[n + 1, c] + sl[n] * out[n, c]


@compiled
def cell_voltages(
    network: Network, rows_v: Values, nodes_v: Values, lanes: Values, out: Values
) -> None:
    """Voltage from bit line to source line over each cell and its transistor.

    Arguments as of :func:`drive_rows`; ``out`` has the shape of the cells, in tiles.
    """
    bl, cells, factor = network.bl_mohm, network.cells_uS, network.bl_factor
    tiles, planes, columns, _ = cells.shape
    nodes = nodes_v.shape[0]
    fed, line, node = lanes[0], lanes[1], lanes[2]
    for t in range(tiles):
        first = t * LANES
        live = min(LANES, nodes - first)
        node[:] = 0.0
        for b in range(live):
            for c in range(columns):
                node[c, b] = nodes_v[first + b, c]
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
                    out[t, p, c, b] = u - node[c, b]


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
        node[:] = 0.0
        for b in range(live):
            for c in range(columns):
                node[c, b] = nodes_v[first + b, c]
        for p in range(planes):
            g, f = cells[t, p], factor[t, p]
            fed[columns] = 0.0
            for back in range(columns):
                c = columns - 1 - back
                for b in range(LANES):
                    fed[c, b] = f[c, b] * (g[c, b] * node[c, b] + fed[c + 1, b])
            for b in range(live):
                out[p, first + b] = fed[0, b]
