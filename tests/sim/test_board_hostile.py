"""The board under transactions that nobody in their right mind would send."""

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_sim import Board, Specimen
from starlab_spec.operations import MEMORY_BYTES, Operation
from starlab_spec.registers import MAP_END, REGISTERS
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.transactions import (
    Opcode,
    Result,
    Status,
    Transaction,
    emulator,
    get_supply,
    read_memory,
    read_registers,
    set_supply,
    start,
    write_memory,
    write_registers,
)

WORD = 0xFFFF_FFFF
words = st.one_of(st.integers(0, 300), st.integers(0, WORD), st.sampled_from([WORD, 1 << 31, 8]))
registers = st.one_of(
    st.sampled_from([register.address for register in REGISTERS]),
    st.integers(0, MAP_END + 16),
    st.integers(0, WORD),
)
addresses = st.one_of(st.integers(0, 500), st.integers(MEMORY_BYTES - 500, WORD))
operations = st.one_of(st.sampled_from([int(operation) for operation in Operation]), words)
text = st.text('aé"\n', max_size=5)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner)),
    max_leaves=4,
)
keys = st.sampled_from(["advance_s", "seed", "device_model", "virgin", "faults", "restart", "x"])
transactions = st.one_of(
    st.builds(
        Transaction,
        st.one_of(st.sampled_from(Opcode), st.integers(0, 255)),
        st.one_of(registers, addresses),
        st.binary(max_size=40),
        st.integers(0, 255),
    ),
    st.builds(read_registers, registers, words, fixed=st.booleans()),
    st.builds(write_registers, registers, st.lists(words, max_size=4), mask=words),
    st.builds(read_memory, addresses, words),
    st.builds(write_memory, addresses, st.binary(max_size=600)),
    st.builds(set_supply, st.integers(0, 25), words),
    st.builds(get_supply, words),
    st.builds(start, operations),
    st.builds(emulator, st.dictionaries(keys, json_values, max_size=2)),
)
EVERYTHING = [read_registers(0, MAP_END // 4), read_memory(0, 1000), *map(get_supply, range(22))]


def power_up(board: Board) -> None:
    board.execute([write_registers(0x1C8, [0xF])])
    board.execute([set_supply(c.index, c.default_code) for c in SUPPLIES])


@pytest.fixture(scope="module")
def board() -> Board:
    """One board for all that is thrown at it: it must bear that too."""
    return Board(Specimen(seed=3), serial="EMU-1", rng=random.Random(2))


def after(calls: int) -> Callable[[], bool]:
    """Aborts an operation when it has asked some times, so that none runs for minutes."""
    answers = itertools.chain([False] * calls, itertools.repeat(True))
    return lambda: next(answers)


def assert_well_formed(command: list[Transaction], results: list[Result]) -> None:
    assert 1 <= len(results) <= len(command)
    assert all(result.status == Status.OK for result in results[:-1])
    assert len(results) == len(command) or results[-1].status != Status.OK
    for asked, result in zip(command, results, strict=False):
        assert (result.opcode, result.address) == (asked.opcode, asked.address)
        assert isinstance(result.data, bytes)
    assert results[-1].status == Status.OK or results[-1].message


@given(st.lists(transactions, min_size=1, max_size=8), st.booleans())
def test_no_command_makes_the_board_raise(
    board: Board, command: list[Transaction], powered: bool
) -> None:
    if powered:
        power_up(board)
    board.takes_long(command)
    lifetime = board.lifetime_pulses
    results = board.execute(command, aborted=after(3))
    assert_well_formed(command, results)
    assert board.lifetime_pulses >= lifetime


@given(transactions, st.booleans())
def test_a_refused_transaction_changes_nothing(
    board: Board, transaction: Transaction, powered: bool
) -> None:
    if powered:
        power_up(board)
    before = (board.execute(EVERYTHING), board.chip, board.chip.counters, board.boot_id)
    (result,) = board.execute([transaction], aborted=after(3))
    if result.status not in (Status.OK, Status.ABORTED):
        now = (board.execute(EVERYTHING), board.chip, board.chip.counters, board.boot_id)
        assert now == before


@given(st.lists(transactions, min_size=1, max_size=8), st.booleans())
def test_no_dry_run_changes_anything(
    board: Board, command: list[Transaction], powered: bool
) -> None:
    if powered:
        power_up(board)
    before = (board.execute(EVERYTHING), board.chip, board.chip.counters, board.boot_id)
    assert_well_formed(command, board.execute(command, dry_run=True))
    now = (board.execute(EVERYTHING), board.chip, board.chip.counters, board.boot_id)
    assert now == before
