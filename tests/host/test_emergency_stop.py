"""Emergency stops: they wait for no other call, and say what the board has not confirmed."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.host.link_bench import LONG, Clock, NotingBoard, PatientLink

from starlab_host.errors import JournalError, SessionEnded, StopUnconfirmed
from starlab_host.journal.entries import EntryState
from starlab_host.journal.journal import Journal
from starlab_host.journal.journaled_session import JournaledSession
from starlab_host.links import MemoryLink
from starlab_host.session.session import LAST_MESSAGE_ID, Session
from starlab_host.session.stopping import STOP, STOP_TIMEOUT_S, confirmed, fault_names
from starlab_host.session.waiting import Stopped
from starlab_spec.registers import register
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.transactions import Opcode, Result, Status

FOR_EVER_S = 250.0


class LatchingBoard(NotingBoard):
    """Has a register FAULTS, and the one that latches."""

    def execute(self, transactions: Any, **how: Any) -> list[Result]:
        results = super().execute(transactions, **how)
        for number, (opcode, address, data, _) in enumerate(transactions[: len(results)]):
            if opcode == Opcode.WRITE_REG and address == register("FAULT_SET").address:
                self.faults |= int.from_bytes(data[4:8], "big")
            elif opcode == Opcode.READ_REG:
                word = self.faults.to_bytes(4, "big")
                results[number] = Result(opcode, Status.OK, address, word)
        return results


@pytest.fixture
def board() -> LatchingBoard:
    return LatchingBoard()


@pytest.fixture
def session(board: LatchingBoard) -> Iterator[Session]:
    """A session in real time over a perfect network."""
    link = MemoryLink(board, clock=time.monotonic)
    with Session.open(link, client_name="test", rng=random.Random(1)) as opened:
        yield opened
        board.release.set()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "board.journal") as opened:
        yield opened


def test_a_stop_latches_and_tells_what_is_latched(session: Session, board: LatchingBoard) -> None:
    assert fault_names(session.emergency_stop(FOR_EVER_S).faults) == ("emergency_stop",)
    assert board.faults == 8


def test_a_stop_ends_what_runs_and_what_waits(session: Session, board: LatchingBoard) -> None:
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(session.execute, [tr.start(LONG)])
        assert board.running.wait(FOR_EVER_S)
        waiting = pool.submit(session.execute, [tr.start(1)])
        while session.statistics.counters.frames_sent < 2:
            pass
        session.emergency_stop(FOR_EVER_S)
        assert running.result()[-1].status == Status.ABORTED
        assert waiting.result()[-1].status == Status.ABORTED
    assert board.executed == []


def test_a_stop_does_not_wait_for_a_command_that_is_being_written_down(
    session: Session, board: LatchingBoard
) -> None:
    writing, written = threading.Event(), threading.Event()

    def write_down(message_id: int, payload: bytes) -> None:
        writing.set()
        assert written.wait(FOR_EVER_S)

    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(session.execute, [tr.start(1)], before_sending=write_down)
        assert writing.wait(FOR_EVER_S)
        assert session.emergency_stop(FOR_EVER_S).message_id == 1
        assert not stuck.done()
        written.set()
        stuck.result()


def test_a_stop_that_the_board_does_not_confirm_ends_in_time_and_says_so() -> None:
    clock = Clock()
    board = LatchingBoard()
    link = PatientLink(MemoryLink(board, clock=clock), clock)
    session = Session.open(link, client_name="test", clock=clock, rng=random.Random(1))
    link.deaf = True
    began_s = clock()
    with pytest.raises(StopUnconfirmed, match="the board has not confirmed it within"):
        session.emergency_stop(0.5)
    assert 0.5 <= clock() - began_s < 0.6
    assert board.faults == 8
    link.deaf = False
    session.close()


def test_a_stop_ends_in_time_while_the_thread_that_reads_the_link_is_held_up(
    session: Session, board: LatchingBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_up = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Result]:
        held_up.set()
        assert board.release.wait(FOR_EVER_S)
        return [Result(Opcode.START, Status.OK, 0, bytes(8))]

    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as hanging:
        hanging.setattr(board, "execute", hang)
        stuck = pool.submit(session.execute, [tr.start(LONG)])
        assert held_up.wait(FOR_EVER_S)
        with pytest.raises(StopUnconfirmed):
            session.emergency_stop(0.05)
        board.release.set()
        stuck.result()


def test_a_board_that_does_not_latch_has_not_confirmed(session: Session) -> None:
    silent = NotingBoard()
    link = MemoryLink(silent, clock=time.monotonic)
    with (
        Session.open(link, client_name="test", rng=random.Random(1)) as opened,
        pytest.raises(StopUnconfirmed, match="says that no emergency stop is latched"),
    ):
        opened.emergency_stop(FOR_EVER_S)


def test_a_stop_of_a_session_that_is_over_is_not_confirmed(session: Session) -> None:
    session.close()
    with pytest.raises(StopUnconfirmed, match="closed by this host"):
        session.emergency_stop(FOR_EVER_S)


def test_a_stop_is_journaled_once_it_is_done(session: Session, journal: Journal) -> None:
    journaled = JournaledSession.open(lambda _: session, journal)
    with journal.noted("POST /emergency-stop"):
        assert journaled.emergency_stop(FOR_EVER_S).unjournaled == ""
    assert journaled._noting is not None
    journaled._noting.join()
    (entry,) = journal.newest()
    assert (entry.note, entry.message_id) == ("POST /emergency-stop", 1)
    assert (entry.state, entry.status, entry.executed) == (EntryState.DONE, Status.OK, 3)
    assert entry.description == "ABORT, WRITE_REG 0x1C4, READ_REG 0x1C0"


def test_a_full_disk_is_no_reason_not_to_stop(
    session: Session, board: LatchingBoard, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journaled = JournaledSession.open(lambda _: session, journal)

    def full(*_: object) -> int:
        raise JournalError("database or disk is full")

    monkeypatch.setattr(journal, "write", full)
    assert journaled.emergency_stop(FOR_EVER_S).unjournaled == "database or disk is full"
    assert board.faults == 8


def test_a_disk_that_hangs_is_no_reason_not_to_stop(
    session: Session, board: LatchingBoard, journal: Journal
) -> None:
    journaled = JournaledSession.open(lambda _: session, journal)
    with journal._lock:  # as a thread within fsync holds it
        for _ in range(2):
            stopped = journaled.emergency_stop(0.3)
            assert stopped.unjournaled.endswith("it takes nothing down at the moment")
        # one thread waits for the disk, and does not keep the process from ending
        (stuck,) = (one for one in threading.enumerate() if one.name == "stop-journal")
        assert stuck.daemon
    stuck.join()
    assert board.faults == 8
    assert len(journal.newest()) == 1


@pytest.mark.parametrize(("took_s", "left_s"), [(0.2, 0.3), (0.5, 0.0), (0.9, 0.0)])
def test_the_journal_gets_what_is_left_of_the_time(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, took_s: float, left_s: float
) -> None:
    clock = Clock()

    class Confirming:
        def emergency_stop(self, timeout_s: float) -> Stopped:
            assert timeout_s == 0.5
            clock.now_s += took_s
            return Stopped(8, 3)

    journaled = JournaledSession(Confirming(), journal)  # type: ignore[arg-type]
    given: list[float] = []

    def note_stop(message_id: int, timeout_s: float) -> str:
        given.append(timeout_s)
        return f"{message_id} is late"

    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(journaled, "_note_stop", note_stop)
    assert journaled.emergency_stop(0.5) == Stopped(8, 3, "3 is late")
    assert given == pytest.approx([left_s])


# ---- workers that fail


def test_a_leader_that_fails_ends_the_session_for_all(
    session: Session, board: LatchingBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting: list[Future[Any]] = [
            pool.submit(session.execute, [tr.start(LONG)], read_only=False)
        ]
        assert board.running.wait(FOR_EVER_S)
        waiting.append(pool.submit(session.status))
        monkeypatch.setattr(session._requester, "receive", lambda *_: 1 / 0)
        board.release.set()
        for each in waiting:
            with pytest.raises(Exception, match="this host failed: ZeroDivisionError"):
                each.result(FOR_EVER_S)
    assert session.is_closed
    with pytest.raises(SessionEnded, match="this host failed"):
        session.status()


def test_a_keepalive_that_fails_ends_the_session_instead_of_falling_silent(
    session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session._link, "receive", lambda _: 1 / 0)
    while not session.is_closed:
        pass
    with pytest.raises(SessionEnded, match="this host failed: ZeroDivisionError"):
        session.status()
    failures = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.message for record in failures] == ["a session is over, as this host failed"]


def test_a_session_ends_when_its_message_ids_are_used_up(session: Session) -> None:
    session._requester._ledger.next_message = LAST_MESSAGE_ID + 1
    with pytest.raises(SessionEnded, match="all of its message ids are used up"):
        session.execute([tr.start(1)])
    assert session.is_closed


# ---- what a board's answer to a stop says

LATCHED = register("FAULTS").field("emergency_stop").mask
GOOD = [
    Result(Opcode.ABORT, Status.OK),
    Result(Opcode.WRITE_REG, Status.OK, register("FAULT_SET").address),
]


def read_back(word: bytes, status: Status = Status.OK) -> Result:
    return Result(Opcode.READ_REG, status, register("FAULTS").address, word)


def test_a_stop_goes_before_all_else_and_latches_and_reads_back() -> None:
    assert STOP.urgent
    assert (STOP.flags, STOP.again, STOP_TIMEOUT_S) == (0, 0, 1.0)
    assert tr.decode_transactions(STOP.payload) == [
        tr.abort(),
        tr.write_registers(register("FAULT_SET").address, [LATCHED]),
        tr.read_registers(register("FAULTS").address),
    ]


def test_a_latched_stop_is_confirmed_with_all_that_is_latched() -> None:
    assert confirmed([*GOOD, read_back((LATCHED | 1).to_bytes(4, "big"))]) == LATCHED | 1


@pytest.mark.parametrize(
    ("results", "why"),
    [
        (GOOD, "says that no emergency stop is latched"),
        ([*GOOD, read_back(b"")], "says that no emergency stop is latched"),
        ([*GOOD, read_back(bytes(4))], "says that no emergency stop is latched"),
        ([*GOOD, read_back((~LATCHED & 0xFFFF).to_bytes(4, "big"))], "no emergency stop is"),
        # a refusal whose text would pass for a word with the latch in it
        ([*GOOD, read_back(b"\0\0\0\x08", Status.BUSY)], "BUSY|busy"),
        ([read_back(b"\xff\xff\xff\xff")], "no emergency stop is latched"),
    ],
)
def test_what_does_not_say_that_it_is_latched_confirms_nothing(
    results: list[Result], why: str
) -> None:
    with pytest.raises(StopUnconfirmed, match=why):
        confirmed(results)


def test_a_defect_of_this_host_is_logged_with_its_trace(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    with session._lock:
        session._break_off(ZeroDivisionError("first"), 0.0)
        session._break_off(ZeroDivisionError("second"), 0.0)
    (record,) = (one for one in caplog.records if one.levelname == "ERROR")
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "first"
    with pytest.raises(SessionEnded, match="this host failed: ZeroDivisionError: first"):
        session.status()
