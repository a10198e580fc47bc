"""Generators to the last digit: a seed's errors and noise are the same for ever."""

import numpy as np
import pytest
from tests.sim.conftest import Bench

from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.supplies import DEVIATION_MAX, Generators
from starlab_spec.operations import Operation
from starlab_spec.supplies import SUPPLIES, supply
from starlab_spec.wire.transactions import Status, set_supply, start

ERRORS = {"channel_errors": {"gain": 0.01, "offset_mv": 10.0, "offset_ua": 0.1}}
NOISE = {"channel_noise": {"voltage_mv": 2.0, "current": 0.01}}
VOLTAGE, CURRENT = supply("VBLset").index, supply("Iref_integ").index


def made(effects: object, seed: int = 1, life: int = 0) -> Generators:
    return Generators(seed, Effects.read(effects), life)


def test_a_seed_has_these_errors() -> None:
    generators = made(ERRORS)
    for name, code, value in (
        ("VWLform", 30, 1185.7855),
        ("VBLset", 80, 2242.3165),
        ("V25", 98, 2572.1739),
        ("Iref_integ", 9, 81.2647),
        ("Vbias_comp", 35, 24.8290),
    ):
        assert generators.value(supply(name).index, code) == pytest.approx(value, abs=1e-4)


def test_gain_and_offset_are_by_the_normal_numbers_of_the_channel() -> None:
    stream = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(0x4552,)))
    deviations = np.clip(stream.standard_normal((22, 2)), -3, 3)
    generators = made(ERRORS)
    for channel in SUPPLIES:
        gain, offset = deviations[channel.index]
        size = 10.0 if channel.unit == "mV" else 0.1
        expected = channel.value(77) * (1 + 0.01 * gain) + size * offset
        assert generators.value(channel.index, 77) == pytest.approx(expected, rel=1e-12)
    assert DEVIATION_MAX == 3.0


def test_a_generator_that_is_on_gives_something() -> None:
    generators = made({"channel_errors": {"gain": 0.0, "offset_mv": 0.0, "offset_ua": 0.5}})
    least = min(generators.value(supply("Test_integ_in").index, 255) for _ in range(1))
    assert least >= 0.001
    assert made(NOISE).noisy(VOLTAGE, 1.0, -9.0) == 0.001
    assert made(NOISE).noisy(CURRENT, 0.0, 1.0) == 0.001


def test_noise_is_absolute_for_voltages_and_a_share_of_currents() -> None:
    generators = made(NOISE)
    assert generators.noisy(VOLTAGE, 1000.0, 1.5) == 1003.0
    assert generators.noisy(VOLTAGE, 1000.0, -1.5) == 997.0
    assert generators.noisy(CURRENT, 80.0, 2.0) == pytest.approx(81.6)
    assert made({}).noisy(VOLTAGE, 1000.0, 1.5) == 1000.0


def streams(seed: int, life: int) -> list[np.random.Generator]:
    """Of operations, and of the measurements of each channel."""
    sequence = np.random.SeedSequence(seed, spawn_key=(0x4E4F, life))
    return [np.random.default_rng(one) for one in sequence.spawn(23)]


@pytest.mark.parametrize(("seed", "life"), [(1, 0), (1, 3), (8, 0)])
def test_operations_and_measurements_have_streams_of_their_own(seed: int, life: int) -> None:
    generators = made(NOISE, seed, life)
    operations, *measurements = streams(seed, life)
    for _ in range(2):
        assert generators.operation_noise() == operations.standard_normal(22).tolist()
    for channel in SUPPLIES:
        for _ in range(3):
            expected = measurements[channel.index].standard_normal()
            assert generators.measurement_noise(channel.index, settled=True) == expected


def test_a_measurement_before_it_has_settled_draws_nothing() -> None:
    generators, (_, *measurements) = made(NOISE), streams(1, 0)
    first, second = (float(measurements[5].standard_normal()) for _ in range(2))
    told = [generators.measurement_noise(5, settled=settled) for settled in (False, False, True)]
    assert told == [first] * 3
    assert generators.measurement_noise(5, settled=True) == second
    assert made({}).measurement_noise(5, settled=True) == 0.0


def test_noise_goes_on_where_it_was() -> None:
    generators, other = made(NOISE), made(NOISE, seed=5)
    for index in range(22):
        generators.measurement_noise(index, settled=True)
    generators.operation_noise()
    other.resume_noise(generators.noise_states())
    assert other.operation_noise() == generators.operation_noise()
    for index in range(22):
        for _ in range(2):
            assert other.measurement_noise(index, settled=True) == generators.measurement_noise(
                index, settled=True
            )
    states = generators.noise_states()
    with pytest.raises(ValueError, match="zip"):
        other.resume_noise({**states, "measurements": states["measurements"][:-1]})


@pytest.mark.parametrize("driving", ["VBLform", "VBLset", "VSLreset"])
@pytest.mark.parametrize("missing", ["VWLform", "VWLset", "VWLvdd"])
def test_a_rail_is_early_if_a_single_gate_was_not_held(driving: str, missing: str) -> None:
    bench = Bench(Specimen(seed=1))
    codes = {c.name: c.default_code for c in SUPPLIES}
    first = [name for name in ("VWLform", "VWLset", "VWLvdd") if name != missing]
    for name in (*first, driving, *(n for n in codes if n not in (*first, driving))):
        bench.do(set_supply(supply(name).index, codes[name]))
    assert bench.refusal(start(Operation.SET)) == (
        Status.NOT_READY,
        f"supply {driving} came on before the word lines (VWLform, VWLset, VWLvdd): set it again",
    )
    bench.do(set_supply(supply(driving).index, codes[driving]))
    bench.start(Operation.SET)


def test_without_a_word_about_it_a_board_is_the_one_of_seed_0() -> None:
    effects = Effects.read(ERRORS | NOISE)
    plain, zero = Generators(effects=effects), Generators(0, effects, 0)
    assert [plain.value(i, 60) for i in range(22)] == [zero.value(i, 60) for i in range(22)]
    assert plain.operation_noise() == zero.operation_noise()
