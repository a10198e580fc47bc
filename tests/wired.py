"""A small array whose lines resist so much that it matters."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.wires import Layout

SMALL = Layout(
    inputs=21,
    outputs=6,
    shared=True,
    plus_first=True,
    bl_segment_ohm=40.0,
    sl_segment_ohm=30.0,
    bl_driver_ohm=300.0,
    sl_driver_ohm=200.0,
    transistor_ohm=5000.0,
)
LAYOUTS = {
    "2T2R": SMALL,
    "1T1R": replace(SMALL, shared=False),
    "1T1R, minus first": replace(SMALL, shared=False, plus_first=False),
}
FREE: dict[str, Any] = {name: 0.0 for name in Layout.__dataclass_fields__ if name.endswith("_ohm")}
"""No resistance at all."""


def random_cells(layout: Layout) -> NDArray[np.float32]:
    """Cells across the window, two of them virgin."""
    shape = (2, layout.inputs, layout.outputs)
    made = np.random.default_rng(0).uniform(2, 20, shape).astype(np.float32)
    made[:, 3, :2] = 0.02
    return made
