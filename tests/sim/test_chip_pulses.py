"""Pulses, forming, counters, and that one seed means one history."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from starlab_sim.chip import Chip, Converters, Forming, PulseConditions, PulseKind, Rails
from starlab_sim.devices import DeviceModel, StepTable, preset
from starlab_sim.effects import CycleNoise, Effects
from starlab_spec.errors import LimitExceeded, ShapeError, UnknownName

RAILS = Rails()
SET1 = RAILS.pulse(PulseKind.SET, 300)
RESET1 = RAILS.pulse(PulseKind.RESET, 50)
FORM1 = RAILS.pulse(PulseKind.FORM, 12_800)
SHAPE1, SHAPE2 = (2, 784, 100), (2, 100, 10)


def every(shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.ones(shape, np.bool_)


def one(plane: int, row: int, column: int) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE1, np.bool_)
    mask[plane, row, column] = True
    return mask


def at(chip: Chip, *levels_uS: float) -> None:
    """Give the first cells of row 0, plane "+" of array 1 these conductances, all others 11 uS."""
    values = np.full(SHAPE1, 11.0)
    values[0, 0, : len(levels_uS)] = levels_uS
    chip.set_conductance_uS(1, values)


def test_a_virgin_cell_conducts_next_to_nothing_and_ignores_set_and_reset() -> None:
    chip = Chip(seed=1)
    before = chip.conductance_uS(1)
    assert chip.virgin(1).all()
    assert 0 < before.min() < before.max() < 0.1
    chip.pulse(1, PulseKind.SET, every(SHAPE1), SET1, count=5)
    chip.pulse(1, PulseKind.RESET, every(SHAPE1), RESET1)
    assert np.array_equal(chip.conductance_uS(1), before)


def test_form_brings_a_virgin_cell_to_mid_window_with_a_spread() -> None:
    chip = Chip(seed=1, forming=Forming(spread_uS=0.5))
    chip.pulse(1, PulseKind.FORM, every(SHAPE1), FORM1)
    cells = chip.conductance_uS(1)
    assert not chip.virgin(1).any()
    assert cells.mean() == pytest.approx(11.0, abs=0.01)
    assert cells.std() == pytest.approx(0.5, abs=0.01)


def test_form_leaves_a_formed_cell_as_it_is() -> None:
    chip = Chip(seed=1, formed=True)
    before = chip.conductance_uS(2)
    chip.pulse(2, PulseKind.FORM, every(SHAPE2), FORM1)
    assert np.array_equal(chip.conductance_uS(2), before)


def test_form_below_its_threshold_forms_nothing() -> None:
    chip = Chip(seed=1)
    weak = PulseConditions(4400.0, FORM1.gate_mv, 12_800)
    chip.pulse(2, PulseKind.FORM, every(SHAPE2), weak, count=10)
    assert chip.virgin(2).all()


def test_cells_beyond_the_yield_stay_virgin_for_good() -> None:
    chip = Chip(seed=1, forming=Forming(yield_fraction=0.9))
    chip.pulse(1, PulseKind.FORM, every(SHAPE1), FORM1)
    failed = chip.virgin(1)
    assert failed.mean() == pytest.approx(0.1, abs=0.005)
    chip.pulse(1, PulseKind.FORM, every(SHAPE1), FORM1, count=100)
    assert np.array_equal(chip.virgin(1), failed)
    delivered_formed = Chip(seed=1, formed=True, forming=Forming(yield_fraction=0.9))
    assert np.array_equal(delivered_formed.virgin(1), failed)


@pytest.mark.parametrize(
    ("kind", "from_uS", "step_uS"),
    [
        (PulseKind.SET, 2.0, 0.30),
        (PulseKind.SET, 3.79, 0.30),
        (PulseKind.SET, 3.81, 0.20),
        (PulseKind.SET, 11.5, 0.08),
        (PulseKind.SET, 18.5, 0.015),
        (PulseKind.RESET, 20.0, -0.30),
        (PulseKind.RESET, 18.21, -0.30),
        (PulseKind.RESET, 18.19, -0.20),
        (PulseKind.RESET, 10.5, -0.08),
        (PulseKind.RESET, 3.0, -0.015),
    ],
)
def test_a_nominal_pulse_moves_a_cell_by_its_bin_of_the_table(
    kind: PulseKind, from_uS: float, step_uS: float
) -> None:
    chip = Chip()
    at(chip, from_uS)
    chip.pulse(1, kind, one(0, 0, 0), SET1 if kind is PulseKind.SET else RESET1)
    assert chip.conductance_uS(1)[0, 0, 0] == pytest.approx(from_uS + step_uS, abs=2e-6)


def test_a_pulse_never_leaves_the_window() -> None:
    chip = Chip()
    at(chip, 19.999, 2.001)
    chip.pulse(1, PulseKind.SET, one(0, 0, 0), SET1, count=5)
    chip.pulse(1, PulseKind.RESET, one(0, 0, 1), RESET1, count=5)
    assert chip.conductance_uS(1)[0, 0, :2].tolist() == [20.0, 2.0]


def test_only_the_masked_cells_move() -> None:
    chip = Chip(seed=2, formed=True, device="measured")
    before = chip.conductance_uS(1)
    mask = np.random.default_rng(1).random(SHAPE1) < 0.3
    chip.pulse(1, PulseKind.SET, mask, SET1)
    assert np.array_equal(chip.conductance_uS(1) != before, mask)


def test_a_mask_of_some_rows_begins_where_it_is_told() -> None:
    whole, part = (Chip(seed=2, formed=True) for _ in range(2))
    mask = np.zeros(SHAPE1, np.bool_)
    mask[1, 300:302, 5] = True
    whole.pulse(1, PulseKind.SET, mask, SET1)
    assert part.pulse(1, PulseKind.SET, mask[:, 300:302], SET1, first_row=300) == 2
    assert np.array_equal(whole.conductance_uS(1), part.conductance_uS(1))


def test_several_pulses_are_as_many_single_ones() -> None:
    at_once, one_by_one = (Chip(seed=2, formed=True) for _ in range(2))
    at_once.pulse(2, PulseKind.RESET, every(SHAPE2), RESET1, count=4)
    for _ in range(4):
        one_by_one.pulse(2, PulseKind.RESET, every(SHAPE2), RESET1)
    assert np.array_equal(at_once.conductance_uS(2), one_by_one.conductance_uS(2))


def test_a_pulse_below_its_threshold_moves_nothing_even_with_noise() -> None:
    chip = Chip(
        seed=2, formed=True, device="measured", effects=Effects(cycle_noise=CycleNoise(0.5))
    )
    before = chip.conductance_uS(1)
    chip.pulse(1, PulseKind.SET, every(SHAPE1), PulseConditions(1400.0, 1813.0, 300))
    assert np.array_equal(chip.conductance_uS(1), before)


def test_the_measured_steps_have_the_measured_mean_and_deviation() -> None:
    chip = Chip(seed=2, device="measured")
    for level_uS, kind, mean_uS, std_uS in (
        (8.3, PulseKind.SET, 0.143, 0.602),
        (13.7, PulseKind.RESET, -0.0987, 0.648),
    ):
        chip.set_conductance_uS(1, np.full(SHAPE1, level_uS))
        chip.pulse(1, kind, every(SHAPE1), SET1 if kind is PulseKind.SET else RESET1)
        steps = chip.conductance_uS(1).astype(np.float64) - level_uS
        assert steps.mean() == pytest.approx(mean_uS, abs=0.01)
        assert steps.std() == pytest.approx(std_uS, abs=0.01)


def test_cycle_noise_adds_to_a_quiet_model_and_scales_with_the_step() -> None:
    chip = Chip(seed=2, effects=Effects(cycle_noise=CycleNoise(0.1)))
    halved = PulseConditions(SET1.amplitude_mv, SET1.gate_mv, 150)
    for pulse, factor in ((SET1, 1.0), (halved, 0.5)):
        chip.set_conductance_uS(1, np.full(SHAPE1, 11.9))
        chip.pulse(1, PulseKind.SET, every(SHAPE1), pulse)
        steps = chip.conductance_uS(1).astype(np.float64) - 11.9
        assert steps.mean() == pytest.approx(0.08 * factor, abs=0.002)
        assert steps.std() == pytest.approx(0.1 * factor, abs=0.002)


def test_a_model_of_the_users_own_may_have_any_number_of_bins() -> None:
    steps = StepTable((0.5, 0.1, 0.05), (0.0, 0.0, 0.0))
    chip = Chip(device=DeviceModel("coarse", set_steps=steps, reset_steps=steps))
    at(chip, 7.9, 8.1, 14.1)
    chip.pulse(1, PulseKind.SET, every(SHAPE1), SET1)
    assert chip.conductance_uS(1)[0, 0, :3] == pytest.approx([8.4, 8.2, 14.15], abs=1e-5)
    assert chip.device.name == "coarse"


def test_one_seed_is_one_chip_and_another_seed_another() -> None:
    first, again, other = (Chip(seed=seed, formed=True) for seed in (7, 7, 8))
    for array in (1, 2):
        assert np.array_equal(first.conductance_uS(array), again.conductance_uS(array))
        assert not np.array_equal(first.conductance_uS(array), other.conductance_uS(array))


def test_noise_does_not_depend_on_how_rows_are_cut_into_calls() -> None:
    at_once, in_parts = (Chip(seed=7, formed=True, device="measured") for _ in range(2))
    mask = np.random.default_rng(1).random(SHAPE1) < 0.5
    at_once.pulse(1, PulseKind.SET, mask, SET1, count=2)
    for start, stop in pairwise((0, 1, 300, 777, 784)):
        in_parts.pulse(1, PulseKind.SET, mask[:, start:stop], SET1, count=2, first_row=start)
    assert np.array_equal(at_once.conductance_uS(1), in_parts.conductance_uS(1))
    assert at_once.counters == in_parts.counters


def test_the_arrays_draw_from_streams_of_their_own() -> None:
    busy, idle = (Chip(seed=7, formed=True, device="measured") for _ in range(2))
    busy.pulse(1, PulseKind.SET, every(SHAPE1), SET1)
    for chip in (busy, idle):
        chip.pulse(2, PulseKind.SET, every(SHAPE2), SET1)
    assert np.array_equal(busy.conductance_uS(2), idle.conductance_uS(2))


def test_an_aborted_operation_leaves_whole_rows_done_and_the_rest_untouched() -> None:
    chip, full = (Chip(seed=7, formed=True) for _ in range(2))
    before = chip.conductance_uS(1)
    answers = iter([False, False, True])
    told: list[tuple[int, int]] = []
    done = chip.pulse(
        1,
        PulseKind.SET,
        every(SHAPE1),
        SET1,
        count=100,
        aborted=lambda: next(answers),
        progress=lambda *state: told.append(state),
    )
    assert 0 < done < 784
    assert told == [(done // 2, 784), (done, 784)]
    full.pulse(1, PulseKind.SET, every(SHAPE1), SET1, count=100)
    after = chip.conductance_uS(1)
    assert np.array_equal(after[:, :done], full.conductance_uS(1)[:, :done])
    assert np.array_equal(after[:, done:], before[:, done:])
    assert chip.counters.set_pulses == (done * 200 * 100, 0)


def test_pulses_time_and_energy_are_counted() -> None:
    chip = Chip(seed=1)
    mask = np.zeros((2, 2, 100), np.bool_)
    mask[0, 0, :3] = mask[1, 0, 0] = mask[1, 1, 0] = True
    chip.set_conductance_uS(1, np.full(SHAPE1, 10.0))
    chip.pulse(1, PulseKind.RESET, mask, RESET1, count=2)
    counters = chip.counters
    assert counters.reset_pulses == (10, 0)
    assert counters.pulses == 10
    assert counters.reset_operations == 2
    # 3 lines (row and plane) x 2 pulses x (1 tick of width + 3 of pause)
    assert counters.time_ticks == 24
    assert counters.time_s == pytest.approx(24 * 50e-9)
    # 10 pulses of V^2 G t, and 6 times a line's 1 pF
    volts = RESET1.amplitude_mv * 1e-3
    expected_j = volts**2 * (10 * 10e-6 * 50e-9 + 6 * 1e-12)
    assert counters.energy_j == pytest.approx(expected_j, rel=0.02)


def test_reading_is_counted_too() -> None:
    chip = Chip(seed=1, formed=True)
    chip.read(2, rows=range(10, 14), rails=RAILS, converters=Converters())
    counters = chip.counters
    assert (counters.read_operations, counters.cells_read) == (4, 80)
    assert counters.time_ticks == 8 * (20 + 256)
    assert counters.energy_j > 0


def test_an_inference_takes_two_to_the_n1_plus_n2_clock_cycles() -> None:
    chip = Chip(seed=1, formed=True)
    samples = np.zeros((3, 98), np.uint8)
    chip.infer(samples, rails=RAILS, converters=Converters(bits1=8, bits2=5))
    assert chip.counters.time_ticks == 3 * 2**13
    assert chip.counters.inferences == 3


def test_impossible_requests_are_refused() -> None:
    chip = Chip()
    with pytest.raises(ShapeError, match=r"mask of array 2 is bool \(2, 784, 100\), expected"):
        chip.pulse(2, PulseKind.SET, every(SHAPE1), SET1)
    with pytest.raises(LimitExceeded, match="row 784 is above the 783 limit"):
        chip.pulse(1, PulseKind.SET, every(SHAPE1), SET1, first_row=1)
    with pytest.raises(LimitExceeded, match="pulse count 0 is below the 1 limit"):
        chip.pulse(1, PulseKind.SET, every(SHAPE1), SET1, count=0)
    with pytest.raises(LimitExceeded, match="array 3 is above the 2 limit"):
        chip.conductance_uS(3)
    with pytest.raises(ShapeError, match="conductance of array 2 has shape"):
        chip.set_conductance_uS(2, np.zeros(SHAPE1))
    with pytest.raises(LimitExceeded, match=r"cycle_noise\.step_uS -1 uS is below the 0 uS limit"):
        Effects(cycle_noise=CycleNoise(-1))
    with pytest.raises(UnknownName):
        Chip(device="ideal")


def test_a_preset_may_be_given_as_a_model() -> None:
    assert Chip(device=preset("linear")).device is preset("linear")
