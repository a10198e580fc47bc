"""What feeds the passes of a learning step: a rail that sags and trips. Latches no fault."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.detailed.cells import Floats
from starlab_sim.chip.kernels import Rows
from starlab_sim.chip.pulsing import Columns
from starlab_sim.effects import Effects

SAMPLE: Final = 0
"""Where :attr:`Feed.tripped` has the sample: its index in the call; -1: nothing tripped."""
ARRAY: Final = 1
"""Where it has the array: 0 or 1."""
KIND: Final = 2
"""Where it has the kind of pulse: SET or RESET."""
PLANE: Final = 3
"""Where it has the plane."""


class Feed(NamedTuple):
    """The generators that drive the cells of learning passes, and whether one has tripped."""

    watched: bool
    """Whether currents are wanted: a rail sags, or has a limit."""
    output_mohm: float
    """Output resistance; wires know it by themselves."""
    limit_ua: float
    """Current above which a pass is not applied, and nothing after it; infinite: none."""
    tripped: NDArray[np.int64]
    """Result, (4,): at which pass it tripped, by SAMPLE, ARRAY, KIND and PLANE."""
    current_ua: NDArray[np.float64]
    """Result, (1,): the current of that pass."""


def feed_of(effects: Effects) -> Feed:
    """Generators under these effects; none has tripped."""
    limit = effects.current_limit
    return Feed(
        watched=limit is not None or effects.output_ohm > 0.0,
        output_mohm=effects.output_ohm * 1e-6,
        limit_ua=math.inf if limit is None else limit.limit_ma * 1e3,
        tripped=np.full(4, -1, np.int64),
        current_ua=np.zeros(1),
    )


@compiled
def load_uS(
    plane_uS: Floats, rows: Rows, row_count: int, columns: Columns, column_count: int
) -> float:
    """Sum of the conductances of a block: rows, and columns within each.

    Args:
        plane_uS: Cells of one plane, (inputs, outputs).
        rows: Selected rows; the first ``row_count`` entries.
        row_count: How many.
        columns: Selected columns; the first ``column_count`` entries.
        column_count: How many.
    """
    outputs = plane_uS.shape[1]
    flat_uS = plane_uS.reshape(-1)
    sum_uS = 0.0
    for a in range(row_count):
        base = np.uint64(rows[a] * outputs)
        row_uS = 0.0
        for b in range(column_count):
            row_uS += flat_uS[base + columns[b]]
        sum_uS += row_uS
    return sum_uS
