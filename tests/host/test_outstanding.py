"""When an ABORT may be sent for one command, with others under way."""

import pytest

from starlab_host.session.outstanding import Outstanding
from starlab_host.session.waiting import Waiter
from starlab_spec.operations import Operation
from starlab_spec.supplies import supply
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.requester.events import Replied
from starlab_spec.wire.transactions import Transaction

PULSES = tr.start(Operation.SET)
INFERENCE = tr.start(Operation.BATCH_INFERENCE)
HARMFUL = [PULSES, tr.set_supply(supply("VBLset").index, 1), tr.emulator({"restart": True})]
HARMLESS = [INFERENCE, tr.read_registers(0), tr.write_memory(0, b"1"), tr.abort()]


def joined(all_of_them: Outstanding, number: int, asked: Transaction) -> Waiter:
    waiter = Waiter()
    waiter.message_id = number
    all_of_them.join(waiter, [asked])
    return waiter


@pytest.mark.parametrize("other", HARMFUL)
@pytest.mark.parametrize("place", [1, 3])
def test_no_abort_is_sent_while_it_could_hit_what_must_not_be_hit(
    other: Transaction, place: int
) -> None:
    waiting = Outstanding()
    own = joined(waiting, 2, PULSES)
    bystander = joined(waiting, place, other)
    assert not waiting.may_abort(own)
    assert not bystander.was_hit
    assert not own.stirred
    # it is time to ask again when the other one is over
    waiting.leave(bystander)
    assert own.stirred
    assert waiting.may_abort(own)


@pytest.mark.parametrize("other", HARMLESS)
def test_harmless_commands_may_be_hit_and_are_marked(other: Transaction) -> None:
    waiting = Outstanding()
    own, bystander = joined(waiting, 1, PULSES), joined(waiting, 2, other)
    assert waiting.may_abort(own)
    assert bystander.was_hit
    assert not own.was_hit


def test_one_that_has_left_is_not_stirred_any_more() -> None:
    waiting = Outstanding()
    own, bystander = joined(waiting, 1, INFERENCE), joined(waiting, 2, PULSES)
    assert not waiting.may_abort(own)
    waiting.leave(own)
    own.stirred = False
    waiting.leave(bystander)
    assert not own.stirred


def test_a_reply_that_nobody_waits_for_is_forgotten_when_it_has_come() -> None:
    waiting = Outstanding()
    waiting.add_unwatched(4, [tr.abort()])
    assert list(waiting.asked) == [4]
    waiting.take(Replied(4, b"", 0.001))
    assert list(waiting.asked) == []
    waiting.take(Replied(4, b"", 0.001))


def test_a_reply_reaches_its_own_waiter() -> None:
    waiting = Outstanding()
    one, other = joined(waiting, 1, PULSES), joined(waiting, 2, PULSES)
    waiting.take(Replied(2, b"reply", 0.001))
    assert (one.outcome, other.outcome) == (None, b"reply")
