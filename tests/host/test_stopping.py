"""One command of a session is stopped at its next safe point, and no other."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.host.link_bench import LONG, Clock, NotingBoard, PatientLink

from starlab_host.errors import StopUnconfirmed
from starlab_host.links import MemoryLink
from starlab_host.session.session import Session
from starlab_host.session.waiting import Call, Stop, Waiter
from starlab_spec.operations import Operation
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.codec import decode_frame
from starlab_spec.wire.frames import FrameType
from starlab_spec.wire.transactions import Result, Status

SET = int(Operation.SET)
READ = int(Operation.READ)


@pytest.fixture
def board() -> NotingBoard:
    return NotingBoard()


@pytest.fixture
def session(board: NotingBoard) -> Iterator[Session]:
    link = MemoryLink(board, clock=time.monotonic)
    with Session.open(link, client_name="test", rng=random.Random(1)) as opened:
        yield opened


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def wait_for(session: Session, commands: int) -> None:
    """Until so many commands wait for their reply."""
    while len(session._outstanding.asked) < commands:
        time.sleep(0)


def statuses(future: "Future[list[Result]]") -> list[int]:
    return [result.status for result in future.result(10)]


def test_pulses_of_another_call_that_wait_behind_it_are_never_aborted(
    session: Session, board: NotingBoard, pool: ThreadPoolExecutor
) -> None:
    stop = Stop()
    long = pool.submit(session.execute, [tr.start(LONG)], stop=stop)
    assert board.running.wait(10)
    pulses = pool.submit(session.execute, [tr.start(SET)])
    wait_for(session, 2)
    stop.request()
    board.release.set()
    assert statuses(long) == [Status.OK]
    assert statuses(pulses) == [Status.OK]
    assert board.executed == [SET]


def test_a_command_that_waits_behind_another_call_is_stopped_when_that_is_over(
    session: Session, board: NotingBoard, pool: ThreadPoolExecutor
) -> None:
    first = pool.submit(session.execute, [tr.start(LONG), tr.start(SET)])
    assert board.running.wait(10)
    stop = Stop()
    second = pool.submit(session.execute, [tr.start(LONG)], stop=stop)
    wait_for(session, 2)
    board.running.clear()
    stop.request()
    assert not first.done()
    board.release.set()
    assert statuses(first) == [Status.OK, Status.OK]
    assert statuses(second) in ([Status.ABORTED], [Status.OK])
    assert board.executed == [SET]


def test_a_stop_after_the_end_hits_nobody(
    session: Session, board: NotingBoard, pool: ThreadPoolExecutor
) -> None:
    stop = Stop()
    session.execute([tr.start(SET)], stop=stop)
    long = pool.submit(session.execute, [tr.start(LONG)])
    assert board.running.wait(10)
    stop.request()
    board.release.set()
    assert statuses(long) == [Status.OK]


@pytest.mark.parametrize("seed", range(10))
def test_whenever_the_stop_comes_other_pulses_are_given_once_each(
    session: Session, board: NotingBoard, pool: ThreadPoolExecutor, seed: int
) -> None:
    rng = random.Random(seed)
    stops = [Stop() for _ in range(40)]
    stoppable = [pool.submit(session.execute, [tr.start(READ)], stop=stop) for stop in stops]
    others = [pool.submit(session.execute, [tr.start(SET)]) for _ in range(40)]
    for stop in rng.sample(stops, 40):
        stop.request()
    for future in others:
        assert statuses(future) == [Status.OK]
    for future in stoppable:
        assert statuses(future)[0] in (Status.OK, Status.ABORTED)
    assert board.executed.count(SET) == 40


def test_a_stop_wakes_only_within_its_block() -> None:
    stop, woken = Stop(), threading.Event()
    with stop.waking(woken.set):
        pass
    stop.request()
    assert stop.requested
    assert not woken.is_set()


# ---- an ABORT for one command


def submitted(session: Session, transaction: tr.Transaction) -> Waiter:
    """A command that was sent, whose caller does not read the link yet."""
    waiter = Waiter()
    session._submit(Call([transaction], tr.encode_transactions([transaction])), waiter)
    return waiter


@pytest.fixture
def still() -> Iterator[Session]:
    """A session whose time does not pass and whose board answers nothing yet."""
    clock = Clock()
    link = PatientLink(MemoryLink(NotingBoard(), clock=clock), clock)
    with Session.open(link, client_name="test", clock=clock, rng=random.Random(1)) as opened:
        yield opened


def sent(session: Session) -> list[tuple[int, bytes]]:
    """Message ids and payloads of the commands on the link."""
    link = session._link
    assert isinstance(link, PatientLink)
    frames = [decode_frame(datagram) for datagram in link.sent]
    return [(one.message, one.payload) for one in frames if one.type == FrameType.COMMAND]


ABORT = tr.encode_transactions([tr.abort()])


def test_an_abort_is_sent_at_once_and_its_reply_is_forgotten(still: Session) -> None:
    waiter = submitted(still, tr.start(READ))
    assert still._abort_only(waiter)
    assert sent(still)[-1] == (2, ABORT)
    assert list(still._outstanding.asked) == [1, 2]
    assert still._reply(Call([], b""), waiter)
    still._leave(waiter)
    still.status()
    assert still._outstanding.asked == {}


def test_no_abort_is_sent_for_a_command_that_is_over(still: Session) -> None:
    waiter = submitted(still, tr.start(READ))
    waiter.stir(b"its reply")
    assert still._abort_only(waiter)
    assert len(sent(still)) == 1
    still._leave(waiter)


def test_no_abort_is_sent_once_a_session_is_closing(still: Session) -> None:
    waiter = submitted(still, tr.start(READ))
    with still._lock:
        still._requester.close(0.0)
    assert still._abort_only(waiter)
    assert len(sent(still)) == 1
    still._leave(waiter)


def test_an_abort_that_would_hit_pulses_is_put_off(still: Session) -> None:
    own, pulses = submitted(still, tr.start(READ)), submitted(still, tr.start(SET))
    assert not still._abort_only(own)
    assert [payload for _, payload in sent(still)].count(ABORT) == 0
    still._leave(pulses)
    assert still._abort_only(own)
    assert sent(still)[-1] == (3, ABORT)
    still._leave(own)


def test_nobody_is_kept_who_waits_no_longer(still: Session) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    still.execute([tr.start(SET)])
    still.status()
    still.abort()
    with pytest.raises(StopUnconfirmed):
        still.emergency_stop(0.5)
    with pytest.raises(ZeroDivisionError):
        still.execute([tr.start(SET)], before_sending=fail)
    assert (len(still._outstanding), still._outstanding.asked) == (0, {})
    still.close()
    assert len(still._outstanding) == 0
