"""What a pulse does to a cell, as a table over its conductance. Holds no cell and draws no number.

Source: the device tables of the chip authors' simulation [C]: ten equal bins of 1.8 uS over the
window of 2..20 uS. A SET pulse moves a cell up by ``mean[bin] + std[bin] * noise``; a RESET pulse
is the mirror: its table is indexed from the top of the window and its step goes down. The cell is
then clipped to the window.
"""

from dataclasses import dataclass
from typing import Final

from starlab_spec.errors import LimitExceeded, ShapeError

BINS: Final = 10
"""Entries of a published table: 1.8 uS each [C]."""


@dataclass(frozen=True, slots=True)
class StepTable:
    """The step of one nominal pulse, bin by bin, seen from the end of the window it leaves."""

    mean_uS: tuple[float, ...]
    """Mean step per pulse, at least 0. First bin: low conductance for SET, high for RESET."""
    std_uS: tuple[float, ...]
    """Standard deviation of the step from pulse to pulse, at least 0."""

    def __post_init__(self) -> None:
        """Refuse tables of unequal or no length, and negative steps."""
        if not self.mean_uS or len(self.mean_uS) != len(self.std_uS):
            raise ShapeError(
                "step table",
                f"has {len(self.mean_uS)} means and {len(self.std_uS)} deviations,"
                " expected as many, at least one",
            )
        for name, values in (("mean step", self.mean_uS), ("step deviation", self.std_uS)):
            if not min(values) >= 0.0:
                raise LimitExceeded(name, min(values), 0.0, "uS")


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """How the cells of a chip answer to nominal SET and RESET pulses."""

    name: str
    """Preset name, or the name that its author gave it."""
    set_steps: StepTable
    """Steps up; the first bin is the bottom of the window."""
    reset_steps: StepTable
    """Steps down; the first bin is the top of the window."""

    def __post_init__(self) -> None:
        """Refuse two tables that cut the window differently."""
        if len(self.set_steps.mean_uS) != len(self.reset_steps.mean_uS):
            raise ShapeError(
                f"device model {self.name!r}",
                f"has {len(self.set_steps.mean_uS)} bins for SET"
                f" and {len(self.reset_steps.mean_uS)} for RESET, expected as many",
            )
