"""Widths and numbers of pulses are put back, however a call that changed them ended."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tests.host.bench import Bench

from starlab_host import BoardRefused, LinkLost, cell_mask
from starlab_host.chip.cells import ArrayCells
from starlab_spec import ARRAY1, ARRAY2
from starlab_spec.operations import Operation, PulseKind
from starlab_spec.registers import register
from starlab_spec.wire.transactions import Opcode, Status, Transaction

NAMES = ("PERIOD1", "NUMBER1", "PERIOD2", "NUMBER2")
MASK = cell_mask(ARRAY1, [3], [4])


def held(bench: Bench) -> list[int]:
    return list(bench.board.read_registers([register(name).address for name in NAMES]).values())


def failing(bench: Bench, error: BaseException) -> None:
    """The next command that pulses fails, before the board has done anything."""

    def look(command: Sequence[Transaction]) -> None:
        word = Operation.PULSE_MASK.to_bytes(4, "big")
        if any(one.opcode == Opcode.START and one.data == word for one in command):
            bench.session.before_execute = lambda _: None
            raise error

    bench.session.before_execute = look


CALLS: dict[str, Callable[[Bench], object]] = {
    "pulse": lambda bench: bench.chip.pulse(1, PulseKind.SET, MASK, count=300, width_ns=450),
    "program": lambda bench: bench.chip.program(2, np.full(ARRAY2.shape, 15.0)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_leaves_the_settings_as_they_were(
    bench: Bench, call: Callable[[Bench], object]
) -> None:
    before = held(bench)
    call(bench)
    assert held(bench) == before


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BoardRefused(Status.RANGE, "no"), ValueError("a defect")]
)
def test_a_call_that_fails_leaves_them_too(
    bench: Bench, call: Callable[[Bench], object], error: BaseException
) -> None:
    before = held(bench)
    failing(bench, error)
    with pytest.raises(type(error)):
        call(bench)
    assert held(bench) == before


def test_over_a_link_that_has_failed_nothing_more_is_sent(bench: Bench) -> None:
    cells = ArrayCells(bench.board, ARRAY1)
    sent: list[int] = []

    def fail() -> None:
        with cells.restored_pulses():
            sent.append(len(bench.session.commands))
            raise LinkLost("no answer")

    with pytest.raises(LinkLost):
        fail()
    assert [len(bench.session.commands)] == sent
