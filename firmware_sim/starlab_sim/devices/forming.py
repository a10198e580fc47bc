"""How virgin cells are, and what forming makes of them. Holds no cell and draws no number."""

from dataclasses import dataclass
from typing import Final

from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import (
    CONDUCTANCE_MAX_uS,
    CONDUCTANCE_MIN_uS,
    MID_WINDOW_uS,
)

VIRGIN_RANGE_uS: Final = (0.01, 0.09)
"""Virgin cells conduct evenly distributed amounts within this range [O]: below 0.1 uS."""


@dataclass(frozen=True, slots=True)
class Forming:
    """What FORM at a sufficient voltage does to virgin cells [O]."""

    target_uS: float = MID_WINDOW_uS
    """Mean conductance after forming: the middle of the window."""
    spread_uS: float = 0.5
    """Standard deviation from cell to cell."""
    yield_fraction: float = 1.0
    """Share of cells that can be formed; which, is a property of the chip, decided by its seed."""

    def __post_init__(self) -> None:
        """Refuse targets outside the window, negative spreads, and shares that are none."""
        for name, value, low, high, unit in (
            ("forming target", self.target_uS, CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS, "uS"),
            ("forming spread", self.spread_uS, 0.0, CONDUCTANCE_MAX_uS, "uS"),
            ("forming yield", self.yield_fraction, 0.0, 1.0, ""),
        ):
            if not low <= value <= high:
                raise LimitExceeded(name, value, low if value < low else high, unit)
