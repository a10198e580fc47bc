"""A session whose commands survive a crash of this process. Sends no command a second time.

Commands that change the chip are written into a journal before they are sent. Who opens a session
with the same journal later resumes it, if the board still knows it, and learns what became of the
commands that were in flight: message ids are executed in order, so the next one tells which were
executed, and the board repeats the replies of these.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

from starlab_host.errors import HandshakeRefused, JournalError, LinkError, OutcomeUnknown
from starlab_host.journal.entries import Entry, EntryState, Recovery, SessionRecord
from starlab_host.journal.journal import Journal
from starlab_host.session.chip_changes import changes_chip
from starlab_host.session.numbered import NumberedSession
from starlab_host.session.statistics import LinkStatistics
from starlab_host.session.stopping import STOP
from starlab_host.session.waiting import Progress, Stop, Stopped
from starlab_spec.wire.errors import WireError
from starlab_spec.wire.frames import BoardStatus
from starlab_spec.wire.transactions import (
    Result,
    Status,
    Transaction,
    decode_transactions,
    describe,
)


class JournaledSession:
    """A session with a journal; `JournaledSession.open` makes one.

    Reads, rehearsals and aborts are not written down and cost nothing more than without a journal.
    """

    def __init__(self, session: NumberedSession, journal: Journal) -> None:
        self._session = session
        self._journal = journal
        self._noting: threading.Thread | None = None
        """Writes a stop down, if the disk lets it."""

    @classmethod
    def open(cls, open_session: Callable[[int], NumberedSession], journal: Journal) -> Self:
        """Resume the journal's session, or open a new one; ``journal.recovered`` tells the rest.

        Args:
            open_session: Opens the session of an id, or a new one for 0.
            journal: Of the same way to a board.

        Raises:
            BoardAway, HandshakeRefused: As :meth:`starlab_host.Session.open`.
            LinkError: The board was lost again; nothing was executed twice.
        """
        last, in_flight = journal.session, journal.unsettled()
        session = None
        if last is not None:
            try:
                session = open_session(last.session_id)
            except HandshakeRefused as refused:
                if refused.status != Status.OUTCOME_UNKNOWN:
                    raise
                journal.end_session(refused.detail)
        resumed = session is not None
        if session is None:
            session = open_session(0)
        try:
            if not resumed:
                serial = str(session.identity.get("serial", ""))
                granted = session.granted
                journal.begin_session(SessionRecord(serial, granted.boot_id, granted.session_id))
            journaled = cls(session, journal)
            if in_flight:
                journaled._recover(in_flight, resumed=resumed)
        except BaseException:
            session.close()
            raise
        return journaled

    @property
    def identity(self) -> dict[str, Any]:
        """Who the board says it is."""
        return self._session.identity

    @property
    def boot_id(self) -> int:
        """Drawn anew at each start of the board."""
        return self._session.boot_id

    @property
    def statistics(self) -> LinkStatistics:
        """How the link has done so far."""
        return self._session.statistics

    @property
    def is_closed(self) -> bool:
        """Whether the session is over."""
        return self._session.is_closed

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        read_only: bool = False,
        dry_run: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> list[Result]:
        """Execute a command, written down first if it changes the chip.

        Raises:
            JournalError: It could not be written down; it was not sent.
            LinkError, OutcomeUnknown, WireError: As :meth:`starlab_host.Session.execute`.
        """
        if read_only or dry_run or not changes_chip(transactions):
            return self._session.execute(
                transactions,
                read_only=read_only,
                dry_run=dry_run,
                on_progress=on_progress,
                stop=stop,
            )
        entry: int | None = None

        def write_down(message_id: int, payload: bytes) -> None:
            nonlocal entry
            if entry is None:
                entry = self._journal.write(message_id, payload, describe(transactions))
            else:
                self._journal.renumber(entry, message_id)

        try:
            results = self._session.execute(
                transactions, before_sending=write_down, on_progress=on_progress, stop=stop
            )
        except (LinkError, WireError, JournalError) as error:
            self._settle(entry, EntryState.NOT_SENT, detail=str(error))
            raise
        except OutcomeUnknown as error:
            self._settle(entry, EntryState.UNKNOWN, detail=str(error))
            raise
        except BaseException:
            detail = "nobody waited for its reply: the call was interrupted"
            self._settle(entry, EntryState.UNKNOWN, detail=detail)
            raise
        self._answered(entry, results)
        return results

    def abort(self) -> None:
        """Stop what runs and what waits; never waits for the journal."""
        self._session.abort()

    def emergency_stop(self, timeout_s: float) -> Stopped:
        """Stop it, drivers off, latched; written down afterwards, if that can be done in time.

        Raises:
            StopUnconfirmed: As :meth:`starlab_host.Session.emergency_stop`.
        """
        end = time.monotonic() + timeout_s
        stopped = self._session.emergency_stop(timeout_s)
        why = self._note_stop(stopped.message_id, max(end - time.monotonic(), 0.0))
        return replace(stopped, unjournaled=why)

    def _note_stop(self, message_id: int, timeout_s: float) -> str:
        """Write a stop down on a thread of its own; returns why that was not done, as yet."""
        journal, note = self._journal, self._journal.note
        late = f"journal {journal.path}: it takes nothing down at the moment"
        told: list[str] = []

        def write_down() -> None:
            try:
                with journal.noted(note):
                    entry = journal.write(message_id, STOP.payload, describe(STOP.transactions))
                told.append("")
            except JournalError as error:
                told.append(str(error))
            else:
                self._settle(entry, EntryState.DONE, status=Status.OK, executed=len(STOP[0]))

        if self._noting is not None and self._noting.is_alive():
            return late
        self._noting = threading.Thread(target=write_down, name="stop-journal", daemon=True)
        self._noting.start()
        self._noting.join(timeout_s)
        return told[0] if told else late

    def status(self) -> BoardStatus:
        """How the board is, beside the commands."""
        return self._session.status()

    def close(self) -> None:
        """End the session; one that was lost stays to be resumed."""
        was_open = not self._session.is_closed
        self._session.close()
        if was_open:
            with suppress(JournalError):  # what is in flight stays so: the next session finds out
                self._journal.end_session("the session was closed")

    def _recover(self, in_flight: Sequence[Entry], *, resumed: bool) -> None:
        """Learn what became of the commands that were in flight."""
        if resumed:
            for entry in in_flight:
                self._learn(entry)
        now = self._journal.entries([entry.number for entry in in_flight])
        answered = (EntryState.DONE, EntryState.REFUSED)
        self._journal.recovered = Recovery(
            resumed,
            executed=tuple(entry for entry in now if entry.state in answered),
            not_sent=tuple(entry for entry in now if entry.state is EntryState.NOT_SENT),
            unknown=tuple(entry for entry in now if entry.state is EntryState.UNKNOWN),
        )

    def _learn(self, entry: Entry) -> None:
        upcoming = self._session.granted.next_message_id
        if entry.message_id >= upcoming:
            detail = f"the board had come to message {upcoming} when the session was resumed"
            self._settle(entry.number, EntryState.NOT_SENT, detail=detail)
        elif entry.request is None:
            detail = "the board has executed it, but the request was too long to ask for the reply"
            self._settle(entry.number, EntryState.UNKNOWN, detail=detail)
        else:
            transactions = decode_transactions(entry.request)
            results = self._session.execute(transactions, again=entry.message_id)
            self._answered(entry.number, results)

    def _answered(self, entry: int | None, results: Sequence[Result]) -> None:
        last = results[-1]
        if last.status == Status.TOO_OLD:
            detail = f"the board has executed it, but has forgotten its reply: {last.message}"
            self._settle(entry, EntryState.UNKNOWN, status=last.status, detail=detail)
        elif last.status == Status.ID_REUSED:
            detail = "an abort had taken its message id, and it was not sent under another one"
            self._settle(entry, EntryState.NOT_SENT, status=last.status, detail=detail)
        elif last.status == Status.OK:
            self._settle(entry, EntryState.DONE, status=last.status, executed=len(results))
        else:
            self._settle(
                entry,
                EntryState.REFUSED,
                status=last.status,
                executed=len(results) - 1,
                detail=last.message,
            )

    def _settle(
        self,
        entry: int | None,
        state: EntryState,
        *,
        status: int | None = None,
        executed: int | None = None,
        detail: str = "",
    ) -> None:
        # an entry that cannot be settled now is in flight for the journal, which is safe: whoever
        # resumes the session asks again
        if entry is not None:
            with suppress(JournalError):
                self._journal.settle(entry, state, status=status, executed=executed, detail=detail)
