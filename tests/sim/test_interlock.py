"""What the firmware refuses, in which words, and that nothing of a refused operation is done."""

import random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest

from starlab_sim import Board, Specimen
from starlab_sim.effects import ChannelErrors, Effects
from starlab_sim.supplies import SupplyRack
from starlab_spec.operations import Operation
from starlab_spec.registers import register
from starlab_spec.safe_area import SafeArea
from starlab_spec.wire.transactions import (
    Status,
    Transaction,
    emulator,
    get_supply,
    set_supply,
    start,
    supply_reading,
    write_memory,
    write_registers,
)

if TYPE_CHECKING:
    from tests.sim.conftest import Bench

ROW = (1 << 100) - 1


def limited(bench: "Bench", changes: dict[str, Any]) -> "Bench":
    """The same bench with a board whose firmware has limits of its own, supplies up."""
    area = SafeArea.of(changes)
    bench.board = Board(Specimen(seed=1), serial="EMU-1", rng=random.Random(1), area=area)
    bench.power_up()
    return bench


def write_pulses(array: int, name: str, place: int, code: int) -> Transaction:
    address = register(f"{name}{array}").address
    return write_registers(address, [code << 8 * place], mask=0xFF << 8 * place)


SET, RESET, FORM = range(3)


@pytest.mark.parametrize(
    ("array", "place", "name", "code", "operation", "message"),
    [
        (
            *(1, SET, "PERIOD", 255, Operation.SET),
            "SET width 12800 ns on array 1 is above the 5000 ns limit",
        ),
        (
            *(2, RESET, "PERIOD", 100, Operation.RESET),
            "RESET width 5050 ns on array 2 is above the 5000 ns limit",
        ),
        (
            *(2, FORM, "NUMBER", 64, Operation.FORM),
            "FORM pulses 65 on array 2 is above the 64 limit",
        ),
    ],
)
def test_an_unsafe_pulse_is_refused_by_name_value_and_limit(
    powered: "Bench",
    array: int,
    place: int,
    name: str,
    code: int,
    operation: Operation,
    message: str,
) -> None:
    powered.select(array, 3, 1)
    powered.do(write_pulses(array, name, place, code))
    before = powered.board.chip.conductance_uS(array)
    counters = powered.board.chip.counters
    assert powered.refusal(start(operation)) == (Status.INTERLOCK, message)
    assert powered.refusal(write_registers(register("OPERATION").address, [operation, 8])) == (
        Status.INTERLOCK,
        message,
    )
    assert powered.refusal(start(operation), dry_run=True) == (Status.INTERLOCK, message)
    assert np.array_equal(powered.board.chip.conductance_uS(array), before)
    assert powered.board.chip.counters == counters
    assert powered.board.faults == 0  # a refused request is no fault: the drivers stay on
    assert powered.board.chip.counters.pulses == 0


def test_energy_couples_voltage_and_width(powered: "Bench") -> None:
    powered.select(1, 0, 1)
    powered.do(write_pulses(1, "PERIOD", SET, 99))
    powered.start(Operation.SET)  # 5000 ns at the published voltage
    powered.do(set_supply(6, 99))
    status, message = powered.refusal(start(Operation.SET))
    assert status == Status.INTERLOCK
    # 605 (1245 + 99 * 10000 / 255) / 1200 = 2585.04 mV; squared, times 20 uS and 5000 ns
    assert message == "SET energy 668.243 pJ on array 1 is above the 500 pJ limit"


def test_a_row_of_too_many_cells_is_refused_and_a_smaller_one_is_not(bench: "Bench") -> None:
    limited(bench, {"pulses": {"array1": {"set": {"row_ma": 2}}}})
    bench.select(1, 7, ROW)
    status, message = bench.refusal(start(Operation.SET))
    assert status == Status.INTERLOCK
    assert message == "SET row current 4.419 mA on array 1 is above the 2 mA limit"
    bench.select(1, 7, (1 << 45) - 1)  # "+" and "-" cells follow one another: 45 at once
    bench.start(Operation.SET)
    assert bench.board.lifetime_pulses == 90
    mask = np.zeros((2, 784, 100), np.bool_)
    mask[1, 700, :46] = True
    bench.do(
        write_memory(0x1000, np.packbits(mask).tobytes()),
        write_registers(register("MASK_KIND").address, [0, 0x1000]),
    )
    assert bench.refusal(start(Operation.PULSE_MASK))[0] == Status.INTERLOCK


def test_learning_is_held_to_the_same_limits(bench: "Bench") -> None:
    limited(bench, {"pulses": {"array2": {"reset": {"pulses": 2}}}})
    bench.write(LAYERS=2, UPDATE_PULSES=3 << 8 | 1, BATCH_COUNT=0, RESULT_ADDRESS=0x100)
    message = "RESET pulses 3 on array 2 is above the 2 limit"
    assert bench.refusal(start(Operation.BATCH_TRAINING)) == (Status.INTERLOCK, message)
    bench.write(BP_ARRAY2=1 << 16 | 3)  # RESET for left cells, three pulses
    assert bench.refusal(start(Operation.BP)) == (Status.INTERLOCK, message)
    bench.write(BP_ARRAY2=3)  # the same as SET
    bench.start(Operation.BP)


