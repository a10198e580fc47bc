"""The error's way back through array 2: wires, traps and noise reach it as they reach reading."""

from typing import Any

import numpy as np
import pytest
from benchmarks.validation import nodal
from numpy.typing import NDArray
from scipy.stats import norm
from tests.sim.lessons import CONVERTERS, CYCLIC, RAILS, digits, train

from starlab_sim.chip import Chip, Learning
from starlab_sim.chip.detailed.backward import driven_back
from starlab_sim.chip.detailed.noise import backward_noise
from starlab_sim.chip.learning import FALLING, RISING
from starlab_sim.chip.readout import readout
from starlab_sim.chip.wires import Layout
from starlab_sim.effects import Array1Wires, Array2Wires, Effects, ReadNoise, TelegraphNoise, Wires
from starlab_spec.geometry import ARRAY1, ARRAY2, MINUS, PLUS

# the first test that needs them compiles kernels, and that may take a minute on a busy machine
pytestmark = pytest.mark.timeout(400)

LEARNING = Learning(threshold=1, hidden_threshold_uS=4.0)
IDEAL = Array1Wires(
    bl_segment_ohm=0.0, sl_segment_ohm=0.0, bl_driver_ohm=0.0, sl_driver_ohm=0.0, transistor_ohm=0.0
)
POOR = Array2Wires(bl_segment_ohm=150.0, sl_segment_ohm=40.0, bl_driver_ohm=2000.0)
STILL = TelegraphNoise(
    fraction=0.5, amplitude=0.4, amplitude_spread=0.0, fastest_s=1e6, slowest_s=1e7
)
"""Traps that keep their state for months."""


def chip_with(**effects: Any) -> Chip:
    chip = Chip(seed=2, formed=True, effects=Effects(**effects))
    rng = np.random.default_rng(1)
    chip.set_conductance_uS(1, rng.normal(11, 3, ARRAY1.shape))
    chip.set_conductance_uS(2, rng.normal(11, 4, ARRAY2.shape))
    return chip


def units_moved(chip: Chip) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Learn one digit: direction of each hidden unit's weights, and of each output's error."""
    pixels, targets = digits(1, seed=3)
    before = chip.conductance_uS(1)
    training = train(chip, pixels, targets, CYCLIC, LEARNING)
    moved = np.count_nonzero(chip.conductance_uS(1) > before, axis=1)
    units = np.sign(moved[PLUS] - moved[MINUS]).astype(np.int64)
    assert (training.hidden[0] > 0).any()
    units[training.hidden[0] == 0] = 9  # off, whatever comes back
    return units, np.sign(targets[0] - training.outputs[0]).astype(np.int8)


def decided(back_uS: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same by the rule, from what comes back to each hidden unit."""
    found = np.sign(back_uS) * (np.abs(back_uS) >= LEARNING.hidden_threshold_uS)
    return np.where(units == 9, 9, found).astype(np.int64)


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_the_error_comes_back_through_the_wires_of_array_2(mode: str) -> None:
    wires = Wires(mode=mode, array1=IDEAL, array2=POOR)
    chip = chip_with(wires=wires)
    cells_uS = chip.conductance_uS(2)
    units, errors = units_moved(chip)
    forward = nodal.circuit(Layout.of(ARRAY2, wires), cells_uS)
    back = nodal.Circuit(
        ends=forward.ends,
        ohm=forward.ohm,
        drivers=forward.clamps[None],
        clamps=forward.drivers[0],
        bl=forward.bl,
        sl=forward.sl,
    )
    driven_v = np.repeat(errors, 2) * np.tile([-1.0, 1.0], 10)  # "-" source lines come first
    direct = nodal.by_scipy(back, driven_v[None])
    assert np.array_equal(units, decided(direct.columns_ua, units))
    ideal_uS = (cells_uS[PLUS] - cells_uS[MINUS]).astype(np.float64) @ errors
    assert not np.array_equal(units, decided(ideal_uS, units))


def test_full_traps_hold_back_the_error_as_well() -> None:
    chip = chip_with(telegraph=STILL)
    cells_uS = chip.conductance_uS(2).astype(np.float64)
    seen_uS = chip.read(2, rails=RAILS, converters=CONVERTERS) * 0.1
    trapped_uS = np.where(seen_uS < 0.8 * cells_uS, 0.6 * cells_uS, cells_uS)
    assert np.abs(trapped_uS - seen_uS).max() < 0.06
    units, errors = units_moved(chip)
    back_uS = (trapped_uS[PLUS] - trapped_uS[MINUS]) @ errors
    assert np.array_equal(units, decided(back_uS, units))
    ideal_uS = (cells_uS[PLUS] - cells_uS[MINUS]) @ errors
    assert not np.array_equal(units, decided(ideal_uS, units))


@pytest.mark.parametrize(("comparator_uS", "temperature_k"), [(2.0, 0.0), (0.0, 500.0)])
def test_comparisons_have_the_noise_of_the_comparator_and_of_their_line(
    comparator_uS: float, temperature_k: float
) -> None:
    """Hidden units whose error is near the threshold fall on either side, by the normal law."""
    effect = ReadNoise(comparator_uS=comparator_uS, temperature_k=temperature_k)
    array = chip_with(read_noise=effect)._array2
    read_v = RAILS.read_plus_mv * 1e-3
    line_uS = array.conductance_uS.astype(np.float64).sum(axis=(0, 2))
    bandwidth_hz = 1 / (2 * 32 * 50e-9)
    thermal_a2 = 4 * 1.380649e-23 * temperature_k * line_uS * 1e-6 * bandwidth_hz
    sigma_uS = np.sqrt(comparator_uS**2 + thermal_a2 * (1e6 / read_v) ** 2)
    columns2 = np.zeros((2, 10), np.uint64)
    columns2[RISING, :2], columns2[FALLING, 0] = [3, 7], 5
    found2 = np.array([2, 1])
    weights = array.conductance_uS[PLUS].astype(np.float64) - array.conductance_uS[MINUS]
    back_uS = weights[:, 3] + weights[:, 7] - weights[:, 5]
    rounds, rising = 3000, np.zeros(100)
    unit = int(np.argmin(np.abs(back_uS - 8.0)))
    threshold_uS = float(back_uS[unit] + 0.7 * sigma_uS[unit])
    rules = Learning(threshold=1, hidden_threshold_uS=threshold_uS).rules()
    columns1, found1 = np.zeros((2, 100), np.uint64), np.zeros(2, np.int64)
    for _ in range(rounds):
        driven_back(
            array.cells,
            np.full(100, 9, np.uint8),
            rules,
            columns2,
            found2,
            np.zeros(100, np.int64),
            columns1,
            found1,
            readout(RAILS, CONVERTERS),
            np.zeros((0, 0, 0), np.float32),
            array.traps,
            backward_noise(effect, read_v),
            0,
            array.reading,
            np.zeros(3),
        )
        rising[columns1[RISING, : found1[RISING]].astype(np.int64)] += 1
    chance = norm.cdf((back_uS - threshold_uS) / sigma_uS)
    error = np.sqrt(np.maximum(chance * (1 - chance), 1 / rounds) / rounds)
    assert np.abs(rising / rounds - chance).max() < 5 * error.max()
    assert (np.abs(rising / rounds - chance) < 5 * error).all()
    assert chance[unit] == pytest.approx(norm.cdf(-0.7))
