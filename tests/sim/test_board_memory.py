"""The board's memory, and the copy of it that a dry run writes to."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_sim.firmware.memory import Memory
from starlab_spec.errors import LimitExceeded
from starlab_spec.operations import MEMORY_BYTES
from starlab_spec.wire.transactions import Status, read_memory, write_memory

if TYPE_CHECKING:
    from tests.sim.conftest import Bench


def test_what_was_written_can_be_read_back(bench: "Bench") -> None:
    results = bench.do(
        write_memory(0x1000, b"conductance"), read_memory(0x0FFE, 9), read_memory(0, 0)
    )
    assert [result.data for result in results] == [b"", b"\0\0conduct", b""]


def test_memory_ends_at_128_mib(bench: "Bench") -> None:
    bench.do(write_memory(MEMORY_BYTES - 3, b"end"), read_memory(MEMORY_BYTES - 3, 3))
    message = "memory end address 134217729 is above the 134217728 limit"
    assert bench.refusal(write_memory(MEMORY_BYTES - 3, b"over")) == (Status.RANGE, message)
    assert bench.refusal(read_memory(MEMORY_BYTES, 1)) == (Status.RANGE, message)
    assert bench.do(read_memory(MEMORY_BYTES - 3, 3))[0].data == b"end"


def test_one_command_reads_15_mib_at_most(bench: "Bench") -> None:
    half = 15 << 19
    status, message = bench.refusal(read_memory(0, 1), read_memory(0, half), read_memory(0, half))
    assert (status, message) == (
        Status.RANGE,
        "result data 15728641 bytes is above the 15728640 bytes limit",
    )


def test_rows_may_lie_apart_or_over_each_other() -> None:
    memory = Memory()
    memory.write(0, bytes(range(20)))
    assert memory.rows(2, 5, 3, 2).tolist() == [[2, 3], [7, 8], [12, 13]]
    assert memory.rows(2, 1, 3, 2).tolist() == [[2, 3], [3, 4], [4, 5]]
    assert memory.rows(2, 0, 2, 2).tolist() == [[2, 3], [2, 3]]
    assert memory.rows(2, 5, 0, 2).shape == (0, 2)


def test_rows_beyond_the_memory_are_refused() -> None:
    memory = Memory()
    assert memory.rows(MEMORY_BYTES - 12, 10, 2, 2).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(LimitExceeded):
        memory.rows(MEMORY_BYTES - 11, 10, 2, 2)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=20)), max_size=6),
    st.integers(0, 40),
    st.integers(0, 30),
)
def test_a_scratch_memory_shows_its_writes_and_leaves_the_original(
    writes: list[tuple[int, bytes]], address: int, count: int
) -> None:
    content = bytearray(range(100, 200))
    memory = ORIGINAL
    scratch = memory.scratch()
    for start, data in writes:
        scratch.write(start, data)
        content[start : start + len(data)] = data
    assert scratch.view(address, count).tobytes() == content[address : address + count]
    assert memory.view(0, 100).tobytes() == bytes(range(100, 200))


ORIGINAL = Memory()
ORIGINAL.write(0, bytes(range(100, 200)))
