"""Rails and settings at which a chip learns MNIST from scratch, found by search. Sends nothing.

All values are choices [O]; chip facts, section 3, tells what they mean. They hold for cells of the
``nonlinear-3`` kind: there a pulse at nominal rails moves a cell by up to 0.3 uS, too much for
learning, so the rails are lowered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ARRAY1_SHAPE: Final = (2, 784, 100)
ARRAY2_SHAPE: Final = (2, 100, 10)
WINDOW_uS: Final = (2.0, 20.0)
MID_WINDOW_uS: Final = 11.0


@dataclass(frozen=True)
class WorkingPoint:
    """What a chip is set to before it learns."""

    writing_mv: Mapping[str, float] = field(
        default_factory=lambda: {"VBLset": 2209.0, "VSLreset": 1600.0}
    )
    """Rails of the programming pulses while cells are written and verified: the published ones."""
    learning_mv: Mapping[str, float] = field(
        default_factory=lambda: {"VBLset": 2000.0, "VSLreset": 1390.0}
    )
    """The same while the chip learns: lowered, so that a pulse moves a cell less."""
    settings: Mapping[str, Any] = field(
        default_factory=lambda: {
            "th": 27,
            "th1_uS": 5.0,
            "c1": 0.4,
            "c1_relative": True,
            "c2": 0.0,
            "output_activation": "relu",
            "scheme": "cyclic",
            "target_on": 79,
            "target_off": 0,
        }
    )
    """Settings of learning."""
    array2_spread_uS: float = 4.0
    """Spread of the cells of array 2 before learning: without it nothing tells the hidden units
    apart, and no error finds its way back to array 1."""
    tolerance_uS: float = 0.5
    """How near write-verify brings cells."""

    def array1_conductance_uS(self) -> NDArray[np.float64]:
        """Cells for array 1, if they are not fresh from forming: shape (2, 784, 100)."""
        return np.full(ARRAY1_SHAPE, MID_WINDOW_uS)

    def array2_conductance_uS(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Random cells for array 2: shape (2, 100, 10), normal around the middle of the window."""
        cells = rng.normal(MID_WINDOW_uS, self.array2_spread_uS, ARRAY2_SHAPE)
        return cells.clip(*WINDOW_uS)


MNIST_FROM_SCRATCH: Final = WorkingPoint()
"""Both layers, cyclic scheme, output ReLU; one epoch of 60,000 digits."""
