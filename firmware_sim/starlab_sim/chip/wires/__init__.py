"""Line resistance of the crossbars: exact and fast solutions. Moves no cell, converts nothing."""

from starlab_sim.chip.wires.grid import Grid, NoSolution, Solution
from starlab_sim.chip.wires.layout import Layout
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

__all__ = [
    "EXACT",
    "RELAXATIONS",
    "TOLERANCE",
    "BlockScratch",
    "Grid",
    "Layout",
    "NoSolution",
    "PulsedLines",
    "Solution",
    "block_scratch",
    "drops",
    "pulsed_lines",
    "seen_rows",
]
