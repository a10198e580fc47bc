"""Detailed kernels with effects that do nothing do what the plain ones do, bit for bit."""

from typing import Any

import numpy as np
import pytest

from starlab_sim.chip import (
    Chip,
    Converters,
    Learning,
    PulseConditions,
    PulseKind,
    Rails,
    Schedule,
    Tuning,
    detailed,
)
from starlab_sim.chip.array import CellArray
from starlab_sim.chip.readout import readout
from starlab_sim.chip.store import Volatile
from starlab_sim.devices import Forming, preset, step_factor
from starlab_sim.effects import (
    CurrentLimit,
    CycleNoise,
    Effects,
    FormingStatistics,
    GateCompliance,
    LoadRegulation,
    ReadNoise,
    Retention,
    Spread,
    StuckCells,
    TelegraphNoise,
    Wear,
)
from starlab_spec.geometry import ARRAY1, ARRAY2, ArrayGeometry
from starlab_spec.samples import unpack_samples

NEUTRAL: dict[str, Any] = {
    "spread": Spread(step=0.0, window=0.0),
    "stuck": StuckCells(low=0.0, high=0.0),
    "forming": FormingStatistics(
        yield_fraction=1.0, voltage_mv=4000.0, voltage_spread_mv=0.0, spread_uS=0.5
    ),
    "gate": GateCompliance(),
    "wear": Wear(endurance_pulses=1e15, exponent=10.0),
    "retention": Retention(relaxation_per_decade=0.0, walk_uS=0.0, interval_s=0.01),
    "read_noise": ReadNoise(temperature_k=0.0, converter_codes=0.0, comparator_uS=0.0),
    "telegraph": TelegraphNoise(fraction=0.0),
    "load_regulation": LoadRegulation(output_ohm=0.0),
    "current_limit": CurrentLimit(limit_ma=1e4),
}
"""Every effect of cells, of reading and of currents, so weak that it does nothing."""
RAILS = Rails()
CONVERTERS = Converters(bits2=6, integration1_ns=250)
FORM = RAILS.pulse(PulseKind.FORM, 12_800)


def history(chip: Chip, seed: int) -> list[Any]:
    """A life with all operations, and all that is seen of it."""
    rng = np.random.default_rng(seed)
    seen: list[Any] = []
    for array, shape in ((1, (2, 784, 100)), (2, (2, 100, 10))):
        chip.pulse(array, PulseKind.FORM, rng.random(shape) < 0.9, FORM)
        for kind in (PulseKind.SET, PulseKind.RESET):
            pulse = RAILS.pulse(kind, 100)
            chip.pulse(array, kind, rng.random(shape) < 0.5, pulse, count=3)
        chip.pulse(array, PulseKind.SET, np.ones(shape, np.bool_), PulseConditions(1400, 1813, 50))
        seen.append(chip.read(array, rails=RAILS, converters=CONVERTERS).tolist())
        seen.append(
            chip.read(
                array, rows=range(3, 7), planes=(1,), rails=RAILS, converters=CONVERTERS
            ).tolist()
        )
    chip.set_conductance_uS(2, rng.normal(11, 4, (2, 100, 10)))  # to have something to decide
    samples = rng.integers(0, 256, (30, 98), np.uint8)
    hidden = chip.vmm(samples, rails=RAILS, converters=CONVERTERS)
    seen += [hidden.tolist(), chip.vmm2(hidden, rails=RAILS, converters=CONVERTERS).tolist()]
    training = chip.train(
        samples,
        rng.integers(-500, 500, (30, 10), np.int32),
        rails=RAILS,
        converters=CONVERTERS,
        learning=Learning(threshold=1, hidden_threshold_uS=0.1),
        tuning=Tuning.at(RAILS, Schedule.non_cyclic(2, 1)),
    )
    seen += [training.hidden.tolist(), training.outputs.tolist(), training.pulses1.tolist()]
    inference = chip.infer(samples, rails=RAILS, converters=CONVERTERS)
    seen += [inference.hidden.tolist(), inference.outputs.tolist(), chip.counters]
    seen += [f(array).tolist() for f in (chip.conductance_uS, chip.pulses) for array in (1, 2)]
    return seen


@pytest.mark.parametrize("device", ["nonlinear-3", "measured"])
def test_all_neutral_effects_together_change_no_bit(device: str) -> None:
    plain = Chip(seed=5, device=device)
    detailed = Chip(seed=5, device=device, effects=Effects(**NEUTRAL))
    assert history(detailed, 1) == history(plain, 1)


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_effect_changes_no_bit(name: str) -> None:
    noise = CycleNoise(0.2)
    plain = Chip(seed=5, effects=Effects(cycle_noise=noise))
    detailed = Chip(seed=5, effects=Effects(cycle_noise=noise, **{name: NEUTRAL[name]}))
    assert history(detailed, 2) == history(plain, 2)


# ---- what wires do to the kernels


QUIET = detailed.Noise(on=False, converter_codes=0.0, thermal_codes2=0.0)


