"""A board as registers, memory, supplies and faults, on the real emulated board."""

import math

import numpy as np
import pytest
from tests.host.bench import Bench

from starlab_host.board.memory import COMMAND_BYTES
from starlab_host.errors import (
    BadArgument,
    BoardRefused,
    HardwareFault,
    Interlock,
    NotReady,
    refusal_of,
)
from starlab_host.session.stopping import fault_names
from starlab_sim import Specimen
from starlab_spec import LimitExceeded, UnknownName
from starlab_spec.operations import MEMORY_BYTES, Operation, PulseKind
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction, start


def sent(bench: Bench, opcode: Opcode) -> list[Transaction]:
    """All transactions of a kind that went to the board so far."""
    return [t for command in bench.session.commands for t in command if t.opcode == opcode]


def test_bringing_up_sets_all_supplies_in_index_order(bench: Bench) -> None:
    command = bench.session.commands[-1]
    assert [(t.opcode, t.address) for t in command] == [(Opcode.SET_SUPPLY, i) for i in range(22)]
    assert bench.board.is_up()
    states = {state.name: state for state in bench.board.supplies()}
    assert states["VBLset"].requested == 2209
    assert states["VBLset"].unit == "mV"
    assert states["VBLset"].measured == pytest.approx(2209, abs=10)
    assert states["Iref_integ"].measured == pytest.approx(81, abs=1)


def test_supplies_are_set_by_name_and_read_back_in_index_order(bench: Bench) -> None:
    states = bench.board.set_supplies({"Iref_integ": 90.0, "VBLset": 2000.0})
    assert [state.name for state in states] == ["VBLset", "Iref_integ"]
    assert [state.code for state in states] == [69, 7]
    assert states[0].measured == pytest.approx(1992, abs=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"VSLreset": 1500, "VBLset": 3300}, "VBLset 3300 mV is above the 2600 mV limit"),
        ({"VSLreset": 1500, "VBLset": math.nan}, "VBLset nan mV"),
        ({"VSLreset": 1500, "Vfoo": 1}, "unknown supply 'Vfoo'; known: VWLform"),
    ],
)
def test_one_bad_supply_means_that_none_is_sent(
    bench: Bench, values: dict[str, float], message: str
) -> None:
    before = len(bench.session.commands)
    with pytest.raises((LimitExceeded, UnknownName)) as refusal:
        bench.board.set_supplies(values)
    assert str(refusal.value).startswith(message)
    assert len(bench.session.commands) == before


def test_nothing_is_set_when_the_board_refuses(bench: Bench) -> None:
    bench.board.emulator(faults=["over_current"])
    before = bench.board.supplies()
    with pytest.raises(HardwareFault, match="over_current"):
        bench.board.set_supplies({"VBLset": 2000.0, "VSLreset": 1500.0})
    assert bench.board.supplies() == before


def test_the_boards_own_limits_are_told_by_name_value_and_limit() -> None:
    message = "VBLset 3300.5 mV is above the 2600 mV limit"
    refusal = refusal_of(Result(Opcode.SET_SUPPLY, Status.INTERLOCK, 6, message.encode()))
    assert isinstance(refusal, Interlock)
    assert (refusal.name, refusal.value, refusal.limit) == ("VBLset", 3300.5, 2600)
    assert refusal.unit == "mV"
    assert str(refusal) == f"the board refused: {message} (INTERLOCK)"


def test_an_interlock_in_other_words_is_still_one() -> None:
    refusal = refusal_of(Result(Opcode.START, Status.INTERLOCK, 0, b"door open"))
    assert isinstance(refusal, Interlock)
    assert refusal.name == ""
    assert math.isnan(refusal.value)


def test_registers_go_by_name_or_by_address(bench: Bench) -> None:
    bench.board.write_register("TH", 31)
    assert bench.board.read_register(0x140) == 31
    bench.board.write_register(0x00, 0xFFFF_FF06, mask=0x7)
    assert bench.board.read_register("ADC") == 0x0303_0046
    assert bench.board.read_registers([0x140, 0x00]) == {0x140: 31, 0x00: 0x0303_0046}


@pytest.mark.parametrize(
    ("which", "word", "message"),
    [
        ("THRESHOLD", 0, "unknown register 'THRESHOLD'"),
        (0x142, 0, "register address 0x142 is not a multiple of 4"),
        (0x300, 0, "register address 768 is above the 764 limit"),
        ("TH", 1 << 32, "register word 4294967296 is above the 4294967295 limit"),
    ],
)
def test_a_bad_register_access_is_not_sent(
    bench: Bench, which: str | int, word: int, message: str
) -> None:
    before = len(bench.session.commands)
    with pytest.raises((BadArgument, LimitExceeded, UnknownName)) as refusal:
        bench.board.write_register(which, word)
    assert str(refusal.value).startswith(message)
    assert len(bench.session.commands) == before


