"""What a session with a journal asks of the session below it and of the journal, and when."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from starlab_host.errors import HandshakeRefused, JournalError, LinkLost, OutcomeUnknown
from starlab_host.journal.entries import Entry, EntryState, SessionRecord
from starlab_host.journal.journal import Journal
from starlab_host.journal.journaled_session import JournaledSession
from starlab_host.session.waiting import Stop
from starlab_spec.operations import Operation
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction

PULSE = [tr.start(Operation.SET)]
READ = [tr.read_memory(0, 8)]
DONE = Result(Opcode.START, Status.OK)


class Below:
    """A session that answers what a test says, and notes what it is asked."""

    def __init__(self, session_id: int = 7, upcoming: int = 1) -> None:
        self.granted = SimpleNamespace(session_id=session_id, boot_id=3, next_message_id=upcoming)
        self.identity: dict[str, Any] = {"serial": "BELOW"}
        self.boot_id = 3
        self.is_closed = False
        self.asked: list[tuple[list[Transaction], dict[str, Any]]] = []
        self.answers: dict[int, Any] = {}
        """By message id asked again; 0 for commands that are new."""
        self.numbers = [1]
        """Under which a new command is announced, the last one that it is sent under."""

    def execute(self, transactions: Sequence[Transaction], **how: Any) -> list[Result]:
        self.asked.append((list(transactions), how))
        announce = how.get("before_sending")
        if announce is not None:
            for number in self.numbers:
                announce(number, tr.encode_transactions(transactions))
        answer = self.answers.get(how.get("again", 0), [DONE])
        if isinstance(answer, BaseException):
            raise answer
        results: list[Result] = answer
        return results

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "board.journal", clock=lambda: 1000.0) as opened:
        yield opened


def over(below: Below, journal: Journal) -> JournaledSession:
    return JournaledSession.open(lambda _: below, journal)  # type: ignore[arg-type, return-value]


def heard(_: object) -> None:
    """What wants to hear of progress."""


@pytest.mark.parametrize(
    ("asked", "how"),
    [(READ, {"read_only": True}), (PULSE, {"dry_run": True}), (PULSE, {"read_only": True})],
)
def test_what_changes_nothing_goes_on_as_it_came_and_is_not_written_down(
    journal: Journal, asked: list[Transaction], how: dict[str, bool]
) -> None:
    below, stop = Below(), Stop()
    over(below, journal).execute(asked, on_progress=heard, stop=stop, **how)
    plain = {"read_only": False, "dry_run": False}
    assert below.asked == [(asked, plain | how | {"on_progress": heard, "stop": stop})]
    assert journal.newest() == []


def test_a_command_that_changes_the_chip_is_written_down_under_the_id_that_it_is_sent_with(
    journal: Journal,
) -> None:
    below, stop = Below(), Stop()
    below.numbers = [4, 6, 5]
    assert over(below, journal).execute(PULSE, on_progress=heard, stop=stop) == [DONE]
    ((asked, how),) = below.asked
    assert (asked, how["on_progress"], how["stop"]) == (PULSE, heard, stop)
    assert "read_only" not in how
    (entry,) = journal.newest()
    assert (entry.message_id, entry.state, entry.executed) == (5, EntryState.DONE, 1)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (LinkLost("gone"), EntryState.NOT_SENT),
        (PayloadError("too long"), EntryState.NOT_SENT),
        (JournalError("full"), EntryState.NOT_SENT),
        (OutcomeUnknown("lost", [(1, "START")]), EntryState.UNKNOWN),
        (KeyboardInterrupt("stop"), EntryState.UNKNOWN),
    ],
)
def test_an_error_says_whether_a_command_may_have_been_executed(
    journal: Journal, error: BaseException, state: EntryState
) -> None:
    below = Below()
    below.answers[0] = error
    with pytest.raises(type(error)):
        over(below, journal).execute(PULSE)
    (entry,) = journal.newest()
    assert entry.state is state
    is_interrupted = isinstance(error, KeyboardInterrupt)
    assert entry.detail == (
        "nobody waited for its reply: the call was interrupted" if is_interrupted else str(error)
    )


@pytest.mark.parametrize(
    ("last", "state", "executed"),
    [
        (DONE, EntryState.DONE, 2),
        (Result(Opcode.START, Status.ABORTED, 0, b"stopped"), EntryState.REFUSED, 1),
        (Result(Opcode.START, Status.TOO_OLD, 0, b"old"), EntryState.UNKNOWN, None),
        (Result(Opcode.START, Status.ID_REUSED, 0, b"used"), EntryState.NOT_SENT, None),
    ],
)
def test_an_answer_says_what_was_executed(
    journal: Journal, last: Result, state: EntryState, executed: int | None
) -> None:
    below = Below()
    below.answers[0] = [DONE, last]
    over(below, journal).execute(PULSE * 2)
    (entry,) = journal.newest()
    assert (entry.state, entry.status, entry.executed) == (state, last.status, executed)


# ---- sessions that begin and end


def in_flight(journal: Journal, *message_ids: int) -> list[Entry]:
    journal.begin_session(SessionRecord("BELOW", 3, 7))
    for message_id in message_ids:
        journal.write(message_id, tr.encode_transactions(PULSE), "START")
    return journal.unsettled()


def test_a_new_session_is_noted_with_what_the_board_says_of_itself(journal: Journal) -> None:
    over(Below(), journal)
    assert journal.session == SessionRecord("BELOW", 3, 7)
    below = Below(session_id=9)
    below.identity = {}
    JournaledSession.open(lambda resume: below if resume == 7 else None, journal)  # type: ignore[arg-type, return-value]
    assert journal.session == SessionRecord("BELOW", 3, 7)  # it was resumed: no new one
    assert not journal.recovered.resumed  # nothing was in flight
    journal.end_session("over")
    over(below, journal)
    assert journal.session == SessionRecord("", 3, 9)


def test_what_was_in_flight_is_asked_for_and_never_sent_anew(journal: Journal) -> None:
    in_flight(journal, 4, 5, 6)
    below = Below(upcoming=6)
    below.answers[5] = [Result(Opcode.START, Status.INTERLOCK, 0, b"no")]
    over(below, journal)
    assert [(asked, how) for asked, how in below.asked] == [(PULSE, {"again": n}) for n in (4, 5)]
    found = journal.recovered
    assert found.resumed
    assert [(one.message_id, one.state) for one in found.executed] == [
        (4, EntryState.DONE),
        (5, EntryState.REFUSED),
    ]
    assert [one.message_id for one in found.not_sent] == [6]
    assert found.unknown == ()


def test_a_session_that_is_lost_while_it_is_resumed_is_closed(journal: Journal) -> None:
    in_flight(journal, 4)
    below = Below(upcoming=6)
    below.answers[4] = LinkLost("gone again")
    with pytest.raises(LinkLost):
        over(below, journal)
    assert below.is_closed
    assert [entry.message_id for entry in journal.unsettled()] == [4]


@pytest.mark.parametrize("status", [Status.BUSY, Status.FENCED])
def test_only_a_board_that_knows_the_session_no_more_ends_it(
    journal: Journal, status: Status
) -> None:
    in_flight(journal, 4)
    asked: list[int] = []

    def refuse(resume: int) -> Any:
        asked.append(resume)
        raise HandshakeRefused(status, "no")

    with pytest.raises(HandshakeRefused):
        JournaledSession.open(refuse, journal)
    assert asked == [7]
    assert [entry.state for entry in journal.unsettled()] == [EntryState.SENT]


def test_what_a_board_has_forgotten_is_in_doubt_and_the_session_a_new_one(
    journal: Journal,
) -> None:
    in_flight(journal, 4)
    below = Below(session_id=8)

    def open_session(resume: int) -> Any:
        if resume:
            raise HandshakeRefused(Status.OUTCOME_UNKNOWN, "not known")
        return below

    JournaledSession.open(open_session, journal)
    assert journal.session == SessionRecord("BELOW", 3, 8)
    assert below.asked == []
    (entry,) = journal.recovered.unknown
    assert (entry.message_id, entry.detail) == (4, "not known")
    assert not journal.recovered.resumed


@pytest.mark.parametrize("lost", [False, True])
def test_a_session_that_was_lost_stays_to_be_resumed_and_one_that_is_closed_does_not(
    journal: Journal, lost: bool
) -> None:
    below = Below()
    session = over(below, journal)
    below.is_closed = lost
    session.close()
    assert below.is_closed
    assert (journal.session is not None) is lost


def test_a_request_too_long_to_keep_stays_in_doubt(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starlab_host.journal.journal.REQUEST_LIMIT_BYTES", 4)
    in_flight(journal, 4)
    below = Below(upcoming=5)
    over(below, journal)
    assert below.asked == []
    (entry,) = journal.recovered.unknown
    assert "too long to ask for the reply" in entry.detail