def array_of(geometry: ArrayGeometry, effects: Effects) -> CellArray:
    array = CellArray(
        geometry,
        np.random.SeedSequence(1),
        preset("nonlinear-3"),
        Forming(),
        effects,
        formed=True,
        cells=Volatile().content[f"array{geometry.number}"],
        life=0,
        ticks=0,
    )
    array.overwrite(np.random.default_rng(1).normal(11, 3, geometry.shape), 0)
    return array


def test_a_gain_scales_what_each_cell_contributes() -> None:
    array = array_of(ARRAY1, Effects(spread=Spread()))
    gain = np.random.default_rng(2).uniform(0.5, 1.0, ARRAY1.shape).astype(np.float32)
    samples = np.random.default_rng(3).integers(0, 256, (5, 98), np.uint8)
    hidden = np.zeros((5, 100), np.uint8)
    detailed.multiply1_batch(
        array.cells,
        samples,
        readout(RAILS, CONVERTERS),
        gain,
        array.traps,
        QUIET,
        0,
        0,
        array.reading,
        hidden,
        np.zeros(3),
    )
    bits = unpack_samples(samples)
    seen_uS = array.conductance_uS.astype(np.float64) * gain
    plus, minus = (bits.astype(np.float64) @ plane for plane in seen_uS)
    current_ua = (RAILS.read_plus_mv * plus - RAILS.read_minus_mv * minus) * 1e-3
    expected = np.floor(current_ua * 255 / CONVERTERS.full_scale1_ua + 0.5).clip(0, 255)
    assert np.array_equal(hidden, expected)
    assert hidden.std() > 1


def test_a_gain_scales_what_read_sees() -> None:
    array = array_of(ARRAY2, Effects(spread=Spread()))
    gain = np.random.default_rng(2).uniform(0.5, 1.0, ARRAY2.shape).astype(np.float32)
    codes = np.zeros((1, 3, 10), np.uint8)
    detailed.read_rows(
        array.cells,
        np.array([1]),
        4,
        np.array([0.227]),
        0.0,
        0.227 * 25.5,
        gain,
        array.traps,
        QUIET,
        0,
        0,
        array.reading,
        codes,
        np.zeros((1, 3)),
    )
    seen_uS = array.conductance_uS[1, 4:7].astype(np.float64) * gain[1, 4:7]
    assert np.abs(codes[0] * 0.1 - seen_uS).max() <= 0.05 + 1e-6


@pytest.mark.parametrize("kind", [PulseKind.SET, PulseKind.RESET])
def test_a_drop_lowers_the_voltage_of_each_cell(kind: PulseKind) -> None:
    array = array_of(ARRAY1, Effects(spread=Spread(step=0.0, window=0.0)))
    pulse = RAILS.pulse(kind, 200)
    drop_mv = np.random.default_rng(2).uniform(0, 1000, (2, 3, 100)).astype(np.float32)
    before = array.conductance_uS[:, 7:10].astype(np.float64)
    detailed.pulse_rows(
        array.cells,
        np.ones((2, 3, 100), np.bool_),
        7,
        1,
        array.detailed_pulses(pulse, pulse)[kind],
        drop_mv,
        np.zeros(3, np.int64),
        array.rng,
        np.zeros(1),
    )
    steps = array.conductance_uS[:, 7:10] - before
    factors = [
        step_factor(1, kind, PulseConditions(pulse.amplitude_mv - drop, pulse.gate_mv, 200))
        for drop in drop_mv.reshape(-1).astype(np.float64)
    ]
    table = preset("nonlinear-3").set_steps.mean_uS
    bins = np.floor((before - 2.0) / 1.8).astype(int).clip(0, 9)
    sign = 1 if kind is PulseKind.SET else -1
    mean_uS = np.array(table if sign > 0 else table[::-1])[bins]
    assert 0.1 < (np.array(factors) == 0).mean() < 0.9
    expected = (before + sign * mean_uS * np.reshape(factors, before.shape)).clip(2, 20)
    assert steps == pytest.approx(expected - before, abs=4e-6)


def test_the_version_grows_with_every_change() -> None:
    chip = Chip(formed=True)
    array = chip._array2
    versions = [array.version]
    every = np.ones((2, 100, 10), np.bool_)
    for change in (
        lambda: chip.pulse(2, PulseKind.SET, every, RAILS.pulse(PulseKind.SET, 200)),
        lambda: chip.set_conductance_uS(2, np.full((2, 100, 10), 9.0)),
        lambda: train_one(chip),
        lambda: chip.change_effects(Effects(stuck=StuckCells())),
    ):
        change()
        versions.append(array.version)
    assert versions == sorted(set(versions))
    chip.read(2, rails=RAILS, converters=CONVERTERS)
    assert array.version == versions[-1]


def train_one(chip: Chip) -> None:
    chip.train(
        np.full((1, 98), 0x11, np.uint8),
        np.full((1, 10), 100, np.int32),
        rails=RAILS,
        converters=CONVERTERS,
        learning=Learning(threshold=1),
        tuning=Tuning.at(RAILS, Schedule.cyclic()),
    )
