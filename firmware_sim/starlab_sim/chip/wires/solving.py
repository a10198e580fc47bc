"""Compiled nodal solution of a network by conjugate gradients. Knows no array and no setting.

Bit lines are eliminated exactly, which leaves the nodes of the source lines; conjugate gradients on
these, preconditioned by an exact elimination of every source line. With the preconditioner
``M = K + S`` (``S`` what is left, ``K`` the coupling of columns through bit lines) no product with
the conductance of a line is ever needed, since ``S z = M z - K z``: segments of zero resistance
need no special case.
"""

import numpy as np

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.wires.ladders import Network, Values, Work, drive_rows, rest_columns

TOLERANCE = 1e-9
"""Default of the relative residual at which a solution is accepted."""
STEPS_MAX = 500
"""Steps after which a solution is given up."""
ROUNDING = 1e-30
"""Share of the power, squared rounding errors: no residual falls below."""


@compiled
def inner(a: Values, b: Values) -> float:
    """Sum of the products of two arrays (nodes, columns), row by row."""
    total = 0.0
    for n in range(a.shape[0]):
        row = 0.0
        for c in range(a.shape[1]):
            row += a[n, c] * b[n, c]
        total += row
    return total


@compiled
def solve_nodes(
    network: Network,
    rows_v: Values,
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
        rows_v: Voltages of the drivers, (tiles, rows per node, lanes).
        clamps_v: Voltages of the clamps, (columns,).
        nodes_v: In: where to start. Out: the solution, (nodes, columns).
        currents_ua: Result, current into each clamp that is at 0 V, (columns,).
        work: Scratch.
        tolerance: Residual, in the norm of the preconditioner, relative to the solution.
        steps_max: Steps at most; 0: one relaxation of all lines, then one more.

    Returns:
        Steps taken, and the residual then.
    """
    injected, residual, step = work.injected_ua, work.residual_ua, work.step_v
    direction, effect, lanes = work.direction_v, work.effect_ua, work.lanes
    nodes, columns = nodes_v.shape
    still = np.zeros(columns)
    off = np.zeros_like(rows_v)
    drive_rows(network, rows_v, nodes_v, lanes, injected)
    rest_columns(network, injected, clamps_v, nodes_v, currents_ua)
    drive_rows(network, rows_v, nodes_v, lanes, residual)
    gross = 0.0
    for n in range(nodes):
        for c in range(columns):
            gross += abs(residual[n, c] * nodes_v[n, c])
            residual[n, c] -= injected[n, c]
    limit = gross * tolerance * tolerance
    steps, before, beta = 0, 1.0, 0.0
    while True:
        rest_columns(network, residual, still, step, currents_ua)
        left = inner(residual, step)
        if left <= limit or left <= gross * ROUNDING or steps == steps_max:
            break
        drive_rows(network, off, step, lanes, injected)
        beta = left / before if steps > 0 else 0.0
        curvature = 0.0
        for n in range(nodes):
            row = 0.0
            for c in range(columns):
                going = step[n, c]
                doing = residual[n, c] - injected[n, c]
                if steps > 0:
                    going += beta * direction[n, c]
                    doing += beta * effect[n, c]
                direction[n, c] = going
                effect[n, c] = doing
                row += going * doing
            curvature += row
        alpha = left / curvature
        for n in range(nodes):
            for c in range(columns):
                nodes_v[n, c] += alpha * direction[n, c]
                residual[n, c] -= alpha * effect[n, c]
        before = left
        steps += 1
    drive_rows(network, rows_v, nodes_v, lanes, injected)
    rest_columns(network, injected, clamps_v, nodes_v, currents_ua)
    return steps, float(np.sqrt(left / gross)) if gross > 0.0 else 0.0