def test_a_read_only_register_is_refused_by_the_board(bench: Bench) -> None:
    with pytest.raises(BoardRefused) as refusal:
        bench.board.write_register("BOOT_ID", 1)
    assert refusal.value.status == Status.RANGE


def test_memory_of_any_size_comes_back_whole(bench: Bench) -> None:
    data = bytes(range(251)) * (COMMAND_BYTES // 100)
    bench.board.write_memory(4096, data)
    assert bench.board.read_memory(4096, len(data)) == data
    assert len(sent(bench, Opcode.WRITE_MEM)) == 3
    assert max(len(t.data) for t in sent(bench, Opcode.WRITE_MEM)) <= COMMAND_BYTES


def test_memory_beyond_the_end_is_not_touched(bench: Bench) -> None:
    with pytest.raises(LimitExceeded):
        bench.board.write_memory(MEMORY_BYTES - 1, b"ab")
    assert not sent(bench, Opcode.WRITE_MEM)


def test_an_operation_runs_with_the_registers_as_they_are(bench: Bench) -> None:
    result = bench.board.run(Operation.READ_ARRAY)
    assert result == (2000).to_bytes(4, "big") + bytes(4)


def test_the_first_supply_that_is_off_is_named() -> None:
    bench = Bench(Specimen(), up=False)
    assert not bench.board.is_up()
    with pytest.raises(NotReady, match="VWLform"):
        bench.board.run(Operation.READ)


def test_making_ready_leaves_rails_that_are_set_alone(bench: Bench) -> None:
    bench.board.set_supplies({"VBLset": 2000.0})
    before = bench.board.supplies()
    bench.board.make_ready()
    assert bench.board.supplies() == before


def test_making_ready_does_not_touch_a_board_with_a_latched_fault(bench: Bench) -> None:
    bench.board.emergency_stop()
    bench.board.make_ready()
    assert not bench.board.is_up()


def test_an_emergency_stop_stays_until_cleared(bench: Bench) -> None:
    assert fault_names(bench.board.emergency_stop().faults) == ("emergency_stop",)
    assert bench.board.faults() == ("emergency_stop",)
    with pytest.raises(HardwareFault):
        bench.board.bring_up()
    bench.board.clear_faults()
    assert bench.board.faults() == ()
    assert not bench.board.is_up()
    bench.board.bring_up()
    assert bench.board.is_up()


def test_counters_tell_pulses_by_array_and_kind_energy_and_time(bench: Bench) -> None:
    before = bench.board.counters()
    bench.board.execute([start(Operation.READ_ARRAY)])
    after = bench.board.counters()
    assert after.array1 == before.array1
    assert after.operations.read - before.operations.read == 100
    assert after.emulated_time_s > before.emulated_time_s
    assert after.energy_j > before.energy_j


def test_counters_tell_what_took_the_energy_and_the_time(bench: Bench) -> None:
    bench.chip.pulse(2, PulseKind.SET, np.ones((2, 100, 10), np.bool_), width_ns=50)
    bench.board.emulator(advance_s=2)
    counters = bench.board.counters()
    energy, time = counters.energy_parts_j, counters.time_parts_s
    assert energy.array2.set > 0
    assert energy.array2.reset == energy.array1.set == energy.array1.form == 0
    assert energy.array2.set + energy.cells + energy.converters + energy.lines == pytest.approx(
        counters.energy_j, rel=1e-12
    )
    assert time.array2.set == pytest.approx(200 * 4 * 50e-9)
    assert time.waiting == pytest.approx(2)
    assert time.array2.set + time.read + time.waiting == pytest.approx(counters.emulated_time_s)


def test_a_word_that_no_emulator_knows_is_refused(bench: Bench) -> None:
    with pytest.raises(BoardRefused, match="colour"):
        bench.board.emulator(colour="red")


def test_emulated_time_can_be_advanced(bench: Bench) -> None:
    before = bench.board.counters().emulated_time_s
    reply = bench.board.emulator(advance_s=3600)
    assert reply["emulated_time_s"] == pytest.approx(before + 3600)
    assert bench.board.counters().emulated_time_s == pytest.approx(before + 3600)


def test_the_board_says_who_it_is(bench: Bench) -> None:
    assert bench.board.identity["serial"] == "bench"
    assert bench.board.boot_id == bench.emulated.boot_id
    assert bench.board.status().faults == 0


def test_leaving_the_block_ends_the_session(bench: Bench) -> None:
    with bench.board as board:
        assert board is bench.board
    assert bench.board.is_closed
