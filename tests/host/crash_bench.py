"""Host processes that die at any moment, one after the other, at the same board."""

import heapq
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.host.link_bench import Clock, NotingBoard, PatientLink

from starlab_host.errors import HandshakeRefused, LinkError, OutcomeUnknown
from starlab_host.journal.entries import EntryState, SessionRecord
from starlab_host.journal.journal import Journal
from starlab_host.journal.journaled_session import JournaledSession
from starlab_host.links import MemoryLink, MemoryNetwork
from starlab_host.session.session import Session
from starlab_spec.operations import Operation
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.codec import decode_frame
from starlab_spec.wire.frames import FrameType
from starlab_spec.wire.responder.board_session import BoardSession
from starlab_spec.wire.responder.responder import Responder
from starlab_spec.wire.transactions import Transaction


class Killed(BaseException):
    """The process is no more: whatever still runs of it has no effect."""


class Life:
    """One host process; it dies at its so many-th moment.

    Attributes:
        moments: Sends, receptions and changes of the journal so far, each with a before and after.
    """

    def __init__(self, dies_at: int | None = None) -> None:
        self.moments = 0
        self.sessions: list[Session] = []
        self._dies_at = dies_at

    def moment(self) -> None:
        self.moments += 1
        if self._dies_at is not None and self.moments >= self._dies_at:
            raise Killed


class MortalLink(PatientLink):
    """A link of a process that dies."""

    def __init__(self, life: Life, memory: MemoryLink, clock: Clock) -> None:
        super().__init__(memory, clock)
        self._life = life

    def send(self, datagrams: Sequence[bytes]) -> None:
        for datagram in datagrams:
            self._life.moment()
            super().send([datagram])
        self._life.moment()

    def receive(self, timeout_s: float) -> bytes | None:
        self._life.moment()
        return super().receive(timeout_s)


class MortalJournal(Journal):
    """A journal of a process that dies, before or after anything is written."""

    def __init__(self, life: Life, path: Path) -> None:
        self._life = life
        super().__init__(path, clock=lambda: 0.0)

    def begin_session(self, record: SessionRecord) -> None:
        self._life.moment()
        super().begin_session(record)
        self._life.moment()

    def end_session(self, detail: str) -> None:
        self._life.moment()
        super().end_session(detail)
        self._life.moment()

    def write(self, message_id: int, request: bytes, description: str) -> int:
        self._life.moment()
        number = super().write(message_id, request, description)
        self._life.moment()
        return number

    def settle(self, entry: int, state: EntryState, **outcome: Any) -> None:
        self._life.moment()
        super().settle(entry, state, **outcome)
        self._life.moment()


class CrashBench:
    """A board behind a bad network, for one host process after the other."""

    def __init__(self, network: MemoryNetwork | None = None) -> None:
        self.board = NotingBoard()
        self.clock = Clock()
        self.memory = MemoryLink(self.board, clock=self.clock, network=network)
        self._nonces = random.Random(0)

    @property
    def held(self) -> BoardSession:
        """The session as the board keeps it."""
        holder = self.memory.responder._holder
        assert holder is not None
        return holder.session

    def restart_board(self) -> None:
        """Switch the board off and on."""
        self.board.boot_id += 1
        self.memory.responder = Responder(self.board, rng=random.Random(self.board.boot_id))

    def open(self, life: Life, resume_session: int = 0) -> Session:
        """A session of a process."""
        session = Session.open(
            MortalLink(life, self.memory, self.clock),
            client_name="mortal",
            resume_session=resume_session,
            clock=self.clock,
            rng=random.Random(self._nonces.random()),
        )
        life.sessions.append(session)
        return session

    def live(self, work: Callable[[Life], None], dies_at: int | None = None) -> Life:
        """Run a process to its end or its death."""
        life = Life(dies_at)
        try:
            work(life)
        except Killed:
            pass
        finally:
            for session in life.sessions:
                session._idling._over.set()
            self._forget_greetings()
        return life

    def _forget_greetings(self) -> None:
        """This network knows one address: a late HELLO of the dead would seem the next one's."""
        under_way = self.memory._to_board
        under_way[:] = [late for late in under_way if decode_frame(late[1]).type != FrameType.HELLO]
        heapq.heapify(under_way)


def pulse(step: int) -> list[Transaction]:
    """A command that the board notes as :func:`steps_of` reads it."""
    return [tr.start(Operation.SET | step)]


def steps_of(board: NotingBoard) -> list[int]:
    """The steps that the board has executed, in order."""
    return [operation & ~Operation.SET for operation in board.executed]


def journaled_host(bench: CrashBench, path: Path, steps: int) -> Callable[[Life], None]:
    """A process that applies all steps of a plan that its journal does not know yet."""

    def work(life: Life) -> None:
        journal = MortalJournal(life, path)
        try:
            while True:
                try:
                    session = JournaledSession.open(
                        lambda resume: bench.open(life, resume), journal
                    )
                    for step in range(steps):
                        if str(step) not in _finished(journal):
                            with journal.noted(str(step)):
                                session.execute(pulse(step))
                    session.close()
                    return
                except (LinkError, OutcomeUnknown, HandshakeRefused):
                    bench.clock.now_s += 1.0
        finally:
            journal.close()

    return work


def _finished(journal: Journal) -> set[str]:
    """Notes of what must not be sent any more."""
    return {e.note for e in journal.newest() if e.state is not EntryState.NOT_SENT}
