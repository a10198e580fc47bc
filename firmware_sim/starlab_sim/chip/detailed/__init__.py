"""Kernels for cells that are not ideal: each has its own step and window, reads with noise, wears.

The plain kernels beside this package do the same for ideal cells, faster; with every effect neutral
the results are equal, bit for bit. Nothing here is compiled before it is used.
"""

from starlab_sim.chip.detailed.ageing import age
from starlab_sim.chip.detailed.cells import (
    NO_DROP,
    NO_FORMING_VOLTAGES,
    NO_GAIN,
    Cells,
    ForwardCells,
    Noise,
    Pulse,
    Traps,
)
from starlab_sim.chip.detailed.feed import Feed, feed_of
from starlab_sim.chip.detailed.forward import (
    infer_batch,
    multiply1_batch,
    multiply2_batch,
    read_rows,
)
from starlab_sim.chip.detailed.pulsing import form_rows, pulse_rows
from starlab_sim.chip.detailed.training import train_batch

__all__ = [
    "NO_DROP",
    "NO_FORMING_VOLTAGES",
    "NO_GAIN",
    "Cells",
    "Feed",
    "ForwardCells",
    "Noise",
    "Pulse",
    "Traps",
    "age",
    "feed_of",
    "form_rows",
    "infer_batch",
    "multiply1_batch",
    "multiply2_batch",
    "pulse_rows",
    "read_rows",
    "train_batch",
]
