"""What a call's work says of itself, where one part of it alone is so."""

import pytest
from tests.host.bench import Bench

from starlab_host import Done, Work
from starlab_host.board.work import Extent
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.transactions import Status


@pytest.mark.parametrize(
    ("done", "text"),
    [
        (Done(False, 0, None), "nothing"),
        (Done(True, 0, None), "0 pulses"),
        (Done(False, 1234, None), "1,234 pulses"),
        (Done(False, 0, Extent(5, 10, "samples")), "0 pulses, 5 of 10 samples"),
        (Done(True, 7, Extent(2000, 0, "rows")), "7 pulses, 2,000 rows"),
    ],
)
def test_what_was_done_is_one_sentence(done: Done, text: str) -> None:
    assert str(done) == text


@pytest.mark.parametrize(
    ("read_only", "dry_run", "changes"),
    [(False, False, True), (True, False, False), (False, True, False)],
)
def test_pulses_are_counted_from_the_first_command_that_is_to_change_the_chip(
    bench: Bench, read_only: bool, dry_run: bool, changes: bool
) -> None:
    work = Work()
    lowest = tr.set_supply(0, bench.board.supplies()[0].code)
    asked = tr.get_supply(0) if read_only else lowest
    for one in (tr.read_registers(0x18), asked):
        assert work.pulses_before is None
        results = work.execute(
            bench.session, [one], read_only=read_only, dry_run=dry_run, on_progress=lambda _: None
        )
        assert results[-1].status == Status.OK
    assert work.pulses_before == (0 if changes else None)
    assert work.done.changed is changes
