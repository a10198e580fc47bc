"""When an ABORT may be sent for one command, with others under way."""

import pytest

from starlab_host.errors import SessionEnded
from starlab_host.session.outstanding import Outstanding
from starlab_host.session.waiting import Waiter
from starlab_spec.operations import Operation
from starlab_spec.supplies import supply
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import BoardStatus, Event, EventKind, HelloAck
from starlab_spec.wire.requester.events import Opened, Replied, Reported, StatusCame
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


def test_who_has_a_reply_is_not_given_news_of_others() -> None:
    waiting = Outstanding()
    one, other = joined(waiting, 1, PULSES), joined(waiting, 2, PULSES)
    waiting.take(Reported(2, Event(EventKind.PROGRESS, 1, 9, "row")))
    assert (one.news, len(other.news)) == ([], 1)
    assert (one.stirred, other.stirred) == (False, True)
    # no progress, or of a command that nobody waits for
    waiting.take(Reported(1, Event(EventKind.FAULT, 0, 0, "over-current")))
    waiting.take(Reported(7, Event(EventKind.PROGRESS, 1, 9, "row")))
    assert (one.news, one.stirred) == ([], False)


@pytest.mark.parametrize(
    ("answered", "told"), [(1, [True, False]), (2, [True, True]), (0, [True, True])]
)
def test_a_status_is_for_those_who_asked_by_then(answered: int, told: list[bool]) -> None:
    waiting = Outstanding()
    asking = [Waiter(), Waiter()]
    for number, waiter in enumerate(asking, start=1):
        waiter.request = number
        waiting.join(waiter)
    command = joined(waiting, 1, PULSES)
    status = BoardStatus(1)
    waiting.take(StatusCame(status, answered))
    assert [waiter.outcome is status for waiter in asking] == told
    assert not command.stirred


def test_all_are_stirred_when_the_session_opens_and_told_when_it_ends() -> None:
    waiting = Outstanding()
    one, other = joined(waiting, 4, PULSES), Waiter()
    waiting.join(other)
    waiting.take(Opened(HelloAck(1, 1, window=1)))
    assert (one.stirred, other.stirred, one.outcome) == (True, True, None)
    waiting.fail(lambda number: SessionEnded(f"message {number}"))
    assert [str(waiter.outcome) for waiter in (one, other)] == ["message 4", "message None"]


def test_who_leaves_is_forgotten_and_lets_another_one_lead() -> None:
    waiting = Outstanding()
    one, two, three = (joined(waiting, number, INFERENCE) for number in (1, 2, 3))
    two.stir()
    waiting.leave(one)
    assert len(waiting) == 2
    assert list(waiting.asked) == [2, 3]
    # the second one is awake already
    assert not three.wake.locked()
    assert not three.stirred
    waiting.leave(two)
    waiting.leave(three)
    assert (len(waiting), waiting.asked) == (0, {})


def test_one_thread_at_a_time_is_roused_to_lead() -> None:
    waiting = Outstanding()
    first, second = joined(waiting, 1, PULSES), joined(waiting, 2, PULSES)
    waiting.rouse_another()
    assert (first.wake.locked(), second.wake.locked()) == (False, True)
