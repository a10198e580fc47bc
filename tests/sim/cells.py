"""Chips with effects, and pulses on all of their cells, for tests of the devices."""

import numpy as np

from starlab_sim.chip import Chip, Converters, PulseConditions, PulseKind, Rails
from starlab_sim.effects import Effects
from starlab_spec.units import TICK_NS

SHAPE1, SHAPE2 = (2, 784, 100), (2, 100, 10)
EVERY1, EVERY2 = np.ones(SHAPE1, np.bool_), np.ones(SHAPE2, np.bool_)
RAILS, CONVERTERS = Rails(), Converters()
SET, RESET = RAILS.pulse(PulseKind.SET, 300), RAILS.pulse(PulseKind.RESET, 50)
DAY_TICKS = round(86_400e9 / TICK_NS)
SECOND_TICKS = round(1e9 / TICK_NS)


def chip_with(**effects: object) -> Chip:
    return Chip(seed=3, device="linear", formed=True, effects=Effects(**effects))  # type: ignore[arg-type]


def all_at(chip: Chip, level_uS: float) -> None:
    chip.set_conductance_uS(1, np.full(SHAPE1, level_uS))
    chip.set_conductance_uS(2, np.full(SHAPE2, level_uS))


def virgin(**effects: object) -> Chip:
    return Chip(seed=3, device="linear", effects=Effects(**effects))  # type: ignore[arg-type]


def form(chip: Chip, voltage_mv: float, width_ns: int = 12_800, count: int = 1) -> float:
    """Share of the cells that are formed after it."""
    chip.pulse(1, PulseKind.FORM, EVERY1, PulseConditions(voltage_mv, 1220, width_ns), count=count)
    return float(1.0 - chip.virgin(1).mean())
