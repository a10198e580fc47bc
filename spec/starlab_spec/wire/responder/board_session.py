"""One session as the board keeps it: commands in order, each executed once, replies remembered.

Executes nothing itself and sends nothing: it hands out work and datagrams.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from starlab_spec.wire.codec import encode_ack, encode_event
from starlab_spec.wire.errors import TransactionError
from starlab_spec.wire.frames import (
    Acknowledgement,
    Event,
    EventKind,
    Feature,
    Frame,
    FrameFlag,
    FrameType,
    longest_message_bytes,
)
from starlab_spec.wire.receiving import Arrival, Assembler, ReceiveWindow
from starlab_spec.wire.responder.execution import Execution, Request
from starlab_spec.wire.responder.reply_cache import CachedReply, ReplyCache
from starlab_spec.wire.responder.standing import KNOWN, NEW, Standing
from starlab_spec.wire.sending import SendWindow
from starlab_spec.wire.transactions import Result, Status, encode_results


@dataclass(frozen=True, slots=True)
class Grant:
    """Terms of a session."""

    window: int
    payload_bytes: int
    features: int


class BoardSession:
    """A session of the board with its host.

    Args:
        session_id: Never 0.
        boot_id: Of the board when the session was opened.
        grant: Negotiated terms.
        lease_epoch: Fencing token of the host.
        client_name: Who the host says it is.
        first_sequence: Sequence number of the first frame that the host will send.
        rng: For jitter.
    """

    def __init__(
        self,
        session_id: int,
        boot_id: int,
        grant: Grant,
        *,
        lease_epoch: int,
        client_name: str,
        first_sequence: int,
        rng: random.Random,
    ) -> None:
        self.session_id = session_id
        self.boot_id = boot_id
        self.grant = grant
        self.lease_epoch = lease_epoch
        self.client_name = client_name
        self.next_message = 1
        self.executing: Execution | None = None
        self.has_commands = False
        """Whether any command ever came."""
        self.id_reused = False
        """The host broke the protocol: the session must end once this reply is out."""
        self.owes_status = False
        """A STATUS is to tell what has come: ACKs may not get through."""
        self._rng = rng
        self._cache = ReplyCache(grant.window)
        self._abort_before = 0
        self._resumed = False
        self._unasked: Execution | None = None
        """What a host began that has since lost its memory, until it is asked for again."""
        self._start_frames(first_sequence, 0)

    def _start_frames(self, their_sequence: int, our_sequence: int) -> None:
        self._send = SendWindow(
            session=self.session_id,
            boot=self.boot_id,
            window=self.grant.window,
            payload_bytes=self.grant.payload_bytes,
            rng=self._rng,
            first_sequence=our_sequence,
        )
        self._receive = ReceiveWindow(self.grant.window, their_sequence)
        self._assembler = Assembler(2 * self.grant.window)
        self._held: dict[int, Request] = {}
        self._repeats: deque[Request] = deque()

    def resume(self, grant: Grant, lease_epoch: int, client_name: str, their_sequence: int) -> None:
        """Go on with a host that has lost its memory of frames.

        It may have lost its memory of commands, too, and use their message ids for others. So what
        has not begun is dropped, even if its frames are still under way, and what executes is
        answered only if it is asked for again.
        """
        self.grant = grant
        self.lease_epoch = lease_epoch
        self.client_name = client_name
        self._resumed = True
        self._unasked = self.executing
        self._start_frames(their_sequence, self._send.next_sequence)

    @property
    def never_safe(self) -> bool:
        """Whether silence of the host is no reason to go to SAFE."""
        return bool(self.grant.features & Feature.NEVER_SAFE)

    @property
    def executing_message(self) -> int:
        """Message id in execution; 0 for none."""
        return self.executing.message_id if self.executing is not None else 0

    def heard(self, acknowledged: int | Acknowledgement, now: float) -> None:
        """Take in what every frame of the host says: that it lives, and what it has received.

        Args:
            acknowledged: What an ACK says, or of any other frame what its header does. The header
                of an ACK is not to be taken in before: what has come beyond a gap would look lost.
            now: The time, in seconds.
        """
        if isinstance(acknowledged, Acknowledgement):
            self._confirm(self._send.acknowledge(acknowledged, now))
        else:
            self._confirm(self._send.acknowledge_to(acknowledged, now))
        if self._send.exhausted:
            self._send.revive(now)

    def on_command(self, frame: Frame, now: float) -> None:
        """Take in a COMMAND frame.

        Raises:
            PayloadError: The fragment contradicts itself or the others.
        """
        if self._send.crowded:
            return
        arrival = self._receive.accept(frame.sequence, frame.flags, now)
        if arrival is Arrival.NEW:
            self.has_commands = True
            payload = self._assembler.add(frame)
            if payload is not None:
                self._on_request(Request(frame.message, payload, frame.flags), now)
        elif arrival is Arrival.DUPLICATE and not self.is_of_before(frame):
            if frame.fragments == 1:
                self._on_request(Request(frame.message, frame.payload, frame.flags), now)
            elif frame.fragment == frame.fragments - 1:
                cached = self._cache.get(frame.message)
                if cached is not None:
                    self._replay(frame.message, cached, now)

    def is_of_before(self, frame: Frame) -> bool:
        """Whether a frame was sent before the session was resumed: its sender is no more."""
        return self._resumed and not self._receive.reaches(frame.sequence)

    def _on_request(self, request: Request, now: float) -> None:
        standing = self._standing(request)
        if standing in KNOWN and self._known_key(request, standing) != request.key:
            self._reject_reuse(request, now)
            return
        if request.is_abort and standing in NEW:
            self._abort_before = max(self._abort_before, request.message_id)
            if self.executing is not None:
                self.executing.aborted = True
        self.ACTIONS[standing](self, request, now)

    def _standing(self, request: Request) -> Standing:
        number, upcoming = request.message_id, self.next_message
        if self.executing is not None and number == self.executing.message_id:
            return Standing.EXECUTING
        if number < upcoming:
            return Standing.FORGOTTEN if self._cache.get(number) is None else Standing.ANSWERED
        if number in self._held:
            return Standing.HELD
        if number == upcoming:
            return Standing.NEXT
        room = 2 * self.grant.window if request.is_abort else 0
        if number <= upcoming + self.grant.window or len(self._held) < room:
            return Standing.AHEAD
        return Standing.OUTSIDE

    def _known_key(self, request: Request, standing: Standing) -> int:
        """Key of the request that came first under this message id."""
        if standing is Standing.EXECUTING and self.executing is not None:
            return self.executing.request.key
        if standing is Standing.HELD:
            return self._held[request.message_id].key
        cached = self._cache.get(request.message_id)
        return request.key if cached is None else cached.request_key

    # ---- what to do with a command, by its standing

    def _hold_next(self, request: Request, now: float) -> None:
        """Executes it as soon as nothing else runs; BUSY if its reply would find no room."""
        if self._cache.make_room() or request.read_only:
            self._hold(request, now)
        else:
            self._refuse(
                request,
                Status.BUSY,
                f"{self._cache.capacity} replies are not confirmed: send again later",
                flags=FrameFlag.BUSY,
            )

    def _hold(self, request: Request, now: float) -> None:
        """Holds it: it is executed in its turn."""
        self._held[request.message_id] = request

    def _ignore(self, request: Request, now: float) -> None:
        """Does nothing: it is here already, and is executed in its turn."""

    def _say_in_progress(self, request: Request, now: float) -> None:
        """Answers IN_PROGRESS; the reply follows."""
        self._unasked = None
        self._refuse(request, Status.IN_PROGRESS, f"message {request.message_id} is executing")

    def _answer_again(self, request: Request, now: float) -> None:
        """Sends the reply again, marked REPLAYED; executes nothing."""
        cached = self._cache.get(request.message_id)
        if cached is not None:
            self._replay(request.message_id, cached, now)

    def _answer_forgotten(self, request: Request, now: float) -> None:
        """Answers TOO_OLD; one that only reads is executed anew."""
        if request.read_only and len(self._repeats) < self._cache.capacity:
            self._repeats.append(request)
        elif not request.read_only:
            self._refuse(
                request,
                Status.TOO_OLD,
                f"message {request.message_id} was answered before; next is {self.next_message}",
            )

    def _reject_outside(self, request: Request, now: float) -> None:
        """Answers RANGE; does not execute it."""
        self._refuse(
            request,
            Status.RANGE,
            f"message {request.message_id} is above the limit of {self.grant.window} messages "
            f"ahead of {self.next_message}",
        )

    def _reject_reuse(self, request: Request, now: float) -> None:
        self.id_reused = True
        self._refuse(
            request, Status.ID_REUSED, f"message {request.message_id} was another command before"
        )

    # ---- work

    def take_work(self) -> Execution | None:
        """The command to execute now, if there is one and none is being executed."""
        if self.executing is not None:
            return None
        while self._repeats:
            execution = self._begin(self._repeats.popleft(), repeated=True)
            if execution is not None:
                return execution
        while (request := self._held.get(self.next_message)) is not None:
            if not self._cache.make_room() and not request.read_only:
                return None
            del self._held[self.next_message]
            if request.message_id < self._abort_before:
                self._answer(request, [request.refusal(Status.ABORTED, "aborted before it began")])
                continue
            execution = self._begin(request, repeated=False)
            if execution is not None:
                return execution
        return None

    def _begin(self, request: Request, *, repeated: bool) -> Execution | None:
        try:
            transactions = request.decode()
        except TransactionError as error:
            refusal = request.refusal(Status.BAD_REQUEST, str(error))
        else:
            execution = Execution(self.session_id, request, transactions, repeated=repeated)
            if not repeated:
                self.executing = execution
            return execution
        if repeated:
            self._send_reply(request.message_id, encode_results([refusal]))
        else:
            self._answer(request, [refusal])
        return None

    def complete(self, execution: Execution, results: Sequence[Result]) -> None:
        """Answer a command that was executed."""
        if execution.repeated:
            self._send_reply(execution.message_id, self._encode(execution.request, results))
        else:
            self.executing = None
            self._answer(execution.request, results, unasked=execution is self._unasked)

    def _answer(
        self, request: Request, results: Sequence[Result], *, unasked: bool = False
    ) -> None:
        """Remember the reply to the next command, advance, and send it if it was asked for."""
        reply = self._encode(request, results)
        if self._cache.make_room():
            self._cache.add(request.message_id, CachedReply(request.key, reply, request.read_only))
        self.next_message = request.message_id + 1
        if not unasked:
            self._send_reply(request.message_id, reply, tracked=True)

    def _encode(self, request: Request, results: Sequence[Result]) -> bytes:
        reply = encode_results(results)
        limit = longest_message_bytes(self.grant.payload_bytes)
        if len(reply) > limit:
            detail = (
                f"executed, but the reply of {len(reply)} bytes is above the {limit}-byte limit"
            )
            reply = encode_results([request.refusal(Status.RANGE, detail)])
        return reply

    def _refuse(self, request: Request, status: Status, detail: str, flags: int = 0) -> None:
        """Answer without executing, remembering or advancing."""
        reply = encode_results([request.refusal(status, detail)])
        self._send_reply(request.message_id, reply, flags=flags)

    def _replay(self, message_id: int, cached: CachedReply, now: float) -> None:
        if not self._send.resend(message_id, FrameFlag.REPLAYED, now):
            self._send_reply(message_id, cached.reply, flags=FrameFlag.REPLAYED, tracked=True)

    def _send_reply(
        self, message_id: int, reply: bytes, *, flags: int = 0, tracked: bool = False
    ) -> None:
        self._send.queue(
            FrameType.REPLY, message_id, reply, flags=flags, prompt=True, tracked=tracked
        )

    def _confirm(self, message_ids: list[int]) -> None:
        for message_id in message_ids:
            self._cache.confirm(message_id)

    def report(self, message_id: int, event: Event) -> None:
        """Send an EVENT. Progress is news, not a debt: a slow host gets less of it."""
        if event.kind is EventKind.PROGRESS and self._send.in_flight > self.grant.window // 4:
            return
        self._send.queue(FrameType.EVENT, message_id, encode_event(event))

    # ---- frames out, time

    def datagrams(self, now: float) -> list[bytes]:
        """What to send now."""
        receive = self._receive
        out = self._send.take(now, receive.expected)
        if self._send.told == receive.expected:
            receive.acknowledged_in_passing()
        if receive.due(now):
            out.append(self.control(FrameType.ACK, encode_ack(receive.acknowledgement(now))))
            self.owes_status = receive.to_be_told_twice()
        return out

    def control(self, kind: FrameType, payload: bytes = b"", message_id: int = 0) -> bytes:
        """A frame without a sequence number of its own."""
        return self._send.control(kind, self._receive.expected, payload, message_id)

    def deadline(self) -> float | None:
        """When `expire` or `datagrams` wants to be called."""
        resend_at, acknowledge_at = self._send.deadline(), self._receive.deadline()
        if resend_at is None or (acknowledge_at is not None and acknowledge_at < resend_at):
            return acknowledge_at
        return resend_at

    def expire(self, now: float) -> None:
        """Send again what is overdue."""
        self._send.expire(now)

    ACTIONS: ClassVar[Mapping[Standing, Callable[["BoardSession", Request, float], None]]] = {
        Standing.NEXT: _hold_next,
        Standing.HELD: _ignore,
        Standing.AHEAD: _hold,
        Standing.OUTSIDE: _reject_outside,
        Standing.EXECUTING: _say_in_progress,
        Standing.ANSWERED: _answer_again,
        Standing.FORGOTTEN: _answer_forgotten,
    }
    """What a board does with a command, by its standing; the rules of "Exactly once"."""
