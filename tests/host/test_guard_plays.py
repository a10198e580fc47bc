"""A host that plays masks and batches row by row: what registers may hold while it does."""

import pytest
from tests.host.bench import Bench

from starlab_host.board.guard import Guard
from starlab_spec import Unsafe
from starlab_spec.operations import Operation
from starlab_spec.registers import register
from starlab_spec.safe_area import SafeArea
from starlab_spec.wire.transactions import Transaction, start, write_registers

START = write_registers(register("START").address, [8])


def word(name: str, *values: int, mask: int = 0xFFFFFFFF) -> Transaction:
    return write_registers(register(name).address, values, mask=mask)


def wide(array: int, place: int) -> Transaction:
    return word(f"PERIOD{array}", 0xFF << 8 * place, mask=0xFF << 8 * place)


def place_of(kind: str) -> int:
    return register("PERIOD1").field(f"{kind}_period").low // 8


@pytest.fixture
def guard(bench: Bench) -> Guard:
    bench.emulated.execute([word("MODE", 1, mask=1)])
    return Guard(SafeArea.shipped(), bench.emulated.execute, is_played=True)


@pytest.mark.parametrize(("number", "kind"), [(0, "set"), (1, "reset")])
def test_after_a_mask_the_operation_is_that_of_its_kind(
    guard: Guard, number: int, kind: str
) -> None:
    mask = [word("MASK_KIND", number, 0x2000), start(Operation.PULSE_MASK)]
    other = "reset" if kind == "set" else "set"
    guard.admit([*mask, wide(1, place_of(other)), START])
    with pytest.raises(Unsafe, match=f"{kind.upper()} width 12800 ns on array 1"):
        guard.admit([*mask, wide(1, place_of(kind)), START])


def test_after_a_mask_or_a_whole_array_all_columns_may_be_selected(bench: Bench) -> None:
    area = SafeArea.of({"pulses": {"array1": {"set": {"row_ma": 2}}}})
    guard = Guard(area, bench.emulated.execute, is_played=True)
    one = [word("MODE", 1, mask=1), word("COLUMNS0", 1, 0, 0, 0)]
    guard.admit([*one, start(Operation.SET)])
    guard.forget()
    with pytest.raises(Unsafe, match="SET row current"):
        guard.admit([*one, start(Operation.READ_ARRAY), start(Operation.SET)])
    plain = Guard(area, bench.emulated.execute)
    plain.admit([*one, start(Operation.READ_ARRAY), start(Operation.SET)])


@pytest.mark.parametrize(
    ("layers", "array", "kind", "is_judged"),
    [
        (1, 1, "set", True),
        (1, 1, "reset", True),
        (2, 1, "set", False),
        (2, 2, "reset", True),
        (1, 2, "set", False),
        (3, 2, "set", True),
    ],
)
def test_after_a_batch_the_step_is_that_of_the_layers_that_learn(
    guard: Guard, layers: int, array: int, kind: str, is_judged: bool
) -> None:
    batch = [
        word("LAYERS", layers),
        word("UPDATE_PULSES", 3 << 8 | 2),
        start(Operation.BATCH_TRAINING),
        wide(array, place_of(kind)),
        START,
    ]
    if is_judged:
        with pytest.raises(Unsafe, match=f"{kind.upper()} width 12800 ns on array {array}"):
            guard.admit(batch)
    else:
        guard.admit(batch)


def test_after_what_was_played_the_board_is_asked_anew(bench: Bench) -> None:
    asked = []

    def read(transactions: list[Transaction]) -> object:
        asked.append(len(transactions))
        return bench.emulated.execute(transactions)

    guard = Guard(SafeArea.shipped(), read, is_played=True)  # type: ignore[arg-type]
    for _ in range(3):
        guard.admit([word("MODE", 1, mask=1), start(Operation.SET)])
    assert len(asked) == 1
    guard.admit([word("LAYERS", 1), start(Operation.BATCH_TRAINING)])
    guard.admit([start(Operation.SET)])
    assert len(asked) == 2
