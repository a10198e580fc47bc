"""Compiled nodal solution of a network by conjugate gradients. Knows no array and no setting.

Bit lines are eliminated exactly, which leaves the nodes of the source lines; conjugate gradients on
these, preconditioned by an exact elimination of every source line. With the preconditioner
``M = K + S`` (``S`` what is left, ``K`` the coupling of columns through bit lines) no product with
the conductance of a line is ever needed, since ``S z = M z - K z``: segments of zero resistance
need no special case.
"""

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.wires.ladders import (
    LANES,
    Network,
    Values,
    Work,
    drive_rows,
    drive_tile,
    rest_columns,
)

TOLERANCE = 1e-9
"""Default of the relative residual at which a solution is accepted."""
STEPS_MAX = 500
"""Steps after which a solution is given up."""
ROUNDING = 1e-30
"""Share of the power, squared rounding errors: no residual falls below."""


@compiled
def inner(a: Values, b: Values, sums: NDArray[np.float64]) -> float:
    """Sum of the products of two arrays (nodes, columns), column by column, in float64.

    Args:
        a: One.
        b: The other.
        sums: Scratch, (columns,).
    """
    sums[:] = 0.0
    for n in range(a.shape[0]):
        for c in range(a.shape[1]):
            sums[c] += np.float64(a[n, c]) * np.float64(b[n, c])
    return float(sums.sum())


@compiled
def solve_nodes(
    network: Network,
    rows_v: Values,
    rail_v: float,
    clamps_v: Values,
    nodes_v: Values,
    currents_ua: Values,
    work: Work,
    tolerance: float,
    steps_max: int,
) -> tuple[int, float]:
    """Voltages of all source line nodes.

    Args:
        network: Lines and cells, eliminated.
        rows_v: Voltages of the drivers, less the rail, (tiles, rows per node, lanes).
        rail_v: The rail.
        clamps_v: Voltages of the clamps, (columns,).
        nodes_v: In: where to start. Out: the solution, (nodes, columns).
        currents_ua: Result, current into each clamp that is at 0 V, (columns,).
        work: Scratch, and the account that this solution is added to.
        tolerance: Residual, in the norm of the preconditioner, relative to the solution.
        steps_max: Steps at most; 0: one relaxation of all lines, then one more.

    Returns:
        Steps taken, and the residual then.
    """
    residual, step, direction = work.residual_ua, work.step_v, work.direction_v
    effect, lanes = work.effect_ua, work.lanes
    nodes, columns = nodes_v.shape
    kind = nodes_v.dtype.type
    still = np.zeros(columns, nodes_v.dtype)
    sums = np.zeros(columns)
    off = np.zeros_like(rows_v)
    tiles = rows_v.shape[0]
    drive_rows(network, rows_v, rail_v, nodes_v, lanes, residual)
    rest_columns(network, residual, clamps_v, nodes_v, currents_ua)
    # what is injected now, less what was injected when the source lines were solved: before that
    # the residual holds what rest_columns was given
    for t in range(tiles):
        fed = drive_tile(network, t, rows_v, rail_v, nodes_v, lanes)
        for b in range(min(LANES, nodes - t * LANES)):
            n = t * LANES + b
            for c in range(columns):
                sums[c] += abs(np.float64(fed[b, c]) * np.float64(nodes_v[n, c]))
                residual[n, c] = fed[b, c] - residual[n, c]
    gross = float(sums.sum())
    limit = gross * tolerance * tolerance
    steps, before = 0, 1.0
    while True:
        rest_columns(network, residual, still, step, currents_ua)
        left = inner(residual, step, sums)
        if left <= limit or left <= gross * ROUNDING or steps == steps_max:
            break
        if steps == 0:
            direction[:] = kind(0.0)
            effect[:] = kind(0.0)
        beta = kind(left / before)
        sums[:] = 0.0
        for t in range(tiles):
            fed = drive_tile(network, t, off, 0.0, step, lanes)
            for b in range(min(LANES, nodes - t * LANES)):
                n = t * LANES + b
                for c in range(columns):
                    going = step[n, c] + beta * direction[n, c]
                    doing = (residual[n, c] - fed[b, c]) + beta * effect[n, c]
                    direction[n, c] = going
                    effect[n, c] = doing
                    sums[c] += np.float64(going) * np.float64(doing)
        alpha = kind(left / sums.sum())
        for n in range(nodes):
            for c in range(columns):
                nodes_v[n, c] += alpha * direction[n, c]
                residual[n, c] -= alpha * effect[n, c]
        before = left
        steps += 1
    drive_rows(network, rows_v, rail_v, nodes_v, lanes, residual)
    rest_columns(network, residual, clamps_v, nodes_v, currents_ua)
    relative = float(np.sqrt(left / gross)) if gross > 0.0 else 0.0
    account = work.account
    account[0] += 1.0
    account[1] = max(account[1], np.float64(steps))
    account[2] = max(account[2], relative)
    return steps, relative
