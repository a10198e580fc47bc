"""What a session writes down, and what the next one with the same journal learns."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.crash_bench import CrashBench, Life, pulse, steps_of
from tests.host.link_bench import LONG

from starlab_host.errors import HandshakeRefused, JournalError, LinkLost, OutcomeUnknown
from starlab_host.journal.entries import Entry, EntryState
from starlab_host.journal.journal import REQUEST_LIMIT_BYTES, Journal
from starlab_host.journal.journaled_session import JournaledSession
from starlab_host.session.session import Session
from starlab_spec.operations import Operation
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.transactions import Status


@pytest.fixture
def bench() -> CrashBench:
    return CrashBench()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "board.journal", clock=lambda: 1000.0) as opened:
        yield opened


def opened(bench: CrashBench, journal: Journal) -> JournaledSession:
    """A session of a process that lives."""
    return JournaledSession.open(lambda resume: bench.open(Life(), resume), journal)


def lost(bench: CrashBench, journal: Journal, *, deaf: bool) -> JournaledSession:
    """A session whose link is about to fail: for requests too, or (deaf) for replies alone."""
    sessions: list[Session] = []

    def open_session(resume: int) -> Session:
        sessions.append(bench.open(Life(), resume))
        return sessions[-1]

    session = JournaledSession.open(open_session, journal)
    link = sessions[-1]._link
    setattr(link, "deaf" if deaf else "cut", True)
    return session


def failing(*_: object, **__: object) -> int:
    raise JournalError("disk full")


def states(entries: tuple[Entry, ...] | list[Entry]) -> list[tuple[int, EntryState]]:
    return [(entry.message_id, entry.state) for entry in entries]


def abandon(session: JournaledSession) -> None:
    """As if the process were killed: it keeps nothing alive any more."""
    lost = session._session
    assert isinstance(lost, Session)
    lost._idling._over.set()


def test_what_changes_the_chip_is_written_down_with_its_outcome(
    bench: CrashBench, journal: Journal
) -> None:
    session = opened(bench, journal)
    session.execute(pulse(1))
    session.execute([tr.read_memory(0, 8)], read_only=True)
    session.execute(pulse(2), dry_run=True)
    session.execute([tr.start(Operation.READ_ARRAY)])
    session.execute([tr.start(Operation.SET | 3), tr.set_supply(6, 255), tr.start(4)])
    done, refused = journal.newest()
    assert (done.message_id, done.state) == (1, EntryState.DONE)
    assert (done.status, done.executed) == (Status.OK, 1)
    assert (refused.message_id, refused.state) == (5, EntryState.REFUSED)
    assert (refused.status, refused.executed) == (Status.INTERLOCK, 1)
    assert refused.detail == "VBLset 3300 mV is above the 2600 mV limit"
    assert refused.description == "START 0x40003, SET_SUPPLY 0x6, START 0x4"
    assert (done.serial, done.boot_id) == ("NOTE-1", 0xB007)
    assert done.session_id == bench.held.session_id
    session.close()
    assert journal.session is None


def test_a_command_is_on_disk_before_it_is_sent(
    bench: CrashBench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(bench, journal)

    monkeypatch.setattr(journal, "write", failing)
    with pytest.raises(JournalError, match="disk full"):
        session.execute(pulse(1))
    session.execute([tr.read_memory(0, 8)], read_only=True)
    assert steps_of(bench.board) == []
    session.close()


def test_an_outcome_that_was_unknown_is_learned_by_resuming(
    bench: CrashBench, journal: Journal
) -> None:
    session = lost(bench, journal, deaf=True)
    with pytest.raises(OutcomeUnknown):
        session.execute(pulse(1))
    session.close()
    assert states(journal.in_doubt()) == [(1, EntryState.UNKNOWN)]
    assert steps_of(bench.board) == [1]
    again = opened(bench, journal)
    assert journal.recovered.resumed
    assert states(journal.recovered.executed) == [(1, EntryState.DONE)]
    assert journal.in_doubt() == []
    again.execute(pulse(2))
    again.close()
    assert steps_of(bench.board) == [1, 2]


def test_a_command_that_never_arrived_is_known_not_to_have_been_executed(
    bench: CrashBench, journal: Journal
) -> None:
    session = lost(bench, journal, deaf=False)
    with pytest.raises(OutcomeUnknown):
        session.execute(pulse(1))
    session.close()
    again = opened(bench, journal)
    (entry,) = journal.recovered.not_sent
    assert entry.detail == "the board had come to message 1 when the session was resumed"
    assert entry.request == tr.encode_transactions(pulse(1))
    again.execute(tr.decode_transactions(entry.request))
    again.close()
    assert steps_of(bench.board) == [1]
    assert states(journal.newest()) == [(1, EntryState.NOT_SENT), (1, EntryState.DONE)]


def test_after_a_restart_of_the_board_what_was_in_flight_is_in_doubt_and_never_sent_again(
    bench: CrashBench, journal: Journal
) -> None:
    session = lost(bench, journal, deaf=True)
    with pytest.raises(OutcomeUnknown):
        session.execute(pulse(1))
    session.close()
    bench.restart_board()
    opened(bench, journal).close()
    assert not journal.recovered.resumed
    (entry,) = journal.recovered.unknown
    assert entry.detail.endswith("It may have been executed: read back")
    assert journal.in_doubt() == [entry]
    assert steps_of(bench.board) == [1]
    assert states(journal.acknowledge()) == [(1, EntryState.RESOLVED)]
    opened(bench, journal).close()
    # nothing new was found, and what was found before is resolved
    assert journal.recovered.unknown == ()


def test_what_a_killed_host_had_in_flight_is_in_doubt_after_a_restart_of_the_board(
    bench: CrashBench, journal: Journal
) -> None:
    session = opened(bench, journal)
    journal.write(1, tr.encode_transactions(pulse(1)), "killed before its reply came")
    abandon(session)
    bench.restart_board()
    opened(bench, journal).close()
    (entry,) = journal.recovered.unknown
    assert (entry.message_id, entry.boot_id) == (1, 0xB007)
    assert "to resume is not known: it ended, or the board restarted" in entry.detail
    assert journal.in_doubt() == [entry]


def test_a_reply_that_the_board_has_forgotten_leaves_doubt(
    bench: CrashBench, journal: Journal
) -> None:
    session = lost(bench, journal, deaf=True)
    with pytest.raises(OutcomeUnknown):
        session.execute(pulse(1))
    session.close()
    bench.held._cache._replies.clear()
    opened(bench, journal)
    (entry,) = journal.recovered.unknown
    assert entry.status == Status.TOO_OLD
    assert entry.detail.startswith("the board has executed it, but has forgotten its reply")


def test_an_outcome_that_could_not_be_noted_is_learned_by_resuming(
    bench: CrashBench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(bench, journal)
    with monkeypatch.context() as full_disk:
        full_disk.setattr(journal, "settle", failing)
        assert session.execute(pulse(1))[-1].status == Status.OK
        session.execute([tr.write_memory(0, bytes(REQUEST_LIMIT_BYTES)), *pulse(2)])
    abandon(session)
    opened(bench, journal).close()
    assert states(journal.recovered.executed) == [(1, EntryState.DONE)]
    (entry,) = journal.recovered.unknown
    assert entry.detail == (
        "the board has executed it, but the request was too long to ask for the reply"
    )
    assert steps_of(bench.board) == [1, 2]


def test_a_command_whose_id_an_abort_had_taken_was_never_sent(
    bench: CrashBench, journal: Journal
) -> None:
    session = opened(bench, journal)
    session.abort()
    journal.write(1, tr.encode_transactions(pulse(1)), "killed before it was written down anew")
    abandon(session)
    opened(bench, journal)
    assert states(journal.recovered.not_sent) == [(1, EntryState.NOT_SENT)]
    assert steps_of(bench.board) == []


def test_an_abort_slips_in_while_a_command_is_written_down(
    bench: CrashBench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(bench, journal)
    write = journal.write

    def write_while_aborting(message_id: int, request: bytes, description: str) -> int:
        session.abort()
        return write(message_id, request, description)

    monkeypatch.setattr(journal, "write", write_while_aborting)
    session.execute(pulse(1))
    session.close()
    assert states(journal.newest()) == [(2, EntryState.DONE)]


def test_an_interrupted_call_leaves_its_command_in_doubt(
    bench: CrashBench, journal: Journal
) -> None:
    session = opened(bench, journal)
    bench.board.news = [(1, 10, "row")]
    bench.board.release.set()

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.execute([tr.start(LONG)], on_progress=interrupt)
    (entry,) = journal.in_doubt()
    assert entry.detail == "nobody waited for its reply: the call was interrupted"
    session.close()


def test_a_refusal_to_resume_for_another_reason_decides_nothing(
    bench: CrashBench, journal: Journal
) -> None:
    session = lost(bench, journal, deaf=True)
    with pytest.raises(OutcomeUnknown):
        session.execute(pulse(1))
    bench.held.lease_epoch = 7
    with pytest.raises(HandshakeRefused, match="FENCED"):
        opened(bench, journal)
    assert [entry.message_id for entry in journal.unsettled()] == [1]
    session.close()


def test_reads_of_other_threads_go_on_while_a_command_is_written_down(
    bench: CrashBench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(bench, journal)
    writing, written = threading.Event(), threading.Event()
    write = journal.write

    def write_slowly(message_id: int, request: bytes, description: str) -> int:
        writing.set()
        assert written.wait(10)
        return write(message_id, request, description)

    monkeypatch.setattr(journal, "write", write_slowly)
    thread = threading.Thread(target=session.execute, args=(pulse(1),))
    thread.start()
    assert writing.wait(10)
    assert session.status().next_message_id == 1
    session.abort()
    written.set()
    thread.join()
    session.close()
    assert steps_of(bench.board) == [1]


def test_a_link_lost_before_anything_was_sent_is_no_doubt(
    bench: CrashBench, journal: Journal
) -> None:
    session = lost(bench, journal, deaf=False)
    with pytest.raises(LinkLost):
        session.execute([tr.read_memory(0, 8)], read_only=True)
    assert journal.newest() == []


def test_a_session_is_closed_although_the_disk_is_full(
    bench: CrashBench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(bench, journal)
    monkeypatch.setattr(journal, "end_session", failing)
    session.close()
    assert session.is_closed
    assert bench.board.is_safe
