"""Which commands must never be executed twice or lost, and which leave a trace."""

import pytest

from starlab_host.session.chip_changes import changes_chip, leaves_traces
from starlab_spec.operations import Operation
from starlab_spec.registers import register
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.transactions import Opcode, Transaction

START = register("START").address
MODE = register("MODE")
ARRAY1 = MODE.field("array1").mask
OWNED = (
    *("READ_ADDRESS", "MASK_KIND", "MASK_ADDRESS", "SAMPLE_ADDRESS", "SAMPLE_STRIDE"),
    *("BATCH_FIRST", "BATCH_COUNT", "RESULT_ADDRESS", "RESULT_FORMAT"),
    *("TARGET_MODE", "TARGET_ADDRESS", "LAYERS"),
)
PULSING = (
    Operation.FORM, Operation.SET, Operation.RESET, Operation.PULSE_MASK, Operation.BATCH_TRAINING,
    Operation.BP,
)  # fmt: skip
READING = [
    *(Operation.READ, Operation.READ_ARRAY, Operation.INFERENCE, Operation.BATCH_INFERENCE),
    Operation.VMM2,
]


@pytest.mark.parametrize("operation", PULSING)
def test_every_operation_that_pulses_changes_the_chip(operation: Operation) -> None:
    assert changes_chip([tr.start(operation)])
    assert changes_chip([tr.start(operation | Operation.READ)])


@pytest.mark.parametrize("operation", READING)
def test_an_operation_that_reads_changes_nothing(operation: Operation) -> None:
    assert not changes_chip([tr.start(operation)])
    assert not leaves_traces([tr.start(operation)])


@pytest.mark.parametrize(
    "transaction",
    [
        tr.read_registers(0),
        tr.read_memory(0, 4),
        tr.write_memory(0, b"1234"),
        tr.abort(),
        tr.get_supply(0),
        tr.identify(),
        tr.emulator({"formed": 1}),
        tr.write_registers(MODE.address, [1]),
    ],
)
def test_what_can_be_read_back_or_written_again_needs_no_journal(transaction: Transaction) -> None:
    assert not changes_chip([transaction])


@pytest.mark.parametrize(
    "transaction",
    [
        tr.set_supply(0, 1),
        tr.emulator({"restart": True}),
        tr.emulator({"formed": 1, "restart": True}),
        tr.emulator({}),
        Transaction(Opcode.EMULATOR, 0, b"no json"),
        Transaction(Opcode.EMULATOR, 0, b'["formed"]'),
        Transaction(0x99),
        Transaction(Opcode.START, 0, b"\0\0\0"),
        Transaction(Opcode.START, 0, bytes(8)),
    ],
)
def test_what_is_not_surely_harmless_counts_as_a_change(transaction: Transaction) -> None:
    assert changes_chip([transaction])
    assert leaves_traces([transaction])
    assert changes_chip([tr.read_registers(0), transaction])


@pytest.mark.parametrize("name", ["START", "FAULT_SET", "FAULT_CLEAR"])
def test_a_register_that_acts_is_a_change_wherever_it_stands_in_a_write(name: str) -> None:
    at = register(name).address
    assert changes_chip([tr.write_registers(at, [0])])
    assert changes_chip([tr.write_registers(at - 8, [0, 0, 0])])
    # the last register before it, and the first one behind it
    assert not any(
        changes_chip([tr.write_registers(beside, [0])])
        for beside in (at - 4, at + 4)
        if beside
        not in {register(other).address for other in ("START", "FAULT_SET", "FAULT_CLEAR")}
    )


@pytest.mark.parametrize("name", OWNED)
def test_a_register_that_each_call_sets_leaves_no_trace(name: str) -> None:
    at = register(name).address
    assert not leaves_traces([tr.write_registers(at, [1])])


def test_a_write_that_goes_beyond_such_registers_leaves_a_trace() -> None:
    owned = {register(name).address for name in OWNED}
    last = max(at for at in owned if at + 4 not in owned)
    assert not leaves_traces([tr.write_registers(last, [1])])
    assert leaves_traces([tr.write_registers(last, [1, 1])])
    first = min(at for at in owned if at - 4 not in owned)
    assert leaves_traces([tr.write_registers(first - 4, [1, 1])])


def test_of_the_mode_only_the_choice_of_the_array_leaves_no_trace() -> None:
    assert not leaves_traces([tr.write_registers(MODE.address, [0], mask=ARRAY1)])
    assert not leaves_traces([tr.write_registers(MODE.address, [ARRAY1], mask=ARRAY1)])
    assert leaves_traces([tr.write_registers(MODE.address, [0], mask=ARRAY1 | ARRAY1 << 1)])
    assert leaves_traces([tr.write_registers(MODE.address, [0])])


def test_nothing_is_no_change() -> None:
    assert not changes_chip([])
    assert not leaves_traces([])
    assert not leaves_traces([Transaction(Opcode.WRITE_REG, 0, bytes(7))])
    assert not leaves_traces([tr.read_registers(0), tr.write_memory(0, b"1")])
