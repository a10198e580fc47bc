"""Rails and settings at which a chip learns MNIST from scratch, found by search. Sends nothing.

All values are choices [O]; chip facts, section 3, tells what they mean. They hold for cells of the
``nonlinear-3`` kind, and are such that a lab can set them: supplies and registers. While the chip
learns, the rails fall and the error threshold rises, so that it settles by ever finer steps.
``python -m benchmarks.working_point`` measures them on the emulated chip alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ARRAY1_SHAPE: Final = (2, 784, 100)
ARRAY2_SHAPE: Final = (2, 100, 10)
MID_WINDOW_uS: Final = 11.0
WRITABLE_uS: Final = (2.5, 19.5)
"""The window of 2..20 uS, less what write-verify needs on either side."""
SUPPLY_STEP_MV: Final = 605.0 * 10_000 / 255 / 1200
"""What one code of a voltage generator makes."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is set before a part of the learning."""

    supplies_mv: Mapping[str, float]
    """Rails of the programming pulses."""
    settings: Mapping[str, Any]
    """Thresholds."""


@dataclass(frozen=True, slots=True)
class WorkingPoint:
    """What a chip is set to before and while it learns."""

    settings: Mapping[str, Any] = field(
        default_factory=lambda: {
            "adc_bits_1": 8,
            "adc_bits_2": 7,
            "integration_time_1_ns": 250,
            "integration_time_2_ns": 150,
            "output_activation": "none",
            "scheme": "cyclic",
            "th1_uS": 2.5,
            "c1": 0.25,
            "c1_relative": True,
            "target_on": 400,
            "target_off": -160,
        }
    )
    """What stays as it is all the time."""
    writing_mv: Mapping[str, float] = field(
        default_factory=lambda: {"VBLset": 2209.0, "VSLreset": 1600.0}
    )
    """Rails of the programming pulses while cells are written and verified: the published ones."""
    lowered_codes: tuple[float, float] = (4.0, 13.0)
    """How many codes these rails are lowered by at the start and at the end of the learning: at
    the end a pulse moves a cell by a third as much as at the start."""
    th: tuple[int, int] = (180, 270)
    """Threshold of the output error at the start and at the end, output codes."""
    array2_spread_uS: float = 4.0
    """Spread of the cells of array 2 before learning: without it nothing tells the hidden units
    apart, and no error finds its way back to array 1."""
    tolerance_uS: float = 0.3
    """How near write-verify brings cells."""

    def stage(self, done: float) -> Stage:
        """What to set when this share of the learning, 0..1, is done."""
        first, last = self.lowered_codes
        lowered_mv = round(first + done * (last - first)) * SUPPLY_STEP_MV
        th = round(self.th[0] + done * (self.th[1] - self.th[0]))
        supplies_mv = {name: mv - lowered_mv for name, mv in self.writing_mv.items()}
        return Stage(supplies_mv, {"th": th})

    def array1_conductance_uS(self) -> NDArray[np.float64]:
        """Cells for array 1, if they are not fresh from forming: shape (2, 784, 100)."""
        return np.full(ARRAY1_SHAPE, MID_WINDOW_uS)

    def array2_conductance_uS(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Random cells for array 2: shape (2, 100, 10), normal around the middle of the window."""
        cells = rng.normal(MID_WINDOW_uS, self.array2_spread_uS, ARRAY2_SHAPE)
        return cells.clip(*WRITABLE_uS)


MNIST_FROM_SCRATCH: Final = WorkingPoint()
"""Both layers, cyclic scheme, no output activation: one epoch of 60,000 digits or a few."""
