"""Commands to a board and their replies, for any number of threads. Knows no register.

The thread that waits for its reply drives the link (:mod:`starlab_host.session.leading`). A small
thread keeps an idle session alive. There is no event loop and no thread between caller and socket.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Final, Self

from starlab_host.errors import (
    BoardMisbehaves,
    LinkError,
    OutcomeUnknown,
    SessionEnded,
    StarlabHostError,
    StopUnconfirmed,
)
from starlab_host.links.base import Link
from starlab_host.links.path_memory import PathMemory
from starlab_host.session.failures import failure_of, no_session, results_of
from starlab_host.session.identity import check_identity
from starlab_host.session.idle_thread import IdleThread
from starlab_host.session.leading import Leading
from starlab_host.session.log import log_ended, log_opened
from starlab_host.session.outstanding import Outstanding
from starlab_host.session.reply_shapes import message_bytes
from starlab_host.session.statistics import LinkStatistics, RoundTrips, statistics_of
from starlab_host.session.stopping import STOP, confirmed, unconfirmed
from starlab_host.session.waiting import BeforeSending, Call, Progress, Stop, Stopped, Waiter
from starlab_spec.wire.frames import (
    BoardStatus,
    Feature,
    FrameFlag,
    Hello,
    HelloAck,
)
from starlab_spec.wire.requester.events import (
    Ended,
    EndReason,
    Opened,
    Replied,
    RequesterEvent,
    RequesterState,
)
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.transactions import (
    Result,
    Status,
    Transaction,
    abort,
    encode_transactions,
)

LAST_MESSAGE_ID: Final = 0xFFFFFFFF
"""A session has no more commands than these."""
_LOG: Final = logging.getLogger(__name__)
_READ_ONLY: Final = int(FrameFlag.READ_ONLY)
_DRY_RUN: Final = int(FrameFlag.DRY_RUN)
_ABORT: Final = Call([abort()], encode_transactions([abort()]), urgent=True)


class Session:
    """A session with a board. `Session.open` makes one.

    Any number of threads may call any method at once. When the session is over, for whatever
    reason, it stays so: every call raises, and its owner may open a new one.
    """

    def __init__(
        self, link: Link, requester: Requester, clock: Callable[[], float], path: PathMemory
    ) -> None:
        self._link = link
        self._requester = requester
        self._clock = clock
        self._path = path
        self._submitting = threading.Lock()
        """Held while a command is made known before it is sent: the next one takes the next id."""
        self._outstanding = Outstanding()
        self._round_trips = RoundTrips()
        self.identity: dict[str, Any] = {}
        """What the board said about itself in the handshake, until all of it is learned."""
        self._ended: Ended | None = None
        on_event, on_failure = self._on_event, self._break_off
        self._leading = Leading(
            *(link, requester, self._outstanding, clock), on_event=on_event, on_failure=on_failure
        )
        self._lock = self._leading.lock
        self._wait, self._turn = self._leading.wait, self._leading.turn
        self._idling = IdleThread(self._leading.look_after)

    @classmethod
    def open(
        cls,
        link: Link,
        *,
        client_name: str,
        lease_epoch: int = 0,
        resume_session: int = 0,
        window: int | None = None,
        payload_bytes: int | None = None,
        never_safe: bool = False,
        resumable: bool = True,
        path: PathMemory | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> Self:
        """Open a session; the link belongs to it from now on, and is closed with it.

        Args:
            link: The way to the board.
            client_name: Who this is, for people.
            lease_epoch: Fencing token: the board refuses epochs older than the newest it has seen.
            resume_session: Id of an earlier session to take up again, 0 for a new one; what the
                board executed of it are all messages before `granted.next_message_id`.
            window: Frames in flight wanted, 1..128; by default what suits the link.
            payload_bytes: Largest payload wanted; by default what the link takes.
            never_safe: Silence of this host is no reason for the board to go to SAFE.
            resumable: Whether anybody may resume the session once it is lost here.
            path: What is known of the way from sessions before; this one adds to it.
            clock: The time in seconds; never set back.
            rng: For the session's nonce and for jitter; by default seeded by the system.

        Raises:
            BoardAway: Nobody answers.
            HandshakeRefused: The board does not want a session on these terms.
        """
        path, rng = path or PathMemory(), rng or random.Random()
        hello = Hello(
            window=link.window if window is None else window,
            payload_bytes=path.wanted(payload_bytes or link.payload_bytes),
            features=int(Feature.NEVER_SAFE) if never_safe else 0,
            lease_epoch=lease_epoch,
            resume_session=resume_session,
            client_name=client_name,
        )
        requester = Requester(hello, rng=rng, wary=path.wary, resumable=resumable)
        session = cls(link, requester, clock, path)
        try:
            session._shake_hands()
        except BaseException:
            link.close()
            raise
        return session

    def __enter__(self) -> Self:
        """The session itself; leaving the block closes it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the session."""
        self.close()

    @property
    def granted(self) -> HelloAck:
        """What the board granted in the handshake."""
        if self._requester.answer is None:
            raise RuntimeError("the session is not open yet")
        return self._requester.answer

    @property
    def boot_id(self) -> int:
        """Boot id of the board that the session was opened with."""
        return self.granted.boot_id

    @property
    def is_closed(self) -> bool:
        """Whether the session is over, or about to be: every call fails."""
        return self._ended is not None or self._requester.state is RequesterState.CLOSING

    @property
    def statistics(self) -> LinkStatistics:
        """How the link has done so far."""
        with self._lock:
            return statistics_of(self._round_trips, self._requester, self._path, self._ended)

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
        """Execute a command on the board, wait for its reply: see :class:`NumberedSession`."""
        flags = _READ_ONLY * read_only | _DRY_RUN * dry_run
        payload = encode_transactions(transactions)
        call = Call(transactions, payload, flags, False, again, before_sending, on_progress, stop)
        return self._execute(call)

    def abort(self) -> None:
        """Stop what executes and what waits: the calls return results of status ABORTED.

        Raises:
            LinkError, OutcomeUnknown: As `execute`.
        """
        self._execute(_ABORT)

    def emergency_stop(self, timeout_s: float) -> Stopped:
        """Stop what runs, switch all drivers off and latch it. Waits for no other call.

        What comes before it is aborted. One that is not confirmed in time stays sent.

        Args:
            timeout_s: How long to wait for the board's word.

        Raises:
            StopUnconfirmed: It has not confirmed it in that time, or cannot.
        """
        waiter = Waiter(self._clock() + timeout_s)
        try:
            self._submit(STOP, waiter)
            try:
                while not isinstance(reply := self._await(waiter), bytes):
                    if waiter.is_late(self._clock):
                        raise unconfirmed(timeout_s)
            finally:
                self._leave(waiter)
            results = results_of(STOP, waiter.message_id or 0, reply)
        except (LinkError, OutcomeUnknown) as error:
            raise StopUnconfirmed(str(error)) from error
        return Stopped(confirmed(results), waiter.message_id or 0)

    def _execute(self, call: Call) -> list[Result]:
        while True:
            waiter = Waiter()
            with nullcontext() if call.urgent else self._submitting:
                self._submit(call, waiter)
            try:
                reply = self._reply(call, waiter)
                results = results_of(call, waiter.message_id or 0, reply)
            finally:
                self._leave(waiter)
            is_own = call.stop is not None and call.stop.requested
            if is_own or not waiter.was_hit or results[-1].status != Status.ABORTED:
                return results
            # it changes nothing that matters, and was stopped instead of another one: once more

    def _reply(self, call: Call, waiter: Waiter) -> bytes:
        """Wait for the reply of a command that was submitted, and stop the command if asked to."""
        stop, is_stopped = call.stop, False
        with nullcontext() if stop is None else stop.waking(lambda: self._stir(waiter)):
            while True:
                if stop is not None and stop.requested and not is_stopped:
                    is_stopped = self._abort_only(waiter)
                if isinstance(reply := self._await(waiter), bytes):
                    return reply
                call.tell(waiter.take_news())

    def _stir(self, waiter: Waiter) -> None:
        with self._lock:
            waiter.stir()

    def _abort_only(self, waiter: Waiter) -> bool:
        """Abort one command; whether that was done, or is of no use any more."""
        with self._lock:
            is_open = self._requester.state is RequesterState.OPEN
            if waiter.outcome is not None or not is_open:
                return True
            if not self._outstanding.may_abort(waiter):
                return False
            now = self._clock()
            number = self._requester.submit(_ABORT.payload, now, urgent=True)
            self._outstanding.add_unwatched(number, _ABORT.transactions)
            self._turn(now)
            return True

    def _submit(self, call: Call, waiter: Waiter) -> None:
        foreseen = 0
        while True:
            with self._lock:
                self._check_open()
                upcoming = self._requester.next_message_id
                if upcoming > LAST_MESSAGE_ID:
                    self._give_up("all of its message ids are used up", self._clock())
                    self._check_open()
                if call.before_sending is None or foreseen == upcoming:
                    now = self._clock()
                    waiter.message_id = self._requester.submit(
                        call.payload, now, flags=call.flags, urgent=call.urgent, again=call.again
                    )
                    self._outstanding.join(waiter, call.transactions)
                    self._turn(now)
                    return
            foreseen = upcoming
            call.before_sending(foreseen, call.payload)

    def status(self) -> BoardStatus:
        """What the board is doing; answered also while it executes a long command.

        Raises:
            LinkError: The session is over, or the board does not answer.
        """
        waiter = Waiter()
        with self._lock:
            self._check_open()
            now = self._clock()
            self._outstanding.join(waiter)
            waiter.request = self._requester.request_status(now)
            self._turn(now)
        try:
            while not isinstance(status := self._await(waiter), BoardStatus):
                pass
        finally:
            self._leave(waiter)
        return status

    def heartbeat(self) -> bytes | None:
        """A frame by which the board hears of this host; None: the session is over."""
        with self._lock:
            return None if self.is_closed else self._requester.heartbeat()

    def close(self) -> None:
        """Say BYE and close the link. Commands under way in other threads fail."""
        waiter = Waiter()
        with self._lock:
            now = self._clock()
            self._requester.close(now)
            self._outstanding.join(waiter)
            self._turn(now)
        try:
            while self._ended is None:
                self._wait(waiter)
        finally:
            self._leave(waiter)
            self._idling.stop()
            self._link.close()

    def _check_open(self) -> None:
        if self._ended is not None:
            raise failure_of(self._ended, self._requester, None, {}, self._clock())
        if self._requester.state is RequesterState.CLOSING:
            raise SessionEnded(EndReason.CLOSED.value)

    def _await(self, waiter: Waiter) -> bytes | BoardStatus | None:
        """Wait until something has come; returns the outcome, if that is it."""
        self._wait(waiter)
        if isinstance(waiter.outcome, StarlabHostError):
            raise waiter.outcome
        return waiter.outcome

    def _leave(self, waiter: Waiter) -> None:
        with self._lock:
            self._outstanding.leave(waiter)

    def _on_event(self, event: RequesterEvent, now: float) -> None:
        self._outstanding.take(event)
        match event:
            case Replied():
                self._round_trips.add(event.round_trip_s)
            case Opened():
                log_opened(event.answer, self._path)
            case Ended():
                self._ended = event
                self._leading.over = True
                asked = self._outstanding.asked
                stuck_bytes = message_bytes(self._requester, asked)
                self._path.ended(event, self._requester.answer, stuck_bytes)
                log_ended(event, self._requester, self._round_trips, self._path)
                self._outstanding.fail(
                    lambda number: failure_of(event, self._requester, number, asked, now)
                )

    def _shake_hands(self) -> None:
        """Open the session, or raise."""
        waiter = Waiter()
        with self._lock:
            now = self._clock()
            self._requester.open(now)
            self._outstanding.join(waiter)
            self._turn(now)
        while self._requester.answer is None and self._ended is None:
            self._wait(waiter)
        self._leave(waiter)
        if self._ended is not None:
            raise no_session(self._ended)
        self.identity = dict(self.granted.identity)
        try:
            check_identity(self.identity, whole=False, boot_id=self.boot_id)
        except BoardMisbehaves:
            self.close()
            raise
        self._idling.start()

    def _break_off(self, error: Exception, now: float) -> None:
        """The code of this host has failed: the session is over, and all who wait learn it."""
        if self._ended is None:
            _LOG.error("a session is over, as this host failed", exc_info=error)
            self._give_up(f"this host failed: {type(error).__name__}: {error}", now)

    def _give_up(self, why: str, now: float) -> None:
        self._on_event(Ended(EndReason.CLOSED, Status.OK, why), now)
