"""Commands to a board of the authors' protocol, for any number of threads, one after the other.

The protocol numbers nothing and repeats nothing: a command during which the connection is lost is
in doubt if it changes the chip, and no session can be resumed.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final, Self

from starlab_host.authors.board import AuthorsBoard
from starlab_host.authors.operations import Control
from starlab_host.board.capabilities import PUBLISHED
from starlab_host.errors import (
    BoardAway,
    HandshakeRefused,
    LinkError,
    LinkLost,
    OutcomeUnknown,
    SessionEnded,
    StopUnconfirmed,
)
from starlab_host.links import AuthorsAddress, AuthorsLink, ConnectionGone
from starlab_host.session.chip_changes import changes_chip
from starlab_host.session.statistics import LinkStatistics, RoundTrips
from starlab_host.session.stopping import STOP, confirmed, unconfirmed
from starlab_host.session.waiting import BeforeSending, Progress, Stop, Stopped
from starlab_spec import ARRAY1, ARRAY2
from starlab_spec.operations import MEMORY_BYTES
from starlab_spec.registers import register
from starlab_spec.supplies import SUPPLIES, Channel
from starlab_spec.wire.frames import BoardState, BoardStatus, HelloAck
from starlab_spec.wire.transactions import (
    Result,
    Status,
    Transaction,
    describe,
    encode_transactions,
)

_CLOSE_WAIT_S: Final = 5.0
"""So long a command under way may take to stop when the session is closed."""


class AuthorsSession:
    """A connection to a board in the shape of a session; `AuthorsSession.open` makes one.

    When the connection is lost the session is over: every call raises, and its owner may open a new
    one.
    """

    def __init__(
        self,
        link: AuthorsLink,
        address: AuthorsAddress,
        session_id: int,
        channels: Sequence[Channel] = SUPPLIES,
    ) -> None:
        self._link = link
        self._identity = identity_of(address)
        self._board = AuthorsBoard(link, self._identity, channels)
        self._session_id = session_id
        self._queue = threading.Lock()
        """Held by the thread whose command is next: it may still have to write that down."""
        self._turn = threading.Lock()
        """Held by the one thread that uses the link."""
        self._message_id = 1
        """Of the next command."""
        self._executing = 0
        self._aborts = 0
        self._ended = ""
        self._round_trips = RoundTrips()

    @classmethod
    def open(
        cls,
        address: AuthorsAddress,
        *,
        resume_session: int = 0,
        channels: Sequence[Channel] = SUPPLIES,
    ) -> Self:
        """Connect to a board.

        Args:
            address: Where it is.
            resume_session: Id of an earlier session, which cannot be taken up again; 0 for none.
            channels: All 22 generators, with the limits that hold.

        Raises:
            BoardAway: Nobody listens there, or somebody else has the board.
            HandshakeRefused: A session was to be resumed.
        """
        if resume_session:
            detail = "the authors' protocol has no sessions that could be resumed"
            raise HandshakeRefused(Status.OUTCOME_UNKNOWN, detail)
        try:
            link = address.connect()
        except OSError as error:
            raise BoardAway(f"nobody answers at {address}: {error.strerror or error}") from error
        except ConnectionGone as error:
            said = f"no board answers at {address}, or somebody else has it: {error}"
            raise BoardAway(said) from error
        return cls(link, address, random.Random().randrange(1, 1 << 32), channels)

    @property
    def identity(self) -> dict[str, Any]:
        """What is known of such a board, whichever it is."""
        return dict(self._identity)

    @property
    def boot_id(self) -> int:
        """0: nothing tells whether it has restarted."""
        return 0

    @property
    def granted(self) -> HelloAck:
        """The terms, as a board of ours would grant them."""
        return HelloAck(
            self._session_id,
            self.boot_id,
            next_message_id=self._message_id,
            lifetime_pulses=self._board.pulses,
            identity=self._identity,
        )

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over."""
        return bool(self._ended)

    @property
    def statistics(self) -> LinkStatistics:
        """Round trips of commands; there are no frames to count."""
        trips = self._round_trips
        return LinkStatistics(trips.bins(), trips.figures())

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        read_only: bool = False,
        dry_run: bool = False,
        again: int = 0,
        before_sending: BeforeSending | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> list[Result]:
        """Execute a command; other threads wait for their turn.

        Args:
            transactions: What to do, in order.
            read_only: It changes nothing.
            dry_run: Check it as far as that can be done here, send nothing.
            again: Of no use: no session is resumed.
            before_sending: Called with the number and the bytes of the command before it begins.
                What it raises keeps the command here.
            on_progress: Told of rows and samples done.
            stop: Stops this command, and no other one, between two rows or samples.

        Returns:
            One result for each transaction, up to the first that failed.

        Raises:
            LinkError: The connection is over; the command has changed nothing.
            OutcomeUnknown: It is over, and a part of the command may have been executed.
        """
        aborts = self._aborts

        def report(done: int, total: int, text: str) -> None:
            if on_progress is not None:
                on_progress(Progress(done, total, text))

        def stopped() -> bool:
            return self._aborts != aborts or (stop is not None and stop.requested)

        control = Control(stopped, report)
        with self._queue:
            self._check_open()
            number = self._message_id
            if before_sending is not None:
                before_sending(number, encode_transactions(transactions))
            if not (read_only or dry_run):
                self._message_id += 1
            self._turn.acquire()
        try:
            self._check_open()
            return self._run(number, transactions, control, dry_run=dry_run)
        finally:
            self._turn.release()

    def _run(
        self, number: int, transactions: Sequence[Transaction], control: Control, *, dry_run: bool
    ) -> list[Result]:
        self._executing = number
        requests, began_at = self._link.requests, time.monotonic()
        pulses = self._board.pulses
        try:
            results = self._board.execute(transactions, control, dry_run=dry_run)
        except ConnectionGone as error:
            self._end(str(error))
            if self._link.requests > requests and changes_chip(transactions):
                message = f"{error}. It may have been executed: read back"
                in_doubt = [(number, describe(transactions))]
                given = self._board.pulses - pulses
                raise OutcomeUnknown(message, in_doubt, pulses=given) from error
            raise LinkLost(str(error)) from error
        finally:
            self._executing = 0
        self._round_trips.add(time.monotonic() - began_at)
        return results

    def emergency_stop(self, timeout_s: float) -> Stopped:
        """Stop what runs, take the driving rails to their lowest codes and latch it here.

        Waits for no call but the one that uses the link, which ends after its row or sample.

        Raises:
            StopUnconfirmed: That one has not ended in time, or the connection is over.
        """
        self._aborts += 1
        if not self._turn.acquire(timeout=timeout_s):
            raise unconfirmed(timeout_s)
        try:
            self._check_open()
            unstopped = Control(lambda: False, lambda *_: None)
            results = self._run(0, STOP.transactions, unstopped, dry_run=False)
        except (LinkError, OutcomeUnknown) as error:
            raise StopUnconfirmed(str(error)) from error
        finally:
            self._turn.release()
        return Stopped(confirmed(results), 0)

    def abort(self) -> None:
        """Stop what runs between two rows or samples, and what waits before it begins.

        Raises:
            LinkError: The connection is over.
        """
        self._check_open()
        self._aborts += 1

    def status(self) -> BoardStatus:
        """What the board is doing, as far as the host knows; asks it unless a command runs.

        Raises:
            LinkError: The connection is over.
        """
        self._check_open()
        if self._turn.acquire(blocking=False):
            try:
                self._link.get_register(register("OPERATION").address)
            except ConnectionGone as error:
                self._end(str(error))
                raise LinkLost(str(error)) from error
            finally:
                self._turn.release()
        executing, faults = self._executing, self._board.faults
        state = BoardState.FAULT if faults else BoardState.IDLE
        return BoardStatus(
            self._message_id,
            executing,
            self._board.pulses,
            faults,
            BoardState.EXECUTING if executing else state,
        )

    def close(self) -> None:
        """Stop what runs, and hang up. The board stays as it is, with its supplies on."""
        self._aborts += 1
        has_turn = self._turn.acquire(timeout=_CLOSE_WAIT_S)
        self._end("the session was closed")
        if has_turn:
            self._turn.release()

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        self._link.close()

    def _check_open(self) -> None:
        if self._ended:
            raise SessionEnded(self._ended)


def identity_of(address: AuthorsAddress) -> dict[str, Any]:
    """What a session says of a board: the protocol tells nothing of it but that it is there."""
    return {
        "serial": f"{address.host}:{address.port}",
        "firmware": "unknown",
        "protocol": "authors-tcp",
        "boot_id": 0,
        "geometry": {f"array{a.number}": [a.inputs, a.outputs] for a in (ARRAY1, ARRAY2)},
        "device_model": None,
        "effects": None,
        "emulated": False,
        "memory_bytes": MEMORY_BYTES,
        "capabilities": asdict(PUBLISHED),
    }
