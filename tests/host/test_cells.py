"""What is remembered of cells, and how they are asked for: on the emulated board."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench
from tests.host.chips import images

from starlab_host.chip.cells import ArrayCells
from starlab_host.errors import BoardRefused, NotReady
from starlab_sim import Specimen
from starlab_spec import ARRAY1, ARRAY2
from starlab_spec.wire.transactions import (
    READ_ONLY_OPCODES,
    Opcode,
    Result,
    Status,
    Transaction,
)


def asks_for_formed(transactions: Sequence[Transaction]) -> bool:
    return transactions[0].opcode == Opcode.EMULATOR


def test_what_only_reads_is_sent_as_a_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a journal keeps nothing of it, and a lost answer leaves nothing in doubt."""
    reads: list[bool] = []
    execute = bench.session.execute

    def noted(transactions: Sequence[Transaction], **how: Any) -> list[Result]:
        if {one.opcode for one in transactions} <= READ_ONLY_OPCODES:
            reads.append(how["read_only"])
        return execute(transactions, **how)

    monkeypatch.setattr(bench.session, "execute", noted)
    cells = ArrayCells(bench.board, ARRAY1)
    for read in (
        cells.read_path,
        cells.code_uS,
        bench.board.supplies,
        bench.chip.settings,
        bench.board.counters,
        lambda: bench.board.read_register("TH"),
        lambda: bench.board.read_memory(0, 8),
        lambda: bench.chip.vmm(1, images(3)),
    ):
        reads.clear()
        read()
        assert reads
        assert all(reads)


@pytest.mark.parametrize("status", [Status.BAD_REQUEST, Status.UNSUPPORTED])
def test_a_board_that_keeps_no_record_of_formed_cells_is_read_instead(
    bench: Bench, status: Status
) -> None:
    def refuse(transactions: Sequence[Transaction]) -> None:
        if asks_for_formed(transactions):
            raise BoardRefused(status, "formed?", opcode=Opcode.EMULATOR)

    bench.session.before_execute = refuse
    cells = ArrayCells(bench.board, ARRAY2)
    assert cells.told_formed() is None
    assert cells.read_formed().all()


def test_a_board_that_cannot_tell_now_is_not_taken_for_one_without_a_record(bench: Bench) -> None:
    def refuse(transactions: Sequence[Transaction]) -> None:
        if asks_for_formed(transactions):
            raise NotReady(Status.NOT_READY, "not now")

    bench.session.before_execute = refuse
    cells = ArrayCells(bench.board, ARRAY2)
    for ask in (cells.told_formed, cells.read_formed):
        with pytest.raises(NotReady, match="not now"):
            ask()


def test_what_was_judged_is_remembered_and_not_asked_for_again(bench: Bench) -> None:
    cells = ArrayCells(bench.board, ARRAY2)
    found = cells.judge(dark_too=False)
    np.testing.assert_array_equal(bench.board.formed[2], found.formed)
    sent = len(bench.session.commands)
    cells.require_formed()
    assert len(bench.session.commands) == sent


def test_half_of_the_cells_may_be_virgin_and_one_more_may_not() -> None:
    bench = Bench(Specimen(seed=3))
    cells = ArrayCells(bench.board, ARRAY2)
    bench.board.formed[2] = formed = np.zeros(ARRAY2.shape, np.bool_)
    formed[0] = True
    sent = len(bench.session.commands)
    cells.require_formed()
    assert len(bench.session.commands) == sent
    formed[0, 0, 0] = False
    cells.require_formed()  # asked anew: all of them are
    assert len(bench.session.commands) == sent + 1
    assert bench.board.formed[2].all()
