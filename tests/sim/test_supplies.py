"""Generators that are not ideal: errors, settling, noise, load, current limit, order."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.conftest import Bench

from starlab_sim import Board, Specimen
from starlab_sim.effects import NONE, ChannelErrors, Effects, LoadRegulation
from starlab_sim.firmware.row_pulses import row_loads_uS, under_load
from starlab_sim.supplies import DEVIATION_MAX, Generators
from starlab_spec.operations import Operation
from starlab_spec.supplies import SUPPLIES, supply
from starlab_spec.wire import transactions as wire
from starlab_spec.wire.transactions import Status, SupplyReading

ALL_CODES = {channel.name: channel.default_code for channel in SUPPLIES}
ARRAY_1, ALL_COLUMNS = 1, (1 << 100) - 1


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class RailBench(Bench):
    """A board with effects and a clock that the test moves."""

    def __init__(self, effects: Mapping[str, Any], seed: int = 1) -> None:
        specimen = Specimen(seed=seed, effects=Effects.read(effects))
        self.clock = Clock()
        self.board = Board(specimen, serial="EMU-1", rng=random.Random(1), clock=self.clock)

    def measure(self) -> list[SupplyReading]:
        """All channels."""
        return [wire.supply_reading(self.do(wire.get_supply(c.index))[0]) for c in SUPPLIES]

    def values(self) -> list[float]:
        """All channels, in their own unit."""
        return [reading.measured / 1000 for reading in self.measure()]

    def change(self, effects: object) -> None:
        """Other effects."""
        self.do(wire.emulator({"effects": effects}))


def up(effects: Mapping[str, Any], seed: int = 1) -> RailBench:
    """A board whose supplies are on."""
    bench = RailBench(effects, seed)
    bench.power_up()
    return bench


# errors


def test_every_channel_is_off_by_an_error_of_its_own() -> None:
    values = up({"channel_errors": True}).values()
    errors = [v - c.nominal for v, c in zip(values, SUPPLIES, strict=True)]
    assert len(set(errors)) == len(SUPPLIES)
    off_by = [abs(e) for e, c in zip(errors, SUPPLIES, strict=True) if c.unit == "mV"]
    assert max(off_by) > 10


def test_errors_stay_over_restarts_other_chips_and_switching_them_off_and_on() -> None:
    bench = up({"channel_errors": True})
    first = bench.values()
    bench.change("none")
    assert bench.values() == [round(c.nominal, 3) for c in SUPPLIES]
    bench.change({"channel_errors": True})
    assert bench.values() == first
    bench.do(wire.emulator({"restart": True}))
    bench.power_up()
    assert bench.values() == first
    bench.do(wire.emulator({"seed": 77}))
    assert bench.values() == first


def test_another_board_has_other_errors() -> None:
    assert up({"channel_errors": True}).values() != up({"channel_errors": True}, seed=2).values()


def test_errors_have_the_spread_that_was_asked_for() -> None:
    effects = Effects(channel_errors=ChannelErrors(gain=0.02, offset_mv=0.0, offset_ua=0.0))
    code = supply("V25").default_code
    gains = [
        Generators(seed, effects).value(14, code) / supply("V25").value(code) - 1
        for seed in range(400)
    ]
    assert np.std(gains) == pytest.approx(0.02, rel=0.1)
    assert abs(np.mean(gains)) < 0.003


@given(
    seed=st.integers(0, 2**64 - 1),
    gain=st.floats(0, 0.1),
    offset_mv=st.floats(0, 200),
    index=st.integers(0, 21),
    code=st.integers(0, 255),
)
@settings(max_examples=200, deadline=None)
def test_no_channel_is_further_off_than_three_deviations_nor_gives_nothing(
    seed: int, gain: float, offset_mv: float, index: int, code: int
) -> None:
    effects = Effects(channel_errors=ChannelErrors(gain=gain, offset_mv=offset_mv, offset_ua=0))
    channel = SUPPLIES[index]
    nominal, real = channel.value(code), Generators(seed, effects).value(index, code)
    offset = offset_mv if channel.unit == "mV" else 0
    assert real > 0
    assert abs(real - nominal) <= DEVIATION_MAX * (gain * nominal + offset) * (1 + 1e-9)
    assert Generators(seed, NONE).value(index, code) == nominal


def test_a_read_meets_the_voltage_that_is_there() -> None:
    """A rail that is 1 % too high reads as more conductance, by the read voltages."""
    bench = up({"channel_errors": {"gain": 0.05, "offset_mv": 0, "offset_ua": 0}})
    real = dict(zip(ALL_CODES, bench.values(), strict=True))
    codes = sum_of_codes(bench)
    bench.change("none")
    ideal = sum_of_codes(bench)
    clamp_mv = real["V25"] + 2535.6 - supply("V25").nominal
    expected = (real["VBL27"] - clamp_mv) / 227.37 * (supply("Iref_integ2").nominal)
    assert codes / ideal == pytest.approx(expected / real["Iref_integ2"], rel=0.01)


def sum_of_codes(bench: Bench) -> int:
    """Of all cells of array 2, as READ_ARRAY gives them."""
    bench.do(wire.write_registers(0x2C, [0], mask=1))
    bench.write(READ_ADDRESS=0)
    bench.start(Operation.READ_ARRAY)
    (result,) = bench.do(wire.read_memory(0, 2000))
    return sum(result.data)


# settling


def test_a_channel_that_was_set_is_not_settled_before_its_time() -> None:
    bench = up({"settling": {"time_s": 0.5}})
    assert not any(reading.settled for reading in bench.measure())
    assert bench.refusal(wire.start(Operation.READ)) == (
        Status.NOT_READY,
        "supply VWLform has not settled",
    )
    bench.clock.now += 0.5
    assert all(reading.settled for reading in bench.measure())
    bench.start(Operation.READ)
    bench.do(wire.set_supply(6, 70))
    assert bench.refusal(wire.start(Operation.READ)) == (
        Status.NOT_READY,
        "supply VBLset has not settled",
    )


def test_a_channel_that_keeps_its_code_stays_settled() -> None:
    bench = up({"settling": {"time_s": 0.5}})
    bench.clock.now += 1
    bench.power_up()
    bench.start(Operation.READ)


def test_the_clock_decides_readiness_and_never_a_value() -> None:
    def learn(asked: int) -> tuple[bytes, list[int]]:
        bench = up({"settling": True, "channel_noise": True, "channel_errors": True})
        for _ in range(asked):
            bench.measure()
        bench.clock.now += 1
        bench.start(Operation.SET)
        cells = bench.board.chip.conductance_uS(1).tobytes()
        return cells, [reading.measured for reading in bench.measure()]

    assert learn(0) == learn(7)


def test_a_command_has_one_time() -> None:
    bench = up({"settling": {"time_s": 1e-9}})
    assert bench.refusal(wire.set_supply(6, 70), wire.start(Operation.READ))[0] is Status.NOT_READY


# noise


def test_every_measurement_meets_another_value_around_the_true_one() -> None:
    bench = up({"channel_noise": {"voltage_mv": 2.0, "current": 0.01}})
    measured = np.array([bench.values() for _ in range(200)])
    assert all(len(set(channel)) > 20 for channel in measured.T.tolist())
    for channel, values in zip(SUPPLIES, measured.T, strict=True):
        sigma = 2.0 if channel.unit == "mV" else 0.01 * channel.nominal
        assert values.std() == pytest.approx(sigma, rel=0.25)
        assert values.mean() == pytest.approx(channel.nominal, abs=0.35 * sigma)


def test_every_operation_meets_another_value_and_the_same_seed_the_same() -> None:
    def readings() -> list[int]:
        bench = up({"channel_noise": {"voltage_mv": 5.0}})
        return [sum_of_codes(bench) for _ in range(6)]

    first = readings()
    assert len(set(first)) > 3
    assert readings() == first


def test_a_dry_run_draws_no_noise() -> None:
    def reading(dry_runs: int) -> int:
        bench = up({"channel_noise": {"voltage_mv": 5.0}})
        for _ in range(dry_runs):
            trial = [wire.set_supply(0, 30), wire.get_supply(3), wire.start(Operation.READ)]
            results = bench.board.execute(trial, dry_run=True)
            assert [result.message for result in results] == ["", "", ""]
        return sum_of_codes(bench)

    assert reading(0) == reading(5)


def test_each_life_has_noise_of_its_own() -> None:
    bench = up({"channel_noise": {"voltage_mv": 5.0}})
    first = bench.values()
    bench.do(wire.emulator({"restart": True}))
    bench.power_up()
    assert bench.values() != first


# load


@given(
    st.floats(600, 5700),
    st.lists(st.floats(0, 4000), min_size=1, max_size=20),
    st.floats(0, 1000),
)
def test_a_loaded_rail_is_the_fixed_point_of_its_sag(
    unloaded_mv: float, loads: Sequence[float], output_ohm: float
) -> None:
    regulation = LoadRegulation(output_ohm=output_ohm)
    loaded_mv, current_ma = under_load(unloaded_mv, np.array(loads), output_ohm)
    for mv, ma, load in zip(loaded_mv, current_ma, loads, strict=True):
        assert 0 < mv <= unloaded_mv
        assert mv == pytest.approx(unloaded_mv - regulation.sag_mv(ma), abs=1e-6)
        assert ma == pytest.approx(mv * load * 1e-6, abs=1e-9)


def test_the_load_of_a_row_are_its_selected_cells_of_the_heavier_plane() -> None:
    cells = np.array([[[1.0, 2.0], [4.0, 8.0]], [[3.0, 5.0], [6.0, 7.0]]])
    mask = np.array([[[1, 1], [0, 1]], [[0, 1], [0, 0]]], np.bool_)
    assert row_loads_uS(cells, mask).tolist() == [5.0, 8.0]


def test_set_pulses_move_cells_less_where_the_rail_sags() -> None:
    def moved(effects: Mapping[str, Any], columns: int) -> float:
        bench = up(effects)
        bench.select(ARRAY_1, 7, columns, lower=False)
        before = bench.board.chip.conductance_uS(1)
        bench.start(Operation.SET)
        after = bench.board.chip.conductance_uS(1)
        return float((after - before)[0, 7, 0])

    ideal = moved({}, ALL_COLUMNS)
    assert moved({"load_regulation": {"output_ohm": 0.0}}, ALL_COLUMNS) == ideal
    # 100 cells of 11 uS at 2209 mV: 2.4 mA, 24 mV at 10 Ohm, a step less by exp(-24 / 150)
    sagged = moved({"load_regulation": {"output_ohm": 10.0}}, ALL_COLUMNS)
    assert sagged / ideal == pytest.approx(np.exp(-24 / 150), rel=0.02)
    alone = moved({"load_regulation": {"output_ohm": 10.0}}, 1)
    assert alone / ideal == pytest.approx(1, abs=0.005)


def test_without_sag_the_rows_of_a_mask_are_pulsed_as_ever() -> None:
    def cells(effects: Mapping[str, Any]) -> bytes:
        bench = up(effects)
        rng = np.random.default_rng(3)
        mask = rng.integers(0, 256, 19600, np.uint8).tobytes()
        bench.do(wire.write_memory(0, mask), wire.write_registers(0x2C, [1], mask=1))
        bench.write(MASK_KIND=0, MASK_ADDRESS=0)
        bench.start(Operation.PULSE_MASK)
        return bench.board.chip.conductance_uS(1).tobytes()

    ideal = cells({})
    assert cells({"load_regulation": {"output_ohm": 0}, "current_limit": True}) == ideal
    assert cells({"load_regulation": {"output_ohm": 10}}) != ideal


# current limit


def test_a_rail_that_must_give_too_much_trips_latches_and_names_itself() -> None:
    bench = up({"current_limit": {"limit_ma": 2.0}})
    bench.select(ARRAY_1, 5, ALL_COLUMNS, lower=False)
    before = bench.board.chip.conductance_uS(1)
    status, message = bench.refusal(wire.start(Operation.SET))
    assert status is Status.COMPLIANCE
    assert message.startswith("VBLset current 2.4")
    assert message.endswith(" mA is above the 2 mA limit, in row 5, after 0 of 1 rows")
    assert (bench.board.chip.conductance_uS(1) == before).all()
    assert bench.read("FAULTS") == 0b0001
    assert bench.board.is_safe
    assert [reading.fault for reading in bench.measure()] == [c.name == "VBLset" for c in SUPPLIES]
    assert bench.refusal(wire.set_supply(6, 80)) == (Status.HARDWARE_FAULT, "latched: over_current")


def test_a_trip_must_be_cleared_and_the_supplies_set_again() -> None:
    bench = up({"current_limit": {"limit_ma": 2.0}})
    bench.select(ARRAY_1, 5, ALL_COLUMNS, lower=False)
    bench.refusal(wire.start(Operation.SET))
    bench.write(FAULT_CLEAR=1)
    assert not any(reading.fault for reading in bench.measure())
    assert bench.refusal(wire.start(Operation.SET))[0] is Status.NOT_READY
    bench.power_up()
    bench.select(ARRAY_1, 5, 0b1111, lower=False)
    bench.start(Operation.SET)


def test_rows_before_the_one_that_trips_are_pulsed() -> None:
    bench = up({"current_limit": {"limit_ma": 2.0}})
    mask = np.zeros((2, 784, 100), np.uint8)
    mask[0, 3, :10] = mask[0, 9, :] = mask[0, 12, :10] = 1
    packed = np.packbits(mask.reshape(-1)).tobytes()
    bench.do(wire.write_memory(0, packed), wire.write_registers(0x2C, [1], mask=1))
    bench.write(MASK_KIND=1, MASK_ADDRESS=0)
    bench.do(wire.emulator({"effects": {"current_limit": {"limit_ma": 1.0}}}))
    status, message = bench.refusal(wire.start(Operation.PULSE_MASK))
    assert status is Status.COMPLIANCE
    assert message.startswith("VSLreset current 1.7")
    assert message.endswith("in row 9, after 9 of 784 rows")
    assert np.argwhere(bench.board.chip.pulses(1).sum(axis=(0, 2))).ravel().tolist() == [3]


def test_an_injected_fault_belongs_to_no_channel() -> None:
    bench = up({"current_limit": {"limit_ma": 2.0}})
    bench.select(ARRAY_1, 5, ALL_COLUMNS)
    bench.refusal(wire.start(Operation.SET))
    bench.do(wire.emulator({"faults": ["over_current"]}))
    assert all(reading.fault for reading in bench.measure())


# order


def test_a_driving_rail_that_came_on_before_the_gates_must_be_set_again_before_pulses() -> None:
    bench = RailBench({})
    bench.do(wire.set_supply(6, 80))
    bench.power_up()
    bench.start(Operation.READ)  # it was set again after the gates
    bench.start(Operation.SET)

    late = RailBench({})
    late.do(wire.set_supply(6, 80))
    late.do(*(wire.set_supply(c.index, c.default_code) for c in SUPPLIES if c.index != 6))
    late.start(Operation.READ)
    assert late.refusal(wire.start(Operation.SET)) == (
        Status.NOT_READY,
        "supply VBLset came on before the word lines (VWLform, VWLset, VWLvdd): set it again",
    )
    late.do(wire.set_supply(6, 80))
    late.start(Operation.SET)


def test_any_single_supply_may_be_set_at_any_time_after_power_up() -> None:
    bench = up({})
    for channel in reversed(SUPPLIES):
        bench.do(wire.set_supply(channel.index, channel.default_code))
        bench.start(Operation.SET)
