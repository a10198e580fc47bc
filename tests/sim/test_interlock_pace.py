"""How fast pulses may follow one another, counted to the last one."""

import random
from typing import Any

import numpy as np
import pytest
from tests.sim.conftest import Bench

from starlab_sim import Board, Specimen
from starlab_spec.operations import Operation
from starlab_spec.registers import register
from starlab_spec.safe_area import SafeArea
from starlab_spec.wire.transactions import Status, emulator, start, write_memory, write_registers

WINDOW_S = 0.01
FIRST, SECOND = 0b01, 0b10
"""Masks of the first and of the second column."""


@pytest.fixture
def paced() -> Bench:
    """Twenty pulses on a cell of array 1 within 10 ms; of array 2 a hundred."""
    return limited({"rate": {"array1": {"pulses": 20, "window_s": WINDOW_S}}})


def limited(changes: dict[str, Any]) -> Bench:
    bench = Bench(Specimen(seed=1))
    area = SafeArea.of(changes)
    bench.board = Board(Specimen(seed=1), serial="EMU-1", rng=random.Random(1), area=area)
    bench.power_up()
    return bench


def number(array: int, count: int) -> Any:
    return write_registers(register(f"NUMBER{array}").address, [count - 1], mask=0xFF)


def pulse(bench: Bench, columns: int, count: int, *, array: int = 1, row: int = 5) -> None:
    """SET pulses on "+" cells."""
    bench.select(array, row, columns, lower=False)
    bench.do(number(array, count))
    bench.start(Operation.SET)


def refused(bench: Bench, columns: int, count: int, *, array: int = 1, row: int = 5) -> str:
    """The same are too many: why."""
    bench.select(array, row, columns, lower=False)
    bench.do(number(array, count))
    before = bench.board.chip.pulses(array)
    status, message = bench.refusal(start(Operation.SET))
    assert status == Status.INTERLOCK
    assert np.array_equal(bench.board.chip.pulses(array), before)
    return message


def wait(bench: Bench, windows: float) -> None:
    bench.do(emulator({"advance_s": windows * WINDOW_S}))


def test_a_cell_may_have_as_many_pulses_as_the_limit_says_and_not_one_more(paced: Bench) -> None:
    pulse(paced, FIRST, 20)
    message = "SET pulses within 0.01 s 21 on a cell of array 1 is above the 20 limit"
    assert refused(paced, FIRST, 1) == message


def test_each_cell_is_counted_by_itself(paced: Bench) -> None:
    pulse(paced, FIRST, 16)
    pulse(paced, SECOND, 8)
    assert "21 on a cell" in refused(paced, SECOND, 13)
    pulse(paced, SECOND, 12)
    assert "21 on a cell" in refused(paced, FIRST, 5)
    pulse(paced, FIRST, 4)
    pulse(paced, FIRST, 20, row=6)  # the same column of another row has had none
    assert "22 on a cell" in refused(paced, FIRST | SECOND, 2)


def test_a_mask_is_counted_where_it_lies(paced: Bench) -> None:
    """PULSE_MASK: the cells of its own rows, and only those of the mask."""
    pulse(paced, FIRST, 16, row=700)
    mask = np.zeros((2, 784, 100), np.bool_)
    mask[0, 700, 1] = mask[1, 700, 0] = True
    paced.do(
        number(1, 20),
        write_memory(0x1000, np.packbits(mask).tobytes()),
        write_registers(register("MASK_KIND").address, [0, 0x1000]),
    )
    paced.start(Operation.PULSE_MASK)
    mask[0, 700, 0] = True
    paced.do(write_memory(0x1000, np.packbits(mask).tobytes()))
    status, message = paced.refusal(start(Operation.PULSE_MASK))
    assert status == Status.INTERLOCK
    assert "40 on a cell" in message  # twenty and twenty; the one of the first column: 36


