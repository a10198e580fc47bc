"""Line resistance of the crossbars: exact and fast solutions. Moves no cell, converts nothing."""

from starlab_sim.chip.wires.grid import Account, Grid, NoSolution, Solution
from starlab_sim.chip.wires.layout import Layout
from starlab_sim.chip.wires.learning import (
    PulsingWires,
    ReadingWires,
    renew_gain,
    sums_through_wires,
)
from starlab_sim.chip.wires.programming import (
    EXACT,
    RELAXATIONS,
    BlockScratch,
    PulsedLines,
    block_scratch,
    drops,
    pulsed_lines,
)
from starlab_sim.chip.wires.reading import seen_rows
from starlab_sim.chip.wires.solving import TOLERANCE
from starlab_sim.chip.wires.wired import Wired, ideal, wires_of

__all__ = [
    "EXACT",
    "RELAXATIONS",
    "TOLERANCE",
    "Account",
    "BlockScratch",
    "Grid",
    "Layout",
    "NoSolution",
    "PulsedLines",
    "PulsingWires",
    "ReadingWires",
    "Solution",
    "Wired",
    "block_scratch",
    "drops",
    "ideal",
    "pulsed_lines",
    "renew_gain",
    "seen_rows",
    "sums_through_wires",
    "wires_of",
]
