"""The host sends nothing that would bring a cell outside of its safe operating area."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench

from starlab_host import Board, Chip, Interlock, cell_mask
from starlab_host.errors import BadArgument
from starlab_sim import Specimen
from starlab_spec import ARRAY1, ARRAY2, LimitExceeded, Unsafe
from starlab_spec.operations import Operation, PulseKind, pack_mask
from starlab_spec.registers import register
from starlab_spec.safe_area import SafeArea
from starlab_spec.wire.transactions import (
    Opcode,
    Transaction,
    set_supply,
    start,
    write_memory,
    write_registers,
)

READS = {Opcode.READ_REG, Opcode.READ_MEM, Opcode.GET_SUPPLY}
SELECTED = [
    write_registers(register("MODE").address, [1], mask=1),
    write_registers(register("COLUMNS0").address, [0xFFFF_FFFF] * 3),
    write_registers(register("CELL").address, [0x101], mask=0x101),
]


def limited(changes: dict[str, Any]) -> Bench:
    """A bench whose host, and only the host, has limits of its own."""
    bench = Bench(Specimen(seed=3))
    bench.board = Board(bench.session, SafeArea.of(changes))
    bench.chip = Chip(bench.board)
    bench.board.bring_up()
    return bench


def assert_nothing_is_sent(bench: Bench, call: Callable[[], object], message: str) -> None:
    """The call is refused in these words, and the board is at most asked how it is."""
    before, pulses = len(bench.session.commands), bench.pulses
    with pytest.raises(LimitExceeded) as refused:
        call()
    assert str(refused.value) == message
    sent = [item.opcode for command in bench.session.commands[before:] for item in command]
    assert set(sent) <= READS
    assert bench.pulses == pulses


def test_a_pulse_that_is_too_wide_is_not_sent(bench: Bench) -> None:
    assert_nothing_is_sent(
        bench,
        lambda: bench.chip.pulse(1, PulseKind.SET, cell_mask(ARRAY1), width_ns=12_800),
        "SET width 12800 ns on array 1 is above the 5000 ns limit",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"reset_width_2_ns": 6000},
            "RESET width 6000 ns on array 2 is above the 5000 ns limit",
        ),
        ({"form_count_2": 65, "th": 3}, "FORM pulses 65 on array 2 is above the 64 limit"),
    ],
)
def test_unsafe_settings_are_not_sent(bench: Bench, changes: dict[str, Any], message: str) -> None:
    assert_nothing_is_sent(bench, lambda: bench.chip.change_settings(**changes), message)


def test_update_pulses_are_held_to_the_number_of_pulses() -> None:
    bench = limited({"pulses": {"array2": {"reset": {"pulses": 4}}}})
    assert_nothing_is_sent(
        bench,
        lambda: bench.chip.change_settings(update_pulses_2=5),
        "RESET pulses 5 on array 2 is above the 4 limit",
    )
    assert bench.chip.change_settings(update_pulses_2=4).update_pulses_2 == 4


def test_energy_is_judged_by_the_rails_that_are_set(bench: Bench) -> None:
    bench.chip.change_settings(set_width_1_ns=4000)
    bench.board.set_supplies({"VBLset": 2585})
    mask = cell_mask(ARRAY1, [3], [3], "+")
    before = bench.pulses
    with pytest.raises(Unsafe) as refused:
        bench.chip.pulse(1, PulseKind.SET, mask)
    assert str(refused.value) == "SET energy 534.595 pJ on array 1 is above the 500 pJ limit"
    assert refused.value.channel == "VBLset"
    assert bench.pulses == before
    assert bench.chip.settings().set_width_1_ns == 4000
    assert bench.chip.pulse(1, PulseKind.SET, mask, width_ns=3000) == 1


def test_programming_and_learning_are_judged_too() -> None:
    bench = limited({"pulses": {"array2": {"set": {"energy_pj": 15}}}})
    bench.chip.change_settings(reset_width_2_ns=100)
    message = "SET energy 19.5"
    with pytest.raises(Unsafe, match=message):
        bench.chip.program(2, np.full(ARRAY2.shape, 15.0))
    with pytest.raises(Unsafe, match=message):
        bench.chip.train_step(np.ones((2, 784), np.uint8), labels=[1, 2])
    assert bench.pulses == 0
    bench.chip.change_settings(set_width_2_ns=150)
    bench.chip.train_step(np.ones((2, 784), np.uint8), labels=[1, 2])


def words(name: str, *values: int) -> Transaction:
    return write_registers(register(name).address, values)


@pytest.mark.parametrize(
    "commands",
    [
        [*SELECTED, words("PERIOD1", 0xFF), start(Operation.SET)],
        [*SELECTED, words("PERIOD1", 0xFF), words("OPERATION", Operation.SET, 8)],
        [words("MODE", 1), words("PERIOD1", 0xFF, 0), words("MASK_KIND", 0), start(1 << 24)],
        [words("PERIOD1", 0xFF), words("LAYERS", 1), start(Operation.BATCH_TRAINING)],
        [words("PERIOD1", 0xFF), words("BP_ARRAY1", 1), start(Operation.BP)],
    ],
)
def test_raw_commands_are_judged_as_calls_are(bench: Bench, commands: list[Transaction]) -> None:
    message = "SET width 12800 ns on array 1 is above the 5000 ns limit"
    assert_nothing_is_sent(bench, lambda: bench.board.execute(commands), message)
    for command in commands[:-1]:  # registers alone put no pulse on a cell
        bench.board.execute([command])
    assert_nothing_is_sent(bench, lambda: bench.board.execute(commands[-1:]), message)


def test_a_raw_supply_code_is_judged_by_this_boards_limits() -> None:
    bench = limited({"supplies": {"VBLset": {"high": 2300}}})
    assert_nothing_is_sent(
        bench,
        lambda: bench.board.execute([set_supply(6, 99)]),
        "VBLset 2585 mV is above the 2300 mV limit",
    )
    assert_nothing_is_sent(
        bench,
        lambda: bench.board.set_supplies({"VBLset": 2500}),
        "VBLset 2500 mV is above the 2300 mV limit",
    )


def test_the_current_of_a_row_is_that_of_the_cells_that_are_pulsed() -> None:
    bench = limited({"pulses": {"array1": {"set": {"row_ma": 2}}}})
    message = "SET row current 4.242 mA on array 1 is above the 2 mA limit"
    assert_nothing_is_sent(
        bench, lambda: bench.board.execute([*SELECTED, start(Operation.SET)]), message
    )
    narrow = cell_mask(ARRAY1, range(784), range(45))
    assert bench.chip.pulse(1, PulseKind.SET, narrow) == narrow.sum()
    with pytest.raises(Unsafe, match=r"SET row current 2\.033 mA on array 1"):
        bench.chip.pulse(1, PulseKind.SET, cell_mask(ARRAY1, [5], range(46)))
    # a mask that is in the board's memory already is fetched from there
    bench.emulated.execute([write_memory(0x1000, pack_mask(cell_mask(ARRAY1, [5], range(46))))])
    masked = [words("MASK_KIND", 0, 0x1000), start(Operation.PULSE_MASK)]
    with pytest.raises(Unsafe, match=r"SET row current 2\.033 mA on array 1"):
        bench.board.execute(masked)


def test_only_the_call_that_forms_may_form(virgin_bench: Bench) -> None:
    bench = virgin_bench
    for commands in (
        [start(Operation.FORM)],
        [words("OPERATION", Operation.FORM, 8)],
        [words("MASK_KIND", 2, 0), start(Operation.PULSE_MASK)],
    ):
        before = len(bench.session.commands)
        with pytest.raises(BadArgument, match="only the call that forms may do so"):
            bench.board.execute(commands)
        sent = [item.opcode for command in bench.session.commands[before:] for item in command]
        assert set(sent) <= READS
    with bench.board.forming():
        bench.board.execute([start(Operation.FORM)])
    assert bench.chip.form(2, rows=[0]).formed == 20


def test_what_a_command_left_is_known_and_after_a_failure_asked_anew(bench: Bench) -> None:
    bench.chip.pulse(1, PulseKind.SET, cell_mask(ARRAY1, [1], [1]))
    asked = len(bench.session.commands)
    bench.chip.pulse(1, PulseKind.SET, cell_mask(ARRAY1, [1], [1]))
    again = len(bench.session.commands) - asked
    bench.board.emulator(restart=True)
    bench.board.bring_up()
    asked = len(bench.session.commands)
    bench.chip.pulse(1, PulseKind.SET, cell_mask(ARRAY1, [1], [1]))
    # one more question, and the cells are read again
    assert len(bench.session.commands) - asked > again


def test_the_boards_refusal_tells_the_same_as_the_hosts_own() -> None:
    bench = Bench(Specimen(seed=3))
    with pytest.raises(Unsafe) as ours:
        bench.chip.pulse(1, PulseKind.RESET, cell_mask(ARRAY1), width_ns=6000)
    loose = {"pulses": {"array1": {"reset": {"width_ns": 8000}}}}
    bench.chip = Chip(Board(bench.session, SafeArea.of(loose)))
    with pytest.raises(Interlock) as theirs:
        bench.chip.pulse(1, PulseKind.RESET, cell_mask(ARRAY1), width_ns=6000)
    assert theirs.value.message == str(ours.value)
    for name in ("name", "value", "limit", "unit", "channel"):
        assert getattr(theirs.value, name) == getattr(ours.value, name)
