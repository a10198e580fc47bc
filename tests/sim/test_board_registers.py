"""Registers of the emulated board: reset values, access, masks, identity, counters."""

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_sim.firmware.board import Board
from starlab_sim.firmware.register_file import RegisterFile, pack_words
from starlab_sim.socket.specimen import Specimen
from starlab_spec.registers import MAP_END, REGISTERS, Access, Register, register, register_at
from starlab_spec.wire.transactions import (
    Opcode,
    Status,
    Transaction,
    read_registers,
    words,
    write_registers,
)

if TYPE_CHECKING:
    from tests.sim.conftest import Bench

ACTIONS = {"START", "FAULT_SET", "FAULT_CLEAR"}
PLAIN = [r for r in REGISTERS if r.access is Access.READ_WRITE and r.name not in ACTIONS]


def test_the_published_block_wakes_up_as_the_published_start_up_leaves_it(bench: "Bench") -> None:
    (result,) = bench.do(read_registers(0x00, 13))
    assert words(result) == (
        0x03030047, 0x00FF0005, 0x00FF0000, 0x00FF0003, 0x003F0000, 0x030F0101, 0x00000063,
        0, 0, 0, 0, 0x037F0100, 0x0471011F,
    )  # fmt: skip


def test_a_whole_map_can_be_read_at_once_and_holes_read_as_0(bench: "Bench") -> None:
    (result,) = bench.do(read_registers(0, MAP_END // 4))
    content = words(result)
    assert all(content[i] == 0 for i in range(len(content)) if register_at(4 * i) is None)


def test_only_bits_under_the_mask_are_replaced(bench: "Bench") -> None:
    bench.do(write_registers(0x30, [0xFFFF34FF], mask=0x0000FF00))
    assert bench.read("INTEGRATOR1") == 0x0471341F


def test_consecutive_words_are_written_from_one_address_on(bench: "Bench") -> None:
    bench.do(write_registers(0x40, [10, 11, 12]))
    assert [bench.read(f"TARGET{i}") for i in range(4)] == [10, 11, 12, 0]


def test_the_same_address_can_be_read_many_times(bench: "Bench") -> None:
    (result,) = bench.do(read_registers(0x00, 5, fixed=True))
    assert words(result) == (0x03030047,) * 5


def test_a_register_keeps_bits_that_no_field_names(bench: "Bench") -> None:
    bench.write(ADC=0xFFFFFFFF)
    assert bench.read("ADC") == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("transaction", "status", "message"),
    [
        (write_registers(0x84, [1]), Status.RANGE, "there is no register at 0x84"),
        (write_registers(0x80, [1]), Status.RANGE, "register INTERRUPT at 0x80 is read-only"),
        (write_registers(0x7C, [1, 2]), Status.RANGE, "register INTERRUPT at 0x80 is read-only"),
        (
            write_registers(0x300, [1]),
            Status.RANGE,
            "register end address 772 is above the 768 limit",
        ),
        (
            write_registers(0x42, [1]),
            Status.BAD_REQUEST,
            "register address 0x42 is not a multiple of 4",
        ),
        (
            write_registers(0x40, []),
            Status.BAD_REQUEST,
            "WRITE_REG with 4 bytes of data and flags 0x00",
        ),
        (read_registers(0x2FC, 2), Status.RANGE, "register end address 772 is above the 768 limit"),
        (
            Transaction(Opcode.READ_REG, 0, bytes(4), 2),
            Status.BAD_REQUEST,
            "READ_REG with flags 0x02",
        ),
        (
            Transaction(Opcode.WRITE_REG, 0, bytes(8), 1),
            Status.BAD_REQUEST,
            "WRITE_REG with 8 bytes of data and flags 0x01",
        ),
        (read_registers(0x01), Status.BAD_REQUEST, "register address 0x1 is not a multiple of 4"),
        (
            Transaction(Opcode.READ_REG, 0, b"\0\0"),
            Status.BAD_REQUEST,
            "READ_REG with 2 bytes of data, expected 4",
        ),
        (
            read_registers(0, 0xFFFFFFFF, fixed=True),
            Status.RANGE,
            "result data 17179869180 bytes is above the 15728640 bytes limit",
        ),
    ],
)
def test_an_access_that_cannot_be_is_refused_and_changes_nothing(
    bench: "Bench", transaction: Transaction, status: Status, message: str
) -> None:
    before = bench.do(read_registers(0, MAP_END // 4))
    assert bench.refusal(transaction) == (status, message)
    assert bench.do(read_registers(0, MAP_END // 4)) == before


@given(st.sampled_from(PLAIN), *[st.integers(0, 0xFFFFFFFF)] * 3)
def test_a_masked_write_keeps_the_other_bits(
    definition: Register, old: int, new: int, mask: int
) -> None:
    registers = RegisterFile()
    address, name = definition.address, definition.name
    registers.write(address, pack_words([old]))
    registers.write(address, pack_words([new]), pack_words([mask]))
    expected = "".join(
        n if m == "1" else o
        for o, n, m in zip(f"{old:032b}", f"{new:032b}", f"{mask:032b}", strict=True)
    )
    assert f"{registers.word(name):032b}" == expected


@given(st.lists(st.integers(0, 0xFFFFFFFF), min_size=3, max_size=3), st.integers(0, 0xFFFFFFFF))
def test_a_mask_counts_for_each_of_several_words(values: list[int], mask: int) -> None:
    registers = RegisterFile()
    before = registers.read(0, 3)
    registers.write(0, pack_words(values), pack_words([mask]))
    one_by_one = RegisterFile(before + registers.read(12, MAP_END // 4 - 3))
    for place, value in enumerate(values):
        one_by_one.write(4 * place, pack_words([value]), pack_words([mask]))
    assert registers.read(0, 3) == one_by_one.read(0, 3)


@given(
    st.lists(
        st.one_of(
            st.integers(0, MAP_END // 4 - 1).map(lambda word: read_registers(4 * word)),
            st.builds(read_registers, st.integers(0, MAP_END), st.integers(0, 3)),
            st.builds(read_registers, st.just(0x30), st.just(2), fixed=st.just(True)),
            st.integers(0, 0xFFFFFFFF).map(lambda value: write_registers(0x04, [value])),
        ),
        max_size=12,
    )
)
def test_many_accesses_in_one_command_are_as_each_in_a_command_of_its_own(
    transactions: list[Transaction],
) -> None:
    together, apart = (
        Board(Specimen(seed=1), serial="EMU-1", rng=random.Random(1)) for _ in range(2)
    )
    results = together.execute(transactions)
    expected = [result for each in transactions for result in apart.execute([each])]
    assert results == expected[: len(results)]
    assert len(results) == len(transactions) or results[-1].status != Status.OK


def test_identity_is_in_registers_and_json(bench: "Bench") -> None:
    identity = bench.board.identity()
    assert identity == {
        "serial": "EMU-1",
        "firmware": "0.1.0",
        "protocol": "1.0",
        "boot_id": bench.board.boot_id,
        "boots": 1,
        "geometry": {"array1": [784, 100], "array2": [100, 10]},
        "device_model": "nonlinear-3",
        "effects": [],
        "emulated": True,
        "memory_bytes": 134217728,
    }
    (block,) = bench.do(read_registers(0x100, 16))
    found = words(block)
    assert block.data[:4] == b"STLR"
    assert found[1:6] == (0x000100, bench.board.boot_id, 1, 784 << 16 | 100, 100 << 16 | 10)
    assert block.data[0x20:].rstrip(b"\0") == b"nonlinear-3"


def test_counters_start_at_zero_and_upper_words_come_first(powered: "Bench") -> None:
    assert set(words(powered.do(read_registers(0x200, 64))[0])) == {0}
    powered.select(1, 3, 0b101)
    powered.start(1 << 18)
    (result,) = powered.do(read_registers(0x200, 2))
    assert words(result) == (0, 4)
    (result,) = powered.do(read_registers(register("ARRAY1_SET_PULSES_LOW").address))
    assert words(result) == (4,)
