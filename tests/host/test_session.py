"""Commands of many threads through one session, and what they are told when it ends."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.host.link_bench import LONG, Clock, NotingBoard, PatientLink

from starlab_host.errors import (
    BoardAway,
    HandshakeRefused,
    LinkError,
    LinkLost,
    OutcomeUnknown,
    SessionEnded,
)
from starlab_host.links import MemoryLink, MemoryNetwork
from starlab_host.session.session import Session
from starlab_host.session.waiting import Progress
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.codec import decode_frame
from starlab_spec.wire.frames import BoardState, FrameType
from starlab_spec.wire.transactions import Result, Status


@pytest.fixture
def board() -> NotingBoard:
    return NotingBoard()


@pytest.fixture
def session(board: NotingBoard) -> Iterator[Session]:
    """A session in real time over a perfect network."""
    link = MemoryLink(board, clock=time.monotonic)
    with Session.open(link, client_name="test", rng=random.Random(1)) as opened:
        yield opened


class Bench:
    """A session whose time passes only while it waits."""

    def __init__(self, board: NotingBoard, window: int = 32) -> None:
        self.clock = Clock()
        self.memory = MemoryLink(board, clock=self.clock)
        self.link = PatientLink(self.memory, self.clock)
        self.session = Session.open(
            self.link,
            client_name="test",
            window=window,
            clock=self.clock,
            rng=random.Random(1),
        )


@pytest.fixture
def bench(board: NotingBoard) -> Iterator[Bench]:
    made = Bench(board)
    yield made
    made.session.close()


def test_a_command_returns_its_results(session: Session, board: NotingBoard) -> None:
    assert session.execute([tr.start(5), tr.read_memory(0, 3)]) == [
        Result(tr.Opcode.START, Status.OK),
        Result(tr.Opcode.READ_MEM, Status.OK, 0, bytes(3)),
    ]
    assert board.executed == [5]


def test_a_failed_command_is_returned_not_raised(session: Session, board: NotingBoard) -> None:
    results = session.execute([tr.start(1), tr.set_supply(6, 255), tr.start(2)])
    assert [result.status for result in results] == [Status.OK, Status.INTERLOCK]
    assert results[-1].message == "VBLset 3300 mV is above the 2600 mV limit"
    assert board.executed == [1]


def test_a_dry_run_and_a_read_reach_the_board_as_such(session: Session, board: NotingBoard) -> None:
    session.execute([tr.start(1)], dry_run=True)
    assert board.executed == []
    (result,) = session.execute([tr.start(1)], read_only=True)
    assert result.status == Status.BAD_REQUEST


def test_the_session_knows_the_board(session: Session, board: NotingBoard) -> None:
    assert session.identity == {"serial": "NOTE-1"}
    assert session.boot_id == 0xB007
    assert session.granted.next_message_id == 1
    board.lifetime_pulses = 12
    status = session.status()
    assert (status.state, status.lifetime_pulses) == (BoardState.IDLE, 12)


def test_progress_is_told_on_the_callers_thread(session: Session, board: NotingBoard) -> None:
    board.news = [(1, 10, "row"), (2, 10, "row")]
    board.release.set()
    told = []
    session.execute(
        [tr.start(LONG)],
        on_progress=lambda progress: told.append((progress, threading.current_thread())),
    )
    assert told == [(Progress(done, 10, "row"), threading.current_thread()) for done in (1, 2)]


def test_an_error_in_the_progress_callback_leaves_the_session_usable(
    session: Session, board: NotingBoard
) -> None:
    board.news = [(1, 10, "row")]
    board.release.set()

    def fail(progress: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.execute([tr.start(LONG)], on_progress=fail)
    session.execute([tr.start(3)])
    assert board.executed == [3]


@pytest.mark.parametrize(
    "network",
    [
        MemoryNetwork(),
        MemoryNetwork(loss=0.1, duplication=0.1, reordering=0.2, seed=5),
    ],
)
def test_commands_of_many_threads_are_executed_once_each(
    board: NotingBoard, network: MemoryNetwork
) -> None:
    link = MemoryLink(board, clock=time.monotonic, network=network)
    with (
        Session.open(link, client_name="test", rng=random.Random(1)) as session,
        ThreadPoolExecutor(8) as pool,
    ):
        results = list(pool.map(lambda n: session.execute([tr.start(n)]), range(200)))
    assert all(result.status == Status.OK for (result,) in results)
    assert sorted(board.executed) == list(range(200))


def test_an_abort_of_another_thread_stops_a_long_command_and_what_waits(
    session: Session, board: NotingBoard
) -> None:
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(session.execute, [tr.start(LONG)])
        assert board.running.wait(10)
        waiting = pool.submit(session.execute, [tr.start(1)])
        while len(session._outstanding.asked) < 2:
            time.sleep(0)
        session.abort()
        assert [r.status for r in long.result(10)] == [Status.ABORTED]
        assert [r.status for r in waiting.result(10)] == [Status.ABORTED]
    session.execute([tr.start(2)])
    assert board.executed == [2]


def test_a_thread_whose_leader_has_gone_reads_the_link_itself(
    session: Session, board: NotingBoard
) -> None:
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(session.execute, [tr.start(LONG)])
        assert board.running.wait(10)
        # the other thread leads, and is busy inside of the board; this one follows
        timer = threading.Timer(0.01, board.release.set)
        timer.start()
        session.execute([tr.start(1)])
        assert [r.status for r in long.result(10)] == [Status.OK]
        timer.join()
    assert board.executed == [1]


# ---- ends


def test_a_read_that_is_not_answered_is_a_lost_link(bench: Bench) -> None:
    bench.link.cut = True
    with pytest.raises(LinkLost) as caught:
        bench.session.execute([tr.read_registers(0x40)], read_only=True)
    text = str(caught.value)
    assert text.startswith("message 1 (READ_REG 0x40) has no reply after ")
    assert text.endswith(
        " s, the request was not acknowledged: the board does not answer "
        "(8 timeouts of the oldest frame, 5 STATUS_REQUEST unanswered)"
    )
    assert bench.session.is_closed


def test_a_pulse_that_is_not_answered_has_an_unknown_outcome(
    bench: Bench, board: NotingBoard
) -> None:
    bench.session.status()
    bench.session.execute([tr.start(1)])
    bench.link.deaf = True
    with pytest.raises(OutcomeUnknown) as caught:
        bench.session.execute([tr.write_registers(0x2C, [1]), tr.start(1 << 18)])
    assert caught.value.commands == ((2, "WRITE_REG 0x2C, START 0x40000"),)
    text = str(caught.value)
    assert text.startswith("message 2 (WRITE_REG 0x2C, START 0x40000) has no reply after ")
    assert "the request was not acknowledged: the board does not answer (8 timeouts of" in text
    assert text.endswith(
        "; last status: IDLE, next message 1, executing none. It may have been executed: read back"
    )
    assert board.executed == [1, 1 << 18]


def test_after_a_restart_of_the_board_pulses_are_in_doubt_and_reads_are_not(
    bench: Bench, board: NotingBoard
) -> None:
    def restart() -> None:
        board.boot_id = 0xB008
        bench.memory.responder.shut_down(bench.clock())

    bench.link.before_receive = restart
    with pytest.raises(OutcomeUnknown) as caught:
        bench.session.execute([tr.start(1)])
    assert "the board restarted (boot id 0x0000B007 is now 0x0000B008)" in str(caught.value)
    with pytest.raises(SessionEnded, match="the board restarted"):
        bench.session.execute([tr.start(1)])
    assert board.executed == []


def test_a_session_that_a_newer_lease_took_over_says_so(bench: Bench) -> None:
    other = PatientLink(bench.memory, bench.clock)
    Session.open(other, client_name="newer", lease_epoch=1, clock=bench.clock).close()
    with pytest.raises(LinkError) as caught:
        bench.session.execute([tr.read_registers(0)], read_only=True)
    assert "the session was closed for 'newer' with lease epoch 1" in str(caught.value)


def test_closing_says_bye_and_ends_everything(board: NotingBoard) -> None:
    bench = Bench(board)
    bench.session.close()
    assert decode_frame(bench.link.sent[-1]).type == FrameType.BYE
    assert bench.link.closed
    assert not bench.memory.responder.in_use
    bench.session.close()
    with pytest.raises(SessionEnded, match=r"^closed by this host$"):
        bench.session.execute([tr.start(1)])
    with pytest.raises(SessionEnded):
        bench.session.status()


def test_closing_tells_the_commands_of_other_threads(session: Session, board: NotingBoard) -> None:
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(session.execute, [tr.start(LONG)])
        assert board.running.wait(10)
        session.close()
        with pytest.raises(OutcomeUnknown, match="closed by this host"):
            long.result(10)


def test_nobody_there_is_a_board_away(board: NotingBoard) -> None:
    clock = Clock()
    link = PatientLink(MemoryLink(board, clock=clock), clock)
    link.cut = True
    with pytest.raises(BoardAway, match=r"^nobody answers: no answer to 8 HELLO$"):
        Session.open(link, client_name="test", clock=clock)
    assert link.closed


def test_a_refused_handshake_says_what_was_asked_and_the_limit(board: NotingBoard) -> None:
    with pytest.raises(HandshakeRefused) as caught:
        Bench(board, window=0)
    assert str(caught.value) == ("the board refused the session: window 0 is below 1 frame (RANGE)")
    assert caught.value.status == Status.RANGE


def test_a_session_can_be_resumed_by_its_id(bench: Bench, board: NotingBoard) -> None:
    bench.session.execute([tr.start(1)])
    again = PatientLink(bench.memory, bench.clock)
    session_id = bench.session.granted.session_id
    with Session.open(
        again, client_name="risen", resume_session=session_id, clock=bench.clock
    ) as risen:
        assert risen.granted.session_id == session_id
        assert risen.granted.next_message_id == 2
        risen.execute([tr.start(2)])
    assert board.executed == [1, 2]


def test_an_idle_session_keeps_itself_alive(bench: Bench) -> None:
    before = len(bench.link.sent)
    arrived = threading.Event()
    bench.link.before_receive = arrived.set
    bench.clock.now_s += 1.0
    while len(bench.link.sent) == before:
        assert arrived.wait(10)
        arrived.clear()
    assert decode_frame(bench.link.sent[before]).type == FrameType.STATUS_REQUEST


def test_statistics_count_frames_and_round_trips(bench: Bench) -> None:
    for _ in range(3):
        bench.session.execute([tr.start(1)])
    statistics = bench.session.statistics
    assert statistics.counters.frames_sent == 3
    assert statistics.counters.frames_resent == 0
    assert sum(bin.count for bin in statistics.round_trips) == 3
    assert statistics.round_trips[-1].up_to_s is None


# ---- what is done before a command is sent


def test_a_command_is_made_known_before_it_is_sent(session: Session, board: NotingBoard) -> None:
    known: list[tuple[int, bytes, list[int]]] = []
    session.execute([tr.start(1)])
    session.execute(
        [tr.start(2)], before_sending=lambda *what: known.append((*what, list(board.executed)))
    )
    assert known == [(2, tr.encode_transactions([tr.start(2)]), [1])]
    assert board.executed == [1, 2]


def test_a_command_that_cannot_be_made_known_is_not_sent(
    session: Session, board: NotingBoard
) -> None:
    def fail(message_id: int, payload: bytes) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        session.execute([tr.start(1)], before_sending=fail)
    session.execute([tr.start(2)])
    assert board.executed == [2]


def test_an_abort_does_not_wait_for_a_command_that_is_made_known(
    session: Session, board: NotingBoard
) -> None:
    announced: list[int] = []

    def abort_first(message_id: int, payload: bytes) -> None:
        announced.append(message_id)
        if len(announced) == 1:
            session.abort()

    session.execute([tr.start(1)], before_sending=abort_first)
    assert announced == [1, 2]
    assert board.executed == [1]


def test_the_reply_of_a_command_that_was_executed_is_given_again(
    bench: Bench, board: NotingBoard
) -> None:
    done = bench.session.execute([tr.start(1), tr.read_memory(0, 3000)])
    session_id = bench.session.granted.session_id
    again = PatientLink(bench.memory, bench.clock)
    with Session.open(
        again, client_name="risen", resume_session=session_id, clock=bench.clock
    ) as risen:
        assert risen.execute([tr.start(1), tr.read_memory(0, 3000)], again=1) == done
        assert risen.statistics.counters.replies_replayed == 1
    assert board.executed == [1]
