"""What operations cost, against hand calculation; where it is counted. Times nothing."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starlab_sim.chip import (
    CONSTANTS,
    Activation,
    Chip,
    Converters,
    Counters,
    Learning,
    PulseKind,
    Rails,
    Schedule,
    Tuning,
)
from starlab_sim.effects import Effects, Spread
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.samples import pack_samples

RAILS = Rails()
CONVERTERS = Converters(bits1=4, bits2=3, integration1_ns=250, integration2_ns=150)
STEP_J = CONSTANTS["ADC_STEP_J"].value
LINE_F = CONSTANTS["LINE_CAPACITANCE_F"].value
PLUS_V, MINUS_V = RAILS.read_plus_mv * 1e-3, RAILS.read_minus_mv * 1e-3


def chip_at(plus_uS: float, minus_uS: float) -> Chip:
    """Every pair of every array at the same two conductances."""
    chip = Chip(seed=1)
    for geometry in (ARRAY1, ARRAY2):
        cells = np.empty(geometry.shape)
        cells[0], cells[1] = plus_uS, minus_uS
        chip.set_conductance_uS(geometry.number, cells)
    return chip


def samples_on(*rows_on: int) -> np.ndarray:
    """Packed samples whose first pixels are on: so many of each."""
    bits = np.zeros((len(rows_on), 784), np.uint8)
    for sample, count in enumerate(rows_on):
        bits[sample, :count] = 1
    return pack_samples(bits)


def parts_of(counters: Counters) -> list[float]:
    by_array = (*counters.set_j, *counters.reset_j, *counters.form_j)
    return [*by_array, counters.cells_j, counters.converters_j, counters.lines_j]


def test_a_pulse_costs_v2gt_of_its_cells_and_cv2_of_its_line_under_its_array_and_kind() -> None:
    chip = chip_at(10, 10)
    mask = np.zeros((2, 1, 10), np.bool_)
    mask[0, 0, :3] = True
    pulse = RAILS.pulse(PulseKind.RESET, 100)
    chip.pulse(2, PulseKind.RESET, mask, pulse)
    volts = pulse.amplitude_mv * 1e-3
    expected_j = volts**2 * (3 * 10e-6 * 100e-9 + LINE_F)
    assert chip.counters.reset_j == pytest.approx((0.0, expected_j), rel=1e-9)
    assert sum(parts_of(chip.counters)) == chip.counters.reset_j[1] == chip.counters.energy_j
    assert chip.counters.reset_ticks == (0, 2 + 3)
    assert chip.counters.time_ticks == 5


def test_a_forming_pulse_is_counted_as_forming() -> None:
    chip = Chip(seed=1)
    mask = np.ones((2, 1, 100), np.bool_)
    chip.pulse(1, PulseKind.FORM, mask, RAILS.pulse(PulseKind.FORM, 1000))
    assert chip.counters.form_j[0] == chip.counters.energy_j > 0
    assert chip.counters.form_ticks[0] == chip.counters.time_ticks == 2 * (20 + 3)


def test_a_read_row_costs_its_cells_its_conversions_and_its_line() -> None:
    chip = chip_at(10, 4)
    chip.read(1, rows=range(2), planes=(0,), rails=RAILS, converters=CONVERTERS)
    counters = chip.counters
    assert counters.cells_j == pytest.approx(2 * 100 * 10e-6 * PLUS_V**2 * 20 * 50e-9)
    assert counters.converters_j == pytest.approx(2 * 100 * 256 * STEP_J)
    assert counters.lines_j == pytest.approx(2 * LINE_F * PLUS_V**2)
    assert counters.read_ticks == counters.time_ticks == 2 * (20 + 256)


def test_a_product_with_array_1_costs_cells_conversions_and_two_lines_a_row() -> None:
    chip = chip_at(10, 4)
    chip.vmm(samples_on(5), rails=RAILS, converters=CONVERTERS)
    counters = chip.counters
    cells_j = 5 * 100 * (10e-6 * PLUS_V**2 + 4e-6 * MINUS_V**2) * 250e-9
    assert counters.cells_j == pytest.approx(cells_j)
    assert counters.converters_j == pytest.approx(100 * 16 * STEP_J)
    assert counters.lines_j == pytest.approx(5 * LINE_F * (PLUS_V**2 + MINUS_V**2))
    assert counters.forward_ticks == counters.time_ticks == 5 + 16


def test_a_product_with_array_2_costs_every_column_in_every_slot() -> None:
    chip = chip_at(10, 4)
    hidden = np.zeros((1, 100), np.uint8)
    hidden[0, :2] = 3, 7
    chip.vmm2(hidden, rails=RAILS, converters=CONVERTERS)
    counters = chip.counters
    assert counters.cells_j == pytest.approx((3 + 7) * 10 * 14e-6 * PLUS_V**2 * 150e-9)
    assert counters.converters_j == pytest.approx(20 * 15 * 8 * STEP_J)
    assert counters.lines_j == pytest.approx((3 + 7) * LINE_F * PLUS_V**2)
    assert counters.forward_ticks == counters.time_ticks == 1 << 7


def test_an_inference_costs_what_both_products_do() -> None:
    whole, parts = chip_at(10, 4), chip_at(10, 4)
    samples = samples_on(5, 17, 0)
    hidden = whole.infer(samples, rails=RAILS, converters=CONVERTERS).hidden
    parts.vmm(samples, rails=RAILS, converters=CONVERTERS)
    parts.vmm2(hidden, rails=RAILS, converters=CONVERTERS)
    assert parts_of(whole.counters) == pytest.approx(parts_of(parts.counters))


def test_a_learning_step_adds_the_way_back_and_its_pulses() -> None:
    chip, twin = chip_at(10, 4), chip_at(10, 4)
    samples = samples_on(40)
    hidden = twin.infer(samples, rails=RAILS, converters=CONVERTERS).hidden
    targets = np.zeros((1, 10), np.int32)
    targets[0, 3] = 30_000
    learning = Learning(threshold=10_000, hidden_threshold_uS=1.0, activation=Activation.NONE)
    training = chip.train(
        samples,
        targets,
        rails=RAILS,
        converters=CONVERTERS,
        learning=learning,
        tuning=Tuning.at(RAILS, Schedule.cyclic(), set1_ns=50, set2_ns=100),
    )
    on = int((hidden > 0).sum())
    assert on == 100
    found, forward = chip.counters, twin.counters
    # one output is driven back through its 100 pairs of 10 + 4 uS
    back_j = 100 * 14e-6 * PLUS_V**2 * 32 * 50e-9
    assert found.cells_j - forward.cells_j == pytest.approx(back_j)
    assert found.converters_j - forward.converters_j == pytest.approx(100 * 2 * STEP_J)
    assert found.lines_j - forward.lines_j == pytest.approx(2 * LINE_F * PLUS_V**2)
    # SET phase: 40 rows x 100 columns of array 1 from 10 uS up, 100 rows x 1 of array 2
    assert (training.pulses1[0], training.pulses2[0]) == (4000, 100)
    volts2 = RAILS.pulse(PulseKind.SET, 50).amplitude_mv ** 2 * 1e-6
    expected1_j = volts2 * (4000 * 10e-6 * 50e-9 + 40 * LINE_F)
    expected2_j = volts2 * (100 * 10e-6 * 100e-9 + 100 * LINE_F)
    assert found.set_j == pytest.approx((expected1_j, expected2_j))
    assert found.reset_j == (0.0, 0.0)
    # two passes an array, whatever the number of cells
    assert found.set_ticks == (2 * (1 + 3), 2 * (2 + 3))
    assert (found.forward_ticks, found.backward_ticks) == (1 << 7, 32)
    assert found.time_ticks == 8 + 10 + 128 + 32


OPERATIONS: dict[str, Callable[[Chip], object]] = {
    "pulse": lambda chip: chip.pulse(
        1, PulseKind.SET, np.ones((2, 3, 100), np.bool_), RAILS.pulse(PulseKind.SET, 50)
    ),
    "form": lambda chip: chip.pulse(
        2, PulseKind.FORM, np.ones((2, 3, 10), np.bool_), RAILS.pulse(PulseKind.FORM, 50)
    ),
    "read": lambda chip: chip.read(2, rails=RAILS, converters=CONVERTERS),
    "vmm": lambda chip: chip.vmm(samples_on(3), rails=RAILS, converters=CONVERTERS),
    "vmm2": lambda chip: chip.vmm2(np.ones((1, 100), np.uint8), rails=RAILS, converters=CONVERTERS),
    "infer": lambda chip: chip.infer(samples_on(3), rails=RAILS, converters=CONVERTERS),
    "train": lambda chip: chip.train(
        samples_on(3),
        np.full((1, 10), 500, np.int32),
        rails=RAILS,
        converters=CONVERTERS,
        learning=Learning(),
        tuning=Tuning.at(RAILS, Schedule.non_cyclic()),
    ),
}


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=5))
def test_every_operation_takes_time_and_energy_and_the_parts_add_up(names: list[str]) -> None:
    chip = chip_at(11, 9)
    for name in names:
        before = chip.counters
        OPERATIONS[name](chip)
        after = chip.counters
        assert after.time_ticks > before.time_ticks
        assert after.energy_j > before.energy_j
        assert all(new >= old for new, old in zip(parts_of(after), parts_of(before), strict=True))
        assert sum(parts_of(after)) == pytest.approx(after.energy_j, rel=1e-12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_cells_that_are_not_ideal_are_counted_alike(name: str) -> None:
    neutral = Effects(spread=Spread(step=0.0, window=0.0))
    ideal, other = Chip(seed=1, formed=True), Chip(seed=1, formed=True, effects=neutral)
    for chip in (ideal, other):
        OPERATIONS[name](chip)
    assert parts_of(other.counters) == pytest.approx(parts_of(ideal.counters))
    assert other.counters.time_ticks == ideal.counters.time_ticks


def test_every_constant_says_where_it_comes_from_and_what_it_enters() -> None:
    for name, constant in CONSTANTS.items():
        assert name == constant.name
        assert constant.value > 0
        assert "assumption" in constant.source or "[" in constant.source
        assert constant.enters
