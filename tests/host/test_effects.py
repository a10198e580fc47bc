"""Which commands are written down: those that must not happen twice or be lost."""

import pytest

from starlab_host.board import commands
from starlab_host.session.chip_changes import changes_chip, leaves_traces
from starlab_spec import ARRAY1
from starlab_spec.operations import Operation
from starlab_spec.registers import register
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.transactions import Transaction

PULSES = (
    Operation.FORM,
    Operation.SET,
    Operation.RESET,
    Operation.BP,
    Operation.PULSE_MASK,
    Operation.BATCH_TRAINING,
)


@pytest.mark.parametrize("operation", PULSES)
def test_an_operation_that_pulses_changes_the_chip(operation: Operation) -> None:
    assert changes_chip([tr.write_memory(0, b""), tr.start(operation)])


@pytest.mark.parametrize("operation", sorted(set(Operation) - set(PULSES)))
def test_an_operation_that_reads_does_not(operation: Operation) -> None:
    assert not changes_chip([tr.write_memory(0, b""), tr.start(operation)])


@pytest.mark.parametrize(
    "transaction",
    [
        tr.set_supply(0, 10),
        tr.write_registers(0x3C, [8]),
        tr.write_registers(0x38, [1 << 18, 8]),
        tr.emulator({"restart": True}),
        tr.start(1 << 31 | Operation.SET),
        Transaction(tr.Opcode.START, 0, b"odd"),
        Transaction(0x55),
    ],
    ids=[
        "supply",
        "start register",
        "start register last of two",
        "emulator",
        "set among others",
        "start of what cannot be told",
        "unknown opcode",
    ],
)
def test_what_acts_or_is_not_known_counts_as_a_change(transaction: Transaction) -> None:
    assert changes_chip([tr.read_registers(0), transaction])


@pytest.mark.parametrize(
    "transaction",
    [
        tr.read_registers(0x3C),
        tr.write_registers(0x38, [1 << 18]),
        tr.write_registers(0x40, [1, 2]),
        tr.read_memory(0, 4),
        tr.get_supply(0),
        tr.identify(),
        tr.abort(),
    ],
    ids=["read start", "operation", "target", "memory", "supply", "identify", "abort"],
)
def test_reads_and_what_can_be_written_again_is_no_change(transaction: Transaction) -> None:
    assert not changes_chip([transaction])


def test_reading_an_array_is_no_change() -> None:
    assert not changes_chip(commands.read_array(ARRAY1))


def test_asking_an_emulated_board_which_cells_are_formed_changes_nothing() -> None:
    asking = tr.emulator({"formed": {"array": 1, "address": 0}})
    assert not changes_chip([asking])
    assert changes_chip([tr.emulator({"formed": {"array": 1, "address": 0}, "seed": 3})])
    assert changes_chip([tr.emulator({"advance_s": 1})])


def test_traces_are_left_in_what_a_user_sets_and_not_where_calls_keep_their_samples() -> None:
    def writes(name: str, mask: int = 0xFFFF_FFFF) -> bool:
        return leaves_traces([tr.write_registers(register(name).address, [1], mask=mask)])

    assert writes("TH")
    assert writes("PERIOD1")
    assert not writes("SAMPLE_ADDRESS")
    assert not writes("BATCH_FIRST")
    array_select = register("MODE").field("array1").mask
    assert not writes("MODE", array_select)
    assert writes("MODE", array_select | 1 << 31)
    assert leaves_traces([tr.set_supply(0, 1)])
    assert not leaves_traces([tr.read_memory(0, 4), tr.write_memory(0, b"1")])