def test_pulses_that_come_too_fast_are_refused_until_time_has_passed(bench: "Bench") -> None:
    limited(bench, {"rate": {"array1": {"pulses": 20, "window_s": 0.01}}})
    bench.select(1, 5, 0b11)
    bench.do(write_pulses(1, "NUMBER", SET, 7))
    bench.start(Operation.SET)
    bench.start(Operation.SET)
    message = "SET pulses within 0.01 s 24 on a cell of array 1 is above the 20 limit"
    assert bench.refusal(start(Operation.SET)) == (Status.INTERLOCK, message)
    bench.select(1, 6, 0b11)
    bench.start(Operation.SET)  # other cells
    bench.select(1, 5, 0b11)
    assert bench.refusal(start(Operation.SET)) == (Status.INTERLOCK, message)
    bench.do(emulator({"restart": True}))  # no way round it
    bench.power_up()
    bench.select(1, 5, 0b11)
    bench.do(write_pulses(1, "NUMBER", SET, 7))
    assert bench.refusal(start(Operation.SET)) == (Status.INTERLOCK, message)
    for _ in range(2):
        bench.do(emulator({"advance_s": 0.011}))
        bench.start(Operation.SET)
    bench.do(emulator({"seed": 4}))  # another chip has not had any
    bench.start(Operation.SET)
    bench.start(Operation.SET)


def test_a_long_batch_is_judged_by_its_pace_not_by_its_length(bench: "Bench") -> None:
    limited(bench, {"rate": {"array2": {"pulses": 100, "window_s": 0.01}}})
    labels, results = 0x20_0000, 0x40_0000
    bench.do(write_memory(0x1000, random.Random(1).randbytes(98 * 400)))
    bench.write(
        SAMPLE_ADDRESS=0x1000, TARGET_ADDRESS=labels, RESULT_ADDRESS=results, LAYERS=2, TH=0
    )
    bench.write(BATCH_COUNT=400)
    bench.start(Operation.BATCH_TRAINING)  # a pulse in 410 us: 25 in 10 ms
    bench.write(UPDATE_PULSES=5 << 8 | 1)
    status, message = bench.refusal(start(Operation.BATCH_TRAINING))
    assert status == Status.INTERLOCK
    assert "pulses within 0.01 s" in message


def drifted(name: str, factor: float) -> Any:
    values = SupplyRack.values

    def real(rack: SupplyRack, *args: Any, **kwargs: Any) -> dict[str, float]:
        given = dict(values(rack, *args, **kwargs))
        return given | {name: given[name] * factor}

    return patch.object(SupplyRack, "values", real)


@pytest.mark.parametrize("operation", [Operation.SET, Operation.READ, Operation.INFERENCE])
def test_a_rail_that_really_is_too_high_is_latched_and_drivers_go_off(
    powered: "Bench", operation: Operation
) -> None:
    powered.select(1, 0, 1)
    with drifted("VBLset", 1.3):
        status, message = powered.refusal(start(operation))
    assert status == Status.HARDWARE_FAULT
    assert message == "latched over_voltage: VBLset 2872.2 mV is above the 2600 mV limit"
    assert powered.board.chip.counters.pulses == 0
    for result in powered.do(*map(get_supply, range(22))):
        assert (supply_reading(result).measured, supply_reading(result).settled) == (0, False)
    assert powered.refusal(start(Operation.SET))[0] == Status.HARDWARE_FAULT
    powered.write(FAULT_CLEAR=0xF)
    assert powered.refusal(start(Operation.SET))[0] == Status.NOT_READY
    powered.power_up()
    powered.start(Operation.SET)


def test_a_generator_that_is_off_by_its_own_error_trips_and_is_the_one_that_tells_it() -> None:
    errors = ChannelErrors(gain=0.05, offset_mv=0, offset_ua=0)
    board = Board(
        Specimen(seed=1, effects=Effects(channel_errors=errors)),
        serial="EMU-1",
        rng=random.Random(1),
    )
    refused = board.execute([set_supply(6, 99)])[-1]
    assert (refused.status, refused.message) == (
        Status.HARDWARE_FAULT,
        "latched over_voltage: VBLset 2877.3 mV is above the 2600 mV limit",
    )
    tripped = [supply_reading(board.execute([get_supply(i)])[-1]).fault for i in range(22)]
    assert tripped == [i == 6 for i in range(22)]
    assert board.is_safe


def test_a_dry_run_trips_nothing(powered: "Bench") -> None:
    with drifted("VBLset", 1.3):
        assert powered.refusal(start(Operation.SET), dry_run=True)[0] == Status.HARDWARE_FAULT
    assert powered.board.faults == 0
    powered.start(Operation.READ)


def test_a_generator_within_its_margin_trips_nothing(powered: "Bench") -> None:
    powered.select(1, 0, 1)
    powered.do(set_supply(6, 99))  # 2585 mV of 2600
    with drifted("VBLset", 1.04):
        powered.start(Operation.SET)


def test_set_at_forming_level_is_refused_whatever_the_rails_are_allowed(bench: "Bench") -> None:
    rails = {"VBLset": {"high": 2300}, "VSLreset": {"high": 2300}}
    limited(bench, {"forming": {"level_mv": 2500}, "supplies": rails})
    bench.select(1, 0, 1)
    with patch.object(type(bench.board._interlock), "over_voltage", lambda *_: None):
        with drifted("VBLset", 1.2):
            status, message = bench.refusal(start(Operation.SET))
    assert (status, message) == (
        Status.INTERLOCK,
        "SET voltage 2651.3 mV on array 1 is above the 2500 mV limit",
    )


def test_a_boards_own_limits_hold_for_its_supplies(bench: "Bench") -> None:
    limited(bench, {"supplies": {"VBLset": {"high": 2300}}})
    assert bench.refusal(set_supply(6, 99)) == (
        Status.INTERLOCK,
        "VBLset 2585 mV is above the 2300 mV limit",
    )
