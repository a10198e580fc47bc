"""Cells that are not ideal: spread, stuck ones, forming and the gate."""

import numpy as np
import pytest
from tests.sim.cells import DAY_TICKS, EVERY1, RESET, SET, SHAPE1, all_at, chip_with, form, virgin

from starlab_sim.chip import PulseConditions, PulseKind
from starlab_sim.effects import (
    Effects,
    FormingStatistics,
    GateCompliance,
    Spread,
    StuckCells,
    TelegraphNoise,
)


def test_steps_are_lognormal_from_cell_to_cell_with_the_mean_of_the_table() -> None:
    chip = chip_with(spread=Spread(step=0.3, window=0.0))
    for kind, pulse in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
        all_at(chip, 11.0)
        chip.pulse(1, kind, EVERY1, pulse)
        steps = np.abs(chip.conductance_uS(1) - 11.0)
        assert steps.mean() == pytest.approx(0.0496, rel=0.005)
        assert np.log(steps).std() == pytest.approx(0.3, rel=0.01)


def test_a_cell_keeps_its_step_and_set_tells_nothing_of_reset() -> None:
    chip = chip_with(spread=Spread(step=0.3, window=0.0))
    steps = []
    for kind, pulse in ((PulseKind.SET, SET), (PulseKind.SET, SET), (PulseKind.RESET, RESET)):
        all_at(chip, 11.0)
        chip.pulse(1, kind, EVERY1, pulse)
        steps.append((chip.conductance_uS(1) - 11.0).reshape(-1))
    assert np.array_equal(steps[0], steps[1])
    assert abs(np.corrcoef(steps[0], steps[2])[0, 1]) < 0.01


def test_window_ends_are_normal_from_cell_to_cell() -> None:
    chip = chip_with(spread=Spread(step=0.0, window=0.05))
    for kind, pulse, end_uS in ((PulseKind.SET, SET, 20.0), (PulseKind.RESET, RESET, 2.0)):
        long = PulseConditions(pulse.amplitude_mv, pulse.gate_mv, 100 * pulse.width_ns)
        chip.pulse(1, kind, EVERY1, long, count=8)
        ends = chip.conductance_uS(1)
        assert np.median(ends) == pytest.approx(end_uS, abs=0.02)
        quartiles = np.quantile(ends, (0.25, 0.75))
        assert quartiles[1] - quartiles[0] == pytest.approx(1.349 * 0.9, rel=0.01)


def test_stuck_cells_sit_at_their_end_and_never_move() -> None:
    chip = chip_with(stuck=StuckCells(low=0.02, high=0.01))
    cells = chip.conductance_uS(1)
    low, high = cells == 2.0, cells == 20.0
    assert low.mean() == pytest.approx(0.02, abs=0.002)
    assert high.mean() == pytest.approx(0.01, abs=0.002)
    chip.pulse(1, PulseKind.SET, EVERY1, SET, count=20)
    chip.pulse(1, PulseKind.RESET, EVERY1, RESET, count=3)
    chip.set_conductance_uS(1, np.full(SHAPE1, 11.0))
    chip.let_pass(48 * DAY_TICKS)
    assert np.array_equal(chip.conductance_uS(1) == 2.0, low)
    assert np.array_equal(chip.conductance_uS(1) == 20.0, high)


def test_cells_that_are_no_longer_stuck_stay_and_move_again() -> None:
    chip = chip_with()
    before = chip.conductance_uS(1)
    chip.change_effects(Effects(stuck=StuckCells(low=0.02, high=0.01)))
    stuck = chip.conductance_uS(1)
    assert 0.02 < (stuck != before).mean() < 0.04
    chip.change_effects(Effects())
    assert np.array_equal(chip.conductance_uS(1), stuck)
    chip.pulse(1, PulseKind.SET, EVERY1, SET)
    assert (chip.conductance_uS(1)[stuck == 2.0] > 2.0).all()


def test_an_effect_switched_off_and_on_finds_the_same_cells() -> None:
    once, again = chip_with(spread=Spread()), chip_with()
    again.change_effects(Effects(spread=Spread(), telegraph=TelegraphNoise(fraction=0.5)))
    again.change_effects(Effects(spread=Spread()))
    for chip in (once, again):
        all_at(chip, 11.0)
        chip.pulse(1, PulseKind.SET, EVERY1, SET, count=5)
    assert np.array_equal(once.conductance_uS(1), again.conductance_uS(1))


# ---- forming, gate


def test_half_of_the_cells_form_at_the_median_voltage_and_width() -> None:
    statistics = FormingStatistics(yield_fraction=1.0, voltage_spread_mv=0.0)
    assert form(virgin(forming=statistics), 4750.0) == pytest.approx(0.5, abs=0.005)
    longer = form(virgin(forming=statistics), 4750.0, 3 * 12_800)
    assert longer == pytest.approx(1 - 2**-3, abs=0.005)
    assert form(virgin(forming=statistics), 4750.0, count=3) == pytest.approx(longer, abs=0.005)


def test_a_decade_of_width_makes_up_for_some_voltage() -> None:
    statistics = FormingStatistics(yield_fraction=1.0, decade_mv=80.0)
    low = form(virgin(forming=statistics), 4670.0, 128_000)
    assert low == pytest.approx(form(virgin(forming=statistics), 4750.0, 12_800), abs=0.007)


def test_no_pulse_forms_more_than_the_yield() -> None:
    chip = virgin(forming=FormingStatistics(yield_fraction=0.95))
    assert form(chip, 5250.0, count=50) == pytest.approx(0.95, abs=0.002)


def test_conductance_after_forming_has_its_mean_and_spread() -> None:
    chip = virgin(forming=FormingStatistics(target_uS=10.0, spread_uS=1.5))
    form(chip, 5016.0, count=20)
    cells = chip.conductance_uS(1)[~chip.virgin(1)]
    assert cells.mean() == pytest.approx(10.0, abs=0.02)
    assert cells.std() == pytest.approx(1.5, abs=0.02)


def test_the_gate_caps_what_set_reaches_and_moves_no_cell_down() -> None:
    chip = chip_with(gate=GateCompliance())
    all_at(chip, 13.0)
    weak = PulseConditions(SET.amplitude_mv, 700 + 1000 * 12 / 18, 300)
    chip.pulse(1, PulseKind.SET, EVERY1, weak, count=100)
    assert (chip.conductance_uS(1) == np.float32(13.0)).all()
    all_at(chip, 11.0)
    chip.pulse(1, PulseKind.SET, EVERY1, weak, count=100)
    assert chip.conductance_uS(1) == pytest.approx(12.0, abs=1e-5)


def test_the_table_holds_at_the_published_gate_voltage() -> None:
    gated, plain = chip_with(gate=GateCompliance()), chip_with()
    for chip in (gated, plain):
        chip.pulse(1, PulseKind.SET, EVERY1, SET, count=300)
    assert np.array_equal(gated.conductance_uS(1), plain.conductance_uS(1))
    assert plain.conductance_uS(1).max() == 20.0


def test_the_gate_limits_what_forming_leaves() -> None:
    chip = virgin(gate=GateCompliance())
    chip.pulse(1, PulseKind.FORM, EVERY1, PulseConditions(5016, 700 + 0.5 * 520, 12_800))
    assert chip.conductance_uS(1).mean() == pytest.approx(5.5, abs=0.03)
