"""Cells that are not ideal: wear and retention."""

import math

import numpy as np
import pytest
from tests.sim.cells import (
    DAY_TICKS,
    EVERY2,
    RESET,
    SECOND_TICKS,
    SET,
    SHAPE1,
    all_at,
    chip_with,
    virgin,
)

from starlab_sim.chip import PulseKind
from starlab_sim.effects import Effects, Retention, Wear


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_pulses_narrow_the_window_by_the_law(exponent: float) -> None:
    chip = chip_with(wear=Wear(endurance_pulses=1000.0, exponent=exponent))
    for expected in (500, 1000, 2000):
        while (had := int(chip.pulses(2)[0, 0, 0])) < expected:
            kind, pulse = (PulseKind.SET, SET) if had % 2 else (PulseKind.RESET, RESET)
            chip.pulse(2, kind, EVERY2, pulse, count=min(251, expected - had))
        left = 1.0 / (1.0 + (expected / 1000.0) ** exponent)
        ends = []
        for kind, pulse in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
            fresh = chip.conductance_uS(2)
            chip._array2.conductance_uS[...] = 20.0 if kind is PulseKind.SET else 2.0
            chip.pulse(2, kind, EVERY2, pulse)
            ends.append(float(chip.conductance_uS(2)[0, 0, 0]))
            chip._array2.conductance_uS[...] = fresh
            chip._array2.pulses[...] -= 1
        after = 1.0 / (1.0 + ((expected + 1) / 1000.0) ** exponent)
        assert ends == pytest.approx([11 + 9 * after, 11 - 9 * after], abs=1e-4)
        assert after == pytest.approx(left, rel=0.01)


# ---- retention


RELAXING = Retention(relaxation_per_decade=0.02, resting_uS=8.0, walk_uS=0.0)
WALKING = Retention(relaxation_per_decade=0.0, walk_uS=0.05)


def test_cells_relax_by_a_share_per_decade_for_48_days() -> None:
    chip = chip_with(retention=RELAXING)
    all_at(chip, 18.0)
    chip.let_pass(48 * DAY_TICKS)
    decades = math.log10(1 + 48 * 86_400)
    expected = 8 + 10 * 0.98**decades
    assert chip.conductance_uS(1) == pytest.approx(expected, abs=1e-5)


def test_many_small_steps_of_time_relax_as_one_does() -> None:
    chip = chip_with(retention=RELAXING)
    all_at(chip, 18.0)
    for _ in range(100):
        chip.let_pass(1000 * SECOND_TICKS)
        chip.conductance_uS(2)
    expected = 8 + 10 * 0.98 ** math.log10(1 + 100_000)
    cells = chip.conductance_uS(1).astype(np.float64)
    assert cells.mean() == pytest.approx(expected, abs=1e-6)
    assert cells.std() < 2e-5


def test_cells_walk_at_random_by_a_variance_per_decade() -> None:
    chip = chip_with(retention=WALKING)
    all_at(chip, 11.0)
    for _ in range(20):
        chip.let_pass(5000 * SECOND_TICKS)
        chip.conductance_uS(1)
    drift = chip.conductance_uS(1).astype(np.float64) - 11.0
    assert drift.mean() == pytest.approx(0.0, abs=0.001)
    assert drift.std() == pytest.approx(0.05 * math.sqrt(math.log10(1 + 1e5)), rel=0.01)


def test_a_pulse_begins_a_new_life_of_its_cell_alone() -> None:
    chip = chip_with(retention=RELAXING)
    all_at(chip, 18.0)
    chip.let_pass(DAY_TICKS)
    mask = np.zeros(SHAPE1, np.bool_)
    mask[0, 5, 7] = True
    chip.pulse(1, PulseKind.SET, mask, SET)
    before = chip.conductance_uS(1).astype(np.float64)
    chip.let_pass(9 * SECOND_TICKS)
    after = chip.conductance_uS(1).astype(np.float64)
    assert after[0, 5, 7] == pytest.approx(8 + (before[0, 5, 7] - 8) * 0.98, abs=1e-4)
    assert after[0, 5, 8] == pytest.approx(before[0, 5, 8], abs=1e-4)


def test_retention_counts_from_when_it_is_switched_on() -> None:
    chip = chip_with()
    all_at(chip, 18.0)
    chip.let_pass(DAY_TICKS)
    chip.change_effects(Effects(retention=RELAXING))
    assert (chip.conductance_uS(1) == 18.0).all()
    chip.let_pass(9 * SECOND_TICKS)
    assert chip.conductance_uS(1) == pytest.approx(8 + 10 * 0.98, abs=1e-5)


def test_virgin_cells_stay_virgin() -> None:
    chip = virgin(retention=Retention(walk_uS=5.0))
    before = chip.conductance_uS(1)
    chip.let_pass(48 * DAY_TICKS)
    assert np.array_equal(chip.conductance_uS(1), before)