def test_what_was_refused_does_not_count(paced: Bench) -> None:
    pulse(paced, FIRST, 10)
    for _ in range(3):
        refused(paced, FIRST, 11)
    assert paced.refusal(start(Operation.SET), dry_run=True)[0] == Status.INTERLOCK
    pulse(paced, FIRST, 10)


def test_a_dry_run_does_not_count(paced: Bench) -> None:
    paced.select(1, 5, FIRST, lower=False)
    paced.do(number(1, 20))
    for _ in range(3):
        (result,) = paced.board.execute([start(Operation.SET)], dry_run=True)
        assert result.status == Status.OK
    pulse(paced, FIRST, 20)


def test_a_window_without_pulses_makes_all_forgotten(paced: Bench) -> None:
    pulse(paced, FIRST, 20)
    wait(paced, 0.95)
    refused(paced, FIRST, 1)
    wait(paced, 0.1)
    pulse(paced, FIRST, 20)


def test_pulses_that_never_pause_are_counted_over_the_window_and_the_one_before(
    paced: Bench,
) -> None:
    pulse(paced, FIRST, 8)
    wait(paced, 0.6)
    pulse(paced, FIRST, 4)
    wait(paced, 0.6)  # 1.2 windows: what came before may still be within one
    assert "21 on a cell" in refused(paced, FIRST, 9)
    pulse(paced, FIRST, 4)
    wait(paced, 0.6)
    pulse(paced, FIRST, 4)
    wait(paced, 0.5)  # 2.3 windows: counted from 1.2 windows on
    assert "21 on a cell" in refused(paced, FIRST, 13)
    pulse(paced, FIRST, 12)


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.7])
def test_no_window_ever_holds_more_than_the_limit(paced: Bench, offset: float) -> None:
    """A host that tries all the time, in steps of a quarter of a window."""
    wait(paced, offset)
    given: list[tuple[float, int]] = []
    rng = random.Random(7)
    now = 0.0
    for _ in range(60):
        count = rng.randint(1, 12)
        paced.select(1, 5, FIRST, lower=False)
        (_, result) = paced.board.execute([number(1, count), start(Operation.SET)])
        if result.status == Status.OK:
            given.append((now, count))
        within = sum(n for at, n in given if at > now - 0.99)
        assert within <= 20
        step = rng.choice([0.1, 0.25, 0.5])
        wait(paced, step)
        now += step
    assert len(given) > 20


def test_after_a_long_batch_its_last_window_counts(paced: Bench) -> None:
    """400 samples of 410 us: 26 of them touch a window, a pulse a sample on each cell at most."""
    bench = limited({"rate": {"array2": {"pulses": 100, "window_s": WINDOW_S}}})
    bench.do(write_memory(0x1000, random.Random(1).randbytes(98 * 400)))
    bench.write(
        SAMPLE_ADDRESS=0x1000, TARGET_ADDRESS=0x20_0000, RESULT_ADDRESS=0x40_0000, LAYERS=2, TH=0
    )
    bench.write(BATCH_COUNT=400)
    bench.start(Operation.BATCH_TRAINING)
    # 10 ms / 410 us, rounded up, and one more: the window may begin within a sample
    pulse(bench, FIRST, 64, array=2)
    assert "within 0.01 s" in refused(bench, FIRST, 12, array=2)
    pulse(bench, FIRST, 10, array=2)
    assert "101 on a cell" in refused(bench, FIRST, 1, array=2)
    wait(bench, 1.1)
    pulse(bench, FIRST, 64, array=2)


def test_learning_counts_every_cell_of_a_row_where_rows_matter() -> None:
    bench = limited({"pulses": {"array1": {"set": {"row_ma": 2}}}})
    bench.write(LAYERS=1, BATCH_COUNT=0, RESULT_ADDRESS=0x100)
    status, message = bench.refusal(start(Operation.BATCH_TRAINING))
    assert status == Status.INTERLOCK
    assert message == "SET row current 4.419 mA on array 1 is above the 2 mA limit"
