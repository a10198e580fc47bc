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
from starlab_host.session.stopping import fault_names
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
    (entry,) = journal.newest()
    assert (entry.note, entry.message_id) == ("POST /emergency-stop", 1)
    assert entry.state in (EntryState.SENT, EntryState.DONE)


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
    assert board.faults == 8


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
