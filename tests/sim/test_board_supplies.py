"""Supplies, SAFE and fault latches of the emulated board."""

from typing import TYPE_CHECKING

import pytest

from starlab_spec.operations import Operation
from starlab_spec.supplies import SUPPLIES, supply
from starlab_spec.wire.transactions import (
    Opcode,
    Status,
    Transaction,
    emulator,
    get_supply,
    set_supply,
    start,
    supply_reading,
    write_registers,
)

if TYPE_CHECKING:
    from tests.sim.conftest import Bench

EMERGENCY_STOP = write_registers(0x1C4, [8])
CLEAR_ALL = write_registers(0x1C8, [0xF])


def test_all_supplies_are_off_after_power_up(bench: "Bench") -> None:
    for channel in SUPPLIES:
        (result,) = bench.do(get_supply(channel.index))
        assert supply_reading(result) == (0, 0, False, False)


def test_a_supply_gives_what_its_code_stands_for(bench: "Bench") -> None:
    vbl_set, iref = supply("VBLset").index, supply("Iref_integ").index
    (result,) = bench.do(set_supply(vbl_set, 80))
    # 605 * (1245 + 80 * 10000 / 255) / 1200 mV
    assert supply_reading(result) == (80, 2_209_387, True, False)
    (result,) = bench.do(set_supply(iref, 9))
    # 66000 / (9 * 10000 / 255 + 470) uA
    assert supply_reading(result) == (9, 80200, True, False)
    (result,) = bench.do(get_supply(vbl_set))
    assert supply_reading(result) == (80, 2_209_387, True, False)


@pytest.mark.parametrize(
    ("transaction", "status", "message"),
    [
        (set_supply(6, 200), Status.INTERLOCK, "VBLset 4581.9 mV is above the 2600 mV limit"),
        (set_supply(4, 0), Status.INTERLOCK, "VBL23 627.7 mV is below the 2000 mV limit"),
        (set_supply(6, 256), Status.RANGE, "VBLset code 256 is above the 255 limit"),
        (set_supply(22, 0), Status.RANGE, "supply index 22 is above the 21 limit"),
        (get_supply(22), Status.RANGE, "supply index 22 is above the 21 limit"),
        (
            Transaction(Opcode.SET_SUPPLY, 6),
            Status.BAD_REQUEST,
            "SET_SUPPLY with 0 bytes of data, expected 4",
        ),
    ],
)
def test_a_setting_outside_the_safe_operating_area_is_refused(
    powered: "Bench", transaction: Transaction, status: Status, message: str
) -> None:
    before = powered.do(*(get_supply(c.index) for c in SUPPLIES))
    assert powered.refusal(transaction) == (status, message)
    assert powered.do(*(get_supply(c.index) for c in SUPPLIES)) == before


@pytest.mark.parametrize("operation", Operation, ids=lambda operation: operation.name)
def test_no_operation_runs_before_all_supplies_are_on(bench: "Bench", operation: Operation) -> None:
    assert bench.refusal(start(operation)) == (Status.NOT_READY, "supply VWLform is off")
    for channel in SUPPLIES[:-1]:
        bench.do(set_supply(channel.index, channel.default_code))
    assert bench.refusal(start(operation)) == (Status.NOT_READY, "supply Vbias_comp is off")


def test_the_board_is_not_safe_but_idle_after_power_up(bench: "Bench") -> None:
    assert not bench.board.is_safe
    assert bench.board.faults == 0


def test_entering_safe_switches_all_supplies_off_until_all_are_set_again(powered: "Bench") -> None:
    powered.board.enter_safe("the session was silent for 3 s")
    assert powered.board.is_safe
    message = "supply VWLform is off since the board is SAFE: the session was silent for 3 s"
    assert powered.refusal(start(Operation.SET)) == (Status.NOT_READY, message)
    for channel in SUPPLIES:
        assert powered.board.is_safe
        powered.do(set_supply(channel.index, channel.default_code))
    assert not powered.board.is_safe
    powered.start(Operation.SET)


def test_an_emergency_stop_is_latched_and_switches_the_drivers_off(powered: "Bench") -> None:
    powered.do(EMERGENCY_STOP)
    assert powered.board.faults == powered.read("FAULTS") == 0b1000
    refused = (Status.HARDWARE_FAULT, "latched: emergency_stop")
    assert powered.refusal(start(Operation.SET)) == refused
    assert powered.refusal(set_supply(0, 30)) == refused
    assert powered.read("FAULT_SET") == 0


def test_clearing_a_fault_leaves_the_drivers_off(powered: "Bench") -> None:
    powered.do(EMERGENCY_STOP)
    powered.do(CLEAR_ALL)
    assert powered.board.faults == 0
    assert powered.board.is_safe
    status, _ = powered.refusal(start(Operation.SET))
    assert status is Status.NOT_READY
    powered.power_up()
    assert not powered.board.is_safe


def test_only_the_named_latches_are_cleared(powered: "Bench") -> None:
    powered.do(emulator({"faults": ["over_current", "illegal_operation"]}))
    assert powered.board.faults == 0b0101
    powered.do(write_registers(0x1C8, [0b0001]))
    assert powered.refusal(set_supply(0, 30)) == (
        Status.HARDWARE_FAULT,
        "latched: illegal_operation",
    )


def test_a_supply_fault_shows_in_every_reading(powered: "Bench") -> None:
    powered.do(emulator({"faults": ["over_current"]}))
    (result,) = powered.do(get_supply(0))
    assert supply_reading(result) == (0, 0, False, True)


def test_fault_latches_cannot_be_written_directly(bench: "Bench") -> None:
    status, message = bench.refusal(write_registers(0x1C0, [0]))
    assert (status, message) == (Status.RANGE, "register FAULTS at 0x1C0 is read-only")
