"""Cells that are not ideal: noise of reading, telegraph noise."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.cells import CONVERTERS, RAILS, SECOND_TICKS, SHAPE2, all_at, chip_with

from starlab_sim.chip import Chip, Converters
from starlab_sim.chip.detailed.noise import forward_noises, read_noise
from starlab_sim.effects import Effects, ReadNoise, TelegraphNoise


def test_read_has_the_noise_of_its_converter() -> None:
    chip = chip_with(read_noise=ReadNoise(converter_codes=1.5))
    all_at(chip, 11.03)
    codes = chip.read(1, rails=RAILS, converters=CONVERTERS).astype(np.float64)
    sigma = math.sqrt(1.5**2 + 1 / 12)
    assert codes.std() == pytest.approx(sigma, rel=0.01)


def test_thermal_noise_is_that_of_the_conductance() -> None:
    hot = ReadNoise(temperature_k=500.0, converter_codes=0.0)
    noise = read_noise(hot, CONVERTERS, 1)
    expected_ua = math.sqrt(4 * 1.380649e-23 * 500 * 11e-6 / (2 * 1e-6)) * 1e6
    codes_per_ua = 255 / CONVERTERS.read_full_scale_ua(1)
    assert math.sqrt(noise.thermal_codes2 * 11) == pytest.approx(expected_ua * codes_per_ua)
    one, two = forward_noises(hot, Converters(integration1_ns=400))
    assert one.thermal_codes2 > 0
    assert two.thermal_codes2 > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_every_slot_of_array_2_has_noise_of_its_own(seed: int) -> None:
    converters = Converters(bits1=6, bits2=8)
    chip = Chip(seed=seed, formed=True, effects=Effects(read_noise=ReadNoise(converter_codes=0.8)))
    plain = Chip(seed=seed, formed=True)
    hidden = np.tile(np.random.default_rng(seed).integers(0, 64, 100, np.uint8), (3000, 1))
    for one in (chip, plain):
        one.set_conductance_uS(2, np.random.default_rng(seed).uniform(3, 7, SHAPE2))
    noisy = chip.vmm2(hidden, rails=RAILS, converters=converters).astype(np.float64)
    exact = plain.vmm2(hidden[:1], rails=RAILS, converters=converters)[0]
    busy = int(hidden[0].max())
    variance = 2 * busy * (0.8**2 + 1 / 12)  # of slots with a current; the others add a little
    assert noisy.mean(axis=0) == pytest.approx(exact, abs=20)
    assert noisy.std(axis=0) == pytest.approx(math.sqrt(variance), rel=0.05)


# ---- telegraph noise


def traces(chip: Chip, seconds: float, times: int) -> NDArray[np.float64]:
    """Array 2 read again and again, (times, 2, 100, 10)."""
    found = []
    for _ in range(times):
        found.append(chip.read(2, rails=RAILS, converters=CONVERTERS).astype(np.float64))
        chip.let_pass(round(seconds * SECOND_TICKS))
    return np.array(found)


def telegraph(**strengths: float) -> Chip:
    chip = chip_with(telegraph=TelegraphNoise(**strengths))
    all_at(chip, 18.0)
    return chip


def test_a_trap_switches_its_cell_between_two_conductances() -> None:
    chip = telegraph(
        fraction=1.0, amplitude=0.2, amplitude_spread=0.0, fastest_s=0.1, slowest_s=0.1001
    )
    levels, counts = np.unique(traces(chip, 1.0, 100), return_counts=True)
    high = counts[levels > 162].sum() / counts.sum()
    assert levels[counts > 50] == pytest.approx([144, 180], abs=2)
    assert high == pytest.approx(0.5, abs=0.01)


def test_a_trap_forgets_its_state_in_its_time() -> None:
    chip = telegraph(
        fraction=1.0, amplitude=0.2, amplitude_spread=0.0, fastest_s=1.0, slowest_s=1.0001
    )
    interval_s = 0.25
    seen = traces(chip, interval_s, 200) > 162
    same = (seen[1:] == seen[:-1]).mean()
    assert same == pytest.approx(0.5 + 0.5 * math.exp(-2 * interval_s), abs=0.005)


def test_reading_changes_no_trap_and_no_cell() -> None:
    often, once = (telegraph(fraction=1.0, amplitude=0.2) for _ in "ab")
    before = often.conductance_uS(2)
    for _ in range(7):
        often.read(2, rails=RAILS, converters=CONVERTERS)
    once.let_pass(often.counters.time_ticks - once.counters.time_ticks)
    for chip in (often, once):
        chip.let_pass(SECOND_TICKS)
    codes = [chip.read(2, rails=RAILS, converters=CONVERTERS) for chip in (often, once)]
    assert np.array_equal(codes[0], codes[1])
    assert np.array_equal(often.conductance_uS(2), before)
