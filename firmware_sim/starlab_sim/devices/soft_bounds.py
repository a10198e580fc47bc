"""The soft-bounds model: steps that fade exponentially towards the end of the window. No cell.

The step at a distance ``x`` (0 .. 1) from the end of the window that a pulse leaves is
``s (exp(-n x) - exp(-n)) / (1 - exp(-n))``: all of ``s`` at that end, none at the other one. With
nonlinearity n = 0 it falls on a straight line, the linear soft bound. That is the form of the usual
exponential fits of conductance over pulse number, ``G = B (1 - exp(-p / A))``. The kernels see a
table of 720 bins: the step is that at the middle of a bin of 0.025 uS, off by less than 0.0007 n s.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from starlab_sim.devices.table import DeviceModel, StepTable
from starlab_sim.effects.parameters import check, parameter
from starlab_spec.geometry import WINDOW_uS

FINE_BINS: Final = 720
"""Bins of the table that the kernels see."""


@dataclass(frozen=True, slots=True)
class SoftBounds:
    """Its parameters; the defaults are near the preset `nonlinear-3`."""

    set_step_uS: float = parameter(
        0.30, "step of SET at the bottom of the window", unit="uS", high=WINDOW_uS, source="O"
    )
    reset_step_uS: float = parameter(
        0.30, "step of RESET at the top of the window", unit="uS", high=WINDOW_uS, source="O"
    )
    nonlinearity: float = parameter(
        2.0, "how fast steps fade: 0: on a straight line", high=20.0, source="O"
    )
    asymmetry: float = parameter(
        0.0,
        "nonlinearity of RESET less that of SET; neither falls below 0",
        low=-20.0,
        high=20.0,
        source="O",
    )
    deviation: float = parameter(
        0.0, "standard deviation of a step from pulse to pulse, as a share of it", high=10.0
    )

    def step_uS(self, nonlinearity: float, start_uS: float, x: float) -> float:
        """Mean step at a distance from the end that a pulse leaves.

        Args:
            nonlinearity: Of this kind of pulse.
            start_uS: Step at that end.
            x: The distance, 0 .. 1 of the window.
        """
        if nonlinearity < 1e-6:
            return start_uS * (1.0 - x)
        fading = np.expm1(-nonlinearity * x) - np.expm1(-nonlinearity)
        return float(start_uS * fading / -np.expm1(-nonlinearity))

    def model(self, name: str) -> DeviceModel:
        """The table that the kernels see.

        Raises:
            LimitExceeded: A parameter out of bounds.
        """
        check("soft_bounds", self)
        return DeviceModel(
            name,
            self._table(self.set_step_uS, self.nonlinearity - self.asymmetry / 2),
            self._table(self.reset_step_uS, self.nonlinearity + self.asymmetry / 2),
        )

    def _table(self, start_uS: float, nonlinearity: float) -> StepTable:
        middles = (np.arange(FINE_BINS) + 0.5) / FINE_BINS
        mean_uS = tuple(self.step_uS(max(nonlinearity, 0.0), start_uS, float(x)) for x in middles)
        return StepTable(mean_uS, tuple(self.deviation * one for one in mean_uS))
