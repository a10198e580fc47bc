"""The host's guard and the firmware's interlock decide alike, whatever registers and rails hold."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench

from starlab_host import BadArgument, Board
from starlab_host.board.guard import Guard
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_spec import ARRAY1, ARRAY2, LimitExceeded, Unsafe
from starlab_spec.operations import Operation, pack_mask
from starlab_spec.registers import register
from starlab_spec.safe_area import DRIVING_RAIL, SafeArea
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import (
    Opcode,
    Result,
    Status,
    Transaction,
    emulator,
    set_supply,
    start,
    write_memory,
    write_registers,
)

NARROW = {
    "pulses": {
        "array1": {
            "set": {"width_ns": 600, "pulses": 20, "row_ma": 1.5},
            "reset": {"width_ns": 400, "pulses": 30, "energy_pj": 15, "row_ma": 1.0},
            "form": {"width_ns": 9000, "pulses": 100, "row_ma": 5},
        },
        "array2": {
            "set": {"width_ns": 500, "pulses": 12, "row_ma": 0.25},
            "reset": {"width_ns": 800, "pulses": 9, "cell_ua": 40},
            "form": {"width_ns": 12_000, "pulses": 40, "row_ma": 0.5},
        },
    }
}
"""Limits that differ between arrays and kinds, so that each is met by something."""
MASK_AT = 0x2000
ARRAY1_SELECTED = write_registers(register("MODE").address, [1], mask=1)
RAILS = tuple(supply(name).index for name in DRIVING_RAIL.values())


def limited_bench() -> tuple[EmulatedBoard, Guard]:
    """A board with such limits, and the guard of a host with the same ones."""
    area = SafeArea.of(NARROW)
    board = EmulatedBoard(Specimen(seed=1), serial="bench", rng=random.Random(1), area=area)
    host = Board(_Direct(board), area)
    host.bring_up()
    return board, Guard(area, board.execute)


class _Direct:
    """No more of a session than a board needs to be brought up."""

    def __init__(self, board: EmulatedBoard) -> None:
        self._bench = Bench(Specimen(seed=1), up=False)
        self._bench.session.board = board

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bench.session, name)


def commands(rng: random.Random) -> list[Transaction]:
    """Some writes, of whole words or of parts of them, and perhaps something that starts."""
    made: list[Transaction] = []
    for _ in range(rng.randint(1, 5)):
        made.append(rng.choice((_pulse_word, _cells, _mode, _bp, _mask, _rail))(rng))
    if rng.random() < 0.8:
        operation = rng.choice(
            [
                *(Operation.SET, Operation.RESET, Operation.FORM, Operation.PULSE_MASK),
                *(Operation.BP, Operation.BATCH_TRAINING),
            ]
        )
        if rng.random() < 0.5:
            made.append(start(operation))
        else:
            # the published way: OPERATION, and the START bit in the next word
            bit = register("START").field("start").mask
            word = bit if rng.random() < 0.8 else 0
            made.append(write_registers(register("OPERATION").address, [operation, word]))
    return made


def _pulse_word(rng: random.Random) -> Transaction:
    name = rng.choice(["PERIOD1", "PERIOD2", "NUMBER1", "NUMBER2"])
    place = rng.choice([0, 8, 16])
    codes = [2, 5, 7, 8, 9, 10, 11, 12, 15, 16, 19, 20, 29, 30, 39, 40, 99, 100, 180, 255]
    word = sum(rng.choice(codes) << shift for shift in (0, 8, 16))
    mask = rng.choice([0xFFFFFF, 0xFF << place])
    return write_registers(register(name).address, [word], mask=mask)


def _cells(rng: random.Random) -> Transaction:
    """Columns of array 2, which has twenty, or of array 1."""
    words = [rng.choice([0, 0xFFFFF, 0x55555, 0xAAAAA, 0xF, rng.getrandbits(20)]), 0, 0, 0]
    if rng.random() < 0.4:
        words = [rng.choice([0, 0xFFFFFFFF, 0x55555555, rng.getrandbits(32)]) for _ in range(3)]
        words.append(rng.choice([0, 0xF]))
    return write_registers(register("COLUMNS0").address, words)


def _mode(rng: random.Random) -> Transaction:
    return write_registers(register("MODE").address, [rng.getrandbits(1)], mask=1)


def _bp(rng: random.Random) -> Transaction:
    name = rng.choice(["BP_ARRAY1", "BP_ARRAY2", "LAYERS", "UPDATE_PULSES"])
    word = {
        "LAYERS": rng.getrandbits(2),
        "UPDATE_PULSES": rng.choice([1, 5, 15]) | rng.choice([1, 8, 9, 12, 13, 15]) << 8,
    }.get(name)
    if word is None:
        fields = register(name).fields
        word = 0
        for field in fields:
            most = 1 if field.name.endswith("_kind") else 15
            word |= rng.randint(0, most) << field.low
    return write_registers(register(name).address, [word])


def _mask(rng: random.Random) -> Transaction:
    if rng.random() < 0.5:
        return write_registers(register("MASK_KIND").address, [rng.randint(0, 2), MASK_AT])
    array = rng.choice([ARRAY1, ARRAY2])
    mask = np.zeros(array.shape, np.bool_)
    mask[rng.randint(0, 1), rng.randrange(array.inputs), : rng.randint(0, array.outputs)] = True
    return write_memory(MASK_AT, pack_mask(mask))


def _rail(rng: random.Random) -> Transaction:
    index = rng.choice(RAILS)
    codes = {"VBLset": (70, 80, 90, 99), "VSLreset": (45, 49, 70, 88), "VBLform": (200, 222, 236)}
    name = next(name for name in codes if supply(name).index == index)
    return set_supply(index, rng.choice(codes[name]))


@pytest.mark.parametrize("seed", range(6))
def test_what_the_guard_lets_pass_the_firmware_lets_pass_and_the_other_way_round(seed: int) -> None:
    board, guard = limited_bench()
    rng = random.Random(seed)
    decided: Counter[str] = Counter()
    for _ in range(250):
        transactions = commands(rng)
        if rng.random() < 0.1:
            board.execute([emulator({"advance_s": 1.0})])  # so that pace is never what decides
            guard.forget()
        refusal = ""
        with guard.forming():
            try:
                guard.admit(transactions)
            except Unsafe as error:
                refusal = str(error)
        results = board.execute(transactions)
        told = results[-1].message
        if results[-1].status == Status.RANGE:
            # columns that array 2 does not have: no pulse either
            guard.forget()
        elif refusal:
            assert (results[-1].status, told) == (Status.INTERLOCK, refusal)
            guard.forget()
        else:
            assert results[-1].status != Status.INTERLOCK, told
            if len(results) < len(transactions) or results[-1].status != Status.OK:
                guard.forget()
        decided["refused" if refusal else "sent"] += 1
        decided[told.split(" on ")[0].rsplit(" ", 2)[0]] += bool(refusal)
    assert decided["refused"] > 30
    assert decided["sent"] > 30


class Asked:
    """A board that is asked, and how often."""

    def __init__(self, board: EmulatedBoard) -> None:
        self.board = board
        self.asked = 0

    def __call__(self, transactions: Sequence[Transaction]) -> Sequence[Result]:
        self.asked += 1
        return self.board.execute(transactions)


def wide(count: int = 255) -> Transaction:
    return write_registers(register("PERIOD1").address, [count])


def test_a_dry_run_teaches_the_guard_nothing(bench: Bench) -> None:
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(SafeArea.shipped(), bench.emulated.execute)
    guard.admit([start(Operation.SET)])
    with pytest.raises(Unsafe):
        guard.admit([wide(), start(Operation.SET)], dry_run=True)
    guard.admit([wide(), set_supply(6, 60)], dry_run=True)  # is not done, so nothing is wide
    guard.admit([start(Operation.SET)])
    guard.admit([wide()])
    with pytest.raises(Unsafe):
        guard.admit([start(Operation.SET)])


def test_a_command_that_was_refused_teaches_the_guard_nothing(bench: Bench) -> None:
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(SafeArea.shipped(), bench.emulated.execute)
    guard.admit([start(Operation.SET)])
    with pytest.raises(Unsafe):
        guard.admit([wide(), start(Operation.SET)])
    guard.admit([start(Operation.SET)])


def test_the_guard_asks_once_and_again_when_it_cannot_know(bench: Bench) -> None:
    bench.emulated.execute([ARRAY1_SELECTED])
    read = Asked(bench.emulated)
    guard = Guard(SafeArea.shipped(), read)
    guard.admit([wide(5), set_supply(6, 70)])
    assert read.asked == 0  # nothing starts: nobody needs to know
    for _ in range(3):
        guard.admit([start(Operation.SET)])
    assert read.asked == 1
    guard.admit([emulator({"restart": True})])
    guard.admit([start(Operation.SET)])
    assert read.asked == 2
    guard.forget()
    guard.admit([write_registers(register("OPERATION").address, [Operation.SET, 8])])
    assert read.asked == 3


@pytest.mark.parametrize("knows", [False, True])
def test_a_supply_is_judged_whether_or_not_the_board_was_asked_before(
    bench: Bench, knows: bool
) -> None:
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(SafeArea.shipped(), bench.emulated.execute)
    if knows:
        guard.admit([start(Operation.SET)])
    with pytest.raises(LimitExceeded, match=r"VBLset 2624\.6 mV is above the 2600 mV limit"):
        guard.admit([set_supply(5, 222), set_supply(6, 101)])
    guard.admit([set_supply(6, 100)])
    bench.emulated.execute([set_supply(6, 100)])
    with pytest.raises(Unsafe, match="SET energy"):  # 2605 mV for 4 us
        guard.admit([wide(79), start(Operation.SET)])


def test_a_rail_that_is_off_is_the_boards_to_refuse() -> None:
    bench = Bench(Specimen(seed=1), up=False)
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(SafeArea.shipped(), bench.emulated.execute)
    guard.admit([start(Operation.SET)])
    assert bench.emulated.execute([start(Operation.SET)])[-1].status == Status.NOT_READY
    with pytest.raises(Unsafe, match="SET width 12800 ns"):
        guard.admit([wide(), start(Operation.SET)])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([0x55555, 0, 0, 0], "SET row current 0.442 mA"),  # ten "+" cells
        ([0xAAAAA, 0, 0, 0], "SET row current 0.442 mA"),  # ten "-" cells
        ([0xFFFFF, 0, 0, 0], "SET row current 0.442 mA"),  # ten of each: they follow one another
        ([0xAA, 0, 0, 0], ""),
        ([0x555, 0, 0, 0], "SET row current 0.265 mA"),  # six, and none of the other kind
        ([0xAAA, 0, 0, 0], "SET row current 0.265 mA"),
    ],
)
def test_the_columns_of_array_2_are_counted_by_polarity(columns: list[int], message: str) -> None:
    board, guard = limited_bench()
    transactions = [
        write_registers(register("MODE").address, [0], mask=1),
        write_registers(register("COLUMNS0").address, columns),
        write_registers(register("CELL").address, [0x101], mask=0x101),
        write_registers(register("PERIOD2").address, [3], mask=0xFF),
        start(Operation.SET),
    ]
    if message:
        with pytest.raises(Unsafe, match=message):
            guard.admit(transactions)
        assert message in board.execute(transactions)[-1].message
    else:
        guard.admit(transactions)
        assert board.execute(transactions)[-1].status == Status.OK


@pytest.mark.parametrize(
    ("written", "cells"),
    [
        ([(0, b"\xff" * 250)], 10),
        ([(-5, b"\xff" * 300)], 10),  # more than the mask, from before it on
        ([(0, b"\xff" * 250), (0, bytes(250))], 0),  # the last one counts
        ([(0, bytes(250)), (2, b"\xff")], 4),  # within it: of two rows
        ([(3, b"\x0f")], 2),  # the rest is what memory holds: nothing
        ([(-1, b"\xff\xfc")], 6),  # its first byte, and one before it
        ([(249, b"\x1f\xff")], 5),  # its last byte, and one behind it
        ([(250, b"\xff" * 9), (-9, b"\xff" * 9)], 0),
    ],
)
def test_a_mask_is_what_memory_holds_after_the_writes_of_its_own_command(
    written: list[tuple[int, bytes]], cells: int
) -> None:
    for limit in (cells, cells - 1):
        if limit < 0:
            continue
        # 44.2 uA a cell
        area = SafeArea.of({"pulses": {"array2": {"set": {"row_ma": 0.0443 * limit or 0.001}}}})
        board = EmulatedBoard(Specimen(seed=1), serial="bench", rng=random.Random(1), area=area)
        Board(_Direct(board), area).bring_up()
        guard = Guard(area, board.execute)
        transactions = [
            write_registers(register("MODE").address, [0], mask=1),
            write_registers(register("MASK_KIND").address, [0, MASK_AT]),
            *(write_memory(MASK_AT + offset, data) for offset, data in written),
            start(Operation.PULSE_MASK),
        ]
        if limit == cells:
            guard.admit(transactions)
            assert board.execute(transactions)[-1].status == Status.OK
        else:
            with pytest.raises(Unsafe, match="SET row current"):
                guard.admit(transactions)
            assert board.execute(transactions)[-1].status == Status.INTERLOCK


def test_forming_is_allowed_within_its_block_and_nowhere_else(bench: Bench) -> None:
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(SafeArea.shipped(), bench.emulated.execute)
    form = [start(Operation.FORM)]
    with guard.forming(), guard.forming():
        guard.admit(form)
    with pytest.raises(BadArgument):
        guard.admit(form)
    with pytest.raises(KeyError), guard.forming():
        raise KeyError
    with pytest.raises(BadArgument):
        guard.admit(form)


def test_each_way_of_starting_is_seen(bench: Bench) -> None:
    """Writes that end before START, or hit it with a mask that spares its bit, start nothing."""
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(SafeArea.shipped(), bench.emulated.execute)
    operation = register("OPERATION").address
    bench.emulated.execute([wide()])
    starts = write_registers(operation, [Operation.SET, 8])
    with pytest.raises(Unsafe):
        guard.admit([starts])
    guard.admit([write_registers(operation, [Operation.SET])])
    with pytest.raises(Unsafe):
        guard.admit([write_registers(register("START").address, [8])])
    guard.admit([write_registers(operation, [Operation.SET, 8], mask=0xFFFFFFF7)])
    guard.admit([write_registers(operation, [Operation.SET, 0xFFFFFFF7])])
    guard.admit([write_registers(register("START").address + 4, [8])])
    with pytest.raises(Unsafe):
        guard.admit([write_registers(register("START").address, [0xFFFFFFFF])])


def test_a_chip_is_guarded_by_what_its_rails_were_measured_to_give() -> None:
    """A guard that is told that VBLset gives a tenth more finds less room."""
    bench = Bench(Specimen(seed=1))
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(
        SafeArea.shipped(),
        bench.emulated.execute,
        value=lambda name, code: supply(name).value(code) * (1.1 if name == "VBLset" else 1.0),
    )
    # 2209 mV, 20 uS: 97.7 pJ a microsecond; a fifth more at a tenth more voltage
    guard.admit([wide(80), start(Operation.SET)])
    with pytest.raises(Unsafe, match="SET energy"):
        guard.admit([wide(90), start(Operation.SET)])
    nominal = Guard(SafeArea.shipped(), bench.emulated.execute)
    nominal.admit([wide(90), start(Operation.SET)])


def test_what_is_no_pulse_is_not_judged(bench: Bench) -> None:
    bench.emulated.execute([ARRAY1_SELECTED])
    guard = Guard(SafeArea.shipped(), bench.emulated.execute)
    guard.admit([wide(), start(Operation.READ)])
    guard.admit([start(Operation.INFERENCE), Transaction(Opcode.START, 0, b"\x00")])
